"""Cross tables: one set of dimensions down, another across, with totals of rows, columns and all.

Every cell and every total is a group of its own, netted from positions; none is a sum of others. Contains no formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from aggregation.answer import Answer
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.question import Question, of_lake
from aggregation.receipts import receipt_of
from aggregation.reduce.grouping import Groups
from aggregation.reduce.selection import open_selection
from aggregation.risk.query import answer, risk_price
from aggregation.risk.table import OTHERS, ranks
from aggregation.session import Session
from aggregation.types import AtLeastOne, Coverage, DimensionName, RiskQuery, RiskResult, as_model
from lake.arrays import Bools, Codes
from lake.canonical import digest
from lake.errors import BadInput
from lake.tables import Lake

MOST_COLUMNS = 1000
PART, TOTAL = "part", "total"

_Answered = Callable[..., tuple[pa.Table, Groups]]  # dimensions, and positions if not all, to rows and groups


class PivotQuery(RiskQuery):
    """A question by two sets of dimensions: `rows` down and `columns` across. `by` stays empty."""

    rows: tuple[DimensionName, ...] = Field(min_length=1, max_length=16, description="dimensions down, outermost first")
    columns: tuple[DimensionName, ...] = Field(
        min_length=1, max_length=16, description="dimensions across, outermost first"
    )
    sort: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="figures of the row totals to sort the rows by, -figure for descending; default the members",
    )
    limit: AtLeastOne | None = Field(None, description="rows shown; the rest is one row")

    @field_validator("by")
    @classmethod
    def _empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            raise ValueError("a cross table is by its rows and columns; leave by out")
        return value


@dataclass(frozen=True)
class PivotResult(Answer):
    """A cross table.

    `rows` is the table as it is read: `part` (row, others or total), the row dimensions, then for every column and every
    measure one column, named by the filter that selects it (`legal_entity=Bank NY`, with the measure behind it where there
    are several), and `total`. `cells` is the same with a row a cell: `part` (cell, row, column or total, or those of
    others), all dimensions, and every column of a risk answer, so that each cell says its coverage and status.
    """

    query: PivotQuery
    rows: pa.Table
    cells: pa.Table
    total: Mapping[str, Any]
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """An answer whose groups have a place in the table: down and across, (n,); -1 is the total of that side."""

    name: str
    rows: pa.Table
    down: Codes
    across: Codes


def run_pivot(
    lake: Lake, query: PivotQuery, *, cache: VectorCache | None = None, threads: int | None = None
) -> PivotResult:
    """Answers the query as a cross table; values nothing.

    `sort` and `limit` are of the rows, by their totals; with a limit the rest of the rows is one row, `others`. Raises as
    `run_query` does, and `BadInput` for a dimension on both sides or more than a thousand columns.
    """
    both = sorted(set(query.rows) & set(query.columns))
    if both:
        raise BadInput(f"{', '.join(both)} cannot stand down and across at once.")
    figures = [a.name for a in asked_measures(query)]
    inputs = open_inputs(cache or VectorCache(lake), query)
    question = as_model(RiskQuery, query)
    across = open_selection(inputs, question.model_copy(update={"by": query.columns})).groups
    if across.n * len(figures) > MOST_COLUMNS:
        raise BadInput(
            f"{across.n:,} columns of {len(figures)} measures were asked for; a cross table has {MOST_COLUMNS:,} at most. "
            "Put the dimension with fewer members across, or filter."
        )
    answers: list[RiskResult] = []

    def part(by: Sequence[str], within: Bools | None = None) -> tuple[pa.Table, Groups]:
        asked = question.model_copy(update={"by": tuple(by)})
        answers.append(answer(inputs, asked, within=within, threads=threads, most=query.limit))
        return answers[-1].rows, open_selection(inputs, asked, within).groups

    row_totals, down = part(query.rows)
    rank = ranks(row_totals, query.sort, query.rows)
    shown = np.full(down.n, True) if query.limit is None else rank < query.limit
    parts = [
        *_parts(query, part, down, across, row_totals, shown),
        *(_others(query, part, (down.group >= 0) & ~shown[down.group], across) if not shown.all() else ()),
    ]
    place = np.append(np.where(shown, rank, -1), -1)  # of each row; the total stands last, past the others
    last = int(shown.sum()) + (not shown.all())
    placed = [
        (p, np.where(p.name.endswith(OTHERS), last - 1, np.where(p.down < 0, last, place[p.down]))) for p in parts
    ]
    wide = _wide(query, figures, placed, last + 1, down, across, shown)
    return _pivoted(query, wide, _cells(query, placed), answers)


def _parts(
    query: PivotQuery, part: _Answered, down: Groups, across: Groups, row_totals: pa.Table, shown: Bools
) -> Iterator[_Part]:
    rows, cells = part((*query.rows, *query.columns))
    example = _examples(cells)
    at, to = down.group[example], across.group[example]
    visible = shown[at]
    yield _Part("cell", rows.filter(pa.array(visible)), at[visible], to[visible])
    every = np.flatnonzero(shown).astype(np.int32)
    yield _Part("row", row_totals.filter(pa.array(shown)), every, np.full(len(every), -1, np.int32))
    yield _Part("column", part(query.columns)[0], np.full(across.n, -1, np.int32), np.arange(across.n, dtype=np.int32))
    yield _Part("total", part(())[0], np.array([-1], np.int32), np.array([-1], np.int32))


def _others(query: PivotQuery, part: _Answered, rest: Bools, across: Groups) -> Iterator[_Part]:
    rows, cells = part(query.columns, rest)
    to = across.group[_examples(cells)]
    yield _Part(f"cell of {OTHERS}", rows, np.full(len(to), -1, np.int32), to)
    yield _Part(OTHERS, part((), rest)[0], np.array([-1], np.int32), np.array([-1], np.int32))


def _examples(groups: Groups) -> Any:
    """A position of each group, (n,)."""
    held = np.flatnonzero(groups.group >= 0)
    example = np.empty(groups.n, np.int64)
    example[groups.group[held]] = held
    return example


def _wide(
    query: PivotQuery,
    figures: Sequence[str],
    placed: Sequence[tuple[_Part, Any]],
    n: int,
    down: Groups,
    across: Groups,
    shown: Bools,
) -> pa.Table:
    """The table as it is read: a row a place, a column for every member across and measure."""
    count = int(shown.sum())
    names = ["row"] * count + [OTHERS] * (n - 1 - count) + [TOTAL]
    columns: dict[str, Any] = {PART: pa.array(names)}
    order = np.full(n, -1)
    for part, place in placed:
        if part.name == "row":
            order[place] = part.down
    taken = pa.array(order, mask=order < 0)
    for dimension in query.rows:
        columns[dimension] = down.keys[dimension].combine_chunks().take(taken)
    values = {figure: np.full((n, across.n + 1), np.nan) for figure in figures}
    for part, place in placed:
        for figure in figures:
            values[figure][place, part.across] = part.rows[figure].to_numpy(zero_copy_only=False)
    members = across.keys.to_pylist()
    for j, name in enumerate([*(", ".join(f"{d}={m or ''}" for d, m in row.items()) for row in members), TOTAL]):
        for figure in figures:
            column = values[figure][:, j if j < across.n else -1]
            columns[name if len(figures) == 1 else f"{name} {figure}"] = pa.array(column, mask=np.isnan(column))
    return pa.table(columns)


def _cells(query: PivotQuery, placed: Sequence[tuple[_Part, Any]]) -> pa.Table:
    """A row a cell, in the order in which the table is read, totals last."""
    tables, places = [], []
    for part, place in placed:
        rows = part.rows
        keys = {
            d: rows[d] if d in rows.column_names else pa.nulls(len(rows), pa.string())
            for d in (*query.rows, *query.columns)
        }
        figures = {c: rows[c] for c in rows.column_names if c not in keys}
        tables.append(pa.table({PART: pa.array([part.name] * len(rows)), **keys, **figures}))
        places.append(np.column_stack([place, np.where(part.across < 0, MOST_COLUMNS, part.across)]))
    order = np.concatenate(places)
    return pa.concat_tables(tables).take(pa.array(np.lexsort((order[:, 1], order[:, 0]))))


def _pivoted(query: PivotQuery, wide: pa.Table, cells: pa.Table, answers: Sequence[RiskResult]) -> PivotResult:
    whole = next(a for a in answers if not a.query.by)  # the total of all comes before that of the others
    question = query.model_dump(mode="json")
    result_digest = digest(*(a.receipt["result_digest"] for a in answers))
    receipt = receipt_of("pivot", question, result_digest, whole.receipt)
    return PivotResult(query, wide, cells, whole.total, whole.coverage, receipt, whole.notes)


def _price(session: Session, query: PivotQuery) -> float:
    """Of the cells and of the totals, and as much again for the row of others."""
    once = sum(
        risk_price(session, query, by=by) for by in ((*query.rows, *query.columns), query.rows, query.columns, ())
    )
    return once if query.limit is None else 2 * once


PIVOT = Question(
    PivotQuery,
    of_lake(run_pivot),
    {"as_of": "2020-03-16", "rows": ["desk"], "columns": ["legal_entity"]},
    plan_scope,
    value_scope,
    price=_price,
)
