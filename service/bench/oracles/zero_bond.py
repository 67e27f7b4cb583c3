"""Zero-coupon bonds by QuantLib's discounting engine, with a spread on the curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.bonds import BAR, FACTORS, SIZE, TOLERANCE, priced, random_bond, risky_curve
from service.bench.oracles.market import Quotes, ql_date
from valuation.instruments.rates.zero_bond import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS

__all__ = ["BAR", "FACTORS", "SIZE", "TOLERANCE", "contracts", "price"]


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [{k: v for k, v in random_bond(rng).items() if k in Terms.model_fields} for _ in range(n)]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    convention = BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    bond = ql.ZeroCouponBond(0, CALENDARS[terms.calendar], 100.0, ql_date(terms.maturity), convention)
    return priced(bond, risky_curve(terms.discount_curve, terms.credit_spread, quotes))
