"""Bermudan swaption: the right to enter what is left of a fixed-floating swap on one of several days.

Unit of quantity: one unit of the swap's notional. Exercised on a day, the swap has the periods of both legs that begin on that day or
later. Value = that of the best exercise policy in the Hull-White one-factor model: mean reversion a term, the volatility of the short rate
a risk factor, the curves those of each scenario; found by backward induction over the exercise dates, see
`valuation.kernels.hull_white`. Where another curve projects, each forward rate keeps its ratio to that of the discount curve.
On an exercise date the value holds the right to exercise that day. In a market rolled forward it is exercised on the first day inside
the roll on which that is worth more, in the base, than to wait; it is then settled at what the swap is worth.
Source: Hull and White, "Pricing interest-rate derivative securities", Review of Financial Studies 3 (1990).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Name, Number, require_alive
from valuation.instruments.rates.options import Dates, UnderlyingSwap
from valuation.instruments.reads import require_factor, settlement
from valuation.kernels import hull_white
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import CashFlow, Market, NotValuable, RolledMarkets

VERSION = f"1+{schedules.VERSION}"
_REACH = 8.0  # standard deviations of the state on each side of the grid, and more for what payments depend on it:
_LARGE = 0.02  # at this volatility of the short rate
_STEPS = 2.0  # of the grid in the narrowest kernel's standard deviation
_WIDEST = 0.2

Discount = Callable[[str, Ints], Floats]  # factors (n_days, n_states) of a curve at ordinals of days


class Terms(UnderlyingSwap):
    instrument_type: ClassVar[str] = "bermudan_swaption"

    exercise_dates: Dates = Field(
        min_length=1, max_length=400, description='days of exercise, ascending, as JSON: ["2026-03-16", "2027-03-16"]'
    )
    mean_reversion: Number = Field(
        ge=-0.2, lt=1, description="mean reversion of the short rate, fraction a year; may be zero or negative"
    )
    volatility: Name = Field(description="risk factor id of the volatility of the short rate, a normal_vol")

    @model_validator(mode="after")
    def _exercisable(self) -> Self:
        if any(a >= b for a, b in zip(self.exercise_dates, self.exercise_dates[1:], strict=False)):
            raise ValueError("exercise_dates must ascend, each day once")
        if self.exercise_dates[-1] >= self.maturity:
            raise ValueError(
                f"the last of exercise_dates, {self.exercise_dates[-1]}, must lie before maturity {self.maturity}"
            )
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.exercise_dates[-1], valuation_date)
        self.entered(valuation_date)

    def entered(self, day: dt.date) -> tuple[Ints, Ints]:
        """The first fixed and the first floating period of the swap that each exercise from a day on enters.

        Raises `NotValuable` where there is none, or the legs would begin on different days.
        """
        fixed, floating = self.fixed_leg(), self.floating_leg()
        days = [d for d in self.exercise_dates if d >= day]
        ordinals = [d.toordinal() for d in days]
        first, other = fixed.starts.searchsorted(ordinals), floating.starts.searchsorted(ordinals)
        for d, i, j in zip(days, first.tolist(), other.tolist(), strict=True):
            if i == len(fixed.starts) or j == len(floating.starts) or fixed.starts[i] != floating.starts[j]:
                raise NotValuable(
                    "invalid_schedule",
                    f"Exercise on {d} enters no swap: after it no fixed and floating period begin together.",
                )
        return first, other


class _Entered(NamedTuple):
    """Present values of what exercise gives, as `valuation.kernels.hull_white.bermudan` takes them; `days` (ordinals) of each."""

    entry_days: Ints
    entries: Floats
    first_flow: Ints
    flow_days: Ints
    flows: Floats


def _entered(terms: Terms, day: dt.date, discount: Discount) -> _Entered:
    fixed, floating = terms.fixed_leg(), terms.floating_leg()
    fixed_first, float_first = terms.entered(day)
    i, j = int(fixed_first[0]), int(float_first[0])
    sign = 1.0 if terms.pay_fixed else -1.0
    starts, ends, payments = floating.starts[j:], floating.payments[j:], fixed.payments[i:]
    single = terms.projects == terms.discount_curve
    flow_days = np.union1d(payments, ends[-1:] if single else ends)
    factors = discount(terms.discount_curve, flow_days)
    at_end = flow_days.searchsorted(ends[-1:] if single else ends)
    amounts = np.zeros(len(flow_days))
    amounts[flow_days.searchsorted(payments)] -= terms.fixed_rate * fixed.accruals[i:]
    amounts[at_end] -= 1.0
    flows = amounts[:, None] * factors
    entered = float_first - j
    if single:
        entries = discount(terms.discount_curve, starts[entered])
    else:
        growth = discount(terms.projects, starts) / discount(terms.projects, ends)
        units = growth * factors[at_end]  # at the start of each period
        flows[at_end[:-1]] += units[1:]
        entries = units[entered]
    return _Entered(
        starts[entered],
        sign * entries,
        flow_days.searchsorted(starts[entered], side="right"),
        flow_days,
        sign * flows,
    )


def _exercise(terms: Terms, day: dt.date, discount: Discount, volatility: Floats) -> tuple[Floats, Floats]:
    """What exercise on a day gives (-infinity where it is no exercise date), and what it is worth to wait, each (n_states,)."""
    e = _entered(terms, day, discount)
    today = day.toordinal()

    def times(days: Ints) -> Floats:
        out: Floats = (days - today) / DAYS_A_YEAR
        return out

    dates = np.array([d.toordinal() for d in terms.exercise_dates if d >= day])
    deviations = np.sqrt(hull_white.unit_variance(terms.mean_reversion, times(dates)))
    entry_slopes, flow_slopes = (
        hull_white.sensitivity(terms.mean_reversion, times(d)) for d in (e.entry_days, e.flow_days)
    )
    middle = 0.5 * (entry_slopes[0] + flow_slopes[-1])
    return hull_white.bermudan(
        deviations,
        entry_slopes - middle,
        e.entries,
        e.first_flow,
        flow_slopes - middle,
        e.flows,
        np.where(volatility >= 0.0, volatility, np.nan),
        _grid(deviations, flow_slopes[-1] - middle),
    )


def _grid(deviations: Floats, slope: float) -> Floats:
    """Nodes of the state in its standard deviations: even, symmetric, and close enough for the narrowest kernel."""
    reach = _REACH + _LARGE * abs(slope) * float(deviations[-1])
    later = deviations[deviations > 0.0]
    ratios = later[:-1] / later[1:]
    narrowest = math.sqrt(float(np.min((1.0 - ratios) * (1.0 + ratios), initial=1.0)))
    half = math.ceil(reach / min(_WIDEST, narrowest / _STEPS))
    return np.arange(-half, half + 1, dtype=np.float64) * (reach / half)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    fixed, floating = terms.fixed_leg(), terms.floating_leg()
    fixed_first, float_first = terms.entered(valuation_date)
    i, j = (int(first[0]) if len(first) else -1 for first in (fixed_first, float_first))
    last = int(max(fixed.payments[-1], floating.payments[-1]))
    return (
        *terms.curves_read(
            index,
            valuation_date,
            (int(floating.starts[j]), int(floating.payments[-1])),
            (int(min(fixed.payments[i], floating.payments[j])), last),
        ),
        require_factor(index, terms.volatility, ("normal_vol",)),
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    today = market.valuation_date.toordinal()

    def discount(curve: str, days: Ints) -> Floats:
        return market.discount(curve, (days - today) / DAYS_A_YEAR)

    out = np.empty((len(terms), market.n_states))
    for row, t in zip(out, terms, strict=True):
        if (day := _exercised(t, market)) is not None:
            raise NotValuable("matured", f"It was exercised on {day}, inside the roll.")
        now, later = _exercise(t, market.valuation_date, discount, market.level(t.volatility))
        row[:] = np.maximum(now, later)
    return out


def exercise_values(terms: Terms, market: Market) -> tuple[Floats, Floats]:
    """What exercise on the valuation date gives, -infinity where it is no exercise date, and what it is worth to wait; each (n_states,)."""
    today = market.valuation_date.toordinal()

    def discount(curve: str, days: Ints) -> Floats:
        return market.discount(curve, (days - today) / DAYS_A_YEAR)

    return _exercise(terms, market.valuation_date, discount, market.level(terms.volatility))


def _exercised(terms: Terms, market: Market) -> dt.date | None:
    """The first day of a roll, before its last, on which exercise is worth more in the base than to wait.

    Of days that have passed the book says whether it was exercised.
    """
    if market.roll is None or market.along is not None or market.passed(market.roll.since) is not None:
        return None  # on paths whoever ages the contract compares: see `exercise_values`
    for day in terms.exercise_dates:
        if market.roll.since <= day < market.valuation_date:

            def discount(curve: str, days: Ints, day: dt.date = day) -> Floats:
                growth = [market.fixed_growth(curve, day, dt.date.fromordinal(d)) for d in days.tolist()]
                return 1.0 / np.array(growth)[:, None]

            now, later = _exercise(terms, day, discount, market.level(terms.volatility)[:1])
            if now[0] > later[0]:
                return day
    return None


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    day = _exercised(terms, markets.market(until))
    return () if day is None else settlement(value, terms, markets, day, until)
