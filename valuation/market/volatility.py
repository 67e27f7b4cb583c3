"""Volatilities of a market by name: of one risk factor, which is flat, or of a surface; see `scenarios.surfaces` for its points.

How a surface is read between its points and beyond is stated in `valuation.kernels.smiles`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lake.arrays import Floats, Ints
from lake.errors import unknown
from scenarios.surfaces import SURFACE, VOLATILITIES, coordinate, surface_of
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor, tenor_years
from valuation.kernels import smiles
from valuation.types import Market

STICKY_STRIKE, STICKY_DELTA = "sticky_strike", "sticky_delta"
_SAME = 1e-9  # years
_PERCENT = 100.0  # moneyness at the forward


@dataclasses.dataclass(frozen=True)
class Surface:
    """A volatility surface without its levels.

    coordinate : `strike`, `moneyness` or `delta`, None at the money; times : (n_expiries,) years, ascending; offsets :
    (n_expiries + 1,) where each expiry's points begin; x : (n_points,) strike, moneyness or put delta, ascending in an expiry;
    ids : (n_points,) risk factors, of the types `kinds`.
    """

    name: str
    coordinate: str | None
    times: Floats
    offsets: Ints
    x: Floats
    ids: tuple[str, ...]
    kinds: frozenset[str]

    @classmethod
    def of(cls, name: str, points: Sequence[RiskFactor]) -> Surface:
        """Raises `MissingRiskFactor` for points that are no surface together."""
        coordinates = {next((c for c in SURFACE if c in dict(f.attributes)), None) for f in points}
        kinds = frozenset(f.type for f in points)
        if len(coordinates) > 1 or len(kinds) > 1:
            raise MissingRiskFactor(
                f"The points of the volatility surface {name} are of different kinds: {', '.join(sorted(kinds))} by "
                f"{', '.join(sorted(c or 'none (at the money)' for c in coordinates))}. Give each surface a name of its own by "
                "the attribute surface."
            )
        (kind,) = coordinates
        placed: dict[tuple[float, float], str] = {}
        for f in points:
            attributes = dict(f.attributes)
            x = 0.0 if kind is None else coordinate(kind, attributes[kind])
            place = tenor_years(attributes["expiry"]), 1 - x if kind == "delta" else x
            if place in placed:
                raise MissingRiskFactor(
                    f"{placed[place]} and {f.risk_factor_id} are the same point of the volatility surface {name}."
                )
            placed[place] = f.risk_factor_id
        where = sorted(placed)
        times, sizes = np.unique([t for t, _ in where], return_counts=True)
        return cls(
            name,
            kind,
            times,
            np.concatenate([[0], np.cumsum(sizes)]),
            np.array([x for _, x in where]),
            tuple(placed[p] for p in where),
            kinds,
        )

    def around(self, time: float) -> tuple[int, int]:
        """The expiries that decide the volatility at a time: one at an expiry, before the first and after the last, else two."""
        right = int(np.searchsorted(self.times, time - _SAME))
        if right == len(self.times):
            return right - 1, right - 1
        if right == 0 or self.times[right] - time <= _SAME:
            return right, right
        return right - 1, right

    def points(self, expiry: int) -> slice:
        return slice(int(self.offsets[expiry]), int(self.offsets[expiry + 1]))

    def reads(self, time: float) -> tuple[str, ...]:
        """Ids of the points that decide the volatilities at a time; raises `MissingRiskFactor` where two expiries do not fit."""
        left, right = self.around(time)
        if left == right:
            return self.ids[self.points(left)]
        if self.coordinate == "delta" and not np.array_equal(self.x[self.points(left)], self.x[self.points(right)]):
            raise MissingRiskFactor(
                f"The volatility surface {self.name} has other deltas after {self.times[left]:.3g} years than after "
                f"{self.times[right]:.3g}; between them every delta of one is needed at the other."
            )
        return (*self.ids[self.points(left)], *self.ids[self.points(right)])


def surface(index: FactorIndex, name: str) -> Surface | None:
    """The surface of that name; None where the name is that of one volatility, which is flat.

    Raises `MissingRiskFactor` for a name that is neither, and for a surface whose points do not fit together.
    """
    key = (surface, name)
    if key not in index.memo:
        index.memo[key] = _surface(index, name)
    found: Surface | None = index.memo[key]
    return found


def _surface(index: FactorIndex, name: str) -> Surface | None:
    if name in index.row and index.factors[index.row[name]].type in VOLATILITIES:
        return None
    points = _points(index).get(name)
    if points is not None:
        return Surface.of(name, points)
    if name in index.row:
        return None  # of another type: whoever reads it says so
    flat = [f.risk_factor_id for f in index.factors if f.type in VOLATILITIES and surface_of(f) is None]
    raise unknown("volatility", name, [*_points(index), *flat], error=MissingRiskFactor)


def _points(index: FactorIndex) -> dict[str, list[RiskFactor]]:
    if _points not in index.memo:
        named: dict[str, list[RiskFactor]] = {}
        for f in index.factors:
            if (name := surface_of(f)) is not None:
                named.setdefault(name, []).append(f)
        index.memo[_points] = named
    found: dict[str, list[RiskFactor]] = index.memo[_points]
    return found


def read(
    found: Surface, market: Market, times: Floats, strikes: Floats, forwards: Floats, smile: str | None = None
) -> Floats:
    """Volatilities of contracts on one surface, shape (n_contracts, n_states).

    times, strikes : (n_contracts,); forwards : (n_contracts, n_states), the base first. smile : what happens where the forward
    moves, `sticky_strike` or `sticky_delta`; None as the coordinate of the surface says.
    """
    at = np.broadcast_to(strikes[:, None], forwards.shape)
    if found.coordinate == "strike":
        at = at * (forwards[:, :1] / forwards) if smile == STICKY_DELTA else at
    elif found.coordinate is not None:
        ratio = at / (forwards[:, :1] if smile == STICKY_STRIKE else forwards)
        ratio = np.where(ratio > 0, ratio, np.nan)
        at = np.log(ratio) if found.coordinate == "delta" else _PERCENT * ratio
    return smiles.smile_volatilities(*_arguments(found, market, times), np.ascontiguousarray(at))


def fair_variances(market: Market, name: str, times: Floats, forwards: Floats) -> Floats:
    """Fair variance a year of contracts on one volatility, (n_contracts, n_states); see `smiles.strip_variances`."""
    found = surface(market.index, name)
    if found is None:
        level = market.level(name)
        return np.broadcast_to(np.where(level >= 0, level * level, np.nan), forwards.shape)
    if found.coordinate is None:
        return read(found, market, times, np.ones(len(times)), forwards) ** 2
    unit = forwards if found.coordinate == "strike" else np.full(forwards.shape, _PERCENT)
    return smiles.strip_variances(*_arguments(found, market, times), np.ascontiguousarray(unit))


def _arguments(
    found: Surface, market: Market, times: Floats
) -> tuple[bool, Ints, Floats, Floats, Floats, Ints, Ints, Floats]:
    left, right = np.array([found.around(t) for t in times.tolist()], dtype=np.int64).reshape(-1, 2).T
    levels = market.levels(found.ids)
    return (
        found.coordinate == "delta",
        found.offsets,
        found.x,
        levels,
        found.times,
        np.ascontiguousarray(left),
        np.ascontiguousarray(right),
        times,
    )
