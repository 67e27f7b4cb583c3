"""Contributions as a user asks for them: on the command line and over HTTP, by the same code."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.csv
import pyarrow.ipc
import pytest
from command_line import answer, refused, varlake
from flask.testing import FlaskClient
from small_lake import MONDAY

ASKED = ("contributions", "--as-of", MONDAY, "--measure", "es", "--level", "0.9")
URL = f"/api/v1/contributions?as_of={MONDAY}&measures=es&levels=0.9"


class TestCommand:
    def test_the_components_of_every_dimension_add_up_to_the_var(self, valued_lake: Path) -> None:
        var = answer("var", "--as-of", MONDAY, "--measure", "es", "--level", "0.9", lake=valued_lake)
        for by in ("desk", "desk,trade", "attribute.rating", "instrument_type", "currency"):
            found = answer(*ASKED, "--by", by, lake=valued_lake)
            parts = [r["component"] for r in found["rows"] if r["component"] is not None]
            assert sum(parts) == found["total"]["component"] == pytest.approx(var["total"]["es_0.9"], rel=1e-15)

    def test_it_reads_as_a_table_with_its_basis(self, valued_lake: Path) -> None:
        done = varlake(*ASKED, "--by", "desk", lake=valued_lake)
        assert done.returncode == 0, done.stderr
        for word in ("Contributions to es 0.9", "component", "incremental", "stability", "Options", "Total"):
            assert word in done.stdout
        assert "scenario form, order_statistic" in done.stderr
        assert "1 position is not in the numbers" in done.stderr

    def test_the_greatest_and_the_rest(self, valued_lake: Path) -> None:
        done = varlake(*ASKED, "--by", "trade", "--top", 1, lake=valued_lake)
        assert "(rest)" in done.stdout
        found = answer(*ASKED, "--by", "trade", "--top", 1, lake=valued_lake)
        assert sum(r["component"] for r in found["rows"]) == found["total"]["component"]

    def test_only_the_figures_asked_for(self, valued_lake: Path) -> None:
        found = answer(*ASKED, "--by", "desk", "--figures", "marginal", "--form", "regression", lake=valued_lake)
        assert set(found["rows"][0]) >= {"component", "share", "marginal"}
        assert not set(found["rows"][0]) & {"standalone", "incremental", "stability", "diversification"}

    def test_the_picture(self, valued_lake: Path, tmp_path: Path) -> None:
        file = tmp_path / "bars.svg"
        done = varlake(*ASKED, "--by", "desk", "--plot", file, lake=valued_lake)
        assert done.returncode == 0, done.stderr
        assert "Equities" in file.read_text()
        assert "Contributions to 90% ES by desk" in file.read_text()

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            (("--measure", "var,es"), "measures: expected at most 1"),
            (("--form", "kernel"), "regression"),
            (("--figures", "beta"), "incremental"),
            (("--top", "0"), "top"),
            (("--by", "dessk"), "desk"),
            (("--plot", "x.svg"), "nothing to draw"),
        ],
    )
    def test_what_is_wrong_is_told(self, valued_lake: Path, more: tuple[str, ...], says: str) -> None:
        done = varlake("contributions", "--as-of", MONDAY, *more, lake=valued_lake)
        assert done.returncode == 2
        assert says in done.stderr

    def test_a_day_without_valuations(self, valued_lake: Path) -> None:
        assert "Nearest dates" in refused("contributions", "--as-of", "2020-03-12", lake=valued_lake)


@pytest.mark.parametrize("command", [(*ASKED, "--by", "desk", "--interval", "0.9"), ("parametric", "--as-of", MONDAY)])
def test_an_answer_is_replayed_to_the_bit(bumped_lake: Path, tmp_path: Path, command: tuple[object, ...]) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(answer(*command, lake=bumped_lake)))
    done = varlake("replay", file, lake=bumped_lake)
    assert (done.returncode, done.stderr.startswith("same bits")) == (0, True), done.stderr


class TestRoute:
    def test_it_is_the_answer_of_the_command(self, client: FlaskClient, valued_lake: Path) -> None:
        got = client.get(f"{URL}&by=desk").get_json()
        told = answer(*ASKED, "--by", "desk", lake=valued_lake)
        assert got["rows"] == told["rows"]
        assert got["total"] == told["total"]
        assert got["receipt"]["result_digest"] == told["receipt"]["result_digest"]

    def test_a_body_asks_the_same(self, client: FlaskClient) -> None:
        body = {"as_of": str(MONDAY), "measures": ["es"], "levels": ["0.9"], "by": ["desk"], "top": 1}
        posted = client.post("/api/v1/contributions", data=json.dumps(body), content_type="application/json").get_json()
        assert posted["rows"] == client.get(f"{URL}&by=desk&top=1").get_json()["rows"]

    def test_tables(self, client: FlaskClient) -> None:
        whole = client.get(f"{URL}&by=desk").get_json()
        text = pyarrow.csv.read_csv(io.BytesIO(client.get(f"{URL}&by=desk&format=csv").data))
        arrow = pyarrow.ipc.open_stream(client.get(f"{URL}&by=desk&format=arrow").data).read_all()
        assert arrow.to_pylist() == whole["rows"]
        assert text["component"].to_pylist() == [r["component"] for r in whole["rows"]]
        assert json.loads(arrow.schema.metadata[b"total"]) == whole["total"]

    @pytest.mark.parametrize("more", ["&top=0", "&form=other", "&measures=var", "&by=dessk", "&figures=beta"])
    def test_problems(self, client: FlaskClient, more: str) -> None:
        got = client.get(URL + more)
        assert got.status_code == 422
        assert got.content_type == "application/problem+json"


def test_the_benchmark_has_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    size = ("--contracts", 60, "--scenarios", 70, "--positions", 500)
    assert varlake("bench", "contributions", *size, "--output", file).returncode == 0
    rows = json.loads(file.read_text())
    assert [r["bar"] for r in rows] == ["<= 1"] * 3
    assert all("500 positions" in r["work"] for r in rows)
