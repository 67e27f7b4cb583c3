"""The curves, dates and models that random options on rates share, and their swaps in QuantLib."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from scenarios.types import RiskFactor
from service.bench.oracles.market import PILLARS, TODAY, Quotes, ql_date
from valuation.instruments.rates.options import RateTerms, UnderlyingSwap
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

_CURVES = {"EUR_6M": ("EUR", 0.001), "USD_3M": ("USD", 0.06)}  # so high that no forward rate falls below zero
FACTORS: tuple[tuple[RiskFactor, float], ...] = (
    *(
        (RiskFactor(f"YC:{curve}:{p}", "zero_rate", p, currency, curve, p), rate)
        for curve, (currency, rate) in _CURVES.items()
        for p in PILLARS
    ),
    (RiskFactor("NV:EUR", "normal_vol", "NV:EUR", "EUR"), 0.006),
    (RiskFactor("NV:USD", "normal_vol", "NV:USD", "USD"), 0.006),
    (RiskFactor("IV:USD_RATES", "implied_vol", "IV:USD_RATES", "USD"), 0.25),
)

# A model for each way to price: on rates below zero, and on those that stay above it, with and without a shift.
_MODELS: tuple[dict[str, Any], ...] = (
    {"currency": "EUR", "model": "normal", "volatility": "NV:EUR", "discount_curve": "EUR", "projection_curve": "EUR_6M"},
    {"currency": "USD", "model": "normal", "volatility": "NV:USD", "discount_curve": "USD"},
    {"currency": "USD", "model": "black", "volatility": "IV:USD_RATES", "shift": 0.05, "discount_curve": "USD"},
    {
        "currency": "USD",
        "model": "black",
        "volatility": "IV:USD_RATES",
        "discount_curve": "USD",
        "projection_curve": "USD_3M",
    },
)  # fmt: skip


def random_model(rng: np.random.Generator) -> tuple[dict[str, Any], float]:
    """Terms of the model and the curves, and a strike that is not far from the rates there."""
    model = _MODELS[int(rng.integers(len(_MODELS)))]
    level = 0.06 if model.get("projection_curve") == "USD_3M" else 0.02 if model["currency"] == "USD" else 0.001
    return model, level + float(rng.uniform(-0.015, 0.015))


def random_periods(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "float_frequency": int(rng.choice([1, 2, 4])),
        "float_day_count": str(rng.choice(["Actual360", "Actual365Fixed", "Thirty360"])),
        "calendar": str(rng.choice(["weekdays", "EUTA", "USNY"])),
        "business_day_convention": str(rng.choice(["ModifiedFollowing", "Following"])),
    }


def business_day(day: dt.date, calendar: str) -> dt.date:
    """The day itself, or the next business day."""
    moved = CALENDARS[calendar].adjust(ql_date(day))
    return dt.date(moved.year(), moved.month(), moved.dayOfMonth())


def rate_schedule(terms: RateTerms, start: dt.date, frequency: int) -> ql.Schedule:
    adjust = BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    return ql.Schedule(
        ql_date(start),
        ql_date(terms.maturity),
        ql.Period(12 // frequency, ql.Months),
        CALENDARS[terms.calendar],
        adjust,
        adjust,
        ql.DateGeneration.Backward,
        bool(terms.end_of_month),
    )


def index(terms: RateTerms, quotes: Quotes, name: str) -> ql.IborIndex:
    """A rate that fixes on the first day of its period."""
    return ql.IborIndex(
        name,
        ql.Period(12 // terms.float_frequency, ql.Months),
        0,
        ql.EURCurrency(),
        CALENDARS[terms.calendar],
        BUSINESS_DAY_CONVENTIONS[terms.business_day_convention],
        bool(terms.end_of_month),
        DAY_COUNTS[terms.float_day_count],
        quotes.curve(terms.projects),
    )


def underlying_swap(terms: UnderlyingSwap, quotes: Quotes) -> ql.VanillaSwap:
    """The underlying swap, from its fixed leg's payer where `pay_fixed`."""
    return ql.VanillaSwap(
        ql.Swap.Payer if terms.pay_fixed else ql.Swap.Receiver,
        1.0,
        rate_schedule(terms, terms.start, terms.fixed_frequency),
        terms.fixed_rate,
        DAY_COUNTS[terms.fixed_day_count],
        rate_schedule(terms, terms.start, terms.float_frequency),
        index(terms, quotes, "oracle"),
        0.0,
        DAY_COUNTS[terms.float_day_count],
        BUSINESS_DAY_CONVENTIONS[terms.business_day_convention],
    )


def years_to(terms: RateTerms) -> float:
    return max((terms.maturity - TODAY).days / 365.0, 1.0)
