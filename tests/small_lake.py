"""A small lake built through the real path: a market, two books from CSV, scenario sets of 30 scenarios."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support import factor, put_market, random_walks

from aggregation.exposure.path_values import PathScope
from aggregation.limits.landing import ingest_var_limits
from aggregation.questions import QUESTIONS
from lake.committer import Committer
from lake.landing.exposure_limits import ingest_exposure_limits
from lake.landing.reference import ingest_reference
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from scenarios.types import RiskFactor
from valuation.books.positions import ingest_positions
from valuation.catalogue import INSTRUMENTS
from valuation.sets.requests import ValuationRequest

FRIDAY, MONDAY = dt.date(2020, 3, 13), dt.date(2020, 3, 16)
SCENARIOS = 30
FACTORS = [
    factor("EQ:AAA", "equity_price"),
    factor("EQ:BBB", "equity_price", "EUR"),
    factor("IV:AAA", "implied_vol"),
    factor("FX:EURUSD", "fx_rate"),
    factor("YC:USD:1M", "zero_rate", curve="USD", pillar="1M"),
    factor("YC:USD:5Y", "zero_rate", curve="USD", pillar="5Y"),
]
SHARE_A = {"instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:AAA"}
SHARE_B = {"instrument_type": "cash_equity", "currency": "EUR", "underlying": "EQ:BBB"}
OPTION = {
    "instrument_type": "equity_option",
    "currency": "USD",
    "underlying": "EQ:AAA",
    "volatility": "IV:AAA",
    "strike": "100",
    "expiry": "2020-12-18",
    "option_type": "call",
    "discount_curve": "USD",
}
MATURED = {**OPTION, "expiry": "2019-12-20"}
# desk, quantity, terms; a client's name that a spreadsheet would run is among them
BOOK = [
    ("Equities", 1000.0, SHARE_A),
    ("Equities", -200.0, SHARE_B),
    ("Options", 50.0, OPTION),
    ("Options", 5.0, MATURED),
]
SHOCK = "equity -20%; vol +10pt"
FORMULA = '=HYPERLINK("http://example.com")'


def book_csv(copies: int = 1, book: Sequence[tuple[str, float, Mapping[str, str]]] = BOOK) -> str:
    """Both days' books; on Monday the Options desk holds twice as much."""
    terms = sorted({name for _, _, t in book for name in t})
    out = io.StringIO()
    rows = csv.DictWriter(out, ["positions_date", "quantity", *DIMENSION_COLUMNS, "attribute.rating", *terms])
    rows.writeheader()
    for day in (FRIDAY, MONDAY):
        for copy in range(copies):
            for i, (desk, quantity, contract) in enumerate(book):
                if day == MONDAY and desk == "Options":
                    quantity *= 2
                dimensions = {
                    d: f"{d}-{i % 2}" for d in DIMENSION_COLUMNS if d not in ("trade", "desk", "client", "instrument")
                }
                rows.writerow(
                    {
                        "positions_date": day,
                        "trade": f"T{copy:05}-{i}",
                        "desk": desk,
                        "client": FORMULA if i == 0 else "Acme",
                        "instrument": contract.get("underlying", contract["instrument_type"]),
                        "quantity": quantity,
                        "attribute.rating": "AA" if i % 2 else "BBB",
                        **dimensions,
                        **contract,
                    }
                )
    return out.getvalue()


# of the book's counterparties the first nets and is margined, the second nets without margin
COUNTERPARTIES = """counterparty,effective_from,sector,rating,credit_class,pd,lgd,large_financial,recovery
counterparty-0,2019-01-01,financial,A,bank,0.001,0.45,true,0.4
counterparty-1,2019-01-01,technology_telecom,BBB,corporate,0.003,0.4,false,0.4
"""
AGREEMENTS = """agreement,counterparty,legal_entity,effective_from,netting,margined,two_way,threshold,threshold_own,\
minimum_transfer_amount,independent_amount,initial_margin,currency,margin_period_days
CSA-0,counterparty-0,legal_entity-0,2019-01-01,true,true,true,1000,1000,100,0,0,USD,10
NET-1,counterparty-1,legal_entity-1,2019-01-01,true,false,,,,,0,0,USD,
"""
COLLATERAL = """as_of_date,agreement,kind,amount,currency,segregated
2020-03-13,CSA-0,variation,20000,USD,false
2020-03-16,CSA-0,variation,15000,USD,false
2020-03-16,CSA-0,initial,3000,EUR,true
"""
CLASSIFICATIONS = """name,effective_from,kind,sector,capitalisation,economy
EQ:AAA,2019-01-01,equity,financial_technology,large,advanced
EQ:BBB,2019-01-01,equity,telecom_industrial,small,emerging
USD,2019-01-01,currency,,,advanced
EUR,2019-01-01,currency,,,advanced
"""
LIMITS = """limit,dimension,member,measure,level,until,amount,currency,effective_from
L0,counterparty,{0},pfe,0.95,1Y,1000000,USD,2019-01-01
L1,counterparty,{1},ee,,,10000,EUR,2019-01-01
"""
VAR_LIMITS = """limit,node,measure,level,amount,currency,warning,effective_from
L-DESK,desk={0},var,0.95,1e8,USD,0.8,2019-01-01
L-DESK-ES,desk={0},es,0.95,1e8,EUR,,2019-01-01
L-FIRM,,var,0.99,1e12,USD,,2019-01-01
"""
REFERENCE = {
    "counterparties": COUNTERPARTIES,
    "agreements": AGREEMENTS,
    "collateral": COLLATERAL,
    "classifications": CLASSIFICATIONS,
}


def bring_reference(committer: Committer, folder: Path, **texts: str) -> None:
    """Counterparties of the book with their agreements and collateral, and classifications of its shares and currencies.

    `texts` : of a file, in place of the one here."""
    files = {}
    for what, text in {**REFERENCE, **texts}.items():
        files[what] = folder / f"{what}.csv"
        files[what].write_text(text)
    ingest_reference(committer, files, INSTRUMENTS)


def bring_limits(
    committer: Committer,
    folder: Path,
    counterparties: Sequence[str] = ("counterparty-0", "counterparty-1"),
    desk: str = "Options",
) -> None:
    """A limit of exposure for each of two counterparties; limits of VaR and ES of a desk and of everything."""
    file = folder / "limits.csv"
    file.write_text(LIMITS.format(*counterparties))
    assert ingest_exposure_limits(committer, file).new == 2
    file.write_text(VAR_LIMITS.format(desk))
    assert ingest_var_limits(committer, file).new == 3


def build_lake(
    folder: Path,
    copies: int = 1,
    factors: Sequence[RiskFactor] = FACTORS,
    held: Sequence[tuple[str, float, Mapping[str, str]]] = BOOK,
) -> Lake:
    """A lake with a market and both books, nothing valued yet."""
    lake = Lake.create(folder)
    put_market(lake, factors, random_walks(factors, dt.date(2019, 12, 2), dt.date(2020, 3, 17)))
    book = folder.parent / f"{folder.name}-book.csv"
    book.write_text(book_csv(copies, held))
    with Committer(lake, "test") as committer:
        report = ingest_positions(committer, book)
        beside = folder.parent / f"{folder.name}-reference"
        beside.mkdir()
        bring_reference(committer, beside)
    assert report.rejected == 0
    return lake


def request(day: dt.date = MONDAY, **more: object) -> ValuationRequest:
    scenarios = {"parameters": {"scenarios": SCENARIOS}}
    return ValuationRequest.model_validate({"as_of": day, "scenarios": scenarios, "runner": "in-process", **more})


def no_spark() -> object:
    raise AssertionError("this job needs no Spark")


# the history is short, and few paths are enough
PATHS = {"path_window": 60, "paths": 32}
# what the example of a question names of the demo lake, as this lake has it
HERE: dict[str, dict[str, Any]] = {
    "explain-drill": {"cell": "cause=amended"},
    "what-if": {"scale": ["desk=Options*0.5"]},
    "pre-trade": {
        "add": [
            {"order_id": "B1", "side": "buy", "symbol": "EQ:AAA", "currency": "USD", "quantity": 50, "desk": "Options"}
        ]
    },
    "sa-ccr-what-if": {"scale": ["desk=Options*0.5"]},
    "ba-cva-what-if": {"scale": ["desk=Options*0.5"]},
    "limit-hedge": {"limit": 1e6, "where": [], "moves": [{"trade": "T00000-2", "cost": 1}]},
    "stress": {"scenario": SHOCK},
    "stressed-var": {"period": "2020-01-06:2020-02-14"},
    "stress-period": {"length": 20, "first": "2020-01-06"},
    "reverse-stress": {"loss": 5000, "where": ["desk=Equities"], "law": {"window": 60}},
    "backtest": {"calendar": "books"},
    **{name: {**PATHS} for name in ("cva", "cva-explain", "exposure", "exposure-drill", "exposure-limits")},
    **{name: {**PATHS, "scale": ["desk=Options*0.5"]} for name in ("cva-what-if", "exposure-what-if")},
    "cva-scenarios": {**PATHS, "scenario": SHOCK},
    **{name: {"parts": ["credit", "cva"]} for name in ("capital-compare", "capital-plan")},  # market risk has its own
    "frtb-ima": {"scenarios": 20, "stress": "2020-01-06:2020-02-14"},
    "ima-capital": {"scenarios": 20, "stress": "2020-01-06:2020-02-14"},
}
# one of each kind of answer: the long suites over all questions try these always, and all in `make test-slow`
TRIED = (
    "var",
    "drill",
    "contributions",
    "crif",
    "compare",
    "explain",
    "what-if",
    "backtest",
    "stress",
    "ladder",
    "sa-ccr",
)
# questions on counterparties and capital: to value their examples and ask them by every door takes long, see `make test-slow`
OF_CAPITAL = {n for n, entry in QUESTIONS.items() if entry.place.startswith(("exposure.", "regulatory."))}
# questions whose examples take values along paths, which are refused to whoever sees a part of the book: of sa-cva sensitivities are given
ON_PATHS = [n for n, entry in QUESTIONS.items() if n != "sa-cva" and issubclass(entry.question.query, PathScope)]


def base(name: str) -> dict[str, Any]:
    """The example of a question, asked of this lake."""
    asked = {**QUESTIONS[name].question.example, **HERE.get(name, {})}
    days = {"as_of": MONDAY, "from": FRIDAY, "to": MONDAY}
    return {
        **asked,
        **{k: str(day) for k, day in days.items() if k in asked},
        **({"where": HERE.get(name, {}).get("where", ["desk=Options"])} if "where" in asked else {}),
    }
