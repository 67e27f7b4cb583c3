"""Bond whose coupon steps up or down on known dates; otherwise as `fixed_bond`.

Unit of quantity: 100 of face amount. Value = dirty value on the valuation date. A period pays the coupon of the last step
that stands on its first day or before, and `coupon` before the first step.
Steps that hang on a rating or on a decision of the issuer are not known and cannot be given.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field

from valuation.instruments.fields import Date, Rate, read_json
from valuation.instruments.rates.coupons import (
    FACE,
    VERSION,
    Flows,
    KnownBondTerms,
    at_maturity,
    cash_flows,
    coupon_place,
    risk_factors,
    value,
)

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(KnownBondTerms):
    instrument_type: ClassVar[str] = "step_bond"

    coupon: Rate = Field(description="coupon until the first step, fraction of face a year (0.03 is 3%)")
    steps: Annotated[dict[Date, Rate], BeforeValidator(read_json)] = Field(
        description='later coupons by first day of the period they begin with, as JSON: {"2022-06-15": 0.04}',
        min_length=1,
    )

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        super().check(valuation_date, rolled_from)
        self.flows()

    def flows(self) -> Flows:
        leg = self.coupons()
        rates = np.full(len(leg.payments), self.coupon)
        for day, coupon in sorted(self.steps.items()):
            rates[coupon_place(leg.starts, day, "The step of") :] = coupon
        return Flows(leg.payments, FACE * rates * leg.accruals, at_maturity(len(leg.payments)))
