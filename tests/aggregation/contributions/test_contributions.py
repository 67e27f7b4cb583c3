"""Contributions through the public function, against slow obvious loops and worked examples."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position
from scipy import stats
from scipy.stats import mstats

from aggregation.contributions.contributions import ContributionQuery, ContributionResult, run_contributions
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_query
from aggregation.risk.sampling_error import resamples_of
from aggregation.types import Filter, RiskQuery
from lake.errors import BadInput, validated
from lake.tables import Lake

N = 200
rng = np.random.default_rng(11)
RATES = 1.1 * np.exp(rng.normal(0, 0.006, N))
VECTORS = {
    f"c{i}": ("EUR" if i % 3 == 0 else "USD", float(rng.normal(50, 20)), rng.standard_t(4, N) * 3.0) for i in range(9)
}
TRADES = [
    (f"t{i:02}", f"c{i % 11}", float(np.round(rng.normal(0, 40), 1)), f"D{i % 3}", f"B{i % 5}") for i in range(40)
]  # c9 failed, c10 is missing
AGED = 0.98 ** np.arange(N)[::-1]


def rows() -> list[dict[str, Any]]:
    return [position(t, c, q, desk=d, book=b) for t, c, q, d, b in TRADES]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    valued = Valued(VECTORS, failed={"c9": "no curve"}, fx={"EURUSD": (1.1, RATES)})
    return make_lake(tmp_path_factory.mktemp("plain"), valued, rows())


@pytest.fixture(scope="module")
def aged_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    valued = Valued(VECTORS, failed={"c9": "no curve"}, fx={"EURUSD": (1.1, RATES)}, weights=AGED / AGED.sum())
    return make_lake(tmp_path_factory.mktemp("aged"), valued, rows())


def ask(lake: Lake, **more: Any) -> ContributionResult:
    return run_contributions(lake, ContributionQuery(as_of=DAY, **more))


def trade_pnl() -> dict[str, Any]:
    """P&L in USD by trade, the long way."""
    out = {}
    for trade, contract, quantity, _, _ in TRADES:
        if contract in VECTORS:
            currency, base, pnl = VECTORS[contract]
            fx0, fx = (1.1, RATES) if currency == "EUR" else (1.0, np.ones(N))
            out[trade] = quantity * ((base + pnl) * fx - base * fx0)
    return out


def by_hand(measure: str, level: float, pnl: Any, weights: Any = None) -> Any:
    """The measure, and the indices of its scenarios with their weights: by sorting and counting."""
    order = sorted(range(N), key=lambda s: (pnl[s], s))
    p = np.full(N, Fraction(1, N)) if weights is None else weights / weights.sum()
    left, out = (1 - Fraction(str(level)), {})
    whole = left
    for s in order:
        if measure == "var":
            left -= p[s]
            if left <= 1e-12:
                return {s: 1.0}
            continue
        take = min(left, p[s])
        if take > 0:
            out[s] = float(take / whole)
            left -= take
    return out


class TestAgainstLoops:
    @pytest.mark.parametrize("measure", ["var", "es"])
    @pytest.mark.parametrize("level", ["0.99", "0.9", "0.963"])
    @pytest.mark.parametrize("aged", [False, True])
    def test_components_by_desk(self, lake: Lake, aged_lake: Lake, measure: str, level: str, aged: bool) -> None:
        answer = ask(aged_lake if aged else lake, measures=(measure,), levels=(level,), by=("desk",))
        by_trade = trade_pnl()
        desk_of = {t: d for t, _, _, d, _ in TRADES}
        total = sum(by_trade.values())
        tail = by_hand(measure, float(level), total, AGED if aged else None)
        for row in answer.rows.to_pylist():
            wanted = -sum(w * by_trade[t][s] for s, w in tail.items() for t in by_trade if desk_of[t] == row["desk"])
            assert row["component"] == pytest.approx(wanted, rel=1e-11)
            assert row["share"] == pytest.approx(wanted / -sum(w * total[s] for s, w in tail.items()), rel=1e-11)
            assert row["marginal"] == pytest.approx(wanted / row["base_value"], rel=1e-11)

    @pytest.mark.parametrize("measure", ["var", "es"])
    def test_standalone_and_incremental_are_the_answers_of_the_var_query(self, lake: Lake, measure: str) -> None:
        answer = ask(lake, measures=(measure,), levels=("0.95",), by=("desk",))
        asked = RiskQuery(as_of=DAY, measures=(measure,), levels=("0.95",), by=("desk",))
        plain = run_query(lake, asked)
        name = f"{measure}_0.95"
        assert answer.rows["standalone"].to_pylist() == plain.rows[name].to_pylist()
        assert answer.rows["base_value"].to_pylist() == plain.rows["base_value"].to_pylist()
        assert answer.total["standalone"] == plain.total[name]
        assert answer.total["standalone_sum"] == plain.total[f"{name}_standalone_sum"]
        assert answer.total["diversification"] == plain.total[f"{name}_diversification"]
        for row in answer.rows.to_pylist():
            without = asked.model_copy(
                update={"by": (), "where": (Filter(dimension="desk", values=(row["desk"],), exclude=True),)}
            )
            difference = plain.total[name] - run_query(lake, without).total[name]
            assert row["incremental"] == pytest.approx(difference, rel=1e-10)
            assert row["diversification"] == row["standalone"] - row["component"]

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("measure", ["var", "volatility"])
    def test_regression_form(self, lake: Lake, aged_lake: Lake, weighted: bool, measure: str) -> None:
        answer = ask(aged_lake if weighted else lake, measures=(measure,), by=("book",), form="regression")
        by_trade, book_of = trade_pnl(), {t: b for t, _, _, _, b in TRADES}
        total = sum(by_trade.values())
        for row in answer.rows.to_pylist():
            group = sum(p for t, p in by_trade.items() if book_of[t] == row["book"])
            cov = np.cov(group, total, ddof=0, aweights=AGED if weighted else None)
            assert row["component"] == pytest.approx(
                answer.total["standalone"] * cov[0, 1] / cov[1, 1], rel=1e-10, abs=1e-9
            )
        assert any("covariance" in note for note in answer.notes)

    def test_stability_is_the_move_of_a_component_when_the_rank_moves_by_one(self, lake: Lake) -> None:
        answer = ask(lake, levels=("0.95",), by=("desk",))  # rank 10 of 200
        by_trade, desk_of = trade_pnl(), {t: d for t, _, _, d, _ in TRADES}
        order = np.argsort(sum(by_trade.values()), kind="stable")
        for row in answer.rows.to_pylist():
            desk = -sum(p for t, p in by_trade.items() if desk_of[t] == row["desk"])
            moves = [abs(desk[order[k - 1]] - desk[order[9]]) for k in (9, 11)]
            assert row["stability"] == pytest.approx(max(moves) / abs(answer.total["standalone"]), rel=1e-10)

    @pytest.mark.parametrize("estimator", ["hf2", "hf7", "hf8"])
    def test_interpolating_estimators_split_over_their_scenarios(self, lake: Lake, estimator: str) -> None:
        answer = ask(lake, by=("desk",), estimator=estimator, levels=("0.973",))
        by_trade, desk_of = trade_pnl(), {t: d for t, _, _, d, _ in TRADES}
        total = -sum(by_trade.values())
        method = {"hf2": "averaged_inverted_cdf", "hf7": "linear", "hf8": "median_unbiased"}[estimator]
        assert answer.total["standalone"] == pytest.approx(np.quantile(total, 0.973, method=method), rel=1e-12)
        value, ranked = np.quantile(total, 0.973, method=method), np.sort(total)
        after = int(np.searchsorted(ranked, value))
        low, high = ranked[after - 1], ranked[after]
        share = (value - low) / (high - low)
        at = {v: int(np.flatnonzero(total == v)[0]) for v in (low, high)}
        for row in answer.rows.to_pylist():
            desk = -sum(p for t, p in by_trade.items() if desk_of[t] == row["desk"])
            assert row["component"] == pytest.approx((1 - share) * desk[at[low]] + share * desk[at[high]], rel=1e-9)


class TestAddingUp:
    @pytest.mark.parametrize(
        "by", [(), ("desk",), ("book",), ("trade",), ("desk", "book"), ("book", "desk", "trade"), ("currency",)]
    )
    @pytest.mark.parametrize("measure", ["var", "es"])
    def test_to_the_last_bit_by_any_dimension_at_any_depth(self, lake: Lake, by: tuple[str, ...], measure: str) -> None:
        answer = ask(lake, by=by, measures=(measure,), figures=("component",))
        parts = [c for c in answer.rows["component"].to_pylist() if c is not None]
        assert sum(parts) == sum(reversed(parts)) == math.fsum(parts) == answer.total["component"]
        assert answer.total["component"] == pytest.approx(
            run_query(lake, RiskQuery(as_of=DAY, measures=(measure,))).total[f"{measure}_0.99"], rel=1e-15
        )

    def test_a_deeper_question_adds_up_to_the_shallower_one(self, lake: Lake) -> None:
        desks = {r["desk"]: r["component"] for r in ask(lake, by=("desk",)).rows.to_pylist()}
        deeper = ask(lake, by=("trade", "desk")).rows.to_pylist()
        for desk, component in desks.items():
            assert sum(r["component"] for r in deeper if r["desk"] == desk and r["covered"]) == component

    def test_es_of_groups_adds_up_over_the_scenarios_of_the_whole(self, lake: Lake) -> None:
        """ES of the whole is the mean over its tail: the means of the groups over the same scenarios add up to it."""
        answer = ask(lake, by=("book",), measures=("es",), levels=("0.9",))
        by_trade, book_of = trade_pnl(), {t: b for t, _, _, _, b in TRADES}
        worst = np.argsort(sum(by_trade.values()), kind="stable")[:20]
        for row in answer.rows.to_pylist():
            direct = -np.mean(sum(p for t, p in by_trade.items() if book_of[t] == row["book"])[worst])
            assert row["component"] == pytest.approx(direct, rel=1e-11)
            assert row["standalone"] >= row["component"] - 1e-9  # ES is coherent: no group is riskier inside than alone

    def test_the_order_of_the_book_and_the_threads_change_no_bit(self, lake: Lake, tmp_path: Path) -> None:
        valued = Valued(VECTORS, failed={"c9": "no curve"}, fx={"EURUSD": (1.1, RATES)}, files=3)
        other = make_lake(tmp_path, valued, rows()[::-1])
        one = ask(lake, by=("desk", "book"), measures=("es",))
        two = run_contributions(other, ContributionQuery(as_of=DAY, by=("desk", "book"), measures=("es",)), threads=1)
        assert one.rows.equals(two.rows)
        assert one.total == two.total
        assert one.receipt["result_digest"] == two.receipt["result_digest"]

    def test_twice_the_book_has_twice_the_components(self, lake: Lake, tmp_path: Path) -> None:
        valued = Valued(VECTORS, failed={"c9": "no curve"}, fx={"EURUSD": (1.1, RATES)})
        doubled = make_lake(tmp_path, valued, [{**r, "quantity": 2 * r["quantity"]} for r in rows()])
        one, two = (ask(x, by=("desk",)) for x in (lake, doubled))
        for name in ("component", "standalone", "incremental"):
            assert two.rows[name].to_pylist() == [2 * x for x in one.rows[name].to_pylist()]
        for name in ("share", "marginal", "stability"):
            assert two.rows[name].to_pylist() == one.rows[name].to_pylist()


class TestTiesAndTails:
    def test_the_first_of_tied_scenarios_is_the_var(self, tmp_path: Path) -> None:
        """Totals -8, -8, -8 with splits (-5, -3), (-4, -4), (-8, 0): the first scenario in order ranks worse."""
        vectors = {
            "a": ("USD", 1.0, np.array([1.0, -5.0, -4.0, -8.0, 2.0])),
            "b": ("USD", 1.0, np.array([1.0, -3.0, -4.0, 0.0, 2.0])),
        }
        rows = [position("1", "a", 1.0, desk="A"), position("2", "b", 1.0, desk="B")]
        lake = make_lake(tmp_path, Valued(vectors), rows)
        for level, split in (("0.8", [5.0, 3.0]), ("0.6", [4.0, 4.0]), ("0.4", [8.0, 0.0])):
            answer = ask(lake, by=("desk",), levels=(level,))
            assert answer.rows["component"].to_pylist() == split
            assert answer.total["component"] == 8.0
        assert "the first in scenario order ranks worse" in answer.receipt["ties"]

    def test_var_may_gain_by_joining_where_es_may_not(self, tmp_path: Path) -> None:
        """Two bonds that each default in another of 100 scenarios: VaR at 0.985 is not sub-additive, ES is (J11)."""
        fall = [np.where(np.arange(100) == i, -100.0, 1.0) for i in (10, 20)]
        vectors = {f"b{i}": ("USD", 100.0, p) for i, p in enumerate(fall)}
        lake = make_lake(tmp_path, Valued(vectors), [position(str(i), f"b{i}", 1.0, desk=f"D{i}") for i in range(2)])
        var = ask(lake, by=("desk",), levels=("0.985",))
        assert (var.rows["standalone"].to_pylist(), var.total["component"]) == ([-1.0, -1.0], 99.0)
        assert var.total["diversification"] == -101.0
        es = ask(lake, by=("desk",), levels=("0.985",), measures=("es",))
        assert es.total["diversification"] >= 0.0

    def test_at_the_worst_loss_only_the_longer_tail_is_a_neighbour(self, lake: Lake) -> None:
        answer = ask(lake, by=("desk",), levels=("0.999",))
        assert all(s is not None for s in answer.rows["stability"].to_pylist())


class TestIntervals:
    """Resamples of the scenarios by their counts, as `aggregation.risk.sampling_error` draws them, measured the long way."""

    @pytest.mark.parametrize(("form", "estimator"), [("scenario", "order_statistic"), ("regression", "hf7")])
    def test_the_ends_are_percentiles_over_resamples(self, lake: Lake, form: str, estimator: str) -> None:
        asked = {"by": ("desk",), "levels": ("0.95",), "form": form, "estimator": estimator}
        answer = ask(lake, interval="0.9", **asked)
        inputs = open_inputs(VectorCache(lake), RiskQuery(as_of=DAY))
        counts = resamples_of(inputs).counts
        by_trade, desk_of = trade_pnl(), {t: d for t, _, _, d, _ in TRADES}
        names = sorted(set(desk_of.values()))
        groups = np.array([sum(p for t, p in by_trade.items() if desk_of[t] == d) for d in names])
        total, found = groups.sum(axis=0), []
        for drawn in counts:
            again = np.repeat(np.arange(N), drawn)
            if form == "scenario":
                worst = again[np.argsort(total[again], kind="stable")[9]]
                found.append(-groups[:, worst])
            else:
                cov = np.cov(np.vstack([groups, total])[:, again], ddof=0)
                found.append(np.quantile(-total[again], 0.95) * cov[:-1, -1] / cov[-1, -1])
        low, high = np.quantile(found, [0.05, 0.95], axis=0)
        np.testing.assert_allclose(answer.rows["component_low"].to_pylist(), low, rtol=1e-9)
        np.testing.assert_allclose(answer.rows["component_high"].to_pylist(), high, rtol=1e-9)
        total_ends = np.quantile(np.sum(found, axis=1), [0.05, 0.95])
        np.testing.assert_allclose(
            [answer.total[c] for c in ("component_low", "component_high")], total_ends, rtol=1e-9
        )
        assert answer.receipt["interval"]["confidence"] == "0.9"
        assert any("ranked anew" in note for note in answer.notes)
        plain = ask(lake, **asked)
        assert plain.rows["component"].equals(answer.rows["component"])
        assert "component_low" not in plain.rows.column_names

    def test_weighted_scenarios_bring_their_weights(self, aged_lake: Lake) -> None:
        rows = ask(aged_lake, by=("desk",), measures=("es",), interval="0.9").rows.to_pylist()
        assert all(r["component_low"] < r["component_high"] for r in rows)


class TestTop:
    def test_the_rest_in_one_row_and_the_sum_holds(self, lake: Lake) -> None:
        every = ask(lake, by=("trade",), measures=("es",))
        ranked = sorted((r for r in every.rows.to_pylist() if r["covered"]), key=lambda r: -r["component"])
        short = ask(lake, by=("trade",), measures=("es",), top=3)
        found = short.rows.to_pylist()
        assert [r["part"] for r in found] == ["top"] * 3 + ["rest"] + ["offset"] * 3
        assert [r["trade"] for r in found] == [r["trade"] for r in ranked[:3]] + [None] + [
            r["trade"] for r in ranked[-3:]
        ]
        assert sum(r["component"] for r in found) == short.total["component"] == every.total["component"]
        named = {r["trade"]: r for r in every.rows.to_pylist()}
        for row in found:
            if row["trade"] is not None:
                assert {k: v for k, v in row.items() if k != "part"} == named[row["trade"]]
        rest = found[3]
        assert rest["positions"] == 34
        assert rest["failed"] + rest["missing"] == every.coverage.failed + every.coverage.missing
        assert rest["incremental"] is not None
        assert "The rest holds 34 of 40 groups." in short.notes

    def test_enough_for_all_leaves_no_rest(self, lake: Lake) -> None:
        answer = ask(lake, by=("desk",), top=5)
        assert "rest" not in answer.rows["part"].to_pylist()
        assert answer.rows.num_rows == 3


class TestCoverage:
    def test_failed_and_missing_contracts_are_said_and_contribute_nothing(self, lake: Lake) -> None:
        answer = ask(lake, by=("trade",))
        assert (answer.coverage.failed, answer.coverage.missing, answer.coverage.status) == (3, 3, "partial")
        for row in answer.rows.to_pylist():
            if not row["covered"]:
                assert (row["status"], row["component"], row["standalone"], row["share"]) == (
                    "invalid",
                    None,
                    None,
                    None,
                )
        assert any("failed" in note for note in answer.notes)

    def test_nothing_covered_is_no_number(self, lake: Lake) -> None:
        answer = ask(lake, by=("desk",), where=(Filter(dimension="trade", values=("t09",)),))
        assert (answer.total["component"], answer.total["standalone"]) == (None, None)
        assert answer.coverage.status == "invalid"

    def test_reporting_in_another_currency(self, lake: Lake) -> None:
        answer = ask(lake, by=("currency",), currency="EUR")
        by_trade = trade_pnl()
        base = {
            t: q * VECTORS[c][1] * (1.1 if VECTORS[c][0] == "EUR" else 1.0) for t, c, q, _, _ in TRADES if c in VECTORS
        }
        total = sum((base[t] + p) / RATES - base[t] / 1.1 for t, p in by_trade.items())
        assert answer.total["standalone"] == pytest.approx(-np.sort(total)[1], rel=1e-10)
        assert sum(answer.rows["component"].to_pylist()) == answer.total["component"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("more", "says"),
        [
            ({"measures": ("mean",), "form": "regression"}, "these do: var, es"),
            ({"measures": ("volatility",)}, "does not split in the scenario form"),
            ({"by": ("desks",)}, "desk"),
            ({"levels": ("1.5",)}, "between 0 and 1"),
            ({"estimator": "hf10"}, "hf1"),
        ],
    )
    def test_what_cannot_be_split_is_said(self, lake: Lake, more: dict[str, Any], says: str) -> None:
        with pytest.raises(BadInput, match=says):
            ask(lake, **more)

    @pytest.mark.parametrize("more", [{"measures": ("var", "es")}, {"levels": ("0.9", "0.99")}])
    def test_one_measure_at_one_level_is_split(self, more: dict[str, Any]) -> None:
        with pytest.raises(BadInput, match=f"{next(iter(more))}.* at most 1 of them"):
            validated(ContributionQuery, {"as_of": DAY, **more}, "question")

    def test_an_estimator_that_takes_no_weights(self, aged_lake: Lake) -> None:
        with pytest.raises(BadInput, match="weighted"):
            ask(aged_lake, estimator="hf6")


def test_the_answer_as_data_names_its_inputs(lake: Lake) -> None:
    answer = ask(lake, by=("desk",)).to_dict()
    assert answer["receipt"]["kind"] == "contributions"
    assert ContributionQuery(**answer["receipt"]["question"]) == ContributionQuery(as_of=DAY, by=("desk",))
    assert answer["grid"] > 0.0
    assert abs(answer["residual"]) < 1e-9 * answer["total"]["standalone_sum"]


class TestOtherReadings:
    def test_harrell_davis_spreads_over_every_scenario(self, lake: Lake) -> None:
        answer = ask(lake, by=("desk",), levels=("0.95",), estimator="harrell_davis")
        by_trade, desk_of = trade_pnl(), {t: d for t, _, _, d, _ in TRADES}
        total = -sum(by_trade.values())
        assert answer.total["standalone"] == pytest.approx(float(mstats.hdquantiles(total, 0.95)[0]), rel=1e-9)
        law = stats.beta((N + 1) * 0.95, (N + 1) * 0.05)
        weights = np.diff(law.cdf(np.arange(N + 1) / N))
        order = np.argsort(total)
        for row in answer.rows.to_pylist():
            desk = -sum(p for t, p in by_trade.items() if desk_of[t] == row["desk"])
            assert row["component"] == pytest.approx(weights @ desk[order], rel=1e-9)
        assert sum(answer.rows["component"].to_pylist()) == answer.total["component"]

    def test_the_gain_tail_is_the_loss_tail_of_the_book_sold(self, lake: Lake, tmp_path: Path) -> None:
        valued = Valued(VECTORS, failed={"c9": "no curve"}, fx={"EURUSD": (1.1, RATES)})
        sold = make_lake(tmp_path, valued, [{**r, "quantity": -r["quantity"]} for r in rows()])
        one = ask(lake, by=("book",), measures=("es",), tail="gain")
        two = ask(sold, by=("book",), measures=("es",))
        for name in ("component", "standalone", "incremental", "share", "stability"):
            assert one.rows[name].to_pylist() == two.rows[name].to_pylist()

    def test_over_another_horizon_every_figure_scales(self, lake: Lake) -> None:
        one, ten = ask(lake, by=("desk",)), ask(lake, by=("desk",), scale_to_days=10)
        for name in ("component", "standalone", "incremental"):
            np.testing.assert_allclose(
                ten.rows[name].to_pylist(), np.sqrt(10) * np.array(one.rows[name].to_pylist()), rtol=1e-12
            )
        assert any("square root" in note for note in ten.notes)

    def test_by_contract(self, lake: Lake) -> None:
        answer = ask(lake, by=("contract",), measures=("es",))
        by_trade = trade_pnl()
        held = {r["contract"]: r["component"] for r in answer.rows.to_pylist()}
        assert sorted(held) == sorted({c for _, c, *_ in TRADES})
        worst = np.argsort(sum(by_trade.values()), kind="stable")[:2]
        for contract in VECTORS:
            own = sum(by_trade[t] for t, c, *_ in TRADES if c == contract)
            assert held[contract] == pytest.approx(-own[worst].mean(), rel=1e-11)
