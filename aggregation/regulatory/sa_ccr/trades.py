"""The question `sa-ccr-trades`: the rows of SA-CCR behind an exposure, trade by trade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from aggregation.answer import Answer
from aggregation.kernels.sa_ccr import CLASSES
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.alignment import COVERED, FAILED, MISSING
from aggregation.question import Question
from aggregation.regulatory.sa_ccr.ead import OUT_OF_SCOPE, NettedExposures, SaCcrQuery, ead_by_netting_set, receipt_of
from aggregation.regulatory.sa_ccr.portfolio import margined_factor
from aggregation.regulatory.sa_ccr.question import parts_of, price_of
from aggregation.session import Session
from aggregation.types import AtLeastOne, Coverage, DimensionName, as_model
from lake.arrays import Floats
from lake.errors import BadInput

_STATES = {COVERED: "covered", FAILED: "failed", MISSING: "missing", OUT_OF_SCOPE: "not in scope"}
_MOST_ROWS = 100_000


class SaCcrTradesQuery(SaCcrQuery):
    """Which trades, on which day, under which rules."""

    by: tuple[DimensionName, ...] = Field((), max_length=0, description="none: a row is a trade's risk position")
    limit: AtLeastOne = Field(1000, le=_MOST_ROWS, description="trades shown, those with the largest contributions")


@dataclass(frozen=True)
class SaCcrTrades(Answer):
    """rows : a row a risk position, the trades of the largest contribution in absolute value first: trade, netting_set, contract_id,
    instrument_type, state, v (value of the trade), ead (contribution of the trade), and of the position its asset class, hedging set,
    entity, supervisory factor, correlation, S, E, M and T in years, P, K, shift (lambda), volatility, supervisory_delta, d (adjusted
    notional), MF (maturity factor) and D (effective notional); a trade without rows has one of nulls, with the reason. omitted : trades
    beyond the limit.
    """

    query: SaCcrTradesQuery
    rows: pa.Table
    omitted: int
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def _answer(session: Session, query: SaCcrTradesQuery) -> SaCcrTrades:
    if query.by:
        raise BadInput("The trades have no groups; leave by out, and choose trades with where.")
    found = ead_by_netting_set(session, as_model(SaCcrQuery, query))
    n = len(found.trades.position)
    notes = found.notes
    if omitted := max(n - query.limit, 0):
        notes = (
            *notes,
            f"{omitted:,} of {n:,} trades with smaller contributions are left out; raise limit to see them.",
        )
    return SaCcrTrades(query, trade_rows(found, query.limit), omitted, found.coverage, receipt_of(found), notes)


def trade_rows(found: NettedExposures, limit: int) -> pa.Table:
    """The rows of the trades with the largest contributions."""
    trades, units, of = found.trades, found.units, found.exposures
    n = len(trades.position)
    ead = parts_of(found).figures["ead"][:n]
    chosen = np.lexsort((np.arange(n), -np.abs(ead)))[:limit]
    first = np.searchsorted(found.entries, chosen)
    count = np.searchsorted(found.entries, chosen, side="right") - first
    shown = np.maximum(count, 1)  # a trade without a position is a row too
    trade = np.repeat(chosen, shown)
    within = np.arange(len(trade)) - np.repeat(np.cumsum(shown) - shown, shown)
    empty = np.repeat(count == 0, shown)
    entry = np.where(empty, 0, np.repeat(first, shown) + within)
    row = found.entry_row[entry] if len(found.entry_row) else np.zeros(len(trade), np.int64)
    book, nets = found.inputs.book, found.nets
    contract = trades.contract[trade]

    def member(name: str) -> pa.Array:
        column = book.column(name)
        return column.members.take(pa.array(column.codes[trades.position[trade]]))

    def number(values: Floats) -> pa.Array:
        taken = values[row] if len(values) else np.zeros(len(trade))
        return pa.array(taken, mask=empty | np.isnan(taken))

    def text(values: list[str]) -> pa.Array:
        return pa.array(
            [None if e else values[r] for e, r in zip(empty.tolist(), row.tolist(), strict=True)], pa.string()
        )

    rows, arrays = units.rows, units.trades
    option = np.array([r.volatility > 0.0 for r in rows], np.bool_)

    def of_option(values: Floats) -> pa.Array:
        return number(np.where(option, values, np.nan))

    by_margin = of.by_margin[trades.set_of[trade]]
    margin = margined_factor(found.parameters, found.portfolio.margins)[trades.set_of[trade]]
    factor = np.where(by_margin, margin, units.factor[row] if len(units.factor) else 0.0)
    quantity = trades.quantity[trade]
    sign = np.sign(quantity)
    return pa.table(
        {
            "trade": member("trade"),
            "netting_set": pa.array([nets.ids[i] for i in trades.set_of[trade].tolist()], pa.string()),
            "contract_id": pa.array([found.contracts[c].contract_id for c in contract.tolist()], pa.string()),
            "instrument_type": pa.array([found.contracts[c].instrument_type for c in contract.tolist()], pa.string()),
            "quantity": pa.array(quantity),
            "state": pa.array([_STATES[s] for s in trades.state[trade].tolist()], pa.string()),
            "v": pa.array(trades.value[trade], mask=~np.isin(trades.state[trade], (COVERED, OUT_OF_SCOPE))),
            "ead": pa.array(ead[trade], mask=trades.state[trade] != COVERED),
            "asset_class": text([CLASSES[r.asset_class] for r in rows]),
            "hedging_set": text([r.hedging_set for r in rows]),
            "entity": text([r.entity for r in rows]),
            "supervisory_factor": number(np.array([r.factor for r in rows])),
            "correlation": number(np.array([r.correlation for r in rows])),
            "S": number(np.where(np.isnan(arrays.end), np.nan, arrays.start)),
            "E": number(arrays.end),
            "M": number(arrays.maturity),
            "T": of_option(arrays.expiry),
            "P": of_option(arrays.price),
            "K": of_option(arrays.strike),
            "shift": of_option(arrays.shift),
            "volatility": of_option(arrays.volatility),
            "supervisory_delta": _times(number(units.delta), sign),
            "d": _times(number(units.adjusted), np.abs(quantity)),
            "MF": pa.array(factor, mask=empty),
            "D": _times(number(units.notional), quantity * factor),
        }
    )


def _times(column: pa.Array, by: Floats) -> pa.Array:
    return pc.multiply(column, pa.array(by))


SA_CCR_TRADES = Question(
    SaCcrTradesQuery,
    _answer,
    {"as_of": "2020-03-16", "where": ["desk=Rates Options"]},
    plan_scope,
    value_scope,
    price=price_of,
)
