"""Files decoded within a bound: what is compressed, or says much in few bytes, can hold far more than its size tells."""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.errors import BadInput, NotFound, unknown
from lake.landing.child import SETTING, TIMES, most_held, one_in_child

MOST_UNEVEN = 100_000  # lines with another number of cells than the header: with more a file is refused as a whole
PYTHON_VALUE = 128  # bytes of a value that becomes a Python object, as those in lists, maps and structs do
CANNOT_UNPACK = (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error)


class NotSmall(Exception):
    """A file holds more than is decoded in the process itself."""


_small: ContextVar[int | None] = ContextVar("small", default=None)


@contextlib.contextmanager
def small(size: int) -> Iterator[None]:
    """Files decoded inside raise `NotSmall` where they hold more bytes."""
    before = _small.set(size)
    try:
        yield
    finally:
        _small.reset(before)


def small_only() -> bool:
    """Whether only small files are decoded here."""
    return _small.get() is not None


class Bound:
    """Counts the bytes that a file holds as it is decoded.

    It may hold VARLAKE_DECODED_MIB, or eight times its size where that is more; `add` raises `BadInput` beyond.
    """

    def __init__(self, path: Path) -> None:
        self._name, self._held = path.name, 0
        self._most, self._small = most_held(path.stat().st_size), _small.get()

    def add_cells(self, cells: int) -> None:
        """As `add`, of cells that will be in memory as text, empty ones too."""
        self.add(TIMES * cells)

    def add(self, size: int) -> None:
        self._held += size
        if self._held > self._most:
            raise BadInput(
                f"{self._name} holds more than {self._most / (1 << 20):,.0f} MiB once decoded, which is the most that is read "
                f"of it ({SETTING}); nothing of it is loaded. Check what it holds, divide it, or raise the setting."
            )
        if self._small is not None and self._held > self._small:
            raise NotSmall


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted as they are read."""

    def __init__(self, stream: IO[bytes], count: Callable[[bytes], None]) -> None:
        self._stream, self._count = stream, count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._count(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def counting(stream: IO[bytes], count: Callable[[bytes], None]) -> IO[bytes]:
    """The stream, its bytes told to `count` before they are given; that may raise `BadInput`."""
    return io.BufferedReader(_Counted(stream, count), 1 << 20)


@contextlib.contextmanager
def open_decoded(path: Path, member: str | None = None) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and bytes of what the file holds: `.gz` and one `.zip` around it are undone as they are read, within its bound.

    member : the file of a zip archive; None where it has one. Raises `NotFound`, or `BadInput` for an archive that is none, also as
    it is read.
    """
    try:
        with _unpacked(path, member) as found:
            yield found
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except CANNOT_UNPACK as error:
        if isinstance(error, OSError) and error.strerror:
            raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
        raise BadInput(f"{path.name} cannot be unpacked: {error}.") from None


@contextlib.contextmanager
def _unpacked(path: Path, member: str | None) -> Iterator[tuple[str, IO[bytes]]]:
    with contextlib.ExitStack() as stack:
        stream: IO[bytes] = stack.enter_context(path.open("rb"))
        name, bound = path.name, Bound(path)

        def within(decoding: IO[bytes]) -> IO[bytes]:
            return stack.enter_context(counting(decoding, lambda data: bound.add(len(data))))

        if name.lower().endswith(".gz"):
            name, stream = name[:-3], within(io.BufferedReader(gzip.GzipFile(fileobj=stream)))
        if name.lower().endswith(".zip"):
            inside = stream if stream.seekable() else io.BytesIO(stream.read())
            archive = stack.enter_context(zipfile.ZipFile(inside))
            info = _member(archive, member)
            name, stream = info.filename, within(archive.open(info))
        yield name, stream


def archive_members(path: Path) -> dict[str, int]:
    """The files of a zip archive, and how large each is; of what is none, nothing."""
    if not path.name.lower().endswith(".zip") or not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        return {name: info.file_size for name, info in _members(archive).items()}


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {f.filename: f for f in archive.infolist() if not f.is_dir() and not f.filename.startswith("__MACOSX/")}


def _member(archive: zipfile.ZipFile, name: str | None) -> zipfile.ZipInfo:
    files = _members(archive)
    if name is not None and name not in files:
        raise zipfile.BadZipFile(unknown("file of the archive", name, files).message)
    if name is None and len(files) != 1:
        names = ", ".join([*files][:5])
        raise zipfile.BadZipFile(
            f"expected one file in the archive, found {len(files)}: {names}; say which with `member` of a mapping or catalogue"
        )
    info = files[name] if name is not None else next(iter(files.values()))
    # the others are decoded without a bound by the library
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"{info.filename} is compressed otherwise than by deflate")
    return info


def held(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> pa.Table:
    """The batches of a file as one table, as long as what they take in memory is within its bound."""
    bound, kept = Bound(path), []
    for batch in batches:
        bound.add(batch.nbytes)
        kept.append(batch)
    return pa.Table.from_batches(kept, schema)


def read_parquet(path: Path, cell: int = 1, content: IO[bytes] | None = None) -> pa.Table:
    """A Parquet file, dictionaries decoded; within its bound by its footer, then by each row group before it is decoded.

    cell : least bytes that a value of a plain column counts. content : its bytes, where the file is packed.
    """
    return one_in_child(_parquet, path, cell, content)


def _parquet(path: Path, cell: int, content: IO[bytes] | None) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(content or path) as file:
            texts = _texts_within(file, Bound(path), cell)
        # each text once, and for each row which it is: so it is known what the rows take before they are made
        with pq.ParquetFile(content or path, read_dictionary=texts) as file:
            groups, bound = [], Bound(path)
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                bound.add(sum(_size(chunk) for column in group.columns for chunk in column.chunks))
                groups.append(_decoded(group))
            yield pa.concat_tables(groups) if groups else _decoded(file.read())
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path.name} is not a Parquet file: {error}") from error


def _texts_within(file: pq.ParquetFile, bound: Bound, cell: int) -> list[str]:
    """The columns of texts; adds what the footer says of all columns to the bound."""
    columns = [file.schema.column(i) for i in range(len(file.schema))]
    for group in map(file.metadata.row_group, range(file.num_row_groups)):
        for i, column in enumerate(columns):
            chunk = group.column(i)
            least = cell if column.path == column.name else PYTHON_VALUE
            bound.add(max(chunk.total_uncompressed_size, least * max(group.num_rows, chunk.num_values)))
    return [c.path for c in columns if c.physical_type == "BYTE_ARRAY" and c.converted_type != "DECIMAL"]


def _size(array: pa.Array) -> int:
    """Bytes of the array once its dictionaries are decoded."""
    if pa.types.is_struct(array.type):
        return sum(_size(array.field(i)) for i in range(array.type.num_fields))
    if pa.types.is_nested(array.type):
        return 4 * len(array) + _size(array.values)
    if not pa.types.is_dictionary(array.type):
        return int(array.nbytes)
    texts = array.dictionary
    if not (pa.types.is_string(texts.type) or pa.types.is_binary(texts.type)):
        return int(array.nbytes) + TIMES * len(array)
    return 4 * len(array) + (pc.sum(pc.binary_length(texts).take(array.indices)).as_py() or 0)


def _decoded(table: pa.Table) -> pa.Table:
    plain = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in table.schema]
    return table.cast(pa.schema(plain))
