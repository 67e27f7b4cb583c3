"""Kernel: mean correlations of pairs of issuers, of different sectors and of one, and both again without each block of time.

Under X_i = sqrt(g) G + sqrt(s) S_sector(i) + sqrt(1 - g - s) e_i the correlation of a pair of different sectors is g, and that of a pair
of one sector g + s: the means of the sample's correlations are the moment estimates of both. A pair's correlation is Pearson's, of the
moves that both have; every pair weighs the same. Sums run by block, then by pair, in the order of issuers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled

ACROSS, WITHIN = 0, 1  # pairs of different sectors, pairs of one
_NO_VARIANCE = 1e-12  # of moves scaled to a variance of one: what rounding leaves of a constant


@dataclass(frozen=True)
class PairMeans:
    """Rows are `ACROSS` and `WITHIN`.

    mean : (2,) of the pairs' correlations, NaN where there is no pair. without : (2, n_blocks) the same without the moves of a block.
    pairs, issuers : (2,) how many. most, fewest : (2,) moves that a pair has in common. first, last : (2,) rows of the first and the last
    move of any pair. partners : (n,) in how many pairs each issuer is.
    """

    mean: Floats
    without: Floats
    pairs: Ints
    issuers: Ints
    most: Ints
    fewest: Ints
    first: Ints
    last: Ints
    partners: Ints


def scaled(moves: Floats) -> Floats:
    """Moves (n, n_moves) with mean nil and variance one over those that are there; NaN where there are none, or where they do not vary."""
    out: Floats = np.full(moves.shape, np.nan)
    for i, row in enumerate(moves):
        there = np.isfinite(row)
        known = row[there]
        if len(known) < 2:
            continue
        centred = known - np.add.reduce(known) / len(known)
        deviation = math.sqrt(np.add.reduce(centred * centred) / len(known))
        if deviation > _NO_VARIANCE * np.abs(known).max():
            out[i, there] = centred / deviation
    return out


def pair_means(moves: Floats, series: Codes, sector: Codes, blocks: int, least: int) -> PairMeans:
    """Of the moves (n, n_moves) of n issuers, NaN where there is none.

    series : (n,) which history an issuer's moves are of; issuers of one history are no pair. sector : (n,). blocks : stretches of time,
    as equal as they can be. least : moves that a pair must have in common.
    """
    n, n_moves = moves.shape
    block = np.arange(n_moves) * blocks // max(n_moves, 1)
    sums, counts = np.zeros((2, blocks + 1)), np.zeros((2, blocks + 1), np.int64)
    ranges = np.zeros((2, 4), np.int64)
    ranges[:, 1] = ranges[:, 2] = n_moves
    partners = np.zeros((2, n), np.int64)
    _add_pairs(scaled(moves), series, sector, block, least, sums, counts, ranges, partners)
    with np.errstate(invalid="ignore"):
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    most, fewest, first, last = ranges.T
    return PairMeans(
        means[:, 0],
        means[:, 1:],
        counts[:, 0],
        np.count_nonzero(partners, axis=1),
        most,
        fewest,
        first,
        last,
        np.add.reduce(partners, axis=0),
    )


def jackknife_error(without: Floats) -> float:
    """Standard error of a figure from what it is without each block (n_blocks,), NaN where one of them is (Kuensch 1989, The jackknife and
    the bootstrap for general stationary observations, Annals of Statistics 17(3))."""
    k = len(without)
    if k < 2:
        return math.nan
    apart = without - np.add.reduce(without) / k
    return math.sqrt((k - 1) / k * float(np.add.reduce(apart * apart)))


@compiled
def _pearson(n: float, x: float, y: float, xx: float, yy: float, xy: float) -> float:
    """Of sums over n moves; NaN where one of both does not vary."""
    if n < 2.0:
        return math.nan
    of_x, of_y = xx - x * x / n, yy - y * y / n
    if of_x <= 1e-12 * n or of_y <= 1e-12 * n:
        return math.nan
    return min(max((xy - x * y / n) / math.sqrt(of_x * of_y), -1.0), 1.0)


@compiled
def _add_pairs(
    z: Floats, series: Codes, sector: Codes, block: Ints, least: int, sums: Floats, counts: Ints, ranges: Ints, partners: Ints
) -> None:  # fmt: skip
    n, n_moves = z.shape
    blocks = sums.shape[1] - 1
    part, total = np.empty((blocks, 6)), np.empty(6)
    for i in range(n):
        for j in range(i + 1, n):
            if series[i] == series[j]:
                continue
            part[:] = 0.0
            first, last = n_moves, 0
            for t in range(n_moves):
                x, y = z[i, t], z[j, t]
                if math.isnan(x) or math.isnan(y):
                    continue
                b = block[t]
                part[b, 0] += 1.0
                part[b, 1] += x
                part[b, 2] += y
                part[b, 3] += x * x
                part[b, 4] += y * y
                part[b, 5] += x * y
                first, last = min(first, t), t
            total[:] = 0.0
            for b in range(blocks):
                for c in range(6):
                    total[c] += part[b, c]
            if total[0] < least:
                continue
            rho = _pearson(total[0], total[1], total[2], total[3], total[4], total[5])
            if math.isnan(rho):
                continue
            k = 1 if sector[i] == sector[j] else 0
            sums[k, 0] += rho
            counts[k, 0] += 1
            partners[k, i] += 1
            partners[k, j] += 1
            ranges[k, 0] = max(ranges[k, 0], int(total[0]))
            ranges[k, 1] = min(ranges[k, 1], int(total[0]))
            ranges[k, 2] = min(ranges[k, 2], first)
            ranges[k, 3] = max(ranges[k, 3], last)
            for b in range(blocks):
                rho = _pearson(
                    total[0] - part[b, 0],
                    total[1] - part[b, 1],
                    total[2] - part[b, 2],
                    total[3] - part[b, 3],
                    total[4] - part[b, 4],
                    total[5] - part[b, 5],
                )
                if not math.isnan(rho):
                    sums[k, b + 1] += rho
                    counts[k, b + 1] += 1
