"""What a unit of each contract loses at a default, and what residual risk it has: the cases that are got wrong, by hand."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import factor

from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.frtb_sa_contracts import ContractTerms
from aggregation.regulatory.frtb_sa_default import (
    NoAmount,
    UnitDefault,
    UnitsInDefault,
    default_risk,
    unit_default,
    unit_notional,
    units_in_default,
)
from aggregation.regulatory.frtb_sa_parameters import FrtbSa
from scenarios.types import FactorIndex
from valuation.catalogue import parse_terms

AS_OF = dt.date(2020, 3, 16)
BASEL = regime_of("basel@2023", AS_OF, None).section("frtb_sa", FrtbSa)
INDEX = FactorIndex((factor("EQ:A", "equity_price"), factor("FX:EURUSD", "fx_rate"), factor("CPI:US", "price_index")))
LEVELS = np.array([50.0, 1.1, 258.0])
OPTION = {
    "currency": "USD",
    "underlying": "EQ:A",
    "volatility": "IV:A",
    "strike": 60,
    "expiry": "2022-03-16",
    "discount_curve": "USD",
}
BOND = {
    "currency": "USD",
    "issue_date": "2019-03-18",
    "maturity": "2029-03-16",
    "frequency": 2,
    "day_count": "Thirty360",
    "calendar": "USNY",
    "business_day_convention": "Following",
    "end_of_month": False,
    "coupon": 0.03,
    "discount_curve": "USD",
}
CDS = {
    "currency": "USD",
    "credit_curve": "ACME",
    "recovery_rate": 0.4,
    "coupon": 0.01,
    "start": "2019-12-20",
    "maturity": "2025-06-20",
    "calendar": "USNY",
    "discount_curve": "USD",
}
KNOWN: dict[str, Any] = {
    "ACME": SimpleNamespace(kind="issuer", sector="financial", rating="A", seniority="senior", covered=False),
    "COVERED": SimpleNamespace(kind="issuer", sector="financial", rating="AAA", seniority=None, covered=True),
    "JUNIOR": SimpleNamespace(kind="issuer", sector="financial", rating="B", seniority="non_senior", covered=False),
}


def lost(kind: str, terms: dict[str, Any], value: float) -> UnitDefault:
    made = parse_terms(kind, terms)
    return unit_default(kind, made, BASEL.drc.instruments[kind], value, AS_OF, KNOWN, BASEL.drc, INDEX, LEVELS)


def test_a_share_is_lost_whole() -> None:
    found = lost("cash_equity", {"currency": "USD", "underlying": "EQ:A"}, 50.0)
    assert found == UnitDefault("A", 3, 50.0, None)
    assert lost("equity_forward", {**_forward(), "strike": 45}, 4.8).amount == pytest.approx(49.8)


@pytest.mark.parametrize(
    ("bonds", "shares", "long", "short"), [(100.0, -8.0, 5600.0, 0.0), (-100.0, 8.0, 400.0, -6000.0)]
)
def test_a_share_and_a_bond_of_one_name_have_one_obligor(
    bonds: float, shares: float, long: float, short: float
) -> None:
    """A short share offsets a long bond, and a short bond does not offset a long share (MAR22.19); the rating is the issuer's."""
    units = {
        0: UnitDefault("ACME", 1, 60.0, None),
        1: lost("cash_equity", {"currency": "USD", "underlying": "EQ:ACME"}, 50.0),
    }
    book: Any = SimpleNamespace(starts=np.array([0, 1, 2]), quantity=np.array([bonds, shares]))
    found = default_risk(UnitsInDefault.of(units, {}, 2), np.ones(2), book, np.ones(2, np.bool_), BASEL.drc, KNOWN)
    (row,) = found.obligors.to_pylist()
    assert {k: row[k] for k in ("obligor", "rating", "risk_weight")} == {
        "obligor": "ACME",
        "rating": "A",
        "risk_weight": 0.03,
    }
    assert (row["net_long"], row["net_short"]) == (long, -short)
    assert found.unrated == ()


def _forward() -> dict[str, Any]:
    return {"currency": "USD", "underlying": "EQ:A", "maturity": "2020-09-16", "discount_curve": "USD"}


def test_a_call_has_no_notional_and_a_put_gains_its_strike() -> None:
    """Of a call bought its price is lost; of a put bought the strike less its price is gained, so that it is short."""
    assert lost("equity_option", {**OPTION, "option_type": "call"}, 7.0).amount == 7.0
    assert lost("equity_option", {**OPTION, "option_type": "put"}, 12.0).amount == -48.0


@pytest.mark.parametrize(
    ("option_type", "barrier", "barrier_type", "hit", "worth"),
    [
        ("put", 40, "down_in", None, 60.0),  # the fall touches it
        ("put", 40, "down_out", None, 0.0),
        ("put", 70, "up_in", None, 0.0),
        ("put", 70, "up_in", "2020-02-03", 60.0),
        ("put", 70, "up_out", None, 60.0),
        ("call", 40, "down_in", None, 0.0),
    ],
)
def test_barriers(option_type: str, barrier: float, barrier_type: str, hit: str | None, worth: float) -> None:
    terms = {
        **OPTION,
        "option_type": option_type,
        "barrier": barrier,
        "barrier_type": barrier_type,
        "monitoring": "continuous",
    }
    found = lost("equity_barrier_option", {**terms, **({"barrier_hit": hit} if hit else {})}, 3.0)
    assert found.amount == 3.0 - worth


def test_digitals() -> None:
    cash = {**OPTION, "payoff": "cash_or_nothing"}
    assert lost("equity_digital_option", {**cash, "option_type": "put"}, 0.6).amount == pytest.approx(-0.4)
    assert lost("equity_digital_option", {**cash, "option_type": "call"}, 0.4).amount == 0.4
    asset = {**OPTION, "payoff": "asset_or_nothing", "option_type": "put"}
    assert lost("equity_digital_option", asset, 20.0).amount == 20.0  # it pays a share that is worth nothing


@pytest.mark.parametrize(
    ("spread", "value", "amount", "rank"),
    [
        (None, 104.0, 0.75 * 100 + 4, 1),  # senior: what is above par is lost too
        ("COVERED", 104.0, 0.25 * 100 + 4, 0),
        ("JUNIOR", 70.0, 100 - 30, 2),
        (None, 20.0, 0.0, 1),  # worth less than what is recovered: never below zero
    ],
)
def test_bonds_lose_lgd_of_face_and_what_was_gained_on_it(
    spread: str | None, value: float, amount: float, rank: int
) -> None:
    found = lost("fixed_bond", {**BOND, **({"credit_spread": spread} if spread else {})}, value)
    assert (found.amount, found.rank, found.obligor) == (pytest.approx(amount), rank, spread or "USD")


def test_protection_bought_gains_and_sold_loses_by_the_rule_and_not_by_its_own_recovery() -> None:
    bought = lost("credit_default_swap", {**CDS, "buy_protection": True}, 0.02)
    assert (bought.obligor, bought.amount) == ("ACME", pytest.approx(0.02 - 0.75))
    assert lost("credit_default_swap", {**CDS, "buy_protection": False}, -0.02).amount == pytest.approx(-0.02 + 0.75)


def test_what_is_not_known_says_so() -> None:
    with pytest.raises(NoAmount, match="not known"):
        unit_default("variance_swap", None, "unknown", 1.0, AS_OF, KNOWN, BASEL.drc, INDEX, LEVELS)
    gone = {**CDS, "buy_protection": True, "default_date": "2020-03-10", "settlement_date": "2020-03-31"}
    with pytest.raises(NoAmount, match="has defaulted"):
        lost("credit_default_swap", gone, 0.6)


def test_maturities_scale_between_three_months_and_a_year() -> None:
    kinds = ("equity_option", "equity_option", "equity_option", "cash_equity", "interest_rate_swap")
    calls = [
        parse_terms("equity_option", {**OPTION, "option_type": "call", "expiry": e})
        for e in ("2020-04-16", "2020-09-14", "2022-03-16")
    ]
    share = parse_terms("cash_equity", {"currency": "USD", "underlying": "EQ:A"})
    contracts = ContractTerms(kinds, (*calls, share, None), {})
    found, lacking = units_in_default(
        contracts, np.array([8.0, 8.0, 8.0, 50.0, 1.0]), BASEL.drc, KNOWN, AS_OF, INDEX, LEVELS, 0.25
    )
    assert [found[i].amount for i in range(4)] == [2.0, pytest.approx(8.0 * 182 / 365), 8.0, 12.5]
    assert not lacking
    assert 4 not in found  # a swap has no default risk


def test_an_inflation_bond_owes_its_face_in_money_of_today() -> None:
    terms = {
        **{k: v for k, v in BOND.items() if k != "coupon"},
        "coupon": 0.01,
        "price_index": "CPI:US",
        "inflation_curve": "INF:US",
        "observation_lag": 3,
        "interpolation": "linear",
        "base_index": 240.0,
        "fixings": {},
    }
    found = lost("inflation_bond", terms, 107.5)
    assert found.amount == pytest.approx(0.75 * 107.5 + (107.5 - 107.5))


def test_notionals_of_residual_risk() -> None:
    barrier = parse_terms(
        "equity_barrier_option",
        {**OPTION, "option_type": "put", "barrier": 40, "barrier_type": "down_in", "monitoring": "continuous"},
    )
    assert unit_notional("equity_barrier_option", barrier, INDEX, LEVELS) == 50.0  # the share's price, not the strike
    cash = parse_terms("equity_digital_option", {**OPTION, "option_type": "put", "payoff": "cash_or_nothing"})
    assert unit_notional("equity_digital_option", cash, INDEX, LEVELS) == 1.0
    pair = SimpleNamespace(base_currency="EUR", currency="USD")
    assert unit_notional("fx_barrier_option", pair, INDEX, LEVELS) == 1.1
    assert unit_notional("variance_swap", SimpleNamespace(volatility_strike=0.2), INDEX, LEVELS) == 40.0
