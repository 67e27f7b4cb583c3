"""Covariance of a window that slides by one observation: a correction of rank two, and made anew from time to time.

With a the observation that leaves and b the one that enters, both less the mean of the window of w observations, the sum of centred
products changes by (d v' + v d')/2, where d = b - a and v = a + b - d/w: the shift of the mean is in it. Each slide adds an error of the
order of a rounding of the largest products; making the sum anew ends that.
"""

from __future__ import annotations

import numpy as np

from lake.arrays import Floats
from lake.compiled import compiled
from lake.errors import BadInput

MOST_SERIES = 5_000
ANEW_AFTER = 4_096  # slides


class SlidingCovariance:
    """Sample covariance of the last w observations of n series, n up to 5,000.

    Sums are in the order of the observations, without BLAS: the same observations since the same start give the same bits. Against a
    covariance made from scratch it errs by less than 1e-12 of the product of two deviations, as long as no observation is 1,000
    deviations out.
    """

    def __init__(self, window: Floats, anew_after: int = ANEW_AFTER) -> None:
        """window : (w, n) observations, oldest first, finite, w at least 2. anew_after : slides after which the sums are made anew."""
        w, n = window.shape
        if w < 2 or not 1 <= n <= MOST_SERIES:
            raise BadInput(
                f"A window of {w} observations of {n:,} series was given; expected at least 2, of 1 to {MOST_SERIES:,}."
            )
        if not np.isfinite(window).all():
            raise BadInput("The window has observations that are no finite numbers; leave those series out.")
        self._rows = np.array(window, dtype=np.float64, order="C")
        self._anew_after = anew_after
        self._oldest = 0
        self._make_anew()

    def _make_anew(self) -> None:
        ordered = np.concatenate([self._rows[self._oldest :], self._rows[: self._oldest]])
        self._mean, self._packed = _from_scratch(ordered)
        self._slides = 0

    def slide(self, observation: Floats) -> None:
        """Lets the oldest observation go and takes this one, (n,), in."""
        if observation.shape != self._mean.shape or not np.isfinite(observation).all():
            raise BadInput(
                f"Expected {len(self._mean):,} finite numbers, one a series, but received {observation.shape}."
            )
        _slide(self._packed, self._mean, self._rows[self._oldest], observation, len(self._rows))
        self._rows[self._oldest] = observation
        self._oldest = (self._oldest + 1) % len(self._rows)
        self._slides += 1
        if self._slides >= self._anew_after:
            self._make_anew()

    def covariance(self) -> Floats:
        """The covariance (n, n), divided by w - 1."""
        return _square(self._packed, len(self._mean)) / (len(self._rows) - 1)

    def correlation(self) -> Floats:
        """The correlations (n, n): 0 with a series that does not move, and 1 on the diagonal."""
        square = _square(self._packed, len(self._mean))
        deviation = np.sqrt(np.maximum(np.diagonal(square), 0.0))
        still = np.ptp(self._rows, axis=0) == 0.0
        inverse = np.divide(1.0, deviation, out=np.zeros(len(deviation)), where=~still & (deviation > 0.0))
        out: Floats = np.clip(square * inverse[:, None] * inverse, -1.0, 1.0)
        np.fill_diagonal(out, 1.0)
        return out


@compiled
def _from_scratch(rows: Floats) -> tuple[Floats, Floats]:
    """Mean (n,), and the upper triangle of the sums of centred products, row by row, of observations (w, n)."""
    w, n = rows.shape
    mean = np.zeros(n)
    for t in range(w):
        for i in range(n):
            mean[i] += rows[t, i]
    mean /= w
    packed = np.zeros(n * (n + 1) // 2)
    centred = np.empty(n)
    for t in range(w):
        for i in range(n):
            centred[i] = rows[t, i] - mean[i]
        at = 0
        for i in range(n):
            one, row, others = centred[i], packed[at : at + n - i], centred[i:]
            for j in range(n - i):
                row[j] += one * others[j]
            at += n - i
    return mean, packed


@compiled
def _slide(packed: Floats, mean: Floats, old: Floats, new: Floats, w: int) -> None:
    n = len(mean)
    d, v = np.empty(n), np.empty(n)
    for i in range(n):
        d[i] = new[i] - old[i]
        v[i] = (old[i] - mean[i]) + (new[i] - mean[i]) - d[i] / w
        mean[i] += d[i] / w
    at = 0
    for i in range(n):
        half_d, half_v = 0.5 * d[i], 0.5 * v[i]
        row, of_d, of_v = packed[at : at + n - i], d[i:], v[i:]  # so that the loop runs on several numbers at once
        for j in range(n - i):
            row[j] += half_d * of_v[j] + half_v * of_d[j]
        at += n - i


@compiled
def _square(packed: Floats, n: int) -> Floats:
    out = np.empty((n, n))
    at = 0
    for i in range(n):
        for j in range(i, n):
            out[i, j] = out[j, i] = packed[at + j - i]
        at += n - i
    return out
