"""P&L by file: whole or not at all, nothing twice, nothing overwritten unasked."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.actual_pnl import PnLReport, ingest_pnl
from lake.tables import Lake

GOOD = "date,desk,pnl,currency\n2020-03-13,Rates,-1250.5,USD\n2020-03-13,FX,10,EUR\n2020-03-16,Rates,3e3,USD\n"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def bring(lake: Lake, text: str, name: str = "pnl.csv", **options: bool) -> PnLReport:
    path = lake.path.parent / name
    path.write_text(text)
    with Committer(lake, "test") as committer:
        return ingest_pnl(committer, path, **options)


def stored(lake: Lake) -> list[tuple[object, ...]]:
    columns = ("pnl_date", "kind", "desk", "pnl", "currency")
    return [tuple(r[c] for c in columns) for r in lake.read("actual_pnl").to_pylist()]


def test_rows_as_they_are_in_the_file(lake: Lake) -> None:
    report = bring(lake, GOOD)
    assert (report.read, report.new, report.unchanged, report.replaced) == (3, 3, 0, 0)
    assert (report.first, report.last, report.kinds) == (dt.date(2020, 3, 13), dt.date(2020, 3, 16), ("actual",))
    assert stored(lake) == [
        (dt.date(2020, 3, 13), "actual", "FX", 10.0, "EUR"),
        (dt.date(2020, 3, 13), "actual", "Rates", -1250.5, "USD"),
        (dt.date(2020, 3, 16), "actual", "Rates", 3000.0, "USD"),
    ]


def test_parquet_and_the_total_alone(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "pnl.parquet"
    day = dt.date(2020, 3, 16)
    pq.write_table(pa.table({"date": [day], "pnl": [0.1], "currency": ["USD"], "kind": ["hypothetical"]}), path)
    with Committer(lake, "test") as committer:
        ingest_pnl(committer, path)
    assert stored(lake) == [(day, "hypothetical", None, 0.1, "USD")]


def test_twice_is_once(lake: Lake) -> None:
    first = bring(lake, GOOD)
    again = bring(lake, GOOD)
    assert (again.new, again.unchanged, again.version) == (0, 3, first.version)
    assert len(stored(lake)) == 3


def test_another_number_for_the_same_row_is_refused_and_replaces_when_asked(lake: Lake) -> None:
    bring(lake, GOOD)
    changed = GOOD.replace("-1250.5", "-99")
    with pytest.raises(BadInput, match=r"2020-03-13, actual, Rates: -1,250.5 USD from pnl.csv, and -99.0 USD now"):
        bring(lake, changed, "new.csv")
    assert (dt.date(2020, 3, 13), "actual", "Rates", -1250.5, "USD") in stored(lake)
    only = "date,desk,pnl,currency\n2020-03-13,Rates,-99,USD\n"
    report = bring(lake, only, replace_dates=True)
    assert (report.new, report.replaced) == (1, 2)
    assert [(d, p) for d, _, _, p, _ in stored(lake)] == [
        (dt.date(2020, 3, 13), -99.0),
        (dt.date(2020, 3, 16), 3000.0),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2020-03-13,Rates,1,USD", "row 5: The same day, kind and members stand in row 2 already"),
        ("2020-02-30,Rates,1,USD", "row 5, column date: expected a date"),
        ("2020-03-17,Rates,nan,USD", "row 5, column pnl: expected a finite number"),
        ("2020-03-17,Rates,1e300,USD", "row 5, column pnl: expected a finite number of at most 1e16"),
        ("2020-03-17,Rates,lots,USD", "row 5, column pnl: expected a finite number"),
        ("2020-03-17,Rates,,USD", "row 5, column pnl: pnl is empty"),
        ("2020-03-17,Rates,1,usd", "row 5, column currency: expected an ISO 4217"),
        ("2020-03-17,Rates,1", "row 5: 3 cells where the header has 4"),
    ],
)
def test_one_bad_row_and_nothing_is_loaded(lake: Lake, line: str, says: str) -> None:
    with pytest.raises(BadInput) as error:
        bring(lake, GOOD + line + "\n")
    assert says in error.value.message
    assert stored(lake) == []


def test_all_faults_are_listed(lake: Lake) -> None:
    with pytest.raises(BadInput) as error:
        bring(lake, "date,pnl,currency,kind\n1,x,usd,actul\n")
    assert [i.pointer for i in error.value.issues] == [
        f"row 2, column {c}" for c in ("date", "pnl", "currency", "kind")
    ]


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("date,desc,pnl,currency", "Unknown column 'desc'. Nearest valid: desk"),
        ("date,pnl", "Column 'currency' is missing"),
        ("date,pnl,pnl,currency", "'pnl' stands twice"),
    ],
)
def test_columns(lake: Lake, header: str, says: str) -> None:
    with pytest.raises(BadInput) as error:
        bring(lake, f"{header}\n")
    assert says in error.value.message


def test_one_day_by_two_granularities_would_count_twice(lake: Lake) -> None:
    bring(lake, GOOD)
    with pytest.raises(BadInput, match="is given by desk and by no dimension, and would be counted twice"):
        bring(lake, "date,pnl,currency\n2020-03-16,1,USD\n", "total.csv")
    # another kind of the same day is another matter
    bring(lake, "date,pnl,currency,kind\n2020-03-16,1,USD,hypothetical\n", "total.csv")


def test_files_that_are_none(lake: Lake, tmp_path: Path) -> None:
    with Committer(lake, "test") as committer:
        for name, says in (("none.csv", "There is no P&L file"), ("pnl.xlsx", "is not a workbook")):
            if name == "pnl.xlsx":
                (tmp_path / name).write_text("")
            with pytest.raises(BadInput, match=says):
                ingest_pnl(committer, tmp_path / name)
    with pytest.raises(BadInput, match="header and no rows"):
        bring(lake, "date,pnl,currency\n\n")


def test_numbers_of_pnl_are_read_as_quantities_are(lake: Lake, tmp_path: Path) -> None:
    report = bring(lake, "date,desk,pnl,currency\n2020-03-13,Rates,-0.0,USD\n2020-03-13,FX,+9007199254740993,USD\n")
    assert [str(row[3]) for row in stored(lake)] == ["9007199254740992.0", "0.0"]
    assert [note[note.index("first") :] for note in report.notes] == [
        "first row 3: +9007199254740993 as 9007199254740992.0."
    ]
    with pytest.raises(BadInput, match="row 2, column pnl: expected a finite number"):
        bring(lake, "date,desk,pnl,currency\n2020-03-16,Rates,1_000,USD\n", "other.csv")
    path = tmp_path / "pnl.parquet"
    pq.write_table(pa.table({"date": ["2020-03-16"], "pnl": [float("nan")], "currency": ["USD"]}), path)
    with (
        pytest.raises(BadInput, match="row 2, column pnl: expected a finite number"),
        Committer(lake, "test") as committer,
    ):
        ingest_pnl(committer, path)
