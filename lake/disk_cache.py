"""The local cache: folders of files made from the lake, checked when opened, bounded, always rebuildable.

An entry is published by renaming a finished folder, so readers in other processes see all of it or nothing. Its manifest
holds the size and the checksum of every file; a damaged entry is made again. Nothing is synced to disk: what a power
failure leaves behind fails the check.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import tempfile
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc

from lake.compiled import compiled, is_worth_loading
from lake.errors import VarlakeError, of_disk

T = TypeVar("T")

Build = Callable[
    [Path], Mapping[str, int] | None
]  # fills a folder; may return checksums of files that it has summed up

DEFAULT_BYTES = 8 << 30
_MANIFEST = "manifest.json"
_SECONDS_A_BYTE = 2e-10  # to sum up a file in NumPy
_ODD = np.arange(3, 1 << 15, 2, dtype=np.uint64)  # position numbers of the words in a piece of a file
_FORMAT = 1  # of what is inside the entries: entries of another format are made again


class Kept:
    """The last few objects opened by this process; each is made once, however many threads ask for it at the same time.

    With `most_bytes` their sizes, told by `size`, stay below it together; an object too large for that is not kept at all.
    """

    def __init__(self, most: int, most_bytes: float = math.inf, size: Callable[[Any], int] = lambda _: 0) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._size = size
        self._bytes = 0
        self._objects: OrderedDict[Hashable, object] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._objects:
                self._objects.move_to_end(key)
                return self._objects[key]  # type: ignore[return-value]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._objects:
                    return self._objects[key]  # type: ignore[return-value]
            try:
                made = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                if self._size(made) <= self._most_bytes:
                    self._objects[key] = made
                    self._bytes += self._size(made)
                while len(self._objects) > self._most or self._bytes > self._most_bytes:
                    self._bytes -= self._size(self._objects.popitem(last=False)[1])
        return made

    def found(self, key: Hashable) -> Any | None:
        """What is kept under the key, None where nothing is."""
        with self._lock:
            return self._objects.get(key)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._objects

    def clear(self) -> None:
        """Lets go of everything."""
        with self._lock:
            self._objects.clear()
            self._bytes = 0


class DiskCache:
    """Entries of a folder by name. `limit_bytes` bounds their sum; the entry used longest ago goes first."""

    def __init__(self, folder: Path, limit_bytes: int = DEFAULT_BYTES) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes

    def __contains__(self, name: str) -> bool:
        """Whether there is an entry of that name, sound or not."""
        return (self.folder / name).is_dir()

    def entry(self, name: str, build: Build, load: Callable[[Path], T]) -> T:
        """`load` of the entry's folder; `build` fills an empty folder first where there is no sound entry.

        Whatever maps the files stays valid when the entry is evicted: the bytes go when the last reader closes them.
        """
        try:
            return self._entry(name, build, load)
        except Exception as error:
            if isinstance(error, VarlakeError) or of_disk(error) is None:
                raise
            # on a full disk, or one that may not be written, questions are answered all the same
            if is_sound(self.folder / name):
                return load(self.folder / name)
            with tempfile.TemporaryDirectory(prefix="varlake-cache-") as folder:
                build(Path(folder))
                return load(Path(folder))

    def _entry(self, name: str, build: Build, load: Callable[[Path], T]) -> T:
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / name
        with (self.folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one builder a name, among threads and processes
            if not is_sound(place):
                self._build(place, build)
                self._evict(keep=place)
            os.utime(place / _MANIFEST)  # the time of last use decides what is evicted
            return load(place)

    def _build(self, place: Path, build: Build) -> None:
        for unfinished in self.folder.glob(f".{place.name}-*"):  # of a builder that died: the lock is ours
            shutil.rmtree(unfinished, ignore_errors=True)
        _remove(place)
        temporary = self.folder / f".{place.name}-{uuid.uuid4().hex[:8]}"
        temporary.mkdir()
        try:
            known = build(temporary) or {}
            files = {
                f.name: {"size": f.stat().st_size, "checksum": known[f.name] if f.name in known else checksum(f)}
                for f in sorted(temporary.iterdir())
            }
            (temporary / _MANIFEST).write_text(json.dumps({"format": _FORMAT, "files": files}))
            temporary.rename(place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _evict(self, keep: Path) -> None:
        """Removes the entries used longest ago, except `keep`, until the others and it fit the limit."""
        used: list[tuple[int, int, Path]] = []
        for manifest in self.folder.glob(f"*/{_MANIFEST}"):
            try:
                files = json.loads(manifest.read_text())["files"]
                used.append((manifest.stat().st_mtime_ns, sum(f["size"] for f in files.values()), manifest.parent))
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                continue  # removed by another process meanwhile, or damaged and made again when asked for
        total = sum(size for _, size, _ in used)
        for _, size, place in sorted(used):
            if total > self.limit_bytes and place != keep:
                _remove(place)
                total -= size


def is_sound(place: Path) -> bool:
    """Whether every file of the entry is there, of its size and with its checksum."""
    try:
        manifest = json.loads((place / _MANIFEST).read_text())
        return manifest["format"] == _FORMAT and all(
            (place / name).stat().st_size == f["size"] and checksum(place / name) == f["checksum"]
            for name, f in manifest["files"].items()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _remove(place: Path) -> None:
    """Takes the entry away in one step, then deletes its files."""
    aside = place.parent / f".{place.name}-{uuid.uuid4().hex[:8]}"
    try:
        place.rename(aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside, ignore_errors=True)


def write_mapped(path: Path, columns: Mapping[str, pa.Array]) -> None:
    """Writes the columns as one Arrow batch."""
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    with ipc.new_file(path, batch.schema) as writer:
        writer.write_batch(batch)


def read_mapped(path: Path) -> pa.RecordBatch:
    """The batch that `write_mapped` wrote, memory-mapped."""
    return ipc.open_file(pa.memory_map(str(path))).get_batch(0)


def checksum(path: Path) -> int:
    """Sum of the file's 64-bit words, each times its odd position number, modulo 2^64.

    It finds any one changed word and lost or swapped pages, at the speed of memory; it is no defence against forgery.
    """
    size = path.stat().st_size
    if size == 0:
        return 0
    data = np.memmap(path, dtype=np.uint8, mode="r")
    whole = size // 8 * 8
    tail = np.zeros(8, dtype=np.uint8)
    tail[: size - whole] = data[whole:]
    words, last = data[:whole].view(np.uint64), tail.view(np.uint64)[0]
    if is_worth_loading(size * _SECONDS_A_BYTE):
        return int(_weighted_words(words, last))
    total = int(last)
    for first in range(0, len(words), len(_ODD)):
        part = words[first : first + len(_ODD)]
        total += int((part * _ODD[: len(part)]).sum()) + 2 * first * int(part.sum())
    return total % (1 << 64)


@compiled
def _weighted_words(words: npt.NDArray[np.uint64], last: np.uint64) -> np.uint64:
    total = last
    position = np.uint64(1)
    two = np.uint64(2)
    for i in range(words.size):
        position += two
        total += words[i] * position
    return total
