"""A bond as it is delivered on a later day: what forwards and futures on bonds share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.rates.coupons import FACE, Schedule, spread_factors
from valuation.instruments.reads import curve_factors, discount_factors, present_values, years
from valuation.types import Market

DELIVERY = "day of delivery and payment, the last day of the contract"
REPO_CURVE = "curve that finances the bond until delivery; the discount curve where left out"


class Deliverable(NamedTuple):
    """What 100 of face still pays after delivery, by ordinals of days, and the interest accrued on the day of delivery."""

    days: Ints
    amounts: Floats
    accrued: float


def deliverable(schedule: Schedule, coupon: float, delivery: dt.date) -> Deliverable:
    leg = schedules.leg(*schedule)
    after = int(leg.payments.searchsorted(delivery.toordinal(), side="right"))
    amounts = FACE * coupon * leg.accruals[after:]
    amounts[-1] += FACE
    return Deliverable(leg.payments[after:], amounts, FACE * coupon * schedules.accrued(*schedule, delivery))


def delivery_factors(
    index: FactorIndex,
    valuation_date: dt.date,
    delivery: dt.date,
    last: dt.date,
    discount_curve: str,
    repo_curve: str | None,
    spread: str | None,
) -> tuple[str, ...]:
    """Ids of the risk factors that the price of bonds paying until `last` on the day of delivery reads."""
    bond = curve_factors(index, discount_curve, valuation_date, last, first=delivery)
    repo = curve_factors(index, repo_curve or discount_curve, valuation_date, delivery)
    return (*dict.fromkeys((*bond, *repo)), *spread_factors(index, spread))


def values_after(
    market: Market, bonds: Sequence[Deliverable], curves: Sequence[str], spreads: Sequence[str | None]
) -> Floats:
    """Value today of what each bond pays after delivery, shape (n_bonds, n_states)."""
    return present_values(market, curves, [b.days for b in bonds], [b.amounts for b in bonds], spreads)


def repo_factors(market: Market, curves: Sequence[str], deliveries: Sequence[dt.date]) -> Floats:
    """Discount factor of each contract to its delivery, shape (n_contracts, n_states)."""
    return discount_factors(market, curves, years(market, deliveries))
