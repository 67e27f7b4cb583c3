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
OWNERS = {
    "counterparty": "C & <D>", "portfolio": "P1", "desk": "Rates", "legal_entity": "L", "netting_set": "N1", "rating": "A+",
}  # fmt: skip


def held(kind: str, terms: dict[str, Any], quantity: float, trade_id: str = "T1") -> HeldTrade:
    return HeldTrade(trade_id, quantity, parse_terms(kind, terms), OWNERS)


def test_what_is_written_is_read_as_the_same_contracts_and_quantities(tmp_path: Path) -> None:
    trades = [held(kind, terms, quantity, f"T{i:02}") for i, (kind, terms, quantity) in enumerate(TRADES)]
    assert {t.terms.instrument_type for t in trades} == set(WRITTEN)
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
        (held("fixed_bond", EXAMPLES["fixed_bond"][0], 1), "trades of type fixed_bond are not written; those that are: fx_forward"),
        (held("fx_forward", {**PAIR, "maturity": "2021-03-16"}, 0), "its quantity is zero"),
        (held("equity_forward", {**SHARE, "maturity": "2020-09-18", "dividend_model": "spot"}, 1), "with cash dividends"),
        (held("interest_rate_swap", {**SWAP, "first_period_end": "2020-08-31"}, 1), "it has odd periods of its own"),
        (held("interest_rate_swap", {**SWAP, "calendar": "USGS"}, 1), "its calendar USGS has no counterpart in ORE's files"),
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
