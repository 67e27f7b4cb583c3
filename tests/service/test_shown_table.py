"""A table that a page shows, as a file in every format: every bit, in its order, with the receipts beside."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import Any

import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
import python_calamine
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from service.api.shown import _column

COLUMNS = ["level", "desk", "covered", "var 0.99", "new"]
ROWS = [
    [0, None, "4 of 4", 0.1 + 0.2, True],
    [1, "Rates", "3 of 4", 1e300, False],
    [2, "=1+1", "1 of 1", None, None],
    [1, "FX, \"spot\"\n", "1 of 1", -0.0, True],
]  # fmt: skip
BODY = {"columns": COLUMNS, "rows": ROWS, "receipts": ["a" * 32], "notes": ["One position is not valued."]}


def asked(client: FlaskClient, kind: str) -> bytes:
    answer = client.post(f"/api/v1/table?format={kind}", json=BODY)
    assert answer.status_code == 200, answer.get_data()
    return answer.get_data()


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_columns_and_every_bit_come_back(kind: str, client: FlaskClient) -> None:
    data = io.BytesIO(asked(client, kind))
    table = ipc.open_stream(data).read_all() if kind == "arrow" else pq.read_table(data)
    assert [str(t) for t in table.schema.types] == ["int64", "string", "string", "double", "bool"]
    assert [list(row.values()) for row in table.to_pylist()] == ROWS
    assert str(table["var 0.99"][3].as_py()) == "-0.0"
    assert json.loads(table.schema.metadata[b"receipts"]) == BODY["receipts"]
    assert json.loads(table.schema.metadata[b"notes"]) == BODY["notes"]


def test_texts_are_no_formulas_in_a_spreadsheet(client: FlaskClient) -> None:
    rows = list(csv.reader(io.StringIO(asked(client, "csv").decode())))
    assert rows[0] == COLUMNS
    assert [float(row[3]) if row[3] else None for row in rows[1:]] == [row[3] for row in ROWS]
    assert rows[3][1] == "'=1+1"
    data = asked(client, "xlsx")
    shown = python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_index(0).to_python()
    at = next(i for i, row in enumerate(shown) if row[: len(COLUMNS)] == COLUMNS)
    assert [row[3] for row in shown[at + 1 : at + 5]] == ["" if row[3] is None else row[3] for row in ROWS]
    assert zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").count(b"<f>") == 0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"columns": ["a", "a"], "rows": []}, "the column 'a' stands there twice"),
        ({"columns": ["a", "b"], "rows": [[1, 2], [1]]}, "row 2 has 1 value for 2 columns"),
        ({"columns": [], "rows": []}, "columns"),
    ],
)
def test_an_uneven_table_is_refused_in_words(body: dict[str, Any], told: str, client: FlaskClient) -> None:
    answer = client.post("/api/v1/table", json=body)
    assert answer.status_code == 422
    assert told in answer.get_data(as_text=True)


@given(
    st.lists(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
)
def test_a_column_loses_nothing(values: list[Any]) -> None:
    """As numbers, whole numbers beyond a double's digits apart, or as texts that say the same."""
    made = _column(values).to_pylist()
    assert [v is None for v in made] == [v is None for v in values]
    told = [v for v in values if v is not None]
    if told and all(isinstance(v, str) for v in told):
        assert made == values
    if told and all(type(v) is float for v in told):
        assert [None if v is None else v.hex() for v in made] == [None if v is None else v.hex() for v in values]
    if len({type(v) for v in told}) > 1 and not {type(v) for v in told} <= {int, float}:
        assert [v for v in made if v is not None] == [str(v) for v in told]
