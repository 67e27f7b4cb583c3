"""VaR of other systems from files: what is loaded, replaced and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.reported_var import VarReport, ingest_var
from lake.tables import Lake

HEADER = "date,desk,level,var,es,pnl,currency"
ROWS = (
    "2020-03-12,,0.99,100,120,-5,USD",
    "2020-03-12,,0.975,80,101,-5,USD",
    "2020-03-12,Rates,0.990,60,,,USD",
    "2020-03-13,,0.99,90,110,-130,USD",
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def bring(lake: Lake, *rows: str, header: str = HEADER, **options: Any) -> VarReport:
    path = lake.path.parent / "var.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    with Committer(lake, "test") as committer:
        return ingest_var(committer, path, **{"source": "risksys", **options})


def held(lake: Lake) -> list[tuple[Any, ...]]:
    rows = lake.read("reported_var").to_pylist()
    return [(str(r["var_date"]), r["source"], r["desk"], r["level"], r["var"], r["es"], r["pnl"]) for r in rows]


def test_rows_are_loaded_once_and_corrected(lake: Lake) -> None:
    first = bring(lake, *ROWS)
    assert (first.read, first.new, first.levels) == (4, 4, ("0.975", "0.99"))
    again = bring(lake, *ROWS)
    assert (again.unchanged, again.version) == (4, first.version)
    report = bring(lake, "2020-03-12,Rates,0.99,61,70,,USD", "2020-03-16,,0.99,95,,,USD")
    assert (report.new, report.changed, report.unchanged, report.removed) == (1, 1, 0, 0)
    bring(lake, ROWS[0].replace("100", "105"), source="another")
    assert sorted(held(lake), key=str) == [
        ("2020-03-12", "another", None, "0.99", 105, 120, -5),
        ("2020-03-12", "risksys", "Rates", "0.99", 61, 70, None),
        ("2020-03-12", "risksys", None, "0.975", 80, 101, -5),
        ("2020-03-12", "risksys", None, "0.99", 100, 120, -5),
        ("2020-03-13", "risksys", None, "0.99", 90, 110, -130),
        ("2020-03-16", "risksys", None, "0.99", 95, None, None),
    ]
    report = bring(lake, ROWS[1], replace_dates=True)
    assert (report.removed, report.unchanged) == (2, 1)
    assert {row[1] for row in held(lake) if row[0] == "2020-03-12" and row[3] == "0.99"} == {"another"}


def test_every_fault_is_told_by_row_and_nothing_is_loaded(lake: Lake) -> None:
    with pytest.raises(BadInput) as caught:
        bring(
            lake,
            "2020-3-12,,0.99,100,,,USD",
            "2020-03-12,,99,100,,,USD",
            "2020-03-12,,0.99,,,,USD",
            "2020-03-12,,0.95,1,x,,USD",
            "2020-03-12,,0.9,1,,,US",
            "2020-03-12,,0.8,1",
        )
    assert [(i.pointer, i.value) for i in caught.value.issues] == [
        ("row 2, column date", "2020-3-12"),
        ("row 3, column level", "99"),
        ("row 4, column var", None),
        ("row 5, column es", "x"),
        ("row 6, column currency", "US"),
        ("row 7", "2020-03-12,,0.8,1"),
    ]
    with pytest.raises(BadInput, match="row 2 already"):
        bring(lake, ROWS[0], ROWS[0].replace("0.99", "0.9900"))
    with pytest.raises(BadInput, match="others in row 2"):
        bring(lake, ROWS[0], ROWS[1].replace("-5", "-6"))
    with pytest.raises(BadInput, match="'lvl'"):
        bring(lake, *ROWS, header=HEADER.replace("level", "lvl"))
    assert lake.version("reported_var") == -1
