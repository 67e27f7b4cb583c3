"""Why: P&L explained, the drivers of a change of risk, another system's number reproduced."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from flask import Response
from pydantic import BaseModel, Field

from aggregation.change.convention_bridge import Theirs, run_bridge
from aggregation.change.drivers import run_drivers
from aggregation.change.pnl_explain import PnlExplainRequest, plan_pnl_explain, pnl_explain
from aggregation.types import Filter, Level, RiskQuery
from lake.dates import Day
from service.api.answers import json_answer, table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.models import Answer, CoverageAnswer
from service.api.requests import FilterText, Parameters, TableParameters
from service.api.risk import DimensionName, EstimatorName

api = blueprint("causes", __name__, __doc__)

_WHERE = "filter, such as desk=Rates,FX or book!=B1; repeatable, all must hold"


class PnlExplainParameters(Parameters):
    """The two dates of an explain, and what it is about."""

    from_: Day = Field(alias="from", description="the earlier date: market and book the value comes from")
    to: Day = Field(description="the later date: market and book the value goes to")
    by: tuple[DimensionName, ...] = Field((), max_length=16, description="dimensions to group by, outermost first")
    where: tuple[FilterText, ...] = Field((), description=_WHERE)
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="reporting currency, ISO 4217")

    def request(self) -> PnlExplainRequest:
        return PnlExplainRequest(
            **{"from": self.from_}, to=self.to, by=self.by, where=self.where, currency=self.currency
        )


class PnlExplainTable(PnlExplainParameters, TableParameters):
    """The same, in a format."""


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


class TypeCost(Answer):
    contracts: int
    expected_core_seconds: float


class PnlExplainPlanAnswer(Answer):
    """What an explain would price."""

    positions_from: int
    positions_to: int
    contracts_from: int
    contracts_to: int
    classes: list[str] = Field(description="the risk classes that moved")
    states: int = Field(description="market states every contract of the first date is valued in on the second")
    expected_core_seconds: float
    by_instrument_type: dict[str, TypeCost]


@api.get("/pnl-explain", responses={200: PnlExplainAnswer})
@tabular
def explain_pnl(query: PnlExplainTable) -> Response:
    """Why a book is worth what it is, given what it was worth on an earlier date.

    Prices both books and the way between them, and stores nothing; `/pnl-explain/plan` says beforehand how long that takes.
    """
    here = context()
    result = pnl_explain(here.lake, query.request(), cache=here.cache)
    return _answer(result, f"pnl-explain-{query.from_}-{query.to}")


@api.get("/pnl-explain/plan", responses={200: PnlExplainPlanAnswer})
def plan_explain_pnl(query: PnlExplainParameters) -> Response:
    """What the explain would price, and how long that is expected to take; prices nothing."""
    here = context()
    return json_answer(plan_pnl_explain(here.lake, query.request(), cache=here.cache).to_dict())


class OneNumberParameters(TableParameters):
    """A question about one number."""

    level: Level = Field("0.99", description="confidence level, a fraction such as 0.99")
    where: tuple[FilterText, ...] = Field((), description=_WHERE)
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="reporting currency, ISO 4217")
    estimator: EstimatorName = Field("order_statistic", description="how a quantile is read from the scenarios")
    scenario_set: str | None = Field(None, description="scenario set name or id; default the one last valued")

    def _query(self, as_of: Day, measure: str, **more: Any) -> RiskQuery:
        return RiskQuery(
            as_of=as_of,
            measures=(measure,),
            levels=(self.level,),
            where=self.where,
            currency=self.currency,
            estimator=self.estimator,
            scenario_set=self.scenario_set,
            **more,
        )


class DriversParameters(OneNumberParameters):
    measure: Literal["var", "es"] = Field("var", description="measure whose change is asked about")
    from_: Day | None = Field(
        None, alias="from", description="date the change is from; without it, what drives the risk of `to` itself"
    )
    to: Day = Field(description="date whose risk is asked about")
    max: int = Field(5, ge=1, le=50, description="most drivers to name")
    over: tuple[DimensionName, ...] = Field((), max_length=16, description="dimensions to search; default all")

    def queries(self) -> list[RiskQuery]:
        days = [self.to] if self.from_ is None else [self.from_, self.to]
        return [self._query(day, self.measure) for day in days]


class BridgeParameters(OneNumberParameters):
    measure: Literal["var", "es"] = Field("var", description="what the number is said to be")
    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    theirs: str = Field(
        pattern=r"^[+-]?\d{1,15}(\.\d{1,9})?$",
        description="the other system's number with the digits it printed, such as 1234567 or 2.63",
    )
    tolerance: float | None = Field(
        None, ge=0, le=1e15, description="how far apart is a match; default half a unit of the last digit"
    )
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    valuation_set: str | None = Field(None, description="valuation set id; default the newest that fits")

    def query(self) -> RiskQuery:
        more = {"positions_date": self.positions_date, "valuation_set": self.valuation_set}
        return self._query(self.as_of, self.measure, **more)


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


class Reading(Answer):
    value: float
    distance: float
    matches: bool
    differences: list[ConventionDifference] = Field(description="what is not as ours")


class BridgeAnswer(Answer):
    query: RiskQuery
    theirs: TheirNumber
    ours: float | None = Field(description="our number; null where there is none")
    candidates: list[Reading] = Field(description="matches, fewest differences first, then the nearest others")
    matches: int = Field(description="readings that give their number")
    tried: int = Field(description="readings with a value of their own")
    by_chance: float = Field(description="matches to be expected by accident")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


@api.get("/drivers", responses={200: DriversAnswer})
@tabular
def drivers(query: DriversParameters) -> Response:
    """The few members, over all dimensions and their combinations, that explain most of a change of VaR or ES."""
    here = context()
    result = run_drivers(here.lake, query.queries(), most=query.max, over=query.over, cache=here.cache)
    return _answer(result, f"drivers-{query.to}")


@api.get("/bridge", responses={200: BridgeAnswer})
@tabular
def bridge(query: BridgeParameters) -> Response:
    """Which estimator, tail, window, weighting, currency or other convention gives another system's number."""
    here = context()
    theirs = Theirs.parse(query.theirs, query.tolerance)
    return _answer(run_bridge(here.lake, query.query(), theirs, cache=here.cache), f"bridge-{query.as_of}")


def _answer(result: Any, name: str) -> Response:
    """An answer with rows, as data or as a table."""
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=name,
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=dict(result.receipt),
    )
