"""Hedges of CVA brought in: all faults of a file at once, and the same file twice changes nothing."""

import pytest

from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.cva_hedges import ingest_cva_hedges
from lake.tables import Lake

COLUMNS = "hedge,effective_from,effective_to,kind,counterparty,reference,reference_type,sector,rating,maturity,notional,currency"
NAME = "H1,2020-01-01,,single_name,Acme,ACME,direct,financial,A,2024-12-20,1000000,USD"
INDEX = "H2,2020-01-01,,index,,IG S33,,financial,BBB,2024-12-20,5000000,EUR"


def ingest(tmp_path, *rows):
    path = tmp_path / "hedges.csv"
    path.write_text("\n".join((COLUMNS, *rows, "")))
    lake = Lake.open(tmp_path / "lake") if (tmp_path / "lake").exists() else Lake.create(tmp_path / "lake")
    with Committer(lake, "test") as committer:
        return lake, ingest_cva_hedges(committer, path)


def test_a_file_is_brought_in_once(tmp_path):
    lake, report = ingest(tmp_path, NAME, INDEX)
    assert (report.read, report.new) == (2, 2)
    rows = lake.read("cva_hedges").to_pylist()
    assert [(r["hedge"], r["kind"], r["counterparty"], r["notional"]) for r in rows] == [
        ("H1", "single_name", "Acme", 1e6),
        ("H2", "index", None, 5e6),
    ]
    _, again = ingest(tmp_path, NAME, INDEX)
    assert (again.new, again.unchanged, again.version) == (0, 2, report.version)


def test_every_fault_is_told(tmp_path):
    with pytest.raises(BadInput) as error:
        ingest(
            tmp_path,
            "H1,2020-01-01,,single_name,,ACME,,financial,A,2024-12-20,1000000,USD",
            "H2,2020-01-01,,index,Acme,IG,,finance,AAAA,2024-12-20,0,USD",
            "H3,2020-01-01,,basket,,X,,financial,A,soon,1,DOLLAR",
        )
    places = {i.pointer for i in error.value.issues}
    assert {"row 2, column counterparty", "row 2, column reference_type", "row 3, column counterparty"} <= places
    assert {"row 3, column sector", "row 3, column rating", "row 3, column notional"} <= places
    assert {"row 4, column kind", "row 4, column maturity", "row 4, column currency"} <= places
