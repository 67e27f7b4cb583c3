"""Drivers and the reconciliation of conventions as a user asks for them: on the command line, over HTTP, replayed, as pictures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from command_line import answer, plain, refused, varlake
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY

from aggregation.change.drivers import run_drivers
from aggregation.change.reconciliation import Theirs, reconcile
from aggregation.replay import replay
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.tables import Lake

ASKED = {"measures": ("es",), "levels": ("0.9",)}


@pytest.fixture(scope="module")
def lake(valued_lake: Path) -> Lake:
    return Lake.open(valued_lake)


def test_drivers_on_the_command_line_and_over_http(lake: Lake, client: FlaskClient, tmp_path: Path) -> None:
    queries = [RiskQuery.model_validate({"as_of": d, **ASKED}) for d in (FRIDAY, MONDAY)]
    expected = plain(run_drivers(lake, queries, most=2).to_dict())
    assert expected["drivers"][0]["driver"] == "instrument=EQ:BBB"
    asked = ("drivers", "--from", FRIDAY, "--to", MONDAY, "--measure", "es", "--level", "0.9", "--max", "2")
    assert plain(answer(*asked, lake=lake.path)) == expected
    shown = varlake(*asked, "--plot", tmp_path / "a.svg", lake=lake.path)
    assert "instrument=EQ:BBB" in shown.stdout
    assert "rest" in shown.stdout
    assert "instrument=EQ:BBB" in (tmp_path / "a.svg").read_text()

    path = f"/api/v1/drivers?from={FRIDAY}&to={MONDAY}&measure=es&level=0.9&max=2"
    assert plain(client.get(path).get_json()) == expected
    rows = list(csv.DictReader(client.get(f"{path}&format=csv").get_data(as_text=True).splitlines()))
    assert [float(r["change"]) for r in rows] == [d["change"] for d in (*expected["drivers"], expected["rest"])]
    assert client.get(f"{path}&over=desk").get_json()["drivers"][0]["members"][0]["dimension"] == "desk"


def test_drivers_of_one_day(lake: Lake, client: FlaskClient) -> None:
    one = answer("drivers", "--to", MONDAY, "--over", "desk", lake=lake.path)
    assert one["change"] == run_query(lake, RiskQuery(as_of=MONDAY)).total["var_0.99"]
    assert [d["driver"] for d in one["drivers"]] == ["desk=Equities"]
    assert client.get(f"/api/v1/drivers?to={MONDAY}&over=desk").get_json() == one
    assert "desk=Equities" in varlake("drivers", "--to", MONDAY, "--over", "desk", lake=lake.path).stdout


def test_reconcile_on_the_command_line_and_over_http(lake: Lake, client: FlaskClient) -> None:
    query = RiskQuery.model_validate({"as_of": MONDAY, "levels": ("0.9",)})
    pnl = -run_query(lake, query).total["var_0.9"]
    printed = f"{pnl:.2f}"  # with the other sign
    expected = plain(reconcile(lake, query, Theirs.parse(printed)).to_dict())
    assert expected["candidates"][0]["differences"] == [{"convention": "sign", "theirs": "losses negative"}]
    asked = ("reconcile", "--as-of", MONDAY, "--theirs", printed, "--level", "0.9")
    assert plain(answer(*asked, lake=lake.path)) == expected
    shown = varlake(*asked, lake=lake.path)
    assert "sign: losses negative" in shown.stdout
    assert "are to be expected by accident" in shown.stderr
    path = f"/api/v1/reconcile?as_of={MONDAY}&theirs={printed}&level=0.9"
    assert plain(client.get(path).get_json()) == expected
    rows = list(csv.DictReader(client.get(f"{path}&format=csv").get_data(as_text=True).splitlines()))
    assert rows[0]["reading"] == "sign: losses negative"
    near = answer(
        "reconcile", "--as-of", MONDAY, "--theirs", printed, "--level", "0.9", "--tolerance", "1000", lake=lake.path
    )
    assert near["matches"] > expected["matches"]


def test_both_are_replayed_from_their_receipts(lake: Lake) -> None:
    queries = [RiskQuery.model_validate({"as_of": d, **ASKED}) for d in (FRIDAY, MONDAY)]
    for receipt in (
        run_drivers(lake, queries, most=3, over=("desk", "client")).receipt,
        run_drivers(lake, queries[:1]).receipt,
        reconcile(lake, queries[0], Theirs.parse("12.5")).receipt,
    ):
        assert replay(lake, receipt).verdict == "same bits"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("drivers", "--to", MONDAY, "--over", "dsk"), "Nearest valid: desk"),
        (("drivers", "--to", MONDAY, "--measure", "volatility"), "expected one of var, es"),
        (("drivers", "--to", "2020-03-15"), "The lake lacks positions of 2020-03-15"),
        (("reconcile", "--as-of", MONDAY, "--theirs", "twelve"), "with the digits it printed, such as"),
        (("reconcile", "--as-of", MONDAY, "--theirs", "1", "--measure", "mean"), "expected one of var, es"),
        (("reconcile", "--as-of", MONDAY, "--theirs", "1", "--level", "1.5"), "between 0 and 1"),
    ],
)
def test_bad_questions(lake: Lake, arguments: tuple[Any, ...], says: str) -> None:
    assert says in refused(*arguments, lake=lake.path)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        (f"drivers?to={MONDAY}&max=0", "/max"),
        (f"drivers?to={MONDAY}&form=csv", "/form"),
        ("reconcile?as_of=2020-03-16&theirs=abc", "/theirs"),
        ("reconcile?as_of=2020-03-16&theirs=1&tolerance=-1", "/tolerance"),
    ],
)
def test_bad_requests(client: FlaskClient, path: str, pointer: str) -> None:
    got = client.get(f"/api/v1/{path}")
    assert got.status_code == 422
    assert got.get_json()["errors"][0]["pointer"] == pointer
