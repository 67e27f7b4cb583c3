"""The default risk charge against the recomputed case, the order of seniorities, and what holds whatever the amounts are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.kernels.frtb_default import DefaultCharge, default_charge, net_amounts
from lake.arrays import Floats

RANKS = 4  # covered, senior, non-senior, equity


def amounts(*rows: tuple[float, ...]) -> Floats:
    return np.array(rows, dtype=np.float64)


def charge(long: Floats, short: Floats, weight: Floats) -> DefaultCharge:
    return default_charge(net_amounts(long, short), weight, np.zeros(len(weight), np.int64), 1)


def test_the_recomputed_case() -> None:
    found = charge(
        amounts((13.80,), (14.40,), (10.00,), (0.0,)),
        amounts((0.0,), (0.0,), (0.0,), (18.45,)),
        np.array([0.03, 0.15, 0.15, 0.06]),
    )
    assert round(float(found.hedge_benefit[0]), 7) == 0.6743160  # of amounts, not of weighted ones
    assert round(float(found.charge[0]), 7) == 3.3275322


@pytest.mark.parametrize(
    ("long_rank", "short_rank", "net_long", "net_short"),
    [
        (1, 1, 0.0, 20.0),  # the same seniority
        (1, 3, 0.0, 20.0),  # short the share, long the senior bond
        (3, 1, 100.0, 120.0),  # short the senior bond does nothing for the share
        (2, 1, 100.0, 120.0),
        (0, 2, 0.0, 20.0),
    ],
)
def test_a_short_offsets_what_is_as_senior_or_more(
    long_rank: int, short_rank: int, net_long: float, net_short: float
) -> None:
    long, short = np.zeros((1, RANKS)), np.zeros((1, RANKS))
    long[0, long_rank], short[0, short_rank] = 100.0, 120.0
    found = net_amounts(long, short)
    assert (found.long.tolist(), found.short.tolist()) == ([net_long], [net_short])


def test_as_much_is_offset_as_can_be() -> None:
    """The share is hedged by the short share, so that the short non-senior bond is left for the senior one."""
    found = net_amounts(amounts((0, 50, 0, 30)), amounts((0, 0, 40, 30)))
    assert (found.long.tolist(), found.short.tolist()) == ([10.0], [0.0])


def test_obligors_do_not_offset_and_buckets_add_up() -> None:
    long, short = amounts((100.0,), (0.0,), (10.0,)), amounts((0.0,), (100.0,), (0.0,))
    net = net_amounts(long, short)
    assert net.long.tolist() == [100.0, 0.0, 10.0]
    found = default_charge(net, np.array([0.06, 0.06, 0.005]), np.array([0, 0, 1]), 3)
    assert found.charge.tolist() == [pytest.approx(6.0 - 0.5 * 6.0), pytest.approx(0.05), 0.0]
    assert np.isnan(found.hedge_benefit[2])


_AMOUNT = st.floats(0, 1e6, allow_subnormal=False).map(lambda v: round(v, 2))
_BOOK = st.lists(st.tuples(*[_AMOUNT] * (2 * RANKS)), min_size=1, max_size=6)


@settings(max_examples=60)
@given(_BOOK, st.sampled_from([0.005, 0.03, 0.15, 0.5]))
def test_derivatives_times_amounts_add_up_to_the_charge(book: list[tuple[float, ...]], weight: float) -> None:
    gross = np.array(book).reshape(-1, 2, RANKS)
    weights = weight * (1 + np.arange(len(gross)))
    found = charge(gross[:, 0], gross[:, 1], weights)
    assert float((found.slope * gross).sum()) == pytest.approx(float(found.charge.sum()), rel=1e-9, abs=1e-6)
    doubled = charge(2 * gross[:, 0], 2 * gross[:, 1], weights)
    assert float(doubled.charge.sum()) == pytest.approx(2 * float(found.charge.sum()), rel=1e-12)


@settings(max_examples=60)
@given(_BOOK)
def test_netting_never_adds_and_keeps_the_difference(book: list[tuple[float, ...]]) -> None:
    gross = np.array(book).reshape(-1, 2, RANKS)
    net = net_amounts(gross[:, 0], gross[:, 1])
    assert (net.long <= gross[:, 0].sum(axis=1) + 1e-6).all()
    assert net.long - net.short == pytest.approx(gross[:, 0].sum(axis=1) - gross[:, 1].sum(axis=1), abs=1e-6)
    assert (charge(gross[:, 0], gross[:, 1], np.full(len(gross), 0.15)).charge >= 0).all()
