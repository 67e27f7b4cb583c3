"""Scenario P&L and the options of figures, as users ask for them: command line, pictures, HTTP, replay."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from command_line import answer, plain, refused, varlake
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY, SCENARIOS

from aggregation.risk.query import run_query
from aggregation.risk.scenario_pnl import PnlQuery, run_pnl
from aggregation.types import RiskQuery
from lake.tables import Lake


def total_pnl(valued_lake: Path) -> Any:
    return run_pnl(Lake.open(valued_lake), PnlQuery(as_of=MONDAY)).total["pnl"].to_numpy()


class TestCommand:
    def test_every_scenario_by_desk(self, valued_lake: Path) -> None:
        found = answer("pnl", "--as-of", MONDAY, "--by", "desk", lake=valued_lake)
        assert len(found["rows"]) == 2 * SCENARIOS
        by_desk = [[r["pnl"] for r in found["rows"] if r["desk"] == d] for d in ("Equities", "Options")]
        np.testing.assert_allclose(np.sum(by_desk, axis=0), [r["pnl"] for r in found["total"]], rtol=1e-12)
        assert found["coverage"]["status"] == "partial"

    def test_worst_chosen_and_histogram(self, valued_lake: Path) -> None:
        pnl = total_pnl(valued_lake)
        worst = answer("pnl", "--as-of", MONDAY, "--worst", 3, lake=valued_lake)["rows"]
        assert [r["pnl"] for r in worst] == sorted(pnl)[:3]
        chosen = answer("pnl", "--as-of", MONDAY, "--scenario", worst[1]["scenario"], lake=valued_lake)["rows"]
        assert [(r["pnl"], r["rank"]) for r in chosen] == [(worst[1]["pnl"], 2)]
        bins = answer("pnl", "--as-of", MONDAY, "--histogram", 5, lake=valued_lake)["rows"]
        assert [r["count"] for r in bins] == np.histogram(pnl, 5)[0].tolist()

    def test_the_table_shows_the_same_with_bars(self, valued_lake: Path) -> None:
        shown = varlake("pnl", "--as-of", MONDAY, "--by", "desk", "--histogram", 3, lake=valued_lake)
        lines = [line.split() for line in shown.stdout.splitlines()]
        assert sum("Total" in line for line in lines) == 3
        longest = max(line[-1].count("#") for line in lines if line)
        assert longest == 40
        assert "3 of 4 positions covered (partial)" in shown.stderr
        assert "Note: 1 position is not in the numbers" in shown.stderr

    def test_pictures(self, valued_lake: Path, tmp_path: Path) -> None:
        whole, tail = tmp_path / "pnl.svg", tmp_path / "tail.png"
        assert varlake("pnl", "--as-of", MONDAY, "--plot", whole, lake=valued_lake).returncode == 0
        text = whole.read_text(encoding="utf-8")
        assert "P&amp;L by scenario" in text
        assert f"{SCENARIOS} scenarios of historical-{SCENARIOS}" in text
        done = varlake("pnl", "--as-of", MONDAY, "--by", "desk", "--worst", 2, "--plot", tail, lake=valued_lake)
        assert f"Wrote {tail}" in done.stderr
        assert tail.read_bytes().startswith(b"\x89PNG")

    def test_a_picture_of_figures_has_each_at_its_place(self, valued_lake: Path, tmp_path: Path) -> None:
        picture = tmp_path / "var.svg"
        asked = ("--measure", "var,es,mean,volatility", "--level", "0.9", "--plot", picture)
        done = varlake("var", "--as-of", MONDAY, *asked, lake=valued_lake)
        assert done.returncode == 0, done.stderr
        total = run_query(
            Lake.open(valued_lake), RiskQuery(as_of=MONDAY, levels=("0.9",), measures=("var", "mean"))
        ).total
        text = picture.read_text(encoding="utf-8")
        for name, words in (("var_0.9", "90% VaR"), ("mean", "mean")):
            assert f"{words} {total[name]:,.0f}" in text
        assert "volatility" not in text

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--scenario", "1999-01-01"), "Unknown scenario '1999-01-01'"),
            (("--worst", 0), "greater than or equal to 1"),
            (("--histogram", 2000), "less than or equal to 1000"),
            (("--by", "dsk"), "Nearest valid: desk"),
            (("--scenario", "2020-03-12", "--plot", "a.svg"), "leave the scenarios out"),
            (("--plot", "a.bmp"), "Unknown picture format 'bmp'"),
        ],
    )
    def test_errors_teach(self, valued_lake: Path, arguments: tuple[object, ...], says: str) -> None:
        done = varlake("pnl", "--as-of", MONDAY, *arguments, lake=valued_lake)
        assert done.returncode == 2
        assert says in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr


class TestFiguresOnTheCommandLine:
    def test_tail_threshold_scale_and_interval(self, valued_lake: Path) -> None:
        found = answer(
            *("var", "--as-of", MONDAY, "--measure", "var,es", "--level", "0.9", "--tail", "gain"),
            *("--scale-to-days", 4, "--interval", "0.9"),
            lake=valued_lake,
        )
        total = found["total"]
        gains = np.sort(total_pnl(valued_lake))[::-1]
        assert total["var_0.9_gain_4d"] == pytest.approx(2 * gains[2])  # the third best of 30
        assert total["es_0.9_gain_4d_low"] < total["es_0.9_gain_4d"] < total["es_0.9_gain_4d_high"]
        assert any("Of the gain tail" in n for n in found["notes"])
        assert any("Scaled from 1 to 4 days by the square root of time" in n for n in found["notes"])
        assert found["receipt"]["scale_to_days"] == 4
        assert found["receipt"]["tail"] == "gain"

    def test_exceedance_of_losses(self, valued_lake: Path) -> None:
        found = answer(
            *("var", "--as-of", MONDAY, "--measure", "exceedance", "--threshold", "500", "--threshold", "-10.5"),
            lake=valued_lake,
        )
        pnl = total_pnl(valued_lake)
        assert found["total"]["exceedance_500"] == np.mean(-pnl > 500)
        assert found["total"]["exceedance_-10.5"] == np.mean(-pnl > -10.5)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--measure", "exceedance"), "give a threshold"),
            (("--measure", "mean", "--scale-to-days", 10), "mean does not grow with the square root of time"),
            (("--interval", "95"), "expected a fraction between 0 and 1"),
            (("--tail", "left"), "expected one of loss, gain"),
            (("--estimator", "harell_davis"), "Nearest valid: harrell_davis"),
        ],
    )
    def test_what_has_no_meaning_is_refused(self, valued_lake: Path, arguments: tuple[object, ...], says: str) -> None:
        assert says in refused("var", "--as-of", MONDAY, *arguments, lake=valued_lake).replace("\n", " ")


class TestRoute:
    def test_get_and_post_answer_as_the_package_does(self, client: FlaskClient, valued_lake: Path) -> None:
        query = PnlQuery(as_of=MONDAY, by=("desk",), worst=2, currency="EUR")
        expected = plain(run_pnl(Lake.open(valued_lake), query).to_dict())
        given = query.model_dump(mode="json", exclude_none=True)
        got, posted = client.get("/api/v1/pnl", query_string=given), client.post("/api/v1/pnl", json=given)
        assert got.status_code == posted.status_code == 200, got.get_data(as_text=True)
        assert got.get_json() == posted.get_json()
        assert plain(got.get_json()) == expected

    def test_csv_and_arrow_hold_the_rows(self, client: FlaskClient) -> None:
        path = f"/api/v1/pnl?as_of={MONDAY}&by=desk&histogram=4"
        rows = client.get(path).get_json()["rows"]
        listed = list(csv.DictReader(io.StringIO(client.get(f"{path}&format=csv").get_data(as_text=True), newline="")))
        assert [float(r["low"]) for r in listed] == [r["low"] for r in rows]
        table = pa.ipc.open_stream(client.get(f"{path}&format=arrow").get_data()).read_all()
        assert table.to_pylist() == rows
        assert json.loads(table.schema.metadata[b"receipt"])["kind"] == "pnl"

    def test_chosen_scenarios_and_what_is_not_there(self, client: FlaskClient) -> None:
        first = client.get(f"/api/v1/pnl?as_of={MONDAY}").get_json()["rows"][0]
        assert client.get(f"/api/v1/pnl?as_of={MONDAY}&scenarios={first['scenario']}").get_json()["rows"] == [first]
        lost = client.get(f"/api/v1/pnl?as_of={MONDAY}&scenarios=nothing")
        assert lost.status_code == 404
        assert "Unknown scenario 'nothing'" in lost.get_json()["detail"]

    def test_figures_by_http_are_those_of_the_package(self, client: FlaskClient, valued_lake: Path) -> None:
        query = RiskQuery(
            as_of=FRIDAY,
            measures=("var", "es", "exceedance", "skewness"),
            levels=("0.9",),
            thresholds=(100.0,),
            estimator="harrell_davis",
            interval="0.9",
            tail="gain",
        )
        got = client.get("/api/v1/var", query_string=query.model_dump(mode="json", exclude_none=True)).get_json()
        expected = run_query(Lake.open(valued_lake), query)
        assert got["total"] == expected.total
        assert {"var_0.9_gain_low", "exceedance_100_gain_high", "skewness_low"} <= got["total"].keys()
        assert got["receipt"]["interval"] == expected.receipt["interval"]


def test_an_answer_with_intervals_and_one_of_pnl_can_be_replayed(valued_lake: Path, tmp_path: Path) -> None:
    for name, asked in (
        ("var", ("--measure", "var,es", "--level", "0.9", "--estimator", "kernel", "--interval", "0.95")),
        ("pnl", ("--by", "desk", "--worst", 5)),
    ):
        told = answer(name, "--as-of", MONDAY, *asked, lake=valued_lake)
        receipt = tmp_path / f"{name}.json"
        receipt.write_text(json.dumps(told))
        assert answer("replay", receipt, lake=valued_lake)["verdict"] == "same bits"


def test_chosen_scenarios_have_no_sampling_error(work_lake: Lake) -> None:
    told = answer("stress", "--as-of", MONDAY, "--scenario", "equity -20%", "--value", lake=work_lake.path)
    valued = told["receipt"]["valuation_set_id"]
    said = refused("var", "--as-of", MONDAY, "--valuation-set", valued, "--interval", "0.95", lake=work_lake.path)
    assert "holds chosen scenarios, which are no sample" in said.replace("\n", " ")
