"""The order in which `make test` runs the files, and which share a process."""

from __future__ import annotations

from pathlib import Path

from together import FOLDERS, LONG, ON_SPARK, Together, rank


def test_what_is_named_is_there() -> None:
    root = Path(__file__).parents[1]
    assert all((root / file).is_file() for file in LONG)
    assert all((root / folder).is_dir() for folder in FOLDERS)


def test_long_files_go_first_then_folders_that_wait() -> None:
    files = ["tests/test_names.py", "tests/service/test_cli.py", "tests/web/test_ask.py", *reversed(LONG)]
    assert sorted(files, key=rank) == [*LONG, *reversed(files[:3])]


def test_one_process_has_all_that_share_a_spark_session() -> None:
    scheduler = Together.__new__(Together)
    assert len({scheduler._split_scope(f"{file}::test[a::b]") for file in ON_SPARK}) == 1
    assert scheduler._split_scope("tests/web/test_ask.py::test_one[a::b]") == "tests/web/test_ask.py"
