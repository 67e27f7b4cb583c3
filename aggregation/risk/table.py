"""Answers laid out: subtotals at every level, sorted by any figure, the first few and the others.

Every row is a group of its own, netted from positions: a subtotal is no sum of the rows below it, and "others" is no
difference. Contains no formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.measures import asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.question import Question, of_lake
from aggregation.receipts import receipt_of
from aggregation.reduce.grouping import Groups
from aggregation.reduce.selection import Selection, open_selection
from aggregation.risk.failure_bounds import failure_bounds
from aggregation.risk.query import answer, risk_price, run_query
from aggregation.session import Session
from aggregation.types import RiskResult, TableQuery
from lake.arrays import Bools, Codes, Ints
from lake.canonical import digest
from lake.errors import BadInput, counted, unknown
from lake.tables import Lake

LEVEL, OTHERS, BOUND, UNBOUNDED = "level", "others", "bound", "unbounded"


@dataclass(frozen=True)
class _Depth:
    """The groups by one prefix of `by`. path : (n, depths), the rank of each group and of those above it, outermost first."""

    groups: Groups
    path: Ints
    shown: Bools


def run_table(
    lake: Lake, query: TableQuery, *, cache: VectorCache | None = None, threads: int | None = None
) -> RiskResult:
    """Answers the query and lays it out; values nothing.

    With `subtotals` the rows hold every prefix of `by`, each before those below it, and the column `level` says how many
    dimensions a row is of: 0 is all positions. Dimensions below a row's level are null. `sort` orders the rows of a parent;
    rows alike stand in the order of their members, and rows without a number come last. With `bounds` the columns `bound`
    and `unbounded` are as `aggregation.risk.failure_bounds.FailureBounds` says. With `limit` the rest of the rows
    of a parent is one row, a group of its own, and the column `others` says of how many groups, 0 for any other row.
    Raises as `run_query` does, and `BadInput` for a column to sort by that the answer does not have.
    """
    if query.is_plain:
        return run_query(lake, query.plain(), cache=cache, threads=threads)
    asked_measures(query)
    inputs = open_inputs(cache or VectorCache(lake), query)
    return tabulate(inputs, query, threads=threads)


def tabulate(inputs: Inputs, query: TableQuery, *, threads: int | None = None) -> RiskResult:
    """As `run_table`, from opened inputs."""
    if (query.subtotals or query.limit) and not query.by:
        raise BadInput("Subtotals and a limit are of groups, and there are none; name dimensions to group by.")
    answers: list[RiskResult] = []

    def part(by: Sequence[str], within: Bools | None = None) -> tuple[pa.Table, Groups]:
        asked = query.model_copy(update={"by": tuple(by)})
        found = answer(inputs, asked, within=within, threads=threads, most=query.limit)
        selection = open_selection(inputs, asked, within)
        answers.append(_bounded(found, selection) if query.bounds else found)
        return answers[-1].rows, selection.groups

    depths = range(len(query.by) + 1) if query.subtotals else (len(query.by),)
    above: _Depth | None = None
    tables, paths = [], []
    for depth in depths:
        by = query.by[:depth]
        rows, groups = part(by)
        whole = answers[-1]
        parent = _parents(groups, above)
        rank = ranks(rows, query.sort, query.by)
        kin = np.ones(groups.n, np.bool_) if above is None else above.shown[parent]
        shown = kin & (_place_in(parent, rank) < query.limit) if query.limit is not None and depth > 0 else kin
        path = np.column_stack([np.empty((groups.n, 0)) if above is None else above.path[parent], rank]).astype(
            np.int64
        )
        tables.append(_piece(rows.filter(pa.array(shown)), query, depth, np.zeros(shown.sum(), np.int64)))
        paths.append(path[shown])
        rest = kin & ~shown
        if rest.any():
            within = (groups.group >= 0) & rest[groups.group]
            outer = query.by[: depth - 1] if query.subtotals else ()
            rows, merging = part(outer, within)
            under = _parents(merging, above)
            merged = np.bincount(parent[rest], minlength=1)[under]
            tables.append(_piece(rows, query, depth, merged))
            behind = np.full(len(rows), groups.n)
            paths.append(np.column_stack([np.empty((len(rows), 0)) if above is None else above.path[under], behind]))
        above = _Depth(groups, path, shown)
    everything = pa.concat_tables(tables)
    wide = np.full((len(everything), len(depths)), -1)  # a row stands before those below it
    done = 0
    for some in paths:
        wide[done : done + len(some), : some.shape[1]] = some
        done += len(some)
    in_order = everything.take(pa.array(np.lexsort(wide.T[::-1])))
    return _laid_out(query, whole, in_order, answers)


def _bounded(result: RiskResult, selection: Selection) -> RiskResult:
    """The answer with the bounds of its rows and its total, and where they come from."""
    bounds = failure_bounds(selection, result.query.currency)
    here = slice(0, -1) if result.query.by else slice(-1, None)
    rows = result.rows.append_column(BOUND, pa.array(bounds.bound[here]))
    rows = rows.append_column(UNBOUNDED, pa.array(bounds.unbounded[here]))
    total = {**result.total, BOUND: float(bounds.bound[-1]), UNBOUNDED: int(bounds.unbounded[-1])}
    notes = [
        f"{counted(n, 'contract is bounded by its vector', 'contracts are bounded by their vectors')} of valuation set {s}."
        for s, n in bounds.sources.items()
    ]
    if bounds.unbounded[-1]:
        one, many = "position has no earlier vector: what it", "positions have no earlier vector: what they"
        notes.append(f"{counted(int(bounds.unbounded[-1]), one, many)} could do is unknown.")
    receipt = {**result.receipt, "bounds_from": dict(bounds.sources)}
    return replace(result, rows=rows, total=total, receipt=receipt, notes=(*result.notes, *notes))


def _parents(groups: Groups, above: _Depth | None) -> Codes:
    """The group one depth above each group, (n,); zeros where nothing is above."""
    if above is None:
        return np.zeros(groups.n, np.int32)
    held = np.flatnonzero(groups.group >= 0)
    example = np.empty(groups.n, np.int64)
    example[groups.group[held]] = held
    found: Codes = above.groups.group[example]
    return found


def ranks(rows: pa.Table, sort: Sequence[str], by: Sequence[str]) -> Ints:
    """Place of each row in the order asked for, (n,), among all rows; ties in the order of the rows.

    Dimensions of `by` that the rows do not have order nothing; raises `BadInput` for any other column that is not there.
    """
    valid = [c for c in rows.column_names if c != "status"]
    keys = []
    for name in sort:
        column = name.removeprefix("-")
        if column not in valid and column not in by:
            raise unknown("column to sort by", column, {*valid, *by}, pointer="sort")
        if column in valid:
            keys.append((column, "descending" if name.startswith("-") else "ascending", "at_end"))
    rank: Ints = np.arange(len(rows))
    if keys:
        order = pc.sort_indices(rows, sort_keys=keys).to_numpy()
        rank = np.empty(len(rows), np.int64)
        rank[order] = np.arange(len(rows))
    return rank


def _place_in(parent: Codes, rank: Ints) -> Ints:
    """Place of each row among those of its parent, from 0."""
    order = np.lexsort((rank, parent))
    first = np.searchsorted(parent[order], parent[order])
    place = np.empty(len(rank), np.int64)
    place[order] = np.arange(len(rank)) - first
    return place


def _digests(part: RiskResult) -> tuple[str | bytes, ...]:
    bounds = [part.rows[BOUND].to_numpy().tobytes()] if BOUND in part.rows.column_names else []
    return part.receipt["result_digest"], *bounds


def _piece(rows: pa.Table, query: TableQuery, depth: int, others: Ints) -> pa.Table:
    """The rows with all the columns of the layout."""
    n = len(rows)
    columns: dict[str, Any] = {b: rows[b] if b in rows.column_names else pa.nulls(n, pa.string()) for b in query.by}
    if query.subtotals:
        columns[LEVEL] = np.full(n, depth)
    if query.limit is not None:
        columns[OTHERS] = others
    return pa.table({**columns, **{c: rows[c] for c in rows.column_names if c not in query.by}})


def _laid_out(query: TableQuery, whole: RiskResult, rows: pa.Table, answers: Sequence[RiskResult]) -> RiskResult:
    """The answer to the whole question with these rows; its digest stands for the figures of every part."""
    question = query.model_dump(mode="json")
    timings: dict[str, float] = {}
    for a in answers:
        timings |= {step: round(timings.get(step, 0.0) + ms, 3) for step, ms in a.receipt["timings_ms"].items()}
    result_digest = digest(*(part for a in answers for part in _digests(a)))
    receipt = receipt_of("table", question, result_digest, whole.receipt, timings_ms=timings)
    notes = whole.notes
    if query.limit is not None and (merged := int(pc.sum(rows[OTHERS]).as_py())):
        notes = (
            *notes,
            f"{counted(merged, 'group is', 'groups are')} in rows of others, each computed as one group from its positions.",
        )
    return replace(whole, query=query, rows=rows, receipt=receipt, notes=notes)


def _price(session: Session, query: TableQuery) -> float:
    """Of every prefix of `by` with subtotals, and as much again for rows of others."""
    depths = range(len(query.by) + 1) if query.subtotals else (len(query.by),)
    once = sum(risk_price(session, query, by=query.by[:depth]) for depth in depths)
    return once if query.limit is None else 2 * once


VAR = Question(
    TableQuery,
    of_lake(run_table),
    {"as_of": "2020-03-16", "by": ["desk"], "measures": ["var", "es"]},
    plan_scope,
    value_scope,
    price=_price,
)
