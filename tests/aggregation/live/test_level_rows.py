"""Levels by column: what is new of a day that is read again, whatever the order of its rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_days import DAY, level

from aggregation.live.level_rows import LevelHistory, LevelRows, instant
from lake.schemas import INTRADAY_LEVELS

ROWS = st.dictionaries(
    st.tuples(st.sampled_from(("EQ:AAA", "EQ:BBB", "FX:EURUSD")), st.integers(1, 5)),
    st.tuples(st.sampled_from((None, 1.0, 2.0)), st.sampled_from((0, 60)), st.sampled_from(("one", "two"))),
)
State = dict[tuple[str, int], tuple[float | None, int, str]]


def table(state: State, draw: Any) -> pa.Table:
    rows = [
        {**level(f, 0.0, s, source=source, carried=carried), "level": value, "date": DAY}
        for (f, s), (value, carried, source) in draw.draw(st.permutations(sorted(state.items())))
    ]
    return pa.Table.from_pylist(rows, schema=INTRADAY_LEVELS.schema)


@given(st.lists(ROWS, min_size=1, max_size=4), st.data())
def test_what_is_new_are_the_rows_that_differ(states: list[State], data: st.DataObject) -> None:
    history, before = LevelHistory(), {}
    for state in states:
        found = history.take(table(state, data))
        told = {
            (found.factors[f], at, None if value != value else value, carried, found.sources[s])
            for f, at, value, carried, s in zip(
                found.factor.tolist(),
                found.at.tolist(),
                found.level.tolist(),
                found.carried.tolist(),
                found.source.tolist(),
                strict=True,
            )
        }
        new = {k: v for k, v in state.items() if before.get(k) != v}
        assert told == {
            (f, micros(level(f, 0.0, s)["bucket_end"]), value, carried > 0, source)
            for (f, s), (value, carried, source) in new.items()
        }
        assert len(found) == len(new)
        before = state


def micros(at: dt.datetime) -> int:
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def test_the_newest_level_of_a_factor_comes_first_and_of_one_bucket_the_row_that_came_last() -> None:
    rows = LevelRows.of([level("A", 3.0, 30), level("B", 9.0, 5), level("A", 1.0, 10), level("A", 4.0, 30)])
    found = {f: [v for _, v in levels] for f, levels in rows.by_factor()}
    assert found == {"A": [4.0, 3.0, 1.0], "B": [9.0]}
    assert rows.until == level("A", 3.0, 30)["bucket_end"]
    assert instant(rows.at[0]) == rows.until


@pytest.mark.parametrize("carried", [0, 60])
def test_ticks_alone_show_that_a_feed_sends(carried: int) -> None:
    rows = LevelRows.of([level("A", 3.0, 30, source="one", carried=carried), level("A", 2.0, 20, source="one")])
    assert [*rows.fresh()] == [("one", "A", level("A", 0.0, 20 if carried else 30)["bucket_end"])]
    assert [r["level"] for r in rows.of_ticks()] == ([2.0] if carried else [2.0, 3.0])
    assert LevelRows.of([]).until is None
    assert [*LevelRows.of([]).fresh(), *LevelRows.of([]).by_factor()] == []
