"""Random numbers by block: any block of paths can be drawn on any machine without the others, with the same bits.

Philox [P]_ is counter-based: the seed is its key and the number of the block stands in its counter, so that blocks never
overlap. Sobol points are scrambled by the seed and reached by skipping.

.. [P] J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput

Sampling = Literal["random", "antithetic", "sobol"]

PATHS = 1024  # in an atomic block: the unit that is drawn whole
_SOBOL_BITS = 30


def _sobol_class() -> Any:
    # scipy.stats takes a third of a second to import, and only Sobol needs it
    from scipy.stats import qmc  # noqa: PLC0415

    return qmc.Sobol


@dataclass(frozen=True)
class Draws:
    """Draws of one step of an atomic block.

    normal : (n_columns, PATHS) standard normal; chi_square, uniform (in [0, 1)) : (PATHS,), or None where not used.
    """

    normal: Floats
    chi_square: Floats | None = None
    uniform: Floats | None = None


@dataclass(frozen=True)
class Sampler:
    """What is drawn for a path: `columns` normals a step; with `degrees_of_freedom` also a chi-square a step; a uniform a
    step when there are no columns.

    antithetic: paths 2i and 2i + 1 have opposite normals and the same chi-square.
    """

    sampling: Sampling
    seed: int
    steps: int
    columns: int
    degrees_of_freedom: float | None = None

    def __post_init__(self) -> None:
        if self.sampling == "sobol" and self._dimensions > _sobol_class().MAXDIM:
            raise BadInput(
                f"Sobol points of {self._dimensions:,} dimensions ({self.steps} steps of {self.columns} normals) were asked "
                f"for; there are at most {_sobol_class().MAXDIM:,}. Use fewer steps, principal components, or sampling=random."
            )
        if self.sampling == "antithetic" and not self.columns:
            raise BadInput("A bootstrap has no antithetic paths; use sampling=random or sobol.")

    @property
    def _dimensions(self) -> int:
        return self.steps * (self.columns + (self.degrees_of_freedom is not None or not self.columns))

    def blocks(self, first: int, stop: int) -> Iterator[Iterator[Draws]]:
        """For each of the atomic blocks first, ..., stop - 1 the draws of its steps in order."""
        if self.sampling == "sobol":
            yield from self._sobol(first, stop)
            return
        for block in range(first, stop):
            # the counter's third word leaves 2**128 draws to a block before it would run into the next
            yield self._random(np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, block, 0])))

    def _random(self, generator: np.random.Generator) -> Iterator[Draws]:
        pairs = 2 if self.sampling == "antithetic" else 1
        for _ in range(self.steps):
            if not self.columns:
                yield Draws(np.empty((0, PATHS)), uniform=generator.random(PATHS))
                continue
            normal = generator.standard_normal((self.columns, PATHS // pairs))
            chi_square = None
            if self.degrees_of_freedom is not None:
                chi_square = generator.chisquare(self.degrees_of_freedom, PATHS // pairs)
            if pairs == 2:
                normal = np.stack([normal, -normal], axis=-1).reshape(self.columns, PATHS)
                chi_square = None if chi_square is None else np.repeat(chi_square, 2)
            yield Draws(normal, chi_square)

    def _sobol(self, first: int, stop: int) -> Iterator[Iterator[Draws]]:
        engine = _sobol_class()(self._dimensions, scramble=True, bits=_SOBOL_BITS, rng=np.random.default_rng(self.seed))
        if first:
            engine.fast_forward(first * PATHS)
        for _ in range(first, stop):
            # the middle of the cell: no coordinate is 0, which would be an infinite normal
            points = engine.random(PATHS) + 0.5 ** (_SOBOL_BITS + 1)
            yield self._transformed(np.ascontiguousarray(points.T).reshape(self.steps, -1, PATHS))

    def _transformed(self, steps: Floats) -> Iterator[Draws]:
        from scipy.special import gammaincinv, ndtri  # noqa: PLC0415 - slow to import

        for u in steps:
            if not self.columns:
                yield Draws(np.empty((0, PATHS)), uniform=u[0])
                continue
            chi_square = None
            if self.degrees_of_freedom is not None:
                chi_square = 2.0 * gammaincinv(0.5 * self.degrees_of_freedom, u[self.columns])
            yield Draws(ndtri(u[: self.columns]), chi_square)
