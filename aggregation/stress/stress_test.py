"""Stress tests asked for in one go: make the scenario, value what is missing, P&L by any dimension, several side by side."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_scenarios
from aggregation.types import RiskQuery, RiskResult
from lake.committer import Committer
from lake.errors import BadInput
from lake.progress import Progress
from lake.tables import Snapshot
from scenarios.requests import ScenarioRequest
from scenarios.store import find_scenario_set, list_scenario_sets, load_scenario_set
from valuation.sets.requests import ValuationRequest, run_valuation

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PNL = "pnl_"


@dataclass(frozen=True)
class StressComparison:
    """P&L of several scenarios on one day: `rows` has the `by` columns, base_value and one column a scenario."""

    rows: pa.Table
    total: Mapping[str, Any]
    results: tuple[RiskResult, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows.to_pylist(),
            "total": dict(self.total),
            "results": [r.to_dict() for r in self.results],
        }


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
    if stored["market_date"] == as_of:
        return ValuationRequest(as_of=as_of, positions_dates=books, scenario_set=stored["scenario_set_id"])
    definition = load_scenario_set(snapshot, stored["scenario_set_id"]).definition
    parameters = {k: v for k, v in definition.items() if k not in ("method", "market_date")}
    anew = ScenarioRequest(method=stored["method"], parameters=parameters, name=stored["name"])
    return ValuationRequest(as_of=as_of, positions_dates=books, scenarios=anew)


def _stored(snapshot: Snapshot, scenario: str) -> dict[str, Any] | None:
    """The newest stored set of that name or id; None for a text in the stress language."""
    rows = list_scenario_sets(snapshot).to_pylist()
    if any(scenario in (r["name"], r["scenario_set_id"]) for r in rows):
        return find_scenario_set(snapshot, scenario)
    if all(c.isalnum() or c in "_.:-" for c in scenario):
        # one word is a name, never a scenario
        return find_scenario_set(snapshot, scenario)
    return None


def run_stress(
    committer: Committer,
    query: RiskQuery,
    scenario: str,
    *,
    cache: VectorCache,
    spark: Callable[[], SparkSession],
    progress: Progress = lambda stage, done, total: None,
    cancelled: threading.Event | None = None,
) -> tuple[RiskResult, dict[str, Any]]:
    """P&L by the query's dimensions in each scenario, valuing what the lake lacks; and the seal of its valuation."""
    lake = committer.lake
    request = request_for(lake.snapshot(), query.as_of, scenario, query.positions_date)
    sealed = run_valuation(committer, request, spark=spark, progress=progress, cancelled=cancelled)
    asked = query.model_copy(update={"valuation_set": sealed["valuation_set_id"], "scenario_set": None})
    return run_scenarios(lake, asked, cache=cache), sealed


def compare_stresses(
    committer: Committer,
    query: RiskQuery,
    scenarios: Sequence[str],
    *,
    cache: VectorCache,
    spark: Callable[[], SparkSession],
    progress: Progress = lambda stage, done, total: None,
) -> StressComparison:
    """The P&L of several scenarios side by side, by the same dimensions on the same day."""
    if len(scenarios) < 2:
        raise BadInput("A comparison needs at least two scenarios.")
    answers = [run_stress(committer, query, s, cache=cache, spark=spark, progress=progress) for s in scenarios]
    results = tuple(result for result, _ in answers)
    columns: dict[str, Any] = {c: results[0].rows[c] for c in (*query.by, "positions", "base_value")}
    total = {c: results[0].total[c] for c in ("positions", "base_value")}
    for result, sealed in answers:
        labels = [c for c in result.rows.column_names if c.startswith(_PNL)]
        for column in labels:
            # a set of one scenario is called by the set, a set of several by set and scenario
            name = sealed["scenario_set_name"] + ("" if len(labels) == 1 else f": {column.removeprefix(_PNL)}")
            if name in columns:
                raise BadInput(f"{name} is named twice; compare different scenarios.")
            columns[name] = result.rows[column]
            total[name] = result.total[column]
    return StressComparison(pa.table(columns), total, results)
