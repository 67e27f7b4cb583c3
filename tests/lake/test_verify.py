"""`varlake lake verify`: every damaged file is listed with what to do, nothing whole is, and seals are held to what they name."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.compute as pc
import pytest
from command_line import answer, varlake
from deltalake import DeltaTable
from small_lake import FRIDAY, MONDAY

from lake.committer import Committer
from lake.tables import Lake
from lake.verify import verify_files
from valuation.sets.soundness import verify_sets
from valuation.sets.store import list_valuation_sets

FLIPPED, GONE = "it has other bytes than were committed", "it is not there"


def flip(path: Path) -> None:
    """One bit in the middle is another."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.unlink()  # the file may have a second name, which stays sound
    path.write_bytes(data)


def places(lake: Lake) -> dict[str, str]:
    return {f.place: f.fault for f in verify_files(lake).faults}


@pytest.fixture
def lake(valued_copy: Lake) -> Lake:
    """Valued on two days, with a file that only an earlier version names, and a checkpoint."""
    with Committer(valued_copy, "test") as committer:
        committer.put("positions", valued_copy.read("positions").slice(1), replace=True)
        DeltaTable(str(valued_copy.path / "positions")).create_checkpoint()
        committer.lake.log("positions").settle()
    return valued_copy


def test_a_whole_lake_has_no_fault_and_all_of_it_was_read(lake: Lake) -> None:
    files = [f for f in lake.path.rglob("*.parquet") if "_delta_log" not in f.parts and "_varlake" not in f.parts]
    told = answer("lake", "verify", lake=lake.path)
    assert told["damaged"] == []
    assert told["files"] == len(files)
    assert told["bytes"] == sum(f.stat().st_size for f in files)
    assert len(lake.data_files("positions")) < len(list((lake.path / "positions").glob("*/*.parquet")))


def test_each_file_that_is_flipped_or_gone_is_listed_and_no_other(lake: Lake) -> None:
    files = [*lake.path.glob("*/*.parquet"), *lake.path.glob("*/*=*/*.parquet"), *lake.path.glob("*/_delta_log/*.json")]
    assert len(files) > 25
    for path in files:
        sound, place = path.read_bytes(), str(path.relative_to(lake.path))
        flip(path)
        assert places(lake) == {place: FLIPPED}
        path.unlink()
        assert places(lake) == {place: GONE}
        path.write_bytes(sound)
    assert places(lake) == {}


def test_a_checkpoint_and_a_record_of_digests(lake: Lake) -> None:
    (checkpoint,) = lake.path.glob("*/_delta_log/*.checkpoint.parquet")
    flip(checkpoint)
    (fault,) = verify_files(lake).faults
    assert fault.place == str(checkpoint.relative_to(lake.path))
    assert fault.advice.startswith("Delete it")
    checkpoint.unlink()
    assert places(lake) == {}
    flip(lake.log("contracts").record)
    (fault,) = verify_files(lake).faults
    assert "_varlake/logs/contracts.json" in fault.fault
    assert (fault.table, "delete it" in fault.fault) == ("contracts", True)


def test_the_command_lists_damage_and_exits_with_3(lake: Lake) -> None:
    (path,) = lake.data_files("contracts")
    os.truncate(path, 100)
    done = varlake("lake", "verify", lake=lake.path)
    assert done.returncode == 3
    assert path.name in done.stdout.replace("\n", "")
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("table", ["valuation_members", "pnl_vectors", "contracts", "scenario_sets"])
def test_seals_are_held_to_what_they_name(valued_copy: Lake, table: str) -> None:
    """Rows that went away by a commit of another tool: every file is sound, and the seals say what is missing."""
    assert verify_sets(valued_copy) == []
    rows = valued_copy.read(table)
    with Committer(valued_copy, "test") as committer:
        if table == "scenario_sets":
            rows = rows.filter(
                pc.not_equal(rows["scenario_set_id"], list_valuation_sets(valued_copy)[0].scenario_set_id)
            )
        committer.put(table, rows.slice(1), replace=True)
    assert verify_files(valued_copy).faults == ()
    told = " ".join(f.fault for f in verify_sets(valued_copy))
    expected = {
        "valuation_members": "members and was sealed with",
        "pnl_vectors": "1 vector of it are not stored",
        "contracts": "1 contract of it are not stored",
        "scenario_sets": "is not stored",
    }
    assert expected[table] in told


def test_vectors_of_another_length_are_told(valued_copy: Lake) -> None:
    rows = valued_copy.read("pnl_vectors")
    short = pc.list_slice(rows["pnl"], 0, 7)
    with Committer(valued_copy, "test") as committer:
        i = rows.schema.get_field_index("pnl")
        committer.put(
            "pnl_vectors", rows.set_column(i, rows.schema.field(i), short.cast(rows["pnl"].type)), replace=True
        )
    told = verify_sets(valued_copy)
    assert {f.place.rpartition(" ")[2] for f in told} == {str(FRIDAY), str(MONDAY)}
    assert all("of it have not 30 scenarios" in f.fault for f in told)
