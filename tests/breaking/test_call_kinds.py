"""How file calls are told apart: by what they do, to which file, from which lines of the product."""

from __future__ import annotations

import linecache
import os
import threading
import time
from pathlib import Path

import pytest
from kinds import Kind, Occurrence, calls_by_kind, calls_of, chosen, role
from places import ROOT, Places, Stack, watched
from traced import WRITES, Call, calls_in

from lake.storage import write_durable

A, B = ("lake/a.py:f:1",), ("lake/a.py:f:1", "lake/b.py:g:2")


def source(stack: Stack) -> list[str]:
    """The lines themselves, the caller first."""
    places = (place.split(":") for place in stack)
    return [linecache.getline(f"{ROOT}{file}", int(line)).strip() for file, _, line in places]


def test_a_watch_knows_the_line_that_a_thread_is_at_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments: list[tuple[int, int]] = []
    began = time.time_ns()
    monkeypatch.setattr(os, "fsync", lambda _: moments.append((time.time_ns(), threading.get_native_id())))

    def work(name: str) -> None:
        write_durable(tmp_path / name, b"some bytes")

    with watched(tmp_path / "places"):
        work("one")
        thread = threading.Thread(target=work, args=("two",))
        thread.start()
        thread.join()
    places = Places(tmp_path / "places")
    of_folder, of_data, of_name = [
        ["make_folder(path.parent)", "sync(folder.parent)  # also of a folder that is there: who made it may have been killed just then"],
        ["os.fsync(f.fileno())"],
        ["sync(path.parent)"],
    ]  # fmt: skip
    expected = [[*of_folder, "os.fsync(fd)"], of_data, [*of_name, "os.fsync(fd)"]]
    assert [source(places.at(*moment)) for moment in moments] == expected * 2
    assert len({thread for _, thread in moments}) == 2
    # a thread that is none of Python's works for the one that waits
    assert source(places.at(moments[1][0], 0)) == of_data
    assert places.at(began, moments[0][1]) == ()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "the lake"),
        ("positions", "TABLE"),
        ("positions/_delta_log/00000000000000000003.json", "TABLE/_delta_log/*.json"),
        ("positions/_delta_log/_last_checkpoint", "TABLE/_delta_log/_last_checkpoint"),
        ("positions/positions_date=2020-03-17/f604ed19fbbd2ac368385f361de2d9cb.parquet", "TABLE/*.parquet"),
        ("orders/.tmp-cd613e30d8f16adf91b7584a2265b1f5", "TABLE/.tmp-*"),
        ("_varlake/logs/market_data.json", "_varlake/logs/TABLE.json"),
        ("_varlake/writer.lock", "_varlake/writer.lock"),
    ],
)
def test_the_role_of_a_file_is_its_name_without_what_is_its_own(path: str, expected: str) -> None:
    assert role(path) == expected


def test_calls_on_the_lake_are_read_from_what_strace_says() -> None:
    lines = [
        '7  1796097344.000000001 openat(AT_FDCWD</w>, "/etc/hosts", O_RDONLY) = 3</etc/hosts>',
        '7  1796097344.000000002 openat(AT_FDCWD</w>, "/l/lake/orders/a", O_RDONLY) = 3</l/lake/orders/a>',
        "8  1796097344.500000003 read(3</l/lake/orders/a>,  <unfinished ...>",
        "8  1796097344.500000004 <... read resumed>\"x\", 9) = 1",
        '7  1796097344.500000005 link("/l/lake/.tmp", "/l/lake/b") = -1 EIO (Input/output error) (INJECTED)',
        '7  1796097344.500000006 mkdir("/l/lake.said", 0777) = 0',
        '7  1796097344.500000007 mkdir("/l/lake", 0777) = 0',
        "7  1796097344.500000008 +++ exited with 0 +++",
    ]  # fmt: skip
    start = 1796097344 * 10**9
    assert calls_in(lines, Path("/l/lake")) == [
        Call(7, start + 2, "openat", 2, ("orders/a",), False),
        Call(8, start + 500000003, "read", 1, ("orders/a",), False),
        Call(7, start + 500000005, "link", 1, (".tmp", "b"), True),
        Call(7, start + 500000007, "mkdir", 2, ("",), False),
    ]


def test_a_call_is_counted_on_a_file_that_every_run_names_so_and_else_among_all() -> None:
    def run(temporary: str) -> list[tuple[Call, Stack]]:
        calls = [
            Call(1, 1, "write", 3, (temporary,), False),
            Call(1, 2, "link", 1, (temporary, "orders/b"), False),
            Call(1, 3, "rename", 1, (temporary, "orders/c"), False),
            Call(1, 4, "read", 5, ("orders/b",), False),
            Call(2, 5, "read", 1, ("orders/b",), False),
            Call(1, 6, "read", 7, ("orders/b",), False),
        ]
        return [(call, A if call.moment < 6 else B) for call in calls]

    temporary, reading = "TABLE/.tmp-*", Kind("read", "TABLE/b", A)
    assert list(calls_of("orders", run("orders/.tmp-1"), run("orders/.tmp-2"))) == [
        (Kind("write", temporary, A), Occurrence("orders", "write", 3, None)),
        (Kind("link", f"{temporary} to TABLE/b", A), Occurrence("orders", "link", 1, "orders/b")),
        (Kind("rename", f"{temporary} to TABLE/c", A), Occurrence("orders", "rename", 1, None)),
        (reading, Occurrence("orders", "read", 1, "orders/b")),
        (reading, Occurrence("orders", "read", 1, "orders/b")),
        (Kind("read", "TABLE/b", B), Occurrence("orders", "read", 2, "orders/b")),
    ]


def test_of_each_kind_the_first_is_tried_and_of_writes_the_last_and_one_between() -> None:
    def made(call: str, n: int) -> list[Occurrence]:
        return [Occurrence("orders", call, i, "orders/b") for i in range(n)]

    writing, once, reading = (Kind(call, "TABLE/b", place) for call, place in (("fsync", A), ("fsync", B), ("read", A)))
    kinds = {writing: made("fsync", 9), once: made("fsync", 1), reading: made("read", 9)}
    found = chosen(kinds)
    assert found == chosen(dict(reversed(kinds.items())))
    first, between, last = [o.nth for kind, o in found if kind == writing]
    assert (first, last) == (0, 8)
    assert 0 < between < 8
    assert [o.nth for kind, o in found if kind != writing] == [0, 0]


def test_writes_fail_with_both_errors_and_by_a_name_for_good_too() -> None:
    errors = [(error, f"2{more}") for error in ("EIO", "ENOSPC") for more in ("", "+")]
    assert Occurrence("orders", "fsync", 2, None).faults() == errors
    assert Occurrence("orders", "write", 2, "orders/b").faults() == errors
    assert Occurrence("orders", "write", 2, None).faults() == [("EIO", "2"), ("ENOSPC", "2")]
    assert Occurrence("orders", "read", 2, "orders/b").faults() == [("EIO", "2"), ("EIO", "2+")]


@pytest.mark.breaking
def test_the_kinds_of_an_operation_are_found_alike_twice(lakes: dict[str, Path], files: Path, tmp_path: Path) -> None:
    first, second = (calls_by_kind(lakes, files, tmp_path / "lake", ["orders"]) for _ in range(2))
    writes = [{kind for kind in found if kind.call in WRITES} for found in (first, second)]
    assert writes[0] == writes[1]
    (synced,) = [kind for kind in writes[0] if (kind.call, kind.role) == ("fsync", "TABLE/.tmp-*")]
    assert source(synced.place)[-1] == "os.fsync(f.fileno())"
    assert all(kind.place for kind in first)
    assert len(first) < sum(map(len, first.values()))
