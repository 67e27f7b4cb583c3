"""The reconciliation names the convention behind published pairs of numbers, and behind every single departure that it knows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position
from scipy import optimize, stats

from aggregation.change.conventions import NEXT_RANK, Reading, options
from aggregation.change.reconciliation import Candidate, Reconciliation, Theirs, reconcile
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from lake.errors import BadInput
from lake.tables import Lake


def lake_of(folder: Path, pnl: Any, **more: Any) -> Lake:
    return make_lake(
        folder, Valued({"c": ("USD", 1e6, np.asarray(pnl, dtype=np.float64))}, **more), [position("t", "c", 1.0)]
    )


def reconciled(lake: Lake, theirs: str, tolerance: float | None = None, **query: Any) -> Reconciliation:
    return reconcile(lake, RiskQuery(as_of=DAY, **query), Theirs.parse(theirs, tolerance))


def simplest(found: Reconciliation) -> list[dict[str, str]]:
    """The differences of the matches that have the fewest of them."""
    matches = [c for c in found.candidates if c.matches]
    return [dict(c.differences) for c in matches if len(c.differences) == len(matches[0].differences)]


# day and day before of the first three scenarios, in local currency and in USD, and the levels of 25 September 2008
LOCAL = {"DJIA": [11219.38, 11173.59, 11076.18, 11124.37], "FTSE": [5828.80, 5818.10, 5860.50, 5823.40],
         "CAC": [4956.34, 4967.95, 5025.15, 4976.64], "NIKKEI": [15154.06, 15464.66, 15656.59, 15630.91]}  # fmt: skip
DOLLARS = {"DJIA": LOCAL["DJIA"], "FTSE": [11131.84, 11096.28, 11185.35, 11016.71],
           "CAC": [6373.894, 6378.162, 6474.040, 6357.486], "NIKKEI": [131.7744, 134.3818, 135.9433, 135.4381]}  # fmt: skip
HELD = {"DJIA": ("USD", 4e6), "FTSE": ("GBP", 3e6), "CAC": ("EUR", 1e6), "NIKKEI": ("JPY", 2e6)}


class TestHull:
    """Hull, Risk Management and Financial Institutions, historical simulation: both published ways of each figure."""

    def indices(self, folder: Path, scenarios: int) -> Lake:
        vectors, fx = {}, {}
        for name, (currency, dollars) in HELD.items():
            local, usd = (np.array(x[name][: scenarios + 1]) for x in (LOCAL, DOLLARS))
            rate = 2.0  # any: the amount is given in dollars
            fx_returns = usd[1:] / usd[:-1] / (local[1:] / local[:-1])
            if currency != "USD":
                fx[f"{currency}USD"] = (rate, rate * fx_returns)
                dollars /= rate
            vectors[name] = (currency, dollars, dollars * (local[1:] / local[:-1] - 1))
        rows = [position(name, name, 1.0) for name in vectors]
        return make_lake(folder, Valued(vectors, fx=fx), rows)

    def test_indices_without_their_currencies(self, tmp_path: Path) -> None:
        """$000: -14.334 of the first scenario with conversion, -21.502 without."""
        lake = self.indices(tmp_path, 1)
        found = reconciled(lake, "-21.502")
        assert found.ours / 1e3 == pytest.approx(-14.334, abs=1e-3)  # this edition cuts digits off
        assert simplest(found) == [{"currency": "P&L translated at spot, the value not", "unit": "in thousands"}]
        assert simplest(reconciled(lake, "-14.334", 1e-3)) == [{"unit": "in thousands"}]

    def test_the_worst_of_three_scenarios(self, tmp_path: Path) -> None:
        found = reconciled(self.indices(tmp_path, 3), "14,522")
        assert found.ours == pytest.approx(53_263.28, abs=0.01)
        assert simplest(found) == [{"currency": "P&L translated at spot, the value not"}]

    def test_two_editions_of_expected_shortfall(self, tmp_path: Path) -> None:
        worst = [477_841, 345_435, 282_204, 277_041, 253_385, 217_974, 205_256, 201_389]
        lake = lake_of(tmp_path, np.concatenate([-np.array(worst), np.linspace(200_000, -200_000, 492)]))
        assert reconciled(lake, "253,385").candidates[0] == Candidate(253_385.0, 0.0, True, ())
        es = reconciled(lake, "345,630", measures=("es",))
        assert round(es.ours) == 327_181
        assert simplest(es) == [{"shortfall": "mean of the losses worse than the VaR"}]

    def test_the_weights_by_age_of_a_thousandth_and_their_shortfall(self, tmp_path: Path) -> None:
        """Scenarios 494, 339, 349, ... of 500 at .995: VaR 282,204 and ES 400,914."""
        worst = {494: 477_841, 339: 345_435, 349: 282_204, 329: 277_041, 487: 253_385, 227: 217_974, 131: 205_256}
        pnl = np.linspace(150_000, -150_000, 500)
        for number, loss in worst.items():
            pnl[number - 1] = -loss
        lake = lake_of(tmp_path, pnl)
        assert {"weighting": "by age, 0.995 a scenario"} in simplest(reconciled(lake, "282,204"))
        assert simplest(reconciled(lake, "400,914", measures=("es",))) == [{"weighting": "by age, 0.995 a scenario"}]

    @pytest.mark.parametrize(("printed", "divisor"), [("217,757", "n"), ("217,975", "n - 1")])
    def test_the_divisor_of_the_model_building_approach(self, tmp_path: Path, printed: str, divisor: str) -> None:
        """Returns with the published covariance matrix of 500 days, amounts in $: both divisors give a published figure."""
        dd, df, dc, dn, ff, fc, fn, cc, cn, nn = (
            1.229524, 0.7696591, 0.7682514, -0.09493488, 2.013973, 1.821076, 0.3944302, 1.953506, 0.4078130, 1.913129)  # fmt: skip
        covariance = np.array([[dd, df, dc, dn], [df, ff, fc, fn], [dc, fc, cc, cn], [dn, fn, cn, nn]]) * 1e-4
        noise = np.random.default_rng(11).normal(size=(500, 4))
        noise -= noise.mean(axis=0)
        white = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise.T))).T
        returns = white @ np.linalg.cholesky(covariance).T  # sample covariance, divisor n - 1, exactly as published
        lake = lake_of(tmp_path, returns @ np.array([4e6, 3e6, 1e6, 2e6]))
        assert {"distribution": f"normal, standard deviation with divisor {divisor}"} in simplest(
            reconciled(lake, printed)
        )


class TestBoudoukhRichardsonWhitelaw:
    """The best of both worlds, Risk 11(5), 1998: 2.35% plain, 2.63% hybrid, and 2.73% as a textbook prints it."""

    PNL = np.full(100, 1.0)
    for _ago, _r in ((3, -3.30), (2, -2.90), (65, -2.70), (45, -2.50), (5, -2.40), (30, -2.30)):
        PNL[100 - _ago] = _r

    def test_the_hybrid_number_from_the_plain_one(self, tmp_path: Path) -> None:
        found = reconciled(lake_of(tmp_path, self.PNL), "2.63", levels=("0.95",), estimator="hf5")
        assert found.ours == pytest.approx(2.35, abs=1e-12)
        assert {"estimator": "brw_half_weight", "weighting": "by age, 0.98 a scenario"} in simplest(found)

    def test_the_textbook_interpolates_otherwise(self, tmp_path: Path) -> None:
        weights = 0.98 ** np.arange(99, -1, -1.0)
        lake = lake_of(tmp_path, self.PNL, weights=weights / weights.sum())
        found = reconciled(lake, "2.73", levels=("0.95",), estimator="brw_half_weight")
        assert round(found.ours, 2) == 2.63
        assert simplest(found) == [{"estimator": "hf4_pnl"}, {"estimator": "weighted_linear"}]  # two names of one


class TestQuantileConventions:
    """Losses 1 to n in any order: the number says which rank was read."""

    @pytest.mark.parametrize(
        ("n", "printed", "estimators"),
        [
            (250, "248.5", {"hf5", "hf2", "hf9"}),
            (250, "248.49", {"hf6"}),
            (250, "247.51", {"hf7"}),
            (250, "247.5", {"hf4"}),
            (500, "495", {"hf1", NEXT_RANK}),
            (500, "495.5", {"hf2", "hf5"}),
            (500, "495.99", {"hf6"}),
            (500, "495.01", {"hf7"}),
        ],
    )
    def test_which_observation_is_the_99_percent_var(
        self, tmp_path: Path, n: int, printed: str, estimators: set[str]
    ) -> None:
        lake = lake_of(tmp_path, -np.random.default_rng(n).permutation(np.arange(1.0, n + 1)))
        found = reconciled(lake, printed)
        named = {d["estimator"] for d in simplest(found) if "estimator" in d}
        by_numpy = {f"hf{k}" for k, m in enumerate(
            ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen",
             "weibull", "linear", "median_unbiased", "normal_unbiased"), 1)
            if found.theirs.matches(float(np.quantile(np.arange(1.0, n + 1), 0.99, method=m)))}  # fmt: skip
        assert by_numpy - {found.query.estimator} <= named
        assert estimators & by_numpy <= named
        assert by_numpy or estimators <= named
        if NEXT_RANK in estimators:
            assert NEXT_RANK in named

    @pytest.mark.parametrize(
        ("printed", "words"),
        [
            ("247.5", "mean of the losses worse than the VaR"),
            ("247", "mean of the k worst losses, k = n (1 - level) rounded up"),
            ("247", "mean of the losses at or beyond the VaR of the estimator"),
        ],
    )
    def test_shortfall_of_a_fraction_of_a_scenario(self, tmp_path: Path, printed: str, words: str) -> None:
        """250 scenarios at 97.5%: k = 6.25. 247.36, 247.5 of six, 247.0 of seven."""
        lake = lake_of(tmp_path, -np.arange(1.0, 251))
        found = reconciled(lake, printed, 1e-9, measures=("es",), levels=("0.975",))
        assert found.ours == pytest.approx(247.36, abs=1e-12)
        assert {"shortfall": words} in simplest(found)


RNG = np.random.default_rng(42)
PNL = RNG.standard_t(4, 600) * 1e5 + 3e3
PNL[-1] = -1e6


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_of(tmp_path_factory.mktemp("reconcile"), PNL, horizon_days=1)


def normal(pnl: np.ndarray, ddof: int, z: float, mean: float = 0.0) -> float:
    return float(z * np.std(pnl, ddof=ddof) - mean)


Z = float(stats.norm.ppf(0.99))
S, K = float(stats.skew(PNL)), float(stats.kurtosis(PNL))
CORNISH_FISHER = -Z + (Z**2 - 1) * S / 6 - (Z**3 - 3 * Z) * K / 24 + (2 * Z**3 - 5 * Z) * S**2 / 36
OWN = [float(np.mean(PNL**2))]
for _p in PNL.tolist():
    OWN.append(0.94 * OWN[-1] + 0.06 * _p * _p)
OWN = np.array(OWN)
WORST = np.sort(-PNL)[-61:]
SHAPE, SCALE = optimize.minimize(
    lambda x: -stats.genpareto.logpdf(WORST[1:] - WORST[0], x[0], scale=x[1]).sum() if x[1] > 0 else np.inf,
    [0.1, float((WORST[1:] - WORST[0]).mean())],
    method="Nelder-Mead",
    options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000},
).x
PARETO = float(stats.genpareto.ppf(0.9, SHAPE, loc=WORST[0], scale=SCALE))
# each computed here, without the code under test
PLANTED = {
    "numpy's default quantile": (-np.quantile(PNL, 0.01), {"estimator": "hf7"}),
    "Harrell and Davis": (stats.mstats.hdquantiles(-PNL, [0.99])[0], {"estimator": "harrell_davis"}),
    "one year": (-np.sort(PNL[-250:])[2], {"window": "the last 250 scenarios"}),
    "a window that ends a day early": (-np.sort(PNL[:-1])[5], None),
    "ten days": (-np.sort(PNL)[5] * math.sqrt(10), {"horizon": "10 days by the square root of time"}),
    "the sign": (np.sort(PNL)[5], {"sign": "losses negative"}),
    "the gain tail": (np.sort(PNL)[-6], {"tail": "the gain tail"}),
    "another level": (-np.sort(PNL)[14], {"level": "0.975"}),
    "about the mean": (-np.sort(PNL - PNL.mean())[5], {"mean of the P&L": "removed"}),
    "normal": (normal(PNL, 1, Z), {"distribution": "normal, standard deviation with divisor n - 1"}),
    "normal with 2.33": (
        normal(PNL, 0, 2.33),
        {"distribution": "normal, standard deviation with divisor n", "normal quantile": "rounded to 2 decimals"},
    ),
    "normal with its mean": (
        normal(PNL, 1, Z, PNL.mean()),
        {"distribution": "normal, standard deviation with divisor n - 1", "mean of the P&L": "counted"},
    ),
    "Cornish and Fisher": (
        -(PNL.mean() + CORNISH_FISHER * PNL.std()),
        {"distribution": "modified: Cornish-Fisher by mean, deviation, skewness and kurtosis"},
    ),
    "its own volatility": (
        -np.sort(PNL * np.sqrt(OWN[-1] / OWN[:-1]))[5],
        {"weighting": "P&L scaled to its own volatility, decay 0.94"},
    ),
    "RiskMetrics": (
        Z * math.sqrt((0.94 ** np.arange(599, -1, -1.0) * PNL**2).sum() / (0.94 ** np.arange(600.0)).sum()),
        {"distribution": "normal, standard deviation with divisor n, about zero", "weighting": "by age, 0.94 a scenario"},
    ),
    "expected shortfall": (-np.sort(PNL)[:6].mean(), {"measure": "expected shortfall"}),
    "one year and ten days in thousands": (-np.sort(PNL[-250:])[2] * math.sqrt(10) / 1e3, None),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_known_departure_is_named(lake: Lake, name: str) -> None:
    value, expected = PLANTED[name]
    found = reconciled(lake, f"{value:.6f}")
    if name == "one year and ten days in thousands":  # three differences: beyond what is tried
        assert found.matches == 0
        assert "more than two conventions" in found.notes[-1]
        return
    first = simplest(found)
    if expected is None:
        assert {"window": "without the newest scenario"} in first
    else:
        assert expected in first
    assert all(c.distance <= 5e-7 * (1 + 1e-9) for c in found.candidates if c.matches)
    assert found.candidates[0].value == pytest.approx(value, abs=1e-6)


def test_a_fitted_tail_is_named(lake: Lake) -> None:
    """As SciPy's optimiser finds it, which is to seven digits."""
    assert {"distribution": "generalised Pareto tail of the worst 10%"} in simplest(reconciled(lake, f"{PARETO:.0f}"))


def test_our_own_number_needs_no_difference_and_one_difference_goes_before_two(lake: Lake) -> None:
    found = reconciled(lake, f"{-np.sort(PNL)[5]:.3f}")
    assert found.candidates[0].differences == ()
    assert found.ours == run_query(lake, found.query).total["var_0.99"]
    counts = [len(c.differences) for c in found.candidates if c.matches]
    assert counts == sorted(counts)
    others = [c.distance for c in found.candidates if not c.matches]
    assert others == sorted(others)
    assert len(others) == 5


def test_few_digits_match_by_accident_and_that_is_said(lake: Lake) -> None:
    text = f"{-np.sort(PNL)[5] * 1.05:.3f}"
    exact, rough = (reconciled(lake, text, tolerance) for tolerance in (None, 5000.0))
    assert exact.matches == 0
    assert exact.by_chance < 0.01
    assert rough.matches > 1
    assert any(f"As many as {rough.by_chance:.1f} matches" in n for n in rough.notes)
    # readings that do not match within 5% of theirs, times the share of that width that the tolerance is
    wide = reconciled(lake, text, 0.05 * abs(rough.theirs.value)).matches
    assert rough.by_chance == pytest.approx((wide - rough.matches) * 5000.0 / (0.05 * rough.theirs.value), rel=1e-12)


@pytest.mark.parametrize("ordered", [True, False])
def test_age_and_windows_have_no_meaning_without_order(ordered: bool) -> None:
    ours = Reading(measure="var", level="0.99", window=50, horizon_days=1)
    found = {o.convention for o in options(ours, 50, ordered=ordered, translated=False, weighted=False)}
    assert ({"window", "weighting"} <= found) == ordered
    assert "currency" not in found


@pytest.mark.parametrize(
    ("text", "value", "tolerance"),
    [("1234567", 1234567.0, 0.5), ("-1,234.50", -1234.5, 0.005), ("2.63", 2.63, 0.005), ("1.2e6", 1.2e6, 5e4), ("+7.", 7.0, 0.5)],
)  # fmt: skip
def test_a_printed_number_knows_its_digits(text: str, value: float, tolerance: float) -> None:
    theirs = Theirs.parse(text)
    assert (theirs.value, theirs.tolerance) == (value, pytest.approx(tolerance, rel=1e-12))
    assert theirs.matches(value + tolerance)
    assert not theirs.matches(value + 1.001 * tolerance)


@pytest.mark.parametrize("text", ["", "-", "1,23", "1.2.3", "nan", "inf", "0x1", "e5", "1 2"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected digits as printed"):
        Theirs.parse(text)


def test_bad_questions(lake: Lake) -> None:
    with pytest.raises(BadInput, match="one number"):
        reconciled(lake, "1", by=("desk",))
    with pytest.raises(BadInput, match="one number"):
        reconciled(lake, "1", measures=("var", "es"))
    with pytest.raises(BadInput, match="one number"):
        reconciled(lake, "1", measures=("volatility",))
    with pytest.raises(BadInput, match="tolerance"):
        Theirs.parse("1", -1.0)
    with pytest.raises(BadInput, match="Unknown desk"):
        reconciled(lake, "1", where=(Filter(dimension="desk", values=("none",)),))


def test_holes_are_told(tmp_path: Path) -> None:
    valued = Valued({"c": ("USD", 1.0, PNL[:50])}, failed={"d": "broken"})
    lake = make_lake(tmp_path, valued, [position("t", "c", 1.0), position("u", "d", 1.0)])
    found = reconciled(lake, "1")
    assert found.coverage.status == "partial"
    assert found.notes[0].startswith("1 position is not in our number")
    only = (Filter(dimension="trade", values=("u",)),)
    nothing = reconciled(lake, "1", where=only)
    assert (nothing.ours, nothing.candidates, nothing.coverage.status) == (None, (), "invalid")
    assert any("no number of ours" in n for n in nothing.notes)
