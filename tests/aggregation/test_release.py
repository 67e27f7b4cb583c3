"""Figures released: the table has the answer's bits, a restatement needs a reason and keeps what it restates."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from command_line import varlake
from deltalake import DeltaTable
from small_lake import FACTORS, FRIDAY, MONDAY, no_spark, request
from support import put_market, random_walks

from aggregation.change.released import released_of
from aggregation.questions import ask, read
from aggregation.release import ReleaseRequest, release
from aggregation.session import reading
from lake.canonical import from_json
from lake.committer import Committer
from lake.errors import BadInput, Conflict
from lake.tables import Lake
from lake.versions import commits
from service.api.app import create_app
from service.config import Settings
from service.encoding import to_json
from service.jobs import JobTable
from service.work import KINDS
from valuation.sets.requests import run_valuation


@pytest.fixture
def lake(valued_copy: Lake) -> Lake:
    return valued_copy


def value(lake: Lake, day: dt.date) -> None:
    with Committer(lake, "test") as committer:
        run_valuation(committer, request(day), spark=no_spark)


def kept(lake: Lake, name: str = "var", **more: Any) -> dict[str, Any]:
    asked = {"as_of": str(MONDAY)} if name == "var" else {"from": str(FRIDAY), "to": str(MONDAY)}
    answer = ask(reading(lake), name, read(name, {**asked, "by": ["desk"], "levels": ["0.95"], **more}))
    found: dict[str, Any] = from_json(to_json(answer.to_dict()))
    return found


def released(lake: Lake, answer: dict[str, Any], reason: str = "") -> dict[str, Any]:
    with Committer(lake, "test") as committer:
        return release(committer, ReleaseRequest(answer=answer, released_by="Risk Control", reason=reason))


def correct(lake: Lake) -> None:
    walks = random_walks(FACTORS, dt.date(2019, 12, 2), dt.date(2020, 3, 17))
    walks["EQ:AAA"][dt.date(2020, 3, 4)] = 250.0
    put_market(lake, FACTORS, walks)
    value(lake, MONDAY)


def test_a_restatement_needs_a_reason_and_keeps_what_it_restates(lake: Lake) -> None:
    first = kept(lake)
    done = released(lake, first)  # two desks and all that is held, VaR and ES
    assert (done["new"], done["restated"], done["unchanged"]) == (6, 0, 0)
    assert released(lake, first["receipt"])["unchanged"] == 6
    rows = released_of(lake, MONDAY).to_pylist()
    told = {(r["node"], r["figure"]): r["value"] for r in rows}
    assert told[("", "es_0.95")] == first["total"]["es_0.95"]
    assert {n: told[(f"desk={n}", "var_0.95")] for n in ("Equities", "Options")} == {
        r["desk"]: r["var_0.95"] for r in first["rows"]
    }
    assert {(r["measure"], r["level"], r["released_by"], r["release"]) for r in rows} == {
        (m, "0.95", "Risk Control", 1) for m in ("var", "es")
    }
    correct(lake)
    second = kept(lake)
    with pytest.raises(BadInput, match="Give the reason of the restatement"):
        released(lake, second)
    assert released_of(lake, MONDAY, every=True).num_rows == 6
    done = released(lake, second, "AAA of 4 March was corrected by the vendor")
    assert (done["new"], done["restated"] + done["unchanged"]) == (0, 6)
    assert done["restated"] > 0
    (now,) = [r for r in released_of(lake, MONDAY).to_pylist() if (r["node"], r["figure"]) == ("", "es_0.95")]
    assert (now["release"], now["restates"]) == (2, first["receipt"]["receipt_digest"])
    assert (now["value"], now["reason"]) == (second["total"]["es_0.95"], "AAA of 4 March was corrected by the vendor")
    every = released_of(lake, MONDAY, every=True).to_pylist()
    assert first["total"]["es_0.95"] in [r["value"] for r in every if r["release"] == 1]


def test_other_readers_see_the_same_bits(lake: Lake) -> None:
    released(lake, kept(lake))
    expected = {(r["node"], r["figure"]): r["value"].hex() for r in released_of(lake, MONDAY).to_pylist()}
    folder = str(lake.path / "released_results")
    frames = {
        "polars": pl.read_delta(folder).to_dicts(),
        "pandas": DeltaTable(folder).to_pandas().to_dict("records"),
        "duckdb": duckdb.sql(f"select * from read_parquet({DeltaTable(folder).file_uris()}, hive_partitioning = true)")
        .to_arrow_table()
        .to_pylist(),
    }
    for reader, rows in frames.items():
        assert {(r["node"], r["figure"]): float(r["value"]).hex() for r in rows} == expected, reader


def test_a_series_releases_every_day_as_the_days_alone_do(lake: Lake) -> None:
    done = released(lake, kept(lake, "series", measures=["var", "es"]))
    assert (done["new"], done["dates"]) == (12, [str(FRIDAY), str(MONDAY)])
    assert released(lake, kept(lake)) == {
        "new": 0,
        "restated": 0,
        "unchanged": 6,
        "dates": [str(MONDAY)],
        "restatements": [],
    }


@pytest.mark.parametrize(
    ("more", "why"),
    [({"positions_date": str(FRIDAY)}, "positions_date"), ({"limit": 1}, "limit"), ({"subtotals": True}, "subtotals")],
)
def test_what_is_no_number_of_a_day_is_refused(lake: Lake, more: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        released(lake, kept(lake, **more))


def test_an_altered_answer_and_another_question_are_refused(lake: Lake) -> None:
    answer = kept(lake)
    answer["total"]["es_0.95"] += 1.0
    with pytest.raises(Conflict, match="replays with altered"):
        released(lake, answer)
    pivot = ask(reading(lake), "pivot", read("pivot", {"as_of": str(MONDAY), "rows": ["desk"], "columns": ["book"]}))
    with pytest.raises(BadInput, match="var and series are released"):
        released(lake, from_json(to_json(pivot.to_dict())))
    assert lake.version("released_results") == -1


def test_a_comparison_says_that_a_day_was_restated_since_its_release(lake: Lake) -> None:
    first = kept(lake)
    released(lake, first)
    query = read("compare", {"from": str(MONDAY), "to": str(FRIDAY), "levels": ["0.95"]})
    assert not any("released" in n for n in ask(reading(lake), "compare", query).notes)
    correct(lake)
    was, now = first["total"]["es_0.95"], kept(lake)["total"]["es_0.95"]
    (note,) = [n for n in ask(reading(lake), "compare", query).notes if n.startswith("es_0.95")]
    assert note.endswith(f"is {now:,.2f} now, restated by {now - was:+,.2f}.")


def test_the_command_releases_lists_and_refuses(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(kept(lake)))
    done = varlake("release", "answer", file, "--released-by", "Risk Control", lake=lake.path)
    assert done.returncode == 0, done.stderr
    assert "Released 6 new figures of 2020-03-16; 0 restated, 0 unchanged." in done.stdout + done.stderr
    listed = varlake("release", "list", MONDAY, "--json", lake=lake.path)
    assert len(json.loads(listed.stdout)) == 6
    file.write_text("{}")
    refused = varlake("release", "answer", file, "--released-by", "Risk Control", lake=lake.path)
    assert refused.returncode == 2
    assert "There is no receipt" in refused.stderr


def test_over_http(lake: Lake) -> None:
    client = create_app(Settings(lake=lake.path)).test_client()
    answer = kept(lake)
    body = {"answer": answer, "released_by": "Risk Control"}
    assert client.post("/api/v1/released-results", json={"answer": {}, "released_by": "x"}).status_code == 422
    assert client.post("/api/v1/released-results", json=body).status_code == 202
    queued = JobTable.of(lake).newest(None, 1, None)[0]
    with Committer(lake, "test") as committer:
        assert KINDS[queued.kind](reading(lake).writing(committer), queued.request)["new"] == 6
    rows = client.get("/api/v1/released-results", query_string={"date": str(MONDAY)}).json["rows"]  # type: ignore[index]
    assert {(r["node"], r["figure"]): r["value"] for r in rows}[("", "es_0.95")] == answer["total"]["es_0.95"]
    correct(lake)
    now = client.post("/api/v1/replay/now", json=answer)
    assert now.status_code == 200, now.get_data(as_text=True)
    assert now.json is not None
    assert [r["as_of_date"] for r in now.json["market_data"]] == ["2020-03-04"]
    wanted = {"risk_factor_id": "EQ:AAA", "date": "2020-03-04"}
    told = client.get("/api/v1/market-data/history", query_string=wanted).get_json()
    assert ([v["value_used"] for v in told["rows"]][-1], told["notes"]) == (250.0, [])
    (first, *_) = (c for c in commits(lake, "market_data") if c.added)
    for file in first.added.keys() & commits(lake, "market_data")[-1].removed.keys():
        (lake.path / "market_data" / file).unlink()
    left = client.get("/api/v1/market-data/history", query_string=wanted).get_json()
    assert (len(left["rows"]), len(left["notes"])) == (len(told["rows"]) - 1, 1)
    assert f"version {first.version} are no longer in the lake" in left["notes"][0]
    assert client.get("/api/v1/market-data/history", query_string={**wanted, "date": "x"}).status_code == 422
    assert client.post("/api/v1/replay/now", json={**answer, "receipt": {"kind": "var"}}).status_code == 422
