"""The parameters of a question, one after the other: what its command and its GET route are made of.

A field of a model is a parameter of the same name. A field that is itself a model and may be given as a text, such as the
point `from` of a comparison, is a parameter for the text and one for each further field: `from`, `from_positions_date`, ...
"""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from aggregation.questions import QUESTIONS, question
from aggregation.types import LABEL, TextForm
from lake.errors import BadInput, Issue

Kind = Literal["flag", "one", "several", "labels", "pairs", "objects"]


@dataclass(frozen=True)
class Parameter:
    """kind : a flag; one value; several, which a text separates by commas; labels, one a text, since they may hold commas;
    pairs of name and value; objects, such as trades. path : the keys of its value in the question. form : of a value that is
    read from a text. own_text : the first field of a whole model, which it stands for. no_singular : another has that name.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    field: FieldInfo
    form: TextForm | None = None
    own_text: str = ""
    no_singular: bool = False

    @property
    def required(self) -> bool:
        return self.field.is_required() and len(self.path) == 1

    @property
    def in_address(self) -> bool:
        """Whether an address can hold it; else only a body can."""
        return self.kind not in ("objects", "pairs")

    @property
    def singular(self) -> str | None:
        """The name of one of several values: `measure`; None where the name is no plural of several."""
        several = self.kind in ("several", "labels", "pairs", "objects")
        if self.no_singular or not several or not self.name.endswith("s") or self.name.endswith("ss"):
            return None
        return f"{self.name[:-2]}is" if self.name.endswith("axes") else self.name[:-1]

    @property
    def description(self) -> str:
        return self.field.description or ""


@functools.cache
def parameters_of(model: type[BaseModel]) -> tuple[Parameter, ...]:
    """Every parameter of the model, in the order of its fields."""
    found: list[Parameter] = []
    for field_name, field in model.model_fields.items():
        name = field.alias or field_name
        inner = _model_in(field.annotation)
        form = _form(field.metadata)
        if inner is not None and form is not None:
            (first, _), *others = inner.model_fields.items()
            found.append(Parameter(name, (name,), "one", field, form, own_text=first))
            for sub, f in others:
                found.append(Parameter(f"{name}_{sub}", (name, sub), _kind(f), f))
            continue
        found.append(Parameter(name, (name,), _kind(field), field, form or _item_form(field)))
    names = {p.name for p in found}
    return tuple(replace(p, no_singular=True) if p.singular in names else p for p in found)


def fits_address(model: type[BaseModel]) -> bool:
    """Whether an address can hold all that must be given."""
    return not any(p.required and not p.in_address for p in parameters_of(model))


def assemble(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """The question as its model reads it, from the values of parameters; those that were not given are not in `given`."""
    question: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for p in parameters_of(model):
        if p.name not in given:
            continue
        if len(p.path) == 2:
            nested.setdefault(p.path[0], {})[p.path[1]] = given[p.name]
        else:
            question[p.path[0]] = given[p.name]
    for name, values in nested.items():
        inner = _model_in(next(f for n, f in model.model_fields.items() if (f.alias or n) == name).annotation)
        assert inner is not None
        first = next(iter(inner.model_fields))
        question[name] = {**({first: question[name]} if name in question else {}), **values}
    return question


def value_schema(p: Parameter) -> Mapping[str, Any]:
    """The JSON Schema of one value of the parameter: of several kinds of value the first that is not null."""
    if p.form is not None:
        return p.form.schema()
    # the type and what is said of it, without its name in a model, which is none of a type alone
    annotated: Any = Annotated[(p.field.annotation, *p.field.metadata)] if p.field.metadata else p.field.annotation
    schema = TypeAdapter(annotated).json_schema()
    return _one_value(schema, schema.get("$defs", {}))


def _one_value(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        return _one_value(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return _one_value(next(s for s in schema[choice] if s.get("type") != "null"), definitions)
    if schema.get("type") == "array" and "items" in schema:
        return _one_value(schema["items"], definitions)
    return schema


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model an annotation is of, if it is of one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return next((m for a in get_args(annotation) if (m := _model_in(a)) is not None), None)
    return None


def _plain(annotation: Any) -> Any:
    """The annotation without what is said of it, and without None."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [a for a in get_args(annotation) if a is not type(None)]
        return _plain(kinds[0]) if len(kinds) == 1 else annotation
    return annotation


def _form(metadata: Any) -> TextForm | None:
    return next((m for m in metadata if isinstance(m, TextForm)), None)


def _item(field: FieldInfo) -> Any:
    return get_args(_plain(field.annotation))[0]


def _item_form(field: FieldInfo) -> TextForm | None:
    if get_origin(_plain(field.annotation)) is not tuple:
        return None
    item = _item(field)
    return _form(getattr(item, "__metadata__", ()))


def _kind(field: FieldInfo) -> Kind:
    plain = _plain(field.annotation)
    if plain is bool:
        return "flag"
    if get_origin(plain) is dict:
        return "pairs"
    if get_origin(plain) is not tuple:
        return "one"
    item = _item(field)
    metadata = getattr(item, "__metadata__", ())
    if _form(metadata) is not None or LABEL in metadata:
        return "labels"
    inner = _plain(item)
    return "objects" if get_origin(inner) is dict or _model_in(inner) is not None else "several"


def once(p: Parameter, values: Sequence[str], called: str) -> str:
    """The value of a parameter that takes one; raises `BadInput` for several, of which none is to be dropped in silence."""
    if len(values) == 1:
        return values[0]
    several = [
        n
        for n in QUESTIONS
        if any(q.required and q.name == f"{p.name}s" for q in parameters_of(cast("type[BaseModel]", question(n).query)))
    ]
    way = f" Several are asked of {' or '.join(several)}." if several else ""
    message = f"{called} was given {len(values)} times, and takes one value: {', '.join(values)}.{way}"
    raise BadInput(message, issues=(Issue(called, message, values[-1]),))
