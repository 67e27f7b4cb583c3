"""P&L side by side in every scenario: the same vectors that VaR is read from, adding up group by group."""

import datetime as dt

import numpy as np
import pytest
from small_lake import MONDAY as DAY
from small_lake import build_lake, no_spark, request

from aggregation.risk.query import run_query, run_scenarios
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from valuation.sets.requests import run_valuation


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("stress") / "lake")
    with Committer(made, "test") as committer:
        run_valuation(committer, request(scenarios={"parameters": {"scenarios": 10}, "name": "moves"}), spark=no_spark)  # type: ignore[arg-type]
    return made


def query(**more: object) -> RiskQuery:
    return RiskQuery.model_validate({"as_of": DAY, "scenario_set": "moves", **more})


def test_losses_are_those_that_var_ranks(lake: Lake) -> None:
    total = run_scenarios(lake, query()).total
    losses = sorted((-v for k, v in total.items() if k.startswith("pnl_")), reverse=True)
    n = len(losses)
    for k in range(1, n):
        level = f"{(n - k) / n:g}"
        assert run_query(lake, query(levels=(level,))).total[f"var_{level}"] == losses[k - 1]


def test_groups_add_up_scenario_by_scenario(lake: Lake) -> None:
    result = run_scenarios(lake, query(by=("desk",)))
    for name in result.rows.column_names:
        if name.startswith("pnl_"):
            assert np.isclose(sum(result.rows[name].to_pylist()), result.total[name], rtol=1e-12)


def test_too_many_scenarios_for_columns(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregation.risk.query.MOST_COLUMNS", 3)
    with pytest.raises(BadInput, match="3 at most"):
        run_scenarios(lake, query())


def test_dates_without_a_valuation(lake: Lake) -> None:
    with pytest.raises(Exception, match=str(DAY)):
        run_scenarios(lake, query(as_of=DAY + dt.timedelta(days=1)))
