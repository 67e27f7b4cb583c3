"""A feed of orders into the lake: exactly once in effect, whatever arrives twice, late, in another order or after a restart.

Why it reads in this process and not in Spark: docs/decisions/0057-feeds-of-orders.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from time import monotonic
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.committer import Committer
from lake.errors import BadInput, Conflict
from lake.landing.order_feeds.batch import FeedBatch, versions_read
from lake.landing.order_feeds.portion import (
    INCOMPLETE,
    OPEN,
    REFUSED,
    WAITING,
    Execution,
    Mark,
    Place,
    Portion,
    Resumed,
    Source,
    Told,
)
from lake.landing.orders import KnownOrders, OrderReader, Row, orders_table, other_content
from lake.schemas import ORDER_FEED_MESSAGES, ORDER_FEEDS
from lake.tables import NEVER_WRITTEN, Lake
from lake.words import first_of

ACT = "order_feed"
# commits a batch, and gives the versions then; raises `Conflict` where it cannot
Store = Callable[[FeedBatch], Mapping[str, int]]
_NAME = re.compile(r"[\w.-]{1,80}")


@dataclass(frozen=True)
class FeedReport:
    """What a feed has done since it began, and what stands open.

    rows : committed. duplicates : rows that the lake had, just so. refused, waiting, open, incomplete : messages that are kept in the table
    `order_feed_messages`. gaps : in words, what is known to be missing. lag : what is there and was not read.
    """

    feed: str
    rows: int
    duplicates: int
    refused: int
    waiting: int
    open: int
    incomplete: int
    commits: int
    gaps: tuple[str, ...]
    lag: dict[str, int]
    counts: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class OrderFeed:
    """Reads a source and has what it gives committed. store : see `committing`, which holds the lake for each commit alone.

    most_rows, seconds : a commit is made when so many rows have come, or this long after the first of them. Nothing more is read while
    rows wait for a commit that cannot be made: what is in memory is one portion more than `most_rows` at most, beside a digest
    for each row of the table `orders`.
    """

    def __init__(
        self,
        lake: Lake,
        name: str,
        source: Source,
        reader: OrderReader,
        store: Store,
        *,
        most_rows: int = 10_000,
        seconds: float = 5.0,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise BadInput(f"Feed {name!r}: expected a name of at most 80 letters, digits, '.', '_' and '-'.")
        self.name = name
        self._lake, self._source, self._reader, self._store = lake, source, reader, store
        self._most_rows, self._seconds = most_rows, seconds
        self._versions: dict[str, int]
        self._known: KnownOrders
        self._marks: dict[str, Mark]
        self._told: dict[Place, Told]
        self._look()
        self._waiting = Portion()
        self._since: float | None = None  # when the first of what waits was read
        self._done: Counter[str] = Counter()
        self.held_by: str | None = None  # who keeps the lake from being written, where somebody does
        source.resume(Resumed(self._marks, self._told, executions(lake)))

    def run(
        self, stopped: Callable[[float], bool], *, once: bool = False, tell: Callable[[], None] = lambda: None
    ) -> None:
        """Reads until told to stop. stopped : waits these seconds at most, and says whether to stop. once : until nothing is left to
        read. tell : called after each commit. What was read and not committed when it stops is read again at the next start."""
        while not stopped(0):
            full = len(self._waiting.rows) >= self._most_rows
            portion = None if full else self._source.read(min(0.2, self._seconds))
            if portion is not None:
                self._waiting.add(portion)
                self._since = monotonic() if self._since is None else self._since
            idle = portion is None and not full and self._source.drained()
            due = self._since is not None and monotonic() - self._since >= self._seconds
            if self._since is not None and (full or due or (once and idle)):
                if self._commit():
                    tell()
                elif stopped(0.2):
                    return
            elif once and idle:
                return

    def _commit(self) -> bool:
        """Commits what waits; False where it cannot be just now, as somebody else holds the lake."""
        if versions_read(self._lake) != self._versions:  # somebody else has written
            self._look()
        fresh, kept, marks, duplicates = self._sifted()
        changed = fresh or kept != self._told or marks != self._marks
        if changed:
            try:
                self._versions = dict(self._store(self._batch(fresh, kept, marks)))
            except Conflict as error:
                self.held_by = error.message
                return False
        self.held_by = None
        for row in fresh:
            self._known.add(row)
        self._known.version = self._versions["orders"]
        self._told, self._marks = kept, marks
        done = {"rows": len(fresh), "duplicates": duplicates, "commits": int(bool(changed))}
        self._done += self._waiting.counts + Counter(done)
        self._waiting, self._since = Portion(), None
        return True

    def _look(self) -> None:
        """Reads what the lake has."""
        self._versions = versions_read(self._lake)
        self._known = KnownOrders(self._lake)
        self._marks, self._told = stored(self._lake, self.name)

    def _sifted(self) -> tuple[list[Row], dict[Place, Told], dict[str, Mark], int]:
        """Of what waits the rows that the lake has not, the messages and marks that are kept then, and how many rows were known."""
        fresh: dict[tuple[str, int], Row] = {}
        told: dict[Place, Told | None] = {**self._told, **self._waiting.told}
        duplicates = 0
        for place, text, row in self._waiting.rows:
            key = row["order_id"], row["sequence"]
            held = fresh.get(key)
            other = self._known.other(row) if held is None else self._known.differ(held, row)
            if other is not None:
                told[place] = Told(REFUSED, other_content(row, "", other).message, text)
            elif held is None and row not in self._known:
                fresh[key] = row
            else:
                duplicates += 1
        kept = {place: message for place, message in told.items() if message is not None}
        return list(fresh.values()), kept, {**self._marks, **self._waiting.marks}, duplicates

    def _batch(self, fresh: list[Row], kept: Mapping[Place, Told], marks: Mapping[str, Mark]) -> FeedBatch:
        messages = [
            {"feed": self.name, "part": part, "position": position, **message._asdict()}
            for (part, position), message in sorted(kept.items())
        ]
        marked = [{"feed": self.name, "part": part, **mark._asdict()} for part, mark in sorted(marks.items())]
        return FeedBatch(
            self.name,
            self._versions,
            orders_table(fresh),
            self._reader.contracts_of(fresh),
            pa.Table.from_pylist(messages, schema=ORDER_FEED_MESSAGES.schema),
            pa.Table.from_pylist(marked, schema=ORDER_FEEDS.schema),
        )

    def report(self) -> FeedReport:
        """What was done so far."""
        status = Counter(message.status for message in self._told.values())
        done = dict(self._done)
        own = [done.pop(name, 0) for name in ("rows", "duplicates", "commits")]
        unfilled = tuple(m.reason for m in self._told.values() if m.status == INCOMPLETE)
        gaps = (*missing(self._marks), *unfilled, *self._known.gaps())
        return FeedReport(
            self.name,
            own[0],
            own[1],
            status[REFUSED],
            status[WAITING],
            status[OPEN],
            status[INCOMPLETE],
            own[2],
            gaps,
            self._source.lag(),
            done,
        )


def committing(writer: Callable[[], AbstractContextManager[Committer]]) -> Store:
    """Commits batches with the committers that it is given, one each, so that others can write between two."""

    def store(batch: FeedBatch) -> Mapping[str, int]:
        asked = {"feed": batch.feed, "rows": batch.orders.num_rows}
        with writer() as committer, committer.acting(ACT, asked):
            return batch.commit(committer)

    return store


def stored(lake: Lake, feed: str) -> tuple[dict[str, Mark], dict[tuple[str, int], Told]]:
    """How far a feed has read, by part, and the messages that are kept of it, by place."""
    mine = ds.field("feed") == feed
    marks = {
        r["part"]: Mark(r["position"], r["digest"], tuple(r["missing"] or ()))
        for r in lake.read(ORDER_FEEDS.name, where=mine).to_pylist()
    }
    told = {
        (r["part"], r["position"]): Told(r["status"], r["reason"], r["text"])
        for r in lake.read(ORDER_FEED_MESSAGES.name, where=mine).to_pylist()
    }
    return marks, told


def executions(lake: Lake) -> dict[str, Execution]:
    """What came by FIX, by ExecID."""
    if lake.version("orders") == NEVER_WRITTEN:
        return {}
    columns = ["execution_id", "order_id", "sequence", "parent_order_id", "session", "quantity"]
    rows = lake.read("orders", columns)
    rows = rows.filter(pc.is_valid(rows["execution_id"]))
    return {r.pop("execution_id"): Execution(units=Fraction(r.pop("quantity") or 0), **r) for r in rows.to_pylist()}


def missing(marks: dict[str, Mark]) -> tuple[str, ...]:
    """In words, the numbers that have not arrived, by part."""
    return tuple(f"{part}: {first_of(mark.missing, 5)} missing" for part, mark in sorted(marks.items()) if mark.missing)
