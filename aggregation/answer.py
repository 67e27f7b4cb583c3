"""Answers as plain data. An answer is a frozen dataclass, and its JSON holds its fields, but where the class says otherwise.

The metadata of a field says that it is left out (`HIDDEN`), has another name (`called`) or gives its own keys (`SPREAD`); a
property may stand beside the fields (`shown`). The API makes its OpenAPI document from the same `keys`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, get_type_hints

import pyarrow as pa
from pydantic import BaseModel

Getter = TypeVar("Getter", bound=Callable[[Any], Any])

_KEY, _SPREAD = "key", "*"
_LAST = ("receipt", "notes")
_AS_IT_IS = (str, int, float)  # looked for first: an answer has hundreds of them
_ROWS = 1000  # made at once
HIDDEN = {_KEY: ""}  # metadata of a field that is not shown
SPREAD = {_KEY: _SPREAD}  # of a field whose keys stand among those of the answer; a later key of that name wins


def called(key: str) -> Mapping[str, str]:
    """Metadata of a field that is shown by another name."""
    return {_KEY: key}


def shown(key: str) -> Callable[[Getter], Getter]:
    """Marks the getter of a property that is shown by that name; to stand below `property`."""

    def mark(getter: Getter) -> Getter:
        setattr(getter, _KEY, key)
        return getter

    return mark


class Answer:
    """Base of answers, and of their parts that are asked for their plain data."""

    def to_dict(self) -> dict[str, Any]:
        """What it says as JSON has it, but that dates are dates."""
        return _by_key(self)


class Key(NamedTuple):
    """A key and the attribute it shows; without a key the attribute's own keys are shown."""

    key: str | None
    attribute: str


@functools.cache
def keys(kind: type) -> tuple[Key, ...]:
    """The keys of a dataclass or a named tuple, none of anything else: fields, properties, then the receipt and the notes."""
    if not dataclasses.is_dataclass(kind):
        return tuple(Key(name, name) for name in getattr(kind, "_fields", ()))
    found = [Key(f.metadata.get(_KEY, f.name), f.name) for f in dataclasses.fields(kind)]
    for name in dict.fromkeys(n for c in reversed(kind.__mro__) for n in vars(c)):
        getter = getattr(getattr(kind, name), "fget", None)
        if hasattr(getter, _KEY):
            found.append(Key(getattr(getter, _KEY), name))
    found.sort(key=lambda k: k.key in _LAST)
    return tuple(Key(None, k.attribute) if k.key == _SPREAD else k for k in found if k.key)


def types_of(kind: type) -> dict[str, Any]:
    """The type of each attribute that `keys` names."""
    hints = get_type_hints(kind)
    names = (k.attribute for k in keys(kind))
    return {n: hints[n] if n in hints else get_type_hints(getattr(kind, n).fget)["return"] for n in names}


def _by_key(value: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, attribute in keys(value.__class__):
        said = plain(getattr(value, attribute))
        out.update(said if key is None else {key: said})
    return out


def plain(value: Any) -> Any:
    """A part of an answer as JSON has it."""
    if value is None or isinstance(value, _AS_IT_IS):
        return value
    if isinstance(value, pa.Table):
        # a portion at a time: other threads would wait until all rows of a large table are made
        return [row for batch in value.to_batches(_ROWS) for row in batch.to_pylist()]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if keys(value.__class__):
        return _by_key(value)
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value
