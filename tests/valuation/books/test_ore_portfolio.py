"""Positions written as ORE's portfolio XML come back as the same contracts and quantities, or are told with their reason."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from examples import EXAMPLES
from support import new_lake

from lake.committer import Committer
from lake.landing.markup import read_markup
from valuation.books.positions import ingest_positions
from valuation.books.trade_files.ore_portfolio import WRITTEN, HeldTrade, write_portfolio
from valuation.catalogue import parse_terms

DAY = dt.date(2020, 3, 16)
PAIR = {"currency": "USD", "base_currency": "EUR", "strike": 1.1234567890123, "quote_curve": "USD", "base_curve": "EUR"}
SHARE = {"currency": "USD", "underlying": "EQ:A", "strike": 95.5, "discount_curve": "USD"}
INDEX = {"currency": "USD", "underlying": "IDX:SPX", "strike": 2400, "discount_curve": "USD", "dividend_yield": 0.0195}
METAL = {"currency": "USD", "underlying": "CMD:XAUUSD", "maturity": "2020-09-18", "discount_curve": "USD"}
SWAP = {
    "currency": "USD", "pay_fixed": True, "fixed_rate": 0.0125, "start": "2020-02-29", "maturity": "2030-02-28", "fixed_frequency": 2,
    "float_frequency": 4, "fixed_day_count": "Thirty360", "float_day_count": "Actual360", "calendar": "USNY", "discount_curve": "USD",
}  # fmt: skip
TRADES: list[tuple[str, dict[str, Any], float]] = [
    ("fx_forward", {**PAIR, "maturity": "2021-03-16"}, 1234567.89),
    ("fx_option", {**PAIR, "expiry": "2021-03-16", "option_type": "put", "volatility": "IV:EURUSD"}, -1e6),
    ("fx_option", {**PAIR, "expiry": "2021-03-16", "option_type": "call", "volatility": "IV:EURUSD"}, 0.1),
    ("equity_forward", {**SHARE, "maturity": "2020-09-18"}, -10),
    ("equity_forward", {**INDEX, "maturity": "2020-09-18"}, 3),
    ("equity_option", {**SHARE, "expiry": "2020-09-18", "option_type": "call", "volatility": "IV:A"}, 775),
    ("equity_option", {**INDEX, "expiry": "2020-09-18", "option_type": "put", "volatility": "IV:SPX"}, -775),
    ("commodity_forward", {**METAL, "strike": -4}, -2.5),
    ("commodity_forward", {**METAL, "strike": 1500, "carry": 0.004}, 2),
    ("interest_rate_swap", SWAP, 5e6),
    ("interest_rate_swap", {**SWAP, "pay_fixed": False, "spread": -1e-7, "end_of_month": True}, -5e6),
    (
        "interest_rate_swap",
        {**SWAP, "float_frequency": 12, "projection_curve": "USD-LIBOR-1M", "business_day_convention": "Preceding"},
        1e6,
    ),
    (
        "interest_rate_swap",
        {
            **SWAP,
            "fixed_day_count": "ActualActualISMA",
            "fixed_frequency": 1,
            "float_frequency": 1,
            "calendar": "weekdays",
        },
        1e6,
    ),
]
LEG = {
    k: SWAP[k]
    for k in ("currency", "start", "maturity", "float_frequency", "float_day_count", "calendar", "discount_curve")
}
FIXED = {k: SWAP[k] for k in ("pay_fixed", "fixed_rate", "fixed_frequency", "fixed_day_count")}
OPTION = {"expiry": "2021-03-16", "option_type": "put"}
BARRIER = {"barrier": 1.3, "barrier_type": "up_out", "rebate": 0.015625}
BOND = {
    "currency": "USD", "issue_date": "2019-06-15", "maturity": "2029-06-15", "coupon": 0.045, "frequency": 2, "day_count": "Thirty360",
    "calendar": "USNY", "discount_curve": "USD-GOV",
}  # fmt: skip
CROSS = {
    "currency": "USD", "base_currency": "EUR", "initial_exchange_rate": 1.25, "start": "2020-03-18", "maturity": "2025-03-18",
    "calendar": "EUTA", "discount_curve": "USD", "base_curve": "EUR", "frequency": 4, "base_frequency": 2,
    "projection_curve": "USD-LIBOR-3M", "base_fixed_rate": -0.001, "spread": 0.0015,
}  # fmt: skip
CDS = {
    "currency": "USD", "buy_protection": True, "coupon": 0.01, "start": "2019-10-01", "maturity": "2024-12-20", "calendar": "USNY",
    "credit_curve": "ACME", "recovery": "REC:ACME", "discount_curve": "USD",
}  # fmt: skip
TRADES += [
    ("fx_swap", {**PAIR, "near_strike": 1.125, "near_maturity": "2020-03-18", "maturity": "2020-09-18"}, 8e5),
    ("fx_swap", {**PAIR, "near_strike": 1.125, "near_maturity": "2020-03-18", "maturity": "2020-09-18", "strike": 1.25}, -8e5),
    ("fx_american_option", {**PAIR, **OPTION, "volatility": "IV:EURUSD"}, 1e6),
    ("fx_barrier_option", {**PAIR, **OPTION, **BARRIER, "volatility": "IV:EURUSD"}, -1e6),
    ("fx_digital_option", {**PAIR, **OPTION, "payoff": "cash_or_nothing", "volatility": "IV:EURUSD"}, -1e6),
    ("fx_digital_option", {**PAIR, **OPTION, "payoff": "asset_or_nothing", "volatility": "IV:EURUSD"}, 1e6),
    ("equity_american_option", {**SHARE, **OPTION, "volatility": "IV:A"}, 775),
    ("equity_barrier_option", {**INDEX, **OPTION, **BARRIER, "volatility": "IV:SPX"}, -64),
    ("equity_digital_option", {**SHARE, **OPTION, "payoff": "cash_or_nothing", "volatility": "IV:A"}, -775),
    (
        "equity_asian_option",
        {**SHARE, **OPTION, "average": "geometric", "averaging_dates": ["2020-06-30", "2020-12-31"], "volatility": "IV:A"},
        3,
    ),
    ("commodity_option", {**METAL, **OPTION, "maturity": None, "strike": 1500, "carry": 0.004, "volatility": "IV:XAUUSD"}, 2),
    ("commodity_american_option", {**METAL, **OPTION, "maturity": None, "strike": 1500, "volatility": "IV:XAUUSD"}, -2),
    ("interest_rate_swap", {**SWAP, "first_period_end": "2020-08-31", "last_period_start": "2029-08-31"}, 1e6),
    ("interest_rate_swap", {**SWAP, "start": "2020-02-18", "maturity": "2025-02-18", "fixings": {"2020-02-18": 0.0161}}, 1e6),
    (
        "overnight_swap",
        {**LEG, **FIXED, "start": "2020-03-12", "payment_lag": 2, "projection_curve": "USD-SOFR", "fixings": {"2020-03-12": 0.011}},
        -1e6,
    ),
    (
        "basis_swap",
        {
            **{k: v for k, v in LEG.items() if not k.startswith("float")}, "receive_projection_curve": "USD-LIBOR-3M",
            "receive_frequency": 4,
            "pay_projection_curve": "USD", "pay_frequency": 2, "pay_spread": 0.001,
        },
        1e6,
    ),
    ("cross_currency_swap", CROSS, 1e6),
    ("cross_currency_swap", {**CROSS, "resetting": True}, -1e6),
    (
        "forward_rate_agreement",
        {
            "currency": "USD", "pay_fixed": False, "fixed_rate": 0.0125, "start": "2020-06-15", "maturity": "2020-09-15",
            "calendar": "none",
            "business_day_convention": "Unadjusted", "discount_curve": "USD", "projection_curve": "USD-LIBOR-3M",
        },
        1e6,
    ),
    ("cap_floor", {**LEG, "option_type": "floor", "strike": -0.002, "model": "normal", "volatility": "NV:USD_CAP"}, -1e6),
    ("swaption", {**LEG, **FIXED, "start": "2021-03-16", "expiry": "2021-03-12", "model": "normal", "volatility": "NV:USD_SWAPTION"}, 1e6),
    (
        "bermudan_swaption",
        {
            **LEG, **FIXED, "start": "2021-03-16", "exercise_dates": ["2021-03-16", "2022-03-16"], "mean_reversion": 0,
            "volatility": "NV:USD_SHORT_RATE",
        },
        -1e6,
    ),
    ("zero_bond", {"currency": "USD", "maturity": "2031-11-19", "discount_curve": "USD-GOV", "credit_spread": "CS:ACME"}, -5e4),
    ("fixed_bond", {**BOND, "credit_spread": "CS:ACME"}, 5e4),
    ("step_bond", {**BOND, "steps": {"2021-06-15": 0.05, "2024-06-15": -0.001}}, 5e4),
    ("amortising_bond", {**BOND, "redemptions": {"2021-06-15": 25, "2024-06-15": 12.5}}, -5e4),
    ("floating_bond", {**{k: v for k, v in BOND.items() if k != "coupon"}, "day_count": "Actual360", "projection_curve": "USD-X-6M"}, 5e4),
    ("risky_bond", {**BOND, "credit_curve": "ACME", "recovery": "REC:ACME"}, -5e4),
    ("credit_default_swap", CDS, -1e6),
    ("credit_default_swap", {**CDS, "buy_protection": False, "upfront": 0.02, "upfront_date": "2020-03-19"}, 1e6),
    ("credit_index", CDS, 1e6),
]  # fmt: skip
OWNERS = {
    "counterparty": "C & <D>", "portfolio": "P1", "desk": "Rates", "legal_entity": "L", "netting_set": "N1", "rating": "A+",
}  # fmt: skip


def held(kind: str, terms: dict[str, Any], quantity: float, trade_id: str = "T1") -> HeldTrade:
    return HeldTrade(trade_id, quantity, parse_terms(kind, {k: v for k, v in terms.items() if v is not None}), OWNERS)


def test_what_is_written_is_read_as_the_same_contracts_and_quantities(tmp_path: Path) -> None:
    trades = [held(kind, terms, quantity, f"T{i:02}") for i, (kind, terms, quantity) in enumerate(TRADES)]
    # a government bond has no element of its own: it is read as a fixed one, which has the same value
    assert {t.terms.instrument_type for t in trades} == set(WRITTEN) - {"government_bond"}
    assert write_portfolio(tmp_path / "portfolio.xml", trades) == {}
    lake = new_lake(tmp_path)
    with Committer(lake, "test") as committer:
        report = ingest_positions(committer, tmp_path / "portfolio.xml", as_of=DAY)
    assert (report.read, report.loaded) == (len(trades), len(trades)), report.reasons
    rows = {r["trade"]: r for r in lake.read("positions").to_pylist(maps_as_pydicts="strict")}
    for trade in trades:
        row = rows[trade.trade_id]
        assert (row["contract_id"], row["quantity"]) == (trade.terms.contract_id(), trade.quantity), trade
        assert (row["counterparty"], row["portfolio"], row["desk"], row["legal_entity"]) == (
            "C & <D>",
            "P1",
            "Rates",
            "L",
        )
        assert row["attributes"] == {"netting_set": "N1", "rating": "A+"}


def test_a_forward_that_is_sold_is_the_purchase_of_the_other_currency(tmp_path: Path) -> None:
    """ORE has no sign for it."""
    write_portfolio(tmp_path / "p.xml", [held("fx_forward", {**PAIR, "strike": 1.25, "maturity": "2021-03-16"}, -8e5)])
    data = read_markup(tmp_path / "p.xml").all("Trade")[0].one("FxForwardData")
    assert data is not None
    written = [data.value(n) for n in ("BoughtCurrency", "BoughtAmount", "SoldCurrency", "SoldAmount")]
    assert written[::2] == ["USD", "EUR"]
    assert [float(a or "nan") for a in written[1::2]] == [1e6, 8e5]


def test_flags_of_an_exchange_of_notional_are_written(tmp_path: Path) -> None:
    write_portfolio(tmp_path / "p.xml", [held("interest_rate_swap", SWAP, 1e6)])
    legs = read_markup(tmp_path / "p.xml").all("Trade")[0].all("SwapData", "LegData")
    for leg in legs:
        flags = leg.one("Notionals", "Exchanges")
        assert flags is not None
        assert {c.name: c.text for c in flags.children} == dict.fromkeys(
            ("NotionalInitialExchange", "NotionalFinalExchange", "NotionalAmortizingExchange"), "false"
        )
    assert len(legs) == 2


@pytest.mark.parametrize(
    ("trade", "reason"),
    [
        (held("bond_future", EXAMPLES["bond_future"][0], 1), "trades of type bond_future are not written; those that are: fx_forward"),
        (held("fx_forward", {**PAIR, "maturity": "2021-03-16"}, 0), "its quantity is zero"),
        (held("equity_forward", {**SHARE, "maturity": "2020-09-18", "dividend_model": "spot"}, 1), "with cash dividends"),
        (held("fixed_bond", {**BOND, "ex_coupon_days": 5}, 1), "it has ex-coupon days"),
        (held("fx_barrier_option", {**PAIR, **OPTION, **BARRIER, "volatility": "IV:EURUSD", "monitoring": "daily"}, 1), "watched daily"),
        (held("credit_default_swap", EXAMPLES["credit_default_swap"][2], 1), "a name of it has defaulted"),
        (held("overnight_swap", EXAMPLES["overnight_swap"][0], 1), "has compounded to is given as one number"),
        (held("interest_rate_swap", {**SWAP, "projection_curve": "USD-LIBOR-6M"}, 1), "cannot stand in the name of a rate of 3M"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_told(tmp_path: Path, trade: HeldTrade, reason: str) -> None:
    good = held("fx_forward", {**PAIR, "maturity": "2021-03-16"}, 1, "GOOD")
    left = write_portfolio(tmp_path / "p.xml", [trade, good, good])
    assert list(left) == ["T1", "GOOD"]
    assert reason in left["T1"]
    assert left["GOOD"] == "another trade has its id; ids are unique in a file"
    assert [t.attributes for t in read_markup(tmp_path / "p.xml").all("Trade")] == [{"id": "GOOD"}]
