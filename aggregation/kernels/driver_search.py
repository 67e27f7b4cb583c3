"""Kernel: the few member sets that hold most of a change, over all dimensions and their combinations.

Every row has a change and a member in each dimension. A set is a conjunction of up to three members, such as desk Rates
and counterparty Acme. It explains its net change, and nothing where the rest of one of its members undoes more than half of
that: so a trade that is hedged in the same instrument explains nothing. As a share p of the scale, the largest net change
of any member or of all together, and with b the set's share of the rows, its score is

    (p - b) (p / b) ** NARROWNESS * SIMPLICITY ** (number of members)

The first factor is weighted relative accuracy (Lavrac, Flach and Zupan 1999, Rule evaluation measures): what the set explains
beyond its size. The second prefers the narrower of two sets that explain alike, the third the shorter description. Sets are
chosen greedily; the rows of one are taken out before the next is sought, so that they do not overlap. The idea of ranking
member sets by what they explain, with a price for every further member, is that of Adtributor (Bhagwan et al., NSDI 2014)
and HotSpot (Sun et al., IEEE Access 2018); theirs are for measures that add up, as contributions do.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled
from lake.workers import each

Small = npt.NDArray[np.uint8]

DEEPEST = 3
MEMBERS = 32  # of a dimension that are combined: those with the largest net change
LEAST = 1.0 / 32  # of the scale, beyond its share of the rows: what explains less is no driver
NARROWNESS = 0.2  # of two sets in which the same changes, one with half the rows scores 1.15 times the other
SIMPLICITY = 0.95


@dataclass(frozen=True)
class MemberSet:
    """A set: (dimension, code) of each of its members, and the rows (n,) that it holds and no set before it did."""

    members: tuple[tuple[int, int], ...]
    rows: Ints
    score: float


def search_member_sets(
    change: Floats, codes: Sequence[Codes], sizes: Sequence[int], most: int, deepest: int = DEEPEST
) -> list[MemberSet]:
    """The sets, best first; none where the change is spread as the rows are.

    change : (n_rows,). codes : by dimension (n_rows,), each into `sizes` members. A dimension with more members than half the
    rows, such as the trade, is looked at by itself. Same rows in the same order give the same sets; of equal ones the
    first dimension and the first member go first.
    """
    n = len(change)
    found: list[MemberSet] = []
    # a dimension in which all rows are alike tells nothing
    dimensions = [d for d, c in enumerate(codes) if n and (c != c[0]).any()]
    combined = [d for d in dimensions if sizes[d] <= n // 2]
    scale = scale_of(change, codes, sizes)
    if scale == 0.0:
        return found
    kept = {d: _candidates(change, codes[d], sizes[d]) for d in dimensions}
    tables = [_CellSums((kept[d],), (d,), n) for d in dimensions]
    for depth in range(2, min(deepest, len(combined)) + 1):
        tables += [_CellSums(tuple(kept[d] for d in ds), ds, n) for ds in itertools.combinations(combined, depth)]
    each(functools.partial(_CellSums.add, rows=np.arange(n), change=change, sign=1), tables)
    alive: Bools = np.ones(n, dtype=np.bool_)
    while len(found) < most and tables:
        nets = {t.dimensions[0]: t.net for t in tables[: len(dimensions)]}
        left = np.where(alive, change, 0.0)
        parts = {d: np.asarray(np.bincount(codes[d], weights=left, minlength=sizes[d]), np.float64) for d in combined}
        for t in tables:
            alone = len(t.dimensions) == 1 and t.dimensions[0] not in combined
            t.score(scale, n, nets, _within(t, codes, parts) if alone else None)
        best = max(tables, key=lambda t: t.best[0])  # the first of equal scores: tables stand by depth and dimension
        score, cell = best.best
        if score <= 0.0:
            break
        members = best.members(cell)
        rows = np.flatnonzero(np.logical_and.reduce([alive, *(codes[d] == code for d, code in members)]))
        found.append(MemberSet(members, rows, score))
        alive[rows] = False
        each(functools.partial(_CellSums.add, rows=rows, change=change, sign=-1), tables)
    return found


def scale_of(change: Floats, codes: Sequence[Codes], sizes: Sequence[int]) -> float:
    """The largest net change, in absolute value, of all rows together or of a member of a dimension that is combined."""
    n = len(change)
    nets = [np.bincount(c, weights=change, minlength=s) for c, s in zip(codes, sizes, strict=True) if s <= n // 2]
    return max((float(np.abs(x).max(initial=0.0)) for x in (np.array([change.sum()]), *nets)), default=0.0)


@dataclass(frozen=True)
class _Candidates:
    """The members of a dimension that are looked at. `number` (n_rows,) is 1 and up for them, 0 for all others."""

    number: Small
    codes: Ints


def _candidates(change: Floats, codes: Codes, size: int) -> _Candidates:
    net = np.bincount(codes, weights=change, minlength=size)
    order = np.argsort(-np.abs(net), kind="stable")[:MEMBERS]
    chosen = np.sort(order)
    number = np.zeros(size, dtype=np.uint8)
    number[chosen] = np.arange(1, len(chosen) + 1)
    return _Candidates(number[codes], chosen)


@functools.lru_cache(maxsize=1)
def _ones(n: int) -> Small:
    return np.ones(n, dtype=np.uint8)


class _CellSums:
    """Net change and rows of every cell of some dimensions, over the rows that no set has yet."""

    def __init__(self, candidates: tuple[_Candidates, ...], dimensions: tuple[int, ...], n: int) -> None:
        self.dimensions = dimensions
        self._candidates = candidates
        self.shape = tuple(len(c.codes) for c in candidates)
        # the kernel takes three dimensions; a missing one has the single member 1
        numbers = [c.number for c in candidates] + [_ones(n)] * (DEEPEST - len(candidates))
        self._numbers = numbers[0], numbers[1], numbers[2]
        cells = int(np.prod(self.shape))
        self.net, self.count = np.zeros(cells), np.zeros(cells, dtype=np.int64)
        self.best = (0.0, -1)

    def add(self, rows: Ints, change: Floats, sign: int) -> None:
        widths = (*self.shape, 1, 1)
        _add(rows, *self._numbers, widths[1], widths[2], change, sign, self.net, self.count)

    def score(self, scale: float, n: int, nets: Mapping[int, Floats], within: Floats | None) -> None:
        """Sets `best`: the highest score, zero where nothing has one, and its cell, the first of equal ones.

        nets : by dimension the net change of its candidates. within : what the cells explain at most, where that is known.
        """
        net = self.net.reshape(self.shape)
        explained = np.abs(net) if within is None else np.minimum(np.abs(net), within)
        if len(self.dimensions) > 1:
            for axis, d in enumerate(self.dimensions):
                whole = nets[d].reshape([-1 if i == axis else 1 for i in range(net.ndim)])
                explained = np.where(_stands(net, whole), explained, 0.0)
        p, b = explained.ravel() / scale, self.count / n
        fit = np.flatnonzero((self.count > 0) & (p - b >= LEAST))
        p, b = p[fit], b[fit]
        score = (p - b) * (p / b) ** NARROWNESS * SIMPLICITY ** len(self.dimensions)
        at = int(score.argmax()) if len(fit) else -1
        self.best = (float(score[at]), int(fit[at])) if at >= 0 else (0.0, -1)

    def members(self, cell: int) -> tuple[tuple[int, int], ...]:
        places = np.unravel_index(cell, self.shape)
        return tuple((d, int(c.codes[p])) for d, c, p in zip(self.dimensions, self._candidates, places, strict=True))


def _stands(net: Any, whole: Any) -> Any:
    """Where the rest of a whole does not undo more than half of a part of it."""
    return np.sign(net) * (whole - net) >= -0.5 * np.abs(net)


def _within(table: _CellSums, codes: Sequence[Codes], parts: Mapping[int, Floats]) -> Floats:
    """What the members of a dimension such as the trade explain as parts of members of the others, (n_cells,).

    As of a set of DEEPEST members: they stand in that many dimensions at least. A member of several rows is a part of the
    members of its first row.
    """
    dimension = table.dimensions[0]
    most = np.full(len(table.net), np.inf)
    for cell, net in enumerate(table.net.tolist()):
        row = int(np.argmax(codes[dimension] == table.members(cell)[0][1]))
        wholes = [float(part[codes[d][row]]) for d, part in parts.items()]
        if sum(bool(_stands(net, w)) for w in wholes) < min(DEEPEST, len(wholes)):
            most[cell] = 0.0
    return most


@compiled
def _add(
    rows: Ints,
    a: Small,
    b: Small,
    c: Small,
    width_b: int,
    width_c: int,
    change: Floats,
    sign: int,
    net: Floats,
    count: Ints,
) -> None:
    for r in rows:
        if a[r] == 0 or b[r] == 0 or c[r] == 0:
            continue
        cell = ((np.int64(a[r]) - 1) * width_b + np.int64(b[r]) - 1) * width_c + np.int64(c[r]) - 1
        net[cell] += sign * change[r]
        count[cell] += sign
