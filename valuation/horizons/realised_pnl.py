"""Hypothetical P&L: yesterday's book revalued at today's market, from base levels alone. Market history is read once.

With time `frozen` a contract is valued on the first day in both markets: no day passes and nothing is paid, as in the
scenarios that VaR comes from. With `passes` it is valued on the second day, and the cash it has paid by then is added.
It is brought into the reporting currency as in every scenario.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lake.arrays import Floats
from lake.errors import NotFound
from lake.tables import Snapshot
from scenarios.kernels import shifts
from scenarios.kernels.currency import converted_pnl
from scenarios.market.base_market import base_levels, has_market, no_market
from scenarios.market.corporate_actions import load_actions
from scenarios.market.history import adjusted, load_factors, received_history
from scenarios.market.moves import MoveRules
from scenarios.types import FactorIndex, RiskClass, Roll
from valuation.batch import factors_read, reported, value_batch
from valuation.horizons.cash import cash_until
from valuation.horizons.unit_explain import PathMarkets
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, ValuationFailure

Time = Literal["frozen", "passes"]

LOOK_BACK = 250  # business days whose moves say how large a move is
_SHOWN = 3  # moves named in each risk class


@dataclass(frozen=True)
class UnitPnL:
    """P&L (n_contracts,) of one unit of each contract in the reporting currency, gains positive; NaN for the failures.

    held : risk factors that keep an earlier level on either day, by what is held.
    """

    pnl: Floats
    failures: tuple[ValuationFailure, ...]
    held: Mapping[str, str]


@dataclass(frozen=True)
class _Pair:
    """Levels (n_factors,) on two days of the factors that have one on both."""

    index: FactorIndex
    base: Floats
    now: Floats
    held: Mapping[str, str]


class RealisedMarkets:
    """The market as it went over a range of days, by the rules that scenario sets take their base by."""

    def __init__(self, snapshot: Snapshot, first: dt.date, last: dt.date, calendar: str) -> None:
        self._rules = MoveRules.model_validate({"market_date": last, "calendar": calendar})
        before = dt.timedelta(days=round(LOOK_BACK * 1.5) + 30)
        # as received: each pair of days is read in the terms of its first, which are those of the book
        self._history = received_history(snapshot, calendar, first - before, last, load_factors(snapshot))
        self._actions = load_actions(snapshot)
        self._day = functools.cache(self._load)

    @property
    def market_data_version(self) -> int:
        return self._history.market_data_version

    def unit_pnl(
        self, contracts: Sequence[Contract], prev: dt.date, day: dt.date, currency: str, time: Time
    ) -> UnitPnL:
        """P&L of the contracts from `prev` to `day`; raises `NotFound` where either has no market."""
        pair = self._pair(prev, day)
        market = ScenarioMarket(prev, pair.index, pair.base, pair.now[:, None])
        block = reported(value_batch(contracts, market), contracts, pair.index, currency)
        place = {c.contract_id: i for i, c in enumerate(contracts)}
        rows = [place[c] for c in block.contract_ids]
        base, moved = block.base, block.pnl[:, 0]
        failures = list(block.failures)
        if time == "passes":
            moved, failed = _aged([contracts[i] for i in rows], base, pair, prev, day)
            failures += failed
        pnl = np.full(len(contracts), np.nan)
        rates = {c: market.fx(c, currency) for c in dict.fromkeys(block.currencies)}
        fx = np.array([rates[c] for c in block.currencies]).reshape(-1, 2)
        pnl[rows] = converted_pnl(base, moved, fx[:, 1], fx[:, 0])
        return UnitPnL(pnl, tuple(failures), pair.held)

    def rate(self, day: dt.date, currency: str, reporting: str) -> float:
        """Price of a unit of `currency` in the reporting currency on the day."""
        kept, levels, _ = self._day(day, day)
        index = self._index(kept.tobytes())
        return float(
            ScenarioMarket(day, index, levels[kept], np.empty((len(index.factors), 0))).fx(currency, reporting)[0]
        )

    def largest_moves(self, contracts: Sequence[Contract], prev: dt.date, day: dt.date) -> list[dict[str, Any]]:
        """The moves that were largest for their factor, of those the contracts read; a few in each risk class.

        `deviations` : the move over the root mean square of the 250 business days before; None where nothing moved then.
        """
        pair = self._pair(prev, day)
        found: list[dict[str, Any]] = []
        for factor_id in sorted(factors_read(contracts, pair.index, day)):
            factor = pair.index.factors[pair.index.row[factor_id]]
            before, after = (levels[pair.index.row[factor_id]] for levels in (pair.base, pair.now))
            move = float(shifts.move(factor.shift_type, np.array([before]), np.array([after]), 0.0)[0])
            usual = self._usual_move(factor_id, prev)
            found.append(
                {
                    "risk_class": factor.risk_class.value,
                    "risk_factor": factor_id,
                    "from": float(before),
                    "to": float(after),
                    "move": move,
                    "shift_type": factor.shift_type.value,
                    "deviations": move / usual if usual else None,
                }
            )
        found.sort(key=lambda m: (-abs(m["deviations"] or 0.0), m["risk_factor"]))
        return [m for c in RiskClass for m in [f for f in found if f["risk_class"] == c.value][:_SHOWN]]

    def _usual_move(self, factor_id: str, until: dt.date) -> float:
        """Root mean square of a factor's daily moves over the look-back up to a day."""
        h = self._history
        column, factor = h.index.row[factor_id], h.index.factors[h.index.row[factor_id]]
        stop = int(np.searchsorted(h.dates, np.datetime64(until), side="right"))
        levels = adjusted(h.on(slice(max(stop - LOOK_BACK - 1, 0), stop)), self._actions, until).levels[:, column]
        with np.errstate(all="ignore"):  # a price of zero has no relative move, and is left out below
            moves = shifts.move(factor.shift_type, levels[:-1], levels[1:], 0.0)
        moves = moves[np.isfinite(moves)]
        return float(np.sqrt(np.mean(moves**2))) if len(moves) else 0.0

    def _load(self, day: dt.date, terms: dt.date) -> tuple[npt.NDArray[np.bool_], Floats, dict[str, str]]:
        """Which factors have a level on the day (n_factors,), the levels in the terms of a day up to it, and what is held."""
        h = self._history
        stop = int(np.searchsorted(h.dates, np.datetime64(day), side="right"))
        first = max(
            int(np.searchsorted(h.dates, np.datetime64(terms), side="right")) - self._rules.max_held_days - 2, 0
        )
        until = adjusted(h.on(slice(first, stop)), self._actions, terms)
        until = until.on(slice(-self._rules.max_held_days - 2, None))
        if not has_market(until, day):
            raise no_market(until, day, h.calendar) if stop else NotFound(f"The lake holds no market data up to {day}.")
        levels, _, held = base_levels(until, self._rules.max_held_days)
        return np.isfinite(levels), levels, held

    def _pair(self, prev: dt.date, day: dt.date) -> _Pair:
        (kept_before, before, held_before), (kept_now, now, held_now) = self._day(prev, prev), self._day(day, prev)
        kept = kept_before & kept_now
        index = self._index(kept.tobytes())
        return _Pair(index, before[kept], now[kept], {**held_before, **held_now})

    @functools.lru_cache(maxsize=16)  # noqa: B019 - lives as long as one backtest
    def _index(self, kept: bytes) -> FactorIndex:
        there = np.frombuffer(kept, dtype=np.bool_)
        return FactorIndex(tuple(f for f, k in zip(self._history.index.factors, there, strict=True) if k))


def _aged(
    contracts: Sequence[Contract], opening: Floats, pair: _Pair, prev: dt.date, day: dt.date
) -> tuple[Floats, list[ValuationFailure]]:
    """Value on the later day plus cash paid by then, minus the opening value; NaN where either cannot be had.

    What has matured is worth its cash. A rate that is fixed on the way is that of the first day's curve.
    """
    nothing = np.empty((len(pair.now), 0))

    def market(on: dt.date) -> ScenarioMarket:
        return ScenarioMarket(on, pair.index, pair.now, nothing, Roll(prev, on, "observed", pair.base))

    block = value_batch(contracts, market(day))
    place = {c.contract_id: i for i, c in enumerate(contracts)}
    value = np.full(len(contracts), np.nan)
    value[[place[c] for c in block.contract_ids]] = block.base
    value[[place[f.contract_id] for f in block.failures if f.reason == "matured"]] = 0.0
    paid = cash_until(contracts, PathMarkets(prev, functools.cache(market)), day)
    failures = [*(f for f in block.failures if f.reason != "matured"), *paid.failures]
    return value + paid.amounts - opening, list({f.contract_id: f for f in failures}.values())
