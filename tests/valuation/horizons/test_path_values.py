"""Contracts aged along market paths: every instrument is worth today what it is worth later and pays on the way, and closed forms hold.

Discounted value and cash is a martingale where the contract is priced with the model of the paths. Its mean over antithetic pairs is held
to the value today within 4 standard errors, and what cash within an interval earns until its end is allowed for: the grid is of
fortnights, and an amount of one gains at most 0.0009 there at the rates of the examples. Seeds are fixed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813 - as everywhere
from examples import BASE, EXAMPLES, INDEX, TODAY

from lake.arrays import Floats
from scenarios.types import FACTOR_TYPES, FactorIndex, RiskFactor
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.horizons.path_values import PathBlock, value_along
from valuation.market.path_market import PathMarkets
from valuation.market.path_model import History, PathModel, Settings, fit_market
from valuation.market.rolled_market import Carry, carry_of
from valuation.types import Contract, InstrumentTerms

# those whose price is of the same model as the paths: curves without a credit spread, one volatility, no default
CONSISTENT = [
    ("bermudan_swaption", 1),
    ("bond_forward", 0),
    ("cap_floor", 1),
    ("cash_equity", 0),
    ("cash_equity", 1),
    ("commodity_american_option", 1),
    ("commodity_forward", 0),
    ("commodity_forward", 1),
    ("commodity_option", 0),
    ("commodity_swap", 0),
    ("commodity_swap", 1),
    ("cross_currency_swap", 0),
    ("cross_currency_swap", 1),
    ("cross_currency_swap", 2),
    ("equity_asian_option", 0),
    ("equity_asian_option", 1),
    ("equity_barrier_option", 0),
    ("equity_barrier_option", 1),
    ("equity_barrier_option", 2),
    ("equity_barrier_option", 3),
    ("equity_digital_option", 1),
    ("equity_forward", 0),
    ("equity_forward", 1),
    ("equity_option", 0),
    ("fixed_bond", 1),
    ("floating_bond", 1),
    ("fx_barrier_option", 0),
    ("fx_barrier_option", 1),
    ("fx_digital_option", 0),
    ("fx_forward", 0),
    ("fx_option", 0),
    ("fx_swap", 0),
    ("government_bond", 0),
    ("interest_rate_swap", 0),
    ("interest_rate_swap", 1),
    ("interest_rate_swap", 2),
    ("overnight_swap", 0),
    ("variance_swap", 0),
]
GRID = [TODAY + dt.timedelta(days=d) for d in (*range(14, 400, 14), *range(420, 1200, 30), 1826, 2557, 3652)]
EARNED = 0.0009  # by an amount of one within a fortnight, at 2% a year
LATE = dt.timedelta(days=400)  # until when the grid is of fortnights


def history() -> History:
    rng = np.random.default_rng(5)
    kinds = tuple(str(FACTOR_TYPES[f.type].shift_type) for f in INDEX.factors)
    loadings = rng.standard_normal((len(kinds), 6))
    size = np.array([0.0006 if k == "absolute" else 0.012 for k in kinds])
    return History(INDEX, kinds, loadings * (size / np.sqrt((loadings**2).sum(axis=1)))[:, None])


def contract_of(kind: str, terms: dict[str, Any]) -> tuple[Contract, InstrumentTerms]:
    parsed = parse_terms(kind, terms)
    return Contract(parsed.contract_id(), kind, parsed.to_json()), parsed


def model_for(
    terms: Any, dates: list[dt.date], paths: int = 1024, seed: int = 11, sampling: str = "antithetic"
) -> PathModel:
    """Paths on the curves, the yields and the volatility that the contract is priced with."""
    found, _ = carry_of([terms])
    curves = {
        getattr(terms, currency): getattr(terms, curve)
        for currency, curve in (
            ("currency", "discount_curve"),
            ("currency", "quote_curve"),
            ("base_currency", "base_curve"),
        )
        if getattr(terms, currency, None) and getattr(terms, curve, None)
    }
    told: dict[str, Any] = {}
    name = getattr(terms, "volatility", None)
    if name in INDEX.row:
        level, kind = float(BASE[INDEX.row[name]]), INDEX.factors[INDEX.row[name]].type
        of = getattr(terms, "underlying", None) or getattr(terms, "base_currency", None)
        if kind == "implied_vol" and of:
            told["volatilities"] = {of: level}
        if terms.instrument_type == "bermudan_swaption":
            told |= {
                "rate_volatilities": {terms.currency: level},
                "mean_reversions": {terms.currency: terms.mean_reversion},
            }
    how = Settings("risk_neutral", terms.currency, paths, seed, sampling, **told)  # type: ignore[arg-type]
    return fit_market(TODAY, dates, how, dataclasses.replace(found, curves=curves), INDEX, BASE, history())


def discounted(model: PathModel, block: PathBlock, currency: str) -> tuple[list[Floats], Floats]:
    """Value and all cash so far of the only contract, discounted to today, of each date (n_paths,); and the gross cash by then."""
    markets = PathMarkets(model)
    so_far, gross, out = np.zeros(model.settings.paths), [], []
    for k, day in enumerate(model.dates):
        d = markets.at(day).bank_discount(currency)[1:]
        so_far = so_far + d * block.cash[0, k]
        gross.append(float(np.abs(block.cash[0, : k + 1]).mean(axis=1).sum()))
        out.append(so_far + d * block.values[0, k])
    return out, np.array(gross)


@pytest.mark.parametrize(("kind", "number"), CONSISTENT, ids=lambda v: str(v))
def test_value_and_cash_are_a_martingale(kind: str, number: int) -> None:
    contract, terms = contract_of(kind, EXAMPLES[kind][number])
    dates = [d for d in GRID if d - TODAY <= LATE]
    model = model_for(terms, dates)
    block = value_along([contract], model)
    assert not block.failures
    worth, gross = discounted(model, block, terms.currency)
    for k in range(0, len(dates), 5):
        pairs = worth[k].reshape(-1, 2).mean(axis=1)
        error = pairs.std(ddof=1) / np.sqrt(len(pairs))
        allowed = 4.0 * error + EARNED * gross[k] + 1e-9 * abs(block.base[0])
        assert abs(pairs.mean() - block.base[0]) <= allowed, (dates[k], pairs.mean(), block.base[0], error)


@pytest.mark.parametrize("kind", INSTRUMENTS)
def test_every_instrument_is_aged_or_says_why(kind: str) -> None:
    """On few paths: values are finite, zero once matured, and each example is valued or fails with a reason."""
    slow = [e for e in EXAMPLES[kind] if e.get("engine") == "longstaff_schwartz"]
    contracts = {c.contract_id: c for c in (contract_of(kind, e)[0] for e in EXAMPLES[kind] if e not in slow)}
    terms = [contract_of(kind, e)[1] for e in EXAMPLES[kind]]
    found, _ = carry_of(terms)
    dates = [TODAY + dt.timedelta(days=d) for d in (30, 400, 15_000)]
    how = Settings("risk_neutral", "USD", 16, 1, "random")
    model = fit_market(TODAY, dates, how, found, INDEX, BASE, history())
    block = value_along(list(contracts.values()), model)
    assert len(block.contract_ids) + len(block.failures) == len(contracts)
    assert all(f.reason == "path_dependent" for f in block.failures), block.failures
    if kind != "cash_equity":
        assert not block.values[:, 2].any()


def test_batches_and_neighbours_change_no_bit() -> None:
    kinds = ("interest_rate_swap", "equity_barrier_option", "cap_floor", "fx_forward", "equity_asian_option")
    some = [contract_of(k, EXAMPLES[k][0])[0] for k in kinds]
    found, _ = carry_of([contract_of(k, EXAMPLES[k][0])[1] for k in kinds])
    dates = [TODAY + dt.timedelta(days=d) for d in (45, 300, 800)]
    how = Settings("risk_neutral", "USD", 96, 3, "random")
    model = fit_market(TODAY, dates, how, found, INDEX, BASE, history())
    together = value_along(some, model)
    for i, contract in enumerate(some):
        alone = value_along([contract], model)
        assert np.array_equal(alone.values[0], together.values[i])
        assert np.array_equal(alone.cash[0], together.cash[i])


# --- closed forms ------------------------------------------------------------------------------------------------------------

FLAT = [
    *(RiskFactor(f"YC:{c}:{p}", "zero_rate", p, c, c, p) for c in ("USD", "EUR") for p in ("1Y", "30Y")),
    RiskFactor("FX:EURUSD", "fx_rate", "euro", "USD"),
]


def flat_model(dates: list[dt.date], usd: float, eur: float, spot: float, **told: Any) -> PathModel:
    index = FactorIndex.of(FLAT)
    level = {"YC:USD": usd, "YC:EUR": eur, "FX:EUR": spot}
    base = np.array([level[i[:6]] for i in index.row])
    loadings = np.eye(len(base)) * 0.001
    kinds = tuple("log" if f.type == "fx_rate" else "absolute" for f in index.factors)
    return fit_market(
        TODAY, dates, Settings("risk_neutral", "USD", **told), Carry(), index, base, History(index, kinds, loadings)
    )


def test_the_exposure_of_a_forward_is_that_of_the_closed_form() -> None:
    """Ten million euros bought at 1.12 in two years: the discounted exposure is that of an option on the forward price, as published
    to the cent, here within 4 standard errors of 65,536 paths, some 0.6% of it."""
    days = {0.25: 343_217.17, 0.5: 423_850.80, 1.0: 541_784.82, 1.5: 633_535.15, 2.0: 711_283.45}
    dates = [TODAY + dt.timedelta(days=round(365 * t)) for t in days]
    model = flat_model(
        dates, 0.04, 0.02, 1.10, paths=65_536, seed=2, sampling="antithetic",
        volatilities={"EUR": 0.10}, rate_volatilities={"USD": 0.0, "EUR": 0.0},
    )  # fmt: skip
    terms = {
        "currency": "USD", "base_currency": "EUR", "strike": 1.12, "maturity": dates[-1].isoformat(),
        "quote_curve": "USD", "base_curve": "EUR",
    }  # fmt: skip
    contract, _ = contract_of("fx_forward", terms)
    block = value_along([contract], model)
    assert 1e7 * block.base[0] == pytest.approx(229_780.75, abs=0.01)
    markets = PathMarkets(model)
    for k, (t, published) in enumerate(days.items()):
        d = markets.at(dates[k]).bank_discount("USD")[1:]
        exact = round(365 * t) / 365 == t
        for sign, wanted in ((1.0, published), (-1.0, published - 229_780.75)):
            pairs = (1e7 * d * np.maximum(sign * block.values[0, k], 0.0)).reshape(-1, 2).mean(axis=1)
            error = pairs.std(ddof=1) / np.sqrt(len(pairs))
            assert abs(pairs.mean() - wanted) <= 4.0 * error + (0.0 if exact else 0.002 * wanted), (
                t,
                pairs.mean(),
                wanted,
            )


@pytest.mark.parametrize("payer", [True, False])
def test_the_exposure_of_a_swap_is_a_strip_of_swaptions(payer: bool) -> None:
    """Just after each coupon the discounted exposure is QuantLib's Hull-White price of the option to enter what is left of the swap."""
    a, sigma, rate = 0.03, 0.01, 0.02
    start = dt.date(2020, 3, 16)
    years = [start.replace(year=2020 + k) for k in range(1, 6)]
    model = flat_model(
        years,
        rate,
        0.0,
        1.1,
        paths=16_384,
        seed=9,
        sampling="antithetic",
        rate_volatilities={"USD": sigma},
        mean_reversions={"USD": a},
    )
    fixed = 0.021
    terms = {
        "currency": "USD", "pay_fixed": payer, "fixed_rate": fixed, "start": start.isoformat(), "maturity": years[-1].isoformat(),
        "fixed_frequency": 1, "float_frequency": 1, "fixed_day_count": "Actual365Fixed", "float_day_count": "Actual365Fixed",
        "discount_curve": "USD", "business_day_convention": "Unadjusted",
    }  # fmt: skip
    contract, parsed = contract_of("interest_rate_swap", terms)
    block = value_along([contract], model)
    markets = PathMarkets(model)
    leg = parsed.fixed_leg()  # type: ignore[attr-defined]
    today = ql.Date(16, 3, 2020)
    ql.Settings.instance().evaluationDate = today
    curve = ql.YieldTermStructureHandle(ql.FlatForward(today, rate, ql.Actual365Fixed()))
    theirs = ql.HullWhite(curve, a, sigma)
    for k in range(1, 4):
        paid = [dt.date.fromordinal(int(d)) for d in leg.payments[k + 1 :]]
        on = dt.date.fromordinal(int(leg.payments[k]))
        if on != years[k]:
            continue  # the coupon falls on another day: a weekend
        t, ends = (on - start).days / 365, [(d - start).days / 365 for d in paid]
        coupons = (fixed * leg.accruals[k + 1 :]).tolist()
        coupons[-1] += 1.0
        bond = functools.partial(_bond, theirs, t, ends, coupons)
        low, high = -0.5, 0.5
        for _ in range(100):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if bond(middle) < 1.0 else (middle, high)
        kind = ql.Option.Put if payer else ql.Option.Call
        wanted = sum(
            c * theirs.discountBondOption(kind, theirs.discountBond(t, e, low), t, e)
            for c, e in zip(coupons, ends, strict=True)
        )
        d = markets.at(on).bank_discount("USD")[1:]
        pairs = (d * np.maximum(block.values[0, k], 0.0)).reshape(-1, 2).mean(axis=1)
        error = pairs.std(ddof=1) / np.sqrt(len(pairs))
        assert abs(pairs.mean() - wanted) <= 4.0 * error, (on, pairs.mean(), wanted, error)
        assert error < 0.03 * wanted


def _bond(theirs: Any, t: float, ends: list[float], coupons: list[float], rate: float) -> float:
    return sum(c * theirs.discountBond(t, e, rate) for c, e in zip(coupons, ends, strict=True))


def test_a_floating_rate_fixes_on_the_path() -> None:
    """Between its first day and its payment the running coupon of a swap is what the path said on the first day."""
    start = TODAY + dt.timedelta(days=30)
    dates = [start, TODAY + dt.timedelta(days=120), TODAY + dt.timedelta(days=250)]
    model = flat_model(dates, 0.02, 0.0, 1.1, paths=32, seed=1, sampling="random")
    terms = {
        "currency": "USD", "start": start.isoformat(), "maturity": start.replace(year=2021).isoformat(), "fixed_rate": 0.0,
        "pay_fixed": True, "fixed_frequency": 1, "float_frequency": 1, "fixed_day_count": "Actual365Fixed",
        "float_day_count": "Actual365Fixed", "discount_curve": "USD",
    }  # fmt: skip
    contract, parsed = contract_of("interest_rate_swap", terms)
    block = value_along([contract], model)
    leg = parsed.floating_leg()  # type: ignore[attr-defined]
    first, last = (dt.date.fromordinal(int(x[0])) for x in (leg.starts, leg.payments))
    markets = PathMarkets(model)
    growth = 1.0 / markets.at(first).discount("USD", np.array([(last - first).days / 365]))[0, 1:]
    for k in (1, 2):
        left = markets.at(dates[k]).discount("USD", np.array([(last - dates[k]).days / 365]))[0, 1:]
        np.testing.assert_allclose(block.values[0, k], (growth - 1.0) * left, rtol=1e-12)


def test_what_a_barrier_pays_is_paid_once() -> None:
    """A knock-out with a rebate at touch: on each path either the rebate once, or what it settles at expiry."""
    kind = "fx_barrier_option"
    terms = {**EXAMPLES[kind][0], "rebate": 0.5}
    terms.pop("rebate_paid", None)
    terms["barrier_type"], terms["barrier"] = "up_out", 1.05 * float(BASE[INDEX.row["FX:EURUSD"]])
    terms["option_type"], terms["strike"] = "put", float(BASE[INDEX.row["FX:EURUSD"]])
    contract, parsed = contract_of(kind, terms)
    last = parsed.expiry  # type: ignore[attr-defined]
    dates = [
        *(TODAY + dt.timedelta(days=d) for d in range(20, (last - TODAY).days, 20)),
        last,
        last + dt.timedelta(days=5),
    ]
    block = value_along([contract], model_for(parsed, dates, paths=256))
    paid = (block.cash[0] == 0.5).sum(axis=0)
    assert set(paid.tolist()) == {0, 1}
    assert not block.values[0][:-2][np.cumsum(block.cash[0] == 0.5, axis=0)[:-2] > 0].any()
