"""Where the product is done is chosen by size, said with its reason, and changes nothing else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position

from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.reduce_strategy import choose_reduce
from aggregation.types import RiskQuery
from lake.tables import Lake

GIB = 1 << 30


def no_spark() -> Any:
    raise AssertionError("Spark was started")


@pytest.mark.parametrize(
    ("size", "memory", "on_spark", "reduce", "because"),
    [
        (GIB, math.inf, True, "in-process", "1.00 GiB of vectors, without a limit of memory"),
        (GIB, GIB, True, "in-process", "1.00 GiB of vectors, 1.00 GiB allowed in memory"),
        (GIB + 1, GIB, False, "streamed", "1.00 GiB of vectors, 1.00 GiB allowed in memory"),
        (3 * GIB, GIB, True, "spark", "3.00 GiB of vectors, 1.00 GiB allowed in memory, and a Spark cluster is set up"),
        (5 << 20, 1 << 19, False, "streamed", "5.00 MiB of vectors, 524,288 bytes allowed in memory"),
    ],
)
def test_by_size(size: int, memory: float, on_spark: bool, reduce: str, because: str) -> None:
    chosen = choose_reduce("auto", size, memory, on_spark=on_spark)
    assert chosen.to_dict() == {"reduce": reduce, "because": because}


def test_what_is_asked_for_is_done() -> None:
    for asked in ("in-process", "streamed", "spark"):
        chosen = choose_reduce(asked, 100, 10.0, on_spark=True)
        assert chosen.reduce == asked
        assert "asked for" in chosen.because
    assert choose_reduce("in-process", 100, 10.0, on_spark=False).memory_bytes == math.inf
    assert choose_reduce("streamed", 100, 10.0, on_spark=False).memory_bytes == 10
    assert choose_reduce("streamed", 100, math.inf, on_spark=False).memory_bytes == 50


def test_a_cache_without_a_session_cannot_be_asked_for_spark(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a function that gives the session"):
        VectorCache(Lake.create(tmp_path / "lake"), reduce="spark")


def test_what_is_opened_says_how_it_is_passed_over(tmp_path: Path) -> None:
    vectors = {f"c{i}": ("USD", 1.0, np.arange(70.0)) for i in range(4)}
    lake = make_lake(tmp_path, Valued(vectors, failed={"x": "y"}), [position("t", "c1", 1.0)])
    size = 4 * 72 * 8

    def opened(**more: Any) -> str:
        cache = VectorCache(lake, **more)
        (seal,) = cache.seals(lake.snapshot("valuation_sets"))
        told = cache.reduce_of(seal.submitted - seal.failed, seal.scenario_count).reduce
        found = open_inputs(cache, RiskQuery(as_of=DAY)).vectors
        assert found.reduce == told
        assert (found.matrix is None) is (told == "spark")
        return told

    assert opened() == "in-process"
    assert opened(memory_bytes=size) == "in-process"
    assert opened(memory_bytes=size - 1) == "streamed"
    assert opened(memory_bytes=size - 1, spark=no_spark) == "spark"  # opening starts nothing
    assert opened(memory_bytes=size, spark=no_spark) == "in-process"
    assert opened(reduce="in-process", memory_bytes=1) == "in-process"
    assert opened(reduce="streamed") == "streamed"
    assert opened(reduce="spark", spark=no_spark) == "spark"
