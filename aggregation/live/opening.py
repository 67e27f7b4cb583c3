"""What a live day opens with: the book of a date, a scenario set, and the levels before the day."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from aggregation.book.book import Book, nearest_dates, positions_files
from aggregation.book.hierarchies import with_levels
from aggregation.live.live_market import opening_base
from aggregation.opened.inputs import MARKET
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.valuation_choice import answered_days
from lake.dates import Day
from lake.errors import NotFound
from lake.tables import NEVER_WRITTEN, Lake, Snapshot
from scenarios.derived.rebased import NewBase
from scenarios.store import find_scenario_set, load_stored
from scenarios.types import ScenarioSet, ScenarioSummary
from valuation.books.contracts import contracts_held, positions_dates
from valuation.sets.standards import Standard

TABLE = "live_snapshots"
OPEN = 0  # number of the row that says what a day opened with


class LiveDay(BaseModel):
    """A live day, and what it opens with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: Day = Field(description="the live day: its prices and trades so far are put onto what was stored before")
    positions_date: Day | None = Field(
        None, description="date of the book it opens with; default the newest on or before the day"
    )
    scenario_set: str | None = Field(
        None, description="name or id of the stored scenario set whose moves are taken; default the standard's newest"
    )


@dataclass(frozen=True)
class Opening:
    """book : in the terms of the day, its date the day. contracts : rows of the contracts it holds. base : levels before any of the day.

    name : of the scenario sets that snapshots of the day store.
    """

    day: dt.date
    at: Snapshot
    positions_date: dt.date
    book: Book
    contracts: pa.Table
    source: ScenarioSet
    standard: Standard
    base: NewBase
    name: str


def live_name(source: str) -> str:
    """The name of the sets of live days under the moves of a scenario set: never that of the set itself, whose window ends with its day."""
    return source if source.startswith("live-") else f"live-{source}"


def opened_at(lake: Lake, day: dt.date) -> Lake:
    """The lake at the versions that the day opened with, once a snapshot of it has been begun; before, as it is."""
    rows = [r for r in open_rows(lake, day) if r["snapshot"] == OPEN]
    if not rows:
        return lake
    return lake.at({name: rows[0][f"{name}_version"] for name in ("positions", "market_data")})


def open_rows(lake: Lake, day: dt.date) -> list[dict[str, Any]]:
    """The rows of `live_snapshots` of a day, the open first."""
    if lake.version(TABLE) == NEVER_WRITTEN:
        return []
    rows: list[dict[str, Any]] = lake.read(TABLE, among={"day": [day]}).sort_by("snapshot").to_pylist()
    return rows


@dataclass(frozen=True)
class FoundOpening:
    """What a day opens with, by name. key : the same while that stays as it is."""

    day: dt.date
    at: Snapshot
    positions_date: dt.date
    row: ScenarioSummary
    name: str
    standard: Standard

    @property
    def key(self) -> tuple[object, ...]:
        files = tuple(f.stem for f in positions_files(self.at, self.positions_date))
        versions = tuple(self.at.versions[n] for n in ("hierarchies", *MARKET))
        return self.day, self.positions_date, files, versions, self.row.scenario_set_id, self.name


def find_opening(cache: VectorCache, asked: LiveDay) -> FoundOpening:
    """What a day opens with; raises `NotFound` where no book or no valued scenario set is on or before it."""
    rows = [r for r in open_rows(cache.lake, asked.as_of) if r["snapshot"] == OPEN]
    if rows:  # a snapshot has put positions and levels of the day into the lake: it opened with those before
        cache = cache.of(opened_at(cache.lake, asked.as_of))
        told = {"positions_date": rows[0]["positions_date"], "scenario_set": rows[0]["scenario_set_id"]}
        asked = asked.model_copy(update=told)
    at = cache.lake.snapshot(
        "valuation_sets", "positions", "hierarchies", "scenario_sets", "standards", "contracts", *MARKET
    )
    known = cache.known(at)
    there = positions_dates(at)
    date = asked.positions_date or max((d for d in there if d <= asked.as_of), default=None)
    if date is None or date not in there:
        near = nearest_dates(date or asked.as_of, set(there), "with positions")
        raise NotFound(f"No positions on {'or before ' * (date is None)}{date or asked.as_of}. {near}")
    standard = known.standards.get(None, Standard())
    if asked.scenario_set is not None:
        row = find_scenario_set(at, asked.scenario_set)
        return FoundOpening(asked.as_of, at, date, row, live_name(row.name), standard)
    days = [s for s in answered_days(known, standard.scenario_set) if s.valuation_date <= asked.as_of and s.sample]
    if not days:
        raise NotFound(
            f"No day up to {asked.as_of} is valued, so that there are no moves to put onto its levels. Value one with "
            "`varlake value`, or name a stored scenario set."
        )
    row = find_scenario_set(at, days[0].scenario_set_id)
    return FoundOpening(asked.as_of, at, date, row, live_name(days[0].scenario_set_name), standard)


def open_day(cache: VectorCache, asked: LiveDay) -> Opening:
    """Opens a day on what is stored; raises as `find_opening`, and `BadInput` for a day without business."""
    return open_found(cache, find_opening(cache, asked))


def open_found(cache: VectorCache, found: FoundOpening) -> Opening:
    """Reads what was found."""
    at, lake = found.at, found.at.lake
    source = load_stored(at, found.row)
    base = opening_base(at, found.day, source)
    book = dataclasses.replace(cache.of(lake).book(at, found.positions_date, found.day), positions_date=found.day)
    if at.versions["hierarchies"] != NEVER_WRITTEN:
        book = with_levels(book, lake.read("hierarchies", version=at.versions["hierarchies"]))
    contracts = contracts_held(at, [found.positions_date], found.day)
    return Opening(found.day, at, found.positions_date, book, contracts, source, found.standard, base, found.name)
