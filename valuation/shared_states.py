"""Scenarios that share a state of the market, so that a contract is priced only where something moves that it reads.

Two scenarios are put into one state where none of the contracts reads something that moves in either: each sees there the levels of
the one scenario that concerns it, and beside them others that it does not read. Its value is that of the scenario to the last bit, since
the risk factors that it reads decide it and no other. Where nothing moves that it reads, its value is that of the base.
Source: Curtis, Powell and Reid (1974), "On the estimation of sparse Jacobian matrices", IMA Journal of Applied Mathematics 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lake.arrays import Bools, Floats, Ints
from valuation.types import Market

_WORTH = 0.75  # of the scenarios: where more states than this are needed, each scenario keeps its own


class Moved:
    """Which scenarios move a factor, as the bits of an integer: of one factor and of any that are read together.

    changes : gives the scenarios, (n_scenarios,), in which the factor of a row has another level than at the base.
    """

    def __init__(self, n_scenarios: int, changes: Callable[[int], Bools]) -> None:
        self.n_scenarios = n_scenarios
        self._changes = changes
        self._of: dict[int, int] = {}

    def by(self, rows: Sequence[int]) -> int:
        """The scenarios that move a factor of these rows."""
        bits = 0
        for row in rows:
            if row not in self._of:
                self._of[row] = int.from_bytes(np.packbits(self._changes(row)).tobytes(), "big")
            bits |= self._of[row]
        return bits

    def scenarios(self, bits: Sequence[int]) -> Bools:
        """The same as an array, (len(bits), n_scenarios)."""
        width = -(-self.n_scenarios // 8)
        packed = np.frombuffer(b"".join(b.to_bytes(width, "big") for b in bits), np.uint8)
        return np.unpackbits(packed.reshape(len(bits), width), axis=1, count=self.n_scenarios).view(np.bool_)


@dataclass(frozen=True)
class SharedStates:
    """market : the base and the states that scenarios share; column : (n_different, n_states), the one of its columns that stands for
    each state of the whole market, 0 for the base; row : (n_contracts,) of each contract in that."""

    market: Market
    column: Ints
    row: Ints

    def spread(self, values: Floats, contracts: Ints | slice = slice(None)) -> Floats:
        """Values of contracts in `market`, (n_contracts, columns), as values in every state of the whole market."""
        return np.take_along_axis(values, self.column[self.row[contracts]], axis=1)


def shared_states(reads: Sequence[tuple[str, ...]], market: Market) -> SharedStates | None:
    """The fewest states found for contracts that read these factors; None where scenarios are hardly fewer than states."""
    n = market.n_states - 1
    if n == 0:
        return None
    row, states = market.index.row, market.states
    moved = Moved(n, lambda r: states[r, 1:] != states[r, :1])
    place: dict[int, int] = {}  # of what contracts need, in the order met
    needs = []
    for factors in reads:
        need = moved.by([row[f] for f in factors])
        if need.bit_count() > _WORTH * n:
            return None
        needs.append(place.setdefault(need, len(place)))
    concerned = moved.scenarios(list(place))
    state = _states_of(concerned)
    if state.max() > _WORTH * n:
        return None
    levels = np.repeat(states[:, :1], int(state.max()), axis=1)
    sharing = np.flatnonzero(state)
    factor, k = np.nonzero(states[:, sharing + 1] != states[:, :1])
    levels[factor, state[sharing[k]] - 1] = states[factor, sharing[k] + 1]
    column = np.zeros((len(place), n + 1), np.int64)
    column[:, 1:] = np.where(concerned, state, 0)
    return SharedStates(market.with_levels(levels), column, np.array(needs, dtype=np.int64))


def _states_of(concerned: Bools) -> Ints:
    """A state, from 1 on, of each scenario, (n_scenarios,): the first in which none of those it concerns, a column of `concerned`,
    meets another scenario already; 0 for one that concerns none."""
    who = [int.from_bytes(c.tobytes(), "big") for c in np.packbits(concerned, axis=0).T]
    taken: list[int] = []  # by whom, of each state
    begin: dict[int, int] = {}  # states before it are taken for whom it concerns
    state = np.zeros(len(who), np.int64)
    for scenario, those in enumerate(who):
        if not those:
            continue
        found = next((k for k in range(begin.get(those, 0), len(taken)) if not taken[k] & those), len(taken))
        if found == len(taken):
            taken.append(0)
        taken[found] |= those
        begin[those] = found + 1
        state[scenario] = found + 1
    return state
