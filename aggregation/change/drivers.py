"""Drivers: the few members, over all dimensions and their combinations, that explain most of a change of risk, or of one
day's risk. From cached vectors alone.

A measure that is -sum_s w_s P&L_s is the sum of what each position contributes, so its change is the sum of the changes
of contribution, position by position; `driver_search` says which sets of members hold most of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, Field

from aggregation.answer import SPREAD, Answer, shown
from aggregation.book.book import encode
from aggregation.change.sides import compared
from aggregation.dimensions import check_dimension
from aggregation.kernels.driver_search import DEEPEST, LEAST, scale_of, search_member_sets
from aggregation.kernels.euler import position_parts
from aggregation.measures import AskedMeasure, asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import size_of
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_inputs, receipt_of
from aggregation.reduce.coverage import coverage_columns, failed_in_words, total_coverage
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.reduce.unit_parts import unit_parts
from aggregation.risk.query import stated_horizon
from aggregation.session import Session
from aggregation.types import (
    AsKnown,
    Condition,
    Coverage,
    Currency,
    DimensionName,
    EstimatorName,
    Filter,
    OneFigure,
    Positions,
    RiskQuery,
    Whole,
)
from lake.arrays import Codes, Floats
from lake.canonical import digest
from lake.dates import Day
from lake.errors import BadInput, counted
from lake.tables import Lake

TOLERANCE = 1e-9  # of the gross contributions: between their sum and the measure

_SECONDS_A_CELL = 5e-9  # of a core, to add a trade to a table of the search
_COLUMNS = ("change", "share_of_change", "gross", "positions", "share_of_positions",
            "before", "after", "new", "closed", "held")  # fmt: skip


class Member(NamedTuple):
    """Of a dimension; None for the positions without one."""

    dimension: str
    member: str | None


@dataclass(frozen=True)
class Driver(Answer):
    """A set of positions: those with all these members that no driver before it has. Money as in the measure.

    change = new + closed + held : of positions on the later date alone, on the earlier alone, and on both. overlaps :
    numbers, from 1, of earlier drivers that hold positions of these members too.
    """

    members: tuple[Member, ...]
    overlaps: tuple[int, ...]
    figures: Mapping[str, Any] = field(metadata=SPREAD)

    @property
    @shown("driver")
    def text(self) -> str:
        """As filters that `--where` takes, with what is left out."""
        filters = " and ".join(str(Filter(dimension=d, values=(m,))) for d, m in self.members)
        return filters + (f" without {', '.join(map(str, self.overlaps))}" if self.overlaps else "")


@dataclass(frozen=True)
class DriversResult(Answer):
    """`before` and `after` are the measure at both points, `before` zero for one date alone. `rest` has the figures of what no
    driver holds. gross : sum of the absolute changes of all positions. scale : the largest net change of any member, or of
    all together. unexplained : net change of the rest as a share of the scale.
    """

    queries: tuple[RiskQuery, ...]
    measure: str
    before: float
    after: float
    gross: float
    scale: float
    drivers: tuple[Driver, ...]
    rest: Mapping[str, Any]
    unexplained: float
    coverage: tuple[Coverage, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    @shown("change")
    def change(self) -> float:
        return self.after - self.before

    @property
    def rows(self) -> pa.Table:
        """A row a driver, and one of the rest."""
        rows = [*({"driver": d.text, **d.figures} for d in self.drivers), {"driver": None, **self.rest}]
        kinds = {"driver": pa.string(), "positions": pa.int64()}
        return pa.Table.from_pylist(
            rows, schema=pa.schema([(c, kinds.get(c, pa.float64())) for c in ("driver", *_COLUMNS)])
        )


@dataclass(frozen=True)
class _DateContributions:
    """One date: the measure of the selection and what every position of the book contributes to it, (n_positions,)."""

    inputs: Inputs
    selection: Selection
    value: float
    parts: Floats


def run_drivers(
    lake: Lake,
    queries: Sequence[RiskQuery],
    *,
    most: int = 5,
    over: Sequence[str] = (),
    cache: VectorCache | None = None,
    threads: int | None = None,
) -> DriversResult:
    """What drives the change from the first to the second query, or the one query's own number; at most `most` sets.

    over : the dimensions that are searched; all of the books where empty. Raises `BadInput` for queries with groups, more than
    one measure or level, unlike queries, and measures that do not split into contributions, and as `run_query` does.
    """
    for query in queries:
        if query.by:
            raise BadInput(f"Drivers are sought over all dimensions; leave out by {', '.join(query.by)}.")
    cache = cache or VectorCache(lake)
    asked = _asked(queries[0])
    if len(queries) == 1:
        points, partner = [_measured(cache, queries[0], asked, threads)], None
    else:
        comparison = compared(lake, *queries, cache=cache, threads=threads)
        points = [_point(s.inputs, s.selection, s.value, s.weights) for s in comparison.sides]
        partner = comparison.pairing.partner_after
    rows = _rows(points, partner, _searched(points, over))
    found = search_member_sets(
        rows.change, rows.codes, [len(m) for m in rows.members], most, min(DEEPEST, len(rows.names))
    )
    gross = float(np.abs(rows.change).sum())
    change = points[-1].value - (points[0].value if len(points) == 2 else 0.0)
    taken = np.zeros(len(rows.change), dtype=np.int64)  # number of the driver that holds the row
    drivers = []
    for number, f in enumerate(found, 1):
        alike = np.logical_and.reduce([rows.codes[d] == code for d, code in f.members])
        overlaps = tuple(sorted(set(taken[alike].tolist()) - {0}))
        taken[f.rows] = number
        members = tuple(Member(rows.names[d], rows.members[d][code].as_py()) for d, code in f.members)
        drivers.append(Driver(members, overlaps, rows.figures(f.rows, change)))
    rest = rows.figures(np.flatnonzero(taken == 0), change)
    scale = scale_of(rows.change, rows.codes, [len(m) for m in rows.members])
    coverage = tuple(total_coverage(coverage_columns(p.selection)) for p in points)
    return DriversResult(
        queries=tuple(queries),
        measure=asked.name,
        before=points[0].value if len(points) == 2 else 0.0,
        after=points[-1].value,
        gross=gross,
        scale=scale,
        drivers=tuple(drivers),
        rest=rest,
        unexplained=abs(rest["change"]) / scale if scale else 0.0,
        coverage=coverage,
        receipt=_receipt(queries, points, most, over, rows.change),
        notes=_notes(drivers, points, coverage, gross),
    )


def _asked(query: RiskQuery) -> AskedMeasure:
    asked = asked_measures(query)
    if len(asked) != 1:
        raise BadInput(
            f"Drivers are sought of one measure at one level; {', '.join(a.name for a in asked)} were given."
        )
    return asked[0]


def _measured(cache: VectorCache, query: RiskQuery, asked: AskedMeasure, threads: int | None) -> _DateContributions:
    inputs = open_inputs(cache, query)
    if query.scale_to_days is not None:
        asked = asked.over(stated_horizon(inputs))
    selection = open_selection(inputs, query)
    if not selection.counts[-1, 0]:
        return _point(inputs, selection, 0.0, np.zeros(inputs.n_scenarios))
    pnl = scenario_pnl(selection, selection.groups.n, 1, threads)[1]
    weights = asked.tail_weights(pnl, inputs.weights)[0]
    return _point(inputs, selection, float(asked.values(pnl, inputs.weights)[0]), weights)


def _point(inputs: Inputs, selection: Selection, value: float, weights: Floats) -> _DateContributions:
    book, units = inputs.book, unit_parts(selection, weights[None, :])
    # a currency that nothing selected is in has no rate, and its contracts no part
    unit = np.where(np.isnan(units[0]), 0.0, units[0])
    parts = position_parts(book.starts, book.quantity, selection.groups.group, unit)
    if abs(parts.sum() - value) > TOLERANCE * np.abs(parts).sum():
        raise ArithmeticError(f"The contributions add up to {parts.sum()!r} and the measure is {value!r}.")
    return _DateContributions(inputs, selection, value, parts)


def _searched(points: Sequence[_DateContributions], over: Sequence[str]) -> list[str]:
    """The dimensions to search: those given, or all that a book has."""
    books = [p.inputs.book for p in points]
    there = list(dict.fromkeys(name for b in books for name in b.columns))
    if not over:
        return there
    attributes = {a for b in books for a in b.attributes}
    for name in over:
        if name not in there:
            check_dimension(name, attributes, "over")
    return list(dict.fromkeys(over))


@dataclass(frozen=True)
class _Rows:
    """What is searched: a row a trade, with its members of the later date that has it.

    change, before, after : (n,). there : (n,) 1 on the earlier date alone, 2 on the later alone, 3 on both. codes : by
    dimension (n,) into its members.
    """

    names: Sequence[str]
    members: Sequence[pa.Array]
    codes: Sequence[Codes]
    change: Floats
    before: Floats
    after: Floats
    there: Codes

    def figures(self, rows: Any, change: float) -> dict[str, Any]:
        c, there = self.change[rows], self.there[rows]
        net = float(c.sum())
        return {
            "change": net,
            "share_of_change": net / change if change else None,
            "gross": float(np.abs(c).sum()),
            "positions": len(c),
            "share_of_positions": len(c) / len(self.change),
            "before": float(self.before[rows].sum()),
            "after": float(self.after[rows].sum()),
            "new": float(c[there == 2].sum()),
            "closed": float(c[there == 1].sum()),
            "held": float(c[there == 3].sum()),
        }


def _rows(points: Sequence[_DateContributions], partner: Codes | None, names: Sequence[str]) -> _Rows:
    kept = [np.flatnonzero(p.selection.groups.group >= 0) for p in points]
    members, codes = [], []
    for name in names:
        column = [_column(p, name, k) for p, k in zip(points, kept, strict=True)]
        place, shared = encode(pa.concat_arrays([m for _, m in column]))
        offset = np.cumsum([0, *(len(m) for _, m in column)])
        members.append(shared)
        codes.append([place[offset[i] + c] for i, (c, _) in enumerate(column)])
    parts = [p.parts[k] for p, k in zip(points, kept, strict=True)]
    if partner is None:
        n = len(parts[0])
        there = np.full(n, 3, dtype=np.int32)
        return _Rows(names, members, [c[0] for c in codes], parts[0], np.zeros(n), parts[0], there)
    # a trade of both dates is one row, with its members of the later: transfers between desks are not drivers
    row_of = np.full(points[0].inputs.book.n_positions, -1, dtype=np.int64)
    row_of[kept[0]] = np.arange(len(kept[0]))
    old = np.where(partner[kept[1]] >= 0, row_of[partner[kept[1]]], -1)
    same = old >= 0
    alone = np.ones(len(kept[0]), dtype=np.bool_)
    alone[old[same]] = False
    was = np.zeros(len(same))
    was[same] = parts[0][old[same]]
    gone = parts[0][alone]
    before, after = np.concatenate([was, gone]), np.concatenate([parts[1], np.zeros(len(gone))])
    there = np.concatenate([np.where(same, 3, 2), np.ones(len(gone), dtype=np.int64)]).astype(np.int32)
    joined = [np.concatenate([new, earlier[alone]]) for earlier, new in codes]
    return _Rows(names, members, joined, after - before, before, after, there)


def _column(point: _DateContributions, name: str, kept: Any) -> tuple[Codes, pa.Array]:
    """Codes and members of a dimension; a book without it has the empty member alone."""
    columns = point.inputs.book.columns
    if name not in columns:
        return np.zeros(len(kept), dtype=np.int32), pa.nulls(1, pa.string())
    column = columns[name]
    return column.codes[kept], pc.cast(column.members, pa.string())


def _receipt(
    queries: Sequence[RiskQuery], points: Sequence[_DateContributions], most: int, over: Sequence[str], change: Floats
) -> dict[str, Any]:
    question = {"queries": [q.model_dump(mode="json") for q in queries], "most": most, "over": list(over)}
    inputs = [name_inputs(p.inputs) for p in points]
    sides = {"before": inputs[0], "after": inputs[1]} if len(inputs) == 2 else inputs[0]
    named = {**sides, "table_versions": inputs[-1]["table_versions"]}
    return receipt_of("drivers", question, digest(np.ascontiguousarray(change).tobytes()), named)


def _notes(
    drivers: Sequence[Driver], points: Sequence[_DateContributions], coverage: Sequence[Coverage], gross: float
) -> tuple[str, ...]:
    """What a reader must know before using the list."""
    notes = []
    out = sum(c.failed + c.missing for c in coverage)
    if out:
        why = next(filter(None, (failed_in_words(p.selection) for p in reversed(points))), "")
        one = "position is not in the numbers: it failed or is"
        many = "positions are not in the numbers: they failed or are"
        notes.append(f"{counted(out, one, many)} not in the valuation set. {why}".rstrip())
    if not any(c.covered for c in coverage):
        notes.append("None of the positions is covered: there is no number.")
    elif not gross:
        notes.append("Nothing changed.")
    elif not drivers:
        notes.append(
            f"No set of members explains {LEAST:.0%} of the change more than its share of the positions: the change is "
            "spread as the positions are."
        )
    return tuple(notes)


class DriversQuery(AsKnown, OneFigure):
    """What drives a change of risk between two dates, or the risk of one."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    to: Day = Field(description="date whose risk is asked about")
    from_: Day | None = Field(
        None, alias="from", description="date the change is from; without it, what drives the risk of `to` itself"
    )
    where: tuple[Condition, ...] = Field((), description=Positions.model_fields["where"].description)
    max: Whole = Field(5, ge=1, le=50, description="most drivers to name")
    over: tuple[DimensionName, ...] = Field((), max_length=16, description="dimensions to search; default all")
    currency: Currency = Field("USD", description="reporting currency, ISO 4217, such as USD")
    estimator: EstimatorName = Field("order_statistic", description="how a quantile is read from the scenarios")
    scenario_set: str | None = Field(
        None, description="scenario set name or id; default the standard of the lake or desk"
    )

    def queries(self) -> list[RiskQuery]:
        """The question of each date, the earlier first."""
        asked = self.model_dump(include={"where", "currency", "estimator", "scenario_set"})
        days = [day for day in (self.from_, self.to) if day is not None]
        return [RiskQuery(as_of=day, measures=(self.measure,), levels=(self.level,), **asked) for day in days]


def _answer(session: Session, query: DriversQuery) -> DriversResult:
    return run_drivers(session.lake, query.queries(), most=query.max, over=query.over, cache=session.cache)


def _plan(session: Session, query: DriversQuery) -> Plan:
    return together(plan_scope(session, q) for q in query.queries())


def _value(session: Session, query: DriversQuery) -> DriversQuery:
    for q in query.queries():
        value_scope(session, q)
    return query


def _price(session: Session, query: DriversQuery) -> float:
    """Of the contributions at each point, and of a table for every combination of dimensions, to which each trade is added twice."""
    sizes = [size_of(session, q) for q in query.queries()]
    rows = sum(s.positions for s in sizes)
    most = max(len(query.over or s.of.book.columns) for s in sizes)
    tables = sum(math.comb(most, depth) for depth in range(1, DEEPEST + 1))
    return sum(s.seconds(passes=2) for s in sizes) + 2 * _SECONDS_A_CELL * rows * tables


DRIVERS = Question(
    DriversQuery, _answer, {"from": "2020-02-14", "to": "2020-03-16", "max": 3}, _plan, _value, price=_price
)
