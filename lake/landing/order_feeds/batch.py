"""What a feed of orders commits in one go, by itself or, as a file, by the engine that holds the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lake.committer import Committer
from lake.errors import Conflict, NotFound
from lake.landing.orders import put_orders
from lake.schemas import ORDER_FEED_MESSAGES, ORDER_FEEDS, ORDERS
from lake.storage import write_durable
from lake.tables import Lake

TABLES_READ = (ORDERS.name, ORDER_FEEDS.name, ORDER_FEED_MESSAGES.name)


def versions_read(lake: Lake) -> dict[str, int]:
    """The versions of the tables that a batch follows from."""
    return {name: lake.version(name) for name in TABLES_READ}


@dataclass(frozen=True)
class FeedBatch:
    """Rows that the lake has not at these `versions`, with their contracts; and of the feed all marks and all messages that are kept."""

    feed: str
    versions: Mapping[str, int]
    orders: pa.Table
    contracts: pa.Table
    messages: pa.Table
    marks: pa.Table

    def commit(self, committer: Committer) -> dict[str, int]:
        """Commits it; the versions then. Raises `Conflict` where somebody has written since it was made: what it adds may be there now."""
        lake = committer.lake
        if versions_read(lake) != dict(self.versions):
            raise Conflict(f"Orders were written since the feed {self.feed} looked; it looks again.")
        note = {"order_feed": self.feed}
        if self.orders.num_rows:
            put_orders(committer, self.orders, self.contracts, note)
        # marks last: no kill leaves anything marked as read that is not committed
        for table, rows in ((ORDER_FEED_MESSAGES, self.messages), (ORDER_FEEDS, self.marks)):
            if rows.num_rows or lake.version(table.name) >= 0:
                emptied = () if rows.num_rows else (self.feed,)
                committer.put(table.name, rows, replace=True, note=note, emptied=emptied)
        return versions_read(lake)

    def write(self, path: Path) -> None:
        """Writes its tables to a file, one after the other."""
        sink = pa.BufferOutputStream()
        for table in (self.orders, self.contracts, self.messages, self.marks):
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
        write_durable(path, sink.getvalue())

    @classmethod
    def read(cls, path: Path, feed: str, versions: Mapping[str, int]) -> FeedBatch:
        """The batch of a file that was written; raises `NotFound` where the feed has taken it back."""
        try:
            source = pa.OSFile(str(path))
        except FileNotFoundError:
            raise NotFound(f"The feed {feed} has taken back what was to be committed; it reads it again.") from None
        with source:
            tables = [pa.ipc.open_stream(source).read_all() for _ in range(4)]
        return cls(feed, versions, *tables)
