"""A contract reads just the pillars of a curve that decide its discount factors: those are all, and each of them is needed."""

from __future__ import annotations

import datetime as dt

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from make_market import factor

from scenarios.types import FactorIndex
from valuation.market.scenario_market import ScenarioMarket, pillars_read

DAY = dt.date(2020, 3, 16)
TENORS = [
    "1D",
    "1W",
    "1M",
    "2M",
    "3M",
    "4M",
    "6M",
    "9M",
    "1Y",
    "18M",
    "20M",
    "2Y",
    "3Y",
    "5Y",
    "7Y",
    "10Y",
    "20Y",
    "30Y",
]


@given(
    kind=st.sampled_from(["zero_rate", "par_yield"]),
    tenors=st.lists(st.sampled_from(TENORS), min_size=1, max_size=9, unique=True),
    days=st.lists(st.integers(0, 40 * 365), min_size=2, max_size=2).map(sorted),
    seed=st.integers(0, 1000),
)
def test_the_pillars_read_give_the_same_bits_alone_and_no_other_moves_them(
    kind: str, tenors: list[str], days: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    index = FactorIndex.of(factor(f"YC:USD:{t}", kind) for t in tenors)
    base = 0.03 + 0.01 * rng.standard_normal(len(tenors))
    times = np.unique([days[0], *rng.integers(days[0], days[1] + 1, 5), days[1]]) / 365.0
    read = pillars_read(index, "USD", times[0], times[-1], DAY)
    rows = [index.row[f] for f in read]

    def discount(index: FactorIndex, levels: np.ndarray) -> bytes:
        market = ScenarioMarket(DAY, index, levels, levels[:, None])
        return market.discount("USD", times).tobytes()

    whole = discount(index, base)
    assert discount(FactorIndex(tuple(index.factors[r] for r in rows)), base[rows]) == whole
    others = np.full(len(base), np.nan)
    others[rows] = base[rows]
    assert discount(index, others) == whole


def test_a_bond_of_two_years_does_not_read_thirty() -> None:
    index = FactorIndex.of(factor(f"YC:USD:{t}", "par_yield") for t in TENORS)
    bond = pillars_read(index, "USD", 0.4, 1.9, DAY)
    assert bond == tuple(f"YC:USD:{t}" for t in ("4M", "6M", "9M", "1Y", "18M", "2Y"))
    zeros = FactorIndex.of(factor(f"YC:USD:{t}") for t in TENORS)
    assert pillars_read(zeros, "USD", 4.0, 4.0, DAY) == ("YC:USD:3Y", "YC:USD:5Y")
    assert pillars_read(zeros, "USD", 45.0, 45.0, DAY) == ("YC:USD:20Y", "YC:USD:30Y")
