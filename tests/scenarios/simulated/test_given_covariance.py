"""Monte Carlo from a covariance of the lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pytest
from support import factor, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios.market.covariances import StoredCovariance, put_covariance
from scenarios.simulated.monte_carlo import MonteCarloDefinition, generate
from scenarios.types import ScenarioSet

AS_OF = dt.date(2020, 3, 16)
FACTORS = [
    factor("EQ:AAA", "equity_price"),
    factor("EQ:BBB", "equity_price"),
    factor("YC:USD:1Y", "zero_rate", curve="USD", pillar="1Y"),
]
NAMES = ("YC:USD:1Y", "EQ:AAA", "EQ:ELSEWHERE")
COVARIANCE = np.array([[1e-6, 2e-6, 0.0], [2e-6, 4e-4, 0.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def committer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Committer]:
    lake = Lake.create(tmp_path_factory.mktemp("given") / "lake")
    put_market(lake, FACTORS, random_walks(FACTORS, dt.date(2019, 12, 2), AS_OF))
    with Committer(lake, "test") as made:
        yield made


def store(
    committer: Committer, *, move: str | None = "relative", unit: str = "1", names: tuple[str, ...] = NAMES
) -> None:
    moves = ("absolute", move, move)
    stored = StoredCovariance("mine", names, moves, 4 * COVARIANCE, unit, 4, 0.1, None, "mine.csv")
    put_covariance(committer, stored, "mine.csv", unit, ())


def made(committer: Committer, **more: object) -> ScenarioSet:
    given = {"market_date": AS_OF, "scenarios": 16_384, "window": 50, "sampling": "sobol", "covariance_matrix": "mine"}
    return generate(committer.lake.snapshot(), MonteCarloDefinition.model_validate({**given, **more}), "mc")


@pytest.mark.parametrize("distribution", ["normal", "student_t"])
def test_scenarios_have_the_covariance_of_a_day(committer: Committer, distribution: str) -> None:
    store(committer)
    found = made(committer, distribution=distribution)
    assert [f.risk_factor_id for f in found.index.factors] == ["EQ:AAA", "YC:USD:1Y"]
    assert found.excluded == {"EQ:BBB": "not in the covariance mine"}
    assert found.calibration["covariance_matrix"] == "mine, of mine.csv"
    levels = np.asarray(found.levels[:])
    moves = np.vstack([np.log(levels[0] / found.base[0]), levels[1] - found.base[1]])
    wanted = COVARIANCE[np.ix_([1, 0], [1, 0])]
    size = np.sqrt(np.outer(np.diagonal(wanted), np.diagonal(wanted)))
    # Sobol points of a normal are close; the fourth moment of a t with 5 degrees of freedom hardly exists
    assert np.abs((np.cov(moves) - wanted) / size).max() < (0.005 if distribution == "normal" else 0.1)


def test_what_does_not_fit_is_refused(committer: Committer) -> None:
    store(committer, move="absolute")
    with pytest.raises(BadInput, match="EQ:AAA: its moves are absolute in the covariance, and relative here"):
        made(committer)
    store(committer, move=None)
    assert len(made(committer, scenarios=64).index.factors) == 2
    store(committer, unit="bump")
    with pytest.raises(BadInput, match="bumps of sensitivities"):
        made(committer)
    store(committer, names=("X:A", "X:B", "X:C"))
    with pytest.raises(BadInput, match="none of the risk factors"):
        made(committer)
    with pytest.raises(NotFound, match="mine"):
        made(committer, covariance_matrix="mind")


@pytest.mark.parametrize(
    ("more", "said"),
    [({"distribution": "bootstrap"}, "normal or student_t"), ({"covariance": "ewma"}, "not both")],
)
def test_a_matrix_stands_alone(more: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MonteCarloDefinition.model_validate({"market_date": AS_OF, "covariance_matrix": "mine", **more})
