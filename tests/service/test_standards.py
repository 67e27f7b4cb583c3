"""A question that names no scenarios and no currency is answered from the standard, whatever was valued last."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import answer, refused, varlake
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY, SCENARIOS, book_csv, no_spark, request
from support import factor, put_market, random_walks

from aggregation.questions import ask, read
from aggregation.replay import replay
from aggregation.risk.query import run_query
from aggregation.session import reading
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import BadInput, NotFound, NotValued
from lake.tables import Lake
from scenarios.store import find_scenario_set
from service.api.app import create_app
from service.config import Settings
from service.jobs import JobTable
from valuation.books.positions import ingest_positions
from valuation.sets import run
from valuation.sets.requests import ValuationRequest, run_valuation
from valuation.sets.standards import StandardRequest, set_standard, standards

MONTE_CARLO = {"method": "monte_carlo", "parameters": {"scenarios": 100, "window": 60}, "name": "monte_carlo-100"}
TEN_DAYS = {"parameters": {"scenarios": SCENARIOS, "horizon_days": 10}}


def value(lake: Lake, **more: Any) -> str:
    with Committer(lake, "test") as committer:
        done = run_valuation(committer, request(MONDAY, **more), spark=no_spark)  # type: ignore[arg-type]
    return done.valuation_set.valuation_set_id


def put(lake: Lake, **standard: Any) -> None:
    with Committer(lake, "test") as committer:
        set_standard(committer, StandardRequest(**standard))


def answering(lake: Lake, **more: Any) -> str:
    return str(run_query(lake, RiskQuery.model_validate({"as_of": MONDAY, **more})).receipt["valuation_set_id"])


def test_the_first_sample_is_the_standard_and_later_ones_change_no_number(work_lake: Lake) -> None:
    crash = {"method": "stress", "parameters": {"text": "equity -20%"}, "name": "crash"}
    value(work_lake, scenarios=crash)
    assert standards(work_lake) == {}
    first = value(work_lake)
    assert standards(work_lake)[None].scenario_set == f"historical-{SCENARIOS}"
    before = answer("var", "--as-of", MONDAY, lake=work_lake.path)
    other = value(work_lake, scenarios=MONTE_CARLO)
    after = answer("var", "--as-of", MONDAY, lake=work_lake.path)
    assert after["total"] == before["total"]
    assert after["receipt"]["valuation_set_id"] == first
    assert after["receipt"]["standard"]["version"] == 1
    assert answering(work_lake, scenario_set="monte_carlo-100") == other
    assert len(standards(work_lake)) == 1


def test_a_run_killed_between_seal_and_standard_makes_it_when_it_is_run_again(
    work_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(run, "first_standard", killed)
        with pytest.raises(SystemExit):
            value(work_lake)
    assert standards(work_lake) == {}
    value(work_lake)
    assert standards(work_lake)[None].scenario_set == f"historical-{SCENARIOS}"


def test_a_day_without_the_standard_says_what_is_there_and_values_the_standard(work_lake: Lake) -> None:
    value(work_lake)
    friday = {"as_of": FRIDAY, "positions_dates": (FRIDAY,)}
    with Committer(work_lake, "test") as committer:
        given = ValuationRequest.model_validate({**friday, "scenarios": MONTE_CARLO, "runner": "in-process"})
        run_valuation(committer, given, spark=no_spark)  # type: ignore[arg-type]
    with pytest.raises(NotValued, match=f"historical-{SCENARIOS}, the standard.*Valued for that day: monte_carlo-100"):
        answering(work_lake, as_of=FRIDAY)
    made = answer("var", "--as-of", FRIDAY, "--value", lake=work_lake.path)
    assert made["receipt"]["scenario_set_name"] == f"historical-{SCENARIOS}"


def test_the_line_under_an_answer_and_its_title_say_what_is_not_standard(work_lake: Lake) -> None:
    value(work_lake)
    value(work_lake, scenarios={**TEN_DAYS, "name": "ten-days"})
    standard = varlake("var", "--as-of", MONDAY, lake=work_lake.path)
    other = varlake("var", "--as-of", MONDAY, "--scenario-set", "ten-days", lake=work_lake.path)
    assert f"scenarios of historical-{SCENARIOS} (historical, 1 day, 20" in standard.stderr
    assert "not the standard" not in standard.stderr + standard.stdout
    assert "ten-days (historical, 10 days, 20" in other.stderr
    assert f"not the standard historical-{SCENARIOS}" in other.stderr
    assert "10 days, ten-days (historical)" in " ".join(other.stdout.split())


def test_a_name_means_what_was_last_made_under_it(work_lake: Lake) -> None:
    one_day = value(work_lake, scenarios={"parameters": {"scenarios": SCENARIOS}, "name": "house"})
    ten_days = value(work_lake, scenarios={**TEN_DAYS, "name": "house"})
    assert answering(work_lake) == answering(work_lake, scenario_set="house") == ten_days
    again = value(work_lake, scenarios={"parameters": {"scenarios": SCENARIOS}, "name": "house"})
    assert again == one_day
    assert answering(work_lake) == answering(work_lake, scenario_set="house") == one_day
    assert find_scenario_set(work_lake, "house").version == 3


def test_every_name_of_a_set_answers(work_lake: Lake) -> None:
    recipe = {"parameters": {"scenarios": SCENARIOS}}
    alpha = value(work_lake, scenarios={**recipe, "name": "alpha"})
    with Committer(work_lake, "test") as committer:
        given = request(MONDAY, scenarios={**recipe, "name": "beta"})
        assert run_valuation(committer, given, spark=no_spark).valuation_set.valuation_set_id == alpha  # type: ignore[arg-type]
    for name in ("alpha", "beta"):
        found = run_query(work_lake, RiskQuery(as_of=MONDAY, scenario_set=name)).receipt
        assert (found["valuation_set_id"], found["scenario_set_name"]) == (alpha, name)
        found = run_query(work_lake, RiskQuery(as_of=MONDAY, scenario_set=name, valuation_set=alpha)).receipt
        assert found["scenario_set_name"] == name
    assert answer("var", "--as-of", MONDAY, "--scenario-set", "beta", "--value", lake=work_lake.path)
    with pytest.raises(NotFound, match="Nearest valid: beta"):
        answering(work_lake, scenario_set="betta")


def test_a_desk_has_its_own(work_lake: Lake) -> None:
    of_lake, of_desk = value(work_lake), value(work_lake, scenarios=MONTE_CARLO)
    put(work_lake, desk="Options", scenario_set="monte_carlo-100", currency="EUR", reason="they hold options")
    assert answering(work_lake, where=["desk=Options"]) == of_desk
    assert answering(work_lake) == answering(work_lake, where=["desk=Options,Equities"]) == of_lake
    assert answering(work_lake, where=["desk!=Options"]) == of_lake
    found = answer("var", "--as-of", MONDAY, "--where", "desk=Options", lake=work_lake.path)
    assert (found["query"]["currency"], found["receipt"]["standard"]["desk"]) == ("EUR", "Options")
    put(work_lake, desk="Options", inherit=True)
    assert answering(work_lake, where=["desk=Options"]) == of_lake
    assert standards(work_lake)["Options"].version == 2


def test_a_receipt_replays_after_the_standard_has_changed(work_lake: Lake) -> None:
    value(work_lake)
    value(work_lake, scenarios=MONTE_CARLO)
    session = reading(work_lake)
    asked = read("var", {"as_of": str(MONDAY), "by": ["desk"]})
    receipt = json.loads(json.dumps(ask(session, "var", asked).to_dict()["receipt"], default=str))
    put(work_lake, scenario_set="monte_carlo-100", currency="EUR")
    assert ask(session, "var", asked).query.currency == "EUR"
    assert replay(work_lake, receipt).verdict == "same bits"


def test_a_lake_of_one_currency_reports_in_it(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    factors = [factor("EQ:BBB", "equity_price", "EUR")]
    put_market(lake, factors, random_walks(factors, FRIDAY.replace(month=1), MONDAY))
    book = tmp_path / "book.csv"
    rows = [r for r in csv.DictReader(io.StringIO(book_csv())) if r["underlying"] == "EQ:BBB"]
    with book.open("w", newline="") as file:
        written = csv.DictWriter(file, list(rows[0]))
        written.writeheader()
        written.writerows(rows)
    with Committer(lake, "test") as committer:
        assert ingest_positions(committer, book).rejected == 0
    value(lake)
    assert answer("var", "--as-of", MONDAY, lake=lake.path)["query"]["currency"] == "EUR"
    assert standards(lake)[None].currency == "EUR"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"scenario_set": "historcal-30"}, NotFound, "Nearest valid: historical-30"),
        ({"scenario_set": "crash"}, BadInput, "answer only where they are named"),
        ({"desk": "Optionz", "currency": "EUR"}, NotFound, "Nearest valid: Options"),
    ],
)
def test_what_can_be_no_standard_is_refused(work_lake: Lake, given: dict, error: type, said: str) -> None:
    value(work_lake, scenarios={"method": "stress", "parameters": {"text": "equity -20%"}, "name": "crash"})
    value(work_lake)
    with pytest.raises(error, match=said):
        put(work_lake, **given)
    assert standards(work_lake)[None].version == 1


def test_commands(work_lake: Lake) -> None:
    path = work_lake.path
    assert "There is no standard yet" in varlake("standard", "list", lake=path).stderr
    value(work_lake)
    assert "give a scenario set" in refused("standard", "set", lake=path)
    done = varlake("standard", "set", "--currency", "EUR", "--reason", "reporting", lake=path)
    assert f"The standard of the lake is historical-{SCENARIOS}, EUR, version 2." in done.stderr
    rows = json.loads(varlake("standard", "list", "--all", "--json", lake=path).stdout)
    assert [(r["version"], r["currency"], r["reason"]) for r in rows] == [
        (1, "USD", "the first sample valued in the lake"),
        (2, "EUR", "reporting"),
    ]


def test_over_http(work_lake: Lake) -> None:
    value(work_lake)
    client: FlaskClient = create_app(Settings(lake=work_lake.path)).test_client()
    assert client.post("/api/v1/standards", json={}).status_code == 422
    assert client.post("/api/v1/standards", json={"scenario_set": "none"}).status_code == 404
    accepted = client.post("/api/v1/standards", json={"currency": "eur"})
    assert accepted.status_code == 202
    queued = JobTable.of(work_lake).newest(None, 1, None)[0]
    assert (queued.kind, queued.request["currency"]) == ("standard", "EUR")
    (row,) = client.get("/api/v1/standards").json["rows"]  # type: ignore[index]
    assert (row["desk"], row["scenario_set"], row["version"]) == (None, f"historical-{SCENARIOS}", 1)
