"""Rows of interest rate, bond and inflation derivatives: notional x supervisory duration, 52.34.

Long is what gains when rates rise: pay fixed, or a bond sold forward. S, E and M are those of table 1 of 52.32.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from aggregation.regulatory.sa_ccr.rows import BASIS, Context, OptionTerms, Row, fx_row, interest_rate_row
from lake.arrays import Floats, Ints
from valuation.instruments.rates import bond_future as bond_futures
from valuation.instruments.rates.options import UnderlyingSwap
from valuation.market.scenario_market import DAYS_A_YEAR

_FACE = 100.0  # of a unit of a bond


def forward_rate(context: Context, terms: Any) -> list[Row]:
    """A forward rate agreement is settled at the start of its period: M is S."""
    start, end = context.years(terms.start), context.years(terms.maturity)
    return [interest_rate_row(context, terms.currency, 1.0, start, end, start, _sign(terms.pay_fixed))]


def swap(context: Context, terms: Any) -> list[Row]:
    """Fixed against floating or overnight."""
    return [_whole(context, terms, _sign(terms.pay_fixed))]


def basis_swap(context: Context, terms: Any) -> list[Row]:
    """Two floating rates of one currency: a hedging set of their pair, 52.46, long in the one whose curve comes first by name."""
    first, last = sorted((terms.receive_projection_curve, terms.pay_projection_curve))
    direction = 1.0 if terms.receive_projection_curve == first else -1.0
    return [_whole(context, terms, direction, hedging_set=f"{first} against {last}", treatment=BASIS)]


def inflation_swap(context: Context, terms: Any) -> list[Row]:
    """A hedging set of its own in each currency, 52.57, long where inflation is received."""
    return [_whole(context, terms, _sign(terms.pay_fixed), hedging_set=f"{terms.currency} inflation")]


def cross_currency_swap(context: Context, terms: Any) -> list[Row]:
    """An FX position, its primary risk; and where one leg alone is fixed, one in the rates of that leg's currency.

    Of a swap that begins later both exchanges of notional lie ahead, in opposite directions.
    """
    pair, amounts = (terms.base_currency, terms.currency), (1.0, terms.initial_exchange_rate)
    end = context.years(terms.maturity)
    rows = [fx_row(context, *pair, *amounts, end, 1.0)]
    if terms.start > context.as_of and terms.notional_exchange:
        rows.append(fx_row(context, *pair, *amounts, context.years(terms.start), -1.0))
    legs = (
        (terms.base_currency, 1.0, terms.base_fixed_rate, -1.0),  # received, so that rates are short
        (terms.currency, terms.initial_exchange_rate, terms.fixed_rate, 1.0),
    )
    fixed = [leg for leg in legs if leg[2] is not None]
    when = context.parameters.treatments.cross_currency
    if when == "each_fixed_leg" or (when == "one_fixed_leg" and len(fixed) == 1):
        start = context.years(terms.start)
        rows += [interest_rate_row(context, c, amount, start, end, end, sign) for c, amount, _, sign in fixed]
    return rows


def bond_forward(context: Context, terms: Any) -> list[Row]:
    start, end = context.years(terms.delivery), context.years(terms.maturity)
    return [interest_rate_row(context, terms.currency, _FACE, start, end, start, -1.0)]


def bond_future(context: Context, terms: bond_futures.Terms) -> list[Row]:
    """On the cheapest of its basket; settled daily: the floor of the maturity factor holds, and E decides the bucket (52.32 FAQ 1)."""
    cheapest = int(np.argmin(bond_futures.implied_prices([terms], context.market)[:, 0]))
    start, end = context.years(terms.delivery), context.years(terms.basket[cheapest].maturity)
    return [interest_rate_row(context, terms.currency, _FACE, start, end, 0.0, -1.0)]


def cap_floor(context: Context, terms: Any) -> list[Row]:
    """A caplet or floorlet for each period that is still to be paid, 52.43; T is the day on which its rate is set."""
    leg, today = terms.floating_leg(), context.as_of.toordinal()
    first = int(leg.payments.searchsorted(today, side="right"))
    call = 1.0 if terms.option_type == "cap" else -1.0
    rows = []
    for starts, ends, accrual in zip(
        leg.starts[first:].tolist(), leg.payments[first:].tolist(), leg.accruals[first:].tolist(), strict=True
    ):
        set_on, end = dt.date.fromordinal(starts), context.years(dt.date.fromordinal(ends))
        known = terms.fixings.get(set_on) if starts <= today else None
        if known is None:
            growth = _discounts(context, terms.projects, np.array([max(starts, today), ends]))
            known = (float(growth[0] / growth[1]) - 1.0) / accrual
        start = context.years(set_on)
        option = OptionTerms(call, known, terms.strike, start, terms.currency)
        rows.append(interest_rate_row(context, terms.currency, 1.0, start, end, end, 1.0, option))
    return rows


def swaption(context: Context, terms: Any) -> list[Row]:
    """M is the end of the swap where it is entered into, the expiry where it is settled in cash."""
    start, end, expiry = context.years(terms.start), context.years(terms.maturity), context.years(terms.expiry)
    option = OptionTerms(_sign(terms.pay_fixed), swap_rate(context, terms), terms.fixed_rate, expiry, terms.currency)
    maturity = end if terms.settlement == "physical" else expiry
    return [interest_rate_row(context, terms.currency, 1.0, start, end, maturity, 1.0, option)]


def bermudan_swaption(context: Context, terms: Any) -> list[Row]:
    """S is the first exercise that lies ahead, T the last, E the end of the swap, 52.42."""
    ahead = [d for d in terms.exercise_dates if d >= context.as_of]
    first, expiry = context.years(ahead[0]), context.years(ahead[-1])
    end = context.years(terms.maturity)
    fixed, floating = terms.entered(context.as_of)
    rate = swap_rate(context, terms, int(fixed[0]), int(floating[0]))
    option = OptionTerms(_sign(terms.pay_fixed), rate, terms.fixed_rate, expiry, terms.currency)
    return [interest_rate_row(context, terms.currency, 1.0, first, end, end, 1.0, option)]


def swap_rate(context: Context, terms: UnderlyingSwap, first_fixed: int = 0, first_floating: int = 0) -> float:
    """The forward rate of the swap from these periods on: the value of its floating leg over its annuity."""
    fixed, floating = terms.fixed_leg(), terms.floating_leg()
    starts, ends = floating.starts[first_floating:], floating.payments[first_floating:]
    paid = fixed.payments[first_fixed:]
    annuity = float((fixed.accruals[first_fixed:] * _discounts(context, terms.discount_curve, paid)).sum())
    if terms.projects == terms.discount_curve:
        first, last = _discounts(context, terms.discount_curve, np.array([starts[0], ends[-1]]))
        return float(first - last) / annuity
    begin, end = (_discounts(context, terms.projects, days) for days in (starts, ends))
    return float(((begin / end - 1.0) * _discounts(context, terms.discount_curve, ends)).sum()) / annuity


def _whole(context: Context, terms: Any, direction: float, **how: Any) -> Row:
    start, end = context.years(terms.start), context.years(terms.maturity)
    return interest_rate_row(context, terms.currency, 1.0, start, end, end, direction, **how)


def _discounts(context: Context, curve: str, days: Ints) -> Floats:
    times = np.maximum(days - context.as_of.toordinal(), 0) / DAYS_A_YEAR
    found: Floats = context.market.discount(curve, times)[:, 0]
    return found


def _sign(pay_fixed: bool) -> float:
    return 1.0 if pay_fixed else -1.0
