"""Catalogues with every error at once, ingest all or nothing, corrections, and the catalogue of the real folder."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.landing.dated_values import LAYOUTS
from lake.tables import NEVER_WRITTEN, Lake
from scenarios.market.base_market import BaseMarket
from scenarios.market.history import load_factors
from scenarios.market.landing_catalogue import (
    UNITS,
    Catalogue,
    FactorTemplate,
    MarketIngestReport,
    Source,
    SourceReport,
    ingest_market,
    load_catalogue,
)
from scenarios.stress.apply import evaluate
from scenarios.stress.language import parse
from scenarios.types import FACTOR_TYPES, RiskFactor, tenor_of

D = dt.date.fromisoformat

STOCKS = """
name = "test"

[source.stocks]
file = "stocks.csv"
layout = "wide"
licence = "mine"

[source.stocks.factor]
id = "EQ:{column}"
type = "equity_price"
name = "{name}"
currency = "USD"
attributes = { region = "US", sector = "{sector}" }

[source.stocks.columns]
AAPL = { name = "Apple", sector = "Information Technology" }
KO = { name = "Coca-Cola", sector = "Consumer Staples" }
"""
YIELDS = """
[source.yields]
file = "curves/usd.csv"
layout = "wide"
date_format = "%m/%d/%y"
missing = ["NaN"]
scale = 0.01

[source.yields.factor]
id = "YC:USD:{column}"
type = "par_yield"
currency = "USD"
curve = "USD"
pillar = "{column}"
"""
STOCKS_CSV = "Date,AAPL,KO\n2020-01-02,75.1,54.9\n2020-01-03,74.4,54.6\n"
YIELDS_CSV = "Date,3M,10Y\n01/03/20,NaN,1.8\n01/02/20,1.54,1.88\n"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def put(folder: Path, catalogue: str = STOCKS + YIELDS, **files: str) -> Path:
    """The two landing files, or others in their place, and the catalogue; returns its path."""
    (folder / "curves").mkdir(exist_ok=True)
    (folder / "stocks.csv").write_text(files.get("stocks", STOCKS_CSV))
    (folder / "curves" / "usd.csv").write_text(files.get("yields", YIELDS_CSV))
    path = folder / "catalogue.toml"
    path.write_text(catalogue)
    return path


def ingest(lake: Lake, folder: Path, catalogue: Path) -> MarketIngestReport:
    with Committer(lake, "test") as committer:
        return ingest_market(committer, folder, load_catalogue(catalogue))


def of(report: MarketIngestReport, source: str) -> SourceReport:
    return next(s for s in report.sources if s.source == source)


def stored(lake: Lake) -> dict[tuple[str, str], tuple[Any, ...]]:
    rows = lake.read("market_data").to_pylist()
    columns = ("value_received", "value_used", "status", "rule", "source")
    out = {(r["risk_factor_id"], str(r["as_of_date"])): tuple(r[c] for c in columns) for r in rows}
    assert len(out) == len(rows), "a key twice"
    return out


def refused(folder: Path, catalogue: str) -> dict[str, str]:
    path = folder / "bad.toml"
    path.write_text(catalogue)
    with pytest.raises(BadInput) as caught:
        load_catalogue(path)
    assert all(i.message in caught.value.message for i in caught.value.issues)
    return {i.pointer: i.message for i in caught.value.issues}


def test_values_arrive_as_received_and_as_used(lake: Lake, tmp_path: Path) -> None:
    report = ingest(lake, tmp_path, put(tmp_path))
    assert stored(lake) == {
        ("EQ:AAPL", "2020-01-02"): (75.1, 75.1, "observed", "as received", "stocks"),
        ("EQ:AAPL", "2020-01-03"): (74.4, 74.4, "observed", "as received", "stocks"),
        ("EQ:KO", "2020-01-02"): (54.9, 54.9, "observed", "as received", "stocks"),
        ("EQ:KO", "2020-01-03"): (54.6, 54.6, "observed", "as received", "stocks"),
        ("YC:USD:3M", "2020-01-02"): (1.54, 1.54 * 0.01, "observed", "x 0.01", "yields"),
        ("YC:USD:3M", "2020-01-03"): (None, None, "missing", "x 0.01", "yields"),
        ("YC:USD:10Y", "2020-01-02"): (1.88, 1.88 * 0.01, "observed", "x 0.01", "yields"),
        ("YC:USD:10Y", "2020-01-03"): (1.8, 1.8 * 0.01, "observed", "x 0.01", "yields"),
    }
    assert of(report, "yields") == SourceReport(
        "yields", "curves/usd.csv", "", 2, D("2020-01-02"), D("2020-01-03"), 4, 1, 4, 0, 0, 0,
        {"after drop_after": 0, "weekend": 0},
    )  # fmt: skip
    index = load_factors(lake.snapshot())
    assert index.factors[0] == RiskFactor(
        "EQ:AAPL", "equity_price", "Apple", "USD", None, None,
        (("region", "US"), ("sector", "Information Technology")), "stocks",
    )  # fmt: skip
    assert [f.pillar for f in index.curve("USD")] == ["3M", "10Y"]
    assert index.factors[2].name == "YC:USD:10Y"


def test_the_same_files_twice_change_nothing(lake: Lake, tmp_path: Path) -> None:
    path = put(tmp_path)
    first = ingest(lake, tmp_path, path)
    again = ingest(lake, tmp_path, path)
    assert (again.risk_factors_version, again.market_data_version) == (
        first.risk_factors_version,
        first.market_data_version,
    )
    assert [(s.new, s.changed, s.unchanged) for s in again.sources] == [(0, 0, 4), (0, 0, 4)]


def test_a_correction_replaces_its_row_and_earlier_rows_stay(lake: Lake, tmp_path: Path) -> None:
    path = put(tmp_path)
    first = ingest(lake, tmp_path, path)
    before = stored(lake)
    put(tmp_path, yields="Date,3M,10Y\n01/03/20,1.52,1.8\n01/06/20,1.56,NaN\n")
    report = ingest(lake, tmp_path, path)
    s = of(report, "yields")
    assert (s.rows, s.missing, s.new, s.changed, s.unchanged, s.kept) == (4, 1, 2, 1, 1, 2)
    assert stored(lake) == before | {
        ("YC:USD:3M", "2020-01-03"): (1.52, 1.52 * 0.01, "observed", "x 0.01", "yields"),
        ("YC:USD:3M", "2020-01-06"): (1.56, 1.56 * 0.01, "observed", "x 0.01", "yields"),
        ("YC:USD:10Y", "2020-01-06"): (None, None, "missing", "x 0.01", "yields"),
    }
    # one commit for the levels, none for the unchanged definitions; the old version still reads as it was
    assert report.market_data_version == first.market_data_version + 1
    assert report.risk_factors_version == first.risk_factors_version
    assert lake.read("market_data", version=first.market_data_version).num_rows == len(before)


def test_a_value_withdrawn_becomes_missing(lake: Lake, tmp_path: Path) -> None:
    path = put(tmp_path)
    ingest(lake, tmp_path, path)
    put(tmp_path, yields="Date,3M,10Y\n01/02/20,1.54,NaN\n")
    assert of(ingest(lake, tmp_path, path), "yields").changed == 1
    assert stored(lake)["YC:USD:10Y", "2020-01-02"][:3] == (None, None, "missing")


def test_a_changed_definition_is_stored_without_touching_levels(lake: Lake, tmp_path: Path) -> None:
    first = ingest(lake, tmp_path, put(tmp_path))
    report = ingest(lake, tmp_path, put(tmp_path, STOCKS.replace("Coca-Cola", "The Coca-Cola Company") + YIELDS))
    assert report.market_data_version == first.market_data_version
    factors = {f.risk_factor_id: f for f in load_factors(lake.snapshot()).factors}
    assert factors["EQ:KO"].name == "The Coca-Cola Company"
    assert len(factors) == 4


def test_a_changed_scale_is_a_change_of_every_row(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, tmp_path, put(tmp_path))
    report = ingest(lake, tmp_path, put(tmp_path, STOCKS + YIELDS.replace("scale = 0.01", "scale = 0.0001")))
    assert (of(report, "yields").changed, of(report, "stocks").changed) == (4, 0)
    assert stored(lake)["YC:USD:10Y", "2020-01-02"] == (1.88, 1.88 * 0.0001, "observed", "x 0.0001", "yields")


def test_nothing_is_stored_when_any_source_fails_and_all_faults_are_told(lake: Lake, tmp_path: Path) -> None:
    path = put(
        tmp_path, stocks="Date,AAPL,KO\n2020-01-02,75.1,oops\n", yields="Date,3M,10Y\n01/02/20,1.54,1.88\n99,1,2\n"
    )
    path.write_text(path.read_text() + YIELDS.replace("yields", "more").replace("curves/usd.csv", "gone.csv"))
    with pytest.raises(BadInput, match="Nothing is stored: errors in 3 of 3 sources") as caught:
        ingest(lake, tmp_path, path)
    pointers = [i.pointer for i in caught.value.issues]
    assert pointers == ["stocks: stocks.csv, line 2, column KO", "yields: usd.csv, line 3, column Date", "more: source"]
    assert "There is no file" in caught.value.issues[2].message
    assert lake.version("market_data") == lake.version("risk_factors") == NEVER_WRITTEN
    put(tmp_path, stocks="Date,AAPL,KO\n2020-01-02,75.1,oops\n")
    with pytest.raises(BadInput, match="1 of 2 sources"):
        ingest(lake, tmp_path, path.with_name("catalogue.toml"))
    assert lake.version("market_data") == NEVER_WRITTEN


def test_an_optional_file_may_be_absent_and_the_report_says_so(lake: Lake, tmp_path: Path) -> None:
    path = put(tmp_path, STOCKS + YIELDS.replace('layout = "wide"', 'layout = "wide"\noptional = true'))
    (tmp_path / "curves" / "usd.csv").unlink()
    report = ingest(lake, tmp_path, path)
    assert (of(report, "yields").file, of(report, "yields").rows, of(report, "stocks").new) == (None, 0, 4)


@pytest.mark.parametrize("level", ["0", "-1.5"])
def test_levels_positive_by_nature_are_checked(lake: Lake, tmp_path: Path, level: str) -> None:
    path = put(tmp_path, stocks=f"Date,AAPL,KO\n2020-01-02,75.1,54.9\n2020-01-03,74.4,{level}\n")
    with pytest.raises(BadInput) as caught:
        ingest(lake, tmp_path, path)
    assert [(i.pointer, i.message) for i in caught.value.issues] == [
        ("stocks: stocks.csv, line 3, column KO", f"found {level}, expected a positive equity_price.")
    ]
    assert f'as the file has it: missing = ["{level}"]' in caught.value.message


# what people load, and the unit it is in: a discount factor for a zero rate is told as what it could be
RECEIVED = {
    ("implied_vol", "20"): ("0.2", "volatility points"),
    ("normal_vol", "80"): ("0.008", "basis points"),
    ("par_yield", "1.88"): ("0.0188", "percent"),
    ("par_yield", "188"): ("0.0188", "basis points"),
    ("zero_rate", "0.9876"): ("-0.0076", "percent"),
    ("basis_spread", "-12"): ("-0.0012", "basis points"),
    ("credit_spread", "3.5"): ("0.035", "percent"),
    ("cds_spread", "60"): ("0.006", "basis points"),
    ("hazard_rate", "1.6"): ("0.016", "percent"),
    ("recovery_rate", "40"): ("0.4", "percent"),
}


@pytest.mark.parametrize(("kind", "doubtful"), RECEIVED)
def test_a_level_in_another_unit_is_held_until_it_is_meant(
    lake: Lake, tmp_path: Path, kind: str, doubtful: str
) -> None:
    right, unit = RECEIVED[kind, doubtful]
    rates = 'curve = "USD"\npillar = "{column}"' if FACTOR_TYPES[kind].curved else ""
    own = f"""name = "own"\n[source.own]\nfile = "own.csv"\nlayout = "wide"\n#\n[source.own.factor]\nid = "X:{{column}}"
type = "{kind}"\ncurrency = "USD"\n{rates}\n"""
    catalogue, file = tmp_path / "own.toml", tmp_path / "own.csv"
    catalogue.write_text(own)
    file.write_text(f"Date,1Y,2Y\n2020-01-02,{right},{right}\n2020-01-03,{right},{doubtful}\n")
    with pytest.raises(BadInput) as held:
        ingest(lake, tmp_path, catalogue)
    (issue,) = held.value.issues
    assert issue.pointer == "own: own.csv, line 3, column 2Y"
    assert issue.message.startswith(f"found {doubtful}, hardly meant as {kind} of {doubtful}; expected ")
    assert f'Where the file is in {unit}, as it seems, say unit = "{unit}" in the catalogue.' in held.value.message
    assert lake.version("market_data") == NEVER_WRITTEN
    said = re.search(r"plausible = \[.*?\]", held.value.message)
    assert said is not None
    catalogue.write_text(own.replace("#", said[0]))  # as the message says it
    assert of(ingest(lake, tmp_path, catalogue), "own").new == 4
    other = Lake.create(tmp_path / "other")
    catalogue.write_text(own)
    with Committer(other, "test") as committer:
        report = ingest_market(committer, tmp_path, load_catalogue(catalogue), accept_levels=True)
    (note,) = of(report, "own").notes
    assert note.startswith("accepted levels that are hardly meant (1), first: found")
    assert other.read("market_data").num_rows == 4
    catalogue.write_text(own.replace("#", "scale = 0.001"))  # the level used counts
    file.write_text(f"Date,1Y\n2020-01-02,{doubtful}\n")
    ingest(Lake.create(tmp_path / "third"), tmp_path, catalogue)


def test_rates_and_commodities_may_be_negative(lake: Lake, tmp_path: Path) -> None:
    oil = STOCKS.replace("EQ:", "CMD:").replace("equity_price", "commodity_price")
    path = put(tmp_path, oil + YIELDS, stocks="Date,AAPL,KO\n2020-04-20,-36.98,0\n", yields="Date,3M\n01/02/20,-0.5\n")
    ingest(lake, tmp_path, path)
    assert stored(lake)["CMD:AAPL", "2020-04-20"][1] == -36.98
    assert stored(lake)["YC:USD:3M", "2020-01-02"][1] == -0.5 * 0.01


def one_source(folder: Path, source: str, factor: str, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    path = folder / "catalogue.toml"
    path.write_text(f'name = "t"\n[source.s]\n{source}\n[source.s.factor]\n{factor}')
    return path


def test_units_are_told_by_their_names(lake: Lake, tmp_path: Path) -> None:
    for unit, received, used in [("percent", 5, 0.05), ("basis points", 500, 0.05), ("volatility points", 20, 0.2)]:
        kind = 'id = "IV:X"\ntype = "implied_vol"\ncurrency = "USD"'
        made = one_source(
            tmp_path, f'file = "a.csv"\nlayout = "series"\nunit = "{unit}"', kind, a=f"Date,A\n2020-01-02,{received}\n"
        )
        ingest(lake, tmp_path, made)
        value = stored(lake)["IV:X", "2020-01-02"]
        assert (value[0], value[1]) == (received, pytest.approx(used, rel=1e-15))
    pence = 'name = "t"\n[source.s]\nfile = "a"\nlayout = "series"\n'
    factor = '[source.s.factor]\nid = "EQ:A"\ntype = "equity_price"\ncurrency = "GBP"'
    assert "unit and scale say the same" in str(refused(tmp_path, f'{pence}unit = "pence"\nscale = 0.01\n{factor}'))
    assert "Unknown unit 'penc'. Nearest valid: pence" in str(refused(tmp_path, f'{pence}unit = "penc"\n{factor}'))


def test_several_files_of_one_source(lake: Lake, tmp_path: Path) -> None:
    source, factor = 'file = "p_*.csv"\nlayout = "series"', 'id = "EQ:{file}"\ntype = "equity_price"\ncurrency = "USD"'
    files = {"p_A": "Date,C\n2020-01-02,1\n", "p_B": "Date,C\n2020-01-02,2\n2020-01-03,3\n"}
    report = of(ingest(lake, tmp_path, one_source(tmp_path, source, factor, **files)), "s")
    assert (report.factors, report.rows, report.file) == (2, 3, "p_*.csv")
    assert json.loads(json.dumps(dataclasses.asdict(report)["dropped"])) == {"after drop_after": 0, "weekend": 0}
    assert {k: v[1] for k, v in stored(lake).items()} == {
        ("EQ:A", "2020-01-02"): 1,
        ("EQ:B", "2020-01-02"): 2,
        ("EQ:B", "2020-01-03"): 3,
    }
    some = one_source(tmp_path, source + '\ncolumns = { B = { name = "Bee" } }', factor + '\nname = "{name}"')
    assert [f.name for f in load_catalogue(some).source["s"].named_factors("s", synthetic=False)] == ["Bee"]
    assert of(ingest(Lake.create(tmp_path / "other"), tmp_path, some), "s").factors == 1
    absent = one_source(tmp_path, source + '\ncolumns = ["C"]', factor)
    with pytest.raises(BadInput, match=r"Unknown file p_\*\.csv with 'C'. Nearest valid: A, B"):
        ingest(lake, tmp_path, absent)
    with pytest.raises(BadInput, match="There is no file q"):
        ingest(lake, tmp_path, one_source(tmp_path, source.replace("p_", "q_"), factor))
    assert "a * may stand once" in str(refused(tmp_path, absent.read_text().replace("q_*.csv", "*/p.csv")))
    (tmp_path / "p_A.csv").write_text("Date,C\n2020-01-02,x\n")
    (tmp_path / "p_B.csv").write_text("Date,C\n2020-01-02,y\n")
    with pytest.raises(BadInput) as caught:
        ingest(lake, tmp_path, one_source(tmp_path, source, factor))
    assert [i.pointer for i in caught.value.issues] == [f"s: p_{f}.csv, line 2, column C" for f in "AB"]


def test_files_that_continue_each_other_agree_where_they_overlap(lake: Lake, tmp_path: Path) -> None:
    source, factor = 'file = "y_*.csv"\nlayout = "series"', 'id = "CMD:X"\ntype = "commodity_price"\ncurrency = "USD"'
    files = {"y_1": "Date,C\n2020-01-02,1\n2020-01-03,2\n", "y_2": "DATE,X\n2020-01-03,2\n2020-01-06,3\n"}
    ingest(lake, tmp_path, one_source(tmp_path, source, factor, **files))
    assert [v[1] for v in stored(lake).values()] == [1, 2, 3]
    files["y_2"] = files["y_2"].replace("03,2", "03,2.5")
    with pytest.raises(BadInput) as caught:
        ingest(lake, tmp_path, one_source(tmp_path, source, factor, **files))
    (issue,) = caught.value.issues
    assert issue.pointer == "s: y_2.csv, CMD:X on 2020-01-03"
    assert issue.message == "found 2.5, expected 2.0 as in y_1.csv."


def test_cells_and_headers_name_the_risk_factors(lake: Lake, tmp_path: Path) -> None:
    text = "Date,Curve,3 Mo,X10Y,0.25y\n2020-01-02,USD,1,2,\n2020-01-02,EUR,3,4,\n"
    factor = (
        'id = "YC:{curve}:{tenor}"\ntype = "par_yield"\ncurrency = "{curve}"\ncurve = "{curve}"\npillar = "{tenor}"'
    )
    source = 'file = "a.csv"\nlayout = "curve"\nunit = "percent"\nby = { curve = "Curve" }'
    with pytest.raises(BadInput, match="Two of its columns feed the same risk factor"):  # 3M is there twice
        ingest(lake, tmp_path, one_source(tmp_path, source, factor, a=text))
    ingest(lake, tmp_path, one_source(tmp_path, source, factor, a=text.replace("0.25y", "1.5y")))
    used = {k[0]: v[1] for k, v in stored(lake).items()}
    assert used["YC:USD:10Y"] == 0.02
    assert set(used) == {f"YC:{c}:{p}" for c in ("USD", "EUR") for p in ("3M", "10Y", "18M")}
    assert used["YC:EUR:18M"] is None


@pytest.mark.parametrize(("unit", "text"), [("", "1.5%"), ('unit = "percent"', "1.5%"), ('unit = "percent"', "1.5")])
def test_a_percent_sign_divides_by_a_hundred_once(lake: Lake, tmp_path: Path, unit: str, text: str) -> None:
    factor = 'id = "YC:USD:{column}"\ntype = "par_yield"\ncurrency = "USD"\ncurve = "USD"\npillar = "{column}"'
    source = f'file = "a.csv"\nlayout = "wide"\n{unit}'
    ingest(lake, tmp_path, one_source(tmp_path, source, factor, a=f"Date,10Y\n2020-01-02,{text}\n"))
    assert [v[1] for v in stored(lake).values()] == [0.015]


def test_a_percent_sign_beside_another_unit_is_a_fault(lake: Lake, tmp_path: Path) -> None:
    factor = 'id = "YC:USD:{column}"\ntype = "par_yield"\ncurrency = "USD"\ncurve = "USD"\npillar = "{column}"'
    source = 'file = "a.csv"\nlayout = "wide"\nunit = "basis points"'
    with pytest.raises(BadInput) as caught:
        ingest(lake, tmp_path, one_source(tmp_path, source, factor, a="Date,10Y\n2020-01-02,1.5%\n"))
    assert "found '1.5%', expected a number" in caught.value.issues[0].message


@pytest.mark.parametrize(
    ("text", "tenor"),
    [("3M", "3M"), ("3 Mo", "3M"), ("X3M", "3M"), ("0.25y", "3M"), ("1.00y", "1Y"), ("1.25y", "15M"), ("10 years", "10Y"),
     ("1w", "1W"), ("O/N", "1D"), ("12M", "12M"), ("0.3y", "0.3y"), ("ATM", "ATM"), ("2020-03-20", "2020-03-20"), ("10", "10")],
)  # fmt: skip
def test_tenors_as_people_write_them(text: str, tenor: str) -> None:
    assert tenor_of(text) == tenor


def test_a_replaced_unit_rescales_what_is_used_and_keeps_what_was_received(lake: Lake, tmp_path: Path) -> None:
    source = (
        'file = "a.csv"\nlayout = "wide"\nmissing = ["N/A"]\nredenominations = [{ date = 2005-01-01, factor = 1e-6, '
    )
    source += 'column = "TRY", before = "TRL" }]\ncolumns = ["TRY"]'
    factor = 'id = "FX:EUR{column}"\ntype = "fx_rate"\ncurrency = "{column}"'
    text = "Date,TRL,TRY\n2005-01-03,N/A,1.815\n2004-12-31,1836200,N/A\n"
    ingest(lake, tmp_path, one_source(tmp_path, source, factor, a=text))
    old, new = (stored(lake)["FX:EURTRY", day] for day in ("2004-12-31", "2005-01-03"))
    assert old == (1836200.0, pytest.approx(1.8362, rel=1e-15), "observed", "x 1e-06", "s")
    assert new == (1.815, 1.815, "observed", "as received", "s")


SURFACES = {
    "smile.csv": "Date,Expiry,90,100,110\n2020-03-16,1 Mo,.9,.8,.7\n2020-03-16,1Y,.5,.45,.4\n",
    "dividends.csv": "Date,Share,Ex,Amount\n2020-03-16,AAPL,2020-05-08,0.82\n2020-03-16,AAPL,2020-08-07,0.8\n",
    "volumes.csv": "Date,AAPL\n2020-03-16,80605900\n",
    "hazards.csv": "Date,Name,1Y,5Y\n2020-03-16,ACME,0.02,0.03\n",
    "fixings.csv": "Date,SOFR,ESTR\n2020-03-16,0.26,-0.538\n",
}


def test_surfaces_dividends_hazards_and_fixings_are_stored_and_shocked_as_documented(
    lake: Lake, tmp_path: Path
) -> None:
    described = PAGE.read_text().split("```toml\n[source.smile]")[1].split("```")[0]
    (tmp_path / "c.toml").write_text('name = "t"\n[source.smile]' + described)
    for name, text in SURFACES.items():
        (tmp_path / name).write_text(text)
    ingest(lake, tmp_path, tmp_path / "c.toml")
    used = {i: row[1] for (i, _), row in stored(lake).items()}
    smile = {
        f"IV:SPX:{e}:{m}": v
        for e, m, v in [
            ("1M", 90, 0.9),
            ("1M", 100, 0.8),
            ("1M", 110, 0.7),
            ("1Y", 90, 0.5),
            ("1Y", 100, 0.45),
            ("1Y", 110, 0.4),
        ]
    }
    other = {
        "DIV:AAPL:2020-05-08": 0.82,
        "DIV:AAPL:2020-08-07": 0.8,
        "TV:AAPL": 80605900,
        "HZ:ACME:1Y": 0.02,
        "HZ:ACME:5Y": 0.03,
        "FIX:SOFR": pytest.approx(0.0026),
        "FIX:ESTR": pytest.approx(-0.00538),
    }
    assert used == smile | other
    index = load_factors(lake.snapshot())
    base = np.array([used[f.risk_factor_id] for f in index.factors])
    market = BaseMarket(D("2020-03-16"), index, base, {}, {}, 1)
    text = (
        "vol[expiry=1M, moneyness=90] +10%; equity[type=dividend] -50%; equity[type=traded_volume] -75%; "
        "credit[curve=ACME, pillar=5Y] +100bp; rate[type=fixing] -25bp"
    )
    (outcome,), issues = evaluate(parse(text), market, "fall", lambda _: pytest.fail("nothing is included"))
    assert issues == []
    moved = {
        f.risk_factor_id: (b, v) for f, b, v in zip(index.factors, base, outcome.levels[:, 0], strict=True) if b != v
    }
    assert {i: float(v - b) for i, (b, v) in moved.items()} == {
        "IV:SPX:1M:90": pytest.approx(0.09),
        "DIV:AAPL:2020-05-08": pytest.approx(-0.41),
        "DIV:AAPL:2020-08-07": pytest.approx(-0.4),
        "TV:AAPL": pytest.approx(-0.75 * 80605900),
        "HZ:ACME:5Y": pytest.approx(0.01),
        "FIX:SOFR": pytest.approx(-0.0025),
        "FIX:ESTR": pytest.approx(-0.0025),
    }


@pytest.mark.parametrize(
    ("kind", "attributes", "match"),
    [
        (
            "implied_vol",
            {"strike": "90"},
            "has an expiry and at most one of strike, delta, moneyness, not strike alone",
        ),
        ("implied_vol", {"expiry": "May", "strike": "90"}, "X:Y: Unknown tenor 'May'"),
        ("implied_vol", {"expiry": "0D"}, "X:Y: An expiry of 0D is no time"),
        ("implied_vol", {"expiry": "1M", "strike": "high"}, "'high' is no strike; expected a number, such as 95"),
        ("implied_vol", {"expiry": "1M", "moneyness": "0.9"}, "in percent of the forward, 90 for 90%"),
        ("implied_vol", {"expiry": "1M", "delta": "120P"}, "'120P' is no delta; expected one such as 10P"),
        ("normal_vol", {"expiry": "1M", "moneyness": "90"}, "lies by strike or at the money, not by moneyness"),
        ("implied_vol", {"expiry": "1M", "strike": "90", "delta": "25"}, "not strike, delta"),
        ("dividend", {"asset": "EQ:A"}, "a dividend needs the attribute ex_date"),
        ("dividend", {"asset": "EQ:A", "ex_date": "May"}, "'May' as ex_date"),
        ("hazard_rate", {}, "a hazard_rate needs a curve and a pillar"),
    ],
)
def test_coordinates_are_whole(kind: str, attributes: dict[str, str], match: str) -> None:
    template = FactorTemplate(id="X:Y", type=kind, currency="USD", attributes=attributes)
    with pytest.raises(BadInput, match=match):
        template.risk_factor({}, "s", synthetic=False)


def test_a_risk_factor_has_one_source(lake: Lake, tmp_path: Path) -> None:
    twice = STOCKS.replace('name = "test"', "").replace("stocks", "again").replace("again.csv", "stocks.csv")
    path = put(tmp_path, STOCKS + twice)
    with pytest.raises(BadInput, match="again: 2 of its risk factors have another source already, EQ:AAPL has stocks"):
        ingest(lake, tmp_path, path)
    ingest(lake, tmp_path, put(tmp_path, STOCKS))
    with pytest.raises(BadInput, match="EQ:AAPL has stocks"):
        ingest(lake, tmp_path, put(tmp_path, 'name = "other"\n' + twice))
    same = STOCKS.replace("EQ:{column}", "EQ:AAPL")
    with pytest.raises(BadInput, match="Two of its columns feed the same risk factor"):
        ingest(lake, tmp_path, put(tmp_path, same))


def test_synthetic_data_never_mixes_with_observed(lake: Lake, tmp_path: Path) -> None:
    report = ingest(lake, tmp_path, put(tmp_path, "synthetic = true\n" + STOCKS))
    assert report.synthetic
    assert all(f.synthetic for f in load_factors(lake.snapshot()).factors)
    with pytest.raises(BadInput, match="one is synthetic and the other is not"):
        ingest(lake, tmp_path, put(tmp_path, STOCKS))


def test_every_error_of_a_catalogue_is_listed_at_once_with_the_nearest_names(tmp_path: Path) -> None:
    text = STOCKS.replace("currency", "curency").replace('layout = "wide"', 'layout = "wyde"\nskip_row = 1') + YIELDS
    text = (
        text.replace("par_yield", "par_yeild")
        .replace("scale = 0.01", "scale = 0")
        .replace("curves/usd.csv", "../usd.csv")
    )
    got = refused(tmp_path, text)
    assert got["source.stocks.factor.curency"] == "Unknown key 'curency'. Nearest valid: currency, curve."
    assert got["source.stocks.factor.currency"] == "Field required"
    assert got["source.stocks.skip_row"].startswith("Unknown key 'skip_row'. Nearest valid: skip_rows")
    assert got["source.stocks.layout"].startswith("Unknown layout 'wyde'. Nearest valid: wide")
    assert got["source.yields.factor.type"].startswith("Unknown risk factor type 'par_yeild'. Nearest valid: par_yield")
    assert "greater than or equal" in got["source.yields.scale"]
    assert "relative path" in got["source.yields.file"]
    assert len(got) == 7


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        ('KO = { name = "Coca-Cola", sector', 'KO = { sector', "KO: name is missing, the factor uses it"),
        ('KO = { name = "Coca-Cola", sector', 'KO = { name = "C", sectr = "", sector', "KO: Unknown key 'sectr'. Nearest valid: sector"),
        ('layout = "wide"', 'layout = "series"', "a file of layout series has one value column"),
        ('"EQ:{column}"', '"EQ {column}"', "'EQ AAPL' is no risk factor id"),
        ('"USD"', '"usd"', "'usd' is no ISO 4217 currency"),
        ('"USD"', '"USD"\ncurve = "USD"', "only rates have a curve and a pillar"),
        ('type = "equity_price"', 'type = "fx_rate"', "is called FX:BASEQUOTE"),
        ('type = "equity_price"', 'type = "par_yield"', "needs a curve and a pillar"),
        ('type = "equity_price"', 'type = "par_yield"\ncurve = "USD"\npillar = "{column}"', "Unknown tenor 'AAPL'"),
    ],
)  # fmt: skip
def test_a_template_that_gives_no_proper_risk_factor_is_refused(
    tmp_path: Path, find: str, replace: str, message: str
) -> None:
    assert find in STOCKS
    (got,) = refused(tmp_path, STOCKS.replace(find, replace)).values()
    assert message in got


def test_placeholders_need_columns_and_columns_need_a_form(tmp_path: Path) -> None:
    bare = STOCKS[: STOCKS.index("[source.stocks.columns]")]
    assert "give every column an entry" in refused(tmp_path, bare)["source.stocks"]
    for columns in ("3", "[]", "[1]"):
        text = bare.replace('layout = "wide"', f'layout = "wide"\ncolumns = {columns}')
        assert "a list of names or a table of entries" in refused(tmp_path, text)["source.stocks.columns"]
    assert "no source name" in refused(tmp_path, STOCKS.replace("source.stocks", "source.Stocks"))["source"]
    assert "source" in refused(tmp_path, 'name = "empty"\n')


def test_catalogues_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Give a TOML file or one of: fred, marketdata, "):
        load_catalogue(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(BadInput, match="cannot be read as TOML"):
        load_catalogue(tmp_path / "bad.toml")


def test_an_absent_folder_is_told(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no folder"):
        ingest(lake, tmp_path / "nowhere", put(tmp_path))


def test_shipped_catalogues_load_and_say_what_is_synthetic() -> None:
    real, sample = load_catalogue("marketdata"), load_catalogue("sample_market")
    assert (real.synthetic, sample.synthetic) == (False, True)
    assert all(s.licence for s in real.source.values())
    assert not set(real.source) & set(sample.source)


@pytest.fixture(scope="module")
def real(
    real_market: Path, market_data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lake, MarketIngestReport]:
    """The real folder ingested, and the report on it when it is brought again."""
    lake = Lake.open(shutil.copytree(real_market, tmp_path_factory.mktemp("real") / "lake"))
    with Committer(lake, "test") as committer:
        return lake, ingest_market(committer, market_data_dir, load_catalogue("marketdata"))


def series(lake: Lake, risk_factor_id: str) -> dict[str, tuple[Any, ...]]:
    """Date to (received, used, status), read by DuckDB from the lake's own Parquet files."""
    files = ", ".join(f"'{p}'" for p in lake.data_files("market_data"))
    with duckdb.connect() as connection:
        rows = connection.sql(
            "select as_of_date::varchar, value_received, value_used, status "
            f"from read_parquet([{files}]) where risk_factor_id = '{risk_factor_id}'"
        ).fetchall()
    return {r[0]: r[1:] for r in rows}


def lines(path: Path) -> list[list[str]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return list(csv.reader(text.splitlines()))


@pytest.mark.marketdata
def test_the_real_folder_has_the_rows_its_description_says(real: tuple[Lake, MarketIngestReport]) -> None:
    lake, report = real
    got = {s.source: (s.factors, s.rows // s.factors, str(s.first), str(s.last)) for s in report.sources}
    assert got == {
        "us_stocks": (20, 8313, "1990-01-02", "2022-12-28"),
        "sp500": (1, 8313, "1990-01-02", "2022-12-28"),
        "uk_stocks": (64, 5960, "2000-01-04", "2023-05-31"),
        "us_stock_vols": (20, 3270, "2010-01-04", "2022-12-28"),
        "vix": (1, 9235, "1990-01-02", "2026-07-23"),
        "usd_curve": (11, 8507, "1990-01-02", "2023-12-29"),
        "jpy_curve": (14, 13208, "1974-09-24", "2026-04-30"),
        "ecb_fx": (32, 7126, "1999-01-04", "2026-10-30"),
        "wti": (1, 10226, "1986-01-02", "2026-08-18"),
        "brent": (1, 9958, "1987-05-20", "2026-08-18"),
        "natural_gas": (1, 7437, "1997-01-07", "2026-08-18"),
        "metals": (3, 6092, "2000-01-03", "2023-08-04"),
        "us_high_yield": (1, 7433 - 95, "1996-12-31", "2025-02-13"),
    }
    assert {s.source: s.missing for s in report.sources if s.source in ("us_stocks", "uk_stocks", "us_stock_vols")} == {
        "us_stocks": 0,
        "uk_stocks": 29,
        "us_stock_vols": 0,
    }
    assert of(report, "us_high_yield").dropped == {"after drop_after": 0, "weekend": 95}
    assert lake.read("market_data", ["as_of_date"]).num_rows == sum(s.rows for s in report.sources)


@pytest.mark.marketdata
def test_the_real_folder_again_changes_nothing(real: tuple[Lake, MarketIngestReport], real_market: Path) -> None:
    lake, again = real
    assert again.market_data_version == Lake.open(real_market).version("market_data")
    assert sum(s.unchanged for s in again.sources) == lake.read("market_data", ["as_of_date"]).num_rows


@pytest.mark.marketdata
def test_oil_below_zero_stays_as_it_was(real: tuple[Lake, MarketIngestReport]) -> None:
    assert series(real[0], "CMD:WTI")["2020-04-20"] == (-36.98, -36.98, "observed")


@pytest.mark.marketdata
def test_the_holes_of_the_treasury_curve_stay_holes(real: tuple[Lake, MarketIngestReport]) -> None:
    lake, _ = real
    thirty = series(lake, "YC:USD:30Y")
    hole = {day: row for day, row in thirty.items() if "2002-02-19" <= day <= "2006-02-08"}
    assert len(hole) > 980
    assert set(hole.values()) == {(None, None, "missing")}
    assert thirty["2002-02-15"][2] == thirty["2006-02-09"][2] == "observed"
    for pillar in ("1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y"):
        assert series(lake, f"YC:USD:{pillar}")["2010-10-11"] == (None, None, "missing")


@pytest.mark.marketdata
@pytest.mark.parametrize(
    ("pillar", "file"),
    [
        ("1M", "DGS1MO"),
        ("3M", "DGS3MO"),
        ("6M", "DGS6MO"),
        ("1Y", "DGS1"),
        ("2Y", "DGS2"),
        ("10Y", "DGS10"),
        ("30Y", "DGS30"),
    ],
)
def test_the_treasury_curve_equals_the_federal_reserve_series(
    real: tuple[Lake, MarketIngestReport], market_data_dir: Path, pillar: str, file: str
) -> None:
    ours = {d: row[0] for d, row in series(real[0], f"YC:USD:{pillar}").items() if row[0] is not None}
    theirs = {d: float(v) for d, v in lines(market_data_dir / f"fred-treasury-cmt/{file}.csv")[1:] if v}
    common = ours.keys() & theirs.keys()
    assert len(common) > 4_400
    assert {d: ours[d] for d in common} == {d: theirs[d] for d in common}


@pytest.mark.marketdata
def test_units_are_those_of_the_risk_factor_types(real: tuple[Lake, MarketIngestReport], market_data_dir: Path) -> None:
    lake, _ = real
    for factor, file, column in [
        ("EQ:NWG.L", "skfolio-datasets/ftse100_dataset.csv.gz", "NWG.L"),
        ("IV:SPX", "datasets-finance-vix/vix-daily.csv", "CLOSE"),
        ("CR:US_HY", "credit/BAMLH0A0HYM2.csv", "BAMLH0A0HYM2"),
    ]:
        header, *rows = lines(market_data_dir / file)
        at = header.index(column)
        expected = {r[0]: float(r[at]) * 0.01 for r in rows if r[at] and D(r[0]).weekday() < 5}
        assert {d: row[1] for d, row in series(lake, factor).items() if row[1] is not None} == expected
    assert max(row[0] or 0 for row in series(lake, "CR:US_HY").values()) == 21.82


@pytest.mark.marketdata
def test_known_days_of_the_real_history(real: tuple[Lake, MarketIngestReport]) -> None:
    lake, _ = real
    spring = {d: row[1] for d, row in series(lake, "IV:AAPL").items() if "2020-01-01" <= d <= "2020-12-31"}
    assert max(spring, key=lambda d: spring[d]) == "2020-03-18"
    natwest = series(lake, "EQ:NWG.L")
    assert natwest["2009-01-19"][1] / natwest["2009-01-16"][1] - 1 == pytest.approx(-0.666, abs=5e-4)
    assert series(lake, "CMD:NATGAS")["2018-01-05"] == (None, None, "missing")
    rouble = series(lake, "FX:EURRUB")
    assert (rouble["2022-03-01"][2], rouble["2022-03-02"][2]) == ("observed", "missing")
    negative = [d for d, row in series(lake, "YC:JPY:2Y").items() if row[1] is not None and row[1] < 0]
    assert min(negative) >= "2014-12-03"
    assert len(negative) > 1_500
    assert {f.type for f in load_factors(lake.snapshot()).factors if f.synthetic} == set()


PAGE = Path(__file__).parents[3] / "docs" / "market-data.md"


def test_every_key_layout_and_type_is_documented() -> None:
    page = PAGE.read_text()
    for name, kind in FACTOR_TYPES.items():
        low, high = kind.plausible
        shown = f"{low:g} to {high:g}" if math.isfinite(low) else ""
        assert re.search(rf"^\| `{name}` \|.*\| {shown} ?\|$", page, re.MULTILINE), name
    keys = {
        *Catalogue.model_fields,
        *Source.model_fields,
        *FactorTemplate.model_fields,
        *LAYOUTS,
        *FACTOR_TYPES,
        *UNITS,
    }
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_the_worked_example_of_the_documentation(lake: Lake, tmp_path: Path) -> None:
    page = PAGE.read_text()
    for name, body in re.findall(r":caption: (\S+)\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(body)
    ingest(lake, tmp_path, tmp_path / "own.toml")
    example = page[page.index("## A worked example") :]
    written = [
        [c.strip() for c in line.split("|")[1:-1]] for line in re.findall(r"^\| 2020-.*$", example, re.MULTILINE)
    ]
    shown = {(r[1], r[0]): (float(r[2]) if r[2] else None, float(r[3]) if r[3] else None, r[4], r[5]) for r in written}
    got = {k: (v[0], None if v[1] is None else float(f"{v[1]:.12g}"), v[2], v[3]) for k, v in stored(lake).items()}
    assert got == shown
    undeclared = (tmp_path / "own.toml").read_text().replace('missing = ["n/a"]\n', "")
    (tmp_path / "own.toml").write_text(undeclared)
    with pytest.raises(BadInput) as caught:
        ingest(lake, tmp_path, tmp_path / "own.toml")
    told = [*caught.value.message.split("\n"), *(f"{i.pointer}: {i.message}" for i in caught.value.issues)]
    assert all(line.strip() in example for line in told)


def test_a_later_file_may_lack_a_series(lake: Lake, tmp_path: Path) -> None:
    """A share that is listed no more: what the lake has of it stays."""
    own = '[source.shares]\nfile = "s.csv"\nlayout = "wide"\nfactor = { id = "EQ:{column}", type = "equity_price", currency = "USD" }\n'
    (tmp_path / "c.toml").write_text('name = "t"\n' + own)
    (tmp_path / "s.csv").write_text("Date,AAA,BBB\n2026-03-11,10,20\n2026-03-12,10.1,20.1\n2026-03-13,10.2,20.3\n")
    ingest(lake, tmp_path, tmp_path / "c.toml")
    (tmp_path / "s.csv").write_text("Date,AAA\n2026-03-13,10.25\n2026-03-16,10.3\n")
    ingest(lake, tmp_path, tmp_path / "c.toml")
    got = stored(lake)
    assert {k for k in got if k[0] == "EQ:BBB"} == {("EQ:BBB", f"2026-03-{d}") for d in (11, 12, 13)}
    assert [got["EQ:AAA", f"2026-03-{d}"][1] for d in (11, 12, 13, 16)] == [10, 10.1, 10.25, 10.3]


@pytest.mark.parametrize(
    ("kind", "attribute", "meant"),
    [
        ("swap_rate", "daycount", "day_count"),
        ("swap_rate", "fixed_frequency", "frequency"),
        ("swap_rate", "discount_curv", "discount_curve"),
        ("rate_future", "start_date", "start"),
        ("cds_spread", "recovery_rate", "recovery"),
        ("cds_spread", "maturity_date", "maturity"),
        ("implied_vol", "expirey", "expiry"),
        ("implied_vol", "moneynes", "moneyness"),
    ],
)
def test_a_misspelt_attribute_of_a_quote_is_refused_with_the_one_that_is_meant(
    kind: str, attribute: str, meant: str
) -> None:
    pillar = {"curve": "A", "pillar": "1Y"} if FACTOR_TYPES[kind].curved else {}
    template = FactorTemplate(
        id="X:A", type=kind, currency="USD", attributes={attribute: "1Y", "region": "US"}, **pillar
    )
    with pytest.raises(
        BadInput, match=f"a {kind} has no attribute '{attribute}', and would not read it; nearest: {meant}"
    ):
        template.risk_factor({}, "own", False)


def test_attributes_to_select_by_have_any_name() -> None:
    given = dict.fromkeys(("region", "sector", "rating", "country", "issuer", "series", "asset_class", "source"), "x")
    for kind in ("swap_rate", "basis_spread", "cds_spread", "implied_vol", "rate_future"):
        pillar = {"curve": "A", "pillar": "1Y"} if FACTOR_TYPES[kind].curved else {}
        made = FactorTemplate(id="X:A", type=kind, currency="USD", attributes=given, **pillar).risk_factor(
            {}, "own", False
        )
        assert dict(made.attributes) == given


def test_a_delta_that_no_id_may_hold_is_written_as_it_may(lake: Lake, tmp_path: Path) -> None:
    factor = 'id = "IV:{column}", type = "implied_vol", currency = "USD"'
    (tmp_path / "c.toml").write_text(
        'name = "t"\n[source.smile]\nfile = "smile.csv"\nlayout = "surface"\nby = { expiry = "Expiry" }\nheader = "delta"\n'
        f'factor = {{ {factor.replace("{column}", "X:{expiry}:{delta}")}, attributes = {{ surface = "X", expiry = "{{expiry}}", '
        'delta = "{delta}" } }\n'
    )
    (tmp_path / "smile.csv").write_text("Date,Expiry,25D put,ATM,25D call,10C\n2020-03-16,1Y,.2,.3,.2,.25\n")
    ingest(lake, tmp_path, tmp_path / "c.toml")
    assert sorted(lake.read("risk_factors")["risk_factor_id"].to_pylist()) == [
        "IV:X:1Y:10C", "IV:X:1Y:25C", "IV:X:1Y:25P", "IV:X:1Y:ATM"]  # fmt: skip
