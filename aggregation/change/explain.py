"""Why VaR or ES changed between two points, exactly, by dimension and by cause at once. From stored vectors alone.

Two points are two questions that differ in dates or sets. The change of the measure of all that the filters keep splits into
cells, a member of the dimensions by a cause, which add up to it. The identity behind it is the product rule for
-sum_is w_s p_is, in which the mean of one factor times the change of the other, and back, give the change of the product. Changes
of the window are taken first, on either side, as measures over the scenarios that both points have (docs/explain.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from aggregation.answer import HIDDEN, Answer, shown
from aggregation.change.intervals import cause_intervals
from aggregation.change.pairing import actions_between
from aggregation.change.sides import Comparison, compared, in_words, place
from aggregation.kernels import change_effects as effects
from aggregation.kernels.change_effects import AFTER, BEFORE, CAUSES
from aggregation.measures import interval_confidence
from aggregation.opened.inputs import Inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.receipts import name_both, receipt_of
from aggregation.reduce.coverage import failed_in_words
from aggregation.risk.query import calendar_notes, standing_still
from aggregation.risk.sampling_error import within_error
from aggregation.types import Coverage, RiskQuery
from lake.arrays import Floats
from lake.canonical import digest
from lake.runtime.machine import usable_cores
from lake.tables import Lake
from lake.workers import each

TOLERANCE = 1e-9  # of the largest number in the table: more than this may not be left unexplained

MEANING = {
    "new": "trades that only the second point holds: their quantity times the mean P&L of a unit",
    "closed": "trades that only the first point holds",
    "amended": "trades of both points with another quantity or another contract",
    "transferred": "trades of both points that went to another member, or into or out of the filter",
    "coverage": "trades of both points whose contract has a value at one of them only",
    "left": "scenarios that only the first point has",
    "entered": "scenarios that only the second point has",
    "revaluation": "another P&L of a unit in the same scenarios, in the contract's own currency",
    "currency": "other exchange rates, in the same scenarios and on the base value",
    "tail": "other weights of the same scenarios: the tail is made of other ones",
}


class Interval(NamedTuple):
    """A sampling interval, None where none was asked for. within_error : whether it holds zero."""

    low: float | None
    high: float | None
    within_error: bool | None


class CauseRow(NamedTuple):
    """What the measure changed by for a cause, losses positive, with its interval."""

    cause: str
    value: float
    low: float | None
    high: float | None
    within_error: bool | None
    meaning: str


class Explained(Answer):
    """What explanations of a change show alike."""

    meanings: ClassVar[Mapping[str, str]]
    question: tuple[RiskQuery, RiskQuery]
    before: float
    after: float
    causes: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] | None

    @property
    @shown("from")
    def from_(self) -> RiskQuery:
        return self.question[0]

    @property
    @shown("to")
    def to(self) -> RiskQuery:
        return self.question[1]

    @property
    @shown("change")
    def change(self) -> float:
        return self.after - self.before

    @property
    @shown("change_interval")
    def change_interval(self) -> Interval:
        return self._interval("change")

    @property
    @shown("causes")
    def cause_rows(self) -> tuple[CauseRow, ...]:
        return tuple(CauseRow(c, v, *self._interval(c), self.meanings[c]) for c, v in self.causes.items())

    def _interval(self, name: str) -> Interval:
        if self.intervals is None or name not in self.intervals:
            return Interval(None, None, None)
        return Interval(*self.intervals[name], within_error(*self.intervals[name]))


@dataclass(frozen=True)
class ExplainResult(Explained):
    """The change of a measure between two points. All figures are in the reporting currency, losses positive.

    rows : a row a member of either point, sorted: the `by` columns, `before` and `after` (what the member contributes to
    the measure), `change`, and a column a cause; change = sum of the causes. Without `by` there is one row.
    causes : cause to its column's sum. before, after : the measure. residual : after - before - sum of all cells.
    intervals : cause, and change, to the ends of its sampling interval, where the question asks for one.
    revaluation : what the receipts show to have changed about the valuation, which the cause of that name holds together.
    """

    meanings = MEANING
    question: tuple[RiskQuery, RiskQuery] = field(metadata=HIDDEN)
    measure: str
    before: float
    after: float
    rows: pa.Table
    causes: Mapping[str, float] = field(metadata=HIDDEN)
    residual: float
    common_scenarios: int
    coverage: tuple[Coverage, Coverage]
    revaluation: tuple[str, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    intervals: Mapping[str, tuple[float, float]] | None = field(default=None, metadata=HIDDEN)

    @property
    @shown("method")
    def method(self) -> Literal["causes"]:
        return "causes"


def explain(
    lake: Lake,
    query_from: RiskQuery,
    query_to: RiskQuery,
    *,
    cache: VectorCache | None = None,
    threads: int | None = None,
) -> ExplainResult:
    """Explains the change of the one measure and level of the queries, later minus earlier.

    Raises `BadInput` for unlike questions, horizons or risk classes, for measures that are no tail measures and for filters
    that keep nothing at either point; `NotFound` for dates and sets without data.
    """
    return explained(compared(lake, query_from, query_to, cache=cache, threads=threads), threads)


def explained(comparison: Comparison, threads: int | None = None) -> ExplainResult:
    """The cells of a comparison, checked against the two measures."""
    one, two = comparison.sides
    confidence = interval_confidence(comparison.question[0])
    units = effects_of_units(comparison, threads)
    table = on_grid(effects.position_effects(*comparison.held, *comparison.valued, units, max(comparison.members.n, 1)))
    cells = table[:, : len(CAUSES)]
    residual = two.value - one.value - float(cells.sum())
    largest = max(abs(one.value), abs(two.value), float(np.abs(cells).max(initial=0.0)))
    if not abs(residual) <= TOLERANCE * largest:
        raise AssertionError(
            f"{comparison.asked.name} changed by {two.value - one.value!r} and its causes add up to {float(cells.sum())!r}"
        )
    columns = {
        "before": table[:, BEFORE],
        "after": table[:, AFTER],
        "change": cells.sum(axis=1),
        **dict(zip(CAUSES, cells.T, strict=True)),
    }
    keys = comparison.members.keys
    rows = pa.table(
        {
            **dict(zip(keys.column_names, keys.columns, strict=True)),
            **{name: pa.array(values) for name, values in columns.items()},
        }
    )
    causes = dict(zip(CAUSES, map(float, cells.sum(axis=0)), strict=True))
    return ExplainResult(
        question=comparison.question,
        measure=comparison.asked.name,
        before=one.value,
        after=two.value,
        rows=rows,
        causes=causes,
        residual=residual,
        common_scenarios=len(comparison.common.before),
        coverage=(one.coverage, two.coverage),
        revaluation=what_changed(one.inputs, two.inputs),
        receipt=two_point_receipt("explain", comparison, digest(*(c.tobytes() for c in columns.values()))),
        notes=_notes(comparison),
        intervals=None if confidence is None else cause_intervals(comparison, confidence, threads),
    )


def effects_of_units(comparison: Comparison, threads: int | None = None) -> Floats:
    """`effects.unit_effects` of all contracts, in threads; each contract stands alone, so that they change no bit."""
    n = len(comparison.pairing.contract_ids)
    out = np.empty((n, 9))
    bounds = np.linspace(0, n, (threads or usable_cores()) + 1).astype(int).tolist()
    each(
        lambda part: effects.unit_effects(*comparison.kernel, part[0], part[1], out),
        list(itertools.pairwise(bounds)),
        threads,
    )
    return out


def on_grid(values: Floats) -> Floats:
    """The values rounded to a common binary grid on which their sums, in any order, are exact: the table adds up as shown.

    The grid is 2**-52 of a bound on the sum of all of them, far below the cent.
    """
    bound = float(np.abs(values).sum())
    if bound == 0.0:
        return values
    step = 2.0 ** max(int(np.frexp(bound)[1]) - 51, -1022)
    return np.asarray(np.round(values / step) * step + 0.0)


def what_changed(one: Inputs, two: Inputs) -> tuple[str, ...]:
    """What the receipts of two points show to have changed about the valuation of a unit."""
    a, b = (
        {
            "valuation date": i.valuation_set.valuation_date,
            "market date": i.valuation_set.market_date,
            "market data version": i.scenarios.market_data_version,
            "scenario method": i.scenarios.method,
            "scenario set": i.scenarios.name,
            "pricer version": i.valuation_set.pricer_version[:12],
        }
        for i in (one, two)
    )
    return tuple(f"{name}: {a[name]} to {b[name]}" for name in a if a[name] != b[name])


def two_point_receipt(kind: str, comparison: Comparison, result_digest: str, **more: Any) -> dict[str, Any]:
    """A receipt that names the inputs of both points."""
    one, two = comparison.question
    question = {"from": one.model_dump(mode="json"), "to": two.model_dump(mode="json"), **more}
    return receipt_of(
        kind,
        question,
        result_digest,
        name_both(*(s.inputs for s in comparison.sides)),
        measure=comparison.asked.name,
        estimator=one.estimator,
        currency=one.currency,
    )


def _notes(comparison: Comparison) -> tuple[str, ...]:
    """What a reader must know before using the numbers."""
    one, two = comparison.sides
    notes = [] if comparison.common.note is None else [comparison.common.note]
    for side, query in zip(comparison.sides, comparison.question, strict=True):
        where, c = place(side.inputs), side.coverage
        if not c.positions:
            notes.append(
                f"Nothing passes the filter at {where}: {in_words([str(f) for f in query.where])} counts as zero there."
            )
        elif not c.covered:
            notes.append(f"None of {c.positions:,} positions has a value at {where}; they count as zero there.")
        elif c.covered < c.positions:
            out = c.positions - c.covered
            notes.append(
                f"{out:,} of {c.positions:,} positions {'is' if out == 1 else 'are'} not in the number of {where}: {c.failed:,} failed, "
                f"{c.missing:,} not valued. {failed_in_words(side.selection)}".rstrip()
            )
        if c.covered:
            standing = standing_still(side.inputs, [comparison.asked], side.pnl[None])
            notes += [f"At {where}: {note}" for note in (*standing, *calendar_notes(side.selection, query.as_of))]
    scenarios = [s.inputs.scenarios for s in comparison.sides]
    if any(s.synthetic for s in scenarios):
        notes.append("The market data is synthetic.")
    for what, a, b in (
        ("Scenario counts", one.inputs.n_scenarios, two.inputs.n_scenarios),
        ("Scenario sets", scenarios[0].name, scenarios[1].name),
        ("Methods", scenarios[0].method, scenarios[1].method),
    ):
        if a != b:
            notes.append(f"{what} differ: {a} at {place(one.inputs)}, {b} at {place(two.inputs)}.")
    return (*notes, *actions_between(one.inputs, two.inputs))
