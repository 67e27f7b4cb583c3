"""What a question about internal-model capital asks, and what it has opened before any P&L is read: rules, sets, factors, cuts."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import Field

from aggregation.exposure.reference import classifications_of
from aggregation.on_demand import value_request
from aggregation.opened.alignment import MISSING
from aggregation.opened.inputs import Inputs, open_beside, open_inputs
from aggregation.question import Plan, together
from aggregation.regimes.ima_parameters import ImaParameters, ima_parameters
from aggregation.regimes.regimes import Regime, RegimeName, regime_of
from aggregation.regulatory.ima_sets import (
    Coordinates,
    Cut,
    Cuts,
    Factors,
    Period,
    current_moves,
    cuts_plan,
    make_cuts,
    named_factors,
    period_of,
    sources_plan,
    stored,
    stressed_moves,
    value_cuts,
)
from aggregation.regulatory.liquidity_horizons import Horizon, horizons_of
from aggregation.regulatory.modellability import Tested, tested
from aggregation.session import Session
from aggregation.stress.stress_period import StressPeriodRequest, searched, stress_period, value_search
from aggregation.types import REFERENCE, Positions, Scope, Whole
from lake.dates import Day, day
from lake.errors import BadInput, NotFound, NotValued, counted
from scenarios.requests import ScenarioRequest
from scenarios.types import FactorIndex, ScenarioSet
from valuation.types import Currency

Asked = TypeVar("Asked", bound="ImaQuery")

# tables that sets and cuts follow from, besides the query
_READ = ("scenario_sets", "real_prices", "classifications", "regimes")


class ImaQuery(Positions):
    """Whose internal-model capital, on which day, by which rules."""

    as_of: Day = Field(description="valuation date; also the date of market and positions unless those are given")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    market_date: Day | None = Field(None, description="date of the base market, when not as_of")
    branch: str | None = Field(None, pattern=REFERENCE, description="branch in place of a book: NAME, or NAME@2")
    regime: RegimeName = Field("basel")
    scenarios: Whole | None = Field(
        None,
        ge=20,
        le=5000,
        description="moves in the current window, and in the window that is searched; default the regime's",
    )
    stress: str | None = Field(
        None, description="stress period: a name such as lehman-2008, or FIRST:LAST; default the worst window, searched"
    )
    domestic: Currency | None = Field(
        None, description="currency whose rates count among the specified ones; default the reporting currency"
    )
    reduced_without: tuple[str, ...] = Field(
        (),
        description="risk factors, by id or type, that the reduced set leaves out besides those without history under stress",
    )
    untested: Literal["non_modellable", "modellable"] = Field(
        "non_modellable", description="what risk factors without any real price in the lake count as"
    )
    idiosyncratic: tuple[str, ...] = Field(
        (), description="non-modellable factors of credit and equity, by id, that were shown to be idiosyncratic"
    )

    def scope(self, scenario_set: str | None = None) -> Scope:
        """The question about the P&L under a set."""
        names = ("as_of", "positions_date", "market_date", "branch", "by", "where", "currency", "as_known")
        return Scope(**{n: getattr(self, n) for n in names}, scenario_set=scenario_set)

    @property
    def at(self) -> Coordinates:
        """What is valued for it."""
        dates = () if self.branch else (self.positions_date or self.as_of,)
        return Coordinates(self.as_of, self.market_date or self.as_of, dates, (self.branch,) if self.branch else ())


@dataclass(frozen=True)
class Rules:
    """The regime and what of it is read; the requests of the current moves, and of the stressed ones where the period is known."""

    regime: Regime
    parameters: ImaParameters
    scenarios: int
    current: ScenarioRequest
    period: Period | None
    stressed: ScenarioRequest | None

    def with_period(self, period: Period) -> Rules:
        """With the stress period that was found."""
        days = self.parameters.expected_shortfall.base_days
        return dataclasses.replace(self, period=period, stressed=stressed_moves(days, period))


def rules_of(session: Session, query: ImaQuery) -> Rules:
    """The rules of a query; raises `BadInput` for an unknown regime or period."""
    regime = regime_of(query.regime, query.as_of, session.lake)
    parameters = ima_parameters(regime)
    es = parameters.expected_shortfall
    n = query.scenarios or es.scenarios
    found = Rules(regime, parameters, n, current_moves(es.base_days, n), None, None)
    return found if query.stress is None else found.with_period(period_of(query.stress))


def search_of(query: ImaQuery, rules: Rules) -> StressPeriodRequest:
    """The search for the stress period of the whole book, by the same measure on the same moves."""
    es = rules.parameters.expected_shortfall
    return StressPeriodRequest(
        as_of=query.as_of,
        positions_date=query.positions_date,
        length=rules.scenarios,
        measure="es",
        level=es.level,
        currency=query.currency,
        moves={"horizon_days": es.base_days},
    )


def found_period(session: Session, query: ImaQuery, rules: Rules) -> Rules:
    """The rules with the period, searched where none is given; raises `NotValued` where the history is not valued."""
    if rules.period is not None:
        return rules
    if query.branch is not None:
        raise BadInput(
            "The stress period is searched for a book of a day, not for a branch: give stress as FIRST:LAST."
        )
    request = search_of(query, rules)
    versions = tuple(session.lake.version(t) for t in ("valuation_sets", "positions"))

    def search() -> Period:
        worst = stress_period(session, request).worst
        return Period(day(worst.first), day(worst.last), searched=True)

    return rules.with_period(session.cache.keep(("frtb stress period", request.model_dump_json(), versions), search))


@dataclass(frozen=True)
class Made:
    """Everything but P&L. current, stress : the whole sets. tests : of the factors that either moves, by id. horizons : of every factor."""

    rules: Rules
    current: ScenarioSet
    stress: ScenarioSet
    horizons: Mapping[str, Horizon]
    tests: Mapping[str, Tested]
    factors: Factors
    cuts: Cuts


def made_of(session: Session, query: ImaQuery, rules: Rules) -> Made | None:
    """The sets and their cuts; None where either whole set is not stored yet. Kept for the next question of the same lake."""
    lake = session.lake
    asked = query.model_copy(update={"by": (), "where": ()}).model_dump_json()
    versions = tuple(lake.version(t) for t in _READ)
    key = ("frtb sets", type(query).__name__, asked, rules.period, versions)
    return session.cache.keep(key, lambda: _make(session, query, rules))


def _make(session: Session, query: ImaQuery, rules: Rules) -> Made | None:
    assert rules.stressed is not None
    snapshot = session.lake.snapshot()
    current = stored(snapshot, rules.current.name, query.at.market_date)
    stress = stored(snapshot, rules.stressed.name, query.at.market_date)
    if current is None or stress is None:
        return None
    p = rules.parameters
    classifications = classifications_of(snapshot, query.as_of)
    index = FactorIndex.of({f.risk_factor_id: f for f in (*stress.index.factors, *current.index.factors)}.values())
    domestic = query.domestic or query.currency
    horizons = dict(zip(index.row, horizons_of(index, p.horizons, classifications, domestic), strict=True))
    tests = tested(snapshot, index.factors, p.price_test, query.as_of)
    there = {t.unit for t in tests.values() if t.test is not None}
    good = {f for f, t in tests.items() if t.modellable or (query.untested == "modellable" and t.unit not in there)}
    units: dict[str, list[str]] = defaultdict(list)
    moving = {f for made in (current, stress) for f in _shocked(made)}
    for f, t in tests.items():
        if f not in good and f in moving:
            units[t.unit].append(f)
    without = named_factors(index, query.reduced_without, "reduced_without")
    factors = Factors(horizons, frozenset(good), without, {u: tuple(fs) for u, fs in sorted(units.items())})
    unknown_ids = named_factors(index, query.idiosyncratic, "idiosyncratic") - {f for fs in units.values() for f in fs}
    if unknown_ids:
        raise BadInput(
            f"{counted(len(unknown_ids), 'factor')} named as idiosyncratic, the first {min(unknown_ids)}, is modellable and has "
            "no stressed capital; name non-modellable factors alone (varlake rfet lists them)."
        )
    cuts = make_cuts(current, stress, factors, p.horizons.lengths)
    return Made(rules, current, stress, horizons, tests, factors, cuts)


def _shocked(made: ScenarioSet) -> Iterator[str]:
    return (f.risk_factor_id for f, s in zip(made.index.factors, made.shocked.tolist(), strict=True) if s)


def open_whole(session: Session, query: ImaQuery, made: Made) -> Inputs:
    """The inputs under the whole current set; raises `NotValued` where it is not valued."""
    try:
        return open_inputs(session.cache, query.scope(made.current.scenario_set_id))
    except NotFound as error:
        raise NotValued(f"The current moves of {query.as_of} are not valued yet. {error.message}") from None


def opened(session: Session, query: ImaQuery, cut: Cut, whole: Inputs) -> Inputs | None:
    """The inputs of a cut; None where it is not valued."""
    try:
        return open_beside(session.cache, whole, query.scope(cut.stored or cut.name))
    except NotFound:
        return None


def open_cuts(session: Session, query: ImaQuery, made: Made, whole: Inputs) -> dict[str, Inputs]:
    """The inputs of every cut by its name; raises `NotValued` with how many are missing."""
    found = {name: opened(session, query, cut, whole) for name, cut in made.cuts.distinct.items()}
    lacking = [name for name, inputs in found.items() if inputs is None]
    if lacking:
        raise NotValued(
            f"{len(lacking)} of the {counted(len(found), 'subset')} of risk factors that the capital of {query.as_of} is read from "
            f"{'is' if len(lacking) == 1 else 'are'} not valued yet."
        )
    return {name: inputs for name, inputs in found.items() if inputs is not None}


def lacking_cuts(session: Session, query: ImaQuery, made: Made) -> list[Cut]:
    """The cuts that are not valued, or not for every contract of the book."""
    lacking, whole = [], open_whole(session, query, made)
    for cut in made.cuts.distinct.values():
        inputs = opened(session, query, cut, whole)
        if inputs is None or bool((inputs.alignment.state == MISSING).any()):
            lacking.append(cut)
    return lacking


def plan_ima(session: Session, query: ImaQuery) -> Plan:
    """What is missing: the search where a period is sought, then both whole sets, then their cuts, whose number is told once the sets
    that they are made of are there."""
    session = session.as_known(query.as_known)
    rules = rules_of(session, query)
    plans = [sources_plan(session, query.at, [rules.current])]
    if rules.period is None:
        plans.append(searched(session, search_of(query, rules)))
        if not plans[-1].ready:
            return together(plans)
        rules = found_period(session, query, rules)
    assert rules.stressed is not None
    plans.append(sources_plan(session, query.at, [rules.stressed]))
    made = made_of(session, query, rules) if all(p.ready for p in plans) else None
    if made is None:
        return together(plans)
    return together([*plans, cuts_plan(session, query.at, lacking_cuts(session, query, made))])


def value_ima(session: Session, query: Asked) -> Asked:
    """Values what `plan_ima` says, in that order; the query to ask then is the same."""
    session = session.as_known(query.as_known)
    rules = rules_of(session, query)
    value_request(session, query.at.request(rules.current))
    if rules.period is None:
        value_search(session, search_of(query, rules))
        rules = found_period(session, query, rules)
    assert rules.stressed is not None
    value_request(session, query.at.request(rules.stressed))
    made = made_of(session, query, rules)
    assert made is not None
    value_cuts(session, query.at, lacking_cuts(session, query, made))
    return query


def open_made(session: Session, query: ImaQuery) -> Made:
    """Rules, sets and cuts; raises `NotValued` where a whole set is missing."""
    rules = found_period(session, query, rules_of(session, query))
    made = made_of(session, query, rules)
    if made is None:
        raise NotValued(
            f"Not valued yet: the moves over {rules.parameters.expected_shortfall.base_days} days of {query.as_of}, current and of "
            f"the stress period {rules.period.first if rules.period else ''} to {rules.period.last if rules.period else ''}."
        )
    return made
