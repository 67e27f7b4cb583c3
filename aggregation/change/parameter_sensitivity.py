"""Sensitivity of VaR and ES to the parameters they are measured with: confidence, window, decay, number of scenarios, estimator.

One parameter is moved at a time and all others stay standard. Everything is read from the stored P&L vector of a node; nothing is revalued.
The readings are those of `conventions`, by which a reconciliation looks for another system's number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, Field

from aggregation.answer import Answer
from aggregation.change.conventions import Reading, by_age, read_under
from aggregation.kernels.estimators import ESTIMATORS
from aggregation.measures import AskedMeasure, asked_measures, check_estimator, interval_confidence, level_text
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.price import size_of
from aggregation.question import Question
from aggregation.receipts import name_inputs
from aggregation.reduce.coverage import coverage_columns, failed_in_words, total_coverage
from aggregation.reduce.selection import open_selection, scenario_pnl
from aggregation.risk.sampling_error import RESAMPLES, SECONDS_A_RANK, drawn_from, interval
from aggregation.session import Session
from aggregation.types import (
    Condition,
    Coverage,
    Currency,
    EstimatorName,
    Figures,
    Level,
    Point,
    Positions,
    RiskQuery,
    Scope,
    whole,
)
from lake.arrays import Floats
from lake.errors import BadInput, Issue, counted

LEVEL, WINDOW, DECAY, NUMBER, ESTIMATOR = "confidence level", "window", "decay", "number of scenarios", "estimator"
# what a slope is per
UNITS: Mapping[str, tuple[float, str]] = {
    LEVEL: (0.01, "percentage point"),
    WINDOW: (100.0, "100 scenarios"),
    DECAY: (0.01, "0.01"),
    NUMBER: (100.0, "100 scenarios"),
}
_FIGURES: tuple[Literal["var", "es"], ...] = ("var", "es")
_ENDS = [f"{f}_{end}" for f in _FIGURES for end in ("low", "high")]
_CHANGES = [f"{f}_{what}" for f in _FIGURES for what in ("change", "relative_change")]
_NUMBER = pa.float64()
_SCHEMA = pa.schema(
    [
        ("parameter", pa.string()),
        ("setting", pa.string()),
        ("standard", pa.bool_()),
        ("value", _NUMBER),
        ("half_life", _NUMBER),
        ("scenarios", pa.int64()),
        *((n, _NUMBER) for n in (*_FIGURES, *_CHANGES, *_ENDS)),
    ]
)
_OF_PARAMETERS = pa.schema(
    [
        *((n, pa.string()) for n in ("parameter", "standard", "unit")),
        *((f"{f}_slope", _NUMBER) for f in _FIGURES),
        *(c for f in _FIGURES for c in ((f"{f}_most", _NUMBER), (f"{f}_most_at", pa.string()))),
    ]
)
_WITH_INTERVAL = (LEVEL, WINDOW, NUMBER)  # of the others the scenarios are the same
Size = Annotated[int, Field(ge=2, le=1_000_000), BeforeValidator(whole)]


class ParameterSensitivityQuery(Point):
    """Whose VaR and ES, the standard parameters, and what each is moved to."""

    where: tuple[Condition, ...] = Field((), description=Positions.model_fields["where"].description)
    currency: Currency = Field("USD", description="reporting currency, ISO 4217, such as USD")
    level: Level = Field("0.99", description="standard confidence level, a fraction such as 0.99")
    estimator: EstimatorName = Field("order_statistic", description=Figures.model_fields["estimator"].description)
    levels: tuple[Level, ...] = Field(
        ("0.95", "0.975", "0.99"), max_length=50, description="confidence levels that it is moved to"
    )
    windows: tuple[Size, ...] = Field(
        (60, 125, 250, 375, 500, 750, 1000),
        max_length=50,
        description="windows: so many of the newest scenarios, of days in order",
    )
    decays: tuple[Level, ...] = Field(
        ("0.94", "0.97", "0.98", "0.99", "0.995"),
        max_length=50,
        description="decays: weight of a scenario against the next newer one, of days in order",
    )
    numbers: tuple[Size, ...] = Field(
        (100, 250, 500, 1000, 2500, 5000, 10_000),
        max_length=50,
        description="numbers of scenarios: the first ones, of a set that was drawn",
    )
    interval: Level | None = Field(
        "0.95", description="confidence of the sampling interval beside every figure; null for none"
    )

    def risk(self, level: str | None = None, estimator: str | None = None) -> RiskQuery:
        about = {n: getattr(self, n) for n in Scope.model_fields if n in type(self).model_fields}
        figures = {
            "levels": (level or self.level,),
            "estimator": estimator or self.estimator,
            "interval": self.interval,
        }
        return RiskQuery(**about, **figures, measures=_FIGURES)


@dataclass(frozen=True)
class ParameterSensitivity(Answer):
    """var, es : the standard figures, losses positive, in the reporting currency; None where there is none.

    rows : a row a parameter and setting, the standard one among them: `value` of the parameter, a decay also as `half_life` in scenarios,
    how many `scenarios` are read, VaR and ES, their change from the standard, relative as a fraction of it, and the ends of their sampling
    intervals by confidence level, window and number of scenarios. Figures are null where they are not defined.

    parameters : a row a parameter, the one that moves VaR most first: the slope of VaR and ES at the standard, per unit, from its nearest
    neighbours on either side, and the greatest change and the setting it is at.
    """

    query: ParameterSensitivityQuery
    var: float | None
    es: float | None
    rows: pa.Table
    parameters: pa.Table
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Setting:
    """A parameter at a value: the fields of the reading that it changes, and which scenarios it reads."""

    parameter: str
    text: str
    value: float | None
    fields: Mapping[str, Any]
    standard: bool = False
    first: int | None = None  # so many of the first scenarios, of a set that was drawn


class _Node:
    """The P&L vector of a node, (n_scenarios,), and how it is read."""

    def __init__(self, query: ParameterSensitivityQuery, inputs: Inputs, pnl: Floats) -> None:
        self.query, self.inputs, self.pnl = query, inputs, pnl
        self.sample = bool(inputs.valuation_set.sample) and query.interval is not None
        self.reading = Reading("var", query.level, inputs.n_scenarios, 0, estimator=query.estimator)

    def row(self, setting: _Setting) -> dict[str, Any]:
        n = setting.first or int(setting.fields.get("window", self.inputs.n_scenarios))
        pnl, weights = self._seen(setting, n)
        row: dict[str, Any] = {"parameter": setting.parameter, "setting": setting.text, "standard": setting.standard}
        row |= {"value": setting.value, "scenarios": n, "half_life": _half_life(setting)}
        asked = self._asked(setting)
        for figure in _FIGURES:
            reading = dataclasses.replace(
                self.reading, measure=figure, **{**setting.fields, "window": n, "decay": None}
            )
            row[figure] = read_under(reading, {"scenario": pnl}, weights, 0)
            if row[figure] is not None and self.sample and setting.parameter in _WITH_INTERVAL:
                ends = self._ends(asked[figure], pnl, weights)
                row |= dict(zip((f"{figure}_low", f"{figure}_high"), ends, strict=True))
        return row

    def _seen(self, setting: _Setting, n: int) -> tuple[Floats, Floats | None]:
        """P&L and weights of the scenarios that a setting reads."""
        part = slice(0, n) if setting.first is not None else slice(len(self.pnl) - n, len(self.pnl))
        weights = self.inputs.weights
        if (decay := setting.fields.get("decay")) is not None:
            return self.pnl[part], by_age(n, decay)
        return self.pnl[part], None if weights is None else weights[part]

    def _asked(self, setting: _Setting) -> dict[str, AskedMeasure]:
        risk = self.query.risk(setting.fields.get("level"), setting.fields.get("estimator"))
        return {a.measure.name: a for a in asked_measures(risk)}

    def _ends(self, asked: AskedMeasure, pnl: Floats, weights: Floats | None) -> tuple[float | None, ...]:
        confidence = interval_confidence(self.query.risk())
        assert confidence is not None
        resamples = drawn_from(self.inputs.scenarios, len(pnl))
        ends = interval(asked, pnl[None], weights, confidence, resamples)
        return tuple(None if np.isnan(e[0]) else float(e[0]) for e in ends)


def _half_life(setting: _Setting) -> float | None:
    """Scenarios after which a weight has halved."""
    if setting.parameter != DECAY or setting.value is None or setting.value == 1.0:
        return None
    return math.log(0.5) / math.log(setting.value)


def _settings(query: ParameterSensitivityQuery, inputs: Inputs) -> Iterator[_Setting]:
    """What each parameter is moved to, in order of its value, the standard in its place."""
    n, ordered = inputs.n_scenarios, inputs.scenarios.in_order
    standard = level_text(asked_measures(query.risk())[0].argument)  # type: ignore[arg-type]
    levels = {level_text(asked_measures(query.risk(text))[0].argument) for text in query.levels} | {standard}  # type: ignore[arg-type]
    for text in sorted(levels, key=float):
        yield _Setting(LEVEL, text, float(text), {"level": text}, text == standard)
    if ordered:
        for w in sorted({w for w in query.windows if w < n} | {n}):
            yield _Setting(WINDOW, f"{w:,}", float(w), {"window": w}, w == n)
        for text in sorted(set(query.decays), key=float):
            yield _Setting(DECAY, text, float(text), {"decay": float(text)})
        if inputs.weights is None:
            yield _Setting(DECAY, "1", 1.0, {}, True)
        else:
            yield _Setting(DECAY, "weights of the set", None, {}, True)
            yield _Setting(DECAY, "1", 1.0, {"decay": 1.0})
    else:
        for k in sorted({k for k in query.numbers if k < n} | {n}):
            yield _Setting(NUMBER, f"{k:,}", float(k), {}, k == n, first=k)
    for name in ESTIMATORS:
        yield _Setting(ESTIMATOR, name, None, {"estimator": name}, name == query.estimator)


def _answer(session: Session, query: ParameterSensitivityQuery) -> ParameterSensitivity:
    check_estimator(query.estimator)
    asked_measures(query.risk())
    inputs = open_inputs(session.cache, query.risk())
    _refuse_meaningless(query, inputs)
    selection = open_selection(inputs, query.risk())
    coverage = total_coverage(coverage_columns(selection))
    settings = list(_settings(query, inputs)) if coverage.covered else []
    node = _Node(query, inputs, scenario_pnl(selection, selection.groups.n, 1)[1][0])
    rows = [node.row(s) for s in settings]
    own = next((r for r in rows if r["standard"]), {})
    for row in rows:
        for figure in _FIGURES:
            change = None if row[figure] is None or own[figure] is None else row[figure] - own[figure]
            row[f"{figure}_change"] = change
            row[f"{figure}_relative_change"] = change / own[figure] if change is not None and own[figure] else None
    parameters = sorted(_parameters(rows), key=lambda p: -abs(p["var_most"] or 0.0))
    return ParameterSensitivity(
        query=query,
        var=own.get("var"),
        es=own.get("es"),
        rows=pa.Table.from_pylist(rows, schema=_SCHEMA),
        parameters=pa.Table.from_pylist(parameters, schema=_OF_PARAMETERS),
        coverage=coverage,
        receipt=name_inputs(inputs),
        notes=tuple(_notes(query, inputs, coverage, failed_in_words(selection), rows, parameters, node.sample)),
    )


def _refuse_meaningless(query: ParameterSensitivityQuery, inputs: Inputs) -> None:
    """What is asked for by name has to have a meaning for these scenarios; a default that has none is passed over, with a note."""
    ordered, name = inputs.scenarios.in_order, inputs.scenarios.name
    for field in ("windows", "decays") if not ordered else ("numbers",):
        if field in query.model_fields_set and getattr(query, field) != type(query).model_fields[field].default:
            are = "are days in order, of which windows and decays are asked for" if ordered else "are not days in order"
            message = f"{field} were given, and the scenarios of {name} {are}; leave {field} out."
            raise BadInput(message, issues=(Issue(f"/{field}", message),))


def _parameters(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Slope and greatest change of each parameter."""
    for name in dict.fromkeys(r["parameter"] for r in rows):
        mine = [r for r in rows if r["parameter"] == name]
        unit, words = UNITS.get(name, (0.0, None))
        found: dict[str, Any] = {"parameter": name, "unit": words}
        found["standard"] = next(r["setting"] for r in mine if r["standard"])
        for figure in _FIGURES:
            moved = [r for r in mine if r[f"{figure}_change"]]
            most = max(moved, key=lambda r: abs(r[f"{figure}_change"]), default=None)
            found[f"{figure}_most"] = None if most is None else most[f"{figure}_change"]
            found[f"{figure}_most_at"] = None if most is None else most["setting"]
            found[f"{figure}_slope"] = _slope([(r["value"], r[figure], r["standard"]) for r in mine], unit)
        yield found


def _slope(points: Sequence[tuple[float | None, float | None, bool]], unit: float) -> float | None:
    """Difference quotient between the neighbours of the standard, on one side the standard itself where there is none, per unit."""
    known = [(x, y, s) for x, y, s in points if x is not None and y is not None]
    at = next((i for i, (_, _, s) in enumerate(known) if s), None)
    if at is None or not unit:
        return None
    (x0, y0, _), (x1, y1, _) = known[max(at - 1, 0)], known[min(at + 1, len(known) - 1)]
    return (y1 - y0) / (x1 - x0) * unit if x1 > x0 else None


def _notes(
    query: ParameterSensitivityQuery,
    inputs: Inputs,
    coverage: Coverage,
    failed: str,
    rows: Sequence[Mapping[str, Any]],
    parameters: Sequence[Mapping[str, Any]],
    sample: bool,
) -> Iterator[str]:
    if inputs.scenarios.synthetic:
        yield "The market data is synthetic."
    if out := coverage.failed + coverage.missing:
        yield f"{counted(out, 'position is', 'positions are')} not in the figures. {failed}".rstrip()
    if not rows:
        return
    for figure, words in (("var", "VaR"), ("es", "ES")):
        most = max(parameters, key=lambda p: abs(p[f"{figure}_most"] or 0.0))
        if most[f"{figure}_most"]:
            where = f"{most[f'{figure}_most']:+,.0f} {query.currency} at {most[f'{figure}_most_at']}"
            yield f"{words} moves most with the {most['parameter']}: {where}, against {most['standard']}."
    if inputs.scenarios.in_order:
        yield "The scenarios are days in order: their number is the window."
    else:
        yield "The scenarios are not days in order: a window and a decay have no meaning."
    if not sample and query.interval is not None:
        yield "The scenarios were chosen and are no sample: there are no sampling intervals."
    if undefined := sum(r[f] is None for r in rows for f in _FIGURES):
        yield f"{counted(undefined, 'figure is', 'figures are')} not defined: the estimator does not read these weights."


def _value(session: Session, query: ParameterSensitivityQuery) -> ParameterSensitivityQuery:
    made = value_scope(session, query.risk())
    return query.model_copy(update={"valuation_set": made.valuation_set, "scenario_set": made.scenario_set})


def _price(session: Session, query: ParameterSensitivityQuery) -> float:
    """Of the P&L of the node, ranked once for every setting and, where intervals are asked for, for every resample."""
    size = size_of(session, query.risk())
    settings = len(query.levels) + max(len(query.windows) + len(query.decays), len(query.numbers)) + len(ESTIMATORS) + 6
    draws = 1 if query.interval is None else RESAMPLES
    return size.seconds(a_group=2 * settings * draws * SECONDS_A_RANK * size.scenarios)


PARAMETER_SENSITIVITY = Question(
    ParameterSensitivityQuery,
    _answer,
    {"as_of": "2020-03-16"},
    lambda session, query: plan_scope(session, query.risk()),
    _value,
    price=_price,
)
