"""One question on two days, and the difference by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.answer import Answer
from aggregation.change.attribution_path import plan_between, value_intermediate
from aggregation.change.pairing import actions_between
from aggregation.change.released import restated_since_release
from aggregation.change.restatement import Restated, is_restated, path_between, restated, restated_notes
from aggregation.change.sides import check_alike, check_like_inputs, holding, price_of_points, select_both
from aggregation.measures import asked_measures, interval_confidence
from aggregation.on_demand import plan_points, value_points
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.question import Plan, Question
from aggregation.receipts import make_receipt, name_both, receipt_of
from aggregation.reduce.selection import scenario_pnl
from aggregation.risk.query import answer, of_day, stated_horizon
from aggregation.risk.sampling_error import difference_interval, paired_resamples
from aggregation.session import Session
from aggregation.types import VAR_AND_ES, Coverage, MeasureName, RiskQuery, RiskResult, TwoPoints
from lake.canonical import canonical_json, digest
from lake.tables import Lake

_COUNTS = ("covered", "failed", "missing", "substituted", "status")


@dataclass(frozen=True)
class ComparisonResult(Answer):
    """Both answers and their difference.

    `rows` has one row a group that is there on either day, sorted by group: the `by` columns, `change` (both, new or
    gone), and for positions, base value and every measure `<name>_from`, `<name>_to` and `<name>_change`. Where a group
    is not there, or has no number, that side is null and counts as nothing held: the change is the other side's whole
    number. `total` has the same for all groups together and for the diversification. restated : of one day as known at two
    times, what was restated and what each restatement did.
    """

    before: RiskResult
    after: RiskResult
    rows: pa.Table
    total: Mapping[str, Any]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    restated: Restated | None = None


def compare(
    lake: Lake, query_from: RiskQuery, query_to: RiskQuery, *, cache: VectorCache | None = None
) -> ComparisonResult:
    """Answers both queries and subtracts, later minus earlier; raises `BadInput` for unlike questions or horizons.

    Where the filters keep nothing on one side, that side holds nothing. Where the queries ask for an interval, every measure
    has `<name>_change_low` and `<name>_change_high`, from the same resample of the scenarios on both sides.
    """
    check_alike(query_from, query_to)
    cache = cache or VectorCache(lake)
    inputs = (open_inputs(cache, query_from), open_inputs(cache, query_to))
    before, after = answers = _answers(inputs, (query_from, query_to))
    check_like_inputs(*inputs)
    notes = tuple(
        f"{what} differ: {before.receipt[name]} on {query_from.as_of}, {after.receipt[name]} on {query_to.as_of}."
        for name, what in (
            ("scenario_count", "Scenario counts"),
            ("scenario_set_name", "Scenario sets"),
            ("method", "Methods"),
        )
        if before.receipt[name] != after.receipt[name]
    )
    notes += actions_between(*inputs)
    notes += tuple(f"On {a.query.as_of}: {n}" for a in answers for n in of_day(a.notes))
    by = query_from.by
    ends = {e for a in asked_measures(query_from) for e in a.interval_names} if query_from.interval else set()
    figures = [c for c in before.rows.column_names if c not in (*by, *_COUNTS) and c not in ends]
    rows = _joined(before.rows, after.rows, by, figures)
    columns, total = _change_intervals(inputs, (query_from, query_to), rows)
    for name, column in columns.items():
        rows = rows.append_column(name, column)
    totals = _total(*({n: v for n, v in r.total.items() if n not in ends} for r in (before, after)))
    receipt = _receipt(inputs, (query_from, query_to), answers, {**columns, **total})
    notes += tuple(
        note
        for i, q, a in zip(inputs, (query_from, query_to), answers, strict=True)
        for note in restated_since_release(i, q, a.total)
    )
    found = None
    if is_restated(query_from, query_to):
        found = restated(cache, (query_from, query_to), (before.total, after.total))
        notes += restated_notes(found)
    return ComparisonResult(before, after, rows, {**totals, **total}, receipt, notes, found)


def _receipt(
    inputs: tuple[Inputs, Inputs],
    queries: tuple[RiskQuery, RiskQuery],
    answers: tuple[RiskResult, RiskResult],
    intervals: Mapping[str, Any],
) -> dict[str, Any]:
    """A receipt that names the inputs of both sides; the figures are those of both answers, and the intervals of the changes."""
    question = {side: q.model_dump(mode="json") for side, q in zip(("from", "to"), queries, strict=True)}
    drawn = {n: v.to_pylist() if isinstance(v, pa.Array) else v for n, v in intervals.items()}
    result_digest = digest(*(a.receipt["result_digest"] for a in answers), canonical_json(drawn))
    named = name_both(*inputs)
    versions = dict(named["table_versions"])
    for released in (i.snapshot.lake.snapshot("released_results").named for i in inputs):
        versions |= {n: max(v, versions.get(n, v)) for n, v in released.items()}
    return receipt_of("compare", question, result_digest, {**named, "table_versions": versions})


def _answers(inputs: tuple[Inputs, Inputs], queries: tuple[RiskQuery, RiskQuery]) -> tuple[RiskResult, RiskResult]:
    """Both answers; the one whose filters keep nothing takes its shape from the other. Raises where both keep nothing."""
    held = holding(inputs, queries)
    found = [answer(i, q) if some else None for some, i, q in zip(held, inputs, queries, strict=True)]
    one, two = (
        f or _nothing(i, q, found[1 - k] or found[k])
        for k, (f, i, q) in enumerate(zip(found, inputs, queries, strict=True))
    )
    return one, two


def _nothing(inputs: Inputs, query: RiskQuery, like: RiskResult | None) -> RiskResult:
    """The answer of a filter that no position passes: no rows, no figures."""
    assert like is not None
    none = {name: 0 if name in ("positions", *_COUNTS) and name != "status" else None for name in like.total}
    return RiskResult(
        query,
        like.rows.slice(0, 0),
        none,
        Coverage(0, 0, 0, 0),
        make_receipt("var", query.model_dump(mode="json"), inputs, digest("nothing held"), estimator=query.estimator),
        (
            f"Nothing passes {', '.join(map(str, query.where))} on {inputs.book.positions_date}: it counts as nothing held.",
        ),
    )


def _change_intervals(
    inputs: tuple[Inputs, Inputs], queries: tuple[RiskQuery, RiskQuery], rows: pa.Table
) -> tuple[dict[str, pa.Array], dict[str, float]]:
    """Columns `<name>_change_low` and `_high` for the rows and for the total, where the queries ask for an interval."""
    confidence = interval_confidence(queries[0])
    if confidence is None:
        return {}, {}
    keys = _keys(rows, queries[0].by)
    asked = [a for a in asked_measures(queries[0]) if a.measure.sampled]
    if queries[0].scale_to_days is not None:
        asked = [a.over(stated_horizon(inputs[0])) for a in asked]
    sides = []
    for i, query, selection in zip(inputs, queries, select_both(inputs, queries), strict=True):
        n = selection.groups.n
        first = 0 if query.by else n
        pnl = scenario_pnl(selection, first, n + 1 - first)[1]
        place = dict(zip(_keys(selection.groups.keys, query.by), range(n), strict=True)) if query.by else {(): 0}
        wanted = [place.get(k, -2) for k in keys] + [len(pnl) - 1]
        sides.append((np.array([pnl[p] if p >= 0 else np.zeros(i.n_scenarios) for p in wanted]), i.weights))
    columns: dict[str, pa.Array] = {}
    total: dict[str, float] = {}
    pair = paired_resamples(*inputs)
    for a in asked:
        for end, values in zip(
            ("low", "high"), difference_interval(a, sides[0], sides[1], pair, confidence), strict=True
        ):
            columns[f"{a.name}_change_{end}"] = pa.array(values[:-1], mask=np.isnan(values[:-1]))
            total[f"{a.name}_change_{end}"] = float(values[-1])
    return columns, total


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


class CompareQuery(TwoPoints):
    """The same question at two points, and the difference by group."""

    measures: tuple[MeasureName, ...] = VAR_AND_ES


def _answer(session: Session, query: CompareQuery) -> ComparisonResult:
    return compare(session.lake, *query.points(), cache=session.cache)


def _plan(session: Session, query: CompareQuery) -> Plan:
    ends = plan_points(session, query)
    if not ends.ready or not is_restated(*query.points()):
        return ends
    return plan_between(path_between(session.cache, query.points()))


def _value(session: Session, query: CompareQuery) -> CompareQuery:
    query = value_points(session, query)
    if is_restated(*query.points()):
        value_intermediate(session, path_between(session.cache, query.points()))
    return query


COMPARE = Question(
    CompareQuery,
    _answer,
    {"from": "2020-02-14", "to": "2020-03-16", "by": ["desk"]},
    _plan,
    _value,
    price=price_of_points,
)
