"""Growth of a price index from the quotes of zero-coupon inflation swaps, for many market states at once."""

from __future__ import annotations

import numpy as np

from lake.arrays import Floats
from lake.compiled import compiled
from valuation.kernels import curves
from valuation.kernels.elementary import logarithm_of_one_and


@compiled
def _log_growths(times: Floats, rates: Floats) -> Floats:
    p, m = rates.shape
    logs = np.zeros((p + 1, m))
    for k in range(p):
        for s in range(m):
            logs[k + 1, s] = times[k] * logarithm_of_one_and(rates[k, s])
    return logs


def index_growth(times: Floats, rates: Floats, wanted: Floats) -> Floats:
    """What an index grows to from 1 over `wanted` years, shape (len(wanted), n_states).

    times : (n_pillars,) ascending, positive, years; rates : (n_pillars, n_states), fixed rates of zero-coupon swaps: an index
    grows to (1 + rate)^time at a pillar. Linear in the logarithm between pillars and from time 0 on, and beyond the
    last as in the last segment. NaN at rates of -1 and below.
    """
    nodes = np.concatenate([[0.0], times])
    return curves.interpolated_discount_factors(nodes, _log_growths(times, rates), wanted)
