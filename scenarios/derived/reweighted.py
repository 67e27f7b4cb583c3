"""GENERATORS "reweighted": an existing scenario set under other probabilities. Levels are shared, so nothing is revalued.

The prior (the set's own weights, times a decay with age, times a kernel on the state of the market) is bent as little as
possible, in relative entropy, until the views hold: A. Meucci, "Fully flexible views: theory and practice", Risk 21(10), 2008,
and "Historical scenarios with fully flexible probabilities", Risk 2010 (time and state conditioning).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lake.arrays import Floats
from lake.errors import BadInput, Issue, unknown
from lake.tables import Snapshot
from scenarios.kernels import shifts
from scenarios.kernels.entropy_pooling import (
    NoSuchProbabilities,
    effective_scenarios,
    kish_scenarios,
    pool,
    relative_entropy,
)
from scenarios.kernels.weighting import age_weights
from scenarios.market.calendars import CALENDAR_START
from scenarios.market.history import load_factors, load_history
from scenarios.market.moves import ALL_CLOSED
from scenarios.store import load_on_market
from scenarios.types import FactorIndex, ScenarioSet

Relation = Literal["=", "<=", ">="]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MeanView(_View):
    """The mean move of a factor, in the unit of its type's shift: -0.02 is -2% for a price and -200bp for a rate."""

    kind: Literal["mean"]
    factor: str = Field(description="risk factor id")
    relation: Relation = Field("=", description="=, <= or >=")
    value: float = Field(description="mean move")


class VolatilityView(_View):
    """The standard deviation of a factor's move. Its mean is kept where it is, or where an = view puts it."""

    kind: Literal["volatility"]
    factor: str = Field(description="risk factor id")
    relation: Relation = Field("=", description="=, <= or >=")
    value: float = Field(gt=0, description="standard deviation of the move over the set's horizon")


class RankView(_View):
    """The order of mean moves: the first factor's is the greatest."""

    kind: Literal["rank"]
    factors: tuple[str, ...] = Field(min_length=2, description="risk factor ids, the greatest mean move first")


class ProbabilityView(_View):
    """The probability that a factor's move lies between `above` and `below`, or that one of the named scenarios happens."""

    kind: Literal["probability"]
    factor: str | None = Field(None, description="risk factor id")
    above: float | None = Field(None, description="least move of the event")
    below: float | None = Field(None, description="greatest move of the event")
    scenarios: tuple[str, ...] = Field((), description="instead of a factor: labels of the scenarios of the event")
    relation: Relation = Field("=", description="=, <= or >=")
    value: float = Field(gt=0, lt=1, description="its probability")

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        bounded = self.above is not None or self.below is not None
        if (self.factor is not None) == bool(self.scenarios) or bounded != (self.factor is not None):
            raise ValueError("give a factor with above, below or both; or scenarios, their labels")
        return self


View = Annotated[MeanView | VolatilityView | RankView | ProbabilityView, Field(discriminator="kind")]


class StateKernel(_View):
    """Weights by how near the market's state was to a target: exp(-((state - target) / bandwidth)^2 / 2)."""

    factor: str = Field(description="risk factor whose level, before the scenario's move began, is the state")
    target: float | None = Field(None, description="level wanted; default that of the market date")
    bandwidth: float | None = Field(
        None,
        gt=0,
        description="in the factor's unit; default 1.06 s n^(-1/5), s the standard deviation of the states (Silverman)",
    )


class ReweightedDefinition(BaseModel):
    """Parameters of re-weighting a stored scenario set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["reweighted"] = "reweighted"
    market_date: dt.date = Field(description="market date of the set")
    scenario_set: str = Field(
        description="name or id of the stored set; of a name the newest version on the market date"
    )
    age_decay: float | None = Field(
        None, gt=0, lt=1, description="weights fall by this factor with each business day of the scenario's age"
    )
    state: StateKernel | None = Field(None, description="weights by the state of the market before each scenario")
    views: tuple[View, ...] = Field((), max_length=100, description="what shall hold under the new probabilities")
    confidence: float = Field(
        1.0, gt=0, le=1, description="share of the probabilities with the views; the rest is that without them"
    )
    calendar: str = Field("XNYS", description="business calendar that ages are counted on")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.age_decay is None and self.state is None and not self.views:
            raise ValueError("give age_decay, state or views: without any of them the weights stay as they are")
        if self.confidence < 1 and not self.views:
            raise ValueError("a confidence belongs to views; leave it out, or give views")
        return self


def generate(snapshot: Snapshot, definition: ReweightedDefinition, name: str) -> ScenarioSet:
    """The set of the definition: that of the source with other weights. Its vectors are the source's.

    The effective number of scenarios, the relative entropy to the prior and every view's value before and after stand in
    `calibration`. Raises `BadInput` for views that no probabilities satisfy, and for time or state weights of scenarios that
    are not labelled by their day.
    """
    source = load_on_market(snapshot, definition.scenario_set, definition.market_date)
    if source.horizons:
        raise BadInput(
            f"{source.name} has several horizons a path, and weights belong to one; make a set of one horizon."
        )
    n = source.n_scenarios
    prior = np.full(n, 1.0 / n) if source.weights is None else source.weights
    told = {}
    if definition.age_decay is not None:
        prior = prior * _age_weights(snapshot, source, definition.age_decay, definition.calendar)
    if definition.state is not None:
        kernel, told["state"] = _state_weights(snapshot, source, definition.state, definition.calendar)
        prior = prior * kernel
    prior = prior / prior.sum()
    weights = prior
    if definition.views:
        weights, of_views = _with_views(source, prior, definition)
        told |= of_views
    told |= {
        "effective_scenarios": f"{effective_scenarios(weights):.6g} of {n} (exp of the entropy)",
        "kish_scenarios": f"{kish_scenarios(weights):.6g} of {n} (1 / sum of squares)",
        "relative_entropy": f"{relative_entropy(weights, prior):.6g} to the prior",
    }
    return dataclasses.replace(
        source,
        scenario_set_id="",
        name=name,
        method=definition.method,
        definition={
            **definition.model_dump(mode="json"),
            "scenario_set": source.scenario_set_id,
            "source_definition": source.definition.get("source_definition", dict(source.definition)),
        },
        weights=weights,
        calibration={**source.calibration, **told},
        version=0,
    )


def _days(source: ScenarioSet, what: str) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    try:
        return np.array([dt.date.fromisoformat(label) for label in source.labels], dtype="datetime64[D]")
    except ValueError:
        raise BadInput(
            f"{what} need scenarios labelled by the day they happened, as in a historical set; {source.name} has {source.labels[0]!r}."
        ) from None


def _age_weights(snapshot: Snapshot, source: ScenarioSet, decay: float, calendar: str) -> Floats:
    days = _days(source, "Weights by age")
    business = load_history(snapshot, calendar, days.min().item(), days.max().item()).dates
    idle = [day for day, why in source.dropped.items() if why == ALL_CLOSED]
    business = business[~np.isin(business, np.array(idle, dtype="datetime64[D]"))]
    return age_weights(len(business) - np.searchsorted(business, days), decay)


def _state_weights(snapshot: Snapshot, source: ScenarioSet, kernel: StateKernel, calendar: str) -> tuple[Floats, str]:
    """Kernel weights (n,), and target and bandwidth in words. The state is the last level known when the move began."""
    days = _days(source, "Weights by state")
    factors = load_factors(snapshot)
    one = FactorIndex((factors.factors[factors.row[factors.require(kernel.factor)]],))
    first = max(days.min().item() - dt.timedelta(days=2 * source.horizon_days + 30), CALENDAR_START)
    last = max(source.market_date, days.max().item())
    history = load_history(snapshot, calendar, first, last, one, terms=source.market_date)
    seen = np.flatnonzero(np.isfinite(history.levels[:, 0]))
    # business days before the row of the scenario's day, then back to the last level there is
    begins = np.searchsorted(history.dates, days) - source.horizon_days
    known = np.searchsorted(seen, begins, side="right") - 1
    if (known < 0).any():
        raise BadInput(
            f"{kernel.factor} has no level before scenario {source.labels[int(np.argmax(known < 0))]}; take another state."
        )
    states = history.levels[seen[known], 0]
    today = history.levels[
        seen[np.searchsorted(history.dates[seen], np.datetime64(source.market_date), side="right") - 1], 0
    ]
    target = float(today) if kernel.target is None else kernel.target
    bandwidth = kernel.bandwidth or float(1.06 * states.std() * len(states) ** -0.2)
    if bandwidth == 0:
        raise BadInput(
            f"{kernel.factor} never moved over the scenarios, and says nothing of their state; take another."
        )
    distance = ((states - target) / bandwidth) ** 2
    # relative to the nearest: a target far from every state must not underflow to no weights at all
    return np.exp(-0.5 * (distance - distance.min())), f"{kernel.factor} near {target:g}, bandwidth {bandwidth:.6g}"


def _with_views(source: ScenarioSet, prior: Floats, definition: ReweightedDefinition) -> tuple[Floats, dict[str, str]]:
    """Weights with the views at the stated confidence, and each view before and after in words."""
    moves: dict[str, Floats] = {}

    def move(factor_id: str) -> Floats:
        if factor_id not in moves:
            row = source.index.row[source.index.require(factor_id)]
            shift = source.index.factors[row].shift_type
            moved = shifts.move(shift, source.base[row : row + 1], source.levels[row])
            if not np.isfinite(moved).all():
                raise BadInput(
                    f"{factor_id} has no {shift} move in every scenario, since a level is not positive; leave the view out."
                )
            moves[factor_id] = moved
        return moves[factor_id]

    means = {v.factor: v.value for v in definition.views if isinstance(v, MeanView) and v.relation == "="}
    rows = [row for i, view in enumerate(definition.views) for row in _rows(view, i, source, prior, move, means)]
    values = np.stack([r.sign * r.values for r in rows])
    targets = np.array([r.sign * r.target for r in rows])
    at_most = np.array([r.relation != "=" for r in rows])
    try:
        pooled = pool(prior, values, targets, at_most).probabilities
    except NoSuchProbabilities as error:
        row = rows[error.worst]
        message = (
            f"No probabilities satisfy the views: {row.text} was asked, {row.sign * error.reached:.6g} is the nearest found, and the "
            f"scenarios range from {row.values.min():.6g} to {row.values.max():.6g}. Loosen that view or one that works against it."
        )
        raise BadInput(message, issues=[Issue(f"/views/{row.view}", message)]) from None
    weights = definition.confidence * pooled + (1.0 - definition.confidence) * prior
    told: dict[str, str] = {}
    for row in rows:
        before, after = (row.values * prior).sum(), (row.values * weights).sum()
        text = f"{row.text}: {before:.6g} before, {after:.6g} after"
        key = f"view {row.view + 1}"
        told[key] = f"{told[key]}; {text}" if key in told else text
    return weights, told


@dataclasses.dataclass(frozen=True)
class _Row:
    """One constraint: the mean of `values` stands in the relation to the target; `view` is the number of its view."""

    view: int
    text: str
    values: Floats
    relation: Relation
    target: float

    @property
    def sign(self) -> float:
        return -1.0 if self.relation == ">=" else 1.0


def _rows(
    view: View, number: int, source: ScenarioSet, prior: Floats, move: Any, means: dict[str, float]
) -> list[_Row]:
    if isinstance(view, MeanView):
        text = f"mean of {view.factor} {view.relation} {view.value:g}"
        return [_Row(number, text, move(view.factor), view.relation, view.value)]
    if isinstance(view, VolatilityView):
        x = move(view.factor)
        mean = means.get(view.factor, float((x * prior).sum()))
        text = f"variance of {view.factor} {view.relation} {view.value:g}^2"
        rows = [_Row(number, text, (x - mean) ** 2, view.relation, view.value**2)]
        if view.factor not in means:
            rows.append(_Row(number, f"mean of {view.factor} kept", x, "=", mean))
        return rows
    if isinstance(view, RankView):
        pairs = zip(view.factors, view.factors[1:], strict=False)
        return [_Row(number, f"mean of {a} >= mean of {b}", move(a) - move(b), ">=", 0.0) for a, b in pairs]
    if view.scenarios:
        for label in view.scenarios:
            if label not in source.labels:
                raise unknown("scenario", label, source.labels, pointer=f"/views/{number}/scenarios")
        event = np.isin(source.labels, view.scenarios)
        what = f"{len(view.scenarios)} named scenarios"
    else:
        x = move(view.factor)
        low, high = (-np.inf if view.above is None else view.above), (np.inf if view.below is None else view.below)
        event = (x >= low) & (x <= high)
        what = f"{view.factor} between {low:g} and {high:g}"
    if not event.any():
        raise BadInput(f"No scenario has {what}, so that its probability is 0; take other bounds.")
    return [
        _Row(
            number,
            f"probability of {what} {view.relation} {view.value:g}",
            event.astype(float),
            view.relation,
            view.value,
        )
    ]
