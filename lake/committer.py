"""The one committer: it alone commits files to the log of a table.

Measured reason: two committers on one local table silently overwrote 2% of acknowledged commits
(docs/decisions/0002-one-committer.md). Tasks and helpers only write files; this process commits them.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import fcntl
import os
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.transaction import AddAction, RemoveAction

from lake.audit import LOCAL_ACTOR, NOTE, Act
from lake.delta_log import ADDS, DeltaLog
from lake.errors import Conflict, NotFound
from lake.schemas import TABLES, Table
from lake.storage import DataFile, link_durable, make_folder, partition_text, write_data_file
from lake.storage import note as write_note
from lake.tables import Lake, active_files, table_called


def new_run_id() -> str:
    """A name for one run of a writer; stands in every commit of the run."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


class Committer:
    """Commits data files to the Delta log: one lake, one committer at a time, each commit atomic and durable."""

    def __init__(self, lake: Lake, holder: str) -> None:
        self.lake = lake
        self.holder = holder
        self.run_id = new_run_id()
        self._lock: IO[str] | None = None
        self._acts: list[Act] = []  # that are open, the innermost last
        self._unnamed = contextlib.ExitStack()  # ends the act of commits outside of any

    def __enter__(self) -> Committer:
        # the file that makes the folder a lake: without it no writer gets in
        lock = self.lake.marker.open("r+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            who = self.lake.written_by() or "another process"
            raise Conflict(
                f"The lake {self.lake.path} is being written by {who}. One writer at a time: wait for it, stop it, "
                "or, where it is the engine, send the work to it as a job."
            ) from None
        self._lock = lock
        try:
            # a full disk may take neither: the lock holds all the same, and each commit settles its table first
            with contextlib.suppress(OSError):
                since = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S}"
                write_note(self.lake.writer, f"{self.holder} (process {os.getpid()}, since {since} UTC)")
                for name in TABLES:  # what a writer left that was killed before it could say so
                    self.lake.log(name).settle()
                self._settle_acts()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def reading(self, lake: Lake) -> Committer:
        """This committer, which makes what it commits from the lake as it is in `lake`."""
        other = copy.copy(self)
        other.lake = lake
        return other

    def _check_lock(self) -> None:
        """Raises `Conflict` where the lock is of a file that was deleted or replaced since: another writer may be in."""
        assert self._lock is not None, "commit outside of the writer's with statement"
        try:
            same = os.path.samestat(os.fstat(self._lock.fileno()), self.lake.marker.stat())
        except FileNotFoundError:
            same = False
        if not same:
            raise Conflict(
                f"{self.lake.marker} was deleted or replaced while {self.holder} held the lake, so that another writer may "
                "hold it now; nothing was committed. Restore the file where it is gone, and start again."
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lock is not None
        try:
            self._unnamed.__exit__(kind, error, trace)
        finally:
            self._lock.close()
            self._lock = None

    @contextlib.contextmanager
    def acting(self, act: str, asked: Mapping[str, Any], actor: str = LOCAL_ACTOR, **about: Any) -> Iterator[Act]:
        """Around an act that writes tables, as `lake.audit.Trail.acting` is around others; its outcome names the versions it made."""
        self._check_lock()
        self._settle_acts()
        begun = self.lake.trail.begin(act, asked, actor, "lake", **about)
        self._acts.append(begun)
        with self.lake.trail.ending(begun, lambda: {"tables": self._versions(begun)}):
            try:
                yield begun
            finally:
                self._acts.remove(begun)

    def _settle_acts(self) -> None:
        """Acts of a writer that was killed: the tables tell what it had committed."""
        own = [act.number for act in self._acts]
        for left in self.lake.trail.open_acts("lake"):
            if left.number not in own:
                left.touched |= TABLES.keys()
                left.led_to["tables"] = self._versions(left)
                self.lake.trail.end(left, "killed")

    def _versions(self, act: Act) -> dict[str, list[int]]:
        """The versions of tables that an act has made."""
        found = {name: self.lake.log(name).versions_of(act.number) for name in sorted(act.touched)}
        return {name: versions for name, versions in found.items() if versions}

    def _notes(self, name: str, more: Mapping[str, str]) -> CommitProperties:
        """What a commit to the table says of itself. None is without an act: outside of one it is a write by the name of the holder."""
        if not self._acts:
            self._unnamed.enter_context(self.acting("write", {"by": self.holder}))
        self._acts[-1].touched.add(name)
        return CommitProperties(custom_metadata={**more, NOTE: str(self._acts[-1].number)}, max_commit_retries=0)

    def put(
        self,
        name: str,
        rows: pa.Table,
        *,
        replace: bool = False,
        note: Mapping[str, Any] | None = None,
        emptied: Iterable[Any] = (),
    ) -> int:
        """Writes and commits the rows, one file a partition; `replace` puts them in place of those partitions' files.

        With `replace` on an unpartitioned table all its rows are replaced; `emptied` are values of the partition column that shall
        hold no rows. Returns the version that holds the rows.
        """
        definition = table_called(name)
        rows = rows.select(definition.schema.names).cast(definition.schema)
        parts = [
            *split(rows, definition.partition_by),
            *(({definition.partition_by[0]: value}, rows.slice(0, 0)) for value in emptied),
        ]
        files = [write_data_file(self.lake.path, name, part, values) for values, part in parts]
        if replace and not files and definition.partition_by:
            return self.lake.version(name)
        return self.commit(name, files, replace=replace, note=note)

    def commit(
        self, name: str, files: Sequence[DataFile], *, replace: bool = False, note: Mapping[str, Any] | None = None
    ) -> int:
        """One atomic commit of written files; returns its version, or the present one when it would change nothing."""
        self._check_lock()
        definition = table_called(name)
        folder, log = self.lake.path / name, self.lake.log(name)
        log.settle()
        table = log.open(writing=True)
        if table is None:
            make_folder(folder)
            log.begin()
            fields = [pa.field(f.name, f.type, metadata=f.metadata) for f in definition.schema]
            with log.written():
                table = DeltaTable.create(
                    str(folder),
                    deltalake.Schema.from_arrow(pa.schema(fields)),
                    partition_by=list(definition.partition_by),
                    description=definition.one_row,
                    configuration={"delta.logRetentionDuration": "interval 36500 days", **_bounds(definition)},
                    commit_properties=self._notes(name, {}),
                )
        elif new := [c for c in definition.schema if c.name not in {f.name for f in table.schema().fields}]:
            # the lake was made before the table had these columns: they are null in its rows so far
            fields = deltalake.Schema.from_arrow(pa.schema(new)).fields
            with log.written():
                table.alter.add_columns(fields, commit_properties=self._notes(name, {}))
                table = DeltaTable(str(folder))
        unique = {f.path: f for f in files}
        absent = [path for path in unique if not (folder / path).is_file()]
        if absent:
            raise NotFound(
                f"{len(absent)} of {len(unique)} files written for the table {name} are not in {folder}, such as "
                f"{absent[0]}; nothing was committed. Every process that writes needs the lake on a shared file system."
            )
        filters = _covering(definition, unique.values()) if replace else None
        present = set(active_files(table, filters))
        contents = {_first_name(path) for path in present}
        if set(unique) <= contents and (not replace or set(unique) == contents):
            return int(table.version())
        if replace:
            # One commit cannot remove and add the same path: what that would mean is undefined.
            unique = {f.path: f for f in _renamed(self.lake.path, unique, present, int(table.version()) + 1)}
        else:
            unique = {p: f for p, f in unique.items() if p not in contents}
        return self._transact(log, table, unique.values(), "overwrite" if replace else "append", filters, note)

    def exchange(
        self,
        name: str,
        removed: Collection[str],
        files: Sequence[DataFile],
        *,
        same_rows: bool = False,
        note: Mapping[str, Any] | None = None,
    ) -> int:
        """One atomic commit that takes active files of a table away, by their paths on disk, and adds written ones; its version.

        The files taken away stay on the disk, for readers of earlier versions. With `same_rows` both hold the same rows.
        """
        self._check_lock()
        log = self.lake.log(name)
        log.settle()
        table = log.open(writing=True)
        assert table is not None, f"the table {name} was never written"
        held = {unquote(a["path"]): a for a in pa.table(table.get_add_actions(flatten=True)).to_pylist()}
        partition_by = table_called(name).partition_by
        moment = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        gone = []
        for path in sorted(removed):
            values = {c: partition_text(c, held[path][f"partition.{c}"]) for c in partition_by}
            gone.append(RemoveAction(path, not same_rows, moment, held[path]["size_bytes"], values))
        return self._transact(log, table, files, "append", None, note, gone, data_change=not same_rows)

    def take_away(self, name: str, partitions: Collection[Any]) -> None:
        """Commits the table without these partitions, where it has any of them; their files stay for earlier versions."""
        (column,) = table_called(name).partition_by
        files = self.lake.data_files(name, {column: partitions}) if partitions else []
        if files:
            self.exchange(name, [f.relative_to(self.lake.path / name).as_posix() for f in files], [])

    def checkpoint(self, name: str) -> None:
        """Sums the log of a table up, so that it is opened without reading every entry."""
        self._check_lock()
        log = self.lake.log(name)
        table = log.open(writing=True)
        assert table is not None, f"the table {name} was never written"
        with log.written():
            table.create_checkpoint()
        log.settle()

    def _transact(
        self,
        log: DeltaLog,
        table: DeltaTable,
        files: Iterable[DataFile],
        mode: str,
        filters: list[tuple[str, str, Any]] | None,
        note: Mapping[str, Any] | None,
        removed: Sequence[RemoveAction] = (),
        data_change: bool = True,
    ) -> int:
        self._check_lock()
        bounds = _bounds(table_called(log.folder.name))
        if (
            not bounds.items() <= table.metadata().configuration.items()
        ):  # a lake of before there were bounds for these alone
            with log.written():
                table.alter.set_table_properties(bounds, commit_properties=self._notes(log.folder.name, {}))
        moment = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        added = [AddAction(f.path, f.size, dict(f.partition), moment, data_change, f.stats) for f in files]
        with log.written():
            table.create_write_transaction(
                [*removed, *added],
                mode=mode,
                schema=table.schema(),
                partition_by=table.metadata().partition_columns,
                partition_filters=filters or None,
                commit_properties=self._notes(
                    log.folder.name,
                    {"run_id": self.run_id, ADDS: str(len(added)), **{k: str(v) for k, v in (note or {}).items()}},
                ),
                post_commithook_properties=PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False),
            )
        log.settle()
        return self.lake.version(log.folder.name)


class DryRun(Committer):
    """Takes no lock and commits nothing: the report of work says what it would do, and every table keeps its version."""

    def __init__(self, lake: Lake) -> None:
        super().__init__(lake, "dry run")

    def put(
        self,
        name: str,
        rows: pa.Table,
        *,
        replace: bool = False,
        note: Mapping[str, Any] | None = None,
        emptied: Iterable[Any] = (),
    ) -> int:
        """Checks the rows as writing them would; returns the present version."""
        definition = table_called(name)
        split(rows.select(definition.schema.names).cast(definition.schema), definition.partition_by)
        return self.lake.version(name)


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


def _bounds(definition: Table) -> dict[str, str]:
    """Which columns readers look for bounds of: without it deltalake takes those that a file has none of for empty."""
    return {"delta.dataSkippingStatsColumns": ",".join(definition.bounded)}


def _covering(definition: Table, files: Iterable[DataFile]) -> list[tuple[str, str, Any]]:
    """The filter that selects the partitions of these files."""
    if not definition.partition_by:
        return []
    (column,) = definition.partition_by
    return [(column, "in", sorted({dict(f.partition)[column] for f in files}))]


def _renamed(root: Path, files: Mapping[str, DataFile], present: set[str], version: int) -> list[DataFile]:
    """Files whose path is already active get a second name, so that one commit can remove the old and add the new.

    It is the same in every run: the name by content, and the version that is to hold it.
    """
    out = []
    for path, file in files.items():
        if path in present:
            second = path.removesuffix(".parquet") + f"-{version:08x}.parquet"
            # it may be there, of a writer that was killed before this commit
            link_durable(root / file.table / path, root / file.table / second)
            file = DataFile(file.table, second, file.size, file.rows, file.partition, file.stats)
        out.append(file)
    return out


def _first_name(path: str) -> str:
    """The name by content of an active file, which `_renamed` may have given a second one."""
    return re.sub(r"-[0-9a-f]{8}\.parquet$", ".parquet", path)
