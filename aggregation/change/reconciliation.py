"""Reconciliation by convention: which other way of reading the same P&L vectors gives another system's number.

All departures from our own reading by one and by two conventions are tried, on cached vectors alone. A reading matches when
it rounds to the digits that were given. Several may: a number alone does not tell them apart, and the answer says so.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import ConfigDict, Field

from aggregation.answer import Answer
from aggregation.change.conventions import Option, Reading, Translation, options, read_under
from aggregation.measures import asked_measures, level_text
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import size_of
from aggregation.question import Question
from aggregation.receipts import make_receipt
from aggregation.reduce.coverage import coverage_columns, failed_in_words, total_coverage
from aggregation.reduce.currency import Conversion
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.risk.query import stated_horizon
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.types import AsKnown, Condition, Coverage, Currency, EstimatorName, OneFigure, Positions, RiskQuery
from lake.arrays import Floats
from lake.canonical import digest
from lake.dates import Day
from lake.errors import BadInput, counted
from lake.tables import Lake

MOST_MATCHES = 20
_READINGS = 20_000  # under which a number is read at the most: pairs of options
NEAREST = 5  # readings that do not match, shown beside
_NEIGHBOURHOOD = 0.05  # of their number: where the density of readings is measured

_NUMBER = re.compile(r"[+-]?(\d+(,\d{3})*|\d*)(\.\d*)?([eE][+-]?\d{1,2})?")


@dataclass(frozen=True)
class Theirs:
    """A number as it was printed: `value` lies within `tolerance` of what was computed there."""

    text: str
    value: float
    tolerance: float

    @classmethod
    def parse(cls, text: str, tolerance: float | None = None) -> Theirs:
        """The number with half a unit of its last digit as tolerance, unless one is given. `1,234.5` is 1234.5 +- 0.05."""
        given = text.strip()
        if not _NUMBER.fullmatch(given) or not any(c.isdigit() for c in given.partition("e")[0]):
            raise BadInput(
                f"The number {text!r} was given; expected digits as printed, such as 1234567, -1,234.5 or 2.63."
            )
        exact = Decimal(given.replace(",", ""))
        if tolerance is not None and not 0 <= tolerance < float("inf"):
            raise BadInput(f"The tolerance {tolerance!r} was given; expected an amount, 0 or more.")
        half = Decimal(5).scaleb(int(exact.as_tuple().exponent) - 1)
        return cls(given, float(exact), float(half) if tolerance is None else tolerance)

    def matches(self, value: float) -> bool:
        return abs(value - self.value) <= self.tolerance * (1 + 1e-9)


class Difference(NamedTuple):
    convention: str
    theirs: str


@dataclass(frozen=True)
class Candidate(Answer):
    """A reading: its value, how far from theirs, whether it matches, and what in it is not ours, by convention."""

    value: float
    distance: float
    matches: bool
    differences: tuple[Difference, ...]

    @property
    def text(self) -> str:
        """The differences in words."""
        return "; ".join(f"{c}: {w}" for c, w in self.differences) or "as ours"


@dataclass(frozen=True)
class Reconciliation(Answer):
    """`ours` is our number, None where there is none. `candidates` are the readings that match, those with fewest differences
    first, then the nearest that do not. tried : readings with a value of their own. by_chance : how many matches their
    density around the number would give by accident.
    """

    query: RiskQuery
    theirs: Theirs
    ours: float | None
    candidates: tuple[Candidate, ...]
    matches: int
    tried: int
    by_chance: float
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> pa.Table:
        """A row a candidate."""
        kinds = (("reading", pa.string()), ("value", pa.float64()), ("distance", pa.float64()), ("matches", pa.bool_()))
        rows = [{"reading": c.text, **vars(c)} for c in self.candidates]
        return pa.Table.from_pylist([{name: r[name] for name, _ in kinds} for r in rows], schema=pa.schema(kinds))


def reconcile(lake: Lake, query: RiskQuery, theirs: Theirs, *, cache: VectorCache | None = None) -> Reconciliation:
    """Reads the selection's P&L vector in every way that departs from the query's by at most two conventions.

    Raises `BadInput` for a query with groups, or with more than one measure or level, or with another measure than VaR and
    ES, and as `run_query` does.
    """
    ours = _ours(query)
    inputs = open_inputs(cache or VectorCache(lake), query)
    selection = open_selection(inputs, query)
    coverage = total_coverage(coverage_columns(selection))
    days = _days(query, selection)
    ours = dataclasses.replace(ours, window=inputs.n_scenarios, horizon_days=query.scale_to_days or days)
    pnls = _pnls(selection)
    ordered = inputs.scenarios.in_order
    choices = options(
        ours, inputs.n_scenarios, ordered=ordered, translated=len(pnls) > 1, weighted=inputs.weights is not None
    )
    candidates = _candidates(ours, choices, pnls, inputs.weights, days, theirs) if coverage.covered else []
    own = next((c.value for c in candidates if not c.differences), None)
    matches = sum(c.matches for c in candidates)
    near = sum(c.distance <= _NEIGHBOURHOOD * abs(theirs.value) for c in candidates[matches:])
    by_chance = near * theirs.tolerance / (_NEIGHBOURHOOD * abs(theirs.value)) if theirs.value else 0.0
    return Reconciliation(
        query=query,
        theirs=theirs,
        ours=own,
        candidates=(*candidates[: min(matches, MOST_MATCHES)], *candidates[matches : matches + NEAREST]),
        matches=matches,
        tried=len(candidates),
        by_chance=by_chance,
        coverage=coverage,
        receipt=make_receipt(
            "bridge",
            {"query": query.model_dump(mode="json"), "theirs": theirs.text, "tolerance": theirs.tolerance},
            inputs,
            digest(*(np.float64(c.value).tobytes() for c in candidates)),
        ),
        notes=_notes(own, candidates[:matches], theirs, coverage, failed_in_words(selection), ordered, by_chance),
    )


def _ours(query: RiskQuery) -> Reading:
    asked = asked_measures(query)
    if query.by or len(asked) != 1 or asked[0].measure.name not in ("var", "es"):
        names = ", ".join(a.name for a in asked)
        raise BadInput(
            f"A reconciliation is of one number: var or es at one level, of one selection. {names}"
            f"{' by ' + ', '.join(query.by) if query.by else ''} was asked for."
        )
    level = asked[0].level
    assert level is not None
    return Reading(
        measure="var" if asked[0].measure.name == "var" else "es",
        level=level_text(level),
        window=0,
        horizon_days=0,
        estimator=query.estimator,
        tail=query.tail,
    )


def _days(query: RiskQuery, selection: Selection) -> int:
    """Business days that the scenarios span; 0 where they state none and none is asked for."""
    try:
        return stated_horizon(selection.inputs)
    except BadInput:
        if query.scale_to_days is not None:
            raise
        return 0


def _pnls(selection: Selection) -> dict[Translation, Floats]:
    """P&L of the whole selection, (n_scenarios,), by how it is brought into the reporting currency."""
    rates = selection.rates
    spot = np.repeat(rates.base[:, None], rates.scenarios.shape[1], axis=1)
    none = Conversion(np.ones_like(rates.base), np.ones_like(rates.scenarios), {})
    ways: dict[Translation, Conversion] = {"scenario": rates}
    if rates.legs:
        ways |= {"spot": dataclasses.replace(rates, scenarios=spot), "none": none}
    n = selection.groups.n
    return {w: scenario_pnl(dataclasses.replace(selection, rates=r), n, 1)[1][0] for w, r in ways.items()}


def _candidates(
    ours: Reading,
    choices: Sequence[Option],
    pnls: Mapping[Translation, Floats],
    weights: Floats | None,
    days: int,
    theirs: Theirs,
) -> list[Candidate]:
    """Our reading first, then all others with a value of their own: those that match, fewest differences first, and then
    by distance. A difference that changes nothing beside the others is none."""
    found: dict[tuple[Option, ...], float] = {}
    for chosen in _departures(choices):
        fields = {name: value for option in chosen for name, value in option.fields.items()}
        value = read_under(dataclasses.replace(ours, **fields), pnls, weights, days)
        simpler = [found.get(part) for k in range(len(chosen)) for part in itertools.combinations(chosen, k)]
        if value is not None and value not in simpler:
            found[chosen] = value
    listed = [
        Candidate(v, abs(v - theirs.value), theirs.matches(v), tuple(Difference(o.convention, o.words) for o in chosen))
        for chosen, v in found.items()
    ]
    # sorting keeps the order of what is alike: what is more common stands first
    return sorted(listed, key=lambda c: (not c.matches, len(c.differences) if c.matches else c.distance))


def _departures(choices: Sequence[Option]) -> Iterator[tuple[Option, ...]]:
    """None, one, and two options of different conventions."""
    yield ()
    yield from ((o,) for o in choices)
    yield from ((a, b) for a, b in itertools.combinations(choices, 2) if a.convention != b.convention)


def _notes(
    own: float | None,
    matching: Sequence[Candidate],
    theirs: Theirs,
    coverage: Coverage,
    failed: str,
    ordered: bool,
    by_chance: float,
) -> tuple[str, ...]:
    """What the list of matches does and does not say."""
    notes = []
    if out := coverage.failed + coverage.missing:
        one = "position is not in our number; another system may have a value for it"
        many = "positions are not in our number; another system may have values for them"
        notes.append(f"{counted(out, one, many)}. {failed}".rstrip())
    if not ordered:
        notes.append("The scenarios are not days in order: windows and weights by age were not tried.")
    if own is None:
        notes.append(
            "There is no number of ours: nothing is covered, or the measure is not defined for these scenarios."
        )
    if not matching:
        notes.append(
            f"No reading of these P&L vectors gives {theirs.text}: it rests on other positions, market data, scenarios or prices, "
            "or departs by more than two conventions."
        )
    elif matching[0].differences:
        fewest = [c for c in matching if len(c.differences) == len(matching[0].differences)]
        several = f"{len(fewest)} readings" if len(fewest) > 1 else "One reading"
        words = "one convention" if len(matching[0].differences) == 1 else "two conventions"
        notes.append(
            f"{several} with {words} other than ours give{'' if len(fewest) > 1 else 's'} {theirs.text}"
            + (": the number alone does not tell which." if len(fewest) > 1 else ".")
        )
    if matching and by_chance >= 0.5:
        notes.append(
            f"As many as {by_chance:.1f} matches are to be expected by accident, with so few digits; give more of them."
        )
    return tuple(notes)


class ReconcileQuery(AsKnown, OneFigure):
    """Another system's VaR or ES, to be found among the conventions by which ours could be read."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    theirs: str = Field(
        pattern=r"^[+-]?(\d{1,3}(,\d{3})+|\d{1,15})(\.\d{1,9})?([eE][+-]?\d{1,2})?$",
        description="the other system's number with the digits it printed, such as 1234567 or 2.63",
    )
    tolerance: float | None = Field(
        None, ge=0, le=1e15, description="how far apart is a match; default half a unit of the last digit"
    )
    where: tuple[Condition, ...] = Field((), description=Positions.model_fields["where"].description)
    currency: Currency = Field("USD", description="reporting currency, ISO 4217, such as USD")
    estimator: EstimatorName = Field("order_statistic", description="how a quantile is read from the scenarios")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    scenario_set: str | None = Field(
        None, description="scenario set name or id; default the standard of the lake or desk"
    )
    valuation_set: str | None = Field(None, description="valuation set id; default the newest that fits")

    def risk(self) -> RiskQuery:
        """Our question."""
        asked = self.model_dump(exclude={"measure", "level", "theirs", "tolerance"})
        return RiskQuery(measures=(self.measure,), levels=(self.level,), **asked)


def _answer(session: Session, query: ReconcileQuery) -> Reconciliation:
    theirs = Theirs.parse(query.theirs, query.tolerance)
    return reconcile(session.lake, query.risk(), theirs, cache=session.cache)


def _value(session: Session, query: ReconcileQuery) -> ReconcileQuery:
    made = value_scope(session, query.risk())
    return query.model_copy(update={"valuation_set": made.valuation_set, "scenario_set": made.scenario_set})


def _price(session: Session, query: ReconcileQuery) -> float:
    """Of P&L converted in three ways, and of it read under every pair of options."""
    size = size_of(session, query.risk())
    return size.seconds(passes=3, a_group=_READINGS * SECONDS_A_RANK * size.scenarios)


RECONCILE = Question(
    ReconcileQuery,
    _answer,
    {"as_of": "2020-03-16", "theirs": "37120000", "tolerance": 500_000},
    lambda session, query: plan_scope(session, query.risk()),
    _value,
    price=_price,
)
