"""Routes about what the installation knows and what the lake holds: contents, formats, pages, ETags."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from small_lake import BOOK, FORMULA, FRIDAY, MONDAY, SCENARIOS

from aggregation.dimensions import DIMENSIONS
from aggregation.kernels.tail import ESTIMATORS
from aggregation.measures import MEASURES
from lake.committer import Committer
from lake.tables import Lake
from scenarios.generators import GENERATORS
from scenarios.store import load_scenario_set
from service.api.app import create_app
from service.config import Settings
from service.ingests import INGESTS
from valuation.catalogue import INSTRUMENTS

LISTS = (
    "dimensions",
    "measures",
    "estimators",
    "instruments",
    "scenario-methods",
    "risk-factors",
    "scenario-sets",
    "valuation-sets",
    "valuation-sets/days",
    "market-data/ranges",
    "positions/dates",
    "positions?date=2020-03-16",
)


def get(client: FlaskClient, path: str, **headers: str) -> Any:
    answer = client.get(f"/api/v1/{path}", headers=headers)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def rows(client: FlaskClient, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(client, path)["rows"]
    return found


def read_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize(
    ("path", "key", "table"),
    [
        ("dimensions", "name", DIMENSIONS),
        ("measures", "name", MEASURES),
        ("estimators", "name", ESTIMATORS),
        ("instruments", "instrument_type", INSTRUMENTS),
        ("scenario-methods", "method", GENERATORS),
    ],
)
def test_a_catalogue_lists_everything_with_a_description(
    client: FlaskClient, path: str, key: str, table: dict[str, object]
) -> None:
    listed = rows(client, path)
    assert [r[key] for r in listed] == list(table)
    assert all(r.get("meaning") or r.get("description") for r in listed)


def test_instruments_come_with_their_terms(client: FlaskClient) -> None:
    option = {r["instrument_type"]: r for r in rows(client, "instruments")}["equity_option"]
    terms = {t["name"]: t for t in option["terms"]}
    assert list(terms) == list(INSTRUMENTS["equity_option"].Terms.model_fields)
    assert terms["strike"]["required"]
    assert terms["expiry"]["type"] == "string (date)"
    assert terms["dividend_yield"] | {"description": ""} == {
        "name": "dividend_yield",
        "type": "number",
        "required": False,
        "default": "0.0",
        "description": "",
    }
    assert all(t["description"] for t in terms.values())


def test_a_scenario_method_tells_the_parameters_a_request_gives(client: FlaskClient) -> None:
    for listed in rows(client, "scenario-methods"):
        names = {p["name"] for p in listed["parameters"]}
        given = set(GENERATORS[listed["method"]].definition.model_fields)
        assert names == given - {"method", "market_date"}


def test_risk_factors_come_in_pages_and_by_class(client: FlaskClient) -> None:
    everything = [r["risk_factor_id"] for r in rows(client, "risk-factors")]
    assert everything == sorted(everything)
    assert len(everything) == 6
    paged, path = [], "/api/v1/risk-factors?limit=4&source=test"
    while path:
        answer = client.get(path)
        paged += [r["risk_factor_id"] for r in answer.get_json()["rows"]]
        following = answer.headers.get("Link")
        path = following.split(">")[0].lstrip("<") if following else ""
    assert paged == everything
    assert {r["risk_class"] for r in rows(client, "risk-factors?risk_class=rates")} == {"rates"}
    assert rows(client, "risk-factors?source=nothing") == []


def test_a_scenario_set_is_found_by_id_and_by_name_with_all_it_says_of_itself(
    client: FlaskClient, valued_lake: Path
) -> None:
    listed = rows(client, "scenario-sets")
    assert [r["market_date"] for r in listed] == [str(FRIDAY), str(MONDAY)]
    one = get(client, f"scenario-sets/{listed[0]['scenario_set_id']}")
    stored = load_scenario_set(Lake.open(valued_lake), one["scenario_set_id"])
    assert one["labels"] == list(stored.labels)
    assert len(one["labels"]) == SCENARIOS
    assert one["definition"]["scenarios"] == SCENARIOS
    assert (one["excluded"], one["held"], one["dropped"]) == ({}, {}, {})
    assert get(client, "scenario-sets/historical-30")["market_date"] == str(MONDAY)
    assert get(client, f"scenario-sets/historical-30?market_date={FRIDAY}") == one


def test_valuation_sets_and_their_failures(client: FlaskClient) -> None:
    listed = rows(client, "valuation-sets")
    assert [r["valuation_date"] for r in listed] == [str(FRIDAY), str(MONDAY)]
    seal = get(client, f"valuation-sets/{listed[1]['valuation_set_id']}")
    assert seal == listed[1]
    assert (seal["submitted"], seal["valued"] + seal["reused"], seal["failed"]) == (len(BOOK), len(BOOK) - 1, 1)
    assert seal["scenario_count"] == SCENARIOS
    assert dt.datetime.fromisoformat(seal["sealed_at"]).tzinfo == dt.UTC
    (failure,) = rows(client, f"valuation-sets/{seal['valuation_set_id']}/failures")
    assert (failure["instrument_type"], failure["reason"]) == ("equity_option", "matured")


def test_positions_dates_are_counted(client: FlaskClient) -> None:
    expected = [{"positions_date": str(d), "positions": len(BOOK)} for d in (FRIDAY, MONDAY)]
    assert rows(client, "positions/dates") == expected


def test_positions_come_by_trade_with_dimensions_and_attributes(client: FlaskClient, valued_lake: Path) -> None:
    book = rows(client, f"positions?date={MONDAY}")
    assert [r["trade"] for r in book] == sorted(r["trade"] for r in book)
    assert [(r["desk"], r["quantity"]) for r in book] == [
        ("Equities", 1000.0),
        ("Equities", -200.0),
        ("Options", 100.0),
        ("Options", 10.0),
    ]
    assert [r["attribute.rating"] for r in book] == ["BBB", "AA"] * 2
    assert {(r["client"], r["instrument"], r["currency"]) for r in book[:2]} == {
        (FORMULA, "EQ:AAA", "USD"),
        ("Acme", "EQ:BBB", "EUR"),
    }
    held = {r["contract_id"]: r for r in Lake.open(valued_lake).read("contracts").to_pylist()}
    assert json.loads(held[book[1]["contract_id"]]["terms"])["underlying"] == "EQ:BBB"


@pytest.mark.parametrize(
    ("where", "trades"),
    [
        (["desk=Options"], ["T00000-2", "T00000-3"]),
        (["desk!=Options", "currency=EUR"], ["T00000-1"]),
        (["attribute.rating=AA"], ["T00000-1", "T00000-3"]),
        (["trade=T00000-0,T00000-3"], ["T00000-0", "T00000-3"]),
    ],
)
def test_positions_are_filtered(client: FlaskClient, where: list[str], trades: list[str]) -> None:
    answer = client.get("/api/v1/positions", query_string={"date": str(MONDAY), "where": where})
    assert [r["trade"] for r in answer.get_json()["rows"]] == trades


def test_positions_come_in_pages(client: FlaskClient) -> None:
    first = get(client, f"positions?date={MONDAY}&limit=3")
    assert [r["trade"][-1] for r in first["rows"]] == ["0", "1", "2"]
    second = get(client, f"positions?date={MONDAY}&limit=3&cursor={first['next_cursor']}")
    assert ([r["trade"][-1] for r in second["rows"]], second["next_cursor"]) == (["3"], None)


def test_a_page_keeps_to_the_version_of_the_first(work_lake: Lake) -> None:
    """Rows committed between two pages shift nothing."""
    client = create_app(Settings(lake=work_lake.path)).test_client()
    first = get(client, f"positions?date={MONDAY}&limit=2")
    with Committer(work_lake, "test") as committer:
        book = work_lake.read("positions").to_pylist()
        more = [{**r, "trade": "T00000-1b"} for r in book if r["trade"] == "T00000-1"]
        committer.put("positions", pa.Table.from_pylist(more, schema=work_lake.read("positions").schema))
    second = get(client, f"positions?date={MONDAY}&limit=2&cursor={first['next_cursor']}")
    assert [r["trade"] for r in second["rows"]] == ["T00000-2", "T00000-3"]
    assert len(rows(client, f"positions?date={MONDAY}")) == len(BOOK) + 1


@pytest.mark.parametrize("path", LISTS)
def test_a_list_says_the_same_as_json_csv_and_arrow(client: FlaskClient, path: str) -> None:
    listed = rows(client, path)
    by_accept = client.get(f"/api/v1/{path}", headers={"Accept": "text/csv"})
    by_parameter = client.get(
        f"/api/v1/{path}{'&' if '?' in path else '?'}format=csv", headers={"Accept": "application/json"}
    )
    assert by_accept.get_data() == by_parameter.get_data()
    assert by_accept.content_type == "text/csv; charset=utf-8; header=present"
    assert "attachment" in by_accept.headers["Content-Disposition"]
    table = read_csv(by_accept.get_data())
    assert len(table) == len(listed)
    assert list(table[0]) == list(listed[0])

    arrow = client.get(f"/api/v1/{path}", headers={"Accept": "application/vnd.apache.arrow.stream"})
    read = pa.ipc.open_stream(arrow.get_data()).read_all()
    assert read.column_names == list(listed[0])
    first = listed[0]
    for name, value in read.to_pylist(maps_as_pydicts="strict")[0].items():
        if not isinstance(value, dt.date):
            assert value == first[name]
    assert json.loads(read.schema.metadata[b"next_cursor"]) is None


def test_csv_gives_a_spreadsheet_no_formula_and_keeps_numbers_numbers(client: FlaskClient) -> None:
    table = read_csv(client.get(f"/api/v1/positions?date={MONDAY}&format=csv").get_data())
    assert table[0]["client"] == "'" + FORMULA
    assert table[1]["quantity"] == "-200"
    assert rows(client, f"positions?date={MONDAY}")[0]["client"] == FORMULA


@pytest.mark.parametrize("path", ["measures", "health", f"positions?date={MONDAY}", "openapi.json"])
def test_asking_again_costs_nothing_when_nothing_changed(client: FlaskClient, path: str) -> None:
    path = f"/{path}" if path.endswith(".json") else f"/api/v1/{path}"
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_formats_have_etags_of_their_own(client: FlaskClient) -> None:
    tags = {
        client.get("/api/v1/measures", query_string={"format": f}).headers["ETag"] for f in ("json", "csv", "arrow")
    }
    assert len(tags) == 3
    assert "Accept" in client.get("/api/v1/measures").headers["Vary"]


def test_health_tells_lake_engine_and_versions(client: FlaskClient, valued_lake: Path) -> None:
    health = get(client, "health")
    assert (health["status"], health["engine"]["alive"]) == ("no engine", False)
    assert health["lake"] == str(valued_lake)
    assert health["tables"]["positions"] == Lake.open(valued_lake).version("positions")
    assert health["versions"]["varlake"]


def test_the_web_starts_before_there_is_a_lake(tmp_path: Path) -> None:
    client = create_app(Settings(lake=tmp_path / "none")).test_client()
    answer = client.get("/api/v1/health")
    assert (answer.status_code, answer.get_json()["title"]) == (503, "Not ready")
    assert "There is no lake" in answer.get_json()["detail"]
    assert client.get("/api/v1/scenario-sets").status_code == 404
    Lake.create(tmp_path / "none")
    assert client.get("/api/v1/health").status_code == 200
    assert rows(client, "risk-factors") == []
    assert client.get("/api/v1/valuation-sets?format=csv").get_data().startswith(b'"valuation_set_id",')


def test_market_data_by_source_is_that_of_the_table(client: FlaskClient, valued_lake: Path) -> None:
    by_source: dict[str, list[dict[str, Any]]] = {}
    for row in Lake.open(valued_lake).read("market_data").to_pylist():
        by_source.setdefault(row["source"], []).append(row)
    assert client.get("/api/v1/market-data/ranges").get_json()["rows"] == [
        {
            "source": source,
            "factors": len({r["risk_factor_id"] for r in rows}),
            "first": str(min(r["as_of_date"] for r in rows)),
            "last": str(max(r["as_of_date"] for r in rows)),
            "values": len(rows),
            "not_used": sum(r["status"] in ("held", "missing") for r in rows),
        }
        for source, rows in sorted(by_source.items())
    ]


def test_the_valued_days_are_those_that_are_answered_each_by_its_set(client: FlaskClient) -> None:
    days = client.get("/api/v1/valuation-sets/days").get_json()["rows"]
    assert [d["valuation_date"] for d in days] == [str(MONDAY), str(FRIDAY)]
    for day in days:
        answer = client.get(f"/api/v1/var?as_of={day['valuation_date']}").get_json()
        assert answer["receipt"]["valuation_set_id"] == day["valuation_set_id"]
    named = client.get(f"/api/v1/valuation-sets/days?scenario_set={days[0]['scenario_set_name']}").get_json()["rows"]
    assert named == days
    unknown = client.get("/api/v1/valuation-sets/days?scenario_set=nonesuch")
    assert (unknown.status_code, unknown.get_json()["errors"][0]["pointer"]) == (404, "/scenario_set")


def test_every_kind_of_file_is_listed_with_the_options_of_its_route(client: FlaskClient) -> None:
    rows = client.get("/api/v1/ingests").get_json()["rows"]
    assert [r["name"] for r in rows] == list(INGESTS)
    paths = client.get("/openapi.json").get_json()["paths"]
    for row in rows:
        upload = paths[f"/api/v1{row['route']}"]["post"]
        taken = {p["name"] for p in upload["parameters"]} - {"name", "dry_run"}
        assert {o["name"] for o in row["options"]} == taken, row["name"]
        assert (f"/api/v1{row['route']}/suggestion" in paths) == row["suggested"]
