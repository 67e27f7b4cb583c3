"""The sensitivities-based method against printed correlations and recomputed cases, and what it must do whatever the sensitivities are."""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.kernels.frtb_sbm import Buckets, curvature_capital, linear_capital, tenor_correlation, tenor_shares
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.frtb_sa_factors import (
    BASIS,
    COMMODITY,
    CSR,
    CURVATURE,
    DELTA,
    EQUITY,
    FX,
    GIRR,
    INFLATION,
    VEGA,
    Cell,
    Choices,
    Mapper,
)
from aggregation.regulatory.frtb_sa_parameters import FrtbSa
from aggregation.regulatory.frtb_sa_sbm import Method, SbmCapital, method_of, sbm_capital
from lake.arrays import Floats

BASEL = regime_of("basel@2023", dt.date(2024, 1, 2), None).section("frtb_sa", FrtbSa)
FULL = Choices("USD", liquid_rates=False, liquid_fx=False, fx_divisor=False)
TENORS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0)
# MAR21.46, Table 2, percent: from each tenor to the longer ones
TABLE_2 = (
    (97.0, 91.4, 81.1, 71.9, 56.6, 40.0, 40.0, 40.0, 40.0),
    (97.0, 91.4, 86.1, 76.3, 56.6, 41.9, 40.0, 40.0),
    (97.0, 94.2, 88.7, 76.3, 65.7, 56.6, 41.9),
    (98.5, 95.6, 88.7, 82.3, 76.3, 65.7),
    (98.0, 93.2, 88.7, 84.4, 76.3),
    (97.0, 94.2, 91.4, 86.1),
    (98.5, 97.0, 94.2),
    (99.0, 97.0),
    (98.5,),
)


@functools.cache
def method_for(cells: tuple[Cell, ...], choices: Choices = FULL) -> Method:
    return method_of(cells, Mapper(BASEL, {}, choices))


def solve(
    amounts: Mapping[Cell, float | tuple[float, float]], choices: Choices = FULL
) -> tuple[Method, Floats, SbmCapital]:
    """The method of the cells, their outputs in its order, and the capital; of curvature cells CVR up and down are given."""
    method = method_for(tuple(amounts), choices)
    outputs = np.zeros(method.n_outputs)
    for i, cell in enumerate(method.cells):
        outputs[list(method.outputs(i))] = amounts[cell]
    return method, outputs, sbm_capital(method, outputs)


def rho(one: Cell, two: Cell) -> float:
    """The correlation of two cells of a bucket, from the capital of a weighted sensitivity of one in each: K^2 = 2 + 2 rho."""
    method = method_of([one, two], Mapper(BASEL, {}, FULL))
    outputs = 1.0 / method.weights
    return sbm_capital(method, outputs).totals["medium"] ** 2 / 2 - 1


def gamma(one: Cell, two: Cell) -> float:
    """The correlation of the buckets of two cells."""
    return rho(one, two)


def girr(tenor: float, curve: str = "OIS", name: str = "") -> Cell:
    return Cell(DELTA, GIRR, "USD", name, curve, tenor)


def test_every_printed_correlation_of_tenors() -> None:
    made = tenor_correlation(np.array(TENORS), np.array(TENORS), BASEL.girr.decay, BASEL.girr.floor)
    for i, row in enumerate(TABLE_2):
        assert [round(100 * v, 1) for v in made[i, i + 1 :].tolist()] == list(row)
    assert (np.diag(made) == 1.0).all()


@pytest.mark.parametrize(
    ("one", "two", "printed"),
    [
        (Cell(DELTA, CSR, "4", "A", "bond", 1.0), Cell(DELTA, CSR, "4", "B", "cds", 5.0), 22.73),
        (girr(1.0, "OIS"), girr(5.0, "3M"), 88.60),
        (Cell(VEGA, GIRR, "USD", "", "", 1.0, 5.0), Cell(VEGA, GIRR, "USD", "", "", 5.0, 10.0), 95.1229),
        (
            Cell(DELTA, COMMODITY, "2", "BRENT", "Le Havre", 1.0),
            Cell(DELTA, COMMODITY, "2", "WTI", "Oklahoma", 5.0),
            93.96,
        ),
        (girr(1.0, "OIS"), girr(1.0, "3M"), 99.9),
        (girr(0.0, "", INFLATION), girr(5.0), 40.0),
        (girr(0.0, "", BASIS), girr(5.0), 0.0),
        (girr(0.0, "", BASIS), girr(0.0, "", INFLATION), 0.0),
        (Cell(DELTA, EQUITY, "5", "A", "spot"), Cell(DELTA, EQUITY, "5", "A", "repo"), 99.9),
        (Cell(DELTA, EQUITY, "5", "A", "spot"), Cell(DELTA, EQUITY, "5", "B", "repo"), 24.975),
        (Cell(DELTA, EQUITY, "9", "A", "spot"), Cell(DELTA, EQUITY, "9", "B", "spot"), 7.5),
        (Cell(DELTA, CSR, "17", "A", "cds", 5.0), Cell(DELTA, CSR, "17", "B", "cds", 5.0), 80.0),
    ],
)
def test_printed_correlations_in_a_bucket(one: Cell, two: Cell, printed: float) -> None:
    assert 100 * rho(one, two) == pytest.approx(printed, abs=0.00005 if printed == 95.1229 else 0.005)


@pytest.mark.parametrize(
    ("risk_class", "one", "two", "percent"),
    [
        (GIRR, "USD", "EUR", 50.0),
        (FX, "EUR", "JPY", 60.0),
        (EQUITY, "1", "10", 15.0),
        (EQUITY, "5", "11", 0.0),
        (EQUITY, "12", "13", 75.0),
        (EQUITY, "5", "12", 45.0),
        (COMMODITY, "1", "10", 20.0),
        (COMMODITY, "1", "11", 0.0),
        (CSR, "1", "3", 10.0),
        (CSR, "1", "9", 50.0),  # same sector, other quality
        (CSR, "1", "11", 5.0),  # other sector and other quality
        (CSR, "9", "11", 10.0),
        (CSR, "8", "3", 20.0),
        (CSR, "16", "3", 0.0),
        (CSR, "17", "18", 75.0),
        (CSR, "17", "12", 45.0),
        (CSR, "6", "14", 50.0),
        (CSR, "6", "7", 5.0),
        (CSR, "13", "14", 25.0),
    ],
)
def test_printed_correlations_of_buckets(risk_class: str, one: str, two: str, percent: float) -> None:
    tenor = 5.0 if risk_class in (GIRR, CSR, COMMODITY) else 0.0
    a, b = (Cell(DELTA, risk_class, bucket, "" if risk_class == GIRR else "A", "x", tenor) for bucket in (one, two))
    assert 100 * gamma(a, b) == pytest.approx(percent, abs=1e-9)


def test_currencies_as_recomputed() -> None:
    ws = {"EUR": 20_414_850, "GBP": -7_620_000, "JPY": 6_120_000}
    found = solve({Cell(DELTA, FX, c, c): v / 0.15 for c, v in ws.items()})[2]
    assert {s: round(v, 2) for s, v in found.totals.items()} == {
        "medium": 20_483_576.12,
        "high": 19_909_793.77,
        "low": 21_041_717.92,
    }
    assert found.chosen == "low"  # a hedged book is worst where correlations are low


@pytest.mark.parametrize(
    ("liquid", "printed"),
    [
        (False, {"medium": 43_931.1159, "high": 41_225.5735, "low": 46_479.4361}),
        (True, {"medium": 31_063.9900, "high": 29_150.8826, "low": 32_865.9245}),
    ],
)
def test_rates_of_one_currency_as_recomputed(liquid: bool, printed: Mapping[str, float]) -> None:
    choices = Choices("USD", liquid_rates=liquid)
    found = solve({girr(1.0): 4e6, girr(5.0): -3e6, girr(10.0): 1e6}, choices)[2]
    assert {s: round(v, 4) for s, v in found.totals.items()} == printed


@pytest.mark.parametrize(
    ("cell", "percent"),
    [
        (Cell(VEGA, GIRR, "USD", "", "", 1.0, 5.0), 100.0),
        (Cell(VEGA, EQUITY, "5", "A", "", 1.0), 77.78),
        (Cell(VEGA, EQUITY, "12", "A", "", 1.0), 77.78),
        (Cell(VEGA, EQUITY, "9", "A", "", 1.0), 100.0),
        (Cell(VEGA, EQUITY, "11", "A", "", 1.0), 100.0),
        (Cell(VEGA, COMMODITY, "2", "WTI", "", 1.0), 100.0),
        (Cell(VEGA, FX, "EUR", "EUR", "", 1.0), 100.0),
        (girr(0.25), 1.7),
        (girr(0.0, "", BASIS), 1.6),
        (Cell(DELTA, EQUITY, "4", "A", "repo"), 0.55),
        (Cell(DELTA, CSR, "13", "A", "bond", 1.0), 8.5),
    ],
)
def test_printed_weights(cell: Cell, percent: float) -> None:
    assert round(100 * float(method_of([cell], Mapper(BASEL, {}, FULL)).weights[0]), 2) == percent


def test_liquid_currencies_are_of_the_list_or_reported_in() -> None:
    chf = Mapper(BASEL, {}, Choices("CHF"))
    assert chf.delta_weight(Cell(DELTA, GIRR, "CHF", "", "OIS", 5.0)) == pytest.approx(0.011 / math.sqrt(2))
    usd = Mapper(BASEL, {}, Choices("USD"))
    assert usd.delta_weight(Cell(DELTA, GIRR, "CHF", "", "OIS", 5.0)) == 0.011
    assert round(100 * usd.delta_weight(Cell(DELTA, FX, "INR", "INR")), 3) == 10.607
    assert usd.delta_weight(Cell(DELTA, FX, "DKK", "DKK")) == 0.15
    assert Mapper(BASEL, {}, Choices("DKK")).delta_weight(Cell(DELTA, FX, "USD", "USD")) == 0.15


def test_the_scenario_is_that_of_the_greatest_sum_and_not_of_each_class() -> None:
    hedged = {Cell(DELTA, FX, c, c): v for c, v in (("EUR", 1e6), ("GBP", -9e5))}
    alike = {girr(1.0): 4e6, girr(30.0): 4e6}
    found = solve({**hedged, **alike})[2]
    best = {g: max(found.parts[s][g] for s in found.parts) for g in found.parts["medium"]}
    assert found.value == max(found.totals.values())
    assert found.value < sum(best.values())  # the greatest of each class would add scenarios that exclude each other


def test_bucket_sums_are_limited_only_where_the_sum_is_negative() -> None:
    """Two hedged buckets: S_b is far beyond K_b. While the sum under the root is positive nothing is limited."""
    rho_in = np.array([[1.0, -1.0 + 1e-3], [-1.0 + 1e-3, 1.0]])
    members = (np.array([0, 1]), np.array([2, 3]))

    def of(ws: Sequence[float], gamma: float) -> tuple[float, bool]:
        across = np.array([[1.0, gamma], [gamma, 1.0]])
        made = linear_capital(np.array(ws), Buckets(members, (rho_in, rho_in), np.zeros(2, np.bool_), across))
        return made.value, made.limited

    value, limited = of([1.0, 1.0, 1.0, 1.0], 0.5)
    assert not limited
    assert value == pytest.approx(math.sqrt(2 * 2e-3 + 2 * 0.5 * 2.0 * 2.0))
    value, limited = of([1.0, 1.0, -1.0, -1.0], 0.5)
    assert limited
    k = math.sqrt(2e-3)
    assert value == pytest.approx(math.sqrt(2 * k * k - 2 * 0.5 * k * k))


def test_nothing_offsets_in_the_bucket_of_other_sectors() -> None:
    for risk_class, bucket in ((CSR, "16"), (EQUITY, "11")):
        weight = 0.12 if risk_class == CSR else 0.70
        tenor = 5.0 if risk_class == CSR else 0.0
        cells = {Cell(DELTA, risk_class, bucket, n, "x", tenor): v for n, v in (("A", 3.0), ("B", -2.0))}
        assert solve(cells)[2].value == pytest.approx(5.0 * weight)
        curved = {Cell(CURVATURE, risk_class, bucket, n): v for n, v in (("A", (3.0, -1.0)), ("B", (-2.0, 2.5)))}
        assert solve(curved)[2].value == 3.0  # the greater of the sums of what is lost, up 3, down 2.5
    goods = {Cell(DELTA, COMMODITY, "11", n, "", 1.0): v for n, v in (("A", 3.0), ("B", -2.0))}
    assert solve(goods)[2].totals["medium"] == pytest.approx(0.5 * math.sqrt(9 + 4 - 2 * 0.15 * 6))


def test_curvature_takes_squares_drops_pairs_of_gains_and_chooses_a_side() -> None:
    cells = [Cell(CURVATURE, EQUITY, "5", n) for n in "ABC"]
    up, down = (4.0, -3.0, -2.0), (1.0, 1.0, -6.0)
    found = solve(dict(zip(cells, zip(up, down, strict=True), strict=True)))[2]
    square = 0.25**2
    expected = math.sqrt(4.0**2 + 2 * square * (4 * -3 + 4 * -2))  # of B and C, both gains, nothing
    assert found.totals["medium"] == pytest.approx(expected)
    assert found.groups["equity_curvature"].up.tolist() == [True]


def test_curvature_of_equal_sides() -> None:
    one = Buckets((np.array([0, 1]),), (np.eye(2),), np.zeros(1, np.bool_), np.ones((1, 1)))
    assert curvature_capital(np.array([[3.0, -1.0], [3.0, -2.0]]), one).up.tolist() == [True]  # the greater sum
    assert curvature_capital(np.array([[3.0, -2.0], [3.0, -1.0]]), one).up.tolist() == [False]
    assert curvature_capital(np.array([[3.0, -1.0], [3.0, -1.0]]), one).up.tolist() == [False]  # else down


def test_curvature_across_buckets_leaves_out_pairs_of_gains() -> None:
    cells = {
        Cell(CURVATURE, FX, "EUR", "EUR"): (-5.0, -5.0),
        Cell(CURVATURE, FX, "GBP", "GBP"): (-4.0, -4.0),
        Cell(CURVATURE, FX, "JPY", "JPY"): (3.0, 1.0),
    }
    found = solve(cells)[2]
    # K = 0, 0, 3; the pair of EUR and GBP, both gains, is left out
    assert found.totals["medium"] == pytest.approx(math.sqrt(max(0.0, 9 + 2 * 0.36 * (-5 * 3 - 4 * 3))))
    assert solve({**cells, Cell(CURVATURE, FX, "JPY", "JPY"): (30.0, 1.0)})[2].totals["medium"] == pytest.approx(
        math.sqrt(900 + 2 * 0.36 * (-5 * 30 - 4 * 30))
    )


def test_shares_of_tenors() -> None:
    tenors = np.array([0.5, 1.0, 3.0])
    assert tenor_shares(0.1, tenors) == [(0, 1.0)]
    assert tenor_shares(1.0, tenors) == [(1, 1.0)]
    assert tenor_shares(1.5, tenors) == [(1, 0.75), (2, 0.25)]
    assert tenor_shares(9.0, tenors) == [(2, 1.0)]


CELLS = [
    *(girr(t, c) for t in (0.5, 5.0, 30.0) for c in ("OIS", "3M")),
    girr(0.0, "", INFLATION),
    *(Cell(DELTA, CSR, b, n, "bond", 5.0) for b, n in (("3", "A"), ("3", "B"), ("11", "C"), ("16", "D"))),
    *(Cell(DELTA, EQUITY, b, n, "spot") for b, n in (("5", "A"), ("8", "B"), ("11", "C"), ("12", "I"))),
    *(Cell(DELTA, COMMODITY, "2", n, "", t) for n, t in (("WTI", 1.0), ("WTI", 2.0), ("BRENT", 1.0))),
    *(Cell(DELTA, FX, c, c) for c in ("EUR", "JPY")),
    *(Cell(VEGA, EQUITY, "5", "A", "", t) for t in (0.5, 3.0)),
    *(Cell(VEGA, GIRR, "USD", "", "", t, u) for t, u in ((0.5, 5.0), (5.0, 5.0))),
]
CURVED = [Cell(CURVATURE, EQUITY, "5", n) for n in "ABC"] + [Cell(CURVATURE, FX, c, c) for c in ("EUR", "JPY")]
_AMOUNT = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda v: round(v, 2))
_BOOK = st.tuples(
    st.lists(_AMOUNT, min_size=len(CELLS), max_size=len(CELLS)),
    st.lists(st.tuples(_AMOUNT, _AMOUNT), min_size=len(CURVED), max_size=len(CURVED)),
)


def _book(drawn: tuple[list[float], list[tuple[float, float]]]) -> dict[Cell, float | tuple[float, float]]:
    return {**dict(zip(CELLS, drawn[0], strict=True)), **dict(zip(CURVED, drawn[1], strict=True))}


@given(_BOOK)
def test_derivatives_times_sensitivities_add_up_to_the_capital(
    drawn: tuple[list[float], list[tuple[float, float]]],
) -> None:
    _, outputs, found = solve(_book(drawn))
    size = float(np.abs(outputs).sum())
    assert float((found.slope * outputs).sum()) == pytest.approx(found.value, rel=1e-9, abs=1e-9 * size)


@given(_BOOK, st.floats(0.01, 100.0))
def test_the_capital_scales_with_the_book(drawn: tuple[list[float], list[tuple[float, float]]], by: float) -> None:
    method, outputs, found = solve(_book(drawn))
    assert sbm_capital(method, outputs * by).value == pytest.approx(found.value * by, rel=1e-9, abs=1e-6)


@settings(max_examples=20)
@given(_BOOK, st.randoms(use_true_random=False))
def test_the_order_of_the_cells_changes_no_bit(
    drawn: tuple[list[float], list[tuple[float, float]]], random: st.DataObject
) -> None:
    book = _book(drawn)
    mixed = list(book.items())
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert solve(dict(mixed))[2].totals == solve(book)[2].totals


@settings(max_examples=15)
@given(_BOOK)
def test_derivatives_are_those_of_small_moves(drawn: tuple[list[float], list[tuple[float, float]]]) -> None:
    """Where the capital is smooth: both one-sided differences and the derivative lie together, or the two differ (a kink)."""
    method, outputs, found = solve(_book(drawn))
    size = float(np.abs(outputs).max())
    if size == 0.0:
        return
    step = 1e-6 * size
    for i in range(0, len(outputs), 5):
        moved = [sbm_capital(method, outputs + way * step * (np.arange(len(outputs)) == i)).value for way in (1, -1)]
        right, left = (moved[0] - found.value) / step, (found.value - moved[1]) / step
        if abs(right - left) < 1e-4:
            assert found.slope[i] == pytest.approx((right + left) / 2, abs=1e-3)


def test_a_hedge_of_the_same_factor_takes_its_capital_away() -> None:
    alone = solve({girr(5.0): 4e6})[2].value
    assert solve({girr(5.0): 4e6 - 4e6})[2].value == 0.0
    assert solve({girr(5.0): 4e6, girr(10.0): -2e6})[2].value < alone
