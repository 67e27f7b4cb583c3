"""Stressed VaR: the book of a day under the moves of a stress period, put on the market of that day, beside its current VaR.

The period is named, given by two dates, or searched: the window of the history in which the book would have lost most, as the
stressed VaR of Basel 2.5 asks for (BCBS 158, 2009, paragraph 718(Lxxvi)(i): a continuous twelve-month period).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aggregation.change.compare import ComparisonResult, compare
from aggregation.measures import asked_measures
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.stress.stress_period import StressPeriodRequest, plan_stress_period, stress_period
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import BadInput, unknown, validated
from lake.progress import Progress
from lake.tables import Lake
from scenarios.historical.period_replay import PERIODS
from scenarios.requests import ScenarioRequest
from valuation.sets.plan import ValuationPlan
from valuation.sets.requests import ValuationRequest, plan_valuation, run_valuation

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SEARCHED = ("var", "es")  # measures that a window can be the worst by
YEAR = 250  # scenarios in a window


@dataclass(frozen=True)
class StressedResult:
    """first, last : days the first and the last move of the period end on. searched : whether the period was looked for. comparison : each
    figure under the current scenarios (`_from`), under the period (`_to`) and the difference (`_change`)."""

    first: str
    last: str
    searched: bool
    comparison: ComparisonResult

    def to_dict(self) -> dict[str, Any]:
        return {
            "period": {"first": self.first, "last": self.last, "searched": self.searched},
            **self.comparison.to_dict(),
        }


def plan_stressed(
    lake: Lake, query: RiskQuery, period: str | None, *, length: int = YEAR, cache: VectorCache
) -> ValuationPlan:
    """What is valued: the moves of the period, or for a search those of the whole history, after which the period found is
    valued too. Values nothing."""
    if period is None:
        return plan_stress_period(lake, _search(query, length), cache)
    return plan_valuation(lake.snapshot(), _valuation(query, _replayed(period)))


def stressed_var(
    committer: Committer,
    query: RiskQuery,
    period: str | None,
    *,
    length: int = YEAR,
    cache: VectorCache,
    spark: Callable[[], SparkSession],
    progress: Progress = lambda stage, done, total: None,
    cancelled: threading.Event | None = None,
) -> StressedResult:
    """Values what is missing, then answers the query under the current scenarios and under the stress period.

    period : a name of `scenarios.historical.period_replay.PERIODS`, `FIRST:LAST`, or None to search the window of `length` scenarios that
    is worst by
    the query's first measure and level. The set of a period answers only when it is named.
    """
    # pinned first: what a search values is of the same date, and newer
    current = query.model_copy(update={"valuation_set": open_inputs(cache, query).seal["valuation_set_id"]})
    replayed = None if period is None else _replayed(period)
    if replayed is None:
        found = stress_period(
            committer, _search(query, length), cache=cache, spark=spark, progress=progress, cancelled=cancelled
        )
        replayed = {"first": found.worst.first, "last": found.worst.last}
    sealed = run_valuation(committer, _valuation(query, replayed), spark=spark, progress=progress, cancelled=cancelled)
    stressed = query.model_copy(update={"valuation_set": sealed["valuation_set_id"], "scenario_set": None})
    return StressedResult(
        replayed["first"],
        replayed["last"],
        period is None,
        compare(committer.lake, current.model_copy(update={"scenario_set": None}), stressed, cache=cache),
    )


def _replayed(period: str) -> dict[str, str]:
    """The first and last day of a period, given by its name or as FIRST:LAST."""
    first, colon, last = period.partition(":")
    if colon:
        return {"first": first.strip(), "last": last.strip()}
    if period not in PERIODS:
        raise unknown("period", period, PERIODS)
    return {"first": str(PERIODS[period].first), "last": str(PERIODS[period].last)}


def _valuation(query: RiskQuery, replayed: dict[str, str]) -> ValuationRequest:
    return validated(
        ValuationRequest,
        {
            "as_of": query.as_of,
            "positions_dates": (query.positions_date or query.as_of,),
            "scenarios": ScenarioRequest(
                method="replay", parameters=dict(replayed), name=f"stressed-{replayed['first']}-{replayed['last']}"
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
