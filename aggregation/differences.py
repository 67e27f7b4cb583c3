"""Where an answer that was kept says another thing than the same answer recomputed, figure by figure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aggregation.answer import Answer
from lake.canonical import canonical_json

_ABSENT = object()


@dataclass(frozen=True)
class Altered(Answer):
    """What is shown in one place of an answer, and what is recomputed there.

    place : its JSON pointer. row : the texts that name its row, empty outside of tables. column : its key. shown, recomputed :
    JSON, empty where it is not there.
    """

    place: str
    row: str
    column: str
    shown: str
    recomputed: str


def differences(shown: Any, recomputed: Any, *, skip: Collection[str] = (), older: bool = False) -> list[Altered]:
    """Every figure, text and row in which the two differ; numbers are compared to the last bit.

    skip : keys that are not compared. older : other code made what is shown, which may lack what the recomputed says beside it.
    """
    again = json.loads(canonical_json(recomputed))
    return [
        Altered("".join(f"/{key}" for key in path), row, _column(path), _text(one), _text(two))
        for path, row, one, two in _unlike(shown, again, (), "", skip, older)
        if not (older and one is _ABSENT)
    ]


def _unlike(
    one: Any, two: Any, path: tuple[str | int, ...], row: str, skip: Collection[str], older: bool
) -> Iterator[tuple[tuple[str | int, ...], str, Any, Any]]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in dict.fromkeys((*one, *two)):
            if key not in skip:
                yield from _unlike(one.get(key, _ABSENT), two.get(key, _ABSENT), (*path, key), row, skip, older)
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            yield from _unlike(a, b, (*path, i), _named(row, b), skip, older)
    elif isinstance(one, list) and isinstance(two, list):
        shown, again = ({json.dumps(v, sort_keys=True): v for v in side} for side in (one, two))
        counts = [Counter(json.dumps(v, sort_keys=True) for v in side) for side in (one, two)]
        for text in (counts[0] - counts[1]).elements():
            yield path, _named(row, shown[text]), shown[text], _ABSENT
        for text in (counts[1] - counts[0]).elements():
            yield path, _named(row, again[text]), _ABSENT, again[text]
    elif not _same(one, two):
        yield path, row, one, two


def _same(one: Any, two: Any) -> bool:
    """JSON knows one kind of number: 1 is 1.0, but true is not 1."""
    return isinstance(one, bool) == isinstance(two, bool) and bool(one == two)


def _named(row: str, value: Any) -> str:
    """The texts that tell a row from others, after those of the row it stands in."""
    texts = [f"{k}={v}" for k, v in value.items() if isinstance(v, str)][:4] if isinstance(value, Mapping) else []
    return "; ".join(filter(None, (row, ", ".join(texts))))


def _column(path: tuple[str | int, ...]) -> str:
    return next((key for key in reversed(path) if isinstance(key, str)), "")


def _text(value: Any) -> str:
    return "" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
