"""/var and /compare say what the packages compute, in every format and by either method."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from command_line import plain
from flask.testing import FlaskClient
from small_lake import FORMULA, FRIDAY, MONDAY

from aggregation.change.compare import compare
from aggregation.risk.table import run_table
from aggregation.types import Filter, Point, RiskQuery, TableQuery
from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings

QUERY = RiskQuery(
    as_of=MONDAY,
    by=("desk", "client"),
    where=(Filter(dimension="desk", values=("Equities", "Options")),),
    measures=("var", "es", "mean"),
    levels=("0.9", "0.99"),
    currency="EUR",
)


@pytest.fixture
def expected(valued_lake: Path) -> Any:
    return plain(run_table(Lake.open(valued_lake), TableQuery(**dict(QUERY))).to_dict())


def parameters(query: RiskQuery) -> dict[str, Any]:
    given = query.model_dump(mode="json", exclude_none=True)
    return {**given, "where": [f"{f.dimension}={','.join(f.values)}" for f in query.where]}


def test_get_and_post_answer_as_the_package_does(client: FlaskClient, expected: Any) -> None:
    got = client.get("/api/v1/var", query_string=parameters(QUERY))
    posted = client.post("/api/v1/var", json=QUERY.model_dump(mode="json"))
    assert got.status_code == posted.status_code == 200, got.get_data(as_text=True)
    assert plain(got.get_json()) == plain(posted.get_json()) == expected
    assert [r["desk"] for r in expected["rows"]] == ["Equities", "Equities", "Options"]
    assert (expected["total"]["covered"], expected["total"]["failed"]) == (3, 1)


def test_levels_may_be_numbers_in_a_body(client: FlaskClient, expected: Any) -> None:
    body = {**QUERY.model_dump(mode="json"), "levels": [0.9, 0.99]}
    assert plain(client.post("/api/v1/var", json=body).get_json()) == expected


def test_a_question_needs_only_its_date(client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/var?as_of={MONDAY}").get_json()
    assert list(answer["rows"][0])[-2:] == ["var_0.99", "es_0.99"]
    assert answer["rows"][0] == answer["total"]
    assert answer["coverage"]["status"] == "partial"
    assert answer["query"]["measures"] == ["var", "es"]


def test_csv_has_a_row_a_group_with_its_coverage_and_no_formula(client: FlaskClient, expected: Any) -> None:
    answer = client.get("/api/v1/var", query_string={**parameters(QUERY), "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline="")))
    assert [list(r) for r in rows] == [list(r) for r in expected["rows"]]
    for row, same in zip(rows, expected["rows"], strict=True):
        assert row["client"] == ("'" + FORMULA if same["client"] == FORMULA else same["client"])
        assert row["status"] == same["status"]
        for name in ("var_0.99", "es_0.9", "mean", "base_value"):
            assert float(row[name]) == same[name]  # to the last bit


def test_arrow_carries_all_that_json_says(client: FlaskClient, expected: Any) -> None:
    answer = client.post(
        "/api/v1/var",
        json=QUERY.model_dump(mode="json"),
        headers={"Accept": "application/vnd.apache.arrow.stream"},
    )
    table = pa.ipc.open_stream(answer.get_data()).read_all()
    metadata = {k.decode(): json.loads(v) for k, v in table.schema.metadata.items()}
    assert metadata.pop("question")["as_of"] == str(MONDAY)
    assert metadata.pop("units")["base_value"] == QUERY.currency
    assert plain({**metadata, "rows": table.to_pylist()}) == {k: v for k, v in expected.items() if k != "query"}
    assert table.schema.field("var_0.99").type == pa.float64()


def test_the_etag_is_of_the_numbers_and_not_of_the_time_they_took(client: FlaskClient) -> None:
    path = f"/api/v1/var?as_of={MONDAY}&by=desk"
    one, two = client.get(path), client.get(path)
    assert one.headers["ETag"] == two.headers["ETag"]
    again = client.get(path, headers={"If-None-Match": one.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")
    others = [
        f"{path}&levels=0.9",
        f"{path}&format=csv",
        f"/api/v1/var?as_of={FRIDAY}&by=desk",
        f"{path}&where=desk=Options",
    ]
    tags = {client.get(p).headers["ETag"] for p in others}
    assert len(tags | {one.headers["ETag"]}) == len(others) + 1


def test_two_days_are_compared_by_get_and_by_post(client: FlaskClient, valued_lake: Path) -> None:
    friday = QUERY.model_copy(update={"as_of": FRIDAY})
    expected = plain(compare(Lake.open(valued_lake), friday, QUERY).to_dict())
    given = parameters(QUERY)
    del given["as_of"]
    got = client.get("/api/v1/compare", query_string={**given, "from": str(FRIDAY), "to": str(MONDAY)})
    asked = QUERY.model_dump(mode="json", exclude=set(Point.model_fields))
    posted = client.post("/api/v1/compare", json={"from": str(FRIDAY), "to": {"as_of": str(MONDAY)}, **asked})
    assert got.status_code == posted.status_code == 200, got.get_data(as_text=True)
    assert plain(got.get_json()) == plain(posted.get_json()) == expected
    table = pa.ipc.open_stream(
        client.get(
            "/api/v1/compare", query_string={**given, "from": str(FRIDAY), "to": str(MONDAY), "format": "arrow"}
        ).get_data()
    ).read_all()
    change = table["var_0.99_to"].to_numpy() - table["var_0.99_from"].to_numpy()
    assert np.array_equal(table["var_0.99_change"].to_numpy(), change)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (f"var?as_of={MONDAY}&by=dsk", 422, "Nearest valid: desk"),
        (f"var?as_of={MONDAY}&measures=vra", 422, "Nearest valid: var"),
        (f"var?as_of={MONDAY}&estimator=hf10", 422, "Nearest valid: hf1"),
        (f"var?as_of={MONDAY}&where=desk=Rates", 422, "Equities"),
        (f"var?as_of={MONDAY}&levels=99", 422, "expected a fraction between 0 and 1"),
        (f"var?as_of={MONDAY}&levels=1e-999999999", 422, "expected a fraction between 0 and 1"),
        (f"var?as_of={MONDAY}&currency=us", 422, "currency"),
        (f"var?as_of={MONDAY}&currency=JPY", 404, "JPY"),
        ("var?as_of=2020-03-14", 404, "2020-03-13, 2020-03-16"),
        (f"var?as_of={MONDAY}&positions_date=2020-03-12", 404, "2020-03-13, 2020-03-16"),
        (f"var?as_of={MONDAY}&scenario_set=historical-50", 404, "historical-30"),
        (f"var?as_of={MONDAY}&valuation_set=x", 404, "x"),
        (f"compare?from={FRIDAY}", 422, "to: is missing; expected: the second point"),
        (f"compare?from={FRIDAY}&to={MONDAY}&as_of={MONDAY}", 422, "as_of: is not a known name"),
    ],
)
def test_errors_teach(client: FlaskClient, path: str, status: int, says: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == status
    assert says in answer.get_json()["detail"]


def test_unlike_questions_cannot_be_asked_of_two_points(client: FlaskClient) -> None:
    one = {"as_of": str(FRIDAY), "currency": "EUR"}
    answer = client.post("/api/v1/compare", json={"from": one, "to": {"as_of": str(MONDAY)}})
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/from/currency"
    assert "is not a known name" in answer.get_json()["detail"]


def test_the_vector_cache_is_where_the_settings_say(valued_lake: Path, tmp_path: Path) -> None:
    client = create_app(Settings(lake=valued_lake, cache=tmp_path / "cache")).test_client()
    assert client.get(f"/api/v1/var?as_of={MONDAY}").status_code == 200
    assert any((tmp_path / "cache").iterdir())
