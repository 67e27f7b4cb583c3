"""What the command line and the engine both do: scenarios made, valuations planned and run. No formula lives here."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from aggregation.branches import contracts_of, find_branch
from aggregation.reduce_choice import Reduce
from aggregation.vector_cache import VectorCache
from lake.canonical import canonical_json, digest
from lake.dates import Day
from lake.errors import BadInput, unknown
from lake.tables import Committer, Lake, Snapshot
from scenarios import generators, store
from scenarios.stress.generate import check_assertions
from scenarios.types import ScenarioSet
from service.config import Settings
from valuation.plan import ValuationPlan, make_plan
from valuation.runners import Progress, run_plan
from valuation.store import contracts_by_id, contracts_held

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DEFAULT_SCENARIOS = 500


def vector_cache(settings: Settings, lake: Lake, reduce: str | None = None) -> VectorCache:
    """The cache of mapped vectors where the settings want it, and no larger.

    `reduce` says where the product is done, as `aggregation.reduce_choice` has it; None is `auto` in a process that may not
    start Spark, such as the web process. `auto` takes Spark only where the settings name a cluster.
    """
    if reduce not in (None, *get_args(Reduce)):
        raise unknown("reduce", str(reduce), get_args(Reduce), pointer="reduce")
    memory = math.inf if settings.memory_gib is None else settings.memory_gib * (1 << 30)
    cluster = settings.spark_master is not None and not settings.spark_master.startswith("local")
    spark = spark_of(settings) if reduce == "spark" or (reduce == "auto" and cluster) else None
    limit = int(settings.cache_gib * (1 << 30))
    return VectorCache(lake, settings.cache, limit, memory, cast(Reduce, reduce or "auto"), spark)


def spark_of(settings: Settings) -> Callable[[], SparkSession]:
    """Gives the Spark session of the settings when it is called: starting one takes seconds, and most work needs none."""

    def session() -> SparkSession:
        from lake.spark import spark_session  # noqa: PLC0415 - only engine processes may load Spark

        return spark_session(master=settings.spark_master, driver_memory=settings.spark_memory)

    return session


class ScenarioRequest(BaseModel):
    """Which scenario set: a stored one, or the method and parameters to make it with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field("historical", description="scenario method, see /scenario-methods")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the method besides the market date"
    )
    name: str | None = Field(
        None, pattern=r"^[\w.:-]{1,80}$", description="name of the set; default from method and size"
    )
    only_by_name: bool = Field(False, description="whether the set answers only questions that name it")


class ScenarioSetRequest(ScenarioRequest):
    """A scenario set to make and store: the market date, the method and its parameters."""

    as_of: Day = Field(description="market date of the set")


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


def make_scenario_set(snapshot: Snapshot, market_date: dt.date, request: ScenarioRequest) -> ScenarioSet:
    """The set of the request on the market as it stands in the snapshot, with its id; not stored."""
    name = request.name or default_name(request)
    made = generators.generate(snapshot, request.method, _parameters(market_date, request), name)
    made = dataclasses.replace(made, sample=made.sample and not request.only_by_name)
    return dataclasses.replace(made, scenario_set_id=store.scenario_set_digest(made))


def check_scenario_request(market_date: dt.date, request: ScenarioRequest) -> None:
    """Raises `BadInput` for an unknown method or parameters it does not take; looks at no market."""
    generators.definition_of(request.method, _parameters(market_date, request))


def _parameters(market_date: dt.date, request: ScenarioRequest) -> dict[str, Any]:
    parameters = {"market_date": market_date, **request.parameters}
    if request.method == "historical" and "window_start" not in parameters:
        parameters.setdefault("scenarios", DEFAULT_SCENARIOS)
    return parameters


def default_name(request: ScenarioRequest) -> str:
    """Such as historical-500 or replay-march-2020: the same recipe has the same name on every date, so that dates can be compared,
    and another recipe another name: further parameters add their digest."""
    rest = dict(request.parameters)
    size = rest.pop(
        "scenarios", DEFAULT_SCENARIOS if request.method == "historical" and "window_start" not in rest else None
    )
    parts = [request.method, *(str(p) for p in (size, rest.pop("period", None)) if p is not None)]
    if rest:
        parts.append(digest(canonical_json(rest))[:8])
    return "-".join(parts)


def run_scenario_set(committer: Committer, request: ScenarioSetRequest, *, progress: Progress) -> dict[str, Any]:
    """Makes and stores the set; returns what names it. The same content under the same name is stored once."""
    progress("make", 0, 1)
    made = store.save_scenario_set(committer, make_scenario_set(committer.lake.snapshot(), request.as_of, request))
    progress("make", 1, 1)
    return {
        "scenario_set_id": made.scenario_set_id,
        "name": made.name,
        "version": made.version,
        "method": made.method,
        "market_date": str(made.market_date),
        "scenarios": made.n_scenarios,
        "horizon_days": made.horizon_days,
    }


def _scenario_set(snapshot: Snapshot, request: ValuationRequest) -> ScenarioSet:
    market_date = request.market_date or request.as_of
    if request.scenario_set is None:
        return make_scenario_set(snapshot, market_date, request.scenarios)
    if request.scenarios != ScenarioRequest(name=None):
        raise BadInput("Give either scenario_set, a stored set, or scenarios, how to make one; not both.")
    row = store.find_scenario_set(snapshot, request.scenario_set, market_date)
    stored = store.load_scenario_set(snapshot, row["scenario_set_id"])
    check_assertions(stored)
    return stored


def plan_valuation(snapshot: Snapshot, request: ValuationRequest) -> ValuationPlan:
    """Wanted, present and missing with the expected cost; writes nothing."""
    rows = [find_branch(snapshot, b) for b in request.branches]
    dates = {*request.positions_dates, *(r["positions_date"] for r in rows)} or {request.as_of}
    contracts = contracts_held(snapshot, sorted(dates))
    added = {c for r in rows for c in contracts_of(snapshot, r)} - set(contracts["contract_id"].to_pylist())
    if added:
        contracts = pa.concat_tables([contracts, contracts_by_id(snapshot, pa.array(sorted(added)))])
    return make_plan(snapshot, contracts, _scenario_set(snapshot, request), request.as_of, request.risk_classes or None)


def run_valuation(
    committer: Committer,
    request: ValuationRequest,
    *,
    spark: Callable[[], SparkSession],
    progress: Progress = lambda stage, done, total: None,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Makes and stores the scenario set where needed, prices what is missing, seals; returns the seal and `this_run`."""
    progress("plan", 0, 1)
    plan = plan_valuation(committer.lake.snapshot(), request)
    store.save_scenario_set(committer, plan.scenario_set)
    progress("plan", 1, 1)
    sealed = run_plan(committer, plan, runner=request.runner, spark=spark, progress=progress, cancelled=cancelled)
    return {**sealed, "plan": plan.to_dict()}
