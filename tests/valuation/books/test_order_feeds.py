"""Feeds of orders: whatever arrives twice, late, in another order or after a restart ends in the fold of the events."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from order_events import HEADER, order, order_lake

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.landing.order_feeds.feed import FeedReport, OrderFeed, committing
from lake.landing.order_feeds.folder import FolderSource
from lake.tables import Lake
from valuation.books.orders import order_reader


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return order_lake(tmp_path / "lake")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def never(seconds: float) -> bool:
    return False


def feed_of(lake: Lake, folder: Path, **options: Any) -> OrderFeed:
    reader = order_reader(lake)
    limits = {k: options.pop(k) for k in ("most_rows", "seconds") if k in options}
    source = FolderSource(folder, reader, settle_seconds=0.0, **options)
    return OrderFeed(lake, "folder", source, reader, committing(lambda: Committer(lake, "test")), **limits)


def run(lake: Lake, folder: Path, **options: Any) -> FeedReport:
    feed = feed_of(lake, folder, **options)
    feed.run(never, once=True)
    return feed.report()


def put(folder: Path, name: str, *rows: str) -> None:
    (folder / name).write_text("\n".join([HEADER, *rows]) + "\n")


def events(lake: Lake) -> set[tuple[str, int, str]]:
    rows = lake.read("orders").to_pylist()
    found = {(r["order_id"], r["sequence"], r["event"]) for r in rows}
    assert len(found) == len(rows), "an event stands twice"
    return found


def test_each_file_is_read_once_across_restarts(lake: Lake, folder: Path) -> None:
    put(folder, "a.csv", order("A", "buy", "10"))
    (folder / ".hidden.csv").write_text("no orders")
    (folder / "b.csv.part").write_text("order_id,seq")
    told = run(lake, folder)
    assert (told.rows, told.duplicates, told.counts, told.gaps) == (1, 0, {"files": 1}, ())
    (folder / "b.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n{order('B', 'sell', '4')}\n".encode()))
    versions = lake.version("orders"), lake.version("order_feeds")
    told = run(lake, folder)
    assert (told.rows, told.duplicates, told.counts) == (1, 0, {"files": 1})
    assert (lake.version("orders"), lake.version("order_feeds")) == (versions[0] + 1, versions[1] + 1)
    assert run(lake, folder).counts == {}
    assert events(lake) == {("A", 1, "new"), ("B", 1, "new")}


def test_a_file_is_read_when_it_is_marked_as_whole(lake: Lake, folder: Path) -> None:
    put(folder, "a.csv", order("A", "buy", "10"))
    feed = feed_of(lake, folder, marker=".done")
    assert feed._source.read(0) is None
    assert feed.report().lag == {"files": 1, "bytes": (folder / "a.csv").stat().st_size}
    (folder / "a.csv.done").touch()
    feed.run(never, once=True)
    assert feed.report().rows == 1
    assert feed.report().lag == {"files": 0, "bytes": 0}


def test_a_file_that_still_grows_is_not_read(lake: Lake, folder: Path) -> None:
    put(folder, "a.csv", order("A", "buy", "10"))
    source = FolderSource(folder, order_reader(lake), settle_seconds=3600)
    assert source.read(0) is None
    assert source.lag()["files"] == 1


def test_a_file_with_a_fault_is_refused_whole_and_told_until_it_is_replaced(lake: Lake, folder: Path) -> None:
    put(folder, "a.csv", order("A", "buy", "10"), order("B", "buy", "-3"))
    put(folder, "b.csv", order("C", "buy", "1"))
    told = run(lake, folder)
    assert (told.rows, told.refused) == (1, 1)
    assert run(lake, folder).refused == 1  # and is still told after a restart
    (kept,) = lake.read("order_feed_messages").to_pylist()
    assert (kept["part"], kept["status"]) == ("a.csv", "refused")
    assert "row 3, column quantity: expected a positive number" in kept["reason"]
    put(folder, "a.csv", order("A", "buy", "10"), order("B", "buy", "3"))
    told = run(lake, folder)
    assert (told.rows, told.refused) == (2, 0)
    assert lake.read("order_feed_messages").num_rows == 0


def test_other_content_under_a_number_that_is_taken_is_refused_and_the_rest_goes_on(lake: Lake, folder: Path) -> None:
    put(folder, "a.csv", order("A", "buy", "10"))
    put(folder, "b.csv", order("A", "buy", "11"), order("B", "buy", "1"))
    told = run(lake, folder)
    assert (told.rows, told.refused) == (2, 1)
    (kept,) = lake.read("order_feed_messages").to_pylist()
    assert kept["reason"].startswith("the lake has other content for order A, sequence 1, from a.csv")


def test_a_missing_number_of_an_order_is_told_until_it_comes(lake: Lake, folder: Path) -> None:
    put(folder, "a.csv", order("A", "buy", "10", sequence="4", event="correction"), order("A", "buy", "10"))
    put(folder, "b.csv", order("B", "buy", "1", sequence="2", event="correction"))
    put(folder, "c.csv", order("A", "buy", "12", sequence="2", event="correction"))
    told = run(lake, folder)
    assert told.gaps == ("2 orders with a missing sequence number: A (3), B (1)",)
    put(folder, "d.csv", order("A", "buy", "13", sequence="3", event="correction"))
    assert run(lake, folder).gaps == ("1 order with a missing sequence number: B (1)",)
    put(folder, "e.csv", order("B", "buy", "1"))
    assert run(lake, folder).gaps == ()


def test_rows_wait_while_somebody_else_writes_and_no_more_are_read(lake: Lake, folder: Path) -> None:
    for number in range(5):
        put(folder, f"{number}.csv", order(f"A{number}", "buy", "10"), order(f"B{number}", "buy", "10"))
    feed = feed_of(lake, folder, most_rows=4)
    asked = iter(range(30))
    with Committer(lake, "somebody else"):
        feed.run(lambda seconds: next(asked, None) is None)
        assert "somebody else" in (feed.held_by or "")
        assert (feed.report().rows, feed.report().lag["files"]) == (0, 3)
    put(folder, "x.csv", order("X", "buy", "1"))
    feed.run(never, once=True)
    assert (feed.held_by, feed.report().rows) == (None, 11)


def test_what_others_bring_in_meanwhile_is_known(lake: Lake, folder: Path) -> None:
    from valuation.books.orders import ingest_orders

    feed = feed_of(lake, folder)
    put(folder, "a.csv", order("A", "buy", "10"))
    with Committer(lake, "test") as committer:
        ingest_orders(committer, folder / "a.csv")
    put(folder, "b.csv", order("A", "buy", "11"))
    feed.run(never, once=True)
    told = feed.report()
    assert (told.rows, told.duplicates, told.refused) == (0, 1, 1)


def test_a_kill_between_rows_and_mark_is_made_good_by_reading_again(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.csv", order("A", "buy", "10"), order("A", "buy", "9", sequence="2", event="correction"))
    whole = Committer.put

    def dies(self: Committer, name: str, *rows: Any, **options: Any) -> int:
        if name == "order_feeds":
            raise OSError("gone")
        return whole(self, name, *rows, **options)

    monkeypatch.setattr(Committer, "put", dies)
    with pytest.raises(OSError, match="gone"):
        run(lake, folder)
    monkeypatch.setattr(Committer, "put", whole)
    told = run(lake, folder)
    assert (told.rows, told.duplicates) == (0, 2)
    assert events(lake) == {("A", 1, "new"), ("A", 2, "correction")}


def test_a_new_share_is_known_as_soon_as_the_lake_has_it(lake: Lake, folder: Path) -> None:
    from order_events import put_share

    feed = feed_of(lake, folder)
    put(folder, "a.csv", order("A", "buy", "10", symbol="EQ:NEW"))
    feed.run(never, once=True)
    assert feed.report().refused == 1
    put_share(lake, "EQ:NEW")
    put(folder, "b.csv", order("A", "buy", "10", symbol="EQ:NEW"))
    feed.run(never, once=True)
    assert feed.report().rows == 1


def test_names_and_folders_are_checked(lake: Lake, folder: Path) -> None:
    with pytest.raises(NotFound, match="There is no folder"):
        FolderSource(folder / "none", order_reader(lake))
    reader = order_reader(lake)
    with pytest.raises(BadInput, match="expected a name of at most 80"):
        OrderFeed(lake, "a/b", FolderSource(folder, reader), reader, committing(lambda: Committer(lake, "test")))
