"""Cross-currency swaps by QuantLib's legs: each currency's coupons and notionals discounted on its curve, the base ones at spot.

A notional that resets is that of each period at the forward exchange rate of its first day, by covered parity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.legs import (
    FACTORS,
    any_day_count,
    any_frequency,
    any_rate,
    exchange,
    fixed_leg,
    fixings_of,
    floating_leg,
    leg_value,
    random_swap,
    schedule,
)
from service.bench.oracles.market import TODAY, Quotes, ql_date
from valuation.catalogue import parse_terms
from valuation.instruments.rates.cross_currency_swap import Terms
from valuation.instruments.rates.legs import FloatingLeg

__all__ = ["FACTORS"]

TOLERANCE = 3e-12  # as of swaps; resetting notionals are quotients of discount factors of up to twenty years
BAR = 20


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return terms.initial_exchange_rate


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        resetting = bool(rng.random() < 0.4)
        swap = random_swap(rng) | {
            "base_currency": "EUR",
            "initial_exchange_rate": float(rng.uniform(1.0, 1.3)),
            "base_curve": "EUR",
            "resetting": resetting,
            "notional_exchange": resetting or bool(rng.random() < 0.8),
        }
        for prefix, curve in (("", "USD_3M"), ("base_", "EUR_6M")):
            swap |= {f"{prefix}frequency": any_frequency(rng), f"{prefix}day_count": any_day_count(rng)}
            if rng.random() < 0.4:
                swap[f"{prefix}fixed_rate"] = any_rate(rng)
            else:
                swap |= {f"{prefix}projection_curve": curve, f"{prefix}spread": float(rng.uniform(-0.003, 0.003))}
        terms: Any = parse_terms("cross_currency_swap", swap)
        for prefix, leg in (("", terms.coupon_leg()), ("base_", terms.base_legs()[0][1])):
            if isinstance(leg, FloatingLeg):
                swap[f"{prefix}fixings"] = fixings_of(leg, rng)
        leg = terms.coupon_leg().schedule
        begins = int(leg.starts[leg.payments.searchsorted(TODAY.toordinal(), side="right")])
        if resetting and int(leg.starts[0]) < begins <= TODAY.toordinal():
            swap["fx_fixings"] = {TODAY.fromordinal(begins).isoformat(): float(rng.uniform(1.0, 1.3))}
        made.append(swap)
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    own, base, spot = quotes.curve(terms.discount_curve), quotes.curve(terms.base_curve), quotes.level("FX:EURUSD")

    def coupons(prefix: str, discount: str) -> ql.Leg:
        frequency, day_count, rate = (getattr(terms, f"{prefix}{n}") for n in ("frequency", "day_count", "fixed_rate"))
        if rate is not None:
            return fixed_leg(terms, frequency, day_count, rate)
        projection = quotes.curve(getattr(terms, f"{prefix}projection_curve") or discount)
        spread, fixings = (getattr(terms, f"{prefix}{n}") for n in ("spread", "fixings"))
        return floating_leg(terms, prefix, frequency, day_count, spread or 0.0, projection, fixings)

    received, paid = coupons("base_", terms.base_curve), coupons("", terms.discount_curve)
    if not terms.resetting:
        notionals = exchange(terms) if terms.notional_exchange else ql.Leg()

        def constant() -> float:
            theirs = leg_value(received, base, quotes) + leg_value(notionals, base, quotes)
            return float(spot.value()) * theirs - terms.initial_exchange_rate * (
                leg_value(paid, own, quotes) + leg_value(notionals, own, quotes)
            )

        return constant

    days = list(schedule(terms, terms.frequency))
    periods = list(zip(paid, days, days[1:], strict=False))
    first_of_all, today, whole = days[0], ql_date(TODAY), exchange(terms)

    def at_rate(day: ql.Date) -> float:
        if day == first_of_all:
            return terms.initial_exchange_rate
        fixed = terms.fx_fixings.get(TODAY.fromordinal(TODAY.toordinal() + day.serialNumber() - today.serialNumber()))
        return fixed if fixed is not None else float(spot.value() * base.discount(day) / own.discount(day))

    def resetting() -> float:
        value = float(spot.value()) * (leg_value(received, base, quotes) + leg_value(whole, base, quotes))
        for coupon, begin, end in periods:
            if end > today:
                given = own.discount(begin) if begin > today else 0.0
                value -= at_rate(begin) * (leg_value([coupon], own, quotes) + own.discount(end) - given)
        return value

    return resetting
