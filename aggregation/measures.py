"""MEASURES: name to measure. The one place to add one: a function of `tail` and a line here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

from aggregation.kernels import fitted, own_volatility, peaks, tail
from aggregation.kernels.estimators import ESTIMATORS, exact_level
from aggregation.types import NAMES, Figures, Measure, RiskQuery, Tail
from lake.arrays import Floats
from lake.errors import BadInput, Issue, unknown

_LOSS, _GAIN = "currency, losses positive", "currency, gains positive"
_HULL = "Hull, Risk Management and Financial Institutions"

MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure(
            "var",
            "Value-at-Risk: the loss exceeded with probability 1 - level, read by the query's estimator",
            _LOSS,
            _HULL,
            needs_level=True,
            additive=False,
            function=tail.value_at_risk,
            tail_weights=tail.var_weights,
            reading=tail.var_reading,
            of_tail=True,
            scales=True,
        ),
        Measure(
            "es",
            "expected shortfall: mean of the worst 1 - level, the last loss with the fraction left",
            _LOSS,
            "Acerbi and Tasche (2002)",
            needs_level=True,
            additive=False,
            function=tail.expected_shortfall,
            tail_weights=tail.es_weights,
            reading=tail.es_reading,
            of_tail=True,
            scales=True,
        ),
        Measure(
            "es_beyond",
            "mean of the losses ranked worse than the VaR",
            _LOSS,
            f"{_HULL}, older editions",
            needs_level=True,
            additive=False,
            function=tail.mean_beyond,
            tail_weights=tail.beyond_weights,
            reading=tail.beyond_reading,
            of_tail=True,
            scales=True,
        ),
        Measure(
            "es_worst_k",
            "mean of the k worst losses, k = n (1 - level) rounded up",
            _LOSS,
            f"{_HULL}, one edition; spreadsheets",
            needs_level=True,
            additive=False,
            function=tail.mean_of_worst,
            tail_weights=tail.whole_weights,
            reading=tail.whole_reading,
            of_tail=True,
            scales=True,
        ),
        Measure(
            "es_at_or_beyond",
            "mean of the losses at or beyond the VaR of the query's estimator",
            _LOSS,
            "the conditional mean E[L | L >= VaR] of the sample",
            needs_level=True,
            additive=False,
            function=tail.mean_at_or_beyond,
            tail_weights=tail.at_or_beyond_weights,
            of_tail=True,
            scales=True,
        ),
        *(
            Measure(
                f"{kind}_normal{ending}",
                f"{words} of a normal distribution with the mean and standard deviation of the P&L, divisor {divisor}",
                _LOSS,
                "Jorion, Value at Risk"
                if kind == "var"
                else "McNeil, Frey and Embrechts, Quantitative Risk Management",
                needs_level=True,
                additive=False,
                function=partial(fitted.normal, kind=kind, sample=divisor == "n - 1"),
                tail_weights=partial(fitted.normal_weights, kind=kind, sample=divisor == "n - 1"),
                of_tail=True,
                scales=True,
                counts=divisor == "n - 1",
            )
            for kind, words in (("var", "Value-at-Risk"), ("es", "expected shortfall"))
            for ending, divisor in (("", "n - 1"), ("_n", "n"))
        ),
        *(
            Measure(
                f"{kind}_modified",
                f"{words} by mean, standard deviation, skewness and kurtosis of the P&L, divisor n (Cornish-Fisher)",
                _LOSS,
                source,
                needs_level=True,
                additive=False,
                function=function,
                of_tail=True,
                undefined="the Cornish-Fisher quantile falls as the level rises, with so much skewness and kurtosis",
            )
            for kind, words, function, source in (
                ("var", "Value-at-Risk", fitted.modified_var, "Favre and Galeano (2002)"),
                ("es", "expected shortfall", fitted.modified_es, "Boudt, Peterson and Croux (2008)"),
            )
        ),
        *(
            Measure(
                f"var_standard_error{ending}",
                f"standard error of the VaR{words}",
                "currency",
                source,
                needs_level=True,
                additive=False,
                function=function,
                of_tail=True,
                scales=True,
                of_money=False,
                counts=True,
            )
            for ending, words, function, source in (
                ("", ", an order statistic, over all resamples", fitted.standard_error, "Hutson and Ernst (2000)"),
                ("_normal", " were the P&L normal", fitted.standard_error_normal, f"Kendall and Stuart; {_HULL}"),
            )
        ),
        *(
            Measure(
                f"{kind}_own_volatility",
                f"{words} of the P&L scaled to its own volatility today, exponentially weighted over the scenarios as days",
                _LOSS,
                f"{_HULL}; Hull and White (1998)",
                needs_level=True,
                additive=False,
                function=function,
                tail_weights=weights,
                reading=reading,
                of_tail=True,
                scales=True,
                scaling=own_volatility.scales,
                undefined="a P&L came out of a calm that no volatility foretold",
            )
            for kind, words, function, weights, reading in (
                ("var", "Value-at-Risk", tail.value_at_risk, tail.var_weights, tail.var_reading),
                ("es", "expected shortfall", tail.expected_shortfall, tail.es_weights, tail.es_reading),
            )
        ),
        *(
            Measure(
                name,
                meaning,
                unit,
                "McNeil and Frey (2000); Hull, extreme value theory",
                needs_level=name in ("var_gpd", "es_gpd"),
                additive=False,
                function=function,
                of_tail=True,
                needs_threshold=name == "exceedance_gpd",
                of_money=name in ("var_gpd", "es_gpd"),
                counts=True,
                fits_tail=True,
                undefined=f"fewer than {peaks.FEWEST} losses lie beyond the threshold, the level lies before it or the tail has no mean",
            )
            for name, meaning, unit, function in (
                ("var_gpd", "Value-at-Risk of a generalised Pareto tail fitted to the worst losses", _LOSS, peaks.var),
                ("es_gpd", "expected shortfall of the fitted tail", _LOSS, peaks.es),
                (
                    "exceedance_gpd",
                    "probability of a loss greater than the threshold by the fitted tail",
                    "probability",
                    peaks.exceedance_probability,
                ),
                (
                    "gpd_threshold",
                    "loss beyond which the tail is fitted",
                    _LOSS,
                    partial(peaks.fitted, part=peaks.THRESHOLD),
                ),
                (
                    "gpd_exceedances",
                    "number of losses that the tail is fitted to",
                    "none",
                    partial(peaks.fitted, part=peaks.COUNT),
                ),
                (
                    "gpd_shape",
                    "shape of the fitted tail; 0 is exponential, positive heavier",
                    "none",
                    partial(peaks.fitted, part=peaks.SHAPE),
                ),
                ("gpd_scale", "scale of the fitted tail", "currency", partial(peaks.fitted, part=peaks.SCALE)),
            )
        ),
        Measure(
            "mean",
            "mean P&L over the scenarios",
            _GAIN,
            "arithmetic mean, weighted by the scenarios' probabilities",
            needs_level=False,
            additive=True,
            function=tail.mean,
            tail_weights=tail.mean_weights,
        ),
        Measure(
            "volatility",
            "standard deviation of P&L over the scenarios, mean removed, divisor n",
            "currency",
            _HULL,
            needs_level=False,
            additive=False,
            function=tail.volatility,
            scales=True,
        ),
        Measure(
            "skewness",
            "third central moment over the cubed standard deviation, divisor n; negative where losses have the longer tail",
            "none",
            "Fisher and Pearson's g1",
            needs_level=False,
            additive=False,
            function=tail.skewness,
            of_money=False,
        ),
        Measure(
            "kurtosis",
            "fourth central moment over the squared variance minus 3, divisor n; positive where tails are longer than normal",
            "none",
            "Fisher's g2",
            needs_level=False,
            additive=False,
            function=tail.kurtosis,
            of_money=False,
        ),
        Measure(
            "worst",
            "greatest loss of any scenario",
            _LOSS,
            "maximum of the losses",
            needs_level=False,
            additive=False,
            function=tail.worst_loss,
            tail_weights=tail.worst_weights,
            sampled=False,
            of_tail=True,
        ),
        Measure(
            "exceedance",
            "probability of a loss greater than the threshold",
            "probability",
            "share of the scenarios, by their probabilities",
            needs_level=False,
            additive=False,
            function=tail.exceedance,
            of_tail=True,
            needs_threshold=True,
            of_money=False,
        ),
    )
}
NAMES["measures"], NAMES["estimators"] = MEASURES, ESTIMATORS


def measure(name: str) -> Measure:
    """The measure of that name; raises `BadInput` with the nearest names."""
    if name not in MEASURES:
        raise unknown("measure", name, MEASURES)
    return MEASURES[name]


def check_estimator(name: str) -> str:
    """The name itself, when it is an estimator; raises `BadInput` with the nearest names."""
    if name not in ESTIMATORS:
        raise unknown("estimator", name, ESTIMATORS)
    return name


@dataclass(frozen=True)
class AskedMeasure:
    """A measure as a question asks for it: a column of the answer.

    argument : its level, or its threshold. tail : `gain` measures -P&L. scale : what the figure is multiplied by, 1 unless
    `over` was called.
    """

    name: str
    measure: Measure
    argument: Fraction | None
    estimator: str
    tail: Tail = "loss"
    scale_to_days: int | None = None
    scale: float = 1.0

    @property
    def level(self) -> Fraction | None:
        """The confidence level; None for a measure without one."""
        return self.argument if self.measure.needs_level else None

    @property
    def interval_names(self) -> tuple[str, str]:
        """Columns of the ends of its sampling interval."""
        return f"{self.name}_low", f"{self.name}_high"

    def over(self, horizon_days: int) -> AskedMeasure:
        """The same for scenarios of this horizon: with the square root of time that was asked for."""
        if self.scale_to_days is None:
            return self
        return replace(self, scale=math.sqrt(self.scale_to_days / horizon_days))

    def seen(self, pnl: Floats) -> Floats:
        """What is measured, of P&L (n_groups, n_scenarios): scaled, if the measure scales it, and with the sign of the tail."""
        scaled = pnl * self.measure.scaling(pnl) if self.measure.scaling else pnl
        return 0.0 - scaled if self.tail == "gain" else scaled

    def values(self, pnl: Floats, weights: Floats | None) -> Floats:
        """The figure of each group, (n_groups,), from its P&L (n_groups, n_scenarios) and the scenarios' weights.

        Raises `BadInput` where the measure is not defined.
        """
        try:
            found: Floats = self.measure.function(self.seen(pnl), self.argument, weights, self.estimator)
        except tail.NotDefined as error:
            raise BadInput(f"{self.name}: {error}") from None
        return found * self.scale if self.scale != 1.0 else found

    def tail_weights(self, pnl: Floats, weights: Floats | None) -> Floats:
        """w, (n_groups, n_scenarios), with figure = -sum_s w_s P&L_s, for either tail and scaled as the figure is.

        Raises `BadInput` for a measure that has no such weights, and where it is not defined.
        """
        if self.measure.tail_weights is None:
            linear = (m.name for m in MEASURES.values() if m.tail_weights is not None)
            raise BadInput(
                f"{self.name} is no sum over scenarios and has no parts that add up; {', '.join(linear)} have."
            )
        sign = -1.0 if self.tail == "gain" else 1.0
        try:
            found: Floats = self.measure.tail_weights(self.seen(pnl), self.argument, weights, self.estimator)
        except tail.NotDefined as error:
            raise BadInput(f"{self.name}: {error}") from None
        if self.measure.scaling:
            found = found * self.measure.scaling(pnl)
        return found * (sign * self.scale) if sign * self.scale != 1.0 else found


def asked_measures(query: Figures) -> list[AskedMeasure]:
    """The columns a question asks for, in order; raises `BadInput` for unknown names and for what has no meaning.

    A column is named by measure, level or threshold, and by what is not the default: `var_0.99`, `var_0.99_gain`,
    `es_0.975_10d`. Where `scale_to_days` is asked for, `AskedMeasure.over` gives the horizon of the scenarios.
    """
    check_estimator(query.estimator)
    interval_confidence(query)
    levels = {level_text(a): a for a in (_exact(text, f"levels/{i}") for i, text in enumerate(query.levels))}
    thresholds = {f"{t:.15g}": Fraction(t) for t in query.thresholds}
    asked: dict[str, AskedMeasure] = {}
    for name in query.measures:
        found = measure(name)
        if found.fits_tail:
            found = replace(found, function=partial(found.function, share=_exact(query.tail_share, "tail_share")))
        if found.scaling:
            found = replace(found, scaling=partial(found.scaling, decay=_exact(query.pnl_decay, "pnl_decay")))
        gain = query.tail == "gain" and found.of_tail
        days = _days(query.scale_to_days, found)
        suffix = ("_gain" if gain else "") + (f"_{days}d" if days else "")
        arguments: dict[str, Fraction | None] = {"": None}
        if found.needs_level:
            arguments = {f"_{text}": level for text, level in levels.items()}
        if found.needs_threshold:
            if not thresholds:
                raise BadInput(
                    f"{name} is the probability of a loss greater than a threshold; give a threshold, such as 1000000."
                )
            arguments = {f"_{text}": t for text, t in thresholds.items()}
        for text, argument in arguments.items():
            column = f"{name}{text}{suffix}"
            asked[column] = AskedMeasure(column, found, argument, query.estimator, "gain" if gain else "loss", days)
    return list(asked.values())


def refuse_in_order(names: Iterable[str], scenario_set: str) -> None:
    """Raises `BadInput` for measures that need days in order, of a scenario set whose scenarios are none."""
    needing = [name for name in names if name in MEASURES and MEASURES[name].scaling]
    if needing:
        raise BadInput(
            f"{needing[0]} follows the P&L from day to day, and the scenarios of {scenario_set} are not days in order; "
            "ask for it under a set of the method historical."
        )


def with_fits(query: RiskQuery) -> RiskQuery:
    """The question with the fit beside the figures of a fitted tail, where it asks for any."""
    if not any(measure(name).fits_tail for name in query.measures):
        return query
    fit = (name for name, m in MEASURES.items() if m.fits_tail and not (m.needs_level or m.needs_threshold))
    return query.model_copy(update={"measures": tuple(dict.fromkeys((*query.measures, *fit)))})


def interval_confidence(query: Figures) -> Fraction | None:
    """The confidence of the sampling intervals asked for; None where none are."""
    return None if query.interval is None else _exact(query.interval, "interval")


def _exact(text: str, pointer: str) -> Fraction:
    try:
        return exact_level(text)
    except ValueError as error:
        raise BadInput(str(error), issues=(Issue(pointer, str(error), text),)) from None


def _days(days: int | None, found: Measure) -> int | None:
    if days is not None and not found.scales:
        scaling = ", ".join(m.name for m in MEASURES.values() if m.scales)
        raise BadInput(
            f"{found.name} does not grow with the square root of time, so that scaling it to {days} days has no meaning; "
            f"{scaling} can be scaled. Ask for {found.name} by itself."
        )
    return days


def level_text(level: Fraction) -> str:
    """A level as columns name it: the shortest decimal, 0.99 for 0.990."""
    digits = 0
    while (level * 10**digits).denominator != 1:
        digits += 1
    return f"0.{int(level * 10**digits):0{digits}d}"
