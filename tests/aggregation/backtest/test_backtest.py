"""Backtests end to end on a real lake: P&L against slow loops, VaR as published, what is missing, what lies behind exceptions."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import answer, refused, varlake
from daily_lake import DAYS, FIRST, HELD, LAST, MARKET, NO_BOOK, SCENARIOS, book_csv, build_daily_lake
from flask.testing import FlaskClient
from scipy import stats

from aggregation.backtest.backtest import run_backtest
from aggregation.backtest.judgement import BacktestQuery, BacktestResult
from aggregation.questions import ask, read
from aggregation.replay import receipt_in, replay
from aggregation.risk.query import run_query
from aggregation.session import reading
from aggregation.types import Filter, RiskQuery
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.landing.actual_pnl import ingest_pnl
from lake.tables import Lake
from scenarios.requests import ScenarioRequest
from service.api.app import create_app
from service.config import Settings
from valuation.books.positions import ingest_positions
from valuation.sets.daily import plan_days, value_days
from valuation.sets.requests import ValuationRequest, run_valuation

SCENARIO_REQUEST = ScenarioRequest(parameters={"scenarios": SCENARIOS}, name=None)
LEVELS = ("0.95", "0.9")
RANGE = ("--from", FIRST, "--to", LAST, "--level", "0.95,0.9", "--simulations", 200)


def no_spark() -> object:
    raise AssertionError("no Spark for a day")


@pytest.fixture(scope="module")
def daily_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Every day with a book is valued. Not to be written to."""
    lake = build_daily_lake(tmp_path_factory.mktemp("daily") / "lake")
    with Committer(lake, "test") as committer:
        done = value_days(committer, DAYS, SCENARIO_REQUEST)
    assert (done["days"], done["refused"]) == (len(DAYS) - 1, {})
    return lake


@pytest.fixture
def own_lake(daily_lake: Lake, tmp_path: Path) -> Lake:
    return Lake.open(shutil.copytree(daily_lake.path, tmp_path / "lake"))


def asked(**more: object) -> BacktestQuery:
    given = {"first": FIRST, "last": LAST, "levels": LEVELS, "simulations": 200, **more}
    return BacktestQuery.model_validate(given)


@pytest.fixture(scope="module")
def result(daily_lake: Lake) -> BacktestResult:
    return run_backtest(daily_lake, asked(by=("desk",)))


def level(factor: str, day: dt.date) -> float:
    value = MARKET[factor][day]
    assert value is not None
    return value


def black_scholes(day: dt.date, market: dt.date) -> float:
    """The call of the book; the logarithm of the discount factor is linear between two zero rates, time is Act/365."""
    time = (dt.date(2020, 12, 18) - day).days / 365
    spot, vol = level("EQ:AAA", market), level("IV:AAA", market)
    short, long = level("YC:USD:1M", market), level("YC:USD:5Y", market)
    rate = (short / 12 + (5 * long - short / 12) * (time - 1 / 12) / (5 - 1 / 12)) / time
    d1 = (math.log(spot / 100) + (rate + vol * vol / 2) * time) / (vol * math.sqrt(time))
    return float(spot * stats.norm.cdf(d1) - 100 * math.exp(-rate * time) * stats.norm.cdf(d1 - vol * math.sqrt(time)))


def worth(desk: str | None, day: dt.date, market: dt.date) -> float:
    """Value in USD of the book, contracts as of `day` in the market of `market`."""
    total = 0.0
    for held_by, quantity, terms in HELD:
        if desk not in (None, held_by):
            continue
        if terms["instrument_type"] == "equity_option":
            unit = black_scholes(day, market)
        elif terms["currency"] == "EUR":
            unit = level("EQ:BBB", market) * level("FX:EURUSD", market)
        else:
            unit = level("EQ:AAA", market)
        total += quantity * unit
    return total


class TestHypotheticalPnL:
    @pytest.mark.parametrize(("node", "desk"), [(0, None), (1, "Equities"), (2, "Options")])
    def test_yesterdays_book_in_the_market_that_came(self, result: BacktestResult, node: int, desk: str | None) -> None:
        rows = result.nodes[node].days
        assert result.nodes[node].node == ({} if desk is None else {"desk": desk})
        assert [(r["var_day"], r["day"]) for r in rows] == list(itertools.pairwise(DAYS))
        for row in rows:
            if row["var_day"] == NO_BOOK:
                assert row["hypothetical_pnl"] is None
                continue
            expected = worth(desk, row["var_day"], row["day"]) - worth(desk, row["var_day"], row["var_day"])
            assert row["hypothetical_pnl"] == pytest.approx(expected, rel=1e-7, abs=1e-4)

    def test_as_time_passes_the_option_ages(self, daily_lake: Lake) -> None:
        rows = run_backtest(daily_lake, asked(time="passes")).nodes[0].days
        for row in (r for r in rows if r["var_day"] != NO_BOOK):
            expected = worth(None, row["day"], row["day"]) - worth(None, row["var_day"], row["var_day"])
            assert row["hypothetical_pnl"] == pytest.approx(expected, rel=1e-7, abs=1e-4)

    def test_desks_add_up_to_the_total(self, result: BacktestResult) -> None:
        total, *desks = ([r["hypothetical_pnl"] or 0.0 for r in n.days] for n in result.nodes)
        assert np.sum(desks, axis=0) == pytest.approx(total)

    def test_in_another_currency_the_rate_of_each_day_counts(self, daily_lake: Lake) -> None:
        rows = run_backtest(daily_lake, asked(currency="EUR")).nodes[0].days
        for row in (r for r in rows if r["var_day"] != NO_BOOK):
            before, after = (
                worth(None, row["var_day"], d) / level("FX:EURUSD", d) for d in (row["var_day"], row["day"])
            )
            assert row["hypothetical_pnl"] == pytest.approx(after - before, rel=1e-7, abs=1e-4)


class TestPublishedVaR:
    def test_it_is_the_var_of_the_day_before(self, daily_lake: Lake, result: BacktestResult) -> None:
        for row in result.nodes[1].days:
            if row["var_day"] == NO_BOOK:
                continue
            query = RiskQuery(
                as_of=row["var_day"],
                where=(Filter.parse("desk=Equities"),),
                measures=("var", "es"),
                levels=LEVELS,
            )
            (stored,) = run_query(daily_lake, query).rows.to_pylist()
            for name in ("var_0.95", "var_0.9", "es_0.95", "es_0.9", "positions"):
                assert row[name] == stored[name]

    def test_exceptions_are_losses_greater_than_it_and_days_without_one(self, result: BacktestResult) -> None:
        for node in result.nodes:
            for judged in node.levels:
                flags = [r[f"hypothetical_exception_{judged.level}"] for r in node.days]
                by_hand = [
                    r["hypothetical_pnl"] is None or -r["hypothetical_pnl"] > r[f"var_{judged.level}"]
                    for r in node.days
                ]
                assert flags == by_hand
                (counted,) = judged.by_pnl
                assert counted.exceptions == sum(by_hand)
                assert counted.missing == 1
                assert counted.exceeded == sum(by_hand) - 1
                assert counted.exceeded > 0

    def test_multinomial_counts_levels_exceeded(self, daily_lake: Lake, result: BacktestResult) -> None:
        total = result.nodes[0]
        ladder = ("0.9", "0.925", "0.95", "0.975")
        counts = [0] * 5
        for row in (r for r in total.days if r["var_day"] != NO_BOOK):
            query = RiskQuery(as_of=row["var_day"], levels=ladder)
            (stored,) = run_query(daily_lake, query).rows.to_pylist()
            counts[sum(-row["hypothetical_pnl"] > stored[f"var_{x}"] for x in ladder)] += 1
        assert total.multinomial["hypothetical"].details["observed"] == counts


class TestMissing:
    def test_a_day_without_a_book_is_an_exception_that_says_so(self, result: BacktestResult) -> None:
        for node in result.nodes:
            (row,) = (r for r in node.days if r["var_day"] == NO_BOOK)
            assert row["var_0.95"] is None
            assert row["hypothetical_exception_0.95"]
            assert f"No positions on {NO_BOOK}" in row["remark"] or f"No valuation set of {NO_BOOK}" in row["remark"]
            assert "1 of 18 days has no VaR or no hypothetical P&L, and counts as an exception of it." in node.notes

    def test_of_the_days_with_books_none_is_missing(self, daily_lake: Lake) -> None:
        total = run_backtest(daily_lake, asked(calendar="books")).nodes[0]
        assert len(total.days) == len(DAYS) - 2
        assert total.levels[0].by_pnl[0].missing == 0
        assert (dt.date(2020, 2, 19), dt.date(2020, 2, 21)) in {(r["var_day"], r["day"]) for r in total.days}

    def test_days_without_market_or_valuation(self, daily_lake: Lake) -> None:
        query = asked(first=dt.date(2020, 2, 27), last=dt.date(2020, 3, 10))
        total = run_backtest(daily_lake, query).nodes[0]
        assert [r["hypothetical_exception_0.95"] for r in total.days][2:] == [True] * 6
        assert "no VaR: The lake lacks positions of 2020-03-02" in total.days[2]["remark"]

    def test_var_of_a_part_of_the_positions_says_so(self, own_lake: Lake) -> None:
        late = asked(first=DAYS[16])
        assert not any("part of the positions" in n for n in run_backtest(own_lake, late).nodes[0].notes)
        matured = own_lake.path.parent / "more.csv"
        lines = book_csv().splitlines()
        option = next(x for x in lines if x.startswith(str(DAYS[17])) and "2020-12-18" in x)
        matured.write_text("\n".join([lines[0], option.replace("2020-12-18", "2020-01-17").replace("T2", "T9")]))
        with Committer(own_lake, "test") as committer:
            ingest_positions(committer, matured)
        notes = run_backtest(own_lake, late).nodes[0].notes
        assert "On 1 of 2 days the VaR rests on part of the positions; see covered." in notes

    def test_a_name_no_day_knows_is_refused_and_so_is_a_range_of_one_day(self, daily_lake: Lake) -> None:
        with pytest.raises(BadInput, match="Nearest valid: desk"):
            run_backtest(daily_lake, asked(by=("desks",)))
        with pytest.raises(BadInput, match="Nearest valid: Options"):
            run_backtest(daily_lake, asked(where=(Filter.parse("desk=Option"),)))
        with pytest.raises(BadInput, match=r"1 day from .* hold a book; a backtest needs two"):
            run_backtest(daily_lake, asked(calendar="books", first=LAST, last=LAST + dt.timedelta(days=3)))

    def test_var_of_ten_days_is_not_held_against_pnl_of_one(self, own_lake: Lake) -> None:
        ten = ScenarioRequest(parameters={"scenarios": 30, "horizon_days": 10}, name="ten")
        with Committer(own_lake, "test") as committer:
            value_days(committer, DAYS[:2], ten)
        with pytest.raises(BadInput, match=r"spans 10 days .scenario set ten.*one-day moves"):
            run_backtest(own_lake, asked(scenario_set="ten", last=DAYS[1]))


class TestActualPnL:
    def bring(self, lake: Lake, rows: list[str], header: str = "date,desk,pnl,currency") -> None:
        path = lake.path.parent / "pnl.csv"
        path.write_text("\n".join([header, *rows]))
        with Committer(lake, "test") as committer:
            ingest_pnl(committer, path)

    def test_both_kinds_are_counted_and_the_greater_count_is_the_desks(
        self, own_lake: Lake, result: BacktestResult
    ) -> None:
        lost = dict.fromkeys(DAYS[1:5], -1e6)
        rows = [f"{d},Equities,{lost.get(d, 5.0)},USD" for d in DAYS[1:] if d != LAST]
        rows += [f"{d},Options,-1,EUR" for d in DAYS[1:]]
        self.bring(own_lake, rows)
        total, equities, options = run_backtest(own_lake, asked(by=("desk",))).nodes
        actual = equities.levels[0].by_pnl[1]
        assert (actual.pnl, actual.exceeded, actual.missing) == ("actual", 4, 2)  # without VaR one, without P&L another
        assert actual.exceptions == 6
        hypothetical = result.nodes[1].levels[0].by_pnl[0]
        assert equities.levels[0].exceptions == max(6, hypothetical.exceptions)
        assert options.levels[0].by_pnl[1].missing == 1
        by_day = {r["day"]: r for r in total.days}
        expected = -1e6 - level("FX:EURUSD", DAYS[1])
        assert by_day[DAYS[1]]["actual_pnl"] == pytest.approx(expected)
        assert "no actual P&L in the lake" in equities.days[-1]["remark"]

    def test_without_any_file_only_hypothetical_pnl_is_counted(self, result: BacktestResult) -> None:
        assert [j.pnl for j in result.nodes[0].levels[0].by_pnl] == ["hypothetical"]
        assert any("No actual P&L of these days" in n for n in result.notes)

    def test_pnl_of_the_whole_bank_says_nothing_of_a_desk(self, own_lake: Lake) -> None:
        self.bring(own_lake, [f"{d},-1,USD" for d in DAYS[1:]], "date,pnl,currency")
        total, equities, _ = run_backtest(own_lake, asked(by=("desk",))).nodes
        assert [j.pnl for j in equities.levels[0].by_pnl] == ["hypothetical"]
        assert [j.pnl for j in total.levels[0].by_pnl] == ["hypothetical"]
        filtered = run_backtest(own_lake, asked(where=(Filter.parse("desk=Options"),)))
        assert any("does not speak of this node" in n for n in filtered.notes)
        alone = run_backtest(own_lake, asked()).nodes[0]
        assert [j.pnl for j in alone.levels[0].by_pnl] == ["hypothetical", "actual"]

    def test_pnl_of_a_desk_says_nothing_of_a_contract(self, own_lake: Lake) -> None:
        self.bring(own_lake, [f"{d},Equities,-1,USD" for d in DAYS[1:]])
        done = run_backtest(own_lake, asked(by=("contract",)))
        assert {j.pnl for node in done.nodes for j in node.levels[0].by_pnl} == {"hypothetical"}
        assert any("does not speak of this node" in n for n in done.notes)

    def test_attribution_of_the_front_offices_pnl(self, own_lake: Lake, result: BacktestResult) -> None:
        ours = {r["day"]: r["hypothetical_pnl"] for r in result.nodes[0].days if r["hypothetical_pnl"] is not None}
        rows = [f"{d},hypothetical,{2 * v!r},USD" for d, v in ours.items()]
        self.bring(own_lake, rows, "date,kind,pnl,currency")
        total = run_backtest(own_lake, asked()).nodes[0]
        assert total.attributed == "hypothetical"
        assert total.attribution is not None
        assert total.attribution.days == len(ours)
        assert total.attribution.spearman == pytest.approx(1.0)
        twice = [2 * v for v in ours.values()]
        expected = stats.ks_2samp(list(ours.values()), twice).statistic
        assert total.attribution.kolmogorov_smirnov == pytest.approx(expected)


class TestBehindExceptions:
    def test_positions_and_moves_of_a_day(self, result: BacktestResult) -> None:
        found = [e for e in result.nodes[0].exceptions if e["contributors"]]
        assert found
        for exception in found:
            before, after = exception["var_day"], exception["day"]
            pnl = {"T0": 1000.0 * (level("EQ:AAA", after) - level("EQ:AAA", before))}
            eur = [level("EQ:BBB", d) * level("FX:EURUSD", d) for d in (before, after)]
            pnl["T1"] = -400.0 * (eur[1] - eur[0])
            pnl["T2"] = 300.0 * (black_scholes(before, after) - black_scholes(before, before))
            lost = sorted((v, t) for t, v in pnl.items() if v < 0)
            assert [c["trade"] for c in exception["contributors"]] == [t for _, t in lost]
            assert [c["pnl"] for c in exception["contributors"]] == pytest.approx(
                [v for v, _ in lost], rel=1e-7, abs=1e-4
            )
            moves = {m["risk_factor"]: m for m in exception["moves"]}
            assert moves["EQ:AAA"]["move"] == pytest.approx(level("EQ:AAA", after) / level("EQ:AAA", before) - 1)
            assert moves["YC:USD:1M"]["move"] == pytest.approx(level("YC:USD:1M", after) - level("YC:USD:1M", before))

    def test_a_move_is_told_in_the_root_mean_square_of_those_before(self, result: BacktestResult) -> None:
        exception = next(e for e in result.nodes[0].exceptions if e["moves"])
        move = next(m for m in exception["moves"] if m["risk_factor"] == "EQ:AAA")
        path = [v for d, v in sorted(MARKET["EQ:AAA"].items()) if d <= exception["var_day"] and v is not None]
        before = np.diff(path) / np.array(path[:-1])
        assert move["deviations"] == pytest.approx(move["move"] / np.sqrt(np.mean(before[-250:] ** 2)))

    def test_only_the_factors_of_the_node(self, result: BacktestResult) -> None:
        for exception in result.nodes[1].exceptions:
            assert {m["risk_class"] for m in exception["moves"]} <= {"equity"}


class TestDays:
    def test_the_market_read_once_gives_the_sets_of_the_ordinary_way(self, own_lake: Lake) -> None:
        known = own_lake.read("valuation_sets", ["valuation_date", "valuation_set_id"]).to_pylist()
        ids = {r["valuation_date"]: r["valuation_set_id"] for r in known}
        request = ValuationRequest(as_of=DAYS[3], scenarios=SCENARIO_REQUEST, runner="in-process")
        with Committer(own_lake, "test") as committer:
            run = run_valuation(committer, request, spark=no_spark)  # type: ignore[arg-type]
        assert run.valuation_set.valuation_set_id == ids[DAYS[3]]
        assert run.this_run.valued == 0

    def test_what_is_sealed_is_not_valued_again(self, own_lake: Lake) -> None:
        planned = plan_days(own_lake, DAYS, SCENARIO_REQUEST)
        assert (planned.days, planned.books, planned.valued, planned.missing) == (
            len(DAYS),
            len(DAYS) - 1,
            len(DAYS) - 1,
            0,
        )
        assert planned.contracts == 0
        with Committer(own_lake, "test") as committer:
            assert value_days(committer, DAYS, SCENARIO_REQUEST)["days"] == 0

    def test_a_plan_tells_the_contracts_and_bytes(self, daily_lake: Lake) -> None:
        planned = plan_days(daily_lake, DAYS, ScenarioRequest(parameters={"scenarios": 50}, name=None))
        assert planned.scenario_set == "historical-50"
        assert (planned.missing, planned.contracts) == (len(DAYS) - 1, 3 * (len(DAYS) - 1))
        assert planned.expected_bytes == 8 * 50 * (len(DAYS) - 1) * (3 + 6)
        assert planned.cost.seconds >= 0

    def test_a_day_without_history_stops_no_other(self, tmp_path: Path) -> None:
        lake = build_daily_lake(tmp_path / "lake")
        moves = sum(d <= DAYS[0] for d in MARKET["EQ:AAA"]) - 1
        with Committer(lake, "test") as committer:
            request = ScenarioRequest(parameters={"scenarios": moves + 1}, name=None)
            done = value_days(committer, DAYS[:3], request)
        assert done["days"] == 2
        ((day, why),) = done["refused"].items()
        assert day == str(DAYS[0])
        assert f"the history gives only {moves}" in why

    def test_without_a_book_it_says_how_to_bring_one(self, daily_lake: Lake) -> None:
        with pytest.raises(NotFound, match="varlake sample book"):
            plan_days(daily_lake, [dt.date(2020, 3, 3), dt.date(2020, 3, 4)], SCENARIO_REQUEST)


class TestReceipt:
    def test_the_same_question_has_the_same_digest(self, daily_lake: Lake) -> None:
        one, two = (run_backtest(daily_lake, asked()).receipt for _ in range(2))
        assert one == two
        assert one["kind"] == "backtest"
        assert list(one["days"]) == [str(d) for d in DAYS[:-1] if d != NO_BOOK]
        assert run_backtest(daily_lake, asked(seed=2)).receipt["result_digest"] != one["result_digest"]

    def test_it_replays_to_the_same_bits_until_an_input_changes(self, own_lake: Lake, tmp_path: Path) -> None:
        receipts = {
            "backtest": run_backtest(own_lake, asked(first=DAYS[10])).receipt,
            "series": ask(reading(own_lake), "series", read("series", {"from": DAYS[10], "to": LAST})).receipt,
        }
        for kind, receipt in receipts.items():
            done = replay(own_lake, receipt_in({"receipt": json.loads(json.dumps(receipt, default=str))}))
            assert (done.kind, done.verdict, done.why) == (kind, "same bits", None)
            assert {i.state for i in done.inputs} == {"same"}
        changed = tmp_path / "pnl.csv"
        changed.write_text(f"date,pnl,currency\n{DAYS[12]},-1e9,USD\n")
        with Committer(own_lake, "test") as committer:
            ingest_pnl(committer, changed)
        # P&L that came later is no part of the lake as it was
        assert replay(own_lake, receipts["backtest"]).verdict == "same bits"


class TestCommandLine:
    def test_value_then_test_in_one_command(self, tmp_path: Path) -> None:
        lake = build_daily_lake(tmp_path / "lake").path
        picture = tmp_path / "backtest.svg"
        arguments = ("backtest", "--from", DAYS[11], *RANGE[2:], "--value", "-p", f"scenarios={SCENARIOS}")
        planned = answer(*arguments, "--plan", lake=lake)
        assert not planned["ready"]
        assert (planned["about"]["days"], planned["about"]["missing"]) == (8, 7)
        done = varlake(*arguments, "--plot", picture, "--json", lake=lake)
        assert done.returncode == 0, done.stderr
        assert "of one core to value first" in done.stderr
        assert answer(*arguments, "--plan", lake=lake)["ready"]
        assert json.loads(done.stdout)["nodes"][0]["levels"][0]["by_pnl"][0]["missing"] == 1
        named = ("--from", DAYS[16], *RANGE[2:], "--value", "-p", "scenarios=30", "--scenario-set", "short")
        short = answer("backtest", *named, lake=lake)
        assert short["query"]["scenario_set"] == "short"
        assert short["nodes"][0]["levels"][0]["by_pnl"][0]["missing"] == 0
        assert "minus 95% VaR" in picture.read_text()
        assert "exceptions of 95% VaR" in picture.read_text()
        assert f"VaR of {DAYS[11]} to {DAYS[-2]} against P&amp;L of {DAYS[12]} to {LAST}" in picture.read_text()
        assert "its VaR is that of the tested day before" in picture.read_text()

    def test_the_tables_tell_counts_tests_and_exceptions(self, daily_lake: Lake) -> None:
        shown = varlake("backtest", *RANGE, "--by", "desk", lake=daily_lake.path)
        assert shown.returncode == 0, shown.stderr
        assert f"VaR of {FIRST} to {DAYS[-2]} against P&L of {DAYS[1]} to {LAST}" in shown.stdout
        for text in (
            "VaR of",
            "P&L of",
            "desk=Equities",
            "kupiec",
            "acerbi_szekely_z2",
            "multinomial",
            "lost most",
            "Haas (2001)",
        ):
            assert text in shown.stdout
        assert "counts as an exception" in shown.stderr

    def test_refusals_are_words(self, daily_lake: Lake, tmp_path: Path) -> None:
        lake = daily_lake.path
        assert "after the first" in refused("backtest", "--from", LAST, "--to", FIRST, lake=lake)
        assert "law" in refused("backtest", *RANGE, "--law", "cauchy", lake=lake)
        assert "XNYZ" in refused("backtest", *RANGE, "--calendar", "XNYZ", lake=lake)
        assert "level" in refused("backtest", "--from", FIRST, "--to", LAST, "--level", "1.5", lake=lake)
        assert "There is no file" in refused("ingest", "pnl", tmp_path / "none.csv", lake=lake)

    def test_ingest_pnl(self, own_lake: Lake, tmp_path: Path) -> None:
        file = tmp_path / "pnl.csv"
        file.write_text(f"date,desk,pnl,currency\n{DAYS[1]},Equities,-5,USD\n")
        (report,) = answer("ingest", "pnl", file, lake=own_lake.path)
        assert (report["new"], report["first"]) == (1, str(DAYS[1]))
        file.write_text(f"date,desk,pnl,currency\n{DAYS[1]},Equities,-6,USD\n")
        assert "Where dates are replaced" in refused("ingest", "pnl", file, lake=own_lake.path)
        assert varlake("ingest", "pnl", file, "--replace-dates", lake=own_lake.path).returncode == 0


@pytest.fixture(scope="module")
def client(daily_lake: Lake) -> FlaskClient:
    return create_app(Settings(lake=daily_lake.path)).test_client()


class TestHTTP:
    ADDRESS = f"/api/v1/backtest?from={FIRST}&to={LAST}&levels=0.95&levels=0.9&simulations=200&by=desk"

    def test_the_same_answer_as_from_the_command_line(self, client: FlaskClient, daily_lake: Lake) -> None:
        told = answer("backtest", *RANGE, "--by", "desk", lake=daily_lake.path)
        got = client.get(self.ADDRESS)
        assert got.status_code == 200
        assert got.get_json()["nodes"] == told["nodes"]
        again = client.get(self.ADDRESS, headers={"If-None-Match": got.headers["ETag"]})
        assert again.status_code == 304

    def test_csv_has_a_row_a_day_and_node(self, client: FlaskClient) -> None:
        text = client.get(f"{self.ADDRESS}&format=csv").get_data(as_text=True)
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == 3 * (len(DAYS) - 1)
        assert [r["desk"] for r in rows if r["day"] == str(LAST)] == ["", "Equities", "Options"]

    def test_a_bad_range_is_a_problem_in_words(self, client: FlaskClient) -> None:
        got = client.get(f"/api/v1/backtest?from={LAST}&to={FIRST}")
        assert got.status_code == 422
        assert "after the first" in got.get_json()["detail"]
