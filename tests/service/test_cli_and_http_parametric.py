"""Parametric VaR as a user asks for it: command and route."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import answer, varlake
from flask.testing import FlaskClient
from small_lake import MONDAY

from lake.tables import Lake

URL = f"/api/v1/parametric?as_of={MONDAY}&by=desk"


@pytest.fixture(scope="module")
def lake(valued_lake: Path) -> Lake:
    return Lake.open(valued_lake)


class TestAsked:
    def test_command(self, valued_lake: Path, tmp_path: Path) -> None:
        file = tmp_path / "bars.svg"
        done = varlake("parametric", "--as-of", MONDAY, "--by", "desk", "--plot", file, lake=valued_lake)
        assert done.returncode == 0, done.stderr
        for word in ("delta-normal", "historical, same scenarios", "EQ:AAA", "Total", "cornish fisher"):
            assert word in done.stdout
        assert "Options" in file.read_text()
        assert varlake("parametric", "--as-of", MONDAY, "--plot", file, lake=valued_lake).returncode == 0
        assert "EQ:AAA" in file.read_text()

    def test_plan_values_nothing(self, valued_lake: Path) -> None:
        planned = answer("parametric", "--as-of", MONDAY, "--plan", lake=valued_lake)
        about = planned["about"]
        assert about["valuations"] == about["contracts"] * (about["states"] + 1)

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

    def test_nothing_valued_is_no_figure(self, valued_lake: Path) -> None:
        found = answer("parametric", "--as-of", MONDAY, "--where", "trade=T00000-3", lake=valued_lake)
        assert found["coverage"]["status"] == "invalid"
        assert set(found["total"].values()) == {None}
        assert "matured" in found["failures"][0]["message"]

    def test_route(self, client: FlaskClient, valued_lake: Path) -> None:
        got = client.get(URL).get_json()
        told = answer("parametric", "--as-of", MONDAY, "--by", "desk", lake=valued_lake)
        assert got["rows"] == told["rows"]
        assert got["factors"] == told["factors"]
        body = {"as_of": str(MONDAY), "by": ["desk"]}
        posted = client.post("/api/v1/parametric", data=json.dumps(body), content_type="application/json")
        assert posted.get_json()["total"] == got["total"]
        assert client.get(f"{URL}&gamma=other").status_code == 422
        assert b"component" in client.get(f"{URL}&format=csv").data

    def test_too_much_for_a_client_that_waits(self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("service.api.questions.MOST_VALUATIONS", 10)
        got = client.get(URL)
        assert got.status_code == 422
        assert "more than the 10" in got.get_json()["detail"]
