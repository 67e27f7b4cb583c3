"""Kernel: the sensitivities-based method of FRTB, with the derivative of the capital to every sensitivity.

Delta and vega of a class of risk, over weighted sensitivities WS in buckets b (MAR21.4):

    K_b = sqrt(max(0, sum_kl rho_kl WS_k WS_l))        K = sqrt(sum_b K_b^2 + sum_{b != c} gamma_bc S_b S_c),  S_b = sum_k WS_k

where the sum under the root is negative, S_b = max(min(S_b, K_b), -K_b) in it. Curvature (MAR21.5): of both sides, up and down, with
psi(x, y) = 0 where x and y are both negative, else 1,

    K_b = sqrt(max(0, sum_k max(CVR_k, 0)^2 + sum_{k != l} rho_kl CVR_k CVR_l psi))

the greater side counts; of equal ones that with the greater sum of CVR, else down. Capital is homogeneous of degree one in all of them,
so that by Euler's theorem it is the sum of each sensitivity times its derivative. Where it has a kink (a root of zero, an absolute value
of zero, a CVR of zero) the derivative is taken as zero; where two sides or S_b meet, that of the one which is chosen.
Sums are in the order of the sensitivities, so that callers sort them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aggregation.kernels.fixed_sums import row_dots
from lake.arrays import Bools, Floats, Ints

Scaling = Callable[[Floats], Floats]


@dataclass(frozen=True)
class ScenarioScaling:
    """How correlations are scaled in the three scenarios (MAR21.6)."""

    high_multiplier: float
    high_cap: float
    low_multiplier: float
    low_slope: float
    low_shift: float

    def medium(self, rho: Floats) -> Floats:
        """As they are."""
        return rho

    def high(self, rho: Floats) -> Floats:
        """Times 1.25, at most 1."""
        return np.minimum(rho * self.high_multiplier, self.high_cap)

    def low(self, rho: Floats) -> Floats:
        """The greater of 2 rho - 1 and 0.75 rho."""
        return np.maximum(self.low_slope * rho + self.low_shift, self.low_multiplier * rho)

    @property
    def scenarios(self) -> dict[str, Scaling]:
        """By name, in the order in which the first of equal ones is chosen."""
        return {"medium": self.medium, "high": self.high, "low": self.low}


@dataclass(frozen=True)
class Buckets:
    """Which sensitivities stand in each bucket of a class, and how they go together.

    members : of each bucket the places of its sensitivities, (n_b,). rho : of each bucket (n_b, n_b), ones on the diagonal, for the
    medium scenario. plain : of each bucket whether nothing offsets in it, so that K_b is the sum of absolute values (of curvature, of
    positive CVR). gamma : (n_buckets, n_buckets), the diagonal is not read.
    """

    members: tuple[Ints, ...]
    rho: tuple[Floats, ...]
    plain: Bools
    gamma: Floats

    def scaled(self, scaling: Scaling) -> Buckets:
        """The same with scaled correlations."""
        return Buckets(self.members, tuple(scaling(r) for r in self.rho), self.plain, scaling(self.gamma))


@dataclass(frozen=True)
class ClassCapital:
    """Capital of a class and type. slope : (n,) its derivative to each weighted sensitivity; of curvature (2, n), up and down.

    bucket, sums : (n_buckets,) K_b and S_b. up : (n_buckets,) of curvature, whether the up side was chosen. limited : whether S_b was
    limited to K_b.
    """

    value: float
    slope: Floats
    bucket: Floats
    sums: Floats
    up: Bools
    limited: bool = False


def linear_capital(ws: Floats, buckets: Buckets) -> ClassCapital:
    """Capital of delta or vega for weighted sensitivities (n,)."""
    n_buckets = len(buckets.members)
    k, s = np.zeros(n_buckets), np.zeros(n_buckets)
    slope_k = np.zeros_like(ws)  # of the K_b of its own bucket
    slope_square = np.zeros_like(ws)  # of K_b squared
    for b, (at, rho) in enumerate(zip(buckets.members, buckets.rho, strict=True)):
        w = ws[at]
        s[b] = w.sum()
        if buckets.plain[b]:
            k[b] = np.abs(w).sum()
            slope_k[at] = np.sign(w)
            slope_square[at] = 2.0 * k[b] * slope_k[at]
            continue
        toward = row_dots(np.ascontiguousarray(rho), w[None])
        square = float((w * toward).sum())
        if square > 0.0:
            k[b] = np.sqrt(square)
            slope_k[at], slope_square[at] = toward / k[b], 2.0 * toward
    value, by_square, by_sum, by_k, limited = _across(k, s, buckets.gamma)
    slope = np.zeros_like(ws)
    for b, at in enumerate(buckets.members):
        slope[at] = by_square[b] * slope_square[at] + by_sum[b] + by_k[b] * slope_k[at]
    return ClassCapital(value, slope, k, s, np.zeros(n_buckets, np.bool_), limited)


def _across(k: Floats, s: Floats, gamma: Floats) -> tuple[float, Floats, Floats, Floats, bool]:
    """The capital of a class, and its derivatives to the K_b^2, the sums and (through limited sums) the K_b of its buckets."""
    off = np.array(gamma, dtype=np.float64)
    np.fill_diagonal(off, 0.0)
    zero = np.zeros_like(k)
    inside, toward = _squared(k, s, off)
    limited = inside < 0.0
    used = s
    if limited:
        used = np.maximum(np.minimum(s, k), -k)
        inside, toward = _squared(k, used, off)
    if not inside > 0.0:
        return 0.0, zero, zero, zero, limited
    value = float(np.sqrt(inside))
    half = np.full_like(k, 0.5 / value)
    free = np.abs(s) <= k if limited else np.ones_like(k, dtype=np.bool_)
    by_used = toward / value
    return value, half, np.where(free, by_used, 0.0), np.where(free, 0.0, by_used * np.sign(s)), limited


def _squared(k: Floats, s: Floats, off: Floats) -> tuple[float, Floats]:
    toward = row_dots(off, s[None])
    return float((k * k).sum() + (s * toward).sum()), toward


def curvature_capital(cvr: Floats, buckets: Buckets) -> ClassCapital:
    """Capital of curvature for CVR (2, n), up and down, losses positive; correlations are those of curvature."""
    n_buckets = len(buckets.members)
    k, s, up = np.zeros(n_buckets), np.zeros(n_buckets), np.zeros(n_buckets, np.bool_)
    slope_square = np.zeros_like(cvr)
    for b, (at, rho) in enumerate(zip(buckets.members, buckets.rho, strict=True)):
        sides = [_side(cvr[side, at], rho, bool(buckets.plain[b])) for side in (0, 1)]
        sums = [float(cvr[side, at].sum()) for side in (0, 1)]
        up[b] = sides[0][0] > sides[1][0] or (sides[0][0] == sides[1][0] and sums[0] > sums[1])
        chosen = 0 if up[b] else 1
        k[b], slope_square[chosen, at] = sides[chosen]
        s[b] = sums[chosen]
    off = np.array(buckets.gamma, dtype=np.float64)
    np.fill_diagonal(off, 0.0)
    off *= 1.0 - ((s[:, None] < 0.0) & (s[None, :] < 0.0))
    inside, toward = _squared(k, s, off)
    slope = np.zeros_like(cvr)
    if not inside > 0.0:
        return ClassCapital(0.0, slope, k, s, up)
    value = float(np.sqrt(inside))
    for b, at in enumerate(buckets.members):
        chosen = 0 if up[b] else 1
        slope[chosen, at] = slope_square[chosen, at] * (0.5 / value) + toward[b] / value
    return ClassCapital(value, slope, k, s, up)


def _side(c: Floats, rho: Floats, plain: bool) -> tuple[float, Floats]:
    """K_b of one side and the derivative of its square, (n_b,)."""
    gains = np.maximum(c, 0.0)
    if plain:
        total = float(gains.sum())
        return total, np.where(c > 0.0, 2.0 * total, 0.0)
    together = np.array(rho, dtype=np.float64)
    np.fill_diagonal(together, 0.0)
    together *= 1.0 - ((c[:, None] < 0.0) & (c[None, :] < 0.0))
    toward = row_dots(together, c[None])
    square = float((gains * gains).sum() + (c * toward).sum())
    if not square > 0.0:
        return 0.0, np.zeros_like(c)
    return float(np.sqrt(square)), np.asarray(2.0 * (gains + toward), dtype=np.float64)


def tenor_correlation(one: Floats, two: Floats, decay: float, floor: float) -> Floats:
    """max(exp(-decay |T - U| / min(T, U)), floor) of tenors (n,) against (m,), (n, m), at most 1; positive tenors (MAR21.46, 21.93)."""
    gap = np.abs(one[:, None] - two[None, :]) / np.minimum(one[:, None], two[None, :])
    return np.maximum(np.exp(-decay * gap), floor)


def tenor_shares(time: float, tenors: Floats) -> list[tuple[int, float]]:
    """The tenors next to a time in years, each with its share by linear interpolation; the first or last beyond them."""
    after = int(np.searchsorted(tenors, time))
    if after == 0 or after == len(tenors) or tenors[after] == time:
        return [(min(after, len(tenors) - 1), 1.0)]
    share = float((time - tenors[after - 1]) / (tenors[after] - tenors[after - 1]))
    return [(after - 1, 1.0 - share), (after, share)]


def girr_delta_correlation(
    kind: Ints,
    curve: Ints,
    tenor: Floats,
    decay: float,
    floor: float,
    other_curve: float,
    inflation: float,
    basis: float,
) -> Floats:
    """(n, n) of one currency (MAR21.45-21.49). kind : 0 a tenor of a curve, 1 inflation, 2 cross-currency basis."""
    rho = np.ones((len(kind), len(kind)))
    points = kind == 0
    at = np.ix_(points, points)
    same = curve[points, None] == curve[None, points]
    rho[at] = tenor_correlation(tenor[points], tenor[points], decay, floor) * np.where(same, 1.0, other_curve)
    between = kind[:, None] != kind[None, :]
    rho[between] = inflation
    rho[(kind == 2)[:, None] ^ (kind == 2)[None, :]] = basis
    # two inflation curves, or two bases, of one currency are one factor each
    np.fill_diagonal(rho, 1.0)
    return rho


def product_correlation(*parts: tuple[Ints, float]) -> Floats:
    """(n, n) product over the parts of 1 where the codes (n,) are the same and the figure where they are not."""
    n = len(parts[0][0])
    rho = np.ones((n, n))
    for codes, other in parts:
        rho *= np.where(codes[:, None] == codes[None, :], 1.0, other)
    return rho
