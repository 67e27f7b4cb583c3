"""What a file does to the process that decodes it is told in words, and harms nothing else. The work here is harmless, its limits low."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.errors import BadInput, Issue, NotFound, NotReady
from lake.landing import child, sheet
from lake.landing.child import in_child, one_in_child
from lake.landing.decoded import read_parquet
from lake.landing.sheet import Dialect, first_bytes, read_sheet
from lake.progress import Allowance, Stopped, allowed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and children are those of Linux")

WORK = """
import os, socket, subprocess, time
import pyarrow as pa
from lake.errors import Issue, NotFound

def pids(path, n=1):
    for _ in range(n):
        yield pa.table({"pid": [os.getpid()]})

def ends(path, how):
    yield pa.table({"a": [1]})
    os.kill(os.getpid(), how)

def exits(path):
    os._exit(3)
    yield

def takes(path, size):
    yield pa.table({"a": [len(bytearray(size))]})

def starts_no_thread(path):
    try:
        raise pa.ArrowException("Unknown error: Failed to launch worker thread: Resource temporarily unavailable")
    except pa.ArrowException as error:
        raise NotFound("No such thing.") from error
    yield

def takes_now(path):
    with open("/proc/self/status") as status:
        yield pa.table({"kib": [int(line.split()[1]) for line in status if line.startswith("VmSize")]})

def works(path):
    while True:
        pass
    yield

def sleeps(path):
    time.sleep(60)
    yield

def stays(path):
    yield pa.table({"pid": [os.getpid()]})
    time.sleep(60)

def fails(path):
    raise ZeroDivisionError("of a library")
    yield

def refuses(path):
    raise NotFound("There is none.", issues=[Issue("row 2, column a", "is odd", "ä", ("x", "y"))])
    yield

def connects(path):
    socket.create_connection(("127.0.0.1", 9))
    yield

def starts(path):
    subprocess.run(["true"])
    yield
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The functions above as a module that a new child, too, finds."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "child_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv(child.SETTING, "1")
    monkeypatch.setenv(child.SECONDS_SETTING, "1")
    child._children.end()
    import child_work  # type: ignore[import-not-found]

    handles = os.listdir("/proc/self/fd")
    yield child_work
    child._children.end()
    sys.modules.pop("child_work")
    assert len(os.listdir("/proc/self/fd")) <= len(handles)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.csv"
    path.write_text("a,b\n1,2\n")
    return path


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _pid(work: Any, path: Path) -> int:
    return int(one_in_child(work.pids, path)["pid"][0].as_py())


def test_a_child_decodes_one_file_after_the_other(work: Any, path: Path) -> None:
    first = _pid(work, path)
    assert first != os.getpid()
    assert [t["pid"][0].as_py() for t in in_child(work.pids, path, 3)] == [first] * 3
    child._children.end()
    assert not _lives(first)


@pytest.mark.parametrize(
    "how", [signal.SIGSEGV, *(pytest.param(s, marks=pytest.mark.slow) for s in (signal.SIGABRT, signal.SIGKILL))]
)
def test_a_signal_ends_the_child_alone_and_names_the_file(work: Any, path: Path, how: signal.Signals) -> None:
    before = _pid(work, path)
    with pytest.raises(
        BadInput, match=rf"^file\.csv cannot be decoded: this .*\({how.name}\).* Nothing of it is loaded"
    ):
        list(in_child(work.ends, path, how))
    assert not _lives(before)
    assert _pid(work, path) != before


def test_a_child_killed_from_outside_is_told_so(work: Any, path: Path) -> None:
    tables = in_child(work.pids, path, 1_000)
    pid = next(tables)["pid"][0].as_py()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BadInput, match=r"^file\.csv .* ended by the system or by somebody \(SIGKILL\)"):
        list(tables)
    assert not _lives(pid)


def test_a_child_that_ended_while_it_waited_is_replaced(work: Any, path: Path) -> None:
    before = _pid(work, path)
    os.kill(before, signal.SIGKILL)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
    assert _pid(work, path) != before
    assert not _lives(before)


def test_where_no_process_can_be_started_the_error_says_so(
    work: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(path.parent / "none"))
    with pytest.raises(NotReady, match=r"cannot be started: No such file or directory\."):
        one_in_child(work.pids, path)


def test_a_child_that_leaves_is_told_so(work: Any, path: Path) -> None:
    with pytest.raises(BadInput, match=r"^file\.csv .*exit code 3"):
        one_in_child(work.exits, path)


def test_memory_is_limited_by_what_a_file_may_hold(work: Any, path: Path) -> None:
    assert one_in_child(work.takes, path, 200 << 20)["a"][0].as_py() == 200 << 20
    with pytest.raises(BadInput, match=r"^file\.csv .* more than the 1,027 MiB of memory .*VARLAKE_DECODED_MIB"):
        one_in_child(work.takes, path, 1_027 << 20)


def test_a_format_that_takes_too_much_memory_is_told_so(
    work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"a": [0.0] * 8_000_000}), path)
    monkeypatch.setenv(child.SETTING, "70")  # what it holds is within the bound
    assert read_parquet(path).num_rows == 8_000_000
    taken = one_in_child(work.takes_now, path)["kib"][0].as_py() << 10
    monkeypatch.setattr(child, "_COPIES", 0)
    monkeypatch.setattr(child, "_MARGIN", taken + (16 << 20))
    with pytest.raises(BadInput, match=r"^file\.parquet .* more than the [0-9,]+ MiB of memory"):
        read_parquet(path)


def test_a_thread_whose_stack_is_refused_is_memory_refused(work: Any, path: Path) -> None:
    with pytest.raises(BadInput, match=r"^file\.csv .* more than the [0-9,]+ MiB of memory"):
        one_in_child(work.starts_no_thread, path)


def test_processor_time_is_limited(work: Any, path: Path) -> None:
    with pytest.raises(BadInput, match=r"^file\.csv .* more than the 1 s of processor time .*VARLAKE_DECODE_SECONDS"):
        one_in_child(work.works, path)


def test_time_is_limited(work: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _pid(work, path)
    monkeypatch.setattr(child, "WAIT", 0.2)
    with pytest.raises(BadInput, match=r"^file\.csv was not decoded in 0 s"):
        one_in_child(work.sleeps, path)
    assert not _lives(before)


def test_who_does_not_want_it_any_more_ends_the_child(work: Any, path: Path) -> None:
    class Over(Allowance):
        def heed(self) -> None:
            raise Stopped("Nobody asks any more.")

    before = _pid(work, path)
    with allowed(Over()), pytest.raises(Stopped):
        one_in_child(work.sleeps, path)
    assert not _lives(before)
    tables = in_child(work.pids, path, 1_000)
    pid = next(tables)["pid"][0].as_py()
    tables.close()  # type: ignore[attr-defined]
    assert not _lives(pid)


def test_the_child_ends_with_who_started_it(work: Any, path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lake.landing.child import in_child; import child_work\n"
        "for table in in_child(child_work.stays, Path(sys.argv[1])):\n    print(table['pid'][0], flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _lives(pid)
        parent.kill()
    until = time.monotonic() + 30
    while _lives(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _lives(pid)


@pytest.mark.parametrize("name", ["connects", "starts"])
def test_no_network_and_no_process(work: Any, path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"^file\.csv cannot be decoded: PermissionError: .* while a file is decoded"):
        one_in_child(getattr(work, name), path)


def test_what_a_library_falls_over_is_told_of_the_file(work: Any, path: Path) -> None:
    with pytest.raises(BadInput, match=r"^file\.csv cannot be decoded: ZeroDivisionError: of a library\."):
        one_in_child(work.fails, path)


def test_an_error_comes_as_it_was_raised(work: Any, path: Path) -> None:
    before = _pid(work, path)
    with pytest.raises(NotFound, match=r"^There is none\.$") as error:
        one_in_child(work.refuses, path)
    assert error.value.issues == (Issue("row 2, column a", "is odd", "ä", ("x", "y")),)
    assert _pid(work, path) == before


# --- files ------------------------------------------------------------------------------------------------------------


def _none() -> None:
    raise AssertionError("a child was started")


def test_a_small_text_needs_no_child(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child._children.end()
    monkeypatch.setattr(child, "_child", _none)
    assert read_sheet(path).cells.to_pydict() == {"0": ["1"], "1": ["2"]}
    monkeypatch.setattr(sheet, "SMALL", 7)
    with pytest.raises(AssertionError, match="a child was started"):
        read_sheet(path)


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_a_child_gives_the_same_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    monkeypatch.setattr(sheet, "SMALL", small)
    path = tmp_path / "file.csv"
    path.write_text("title\n a ;b;b;\n1; ä;3;\n\n;;;\n1;2\n5;6;7;8\n", encoding="cp1252")
    read = read_sheet(path, Dialect(delimiter=";", skip_rows=1, encoding="cp1252"))
    assert (read.name, read.header) == ("file.csv", ["a", "b", "b", ""])
    assert read.cells.to_pydict() == {"0": ["1", "5"], "1": ["ä", "6"], "2": ["3", "7"], "3": [None, "8"]}
    assert read.lines.tolist() == [3, 7]
    assert [(line, text) for line, text, _ in read.uneven] == [(6, "1;2")]
    assert first_bytes(path, 5) == ("file.csv", b"title")
    with pytest.raises(NotFound, match="There is no file"):
        read_sheet(tmp_path / "none.csv")


def test_a_relative_name_is_that_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        pq.write_table(pa.table({"a": [name]}), folder / "file.parquet")
        monkeypatch.chdir(folder)
        assert read_sheet(Path("file.parquet")).cells.to_pydict() == {"0": [name]}
