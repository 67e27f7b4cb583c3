"""Scenarios that share states against each with its own: the same bits for every instrument, with far fewer states."""

from __future__ import annotations

import numpy as np
import pytest
from examples import BASE, EXAMPLES, INDEX, TODAY

from lake.arrays import Floats
from valuation import batch
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.market.scenario_market import ScenarioMarket
from valuation.shared_states import shared_states
from valuation.types import Contract, PnLBlock

N = len(BASE)
CONTRACTS = [
    Contract(t.contract_id(), name, t.to_json())
    for name, examples in EXAMPLES.items()
    for t in (parse_terms(name, e) for e in examples)
]
READS = {
    c.contract_id: INSTRUMENTS[c.instrument_type].risk_factors(parse_terms(c.instrument_type, e), INDEX, TODAY)
    for c, e in zip(CONTRACTS, (e for examples in EXAMPLES.values() for e in examples), strict=True)
}


def moved(*moves: dict[int, float]) -> Floats:
    """Levels (n_factors, n_scenarios) of scenarios that move the factors of some rows by a fraction of them."""
    levels = np.repeat(BASE[:, None], len(moves), axis=1)
    for scenario, move in enumerate(moves):
        for row, by in move.items():
            levels[row, scenario] += by * (abs(BASE[row]) or 0.01)
    return levels


def bumps(step: int = 1) -> Floats:
    return moved(*({row: by} for row in range(0, N, step) for by in (1e-3, -1e-3)))


def pairs() -> Floats:
    rng = np.random.default_rng(5)
    return moved(*({int(i): 1e-3, int(j): 1e-3} for i, j in rng.integers(0, N, (60, 2))))


def some_bumps() -> Floats:
    return bumps(5)  # simulations take their time in full


def classes() -> Floats:
    """Each scenario moves one risk class, as a set of stresses does."""
    kinds = sorted({f.risk_class for f in INDEX.factors})
    rng = np.random.default_rng(6)
    return moved(
        *(
            {
                row: by * (1 + 0.1 * row / N)
                for row, f in enumerate(INDEX.factors)
                if f.risk_class is kinds[k % len(kinds)]
            }
            for k, by in enumerate(rng.uniform(-0.02, 0.02, 30).tolist())
        )
    )


def same(one: PnLBlock, other: PnLBlock) -> bool:
    return (one.contract_ids, one.currencies, one.failures, one.base.tobytes(), one.pnl.tobytes()) == (
        other.contract_ids,
        other.currencies,
        other.failures,
        other.base.tobytes(),
        other.pnl.tobytes(),
    )


def in_full(monkeypatch: pytest.MonkeyPatch, contracts: list[Contract], market: ScenarioMarket) -> PnLBlock:
    with monkeypatch.context() as patch:
        patch.setattr(batch, "shared_states", lambda reads, market: None)
        return value_batch(contracts, market)


@pytest.mark.parametrize("levels", [some_bumps, pairs, classes])
def test_every_instrument_has_the_bits_of_full_pricing(monkeypatch, levels):
    market = ScenarioMarket(TODAY, INDEX, BASE, levels())
    full, few = in_full(monkeypatch, CONTRACTS, market), value_batch(CONTRACTS, market)
    assert not full.failures
    assert same(full, few)
    assert (full.states == market.n_states).all()
    assert (few.states < market.n_states).any()
    # one by one a contract is priced where something moves that it reads, and nowhere else
    for row, contract in enumerate(CONTRACTS):
        rows = [INDEX.row[f] for f in READS[contract.contract_id]]
        concerned = (market.states[rows, 1:] != market.states[rows, :1]).any(axis=0)
        assert not full.pnl[row][~concerned].any()
        if concerned.sum() <= 0.75 * len(concerned):
            alone = value_batch([contract], market)
            assert alone.states.tolist() == [1 + concerned.sum()]
            assert alone.pnl.tobytes() == full.pnl[row].tobytes()


def test_bumps_take_as_many_states_as_the_contract_that_reads_most():
    market = ScenarioMarket(TODAY, INDEX, BASE, bumps())
    few = value_batch(CONTRACTS, market)
    for kind in EXAMPLES:
        of = [i for i, c in enumerate(CONTRACTS) if c.instrument_type == kind]
        most = max(len(READS[CONTRACTS[i].contract_id]) for i in of)
        union = len({f for i in of for f in READS[CONTRACTS[i].contract_id]})
        assert 1 + 2 * most <= few.states[of[0]] <= 1 + 2 * union < market.n_states


def test_scenarios_that_move_all_keep_a_state_each():
    levels = BASE[:, None] * np.linspace(0.99, 1.01, 40)  # one of them is the base
    market = ScenarioMarket(TODAY, INDEX, BASE, np.delete(levels, 20, axis=1))
    assert shared_states(list(READS.values()), market) is None
    assert shared_states(list(READS.values()), market.base_only()) is None


def test_a_contract_that_fails_does_so_alone_and_with_the_words_of_full_pricing(monkeypatch):
    levels = moved(*({row: 1e-3} for row in range(0, N, 5)))
    row = INDEX.row[READS[CONTRACTS[0].contract_id][0]]
    levels[row, 7] = np.nan
    market = ScenarioMarket(TODAY, INDEX, BASE, levels)
    full, few = in_full(monkeypatch, CONTRACTS, market), value_batch(CONTRACTS, market)
    assert full.failures
    assert "(numbers 8)" in full.failures[0].message
    assert same(full, few)
