"""Monte Carlo scenarios: laws against closed forms, bits against partitions, and the way through the lake.

Every statistical bound is a number of standard errors of the sampling distribution: 4.5 of them are exceeded by a correct
generator once in 150,000 checks. Seeds are fixed, so a test that passes stays passing.
"""

import datetime as dt
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc
from support import factor, new_lake, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput, Conflict, NotFound
from lake.tables import Lake
from scenarios import generators
from scenarios.kernels.random_blocks import PATHS, Sampler
from scenarios.market.calendars import sessions
from scenarios.simulated import simulated_levels
from scenarios.simulated.monte_carlo import CalibrationWindow, MonteCarloDefinition, calibrate
from scenarios.simulated.simulated_levels import SimulatedLevels
from scenarios.store import list_scenario_sets, load_scenario_set, save_scenario_set
from scenarios.types import FactorIndex, GeneratedLevels

AS_OF = dt.date(2020, 3, 16)
ERRORS = 4.5
N = 100_000
DEVIATION = np.array([0.01, 0.02, 0.0007, 0.015])


def window(n_days: int = 400, shift_type: str = "absolute", seed: int = 5) -> CalibrationWindow:
    """Four correlated factors; absolute moves unless told, so that levels minus base are the moves drawn."""
    rng = np.random.default_rng(seed)
    mixing = np.array([[1, 0, 0, 0], [0.6, 0.8, 0, 0], [-0.3, 0.2, 0.9, 0], [0.1, -0.5, 0.3, 0.8]])
    moves = rng.standard_normal((n_days, 4)) @ mixing.T * DEVIATION
    factors = tuple(factor(f"YC:USD:{k}Y", "zero_rate", curve="USD", pillar=f"{k}Y") for k in (1, 2, 5, 7))
    return CalibrationWindow(FactorIndex(factors), np.full(4, 0.0), (shift_type,) * 4, moves, {}, {}, {})


def simulate(scenarios: int = N, at: CalibrationWindow | None = None, **parameters: Any) -> SimulatedLevels:
    definition = MonteCarloDefinition(market_date=AS_OF, scenarios=scenarios, window=400, **parameters)
    return calibrate(at or window(), definition)[0]


def moves_of(levels: SimulatedLevels) -> np.ndarray:
    return levels[:] - levels.base[:, None]


def standard_errors(successes: int, n: int, probability: float) -> float:
    return (successes - n * probability) / np.sqrt(n * probability * (1 - probability))


# --- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("freedom", [None, 9.0])
def test_moments_are_those_of_the_calibration(freedom: float | None) -> None:
    parameters = {} if freedom is None else {"distribution": "student_t", "degrees_of_freedom": freedom}
    x = moves_of(simulate(**parameters))
    expected = np.cov(window().moves.T)
    # kurtosis factor of an elliptical law: E[x_a^2 x_b^2] = k (s_aa s_bb + 2 s_ab^2)
    k = 1.0 if freedom is None else (freedom - 2) / (freedom - 4)
    variance = np.diagonal(expected)
    error = np.sqrt((k * (np.outer(variance, variance) + 2 * expected**2) - expected**2) / N)
    assert np.abs((x @ x.T / N - expected) / error).max() < ERRORS
    assert np.abs(x.mean(axis=1) / np.sqrt(variance / N)).max() < ERRORS


@pytest.mark.parametrize("probability", [0.001, 0.01, 0.05, 0.5, 0.975])
def test_quantiles_are_those_of_the_law(probability: float) -> None:
    deviation = window().moves.std(axis=0, ddof=1)
    for law, quantile in (
        ({"distribution": "normal"}, stats.norm.ppf(probability)),
        (
            {"distribution": "student_t", "degrees_of_freedom": 4.0},
            stats.t.ppf(probability, 4.0) * np.sqrt(0.5),  # scaled to variance 1
        ),
    ):
        x = moves_of(simulate(**law)) / deviation[:, None]
        for row in x:
            assert abs(standard_errors(int((row <= quantile).sum()), N, probability)) < ERRORS


@pytest.mark.parametrize("level", [0.95, 0.99])
@pytest.mark.parametrize("sampling", ["random", "antithetic"])
def test_var_of_a_linear_book_is_the_parametric_one(level: float, sampling: str) -> None:
    delta = np.array([1e6, -4e5, 9e6, 2e5])
    pnl = delta @ moves_of(simulate(sampling=sampling, horizons=(10,)))
    parametric = stats.norm.ppf(level) * np.sqrt(10 * delta @ np.cov(window().moves.T) @ delta)
    assert abs(standard_errors(int((pnl < -parametric).sum()), N, 1 - level)) < ERRORS


def test_a_t_copula_has_the_margins_of_the_history_and_the_tails_of_the_copula() -> None:
    history, freedom = window(), 3.0
    made = simulate(distribution="t_copula", degrees_of_freedom=freedom)
    x, margins = moves_of(made), np.sort(history.moves - history.moves.mean(axis=0), axis=0)
    np.testing.assert_array_less(x.max(axis=1), margins[-1] + 1e-15)
    below = {}
    for k in (1, 8, 40, 200, 390):
        probability = (k + 0.5) / 400
        below[k] = x <= margins[k][:, None] * (1 + 1e-12 * np.sign(margins[k][:, None]))
        for row in below[k]:
            assert abs(standard_errors(int(row.sum()), N, probability)) < ERRORS
    # both below their quantile together: SciPy's bivariate t distribution function
    rho = float(made.loadings[0] @ made.loadings[1])
    for k in (1, 8, 40):
        at = stats.t.ppf((k + 0.5) / 400, freedom)
        joint = stats.multivariate_t.cdf(
            [at, at], [0, 0], [[1, rho], [rho, 1]], freedom, maxpts=200_000, random_state=1
        )
        assert abs(standard_errors(int((below[k][0] & below[k][1]).sum()), N, joint)) < ERRORS
    # and in the limit (Demarta, McNeil 2005): far more than the zero of a normal copula, and than its figure here
    limit = 2 * stats.t.cdf(-np.sqrt((freedom + 1) * (1 - rho) / (1 + rho)), freedom + 1)
    normal = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([stats.norm.ppf(1.5 / 400)] * 2) / (1.5 / 400)
    seen = (below[1][0] & below[1][1]).sum() / (N * 1.5 / 400)
    assert abs(seen - limit) < 0.06
    assert seen > normal + 0.1


def test_a_t_copula_has_kendalls_tau_of_its_correlation() -> None:
    made = simulate(20_000, distribution="t_copula")
    x = moves_of(made)
    rho = float(made.loadings[0] @ made.loadings[1])
    # standard error of tau is below 2 (1 - tau^2) / 3 sqrt(n) times a factor that stays under 2 for elliptical laws
    assert stats.kendalltau(x[0], x[1]).statistic == pytest.approx(2 / np.pi * np.arcsin(rho), abs=0.02)


def test_a_bootstrap_draws_whole_days_evenly() -> None:
    history = window(50)
    x = moves_of(simulate(at=history, distribution="bootstrap"))
    days = history.moves - history.moves.mean(axis=0)
    day = np.abs(x[0][:, None] - days[:, 0]).argmin(axis=1)
    np.testing.assert_allclose(x, days[day].T, atol=1e-17)  # all factors of one day
    assert stats.chisquare(np.bincount(day, minlength=50)).pvalue > 1e-5


def test_blocks_of_a_bootstrap_keep_their_order() -> None:
    history = window(50)
    x = moves_of(simulate(3000, history, distribution="bootstrap", block_days=3, horizons=(1, 2, 3, 4)))
    days = history.moves - history.moves.mean(axis=0)
    steps = np.diff(x.reshape(4, 3000, 4), axis=2, prepend=0.0)
    day = np.abs(steps[0][..., None] - days[:, 0]).argmin(axis=-1)
    np.testing.assert_array_equal(day[:, 1:3], day[:, :1] + [1, 2])
    assert day[:, 0].max() == 47  # the last start from which three days follow
    assert (day[:, 3] != day[:, 2] + 1).mean() > 0.9  # a new block begins


def test_horizons_lie_on_one_path() -> None:
    made = simulate(20_000, horizons=(0, 2, 10))
    at = moves_of(made).reshape(4, 20_000, 3)
    np.testing.assert_array_equal(at[:, :, 0], 0.0)
    variance = window().moves.var(axis=0, ddof=1)
    for number, days in ((1, 2), (2, 10)):
        z = (at[:, :, number].var(axis=1) / (variance * days) - 1) / np.sqrt(2 / 20_000)
        assert np.abs(z).max() < ERRORS
    for row in at:
        rho = np.corrcoef(row[:, 1], row[:, 2])[0, 1]
        assert abs(np.arctanh(rho) - np.arctanh(np.sqrt(2 / 10))) * np.sqrt(20_000) < ERRORS
    assert made.labels[:4] == ("p000000@T0", "p000000@T1", "p000000@T2", "p000001@T0")
    assert simulate(2, horizons=(2, 10)).labels == ("p000000@T1", "p000000@T2", "p000001@T1", "p000001@T2")
    assert simulate(2).labels == ("p000000", "p000001")


@pytest.mark.parametrize("kind", ["relative", "log"])
def test_moves_are_applied_by_shift_type_and_compound(kind: str) -> None:
    history = window(50, kind)
    base = np.array([100.0, 50.0, 1.1, 0.2])
    at = CalibrationWindow(history.index, base, history.shift_types, history.moves, {}, {}, {})
    both = simulate(500, at, distribution="bootstrap", horizons=(1, 2), drift="sample")[:].reshape(4, 500, 2)
    days = history.moves - history.moves.mean(axis=0) + history.moves.mean(axis=0)
    factors = 1 + days if kind == "relative" else np.exp(days)
    for step in (both[:, :, 0] / base[:, None], both[:, :, 1] / both[:, :, 0]):
        day = np.abs(step[0][:, None] - factors[:, 0]).argmin(axis=1)
        np.testing.assert_allclose(step, factors[day].T, rtol=1e-12)


def test_drift_is_zero_unless_asked_for() -> None:
    history = window()
    moved = CalibrationWindow(history.index, history.base, history.shift_types, history.moves + DEVIATION, {}, {}, {})
    mean = moved.moves.mean(axis=0)
    error = DEVIATION * np.sqrt(10 / 20_000)
    for parameters, expected in (({}, 0.0), ({"drift": "sample"}, 10 * mean)):
        for law in ({}, {"distribution": "t_copula"}, {"distribution": "bootstrap"}):
            x = moves_of(simulate(20_000, moved, horizons=(10,), **parameters, **law))
            assert np.abs((x.mean(axis=1) - expected) / error).max() < ERRORS * 1.1


# --- sampling -------------------------------------------------------------------------------------------------------


def test_blocks_of_random_numbers_are_far_apart_on_one_stream() -> None:
    sampler = Sampler("random", seed=77, steps=2, columns=3, degrees_of_freedom=None)
    drawn = [[d.normal for d in steps] for steps in sampler.blocks(5, 7)]
    for block, normals in zip((5, 6), drawn, strict=True):
        # the block's number in the third word of the counter is a jump of 2**128 draws each
        stream = np.random.Generator(np.random.Philox(key=77).advance(block << 128))
        for normal in normals:
            np.testing.assert_array_equal(normal, stream.standard_normal((3, PATHS)))


def test_sobol_blocks_are_one_sequence() -> None:
    sampler = Sampler("sobol", seed=4, steps=2, columns=3)
    engine = qmc.Sobol(6, scramble=True, rng=np.random.default_rng(4))
    points = engine.random(4 * PATHS)[2 * PATHS :] + 2.0**-31
    got = np.concatenate([np.concatenate([d.normal for d in steps]) for steps in sampler.blocks(2, 4)], axis=1)
    np.testing.assert_allclose(got, stats.norm.ppf(points.T), rtol=1e-9, atol=1e-12)


def test_sobol_errs_less_than_random_and_antithetic_has_no_error_of_the_mean() -> None:
    delta = np.array([1.0, -0.4, 9.0, 0.2])
    n, seeds = 4096, range(1, 9)
    deviation = np.sqrt(delta @ np.cov(window().moves.T) @ delta)

    def error(sampling: str) -> float:
        means = [(delta @ moves_of(simulate(n, sampling=sampling, seed=s))).mean() for s in seeds]
        return float(np.sqrt(np.mean(np.square(means)))) / (deviation / np.sqrt(n))

    assert 0.4 < error("random") < 1.8  # about one standard error, as it should be
    assert error("sobol") < 0.15
    assert error("antithetic") < 1e-10


def test_sobol_serves_every_law() -> None:
    for law in ({"distribution": "student_t", "degrees_of_freedom": 4.0}, {"distribution": "t_copula"}):
        x = moves_of(simulate(8192, sampling="sobol", **law))
        at = np.quantile(moves_of(simulate(**law)), [0.01, 0.2, 0.5, 0.8, 0.99], axis=1)
        share = (x[None] <= at[..., None]).mean(axis=2)
        expected = np.array([0.01, 0.2, 0.5, 0.8, 0.99])[:, None]
        assert np.abs((share - expected) / np.sqrt(expected * (1 - expected) / 8192)).max() < ERRORS
    x = moves_of(simulate(4096, window(64), distribution="bootstrap", sampling="sobol"))
    _, counts = np.unique(x[0], return_counts=True)
    assert (counts == 64).all()  # as even as can be


# --- bits -----------------------------------------------------------------------------------------------------------

EVERY_LAW = [
    {},
    {"distribution": "student_t", "sampling": "antithetic"},
    {"distribution": "t_copula", "horizons": (1, 3)},
    {"distribution": "bootstrap", "block_days": 2, "horizons": (3,)},
    {"sampling": "sobol", "components": 2},
]


@pytest.mark.parametrize("parameters", EVERY_LAW)
def test_any_partition_makes_the_same_bits(parameters: dict[str, Any]) -> None:
    made = simulate(5000, **parameters)
    n = made.shape[1]
    whole = made[:]
    for parts in (2, 33):
        bounds = np.linspace(0, n, parts + 1).astype(int)
        blocks = [made[:, a:b] for a, b in itertools.pairwise(bounds)]
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    backwards = [made[:, max(stop - 1700, 0) : stop] for stop in range(n, 0, -1700)]
    np.testing.assert_array_equal(np.concatenate(backwards[::-1], axis=1), whole)
    for rows in ([2], [3, 0], slice(1, 3), np.array([True, False, False, True])):
        np.testing.assert_array_equal(made[rows, 900:1100], whole[rows, 900:1100])
    np.testing.assert_array_equal(made[1], whole[1])
    np.testing.assert_array_equal(np.asarray(made), whole)


def test_more_scenarios_begin_with_the_same_ones() -> None:
    few, many = simulate(700), simulate(90_000)
    np.testing.assert_array_equal(few[:], many[:, :700])
    assert few.row_key(0) == many.row_key(0)
    assert few.content != many.content


def test_another_process_with_other_threads_makes_the_same_bits() -> None:
    code = "import test_monte_carlo as t; print(t.simulate(3000).content)"
    digests = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        path = os.pathsep.join(
            str(Path(__file__).parents[i]) for i in (0, 2, 3)
        )  # this file, its helpers, the packages
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert digests == {simulate(3000).content}


def test_seeds_and_every_parameter_change_the_content() -> None:
    variants = [
        *({"seed": s} for s in (1, 2)),
        *EVERY_LAW[1:],
        {"covariance": "ewma"},
        {"covariance": "ewma", "decay": 0.97},
        {"distribution": "student_t"},
        {"distribution": "student_t", "degrees_of_freedom": 4.0},
        {"drift": "sample"},
        {"horizons": (2,)},
    ]
    assert len({simulate(2000, **v).content for v in variants}) == len(variants)


def test_a_key_of_a_factor_follows_its_own_calibration() -> None:
    made = simulate()
    changed = made.drift.copy()
    changed[2] = 1e-5
    other = SimulatedLevels(made.process, made.base, made.shift_types, changed, made.loadings, made.moves)
    assert [made.row_key(r) == other.row_key(r) for r in range(4)] == [True, True, False, True]


def test_generated_levels_are_not_made_all_at_once_when_they_are_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.types.LARGEST_ARRAY", 1 << 20)
    made = simulate(1_000_000)
    assert isinstance(made, GeneratedLevels)
    with pytest.raises(BadInput, match="by blocks of scenarios"):
        np.asarray(made)
    assert made[:, 999_990:].shape == (4, 10)
    with pytest.raises(TypeError, match="by blocks"):
        made[:, ::2]


# --- from the lake and back -----------------------------------------------------------------------------------------

FIRST = dt.date(2018, 9, 4)
FACTORS = [
    factor("EQ:A", "equity_price"),
    factor("FX:EURUSD", "fx_rate"),
    factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y"),
    factor("IV:A", "implied_vol"),
    factor("CMD:WTI", "commodity_price"),
]


@pytest.fixture
def market() -> dict[str, dict[dt.date, float | None]]:
    return random_walks(FACTORS, FIRST, AS_OF)


@pytest.fixture
def lake(tmp_path: Path, market: dict[str, dict[dt.date, float | None]]) -> Lake:
    made = new_lake(tmp_path)
    put_market(made, FACTORS, market)
    return made


def build(lake: Lake, **parameters: object):
    given = {"market_date": AS_OF, "window": 250, "scenarios": 2000, **parameters}
    return generators.generate(lake.snapshot(), "monte_carlo", given, "test")


def test_the_window_is_the_latest_moves_of_the_lake(lake: Lake, market: dict[str, dict[dt.date, float | None]]) -> None:
    made = build(lake)
    assert isinstance(made.levels, SimulatedLevels)
    days = [d.item() for d in sessions("XNYS", FIRST, AS_OF)][-251:]
    history = np.array([[market[f.risk_factor_id][d] for d in days] for f in made.index.factors], dtype=float)
    kinds = made.levels.shift_types
    assert dict(zip(made.index.row, kinds, strict=True)) == {
        "CMD:WTI": "relative",  # may be negative: never by log
        "EQ:A": "log",
        "FX:EURUSD": "log",
        "IV:A": "log",
        "YC:USD:10Y": "absolute",
    }
    moves = np.array(
        [
            {"log": np.diff(np.log(h)), "absolute": np.diff(h), "relative": h[1:] / h[:-1] - 1}[k]
            for h, k in zip(history, kinds, strict=True)
        ]
    )
    np.testing.assert_allclose(made.levels.loadings @ made.levels.loadings.T, np.cov(moves), rtol=1e-7)
    np.testing.assert_array_equal(made.base, history[:, -1])
    assert made.calibration["days"] == "250 of 250 in the window"
    as_typed = build(lake, returns="as_typed")
    assert as_typed.levels.shift_types == tuple(f.shift_type for f in as_typed.index.factors)  # type: ignore[union-attr]


def test_holes_leave_the_calibration_and_are_listed(lake: Lake, market: dict[str, dict[dt.date, float | None]]) -> None:
    market["EQ:A"][dt.date(2020, 2, 5)] = None
    market["IV:A"] = {d: v for d, v in market["IV:A"].items() if d >= dt.date(2020, 1, 2)}
    market["FX:EURUSD"] = dict.fromkeys(market["FX:EURUSD"])
    market["CMD:WTI"][AS_OF] = -36.98
    put_market(lake, FACTORS, market)
    made = build(lake)
    assert list(made.index.row) == ["EQ:A", "YC:USD:10Y"]
    assert "only 50 of the latest 250" in made.excluded["IV:A"]
    assert "no level from" in made.excluded["FX:EURUSD"]
    assert "not above zero" in made.excluded["CMD:WTI"]
    assert sorted(made.dropped) == ["2020-02-05", "2020-02-06"]
    assert made.calibration["days"] == "248 of 250 in the window"


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"scenarios": 0}, BadInput, "scenarios"),
        ({"scenarios": 2_000_000}, BadInput, "1000000"),
        ({"scenarios": 500_000, "horizons": [1, 2, 3]}, BadInput, "1,500,000 scenarios; at most 1,000,000"),
        ({"horizons": [5, 1]}, BadInput, "ascending"),
        ({"horizons": "1,x"}, BadInput, "a whole number"),
        ({"horizons": [0]}, BadInput, "the last above 0"),
        ({"horizons": [1000]}, BadInput, "260 business days"),
        ({"horizons": []}, BadInput, "horizons"),
        ({"scenarios": 11, "sampling": "antithetic"}, BadInput, "even number of scenarios, not 11"),
        ({"components": 2, "explained_share": 0.9}, BadInput, "not both"),
        ({"components": 9}, BadInput, "only 5 risk factors"),
        ({"degrees_of_freedom": 4}, BadInput, "student_t or t_copula"),
        ({"distribution": "student_t", "degrees_of_freedom": 2}, BadInput, "greater than 2"),
        ({"block_days": 5}, BadInput, "bootstrap"),
        ({"decay": 0.9}, BadInput, "ewma"),
        ({"distribution": "bootstrap", "covariance": "ewma"}, BadInput, "leave covariance out"),
        ({"distribution": "bootstrap", "sampling": "antithetic"}, BadInput, "no antithetic paths"),
        ({"distribution": "gaussian"}, BadInput, "expected one of normal, student_t, t_copula, bootstrap"),
        ({"window": 5}, BadInput, "window"),
        ({"window": 5000}, BadInput, "the history has 384 moves"),
        ({"max_held_days": 0, "market_date": dt.date(2018, 9, 4), "window": 20}, BadInput, "the history has 0 moves"),
        ({"market_date": dt.date(2020, 3, 15)}, NotFound, "2020-03-13"),  # a Sunday
    ],
)
def test_bad_input_is_told_and_stores_nothing(
    lake: Lake, parameters: dict[str, object], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        build(lake, **parameters)
    assert list_scenario_sets(lake).num_rows == 0


def test_too_many_sobol_dimensions_are_refused() -> None:
    with pytest.raises(BadInput, match="26,000 dimensions"):
        Sampler("sobol", seed=1, steps=260, columns=100)


def test_no_factor_with_moves_is_refused(lake: Lake, market: dict[str, dict[dt.date, float | None]]) -> None:
    put_market(lake, FACTORS, {k: dict(list(v.items())[-270:-220] + list(v.items())[-1:]) for k, v in market.items()})
    with pytest.raises(
        BadInput, match=r"No risk factor is left .* CMD:WTI: one-day moves on only 30 of the latest 250"
    ):
        build(lake)


def test_a_window_in_which_no_day_is_full_is_refused(
    lake: Lake, market: dict[str, dict[dt.date, float | None]]
) -> None:
    days = list(market["EQ:A"])[::-1]
    for k, name in enumerate(("EQ:A", "FX:EURUSD", "IV:A")):
        for day in days[1 + 3 * k :: 9]:
            market[name][day] = None
    put_market(lake, FACTORS, market)
    with pytest.raises(BadInput, match=r"business days up to 2020-03-16 have a move of all .* at least 20"):
        build(lake, window=30, max_dropped=0.99)


def test_fewer_days_than_factors(tmp_path: Path) -> None:
    many = [factor(f"EQ:{k:03}", "equity_price") for k in range(60)]
    lake = new_lake(tmp_path)
    put_market(lake, many, random_walks(many, dt.date(2019, 11, 1), AS_OF))
    with pytest.raises(BadInput, match=r"60 risk factors is singular: 31 of its eigenvalues"):
        build(lake, window=30, repair="refuse")
    clipped = build(lake, window=30)
    assert "largest change of a correlation" in clipped.calibration["repair"]
    assert abs(float(clipped.calibration["least_eigenvalue"])) < 1e-8
    shrunk = build(lake, window=30, covariance="ledoit_wolf", repair="refuse")
    assert 0 < float(shrunk.calibration["shrinkage"]) < 1
    assert "repair" not in shrunk.calibration
    components = build(lake, window=30, explained_share=0.9, repair="refuse")
    count = int(components.calibration["components"].split()[0])
    assert components.levels.loadings.shape == (60, count)  # type: ignore[union-attr]
    assert 0.9 <= float(components.calibration["explained_share"]) <= 1


def test_a_million_scenarios_are_stored_as_a_calibration(lake: Lake) -> None:
    made = build(lake, scenarios=250_000, horizons=[1, 5, 10, 20])
    with Committer(lake, "test") as committer:
        stored = save_scenario_set(committer, made)
    assert stored.n_scenarios == 1_000_000
    assert lake.read("scenario_levels").num_rows == 0
    assert lake.read("scenario_calibrations").num_rows == 5
    size = sum(p.stat().st_size for name in ("scenario_calibrations", "scenario_sets") for p in lake.data_files(name))
    assert size < 100_000
    assert stored.sample is False  # a mixture of horizons has no VaR
    assert build(lake).sample is True
    loaded = load_scenario_set(lake, stored.scenario_set_id)
    assert loaded.labels == made.labels
    assert loaded.labels[-1] == "p249999@T4"
    assert loaded.horizons == (1, 5, 10, 20)
    assert loaded.horizon_days == 20
    np.testing.assert_array_equal(loaded.levels[:, 987_000:987_654], made.levels[:, 987_000:987_654])


def test_a_set_that_this_machine_cannot_reproduce_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with Committer(lake, "test") as committer:
        stored = save_scenario_set(committer, build(lake, scenarios=100))
    # stands for a numerical library that makes other draws of the same seed
    monkeypatch.setattr(simulated_levels, "GENERATOR", "another")
    with pytest.raises(Conflict, match="other numerical libraries"):
        load_scenario_set(lake, stored.scenario_set_id)


def test_horizons_may_be_a_text_as_the_command_line_gives_them(lake: Lake) -> None:
    made = build(lake, horizons="1,5, 10", scenarios="20")
    assert made.horizons == (1, 5, 10)
    assert made.n_scenarios == 60
