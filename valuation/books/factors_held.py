"""The risk factors that the newest book reads."""

from __future__ import annotations

from lake.errors import NotFound
from lake.tables import Snapshot
from scenarios.market.history import load_factors
from valuation.batch import factors_read
from valuation.books.contracts import contracts_held, positions_dates
from valuation.types import Contract


def factors_held(at: Snapshot) -> set[str]:
    """The risk factors that a contract of the newest positions date reads, and every exchange rate, since any currency may be reported.

    Raises `NotFound` where the lake holds no book.
    """
    dates = positions_dates(at)
    if not dates:
        raise NotFound(
            "The lake holds no positions, so that nothing says which risk factors are held; bring positions in."
        )
    index = load_factors(at)
    read = factors_read(Contract.of(contracts_held(at, dates[-1:])), index, dates[-1])
    return read | {f.risk_factor_id for f in index.factors if f.type == "fx_rate"}
