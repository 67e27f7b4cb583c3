"""A contract that is valued as seen from the base has no P&L explain, and is told; the others have one."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import numpy as np
from examples import BASE, EXAMPLES, INDEX, TODAY

from scenarios.types import Roll
from valuation.batch import value_batch
from valuation.catalogue import parse_terms
from valuation.horizons.unit_explain import HANGS_ON_BASE, _depending_on_the_base
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract


def test_only_what_hangs_on_the_base_is_told() -> None:
    terms = [parse_terms(t, EXAMPLES[t][0]) for t in ("variance_swap", "equity_option", "cash_equity", "fixed_bond")]
    contracts = [Contract(t.contract_id(), t.instrument_type, t.to_json()) for t in terms]
    moved = np.where([f.currency == "USD" and f.curve is None for f in INDEX.factors], BASE * 0.9, BASE)

    last = ScenarioMarket(TODAY, INDEX, moved, np.empty((len(BASE), 0)))
    path: Any = SimpleNamespace(closing=lambda: last)
    block = value_batch(contracts, ScenarioMarket(TODAY, INDEX, BASE, moved[:, None]))
    found = _depending_on_the_base(contracts, path, block.base + block.pnl[:, 0])
    assert [(f.instrument_type, f.reason) for f in found] == [("variance_swap", HANGS_ON_BASE)]
    assert _depending_on_the_base(contracts[1:], path, (block.base + block.pnl[:, 0])[1:]) == []


def test_every_other_contract_is_worth_in_a_market_that_was_observed_what_it_is_worth_there() -> None:
    """Credit too: its survival curve is that of the last market, not that of the first carried on."""
    names = [t for t in EXAMPLES if t not in ("variance_swap", "equity_option", "equity_american_option")]
    terms = [parse_terms(t, EXAMPLES[t][0]) for t in names]
    contracts = [Contract(t.contract_id(), t.instrument_type, t.to_json()) for t in terms]
    moved = np.where([f.shift_type == "absolute" for f in INDEX.factors], BASE + 0.0002, BASE * 1.01)
    last = ScenarioMarket(TODAY, INDEX, moved, np.empty((len(BASE), 0)))
    path: Any = SimpleNamespace(closing=lambda: last)
    roll = Roll(TODAY - dt.timedelta(days=3), TODAY, "observed", BASE)
    block = value_batch(contracts, ScenarioMarket(TODAY, INDEX, BASE, moved[:, None], roll))
    assert len(block.contract_ids) == len(contracts)
    assert _depending_on_the_base(contracts, path, block.base + block.pnl[:, 0]) == []
