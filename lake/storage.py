"""The few file calls everything in the lake goes through: write durably, link, list.

A data file is named by the digest of its bytes, so writing it twice (a retried or a speculated task) changes nothing.
The order is: write to a temporary name, fsync, link to the final name, fsync the folder. Only then may a commit name it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.canonical import digest, file_digest
from lake.errors import BadInput, Damaged, NotFound, VarlakeError, of_disk
from lake.schemas import SCENARIO_CALIBRATIONS, TABLES


@dataclass(frozen=True)
class DataFile:
    """A written, durable and not yet committed Parquet file of a table; `path` is relative to the table's folder."""

    table: str
    path: str
    size: int
    rows: int
    partition: tuple[tuple[str, str], ...]
    stats: str


_LONGEST_BOUND = 64  # characters of a text
_MINUS_ZERO = -(1 << 63)  # the bits of the double, as an integer
_checked: dict[Path, tuple[str, int, int, int]] = {}  # files found to be as they should, and their state then


def check_file(path: Path, wanted: str, what: str) -> None:
    """Raises `Damaged` unless the file's bytes have this digest; they are read once a process, and when the file changes.

    `what` says in the message what the file is.
    """
    try:
        state = path.stat()
        mark = (wanted, state.st_ino, state.st_mtime_ns, state.st_size)
        if _checked.get(path) == mark:
            return
        found = file_digest(path)
    except FileNotFoundError:
        raise Damaged(f"The lake is damaged: {what} {path} is not there. Restore it from a copy.") from None
    except OSError as error:
        raise Damaged(f"The lake is damaged: {what} {path} cannot be read: {error.strerror}.") from None
    if found != wanted:
        raise Damaged(
            f"The lake is damaged: {what} {path} has other bytes than were committed, and is not used. Restore it from a copy."
        )
    _checked[path] = mark


def check_anew() -> None:
    """From now on every file is checked at its next read, whatever was found before."""
    _checked.clear()


REMOVED = Path("_varlake") / "removed.json"  # in a lake: the data files that were removed on purpose, and when


def removed_files(lake: Path) -> dict[str, str]:
    """Data files that a cleaning removed, by their path in the lake, and the day."""
    try:
        found: dict[str, str] = json.loads((lake / REMOVED).read_bytes())
    except FileNotFoundError:
        return {}
    return found


def check_data_file(path: Path) -> None:
    """Raises `Damaged` unless the bytes of a data file are those it is named by, `NotFound` where a cleaning removed it."""
    if not path.exists():
        for lake in path.parents:
            if day := removed_files(lake).get(path.relative_to(lake).as_posix()):
                raise NotFound(
                    f"{path} is of an earlier version that was given up: `varlake lake clean` removed it on {day}. What is asked of "
                    "the newest versions is answered; `varlake lake pin` keeps what a receipt names."
                )
    by_content = path.stem.partition("-")[0]  # what follows is of a second name, see `lake.committer`
    check_file(path, by_content, "the data file")


def is_damaged(path: Path) -> bool:
    """Whether the bytes of a data file are others than it is named by, or it is not there."""
    try:
        check_data_file(path)
    except (Damaged, NotFound):
        return True
    return False


def sync(path: Path) -> None:
    """Makes a file, or what a folder lists, durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Creates the folder and its parents, each made durable in its own parent before anything is made in it."""
    if not folder.exists():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    # a parent that this user may not list holds no folder that this user made
    with contextlib.suppress(PermissionError):
        sync(folder.parent)  # also of a folder that is there: who made it may have been killed just then


def write_durable(path: Path, data: memoryview | bytes, *, replace: bool = False) -> None:
    """Writes a file so that it is whole or absent after a crash; an existing file of that name stays unless `replace`."""
    make_folder(path.parent)
    temporary = path.parent / f".tmp-{uuid.uuid4().hex}"  # opened by hand, so that the user's umask holds
    try:
        with temporary.open("xb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    sync(path.parent)


def link_durable(source: Path, target: Path) -> None:
    """Gives a file a second name in its folder; that it has the name already is no error."""
    with contextlib.suppress(FileExistsError):
        os.link(source, target)
    sync(target.parent)


def append_durable(file: int, line: bytes) -> None:
    """Adds a line to an open file, by its descriptor; where that fails the file is as it was."""
    size = os.fstat(file).st_size
    try:
        if os.write(file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)
        raise


def cut_durable(file: int, size: int) -> None:
    """Cuts an open file, by its descriptor, after so many bytes."""
    os.ftruncate(file, size)
    os.fsync(file)


def note(path: Path, text: str) -> None:
    """Writes what only informs, and may be lost: who writes a lake."""
    with path.open("w") as file:
        file.write(text)


def remove_durable(path: Path) -> None:
    """Removes a file, or a folder with all in it, so that it stays away after a crash; one that is gone is no error."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync(path.parent)


def not_writable(folder: Path) -> VarlakeError | None:
    """Why nothing can be stored in the folder; None where a block of the disk could be written."""
    probe = folder / f".tmp-{uuid.uuid4().hex}"
    try:
        write_durable(probe, bytes(4096))
        probe.unlink()
    except OSError as error:
        return of_disk(error)
    return None


def partition_text(column: str, value: Any) -> str:
    """A partition value as Delta's log writes it; that cannot tell an empty text from null, so that both are refused."""
    if value is None or value == "":
        raise BadInput(
            f"The column {column!r} partitions its table: every row needs a value there, and some have none."
        )
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _stats(table: pa.Table, columns: Sequence[str]) -> str:
    """Row count, and least and greatest value of these columns, as Delta's log keeps them for skipping files.

    Of all of them or of none: deltalake takes a bound that is missing for one that no row is within.
    """
    told: dict[str, Any] = {"numRecords": table.num_rows}
    bounds = {name: pc.min_max(table[name]).as_py() for name in columns}
    # Delta truncates long strings in statistics; leaving them out is always correct
    if all(b["max"] is not None and len(str(_plain(b["max"]))) <= _LONGEST_BOUND for b in bounds.values()):
        told["minValues"], told["maxValues"] = ({c: _plain(b[e]) for c, b in bounds.items()} for e in ("min", "max"))
        told["nullCount"] = {name: table[name].null_count for name in columns}
    return json.dumps(told)


def _without_minus_zero(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Doubles, alone or in lists, whose zeros have no sign: engines that compare dictionaries tell -0.0 from 0.0."""
    if pa.types.is_floating(column.type):
        return pc.add(column, 0.0)
    if not (pa.types.is_list(column.type) and pa.types.is_floating(column.type.value_type)):
        return column
    if not any(pc.any(pc.equal(c.values.view(pa.int64()), _MINUS_ZERO)).as_py() for c in column.chunks):
        return column  # most of what is large: not copied
    chunks = [
        pa.Array.from_buffers(c.type, len(c), c.buffers()[:2], -1, c.offset, [pc.add(c.values, 0.0)])
        for c in column.chunks
    ]
    return pa.chunked_array(chunks, column.type)


def write_data_file(root: Path, name: str, table: pa.Table, partition: Mapping[str, Any] | None = None) -> DataFile:
    """Writes one Parquet file of table `name` below the lake folder `root`; any process may, no commit is made.

    `table` has the columns of the table's file schema (partition columns are given in `partition`).
    Vectors are stored plain and uncompressed: doubles of P&L and values hardly compress, and reading them should cost a copy.
    Minus zero becomes zero.
    """
    definition = TABLES[name]
    values = {column: partition_text(column, (partition or {})[column]) for column in definition.partition_by}
    table = table.select(definition.file_schema.names).cast(definition.file_schema)
    if (
        name != SCENARIO_CALIBRATIONS.name
    ):  # whose bits are under the id of their set, which is checked at every reading
        table = pa.table([*map(_without_minus_zero, table.columns)], schema=definition.file_schema)
    flat = [f.name for f in definition.file_schema if not pa.types.is_list(f.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression={
            f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name: "none"
            if f.name in ("pnl", "values")
            else "lz4"
            for f in definition.file_schema
        },
        write_statistics=[*definition.bounded],
        use_dictionary=[c for c in flat if c not in ("contract_id", "trade")],
        store_schema=False,
        row_group_size=1 << 20,
    )
    data = memoryview(sink.getvalue())
    folder = "/".join(f"{column}={quote(v, safe=' ')}" for column, v in values.items())
    relative = f"{folder + '/' if folder else ''}{digest(data)}.parquet"
    path = root / name / relative
    write_durable(path, data, replace=path.exists() and is_damaged(path))
    return DataFile(
        name, relative, data.nbytes, table.num_rows, tuple(values.items()), _stats(table, definition.bounded)
    )
