"""The search finds planted sets exactly, and the best of all sets by brute force."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.kernels.driver_search import LEAST, MEMBERS, NARROWNESS, SIMPLICITY, MemberSet, search_member_sets

SIZES = (9, 9, 10, 9, 400)


def rows_of(seed: int, n: int, sizes: Sequence[int]) -> tuple[np.random.Generator, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return rng, [rng.integers(0, s, n).astype(np.int32) for s in sizes]


def inside(codes: Sequence[np.ndarray], members: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.logical_and.reduce([codes[d] == m for d, m in members])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.booleans())
def test_planted_drivers_are_found_exactly(seed: int, drivers: int, offsetting: bool) -> None:
    """One to three sets of one to three members, no member twice, beside noise that is half of all change."""
    n = 20_000
    rng, codes = rows_of(seed, n, SIZES)
    change = rng.standard_normal(n)
    change *= 0.5 * n / np.abs(change).sum()
    planted: list[tuple[tuple[int, int], ...]] = []
    free = np.ones(n, dtype=bool)
    for i in range(drivers):
        depth = int(rng.integers(1, 4))
        dimensions = sorted(rng.choice(4, depth, replace=False).tolist())
        members = tuple((d, i * 3 + int(rng.integers(0, 3))) for d in dimensions)
        rows = inside(codes, members) & free
        free &= ~rows
        sign = -1.0 if offsetting and i % 2 else 1.0
        # a set is a driver by what it holds beyond its size
        weight = 0.5 / drivers + rows.mean()
        change[rows] += sign * weight * n / rows.sum() * (1 + 0.3 * rng.standard_normal(rows.sum()))
        planted.append(members)
    found = search_member_sets(change, codes, SIZES, 5)
    assert {f.members for f in found} == set(planted)
    for f in found:
        assert set(f.rows.tolist()) <= set(np.flatnonzero(inside(codes, f.members)).tolist())
    rows = np.concatenate([f.rows for f in found])
    assert len(np.unique(rows)) == len(rows)


def brute_force(
    change: np.ndarray, codes: Sequence[np.ndarray], sizes: Sequence[int]
) -> tuple[float, tuple[tuple[int, int], ...]]:
    """Every conjunction of up to three members, one at a time."""
    n = len(change)
    scale = max(
        abs(change.sum()), *(abs(change[c == m].sum()) for c, s in zip(codes, sizes, strict=True) for m in range(s))
    )
    best: tuple[float, tuple[tuple[int, int], ...]] = (0.0, ())
    for depth in (1, 2, 3):
        for dimensions in itertools.combinations(range(len(codes)), depth):
            for members in itertools.product(*(range(sizes[d]) for d in dimensions)):
                chosen = tuple(zip(dimensions, members, strict=True))
                rows = inside(codes, chosen)
                net = change[rows].sum()
                wholes = [change[codes[d] == m].sum() for d, m in chosen]
                undone = max(0.0, *(-np.sign(net) * (w - net) for w in wholes))
                p, b = (abs(net) if undone <= abs(net) / 2 else 0.0) / scale, rows.sum() / n
                if rows.any() and p - b >= LEAST:
                    score = (p - b) * (p / b) ** NARROWNESS * SIMPLICITY**depth
                    if score > best[0] * (1 + 1e-12):
                        best = (score, chosen)
    return best


@pytest.mark.parametrize("seed", range(8))
def test_the_first_set_is_the_best_of_all(seed: int) -> None:
    rng, codes = rows_of(seed, 300, (4, 5, 3, 6))
    change = rng.standard_t(2, 300)
    score, members = brute_force(change, codes, (4, 5, 3, 6))
    found = search_member_sets(change, codes, (4, 5, 3, 6), 1)
    if not members:
        assert found == []
        return
    assert found[0].members == members
    assert found[0].score == pytest.approx(score, rel=1e-12)
    # the first does not depend on how many are sought
    same(search_member_sets(change, codes, (4, 5, 3, 6), 4)[:1], found)


def same(one: Sequence[MemberSet], two: Sequence[MemberSet]) -> None:
    assert [f.members for f in one] == [f.members for f in two]
    assert [f.score for f in one] == pytest.approx([f.score for f in two], rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_scale_nor_sign_of_rows_matters(seed: int) -> None:
    rng, codes = rows_of(seed, 2000, SIZES)
    change = rng.standard_t(1.5, 2000)
    found = search_member_sets(change, codes, SIZES, 5)
    assert found
    order = rng.permutation(2000)
    same(search_member_sets(change[order], [c[order] for c in codes], SIZES, 5), found)
    same(search_member_sets(change * 1e6, codes, SIZES, 5), found)
    same(search_member_sets(-change, codes, SIZES, 5), found)
    assert len(search_member_sets(change, codes, SIZES, 2)) <= 2


def test_moves_that_offset_each_other_are_both_found() -> None:
    _, codes = rows_of(1, 10_000, SIZES)
    change = np.zeros(10_000)
    up, down = inside(codes, ((0, 3), (1, 7))), inside(codes, ((0, 5), (2, 8)))
    change[up], change[down] = 1.0 / up.sum(), -1.0 / down.sum()
    assert abs(change.sum()) < 1e-12
    assert {f.members for f in search_member_sets(change, codes, SIZES, 5)} == {((0, 3), (1, 7)), ((0, 5), (2, 8))}


def test_a_single_row_is_found_by_the_dimension_that_names_it() -> None:
    rng, codes = rows_of(2, 5000, SIZES)
    change = rng.standard_normal(5000)
    change[77] += 4000.0
    found = search_member_sets(change, [*codes, rng.permutation(5000).astype(np.int32)], [*SIZES, 5000], 3)
    assert [len(f.members) for f in found] == [1]
    assert found[0].members[0][0] == len(SIZES)
    assert found[0].rows.tolist() == [77]


def test_a_change_spread_as_the_rows_are_has_no_driver() -> None:
    _, codes = rows_of(3, 5000, SIZES)
    assert search_member_sets(np.ones(5000), codes, SIZES, 5) == []
    assert search_member_sets(np.zeros(5000), codes, SIZES, 5) == []
    alike = [np.zeros(5000, dtype=np.int32)]
    assert search_member_sets(np.arange(5000.0), alike, [1], 5) == []


def test_what_is_hedged_in_a_member_is_no_driver() -> None:
    """Two large trades in one instrument undo each other; a small move of a desk is what is left."""
    rng, codes = rows_of(6, 5000, SIZES)
    change = rng.standard_normal(5000) * 1e-3
    change[codes[0] == 4] += 0.1
    for c in codes:
        c[[10, 20]] = 7, 7  # alike in all but the trade
    change[10] += 1000.0
    change[20] -= 1000.0
    found = search_member_sets(change, [*codes, np.arange(5000, dtype=np.int32)], [*SIZES, 5000], 3)
    assert [f.members for f in found] == [((0, 4),)]


def test_members_that_move_most_are_combined_among_many() -> None:
    rng, codes = rows_of(5, 50_000, (500, 500, 500))
    change = rng.standard_normal(50_000) * 0.5
    change[:200] = 0.08 * np.abs(change).sum() / 200
    members = (499, 250, 3)
    for c, member in zip(codes, members, strict=True):
        c[:200] = member
    found = search_member_sets(change, codes, (500, 500, 500), 3)
    assert MEMBERS < 500
    assert found[0].rows[:200].tolist() == list(range(200))
