"""Bermudan swaptions by QuantLib's finite differences in the Hull-White model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles import rates
from service.bench.oracles.market import TODAY, Quotes, ql_date
from valuation.catalogue import parse_terms
from valuation.instruments.rates.bermudan_swaption import Terms

_GRID = (100, 100)  # steps in time and in the rate
TOLERANCE = 1e-3  # the error of that grid: the 30 furthest of 1,000 come within 1.2e-4 on one of 800 steps
FACTORS = rates.FACTORS


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return 0.01 * rates.years_to(terms)


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for _ in range(n):
        curves, strike = rates.random_model(rng)
        schedule = {**rates.random_periods(rng), "float_frequency": int(rng.choice([2, 4]))}
        first = TODAY + dt.timedelta(days=int(rng.integers(1, 730)))
        start = rates.business_day(first, schedule["calendar"])
        maturity = rates.business_day(start + dt.timedelta(days=int(rng.integers(400, 1500))), schedule["calendar"])
        terms = {
            "currency": curves["currency"],
            "discount_curve": curves["discount_curve"],
            "projection_curve": curves.get("projection_curve"),
            **schedule,
            "pay_fixed": bool(rng.random() < 0.5),
            "fixed_rate": strike,
            "start": start.isoformat(),
            "maturity": maturity.isoformat(),
            "fixed_frequency": int(rng.choice([1, 2])),
            "fixed_day_count": str(rng.choice(["Thirty360", "Actual365Fixed"])),
            "mean_reversion": float(rng.uniform(0.005, 0.1)),
            "volatility": f"NV:{curves['currency']}",
            "exercise_dates": [start.isoformat()],
        }
        swap = parse_terms("bermudan_swaption", terms)
        assert isinstance(swap, Terms)
        starts = [dt.date.fromordinal(d).isoformat() for d in swap.fixed_leg().starts.tolist()]
        made.append({**terms, "exercise_dates": [d for d in starts if rng.random() < 0.8] or starts[:1]})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    option = ql.Swaption(
        rates.underlying_swap(terms, quotes), ql.BermudanExercise([ql_date(d) for d in terms.exercise_dates])
    )
    curve, volatility = quotes.curve(terms.discount_curve), quotes.level(terms.volatility)

    def npv() -> float:
        model = ql.HullWhite(curve, terms.mean_reversion, volatility.value())
        option.setPricingEngine(ql.FdHullWhiteSwaptionEngine(model, *_GRID))
        return float(option.NPV())

    return npv
