"""The question `capital`: risk-weighted assets and capital of credit, CVA and market risk together, by any dimension.

    RWA = EAD (SA-CCR) x risk weight  +  12.5 x capital for CVA risk  +  12.5 x capital for market risk

Each term is the answer of the question that exists for it, credit-rwa, ba-cva or sa-cva, frtb-sa; nothing is computed otherwise here.
Their contributions are rounded to 1/1024 of a unit of currency, so that all rows of all risks add up to the total to the last bit.
Sources: RBC20.1, RBC20.4; CRE20, CRE52; MAR20 to MAR23, MAR50.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from aggregation.answer import Answer
from aggregation.price import SECONDS_A_QUESTION
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_code
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.capital.parts import Asked, Found, Key, answered, asked_parts, lacking_table, sort_key
from aggregation.regulatory.capital.query import CapitalQuery
from aggregation.session import Session
from lake.errors import BadInput, NotFound, NotValued, VarlakeError

_WHOLE = ("complete", "with substitutes")


@dataclass(frozen=True)
class CapitalAnswer(Answer):
    """Amounts in the reporting currency.

    rows : a row a group, sorted: the `by` columns; part, `all` or, where groups are finer than netting sets, `trades` or `agreement`
    (collateral and terms of margin), and `hedges` of CVA; ead; credit_rwa, cva_rwa, market_rwa, null where the group has none of it or it
    cannot be computed, which `status` and `reason` then say; rwa, their sum; capital; share of the total RWA. The rows of each column of
    RWA add up to the total to the last bit. parts : a row a risk: question, rule, regime, status, positions, covered, rwa, and rwa_asked
    and capital, which are those of the question to the bit; reason. lacking : what is in no figure, with the reason. total : the same of
    all.
    """

    query: CapitalQuery
    rows: pa.Table
    total: Mapping[str, Any]
    parts: pa.Table
    lacking: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def run_capital(session: Session, query: CapitalQuery) -> CapitalAnswer:
    """The report; raises `NotValued` where a valuation is missing, and `BadInput` where no part can be computed."""
    asked = asked_parts(query)
    found: dict[str, Found] = {a.part: answered(session, query, a) for a in asked}
    if all(f.receipt is None for f in found.values()):
        raise BadInput(" ".join(dict.fromkeys(f"{p}: {f.reason}" for p, f in found.items())))
    regime = regime_of(query.regime, query.as_of, session.cache.lake)
    receipts = {a.name: f.receipt for a, f in zip(asked, found.values(), strict=True) if f.receipt is not None}
    total = total_of(found)
    return CapitalAnswer(
        query,
        rows_of(query, found, total),
        total,
        _parts(asked, found, regime.label),
        lacking_table(found),
        {
            "as_of": str(query.as_of),
            "currency": query.currency,
            "parts": receipts,
            **regime.named,
            "table_versions": latest_versions(receipts),
            **name_code(),
        },
        tuple(_notes(query, asked, found)),
    )


def latest_versions(receipts: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The versions of all tables that the receipts name."""
    versions: dict[str, int] = {}
    for receipt in receipts.values():
        for name, version in receipt["table_versions"].items():
            versions[name] = max(version, versions.get(name, version))
    return versions


def total_of(found: Mapping[str, Found]) -> dict[str, Any]:
    """RWA of each risk and of all, capital, and the status of the whole: partial where a risk is, or cannot be computed."""
    known = [f for f in found.values() if f.rwa is not None]
    whole = all(f.status in _WHOLE for f in found.values())
    substituted = any(f.status == _WHOLE[1] for f in found.values())
    return {
        **{f"{p}_rwa": f.rwa for p, f in found.items()},
        "rwa": sum(f.rwa or 0.0 for f in known) if known else None,
        "capital": math.fsum((f.rwa or 0.0) * f.ratio for f in known) if known else None,
        "status": (_WHOLE[1] if substituted else _WHOLE[0]) if whole else "partial" if known else "invalid",
    }


def rows_of(query: CapitalQuery, found: Mapping[str, Found], total: Mapping[str, Any]) -> pa.Table:
    """The rows of the answer."""
    keys: list[Key] = sorted({k for f in found.values() for k in f.cells}, key=sort_key)
    columns: dict[str, list[Any]] = {n: [] for n in ("ead", *(f"{p}_rwa" for p in found), "rwa", "capital", "share")}
    statuses, reasons = [], []
    for key in keys:
        cells = {p: f.cells[key] for p, f in found.items() if key in f.cells}
        known = {p: c.rwa for p, c in cells.items() if c.rwa is not None}
        rwa = sum(known.values()) if known else None
        columns["ead"].append(cells["credit"].ead if "credit" in cells else None)
        for p in found:
            columns[f"{p}_rwa"].append(known.get(p))
        columns["rwa"].append(rwa)
        columns["capital"].append(math.fsum(v * found[p].ratio for p, v in known.items()) if known else None)
        columns["share"].append(None if rwa is None or not total["rwa"] else rwa / total["rwa"])
        holes = [f"{p}: {c.reason or c.status}" for p, c in cells.items() if c.status not in _WHOLE]
        holes += [f"{p}: {f.reason}" for p, f in found.items() if f.receipt is None]
        good = _WHOLE[1] if any(c.status == _WHOLE[1] for c in cells.values()) else _WHOLE[0]
        statuses.append(("partial" if known else "invalid") if holes else good)
        reasons.append(" ".join(holes) or None)
    return pa.table(
        {
            **{b: pa.array([k[i] for k in keys], pa.string()) for i, b in enumerate(query.by)},
            "part": pa.array([k[-1] for k in keys], pa.string()),
            **{n: pa.array(v, pa.float64()) for n, v in columns.items()},
            "status": pa.array(statuses, pa.string()),
            "reason": pa.array(reasons, pa.string()),
        }
    )


def _parts(asked: list[Asked], found: Mapping[str, Found], label: str) -> pa.Table:
    rows = [
        {
            "risk": a.part,
            "question": a.name,
            "rule": a.rule,
            "regime": label,
            "status": f.status,
            "positions": f.positions,
            "covered": f.covered,
            "rwa": f.rwa,
            "rwa_asked": f.own_rwa,
            "capital": f.capital,
            "reason": f.reason,
        }
        for a, f in zip(asked, found.values(), strict=True)
    ]
    text, number, amount = pa.string(), pa.int64(), pa.float64()
    kinds = (text, text, text, text, text, number, number, amount, amount, amount, text)
    return pa.Table.from_pylist(rows, schema=pa.schema(list(zip(rows[0], kinds, strict=True))))


def _notes(query: CapitalQuery, asked: list[Asked], found: Mapping[str, Found]) -> list[str]:
    rules = ", ".join(f"{a.part} by {a.name} ({a.rule})" for a in asked)
    notes = [f"Capital for {rules}."]
    missing = [p for p, f in found.items() if f.receipt is None]
    if missing:
        notes.append(f"Partial: in no figure is {' and '.join(f'{p}, since: {found[p].reason}' for p in missing)}")
    if "market" in found and not query.market_where:
        notes.append("Every position counts as one of the trading book for market risk; market_where says which do.")
    notes.append("Floors and buffers on top of the sum of RWA are not in it.")
    said: dict[str, list[str]] = {}
    for p, f in found.items():
        for note in f.notes:
            said.setdefault(note, []).append(p)
    return [*notes, *(f"{', '.join(ps).capitalize()}: {note}" for note, ps in said.items())]


def plan_capital(session: Session, query: CapitalQuery) -> Plan:
    """What the parts lack; of one that cannot be computed, nothing."""
    plans: list[Plan] = []
    errors: list[VarlakeError] = []
    for asked in asked_parts(query):
        assert asked.question.plan is not None
        try:
            plans.append(asked.question.plan(session, asked.make(query)))
        except NotValued:
            raise
        except (BadInput, NotFound) as error:
            errors.append(error)
    if errors and not plans:
        raise errors[0]
    return _once(plans)


def _once(plans: list[Plan]) -> Plan:
    """The plans together; what credit and CVA both rest on is one valuation."""
    kept: list[Plan] = []
    seen: set[str] = set()
    for plan in plans:
        requests = {request.model_dump_json() for _, request, _ in plan.valuations}
        if not requests or not requests <= seen:
            kept.append(plan)
        seen |= requests
    return together(kept)


def value_capital(session: Session, query: CapitalQuery) -> CapitalQuery:
    """Values what the parts lack; the query to ask then names the valuation set that was made for exposures."""
    asked = asked_parts(query)
    errors: list[VarlakeError] = []
    for a in asked:
        assert a.question.value is not None
        try:
            done = a.question.value(session, a.make(query))
        except NotValued:
            raise
        except (BadInput, NotFound) as error:
            errors.append(error)
            continue
        if a.name in ("credit-rwa", "ba-cva"):
            query = query.model_copy(update={"valuation_set": done.valuation_set, "scenario_set": done.scenario_set})
    if len(errors) == len(asked):
        raise errors[0]
    return query


def price_capital(session: Session, query: CapitalQuery) -> float:
    """Of all parts; one that has no price is answered with a reason."""
    total = SECONDS_A_QUESTION
    for asked in asked_parts(query):
        with contextlib.suppress(VarlakeError):
            total += asked.question.price(session, asked.make(query))
    return total


CAPITAL = Question(
    CapitalQuery,
    run_capital,
    {"as_of": "2020-03-16", "by": ["legal_entity"]},
    plan_capital,
    value_capital,
    price=price_capital,
)
