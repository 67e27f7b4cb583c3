"""The scenario sets that internal-model capital is read from: the current ten-day moves, those of the stress period, and subsets of both.

A cut of the cascade shocks the factors of one class, or of all, whose liquidity horizon is at least LH_j (MAR33.4): nested, the others at
their base. Cuts with the same factors are one set, a cut without factors needs none. Contracts that read no factor of a cut are not
priced for it, and those for which it shocks all they read are those of the whole set: the map finds them by their fingerprint.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aggregation.on_demand import value_request
from aggregation.question import Plan, plan_of
from aggregation.regulatory.liquidity_horizons import CLASSES, Horizon
from aggregation.session import Session
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, NotFound, unknown
from lake.tables import Snapshot
from scenarios.historical.period_replay import PERIODS
from scenarios.requests import ScenarioRequest
from scenarios.store import find_scenario_set, load_scenario_set
from scenarios.types import FACTOR_TYPES, FactorIndex, ScenarioSet
from valuation.sets.plan import ValuationPlan
from valuation.sets.requests import ValuationRequest, plan_valuation

Kind = Literal["full_current", "reduced_current", "reduced_stressed"]
KINDS: tuple[Kind, ...] = ("full_current", "reduced_current", "reduced_stressed")
ALL = "all"  # of the classes
PARTS = (ALL, *(c.value for c in CLASSES))


@dataclass(frozen=True)
class Coordinates:
    """Whose contracts are valued, on which day, in which market. positions_dates and branches as of a `ValuationRequest`."""

    as_of: dt.date
    market_date: dt.date
    positions_dates: tuple[dt.date, ...]
    branches: tuple[str, ...] = ()

    def request(self, scenarios: ScenarioRequest | None = None, stored: str | None = None) -> ValuationRequest:
        """The valuation under scenarios to make, or under a stored set."""
        made = {} if scenarios is None else {"scenarios": scenarios}
        return ValuationRequest(
            as_of=self.as_of,
            market_date=self.market_date,
            positions_dates=self.positions_dates,
            branches=self.branches,
            scenario_set=stored,
            **made,
        )


@dataclass(frozen=True)
class Period:
    """The stress period, by the days its first and last move end on. searched : whether it was looked for."""

    first: dt.date
    last: dt.date
    searched: bool = False


def period_of(text: str) -> Period:
    """A period by its name, or as FIRST:LAST; raises `BadInput`."""
    first, colon, last = text.partition(":")
    if not colon:
        if text not in PERIODS:
            raise unknown("period", text, PERIODS)
        return Period(PERIODS[text].first, PERIODS[text].last)
    try:
        found = Period(dt.date.fromisoformat(first.strip()), dt.date.fromisoformat(last.strip()))
    except ValueError:
        raise BadInput(f"The period {text!r} was given; expected FIRST:LAST, such as 2007-07-02:2008-06-30.") from None
    if found.last <= found.first:
        raise BadInput(f"The period {text!r} was given; expected its first day before its last.")
    return found


def current_moves(days: int, scenarios: int) -> ScenarioRequest:
    """The latest overlapping moves over the base horizon; never a day's moves scaled (MAR33.4(7))."""
    return ScenarioRequest(
        method="historical",
        parameters={"scenarios": scenarios, "horizon_days": days},
        name=f"frtb-current-{days}d-{scenarios}",
        only_by_name=True,
    )


def stressed_moves(days: int, period: Period) -> ScenarioRequest:
    """The overlapping moves that end in the period, onto today's market."""
    return ScenarioRequest(
        method="historical",
        parameters={
            "window_start": period.first.isoformat(),
            "window_end": period.last.isoformat(),
            "horizon_days": days,
        },
        name=f"frtb-stress-{days}d-{period.first}-{period.last}",
        only_by_name=True,
        of_book=period.searched,
    )


def stored(snapshot: Snapshot, name: str | None, market_date: dt.date) -> ScenarioSet | None:
    """The newest stored set of that name on the market date; None where there is none."""
    assert name is not None
    try:
        row = find_scenario_set(snapshot, name, market_date)
    except NotFound:
        return None
    return load_scenario_set(snapshot, row.scenario_set_id) if row.market_date == market_date else None


@dataclass(frozen=True)
class Cut:
    """Some factors of a stored set, shocked alone. stored : id of the set where the cut is all of it. recipe : how it is made otherwise."""

    name: str
    stored: str | None
    recipe: ScenarioRequest | None


@dataclass(frozen=True)
class Cuts:
    """places : the cut of each kind, part (`PARTS`) and horizon, None where it shocks nothing. alone : that of each unit of
    non-modellable factors, None where none of its factors moves in the period of stress."""

    places: Mapping[tuple[Kind, str, int], Cut | None]
    alone: Mapping[str, Cut | None]

    @property
    def distinct(self) -> dict[str, Cut]:
        """Every cut by its name, in a fixed order."""
        found = [*self.places.values(), *self.alone.values()]
        return {c.name: c for c in sorted((c for c in found if c is not None), key=lambda c: c.name)}


@dataclass(frozen=True)
class Factors:
    """What cuts are made from. modellable : by factor id. reduced : factors that may be in the reduced set. units : non-modellable
    factors by the unit that they are capitalised in."""

    horizons: Mapping[str, Horizon]
    modellable: frozenset[str]
    without: frozenset[str]
    units: Mapping[str, tuple[str, ...]]


def shocked_ids(made: ScenarioSet) -> frozenset[str]:
    """Ids of the factors that a set shocks."""
    return frozenset(made.index.factors[i].risk_factor_id for i in np.flatnonzero(made.shocked).tolist())


def named_factors(index: FactorIndex, named: Iterable[str], pointer: str) -> frozenset[str]:
    """Factors by id or by type; raises `BadInput` with the nearest for a name that is neither."""
    found: set[str] = set()
    for name in named:
        if name in index.row:
            found.add(name)
        elif name in FACTOR_TYPES:
            found |= {f.risk_factor_id for f in index.factors if f.type == name}
        else:
            raise unknown("risk factor id or type", name, [*FACTOR_TYPES, *index.row], pointer=pointer)
    return frozenset(found)


def make_cuts(current: ScenarioSet, stress: ScenarioSet, factors: Factors, lengths: tuple[int, ...]) -> Cuts:
    """The cuts of IMCC, and of each unit of non-modellable factors alone under stress.

    The reduced set holds the modellable factors that move in both sets, less those left out by name: it is the same for the current
    and the stressed figure (MAR33.5).
    """
    now, then = shocked_ids(current), shocked_ids(stress)
    full = now & factors.modellable
    reduced = full & then - factors.without
    if full and not reduced:
        raise BadInput(
            f"No modellable factor moves both in {current.name} and in {stress.name}: there is no reduced set. Give another stress period, "
            "or bring in more history."
        )
    extra = stress, current
    sources = {
        "full_current": (current, full),
        "reduced_current": (current, reduced),
        "reduced_stressed": (stress, reduced),
    }
    places: dict[tuple[Kind, str, int], Cut | None] = {}
    for kind in KINDS:
        source, those = sources[kind]
        for part in PARTS:
            of_part = [f for f in those if part in (ALL, factors.horizons[f].risk_class.value)]
            for days in lengths:
                places[kind, part, days] = _cut(source, [f for f in of_part if factors.horizons[f].days >= days], extra)
    alone = {unit: _cut(stress, [f for f in members if f in then], extra) for unit, members in factors.units.items()}
    return Cuts(places, alone)


def _cut(source: ScenarioSet, ids: Iterable[str], extra: tuple[ScenarioSet, ScenarioSet]) -> Cut | None:
    shocked = sorted(ids)
    if not shocked:
        return None
    stress, current = (s.scenario_set_id for s in extra)
    if source.scenario_set_id == current and frozenset(shocked) == shocked_ids(source):
        return Cut(source.name, current, None)
    parameters = {"scenario_set": source.scenario_set_id, "factors": shocked}
    if source.scenario_set_id == stress != current:
        parameters["with_factors_of"] = (
            current  # factors without history then keep their base, and their contracts are valued
        )
    name = f"frtb-cut-{digest(canonical_json(parameters))[:16]}"
    of_book = extra[0].of_book  # which factors move in a period that was searched follows from the book
    recipe = ScenarioRequest(method="subset", parameters=parameters, name=name, only_by_name=True, of_book=of_book)
    return Cut(name, None, recipe)


def sources_plan(session: Session, at: Coordinates, requests: Iterable[ScenarioRequest]) -> Plan:
    """What the whole sets lack, which the cuts are made of."""
    found = [(str(r.name), at.request(r)) for r in requests]
    snapshot = session.lake.snapshot()
    return plan_of([(label, r, plan_valuation(snapshot, r)) for label, r in found])


def cut_request(at: Coordinates, cut: Cut) -> ValuationRequest:
    """The valuation of a cut."""
    return at.request(cut.recipe, cut.stored)


def cuts_plan(session: Session, at: Coordinates, lacking: Iterable[Cut]) -> Plan:
    """What these cuts lack."""
    snapshot = session.lake.snapshot()
    found: list[tuple[str, ValuationRequest, ValuationPlan]] = []
    for cut in lacking:
        request = cut_request(at, cut)
        found.append((cut.name, request, plan_valuation(snapshot, request)))
    return plan_of(found, cuts=len(found))


def value_cuts(session: Session, at: Coordinates, lacking: Iterable[Cut]) -> None:
    """Values these cuts, one after the other."""
    for cut in lacking:
        value_request(session, cut_request(at, cut))
