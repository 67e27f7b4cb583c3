"""Trades not yet done upon the P&L of nodes: each by itself and all of them together.

P&L is additive: that of a node is kept from question to question, and that of the trades is computed once for all nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.book.changes import Changes
from aggregation.limits.held import Node, Openings, lacking_in_words, node_selection, passing
from aggregation.measures import AskedMeasure
from aggregation.opened.alignment import COVERED
from aggregation.opened.inputs import Inputs
from aggregation.reduce.selection import open_selection, scenario_pnl
from aggregation.types import Scope
from aggregation.whatif.additions import Additions, added_trades
from aggregation.whatif.request import value_new
from aggregation.whatif.what_if import measure_of
from lake.arrays import Bools, Floats


@dataclass(frozen=True)
class _TrialTrades:
    """The trades upon some inputs. place : (n_positions of their book,) the row of each trade; covered : (n_trades,)."""

    made: Additions
    covered: Bools
    n: int

    @classmethod
    def of(cls, inputs: Inputs, scope: Scope, changes: Changes) -> _TrialTrades:
        valued = value_new(inputs, changes, scope.currency)
        made = added_trades(open_selection(inputs, scope), scope, changes, valued)
        covered = np.zeros(changes.added.num_rows, np.bool_)
        covered[made.item[made.item >= 0]] = made.state[made.item >= 0] == COVERED
        return cls(made, covered, len(covered))

    def within(self, node: Node) -> Bools:
        """The trades that belong to a node, (n_trades,)."""
        found = np.zeros(self.n, np.bool_)
        ours = self.made.item >= 0
        found[self.made.item[ours]] = passing(self.made.book, node)[ours]
        return found


@dataclass(frozen=True)
class NodeTrial:
    """P&L of a node before, (n_scenarios,), and of each trade in it, (n_trades, n_scenarios), zeros for the others; which trades are in it,
    and which have a value, (n_trades,); its positions and those covered."""

    inputs: Inputs
    before: Floats
    trades: Floats
    mine: Bools
    valued: Bools
    positions: int
    covered: int
    reason: str | None  # how much of it is in no figure, and why

    @property
    def covered_trades(self) -> int:
        return int((self.mine & self.valued).sum())

    @property
    def together(self) -> Floats:
        """P&L of all its trades, (n_scenarios,), added in their order."""
        total = np.zeros_like(self.before)
        for row in self.trades[self.mine]:
            total = total + row
        return total

    def figure(self, asked: AskedMeasure, pnl: Floats) -> Floats:
        """The measure of each row of P&L."""
        return measure_of(asked, self.inputs.weights, np.atleast_2d(pnl))

    def both(self, asked: AskedMeasure) -> tuple[float | None, float | None]:
        """The measure before and after; None where something is held and nothing of it has a value, or the measure is not defined."""
        was, now = self.figure(asked, np.stack([self.before, self.before + self.together])).tolist()
        held = self.positions + int(self.mine.sum())
        before = known(was) if self.covered else (None if self.positions else 0.0)
        after = known(now) if self.covered or self.covered_trades else (None if held else 0.0)
        return before, after


def known(value: float) -> float | None:
    """A figure; None where the measure is not defined."""
    return None if np.isnan(value) else value


class Trial:
    """The trades on the nodes of one side: what whoever asks sees, or everything held."""

    def __init__(self, openings: Openings, scope: Scope, changes: Changes, of_firm: bool = False) -> None:
        self.openings, self.of_firm = openings, of_firm
        self._scope, self._changes = scope, changes
        self._priced: dict[int, _TrialTrades] = {}
        self._pnl: dict[int, Floats] = {}
        self._mine: dict[tuple[int, Node], Bools] = {}

    def priced(self, inputs: Inputs, currency: str) -> _TrialTrades:
        if id(inputs) not in self._priced:
            scope = self._scope.model_copy(update={"currency": currency})
            self._priced[id(inputs)] = _TrialTrades.of(inputs, scope, self._changes)
        return self._priced[id(inputs)]

    def touches(self, node: Node, currency: str) -> bool:
        """Whether a trade belongs to the node; raises as `node` does."""
        return bool(self._within(self.openings.of(node, currency), node, currency).any())

    def _within(self, inputs: Inputs, node: Node, currency: str) -> Bools:
        """The trades that belong to a node: several limits are of one."""
        key = (id(inputs), node)
        if key not in self._mine:
            self._mine[key] = self.priced(inputs, currency).within(node)
        return self._mine[key]

    def node(self, node: Node, currency: str) -> NodeTrial:
        """Raises `NotValued` where nothing answers for the node, `BadInput` for a dimension that is none."""
        inputs = self.openings.of(node, currency)
        priced = self.priced(inputs, currency)
        if id(inputs) not in self._pnl:
            self._pnl[id(inputs)] = priced.made.pnl_of_each(priced.n, currency)
        mine = self._within(inputs, node, currency)
        selection = node_selection(inputs, self._scope, node, currency)
        before, positions, covered = np.zeros(inputs.n_scenarios), 0, 0
        if selection is not None:
            before = scenario_pnl(selection, selection.groups.n, 1)[1][0]
            positions, covered = int(selection.counts[-1].sum()), int(selection.counts[-1, COVERED])
        trades = np.where(mine[:, None], self._pnl[id(inputs)], 0.0)
        covered_trades = int((mine & priced.covered).sum())
        reason = lacking_in_words(selection, int(mine.sum()), covered_trades, of_firm=self.of_firm)
        return NodeTrial(inputs, before, trades, mine, priced.covered, positions, covered, reason)
