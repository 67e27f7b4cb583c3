"""A log of FIX messages, followed as it grows."""

from __future__ import annotations

import time
from pathlib import Path

from lake.errors import NotFound
from lake.landing.order_feeds.drop_copy import DropCopy
from lake.landing.order_feeds.fix_messages import MOST_BODY
from lake.landing.order_feeds.portion import Mark, Portion, Resumed

POLL_SECONDS = 0.05
PIECE = 2 * MOST_BODY  # read at once: holds one message at least


class FixLog:
    """A log that some FIX engine writes. One that is shorter than what was read of it is another of the same name: it is read from its
    beginning."""

    def __init__(self, path: Path, copy: DropCopy) -> None:
        if not path.is_file():
            raise NotFound(f"There is no log {path}; name the file that the drop copy is written to.")
        self._path, self._copy, self._position = path, copy, 0
        self._drained = False

    def resume(self, at: Resumed) -> None:
        mark = at.marks.get(self._path.name)
        self._position = 0 if mark is None else mark.position
        self._copy.resume(at)

    def read(self, seconds: float) -> Portion | None:
        """The messages that have come, of one piece of the log."""
        until = time.monotonic() + seconds
        while (portion := self._piece()) is None and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        return portion

    def _piece(self) -> Portion | None:
        portion = Portion()
        with self._path.open("rb") as log:
            if self._path.stat().st_size < self._position:
                self._position = 0
                portion.counts["logs begun anew"] += 1
            log.seek(self._position)
            data = log.read(PIECE)
        end = self._copy.take(portion, self._path.name, self._position, data, whole=False)
        self._drained = end == self._position and len(data) < PIECE
        if self._drained:
            return None
        if end == self._position:  # no message ends in this piece: one that begins in it ends in the next
            begun = data.find(b"8=FIX", 1)
            end += begun if begun > 0 else PIECE - len(b"8=FI")
        self._position = end
        portion.marks[self._path.name] = Mark(end)
        return portion

    def lag(self) -> dict[str, int]:
        return {"bytes": max(0, self._path.stat().st_size - self._position)}

    def drained(self) -> bool:
        """A message without its end is left to what follows."""
        return self._drained

    def close(self) -> None:
        """Nothing stays open between two pieces."""
