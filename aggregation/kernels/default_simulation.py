"""Kernel: losses of obligors that default together, by simulation of a normal copula with one common factor and one of each sector.

    X_i = sqrt(g) G + sqrt(s) S_sector(i) + sqrt(1 - g - s) e_i,   i defaults where X_i < Phi^-1(PD_i)

Two kinds of systematic factors, as MAR33.20 asks for. Drawn in blocks by a counter-based generator: a path has the same bits whichever
blocks are drawn with it, and a loss is added in the order of obligors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled
from scenarios.kernels.random_blocks import PATHS, Sampler


@dataclass(frozen=True)
class Obligors:
    """amount : (n,) what is lost when each defaults, gains negative. pd : (n,) probability of default in the year, in (0, 1). sector : (n,)
    number of its sector. common, own_sector : shares of the variance that the common factor and the sector's have, together below 1."""

    amount: Floats
    pd: Floats
    sector: Codes
    common: float
    own_sector: float

    @property
    def n_sectors(self) -> int:
        return int(self.sector.max()) + 1 if len(self.sector) else 0


def _normals(of: Obligors, seed: int, first: int, stop: int) -> Iterator[Floats]:
    """Of each block: (1 + n_sectors + n_obligors, PATHS)."""
    sampler = Sampler("random", seed, 1, 1 + of.n_sectors + len(of.amount))
    for block in sampler.blocks(first, stop):
        yield next(block).normal


def simulated_losses(of: Obligors, paths: int, seed: int) -> Floats:
    """The loss of each path, (paths,)."""
    blocks = -(-paths // PATHS)
    found: Floats = np.zeros(blocks * PATHS)
    for i, normals in enumerate(_normals(of, seed, 0, blocks)):
        _add_losses(normals, of.amount, ndtri(of.pd), of.sector, *_roots(of), found[i * PATHS : (i + 1) * PATHS])
    return found[:paths]


def defaults_on(of: Obligors, paths: Ints, seed: int) -> Floats:
    """Whether each obligor defaults on each of these paths, (n_paths, n_obligors) of 0 and 1; only their blocks are drawn again."""
    out: Floats = np.zeros((len(paths), len(of.amount)))
    thresholds, roots = ndtri(of.pd), _roots(of)
    for block in np.unique(paths // PATHS).tolist():
        (normals,) = _normals(of, seed, block, block + 1)
        for row in np.flatnonzero(paths // PATHS == block).tolist():
            z = normals[:, int(paths[row]) % PATHS]
            common = roots[0] * z[0] + roots[1] * z[1 + of.sector]
            out[row] = common + roots[2] * z[1 + of.n_sectors :] < thresholds
    return out


def _roots(of: Obligors) -> tuple[float, float, float]:
    return math.sqrt(of.common), math.sqrt(of.own_sector), math.sqrt(1.0 - of.common - of.own_sector)


@compiled
def _add_losses(
    normals: Floats, amount: Floats, threshold: Floats, sector: Codes, a: float, b: float, c: float, into: Floats
) -> None:
    first = normals.shape[0] - amount.size
    for i in range(amount.size):
        for p in range(into.size):
            x = a * normals[0, p] + b * normals[1 + sector[i], p] + c * normals[first + i, p]
            if x < threshold[i]:
                into[p] += amount[i]
