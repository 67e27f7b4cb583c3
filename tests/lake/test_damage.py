"""Damaged files: whatever byte is flipped, the rows are the right ones or the error names the file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable
from test_tables import MONDAY, TUESDAY, positions, rows_of

from lake.committer import Committer
from lake.errors import Damaged, NotFound
from lake.tables import Lake, _opened


def flips(path: Path, most: int = 60) -> Iterator[int]:
    """One bit of the file is another at a time, at fixed places over all of it; the place."""
    sound = path.read_bytes()
    try:
        for place in range(0, len(sound), max(1, len(sound) // most)):
            spoilt = bytearray(sound)
            spoilt[place] ^= 1 << place % 8
            path.write_bytes(spoilt)
            _opened.clear()
            yield place
    finally:
        path.write_bytes(sound)
        _opened.clear()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Positions of two days, replaced and appended to, and a table with a checkpoint and entries after it."""
    lake = Lake.create(tmp_path_factory.mktemp("damage") / "lake")
    with Committer(lake, "test") as writer:
        writer.put("positions", positions(MONDAY, "a", "b", quantity=2.0))
        writer.put("positions", positions(TUESDAY, "c"))
        writer.put("positions", positions(MONDAY, "a", "d", quantity=3.0), replace=True)
        for i in range(102):
            writer.put("contracts", rows_of("contracts", [i]))
    return lake.path


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Lake:
    shutil.copytree(made, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def checkpoint(lake: Lake) -> Path:
    (path,) = (lake.path / "contracts" / "_delta_log").glob("*.checkpoint.parquet")
    return path


def all_rows(lake: Lake, name: str) -> list[str]:
    return sorted(map(str, lake.read(name).to_pylist()))


@pytest.mark.slow
def test_flips_in_data_files_are_named_or_not_read(lake: Lake) -> None:
    whole = all_rows(lake, "positions")
    tuesday = lake.read("positions", among={"positions_date": [TUESDAY]})
    (path,) = lake.data_files("positions", {"positions_date": [MONDAY]})
    for place in flips(path):
        with pytest.raises(Damaged, match=path.name):
            lake.read("positions", ["quantity"])
        assert lake.read("positions", among={"positions_date": [TUESDAY]}) == tuesday, place
    assert all_rows(lake, "positions") == whole


@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_data_file_that_is_short_or_gone_is_named(lake: Lake, damage: str) -> None:
    (path,) = lake.data_files("positions", {"positions_date": [MONDAY]})
    path.unlink() if damage == "gone" else os.truncate(path, 100 if damage == "cut" else 0)
    with pytest.raises(Damaged, match=path.name):
        lake.read("positions")


def test_rows_brought_in_again_mend_their_file(lake: Lake) -> None:
    whole = all_rows(lake, "positions")
    (path,) = lake.data_files("positions", {"positions_date": [TUESDAY]})
    os.truncate(path, 100)
    with Committer(lake, "test") as writer:
        writer.put("positions", positions(TUESDAY, "c"))
    assert all_rows(lake, "positions") == whole


def test_flips_in_the_log_are_named(lake: Lake) -> None:
    whole = all_rows(lake, "positions")
    for version in range(lake.version("positions") + 1):
        path = lake.path / "positions" / "_delta_log" / f"{version:020}.json"
        for _ in flips(path):
            with pytest.raises(Damaged, match=path.name):
                lake.read("positions")
    assert all_rows(lake, "positions") == whole


def test_a_log_file_that_went_away_is_named(lake: Lake) -> None:
    newest = lake.path / "positions" / "_delta_log" / f"{lake.version('positions'):020}.json"
    newest.unlink()
    _opened.clear()
    with pytest.raises(Damaged, match=newest.name):
        lake.read("positions")


def test_flips_in_the_record_of_the_log_are_named(lake: Lake) -> None:
    whole = all_rows(lake, "positions")
    record = lake.log("positions").record
    for _ in flips(record):
        with pytest.raises(Damaged, match=r"positions\.json, which holds the digests of the log"):
            lake.read("positions")
    record.unlink()
    with Committer(lake, "test"):
        assert record.exists()
    assert all_rows(lake, "positions") == whole


@pytest.mark.parametrize("name", ["checkpoint", "_last_checkpoint"])
def test_a_table_with_a_damaged_checkpoint_is_read_from_its_log(lake: Lake, name: str) -> None:
    whole = all_rows(lake, "contracts")
    path = checkpoint(lake) if name == "checkpoint" else checkpoint(lake).parent / name
    for place in flips(path, 12):
        assert lake.version("contracts") == 102
        assert all_rows(lake, "contracts") == whole, place
        assert lake.read("contracts", version=100).num_rows == 100
    path.unlink()
    _opened.clear()
    assert all_rows(lake, "contracts") == whole


def test_a_writer_removes_a_damaged_checkpoint_and_commits(lake: Lake) -> None:
    path = checkpoint(lake)
    os.truncate(path, path.stat().st_size // 2)
    with Committer(lake, "test") as writer:
        assert writer.put("contracts", rows_of("contracts", [200])) == 103
    assert not path.exists()
    _opened.clear()
    assert lake.read("contracts").num_rows == 103


def test_a_checkpoint_that_is_damaged_while_the_writer_is_in(lake: Lake) -> None:
    with Committer(lake, "test") as writer:
        path = checkpoint(lake)
        os.truncate(path, path.stat().st_size // 2)
        assert writer.put("contracts", rows_of("contracts", [200])) == 103
    _opened.clear()
    assert lake.read("contracts").num_rows == 103


def test_a_damaged_log_below_a_sound_checkpoint_is_not_needed(lake: Lake) -> None:
    whole = all_rows(lake, "contracts")
    old = lake.path / "contracts" / "_delta_log" / f"{7:020}.json"
    for _ in flips(old, 3):
        assert all_rows(lake, "contracts") == whole
        with pytest.raises(Damaged, match=old.name):
            lake.read("contracts", version=50)


def test_nothing_is_written_where_the_newest_entry_below_a_checkpoint_is_damaged(lake: Lake) -> None:
    with Committer(lake, "test") as writer:
        writer.checkpoint("positions")
    newest = lake.version("positions")
    entry = lake.path / "positions" / "_delta_log" / f"{newest:020}.json"
    for _ in flips(entry, 5):
        assert all_rows(lake, "positions")  # who reads needs the checkpoint alone
        with pytest.raises(Damaged, match=entry.name):
            lake.log("positions").notes(newest)
        with pytest.raises(Damaged, match=entry.name), Committer(lake, "test") as writer:
            writer.put("positions", positions(TUESDAY, "e"))
    with Committer(lake, "test") as writer:
        assert writer.put("positions", positions(TUESDAY, "e")) == newest + 1  # none of the five was committed


def test_a_log_that_was_never_recorded_and_cannot_be_read(lake: Lake) -> None:
    """As a lake of an earlier version, or after a loss of power just before the entry was made durable."""
    shutil.rmtree(lake.log("positions").record.parent)
    newest = lake.path / "positions" / "_delta_log" / f"{lake.version('positions'):020}.json"
    newest.write_bytes(bytes(newest.stat().st_size))
    with pytest.raises(Damaged, match=r"positions/_delta_log cannot be read: [^\n]*Restore") as told:
        lake.read("positions")
    assert "<unknown>" not in str(told.value)


def test_a_version_that_is_not_there_is_no_damage(lake: Lake) -> None:
    with pytest.raises(NotFound, match="has no version 10000000000; its newest is 3"):
        lake.read("positions", version=10**10)


def test_a_checkpoint_that_nothing_is_recorded_of_is_not_trusted(lake: Lake) -> None:
    """As another program writes one: the table is read from its entries, whatever stands in it."""
    before = lake.read("positions").num_rows
    DeltaTable(str(lake.path / "positions")).create_checkpoint()
    (made,) = (lake.path / "positions" / "_delta_log").glob("*.checkpoint.parquet")
    data = bytearray(made.read_bytes())
    data[len(data) // 2] ^= 16
    made.write_bytes(data)
    assert Lake.open(lake.path).read("positions").num_rows == before
