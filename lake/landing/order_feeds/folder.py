"""A folder into which another system puts files of orders: each is read once, when it is whole.

A file is whole when its size and time have stood still for `settle_seconds`, or, with `marker`, as soon as a file of its name and that
ending lies beside it. Hidden files and those that end in .tmp, .part or .partial are not looked at.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lake.canonical import file_digest
from lake.errors import BadInput, NotFound
from lake.landing.order_feeds.drop_copy import DropCopy
from lake.landing.order_feeds.portion import REFUSED, Mark, Portion, Resumed
from lake.landing.orders import OrderReader

UNFINISHED = (".tmp", ".part", ".partial")
POLL_SECONDS = 0.2


class _Seen(NamedTuple):
    """A file as it was when it was last looked at, and since when it has been so."""

    size: int
    changed_ns: int
    since: float


class FolderSource:
    """Files of orders as `varlake ingest orders` takes them, and with `drop_copy` logs of FIX messages, whose names end in .fix.

    A file with a fault is refused whole and told; one that is later replaced by another of that name is read again.
    """

    def __init__(
        self,
        folder: Path,
        reader: OrderReader,
        *,
        settle_seconds: float = 2.0,
        marker: str | None = None,
        drop_copy: DropCopy | None = None,
    ) -> None:
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder}; name the one into which files of orders are put.")
        self._folder, self._reader = folder, reader
        self._settle, self._marker, self._copy = settle_seconds, marker, drop_copy
        self._marks: dict[str, Mark] = {}
        self._seen: dict[str, _Seen] = {}
        self._read: dict[str, tuple[int, int]] = {}  # size and time of what was read

    def resume(self, at: Resumed) -> None:
        self._marks = {part: mark for part, mark in at.marks.items() if mark.digest is not None}
        if self._copy is not None:
            self._copy.resume(at)

    def read(self, seconds: float) -> Portion | None:
        """The next file that is whole, as a portion of its own; in the order of names where several are."""
        until = time.monotonic() + seconds
        while True:
            for path in self._whole():
                portion = self._file(path)
                if portion is not None:
                    return portion
            if time.monotonic() >= until:
                return None
            time.sleep(min(POLL_SECONDS, seconds))

    def lag(self) -> dict[str, int]:
        waiting = [(name, size) for name, size, changed in self._present() if self._read.get(name) != (size, changed)]
        return {"files": len(waiting), "bytes": sum(size for _, size in waiting)}

    def drained(self) -> bool:
        return not self.lag()["files"]

    def close(self) -> None:
        """Nothing is open between two files."""

    def _present(self) -> Iterator[tuple[str, int, int]]:
        """Name, size and time of each file, in the order of names."""
        for path in sorted(self._folder.iterdir()):
            ignored = path.name.startswith(".") or path.name.endswith(UNFINISHED)
            if ignored or (self._marker is not None and path.name.endswith(self._marker)):
                continue
            with contextlib.suppress(FileNotFoundError):  # it was taken away meanwhile
                found = path.stat()
                if path.is_file():
                    yield path.name, found.st_size, found.st_mtime_ns

    def _whole(self) -> Iterator[Path]:
        now = time.monotonic()
        for name, size, changed in self._present():
            if self._read.get(name) == (size, changed):
                continue
            seen = self._seen.get(name)
            if seen is None or seen[:2] != (size, changed):
                seen = self._seen[name] = _Seen(size, changed, now)
            path = self._folder / name
            marked = self._marker is not None and path.with_name(name + self._marker).exists()
            if marked or (self._marker is None and now - seen.since >= self._settle):
                yield path

    def _file(self, path: Path) -> Portion | None:
        """What the file holds; None where it was read before, or has changed or gone while it was read."""
        try:
            before = path.stat()
            digest = file_digest(path)
            known = self._marks.get(path.name)
            if known is not None and known.digest == digest:
                self._read[path.name] = (before.st_size, before.st_mtime_ns)
                return None
            portion = self._portion(path)
            after = path.stat()
        except FileNotFoundError:
            return None
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            return None
        self._read[path.name] = (before.st_size, before.st_mtime_ns)
        self._seen.pop(path.name, None)
        self._marks[path.name] = portion.marks[path.name] = Mark(before.st_size, digest)
        portion.counts["files"] += 1
        return portion

    def _portion(self, path: Path) -> Portion:
        portion, place = Portion(), (path.name, 0)
        try:
            if path.name.endswith(".fix"):
                if self._copy is None:
                    raise BadInput(
                        f"{path.name} holds FIX messages; --drop-copy names what says of which contracts they are."
                    )
                return self._copy.file(path)
            made = self._reader.file(path)
        except BadInput as error:
            portion.tell(place, REFUSED, error.message, path.name)
            return portion
        portion.rows = [((path.name, number), path.name, row) for number, row in made]
        portion.told[place] = None
        return portion
