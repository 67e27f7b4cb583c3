"""What a live book is asked and what it answers: figures by group, what they rest on, and why they are not those of the open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.change.restatement import adding_up
from aggregation.live.bands import Alarm
from aggregation.live.live_book import LiveBook
from aggregation.live.opening import LiveDay
from aggregation.live.view import View
from aggregation.measures import AskedMeasure, asked_measures
from aggregation.opened.alignment import COVERED
from aggregation.receipts import name_code, receipt_of
from aggregation.reduce.coverage import columns_of, total_coverage
from aggregation.types import (
    VAR_AND_ES,
    Coverage,
    EstimatorName,
    Figures,
    Level,
    MeasureName,
    Positions,
    Tail,
    Threshold,
)
from lake.arrays import Floats
from lake.canonical import digest
from lake.errors import BadInput, counted
from lake.words import first_of
from scenarios.types import RiskClass

_ALARM = pa.schema(
    [
        ("risk_factor_id", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("level", pa.float64()),
        ("reason", pa.string()),
    ]
)
TRADES = "trades"  # the cause that is no risk class


_FIELDS: Any = Figures.model_fields
_OF_FIGURES = (
    "measures",
    "levels",
    "estimator",
    "tail",
    "thresholds",
)  # no sampling intervals and no scaling: moves put onto other levels are no sample


class LiveQuery(Positions, LiveDay):
    """VaR now: of the book that the day opened with, its trades so far, and the newest levels."""

    measures: tuple[MeasureName, ...] = VAR_AND_ES
    levels: tuple[Level, ...] = _FIELDS["levels"]
    estimator: EstimatorName = _FIELDS["estimator"]
    tail: Tail = _FIELDS["tail"]
    thresholds: tuple[Threshold, ...] = _FIELDS["thresholds"]
    stale_after: int = Field(
        60,
        ge=1,
        le=86_400,
        description="seconds without a level after which a factor is named as stale, and a feed as silent",
    )
    causes: bool = Field(
        True, description="whether the change since the open is told by cause: trades, and prices by risk class"
    )
    limits: bool = Field(True, description="whether the use of each limit of VaR and ES that holds on the day is told")


@dataclass(frozen=True)
class LiveRisk(Answer):
    """`rows` has one row a group, sorted: the `by` columns, coverage, base_value, every measure, and `<figure>_open` and
    `<figure>_change` of each; null where the group was not there. `total` is the same of all together. Money is in the reporting currency;
    losses are positive in VaR and ES.

    `causes` has a row a figure of the total: open, now, change, and a column a cause, which add up to the change. The steps follow one
    another: the trades at the levels of the open, then the levels of each risk class on the book as it is now. The base value's steps by
    risk class are the P&L since the open.

    `watermark` says what is in it: orders by rows and until when, prices until when, factors with a level of the day and without.
    `feeds` has a row a source of levels: when it last sent any, for how long it has been silent, and how many of its factors are stale
    while it is not. `held`, `stale` and `refused` name factors that the book reads: those without a level of the day, those of a live feed
    without a recent one, and those whose newest level was not used. `alarms` has a row a level that left its band, of factors that the book
    reads: risk_factor_id, at, level, reason.

    `limits` has a row a limit that holds on the day, as the answer of `limits` has, of the book as it is now: used, a loss positive,
    utilisation, headroom, status; limits of loss are not computed. Null where limits were not asked for.
    """

    query: LiveQuery
    rows: pa.Table
    total: Mapping[str, Any]
    coverage: Coverage
    watermark: Mapping[str, Any]
    causes: pa.Table
    feeds: pa.Table
    alarms: pa.Table
    limits: pa.Table | None
    held: tuple[str, ...]
    stale: tuple[str, ...]
    refused: Mapping[str, str]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def answer_live(
    live: LiveBook,
    query: LiveQuery,
    now: dt.datetime | None = None,
    alarms: Iterable[Alarm] = (),
    limits: pa.Table | None = None,
    **named: Any,
) -> LiveRisk:
    """The answer as of all that the book has taken in. now : against which silence is measured, by default the newest level's instant.

    limits : how much of each limit is used. named : what else its receipt says. Raises `BadInput` for unknown names and for what a live
    answer has not.
    """
    asked = _asked(query)
    weights = live.opening.source.weights
    view = live.view(query)
    figures = {"base_value": view.group_base, **view.measured(asked, weights)}
    covered = columns_of(view.counts, view.substituted(live.rests, live.replaced))
    there = view.counts[:, COVERED] > 0
    opened = _at_open(live, query, asked, weights)
    columns: dict[str, Any] = dict(covered)
    for name, values in figures.items():
        was = np.array([opened.get(key, {}).get(name, np.nan) for key in _keys(view)])
        for column, found in ((name, values), (f"{name}_open", was), (f"{name}_change", values - was)):
            columns[column] = pa.array(found, mask=np.isnan(found) | (~there if column == name else False))
    last = view.groups.n
    total = {name: pa.array(column)[last].as_py() for name, column in columns.items()}
    keys = dict(zip(view.groups.keys.column_names, view.groups.keys.columns, strict=True))
    shown = slice(0, last) if query.by else slice(last, None)
    rows = pa.table({**keys, **{name: column[shown] for name, column in columns.items()}})
    causes = _causes(live, query, asked, weights, total) if query.causes else _no_causes()
    factors = live.market.index.factors
    read = {factors[r].risk_factor_id for r in live.vectors.read} | {
        f for legs in view.rates.legs.values() for f, _ in legs
    }
    feeds, stale, silent = _feeds(live, read, query.stale_after, now or live.prices_until)
    held = tuple(i for i in live.market.held if i in read)
    coverage = total_coverage(covered)
    watermark = _watermark(live, read)
    return LiveRisk(
        query,
        rows,
        total,
        coverage,
        watermark,
        causes,
        feeds,
        pa.Table.from_pylist(
            [{n: getattr(a, n) for n in _ALARM.names} for a in alarms if a.risk_factor_id in read], _ALARM
        ),
        limits,
        held,
        stale,
        live.refused,
        _receipt(live, query, {**figures, **_used(limits)}, watermark, named),
        _notes(live, view, coverage, held, stale, silent),
    )


def _used(limits: pa.Table | None) -> dict[str, Floats]:
    """What the receipt vouches for of limits; NaN where it is not computed."""
    if limits is None or not limits.num_rows:
        return {}
    used = limits["used"].to_pylist()
    return {"limits_used": np.array([np.nan if u is None else u for u in used])}


def _asked(query: LiveQuery) -> list[AskedMeasure]:
    asked = asked_measures(Figures.model_construct(**{n: getattr(query, n) for n in _OF_FIGURES}))
    if ordered := [a.name for a in asked if a.measure.scaling]:
        raise BadInput(
            f"{ordered[0]} follows the P&L from day to day, and the scenarios of a live day are moves; ask for another measure."
        )
    return asked


def _keys(view: View) -> list[tuple[str | None, ...]]:
    """The members of each group, and of the total nothing."""
    keys = view.groups.keys
    if not keys.num_columns:
        return [("",)] * view.groups.n + [()]
    return [*zip(*(keys[c].to_pylist() for c in keys.column_names), strict=True), ()]


def _at_open(
    live: LiveBook, query: LiveQuery, asked: Sequence[AskedMeasure], weights: Floats | None
) -> Mapping[tuple[str | None, ...], Mapping[str, float]]:
    """The figures of each group as the day opened; nothing where the filters leave nothing there."""
    key = (query.by, query.where, query.currency, tuple(asked))
    if key not in live.opened:
        try:
            view = live.view_at(query, live.market.partly(()), at_open=True)
        except BadInput:
            live.opened[key] = {}
        else:
            figures = {"base_value": view.group_base, **view.measured(asked, weights)}
            live.opened[key] = {
                k: {n: float(v[g]) for n, v in figures.items() if view.counts[g, COVERED]}
                for g, k in enumerate(_keys(view))
            }
    return live.opened[key]


def _causes(
    live: LiveBook, query: LiveQuery, asked: Sequence[AskedMeasure], weights: Floats | None, total: Mapping[str, Any]
) -> pa.Table:
    """The change of each figure of the total since the open, by step."""
    whole = query.model_copy(update={"by": ()})
    opened = _at_open(live, query, asked, weights).get((), {})
    names = ["base_value", *(a.name for a in asked)]
    moved = sorted({live.market.index.factors[r].risk_class for r in live.touched})
    steps: list[str] = [TRADES, *map(str, moved)]
    corners = []
    for k in range(len(moved)):  # the last corner is the answer itself
        view = live.view_at(whole, live.market.partly(moved[:k]))
        corners.append(
            {"base_value": view.group_base[-1], **{n: v[-1] for n, v in view.measured(asked, weights).items()}}
        )
    rows = []
    for name in names:
        ends = [opened.get(name, 0.0), *(float(c[name]) for c in corners), total[name]]
        if any(e is None or np.isnan(e) for e in ends):
            continue
        change = ends[-1] - ends[0]
        parts = adding_up(np.diff(ends).tolist(), change, max(map(abs, ends)))
        by = dict(zip(steps, parts, strict=True))
        rows.append(
            {"figure": name, "open": ends[0], "now": ends[-1], "change": change, **dict.fromkeys(_CAUSES, 0.0), **by}
        )
    return pa.Table.from_pylist(rows, _no_causes().schema)


_CAUSES = (TRADES, *map(str, RiskClass))


def _no_causes() -> pa.Table:
    names = ("open", "now", "change", *_CAUSES)
    return pa.schema([("figure", pa.string()), *((n, pa.float64()) for n in names)]).empty_table()


def _watermark(live: LiveBook, read: Set[str]) -> dict[str, Any]:
    last = live.trades.last
    row, fresh = live.market.index.row, live.market.fresh
    return {
        "order_rows": live.trades.seen,
        **live.trades.counts,
        "orders_until": None if last is None else last[0],
        "last_order": None if last is None else last[1],
        "last_sequence": None if last is None else last[2],
        "prices_until": live.prices_until,
        "factors_read": len(read),
        "factors_of_the_day": sum(bool(fresh[row[f]]) for f in read),
        "opened_with_positions_of": live.opening.positions_date,
        "scenario_set": live.opening.source.name,
        "scenarios_of": live.opening.source.market_date,
    }


def _feeds(
    live: LiveBook, read: Set[str], after: int, now: dt.datetime | None
) -> tuple[pa.Table, tuple[str, ...], list[str]]:
    """The feeds; of those that are not silent the factors that are `read` and have no recent level; and the silent feeds."""
    rows, stale, silent = [], [], []
    for source, feed in sorted(live.feeds.items()):
        assert feed.last is not None
        assert now is not None
        quiet = (now - feed.last).total_seconds()
        old = sorted(f for f, at in feed.of_factor.items() if f in read and (now - at).total_seconds() > after)
        if quiet > after:
            silent.append(f"{source or 'without a name'} ({quiet:,.0f} s)")
        else:
            stale += old
        rows.append(
            {
                "source": source,
                "last": feed.last,
                "silent_seconds": quiet,
                "silent": quiet > after,
                "factors": len(feed.of_factor),
                "stale": 0 if quiet > after else len(old),
            }
        )
    schema = pa.schema(
        [
            ("source", pa.string()),
            ("last", pa.timestamp("us", tz="UTC")),
            ("silent_seconds", pa.float64()),
            ("silent", pa.bool_()),
            ("factors", pa.int64()),
            ("stale", pa.int64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema), tuple(sorted(stale)), silent


def _receipt(
    live: LiveBook,
    query: LiveQuery,
    figures: Mapping[str, Floats],
    watermark: Mapping[str, Any],
    named: Mapping[str, Any],
) -> dict[str, Any]:
    opening = live.opening
    inputs = {
        "day": str(live.day),
        "positions_date": str(opening.positions_date),
        "positions_files": list(opening.book.files),
        "scenario_set_id": opening.source.scenario_set_id,
        "scenario_set_name": opening.source.name,
        "scenario_count": live.vectors.n_scenarios,
        "market_date": str(opening.source.market_date),
        "market_data_version": opening.base.market_data_version,
        "levels_digest": digest(live.market.base.tobytes()),
        "orders_digest": live.trades.digest,
        "order_rows": watermark["order_rows"],
        "table_versions": dict(opening.at.named),
        **name_code(),
        **named,
    }
    found = digest(*(part for name, values in figures.items() for part in (name, values.tobytes())))
    return receipt_of("live", query.model_dump(mode="json"), found, inputs)


def _notes(
    live: LiveBook, view: View, coverage: Coverage, held: Sequence[str], stale: Sequence[str], silent: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    if lacking := coverage.positions - coverage.covered:
        has = "position is not in the numbers" if lacking == 1 else "positions are not in the numbers"
        notes.append(f"{lacking:,} {has}. {view.failed_in_words()}".rstrip())
    if held:
        have = counted(len(held), "risk factor has", "risk factors have")
        notes.append(f"{have} no level of {live.day} and hold the last: {first_of(list(held), 5)}.")
    if silent:
        one, many = (
            "feed has been silent, so that its factors cannot be told from a quiet market",
            "feeds have been silent, so that their factors cannot be told from a quiet market",
        )
        notes.append(f"{counted(len(silent), one, many)}: {', '.join(silent)}.")
    if stale:
        notes.append(
            f"{counted(len(stale), 'risk factor is', 'risk factors are')} quiet while the feed is not: {first_of(list(stale), 5)}."
        )
    for factor, why in live.refused.items():
        notes.append(f"The newest level of {factor} was not used: {why}.")
    if others := live.trades.counts["of_other_days"]:
        notes.append(
            f"{counted(others, 'order is', 'orders are')} of other days, and in the book that the day opened with or in none."
        )
    return tuple(notes)
