"""What every entry of MEASURES, and every entry of ESTIMATORS, must satisfy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from aggregation.kernels.tail import ESTIMATORS, NotDefined, exact_level
from aggregation.measures import MEASURES, check_estimator, measure
from lake.arrays import Floats
from lake.errors import BadInput

N = 237
LEVELS = [exact_level(a) for a in ("0.5", "0.9", "0.975", "0.99")]
# from moments: of both tails at once, and with several scenarios only
MOMENTS = ["var_normal", "var_normal_n", "es_normal", "es_normal_n", "var_modified", "es_modified"]
TAILS = [name for name, m in MEASURES.items() if m.fits_tail]
ERRORS = ["var_standard_error", "var_standard_error_normal"]
LOSSES = [
    n for n, m in MEASURES.items() if m.of_tail and not m.needs_threshold and n not in (*MOMENTS, *ERRORS, *TAILS)
]
UNWEIGHTED = ["var_standard_error"]
THRESHOLD = Fraction(60_000)

# name to what adding 1 to every P&L adds to the measure; the threshold of an exceedance moves with it
TRANSLATION = {
    "var": -1.0,
    "es": -1.0,
    "es_beyond": -1.0,
    "es_worst_k": -1.0,
    "es_at_or_beyond": -1.0,
    **dict.fromkeys(MOMENTS, -1.0),
    **dict.fromkeys(ERRORS, 0.0),
    "var_gpd": -1.0,
    "es_gpd": -1.0,
    "gpd_threshold": -1.0,
    "var_own_volatility": -1.0,  # of P&L that is scaled already, as the function sees it
    "es_own_volatility": -1.0,
    **dict.fromkeys(["exceedance_gpd", "gpd_exceedances", "gpd_shape", "gpd_scale"], 0.0),
    "mean": 1.0,
    "volatility": 0.0,
    "skewness": 0.0,
    "kurtosis": 0.0,
    "worst": -1.0,
    "exceedance": 0.0,
}


def sample(seed: int = 0, rows: int = 5, n: int = N) -> Floats:
    return np.random.default_rng(seed).standard_t(3, (rows, n)) * 1e5


def weights(n: int = N) -> Floats:
    w = 0.99 ** np.arange(n)[::-1]
    return np.asarray(w / w.sum())


# nearest ranks may round to a worse loss than the level asks for, and means over all ranks look beyond it
OTHER_SIDE = ("hf3_pnl", "harrell_davis", "kernel")
CASES = [
    pytest.param(name, level, w, e, id=f"{name}-{float(level or 0):g}-{'weighted' if w is not None else 'equal'}-{e}")
    for name, m in MEASURES.items()
    for level in (
        (LEVELS[1:] if m.fits_tail else LEVELS) if m.needs_level else [THRESHOLD if m.needs_threshold else None]
    )
    for w, e in [
        *((None, e) for e in (ESTIMATORS if name in ("var", "es_at_or_beyond") else ["order_statistic"])),
        *([] if name in UNWEIGHTED else [(weights(), "order_statistic")]),
    ]
]


def test_every_measure_is_described() -> None:
    for name, m in MEASURES.items():
        assert (m.name, m.meaning != "", m.unit != "", m.source != "") == (name, True, True, True)
        assert name in TRANSLATION, "say how the new measure moves when every P&L grows by one"
        assert not (m.needs_level and m.needs_threshold)
    for name, estimator in ESTIMATORS.items():
        assert estimator.name == name
        assert estimator.meaning


@pytest.mark.parametrize(("name", "level", "w", "estimator"), CASES)
def test_scale_translation_and_order(name: str, level: Fraction | None, w: Floats | None, estimator: str) -> None:
    m, pnl = MEASURES[name], sample()
    function = m.function
    value = function(pnl, level, w, estimator)
    assert value.shape == (5,)
    larger, moved = (level * Fraction(5, 2), level - 10_000) if m.needs_threshold and level else (level, level)
    grown = 2.5 * value if m.unit.startswith("currency") else value
    np.testing.assert_allclose(function(2.5 * pnl, larger, w, estimator), grown, rtol=1e-11)
    np.testing.assert_allclose(function(pnl + 1e4, moved, w, estimator), value + 1e4 * TRANSLATION[name], rtol=1e-9)
    shuffled = np.random.default_rng(1).permutation(N)
    np.testing.assert_allclose(
        function(pnl[:, shuffled], level, None if w is None else w[shuffled], estimator), value, rtol=1e-12
    )
    # a group does not see its neighbours, to the bit
    alone = np.concatenate([function(pnl[i : i + 1], level, w, estimator) for i in range(5)])
    assert np.array_equal(alone, value, equal_nan=True)
    # rows that are not contiguous in memory are the same rows
    assert np.array_equal(function(np.asfortranarray(pnl), level, w, estimator), value, equal_nan=True)


@pytest.mark.parametrize(("name", "level", "w", "estimator"), CASES)
def test_all_scenarios_alike(name: str, level: Fraction | None, w: Floats | None, estimator: str) -> None:
    value = MEASURES[name].function(np.full((2, N), -3.7), level, w, estimator)
    known = {"mean": -3.7, "volatility": 0.0, "exceedance": 0.0, "skewness": np.nan, "kurtosis": np.nan}
    known |= dict.fromkeys(ERRORS, 0.0)
    known |= dict.fromkeys(TAILS, np.nan)  # nothing lies beyond
    np.testing.assert_allclose(value, known.get(name, 3.7), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in MEASURES if n != "es_beyond"])
def test_one_scenario(name: str) -> None:
    for w in (None, np.array([1.0]))[: 1 if name in UNWEIGHTED else 2]:
        if name in ("var_normal", "es_normal", "var_standard_error_normal"):
            with pytest.raises(NotDefined, match="no standard deviation with divisor n - 1"):
                MEASURES[name].function(np.array([[-42.0]]), LEVELS[-1], w, "order_statistic")
            continue
        value = MEASURES[name].function(np.array([[-42.0]]), LEVELS[-1], w, "order_statistic")[0]
        known = {"mean": -42.0, "volatility": 0.0, "exceedance": 1.0, "skewness": np.nan, "kurtosis": np.nan}
        known |= {**dict.fromkeys(ERRORS, 0.0), **dict.fromkeys(TAILS, np.nan)}
        assert value == pytest.approx(known.get(name, 42.0), nan_ok=True)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_positive_and_of_the_losing_tail(name: str) -> None:
    """A book with one great loss and one greater gain shows the loss; turned around, the other."""
    pnl = np.zeros((1, 100))
    pnl[0, 10], pnl[0, 20] = -50.0, 80.0
    level = exact_level("0.985")
    for estimator in ESTIMATORS if name == "var" else ["order_statistic"]:
        loss = MEASURES[name].function(pnl, level, None, estimator)[0]
        other = MEASURES[name].function(-pnl, level, None, estimator)[0]
        assert 0 <= loss <= 50
        assert other == pytest.approx(loss * 80 / 50)
    assert MEASURES["worst"].function(pnl, None, None, "")[0] == 50


@pytest.mark.parametrize("estimator", [e for e in ESTIMATORS if e not in OTHER_SIDE])
@pytest.mark.parametrize("n", [1, 2, 10, 99, 100, 150, 500])
def test_es_is_no_less_than_var_and_no_more_than_the_worst(estimator: str, n: int) -> None:
    pnl = sample(n, 50, n)
    for level in LEVELS:
        var = MEASURES["var"].function(pnl, level, None, estimator)
        es = MEASURES["es"].function(pnl, level, None, estimator)
        worst = MEASURES["worst"].function(pnl, level, None, estimator)
        slack = 1e-9 * np.abs(worst)
        assert (es >= var - slack).all()
        assert (worst >= es - slack).all()


def test_es_is_subadditive_and_additive_measures_add() -> None:
    one, two = sample(1), sample(2)
    for level in LEVELS:
        for w in (None, weights()):
            es = MEASURES["es"].function
            assert (es(one + two, level, w, "") <= es(one, level, w, "") + es(two, level, w, "") + 1e-6).all()
    for name, m in MEASURES.items():
        if m.additive:
            both = m.function(one + two, None, None, "")
            np.testing.assert_allclose(
                both, m.function(one, None, None, "") + m.function(two, None, None, ""), rtol=1e-9, err_msg=name
            )


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"Unknown measure 'vra'\. Nearest valid: var"):
        measure("vra")
    with pytest.raises(BadInput, match=r"Unknown estimator 'hf10'\. Nearest valid: hf1"):
        check_estimator("hf10")
