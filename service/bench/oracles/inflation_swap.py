"""Zero-coupon inflation swaps by QuantLib's; each has an index of its own, as QuantLib knows fixings by the name of an index."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.bonds import BAR
from service.bench.oracles.market import Quotes, ql_date, random_date
from service.bench.oracles.price_indices import CPI, CPI_INTERPOLATION, CURVE, FACTORS, LAG, quantlib_index
from valuation.instruments.rates.inflation_swap import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS
from valuation.market.inflation import month_of, month_start

__all__ = ["BAR", "FACTORS", "TOLERANCE", "contracts", "price"]

TOLERANCE = 1e-12  # one formula; a growth from a rate there, from its logarithm here


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        running = rng.random() < 0.8
        start = random_date(rng, -3600, -60) if running else random_date(rng, 0, 400)
        first = month_of(dt.date.fromisoformat(start)) - LAG
        months = [month_start(first + k).isoformat() for k in range(2)] if running else []
        made.append(
            {
                "currency": "USD",
                "pay_fixed": bool(rng.random() < 0.5),
                "fixed_rate": float(rng.uniform(-0.01, 0.05)),
                "start": start,
                "maturity": random_date(rng, 410, 14600),
                "day_count": str(rng.choice(["Thirty360", "Actual365Fixed"])),
                "calendar": str(rng.choice(["EUTA", "USNY", "weekdays"])),
                "business_day_convention": str(rng.choice(["Following", "ModifiedFollowing"])),
                "discount_curve": str(rng.choice(["USD", "USD_MID"])),
                "price_index": CPI,
                "inflation_curve": CURVE,
                "observation_lag": LAG,
                "interpolation": str(rng.choice(["linear", "flat"])),
                "fixings": {m: float(rng.uniform(200, 257)) for m in months},
            }
        )
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    swap = ql.ZeroCouponInflationSwap(
        ql.Swap.Receiver if terms.pay_fixed else ql.Swap.Payer,  # of inflation, as QuantLib has it
        1.0,
        ql_date(terms.start),
        ql_date(terms.maturity),
        CALENDARS[terms.calendar],
        BUSINESS_DAY_CONVENTIONS[terms.business_day_convention],
        DAY_COUNTS[terms.day_count],
        terms.fixed_rate,
        quantlib_index(f"oracle {terms.contract_id()}", terms.fixings, quotes),
        ql.Period(terms.observation_lag, ql.Months),
        CPI_INTERPOLATION[terms.interpolation],
    )
    swap.setPricingEngine(ql.DiscountingSwapEngine(quotes.curve(terms.discount_curve)))
    return lambda: float(swap.NPV())
