"""CVA under scenarios, chosen or stored: what it is in each, and VaR and ES of its change over all of them.

Credit curves are those of the scenario in every case: CVA is computed anew from them on the exposures as they are. The market that drives
exposures is taken in one of three ways, which the answer names:

    revalued        the book is valued again on paths that set out from the market of each scenario, with the same draws
    sensitivities   a first-order change for every driver of the paths: what a small move of it does to CVA, times its move in the scenario
    fixed           exposures stay as they are
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.exposure.cva import (
    grouping,
    notes_of_cva,
    plan_cva,
    price_of_cva,
    receipt_of_cva,
    set_figures,
    value_cva,
)
from aggregation.exposure.cva_query import CvaScope, OpenedCva, open_cva
from aggregation.exposure.default_curves import DefaultCurves, market_of_set
from aggregation.kernels import cva
from aggregation.kernels.fixed_sums import ROUNDING
from aggregation.measures import AskedMeasure, asked_measures
from aggregation.question import Question
from aggregation.session import Session
from aggregation.types import EstimatorName, Label, Level, RiskQuery
from lake.arrays import Floats
from lake.errors import BadInput, NotFound, counted
from lake.tables import Snapshot
from lake.words import first_of, sentences
from scenarios.store import find_scenario_set, load_stored, scenario_summaries
from scenarios.stress.generate import StressDefinition, generate
from scenarios.stress.language import MAX_TEXT
from scenarios.types import ScenarioSet

Way = Literal["revalued", "sensitivities", "fixed"]
_MOST_ROWS = 1_000_000  # of groups and scenarios
_MOST_REVALUED = 50
_ONE_WORD = "_.:-"


class CvaScenariosQuery(CvaScope):
    """Whose CVA under which scenarios."""

    scenario: Label = Field(
        min_length=1,
        max_length=MAX_TEXT,
        description="scenario in the stress language, or the name or id of a stored set of that day",
    )
    exposures: Way = Field(
        "fixed",
        description="how the market of a scenario moves exposures: revalued, on paths of its own; sensitivities, to first order; fixed",
    )
    measures: tuple[Literal["var", "es"], ...] = Field(
        ("var", "es"), min_length=1, description="measures of the change of CVA: var, es"
    )
    levels: tuple[Level, ...] = Field(
        ("0.99",), min_length=1, max_length=8, description="confidence levels, fractions such as 0.99"
    )
    estimator: EstimatorName = Field("order_statistic", description="how a quantile is read from the scenarios")


@dataclass(frozen=True)
class CvaScenarios(Answer):
    """Unilateral CVA, a cost, in the reporting currency; a rise of it is a loss.

    rows : a row a group: the `by` columns, netting_sets, status, reason, cva, and the measures of its change over the scenarios, losses
    positive. scenarios : a row a group and scenario: cva there and change, the sum of credit (curves of the scenario on the exposures
    as they
    are), market (exposures of the scenario with the curves as they are) and both (what they do together). total : the same as rows for all.
    """

    query: CvaScenariosQuery
    rows: pa.Table
    total: Mapping[str, Any]
    scenarios: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Moves:
    """Change of CVA of every netting set in every scenario, (n_sets, n_scenarios): of credit, of the market, of both together; base :
    (n_sets,)."""

    base: Floats
    credit: Floats
    market: Floats
    both: Floats


def run_cva_scenarios(session: Session, query: CvaScenariosQuery) -> CvaScenarios:
    """CVA under the scenarios; values nothing that is stored.

    Raises `NotValued` where values on the paths are missing, `BadInput` for dimensions that split netting sets and for scenarios of
    another day.
    """
    opened = open_cva(session, query)
    scenarios = scenarios_of(opened.exposure.held.snapshot, query)
    if query.exposures == "revalued" and scenarios.n_scenarios > _MOST_REVALUED:
        raise BadInput(
            f"{scenarios.n_scenarios:,} scenarios were asked for with exposures revalued, which values the book in each; "
            f"at most {_MOST_REVALUED}. "
            "Take exposures=sensitivities or fixed."
        )
    groups, of_set, whole = grouping(opened)
    if not whole.all():
        raise BadInput(
            f"{', '.join(query.by)} split netting sets, whose CVA under a scenario is of all their trades together. Group by netting_set, "
            "counterparty or legal_entity."
        )
    if (groups.n + 1) * scenarios.n_scenarios > _MOST_ROWS:
        raise BadInput(f"{groups.n:,} groups in {scenarios.n_scenarios:,} scenarios are too many rows; group by less.")
    curves = opened.curves_in(market_of_set(scenarios))
    moves = _moves(opened, query, scenarios, curves)
    reasons = [curves.reason(c) for c in opened.sets.counterparties]
    weights = None if scenarios.weights is None else np.array(scenarios.weights)
    return _answer(opened, query, scenarios, moves, of_set, groups.keys, reasons, weights)


def scenarios_of(snapshot: Snapshot, query: CvaScenariosQuery) -> ScenarioSet:
    """The stored set, or the one that the text makes on the market of the day."""
    pinned = snapshot.lake.snapshot()
    text = query.scenario
    named = [r for r in scenario_summaries(pinned) if text in (r.name, r.scenario_set_id)]
    if named or all(c.isalnum() or c in _ONE_WORD for c in text):
        row = find_scenario_set(pinned, text, query.as_of if any(r.market_date == query.as_of for r in named) else None)
        if row.market_date != query.as_of:
            raise NotFound(
                f"Scenario set {row.name} is of {row.market_date}, and CVA of {query.as_of} is asked about. Make the set "
                f"on that day, or give "
                "the scenario as a text."
            )
        return load_stored(pinned, row)
    return generate(pinned, StressDefinition(market_date=query.as_of, text=text), "cva")


def set_weights(curves: DefaultCurves, counterparties: Sequence[str | None]) -> dict[str, Floats]:
    """What an expected exposure counts for CVA at each date in each state, (n_dates, n_states), by counterparty."""
    found = {}
    for name in sorted({c for c in counterparties if c is not None}):
        curve = curves.curves.get(name)
        if curve is not None:
            found[name] = curve.loss * cva.date_weights(cva.default_probabilities(curve.logs))
    return found


def priced_sets(profile: Floats, weights: Mapping[str, Floats], counterparties: Sequence[str | None], n: int) -> Floats:
    """CVA of every netting set in every state, (n_sets, n_states); 0 without a curve."""
    out = np.zeros((len(profile), n))
    for s, name in enumerate(counterparties):
        if name is not None and name in weights:
            out[s] = cva.weighted_sum(weights[name], profile[s])
    return out


def _moves(opened: OpenedCva, query: CvaScenariosQuery, scenarios: ScenarioSet, curves: DefaultCurves) -> _Moves:
    names = opened.sets.counterparties
    weights = set_weights(curves, names)
    at_base = {name: w[:, :1] for name, w in weights.items()}
    profile = set_figures(opened).positive
    states = priced_sets(profile, weights, names, 1 + scenarios.n_scenarios)
    base, credit = states[:, 0], states[:, 1:] - states[:, :1]
    nothing = np.zeros(credit.shape)
    if query.exposures == "fixed":
        return _Moves(base, credit, nothing, nothing)
    from aggregation.exposure.moved_market import market_profiles, market_slopes  # noqa: PLC0415 - with the pricers

    if query.exposures == "sensitivities":
        return _Moves(base, credit, market_slopes(opened, scenarios, at_base, base), nothing)
    market, together = nothing.copy(), nothing.copy()
    for i, moved in enumerate(market_profiles(opened, scenarios)):
        market[:, i] = priced_sets(moved, at_base, names, 1)[:, 0] - base
        here = {name: w[:, i + 1 : i + 2] for name, w in weights.items()}
        together[:, i] = priced_sets(moved, here, names, 1)[:, 0] - base - credit[:, i] - market[:, i]
    return _Moves(base, credit, market, together)


def _answer(
    opened: OpenedCva,
    query: CvaScenariosQuery,
    scenarios: ScenarioSet,
    moves: _Moves,
    of_set: np.ndarray[Any, np.dtype[np.int32]],
    keys: pa.Table,
    reasons: Sequence[str],
    weights: Floats | None,
) -> CvaScenarios:
    n = keys.num_rows if query.by else 0
    asked = asked_measures(
        RiskQuery(as_of=query.as_of, measures=query.measures, levels=query.levels, estimator=query.estimator)
    )
    lacks = np.array([bool(r) for r in reasons], np.bool_)
    rows, by_scenario = [], []
    for g in [*range(n), -1]:
        mine = np.flatnonzero(of_set == g) if g >= 0 else np.arange(len(of_set))
        kept = mine[~lacks[mine]]
        parts = {name: _column_sums(getattr(moves, name)[kept]) for name in ("credit", "market", "both")}
        change = parts["credit"] + parts["market"] + parts["both"]
        base = math.fsum(moves.base[kept])
        row: dict[str, Any] = dict(keys.slice(g, 1).to_pylist()[0]) if g >= 0 else {}
        row["netting_sets"] = len(mine)
        row["status"] = "invalid" if not len(kept) else "partial" if len(kept) < len(mine) else "complete"
        row["reason"] = sentences(sorted({reasons[s] for s in mine.tolist() if reasons[s]})) or None
        row["cva"] = base if len(kept) else None
        row.update(_measured(asked, change, weights, bool(len(kept)), float(np.abs(moves.base[kept]).sum())))
        rows.append(row)
        if not len(kept) or (g < 0 and n):
            continue
        group = {k: row[k] for k in keys.column_names} if g >= 0 else {}
        by_scenario += [
            {
                **group,
                "scenario": label,
                "cva": base + float(change[i]),
                "change": float(change[i]),
                **{name: float(values[i]) for name, values in parts.items()},
            }
            for i, label in enumerate(scenarios.labels)
        ]
    return CvaScenarios(
        query,
        pa.Table.from_pylist(rows[:-1] if query.by else rows),
        rows[-1],
        _scenario_table(by_scenario, keys.column_names if query.by else []),
        {**receipt_of_cva(opened), "scenarios": _named(scenarios), "exposures": query.exposures},
        (*notes_of_cva(opened), *_notes(opened, query, scenarios)),
    )


def _scenario_table(rows: Sequence[Mapping[str, Any]], by: Sequence[str]) -> pa.Table:
    texts, numbers = (*by, "scenario"), ("cva", "change", "credit", "market", "both")
    columns = {t: pa.array([r[t] for r in rows], pa.string()) for t in texts}
    return pa.table({**columns, **{m: pa.array([r[m] for r in rows], pa.float64()) for m in numbers}})


def _column_sums(values: Floats) -> Floats:
    """Sums over rows, in their order."""
    total = np.zeros(values.shape[1])
    for row in values:
        total += row
    return total


def _measured(
    asked: Sequence[AskedMeasure], change: Floats, weights: Floats | None, there: bool, size: float
) -> dict[str, float | None]:
    """The measures of a loss `change`, (n_scenarios,); what is rounding of figures as large as `size` is 0."""
    pnl = np.where(np.abs(change) <= ROUNDING * size, 0.0, -change)[None, :]
    return {a.name: float(a.values(pnl, weights)[0]) if there else None for a in asked}


def _named(scenarios: ScenarioSet) -> dict[str, Any]:
    stored = {"scenario_set_id": scenarios.scenario_set_id} if scenarios.scenario_set_id else {}
    return {
        "scenario_set_name": scenarios.name,
        **stored,
        "method": scenarios.method,
        "count": scenarios.n_scenarios,
        "market_data_version": scenarios.market_data_version,
    }


def _notes(opened: OpenedCva, query: CvaScenariosQuery, scenarios: ScenarioSet) -> list[str]:
    said = {
        "revalued": "The book is valued again on paths from the market of each scenario, with the same draws.",
        "sensitivities": "The market moves exposures to first order, by the drivers of the paths; credit curves are "
        "those of the scenarios.",
        "fixed": "Exposures stay as they are: credit curves alone move CVA. Take exposures=sensitivities or revalued for the market.",
    }
    notes = [said[query.exposures]]
    if query.wrong_way:
        notes.append("The weights of wrong-way risk stay those of the base in every scenario.")
    moved = {f.risk_factor_id for f, m in zip(scenarios.index.factors, scenarios.shocked, strict=True) if m}
    curves = {c.curve for c in opened.curves.curves.values()}
    still = sorted(
        c
        for c in curves
        if scenarios.index.has_curve(c) and not any(f.risk_factor_id in moved for f in scenarios.index.curve(c))
    )
    if still:
        notes.append(
            f"{counted(len(still), 'credit curve is', 'credit curves are')} not moved by any scenario: {first_of(still)}."
        )
    return notes


def _price(session: Session, query: CvaScenariosQuery) -> float:
    many = {"fixed": 1.0, "sensitivities": 30.0, "revalued": 20.0}[query.exposures]
    return many * price_of_cva(session, query)


CVA_SCENARIOS = Question(
    CvaScenariosQuery,
    run_cva_scenarios,
    {
        "as_of": "2020-03-16",
        "scenario": "credit +100bp",
        "by": ["counterparty"],
        "grid": ["1M", "3M", "6M", "1Y", "2Y", "5Y"],
        "paths": 200,
    },
    plan_cva,
    value_cva,
    price=_price,
)
