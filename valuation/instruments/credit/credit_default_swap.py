"""Credit default swap on a single name, standard contract, on the ISDA standard model.

Unit of quantity: one unit of notional. Value to the party of `buy_protection`, dirty: what has accrued of the running coupon is
part of it; see `valuation.instruments.credit.standard_swaps` for formula and source. A name that has defaulted is a state of
the contract: `default_date` and `settlement_date` are terms, and what is left is certain.
"""

from __future__ import annotations

from typing import ClassVar

from valuation.instruments.credit.default_legs import DefaultedTerms
from valuation.instruments.credit.standard_swaps import (
    VERSION,
    DefaultSwapTerms,
    Settlement,
    cash_flows,
    risk_factors,
    value,
)

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(DefaultSwapTerms, DefaultedTerms):
    instrument_type: ClassVar[str] = "credit_default_swap"

    def settlements(self) -> tuple[Settlement, ...]:
        if self.default_date is None or self.settlement_date is None or self.recovery_rate is None:
            return ()
        return (Settlement(1.0, self.default_date, self.settlement_date, self.recovery_rate),)
