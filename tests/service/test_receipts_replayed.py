"""A receipt is enough to get the same bits again; whatever is not as it was is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import answer, refused, varlake
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY, book_csv, no_spark, request

from aggregation.replay import Replay, receipt_in, replay
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from valuation.books.positions import ingest_positions
from valuation.sets.requests import run_valuation

QUERY = RiskQuery(as_of=MONDAY, by=("desk",), measures=("var", "es"))


@pytest.fixture
def lake(work_lake: Lake) -> Lake:
    with Committer(work_lake, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]
    return work_lake


def receipt(lake: Lake, query: RiskQuery = QUERY) -> Mapping[str, Any]:
    return receipt_in(json.loads(json.dumps(run_query(lake, query).to_dict(), default=str)))


def states(done: Replay) -> dict[str, str]:
    return {i.input.split(" ")[0]: i.state for i in done.inputs if i.state != "same"}


def test_the_same_bits(lake: Lake) -> None:
    done = replay(lake, receipt(lake))
    assert (done.verdict, states(done), done.why) == ("same bits", {}, None)
    assert {i.input.split(" of")[0] for i in done.inputs} >= {
        "receipt",
        "positions",
        "code",
        "libraries",
        "market data",
    }
    assert not list((lake.state / "cache").glob(".fresh-*"))


def test_a_replaced_book_is_named_and_the_old_bits_are_still_there(lake: Lake, tmp_path: Path) -> None:
    before = receipt(lake)
    file = tmp_path / "book.csv"
    file.write_text(book_csv().replace(",1000.0,", ",1001.0,"))
    with Committer(lake, "test") as committer:
        ingest_positions(committer, file, replace_dates=True)
    assert receipt(lake)["result_digest"] != before["result_digest"]
    done = replay(lake, before)
    assert (done.verdict, states(done)) == ("same bits", {"positions": "changed"})


def test_lost_positions_are_missing(lake: Lake) -> None:
    told = receipt(lake)
    for file in (lake.path / "positions" / f"positions_date={MONDAY}").glob("*.parquet"):
        file.unlink()
    done = replay(lake, told)
    assert (done.verdict, states(done)["positions"]) == ("not recomputed", "missing")


def test_changed_vectors_are_found_behind_the_cache(lake: Lake) -> None:
    told = receipt(lake)
    file = next((lake.path / "pnl_vectors").rglob("*.parquet"))
    data = bytearray(file.read_bytes())
    run_query(lake, QUERY)  # the cache keeps sound vectors
    import pyarrow.parquet as pq

    table = pq.read_table(file, partitioning=None)
    column = table.schema.get_field_index("base_value")
    pq.write_table(table.set_column(column, "base_value", [[v * 2 for v in table["base_value"].to_pylist()]]), file)
    assert file.read_bytes() != bytes(data)
    done = replay(lake, told)
    assert (done.verdict, states(done)["valuation"]) == ("other bits", "damaged")
    assert done.why is not None
    assert "valuation set" in done.why


def test_a_receipt_changed_by_hand_shows(lake: Lake) -> None:
    told = dict(receipt(lake))
    told["currency"] = "EUR"
    assert states(replay(lake, told)) == {"receipt": "damaged"}


def test_other_code_is_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    told = receipt(lake)
    monkeypatch.setattr("aggregation.replay.code_digest", lambda: "other")
    done = replay(lake, told)
    assert (done.verdict, states(done)) == ("same bits", {"code": "changed"})


@pytest.mark.parametrize(
    ("given", "message"),
    [({}, "no receipt"), ([], "no receipt"), ({"receipt": {"kind": "var"}}, "question")],
)
def test_what_is_no_receipt(given: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        receipt_in(given)


def test_an_unknown_kind_gets_the_known_ones(lake: Lake) -> None:
    with pytest.raises(BadInput, match="var"):
        receipt_in({**receipt(lake), "kind": "va"})


def test_the_command(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(varlake("var", "--as-of", MONDAY, "--by", "desk", "--json", lake=lake.path).stdout)
    assert answer("replay", file, lake=lake.path)["verdict"] == "same bits"
    shown = varlake("replay", file, lake=lake.path)
    assert (shown.returncode, "same bits" in shown.stderr) == (0, True)
    changed = json.loads(file.read_text())
    changed["receipt"]["answer_digest"] = "0" * 32
    file.write_text(json.dumps(changed))
    assert varlake("replay", file, lake=lake.path).returncode == 1
    assert "cannot be read" in refused("replay", tmp_path / "none.json", lake=lake.path)


def test_the_route(client: FlaskClient) -> None:
    told = client.get("/api/v1/var", query_string={"as_of": MONDAY.isoformat(), "by": "desk"}).json
    assert told is not None
    for body in (told, {"receipt": told["receipt"]}):
        done = client.post("/api/v1/replay", json=body)
        assert (done.status_code, done.json["verdict"]) == (200, "same bits"), done.json  # type: ignore[index]
    assert client.post("/api/v1/replay", json={"receipt": {}}).status_code == 422


def test_a_comparison_has_a_receipt_of_both_sides(valued_lake: Path, tmp_path: Path) -> None:
    file = tmp_path / "compared.json"
    asked = ("compare", "--from", FRIDAY, "--to", MONDAY, "--by", "desk", "--interval", "0.9", "--json")
    file.write_text(varlake(*asked, lake=valued_lake).stdout)
    done = answer("replay", file, lake=valued_lake)
    assert (done["verdict"], done["kind"]) == ("same bits", "compare")
    named = {i["input"] for i in done["inputs"]}
    assert {f"positions of {FRIDAY}", f"positions of {MONDAY}"} <= named


def test_a_stress_replays(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "stress.json"
    asked = ("stress", "--as-of", MONDAY, "--scenario", "equity -20%", "--by", "desk", "--value")
    file.write_text(json.dumps(answer(*asked, lake=lake.path)))
    done = answer("replay", file, lake=lake.path)
    assert (done["verdict"], done["kind"]) == ("same bits", "stress")
