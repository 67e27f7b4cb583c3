"""American options on an asset with a continuous yield, by the exercise boundary: no grid, no noise.

An American put is the European one plus what early exercise brings (Kim 1990). With K the strike, B(u) the price at or below
which it is exercised when u is left, d- and d+ those of Black-Scholes,

    P(S, T) = p(S, T) + integral over u in [0, T] of r K exp(-ru) N(-d-(u, S/B(T-u))) - q S exp(-qu) N(-d+(u, S/B(T-u))).

The boundary solves B(u) = K exp(-(r-q)u) N(u, B) / D(u, B). It is found on Chebyshev nodes in the root of time, as the square of
ln(B/B(0+)), by fixed-point iteration (Andersen, Lake and Offengenden 2016, "High-performance American option pricing", J. Comp.
Finance 20): their system A on nodes near expiry, B, which keeps still where rates outweigh volatility, on the others. A call is
the put with S and K, and r and q, exchanged (McDonald and Schroder 1998). Against QuantLib's engine of highest precision the
largest difference is some 1e-7 of the strike.

Where exercise pays (put; for a call exchange r and q):
- r <= 0 and q >= r: never, it is the European option, to the last bit;
- q < r < 0: between two boundaries, in the money but not too deep. That region is solved on a grid of finite differences
  (Crank-Nicolson, operator splitting of Ikonen and Toivanen 2004), the European option on the same grid as control variate;
  the error is below 1e-5 of the strike;
- else below one boundary.

The boundary depends on rT, qT and sigma sqrt(T) alone: states that share them share it, and a price is then one integral.
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Floats, Ints
from lake.compiled import compiled
from valuation.kernels.black import exchange
from valuation.kernels.elementary import bell, exponential, logarithm, normal, normal_beside

_ONE_OVER_ROOT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)

_NODES, _INNER, _OUTER = 12, 16, 32  # of the boundary; of the integrals of its equation; of the price
_ITERATIONS = 40  # at the most
_SAME = 1e-6  # standard deviations by which an iteration that ends may still move the boundary
_SYSTEM_B = 1.0  # from this many standard deviations on that r, or r - q, comes to
_NEGLIGIBLE = 1e-14  # early exercise brings at most r T of the strike
_STILL = 1e-8  # a standard deviation so small that the price moves on its forward
_CALM = 0.01  # a standard deviation below which the integral may miss what the best day on the forward is worth
_GRID, _STEPS = 200, 200  # nodes on either side of the strike, and steps in time, of finite differences
_GRID_STILL = 1e-3  # standard deviation below which they are not used


def _gauss_legendre(n: int) -> tuple[Floats, Floats]:
    """Nodes and weights (n,) on [-1, 1], ascending; by Newton's method on the polynomial, without a linear-algebra library."""
    nodes, weights = [], []
    for k in range(n, 0, -1):
        x = math.cos(math.pi * (k - 0.25) / (n + 0.5))
        for _ in range(10):
            before, value = 1.0, x
            for j in range(2, n + 1):
                before, value = value, ((2 * j - 1) * x * value - (j - 1) * before) / j
            slope = n * (x * value - before) / (x * x - 1.0)
            x -= value / slope
        nodes.append(x)
        weights.append(2.0 / ((1.0 - x * x) * slope * slope))
    return np.array(nodes), np.array(weights)


def _interpolation(nodes: Floats, at: Floats) -> Floats:
    """Weights of the values at Chebyshev nodes in the polynomial at other points, shape (len(nodes), *at.shape)."""
    signs: Floats = np.where(np.arange(len(nodes)) % 2, -1.0, 1.0)
    signs[[0, -1]] *= 0.5
    terms = signs.reshape(-1, *[1] * at.ndim) / (at - nodes.reshape(-1, *[1] * at.ndim))
    weights: Floats = terms / np.add.accumulate(terms)[-1]
    return weights


def _angles(n: int) -> tuple[Floats, Floats, Floats]:
    """Cosine and sine of the nodes of an integral over [0, 1] in u = cos^2, and its weights: both ends are smooth in the angle."""
    x, weights = _gauss_legendre(n)
    angles = (math.pi / 4 * (1 + x)).tolist()
    cosine, sine = np.array([math.cos(a) for a in angles]), np.array([math.sin(a) for a in angles])
    return cosine, sine, math.pi / 2 * weights * sine * cosine


_ROOTS = np.array(
    [0.5 - 0.5 * math.cos(math.pi * k / _NODES) for k in range(_NODES + 1)]
)  # roots of time, of a life of 1
_COS, _SIN, _WEIGHTS = _angles(_INNER)
# Flat arrays of the nodes but expiry, times those of the integral and the node itself, in whose place stand a cosine of 1 and no
# weight; what belongs to one node of the integral lies side by side, so that loops run on several nodes at once.
_ROOT_OF, _COS_OF = np.tile(_ROOTS[1:], _INNER + 1), np.repeat([*_COS, 1.0], _NODES)
_SIN_OF, _WEIGHT_OF = np.repeat([*_SIN, 0.0], _NODES), np.repeat([*_WEIGHTS, 0.0], _NODES)
_TO_INNER = _interpolation(_ROOTS, (_ROOT_OF * _SIN_OF)[:-_NODES])  # weights of all nodes
_COS_OUT, _SIN_OUT, _WEIGHTS_OUT = _angles(_OUTER)
_TO_OUTER = _interpolation(_ROOTS, _SIN_OUT)


@compiled
def _first_guess(r: float, q: float, v: float, log_top: float) -> Floats:
    """Squares of ln(B/B(0+)) at the nodes: an exponential between B(0+) and the perpetual boundary (Bjerksund and Stensland 1993)."""
    top = math.exp(log_top)
    a = r - q - 0.5 * v * v
    exponent = (-a - math.sqrt(a * a + 2.0 * r * v * v)) / (v * v)
    perpetual = exponent / (exponent - 1.0)
    squares = np.zeros(_NODES + 1)
    for i in range(1, _NODES + 1):
        root = _ROOTS[i]
        decay = min((r - q) * root * root - 2.0 * v * root, 0.0) * top / (top - perpetual)
        squares[i] = (log_top - math.log(perpetual + (top - perpetual) * math.exp(decay))) ** 2
    return squares


@compiled
def _boundary(r: float, q: float, v: float) -> tuple[float, Floats]:
    """ln(B(0+)/K), and the squares of ln(B/B(0+)) at the nodes (n_nodes + 1,), of a put that lives for 1; v its standard deviation."""
    log_top = math.log(r / q) if 0.0 < r < q else 0.0
    drift = r - q
    squares = _first_guess(r, q, v, log_top)
    size, nodes = len(_ROOT_OF), len(squares) - 1
    inner = size - nodes
    per, half, lean, depths, own, reach = np.empty((6, size))
    # how much the normal distribution and the density count, below at d- and above at d+
    of_lower, by_lower, of_upper, by_upper = np.empty((4, size))
    strike, asset = np.empty((2, size))
    for f in range(size):
        root, x = _ROOT_OF[f], _ROOT_OF[f] * _COS_OF[f]
        past, weight = (root * _SIN_OF[f]) ** 2, root * root * _WEIGHT_OF[f]
        per[f], half[f], lean[f] = 1.0 / (v * x), 0.5 * v * x, drift * x * x
        of_strike, of_asset = r * exponential(r * past) * weight, q * exponential(q * past) * weight
        of_strike, of_asset = (of_strike, of_asset) if f < inner else (1.0, 1.0)
        by_normal = max(r, abs(drift)) * root > _SYSTEM_B * v
        density = _ONE_OVER_ROOT_TWO_PI * per[f]
        of_lower[f], of_upper[f] = of_strike if by_normal else 0.0, of_asset
        by_lower[f], by_upper[f] = (0.0, 0.0) if by_normal else (of_strike * density, of_asset * density)
        reach[f] = log_top
    depth, above, below, new = np.empty((4, nodes))
    for _ in range(_ITERATIONS):
        for i in range(nodes):
            depth[i] = math.sqrt(squares[i + 1])
        for f in range(inner):
            depths[f] = 0.0
        for j in range(1, nodes + 1):
            square = squares[j]
            for f in range(inner):
                depths[f] += _TO_INNER[j, f] * square
        for f in range(inner):
            reach[f] = math.sqrt(max(depths[f], 0.0))
        for k in range(0, size, nodes):
            for i in range(nodes):
                own[k + i] = depth[i]
        for f in range(size):
            d = (reach[f] - own[f] + lean[f]) * per[f]
            low, high = bell(abs(d - half[f])), bell(abs(d + half[f]))
            strike[f] = of_lower[f] * normal_beside(d - half[f], low) + by_lower[f] * low
            asset[f] = of_upper[f] * normal_beside(d + half[f], high) + by_upper[f] * high
        for i in range(nodes):
            above[i], below[i] = strike[inner + i], asset[inner + i]
        for k in range(0, inner, nodes):
            for i in range(nodes):
                above[i] += strike[k + i]
                below[i] += asset[k + i]
        for i in range(nodes):
            deeper = log_top - logarithm(above[i] / below[i]) + drift * _ROOTS[i + 1] ** 2
            new[i] = 0.0 if deeper < 0.0 else deeper  # NaN goes on
        moved = 0.0
        for i in range(nodes):
            moved = max(moved, abs(new[i] - depth[i]))
            squares[i + 1] = new[i] * new[i]
        if moved <= _SAME * v:
            break
    return log_top, squares


@compiled
def _integrand(r: float, q: float, v: float) -> tuple[float, Floats]:
    """ln(B(T)/K), and what the integral of the price needs at each of its nodes, (6, n): 1 / (v sqrt(u)), d- and d+ of S = K,
    the weights of K and of S, and room for its terms."""
    log_top, squares = _boundary(r, q, v)
    needs = np.empty((6, _OUTER))
    for k in range(_OUTER):
        square = 0.0
        for j in range(_NODES + 1):
            square += _TO_OUTER[j, k] * squares[j]
        x = _COS_OUT[k]
        d = (math.sqrt(max(square, 0.0)) - log_top + (r - q) * x * x) / (v * x)
        needs[0, k] = 1.0 / (v * x)
        needs[1, k], needs[2, k] = d - 0.5 * v * x, d + 0.5 * v * x
        needs[3, k] = _WEIGHTS_OUT[k] * r * math.exp(-r * x * x)
        needs[4, k] = _WEIGHTS_OUT[k] * q * math.exp(-q * x * x)
    return log_top - math.sqrt(squares[_NODES]), needs


@compiled
def _premium(needs: Floats, log_price: float, yields: bool) -> float:
    """What early exercise brings, per unit of strike, at ln(S/K)."""
    asset = math.exp(log_price)
    for k in range(_OUTER):
        minus = -log_price * needs[0, k] - needs[1, k]
        needs[5, k] = needs[3, k] * normal(minus)
    if yields:
        for k in range(_OUTER):
            plus = -log_price * needs[0, k] - needs[2, k]
            needs[5, k] -= asset * needs[4, k] * normal(plus)
    premium = 0.0
    for k in range(_OUTER):
        premium += needs[5, k]
    return premium


@compiled
def _solve(lower: float, middle: float, upper: float, one: Floats, two: Floats, scratch: Floats) -> None:
    """Solves in place two tridiagonal systems of the same constant rows; the first and last values are given."""
    n = len(one)
    scratch[0] = 0.0
    for i in range(1, n - 1):
        inverse = 1.0 / (middle - lower * scratch[i - 1])
        scratch[i] = upper * inverse
        one[i] = (one[i] - lower * one[i - 1]) * inverse
        two[i] = (two[i] - lower * two[i - 1]) * inverse
    for i in range(n - 2, 0, -1):
        one[i] -= scratch[i] * one[i + 1]
        two[i] -= scratch[i] * two[i + 1]


@compiled
def _grid_premium(r: float, q: float, v: float) -> tuple[float, float, Floats]:
    """Lowest ln(S/K), the step and what early exercise brings per unit of strike on that grid, of a put with q < r < 0."""
    drift = r - q - 0.5 * v * v
    step = (6.0 * v + abs(drift)) / _GRID
    left = _GRID + int(min(math.log(q / r), 2.0) / step)
    n = left + _GRID + 1
    lowest = -left * step
    payoff, european, american = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        payoff[i] = 1.0 - math.exp(lowest + i * step)
        european[i] = american[i] = max(payoff[i], 0.0)
    push, scratch, before, held = np.zeros(n), np.empty(n), np.empty(n), np.empty(n)
    diffusion, slope = 0.5 * (v / step) ** 2, 0.5 * drift / step
    down, stay, up = diffusion - slope, -2.0 * diffusion - r, diffusion + slope
    time = 0.0
    for k in range(1, _STEPS + 1):
        # steps grow from expiry, where the boundary moves fast; the first are implicit (Rannacher)
        dt = (k / _STEPS) ** 2 - time
        implicit = 1.0 if k <= 4 else 0.5
        time += dt
        edge = math.exp(-r * time) - math.exp(lowest - q * time)
        explicit, share = dt * (1.0 - implicit), dt * implicit
        for i in range(n):
            before[i], held[i] = european[i], american[i]
        for i in range(1, n - 1):
            european[i] += explicit * (down * before[i - 1] + stay * before[i] + up * before[i + 1])
            american[i] += explicit * (down * held[i - 1] + stay * held[i] + up * held[i + 1]) + dt * push[i]
        european[0], american[0] = edge, max(edge, payoff[0])
        european[n - 1] = american[n - 1] = 0.0
        _solve(-share * down, 1.0 - share * stay, -share * up, european, american, scratch)
        for i in range(1, n - 1):
            free = american[i] - dt * push[i]
            push[i] = max(push[i] + (payoff[i] - american[i]) / dt, 0.0)
            american[i] = max(free, payoff[i])
    for i in range(n):
        american[i] -= european[i]
    return lowest, step, american


@compiled
def _interpolated(lowest: float, step: float, values: Floats, x: float) -> float:
    """Cubic between four nodes; zero outside of the grid."""
    place = (x - lowest) / step
    if not 0.0 <= place <= len(values) - 1:
        return 0.0
    i = min(max(int(place), 1), len(values) - 3)
    a = place - i
    between: float = (
        -a * (a - 1.0) * (a - 2.0) / 6.0 * values[i - 1]
        + (a + 1.0) * (a - 1.0) * (a - 2.0) / 2.0 * values[i]
        - (a + 1.0) * a * (a - 2.0) / 2.0 * values[i + 1]
        + (a + 1.0) * a * (a - 1.0) / 6.0 * values[i + 2]
    )
    return between


@compiled
def _best_of_known_path(r: float, q: float, asset: float, cash: float) -> float:
    """The most that a put (cash against asset) pays when the asset moves on its forward: now, at the end or at its best between."""
    best = max(cash - asset, cash * math.exp(-r) - asset * math.exp(-q))
    if q != r and q * asset * r * cash > 0.0:
        time = math.log(q * asset / (r * cash)) / (q - r)
        if 0.0 < time < 1.0:
            best = max(best, cash * math.exp(-r * time) - asset * math.exp(-q * time))
    return best


@compiled
def _states(
    sign: float, strike: float, root_time: float, spot: Floats, volatility: Floats, discount: Floats, carried: Floats,
    order: Ints, out: Floats,
) -> None:  # fmt: skip
    """Values of one contract; `order` runs through states that share a boundary one after the other."""
    shared = -1  # the state that what follows was made for
    critical, lowest, step = 0.0, 0.0, 1.0
    needs, premiums = np.empty((6, 0)), np.empty(0)
    for s in order:
        european = exchange(sign, spot[s] * carried[s], strike * discount[s], volatility[s] * root_time)
        r, q, v = -math.log(discount[s]), -math.log(carried[s]), volatility[s] * root_time
        asset, cash = spot[s], strike
        if sign > 0.0:
            r, q, asset, cash = q, r, cash, asset
        out[s] = european
        if not (asset > 0.0 and cash > 0.0 and abs(r) + abs(q) < np.inf and v < np.inf):
            if spot[s] == 0.0:
                out[s] = max(european, -sign * strike)
            continue
        if math.isnan(european) or (r <= _NEGLIGIBLE and q >= r):
            continue
        two = r < 0.0
        if v < (_GRID_STILL if two else _STILL):
            out[s] = max(european, _best_of_known_path(r, q, asset, cash))
            continue
        if (
            shared < 0
            or discount[s] != discount[shared]
            or carried[s] != carried[shared]
            or volatility[s] != volatility[shared]
        ):
            shared = s
            if two:
                lowest, step, premiums = _grid_premium(r, q, v)
            else:
                critical, needs = _integrand(r, q, v)
        x = math.log(asset / cash)
        if two:
            value = european + cash * _interpolated(lowest, step, premiums, x)
        elif x <= critical:
            value = cash - asset
        elif math.isnan(critical):  # so little volatility that every density is zero
            value = european
        else:
            value = european + cash * _premium(needs, x, q != 0.0)
        out[s] = max(value, european, _best_of_known_path(r, q, asset, cash) if v < _CALM else cash - asset)


@compiled
def _contracts(
    sign: Floats, strike: Floats, root_time: Floats, spot: Floats, volatility: Floats, discount: Floats, carried: Floats,
    order: Ints,
) -> Floats:  # fmt: skip
    out = np.empty(spot.shape)
    for i in range(len(sign)):
        _states(sign[i], strike[i], root_time[i], spot[i], volatility[i], discount[i], carried[i], order[i], out[i])
    return out


def american_options(
    sign: Floats, carried: Floats, strike: Floats, time: Floats, spot: Floats, volatility: Floats, discount: Floats
) -> Floats:
    """Values of American options under every market state, shape (n_options, n_states).

    sign, strike, time : (n_options,) +1 call or -1 put; strike; years to expiry. carried, spot, volatility, discount :
    (n_options, n_states) present value of one asset delivered at expiry per unit of spot (exp(-qT)); price; lognormal
    volatility; discount factor to expiry (exp(-rT)). Rates are flat to expiry. On the last day the intrinsic value, without
    volatility the best of exercising now, at expiry or between on the forward. NaN where `black.european_options` has it.
    """
    order: Ints = np.lexsort((volatility, carried, discount))
    return _contracts(sign, strike, np.sqrt(time), spot, volatility, discount, carried, order)


def exercise_boundary(sign: float, r: float, q: float, v: float, left: Floats) -> Floats:
    """Price per unit of strike from which a call (sign +1) or put (-1) is exercised with `left` of its life left, shape (n,).

    r, q : rate and yield, v : standard deviation, all over a whole life of 1; left : within 0 to 1. Zero where there is no
    such price, as for a European option, or not one alone.
    """
    if sign > 0:
        r, q = q, r
    if r < 0.0 or (r <= _NEGLIGIBLE and q >= r) or v < _STILL:
        return np.zeros(len(left))
    log_top, squares = _boundary(r, q, v)
    roots: Floats = np.sqrt(left)
    at_node = np.argmin(np.abs(roots[:, None] - _ROOTS), axis=1)
    off = _ROOTS[at_node] != roots
    values = squares[at_node]
    values[off] = (_interpolation(_ROOTS, roots[off]) * squares[:, None]).sum(axis=0)
    prices: Floats = np.exp(-sign * (log_top - np.sqrt(np.maximum(values, 0.0))))
    return prices
