"""Reads of a few values of a column are the rows a filter over everything finds, whatever was listed before."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lake.committer import Committer
from lake.landing.actual_pnl import ingest_pnl
from lake.schemas import DIMENSION_COLUMNS, POSITIONS
from lake.tables import Lake

DAYS = [dt.date(2020, 3, d) for d in (11, 12, 13)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three days of positions, a file each, and P&L in one file."""
    lake = Lake.create(tmp_path / "lake")
    for day in DAYS:
        put_positions(lake, day)
    file = tmp_path / "pnl.csv"
    file.write_text("date,desk,pnl,currency\n" + "".join(f"{d},{k},1,USD\n" for d in DAYS for k in ("Rates", "FX")))
    with Committer(lake, "test") as committer:
        ingest_pnl(committer, file)
    return lake


def put_positions(lake: Lake, day: dt.date) -> None:
    common = {d: d for d in DIMENSION_COLUMNS} | {"positions_date": day, "contract_id": "c", "instrument_type": "x"}
    rows = [{**common, "currency": "USD", "attributes": [], "quantity": 1.0, "trade": f"T{i}"} for i in range(2)]
    with Committer(lake, "test") as committer:
        committer.put("positions", pa.Table.from_pylist(rows, schema=POSITIONS.schema))


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("positions", "positions_date", DAYS[1:2]),
        ("positions", "positions_date", [DAYS[0], DAYS[2]]),
        ("positions", "trade", ["T1"]),
        ("actual_pnl", "pnl_date", [DAYS[2]]),
        ("actual_pnl", "desk", ["FX"]),
        ("actual_pnl", "desk", ["none of them"]),
        ("contracts", "contract_id", ["never written"]),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_among_is_a_filter(lake: Lake, table: str, column: str, values: list[object], listed: bool) -> None:
    if listed:
        lake.read(table)
    found = lake.read(table, among={column: values})
    everything = lake.read(table)
    expected = everything.filter(pc.field(column).isin(values))
    assert found.to_pylist() == expected.to_pylist()
    where = pc.field("currency") == "USD"
    assert lake.read(table, [column], where, among={column: values}).num_rows == expected.num_rows
    assert lake.snapshot().read(table, among={column: values}).num_rows == expected.num_rows


def test_what_is_committed_later_is_read(lake: Lake) -> None:
    later = DAYS[2] + dt.timedelta(days=3)
    then = lake.snapshot()
    assert lake.read("positions", among={"positions_date": [later]}).num_rows == 0
    put_positions(lake, later)
    assert lake.read("positions", among={"positions_date": [later]}).num_rows == 2
    assert then.read("positions", among={"positions_date": [later]}).num_rows == 0
