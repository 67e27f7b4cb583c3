"""A later valuation of another book does not hide the one that holds the book asked for."""

import datetime as dt
from types import SimpleNamespace

import pytest
from small_lake import FRIDAY, MONDAY, SCENARIOS, no_spark, request

from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import NotFound, NotValued
from lake.tables import Lake
from scenarios.requests import ScenarioRequest, default_name
from valuation.books.contracts import contracts_held
from valuation.sets.requests import run_valuation


def value(lake: Lake, **more: object) -> str:
    with Committer(lake, "test") as committer:
        run = run_valuation(committer, request(MONDAY, **more), spark=no_spark)  # type: ignore[arg-type]
    return run.valuation_set.valuation_set_id


def answering(lake: Lake, **more: object) -> str:
    result = run_query(lake, RiskQuery.model_validate({"as_of": MONDAY, **more}))
    assert result.coverage.missing == 0
    return str(result.receipt["valuation_set_id"])


def test_the_set_that_holds_the_book(work_lake: Lake, monkeypatch) -> None:
    both = value(work_lake)
    assert answering(work_lake) == both
    # the newest set holds the contracts of no position at all
    monkeypatch.setattr("valuation.sets.requests.contracts_held", lambda *given: contracts_held(*given).slice(0, 1))
    assert value(work_lake) != both
    assert answering(work_lake) == both
    assert answering(work_lake, positions_date=FRIDAY) == both


def test_the_newest_set_is_the_one_sealed_last_whatever_the_clock_said(
    work_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sets of one book and one scenario set, by other pricers; the clock is two days back at the second."""

    class Back(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return dt.datetime.now(tz) - dt.timedelta(days=2)

    first = value(work_lake)
    monkeypatch.setattr("valuation.sets.run.dt", SimpleNamespace(datetime=Back, UTC=dt.UTC))
    monkeypatch.setattr("valuation.sets.plan.all_pricers_version", lambda: "other pricers")
    second = value(work_lake)
    assert second != first
    assert answering(work_lake) == second


def test_a_stress_answers_only_by_name(work_lake: Lake) -> None:
    sample = value(work_lake)
    with Committer(work_lake, "test") as committer:
        stress = request(
            MONDAY, scenarios=ScenarioRequest(method="stress", parameters={"text": "equity -20%"}, name="crash")
        )
        run = run_valuation(committer, stress, spark=no_spark)  # type: ignore[arg-type]
    assert answering(work_lake) == sample
    assert answering(work_lake, scenario_set="crash") == run.valuation_set.valuation_set_id


def test_another_recipe_has_another_name() -> None:
    def name(method: str, **parameters: object) -> str:
        return default_name(ScenarioRequest(method=method, parameters=parameters, name=None))

    assert name("historical") == name("historical", scenarios=500) == "historical-500"
    assert name("replay", period="march-2020") == "replay-march-2020"
    weighted = name("historical", scenarios=500, age_decay=0.99)
    assert weighted.startswith("historical-500-")
    assert weighted != name("historical", scenarios=500, age_decay=0.98)
    assert name("stress", text="equity -20%") != name("stress", text="equity -10%")
    assert not name("historical", window_start="2019-01-02").startswith("historical-500")


def test_a_set_that_answers_only_by_name_is_nobodys_default(work_lake: Lake) -> None:
    sample = value(work_lake)
    asked = {"parameters": {"scenarios": SCENARIOS - 5}, "name": "searched", "only_by_name": True}
    searched = value(work_lake, scenarios=asked)
    assert answering(work_lake) == sample
    assert answering(work_lake, scenario_set="searched") == searched


def test_a_day_without_a_market_is_valued_and_asked_about_in_that_of_another(work_lake: Lake) -> None:
    saturday, asked = dt.date(2020, 3, 14), {"positions_date": FRIDAY}
    book = {"positions_dates": (FRIDAY,)}
    with Committer(work_lake, "test") as committer:
        with pytest.raises(NotFound, match=r"No market data on 2020-03-14 .* give the market date 2020-03-13 as well"):
            run_valuation(committer, request(saturday, **book), spark=no_spark)  # type: ignore[arg-type]
        with pytest.raises(NotFound, match=r"No market data on 2020-03-15") as chosen:
            run_valuation(committer, request(saturday, market_date=dt.date(2020, 3, 15), **book), spark=no_spark)  # type: ignore[arg-type]
        assert "give the market date" not in chosen.value.message
        run_valuation(committer, request(saturday, market_date=FRIDAY, **book), spark=no_spark)  # type: ignore[arg-type]
    with pytest.raises(NotValued, match=r"It is valued in the market of 2020-03-13; give that market date"):
        run_query(work_lake, RiskQuery.model_validate({"as_of": saturday, **asked}))
    result = run_query(work_lake, RiskQuery.model_validate({"as_of": saturday, "market_date": FRIDAY, **asked}))
    assert result.coverage.missing == 0
