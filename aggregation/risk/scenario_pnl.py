"""The scenario P&L itself: of every scenario, of chosen ones, the worst of each group, or counted into a histogram.

One pipeline: the scenarios looked at (all, or those named), of these the worst of each group, of these the counts. P&L is
in the reporting currency, gains positive; scenarios are ranked as everywhere, worst first, ties by scenario order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, Field

from aggregation.answer import Answer
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.alignment import COVERED
from aggregation.opened.inputs import open_inputs, scenario_labels
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import of_scope
from aggregation.question import Question, of_lake
from aggregation.receipts import make_receipt
from aggregation.reduce.coverage import coverage_columns, total_coverage
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.risk.query import PNL_BYTES, basis_notes
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.types import AtLeastOne, Coverage, Label, Scope, whole
from lake.arrays import Floats, Ints
from lake.canonical import digest
from lake.errors import BadInput, NotFound, counted, unknown
from lake.progress import allowance
from lake.tables import Lake

MOST_ROWS = 500_000


class PnlQuery(Scope):
    """Whose P&L, of which day, in which scenarios."""

    scenarios: tuple[Label, ...] = Field((), max_length=1000, description="scenario ids to look at; default all")
    worst: AtLeastOne | None = Field(None, description="of the scenarios looked at, so many worst of each group")
    histogram: Annotated[int, Field(ge=1, le=1000), BeforeValidator(whole)] | None = Field(
        None,
        description="count into so many bins of equal width, from each group's worst to its best P&L",
    )


@dataclass(frozen=True)
class PnlResult(Answer):
    """An answer. `rows` are sorted by group and hold the `by` columns, `status`, and

    a scenario a row: `scenario`, its `probability`, `rank` (1 is the group's worst of all scenarios) and `pnl`; in the order
    of the set, or worst first where the worst were asked for;
    or a bin a row: `bin`, `low` and `high` (a bin holds its low end; the last one its high end too), the `count` of scenarios
    and their `probability`.

    A group of which nothing is covered has one row without P&L. `total` has the same columns for all positions together, which
    are the rows where `by` is empty.
    """

    query: PnlQuery
    rows: pa.Table
    total: pa.Table
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def run_pnl(lake: Lake, query: PnlQuery, *, cache: VectorCache | None = None, threads: int | None = None) -> PnlResult:
    """Answers from stored vectors; values nothing.

    Raises `NotFound` for a scenario that the set does not have and for dates and sets without data, `BadInput` for unknown
    names, empty selections and answers of more than half a million rows.
    """
    inputs = open_inputs(cache or VectorCache(lake), query)
    labels = scenario_labels(inputs)
    looked_at = _looked_at(query, labels)
    selection = open_selection(inputs, query)
    count = selection.groups.n + 1
    each = query.histogram or min(query.worst or len(looked_at), len(looked_at))
    if count * each > MOST_ROWS:
        raise BadInput(
            f"{count - 1:,} groups and their total with {each:,} rows each would be {count * each:,} rows, more than {MOST_ROWS:,}. "
            "Narrow the filters, group less, or ask for the worst scenarios or a histogram."
        )
    allowance().show(count * each, (*query.by, "status", *(_BIN if query.histogram else _SCENARIO).names))
    probabilities = np.full(len(labels), 1.0 / len(labels)) if inputs.weights is None else inputs.weights
    parts, digests = [], []
    portion = max(1, PNL_BYTES // (8 * inputs.n_scenarios))
    for first in range(0 if query.by else selection.groups.n, count, portion):
        _, pnl = scenario_pnl(selection, first, min(portion, count - first), threads)
        for group, row in enumerate(pnl, start=first):
            found = (
                _of_group(row, query, looked_at, probabilities, labels) if selection.counts[group, COVERED] else None
            )
            parts.append((group, found))
        digests.append(digest(pnl[:, looked_at].tobytes()))
    covered = coverage_columns(selection)
    coverage = total_coverage(covered)
    status = covered["status"].to_pylist()
    table = pa.concat_tables([_rows(selection, g, status[g], found, query) for g, found in parts])
    total_rows = 1 if parts[-1][1] is None else parts[-1][1].num_rows
    total = table.slice(len(table) - total_rows).select([c for c in table.column_names if c not in query.by])
    invalid = sum(found is None for g, found in parts[:-1])
    return PnlResult(
        query=query,
        rows=table.slice(0, len(table) - total_rows) if query.by else total,
        total=total,
        coverage=coverage,
        receipt=make_receipt(
            "pnl",
            query.model_dump(mode="json"),
            inputs,
            digest(*digests),
            currency=query.currency,
            exchange_rates={c: [[f, power] for f, power in path] for c, path in selection.rates.legs.items()},
        ),
        notes=(*basis_notes(query, selection, coverage, invalid), *_own_notes(query, len(looked_at))),
    )


def _looked_at(query: PnlQuery, labels: Sequence[str]) -> Ints:
    """Places of the scenarios asked for, in the order of the set."""
    if not query.scenarios:
        return np.arange(len(labels))
    place = {label: i for i, label in enumerate(labels)}
    for name in query.scenarios:
        if name not in place:
            raise unknown("scenario", name, labels, error=NotFound)
    return np.array(sorted({place[name] for name in query.scenarios}), dtype=np.int64)


def _of_group(pnl: Floats, query: PnlQuery, looked_at: Ints, probabilities: Floats, labels: Sequence[str]) -> pa.Table:
    """The rows of one group without its name; pnl : (n_scenarios,)."""
    order = np.argsort(pnl, kind="stable")  # ties by scenario
    shown = looked_at
    if query.worst is not None:
        among = np.zeros(len(pnl), dtype=np.bool_)
        among[looked_at] = True
        shown = order[among[order]][: query.worst]
    if query.histogram is not None:
        try:
            count, edges = np.histogram(pnl[shown], bins=query.histogram)
        except ValueError:  # the bins would be narrower than the doubles lie apart
            raise BadInput(
                f"P&L from {pnl[shown].min()!r} to {pnl[shown].max()!r} cannot be told apart in {query.histogram:,} bins; ask for fewer."
            ) from None
        weight, _ = np.histogram(pnl[shown], bins=edges, weights=probabilities[shown])
        return pa.table(
            {
                "bin": pa.array(np.arange(1, len(count) + 1)),
                "low": edges[:-1],
                "high": edges[1:],
                "count": count,
                "probability": weight,
            }
        )
    rank = np.empty(len(pnl), dtype=np.int64)
    rank[order] = np.arange(1, len(pnl) + 1)
    return pa.table(
        {
            "scenario": pa.array([labels[i] for i in shown], pa.string()),
            "probability": probabilities[shown],
            "rank": rank[shown],
            "pnl": pnl[shown],
        }
    )


_SCENARIO = pa.schema(
    [("scenario", pa.string()), ("probability", pa.float64()), ("rank", pa.int64()), ("pnl", pa.float64())]
)
_BIN = pa.schema(
    [
        ("bin", pa.int64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("count", pa.int64()),
        ("probability", pa.float64()),
    ]
)


def _rows(selection: Selection, group: int, status: str, found: pa.Table | None, query: PnlQuery) -> pa.Table:
    """The rows of a group with its name and status; one without P&L where nothing is covered."""
    schema = _SCENARIO if query.histogram is None else _BIN
    found = schema.empty_table().from_pylist([{}], schema) if found is None else found.cast(schema)
    keys = selection.groups.keys
    named = {
        c: pa.nulls(len(found), keys.schema.field(c).type)
        if group == selection.groups.n
        else pa.array([keys[c][group].as_py()] * len(found), keys.schema.field(c).type)
        for c in query.by
    }
    return pa.table(
        {**named, "status": pa.array([status] * len(found)), **dict(zip(schema.names, found.columns, strict=True))}
    )


def _own_notes(query: PnlQuery, looked_at: int) -> list[str]:
    if query.worst is not None and query.worst > looked_at:
        return [f"The {query.worst:,} worst were asked for, and there are {counted(looked_at, 'scenario')}."]
    return []


PNL = Question(
    PnlQuery,
    of_lake(run_pnl),
    {"as_of": "2020-03-16", "by": ["desk"], "worst": 3},
    plan_scope,
    value_scope,
    price=of_scope(a_scenario=SECONDS_A_RANK),
)
