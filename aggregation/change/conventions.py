"""Readings: the ways in which other systems read one number from the same P&L vector, each a departure from ours.

A reading says everything that decides the number; `OPTIONS` lists what other systems are known to do instead, most common
first. Pure: vectors in, a number out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
from scipy.stats import norm

from aggregation.kernels import own_volatility, peaks
from aggregation.kernels.estimators import ESTIMATORS, exact_level, var_rank
from aggregation.kernels.tail import NotDefined
from aggregation.kernels.tail_walk import values_of_ranks
from aggregation.measures import MEASURES
from aggregation.types import Tail
from lake.arrays import Floats
from lake.errors import counted

Translation = Literal["scenario", "spot", "none"]
Shortfall = Literal["fractional", "whole", "at or beyond", "beyond"]
Distribution = Literal["historical", "normal", "modified", "pareto"]
Deviation = Literal["n - 1", "n", "n, about zero"]
Mean = Literal["counted", "removed"]
Quantile = Literal["exact", "2 decimals", "2 decimals, up", "3 decimals", "4 decimals"]

LEVELS = ("0.9", "0.95", "0.975", "0.98", "0.99", "0.995", "0.999")
DECAYS = (0.94, 0.97, 0.98, 0.99, 0.995)
WINDOWS = (60, 100, 125, 250, 251, 252, 253, 256, 260, 261, 400, 499, 500, 501, 502, 504, 520, 522, 750, 756, 780, 1000, 1008,
           1040, 1250, 1260, 1500, 2000)  # fmt: skip
VOLATILITY_DECAYS = ("0.94", "0.97", "0.99")
TAIL_SHARES = ("0.1", "0.05")
HORIZONS = (1, 5, 10, 20, 21, 22, 250, 252)
_SHORTFALLS = {"fractional": "es", "whole": "es_worst_k", "at or beyond": "es_at_or_beyond", "beyond": "es_beyond"}
NEXT_RANK, PREVIOUS_RANK = "next_rank", "previous_rank"  # one scenario too deep or too shallow: a rank rounded wrongly


@dataclass(frozen=True)
class Reading:
    """How a number is read. The default of each field is this system's own convention, apart from what the query decides.

    window : how many of the scenarios are used, the newest ones, after leaving out the `lag` newest. decay : weight of a
    scenario against the next newer one; None keeps the set's own weights, 1 makes them alike. pnl_decay : of the own volatility
    that the P&L is scaled to, or None. quantile : of the normal distribution, as computed or as tables print it. horizon_days : scaled
    there by the square root of time. unit : what the figure is divided by.
    """

    measure: Literal["var", "es"]
    level: str
    window: int
    horizon_days: int
    estimator: str = "order_statistic"
    shortfall: Shortfall = "fractional"
    translation: Translation = "scenario"
    distribution: Distribution = "historical"
    tail_share: str = "0.1"
    deviation: Deviation = "n - 1"
    quantile: Quantile = "exact"
    mean: Mean = "counted"
    decay: float | None = None
    pnl_decay: str | None = None
    lag: int = 0
    tail: Tail = "loss"
    sign: int = 1
    unit: float = 1.0


@dataclass(frozen=True, eq=False)
class Option:
    """One thing another system may do: the fields it changes, and in which words. Of one convention only one can hold."""

    convention: str
    words: str
    fields: Mapping[str, Any]


def options(ours: Reading, n_scenarios: int, *, ordered: bool, translated: bool, weighted: bool) -> list[Option]:
    """What may be different from ours, most common first within each convention; our own ways stand among them, since they
    are different beside another difference.

    ordered : the scenarios stand in time, so that windows and ages have a meaning. translated : exchange rates enter.
    """
    found = [Option("estimator", e, {"estimator": e}) for e in (*ESTIMATORS, NEXT_RANK, PREVIOUS_RANK)]
    found += [
        Option("measure", words, {"measure": m})
        for m, words in (("var", "Value-at-Risk"), ("es", "expected shortfall"))
    ]
    found += [
        Option("shortfall", "mean of the tail, the last loss with the fraction left", {"shortfall": "fractional"}),
        Option("shortfall", "mean of the k worst losses, k = n (1 - level) rounded up", {"shortfall": "whole"}),
        Option("shortfall", "mean of the losses worse than the VaR", {"shortfall": "beyond"}),
        Option("shortfall", "mean of the losses at or beyond the VaR of the estimator", {"shortfall": "at or beyond"}),
    ]
    found += [Option("level", text, {"level": text}) for text in LEVELS]
    for divisor in ("n - 1", "n", "n, about zero"):
        words = f"normal, standard deviation with divisor {divisor}"
        found.append(Option("distribution", words, {"distribution": "normal", "deviation": divisor, "mean": "removed"}))
    words = "modified: Cornish-Fisher by mean, deviation, skewness and kurtosis"
    found.append(Option("distribution", words, {"distribution": "modified"}))
    for share in TAIL_SHARES:
        words = f"generalised Pareto tail of the worst {float(share):.0%}"
        found.append(Option("distribution", words, {"distribution": "pareto", "tail_share": share}))
    found += [Option("normal quantile", f"rounded to {q}", {"quantile": q}) for q in get_args(Quantile)[1:]]
    found += [Option("mean of the P&L", kind, {"mean": kind}) for kind in ("removed", "counted")]
    if translated:
        found.append(Option("currency", "P&L translated at spot, the value not", {"translation": "spot"}))
        found.append(Option("currency", "not translated: amounts added as they are", {"translation": "none"}))
    if weighted:
        found.append(Option("weighting", "scenarios equally likely", {"decay": 1.0}))
    if ordered:
        found += [Option("weighting", f"by age, {d} a scenario", {"decay": d}) for d in DECAYS]
        for d in VOLATILITY_DECAYS:
            found.append(Option("weighting", f"P&L scaled to its own volatility, decay {d}", {"pnl_decay": d}))
        windows = [w for w in (n_scenarios - 1, *WINDOWS) if w < n_scenarios]
        found += [
            Option("window", f"the last {counted(w, 'scenario')}", {"window": w})
            for w in dict.fromkeys(windows)
            if w > 0
        ]
        if n_scenarios > 1:
            found.append(Option("window", "without the newest scenario", {"window": n_scenarios - 1, "lag": 1}))
    if ours.horizon_days > 0:
        found += [Option("horizon", f"{h} days by the square root of time", {"horizon_days": h}) for h in HORIZONS]
    other: Tail = "gain" if ours.tail == "loss" else "loss"
    found.append(Option("tail", f"the {other} tail", {"tail": other}))
    found.append(Option("sign", "losses negative", {"sign": -ours.sign}))
    found += [Option("unit", f"in {words}", {"unit": u}) for words, u in (("thousands", 1e3), ("millions", 1e6))]
    return found


def read_under(reading: Reading, pnls: Mapping[Translation, Floats], weights: Floats | None, days: int) -> float | None:
    """The number; None where the reading is not defined for these scenarios.

    pnls : by translation the P&L (n_scenarios,), gains positive, oldest first. weights : of the scenarios, or None. days :
    the horizon of the scenarios; 0 where they state none.
    """
    n = len(pnls[reading.translation])
    stop = n - reading.lag
    pnl = pnls[reading.translation][stop - reading.window : stop]
    if weights is not None and reading.decay is None:
        weights = weights[stop - reading.window : stop]
    else:
        weights = by_age(reading.window, reading.decay)
    if reading.pnl_decay is not None:
        pnl = pnl * own_volatility.scales(pnl[None], exact_level(reading.pnl_decay))[0]
    if reading.tail == "gain":
        pnl = 0.0 - pnl
    try:
        figure = (
            _normal(reading, pnl, weights) if reading.distribution == "normal" else _historical(reading, pnl, weights)
        )
    except NotDefined:
        return None
    scale = math.sqrt(reading.horizon_days / days) if reading.horizon_days != days else 1.0
    number = reading.sign * figure * scale / reading.unit
    return number if math.isfinite(number) else None


def by_age(n: int, decay: float | None) -> Floats | None:
    """Boudoukh, Richardson and Whitelaw (1998): decay to the power of the age; None for equal weights."""
    return None if decay in (None, 1.0) else float(decay) ** np.arange(n - 1, -1, -1.0)


def _historical(reading: Reading, pnl: Floats, weights: Floats | None) -> float:
    level, row = exact_level(reading.level), pnl[None, :]
    if reading.mean == "removed":
        row = row - MEASURES["mean"].function(row, None, weights, "")
    if reading.distribution == "modified":
        return float(MEASURES[f"{reading.measure}_modified"].function(row, level, weights, "")[0])
    if reading.distribution == "pareto":
        function = peaks.var if reading.measure == "var" else peaks.es
        return float(function(row, level, weights, "", share=exact_level(reading.tail_share))[0])
    if reading.measure == "es":
        name = _SHORTFALLS[reading.shortfall]
        if name == "es_at_or_beyond" and reading.estimator not in ESTIMATORS:
            raise NotDefined("a rank rounded wrongly is a way to read a VaR alone")
        return float(MEASURES[name].function(row, level, weights, reading.estimator)[0])
    if reading.estimator in (NEXT_RANK, PREVIOUS_RANK):
        return _ranked(row, var_rank(len(pnl), level) + (1 if reading.estimator == NEXT_RANK else -1), weights)
    return float(MEASURES["var"].function(row, level, weights, reading.estimator)[0])


def _ranked(row: Floats, rank: int, weights: Floats | None) -> float:
    """The loss of a rank."""
    if weights is not None or not 1 <= rank <= row.shape[1]:
        raise NotDefined("ranks are of equally likely scenarios")
    return float(values_of_ranks(row, np.eye(rank)[-1])[0])


def _normal(reading: Reading, pnl: Floats, weights: Floats | None) -> float:
    """Normal P&L of the vector's mean and standard deviation: z sd - mean, or the mean beyond it, sd phi(z) / (1 - a) - mean."""
    n = len(pnl)
    p = np.full(n, 1.0 / n) if weights is None else weights / math.fsum(weights)
    mean = math.fsum(p * pnl)
    squares = math.fsum(p * (pnl if reading.deviation == "n, about zero" else pnl - mean) ** 2)
    if reading.deviation == "n - 1":
        # of weights, n is 1 / sum p^2
        lost = 1.0 / n if weights is None else math.fsum(p**2)
        if lost >= 1.0:
            raise NotDefined("one scenario has no deviation")
        squares /= 1.0 - lost
    level: Fraction = exact_level(reading.level)
    z = _printed(float(norm.ppf(float(level))), reading.quantile)
    deviations = z if reading.measure == "var" else float(norm.pdf(z)) / float(1 - level)
    return deviations * math.sqrt(squares) - (mean if reading.mean == "counted" else 0.0)


def _printed(z: float, quantile: Quantile) -> float:
    """The normal quantile as a table has it; upwards 1.645 is the 1.65 and 2.326 the 2.33 of many texts."""
    if quantile == "exact":
        return z
    scale = 10.0 ** int(quantile[0])
    return (math.ceil(z * scale) if quantile.endswith("up") else round(z * scale)) / scale
