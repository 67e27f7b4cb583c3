"""Days of a range: VaR against the P&L of the next day, and any measure over time. No vector is valued here."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from flask import Response
from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from aggregation.backtest.backtest import run_backtest
from aggregation.backtest.judgement import BacktestQuery
from aggregation.kernels.backtest_statistics import Zone
from aggregation.risk.series import run_series
from aggregation.types import Level, RiskQuery
from lake.dates import Day
from lake.errors import validated
from service.api.answers import table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.models import Answer
from service.api.requests import FilterText, TableParameters
from service.api.risk import DimensionName, EstimatorName, QuestionParameters

api = blueprint("backtests", __name__, __doc__)


def _as_in_backtest(name: str, **limits: Any) -> Any:
    """The default, limits and description a field has in `BacktestQuery`, and further ones."""
    return FieldInfo.merge_field_infos(BacktestQuery.model_fields[name], Field(**limits))


class BacktestParameters(TableParameters):
    """Which VaR is held against which P&L, and how it is tested."""

    first: Day = _as_in_backtest("first", alias="from")
    last: Day = _as_in_backtest("last", alias="to")
    by: tuple[DimensionName, ...] = _as_in_backtest("by", max_length=16)
    where: tuple[FilterText, ...] = Field(
        (), description="filter, such as desk=Rates,FX or book!=B1; repeatable, all must hold"
    )
    levels: tuple[Level, ...] = _as_in_backtest("levels", max_length=32)
    currency: str = _as_in_backtest("currency")
    estimator: EstimatorName = _as_in_backtest("estimator")
    scenario_set: str | None = _as_in_backtest("scenario_set")
    calendar: str = _as_in_backtest("calendar")
    window: int = _as_in_backtest("window")
    time: Literal["frozen", "passes"] = _as_in_backtest("time")
    significance: float = _as_in_backtest("significance")
    law: Literal["scenarios", "normal", "t"] = _as_in_backtest("law")
    degrees: float = _as_in_backtest("degrees")
    simulations: int = _as_in_backtest("simulations")
    seed: int = _as_in_backtest("seed")
    steps: int = _as_in_backtest("steps")

    def question(self) -> BacktestQuery:
        given = {name: getattr(self, name) for name in BacktestQuery.model_fields}
        return validated(BacktestQuery, given, "backtest")


class OutcomeAnswer(Answer):
    """A test: rejected when its p-value is below the significance; null where it is not defined, and `why` says so."""

    test: str
    statistic: float | None
    p_value: float | None
    sided: Literal["two-sided", "upper", "lower"]
    source: str
    significance: float
    details: dict[str, Any]
    why: str | None
    rejected: bool | None


class TrafficLightAnswer(Answer):
    zone: Zone
    days: int
    exceptions: int
    probability: float = Field(description="of as many exceptions or fewer, when the model is right")
    type_1: float = Field(description="probability of as many or more, when the model is right")
    plus_factor: float | None = Field(description="of 1996, for 250 days at 0.99")
    multiplier: float | None = Field(description="of MAR32, for 250 days at 0.99")


class JudgedAnswer(Answer):
    pnl: str = Field(description="hypothetical or actual")
    days: int
    exceptions: int = Field(description="exceeded and missing")
    exceeded: int
    missing: int = Field(description="days without VaR or P&L")
    window: int = Field(description="exceptions among the last days looked at")
    outcomes: list[OutcomeAnswer]


class LevelAnswer(Answer):
    level: str
    exceptions: int = Field(description="in the window: the greatest count of any kind of P&L")
    traffic_light: TrafficLightAnswer
    desk_limit: int | None
    within_limit: bool | None
    by_pnl: list[JudgedAnswer]


class AttributionAnswer(Answer):
    days: int
    spearman: float | None
    kolmogorov_smirnov: float | None
    kolmogorov_smirnov_p_value: float | None
    zone: Zone | None


class NodeBacktestAnswer(Answer):
    node: dict[str, str | None] = Field(description="members by dimension; empty for the total")
    levels: list[LevelAnswer]
    multinomial: dict[str, OutcomeAnswer] = Field(description="by kind of P&L")
    attribution: AttributionAnswer | None
    attributed: str | None = Field(description="kind of the supplied P&L that the revalued one is held against")
    exceptions: list[dict[str, Any]] = Field(description="a day each: figures, what lost most, what moved most")
    notes: list[str]
    days: list[dict[str, Any]] = Field(description="a row a tested day")


class BacktestAnswer(Answer):
    query: BacktestQuery
    nodes: list[NodeBacktestAnswer] = Field(description="the total first, then the members of `by`")
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


@api.get("/backtests", responses={200: BacktestAnswer})
@tabular
def backtests(query: BacktestParameters) -> Response:
    """VaR stored for each day against the P&L of the next: exceptions and what lies behind them, zones, every test.

    Hypothetical P&L is revalued for the answer, base values only. CSV and Arrow hold the tested days, the total's first.
    """
    here = context()
    question = query.question()
    result = run_backtest(here.lake, question, cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.table(),
        lambda: about,
        name=f"backtest-{question.first}-{question.last}",
        metadata=about,
        identity=result.receipt["receipt_digest"],
    )


class SeriesParameters(QuestionParameters):
    first: Day = Field(alias="from", description="first day of the range")
    last: Day = Field(alias="to", description="last day of the range")
    calendar: str = Field(
        "XNYS",
        description="business days of the range: an exchange calendar, weekdays, or books for the days that have one",
    )


_OF_SERIES: dict[str, Any] = {n: (f.annotation, f) for n, f in RiskQuery.model_fields.items() if n != "as_of"}
SeriesQuestion = create_model(
    "SeriesQuestion", __base__=Answer, first=(dt.date, ...), last=(dt.date, ...), **_OF_SERIES
)


class SeriesAnswer(Answer):
    query: SeriesQuestion
    rows: list[dict[str, Any]] = Field(description="a row a day and group; a gap has its reason and no figures")
    totals: list[dict[str, Any]] = Field(description="a row a day for all groups together")
    receipt: dict[str, Any] = Field(description="every day's inputs by name and digest")
    notes: list[str]


@api.get("/series", responses={200: SeriesAnswer})
@tabular
def series(query: SeriesParameters) -> Response:
    """Any measure on every day of a range, by any combination of dimensions; a day without an answer says why.

    CSV and Arrow hold the rows by group; without `by` they are the totals.
    """
    here = context()
    result = run_series(
        here.lake, query.question(query.last), query.first, query.last, calendar=query.calendar, cache=here.cache
    )
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"series-{query.first}-{query.last}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=result.receipt["receipt_digest"],
    )
