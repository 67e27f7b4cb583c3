"""The lake: Delta tables, read at a pinned version."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import fcntl
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from lake.audit import Trail
from lake.delta_log import DeltaLog
from lake.errors import BadInput, NotFound, unknown
from lake.schemas import TABLES, Table
from lake.storage import check_data_file, partition_text, write_durable

STATE_FOLDER = "_varlake"
_MARKER = f"{STATE_FOLDER}/lake.json"
NEVER_WRITTEN = -1


def table_called(name: str) -> Table:
    if name not in TABLES:
        raise unknown("table", name, TABLES)
    return TABLES[name]


class _Opened:
    """A table as it was opened: still the newest while its last log entry is the same file and none follows."""

    def __init__(self, table: DeltaTable, log: Path, version: int) -> None:
        self.table = table
        self.version = version
        self.dataset: ds.Dataset | None = None  # made with the first read: it lists every file with its statistics
        self.files: dict[str, list[Path]] = {}  # by the partition values asked for
        self._last = log / f"{version:020d}.json"
        self._next = log / f"{version + 1:020d}.json"
        self._mark = self._state()

    def _state(self) -> tuple[int, int] | None:
        try:
            state = self._last.stat()
        except FileNotFoundError:
            return None
        return state.st_ino, state.st_mtime_ns

    def is_newest(self) -> bool:
        return self._mark is not None and self._state() == self._mark and not self._next.exists()


@dataclass(frozen=True)
class AsKnown:
    """What was known of a lake: an instant, or versions of tables, as it was `told`.

    A scenario set rests on what was known where it was made of no later market data than version `market_data`; one that was made of
    none, where it was stored by the `instant`.
    """

    told: str
    instant: dt.datetime | None
    market_data: int | None


@functools.lru_cache(4096)  # a question looks at some thirty tables
def _log(lake: Path, name: str) -> DeltaLog:
    return DeltaLog(lake / name, lake / STATE_FOLDER / "logs" / f"{name}.json")


# opening a table reads its log, which took half the time of a warm query
_opened: dict[Path, _Opened] = {}


class Lake:
    """A lake folder, for reading. `Lake.open` checks that it is one; `Lake.create` makes it when absent.

    reader : what whoever reads may see, as text; empty for everything, see `aggregation.book.entitled_lake`.
    """

    reader = ""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().resolve()
        self._as_of: dict[str, int] = {}
        self.known: AsKnown | None = None  # where not all that is known now may be used: see `lake.versions`

    @classmethod
    def open(cls, path: str | Path) -> Lake:
        lake = cls(path)
        if not lake.marker.is_file():
            raise NotFound(
                f"There is no lake at {lake.path}. Bring data in first, with `varlake ingest market` or `varlake demo`, "
                "or name another folder with --lake or the setting VARLAKE_LAKE."
            )
        return lake

    @classmethod
    def create(cls, path: str | Path) -> Lake:
        """Opens the lake, making an empty one first where there is none; refuses a folder that holds something else."""
        if "://" in str(path):
            raise BadInput(f"The lake path {path} is not a folder of this machine; give a local or mounted folder.")
        lake = cls(path)
        if not lake.marker.is_file():
            if lake.path.is_dir() and any(lake.path.iterdir()):
                raise BadInput(f"{lake.path} holds other files and is not a lake; give an empty or a new folder.")
            write_durable(lake.marker, json.dumps({"format": 1}).encode())
        return lake

    def at(self, versions: Mapping[str, int], known: AsKnown | None = None) -> Lake:
        """This lake as it was: the tables named are read at these versions, the others as they are here."""
        then = copy.copy(self)
        then._as_of = {**self._as_of, **{table_called(name).name: version for name, version in versions.items()}}
        then.known = known or self.known
        return then

    def whole(self) -> Lake:
        """The lake with all that is in it: for a writer that must know what is stored."""
        return self

    def seen(self, name: str) -> ds.Expression | None:
        """The rows of a table that its reader sees; None for all of them."""
        return None

    def shows_totals(self) -> bool:
        """Whether its reader may ask for figures of everything that is in it."""
        return True

    def shows_version(self, name: str) -> bool:
        """Whether the version of a table tells its reader of nothing that others hold."""
        return True

    @property
    def state(self) -> Path:
        """Folder for what is not data: who writes, the digests of the logs, the job table, the default cache."""
        return self.path / STATE_FOLDER

    @property
    def marker(self) -> Path:
        """The file that makes the folder a lake; whoever writes holds a lock on it."""
        return self.path / _MARKER

    @property
    def writer(self) -> Path:
        """The file with the name of whoever writes, or wrote last."""
        return self.state / "writer.lock"

    @property
    def trail(self) -> Trail:
        """What was done to this lake, and by whom."""
        return Trail(self.state)

    def _reader(self, name: str, version: int | None = None) -> DeltaTable | None:
        """The table for reading, at its newest version or the one given; opened once while no commit follows."""
        log = self.log(name)
        version = self._as_of.get(name) if version is None else version
        if version == NEVER_WRITTEN:
            return None
        known = _opened.get(log.folder)
        if known is None or not known.is_newest():
            table = log.open() if log.is_begun() else None
            if table is None:
                return None
            known = _opened[log.folder] = _Opened(table, log.log, int(table.version()))
        return known.table if version in (None, known.version) else log.open(version)

    def log(self, name: str) -> DeltaLog:
        """The log of a table."""
        return _log(self.path, table_called(name).name)

    def version(self, name: str) -> int:
        """Version of the table that is read, by default the newest; -1 when it has never been written."""
        table = self._reader(name)
        return NEVER_WRITTEN if table is None else int(table.version())

    def snapshot(self, *names: str) -> Snapshot:
        """Pins the present version of the named tables, or of all."""
        # A seal is committed after what it seals, so it is pinned before: a seal seen is then whole.
        order = list(TABLES)
        pinned = sorted(names or order, key=lambda n: -order.index(table_called(n).name))
        return Snapshot(self, {n: self.version(n) for n in pinned})

    def read(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
        version: int | None = None,
        among: Mapping[str, Iterable[Any]] | None = None,
    ) -> pa.Table:
        """Rows of a table at a version (newest when None); an empty table with the right columns when never written.

        `where` is a pyarrow dataset expression; files and partitions it rules out are not opened. `among` keeps the rows with
        one of these values in a column, and files that hold none of them are not even listed: of a table of many files that
        is most of the time. Raises `Damaged` where a file that may hold such rows is not as it was committed.
        """
        schema = table_called(name).schema
        wanted = list(columns) if columns is not None else schema.names
        table = self._reader(name, version)
        if table is None:
            return pa.schema([schema.field(c) for c in wanted]).empty_table()
        dataset, kept = self._dataset(name, table, among), rows_among(both(where, self.seen(name)), among)
        for fragment in dataset.get_fragments(kept):
            check_data_file(self.path / name / fragment.path)
        rows = dataset.to_table(columns=wanted, filter=kept)
        return rows.cast(pa.schema([schema.field(c) for c in wanted]))

    def _dataset(self, name: str, table: DeltaTable, among: Mapping[str, Iterable[Any]] | None) -> ds.Dataset:
        """The files of the table that may hold the values asked for; all are listed once while it is the newest."""
        schema, known = table_called(name).schema.remove_metadata(), _opened.get(self.path / name)
        if known is not None and known.table is table and known.dataset is not None:
            return known.dataset
        # Delta's own file system is Python: Arrow's threads let go of its buffers after the read has returned, and a process
        # that ends at that moment is aborted ("terminate called without an active exception")
        folder = SubTreeFileSystem(str(self.path / name), LocalFileSystem())
        if among is not None:
            return table.to_pyarrow_dataset(schema=schema, filesystem=folder, file_pruning_predicate=_pruning(among))
        dataset = table.to_pyarrow_dataset(schema=schema, filesystem=folder)
        if known is not None and known.table is table:
            known.dataset = dataset
        return dataset

    def data_files(
        self, name: str, where: Mapping[str, Iterable[Any]] | None = None, version: int | None = None
    ) -> list[Path]:
        """Active data files of the table, those of the given partition values only; sorted by path."""
        table = self._reader(name, version)
        if table is None:
            return []
        pruning, known = _pruning(where or {}), _opened.get(self.path / name)
        kept = known.files if known is not None and known.table is table else {}
        if (found := kept.get(repr(pruning))) is None:
            found = kept[repr(pruning)] = sorted(self.path / name / path for path in active_files(table, pruning))
        return list(found)

    def count(self, name: str) -> int:
        """Rows of the table, from the log alone."""
        table = self._reader(name)
        return 0 if table is None else int(pc.sum(pa.table(table.get_add_actions())["num_records"]).as_py() or 0)

    def rows_by(self, name: str, partition: str, version: int | None = None) -> dict[Any, int]:
        """Rows of the table by the value of a partition column, from the log alone."""
        table = self._reader(name, version)
        if table is None:
            return {}
        column = f"partition.{partition}"
        files = pa.table(table.get_add_actions(flatten=True)).select([column, "num_records"])
        found = files.group_by(column).aggregate([("num_records", "sum")])
        return dict(zip(found[column].to_pylist(), found["num_records_sum"].to_pylist(), strict=True))

    def bounds(self, name: str, column: str) -> tuple[Any, Any]:
        """Least and greatest value of a column; (None, None) for an empty table."""
        found = pc.min_max(self.read(name, [column])[column]).as_py()
        return found["min"], found["max"]

    def written_by(self) -> str | None:
        """Who holds the writer's lock at this moment, as it named itself; None when nobody does."""
        try:
            with self.marker.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            with contextlib.suppress(OSError):
                return self.writer.read_text().strip() or "another process"
            return "another process"
        return None


class Snapshot:
    """The lake with every version pinned: reads through it are repeatable whatever is committed meanwhile."""

    def __init__(self, lake: Lake, versions: Mapping[str, int]) -> None:
        self.lake = lake
        self.versions = dict(versions)

    @property
    def named(self) -> dict[str, int]:
        """The versions that a receipt names: those that its reader may know."""
        return {name: version for name, version in self.versions.items() if self.lake.shows_version(name)}

    def read(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
        among: Mapping[str, Iterable[Any]] | None = None,
    ) -> pa.Table:
        return self.lake.read(name, columns, where, self.versions[table_called(name).name], among)

    def rows_by(self, name: str, partition: str) -> dict[Any, int]:
        """As `Lake.rows_by`."""
        return self.lake.rows_by(name, partition, self.versions[table_called(name).name])

    def data_files(self, name: str, where: Mapping[str, Iterable[Any]] | None = None) -> list[Path]:
        return self.lake.data_files(name, where, self.versions[table_called(name).name])


def _pruning(among: Mapping[str, Iterable[Any]]) -> list[tuple[str, str, Any]]:
    """The values as the log compares them: dates as text, which is how it writes them."""
    return [(c, "in", [partition_text(c, v) for v in values]) for c, values in among.items()]


def rows_among(where: ds.Expression | None, among: Mapping[str, Iterable[Any]] | None) -> ds.Expression | None:
    """The filter that keeps what `Lake.read` gives for these two."""
    for column, values in (among or {}).items():
        where = both(where, ds.field(column).isin(list(values)))
    return where


def both(one: ds.Expression | None, two: ds.Expression | None) -> ds.Expression | None:
    """The rows that both keep; None keeps all."""
    return one if two is None else two if one is None else one & two


def active_files(table: DeltaTable, filters: list[tuple[str, str, Any]] | None) -> list[str]:
    """Paths of the table's active data files in its folder (the folder is escaped as in a URI, the rest is not)."""
    uris = table.file_uris(file_pruning_predicate=filters or None)
    folder = table.table_uri.removeprefix("file://")
    return [uri.removeprefix("file://").removeprefix(folder) for uri in uris]


@functools.cache
def code_version() -> str:
    """The installed varlake version."""
    from importlib.metadata import version  # noqa: PLC0415 - only this function needs it, and it is slow to import

    return version("varlake")
