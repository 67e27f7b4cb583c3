"""One command a question, made from its model: the options, `--plan`, `--value`, `--plot` and `--json`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregation import questions
from lake.canonical import from_json
from lake.errors import BadInput, Invalid, NotValued, unknown
from service.parameters import Parameter, assemble, once, parameters_of
from service.rendering.answers import PICTURES

if TYPE_CHECKING:
    from pydantic import BaseModel

    from aggregation.session import Session
    from lake.tables import Lake

# ruff: noqa: PLC0415 - a command imports what it uses when it is called: all together takes a second and a half

COLUMNS_HELP = "Columns of the tables, comma separated, or all; default those that fit the terminal."
ON_SPARK = ("var",)  # questions whose vectors may be added up on a cluster


def command(name: str) -> click.Command:
    """The command of a question."""
    entry = questions.QUESTIONS[name]
    model: type[BaseModel] = entry.question.query
    options: list[click.Parameter] = [option_of(p) for p in parameters_of(model)]
    options += _common_options(name)
    example = " ".join(map(shlex.quote, ("varlake", name, *arguments_of(model, entry.question.example))))

    def run(**given: Any) -> None:
        _run(name, given)

    return click.Command(
        name,
        callback=run,
        params=options,
        help=f"{entry.meaning}\n\n\b\nExample:\n{example}",
        short_help=entry.meaning,
    )


def _common_options(name: str) -> list[click.Option]:
    """What every command takes besides its question, and what some do."""
    question, file = questions.question(name), click.Path(path_type=Path)
    options = []
    if question.plan is not None:
        options.append(
            click.Option(["--plan"], is_flag=True, help="Only say what would be valued first, and the time.")
        )
    if question.value is not None:
        options.append(click.Option(["--value"], is_flag=True, help="Value what is missing first, then answer."))
    if name in PICTURES:
        options.append(click.Option(["--plot"], type=file, help="Draw it to this file: .svg, .png or .pdf."))
    for ending, what in _FILES.items():
        options.append(click.Option([f"--{ending}"], type=file, help=f"Write the rows to this file as {what}."))
    if name in ON_SPARK:
        where = "Where vectors are added up: auto, in-process, streamed or spark; the same bits."
        options.append(click.Option(["--reduce"], default="auto", help=where))
    options.append(click.Option([columns_option(name), "shown"], multiple=True, metavar="TEXT...", help=COLUMNS_HELP))
    units = "Money in the tables in units of 1, thousand or million; default 1. Files and JSON have full figures."
    options.append(click.Option(["--units"], default="1", help=units))
    return [*options, *lake_and_json()]


def columns_option(name: str) -> str:
    """The option for the columns of a question's tables, which a cross table has another name for."""
    fields = questions.question(name).query.model_fields
    return "--table-columns" if "columns" in fields else "--columns"


_BY_PLAN = "Add --plan to see what that takes, --value to have it valued first."
# the endings of `service.encoding.FILES`, which brings Arrow: options are made without it
_FILES = {
    "csv": "CSV, with what they rest on in lines that begin with #",
    "xlsx": "an Excel workbook, with what they rest on on a second sheet",
    "arrow": "an Arrow stream, with what they rest on in its schema",
    "parquet": "Parquet, with what they rest on in its schema",
}


def lake_and_json() -> list[click.Option]:
    """The options of every command made from a model."""
    lake = "Folder of the lake; default the setting VARLAKE_LAKE."
    return [
        click.Option(["--lake"], type=click.Path(path_type=Path), help=lake),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the answer as JSON."),
    ]


def option_names(p: Parameter) -> list[str]:
    """`--as-of`; of several values the singular too, `--measure` and `--measures`."""
    names = [f"--{name.replace('_', '-')}" for name in (p.singular, p.name) if name]
    return [*names, *(["-p"] if p.name == "parameters" else [])]


@contextmanager
def by_option(model: type[BaseModel]) -> Iterator[None]:
    """Where faults in fields of the model are told by their options."""
    try:
        yield
    except Invalid as error:
        names: dict[str, str] = {}
        for p in parameters_of(model):
            option = next(n for n in reversed(option_names(p)) if n.startswith("--"))
            names |= {"/".join(("", *path)): option for path in (p.path, (*p.path, p.own_text))}
        raise error.calling(names) from None


def option_of(p: Parameter) -> click.Option:
    """The option that a parameter is given by."""
    names = [*option_names(p), f"given_{p.name}"]
    default = p.field.get_default(call_default_factory=True) if not p.required else None
    words = [p.description]
    if p.kind == "several":
        words.append("comma separated")
    elif p.kind == "labels":
        words.append("repeatable")
    elif p.kind == "pairs":
        words.append("name=value, repeatable")
    elif p.kind == "objects":
        words.append("a CSV, Parquet or JSON file, or JSON text; repeatable")
    if p.required:
        words.append("required")
    elif default not in (None, (), {}, False, ""):
        words.append(f"default {','.join(map(str, default)) if isinstance(default, tuple) else default}")
    text = "; ".join(w for w in words if w)
    text = f"{text[:1].upper()}{text[1:]}."
    if p.kind == "flag" and default is True:  # what holds unless it is said otherwise needs a way to say so
        on, given = names
        return click.Option([f"{on}/--no-{on[2:]}", given], default=None, help=text)
    if p.kind == "flag":
        return click.Option(names, is_flag=True, help=text)
    return click.Option(names, multiple=True, help=text, metavar="TEXT" if p.kind == "one" else "TEXT...")


def arguments_of(model: type[BaseModel], query: Any) -> list[str]:
    """The command line that asks this query: one more way of writing it down."""
    arguments: list[str] = []
    for p in parameters_of(model):
        value = query.get(p.path[0]) if len(p.path) == 1 else (query.get(p.path[0]) or {})
        if len(p.path) == 2:
            value = value.get(p.path[1]) if isinstance(value, dict) else None
        elif p.own_text and isinstance(value, dict):
            value = next(iter(value.values()))
        holds = p.kind == "flag" and p.field.default is True
        if value is None or (value is False and not holds):
            continue
        name = option_names(p)[0]
        if p.kind == "flag":
            arguments.append(name if value else f"--no-{name[2:]}")
        elif p.kind == "several":
            arguments += [name, ",".join(map(str, value))] if value else []
        elif p.kind == "labels":
            arguments += [part for v in value for part in (name, str(v))]
        elif p.kind == "pairs":
            arguments += [part for k, v in value.items() for part in (name, f"{k}={v}")]
        elif p.kind == "objects":
            arguments += [name, json.dumps(value)]
        else:
            arguments += [name, str(value)]
    return arguments


def given_values(parameters: Iterable[Parameter], given: dict[str, Any]) -> dict[str, Any]:
    """The values that were given, by parameter."""
    values: dict[str, Any] = {}
    for p in parameters:
        value = given.get(f"given_{p.name}")
        if value is None or value == () or (value is False and p.field.default is not True):
            continue
        values[p.name] = _read(p, value)
    return values


def _read(p: Parameter, value: Any) -> Any:
    if p.kind == "several":
        return tuple(part.strip() for text in value for part in text.split(",") if part.strip())
    if p.kind == "pairs":
        return as_pairs(value, option_names(p)[0])
    if p.kind == "objects":
        from lake.landing.rows import read_rows

        return tuple(row for text in value for row in read_rows(text))
    if p.kind == "one":
        return once(p, value, option_names(p)[0])
    return value


def as_pairs(texts: Sequence[str], option: str = "--parameter") -> dict[str, Any]:
    """Values by name from name=value texts; a value that begins with [ or { is read as JSON."""
    pairs: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise BadInput(f"{option} {text!r} was given; expected name=value.")
        try:
            pairs[name] = from_json(value) if value[:1] in ("[", "{") else value
        except ValueError as error:
            raise BadInput(f"{option} {name}: {value!r} begins like JSON but is none: {error}.") from None
    return pairs


def _run(name: str, given: dict[str, Any]) -> None:
    from aggregation.session import Session
    from service import client, operations
    from service.cli.given import laid_out, open_lake
    from service.rendering import answers, display

    question = questions.question(name)
    model: type[BaseModel] = question.query
    values = given_values(parameters_of(model), given)
    for ending in (*_FILES, "plot"):
        file = given.get(ending)
        if file is not None and not file.absolute().parent.is_dir():
            raise BadInput(
                f"--{ending} {file} cannot be written: there is no folder {file.parent}. Name one that is there."
            )
    if given.get("plot") is not None:
        from service.rendering.figure import check_ending

        check_ending(given["plot"])
    if given["units"] not in display.UNITS:
        raise unknown("unit of money", given["units"], display.UNITS, pointer="--units")
    settings, lake = open_lake(given["lake"])
    with by_option(model):
        asked = questions.read(name, assemble(model, values))

    def opened(lake: Lake) -> Session:
        cache = operations.vector_cache(settings, lake, given.get("reduce"))
        return Session(lake, cache, spark=operations.spark_of(settings))

    session = opened(lake)
    query = questions.settled(session, asked)
    if given.get("plan"):
        planned = questions.plan(session, name, query)
        display.print_json(planned.to_dict()) if given["as_json"] else answers.show_plan(planned)
        return
    if given.get("value"):
        result, query, session = client.valued(session, name, query, opened)
    else:
        try:
            with display.progress_bar(name) as progress:
                result = questions.ask(session.telling(progress), name, query)
        except NotValued as error:
            raise error.here(_BY_PLAN) if question.value is not None else error from None
    if given["as_json"]:
        display.print_json(result.to_dict())
    else:
        known = [c for part in vars(result).values() for c in getattr(part, "column_names", ())]
        with laid_out(given["shown"], given["units"], columns_option(name), known):
            answers.show(name, result, query)
    for ending in _FILES:
        if given[ending] is not None:
            _write(result, ending, given[ending])
    if given.get("plot") is not None:
        display.say(f"Wrote {answers.draw(name, result, query, given['plot'], session)}")
    if getattr(result, "status", None) == "out of reach":
        raise SystemExit(1)


def _write(answer: Any, ending: str, path: Path) -> None:
    """The rows of the answer, and what stands beside them, to a file."""
    from service.cli.given import write_file
    from service.encoding import FILES, about_answer

    write_file(path, FILES[ending](answer.rows, about_answer(answer)), f"--{ending}")
