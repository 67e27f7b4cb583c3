"""The schemas, the pinned reads and the one committer: atomic, durable, idempotent, alone."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from lake.committer import Committer, split
from lake.errors import BadInput, Conflict, DiskFailed, NotFound
from lake.schemas import DIMENSION_COLUMNS, TABLES
from lake.storage import DataFile, write_data_file
from lake.tables import NEVER_WRITTEN, Lake

MONDAY, TUESDAY = dt.date(2020, 3, 16), dt.date(2020, 3, 17)


def value_of(kind: pa.DataType, i: int) -> Any:
    """The i-th value of a column of this type."""
    if pa.types.is_string(kind):
        return f"text {i}"
    if pa.types.is_boolean(kind):
        return i % 2 == 0
    if pa.types.is_floating(kind):
        return i + 0.1
    if pa.types.is_integer(kind):
        return i
    if pa.types.is_date(kind):
        return MONDAY + dt.timedelta(days=i)
    if pa.types.is_timestamp(kind):
        return dt.datetime(2020, 3, 16, 12, 0, i, 7, tzinfo=dt.UTC)
    if pa.types.is_map(kind):
        return [("k", value_of(kind.item_type, i)), ("other", value_of(kind.item_type, 1))]
    if pa.types.is_list(kind):
        return [value_of(kind.value_type, j) for j in range(i)]
    raise AssertionError(f"no values of {kind}: the tables hold plain types only")


def rows_of(name: str, indices: Sequence[int], partition: Any = None) -> pa.Table:
    """Rows of a table, all of them in one partition when it is given."""
    definition = TABLES[name]
    columns = {
        f.name: [
            partition if partition is not None and f.name in definition.partition_by else value_of(f.type, i)
            for i in indices
        ]
        for f in definition.schema
    }
    return pa.table(columns, schema=definition.schema)


def positions(day: dt.date, *trades: str, quantity: float = 1.0) -> pa.Table:
    rows = rows_of("positions", range(len(trades)), day)
    for column, values in (("trade", list(trades)), ("quantity", [quantity] * len(trades))):
        field = rows.schema.field(column)
        rows = rows.set_column(rows.column_names.index(column), field, pa.array(values, field.type))
    return rows


def trades(source: Any) -> list[tuple[dt.date, str]]:
    rows = source.read("positions", ["positions_date", "trade"])
    return sorted(zip(rows["positions_date"].to_pylist(), rows["trade"].to_pylist(), strict=True))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def synced(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced from now on, in order, by its path in the lake."""
    events: list[str] = []
    fsync = os.fsync

    def recorded(fd: int) -> None:
        events.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), lake.path))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", recorded)
    return events


def killed(program: str, lake: Lake) -> None:
    """Runs a program that kills itself with SIGKILL; `lake` and this module's row makers are at its hand."""
    head = (
        "import os, signal, sys, datetime as dt\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from lake import committer\nfrom lake.committer import Committer\nfrom lake.tables import Lake\n"
        "from test_tables import positions, rows_of, MONDAY, TUESDAY\n"
        "def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)\n"
        "lake = Lake.open(sys.argv[1])\n"
    )
    ran = subprocess.run([sys.executable, "-c", head + program, lake.path], timeout=60)
    assert ran.returncode == -signal.SIGKILL


class TestSchemas:
    @pytest.mark.parametrize("name", TABLES)
    def test_every_column_has_a_meaning_and_keys_and_partitions_are_columns(self, name: str) -> None:
        table = TABLES[name]
        names = [c.name for c in table.columns]
        assert table.name == name
        assert len(set(names)) == len(names)
        assert table.key
        assert {*table.key, *table.partition_by} <= set(names)
        assert len(table.partition_by) <= 1, "split() knows one partition column"
        for column in table.columns:
            assert len(column.meaning.split()) >= 2, f"{column.name} needs a meaning"
        assert [f.name for f in table.file_schema] == [n for n in names if n not in table.partition_by]

    @pytest.mark.parametrize("name", TABLES)
    def test_no_column_that_may_be_null_has_bounds(self, name: str) -> None:
        table = TABLES[name]
        nullable = {c.name for c in table.columns if re.search(r"\bnull\b", c.meaning)}
        assert not nullable & set(table.bounded)
        assert set(table.nullable_key) <= nullable & set(table.key)

    @pytest.mark.parametrize("name", TABLES)
    def test_lists_have_the_child_element_and_instants_are_utc(self, name: str) -> None:
        for field in TABLES[name].schema:
            if pa.types.is_list(field.type):
                assert field.type.value_field.name == "element"
            if pa.types.is_timestamp(field.type):
                assert (field.type.tz, field.type.unit) == ("UTC", "us")

    def test_positions_hold_the_nine_dimensions(self) -> None:
        assert len(DIMENSION_COLUMNS) == 9
        assert set(DIMENSION_COLUMNS) <= set(TABLES["positions"].schema.names)

    @pytest.mark.parametrize("name", TABLES)
    def test_what_is_put_is_read_in_every_table(self, lake: Lake, name: str) -> None:
        rows = rows_of(name, range(3))
        with Committer(lake, "test") as writer:
            version = writer.put(name, rows)
        assert lake.version(name) == version
        got = lake.read(name).sort_by([(k, "ascending") for k in TABLES[name].key])
        assert got.schema.equals(TABLES[name].schema, check_metadata=True)
        assert got.to_pylist() == rows.to_pylist()
        assert lake.count(name) == 3
        assert len(lake.data_files(name)) == (3 if TABLES[name].partition_by else 1)

    @pytest.mark.parametrize("name", TABLES)
    def test_nulls_come_back_as_nulls(self, lake: Lake, name: str) -> None:
        definition = TABLES[name]
        rows = rows_of(name, [0])
        for column in set(definition.schema.names) - {*definition.key, *definition.partition_by}:
            place = rows.column_names.index(column)
            rows = rows.set_column(place, rows.schema.field(place), pa.nulls(1, rows.schema.field(place).type))
        with Committer(lake, "test") as writer:
            writer.put(name, rows)
        assert lake.read(name).to_pylist() == rows.to_pylist()

    @pytest.mark.parametrize("name", TABLES)
    def test_every_reader_may_read_it(self, lake: Lake, name: str) -> None:
        with Committer(lake, "test") as writer:
            writer.put(name, rows_of(name, [1]))
        table = DeltaTable(str(lake.path / name))
        protocol = table.protocol()
        assert protocol.min_reader_version == 1
        assert not protocol.reader_features
        configuration = table.metadata().configuration
        assert "delta.columnMapping.mode" not in configuration
        assert configuration.get("delta.enableDeletionVectors", "false") == "false"
        assert table.metadata().partition_columns == list(TABLES[name].partition_by)


class TestReading:
    def test_a_table_never_written_is_empty_with_its_columns(self, lake: Lake) -> None:
        assert lake.version("positions") == NEVER_WRITTEN
        empty = lake.read("positions")
        assert empty.schema.equals(TABLES["positions"].schema)
        assert empty.num_rows == lake.count("positions") == 0
        assert lake.read("positions", ["trade"]).column_names == ["trade"]
        assert lake.data_files("positions") == []
        assert lake.bounds("positions", "positions_date") == (None, None)
        assert lake.snapshot().read("positions").num_rows == 0

    def test_a_table_written_and_emptied_is_empty(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("contracts", rows_of("contracts", [1, 2]))
            writer.put("contracts", rows_of("contracts", []), replace=True)
        assert lake.read("contracts").num_rows == lake.count("contracts") == 0
        assert lake.data_files("contracts") == []

    def test_columns_and_a_filter(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("positions", pa.concat_tables([positions(MONDAY, "a", "b"), positions(TUESDAY, "c")]))
        got = lake.read("positions", ["trade"], ds.field("positions_date") == TUESDAY)
        assert got.to_pylist() == [{"trade": "c"}]
        assert lake.bounds("positions", "positions_date") == (MONDAY, TUESDAY)

    def test_data_files_of_a_date(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("positions", pa.concat_tables([positions(MONDAY, "a"), positions(TUESDAY, "b")]))
        (path,) = lake.data_files("positions", {"positions_date": [TUESDAY]})
        assert path.parent.name == "positions_date=2020-03-17"
        assert path.is_file()
        assert lake.data_files("positions", {"positions_date": [dt.date(2020, 3, 18)]}) == []

    @pytest.mark.parametrize("among", [None, {"trade": ["a"]}])
    def test_no_thread_of_arrow_needs_the_interpreter(
        self, lake: Lake, among: dict[str, list[str]] | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Files and buffers of Python in Arrow's threads abort a process that ends just after a read: one in ten did."""

        def of_python(*_: object) -> None:
            raise AssertionError("a data file is read through Python")

        monkeypatch.setattr(DeltaStorageHandler, "open_input_file", of_python)
        with Committer(lake, "test") as writer:
            writer.put("positions", positions(MONDAY, "a"))
        assert lake.read("positions", ["trade"], among=among).to_pylist() == [{"trade": "a"}]

    def test_an_unknown_table_names_the_nearest(self, lake: Lake) -> None:
        with pytest.raises(BadInput, match="Nearest valid: positions"):
            lake.read("position")

    def test_a_snapshot_keeps_reading_the_old_rows(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("positions", positions(MONDAY, "a", "b"))
            before = lake.snapshot()
            writer.put("positions", positions(MONDAY, "c"), replace=True)
            writer.put("positions", positions(TUESDAY, "d"))
        assert trades(before) == [(MONDAY, "a"), (MONDAY, "b")]
        assert len(before.data_files("positions")) == 1
        assert all(p.is_file() for p in before.data_files("positions"))
        assert trades(lake.snapshot("positions")) == [(MONDAY, "c"), (TUESDAY, "d")]

    @pytest.mark.parametrize("names", [(), ("valuation_members", "valuation_sets")])
    def test_a_snapshot_that_sees_a_seal_sees_what_it_seals(self, lake: Lake, names: tuple[str, ...]) -> None:
        class Overtaken(Lake):
            """Somebody commits members and then their seal between the pinning of the two tables."""

            committed = False

            def version(self, name: str) -> int:
                version = super().version(name)
                if name.startswith("valuation_") and name != "valuation_failures" and not self.committed:
                    self.committed = True
                    with Committer(Lake(self.path), "other") as writer:
                        writer.put("valuation_members", rows_of("valuation_members", [1]))
                        writer.put("valuation_sets", rows_of("valuation_sets", [1]))
                return version

        snapshot = Overtaken(lake.path).snapshot(*names)
        assert snapshot.read("valuation_sets").num_rows == 0
        assert snapshot.read("valuation_members").num_rows == 1


class TestPartitions:
    @pytest.mark.parametrize(
        "odd",
        [
            "a/b",
            "a b",
            "ü é",
            "50%",
            "a%2Fb",
            "a=b",
            "a:b",
            "x#y?z&w+v",
            "it's",
            'q"r',
            "a\\b",
            "..",
            "tab\there",
            "*{}",
        ],
    )
    def test_odd_characters(self, tmp_path: Path, odd: str) -> None:
        lake = Lake.create(tmp_path / "my läke #1 %")
        with Committer(lake, "test") as writer:
            writer.put("risk_factors", rows_of("risk_factors", [1], "plain"))
            writer.put("risk_factors", rows_of("risk_factors", [2], odd))
            writer.put("risk_factors", rows_of("risk_factors", [3, 4], odd), replace=True)
        rows = lake.read("risk_factors", ["risk_factor_id"], ds.field("source") == odd)
        assert sorted(rows["risk_factor_id"].to_pylist()) == ["text 3", "text 4"]
        assert sorted(pc.unique(lake.read("risk_factors")["source"]).to_pylist()) == sorted(["plain", odd])
        (path,) = lake.data_files("risk_factors", {"source": [odd]})
        assert path.is_file()
        assert path.parent.parent == lake.path / "risk_factors"

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_rows_without_a_partition_value_are_refused_and_nothing_is_stored(
        self, lake: Lake, nothing: str | None
    ) -> None:
        rows = rows_of("risk_factors", [1, 2])
        place = rows.column_names.index("source")
        rows = rows.set_column(place, rows.schema.field(place), pa.array(["plain", nothing], pa.string()))
        with Committer(lake, "test") as writer, pytest.raises(BadInput, match="every row needs a value"):
            writer.put("risk_factors", rows)
        assert lake.version("risk_factors") == NEVER_WRITTEN

    def test_split_loses_no_row_and_orders_the_values(self) -> None:
        rows = pa.concat_tables([positions(TUESDAY, "b"), positions(MONDAY, "a"), positions(TUESDAY, "c")])
        parts = split(rows, ("positions_date",))
        assert [(p["positions_date"], t["trade"].to_pylist()) for p, t in parts] == [
            (MONDAY, ["a"]),
            (TUESDAY, ["b", "c"]),
        ]


class TestCommitting:
    def test_the_same_rows_twice_make_no_new_version(self, lake: Lake) -> None:
        rows = positions(MONDAY, "a", "b")
        with Committer(lake, "test") as writer:
            first = writer.put("positions", rows)
            assert writer.put("positions", rows) == first
            assert writer.put("positions", rows, replace=True) == first
        assert lake.count("positions") == 2

    def test_a_retried_task_does_not_double_rows(self, lake: Lake) -> None:
        rows = rows_of("pnl_vectors", range(5), MONDAY)
        with Committer(lake, "test") as writer:
            files = [write_data_file(lake.path, "pnl_vectors", rows, {"valuation_date": MONDAY}) for _ in range(2)]
            first = writer.commit("pnl_vectors", files)
            late = write_data_file(lake.path, "pnl_vectors", rows, {"valuation_date": MONDAY})
            assert writer.commit("pnl_vectors", [late]) == first
        assert lake.count("pnl_vectors") == lake.read("pnl_vectors").num_rows == 5

    def test_several_files_are_one_version(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("pnl_vectors", rows_of("pnl_vectors", [0], MONDAY))
            before = lake.version("pnl_vectors")
            files = [
                write_data_file(lake.path, "pnl_vectors", rows_of("pnl_vectors", [i], MONDAY), {"valuation_date": d})
                for i, d in ((1, MONDAY), (2, MONDAY), (3, TUESDAY))
            ]
            assert writer.commit("pnl_vectors", files) == before + 1
        assert lake.count("pnl_vectors") == 4

    def test_replace_touches_only_the_partitions_of_the_rows(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("positions", pa.concat_tables([positions(MONDAY, "a", "b"), positions(TUESDAY, "c")]))
            writer.put("positions", positions(MONDAY, "x"), replace=True)
        assert trades(lake) == [(MONDAY, "x"), (TUESDAY, "c")]

    def test_replace_with_a_partition_that_stays_as_it_was(self, lake: Lake) -> None:
        amended = pa.concat_tables([positions(MONDAY, "a"), positions(TUESDAY, "y")])
        with Committer(lake, "test") as writer:
            writer.put("positions", pa.concat_tables([positions(MONDAY, "a"), positions(TUESDAY, "b")]))
            version = writer.put("positions", amended, replace=True)
            assert trades(lake) == [(MONDAY, "a"), (TUESDAY, "y")]
            assert writer.put("positions", amended, replace=True) == version
            assert writer.put("positions", positions(MONDAY, "a")) == version
        assert trades(lake) == [(MONDAY, "a"), (TUESDAY, "y")]
        log = (lake.path / "positions" / "_delta_log" / f"{version:020}.json").read_text().splitlines()
        added, removed = ({a[k]["path"] for a in map(json.loads, log) if k in a} for k in ("add", "remove"))
        assert len(added) == len(removed) == 2
        assert not added & removed, "what the same path on both sides would mean is undefined"

    def test_replace_without_rows_changes_no_partition(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            version = writer.put("positions", positions(MONDAY, "a"))
            assert writer.put("positions", positions(MONDAY), replace=True) == version
            assert writer.commit("positions", [], replace=True) == version
        assert lake.count("positions") == 1

    def test_replace_of_an_unpartitioned_table_replaces_all(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("contracts", rows_of("contracts", [1, 2]))
            writer.put("contracts", rows_of("contracts", [3]))
            writer.put("contracts", rows_of("contracts", [4]), replace=True)
        assert lake.read("contracts")["contract_id"].to_pylist() == ["text 4"]

    def test_a_commit_says_who_made_it(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("contracts", rows_of("contracts", [1]), note={"file": "book.csv"})
            run_id = writer.run_id
        (last,) = DeltaTable(str(lake.path / "contracts")).history(1)
        assert (last["run_id"], last["file"]) == (run_id, "book.csv")

    def test_a_file_that_is_not_in_the_lake_is_refused(self, lake: Lake, tmp_path: Path) -> None:
        elsewhere = write_data_file(
            tmp_path / "other", "pnl_vectors", rows_of("pnl_vectors", [1], MONDAY), {"valuation_date": MONDAY}
        )
        with Committer(lake, "test") as writer:
            version = writer.put("pnl_vectors", rows_of("pnl_vectors", [2], MONDAY))
            with pytest.raises(NotFound, match=r"1 of 1 files .* nothing was committed"):
                writer.commit("pnl_vectors", [elsewhere])
        assert lake.version("pnl_vectors") == version

    def test_a_commit_outside_of_the_with_statement_is_refused(self, lake: Lake) -> None:
        with pytest.raises(AssertionError):
            Committer(lake, "test").put("contracts", rows_of("contracts", [1]))


class TestDurability:
    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to name what is synced")
    def test_files_are_durable_before_the_commit_and_the_commit_before_the_return(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        events = synced(lake, monkeypatch)
        transact = DeltaTable.create_write_transaction

        def recorded_transact(self: DeltaTable, *args: Any, **kwargs: Any) -> None:
            events.append("commit")
            transact(self, *args, **kwargs)

        monkeypatch.setattr(DeltaTable, "create_write_transaction", recorded_transact)
        with Committer(lake, "test") as writer:
            writer.put("positions", positions(MONDAY, "a"))
        (path,) = lake.data_files("positions")
        folder = str(path.parent.relative_to(lake.path))
        before, after = events[: events.index("commit")], events[events.index("commit") + 1 :]
        temporary = next(i for i, e in enumerate(before) if e.startswith(f"{folder}/.tmp-"))
        assert folder in before[temporary + 1 :], "the name is durable after the content and before the commit"
        assert {"positions", "."} <= set(before), "so is every new folder"
        assert {"positions", "positions/_delta_log"} <= set(after)
        log = [f"positions/_delta_log/{v:020}.json" for v in range(lake.version("positions") + 1)]
        assert set(log) <= set(after)
        assert after.index("positions/_delta_log") > after.index(log[-1])

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to name what is synced")
    def test_what_a_killed_writer_left_unsynced_is_synced_before_it_is_acknowledged(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The re-run commits nothing, since the rows are there; it says that they are stored all the same."""
        killed(
            "commit = committer.DeltaTable.create_write_transaction\n"
            "def then_die(*a, **k): commit(*a, **k); die()\n"
            "committer.DeltaTable.create_write_transaction = then_die\n"
            "with Committer(lake, 'doomed') as writer: writer.put('positions', positions(MONDAY, 'a'))\n",
            lake,
        )
        log = lake.path / "positions" / "_delta_log"
        for old in log.glob("*0.json"):
            os.utime(old, (4e9, 4e9))  # whatever the clock said
        events = synced(lake, monkeypatch)
        with Committer(lake, "test") as writer:
            assert writer.put("positions", positions(MONDAY, "a")) == 1
        entries = [f"positions/_delta_log/{v:020}.json" for v in (0, 1)]
        assert {*entries, "positions", "."} <= set(events)
        assert events.index("positions/_delta_log") > max(map(events.index, entries))
        events.clear()
        with Committer(lake, "test") as writer:
            writer.put("positions", positions(MONDAY, "a"))
        assert not set(entries) & set(events), "what is durable is not synced again"

    def test_killed_between_files_and_commit_the_old_version_stays(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("positions", positions(MONDAY, "old"))
        killed(
            "committer.DeltaTable.create_write_transaction = die\n"
            "with Committer(lake, 'doomed') as writer: writer.put('positions', positions(MONDAY, 'new'), replace=True)\n",
            lake,
        )
        assert trades(lake) == [(MONDAY, "old")]
        folder = lake.path / "positions" / "positions_date=2020-03-16"
        assert len(list(folder.glob("*.parquet"))) == 2, "the orphan is there"
        with Committer(lake, "test") as writer:
            writer.put("positions", positions(MONDAY, "new"), replace=True)
        assert trades(lake) == [(MONDAY, "new")]

    @pytest.mark.parametrize(
        "moment",
        [
            "committer.DeltaTable.create = die",
            "committer.active_files = die",
            "committer.DeltaTable.create_write_transaction = die",
        ],
    )
    def test_killed_in_the_first_commit_of_a_table(self, lake: Lake, moment: str) -> None:
        killed(
            f"{moment}\nwith Committer(lake, 'doomed') as writer: writer.put('contracts', rows_of('contracts', [1]))",
            lake,
        )
        assert lake.read("contracts").num_rows == 0
        with Committer(lake, "test") as writer:
            writer.put("contracts", rows_of("contracts", [1]))
        assert lake.count("contracts") == 1

    def test_a_log_without_an_entry_is_a_table_never_written(self, lake: Lake) -> None:
        (lake.path / "contracts" / "_delta_log").mkdir(parents=True)
        assert lake.version("contracts") == NEVER_WRITTEN
        with Committer(lake, "test") as writer:
            writer.put("contracts", rows_of("contracts", [1]))
        assert lake.count("contracts") == 1


class TestOneWriter:
    def test_a_second_writer_is_refused_and_told_who_holds_the_lake(self, lake: Lake) -> None:
        with Committer(lake, "varlake ingest market"):
            for other in (lake, Lake(lake.path)):
                with (
                    pytest.raises(Conflict, match=rf"varlake ingest market \(process {os.getpid()}, since .* UTC\)"),
                    Committer(other, "varlake engine"),
                ):
                    pass
        with Committer(lake, "varlake engine"):
            pass

    def test_another_process_is_refused_too(self, lake: Lake) -> None:
        program = (
            "import sys\nfrom lake.committer import Committer\nfrom lake.errors import Conflict\nfrom lake.tables import Lake\n"
            "try:\n  Committer(Lake.open(sys.argv[1]), 'second').__enter__()\n"
            "except Conflict as error: sys.exit(error.message)\n"
        )
        with Committer(lake, "first"):
            ran = subprocess.run([sys.executable, "-c", program, lake.path], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 1
        assert f"first (process {os.getpid()}" in ran.stderr

    def test_who_writes_is_told_without_being_in_the_way(self, lake: Lake) -> None:
        assert lake.written_by() is None
        with Committer(lake, "varlake engine"):
            assert (lake.written_by() or "").startswith(f"varlake engine (process {os.getpid()}")
        assert lake.written_by() is None
        with Committer(lake, "next"):
            pass

    def test_reading_goes_on_while_a_writer_holds_the_lake(self, lake: Lake) -> None:
        with Committer(lake, "test") as writer:
            writer.put("contracts", rows_of("contracts", [1]))
            assert Lake.open(lake.path).count("contracts") == 1

    def test_deleting_the_files_of_the_lock_lets_no_second_writer_in(self, lake: Lake) -> None:
        with Committer(lake, "first"):
            lake.writer.unlink()
            with pytest.raises(Conflict, match="is being written by another process"), Committer(lake, "second"):
                pass
            lake.marker.rename(lake.state / "aside.json")
            with pytest.raises(NotFound):
                Lake.open(lake.path)
            with pytest.raises(BadInput, match="holds other files"):
                Lake.create(lake.path)
            (lake.state / "aside.json").rename(lake.marker)

    def test_a_writer_whose_lock_was_swapped_commits_nothing(self, lake: Lake) -> None:
        with Committer(lake, "first") as writer:
            version = writer.put("contracts", rows_of("contracts", [1]))
            held = lake.marker.read_bytes()
            lake.marker.unlink()
            with pytest.raises(Conflict, match="was deleted or replaced while first held the lake"):
                writer.put("contracts", rows_of("contracts", [2]))
            lake.marker.write_bytes(held)
            with Committer(lake, "second") as second:
                with pytest.raises(Conflict, match="another writer may"):
                    writer.put("contracts", rows_of("contracts", [2]))
                assert second.put("contracts", rows_of("contracts", [3])) == version + 1

    def test_a_killed_writer_gives_the_lake_free(self, lake: Lake) -> None:
        killed("writer = Committer(lake, 'doomed').__enter__(); die()", lake)
        with Committer(lake, "next") as writer:
            writer.put("contracts", rows_of("contracts", [1]))
        assert lake.count("contracts") == 1

    def test_concurrent_readers_see_whole_versions_only(self, lake: Lake) -> None:
        """Every version holds each trade with one and the same quantity; a torn read would show two."""
        names = [f"t{i}" for i in range(50)]
        done = threading.Event()
        seen: list[set[float]] = []
        failures: list[Exception] = []

        def read() -> None:
            try:
                while not done.is_set():
                    rows = lake.read("positions", ["quantity"])
                    assert rows.num_rows == 50
                    seen.append(set(rows["quantity"].to_pylist()))
            except Exception as error:
                failures.append(error)

        with Committer(lake, "test") as writer:
            writer.put("positions", positions(MONDAY, *names, quantity=0.0))
            readers = [threading.Thread(target=read) for _ in range(3)]
            for reader in readers:
                reader.start()
            for version in range(1, 16):
                writer.put("positions", positions(MONDAY, *names, quantity=float(version)), replace=True)
            done.set()
            for reader in readers:
                reader.join()
        assert failures == []
        assert seen
        assert all(len(quantities) == 1 for quantities in seen)


class TestTheFolder:
    def test_create_opens_what_is_there(self, lake: Lake) -> None:
        assert Lake.create(lake.path).path == Lake.open(lake.path).path == lake.path
        assert json.loads((lake.state / "lake.json").read_text()) == {"format": 1}

    def test_a_folder_that_is_no_lake(self, tmp_path: Path) -> None:
        (tmp_path / "something").write_text("else")
        with pytest.raises(BadInput, match="not a lake"):
            Lake.create(tmp_path)
        with pytest.raises(NotFound, match="varlake ingest market"):
            Lake.open(tmp_path / "nowhere")

    def test_a_path_that_is_no_folder_of_this_machine(self) -> None:
        with pytest.raises(BadInput, match="s3://bucket/lake"):
            Lake.create("s3://bucket/lake")

    def test_a_data_file_says_where_it_is(self, lake: Lake) -> None:
        file = write_data_file(lake.path, "positions", positions(MONDAY, "a"), {"positions_date": MONDAY})
        assert isinstance(file, DataFile)
        assert (file.table, file.rows, file.partition) == ("positions", 1, (("positions_date", "2020-03-16"),))
        assert (lake.path / "positions" / file.path).stat().st_size == file.size


def test_an_entry_that_cannot_be_read_is_never_taken_for_one_that_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is whole, and was committed a moment ago: removed, the commit would be lost and told as done."""
    lake = Lake.create(tmp_path / "lake")
    read = Path.read_text

    def fails(path: Path, *args: Any, **more: Any) -> str:
        if path.name == f"{0:020}.json":
            raise OSError(errno.EIO, "Input/output error")
        return read(path, *args, **more)

    with Committer(lake, "test") as committer:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", fails)
            with pytest.raises(DiskFailed, match=r"contracts/_delta_log/0+\.json"):
                committer.put("contracts", rows_of("contracts", [1, 2]))
            with pytest.raises(DiskFailed):
                Lake(lake.path).version("contracts")
        assert (lake.path / "contracts" / "_delta_log" / f"{0:020}.json").is_file()
    with Committer(lake, "test"):
        assert lake.count("contracts") == 2
