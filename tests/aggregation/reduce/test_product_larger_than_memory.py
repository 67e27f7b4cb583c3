"""A matrix larger than the allowed memory is passed over in portions: the same bits, and the pages done are let go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position

from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import answers
from aggregation.reduce import product as reduce_module
from aggregation.reduce.netting import net
from aggregation.reduce.product import group_pnl
from aggregation.reduce.selection import open_selection
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.tables import Lake

N = 300  # scenarios
CONTRACTS = 400


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    rng = np.random.default_rng(11)
    fx = {p: (1.1, 1.1 * np.exp(0.01 * rng.standard_normal(N))) for p in ("EURUSD", "GBPUSD")}
    names = [f"c{i:03}" for i in range(CONTRACTS)]
    vectors = {
        c: (
            ("USD", "EUR", "GBP")[int(rng.integers(3))],
            float(rng.normal()),
            rng.standard_normal(N) * 10.0 ** rng.integers(-6, 7),
        )
        for c in names
    }
    rows = [
        position(
            f"t{i:04}", names[int(rng.integers(CONTRACTS))], float(rng.normal()), desk=f"d{i % 7}", book=f"b{i % 61}"
        )
        for i in range(3000)
    ]
    return make_lake(tmp_path_factory.mktemp("larger"), Valued(vectors, fx=fx), rows)


def question(**more: Any) -> RiskQuery:
    return RiskQuery(**{"as_of": DAY, "by": ("desk", "book"), "measures": ("var", "es", "mean"), **more})


@pytest.mark.parametrize("share", [0.5, 0.1, 0.001])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_answer_has_the_same_bits(lake: Lake, share: float, threads: int) -> None:
    answers.clear()
    whole = run_query(lake, question(), cache=VectorCache(lake))
    answers.clear()
    size = CONTRACTS * 304 * 8
    streamed = run_query(lake, question(), cache=VectorCache(lake, memory_bytes=share * size), threads=threads)
    assert (whole.receipt["reduce"], streamed.receipt["reduce"]) == ("in-process", "streamed")
    assert streamed.receipt["result_digest"] == whole.receipt["result_digest"]
    assert streamed.rows == whole.rows
    assert streamed.receipt["receipt_digest"] == whole.receipt["receipt_digest"]


def test_a_matrix_that_just_fits_is_not_streamed(lake: Lake) -> None:
    size = CONTRACTS * 304 * 8
    for limit, reduce in ((size, "in-process"), (size - 1, "streamed")):
        vectors = open_inputs(VectorCache(lake, memory_bytes=limit), question()).vectors
        assert vectors.reduce == reduce
        assert (vectors.portion >= CONTRACTS) is (reduce == "in-process")


@pytest.mark.parametrize("portion", [1, 37, 399, 400, 10_000])
def test_any_portion_gives_the_same_bits_from_memory_too(lake: Lake, portion: int) -> None:
    inputs = open_inputs(VectorCache(lake), question())
    selection = open_selection(inputs, question())
    netted = net(inputs.book, selection.groups, inputs.alignment, inputs.vectors, 0, selection.groups.n + 1)
    for rows in (inputs.vectors.rows, np.array(inputs.vectors.rows)):
        whole = group_pnl(rows, netted, selection.rates)
        assert (group_pnl(rows, netted, selection.rates, portion=portion) == whole).all()


def resident(file: Path) -> int:
    """Bytes of the file in this process's memory."""
    found = re.findall(rf"{re.escape(str(file))}\n(?:.*\n)*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text())
    return sum(map(int, found)) * 1024


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="this system does not tell what is resident")
def test_no_more_than_the_portion_is_resident(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = VectorCache(lake, tmp_path / "cache", memory_bytes=CONTRACTS * 304 * 8 / 8)
    inputs = open_inputs(cache, question())
    (file,) = (tmp_path / "cache").glob("*/rows.f64")
    reduce_module._release(inputs.vectors.rows)
    assert resident(file) == 0
    seen, release = [], reduce_module._release

    def watched(rows: Any) -> None:
        seen.append(resident(file))
        release(rows)

    monkeypatch.setattr(reduce_module, "_release", watched)
    selection = open_selection(inputs, question())
    netted = net(inputs.book, selection.groups, inputs.alignment, inputs.vectors, 0, selection.groups.n + 1)
    group_pnl(inputs.vectors.rows, netted, selection.rates, 1, inputs.vectors.portion)
    assert len(seen) == 8
    # the system maps pages around the one asked for as well, here up to another portion
    assert 0 < max(seen) <= 2 * inputs.vectors.memory_bytes
    assert resident(file) == 0
