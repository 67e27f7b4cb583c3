"""Levels of Monte Carlo scenarios, made block by block from a calibration and a seed.

Random numbers are drawn in atomic blocks of `sampling.PATHS` paths. Everything after the draw works on one scenario at a
time and adds in a fixed order, without BLAS (whose sums depend on the shapes it is given): so a level has the same bits
whatever block, worker or selection of factors it is made in.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lake.arrays import Floats
from lake.canonical import canonical_json, digest
from lake.compiled import compiled
from scenarios.kernels import shifts
from scenarios.kernels.random_blocks import PATHS, Draws, Sampler, Sampling
from scenarios.types import GeneratedLevels

Distribution = Literal["normal", "student_t", "t_copula", "bootstrap"]

GENERATOR = "monte-carlo-1"  # to be changed with any change of the levels made
_TILE = 256  # scenarios worked on at once: 2 KiB a row, so that a group of rows stays in the first cache


@compiled
def _common_moves(loadings: Floats, used: npt.NDArray[np.int64], normal: Floats, out: Floats) -> None:
    """out = loadings @ normal, summed over columns in their order.

    loadings : (n, k), n a multiple of 4; used : (n / 4,) columns of each four rows, beyond which they are zero; normal : (k, m).
    """
    n, m = len(loadings), normal.shape[1]
    for first in range(0, m, _TILE):
        stop = min(m, first + _TILE)
        width = stop - first
        for j in range(0, n, 4):
            c0, c1 = out[j, first:stop], out[j + 1, first:stop]
            c2, c3 = out[j + 2, first:stop], out[j + 3, first:stop]
            l0, l1, l2, l3 = loadings[j], loadings[j + 1], loadings[j + 2], loadings[j + 3]
            for s in range(width):
                c0[s] = 0.0
                c1[s] = 0.0
                c2[s] = 0.0
                c3[s] = 0.0
            i = 0
            # four rows by four columns at a time: each value read is used four times
            while i + 4 <= used[j // 4]:
                z0, z1 = normal[i, first:stop], normal[i + 1, first:stop]
                z2, z3 = normal[i + 2, first:stop], normal[i + 3, first:stop]
                a00, a01, a02, a03 = l0[i], l0[i + 1], l0[i + 2], l0[i + 3]
                a10, a11, a12, a13 = l1[i], l1[i + 1], l1[i + 2], l1[i + 3]
                a20, a21, a22, a23 = l2[i], l2[i + 1], l2[i + 2], l2[i + 3]
                a30, a31, a32, a33 = l3[i], l3[i + 1], l3[i + 2], l3[i + 3]
                for s in range(width):
                    x0, x1, x2, x3 = z0[s], z1[s], z2[s], z3[s]
                    c0[s] = (((c0[s] + a00 * x0) + a01 * x1) + a02 * x2) + a03 * x3
                    c1[s] = (((c1[s] + a10 * x0) + a11 * x1) + a12 * x2) + a13 * x3
                    c2[s] = (((c2[s] + a20 * x0) + a21 * x1) + a22 * x2) + a23 * x3
                    c3[s] = (((c3[s] + a30 * x0) + a31 * x1) + a32 * x2) + a33 * x3
                i += 4
            while i < used[j // 4]:
                z = normal[i, first:stop]
                b0, b1, b2, b3 = l0[i], l1[i], l2[i], l3[i]
                for s in range(width):
                    c0[s] = c0[s] + b0 * z[s]
                    c1[s] = c1[s] + b1 * z[s]
                    c2[s] = c2[s] + b2 * z[s]
                    c3[s] = c3[s] + b3 * z[s]
                i += 1


@compiled
def _empirical_margins(t: Floats, scale: Floats, nodes: Floats, margins: Floats) -> None:
    """Replaces t * scale by the margin's value there, interpolated between nodes and constant beyond them.

    t : (n, m); scale : (m,); nodes : (k,) ascending; margins : (n, k) values at the nodes.
    """
    k = len(nodes)
    for j in range(len(t)):
        for s in range(t.shape[1]):
            x = t[j, s] * scale[s]
            if x <= nodes[0]:
                t[j, s] = margins[j, 0]
            elif x >= nodes[k - 1]:
                t[j, s] = margins[j, k - 1]
            else:
                low, high = 0, k - 1
                while high - low > 1:
                    middle = (low + high) // 2
                    if nodes[middle] <= x:
                        low = middle
                    else:
                        high = middle
                share = (x - nodes[low]) / (nodes[high] - nodes[low])
                t[j, s] = margins[j, low] + share * (margins[j, high] - margins[j, low])


@compiled
def _accumulate(total: Floats, moves: Floats, scale: Floats, drift: Floats, compound: npt.NDArray[np.bool_]) -> None:
    """Adds the move of a further step, moves * scale + drift; relative moves compound.

    total, moves : (n, m); scale : (m,); drift, compound : (n,).
    """
    for j in range(len(total)):
        for s in range(total.shape[1]):
            move = moves[j, s] * scale[s] + drift[j]
            total[j, s] = total[j, s] + move + total[j, s] * move if compound[j] else total[j, s] + move


@dataclass(frozen=True)
class Process:
    """How paths are made of a calibration. `horizons` are business days, ascending; see MonteCarloDefinition for the rest."""

    distribution: Distribution
    paths: int
    horizons: tuple[int, ...]
    sampling: Sampling
    seed: int
    degrees_of_freedom: float | None
    block_days: int

    @property
    def steps(self) -> int:
        """Draws of a path: one a horizon where moves of any length have one law, else one a day (or block of days)."""
        if self.distribution in ("normal", "student_t"):
            return sum(h > 0 for h in self.horizons)
        return -(-self.horizons[-1] // self.block_days)


class SimulatedLevels(GeneratedLevels):
    """Levels of `process` on the calibration of each factor.

    base, drift : (n,) base level, mean move a day. shift_types : (n,). loadings : (n, k) of the daily moves on the common
    normals (t-copula: of the copula's normals; bootstrap: k = 0). moves : (n, n_days) daily moves in order of date for a
    bootstrap, each row sorted for empirical margins, else n_days = 0. Scenario i is path i // len(horizons) at horizon
    i % len(horizons).
    """

    def __init__(
        self,
        process: Process,
        base: Floats,
        shift_types: tuple[str, ...],
        drift: Floats,
        loadings: Floats,
        moves: Floats,
    ) -> None:
        self.process = process
        self.base, self.shift_types, self.drift = base, shift_types, drift
        self.loadings, self.moves = loadings, moves
        self.shape = (len(base), process.paths * len(process.horizons))
        self.atom = PATHS * len(process.horizons)
        self._sampler = Sampler(
            process.sampling, process.seed, process.steps, loadings.shape[1], process.degrees_of_freedom
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """p000017, or with several horizons p000017@T2; T0 is the base date."""
        paths = [f"p{i:06d}" for i in range(self.process.paths)]
        horizons = self.process.horizons
        if len(horizons) == 1:
            return tuple(paths)
        numbers = [f"@T{k}" for k in range(horizons[0] > 0, len(horizons) + (horizons[0] > 0))]
        return tuple(p + t for p in paths for t in numbers)

    def block(self, first: int, stop: int, rows: npt.NDArray[np.intp]) -> Floats:
        out = np.empty((len(rows), stop - first))
        if out.size == 0:
            return out
        atoms = range(first // self.atom, -(-stop // self.atom))
        spare = -len(rows) % 4
        loadings = np.concatenate([self.loadings[rows], np.zeros((spare, self.loadings.shape[1]))])
        last = np.where(loadings != 0, np.arange(1, loadings.shape[1] + 1), 0).max(axis=1, initial=0)
        used = last.reshape(-1, 4).max(axis=1)
        groups = [
            (kind, np.flatnonzero([self.shift_types[r] == kind for r in rows]))
            for kind in sorted({self.shift_types[r] for r in rows})
        ]
        compound = np.array([self.shift_types[r] == "relative" for r in rows])
        base, drift, moves = self.base[rows], self.drift[rows], self.moves[rows]
        for atom, draws in zip(atoms, self._sampler.blocks(atoms.start, atoms.stop), strict=True):
            begin = atom * self.atom
            low, high = max(first, begin), min(stop, begin + self.atom)
            total = np.zeros((len(rows), PATHS))
            at = np.empty((len(rows), PATHS, len(self.process.horizons)))
            number = 0
            if self.process.horizons[0] == 0:
                at[:, :, 0] = 0.0
                number = 1
            for day, days, step, scale in self._steps(draws, loadings, used, moves):
                _accumulate(total, step, scale, drift * days, compound)
                if day == self.process.horizons[number]:
                    at[:, :, number] = total
                    number += 1
            reached = at.reshape(len(rows), self.atom)[:, low - begin : high - begin]
            for kind, factor_rows in groups:
                out[factor_rows, low - first : high - first] = shifts.apply(
                    kind, base[factor_rows, None], reached[factor_rows]
                )
        return out

    def _steps(
        self, draws: Iterator[Draws], loadings: Floats, used: npt.NDArray[np.int64], moves: Floats
    ) -> Iterator[tuple[int, int, Floats, Floats]]:
        """For each step: the day it reaches, its days, moves (n, PATHS) a day and what they are scaled with (PATHS,)."""
        process, freedom = self.process, self.process.degrees_of_freedom
        step = np.empty((len(loadings), PATHS))
        n, ones = len(moves), np.ones(PATHS)
        if process.distribution == "bootstrap":
            starts = moves.shape[1] - process.block_days + 1
            for number, d in enumerate(draws):
                assert d.uniform is not None
                start = np.floor(d.uniform * starts).astype(np.intp)
                begin = number * process.block_days
                for k in range(min(process.block_days, process.horizons[-1] - begin)):
                    yield begin + k + 1, 1, moves[:, start + k], ones
            return
        if process.distribution == "t_copula":
            nodes = self._nodes
            for day, d in enumerate(draws, 1):
                _common_moves(loadings, used, d.normal, step)
                assert freedom is not None
                assert d.chi_square is not None
                _empirical_margins(step[:n], np.sqrt(freedom / d.chi_square), nodes, moves)
                yield day, 1, step[:n], ones
            return
        before = 0
        for day, d in zip((h for h in process.horizons if h > 0), draws, strict=True):
            _common_moves(loadings, used, d.normal, step)
            scale = math.sqrt(day - before) * ones
            if freedom is not None:
                assert d.chi_square is not None
                scale *= np.sqrt((freedom - 2.0) / d.chi_square)  # so that the variance is the calibrated one
            yield day, day - before, step[:n], scale
            before = day

    @functools.cached_property
    def _nodes(self) -> Floats:
        """Where on the t scale the k-th smallest of n moves stands: the quantile of (k - 1/2) / n."""
        from scipy.special import stdtrit  # noqa: PLC0415 - slow to import

        n = self.moves.shape[1]
        nodes: Floats = stdtrit(self.process.degrees_of_freedom, (np.arange(n) + 0.5) / n)
        return nodes

    @functools.cached_property
    def _stream(self) -> str:
        """Digest of what all factors share: the process and the first draws it makes with these numerical libraries.

        Not the number of paths: the first thousand of a million paths are those of a thousand.
        """
        p = self.process
        parts = [GENERATOR, p.distribution, p.horizons, p.sampling, p.seed, p.degrees_of_freedom, p.block_days]
        drawn = next(next(self._sampler.blocks(0, 1)))
        arrays = [a.tobytes() for a in (drawn.normal, drawn.chi_square, drawn.uniform) if a is not None]
        return digest(canonical_json([*parts, list(self.loadings.shape[1:]), list(self.moves.shape[1:])]), *arrays)

    def row_key(self, row: int) -> str:
        return digest(
            self._stream,
            self.shift_types[row],
            self.drift[row].tobytes(),
            self.loadings[row].tobytes(),
            self.moves[row].tobytes(),
        )

    @functools.cached_property
    def content(self) -> str:
        """Digest of process, calibration and the first levels they give on this machine.

        A machine whose numerical libraries give other bits gives another digest, and so cannot pass for this one.
        """
        n, first = self.shape[0], min(self.shape[1], self.atom)
        levels = self.block(0, first, np.arange(n))
        return digest(str(self.shape[1]), *(self.row_key(r) for r in range(n)), levels.tobytes())
