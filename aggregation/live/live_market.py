"""The market of a live day: the moves of a stored scenario set on the levels that have come so far."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping

import numpy as np

from lake.arrays import Bools, Floats
from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios.derived.rebased import MARKET_DATA, NewBase, base_rules, carried_levels, rebase
from scenarios.market.base_market import base_levels
from scenarios.market.calendars import DATA
from scenarios.market.history import load_history
from scenarios.simulated.simulated_levels import SimulatedLevels
from scenarios.types import LARGEST_ARRAY, FactorIndex, GeneratedLevels, RiskClass, ScenarioSet
from valuation.market.scenario_market import ScenarioMarket

_LOOK_BACK = dt.timedelta(days=30)


class LiveMarket:
    """Levels of all risk factors, `states` (n_factors, 1 + n_scenarios), column 0 the base, and which of them have come today.

    A level depends on the moves and the newest base alone, so that whatever came before shows in no bit.
    """

    def __init__(self, source: ScenarioSet, base: NewBase, name: str) -> None:
        if isinstance(source.levels, GeneratedLevels) and np.prod(source.levels.shape) * 8 > LARGEST_ARRAY:
            raise BadInput(
                f"Scenario set {source.name} has {source.levels.shape[0]:,} risk factors x {source.n_scenarios:,} generated scenarios. "
                f"A live day holds them in memory, at most {LARGEST_ARRAY >> 30} GiB; take a set of fewer scenarios."
            )
        self.source = source
        self.opened = rebase(source, base, name)
        self.index: FactorIndex = self.opened.index
        levels = np.asarray(self.opened.levels)
        self.states: Floats = np.concatenate([self.opened.base[:, None], levels], axis=1, dtype=np.float64)
        self.fresh: Bools = np.zeros(len(self.index.factors), np.bool_)

    @property
    def base(self) -> Floats:
        """The newest levels, (n_factors,)."""
        return self.states[:, 0]

    def set_level(self, row: int, level: float) -> str | None:
        """Puts the moves of a factor onto a level; says why where they have no meaning there, and the level before stays."""
        levels = self._levels_from(row, level)
        if not (np.isfinite(level) and np.isfinite(levels).all()):
            return f"its moves have no meaning from {level:g}"
        self.states[row, 0], self.states[row, 1:] = level, levels
        self.fresh[row] = True
        return None

    def _levels_from(self, row: int, level: float) -> Floats:
        generated = self.opened.levels
        if isinstance(generated, SimulatedLevels):
            base = self.opened.base.copy()
            base[row] = level
            g = generated
            return SimulatedLevels(g.process, base, g.shift_types, g.drift, g.loadings, g.moves)[row]
        return carried_levels(self.source, self.index.factors[row], level)

    def pricing(self) -> ScenarioMarket:
        """What pricers see now. It is of these very levels: use it before the next level comes."""
        return ScenarioMarket.of_states(self.opened.market_date, self.index, self.states)

    def partly(self, classes: Collection[RiskClass]) -> ScenarioMarket:
        """The market that the day opened with, the factors of these risk classes at their newest levels."""
        states = np.concatenate([self.opened.base[:, None], np.asarray(self.opened.levels)], axis=1, dtype=np.float64)
        moved = np.array([f.risk_class in classes for f in self.index.factors], np.bool_)
        states[moved] = self.states[moved]
        return ScenarioMarket.of_states(self.opened.market_date, self.index, states)

    def scenarios(self, market: ScenarioMarket | None = None) -> ScenarioSet:
        """The set of the newest levels, or of those of a market, as the method `rebased` makes it; without an id."""
        states = self.states if market is None else market.states
        return dataclasses.replace(self.opened, base=states[:, 0], levels=states[:, 1:], held=self.held)

    @property
    def held(self) -> Mapping[str, str]:
        """The factors that hold a level of before the day, for want of one of it, with its date."""
        return {i: why for i, why in self.opened.held.items() if not self.fresh[self.index.row[i]]}


def opening_base(snapshot: Snapshot, day: dt.date, source: ScenarioSet) -> NewBase:
    """The levels that a live day opens with: the last of each factor, as the market data of the day would have it held.

    Raises `BadInput` for a day on which the calendar of the source has no business.
    """
    calendar, max_held_days = base_rules(source)
    history = load_history(snapshot, calendar, day - _LOOK_BACK, day)
    if not len(history.dates) or history.dates[-1] != np.datetime64(day):
        if calendar != DATA:
            raise BadInput(
                f"{day} is no business day of calendar {calendar}, by which scenario set {source.name} was made; open another day."
            )
        none = np.full((1, len(history.index.factors)), np.nan)
        history = dataclasses.replace(
            history,
            dates=np.append(history.dates, np.datetime64(day)),
            levels=np.vstack([history.levels, none]),
            blank=np.vstack([history.blank, np.zeros(none.shape, np.bool_)]),
        )
    base, excluded, held = base_levels(history, max_held_days)
    kept = np.array([f.risk_factor_id not in excluded for f in history.index.factors])
    index = FactorIndex(tuple(f for f, k in zip(history.index.factors, kept, strict=True) if k))
    return NewBase(MARKET_DATA, day, index, base[kept], excluded, held, history.market_data_version)
