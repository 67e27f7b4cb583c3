"""The shape of each question's answer as JSON: what the OpenAPI document says, and the tests hold the answers to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from aggregation.backtest.judgement import BacktestQuery
from aggregation.contributions.contributions import ContributionQuery
from aggregation.contributions.parametric import ParametricQuery
from aggregation.kernels.backtest_statistics import Zone
from aggregation.risk.drill import DrillQuery
from aggregation.risk.pivot import PivotQuery
from aggregation.risk.scenario_pnl import PnlQuery
from aggregation.risk.table import TableQuery
from aggregation.types import Filter, RiskQuery
from lake.dates import Day
from service.api.models import Answer, CoverageAnswer

Method = Literal["causes", "sequential", "shapley"]


class RiskAnswer(Answer):
    query: RiskQuery
    rows: list[dict[str, Any]] = Field(description="a row a group: the group, its coverage, its measures")
    total: dict[str, Any] = Field(description="all groups together, with the diversification benefit")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class TableAnswer(RiskAnswer):
    query: TableQuery  # what a layout adds to the question


class ComparisonAnswer(Answer):
    before: RiskAnswer
    after: RiskAnswer
    rows: list[dict[str, Any]] = Field(description="a row a group of either day: each figure from, to and its change")
    total: dict[str, Any] = Field(description="the same for all groups together and for the diversification benefit")
    receipt: dict[str, Any] = Field(description="every input of both sides, by name and digest")
    notes: list[str]


class PivotAnswer(Answer):
    query: PivotQuery
    rows: list[dict[str, Any]] = Field(
        description="the table as it is read: a column for each member across and measure"
    )
    cells: list[dict[str, Any]] = Field(description="a row a cell or total, with its coverage and all its measures")
    total: dict[str, Any]
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class ScenarioOfNode(Answer):
    scenario: str
    weight: float = Field(description="its share in the measure; 0.2 where one of five scenarios counts in full")
    pnl: float | None = Field(description="P&L of the node in it, gains positive")


class DrillThroughAnswer(Answer):
    query: DrillQuery
    measure: str
    value: float | None = Field(
        description="the measure of the node; null where scenarios were named or nothing is covered"
    )
    rows: list[dict[str, Any]] = Field(
        description="a row a trade or contract: value, P&L by scenario, contribution, terms"
    )
    scenarios: list[ScenarioOfNode]
    count: int = Field(description="rows there are in all")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]
    next_cursor: str | None = Field(description="the parameter cursor of the next page; null on the last")


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
    attributed: str | None = Field(
        description="kind of the P&L by file, actual or hypothetical, that the revalued one is compared with"
    )
    exceptions: list[dict[str, Any]] = Field(description="a day each: figures, what lost most, what moved most")
    notes: list[str]
    days: list[dict[str, Any]] = Field(description="a row a tested day")


class BacktestQuestion(BacktestQuery):
    """The question as the answer has it, by the names of its fields."""

    first: Day = Field(description="first day of the range")
    last: Day = Field(description="last day of the range")


class BacktestAnswer(Answer):
    query: BacktestQuestion
    nodes: list[NodeBacktestAnswer] = Field(description="the total first, then the members of `by`")
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


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


class PnlAnswer(Answer):
    query: PnlQuery
    rows: list[dict[str, Any]] = Field(
        description="a row a group and scenario (or bin): the group, its status, scenario, probability, rank and pnl"
    )
    total: list[dict[str, Any]] = Field(description="the same rows for all positions together")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class ContributionAnswer(Answer):
    query: ContributionQuery
    rows: list[dict[str, Any]] = Field(description="a row a group: the group, its coverage, its contributions")
    total: dict[str, Any] = Field(description="all groups together; the components of the rows add up to its component")
    coverage: CoverageAnswer
    grid: float = Field(description="every component is a multiple of this power of two, so that any sum is exact")
    residual: float = Field(
        description="rounding between the components and the measure, carried by the greatest position"
    )
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class ParametricAnswer(Answer):
    query: ParametricQuery
    rows: list[dict[str, Any]] = Field(description="a row a group: its coverage and its delta-normal figures")
    total: dict[str, Any] = Field(
        description="the whole: delta-normal, delta-gamma moments, Cornish-Fisher, historical"
    )
    factors: list[dict[str, Any]] = Field(description="a row a risk factor: move, sd, delta, gamma and component")
    coverage: CoverageAnswer
    failures: list[dict[str, Any]] = Field(description="the contracts that have no value, and why")
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class RiskClassAnswer(Answer):
    query: RiskQuery
    rows: list[dict[str, Any]] = Field(description="a row a group and risk class, and a row a group for all together")
    totals: dict[str, dict[str, Any]] = Field(description="all groups, by risk class, and all classes together")
    diversification: dict[str, float | None] = Field(description="sum of the classes minus all together, by figure")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    receipts: dict[str, dict[str, Any]] = Field(description="the receipt of each class's own answer")
    notes: list[str]


class Interval(Answer):
    low: float | None = Field(description="lower end of the sampling interval; null where none was asked for")
    high: float | None
    within_error: bool | None = Field(description="whether the interval holds zero")


class CauseRow(Interval):
    cause: str
    value: float = Field(description="what the measure changed by for this cause, losses positive")
    meaning: str


class IntermediateValuationRow(Answer):
    changed: list[str] = Field(description="which coordinates are those of the second point")
    positions_date: dt.date | None
    valuation_date: dt.date
    scenario_set: str
    valuation_set: str | None = Field(description="null where it is not valued")
    measure: float | None = Field(None, description="the measure there")


class ExplainAnswer(Answer):
    """`after - before` is the sum of all cells, a row's member by a cause, up to `residual`."""

    from_: RiskQuery = Field(alias="from")
    to: RiskQuery
    method: Method
    measure: str = Field(description="measure and level")
    before: float
    after: float
    change: float
    residual: float = Field(description="what the cells leave unexplained: rounding, below 1e-9 of the largest figure")
    change_interval: Interval
    causes: list[CauseRow]
    rows: list[dict[str, Any]] = Field(
        description="a row a member: its part of the measure before and after, its change, and a column a cause"
    )
    common_scenarios: int | None = Field(None, description="scenarios that both points have")
    coverage: list[CoverageAnswer] | None = Field(None, description="of both points")
    revaluation: list[str] | None = Field(None, description="what changed about the valuation of a unit")
    corners: list[IntermediateValuationRow] | None = Field(None, description="the intermediate valuations")
    receipt: dict[str, Any]
    notes: list[str]


class DrillAnswer(Answer):
    cell: dict[str, str | None]
    rows: list[dict[str, Any]] = Field(description="the largest parts, a row a trade and scenario and cause")
    value: float = Field(description="the cells together")
    parts: int = Field(description="how many parts there are")
    others: float = Field(description="what the parts that are not shown add up to")
    receipt: dict[str, Any] = Field(description="every input of both sides, by name and digest")
    notes: list[str]


class PnlExplainQuestion(BaseModel):
    from_: dt.date = Field(alias="from")
    to: dt.date
    by: list[str]
    where: list[Filter]
    currency: str


class FailureRow(Answer):
    contract_id: str
    instrument_type: str
    date: dt.date
    reason: str
    message: str


class PnlExplainAnswer(Answer):
    request: PnlExplainQuestion
    rows: list[dict[str, Any]] = Field(
        description="a row a group: its positions, status, and every line of the explain"
    )
    total: dict[str, Any] = Field(description="the same for all together")
    classes: list[str] = Field(description="the risk classes that moved")
    failures: list[FailureRow] = Field(description="contracts without a value on the way, and why")
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class DriverFigures(Answer):
    change: float = Field(description="of the contributions of its positions: new + closed + held")
    share_of_change: float | None = Field(description="of the whole change; null when that is zero")
    gross: float = Field(description="sum of the absolute changes of contribution of its positions")
    positions: int
    share_of_positions: float
    before: float
    after: float
    new: float = Field(description="of positions on the later date alone")
    closed: float = Field(description="of positions on the earlier date alone")
    held: float = Field(description="of positions on both")


class DriverMember(Answer):
    dimension: str
    member: str | None = Field(description="null for positions without one")


class DriverRow(DriverFigures):
    driver: str = Field(description="the members as filters")
    members: list[DriverMember]
    overlaps: list[int] = Field(description="earlier drivers, from 1, that hold positions of these members too")


class DriversAnswer(Answer):
    queries: list[RiskQuery]
    measure: str
    before: float
    after: float
    change: float
    gross: float = Field(description="sum of the absolute changes of contribution of all positions")
    scale: float = Field(description="the largest net change of any member, or of all together")
    drivers: list[DriverRow]
    rest: DriverFigures = Field(description="what no driver holds")
    unexplained: float = Field(description="net change of the rest as a share of the scale")
    coverage: list[CoverageAnswer]
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class TheirNumber(Answer):
    text: str
    value: float
    tolerance: float


class ConventionDifference(Answer):
    convention: str
    theirs: str


class ReconciliationRow(Answer):
    value: float
    distance: float
    matches: bool
    differences: list[ConventionDifference] = Field(description="what is not as ours")


class ReconciliationAnswer(Answer):
    query: RiskQuery
    theirs: TheirNumber
    ours: float | None = Field(description="our number; null where there is none")
    candidates: list[ReconciliationRow] = Field(
        description="matches, fewest differences first, then the nearest others"
    )
    matches: int = Field(description="readings that give their number")
    tried: int = Field(description="readings with a value of their own")
    by_chance: float = Field(description="matches to be expected by accident")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class AddedFailure(Answer):
    """An added trade that has no value, and is in no number."""

    trade: str
    contract_id: str
    reason: str
    message: str


class WhatIfAnswer(Answer):
    query: RiskQuery
    rows: list[dict[str, Any]] = Field(
        description="a row a group the changes touch: each figure before, after, incremental"
    )
    total: dict[str, Any] = Field(description="the same for all groups together")
    items: list[dict[str, Any]] = Field(description="a row a change: alone, on top of the total, and its slope there")
    coverage_before: CoverageAnswer
    coverage_after: CoverageAnswer
    failures: list[AddedFailure]
    receipt: dict[str, Any] = Field(
        description="every input of the numbers, by name and digest; the changes among them"
    )
    notes: list[str]


class Action(Answer):
    """A move that is used."""

    move: str
    action: Literal["buy", "sell", "unwind"]
    quantity: float = Field(description="units; of positions unwound together the share")
    cost: float = Field(description="in the reporting currency")
    share: float | None = Field(description="of what is unwound; null for a contract traded in")


class LeftOut(Answer):
    """A move that could not be used."""

    move: str
    reason: str


class LimitHedgeAnswer(Answer):
    query: RiskQuery
    limit: float
    measure: str = Field(description="the measure that is limited, such as es_0.975")
    status: Literal["nothing to do", "optimal", "feasible", "out of reach"]
    before: float
    after: float = Field(description="after the actions, recomputed as a what-if")
    actions: list[Action]
    cost: float
    bound: float | None = Field(description="no change that meets the limit costs less; null where nothing is proven")
    unusable: list[LeftOut]
    changes: dict[str, Any] | None = Field(description="the actions as the body of a what-if or a branch")
    what_if: WhatIfAnswer | None
    receipt: dict[str, Any]
    notes: list[str]


class _Any(BaseModel):
    """An answer: its table, and what it rests on."""

    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


SHAPES: Mapping[str, type[BaseModel]] = {
    "var": TableAnswer,
    "pivot": PivotAnswer,
    "series": SeriesAnswer,
    "pnl": PnlAnswer,
    "drill": DrillThroughAnswer,
    "contributions": ContributionAnswer,
    "parametric": ParametricAnswer,
    "risk-classes": RiskClassAnswer,
    "compare": ComparisonAnswer,
    "explain": ExplainAnswer,
    "explain-drill": DrillAnswer,
    "drivers": DriversAnswer,
    "pnl-explain": PnlExplainAnswer,
    "reconcile": ReconciliationAnswer,
    "what-if": WhatIfAnswer,
    "limit-hedge": LimitHedgeAnswer,
    "backtest": BacktestAnswer,
    "stress": RiskAnswer,
    "scenario-pnl": RiskAnswer,
}


def shape_of(name: str) -> type[BaseModel]:
    """The shape of a question's answer; of one without a line in SHAPES what all answers have."""
    return SHAPES.get(name, _Any)
