"""Valuation of one day after the other: what is shared by the days is read once, and each day is sealed by itself.

A run that is stopped keeps the days it sealed; the next one values the others. Memory holds one day's scenarios at a time.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.committer import Committer
from lake.errors import NotFound, VarlakeError
from lake.progress import Progress, go_on, silent
from lake.tables import Lake, Snapshot, rows_among
from scenarios.requests import ScenarioRequest, default_name, make_scenario_set
from scenarios.store import ids_by_name, save_scenario_set
from valuation.books.contracts import contracts_by_id
from valuation.costs import Costs, Estimate, Work
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan
from valuation.sets.store import list_valuation_sets

_HELD = ("market_data", "risk_factors", "corporate_actions", "valuation_sets")


@dataclass(frozen=True)
class DailyPlan:
    """What valuing a range of days would take. `valued` days have a sealed set of that name; `books` hold positions.

    contracts : contract-days to value, at most: what the lake has already is not valued again. expected_bytes : of vectors and
    scenario levels, before compression.
    """

    scenario_set: str
    days: int
    books: int
    valued: int
    missing: int
    contracts: int
    scenarios: int
    cost: Estimate
    expected_bytes: int

    def to_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        del fields["cost"]
        return fields | self.cost.to_dict()


class HeldSnapshot(Snapshot):
    """A snapshot that keeps in memory what every day reads: the market, and the seals there were at the start.

    Vectors are read as they are now: a day's own run alone adds to those of its date.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot.lake, snapshot.versions)
        self._held = {name: snapshot.read(name).combine_chunks() for name in _HELD}

    def read(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
        among: Mapping[str, Iterable[Any]] | None = None,
    ) -> pa.Table:
        if name not in self._held:
            return super().read(name, columns, where, among)
        wanted = None if columns is None else list(columns)
        return ds.dataset(self._held[name]).to_table(columns=wanted, filter=rows_among(where, among))

    def follow(self) -> None:
        """Takes the present version of the vectors."""
        self.versions["pnl_vectors"] = self.lake.version("pnl_vectors")


class _Books:
    """Which contracts are held on each day; positions and contracts are read once."""

    def __init__(self, snapshot: Snapshot, first: dt.date, last: dt.date) -> None:
        where = (ds.field("positions_date") >= first) & (ds.field("positions_date") <= last)
        held = snapshot.read("positions", ["positions_date", "contract_id"], where)
        held = held.group_by(["positions_date", "contract_id"]).aggregate([]).sort_by("positions_date")
        self._contracts = contracts_by_id(snapshot, pc.unique(held["contract_id"])).combine_chunks()
        self._rows = pc.index_in(held["contract_id"], self._contracts["contract_id"].combine_chunks())
        days = held["positions_date"].to_numpy().astype("datetime64[D]")
        self.dates, self._starts = np.unique(days, return_index=True)
        self._ends = np.append(self._starts[1:], len(days))

    @property
    def kinds(self) -> list[str]:
        """The instrument type of each contract of each day."""
        kinds: list[str] = self._contracts["instrument_type"].take(self._rows).to_pylist()
        return kinds

    def days(self) -> list[dt.date]:
        return [d.item() for d in self.dates]

    def contracts(self, day: dt.date) -> pa.Table:
        """Rows of the contracts table held on the day."""
        at = int(np.searchsorted(self.dates, np.datetime64(day)))
        return self._contracts.take(self._rows[self._starts[at] : self._ends[at]])


def plan_days(lake: Lake, days: Sequence[dt.date], request: ScenarioRequest) -> DailyPlan:
    """What `value_days` would do; writes nothing. Raises `NotFound` where no day has a book."""
    snapshot = lake.snapshot()
    name = default_name(request) if request.name is None else request.name
    books = _books(snapshot, days)
    missing = _missing(snapshot, books.days(), days, name)
    scenarios = int(request.parameters.get("scenarios", 500))
    costs = Costs(snapshot.lake)
    counts = [Counter(books.contracts(d)["instrument_type"].to_pylist()) for d in missing]
    works = (Work.of_type(kind, n, 1 + scenarios) for each in counts for kind, n in each.items())
    n = sum(each.total() for each in counts)
    factors = snapshot.read("risk_factors", ["risk_factor_id"]).num_rows
    held = [d for d in books.days() if d in set(days)]
    return DailyPlan(
        name,
        len(days),
        len(held),
        len(held) - len(missing),
        len(missing),
        n,
        scenarios,
        costs.together(works),
        8 * scenarios * (n + factors * len(missing)),
    )


def value_days(
    committer: Committer,
    days: Sequence[dt.date],
    request: ScenarioRequest,
    *,
    progress: Progress = silent,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Values and seals each day that has a book and no set of that name; each in this process, with its own scenario window.

    Returns counts, and by day why one could not be valued: a day without enough history or market stops no other.
    """
    snapshot = HeldSnapshot(committer.lake.snapshot())
    name = default_name(request) if request.name is None else request.name
    books = _books(snapshot, days)
    missing = _missing(snapshot, books.days(), days, name)
    tally: dict[str, Any] = {"scenario_set": name, "days": 0, "valued": 0, "reused": 0, "failed": 0}
    refused: dict[str, str] = {}
    for i, day in enumerate(missing):
        progress(str(day), i, len(missing))
        go_on(cancelled)
        try:
            scenarios = save_scenario_set(committer, make_scenario_set(snapshot, day, request))
        except VarlakeError as error:
            refused[str(day)] = error.message
            continue
        snapshot.follow()
        plan = make_plan(snapshot, books.contracts(day), scenarios, day, cancelled=cancelled)
        run = run_plan(committer, plan, runner="in-process", cancelled=cancelled).this_run
        tally["days"] += 1
        tally["valued"] += run.valued
        tally["reused"] += run.reused
        tally["failed"] += run.failed
    progress("done", len(missing), len(missing))
    return {**tally, "refused": refused}


def _books(snapshot: Snapshot, days: Sequence[dt.date]) -> _Books:
    books = _Books(snapshot, min(days), max(days))
    if not set(books.days()) & set(days):
        raise NotFound(
            f"No book from {min(days)} to {max(days)}. `varlake sample book FOLDER --positions 500 --dates {min(days)}:{max(days)}` "
            "writes one, and `varlake ingest positions` brings it in."
        )
    return books


def _missing(snapshot: Snapshot, held: Sequence[dt.date], days: Sequence[dt.date], name: str) -> list[dt.date]:
    """The days with a book and without a sealed set of that name on their own market."""
    ids = ids_by_name(snapshot).get(name, {})
    done = {
        s.valuation_date
        for s in list_valuation_sets(snapshot)
        if s.scenario_set_id in ids and s.market_date == s.valuation_date
    }
    return [d for d in held if d in set(days) - done]
