"""What a view needs besides its request: the lake, the vector cache, the job table."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, g

from aggregation.book.entitled_lake import entitled
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session
from lake.errors import BadInput, Issue
from lake.tables import Lake
from service import proposals
from service.access.principal import LOCAL, Principal
from service.access.store import AccessStore, Caller
from service.config import Settings
from service.jobs import Job, JobTable
from service.operations import vector_cache

EXTENSION = "varlake"
PREFIX = "/api/v1"


@dataclass(frozen=True)
class Context:
    settings: Settings

    @property
    def lake(self) -> Lake:
        """As whoever asks may see it. Opened for each request, so that the web may start before there is a lake; raises `NotFound` until
        then."""
        return entitled(Lake.open(self.settings.lake), principal().entitlement)

    @property
    def cache(self) -> VectorCache:
        return vector_cache(self.settings, self.lake)

    @functools.cached_property
    def access(self) -> AccessStore:
        return AccessStore.of(self.settings)

    @property
    def own_access(self) -> AccessStore:
        """The same, changed by whoever asks."""
        return self.access.by(principal().name)

    @property
    def jobs(self) -> JobTable:
        return JobTable.of(self.lake, self.settings.jobs_waiting)

    def submit(self, kind: str, request: Mapping[str, Any]) -> Job:
        """Queues a job of whoever asks, or proposes it where another has to approve it."""
        asks = principal()
        proposal = proposals.proposal_of(self.settings, self.lake, kind, request, asks)
        return self.jobs.submit(kind, request, asks, proposal)[0]


def caller() -> Caller:
    """Whoever sent this request, and what it may do."""
    found: Caller = g.caller
    return found


def principal() -> Principal:
    """Whoever asks."""
    found: Principal = g.principal
    return found


def check_signed(field: str, name: str) -> None:
    """Raises `BadInput` where a user signs what it asks for by another name than its own."""
    own = principal()
    if own != LOCAL and name != own.name:
        message = f"expected {own.name}, who asks"
        raise BadInput(
            f"{field}: {message}; given {name[:80]}.", issues=(Issue(f"/{field}", message, name[:80], (own.name,)),)
        )


def session(lake: Lake | None = None) -> Session:
    """What whoever asks is answered with: it only reads. lake : default the lake as it is now."""
    here, asks = context(), principal()
    lake = lake or here.lake
    return Session(lake, vector_cache(here.settings, lake), entitlement=asks.entitlement, actor=asks.name)


def context() -> Context:
    found: Context = current_app.extensions[EXTENSION]
    return found
