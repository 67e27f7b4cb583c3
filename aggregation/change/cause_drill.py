"""Drill of an explanation: a cell as rows of trade, contract and scenario that add up to it.

Computed from the definitions, position by position and scenario by scenario; the cell itself comes from the kernel by units of
contracts, so that each proves the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.answer import Answer
from aggregation.change.explain import TOLERANCE, ExplainResult
from aggregation.change.sides import Comparison
from aggregation.kernels.change_effects import CAUSES, UnitVectors
from lake.arrays import Bools, Floats, Ints
from lake.errors import BadInput, unknown

DRILL_ROWS = 1000
_BETWEEN = re.compile(r",(?=\s*[\w.]+\s*=)")  # a comma inside of a member is no border


@dataclass(frozen=True)
class CauseDrillResult(Answer):
    """The largest parts of some cells, `rows` by size, and what the others add up to.

    rows : the `by` columns, cause, trade, contract_id, scenario, quantity_before, quantity_after, weight_before,
    weight_after, pnl_before, pnl_after (of the position, gains positive) and value (its part of the cell, losses
    positive). Of the causes left and entered the weights are those of the whole window and of the common scenarios.
    value : the cells' sum, as the table of the explanation has it.
    """

    cell: Mapping[str, str | None]
    rows: pa.Table
    value: float
    parts: int
    others: float
    receipt: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def parse_cell(texts: Sequence[str]) -> dict[str, str | None]:
    """A cell from texts such as `desk=Rates,cause=amended`; an empty member means none."""
    cell: dict[str, str | None] = {}
    for part in (p for text in texts for p in _BETWEEN.split(text)):
        name, equals, member = (t.strip() for t in part.partition("="))
        if not equals or not name:
            raise BadInput(f"The cell {part!r} was given; expected member and cause, such as desk=Rates,cause=amended.")
        cell[name] = member or None
    return cell


def drill(
    comparison: Comparison, result: ExplainResult, cell: Mapping[str, str | None], limit: int = DRILL_ROWS
) -> CauseDrillResult:
    """The parts of the cells that `cell` names by member and cause; those it does not name are all taken.

    Raises `BadInput` for names that the table of the explanation does not have.
    """
    chosen, causes = _chosen(comparison, cell)
    legs = _Legs(comparison, chosen)
    parts = [legs.parts(cause) for cause in causes]
    cause, leg, scenario, value = (np.concatenate([p[k] for p in parts]) for k in range(4))
    whole = float(sum(float(result.rows[c].to_numpy()[chosen].sum()) for c in causes))
    found = float(value.sum())
    largest = max(abs(whole), float(np.abs(value).sum()), abs(result.before), abs(result.after))
    if not abs(found - whole) <= TOLERANCE * largest:
        raise AssertionError(f"The parts of {dict(cell)} add up to {found!r}, and the cell is {whole!r}")
    order = np.lexsort((scenario, leg, -np.abs(value)))[:limit]
    rows = legs.table(cause[order], leg[order], scenario[order], value[order])
    return CauseDrillResult(
        dict(cell), rows, whole, len(value), whole - float(value[order].sum()), result.receipt, result.notes
    )


def _chosen(comparison: Comparison, cell: Mapping[str, str | None]) -> tuple[Bools, tuple[str, ...]]:
    keys = comparison.members.keys
    chosen = np.ones(max(comparison.members.n, 1), dtype=np.bool_)
    for name, member in cell.items():
        if name == "cause":
            if member not in CAUSES:
                raise unknown("cause", str(member), CAUSES)
            continue
        if name not in keys.column_names:
            raise unknown("column of the table", name, [*keys.column_names, "cause"])
        column = keys[name].combine_chunks()
        hit = pc.is_null(column) if member is None else pc.fill_null(pc.equal(column, member), False)
        chosen &= hit.to_numpy(zero_copy_only=False)
        if not chosen.any():
            raise unknown(name, str(member), [str(m) for m in pc.unique(column).drop_null().to_pylist()])
    cause = cell.get("cause")
    return chosen, CAUSES if cause is None else (cause,)


class _Legs:
    """The positions of some groups: a trade that stays in its contract and group is one leg, any other one a point.

    before, after : (n,) position at each point, -1 where the leg is not. cause : (n,) of the change of quantity.
    """

    def __init__(self, comparison: Comparison, chosen: Bools) -> None:
        self._comparison = comparison
        held = comparison.held
        valued = comparison.valued
        self._held = held
        selected = [
            np.flatnonzero((h.group >= 0) & v[h.contract] & _at(chosen, h.group))
            for h, v in zip(held, valued, strict=True)
        ]
        fate = [self._fates(k, selected[k]) for k in (0, 1)]
        stays = fate[0] == _STAYS
        paired = np.where(stays, held[0].partner[selected[0]], -1)
        only_after = fate[1] != _STAYS
        none = np.full(int(only_after.sum()), -1)
        self.before: Ints = np.concatenate([selected[0], none]).astype(np.int64)
        self.after: Ints = np.concatenate([paired, selected[1][only_after]]).astype(np.int64)
        self.cause = np.concatenate([np.where(stays, "amended", fate[0]), fate[1][only_after]])
        self._quantity = [
            np.where(position >= 0, h.quantity[position], 0.0)
            for h, position in zip(held, (self.before, self.after), strict=True)
        ]
        self.contract = np.where(self.before >= 0, held[0].contract[self.before], held[1].contract[self.after])
        # a trade that arrives from another group does so with the quantity it had there; the rest is an amendment
        partner = held[1].partner[self.after]
        arrived = (self.before < 0) & (self.cause == "transferred") & (partner >= 0)
        arrived &= held[0].group[partner] >= 0
        q0, q1 = self._quantity
        moved = np.where(arrived, held[0].quantity[partner], q1)
        self.changed = np.where(self.before < 0, moved, q1 - q0)
        self.amended_on_arrival = np.where(arrived, q1 - moved, 0.0)

    def _fates(self, k: int, selected: Ints) -> npt.NDArray[np.str_]:
        """What becomes of each position at the other point: a cause, or that it stays."""
        book, other_book = self._held[k], self._held[1 - k]
        valued = self._comparison.valued[1 - k]
        partner = book.partner[selected]
        p = np.maximum(partner, 0)
        if not len(other_book.group):
            return np.full(len(selected), ("closed", "new")[k], dtype="<U12")
        other_contract = other_book.contract[p]
        return np.select(
            [
                partner < 0,
                other_book.group[p] < 0,
                ~valued[other_contract],
                other_contract != book.contract[selected],
                other_book.group[p] != book.group[selected],
            ],
            [("closed", "new")[k], "transferred", "coverage", "amended", "transferred"],
            _STAYS,
        )

    def parts(self, cause: str) -> tuple[npt.NDArray[np.str_], Ints, npt.NDArray[np.int64], Floats]:
        """(cause, leg, number of the scenario among those that count for the cause, value) of every part that is not zero."""
        values = self._values(cause)
        leg, scenario = np.nonzero(values)
        return np.full(len(leg), cause), leg, scenario, values[leg, scenario]

    def _values(self, cause: str) -> Floats:
        before, after, shared = self._comparison.kernel
        q0, q1 = self._quantity
        if cause == "left":
            return np.asarray(-q0[:, None] * before.window_weight * self._unit(before, before.window)[0])
        if cause == "entered":
            return np.asarray(-q1[:, None] * after.window_weight * self._unit(after, after.window)[0])
        u0, x0, f0, d0, b0 = self._unit(before, shared.before)
        u1, x1, f1, d1, b1 = self._unit(after, shared.after)
        mean = 0.5 * (shared.weight_before + shared.weight_after)
        if cause == "tail":
            change = shared.weight_after - shared.weight_before
            return np.asarray(-0.5 * change * (q0[:, None] * u0 + q1[:, None] * u1))
        both = ((before.row[self.contract] >= 0) & (after.row[self.contract] >= 0))[:, None]
        quantity = 0.5 * (q0 + q1)[:, None]
        if cause == "currency":
            return np.where(both, -mean * quantity * (0.5 * (x0 + x1) * (f1 - f0) + 0.5 * (b0 + b1) * (d1 - d0)), 0.0)
        if cause == "revaluation":
            return np.where(both, -mean * quantity * (0.5 * (f0 + f1) * (x1 - x0) + 0.5 * (d0 + d1) * (b1 - b0)), 0.0)
        change = np.where(self.cause == cause, self.changed, 0.0)
        if cause == "amended":
            change = change + self.amended_on_arrival
        return np.asarray(-mean * change[:, None] * np.where(both, 0.5 * (u0 + u1), u0 + u1))

    def _unit(self, side: UnitVectors, scenario: Any) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Of one unit in each scenario, zero where it has no value: P&L in the reporting currency and in its own, the
        rate, the change of the rate from the base, and the base value."""
        row = side.row[self.contract]
        there = (row >= 0)[:, None]
        r = np.maximum(row, 0)
        k = side.currency[r]
        x = np.where(there, side.pnl[r[:, None], scenario[None, :]], 0.0)
        f = np.where(there, side.fx[k[:, None], scenario[None, :]], 0.0)
        d = np.where(there, f - side.fx_base[k][:, None], 0.0)
        b = np.where(there, side.base[r][:, None], 0.0)
        return b * d + x * f, x, f, d, b

    def table(self, cause: npt.NDArray[np.str_], leg: Ints, scenario: Ints, value: Floats) -> pa.Table:
        """The parts as rows."""
        c = self._comparison
        before, after, shared = c.kernel
        books = [s.inputs.book for s in c.sides]
        labels = [_labels(s.inputs) for s in c.sides]
        places = self.before[leg], self.after[leg]
        number = np.where(places[0] >= 0, _at(self._held[0].group, places[0]), _at(self._held[1].group, places[1]))
        trades = [b.columns["trade"] for b in books]
        named = [t.members.take(pa.array(_at(t.codes, p), mask=p < 0)) for t, p in zip(trades, places, strict=True)]
        weights = np.zeros((len(leg), 2))
        pnl = np.zeros((len(leg), 2))
        label = np.empty(len(leg), dtype=object)
        units = {}
        for kind, at in (
            ("left", (before.window, None)),
            ("entered", (None, after.window)),
            ("", (shared.before, shared.after)),
        ):
            of = cause == kind if kind else ~np.isin(cause, ("left", "entered"))
            units[kind] = [None if s is None else np.asarray(s)[scenario[of]] for s in at]
            for k, s in enumerate(units[kind]):
                if s is None:
                    continue
                side = (before, after)[k]
                sparse = _Legs._pointwise(side, self.contract[leg[of]], s)
                pnl[of, k] = self._quantity[k][leg[of]] * sparse
                label[of] = [labels[k][i] for i in s.tolist()]
            if kind == "":
                weights[of, 0] = shared.weight_before[scenario[of]]
                weights[of, 1] = shared.weight_after[scenario[of]]
            else:
                k = 0 if kind == "left" else 1
                side, s = c.sides[k], units[kind][k]
                among = np.zeros(side.inputs.n_scenarios)
                among[(c.common.before, c.common.after)[k]] = side.common_weights
                weights[of, k], weights[of, 1 - k] = side.weights[s], among[s]
        keys = c.members.keys.take(pa.array(number))
        return pa.table(
            {
                **dict(zip(keys.column_names, keys.columns, strict=True)),
                "cause": pa.array(cause.tolist(), pa.string()),
                "trade": pc.coalesce(*named),
                "contract_id": c.pairing.contract_ids.take(pa.array(self.contract[leg])),
                "scenario": pa.array(label.tolist(), pa.string()),
                "quantity_before": self._quantity[0][leg],
                "quantity_after": self._quantity[1][leg],
                "weight_before": weights[:, 0],
                "weight_after": weights[:, 1],
                "pnl_before": pnl[:, 0] + 0.0,  # no minus zero
                "pnl_after": pnl[:, 1] + 0.0,
                "value": value,
            }
        )

    @staticmethod
    def _pointwise(side: UnitVectors, contract: Ints, scenario: Ints) -> Floats:
        """P&L of one unit in the reporting currency, contract by contract and scenario by scenario."""
        row = side.row[contract]
        r = np.maximum(row, 0)
        k = side.currency[r]
        f = side.fx[k, scenario]
        return np.where(row >= 0, side.base[r] * (f - side.fx_base[k]) + side.pnl[r, scenario] * f, 0.0)


_STAYS = "stays"


def _at(values: Any, place: Any) -> Any:
    """values[place] where place >= 0; the first for the others, which the caller masks."""
    return values[np.maximum(place, 0)] if len(values) else np.zeros(len(place), dtype=values.dtype)


def _labels(inputs: Any) -> Sequence[str]:
    stored: Sequence[str] = inputs.scenarios.labels
    return stored or [str(i) for i in range(inputs.n_scenarios)]
