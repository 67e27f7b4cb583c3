"""Kernel: the standardised approach to CVA risk (SA-CVA) of one risk class, delta or vega, with contributions that add up.

    WS_k = RW_k (s_k of CVA - s_k of hedges)
    K_b  = sqrt(max(0, sum WS_k^2 + sum_{k != l} rho_kl WS_k WS_l) + R sum (RW_k s_k of hedges)^2)          MAR50.53(1)-(3)
    S_b  = max(-K_b, min(sum WS_k, K_b)), in every case                                                      MAR50.53(4)
    K    = m_CVA sqrt(max(0, sum K_b^2 + sum_{b != c} gamma_bc S_b S_c))                                     MAR50.53(4)

A sensitivity of CVA is the rise of CVA, a cost, and one of hedges is their gain: what rises when CVA does takes away from it.
Source: BCBS d507 (July 2020), MAR50.42 to 50.77.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregation.kernels.fixed_sums import dot, row_dots
from lake.arrays import Floats


@dataclass(frozen=True)
class Bucket:
    """Weighted sensitivities of a bucket, (n_factors,) of CVA and of hedges, and rho, (n_factors, n_factors) with 1 on the diagonal."""

    cva: Floats
    hedges: Floats
    correlation: Floats


@dataclass(frozen=True)
class ClassCharge:
    """Capital of a risk class, K, with K_b and S_b by bucket, (n_buckets,).

    cva, hedges : by bucket, (n_factors,) Euler contributions of its weighted sensitivities; all together they add up to K but for rounding.
    """

    capital: float
    buckets: Floats
    sums: Floats
    cva: tuple[Floats, ...]
    hedges: tuple[Floats, ...]


def charge(buckets: Sequence[Bucket], gamma: Floats, disallowance: float, multiplier: float) -> ClassCharge:
    """K of a class. gamma : (n_buckets, n_buckets), its diagonal not read; disallowance : R; multiplier : m_CVA.

    Contributions are WS times the slope of K there: K is homogeneous of degree one, also where S_b is bounded.
    """
    of = [_bucket(b, disallowance) for b in buckets]
    capital = np.array([b.capital for b in of])
    gross = np.array([b.gross for b in of])
    sums = np.maximum(-capital, np.minimum(gross, capital))
    across = np.where(np.eye(len(of), dtype=np.bool_), 0.0, gamma)
    beside = row_dots(across, np.ascontiguousarray(sums[None, :])) if len(of) else np.empty(0)
    square = math.fsum([*(capital * capital), *(sums * beside)])
    root = math.sqrt(max(square, 0.0))
    cva, hedges = [], []
    for b, k, s, t in zip(of, capital.tolist(), sums.tolist(), beside.tolist(), strict=True):
        if root == 0.0:
            cva.append(np.zeros(len(b.of_cva)))
            hedges.append(np.zeros(len(b.of_cva)))
            continue
        bounded = 0.0 if abs(b.gross) <= k else math.copysign(1.0, s)
        of_capital = (k + bounded * t) / root * multiplier  # of K_b, alone and through S_b where it is bounded
        of_sum = 0.0 if bounded else t / root * multiplier
        cva.append(of_capital * b.of_cva + of_sum * b.cva)
        hedges.append(of_capital * b.of_hedges - of_sum * b.hedges)
    return ClassCharge(multiplier * root, capital, sums, tuple(cva), tuple(hedges))


@dataclass(frozen=True)
class _Bucket:
    """K_b, sum of WS, what is weighted, and the parts of K_b by factor, of CVA and of hedges."""

    capital: float
    gross: float
    cva: Floats
    hedges: Floats
    of_cva: Floats
    of_hedges: Floats


def _bucket(b: Bucket, disallowance: float) -> _Bucket:
    net = b.cva - b.hedges
    beside = row_dots(np.ascontiguousarray(b.correlation), np.ascontiguousarray(net[None, :]))
    square = dot(net, beside)
    kept = disallowance * b.hedges * b.hedges
    capital = math.sqrt(max(square, 0.0) + math.fsum(kept))
    if capital == 0.0:
        return _Bucket(0.0, math.fsum(net), b.cva, b.hedges, np.zeros(net.size), np.zeros(net.size))
    slope = (beside if square > 0.0 else np.zeros(net.size)) / capital
    return _Bucket(capital, math.fsum(net), b.cva, b.hedges, slope * b.cva, kept / capital - slope * b.hedges)
