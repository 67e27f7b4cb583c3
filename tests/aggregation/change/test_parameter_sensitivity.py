"""VaR and ES moved by one parameter at a time, against NumPy and SciPy on the exported P&L."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from small_lake import MONDAY, SCENARIOS

from aggregation import questions
from aggregation.change import parameter_sensitivity
from aggregation.change.parameter_sensitivity import ParameterSensitivity
from aggregation.session import reading
from lake.errors import BadInput, NotAllowed
from lake.tables import Lake
from service.access.controlled import check_parameters

NODE = ["desk=Options"]


def asked(lake: Lake, **more: Any) -> ParameterSensitivity:
    given = {
        "as_of": MONDAY,
        "where": NODE,
        "level": "0.9",
        "levels": ["0.8", "0.95"],
        "windows": [10, 20],
        "interval": None,
        **more,
    }
    found: ParameterSensitivity = questions.ask(
        reading(lake), "parameter-sensitivity", questions.read("parameter-sensitivity", given)
    )
    return found


@pytest.fixture
def lake(valued_lake) -> Lake:
    return Lake.open(valued_lake)


@pytest.fixture
def pnl(lake) -> Any:
    """P&L of the node by scenario, oldest first, as it is exported."""
    query = questions.read("pnl", {"as_of": MONDAY, "where": NODE})
    rows = sorted(questions.ask(reading(lake), "pnl", query).rows.to_pylist(), key=lambda r: str(r["scenario"]))
    return np.array([r["pnl"] for r in rows])


def of(found: ParameterSensitivity, parameter: str) -> dict[str, dict[str, Any]]:
    return {r["setting"]: r for r in found.rows.to_pylist() if r["parameter"] == parameter}


def tail(losses: Any, level: float, weights: Any = None) -> tuple[float, float]:
    """VaR, the worst loss whose weight with all worse ones reaches 1 - level, and ES, the mean of so much weight."""
    order = np.argsort(losses)[::-1]
    w = np.full(len(losses), 1.0 / len(losses)) if weights is None else weights / weights.sum()
    reached = np.cumsum(w[order])
    k = int(np.argmax(reached >= 1 - level - 1e-12))
    part = np.clip(1 - level - (reached - w[order]), 0, w[order])
    return float(losses[order][k]), float((part * losses[order]).sum() / (1 - level))


def test_confidence_window_and_decay_are_those_of_numpy(lake, pnl):
    found = asked(lake, decays=["0.9", "0.97"])
    expected = {
        ("confidence level", "0.8"): tail(-pnl, 0.8),
        ("confidence level", "0.9"): tail(-pnl, 0.9),
        ("confidence level", "0.95"): tail(-pnl, 0.95),
        ("window", "10"): tail(-pnl[-10:], 0.9),
        ("window", "20"): tail(-pnl[-20:], 0.9),
        ("window", "30"): tail(-pnl, 0.9),
        ("decay", "0.9"): tail(-pnl, 0.9, 0.9 ** np.arange(29, -1, -1.0)),
        ("decay", "0.97"): tail(-pnl, 0.9, 0.97 ** np.arange(29, -1, -1.0)),
        ("decay", "1"): tail(-pnl, 0.9),
    }
    rows = {(r["parameter"], r["setting"]): r for r in found.rows.to_pylist() if r["parameter"] != "estimator"}
    assert rows.keys() == expected.keys()
    for key, (var, es) in expected.items():
        assert (rows[key]["var"], rows[key]["es"]) == pytest.approx((var, es), rel=1e-12)
        assert rows[key]["var_change"] == rows[key]["var"] - found.var
        assert rows[key]["es_relative_change"] == (rows[key]["es"] - found.es) / found.es
    assert (found.var, found.es) == pytest.approx(tail(-pnl, 0.9), rel=1e-12)
    assert of(found, "decay")["0.9"]["half_life"] == pytest.approx(6.578813478960585, rel=1e-12)
    assert [s for s, r in of(found, "window").items() if r["standard"]] == [str(SCENARIOS)]


def test_estimators_are_those_of_numpy(lake, pnl):
    rows = of(asked(lake), "estimator")
    kinds = ("linear", "weibull", "hazen", "median_unbiased", "normal_unbiased", "interpolated_inverted_cdf")
    for name, method in zip(("hf7", "hf6", "hf5", "hf8", "hf9", "hf4"), kinds, strict=True):
        assert rows[name]["var"] == pytest.approx(np.quantile(-pnl, 0.9, method=method), rel=1e-12)
    assert rows["order_statistic"]["standard"]


def test_the_interval_of_the_var_is_of_exact_ranks(lake, pnl):
    """The binomial ranks around the quantile, each end with half of what is left of the confidence."""
    row = of(asked(lake, interval="0.9"), "confidence level")["0.8"]
    losses, n = np.sort(-pnl)[::-1], len(pnl)
    covers = [(lo, hi) for lo in range(1, n + 1) for hi in range(lo, n + 1)
              if binom.cdf(hi - 1, n, 0.2) - binom.cdf(lo - 1, n, 0.2) >= 0.9]  # fmt: skip
    high, low = (int(np.flatnonzero(losses == row[f"var_{end}"])[0]) + 1 for end in ("high", "low"))
    assert (high, low) in covers
    assert binom.cdf(high - 1, n, 0.2) <= 0.05
    assert 1 - binom.cdf(low - 1, n, 0.2) <= 0.05
    assert row["es_low"] < row["es"] < row["es_high"]
    assert not asked(lake, interval=None).rows["var_low"].drop_null()


def test_slopes_and_what_moves_most(lake):
    found = asked(lake, decays=["0.97"])
    parameters = {p["parameter"]: p for p in found.parameters.to_pylist()}
    levels, windows, decays = (of(found, n) for n in ("confidence level", "window", "decay"))
    assert parameters["confidence level"]["es_slope"] == pytest.approx(
        (levels["0.95"]["es"] - levels["0.8"]["es"]) / 15, rel=1e-9
    )
    assert parameters["window"]["var_slope"] == pytest.approx(
        (windows["30"]["var"] - windows["20"]["var"]) * 10, rel=1e-9
    )
    assert parameters["decay"]["var_slope"] == pytest.approx((decays["1"]["var"] - decays["0.97"]["var"]) / 3, rel=1e-9)
    assert parameters["estimator"]["var_slope"] is None
    greatest = max(
        (abs(r["var_change"]), r["parameter"]) for r in found.rows.to_pylist() if r["var_change"] is not None
    )
    assert found.parameters["parameter"][0].as_py() == greatest[1]
    assert any(f"VaR moves most with the {greatest[1]}" in n for n in found.notes)


def test_of_a_drawn_set_the_number_of_scenarios_is_moved(lake, pnl, monkeypatch):
    opened = parameter_sensitivity.open_inputs

    def drawn(*given: Any) -> Any:
        inputs = opened(*given)
        return dataclasses.replace(inputs, scenarios=dataclasses.replace(inputs.scenarios, method="monte_carlo"))

    monkeypatch.setattr(parameter_sensitivity, "open_inputs", drawn)
    found = asked(lake, windows=(60, 125, 250, 375, 500, 750, 1000), numbers=[10, 20])
    rows = of(found, "number of scenarios")
    assert list(rows) == ["10", "20", "30"]
    assert rows["20"]["var"] == pytest.approx(tail(-pnl[:20], 0.9)[0], rel=1e-12)
    assert not of(found, "window")
    with pytest.raises(BadInput, match="are not days in order; leave windows out"):
        asked(lake)


def test_traders_take_the_standard_parameters():
    def check(**given: Any) -> None:
        check_parameters(questions.read("parameter-sensitivity", {"as_of": str(MONDAY), **given}), "0.95,0.975,0.99")

    check()
    check(level="0.95", levels=["0.99"])
    for given in ({"levels": ["0.999"]}, {"level": "0.9"}, {"windows": [20]}, {"decays": ["0.9"]}, {"numbers": [20]}):
        with pytest.raises(NotAllowed, match="parameters of risk are chosen by"):
            check(**given)


def test_days_in_order_have_no_number_of_their_own(lake):
    with pytest.raises(BadInput, match="leave numbers out"):
        asked(lake, numbers=[10])
