"""Standard errors of the sensitivities of contracts that are valued by simulation.

Base and bumps share their paths and the exercise policy of the base; what still differs from path to path is the error of the
difference. All contracts share their random numbers, so that errors of several add up at the most.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.contributions.sensitivities import Bumped, simulated
from aggregation.opened.alignment import COVERED
from aggregation.reduce.netting import net_quantities
from aggregation.session import Session
from lake.arrays import Floats, Ints
from valuation.batch import ready_contract
from valuation.catalogue import instrument
from valuation.costs import Costs, Work, afford
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract


@dataclass(frozen=True)
class SimulationErrors:
    """Of each contract that is simulated, held : the groups that hold it, and their net units, without sign, times the exchange rate;
    first, second : (n_factors,) standard errors of a unit's derivatives, per unit of level. The group after the last is the total."""

    held: list[tuple[Ints, Floats]]
    first: list[Floats]
    second: list[Floats]

    def of(self, start: int, n: int, move: Floats) -> tuple[Floats, Floats]:
        """Of the first and second order of the groups from `start` on for a move of each factor, both (n, n_factors)."""
        made = np.zeros((2, n, len(move)))
        for (groups, size), first, second in zip(self.held, self.first, self.second, strict=True):
            here = (groups >= start) & (groups < start + n)
            made[0, groups[here] - start] += size[here, None] * first * np.abs(move)
            made[1, groups[here] - start] += size[here, None] * second * move**2
        return made[0], made[1]


def simulation_errors(session: Session, bumped: Bumped, currency: str) -> SimulationErrors:
    """Those of the contracts of the selection; each is simulated once more for them, and the errors are kept."""
    selection, made = bumped.selection, bumped.scenarios
    book, state = selection.inputs.book, selection.inputs.alignment.state
    day = selection.inputs.valuation_set.valuation_date
    found = SimulationErrors([], [], [])
    contracts = {i: c for i, c in simulated(session, selection).items() if state[i] == COVERED}
    if not contracts:
        return found
    group = selection.groups.group
    entries = [
        net_quantities(book, group, selection.groups.n),
        net_quantities(book, np.where(group < 0, -1, 0).astype(group.dtype), 1),
    ]
    market = ScenarioMarket.of(made, day, stop=0)
    for i, contract in contracts.items():
        terms, reads = ready_contract(contract, made.index, day, None)
        rows = np.array([made.index.row[f] for f in reads])
        key = ("simulation errors", contract.contract_id, made.scenario_set_id)
        first, second = session.cache.keep(key, functools.partial(_errors, session, bumped, contract, terms, rows))
        rate = float(market.fx(terms.currency, currency)[0])
        groups, sizes = [], []
        for offset, (starts, slot, quantity) in zip((0, selection.groups.n), entries, strict=True):
            part = slice(starts[i], starts[i + 1])
            groups.append(slot[part].astype(np.int64) + offset)
            sizes.append(np.abs(quantity[part]) * rate)
        found.held.append((np.concatenate(groups), np.concatenate(sizes)))
        found.first.append(first)
        found.second.append(second)
    return found


def _errors(session: Session, bumped: Bumped, contract: Contract, terms: Any, rows: Ints) -> tuple[Floats, Floats]:
    made, n = bumped.scenarios, len(rows)
    afford(Costs(session.lake), Work.of_type(contract.instrument_type, 1, 1 + 2 * n))
    columns = np.stack([2 * rows, 2 * rows + 1], axis=1).ravel()  # up and down by turns
    levels = np.asarray(made.levels)[:, columns]
    day = bumped.selection.inputs.valuation_set.valuation_date
    market = ScenarioMarket(day, made.index, made.base, levels, bumped=True)
    size, factor = bumped.size[rows], np.arange(n)
    weights = np.zeros((2, n, 1 + 2 * n))
    weights[0, factor, 1 + 2 * factor], weights[0, factor, 2 + 2 * factor] = 0.5 / size, -0.5 / size
    weights[1, factor, 1 + 2 * factor] = weights[1, factor, 2 + 2 * factor] = 1.0 / size**2
    weights[1, :, 0] = -2.0 / size**2
    module: Any = instrument(contract.instrument_type)
    errors = module.errors(terms, market, weights.reshape(2 * n, -1))
    out = np.zeros((2, len(bumped.size)))
    out[:, rows] = errors.reshape(2, n)
    return out[0], out[1]
