"""Benchmarks of what goes on during the day: FIX messages read, ticks aligned, covariances slid. One core each."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lake.landing import fix
from scenarios.kernels.alignment import Aligned, align
from scenarios.kernels.sliding_covariance import SlidingCovariance
from scenarios.market.sample_ticks import as_fix
from service.bench.harness import Row, row, seconds

_LIMIT = "the stated limit"
_SECOND = 1_000_000
_SYMBOLS = 200
_SERIES = {500: 0.1, 2_000: 2.0}  # and the milliseconds that a slide may take
_WINDOW, _SLIDES = 300, 200


def bench_live(messages: int, ticks: int) -> list[Row]:
    """Rows of `messages` FIX messages and `ticks` ticks, and of the slides."""
    return [*_fix(messages), *_alignment(ticks), *(r for n, limit in _SERIES.items() for r in _slides(n, limit))]


def _fix(n: int) -> list[Row]:
    rng = np.random.default_rng(1)
    mid = rng.random(n) < 0.5
    level = np.round(rng.uniform(90, 110, n), 2)
    rows: dict[str, Any] = {
        "risk_factor_id": pa.array([f"S{i:03}" for i in rng.integers(0, _SYMBOLS, n)]),
        "time": 1_584_365_400_000_000 + np.sort(rng.integers(0, 6 * 3600 * _SECOND, n)),
        "price": np.where(mid, np.nan, level),
        "bid": np.where(mid, level - 0.01, np.nan),
        "ask": np.where(mid, level + 0.01, np.nan),
        "size": np.full(n, 100.0),
    }
    log = as_fix(rows)
    read = fix.messages(log)
    count = len(read.message["at"])
    if (read.message["fault"] > 0).any() or read.rest:
        raise ValueError("the log of the benchmark has a fault")
    ours = count / seconds(lambda: fix.messages(log), clock=time.process_time)
    work = f"{count:,} FIX messages of market data read and verified"
    theirs = _simplefix(log[: 400 * 1024])
    return [
        row(work, ours, "/s of a core", _LIMIT, 300_000, ">= 1"),
        row(work, ours, "/s of a core", "simplefix, split into fields", theirs, ">= 20"),
    ]


def _simplefix(log: bytes) -> float:
    """Messages a second of processor time."""

    count = 0

    def read() -> None:
        nonlocal count
        parser = importlib.import_module("simplefix").FixParser()
        parser.append_buffer(log)
        count = 0
        while parser.get_message() is not None:
            count += 1

    taken = seconds(read, 3, clock=time.process_time)
    return count / taken


def _alignment(n: int) -> list[Row]:
    rng = np.random.default_rng(2)
    buckets = 23_400  # seconds of a session in New York
    nothing = np.full(n, np.nan)
    ticks: dict[str, Any] = {
        "series": rng.integers(0, _SYMBOLS, n),
        "sequence": np.arange(n),
        "time": np.sort(rng.integers(0, buckets * _SECOND, n)),
        "kind": np.zeros(n, np.int8),
        "target": np.full(n, -1),
        "price": rng.uniform(90, 110, n),
        "bid": nothing,
        "ask": nothing,
    }

    def ours() -> Aligned:
        return align(
            **ticks,
            opens=np.zeros(_SYMBOLS, np.int64),
            closes=np.full(_SYMBOLS, buckets * _SECOND),
            signed=np.zeros(_SYMBOLS, bool),
            start=0,
            width=_SECOND,
            n_buckets=buckets,
        )

    frame = pd.DataFrame({"series": ticks["series"], "bucket": ticks["time"] // _SECOND, "price": ticks["price"]})

    def theirs() -> pd.DataFrame:
        means = frame.groupby(["bucket", "series"])["price"].mean().unstack()
        return means.reindex(range(buckets)).ffill()

    np.testing.assert_allclose(ours().level, theirs().to_numpy().T, rtol=1e-12)
    rate, peer = (n / seconds(work, 3, time.process_time) for work in (ours, theirs))
    work = f"{n:,} ticks of {_SYMBOLS} series aligned to seconds"
    cost = row(work, rate, "/s of a core", "pandas: means and carried levels alone", peer, ">= 1")
    return [row(work, rate, "/s of a core", _LIMIT, 500_000, ">= 1"), cost | {"bar": "none, a cost", "met": None}]


def _slides(n: int, limit: float) -> list[Row]:
    moves = 1e-4 * np.random.default_rng(3).standard_normal((_WINDOW + _SLIDES, n))
    sliding = SlidingCovariance(moves[:_WINDOW])
    taken = []
    for observation in moves[_WINDOW:]:
        started = time.process_time()
        sliding.slide(observation)
        taken.append(time.process_time() - started)
    scratch = np.cov(moves[-_WINDOW:], rowvar=False)
    size = np.sqrt(np.outer(np.diagonal(scratch), np.diagonal(scratch)))
    error = float((np.abs(sliding.covariance() - scratch) / size).max())
    anew = 1e3 * seconds(lambda: np.cov(moves[-_WINDOW:], rowvar=False), 3, clock=time.process_time)
    work, slide = f"covariance of {n:,} series, one slide of {_WINDOW} moves", 1e3 * float(np.median(taken))
    return [
        row(work, slide, "ms of a core", _LIMIT, limit, "<= 1", better="lower"),
        row(work, slide, "ms of a core", "NumPy (BLAS), from scratch", anew, "<= 0.1", better="lower"),
        row(
            f"{work}: largest error after {_SLIDES}",
            error,
            "of two deviations",
            "tolerance",
            1e-12,
            "<= 1",
            better="lower",
        ),
    ]
