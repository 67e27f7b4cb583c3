"""What a view needs besides its request: the lake, the vector cache, the job table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, g

from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session
from lake.tables import Lake
from service.access.principal import LOCAL, Principal
from service.config import Settings
from service.jobs import Job, JobTable
from service.operations import vector_cache

EXTENSION = "varlake"


@dataclass(frozen=True)
class Context:
    settings: Settings

    @property
    def lake(self) -> Lake:
        """Opened for each request, so that the web may start before there is a lake; raises `NotFound` until then."""
        return Lake.open(self.settings.lake)

    @property
    def cache(self) -> VectorCache:
        return vector_cache(self.settings, self.lake)

    @property
    def jobs(self) -> JobTable:
        return JobTable.of(self.lake, self.settings.jobs_waiting)

    def submit(self, kind: str, request: Mapping[str, Any]) -> Job:
        """Queues a job of whoever asks."""
        return self.jobs.submit(kind, request, principal())[0]


def principal() -> Principal:
    """Whoever asks."""
    found: Principal = g.get("principal", LOCAL)
    return found


def session(lake: Lake | None = None) -> Session:
    """What whoever asks is answered with: it only reads. lake : default the lake as it is now."""
    here, asks = context(), principal()
    lake = lake or here.lake
    return Session(lake, vector_cache(here.settings, lake), entitlement=asks.entitlement, actor=asks.name)


def context() -> Context:
    found: Context = current_app.extensions[EXTENSION]
    return found
