"""Variance swaps by SciPy: its monotone cubics for the smile, and the strip of options integrated by Gauss-Legendre quadrature.

QuantLib's own engine sums a strip of given strikes on its own surfaces, which interpolate differently; see the tests for it on a
flat volatility.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr

from lake.arrays import Floats
from scenarios.types import RiskFactor
from service.bench.oracles.market import TODAY, Quotes, random_date
from valuation.instruments.equity.variance_swap import Terms

TOLERANCE = 1e-5  # the strip is extrapolated from 64 steps, as a fraction of 10,000 x 0.25^2
BAR = 20  # a strip of options, not a closed form
_EXPIRIES = {"91D": 0.31, "365D": 0.27, "1095D": 0.25}
_MONEYNESS = {70: 0.09, 85: 0.04, 100: 0.0, 115: -0.01, 130: 0.005}
FACTORS = tuple(
    (
        RiskFactor(
            f"IV:A:{e}:{m}",
            "implied_vol",
            "smile",
            "USD",
            attributes=(("expiry", e), ("moneyness", str(m)), ("surface", "SMILE")),
        ),
        level + skew,
    )
    for e, level in _EXPIRIES.items()
    for m, skew in _MONEYNESS.items()
)
_TIMES = np.array([int(e[:-1]) / 365 for e in _EXPIRIES])
_WINGS = np.array([40.0, 55.0, *_MONEYNESS, 145.0, 160.0])  # percent; flat beyond the quotes
# logarithms of strike over forward, and their weights: a panel of 16 nodes between any two of these
_EDGES = np.log([0.02, 0.1, 0.2, 0.3, *(_WINGS / 100), 2.0, 3.0, 5.0, 10.0, 20.0])
_X, _W = np.polynomial.legendre.leggauss(16)
_HALF = np.diff(_EDGES)[:, None] / 2
_K, _WEIGHTS = (_EDGES[:-1, None] + _HALF + _HALF * _X).ravel(), (_HALF * _W).ravel()
_SIGN = np.where(_K > 0, 1.0, -1.0)


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return 625.0


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": "EQ:A",
            "volatility": str(rng.choice(["IV:A", "SMILE"], p=[0.2, 0.8])),
            "volatility_strike": float(rng.uniform(0.15, 0.35)),
            "start": (TODAY - dt.timedelta(days=int(rng.integers(0, 400)))).isoformat(),
            "maturity": random_date(rng, 20, 1500),
            "realised_variance": float(rng.uniform(0.01, 0.2)),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    time = (terms.maturity - TODAY).days / 365
    total, done = (terms.maturity - terms.start).days / 365, (TODAY - terms.start).days / 365
    volatility = quotes.level(terms.volatility) if terms.volatility == "IV:A" else None
    spot, curve = quotes.level(terms.underlying), quotes.curve(terms.discount_curve)
    first = float(quotes.market.level(terms.underlying)[0])

    def npv() -> float:
        fair = volatility.value() ** 2 if volatility is not None else _strip(quotes, time)
        jump = np.log(spot.value() / first) ** 2
        expected = ((terms.realised_variance or 0.0) * done + fair * (total - done) + jump) / total
        return float(10_000 * curve.discount(time) * (expected - terms.volatility_strike**2))

    return npv


@functools.cache
def _smiles(quotes: Quotes, state: int) -> list[Floats]:
    """Variance a year along the strip for each expiry."""
    out = []
    for e in _EXPIRIES:
        quoted = quotes.market.levels([f"IV:A:{e}:{m}" for m in _MONEYNESS])[:, state]
        flat = np.concatenate([[quoted[0]] * 2, quoted, [quoted[-1]] * 2])
        out.append(PchipInterpolator(_WINGS, flat)(np.clip(100 * np.exp(_K), 45.0, 155.0)) ** 2)
    return out


def _strip(quotes: Quotes, time: float) -> float:
    """2/T of the integral of out-of-the-money prices over the square of their strikes, a panel between any two quotes."""
    smiles = _smiles(quotes, quotes.state)
    right = int(np.searchsorted(_TIMES, time))
    if right in (0, len(_TIMES)):
        variance = smiles[max(right - 1, 0)] * time
    else:
        before, after = smiles[right - 1] * _TIMES[right - 1], smiles[right] * _TIMES[right]
        variance = before + (after - before) * (time - _TIMES[right - 1]) / (_TIMES[right] - _TIMES[right - 1])
    deviation = np.sqrt(variance)
    d1 = -_K / deviation + deviation / 2
    prices = _SIGN * (ndtr(_SIGN * d1) - np.exp(_K) * ndtr(_SIGN * (d1 - deviation)))
    return float(2 / time * np.sum(_WEIGHTS * prices * np.exp(-_K)))
