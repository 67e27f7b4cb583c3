"""Reverse stress: the most plausible moves with which a book loses at least a given amount.

Moves are in units of each factor's standard deviation, C is their correlation matrix, and plausible means a small
Mahalanobis distance sqrt(z' C^-1 z). For a book that is linear, P&L = g.z, the answer is closed: z = -X C g / (g' C g), at the
distance X / sqrt(g' C g). For any other book that step is repeated from where the last one ended, with the gradient found there;
the loss is always what full valuation says. The answer is a local one: several starts are tried, and the nearest is kept.

.. [HL] A. M. Hasofer, N. C. Lind, "Exact and invariant second-moment code format", Journal of the Engineering Mechanics
   Division 100 (1974); R. Rackwitz, B. Fiessler, "Structural reliability under combined random load sequences", Computers
   & Structures 9 (1978): the iteration.
.. [G] P. Glasserman, C. Kang, W. Kang, "Stress scenario selection by empirical likelihood", Quantitative Finance 15(1),
   2015: the most likely scenario of a given loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput

Value = Callable[[Floats], Floats]
"""P&L (m,) of moves (n, m) in standard deviations, gains positive; NaN where the book has no value."""

_RAY = 24  # points looked at on a ray before its crossing is narrowed down
_PARTS = 16  # into which a bracket is cut, again and again
_NEAREST_LOOKED_AT = 0.01  # of the ray
_EXACT = 1e-7  # of a crossing
_STEPS = 12  # of the iteration from one start
_GAINED = 1e-4  # of the distance: less is convergence


@dataclass(frozen=True)
class ReversePoint:
    """moves : (n,) in standard deviations. distance : Mahalanobis. loss : by full valuation, losses positive.

    weights : (n,) such that moves = C weights, so that distance^2 = weights . moves.
    """

    weights: Floats
    moves: Floats
    distance: float
    loss: float


@dataclass(frozen=True)
class _Direction:
    """A unit vector of the Mahalanobis distance: moves = C weights, weights . moves = 1."""

    weights: Floats
    moves: Floats


def _toward(weights: Floats, correlation: Floats) -> _Direction | None:
    """None where the weights point nowhere: all zero, or not known."""
    moves = (correlation * weights).sum(axis=1)
    size = float(np.sqrt(max((weights * moves).sum(), 0.0)))
    return _Direction(weights / size, moves / size) if size > 0 else None


def linear(gradient: Floats, correlation: Floats, loss: float) -> ReversePoint:
    """The closed form for a linear book; gradient (n,) is P&L for one standard deviation of each factor."""
    along = _toward(-gradient, correlation)
    if along is None:
        raise BadInput("The book reacts to no risk factor at its base, so there is no linear reverse stress.")
    distance = loss / float(-(gradient * along.moves).sum())
    return ReversePoint(along.weights * distance, along.moves * distance, distance, loss)


def search(
    value: Value,
    gradient: Callable[[Floats], Floats],
    correlation: Floats,
    loss: float,
    starts: Floats,
    max_distance: float,
) -> ReversePoint:
    """The nearest moves found that lose at least `loss` by full valuation.

    gradient : P&L for one more standard deviation of each factor (n,), at the moves (n,) given. starts : (n, k) moves to
    start from; at each the steepest direction, and its opposite, are followed. A gradient that is not finite, where the book
    has no value nearby, is not. Raises `BadInput` when no ray followed loses so much within `max_distance`.
    """
    best: ReversePoint | None = None
    worst = 0.0
    for start in starts.T:
        slope = gradient(start)
        for sign in (-1.0, 1.0):
            along = _toward(sign * slope, correlation)
            if along is None:
                continue
            found, reached = _on_ray(value, along, loss, max_distance)
            worst = max(worst, reached)
            if found is not None:
                found = _improve(value, gradient, correlation, loss, found)
                if best is None or found.distance < best.distance:
                    best = found
    if best is None:
        raise BadInput(
            f"No scenario within {max_distance:g} standard deviations was found that loses {loss:,.6g}; the greatest loss met is "
            f"{worst:,.6g}. Ask for less, or for a greater max_distance."
        )
    return best


def _improve(
    value: Value, gradient: Callable[[Floats], Floats], correlation: Floats, loss: float, found: ReversePoint
) -> ReversePoint:
    """Steps to nearer moves with the same loss until a step gains nothing [HL]_."""
    for _ in range(_STEPS):
        steepest = _toward(-gradient(found.moves), correlation)
        nearer = None
        # the whole step may overshoot where the book is bent; then half of it, and half again
        for share in (1.0, 0.5, 0.25) if steepest else ():
            assert steepest is not None
            along = _toward((1.0 - share) * found.weights / found.distance + share * steepest.weights, correlation)
            if along is not None:
                nearer, _ = _on_ray(value, along, loss, found.distance)
            if nearer is not None:
                break
        if nearer is None or nearer.distance >= found.distance:
            break
        gained = 1.0 - nearer.distance / found.distance
        found = nearer
        if gained < _GAINED:
            break
    return found


def _on_ray(value: Value, along: _Direction, loss: float, max_distance: float) -> tuple[ReversePoint | None, float]:
    """Where the ray first loses `loss`, not beyond `max_distance`, and the greatest loss met before."""
    distances = np.append(0.0, np.geomspace(_NEAREST_LOOKED_AT * max_distance, max_distance, _RAY))
    worst = 0.0
    while True:
        losses = -value(along.moves[:, None] * distances)
        finite = np.isfinite(losses)
        end = len(losses) if finite.all() else int(np.argmin(finite))
        worst = max(worst, float(losses[:end].max(initial=0.0)))
        over = np.flatnonzero(losses[:end] >= loss)
        if len(over) == 0:
            return None, worst
        # at no move nothing is lost, so that the first crossing has a point before it
        first = max(int(over[0]), 1)
        if distances[first] - distances[first - 1] <= _EXACT * distances[first]:
            at = float(distances[first])
            return ReversePoint(along.weights * at, along.moves * at, at, float(losses[first])), worst
        distances = np.linspace(distances[first - 1], distances[first], _PARTS + 1)
