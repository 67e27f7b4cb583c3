"""Full revaluation held to its Taylor expansion: how much of the risk of any node its sensitivities explain.

    P&L(s) ~ sum_f dV/df (f(s) - f) + 1/2 sum_f d2V/df2 (f(s) - f)^2

with the stored bumps of `aggregation.stress.greeks` and the moves of the scenario set; cross terms and whatever is of third order
are in the unexplained part. Both are in the reporting currency, each scenario at its own exchange rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.kernels.fixed_sums import product
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import open_inputs
from aggregation.price import size_of
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_inputs
from aggregation.reduce.coverage import coverage_columns, lacking_notes, total_coverage
from aggregation.reduce.selection import SECONDS_A_SUM, open_selection, scenario_pnl
from aggregation.risk.query import PNL_BYTES
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.stress.greeks import (
    BOOK,
    GreeksQuery,
    beside,
    bumps_inputs,
    plan_bumped,
    price_of_greeks,
    value_bumped,
)
from aggregation.types import Coverage, OneFigure, RiskQuery, Scope
from lake.arrays import Floats
from lake.errors import BadInput, counted
from scenarios.derived.bumps import bump_sizes
from scenarios.store import load_scenario_set


class TaylorQuery(OneFigure, Scope):
    """Whose full revaluation is held to its sensitivities, by one measure at one level."""

    order: Literal["first", "second"] = Field(
        "second", description="first order alone, or with the second of each risk factor, not of pairs"
    )


@dataclass(frozen=True)
class Taylor(Answer):
    """rows : a row a group, sorted: the `by` columns, `full` (the measure by full revaluation, losses positive), `taylor` (of the
    expansion's P&L), `unexplained` = full - taylor, zero below a billionth, `largest_gap` (largest absolute difference of the two
    P&L in one scenario), the `scenario` it is in, and `correlation` of the two P&L; null where nothing of the group is covered.
    total : the same of all groups.
    """

    query: TaylorQuery
    rows: pa.Table
    total: pa.Table
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def _bumped(query: TaylorQuery) -> GreeksQuery:
    return GreeksQuery(**{n: getattr(query, n) for n in BOOK})


def _plan(session: Session, query: TaylorQuery) -> Plan:
    standing = plan_scope(session, query)
    return together([standing, plan_bumped(session, _bumped(query))])


def _value(session: Session, query: TaylorQuery) -> TaylorQuery:
    valued = value_scope(session, query)
    value_bumped(session, _bumped(query))
    return valued


def run_taylor(session: Session, query: TaylorQuery) -> Taylor:
    """Full and expanded P&L of every group; raises `NotValued` where the lake lacks either valuation."""
    fields = {n: getattr(query, n) for n in Scope.model_fields}
    asked = RiskQuery(**fields, measures=(query.measure,), levels=(query.level,))
    (measured,) = asked_measures(asked)
    inputs = open_inputs(session.cache, asked)
    if inputs.valuation_set.market_date != query.as_of or inputs.valuation_set.valuation_date != query.as_of:
        raise BadInput("Sensitivities are those of one day's own market; ask without a market date of another day.")
    selection = open_selection(inputs, asked)
    scenarios = load_scenario_set(session.lake, inputs.valuation_set.scenario_set_id)
    bumped_inputs, bumped_query = bumps_inputs(session, _bumped(query))
    bumped_selection = open_selection(bumped_inputs, bumped_query)
    bumped = load_scenario_set(session.lake, bumped_inputs.valuation_set.scenario_set_id)

    sizes = bump_sizes(bumped.index, bumped.base, bumped.definition)
    there = [f for f in bumped.index.row if f in scenarios.index.row]
    of, to = [bumped.index.row[f] for f in there], [scenarios.index.row[f] for f in there]
    moves: Floats = np.asarray(scenarios.levels[to, :]) - scenarios.base[to][:, None]
    n = selection.groups.n
    rows: list[dict[str, Any]] = []
    covered = np.asarray(coverage_columns(selection)["covered"])
    portion = max(1, PNL_BYTES // (8 * max(inputs.n_scenarios, bumped_inputs.n_scenarios)))
    for first in range(0, n + 1, portion):
        count = min(portion, n + 1 - first)
        full = np.array(scenario_pnl(selection, first, count)[1])
        pnl = np.array(scenario_pnl(bumped_selection, first, count)[1])
        up, down = pnl[:, 0::2][:, of], pnl[:, 1::2][:, of]
        expanded = product(np.ascontiguousarray(0.5 * (up - down) / sizes[of]), moves)
        if query.order == "second":
            expanded += product(np.ascontiguousarray((up + down) / sizes[of] ** 2), 0.5 * moves**2)
        values = [measured.values(np.ascontiguousarray(p), scenarios.weights) for p in (full, expanded)]
        for i in range(count):
            rows.append(
                _row(full[i], expanded[i], [float(v[i]) for v in values], scenarios.labels, covered[first + i] > 0)
            )
    coverage = total_coverage(coverage_columns(selection))
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    total = table.slice(n)
    named = beside(selection.groups.keys, table.slice(0, n))
    notes = lacking_notes(coverage, selection, "no value")
    if missing := sorted(set(scenarios.index.row) - set(there)):
        factors = counted(len(missing), "risk factor")
        notes.append(
            f"No sensitivity to {factors} of the scenarios, the first {missing[0]}: what they move is unexplained."
        )
    order = (
        "first and second order of each risk factor, no cross terms" if query.order == "second" else "first order alone"
    )
    notes.append(f"Expansion of {order}; sensitivities by stored bumps.")
    receipt = {**name_inputs(inputs), "bumps": name_inputs(bumped_inputs), "currency": query.currency}
    return Taylor(query, named if query.by else total, total, coverage, receipt, tuple(notes))


NOISE = 1e-9  # of the P&L: what is smaller is rounding of the differences that the sensitivities are

_SCHEMA = pa.schema(
    [
        *((name, pa.float64()) for name in ("full", "taylor", "unexplained", "largest_gap")),
        ("scenario", pa.string()),
        ("correlation", pa.float64()),
    ]
)


def _row(full: Floats, expanded: Floats, values: list[float], labels: tuple[str, ...], covered: bool) -> dict[str, Any]:
    if not covered:
        return dict.fromkeys(_SCHEMA.names)
    gap = np.abs(full - expanded)
    gap[gap <= NOISE * np.abs(full).max()] = 0.0
    worst = int(np.argmax(gap))  # the first of equal ones
    spread = [np.sqrt(np.add.reduce((p - np.add.reduce(p) / len(p)) ** 2)) for p in (full, expanded)]
    both = np.add.reduce((full - np.add.reduce(full) / len(full)) * (expanded - np.add.reduce(expanded) / len(full)))
    return {
        "full": values[0],
        "taylor": values[1],
        "unexplained": 0.0 if abs(values[0] - values[1]) <= NOISE * abs(values[0]) else values[0] - values[1],
        "largest_gap": float(gap[worst]),
        "scenario": labels[worst],
        "correlation": float(both / (spread[0] * spread[1])) if spread[0] > 0 and spread[1] > 0 else None,
    }


def _price(session: Session, query: TaylorQuery) -> float:
    """Of both P&L, and of every group's expansion: a product of its sensitivities and the moves, twice for the second order."""
    size = size_of(session, query)
    factors = session.lake.count("risk_factors")
    a_group = 2 * size.scenarios * (factors * SECONDS_A_SUM + SECONDS_A_RANK)
    return price_of_greeks(session, _bumped(query)) + size.seconds(passes=2, a_group=a_group)


TAYLOR = Question(TaylorQuery, run_taylor, {"as_of": "2020-03-16", "by": ["desk"]}, _plan, _value, price=_price)
