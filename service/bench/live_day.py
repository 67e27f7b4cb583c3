"""Row of `varlake bench live`: a whole day of ticks and trades, from files into the lake, followed by a live book in another process.

As in the service, one process brings in and another answers, after each part of the day; what is asked in the end has to be what the batch
valuation of the same inputs gives, bit for bit.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from aggregation.live.follow import follow
from aggregation.live.live_risk import LiveQuery, answer_live
from aggregation.live.opening import LiveDay
from aggregation.live.snapshot import snapshot_day
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_query
from aggregation.session import Session
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from scenarios.market.intraday import ingest_ticks
from service.bench import harness
from service.bench.live_book import DAY, SHARES, fill
from valuation.books.orders import ingest_orders

_PARTS = 7  # files of ticks and of trades: about an hour each
_TRADED = 200  # shares that have ticks
_OPENS, _SECONDS = dt.datetime(2020, 3, 17, 13, 30, tzinfo=dt.UTC), 23_400
_LIMIT = 60.0  # seconds
_ASKED: dict[str, Any] = {"by": ("desk",), "measures": ("var", "es"), "levels": ("0.95", "0.99")}


def bench_live_day(ticks: int, trades: int, n_contracts: int, n_scenarios: int) -> list[harness.Row]:
    """Seconds until a day is in the lake and VaR and ES by desk were asked after each part; raises `AssertionError` where the last answer
    is not that of the batch."""
    with (
        tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder,
        harness.temporary_lake() as lake,
        Committer(lake, "varlake bench") as committer,
    ):
        source = fill(committer, n_contracts, n_scenarios)
        parts = _files(Path(folder), ticks, trades)
        spent = dict.fromkeys(("ticks", "trades"), 0.0)
        with _follower(lake, source.name) as live:
            live.recv()  # the day is open
            started = time.perf_counter()
            for of_ticks, of_trades in parts:
                for what, act in (
                    ("ticks", lambda path=of_ticks: ingest_ticks(committer, path, source="bench")),
                    ("trades", lambda path=of_trades: ingest_orders(committer, path)),
                ):
                    begun = time.perf_counter()
                    act()
                    spent[what] += time.perf_counter() - begun
                live.send("ask")
            answers = [live.recv() for _ in parts]
            taken = time.perf_counter() - started
        _check(committer, lake, source.name, answers[-1])
    work = (
        f"a day of {ticks:,} ticks and {trades:,} trades in {_PARTS} parts, {n_contracts:,} contracts x {n_scenarios:,}"
    )
    rows = [harness.row(f"{work}: VaR by desk as the batch has it", taken, "s", "limit", _LIMIT, "<= 1")]
    told = {
        "ticks brought in": spent["ticks"],
        "trades brought in": spent["trades"],
        "taken in and asked, beside it": sum(seconds for seconds, _ in answers),
    }
    for what, figure in told.items():
        part = harness.row(f"{work}: {what}", figure, "s", "the whole", taken, "<= 1")
        rows.append(part | {"bar": "none, a part", "met": None})
    return rows


def _files(folder: Path, ticks: int, trades: int) -> list[tuple[Path, Path]]:
    """A file of ticks and one of trades for each part of the day."""
    draw = np.random.default_rng(7)
    opens = int(_OPENS.timestamp() * 1e6)
    at, executed = (np.sort(draw.integers(0, _SECONDS * 1_000_000, n)) for n in (ticks, trades))
    names = pa.array([f"EQ:S{i:05}" for i in range(SHARES)])
    of_ticks = pa.table(
        {
            "risk_factor_id": names.take(pa.array(draw.integers(0, _TRADED, ticks))),
            "time": pa.array(opens + at).cast(pa.timestamp("us", "UTC")),
            "sequence": np.arange(1, ticks + 1),
            "price": np.round(100 * np.exp(1e-5 * np.cumsum(draw.standard_normal(ticks))), 4),
            "size": np.full(ticks, 100.0),
        }
    )
    seconds = pa.array((opens + executed) // 1_000_000).cast(pa.timestamp("s", "UTC"))
    of_trades = pa.table(
        {
            "order_id": [f"O{i:06}" for i in range(trades)],
            "executed_at": seconds.cast(pa.string()),
            "side": np.where(draw.random(trades) < 0.5, "buy", "sell"),
            "symbol": names.take(pa.array(draw.integers(0, SHARES, trades))),
            "quantity": draw.integers(1, 500, trades),
            "currency": ["USD"] * trades,
            "desk": [f"desk-{i:02}" for i in draw.integers(0, 20, trades)],
            **{d: [f"{d}-0"] * trades for d in DIMENSION_COLUMNS if d not in ("trade", "desk")},
        }
    )
    cuts = np.linspace(0, _SECONDS * 1_000_000, _PARTS + 1)[1:-1]
    found = []
    for part in range(_PARTS):
        ends = [[0, *np.searchsorted(when, cuts).tolist(), len(when)][part : part + 2] for when in (at, executed)]
        paths = folder / f"ticks-{part}.parquet", folder / f"trades-{part}.csv"
        pq.write_table(of_ticks.slice(ends[0][0], ends[0][1] - ends[0][0]), paths[0])
        pcsv.write_csv(of_trades.slice(ends[1][0], ends[1][1] - ends[1][0]), paths[1])
        found.append(paths)
    return found


@contextmanager
def _follower(lake: Lake, scenario_set: str) -> Iterator[Connection]:
    """A process with the live book: it says that the day is open, and after each message answers from what the lake has by then."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    process = context.Process(target=_follow, args=(its, lake.path, scenario_set), daemon=True)
    process.start()
    its.close()
    try:
        yield mine
    finally:
        mine.close()
        process.join(60)
        process.terminate()


def _follow(parts: Connection, path: Path, scenario_set: str) -> None:
    lake = Lake(path)
    day = follow(VectorCache(lake), LiveDay(as_of=DAY, scenario_set=scenario_set))
    query = LiveQuery(as_of=DAY, scenario_set=scenario_set, causes=False, limits=False, **_ASKED)
    answer_live(day.live, query)
    parts.send("open")
    try:
        while parts.recv():
            started = time.perf_counter()
            day.catch_up(lake)
            answer = answer_live(day.live, query)
            parts.send((time.perf_counter() - started, answer.rows.to_pylist()))
    except EOFError:
        return


def _check(committer: Committer, lake: Lake, scenario_set: str, answer: tuple[float, Sequence[dict[str, Any]]]) -> None:
    session = Session(lake, VectorCache(lake), committer)
    taken = snapshot_day(session, LiveDay(as_of=DAY, scenario_set=scenario_set))
    batch = run_query(lake, RiskQuery(as_of=DAY, scenario_set=taken.scenario_set, **_ASKED)).rows
    live = {name: [row[name] for row in answer[1]] for name in batch.column_names}
    if live != batch.to_pydict():
        raise AssertionError("The live day and the batch valuation of the same inputs are not the same to the bit")
