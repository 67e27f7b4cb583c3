"""One canonical text and one digest for everything the lake names by content."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from lake.errors import BadInput, NotFound

DIGEST_BYTES = 16  # 128 bits: no collision to expect below 1e18 objects

MOST_NESTED = 64  # no input of ours is half as deep; Python's own reader ends at about a thousand
_STRING, _BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL), re.compile(rb"[\[\]{}]")


def from_json(text: str | bytes) -> Any:
    """What a JSON text holds; raises `ValueError` in plain words for one that is none, gives a name twice, or is nested deeper
    than `MOST_NESTED`."""
    refuse_nested(text.encode(errors="surrogatepass") if isinstance(text, str) else text)
    try:
        return json.loads(text, object_pairs_hook=_each_name_once)
    except json.JSONDecodeError as error:
        what = _WRONG_JSON.get(error.msg, f"it is not as JSON has it ({error.msg})")
        before = error.doc[max(error.pos - 20, 0) : error.pos]
        where = f"after {'...' if error.pos > 20 else ''}{before}" if before.strip() else "at its beginning"
        raise ValueError(f"{what} {where}") from None


_WRONG_JSON = {
    "Extra data": "more stands there than one value,",
    "Expecting value": "a value is missing",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Expecting ':' delimiter": "a colon is missing",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing",
    "Illegal trailing comma before end of object": "a comma stands at the end",
    "Illegal trailing comma before end of array": "a comma stands at the end",
    "Unterminated string starting at": "a text has no closing quotation mark,",
}


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"{twice} is given twice; which counts cannot be known")
    return made


def kept_json(path: Path) -> Any:
    """What a file holds in which somebody keeps an answer or a receipt; raises `NotFound`, or `BadInput` for what is no JSON."""
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFound(f"The receipt {path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise BadInput(
            f"{path} is not JSON: {error}. Give an answer of `varlake var --json`, or its receipt."
        ) from None


def refuse_nested(text: bytes) -> None:
    """Raises `ValueError` for JSON nested deeper than `MOST_NESTED`; reads nothing else of it."""
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", text)):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > MOST_NESTED:
            raise ValueError(f"it is nested deeper than {MOST_NESTED} lists and objects")


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no canonical form")


# made once: `json.dumps` makes an encoder at every call that has options
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False, default=_plain)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; floats in their shortest form that reads back to the same bits."""
    return _ENCODER.encode(value)


def digest(*parts: str | bytes | memoryview) -> str:
    """Hex BLAKE2b digest of the parts, each preceded by its length so that no two lists of parts look alike.

    Text is digested as UTF-8, and half a surrogate pair as it would be written there: JSON may hold it.
    """
    h = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        h.update(size.to_bytes(8, "little"))
        h.update(data)
    return h.hexdigest()


def file_digest(path: Path) -> str:
    """`digest` of the bytes of a file. They are read, not mapped: a mapped file that is cut short kills the process."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=DIGEST_BYTES)
        return hashlib.file_digest(file, lambda: start).hexdigest()
