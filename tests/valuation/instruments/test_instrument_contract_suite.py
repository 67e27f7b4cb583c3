"""What every instrument must keep, run over the whole of INSTRUMENTS."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pytest
from examples import BASE, EXAMPLES, INDEX, TODAY, shocked_market
from make_market import factor

from lake.errors import BadInput
from scenarios.types import FactorIndex, MissingRiskFactor
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, all_term_fields, parse_terms, pricer_version, terms_from_json
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, InstrumentTerms

ALL = [pytest.param(t, i, id=f"{t}-{i}") for t, examples in EXAMPLES.items() for i in range(len(examples))]
every_example = pytest.mark.parametrize(("instrument_type", "number"), ALL)


def terms_of(instrument_type: str, number: int) -> InstrumentTerms:
    return parse_terms(instrument_type, EXAMPLES[instrument_type][number])


def contract(terms: InstrumentTerms) -> Contract:
    return Contract(terms.contract_id(), terms.instrument_type, terms.to_json())


def test_every_instrument_has_examples():
    assert EXAMPLES.keys() == INSTRUMENTS.keys()
    assert all(len(e) >= 2 for e in EXAMPLES.values())


@pytest.mark.parametrize("instrument_type", INSTRUMENTS)
def test_the_module_says_what_it_is_and_describes_every_term(instrument_type):
    module = INSTRUMENTS[instrument_type]
    assert module.Terms.instrument_type == instrument_type
    assert "Unit of quantity" in module.__doc__
    assert module.VERSION in pricer_version(instrument_type)
    for name, term in module.Terms.model_fields.items():
        assert term.description, f"{name} has no description"
        assert instrument_type in all_term_fields()[name]


@every_example
def test_json_gives_back_the_same_terms_and_id(instrument_type, number):
    terms = terms_of(instrument_type, number)
    again = terms_from_json(instrument_type, terms.to_json())
    assert again == terms
    assert again.contract_id() == terms.contract_id()
    assert json.loads(terms.to_json())["currency"] == terms.currency
    texts = {
        k: json.dumps(v) if isinstance(v, dict | list | bool) else str(v)
        for k, v in EXAMPLES[instrument_type][number].items()
    }
    assert parse_terms(instrument_type, texts) == terms


@every_example
def test_minus_zero_and_zero_are_the_same_contract(instrument_type, number):
    example = {k: v for k, v in EXAMPLES[instrument_type][number].items() if k != "base_curve"}
    for name, term in INSTRUMENTS[instrument_type].Terms.model_fields.items():
        if "float" not in str(term.annotation):
            continue
        try:
            ids = {parse_terms(instrument_type, example | {name: zero}).contract_id() for zero in ("0.0", "-0.0")}
        except BadInput:
            continue  # it must be positive
        assert len(ids) == 1, name


def test_a_fixing_of_minus_zero_is_one_of_zero():
    swap = EXAMPLES["interest_rate_swap"][0]
    ids = {parse_terms("interest_rate_swap", swap | {"fixings": {"2020-01-10": z}}).contract_id() for z in (0.0, -0.0)}
    assert len(ids) == 1


@every_example
def test_unshocked_scenarios_give_exactly_zero(instrument_type, number):
    market = ScenarioMarket(TODAY, INDEX, BASE, np.repeat(BASE[:, None], 37, axis=1))
    block = value_batch([contract(terms_of(instrument_type, number))], market)
    assert block.failures == ()
    assert block.base[0] != 0
    np.testing.assert_array_equal(block.pnl, np.zeros((1, 37)))


@every_example
def test_only_declared_risk_factors_are_read(instrument_type, number):
    terms = terms_of(instrument_type, number)
    declared = INSTRUMENTS[instrument_type].risk_factors(terms, INDEX, TODAY)
    assert len(set(declared)) == len(declared) > 0
    market = shocked_market()
    states = market.states.copy()
    states[[i for f, i in INDEX.row.items() if f not in declared]] = math.nan
    alone = ScenarioMarket(TODAY, INDEX, states[:, 0], states[:, 1:])
    whole, part = value_batch([contract(terms)], market), value_batch([contract(terms)], alone)
    assert part.failures == ()
    assert part.pnl.tobytes() == whole.pnl.tobytes()
    assert np.abs(whole.pnl).min() > 0
    # with nothing else at hand at all, the very same bits
    index = FactorIndex(tuple(f for f in INDEX.factors if f.risk_factor_id in declared))
    rows = [INDEX.row[f.risk_factor_id] for f in index.factors]
    smallest = ScenarioMarket(TODAY, index, market.states[rows, 0], market.states[rows, 1:])
    assert value_batch([contract(terms)], smallest).pnl.tobytes() == whole.pnl.tobytes()


@every_example
def test_some_declared_risk_factor_of_each_kind_moves_the_value(instrument_type, number):
    """A class of factors that is declared but never matters would make fingerprints change for nothing."""
    terms = terms_of(instrument_type, number)
    declared = INSTRUMENTS[instrument_type].risk_factors(terms, INDEX, TODAY)
    for kind in {INDEX.factors[INDEX.row[f]].type for f in declared}:
        rows = [INDEX.row[f] for f in declared if INDEX.factors[INDEX.row[f]].type == kind]
        levels = BASE[:, None].copy()
        levels[rows, 0] *= 1.05 + 0.01 * np.arange(len(rows))  # unequal, or a cross would stand still
        block = value_batch([contract(terms)], ScenarioMarket(TODAY, INDEX, BASE, levels))
        assert block.pnl[0, 0] != 0


@every_example
def test_a_declared_factor_that_is_absent_fails_the_contract_with_its_reason(instrument_type, number):
    terms = terms_of(instrument_type, number)
    index = FactorIndex.of([factor("EQ:OTHER")])
    with pytest.raises(MissingRiskFactor):
        INSTRUMENTS[instrument_type].risk_factors(terms, index, TODAY)
    block = value_batch([contract(terms)], ScenarioMarket(TODAY, index, np.ones(1), np.ones((1, 3))))
    assert [f.reason for f in block.failures] == ["missing_risk_factor"]
    assert block.pnl.shape == (0, 3)


@every_example
def test_a_level_that_is_not_finite_fails_the_contract(instrument_type, number):
    terms = terms_of(instrument_type, number)
    declared = INSTRUMENTS[instrument_type].risk_factors(terms, INDEX, TODAY)
    for bad in (math.nan, math.inf):
        levels = np.repeat(BASE[:, None], 4, axis=1)
        levels[[INDEX.row[f] for f in declared], 2] = bad
        (failure,) = value_batch([contract(terms)], ScenarioMarket(TODAY, INDEX, BASE, levels)).failures
        assert failure.reason == "non_finite"
        assert "1 of 4 scenarios (numbers 3)" in failure.message


@every_example
def test_contracts_that_have_matured_fail_with_their_reason(instrument_type, number):
    terms = terms_of(instrument_type, number)
    market = ScenarioMarket(dt.date(2060, 1, 1), INDEX, BASE, BASE[:, None])
    block = value_batch([contract(terms)], market)
    if {"maturity", "expiry", "delivery"}.isdisjoint(type(terms).model_fields):  # held for ever
        assert block.failures == ()
    else:
        assert [f.reason for f in block.failures] == ["matured"]
