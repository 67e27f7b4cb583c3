"""How messages put a value, a list of names and several sentences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

MOST_TOLD = 5  # of what a message lists


def in_text(value: Any) -> str:
    """A value that was given, as a person writes it: members of a list with commas between, an object as JSON."""
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(in_text, value))
    if isinstance(value, Mapping | bool | None):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def first_of(names: Iterable[object], most: int = MOST_TOLD, between: str = ", ") -> str:
    """The first names, and how many more there are."""
    every = list(map(str, names))
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return between.join(every[:most]) + more


def clause(text: str) -> str:
    """The text without the full stop at its end, to go on after it."""
    return text if text.endswith("..") else text.removesuffix(".")


def sentence(text: str) -> str:
    """The text with one mark at its end."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def sentences(said: Iterable[str | None], most: int = MOST_TOLD) -> str:
    """The first of several reasons, each once and as a sentence, and how many more there are; empty where there are none."""
    every = list(dict.fromkeys(sentence(s) for s in said if s))
    more = [f"And {len(every) - most:,} more."] if len(every) > most else []
    return " ".join([*every[:most], *more])
