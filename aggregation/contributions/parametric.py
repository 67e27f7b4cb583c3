"""Parametric VaR and ES of a book: sensitivities by revaluation, covariance of the scenario set's moves, delta-normal and delta-gamma.

A second opinion beside the historical figure of the same book under the same scenarios, fast to read by factor. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from scipy.special import ndtri

from aggregation.answer import Answer
from aggregation.contributions import sensitivities
from aggregation.contributions.sensitivities import Bumps, Gamma, Sensitivities
from aggregation.kernels.delta_normal import (
    DeltaNormal,
    Expansion,
    Moments,
    cornish_fisher,
    delta_gamma_moments,
    delta_normal,
    normal_multiplier,
)
from aggregation.kernels.estimators import exact_level
from aggregation.kernels.fixed_sums import difference
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.question import Plan, Question
from aggregation.receipts import make_receipt
from aggregation.reduce.selection import Selection, open_selection
from aggregation.risk.query import answer
from aggregation.session import Session
from aggregation.types import Coverage, OneFigure, RiskQuery, Scope
from lake.arrays import Floats
from lake.canonical import digest
from lake.errors import BadInput, counted, validated
from lake.tables import Lake
from scenarios.store import load_scenario_set
from scenarios.types import ScenarioSet
from valuation.costs import Costs, afford, record
from valuation.types import ValuationFailure, failures_in_words


class ParametricQuery(OneFigure, Scope):
    """Whose risk, by sensitivities: one measure at one level."""

    gamma: Gamma = Field("diagonal", description="second derivatives: none, diagonal, or full with all cross gammas")
    mean: Literal["removed", "zero"] = Field(
        "removed", description="mean of the moves in the covariance: removed, or taken as zero"
    )

    def risk(self) -> RiskQuery:
        """The same question to the scenarios themselves."""
        given = self.model_dump(exclude={"measure", "level", "gamma", "mean"})
        return validated(RiskQuery, {**given, "measures": (self.measure,), "levels": (self.level,)}, "query")


@dataclass(frozen=True)
class ParametricResult(Answer):
    """Delta-normal figures, losses positive, in the reporting currency.

    rows : a row a group: the `by` columns, positions, covered, failed, status, base_value, component (adds up), share,
    standalone, diversification, marginal, incremental. factors : a row a risk factor, the greatest first: move, sd, delta,
    gamma, component (adds up). total : the whole, with mean, skewness and excess kurtosis of delta-gamma, its Cornish-Fisher
    VaR and whether that is within its domain, and `historical`, the figure of the scenarios themselves.
    """

    query: ParametricQuery
    rows: pa.Table
    total: Mapping[str, Any]
    factors: pa.Table
    coverage: Coverage
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


def plan_parametric(lake: Lake, query: ParametricQuery, *, cache: VectorCache | None = None) -> dict[str, int]:
    """How much would be valued; values nothing."""
    return _about(_open(lake, query, cache or VectorCache(lake))[2])


def _about(bumps: Bumps) -> dict[str, int]:
    return {
        "contracts": len(bumps.contracts),
        "risk_factors": len(bumps.factors),
        "states": int(bumps.levels.shape[1]),
        "valuations": bumps.valuations,
    }


def run_parametric(
    lake: Lake, query: ParametricQuery, *, cache: VectorCache | None = None, most: int | None = None
) -> ParametricResult:
    """Values the book in bumped markets, in this process, and reads VaR or ES from the sensitivities.

    Raises `BadInput` for names that are not there and when more than `most` valuations would be needed, `NotFound` as
    `run_query` does.
    """
    selection, scenario_set, bumps = _open(lake, query, cache or VectorCache(lake))
    if most is not None and bumps.valuations > most:
        raise BadInput(
            f"This takes {bumps.valuations:,} valuations, more than the {most:,} that are done while you wait. Filter the book, ask for "
            "fewer gammas, or use the command line."
        )
    afford(Costs(lake), bumps.work)
    found = sensitivities.run_bumps(selection, scenario_set, query.currency, bumps, query.gamma)
    record(lake, [(bumps.work, found.cost_us)])
    moves = sensitivities.scenario_moves(scenario_set, bumps.factors, bumps.rows)
    sigma = sensitivities.covariance(moves, scenario_set.weights, zero_mean=query.mean == "zero")
    level = float(exact_level(query.level))
    normal = delta_normal(found.delta, sigma, normal_multiplier(query.measure, level))
    historical = answer(selection.inputs, query.risk()).total[asked_measures(query.risk())[0].name]
    moments = expansion = None
    if found.gamma is not None:
        moments = delta_gamma_moments(found.delta.sum(axis=0), found.gamma, sigma)
        expansion = cornish_fisher(moments, -float(ndtri(level))) if query.measure == "var" else None
    rows, coverage = _rows(selection, found, normal)
    total = {
        "base_value": float(found.base.sum()),
        "component": float(normal.value),
        "sd": normal.sd,
        "standalone_sum": float(normal.standalone.sum()),
        "diversification": float(difference(normal.standalone.sum(), normal.value)),
        "historical": historical,
        **_curvature(moments, expansion),
    }
    if not coverage.covered:
        total = dict.fromkeys(total)  # there is no figure, and it is not zero
    factors = _factors(bumps, found, normal, sigma)
    return ParametricResult(
        query=query,
        rows=rows,
        total=total,
        factors=factors,
        coverage=coverage,
        failures=found.failures,
        receipt=make_receipt(
            "parametric",
            query.model_dump(mode="json"),
            selection.inputs,
            digest(
                found.delta.tobytes(),
                sigma.tobytes(),
                normal.component.tobytes(),
                b"" if found.gamma is None else found.gamma.tobytes(),
            ),
            currency=query.currency,
            levels=[query.level],
            bumps={"relative": 1e-3, "absolute": 1e-4},
        ),
        notes=_notes(query, bumps, found, expansion),
    )


def _open(lake: Lake, query: ParametricQuery, cache: VectorCache) -> tuple[Selection, ScenarioSet, Bumps]:
    try:
        exact_level(query.level)
    except ValueError as error:
        raise BadInput(str(error)) from None
    risk = query.risk()
    inputs = open_inputs(cache, risk)
    selection = open_selection(inputs, risk)
    scenario_set = load_scenario_set(lake, inputs.valuation_set.scenario_set_id)
    return selection, scenario_set, sensitivities.plan_bumps(selection, scenario_set, query.currency, query.gamma)


def _rows(selection: Selection, found: Sensitivities, normal: DeltaNormal) -> tuple[pa.Table, Coverage]:
    book, groups = selection.inputs.book, selection.groups
    valued = np.repeat(found.covered, np.diff(book.starts))
    kept = groups.group >= 0
    positions = np.bincount(groups.group[kept], minlength=groups.n)
    covered = np.bincount(groups.group[kept & valued], minlength=groups.n)
    status = np.where(covered == 0, "invalid", np.where(covered < positions, "partial", "complete"))
    figures = {
        "base_value": found.base,
        "component": normal.component,
        "share": _over(normal.component, np.full(groups.n, normal.value)),
        "standalone": normal.standalone,
        "diversification": difference(normal.standalone, normal.component, abs(normal.value)),
        "marginal": _over(normal.component, found.base),
        "incremental": normal.incremental,
    }
    none = covered == 0
    rows = pa.table(
        {
            **dict(zip(groups.keys.column_names, groups.keys.columns, strict=True)),
            "positions": pa.array(positions),
            "covered": pa.array(covered),
            "failed": pa.array(positions - covered),
            "status": pa.array(status),
            **{name: pa.array(v, mask=none | np.isnan(v)) for name, v in figures.items()},
        }
    )
    n, n_covered = int(positions.sum()), int(covered.sum())
    return rows, Coverage(n, n_covered, n - n_covered, 0)


def _over(value: Floats, by: Floats) -> Floats:
    return np.asarray(np.divide(value, by, out=np.full(len(value), np.nan), where=by != 0.0))


def _factors(bumps: Bumps, found: Sensitivities, normal: DeltaNormal, sigma: Floats) -> pa.Table:
    """A row a factor, the greatest component first."""
    gamma = None if found.gamma is None else np.diag(found.gamma)
    order = np.argsort(-normal.factor_component, kind="stable").tolist()
    delta = found.delta.sum(axis=0)
    schema = pa.schema(
        [("risk_factor", pa.string()), ("risk_class", pa.string()), ("move", pa.string())]
        + [(c, pa.float64()) for c in ("sd", "delta", "gamma", "component")]
    )
    rows = [
        {
            "risk_factor": bumps.factors[i].risk_factor_id,
            "risk_class": bumps.factors[i].risk_class.value,
            "move": "absolute" if sensitivities.moves_absolutely(bumps.factors[i]) else "relative",
            "sd": float(np.sqrt(sigma[i, i])),
            "delta": float(delta[i]),
            "gamma": None if gamma is None else float(gamma[i]),
            "component": float(normal.factor_component[i]),
        }
        for i in order
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _curvature(moments: Moments | None, expansion: Expansion | None) -> dict[str, Any]:
    return {
        "mean": None if moments is None else moments.mean,
        "skewness": None if moments is None else moments.skewness,
        "excess_kurtosis": None if moments is None else moments.excess_kurtosis,
        "cornish_fisher": None if expansion is None else -expansion.value,
        "cornish_fisher_valid": None if expansion is None else expansion.valid,
    }


def _notes(query: ParametricQuery, bumps: Bumps, found: Sensitivities, expansion: Expansion | None) -> tuple[str, ...]:
    counts = (
        f"{counted(bumps.valuations, 'valuation')} of {counted(len(bumps.contracts), 'contract')}, "
        f"{counted(len(bumps.factors), 'risk factor')}"
    )
    notes = [
        f"Parametric: normal moves with the covariance of the scenario set, mean {query.mean}; {counts}; nothing was stored."
    ]
    if found.failures:
        why = failures_in_words((f.reason, f.message, 1) for f in found.failures)
        notes.append(
            f"{counted(len(found.failures), 'contract has no value and is', 'contracts have no value and are')} in no figure. {why}"
        )
    if query.gamma == "diagonal":
        notes.append("Cross gammas are left out; ask for full gammas to have them.")
    if query.measure == "es" and query.gamma != "none":
        notes.append("Cornish-Fisher gives a quantile: there is none for es.")
    if expansion is not None and not expansion.valid:
        notes.append(
            "The Cornish-Fisher figure is outside its domain: with this skewness and kurtosis the expansion is no quantile. "
            "Use the historical figure."
        )
    return tuple(notes)


def _plan(session: Session, query: ParametricQuery) -> Plan:
    found = plan_scope(session, query)
    if not found.ready:
        return found
    _, _, bumps = _open(session.lake, query, session.cache)
    return replace(found, cost=Costs(session.lake).of(bumps.work), about={**found.about, **_about(bumps)})


def _answer(session: Session, query: ParametricQuery) -> ParametricResult:
    return run_parametric(session.lake, query, cache=session.cache, most=session.most_valuations)


PARAMETRIC = Question(
    ParametricQuery,
    _answer,
    {"as_of": "2020-03-16", "by": ["desk"], "where": ["desk=European Equities"], "gamma": "none"},
    _plan,
    value_scope,
)
