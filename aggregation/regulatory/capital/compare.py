"""The question `capital-compare`: two capital reports, and the difference by member and by cause.

The later point is reached from the earlier one in steps, in a stated order, each taking one more of its inputs: trades, market,
the passing of time, agreements, collateral, ratings and other reference data, the regime. What a cause does is the report after its
step less the one before. RWA are multiples of 1/1024 of a unit of currency, so that the causes add up to the whole difference to the
last bit, over any members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregation.answer import Answer
from aggregation.price import SECONDS_A_QUESTION
from aggregation.question import Plan, Question
from aggregation.receipts import name_code
from aggregation.regimes.regimes import Regime, RegimeName, regime_of
from aggregation.regulatory.capital.parts import Key, sort_key
from aggregation.regulatory.capital.query import CapitalChoices, CapitalQuery
from aggregation.regulatory.capital.question import latest_versions, price_capital, total_of
from aggregation.regulatory.capital.steps import (
    CAUSES,
    Cause,
    Reports,
    State,
    path,
    plan_reports,
    reports,
    value_reports,
)
from aggregation.regulatory.sa_ccr.parameters import Offset
from aggregation.session import Session
from aggregation.types import REFERENCE, Positions, or_text
from lake.dates import Day, day
from lake.errors import BadInput

UNATTRIBUTED = "unattributed"
_WHOLE = ("complete", "with substitutes")


class CapitalPoint(BaseModel):
    """A day: its valuation, market, book and rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: Day = Field(description="valuation date; also the date of market, positions and reference data")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    market_date: Day | None = Field(None, description="date of the base market, when not as_of")
    branch: str | None = Field(None, pattern=REFERENCE, description="branch in place of a book: NAME, or NAME@2")
    regime: RegimeName | None = Field(
        None, description="rules and their version at this point, such as basel@2023; default those of both points"
    )


def _point(text: str) -> CapitalPoint:
    return CapitalPoint(as_of=day(text))


if TYPE_CHECKING:
    PointOrDay = CapitalPoint
else:
    PointOrDay = or_text(CapitalPoint, _point, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


class CapitalCompareQuery(CapitalChoices, Positions):
    """Whose capital at two points, and in which order the causes of the difference are told."""

    from_: PointOrDay = Field(alias="from", description="the first point, which is subtracted: a date, or a point")
    to: PointOrDay = Field(description="the second point: a date, or a point")
    regime: RegimeName = "basel"
    rate_offset: Offset = Field("formula", description="how maturities of one interest rate offset: formula, or none")
    illiquid: tuple[str, ...] = Field(
        (), max_length=10_000, description="agreements with illiquid collateral or trades that are hard to replace"
    )
    order: tuple[Cause, ...] = Field(
        CAUSES, description="order of the causes, all of them; each is told after those before it have happened"
    )

    @model_validator(mode="after")
    def _every_cause(self) -> Self:
        if sorted(self.order) != sorted(CAUSES):
            raise ValueError(f"order names every cause once: {', '.join(CAUSES)}")
        return self

    def choices(self) -> dict[str, Any]:
        """What the reports of all steps have in common."""
        names = (*CapitalChoices.model_fields, *Positions.model_fields, "rate_offset", "illiquid")
        return {n: getattr(self, n) for n in names}


@dataclass(frozen=True)
class CapitalComparison(Answer):
    """rows : a row a group, sorted: the `by` columns, part, rwa_from, rwa_to, change, and a column a cause that adds up to change to the
    last bit; `unattributed` is the change of a risk that some step between the points cannot compute. details : the same by group and
    risk. risks : the same by risk, with the reason of one that is in no figure. steps : the inputs and RWA of every step. total : of all,
    with the status. RWA are in the reporting currency.
    """

    query: CapitalCompareQuery
    rows: pa.Table
    total: Mapping[str, Any]
    risks: pa.Table
    details: pa.Table
    steps: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def states_of(session: Session, query: CapitalCompareQuery) -> list[State]:
    """The states of the steps; raises `BadInput` for an unknown regime."""
    ends = []
    for point in (query.from_, query.to):
        regime = regime_of(point.regime or query.regime, point.as_of, session.cache.lake).label
        of, market = point.as_of, point.market_date or point.as_of
        ends.append(State(of, point.positions_date or of, point.branch, market, of, of, of, regime))
    return path(ends[0], ends[1], query.order)


def _queries(session: Session, query: CapitalCompareQuery) -> list[CapitalQuery]:
    choices = query.choices()
    return [state.asked(choices) for state in states_of(session, query)]


def run_compare(session: Session, query: CapitalCompareQuery) -> CapitalComparison:
    """The comparison; raises `NotValued` where a step is not valued, `BadInput` where no risk is known at both points."""
    states = states_of(session, query)
    made = reports(session, [state.asked(query.choices()) for state in states])
    first, last = made.found[0], made.found[-1]
    kept = [p for p in first if first[p].rwa is not None and last[p].rwa is not None]
    if not kept:
        said = [f"{p}: {f[p].reason}" for f in (first, last) for p in f if f[p].rwa is None]
        raise BadInput(f"No risk is known at both points. {' '.join(dict.fromkeys(said))}")
    whole = [p for p in kept if all(f[p].rwa is not None for f in made.found)]
    cells = {(k, p): _moves(query, made, p, k, p in whole) for p in kept for k in _keys(made, p)}
    rows: dict[Key, dict[str, float]] = {}
    for (key, _), moves in cells.items():
        rows[key] = _added(rows.get(key), moves)
    risks = {p: _sum([m for (_, of), m in cells.items() if of == p]) for p in first}
    total = _sum(list(risks.values()))
    regimes = [regime_of(s.regime, s.as_of, session.cache.lake) for s in (states[0], states[-1])]
    complete = len(kept) == len(first) and all(f.status in _WHOLE for found in made.found for f in found.values())
    by, receipts = query.by, made.receipts([f"{i} {c}" for i, c in enumerate(("from", *query.order))])
    ordered = sorted(cells, key=lambda c: (sort_key(c[0]), list(first).index(c[1])))
    return CapitalComparison(
        query,
        _table(by, [(k, {}, rows[k]) for k in sorted(rows, key=sort_key)], query),
        {**total, "status": "complete" if complete else "partial"},
        _table((), [((), {"risk": p, "reason": _why(made, p)}, risks[p]) for p in first], query),
        _table(by, [(k, {"risk": p}, cells[k, p]) for k, p in ordered], query),
        _steps(query, states, made),
        {
            "steps": receipts,
            "table_versions": latest_versions({f"{s} {n}": r for s, of in receipts.items() for n, r in of.items()}),
            "regimes": [states[0].regime, states[-1].regime],
            **regimes[-1].named,
            **name_code(),
        },
        tuple(_notes(query, states, made, kept, whole, regimes)),
    )


def _keys(made: Reports, part: str) -> set[Key]:
    ends = (made.found[0], made.found[-1])
    return {k for found in (*ends, *made.found) for k in found[part].cells}


def _moves(query: CapitalCompareQuery, made: Reports, part: str, key: Key, whole: bool) -> dict[str, float]:
    """RWA of a group at the points, and what each cause does; where a step lacks the risk, all of it is unattributed."""
    at = [0.0 if key not in f[part].cells else f[part].cells[key].rwa or 0.0 for f in made.found]
    moves = {"rwa_from": at[0], "rwa_to": at[-1], "change": at[-1] - at[0]}
    for i, cause in enumerate(query.order):
        moves[cause] = at[i + 1] - at[i] if whole else 0.0
    return {**moves, UNATTRIBUTED: 0.0 if whole else moves["change"]}


def _added(one: dict[str, float] | None, two: dict[str, float]) -> dict[str, float]:
    return dict(two) if one is None else {n: one[n] + v for n, v in two.items()}


def _sum(many: list[dict[str, float]]) -> dict[str, float]:
    names = ("rwa_from", "rwa_to", "change", *CAUSES, UNATTRIBUTED)
    return {n: sum(m[n] for m in many if n in m) + 0.0 for n in names}


def _table(by: tuple[str, ...], rows: list[tuple[Key, dict[str, Any], dict[str, float]]], query: Any) -> pa.Table:
    columns = {b: pa.array([k[i] for k, _, _ in rows], pa.string()) for i, b in enumerate(by)}
    if rows and rows[0][0]:
        columns["part"] = pa.array([k[-1] for k, _, _ in rows], pa.string())
    for name in rows[0][1] if rows else ():
        columns[name] = pa.array([said[name] for _, said, _ in rows], pa.string())
    for name in ("rwa_from", "rwa_to", "change", *query.order, UNATTRIBUTED):
        columns[name] = pa.array([moves[name] for _, _, moves in rows], pa.float64())
    return pa.table(columns)


def _why(made: Reports, part: str) -> str | None:
    """What is incomplete about a risk, of the first step that says so."""
    return next((f[part].reason for f in made.found if f[part].reason is not None), None)


def _steps(query: CapitalCompareQuery, states: list[State], made: Reports) -> pa.Table:
    rows = []
    for label, state, found in zip(("from", *query.order), states, made.found, strict=True):
        total = total_of(found)
        dates = {n: v for n, v in vars(state).items() if n not in ("branch", "regime")}
        rows.append({"step": label, **dates, "branch": state.branch, "regime": state.regime, **total})
    schema = pa.schema(
        [
            (
                n,
                pa.date32()
                if n == "as_of" or n.endswith("_date")
                else pa.float64()
                if "rwa" in n or n == "capital"
                else pa.string(),
            )
            for n in rows[0]
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def _notes(
    query: CapitalCompareQuery,
    states: list[State],
    made: Reports,
    kept: list[str],
    whole: list[str],
    regimes: Sequence[Regime],
) -> list[str]:
    one, two = states[0], states[-1]
    notes = [
        f"From {one.as_of} by {one.regime} to {two.as_of} by {two.regime}; causes in the order {', '.join(query.order)}."
    ]
    for part in made.found[0]:
        if part not in kept:
            notes.append(f"Partial: {part} is in no figure, since it is not known at both points: {_why(made, part)}")
        elif part not in whole:
            notes.append(f"The change of {part} is not attributed, since a step cannot compute it: {_why(made, part)}")
    holes = [p for p in whole if any(f[p].status not in _WHOLE for f in made.found)]
    if holes:
        told = " ".join(f"{p}: {_why(made, p)}" for p in holes)
        notes.append(
            f"What a point cannot compute counts as nothing there, and a difference may be of coverage. {told}"
        )
    notes.append("Ageing is the passing of time: maturities, fixings, and for CVA hedges and averages the date itself.")
    said = dict.fromkeys(n for state, r in zip((one, two), regimes, strict=True) for n in r.notes(state.as_of))
    return [*notes, *said]


def _plan(session: Session, query: CapitalCompareQuery) -> Plan:
    return plan_reports(session, _queries(session, query))


def _value(session: Session, query: CapitalCompareQuery) -> CapitalCompareQuery:
    value_reports(session, _queries(session, query))
    return query


def _price(session: Session, query: CapitalCompareQuery) -> float:
    distinct = {q.model_dump_json(): q for q in _queries(session, query)}
    return SECONDS_A_QUESTION + sum(price_capital(session, q) for q in distinct.values())


CAPITAL_COMPARE = Question(
    CapitalCompareQuery,
    run_compare,
    {"from": "2020-02-14", "to": "2020-03-16", "by": ["legal_entity"]},
    _plan,
    _value,
    price=_price,
)
