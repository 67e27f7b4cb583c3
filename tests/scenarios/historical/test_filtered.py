"""Filtered historical simulation against the arch library's own forecasts, a plain scalar loop, and closed forms."""

import dataclasses
import datetime as dt
import math
from pathlib import Path

import numpy as np
import pytest
from arch.univariate import arch_model
from support import factor, new_lake, put_market

from lake.tables import Lake
from scenarios import generators
from scenarios.historical import garch
from scenarios.market.calendars import sessions
from scenarios.types import ScenarioSet

AS_OF = dt.date(2020, 3, 16)
DAYS = [d.item() for d in sessions("XNYS", dt.date(2017, 6, 1), AS_OF)]
FACTORS = [
    factor("EQ:A", "equity_price"),
    factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y"),
    dataclasses.replace(factor("EQ:T", "equity_price", "JPY"), source="tokyo"),
    factor("FX:PEGUSD", "fx_rate"),
]


def fit(moves: np.ndarray) -> garch.Garch:
    return garch.fit(moves, np.array(DAYS[: len(moves)], dtype="datetime64[D]"))


def garch_path(seed: int, n: int, omega: float = 2e-6, alpha: float = 0.1, beta: float = 0.88) -> np.ndarray:
    """Moves of a GARCH(1,1) with normal surprises."""
    z, variance, out = np.random.default_rng(seed).standard_normal(n), omega / max(1 - alpha - beta, 0.02), np.empty(n)
    for i in range(n):
        out[i] = math.sqrt(variance) * z[i]
        variance = omega + alpha * out[i] ** 2 + beta * variance
    return out


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    n = len(DAYS)
    levels = {
        "EQ:A": 100 * np.exp(garch_path(1, n).cumsum()),
        "YC:USD:10Y": 0.03 + 0.05 * garch_path(2, n).cumsum(),
        "EQ:T": 1000 * np.exp(garch_path(3, n).cumsum()),
        "FX:PEGUSD": np.full(n, 0.5),
    }
    market: dict[str, dict[dt.date, float | None]] = {
        k: dict(zip(DAYS, v.tolist(), strict=True)) for k, v in levels.items()
    }
    for day in DAYS[10::20]:
        del market["EQ:T"][day]
    made = new_lake(tmp_path_factory.mktemp("filtered"))
    put_market(made, FACTORS, market)
    return made


def build(lake: Lake, **parameters: object) -> ScenarioSet:
    return generators.generate(
        lake.snapshot(), "filtered", {"market_date": AS_OF, "window": 500, "seed": 3, **parameters}, "test"
    )


def test_fit_is_archs_own() -> None:
    moves = garch_path(4, 800)
    model = fit(moves)
    result = arch_model(moves * 100, mean="Zero", p=1, q=1, rescale=False).fit(disp="off")
    omega, alpha, beta = result.params
    assert (model.alpha, model.beta) == (pytest.approx(alpha, abs=1e-3), pytest.approx(beta, abs=1e-3))
    assert model.omega == pytest.approx(omega / 1e4, rel=0.02)
    np.testing.assert_allclose(np.sqrt(model.variance[:-1]), result.conditional_volatility / 100, rtol=3e-3)
    tomorrow = result.forecast(horizon=1).variance.to_numpy()[-1, 0] / 1e4
    assert model.variance[-1] == pytest.approx(tomorrow, rel=3e-3)
    # the series it was made of: 800 days leave standard errors of about 0.03
    assert model.alpha == pytest.approx(0.1, abs=0.1)
    assert model.beta == pytest.approx(0.88, abs=0.15)
    surprises = moves / np.sqrt(model.variance[:-1])
    assert surprises.std() == pytest.approx(1, abs=0.02)


def test_no_model_says_what_stands_in() -> None:
    assert fit(np.zeros(300)).text == "no volatility: the level never moved"
    exploding = garch_path(5, 300, omega=1e-6, alpha=0.6, beta=0.6)
    model = fit(exploding)
    assert model.text == "exponentially weighted volatility, decay 0.94: no stationary GARCH(1,1) was found"
    assert (model.omega, model.alpha, model.beta) == (0.0, pytest.approx(0.06), 0.94)
    expected = 0.94 * model.variance[-2] + 0.06 * exploding[-1] ** 2
    assert model.variance[-1] == pytest.approx(expected, rel=1e-12)


def test_every_factor_draws_the_same_dates(lake: Lake) -> None:
    """A plain loop over scenarios, days and factors, with the same draws."""
    made = build(lake, scenarios=40, horizon_days=5)
    history = generators.generate(
        lake.snapshot(),
        "historical",
        {"market_date": AS_OF, "scenarios": 500, "shifts": {"equity_price": {"shift_type": "log"}}},
        "x",
    )
    draws = np.random.Generator(np.random.Philox(3)).integers(500, size=(5, 40))
    for name in ("EQ:A", "EQ:T", "YC:USD:10Y"):
        row, base = history.index.row[name], float(history.base[history.index.row[name]])
        log = name.startswith("EQ")
        moves = [math.log(x / base) if log else x - base for x in history.levels[row].tolist()]
        is_open = [name != "EQ:T" or label not in history.holidays for label in history.labels]
        assert (name == "EQ:T") == (not all(is_open))
        model = fit(np.array([m for m, o in zip(moves, is_open, strict=True) if o]))
        z, at = [], 0
        for move, o in zip(moves, is_open, strict=True):
            z.append(move / math.sqrt(model.variance[at]) if o else 0.0)
            at += o
        for s in range(40):
            variance, total = float(model.variance[-1]), 0.0
            for day in draws[:, s].tolist():
                step = math.sqrt(variance) * z[day]
                total += step
                if is_open[day]:
                    variance = model.omega + model.alpha * step**2 + model.beta * variance
            expected = base * math.exp(total) if log else base + total
            # the moves are read back from levels: that costs some digits, and the fit sees it
            assert made.levels[made.index.row[name], s] == pytest.approx(expected, rel=1e-6)
    assert made.holidays == {}
    assert made.fitted["FX:PEGUSD"] == "no volatility: the level never moved"
    np.testing.assert_array_equal(made.levels[made.index.row["FX:PEGUSD"]], np.full(40, 0.5))


def test_variance_over_the_horizon_is_the_models(lake: Lake) -> None:
    """Sum over the horizon of E[z^2] E[variance], by the GARCH recursion of the mean; within 4 standard errors."""
    n, horizon = 20_000, 10
    made = build(lake, scenarios=n, horizon_days=horizon)
    one_day = generators.generate(
        lake.snapshot(),
        "historical",
        {"market_date": AS_OF, "scenarios": 500, "shifts": {"equity_price": {"shift_type": "log"}}},
        "x",
    )
    row = made.index.row["EQ:A"]
    moves = np.log(one_day.levels[row] / one_day.base[row])
    model = fit(moves)
    surprises = moves / np.sqrt(model.variance[:-1])
    square, mean = float((surprises**2).mean()), float(surprises.mean())
    variance, total = float(model.variance[-1]), 0.0
    for _ in range(horizon):
        total += square * variance
        variance = model.omega + (model.alpha * square + model.beta) * variance
    path = np.log(made.levels[row] / made.base[row])
    drift = horizon * mean * math.sqrt(model.variance[-1])
    squares = (path - drift) ** 2
    # two percent for the drift, which is taken at today's volatility throughout
    assert abs(squares.mean() - total) < 4 * squares.std() / math.sqrt(n) + 0.02 * total


def test_seed_and_labels(lake: Lake) -> None:
    one, other = build(lake, scenarios=10), build(lake, scenarios=10, seed=4)
    assert one.seed == 3
    assert one.labels[0] == "f01"
    assert one.labels[-1] == "f10"
    assert not np.array_equal(one.levels, other.levels)
    # the first scenarios of a longer set are not promised to be those of a shorter one; the same request is
    np.testing.assert_array_equal(build(lake, scenarios=10).levels, one.levels)


@pytest.mark.parametrize("horizon", [1, 5])
def test_garch_scaling_without_draws(lake: Lake, horizon: int) -> None:
    """Each move times arch's volatility of today over that of the move's first day; a closed market has no day of its own."""

    def historical(**more: object) -> ScenarioSet:
        parameters = {"market_date": AS_OF, "scenarios": 500 - horizon + 1, "horizon_days": horizon, **more}
        return generators.generate(lake.snapshot(), "historical", parameters, "x")

    log = {"shifts": {"equity_price": {"shift_type": "log"}, "fx_rate": {"shift_type": "log"}}}
    made, plain = historical(volatility_model="garch"), historical(**log)
    one_day = plain if horizon == 1 else historical(**log, horizon_days=1, scenarios=500)
    name = "EQ:A"
    row, base = made.index.row[name], float(made.base[made.index.row[name]])
    daily = np.log(one_day.levels[row] / base)
    result = arch_model(daily * 100, mean="Zero", p=1, q=1, rescale=False).fit(disp="off")
    deviation = np.append(
        result.conditional_volatility, math.sqrt(result.forecast(horizon=1).variance.to_numpy()[-1, 0])
    )
    scale = deviation[-1] / deviation[: made.n_scenarios]
    np.testing.assert_allclose(np.log(made.levels[row] / base), np.log(plain.levels[row] / base) * scale, rtol=5e-3)
    assert made.labels == plain.labels  # nothing is drawn
    assert made.seed is None
    assert made.fitted[name].startswith("GARCH(1,1): omega ")
    closed = made.levels[made.index.row["EQ:T"], [label in made.holidays for label in made.labels]]
    np.testing.assert_array_equal(closed, np.full(len(closed), made.base[made.index.row["EQ:T"]]))
    assert made.fitted["FX:PEGUSD"] == "no volatility: the level never moved"


class TestMovesOutOfACalm:
    """A move that its forecast could not foresee is no standardised move: the factor's moves stay as they were, and it is listed."""

    CALM = [d.item() for d in sessions("XNYS", dt.date(2019, 10, 1), AS_OF)][-101:]

    def made(self, folder: Path, method: str, levels: dict[str, np.ndarray], **parameters: object) -> ScenarioSet:
        kinds = {"EQ:A": "equity_price", "EQ:B": "equity_price", "YC:USD:10Y": "par_yield"}
        pillar = {"curve": "USD", "pillar": "10Y"}
        lake = new_lake(folder)
        put_market(
            lake,
            [factor(name, kinds[name], **(pillar if kinds[name] == "par_yield" else {})) for name in levels],
            {name: dict(zip(self.CALM, v.tolist(), strict=True)) for name, v in levels.items()},
        )
        parameters = {"market_date": AS_OF, "calendar": "XNYS", **parameters}
        return generators.generate(lake.snapshot(), method, parameters, "calm")

    @pytest.mark.parametrize("noise", [0.0, 1e-5])
    @pytest.mark.parametrize(
        ("name", "before", "after"),
        [("EQ:A", 100.0, 80.0), ("EQ:A", 100.0, 40.0), ("YC:USD:10Y", 0.0005, 0.0080)],
    )
    @pytest.mark.parametrize("method", ["filtered", "historical"])
    def test_are_kept_as_they_were(
        self, tmp_path: Path, method: str, name: str, before: float, after: float, noise: float
    ) -> None:
        path = np.where(np.arange(101) < 96, before, after) * (1 + noise * (-1.0) ** np.arange(101))
        lively = 100 * np.exp(0.01 * np.random.default_rng(7).standard_normal(101).cumsum())
        parameters = {"window": 100} if method == "filtered" else {"scenarios": 100, "volatility_decay": 0.94}
        made = self.made(tmp_path, method, {name: path, "EQ:B": lively}, **parameters)
        moved = made.levels[made.index.row[name]]
        fall = path[96] - path[95] if name.startswith("YC") else path[100] * (path[96] / path[95] - 1)
        furthest = moved[np.abs(moved - path[100]).argmax()] - path[100]
        assert furthest == pytest.approx(fall, rel=1e-9)
        day = self.CALM[96]
        # the average of a short history is seeded with moves that the fall is among: its forecast is not zero
        how = f"no volatility before {day}" if (method, noise) == ("filtered", 0.0) else f"the move of {day} is "
        assert made.fitted[name].startswith(f"not scaled: {how}")
        assert not made.fitted.get("EQ:B", "").startswith("not scaled")  # what was never calm is scaled as ever
