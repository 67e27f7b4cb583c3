"""The rows of SA-CCR that every instrument type gives: their dates, their directions and what they are worth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from examples import BASE, EXAMPLES, INDEX, TODAY, shocked_market
from saccr_cases import BASEL

from aggregation.exposure.reference import Classification
from aggregation.kernels.sa_ccr import CLASSES, COMMODITY, CREDIT, EQUITY, FX, INTEREST_RATE
from aggregation.regulatory.sa_ccr.classing import CLASSED, OPTIONS, PROTECTION, UnitRows, unit_rows
from aggregation.regulatory.sa_ccr.parameters import SaCcr
from aggregation.regulatory.sa_ccr.rows import Context
from scenarios.types import RiskFactor, ShiftType
from valuation.catalogue import INSTRUMENTS, instrument, parse_terms
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, InstrumentTerms

MARKET = shocked_market(1).base_only()


def classified(name: str, kind: str, **more: Any) -> Classification:
    fields = dict.fromkeys(Classification.__dataclass_fields__)
    return Classification(**{**fields, "covered": False, "effective_from": TODAY, "name": name, "kind": kind, **more})


CLASSIFICATIONS: Mapping[str, Classification] = {
    c.name: c
    for c in (
        classified("EQ:A", "equity"),
        classified("IX:DAX.EUR", "index"),
        classified("ACME", "issuer", rating="BBB"),
        classified("NADIR", "issuer", rating="B"),
        classified("INDEX", "credit_index", rating="IG"),
        classified("CM:WTI", "commodity", commodity_group="energy_liquid", commodity_type="crude oil"),
        classified("CM:WTI.M3", "commodity", commodity_group="energy_liquid", commodity_type="crude oil"),
        classified("CM:BRENT", "commodity", commodity_group="energy_liquid", commodity_type="crude oil"),
        classified("CM:COPPER", "commodity", commodity_group="metals", commodity_type="copper"),
    )
}


def context(parameters: SaCcr = BASEL, classifications: Mapping[str, Classification] = CLASSIFICATIONS) -> Context:
    return Context(TODAY, "USD", MARKET, parameters, classifications)


def terms_of(kind: str, given: Mapping[str, Any]) -> InstrumentTerms:
    return parse_terms(kind, given)


def made(kind: str, *given: Mapping[str, Any], of: Context | None = None) -> UnitRows:
    contracts = [Contract(str(i), kind, terms_of(kind, t).to_json()) for i, t in enumerate(given)]
    return unit_rows(of or context(), contracts)


def test_every_instrument_type_is_classed() -> None:
    """Whoever adds an instrument says what it is in SA-CCR."""
    assert list(CLASSED) == list(INSTRUMENTS)
    assert CLASSED.keys() >= OPTIONS
    assert set(PROTECTION) <= CLASSED.keys()


@pytest.mark.parametrize("kind", INSTRUMENTS)
def test_every_example_has_rows_or_is_no_derivative(kind: str) -> None:
    found = made(kind, *EXAMPLES[kind])
    assert not found.failed
    if isinstance(CLASSED[kind], str):
        assert len(found.rows) == 0
        return
    ended = {"equity_barrier_option", "fx_barrier_option"}  # one of them has been knocked out
    assert kind in ended or (np.diff(found.starts) > 0).all()
    assert np.isfinite(found.notional).all()
    assert (found.adjusted >= 0.0).all()
    assert (np.abs(found.delta) <= 1.0).all()
    assert ((found.factor >= 0.2 - 1e-15) & (found.factor <= 1.0)).all()


def moved(types: tuple[str, ...], relative: float, absolute: float, names: tuple[str, ...] = ()) -> ScenarioMarket:
    """The market with all factors of these types up."""

    def up(f: RiskFactor, level: float) -> float:
        if f.type not in types or (names and f.risk_factor_id not in names):
            return level
        return level + absolute if f.shift_type is ShiftType.ABSOLUTE else level * (1.0 + relative)

    levels = np.array([up(f, b) for f, b in zip(INDEX.factors, BASE.tolist(), strict=True)])
    return ScenarioMarket(TODAY, INDEX, BASE, levels[:, None])


_UP = {
    EQUITY: (moved(("equity_price", "index_level"), 0.01, 0.0), 1.0),
    COMMODITY: (moved(("commodity_price",), 0.01, 0.0), 1.0),
    INTEREST_RATE: (
        moved(("zero_rate", "par_yield", "swap_rate", "deposit_rate", "fra_rate"), 0.0, 1e-4),
        1.0,
    ),
    CREDIT: (moved(("cds_spread", "hazard_rate"), 0.05, 1e-4), 1.0),
}
# what gains when something else moves, or has a barrier, which SA-CCR takes no account of
_OTHERWISE = {
    "variance_swap",
    "basis_swap",
    "inflation_swap",
    "cross_currency_swap",
    "commodity_spread_option",
    "equity_barrier_option",
    "fx_barrier_option",
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(k, marks=pytest.mark.slow) if k in ("equity_american_option", "bermudan_swaption") else k
        for k, how in CLASSED.items()
        if not isinstance(how, str) and k not in _OTHERWISE
    ],
)
def test_the_direction_is_that_in_which_the_value_moves(kind: str) -> None:
    """The pricers know nothing of SA-CCR: what gains when rates, spreads or prices rise has a positive effective notional."""
    for given in EXAMPLES[kind]:
        found, terms = made(kind, given), terms_of(kind, given)
        classes = {r.asset_class for r in found.rows}
        assert len(classes) == 1
        of = classes.pop()
        if of == FX:
            base: str = terms.base_currency  # type: ignore[attr-defined]
            market, sign = fx_up(base, terms.currency)
            sign *= 1.0 if base < terms.currency else -1.0
        else:
            market, sign = _UP[of]
        value = instrument(kind).value([terms], market)[0]
        gain, net = sign * (value[1] - value[0]), float(found.notional.sum())
        if kind == "fx_swap" and len(found.rows) == 2:
            continue  # its two exchanges offset, and what is left is carry
        if given.get("payoff") == "asset_or_nothing" and given["option_type"] == "put":
            continue  # its delta has the one sign at the supervisory volatility and the other at the market's
        assert gain * net > 0.0 or abs(gain) < 1e-12, (kind, given, gain, net)


def fx_up(base: str, quote: str) -> tuple[ScenarioMarket, float]:
    """The market in which `base` gains one percent against `quote`."""
    (name, power), *_ = INDEX.fx_path(base, quote)
    return moved(("fx_rate",), 0.01 * power, 0.0, (name,)), 1.0


def swap(start: str, maturity: str) -> dict[str, Any]:
    return {**EXAMPLES["interest_rate_swap"][0], "start": start, "maturity": maturity, "fixings": {"2019-12-16": 0.01}}


def test_maturity_start_and_end_of_typical_deals() -> None:
    """Table 1 of CRE52.32."""
    today = TODAY

    def times(kind: str, terms: dict[str, Any], row: int = 0) -> tuple[float, float, float]:
        t = made(kind, terms)
        assert not t.failed
        return float(t.trades.maturity[row]), float(t.trades.start[row]), float(t.trades.end[row])

    def later(years: float) -> str:
        return str(dt.date(today.year + int(years), today.month + round(12 * (years % 1)), today.day))

    plain = {
        k: v
        for k, v in EXAMPLES["interest_rate_swap"][1].items()
        if k not in ("fixings", "first_period_end", "last_period_start")
    }
    assert times("interest_rate_swap", {**plain, "start": str(today), "maturity": later(10)}) == (10, 0, 10)
    assert times("interest_rate_swap", {**plain, "start": later(5), "maturity": later(15)}) == (15, 5, 15)
    fra = {**EXAMPLES["forward_rate_agreement"][0], "start": later(0.5), "maturity": later(1)}
    m, s, e = times("forward_rate_agreement", fra)
    assert (m, e) == (s, 1.0)
    assert s == pytest.approx(0.5, abs=0.005)
    option = {**EXAMPLES["swaption"][1], "expiry": later(0.5), "start": later(0.5), "maturity": later(5.5)}
    cash, physical = (times("swaption", {**option, "settlement": how}) for how in ("cash", "physical"))
    assert cash == pytest.approx((0.5, 0.5, 5.5), abs=0.005)
    assert physical == pytest.approx((5.5, 0.5, 5.5), abs=0.005)
    bermudan = {
        **EXAMPLES["bermudan_swaption"][1],
        "start": later(1),
        "maturity": later(10),
        "exercise_dates": [later(y) for y in range(1, 10)],
    }
    assert times("bermudan_swaption", bermudan) == (10, 1, 10)
    assert made("bermudan_swaption", bermudan).trades.expiry[0] == 9.0
    cap = {**EXAMPLES["cap_floor"][1], "start": str(today), "maturity": later(5), "fixings": {}}
    rows = made("cap_floor", cap).trades
    assert rows.start[0] == 0.0
    assert rows.end[-1] == pytest.approx(5.0, abs=0.01)
    assert rows.maturity.tolist() == rows.end.tolist()
    assert rows.expiry.tolist() == rows.start.tolist()  # caplets
    bond = {**EXAMPLES["bond_forward"][0], "delivery": later(2), "maturity": later(22)}
    assert times("bond_forward", bond) == (2, 2, 22)


def test_what_settles_daily_matures_at_the_floor() -> None:
    for kind in ("equity_future", "commodity_future", "bond_future"):
        assert made(kind, *EXAMPLES[kind]).factor.tolist() == pytest.approx([0.2] * len(EXAMPLES[kind]))


def test_the_notional_of_two_foreign_currencies_is_the_larger() -> None:
    forward = {"currency": "JPY", "base_currency": "EUR", "strike": 130.0, "maturity": "2021-03-16"}
    curves = {"quote_curve": "JPY", "base_rate": 0.0}
    euro, yen = (float(MARKET.fx(c, "USD")[0]) for c in ("EUR", "JPY"))
    assert made("fx_forward", {**forward, **curves}).adjusted[0] == pytest.approx(max(euro, 130 * yen), rel=1e-14)
    domestic = {**forward, **curves, "currency": "USD", "quote_curve": "USD", "strike": 1.5}
    assert made("fx_forward", domestic).adjusted[0] == pytest.approx(euro, rel=1e-14)


def test_a_digital_is_a_collar_and_no_more_than_its_payoff() -> None:
    digital = EXAMPLES["equity_digital_option"][0]
    found = made("equity_digital_option", digital)
    strike, factor = float(digital["strike"]), BASEL.equity.single.factor
    assert found.trades.strike.tolist() == pytest.approx([0.95 * strike, 1.05 * strike])
    assert (found.delta[0] > 0) != (found.delta[1] > 0)
    assert found.adjusted[0] == pytest.approx(104.0 / (0.1 * strike))
    near = {**digital, "strike": 104.0, "expiry": "2020-03-17"}
    assert abs(made("equity_digital_option", near).notional.sum()) == pytest.approx(1.0 / factor)


def test_basis_and_volatility_have_hedging_sets_of_their_own() -> None:
    basis = made("basis_swap", *EXAMPLES["basis_swap"]).rows
    assert {r.hedging_set for r in basis} == {"USD_3M against USD_6M basis", "USD_3M against USD_SOFR basis"}
    assert {r.factor for r in basis} == {0.0025}
    variance = made("variance_swap", EXAMPLES["variance_swap"][0]).rows[0]
    assert variance.hedging_set == "equity volatility"
    assert variance.factor == pytest.approx(1.6)
    inflation = made("inflation_swap", *EXAMPLES["inflation_swap"]).rows
    assert {r.hedging_set for r in inflation} == {"EUR inflation", "USD inflation"}


def test_a_variance_swap_has_its_variance_in_place_of_a_price() -> None:
    """One that starts today on a flat volatility has that volatility's square, in points."""
    swap = {**EXAMPLES["variance_swap"][0], "start": str(TODAY), "underlying": "EQ:A"}
    swap.pop("realised_variance", None)
    found = made("variance_swap", swap)
    level = float(MARKET.level(swap["volatility"])[0])
    assert found.adjusted[0] == pytest.approx(1e4 * level**2, rel=1e-9)


def test_a_cross_currency_swap_with_one_fixed_leg_is_in_two_classes() -> None:
    floating = next(
        t for t in EXAMPLES["cross_currency_swap"] if not t.get("fixed_rate") and not t.get("base_fixed_rate")
    )
    assert {r.asset_class for r in made("cross_currency_swap", floating).rows} == {FX}
    idle = ("projection_curve", "fixings", "spread")
    fixed_leg = {**{k: v for k, v in floating.items() if k not in idle}, "fixed_rate": 0.01}
    rows = made("cross_currency_swap", fixed_leg).rows
    assert {CLASSES[r.asset_class] for r in rows} == {"fx", "interest_rate"}
    (fixed,) = (r for r in rows if r.asset_class == INTEREST_RATE)
    assert (fixed.hedging_set, fixed.direction) == (floating["currency"], 1.0)  # the fixed leg is paid
    never = BASEL.model_copy(update={"treatments": BASEL.treatments.model_copy(update={"cross_currency": "never"})})
    assert len(made("cross_currency_swap", fixed_leg, of=context(never)).rows) == len(rows) - 1


def test_what_cannot_be_placed_says_why() -> None:
    nothing = context(classifications={"EQ:B": classified("EQ:B", "equity")})
    found = made("equity_option", EXAMPLES["equity_option"][0], of=nothing)
    reason, message = found.failed[0]
    assert reason == "unclassified"
    assert "'EQ:A'" in message
    assert "varlake ingest classifications" in message
    assert "EQ:B" in message
    unrated = context(classifications={"ACME": classified("ACME", "issuer", rating="NR")})
    assert "rated NR" in made("credit_default_swap", EXAMPLES["credit_default_swap"][0], of=unrated).failed[0][1]
    wrong = context(classifications={"ACME": classified("ACME", "equity")})
    assert (
        "expected issuer or credit_index"
        in made("credit_default_swap", EXAMPLES["credit_default_swap"][0], of=wrong).failed[0][1]
    )
    odd = context(classifications={"CM:WTI": classified("CM:WTI", "commodity", commodity_group="milk")})
    assert "group milk" in made("commodity_forward", EXAMPLES["commodity_forward"][0], of=odd).failed[0][1]


def test_an_imported_vector_has_no_row() -> None:
    found = unit_rows(context(), [Contract("x", "imported", "{}")])
    assert found.failed[0][0] == "unclassified"
