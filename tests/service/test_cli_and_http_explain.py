"""Explanations as users ask for them: on the command line and over HTTP, the same figures, refusals in words."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import answer, refused, varlake
from explain_lake import TUESDAY, Point, two_points
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY

from aggregation.change.explain import CAUSES
from service.api.app import create_app
from service.config import Settings

DAYS = ("--from", FRIDAY, "--to", MONDAY, "--by", "desk", "--measure", "es", "--level", "0.8")
BODY = {"from": str(FRIDAY), "to": str(MONDAY), "by": ["desk"], "measures": ["es"], "levels": ["0.8"]}


@pytest.fixture(scope="module")
def lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of its own: points between are valued into it."""
    return Path(shutil.copytree(valued_lake, tmp_path_factory.mktemp("asked") / "lake"))


@pytest.fixture(scope="module")
def http(lake: Path) -> FlaskClient:
    return create_app(Settings(lake=lake)).test_client()


def causes_of(said: dict[str, Any]) -> dict[str, float]:
    return {c["cause"]: c["value"] for c in said["causes"]}


def test_a_cause_whose_members_cancel_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trade that goes from one desk to another: over the whole book its cause is exactly zero, by desk it is not."""
    one = Point([("t", "a", 2.0, "Rates"), ("u", "a", 1.0, "Credit")], {"a": ("USD", 100.0, [-9, 4, 1])}, list("abc"))
    two = one.but(positions=[("t", "a", 2.0, "Credit"), ("u", "a", 1.0, "Credit")], day=TUESDAY)
    made, _, _ = two_points(tmp_path, one, two, monkeypatch)
    asked = ("explain", "--from", one.day, "--to", two.day, "--by", "desk", "--measure", "var", "--level", "0.75")
    said = answer(*asked, lake=made.path)
    assert causes_of(said)["transferred"] == 0.0
    assert {r["desk"]: r["transferred"] for r in said["rows"]} == {"Credit": 18.0, "Rates": -18.0}
    shown = varlake(*asked, lake=made.path).stdout
    causes, by_desk = shown.split("desk by cause")
    assert "transferred" in causes
    assert "transferred" in by_desk
    assert "amended" not in shown


class TestCommandLine:
    def test_the_causes_add_up(self, lake: Path) -> None:
        said = answer("explain", *DAYS, lake=lake)
        assert list(causes_of(said)) == list(CAUSES)
        assert sum(causes_of(said).values()) == pytest.approx(said["change"], rel=1e-9)
        assert said["change"] == pytest.approx(said["after"] - said["before"])
        assert causes_of(said)["amended"] != 0.0  # the options were doubled
        assert said["rows"][0]["desk"] == "Equities"
        assert said["rows"][0]["amended"] == 0.0

    def test_the_table_for_people(self, lake: Path) -> None:
        shown = varlake("explain", *DAYS, "--interval", "0.9", lake=lake)
        assert shown.returncode == 0
        assert "es_0.8 from 2020-03-13 to 2020-03-16 in USD" in shown.stdout
        for word in ("before", "amended", "within sampling error", "desk by cause", "Equities", "Total"):
            assert word in shown.stdout, word
        assert "Not explained:" in shown.stderr
        assert "Behind revaluation: market date: 2020-03-13 to 2020-03-16." in shown.stderr
        assert "1 of 4 positions is not in the number of 2020-03-13: 1 failed, 0 not valued." in shown.stderr

    def test_a_cell_opened(self, lake: Path) -> None:
        said = answer("explain", *DAYS, lake=lake)
        found = answer("explain-drill", *DAYS, "--cell", "desk=Options,cause=amended", lake=lake)
        assert found["value"] == causes_of(said)["amended"]
        assert sum(r["value"] for r in found["rows"]) == pytest.approx(found["value"], rel=1e-9)
        assert {r["trade"] for r in found["rows"]} == {"T00000-2"}
        assert {(r["quantity_before"], r["quantity_after"]) for r in found["rows"]} == {(50.0, 100.0)}
        shown = varlake("explain-drill", *DAYS, "--cell", "cause=amended", "--limit", "2", lake=lake)
        assert "2 of" in shown.stdout
        assert "others" in shown.stdout

    @pytest.mark.parametrize("ending", ["svg", "png"])
    def test_the_waterfall(self, lake: Path, tmp_path: Path, ending: str) -> None:
        picture = tmp_path / f"why.{ending}"
        done = varlake("explain", *DAYS, "--plot", picture, lake=lake)
        assert done.returncode == 0, done.stderr
        assert picture.stat().st_size > 1000
        if ending == "svg":
            text = picture.read_text()
            assert "amended" in text
            assert "revaluation" in text

    def test_one_book_of_two_days_in_one_market(self, lake: Path) -> None:
        said = answer(
            *("explain", "--from", MONDAY, "--to", MONDAY, "--from-positions-date", FRIDAY, "--level", "0.8"), lake=lake
        )
        moved = {c: v for c, v in causes_of(said).items() if v}
        assert set(moved) <= {"amended", "tail"}
        assert said["change"] != 0.0

    def test_a_comparison_is_the_table_of_measures(self, lake: Path) -> None:
        said = answer("compare", "--from", FRIDAY, "--to", MONDAY, "--by", "desk", "--interval", "0.9", lake=lake)
        assert {"var_0.99_change", "es_0.99_change", "es_0.99_change_low"} <= said["rows"][0].keys()

    @pytest.mark.parametrize(
        ("name", "more", "says"),
        [
            ("explain", ("--method", "shaply"), "expected one of causes, sequential, shapley"),
            ("explain-drill", ("--cell", "desk=Optoins"), "Nearest valid: Options"),
            ("explain-drill", ("--cell", "Options"), "expected member and cause"),
            ("explain", ("--interval", "2"), "fraction between 0 and 1"),
            ("explain", ("--from-positions-date", "monday"), "--from-positions-date: expected a date YYYY-MM-DD"),
        ],
    )
    def test_what_is_refused(self, lake: Path, name: str, more: tuple[str, ...], says: str) -> None:
        assert says in refused(name, *DAYS, *more, lake=lake)

    def test_one_measure_at_a_time(self, lake: Path) -> None:
        said = refused("explain", "--from", FRIDAY, "--to", MONDAY, "--measure", "var,es", lake=lake)
        assert "measures: expected at most 1 of them: the one measure to explain" in said

    def test_planned_refused_then_valued(self, lake: Path) -> None:
        asked = ("explain", *DAYS, "--method", "sequential")
        planned = answer(*asked, "--plan", lake=lake)
        assert planned["about"]["coordinates"] == ["positions", "ageing", "market", "scenarios"]
        assert [c["changed"] for c in planned["about"]["corners"]][-2] == ["positions", "ageing", "market"]
        assert (planned["ready"], len(planned["valuations"])) == (False, 2)
        assert f"{MONDAY} in the market of {FRIDAY}" in varlake(*asked, "--plan", lake=lake).stdout
        assert "2 valuations between the two points are missing" in refused(*asked, lake=lake)
        said = answer(*asked, "--value", lake=lake)
        assert sum(causes_of(said).values()) == pytest.approx(said["change"], rel=1e-9)
        assert causes_of(said)["market"] != 0.0
        again = varlake(*asked, lake=lake)
        assert (
            "Note: Causes depend on the order of the steps: positions, then ageing, then market, then scenarios."
            in again.stderr
        )
        assert "With positions, ageing of the second point:" in again.stderr


class TestHttp:
    def test_the_same_figures(self, lake: Path, http: FlaskClient) -> None:
        said = answer("explain", *DAYS, lake=lake)
        asked = f"/api/v1/explain?from={FRIDAY}&to={MONDAY}&by=desk&measures=es&levels=0.8"
        got = http.get(asked)
        assert got.status_code == 200
        assert got.get_json()["causes"] == said["causes"]
        assert got.get_json()["rows"] == said["rows"]
        posted = http.post("/api/v1/explain", json=BODY).get_json()
        assert posted["rows"] == said["rows"]
        assert http.get(asked, headers={"If-None-Match": got.headers["ETag"]}).status_code == 304
        table = http.get(f"{asked}&format=csv").get_data(as_text=True).splitlines()
        assert table[0].replace('"', "").split(",") == ["desk", "before", "after", "change", *CAUSES]

    def test_drill(self, http: FlaskClient) -> None:
        found = http.post(
            "/api/v1/explain-drill", json={**BODY, "cell": {"desk": "Options", "cause": "amended"}}
        ).get_json()
        assert sum(r["value"] for r in found["rows"]) == pytest.approx(found["value"], rel=1e-9)
        assert found["cell"] == {"desk": "Options", "cause": "amended"}
        as_text = http.post("/api/v1/explain-drill", json={**BODY, "cell": "desk=Options,cause=amended"}).get_json()
        assert as_text["rows"] == found["rows"]

    def test_a_plan_says_what_to_post_to_value_it(self, http: FlaskClient) -> None:
        asked = {**BODY, "method": "shapley"}
        planned = http.post("/api/v1/explain/plan", json=asked).get_json()
        assert (planned["about"]["method"], planned["ready"]) == ("shapley", False)
        assert planned["valuations"]
        for missing in planned["valuations"]:
            again = http.post("/api/v1/valuations/plan", json=missing["request"])
            assert again.status_code == 200
            assert again.get_json()["missing"] == missing["plan"]["missing"]
        refusal = http.post("/api/v1/explain", json=asked)
        assert (refusal.status_code, refusal.get_json()["title"]) == (404, "Not valued yet")
        assert refusal.get_json()["type"] == "urn:varlake:problem:not-valued"
        assert "/explain/plan says what that takes" in refusal.get_json()["detail"]

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"to": {"as_of": str(MONDAY), "currency": "EUR"}}, "to/currency: is not a known name"),
            ({"levels": ["0.9", "0.8"]}, "levels: expected at most 1 of them"),
            ({"method": "shaply"}, "nearest shapley"),
        ],
    )
    def test_refusals(self, http: FlaskClient, change: dict[str, Any], says: str) -> None:
        got = http.post("/api/v1/explain", json={**BODY, **change})
        assert got.status_code == 422
        assert says in got.get_json()["detail"]
