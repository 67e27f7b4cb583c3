"""Where risk factors stand in the standardised approach: class, bucket, tenor, what is in the bucket of other sectors and why."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import factor

from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.frtb_sa_contracts import option_of, underlying_of
from aggregation.regulatory.frtb_sa_factors import Cell, Choices, Mapped, Mapper, map_factors
from aggregation.regulatory.frtb_sa_parameters import FrtbSa
from aggregation.regulatory.frtb_sa_sensitivities import contracts_with_holes
from scenarios.derived.regulatory_bumps import factor_label
from scenarios.types import FactorIndex, RiskFactor
from valuation.catalogue import parse_terms

AS_OF = dt.date(2020, 3, 16)
BASEL = regime_of("basel@2023", AS_OF, None).section("frtb_sa", FrtbSa)

USD = Choices("USD")


def classified(kind: str, **given: Any) -> SimpleNamespace:
    names = ("sector", "rating", "capitalisation", "economy", "commodity_group", "seniority", "covered")
    return SimpleNamespace(kind=kind, **{n: given.get(n) for n in names})


KNOWN: dict[str, Any] = {
    "EQ:BANK": classified("equity", sector="financial_technology", capitalisation="large", economy="advanced"),
    "EQ:SMALL": classified("equity", sector="telecom_industrial", capitalisation="small", economy="emerging"),
    "EQ:ODD": classified("equity", sector="other", capitalisation="large", economy="advanced"),
    "IDX:SPX": classified("index", capitalisation="large", economy="advanced"),
    "IDX:EM": classified("index", capitalisation="large", economy="emerging"),
    "ACME": classified("issuer", sector="health_utilities", rating="BBB"),
    "JUNK": classified("issuer", sector="financial", rating="BB"),
    "UNRATED": classified("issuer", sector="technology_telecom", rating="NR"),
    "PFANDBRIEF": classified("issuer", sector="financial", rating="AAA", covered=True),
    "CDX_IG": classified("credit_index", rating="IG"),
    "CDX_HY": classified("credit_index", rating="HY"),
    "CMD:WTI": classified("commodity", commodity_group="energy_liquid"),
    "USD": classified("currency", sector="sovereign", rating="AA"),
}


def mapped(*factors: RiskFactor, choices: Choices = USD) -> Mapped:
    return map_factors(FactorIndex(factors), Mapper(BASEL, KNOWN, choices))


def cells(made: Mapped) -> list[tuple[Cell, float]]:
    return [(d.cell, d.per) for d in made.direct]


def test_a_pillar_between_two_tenors_is_given_to_both() -> None:
    made = mapped(factor("YC:USD:7Y", "zero_rate", curve="USD", pillar="7Y"))
    assert cells(made) == [
        (Cell("delta", "girr", "USD", "", "USD", 5.0), pytest.approx(0.6 * 1e4)),
        (Cell("delta", "girr", "USD", "", "USD", 10.0), pytest.approx(0.4 * 1e4)),
    ]
    assert [(d.cell.bucket, d.cell.tenor) for d in made.sovereign] == [("1", 5.0), ("1", 10.0)]


@pytest.mark.parametrize(("pillar", "tenor"), [("1M", 0.25), ("50Y", 30.0), ("10Y", 10.0)])
def test_beyond_the_first_and_last_tenor_and_on_one(pillar: str, tenor: float) -> None:
    made = mapped(factor(f"YC:USD:{pillar}", "par_yield", curve="USD", pillar=pillar))
    assert [(c.tenor, per) for c, per in cells(made)] == [(tenor, 1e4)]


def test_inflation_and_cross_currency_basis_have_cells_of_their_own() -> None:
    made = mapped(
        factor("INF:EU:5Y", "inflation_rate", "EUR", curve="EU", pillar="5Y"),
        factor(
            "YC:EUR_USD:5Y",
            "basis_spread",
            "EUR",
            curve="EUR_USD",
            pillar="5Y",
            attributes=(("projection_curve", "X"),),
        ),
        factor("YC:USD_6M:5Y", "basis_spread", curve="USD_6M", pillar="5Y"),
    )
    assert [c.name for c, _ in cells(made)] == ["inflation", "cross-currency basis", ""]
    assert not made.curvature.keys() & {Cell("curvature", "girr", "EUR", "EUR")}  # neither has curvature


@pytest.mark.parametrize(
    ("name", "kind", "bucket"),
    [
        ("EQ:BANK", "equity_price", "8"),
        ("EQ:SMALL", "equity_price", "9"),
        ("EQ:ODD", "equity_price", "11"),
        ("EQ:NOBODY", "equity_price", "11"),
        ("IDX:SPX", "index_level", "12"),
        ("IDX:EM", "index_level", "13"),
    ],
)
def test_buckets_of_shares(name: str, kind: str, bucket: str) -> None:
    made = mapped(factor(name, kind))
    assert [(c.bucket, c.curve, per) for c, per in cells(made)] == [(bucket, "spot", 100.0)]
    assert (name in made.residual) == (name == "EQ:NOBODY" or False)
    (shock, deltas) = made.curvature[Cell("curvature", "equity", bucket, name)]
    assert (shock.size, shock.relative, shock.factors) == (BASEL.equity.weight(bucket), True, (name,))
    assert deltas == [(f"{name} up", 100.0)]


@pytest.mark.parametrize(
    ("name", "bucket"),
    [
        ("ACME", "7"),
        ("JUNK", "11"),
        ("UNRATED", "14"),
        ("PFANDBRIEF", "8"),
        ("CDX_IG", "17"),
        ("CDX_HY", "18"),
        ("NOBODY", "16"),
    ],
)
def test_buckets_of_issuers(name: str, bucket: str) -> None:
    made = mapped(factor(f"CDS:{name}:5Y", "cds_spread", curve=name, pillar="5Y"))
    assert cells(made) == [(Cell("delta", "csr", bucket, name, "cds", 5.0), 1e4)]
    assert (name in made.residual) == (bucket == "16")


def test_a_spread_without_a_tenor_waits_for_the_end_of_the_contract() -> None:
    made = mapped(factor("CR:ACME", "credit_spread"))
    assert not made.direct
    assert [(d.cell.name, d.cell.curve, d.per) for d in made.flat] == [("ACME", "bond", 1e4)]


def test_commodities_by_delivery_move_together_in_curvature() -> None:
    made = mapped(factor("CMD:WTI", "commodity_price"), factor("CMD:WTI:M6", "commodity_price"))
    assert [(c.bucket, c.name, c.tenor) for c, _ in cells(made)] == [("2", "WTI", 0.0), ("2", "WTI", 0.5)]
    (shock, deltas) = made.curvature[Cell("curvature", "commodity", "2", "WTI")]
    assert (shock.factors, shock.size, len(deltas)) == (("CMD:WTI", "CMD:WTI:M6"), 0.35, 2)


def test_curvature_of_rates_is_one_shift_of_all_curves_with_the_deltas_of_every_tenor() -> None:
    made = mapped(
        factor("YC:USD:1Y", "zero_rate", curve="USD", pillar="1Y"),
        factor("YC:USD_3M:30Y", "swap_rate", curve="USD_3M", pillar="30Y"),
    )
    (shock, deltas) = made.curvature[Cell("curvature", "girr", "USD", "USD")]
    assert shock.size == pytest.approx(0.017 / np.sqrt(2))  # the highest weight, not that of the tenor
    assert shock.factors == ("YC:USD:1Y", "YC:USD_3M:30Y")
    assert deltas == [("YC:USD:1Y up", 1e4), ("YC:USD_3M:30Y up", 1e4)]


def test_currencies_but_the_reporting_one() -> None:
    rates = (factor("FX:EURUSD", "fx_rate"), factor("FX:USDTHB", "fx_rate", "THB"))
    made = mapped(*rates)
    assert [(c.bucket, per) for c, per in cells(made)] == [("EUR", 100.0), ("THB", 100.0)]
    sizes = {c.bucket: made.curvature[c][0].size for c in made.curvature}
    assert sizes == {"EUR": pytest.approx(0.15 / np.sqrt(2)), "THB": 0.15}
    assert [c.bucket for c, _ in cells(mapped(*rates, choices=Choices("EUR")))] == ["THB", "USD"]


@pytest.mark.parametrize("kind", ["dividend", "recovery_rate", "price_index", "fixing", "hazard_rate"])
def test_what_is_no_risk_factor_is_told_with_the_reason(kind: str) -> None:
    made = mapped(factor("X:1", kind))
    assert not made.direct
    assert made.unmapped["X:1"]


TERMS = {
    "swaption": {
        "currency": "USD",
        "start": "2021-03-18",
        "maturity": "2026-03-18",
        "expiry": "2021-03-16",
        "calendar": "USNY",
        "float_frequency": 4,
        "float_day_count": "Actual360",
        "business_day_convention": "ModifiedFollowing",
        "discount_curve": "USD",
        "pay_fixed": True,
        "fixed_rate": 0.01,
        "fixed_frequency": 2,
        "fixed_day_count": "Thirty360",
        "model": "normal",
        "volatility": "NV:USD",
        "settlement": "physical",
    },
    "fx_option": {
        "currency": "USD",
        "base_currency": "EUR",
        "strike": 1.1,
        "expiry": "2020-09-16",
        "option_type": "call",
        "quote_curve": "USD",
        "base_rate": 0.0,
        "volatility": "IV:EURUSD",
    },
}


def test_options_are_at_their_own_expiry() -> None:
    swaption = option_of("swaption", parse_terms("swaption", TERMS["swaption"]), AS_OF)
    assert swaption is not None
    assert (swaption.risk_class, swaption.name) == ("girr", "USD")
    assert (swaption.expiry, swaption.underlying) == (pytest.approx(1.0), pytest.approx(5.0, abs=0.02))
    option = option_of("fx_option", parse_terms("fx_option", TERMS["fx_option"]), AS_OF)
    assert option is not None
    assert (option.risk_class, option.name, option.underlying) == ("fx", "EURUSD", 0.0)


def test_a_volatility_is_of_its_asset_or_of_what_the_options_on_it_are_on() -> None:
    index = FactorIndex((factor("EQ:BANK", "equity_price"),))
    assert underlying_of(factor("IV:1", "implied_vol", attributes=(("asset", "EQ:BANK"),)), {}, index) == (
        "equity",
        "EQ:BANK",
    )
    assert underlying_of(factor("IV:2", "implied_vol", attributes=(("asset", "FX:EURUSD"),)), {}, index) == (
        "fx",
        "EURUSD",
    )
    swaption = option_of("swaption", parse_terms("swaption", TERMS["swaption"]), AS_OF)
    assert swaption is not None
    assert underlying_of(factor("NV:USD", "normal_vol"), {"NV:USD": swaption}, index) == ("girr", "USD")
    assert underlying_of(factor("IV:3", "implied_vol"), {}, index) is None


def test_contracts_on_a_curve_that_is_no_spread_have_a_hole_and_those_on_dividends_none() -> None:
    """An intensity stands for credit risk, which the method has; a dividend is no risk factor of it."""
    factors = (
        factor("DIV:A", "dividend"),
        factor("EQ:A", "equity_price"),
        factor("HZ:ACME:5Y", "hazard_rate", curve="ACME", pillar="5Y"),
    )
    made = mapped(*factors)
    labels = [factor_label(f.risk_factor_id) for f in factors]
    pnl = np.array([[0.5, 1.0, 0.0], [0.0, 0.0, -0.3], [0.0, 1.0, 0.2]])  # of contracts 2, 0 and 1 of the book
    selection: Any = SimpleNamespace(
        inputs=SimpleNamespace(
            vectors=SimpleNamespace(rows=pnl), alignment=SimpleNamespace(row=np.array([1, 2, 0, -1]))
        )
    )
    scenarios: Any = SimpleNamespace(labels=labels, index=FactorIndex(factors))
    plan: Any = SimpleNamespace(unmapped={})
    found = contracts_with_holes(selection, plan, made, scenarios)
    assert sorted(found) == [0, 1]
    assert all(why.startswith("HZ:ACME:5Y: a default intensity is no spread") for why in found.values())
    unsaid: Any = SimpleNamespace(unmapped={labels[1]: "nothing says what it is the volatility of"})
    assert sorted(contracts_with_holes(selection, unsaid, made, scenarios)) == [0, 1, 2]
