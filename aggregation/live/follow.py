"""A live day as the lake has it: what has been committed of its orders and levels, taken into a live book that is kept.

Nothing is known of the day but what is in the lake: a process that is killed loses nothing, and the next one has the same state from the
same rows.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from aggregation.live.bands import Alarm, Band, Bands
from aggregation.live.level_rows import COLUMNS, LevelHistory, LevelRows
from aggregation.live.live_book import LiveBook
from aggregation.live.live_trades import READ
from aggregation.live.opening import LiveDay, find_opening, open_found
from aggregation.opened.opened_lake import VectorCache
from lake.schemas import TABLES
from lake.tables import NEVER_WRITTEN, Lake
from lake.versions import changed_rows

LEVELS, ORDERS = "intraday_levels", "orders"


@dataclass
class FollowedDay:
    """A live book and how much of each table is in it; to be used by one thread at a time, under `lock`."""

    live: LiveBook
    versions: dict[str, int] = field(default_factory=lambda: {ORDERS: NEVER_WRITTEN, LEVELS: NEVER_WRITTEN})
    lock: threading.Lock = field(default_factory=threading.Lock)
    _levels: LevelHistory = field(default_factory=LevelHistory)
    _bands: tuple[list[Band], Bands] = field(default_factory=lambda: ([], Bands([])))

    def catch_up(self, lake: Lake) -> dict[str, int]:
        """Takes in what was committed since; how many rows of orders and of levels."""
        self.live.lake = lake
        orders, levels = self._new_orders(lake), self._new_levels(lake)
        if orders:
            self.live.apply_orders(orders)
        if levels is not None:
            self.live.apply_levels(levels)
            self._take(levels)
        return {ORDERS: len(orders), LEVELS: 0 if levels is None else len(levels)}

    def alarms(self, lake: Lake) -> list[Alarm]:
        """The alarms of the day, by the bands that the lake has."""
        bands = bands_of(lake)
        if bands != self._bands[0]:
            self._bands = (bands, Bands(bands))
            if self._levels.rows is not None:
                self._take(self._levels.rows)
        return self._bands[1].alarms

    def _take(self, levels: LevelRows) -> None:
        """Holds levels to the bands; where none was set there is no alarm."""
        if self._bands[0]:
            self._bands[1].take(levels.of_ticks())

    def _new_orders(self, lake: Lake) -> list[dict[str, Any]]:
        was, now = self.versions[ORDERS], lake.version(ORDERS)
        if was == now:
            return []
        _, rows = changed_rows(lake.at({ORDERS: was}), lake.at({ORDERS: now}), ORDERS)
        self.versions[ORDERS] = now
        found: list[dict[str, Any]] = rows.select(READ).to_pylist(maps_as_pydicts="strict")
        return found

    def _new_levels(self, lake: Lake) -> LevelRows | None:
        if (now := lake.version(LEVELS)) == self.versions[LEVELS]:
            return None
        rows = lake.read(LEVELS, COLUMNS, version=now, among={"date": [self.live.day]})
        self.versions[LEVELS] = now
        return self._levels.take(rows)

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
