"""Exchange rates that move together: crosses are triangulated, and a quoted cross keeps its spread to the triangle.

The held pairs form a graph of currencies. A spanning tree of it - from the currency with the most pairs, EUR where the lake
holds the ECB's rates - decides every cross; a held pair outside the tree (USDJPY beside EURUSD and EURJPY) follows it,
keeping its ratio to the triangulated rate, unless it is shocked itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput, Issue, VarlakeError
from scenarios.types import FactorIndex

Leg = tuple[int, int]  # row, power: +1 when the price of one unit goes with the held level, -1 against it
VEHICLE = "USD"  # the currency most crosses are quoted against
_AGREE = 1e-9


@dataclass(frozen=True)
class PairShock:
    """The price of one `base` in `quote` becomes `ratio` (n_nodes,) times what it was; `place` points at the step."""

    base: str
    quote: str
    ratio: Floats
    moving: str | None
    said: str
    place: str = ""

    @property
    def pair(self) -> str:
        return self.base + self.quote


class PairTree:
    """The spanning tree of the held pairs."""

    def __init__(self, index: FactorIndex) -> None:
        self.ids = tuple(f.risk_factor_id for f in index.factors)
        self.held: dict[tuple[str, str], int] = {
            (f.risk_factor_id[-6:-3], f.risk_factor_id[-3:]): i
            for i, f in enumerate(index.factors)
            if f.type == "fx_rate"
        }
        neighbours: dict[str, dict[str, Leg]] = {}
        for (base, quote), row in self.held.items():
            neighbours.setdefault(base, {})[quote] = (row, 1)
            neighbours.setdefault(quote, {})[base] = (row, -1)
        self._up: dict[str, tuple[str, Leg] | None] = {}  # currency to its parent and the price of one unit in it
        for pivot in sorted(neighbours, key=lambda c: (-len(neighbours[c]), c)):
            if pivot in self._up:
                continue
            self._up[pivot] = None
            queue = [pivot]
            for here in queue:
                for child in sorted(neighbours[here].keys() - self._up.keys()):
                    self._up[child] = (here, neighbours[child][here])
                    queue.append(child)
        self.rows = {up[1][0] for up in self._up.values() if up is not None}

    def path(self, base: str, quote: str) -> tuple[Leg, ...]:
        """Legs of the tree whose product is the price of one `base` in `quote`, from the base's side to the quote's."""
        up, down = self._to_pivot(base), self._to_pivot(quote)
        while up and down and up[-1] == down[-1]:
            up.pop()
            down.pop()
        if self._pivot(base) != self._pivot(quote):
            raise BadInput(f"No held pairs lead from {base} to {quote}; {base}{quote} cannot be triangulated.")
        return (*up, *((row, -power) for row, power in reversed(down)))

    def price(self, base: str, quote: str, levels: Floats) -> Floats:
        """Price of one `base` in `quote`, (n_nodes,): the held pair or its inverse, else triangulated."""
        if (base, quote) in self.held:
            held: Floats = levels[self.held[base, quote]]
            return held
        if (quote, base) in self.held:
            inverse: Floats = 1.0 / levels[self.held[quote, base]]
            return inverse
        return product(self.path(base, quote), levels)

    def _to_pivot(self, currency: str) -> list[Leg]:
        legs = []
        while (up := self._up[currency]) is not None:
            currency, leg = up
            legs.append(leg)
        return legs

    def _pivot(self, currency: str) -> str:
        while (up := self._up[currency]) is not None:
            currency = up[0]
        return currency


def product(legs: Sequence[Leg], levels: Floats) -> Floats:
    """Levels (n_factors, n_nodes) along the legs multiplied or divided, in their order; (n_nodes,)."""
    rate = np.ones(levels.shape[1])
    for row, power in legs:
        rate = rate * levels[row] if power > 0 else rate / levels[row]
    return rate


def settle(
    tree: PairTree,
    old: Floats,
    direct: Mapping[int, Floats],
    crosses: Sequence[PairShock],
    *,
    moving: Mapping[int, str],
    included: set[int],
) -> tuple[dict[int, Floats], dict[int, str]]:
    """New levels of every pair that moves, and how those moved that no step names.

    old : (n_factors, n_nodes) levels before; direct : row to its new level, for held pairs that are shocked or `included`
    from another scenario; moving : row of a held cross to the currency whose leg moves with it; crosses : shocks on pairs
    that are not held. Of a cross against the dollar the other currency's leg
    moves - GBPUSD -5% is sterling falling, not the dollar rising against all - and of any other cross the quote currency's,
    unless the shock says otherwise or that leg is moved already. Raises `BadInput` when the shocks contradict each other.
    """
    new = dict(direct)
    derived: dict[int, str] = {}
    outside = [
        PairShock(b, q, new[row] / old[row], moving.get(row), tree.ids[row])
        for (b, q), row in tree.held.items()
        if row in new and row not in tree.rows and row not in included
    ]
    wanted = [(s, tree.path(s.base, s.quote)) for s in (*outside, *crosses)]
    pending: list[tuple[PairShock, Leg, list[Leg]]] = []
    for shock, legs in wanted:
        taken = new.keys() | {leg[0] for _, leg, _ in pending}
        leg = _free_leg(shock, legs, taken, tree.ids)
        if leg is not None:
            pending.append((shock, leg, [x for x in legs if x != leg]))
    while pending:
        # a cross waits for the legs that other crosses move, so that the order they are said in does not matter
        awaited = {leg[0] for _, leg, _ in pending}
        ready = next((p for p in pending if not awaited & {row for row, _ in p[2]}), None)
        if ready is None:
            raise _contradiction(pending[0][0], [pending[0][1], *pending[0][2]], tree.ids)
        pending.remove(ready)
        shock, (row, power), others = ready
        move = shock.ratio / _ratio(others, new, old)
        new[row] = old[row] * move if power > 0 else old[row] / move
        derived[row] = _rule(shock, others, new, tree.ids)
    for (base, quote), row in tree.held.items():
        if row in tree.rows or row in new:
            continue
        legs = tree.path(base, quote)
        if any(r in new for r, _ in legs):
            new[row] = old[row] * _ratio(legs, new, old)
            by = ", ".join(tree.ids[r] for r, _ in legs)
            derived[row] = f"triangulated from {by}, spread kept"
    for shock, legs in wanted:
        if not np.allclose(_ratio(legs, new, old), shock.ratio, rtol=_AGREE, atol=0.0):
            raise _contradiction(shock, legs, tree.ids)
    return new, derived


def _ratio(legs: Sequence[Leg], new: Mapping[int, Floats], old: Floats) -> Floats:
    total = np.ones(old.shape[1])
    for row, power in legs:
        if row in new:
            move = new[row] / old[row]
            total = total * move if power > 0 else total / move
    return total


def _free_leg(shock: PairShock, legs: Sequence[Leg], taken: Set[int], ids: tuple[str, ...]) -> Leg | None:
    """The leg that takes up the move; None when all that could are moved already, and then they have to agree."""
    if shock.moving is not None:
        if shock.moving not in (shock.base, shock.quote):
            message = f"{shock.said}: `moving` names {shock.base} or {shock.quote}, not {shock.moving}."
            raise BadInput(message, issues=[Issue(shock.place, message)])
        leg = legs[0] if shock.moving == shock.base else legs[-1]
        if leg[0] in taken:
            raise _contradiction(shock, [leg], ids)
        return leg
    order = (legs[0], legs[-1]) if shock.quote == VEHICLE else (legs[-1], legs[0])
    return next((leg for leg in order if leg[0] not in taken), None)


def _rule(shock: PairShock, others: Sequence[Leg], new: Mapping[int, Floats], ids: tuple[str, ...]) -> str:
    kept = [f"{ids[r]} {'as moved' if r in new else 'unchanged'}" for r, _ in others]
    return f"moves so that {shock.pair} does what was said; {', '.join(kept)}"


def _contradiction(shock: PairShock, legs: Sequence[Leg], ids: tuple[str, ...]) -> VarlakeError:
    by = ", ".join(ids[r] for r, _ in legs)
    message = (
        f"{shock.said} contradicts other shocks: {shock.pair} follows from {by}, and these are moved otherwise. "
        "Leave one out, write `then` before one, or say with `moving` which currency moves."
    )
    return BadInput(message, issues=[Issue(shock.place, message)])
