"""Cash that contracts pay between the market date and a later day, in the base market rolled along the way. Pure.

Cash is carried as cash: counted at its amount, in the contract's currency, without interest.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lake.arrays import Floats
from valuation.batch import failure_reason
from valuation.catalogue import instrument, terms_from_json
from valuation.types import CashFlow, Contract, NotValuable, RolledMarkets, ValuationFailure


@dataclass(frozen=True)
class Cash:
    """What one unit of each contract has paid by a day: `amounts` (n_contracts,), NaN for those among the failures.

    flows : the payments of each contract, by day.
    """

    amounts: Floats
    flows: tuple[tuple[CashFlow, ...], ...]
    failures: tuple[ValuationFailure, ...]


@np.errstate(all="ignore")  # what is not finite is found and reported with its contract
def cash_until(contracts: Sequence[Contract], markets: RolledMarkets, until: dt.date) -> Cash:
    """Cash of each contract after the market date.

    It is exactly what left the contract's value by `until`: see `Instrument.cash_flows`. Every contract has its amount
    (zero where nothing is due) or a failure with its reason.
    """
    amounts: Floats = np.full(len(contracts), np.nan)
    flows: list[tuple[CashFlow, ...]] = []
    failures = []
    for i, (contract_id, kind, terms_json) in enumerate(contracts):
        try:
            paid = instrument(kind).cash_flows(terms_from_json(kind, terms_json), markets, until)
            paid = tuple(sorted(paid, key=lambda f: f.day))
            amount = math.fsum(f.amount for f in paid)
            if not math.isfinite(amount):
                raise NotValuable("non_finite", f"The cash it pays up to {until} is not a finite number.")
        except Exception as error:
            failures.append(ValuationFailure(contract_id, kind, *failure_reason(error, "cash")))
            paid = ()
        else:
            amounts[i] = amount
        flows.append(paid)
    return Cash(amounts, tuple(flows), tuple(failures))
