"""The benchmark of a whole day runs at a small size, and its last answer is that of the batch."""

import pytest

from service.bench.live_day import bench_live_day


@pytest.mark.slow
def test_a_small_day_is_replayed() -> None:
    whole, *parts = bench_live_day(2000, 100, 100, 20)
    assert whole["work"] == (
        "a day of 2,000 ticks and 100 trades in 7 parts, 100 contracts x 20: VaR by desk as the batch has it"
    )
    assert [p["work"].rpartition(": ")[2] for p in parts] == [
        "ticks brought in",
        "trades brought in",
        "taken in and asked, beside it",
    ]
    assert parts[0]["figure"] + parts[1]["figure"] <= whole["figure"]
