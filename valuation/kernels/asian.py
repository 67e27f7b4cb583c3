"""Options on the average of a lognormal price over discrete days.

The average A is of N prices: P the sum of those that are known, and S_j of those to come, with forward prices F_j at times
t_j. The arithmetic average has the mean and variance

    m = (P + sum F_j) / N,  w = sum_j F_j (exp(sigma^2 t_j) - 1) (F_j + 2 sum_{k>j} F_k) / N^2,

and what is to come of it is taken as lognormal with both (Levy; Turnbull and Wakeman): with k = K - P/N, the option is that
of Black on m - P/N against k with variance ln(1 + w / (m - P/N)^2). Where k <= 0, a call pays for certain, and a put nothing.
The geometric average is lognormal: its option is Black's with the mean and variance of the sum of logarithms.
By simulation the geometric option on the prices to come is the control variate (Kemna and Vorst): the mean payoff over paths
and their mirror images is corrected by beta times what the mean of the control is off its known value, beta being the
regression of payoff on control over the same paths.
Sources: Levy, "Pricing European average rate currency options", Journal of International Money and Finance 11 (1992);
Turnbull and Wakeman, "A quick algorithm for pricing European average options", Journal of Financial and Quantitative Analysis
26 (1991); Kemna and Vorst, "A pricing method for options based on average asset values", Journal of Banking and Finance 14 (1990).
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Bools, Floats, Ints
from lake.compiled import compiled, inlined
from valuation.kernels.black import exchange
from valuation.kernels.elementary import exponential, logarithm, logarithm_of_one_and


@inlined
def _sound(spot: float, volatility: float, discount: float) -> bool:
    """Whether there is a value; NaN fails the comparisons."""
    return spot >= 0.0 and volatility >= 0.0 and discount > 0.0


@inlined
def _geometric(
    sign: float, strike: float, count: float, sum_log: float, sum_times: float, cross: float, volatility: float
) -> float:
    """What the option on a geometric average pays on average.

    sum_log : of the logarithms of known and forward prices; sum_times : of the times; cross : of min(t_j, t_k) over all pairs.
    """
    variance = volatility * volatility * cross / (count * count)
    mean = (sum_log - 0.5 * volatility * volatility * sum_times) / count
    return exchange(sign, exponential(mean + 0.5 * variance), strike, math.sqrt(variance))


@compiled
def _average_options(
    sign: Floats,
    geometric: Bools,
    strike: Floats,
    count: Floats,
    past: Floats,
    today: Floats,
    offsets: Ints,
    times: Floats,
    carried: Floats,
    columns: Ints,
    matrix: Floats,
    spot: Floats,
    volatility: Floats,
    discount: Floats,
) -> Floats:
    n, m = spot.shape
    out = np.empty((n, m))
    later, spread = np.empty(m), np.empty(m)
    for i in range(n):
        begin, end = offsets[i], offsets[i + 1]
        sum_times = cross = 0.0
        later[:] = 0.0
        spread[:] = 0.0
        for j in range(end - 1, begin - 1, -1):
            time, carry, column = times[j], carried[j], columns[j]
            sum_times += time
            cross += time * (2.0 * (end - j) - 1.0)  # times ascend
            if geometric[i]:
                for s in range(m):
                    later[s] += logarithm(spot[i, s] * carry / matrix[column, s])
            else:
                for s in range(m):
                    forward = spot[i, s] * carry / matrix[column, s]
                    grown = exponential(volatility[i, s] * volatility[i, s] * time) - 1.0
                    spread[s] += forward * grown * (forward + 2.0 * later[s])
                    later[s] += forward
        side, limit, prices, known, now = sign[i], strike[i], count[i], past[i], today[i]
        if geometric[i]:
            for s in range(m):
                logs = known + later[s] + (logarithm(spot[i, s]) if now > 0.0 else 0.0)
                paid = _geometric(side, limit, prices, logs, sum_times, cross, volatility[i, s])
                sound = _sound(spot[i, s], volatility[i, s], discount[i, s])
                out[i, s] = discount[i, s] * paid if sound else math.nan
        else:
            for s in range(m):
                left = limit - (known + now * spot[i, s]) / prices
                mean = later[s] / prices
                ratio = spread[s] / (later[s] * later[s]) if later[s] > 0.0 else 0.0
                option = exchange(side, mean, left, math.sqrt(logarithm_of_one_and(ratio)))
                certain = mean - left if side > 0.0 else 0.0
                sound = _sound(spot[i, s], volatility[i, s], discount[i, s])
                out[i, s] = discount[i, s] * (option if left > 0.0 else certain) if sound else math.nan
    return out


def average_options(
    sign: Floats,
    geometric: Bools,
    strike: Floats,
    count: Floats,
    past: Floats,
    today: Floats,
    offsets: Ints,
    times: Floats,
    carried: Floats,
    columns: Ints,
    matrix: Floats,
    spot: Floats,
    volatility: Floats,
    discount: Floats,
) -> Floats:
    """Values under every market state, shape (n_options, n_states), the arithmetic average by matching its two moments.

    sign, geometric, strike, count, past, today : (n_options,) +1 call or -1 put; which average; strike; prices in the
    average; sum of the known ones, of their logarithms for a geometric average; 1 where today's price belongs to it, else 0.
    Option i has the days offsets[i] to offsets[i+1] to come: times, carried, columns : (n_days,) years, ascending and positive;
    exp(-yield x time); row of `matrix` (n_dates, n_states), the discount factors of the distinct days.
    spot, volatility, discount : (n_options, n_states); the discount factor is that of payment.
    NaN for a negative spot price or volatility, and a discount factor that is not positive.
    """
    return _average_options(
        sign,
        geometric,
        strike,
        count,
        past,
        today,
        offsets,
        times,
        carried,
        columns,
        matrix,
        spot,
        volatility,
        discount,
    )


@compiled
def simulated_average_option(
    sign: float,
    strike: float,
    count: float,
    past: float,
    today: float,
    times: Floats,
    carried: Floats,
    factors: Floats,
    moves: Floats,
    spot: Floats,
    volatility: Floats,
    discount: Floats,
) -> tuple[Floats, Floats]:
    """Values of one option on an arithmetic average, (n_states,), and their standard errors, (n_states,), by simulation.

    Arguments as of `average_options`; factors : (n_days, n_states) discount factors of its days to come; moves : (n_paths,
    n_days) Brownian paths at these times, each taken with both signs, and the same in every state.
    """
    paths, n = moves.shape
    values, errors = np.empty(len(spot)), np.zeros(len(spot))
    cross, sum_times = 0.0, 0.0
    for j in range(n):
        cross += times[j] * (2.0 * (n - j) - 1.0)
        sum_times += times[j]
    drift = np.empty(n)
    for s in range(len(spot)):
        price, vol = spot[s], volatility[s]
        if not _sound(price, vol, discount[s]):
            values[s] = math.nan
            continue
        mean = sum_log = 0.0
        for j in range(n):
            forward = price * carried[j] / factors[j, s]
            mean += forward / count
            drift[j] = math.log(forward)
            sum_log += drift[j]
            drift[j] -= 0.5 * vol * vol * times[j]
        left = strike - (past + today * price) / count
        if not (left > 0.0 and mean > 0.0):
            values[s] = discount[s] * max(sign * (mean - left), 0.0)
            continue
        weight = n / count  # of the average of the prices to come
        sums = np.zeros(5)  # of the payoff, of the control, and of their products
        for p in range(paths):
            payoff = control = 0.0
            for mirror in (0.5, -0.5):
                summed = logs = 0.0
                for j in range(n):
                    x = drift[j] + 2.0 * mirror * vol * moves[p, j]
                    summed += math.exp(x)
                    logs += x
                payoff += 0.5 * max(sign * (summed / count - left), 0.0)
                control += 0.5 * max(sign * (weight * math.exp(logs / n) - left), 0.0)
            sums[0] += payoff
            sums[1] += control
            sums[2] += payoff * payoff
            sums[3] += payoff * control
            sums[4] += control * control
        sums /= paths
        var, cov, var_control = sums[2] - sums[0] ** 2, sums[3] - sums[0] * sums[1], sums[4] - sums[1] ** 2
        beta = cov / var_control if var_control > 0.0 else 1.0
        known = weight * _geometric(sign, left / weight, float(n), sum_log, sum_times, cross, vol)
        values[s] = discount[s] * (sums[0] + beta * (known - sums[1]))
        errors[s] = discount[s] * math.sqrt(max(var - beta * cov, 0.0) / (paths - 1.0))
    return values, errors
