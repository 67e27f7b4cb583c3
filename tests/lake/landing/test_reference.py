"""Counterparties, agreements, collateral and classifications in: every fault by row, and nothing of a faulty file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.committer import Committer, DryRun
from lake.errors import BadInput
from lake.landing.mapping import load_mapping
from lake.landing.reference import ingest_agreements, ingest_classifications, ingest_collateral, ingest_counterparties
from lake.tables import Lake

CLIENTS = "counterparty,effective_from,effective_to,sector,rating,pd,lgd"
TERMS = (
    "agreement,counterparty,legal_entity,effective_from,effective_to,instrument_types,netting,margined,two_way,threshold,threshold_own,"
    "minimum_transfer_amount,currency,margin_period_days"
)
BALANCES = "as_of_date,agreement,kind,amount,currency,segregated"
NAMES = "name,effective_from,kind,sector,rating,capitalisation,economy,commodity_group,commodity_type"
TYPES = ("cash_equity", "fx_forward", "interest_rate_swap")

Put = Callable[..., Path]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(header: str, *rows: str) -> Path:
        path = tmp_path / "file.csv"
        path.write_text("\n".join((header, *rows, "")))
        return path

    return write


def counterparties(lake: Lake, path: Path, **more: Any) -> Any:
    with Committer(lake, "test") as committer:
        return ingest_counterparties(committer, path, **more)


def agreements(lake: Lake, path: Path) -> Any:
    with Committer(lake, "test") as committer:
        return ingest_agreements(committer, path, TYPES)


def collateral(lake: Lake, path: Path, **more: Any) -> Any:
    with Committer(lake, "test") as committer:
        return ingest_collateral(committer, path, **more)


def classifications(lake: Lake, path: Path) -> Any:
    with Committer(lake, "test") as committer:
        return ingest_classifications(committer, path)


def faults(error: pytest.ExceptionInfo[BadInput]) -> list[tuple[str, str | None]]:
    return [(i.pointer, i.value) for i in error.value.issues]


class TestCounterparties:
    def test_a_file_is_brought_in_and_the_same_file_again_changes_nothing(self, lake: Lake, put: Put) -> None:
        path = put(
            CLIENTS,
            "Beta,2020-01-01,,other,BB,0.02,0.4",
            "Acme,2019-01-01,2019-12-31,financial,A,,",
            "Acme,2020-01-01,,financial,BBB,,",
        )
        report = counterparties(lake, path)
        assert (report.read, report.items, report.new, report.unchanged, report.removed) == (3, 2, 3, 0, 0)
        rows = lake.read("counterparties").to_pylist()
        assert [(r["counterparty"], r["effective_from"], r["rating"]) for r in rows] == [
            ("Acme", dt.date(2019, 1, 1), "A"),
            ("Acme", dt.date(2020, 1, 1), "BBB"),
            ("Beta", dt.date(2020, 1, 1), "BB"),
        ]
        assert (rows[2]["pd"], rows[2]["lgd"], rows[0]["pd"], rows[0]["large_financial"]) == (0.02, 0.4, None, False)
        version = lake.version("counterparties")
        again = counterparties(lake, path)
        assert (again.new, again.unchanged, again.removed, again.version) == (0, 3, 0, version)
        assert lake.version("counterparties") == version

    def test_the_history_of_one_becomes_the_file_and_others_stay(self, lake: Lake, put: Put) -> None:
        counterparties(lake, put(CLIENTS, "Acme,2019-01-01,,financial,A,,", "Beta,2019-01-01,,other,B,,"))
        report = counterparties(lake, put(CLIENTS, "Acme,2020-01-01,,financial,D,,"))
        assert (report.new, report.removed) == (1, 1)
        assert [(r["counterparty"], r["rating"]) for r in lake.read("counterparties").to_pylist()] == [
            ("Acme", "D"),
            ("Beta", "B"),
        ]

    def test_every_fault_of_a_file_is_told_by_row_and_nothing_is_stored(self, lake: Lake, put: Put) -> None:
        path = put(
            CLIENTS,
            "Acme,2019-01-01,,finanical,AAB,1.5,-0.1",
            ",2019-01-01,,other,A,,",
            "Beta,2019-13-01,,other,A,x,",
            "Gamma,2020-01-01,2019-01-01,other,A,,",
        )
        with pytest.raises(BadInput, match=r"8 faults; nothing of it is loaded") as error:
            counterparties(lake, path)
        assert faults(error) == [
            ("row 2, column sector", "finanical"),
            ("row 2, column rating", "AAB"),
            ("row 2, column pd", "1.5"),
            ("row 2, column lgd", "-0.1"),
            ("row 3, column counterparty", None),
            ("row 4, column effective_from", "2019-13-01"),
            ("row 4, column pd", "x"),
            ("row 5, column effective_to", "2019-01-01"),
        ]
        assert "Nearest valid: financial" in error.value.issues[0].message
        assert lake.read("counterparties").num_rows == 0

    def test_days_that_overlap_are_refused_with_both_rows(self, lake: Lake, put: Put) -> None:
        path = put(CLIENTS, "Acme,2019-01-01,2020-01-01,other,A,,", "Acme,2020-01-01,,other,B,,")
        with pytest.raises(
            BadInput,
            match=r"row 3, column effective_from: Acme has a row from 2019-01-01 to 2020-01-01 already \(row 2\)",
        ):
            counterparties(lake, path)
        counterparties(lake, put(CLIENTS, "Acme,2019-01-01,2019-12-31,other,A,,", "Acme,2020-01-01,,other,B,,"))

    def test_a_mapping_reads_columns_of_ones_own(self, lake: Lake, put: Put) -> None:
        mapping = load_mapping(None, ("Name=counterparty", "Since=effective_from"))
        counterparties(lake, put("Name,Since,sector,rating", "Acme,2019-01-01,other,NR"), mapping=mapping)
        assert lake.read("counterparties")["counterparty"].to_pylist() == ["Acme"]

    def test_a_dry_run_says_the_same_and_stores_nothing(self, lake: Lake, put: Put) -> None:
        report = ingest_counterparties(DryRun(lake), put(CLIENTS, "Acme,2019-01-01,,financial,A,,"))
        assert (report.new, lake.read("counterparties").num_rows) == (1, 0)

    def test_parquet_with_typed_columns_is_read_alike(self, lake: Lake, tmp_path: Path) -> None:
        table = pa.table(
            {
                "counterparty": ["Acme"],
                "effective_from": pa.array([dt.date(2019, 1, 1)], pa.date32()),
                "sector": ["other"],
                "rating": ["A"],
                "pd": [0.0125],
                "large_financial": [True],
            }
        )
        pq.write_table(table, tmp_path / "clients.parquet")
        counterparties(lake, tmp_path / "clients.parquet")
        (row,) = lake.read("counterparties").to_pylist()
        assert (row["effective_from"], row["pd"], row["large_financial"]) == (dt.date(2019, 1, 1), 0.0125, True)

    def test_an_unknown_column_is_told_with_the_nearest(self, lake: Lake, put: Put) -> None:
        with pytest.raises(BadInput, match=r"Unknown column 'ratings'. Nearest valid: rating"):
            counterparties(lake, put("counterparty,effective_from,sector,ratings", "Acme,2019-01-01,other,A"))


class TestAgreements:
    CSA = "CSA-1,Acme,NY,2019-01-01,,,true,true,true,1000,2000,100,USD,10"

    def test_what_is_not_said_of_an_agreement_is_filled_in(self, lake: Lake, put: Put) -> None:
        agreements(lake, put(TERMS, self.CSA, "NET-2,Beta,NY,2019-01-01,,fx_forward;cash_equity,true,false,,,,,EUR,"))
        csa, net = lake.read("agreements").to_pylist()
        assert (csa["threshold"], csa["threshold_own"], csa["margin_period_days"], csa["margin_frequency_days"]) == (
            1000,
            2000,
            10,
            1,
        )
        assert (csa["instrument_types"], csa["independent_amount"], csa["disputed"]) == (None, 0.0, False)
        assert (net["instrument_types"], net["two_way"], net["margin_period_days"]) == (
            ["cash_equity", "fx_forward"],
            False,
            None,
        )

    @pytest.mark.parametrize(
        ("row", "place", "message"),
        [
            ("A,Acme,NY,2019-01-01,,,true,true,true,0,0,0,USD,0", "margin_period_days", "expected 1 or more"),
            ("A,Acme,NY,2019-01-01,,,true,true,true,-1,0,0,USD,10", "threshold", "expected 0 or more"),
            ("A,Acme,NY,2019-01-01,,,true,true,true,0,0,0,USX,10", "currency", "ISO 4217"),
            ("A,Acme,NY,2019-01-01,,,true,true,true,0,,0,USD,10", "threshold_own", "a margined agreement has one"),
            ("A,Acme,NY,2019-01-01,,,true,true,false,0,5,0,USD,10", "threshold_own", "we post nothing"),
            ("A,Acme,NY,2019-01-01,,,true,false,,5,,,USD,", "threshold", "not margined"),
            ("A,Acme,NY,2019-01-01,,,true,false,true,,,,USD,", "two_way", "nobody posts"),
            ("A,Acme,NY,2019-01-01,,,false,true,true,0,0,0,USD,10", "netting", "without enforceable netting"),
            ("A,Acme,NY,2019-01-01,,swap,true,false,,,,,USD,", "instrument_types", "Unknown instrument_types 'swap'"),
            ("trade:A,Acme,NY,2019-01-01,,,true,false,,,,,USD,", "agreement", "use another id"),
        ],
    )
    def test_a_fault_names_its_row_and_column(self, lake: Lake, put: Put, row: str, place: str, message: str) -> None:
        with pytest.raises(BadInput) as error:
            agreements(lake, put(TERMS, row))
        (issue,) = error.value.issues
        assert issue.pointer == f"row 2, column {place}"
        assert message in issue.message
        assert lake.read("agreements").num_rows == 0

    def test_two_agreements_may_not_cover_one_instrument_type(self, lake: Lake, put: Put) -> None:
        agreements(lake, put(TERMS, "A,Acme,NY,2019-01-01,,fx_forward,true,false,,,,,USD,"))
        both = "B,Acme,NY,2020-01-01,,cash_equity;fx_forward,true,false,,,,,USD,"
        with pytest.raises(
            BadInput, match=r"agreement A \(in the lake\) of Acme and NY covers fx_forward on the same days"
        ):
            agreements(lake, put(TERMS, both))
        with pytest.raises(BadInput, match=r"covers fx_forward"):
            agreements(lake, put(TERMS, "B,Acme,NY,2020-01-01,,,true,false,,,,,USD,"))
        agreements(
            lake,
            put(
                TERMS,
                "B,Acme,NY,2020-01-01,,cash_equity,true,false,,,,,USD,",
                "C,Acme,LN,2020-01-01,,,true,false,,,,,USD,",
            ),
        )
        agreements(lake, put(TERMS, "A,Acme,NY,2019-01-01,2019-12-31,fx_forward,true,false,,,,,USD,"))
        agreements(lake, put(TERMS, "B,Acme,NY,2020-01-01,,,true,false,,,,,USD,"))
        assert lake.read("agreements").num_rows == 3

    def test_an_agreement_is_with_one_counterparty(self, lake: Lake, put: Put) -> None:
        rows = ("A,Acme,NY,2019-01-01,2019-12-31,,true,false,,,,,USD,", "A,Beta,NY,2020-01-01,,,true,false,,,,,USD,")
        with pytest.raises(BadInput, match=r"row 3, column counterparty: agreement A is with Acme from 2019-01-01"):
            agreements(lake, put(TERMS, *rows))

    @pytest.mark.parametrize(("whom", "column"), [("Beta,NY", "counterparty"), ("Acme,LN", "legal_entity")])
    def test_an_agreement_of_the_lake_stays_with_whom_it_is(self, lake: Lake, put: Put, whom: str, column: str) -> None:
        agreements(lake, put(TERMS, self.CSA))
        moved = self.CSA.replace("Acme,NY", whom).replace("2019-01-01", "2020-01-01")
        with pytest.raises(
            BadInput, match=rf"row 2, column {column}: agreement CSA-1 is with .* \(in the lake\); give"
        ):
            agreements(lake, put(TERMS, moved))
        assert lake.read("agreements")["counterparty"].to_pylist() == ["Acme"]

    def test_a_counterparty_that_its_table_does_not_hold_is_told(self, lake: Lake, put: Put) -> None:
        assert agreements(lake, put(TERMS, self.CSA)).notes == ()  # there is no such table yet
        counterparties(lake, put("counterparty,effective_from,sector,rating", "Acme,2019-01-01,other,A"))
        report = agreements(lake, put(TERMS, self.CSA, "NET-2,Acmee,NY,2019-01-01,,,true,false,,,,,USD,"))
        assert report.notes == (
            "1 counterparty of the file (Acmee) is not in the counterparty table; nearest to Acmee: Acme.",
        )


class TestCollateral:
    def test_balances_are_added_and_another_amount_is_refused_unless_dates_are_replaced(
        self, lake: Lake, put: Put
    ) -> None:
        report = collateral(lake, put(BALANCES, "2020-03-13,A,variation,-5,USD,", "2020-03-16,A,initial,7,EUR,true"))
        assert (report.new, report.first, report.last) == (2, dt.date(2020, 3, 13), dt.date(2020, 3, 16))
        assert "1 agreement of the file (A) are not in the lake" in report.notes[0]
        added = collateral(lake, put(BALANCES, "2020-03-13,B,variation,5,USD,", "2020-03-13,A,variation,-5,USD,false"))
        assert (added.new, added.unchanged, lake.read("collateral").num_rows) == (1, 1, 3)
        other = put(BALANCES, "2020-03-13,A,variation,9,USD,")
        with pytest.raises(BadInput, match=r"row 2, column amount: the lake has -5\.0 of it"):
            collateral(lake, other)
        replaced = collateral(lake, other, replace_dates=True)
        assert (replaced.new, replaced.replaced) == (1, 2)
        rows = lake.read("collateral").sort_by([("as_of_date", "ascending")]).to_pylist()
        assert [(r["agreement"], r["amount"]) for r in rows] == [("A", 9.0), ("A", 7.0)]

    def test_one_balance_twice_and_cells_that_are_none_are_refused(self, lake: Lake, put: Put) -> None:
        with pytest.raises(BadInput) as error:
            collateral(lake, put(BALANCES, "2020-03-13,A,cash,x,usd,perhaps"))
        assert [p for p, _ in faults(error)] == [
            f"row 2, column {c}" for c in ("kind", "amount", "currency", "segregated")
        ]
        with pytest.raises(BadInput, match=r"row 3, column agreement: row 2 has a balance of this day"):
            collateral(lake, put(BALANCES, "2020-03-13,A,variation,5,USD,", "2020-03-13,A,variation,6,USD,no"))


class TestClassifications:
    def test_each_kind_says_what_it_needs(self, lake: Lake, put: Put) -> None:
        report = classifications(
            lake,
            put(
                NAMES,
                "EQ:A,2019-01-01,equity,financial_technology,,large,advanced,,",
                "ACME,2019-01-01,issuer,financial,BBB,,,,",
                "CDX,2019-01-01,credit_index,,HY,,,,",
                "CMD:WTI,2019-01-01,commodity,,,,,energy_liquid,crude oil",
                "USD,2019-01-01,currency,,,,advanced,,",
            ),
        )
        assert report.new == 5

    @pytest.mark.parametrize(
        ("row", "column"),
        [
            ("EQ:A,2019-01-01,equity,financial_technology,,,advanced,,", "capitalisation"),
            ("EQ:A,2019-01-01,equity,financial,,large,advanced,,", "sector"),
            ("ACME,2019-01-01,issuer,financial,,,,,", "rating"),
            ("ACME,2019-01-01,issuer,financial,IG,,,,", "rating"),
            ("CMD:WTI,2019-01-01,commodity,,,,,oil,crude oil", "commodity_group"),
            ("X,2019-01-01,shares,,,,,,", "kind"),
        ],
    )
    def test_a_fault_names_its_row_and_column(self, lake: Lake, put: Put, row: str, column: str) -> None:
        with pytest.raises(BadInput) as error:
            classifications(lake, put(NAMES, row))
        assert f"row 2, column {column}" in [p for p, _ in faults(error)]
