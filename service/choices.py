"""What a form asks for a question, and what may be chosen there: what the spreadsheet, the widgets and the agents are made from."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from aggregation import questions
from aggregation.dimensions import dimensions_of
from aggregation.opened.valuation_choice import answered_days
from aggregation.session import Session
from aggregation.types import DimensionName
from scenarios.store import list_scenario_sets
from service.parameters import Parameter, fits_address, parameters_of, value_schema
from valuation.books.contracts import positions_dates

# lists of a lake; from VALUED a form takes the days that stand in it first
DATES, VALUED, DIMENSIONS, SCENARIO_SETS = "dates", "valued_dates", "dimensions", "scenario_sets"


@dataclass(frozen=True)
class Input:
    """A parameter of a question's address.

    several : whether it takes several values. labels : whether these may hold commas. options : all that may be given; none where
    anything of its kind may. of : the list of the lake that it is chosen from, where there is one. default : as it stands in an
    address, a text a value.
    """

    name: str
    description: str
    kind: Literal["date", "text", "number", "boolean"]
    required: bool
    several: bool
    labels: bool
    default: tuple[str, ...]
    options: tuple[str, ...]
    of: str


@functools.cache
def inputs_of(name: str) -> tuple[Input, ...] | None:
    """What may stand in the address of a question; None of a question that no address can hold."""
    model: type[BaseModel] = questions.question(name).query
    return tuple(_input(p) for p in parameters_of(model) if p.in_address) if fits_address(model) else None


def in_addresses() -> list[str]:
    """The questions that an address can hold, by name."""
    return [name for name in questions.QUESTIONS if inputs_of(name) is not None]


def example_of(name: str) -> dict[str, tuple[str, ...]]:
    """The values of the example of a question, by the inputs that it gives."""
    example = questions.question(name).example
    return {i.name: _texts(example[i.name]) for i in inputs_of(name) or () if i.name in example}


def first_values(given: Input, example: tuple[str, ...], lists: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What stands first in a form for what must be given: a day that is valued, where any is, and names of the example."""
    known = lists.get(given.of, ())
    if not given.required or not known:
        return ()
    if given.of == DATES:
        return (first_day(given.name, lists),)
    return example if set(example) <= set(known) else ()


def first_day(name: str, lists: Mapping[str, Sequence[str]]) -> str:
    """The newest day that is valued, and the one before for `from`; of a lake where nothing is valued the newest days with a book, and
    nothing where no book is."""
    dates = lists.get(VALUED) or lists.get(DATES, ())
    return next(iter((*dates[1:2], *dates[:1]) if name == "from" else dates), "")


def choices(session: Session) -> dict[str, list[str]]:
    """The lists of a lake, by name: the `dates` of books, newest first; the `valued_dates` of them, on which questions are answered; the
    `dimensions` of the newest; the `scenario_sets`."""
    lake = session.lake
    dates = positions_dates(lake)[::-1]
    books = lake.snapshot("positions", "hierarchies")
    known = session.cache.known(lake.snapshot("valuation_sets", "scenario_sets", "standards"))
    valued = {s.valuation_date for s in answered_days(known)}
    return {
        DATES: [str(d) for d in dates],
        VALUED: [str(d) for d in dates if d in valued],
        DIMENSIONS: [d["dimension"] for d in dimensions_of(session.cache.book(books, dates[0]).columns)]
        if dates
        else [],
        SCENARIO_SETS: sorted(set(list_scenario_sets(lake, ["name"])["name"].to_pylist())),
    }


def _input(p: Parameter) -> Input:
    schema = {"type": "string"} if p.kind == "labels" else value_schema(p)
    options = tuple(_text(v) for v in schema.get("enum", [schema["const"]] if "const" in schema else []))
    day = schema.get("format") == "date" or bool(p.own_text)  # a point is given by its day
    number = schema.get("type") in ("integer", "number")
    of = (
        DATES
        if day
        else DIMENSIONS
        if schema.get("pattern") == _DIMENSION
        else SCENARIO_SETS
        if p.name.endswith("scenario_set")
        else ""
    )
    default = None if p.required else p.field.get_default(call_default_factory=True)
    return Input(
        p.name,
        p.description,
        "date" if day else "boolean" if p.kind == "flag" else "number" if number else "text",
        p.required,
        p.kind in ("several", "labels"),
        p.kind == "labels",
        _texts(default),
        options,
        of,
    )


_DIMENSION = TypeAdapter(DimensionName).json_schema()["pattern"]


def _texts(value: Any) -> tuple[str, ...]:
    if value is None or isinstance(value, Mapping):
        return ()
    return tuple(map(_text, value)) if isinstance(value, list | tuple) else (_text(value),)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
