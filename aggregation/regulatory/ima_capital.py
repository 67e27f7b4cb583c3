"""QUESTIONS "ima-capital": own funds for market risk with internal models: averages, multiplier, surcharge and total (MAR33.41 to 33.46).

    C_A = max(IMCC + SES of the latest day; m_c mean IMCC + mean SES),   m_c by the exceptions of the bank-wide backtest
    total = min(C_A + DRC + surcharge + C_U; SA of all desks) + max(0; C_A + DRC - SA of desks on the internal model)

IMCC and SES are those of `frtb-ima` of the desks on the internal model, of each day that is averaged. The standardised approach is that of
`frtb-sa`, default risk that of `drc-ima`, zones and exceptions those of `desk-eligibility` where the question says from when desks are
tested; each may be given instead. What cannot be had is not in the total, and the answer says so.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.answer import Answer
from aggregation.kernels import frtb_ima as kernel
from aggregation.price import SECONDS_A_QUESTION
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_code
from aggregation.regimes.ima_parameters import ImaParameters
from aggregation.regulatory.frtb_ima import FRTB_IMA, FrtbIma
from aggregation.regulatory.ima_capital_query import ImaCapitalQuery
from aggregation.regulatory.ima_elsewhere import (
    Elsewhere,
    elsewhere,
    plan_elsewhere,
    plan_tests,
    price_elsewhere,
    value_elsewhere,
    value_tests,
    with_tests,
)
from aggregation.regulatory.ima_query import rules_of
from aggregation.session import Session
from lake.errors import BadInput, VarlakeError, counted
from valuation.books.contracts import positions_dates


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
    asked = query
    query, told, tested = with_tests(session, query)
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
        more = None
    else:
        more = elsewhere(session, query)
        components, own, total = _components(query, more, p, latest, known, len(days))
    lacking = [c["component"] for c in components if c["amount"] is None]
    in_part = [] if more is None else [n for n, f in more.figures.items() if f.amount is not None and not f.whole]
    short = len(known) < p.capital.average_days
    partial = (
        bool(lacking or in_part) or short or any(r["status"] not in ("complete", "with substitutes") for r in rows)
    )
    notes = [*found.notes]  # those of the latest day
    if short:
        notes.append(f"Averages are over {counted(len(known), 'day')}; the rule takes {p.capital.average_days}.")
    if lacking:
        notes.append(f"Not known and not in the total: {', '.join(lacking)}.")
    if in_part:
        notes.append(f"Partial: {', '.join(in_part)}; the question that the figure is of says what lacks.")
    if query.exceptions is None:
        notes.append(
            "No exceptions were given: the multiplier is the least there is. desk-eligibility counts them, from tested_from on."
        )
    notes += told
    schema = {
        "day": pa.date32(),
        "imcc": pa.float64(),
        "ses": pa.float64(),
        "status": pa.string(),
        "reason": pa.string(),
    }
    of = {"component": pa.string(), "amount": pa.float64(), "how": pa.string()}
    others = {} if more is None else dict(more.receipts)
    if tested is not None:
        others["desk_eligibility"] = tested
    # default risk reads tables that the days do not
    versions = {n: v for r in others.values() for n, v in r["table_versions"].items()}
    versions |= receipts[str(query.as_of)]["table_versions"]
    return ImaCapital(
        asked,
        regime.label,
        pa.Table.from_pylist(rows, schema=pa.schema([*schema.items()])),
        pa.Table.from_pylist(components, schema=pa.schema([*of.items()])),
        own,
        total,
        None if total is None else total * p.capital.risk_weight,
        "partial" if partial else "complete",
        {"days": receipts, "figures": others, **regime.named, "table_versions": versions, **name_code()},
        tuple(dict.fromkeys(notes)),
    )


def _components(
    query: ImaCapitalQuery,
    more: Elsewhere,
    p: ImaParameters,
    latest: Mapping[str, Any],
    known: list[dict[str, Any]],
    wanted: int,
) -> tuple[list[dict[str, Any]], float, float]:
    """The rows of the components, C_A, and the total."""
    mean = {n: float(np.add.reduce(np.array([r[n] for r in known]))) / len(known) for n in ("imcc", "ses")}
    m = p.backtesting.multiplier(query.exceptions or 0)
    own = kernel.own_funds(latest["imcc"], latest["ses"], mean["imcc"], mean["ses"], m)
    amounts = {name: figure.amount for name, figure in more.figures.items()}
    ima = own + (amounts["default_risk"] or 0.0)
    eligible, every = amounts["standardised_eligible"], amounts["standardised_all"]
    surcharge, k, how = 0.0, 0.0, "no desk is amber"
    amber = sum(more.by_desk.get(d, 0.0) for d, z in sorted(query.zones.items()) if z == "amber")
    is_amber = any(z == "amber" for z in query.zones.values())
    lacking = sorted(d for d in query.zones if d not in more.by_desk)
    unknown = None
    if is_amber and (eligible is None or lacking):
        unknown = (
            more.desk_reason or "there is no standardised capital of every desk in zones and of all of them together"
        )
        unknown += f"; lacking {lacking[0]}" if lacking else ""
    elif is_amber and eligible is not None:
        both = sum(more.by_desk[d] for d in sorted(query.zones))
        k, surcharge = kernel.amber_surcharge(amber, both, eligible, ima, p.capital.amber_share)
        how = f"{k:.6g} times what the standardised approach asks beyond the internal model"
    cap = math.inf if every is None else every
    floor = math.inf if eligible is None else eligible
    total = kernel.total_capital(ima, surcharge, amounts["unapproved"] or 0.0, cap, floor)

    def row(name: str, without: str = "") -> dict[str, Any]:
        figure = more.figures[name]
        how = figure.how if figure.amount is not None else f"{figure.how}{without}"
        return {"component": name, "amount": figure.amount, "how": how}

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
        row("default_risk"),
        {"component": "surcharge", "amount": None if unknown else surcharge, "how": unknown or how},
        row("unapproved"),
        row("standardised_all", " The total is not capped."),
        row("standardised_eligible", " Nothing is added where the internal model asks more."),
    ]
    return rows, own, total


def _plan(session: Session, query: ImaCapitalQuery) -> Plan:
    """The backtest of the desks first: which they are follows from it."""
    assert FRTB_IMA.plan is not None
    session = session.as_known(query.as_known)
    tests = plan_tests(session, query)
    if not tests.ready:
        return together([tests, plan_elsewhere(session, query)])
    query, *_ = with_tests(session, query)
    days = averaged_days(session, query, rules_of(session, query).parameters)
    own = [FRTB_IMA.plan(session, query.of_day(day)) for day in days]
    return together([*own, plan_elsewhere(session, query)])


def _value(session: Session, query: ImaCapitalQuery) -> ImaCapitalQuery:
    assert FRTB_IMA.value is not None
    asked = query
    session = session.as_known(query.as_known)
    value_tests(session, query)
    query, *_ = with_tests(session, query)
    for day in averaged_days(session, query, rules_of(session, query).parameters):
        FRTB_IMA.value(session, query.of_day(day))
    value_elsewhere(session, query)
    return asked


def _price(session: Session, query: ImaCapitalQuery) -> float:
    n = query.days or rules_of(session, query).parameters.capital.average_days
    own = n * FRTB_IMA.price(session, query.of_day(query.as_of))
    return SECONDS_A_QUESTION + own + price_elsewhere(session, query)


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
