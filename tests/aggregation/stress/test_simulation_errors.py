"""Sensitivities of options valued by Longstaff-Schwartz, held to the deterministic engine within their own standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_lake import MONDAY, build_lake

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from lake.committer import Committer
from valuation.kernels.longstaff_schwartz import american_option, difference_errors

PUT = {
    "instrument_type": "equity_american_option", "currency": "USD", "underlying": "EQ:AAA", "volatility": "IV:AAA",
    "strike": "104", "expiry": "2020-12-18", "option_type": "put", "discount_curve": "USD",
}  # fmt: skip
SIMULATED = {**PUT, "engine": "longstaff_schwartz"}
HELD = [("Exact", 1.0, PUT), ("Base", 1.0, SIMULATED), ("Anew", -2.0, {**SIMULATED, "policy": "scenario"})]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """By desk and what it is sensitive to."""
    made = build_lake(tmp_path_factory.mktemp("simulated") / "lake", held=HELD)
    query = questions.read("greeks", {"as_of": MONDAY, "by": ["desk"], "per": "factor"})
    with Committer(made, "test") as committer:
        questions.value(Session(made, VectorCache(made), committer), "greeks", query)
    found = questions.ask(reading(made), "greeks", query)
    assert any("2 contracts are simulated" in note for note in found.notes)
    return {(r["desk"], r["of"]): r for r in found.rows.to_pylist()}


def test_they_are_those_of_the_deterministic_engine_within_their_errors(rows: dict[tuple[str, str], Any]) -> None:
    assert {of for _, of in rows} >= {"EQ:AAA", "IV:AAA"}
    for (desk, of), row in rows.items():
        if desk == "Exact":
            assert row["value_error"] is None
            assert row["gamma_error"] is None
        if desk == "Base":
            exact = rows["Exact", of]
            assert 0 < row["value_error"] < abs(exact["value"]) + 0.01
            assert abs(row["value"] - exact["value"]) < 3 * row["value_error"]
            assert abs(row["gamma"] - exact["gamma"]) < 3 * row["gamma_error"]


def test_the_policy_of_the_base_is_taken_whatever_the_terms_say(rows: dict[tuple[str, str], Any]) -> None:
    for (desk, of), row in rows.items():
        if desk == "Anew":
            one = rows["Base", of]
            for name, times in (("value", -2), ("gamma", -2), ("value_error", 2), ("gamma_error", 2)):
                assert row[name] == pytest.approx(times * one[name], rel=1e-9), name


def test_the_error_of_a_difference_is_that_of_its_mean_over_paths() -> None:
    """With one step there is no policy: the paths are those of a European put, whose differences are made here from normals."""
    spot, volatility = np.array([100.0, 101.0, 99.0]), np.full(3, 0.2)
    given = (-1.0, 100.0, 1.0, spot, volatility, np.full(3, 0.95), np.ones(3))
    paths = 2_000
    (error,) = difference_errors(*given, np.array([[0.0, 0.5, -0.5]]), paths=paths, steps=1)
    half = np.random.Generator(np.random.Philox(20010101)).standard_normal((1, paths // 2))[0]
    motion = np.array([half, -half])
    ends = [s / 0.95 * np.exp(-0.02 + 0.2 * motion) for s in (101.0, 99.0)]
    up, down = (0.95 * np.maximum(100.0 - e, 0.0) for e in ends)
    each = (0.5 * (up - down)).mean(axis=0)
    assert error == pytest.approx(each.std(ddof=1) / np.sqrt(paths // 2), rel=1e-9)
    values, _ = american_option(*given, paths=paths, steps=1)
    assert 0.5 * (values[1] - values[2]) == pytest.approx(each.mean(), rel=1e-9)
