"""Scenario P&L of groups against the vectors it is made of: all of it, chosen scenarios, the worst, histograms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position

from aggregation.risk import scenario_pnl as pnl_module
from aggregation.risk.query import run_query
from aggregation.risk.scenario_pnl import PnlQuery, PnlResult, run_pnl
from aggregation.types import RiskQuery
from lake.arrays import Floats
from lake.errors import BadInput, NotFound
from lake.tables import Lake

N = 40
VECTORS: dict[str, Floats] = {
    c: (np.random.default_rng(i).standard_normal(N) * 100).round(0) for i, c in enumerate(("a", "b", "c"))
}
LABELS = [f"s{i:04}" for i in range(N)]
# desk to its P&L: one has a failed contract beside, one has nothing that is covered
DESKS = {"A": 2 * VECTORS["a"] - VECTORS["b"], "B": 3 * VECTORS["c"]}
TOTAL = DESKS["A"] + DESKS["B"]


def lake_of(folder: Path, **more: Any) -> Lake:
    valued = Valued({c: ("USD", 10.0, p) for c, p in VECTORS.items()}, failed={"bad": "no price"}, **more)
    rows = [
        position("t1", "a", 2.0, desk="A"),
        position("t2", "b", -1.0, desk="A"),
        position("t3", "c", 3.0, desk="B"),
        position("t4", "bad", 1.0, desk="B"),
        position("t5", "bad", 1.0, desk="C"),
    ]
    return make_lake(folder, valued, rows)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_of(tmp_path_factory.mktemp("pnl"))


def ask(lake: Lake, **more: Any) -> PnlResult:
    return run_pnl(lake, PnlQuery(as_of=DAY, **more))


def of_desk(found: PnlResult, desk: str) -> list[dict[str, Any]]:
    return [r for r in found.rows.to_pylist() if r["desk"] == desk]


def test_every_scenario_in_the_order_of_the_set(lake: Lake) -> None:
    found = ask(lake, by=("desk",))
    for desk, pnl in DESKS.items():
        rows = of_desk(found, desk)
        assert [r["scenario"] for r in rows] == LABELS
        assert [r["pnl"] for r in rows] == pnl.tolist()
        worst_first = sorted(range(N), key=lambda i: (pnl[i], i))
        assert [r["rank"] for r in rows] == [worst_first.index(i) + 1 for i in range(N)]
        assert {r["probability"] for r in rows} == {1 / N}
    assert found.total["pnl"].to_pylist() == TOTAL.tolist()
    assert ask(lake).rows.equals(found.total)


def test_a_group_without_numbers_is_a_row_that_says_so(lake: Lake) -> None:
    for more in ({}, {"worst": 3}, {"histogram": 4}):
        found = ask(lake, by=("desk",), **more)
        (row,) = of_desk(found, "C")
        assert row["status"] == "invalid"
        assert {v for k, v in row.items() if k not in ("desk", "status")} == {None}
        assert {r["status"] for r in of_desk(found, "B")} == {"partial"}
        assert found.coverage.status == "partial"
        assert "1 group has no number: none of its positions is covered." in found.notes
        assert any("2 positions are not in the numbers" in n for n in found.notes)


def test_chosen_scenarios(lake: Lake) -> None:
    found = ask(lake, by=("desk",), scenarios=("s0031", "s0007", "s0031"))
    assert [(r["scenario"], r["pnl"]) for r in of_desk(found, "A")] == [(f"s{i:04}", DESKS["A"][i]) for i in (7, 31)]
    assert found.total["pnl"].to_pylist() == [TOTAL[7], TOTAL[31]]


def test_an_unknown_scenario_gets_the_nearest(lake: Lake) -> None:
    with pytest.raises(NotFound, match=r"Unknown scenario 's007'. Nearest valid: s00"):
        ask(lake, scenarios=("s007",))


def test_the_worst_of_each_group(lake: Lake) -> None:
    found = ask(lake, by=("desk",), worst=6)
    for desk, pnl in DESKS.items():
        expected = sorted(range(N), key=lambda i: (pnl[i], i))[:6]
        assert [(r["rank"], r["scenario"], r["pnl"]) for r in of_desk(found, desk)] == [
            (k + 1, LABELS[i], pnl[i]) for k, i in enumerate(expected)
        ]
    var = run_query(lake, RiskQuery(as_of=DAY, levels=("0.85",))).total["var_0.85"]
    assert found.total["pnl"][5].as_py() == -var  # the sixth of 40


def test_the_worst_of_chosen_scenarios_keep_their_rank_among_all(lake: Lake) -> None:
    found = ask(lake, scenarios=tuple(LABELS[:10]), worst=2)
    among = sorted(range(10), key=lambda i: (TOTAL[i], i))[:2]
    assert found.rows["scenario"].to_pylist() == [LABELS[i] for i in among]
    assert found.rows["rank"].to_pylist() == [1 + int((TOTAL[i] > TOTAL).sum()) for i in among]


def test_more_worst_than_there_are_is_said(lake: Lake) -> None:
    found = ask(lake, worst=100)
    assert len(found.rows) == N
    assert "The 100 worst were asked for, and there are 40 scenarios." in found.notes


def test_ties_are_taken_in_the_order_of_the_set(tmp_path: Path) -> None:
    valued = Valued({"a": ("USD", 1.0, np.array([1.0, -5.0, 0.0, -5.0, -5.0]))})
    found = ask(make_lake(tmp_path, valued, [position("t", "a", 1.0)]), worst=3)
    assert found.rows["scenario"].to_pylist() == ["s0001", "s0003", "s0004"]


def test_histogram_counts_every_scenario_once(lake: Lake) -> None:
    found = ask(lake, by=("desk",), histogram=7)
    for desk, pnl in DESKS.items():
        rows = of_desk(found, desk)
        assert [r["bin"] for r in rows] == list(range(1, 8))
        assert (rows[0]["low"], rows[-1]["high"]) == (pnl.min(), pnl.max())
        for i, r in enumerate(rows):
            inside = (pnl >= r["low"]) & ((pnl < r["high"]) | (i == 6))
            assert r["count"] == inside.sum()
            assert r["probability"] == pytest.approx(inside.sum() / N)
            assert r["high"] - r["low"] == pytest.approx((pnl.max() - pnl.min()) / 7)
        assert sum(r["count"] for r in rows) == N


def test_histogram_of_the_tail_alone(lake: Lake) -> None:
    found = ask(lake, worst=10, histogram=3)
    assert sum(found.rows["count"].to_pylist()) == 10
    assert found.rows["high"][2].as_py() == sorted(TOTAL)[9]


def test_histogram_of_a_constant_and_of_what_doubles_cannot_tell_apart(tmp_path: Path) -> None:
    flat = Valued({"a": ("USD", 1.0, np.full(9, -3.0))})
    found = ask(make_lake(tmp_path / "flat", flat, [position("t", "a", 1.0)]), histogram=3)
    assert found.rows["count"].to_pylist() == [0, 9, 0]
    near = Valued({"a": ("USD", 1.0, np.array([1e16, 1e16 + 4]))})
    with pytest.raises(BadInput, match="cannot be told apart in 50 bins"):
        ask(make_lake(tmp_path / "near", near, [position("t", "a", 1.0)]), histogram=50)


def test_weighted_scenarios_carry_their_probabilities(tmp_path: Path) -> None:
    weights = np.arange(1.0, N + 1) / np.arange(1.0, N + 1).sum()
    found = lake_of(tmp_path, weights=weights)
    assert ask(found).rows["probability"].to_pylist() == weights.tolist()
    bins = ask(found, histogram=5).rows
    inside = (bins["low"][1].as_py() <= TOTAL) & (bins["high"][1].as_py() > TOTAL)
    assert bins["probability"][1].as_py() == pytest.approx(weights[inside].sum())
    assert "The scenarios carry weights." in ask(found).notes


def test_another_currency_is_converted_in_each_scenario(tmp_path: Path) -> None:
    fx = {"EURUSD": (1.1, 1.1 + 0.01 * np.arange(N))}
    lake = lake_of(tmp_path, fx=fx)
    base = 2 * 10 - 10 + 3 * 10
    eur = ask(lake, currency="EUR").rows["pnl"].to_numpy()
    np.testing.assert_allclose(eur, (base + TOTAL) / fx["EURUSD"][1] - base / 1.1)


def test_answers_that_are_too_long_are_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pnl_module, "MOST_ROWS", 100)
    with pytest.raises(BadInput, match="3 groups and their total with 40 rows each would be 160 rows"):
        ask(lake, by=("desk",))
    assert len(ask(lake, by=("desk",), worst=5).rows) == 11


def test_portions_change_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ask(lake, by=("desk",))
    monkeypatch.setattr(pnl_module, "PNL_BYTES", 8 * N)
    assert ask(lake, by=("desk",)).rows.equals(whole.rows)


def test_as_data_with_a_receipt(lake: Lake) -> None:
    found = ask(lake, by=("desk",), worst=1)
    data = json.loads(json.dumps(found.to_dict(), default=str))
    assert data["receipt"]["kind"] == "pnl"
    assert data["receipt"]["question"]["worst"] == 1
    assert data["receipt"]["result_digest"] == ask(lake, by=("desk",), worst=1).receipt["result_digest"]
    assert data["receipt"]["result_digest"] != ask(lake, by=("book",)).receipt["result_digest"]
    assert [r["desk"] for r in data["rows"]] == ["A", "B", "C"]
