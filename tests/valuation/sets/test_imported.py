"""P&L vectors of other systems as valuation sets: brought in, corrected, mixed, and what is refused. Figures by hand or by NumPy."""

from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_lake import MONDAY, build_lake, no_spark, request

from aggregation.questions import ask, plan, read
from aggregation.replay import replay
from aggregation.session import reading
from lake.committer import Committer, DryRun
from lake.compaction import compact
from lake.errors import BadInput
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_stored
from valuation.sets.imported import VectorsReport, ingest_vectors
from valuation.sets.requests import run_valuation
from valuation.sets.store import list_valuation_sets

DAY = "2020-03-16"
HEADER = "date,trade,desk,currency,base_value,2019-01-02,2019-01-03,2019-01-04,2019-01-07"
ROWS = (
    f"{DAY},T1,Rates,USD,100,-1,2,-3,4",
    f"{DAY},T2,Rates,USD,50,0.5,-0.25,-8,1",
    f"{DAY},T3,Credit,USD,10,7,-6,5,-4",
)


def bring(lake: Lake, *rows: str, header: str = HEADER, **options: Any) -> VectorsReport:
    path = lake.path.parent / "vectors.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    with Committer(lake, "test") as committer:
        return ingest_vectors(committer, path, source=options.pop("source", "risksys"), **options)


def asked(lake: Lake, name: str = "var", **query: Any) -> Any:
    given = {"as_of": DAY, "levels": ["0.75"], **query}
    return ask(reading(lake), name, read(name, given))


def var(lake: Lake, **query: Any) -> list[float]:
    rows = asked(lake, by=["desk"], **query).rows
    return [None if x is None else float(x) for x in rows["var_0.75"].to_pylist()]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


class TestBroughtIn:
    def test_var_and_es_are_those_of_numpy(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(7)
        n_nodes, n = 40, 250
        # multiples of 1/1024, whose sums are exact in any order
        pnl = np.round(rng.standard_t(4, (n_nodes, n)) * 1e5 * 1024) / 1024
        desk = [f"D{i % 3}" for i in range(n_nodes)]
        table = pa.table(
            {
                "date": [DAY] * n_nodes,
                "trade": [f"T{i}" for i in range(n_nodes)],
                "desk": desk,
                "currency": ["USD"] * n_nodes,
                "pnl": pa.array(pnl.tolist(), pa.list_(pa.float64())),
            }
        )
        pq.write_table(table, tmp_path / "v.parquet", row_group_size=7)
        lake = Lake.create(tmp_path / "lake")
        with Committer(lake, "test") as committer:
            report = ingest_vectors(committer, tmp_path / "v.parquet", source="risksys")
        assert (report.read, report.loaded, report.failed) == (40, 40, 0)
        answer = asked(lake, by=["desk"], levels=["0.99", "0.975"])
        for row in answer.rows.to_pylist():
            losses = np.sort(-pnl[np.array(desk) == row["desk"]].sum(axis=0))[::-1]
            for level in ("0.99", "0.975"):
                tail = (1 - Fraction(level)) * n
                k = -(-tail.numerator // tail.denominator)
                assert row[f"var_{level}"] == losses[k - 1]
                whole = int(tail)
                es = (losses[:whole].sum() + float(tail - whole) * losses[whole]) / float(tail)
                assert row[f"es_{level}"] == pytest.approx(es, rel=1e-13)

    def test_the_same_file_twice_changes_nothing(self, lake: Lake) -> None:
        first = bring(lake, *ROWS)
        versions = {
            t: lake.version(t)
            for t in ("positions", "contracts", "pnl_vectors", "valuation_sets", "scenario_sets", "standards")
        }
        again = bring(lake, *reversed(ROWS))
        assert {t: lake.version(t) for t in versions} == versions
        assert (first.dates[0].new, again.dates[0].new, again.dates[0].unchanged) == (3, 0, 3)
        assert var(lake) == [6, 11]  # Credit, and Rates with -0.5, 1.75, -11, 5: of four the worst is the VaR at 0.75
        assert first.dates[0].valuation_set == again.dates[0].valuation_set

    def test_a_dry_run_stores_nothing(self, lake: Lake) -> None:
        path = lake.path.parent / "v.csv"
        path.write_text("\n".join([HEADER, *ROWS]))
        report = ingest_vectors(DryRun(lake), path, source="risksys")
        assert (report.read, report.dates[0].new) == (3, 3)
        assert all(
            lake.version(t) == -1 for t in ("positions", "contracts", "pnl_vectors", "valuation_sets", "scenario_sets")
        )
        assert not list((lake.path / "pnl_vectors").rglob("*.parquet"))

    def test_every_answer_names_the_source(self, lake: Lake) -> None:
        bring(lake, *ROWS)
        answer = asked(lake, by=["attribute.source"])
        assert answer.rows["attribute.source"].to_pylist() == ["risksys"]
        assert answer.receipt["imports"]["risksys"]["positions"] == 3
        assert answer.receipt["imports"]["valued here"] == {"positions": 0}
        assert list(answer.receipt["imports"]["risksys"]["files"].values()) == ["vectors.csv"]
        assert any("vectors of risksys were brought in, not made here: 3 of the 3" in n for n in answer.notes)

    def test_weights_count(self, lake: Lake) -> None:
        order = lake.path.parent / "s.csv"
        order.write_text("scenario,weight\n2019-01-02,0.1\n2019-01-03,0.1\n2019-01-04,0.2\n2019-01-07,0.6\n")
        bring(lake, *ROWS, scenarios=str(order))
        # Credit loses 6 with a probability of 0.1 and 4 with 0.6: beyond 4 there is less than 0.25. Rates loses 11 with 0.2, 0.5 with 0.1
        assert var(lake) == [4, 0.5]

    def test_dates_of_a_file_are_days_of_a_series(self, lake: Lake) -> None:
        bring(lake, *ROWS, *(r.replace(DAY, "2020-03-17") for r in ROWS[1:]))
        series = ask(
            reading(lake),
            "series",
            read(
                "series",
                {"from": DAY, "to": "2020-03-17", "calendar": "books", "levels": ["0.75"], "measures": ["var"]},
            ),
        )
        assert [float(x) for x in series.rows["var_0.75"].to_pylist()] == [6, 6.25]  # T2 + T3 alone on the second day


class TestCorrected:
    def test_a_changed_vector_replaces_its_own_and_answers_of_before_replay(self, lake: Lake) -> None:
        bring(lake, *ROWS)
        before = asked(lake, by=["desk"])
        report = bring(lake, f"{DAY},T3,Credit,USD,10,7,-60,5,-4").dates[0]
        assert (report.new, report.changed, report.unchanged, report.held) == (0, 1, 0, 3)
        assert var(lake) == [60, 11]
        assert replay(lake, json.loads(json.dumps(before.to_dict(), default=str))).verdict == "same bits"
        bring(lake, *ROWS)  # taken back: the newest again
        assert var(lake) == [6, 11]
        assert len({s.valuation_set_id for s in list_valuation_sets(lake)}) == 3

    def test_replaced_dates_are_exactly_the_file(self, lake: Lake) -> None:
        bring(lake, *ROWS)
        report = bring(lake, ROWS[0], replace_dates=True).dates[0]
        assert (report.removed, report.held, report.unchanged) == (2, 1, 1)
        assert var(lake) == [3]

    def test_other_scenarios_are_refused_unless_the_date_is_replaced(self, lake: Lake) -> None:
        bring(lake, *ROWS)
        other = HEADER.replace("2019-01-07", "2019-01-08")
        with pytest.raises(BadInput, match="2019-01-08"):
            bring(lake, *ROWS, header=other)
        assert bring(lake, *ROWS, header=other, replace_dates=True).dates[0].held == 3
        assert var(lake) == [6, 11]

    def test_a_scenario_that_a_correction_lacks_is_a_hole(self, lake: Lake) -> None:
        bring(lake, *ROWS)
        report = bring(lake, f"{DAY},T1,Rates,USD,100,-1,2,-3", header=HEADER.removesuffix(",2019-01-07"))
        assert report.failed == 1
        assert "2019-01-07" in report.failures[0]["reason"]

    def test_a_vector_stands_once_however_often_it_comes_and_goes(self, lake: Lake) -> None:
        for rows in (ROWS, [f"{DAY},T1,Rates,USD,100,-9,2,-3,4"], ROWS[:2]):
            bring(lake, *rows)
        held = lake.read("pnl_vectors", ["contract_id", "pnl"]).to_pylist()
        # T1 as it was and as it was corrected, T2, T3
        assert sorted(r["pnl"][0] for r in held) == [-9, -1, 0.5, 7]

    def test_a_load_that_was_killed_completes_without_duplicates_after_compaction(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bring(lake, ROWS[0])
        with monkeypatch.context() as patch:
            patch.setattr("valuation.sets.imported._seal", killed)
            with pytest.raises(KeyboardInterrupt):
                bring(lake, *ROWS)
        with Committer(lake, "test") as committer:
            assert compact(committer, "pnl_vectors").files == 2
        bring(lake, *ROWS)
        held = lake.read("pnl_vectors", ["contract_id", "pnl"]).to_pylist()
        assert sorted(r["pnl"][0] for r in held) == [-1, 0.5, 7]
        assert var(lake) == [6, 11]  # the worst of four: Credit alone, and -3 with -8

    def test_a_damaged_file_is_written_anew_by_the_vectors_it_held(self, lake: Lake) -> None:
        bring(lake, *ROWS)
        (file,) = lake.data_files("pnl_vectors")
        sound = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(sound[:40] + bytes([sound[40] ^ 4]) + sound[41:])
        bring(lake, *ROWS)
        assert file.read_bytes() == sound
        assert var(lake) == [6, 11]


def killed(*_: object) -> None:
    raise KeyboardInterrupt


class TestHoles:
    def test_a_node_with_a_hole_is_a_failed_position_and_never_zero(self, lake: Lake) -> None:
        report = bring(lake, ROWS[0], f"{DAY},T2,Rates,USD,50,0.5,,-8,nan", ROWS[2])
        assert (report.read, report.loaded, report.failed) == (3, 2, 1)
        (failure,) = report.failures
        assert (failure["row"], failure["trade"]) == (3, "T2")
        assert "2 of 4 scenarios, first 2019-01-03" in failure["reason"]
        rows = {r["desk"]: r for r in asked(lake, by=["desk"]).rows.to_pylist()}
        assert (rows["Rates"]["covered"], rows["Rates"]["failed"], rows["Rates"]["var_0.75"]) == (1, 1, 3)
        bring(lake, ROWS[1])
        assert var(lake) == [6, 11]


class TestCurrencies:
    EUR = f"{DAY},T4,Rates,EUR,100,-1,2,-3,4"
    RATE = f"{DAY},,,,1.25,1.25,1.5,1.0,1.25"

    def test_rates_of_the_file_convert_scenario_by_scenario(self, lake: Lake) -> None:
        header = HEADER.replace("date,", "date,fx,")
        bring(lake, self.EUR.replace(DAY, f"{DAY},"), self.RATE.replace(DAY, f"{DAY},EURUSD"), header=header)
        # (100 + pnl) fx - 125 is -1.25, 28, -28, 5
        answer = ask(reading(lake), "pnl", read("pnl", {"as_of": DAY, "currency": "USD"}))
        assert sorted(answer.rows["pnl"].to_pylist()) == [-28, -1.25, 5, 28]
        assert var(lake, currency="USD") == [28]
        assert var(lake, currency="EUR") == [3]

    def test_at_spot_the_currency_risk_of_the_value_is_left_out_and_told(self, lake: Lake) -> None:
        header = HEADER.replace("date,", "date,fx,")
        rate = f"{DAY},EURUSD,,,,1.25,,,,"
        report = bring(lake, self.EUR.replace(DAY, f"{DAY},"), rate, header=header, fx_at_spot=True)
        assert var(lake, currency="USD") == [3.75]
        assert "currency risk" in report.notes[0]
        assert any("stay at spot" in n for n in asked(lake).notes)

    def test_the_spot_is_that_of_the_lakes_market(self, tmp_path: Path) -> None:
        lake = build_lake(tmp_path / "own")
        day = "2020-03-12"  # of which there is no book
        bring(lake, self.EUR.replace(DAY, day).replace(",100,", ",,"), fx_at_spot=True)
        where = {"as_of_date": [dt.date.fromisoformat(day)]}
        levels = lake.read("market_data", among=where).to_pylist()
        (spot,) = (r["value_used"] for r in levels if r["risk_factor_id"] == "FX:EURUSD")
        assert var(lake, as_of=day, currency="USD") == [3 * spot]

    def test_without_rates_a_position_in_another_currency_fails(self, lake: Lake) -> None:
        report = bring(lake, ROWS[0], self.EUR)
        assert "no exchange rates" in report.notes[0]
        (row,) = asked(lake, by=["desk"], currency="USD").rows.to_pylist()
        assert (row["covered"], row["failed"], row["var_0.75"]) == (1, 1, 3)

    def test_moving_rates_need_base_values_and_have_no_holes(self, lake: Lake) -> None:
        header = HEADER.replace("date,", "date,fx,")
        rate = self.RATE.replace(DAY, f"{DAY},EURUSD")
        with pytest.raises(BadInput, match="base_value") as caught:
            bring(lake, f"{DAY},,T4,Rates,EUR,,-1,2,-3,4", rate, header=header)
        assert caught.value.issues[0].pointer == "row 2, column base_value"
        with pytest.raises(BadInput, match="EURUSD"):
            bring(lake, self.EUR.replace(DAY, f"{DAY},"), f"{DAY},EURUSD,,,,1.25,1.25,,1.0,1.25", header=header)
        assert lake.version("positions") == -1


class TestBesideOwnValuations:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Lake:
        lake = build_lake(tmp_path / "own")
        with Committer(lake, "test") as committer:
            run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]
        return lake

    def file(self, own: Lake) -> tuple[str, str, np.ndarray[Any, Any]]:
        labels = load_stored(own, find_scenario_set(own, "historical-30", MONDAY)).labels
        pnl = np.arange(len(labels)) * 1024.0 - 9000
        header = "date,trade,desk,currency,base_value," + ",".join(labels)
        return header, f"{DAY},X1,Imported,USD,1," + ",".join(map(repr, pnl.tolist())), pnl

    def test_under_the_same_scenarios_they_add_up_and_the_receipt_has_both(self, own: Lake) -> None:
        before = asked(own, by=["desk"], levels=["0.9"])
        header, row, pnl = self.file(own)
        bring(own, row, header=header, scenario_set="historical-30")
        answer = asked(own, by=["desk"], levels=["0.9"])
        rows = {r["desk"]: r for r in answer.rows.to_pylist()}
        assert rows["Imported"]["var_0.9"] == -np.sort(pnl)[2]
        assert [r for d, r in rows.items() if d != "Imported"] == before.rows.to_pylist()
        held = answer.receipt["imports"]
        assert (held["risksys"]["positions"], held["valued here"]["positions"]) == (1, 4)
        with Committer(own, "test") as committer:  # and the valuation made anew takes them along
            made = run_valuation(committer, request(MONDAY), spark=no_spark).valuation_set  # type: ignore[arg-type]
        assert list(made.imports) == ["risksys"]
        again = asked(own, by=["desk"], levels=["0.9"], valuation_set=made.valuation_set_id)
        assert again.rows.equals(answer.rows)

    def test_under_other_scenarios_they_are_refused_in_words(self, own: Lake) -> None:
        with pytest.raises(BadInput, match="same scenarios"):
            bring(own, *ROWS)
        header, row, _ = self.file(own)
        with pytest.raises(BadInput, match="2019-01-02"):
            bring(own, row + ",1", header=header + ",2019-01-02", scenario_set="historical-30")
        with pytest.raises(BadInput, match="of the same name from elsewhere"):
            bring(own, row.replace("X1", "T00000-0"), header=header, scenario_set="historical-30")

    def test_they_are_never_valued_under_others(self, own: Lake) -> None:
        header, row, _ = self.file(own)
        bring(own, row, header=header, scenario_set="historical-30")
        with Committer(own, "test") as committer:
            other = request(MONDAY, scenarios={"parameters": {"scenarios": 20}})
            made = run_valuation(committer, other, spark=no_spark)  # type: ignore[arg-type]
        assert "known only under the scenarios it came with" in made.why_failed
        answer = asked(own, by=["desk"], scenario_set="historical-20", levels=["0.9"])
        rows = {r["desk"]: r for r in answer.rows.to_pylist()}
        assert (rows["Imported"]["failed"], rows["Imported"]["var_0.9"]) == (1, None)


def test_a_set_of_the_day_before_is_not_made_anew(lake: Lake) -> None:
    bring(lake, *ROWS)
    bring(lake, *(r.replace(DAY, "2020-03-17") for r in ROWS), scenario_set="other")
    with pytest.raises(BadInput, match="cannot be made anew"):
        plan(reading(lake), "var", read("var", {"as_of": "2020-03-17", "scenario_set": "risksys"}))


assert dt.date.fromisoformat(DAY) == MONDAY
