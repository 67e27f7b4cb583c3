"""Where the quotes of a volatility surface allow arbitrage. Told, and nothing is repaired.

- `butterfly`: call prices of one expiry are not convex in the strike, so that some butterfly has a price below zero (a negative density);
- `vertical`: a call with a higher strike costs more;
- `calendar`: total variance (volatility squared times time) falls from one expiry to the next at the same strike over forward.

On the quotes these are the conditions of no static arbitrage (Carr and Madan, *A note on sufficient conditions for no arbitrage*, Finance
Research Letters 2, 2005). Between quotes the interpolated density is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from lake.arrays import Floats
from lake.errors import counted
from scenarios.surfaces import surface_of
from scenarios.types import SHARES, MissingRiskFactor, RiskFactor
from valuation.kernels.black import european_options
from valuation.market.scenario_market import ScenarioMarket
from valuation.market.volatility import Surface, read, surface

_LEAST = 1e-10  # of the forward, and of total variance: rounding
_SHOWN = 5  # points that are named


@dataclass(frozen=True)
class Arbitrage:
    """One violation. expiry, next_expiry : years; strikes : in percent of the forward; size : of a butterfly or vertical what the position
    costs below nothing, in percent of the forward; of a calendar by how much total variance falls."""

    kind: str
    expiry: float
    next_expiry: float | None
    strikes: tuple[float, ...]
    size: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def surface_arbitrages(
    market: ScenarioMarket, name: str, curve: str | None = None, dividend_yield: float = 0.0
) -> list[Arbitrage]:
    """Violations of a lognormal surface in the base state, by expiry.

    curve, dividend_yield : of a surface by strike, from which the forwards of its `asset` are made. Raises `MissingRiskFactor` for a name
    that is no surface with strikes, and where a forward cannot be made.
    """
    found = surface(market.index, name)
    if found is None or found.coordinate is None or found.kinds != {"implied_vol"}:
        raise MissingRiskFactor(f"{name} is no surface of lognormal volatilities with more than one strike an expiry.")
    base = market.base_only()
    forwards = np.ones(len(found.times))
    if found.coordinate == "strike":
        forwards = _forwards(found, base, curve, dividend_yield)
    smiles = [_smile(found, base, e, forwards[e]) for e in range(len(found.times))]
    out: list[Arbitrage] = []
    for e, (time, (k, vols)) in enumerate(zip(found.times.tolist(), smiles, strict=True)):
        out += _in_strikes(time, k, vols)
        if e + 1 < len(smiles):
            later = smiles[e + 1][0]
            shared = np.unique([x for x in (*k, *later) if max(k[0], later[0]) <= x <= min(k[-1], later[-1])])
            out += _in_time(found, base, e, forwards, shared)
    return out


def not_checked(market: ScenarioMarket, name: str, absent: Sequence[RiskFactor]) -> list[str]:
    """What of a surface cannot be judged on the date of the market, in words; absent : risk factors without a level then.

    Raises `MissingRiskFactor` for a surface of which no point has a level.
    """
    lacking = [f.risk_factor_id for f in absent if surface_of(f) == name]
    ids = ", ".join(lacking[:_SHOWN]) + (f" and {len(lacking) - _SHOWN:,} more" if len(lacking) > _SHOWN else "")
    if lacking and not any(surface_of(f) == name for f in market.index.factors):
        raise MissingRiskFactor(f"No point of {name} has a level on {market.valuation_date}: {ids}.")
    said = [f"{counted(len(lacking), 'point has', 'points have')} no level: {ids}."] if lacking else []
    if (found := surface(market.index, name)) is None:
        return said
    if (single := np.flatnonzero(np.diff(found.offsets) == 1)).size:
        years = ", ".join(f"{t:.3g}" for t in found.times[single].tolist())
        said.append(f"An expiry with one strike has no butterfly: after {years} years.")
    if len(found.times) < 2:
        said.append("It has one expiry, so that no calendar can be judged.")
    return said


def _smile(found: Surface, market: ScenarioMarket, expiry: int, forward: float) -> tuple[Floats, Floats]:
    """Logarithms of strike over forward and volatilities of the quotes of an expiry."""
    where = found.points(expiry)
    x, vols = found.x[where], market.levels(found.ids[where])[:, 0]
    if found.coordinate == "delta":
        deviation = vols * np.sqrt(found.times[expiry])
        return deviation * (0.5 * deviation + ndtri(x)), vols
    return np.log(x / (forward if found.coordinate == "strike" else 100.0)), vols


def _forwards(found: Surface, market: ScenarioMarket, curve: str | None, dividend_yield: float) -> Floats:
    factors = market.index.factors
    assets = {dict(factors[market.index.row[i]].attributes).get("asset") for i in found.ids}
    shares = [f.risk_factor_id for f in factors if f.risk_factor_id in assets and f.type in SHARES]
    if len(assets) > 1 or not shares:
        raise MissingRiskFactor(
            f"{found.name} is by strike and has no attribute asset that names a share or index at hand."
        )
    (asset,) = shares
    if curve is None:
        raise MissingRiskFactor(f"{found.name} is by strike: name the curve that forwards of {asset} are made with.")
    growth = np.exp(-dividend_yield * found.times) / market.discount(curve, found.times)[:, 0]
    forwards: Floats = growth * market.level(asset)[0]
    return forwards


def _in_strikes(time: float, k: Floats, vols: Floats) -> list[Arbitrage]:
    """Butterflies and verticals of one expiry, with a call of strike zero, which is worth the forward."""
    strikes, n = np.exp(k), len(k)
    one = np.ones((n, 1))
    calls = european_options(np.ones(n), np.ones(n), strikes, np.full(n, time), one, vols[:, None], one)[:, 0]
    m, c = np.concatenate([[0.0], strikes]), np.concatenate([[1.0], calls])
    out = [
        Arbitrage("vertical", time, None, _percent(m[i], m[i + 1]), 100 * float(c[i + 1] - c[i]))
        for i in range(n)
        if c[i + 1] - c[i] > _LEAST
    ]
    for i in range(1, n):
        weight = (m[i + 1] - m[i]) / (m[i + 1] - m[i - 1])
        short = c[i] - weight * c[i - 1] - (1 - weight) * c[i + 1]
        if short > _LEAST:
            out.append(Arbitrage("butterfly", time, None, _percent(*m[i - 1 : i + 2]), 100 * float(short)))
    return out


def _in_time(found: Surface, market: ScenarioMarket, expiry: int, forwards: Floats, k: Floats) -> list[Arbitrage]:
    times = found.times[expiry : expiry + 2]
    before, after = (
        time * read(found, market, np.full(len(k), time), np.exp(k) * forward, np.full((len(k), 1), forward))[:, 0] ** 2
        for time, forward in zip(times, forwards[expiry : expiry + 2], strict=True)
    )
    return [
        Arbitrage("calendar", float(times[0]), float(times[1]), _percent(np.exp(x)), float(fall))
        for x, fall in zip(k, before - after, strict=True)
        if fall > _LEAST
    ]


def _percent(*strikes: float) -> tuple[float, ...]:
    return tuple(100 * float(s) for s in strikes)
