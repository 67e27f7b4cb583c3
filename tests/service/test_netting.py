"""Orders netted from the command line and over HTTP, and corporate actions at both doors."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import answer, varlake
from small_lake import MONDAY, SCENARIOS, no_spark

from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session
from lake.committer import Committer
from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings
from service.work import KINDS

ORDERS = f"""order_id,executed_at,side,symbol,quantity,currency,portfolio,client,account,desk,book,legal_entity,counterparty
A,{MONDAY}T10:00:00-04:00,buy,EQ:AAA,100,USD,Growth,House,H-1,US,EQ-1,Bank,Broker
B,{MONDAY}T17:00:00-04:00,sell,EQ:AAA,40,USD,Growth,House,H-1,US,EQ-1,Bank,Broker
"""
AT = f"{MONDAY}T16:00:00-04:00"


def test_the_command_and_the_route_make_the_same_book(work_lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    assert varlake("ingest", "orders", tmp_path / "orders.csv", lake=work_lake.path).returncode == 0
    shown = varlake("positions", "net", "--as-of", AT, "--positions-date", "2020-03-17", "--json", lake=work_lake.path)
    told = json.loads(shown.stdout)
    assert (told["netted"], told["later"], told["lines"], told["held"]) == (1, 1, 1, 1)
    web = create_app(Settings(lake=work_lake.path)).test_client()
    queued = web.post("/api/v1/positions/netted", json={"as_of": AT, "positions_date": "2020-03-17"})
    assert (queued.status_code, queued.get_json()["kind"]) == (202, "netting")
    with Committer(work_lake, "test") as committer:
        again = KINDS["netting"](
            Session(work_lake, VectorCache(work_lake), committer, no_spark), queued.get_json()["request"]
        )  # type: ignore[arg-type]
    assert again["version"] == told["version"]


def test_an_instant_without_a_zone_is_refused_at_both_doors(work_lake: Lake) -> None:
    refused = varlake("positions", "net", "--as-of", "2020-03-16T16:00:00", lake=work_lake.path)
    assert refused.returncode == 2
    assert "expected an instant with its zone" in refused.stderr
    web = create_app(Settings(lake=work_lake.path)).test_client()
    told = web.post("/api/v1/positions/netted", json={"as_of": "2020-03-16"})
    assert (told.status_code, told.content_type) == (422, "application/problem+json")
    assert "expected an instant with its zone" in told.get_data(as_text=True)


def test_corporate_actions_are_listed_and_a_plan_says_that_scenarios_would_be_others(
    work_lake: Lake, tmp_path: Path
) -> None:
    value = ("value", "--as-of", MONDAY, "-p", f"scenarios={SCENARIOS}", "--runner", "in-process")
    assert varlake(*value, lake=work_lake.path).returncode == 0
    assert not answer("var", "--as-of", MONDAY, "--plan", lake=work_lake.path)["newer_market_data"]
    (tmp_path / "actions.csv").write_text(f"risk_factor_id,ex_date,kind,ratio\nEQ:AAA,{MONDAY},split,4:1\n")
    shown = varlake("ingest", "corporate-actions", tmp_path / "actions.csv", lake=work_lake.path)
    assert shown.returncode == 0
    assert "0.25" in shown.stdout
    web = create_app(Settings(lake=work_lake.path)).test_client()
    (row,) = web.get("/api/v1/corporate-actions").get_json()["rows"]
    assert (row["risk_factor_id"], row["kind"], row["ratio"]) == ("EQ:AAA", "split", "4:1")
    planned = answer("var", "--as-of", MONDAY, "--plan", lake=work_lake.path)
    assert [r["as_of"] for r in planned["newer_market_data"]] == [str(MONDAY)]
