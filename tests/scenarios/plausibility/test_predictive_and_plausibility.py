"""Predictive stress and plausibility scores against NumPy on the same history, and SciPy's distributions."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from scipy.stats import kstest, percentileofscore
from support import factor, new_lake, put_market

from lake.errors import BadInput
from lake.tables import Lake
from scenarios import generators
from scenarios.market.calendars import sessions
from scenarios.plausibility.plausibility import PlausibilityRules, score
from scenarios.plausibility.predictive import PredictiveDefinition, predict

AS_OF = dt.date(2020, 3, 16)
FACTORS = [
    factor("CMD:WTI", "commodity_price"),
    factor("EQ:A", "equity_price"),
    factor("FX:EURUSD", "fx_rate"),
    factor("IV:A", "implied_vol"),
    factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y"),
    factor("YC:USD:2Y", "par_yield", curve="USD", pillar="2Y"),
]
IDS = [f.risk_factor_id for f in FACTORS]
DAYS = [d.item() for d in sessions("XNYS", dt.date(2018, 1, 2), AS_OF)]
WINDOW = 400


def history() -> np.ndarray:
    """Correlated levels (n_days, 6); commodities move by relative returns, rates by differences, the others by log."""
    rng = np.random.default_rng(11)
    noise = 0.01 * (
        rng.standard_normal((len(DAYS), 6)) + rng.standard_normal((len(DAYS), 1)) * [1, 1, 0.5, -1.2, 0.6, 0.6]
    )
    levels = np.array([50.0, 100.0, 1.1, 0.2, 0.03, 0.025]) * np.exp(noise.cumsum(axis=0))
    levels[:, 4:] = np.array([0.03, 0.025]) + 0.05 * noise[:, 4:].cumsum(axis=0)
    return levels


LEVELS = history()
MOVES = np.diff(np.log(LEVELS), axis=0)
MOVES[:, 0] = np.diff(LEVELS[:, 0]) / LEVELS[:-1, 0]
MOVES[:, 4:] = np.diff(LEVELS[:, 4:], axis=0)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = new_lake(tmp_path_factory.mktemp("predictive"))
    put_market(made, FACTORS, {i: dict(zip(DAYS, LEVELS[:, j].tolist(), strict=True)) for j, i in enumerate(IDS)})
    return made


def definition(**more: object) -> PredictiveDefinition:
    return PredictiveDefinition.model_validate(
        {
            "market_date": AS_OF,
            "window": WINDOW,
            "covariance": "sample",
            "text": "equity -20%; rate[pillar=2Y] +50bp",
            **more,
        }
    )


def conditioned(given: list[int], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The textbook: partitioned normal with mean zero and the sample covariance."""
    c = np.cov(MOVES[-WINDOW:].T)
    others = [j for j in range(6) if j not in given]
    beta = c[np.ix_(others, given)] @ np.linalg.inv(c[np.ix_(given, given)])
    left = c[np.ix_(others, others)] - beta @ c[np.ix_(given, others)]
    return beta @ values, np.sqrt(np.diagonal(left))


def test_the_others_move_as_the_partitioned_normal_says(lake: Lake) -> None:
    p = predict(lake.snapshot(), definition(), "test")
    expected, error = conditioned([1, 5], np.array([np.log(0.8), 0.005]))
    np.testing.assert_allclose(p.expected[[0, 2, 3, 4], 0], expected, rtol=1e-9)
    np.testing.assert_allclose(p.error[[0, 2, 3, 4], 0], error, rtol=1e-9)
    base = LEVELS[-1]
    np.testing.assert_allclose(p.levels[[1, 5], 0], [base[1] * 0.8, base[5] + 0.005], rtol=1e-14)
    implied = [
        base[0] * (1 + expected[0]),
        base[2] * np.exp(expected[1]),
        base[3] * np.exp(expected[2]),
        base[4] + expected[3],
    ]
    np.testing.assert_allclose(p.levels[[0, 2, 3, 4], 0], implied, rtol=1e-9)
    # equities fall and the volatility that moved against them rises
    assert p.levels[3, 0] > base[3]


def test_what_is_fixed_stays_and_informs_only_when_asked(lake: Lake) -> None:
    silent = predict(lake.snapshot(), definition(fixed=["vol", "rate[pillar=10Y]"]), "test")
    free = predict(lake.snapshot(), definition(), "test")
    np.testing.assert_array_equal(silent.levels[[3, 4], 0], LEVELS[-1, [3, 4]])
    np.testing.assert_array_equal(silent.levels[[0, 2], 0], free.levels[[0, 2], 0])
    told = predict(lake.snapshot(), definition(fixed=["vol", "rate[pillar=10Y]"], fixed_inform=True), "test")
    expected, error = conditioned([1, 5, 3, 4], np.array([np.log(0.8), 0.005, 0.0, 0.0]))
    np.testing.assert_allclose(told.expected[[0, 2], 0], expected, rtol=1e-9)
    np.testing.assert_allclose(told.error[[0, 2], 0], error, rtol=1e-9)
    made = generators.generate(lake.snapshot(), "predictive", definition(fixed=["vol"]).model_dump(), "test")
    assert [f.risk_factor_id for f, s in zip(made.index.factors, made.shocked, strict=True) if not s] == ["IV:A"]
    assert made.fitted["IV:A"] == "fixed at its base"
    assert made.fitted["EQ:A"] == "test: given -0.223144"
    assert "standard error" in made.fitted["CMD:WTI"]
    assert not made.sample


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"text": "equity +0%"}, "moves no factor"),
        ({"fixed": ["equity"]}, "both a core shock and fixed"),
        ({"fixed": ["equities"]}, "equity"),
        ({"fixed": ["rate[ccy=USD"]}, "expected class"),
        ({"text": "equity[NOPE] -1%"}, "NOPE"),
        ({"window": 5000}, "history gives only"),
    ],
)
def test_bad_definitions_are_told(lake: Lake, parameters: dict[str, object], match: str) -> None:
    parameters = {"market_date": AS_OF, "text": "equity -20%", "window": WINDOW, **parameters}
    with pytest.raises(BadInput, match=match):
        generators.generate(lake.snapshot(), "predictive", parameters, "test")


def rules(**more: object) -> PlausibilityRules:
    return PlausibilityRules.model_validate({"market_date": AS_OF, "window": WINDOW, "covariance": "sample", **more})


def stress(lake: Lake, text: str):
    return generators.generate(lake.snapshot(), "stress", {"market_date": AS_OF, "text": text}, "test")


def test_distance_percentiles_and_what_the_others_imply(lake: Lake) -> None:
    (found,) = score(lake.snapshot(), stress(lake, "equity -5%; vol -3pt; rate[pillar=2Y] +10bp"), rules())
    given = [1, 3, 5]
    move = np.array([np.log(0.95), np.log((LEVELS[-1, 3] - 0.03) / LEVELS[-1, 3]), 0.001])
    c = np.cov(MOVES[-WINDOW:].T)[np.ix_(given, given)]
    assert found.distance == pytest.approx(np.sqrt(move @ np.linalg.inv(c) @ move), rel=1e-9)
    assert found.moved == 3
    for f, j, m in zip(found.factors, given, move, strict=True):
        assert f.move == pytest.approx(m, rel=1e-11)
        # of the whole history, not of the window alone
        assert f.percentile == pytest.approx(percentileofscore(MOVES[:, j], m, kind="mean") / 100, abs=1e-12)
        assert f.past_moves == len(MOVES)
    vol = found.factors[1]
    expected = c[1, [0, 2]] @ np.linalg.inv(c[np.ix_([0, 2], [0, 2])]) @ move[[0, 2]]
    assert vol.expected == pytest.approx(expected, rel=1e-9)
    # equity down with volatility down: told, since history has them opposed
    assert any(w.startswith("IV:A moves by") for w in found.warnings)


def test_normal_moves_have_uniform_percentiles(lake: Lake) -> None:
    base = stress(lake, "equity -1%")
    c = np.cov(MOVES[-WINDOW:].T)
    drawn = np.random.default_rng(5).multivariate_normal(np.zeros(6), c, size=300, method="cholesky")
    levels = LEVELS[-1] * np.exp(drawn)
    levels[:, 0] = LEVELS[-1, 0] * (1 + drawn[:, 0])
    levels[:, 4:] = LEVELS[-1, 4:] + drawn[:, 4:]
    many = dataclasses.replace(base, labels=tuple(map(str, range(300))), levels=np.ascontiguousarray(levels.T))
    nearer = [p.nearer for p in score(lake.snapshot(), many, rules(nearest=0))]
    assert kstest(nearer, "uniform").pvalue > 0.01


def test_a_day_of_history_is_its_own_nearest(lake: Lake) -> None:
    day = 120
    after = LEVELS[-1] * np.exp(MOVES[day])
    after[0] = LEVELS[-1, 0] * (1 + MOVES[day, 0])
    after[4:] = LEVELS[-1, 4:] + MOVES[day, 4:]
    base = stress(lake, "equity -1%")
    (found,) = score(lake.snapshot(), dataclasses.replace(base, levels=after[:, None]), rules(nearest=3))
    assert found.nearest[0].day == str(DAYS[day + 1])
    assert found.nearest[0].distance == pytest.approx(0, abs=1e-6)
    assert found.nearest[0].similarity == pytest.approx(1, abs=1e-9)
    assert found.nearest[0].own_distance == pytest.approx(found.distance, rel=1e-6)
    z = np.linalg.solve(np.linalg.cholesky(np.cov(MOVES[-WINDOW:].T)), (MOVES - MOVES[day]).T)
    order = np.argsort((z * z).sum(axis=0))[:3]
    assert [n.day for n in found.nearest] == [str(DAYS[i + 1]) for i in order]
    assert (found.days_compared, found.days_left_out) == (len(MOVES), 0)


def test_signs_curves_and_unknown_labels_are_told(lake: Lake) -> None:
    (found,) = score(
        lake.snapshot(), stress(lake, "commodity[WTI] = -5 USD; rate -1000bp"), rules(covariance="ledoit_wolf")
    )
    assert any(w.startswith("CMD:WTI turns from") for w in found.warnings)
    assert any(w.startswith("Curve USD gets a negative forward rate") for w in found.warnings)
    with pytest.raises(BadInput, match="Unknown scenario"):
        score(lake.snapshot(), stress(lake, "equity -1%"), rules(), ["nope"])
    other = PlausibilityRules.model_validate({"market_date": AS_OF - dt.timedelta(days=3)})
    with pytest.raises(BadInput, match="market date"):
        score(lake.snapshot(), stress(lake, "equity -1%"), other)


def test_singular_correlations_are_refused_unless_repaired(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = new_lake(tmp_path_factory.mktemp("singular"))
    twice = [factor("EQ:A", "equity_price"), factor("EQ:B", "equity_price")]
    put_market(made, twice, {f.risk_factor_id: dict(zip(DAYS, LEVELS[:, 1].tolist(), strict=True)) for f in twice})
    scenario = stress(made, "equity[EQ:A] -5%; equity[EQ:B] -4%")
    with pytest.raises(BadInput, match="singular"):
        score(made.snapshot(), scenario, rules())
    (found,) = score(made.snapshot(), scenario, rules(covariance="ledoit_wolf"))
    assert found.distance > 0
