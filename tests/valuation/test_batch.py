"""The batch function: nothing lost, nothing mixed up, the same bits whatever stands beside a contract."""

from __future__ import annotations

import datetime as dt
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from examples import BASE, EXAMPLES, INDEX, TODAY, shocked_market

from lake.errors import VarlakeError
from scenarios.types import RiskClass, ScenarioSet
from valuation import catalogue
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract


def contract(instrument_type: str, terms: dict) -> Contract:
    parsed = parse_terms(instrument_type, terms)
    return Contract(parsed.contract_id(), instrument_type, parsed.to_json())


def book() -> list[Contract]:
    """A few hundred contracts of every type, each type in many maturities, currencies mixed."""
    rng = np.random.default_rng(12)
    contracts = []
    for instrument_type, examples in EXAMPLES.items():
        for k in range(40):
            terms = dict(examples[k % len(examples)])
            if "maturity" in terms:
                terms["maturity"] = dt.date.fromisoformat(terms["maturity"]) + dt.timedelta(days=int(rng.integers(900)))
            if "strike" in terms:
                terms["strike"] = terms["strike"] * float(rng.uniform(0.8, 1.2))
            if "start" in terms and (
                k % 2 == 0 or terms["start"] < TODAY.isoformat()
            ):  # or it would need other fixings
                terms["start"] = TODAY + dt.timedelta(days=k)
            if "expiry" in terms:
                terms["expiry"] = TODAY + dt.timedelta(days=int(rng.integers(1500)))
            contracts.append(contract(instrument_type, terms))
    return contracts


@pytest.fixture(scope="module")
def contracts() -> list[Contract]:
    return book()


@pytest.fixture(scope="module")
def market() -> ScenarioMarket:
    return shocked_market(n_scenarios=53)


def test_a_block_holds_value_and_pnl_of_every_contract(contracts, market):
    block = value_batch(contracts, market)
    assert block.failures == ()
    assert block.contract_ids == tuple(c for c, _, _ in contracts)
    assert block.pnl.shape == (len(contracts), 53)
    assert set(block.currencies) == {"USD", "EUR", "JPY"}
    assert (block.cost_us > 0).all()
    for i in range(0, len(contracts), 17):
        _, instrument_type, text = contracts[i]
        terms = catalogue.terms_from_json(instrument_type, text)
        values = INSTRUMENTS[instrument_type].value([terms], market)[0]
        assert block.currencies[i] == terms.currency
        assert block.base[i] == values[0]
        np.testing.assert_array_equal(block.pnl[i], values[1:] - values[0])


def test_bits_do_not_depend_on_the_batch_or_its_order(contracts, market):
    whole = value_batch(contracts, market)
    rng = np.random.default_rng(1)
    for size in (1, 2, 17, 100, len(contracts)):
        chosen = rng.permutation(len(contracts))[:size]
        part = value_batch([contracts[i] for i in chosen], market)
        assert part.base.tobytes() == whole.base[chosen].tobytes()
        assert part.pnl.tobytes() == whole.pnl[chosen].tobytes()
        assert part.contract_ids == tuple(contracts[i][0] for i in chosen)


def test_bits_do_not_depend_on_the_block_of_scenarios(contracts, market):
    whole = value_batch(contracts, market)
    for first, last in [(0, 1), (0, 30), (30, 53), (7, 24), (52, 53), (10, 10)]:
        states = market.states[:, 1:][:, first:last]
        part = value_batch(contracts, ScenarioMarket(TODAY, INDEX, market.states[:, 0], states))
        assert part.base.tobytes() == whole.base.tobytes()
        assert part.pnl.tobytes() == np.ascontiguousarray(whole.pnl[:, first:last]).tobytes()
    assert value_batch(contracts, market.base_only()).base.tobytes() == whole.base.tobytes()


def test_threads_that_share_a_market_get_the_same_bits(contracts, market):
    whole = value_batch(contracts, market)
    fresh = ScenarioMarket(TODAY, INDEX, market.states[:, 0], market.states[:, 1:])
    parts = [contracts[i::7] for i in range(7)]
    with ThreadPoolExecutor(4) as pool:
        blocks = list(pool.map(lambda part: value_batch(part, fresh), parts))
    for i, block in enumerate(blocks):
        assert block.pnl.tobytes() == whole.pnl[i::7].tobytes()


def test_every_contract_is_once_in_the_rows_or_the_failures(contracts, market):
    matured = {"currency": "USD", "underlying": "EQ:A", "strike": 1, "maturity": "2020-01-02", "discount_curve": "USD"}
    swap = {**EXAMPLES["interest_rate_swap"][0], "fixings": {"2019-10-10": 0.02}}
    bad = [
        contract("equity_forward", matured),
        contract("interest_rate_swap", swap),
        contract("cash_equity", {"currency": "USD", "underlying": "EQ:NONE"}),
        Contract("an id", "equity_optoin", "{}"),
        Contract("another id", "cash_equity", '{"currency":"USD"}'),
        Contract("third id", "cash_equity", "not JSON"),
    ]
    mixed = [c for pair in zip(contracts[:6], bad, strict=True) for c in pair]
    block = value_batch(mixed, market)
    assert block.contract_ids == tuple(c for c, _, _ in contracts[:6])
    assert [f.contract_id for f in block.failures] == [c for c, _, _ in bad]
    assert [f.instrument_type for f in block.failures] == [t for _, t, _ in bad]
    assert [f.reason for f in block.failures] == [
        "matured", "missing_fixing", "missing_risk_factor", "invalid_terms", "invalid_terms", "invalid_terms",
    ]  # fmt: skip
    assert "equity_option" in block.failures[3].message
    assert "underlying" in block.failures[4].message
    assert block.pnl.tobytes() == value_batch(contracts[:6], market).pnl.tobytes()


def test_the_same_contract_twice_is_two_rows(contracts, market):
    block = value_batch([contracts[0], contracts[0]], market)
    assert block.contract_ids == (contracts[0][0],) * 2
    np.testing.assert_array_equal(block.pnl[0], block.pnl[1])


def test_an_empty_batch_gives_an_empty_block(market):
    block = value_batch([], market)
    assert block.contract_ids == block.failures == ()
    assert block.pnl.shape == (0, 53)


def test_a_scenario_outside_the_model_fails_its_contracts_and_no_others(contracts):
    levels = np.repeat(BASE[:, None], 9, axis=1)
    levels[INDEX.row["VOL:A"], [1, 4]] = -0.2
    levels[INDEX.row["EQ:A"], 4] = math.inf
    market = ScenarioMarket(TODAY, INDEX, BASE, levels)
    block = value_batch(contracts, market)
    reads = {c for c, t, text in contracts if '"EQ:A"' in text}
    assert {f.contract_id for f in block.failures} == reads
    assert {f.reason for f in block.failures} == {"non_finite"}
    options = [f.message for f in block.failures if f.instrument_type == "equity_option"]
    assert all("2 of 9 scenarios (numbers 2, 5)" in m for m in options)
    assert np.isfinite(block.pnl).all()
    base_broken = ScenarioMarket(TODAY, INDEX, np.where(BASE == LEVEL_OF_A, math.nan, BASE), levels)
    share = next(c for c in contracts if c[1] == "cash_equity")
    (failure,) = value_batch([share], base_broken).failures
    assert failure.message.startswith("Its value is not finite at the base and in 1 of 9 scenarios (numbers 5)")


LEVEL_OF_A = BASE[INDEX.row["EQ:A"]]


def test_a_pricer_that_raises_fails_the_culprit_alone(contracts, market, monkeypatch):
    forwards = [c for c in contracts if c[1] == "equity_forward"]
    culprit = catalogue.terms_from_json("equity_forward", forwards[3][2])
    whole = value_batch(forwards, market)
    module = INSTRUMENTS["equity_forward"]
    priced = module.value

    def broken(terms, market):
        if culprit in terms:
            raise ZeroDivisionError("no such year")
        return priced(terms, market)

    monkeypatch.setattr(module, "value", broken)
    block = value_batch(forwards, market)
    (failure,) = block.failures
    assert (failure.contract_id, failure.reason) == (forwards[3][0], "pricer_error")
    assert failure.message == "ZeroDivisionError: no such year"
    others = [i for i in range(len(forwards)) if i != 3]
    assert block.pnl.tobytes() == whole.pnl[others].tobytes()
    monkeypatch.setattr(module, "value", lambda terms, market: np.zeros(len(terms)))
    assert {f.reason for f in value_batch(forwards, market).failures} == {"pricer_error"}


def scenario_set() -> ScenarioSet:
    rng = np.random.default_rng(3)
    levels = BASE[:, None] * (1 + 0.01 * rng.standard_normal((len(BASE), 5)))
    return ScenarioSet(
        "id", "name", "historical", TODAY, {}, INDEX, tuple("abcde"), BASE, levels, np.ones(len(BASE), dtype=bool)
    )


def test_only_the_risk_classes_asked_for_are_shocked():
    s = scenario_set()
    np.testing.assert_array_equal(ScenarioMarket.of(s, TODAY).states[:, 1:], s.levels)
    market = ScenarioMarket.of(s, dt.date(2020, 3, 17), [RiskClass.EQUITY, "rates"])
    assert market.valuation_date == dt.date(2020, 3, 17)
    for f in INDEX.factors:
        moved = f.risk_class in ("equity", "rates")
        expected = s.levels[INDEX.row[f.risk_factor_id]] if moved else np.repeat(LEVELS_AT[f.risk_factor_id], 5)
        np.testing.assert_array_equal(market.level(f.risk_factor_id)[1:], expected)
        assert market.level(f.risk_factor_id)[0] == LEVELS_AT[f.risk_factor_id]
    with pytest.raises(VarlakeError, match="Nearest valid: equity"):
        ScenarioMarket.of(s, TODAY, ["equities"])


LEVELS_AT = {f.risk_factor_id: b for f, b in zip(INDEX.factors, BASE, strict=True)}


def test_a_market_refuses_arrays_that_do_not_fit_and_times_in_the_past(market):
    with pytest.raises(ValueError, match="one row a risk factor"):
        ScenarioMarket(TODAY, INDEX, BASE[1:], BASE[1:, None])
    with pytest.raises(ValueError, match="from the valuation date on"):
        market.discount("USD", np.array([-0.1]))
    with pytest.raises(VarlakeError, match="Unknown risk factor 'EQ:B'"):
        market.levels(["EQ:A", "EQ:B"])
    np.testing.assert_array_equal(market.discount("USD", np.array([0.0])), np.ones((1, 54)))
