"""What queries read, opened once a process: vectors, books, and one against the other."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import math
import tempfile
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.dataset as ds

from aggregation.book.book import Book, load_book, no_positions, positions_files, write_book
from aggregation.book.entitled_lake import EntitledLake
from aggregation.book.hierarchies import with_levels
from aggregation.book.terms import book_in_terms
from aggregation.opened.alignment import Alignment, align
from aggregation.opened.reduce_strategy import Reduce, ReduceChoice, choose_reduce
from aggregation.opened.remembered import T, answers
from aggregation.opened.valuation_choice import Known
from aggregation.opened.vectors import Vectors, load_places, load_vectors, matrix_bytes, write_places, write_vectors
from lake.canonical import digest
from lake.disk_cache import DEFAULT_BYTES, Build, DiskCache, Kept
from lake.errors import Damaged
from lake.tables import NEVER_WRITTEN, Lake, Snapshot
from lake.versions import as_known
from scenarios.market.corporate_actions import TABLE
from scenarios.store import ids_by_name, known_sets
from scenarios.types import ScenarioDetails
from valuation.sets.standards import Standard, standard_of, standards
from valuation.sets.store import list_valuation_sets
from valuation.types import ValuationSet

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_KEPT = 192  # objects kept open by a process: mostly mapped, not held; capital alone reads some sixty valuation sets


_kept: dict[Path, Kept] = {}  # by cache folder


@contextmanager
def fresh_cache(lake: Lake) -> Iterator[VectorCache]:
    """An empty cache that is gone afterwards: what is read through it comes from the lake's own files."""
    parent = lake.state / "cache"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fresh-", dir=parent) as folder:
        cache = VectorCache(lake, Path(folder))
        try:
            yield cache
        finally:
            del _kept[Path(folder).resolve()]
            answers.clear()  # they would hold its files on the disk


class VectorCache:
    """The cache folder of a lake; what is open is shared by all `VectorCache` objects of that folder in the process."""

    def __init__(
        self,
        lake: Lake,
        folder: Path | None = None,
        limit_bytes: int = DEFAULT_BYTES,
        memory_bytes: float = math.inf,
        reduce: Reduce = "auto",
        spark: Callable[[], SparkSession] | None = None,
    ) -> None:
        """`reduce` and `memory_bytes` as `choose_reduce` takes them; `spark` gives the session where Spark may be chosen."""
        if reduce == "spark" and spark is None:
            raise ValueError("The reduce on Spark needs a function that gives the session")
        self.lake = lake
        self._memory_bytes, self._reduce, self._spark = memory_bytes, reduce, spark
        self._disk = DiskCache((folder or lake.state / "cache").expanduser().resolve(), limit_bytes)
        self._kept = _kept.setdefault(self._disk.folder, Kept(_KEPT))

    def as_known(self, told: str | None) -> VectorCache:
        """The same cache of the lake as it was known, see `lake.versions.as_known`; this one where nothing is told."""
        return self if told is None else self.of(as_known(self.lake, told))

    def of(self, lake: Lake) -> VectorCache:
        """The same cache of the lake as it is in `lake`."""
        other = copy.copy(self)
        other.lake = lake
        return other

    def _lake_id(self) -> tuple[str, int, str | None, str]:
        """Names this lake as it is known and seen, and not one made later in the same place."""
        known, lake = self.lake.known, self.lake
        return str(lake.path), lake.marker.stat().st_mtime_ns, None if known is None else known.told, lake.reader

    def vectors(self, seal: ValuationSet) -> Vectors:
        """The vectors of a sealed valuation set."""
        chosen = self.reduce_of(seal.submitted - seal.failed, seal.scenario_count)
        name = digest(str(self.lake.path), seal.key)
        if chosen.reduce == "spark":
            assert self._spark is not None
            # by the files that hold them, which are put together and removed as time goes by
            files = self.lake.data_files("pnl_vectors", {"valuation_date": [seal.valuation_date]})
            name = digest(name, "places", *(f.name for f in files))
            write: Build = functools.partial(write_places, self.lake, seal)
            load = functools.partial(load_places, seal, self._spark)
        else:
            write = functools.partial(write_vectors, self.lake, seal)
            load = functools.partial(load_vectors, seal, chosen.memory_bytes)
        session = self._spark if chosen.reduce == "spark" else None
        return self._kept.get((name, chosen.memory_bytes, session), lambda: self._disk.entry(name, write, load))

    def opened_vectors(self, seal: ValuationSet) -> Vectors | None:
        """The vectors of a sealed valuation set where they are open and passed over in this process, else None."""
        chosen = self.reduce_of(seal.submitted - seal.failed, seal.scenario_count)
        found: Vectors | None = self._kept.found((digest(str(self.lake.path), seal.key), chosen.memory_bytes, None))
        return found

    def reduce_of(self, n_contracts: int, n_scenarios: int) -> ReduceChoice:
        """How so many vectors are passed over; opens nothing and starts no Spark."""
        size = matrix_bytes(n_contracts, n_scenarios)
        return choose_reduce(self._reduce, size, self._memory_bytes, on_spark=self._spark is not None)

    def book(self, at: Snapshot, positions_date: dt.date, terms: dt.date | None = None) -> Book:
        """The book of a date at the snapshot's versions of positions and hierarchies, in the terms of a day, by default its own; raises
        `NotFound` with the nearest dates."""
        return self.in_terms(at, self._own_book(at, positions_date), terms or positions_date)

    def in_terms(self, at: Snapshot, book: Book, terms: dt.date, *, carried: bool = False) -> Book:
        """The book in the terms of a day, see `book_in_terms`."""
        version = at.versions.get(TABLE, self.lake.version(TABLE))
        if version == NEVER_WRITTEN or terms == book.positions_date:
            return book
        hierarchies = at.versions.get("hierarchies", self.lake.version("hierarchies"))

        def make() -> Book:
            made = book_in_terms(at, book, terms, carried=carried)
            if made is book or hierarchies == NEVER_WRITTEN:
                return made
            return with_levels(made, self.lake.read("hierarchies", version=hierarchies))

        return self.keep(("terms", book.positions_date, book.files, hierarchies, terms, version, carried), make)

    def is_opened(self, at: Snapshot, positions_date: dt.date) -> bool:
        """Whether the book of a date is open or lies in the cache; if not, opening one of a million positions takes seconds."""
        name, _ = self._book_name(at, positions_date)
        return name in self._kept or name in self._disk

    def _book_name(self, at: Snapshot, positions_date: dt.date) -> tuple[str, tuple[str, ...]]:
        """What the book of a date is kept under, and the names of its files."""
        files, reader = tuple(p.stem for p in positions_files(at, positions_date)), self.lake.reader
        return digest(str(self.lake.path), str(positions_date), *files, *([reader] if reader else [])), files

    def _own_book(self, at: Snapshot, positions_date: dt.date) -> Book:
        (name, files), reader = self._book_name(at, positions_date), self.lake.reader
        write = functools.partial(write_book, at, positions_date)
        load = functools.partial(load_book, positions_date, () if reader else files)
        book = self._kept.get(name, lambda: self._disk.entry(name, write, load))
        if reader and not book.n_positions:
            raise no_positions(at, positions_date)
        version = at.versions.get("hierarchies", self.lake.version("hierarchies"))
        if version == NEVER_WRITTEN:
            return book
        # of a part of the positions, which members have a level depends on the members of all their dates
        levels = (name, self._lake_id(), version, at.versions["positions"] if reader else None)
        return self._kept.get(levels, lambda: with_levels(book, self.lake.read("hierarchies", version=version)))

    def seals(self, at: Snapshot) -> list[ValuationSet]:
        """The sealed valuation sets, oldest first."""
        key = ("seals", self._lake_id(), at.versions["valuation_sets"])
        return self._kept.get(key, lambda: list_valuation_sets(at))

    def known(self, at: Snapshot) -> Known:
        """What the lake has valued, by which names, and what is standard there."""
        names = self._kept.get(("names", self._lake_id(), at.versions["scenario_sets"]), lambda: ids_by_name(at))
        every = self._kept.get(
            ("every seal", self._lake_id(), at.versions["valuation_sets"]), lambda: list_valuation_sets(at, every=True)
        )
        return Known(self.seals(at), names, self.standards(at), every)

    def standards(self, at: Snapshot) -> dict[str | None, Standard]:
        """The standard of the lake, under None, and of every desk that has one.

        To who sees one desk alone its standard is that of the lake, as it is to who sees more and filters to that desk.
        """

        def make() -> dict[str | None, Standard]:
            found = standards(at)
            granted = self.lake.entitlement.granted if isinstance(self.lake, EntitledLake) else {}
            alone = granted.get("desk", ()) if granted.keys() == {"desk"} else ()
            return {**found, None: standard_of(found, alone)} if len(alone) == 1 else found

        return self._kept.get(("standards", self._lake_id(), at.versions["standards"]), make)

    def scenarios(self, seal: ValuationSet) -> ScenarioDetails:
        """The scenario set that the set was valued under; no levels are read."""
        key = ("scenarios", self._lake_id(), seal.scenario_set_id, seal.scenario_set_name)
        return self._kept.get(key, lambda: self._read_scenarios(seal))

    def _read_scenarios(self, seal: ValuationSet) -> ScenarioDetails:
        where = ds.field("scenario_set_id") == seal.scenario_set_id
        stored = self.lake.read("scenario_sets", where=where)
        rows = (known_sets(self.lake, stored) or stored).to_pylist(maps_as_pydicts="strict")
        if not rows:
            raise Damaged(
                f"Scenario set {seal.scenario_set_id} of valuation set {seal.valuation_set_id} is not in the lake. "
                "Restore the lake from a copy."
            )
        # one content may be stored under several names, and again under one after another content
        named = [r for r in rows if r["name"] == seal.scenario_set_name] or rows
        return ScenarioDetails.from_row(max(named, key=lambda r: r["version"]))

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once and kept beside the other open objects; `key` names everything it is made of."""
        return self._kept.get((self._lake_id(), key), make)

    def entry(self, name: str, build: Build, load: Callable[[Path], T]) -> T:
        """What `load` gives of an entry of the disk cache, which `build` fills where it is not there; opened once, under its name."""
        named = digest(str(self.lake.path), name)
        return self._kept.get((named, "entry"), lambda: self._disk.entry(named, build, load))

    def alignment(self, book: Book, vectors: Vectors) -> Alignment:
        """The book against the valuation set, kept by the contracts of the one and the content of the other: a book that was changed in
        memory may bear the names of another. Of vectors that are of no stored set nothing is kept."""
        if not vectors.set_key:
            return align(book, vectors)
        return self._kept.get(("alignment", book.contracts_digest, vectors.set_key), lambda: align(book, vectors))
