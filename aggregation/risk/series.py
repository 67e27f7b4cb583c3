"""One question on every day of a range: measures over time, by any dimension. A day without an answer is a row with the reason."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import Field

from aggregation.answer import HIDDEN, Answer, shown
from aggregation.measures import asked_measures
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import of_days
from aggregation.question import Question
from aggregation.receipts import name_code, receipt_of
from aggregation.reduce.coverage import FAILED_POSITIONS
from aggregation.risk.query import risk_price, run_query, tail_notes, worst_loss_notes
from aggregation.session import Session
from aggregation.types import VAR_AND_ES, Figures, MeasureName, Positions, RiskQuery, RiskResult
from lake.canonical import canonical_json, digest
from lake.dates import Day
from lake.errors import BadInput, NotFound, VarlakeError, counted
from lake.progress import Progress, silent
from lake.tables import Lake, Snapshot
from scenarios.market.calendars import sessions
from valuation.books.contracts import positions_dates

BOOKS = "books"  # the calendar of the days that have books
GAP = "gap"  # status of a row without an answer

_ALIKE = ("horizon_days", "risk_classes")


@dataclass(frozen=True)
class SeriesResult(Answer):
    """The answers in order of day. `rows` has a row a day and group: `date`, the `by` columns, what `RiskResult.rows` has, and
    `reason`. `totals` has the same for all groups together, a row a day.

    Where a day, or a group on a day, has no answer, `status` is gap, `reason` says why, and the figures are null. A gap of the
    whole day has null for every group.
    """

    query: RiskQuery = field(metadata=HIDDEN)
    first: dt.date = field(metadata=HIDDEN)
    last: dt.date = field(metadata=HIDDEN)
    rows: pa.Table
    totals: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    @shown("query")
    def asked(self) -> Mapping[str, Any]:
        """The question of every day, with the first and the last day in place of the date."""
        return {**self.query.model_dump(mode="json", exclude={"as_of"}), "first": self.first, "last": self.last}


def days_between(snapshot: Snapshot, calendar: str, first: dt.date, last: dt.date) -> list[dt.date]:
    """The days of a calendar from first to last, ascending, and those that hold a book; `books` for the latter alone."""
    if last < first:
        raise BadInput(f"The last date {last} lies before the first date {first}.")
    held = {d for d in positions_dates(snapshot) if first <= d <= last}
    business = set() if calendar == BOOKS else {d.item() for d in sessions(calendar, first, last)}
    return sorted(held | business)


def run_series(
    lake: Lake,
    query: RiskQuery,
    first: dt.date,
    last: dt.date,
    *,
    calendar: str = "XNYS",
    cache: VectorCache | None = None,
    progress: Progress = silent,
) -> SeriesResult:
    """Answers the query on every day from `first` to `last`, from stored vectors; its `as_of` is not used.

    Only like is put beside like: raises `BadInput` where horizons or shocked risk classes differ between days. Raises what the
    days say where none has an answer.
    """
    for name in ("positions_date", "valuation_set", "branch"):
        if getattr(query, name) is not None:
            raise BadInput(f"A series takes each day's own book and valuation; leave {name} out.")
    cache = cache or VectorCache(lake)
    snapshot = lake.snapshot()
    days = days_between(snapshot, calendar, first, last)
    held = set(positions_dates(snapshot))
    answers: dict[dt.date, RiskResult] = {}
    gaps: dict[dt.date, VarlakeError] = {}
    for i, day in enumerate(days):
        progress(str(day), i, len(days))
        try:
            if day not in held:
                raise NotFound(f"No positions on {day}.")
            answers[day] = run_query(lake, query.model_copy(update={"as_of": day}), cache=cache)
        except (NotFound, BadInput) as error:
            gaps[day] = error
    if not answers:
        raise _why_none(first, last, calendar, list(gaps.values()))
    _check_alike(answers)
    rows, totals = _rows(query.by, days, answers, gaps)
    return SeriesResult(
        query,
        first,
        last,
        rows,
        totals,
        _receipt(query, first, last, calendar, snapshot, answers, rows, totals),
        _notes(query, answers, gaps),
    )


def _why_none(first: dt.date, last: dt.date, calendar: str, errors: Sequence[VarlakeError]) -> VarlakeError:
    """A fault of the question where there is one, else that there is nothing."""
    faults = [e for e in errors if isinstance(e, BadInput)]
    if faults:
        return faults[0]
    if not errors:
        return NotFound(f"There is no day of calendar {calendar} from {first} to {last}.")
    told = [e for e in errors if not e.message.startswith("No positions")] or errors
    return NotFound(f"No day from {first} to {last} has an answer, first: {told[0].message}")


def _check_alike(answers: Mapping[dt.date, RiskResult]) -> None:
    one_day, one = next(iter(answers.items()))
    for day, other in answers.items():
        for name in _ALIKE:
            if one.receipt[name] != other.receipt[name]:
                raise BadInput(
                    f"Only like is put beside like: {name} of the valuation sets is {_plain(one.receipt[name])} on {one_day} and "
                    f"{_plain(other.receipt[name])} on {day}; name a scenario set that all days have."
                )


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _rows(
    by: Sequence[str],
    days: Sequence[dt.date],
    answers: Mapping[dt.date, RiskResult],
    gaps: Mapping[dt.date, VarlakeError],
) -> tuple[pa.Table, pa.Table]:
    """Rows by group and totals, every gap among them."""
    some = next(iter(answers.values())).rows
    fields = [
        pa.field("date", pa.date32()),
        *(pa.field(f.name, f.type) for f in some.schema),
        pa.field("reason", pa.string()),
    ]
    figures = [f for f in some.column_names if f not in by]
    groups = (
        {tuple(r[b] for b in by) for a in answers.values() for r in a.rows.select(list(by)).to_pylist()} if by else {()}
    )
    order = sorted(groups, key=lambda key: [(v is None, v or "") for v in key])
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    for day in days:
        if day in gaps:
            gap = {"date": day, "status": GAP, "reason": _first_sentence(gaps[day])}
            rows.append(gap)
            totals.append(gap)
            continue
        there = {tuple(r[b] for b in by): r for r in answers[day].rows.to_pylist()}
        nothing = {"date": day, "positions": 0, "status": GAP, "reason": f"no positions in this group on {day}"}
        rows += [
            {"date": day, **there[k]} if k in there else {**nothing, **dict(zip(by, k, strict=True))} for k in order
        ]
        totals.append({"date": day, **{f: answers[day].total[f] for f in figures}})
    return (
        pa.Table.from_pylist(rows, schema=pa.schema(fields)),
        pa.Table.from_pylist(totals, schema=pa.schema([f for f in fields if f.name not in by])),
    )


def _first_sentence(error: VarlakeError) -> str:
    return error.message.split(". ")[0].rstrip(".")


def _receipt(
    query: RiskQuery,
    first: dt.date,
    last: dt.date,
    calendar: str,
    snapshot: Snapshot,
    answers: Mapping[dt.date, RiskResult],
    rows: pa.Table,
    totals: pa.Table,
) -> dict[str, Any]:
    """Each day's valuation set and digest of figures; asked alone, the day has the same digest."""
    question = {**query.model_dump(mode="json", exclude={"as_of"}), "first": str(first), "last": str(last)}
    question["calendar"] = calendar
    asked = (
        "kind",
        "question",
        "query_digest",
        "receipt_digest",
        "timings_ms",
    )  # of one day: the same for all, or of no use
    named = {
        "days": {str(d): {k: v for k, v in a.receipt.items() if k not in asked} for d, a in answers.items()},
        "horizon_days": next(iter(answers.values())).receipt["horizon_days"],
        "table_versions": snapshot.named,
        **name_code(),
    }
    result_digest = digest(canonical_json([rows.to_pylist(), totals.to_pylist()]))
    return receipt_of("series", question, result_digest, named, estimator=query.estimator)


def _notes(
    query: RiskQuery, answers: Mapping[dt.date, RiskResult], gaps: Mapping[dt.date, VarlakeError]
) -> tuple[str, ...]:
    notes = []
    if gaps:
        why = "has no answer; its row says why" if len(gaps) == 1 else "have no answer; their rows say why"
        notes.append(f"{len(gaps)} of {counted(len(gaps) + len(answers), 'day')} {why}.")
    for name, what in (("scenario_set_name", "Scenario sets"), ("scenario_count", "Scenario counts")):
        seen = {str(a.receipt[name]) for a in answers.values()}
        if len(seen) > 1:
            notes.append(f"{what} differ between the days: {', '.join(sorted(seen))}.")
    partial = sum(a.coverage.status != "complete" for a in answers.values())
    if partial:
        notes.append(f"On {counted(partial, 'day')} some positions are not in the numbers; see status.")
        # what the last such day says
        said = (n for a in reversed(list(answers.values())) for n in a.notes)
        notes += next(([n] for n in said if any(f"{failed}. " in n for failed in FAILED_POSITIONS)), [])
    if any(a.receipt["synthetic"] for a in answers.values()):
        notes.append("The market data is synthetic.")
    notes += tail_notes((str(day), a.notes) for day, a in answers.items())
    levels = [a.level for a in asked_measures(query) if a.level is not None]
    return (*notes, *worst_loss_notes(min(a.receipt["scenario_count"] for a in answers.values()), levels))


class SeriesQuery(Figures, Positions):
    """Any measure on every day of a range."""

    first: Day = Field(alias="from", description="first day of the range")
    last: Day = Field(alias="to", description="last day of the range")
    measures: tuple[MeasureName, ...] = VAR_AND_ES
    calendar: str = Field(
        "XNYS",
        description="business days of the range: an exchange calendar, weekdays, or books for the days that have one",
    )
    scenario_set: str | None = Field(None, description="scenario set name; default the standard of the lake or desk")

    def of(self, day: dt.date) -> RiskQuery:
        """The question on one day."""
        return RiskQuery(as_of=day, **self.model_dump(exclude={"first", "last", "calendar"}))


def _answer(session: Session, query: SeriesQuery) -> SeriesResult:
    return run_series(
        session.lake,
        query.of(query.last),
        query.first,
        query.last,
        calendar=query.calendar,
        cache=session.cache,
        progress=session.progress,
    )


def _price(session: Session, query: SeriesQuery) -> float:
    days = days_between(session.lake.snapshot("positions"), query.calendar, query.first, query.last)
    return of_days(session, days, lambda day: risk_price(session, query.of(day), reading=True))


SERIES = Question(
    SeriesQuery,
    _answer,
    {"from": "2020-02-14", "to": "2020-03-16", "calendar": "books", "by": ["desk"]},
    price=_price,
)
