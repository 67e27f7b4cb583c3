"""Instants of ticks: the fast way reads what the slow way reads, and typed columns keep theirs to the microsecond."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.landing import ticks
from lake.landing.ticks import instants, read_ticks

TEXTS = st.one_of(
    st.datetimes(
        dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1), timezones=st.timezones(no_cache=True) | st.just(dt.UTC)
    ).map(lambda t: t.replace(fold=0).isoformat() if t.utcoffset().seconds % 60 == 0 else "2020-03-17T10:00:00Z"),
    st.sampled_from(("2020-03-17T13:30:00Z", "2020-03-17 13:30:00.5-0400", "2020-03-17", "13:30:00Z", "monday Z", "")),
)


@given(st.lists(TEXTS | st.none(), max_size=6))
def test_both_ways_give_the_same(texts: list[str | None]) -> None:
    array = pa.array(texts, pa.string())
    slow = instants(pa.concat_arrays([array, pa.array(["2020-03-17T13:30:00.123456789Z"])]))
    assert slow[-1].as_py() == dt.datetime(2020, 3, 17, 13, 30, 0, 123456, dt.UTC)
    assert instants(array).equals(slow[:-1])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_instants_are_kept(tmp_path: Path, unit: str) -> None:
    at = np.array(["2020-03-17T00:00:00", "2020-03-17T13:30:00.123456", "1969-12-31T23:59:59.5"], "datetime64[us]")
    typed = pa.array(at.astype(f"datetime64[{unit}]")).cast(pa.timestamp(unit, "America/New_York"))
    path = tmp_path / "ticks.parquet"
    pq.write_table(
        pa.table({"risk_factor_id": ["A"] * 3, "time": typed, "sequence": [1, 2, 3], "price": [1.0, 2.0, 3.0]}), path
    )
    rows, faults = read_ticks(path, None)
    assert not faults
    assert rows.time.tolist() == at.astype(f"datetime64[{unit}]").astype("datetime64[us]").astype(np.int64).tolist()


def test_numbers_that_ascend_are_seen() -> None:
    factor = np.array([0, 1, 0, 1])
    assert ticks.ascends(factor, np.array([1, 1, 2, 5]))
    assert not ticks.ascends(factor, np.array([1, 1, 1, 2]))
    assert not ticks.ascends(factor, np.array([2, 1, 1, 2]))
    assert ticks.ascends(factor[:0], factor[:0])
