"""What each question takes of a core beside its price: the example of every question, asked of a lake such as the demo's.

The price decides which questions wait for a place, which are refused, and what a user has left of an hour. So it may be wrong by a
factor, and not by a hundred. Processor time counts, of all threads: what else the machine does changes no figure.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import unknown
from lake.tables import Lake
from service.bench.harness import Row, row
from valuation.costs import FILE

MOST, LEAST = 3.0, 1 / 3  # that the work may be of its price
FLOOR = 0.25  # seconds below which nobody waits: half of what a request takes without a place among the heavy ones


def bench_prices(folder: Path, names: Sequence[str] = (), *, where: Path | None = None) -> list[Row]:
    """A row a question: core-seconds of its example beside its price, which may differ by `MOST` above `FLOOR`.

    What the examples lack is valued first, in a copy of the lake beside `where`, which loses what earlier runs measured: prices are by
    the shipped figures, as on a lake where nobody has asked.
    """
    for name in names:
        if name not in questions.QUESTIONS:
            raise unknown("question", name, questions.QUESTIONS)
    with tempfile.TemporaryDirectory(prefix="varlake-bench-", dir=where) as copy:
        lake = Lake.open(shutil.copytree(folder, Path(copy) / "lake"))
        asked = {n: questions.read(n, questions.question(n).example) for n in names or questions.QUESTIONS}
        with Committer(lake, "varlake bench") as committer:
            asked = {n: questions.value(reading(lake).writing(committer), n, q) for n, q in asked.items()}
        return [_measured(lake, name, query) for name, query in asked.items()]


def _measured(lake: Lake, name: str, query: Any) -> Row:
    """Modules and kernels are loaded by a first answer; the second, of a lake that is opened anew, counts."""
    questions.ask(_fresh(lake), name, query)
    (lake.state / FILE).unlink(missing_ok=True)
    price = questions.price(_fresh(lake), name, questions.settled(_fresh(lake), query)) or 0.0
    session = _fresh(lake)
    started = time.process_time()
    questions.ask(session, name, query)
    taken = time.process_time() - started
    figure, peer = max(taken, FLOOR), max(price, FLOOR)
    bar = f"<= {MOST:g}" if figure >= peer else f">= {LEAST:.3f}"
    made = row(f"{name}, its example", figure, "core-seconds", "its price", peer, bar)
    return {**made, "figure": round(taken, 3), "peer_figure": round(price, 3)}


def _fresh(lake: Lake) -> Session:
    return reading(lake, VectorCache(Lake.open(lake.path)))
