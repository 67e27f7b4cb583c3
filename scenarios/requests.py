"""Which scenario set is asked for: made by a method, or stored."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lake.canonical import canonical_json, digest
from lake.committer import Committer
from lake.dates import Day
from lake.progress import Progress
from lake.tables import NEVER_WRITTEN, Snapshot
from scenarios import generators, store
from scenarios.historical.historical import DEFAULT_SCENARIOS
from scenarios.market import corporate_actions
from scenarios.types import ScenarioSet


class ScenarioRequest(BaseModel):
    """Which scenario set: a stored one, or the method and parameters to make it with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field("historical", description="scenario method, see /scenario-methods")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the method besides the market date"
    )
    name: str | None = Field(
        None,
        pattern=r"^[\w.:-]{1,80}$",
        description="name of the set, of letters, digits, _ . : and -; default from method and size",
    )
    only_by_name: bool = Field(False, description="whether the set answers only questions that name it")
    of_book: bool = Field(
        False,
        description="whether the parameters follow from what a book holds: the set is then seen by those alone who see as much of the book",
    )


class ScenarioSetRequest(ScenarioRequest):
    """A scenario set to make and store: the market date, the method and its parameters."""

    as_of: Day = Field(description="market date of the set")


def make_scenario_set(snapshot: Snapshot, market_date: dt.date, request: ScenarioRequest) -> ScenarioSet:
    """The set of the request on the market as it stands in the snapshot, with its id; not stored."""
    name = request.name or default_name(request)
    made = generators.generate(snapshot, request.method, _parameters(market_date, request), name)
    version = snapshot.versions.get(corporate_actions.TABLE, NEVER_WRITTEN)
    made = dataclasses.replace(
        made,
        sample=made.sample and not request.only_by_name,
        of_book=made.of_book or request.of_book,
        corporate_actions_version=None if version == NEVER_WRITTEN else version,
    )
    return dataclasses.replace(made, scenario_set_id=store.scenario_set_digest(made))


def check_scenario_request(market_date: dt.date, request: ScenarioRequest) -> None:
    """Raises `BadInput` for an unknown method or parameters it does not take; looks at no market."""
    recipe_of(market_date, request)


def recipe_of(market_date: dt.date, request: ScenarioRequest) -> BaseModel:
    """The definition that the set is made by; raises as `check_scenario_request` does."""
    return generators.definition_of(request.method, _parameters(market_date, request))


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
