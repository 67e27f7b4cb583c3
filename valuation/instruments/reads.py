"""What instruments read from a market: which risk factors, and discounted amounts of whole batches."""

from __future__ import annotations

import bisect
import datetime as dt
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lake.arrays import Floats, Ints
from lake.errors import unknown
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor
from valuation.kernels import cashflows
from valuation.kernels.curves import segments
from valuation.market.credit_curves import credit_curve
from valuation.market.dividends import expected_dividends, going_ex
from valuation.market.scenario_market import DAYS_A_YEAR, pillars_read
from valuation.market.volatility import read, surface
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
    end = max(last.toordinal() - start, 0) / DAYS_A_YEAR
    begin = end if first is None else max(first.toordinal() - start, 0) / DAYS_A_YEAR
    return pillars_read(index, curve, begin, end, valuation_date)


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


class Varying(NamedTuple):
    """Cash flow j of contract i pays weights[i][j] times the row sources[i][j] of `variables`, (n_variables, n_states), too;
    -1 stands for no row."""

    weights: Sequence[Floats]
    sources: Sequence[Ints]
    variables: Floats


def discount_factors(market: Market, curves: Sequence[str], times: Floats) -> Floats:
    """Discount factor of contract i on curve i to time i, shape (n_contracts, n_states)."""
    groups = rows_by(curves)
    if len(groups) == 1:
        unique, column = np.unique(times, return_inverse=True)
        return market.discount(groups[0][0], unique).take(column, axis=0)
    out = np.empty((len(curves), market.n_states))
    for curve, rows in groups:
        unique, column = np.unique(times[rows], return_inverse=True)
        out[rows] = market.discount(curve, unique).take(column, axis=0)
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


def all_flat(market: Market, volatilities: Sequence[str]) -> bool:
    """Whether none of these volatilities is a surface."""
    return all(surface(market.index, name) is None for name in set(volatilities))


def volatilities(
    market: Market,
    names: Sequence[str],
    expiries: Floats,
    strikes: Floats,
    forward: Floats | Callable[[], Floats],
    smile: Sequence[str | None] | None = None,
) -> Floats:
    """Volatility of contract i, shape (n_contracts, n_states).

    names : of each contract's volatility, a risk factor or a surface; expiries : (n_contracts,) years; strikes : (n_contracts,);
    forward : (n_contracts, n_states) forward prices or rates at expiry, or what gives them where a surface is read. smile : of each
    contract, what a surface does where the forward moves (`fields.Smile`); as the surface says where None.
    """
    if all_flat(market, names):
        return market.levels(names)
    out, forwards = np.empty((len(names), market.n_states)), forward() if callable(forward) else forward
    for (name, sticky), rows in rows_by(list(zip(names, smile or [None] * len(names), strict=True))):
        found = surface(market.index, name)
        if found is None:
            out[rows] = market.level(name)
        else:
            out[rows] = read(found, market, expiries[rows], strikes[rows], forwards[rows], sticky)
    return out


def present_values(
    market: Market,
    curves: Sequence[str],
    days: Sequence[Ints],
    amounts: Sequence[Floats],
    spreads: Sequence[str | None] | None = None,
    varying: Varying | None = None,
) -> Floats:
    """Present value of the cash flows of contract i on curve i, shape (n_contracts, n_states).

    days : ordinals of the payment dates, none before the valuation date; amounts : what is paid then; spreads : of each
    contract the id of a continuous spread over its curve, or None; varying : what is paid beside the amounts.
    All contracts of a curve and a spread share one matrix of discount factors over their distinct payment dates.
    """
    out = np.empty((len(curves), market.n_states))
    start = market.valuation_date.toordinal()
    for (curve, spread), rows in rows_by(list(zip(curves, spreads or [None] * len(curves), strict=True))):
        offsets = np.concatenate([[0], np.cumsum([len(days[i]) for i in rows])])
        unique, column = np.unique(np.concatenate([days[i] for i in rows]), return_inverse=True)
        matrix = market.discount(curve, (unique - start) / DAYS_A_YEAR)
        if spread is not None:
            matrix = cashflows.at_spread(matrix, unique - start, market.level(spread))
        flat = np.concatenate([amounts[i] for i in rows])
        if varying is None:
            out[rows] = cashflows.discounted_sums(offsets, column, flat, matrix)
        else:
            weights, sources = (np.concatenate([part[i] for i in rows]) for part in varying[:2])
            out[rows] = cashflows.varying_sums(offsets, column, flat, weights, sources, varying.variables, matrix)
    return out


def period_growths(
    market: Market, curves: Sequence[str], starts: Sequence[Ints], ends: Sequence[Ints]
) -> tuple[Floats, list[Ints]]:
    """What a unit grows by over projected periods, P(start) / P(end) - 1 on the curve of each contract.

    starts, ends : ordinals of the periods of contract i, none before the valuation date. Returns the growths, shape
    (n_different, n_states), and the row of each period of each contract.
    """
    rows_of: list[Ints] = [np.empty(0, np.int64)] * len(curves)
    growths = [np.empty((0, market.n_states))]
    today, n = market.valuation_date.toordinal(), 0
    for curve, rows in rows_by(curves):
        periods = np.concatenate([np.column_stack([starts[i], ends[i]]) for i in rows])
        if not len(periods):
            continue
        different, row = np.unique(periods, axis=0, return_inverse=True)
        days, column = np.unique(different, return_inverse=True)
        factors = market.discount(curve, (days - today) / DAYS_A_YEAR)
        begin, end = column.reshape(different.shape).T
        growths.append(cashflows.growths(begin, end, factors))
        for i, found in zip(rows, np.split(row.ravel() + n, np.cumsum([len(starts[i]) for i in rows])), strict=False):
            rows_of[i] = found
        n += len(different)
    return np.concatenate(growths), rows_of


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
    market = markets.market(last)
    amounts = value([terms], market)[0]
    if market.along is not None:
        return (CashFlow(last, amounts, "settlement"),)
    amount = float(amounts[0])
    if not math.isfinite(amount):
        raise NotValuable("non_finite", f"What it settles on {last} is not a finite number in the market rolled there.")
    return (CashFlow(last, amount, "settlement"),)


def paid(
    markets: RolledMarkets, until: dt.date, days: Ints, amounts: Floats | Sequence[float | Floats], kinds: Sequence[str]
) -> tuple[CashFlow, ...]:
    """Those of the payments that are made after the market date, up to `until` included; on paths an amount may differ in each state."""
    after, up_to = markets.market_date.toordinal(), until.toordinal()
    return tuple(
        CashFlow(dt.date.fromordinal(day), amount, kind)
        for day, amount, kind in zip(
            days.tolist(), amounts.tolist() if isinstance(amounts, np.ndarray) else amounts, kinds, strict=True
        )
        if after < day <= up_to
    )


def rows_by(names: Sequence[Key]) -> list[tuple[Key, Ints]]:
    """The rows, (n,), that have each name."""
    rows: dict[Key, list[int]] = {}
    for i, name in enumerate(names):
        rows.setdefault(name, []).append(i)
    return [(name, np.array(where)) for name, where in rows.items()]
