"""Figures as they were released, beside what they are now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from aggregation.measures import asked_measures
from aggregation.opened.inputs import Inputs
from aggregation.types import RiskQuery
from lake.schemas import RELEASED_RESULTS
from lake.tables import Lake, Snapshot

_KEY = tuple(k for k in RELEASED_RESULTS.key if k != "release")  # of a figure
Row = dict[str, Any]


def newest(at: Lake | Snapshot, dates: Sequence[dt.date]) -> dict[tuple[Any, ...], Row]:
    """The last release of every figure of these dates, by its key."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in at.read("released_results", among={"date": dates}).sort_by("release").to_pylist():
        found[figure_key(row)] = row
    return found


def released_of(at: Lake | Snapshot, date: dt.date, *, every: bool = False) -> pa.Table:
    """The figures released of a date, by key; the newest release of each, unless `every` is asked for."""
    rows = at.read("released_results", among={"date": [date]})
    if not every:
        rows = pa.Table.from_pylist(list(newest(at, [date]).values()), rows.schema)
    return rows.sort_by([(k, "ascending") for k in RELEASED_RESULTS.key])


def figure_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a figure is known by, whatever its release."""
    return tuple(row[k] for k in _KEY)


def filters_of(query: RiskQuery) -> str:
    """The filters of a question as the table has them: empty for everything held."""
    return " and ".join(sorted(map(str, query.where)))


def restated_since_release(inputs: Inputs, query: RiskQuery, total: Mapping[str, Any]) -> list[str]:
    """A sentence for each figure of all that is held whose last release is another number."""
    notes: list[str] = []
    if inputs.snapshot.lake.reader and not query.where:
        return notes  # what a part of the book adds up to was never released as the total
    released = newest(inputs.snapshot.lake, [query.as_of])
    for a in asked_measures(query) if released else ():
        key = (
            query.as_of,
            "var",
            "",
            filters_of(query),
            a.name,
            query.currency,
            inputs.valuation_set.scenario_set_name,
        )
        was = released.get(key)
        now = total.get(a.name)
        if was is not None and was["value"] != now:
            size = "" if None in (was["value"], now) else f", restated by {now - was['value']:+,.2f}"
            told = "none" if was["value"] is None else f"{was['value']:,.2f}"
            is_now = "none" if now is None else f"{now:,.2f}"
            when = f"{was['released_at']:%Y-%m-%d %H:%M} UTC"
            notes.append(f"{a.name} of {query.as_of} was released as {told} on {when} and is {is_now} now{size}.")
    return notes
