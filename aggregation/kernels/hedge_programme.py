"""Kernel: the cheapest moves that bring ES or VaR under a limit. Arrays in, arrays out.

Let p be the P&L of a book by scenario and h_j that of one unit of move j: the P&L after quantities x is p + sum_j x_j h_j.

ES <= L is linear in x with one more variable t and one z_s for each scenario (Rockafellar and Uryasev 2000, Optimization of
conditional value-at-risk, Journal of Risk 2(3)): t + sum_s w_s z_s / (1 - level) <= L, z_s >= -(p_s + h_s x) - t, z_s >= 0. At
the optimum that sum is the ES with the fractional last weight, for weighted scenarios too.

VaR <= L says that the scenarios that lose more than L have together less than 1 - level: with a switch y_s for each scenario
that may lose more, a mixed integer programme; where the switches are too many, one linear programme after the other, each of
which lets the scenarios go that are worst under the last solution.

Every programme is scaled to quantities and losses near one and solved by HiGHS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from aggregation.kernels.fixed_sums import dot, product
from lake.arrays import Floats

Status = Literal["optimal", "feasible", "infeasible"]

MOST_SWITCHES = 300  # scenarios a mixed integer programme may switch
_SECONDS = 20.0  # for one mixed integer programme; what it has found by then counts
_MARGIN = 1e-9  # of weight, so that exceedances stay clear of 1 - level
_COUNT_MARGIN = 1e-5  # the same counted in scenarios, clear of the solver's own tolerance of 1e-6
_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


@dataclass(frozen=True)
class HedgeProgramme:
    """What may be done, and what is wanted.

    pnl : (n_scenarios,) of the book. moves : (n_moves, n_scenarios) P&L of one unit, in the same currency, gains positive.
    most : (n_moves,) greatest quantity, positive. cost : (n_moves,) of one unit, not negative. lot : (n_moves,) quantities are
    whole multiples of it; 0 for any quantity. level : of the measure. weights : probability of each scenario; None for equal.
    """

    pnl: Floats
    moves: Floats
    most: Floats
    cost: Floats
    lot: Floats
    level: Fraction
    weights: Floats | None = None

    @property
    def tail(self) -> float:
        """Probability of the tail."""
        return float(1 - self.level)

    @property
    def probabilities(self) -> Floats:
        n = len(self.pnl)
        return np.full(n, 1.0 / n) if self.weights is None else self.weights / self.weights.sum()

    def after(self, quantity: Floats) -> Floats:
        """P&L (n_scenarios,) after these quantities."""
        return self.pnl + product(quantity[None], self.moves).ravel()


@dataclass(frozen=True)
class Solution:
    """quantity : (n_moves,). cost : of them. bound : no cheaper solution exists (of the programme's dual), so that cost - bound
    is the greatest that is given away; `optimal` when that is rounding. For `infeasible` the quantities reach the lowest
    measure there is.
    """

    status: Status
    quantity: Floats
    cost: float
    bound: float


@dataclass(frozen=True)
class _Scale:
    """A programme in units of its own: quantities as parts of `most` (or in lots), losses and costs near one."""

    unit: Floats  # of each quantity
    top: Floats  # greatest number of units
    whole: npt.NDArray[np.bool_]  # whole units only
    money: float
    cost: Floats
    cost_unit: float

    @classmethod
    def of(cls, problem: HedgeProgramme, limit: float) -> _Scale:
        whole = problem.lot > 0
        unit = np.where(whole, problem.lot, problem.most)
        # a lot that fits to rounding fits
        top = np.where(whole, np.floor(problem.most / np.where(whole, problem.lot, 1.0) + 1e-9), 1.0)
        reach = np.abs(problem.moves * (unit * top)[:, None]).max(initial=0.0)
        money = max(abs(limit), float(np.abs(problem.pnl).max()), float(reach)) or 1.0
        cost = problem.cost * unit
        cost_unit = float((cost * top).max(initial=0.0)) or 1.0
        return cls(unit, top, whole, money, cost / cost_unit, cost_unit)


def cheapest_es(problem: HedgeProgramme, limit: float) -> Solution:
    """The cheapest quantities with ES <= limit; where there are none, those of the lowest ES."""
    scale = _Scale.of(problem, limit)
    found = _es_programme(problem, scale, limit)
    if found is not None:
        return found
    lowest = _es_programme(problem, scale, None)
    assert lowest is not None, "quantities of zero always do"
    return Solution("infeasible", lowest.quantity, lowest.cost, lowest.bound)


def _es_programme(problem: HedgeProgramme, scale: _Scale, limit: float | None) -> Solution | None:
    """Least cost under the limit, or least ES without one."""
    m, n = problem.moves.shape
    losses = -problem.pnl / scale.money
    hedged = -(problem.moves * scale.unit[:, None]).T / scale.money
    shortfall = np.concatenate([np.zeros(m), [1.0], problem.probabilities / problem.tail])
    above = sparse.hstack(
        [sparse.csr_array(hedged), sparse.csr_array(np.full((n, 1), -1.0)), -sparse.eye_array(n)], format="csr"
    )
    lower = np.concatenate([np.zeros(m), [-np.inf], np.zeros(n)])
    upper = np.concatenate([scale.top, [np.inf], np.full(n, np.inf)])
    if limit is None:
        solved = _solve(problem, scale, shortfall, above, -losses, lower, upper)
        return None if solved is None else solved[0]
    rows = sparse.vstack([sparse.csr_array(shortfall[None, :]), above], format="csr")
    objective = np.concatenate([scale.cost, np.zeros(1 + n)])
    most = np.concatenate([[limit / scale.money], -losses])
    solved = _solve(problem, scale, objective, rows, most, lower, upper)
    return None if solved is None else solved[0]


def _solve(
    problem: HedgeProgramme,
    scale: _Scale,
    objective: Floats,
    rows: sparse.csr_array,
    most: Floats,
    lower: Floats,
    upper: Floats,
    switches: int = 0,
) -> tuple[Solution, Floats] | None:
    """Least objective with rows times variables <= most; quantities come first, `switches` of zero or one last, and are given."""
    m = len(scale.unit)
    whole = np.zeros(len(objective))
    whole[:m] = scale.whole
    if switches:
        whole[-switches:] = 1
    if whole.any():
        done = milp(
            objective,
            integrality=whole,
            bounds=Bounds(lower, upper),
            constraints=LinearConstraint(rows, ub=most),
            options={"time_limit": _SECONDS, "mip_rel_gap": 1e-9},
        )
        bound = done.mip_dual_bound
    else:
        done = linprog(objective, A_ub=rows, b_ub=most, bounds=np.column_stack([lower, upper]), options=_OPTIONS)
        bound = _dual(done, most, lower, upper) if done.x is not None else None
    if done.x is None:
        return None
    units = np.clip(np.where(scale.whole, np.rint(done.x[:m]), done.x[:m]), 0.0, scale.top)
    quantity = units * scale.unit
    cost = dot(problem.cost, quantity)
    proven = float("-inf") if bound is None else float(bound) * scale.cost_unit
    status: Status = "optimal" if cost - proven <= 1e-6 * max(scale.cost_unit, cost) else "feasible"
    return Solution(status, quantity, cost, min(proven, cost)), done.x[len(objective) - switches :]


def _dual(done: object, most: Floats, lower: Floats, upper: Floats) -> float:
    """The dual objective: equal to the primal at an optimum (strong duality), below it for every other solution."""

    def at(bounds: Floats, marginals: Floats) -> float:
        finite = np.isfinite(bounds)
        return dot(bounds[finite], marginals[finite])

    result: object = done
    return (
        dot(most, result.ineqlin.marginals)  # type: ignore[attr-defined]
        + at(lower, result.lower.marginals)  # type: ignore[attr-defined]
        + at(upper, result.upper.marginals)  # type: ignore[attr-defined]
    )


# --- VaR --------------------------------------------------------------------------------------------------------------


def cheapest_var(problem: HedgeProgramme, limit: float, measure: Callable[[Floats], float]) -> Solution:
    """The cheapest quantities with VaR <= limit, VaR read as the order statistic; `measure` gives it for P&L (n_scenarios,).

    `optimal` where the mixed integer programme was solved to its end; else `feasible`, or `infeasible` where nothing found
    gets there, with the lowest VaR that was found.
    """
    scale = _Scale.of(problem, limit)
    found = _search(problem, scale, limit, measure)
    low, high = _reach(problem, scale)
    always, may = low > limit, high > limit
    room = problem.tail - _MARGIN - float(problem.probabilities[always].sum())
    if room < 0.0:
        return _lowest(problem, scale, measure, proven=True)
    switched = np.flatnonzero(may & ~always)
    exact = None
    if len(switched) <= MOST_SWITCHES:
        exact = _var_programme(problem, scale, limit, switched, np.flatnonzero(always), room, high)
        if exact is None and found is None:
            return _lowest(problem, scale, measure, proven=True)
    best = min((s for s in (found, exact) if s is not None), key=lambda s: s.cost, default=None)
    if best is None:
        return _lowest(problem, scale, measure, proven=False)
    bound = 0.0 if exact is None else exact.bound
    status: Status = "optimal" if best.cost - bound <= 1e-6 * max(scale.cost_unit, best.cost) else "feasible"
    return Solution(status, best.quantity, best.cost, min(bound, best.cost))


def _reach(problem: HedgeProgramme, scale: _Scale) -> tuple[Floats, Floats]:
    """Least and greatest loss of each scenario over all quantities."""
    ends = -problem.moves * (scale.unit * scale.top)[:, None]
    return -problem.pnl + np.minimum(ends, 0.0).sum(axis=0), -problem.pnl + np.maximum(ends, 0.0).sum(axis=0)


def _var_programme(
    problem: HedgeProgramme,
    scale: _Scale,
    limit: float,
    switched: npt.NDArray[np.int64],
    always: npt.NDArray[np.int64],
    room: float,
    high: Floats,
) -> Solution | None:
    """Least cost with a switch for each scenario that may lose more than the limit, or not."""
    m, k, n = len(scale.unit), len(switched), len(problem.pnl)
    hedged = -(problem.moves[:, switched] * scale.unit[:, None]).T / scale.money
    excess = (high[switched] - limit) / scale.money  # what a scenario can lose at most beyond the limit
    below = sparse.hstack([sparse.csr_array(hedged), -sparse.diags_array(excess)], format="csr")
    counted = sparse.csr_array(np.concatenate([np.zeros(m), n * problem.probabilities[switched]])[None, :])
    solved = _solve(
        problem,
        scale,
        np.concatenate([scale.cost, np.zeros(k)]),
        sparse.vstack([below, counted], format="csr"),
        np.concatenate([(limit + problem.pnl[switched]) / scale.money, [n * room - _COUNT_MARGIN]]),
        np.zeros(m + k),
        np.concatenate([scale.top, np.ones(k)]),
        switches=k,
    )
    if solved is None:
        return None
    # a switch that is all but zero lets a little through: with the switches settled the quantities are exact
    gone = np.union1d(always, switched[solved[1] > 0.5])
    settled = _others_below(problem, scale, limit, np.setdiff1d(np.arange(n), gone))
    return None if settled is None else Solution("feasible", settled.quantity, settled.cost, solved[0].bound)


def _search(
    problem: HedgeProgramme, scale: _Scale, limit: float, measure: Callable[[Floats], float]
) -> Solution | None:
    """From the cheapest ES, the lowest ES and the book as it is: let the worst go, solve, and again while it gets cheaper."""
    best: Solution | None = None
    starts = [_es_programme(problem, scale, limit), _es_programme(problem, scale, None)]
    quantities = [np.zeros(len(scale.unit)), *(s.quantity for s in starts if s is not None)]
    for quantity in quantities:
        while True:
            found = _others_below(problem, scale, limit, _counted(problem, quantity))
            if found is None or measure(problem.after(found.quantity)) > limit + 1e-7 * scale.money:
                break
            better = best is None or found.cost < best.cost - 1e-9 * scale.cost_unit
            best = found if better else best
            if not better:
                break
            quantity = found.quantity
    return best


def _counted(problem: HedgeProgramme, quantity: Floats) -> npt.NDArray[np.int64]:
    """The scenarios that count in the VaR after these quantities: all but the worst ones that it overlooks."""
    order = np.argsort(problem.after(quantity), kind="stable")
    overlooked = np.cumsum(problem.probabilities[order]) < problem.tail - _MARGIN
    return np.sort(order[~overlooked])


def _others_below(problem: HedgeProgramme, scale: _Scale, limit: float, held: npt.NDArray[np.int64]) -> Solution | None:
    """Least cost with these scenarios at or below the limit, whatever the others lose. Its bound is of this choice only."""
    hedged = -(problem.moves[:, held] * scale.unit[:, None]).T / scale.money
    most = (limit + problem.pnl[held]) / scale.money
    zeros = np.zeros(len(scale.unit))
    solved = _solve(problem, scale, scale.cost, sparse.csr_array(hedged), most, zeros, scale.top)
    return None if solved is None else Solution("feasible", solved[0].quantity, solved[0].cost, float("-inf"))


def _lowest(problem: HedgeProgramme, scale: _Scale, measure: Callable[[Floats], float], *, proven: bool) -> Solution:
    """The lowest VaR found by halving the limit that can be met; its status says that the limit wanted cannot."""
    at_es = _es_programme(problem, scale, None)
    assert at_es is not None
    best = min((np.zeros(len(scale.unit)), at_es.quantity), key=lambda q: measure(problem.after(q)))
    high = measure(problem.after(best))
    low = high - scale.money
    for _ in range(24):
        middle = 0.5 * (low + high)
        found = _search(problem, scale, middle, measure)
        if found is None:
            low = middle
        else:
            best, high = found.quantity, min(middle, measure(problem.after(found.quantity)))
    cost = dot(problem.cost, best)
    return Solution("infeasible", best, cost, cost if proven else float("-inf"))
