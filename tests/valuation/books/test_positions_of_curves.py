"""Rows whose curve or dates cannot be used are told or loaded one by one: none of them refuses the file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from support import new_lake

from lake.committer import Committer
from lake.schemas import DIMENSION_COLUMNS, RISK_FACTORS
from lake.tables import Lake
from scenarios.types import RiskFactor
from valuation.books.positions import ingest_positions

DAY = dt.date(2020, 3, 16)
GOOD = {
    "instrument_type": "deposit", "currency": "USD", "start": "2020-03-18", "maturity": "2020-09-18", "fixed_rate": "0.01",
    "day_count": "Actual360", "discount_curve": "USD",
}  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path / "lake")
    factors = [
        RiskFactor("YC:USD:1Y", "zero_rate", "1Y", "USD", "USD", "1Y", source="s"),
        RiskFactor("HZ:ACME:5Y", "hazard_rate", "5Y", "USD", "ACME", "5Y", source="s"),
        RiskFactor("FX:EURUSD", "fx_rate", "EURUSD", "USD", source="s"),
    ]
    with Committer(made, "test") as committer:
        committer.put("risk_factors", pa.Table.from_pylist([f.to_dict() for f in factors], schema=RISK_FACTORS.schema))
    return made


def load(lake: Lake, tmp_path: Path, *rows: dict[str, str]):
    columns = ["positions_date", *DIMENSION_COLUMNS, "quantity", *dict.fromkeys(c for r in rows for c in r)]
    lines = [",".join(columns)]
    for k, row in enumerate(rows):
        full = (
            dict.fromkeys(DIMENSION_COLUMNS, "x")
            | {"positions_date": "2020-03-16", "trade": f"T{k}", "quantity": "1"}
            | row
        )
        lines.append(",".join(full.get(c, "") for c in columns))
    path = tmp_path / "book.csv"
    path.write_text("\n".join(lines) + "\n")
    with Committer(lake, "test") as committer:
        return ingest_positions(committer, path)


def test_a_curve_of_another_kind_is_told_of_its_row(lake: Lake, tmp_path: Path) -> None:
    report = load(lake, tmp_path, GOOD, {**GOOD, "discount_curve": "ACME"})
    assert (report.loaded, report.rejected) == (1, 1), report.rejections.to_pylist()
    (fault,) = report.rejections.to_pylist()
    assert (fault["column"], fault["value"]) == ("discount_curve", "ACME")
    assert "pillars of type hazard_rate" in fault["reason"]
