"""Credit curves and standard swaps for QuantLib, which the oracles of credit contracts share."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from lake.arrays import Floats
from scenarios.types import RiskFactor
from service.bench.oracles.market import DAY_COUNT, PILLARS, TODAY, Quotes, ql_date
from valuation.instruments.credit.standard_swaps import DefaultSwapTerms

WEEKDAYS = ql.WeekendsOnly()
RECOVERY = 0.35
_SPREAD = (("discount_curve", "EUR"), ("recovery", str(RECOVERY)))
_HAZARDS = {"365D": 0.03, "1825D": 0.05, "3650D": 0.07}  # rising: QuantLib refuses a negative rate between two

FACTORS = (
    *((RiskFactor(f"HZ:NADIR:{p}", "hazard_rate", p, "USD", "NADIR", p), level) for p, level in _HAZARDS.items()),
    (RiskFactor("CDS:INDEX:5Y", "cds_spread", "5Y", "EUR", "INDEX", "5Y", _SPREAD), 0.02),
    (RiskFactor("REC:NADIR", "recovery_rate", "recovery", "USD"), 0.4),
)


def swap_terms(rng: np.random.Generator) -> dict[str, Any]:
    """Random terms of a standard swap, without its curves."""
    year, month = int(rng.integers(2021, 2031)), int(rng.choice([3, 6, 9, 12]))
    # QuantLib's protection that begins on the day of a pillar passes over the change of the forward rate there
    ahead = int(rng.choice([d for d in range(-700, 200) if f"{d}D" not in PILLARS]))
    start = TODAY + dt.timedelta(days=ahead)
    return {
        "buy_protection": bool(rng.integers(2)),
        "coupon": float(rng.choice([0.01, 0.05, rng.uniform(0, 0.08)])),
        "start": start.isoformat(),
        "maturity": f"{year}-{month:02d}-20",
        "upfront": float(rng.uniform(-0.05, 0.05)),
        "upfront_date": (TODAY + dt.timedelta(days=int(rng.integers(-5, 8)))).isoformat(),
    }


def default_schedule(start: dt.date, maturity: dt.date) -> ql.Schedule:
    return ql.Schedule(
        ql_date(start),
        ql_date(maturity),
        ql.Period(3, ql.Months),
        WEEKDAYS,
        ql.Following,
        ql.Unadjusted,
        ql.DateGeneration.CDS,
        False,
    )


def swap(
    terms: DefaultSwapTerms, quotes: Quotes, survival: ql.DefaultProbabilityTermStructureHandle, recovery: float | str
) -> Callable[[], float]:
    """Price to the buyer of protection of one whose names live, without upfront; `recovery` is a number or a risk factor."""
    dates = default_schedule(terms.start, terms.maturity)
    made = ql.CreditDefaultSwap(
        ql.Protection.Buyer,
        1.0,
        terms.coupon,
        dates,
        ql.Following,
        ql.Actual360(),
        True,
        True,
        ql_date(terms.start),
        ql.FaceValueClaim(),
        ql.Actual360(True),
        False,
    )
    rate = recovery if isinstance(recovery, float) else 0.0  # a fixed number of the engine
    made.setPricingEngine(ql.IsdaCdsEngine(survival, rate, quotes.curve(terms.discount_curve)))
    if isinstance(recovery, float):
        return lambda: float(made.NPV())
    level = quotes.level(recovery)
    return lambda: float((1.0 - level.value()) * made.defaultLegNPV() + made.couponLegNPV())


def certain(terms: DefaultSwapTerms, quotes: Quotes) -> Callable[[], float]:
    """Price to the buyer of the upfront amount and of what is settled of defaults before today."""
    curve = quotes.curve(terms.discount_curve)
    today = ql_date(TODAY)
    flows = [(ql_date(terms.upfront_date), -terms.upfront)] if terms.upfront_date and terms.upfront else []
    for s in terms.settlements():
        begun = [d for d in default_schedule(terms.start, terms.maturity) if d <= ql_date(s.default_date)]
        accrued = ql.Actual360(True).yearFraction(begun[-1], ql_date(s.default_date)) if begun else 0.0
        flows.append((ql_date(s.settlement_date), s.weight * (1.0 - s.recovery_rate - terms.coupon * accrued)))
    due = [(d, amount) for d, amount in flows if d > today]
    return lambda: float(sum(amount * curve.discount(d) for d, amount in due))


@functools.lru_cache(4)
def hazard_curve(quotes: Quotes, name: str) -> ql.DefaultProbabilityTermStructureHandle:
    """Average hazard rates to whole days, as QuantLib's curve of hazard rates between them, built once in every state."""
    return _linked(quotes, lambda state: _hazards(quotes, name, state))


@functools.lru_cache(4)
def quoted_curve(quotes: Quotes, name: str) -> ql.DefaultProbabilityTermStructureHandle:
    """QuantLib's own bootstrap of spreads in every state, on the ISDA model."""
    discount = quotes.curve(dict(quotes.market.index.curve(name)[0].attributes)["discount_curve"])

    def built(state: int) -> ql.DefaultProbabilityTermStructure:
        quotes.to(state)
        helpers = [
            ql.SpreadCdsHelper(
                float(quotes.market.level(f.risk_factor_id)[state]),
                ql.Period(f.pillar),
                1,
                WEEKDAYS,
                ql.Quarterly,
                ql.Following,
                ql.DateGeneration.CDS2015,
                ql.Actual360(),
                RECOVERY,
                discount,
                True,
                True,
                ql.Date(),
                ql.Actual360(True),
                True,
                ql.CreditDefaultSwap.ISDA,
                ql_date(TODAY),  # without it the accrued coupon that is paid back has a day more
            )
            for f in quotes.market.index.curve(name)
        ]
        curve = ql.PiecewiseFlatHazardRate(ql_date(TODAY), helpers, DAY_COUNT)
        days = [0, *(h.latestDate() - curve.referenceDate() for h in helpers)]
        # without its helpers, which follow the state
        return _flat_between(days, -np.log([curve.survivalProbability(curve.referenceDate() + d) for d in days]))

    return _linked(quotes, built)


def _hazards(quotes: Quotes, name: str, state: int) -> ql.DefaultProbabilityTermStructure:
    pillars = quotes.market.index.curve(name)
    days = [0, *(int((f.pillar or "").removesuffix("D")) for f in pillars)]
    levels = [quotes.market.level(f.risk_factor_id)[state] for f in pillars]
    return _flat_between(days, np.append(0.0, levels) * days / 365.0)


def _flat_between(days: list[int], totals: Floats) -> ql.DefaultProbabilityTermStructure:
    """From hazard rates summed up to days from today."""
    rates = np.diff(totals) / np.diff(days) * 365.0
    today = ql_date(TODAY)
    curve = ql.HazardRateCurve([today + d for d in days], [rates[0], *rates.tolist()], DAY_COUNT)
    curve.enableExtrapolation()
    return curve


def _linked(
    quotes: Quotes, built: Callable[[int], ql.DefaultProbabilityTermStructure]
) -> ql.DefaultProbabilityTermStructureHandle:
    before = quotes.state
    curves = [built(state) for state in range(quotes.market.n_states)]
    quotes.to(before)
    handle = ql.RelinkableDefaultProbabilityTermStructureHandle()
    quotes.follow(lambda state: handle.linkTo(curves[state]))
    return handle
