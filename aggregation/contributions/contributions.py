"""Contributions to VaR, ES or volatility: standalone, component, marginal, incremental, by any dimension and at any depth.

Components are those of single positions, added up: so they are the same however positions are grouped, and add up to the
total to the last bit. Rows of a question by desk and book add up to the rows of the question by desk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, Field
from scipy import sparse

from aggregation.answer import Answer
from aggregation.kernels.bootstrap import percentile_interval
from aggregation.kernels.euler import (
    Split,
    exact_split,
    group_sums,
    position_parts,
    regression_weights,
)
from aggregation.kernels.fixed_sums import add_to_slots, difference
from aggregation.measures import MEASURES, AskedMeasure, asked_measures, interval_confidence
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import size_of
from aggregation.question import Question, of_lake
from aggregation.receipts import make_receipt
from aggregation.reduce.coverage import coverage_columns, show_groups, total_coverage
from aggregation.reduce.grouping import Groups, coverage
from aggregation.reduce.netting import net
from aggregation.reduce.product import by_rows, group_base
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.reduce.unit_parts import unit_parts
from aggregation.risk.query import PNL_BYTES, answer_notes, standing_still, stated_horizon
from aggregation.risk.sampling_error import (
    SECONDS_A_FIGURE,
    SECONDS_A_LOSS,
    SECONDS_A_RANK,
    drawn_from,
    resampled,
    resampled_weights,
    resamples_of,
)
from aggregation.session import Session
from aggregation.types import Coverage, Level, Measure, MeasureName, RiskQuery, whole
from lake.arrays import Floats
from lake.canonical import digest
from lake.errors import BadInput
from lake.progress import allowance
from lake.tables import Lake

Form = Literal["scenario", "regression"]
Figure = Literal["component", "standalone", "marginal", "incremental", "stability"]
FORMS: dict[Form, str] = {
    "scenario": "the P&L of the group in the scenarios that make the measure, with the weights they have in it",
    "regression": "covariance of the group's P&L with the whole over its variance, times the measure",
}
INTERVAL = ("component_low", "component_high")
PART = "part"  # the column that says top, offset or rest
_OF_SCENARIOS = {"standalone", "incremental"}  # figures that need every scenario of every group


class ContributionQuery(RiskQuery):
    """What contributes to one measure at one level. The fields are those of a risk query, and these."""

    measures: tuple[MeasureName, ...] = Field(
        ("var",), min_length=1, max_length=1, description="the one measure to split: var, es, volatility"
    )
    levels: tuple[Level, ...] = Field(("0.99",), min_length=1, max_length=1, description="its one confidence level")
    form: Form = Field("scenario", description="how the measure is split: scenario or regression")
    figures: tuple[Figure, ...] = Field(
        ("component", "standalone", "marginal", "incremental", "stability"),
        min_length=1,
        description="what to say of each group; the component always is",
    )
    top: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(whole)] | None = Field(
        None, description="only so many greatest contributors and offsets, the rest in one row"
    )


@dataclass(frozen=True)
class ContributionResult(Answer):
    """`rows` has one row a group: the `by` columns, coverage, base_value, component, share and the figures asked for; money
    in the reporting currency, losses positive. Rows are sorted by group; with `top` by component, with the column `part`.

    The components add up to `total["component"]` to the last bit. grid : what all of them are multiples of. residual : what
    rounding left between them and the measure, which the greatest position carries.
    """

    query: ContributionQuery
    rows: pa.Table
    total: Mapping[str, Any]
    coverage: Coverage
    grid: float
    residual: float
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def run_contributions(
    lake: Lake, query: ContributionQuery, *, cache: VectorCache | None = None, threads: int | None = None
) -> ContributionResult:
    """Splits the measure of the selected positions by the query's dimensions; values nothing.

    Raises `BadInput` for more than one measure or level and where the measure has no such split, and as `run_query` does.
    """
    _one(query)  # what is asked wrongly is said before anything is opened
    return contributions_of(open_inputs(cache or VectorCache(lake), query), query, threads)


def contributions_of(inputs: Inputs, query: ContributionQuery, threads: int | None = None) -> ContributionResult:
    """As `run_contributions`, from opened inputs."""
    asked = _one(query)
    if query.scale_to_days is not None:
        asked = asked.over(stated_horizon(inputs))
    selection = open_selection(inputs, query)
    most = None if query.top is None else 2 * query.top + 1
    show_groups(selection, query, ("base_value", "component", "share", *query.figures), most)
    whole = _Whole.of(selection, asked, query, threads)
    part: pa.Array | None = None
    notes: tuple[str, ...] = ()
    if query.top is not None:
        selection, part, notes = _shortened(selection, whole.split, query.top)
    return _result(query, selection, whole, _figures(selection, whole, query, threads), part, notes)


def _one(query: ContributionQuery) -> AskedMeasure:
    """The measure and level to split."""
    asked = asked_measures(query)
    if len(asked) != 1:
        raise BadInput(
            f"Contributions are to one measure at one level, and {', '.join(a.name for a in asked)} were asked for; "
            "ask for each by itself."
        )
    split = [m.name for m in MEASURES.values() if _splits(m, query.form)]
    if asked[0].measure.name not in split:
        raise BadInput(
            f"The measure {asked[0].measure.name} does not split in the {query.form} form; these do: {', '.join(split)}."
        )
    return asked[0]


def _splits(measure: Measure, form: Form) -> bool:
    """Euler needs a measure of money that doubles with the book; the scenario form also its weights by scenario."""
    return measure.tail_weights is not None if form == "scenario" else measure.of_money and not measure.additive


@dataclass(frozen=True)
class _Whole:
    """The selected positions together: base value, P&L (1, n_scenarios), the measure as `run_query` gives it, its split by
    position, for each neighbouring tail that there is the contributions (n_positions,) to the measure with that tail, and where an
    interval is asked for the weights of the split under each resample of the scenarios, (n_resamples, n_scenarios)."""

    asked: AskedMeasure
    weights: Floats | None
    base: float
    pnl: Floats
    measure: float
    split: Split
    neighbours: tuple[Floats, ...]
    resampled: sparse.csc_array | None

    @classmethod
    def of(cls, selection: Selection, asked: AskedMeasure, query: ContributionQuery, threads: int | None) -> _Whole:
        inputs, groups = selection.inputs, selection.groups
        base, pnl = scenario_pnl(selection, groups.n, 1, threads)
        measure, weights = _linear(asked, query.form, pnl, inputs.weights)
        tails = [weights]
        if "stability" in query.figures:
            for level in _neighbours(asked.level, inputs.n_scenarios):
                with contextlib.suppress(BadInput):  # the measure is not defined for so short a tail
                    tails.append(
                        _linear(dataclasses.replace(asked, argument=level), query.form, pnl, inputs.weights)[1]
                    )
        units = unit_parts(selection, np.stack(tails))
        parts, *others = (
            position_parts(inputs.book.starts, inputs.book.quantity, groups.group, unit) for unit in units
        )
        return cls(
            asked,
            inputs.weights,
            float(base[0]),
            pnl,
            measure,
            exact_split(parts, measure),
            tuple(others),
            None if query.interval is None else _resampled(asked, query.form, pnl, inputs),
        )

    def of_pnl(self, pnl: Floats, threads: int | None) -> Floats:
        """The measure of each row of P&L (n_groups, n_scenarios)."""
        return by_rows(functools.partial(self.asked.values, weights=self.weights), pnl, threads)

    def interval(self, pnl: Floats, confidence: Fraction, threads: int | None) -> Floats:
        """Ends of the sampling interval of the component of each row of P&L (n_groups, n_scenarios), (2, n_groups)."""
        return by_rows(functools.partial(self._interval, confidence), pnl, threads).T

    def _interval(self, confidence: Fraction, pnl: Floats) -> Floats:
        assert self.resampled is not None
        w, n = self.resampled, pnl.shape[1]
        sums = np.zeros((w.shape[0], len(pnl)))
        add_to_slots(np.arange(n, dtype=np.int32), np.ascontiguousarray(pnl.T), w.indptr, w.indices, w.data, sums)
        return np.stack(percentile_interval(-sums.T, confidence), axis=1)


def _linear(asked: AskedMeasure, form: Form, pnl: Floats, probabilities: Floats | None) -> tuple[float, Floats]:
    """The measure of the whole, and the weights (n_scenarios,) by which it splits."""
    measure = float(asked.values(pnl, probabilities)[0])
    if form == "regression":
        return measure, regression_weights(pnl[0], probabilities, measure)
    return measure, asked.tail_weights(pnl, probabilities)[0]


def _resampled(asked: AskedMeasure, form: Form, pnl: Floats, inputs: Inputs) -> sparse.csc_array:
    """The weights by which the measure splits under each resample, (n_resamples, n_scenarios)."""
    resamples, weights = resamples_of(inputs), inputs.weights
    if form == "scenario":
        return sparse.csc_array(resampled_weights(asked, pnl[0], weights, resamples))
    measures = resampled(asked, pnl, weights, resamples)[0]
    drawn = resamples.counts * (np.ones(pnl.shape[1]) if weights is None else weights)
    return sparse.csc_array(
        np.stack([regression_weights(pnl[0], d, m) for d, m in zip(drawn, measures.tolist(), strict=True)])
    )


def _neighbours(level: Fraction | None, n: int) -> list[Fraction]:
    """The levels at which the tail is one scenario shorter and one longer: ranks are in n (1 - level)."""
    return [] if level is None else [x for x in (level + Fraction(1, n), level - Fraction(1, n)) if 0 < x < 1]


def _shortened(selection: Selection, split: Split, top: int) -> tuple[Selection, pa.Array, tuple[str, ...]]:
    """The selection regrouped into its greatest contributors and offsets and one group of the rest, greatest first, the part
    that each is, and a note on the rest. The first group goes before an equal one."""
    groups = selection.groups
    component = group_sums(split.parts, groups.group, groups.n)
    order = np.argsort(-component, kind="stable")
    contributors = [int(g) for g in order[:top] if component[g] > 0.0]
    offsets = [int(g) for g in order[::-1][:top] if component[g] < 0.0][::-1]
    rest = groups.n - len(contributors) - len(offsets)
    shown: list[int | None] = [*contributors, *([None] if rest else []), *offsets]
    to = np.full(groups.n + 1, len(contributors), dtype=np.int32)
    to[-1] = -1  # positions in no group
    for place, g in enumerate(shown):
        if g is not None:
            to[g] = place
    keys = groups.keys.take(pa.array(shown, pa.int64()))
    regrouped = Groups(to[groups.group], keys, len(shown))
    counts = coverage(selection.inputs.book, regrouped, selection.inputs.alignment)
    counts = np.vstack([counts, selection.counts[-1:]])
    part = pa.array(["top"] * len(contributors) + ["rest"] * (rest > 0) + ["offset"] * len(offsets), pa.string())
    notes = (f"The rest holds {rest:,} of {groups.n:,} groups.",) if rest else ()
    return dataclasses.replace(selection, groups=regrouped, counts=counts), part, notes


def _figures(selection: Selection, whole: _Whole, query: ContributionQuery, threads: int | None) -> dict[str, Floats]:
    """The figures of every group and, last, of the total, (groups.n + 1,); NaN where there is none."""
    groups, split, asked = selection.groups, whole.split, query.figures
    n = groups.n + 1
    component = np.append(group_sums(split.parts, groups.group, groups.n), split.total)
    ends = INTERVAL if query.interval is not None else ()
    found = {name: np.empty(n) for name in ("base_value", *ends, *(f for f in _OF_SCENARIOS if f in asked))}
    _of_scenarios(selection, whole, query, found, threads)
    figures = {"base_value": found["base_value"], "component": component, **{e: found[e] for e in ends}}
    figures["share"] = _over(component, split.total)
    if "standalone" in asked:
        figures["standalone"] = found["standalone"]
        figures["diversification"] = found["standalone"] - component
    if "marginal" in asked:
        figures["marginal"] = _over(component, found["base_value"])
    if "incremental" in asked:
        figures["incremental"] = found["incremental"]
    if "stability" in asked:
        moved = [np.append(group_sums(p, groups.group, groups.n), p.sum()) for p in whole.neighbours]
        furthest = np.max([np.abs(m - component) for m in moved], axis=0) if moved else np.full(n, np.nan)
        figures["stability"] = _over(furthest, abs(whole.measure))
    covered = selection.counts[:, 0] > 0
    return figures if covered.all() else {name: np.where(covered, f, np.nan) for name, f in figures.items()}


def _of_scenarios(
    selection: Selection, whole: _Whole, query: ContributionQuery, found: dict[str, Floats], threads: int | None
) -> None:
    """Fills in base values and the figures of `found` that need every scenario of every group, in portions that fit in memory."""
    inputs, groups, confidence = selection.inputs, selection.groups, interval_confidence(query)
    found["base_value"][-1] = whole.base
    for figure in _OF_SCENARIOS & found.keys():
        found[figure][-1] = whole.measure
    if len(found) == 1:
        netted = net(inputs.book, groups, inputs.alignment, inputs.vectors, 0, groups.n)
        found["base_value"][:-1] = group_base(netted, selection.rates)
        return
    price = len(_OF_SCENARIOS & found.keys()) * inputs.n_scenarios * SECONDS_A_RANK
    if whole.resampled is not None:
        price += whole.resampled.nnz * SECONDS_A_LOSS + whole.resampled.shape[0] * SECONDS_A_FIGURE
    allowance().spend(price * groups.n)
    portion = max(1, PNL_BYTES // (8 * inputs.n_scenarios))
    for first in range(0, groups.n, portion):
        here = slice(first, min(first + portion, groups.n))
        found["base_value"][here], pnl = scenario_pnl(selection, first, here.stop - first, threads)
        if "standalone" in found:
            found["standalone"][here] = whole.of_pnl(pnl, threads)
        if "incremental" in found:
            found["incremental"][here] = whole.measure - whole.of_pnl(whole.pnl - pnl, threads)
        if confidence is not None:
            found["component_low"][here], found["component_high"][here] = whole.interval(pnl, confidence, threads)
    if confidence is not None:
        (found["component_low"][-1],), (found["component_high"][-1],) = whole.interval(whole.pnl, confidence, threads)


def _over(value: Floats, by: Floats | float) -> Floats:
    """The quotient; NaN where there is nothing to divide by."""
    return np.asarray(np.divide(value, by, out=np.full(len(value), np.nan), where=np.asarray(by) != 0.0))


def _result(
    query: ContributionQuery,
    selection: Selection,
    whole: _Whole,
    figures: dict[str, Floats],
    part: pa.Array | None,
    notes: tuple[str, ...],
) -> ContributionResult:
    groups, counts = selection.groups, selection.counts
    covered = coverage_columns(selection)
    shown = dict(figures)  # the digest is of the figures as they are
    if "diversification" in figures:
        size = abs(whole.split.total)
        shown["diversification"] = difference(figures["standalone"], figures["component"], size)
    everything = {
        **covered,
        **{name: pa.array(values, mask=np.isnan(values)) for name, values in shown.items()},
    }
    keys = dict(zip(groups.keys.column_names, groups.keys.columns, strict=True))
    parts = {} if part is None else {PART: part}
    rows = pa.table({**keys, **parts, **{name: column[: groups.n] for name, column in everything.items()}})
    total = {name: column[groups.n].as_py() for name, column in everything.items()}
    if "standalone" in query.figures:
        # the diversification of the total is that between the groups
        alone = figures["standalone"][:-1]
        total["standalone_sum"] = float(np.add.accumulate(alone[~np.isnan(alone)])[-1]) if counts[-1, 0] else None
        total["diversification"] = float(difference(total["standalone_sum"], whole.measure)) if counts[-1, 0] else None
    coverage_of_all = total_coverage(covered)
    inputs, split = selection.inputs, whole.split
    return ContributionResult(
        query=query,
        rows=rows,
        total=total,
        coverage=coverage_of_all,
        grid=split.grid,
        residual=split.residual,
        receipt=make_receipt(
            "contributions",
            query.model_dump(mode="json"),
            inputs,
            digest(*(p for name, values in figures.items() for p in (name, values.tobytes()))),
            estimator=query.estimator,
            form=query.form,
            interval=None
            if query.interval is None
            else {"confidence": query.interval, **resamples_of(inputs).to_dict()},
            ties="of scenarios with equal P&L the first in scenario order ranks worse",
            levels=list(query.levels),
            currency=query.currency,
            exchange_rates={c: [[f, power] for f, power in path] for c, path in selection.rates.legs.items()},
        ),
        notes=(
            *answer_notes(
                query.model_copy(update={"interval": None}),
                selection,
                [whole.asked],
                coverage_of_all,
                int((counts[:-1, 0] == 0).sum()),
            ),
            *standing_still(inputs, [whole.asked], whole.pnl),
            *notes,
            *_own_notes(query, whole, inputs),
        ),
    )


def _own_notes(query: ContributionQuery, whole: _Whole, inputs: Inputs) -> list[str]:
    notes = []
    if query.form == "regression":
        notes.append(f"Regression form: {FORMS['regression']}.")
    if "stability" in query.figures and not whole.neighbours:
        notes.append("There is no stability: the tail has no neighbour at this level.")
    if query.interval is not None:
        resamples = resamples_of(inputs)
        notes.append(
            f"Intervals of components at {query.interval} by {resamples.count:,} resamples of the scenarios, the same for every group: "
            "in each the whole is ranked anew."
        )
    if whole.split.total == 0.0:
        notes.append("The measure is zero, so that there are no shares.")
    return notes


def _price(session: Session, query: ContributionQuery) -> float:
    size = size_of(session, query)
    if query.top is not None:
        size = dataclasses.replace(size, groups=min(size.groups, 2 * query.top + 1))
    n = size.scenarios
    a_group = len(_OF_SCENARIOS) * n * SECONDS_A_RANK
    if query.interval is not None:
        assert size.seal is not None
        count = drawn_from(session.as_known(query.as_known).cache.scenarios(size.seal), n).count
        a_group += count * (SECONDS_A_FIGURE + n * SECONDS_A_LOSS)
    return size.seconds(passes=3, a_group=a_group)


CONTRIBUTIONS = Question(
    ContributionQuery,
    of_lake(run_contributions),
    {"as_of": "2020-03-16", "by": ["desk", "book"], "measures": ["es"], "top": 5},
    plan_scope,
    value_scope,
    price=_price,
)
