"""What failed and missing contracts could do to a number, judged by their newest earlier vectors.

VaR, ES, the mean and every other quantile or weighted mean of ranked losses, and the volatility too, move by no more than
the largest change of the P&L in any scenario: they are 1-Lipschitz in the sup norm. So what a contract could add is bounded
by |net quantity| times the largest |P&L| it can have in a scenario. That is not known, or the contract would not have
failed; it is taken from the newest earlier valuation set that holds its vector, in the present exchange rates:
|base| max|fx - fx0| + max|P&L| max fx.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from aggregation.book.book import Book
from aggregation.kernels.euler import group_sums
from aggregation.opened.alignment import COVERED
from aggregation.reduce.currency import conversion
from aggregation.reduce.netting import net_quantities
from aggregation.reduce.selection import Selection
from lake.arrays import Floats, Ints
from lake.tables import Lake
from scenarios.store import load_scenario_set
from scenarios.types import MissingRiskFactor, RiskClass
from valuation.sets.store import list_valuation_sets
from valuation.types import ValuationSet

MOST_SETS = 30  # earlier valuation sets that are looked into


@dataclass(frozen=True)
class FailureBounds:
    """bound : (n + 1,) by which a measure of each group could change at most, in the reporting currency, the total last.
    unbounded : (n + 1,) positions that failed or are missing and have no earlier vector: no bound counts them.
    sources : valuation set to the number of contracts judged by its vectors.
    """

    bound: Floats
    unbounded: Ints
    sources: Mapping[str, int]


def failure_bounds(selection: Selection, currency: str) -> FailureBounds:
    """The bounds of every group of the selection, in the reporting currency."""
    inputs, groups = selection.inputs, selection.groups
    book = inputs.book
    contract = np.repeat(np.arange(len(book.contract_ids)), np.diff(book.starts))
    uncovered = inputs.alignment.state != COVERED
    lacking = uncovered[contract] & (groups.group >= 0)
    n = groups.n + 1
    if not lacking.any():
        return FailureBounds(np.zeros(n), np.zeros(n, np.int64), {})
    holes = np.unique(contract[lacking])
    earlier = _earlier_vectors(inputs.snapshot.lake, inputs.valuation_set, book.contract_ids.take(pa.array(holes)))
    per_unit = np.full(len(book.contract_ids), np.nan)
    per_unit[holes] = _per_unit(selection, earlier, currency)
    known = lacking & ~np.isnan(per_unit[contract])
    unknown = groups.group[lacking & ~known]
    bound = np.append(
        _largest(book, np.where(known, groups.group, -1), per_unit, groups.n),
        _largest(book, np.where(known, 0, -1), per_unit, 1),
    )
    sources: dict[str, int] = {}
    for row in earlier:
        if row is not None:
            sources[row["valuation_set_id"]] = sources.get(row["valuation_set_id"], 0) + 1
    return FailureBounds(bound, np.append(np.bincount(unknown, minlength=groups.n), len(unknown)), sources)


def _largest(book: Book, group: Any, per_unit: Floats, n: int) -> Floats:
    """Sum over contracts of |net quantity in the group| times what a unit can do, (n,)."""
    starts, slot, quantity = net_quantities(book, group.astype(np.int32), n)
    contract = np.repeat(np.arange(len(per_unit)), np.diff(starts))
    return group_sums(np.abs(quantity) * per_unit[contract], slot, n)


def _earlier_vectors(lake: Lake, seal: ValuationSet, wanted: pa.Array) -> Sequence[Mapping[str, Any] | None]:
    """For each wanted contract its newest vector from another set of the same or an earlier date; None where there is none.

    Sets of scenarios that are no sample are left out: a chosen stress says little about what may happen.
    """
    sets = [
        s
        for s in list_valuation_sets(lake)
        if s.sample and s.valuation_date <= seal.valuation_date and s.valuation_set_id != seal.valuation_set_id
    ]
    sets.sort(key=lambda s: (s.valuation_date, s.order), reverse=True)
    found: dict[str, Mapping[str, Any]] = {}
    for earlier in sets[:MOST_SETS]:
        lacking = wanted.filter(pc.invert(pc.is_in(wanted, value_set=pa.array(list(found), pa.string()))))
        if not len(lacking):
            break
        of_set = {"valuation_set_id": [earlier.valuation_set_id]}
        columns = ["contract_id", "inputs_digest"]
        members = lake.read("valuation_members", columns, ds.field("contract_id").isin(lacking), among=of_set)
        digests = dict(zip(members["contract_id"].to_pylist(), members["inputs_digest"].to_pylist(), strict=True))
        of_date, those = {"valuation_date": [earlier.valuation_date]}, ds.field("contract_id").isin([*digests])
        for row in lake.read("pnl_vectors", where=those, among=of_date).to_pylist() if digests else ():
            if digests.get(row["contract_id"]) == row["inputs_digest"]:
                found.setdefault(row["contract_id"], {**row, "valuation_set_id": earlier.valuation_set_id})
    return [found.get(c) for c in wanted.to_pylist()]


def _per_unit(selection: Selection, earlier: Sequence[Mapping[str, Any] | None], reporting: str) -> Floats:
    """The most that one unit of each contract could add to the P&L of a scenario; NaN where that is not known, (k,)."""
    inputs = selection.inputs
    scenario_set = load_scenario_set(inputs.snapshot, inputs.valuation_set.scenario_set_id)
    fx_moves = RiskClass.FX.value in inputs.valuation_set.shocked_classes
    of_currency: dict[str, tuple[float, float] | None] = {}
    out = np.full(len(earlier), np.nan)
    for i, row in enumerate(earlier):
        if row is None:
            continue
        currency = row["currency"]
        if currency not in of_currency:
            try:
                rates = conversion(scenario_set, [currency], [currency], reporting, fx_moves=fx_moves)
            except MissingRiskFactor:  # no way to report it: as unknown as a contract without a vector
                of_currency[currency] = None
            else:
                fx = rates.scenarios[0]
                of_currency[currency] = (float(np.abs(fx - rates.base[0]).max()), float(np.abs(fx).max()))
        if (moves := of_currency[currency]) is not None:
            worst = float(np.abs(row["pnl"]).max()) if row["pnl"] else 0.0
            out[i] = abs(row["base_value"]) * moves[0] + worst * moves[1]
    return out
