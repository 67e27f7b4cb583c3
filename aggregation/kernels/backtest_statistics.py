"""Kernel: tests of VaR and ES against what happened, and of one P&L against another. NumPy and SciPy alone.

Exceptions come in as bool of shape (n_days,), in the order of the days: True where the loss is greater than the VaR, strictly.
P&L has gains positive, VaR and ES have losses positive. `p` is 1 - level, the probability of an exception. In every likelihood
0 log 0 is 0. Each test says what it is sided to: `two-sided` rejects too few exceptions as well as too many, `upper` too many
alone, `lower` losses beyond VaR that are worse than the ES foresaw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import kolmogorov, xlog1py, xlogy

from aggregation.answer import Answer, shown
from lake.arrays import Bools, Floats

Sidedness = Literal["two-sided", "upper", "lower"]
Zone = Literal["green", "amber", "red"]

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class StatisticalTest(Answer):
    """A test's result. `statistic` and `p_value` are None where the test is not defined, and `why` says so.

    rejected : p_value < significance. details : what else the test says, by name.
    """

    test: str
    statistic: float | None
    p_value: float | None
    sided: Sidedness
    source: str
    significance: float = SIGNIFICANCE
    details: Mapping[str, Any] = field(default_factory=dict)
    why: str | None = None

    @property
    @shown("rejected")
    def rejected(self) -> bool | None:
        return None if self.p_value is None else self.p_value < self.significance


# --- how many exceptions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrafficLightRules:
    """What a regulator prescribes. amber_from, red_from : cumulative probabilities of the count. plus_factors, multipliers : by exceptions,
    the last for its count and more; of so many `days` at `level`."""

    amber_from: float
    red_from: float
    days: int
    level: float
    plus_factors: tuple[float, ...]
    multipliers: tuple[float, ...]


@dataclass(frozen=True)
class TrafficLight(Answer):
    """Basel's zones. `probability` of this count or fewer, `type_1` of this count or more, when the model is right.

    `plus_factor` (1996) and `multiplier` (FRTB) are the tables for 250 days at 0.99; None for other days and levels.
    """

    zone: Zone
    days: int
    exceptions: int
    probability: float
    type_1: float
    plus_factor: float | None
    multiplier: float | None


def traffic_light(days: int, exceptions: int, p: float, rules: TrafficLightRules) -> TrafficLight:
    """Green below a cumulative probability of 95%, red from 99.99% on, amber (yellow) between.

    Of few days even no exception, or the first, may have such a probability: no exception is green all the same, and the first
    count that is not green is amber. Over 250 days at 0.99 that changes nothing.

    Source: Basel Committee (1996), Supervisory framework for the use of backtesting; multipliers of MAR32.9.
    """
    probability = float(stats.binom.cdf(exceptions, days, p))
    fewer = float(stats.binom.cdf(exceptions - 1, days, p))
    zone: Zone = "amber"
    if exceptions == 0 or probability < rules.amber_from:
        zone = "green"
    elif probability >= rules.red_from and exceptions > 1 and fewer >= rules.amber_from:
        zone = "red"
    tabled = days == rules.days and math.isclose(p, 1 - rules.level)
    return TrafficLight(
        zone,
        days,
        exceptions,
        probability,
        float(stats.binom.sf(exceptions - 1, days, p)),
        _of_count(rules.plus_factors, exceptions) if tabled else None,
        _of_count(rules.multipliers, exceptions) if tabled else None,
    )


def _of_count(table: tuple[float, ...], exceptions: int) -> float:
    return table[min(exceptions, len(table) - 1)]


def binomial(days: int, exceptions: int, p: float, significance: float = SIGNIFICANCE) -> StatisticalTest:
    """z = (x - np) / sqrt(np(1 - p)) against the normal law; the exact tail beside it. Jorion, Value at Risk, ch. 6."""
    z = (exceptions - days * p) / math.sqrt(days * p * (1 - p))
    exact = {"exact_p_value_upper": float(stats.binom.sf(exceptions - 1, days, p))}
    return StatisticalTest("binomial", z, 2 * float(stats.norm.sf(abs(z))), "two-sided", "Jorion", significance, exact)


def kupiec(days: int, exceptions: int, p: float, significance: float = SIGNIFICANCE) -> StatisticalTest:
    """Proportion of failures: likelihood ratio of p against x / n, chi-squared with 1 degree. Kupiec (1995), J. of Derivatives."""
    ratio = _pof(days, exceptions, p)
    low, high = kupiec_region(days, p, significance)
    details = {"degrees": 1, "not_rejected_from": low, "not_rejected_to": high}
    return StatisticalTest("kupiec", ratio, _chi2(ratio, 1), "two-sided", "Kupiec (1995)", significance, details)


def kupiec_region(days: int, p: float, significance: float = SIGNIFICANCE) -> tuple[int, int] | tuple[None, None]:
    """Least and greatest count of exceptions that the two-sided test does not reject; None where it rejects every count."""
    counts = np.arange(days + 1)
    kept = np.flatnonzero(_pof(days, counts, p) <= stats.chi2.isf(significance, 1))
    return (int(kept[0]), int(kept[-1])) if len(kept) else (None, None)


def _pof(n: int, x: Any, p: float) -> Any:
    ratio = -2 * (_log_likelihood(n - x, x, p) - _log_likelihood(n - x, x, x / n))
    return ratio if isinstance(ratio, np.ndarray) else _positive(ratio)


def _log_likelihood(misses: Any, hits: Any, p: Any) -> Any:
    return xlog1py(misses, -p) + xlogy(hits, p)


def _positive(ratio: Any) -> float:
    """A likelihood ratio is not negative; rounding may make it so."""
    return max(0.0, float(ratio))


def _chi2(statistic: float, degrees: float) -> float:
    return float(stats.chi2.sf(statistic, degrees))


# --- when they come --------------------------------------------------------------------------------------------------


def transitions(hits: Bools) -> tuple[int, int, int, int]:
    """Pairs of days by whether the first and the second has an exception: n00, n01, n10, n11."""
    before, after = hits[:-1], hits[1:]
    return tuple(int((a & b).sum()) for a in (~before, before) for b in (~after, after))  # type: ignore[return-value]


def christoffersen(hits: Bools, significance: float = SIGNIFICANCE) -> StatisticalTest:
    """Independence of one day's exception from the day before's, chi-squared with 1 degree."""
    return independence(*transitions(hits), significance=significance)


def independence(n00: int, n01: int, n10: int, n11: int, *, significance: float = SIGNIFICANCE) -> StatisticalTest:
    """Christoffersen's test from the counts of pairs of days. Christoffersen (1998), Int. Economic Review 39."""
    quiet, hit, total = n00 + n01, n10 + n11, n00 + n01 + n10 + n11
    counts = {"degrees": 1, "n00": n00, "n01": n01, "n10": n10, "n11": n11}
    name, source = "christoffersen_independence", "Christoffersen (1998)"
    if not total:
        return StatisticalTest(name, None, None, "two-sided", source, significance, counts, "fewer than two days")
    after_quiet, after_hit = n01 / max(quiet, 1), n11 / max(hit, 1)
    alike = _log_likelihood(n00 + n10, n01 + n11, (n01 + n11) / total)
    apart = _log_likelihood(n00, n01, after_quiet) + _log_likelihood(n10, n11, after_hit)
    ratio = _positive(-2 * (alike - apart))
    details = {**counts, "after_no_exception": after_quiet, "after_exception": after_hit if hit else None}
    return StatisticalTest(name, ratio, _chi2(ratio, 1), "two-sided", source, significance, details)


def conditional_coverage(count: StatisticalTest, pairs: StatisticalTest) -> StatisticalTest:
    """Christoffersen's joint test: Kupiec's ratio and that of independence added, chi-squared with 2 degrees."""
    name, source = "christoffersen_joint", "Christoffersen (1998)"
    if count.statistic is None or pairs.statistic is None:
        return StatisticalTest(name, None, None, "two-sided", source, count.significance, why=pairs.why)
    ratio = count.statistic + pairs.statistic
    return StatisticalTest(name, ratio, _chi2(ratio, 2), "two-sided", source, count.significance, {"degrees": 2})


def first_failure(hits: Bools, p: float, significance: float = SIGNIFICANCE) -> StatisticalTest:
    """Time until the first exception, chi-squared with 1 degree; Kupiec (1995). Without any, all days passed without one."""
    found = np.flatnonzero(hits)
    first = int(found[0]) + 1 if len(found) else None
    ratio = _waiting(first, p) if first else _positive(-2 * xlog1py(len(hits), -p))
    return StatisticalTest(
        "time_until_first_failure",
        ratio,
        _chi2(ratio, 1),
        "two-sided",
        "Kupiec (1995)",
        significance,
        {"degrees": 1, "first_failure": first},
    )


def time_between_failures(hits: Bools, p: float, significance: float = SIGNIFICANCE) -> StatisticalTest:
    """Haas' test: Kupiec's ratio for the wait before every exception, and for their count, together.

    Chi-squared with x + 1 degrees; without the count (`independence`) with x. Haas (2001), New methods in backtesting.
    """
    waits = np.diff(np.flatnonzero(hits), prepend=-1).tolist()
    alone = math.fsum(_waiting(w, p) for w in waits)
    ratio = alone + _pof(len(hits), len(waits), p)
    details = {
        "degrees": len(waits) + 1,
        "independence": alone if waits else None,
        "independence_p_value": _chi2(alone, len(waits)) if waits else None,
        "shortest": min(waits, default=None),
        "median": float(np.median(waits)) if waits else None,
        "longest": max(waits, default=None),
    }
    return StatisticalTest(
        "time_between_failures", ratio, _chi2(ratio, len(waits) + 1), "two-sided", "Haas (2001)", significance, details
    )


def _waiting(days: int, p: float) -> float:
    """Likelihood ratio of p against 1 / days, for an exception on the last of so many days."""
    return _positive(-2 * (_log_likelihood(days - 1, 1, p) - _log_likelihood(days - 1, 1, 1 / days)))


# --- how bad they are ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TailOutcomes:
    """A day's P&L distribution in units of its ES: the chance and the size of each outcome beyond VaR.

    `cumulative` (n_tail,) ascending, ending at the chance of any exception; `size` (n_tail,) P&L / ES, negative.
    """

    cumulative: Floats
    size: Floats


def tail_of(pnl: Floats, var: float, es: float, weights: Floats | None = None) -> TailOutcomes:
    """The outcomes beyond VaR among a day's scenarios (n_scenarios,), of equal probability unless weights are given.

    Empty where the ES is no loss: P&L cannot be told in units of it.
    """
    if not es > 0:
        return TailOutcomes(np.empty(0), np.empty(0))
    beyond = np.flatnonzero(-pnl > var)
    chance = np.full(len(beyond), 1 / len(pnl)) if weights is None else weights[beyond] / math.fsum(weights)
    return TailOutcomes(np.cumsum(chance), pnl[beyond] / es)


def acerbi_szekely(
    pnl: Floats,
    var: Floats,
    es: Floats,
    p: float,
    null: Callable[[np.random.Generator, int], tuple[Floats, Floats]],
    law: str,
    *,
    simulations: int = 10_000,
    seed: int = 1,
    significance: float = SIGNIFICANCE,
) -> tuple[StatisticalTest, StatisticalTest]:
    """Z1 (given an exception, is its loss as foreseen) and Z2 (count and size together), both about 0 and lower when worse.

    Z1 = sum(X I / ES) / N + 1 and Z2 = sum(X I / ES) / (T p) + 1, with X the P&L, I its exceptions, N their number, T days.
    P-values are the share of simulations under `null` that are as low: `of_scenarios`, `normal_tail` or `student_tail`;
    `law` names it. Acerbi and Szekely (2014), Back-testing expected shortfall, Risk.
    """
    hits = -pnl > var
    days, count = len(pnl), int(hits.sum())
    total = math.fsum((pnl[hits] / es[hits]).tolist())
    sums, counts = null(np.random.default_rng(seed), simulations)
    told = {"law": law, "simulations": simulations, "seed": seed, "exceptions": count}
    with np.errstate(invalid="ignore"):  # a simulation without an exception has no Z1
        scores = {
            "acerbi_szekely_z1": (total / count + 1 if count else None, sums / counts + 1),
            "acerbi_szekely_z2": (total / (days * p) + 1, sums / (days * p) + 1),
        }
    out = []
    for name, (score, simulated) in scores.items():
        simulated = np.sort(simulated[np.isfinite(simulated)])
        if score is None or not len(simulated):
            why = "no exception" if score is None else "no simulation has an exception"
            out.append(StatisticalTest(name, None, None, "lower", "Acerbi and Szekely (2014)", significance, told, why))
            continue
        as_low = np.searchsorted(simulated, score, side="right")
        critical = float(simulated[max(math.ceil(significance * len(simulated)) - 1, 0)])
        out.append(
            StatisticalTest(
                name,
                float(score),
                float((as_low + 1) / (len(simulated) + 1)),
                "lower",
                "Acerbi and Szekely (2014)",
                significance,
                {**told, "critical_value": critical},
            )
        )
    return out[0], out[1]


def of_scenarios(days: Sequence[TailOutcomes]) -> Callable[[np.random.Generator, int], tuple[Floats, Floats]]:
    """Each day's P&L drawn from its own scenarios, independently of the other days: sums of X I / ES and counts of I."""

    def simulate(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        sums, counts = np.zeros(n), np.zeros(n)
        for day in days:
            drawn = np.searchsorted(day.cumulative, rng.random(n), side="right")
            hit = drawn < len(day.size)
            sums[hit] += day.size[drawn[hit]]
            counts += hit
        return sums, counts

    return simulate


def normal_tail(days: int, p: float) -> Callable[[np.random.Generator, int], tuple[Floats, Floats]]:
    """Every day normal, with VaR and ES that are right."""
    q = float(stats.norm.isf(p))
    return _of_law(days, q, float(stats.norm.pdf(q)) / p, lambda rng, n: rng.standard_normal(n))


def student_tail(days: int, p: float, degrees: float) -> Callable[[np.random.Generator, int], tuple[Floats, Floats]]:
    """Every day Student-t of more than 1 degree of freedom, with VaR and ES that are right; the scale does not matter."""
    q = float(stats.t.isf(p, degrees))
    es = float(stats.t.pdf(q, degrees)) / p * (degrees + q * q) / (degrees - 1)
    return _of_law(days, q, es, lambda rng, n: rng.standard_t(degrees, n))


def _of_law(
    days: int, var: float, es: float, draw: Callable[[np.random.Generator, int], Floats]
) -> Callable[[np.random.Generator, int], tuple[Floats, Floats]]:
    def simulate(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        sums, counts = np.zeros(n), np.zeros(n)
        for _ in range(days):
            loss = draw(rng, n)
            hit = loss > var
            sums[hit] -= loss[hit] / es
            counts += hit
        return sums, counts

    return simulate


def multinomial(
    breaches: npt.NDArray[np.int64], cells: Sequence[float], significance: float = SIGNIFICANCE
) -> StatisticalTest:
    """Exceptions of VaR at several levels at once, which together test the ES.

    breaches : (n_days,) how many of the levels, lowest first, the loss exceeds. cells : probability of exceeding none, one, ...
    The decision is Nass' correction of Pearson's statistic, c S with S's mean and variance matched to a chi-squared law;
    Pearson's own and the likelihood ratio stand beside it. Kratz, Lok and McNeil (2018), Multinomial VaR backtests, JBF 88.
    """
    n, probability = len(breaches), np.asarray(cells)
    observed = np.bincount(breaches, minlength=len(cells)).astype(np.float64)
    expected = n * probability
    degrees = len(cells) - 1
    pearson = math.fsum(((observed - expected) ** 2 / expected).tolist())
    likelihood = _positive(2 * np.sum(xlogy(observed, observed / expected)))
    variance = 2 * degrees - (degrees**2 + 4 * degrees + 1) / n + math.fsum((1 / probability).tolist()) / n
    c = 2 * degrees / variance
    return StatisticalTest(
        "multinomial",
        c * pearson,
        _chi2(c * pearson, c * degrees),
        "two-sided",
        "Kratz, Lok and McNeil (2018)",
        significance,
        {
            "degrees": c * degrees,
            "pearson": pearson,
            "pearson_p_value": _chi2(pearson, degrees),
            "likelihood_ratio": likelihood,
            "likelihood_ratio_p_value": _chi2(likelihood, degrees),
            "observed": observed.astype(int).tolist(),
            "expected": expected.tolist(),
        },
    )


# --- one P&L against another -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attribution(Answer):
    """P&L attribution over the days on which both are known. `zone` is the worse of both tests'; None where one is undefined."""

    days: int
    spearman: float | None
    kolmogorov_smirnov: float | None
    kolmogorov_smirnov_p_value: float | None
    zone: Zone | None


def attribution(theoretical: Floats, hypothetical: Floats, zone: Callable[[float, float], Zone]) -> Attribution:
    """Spearman's correlation (equal values get their average rank) and the Kolmogorov-Smirnov distance, with MAR32's zones.

    Both (n_days,). zone : of correlation and distance, as a regime has it. The p-value is that of Kolmogorov's limiting law.
    """
    n = len(theoretical)
    if n < 2 or np.ptp(theoretical) == 0 or np.ptp(hypothetical) == 0:
        return Attribution(n, None, None, None, None)
    spearman = float(stats.spearmanr(theoretical, hypothetical).statistic)
    distance = float(stats.ks_2samp(theoretical, hypothetical, method="asymp").statistic)
    return Attribution(n, spearman, distance, kolmogorov_p_value(distance, n), zone(spearman, distance))


def kolmogorov_p_value(distance: float, n: int) -> float:
    """Of the distance between two samples of n each: Kolmogorov's limiting law at sqrt(n / 2) times the distance."""
    return float(kolmogorov(math.sqrt(n / 2) * distance))
