"""Every file call of a commit failed once, and every state in which a loss of power could leave the disk between two of them.

What was not synced may be there, not be there, or be there as zeros or without its end. The commit that deltalake writes itself is
seen by what it leaves between two calls of `lake.storage`.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_tables import MONDAY, TUESDAY, positions, rows_of

from lake import storage, tables
from lake.committer import Committer
from lake.compaction import compact
from lake.errors import VarlakeError
from lake.leftovers import leftovers
from lake.storage import check_anew
from lake.tables import Lake
from lake.verify import verify_files

Tree = dict[str, bytes]
TABLES = ("positions", "contracts")


def begin(folder: Path) -> Lake:
    lake = Lake.create(folder)
    with Committer(lake, "test") as writer:
        writer.put("positions", positions(MONDAY, "a", "b", quantity=2.0))
        writer.put("positions", positions(TUESDAY, "c"))
    return lake


STEPS: list[tuple[str, Callable[[Committer], object]]] = [  # commits of every kind, and the table of each
    ("positions", lambda w: w.put("positions", positions(MONDAY, "a", "d", quantity=3.0), replace=True)),
    ("contracts", lambda w: w.put("contracts", rows_of("contracts", [0]))),  # which makes the table
    ("contracts", lambda w: w.put("contracts", rows_of("contracts", [1]))),
    ("contracts", lambda w: compact(w, "contracts")),
]


def work(lake: Lake, first: int = 0) -> Iterator[str]:
    """The steps from that one on; after each its table is named: it is acknowledged."""
    with Committer(lake, "test") as writer:
        for table, step in STEPS[first:]:
            step(writer)
            yield table


def rows(lake: Lake, name: str) -> list[str]:
    return sorted(map(str, lake.read(name).to_pylist()))


def states(lake: Lake) -> dict[str, list[list[str]]]:
    """The rows of each table after each commit of a whole run, those of before first."""
    found = {name: [rows(lake, name)] for name in TABLES}
    for name in work(lake):
        found[name].append(rows(lake, name))
    return found


def fresh() -> None:
    """As a new process: nothing is known of any file."""
    tables._opened.clear()
    check_anew()


def fault(path: Path, done: list[str], wanted: dict[str, list[list[str]]]) -> str | None:
    """What is wrong with a lake that was left so; None where all acknowledged rows are there, no others, and a re-run completes."""
    fresh()
    lake = Lake.open(path)
    for name in TABLES:
        allowed = wanted[name][done.count(name) : done.count(name) + 2]  # the commit under way may be there
        if rows(lake, name) not in allowed:
            return f"{name}: rows that were acknowledged are not there, or others are"
    for _ in work(lake, len(done)):
        pass
    for name in TABLES:
        if rows(lake, name) != wanted[name][-1]:
            return f"{name}: run again it is not what a whole run makes"
    faults = verify_files(lake).faults
    return f"verified: {faults}" if faults else None


class Calls:
    """Takes the place of `os` in `lake.storage` and tells of each call that changes the disk, before it is made."""

    NAMES = ("open", "fsync", "link", "replace", "unlink")

    def __init__(self, patch: pytest.MonkeyPatch, before: Callable[[str, Any], None]) -> None:
        def told(name: str) -> Callable[..., Any]:
            call = getattr(os, name)

            def made(*arguments: Any, **named: Any) -> Any:
                before(name, arguments)
                return call(*arguments, **named)

            return made

        seen = {name: told(name) for name in self.NAMES}
        patch.setattr(storage, "os", SimpleNamespace(**{**vars(os), **seen}))
        opened = Path.open

        def open_file(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
            if mode == "xb":
                before("create", (path,))
            file = opened(path, mode, *more, **named)
            if mode != "xb":
                return file
            write = file.write

            def written(data: Any) -> int:
                before("write", (path,))
                return int(write(data))

            return SimpleFile(file, written)

        patch.setattr(Path, "open", open_file)


class SimpleFile:
    """A file whose writing is told of."""

    def __init__(self, file: Any, write: Callable[[Any], int]) -> None:
        self._file, self.write = file, write
        self.flush, self.fileno = file.flush, file.fileno

    def __enter__(self) -> SimpleFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


# the normal suite tries some, the break test all
SOME = pytest.mark.parametrize(
    "step", [7, pytest.param(1, marks=[pytest.mark.breaking, pytest.mark.timeout(1200)])], ids=["some", "all"]
)


@SOME
def test_a_file_call_that_fails_loses_nothing_and_a_run_again_completes(tmp_path: Path, step: int) -> None:
    """The 1st, 2nd, ... call is failed until a run passes untouched."""
    start = begin(tmp_path / "start").path
    wanted = states(Lake.open(shutil.copytree(start, tmp_path / "whole")))
    wrong, nth, hit = [], 1 - step, True
    while hit:
        nth, hit, count = nth + step, False, 0
        path, done = Path(shutil.copytree(start, tmp_path / f"lake{nth}")), list[str]()
        fresh()

        def fails(name: str, arguments: Any, nth: int = nth) -> None:
            nonlocal count, hit
            count += 1
            if count == nth:
                hit = True
                raise OSError(5, "Input/output error", str(arguments[0]))

        with pytest.MonkeyPatch.context() as patch:
            Calls(patch, fails)
            try:
                for name in work(Lake.open(path)):
                    done.append(name)
            except (OSError, VarlakeError):
                assert hit
        if said := fault(path, done, wanted):
            wrong.append(f"call {nth}: {said}")
        shutil.rmtree(path)
    assert wrong == []
    assert nth > 40


class Disk:
    """What a disk holds for sure: names that their folder was synced with, and bytes that their file was synced with."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = {p.relative_to(root).as_posix(): p.stat().st_ino for p in root.rglob("*") if p.is_file()}
        self.bytes = {inode: (root / name).read_bytes() for name, inode in self.names.items()}

    def now(self) -> dict[str, tuple[int, bytes]]:
        """Every file as a process sees it."""
        found = {}
        for path in self.root.rglob("*"):
            if path.is_file():
                found[path.relative_to(self.root).as_posix()] = (path.stat().st_ino, path.read_bytes())
        return found

    def synced(self, path: Path) -> None:
        if not path.is_relative_to(self.root):
            return
        now = self.now()
        name = path.relative_to(self.root).as_posix()
        if path.is_dir():
            inside = {n: i for n, (i, _) in now.items() if Path(n).parent.as_posix() == name}
            self.names = {n: i for n, i in self.names.items() if Path(n).parent.as_posix() != name} | inside
        elif name in now:
            self.bytes[now[name][0]] = now[name][1]

    def crashes(self, draw: random.Random) -> Iterator[tuple[str, Tree]]:
        """What may be found after a loss of power at this moment."""
        now = self.now()

        def content(inode: int, bytes_now: bytes, unsynced: Callable[[bytes], bytes]) -> bytes:
            kept = self.bytes.get(inode)
            return bytes_now if kept == bytes_now else unsynced(bytes_now)

        durable = {n: self.bytes.get(i, b"") for n, i in self.names.items()}
        yield "nothing that was not synced", durable
        for title, unsynced in (
            ("all names, unsynced bytes gone", lambda _: b""),
            ("all names, unsynced bytes zero", lambda b: bytes(len(b))),
            ("all names, unsynced bytes cut", lambda b: b[: 2 * len(b) // 3]),
            ("all names and bytes", lambda b: b),
        ):
            yield title, {n: content(i, b, unsynced) for n, (i, b) in now.items()}
        for _ in range(2):  # some of the names that were made or taken away, in whatever order the disk wrote them
            some = dict(durable)
            for name in sorted(now.keys() | durable.keys()):
                if draw.random() < 0.5:
                    if name in now:
                        some[name] = content(*now[name], lambda b: bytes(len(b)))
                    else:
                        some.pop(name, None)
            yield "some names", some


@SOME
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to name what is synced")
def test_a_loss_of_power_loses_nothing_that_was_acknowledged(tmp_path: Path, step: int) -> None:
    start = begin(tmp_path / "start").path
    wanted = states(Lake.open(shutil.copytree(start, tmp_path / "whole")))
    path, done, draw = Path(shutil.copytree(start, tmp_path / "lake")), list[str](), random.Random(1)
    disk = Disk(path)
    found: dict[tuple[Any, ...], tuple[str, Tree, list[str]]] = {}

    def before(name: str, arguments: Any) -> None:
        if name in ("open", "write", "create"):
            return
        for title, tree in disk.crashes(draw):
            if "_varlake/lake.json" in tree:
                found.setdefault(
                    (tuple(sorted(tree.items())), len(done)), (f"{title}, before {name}", tree, list(done))
                )
        if name == "fsync":
            disk.synced(Path(os.readlink(f"/proc/self/fd/{arguments[0]}")))

    fresh()
    with pytest.MonkeyPatch.context() as patch:
        Calls(patch, before)
        for table in work(Lake.open(path)):
            done.append(table)
    assert len(found) > 80
    wrong = []
    for number, (title, tree, acknowledged) in enumerate([*found.values()][::step]):
        left = tmp_path / f"crash{number}"
        for name, data in tree.items():
            (left / name).parent.mkdir(parents=True, exist_ok=True)
            (left / name).write_bytes(data)
        try:
            said = fault(left, acknowledged, wanted)
        except Exception as error:  # whatever it is, it is a fault
            said = f"{type(error).__name__}: {error}"
        if said:
            wrong.append(f"{len(acknowledged)} acknowledged, {title}: {said}")
        shutil.rmtree(left)
    assert not wrong, f"{len(wrong)} of {len(found)}:\n" + "\n".join(wrong[:10])
    assert leftovers(Lake.open(path)) == []
