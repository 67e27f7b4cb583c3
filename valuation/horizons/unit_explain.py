"""What one unit of each contract of a book gains from one date to another, and why: ageing, and the market by risk class.

Every contract is valued on the later date in a market for each subset of the risk classes that moved: those classes at
their new levels, the others at the old ones. Cash paid on the way counts as part of the value, in the market of the day it
is paid, with the same classes moved. Nothing is stored.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lake.arrays import Bools, Floats
from lake.errors import NotFound
from lake.tables import Snapshot
from lake.workers import each
from scenarios.market.base_market import BaseMarket, in_share_terms, load_base, with_merged
from scenarios.market.corporate_actions import load_actions
from scenarios.market.history import load_factors
from scenarios.market.moves import MoveRules
from scenarios.types import FactorIndex, RiskClass, Roll, tenor_years
from valuation.batch import load_kernels, value_batch
from valuation.catalogue import factors_of, terms_from_json
from valuation.costs import Item, Meter, Result
from valuation.horizons.cash import cash_until
from valuation.instruments import schedules
from valuation.kernels.shapley import shapley
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket
from valuation.types import Contract, Market, ValuationFailure

_CHUNK = 1024  # contracts priced together: what a thread takes at a time


_MARKETS = 512  # of single subsets that are kept
_ROUNDING = 1e-9
_NEAR = 0.25  # of its length, by which a period may differ from the tenor of its fixing
_WEEK, _LONG_WEEKEND = 7 / DAYS_A_YEAR, 4 / DAYS_A_YEAR  # over which an overnight rate may last, more than a day


@dataclass(frozen=True)
class UnitValues:
    """Value of one unit of each contract, in its currency, NaN for those among the failures; all contracts different.
    cost_us : microseconds of a core spent on all."""

    contracts: Sequence[Contract]
    currencies: Sequence[str]
    values: Floats
    failures: tuple[ValuationFailure, ...]
    cost_us: float


@dataclass(frozen=True)
class UnitExplain:
    """Why one unit of each contract is worth what it is on the later date; all in its currency, (n,) unless said.

    opening : value on the first date. theta : what ageing alone adds, cash paid counted. market : (n, n_classes). factors :
    what comes from risk factors that only one of the dates has. cash : paid by the later date. closing : value then, zero
    when matured. opening + theta + market + factors = cash + closing. NaN in all but opening for contracts among the
    failures, which could not be valued somewhere on the way.
    """

    opening: UnitValues
    theta: Floats
    market: Floats
    factors: Floats
    cash: Floats
    closing: Floats
    matured: Bools
    failures: tuple[ValuationFailure, ...]
    cost_us: float

    @property
    def explained(self) -> Bools:
        ok: Bools = np.isfinite(self.opening.values) & np.isfinite(self.closing)
        return ok


class MarketPath:
    """The markets from one date to a later one: both ends whole, and every subset of moved risk classes in between.

    carried : what holders of shares are paid on the way, and what shares became that a merger took away: in the mixtures they are worth
    what is held for them, and they are no part of the whole market of the later date.
    """

    def __init__(self, snapshot: Snapshot, start: dt.date, end: dt.date) -> None:
        self._snapshot = snapshot
        self._rules = MoveRules.model_validate({"market_date": end})
        self._until, self._actions = end, load_actions(snapshot)
        self.carried = self._actions.carried(start, end)
        self.start, self.end = self._load(start), self._load(end)
        there = set(self.start.index.row) & set(self.end.index.row)
        self.only_one = tuple(sorted((set(self.start.index.row) | set(self.end.index.row)) - there))
        self.index = FactorIndex.of(f for f in self.end.index.factors if f.risk_factor_id in there)
        self.base = self._levels(self.start)
        moved = self._levels(self.end) != self.base
        classes = np.array([f.risk_class.value for f in self.index.factors])
        self.classes = tuple(c.value for c in RiskClass if (moved & (classes == c.value)).any())
        # (n_factors, n_classes): which risk class a factor moves with
        self._member = classes[:, None] == np.array(self.classes)[None, :]
        self._day, self._reading = functools.cache(self._day_levels), threading.Lock()
        self._on = functools.lru_cache(maxsize=_MARKETS)(lambda day, subset: PathMarket(self, day, subset))

    @functools.cached_property
    def fixing_classes(self) -> int:
        """The risk classes of fixings, as a subset: a `PathMarket` looks rates up among them that the contract does not name."""
        moved = {f.risk_class.value for f in self.index.factors if f.type == "fixing"}
        return sum(1 << k for k, c in enumerate(self.classes) if c in moved)

    @property
    def n_subsets(self) -> int:
        return 1 << len(self.classes)

    def whole(self, end: bool) -> ScenarioMarket:
        """The market of either date with all its risk factors, nothing else."""
        m = self.end if end else self.start
        if end and self.carried.gone:
            there = np.array([i not in self.carried.gone for i in m.index.row])
            index = FactorIndex(tuple(f for f, t in zip(m.index.factors, there, strict=True) if t))
            m = dataclasses.replace(m, index=index, base=m.base[there])
        return ScenarioMarket(m.market_date, m.index, m.base, np.empty((len(m.base), 0)))

    def opening(self) -> ScenarioMarket:
        """The market of the first date on the risk factors that both have."""
        return ScenarioMarket(self.start.market_date, self.index, self.base, np.empty((len(self.base), 0)))

    def closing(self) -> ScenarioMarket:
        """The market of the last date on the risk factors that both have."""
        return ScenarioMarket(self.end.market_date, self.index, self._levels(self.end), np.empty((len(self.base), 0)))

    def subsets(self, day: dt.date) -> ScenarioMarket:
        """The market of a day, a state for each subset of classes that has moved since the first date."""
        states = np.stack([self.moved_levels(day, s) for s in range(self.n_subsets)], axis=1)
        roll = Roll(self.start.market_date, day, "observed", self.base)
        return ScenarioMarket(day, self.index, states[:, 0], states[:, 1:], roll)

    def on(self, day: dt.date, subset: int) -> PathMarket:
        """The market of a day with one subset of classes moved, as a market of its own."""
        return self._on(max(day, self.start.market_date), subset)

    def along(self, subset: int) -> PathMarkets:
        """The market of each day on the way with one subset of classes moving: what cash is paid in."""
        return PathMarkets(self.start.market_date, functools.partial(self.on, subset=subset))

    def moved_levels(self, day: dt.date, subset: int) -> Floats:
        """Levels (n_factors,) of a day, of classes outside the subset those of the first date."""
        with self._reading:  # of two threads one reads a day, which takes longer than all else that is done with it
            of_day = self._day(day)
        levels: Floats = np.where(self._moved(subset), of_day, self.base)
        return levels

    def _moved(self, subset: int) -> Bools:
        chosen = np.array([bool(subset >> k & 1) for k in range(len(self.classes))], dtype=np.bool_)
        moved: Bools = (self._member & chosen).any(axis=1)
        return moved

    def _day_levels(self, day: dt.date) -> Floats:
        """Levels (n_factors,) of the last market up to the day; NaN for a factor that it lacks."""
        if day >= self.end.market_date:
            return self._levels(self.end)
        while day > self.start.market_date:
            try:
                return self._levels(self._load(day))
            except NotFound:
                day -= dt.timedelta(days=1)
        return self.base

    def _levels(self, market: BaseMarket) -> Floats:
        row = market.index.row
        return np.array([market.base[row[i]] if (i := f.risk_factor_id) in row else np.nan for f in self.index.factors])

    def _load(self, day: dt.date) -> BaseMarket:
        """The market of a day, with shares as they are on the last day, which is how the contracts of the path are."""
        market = load_base(self._snapshot, day, self._rules.calendar, self._rules.max_held_days)
        if not self.carried.gone and not self._actions.between(day, self._until):
            return market
        factors = load_factors(self._snapshot)
        market = in_share_terms(market, self._actions, self._until, factors)
        return with_merged(market, self.carried.gone, factors)


class PathMarket(ScenarioMarket):
    """The market of a day on the way in which one subset of classes has moved, at its base and without scenarios.

    What was fixed on the way and a contract does not hold is what the market had on that day, with the same classes moved: a price
    its level; a floating rate that of the `fixing` whose attribute `projection_curve` it is projected on and whose `tenor` is
    its period (`day_count`, Actual360 where left out), and where there is none the rate of the curve of that day.
    """

    def __init__(self, path: MarketPath, day: dt.date, subset: int) -> None:
        levels = path.moved_levels(day, subset)
        roll = Roll(path.start.market_date, day, "observed", levels)
        super().__init__(day, path.index, levels, np.empty((len(levels), 0)), roll)
        self._path, self._subset = path, subset

    def passed(self, day: dt.date) -> PathMarket:
        return self if day >= self.valuation_date else self._path.on(day, self._subset)

    def fixed_growth(self, curve: str, first: dt.date, last: dt.date) -> float:
        then, period = self.passed(first), (last - first).days / DAYS_A_YEAR
        for f in self.index.factors:
            said = dict(f.attributes)
            if (
                f.type == "fixing"
                and said.get("projection_curve") == curve
                and np.isfinite(rate := float(then.level(f.risk_factor_id)[0]))
            ):
                tenor = tenor_years(said.get("tenor", "1D"))
                if abs(period - tenor) <= max(_NEAR * tenor, _LONG_WEEKEND * (tenor < _WEEK)):
                    return 1.0 + rate * schedules.year_fraction(first, last, said.get("day_count", "Actual360"))
        return 1.0 / float(then.discount(curve, np.array([period]))[0, 0])


@dataclass
class PathMarkets:
    """As `valuation.types.RolledMarkets`, for the market as it went."""

    market_date: dt.date
    market: Callable[[dt.date], Market]


def unit_values(contracts: Sequence[Contract], market: Market) -> UnitValues:
    """Values at the base of a market, in threads, which change no bit."""
    values, currencies = np.full(len(contracts), np.nan), [""] * len(contracts)
    failures: list[ValuationFailure] = []
    place = {c.contract_id: i for i, c in enumerate(contracts)}
    load_kernels(contracts, market)
    meter = Meter()
    for block in _in_threads(contracts, meter.of(lambda chunk: value_batch(chunk, market))):
        rows = [place[c] for c in block.contract_ids]
        values[rows] = block.base
        for i, currency in zip(rows, block.currencies, strict=True):
            currencies[i] = currency
        failures += block.failures
    return UnitValues(contracts, currencies, values, tuple(failures), meter.us)


def explain_units(opening: UnitValues, path: MarketPath) -> UnitExplain:
    """Why each contract that has an opening value is worth what it is at the end of the path."""
    n = len(opening.contracts)
    paid_off = _paid_off(opening.contracts, path)
    there = [i for i, c in enumerate(opening.contracts) if np.isfinite(opening.values[i]) and c not in paid_off]
    meter = Meter()
    parts = _in_threads(there, meter.of(lambda rows: _subset_values([opening.contracts[i] for i in rows], path)))
    values, cash = (np.full((n, path.n_subsets), np.nan) for _ in range(2))
    matured = np.zeros(n, dtype=np.bool_)
    failures: list[ValuationFailure] = []
    if there:
        values[there] = np.concatenate([p[0] for p in parts])
        cash[there] = np.concatenate([p[1] for p in parts])
        matured[there] = np.concatenate([p[2] for p in parts])
        failures = [f for p in parts for f in p[3]]
    failures += paid_off.values()
    start = opening.values
    if path.only_one:
        again = unit_values([opening.contracts[i] for i in there], path.opening())
        start = np.full(n, np.nan)
        start[there] = again.values
        failures += [f for f in again.failures if f.contract_id not in {x.contract_id for x in failures}]
    worth = values + cash
    broken = ~(np.isfinite(worth).all(axis=1) & np.isfinite(start))
    worth[broken], cash[broken], values[broken] = np.nan, np.nan, np.nan
    return UnitExplain(
        opening=opening,
        theta=worth[:, 0] - start,
        market=shapley(worth),
        factors=start - opening.values,
        cash=cash[:, -1],
        closing=values[:, -1],
        matured=matured,
        failures=tuple(failures),
        cost_us=meter.us,
    )


def _paid_off(contracts: Sequence[Contract], path: MarketPath) -> dict[Contract, ValuationFailure]:
    """Options and forwards that lived when their share became cash, wholly or in part, as failures: what they became is not known."""
    found = {}
    for contract in contracts if path.carried.gone else ():
        terms = json.loads(contract.terms)
        merger = path.carried.for_cash(terms.get("underlying", ""))
        last = terms.get("expiry") or terms.get("maturity")
        if merger and last and last >= str(merger.ex_date):
            found[contract] = ValuationFailure(
                contract.contract_id,
                contract.instrument_type,
                "missing_risk_factor",
                f"{merger}: not applied to options and forwards.",
                "factors",
            )
    return found


def _subset_values(
    contracts: Sequence[Contract], path: MarketPath
) -> tuple[Floats, Floats, Bools, list[ValuationFailure]]:
    """Value on the last day and cash until then (n, n_subsets), which have matured, and failures."""
    end = path.end.market_date
    values = np.full((len(contracts), path.n_subsets), np.nan)
    matured = np.zeros(len(contracts), dtype=np.bool_)
    place = {c.contract_id: i for i, c in enumerate(contracts)}
    block = value_batch(contracts, path.subsets(end))
    rows = [place[c] for c in block.contract_ids]
    values[rows, 0] = block.base
    values[rows, 1:] = block.base[:, None] + block.pnl
    failures = []
    for failure in block.failures:
        if failure.reason == "matured":
            values[place[failure.contract_id]] = 0.0
            matured[place[failure.contract_id]] = True
        else:
            failures.append(failure)
    alone, one_by_one, why = _valued_alone(contracts, path, values[:, -1])
    values[alone] = one_by_one
    matured[alone] = False
    again = {contracts[i].contract_id for i in alone}
    failures = [*(f for f in failures if f.contract_id not in again), *why]
    values[[place[f.contract_id] for f in failures]] = np.nan
    cash, failed = _subset_cash(contracts, path)
    known = {f.contract_id for f in failures}
    return values, cash, matured, failures + [f for f in failed if f.contract_id not in known]


def _valued_alone(
    contracts: Sequence[Contract], path: MarketPath, moved: Floats
) -> tuple[list[int], Floats, list[ValuationFailure]]:
    """The rows of contracts whose value hangs on the market that scenarios start from, or on what was fixed on the way; their
    values (n_rows, n_subsets) in each mixture as a market of its own, and failures.

    moved : (n_contracts,) value with all classes moved, as scenarios have it. Where the terms hold all that was fixed, a mixture is a
    market as any other, so that the last is what the later date's book is valued in; else it is a `PathMarket`.
    """
    end = path.end.market_date
    plain = value_batch(contracts, path.closing())
    worth = dict(zip(plain.contract_ids, plain.base.tolist(), strict=True))
    unfixed = {f.contract_id for f in plain.failures if f.reason == "missing_fixing"}
    whole = [
        i
        for i, (c, value) in enumerate(zip(contracts, moved.tolist(), strict=True))
        if c.contract_id in worth and not abs(value - worth[c.contract_id]) <= _ROUNDING * max(abs(value), 1.0)
    ]
    lacking = [i for i, c in enumerate(contracts) if c.contract_id in unfixed]
    rows = [*whole, *lacking]
    # what a contract does not read moves nothing: it is valued once for each mixture of what it reads
    reads = np.array([_classes_read(contracts[i], path) | path.fixing_classes for i in rows], dtype=np.int64)
    values = np.full((len(rows), path.n_subsets), np.nan)
    failures: dict[str, ValuationFailure] = {}
    place = {contracts[i].contract_id: k for k, i in enumerate(rows)}
    for subset in range(path.n_subsets if rows else 0):
        due = [(k, i) for k, i in enumerate(rows) if subset & ~int(reads[k]) == 0]
        if not due:
            continue
        on = path.on(end, subset)
        plain_one = ScenarioMarket(end, path.index, on.states[:, 0], on.states[:, :0])
        for last, market in ((False, plain_one), (True, on)):
            own = [contracts[i] for k, i in due if (k >= len(whole)) == last]
            block = value_batch(own, market)
            values[[place[c] for c in block.contract_ids], subset] = block.base
            for failure in block.failures:
                failures.setdefault(failure.contract_id, failure)
    subsets = np.arange(path.n_subsets)
    return rows, np.take_along_axis(values, subsets & reads[:, None], axis=1), list(failures.values())


def _subset_cash(contracts: Sequence[Contract], path: MarketPath) -> tuple[Floats, list[ValuationFailure]]:
    """Cash by subset, (n, n_subsets): computed for the subsets of the classes that a contract reads, where cash depends on
    the market at all."""
    end, last = path.end.market_date, path.n_subsets - 1
    still, moved = (cash_until(contracts, path.along(s), end) for s in (0, last))
    cash = np.repeat(still.amounts[:, None], path.n_subsets, axis=1)
    cash[:, last] = moved.amounts
    for i in np.flatnonzero(still.amounts != moved.amounts).tolist():
        reads = _classes_read(contracts[i], path)
        known = {0: float(still.amounts[i]), reads: float(moved.amounts[i])}
        for subset in range(path.n_subsets):
            seen = subset & reads
            if seen not in known:
                known[seen] = float(cash_until([contracts[i]], path.along(seen), end).amounts[0])
            cash[i, subset] = known[seen]
    # the price falls by what a share pays out: one move of its class, as in the scenarios
    equity = [k for k, c in enumerate(path.classes) if c == RiskClass.EQUITY.value]
    moves = np.array([not equity or bool(s >> equity[0] & 1) for s in range(path.n_subsets)])
    for i, contract in enumerate(contracts if path.carried.paid else ()):
        if contract.instrument_type == "cash_equity":  # a future or a variance swap is paid none of it
            cash[i, moves] += path.carried.paid.get(json.loads(contract.terms)["underlying"], 0.0)
    return cash, [*still.failures, *moved.failures]


def _classes_read(contract: Contract, path: MarketPath) -> int:
    """The risk classes of the factors a contract reads, as a subset."""
    _, kind, terms = contract
    index = path.index
    read = {
        index.factors[index.row[f]].risk_class
        for f in factors_of(terms_from_json(kind, terms), index, path.end.market_date)
    }
    return sum(1 << k for k, c in enumerate(path.classes) if c in read)


def _in_threads(items: Sequence[Item], work: Callable[[Sequence[Item]], Result]) -> list[Result]:
    chunks = [items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK)]
    return each(work, chunks)
