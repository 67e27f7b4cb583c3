"""Cross-currency swap: a leg in the base currency received, a leg in the contract's currency paid, each fixed or floating.

Unit of quantity: one unit of base-currency notional. Value in `currency` = FX x value of the base leg - value of the other,
each discounted on a curve of its currency. Notionals are exchanged at the start and back at the end, unless
`notional_exchange` is false. With `resetting`, the notional of the leg in `currency` is set anew on the first day of each period
to the exchange rate of that day, and the difference is paid: a period from t to T that is not yet set is worth, by covered
parity, FX D_base(t) (D(T) (1 + coupon) / D(t) - 1). The running period needs its rate in `fx_fixings`; one that begins on the
valuation date takes it when given, and the spot rate when not. In a market rolled forward, a reset inside the roll that is
not given is the forward rate of its day on the contract's two discount curves, and where the market's exchange rate rolls on
other curves, is stretched evenly over the days to where that stands. See `legs` for coupons and their fixings.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Swaps"; Fujii, Shimada and Takahashi, *A Note on Construction of
Multiple Swap Curves with and without Collateral*, 2009, for resetting notionals.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Currency, Date, Fixings, Name, Price, Rate, known_fixing, read_json
from valuation.instruments.rates.legs import (
    FIXED_RATE,
    FIXINGS,
    PROJECTION_CURVE,
    SPREAD,
    FixedLeg,
    FloatingLeg,
    NotionalExchange,
    Payments,
    Signed,
    Span,
    SwapFrequency,
    SwapTerms,
    legs_factors,
    signed_cash,
    signed_payments,
    span_factors,
    values,
)
from valuation.instruments.reads import paid
from valuation.instruments.schedules import DayCount
from valuation.types import CashFlow, Market, OnlyWith, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(SwapTerms):
    instrument_type: ClassVar[str] = "cross_currency_swap"
    only_with: ClassVar[OnlyWith] = {"fx_fixings": ("resetting", (True,))}

    base_currency: Currency = Field(description="currency of the leg received, ISO 4217")
    initial_exchange_rate: Price = Field(
        description="notional of the leg paid, in currency, for one of base currency; positive"
    )
    frequency: SwapFrequency = Field(description="payments made a year: 1, 2, 4 or 12")
    day_count: DayCount = Field("Actual360", description=f"day count of the leg paid: {schedules.DAY_COUNT}")
    fixed_rate: Rate | None = Field(None, description=f"{FIXED_RATE}, of the leg paid; floating where left out")
    projection_curve: Name | None = Field(None, description=PROJECTION_CURVE)
    spread: Rate | None = Field(None, description=SPREAD)
    fixings: Fixings = Field({}, description=FIXINGS)
    base_curve: Name = Field(description="curve that discounts the base currency")
    base_frequency: SwapFrequency = Field(description="payments received a year: 1, 2, 4 or 12")
    base_day_count: DayCount = Field("Actual360", description=f"day count of the leg received: {schedules.DAY_COUNT}")
    base_fixed_rate: Rate | None = Field(
        None, description=f"{FIXED_RATE}, of the leg received; floating where left out"
    )
    base_projection_curve: Name | None = Field(None, description=PROJECTION_CURVE)
    base_spread: Rate | None = Field(None, description=SPREAD)
    base_fixings: Fixings = Field({}, description=FIXINGS)
    notional_exchange: bool = Field(True, description="notionals are exchanged at the start, and back at the end")
    resetting: bool = Field(
        False, description="the notional of the leg paid is set anew each period at the exchange rate"
    )
    fx_fixings: Annotated[dict[Date, Price], BeforeValidator(read_json)] = Field(
        {},
        description='units of currency for one of base currency by first day of the period, as JSON: {"2026-03-02": 1.12}',
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.base_currency == self.currency:
            raise ValueError(f"base_currency and currency are both {self.currency}; this swap exchanges two")
        for prefix in ("", "base_"):
            floating = [f"{prefix}{n}" for n in ("projection_curve", "spread", "fixings") if getattr(self, prefix + n)]
            if getattr(self, f"{prefix}fixed_rate") is not None and floating:
                raise ValueError(
                    f"{prefix}fixed_rate makes the leg fixed; {', '.join(floating)} would make it floating"
                )
        if self.resetting and not self.notional_exchange:
            raise ValueError("a notional that resets is exchanged each period; leave notional_exchange out")
        return self

    def _leg(self, prefix: str, discount: str, day_count: str, frequency: int) -> FixedLeg | FloatingLeg:
        schedule = self.periods(frequency, day_count)
        rate: float | None = getattr(self, f"{prefix}fixed_rate")
        if rate is not None:
            return FixedLeg(schedule, rate, discount)
        projection = getattr(self, f"{prefix}projection_curve") or discount
        return FloatingLeg(
            schedule, discount, projection, getattr(self, f"{prefix}spread") or 0.0, getattr(self, f"{prefix}fixings")
        )

    def base_legs(self) -> Signed:
        """Those in base currency, for a notional of one."""
        leg = self._leg("base_", self.base_curve, self.base_day_count, self.base_frequency)
        return ((1.0, leg), *self._exchanges(1.0, leg))

    def coupon_leg(self) -> FixedLeg | FloatingLeg:
        """The coupons in the contract's currency, for a notional of one."""
        return self._leg("", self.discount_curve, self.day_count, self.frequency)

    def _exchanges(self, sign: float, leg: FixedLeg | FloatingLeg) -> Signed:
        if not self.notional_exchange:
            return ()
        schedule = leg.schedule
        return ((sign, NotionalExchange(int(schedule.starts[0]), int(schedule.payments[-1]), leg.discount_curve)),)

    def legs(self) -> Signed:
        """Those in the contract's currency where the notional does not reset."""
        leg = self.coupon_leg()
        return ((-self.initial_exchange_rate, leg), *self._exchanges(-self.initial_exchange_rate, leg))

    def resetting_leg(self) -> ResettingLeg:
        return ResettingLeg(
            self.coupon_leg(),
            self.base_curve,
            self.base_currency,
            self.currency,
            self.initial_exchange_rate,
            self.fx_fixings,
        )

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        super().check(valuation_date, rolled_from)
        for _, leg in self.base_legs():
            leg.check(valuation_date, rolled_from)
        if self.resetting:
            self.resetting_leg().check(valuation_date, rolled_from)


@dataclass(frozen=True)
class ResettingLeg:
    """Coupons on a notional of one base unit at the exchange rate of each period's first day; its first notional is `notional`.

    coupons : of a notional of one; foreign_curve : discounts the base currency.
    """

    coupons: FixedLeg | FloatingLeg
    foreign_curve: str
    base: str
    currency: str
    notional: float
    rates: dict[dt.date, float]

    def _running(self, today: int) -> int:
        return int(self.coupons.schedule.payments.searchsorted(today, side="right"))

    def _first_open(self, today: int) -> int:
        """The first period whose notional is not set."""
        starts = self.coupons.schedule.starts
        first = int(starts.searchsorted(today))
        if first < len(starts) and int(starts[first]) == today and dt.date.fromordinal(today) in self.rates:
            return first + 1
        return max(first, 1)  # the first notional is in the terms

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None) -> None:
        today = valuation_date.toordinal()
        running = self._running(today)
        if running < len(self.coupons.schedule.starts) and self.coupons.schedule.starts[running] < today:
            self._rate(running, rolled_from)

    def _rate(self, period: int, rolled_from: dt.date | None) -> float | None:
        """The notional of a period; None where the roll gives it; raises `NotValuable` where nothing does."""
        day = dt.date.fromordinal(int(self.coupons.schedule.starts[period]))
        if period == 0:
            return self.notional
        return known_fixing(self.rates, day, rolled_from, "exchange rate in fx_fixings")

    def set_notional(self, period: int, market: Market) -> float | Floats:
        """The notional of a period that has begun."""
        rate = self._rate(period, None if market.roll is None else market.roll.since)
        if rate is not None:
            return rate
        assert market.roll is not None
        roll, start = market.roll, dt.date.fromordinal(int(self.coupons.schedule.starts[period]))
        if market.along is not None:
            rates = market.along.on(start).fx(self.base, self.currency)
            return np.broadcast_to(rates, (market.n_states,))
        if (then := market.passed(start)) is not None:
            return float(then.fx(self.base, self.currency)[0])
        spot = market.index.cross(self.base, self.currency, lambda f: float(roll.origin[market.index.row[f]]), 1.0)
        if roll.market != "forwards" or start == roll.since:
            return spot

        def forward(day: dt.date) -> float:
            own, foreign = (
                market.fixed_growth(c, roll.since, day) for c in (self.coupons.discount_curve, self.foreign_curve)
            )
            return spot * own / foreign

        # the market may have rolled its exchange rate on other curves: forward rates are stretched to where it stands
        beside = float(market.fx(self.base, self.currency)[0]) / forward(roll.to)
        stretch: float = beside ** ((start - roll.since).days / (roll.to - roll.since).days)
        return forward(start) * stretch

    def payments(self, market: Market) -> tuple[list[Payments], list[Payments]]:
        """Those whose notional is set, in the contract's currency, and the others, in base currency at spot."""
        today = market.valuation_date.toordinal()
        schedule = self.coupons.schedule
        running, first = self._running(today), self._first_open(today)
        found = [self.set_notional(k, market) for k in range(running, min(first, len(schedule.starts)))]
        notionals: Floats = np.array([x if isinstance(x, float) else 1.0 for x in found])
        n = len(found)
        differs = any(not isinstance(x, float) for x in found)
        weights = (
            np.array([np.full(market.n_states, 1.0) if isinstance(x, float) else x for x in found]) if differs else None
        )
        known: list[Payments] = []
        open_: list[Payments] = []
        starts = schedule.starts[running:]
        for p in self._repaid(running, market):
            period = schedule.payments[running:].searchsorted(p.days)
            is_set = period < n
            if is_set.any():
                part = p.only(is_set)
                part = part._replace(amounts=notionals[period[is_set]] * part.amounts)
                if weights is not None:
                    own = weights[period[is_set]]
                    part = part._replace(weights=own if part.weights is None else own * part.weights)
                known.append(part)
            if not is_set.all():
                open_.append(p.only(~is_set)._replace(foreign=self.foreign_curve, resets=starts[period[~is_set]]))
        given = starts[starts > today]
        later = given[int(len(given) > 0 and given[0] == schedule.starts[0]) :]
        if len(later):
            open_.append(Payments(self.foreign_curve, later, np.full(len(later), -1.0)))
        if len(given) > len(later):
            known.append(Payments(self.coupons.discount_curve, given[:1], np.array([-self.notional])))
        return known, open_

    def _repaid(self, running: int, market: Market) -> list[Payments]:
        """The notional of one that each period pays back, with its coupon."""
        days = self.coupons.schedule.payments[running:]
        return [*self.coupons.by_period(market), Payments(self.coupons.discount_curve, days, np.ones(len(days)))]

    def spans(self, today: int) -> list[Span]:
        starts = self.coupons.schedule.starts
        first = self._first_open(today)
        spans = list(self.coupons.spans(today))
        begun = [int(day) for day in starts[self._running(today) :] if day >= today]
        if begun:
            spans.append((self.coupons.discount_curve, begun[0], int(self.coupons.schedule.payments[-1])))
        if first < len(starts):
            spans.append((self.foreign_curve, max(int(starts[first]), today), int(starts[-1])))
        return spans

    def cash(self, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
        since, to = markets.market_date.toordinal(), until.toordinal()
        # by the market of `until`, as the value on that day has it
        schedule, market = self.coupons.schedule, markets.market(until)
        rows: list[tuple[int, float | Floats, str]] = []
        coupons = {day: (amount, kind) for day, amount, kind in self.coupons.cash(markets, until)}
        for k, (start, end) in enumerate(zip(schedule.starts.tolist(), schedule.payments.tolist(), strict=True)):
            if since < start <= to:
                rows.append((start, self.set_notional(k, market), "notional"))
            if since < end <= to:
                notional, (coupon, kind) = self.set_notional(k, market), coupons[end]
                rows += [(end, -notional, "notional"), (end, -notional * coupon, kind)]
        days, amounts, kinds = zip(*rows, strict=True) if rows else ((), (), ())
        return paid(markets, until, np.array(days, dtype=np.int64), list(amounts), kinds)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    today = valuation_date.toordinal()
    spot = tuple(risk_factor_id for risk_factor_id, _ in index.fx_path(terms.base_currency, terms.currency))
    if terms.resetting:
        spans = [s for _, leg in terms.base_legs() for s in leg.spans(today)] + terms.resetting_leg().spans(today)
        spans = spans or [(c, today, today) for c in (terms.discount_curve, terms.base_curve)]
        return (*spot, *span_factors(spans, index, valuation_date))
    return (*spot, *legs_factors((*terms.base_legs(), *terms.legs()), index, valuation_date))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    contracts = []
    for t in terms:
        own, base = [], signed_payments(t.base_legs(), market)
        if t.resetting:
            known, open_ = t.resetting_leg().payments(market)
            own, base = [p.times(-1.0) for p in known], [*base, *(p.times(-1.0) for p in open_)]
        else:
            own = signed_payments(t.legs(), market)
        contracts.append([(t.base_currency, base), (None, own)])
    return values(market, contracts, [t.currency for t in terms])


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    own = terms.resetting_leg().cash(markets, until) if terms.resetting else signed_cash(terms.legs(), markets, until)
    received = signed_cash(terms.base_legs(), markets, until)
    rates: dict[dt.date, float | Floats] = {}
    for f in received:
        rate = markets.market(f.day).fx(terms.base_currency, terms.currency)
        rates[f.day] = float(rate[0]) if markets.market(f.day).along is None else rate
    return (*(CashFlow(f.day, f.amount * rates[f.day], f.kind) for f in received), *own)
