"""Lists the missing valuations of a question; runs them on request; then it is answered.

Positions, market and scenarios may each be of their own date. A set named by its name is a recipe, made anew on the market
asked for; a set named by its id is those very scenarios, so that its window stays where it was and its moves are put onto
the market asked for.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow.compute as pc
from pydantic import BaseModel

from aggregation.opened import valuation_choice
from aggregation.opened.inputs import MARKET
from aggregation.opened.valuation_choice import Known
from aggregation.question import Plan, plan_of, together
from aggregation.receipts import parts_of
from aggregation.session import Session
from aggregation.types import Scope, TwoPoints
from lake.dates import day
from lake.errors import BadInput, NotFound, NotValued, VarlakeError, counted
from lake.tables import NEVER_WRITTEN, Lake, Snapshot
from lake.versions import changed_rows
from scenarios.market.corporate_actions import TABLE
from scenarios.store import find_scenario_set, load_scenario_set, load_stored, name_made_for, scenario_summaries
from scenarios.types import RiskClass
from valuation.costs import NOTHING
from valuation.types import ValuationSet

if TYPE_CHECKING:
    from scenarios.requests import ScenarioRequest
    from scenarios.types import ScenarioSet, ScenarioSummary
    from valuation.sets.requests import ValuationRequest
    from valuation.sets.run import ValuationRun

# ruff: noqa: PLC0415 - a question that lacks nothing needs no generator of scenarios and no pricer

S = TypeVar("S", bound=Scope)
T = TypeVar("T", bound=TwoPoints)

_MOST_REMADE = 8  # each takes as long as making the set


def valuation_for(known: Known, snapshot: Snapshot, query: Scope) -> ValuationRequest:
    """The valuation that would answer the query in full: what it names, else the scenarios that answer it now.

    Where nothing answers it yet, the recipe of the standard is taken; in a lake without one, that of the sample last valued,
    on any date, or the default of valuations. Raises `NotFound` for sets that are not there, `BadInput` for scenarios that cannot be
    put onto the market asked for.
    """
    from valuation.sets.requests import ValuationRequest

    about: dict[str, Any] = {
        "as_of": query.as_of,
        "positions_dates": () if query.branch else (query.positions_date or query.as_of,),
        "branches": (query.branch,) if query.branch else (),
        "market_date": query.market_date,
    }
    named = query.scenario_set is not None and query.valuation_set is None
    seal = None if named else _answering(known, query)
    if seal is not None:
        about |= {
            "scenario_set": seal.scenario_set_id,
            "market_date": seal.market_date,
            "risk_classes": seal.risk_classes,
        }
        return ValuationRequest(**about)
    last = next((s.scenario_set_name for s in reversed(known.seals) if s.sample), None)
    wanted = query.scenario_set or known.standard(query).scenario_set or last
    if wanted is None:
        return ValuationRequest(**about)
    return ValuationRequest(**about, **_scenarios(snapshot, wanted, query))


def plan_scope(session: Session, query: Any) -> Plan:
    """What a question about one scope lacks, and how its vectors would then be passed over and why; starts no Spark.

    It is ready where a set answers for every contract of the book, even if it holds more than this book.
    """
    from valuation.sets.requests import plan_valuation

    session = session.as_known(query.as_known)
    snapshot = session.lake.snapshot()
    known = session.cache.known(snapshot)
    request = valuation_for(known, snapshot, query)
    plan = plan_valuation(snapshot, request)
    there = None if plan.work.num_rows else plan.sealed or _answering(known, query)
    n_contracts = plan.work.num_rows + plan.members.num_rows if there is None else there.submitted - there.failed
    chosen = session.cache.reduce_of(n_contracts, plan.scenario_set.n_scenarios)
    about = {"reduce": chosen.reduce, "reduce_because": chosen.because}
    return Plan(((str(query.as_of), request, plan),), plan.cost, there is not None, about)


def value_scope(session: Session, query: S) -> S:
    """Values what `plan_scope` says; the query to ask then names the set that was made."""
    session = session.as_known(query.as_known)
    plan = plan_scope(session, query)
    if plan.ready:
        return query
    ((_, request, _),) = plan.valuations
    made = value_request(session, request).valuation_set
    return query.model_copy(update={"valuation_set": made.valuation_set_id, "scenario_set": None})


def plan_request(session: Session, label: str, request: ValuationRequest) -> Plan:
    """The plan of a question that rests on one valuation; starts no Spark."""
    from valuation.sets.requests import plan_valuation

    return plan_of([(label, request, plan_valuation(session.lake.snapshot(), request))])


def value_request(session: Session, request: ValuationRequest) -> ValuationRun:
    """Runs a valuation with the means of the session."""
    from valuation.sets.requests import run_valuation

    return run_valuation(
        session.writer(), request, spark=session.spark, progress=session.progress, cancelled=session.cancelled
    )


def newer_market(session: Session, plan: Plan) -> tuple[ValuationRequest, ...]:
    """For the stored scenario sets of a plan that would be others if they were made of the market data there is now: the valuations
    that make them anew, under their names. Of a plan with very many sets the first alone are looked at.
    """
    snapshot, found = session.lake.snapshot(), {}
    for _, request, valuation in plan.valuations[:_MOST_REMADE]:
        made = valuation.scenario_set
        if recipe := _made_otherwise(snapshot, made):
            found[made.name, made.market_date] = _valued_anew(request, made, recipe)
    return tuple(found.values())


def _made_otherwise(snapshot: Snapshot, made: ScenarioSet) -> ScenarioRequest | None:
    """The recipe of a set that would be another if it were made of the market data of the snapshot; else None."""
    from scenarios.generators import GENERATORS
    from scenarios.requests import make_scenario_set

    actions = NEVER_WRITTEN if made.corporate_actions_version is None else made.corporate_actions_version
    of = (made.market_data_version, actions)
    if made.method not in GENERATORS or None in of or of == tuple(snapshot.versions[n] for n in ("market_data", TABLE)):
        return None
    recipe = recipe_of(made)
    with contextlib.suppress(VarlakeError):  # its market is gone: then there is no newer set
        if make_scenario_set(snapshot, made.market_date, recipe).scenario_set_id != made.scenario_set_id:
            return recipe
    return None


def _valued_anew(request: ValuationRequest, made: ScenarioSet, recipe: ScenarioRequest) -> ValuationRequest:
    changed: dict[str, Any] = {"scenario_set": None, "scenarios": recipe, "market_date": made.market_date}
    if len(request.risk_classes) == len(RiskClass):
        changed["risk_classes"] = ()
    return request.model_copy(update=changed)


def stale_notes(session: Session, query: BaseModel, receipt: Mapping[str, Any]) -> tuple[str, ...]:
    """A note for each scenario set of an answer that rests on older market data than the answer's lake holds, where that makes it
    another set, with the commands that take the newer. Of an answer with very many sets the first alone are looked at.
    """
    older = {}
    for part in parts_of(receipt):
        version = _market(receipt, part).get("market_data")
        if (
            version is not None
            and part.get("valuation_set_id")
            and (part.get("market_data_version") or version) < version
        ):
            older[part["scenario_set_id"], str(part["valuation_date"]), version] = part
    branch = getattr(query, "branch", None)
    notes = []
    for key, part in [*older.items()][:_MOST_REMADE]:
        lake = session.lake.at(_market(receipt, part))
        # kept: a lake that only grows is looked at once a version
        kept = ("stale", key, branch, part["positions_date"])
        notes.append(session.cache.keep(kept, functools.partial(_stale_note, lake, part, branch)))
    return tuple(dict.fromkeys(n for n in notes if n))


def _market(receipt: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, int]:
    """The versions of what scenarios are made from, as a part of an answer knows them: a point may be as known earlier."""
    versions = part.get("table_versions") or receipt["table_versions"]
    return {n: versions[n] for n in MARKET if n in versions}


def _stale_note(lake: Lake, part: Mapping[str, Any], branch: str | None) -> str:
    from valuation.sets.requests import ValuationRequest

    snapshot, last = lake.snapshot(), day(part["market_date"])
    before = lake.at({"market_data": part["market_data_version"]})
    changed = changed_rows(before, lake, "market_data")
    if not any(pc.any(pc.less_equal(rows["as_of_date"], last)).as_py() for rows in changed):
        return ""  # later days alone have come
    made = load_scenario_set(snapshot, part["scenario_set_id"])
    recipe = _made_otherwise(snapshot, made)
    if recipe is None:
        return ""
    request = ValuationRequest(
        as_of=day(part["valuation_date"]),
        positions_dates=() if branch else (day(part["positions_date"]),),
        branches=(branch,) if branch else (),
        risk_classes=tuple(part["risk_classes"]),
    )
    return newer_note(_valued_anew(request, made, recipe))


def newer_note(request: ValuationRequest) -> str:
    """Which scenarios do not know the newest market data, and the commands that take it."""
    return (
        f"The market data has changed since scenario set {request.scenarios.name} of {request.market_date} was made: "
        f"answers rest on what it was. To take it as it is now: {' && '.join(_commands(request))}"
    )


def _commands(request: ValuationRequest) -> list[str]:
    """The command lines that value the request; a name that does not follow from the recipe is given to the set first."""
    from scenarios.requests import default_name

    scenarios, day = request.scenarios, request.as_of
    how = ["--method", scenarios.method]
    for name, value in scenarios.parameters.items():
        how += ["-p", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    what = ["value", "--as-of", str(day)]
    what += ["--market-date", str(request.market_date)] if request.market_date != day else []
    for option, dates in (("--positions-date", request.positions_dates), ("--branch", request.branches)):
        what += [part for given in dates if given != day for part in (option, str(given))]
    what += [part for given in request.risk_classes for part in ("--risk-class", given)]
    name = scenarios.name or ""
    if default_name(scenarios) == name:
        lines = [[*what, *how]]
    else:
        build = ["scenarios", "build", "--as-of", str(request.market_date), *how, "--name", name]
        lines = [build, [*what, "--scenario-set", name]]
    return [shlex.join(["varlake", *line]) for line in lines]


def recipe_of(made: ScenarioSet) -> ScenarioRequest:
    """How a set is made again under its name: the parameters that are not at their defaults."""
    from scenarios.generators import GENERATORS
    from scenarios.requests import ScenarioRequest

    fields = GENERATORS[made.method].definition.model_fields
    defaults = {n: f.get_default(call_default_factory=True) for n, f in fields.items() if not f.is_required()}
    plain = {n: d.model_dump(mode="json") if isinstance(d, BaseModel) else d for n, d in defaults.items()}
    parameters = {
        k: v
        for k, v in made.definition.items()
        if k not in ("method", "market_date") and (k not in plain or v != plain[k])
    }
    name = name_made_for(made.name)
    return ScenarioRequest(method=made.method, parameters=parameters, name=name, of_book=made.of_book)


def _answering(known: Known, query: Scope) -> ValuationSet | None:
    """The valuation set that answers the query as far as it does; None where there is none, unless it was named."""
    try:
        return valuation_choice.valuation_sets(known, query)[0]
    except NotFound:
        if query.valuation_set is not None:
            raise
        return None


def stored_recipe(snapshot: Snapshot, wanted: str) -> tuple[ScenarioSummary, ScenarioRequest]:
    """A stored set by name or id, the newest, and the recipe by which it is made on any date."""
    from scenarios.requests import ScenarioRequest

    stored = find_scenario_set(snapshot, wanted)
    made = load_stored(snapshot, stored)
    parameters = {k: v for k, v in made.definition.items() if k not in ("method", "market_date")}
    recipe = ScenarioRequest(method=stored.method, parameters=parameters, name=stored.name, of_book=made.of_book)
    return stored, recipe


def _scenarios(snapshot: Snapshot, wanted: str, query: Scope) -> dict[str, Any]:
    """The stored set where it is of the market asked for, else its recipe there."""
    from scenarios.generators import GENERATORS

    market = query.market_date or query.as_of
    rows = scenario_summaries(snapshot)
    by_id = any(r.scenario_set_id == wanted for r in rows)
    there = [r for r in rows if wanted in (r.name, r.scenario_set_id) and r.market_date == market]
    if there:
        return {"scenario_set": max(there, key=lambda r: r.version).scenario_set_id}
    stored, recipe = stored_recipe(snapshot, wanted)
    name, parameters = recipe.name, dict(recipe.parameters)
    if by_id and stored.sample:
        if "window_end" not in GENERATORS[stored.method].definition.model_fields:
            raise BadInput(
                f"Scenario set {wanted} is of the market of {stored.market_date}, and its method, {stored.method}, draws "
                f"from the latest history. Name it {name} to have it made anew on {market}."
            )
        parameters["window_end"] = parameters.get("window_end") or str(stored.market_date)
        name = f"{name}-to-{parameters['window_end']}"
    return {"scenarios": recipe.model_copy(update={"parameters": parameters, "name": name})}


def plan_points(session: Session, query: TwoPoints) -> Plan:
    """What either point lacks."""
    return together(plan_scope(session, point) for point in query.points())


def value_points(session: Session, query: T) -> T:
    """Values what either point lacks; each then names the set that was made."""
    one, two = (value_scope(session, point) for point in query.points())
    sides = {
        name: side.model_copy(update={"valuation_set": q.valuation_set, "scenario_set": q.scenario_set})
        for name, side, q in (("from_", query.from_, one), ("to", query.to, two))
    }
    return query.model_copy(update={**sides, "scenario_set": None})


def sealed_by(plan: Plan) -> list[ValuationSet]:
    """The sets of what the plan names; raises `NotValued` with what it takes where one is missing."""
    lacking = [(label, p) for label, _, p in plan.valuations if p.sealed is None]
    if lacking:
        contracts = sum(p.work.num_rows for _, p in lacking)
        cost = sum((p.cost for _, p in lacking), NOTHING)
        raise NotValued(
            f"Not valued yet: {'; '.join(label for label, _ in lacking)}. It takes {counted(contracts, 'contract')}, about "
            f"{cost} seconds of one core."
        )
    return [p.sealed for _, _, p in plan.valuations if p.sealed is not None]
