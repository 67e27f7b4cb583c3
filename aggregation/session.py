"""What a question is answered with: the lake as it is opened, and what may be used to value what is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aggregation.book.entitled_lake import EntitledLake, entitled
from aggregation.opened.opened_lake import VectorCache
from lake.errors import NotReady
from lake.progress import Progress, silent

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from aggregation.book.entitlement import Entitlement
    from lake.committer import Committer
    from lake.tables import Lake


def no_spark() -> SparkSession:
    """For a process that may not start Spark."""
    raise NotReady("This process starts no Spark; large valuations are jobs of the engine.")


@dataclass(frozen=True)
class Session:
    """One lake, opened once, and the rights and means of whoever asks.

    committer : the lake's writer, where something may be valued or stored; None for a session that only reads. spark : gives
    the Spark session when it is called. progress, cancelled : how long work tells how far it is, and how it is stopped.
    entitlement : what of the book whoever asks may see; None for everything: the lake is cut to it. actor : its name. approved_by : who
    approved the work; None where nobody had to.
    """

    lake: Lake
    cache: VectorCache
    committer: Committer | None = None
    spark: Callable[[], SparkSession] = no_spark
    progress: Progress = silent
    cancelled: threading.Event | None = None
    entitlement: Entitlement | None = None
    actor: str = "local"
    approved_by: str | None = None

    def __post_init__(self) -> None:
        if self.entitlement is None:
            return
        lake, reader = self.lake, self.entitlement.reader
        if lake.reader != reader:
            lake = entitled(lake.whole(), self.entitlement)
            object.__setattr__(self, "lake", lake)
        if self.cache.lake.reader != reader:
            object.__setattr__(self, "cache", self.cache.of(lake))
        if self.committer is not None and self.committer.lake.reader != reader:
            object.__setattr__(self, "committer", self.committer.reading(lake))

    def writer(self) -> Committer:
        """The committer; raises `NotReady` in a session that only reads."""
        if self.committer is None:
            raise NotReady("This session only reads. Ask for the plan, then have it valued, then ask again.")
        return self.committer

    def telling(self, progress: Progress) -> Session:
        """The same session, which tells how far it is."""
        return replace(self, progress=progress)

    def writing(self, committer: Committer) -> Session:
        """The same session with the right to write."""
        return replace(self, committer=committer)

    def as_known(self, told: str | None) -> Session:
        """The same session with the lake as it was known, see `lake.versions.as_known`; this one where nothing is told."""
        if told is None:
            return self
        cache = self.cache.as_known(told)
        committer = self.committer and self.committer.reading(cache.lake)
        return replace(self, lake=cache.lake, cache=cache, committer=committer)

    def of(self, lake: Lake) -> Session:
        """The same session, which only reads, of the lake as it is in `lake`."""
        if lake is self.lake:
            return self
        entitlement = lake.entitlement if isinstance(lake, EntitledLake) else None
        return replace(self, lake=lake, cache=self.cache.of(lake), committer=None, entitlement=entitlement)


def reading(lake: Lake, cache: VectorCache | None = None) -> Session:
    """A session that only reads."""
    return Session(lake, cache or VectorCache(lake))
