"""The cheapest hedge under a limit against brute force over a grid, its dual, closed forms and invariants."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from aggregation.kernels import hedge_programme
from aggregation.kernels.hedge_programme import HedgeProgramme, Solution, cheapest_es, cheapest_var
from aggregation.kernels.tail import expected_shortfall, value_at_risk
from lake.arrays import Floats

LEVEL = Fraction(9, 10)


def es(problem: HedgeProgramme, quantity: Floats) -> float:
    pnl = problem.after(np.asarray(quantity, dtype=np.float64))[None]
    return float(expected_shortfall(pnl, problem.level, problem.weights, "")[0])


def var(problem: HedgeProgramme, quantity: Floats) -> float:
    pnl = problem.after(np.asarray(quantity, dtype=np.float64))[None]
    return float(value_at_risk(pnl, problem.level, problem.weights, "order_statistic")[0])


def problem(
    seed: int, n: int = 60, m: int = 2, *, weighted: bool = False, lot: float = 0.0, level: Fraction = LEVEL
) -> HedgeProgramme:
    rng = np.random.default_rng(seed)
    pnl = rng.standard_t(4, n) * 100
    moves = np.array([-0.3 * pnl + rng.standard_normal(n) * 20 for _ in range(m)])  # hedges, each with noise of its own
    weights = rng.uniform(0.2, 1.0, n) if weighted else None
    return HedgeProgramme(
        pnl,
        moves,
        rng.uniform(1.0, 3.0, m),
        rng.uniform(1.0, 5.0, m),
        np.full(m, lot),
        level,
        None if weights is None else weights / weights.sum(),
    )


def on_grid(p: HedgeProgramme, limit: float, measure: object, steps: int) -> float:
    """The least cost of all points of a grid that meet the limit."""
    axes = [
        np.arange(0, top + 1e-12, lot) if lot else np.linspace(0, top, steps)
        for top, lot in zip(p.most, p.lot, strict=True)
    ]
    met = [p.cost @ np.array(x) for x in itertools.product(*axes) if measure(p, np.array(x)) <= limit]  # type: ignore[operator]
    return min(met, default=np.inf)


def limit_between(p: HedgeProgramme, measure: object, share: float) -> float:
    """A limit that the moves can reach: part of the way from the measure now to the least on a coarse grid."""
    corners = itertools.product(*(np.linspace(0, top, 5) for top in p.most))
    least = min(measure(p, np.array(x)) for x in corners)  # type: ignore[operator]
    now = measure(p, np.zeros(len(p.most)))  # type: ignore[operator]
    assert least < 0.9 * now
    return float(now + share * (least - now))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("level", [LEVEL, Fraction(975, 1000)])  # 60 x 0.025 = 1.5: a fractional last weight
@pytest.mark.parametrize("seed", range(4))
def test_es_is_the_best_of_a_fine_grid(seed: int, weighted: bool, level: Fraction) -> None:
    p = problem(seed, weighted=weighted, level=level)
    limit = limit_between(p, es, 0.5)
    found = cheapest_es(p, limit)
    assert found.status == "optimal"
    assert es(p, found.quantity) <= limit * (1 + 1e-8)
    best = on_grid(p, limit, es, 60)
    assert found.cost <= best + 1e-9
    assert found.cost >= best - p.cost @ (p.most / 59)  # the grid is no finer
    assert found.cost - found.bound <= 1e-6 * found.cost  # strong duality


@pytest.mark.parametrize("seed", range(4))
def test_whole_lots_are_the_best_of_all_lots(seed: int) -> None:
    p = problem(seed, lot=0.25)
    limit = limit_between(p, es, 0.4)
    found = cheapest_es(p, limit)
    assert np.allclose(found.quantity / 0.25, np.rint(found.quantity / 0.25), atol=0)
    assert found.cost == pytest.approx(on_grid(p, limit, es, 0))
    free = cheapest_es(HedgeProgramme(p.pnl, p.moves, p.most, p.cost, np.zeros(2), p.level), limit)
    assert free.cost <= found.cost + 1e-9


def test_one_hedge_has_a_closed_form() -> None:
    """A perfect hedge: ES(p - x p) = (1 - x) ES(p), so x = 1 - limit / ES(p)."""
    pnl = np.random.default_rng(1).standard_normal(500)
    p = HedgeProgramme(pnl, -pnl[None], np.array([1.0]), np.array([7.0]), np.zeros(1), Fraction(99, 100))
    now = es(p, np.zeros(1))
    found = cheapest_es(p, 0.25 * now)
    assert found.quantity[0] == pytest.approx(0.75, rel=1e-9)
    assert found.cost == pytest.approx(5.25, rel=1e-9)
    over = solve_var(p, 0.25 * var(p, np.zeros(1)))
    assert over.quantity[0] == pytest.approx(0.75, rel=1e-7)


def value(pnl: Floats, p: HedgeProgramme) -> float:
    return float(value_at_risk(pnl[None], p.level, p.weights, "order_statistic")[0])


def test_a_limit_out_of_reach_gives_the_lowest_es() -> None:
    p = problem(3, m=1)
    found = cheapest_es(p, -1e6)
    assert found.status == "infeasible"
    least = minimize_scalar(
        lambda x: es(p, np.array([x])), bounds=(0, p.most[0]), method="bounded", options={"xatol": 1e-10}
    )
    assert es(p, found.quantity) == pytest.approx(least.fun, rel=1e-6)


def test_scaling_and_cheaper_moves() -> None:
    p = problem(5, m=3)
    limit = limit_between(p, es, 0.5)
    found = cheapest_es(p, limit)
    for money in (1e-3, 1e7):  # the same in pennies and in millions
        scaled = HedgeProgramme(p.pnl * money, p.moves * money, p.most, p.cost, p.lot, p.level)
        assert cheapest_es(scaled, limit * money).quantity == pytest.approx(found.quantity, rel=1e-5, abs=1e-7)
    # the same in smaller units
    units = HedgeProgramme(p.pnl, p.moves / 1000, p.most * 1000, p.cost / 1000, p.lot, p.level)
    assert cheapest_es(units, limit).cost == pytest.approx(found.cost, rel=1e-7)
    for more in (0.6, 0.7):  # a tighter limit never costs less
        assert cheapest_es(p, limit_between(p, es, more)).cost >= found.cost - 1e-9
    order = [2, 0, 1]
    turned = HedgeProgramme(p.pnl, p.moves[order], p.most[order], p.cost[order], p.lot, p.level)
    assert cheapest_es(turned, limit).cost == pytest.approx(found.cost, rel=1e-7)


def solve_var(p: HedgeProgramme, limit: float) -> Solution:
    return cheapest_var(p, limit, lambda after: value(after, p))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_var_is_the_best_of_a_fine_grid(seed: int, weighted: bool) -> None:
    p = problem(seed, weighted=weighted)
    limit = limit_between(p, var, 0.5)
    found = solve_var(p, limit)
    assert found.status == "optimal"
    assert var(p, found.quantity) <= limit * (1 + 1e-7)
    best = on_grid(p, limit, var, 60)
    assert found.cost <= best + 1e-6
    assert found.cost >= best - p.cost @ (p.most / 59)


def test_var_in_lots() -> None:
    p = problem(2, lot=0.25)
    limit = limit_between(p, var, 0.4)
    assert solve_var(p, limit).cost == pytest.approx(on_grid(p, limit, var, 0))


def test_var_by_search_alone_is_feasible_and_near_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem(1, n=200, m=3)
    limit = limit_between(p, var, 0.5)
    exact = solve_var(p, limit)
    monkeypatch.setattr(hedge_programme, "MOST_SWITCHES", 0)
    found = solve_var(p, limit)
    assert found.status == "feasible"
    assert var(p, found.quantity) <= limit * (1 + 1e-7)
    assert exact.cost - 1e-9 <= found.cost <= 1.5 * exact.cost


def test_var_out_of_reach() -> None:
    p = problem(4, m=1)
    found = solve_var(p, -1e6)
    assert found.status == "infeasible"
    lowest = min(var(p, np.array([x])) for x in np.linspace(0, p.most[0], 4001))
    assert var(p, found.quantity) <= lowest + 0.02 * abs(lowest)
