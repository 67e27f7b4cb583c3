"""A receipt is enough to get the same bits again; whatever is not as it was is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import answer, refused, varlake
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY, book_csv

from aggregation.differences import differences
from aggregation.receipts import own_digest, sealed
from aggregation.replay import Replay, receipt_in, replay
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from valuation.books.positions import ingest_positions

QUERY = RiskQuery(as_of=MONDAY, by=("desk",), measures=("var", "es"))


@pytest.fixture
def lake(monday_lake: Path, tmp_path: Path) -> Lake:
    return Lake.open(shutil.copytree(monday_lake, tmp_path / "lake"))


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
    assert (done.verdict, states(done)["positions"]) == ("damaged", "missing")


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
    assert (done.verdict, states(done)["valuation"], done.recomputed_digest) == ("damaged", "damaged", None)
    assert done.why is not None
    assert file.stem in done.why
    saved = lake.path / "receipt.json"
    saved.write_text(json.dumps(told))
    shown = varlake("replay", saved, lake=lake.path)
    assert (shown.returncode, "damaged: " in shown.stdout + shown.stderr) == (3, True)


@pytest.mark.parametrize(
    "named",
    [{"positions_files": ["../../../secret"]}, {"positions_date": "x/../../.."}, {"positions_files": ["/etc/passwd"]}],
)
def test_a_receipt_names_no_file_outside_the_lake(
    lake: Lake, named: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {**receipt(lake), **named}
    looked_at: list[Path] = []
    monkeypatch.setattr(Path, "is_file", lambda path: looked_at.append(path))
    with pytest.raises(BadInput, match="does not name its inputs as a receipt of an answer does"):
        replay(lake, sealed(told))
    assert looked_at == []


def test_a_receipt_changed_by_hand_shows(lake: Lake) -> None:
    told = dict(receipt(lake))
    told["currency"] = "EUR"
    done = replay(lake, told)
    assert (done.verdict, states(done)) == ("altered", {"receipt": "damaged"})


def kept(lake: Lake) -> dict[str, Any]:
    """An answer as it is kept: what `--json` prints."""
    return answer("var", "--as-of", MONDAY, "--by", "desk", lake=lake.path)


def test_what_is_shown_is_held_to_the_recomputation(lake: Lake) -> None:
    """Every VaR in a saved answer set to 42.0, as reported."""
    told = kept(lake)
    figures = [told["total"]["var_0.99"], *(r["var_0.99"] for r in told["rows"])]
    for row in (told["total"], *told["rows"]):
        row["var_0.99"] = 42.0
    done = replay(lake, told)
    assert (done.verdict, states(done)) == ("altered", {})
    named = {(c.place, c.row, c.column, c.shown, c.recomputed) for c in done.changed}
    rows = [(f"/rows/{i}/var_0.99", f"desk={r['desk']}, status={r['status']}", r) for i, r in enumerate(told["rows"])]
    assert named == {
        (place, row, "var_0.99", "42.0", json.dumps(was))
        for (place, row, _), was in zip([("/total/var_0.99", "", None), *rows], figures, strict=True)
    }


def test_a_row_that_was_taken_out_or_put_in_is_named(lake: Lake) -> None:
    told = kept(lake)
    gone = told["rows"].pop(0)
    (one,) = replay(lake, told).changed
    assert (one.place, one.shown, json.loads(one.recomputed)) == ("/rows", "", gone)
    assert gone["desk"] in one.row
    told["rows"][:0] = [gone, {**gone, "desk": "Made Up"}]
    (one,) = replay(lake, told).changed
    assert (one.recomputed, "desk=Made Up" in one.row) == ("", True)
    del told["coverage"]
    assert "/coverage" in {c.place for c in replay(lake, told).changed}


def test_a_receipt_that_was_sealed_again_is_held_to_the_recomputation(lake: Lake) -> None:
    told = kept(lake)
    told["receipt"]["scenario_count"] += 1
    told["receipt"]["receipt_digest"] = own_digest(told["receipt"])
    for given in (told, told["receipt"]):
        (one,) = replay(lake, given).changed
        assert (one.place, one.column) == ("/receipt/scenario_count", "scenario_count")


def test_an_answer_of_other_code_is_held_to_all_it_shows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later code says more beside it, and has another digest of all that is said: the figures are what counts."""
    told = kept(lake)
    told["notes"] = []
    del told["coverage"]["substituted"]
    told["receipt"]["answer_digest"] = "0" * 32
    told["receipt"]["receipt_digest"] = own_digest(told["receipt"])
    assert replay(lake, told).verdict == "other bits"
    monkeypatch.setattr("aggregation.replay.code_digest", lambda: "other")
    done = replay(lake, told)
    assert (done.verdict, done.changed, states(done)) == ("same bits", (), {"code": "changed"})
    told["rows"][0]["es_0.99"] += 1.0
    done = replay(lake, told)
    assert (done.verdict, [c.column for c in done.changed]) == ("other bits", ["es_0.99"])


def test_numbers_are_compared_as_json_has_them() -> None:
    assert differences({"a": 1, "b": -0.0, "c": None}, {"a": 1.0, "b": 0.0, "c": None}) == []
    assert [c.place for c in differences({"a": True, "b": 0.1, "c": 0}, {"a": 1, "b": 0.1 + 2**-56, "c": None})] == [
        "/a",
        "/b",
        "/c",
    ]


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
        assert {i["state"] for i in done.json["inputs"]} == {"same"}  # type: ignore[index]
    told["total"]["var_0.99"] = 42.0
    done = client.post("/api/v1/replay", json=told)
    assert (done.status_code, done.json["verdict"]) == (200, "altered")  # type: ignore[index]
    assert [c["place"] for c in done.json["changed"]] == ["/total/var_0.99"]  # type: ignore[index]
    page = client.get("/api/v1/drill", query_string={"as_of": MONDAY.isoformat(), "limit": "2"}).json
    assert page is not None
    assert page["next_cursor"]
    assert client.post("/api/v1/replay", json=page).json["verdict"] == "same bits"  # type: ignore[index]
    broken = {**told["receipt"], "positions_files": 3}
    assert client.post("/api/v1/replay", json={"receipt": broken}).status_code == 422
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
