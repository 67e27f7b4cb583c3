"""Full revaluation held to its Taylor expansion: how much of the risk of any node its sensitivities explain.

    P&L(s) ~ sum_f dV/df x_f + 1/2 sum_f d2V/df2 x_f^2 + sum_(f<g) d2V/dfdg x_f x_g        with the moves x = f(s) - f

and the derivatives of `contributions.sensitivities`; whatever is of third order is in the unexplained part. Both are in the reporting
currency, each scenario at its own exchange rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.contributions.sensitivities import (
    MOST_PAIRS,
    Derivatives,
    Gamma,
    open_bumped,
    plan_bumped,
    price_of_bumped,
    value_bumped,
)
from aggregation.kernels.fixed_sums import product
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import open_inputs
from aggregation.price import size_of
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_inputs
from aggregation.reduce.coverage import coverage_columns, lacking_notes, total_coverage
from aggregation.reduce.selection import SECONDS_A_SUM, open_selection, scenario_pnl
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.stress.greeks import beside
from aggregation.types import Coverage, OneFigure, RiskQuery, Scope
from lake.arrays import Floats, Ints
from lake.errors import BadInput, counted
from scenarios.store import load_scenario_set


class TaylorQuery(OneFigure, Scope):
    """Whose full revaluation is held to its sensitivities, by one measure at one level."""

    gamma: Gamma = Field(
        "full", description="second order: none, diagonal, or full with cross gammas of pairs of factors"
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


def _plan(session: Session, query: TaylorQuery) -> Plan:
    return together([plan_scope(session, query), plan_bumped(session, query, query.gamma)])


def _value(session: Session, query: TaylorQuery) -> TaylorQuery:
    value_bumped(session, query, query.gamma)
    return value_scope(session, query)


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
    bumped = open_bumped(session, query, query.gamma, simulated_curve=False)
    here, there = bumped.scenarios.index, scenarios.index.row
    shocked = [f in there for f in here.row]
    moves = np.zeros((len(shocked), scenarios.n_scenarios))
    to = [there[f] for f in here.row if f in there]
    moves[shocked] = np.asarray(scenarios.levels[to, :]) - scenarios.base[to][:, None]
    n = selection.groups.n
    rows: list[dict[str, Any]] = []
    covered = np.asarray(coverage_columns(selection)["covered"])
    for first, derivatives in bumped.portions(0, n + 1):
        count = len(derivatives.base)
        full = np.array(scenario_pnl(selection, first, count)[1])
        expanded = _expanded(derivatives, bumped.pairs, moves, query.gamma)
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
    if missing := sorted(set(there) - set(here.row)):
        factors = counted(len(missing), "risk factor")
        notes.append(
            f"No sensitivity to {factors} of the scenarios, the first {missing[0]}: what they move is unexplained."
        )
    notes += [
        f"Expansion of {_ORDER[query.gamma].format(counted(len(bumped.pairs), 'pair'))}. {bumped.sizes_in_words}",
        *bumped.notes,
    ]
    receipt = {**name_inputs(inputs), "bumps": bumped.receipt, "currency": query.currency}
    return Taylor(query, named if query.by else total, total, coverage, receipt, tuple(notes))


_ORDER = {
    "none": "first order alone",
    "diagonal": "first and second order of each risk factor, no cross terms",
    "full": "first and second order, with the cross terms of {}",
}
_PAIRS = 256  # at a time: their moves in every scenario are made for it


def _expanded(found: Derivatives, pairs: Ints, moves: Floats, gamma: Gamma) -> Floats:
    """P&L (n_groups, n_scenarios) of the expansion for moves (n_factors, n_scenarios)."""
    pnl = product(np.ascontiguousarray(found.first), moves)
    if gamma != "none":
        pnl += product(np.ascontiguousarray(found.second), 0.5 * moves**2)
    for k in range(0, len(pairs), _PAIRS):
        i, j = pairs[k : k + _PAIRS].T
        pnl += product(np.ascontiguousarray(found.cross[:, k : k + _PAIRS]), moves[i] * moves[j])
    return pnl


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
    """Of both P&L, and of every group's expansion: a product of its sensitivities and the moves for each order."""
    size = size_of(session, query)
    terms = 2 * session.lake.count("risk_factors") + (MOST_PAIRS if query.gamma == "full" else 0)
    a_group = size.scenarios * (terms * SECONDS_A_SUM + 2 * SECONDS_A_RANK)
    return price_of_bumped(session, query, query.gamma) + size.seconds(passes=2, a_group=a_group)


TAYLOR = Question(TaylorQuery, run_taylor, {"as_of": "2020-03-16", "by": ["desk"]}, _plan, _value, price=_price)
