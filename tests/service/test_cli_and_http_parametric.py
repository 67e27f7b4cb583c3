"""Parametric VaR as a user asks for it: command and route."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import answer, varlake
from flask.testing import FlaskClient
from small_lake import MONDAY

from service.api.app import create_app
from service.config import Settings

URL = f"/api/v1/parametric?as_of={MONDAY}&by=desk"


@pytest.fixture(scope="module")
def bumped(bumped_lake: Path) -> FlaskClient:
    return create_app(Settings(lake=bumped_lake)).test_client()


class TestAsked:
    def test_command(self, bumped_lake: Path, tmp_path: Path) -> None:
        file = tmp_path / "bars.svg"
        done = varlake("parametric", "--as-of", MONDAY, "--by", "desk", "--plot", file, lake=bumped_lake)
        assert done.returncode == 0, done.stderr
        for word in ("delta-normal", "historical, same scenarios", "EQ:AAA", "Total", "cornish fisher"):
            assert word in done.stdout
        assert "Options" in file.read_text()
        assert varlake("parametric", "--as-of", MONDAY, "--plot", file, lake=bumped_lake).returncode == 0
        assert "EQ:AAA" in file.read_text()

    def test_the_plan_names_the_bumps_and_those_of_pairs_for_full_gammas(self, valued_lake: Path) -> None:
        plans = {
            gamma: answer("parametric", "--as-of", MONDAY, "--plan", "--gamma", gamma, lake=valued_lake)["valuations"]
            for gamma in ("diagonal", "full")
        }
        assert [p["plan"]["scenarios"] for p in plans["diagonal"]] == [30, 12]
        assert [p["for"] for p in plans["full"]][1:] == ["bumps of every risk factor", "bumps of pairs of risk factors"]
        assert plans["diagonal"][1]["plan"]["missing"] == 3

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            (("--level", "2"), "between 0 and 1"),
            (("--measure", "worst"), "es"),
            (("--gamma", "all"), "diagonal"),
            (("--by", "dessk"), "desk"),
        ],
    )
    def test_what_is_wrong_is_told(self, valued_lake: Path, more: tuple[str, ...], says: str) -> None:
        done = varlake("parametric", "--as-of", MONDAY, *more, lake=valued_lake)
        assert done.returncode == 2
        assert says in done.stderr

    def test_nothing_valued_is_no_figure(self, bumped_lake: Path) -> None:
        found = answer("parametric", "--as-of", MONDAY, "--where", "trade=T00000-3", lake=bumped_lake)
        assert found["coverage"]["status"] == "invalid"
        assert set(found["total"].values()) == {None}
        assert "matured" in found["failures"][0]["message"]

    def test_route(self, bumped: FlaskClient, bumped_lake: Path) -> None:
        got = bumped.get(URL).get_json()
        told = answer("parametric", "--as-of", MONDAY, "--by", "desk", lake=bumped_lake)
        assert got["rows"] == told["rows"]
        assert got["factors"] == told["factors"]
        body = {"as_of": str(MONDAY), "by": ["desk"]}
        posted = bumped.post("/api/v1/parametric", data=json.dumps(body), content_type="application/json")
        assert posted.get_json()["total"] == got["total"]
        assert bumped.get(f"{URL}&gamma=other").status_code == 422
        assert b"component" in bumped.get(f"{URL}&format=csv").data

    def test_what_is_not_valued_is_told(self, client: FlaskClient, valued_lake: Path) -> None:
        got = client.get(URL)
        assert got.status_code == 404
        assert "bumps of every risk factor" in got.get_json()["detail"]
        done = varlake("parametric", "--as-of", MONDAY, lake=valued_lake)
        assert done.returncode != 0
        assert "--value" in done.stderr
