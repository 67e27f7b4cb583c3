"""What instruments read from a market: which risk factors, and discounted amounts of whole batches."""

from __future__ import annotations

import bisect
import datetime as dt
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lake.arrays import Floats, Ints
from lake.errors import unknown
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor
from valuation.kernels import cashflows
from valuation.market.dividends import expected_dividends, going_ex
from valuation.market.scenario_market import DAYS_A_YEAR, pillars_read
from valuation.market.volatility import read, surface
from valuation.types import CashFlow, Market, NotValuable, RolledMarkets

Key = TypeVar("Key")


def require_factor(index: FactorIndex, risk_factor_id: str, types: Sequence[str], currency: str | None = None) -> str:
    """The id, when that factor is at hand, of one of the types and, where given, in the currency.

    Raises `MissingRiskFactor` with the nearest ids that would do: a price in another currency is another factor.
    """
    factor = index.factors[index.row[index.require(risk_factor_id)]]
    if _fits(factor, types, currency):
        return risk_factor_id
    wanted = " or ".join(types) + (f" in {currency}" if currency else "")
    fitting = [f.risk_factor_id for f in index.factors if _fits(f, types, currency)]
    error = unknown(wanted, risk_factor_id, fitting, error=MissingRiskFactor)
    raise MissingRiskFactor(
        f"{risk_factor_id} is of type {factor.type} in {factor.currency}. {error.message}", issues=error.issues
    )


def _fits(factor: RiskFactor, types: Sequence[str], currency: str | None) -> bool:
    return factor.type in types and currency in (None, factor.currency)


def curve_factors(
    index: FactorIndex, curve: str, valuation_date: dt.date, last: dt.date, first: dt.date | None = None
) -> tuple[str, ...]:
    """Ids of the pillars of a discount curve that decide the discount factors from `first` (`last` where not given) to `last`.

    A day before the valuation date, as of a contract that has matured, counts as that date.
    """
    start = valuation_date.toordinal()
    begin, end = (max(day.toordinal() - start, 0) / DAYS_A_YEAR for day in (first or last, last))
    return pillars_read(index, curve, begin, end)


def years(market: Market, dates: Iterable[dt.date]) -> Floats:
    """Years from the valuation date, shape (n,)."""
    start = market.valuation_date.toordinal()
    return np.array([d.toordinal() - start for d in dates], dtype=np.float64) / DAYS_A_YEAR


def discount_factors(market: Market, curves: Sequence[str], times: Floats) -> Floats:
    """Discount factor of contract i on curve i to time i, shape (n_contracts, n_states)."""
    out = np.empty((len(curves), market.n_states))
    for curve, rows in rows_by(curves):
        unique, column = np.unique(times[rows], return_inverse=True)
        out[rows] = market.discount(curve, unique)[column]
    return out


def volatility_factors(
    index: FactorIndex,
    volatility: str,
    valuation_date: dt.date,
    expiry: dt.date,
    types: Sequence[str] = ("implied_vol",),
) -> tuple[str, ...]:
    """Ids of the risk factors that decide the volatility of that name for an expiry.

    The name is that of one factor, which is flat, or of a surface, of which the expiries around this one are read.
    """
    found = surface(index, volatility)
    if found is None:
        return (require_factor(index, volatility, types),)
    if not found.kinds <= set(types):
        raise MissingRiskFactor(
            f"The volatility surface {volatility} is of {', '.join(found.kinds)}; expected {' or '.join(types)}."
        )
    return found.reads(max(expiry.toordinal() - valuation_date.toordinal(), 0) / DAYS_A_YEAR)


def volatilities(
    market: Market,
    names: Sequence[str],
    expiries: Floats,
    strikes: Floats,
    forwards: Floats,
    smile: Sequence[str | None] | None = None,
) -> Floats:
    """Volatility of contract i, shape (n_contracts, n_states).

    names : of each contract's volatility, a risk factor or a surface; expiries : (n_contracts,) years; strikes : (n_contracts,);
    forwards : (n_contracts, n_states) forward prices or rates at expiry. smile : of each contract, what a surface does where the
    forward moves (`fields.Smile`); as the surface says where None.
    """
    if all(surface(market.index, name) is None for name in set(names)):
        return market.levels(names)
    out = np.empty((len(names), market.n_states))
    for (name, sticky), rows in rows_by(list(zip(names, smile or [None] * len(names), strict=True))):
        found = surface(market.index, name)
        if found is None:
            out[rows] = market.level(name)
        else:
            out[rows] = read(found, market, expiries[rows], strikes[rows], forwards[rows], sticky)
    return out


def present_values(market: Market, curves: Sequence[str], days: Sequence[Ints], amounts: Sequence[Floats]) -> Floats:
    """Present value of the cash flows of contract i on curve i, shape (n_contracts, n_states).

    days : ordinals of the payment dates, none before the valuation date; amounts : what is paid then.
    All contracts of a curve share one matrix of discount factors over their distinct payment dates.
    """
    out = np.empty((len(curves), market.n_states))
    start = market.valuation_date.toordinal()
    for curve, rows in rows_by(curves):
        offsets = np.concatenate([[0], np.cumsum([len(days[i]) for i in rows])])
        unique, column = np.unique(np.concatenate([days[i] for i in rows]), return_inverse=True)
        matrix = market.discount(curve, (unique - start) / DAYS_A_YEAR)
        out[rows] = cashflows.discounted_sums(offsets, column, np.concatenate([amounts[i] for i in rows]), matrix)
    return out


def dividend_factors(
    index: FactorIndex, share: str, currency: str, valuation_date: dt.date, last: dt.date
) -> tuple[tuple[str, dt.date], ...]:
    """Ids and ex-dates of the dividends of a share that go ex after the valuation date, up to `last`, by ex-date.

    Raises `MissingRiskFactor` for a share without any dividend, and for one in another currency.
    """
    found = expected_dividends(index)
    if share not in found:
        raise unknown("share with dividends", share, found, error=MissingRiskFactor)
    paid = going_ex(index, share, valuation_date, last)
    return tuple((require_factor(index, i, ("dividend",), currency), day) for day, i in paid)


@dataclass(frozen=True)
class Dividends:
    """Cash dividends of a batch: contract i has the rows columns[offsets[i]:offsets[i + 1]], by ex-date.

    times : (n_rows,) years to the ex-date; amounts, discount : (n_rows, n_states) cash a share and its discount factor.
    """

    offsets: Ints
    columns: Ints
    times: Floats
    amounts: Floats
    discount: Floats

    @classmethod
    def of(cls, market: Market, shares: Sequence[str], curves: Sequence[str], lasts: Sequence[dt.date]) -> Dividends:
        """Those of each contract's share that go ex after the valuation date, up to its `last`; curves : that discount them."""
        ids: list[str] = []
        times, amounts, discount = [np.empty(0)], [np.empty((0, market.n_states))], [np.empty((0, market.n_states))]
        columns: list[Ints] = [np.empty(0, np.int64)] * len(shares)
        for (share, curve), rows in rows_by(list(zip(shares, curves, strict=True))):
            paid = going_ex(market.index, share, market.valuation_date, max(lasts[i] for i in rows))
            days = [day for day, _ in paid]
            for i in rows.tolist():
                columns[i] = np.arange(len(ids), len(ids) + bisect.bisect(days, lasts[i]))
            if paid:
                ids += [i for _, i in paid]
                times.append(years(market, days))
                amounts.append(market.levels([i for _, i in paid]))
                discount.append(market.discount(curve, times[-1]))
        return cls(
            np.concatenate([[0], np.cumsum([len(c) for c in columns])]),
            np.concatenate([np.empty(0, np.int64), *columns]),
            np.concatenate(times),
            np.concatenate(amounts),
            np.concatenate(discount),
        )

    def present_values(self, dividend_yields: Floats, times: Floats) -> Floats:
        """Present value of each contract's dividends, shape (n_contracts, n_states).

        dividend_yields : (n_contracts,) of a continuous yield beside the dividends, that buys shares, so that a share at `times`
        (n_contracts,) was a little less of one before, and had as much of the dividend.
        """
        owner = np.repeat(np.arange(len(times)), np.diff(self.offsets))
        shares: Floats = np.array(
            [
                math.exp(-q * (end - ex))
                for q, end, ex in zip(
                    dividend_yields[owner].tolist(),
                    times[owner].tolist(),
                    self.times[self.columns].tolist(),
                    strict=True,
                )
            ]
        )
        return cashflows.discounted_sums(self.offsets, self.columns, shares, self.amounts * self.discount)


def settlement(
    value: Callable[[Sequence[Any], Market], Floats], terms: Any, markets: RolledMarkets, last: dt.date, until: dt.date
) -> tuple[CashFlow, ...]:
    """What a contract settles in cash on its last day: its value on that day, in the base market rolled there.

    Nothing where that day lies before the market date, or on `until` or later, when the value itself still holds it.
    """
    if not markets.market_date <= last < until:
        return ()
    amount = float(value([terms], markets.market(last))[0, 0])
    if not math.isfinite(amount):
        raise NotValuable("non_finite", f"What it settles on {last} is not a finite number in the market rolled there.")
    return (CashFlow(last, amount, "settlement"),)


def paid(
    markets: RolledMarkets, until: dt.date, days: Ints, amounts: Floats, kinds: Sequence[str]
) -> tuple[CashFlow, ...]:
    """Those of the payments that are made after the market date, up to `until` included."""
    after, up_to = markets.market_date.toordinal(), until.toordinal()
    return tuple(
        CashFlow(dt.date.fromordinal(day), amount, kind)
        for day, amount, kind in zip(days.tolist(), amounts.tolist(), kinds, strict=True)
        if after < day <= up_to
    )


def rows_by(names: Sequence[Key]) -> list[tuple[Key, Ints]]:
    """Each name once, with the rows it stands in."""
    rows: dict[Key, list[int]] = {}
    for i, name in enumerate(names):
        rows.setdefault(name, []).append(i)
    return [(name, np.array(where)) for name, where in rows.items()]
