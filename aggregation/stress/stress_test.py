"""Stress tests asked for in one go: make the scenario, value what is missing, P&L by any dimension, several side by side."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.on_demand import plan_request, plan_scope, sealed_by, stored_recipe, value_request, value_scope
from aggregation.price import of_scope, size_of
from aggregation.question import Plan, Question, together
from aggregation.receipts import VOLATILE, name_code
from aggregation.risk.query import MOST_COLUMNS, run_scenarios
from aggregation.session import Session
from aggregation.types import LABEL, RiskQuery, RiskResult, Scope, Translated
from lake.dates import Day
from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios.requests import ScenarioRequest
from scenarios.store import find_scenario_set, load_stored, scenario_summaries
from scenarios.stress import language
from scenarios.stress.generate import METHODS, left_out_of
from scenarios.stress.language import MAX_TEXT
from scenarios.types import ScenarioSummary
from valuation.sets.requests import ValuationRequest
from valuation.types import ValuationSet

_PNL = "pnl_"


@dataclass(frozen=True)
class StressComparison(Answer):
    """P&L of several scenarios on one day: `rows` has the `by` columns, base_value and one column a scenario."""

    rows: pa.Table
    total: Mapping[str, Any]
    results: tuple[RiskResult, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def request_for(
    snapshot: Snapshot, as_of: dt.date, scenario: str, positions_date: dt.date | None = None
) -> ValuationRequest:
    """The valuation of a book, by default that of `as_of`, under a scenario.

    The scenario is the name or id of a stored set, or a text in the stress language. A stored set of chosen scenarios from
    another date is made anew on the market of `as_of`, from its definition.
    """
    books = () if positions_date is None else (positions_date,)
    stored = _stored(snapshot, scenario)
    if stored is None:
        made = ScenarioRequest(method="stress", parameters={"text": scenario}, name=None)
        return ValuationRequest(as_of=as_of, positions_dates=books, scenarios=made)
    if stored.market_date == as_of:
        return ValuationRequest(as_of=as_of, positions_dates=books, scenario_set=stored.scenario_set_id)
    _, anew = stored_recipe(snapshot, scenario)
    return ValuationRequest(as_of=as_of, positions_dates=books, scenarios=anew)


def _stored(snapshot: Snapshot, scenario: str) -> ScenarioSummary | None:
    """The newest stored set of that name or id; None for a text in the stress language."""
    rows = scenario_summaries(snapshot)
    if any(scenario in (r.name, r.scenario_set_id) for r in rows):
        return find_scenario_set(snapshot, scenario)
    if all(c.isalnum() or c in "_.:-" for c in scenario):
        # one word is a name, never a scenario
        return find_scenario_set(snapshot, scenario)
    return None


class StressQuery(Translated):
    """P&L of a book under a scenario."""

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    scenario: str = Field(
        min_length=1,
        max_length=MAX_TEXT,
        description="scenario in the stress language, or the name or id of a stored set",
    )
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")

    def pnl(self, valuation_set: str) -> RiskQuery:
        """The question for the P&L in that valuation set. Measures, levels and estimator are not used."""
        asked = self.model_dump(exclude={"scenario", "translation"})
        return RiskQuery(**asked, valuation_set=valuation_set)


def _request(session: Session, query: StressQuery) -> ValuationRequest:
    return request_for(session.lake.snapshot(), query.as_of, query.scenario, query.positions_date)


def _plan(session: Session, query: StressQuery) -> Plan:
    return plan_request(session, query.scenario, _request(session, query))


def _value(session: Session, query: StressQuery) -> StressQuery:
    value_request(session, _request(session, query))
    return query


def run_stress(session: Session, query: StressQuery) -> RiskResult:
    """P&L by the query's dimensions in each scenario; raises `NotValued` where the lake lacks the valuation."""
    return _pnl(session, query, _sealed(session, query))


def _sealed(session: Session, query: StressQuery) -> ValuationSet:
    return sealed_by(_plan(session, query))[0]


def _pnl(session: Session, query: StressQuery, sealed: ValuationSet) -> RiskResult:
    asked = query.pnl(sealed.valuation_set_id)
    result = run_scenarios(session.lake, asked, translation=query.translation, cache=session.cache)
    found = find_scenario_set(session.lake, sealed.scenario_set_id)
    left = left_out_of(load_stored(session.lake, found)) if found.method in METHODS else ()
    return replace(result, notes=(*result.notes, *left))


def _price(session: Session, query: StressQuery) -> float:
    stored = _stored(session.lake.snapshot("scenario_sets"), query.scenario)
    # a stored set has as many as are shown side by side at the most
    written = () if stored else language.parse(query.scenario).scenarios
    size = size_of(session, query, scenarios=sum(s.size for s in written) or MOST_COLUMNS)
    return size.planning + size.seconds(passes=2)


STRESS = Question(
    StressQuery,
    run_stress,
    {"as_of": "2020-03-16", "scenario": "equity[region=US] -20%; rate[ccy=USD] +100bp", "by": ["desk"]},
    _plan,
    _value,
    price=_price,
)


class ScenarioPnlQuery(Translated, Scope):
    """P&L in every scenario of a valued set: whose, on which day."""

    def risk(self) -> RiskQuery:
        return RiskQuery(**self.model_dump(exclude={"translation"}))


def _each_scenario(session: Session, query: ScenarioPnlQuery) -> RiskResult:
    return run_scenarios(session.lake, query.risk(), translation=query.translation, cache=session.cache)


SCENARIO_PNL = Question(
    ScenarioPnlQuery,
    _each_scenario,
    {"as_of": "2020-03-16", "by": ["desk"]},
    plan_scope,
    value_scope,
    price=of_scope(passes=2),
)


class StressCompareQuery(Translated):
    """Several scenarios side by side on one day."""

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    scenarios: tuple[Annotated[str, Field(min_length=1, max_length=MAX_TEXT), LABEL], ...] = Field(
        min_length=2, max_length=50, description="scenarios in the stress language, or names or ids of stored sets"
    )
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")

    def each(self) -> list[StressQuery]:
        """The question for each scenario."""
        asked = self.model_dump(exclude={"scenarios"})
        return [StressQuery(**asked, scenario=s) for s in self.scenarios]


def compare_stresses(session: Session, query: StressCompareQuery) -> StressComparison:
    """The P&L of several scenarios side by side, by the same dimensions on the same day."""
    asked = query.each()
    seals = [_sealed(session, q) for q in asked]
    results = tuple(_pnl(session, q, sealed) for q, sealed in zip(asked, seals, strict=True))
    columns: dict[str, Any] = {c: results[0].rows[c] for c in (*query.by, "positions", "base_value")}
    total = {c: results[0].total[c] for c in ("positions", "base_value")}
    for result, sealed in zip(results, seals, strict=True):
        labels = [c for c in result.rows.column_names if c.startswith(_PNL)]
        for column in labels:
            # a set of one scenario is called by the set, a set of several by set and scenario
            name = sealed.scenario_set_name + ("" if len(labels) == 1 else f": {column.removeprefix(_PNL)}")
            if name in columns:
                raise BadInput(f"{name} is named twice; compare different scenarios.")
            columns[name] = result.rows[column]
            total[name] = result.total[column]
    # what took how long is no part of what a receipt vouches for, and would be another digest each time
    vouched = ({k: v for k, v in r.receipt.items() if k not in VOLATILE} for r in results)
    named = {"scenarios": {q.scenario: receipt for q, receipt in zip(asked, vouched, strict=True)}}
    receipt = {**named, "table_versions": results[0].receipt["table_versions"], **name_code()}
    notes = tuple(dict.fromkeys(n for r in results for n in r.notes))
    return StressComparison(pa.table(columns), total, results, receipt, notes)


def _value_each(session: Session, query: StressCompareQuery) -> StressCompareQuery:
    for q in query.each():
        _value(session, q)
    return query


STRESS_COMPARE = Question(
    StressCompareQuery,
    compare_stresses,
    {"as_of": "2020-03-16", "scenarios": ["equity -10%", "equity -20%"], "by": ["desk"]},
    lambda session, query: together(_plan(session, q) for q in query.each()),
    _value_each,
    price=lambda session, query: sum(_price(session, q) for q in query.each()),
)
