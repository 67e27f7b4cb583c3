"""Sensitivities of other systems brought in: layouts, units, faults, versions, and which risk factor of the lake each factor is."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_lake import MONDAY

from lake.committer import Committer, DryRun
from lake.errors import BadInput
from lake.tables import Lake
from valuation.books.sensitivities import SensitivitiesReport, ingest_sensitivities

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
HEADER = "date,trade,kind,factor,factor_2,amount,currency,bump,bump_2\n"


@pytest.fixture
def lake(bare_lake: Path, tmp_path: Path) -> Lake:
    shutil.copytree(bare_lake, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.fixture
def writer(lake: Lake) -> Iterator[Committer]:
    with Committer(lake, "test") as committer:
        yield committer


def bring(writer: Committer, path: Path, **more: Any) -> SensitivitiesReport:
    return ingest_sensitivities(writer, path, **{"source": "other", "as_of": MONDAY, **more})


def stored(lake: Lake) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        lake.read("sensitivities").sort_by([("file", "ascending"), ("line", "ascending")]).to_pylist()
    )
    return rows


def factors(lake: Lake) -> dict[str, tuple[str | None, float, bool, str]]:
    rows = lake.read("sensitivity_factors").to_pylist()
    return {r["factor"]: (r["risk_factor_id"], r["weight"], r["inverse"], r["rule"]) for r in rows}


class TestLayouts:
    def test_crif(self, lake: Lake, writer: Committer) -> None:
        """Amounts of SIMM: rates per basis point, prices and currencies per 1%, of shares vega per point of volatility."""
        report = bring(writer, EXAMPLES / "crif.csv")
        assert (report.layout, report.read, report.stored, report.zero) == ("crif", 8, 6, 0)
        assert [s["reason"] for s in report.skipped] == [
            "USD does not move against itself",
            "risk type Notional is no sensitivity of SIMM",
        ]
        of = {r["factor"]: (r["kind"], r["move"], r["bump"], r["amount"], r["risk_class"]) for r in stored(lake)}
        assert of["Risk_IRCurve/USD/1/5y/OIS"] == ("delta", "absolute", 0.0001, -4310.0, "rates")
        assert of["Risk_FX/EURUSD"] == ("delta", "relative", 0.01, 91000.0, "fx")
        assert of["Risk_Equity/AAA/8"] == ("delta", "relative", 0.01, 25400.0, "equity")
        assert of["Risk_EquityVol/AAA/8/1y"] == ("vega", "absolute", 0.01, 12750.0, "volatility")
        found = {f: i for f, (i, *_) in factors(lake).items()}
        assert found == {
            "Risk_IRCurve/USD/1/5y/OIS": "YC:USD:5Y",
            "Risk_IRCurve/USD/1/1m/OIS": "YC:USD:1M",
            "Risk_FX/EURUSD": "FX:EURUSD",
            "Risk_Equity/AAA/8": "EQ:AAA",
            "Risk_EquityVol/AAA/8/1y": "IV:AAA",
            "Risk_Equity/ZZZ/8": None,
        }
        (nowhere,) = report.unmapped
        assert (nowhere["factor"], nowhere["rows"]) == ("Risk_Equity/ZZZ/8", 1)
        # by hand: 600 of 4310 + 85 + 91000 + 25400 + 600
        assert nowhere["share"] == pytest.approx(600 / 121_395)
        assert nowhere["reason"] == "the lake has none of EQ:ZZZ, IDX:ZZZ"
        assert {r["portfolio"] for r in stored(lake)} == {"NS-1", "NS-2"}

    def test_ore(self, lake: Lake, writer: Committer) -> None:
        """Shift sizes are absolute, one that has too few decimals to be seen is none, and a cross gamma has no delta."""
        report = bring(writer, EXAMPLES / "ore-sensitivity.csv")
        assert (report.layout, report.read, report.stored, report.zero) == ("ore", 5, 7, 1)
        of = {(r["kind"], r["factor"], r["factor_2"]): (r["move"], r["bump"], r["amount"]) for r in stored(lake)}
        assert of["delta", "DiscountCurve/USD/4/5Y", None] == ("absolute", 0.0001, -4310.25)
        assert of["gamma", "DiscountCurve/USD/4/5Y", None] == ("absolute", 0.0001, 2.15)
        assert of["cross gamma", "DiscountCurve/USD/0/1M", "DiscountCurve/USD/4/5Y"] == ("absolute", 0.0001, -0.05)
        assert of["delta", "FXSpot/EURUSD/0/spot", None] == ("absolute", 0.011, 91000.0)
        assert of["vega", "OptionletVolatility/USD/10/3Y/0.01", None] == ("absolute", None, 310.4)
        assert factors(lake)["DiscountCurve/USD/0/1M"][0] == "YC:USD:1M"

    def test_ore_says_the_same_in_the_currency_of_the_trade_as_well(
        self, lake: Lake, writer: Committer, tmp_path: Path
    ) -> None:
        """The columns that ORE 1.8.17 ends its report in."""
        header, *rows = (EXAMPLES / "ore-sensitivity.csv").read_text().splitlines()
        path = tmp_path / "sensitivity.csv"
        more = "Currency(Trade),Base NPV(Trade),Delta(Trade),Gamma(Trade)"
        path.write_text("\n".join([f"{header},{more}", *(f"{row},EUR,1,2,#N/A" for row in rows)]))
        report = bring(writer, path)
        assert (report.layout, report.read, report.stored) == ("ore", 5, 7)
        assert {r["currency"] for r in stored(lake)} == {"USD"}

    def test_plain(self, lake: Lake, writer: Committer) -> None:
        report = bring(writer, EXAMPLES / "sensitivities.csv", as_of=None)
        assert (report.layout, report.dates, report.stored) == ("plain", (MONDAY,), 2)
        assert factors(lake)["FX:EURUSD"] == ("FX:EURUSD", 1.0, False, "its name")
        assert {r["desk"] for r in stored(lake)} == {"Americas", "Europe"}

    @pytest.mark.parametrize(
        ("text", "move", "size"),
        [
            ("1bp", "absolute", 0.0001),
            ("10 bp", "absolute", 0.001),
            ("1%", "relative", 0.01),
            ("0.5 abs", "absolute", 0.5),
            ("1e-3rel", "relative", 0.001),
        ],
    )
    def test_bumps(self, lake: Lake, writer: Committer, tmp_path: Path, text: str, move: str, size: float) -> None:
        path = tmp_path / "a.csv"
        path.write_text(HEADER + f"2020-03-16,T,delta,EQ:AAA,,1,USD,{text},\n")
        bring(writer, path)
        (row,) = stored(lake)
        assert (row["move"], row["bump"]) == (move, pytest.approx(size))

    def test_tabs_gzip_parquet_and_lines_about_the_file_are_the_same(
        self, lake: Lake, writer: Committer, tmp_path: Path
    ) -> None:
        text = (EXAMPLES / "crif.csv").read_text()
        names, *rows = [line.split(",") for line in text.splitlines()]
        table = pa.table({n: pa.array([r[i] or None for r in rows]) for i, n in enumerate(names)})
        (tmp_path / "tabs.txt").write_text("# question.as_of: 2020-03-16, a note\n" + text.replace(",", "\t"))
        (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
        pq.write_table(table, tmp_path / "rows.parquet")
        wanted = None
        for name in ("tabs.txt", "packed.csv.gz", "rows.parquet"):
            bring(writer, tmp_path / name, replace_dates=True)
            found = [{k: v for k, v in r.items() if k not in ("file", "line")} for r in stored(lake)]
            assert wanted in (None, found)
            wanted = found


class TestFaults:
    def test_all_at_once_and_nothing_is_stored(self, lake: Lake, writer: Committer, tmp_path: Path) -> None:
        path = tmp_path / "bad.csv"
        path.write_text(
            HEADER
            + "2020-03-16,T,delta,EQ:AAA,,1,USD,1%,\n"
            + "16.03.2020,T,delta,EQ:AAA,,1,USD,1%,\n"
            + "2020-03-16,T,theta,EQ:AAA,,1,USD,1%,\n"
            + "2020-03-16,T,delta,EQ:BBB,,one,USD,1%,\n"
            + "2020-03-16,T,delta,IV:AAA,,1,usd,1%,\n"
            + "2020-03-16,T,delta,YC:USD:5Y,,1,USD,1,\n"
            + "2020-03-16,T,cross gamma,EQ:AAA,,1,USD,1%,1%\n"
            + "2020-03-16,T,delta,EQ:AAA,,2,USD,1%,\n"
        )
        with pytest.raises(BadInput) as caught:
            bring(writer, path)
        assert [(i.pointer, i.value) for i in caught.value.issues] == [
            ("line 3, date", "16.03.2020"),
            ("line 4, kind", "theta"),
            ("line 5, amount", "one"),
            ("line 6, currency", "usd"),
            ("line 7, bump", "1"),
            ("line 8, factor_2", None),
            ("line 9", "EQ:AAA"),
        ]
        assert lake.version("sensitivities") == -1

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("a,b\n1,2\n", "columns of no layout"),
            ("", "empty"),
            (HEADER, "a header and no rows"),
            ("date,factor,kind,amount,currency,bump,desq\n", "Unknown column|no rows"),
            (HEADER + "2020-03-16,T,delta\n", "3 cells where the header has 9"),
            (HEADER.replace("date,", "") + "T,delta,EQ:AAA,,1,USD,1%,\n", "no column of dates"),
            (
                "ValuationDate,TradeID,RiskType,Qualifier,Amount,AmountCurrency\n2020-03-16,T,Risk_Equty,AAA,1,USD\n",
                "Risk_Equity",
            ),
            (HEADER + "2020-03-16,T,delta,EQ:AAA,,0,USD,1%,\n", "none of its 1 rows"),
            (
                "ValuationDate,TradeID,RiskType,Qualifier,Amount,AmountCurrency\n"
                + "".join(
                    f"2020-03-16,T,{kind},USD,1,USD\n"
                    for kind in ("GIRR_DELTA", "CSR_NS_VEGA", "Risk_EQ_Curvature", "DRC_NS")
                ),
                "1 row: risk type GIRR_DELTA is of the standardised approach of FRTB.*CSR_NS_VEGA.*Risk_EQ_Curvature.*DRC_NS",
            ),
        ],
    )
    def test_refused_in_words(self, writer: Committer, tmp_path: Path, text: str, told: str) -> None:
        path = tmp_path / "bad.csv"
        path.write_text(text)
        with pytest.raises(BadInput, match=told) as caught:
            bring(writer, path, as_of=None)
        assert "bad.csv" in caught.value.message

    def test_a_file_that_is_not_there(self, writer: Committer, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"no file of sensitivities .*none\.csv"):
            bring(writer, tmp_path / "none.csv")


class TestVersions:
    def test_the_same_file_twice_changes_nothing(self, lake: Lake, writer: Committer) -> None:
        first = bring(writer, EXAMPLES / "crif.csv")
        again = bring(writer, EXAMPLES / "crif.csv")
        assert (again.version, again.replaced) == (first.version, 0)

    def test_a_corrected_file_replaces_its_own_and_no_other(
        self, lake: Lake, writer: Committer, tmp_path: Path
    ) -> None:
        bring(writer, EXAMPLES / "ore-sensitivity.csv")
        path = tmp_path / "crif.csv"
        path.write_text((EXAMPLES / "crif.csv").read_text())
        bring(writer, path)
        before = lake.version("sensitivities")
        path.write_text(path.read_text().replace("25400", "25500"))
        report = bring(writer, path)
        assert report.replaced == 1
        amounts = {r["factor"]: r["amount"] for r in stored(lake) if r["kind"] == "delta"}
        assert amounts["Risk_Equity/AAA/8"] == 25500.0
        assert amounts["FXSpot/EURUSD/0/spot"] == 91000.0
        then = lake.read("sensitivities", version=before).to_pylist()
        assert 25400.0 in [r["amount"] for r in then]

    def test_the_same_sensitivity_in_two_files_is_refused(self, lake: Lake, writer: Committer, tmp_path: Path) -> None:
        bring(writer, EXAMPLES / "crif.csv")
        other = shutil.copy(EXAMPLES / "crif.csv", tmp_path / "renamed.csv")
        with pytest.raises(BadInput, match=r"6 sensitivities stand in a file already, first .* in crif\.csv, line 2"):
            bring(writer, Path(other))
        bring(writer, Path(other), source="third")
        assert len(stored(lake)) == 12
        assert bring(writer, Path(other), replace_dates=True).stored == 6
        assert {(r["source"], r["file"]) for r in stored(lake)} == {("other", "renamed.csv"), ("third", "renamed.csv")}

    def test_par_and_zero_sensitivities_are_never_added(self, writer: Committer, tmp_path: Path) -> None:
        bring(writer, EXAMPLES / "ore-sensitivity.csv")
        par = tmp_path / "par.csv"
        par.write_text((EXAMPLES / "ore-sensitivity.csv").read_text().replace("false", "true"))
        with pytest.raises(BadInput, match="count the same risk twice"):
            bring(writer, par)
        assert bring(writer, par, source="par").stored == 7

    def test_a_dry_run_stores_nothing(self, lake: Lake) -> None:
        report = ingest_sensitivities(DryRun(lake), EXAMPLES / "crif.csv", source="other")
        assert report.stored == 6
        assert lake.version("sensitivities") == -1


class TestMapping:
    def test_a_table_maps_and_splits(self, lake: Lake, writer: Committer, tmp_path: Path) -> None:
        table = tmp_path / "map.csv"
        table.write_text(
            "factor,risk_factor_id,weight\nRisk_Equity/ZZZ/8,EQ:BBB,\nRisk_IRCurve/USD/1/5y/OIS,YC:USD:1M,0.25\n"
            "Risk_IRCurve/USD/1/5y/OIS,YC:USD:5Y,0.75\n"
        )
        report = bring(writer, EXAMPLES / "crif.csv", mapping=str(table))
        assert report.unmapped == ()
        rows = lake.read("sensitivity_factors").to_pylist()
        of = {(r["factor"], r["risk_factor_id"]): (r["weight"], r["rule"]) for r in rows}
        assert of["Risk_Equity/ZZZ/8", "EQ:BBB"] == (1.0, "mapping table")
        assert of["Risk_IRCurve/USD/1/5y/OIS", "YC:USD:5Y"] == (0.75, "mapping table")
        assert of["Risk_IRCurve/USD/1/5y/OIS", "YC:USD:1M"] == (0.25, "mapping table")
        bring(writer, EXAMPLES / "crif.csv")  # what the table said holds until another one says otherwise
        assert lake.read("sensitivity_factors").to_pylist() == rows

    @pytest.mark.parametrize(
        ("rows", "told"),
        [
            ("Risk_Equity/ZZZ/8,EQ:BB,", "no risk factor 'EQ:BB'. Nearest: EQ:BBB"),
            ("Risk_Equity/ZZ/8,EQ:BBB,", "do not have: Risk_Equity/ZZ/8"),
            ("Risk_Equity/ZZZ/8,EQ:BBB,zero", "weight"),
            ("Risk_Equity/ZZZ/8,EQ:BBB,1\nRisk_Equity/ZZZ/8,EQ:BBB,1", "twice"),
        ],
    )
    def test_a_wrong_table_is_refused(self, writer: Committer, tmp_path: Path, rows: str, told: str) -> None:
        table = tmp_path / "map.csv"
        table.write_text(f"factor,risk_factor_id,weight\n{rows}\n")
        with pytest.raises(BadInput, match=told):
            bring(writer, EXAMPLES / "crif.csv", mapping=str(table))

    def test_an_exchange_rate_the_other_way_round(self, lake: Lake, writer: Committer, tmp_path: Path) -> None:
        path = tmp_path / "fx.csv"
        path.write_text("TradeID,RiskType,Qualifier,Amount,AmountCurrency\nT,Risk_FX,USD,100,EUR\n")
        bring(writer, path)
        assert factors(lake)["Risk_FX/USDEUR"] == ("FX:EURUSD", 1.0, True, "rule: 1 / FX:EURUSD")
