"""What a question lacks: said before it is priced, priced when the user wants, then answered.

Positions, market and scenarios may each be of their own date. A set named by its name is a recipe, made anew on the market
asked for; a set named by its id is those very scenarios, so that its window stays where it was and its moves are put onto
the market asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aggregation.opened import valuation_choice
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.table import TableQuery, run_table
from aggregation.types import RiskQuery, RiskResult
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.progress import Progress
from lake.tables import Snapshot
from scenarios.generators import GENERATORS
from scenarios.requests import ScenarioRequest
from scenarios.store import find_scenario_set, list_scenario_sets, load_scenario_set
from valuation.sets.requests import ValuationRequest, plan_valuation, run_valuation
from valuation.sets.store import list_valuation_sets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def valuation_for(snapshot: Snapshot, query: RiskQuery) -> ValuationRequest:
    """The valuation that would answer the query in full: what it names, else the scenarios that answer it now.

    Where nothing answers it yet, the recipe of the sample last valued in this lake, on any date, is taken; in a lake without
    any, the default of valuations. Raises `NotFound` for sets that are not there, `BadInput` for scenarios that cannot be
    put onto the market asked for.
    """
    about: dict[str, Any] = {
        "as_of": query.as_of,
        "positions_dates": () if query.branch else (query.positions_date or query.as_of,),
        "branches": (query.branch,) if query.branch else (),
        "market_date": query.market_date,
    }
    seals = list_valuation_sets(snapshot)
    named = query.scenario_set is not None and query.valuation_set is None
    seal = None if named else _answering(seals, query)
    if seal is not None:
        about |= {
            "scenario_set": seal["scenario_set_id"],
            "market_date": seal["market_date"],
            "risk_classes": tuple(seal["risk_classes"] or ()),
        }
        return ValuationRequest(**about)
    wanted = query.scenario_set or next((s["scenario_set_name"] for s in reversed(seals) if s["sample"]), None)
    if wanted is None:
        return ValuationRequest(**about)
    return ValuationRequest(**about, **_scenarios(snapshot, wanted, query))


def plan_answer(snapshot: Snapshot, query: RiskQuery, cache: VectorCache) -> dict[str, Any]:
    """What would be priced first, and how the vectors would then be passed over (`reduce`) and why; starts no Spark."""
    plan = plan_valuation(snapshot, valuation_for(snapshot, query))
    n_contracts = plan.work.num_rows + plan.members.num_rows
    # with nothing to price the set that is there answers, and it may hold more than this book
    there = None if plan.work.num_rows else plan.sealed or _answering(list_valuation_sets(snapshot), query)
    if there is not None:
        n_contracts = there["submitted"] - there["failed"]
    chosen = cache.reduce_of(n_contracts, plan.scenario_set.n_scenarios)
    return {**plan.to_dict(), "reduce": chosen.reduce, "reduce_because": chosen.because}


def _answering(seals: list[dict[str, Any]], query: RiskQuery) -> Mapping[str, Any] | None:
    """The valuation set that answers the query as far as it does; None where there is none, unless it was named."""
    try:
        return valuation_choice.valuation_sets(seals, query)[0]
    except NotFound:
        if query.valuation_set is not None:
            raise
        return None


def _scenarios(snapshot: Snapshot, wanted: str, query: RiskQuery) -> dict[str, Any]:
    """The stored set where it is of the market asked for, else its recipe there."""
    market = query.market_date or query.as_of
    rows = list_scenario_sets(snapshot).to_pylist()
    by_id = any(r["scenario_set_id"] == wanted for r in rows)
    there = [r for r in rows if wanted in (r["name"], r["scenario_set_id"]) and r["market_date"] == market]
    if there:
        return {"scenario_set": max(there, key=lambda r: r["version"])["scenario_set_id"]}
    stored = find_scenario_set(snapshot, wanted)
    definition = load_scenario_set(snapshot, stored["scenario_set_id"]).definition
    parameters = {k: v for k, v in definition.items() if k not in ("method", "market_date")}
    name = stored["name"]
    if by_id and stored["sample"]:
        if "window_end" not in GENERATORS[stored["method"]].definition.model_fields:
            raise BadInput(
                f"Scenario set {wanted} is of the market of {stored['market_date']}, and its method, {stored['method']}, draws "
                f"from the latest history. Name it {name} to have it made anew on {market}."
            )
        parameters["window_end"] = parameters.get("window_end") or str(stored["market_date"])
        name = f"{name}-to-{parameters['window_end']}"
    return {"scenarios": ScenarioRequest(method=stored["method"], parameters=parameters, name=name)}


def answer_on_demand(
    committer: Committer,
    query: TableQuery,
    *,
    cache: VectorCache,
    spark: Callable[[], SparkSession],
    progress: Progress = lambda stage, done, total: None,
    cancelled: threading.Event | None = None,
) -> tuple[RiskResult, dict[str, Any] | None]:
    """Answers the query, valuing first what the lake lacks; and the seal of that valuation, None where nothing was lacking."""
    lake = committer.lake
    try:
        result = run_table(lake, query, cache=cache)
        if not result.coverage.missing:
            return result, None
    except NotFound:
        pass  # it is valued now; what is not there at all, such as the book, is said by the valuation
    sealed = run_valuation(
        committer, valuation_for(lake.snapshot(), query), spark=spark, progress=progress, cancelled=cancelled
    )
    asked = query.model_copy(update={"valuation_set": sealed["valuation_set_id"], "scenario_set": None})
    return run_table(lake, asked, cache=cache), sealed


def said(sealed: Mapping[str, Any]) -> str:
    """What was done before the answer, in a sentence."""
    run = sealed["this_run"]
    return f"{run['valued']:,} contracts valued for this, {run['reused']:,} known, {run['failed']:,} failed."
