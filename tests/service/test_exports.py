"""An answer written to a file holds its rows and what they rest on, for every kind of file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import python_calamine
from command_line import answer, plain, refused, varlake
from small_lake import FORMULA, MONDAY

from lake.errors import BadInput
from service.encoding import FILES, to_xlsx

ASKED = ("var", "--as-of", MONDAY, "--by", "client", "--where", "desk!=Options", "--currency", "EUR")


@pytest.fixture(scope="module")
def files(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    done = varlake(*ASKED, *(a for kind in FILES for a in (f"--{kind}", folder / f"rows.{kind}")), lake=valued_lake)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Wrote ") == len(FILES) == 4
    return folder


def test_rows_and_context(files: Path, valued_lake: Path) -> None:
    said = answer(*ASKED, lake=valued_lake)
    tables = [pq.read_table(files / "rows.parquet"), pa.ipc.open_stream((files / "rows.arrow").read_bytes()).read_all()]
    for table in tables:
        assert plain(table.to_pylist()) == said["rows"]
        assert json.loads(table.schema.metadata[b"question"])["currency"] == "EUR"
        assert json.loads(table.schema.metadata[b"total"])["var_0.99"] == said["total"]["var_0.99"]
    lines = (files / "rows.csv").read_text().splitlines()
    about = [line for line in lines if line.startswith("# ")]
    for line in ("question.as_of: 2020-03-16", "question.currency: EUR", "receipt.scenario_set_name: historical-30"):
        assert f"# {line}" in about
    assert any(line.startswith("# question.where: ") and "Options" in line for line in about)
    assert len(lines) == len(about) + 1 + len(said["rows"])
    assert any(f"'{FORMULA[:5]}" in line for line in lines)


def test_excel_runs_nothing_and_keeps_numbers(files: Path, valued_lake: Path) -> None:
    book = python_calamine.load_workbook(files / "rows.xlsx")
    header, *rows = book.get_sheet_by_name("Answer").to_python()
    said = answer(*ASKED, lake=valued_lake)["rows"]
    assert [r[0] for r in rows] == [r["client"] for r in said]
    assert FORMULA in [r[0] for r in rows]
    at = header.index("base_value")
    assert [r[at] for r in rows] == [pytest.approx(r["base_value"], rel=1e-15) for r in said]
    about = dict(r[:2] for r in book.get_sheet_by_name("Context").to_python())
    assert about["question.currency"] == "EUR"
    assert about["receipt.valuation_set_id"]
    assert to_xlsx(pa.table({"a": [1.5]}), {}) == to_xlsx(pa.table({"a": [1.5]}), {})


def test_what_does_not_fit_or_cannot_be_written_is_refused(tmp_path: Path, valued_lake: Path) -> None:
    with pytest.raises(BadInput, match=r"a sheet holds 1,048,575 rows of 16,384 columns\. Ask for CSV or Parquet"):
        to_xlsx(pa.table({"a": pa.nulls(1 << 20, pa.float64())}), {})
    said = refused(*ASKED, "--csv", tmp_path / "nowhere" / "rows.csv", lake=valued_lake)
    assert "cannot be written: there is no folder" in said
