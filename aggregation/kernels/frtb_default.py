"""Kernel: the default risk charge of FRTB for non-securitisations, with its derivative to every gross amount.

Of an obligor, short jump-to-default amounts offset long ones of the same or a higher seniority (MAR22.19), as many as can be. With the net
amounts of the obligors of a bucket (MAR22.23-22.25):

    HBR = sum net long / (sum net long + sum |net short|)
    DRC = max(sum RW net long - HBR sum RW |net short|, 0)

Buckets add up (MAR22.26). The charge is homogeneous of degree one in the amounts; at a kink (a floor of zero, long and short that offset to
nothing) the derivative is that of the side on which less is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lake.arrays import Floats, Ints


@dataclass(frozen=True)
class NetAmounts:
    """Net amounts of obligors, (n,), both as positive numbers; of_long, of_short : (n, 2, n_ranks) derivatives of net long and net short
    to the gross long amounts (0) and gross short ones (1) by seniority."""

    long: Floats
    short: Floats
    of_long: Floats
    of_short: Floats


@dataclass(frozen=True)
class DefaultCharge:
    """charge, hedge_benefit : (n_buckets,), the ratio NaN for a bucket with nothing in it. slope : (n, 2, n_ranks) derivative of the sum
    of the charges to the gross amounts."""

    charge: Floats
    hedge_benefit: Floats
    slope: Floats


def net_amounts(long: Floats, short: Floats) -> NetAmounts:
    """Nets gross amounts (n, n_ranks), both positive; ranks from the most senior to the most junior."""
    n, ranks = long.shape
    left, of_left = np.zeros(n), np.zeros((n, 2, ranks))
    total, of_total = np.zeros(n), np.zeros((n, 2, ranks))
    for rank in reversed(range(ranks)):  # a short offsets what is as senior or more so
        left = left + short[:, rank]
        of_left[:, 1, rank] += 1.0
        all_gone = long[:, rank] <= left
        total = total + np.where(all_gone, 0.0, long[:, rank] - left)
        of_total = of_total - np.where(all_gone[:, None, None], 0.0, of_left)
        of_total[:, 0, rank] += np.where(all_gone, 0.0, 1.0)
        left = np.where(all_gone, left - long[:, rank], 0.0)
        of_left = np.where(all_gone[:, None, None], of_left, 0.0)
        of_left[:, 0, rank] -= np.where(all_gone, 1.0, 0.0)
    return NetAmounts(total, left, of_total, of_left)


def default_charge(net: NetAmounts, weight: Floats, bucket: Ints, n_buckets: int) -> DefaultCharge:
    """The charge by bucket for obligors with risk weights (n,) in buckets (n,)."""
    charge, ratio = np.zeros(n_buckets), np.full(n_buckets, np.nan)
    slope = np.zeros_like(net.of_long)
    for b in range(n_buckets):
        at = np.flatnonzero(bucket == b)
        long, short, rw = net.long[at], net.short[at], weight[at]
        held, sold = float(long.sum()), float(short.sum())
        gross = held + sold
        if gross == 0.0:
            continue
        ratio[b] = held / gross
        weighted_short = float((rw * short).sum())
        value = float((rw * long).sum()) - ratio[b] * weighted_short
        if not value > 0.0:
            continue
        charge[b] = value
        to_long = rw - sold / gross**2 * weighted_short
        to_short = held / gross**2 * weighted_short - ratio[b] * rw
        slope[at] = to_long[:, None, None] * net.of_long[at] + to_short[:, None, None] * net.of_short[at]
    return DefaultCharge(charge, ratio, slope)
