"""The cache: filled once, found damaged, bounded, shared by threads and processes; books and vectors as in the lake."""

from __future__ import annotations

import dataclasses
import datetime as dt
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_positions, put_valued

from aggregation.book.changes import Changes, Removal, changed_book
from aggregation.opened.alignment import MISSING
from aggregation.opened.opened_lake import VectorCache, _kept
from aggregation.opened.vectors import Vectors
from aggregation.types import Filter
from lake import disk_cache as cache_module
from lake.committer import Committer
from lake.disk_cache import DiskCache, Kept, checksum, is_sound
from lake.errors import Damaged, NotFound
from lake.schemas import PNL_VECTORS
from lake.tables import Lake

N = 70


def vectors_of(count: int = 40, n: int = N) -> dict[str, tuple[str, float, Any]]:
    rng = np.random.default_rng(1)
    return {f"c{i:02}": ("USD" if i % 4 else "EUR", float(i), rng.standard_normal(n)) for i in range(count)}


def opened(lake: Lake, **more: Any) -> Vectors:
    """The newest set through a cache that keeps nothing in memory."""
    _kept.clear()
    cache = VectorCache(lake, **more)
    return cache.vectors(cache.seals(lake.snapshot("valuation_sets"))[-1])


def rows_files(lake: Lake) -> list[Path]:
    return sorted((lake.state / "cache").glob("*/rows.f64"))


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    _kept.clear()


@pytest.mark.parametrize("files", [1, 5])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 500])
def test_vectors_are_those_of_the_lake(tmp_path: Path, n: int, files: int) -> None:
    valued = Valued(
        vectors_of(n=n), failed={"f1": "matured", "f0": "non_finite"}, unmoved=frozenset({"c07"}), files=files
    )
    lake = make_lake(tmp_path, valued, [position("t", "c00", 1.0)])
    v = opened(lake)
    assert v.contract_ids.to_pylist() == sorted(valued.vectors)
    assert v.pnl.shape == (40, n)
    for i, (name, (currency, base, pnl)) in enumerate(sorted(valued.vectors.items())):
        assert (v.currencies[v.currency[i]], v.base[i], bool(v.unmoved[i])) == (currency, base, name == "c07")
        assert (v.pnl[i] == (0.0 if name == "c07" else pnl)).all()
    assert (v.rows[:, n:] == 0).all()
    assert v.rows.strides[0] % 64 == 0
    assert v.failures.to_pylist() == [
        {"contract_id": "f0", "reason": "non_finite", "message": "non_finite"},
        {"contract_id": "f1", "reason": "matured", "message": "matured"},
    ]
    assert not v.rows.flags.writeable


def test_an_unmoved_member_may_be_answered_by_a_moved_vector(tmp_path: Path) -> None:
    """Its base comes from a vector on the same base; that vector's P&L belongs to other scenarios, of another count."""
    first = Valued({"c": ("USD", 7.0, np.ones(5)), "d": ("USD", 1.0, np.ones(5))})
    lake = make_lake(tmp_path, first, [position("t", "c", 1.0)])
    later = Valued(
        {"c": ("USD", 7.0, np.ones(3)), "e": ("EUR", 2.0, np.ones(3))},
        name="later",
        sealed_at=dt.datetime(2021, 1, 1, tzinfo=dt.UTC),
    )
    put_valued(lake, later)
    members = lake.read("valuation_members").to_pylist()
    for row in members:
        if row["contract_id"] == "c" and row["valuation_set_id"] == later.set_id:
            row |= {"inputs_digest": "inputs-hand-5-c", "unmoved": True}
    with Committer(lake, "test") as committer:
        table = pa.Table.from_pylist([r for r in members if r["valuation_set_id"] == later.set_id])
        committer.put("valuation_members", table, replace=True)
    v = opened(lake)
    assert v.contract_ids.to_pylist() == ["c", "e"]
    assert v.pnl.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert v.base.tolist() == [7, 2]


def test_a_vector_written_twice_counts_once(tmp_path: Path) -> None:
    valued = Valued(vectors_of())
    lake = make_lake(tmp_path, valued, [position("t", "c00", 1.0)])
    again = lake.read("pnl_vectors", where=ds.field("contract_id") == "c05")
    with Committer(lake, "test") as committer:
        committer.put("pnl_vectors", pa.concat_tables([again, again]))
    assert (opened(lake).pnl[5] == valued.vectors["c05"][2]).all()


def test_a_member_without_a_vector_is_damage(tmp_path: Path) -> None:
    valued = Valued({"c": ("USD", 1.0, np.ones(3))})
    lake = make_lake(tmp_path, valued, [position("t", "c", 1.0)])
    (row,) = lake.read("valuation_members").to_pylist()
    with Committer(lake, "test") as committer:
        committer.put("valuation_members", pa.Table.from_pylist([row, row | {"contract_id": "z"}]), replace=True)
    with pytest.raises(Damaged, match=r"1 of its vectors are not in pnl_vectors, first z\. Restore the lake"):
        opened(lake)
    assert rows_files(lake) == []


def test_a_set_in_which_everything_failed(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, Valued({"c": ("USD", 1.0, np.ones(3))}), [position("t", "c", 1.0)])
    cache = VectorCache(lake)
    (seal,) = cache.seals(lake.snapshot("valuation_sets"))
    empty = cache.vectors(dataclasses.replace(seal, valuation_set_id="nothing valued"))
    assert (len(empty.contract_ids), empty.pnl.shape, empty.currencies) == (0, (0, 3), ())
    alignment = cache.alignment(cache.book(lake.snapshot("positions"), DAY), empty)
    assert (alignment.row.tolist(), alignment.state.tolist(), alignment.order.tolist()) == ([-1], [MISSING], [])


@pytest.mark.parametrize("pnl", [[1.0, np.nan, 2.0], [1.0, np.inf, 2.0], [1.0, 2.0], []])
def test_spoilt_vectors_are_refused(tmp_path: Path, pnl: list[float]) -> None:
    lake = make_lake(tmp_path, Valued({"c": ("USD", 1.0, np.ones(3))}), [position("t", "c", 1.0)])
    (row,) = (
        lake.read("pnl_vectors", where=ds.field("inputs_digest") == "inputs-hand-3-c")
        .filter(ds.field("contract_id") == "c")
        .to_pylist()
    )
    with Committer(lake, "test") as committer:
        committer.put(
            "pnl_vectors", pa.Table.from_pylist([row | {"pnl": pnl}], schema=PNL_VECTORS.schema), replace=True
        )
    with pytest.raises(Damaged, match="is damaged: it has vectors"):
        opened(lake)


def test_only_what_is_not_sound_is_made_again(tmp_path: Path) -> None:
    valued = Valued(vectors_of())
    lake = make_lake(tmp_path, valued, [position("t", "c00", 1.0)])
    opened(lake)
    (file,) = rows_files(lake)
    born = file.stat().st_ino
    opened(lake)
    assert rows_files(lake)[0].stat().st_ino == born

    def cut() -> None:
        os.truncate(file, 8 * 64)

    def flip() -> None:
        with file.open("r+b") as f:
            f.seek(100)
            f.write(b"\x55")

    def lose() -> None:
        (file.parent / "contracts.arrow").unlink()

    def no_manifest() -> None:
        (file.parent / "manifest.json").unlink()

    def half_manifest() -> None:
        (file.parent / "manifest.json").write_text('{"format": 1, "fil')

    for damage in (cut, flip, lose, no_manifest, half_manifest):
        damage()
        assert not is_sound(file.parent), damage.__name__
        assert (opened(lake).pnl[5] == valued.vectors["c05"][2]).all(), damage.__name__
        assert is_sound(file.parent)


def test_what_a_dead_builder_left_is_cleared(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, Valued(vectors_of()), [position("t", "c00", 1.0)])
    opened(lake)
    (file,) = rows_files(lake)
    left = file.parent.parent / f".{file.parent.name}-0123abcd"
    left.mkdir()
    (left / "rows.f64").write_bytes(b"half")
    os.truncate(file, 8)
    opened(lake)
    assert not left.exists()


def test_a_reader_keeps_what_is_evicted(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, Valued(vectors_of(), name="first"), [position("t", "c00", 1.0)])
    first = opened(lake)
    before = first.pnl.copy()
    size = sum(f.stat().st_size for f in rows_files(lake)[0].parent.iterdir())
    for i, name in enumerate(("second", "third")):
        put_valued(lake, Valued(vectors_of(), name=name, sealed_at=dt.datetime(2021, 1, 1 + i, tzinfo=dt.UTC)))
        opened(lake, limit_bytes=2 * size + 1000)
        time.sleep(0.01)
    assert len(rows_files(lake)) == 2
    assert (first.pnl == before).all()
    # even a limit below one entry leaves the one in use
    put_valued(lake, Valued(vectors_of(), name="fourth", sealed_at=dt.datetime(2021, 2, 1, tzinfo=dt.UTC)))
    opened(lake, limit_bytes=1)
    assert len(rows_files(lake)) == 1


def test_the_entry_used_longest_ago_goes_first(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path, limit_bytes=250)

    def use(name: str) -> None:
        disk.entry(name, lambda folder: (folder / "x").write_bytes(b"0" * 100) and None, lambda folder: None)
        time.sleep(0.01)

    for name in ("a", "b", "a", "c"):
        use(name)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["a", "c"]


def test_a_failed_build_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "x").write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        disk.entry("a", fail, lambda folder: None)
    assert [p for p in tmp_path.iterdir() if p.is_dir()] == []
    assert (
        disk.entry("a", lambda folder: (folder / "x").write_bytes(b"1") and None, lambda f: (f / "x").read_bytes())
        == b"1"
    )


def test_threads_asking_for_the_same_set_build_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = make_lake(tmp_path, Valued(vectors_of()), [position("t", "c00", 1.0)])
    builds = []
    build = DiskCache._build

    def counted(self: DiskCache, place: Path, fill: Any) -> None:
        builds.append(place.name)
        time.sleep(0.05)
        build(self, place, fill)

    monkeypatch.setattr(cache_module.DiskCache, "_build", counted)
    _kept.clear()
    seal = VectorCache(lake).seals(lake.snapshot("valuation_sets"))[-1]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: VectorCache(lake).vectors(seal), range(6)))
    assert len(builds) == 1
    assert all(v is found[0] for v in found)


def _open_in_process(path: str, results: Any) -> None:
    results.put(float(opened(Lake(path)).pnl.sum()))


def test_processes_asking_for_the_same_set_all_get_it(tmp_path: Path) -> None:
    valued = Valued(vectors_of())
    lake = make_lake(tmp_path, valued, [position("t", "c00", 1.0)])
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_open_in_process, args=(str(lake.path), results)) for _ in range(2)]
    for p in processes:
        p.start()
    sums = [results.get(timeout=60) for _ in processes]
    for p in processes:
        p.join()
    assert sums[0] == sums[1] == pytest.approx(sum(v[2].sum() for v in valued.vectors.values()))
    assert len(rows_files(lake)) == 1


def test_a_set_sealed_anew_is_read_anew(tmp_path: Path) -> None:
    """As after a lake was restored and valued again: the same id, other content."""
    lake = make_lake(tmp_path, Valued({"c": ("USD", 1.0, np.ones(3))}), [position("t", "c", 1.0)])
    cache = VectorCache(lake)
    (seal,) = cache.seals(lake.snapshot("valuation_sets"))
    book = cache.book(lake.snapshot("positions"), DAY)
    old = cache.vectors(seal)
    assert cache.vectors(dataclasses.replace(seal)) is old
    newer = cache.vectors(dataclasses.replace(seal, sealed_at=seal.sealed_at + dt.timedelta(hours=1)))
    assert newer is not old
    assert cache.alignment(book, newer) is not cache.alignment(book, old)
    assert cache.alignment(book, old) is cache.alignment(book, old)


def test_a_changed_book_has_an_alignment_of_its_own(tmp_path: Path) -> None:
    """Under the name of another too: an alignment of more contracts than a book has sends compiled code past its arrays."""
    valued = Valued({name: ("USD", 1.0, np.ones(3)) for name in "abcd"})
    lake = make_lake(tmp_path, valued, [position(f"t{name}", name, 1.0) for name in "abcd"])
    cache = VectorCache(lake)
    vectors = cache.vectors(cache.seals(lake.snapshot("valuation_sets"))[-1])
    book = cache.book(lake.snapshot("positions"), DAY)
    found = {}
    for left in ("ab", "cd", "d"):
        gone = tuple(Removal(where=(Filter(dimension="trade", values=(f"t{n}",)),)) for n in "abcd" if n not in left)
        changed = changed_book(book, Changes(remove=gone), "same name")
        found[left] = cache.alignment(changed, vectors)
        assert found[left].row.tolist() == ["abcd".index(n) for n in left]
        assert len(found[left].state) == len(changed.contract_ids)
        assert cache.alignment(dataclasses.replace(changed, files=("other",)), vectors) is found[left]
    assert cache.alignment(book, vectors).row.tolist() == [0, 1, 2, 3]
    unstored = dataclasses.replace(vectors, contract_ids=pa.array(list("bcde")), set_key="")
    assert cache.alignment(book, unstored).row.tolist() == [-1, 0, 1, 2]
    assert cache.alignment(book, dataclasses.replace(vectors, set_key="")).row.tolist() == [0, 1, 2, 3]


def test_kept_objects_are_few_and_failures_are_not_kept() -> None:
    kept, made = Kept(2), []

    def make(key: str) -> Any:
        return kept.get(key, lambda: made.append(key) or key.upper())

    assert [make(k) for k in "abacab"] == list("ABACAB")
    assert made == ["a", "b", "c", "b"]

    def fail() -> None:
        raise RuntimeError("once")

    with pytest.raises(RuntimeError, match="once"):
        kept.get("x", fail)
    assert kept.get("x", lambda: 1) == 1


def test_a_slow_object_does_not_hold_up_others() -> None:
    kept, go = Kept(4), threading.Event()
    with ThreadPoolExecutor(1) as thread:
        slow = thread.submit(kept.get, "slow", lambda: go.wait(10))
        assert kept.get("quick", lambda: 1) == 1
        go.set()
        assert slow.result() is True


@pytest.mark.parametrize("worth", [True, False], ids=["kernel", "NumPy"])
@pytest.mark.parametrize("size", [0, 5, 8, 4099, 8 << 14, 300_001])
def test_checksum_is_the_sum_of_words_times_odd_numbers(
    tmp_path: Path, size: int, worth: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.disk_cache.is_worth_loading", lambda _: worth)
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "x").write_bytes(data)
    *words, last = (int.from_bytes(data[i : i + 8], "little") for i in range(0, size + 1 + (-size - 1) % 8, 8))
    assert checksum(tmp_path / "x") == (sum(w * (2 * i + 3) for i, w in enumerate(words)) + last) % 2**64


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 4096, 4099])
def test_checksum_sees_every_changed_byte_and_swapped_words(tmp_path: Path, size: int) -> None:
    data = bytearray(np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes())
    file = tmp_path / "x"
    file.write_bytes(data)
    whole = checksum(file)
    assert whole == checksum(file)
    for at in {0, size // 2, size - 1} if size else set():
        changed = bytearray(data)
        changed[at] ^= 1
        file.write_bytes(changed)
        assert checksum(file) != whole
    if size > 16:
        file.write_bytes(data[8:16] + data[:8] + data[16:])
        assert checksum(file) != whole


def test_the_book_is_sorted_by_contract_and_trade_with_its_columns(tmp_path: Path) -> None:
    rows = [
        position("t3", "b", 3.0, desk="x", attributes={"rating": "A"}),
        position("t1", "b", 1.0, desk="y"),
        position("t2", "a", 2.0, desk="x", attributes={"rating": "B", "sector": "oil"}),
    ]
    lake = make_lake(tmp_path, Valued({"a": ("USD", 1.0, np.ones(3))}), rows)
    book = VectorCache(lake).book(lake.snapshot("positions"), DAY)
    assert book.contract_ids.to_pylist() == ["a", "b"]
    assert (book.starts.tolist(), book.quantity.tolist()) == ([0, 1, 3], [2.0, 1.0, 3.0])

    def values(name: str) -> list[Any]:
        column = book.columns[name]
        return [column.members[c].as_py() for c in column.codes.tolist()]

    assert values("trade") == ["t2", "t1", "t3"]
    assert values("desk") == ["x", "y", "x"]
    assert values("attribute.rating") == ["B", None, "A"]
    assert values("attribute.sector") == ["oil", None, None]
    assert book.attributes == ("rating", "sector")
    assert book.columns["attribute.rating"].members.to_pylist() == ["A", "B", None]


def test_books_of_other_dates_and_older_versions(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, Valued({"a": ("USD", 1.0, np.ones(3))}), [position("t1", "a", 1.0)])
    old = lake.snapshot("positions")
    put_positions(lake, [position("t1", "a", 2.0), position("t2", "a", 2.0)])
    put_positions(lake, [position("t1", "a", 9.0, positions_date=dt.date(2020, 3, 17))])
    cache, new = VectorCache(lake), lake.snapshot("positions")
    assert cache.book(old, DAY).quantity.tolist() == [1.0]
    assert cache.book(new, DAY).quantity.tolist() == [2.0, 2.0]
    assert cache.book(new, dt.date(2020, 3, 17)).quantity.tolist() == [9.0]
    with pytest.raises(
        NotFound, match=r"No positions on 2020-04-01\. Nearest dates with positions: 2020-03-16, 2020-03-17"
    ):
        cache.book(new, dt.date(2020, 4, 1))
    assert dataclasses.is_dataclass(cache.book(old, DAY))
