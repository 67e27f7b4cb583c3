"""Held market values at every door, and in the answers that met one."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from command_line import answer, refused, varlake
from small_lake import MONDAY, no_spark, request
from support import wait_for

from aggregation.questions import ask, read
from aggregation.replay import replay
from aggregation.session import reading
from lake.committer import Committer
from lake.tables import Lake
from scenarios.market.issues import CheckRequest, MarketAct, _set, act_on, newest_issues, run_check
from service.api.app import create_app
from service.config import Settings
from service.jobs import JobTable
from service.processes.engine import run_engine
from valuation.sets.requests import run_valuation

BAD = dt.date(2020, 3, 4)


def spoil(lake: Lake) -> None:
    """EQ:AAA stands at ten times its price on one day, as it was stored before there were gates; it is held then."""
    rows = lake.read("market_data")
    here = pa.array([(r["risk_factor_id"], r["as_of_date"]) == ("EQ:AAA", BAD) for r in rows.to_pylist()])
    (level,) = rows.filter(here)["value_used"].to_pylist()
    with Committer(lake, "test") as committer:
        committer.put("market_data", _set(rows, here, value_received=10 * level, value_used=10 * level), replace=True)
        run_check(committer, CheckRequest(hold=True))
    assert [(i["risk_factor_id"], i["as_of_date"]) for i in newest_issues(lake) if i["state"] == "held"] == [
        ("EQ:AAA", BAD)
    ]


def var(lake: Lake) -> dict[str, Any]:
    with Committer(lake, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]
    found: dict[str, Any] = ask(reading(lake), "var", read("var", {"as_of": str(MONDAY), "by": ["desk"]})).to_dict()
    return found


def test_an_answer_says_what_was_held_and_what_somebody_decided(work_lake: Lake) -> None:
    clean = var(work_lake)
    assert not [n for n in clean["notes"] if "market value" in n]
    assert "market_acts" not in clean["receipt"]
    spoil(work_lake)
    held = var(work_lake)
    assert [n for n in held["notes"] if "market value" in n] == [
        "1 market value is held back as suspicious and not used: EQ:AAA 2020-03-04 (bounds, redenomination, split, spike)."
    ]
    assert "market_acts" not in held["receipt"]
    # the move into the day and the one out of it are no scenarios, with their reason
    assert {d for d, why in held["receipt"]["dropped_days"].items() if "EQ:AAA" in why} == {"2020-03-04", "2020-03-05"}
    with Committer(work_lake, "test") as committer:
        act_on(
            committer,
            MarketAct(act="override", factor="EQ:AAA", date=BAD, value=100.0, reason="from the exchange", author="ann"),
        )
    done = var(work_lake)
    (note,) = [n for n in done["notes"] if "market value" in n]
    assert note == "1 market value is overridden by hand: EQ:AAA 2020-03-04 (from the exchange)."
    (act,) = done["receipt"]["market_acts"]
    assert (act["value_used"], act["author"], act["rules"][-1], act["state"]) == (100.0, "ann", "spike", "overridden")
    for kept in (clean, held, done):  # each as it was told then
        assert replay(work_lake, kept).verdict == "same bits"


def test_the_commands(work_lake: Lake, tmp_path: Path) -> None:
    spoil(work_lake)
    at = work_lake.path
    rows = answer("market", "issues", "--state", "held", lake=at)
    assert [(r["risk_factor_id"], r["as_of_date"], r["value_used"]) for r in rows] == [("EQ:AAA", str(BAD), None)]
    table = varlake("market", "issues", "--factor", "EQ:AAA", "--columns", "as_of_date,rules,detail", lake=at).stdout
    assert "bounds, redenomination, split, spike" in table
    assert "There is no such issue." in varlake("market", "issues", "--rule", "stale", lake=at).stderr
    assert "Nearest valid: spike" in refused("market", "issues", "--rule", "spyke", lake=at)
    assert "--first 'yesterday' is no date" in refused("market", "issues", "--first", "yesterday", lake=at)
    assert "at least 3 characters" in refused("market", "release", "EQ:AAA", BAD, "--reason", "", lake=at)
    assert "Nearest valid: EQ:AAA" in refused("market", "release", "EQ:AAB", BAD, "--reason", "seen", lake=at)
    assert "finite number" in refused(
        "market", "override", "EQ:AAA", BAD, "--value", "inf", "--reason", "seen", lake=at
    )
    done = varlake(
        "market", "proxy", "EQ:AAA", BAD, "--by", "EQ:BBB", "--reason", "no print", "--author", "ann", lake=at
    )
    assert re.fullmatch(r"EQ:AAA on 2020-03-04 is proxied by ann: [\d.]+ is used, [\d.]+ was received.\n", done.stderr)
    (row,) = answer("market", "issues", "--state", "proxied", lake=at)
    assert (row["proxy"], row["author"], row["reason"]) == ("EQ:BBB", "ann", "no print")
    checked = answer("market", "check", lake=at)
    assert [i for i in checked["issues"] if i["state"] == "held"] == []
    own = tmp_path / "own.toml"
    own.write_text("[spyke]\ndays = 2\n")
    assert "Nearest valid: spike" in refused("market", "check", "--gates", own, lake=at)


def test_the_routes(work_lake: Lake, stop: threading.Event) -> None:
    spoil(work_lake)
    settings = Settings(lake=work_lake.path)
    client = create_app(settings).test_client()
    page = client.get("/api/v1/market/issues?state=held").get_json()
    assert [(r["key"], r["rules"][-1], r["value_used"]) for r in page["rows"]] == [(f"{BAD} EQ:AAA", "spike", None)]
    assert client.get("/api/v1/market/issues?rule=spyke").status_code == 422
    text = client.get("/api/v1/market/issues?format=csv").text
    assert next(csv.DictReader(text.splitlines()))["risk_factor_id"]
    body = {"act": "release", "factor": "EQ:AAA", "date": str(BAD), "reason": "seen", "author": "ann"}
    for change, status, said in (
        ({"factor": "EQ:AAB"}, 404, "Nearest valid: EQ:AAA"),
        ({"act": "override"}, 422, "an override needs a value"),
        ({"author": ""}, 422, "author"),
        ({"factor": "EQ:BBB"}, 422, "not held"),
    ):
        answered = client.post("/api/v1/market/acts", json={**body, **change})
        assert (answered.status_code, answered.mimetype) == (status, "application/problem+json")
        assert said in json.dumps(answered.get_json())
    engine = threading.Thread(target=run_engine, args=(settings, stop))
    engine.start()
    try:
        for path, sent in (("acts", body), ("check", {"hold": True})):
            accepted = client.post(f"/api/v1/market/{path}", json=sent)
            assert accepted.status_code == 202
            job = accepted.headers["Location"].rsplit("/", 1)[-1]
            done = wait_for(lambda job=job: (j := JobTable.of(work_lake).get(job)).state in ("done", "failed") and j)
            assert done.state == "done", done.problem
    finally:
        stop.set()
        engine.join()
    (issue,) = [i for i in newest_issues(work_lake) if i["state"] != "missing"]
    assert (issue["state"], issue["author"]) == ("released", "ann")
    assert issue["value_used"] == issue["value_received"]


@pytest.mark.parametrize("given", ["option", "setting"])
def test_own_parameters_come_with_an_ingest(tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spike of eight percent where a usual move is one, held by the shipped parameters and not by one's own."""
    days = [dt.date(2020, 1, 1) + dt.timedelta(i) for i in range(150)]
    days = [d for d in days if d.weekday() < 5]
    levels = [100 * (1.01 if i % 2 else 1.0) * (1.08 if i == 80 else 1.0) for i in range(len(days))]
    (tmp_path / "a.csv").write_text("Date,A\n" + "".join(f"{d},{v:.4f}\n" for d, v in zip(days, levels, strict=True)))
    (tmp_path / "own.toml").write_text(
        'name = "own"\n[source.a]\nfile = "a.csv"\nlayout = "series"\n'
        'factor = { id = "EQ:A", type = "equity_price", currency = "USD" }\n'
    )
    (tmp_path / "gates.toml").write_text('[spike.usual_moves]\n"EQ:A" = 20\n')
    words = ("ingest", "market", tmp_path, "--catalogue", tmp_path / "own.toml")
    shipped = answer(*words, lake=tmp_path / "one")
    assert shipped["sources"][0]["held"] == 1
    assert "1 value is held, such as EQ:A on 2020-04-22 (spike: 108, after 101" in shipped["sources"][0]["notes"][0]
    if given == "setting":
        monkeypatch.setenv("VARLAKE_GATES", str(tmp_path / "gates.toml"))
    else:
        words = (*words, "--gates", tmp_path / "gates.toml")
    assert answer(*words, lake=tmp_path / "two")["sources"][0]["held"] == 0


def test_arbitrage_in_a_stored_surface_is_listed_and_nothing_is_changed(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    factor = 'id = "IV:X:{expiry}:{moneyness}", type = "implied_vol", currency = "USD"'
    (tmp_path / "c.toml").write_text(
        'name = "t"\n[source.smile]\nfile = "smile.csv"\nlayout = "surface"\nby = { expiry = "Expiry" }\nheader = "moneyness"\n'
        f'factor = {{ {factor}, attributes = {{ asset = "X", expiry = "{{expiry}}", moneyness = "{{moneyness}}" }} }}\n'
    )
    (tmp_path / "smile.csv").write_text(
        "Date,Expiry,90,100,110\n2020-03-16,1Y,.2,.3,.2\n2020-03-17,1Y,.32,.3,.29\n2020-03-18,1Y,.32,,.29\n"
    )
    answer("ingest", "market", tmp_path, "--catalogue", tmp_path / "c.toml", lake=lake.path)
    version = lake.version("market_data")
    (found,) = answer("market", "arbitrage", "X", "2020-03-16", lake=lake.path)["arbitrages"]
    assert (found["kind"], found["strikes"]) == ("butterfly", pytest.approx([90, 100, 110]))
    said = varlake("market", "arbitrage", "X", "2020-03-16", lake=lake.path)
    assert "90%, 100%, 110%" in said.stdout
    one_expiry = "It has one expiry, so that no calendar can be judged."
    none = answer("market", "arbitrage", "X", "2020-03-17", lake=lake.path)
    assert none == {"arbitrages": [], "not_checked": [one_expiry]}
    said = varlake("market", "arbitrage", "X", "2020-03-17", lake=lake.path)
    assert "The points of X on 2020-03-17 that have a level allow no arbitrage." in said.stdout + said.stderr
    assert f"Not checked: {one_expiry}" in said.stdout + said.stderr
    lacking = answer("market", "arbitrage", "X", "2020-03-18", lake=lake.path)
    assert lacking["not_checked"] == ["1 point has no level: IV:X:1Y:100.", one_expiry]
    assert "Unknown volatility 'Y'. Nearest valid: X." in refused(
        "market", "arbitrage", "Y", "2020-03-17", lake=lake.path
    )
    assert lake.version("market_data") == version
