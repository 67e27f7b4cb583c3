"""Limits of VaR, ES and loss: how much of each is used on a day, what drives a breach, and what has changed since another day."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.contributions.contributions import ContributionQuery, contributions_of
from aggregation.limits.held import (
    NO_FIRM,
    TABLE,
    Limit,
    Openings,
    firm_openings,
    lacking_in_words,
    node_selection,
    node_text,
    there,
    var_limits_on,
)
from aggregation.limits.loss import ACTUAL_PNL, loss_of, short_in_words
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.alignment import COVERED
from aggregation.opened.inputs import Inputs
from aggregation.opened.valuation_choice import standard_for
from aggregation.price import SECONDS_A_QUESTION, size_of
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_code, name_inputs
from aggregation.reduce.selection import scenario_pnl
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.types import AtLeastOne, DimensionName, EstimatorName, Figures, Point, Scope
from lake.dates import Day
from lake.errors import NotFound, VarlakeError, counted
from scenarios.types import MissingRiskFactor

NOT_COMPUTED = "not computed"
_TEXT, _NUMBER = pa.string(), pa.float64()
SCHEMA = pa.schema(
    [
        ("limit", _TEXT),
        ("node", _TEXT),
        ("measure", _TEXT),
        ("level", _TEXT),
        ("horizon_days", pa.int32()),
        ("currency", _TEXT),
        ("amount", _NUMBER),
        ("warning", _NUMBER),
        ("used", _NUMBER),
        ("utilisation", _NUMBER),
        ("headroom", _NUMBER),
        ("status", _TEXT),
        ("reason", _TEXT),
        ("used_before", _NUMBER),
        ("utilisation_before", _NUMBER),
        ("status_before", _TEXT),
        ("change", _NUMBER),
    ]
)
_DRIVERS = pa.schema(
    [("limit", _TEXT), ("driver", _TEXT), ("currency", _TEXT), ("component", _NUMBER), ("share", _NUMBER)]
)
NO_LIMIT = "No limit of VaR, ES or loss holds on {day}. Bring limits in with `varlake ingest var-limits FILE`, see docs/limits.md."


class LimitsQuery(Point):
    """Whose limits, on which day."""

    since: Day | None = Field(None, description="an earlier day, with which the use of each limit is compared")
    by: tuple[DimensionName, ...] = Field(
        ("trade",), min_length=1, max_length=16, description="dimensions by which it is told what drives a breach"
    )
    top: AtLeastOne = Field(3, le=100, description="greatest contributors to each breach that are told")
    estimator: EstimatorName = Field("order_statistic", description=Figures.model_fields["estimator"].description)

    def scope(self, day: dt.date | None = None) -> Scope:
        """The positions of the day that is asked about, or those of another day in its own market."""
        about = {n: getattr(self, n) for n in Point.model_fields}
        if day is not None:
            about |= {"as_of": day, "positions_date": None, "market_date": None, "valuation_set": None}
        return Scope(**about)


@dataclass(frozen=True)
class Limits(Answer):
    """rows : a row a limit that holds on the day, in order of its name, in the currency of the limit: amount, used, a loss positive,
    utilisation, a fraction, headroom, and status: ok, warning, breach, which is more than the amount, or not computed, with the reason.
    `_before` is the day `since`, by the limit as it was then, and `change` what more is used.

    drivers : of each breach the greatest contributions: components of var and es, losses of the days of a loss; a share is of what is used.
    breaches, warnings : how many.
    """

    query: LimitsQuery
    rows: pa.Table
    drivers: pa.Table
    breaches: int
    warnings: int
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Use:
    """How much of a limit is used, with what is said of it; None where it is not computed. inputs : what it was measured
    on, where what drives it may be told. days : P&L by day, of a loss."""

    used: float | None
    reason: str | None = None
    inputs: Inputs | None = None
    days: Mapping[dt.date, float] = dataclasses.field(default_factory=dict)


class _Day:
    """The limits of a day: of everything held they are measured on the whole lake, of all other nodes on what is seen."""

    def __init__(self, session: Session, scope: Scope, estimator: str) -> None:
        self._session, self._scope, self._estimator = session, scope, estimator
        self.openings = Openings(session.cache, scope)
        self.limits = var_limits_on(session, scope.as_of)
        self._firm = firm_openings(session, scope)

    def shows_firm(self) -> bool:
        """Whether a limit of everything held is told to somebody who sees a part of it."""
        return self._firm is not None and any(not limit.node for limit in self.limits)

    def use(self, limit: Limit) -> Use:
        """Raises `NotValued` and `NotFound` where the day has no valuation or no book, of what is seen."""
        # who sees everything sees the firm as any other node
        of_firm = bool(self._session.lake.reader) and not limit.node
        if of_firm and self._firm is None:
            return Use(None, NO_FIRM)
        try:
            return self._of_tail(limit, self._firm if of_firm else None) if limit.of_tail else self._of_loss(limit)
        except VarlakeError as error:
            of_day = isinstance(error, NotFound) and not isinstance(error, MissingRiskFactor)
            if of_day and limit.of_tail and not of_firm:
                raise
            return Use(None, NO_FIRM if of_firm else error.message)

    def _of_tail(self, limit: Limit, of_firm: Openings | None) -> Use:
        openings = of_firm or self.openings
        inputs = openings.of(limit.node, limit.currency)
        asked = limit.measure_on(inputs, self._scope, self._estimator)
        selection = node_selection(inputs, self._scope, limit.node, limit.currency)
        if selection is None:
            return Use(0.0, "The node has no position on the day.")
        lacking = lacking_in_words(selection, of_firm=of_firm is not None)
        if not selection.counts[-1, COVERED]:
            return Use(None, lacking)
        pnl = scenario_pnl(selection, selection.groups.n, 1)[1]
        used = float(asked.values(pnl, inputs.weights)[0])
        return Use(used, lacking, inputs if of_firm is None else None)

    def _of_loss(self, limit: Limit) -> Use:
        whole = self._session.lake.whole() if not limit.node else self._session.lake
        loss = loss_of(whole.snapshot(), limit, self._scope.as_of)
        return Use(loss.used, short_in_words(loss), days=loss.days)


def _answer(session: Session, query: LimitsQuery) -> Limits:
    day = _Day(session, query.scope(), query.estimator)
    before = None if query.since is None else _Day(session, query.scope(query.since), query.estimator)
    uses = {limit.limit: day.use(limit) for limit in day.limits}
    rows = [row_of(limit, uses[limit.limit]) for limit in day.limits]
    if before is not None:
        rows = [{**row, **_compared(row, before)} for row in rows]
    status = [r["status"] for r in rows]
    broken = [limit for limit, s in zip(day.limits, status, strict=True) if s == "breach"]
    drivers = [driver for limit in broken for driver in _drivers(query, limit, uses[limit.limit])]
    return Limits(
        query=query,
        rows=pa.Table.from_pylist(rows, schema=SCHEMA),
        drivers=pa.Table.from_pylist(drivers, schema=_DRIVERS),
        breaches=status.count("breach"),
        warnings=status.count("warning"),
        receipt=_receipt(session, day, before),
        notes=tuple(_notes(session, query, day, status)),
    )


_OF_LIMIT = ("limit", "measure", "level", "horizon_days", "currency", "amount", "warning")


def row_of(limit: Limit, use: Use) -> dict[str, Any]:
    """A limit and its use; what cannot be computed says why."""
    row = {**{n: getattr(limit, n) for n in _OF_LIMIT}, "node": node_text(limit.node), "reason": use.reason}
    if use.used is None:
        return {**row, "status": NOT_COMPUTED}
    figures = {"utilisation": limit.utilisation(use.used), "headroom": limit.amount - use.used}
    return {**row, "used": use.used, **figures, "status": limit.status(use.used)}


def _compared(row: Mapping[str, Any], before: _Day) -> dict[str, Any]:
    """How the limit of a row was used on the other day; nulls where it did not hold then."""
    limit = next((x for x in before.limits if x.limit == row["limit"]), None)
    if limit is None:
        return {"status_before": "did not hold"}
    was = row_of(limit, before.use(limit))
    told = {f"{n}_before": was.get(n) for n in ("used", "utilisation", "status")}
    now, then = row.get("used"), was.get("used")
    # between figures of two levels or currencies there is no difference
    alike = all(was[n] == row[n] for n in _OF_FIGURE)
    return told if now is None or then is None or not alike else {**told, "change": now - then}


_OF_FIGURE = ("node", "measure", "level", "horizon_days", "currency")


def _drivers(query: LimitsQuery, limit: Limit, use: Use) -> Iterator[dict[str, Any]]:
    """The greatest contributions to a breach; none where it is of what others hold too."""

    def told(driver: str, component: float) -> dict[str, Any]:
        share = component / use.used if use.used else None
        about = {"limit": limit.limit, "driver": driver, "currency": limit.currency}
        return {**about, "component": component, "share": share}

    if use.inputs is not None:
        risk = limit.asked(query.scope(), query.estimator)
        held = {"where": there(use.inputs.book, limit.node), "by": query.by, "top": query.top}
        asked = ContributionQuery(**{**dict(risk), **held, "figures": ("component",)})
        for row in contributions_of(use.inputs, asked).rows.to_pylist():
            if row["part"] == "top":
                yield told(";".join(f"{b}={row[b] or ''}" for b in query.by), row["component"])
    worst = sorted(use.days.items(), key=lambda day: (day[1], day[0]))
    yield from (told(str(day), -pnl) for day, pnl in worst[: query.top] if pnl < 0)


def _receipt(session: Session, day: _Day, before: _Day | None) -> dict[str, Any]:
    """What the figures rest on: the inputs of the day, further ones of desks and currencies, and those of the other day."""
    lake = session.lake
    own = {n: lake.version(n) for n in (TABLE, ACTUAL_PNL) if lake.shows_version(n)}
    named = [name_inputs(i) for i in day.openings.all]
    found: dict[str, Any] = {**(named[0] if named else {"table_versions": lake.snapshot().named, **name_code()})}
    found["table_versions"] = {**found["table_versions"], **own}
    found |= {f"also_{i}": part for i, part in enumerate(named[1:], 1)}
    if before is not None:
        found |= {f"before_{i}": name_inputs(part) for i, part in enumerate(before.openings.all, 1)}
    return {**found, **({"firm_totals": True} if day.shows_firm() else {})}


def _notes(session: Session, query: LimitsQuery, day: _Day, status: Sequence[str]) -> Iterator[str]:
    if not day.limits:
        yield NO_LIMIT.format(day=query.as_of)
    if session.lake.reader:
        yield not_shown(session)
    if any(i.scenarios.synthetic for i in day.openings.all):
        yield "The market data is synthetic."
    if gone := status.count(NOT_COMPUTED):
        yield f"{counted(gone, 'limit is', 'limits are')} not computed; the column reason says why."
    if day.shows_firm():
        yield "Limits of everything held are measured on all of it; what is in it, and what drives it, is not shown."


def not_shown(session: Session) -> str:
    """What whoever sees a part of the book is not told of limits."""
    if session.lake.shows_totals():
        return "Limits of nodes that you are not granted whole are not shown."
    return "Limits of nodes that you are not granted whole, and of everything held, are not shown."


def scopes_of(session: Session, scope: Scope) -> list[Scope]:
    """The scopes whose valuations the limits of a day rest on: one for each standard."""
    cache = session.cache
    standards = cache.standards(session.lake.snapshot("standards"))
    named = scope.scenario_set is not None or scope.valuation_set is not None
    found: dict[str | None, Scope] = {}
    for node in ((), *dict.fromkeys(limit.node for limit in var_limits_on(session, scope.as_of))):
        query = scope.model_copy(update={"where": node})
        found.setdefault(None if named else standard_for(standards, query).scenario_set, query)
    return list(found.values())


def _scopes(session: Session, query: LimitsQuery) -> list[Scope]:
    days = (query.scope(), *(() if query.since is None else (query.scope(query.since),)))
    return [scope for of_day in days for scope in scopes_of(session, of_day)]


def _plan(session: Session, query: LimitsQuery) -> Plan:
    return together([plan_scope(session, scope) for scope in _scopes(session, query)])


def _value(session: Session, query: LimitsQuery) -> LimitsQuery:
    for scope in _scopes(session, query):
        value_scope(session, scope)
    return query


def _price(session: Session, query: LimitsQuery) -> float:
    """Of the P&L of every node, and as much again for what drives a breach."""
    total = SECONDS_A_QUESTION
    for day in (None, query.since)[: 1 if query.since is None else 2]:
        scope = query.scope(day)
        size = size_of(session, scope, by=query.by)
        total += 2 * len(var_limits_on(session, scope.as_of)) * size.seconds(a_group=SECONDS_A_RANK * size.scenarios)
    return total


LIMITS = Question(LimitsQuery, _answer, {"as_of": "2020-03-16"}, _plan, _value, price=_price)
