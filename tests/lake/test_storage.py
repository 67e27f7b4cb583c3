"""The file calls of the lake: durable in the right order, whole or absent, named by content."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.errors import BadInput
from lake.schemas import TABLES
from lake.storage import make_folder, partition_text, write_data_file, write_durable

DAY = dt.date(2020, 3, 16)


def vectors(*contracts: str, pnl: tuple[float, ...] = (1.5, -2.0)) -> pa.Table:
    n = len(contracts)
    columns = {
        "contract_id": list(contracts),
        "inputs_digest": ["i"] * n,
        "base_digest": ["b"] * n,
        "currency": ["USD"] * n,
        "base_value": [100.0] * n,
        "pnl": [list(pnl)] * n,
    }
    return pa.table(columns, schema=TABLES["pnl_vectors"].file_schema)


def write(root: Path, rows: pa.Table) -> Path:
    file = write_data_file(root, "pnl_vectors", rows, {"valuation_date": DAY})
    return root / "pnl_vectors" / file.path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, linked and replaced, in order: `sync file`, `link NAME`, `sync folder NAME`."""
    told: list[str] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def recorded_fsync(fd: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        told.append(f"sync folder {path.name}" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file")
        fsync(fd)

    def recorded_link(source: Path, target: Path) -> None:
        told.append(f"link {Path(target).name}")
        link(source, target)

    def recorded_replace(source: Path, target: Path) -> None:
        told.append(f"replace {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "link", recorded_link)
    monkeypatch.setattr(os, "replace", recorded_replace)
    return told


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to name what is synced")
class TestOrder:
    def test_content_is_durable_before_the_name_and_the_name_before_the_return(
        self, tmp_path: Path, calls: list[str]
    ) -> None:
        write_durable(tmp_path / "name", b"content")
        assert calls[1:] == ["sync file", "link name", f"sync folder {tmp_path.name}"]

    def test_a_replaced_file_likewise(self, tmp_path: Path, calls: list[str]) -> None:
        write_durable(tmp_path / "name", b"old")
        calls.clear()
        write_durable(tmp_path / "name", b"new", replace=True)
        assert calls[1:] == ["sync file", "replace name", f"sync folder {tmp_path.name}"]
        assert (tmp_path / "name").read_bytes() == b"new"

    def test_every_new_folder_is_durable_in_its_parent(self, tmp_path: Path, calls: list[str]) -> None:
        make_folder(tmp_path / "a" / "b" / "c")
        assert calls[1:] == [f"sync folder {tmp_path.name}", "sync folder a", "sync folder b"]

    def test_a_folder_that_a_killed_process_made_is_made_durable(self, tmp_path: Path, calls: list[str]) -> None:
        (tmp_path / "a").mkdir()
        write_durable(tmp_path / "a" / "name", b"content")
        assert calls[0] == f"sync folder {tmp_path.name}"


class TestWriteDurable:
    def test_an_existing_file_stays_unless_replaced(self, tmp_path: Path) -> None:
        write_durable(tmp_path / "name", b"old")
        write_durable(tmp_path / "name", b"new")
        assert (tmp_path / "name").read_bytes() == b"old"

    def test_a_failed_write_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(fd: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_durable(tmp_path / "name", b"content")
        assert list(tmp_path.iterdir()) == []

    def test_a_killed_write_leaves_no_file_of_that_name(self, tmp_path: Path) -> None:
        program = (
            "import os, signal, sys\nfrom pathlib import Path\nfrom lake.storage import write_durable\n"
            "os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)\n"
            "write_durable(Path(sys.argv[1]) / 'name', b'content')\n"
        )
        ran = subprocess.run([sys.executable, "-c", program, tmp_path], timeout=60)
        assert ran.returncode == -signal.SIGKILL
        assert not (tmp_path / "name").exists()
        write_durable(tmp_path / "name", b"whole")
        assert (tmp_path / "name").read_bytes() == b"whole"

    def test_the_users_umask_holds(self, tmp_path: Path) -> None:
        before = os.umask(0o077)
        try:
            write_durable(tmp_path / "name", b"secret")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "name").stat().st_mode) == 0o600


class TestDataFile:
    def test_a_file_is_named_by_its_content(self, tmp_path: Path) -> None:
        first, again, other = (write(tmp_path, vectors(c)) for c in ("a", "a", "b"))
        assert first == again != other
        assert sorted(first.parent.iterdir()) == sorted({first, other})

    def test_writing_it_again_leaves_the_first_in_place(self, tmp_path: Path) -> None:
        first = write(tmp_path, vectors("a")).stat()
        assert write(tmp_path, vectors("a")).stat() == first

    def test_how_rows_are_cut_into_chunks_does_not_change_the_content(self, tmp_path: Path) -> None:
        whole = vectors("a", "b", "c")
        chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
        assert write(tmp_path, whole) == write(tmp_path, chunked)

    def test_vectors_stand_plain_and_uncompressed_with_the_child_element(self, tmp_path: Path) -> None:
        path = write(tmp_path, vectors("a", "b"))
        file = pq.ParquetFile(path)
        group = file.metadata.row_group(0)
        columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
        pnl = columns["pnl.list.element"]
        assert pnl.compression == "UNCOMPRESSED"
        assert "PLAIN" in pnl.encodings
        assert not pnl.has_dictionary_page
        assert not any("DICTIONARY" in e or "BYTE_STREAM" in e for e in pnl.encodings)
        assert columns["currency"].compression in ("LZ4", "LZ4_RAW")
        assert "valuation_date" not in file.schema_arrow.names

    def test_statistics_are_those_of_the_file(self, tmp_path: Path) -> None:
        rows = vectors("b", "a", "c")
        rows = rows.set_column(rows.column_names.index("currency"), "currency", pa.array(["USD", None, "EUR"]))
        file = write_data_file(tmp_path, "pnl_vectors", rows, {"valuation_date": DAY})
        told = json.loads(file.stats)
        # DuckDB reads the same file on its own
        least, greatest, nulls, count = duckdb.execute(
            "select min(contract_id), max(contract_id), count(*) - count(contract_id), count(*) from read_parquet(?)",
            [str(tmp_path / "pnl_vectors" / file.path)],
        ).fetchall()[0]
        assert (told["minValues"]["contract_id"], told["maxValues"]["contract_id"]) == (least, greatest)
        assert (told["nullCount"]["contract_id"], told["numRecords"], file.rows) == (nulls, count, count)
        assert told["maxValues"].keys() == {"contract_id", "inputs_digest"}  # those that no reader loses a row by

    def test_long_texts_have_no_bounds_rather_than_wrong_ones(self, tmp_path: Path) -> None:
        file = write_data_file(tmp_path, "pnl_vectors", vectors("x" * 65), {"valuation_date": DAY})
        assert json.loads(file.stats) == {"numRecords": 1}

    @pytest.mark.parametrize("value", [None, ""])
    def test_a_partition_without_a_value_is_refused(self, tmp_path: Path, value: str | None) -> None:
        with pytest.raises(BadInput, match="valuation_date"):
            write_data_file(tmp_path, "pnl_vectors", vectors("a"), {"valuation_date": value})
        assert list(tmp_path.iterdir()) == []

    def test_partition_values_as_the_log_writes_them(self) -> None:
        assert partition_text("c", DAY) == "2020-03-16"
        assert partition_text("c", "a/b") == "a/b"
        assert partition_text("c", 7) == "7"


def test_minus_zero_is_stored_as_zero_in_numbers_and_in_lists_of_them(tmp_path: Path) -> None:
    rows = vectors("a", "b", "c", pnl=(-0.0, -1.5)).slice(1)  # the buffers of a slice begin before it
    rows = rows.set_column(rows.schema.get_field_index("base_value"), "base_value", pa.array([-0.0, 2.0]))
    stored = pq.read_table(write(tmp_path, rows))
    assert [x.hex() for x in stored["base_value"].to_pylist()] == ["0x0.0p+0", "0x1.0000000000000p+1"]
    assert [[x.hex() for x in row] for row in stored["pnl"].to_pylist()] == [["0x0.0p+0", "-0x1.8000000000000p+0"]] * 2


def test_lists_that_are_null_stay_so(tmp_path: Path) -> None:
    schema = TABLES["scenario_sets"].schema
    weights = pa.array([[0.25, -0.0], None, []], schema.field("weights").type)
    table = pa.table([weights if f.name == "weights" else pa.nulls(3, f.type) for f in schema], schema=schema)
    stored = pq.read_table(tmp_path / "scenario_sets" / write_data_file(tmp_path, "scenario_sets", table).path)
    assert str(stored["weights"].to_pylist()) == "[[0.25, 0.0], None, []]"
