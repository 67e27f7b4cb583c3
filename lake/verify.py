"""Every file of a lake held to its digest: what is damaged, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.errors import Damaged, NotFound, VarlakeError
from lake.progress import Progress, silent
from lake.schemas import TABLES
from lake.storage import check_anew, check_data_file
from lake.tables import Lake
from lake.workers import one_by_one

RESTORE = "Restore it from a copy of the lake."
FEED_AGAIN = f"{RESTORE} Or bring the same rows in again: the file is then written anew."
AGAIN = "Then verify again: not all data files of the table could be looked at."
CHECKPOINT = "Delete it: the entries of the log tell the same, and a later commit makes another."


@dataclass(frozen=True)
class Fault:
    """Something in a lake that is not as it was committed. place : a file, relative to the lake, or what it names."""

    table: str
    place: str
    fault: str
    advice: str = RESTORE


@dataclass(frozen=True)
class Verified:
    """faults : all that were found, by table. files, size : data files that were read, and their bytes."""

    faults: tuple[Fault, ...]
    files: int
    size: int


def verify_files(lake: Lake, progress: Progress = silent) -> Verified:
    """Reads the logs, and the data files of all their versions; each file is held to its digest, whatever was found before.

    The vector cache is no part of it: its entries are checked whenever they are opened.
    """
    check_anew()
    faults: list[Fault] = []
    wanted: list[tuple[str, Path]] = []
    for name in TABLES:
        before = len(faults)
        try:
            faults += _of_log(lake, name)
            wanted += [(name, path) for path in _data_files(lake, name)]
        except VarlakeError as error:
            if len(faults) == before:  # else the file that hinders is listed
                faults.append(Fault(name, f"{name}/_delta_log", error.message, AGAIN))
    sizes = [path.stat().st_size if path.is_file() else 0 for _, path in wanted]
    done, total = 0, sum(sizes)
    found = one_by_one(_damage, [path for _, path in wanted])
    for (name, path), size, damage in zip(wanted, sizes, found, strict=True):
        done += size
        progress("MB of data files", done // 1_000_000, total // 1_000_000)
        if damage is not None:
            faults.append(Fault(name, str(path.relative_to(lake.path)), damage, FEED_AGAIN))
    return Verified(tuple(faults), len(wanted), total)


def _damage(path: Path) -> str | None:
    """What is wrong with a data file, in a few words."""
    try:
        check_data_file(path)
    except Damaged:
        return _how(path)
    except NotFound:  # a cleaning removed it on purpose
        return None
    return None


def _how(path: Path) -> str:
    return "it has other bytes than were committed" if path.is_file() else "it is not there"


def _data_files(lake: Lake, name: str) -> list[Path]:
    """The data files of all versions of a table; of one whose log is not whole, those of the newest."""
    named = lake.log(name).named_files()
    return lake.data_files(name) if named is None else [lake.path / name / path for path in sorted(named)]


def _of_log(lake: Lake, name: str) -> Iterator[Fault]:
    for path in lake.log(name).damage():
        advice = CHECKPOINT if path.suffix == ".parquet" else f"{RESTORE} {AGAIN}"
        yield Fault(name, str(path.relative_to(lake.path)), _how(path), advice)
