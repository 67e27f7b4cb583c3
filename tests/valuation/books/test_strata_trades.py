"""Rows of Strata's CSV files become positions, or are told with their reason; a file's rejected rows, once mended, load."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import pytest
from support import new_lake

from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.positions import PositionsReport
from lake.tables import Lake
from valuation.books.positions import ingest_positions
from valuation.catalogue import parse_terms

DAY = dt.date(2020, 3, 16)
FX = {
    "Strata Trade Type": "FxSingle", "Leg 1 Direction": "Pay", "Leg 1 Currency": "USD", "Leg 1 Notional": "1250000",
    "Leg 2 Direction": "Receive", "Leg 2 Currency": "EUR", "Leg 2 Notional": "1000000", "Payment Date": "16/03/2021",
}  # fmt: skip
PAIR = {"currency": "USD", "base_currency": "EUR", "quote_curve": "USD", "base_curve": "EUR"}
BY_RATE = {
    "Convention": "EUR/USD", "Buy Sell": "Sell", "Currency": "EUR", "Notional": "800000", "FX Rate": "1.125", "Payment Date": "2020-03-18",
}  # fmt: skip
PERIOD = {
    "Buy Sell": "Buy",
    "Notional": "1000000",
    "Fixed Rate": "1.25",
    "Start Date": "20200615",
    "End Date": "15-Sep-2020",
}
SWAP = {**PERIOD, "Strata Trade Type": "Swap", "Convention": "USD-FIXED-6M-LIBOR-3M", "End Date": "2030-06-17"}
USD_SWAP = {
    "currency": "USD", "pay_fixed": True, "fixed_rate": 0.0125, "start": "2020-06-15", "maturity": "2030-06-17", "fixed_frequency": 2,
    "float_frequency": 4, "fixed_day_count": "Thirty360", "float_day_count": "Actual360", "calendar": "USNY", "discount_curve": "USD",
    "business_day_convention": "ModifiedFollowing", "projection_curve": "USD-LIBOR-3M",
}  # fmt: skip
CDS = {
    **PERIOD, "Strata Trade Type": "Cds", "Convention": "USD-STANDARD", "Legal Entity Id": "ACME", "Fixed Rate": "1",
    "Start Date": "2019-10-01", "End Date": "2024-12-20",
}  # fmt: skip
USD_CDS = {
    "currency": "USD", "buy_protection": True, "coupon": 0.01, "start": "2019-10-01", "maturity": "2024-12-20", "calendar": "USNY",
    "credit_curve": "ACME", "recovery": "REC:ACME", "discount_curve": "USD",
}  # fmt: skip
READ: list[tuple[dict[str, str], str, dict[str, Any], float]] = [
    (FX, "fx_forward", {**PAIR, "strike": 1.25, "maturity": "2021-03-16"}, 1e6),
    (
        {"Strata Trade Type": "FX", **BY_RATE},
        "fx_forward",
        {"currency": "EUR", "base_currency": "USD", "quote_curve": "EUR", "base_curve": "USD", "strike": 8 / 9, "maturity": "2020-03-18"},
        9e5,
    ),
    (
        {"Strata Trade Type": "FxSwap", **BY_RATE, "Far FX Rate": "1.25", "Far Payment Date": "2020-09-18"},
        "fx_swap",
        {**PAIR, "near_strike": 1.125, "near_maturity": "2020-03-18", "strike": 1.25, "maturity": "2020-09-18"},
        -8e5,
    ),
    (
        {**FX, "Strata Trade Type": "FxVanillaOption", "Long Short": "Short", "Expiry Date": "2021-03-12", "Expiry Time": "10:00"},
        "fx_option",
        {**PAIR, "strike": 1.25, "expiry": "2021-03-12", "option_type": "call", "volatility": "IV:EURUSD"},
        -1e6,
    ),
    (
        {
            "Strata Trade Type": "NDF", "Payment Date": "2020-09-16", "Settlement Currency": "USD", "Settlement Currency Notional": "5e5",
            "Settlement Currency Direction": "Pay", "Non Deliverable Currency": "BRL", "FX Rate": "4.85",
        },
        "non_deliverable_forward",
        {
            "currency": "BRL", "base_currency": "USD", "quote_curve": "BRL", "base_curve": "USD", "strike": 4.85,
            "settlement_currency": "USD",
            "fixing_date": "2020-09-14", "maturity": "2020-09-16",
        },
        -5e5,
    ),
    (
        {**PERIOD, "Strata Trade Type": "Fra", "Index": "GBP-LIBOR-3M", "Date Calendar": "GBLO", "Date Convention": "Following"},
        "forward_rate_agreement",
        {
            "currency": "GBP", "pay_fixed": True, "fixed_rate": 0.0125, "start": "2020-06-15", "maturity": "2020-09-15", "calendar": "GBLO",
            "business_day_convention": "Following", "day_count": "Actual365Fixed", "discount_curve": "GBP",
            "projection_curve": "GBP-LIBOR-3M",
        },
        1e6,
    ),
    (SWAP, "interest_rate_swap", USD_SWAP, 1e6),
    (
        {**SWAP, "Convention": "USD-FIXED-1Y-SOFR-OIS", "Buy Sell": "Sell"},
        "overnight_swap",
        {
            **USD_SWAP, "pay_fixed": False, "fixed_frequency": 1, "float_frequency": 1, "fixed_day_count": "Actual360", "payment_lag": 2,
            "projection_curve": "USD-SOFR",
        },
        1e6,
    ),
    (
        {**PERIOD, "Strata Trade Type": "TermDeposit", "Convention": "EUR-Deposit-T2", "Buy Sell": "Sell"},
        "deposit",
        {
            "currency": "EUR", "fixed_rate": 0.0125, "start": "2020-06-15", "maturity": "2020-09-15", "calendar": "EUTA",
            "day_count": "Actual360", "discount_curve": "EUR",
        },
        -1e6,
    ),
    (CDS, "credit_default_swap", USD_CDS, 1e6),
    (
        {
            **CDS, "Buy Sell": "Sell", "Premium Date": "2020-03-19", "Premium Direction": "Receive", "Premium Currency": "USD",
            "Premium Amount": "31250",
        },
        "credit_default_swap",
        {**USD_CDS, "buy_protection": False, "upfront": 0.03125, "upfront_date": "2020-03-19"},
        1e6,
    ),
    (
        {**CDS, "Strata Trade Type": "Cds Index", "CDS Index Id": "CDX"},
        "credit_index",
        {**USD_CDS, "credit_curve": "CDX", "recovery": "REC:CDX"},
        1e6,
    ),
]  # fmt: skip


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(c for r in rows for c in r)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def load(lake: Lake, path: Path, **more: Any) -> PositionsReport:
    with Committer(lake, "test") as committer:
        return ingest_positions(committer, path, **more)


def with_ids(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    owners = {"Counterparty": "Bank B", "desk": "FX", "Trader Name": "J"}
    return [{**row, "Id": f"T{i:02}", **owners} for i, row in enumerate(rows)]


def test_every_type_of_row_becomes_its_contract(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    path = written(tmp_path / "trades.csv", with_ids([row for row, *_ in READ]))
    report = load(lake, path, as_of=DAY)
    assert (report.read, report.loaded) == (len(READ), len(READ)), report.reasons
    held = {r["trade"]: r for r in lake.read("positions").to_pylist(maps_as_pydicts="strict")}
    for i, (row, kind, terms, quantity) in enumerate(READ):
        found = held[f"T{i:02}"]
        assert (found["contract_id"], found["quantity"]) == (parse_terms(kind, terms).contract_id(), quantity), row
        assert (found["counterparty"], found["desk"], found["attributes"]["trader_name"]) == ("Bank B", "FX", "J")
    assert any("its later payment date is not kept; 1 trade." in note for note in report.notes), report.notes
    assert any("two weekdays before its payment" in note for note in report.notes)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**FX, "Strata Trade Type": "BulletPayment"}, "trades of type BulletPayment are not read; those that are: FX, FxSwap"),
        ({**FX, "Leg 2 Direction": "Pay"}, "its legs are not two currencies, one received and one paid, on one day"),
        ({**FX, "Leg 1 Notional": "x"}, "Leg 1 Notional is 'x', not a number"),
        ({**FX, "Payment Date": "2021-13-16"}, "Payment Date is '2021-13-16', not a date"),
        ({**FX, "Strike": "1"}, "Strike of FxSingle is not read"),
        ({**SWAP, "Start Date": ""}, "its dates hang on a market convention; give its Start Date and End Date"),
        ({**SWAP, "Convention": "USD-LIBOR-3M-LIBOR-6M"}, "its Convention USD-LIBOR-3M-LIBOR-6M is not read"),
        ({**CDS, "Frequency": "1Y"}, "its Frequency is 1Y, and that of a standard contract is 3M"),
        ({**CDS, "Premium Date": "2020-03-19", "Premium Direction": "Up"}, "Premium Direction is 'Up', not Receive or Pay"),
        ({"Strata Position Type": "SEC", "Security Id": "AAPL", "Quantity": "5"}, "a position in the security AAPL, whose terms"),
        ({**FX, "Id": ""}, "it has no Id"),
        ({**FX, "Id": "GOOD"}, "the id stands on line 2 too"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_read_is_told_and_mended_loads(tmp_path: Path, row: dict[str, str], reason: str) -> None:
    lake = new_lake(tmp_path / "lake")
    rows = [{**FX, "Id": "GOOD"}, {"Id": "BAD", "Counterparty": "Bank B", **row}]
    report = load(lake, written(tmp_path / "trades.csv", rows), as_of=DAY, rejects=tmp_path / "rejects.csv")
    assert (report.read, report.loaded, report.rejected) == (2, 1, 1)
    (fault,) = report.rejections.to_pylist()
    assert (fault["row"], reason in fault["reason"]) == (3, True), fault
    with (tmp_path / "rejects.csv").open() as file:
        (left,) = csv.DictReader(file)
    assert (left["positions_date"], left["counterparty"], left["book"]) == (str(DAY), "Bank B", "unassigned")
    left |= {"trade": "BAD", "instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:A", "quantity": "5"}
    kept = {
        k: v for k, v in left.items() if k not in ("base_currency", "strike", "maturity", "quote_curve", "base_curve")
    }
    mended = load(lake, written(tmp_path / "mended.csv", [kept]))
    assert (mended.loaded, mended.rejected) == (1, 0), mended.reasons
    assert sorted(lake.read("positions")["trade"].to_pylist()) == ["BAD", "GOOD"]


def test_rows_that_vary_a_swap_are_not_lost(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    rows = [{**SWAP, "Id": "S"}, {"Strata Trade Type": "Variable", "Start Date": "2021-06-15"}]
    report = load(lake, written(tmp_path / "trades.csv", rows), as_of=DAY)
    assert (report.read, report.loaded) == (2, 0)
    assert "varies over the rows below it" in report.rejections["reason"][0].as_py()


def test_a_packed_file_a_ragged_row_and_a_file_without_a_day(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    path = written(tmp_path / "trades.csv", [{**FX, "Id": "A"}])
    packed = tmp_path / "trades.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes() + b"FX,too,short\n"))
    with pytest.raises(BadInput, match=r"give it with --as-of"):
        load(lake, packed)
    report = load(lake, packed, as_of=DAY)
    assert (report.read, report.loaded) == (2, 1)
    assert "3 cells where the header has 9" in report.rejections["reason"][0].as_py()
