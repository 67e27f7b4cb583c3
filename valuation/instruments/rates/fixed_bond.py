"""Fixed-rate bond of any issuer, discounted on a curve and, where the issuer has one, its credit spread.

Unit of quantity: 100 of face amount. Value = dirty value on the valuation date = sum of the coupons and the redemption of
100 paid after that date, each times the discount factor of the curve and exp(-spread x t).
The credit spread is continuous and added to the zero rates of the curve (a Z-spread); recovery is not modelled apart.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rates", section on bond pricing.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from valuation.instruments.fields import Rate
from valuation.instruments.rates.coupons import (
    FACE,
    VERSION,
    Flows,
    KnownBondTerms,
    at_maturity,
    cash_flows,
    risk_factors,
    value,
)

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(KnownBondTerms):
    instrument_type: ClassVar[str] = "fixed_bond"

    coupon: Rate = Field(description="coupon, fraction of face a year (0.03 is 3%)")

    def flows(self) -> Flows:
        leg = self.coupons()
        return Flows(leg.payments, FACE * self.coupon * leg.accruals, at_maturity(len(leg.payments)))
