"""A live day as the lake has it: what has been committed of its orders and levels, taken into a live book that is kept.

Nothing is known of the day but what is in the lake: a process that is killed loses nothing, and the next one has the same state from the
same rows.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from aggregation.live.bands import Alarm, Band, Bands
from aggregation.live.live_book import LiveBook
from aggregation.live.opening import LiveDay, find_opening, open_found
from aggregation.opened.opened_lake import VectorCache
from lake.schemas import TABLES
from lake.tables import NEVER_WRITTEN, Lake
from lake.versions import changed_rows

LEVELS, ORDERS = "intraday_levels", "orders"
_PARTS = 50_000  # rows of levels taken in at once


@dataclass
class FollowedDay:
    """A live book and how much of each table is in it; to be used by one thread at a time, under `lock`."""

    live: LiveBook
    versions: dict[str, int] = field(default_factory=lambda: {ORDERS: NEVER_WRITTEN, LEVELS: NEVER_WRITTEN})
    lock: threading.Lock = field(default_factory=threading.Lock)
    _bands: tuple[list[Band], Bands] = field(default_factory=lambda: ([], Bands([])))
    _levels: list[dict[str, object]] = field(default_factory=list)

    def catch_up(self, lake: Lake) -> dict[str, int]:
        """Takes in what was committed since; how many rows of orders and of levels."""
        self.live.lake = lake
        orders = self._new_rows(lake, ORDERS)
        levels = self._new_rows(lake, LEVELS)
        if orders:
            self.live.apply_orders(orders)
        for first in range(0, len(levels), _PARTS):
            self.live.apply_levels(levels[first : first + _PARTS])
        self._levels += levels
        self._bands[1].take(levels)
        return {ORDERS: len(orders), LEVELS: len(levels)}

    def alarms(self, lake: Lake) -> list[Alarm]:
        """The alarms of the day, by the bands that the lake has."""
        bands = bands_of(lake)
        if bands != self._bands[0]:
            self._bands = (bands, Bands(bands))
            self._bands[1].take(self._levels)
        return self._bands[1].alarms

    def _new_rows(self, lake: Lake, name: str) -> list[dict[str, object]]:
        if name not in TABLES or (now := lake.version(name)) == self.versions[name]:
            return []
        among = {"date": [self.live.day]} if name == LEVELS else None
        _, rows = changed_rows(lake.at({name: self.versions[name]}), lake.at({name: now}), name, among)
        self.versions[name] = now
        if name == LEVELS:
            rows = rows.sort_by("bucket_end")
        found: list[dict[str, object]] = rows.to_pylist(maps_as_pydicts="strict")
        return found

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
