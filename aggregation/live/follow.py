"""A live day as the lake has it: what has been committed of its orders and levels, taken into a live book that is kept.

Nothing is known of the day but what is in the lake: a process that is killed loses nothing, and the next one has the same state from the
same rows.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from aggregation.live.bands import Alarm, Band, Bands
from aggregation.live.level_rows import LevelRows
from aggregation.live.live_book import LiveBook
from aggregation.live.opening import LiveDay, find_opening, open_found
from aggregation.opened.opened_lake import VectorCache
from lake.schemas import TABLES
from lake.tables import NEVER_WRITTEN, Lake
from lake.versions import changed_rows

LEVELS, ORDERS = "intraday_levels", "orders"
_NONE = pa.table({})


@dataclass
class FollowedDay:
    """A live book and how much of each table is in it; to be used by one thread at a time, under `lock`."""

    live: LiveBook
    versions: dict[str, int] = field(default_factory=lambda: {ORDERS: NEVER_WRITTEN, LEVELS: NEVER_WRITTEN})
    lock: threading.Lock = field(default_factory=threading.Lock)
    _bands: tuple[list[Band], Bands] = field(default_factory=lambda: ([], Bands([])))
    _levels: list[pa.Table] = field(default_factory=list)

    def catch_up(self, lake: Lake) -> dict[str, int]:
        """Takes in what was committed since; how many rows of orders and of levels."""
        self.live.lake = lake
        orders = self._new_rows(lake, ORDERS)
        levels = self._new_rows(lake, LEVELS)
        if len(orders):
            self.live.apply_orders(orders.to_pylist(maps_as_pydicts="strict"))
        if len(levels):
            self.live.apply_levels(LevelRows.of_table(levels))
            self._levels.append(levels)
            self._take(levels)
        return {ORDERS: len(orders), LEVELS: len(levels)}

    def alarms(self, lake: Lake) -> list[Alarm]:
        """The alarms of the day, by the bands that the lake has."""
        bands = bands_of(lake)
        if bands != self._bands[0]:
            self._bands = (bands, Bands(bands))
            for levels in self._levels:
                self._take(levels)
        return self._bands[1].alarms

    def _take(self, levels: pa.Table) -> None:
        """Holds levels to the bands; where none was set nobody needs to know them."""
        if self._bands[0]:
            own = pc.and_(pc.equal(levels["carried_seconds"], 0), pc.is_valid(levels["level"]))
            self._bands[1].take(levels.filter(own).sort_by("bucket_end").to_pylist())

    def _new_rows(self, lake: Lake, name: str) -> pa.Table:
        if name not in TABLES or (now := lake.version(name)) == self.versions[name]:
            return _NONE
        among = {"date": [self.live.day]} if name == LEVELS else None
        _, rows = changed_rows(lake.at({name: self.versions[name]}), lake.at({name: now}), name, among)
        self.versions[name] = now
        return rows

    def is_before(self, lake: Lake) -> bool:
        """Whether all that is in it is in the lake as it is read."""
        return all(self.versions[n] <= lake.version(n) for n in self.versions if n in TABLES)


def follow(cache: VectorCache, asked: LiveDay) -> FollowedDay:
    """The day as the lake of the cache has it, not yet caught up; kept by the process for the next question about it."""
    found = find_opening(cache, asked)

    def make() -> FollowedDay:
        return FollowedDay(LiveBook(open_found(cache, found)))

    day = cache.keep(("live day", found.key), make)
    # of an earlier state of the lake, as a replay asks for it, there is no way back
    return day if day.is_before(cache.lake) else make()


def bands_of(lake: Lake) -> list[Band]:
    """The bands that were set; none where nobody has set one: there are no alarms then."""
    if lake.version("alarm_bands") == NEVER_WRITTEN:
        return []
    names = list(Band.__dataclass_fields__)
    return [Band(**row) for row in lake.read("alarm_bands", names).to_pylist()]
