"""Numbers too large to be added: refused where they come in; where an old lake holds one, its position has failed, with the reason."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from flask.testing import FlaskClient
from small_lake import MONDAY
from test_api_errors import post, problem

from lake.committer import Committer
from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings

VAR = f"/api/v1/var?as_of={MONDAY}"


@pytest.mark.parametrize(
    ("question", "more", "pointer"),
    [
        ("what-if", {"scale": [{"where": [], "factor": 1e17}]}, "/scale/0/factor"),
        ("what-if", {"scale": ["*1e10", "*1e15"]}, "/scale/1/factor"),
        ("limit-hedge", {"limit": 1e300, "moves": [{"where": ["desk=Options"]}]}, "/limit"),
        ("limit-hedge", {"limit": 1.0, "moves": [{"where": ["desk=Options"], "cost": 1e17}]}, "/moves/0/cost"),
        ("limit-hedge", {"limit": 1.0, "moves": [{"where": ["desk=Options"], "lot": 1e308}]}, "/moves/0/lot"),
    ],
)
def test_a_number_too_large_in_a_question_is_refused(
    client: FlaskClient, question: str, more: dict[str, Any], pointer: str
) -> None:
    faults = problem(post(client, question, {"as_of": str(MONDAY), **more}), 422)["errors"]
    assert pointer in [f["pointer"] for f in faults]


def test_a_trade_added_in_a_quantity_too_large_is_refused(client: FlaskClient) -> None:
    row = client.get(f"/api/v1/positions?date={MONDAY}").get_json()["rows"][0]
    trade = {"instrument_type": row["instrument_type"], "quantity": 1e308}
    body = problem(post(client, "what-if", {"as_of": str(MONDAY), "add": [trade]}), 422)
    assert "quantity: expected a finite number such as 1500 or -2.5, of at most 1e16" in body["detail"]


@pytest.mark.parametrize("quantity", [1e308, -1e308, 2e16])
def test_a_quantity_too_large_that_a_lake_holds_already_is_a_failed_position(
    valued_lake: Path, tmp_path: Path, quantity: float
) -> None:
    whole = create_app(Settings(lake=valued_lake)).test_client().get(VAR).get_json()
    lake = Lake(shutil.copytree(valued_lake, tmp_path / "lake", ignore=shutil.ignore_patterns("cache")))
    book = lake.read("positions").filter(pc.field("positions_date") == MONDAY)
    quantities = [quantity, *book["quantity"].to_pylist()[1:]]
    place = book.schema.get_field_index("quantity")
    with Committer(lake, "test") as committer:
        committer.put("positions", book.set_column(place, "quantity", pa.array(quantities)), replace=True)
    client = create_app(Settings(lake=lake.path)).test_client()
    answer = client.get(VAR).get_json()
    failed = pc.sum(pc.equal(book["contract_id"], book["contract_id"][0])).as_py()
    assert answer["coverage"]["failed"] == whole["coverage"]["failed"] + failed
    assert answer["coverage"]["status"] == "partial"
    assert any(f"{quantity:g} units in trade {book['trade'][0]}, beyond 1e+16" in note for note in answer["notes"])
    assert math.isfinite(answer["total"]["var_0.99"])
    for name in ("contributions", "drill", "scenario-pnl"):
        assert client.get(VAR.replace("/var", f"/{name}")).status_code == 200
