"""Methods made from models: their signature, their documentation, and what they are given read as the model has it."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import keyword
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from lake.errors import unknown
from service.parameters import Parameter, assemble, parameters_of

if TYPE_CHECKING:
    from pydantic import BaseModel

_PLAIN = {str: "str", int: "int", float: "float", bool: "bool", dt.date: "str | date", dt.datetime: "str | datetime"}
_ROWS = "Iterable[Mapping[str, Any]]"


class LazyMethod:
    """A method of a lake that is made when it is first looked up: all models together take a second to import."""

    def __init__(self, make: Callable[[], Callable[..., Any]]) -> None:
        self._make = functools.cache(make)

    def __get__(self, lake: Any, owner: Any = None) -> Callable[..., Any]:
        made = self._make()
        return made if lake is None else made.__get__(lake, owner)


def python_name(name: str) -> str:
    """The name as Python has it: `what_if`, `from_`."""
    found = name.replace("-", "_")
    return f"{found}_" if keyword.iskeyword(found) else found


def method(
    name: str, meaning: str, model: type[BaseModel], run: Callable[..., Any], more: Sequence[inspect.Parameter] = ()
) -> Callable[..., Any]:
    """A method that takes what the model does, each by its name, and calls `run` with the lake, that, and `more`."""
    own = {p.name: p.default for p in more}

    def made(lake: Any, /, **given: Any) -> Any:
        beside = {key: given.pop(key, default) for key, default in own.items()}
        return run(lake, arguments(model, given), **beside)

    found = parameters_of(model)
    made.__name__ = made.__qualname__ = python_name(name)
    made.__doc__ = _documented(meaning, found, more)
    lake = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    made.__signature__ = inspect.Signature([lake, *map(_parameter, found), *more])  # type: ignore[attr-defined]
    return made


def option(name: str, default: Any, annotation: str, description: str) -> inspect.Parameter:
    """A parameter of a method that is none of its model; its description is said in the documentation."""
    found = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    _DESCRIBED[name] = description
    return found


_DESCRIBED: dict[str, str] = {}


def arguments(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """The query that is given by the names of parameters, before it is validated; raises `BadInput` for an unknown name."""
    found = {python_name(p.name): p for p in parameters_of(model)}
    found = {**{python_name(p.singular): p for p in found.values() if p.singular}, **found}
    for name in given:
        if name not in found:
            raise unknown("parameter", name, found)
    # None says nothing, as a parameter that is left out
    return assemble(model, {found[n].name: _read(found[n], v) for n, v in given.items() if v is not None})


def _read(p: Parameter, value: Any) -> Any:
    """A value as JSON could have it: of NumPy, pandas, Polars and Arrow too."""
    if p.kind == "objects":
        rows = [value] if isinstance(value, Mapping) else as_rows(value)
        return tuple(_plain(row) for row in rows)
    if p.kind == "several" and isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if p.kind in ("several", "labels"):
        return (
            (_plain(value),) if isinstance(value, str | Mapping) or not isinstance(value, Iterable) else _plain(value)
        )
    return _plain(value)


def as_rows(value: Any) -> Iterable[Any]:
    """Rows of a table of Arrow, Polars or pandas, or of any list of them."""
    for name, keywords in (("to_pylist", {}), ("to_dicts", {}), ("to_dict", {"orient": "records"})):
        if hasattr(value, name):
            found: Iterable[Any] = getattr(value, name)(**keywords)
            return found
    return value  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, str):
        return value
    if isinstance(value, dt.datetime) and value.time() == dt.time() and value.tzinfo is None:
        return value.date()  # pandas has no other dates
    if isinstance(value, Iterable):
        return tuple(map(_plain, value))
    return value.item() if hasattr(value, "item") else value


def _parameter(p: Parameter) -> inspect.Parameter:
    default = inspect.Parameter.empty if p.required else p.field.get_default(call_default_factory=True)
    if not p.required and not isinstance(default, str | int | float | tuple | None):
        default = None
    return inspect.Parameter(
        python_name(p.name), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=written(p, default)
    )


def written(p: Parameter, default: Any = None) -> str:
    """What the parameter takes, as an annotation of Python says it."""
    if p.kind == "objects":
        taken = _ROWS
    elif p.kind == "pairs":
        taken = "Mapping[str, Any]"
    elif p.form is not None or p.own_text:
        taken = "str | Mapping[str, Any]"
    else:
        taken = _kind(p.field.annotation)
    if p.kind in ("several", "labels"):
        one = "str | Mapping[str, Any]" if p.form is not None else _kind(p.field.annotation)
        taken = f"{one} | Sequence[{one}]"
    return taken if default is not None or p.required else f"{taken} | None"


def _kind(annotation: Any) -> str:
    """A type as a user may give it; a list as its member."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, get_args(annotation)))}]"
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(_kind(a) for a in get_args(annotation) if a is not type(None)))
    if origin is tuple:
        return _kind(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, str):
        return "str"
    return _PLAIN.get(annotation, "Any")


def _documented(meaning: str, found: Iterable[Parameter], more: Iterable[inspect.Parameter]) -> str:
    lines = [f"{python_name(p.name)} : {written(p)}\n    {_sentence(p.description)}" for p in found]
    lines += [f"{p.name} : {p.annotation}\n    {_sentence(_DESCRIBED[p.name])}" for p in more]
    return "\n".join([meaning, "", "Parameters", "----------", *lines])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'.' if text and not text.endswith('.') else ''}"
