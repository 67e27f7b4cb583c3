"""The question `capital-plan`: capital as a table of scenario by horizon, and what drives it.

Rows are today's market and scenarios of the stress language or stored ones; columns are today and T1, T2, ..., to which the market
is rolled and the book ages, as roll-forward does it. Each cell is the capital report of the same trades in the market of the cell:
values, exposures and sensitivities are taken there. Agreements, balances of collateral, ratings, classifications and the regime are
those of today.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
from pydantic import Field, model_validator

from aggregation.answer import Answer
from aggregation.price import SECONDS_A_QUESTION
from aggregation.question import Plan, Question
from aggregation.receipts import name_code
from aggregation.regimes.regimes import Regime, RegimeName, regime_of
from aggregation.regulatory.capital.parts import MARKET_RISK, Found, Key, answered, asked_parts, run_off, sort_key
from aggregation.regulatory.capital.planned_markets import (
    BASE,
    TODAY,
    PlannedCell,
    PlannedMarkets,
    cell_plan,
    horizon_days,
    planned_markets,
)
from aggregation.regulatory.capital.query import CapitalChoices, CapitalQuery
from aggregation.regulatory.capital.question import (
    latest_versions,
    plan_capital,
    price_capital,
    total_of,
    value_capital,
)
from aggregation.regulatory.sa_ccr.parameters import Offset
from aggregation.session import Session
from aggregation.types import Positions, Whole
from lake.dates import Day
from lake.errors import BadInput, NotValued, counted
from scenarios import store
from scenarios.stress.language import MAX_TEXT
from scenarios.types import RolledMarket
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

_WHOLE = ("complete", "with substitutes")
_MOST_CELLS = 200
MATURED = "matured"
OTHERS = "others"


class CapitalPlanQuery(CapitalChoices, Positions):
    """Whose capital, in which scenarios, at which horizons."""

    as_of: Day = Field(description="date of market, book and reference data, from which the plan sets out")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    scenarios: tuple[str, ...] = Field(
        (),
        max_length=50,
        description="scenarios beside today's market: each in the stress language, or the name or id of a stored set, whose "
        "scenarios are a row each; repeatable",
    )
    horizons: tuple[str, ...] = Field(
        ("3M", "1Y"), max_length=40, description="T1, T2, ... beside today, such as 1M,3M,1Y: days are business days"
    )
    rolled: RolledMarket = Field(
        "forwards", description="forwards: what the curves imply comes true; constant: every level stays"
    )
    calendar: str = Field("weekdays", description="business days of the horizons: an FpML code as in contracts")
    regime: RegimeName = "basel"
    rate_offset: Offset = Field("formula", description="how maturities of one interest rate offset: formula, or none")
    illiquid: tuple[str, ...] = Field(
        (), max_length=10_000, description="agreements with illiquid collateral or trades that are hard to replace"
    )
    members: Whole = Field(
        20, ge=1, le=10_000, description="members of by shown for each cell, those that move most; the rest is one row"
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        for name in ("horizons", "scenarios"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names one twice")
        wrong = next((s for s in self.scenarios if not 0 < len(s) <= MAX_TEXT), None)
        if wrong is not None:
            raise ValueError(f"a scenario has 1 to {MAX_TEXT} characters")
        if TODAY in self.horizons:
            raise ValueError("today is there anyway; leave it out of horizons")
        return self

    def report(self, regime: str) -> CapitalQuery:
        """The question capital of today."""
        names = (*CapitalChoices.model_fields, *Positions.model_fields, "as_of", "rate_offset", "illiquid")
        dated = None if self.positions_date == self.as_of else self.positions_date
        return CapitalQuery(**{n: getattr(self, n) for n in names}, positions_date=dated, regime=regime)

    def cell(self, regime: str, day: dt.date, valuation_set: str) -> CapitalQuery:
        """The question capital of a cell, under today's reference data."""
        today = self.as_of
        dates = {"positions_date": self.positions_date or today, "market_date": today, "agreements_date": today}
        more = {"collateral_date": today, "reference_date": today, "valuation_set": valuation_set}
        return self.report(regime).model_copy(update={"as_of": day, **dates, **more})


@dataclass(frozen=True)
class CapitalPlan(Answer):
    """rows : a row a cell, scenarios in order, then horizons: scenario, horizon, day, and in the reporting currency credit_rwa, cva_rwa,
    market_rwa, rwa, capital, change of rwa against today's market today, and the change of each risk; matured, contracts that have run off
    by then; status and reason, which names a risk that a cell does not have. drivers : the change of each cell by member of `by` and risk,
    the largest first, the rest as one row `others`; they add up to the change to the last bit. total : today's.
    """

    query: CapitalPlanQuery
    rows: pa.Table
    total: Mapping[str, Any]
    drivers: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Cell:
    """A cell as it is shown. found : by risk; matured : contracts that have run off."""

    scenario: str
    horizon: str
    day: dt.date
    found: Mapping[str, Found]
    matured: int


def _markets(session: Session, query: CapitalPlanQuery, report: CapitalQuery) -> PlannedMarkets:
    horizons = horizon_days(query.as_of, query.horizons, query.calendar)
    market = report.of_market() if "market" in query.parts else None
    found = planned_markets(
        session,
        query.as_of,
        query.positions_date or query.as_of,
        query.scenarios,
        horizons,
        query.rolled,
        market,
    )
    if len(found.cells) >= _MOST_CELLS:
        raise BadInput(
            f"A plan of {len(found.cells) + 1:,} cells was asked for; the most is {_MOST_CELLS}. Give fewer scenarios or horizons."
        )
    return found


def _opened(session: Session, query: CapitalPlanQuery) -> tuple[CapitalQuery, PlannedMarkets]:
    report = query.report(regime_of(query.regime, query.as_of, session.cache.lake).label)
    return report, _markets(session, query, report)


def run_plan_of_capital(session: Session, query: CapitalPlanQuery) -> CapitalPlan:
    """The table; raises `NotValued` where a cell is not valued."""
    report, markets = _opened(session, query)
    today: dict[str, Found] = {a.part: answered(session, report, a) for a in asked_parts(report)}
    if all(f.receipt is None for f in today.values()):
        raise BadInput(" ".join(dict.fromkeys(f"{p}: {f.reason}" for p, f in today.items())))
    cells = [_Cell(BASE, TODAY, query.as_of, today, 0)]
    for cell in markets.cells:
        cells.append(_cell(session, query, report, markets, cell))
    receipts = {
        f"{c.scenario} | {c.horizon}": {p: f.receipt for p, f in c.found.items() if f.receipt is not None}
        for c in cells
    }
    flat = {f"{c} {p}": r for c, of in receipts.items() for p, r in of.items()}
    regime = regime_of(report.regime, query.as_of, session.cache.lake)
    return CapitalPlan(
        query,
        _rows(cells),
        total_of(today),
        _drivers(query, cells),
        {
            "as_of": str(query.as_of),
            "cells": receipts,
            **regime.named,
            "table_versions": latest_versions(flat),
            **name_code(),
        },
        tuple(_notes(query, cells, markets, regime)),
    )


def _cell(
    session: Session, query: CapitalPlanQuery, report: CapitalQuery, markets: PlannedMarkets, cell: PlannedCell
) -> _Cell:
    if cell.made is None:
        none: dict[str, Found] = {a.part: _lacks(cell.reason or "") for a in asked_parts(report)}
        return _Cell(cell.scenario, cell.horizon, cell.day, none, 0)
    _, plan = cell_plan(session, markets, cell)
    if plan.sealed is None:
        raise NotValued(f"The cell {cell.scenario}, {cell.horizon} of the plan of {query.as_of} is not valued.")
    seal = plan.sealed
    failed = session.lake.read("valuation_failures", among={"valuation_set_id": [seal.valuation_set_id]}).to_pylist()
    matured = sum(1 for f in failed if f["reason"] == MATURED)
    asked = query.cell(report.regime, cell.day, seal.valuation_set_id)
    found: dict[str, Found] = {}
    for a in asked_parts(asked):
        if a.name == "sa-cva":
            found[a.part] = _lacks(
                "CVA by the standardised approach needs market paths, which a planned market has not."
            )
            continue
        made = answered(session, asked, a, seal if a.part == MARKET_RISK else None)
        # what has run off is no hole: it is in no figure since it is gone
        found[a.part] = run_off(made) if matured and matured == len(failed) else made
    return _Cell(cell.scenario, cell.horizon, cell.day, found, matured)


def _lacks(reason: str) -> Found:
    return Found({}, None, None, None, 0.0, "invalid", reason=reason)


def _rows(cells: list[_Cell]) -> pa.Table:
    today, rows = total_of(cells[0].found), []
    names = [f"{p}_rwa" for p in cells[0].found]
    for cell in cells:
        total = total_of(cell.found)
        alike = [n for n in names if total[n] is not None and today[n] is not None]
        changes = {n.replace("_rwa", "_change"): total[n] - today[n] if n in alike else None for n in names}
        told = [f"{p}: {f.reason or f.status}" for p, f in cell.found.items() if f.status not in _WHOLE]
        rows.append(
            {
                "scenario": cell.scenario,
                "horizon": cell.horizon,
                "day": cell.day,
                **{n: total[n] for n in (*names, "rwa", "capital")},
                "change": sum(v for v in changes.values() if v is not None) if alike else None,
                **changes,
                "matured": cell.matured,
                "status": total["status"],
                "reason": " ".join(told) or None,
            }
        )
    kinds = {"scenario": pa.string(), "horizon": pa.string(), "status": pa.string(), "reason": pa.string()}
    kinds |= {"day": pa.date32(), "matured": pa.int64()}
    return pa.Table.from_pylist(rows, schema=pa.schema([(n, kinds.get(n, pa.float64())) for n in rows[0]]))


def _drivers(query: CapitalPlanQuery, cells: list[_Cell]) -> pa.Table:
    """The members of each cell, those that move most."""
    first, rows = cells[0], []
    risks = list(first.found)
    for cell in cells[1:]:
        moves: dict[Key, dict[str, float]] = {}
        for p in risks:
            now, was = cell.found[p], first.found[p]
            if now.rwa is None or was.rwa is None:
                continue
            for key in now.cells.keys() | was.cells.keys():
                after, before = (f.cells[key].rwa or 0.0 if key in f.cells else 0.0 for f in (now, was))
                moves.setdefault(key, {})[p] = after - before
        order = sorted(moves, key=lambda k: (-abs(sum(moves[k].values())), sort_key(k)))
        shown = [(k, moves[k]) for k in order[: query.members]]
        rest = order[query.members :]
        if rest:
            others = {p: sum(moves[k].get(p, 0.0) for k in rest) for p in risks}
            shown.append(((*([None] * len(query.by)), OTHERS), others))
        rows += [(cell, key, of) for key, of in shown]
    return pa.table(
        {
            "scenario": pa.array([c.scenario for c, _, _ in rows], pa.string()),
            "horizon": pa.array([c.horizon for c, _, _ in rows], pa.string()),
            **{b: pa.array([k[i] for _, k, _ in rows], pa.string()) for i, b in enumerate(query.by)},
            "part": pa.array([k[-1] for _, k, _ in rows], pa.string()),
            **{f"{p}_change": pa.array([of.get(p) for _, _, of in rows], pa.float64()) for p in risks},
            "change": pa.array([sum(of.values()) for _, _, of in rows], pa.float64()),
        }
    )


def _notes(query: CapitalPlanQuery, cells: list[_Cell], markets: PlannedMarkets, regime: Regime) -> list[str]:
    of = f"{markets.positions_date} that are left by then, and agreements, collateral, ratings and rules of {query.as_of}"
    how = " along its forwards." if query.rolled == "forwards" else ": every level stays."
    notes = [
        f"Every cell has the trades of {of}: no new trades, no calls of margin on the way, no changes of rating.",
        f"Scenarios happen at once, today; later the moved market is rolled{how}",
    ]
    gone = max(c.matured for c in cells)
    if gone:
        notes.append(f"Up to {counted(gone, 'contract')} have matured by the last horizon and are in no figure there.")
    lacking = [c for c in cells if any(f.status not in _WHOLE for f in c.found.values())]
    if lacking:
        notes.append(f"{counted(len(lacking), 'cell')} of {len(cells)} lack something, which their reason says.")
    said = dict.fromkeys(n for c in markets.cells for n in c.notes)
    return [*notes, *regime.notes(query.as_of), *said]


def _plan(session: Session, query: CapitalPlanQuery) -> Plan:
    report, markets = _opened(session, query)
    today = plan_capital(session, report)
    valuations, cost, ready = [*today.valuations], today.cost, today.ready
    for cell in markets.cells:
        if cell.made is None:
            continue
        request, plan = cell_plan(session, markets, cell)
        valuations.append((f"{cell.scenario}, {cell.horizon}", request, plan))
        cost, ready = cost + plan.cost, ready and plan.sealed is not None
    return Plan(tuple(valuations), cost, ready)


def _value(session: Session, query: CapitalPlanQuery) -> CapitalPlanQuery:
    report, markets = _opened(session, query)
    value_capital(session, report)  # first, so that the market of today has values of its own
    committer = session.writer()
    dates = (markets.positions_date,)
    for cell in markets.cells:
        if cell.made is None or cell_plan(session, markets, cell)[1].sealed is not None:
            continue
        made = store.save_scenario_set(committer, cell.made)
        plan = make_plan(committer.lake.snapshot(), markets.held, made, cell.day, positions_dates=dates)
        run_plan(committer, plan, spark=session.spark, progress=session.progress, cancelled=session.cancelled)
    return query


def _price(session: Session, query: CapitalPlanQuery) -> float:
    report = query.report(regime_of(query.regime, query.as_of, session.cache.lake).label)
    cells = (1 + len(query.scenarios)) * (1 + len(query.horizons))
    return SECONDS_A_QUESTION + 2.0 * cells * price_capital(session, report)


CAPITAL_PLAN = Question(
    CapitalPlanQuery,
    run_plan_of_capital,
    {
        "as_of": "2020-03-16",
        "scenarios": ["equity -20%; vol +10pt"],
        "horizons": ["3M"],
        "by": ["legal_entity"],
    },
    _plan,
    _value,
    price=_price,
)
