"""Options that many commands share, and how their texts are read."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.errors import BadInput, validated
from service.config import Settings

if TYPE_CHECKING:
    from aggregation.types import RiskQuery
    from lake.tables import Lake

# ruff: noqa: PLC0415 - see service.cli.main

LakeOption = Annotated[
    Path | None, typer.Option("--lake", help="Folder of the lake; default the setting VARLAKE_LAKE.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
DateText = Annotated[str, typer.Option("--as-of", help="Business date, YYYY-MM-DD.")]
CurrencyOption = Annotated[str, typer.Option("--currency", help="Reporting currency.")]
ByOption = Annotated[str, typer.Option("--by", help="Dimensions to group by, comma separated, outermost first.")]
WhereOption = Annotated[
    list[str] | None, typer.Option("--where", help="Filter, such as desk=Rates,FX or book!=B1; repeatable.")
]
MeasureOption = Annotated[str, typer.Option("--measure", help="Measures, comma separated.")]
LevelOption = Annotated[str, typer.Option("--level", help="Confidence levels, comma separated fractions.")]
EstimatorOption = Annotated[str, typer.Option("--estimator", help="How the quantile is read from the scenarios.")]
TailOption = Annotated[str, typer.Option("--tail", help="The tail that is measured: loss, or gain.")]
ThresholdOption = Annotated[
    list[float] | None,
    typer.Option("--threshold", help="A loss whose exceedance probability is asked for; repeatable."),
]
ScaleOption = Annotated[
    int | None, typer.Option("--scale-to-days", help="Scale to this horizon by the square root of time.")
]
IntervalOption = Annotated[
    str | None, typer.Option("--interval", help="Confidence of a sampling interval beside each figure, such as 0.95.")
]
ScenarioSetOption = Annotated[str | None, typer.Option("--scenario-set", help="Name or id of a stored scenario set.")]
ReduceOption = Annotated[
    str,
    typer.Option("--reduce", help="Where vectors are added up: auto, in-process, streamed or spark; the same bits."),
]
BranchOption = Annotated[str | None, typer.Option("--branch", help="Branch in place of a book: NAME, or NAME@2.")]
ParameterOption = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", help="Parameter of the method, name=value; repeatable.")
]


def settings_of(lake: Path | None) -> Settings:
    return Settings() if lake is None else Settings(lake=lake)


def open_lake(lake: Path | None) -> tuple[Settings, Lake]:
    from lake.tables import Lake

    settings = settings_of(lake)
    return settings, Lake.open(settings.lake)


def as_date(value: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise BadInput(f"{option} {value!r} is no date; expected YYYY-MM-DD, such as 2020-03-16.") from None


def as_list(value: str) -> tuple[str, ...]:
    return tuple(v.strip() for v in value.split(",") if v.strip())


def as_parameters(pairs: list[str] | None) -> dict[str, Any]:
    """Parameters from name=value texts; a value that begins with [ or { is read as JSON."""
    parameters: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise BadInput(f"--parameter {pair!r} was given; expected name=value.")
        try:
            parameters[name] = json.loads(value) if value[:1] in ("[", "{") else value
        except ValueError as error:
            raise BadInput(f"--parameter {name}: {value!r} begins like JSON but is none: {error}.") from None
    return parameters


def figures_as(
    tail: str, threshold: list[float] | None, scale_to_days: int | None, interval: str | None
) -> dict[str, Any]:
    """The fields of a query that say how figures are measured beyond measure, level and estimator."""
    return {
        "tail": tail,
        "thresholds": tuple(threshold or ()),
        "scale_to_days": scale_to_days,
        "interval": interval,
    }


def query_of(
    as_of: str,
    by: str,
    where: list[str] | None,
    measure: str,
    level: str,
    currency: str,
    estimator: str,
    scenario_set: str | None,
    **more: Any,
) -> RiskQuery:
    from aggregation.types import Filter, RiskQuery

    return validated(
        RiskQuery,
        {
            "as_of": as_date(as_of, "--as-of"),
            "by": as_list(by),
            "where": tuple(Filter.parse(w) for w in where or ()),
            "measures": as_list(measure),
            "levels": as_list(level),
            "currency": currency,
            "estimator": estimator,
            "scenario_set": scenario_set,
            **more,
        },
        "query",
    )
