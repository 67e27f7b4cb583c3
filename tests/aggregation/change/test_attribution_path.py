"""Explanations through corner points: planned, valued, and averaged over all orders, on a lake built through the real path."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from small_lake import FRIDAY, MONDAY, build_lake, no_spark, request

from aggregation.change.attribution_path import COORDINATES, explain_through, plan_attribution_path, value_intermediate
from aggregation.change.explain import explain
from aggregation.opened.opened_lake import VectorCache
from aggregation.replay import receipt_in, replay
from aggregation.risk.query import run_query
from aggregation.session import Session
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake
from valuation.sets.requests import run_valuation

ONE, TWO = (
    RiskQuery(as_of=day, by=("desk",), measures=("es",), levels=("0.5",), currency="EUR") for day in (FRIDAY, MONDAY)
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Both days valued, each for its own book, and nothing between them."""
    made = build_lake(tmp_path_factory.mktemp("path") / "lake")
    for day in (FRIDAY, MONDAY):
        with Committer(made, "test") as committer:
            run_valuation(committer, request(day), spark=no_spark)
    return made


@pytest.fixture(scope="module")
def valued(lake: Lake) -> Lake:
    plan = plan_attribution_path(lake, ONE, TWO, "shapley", VectorCache(lake))
    with Committer(lake, "test") as committer:
        assert value_intermediate(Session(lake, VectorCache(lake), committer, no_spark), plan) > 0
    return lake


def corner_values(lake: Lake, one: RiskQuery = ONE, two: RiskQuery = TWO) -> dict[int, float]:
    """The measure at every corner, each asked as a plain question of its own."""
    plan = plan_attribution_path(lake, one, two, "shapley", VectorCache(lake))
    assert not plan.missing
    found = {}
    for c in plan.corners:
        total = run_query(lake, c.question).total
        found[c.bits] = total["es_0.5"]
    return found


def test_the_plan_says_what_is_missing_and_writes_nothing(lake: Lake) -> None:
    before = lake.version("valuation_sets"), lake.version("scenario_sets")
    plan = plan_attribution_path(lake, ONE, TWO, "shapley", VectorCache(lake))
    said = json.loads(json.dumps(plan.to_dict(), default=str))
    assert said["coordinates"] == list(COORDINATES)
    assert len(said["corners"]) == 16
    if said["missing"]:
        # eight valuations of both books, of which the two points' own are there: the books hold the same contracts
        assert len(said["missing"]) == 6
        assert {(m["request"]["as_of"], m["request"]["market_date"]) for m in said["missing"]} == {
            (str(a), str(b)) for a in (FRIDAY, MONDAY) for b in (FRIDAY, MONDAY)
        }
        with pytest.raises(NotValued, match="6 valuations between the two points are missing"):
            explain_through(lake, ONE, TWO, "shapley", cache=VectorCache(lake))
    assert before == (lake.version("valuation_sets"), lake.version("scenario_sets"))


def test_shapley_is_the_average_over_all_orders(valued: Lake) -> None:
    """By walking every order of the four coordinates over plain answers of the corners."""
    values = corner_values(valued)
    orders = list(itertools.permutations(range(4)))
    expected = np.zeros(4)
    for order in orders:
        at = 0
        for k in order:
            expected[k] += (values[at | 1 << k] - values[at]) / len(orders)
            at |= 1 << k
    found = explain_through(valued, ONE, TWO, "shapley", cache=VectorCache(valued))
    assert list(found.causes) == [*COORDINATES, "model"]
    np.testing.assert_allclose([found.causes[c] for c in COORDINATES], expected, rtol=1e-9, atol=1e-12)
    assert found.causes["scenarios"] != 0.0
    assert found.causes["model"] == 0.0
    # efficiency: the shares add up to the whole, in every row too
    assert sum(found.causes.values()) == pytest.approx(found.change, rel=1e-12)
    assert found.change == pytest.approx(values[15] - values[0], rel=1e-12)
    for row in found.rows.to_pylist():
        assert row["after"] - row["before"] == pytest.approx(row["change"], abs=1e-9)
        assert sum(row[c] for c in found.causes) == row["change"]
    assert [c["measure"] for c in found.corners] == pytest.approx([values[b] for b in sorted(values)])


def test_steps_in_the_stated_order_are_differences_of_corners(valued: Lake) -> None:
    values = corner_values(valued)
    found = explain_through(valued, ONE, TWO, "sequential", cache=VectorCache(valued))
    assert [c["measure"] for c in found.corners] == pytest.approx([values[b] for b in (0, 1, 3, 7, 15)])
    assert sum(found.causes.values()) == pytest.approx(found.change, rel=1e-12)
    assert abs(found.residual) <= 1e-9 * abs(found.after)
    by_hand = explain(
        valued,
        *(q.question for q in plan_attribution_path(valued, ONE, TWO, "sequential", VectorCache(valued)).corners[2:4]),
    )
    assert found.causes["market"] == pytest.approx(by_hand.causes["revaluation"], rel=1e-9)
    assert found.causes["new"] == found.causes["closed"] == 0.0
    assert found.causes["amended"] != 0.0


def test_only_the_book_changed(valued: Lake) -> None:
    """One point read with two books: nothing to value, and positions have everything."""
    one, two = ONE, ONE.model_copy(update={"positions_date": MONDAY})
    cache = VectorCache(valued)
    assert not plan_attribution_path(valued, one, two, "shapley", cache).missing
    found = explain_through(valued, one, two, "shapley", cache=cache)
    assert found.causes == {"positions": pytest.approx(found.change), "model": 0.0}
    assert found.change != 0.0


def test_a_coordinate_that_changes_nothing_has_nothing(valued: Lake) -> None:
    """Shares do not age: of a book without options the valuation date is a dummy."""
    shares = json.loads(json.dumps([{"dimension": "desk", "values": ["Equities"]}]))
    one, two = (RiskQuery.model_validate({**q.model_dump(), "where": shares}) for q in (ONE, TWO))
    found = explain_through(valued, one, two, "shapley", cache=VectorCache(valued))
    assert found.causes["ageing"] == 0.0
    assert found.causes["positions"] == 0.0  # the desk holds the same on both days
    assert found.causes["market"] != 0.0


def test_intervals_use_one_resample_at_all_corners(valued: Lake) -> None:
    one, two = (q.model_copy(update={"interval": "0.9"}) for q in (ONE, TWO))
    found = explain_through(valued, one, two, "shapley", cache=VectorCache(valued)).to_dict()
    for cause in found["causes"]:
        if cause["cause"] in COORDINATES:
            assert cause["low"] <= cause["high"]
            assert cause["within_error"] == (cause["low"] <= 0 <= cause["high"])
    assert found["change_interval"]["low"] <= found["change"] <= found["change_interval"]["high"]


def test_asked_twice_prices_nothing(valued: Lake) -> None:
    plan = plan_attribution_path(valued, ONE, TWO, "shapley", VectorCache(valued))
    assert plan.missing == ()
    assert plan.to_dict()["expected_core_seconds"] == 0


def test_positions_without_a_value_at_a_corner_are_said(valued: Lake) -> None:
    notes = explain_through(valued, ONE, TWO, "shapley", cache=VectorCache(valued)).notes
    assert any("1 position has no value at the corner with ageing of the second point: it is not" in n for n in notes)
    assert any(n.startswith("Each cause is its average over all 4! orders") for n in notes)


def test_an_unknown_method(valued: Lake) -> None:
    with pytest.raises(BadInput, match="expected sequential or shapley"):
        plan_attribution_path(valued, ONE, TWO, "shaply", VectorCache(valued))


@pytest.mark.parametrize("method", ["identity", "sequential", "shapley"])
def test_a_receipt_replays_to_the_same_bits(valued: Lake, method: str) -> None:
    cache = VectorCache(valued)
    found = (
        explain(valued, ONE, TWO) if method == "identity" else explain_through(valued, ONE, TWO, method, cache=cache)
    )
    receipt = json.loads(json.dumps(found.to_dict(), default=str))["receipt"]
    done = replay(valued, receipt_in(receipt))
    assert done.verdict == "same bits", done.why
    assert {i.state for i in done.inputs} == {"same"}
