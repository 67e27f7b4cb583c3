"""The market along paths: on any day a full market of the base and one state a path, as pricers see it.

State 0 is the market of the first date with its forwards come true; state 1 + i is path i. On a date of the grid levels are what was
drawn; on a day between two dates of the grid those of the same path, drawn given both ends (each driver by itself, so that what ties
two drivers together are the ends). A discount curve at t is the closed formula of its model and no interpolation: the base curve
seen from t, times a factor that all curves of a currency share.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

import numpy as np

from lake.arrays import Floats
from lake.canonical import digest
from lake.errors import BadInput
from scenarios.kernels.random_blocks import PATHS, Sampler
from scenarios.simulated.simulated_levels import SimulatedLevels
from scenarios.types import SHARES, MissingRiskFactor, RiskFactor, Roll, tenor_years
from valuation.kernels import path_models
from valuation.kernels.quotes import QUOTES
from valuation.market import credit_curves
from valuation.market.dividends import going_ex
from valuation.market.path_model import Driver, Kind, PathModel, years_between
from valuation.market.quoted_curves import quoted_curve
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket, discount_pillars, is_quoted
from valuation.types import Along, Market

_KEPT_DAYS = 8  # markets of days that are kept at hand
_KEPT_BYTES = 64 << 20  # of growths of a unit from one day to another


class PathMarkets:
    """Markets of the paths `first` to `stop - 1` of a model on any day; `first` is a multiple of PATHS.

    reads : on real-world paths the risk factors whose levels are made; all of them where None.
    """

    def __init__(
        self, model: PathModel, first: int = 0, stop: int | None = None, reads: Collection[str] | None = None
    ) -> None:
        stop = model.settings.paths if stop is None else min(stop, model.settings.paths)
        if first % PATHS or not 0 <= first < stop:
            raise ValueError(f"Expected a block of paths from a multiple of {PATHS} on, but received {first} to {stop}")
        self.model, self.first, self.stop = model, first, stop
        self.n_paths = stop - first
        self.market_date = model.as_of
        self.base = model.base_market()
        self.real = model.settings.measure == "real_world"
        self._reads = reads
        self._days: OrderedDict[dt.date, PathMarket | RealMarket] = OrderedDict()
        self._growths: OrderedDict[tuple[str, dt.date, dt.date, bool], Floats] = OrderedDict()
        self._between: OrderedDict[tuple[int, dt.date], Floats] = OrderedDict()
        self.place = {(d.kind, d.name): i for i, d in enumerate(model.drivers)}
        self.n_reverting = sum(d.mean_reversion is not None for d in model.drivers)

    def moved(self, model: PathModel) -> PathMarkets:
        """Markets of the same draws from other levels and volatilities: what was drawn is shared where the rates move as they did."""
        other = PathMarkets(model, self.first, self.stop, self._reads)
        if not self.real and _drawn_as(model) == _drawn_as(self.model) and model.correlation is self.model.correlation:
            other.__dict__["states"], other._between = self.states, self._between
        return other

    def anew(self) -> PathMarkets:
        """The same paths with nothing kept of single days, for another thread: what was drawn is shared."""
        other = PathMarkets(self.model, self.first, self.stop, self._reads)
        other.__dict__["real_levels" if self.real else "states"] = self.real_levels if self.real else self.states
        return other

    @functools.cached_property
    def states(self) -> Floats:
        """Drivers at the dates of the grid, (n_dates, n_rows, n_paths): two rows of each that reverts, one of each other."""
        m, s = self.model, self.model.settings
        reverting = m.drivers[: self.n_reverting]
        a: Floats = np.array([d.mean_reversion for d in reverting], dtype=np.float64)
        sigma: Floats = np.array([d.volatility for d in reverting], dtype=np.float64)
        # drawn of volatilities of one: that of a rate then moves its own rows alone, and no bit of another
        scale = np.append(np.repeat(sigma, 2), np.ones(len(m.drivers) - len(a)))
        days = [m.as_of, *m.dates]
        years = [years_between(one, two) for one, two in itertools.pairwise(days)]
        made: dict[float, Floats] = {}
        for step in years:
            if step not in made:
                covariance = path_models.step_covariance(a, np.ones(len(a)), m.correlation, step)
                made[step] = scale[:, None] * path_models.step_loadings(covariance)
        loadings = [made[step] for step in years]
        n_rows = self.n_reverting + len(m.drivers)
        if not n_rows:
            return np.zeros((len(m.dates), 0, self.n_paths))
        sampler = Sampler(s.sampling, s.seed, len(m.dates), n_rows)
        blocks = [
            path_models.evolved(draws, a, years, loadings)
            for draws in sampler.blocks(self.first // PATHS, -(-self.stop // PATHS))
        ]
        return np.ascontiguousarray(np.concatenate(blocks, axis=2)[:, :, : self.n_paths])

    @functools.cached_property
    def real_levels(self) -> Floats:
        """Levels of real-world paths at the dates of the grid, (n_factors, n_dates, n_paths); the base of factors that are not read."""
        model = self.model
        generated = SimulatedLevels(
            model.process(),
            np.array([model.base[model.index.row[i]] for i in model.moved]),
            model.shift_types,
            np.zeros(len(model.moved)),
            model.loadings,
            np.zeros((len(model.moved), 0)),
        )
        k = len(model.dates)
        levels = np.repeat(model.base, k * self.n_paths).reshape(len(model.base), k, self.n_paths)
        wanted = [r for r, i in enumerate(model.moved) if self._reads is None or i in self._reads]
        if wanted:
            made = generated.block(self.first * k, self.stop * k, np.array(wanted, dtype=np.intp))
            rows = [model.index.row[model.moved[r]] for r in wanted]
            levels[rows] = made.reshape(len(wanted), self.n_paths, k).transpose(0, 2, 1)
        return levels

    def rows_of(self, i: int) -> slice:
        """The rows of `states` of a driver."""
        return (
            slice(2 * i, 2 * i + 2) if i < self.n_reverting else slice(self.n_reverting + i, self.n_reverting + i + 1)
        )

    def driver(self, i: int, day: dt.date) -> Floats:
        """Rows of a driver on a day from the first date to the last of the grid, (d, n_paths)."""
        dates, of = self.model.dates, self.rows_of(i)
        k = bisect.bisect_left(dates, day)
        if k == len(dates):
            raise BadInput(f"The paths end on {dates[-1]}; {day} lies beyond.")
        late = self.states[k, of]
        if dates[k] == day:
            return late
        start = dates[k - 1] if k else self.model.as_of
        early = self.states[k - 1, of] if k else np.zeros_like(late)
        if day <= self.model.as_of:
            return np.zeros_like(late)
        if (i, day) not in self._between:
            d = self.model.drivers[i]
            normal = self.drawn(f"{d.kind} {d.name}", day, len(late), normal=True)
            between = years_between(start, day), years_between(day, dates[k])
            drawn = path_models.bridge(d.mean_reversion, d.volatility, *between, early, late, normal)
            drawn.setflags(write=False)
            self._between[i, day] = drawn
        self._between.move_to_end((i, day))
        made = self._between[i, day]
        while len(self._between) * 16 * self.n_paths > _KEPT_BYTES:
            self._between.popitem(last=False)
        return made

    def drawn(self, name: str, day: dt.date, rows: int, *, normal: bool) -> Floats:
        """Numbers (rows, n_paths) of a name and day alone, whatever else is drawn: normals, or uniforms in (0, 1)."""
        s = self.model.settings
        key = int(digest(name)[:15], 16)
        out = np.empty((rows, -(-self.n_paths // PATHS) * PATHS))
        for b, block in enumerate(range(self.first // PATHS, -(-self.stop // PATHS))):
            generator = np.random.Generator(np.random.Philox(key=s.seed, counter=[0, key, block, day.toordinal()]))
            mirrored = s.sampling == "antithetic"
            n = PATHS // 2 if mirrored else PATHS
            drawn = generator.standard_normal((rows, n)) if normal else generator.random((rows, n))
            if mirrored:
                drawn = np.stack([drawn, -drawn if normal else drawn], axis=-1).reshape(rows, PATHS)
            out[:, b * PATHS : (b + 1) * PATHS] = drawn
        numbers = out[:, : self.n_paths]
        return numbers if normal else (1.0 - numbers) * (1.0 - 2.0**-53) + 2.0**-54

    def market(self, day: dt.date) -> Market:
        """The market of a day: that of the first date up to it, and of the paths from then on."""
        if day <= self.market_date:
            return self.base
        return self.at(day)

    def at(self, day: dt.date) -> PathMarket | RealMarket:
        """The market of the paths on a day after the first date."""
        if day not in self._days:
            self._days[day] = RealMarket(self, day) if self.real else PathMarket(self, day)
        self._days.move_to_end(day)
        while len(self._days) > _KEPT_DAYS:
            self._days.popitem(last=False)
        return self._days[day]

    def growth(self, curve: str, first: dt.date, last: dt.date, *, compounded: bool) -> Floats:
        """What a unit grows to, (n_states,), at the rate of the curve on `first`, or rolled at the short rate from there to `last`."""
        key = (curve, first, last, compounded)
        if key not in self._growths:
            made = self._compounded(curve, first, last) if compounded else self._fixed(curve, first, last)
            self._growths[key] = np.broadcast_to(made, (1 + self.n_paths,))
        self._growths.move_to_end(key)
        while len(self._growths) * 8 * self.n_paths > _KEPT_BYTES:
            self._growths.popitem(last=False)
        return self._growths[key]

    def _fixed(self, curve: str, first: dt.date, last: dt.date) -> Floats:
        growth: Floats = 1.0 / self.market(first).discount(curve, np.array([years_between(first, last)]))[0]
        return growth

    def _compounded(self, curve: str, first: dt.date, last: dt.date) -> Floats:
        days = [first, *(d for d in self.model.dates if first < d < last), last]
        growth: Floats = np.ones(1 + self.n_paths)
        for one, two in itertools.pairwise(days):
            if self.real or self.rate_of(curve) is None:
                growth = growth * self._fixed(curve, one, two)
            else:
                growth = growth * (self._bank(curve, two) / self._bank(curve, one))
        return growth

    def rate_of(self, curve: str) -> int | None:
        """The driver of the rates of a curve's currency; None where they do not move."""
        return self.place.get(("rate", self.model.index.curve(curve)[0].currency))

    def _bank(self, curve: str, day: dt.date) -> Floats:
        """What a unit put at the short rate of a curve on the first date has become, (n_states,)."""
        time = years_between(self.model.as_of, day)
        forward = 1.0 / self.base.discount(curve, np.array([max(time, 0.0)]))[0]
        i = self.rate_of(curve)
        if i is None or time <= 0.0:
            return np.broadcast_to(forward, (1 + self.n_paths,))
        account: Floats = forward * _with_base(path_models.exponentials(self.integral(i, day)))
        return account

    def integral(self, i: int, day: dt.date) -> Floats:
        """Of a rate: half the variance of the integral of its state, plus that integral under the numeraire, (n_paths,)."""
        d, time = self.model.drivers[i], years_between(self.model.as_of, day)
        assert d.mean_reversion is not None
        half = 0.5 * path_models.integral_variance(d.volatility, d.mean_reversion, time)
        drift = self.quanto(i) * path_models.integral_of_slope(d.mean_reversion, time)
        whole: Floats = half + drift + self.driver(i, day)[1]
        return whole

    def quanto(self, i: int) -> float:
        """What a driver of another currency than the numeraire drifts by a year as the numeraire changes: -rho sigma sigma_X."""
        d = self.model.drivers[i]
        x = self.place.get(("fx", d.currency)) if d.kind != "fx" else None
        if x is None or d.kind in ("credit", "price_index"):
            return 0.0
        return -float(self.model.correlation[i, x]) * d.volatility * self.model.drivers[x].volatility


def _drawn_as(model: PathModel) -> tuple[object, ...]:
    """What `PathMarkets.states` and what lies between them are made of, besides the correlation."""
    drivers = [
        (d.kind, d.name, d.mean_reversion, None if d.mean_reversion is None else d.volatility) for d in model.drivers
    ]
    return model.as_of, model.dates, model.settings, drivers


def _with_base(states: Floats, base: float = 1.0) -> Floats:
    """(n_states,) of paths, with that of the base before them."""
    return np.concatenate([[base], states])


class _Along(Along):
    """What both kinds of paths know of the way to a day."""

    paths: PathMarkets
    valuation_date: dt.date

    def growth(self, curve: str, first: dt.date, last: dt.date) -> Floats:
        return self.paths.growth(curve, first, last, compounded=False)

    def compounded(self, curve: str, first: dt.date, last: dt.date) -> Floats:
        return self.paths.growth(curve, first, last, compounded=True)

    def on(self, day: dt.date) -> Market:
        return self.paths.market(day)

    def squares(self, risk_factor_id: str, since: dt.date) -> Floats:
        first = max(since, self.paths.market_date)
        days = [first, *(d for d in self.paths.model.dates if first < d < self.valuation_date), self.valuation_date]
        total: Floats = np.zeros(1 + self.paths.n_paths)
        before = self.on(first).level(risk_factor_id)
        for one, two in itertools.pairwise(days):
            if two <= one:
                continue
            after = self.on(two).level(risk_factor_id)
            move = np.log(after / before)
            total[1:] += (move * move)[1:]
            before = after
        return total


def extreme_of(
    paths: PathMarkets,
    name: str,
    early: Floats,
    late: Floats,
    volatility: float,
    first: dt.date,
    last: dt.date,
    *,
    lowest: bool,
) -> Floats:
    """The least (or greatest) logarithm that a price reaches between two days on each path, (n_paths,), given those on both."""
    drawn = paths.drawn(f"{'low' if lowest else 'high'} {name}", last, 1, normal=False)[0]
    return path_models.extreme(early, late, volatility * volatility * years_between(first, last), drawn, lowest=lowest)


class PathMarket(_Along):
    """Risk-neutral paths on a day; see `valuation.types.Market`."""

    bumped = False

    def __init__(self, paths: PathMarkets, day: dt.date) -> None:
        self.paths, self.valuation_date, self.index = paths, day, paths.model.index
        self.n_states = 1 + paths.n_paths
        self.roll: Roll | None = Roll(paths.market_date, day, "observed", paths.model.base)
        self.time = years_between(paths.market_date, day)
        self._rows: dict[str, Floats] = {}
        self._curves: dict[str, Floats] = {}

    @property
    def along(self) -> Along | None:
        return self

    @functools.cached_property
    def states(self) -> Floats:
        """Levels of all factors, (n_factors, n_states); made only where they are asked for."""
        return self.levels(list(self.index.row))

    def with_levels(self, levels: Floats) -> ScenarioMarket:
        return ScenarioMarket(self.valuation_date, self.index, self.states[:, 0], levels, self.roll)

    def passed(self, day: dt.date) -> Market | None:
        return None

    def fixed_growth(self, curve: str, first: dt.date, last: dt.date) -> float:
        raise ValueError("On paths every state has a growth of its own: ask `along`")

    def driver(self, kind: Kind, name: str) -> tuple[int, Driver, Floats] | None:
        i = self.paths.place.get((kind, name))
        return None if i is None else (i, self.paths.model.drivers[i], self.paths.driver(i, self.valuation_date))

    def levels(self, risk_factor_ids: Sequence[str]) -> Floats:
        return np.array([self.level(i) for i in risk_factor_ids]).reshape(len(risk_factor_ids), self.n_states)

    def level(self, risk_factor_id: str) -> Floats:
        if risk_factor_id not in self._rows:
            made = self._level(self.index.factors[self.index.row[self.index.require(risk_factor_id)]])
            made = np.ascontiguousarray(np.broadcast_to(made, (self.n_states,)))
            made.setflags(write=False)
            self._rows[risk_factor_id] = made
        return self._rows[risk_factor_id]

    def _level(self, f: RiskFactor) -> Floats:
        base = self.paths.base.level(f.risk_factor_id)[0]
        if f.type == "fx_rate":
            one, two = f.risk_factor_id[-6:-3], f.risk_factor_id[-3:]
            return np.asarray(base * (self.currency_growth(one) / self.currency_growth(two)))
        if f.type in SHARES:
            return self._share(f, float(base))
        if f.type in ("commodity_price", "price_index"):
            carry = self.paths.model.carry.costs.get(f.risk_factor_id, 0.0) if f.type == "commodity_price" else 0.0
            moved = self.driver("commodity" if f.type == "commodity_price" else "price_index", f.risk_factor_id)
            forward = float(base) * math.exp(carry * self.time)
            # a commodity earns the short rate as a share does; a price index is swapped at rates that do not move
            more = self._short_integral(f.currency) if f.type == "commodity_price" else 0.0
            return (
                np.full(self.n_states, forward) if moved is None else np.asarray(forward * self._lognormal(moved, more))
            )
        if f.curve and f.type in credit_curves.TYPES:
            return self._pillar(f, self.index.curve(f.curve))
        if f.type in ("credit_spread", "credit_yield"):
            return np.asarray(base * self._credit(f.risk_factor_id))
        if f.curve and self.paths.rate_of(f.curve) is not None:
            try:
                return self._pillar(f, discount_pillars(self.index, f.curve))
            except MissingRiskFactor:
                return np.full(self.n_states, base)
        return np.full(self.n_states, base)

    def _pillar(self, f: RiskFactor, pillars: Sequence[RiskFactor]) -> Floats:
        """What a pillar of a curve is quoted at, (n_states,)."""
        quoted: Floats = self._quoted(f.curve or "")[[p.risk_factor_id for p in pillars].index(f.risk_factor_id)]
        return quoted

    def _lognormal(self, moved: tuple[int, Driver, Floats] | None, more: Floats | float = 0.0) -> Floats:
        """A lognormal factor of mean 1 (n_states,), times exp(more); 1 where nothing moves it."""
        if moved is None:
            return np.ones(self.n_states) if isinstance(more, float) else _with_base(path_models.exponentials(more))
        i, d, rows = moved
        log = d.volatility * rows[0] - 0.5 * d.volatility * d.volatility * self.time + self.paths.quanto(i) * self.time
        return _with_base(path_models.exponentials(np.ascontiguousarray(log + more)))

    def _credit(self, name: str) -> Floats:
        moved = self.driver("credit", name)
        if moved is None:
            return np.ones(self.n_states)
        _, d, rows = moved
        assert d.mean_reversion is not None
        variance = (
            d.volatility * d.volatility * float(path_models.slope(2.0 * d.mean_reversion, np.array([self.time]))[0])
        )
        return _with_base(path_models.exponentials(rows[0] - 0.5 * variance))

    def _short_integral(self, currency: str) -> Floats | float:
        i = self.paths.place.get(("rate", currency))
        return 0.0 if i is None else self.paths.integral(i, self.valuation_date)

    def forward_growth(self, currency: str, until: float | None = None) -> float:
        """What a unit grows to at the forward rates of the first date, to this day or from it on."""
        curve = self.paths.model.curves.get(currency)
        time = self.time if until is None else until
        if curve is not None:
            return 1.0 / float(self.paths.base.discount(curve, np.array([time]))[0, 0])
        return math.exp(self.paths.model.carry.rates.get(currency, 0.0) * time)

    def currency_growth(self, currency: str) -> Floats:
        """Price of the currency in the numeraire, over what it was on the first date, (n_states,)."""
        numeraire = self.paths.model.settings.numeraire
        if currency == numeraire:
            return np.ones(self.n_states)
        if f"FX:{currency}" not in self._curves:
            moved = self.driver("fx", currency)
            forward = self.forward_growth(numeraire) / self.forward_growth(currency)
            if moved is None:
                grown = np.full(self.n_states, forward)
            else:
                more = self._short_integral(numeraire) - self._short_integral(currency)
                grown = forward * self._lognormal(moved, more)
            self._curves[f"FX:{currency}"] = np.asarray(grown)
        return self._curves[f"FX:{currency}"]

    def _share(self, f: RiskFactor, base: float) -> Floats:
        """A share less the value of the dividends it pays by then moves lognormally, and they at the short rate."""
        carry, paths = self.paths.model.carry, self.paths
        q = carry.dividend_yields.get(f.risk_factor_id, 0.0)
        moved = self.driver("share", f.risk_factor_id)
        growth = self.forward_growth(f.currency)
        paid = 0.0
        if f.risk_factor_id in carry.cash_dividends:
            for day, dividend in going_ex(self.index, f.risk_factor_id, paths.market_date, self.valuation_date):
                ex = years_between(paths.market_date, day)
                paid += float(paths.base.level(dividend)[0]) * math.exp(q * ex) / self.forward_growth(f.currency, ex)
        start = (base - paid) * math.exp(-q * self.time) * growth
        if moved is None:
            return np.full(self.n_states, start)
        return start * self._lognormal(moved, self._short_integral(f.currency))

    def fx(self, base: str, quote: str) -> Floats:
        return self.index.cross(base, quote, self.level, np.ones(self.n_states))

    def _ahead(self, factors: Callable[[str, Floats], Floats], name: str, times: Floats) -> Floats:
        """Logarithms of base factors from this day on, (n,)."""
        both = np.log(factors(name, np.append(self.time, self.time + np.asarray(times)))[:, 0])
        ahead: Floats = both[1:] - both[0]
        return ahead

    def discount(self, curve: str, times: Floats) -> Floats:
        constants = self._ahead(self.paths.base.discount, curve, times)
        i = self.paths.rate_of(curve)
        if i is None:
            return np.repeat(path_models.exponentials(constants)[:, None], self.n_states, axis=1)
        d = self.paths.model.drivers[i]
        assert d.mean_reversion is not None
        a, variance = d.mean_reversion, d.volatility * d.volatility
        one = np.array([self.time])
        b, here = path_models.slope(a, np.asarray(times)), float(path_models.slope(a, one)[0])
        spread = float(path_models.slope(2.0 * a, one)[0])
        moved = constants - b * (0.5 * variance * here * here) - 0.5 * b * b * variance * spread
        out = np.empty((len(b), self.n_states))
        out[:, 0] = path_models.exponentials(constants)
        out[:, 1:] = path_models.affine_factors(moved, b, self.state(i))
        return out

    def state(self, i: int) -> Floats:
        """State x of a rate under the numeraire, (n_paths,)."""
        key = f"x:{i}"
        if key not in self._curves:
            d = self.paths.model.drivers[i]
            assert d.mean_reversion is not None
            drift = self.paths.quanto(i) * float(path_models.slope(d.mean_reversion, np.array([self.time]))[0])
            self._curves[key] = np.ascontiguousarray(self.paths.driver(i, self.valuation_date)[0] + drift)
        return self._curves[key]

    def survival(self, curve: str, times: Floats) -> Floats:
        logs = self._ahead(self.paths.base.survival, curve, times)
        return path_models.affine_factors(np.zeros(len(logs)), -logs, self._credit(curve))

    def nodes(self, curve: str) -> Floats:
        later = self.paths.base.nodes(curve) - self.time
        return np.append(0.0, later[later > 0.0])

    def bank_discount(self, currency: str) -> Floats:
        """One over the bank account of a currency, (n_states,)."""
        grown = self._short_integral(currency)
        discount = 1.0 / self.forward_growth(currency)
        if isinstance(grown, float):
            return np.full(self.n_states, discount)
        return discount * _with_base(path_models.exponentials(-grown))

    def _quoted(self, curve: str) -> Floats:
        """What the pillars of a curve are quoted at, (n_pillars, n_states)."""
        if curve not in self._curves:
            self._curves[curve] = self._quotes(curve)
        return self._curves[curve]

    def _quotes(self, curve: str) -> Floats:
        index, day = self.index, self.valuation_date
        pillars = index.curve(curve)
        columns: list[Floats] = []
        for s in range(self.n_states):
            if pillars[0].type in credit_curves.TYPES:
                made = credit_curves.credit_curve(index, curve, day)
                quoted = made.quoted
                discount, nodes, recovery = None, self.nodes(curve), 0.0
                if quoted is not None:
                    discount = _column(self.discount, quoted.discount_curve, s)
                    nodes = np.append(nodes, self.nodes(quoted.discount_curve))
                    recovery = float(credit_curves.recoveries(self, [quoted.recovery])[0, s])
                columns.append(
                    credit_curves.quotes(index, curve, day, _column(self.survival, curve, s), discount, nodes, recovery)
                )
            elif is_quoted(discount_pillars(index, curve)):
                seen = functools.partial(_seen, self.discount, s)
                columns.append(quoted_curve(index, curve, day).quotes(seen))
            else:
                times = np.array([tenor_years(f.pillar or "") for f in pillars])
                columns.append(QUOTES[pillars[0].type](_column(self.discount, curve, s), times))
        return np.array(columns).T


def _column(factors: Callable[[str, Floats], Floats], curve: str, state: int) -> Callable[[Floats], Floats]:
    return lambda times: np.ascontiguousarray(factors(curve, times)[:, state])


def _seen(factors: Callable[[str, Floats], Floats], state: int, curve: str, days: Floats) -> Floats:
    return np.ascontiguousarray(factors(curve, np.asarray(days) / DAYS_A_YEAR)[:, state])


class RealMarket(_Along, ScenarioMarket):
    """Real-world paths on a day: every factor moves as in the history, curves at constant maturity."""

    def __init__(self, paths: PathMarkets, day: dt.date) -> None:
        model = paths.model
        self.paths = paths
        dates = model.dates
        k = bisect.bisect_left(dates, day)
        if k == len(dates):
            raise BadInput(f"The paths end on {dates[-1]}; {day} lies beyond.")
        late = paths.real_levels[:, k]
        levels = late
        if dates[k] != day:
            start = dates[k - 1] if k else model.as_of
            early = paths.real_levels[:, k - 1] if k else np.broadcast_to(model.base[:, None], late.shape)
            share = (day - start).days / (dates[k] - start).days
            positive = (early > 0.0) & (late > 0.0)
            with np.errstate(all="ignore"):
                grown = early * np.power(late / early, share)
            levels = np.where(positive, grown, early + share * (late - early))
        roll = Roll(model.as_of, day, "observed", model.base)
        ScenarioMarket.__init__(self, day, model.index, model.base, levels, roll)

    @property
    def along(self) -> Along | None:
        return self

    def bank_discount(self, currency: str) -> Floats:
        curve = self.paths.model.curves.get(currency)
        if curve is None:
            return np.full(
                self.n_states,
                math.exp(
                    -self.paths.model.carry.rates.get(currency, 0.0)
                    * years_between(self.paths.market_date, self.valuation_date)
                ),
            )
        return 1.0 / self.paths.growth(curve, self.paths.market_date, self.valuation_date, compounded=True)
