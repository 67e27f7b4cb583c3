"""A contract reads curves of its currency and volatilities of what it is on; others are refused with the nearest."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from examples import EXAMPLES, INDEX, LEVELS, TODAY

from lake.errors import BadInput
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, all_term_fields, factors_of, parse_terms
from valuation.instruments.kinds import CURVES
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract

# default is a probability and a rating's spread stands for bonds of all currencies
OF_ANY_CURRENCY = {"credit_curve"}


def given(instrument_type: str, with_term: str) -> dict[str, object]:
    return next(e for e in EXAMPLES[instrument_type] if e.get(with_term) is not None)


def test_every_term_that_names_a_curve_has_a_currency() -> None:
    assert {n for n in all_term_fields() if n.endswith("_curve")} == CURVES.keys() | OF_ANY_CURRENCY


@pytest.mark.parametrize(
    ("instrument_type", "term"),
    [(t, n) for n in CURVES for t in all_term_fields()[n] if any(e.get(n) for e in EXAMPLES[t])],
)
def test_a_curve_of_another_currency_is_refused_with_those_of_the_right_one(instrument_type: str, term: str) -> None:
    example = given(instrument_type, term)
    own, wanted = example[term], example[CURVES[term]]
    moved = [dataclasses.replace(f, currency="XXX") if f.curve == own else f for f in INDEX.factors]
    index = FactorIndex.of([*moved, RiskFactor("YC:OWN:1Y", "zero_rate", "OWN", str(wanted), "OWN", "1Y")])
    with pytest.raises(MissingRiskFactor, match=f"Curve {own} is of XXX, and .* must be of {wanted}"):
        factors_of(parse_terms(instrument_type, example), index, TODAY)


def test_a_contract_on_a_curve_of_another_currency_is_a_failure_that_teaches() -> None:
    terms = parse_terms("zero_bond", {**EXAMPLES["zero_bond"][0], "currency": "USD", "discount_curve": "JPY"})
    base = np.array([LEVELS[f.risk_factor_id] for f in INDEX.factors])
    market = ScenarioMarket(TODAY, INDEX, base, np.empty((len(base), 0)))
    block = value_batch([Contract(terms.contract_id(), "zero_bond", terms.to_json())], market)
    assert [f.reason for f in block.failures] == ["missing_risk_factor"]
    assert block.failures[0].message.startswith(
        "Curve JPY is of JPY, and the discount_curve of this contract must be of USD. Unknown curve of USD 'JPY'. Nearest valid: "
    )


def refused(instrument_type: str, example: dict[str, object], *more: RiskFactor) -> str:
    index = FactorIndex.of([*INDEX.factors, *more])
    with pytest.raises(MissingRiskFactor) as error:
        factors_of(parse_terms(instrument_type, example), index, TODAY)
    return error.value.message


def test_a_volatility_of_another_kind_is_refused() -> None:
    fx = RiskFactor("IV:PAIR", "implied_vol", "PAIR", "USD", attributes=(("asset", "FX:EURUSD"),))
    assert refused("equity_option", {**EXAMPLES["equity_option"][0], "volatility": "IV:PAIR"}, fx) == (
        "The volatility IV:PAIR is that of FX:EURUSD, of class fx; this contract needs one of class equity."
    )
    euro = RiskFactor("NV:EURO", "normal_vol", "EURO", "EUR")
    example = next(e for e in EXAMPLES["cap_floor"] if e["model"] == "normal")
    other = {"EUR": "USD", "USD": "EUR"}[str(example["currency"])]
    assert (
        refused("cap_floor", {**example, "volatility": "NV:EURO"}, dataclasses.replace(euro, currency=other))
        == f"The volatility NV:EURO is of {other}; that of this contract must be of {example['currency']}."
    )


def test_a_smile_of_a_flat_volatility_is_refused_for_it_does_nothing() -> None:
    flat = RiskFactor("IV:FLAT", "implied_vol", "FLAT", "USD")
    message = refused(
        "equity_option", {**EXAMPLES["equity_option"][0], "volatility": "IV:FLAT", "smile": "sticky_delta"}, flat
    )
    assert message == (
        "The volatility IV:FLAT is the same at every strike, so that smile does nothing: leave smile out, or name a surface."
    )


SOME: dict[str, object] = {
    "calendar": "USNY",
    "fx_fixings": {"2020-01-02": 1.1},
    "paths": 200,
    "policy": "base",
    "rebate_paid": "at_expiry",
    "seed": 1,
    "shift": 0.01,
    "steps": 20,
}


@pytest.mark.parametrize(
    ("instrument_type", "name"), [(t, n) for t, m in INSTRUMENTS.items() for n in m.Terms.only_with]
)
def test_a_term_that_does_nothing_beside_the_others_is_refused(instrument_type: str, name: str) -> None:
    other, values = INSTRUMENTS[instrument_type].Terms.only_with[name]
    terms = {k: v for k, v in EXAMPLES[instrument_type][0].items() if k not in (name, other)}
    if values == ("black",):
        terms[other] = "normal"
    with pytest.raises(BadInput, match=f"{name} does nothing without {other}"):
        parse_terms(instrument_type, {**terms, name: SOME[name]})
