"""The lake: Delta tables read at a pinned version, and the one committer.

Measured reason for one committer: two committers on one local table silently overwrote 2% of acknowledged commits
(docs/decisions/0002-one-committer.md). Tasks and helpers only write files; this process commits them.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import functools
import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from lake.errors import BadInput, Conflict, NotFound, unknown
from lake.schemas import TABLES, Table
from lake.storage import DataFile, make_folder, partition_text, sync_folder, write_data_file, write_durable

STATE_FOLDER = "_varlake"
_MARKER = f"{STATE_FOLDER}/lake.json"
NEVER_WRITTEN = -1


def new_run_id() -> str:
    """A name for one run of a writer; stands in every commit of the run."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def _definition(name: str) -> Table:
    if name not in TABLES:
        raise unknown("table", name, TABLES)
    return TABLES[name]


class _Opened:
    """A table as it was opened: still the newest while its last log entry is the same file and none follows."""

    def __init__(self, table: DeltaTable, log: Path, version: int) -> None:
        self.table = table
        self.version = version
        self.dataset: ds.Dataset | None = None  # made with the first read: it lists every file with its statistics
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


# opening a table reads its log, which took half the time of a warm query
_opened: dict[Path, _Opened] = {}


class Lake:
    """A lake folder, for reading. `Lake.open` checks that it is one; `Lake.create` makes it when absent."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().resolve()
        self._as_of: dict[str, int] = {}

    @classmethod
    def open(cls, path: str | Path) -> Lake:
        lake = cls(path)
        if not (lake.path / _MARKER).is_file():
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
        if not (lake.path / _MARKER).is_file():
            if lake.path.is_dir() and any(lake.path.iterdir()):
                raise BadInput(f"{lake.path} holds other files and is not a lake; give an empty or a new folder.")
            write_durable(lake.path / _MARKER, json.dumps({"format": 1}).encode())
        return lake

    def at(self, versions: Mapping[str, int]) -> Lake:
        """This lake as it was: the tables named are read at these versions, the others as they are now."""
        then = Lake(self.path)
        then._as_of = {_definition(name).name: version for name, version in versions.items()}
        return then

    @property
    def state(self) -> Path:
        """Folder for what is not data: the writer's lock, the job table, the default cache."""
        return self.path / STATE_FOLDER

    def _reader(self, name: str, version: int | None = None) -> DeltaTable | None:
        """The table for reading, at its newest version or the one given; opened once while no commit follows."""
        folder = self.path / _definition(name).name
        version = self._as_of.get(name) if version is None else version
        if version == NEVER_WRITTEN:
            return None
        known = _opened.get(folder)
        if known is None or not known.is_newest():
            table = self._delta(name)
            if table is None:
                return None
            known = _opened[folder] = _Opened(table, folder / "_delta_log", int(table.version()))
        return known.table if version in (None, known.version) else self._delta(name, version)

    def _delta(self, name: str, version: int | None = None) -> DeltaTable | None:
        folder = self.path / _definition(name).name
        # a process killed while it made the table leaves a log without an entry: that table was never written
        if not DeltaTable.is_deltatable(str(folder)):
            return None
        try:
            return DeltaTable(str(folder), version=version)
        except DeltaError as error:
            raise NotFound(
                f"The table {name} cannot be opened{'' if version is None else f' at version {version}'}: {error}"
            ) from None

    def version(self, name: str) -> int:
        """Version of the table that is read, by default the newest; -1 when it has never been written."""
        table = self._reader(name)
        return NEVER_WRITTEN if table is None else int(table.version())

    def snapshot(self, *names: str) -> Snapshot:
        """Pins the present version of the named tables, or of all."""
        # A seal is committed after what it seals, so it is pinned before: a seal seen is then whole.
        order = list(TABLES)
        pinned = sorted(names or order, key=lambda n: -order.index(_definition(n).name))
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
        is most of the time.
        """
        schema = _definition(name).schema
        wanted = list(columns) if columns is not None else schema.names
        table = self._reader(name, version)
        if table is None:
            return pa.schema([schema.field(c) for c in wanted]).empty_table()
        try:
            rows = self._dataset(name, table, among).to_table(columns=wanted, filter=rows_among(where, among))
        except FileNotFoundError as error:
            lost = re.search(r"(?<=/)[^/]+\.parquet", str(error))
            raise NotFound(
                f"The lake is damaged: a data file of {name} is not there, {lost.group() if lost else error}. Restore the lake."
            ) from None
        return rows.cast(pa.schema([schema.field(c) for c in wanted]))

    def _dataset(self, name: str, table: DeltaTable, among: Mapping[str, Iterable[Any]] | None) -> ds.Dataset:
        """The files of the table that may hold the values asked for; all are listed once while it is the newest."""
        schema, known = _definition(name).schema.remove_metadata(), _opened.get(self.path / name)
        if known is not None and known.table is table and known.dataset is not None:
            return known.dataset
        if among is not None:
            return table.to_pyarrow_dataset(schema=schema, file_pruning_predicate=_pruning(among))
        dataset = table.to_pyarrow_dataset(schema=schema)
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
        return sorted(self.path / name / path for path in _active(table, _pruning(where or {})))

    def count(self, name: str) -> int:
        """Rows of the table, from the log alone."""
        table = self._reader(name)
        return 0 if table is None else int(pc.sum(pa.table(table.get_add_actions())["num_records"]).as_py() or 0)

    def bounds(self, name: str, column: str) -> tuple[Any, Any]:
        """Least and greatest value of a column; (None, None) for an empty table."""
        found = pc.min_max(self.read(name, [column])[column]).as_py()
        return found["min"], found["max"]

    def writer(self, holder: str) -> Committer:
        """The one committer of this lake, to be used in a `with` statement; refused while another holds it."""
        return Committer(self, holder)

    def written_by(self) -> str | None:
        """Who holds the writer's lock at this moment, as it named itself; None when nobody does."""
        try:
            with _lock_file(self).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return _lock_file(self).read_text().strip() or "another process"
        return None


class Snapshot:
    """The lake with every version pinned: reads through it are repeatable whatever is committed meanwhile."""

    def __init__(self, lake: Lake, versions: Mapping[str, int]) -> None:
        self.lake = lake
        self.versions = dict(versions)

    def read(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
        among: Mapping[str, Iterable[Any]] | None = None,
    ) -> pa.Table:
        return self.lake.read(name, columns, where, self.versions[_definition(name).name], among)

    def data_files(self, name: str, where: Mapping[str, Iterable[Any]] | None = None) -> list[Path]:
        return self.lake.data_files(name, where, self.versions[_definition(name).name])


class Committer:
    """Commits data files to the Delta log: one lake, one committer at a time, each commit atomic and durable."""

    def __init__(self, lake: Lake, holder: str) -> None:
        self.lake = lake
        self.holder = holder
        self.run_id = new_run_id()
        self._lock: IO[str] | None = None

    def __enter__(self) -> Committer:
        path = _lock_file(self.lake)
        make_folder(path.parent)
        lock = path.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            who = self.lake.written_by() or "another process"
            raise Conflict(
                f"The lake {self.lake.path} is being written by {who}. One writer at a time: wait for it, stop it, "
                "or, where it is the engine, send the work to it as a job."
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{self.holder} (process {os.getpid()}, since {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC)")
        lock.flush()
        self._lock = lock
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lock is not None
        self._lock.close()
        self._lock = None

    def put(self, name: str, rows: pa.Table, *, replace: bool = False, note: Mapping[str, Any] | None = None) -> int:
        """Writes and commits the rows, one file a partition; `replace` puts them in place of those partitions' files.

        With `replace` on an unpartitioned table all its rows are replaced. Returns the version that holds the rows.
        """
        definition = _definition(name)
        rows = rows.select(definition.schema.names).cast(definition.schema)
        files = [
            write_data_file(self.lake.path, name, part, values) for values, part in split(rows, definition.partition_by)
        ]
        if replace and not files and definition.partition_by:
            return self.lake.version(name)
        return self.commit(name, files, replace=replace, note=note)

    def commit(
        self, name: str, files: Sequence[DataFile], *, replace: bool = False, note: Mapping[str, Any] | None = None
    ) -> int:
        """One atomic commit of written files; returns its version, or the present one when it would change nothing."""
        assert self._lock is not None, "commit outside of the writer's with statement"
        definition = _definition(name)
        folder = self.lake.path / name
        table = self.lake._delta(name)
        if table is None:
            make_folder(folder)
            fields = [pa.field(f.name, f.type, metadata=f.metadata) for f in definition.schema]
            table = DeltaTable.create(
                str(folder),
                deltalake.Schema.from_arrow(pa.schema(fields)),
                partition_by=list(definition.partition_by),
                description=definition.one_row,
                configuration={"delta.logRetentionDuration": "interval 36500 days"},
            )
            _sync_log(folder / "_delta_log")
            sync_folder(folder)
        elif new := [c for c in definition.schema if c.name not in {f.name for f in table.schema().fields}]:
            # the lake was made before the table had these columns: they are null in its rows so far
            table.alter.add_columns(deltalake.Schema.from_arrow(pa.schema(new)).fields)
            table = DeltaTable(str(folder))
        unique = {f.path: f for f in files}
        absent = [path for path in unique if not (folder / path).is_file()]
        if absent:
            raise NotFound(
                f"{len(absent)} of {len(unique)} files written for the table {name} are not in {folder}, such as "
                f"{absent[0]}; nothing was committed. Every process that writes needs the lake on a shared file system."
            )
        filters = _covering(definition, unique.values()) if replace else None
        present = set(_active(table, filters))
        contents = {_first_name(path) for path in present}
        if set(unique) <= contents and (not replace or set(unique) == contents):
            return int(table.version())
        if replace:
            # One commit cannot remove and add the same path: what that would mean is undefined.
            unique = {f.path: f for f in _renamed(self.lake.path, unique, present)}
        else:
            unique = {p: f for p, f in unique.items() if p not in contents}
        moment = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        actions = [AddAction(f.path, f.size, dict(f.partition), moment, True, f.stats) for f in unique.values()]
        table.create_write_transaction(
            actions,
            mode="overwrite" if replace else "append",
            schema=table.schema(),
            partition_by=list(definition.partition_by),
            partition_filters=filters or None,
            commit_properties=CommitProperties(
                custom_metadata={"run_id": self.run_id, **{k: str(v) for k, v in (note or {}).items()}},
                max_commit_retries=0,
            ),
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False),
        )
        version = self.lake.version(name)
        _sync_log(folder / "_delta_log")
        return version


def split(rows: pa.Table, columns: Sequence[str]) -> list[tuple[dict[str, Any], pa.Table]]:
    """The rows of each combination of partition values, in the order of the values."""
    if not columns:
        return [({}, rows)] if rows.num_rows else []
    (column,) = columns  # every table has one partition column; a second would need a nested loop here
    values = pc.unique(rows[column]).to_pylist()
    for value in values:
        partition_text(column, value)
    values.sort()
    if len(values) == 1:
        return [({column: values[0]}, rows)]
    return [({column: v}, rows.filter(pc.equal(rows[column], pa.scalar(v, rows[column].type)))) for v in values]


def _pruning(among: Mapping[str, Iterable[Any]]) -> list[tuple[str, str, Any]]:
    """The values as the log compares them: dates as text, which is how it writes them."""
    return [(c, "in", [partition_text(c, v) for v in values]) for c, values in among.items()]


def rows_among(where: ds.Expression | None, among: Mapping[str, Iterable[Any]] | None) -> ds.Expression | None:
    """The filter that keeps what `Lake.read` gives for these two."""
    for column, values in (among or {}).items():
        within = ds.field(column).isin(list(values))
        where = within if where is None else where & within
    return where


def _covering(definition: Table, files: Iterable[DataFile]) -> list[tuple[str, str, Any]]:
    """The filter that selects the partitions of these files."""
    if not definition.partition_by:
        return []
    (column,) = definition.partition_by
    return [(column, "in", sorted({dict(f.partition)[column] for f in files}))]


def _active(table: DeltaTable, filters: list[tuple[str, str, Any]] | None) -> list[str]:
    """Paths of the table's active data files in its folder (the folder is escaped as in a URI, the rest is not)."""
    uris = table.file_uris(file_pruning_predicate=filters or None)
    folder = table.table_uri.removeprefix("file://")
    return [uri.removeprefix("file://").removeprefix(folder) for uri in uris]


def _renamed(root: Path, files: Mapping[str, DataFile], present: set[str]) -> list[DataFile]:
    """Files whose path is already active get a second name, so that one commit can remove the old and add the new."""
    out = []
    for path, file in files.items():
        if path in present:
            second = path.removesuffix(".parquet") + f"-{uuid.uuid4().hex[:8]}.parquet"
            os.link(root / file.table / path, root / file.table / second)
            sync_folder((root / file.table / second).parent)
            file = DataFile(file.table, second, file.size, file.rows, file.partition, file.stats)
        out.append(file)
    return out


def _lock_file(lake: Lake) -> Path:
    return lake.state / "writer.lock"


def _first_name(path: str) -> str:
    """The name by content of an active file, which `_renamed` may have given a second one."""
    return re.sub(r"-[0-9a-f]{8}\.parquet$", ".parquet", path)


def _sync_log(log: Path) -> None:
    """deltalake does not fsync: make its newest entries durable before the commit is acknowledged."""
    newest = sorted(log.iterdir(), key=lambda p: p.stat().st_mtime_ns)[-4:]
    for path in newest:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    sync_folder(log)


@functools.cache
def code_version() -> str:
    """The installed varlake version."""
    from importlib.metadata import version  # noqa: PLC0415 - only this function needs it, and it is slow to import

    return version("varlake")
