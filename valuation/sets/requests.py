"""What is to be valued: planned, priced where it is missing, and sealed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from lake.committer import Committer
from lake.dates import Day
from lake.errors import BadInput, NotFound
from lake.progress import Progress, go_on, silent
from lake.tables import Snapshot
from scenarios import store
from scenarios.market.base_market import NoMarket
from scenarios.requests import ScenarioRequest, make_scenario_set
from scenarios.stress.generate import check_assertions
from scenarios.types import ScenarioSet
from valuation.books.branches import contracts_of, find_branch
from valuation.books.contracts import contracts_by_id, contracts_held
from valuation.books.corporate_actions import ids_in_terms_of
from valuation.sets.plan import ValuationPlan, make_plan
from valuation.sets.run import ValuationRun, run_plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class ValuationRequest(BaseModel):
    """What to value: the contracts held on the positions dates, on a valuation date, under a scenario set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: Day = Field(description="valuation date, and the date of market and positions unless those are given")
    positions_dates: tuple[Day, ...] = Field(
        (), description="dates of the books whose contracts are valued; default as_of"
    )
    market_date: Day | None = Field(None, description="date of the base market; default as_of")
    scenario_set: str | None = Field(
        None, description="id or name of a stored scenario set, used instead of making one"
    )
    scenarios: ScenarioRequest = Field(default_factory=lambda: ScenarioRequest(name=None))
    risk_classes: tuple[str, ...] = Field((), description="shock only these risk classes; default all")
    branches: tuple[str, ...] = Field((), description="branches whose contracts are valued too, NAME or NAME@2")
    runner: Literal["auto", "in-process", "spark"] = Field(
        "auto", description="where to run; auto decides by expected cost"
    )


def _scenario_set(snapshot: Snapshot, request: ValuationRequest) -> ScenarioSet:
    market_date = request.market_date or request.as_of
    if request.scenario_set is None:
        try:
            return make_scenario_set(snapshot, market_date, request.scenarios)
        except NoMarket as error:
            if request.market_date is not None or error.latest is None:
                raise
            raise NotFound(
                f"{error.message} A day without a market of its own, such as a bank holiday, is valued in that of another: give "
                f"the market date {error.latest} as well."
            ) from None
    if request.scenarios != ScenarioRequest(name=None):
        raise BadInput("Give either scenario_set, a stored set, or scenarios, how to make one; not both.")
    row = store.find_scenario_set(snapshot, request.scenario_set, market_date)
    stored = store.load_stored(snapshot, row)
    check_assertions(stored)
    return stored


def plan_valuation(
    snapshot: Snapshot, request: ValuationRequest, *, cancelled: threading.Event | None = None
) -> ValuationPlan:
    """Wanted, present and missing with the expected cost; writes nothing. Raises `Cancelled` once `cancelled` is set."""
    rows = [find_branch(snapshot, b) for b in request.branches]
    dates = {*request.positions_dates, *(r["positions_date"] for r in rows)} or {request.as_of}
    terms = request.market_date or request.as_of
    contracts = contracts_held(snapshot, sorted(dates), terms)
    of_branches = ((pa.array(sorted(contracts_of(snapshot, r)), pa.string()), r["positions_date"]) for r in rows)
    added = {c for ids, date in of_branches for c in ids_in_terms_of(snapshot, ids, date, terms)}
    added -= set(contracts["contract_id"].to_pylist())
    if added:
        contracts = pa.concat_tables([contracts, contracts_by_id(snapshot, pa.array(sorted(added)))])
    scenarios = _scenario_set(snapshot, request)
    go_on(cancelled)
    return make_plan(
        snapshot,
        contracts,
        scenarios,
        request.as_of,
        request.risk_classes or None,
        request.runner,
        positions_dates=dates,
        cancelled=cancelled,
    )


def run_valuation(
    committer: Committer,
    request: ValuationRequest,
    *,
    spark: Callable[[], SparkSession],
    progress: Progress = silent,
    cancelled: threading.Event | None = None,
) -> ValuationRun:
    """Makes and stores the scenario set where needed, prices what is missing, seals."""
    progress("plan", 0, 1)
    plan = plan_valuation(committer.lake.snapshot(), request, cancelled=cancelled)
    go_on(cancelled)
    store.save_scenario_set(committer, plan.scenario_set)
    progress("plan", 1, 1)
    return run_plan(committer, plan, runner=request.runner, spark=spark, progress=progress, cancelled=cancelled)
