"""What contracts are worth on every path at every date of a grid, and the cash they pay on the way. Pure: no files, no Spark.

A contract is aged along each path: cash flows leave it as they are paid, rates and prices fix on the path, what expires settles, what
touches a barrier is made or ended, and what may be exercised early is, where that is worth more than to wait. What is settled or
exercised is cash, in the interval after the day it was still worth that.
A contract's bits depend on its terms and the paths alone: not on its neighbours in the batch, nor on the block of paths it is valued in.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lake.arrays import Bools, Floats
from lake.progress import allowance
from lake.runtime.machine import keep_freed_memory
from scenarios.kernels.random_blocks import PATHS
from valuation.batch import ANYTHING, MOST_VALUE, failure_reason
from valuation.catalogue import factors_of, instrument, terms_from_json
from valuation.instruments.barrier_options import INTERVALS, BarrierOption
from valuation.instruments.early_exercise import AmericanTerms
from valuation.instruments.rates import bermudan_swaption
from valuation.market.path_market import PathMarkets, extreme_of
from valuation.market.path_model import PathModel
from valuation.types import Contract, InstrumentTerms, Market, NotValuable, RolledMarkets, ValuationFailure

BLOCK_BYTES = 64 << 20  # of drivers held at once
_SHIFT = 0.5825971579390106  # -zeta(1/2) / sqrt(2 pi), by which a barrier watched on some days lies further off
_SAME = 1e-9  # of the strike: an American option this near to what exercise gives is exercised


@dataclass(frozen=True)
class PathBlock:
    """Per unit of each contract, in its currency: base (n,) today; values, cash (n, n_dates, n_paths), cash that of the interval up to
    each date. cost_us : (n,) microseconds of a core. failures : the contracts that are in none of these, with the first reason."""

    contract_ids: tuple[str, ...]
    currencies: tuple[str, ...]
    base: Floats
    values: Floats
    cash: Floats
    cost_us: Floats
    failures: tuple[ValuationFailure, ...] = field(default=())


def path_blocks(model: PathModel) -> list[tuple[int, int]]:
    """(first, stop) of each block of paths worked on at once: whole atoms, so that drivers stay within BLOCK_BYTES."""
    n_rows = 2 * len(model.drivers) + len(model.moved)
    atoms = max(1, BLOCK_BYTES // max(1, 8 * PATHS * n_rows * len(model.dates)))
    width, n = atoms * PATHS, model.settings.paths
    return [(first, min(first + width, n)) for first in range(0, n, width)]


@np.errstate(all="ignore")  # what is not finite is found and reported with its contract
def value_along(
    contracts: Sequence[Contract], model: PathModel, markets: Callable[[int, int], PathMarkets] | None = None
) -> PathBlock:
    """Values and cash of all contracts, which are different ones. markets : gives those of a block of paths, where they are kept."""
    keep_freed_memory()
    n, dates, paths = len(contracts), model.dates, model.settings.paths
    values, cash = np.empty((n, len(dates), paths)), np.zeros((n, len(dates), paths))
    base, cost = np.full(n, np.nan), np.zeros(n)
    errors: dict[int, BaseException] = {}
    terms: dict[int, InstrumentTerms] = {}
    for i, contract in enumerate(contracts):
        try:
            terms[i] = _readable(contract, model)
        except ANYTHING as error:
            errors[i] = error
    for first, stop in path_blocks(model):
        made = markets(first, stop) if markets is not None else PathMarkets(model, first, stop)
        by_type: dict[str, list[int]] = {}
        for i, t in terms.items():
            if i not in errors:
                by_type.setdefault(t.instrument_type, []).append(i)
        for places in by_type.values():
            allowance().heed()
            started = time.thread_time()
            batch = _Batch([terms[i] for i in places], made, first == 0)
            out = values[:, :, first:stop], cash[:, :, first:stop]
            batch.run(places, *out, base, errors)
            cost[places] += (time.thread_time() - started) * 1e6 / len(places)
    kept = [i for i in range(n) if i not in errors]
    whole = len(kept) == n
    return PathBlock(
        tuple(contracts[i].contract_id for i in kept),
        tuple(terms[i].currency for i in kept),
        base if whole else base[kept],
        values if whole else values[kept],
        cash if whole else cash[kept],
        cost if whole else cost[kept],
        tuple(ValuationFailure(*contracts[i][:2], *failure_reason(errors[i])) for i in sorted(errors)),
    )


def _readable(contract: Contract, model: PathModel) -> InstrumentTerms:
    stage = "terms"
    try:
        terms = terms_from_json(contract.instrument_type, contract.terms)
        stage = "check"
        terms.check(model.as_of)
        stage = "factors"
        factors_of(terms, model.index, model.as_of)
        return terms
    except ANYTHING as error:
        error.stage = stage  # type: ignore[union-attr]
        raise


@dataclass
class _Interval(RolledMarkets):
    """The markets of an interval of the grid as `cash_flows` asks for them: what has been paid by its first day is past."""

    market_date: dt.date
    paths: PathMarkets

    def market(self, day: dt.date) -> Market:
        return self.paths.market(day)


class _Batch:
    """Contracts of one instrument type, aged together along a block of paths."""

    def __init__(self, terms: Sequence[InstrumentTerms], paths: PathMarkets, with_base: bool) -> None:
        self.terms, self.paths, self.with_base = terms, paths, with_base
        self.module = instrument(terms[0].instrument_type)
        self.ageing = [_ageing(t, paths) for t in terms]

    def run(
        self, places: Sequence[int], values: Floats, cash: Floats, base: Floats, errors: dict[int, BaseException]
    ) -> None:
        """Fills rows `places` of values and cash (n, n_dates, n_paths of the block), and enters the contracts that fail."""
        alive = list(range(len(self.terms)))
        if self.with_base:
            for row, found in self._valued(alive, self.paths.base):
                if isinstance(found, BaseException):
                    errors[places[row]] = found
                else:
                    base[places[row]] = found[0]
                    if not np.isfinite(found[0]):
                        errors[places[row]] = NotValuable("non_finite", "Its value today is not a finite number.")
            alive = [row for row in alive if places[row] not in errors]
        before = self.paths.market_date
        matured: set[int] = set()
        for k, day in enumerate(self.paths.model.dates):
            interval = _Interval(before, self.paths)
            market = self.paths.at(day)
            for row in alive:
                if row in matured:
                    continue
                try:
                    self.ageing[row].passed(before, day)
                    cash[places[row], k] = self._paid(row, interval, day)
                except ANYTHING as error:
                    errors[places[row]] = _staged(error, "cash")
            alive = [row for row in alive if places[row] not in errors]
            ended, living = [], []
            for row in alive:
                try:
                    if row not in matured:
                        self.terms[row].check(day, self.paths.market_date)
                        living.append(row)
                        continue
                except NotValuable as error:
                    if error.reason != "matured":
                        errors[places[row]] = _staged(error, "check")
                        continue
                ended.append(row)
            for row in ended:
                matured.add(row)
                values[places[row], k] = 0.0
            for row, found in self._valued(living, market):
                if isinstance(found, BaseException):
                    errors[places[row]] = found
                    continue
                try:
                    values[places[row], k] = self.ageing[row].worth(market, found[1:])
                except ANYTHING as error:
                    errors[places[row]] = _staged(error, "value")
            for row in alive:
                place = places[row]
                if place not in errors and not _sound(values[place, k], cash[place, k]):
                    errors[place] = NotValuable("non_finite", _non_finite(values[place, k], cash[place, k], day))
            alive = [row for row in alive if places[row] not in errors]
            before = day

    def _paid(self, row: int, interval: _Interval, day: dt.date) -> Floats:
        """Cash of the interval up to a day, (n_paths,)."""
        return self.ageing[row].paid(lambda t: _cash(self.module, t, interval, day), interval, day)

    def _valued(self, rows: Sequence[int], market: Market) -> Iterator[tuple[int, Floats | BaseException]]:
        """Values (n_states,) of each row, or its error: together where that works, else one at a time."""
        if not rows:
            return
        try:
            together = self._value([self.terms[row] for row in rows], market)
        except ANYTHING:
            for row in rows:
                try:
                    yield row, self._value([self.terms[row]], market)[0]
                except ANYTHING as error:
                    yield row, _staged(error, "value")
            return
        yield from zip(rows, together, strict=True)

    def _value(self, terms: Sequence[Any], market: Market) -> Floats:
        values = self.module.value(terms, market)
        if values.shape != (len(terms), market.n_states):
            raise ValueError(
                f"Expected values of shape {(len(terms), market.n_states)}, but the pricer gave {values.shape}"
            )
        return values


def _staged(error: BaseException, stage: str) -> BaseException:
    if not hasattr(error, "stage"):
        error.stage = stage  # type: ignore[attr-defined]
    return error


def _cash(module: Any, terms: Any, interval: RolledMarkets, day: dt.date) -> Floats:
    """Sum of what one unit pays in the interval, (n_states,), in order of the days."""
    n = interval.market(day).n_states
    total: Floats = np.zeros(n)
    for flow in sorted(module.cash_flows(terms, interval, day), key=lambda f: f.day):
        total = total + flow.amount
    return total


def _sound(values: Floats, cash: Floats) -> bool:
    return bool((np.abs(values) <= MOST_VALUE).all() and (np.abs(cash) <= MOST_VALUE).all())


def _non_finite(values: Floats, cash: Floats, day: dt.date) -> str:
    what = "value" if not (np.abs(values) <= MOST_VALUE).all() else "cash"
    bad = ~(np.abs(values if what == "value" else cash) <= MOST_VALUE)
    return f"Its {what} on {day} is not finite, or beyond {MOST_VALUE:g}, on {int(bad.sum())} of {len(bad)} paths."


class _Plain:
    """How a contract is aged whose terms alone say what it pays."""

    def __init__(self, terms: Any, paths: PathMarkets) -> None:
        self.terms, self.paths = terms, paths

    def passed(self, before: dt.date, day: dt.date) -> None:
        """Called for each interval in turn, before `paid` and `worth`."""

    def paid(self, cash: Callable[[Any], Floats], interval: _Interval, day: dt.date) -> Floats:
        """Cash of the interval (n_paths,); cash : that of terms, (n_states,)."""
        return cash(self.terms)[1:]

    def worth(self, market: Market, values: Floats) -> Floats:
        """Value (n_paths,) on a day on which it has not matured; values : that of the terms as they are."""
        return values


class _Barrier(_Plain):
    """Made or ended by a touch: known on each path from the extreme between two dates, drawn given the prices on both.

    Watched continuously unless the terms say on which days: the barrier then lies further off (Broadie, Glasserman and Kou).
    """

    terms: BarrierOption

    def __init__(self, terms: Any, paths: PathMarkets) -> None:
        super().__init__(terms, paths)
        self.hit = np.full(paths.n_paths, terms.touched(paths.market_date))
        self.new: Bools = np.zeros(paths.n_paths, dtype=np.bool_)
        self.already = terms.touched(paths.market_date)
        on: str | None = getattr(terms, "underlying", None)
        self.of_share = on is not None
        self.name: str = terms.base_currency + terms.currency if on is None else on
        self.after = terms.model_copy(update={"barrier_hit": paths.market_date})

    def spot(self, market: Market) -> Floats:
        """The price that is watched, (n_states,)."""
        return market.level(self.name) if self.of_share else market.fx(self.name[:3], self.name[3:])

    def passed(self, before: dt.date, day: dt.date) -> None:
        self.new = np.zeros_like(self.hit)
        last = min(day, self.terms.expiry)
        if self.already or before >= self.terms.expiry or last <= before:
            return
        down = self.terms.barrier_type.startswith("down")
        early = np.log(np.broadcast_to(self.spot(self.paths.market(before)), (1 + self.paths.n_paths,))[1:])
        late = np.log(self.spot(self.paths.at(last))[1:])
        volatility = self._volatility()
        reached = extreme_of(self.paths, self.name, early, late, volatility, before, last, lowest=down)
        wait = INTERVALS[self.terms.monitoring or "continuous"]
        level = np.log(self.terms.barrier) + (-1.0 if down else 1.0) * _SHIFT * volatility * np.sqrt(wait)
        touches = reached <= level if down else reached >= level
        self.new = touches & ~self.hit
        self.hit = self.hit | touches

    def _volatility(self) -> float:
        """Of the price that is watched, as the paths have it; zero where nothing moves it."""
        model, place = self.paths.model, self.paths.place
        if self.of_share:
            i = place.get(("share", self.name))
            return 0.0 if i is None else model.drivers[i].volatility
        moving = [place["fx", c] for c in (self.name[:3], self.name[3:]) if ("fx", c) in place]
        variance = sum(model.drivers[i].volatility ** 2 for i in moving)
        if len(moving) == 2:
            one, two = (model.drivers[i].volatility for i in moving)
            variance -= 2.0 * float(model.correlation[moving[0], moving[1]]) * one * two
        return float(np.sqrt(max(variance, 0.0)))

    def paid(self, cash: Callable[[Any], Floats], interval: _Interval, day: dt.date) -> Floats:
        if self.already:
            return cash(self.terms)[1:]
        out = np.where(self.hit, cash(self.after)[1:], cash(self.terms)[1:])
        if self.terms.rebate and self.terms.at_touch:
            out = np.where(self.new, self.terms.rebate, np.where(self.hit, 0.0, out))
        return out

    def worth(self, market: Market, values: Floats) -> Floats:
        if self.already or not self.hit.any():
            return values
        after = instrument(self.terms.instrument_type).value([self.after], market)[0, 1:]
        return np.where(self.hit, after, values)


class _American(_Plain):
    """Exercised at the first date of the grid on which it is worth no more than what exercise gives."""

    terms: AmericanTerms

    def __init__(self, terms: Any, paths: PathMarkets) -> None:
        super().__init__(terms, paths)
        self.exercised: Bools = np.zeros(paths.n_paths, dtype=np.bool_)
        self.due: Floats = np.zeros(paths.n_paths)

    def paid(self, cash: Callable[[Any], Floats], interval: _Interval, day: dt.date) -> Floats:
        settled = cash(self.terms)[1:]
        out = np.where(self.exercised, self.due, settled)
        self.due = np.zeros_like(self.due)
        return out

    def worth(self, market: Market, values: Floats) -> Floats:
        t: Any = self.terms
        spot = market.level(t.underlying) if hasattr(t, "underlying") else market.fx(t.base_currency, t.currency)
        gain = t.sign * (spot[1:] - t.strike)
        now = (gain > 0.0) & (values <= gain + _SAME * t.strike) & ~self.exercised
        out = np.where(self.exercised, 0.0, values)
        if market.valuation_date < t.expiry:  # on its last day it settles by itself
            self.due = np.where(now, out, 0.0)
            self.exercised = self.exercised | now
        return out


class _Bermudan(_Plain):
    """Exercised on the first of its days on which that is worth more than to wait; settled at what the swap is worth then."""

    def __init__(self, terms: Any, paths: PathMarkets) -> None:
        super().__init__(terms, paths)
        self.exercised: Bools = np.zeros(paths.n_paths, dtype=np.bool_)
        self.due: Floats = np.zeros(paths.n_paths)

    def passed(self, before: dt.date, day: dt.date) -> None:
        for on in self.terms.exercise_dates:
            if before <= on < day:
                now, later = bermudan_swaption.exercise_values(self.terms, self.paths.at(on))
                better = (now > later)[1:] & ~self.exercised
                self.due = np.where(better, np.maximum(now, later)[1:], self.due)
                self.exercised = self.exercised | better

    def paid(self, cash: Callable[[Any], Floats], interval: _Interval, day: dt.date) -> Floats:
        out, self.due = self.due, np.zeros_like(self.due)
        return out

    def worth(self, market: Market, values: Floats) -> Floats:
        return np.where(self.exercised, 0.0, values)


def _ageing(terms: InstrumentTerms, paths: PathMarkets) -> _Plain:
    if isinstance(terms, BarrierOption):
        return _Barrier(terms, paths)
    if isinstance(terms, AmericanTerms):
        return _American(terms, paths)
    if isinstance(terms, bermudan_swaption.Terms):
        return _Bermudan(terms, paths)
    return _Plain(terms, paths)


def last_day(terms: InstrumentTerms) -> dt.date | None:
    """The latest date in the terms, by which most contracts have matured; None where there is none."""
    dates = [v for v in terms.__dict__.values() if isinstance(v, dt.date)]
    return max(dates) if dates else None
