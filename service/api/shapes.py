"""The shape of each question's answer as JSON, made from its class: the OpenAPI document says it, the tests hold answers to it.

In the docstring of a class `name : meaning` describes a field; the text before the first of them describes the answer.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
from pydantic import BaseModel, Field, RootModel, create_model

from aggregation import questions
from aggregation.answer import keys, types_of
from service.api.models import Answer

_MEANINGS = re.compile(r"(?:^|(?<=[.\n])\s*)(\w+(?:, \w+)*) : ")  # as docstrings have them, a sentence or line each
_ALIKE = {  # of answers that do not say more
    "rows": "the table of the answer",
    "total": "the same for all groups together",
    "coverage": "how much of the positions the numbers rest on",
    "receipt": "every input of the numbers, by name and digest",
    "notes": "what a reader must know",
}


def shape_of(name: str) -> type[BaseModel]:
    """The shape of a question's answer, by the class that its annotation names; any of them where it names several."""
    answer = inspect.unwrap(questions.question(name).answer)
    said = SimpleNamespace(__annotations__={"return": answer.__annotations__["return"]})
    kind = get_type_hints(said, answer.__globals__)["return"]
    if get_origin(kind) is not UnionType:
        return shape(kind)
    title = "Or".join(k.__name__ for k in get_args(kind))
    several: type[BaseModel] = RootModel[_as_json(kind)]  # type: ignore[misc, assignment]
    return create_model(title, __base__=several)


@functools.cache
def shape(kind: type) -> type[Answer]:
    """The shape of a dataclass or named tuple, as `aggregation.answer.plain` writes it."""
    types, meanings = types_of(kind), dict(_meanings(kind))
    fields: dict[str, Any] = {}
    more = "forbid"
    for key, attribute in keys(kind):
        found = _as_json(types[attribute])
        if key is not None:
            shown = vars(kind).get(attribute)
            meaning = meanings.get(attribute) or (shown.__doc__ if isinstance(shown, property) else None)
            fields[key] = (found, Field(description=meaning or _ALIKE.get(key)))
        elif isinstance(found, type) and issubclass(found, BaseModel):
            fields.update({n: (f.annotation, f) for n, f in found.model_fields.items()})
        else:
            more = "allow"
    return create_model(kind.__name__, __base__=Answer, __doc__=meanings[""], __cls_kwargs__={"extra": more}, **fields)


def _meanings(kind: type) -> Iterator[tuple[str, str | None]]:
    """What the docstring says of the whole, by an empty name, and of fields."""
    said = inspect.cleandoc(kind.__doc__ or "")
    whole, *named = _MEANINGS.split("" if said.startswith(f"{kind.__name__}(") else said)
    yield "", whole.strip() or None
    for names, text in zip(named[::2], named[1::2], strict=True):
        yield from ((name, " ".join(text.split())) for name in names.split(", "))


def _as_json(kind: Any) -> Any:
    """The type of a value of that type as JSON has it."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is pa.Table:
        return list[dict[str, Any]]
    if origin in (tuple, Union, UnionType):
        one: Any = Union[tuple(_as_json(t) for t in inner if t is not ...)]  # noqa: UP007 - of as many as there are
        return list[one] if origin is tuple else one
    if origin is Mapping:
        return dict[inner[0], _as_json(inner[1])]  # type: ignore[valid-type, misc]
    return shape(kind) if isinstance(kind, type) and keys(kind) else kind
