"""Bond that is redeemed in parts; otherwise as `fixed_bond`.

Unit of quantity: 100 of face amount at issue, whatever has been redeemed since. Value = dirty value on the valuation date.
Redemptions are listed by date (what is left is redeemed at maturity), or follow a rule over the n periods of the bond:
`linear` redeems the same amount on each coupon date; `annuity` pays the same sum of coupon and redemption on each, where the
coupon of a period is that of the face outstanding, coupon / frequency: FACE r / (1 - (1 + r)^-n) with r = coupon / frequency.
Coupons themselves accrue by day count, so that those of an annuity differ from the rule by days.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rates" on discounting; the annuity formula is the standard one.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from lake.arrays import Floats, Ints
from valuation.instruments.fields import Date, Price, Rate, read_json
from valuation.instruments.rates.coupons import (
    FACE,
    VERSION,
    Flows,
    KnownBondTerms,
    cash_flows,
    coupon_place,
    risk_factors,
    value,
)

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(KnownBondTerms):
    instrument_type: ClassVar[str] = "amortising_bond"

    coupon: Rate = Field(description="coupon, fraction of the face outstanding a year (0.03 is 3%)")
    redemptions: Annotated[dict[Date, Price] | None, BeforeValidator(read_json)] = Field(
        None, description='what is redeemed before maturity, of 100, by coupon date, as JSON: {"2022-06-15": 25}'
    )
    amortisation: Literal["linear", "annuity"] | None = Field(
        None, description="linear or annuity, where redemptions are not listed"
    )

    @model_validator(mode="after")
    def _redeemed(self) -> Self:
        if (self.redemptions is None) == (self.amortisation is None):
            raise ValueError("give either redemptions by date or an amortisation, linear or annuity")
        if self.redemptions is not None and sum(self.redemptions.values()) >= FACE:
            raise ValueError(f"redemptions before maturity add up to {sum(self.redemptions.values()):g} of {FACE:g}")
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        super().check(valuation_date, rolled_from)
        self.flows()

    def flows(self) -> Flows:
        leg = self.coupons()
        outstanding = self._outstanding(leg.starts)
        coupons = outstanding * self.coupon * leg.accruals
        return Flows(leg.payments, coupons, outstanding - np.append(outstanding[1:], 0.0))

    def _outstanding(self, starts: Ints) -> Floats:
        """Face outstanding in each period."""
        n = len(starts)
        periods = np.arange(n)
        if self.redemptions is not None:
            redeemed = np.zeros(n)
            for day, amount in self.redemptions.items():
                redeemed[coupon_place(starts[1:], day, "The redemption of") + 1] = amount
            return FACE - np.add.accumulate(redeemed)
        rate = self.coupon / self.frequency
        if self.amortisation == "linear" or rate == 0.0:
            return np.asarray(FACE * (n - periods) / n)
        # what an annuity is worth with k of n payments made
        return np.asarray(FACE * (1.0 - (1.0 + rate) ** (periods - float(n))) / (1.0 - (1.0 + rate) ** -float(n)))
