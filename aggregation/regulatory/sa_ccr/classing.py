"""CLASSED: what each instrument type is in SA-CCR. A type that is added to INSTRUMENTS is added here, which a test checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.kernels.sa_ccr import Rules, Trades, unit_notionals
from aggregation.regulatory.sa_ccr import commodities, credit_swaps, currencies, equities, rates
from aggregation.regulatory.sa_ccr.rows import Context, Row, shifts, trades_of
from lake.arrays import Floats, Ints
from lake.errors import VarlakeError
from valuation.catalogue import terms_from_json
from valuation.types import Contract, NotValuable

RowsOf = Callable[[Context, Any], list[Row]]

_HELD = "held, not owed by a counterparty: no derivative"
_CASH = "a loan or a bond, whose exposure is its own: no derivative"
_SPOT = "settles within the usual days of its market: no derivative"

CLASSED: dict[str, RowsOf | str] = {
    "cash_equity": _HELD,
    "equity_forward": equities.forward,
    "equity_future": equities.future,
    "equity_option": equities.option,
    "equity_american_option": equities.option,
    "equity_digital_option": equities.digital,
    "equity_barrier_option": equities.option,
    "equity_asian_option": equities.asian,
    "variance_swap": equities.variance,
    "fx_spot": _SPOT,
    "fx_forward": currencies.forward,
    "fx_swap": currencies.swap,
    "non_deliverable_forward": currencies.forward,
    "fx_option": currencies.option,
    "fx_american_option": currencies.option,
    "fx_digital_option": currencies.digital,
    "fx_barrier_option": currencies.option,
    "government_bond": _CASH,
    "zero_bond": _CASH,
    "fixed_bond": _CASH,
    "step_bond": _CASH,
    "amortising_bond": _CASH,
    "floating_bond": _CASH,
    "bond_forward": rates.bond_forward,
    "bond_future": rates.bond_future,
    "inflation_bond": _CASH,
    "inflation_swap": rates.inflation_swap,
    "deposit": _CASH,
    "forward_rate_agreement": rates.forward_rate,
    "interest_rate_swap": rates.swap,
    "overnight_swap": rates.swap,
    "basis_swap": rates.basis_swap,
    "cross_currency_swap": rates.cross_currency_swap,
    "cap_floor": rates.cap_floor,
    "swaption": rates.swaption,
    "bermudan_swaption": rates.bermudan_swaption,
    "credit_default_swap": credit_swaps.default_swap,
    "credit_index": credit_swaps.index,
    "risky_bond": _CASH,
    "commodity_forward": commodities.forward,
    "commodity_future": commodities.future,
    "commodity_swap": commodities.swap,
    "commodity_option": commodities.option,
    "commodity_american_option": commodities.option,
    "commodity_spread_option": commodities.spread_option,
}
OPTIONS = frozenset(
    name for name in CLASSED if name.endswith("option") or name in ("swaption", "bermudan_swaption", "cap_floor")
)
PROTECTION = ("credit_default_swap", "credit_index")


@dataclass(frozen=True)
class UnitRows:
    """The rows of contracts, each of one unit.

    starts : (n_contracts + 1,) rows of contract c are starts[c] to starts[c + 1]. trades, adjusted, delta, factor, notional : (n_rows,), of
    `aggregation.kernels.sa_ccr`, the factor without margin and the notional d x delta. failed : reason and message of the contracts without
    rows that should have some, by place. shift : lambda by name.
    """

    rows: tuple[Row, ...]
    starts: Ints
    trades: Trades
    adjusted: Floats
    delta: Floats
    factor: Floats
    notional: Floats
    failed: Mapping[int, tuple[str, str]]
    shift: Mapping[str, float]

    @classmethod
    def of(
        cls,
        rows: tuple[Row, ...],
        starts: Ints,
        failed: Mapping[int, tuple[str, str]],
        rules: Rules,
        shift: Mapping[str, float],
    ) -> UnitRows:
        trades = trades_of(rows, shift)
        return cls(rows, starts, trades, *unit_notionals(trades, rules), failed, shift)

    def shifted(self, rules: Rules, shift: Mapping[str, float]) -> UnitRows:
        """The same rows with other shifts."""
        return UnitRows.of(self.rows, self.starts, self.failed, rules, shift)


def unit_rows(context: Context, contracts: Sequence[Contract]) -> UnitRows:
    """The rows of each contract, in their order. What cannot be placed is among the failures, with its reason."""
    rows: list[Row] = []
    failed: dict[int, tuple[str, str]] = {}
    starts = [0]
    for place, contract in enumerate(contracts):
        try:
            rows += _rows(context, contract)
        except NotValuable as error:
            failed[place] = (error.reason, error.message)
        except VarlakeError as error:
            failed[place] = (type(error).__name__, error.message)
        starts.append(len(rows))
    shift = shifts(rows, context.parameters.delta.lowest_shifted)
    return UnitRows.of(tuple(rows), np.array(starts), failed, context.parameters.rules, shift)


def _rows(context: Context, contract: Contract) -> list[Row]:
    how = CLASSED.get(contract.instrument_type)
    if isinstance(how, str):
        return []
    if how is None:
        raise NotValuable(
            "unclassified",
            f"SA-CCR knows no instrument type {contract.instrument_type}; bring the trade in with its terms.",
        )
    terms = terms_from_json(contract.instrument_type, contract.terms)
    terms.check(context.as_of)
    return how(context, terms)
