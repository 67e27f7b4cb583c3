"""The market that pricers see: every risk factor in the base state and in every scenario, the state axis last."""

from __future__ import annotations

import bisect
import datetime as dt
import functools
from collections.abc import Callable, Collection, Sequence

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput, unknown
from scenarios.types import (
    DIFFERENCES,
    FactorIndex,
    MissingRiskFactor,
    RiskClass,
    RiskFactor,
    Roll,
    ScenarioSet,
    tenor_years,
)
from valuation.kernels import bootstrap, curves
from valuation.market.credit_curves import TYPES as CREDIT
from valuation.market.credit_curves import survival_curve
from valuation.market.quoted_curves import QUOTED, quoted_curve
from valuation.types import Along, NotValuable

BUILDERS = {"par_yield": curves.par_curve, "zero_rate": curves.zero_curve}
_READS = {"par_yield": curves.par_reads, "zero_rate": curves.zero_reads}
DAYS_A_YEAR = 365.0  # time is Act/365F everywhere


def discount_pillars(index: FactorIndex, curve: str) -> tuple[RiskFactor, ...]:
    """The pillars of a curve that can discount, shortest first; raises `MissingRiskFactor` where it cannot."""
    pillars = index.curve(curve)
    types = {f.type for f in pillars}
    if not types <= set(QUOTED) and (len(types) != 1 or not types <= BUILDERS.keys()):
        raise MissingRiskFactor(
            f"Curve {curve} has pillars of type {', '.join(sorted(types))}; "
            f"a discount curve has pillars of one type, {' or '.join(BUILDERS)}, or is bootstrapped from {', '.join(QUOTED)}."
        )
    return pillars


def is_quoted(pillars: Sequence[RiskFactor]) -> bool:
    """Whether a curve is bootstrapped from the quotes of instruments."""
    return pillars[0].type in QUOTED


def pillars_read(index: FactorIndex, curve: str, first: float, last: float, valuation_date: dt.date) -> tuple[str, ...]:
    """Ids of the pillars that decide the discount factors from `first` to `last` years, 0 <= first <= last, and no other.

    With these pillars alone at hand the factors are the same bits. Those of a curve that is bootstrapped with another hold
    the other's; its nodes lie on dates, and depend on the valuation date.
    """
    read: Callable[[float, float], tuple[str, ...]] | None = index.memo.get((pillars_read, curve))  # of every day
    if read is None:
        read = index.memo.get((pillars_read, curve, valuation_date))
    if read is None:
        read = _reader(index, curve, valuation_date)
        days = (valuation_date,) if is_quoted(index.curve(curve)) else ()
        index.memo[pillars_read, curve, *days] = read
    return read(first, last)


def _reader(index: FactorIndex, curve: str, valuation_date: dt.date) -> Callable[[float, float], tuple[str, ...]]:
    pillars = discount_pillars(index, curve)
    if is_quoted(pillars):
        nodes, reads = _quoted_reads(index, curve, valuation_date)
    else:
        nodes, matrix = _READS[pillars[0].type](np.array([tenor_years(f.pillar or "") for f in pillars]))
        reads = [tuple(pillars[k].risk_factor_id for k in np.flatnonzero(row)) for row in matrix]
    order = {f.risk_factor_id: k for k, f in enumerate(pillars)}

    @functools.cache
    def between(begin: int, end: int) -> tuple[str, ...]:
        read = {i for row in reads[begin : end + 2] for i in row}
        return tuple(sorted(read, key=lambda i: (order.get(i, len(order)), i)))

    known = nodes.tolist()

    def segment(time: float) -> int:  # as `curves.segments`, for one time
        return min(max(bisect.bisect_right(known, time) - 1, 0), len(known) - 2)

    def read(first: float, last: float) -> tuple[str, ...]:
        begin = segment(first)
        return between(begin, begin if last == first else segment(last))

    return read


def _quoted_reads(index: FactorIndex, curve: str, valuation_date: dt.date) -> tuple[Floats, list[tuple[str, ...]]]:
    """Nodes of a bootstrapped curve and the ids of all that each rests on."""
    made = quoted_curve(index, curve, valuation_date)
    reads: list[set[str]] = [set()]
    for k, pillar in enumerate(made.pillars):
        read = {pillar.risk_factor_id}.union(*(reads[node] for node in made.nodes_read(k) if node <= k))
        for other, day in made.external_read(k):
            read.update(pillars_read(index, other, day / DAYS_A_YEAR, day / DAYS_A_YEAR, valuation_date))
        reads.append(read)
    return made.days / DAYS_A_YEAR, [tuple(r) for r in reads]


class ScenarioMarket:
    """Levels of all risk factors, `states` of shape (n_factors, 1 + n_scenarios): column 0 is the base.

    Immutable, and safe to read from several threads: a curve built twice at the same moment is the same curve.

    In a market rolled with forwards realised, the base discount curve is exactly that of the market date seen from the
    valuation date, DF(T + t) / DF(T). Its pillars, at constant maturity, are too few to say so: between them they would
    lose most of a day's roll-down. They carry the scenarios: discount factors change by the ratio of the pillars' curves.
    """

    def __init__(
        self,
        valuation_date: dt.date,
        index: FactorIndex,
        base: Floats,
        levels: Floats,
        roll: Roll | None = None,
        bumped: bool = False,
    ) -> None:
        """base : (n_factors,) and levels : (n_factors, n_scenarios), rows in the order of `index`. bumped : whether the scenarios are
        small moves, for derivatives.

        Raises `BadInput` for a market rolled to another date than the valuation date.
        """
        n = len(index.factors)
        if base.shape != (n,) or levels.ndim != 2 or levels.shape[0] != n:
            raise ValueError(
                f"Expected base ({n},) and levels ({n}, n_scenarios), one row a risk factor of the index, "
                f"but received {base.shape} and {levels.shape}"
            )
        if roll is not None and roll.to != valuation_date:
            raise BadInput(f"The market is rolled to {roll.to}; contracts cannot be valued in it on {valuation_date}.")
        states: Floats = np.concatenate([base[:, None], levels], axis=1, dtype=np.float64)
        states.setflags(write=False)
        self._begin(valuation_date, index, states, roll, bumped)

    def _begin(
        self, valuation_date: dt.date, index: FactorIndex, states: Floats, roll: Roll | None, bumped: bool
    ) -> None:
        self.valuation_date = valuation_date
        self.index = index
        self.roll = roll
        self.bumped = bumped
        self.states = states
        self.n_states = self.states.shape[1]
        self._curves: dict[tuple[str, bool], tuple[Floats, Floats]] = {}
        self._unsolved: dict[str, str] = {}
        self._survival_curves: dict[str, tuple[Floats, Floats]] = {}

    @classmethod
    def of(
        cls,
        scenario_set: ScenarioSet,
        valuation_date: dt.date,
        risk_classes: Collection[str] | None = None,
        first: int = 0,
        stop: int | None = None,
        reads: Collection[str] | None = None,
    ) -> ScenarioMarket:
        """The market of the scenarios `first` to `stop - 1` of a set, all of them when not given.

        With `risk_classes` given, other classes keep their base level. With `reads` given, only these risk factors have
        levels in the scenarios and the others are NaN there: generated levels are then made for those that are read.
        """
        if reads is None:
            levels = scenario_set.levels[:, first:stop]
        else:
            rows = sorted(scenario_set.index.row[f] for f in reads)
            made = scenario_set.levels[rows, first:stop]
            levels = np.full((len(scenario_set.base), made.shape[1]), np.nan)
            levels[rows] = made
        if risk_classes is not None:
            for name in risk_classes:
                if name not in list(RiskClass):
                    raise unknown("risk class", name, list(RiskClass))
            still = np.array([f.risk_class not in risk_classes for f in scenario_set.index.factors])
            levels = np.where(still[:, None], scenario_set.base[:, None], levels)
        bumped = scenario_set.method in DIFFERENCES
        return cls(valuation_date, scenario_set.index, scenario_set.base, levels, scenario_set.roll, bumped)

    @classmethod
    def of_states(cls, valuation_date: dt.date, index: FactorIndex, states: Floats) -> ScenarioMarket:
        """The market of these very levels, (n_factors, 1 + n_scenarios), column 0 the base, without a copy: they may not change while it
        is used."""
        market = cls.__new__(cls)
        market._begin(valuation_date, index, states, None, bumped=False)
        return market

    @property
    def along(self) -> Along | None:
        """As `Market.along`: its scenarios happen at once, and have no way."""
        return None

    def with_levels(self, levels: Floats) -> ScenarioMarket:
        """The same base with other scenarios, (n_factors, n_scenarios)."""
        return ScenarioMarket(self.valuation_date, self.index, self.states[:, 0], levels, self.roll, self.bumped)

    def base_only(self) -> ScenarioMarket:
        """The same market without its scenarios."""
        return self.with_levels(self.states[:, :0])

    def level(self, risk_factor_id: str) -> Floats:
        """Levels of one risk factor, shape (n_states,)."""
        row: Floats = self.states[self.index.row[self.index.require(risk_factor_id)]]
        return row

    def levels(self, risk_factor_ids: Sequence[str]) -> Floats:
        """Levels of shape (len(ids), n_states)."""
        row = self.index.row
        for risk_factor_id in set(risk_factor_ids) - row.keys():
            self.index.require(risk_factor_id)
        return self.states.take([row[i] for i in risk_factor_ids], axis=0)

    def fx(self, base: str, quote: str) -> Floats:
        """Price of one unit of `base` in `quote`, shape (n_states,); crosses are triangulated in every state."""
        return self.index.cross(base, quote, self.level, np.ones(self.n_states))

    def discount(self, curve: str, times: Floats) -> Floats:
        """Discount factors of shape (len(times), n_states); times in years (Act/365F) from the valuation date, >= 0.

        NaN in a state whose yields allow no positive discount factor.
        """
        if len(times) and not np.min(times) >= 0:
            raise ValueError(f"Expected times from the valuation date on, but received {np.min(times)} years")
        factors = self._factors(curve, times)
        if self.roll is None or self.roll.market != "forwards":
            return factors
        rolled = (self.roll.to - self.roll.since).days / DAYS_A_YEAR
        forward = self._origin_discount(curve, rolled + times) / self._origin_discount(curve, np.array([rolled]))
        return forward[:, None] * (factors / factors[:, :1])

    def survival(self, curve: str, times: Floats) -> Floats:
        """Survival probabilities of shape (len(times), n_states) on a credit curve, given survival to the valuation date.

        times : years (Act/365F) from the valuation date, >= 0. In a rolled market the base is exactly that of the market date: with
        forwards realised S(T + t) / S(T), given survival to the valuation date; with constant curves S(t), though quoted swaps
        mature on other days then. NaN in a state whose spreads no hazard rate gives.
        """
        factors = curves.interpolated_discount_factors(*self._survival_curve(curve), times)
        if self._origin is None:
            return factors
        market, years = self._origin
        before = market.survival(curve, np.append(years, years + times))[:, :1]
        survival: Floats = before[1:] / before[0] * (factors / factors[:, :1])
        return survival

    def nodes(self, curve: str) -> Floats:
        """Times in years, (n,), between which the forward rate, or the hazard rate of a credit curve, is constant in every state."""
        if self.index.curve(curve)[0].type in CREDIT:
            nodes, _ = self._survival_curve(curve)
        else:
            self._interpolated(curve, np.empty(0), origin=False)
            nodes, _ = self._curves[curve, False]
        if self._origin is None:
            return nodes
        market, years = self._origin
        before = market.nodes(curve) - years
        return np.unique(np.concatenate([nodes, before[before > 0.0]]))

    @functools.cached_property
    def _origin(self) -> tuple[ScenarioMarket, float] | None:
        """The base market that this one is rolled from, and the years by which its curves have moved on; none where it was observed."""
        if self.roll is None or self.roll.market == "observed":
            return None
        base, days = self.roll.origin, (self.roll.to - self.roll.since).days
        years = days / DAYS_A_YEAR if self.roll.market == "forwards" else 0.0
        return ScenarioMarket(self.roll.since, self.index, base, np.empty((len(base), 0))), years

    def _survival_curve(self, curve: str) -> tuple[Floats, Floats]:
        if curve not in self._survival_curves:
            self._survival_curves[curve] = survival_curve(self, curve)
        return self._survival_curves[curve]

    def passed(self, day: dt.date) -> ScenarioMarket | None:
        """As `Market.passed`: nothing is known of the days of a roll."""
        return None

    def fixed_growth(self, curve: str, first: dt.date, last: dt.date) -> float:
        """What a unit grows to from `first` to `last` at the rate that the roll fixes on `first`, in every state.

        With forwards realised that is the forward rate of the market date; with a constant curve the curve itself gives it.
        `first` lies in the roll; scenarios happen at its end and do not reach back.
        """
        if self.roll is None or not self.roll.since <= first <= self.roll.to:
            raise ValueError(f"Expected a day of the roll, but received {first} with {self.roll}")
        begin = self.roll.since if self.roll.market == "forwards" else first
        days = np.array([(first - begin).days, (last - begin).days])
        start, end = self._origin_discount(curve, days / DAYS_A_YEAR).tolist()
        return float(start / end)

    def _origin_discount(self, curve: str, times: Floats) -> Floats:
        """Discount factors (len(times),) of the curve as it was on the date the market is rolled from."""
        factors: Floats = self._factors(curve, times, origin=True)[:, 0]
        return factors

    def _factors(self, curve: str, times: Floats, origin: bool = False) -> Floats:
        """Discount factors (len(times), n_states) of the curve's pillars; of `origin` as they were where the roll began."""
        factors = self._interpolated(curve, times, origin)
        if curve in self._unsolved and not np.isfinite(factors[:, 0]).all():
            raise NotValuable("no_solution", self._unsolved[curve])
        return factors

    def _interpolated(self, curve: str, times: Floats, origin: bool) -> Floats:
        key = (curve, origin)
        if key not in self._curves:
            self._curves[key] = self._build(curve, origin)
        return curves.interpolated_discount_factors(*self._curves[key], times)

    def _build(self, name: str, origin: bool) -> tuple[Floats, Floats]:
        pillars = discount_pillars(self.index, name)
        states, day = self.states, self.valuation_date
        if origin:
            assert self.roll is not None
            states, day = self.roll.origin[:, None], self.roll.since
        if not is_quoted(pillars):
            times = np.array([tenor_years(f.pillar or "") for f in pillars])
            levels = states.take([self.index.row[f.risk_factor_id] for f in pillars], axis=0)
            return BUILDERS[pillars[0].type](times, levels)
        made = quoted_curve(self.index, name, day)
        levels = states.take([self.index.row[f.risk_factor_id] for f in made.pillars], axis=0)
        products = made.products(lambda c, days: self._interpolated(c, days / DAYS_A_YEAR, origin), states.shape[1])
        logs = bootstrap.bootstrapped(made.equations, levels, products)
        if (unsolved := made.unsolved(logs[:, 0], levels[:, 0], products[:, 0])) is not None:
            self._unsolved[name] = (
                f"Curve {name} has no discount factor at pillar {unsolved.pillar} ({unsolved.risk_factor_id}): none reprices its "
                f"quote of {levels[made.pillars.index(unsolved), 0]:g} beside the shorter ones."
            )
        return made.days / DAYS_A_YEAR, logs
