"""One question on two days, and the difference by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from aggregation.query import run_query
from aggregation.types import RiskQuery, RiskResult
from aggregation.vector_cache import VectorCache
from lake.errors import BadInput
from lake.tables import Lake

# what a query must agree in for a difference to have a meaning; dates, sets and scenario counts may differ
_ALIKE = (
    *("by", "where", "measures", "levels", "currency", "estimator"),
    *("tail", "thresholds", "scale_to_days", "interval"),
)
_RECEIPT_ALIKE = ("horizon_days", "risk_classes")
_COUNTS = ("covered", "failed", "missing", "status")


@dataclass(frozen=True)
class ComparisonResult:
    """Both answers and their difference.

    `rows` has one row a group that is there on either day, sorted by group: the `by` columns, `change` (both, new or
    gone), and for positions, base value and every measure `<name>_from`, `<name>_to` and `<name>_change`. Where a group
    is not there, or has no number, that side is null and counts as nothing held: the change is the other side's whole
    number. `total` has the same for all groups together and for the diversification.
    """

    before: RiskResult
    after: RiskResult
    rows: pa.Table
    total: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "rows": self.rows.to_pylist(),
            "total": dict(self.total),
            "notes": list(self.notes),
        }


def compare(
    lake: Lake, query_from: RiskQuery, query_to: RiskQuery, *, cache: VectorCache | None = None
) -> ComparisonResult:
    """Answers both queries and subtracts, later minus earlier; raises `BadInput` for unlike questions or horizons."""
    for name in _ALIKE:
        one, two = getattr(query_from, name), getattr(query_to, name)
        if one != two:
            raise BadInput(
                f"Only like is compared with like: {name} is {_plain(one)} on one side and {_plain(two)} on the other."
            )
    cache = cache or VectorCache(lake)
    before, after = (run_query(lake, q, cache=cache) for q in (query_from, query_to))
    for name in _RECEIPT_ALIKE:
        one, two = before.receipt[name], after.receipt[name]
        if one != two:
            raise BadInput(
                f"Only like is compared with like: {name} of the valuation sets is {_plain(one)} on {query_from.as_of} and "
                f"{_plain(two)} on {query_to.as_of}; name a scenario set or valuation set that both days have."
            )
    notes = tuple(
        f"{what} differ: {before.receipt[name]} on {query_from.as_of}, {after.receipt[name]} on {query_to.as_of}."
        for name, what in (
            ("scenario_count", "Scenario counts"),
            ("scenario_set_name", "Scenario sets"),
            ("method", "Methods"),
        )
        if before.receipt[name] != after.receipt[name]
    )
    by = query_from.by
    figures = [c for c in before.rows.column_names if c not in (*by, *_COUNTS)]
    return ComparisonResult(
        before, after, _joined(before.rows, after.rows, by, figures), _total(before.total, after.total), notes
    )


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "nothing"
    return str(value)


def _joined(one: pa.Table, two: pa.Table, by: Sequence[str], figures: Sequence[str]) -> pa.Table:
    """The outer join by group, sorted by group, nulls last as in each answer."""
    sides = [dict(zip(_keys(t, by), range(len(t)), strict=True)) for t in (one, two)]
    keys = sorted(sides[0].keys() | sides[1].keys(), key=lambda k: [(v is None, v or "") for v in k])
    places = [pa.array([side.get(k) for k in keys], pa.int64()) for side in sides]
    columns = {name: pa.array([k[i] for k in keys], pa.string()) for i, name in enumerate(by)}
    there = [pc.is_valid(p).to_pylist() for p in places]
    columns["change"] = pa.array(
        ["both" if a and b else "new" if b else "gone" for a, b in zip(*there, strict=True)], pa.string()
    )
    for name in figures:
        was, now = (t[name].combine_chunks().take(p) for t, p in zip((one, two), places, strict=True))
        columns |= {f"{name}_from": was, f"{name}_to": now, f"{name}_change": _change(was, now)}
    return pa.table(columns)


def _keys(table: pa.Table, by: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(table[c].to_pylist() for c in by), strict=True)) if by else [()] * len(table)


def _change(was: pa.Array, now: pa.Array) -> pa.Array:
    """Later minus earlier; a null side counts as zero, and two of them give null."""
    some = pc.or_(pc.is_valid(was), pc.is_valid(now))
    return pc.if_else(some, pc.subtract(pc.fill_null(now, 0), pc.fill_null(was, 0)), pa.nulls(1, was.type)[0])


def _total(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for name in one:
        if name in _COUNTS:
            continue
        was, now = one[name], two[name]
        total |= {
            f"{name}_from": was,
            f"{name}_to": now,
            f"{name}_change": None if was is None and now is None else (now or 0) - (was or 0),
        }
    return total
