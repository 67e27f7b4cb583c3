"""What the oracles of swaps share: projection curves, random terms, and QuantLib's coupons for a leg of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from scenarios.types import RiskFactor
from service.bench.oracles.market import PILLARS, TODAY, Quotes, ql_date, random_date
from valuation.instruments.rates.legs import FloatingLeg, SwapTerms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

# curves that project, beside those of `market` that discount
_RATES = {"USD_3M": 0.024, "USD_6M": 0.026, "EUR_6M": 0.001}
FACTORS = tuple(
    (RiskFactor(f"YC:{curve}:{p}", "zero_rate", p, curve[:3], curve, p), rate)
    for curve, rate in _RATES.items()
    for p in PILLARS
)
MONTHS = {1: 12, 2: 6, 4: 3, 12: 1}  # by payments a year


def random_swap(rng: np.random.Generator) -> dict[str, Any]:
    """Dates and conventions of a swap that may have begun."""
    return {
        "currency": "USD",
        "start": random_date(rng, -2000, 800),
        "maturity": random_date(rng, 840, 7000),
        "calendar": str(rng.choice(["USNY", "EUTA", "GBLO", "weekdays"])),
        "business_day_convention": str(rng.choice(["Following", "ModifiedFollowing"])),
        "discount_curve": "USD",
    }


def any_frequency(rng: np.random.Generator) -> int:
    return int(rng.choice(list(MONTHS)))


def any_day_count(rng: np.random.Generator) -> str:
    return str(rng.choice(["Actual360", "Actual365Fixed", "Thirty360"]))


def any_rate(rng: np.random.Generator) -> float:
    return float(rng.uniform(-0.01, 0.06))


def fixings_of(leg: FloatingLeg, rng: np.random.Generator) -> dict[str, float]:
    """A fixing for the running period, where it has begun or begins today."""
    begins = int(leg.schedule.starts[leg.running(TODAY.toordinal())])
    return {TODAY.fromordinal(begins).isoformat(): any_rate(rng)} if begins <= TODAY.toordinal() else {}


def schedule(terms: SwapTerms, frequency: int) -> ql.Schedule:
    calendar, convention = CALENDARS[terms.calendar], BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    return ql.Schedule(
        ql_date(terms.start), ql_date(terms.maturity), ql.Period(MONTHS[frequency], ql.Months), calendar, convention,
        convention, ql.DateGeneration.Backward, bool(terms.end_of_month),
    )  # fmt: skip


def ibor(
    name: str, frequency: int, day_count: str, terms: SwapTerms, curve: Any, fixings: Mapping[Any, float]
) -> ql.IborIndex:
    """An index of its own for each leg: fixings are global to the process by its name."""
    index = ql.IborIndex(
        name, ql.Period(MONTHS[frequency], ql.Months), 0, ql.USDCurrency(), CALENDARS[terms.calendar],
        BUSINESS_DAY_CONVENTIONS[terms.business_day_convention], False, DAY_COUNTS[day_count], curve,
    )  # fmt: skip
    for day, rate in fixings.items():
        index.addFixing(ql_date(day), rate, True)
    return index


def fixed_leg(terms: SwapTerms, frequency: int, day_count: str, rate: float) -> ql.Leg:
    convention = BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    return ql.FixedRateLeg(schedule(terms, frequency), DAY_COUNTS[day_count], [1.0], [rate], convention)


def floating_leg(
    terms: SwapTerms, name: str, frequency: int, day_count: str, spread: float, curve: Any, fixings: Mapping[Any, float]
) -> ql.Leg:
    index = ibor(terms.contract_id() + name, frequency, day_count, terms, curve, fixings)
    convention = BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    return ql.IborLeg([1.0], schedule(terms, frequency), index, DAY_COUNTS[day_count], convention, spreads=[spread])


def swap_price(received: ql.Leg, paid: ql.Leg, curve: Any) -> Callable[[], float]:
    """What is received less what is paid, by the discounting engine."""
    swap = ql.Swap(paid, received)
    swap.setPricingEngine(ql.DiscountingSwapEngine(curve))
    return lambda: float(swap.NPV())


def exchange(terms: SwapTerms) -> ql.Leg:
    """A notional of one given at the start and back at the end."""
    days = list(schedule(terms, 1))
    return ql.Leg([ql.SimpleCashFlow(-1.0, days[0]), ql.SimpleCashFlow(1.0, days[-1])])


def leg_value(leg: Sequence[Any], curve: Any, quotes: Quotes) -> float:
    return float(ql.CashFlows.npv(leg, curve, False, ql_date(quotes.market.valuation_date)))
