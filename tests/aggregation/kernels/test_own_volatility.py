"""P&L scaled to its own volatility, against a plain loop, and the measures of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position

from aggregation.contributions.contributions import ContributionQuery, run_contributions
from aggregation.kernels import own_volatility
from aggregation.measures import refuse_in_order
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.errors import BadInput
from lake.tables import Lake

PNL = {
    c: np.random.default_rng(i).standard_normal(500) * np.where(np.arange(500) < 400, 1e3, 3e3)
    for i, c in enumerate("ab")
}


def by_loop(pnl: list[float], decay: float) -> list[float]:
    variance = [sum(x * x for x in pnl) / len(pnl)]
    for x in pnl:
        variance.append(decay * variance[-1] + (1 - decay) * x * x)
    return [x * math.sqrt(variance[-1] / v) for x, v in zip(pnl, variance[:-1], strict=True)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    valued = Valued({c: ("USD", 1e6, p) for c, p in PNL.items()})
    return make_lake(tmp_path_factory.mktemp("own"), valued, [position(c, c, 1.0, desk=c) for c in PNL])


@pytest.mark.parametrize("decay", ["0.94", "0.97"])
@pytest.mark.parametrize("tail", ["loss", "gain"])
def test_var_and_es_by_a_plain_loop(lake: Lake, decay: str, tail: str) -> None:
    """Of each desk by its own volatility, and of both together by that of both."""
    measures = ("var_own_volatility", "es_own_volatility")
    query = RiskQuery(as_of=DAY, by=("desk",), measures=measures, pnl_decay=decay, tail=tail)
    found = run_query(lake, query)
    ending = "_gain" if tail == "gain" else ""
    for row, pnl in (*zip(found.rows.to_pylist(), PNL.values(), strict=True), (found.total, PNL["a"] + PNL["b"])):
        scaled = sorted(by_loop(pnl.tolist(), float(decay)), reverse=tail == "gain")
        sign = 1 if tail == "gain" else -1
        assert row[f"var_own_volatility_0.99{ending}"] == pytest.approx(sign * scaled[4], rel=1e-12)
        assert row[f"es_own_volatility_0.99{ending}"] == pytest.approx(sign * sum(scaled[:5]) / 5, rel=1e-12)


def test_a_group_does_not_see_its_neighbours() -> None:
    """The same bits for a row alone, among others, and however it lies in memory."""
    pnl = np.random.default_rng(9).standard_t(4, (7, 501))
    together = own_volatility.scales(pnl)
    assert (own_volatility.scales(np.asfortranarray(pnl)) == together).all()
    for i in range(7):
        assert (own_volatility.scales(pnl[i : i + 1]) == together[i]).all()


def test_contributions_add_up_and_intervals_hold_the_figure(lake: Lake) -> None:
    asked = {"measures": ("var_own_volatility",), "interval": "0.9", "estimator": "hf6"}
    split = run_contributions(lake, ContributionQuery(as_of=DAY, by=("desk",), **asked))
    found = run_query(lake, RiskQuery(as_of=DAY, **asked)).total
    assert split.total["component"] == pytest.approx(found["var_own_volatility_0.99"], rel=1e-12)
    low, high = found["var_own_volatility_0.99_low"], found["var_own_volatility_0.99_high"]
    assert low < found["var_own_volatility_0.99"] < high


def test_a_pnl_out_of_a_calm_has_no_figure_and_says_so(tmp_path: Path) -> None:
    pnl = np.append(np.tile([1.0, -1.0], 249), [-1e6, 0.0])
    rows = [position("t", "c", 1.0)]
    lake = make_lake(tmp_path, Valued({"c": ("USD", 1e6, pnl)}), rows)
    found = run_query(lake, RiskQuery(as_of=DAY, measures=("var_own_volatility", "var")))
    assert found.total["var_own_volatility_0.99"] is None
    assert found.total["var_0.99"] == 1.0
    assert any(
        "is not defined where a P&L came out of a calm that no volatility foretold: 1 times" in n for n in found.notes
    )
    assert (own_volatility.scales(np.zeros((1, 5))) == 1).all()  # what never moves is no such thing


def test_scenarios_that_are_no_days_in_order_are_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BadInput, match="es_own_volatility follows the P&L from day to day, and the scenarios of mc are not"
    ):
        refuse_in_order(("var", "es_own_volatility"), "mc")
    refuse_in_order(("var", "es_gpd"), "mc")
    from scenarios.types import ScenarioDetails

    monkeypatch.setattr(ScenarioDetails, "in_order", False)
    with pytest.raises(BadInput, match="ask for it under a set of the method historical"):
        run_query(lake, RiskQuery(as_of=DAY, measures=("var_own_volatility",)))


def test_the_decay_is_a_fraction(lake: Lake) -> None:
    with pytest.raises(BadInput, match="expected a fraction between 0 and 1"):
        run_query(lake, RiskQuery(as_of=DAY, measures=("var_own_volatility",), pnl_decay="94"))
