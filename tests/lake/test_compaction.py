"""Small files put together: the same rows to the bit, in fewer files, in one commit; readers of before keep what they had."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from test_tables import MONDAY, rows_of

from lake.committer import Committer
from lake.compaction import COMPACTS, NAMED_BY_RECEIPTS, compact, compactable, uncompacted
from lake.leftovers import leftovers
from lake.schemas import TABLES, Table
from lake.storage import write_data_file
from lake.tables import Lake
from lake.verify import verify_files

ODD = "Bank of O'Neil & Söhne, 50%=a/b +c%20d"
MERGED = [t for t in TABLES.values() if t not in NAMED_BY_RECEIPTS]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def put_small(lake: Lake, table: Table, files: int = 5) -> None:
    """So many commits of three rows each, in one partition; its name is an odd one where it is a text."""
    (column,) = table.partition_by or (None,)
    text = column is not None and pa.types.is_string(table.schema.field(column).type)
    with Committer(lake, "test") as committer:
        for i in range(files):
            rows = rows_of(table.name, range(3 * i, 3 * i + 3), (ODD if text else MONDAY) if column else None)
            committer.put(table.name, rows)


def told(rows: pa.Table) -> list[str]:
    """The rows to the bit: Python writes a double so that it reads back as it was."""
    return sorted(map(repr, rows.to_pylist()))


@pytest.mark.parametrize("table", MERGED, ids=lambda t: t.name)
def test_every_table_keeps_its_rows(lake: Lake, table: Table) -> None:
    put_small(lake, table, 3)
    before, version = lake.read(table.name), lake.version(table.name)
    pinned, other = lake.snapshot(table.name), DeltaTable(str(lake.path / table.name))
    with Committer(lake, "test") as committer:
        done = compact(committer, table.name)
        assert (done.files, done.into) == (3, 1)
        assert compact(committer, table.name).files == 0
    assert lake.version(table.name) == version + 1  # one commit, and none for nothing
    assert len(lake.data_files(table.name)) == 1
    assert told(lake.read(table.name)) == told(before)
    assert told(pa.table(DeltaTable(str(lake.path / table.name)).to_pyarrow_table())) == told(before)
    assert lake.count(table.name) == 9
    # whoever had pinned the version before reads on, in our reader and in others
    assert pinned.read(table.name).equals(before)
    assert told(other.to_pyarrow_table().select(before.column_names)) == told(before)
    assert len(pinned.data_files(table.name)) == 3
    assert verify_files(lake).faults == ()
    assert leftovers(lake) == []
    assert uncompacted(lake, table.name, version + 1) == version


def test_the_numbers_are_the_same_bits(lake: Lake) -> None:
    awkward = [math.nan, math.inf, -math.inf, 5e-324, 1 / 3, 1e300, None]
    with Committer(lake, "test") as committer:
        for i, value in enumerate(awkward):
            rows = rows_of("actual_pnl", [i])
            at = rows.schema.get_field_index("pnl")
            committer.put("actual_pnl", rows.set_column(at, rows.schema.field(at), pa.array([value], pa.float64())))
        compact(committer, "actual_pnl")
    assert len(lake.data_files("actual_pnl")) == 1
    found = lake.read("actual_pnl").sort_by("pnl_date")["pnl"].to_pylist()
    assert list(map(repr, found)) == list(map(repr, awkward))
    seen = pl.read_delta(str(lake.path / "actual_pnl")).sort("pnl_date")["pnl"].to_list()
    assert list(map(repr, seen)) == list(map(repr, awkward))


def test_a_file_that_is_large_stays_and_the_others_fill_up_to_the_limit(lake: Lake) -> None:
    put_small(lake, TABLES["contracts"], 7)
    sizes = sorted(f.stat().st_size for f in lake.data_files("contracts"))
    groups = compactable(lake, "contracts", largest=3 * sizes[-1])
    assert [len(paths) for _, paths, _ in groups] == [3, 3]
    assert compactable(lake, "contracts", largest=sizes[0] - 1) == []
    with Committer(lake, "test") as committer:
        assert compact(committer, "contracts", largest=3 * sizes[-1]).into == 2
    assert len(lake.data_files("contracts")) == 3
    assert lake.count("contracts") == 21


def test_killed_before_its_commit_it_leaves_the_table_as_it_was(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put_small(lake, TABLES["contracts"])
    before = lake.read("contracts")
    with Committer(lake, "test") as committer:
        with monkeypatch.context() as patch:
            patch.setattr(Committer, "exchange", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                compact(committer, "contracts")
        assert lake.read("contracts").equals(before)
        assert compact(committer, "contracts").into == 1
    assert leftovers(lake) == []


def test_a_damaged_file_is_not_made_into_a_sound_one(lake: Lake) -> None:
    put_small(lake, TABLES["contracts"])
    path = lake.data_files("contracts")[2]
    path.write_bytes(path.read_bytes()[::-1])
    version = lake.version("contracts")
    with Committer(lake, "test") as committer, pytest.raises(Exception, match=path.name):
        compact(committer, "contracts")
    assert lake.version("contracts") == version


def test_rows_that_came_after_a_compaction_are_another_version(lake: Lake) -> None:
    put_small(lake, TABLES["contracts"])
    with Committer(lake, "test") as committer:
        compact(committer, "contracts")
        committer.put("contracts", rows_of("contracts", [100]))
    newest = lake.version("contracts")
    assert uncompacted(lake, "contracts", newest) == newest
    assert lake.log("contracts").notes(newest - 1)[COMPACTS] == "5"


def test_a_file_of_before_a_column_was_added_has_nulls_there(lake: Lake) -> None:
    """As in a lake that was made before the table had the column."""
    put_small(lake, TABLES["valuation_sets"], 2)
    older = lake.data_files("valuation_sets")[0]
    rows = rows_of("valuation_sets", [50]).drop_columns(["unmoved"])
    import pyarrow.parquet as pq

    from lake.canonical import digest

    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    data = memoryview(sink.getvalue())
    (older.parent / f"{digest(data)}.parquet").write_bytes(data)
    file = write_data_file(lake.path, "valuation_sets", rows_of("valuation_sets", [51]))
    short = type(file)(file.table, f"{digest(data)}.parquet", len(data), 1, (), '{"numRecords": 1}')
    with Committer(lake, "test") as committer:
        committer.commit("valuation_sets", [file, short])
        assert compact(committer, "valuation_sets").files == 4
    assert lake.read("valuation_sets")["unmoved"].null_count == 1
