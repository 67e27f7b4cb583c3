"""Reverse stress of a small book: against closed forms where it is linear, and by its own vectors where it is not."""

import datetime as dt

import numpy as np
import pytest
from small_lake import BOOK, FACTORS, MONDAY, build_lake, no_spark
from support import random_walks

from aggregation.risk.query import run_query
from aggregation.stress.reverse_stress import ReverseStressRequest, expected_cost, reverse_stress
from aggregation.types import Filter, RiskQuery
from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from scenarios.plausibility.move_law import LawRules, law
from scenarios.store import save_scenario_set
from valuation.sets.requests import ValuationRequest, run_valuation

LAW = {"window": 60, "covariance": "sample"}
SHARES = Filter(dimension="desk", values=("Equities",))
OPTIONS = Filter(dimension="desk", values=("Options",))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return build_lake(tmp_path_factory.mktemp("reverse") / "lake")


def request(**more: object) -> ReverseStressRequest:
    return ReverseStressRequest.model_validate({"as_of": MONDAY, "loss": 5_000, "law": LAW, "nearest": 3, **more})


def test_shares_against_the_closed_form(lake: Lake) -> None:
    found = reverse_stress(lake, request(where=(SHARES,), loss=200))
    assert found.loss == pytest.approx(200, rel=1e-5)
    assert found.loss >= 200
    # a loss this small is linear: shares and exchange rates move by log, P&L = value x move
    rules = LawRules.model_validate({"market_date": MONDAY, **LAW})
    measured = law(lake.snapshot(), rules)
    row, base = measured.index.row, measured.base
    g = np.zeros(len(base))
    (_, q_a, _), (_, q_b, _) = BOOK[:2]
    g[row["EQ:AAA"]] = q_a * base[row["EQ:AAA"]]
    g[row["EQ:BBB"]] = q_b * base[row["EQ:BBB"]] * base[row["FX:EURUSD"]]
    g[row["FX:EURUSD"]] = g[row["EQ:BBB"]]
    c = measured.correlation * np.outer(measured.deviation, measured.deviation)
    assert found.linear_distance == pytest.approx(200 / np.sqrt(g @ c @ g), rel=1e-4)
    assert found.distance == pytest.approx(found.linear_distance, rel=5e-3)
    moves = {m.risk_factor_id: m for m in found.moves}
    expected = -200 * c @ g / (g @ c @ g)
    for name, r in row.items():
        assert moves[name].move == pytest.approx(expected[r], rel=0.02, abs=2e-6)
        assert moves[name].read == (g[r] != 0)
    assert sum(m.share for m in found.moves) == pytest.approx(1, abs=1e-9)
    assert found.coverage.status == "complete"


def test_the_scenario_loses_as_much_when_valued_like_any_other(lake: Lake) -> None:
    found = reverse_stress(lake, request(where=(SHARES,), loss=30_000))
    with Committer(lake, "test") as committer:
        saved = save_scenario_set(committer, found.scenario_set)
        run_valuation(
            committer,
            ValuationRequest.model_validate(
                {"as_of": MONDAY, "scenario_set": saved.scenario_set_id, "runner": "in-process"}
            ),
            spark=no_spark,  # type: ignore[arg-type]
        )
    answer = run_query(
        lake,
        RiskQuery(as_of=MONDAY, where=(SHARES,), measures=("worst",), scenario_set=saved.name),
    )
    assert answer.total["worst"] == pytest.approx(found.loss, rel=1e-12)
    assert 30_000 <= found.loss <= 30_000 * (1 + 1e-4)


def test_a_bought_option_loses_no_more_than_its_value(lake: Lake) -> None:
    with pytest.raises(BadInput, match="greatest loss met"):
        reverse_stress(lake, request(where=(OPTIONS,), loss=1e7))
    found = reverse_stress(lake, request(where=(OPTIONS,), loss=100))
    assert found.loss == pytest.approx(100, rel=1e-4)
    # the linear guess overshoots or falls short of a bent book; the search does not
    assert found.linear_loss is not None
    assert abs(found.linear_loss - 100) > 10 * abs(found.loss - 100)
    assert (found.coverage.positions, found.coverage.covered) == (2, 1)
    moves = {m.risk_factor_id: m.move for m in found.moves}
    assert moves["EQ:AAA"] < 0


def test_days_that_reach_the_loss_come_first(lake: Lake) -> None:
    found = reverse_stress(lake, request(where=(SHARES,), loss=1_500, nearest=50))
    reached = [d for d in found.days if d.reaches]
    rest = [d for d in found.days if not d.reaches]
    assert reached
    assert found.days[: len(reached)] == tuple(reached)
    assert [d.distance for d in reached] == sorted(d.distance for d in reached)
    assert [d.loss for d in rest] == sorted((d.loss for d in rest), reverse=True)
    # no day that loses as much is nearer than the most plausible scenario
    assert min(d.distance for d in reached) >= found.distance * (1 - 1e-3)


def test_a_past_day_onto_todays_market(lake: Lake) -> None:
    found = reverse_stress(lake, request(where=(SHARES,), loss=1_500, nearest=1))
    day = found.days[0]
    walks = random_walks(FACTORS, dt.date(2019, 12, 2), dt.date(2020, 3, 17))
    days = list(walks["EQ:AAA"])
    i = days.index(dt.date.fromisoformat(day.day))

    def moved(name: str) -> float:
        series = list(walks[name].values())
        return series[days.index(MONDAY)] * series[i] / series[i - 1]  # type: ignore[operator]

    def base(name: str) -> float:
        return walks[name][MONDAY]  # type: ignore[return-value]

    gain = 1000 * (moved("EQ:AAA") - base("EQ:AAA"))
    gain -= 200 * (moved("EQ:BBB") * moved("FX:EURUSD") - base("EQ:BBB") * base("FX:EURUSD"))
    assert day.loss == pytest.approx(-gain, rel=1e-10)


def test_the_price_comes_first(lake: Lake) -> None:
    price, cost = expected_cost(lake, request())
    assert price["contracts"] == 3
    assert price["expected_core_seconds"] == pytest.approx(cost.seconds, abs=1e-3)
    assert reverse_stress(lake, request(loss=500)).states_valued < 2 * price["expected_states"]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"law": {"windw": 60}}, "nearest window"),
        ({"where": (Filter(dimension="desk", values=("Rates",)),)}, "Equities"),
        ({"law": {"window": 5000}}, "history gives only"),
    ],
)
def test_bad_requests_are_told(lake: Lake, more: dict[str, object], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        reverse_stress(lake, request(**more))
