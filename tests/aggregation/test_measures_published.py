"""Published values of VaR, ES, quantile types and intervals, to the printed digit, through the public query on a real lake."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_valued
from scipy import stats
from scipy.stats import mstats

from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery, RiskResult
from lake.arrays import Floats
from lake.tables import Lake
from scenarios.kernels.weighting import age_weights

# Hull, Risk Management and Financial Institutions: ranked losses of the four-index portfolio, scenario: loss in USD
HULL = {494: 477841, 339: 345435, 349: 282204, 329: 277041, 487: 253385, 227: 217974, 131: 205256, 238: 201389}
STRESSED = {235_000: 0.005, 300_000: 0.002, 450_000: 0.002, 750_000: 0.0005, 850_000: 0.0005}
# Boudoukh, Richardson and Whitelaw: returns in percent by periods ago (1 is the latest), the others are better
PAPER = {3: -3.30, 2: -2.90, 65: -2.70, 45: -2.50, 5: -2.40, 30: -2.30}
TEN = [-3.5, -1.2, 0.3, 0.8, 1.1, 1.9, 2.4, 3.0, 4.7, 8.8]
GAUGE = [95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610, 95.1591, 95.1195, 95.1065, 95.0925, 95.1990, 95.1682]
NORMAL, T4 = "normal", "student"


def hull() -> Floats:
    pnl = np.linspace(1.0, 2.0, 500)
    for scenario, loss in HULL.items():
        pnl[scenario - 1] = -loss
    return pnl


def returns(later: int = 0) -> Floats:
    pnl = np.linspace(0.5, 1.5, 100)
    for ago, value in PAPER.items():
        pnl[100 - ago - later] = value
    return pnl


def grid(law: Any, freedom: float, deviation: float, n: int = 100_000) -> Floats:
    """The law itself as n equally likely values, each the mean of its n-th part; freedom is infinite for the normal."""
    x = law.ppf(np.arange(1, n) / n)
    # the antiderivative of x times the density: minus the density for the normal, times (freedom + x^2)/(freedom - 1) for t
    below = -law.pdf(x) * (1.0 if math.isinf(freedom) else (freedom + x * x) / (freedom - 1))
    return np.asarray(np.diff(below, prepend=0.0, append=0.0) * n * deviation)


DEVIATION = 10_000 * 0.2 / math.sqrt(250)
BY_AGE = np.array([0.995 ** (500 - i) * 0.005 / (1 - 0.995**500) for i in range(1, 501)])
# name of a sample: its contracts' P&L (one stands for all positions of the book of that name) and the scenarios' weights
SAMPLES: Mapping[str, tuple[Mapping[str, Any], Any]] = {
    "hull": ({"hull": hull()}, None),
    "hull-aged": ({"hull-aged": hull()}, BY_AGE),
    "hull-stressed": (
        {"hull-stressed": np.concatenate([hull(), -np.array(list(STRESSED), dtype=float)])},
        np.array([0.99 / 500] * 500 + list(STRESSED.values())),
    ),
    "brw": ({"brw": returns()}, None),
    "brw-now": ({"brw-now": returns()}, age_weights(np.arange(99, -1, -1), 0.98)),
    "brw-later": ({"brw-later": returns(25)}, age_weights(np.arange(99, -1, -1), 0.98)),
    "ten": ({"losses": -np.arange(1.0, 11.0), "gains": np.arange(1.0, 11.0), "hd": -np.array(TEN)}, None),
    "gauge": ({"gauge": -np.array(GAUGE)}, None),
    "five": ({"five": -np.array([15.0, 20.0, 35.0, 40.0, 50.0])}, None),
    "n250": ({"n250": -np.arange(1.0, 251.0)}, None),
    "n500": ({"n500": -np.arange(1.0, 501.0)}, None),
    "n1000": ({"n1000": -np.arange(1.0, 1001.0)}, None),
    "project": ({"project": -np.array([10.0, 1.0])}, np.array([0.02, 0.98])),
    "projects": ({"projects": -np.array([20.0, 11.0, 2.0])}, np.array([0.0004, 0.0392, 0.9604])),
    "bonds": (
        {"bond-1": -np.array([100.0, 100, 0, 0]), "bond-2": -np.array([100.0, 0, 100, 0])},
        np.array([0.008**2, 0.008 * 0.992, 0.992 * 0.008, 0.992**2]),
    ),
    "laws": (
        {
            NORMAL: grid(stats.norm, math.inf, DEVIATION),
            T4: grid(stats.t(4), 4, DEVIATION / math.sqrt(2)),
        },
        None,
    ),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    sets = [
        Valued({c: ("USD", 1000.0, np.asarray(pnl)) for c, pnl in contracts.items()}, weights=weights, name=name)
        for name, (contracts, weights) in SAMPLES.items()
    ]
    rows = [position(c, c, 1.0, desk=c, book=name) for name, (contracts, _) in SAMPLES.items() for c in contracts]
    made = make_lake(tmp_path_factory.mktemp("published"), sets[0], rows)
    for valued in sets[1:]:
        put_valued(made, valued)
    return made


def ask(lake: Lake, sample: str, *desks: str, **more: Any) -> RiskResult:
    where = [Filter(dimension="book", values=(sample,))]
    where += [Filter(dimension="desk", values=desks)] if desks else []
    return run_query(lake, RiskQuery(as_of=DAY, scenario_set=sample, where=tuple(where), **more))


def figure(lake: Lake, sample: str, *desks: str, level: str, measure: str = "var", **more: Any) -> float:
    found = ask(lake, sample, *desks, levels=(level,), measures=(measure,), **more)
    assert found.coverage.status == "complete"
    return float(found.rows.to_pylist()[0][found.rows.column_names[-1]])


class TestHull:
    """Hull, Risk Management and Financial Institutions, historical simulation and its extensions."""

    @pytest.mark.parametrize(
        ("sample", "measure", "printed"),
        [
            ("hull", "var", 253_385),
            ("hull", "es", 327_181),  # one edition: the mean of the five worst
            ("hull", "es_beyond", 345_630),  # the other: of the four worse than the VaR
            ("hull-aged", "var", 282_204),
            ("hull-aged", "es", 400_914),
            ("hull-stressed", "var", 282_204),
        ],
    )
    def test_four_index_portfolio(self, lake: Lake, sample: str, measure: str, printed: int) -> None:
        assert round(figure(lake, sample, level="0.99", measure=measure)) == printed

    def test_an_atom_is_split_and_var_is_not_subadditive(self, lake: Lake) -> None:
        """Loss 10 with probability 0.02, else 1; two of them independent."""
        one = ask(lake, "project", levels=("0.975",), measures=("var", "es")).total
        two = ask(lake, "projects", levels=("0.975",), measures=("var", "es")).total
        assert (one["var_0.975"], one["es_0.975"]) == (1.0, pytest.approx(8.2))
        assert (two["var_0.975"], two["es_0.975"]) == (11.0, pytest.approx(11.144))
        assert two["var_0.975"] > 2 * one["var_0.975"]
        assert two["es_0.975"] < 2 * one["es_0.975"]


class TestBoudoukhRichardsonWhitelaw:
    @pytest.mark.parametrize(
        ("sample", "estimator", "printed"),
        [
            ("brw", "brw_half_weight", 2.35),
            ("brw-now", "brw_half_weight", 2.63),
            ("brw-later", "brw_half_weight", 2.34),
            ("brw-now", "weighted_linear", 2.73),  # as a later textbook prints it
        ],
    )
    def test_hybrid_var(self, lake: Lake, sample: str, estimator: str, printed: float) -> None:
        assert round(figure(lake, sample, level="0.95", estimator=estimator), 2) == printed


# the types on 1..10 at 0.1, 0.25, 0.33, 0.5, 0.9, 0.99, recomputed with NumPy's methods of the same names
NINE_TYPES = {
    1: [1, 3, 4, 5, 9, 10],
    2: [1.5, 3, 4, 5.5, 9.5, 10],
    3: [1, 2, 3, 5, 9, 10],
    4: [1, 2.5, 3.3, 5, 9, 9.9],
    5: [1.5, 3, 3.8, 5.5, 9.5, 10],
    6: [1.1, 2.75, 3.63, 5.5, 9.9, 10],
    7: [1.9, 3.25, 3.97, 5.5, 9.1, 9.91],
    8: [1.3667, 2.9167, 3.7433, 5.5, 9.6333, 10],
    9: [1.4, 2.9375, 3.7575, 5.5, 9.6, 10],
}
NUMPY = [
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen"),
    *("weibull", "linear", "median_unbiased", "normal_unbiased"),
]


class TestQuantileTypes:
    @pytest.mark.parametrize("kind", NINE_TYPES)
    def test_the_nine_on_losses_and_on_pnl(self, lake: Lake, kind: int) -> None:
        asked = ("0.1", "0.25", "0.33", "0.5", "0.9", "0.99")
        on_losses = ask(lake, "ten", "losses", levels=asked, estimator=f"hf{kind}").total
        assert [round(on_losses[f"var_{p}"], 4) for p in asked] == NINE_TYPES[kind]
        mirrored = ("0.9", "0.75", "0.67", "0.5", "0.1", "0.01")  # the p-quantile of P&L is minus the VaR at 1 - p
        on_pnl = ask(lake, "ten", "gains", levels=mirrored, estimator=f"hf{kind}_pnl").total
        assert [round(-on_pnl[f"var_{p}"], 4) for p in mirrored] == NINE_TYPES[kind]

    @pytest.mark.parametrize("kind", NINE_TYPES)
    def test_against_numpy_on_either_side(self, lake: Lake, kind: int) -> None:
        pnl = np.asarray(SAMPLES["ten"][0]["hd"])
        for level in (0.3, 0.5, 0.9, 0.95, 0.99):
            losses = np.quantile(-pnl, level, method=NUMPY[kind - 1])
            assert figure(lake, "ten", "hd", level=str(level), estimator=f"hf{kind}") == pytest.approx(losses)
            gains = np.quantile(pnl, round(1 - level, 9), method=NUMPY[kind - 1])
            assert figure(lake, "ten", "hd", level=str(level), estimator=f"hf{kind}_pnl") == pytest.approx(-gains)

    def test_gauge_of_nist_and_five_values(self, lake: Lake) -> None:
        # NIST/SEMATECH e-Handbook of Statistical Methods
        assert round(figure(lake, "gauge", level="0.9", estimator="hf6"), 4) == 95.1981
        assert figure(lake, "five", level="0.4", estimator="hf7") == pytest.approx(29)
        assert figure(lake, "five", level="0.4", estimator="hf6") == pytest.approx(26)

    @pytest.mark.parametrize(
        ("estimator", "rank"),
        [("order_statistic", 5), ("hf1", 6), ("hf1_pnl", 5), ("hf2", 5.5), ("hf5", 5.5), ("hf6", 5.01), ("hf7", 5.99)],
    )
    def test_which_of_500_losses_is_the_var(self, lake: Lake, estimator: str, rank: float) -> None:
        assert 501 - figure(lake, "n500", level="0.99", estimator=estimator) == pytest.approx(rank)

    @pytest.mark.parametrize(("estimator", "rank"), [("hf1", 3), ("hf6", 2.51), ("hf7", 3.49), ("hf4_pnl", 2.5)])
    def test_which_of_250_losses_is_the_var(self, lake: Lake, estimator: str, rank: float) -> None:
        """hf4 on the P&L is Christoffersen's: half way between the second and the third worst."""
        assert 251 - figure(lake, "n250", level="0.99", estimator=estimator) == pytest.approx(rank)

    @pytest.mark.parametrize(
        ("level", "value"),
        [("0.5", 1.5639609847), ("0.9", 6.9469215201), ("0.95", 8.0727335405), ("0.99", 8.6989693484)],
    )
    def test_harrell_davis(self, lake: Lake, level: str, value: float) -> None:
        found = figure(lake, "ten", "hd", level=level, estimator="harrell_davis")
        assert round(found, 10) == value
        assert found == pytest.approx(float(mstats.hdquantiles(TEN, [float(level)])[0]), rel=1e-9)

    def test_harrell_davis_of_many(self, lake: Lake) -> None:
        assert round(figure(lake, "n250", level="0.99", estimator="harrell_davis"), 10) == 248.0014388854


class TestExpectedShortfall:
    def test_the_last_loss_enters_with_the_fraction_that_is_left(self, lake: Lake) -> None:
        """Acerbi and Tasche: six and a quarter of 250 losses."""
        assert figure(lake, "n250", level="0.975", measure="es") == pytest.approx(247.36, abs=1e-9)
        assert figure(lake, "n250", level="0.976", measure="es") == pytest.approx(247.5, abs=1e-9)  # six
        assert figure(lake, "n250", level="0.972", measure="es") == pytest.approx(247.0, abs=1e-9)  # seven

    def test_two_bonds(self, lake: Lake) -> None:
        """Default probability 0.8%, loss 100: VaR 0 + 0 and 100 together; ES 80 + 80, and 100.64 together."""
        found = ask(lake, "bonds", by=("desk",), measures=("var", "es"))
        assert found.rows["var_0.99"].to_pylist() == [0.0, 0.0]
        assert found.total["var_0.99"] == 100.0
        assert found.rows["es_0.99"].to_pylist() == pytest.approx([80.0, 80.0])
        assert found.total["es_0.99"] == pytest.approx(100.64)


class TestLaws:
    """McNeil, Frey and Embrechts: 10,000 at 20% a year and 250 days, normal and t4 of the same deviation; recomputed."""

    LEVELS = ("0.9", "0.95", "0.975", "0.99", "0.995")

    @pytest.mark.parametrize(
        ("law", "var", "es"),
        [
            (NORMAL, [162.1, 208.1, 247.9, 294.3, 325.8], [222.0, 260.9, 295.7, 337.1, 365.8]),
            (T4, [137.1, 190.7, 248.3, 335.1, 411.8], [223.5, 286.5, 357.2, 466.9, 565.7]),
        ],
    )
    def test_table(self, lake: Lake, law: str, var: list[float], es: list[float]) -> None:
        found = ask(lake, "laws", law, levels=self.LEVELS, measures=("var", "es"), estimator="hf5").total
        assert [found[f"var_{a}"] for a in self.LEVELS] == pytest.approx(var, abs=0.06)
        assert [found[f"es_{a}"] for a in self.LEVELS] == pytest.approx(es, abs=0.06)


class TestOrderStatisticIntervals:
    """P(X_(r) <= quantile <= X_(s)) of the binomial distribution; losses 1 to n tell the ranks."""

    @pytest.mark.parametrize(
        ("sample", "level", "low", "high", "coverage"),
        [
            ("n250", "0.99", 244, None, None),
            ("n500", "0.99", 490, 500, 0.980),
            ("n1000", "0.99", 983, 997, 0.976),
            ("n250", "0.975", 239, 249, 0.962),
        ],
    )
    def test_ranks(
        self, lake: Lake, sample: str, level: str, low: int, high: int | None, coverage: float | None
    ) -> None:
        found = ask(lake, sample, levels=(level,), interval="0.95")
        assert (found.total[f"var_{level}_low"], found.total[f"var_{level}_high"]) == (low, high)
        n = int(sample[1:])
        if high is None:
            assert f"{stats.binom.pmf(n, n, float(level)):.1%}" == "8.1%"
            note = "var_0.99_high does not exist: 250 scenarios are too few, the true figure lies beyond the worst of them "
            assert any(note in text and "8.1%" in text for text in found.notes)
        else:
            held = stats.binom.cdf(high - 1, n, float(level)) - stats.binom.cdf(low - 1, n, float(level))
            assert round(float(held), 3) == coverage
