"""The search for the worst window against separate historical sets of those windows, and its use of vectors that are there."""

import numpy as np
import pytest
from small_lake import MONDAY, build_lake, no_spark

from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_query
from aggregation.session import Session, reading
from aggregation.stress.stress_period import STRESS_PERIOD, StressPeriod, StressPeriodRequest, stress_period
from aggregation.types import Filter, RiskQuery
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake
from scenarios.store import load_scenario_set
from valuation.sets.plan import ValuationPlan
from valuation.sets.requests import ValuationRequest, run_valuation

SHARES = Filter(dimension="desk", values=("Equities",))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return build_lake(tmp_path_factory.mktemp("period") / "lake")


def request(**more: object) -> StressPeriodRequest:
    return StressPeriodRequest.model_validate(
        {"as_of": MONDAY, "length": 20, "level": "0.9", "runner": "in-process", **more}
    )


def planned(lake: Lake, **more: object) -> ValuationPlan:
    """The plan of the one valuation a search rests on."""
    assert STRESS_PERIOD.plan is not None
    ((_, _, plan),) = STRESS_PERIOD.plan(reading(lake), request(**more)).valuations
    return plan


def search(lake: Lake, **more: object) -> StressPeriod:
    """Valued, then asked."""
    assert STRESS_PERIOD.value is not None
    with Committer(lake, "test") as committer:
        session = Session(lake, VectorCache(lake), committer=committer)
        return stress_period(session, STRESS_PERIOD.value(session, request(**more)))


def test_the_price_comes_first_and_a_second_search_is_free(lake: Lake) -> None:
    with pytest.raises(NotValued):
        stress_period(reading(lake), request())
    plan = planned(lake)
    # all moves from the second day of the history on: 2019-12-03 to 2020-03-16, without three holidays
    assert plan.scenario_set.n_scenarios == 71
    assert plan.work.num_rows == 3
    assert plan.cost.seconds > 0
    first = search(lake)
    again = planned(lake, length=30, measure="var")
    assert again.sealed is not None
    assert again.work.num_rows == 0
    assert stress_period(reading(lake), request()) == first  # who may not write is answered too


@pytest.mark.parametrize("measure", ["var", "es"])
@pytest.mark.parametrize("where", [(), (SHARES,)], ids=["all", "shares"])
def test_windows_are_those_of_separate_historical_sets(lake: Lake, measure: str, where: tuple[Filter, ...]) -> None:
    found = search(lake, measure=measure, where=where)
    assert len(found.all_windows) == found.scenarios - 20 + 1
    assert found.worst.value == max(w.value for w in found.all_windows)
    for window in (found.worst, found.all_windows[-1]):
        name = f"window-{window.first}"
        with Committer(lake, "test") as committer:
            run_valuation(
                committer,
                ValuationRequest.model_validate(
                    {
                        "as_of": MONDAY,
                        "runner": "in-process",
                        "scenarios": {
                            "name": name,
                            "parameters": {"window_start": window.first, "window_end": window.last},
                        },
                    }
                ),
                spark=no_spark,  # type: ignore[arg-type]
            )
        query = RiskQuery(as_of=MONDAY, where=where, measures=(measure,), levels=("0.9",), scenario_set=name)
        answer = run_query(lake, query)
        assert answer.receipt["scenario_count"] == 20
        assert answer.total[f"{measure}_0.9"] == pytest.approx(window.value, rel=1e-12)
    assert found.coverage.status == ("partial" if not where else "complete")


def test_runners_up_overlap_nothing_worse(lake: Lake) -> None:
    found = search(lake)
    days = load_scenario_set(lake, found.scenario_set_id).labels
    taken = [found.worst, *found.runners_up]
    assert [w.value for w in taken] == sorted((w.value for w in taken), reverse=True)
    starts = [days.index(w.first) for w in taken]
    assert np.diff(sorted(starts)).min() >= 20


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"length": 500}, "fewer than a window of 500"),
        ({"estimator": "hf77"}, "hf7"),
        ({"moves": {"scenarios": 500}}, "scenarios cannot be given"),
        ({"moves": {"horizn_days": 5}}, "nearest horizon_days"),
    ],
)
def test_bad_requests_are_told(lake: Lake, more: dict[str, object], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        search(lake, **more)
