"""A ladder against shares, whose P&L is known on paper: quantity times price times the move."""

from __future__ import annotations

import numpy as np
import pytest
from small_lake import MONDAY, SCENARIOS, build_lake, request

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from aggregation.stress.ladder import LadderResult
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from valuation.sets.requests import run_valuation

AXIS = "equity -20%..+20% step 10%"
SHARES = {"as_of": MONDAY, "where": ["desk=Equities", "trade=T00000-0"]}  # 1,000 of AAA, in dollars


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("ladder") / "lake")
    with Committer(made, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=lambda: None)  # type: ignore[arg-type,return-value]
    return made


def valued(lake: Lake, **given: object) -> LadderResult:
    query = questions.read("ladder", given)
    with Committer(lake, "test") as committer:
        query = questions.value(Session(lake, VectorCache(lake), committer), "ladder", query)
    answer: LadderResult = questions.ask(reading(lake), "ladder", query)
    return answer


def price(lake: Lake) -> tuple[float, np.ndarray]:
    """Today's price of AAA, and its price in each scenario that answers today."""
    row = find_scenario_set(lake, f"historical-{SCENARIOS}", MONDAY)
    market = load_scenario_set(lake, row.scenario_set_id)
    at = market.index.row["EQ:AAA"]
    return float(market.base[at]), np.asarray(market.levels[at])


def test_a_share_gains_what_its_price_does_and_its_slope_is_a_hundredth_of_its_value(lake: Lake) -> None:
    found = valued(lake, **SHARES, axes=[AXIS])
    now, _ = price(lake)
    rows = found.total.to_pylist()
    assert [r["first"] for r in rows] == [-20.0, -10.0, 0.0, 10.0, 20.0]
    for r in rows:
        assert r["pnl"] == pytest.approx(1000 * now * r["first"] / 100, rel=1e-12, abs=1e-6)
        assert r["first_slope"] == pytest.approx(1000 * now / 100, rel=1e-9)


def test_var_on_a_rung_is_the_loss_from_the_rung(lake: Lake) -> None:
    found = valued(lake, **SHARES, axes=[AXIS], risk=True, level="0.9")
    now, levels = price(lake)
    worst = np.sort(levels / now - 1)[3 - 1]  # of 30 scenarios the third worst at 0.9
    for r in found.total.to_pylist():
        assert r["var_0.9"] == pytest.approx(-1000 * now * (1 + r["first"] / 100) * worst, rel=1e-9)


def test_on_the_rung_that_moves_nothing_the_measure_is_that_of_today(lake: Lake) -> None:
    found = valued(lake, as_of=MONDAY, axes=[AXIS], by=["desk"], risk=True, measure="es", level="0.9")
    today = questions.ask(
        reading(lake),
        "var",
        questions.read("var", {"as_of": MONDAY, "by": ["desk"], "measures": ["es"], "levels": ["0.9"]}),
    )
    still = {r["desk"]: r["es_0.9"] for r in found.rows.to_pylist() if r["first"] == 0.0}
    assert still == {r["desk"]: r["es_0.9"] for r in today.rows.to_pylist()}
    assert all(r["pnl"] == 0.0 for r in found.rows.to_pylist() if r["first"] == 0.0)


def test_two_axes_make_every_combination_the_first_turning_slowest(lake: Lake) -> None:
    found = valued(lake, as_of=MONDAY, axes=[AXIS, "vol -5pt..+5pt step 5pt"], by=["desk"])
    total = found.total.to_pylist()
    assert [(r["first"], r["second"]) for r in total[:4]] == [(-20.0, -5.0), (-20.0, 0.0), (-20.0, 5.0), (-10.0, -5.0)]
    groups = {r["desk"] for r in found.rows.to_pylist()}
    for i, r in enumerate(total):
        parts = [g for g in found.rows.to_pylist() if g["rung"] == r["rung"]]
        assert {g["desk"] for g in parts} == groups
        assert sum(g["pnl"] for g in parts) == pytest.approx(r["pnl"], rel=1e-9, abs=1e-6), i
    # an option gains from volatility, a share does not
    by_desk = {(r["desk"], r["first"], r["second"]): r for r in found.rows.to_pylist()}
    assert by_desk["Options", 0.0, 5.0]["pnl"] > 0 > by_desk["Options", 0.0, -5.0]["pnl"]
    assert by_desk["Equities", 0.0, 5.0]["pnl"] == 0.0


def test_one_valuation_serves_every_node_of_the_book(lake: Lake) -> None:
    valued(lake, as_of=MONDAY, axes=[AXIS])
    sets = lake.count("valuation_sets")
    one = questions.ask(reading(lake), "ladder", questions.read("ladder", {**SHARES, "axes": [AXIS]}))
    assert one.total.num_rows == 5
    assert lake.count("valuation_sets") == sets


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"axes": ["equity -20%"]}, "one or two axes|expected"),
        ({"axes": ["equity +10%..+5% step 1%"]}, "lower end first"),
        ({"axes": []}, "axes"),
        ({"axes": ["nothing -1%..1% step 1%"]}, "nothing"),
    ],
)
def test_bad_axes_are_refused_in_words(lake: Lake, given: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        questions.plan(reading(lake), "ladder", questions.read("ladder", {"as_of": MONDAY, **given}))


def test_what_is_not_valued_says_what_it_takes(lake: Lake) -> None:
    query = questions.read("ladder", {"as_of": MONDAY, "axes": ["fx[EURUSD] -5%..+5% step 5%"]})
    with pytest.raises(NotValued, match="contracts"):
        questions.ask(reading(lake), "ladder", query)
    assert not questions.plan(reading(lake), "ladder", query).ready
