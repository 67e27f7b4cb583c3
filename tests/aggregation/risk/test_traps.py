"""The traps of risk numbers, each by name, through the public query on a real lake.

Elsewhere: 6, currency and index shocked together, with both published editions, in tests/test_hull.py; 16, the volatility
forecast made before the move and its first values, in tests/scenarios/kernels/test_weighting.py.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_positions
from scipy import stats

from aggregation.measures import asked_measures
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery, RiskResult
from lake.arrays import Floats
from lake.errors import BadInput, Damaged
from lake.tables import Lake


def lake_of(folder: Path, vectors: dict[str, Floats], rows: list[dict[str, Any]] | None = None, **more: Any) -> Lake:
    valued = Valued({c: ("USD", 1.0, np.asarray(p, dtype=float)) for c, p in vectors.items()}, **more)
    return make_lake(folder, valued, rows or [position(f"t-{c}", c, 1.0, desk=c) for c in vectors])


def ask(lake: Lake, **more: Any) -> RiskResult:
    return run_query(lake, RiskQuery(as_of=DAY, **more))


class TestSign:
    """Trap 1: which side is the loss, and on which side the percentile is taken."""

    def test_the_bank_and_its_client_see_opposite_tails(self, tmp_path: Path) -> None:
        pnl = np.random.default_rng(1).standard_t(3, 200)
        rows = [position("b", "x", 1.0, desk="bank"), position("c", "x", -1.0, desk="client")]
        lake = lake_of(tmp_path, {"x": pnl}, rows)
        names = ("var", "es", "es_beyond", "worst")
        loss = ask(lake, by=("desk",), measures=names).rows.to_pylist()
        gain = ask(lake, by=("desk",), measures=names, tail="gain").rows.to_pylist()
        for name in ("var_0.99", "es_0.99", "es_beyond_0.99", "worst"):
            assert loss[0][name] == gain[1][f"{name}_gain"]
            assert loss[1][name] == gain[0][f"{name}_gain"]
            assert loss[0][name] != gain[0][f"{name}_gain"]
        assert loss[0]["var_0.99"] == -np.sort(pnl)[1]
        assert gain[0]["var_0.99_gain"] == np.sort(pnl)[-2]

    def test_a_book_that_only_gains_has_a_negative_var(self, tmp_path: Path) -> None:
        assert ask(lake_of(tmp_path, {"x": np.arange(5.0, 105.0)})).total["var_0.99"] == -5.0

    def test_types_1_3_and_4_differ_between_losses_and_pnl_the_others_do_not(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {"x": np.arange(500.0)})
        differ = [
            kind
            for kind in range(1, 10)
            if not math.isclose(
                ask(lake, estimator=f"hf{kind}").total["var_0.99"],
                ask(lake, estimator=f"hf{kind}_pnl").total["var_0.99"],
            )
        ]
        assert differ == [1, 3, 4]
        assert ask(lake, estimator="hf1_pnl").total == ask(lake, estimator="order_statistic").total


class TestFloatInTheRank:
    """Trap 2: (1 - 0.99) * 500 is 5.000000000000004, whose ceiling is 6."""

    @pytest.mark.parametrize(
        ("n", "level", "k"),
        [(500, "0.99", 5), (100, "0.9", 10), (1000, "0.999", 1), (200, "0.975", 5)],
    )
    def test_ranks_are_exact(self, tmp_path: Path, n: int, level: str, k: int) -> None:
        lake = lake_of(tmp_path, {"x": -np.arange(1.0, n + 1)})
        assert math.ceil((1 - float(level)) * n) != k or math.floor((1 - float(level)) * n) != k  # what binary gives
        total = ask(lake, levels=(level,), measures=("var", "es")).total
        assert total[f"var_{level}"] == n + 1 - k
        assert total[f"es_{level}"] == n + 1 - Fraction(k + 1, 2)


class TestDivisor:
    """Trap 3: n or n - 1, mean removed or not."""

    def test_volatility_removes_the_mean_and_divides_by_n(self, tmp_path: Path) -> None:
        pnl = np.array([1.0, 2.0, 4.0, 9.0])
        total = ask(lake_of(tmp_path, {"x": pnl}), measures=("volatility", "skewness")).total
        assert total["volatility"] == pytest.approx(np.std(pnl, ddof=0))
        assert total["volatility"] != pytest.approx(np.std(pnl, ddof=1))
        assert total["volatility"] != pytest.approx(math.sqrt(np.mean(pnl**2)))
        assert total["skewness"] == pytest.approx(stats.skew(pnl, bias=True))
        assert total["skewness"] != pytest.approx(stats.skew(pnl, bias=False))


class TestSquareRootOfTime:
    """Trap 7: scaling is asked for, labelled, and refused where it has no meaning."""

    def test_it_is_labelled_in_column_note_and_receipt(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {"x": -np.arange(1.0, 101.0)}, horizon_days=2)
        asked = ask(lake, measures=("var", "es", "volatility"), scale_to_days=10)
        plain = ask(lake, measures=("var", "es", "volatility"))
        for name in ("var_0.99", "es_0.99", "volatility"):
            assert asked.total[f"{name}_10d"] == pytest.approx(math.sqrt(5) * plain.total[name])
            assert name not in asked.total
        assert any("Scaled from 2 to 10 days by the square root of time" in n for n in asked.notes)
        assert (asked.receipt["scale_to_days"], plain.receipt["scale_to_days"]) == (10, None)
        assert asked.total["base_value"] == plain.total["base_value"]

    @pytest.mark.parametrize("name", ["mean", "skewness", "worst", "exceedance"])
    def test_what_does_not_grow_with_it_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BadInput, match="does not grow with the square root of time"):
            ask(lake_of(tmp_path, {"x": np.arange(9.0)}), measures=(name,), thresholds=(1.0,), scale_to_days=10)

    def test_without_a_stated_horizon_it_is_refused(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {"x": np.arange(9.0)}, horizon_days=0)
        with pytest.raises(BadInput, match="states no one horizon"):
            ask(lake, scale_to_days=10)


class TestOrderOfAggregation:
    """Trap 11: P&L is summed per scenario first and measured after; VaR is not additive, ES is sub-additive."""

    def test_the_total_is_of_the_summed_pnl(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(2)
        vectors = {c: rng.standard_t(3, 250) for c in "abc"}
        found = ask(lake_of(tmp_path, vectors), by=("desk",), measures=("var", "es"))
        whole = np.sort(-sum(vectors.values()))[::-1]
        assert found.total["var_0.99"] == pytest.approx(whole[2])
        assert found.total["var_0.99"] != pytest.approx(sum(found.rows["var_0.99"].to_pylist()))
        for name in ("var_0.99", "es_0.99"):
            parts = sum(found.rows[name].to_pylist())
            assert found.total[f"{name}_diversification"] == pytest.approx(parts - found.total[name])
        assert found.total["es_0.99_diversification"] >= 0

    def test_a_share_is_no_sum_and_has_no_diversification(self, tmp_path: Path) -> None:
        vectors = {c: np.random.default_rng(3).standard_normal(50) for c in "ab"}
        found = ask(lake_of(tmp_path, vectors), by=("desk",), measures=("exceedance", "skewness"), thresholds=(0.5,))
        assert not [c for c in found.total if c.endswith(("_diversification", "_standalone_sum"))]


class TestTies:
    """Trap 12: which of several scenarios with the same total is the VaR."""

    def test_the_first_in_scenario_order_ranks_worse(self, tmp_path: Path) -> None:
        splits = np.array([[-5.0, -4.0, -8.0, 3.0], [-3.0, -4.0, 0.0, 1.0]])
        vectors = dict(zip("ab", splits, strict=True))
        query = RiskQuery(as_of=DAY, levels=("0.75", "0.5", "0.25"))
        for k, a in enumerate(asked_measures(query)):
            weights = a.tail_weights(splits.sum(axis=0)[None], None)[0]
            assert weights.tolist() == np.eye(4)[k].tolist()
            assert (
                -(weights * splits).sum() == ask(lake_of(tmp_path / str(k), vectors), levels=("0.5",)).total["var_0.5"]
            )

    def test_neither_the_order_of_rows_nor_threads_change_a_bit(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(4)
        vectors = {f"c{i}": rng.standard_normal(300).round(1) * 10.0 ** rng.integers(-6, 7) for i in range(20)}
        rows = [position(f"t{i}", c, float(rng.normal()), desk=f"d{i % 7}") for i, c in enumerate([*vectors] * 8)]
        lake = lake_of(tmp_path, vectors, rows)
        query: dict[str, Any] = {"by": ("desk",), "measures": ("var", "es", "skewness"), "estimator": "harrell_davis"}
        digests = {
            run_query(lake, RiskQuery(as_of=DAY, **query), threads=t).receipt["result_digest"] for t in (1, 2, 5)
        }
        put_positions(lake, rows[::-1])
        digests.add(ask(lake, **query).receipt["result_digest"])
        assert len(digests) == 1


class TestAccumulation:
    """Trap 13: sums lose what is small beside what is large."""

    def test_ten_thousand_small_positions_add_up(self, tmp_path: Path) -> None:
        rows = [position(f"t{i:05}", "x", 0.1) for i in range(10_000)]
        total = ask(lake_of(tmp_path, {"x": np.array([-1.0, 0.0])}, rows), measures=("worst",)).total
        assert total["worst"] == pytest.approx(1000.0, rel=1e-12)
        assert float(np.cumsum(np.full(10_000, 0.1, dtype=np.float32))[-1]) != pytest.approx(1000.0, rel=1e-6)

    def test_what_is_not_a_number_is_refused_and_not_ranked(self, tmp_path: Path) -> None:
        """NaN is the largest in Spark and the last in NumPy: a vector with one is not read at all."""
        lake = lake_of(tmp_path, {"x": np.array([-1.0, np.nan, -2.0]), "y": np.array([-1.0, 1.0, -2.0])})
        with pytest.raises(Damaged, match="it has vectors that are not finite"):
            ask(lake)


class TestApproximatePercentiles:
    """Trap 14: a quantile is an order statistic of all scenarios, not of a sketch of them."""

    def test_of_a_hundred_thousand_scenarios_it_is_the_very_one(self, tmp_path: Path) -> None:
        pnl = np.random.default_rng(5).permutation(np.arange(100_000.0)) ** 1.5
        levels = ("0.9", "0.99", "0.999", "0.9999", "0.99999")
        total = ask(lake_of(tmp_path, {"x": -pnl}), levels=levels).total
        assert [total[f"var_{a}"] for a in levels] == [float(100_000 - k) ** 1.5 for k in (10_000, 1000, 100, 10, 1)]


class TestWeightedQuantile:
    """Trap 15: reaching the level exactly, weights that do not sum to one, and the share of the atom."""

    def test_reaching_the_level_exactly_counts(self, tmp_path: Path) -> None:
        weights = np.array([0.1, 0.1, 0.1, 0.7])  # 3 * 0.1 is 0.30000000000000004 and 1 - 0.7 is 0.30000000000000004
        lake = lake_of(tmp_path, {"x": -np.array([9.0, 8.0, 7.0, 1.0])}, weights=weights)
        total = ask(lake, levels=("0.9", "0.8", "0.7", "0.69"), measures=("var",)).total
        assert list(total.values())[-4:] == [9.0, 8.0, 7.0, 1.0]

    def test_a_scenario_without_weight_changes_nothing(self, tmp_path: Path) -> None:
        """Weights of those that are left are scaled to one."""
        pnl, weights = -np.array([50.0, 9.0, 8.0, 7.0, 1.0]), np.array([0.0, 0.1, 0.2, 0.3, 0.4])
        with_it = ask(lake_of(tmp_path / "a", {"x": pnl}, weights=weights), measures=("var", "es", "worst")).total
        without = ask(
            lake_of(tmp_path / "b", {"x": pnl[1:]}, weights=weights[1:]), measures=("var", "es", "worst")
        ).total
        assert with_it == without

    def test_es_takes_of_the_atom_what_is_left(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {"x": -np.array([10.0, 4.0, 1.0])}, weights=np.array([0.02, 0.5, 0.48]))
        total = ask(lake, levels=("0.95",), measures=("var", "es")).total
        assert total["var_0.95"] == 4.0
        assert total["es_0.95"] == pytest.approx((0.02 * 10 + 0.03 * 4) / 0.05)

    @pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0)])
    def test_the_order_of_scenarios_changes_nothing(self, tmp_path: Path, order: tuple[int, ...]) -> None:
        pnl, weights = -np.array([10.0, 4.0, 1.0])[list(order)], np.array([0.02, 0.5, 0.48])[list(order)]
        total = ask(lake_of(tmp_path, {"x": pnl}, weights=weights), levels=("0.95",), measures=("var", "es")).total
        assert (total["var_0.95"], total["es_0.95"]) == (4.0, pytest.approx(6.4))
