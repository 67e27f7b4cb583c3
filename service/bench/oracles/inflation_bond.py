"""Inflation-linked bonds by QuantLib's CPI bond; a deflation floor is added from QuantLib's index and curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.bonds import BAR, SIZE, bond_schedule, priced, random_schedule
from service.bench.oracles.market import Quotes, ql_date
from service.bench.oracles.price_indices import CPI, CPI_INTERPOLATION, CURVE, FACTORS, LAG, quantlib_index
from valuation.instruments.rates.inflation_bond import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

__all__ = ["BAR", "FACTORS", "SIZE", "TOLERANCE", "contracts", "price"]

TOLERANCE = 1e-12  # the same cash flows; a growth from a rate there, from its logarithm here
_KNOWN = {"2020-01-01": 258.1}  # QuantLib projects later months even where it has their fixing


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        random_schedule(rng)
        | {
            "coupon": float(rng.uniform(-0.005, 0.04)),
            "price_index": CPI,
            "inflation_curve": CURVE,
            "observation_lag": LAG,
            "interpolation": str(rng.choice(["linear", "flat"])),
            "base_index": float(rng.uniform(180, 330)),
            "deflation_floor": bool(rng.random() < 0.5),
            "fixings": dict(_KNOWN) if rng.random() < 0.5 else {},
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    name, made = f"oracle {'known' if terms.fixings else 'projected'}", quotes.market.index.memo
    if name not in made:
        made[name] = quantlib_index(name, terms.fixings, quotes)
    index = made[name]
    lag, observed = ql.Period(terms.observation_lag, ql.Months), CPI_INTERPOLATION[terms.interpolation]
    convention, calendar = BUSINESS_DAY_CONVENTIONS[terms.business_day_convention], CALENDARS[terms.calendar]
    bond = ql.CPIBond(
        0, 100.0, False, terms.base_index, lag, index, observed, bond_schedule(terms), [terms.coupon],
        DAY_COUNTS[terms.day_count], convention, ql_date(terms.issue_date), calendar,
    )  # fmt: skip
    curve = quotes.curve(terms.discount_curve)
    whole = priced(bond, curve)
    if not terms.deflation_floor:
        return whole
    maturity = ql_date(terms.maturity)
    paid_on = calendar.adjust(maturity, convention)

    def floored() -> float:
        ratio = float(ql.CPI.laggedFixing(index, maturity, lag, observed)) / terms.base_index
        return whole() + 100.0 * max(1.0 - ratio, 0.0) * float(curve.discount(paid_on))

    return floored
