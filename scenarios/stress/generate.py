"""GENERATORS "stress" and "grid": bespoke scenarios on the market of a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lake.errors import BadInput, Issue, counted
from lake.tables import Snapshot
from lake.words import first_of
from scenarios.market.base_market import BaseMarket, load_base
from scenarios.market.calendars import MEANING
from scenarios.store import find_scenario_set, load_stored, scenario_summaries
from scenarios.stress import language
from scenarios.stress import model as m
from scenarios.stress.apply import AppliedScenario, IncludedScenario, evaluate, failures, one_label
from scenarios.stress.crosses import PairTree
from scenarios.stress.forms import from_json
from scenarios.stress.select import Universe
from scenarios.stress.warnings import left_out
from scenarios.types import FactorIndex, ScenarioSet, ScenarioSummary

MAX_DEPTH = 8  # scenarios that include scenarios
METHODS = ("stress", "grid")


class BaseDefinition(BaseModel):
    """On which market the scenarios stand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    market_date: dt.date = Field(description="date of the base levels")
    calendar: str = Field("XNYS", description=MEANING)
    max_held_days: int = Field(
        3, ge=0, le=10, description="business days a factor's last level may be held for the base, visibly"
    )


class _Base(BaseDefinition):
    pinned: dict[str, str] = Field(
        default_factory=dict,
        description="included scenario set name to the id that is meant; filled in for names not given",
    )


class StressDefinition(_Base):
    """A bespoke scenario, or several, in the stress language or as its typed form."""

    method: Literal["stress"] = "stress"
    text: str | None = Field(None, description="the scenarios in the stress language")
    document: m.Document | None = Field(None, description="the same in typed form, instead of text")

    @field_validator("document", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return from_json(value) if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.text is None) == (self.document is None):
            raise ValueError("give either text or document")
        return self


class GridDefinition(_Base):
    """Every combination of a few ladders, such as spot by volatility."""

    method: Literal["grid"] = "grid"
    axes: tuple[str, ...] = Field(
        min_length=1, max_length=4, description="ladders in the stress language, such as equity -20%..+20% step 10%"
    )


def generate(snapshot: Snapshot, definition: StressDefinition, name: str) -> ScenarioSet:
    """The scenario set of the definition; raises `BadInput` listing every fault, and when an assertion does not hold."""
    text = definition.text if definition.document is None else language.to_text(definition.document)
    return _generate(snapshot, definition, text or "", name)


def text_of(definition: Mapping[str, Any]) -> str:
    """The text in the stress language of a stored set's definition."""
    return str(definition["text"]) if "text" in definition else f"grid({', '.join(definition['axes'])})"


def generate_grid(snapshot: Snapshot, definition: GridDefinition, name: str) -> ScenarioSet:
    """The scenario set of a grid; raises `BadInput` as `generate` does."""
    return _generate(snapshot, definition, text_of(definition.model_dump()), name)


class StoredScenarios:
    """Stored scenario sets that a document includes; `used` pins each name to the set it came from."""

    def __init__(self, snapshot: Snapshot, market: BaseMarket, pinned: Mapping[str, str], depth: int = 0) -> None:
        self.snapshot, self.market, self.pinned, self.depth = snapshot, market, pinned, depth
        self.used: dict[str, str] = {}

    def __call__(self, step: m.Include) -> IncludedScenario:
        """The moves of the scenario. A stress of another date is applied to this market anew, so that +10pt stays +10pt;
        of any other set the moves are taken as they were made, by shift type."""
        row = self._find(step.name)
        self.used[step.name] = row.scenario_set_id
        stored = load_stored(self.snapshot, row)
        column = one_label(step, stored.labels)
        if stored.market_date != self.market.market_date and stored.method in METHODS:
            return self._anew(stored, column)
        moved = stored.shocked
        return IncludedScenario(
            FactorIndex(tuple(f for f, k in zip(stored.index.factors, moved, strict=True) if k)),
            stored.base[moved],
            stored.levels[np.flatnonzero(moved), column : column + 1][:, 0],
        )

    def _find(self, name: str) -> ScenarioSummary:
        if name in self.pinned:
            return find_scenario_set(self.snapshot, self.pinned[name])
        date = self.market.market_date
        named = [r for r in scenario_summaries(self.snapshot) if r.name == name]
        if past := [r for r in named if r.market_date <= date]:
            return max(past, key=lambda r: (r.market_date, r.version))
        return find_scenario_set(self.snapshot, name, date if named else None)

    def _anew(self, stored: ScenarioSet, column: int) -> IncludedScenario:
        if self.depth >= MAX_DEPTH:
            raise BadInput(f"{stored.name} includes scenarios that include others more than {MAX_DEPTH} deep.")
        inner = StoredScenarios(self.snapshot, self.market, stored.definition["pinned"], self.depth + 1)
        outcomes, issues = evaluate(language.parse(text_of(stored.definition)), self.market, stored.name, inner)
        if issues:
            raise BadInput(f"{stored.name} does not fit this market: {issues[0].message}")
        if failed := [f for o in outcomes for f in o.failed]:
            raise _broken(failed, f"the included {stored.name}")
        outcome, node = locate(outcomes, column)
        rows = sorted(outcome.named | outcome.derived.keys())
        index = FactorIndex(tuple(self.market.index.factors[r] for r in rows))
        return IncludedScenario(index, self.market.base[rows], outcome.levels[rows, node])


def locate(outcomes: list[AppliedScenario], column: int) -> tuple[AppliedScenario, int]:
    """The outcome and node of a column of the whole set."""
    for outcome in outcomes:
        if column < len(outcome.labels):
            return outcome, column
        column -= len(outcome.labels)
    raise IndexError(column)


def refuse(text: str, places: Mapping[str, int], issues: list[Issue]) -> BadInput:
    """One error for all faults of a text, each pointing at its character."""
    shown = [text_issue(text, places, i) for i in issues]
    if len(shown) == 1:
        error = language.fault(text, _offset(places, issues[0].pointer), shown[0].message)
        return BadInput(error.message, issues=shown)
    listed = "".join(f"\n  {i.pointer}: {i.message}" for i in shown)
    return BadInput(f"The scenario has {counted(len(shown), 'fault')}.{listed}", issues=shown)


def text_issue(text: str, places: Mapping[str, int], issue: Issue) -> Issue:
    """The issue with line and column instead of a JSON pointer."""
    return language.located(text, _offset(places, issue.pointer), issue.message, issue.value, issue.allowed)


def _offset(places: Mapping[str, int], pointer: str) -> int:
    while pointer and pointer not in places:
        pointer = pointer.rpartition("/")[0]
    return places.get(pointer, 0)


def _generate(snapshot: Snapshot, definition: StressDefinition | GridDefinition, text: str, name: str) -> ScenarioSet:
    document, places = language.parse_with_places(text)
    market = load_base(snapshot, definition.market_date, definition.calendar, definition.max_held_days)
    stored = StoredScenarios(snapshot, market, definition.pinned)
    outcomes, issues = evaluate(document, market, name, stored)
    if issues:
        raise refuse(text, places, issues)
    if failed := [f for o in outcomes for f in o.failed]:
        raise _broken(failed)
    named = set().union(*(o.named for o in outcomes))
    derived: dict[int, str] = {}
    for outcome in outcomes:
        derived = {r: rule for r, rule in outcome.derived.items() if r not in named} | derived
    shocked = np.zeros(len(market.index.factors), dtype=bool)
    shocked[sorted(named | derived.keys())] = True
    excluded = dict(market.excluded)
    for outcome in outcomes:
        excluded = {**outcome.absent, **excluded}
    levels = np.concatenate([o.levels for o in outcomes], axis=1)
    return ScenarioSet(
        scenario_set_id="",
        name=name,
        method=definition.method,
        market_date=market.market_date,
        definition={
            **definition.model_dump(mode="json", exclude={"document"}),
            **({"text": language.to_text(document)} if definition.method == "stress" else {}),
            "pinned": dict(sorted(stored.used.items())),
        },
        index=market.index,
        labels=tuple(label for o in outcomes for label in o.labels),
        base=market.base,
        levels=levels,
        shocked=shocked,
        derived={market.index.factors[r].risk_factor_id: rule for r, rule in sorted(derived.items())},
        excluded=excluded,
        held=market.held,
        market_data_version=market.market_data_version,
    )


def check_assertions(s: ScenarioSet) -> None:
    """Raises `BadInput` when an assertion saved with a stress set does not hold on its levels; for every use of a set."""
    if s.method not in METHODS:
        return
    universe, tree = Universe(s.index, s.excluded), PairTree(s.index)
    failed: list[str] = []
    first = 0
    for scenario in language.parse(text_of(s.definition)).scenarios:
        last = first + scenario.size
        for step in scenario.steps:
            if isinstance(step, m.Assertion):
                failed += failures(step, universe, tree, s.labels[first:last], s.levels[:, first:last])
        first = last
    if failed:
        raise _broken(failed)


def left_out_of(s: ScenarioSet) -> tuple[str, ...]:
    """What the steps of a stored stress leave out, in words."""
    moved = {f.risk_factor_id for f, shocked in zip(s.index.factors, s.shocked, strict=True) if shocked}
    document = language.parse(text_of(s.definition))
    return tuple(i.message for i in left_out(document, Universe(s.index, s.excluded), moved))


def _broken(failed: list[str], what: str = "the scenario") -> BadInput:
    message = f"{counted(len(failed), f'assertion of {what} does', f'assertions of {what} do')} not hold: {first_of(failed, between='; ')}."
    return BadInput(message, issues=[Issue("assert", f) for f in failed])
