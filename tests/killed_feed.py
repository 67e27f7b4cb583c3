"""A feed killed again and again while it reads, to be run as a program of its own: LAKE FOLDER KILLS SEED.

It imports everything once, opens nothing, and forks a feed for each kill, so that a kill costs what the feed does and no start. The feed
reads a folder of files of orders and a log of a drop copy in turn. Prints as JSON how many were killed before they were done.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from lake.committer import Committer
from lake.landing.order_feeds.drop_copy import DropCopy, Rules
from lake.landing.order_feeds.feed import OrderFeed, committing
from lake.landing.order_feeds.fix_log import FixLog
from lake.landing.order_feeds.folder import FolderSource
from lake.landing.order_feeds.portion import Source
from lake.tables import Lake
from valuation.books.orders import order_reader
from valuation.catalogue import INSTRUMENTS

RULES = Rules(
    columns={
        "symbol": "EQ:{55}",
        "currency": "USD",
        "account": "{1}",
        "counterparty": "{49}",
        **dict.fromkeys(("portfolio", "client", "desk", "book", "legal_entity"), "X"),
    }
)


def read(lake: Path, folder: Path, name: str) -> None:
    """Reads what is there, committing every few rows."""
    opened = Lake.open(lake)
    reader = order_reader(opened)
    source: Source = (
        FixLog(folder / "drop.log", DropCopy(reader, RULES))
        if name == "fix"
        else FolderSource(folder / "files", reader, settle_seconds=0)
    )
    OrderFeed(opened, name, source, reader, committing(lambda: Committer(opened, "feed")), most_rows=5).run(
        lambda seconds: False, once=True
    )


def forked(lake: Path, folder: Path, name: str, at: float | int | None) -> bool:
    """Whether a feed was done before it was killed: after so many seconds, or, where `at` is whole, at that one of its calls about files
    that Python sees. Never killed for None."""
    child = os.fork()
    if child == 0:
        if isinstance(at, int):
            sys.addaudithook(_KilledAt(at))
        try:
            read(lake, folder, name)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    if isinstance(at, float):
        time.sleep(at)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    assert os.WEXITSTATUS(status) == 0, "the feed failed"
    return True


class _KilledAt:
    """Kills its process at the n-th call that opens, links or renames a file, or locks it."""

    def __init__(self, calls: int) -> None:
        self._left = calls

    def __call__(self, event: str, _: object) -> None:
        if event in ("open", "os.link", "os.rename", "os.remove", "fcntl.flock"):
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def main(lake: Path, folder: Path, kills: int, seed: int) -> None:
    assert INSTRUMENTS, "all that a feed needs is imported before the fork"
    draws, killed, tried = random.Random(seed), 0, 0
    (folder / "files").mkdir()
    (folder / "drop.log").touch()
    batches = sorted((folder / "arriving").iterdir())
    arrive(folder, batches, 2)
    began = time.monotonic()
    assert all(forked(lake, folder, name, None) for name in ("folder", "fix"))
    seconds = (time.monotonic() - began) / 2
    while killed < kills:
        assert tried < 20 * kills, "feeds are done before they can be killed"
        arrive(folder, batches, 1)
        at = draws.choice((draws.uniform(0, seconds), draws.randrange(1, 150)))
        killed += not forked(lake, folder, ("folder", "fix")[tried % 2], at)
        tried += 1
    arrive(folder, batches, len(batches))
    assert all(forked(lake, folder, name, None) for name in ("folder", "fix"))
    print(json.dumps({"killed": killed, "tried": tried}))


def arrive(folder: Path, batches: list[Path], count: int) -> None:
    """Puts the next batches where the feeds read: files into the folder, pieces of the drop copy to the end of its log."""
    for batch in batches[:count]:
        if batch.suffix == ".fix":
            with (folder / "drop.log").open("ab") as log:
                log.write(batch.read_bytes())
        else:
            batch.rename(folder / "files" / batch.name)
    del batches[:count]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
