"""Ticks of many series aligned to buckets of equal length: mean within the bucket, last value carried into gaps.

Everything is ordered by series and sequence number, never by time: the order in which ticks arrive, and how they are cut into
files, changes no bit. Instants are int64 microseconds since 1970 in UTC, so that midnight is an instant as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lake.arrays import Floats
from lake.compiled import compiled
from lake.errors import BadInput

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]

NEW, CORRECTION, CANCEL, HALT, RESUME, NO_BID, NO_ASK = range(7)  # what a tick does
# what became of a tick; LATE was used as USED was
USED, LATE, CORRECTED, CANCELLED, CROSSED, NOT_POSITIVE, NO_LEVEL, IN_HALT, OUTSIDE, DUPLICATE, NO_TARGET, APPLIED = (
    range(12)
)
CLOSED, NOT_YET, FRESH, CARRIED, HALTED = range(5)  # what a bucket of a series holds


@dataclass(frozen=True)
class Aligned:
    """Series by bucket, each array (n_series, n_buckets), and what became of each tick.

    level : mean of the bucket's ticks, else the last level before; NaN where closed or not yet traded. ticks : how many
    the mean is of. age : buckets since the level was fresh, 0 where it is and -1 where there is none. state : CLOSED to HALTED.
    sequence : highest number of a tick of the series whose bucket it is or one before, -1 where there is none. fate : (n_ticks,) in the
    order the ticks were given, USED to APPLIED.
    """

    level: Floats
    ticks: Ints
    age: Ints
    state: Bytes
    sequence: Ints
    fate: Bytes


def align(
    *,
    series: Ints,
    sequence: Ints,
    time: Ints,
    kind: Bytes,
    target: Ints,
    price: Floats,
    bid: Floats,
    ask: Floats,
    opens: Ints,
    closes: Ints,
    signed: npt.NDArray[np.bool_],
    start: int,
    width: int,
    n_buckets: int,
) -> Aligned:
    """Ticks, arrays of (n_ticks,) in any order, in `n_buckets` buckets of `width` microseconds, the first from `start`.

    A level is `price`, or the middle of `bid` and `ask` where the price is NaN; of a new quote with one side the other is that of the
    quote before, until NO_BID or NO_ASK takes it away. CORRECTION replaces the level of the tick
    with sequence number `target` at that tick's time, CANCEL removes it; one whose target is unknown is NO_TARGET, and a
    correction that gives no usable level leaves the tick as it was. From
    HALT to RESUME, by sequence, prices are not used, and buckets that end in between without a tick of their own are HALTED.
    A tick is LATE, and still used in its own bucket, where one with a lower number belongs to a later bucket. The second tick
    of a number is a DUPLICATE. opens, closes : session of each series (n_series,), an instant at the close included; a bucket
    beyond an early close is CLOSED and no gap. signed : which series may be zero or negative.
    """
    if width <= 0 or n_buckets <= 0:
        raise BadInput(f"Buckets need a length and a number above 0, but received {width} us and {n_buckets} buckets.")
    if len(series) and not (series.min() >= 0 and series.max() < len(opens)):
        raise BadInput(
            f"Ticks are of series {series.min()} to {series.max()}, but sessions are given of 0 to {len(opens) - 1}."
        )
    order = _by_number(series, sequence)
    if (np.diff(series[order]) == 0)[np.diff(sequence[order]) == 0].any():
        # the rest of a tick orders what has one number, so that the same one is kept in whatever order they arrive
        order = np.lexsort((ask, bid, price, target, kind, time, sequence, series))
    level, ticks, age, state, highest, sorted_fate = _align(
        series[order],
        sequence[order],
        time[order],
        kind[order],
        target[order],
        price[order],
        bid[order],
        ask[order],
        opens,
        closes,
        signed,
        start,
        width,
        n_buckets,
    )
    fate = np.empty_like(sorted_fate)
    fate[order] = sorted_fate
    return Aligned(level, ticks, age, state, highest, fate)


def _by_number(series: Ints, sequence: Ints) -> Ints:
    """The order by series and number: in one pass over each where numbers ascend already, as those of a feed do."""
    order = np.argsort(sequence, kind="stable")
    of = series[order]
    if len(of) and of.max() <= np.iinfo(np.uint16).max:
        of = of.astype(np.uint16)  # which NumPy sorts digit by digit
    return order[np.argsort(of, kind="stable")]


def log_returns(level: Floats) -> Floats:
    """Logarithmic returns from bucket to bucket (n_series, n_buckets - 1), NaN where a level is missing or not positive."""
    positive = np.where(level > 0, level, np.nan)
    return np.asarray(np.log(positive[:, 1:] / positive[:, :-1]))


@compiled
def _align(
    series: Ints,
    sequence: Ints,
    time: Ints,
    kind: Bytes,
    target: Ints,
    price: Floats,
    bid: Floats,
    ask: Floats,
    opens: Ints,
    closes: Ints,
    signed: npt.NDArray[np.bool_],
    start: int,
    width: int,
    n_buckets: int,
) -> tuple[Floats, Ints, Ints, Bytes, Ints, Bytes]:
    n_series, n = len(opens), len(series)
    total, ticks = np.zeros((n_series, n_buckets)), np.zeros((n_series, n_buckets), np.int64)
    level = np.full((n_series, n_buckets), np.nan)
    age = np.full((n_series, n_buckets), -1, np.int64)
    state = np.zeros((n_series, n_buckets), np.int8)
    highest = np.full((n_series, n_buckets), -1, np.int64)
    fate, root, value = np.zeros(n, np.int8), np.arange(n), np.full(n, np.nan)
    bucket, latest = np.full(n, -1, np.int64), np.arange(n)  # latest: the tick that gives the value of a root
    first = 0
    for s in range(n_series):
        end = first
        while end < n and series[end] == s:
            end += 1
        last_bucket = min((closes[s] - start - 1) // width, n_buckets - 1)
        halted = np.zeros(n_buckets, np.int8)
        halt_from, newest = -1, -1
        bid_before, ask_before = np.nan, np.nan
        for i in range(first, end):
            if i > first and sequence[i] == sequence[i - 1]:
                fate[i] = DUPLICATE
                continue
            if kind[i] == CORRECTION or kind[i] == CANCEL:
                j = first + np.searchsorted(sequence[first:i], target[i])
                if j == i or sequence[j] != target[i] or kind[j] >= CANCEL or fate[j] == NO_TARGET:
                    fate[i] = NO_TARGET
                    continue
                r = root[j]
                root[i] = r
                if fate[r] == CANCELLED:
                    fate[i] = NO_TARGET
                    continue
            if kind[i] == CANCEL:
                fate[latest[r]] = CANCELLED
                fate[r] = CANCELLED
                fate[i] = APPLIED
                continue
            if kind[i] == HALT or kind[i] == RESUME:
                fate[i] = APPLIED
                b = min(max((time[i] - start) // width, 0), n_buckets)
                if kind[i] == HALT and halt_from < 0:
                    halt_from = b
                elif kind[i] == RESUME and halt_from >= 0:
                    halted[halt_from:b] = 1
                    halt_from = -1
                continue
            if kind[i] == NO_BID or kind[i] == NO_ASK:
                if kind[i] == NO_BID:
                    bid_before = np.nan
                else:
                    ask_before = np.nan
                fate[i] = APPLIED
                continue
            x, buy, sell = price[i], bid[i], ask[i]
            is_quote = np.isnan(x)
            if kind[i] == NEW and not (np.isnan(buy) and np.isnan(sell)):
                bid_before = buy = bid_before if np.isnan(buy) else buy
                ask_before = sell = ask_before if np.isnan(sell) else sell
            if is_quote:
                x = 0.5 * (buy + sell)
            if kind[i] == NEW:
                r = i
                if time[i] < max(opens[s], start) or time[i] > min(closes[s], start + width * n_buckets):
                    fate[i] = OUTSIDE
                    continue
                bucket[i] = min((time[i] - start) // width, last_bucket)
            if not np.isfinite(x):
                fate[i] = NO_LEVEL
            elif is_quote and buy > sell:
                fate[i] = CROSSED
            elif x <= 0 and not signed[s]:
                fate[i] = NOT_POSITIVE
            elif halt_from >= 0 and kind[i] == NEW:
                fate[i] = IN_HALT
            elif bucket[r] < 0:
                fate[i] = OUTSIDE
            else:
                if kind[i] == CORRECTION:
                    if fate[latest[r]] <= LATE:
                        fate[latest[r]] = CORRECTED
                    fate[i] = USED
                else:
                    fate[i] = LATE if bucket[i] < newest else USED
                    newest = max(newest, bucket[i])
                value[r], latest[r] = x, i
        if halt_from >= 0:
            halted[halt_from:] = 1
        for i in range(first, end):
            if bucket[root[i]] >= 0:
                highest[s, bucket[root[i]]] = sequence[i]
            if root[i] == i and bucket[i] >= 0 and fate[latest[i]] <= LATE and not np.isnan(value[i]):
                total[s, bucket[i]] += value[i]
                ticks[s, bucket[i]] += 1
        last = np.nan
        since = 0
        for b in range(n_buckets):
            if b:
                highest[s, b] = max(highest[s, b], highest[s, b - 1])
            if start + (b + 1) * width <= opens[s] or start + b * width >= closes[s]:
                continue
            if ticks[s, b]:
                last = total[s, b] / ticks[s, b]
                since = 0
                state[s, b] = FRESH
            elif np.isnan(last):
                state[s, b] = NOT_YET
                continue
            else:
                since += 1
                state[s, b] = HALTED if halted[b] else CARRIED
            level[s, b], age[s, b] = last, since
        first = end
    return level, ticks, age, state, highest, fate
