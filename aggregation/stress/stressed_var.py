"""Stressed VaR: the book of a day under the moves of a stress period, put on the market of that day, beside its current VaR.

The period is named, given by two dates, or searched: the window of the history in which the book would have lost most, as the
stressed VaR of Basel 2.5 asks for (BCBS 158, 2009, paragraph 718(Lxxvi)(i): a continuous twelve-month period).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import Field

from aggregation.answer import HIDDEN, SPREAD, Answer, shown
from aggregation.change.compare import ComparisonResult, compare
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_request, plan_scope, sealed_by, value_request, value_scope
from aggregation.opened.inputs import open_inputs
from aggregation.price import history_seconds, size_of
from aggregation.question import Plan, Question, together
from aggregation.risk.query import risk_price
from aggregation.session import Session
from aggregation.stress.stress_period import StressPeriodRequest, price_of_search, searched, stress_period, value_search
from aggregation.types import VAR_AND_ES, MeasureName, RiskQuery, Whole, as_model
from lake.errors import BadInput, unknown, validated
from scenarios.historical.period_replay import PERIODS
from scenarios.requests import ScenarioRequest
from valuation.sets.requests import ValuationRequest

SEARCHED = ("var", "es")  # measures that a window can be the worst by
YEAR = 250  # scenarios in a window


@dataclass(frozen=True)
class StressedResult(Answer):
    """first, last : days the first and the last move of the period end on. searched : whether the period was looked for. comparison : each
    figure under the current scenarios (`_from`), under the period (`_to`) and the difference (`_change`)."""

    first: str = field(metadata=HIDDEN)
    last: str = field(metadata=HIDDEN)
    searched: bool = field(metadata=HIDDEN)
    comparison: ComparisonResult = field(metadata=SPREAD)
    rows: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    @shown("period")
    def period(self) -> Mapping[str, str | bool]:
        """Its first and last day, and whether it was searched."""
        return {"first": self.first, "last": self.last, "searched": self.searched}


class StressedQuery(RiskQuery):
    """Whose risk, under the moves of which stress period."""

    measures: tuple[MeasureName, ...] = VAR_AND_ES
    period: str | None = Field(
        None, description="name of a period such as lehman-2008, or FIRST:LAST; default the worst window, searched"
    )
    length: Whole = Field(YEAR, ge=10, le=5000, description="scenarios in the window that is searched")

    def risk(self) -> RiskQuery:
        return as_model(RiskQuery, self)


def stressed_var(session: Session, query: StressedQuery) -> StressedResult:
    """The query under the current scenarios and under the stress period; raises `NotValued` where either is missing.

    period : a name of `scenarios.historical.period_replay.PERIODS`, `FIRST:LAST`, or None to search the window of `length`
    scenarios that is worst by the query's first measure and level. The set of a period answers only when it is named.
    """
    current = _pinned(session, query)
    replayed = _period(session, query)
    sealed = sealed_by(_plan_of_period(session, query, replayed))[0]
    stressed = current.model_copy(update={"valuation_set": sealed.valuation_set_id})
    comparison = compare(session.lake, current, stressed, cache=session.cache)
    return StressedResult(
        replayed["first"],
        replayed["last"],
        query.period is None,
        comparison,
        comparison.rows,
        comparison.receipt,
        comparison.notes,
    )


def _pinned(session: Session, query: StressedQuery) -> RiskQuery:
    """The query under its current scenarios; pinned, since what a search values is of the same date, and newer."""
    found = open_inputs(session.cache, query).valuation_set.valuation_set_id
    return query.risk().model_copy(update={"valuation_set": found, "scenario_set": None})


def _period(session: Session, query: StressedQuery) -> dict[str, str]:
    if query.period is not None:
        return _replayed(query.period)
    worst = stress_period(session, _search(query, query.length)).worst
    return {"first": worst.first, "last": worst.last}


def _plan_of_period(session: Session, query: StressedQuery, replayed: dict[str, str]) -> Plan:
    label = f"the moves of {replayed['first']} to {replayed['last']} on {query.as_of}"
    return plan_request(session, label, _valuation(query, replayed))


def _plan(session: Session, query: StressedQuery) -> Plan:
    """What is missing; where a search comes first, the period that it finds is valued after it."""
    plans = [plan_scope(session, query)]
    if query.period is None:
        plans.append(searched(session, _search(query, query.length)))
    if query.period is not None or plans[-1].ready:
        plans.append(_plan_of_period(session, query, _period(session, query)))
    return together(plans)


def _value(session: Session, query: StressedQuery) -> StressedQuery:
    query = value_scope(session, query)
    query = query.model_copy(update={"valuation_set": _pinned(session, query).valuation_set, "scenario_set": None})
    if query.period is None:
        value_search(session, _search(query, query.length))
    value_request(session, _valuation(query, _period(session, query)))
    return query


def _price(session: Session, query: StressedQuery) -> float:
    """Of the plan of the period's valuation, of the measure under both sets, the period's as large as a year or the current one, and of the
    search for a period."""
    search = 0.0 if query.period else price_of_search(session, _search(query, query.length))
    planning = history_seconds(session) + size_of(session, query.risk()).planning
    return search + planning + 3 * risk_price(session, query.risk())


STRESSED_VAR = Question(
    StressedQuery,
    stressed_var,
    {"as_of": "2020-03-16", "by": ["desk"], "period": "lehman-2008"},
    _plan,
    _value,
    price=_price,
)


def _replayed(period: str) -> dict[str, str]:
    """The first and last day of a period, given by its name or as FIRST:LAST."""
    first, colon, last = period.partition(":")
    if colon:
        return {"first": first.strip(), "last": last.strip()}
    if period not in PERIODS:
        raise unknown("period", period, PERIODS)
    return {"first": str(PERIODS[period].first), "last": str(PERIODS[period].last)}


def _valuation(query: StressedQuery, replayed: dict[str, str]) -> ValuationRequest:
    return validated(
        ValuationRequest,
        {
            "as_of": query.as_of,
            "positions_dates": (query.positions_date or query.as_of,),
            "scenarios": ScenarioRequest(
                method="replay",
                parameters=dict(replayed),
                name=f"stressed-{replayed['first']}-{replayed['last']}",
                of_book=query.period is None,
            ),
        },
        "stress period",
    )


def _search(query: RiskQuery, length: int) -> StressPeriodRequest:
    asked = asked_measures(query)[0]
    if asked.measure.name not in SEARCHED:
        raise BadInput(
            f"A stress period is searched by {' or '.join(SEARCHED)}, and the first measure is {asked.measure.name}; name one of them "
            "first, or give a period."
        )
    given = {
        "as_of": query.as_of,
        "length": length,
        "measure": asked.measure.name,
        "level": query.levels[0],
        "estimator": query.estimator,
        "where": query.where,
        "currency": query.currency,
        "positions_date": query.positions_date,
    }
    return validated(StressPeriodRequest, given, "stress period")
