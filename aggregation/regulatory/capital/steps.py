"""Between two capital reports: a report a step, each with one more of the inputs of the later point; and the reports of many steps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from aggregation.question import Plan, together
from aggregation.regulatory.capital.parts import Found, answered, asked_parts
from aggregation.regulatory.capital.query import CapitalQuery
from aggregation.regulatory.capital.question import plan_capital, value_capital
from aggregation.session import Session

Cause = Literal["trades", "market", "ageing", "agreements", "collateral", "ratings", "regime"]
CAUSES: tuple[Cause, ...] = ("trades", "market", "ageing", "agreements", "collateral", "ratings", "regime")


@dataclass(frozen=True)
class State:
    """Every input of a report that a cause moves. regime : with its version."""

    as_of: dt.date
    positions_date: dt.date
    branch: str | None
    market_date: dt.date
    agreements_date: dt.date
    collateral_date: dt.date
    reference_date: dt.date
    regime: str

    def moved(self, cause: Cause, to: State) -> State:
        """With the inputs of a cause as they are at `to`."""
        names = {
            "trades": ("positions_date", "branch"),
            "market": ("market_date",),
            "ageing": ("as_of",),
            "agreements": ("agreements_date",),
            "collateral": ("collateral_date",),
            "ratings": ("reference_date",),
            "regime": ("regime",),
        }[cause]
        return replace(self, **{n: getattr(to, n) for n in names})

    def asked(self, choices: Mapping[str, Any]) -> CapitalQuery:
        """The question for its report; dates that are those of as_of are left out, as whoever asks for it alone would."""
        dates = ("positions_date", "market_date", "agreements_date", "collateral_date", "reference_date")
        given = {n: None if getattr(self, n) == self.as_of else getattr(self, n) for n in dates}
        if self.branch is not None:
            given["positions_date"] = None
        return CapitalQuery(**{**choices, **given, "as_of": self.as_of, "branch": self.branch, "regime": self.regime})


def path(one: State, two: State, order: Sequence[Cause]) -> list[State]:
    """The states from one point to the other, (n_causes + 1,)."""
    states = [one]
    for cause in order:
        states.append(states[-1].moved(cause, two))
    assert states[-1] == two
    return states


@dataclass(frozen=True)
class Reports:
    """The parts of every question that was asked, by risk; what several have in common was computed once."""

    found: tuple[Mapping[str, Found], ...]
    names: tuple[Mapping[str, str], ...]

    def receipts(self, labels: Sequence[str]) -> dict[str, Any]:
        """Of the parts of each report, by its label."""
        return {
            label: {names[p]: f.receipt for p, f in found.items() if f.receipt is not None}
            for label, found, names in zip(labels, self.found, self.names, strict=True)
        }


def reports(session: Session, queries: Iterable[CapitalQuery]) -> Reports:
    """The reports; raises `NotValued` where a valuation is missing."""
    kept: dict[tuple[str, str], Found] = {}
    found, names = [], []
    for query in queries:
        of: dict[str, Found] = {}
        named: dict[str, str] = {}
        for asked in asked_parts(query):
            key = (asked.part, _identity(query, asked.part))
            if key not in kept:
                kept[key] = answered(session, query, asked)
            of[asked.part], named[asked.part] = kept[key], asked.name
        found.append(of)
        names.append(named)
    return Reports(tuple(found), tuple(names))


def _identity(query: CapitalQuery, part: str) -> str:
    """What the figures of a part follow from: market risk knows no agreements and no collateral."""
    if part != "market":
        return query.model_dump_json()
    without = {"agreements_date": None, "collateral_date": None, "valuation_set": None, "scenario_set": None}
    return query.model_copy(update=without).model_dump_json()


def plan_reports(session: Session, queries: Iterable[CapitalQuery]) -> Plan:
    """What all of them lack, each valuation once."""
    plans: list[Plan] = []
    seen: set[str] = set()
    for query in _distinct(queries):
        plan = plan_capital(session, query)
        requests = {request.model_dump_json() for _, request, _ in plan.valuations}
        if not requests or not requests <= seen:
            plans.append(plan)
        seen |= requests
    return together(plans)


def value_reports(session: Session, queries: Iterable[CapitalQuery]) -> None:
    """Values what they lack."""
    for query in _distinct(queries):
        value_capital(session, query)


def _distinct(queries: Iterable[CapitalQuery]) -> list[CapitalQuery]:
    return list({q.model_dump_json(): q for q in queries}.values())
