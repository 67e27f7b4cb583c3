"""MEASURES: name to measure. The one place to add one: a function of `tail` and a line here."""

from __future__ import annotations

from aggregation import tail
from aggregation.types import Measure
from lake.errors import unknown

_LOSS, _GAIN = "currency, losses positive", "currency, gains positive"

MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure(
            "var",
            "Value-at-Risk: the loss exceeded with probability 1 - level, read by the query's estimator",
            _LOSS,
            "Hull, Risk Management and Financial Institutions",
            needs_level=True,
            additive=False,
            function=tail.value_at_risk,
            tail_weights=tail.var_weights,
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
        ),
        Measure(
            "es_beyond",
            "mean of the losses ranked worse than the VaR",
            _LOSS,
            "Hull, Risk Management and Financial Institutions, older editions",
            needs_level=True,
            additive=False,
            function=tail.mean_beyond,
        ),
        Measure(
            "mean",
            "mean P&L over the scenarios",
            _GAIN,
            "arithmetic mean, weighted by the scenarios' probabilities",
            needs_level=False,
            additive=True,
            function=tail.mean,
        ),
        Measure(
            "volatility",
            "standard deviation of P&L over the scenarios, mean removed, divisor n",
            "currency",
            "Hull, Risk Management and Financial Institutions",
            needs_level=False,
            additive=False,
            function=tail.volatility,
        ),
        Measure(
            "worst",
            "greatest loss of any scenario",
            _LOSS,
            "maximum of the losses",
            needs_level=False,
            additive=False,
            function=tail.worst_loss,
        ),
    )
}


def measure(name: str) -> Measure:
    """The measure of that name; raises `BadInput` with the nearest names."""
    if name not in MEASURES:
        raise unknown("measure", name, MEASURES)
    return MEASURES[name]


def check_estimator(name: str) -> str:
    """The name itself, when it is an estimator; raises `BadInput` with the nearest names."""
    if name not in tail.ESTIMATORS:
        raise unknown("estimator", name, tail.ESTIMATORS)
    return name
