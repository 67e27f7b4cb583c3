"""Fixed-floating swaps on one curve by QuantLib's discounting engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.government_bond import FREQUENCIES
from service.bench.oracles.market import TODAY, Quotes, ql_date, random_date
from valuation.catalogue import parse_terms
from valuation.instruments.rates.interest_rate_swap import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

TOLERANCE = 1e-12  # floating legs telescope here, coupon by coupon there
BAR = 20


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return 1.0


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    while len(made) < n:
        swap = {
            "currency": "USD",
            "pay_fixed": bool(rng.random() < 0.5),
            "fixed_rate": float(rng.uniform(-0.01, 0.1)),
            "start": random_date(rng, -3000, 800),
            "maturity": random_date(rng, 840, 9000),
            "fixed_frequency": int(rng.choice(list(FREQUENCIES))),
            "float_frequency": int(rng.choice(list(FREQUENCIES))),
            "fixed_day_count": str(rng.choice(list(DAY_COUNTS))),
            "float_day_count": str(rng.choice(["Actual360", "Actual365Fixed", "Thirty360"])),
            "calendar": str(rng.choice(["USNY", "EUTA", "GBLO", "weekdays"])),
            "discount_curve": "USD",
        }
        leg = parse_terms("interest_rate_swap", swap).floating_leg()  # type: ignore[attr-defined]
        running = int(leg.starts[leg.payments.searchsorted(TODAY.toordinal(), side="right")])
        if running <= TODAY.toordinal():
            swap["fixings"] = {TODAY.fromordinal(running).isoformat(): float(rng.uniform(-0.01, 0.06))}
        made.append(swap)
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    curve = quotes.curve(terms.discount_curve)
    calendar, convention = CALENDARS[terms.calendar], BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]

    def schedule(frequency: int) -> ql.Schedule:
        return ql.Schedule(
            ql_date(terms.start),
            ql_date(terms.maturity),
            ql.Period(FREQUENCIES[frequency]),
            calendar,
            convention,
            convention,
            ql.DateGeneration.Backward,
            bool(terms.end_of_month),
        )

    day_count = DAY_COUNTS[terms.float_day_count]
    # fixings are global to the process by the name of the index: each contract has an index of its own
    index = ql.IborIndex(
        terms.contract_id(),
        ql.Period(FREQUENCIES[terms.float_frequency]),
        0,
        ql.USDCurrency(),
        calendar,
        convention,
        False,
        day_count,
        curve,
    )
    for day, rate in terms.fixings.items():
        index.addFixing(ql_date(day), rate, True)
    swap = ql.VanillaSwap(
        ql.Swap.Payer if terms.pay_fixed else ql.Swap.Receiver,
        1.0,
        schedule(terms.fixed_frequency),
        terms.fixed_rate,
        DAY_COUNTS[terms.fixed_day_count],
        schedule(terms.float_frequency),
        index,
        0.0,
        day_count,
    )
    swap.setPricingEngine(ql.DiscountingSwapEngine(curve))
    return lambda: float(swap.NPV())
