"""QUESTIONS "ima-capital": own funds for market risk with internal models: averages, multiplier, surcharge and total (MAR33.41 to 33.46).

    C_A = max(IMCC + SES of the latest day; m_c mean IMCC + mean SES),   m_c by the exceptions of the bank-wide backtest
    total = min(C_A + DRC + surcharge + C_U; SA of all desks) + max(0; C_A + DRC - SA of desks on the internal model)

IMCC and SES are those of `frtb-ima` of the desks on the internal model, of each day that is averaged. Figures that
come from elsewhere, the standardised
approach by desk, default risk, exceptions, are given with the question: what is not given is not in the total, and the answer says so.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from aggregation.answer import Answer
from aggregation.kernels import frtb_ima as kernel
from aggregation.price import SECONDS_A_QUESTION
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_code
from aggregation.regulatory.frtb_ima import FRTB_IMA, FrtbIma, FrtbImaQuery
from aggregation.regulatory.ima_parameters import ImaParameters
from aggregation.regulatory.ima_query import ImaQuery, rules_of
from aggregation.session import Session
from aggregation.types import Filter, Whole
from lake.errors import BadInput, VarlakeError, counted
from valuation.books.contracts import positions_dates

Zone = Literal["green", "amber"]


class ImaCapitalQuery(ImaQuery):
    """Whose capital, averaged over which days, and what comes from elsewhere."""

    days: Whole | None = Field(
        None,
        ge=1,
        le=250,
        description="latest days with a book that are averaged, the last of them as_of; default the regime's 60",
    )
    exceptions: Whole | None = Field(
        None,
        ge=0,
        le=250,
        description="exceptions of the bank-wide backtest at 99% in 250 days (desk-eligibility); default none known",
    )
    zones: dict[str, Zone] = Field(
        default_factory=dict,
        description="desks on the internal model and their attribution zone; default every desk, green",
    )
    standardised: dict[str, float] = Field(
        default_factory=dict,
        description="capital of each desk by the standardised approach alone (frtb-sa), for the surcharge; reporting currency",
    )
    standardised_all: float | None = Field(
        None, ge=0, description="capital of all desks together by the standardised approach, which caps the total"
    )
    standardised_eligible: float | None = Field(
        None, ge=0, description="capital by the standardised approach of the desks on the internal model together"
    )
    unapproved: float | None = Field(
        None,
        ge=0,
        description="C_U: capital by the standardised approach of the desks that are not on the internal model",
    )
    default_risk: float | None = Field(None, ge=0, description="default risk charge of the internal model (drc-ima)")

    @model_validator(mode="after")
    def _amounts(self) -> ImaCapitalQuery:
        wrong = sorted(d for d, v in self.standardised.items() if not (math.isfinite(v) and v >= 0))
        if wrong:
            raise ValueError(
                f"standardised capital of {wrong[0]} is {self.standardised[wrong[0]]}; expected an amount of at least 0"
            )
        strange = sorted(set(self.standardised) - set(self.zones)) if self.zones else []
        if strange:
            raise ValueError(
                f"standardised names desk {strange[0]}, which is not in zones; expected one of {', '.join(sorted(self.zones))}"
            )
        return self

    def of_day(self, day: dt.date) -> FrtbImaQuery:
        """The question for IMCC and SES of one day, of the desks on the internal model."""
        given = {n: getattr(self, n) for n in ImaQuery.model_fields}
        where = self.where
        if self.zones:
            where = (*where, Filter(dimension="desk", values=tuple(sorted(self.zones))))
        if day != self.as_of:
            given |= {"positions_date": None, "market_date": None}
        return FrtbImaQuery(**{**given, "as_of": day, "by": (), "where": where, "contributions": False})


@dataclass(frozen=True)
class ImaCapital(Answer):
    """rows : a row a day that is averaged, the latest last: day, imcc, ses, status and, where there is none, the reason. components : a row
    a component: name, amount in the reporting currency, and how it was found or why it is missing. own_funds : C_A. total : of what is
    known; None where IMCC is not known. rwa : total times the risk weight. status : complete, or partial where a component lacks."""

    query: ImaCapitalQuery
    regime: str
    rows: pa.Table
    components: pa.Table
    own_funds: float | None
    total: float | None
    rwa: float | None
    status: str
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def averaged_days(session: Session, query: ImaCapitalQuery, rules: ImaParameters) -> list[dt.date]:
    """The latest days with a book up to as_of, in order."""
    n = query.days or rules.capital.average_days
    if query.branch is not None and n > 1:
        raise BadInput("A branch is of one day: give days=1, which takes that day for the average too.")
    there = {d for d in positions_dates(session.lake) if d < query.as_of}
    return [*sorted(there)[len(there) - min(len(there), n - 1) :], query.as_of]


def _answer(session: Session, query: ImaCapitalQuery) -> ImaCapital:
    session = session.as_known(query.as_known)
    rules = rules_of(session, query)
    p, regime = rules.parameters, rules.regime
    days = averaged_days(session, query, p)
    rows, receipts = [], {}
    for day in days:
        try:
            found: FrtbIma = FRTB_IMA.answer(session, query.of_day(day))
        except VarlakeError as error:
            if day == query.as_of:
                raise
            rows.append({"day": day, "imcc": None, "ses": None, "status": "missing", "reason": error.message})
            continue
        rows.append(
            {
                "day": day,
                "imcc": found.total["imcc"],
                "ses": found.total["ses"],
                "status": found.coverage.status,
                "reason": None,
            }
        )
        receipts[str(day)] = found.receipt
    latest = rows[-1]
    known = [r for r in rows if r["imcc"] is not None]
    if latest["imcc"] is None:
        components: list[dict[str, Any]] = []
        total, own = None, None
    else:
        components, own, total = _components(query, p, latest, known, len(days))
    lacking = [c["component"] for c in components if c["amount"] is None]
    short = len(known) < p.capital.average_days
    partial = bool(lacking) or short or any(r["status"] not in ("complete", "with substitutes") for r in rows)
    notes = [f"By {regime.title} ({regime.label}).", *regime.notes(query.as_of)]
    if short:
        notes.append(f"Averages are over {counted(len(known), 'day')}; the rule takes {p.capital.average_days}.")
    if lacking:
        notes.append(f"Not given and not in the total: {', '.join(lacking)}.")
    if query.exceptions is None:
        notes.append("No exceptions were given: the multiplier is the least there is. desk-eligibility counts them.")
    schema = {
        "day": pa.date32(),
        "imcc": pa.float64(),
        "ses": pa.float64(),
        "status": pa.string(),
        "reason": pa.string(),
    }
    of = {"component": pa.string(), "amount": pa.float64(), "how": pa.string()}
    versions = receipts[str(query.as_of)]["table_versions"]
    return ImaCapital(
        query,
        regime.label,
        pa.Table.from_pylist(rows, schema=pa.schema([*schema.items()])),
        pa.Table.from_pylist(components, schema=pa.schema([*of.items()])),
        own,
        total,
        None if total is None else total * p.capital.risk_weight,
        "partial" if partial else "complete",
        {"days": receipts, **regime.named, "table_versions": versions, **name_code()},
        tuple(notes),
    )


def _components(
    query: ImaCapitalQuery, p: ImaParameters, latest: Mapping[str, Any], known: list[dict[str, Any]], wanted: int
) -> tuple[list[dict[str, Any]], float, float]:
    """The rows of the components, C_A, and the total."""
    mean = {n: float(np.add.reduce(np.array([r[n] for r in known]))) / len(known) for n in ("imcc", "ses")}
    m = p.backtesting.multiplier(query.exceptions or 0)
    own = kernel.own_funds(latest["imcc"], latest["ses"], mean["imcc"], mean["ses"], m)
    ima = own + (query.default_risk or 0.0)
    eligible = query.standardised_eligible
    surcharge, k, how = 0.0, 0.0, "no desk is amber"
    amber = sum(query.standardised.get(d, 0.0) for d, z in sorted(query.zones.items()) if z == "amber")
    is_amber = any(z == "amber" for z in query.zones.values())
    lacking = sorted(d for d in query.zones if d not in query.standardised)
    unknown = None
    if is_amber and (eligible is None or lacking):
        unknown = "give standardised of every desk in zones, and standardised_eligible" + (
            f"; lacking {lacking[0]}" if lacking else ""
        )
    elif is_amber and eligible is not None:
        both = sum(query.standardised[d] for d in sorted(query.zones))
        k, surcharge = kernel.amber_surcharge(amber, both, eligible, ima, p.capital.amber_share)
        how = f"{k:.6g} times what the standardised approach asks beyond the internal model"
    cap = math.inf if query.standardised_all is None else query.standardised_all
    floor = math.inf if eligible is None else eligible
    total = kernel.total_capital(ima, surcharge, query.unapproved or 0.0, cap, floor)

    def given(value: float | None, name: str) -> dict[str, Any]:
        return {"amount": value, "how": "as given" if value is not None else f"not given: {name}"}

    rows = [
        {"component": "imcc_latest", "amount": latest["imcc"], "how": f"of {latest['day']}"},
        {"component": "ses_latest", "amount": latest["ses"], "how": f"of {latest['day']}"},
        {"component": "imcc_mean", "amount": mean["imcc"], "how": f"over {len(known)} of {wanted} days"},
        {"component": "ses_mean", "amount": mean["ses"], "how": f"over {len(known)} of {wanted} days"},
        {
            "component": "multiplier",
            "amount": m,
            "how": "no exceptions given" if query.exceptions is None else f"{query.exceptions} exceptions",
        },
        {"component": "own_funds", "amount": own, "how": "the larger of the latest day and the multiplied averages"},
        {"component": "default_risk", **given(query.default_risk, "default_risk")},
        {"component": "surcharge", "amount": None if unknown else surcharge, "how": unknown or how},
        {"component": "unapproved", **given(query.unapproved, "unapproved")},
        {"component": "standardised_all", **given(query.standardised_all, "standardised_all; the total is not capped")},
        {
            "component": "standardised_eligible",
            **given(eligible, "standardised_eligible; nothing is added where the internal model asks more"),
        },
    ]
    return rows, own, total


def _plan(session: Session, query: ImaCapitalQuery) -> Plan:
    assert FRTB_IMA.plan is not None
    days = averaged_days(session, query, rules_of(session, query).parameters)
    return together(FRTB_IMA.plan(session, query.of_day(day)) for day in days)


def _value(session: Session, query: ImaCapitalQuery) -> ImaCapitalQuery:
    assert FRTB_IMA.value is not None
    for day in averaged_days(session, query, rules_of(session, query).parameters):
        FRTB_IMA.value(session, query.of_day(day))
    return query


def _price(session: Session, query: ImaCapitalQuery) -> float:
    n = query.days or rules_of(session, query).parameters.capital.average_days
    return SECONDS_A_QUESTION + n * FRTB_IMA.price(session, query.of_day(query.as_of))


IMA_CAPITAL = Question(
    ImaCapitalQuery,
    _answer,
    {
        "as_of": "2020-03-16",
        "days": 1,
        "scenarios": 20,
        "stress": "2019-08-01:2019-08-30",
        "untested": "modellable",
        "exceptions": 5,
    },
    _plan,
    _value,
    price=_price,
)
