"""What internal-model capital takes from other questions where it is not given: the standardised approach (`frtb-sa`), default risk
(`drc-ima`), and which desks are on the internal model, with how many exceptions (`desk-eligibility`).

Each figure is that of the other question, asked with the same book, regime and currency. One that cannot be had is None with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aggregation.question import Plan, together
from aggregation.regulatory.default_correlations import CorrelationRules
from aggregation.regulatory.frtb_sa import FRTB_SA, FrtbSaCapital
from aggregation.regulatory.frtb_sa_query import FrtbSaQuery
from aggregation.regulatory.ima_capital_query import ImaCapitalQuery, Zone
from aggregation.regulatory.ima_default_risk import DRC_IMA, DrcIma, DrcImaQuery
from aggregation.regulatory.ima_desks import APPROACH, DESK_ELIGIBILITY, INTERNAL, STANDARDISED, UNDECIDED, DeskQuery
from aggregation.regulatory.ima_query import rules_of
from aggregation.session import Session
from aggregation.types import Filter
from lake.errors import BadInput, NotValued, VarlakeError, counted
from lake.words import first_of

_BOOK = ("as_of", "positions_date", "market_date", "branch", "as_known", "currency", "regime")
_SHOWN = 3


@dataclass(frozen=True)
class Figure:
    """amount : in the reporting currency, None where it is not known. how : where it is from, or why there is none. whole : whether
    nothing lacks in it."""

    amount: float | None
    how: str
    whole: bool = True


@dataclass(frozen=True)
class Elsewhere:
    """The figures by the field of the query that would give them; by desk those of the desks on the internal model alone. receipts : of
    the questions that were asked."""

    figures: Mapping[str, Figure]
    by_desk: Mapping[str, float]
    desk_reason: str | None
    receipts: Mapping[str, Any] = field(default_factory=dict)


def _standardised(query: ImaCapitalQuery, **more: Any) -> FrtbSaQuery:
    return FrtbSaQuery(**{**{n: getattr(query, n) for n in _BOOK}, "where": query.where, **more})


def _default_risk(session: Session, query: ImaCapitalQuery) -> DrcImaQuery:
    """Values under the current moves: those are there once the capital can be asked for."""
    names = ("pds", "pd_by_rating", "lgds", *CorrelationRules.model_fields)
    of = {n: getattr(query, n) for n in names}
    of |= {"where": query.on_model, "scenario_set": rules_of(session, query).current.name}
    return DrcImaQuery(**{**{n: getattr(query, n) for n in _BOOK}, **of})


def _desks(query: ImaCapitalQuery) -> DeskQuery:
    given = {n: getattr(query, n) for n in ("where", "currency", "regime", "as_known")}
    return DeskQuery(**{**given, "from": query.tested_from, "to": query.as_of, "calendar": "books"})


def tests_desks(query: ImaCapitalQuery) -> bool:
    """Whether zones or exceptions come from desk-eligibility."""
    return query.tested_from is not None and (not query.zones or query.exceptions is None)


def with_tests(session: Session, query: ImaCapitalQuery) -> tuple[ImaCapitalQuery, list[str], Mapping[str, Any] | None]:
    """The query with zones and exceptions from desk-eligibility where it gives neither and says from when desks are tested; notes; receipt.

    A desk that cannot be decided counts as on the internal model, amber where its attribution so far is, and is named.
    """
    if not tests_desks(query):
        return query, [], None
    found = DESK_ELIGIBILITY.answer(session, _desks(query))
    rows = found.rows.to_pylist()
    notes, update = [], {}
    if query.exceptions is None:
        (total,) = [r for r in rows if r["total"]]
        bank = rules_of(session, query).parameters.backtesting.bank_level
        update["exceptions"] = total[f"exceptions_{bank}"]
        notes.append(
            f"{counted(total[f'exceptions_{bank}'], 'exception')} on {counted(total['tested'], 'day')} tested."
        )
    if not query.zones:
        desks = {r["desk"]: r for r in rows if not r["total"]}
        zone_of: dict[str, Zone] = {a: z for z, a in APPROACH.items() if a != STANDARDISED}  # type: ignore[misc]
        open_ones = sorted(d for d, r in desks.items() if r["approach"] == UNDECIDED)
        zones = {
            d: ("amber" if r["zone"] == "amber" else "green") if d in open_ones else zone_of.get(r["approach"])
            for d, r in desks.items()
        }
        update["zones"] = {d: z for d, z in sorted(zones.items()) if z is not None}
        if not update["zones"]:
            raise BadInput(
                f"No desk passes the tests from {query.tested_from} to {query.as_of}, so that none is on the {INTERNAL}: its capital "
                "is that of frtb-sa. Or give zones."
            )
        if open_ones:
            first = first_of(open_ones, _SHOWN)
            notes.append(
                f"{counted(len(open_ones), 'desk')} cannot be decided yet, see desk-eligibility, and counted as on the {INTERNAL}: {first}."
            )
    return query.model_copy(update=update), notes, found.receipt


def elsewhere(session: Session, query: ImaCapitalQuery) -> Elsewhere:
    """The figures; those that are given as they are. Raises `NotValued` where a question that is asked for one has no values."""
    receipts: dict[str, Any] = {}
    answers: dict[str, FrtbSaCapital] = {}

    def asked(name: str, **more: Any) -> FrtbSaCapital:
        if name not in answers:
            answers[name] = FRTB_SA.answer(session, _standardised(query, **more))
            receipts[name] = answers[name].receipt
        return answers[name]

    def every() -> FrtbSaCapital:
        return asked("standardised_all", by=("desk",))

    def of_all() -> Figure:
        return _of(every())

    def of_eligible() -> Figure:
        return of_all() if not query.zones else _of(asked("standardised_eligible", where=query.on_model))

    def of_others() -> Figure:
        if not query.zones:
            return Figure(0.0, "every desk is on the internal model")
        if {r["desk"] for r in every().rows.select(["desk"]).to_pylist()} <= set(query.zones):
            return Figure(0.0, "no desk is without the internal model")
        others = Filter(dimension="desk", values=tuple(sorted(query.zones)), exclude=True)
        return _of(asked("unapproved", where=(*query.where, others)))

    def of_defaults() -> Figure:
        found: DrcIma = DRC_IMA.answer(session, _default_risk(session, query))
        receipts["default_risk"] = found.receipt
        return Figure(found.charge, f"drc-ima, {found.status}", found.status != "partial")

    makers: dict[str, Callable[[], Figure]] = {
        "default_risk": of_defaults,
        "standardised_all": of_all,
        "standardised_eligible": of_eligible,
        "unapproved": of_others,
    }
    figures = {name: _given(getattr(query, name)) or _tried(make) for name, make in makers.items()}
    by_desk, reason = dict(query.standardised), None
    if not by_desk and "amber" in query.zones.values():
        try:
            alone = asked("standardised", where=query.on_model, by=("desk",), standalone=True)
            rows = {r["desk"]: r for r in alone.rows.to_pylist()}
            by_desk = {
                d: max(r["standalone"], 0.0) for d, r in rows.items() if r["covered"] and math.isfinite(r["standalone"])
            }
        except NotValued:
            raise
        except VarlakeError as error:
            reason = error.message
    return Elsewhere(figures, by_desk, reason, receipts)


def _given(amount: float | None) -> Figure | None:
    return None if amount is None else Figure(amount, "as given")


def _tried(make: Callable[[], Figure]) -> Figure:
    """The figure, or why there is none; what is not valued yet is raised, so that it is told what it takes."""
    try:
        return make()
    except NotValued:
        raise
    except VarlakeError as error:
        return Figure(None, error.message, whole=False)


def _of(found: FrtbSaCapital) -> Figure:
    coverage = found.coverage
    amount = found.total["capital"]
    whole = coverage.status in ("complete", "with substitutes")
    return Figure(amount, f"frtb-sa, {coverage.status}", whole and amount is not None)


def asks_standardised(query: ImaCapitalQuery) -> bool:
    """Whether a figure of the standardised approach is not given."""
    names = ("standardised_all", "standardised_eligible") + (
        ("unapproved",) if query.zones or query.tested_from else ()
    )
    return any(getattr(query, n) is None for n in names) or ("amber" in query.zones.values() and not query.standardised)


def plan_elsewhere(session: Session, query: ImaCapitalQuery) -> Plan:
    """What the standardised approach lacks; default risk reads what the internal model has valued."""
    assert FRTB_SA.plan is not None
    return FRTB_SA.plan(session, _standardised(query)) if asks_standardised(query) else together(())


def value_elsewhere(session: Session, query: ImaCapitalQuery) -> None:
    """Values it."""
    assert FRTB_SA.value is not None
    if asks_standardised(query):
        FRTB_SA.value(session, _standardised(query))


def plan_tests(session: Session, query: ImaCapitalQuery) -> Plan:
    """What the backtest of the desks lacks."""
    assert DESK_ELIGIBILITY.plan is not None
    return DESK_ELIGIBILITY.plan(session, _desks(query)) if tests_desks(query) else together(())


def value_tests(session: Session, query: ImaCapitalQuery) -> None:
    """Values it."""
    assert DESK_ELIGIBILITY.value is not None
    if tests_desks(query):
        DESK_ELIGIBILITY.value(session, _desks(query))


def price_elsewhere(session: Session, query: ImaCapitalQuery) -> float:
    """Seconds of a core, at most."""
    asked = 4 if asks_standardised(query) else 0
    seconds = asked * FRTB_SA.price(session, _standardised(query))
    if query.default_risk is None:
        # the moves may not be valued yet, and the base values of any others are as many
        seconds += DRC_IMA.price(session, _default_risk(session, query).model_copy(update={"scenario_set": None}))
    return seconds + (DESK_ELIGIBILITY.price(session, _desks(query)) if tests_desks(query) else 0.0)
