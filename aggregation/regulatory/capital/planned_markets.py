"""The markets of a capital plan: today's, each scenario's, and each of them rolled to the horizons, with the moves of the rules on top.

A cell of the plan is one scenario set: its base is the market of the cell, and its scenarios are the moves that the standardised approach
for market risk prescribes, made anew from that base. So one valuation serves exposures, at the base, and sensitivities.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from aggregation.regulatory.frtb_sa_query import METHOD, FrtbSaQuery, prepare
from aggregation.session import Session
from aggregation.stress.stress_test import request_for
from lake.dates import day as date_of
from lake.errors import BadInput, NotFound, VarlakeError
from scenarios import store
from scenarios.derived.regulatory_bumps import RegulatoryBumpsDefinition, moved
from scenarios.market.base_market import load_base
from scenarios.types import RolledMarket, ScenarioSet
from valuation.books.contracts import contracts_held
from valuation.catalogue import terms_from_json
from valuation.instruments.schedules import horizon_date
from valuation.market.rolled_market import Carry, carry_of, roll, still, still_market
from valuation.sets.plan import ValuationPlan, make_plan
from valuation.sets.requests import ValuationRequest, plan_valuation
from valuation.types import Contract, InstrumentTerms

BASE, TODAY = "base", "today"


@dataclass(frozen=True)
class PlannedCell:
    """A cell but that of today's market today. made : its scenario set, None with the reason where there is none."""

    scenario: str
    horizon: str
    day: dt.date
    made: ScenarioSet | None
    reason: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedMarkets:
    """cells : scenarios outermost, then horizons. held : rows of the contracts of the book."""

    cells: tuple[PlannedCell, ...]
    held: pa.Table
    positions_date: dt.date


def horizon_days(as_of: dt.date, horizons: Sequence[str], calendar: str) -> list[tuple[str, dt.date]]:
    """Today, then T1, T2, ..."""
    return [(TODAY, as_of), *((t, horizon_date(as_of, t, calendar)) for t in horizons)]


def planned_markets(
    session: Session,
    as_of: dt.date,
    positions_date: dt.date,
    scenarios: Sequence[str],
    horizons: Sequence[tuple[str, dt.date]],
    rolled: RolledMarket,
    market_query: FrtbSaQuery | None,
) -> PlannedMarkets:
    """The sets of all cells, none stored. market_query : the question frtb-sa of today, None without market risk.

    Raises `NotFound` for a day without a market or a scenario that is not stored, `BadInput` for a scenario that cannot be read.
    """
    snapshot = session.lake.snapshot()
    held = contracts_held(snapshot, [positions_date], as_of)
    terms: list[InstrumentTerms] = []
    for contract in Contract.of(held):
        try:
            terms.append(terms_from_json(contract.instrument_type, contract.terms))
        except VarlakeError:
            continue  # it fails on its own when it is valued, with its reason
    moves = None
    if market_query is not None:
        request = prepare(session, market_query).request
        assert request.scenarios is not None
        moves = RegulatoryBumpsDefinition(market_date=as_of, **request.scenarios.parameters)
    start = _today(session, as_of, moves)
    known = start.index.row
    found, notes = carry_of(terms)
    currencies = {f.currency for f in start.index.factors}
    carry = Carry(
        {k: v for k, v in found.dividend_yields.items() if k in known},
        {k: v for k, v in found.costs.items() if k in known},
        {k: v for k, v in found.rates.items() if k in currencies},
        {},
        found.cash_dividends & known.keys(),
    )
    cells = []
    for name, market in [(BASE, start), *_stressed(session, as_of, positions_date, scenarios, start)]:
        for horizon, to in horizons:
            if (name, horizon) == (BASE, TODAY):
                continue
            try:
                of = market if to == as_of else roll(market, to, rolled, carry)
                made = _with_moves(of, moves, name, to)
            except (BadInput, NotFound) as error:
                cells.append(PlannedCell(name, horizon, to, None, error.message))
                continue
            cells.append(PlannedCell(name, horizon, to, made, None, notes if to != as_of else ()))
    return PlannedMarkets(tuple(cells), held, positions_date)


def cell_plan(session: Session, markets: PlannedMarkets, cell: PlannedCell) -> tuple[ValuationRequest, ValuationPlan]:
    """What the valuation of a cell takes, or the seal that is there."""
    assert cell.made is not None
    plan = make_plan(
        session.lake.snapshot(), markets.held, cell.made, cell.day, positions_dates=(markets.positions_date,)
    )
    dates = (markets.positions_date,)
    return ValuationRequest(as_of=cell.day, positions_dates=dates, scenario_set=cell.made.scenario_set_id), plan


def _today(session: Session, as_of: dt.date, moves: RegulatoryBumpsDefinition | None) -> ScenarioSet:
    """The market of the date, as a set in which nothing happens."""
    definition = moves or RegulatoryBumpsDefinition(market_date=as_of)
    return still_market(load_base(session.lake.snapshot(), as_of, definition.calendar, definition.max_held_days))


def _stressed(
    session: Session, as_of: dt.date, positions_date: dt.date, scenarios: Sequence[str], start: ScenarioSet
) -> list[tuple[str, ScenarioSet]]:
    """Today's market moved by each scenario, by its name; factors that a scenario does not hold stay."""
    out: list[tuple[str, ScenarioSet]] = []
    snapshot = session.lake.snapshot()
    for text in scenarios:
        made = plan_valuation(snapshot, request_for(snapshot, as_of, text, positions_date)).scenario_set
        levels = np.asarray(made.levels)
        for i, label in enumerate(made.labels):
            name = text if len(made.labels) == 1 else f"{text}: {label}"
            base = start.base.copy()
            for factor, row in made.index.row.items():
                if factor in start.index.row:
                    base[start.index.row[factor]] = levels[row, i]
            out.append((name, still(dataclasses.replace(start, base=base))))
    names = [n for n, _ in out]
    if len(set(names)) < len(names) or BASE in names:
        raise BadInput("A scenario is named twice, or is called base; each row of the plan needs a name of its own.")
    return out


def _with_moves(of: ScenarioSet, moves: RegulatoryBumpsDefinition | None, name: str, to: dt.date) -> ScenarioSet:
    """The market of a cell with the moves of the rules as its scenarios, which answer only where they are named."""
    made = of
    about = {"scenario": name, "to": str(date_of(to)), "market": dict(of.definition)}
    if moves is None:
        made = dataclasses.replace(of, definition=about, sample=False)
    else:
        labels, levels = moved(of.index, of.base, moves)
        made = dataclasses.replace(
            of,
            method=METHOD,
            labels=labels,
            levels=levels,
            shocked=np.ones(len(of.base), dtype=np.bool_),
            definition={**moves.model_dump(mode="json"), "planned": about},
            sample=False,
        )
    made = dataclasses.replace(made, name="")
    digest = store.scenario_set_digest(made)
    return dataclasses.replace(made, scenario_set_id=digest, name=f"capital-plan-{digest[:12]}")
