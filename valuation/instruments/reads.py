"""What instruments read from a market: which risk factors, and discounted amounts of whole batches."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from lake.arrays import Floats, Ints
from lake.errors import unknown
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor
from valuation.kernels import cashflows
from valuation.kernels.curves import segments
from valuation.market.credit_curves import credit_curve
from valuation.market.scenario_market import DAYS_A_YEAR, pillars_read
from valuation.types import CashFlow, Market, NotValuable, RolledMarkets

Key = TypeVar("Key", bound=Hashable)


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


def credit_factors(index: FactorIndex, curve: str, valuation_date: dt.date, last: dt.date) -> tuple[str, ...]:
    """Ids of the risk factors that decide the survival probabilities of a credit curve to `last`: its pillars, and what their
    spreads are bootstrapped with."""
    key = (credit_factors, curve, valuation_date, last)
    if key not in index.memo:
        index.memo[key] = _credit_factors(index, curve, valuation_date, last)
    ids: tuple[str, ...] = index.memo[key]
    return ids


def _credit_factors(index: FactorIndex, curve: str, valuation_date: dt.date, last: dt.date) -> tuple[str, ...]:
    made = credit_curve(index, curve, valuation_date)
    end = max((last - valuation_date).days, 0) / DAYS_A_YEAR
    (segment,) = segments(made.nodes, np.array([end])).tolist()
    read = np.flatnonzero(made.reads[: segment + 2].any(axis=0)).tolist()
    ids = tuple(made.pillars[k].risk_factor_id for k in read)
    if (quoted := made.quoted) is None:
        return ids
    if isinstance(quoted.recovery, str):
        ids += (require_factor(index, quoted.recovery, ("recovery_rate",)),)
    paid = dt.date.fromordinal(max(int(quoted.premiums[read[-1]].payments[-1]), quoted.settlement))
    return ids + curve_factors(index, quoted.discount_curve, valuation_date, paid, first=valuation_date)


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
    """Ids of the risk factors that decide the volatility of that name for an expiry: a flat one."""
    return (require_factor(index, volatility, types),)


def volatilities(market: Market, names: Sequence[str], expiries: Floats, strikes: Floats, forwards: Floats) -> Floats:
    """Volatility of contract i, shape (n_contracts, n_states).

    names : of each contract's volatility, a risk factor; expiries : (n_contracts,) years; strikes : (n_contracts,);
    forwards : (n_contracts, n_states) forward prices or rates at expiry.
    """
    return market.levels(names)


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
    """The rows, (n,), that have each name."""
    rows: dict[Key, list[int]] = {}
    for i, name in enumerate(names):
        rows.setdefault(name, []).append(i)
    return [(name, np.array(where)) for name, where in rows.items()]
