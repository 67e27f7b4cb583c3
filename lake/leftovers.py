"""What killed processes have left in a lake: nothing reads it, and it costs room. Found, and removed once it is old."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.schemas import TABLES
from lake.tables import Lake

TEMPORARY = "a file that was not written to its end"
UNCOMMITTED = "a data file that no commit names"
JOB_FOLDER = "the folder of a run on Spark"
CACHE_FOLDER = "a cache entry that was not made to its end"
DAMAGED = "a damaged job table that was set aside"


@dataclass(frozen=True)
class Leftover:
    """A file or folder in a lake that nothing reads. `path` is relative to the lake; `size` in bytes; `age` in seconds."""

    path: str
    what: str
    size: int
    age: float


def leftovers(lake: Lake, older_than: float = 0.0) -> list[Leftover]:
    """What a process that was killed has left and that was not touched for so many seconds, by path.

    A process that writes at this moment has such files too: an age tells them apart. Of a table whose log is not whole, data files
    are not looked at: which of them a version holds cannot be known.
    """
    found = []
    for path, what in _candidates(lake):
        with contextlib.suppress(FileNotFoundError):  # it is written to its end at this moment
            files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
            states = [f.stat() for f in [path, *files]]
            age = time.time() - max(s.st_mtime for s in states)
            if age >= older_than:
                size = sum(s.st_size for s in states[1:])
                found.append(Leftover(str(path.relative_to(lake.path)), what, size, age))
    return sorted(found, key=lambda f: f.path)


def _candidates(lake: Lake) -> Iterator[tuple[Path, str]]:
    for folder, folders, names in os.walk(lake.path):
        here = Path(folder)
        if here == lake.state / "runs":
            yield from ((here / name, JOB_FOLDER) for name in folders)
            folders.clear()
        elif here == lake.state / "cache":
            yield from ((here / name, CACHE_FOLDER) for name in folders if name.startswith("."))
            folders.clear()
        in_log = here.name == "_delta_log"
        for name in names:
            if name.startswith(".tmp-") or (in_log and ("#" in name or name.startswith("_commit_"))):
                yield here / name, TEMPORARY
            elif here == lake.state and ".damaged-" in name:
                yield here / name, DAMAGED
    for name in TABLES:
        root = lake.path / name
        if (committed := lake.log(name).named_files()) is not None:
            for path in root.rglob("*.parquet"):
                inside = path.relative_to(root)
                if inside.parts[0] != "_delta_log" and str(inside) not in committed:
                    yield path, UNCOMMITTED
