"""Ticks in buckets: against pandas, and each named case by hand."""

import numpy as np
import pandas as pd
import pytest

from lake.errors import BadInput
from scenarios.kernels import alignment as al

SECOND = 1_000_000_000
NAN = float("nan")


def aligned(ticks, *, n_buckets=5, close=None, signed=False, n_series=1):
    """Ticks as (series, sequence, second, kind, target, price, bid, ask)."""
    series, sequence, time, kind, target, price, bid, ask = (np.array(c) for c in zip(*ticks, strict=True))
    return al.align(
        series=series.astype(np.int64), sequence=sequence.astype(np.int64), time=(time * SECOND).astype(np.int64),
        kind=kind.astype(np.int8), target=target.astype(np.int64), price=price.astype(float), bid=bid.astype(float),
        ask=ask.astype(float), opens=np.zeros(n_series, np.int64),
        closes=np.full(n_series, int((close or n_buckets) * SECOND), np.int64), signed=np.full(n_series, signed),
        start=0, width=SECOND, n_buckets=n_buckets,
    )  # fmt: skip


def tick(sequence, second, price=NAN, *, kind=al.NEW, target=-1, bid=NAN, ask=NAN):
    return (0, sequence, second, kind, target, price, bid, ask)


def test_means_and_carried_levels_are_those_of_pandas_in_any_order():
    rng = np.random.default_rng(7)
    n = 3000
    ticks = [
        (int(s), i, t, al.NEW, -1, p, NAN, NAN)
        for i, (s, t, p) in enumerate(
            zip(rng.integers(0, 3, n), np.sort(rng.uniform(0, 2000, n)), rng.uniform(90, 110, n), strict=True)
        )
    ]
    got = aligned(ticks, n_buckets=2000, n_series=3)
    frame = pd.DataFrame({"s": [t[0] for t in ticks], "b": [int(t[2]) for t in ticks], "p": [t[5] for t in ticks]})
    means = frame.pivot_table(index="b", columns="s", values="p", aggfunc="mean").reindex(range(2000))
    np.testing.assert_allclose(got.level, means.ffill().to_numpy().T, rtol=1e-14)
    assert (got.ticks > 0).sum() == means.notna().to_numpy().sum()
    assert got.ticks.sum() == n
    again = aligned([ticks[i] for i in rng.permutation(n)], n_buckets=2000, n_series=3)
    assert again.level.tobytes() == got.level.tobytes()
    assert again.state.tobytes() == got.state.tobytes()


def test_carried_with_its_age_and_not_before_the_first():
    got = aligned([tick(1, 1.5, 10), tick(2, 4.0, 12)])
    np.testing.assert_array_equal(got.level, [[NAN, 10, 10, 10, 12]])
    assert got.age.tolist() == [[-1, 0, 1, 2, 0]]
    assert got.state.tolist() == [[al.NOT_YET, al.FRESH, al.CARRIED, al.CARRIED, al.FRESH]]
    np.testing.assert_array_equal(al.log_returns(got.level)[0, 1:], np.log([1, 1, 1.2]))


CASES = {
    "late": ([tick(1, 0, 10), tick(2, 2, 12), tick(3, 0.9, 14)], [12, 12, 12], [al.USED, al.USED, al.LATE]),
    "corrected": (
        [tick(1, 0, 10), tick(2, 2, 11, kind=al.CORRECTION, target=1)],
        [11, 11, 11],
        [al.CORRECTED, al.USED],
    ),
    "cancelled": (
        [tick(1, 0, 10), tick(2, 1, 20), tick(3, 2, kind=al.CANCEL, target=2)],
        [10, 10, 10],
        [al.USED, al.CANCELLED, al.APPLIED],
    ),
    "cancel a correction": (
        [
            tick(1, 0, 10),
            tick(2, 1, 20),
            tick(3, 1, 30, kind=al.CORRECTION, target=2),
            tick(4, 2, kind=al.CANCEL, target=3),
        ],
        [10, 10, 10],
        [al.USED, al.CANCELLED, al.CANCELLED, al.APPLIED],
    ),
    "cancel of nothing": (
        [tick(1, 0, 10), tick(2, 0, kind=al.CANCEL, target=9)],
        [10, 10, 10],
        [al.USED, al.NO_TARGET],
    ),
    "crossed": ([tick(1, 0, bid=9, ask=11), tick(2, 1, bid=11, ask=9)], [10, 10, 10], [al.USED, al.CROSSED]),
    "zero": ([tick(1, 0, 10), tick(2, 1, 0.0)], [10, 10, 10], [al.USED, al.NOT_POSITIVE]),
    "no level": ([tick(1, 0, 10), tick(2, 1)], [10, 10, 10], [al.USED, al.NO_LEVEL]),
    "a side stands": (
        [tick(1, 0, bid=9, ask=11), tick(2, 1, bid=10), tick(3, 2, kind=al.NO_BID), tick(4, 2, ask=12)],
        [10, 10.5, 10.5],
        [al.USED, al.USED, al.APPLIED, al.NO_LEVEL],
    ),
    "outside": ([tick(1, 0, 10), tick(2, 7, 11)], [10, 10, 10], [al.USED, al.OUTSIDE]),
    "one instant": ([tick(2, 1, 12), tick(1, 1, 10), tick(2, 1, 12)], [NAN, 11, 11], [al.USED, al.USED, al.DUPLICATE]),
}


@pytest.mark.parametrize("name", CASES)
def test_named_case(name):
    ticks, levels, fates = CASES[name]
    got = aligned(ticks, n_buckets=3)
    np.testing.assert_array_equal(got.level[0], levels)
    assert got.fate.tolist() == fates


def test_nothing_is_carried_as_fresh_in_a_halt():
    got = aligned(
        [tick(1, 0, 10), tick(2, 1, kind=al.HALT), tick(3, 2, 99), tick(4, 3, kind=al.RESUME), tick(5, 4, 12)]
    )
    assert got.state[0].tolist() == [al.FRESH, al.HALTED, al.HALTED, al.CARRIED, al.FRESH]
    assert got.fate[2] == al.IN_HALT
    assert got.level[0].tolist() == [10, 10, 10, 10, 12]


def test_an_early_close_is_no_gap_and_a_signed_series_may_be_negative():
    got = aligned([tick(1, 0, -0.5), tick(2, 3, 1)], close=3, signed=True)
    assert got.state[0].tolist() == [al.FRESH, al.CARRIED, al.FRESH, al.CLOSED, al.CLOSED]
    np.testing.assert_array_equal(got.level[0], [-0.5, -0.5, 1, NAN, NAN])


def test_buckets_without_length_are_refused():
    with pytest.raises(BadInput, match="length and a number above 0"):
        aligned([tick(1, 0, 1)], n_buckets=0)
