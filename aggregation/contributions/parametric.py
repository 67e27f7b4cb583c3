"""Parametric VaR and ES: sensitivities and the covariance of moves, delta-normal and delta-gamma.

Of the book, with sensitivities by stored bumps, a second opinion beside its historical figure under the same scenarios; or of the
sensitivities of other systems that were brought in. The covariance is that of the scenario set's moves, or one that was brought in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from scipy.special import ndtri

from aggregation.answer import Answer
from aggregation.contributions.exposures import (
    Exposures,
    MatrixMoves,
    ScenarioMoves,
    brought_in,
    covariance_digest,
    market_of,
    own_exposures,
    own_under_matrix,
    read_nodes,
    sensitivities_digest,
)
from aggregation.contributions.sensitivities import (
    Bumped,
    Gamma,
    open_bumped,
    plan_bumped,
    price_of_bumped,
    value_bumped,
)
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
from aggregation.kernels.fixed_sums import difference, row_dots
from aggregation.kernels.quadratic_form import MOST_FACTORS, Tail, exact_tail, quadratic_form
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.alignment import COVERED
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.valuation_choice import standard_for
from aggregation.price import SECONDS_A_QUESTION, size_of
from aggregation.question import Plan, Question, together
from aggregation.receipts import make_receipt, name_code, receipt_of
from aggregation.reduce.coverage import failed_contracts
from aggregation.reduce.grouping import Groups
from aggregation.reduce.selection import open_selection
from aggregation.risk.query import answer
from aggregation.session import Session
from aggregation.types import Coverage, OneFigure, RiskQuery, Scope
from lake.arrays import Bools, Floats, Ints
from lake.canonical import digest
from lake.errors import BadInput, Issue, NotFound, counted, validated
from lake.tables import Lake
from lake.words import clause
from scenarios.market.covariances import StoredCovariance, load_covariance
from scenarios.store import find_scenario_set, load_scenario_set, load_stored
from valuation.books.sensitivity_layouts import CROSS_GAMMA
from valuation.types import ValuationFailure, failures_in_words

# a name of a file or folder would do too
SourceName = Annotated[str, Field(pattern=r"^[\w.:-]{1,80}$")]

_SECONDS_A_SENSITIVITY = 2e-5  # of a core, to put one that was brought in where it belongs


class ParametricQuery(OneFigure, Scope):
    """Whose risk, by sensitivities: one measure at one level."""

    gamma: Gamma = Field("diagonal", description="second derivatives: none, diagonal, or full with cross gammas")
    mean: Literal["removed", "zero"] = Field(
        "removed", description="mean of the moves in the covariance: removed, or taken as zero"
    )
    sensitivities: tuple[SourceName, ...] = Field(
        (), max_length=16, description="sources of sensitivities that were brought in, in place of those of the book"
    )
    covariance: str | None = Field(
        None, description="covariance matrix that was brought in, in place of that of the scenario set's moves"
    )

    def risk(self) -> RiskQuery:
        """The same question to the scenarios themselves."""
        given = self.model_dump(exclude={"measure", "level", "gamma", "mean", "sensitivities", "covariance"})
        return validated(RiskQuery, {**given, "measures": (self.measure,), "levels": (self.level,)}, "query")


@dataclass(frozen=True)
class ParametricResult(Answer):
    """Delta-normal figures and the exact delta-gamma one, losses positive, in the reporting currency.

    rows : a row a group: the `by` columns, positions, covered, failed, status, base_value, component (adds up), share,
    standalone, diversification, marginal, incremental, and delta_gamma (adds up). factors : a row a risk factor, the greatest
    first: move, sd, delta, gamma, component and delta_gamma (each adds up). classes : a row a risk class: component, standalone,
    delta_gamma. total : the whole, with mean, skewness and excess kurtosis of delta-gamma, its exact figure `delta_gamma`, its
    Cornish-Fisher VaR and whether that is within its domain, and `historical`, the figure of the scenarios themselves, which sensitivities
    of other systems have not; `unused_KIND` is the share of the amounts of that kind that is in no figure. unused : what that
    is, by factor, with the reason. Of sensitivities that were brought in a position is a node of their file, and it is covered when all
    its sensitivities are in the figures.
    """

    query: ParametricQuery
    rows: pa.Table
    total: Mapping[str, Any]
    factors: pa.Table
    classes: pa.Table
    unused: pa.Table
    coverage: Coverage
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


def run_parametric(session: Session, query: ParametricQuery) -> ParametricResult:
    """Reads VaR or ES from sensitivities: of the book, by stored bumps, or of those that were brought in.

    Raises `BadInput` for names that are not there, `NotValued` where the lake lacks the bumps, `NotFound` as `run_query` does and for
    sources and matrices that are not there.
    """
    return _of_others(session.lake, query, session.cache) if query.sensitivities else _of_book(session, query)


def _of_book(session: Session, query: ParametricQuery) -> ParametricResult:
    _check_level(query)
    lake, risk = session.lake, query.risk()
    stored = None if query.covariance is None else load_covariance(lake, query.covariance)
    inputs = open_inputs(session.cache, risk)
    seal = inputs.valuation_set
    scenario_set = load_scenario_set(lake, seal.scenario_set_id)
    open_selection(inputs, risk)  # what is named wrongly is told before anything is valued
    bumped = open_bumped(
        session, query.model_copy(update={"market_date": seal.market_date}), query.gamma, simulated_curve=False
    )
    zero_mean = query.mean == "zero"
    exposures, base = own_exposures(bumped, query.gamma, scenario_set, seal.shocked_classes, zero_mean=zero_mean)
    named: dict[str, Any] = {}
    if stored is not None:
        exposures = own_under_matrix(exposures, MatrixMoves(stored, scenario_set.index, scenario_set.base))
        named = {"covariance": _named_matrix(stored, lake.version("covariances"))}
    figures = _figures(query, exposures)
    historical = answer(inputs, risk).total[asked_measures(risk)[0].name]
    selection = bumped.selection
    groups, counts = selection.groups, selection.counts[:-1]
    positions, covered = counts.sum(axis=1), counts[:, COVERED]
    rows, coverage = _rows(groups, exposures, figures, positions, covered, covered == 0, base)
    total = {
        "base_value": float(base.sum()),
        **_total(query, exposures, figures),
        "historical": historical,
        **_curvature(figures.moments, figures.expansion),
    }
    receipt = make_receipt(
        "parametric",
        query.model_dump(mode="json"),
        inputs,
        _digest(exposures, figures),
        currency=query.currency,
        levels=[query.level],
        bumps=bumped.receipt,
        **named,
    )
    if named:
        receipt["table_versions"] = {**receipt["table_versions"], "covariances": lake.version("covariances")}
    failures = tuple(f for f, _ in failed_contracts(selection))
    notes = [*_notes(query, bumped, failures, stored), *_notes_of(query, exposures, figures)]
    return _result(query, rows, total, exposures, figures, coverage, failures, receipt, notes)


_READ = (
    *("sensitivities", "sensitivity_factors", "covariances", "hierarchies"),
    *("standards", "scenario_sets", "risk_factors", "market_data"),
)


def _of_others(lake: Lake, query: ParametricQuery, cache: VectorCache) -> ParametricResult:
    for field in ("positions_date", "valuation_set", "branch"):
        if getattr(query, field) is not None:
            raise BadInput(
                f"Sensitivities that were brought in rest on no {field.replace('_', ' ')} of this lake; leave {field} out.",
                issues=(Issue(field, "has no meaning with sensitivities", str(getattr(query, field))),),
            )
    _check_level(query)
    snapshot = lake.snapshot(*_READ)
    nodes = read_nodes(snapshot, query.sensitivities, query.as_of)
    market_date = query.market_date or query.as_of
    moves: MatrixMoves | ScenarioMoves
    named: dict[str, Any]
    if query.covariance is not None:
        stored = load_covariance(snapshot, query.covariance)
        moves = MatrixMoves(stored, *market_of(snapshot, market_date))
        named = {"covariance": _named_matrix(stored, snapshot.versions["covariances"])}
    else:
        name = query.scenario_set or standard_for(cache.standards(snapshot), query).scenario_set
        if name is None:
            raise NotFound(
                "There is no covariance: the lake has no standard scenario set. Name a scenario set (scenario_set), or a matrix that was "
                "brought in (covariance)."
            )
        scenario_set = load_stored(lake, find_scenario_set(snapshot, name, market_date))
        moves = ScenarioMoves(scenario_set, zero_mean=query.mean == "zero")
        named = {
            "scenario_set_id": scenario_set.scenario_set_id,
            "scenario_set_name": scenario_set.name,
            "scenario_count": scenario_set.n_scenarios,
            "horizon_days": scenario_set.horizon_days,
            "method": scenario_set.method,
            "market_date": str(scenario_set.market_date),
            "dropped_days": dict(scenario_set.dropped),
        }
    mapping = snapshot.read("sensitivity_factors", among={"as_of_date": [query.as_of]})
    exposures, groups, lost = brought_in(nodes, mapping, moves, query.currency, query.gamma, query.by, query.where)
    figures = _figures(query, exposures)
    kept = groups.group >= 0
    positions = np.bincount(groups.group[kept], minlength=groups.n)
    covered = np.bincount(groups.group[kept & (lost == 0)], minlength=groups.n)
    none = ~exposures.delta.any(axis=1) & ~np.isin(np.arange(groups.n), exposures.group)
    rows, coverage = _rows(groups, exposures, figures, positions, covered, none, None)
    total = {
        "base_value": None,
        **_total(query, exposures, figures),
        "historical": None,
        **_curvature(figures.moments, figures.expansion),
    }
    named["sensitivities"] = [
        {
            "source": source,
            "rows": int(pc.sum(pc.equal(nodes.rows["source"], source)).as_py()),
            "files": sorted(set(nodes.rows.filter(pc.equal(nodes.rows["source"], source))["file"].to_pylist())),
        }
        for source in query.sensitivities
    ]
    named["sensitivities_digest"] = sensitivities_digest(snapshot, query.as_of)
    receipt = receipt_of(
        "parametric",
        query.model_dump(mode="json"),
        _digest(exposures, figures),
        {**named, "table_versions": snapshot.named, **name_code()},
        currency=query.currency,
        levels=[query.level],
    )
    what = named_matrix(moves.stored) if isinstance(moves, MatrixMoves) else f"of the moves in {moves.set.name}"
    basis = f"Parametric: sensitivities of {', '.join(query.sensitivities)} as they were brought in, none of this lake's own"
    notes = [
        f"{basis}; normal moves, covariance {what}.",
        *_notes_of(query, exposures, figures),
    ]
    if query.gamma == "diagonal" and pc.any(pc.equal(nodes.rows["kind"], CROSS_GAMMA)).as_py():
        notes.append(_NO_CROSS)
    return _result(query, rows, total, exposures, figures, coverage, (), receipt, notes)


_NO_CROSS = "Cross gammas are left out; ask for full gammas to have them."


def named_matrix(stored: StoredCovariance) -> str:
    """A matrix that was brought in, in words."""
    repaired = (
        ""
        if stored.repaired is None
        else f", repaired to the nearest one, no correlation by more than {stored.repaired:.3g}"
    )
    return (
        f"{stored.name} (brought in, {counted(stored.horizon_days, 'day')}, least eigenvalue of its correlations "
        f"{stored.least_eigenvalue:.3g}{repaired})"
    )


def _named_matrix(stored: StoredCovariance, version: int) -> dict[str, Any]:
    return {
        "name": stored.name,
        "file": stored.file,
        "version": version,
        "horizon_days": stored.horizon_days,
        "least_eigenvalue": stored.least_eigenvalue,
        "repaired": stored.repaired,
        "covariance_digest": covariance_digest(stored),
    }


@dataclass(frozen=True)
class _Approximations:
    """tail, by_group, by_factor, by_class : the exact delta-gamma figure and its components; None where there is none."""

    normal: DeltaNormal
    moments: Moments | None = None
    expansion: Expansion | None = None
    tail: Tail | None = None
    by_group: Floats | None = None
    by_factor: Floats | None = None


def _figures(query: ParametricQuery, e: Exposures) -> _Approximations:
    level = float(exact_level(query.level))
    normal = delta_normal(e.delta, e.sigma, normal_multiplier(query.measure, level))
    if query.gamma == "none":
        return _Approximations(normal)
    whole, gamma = e.delta.sum(axis=0), e.gamma
    moments = delta_gamma_moments(whole, gamma, e.sigma)
    expansion = cornish_fisher(moments, -float(ndtri(level))) if query.measure == "var" else None
    form = quadratic_form(whole, gamma, e.sigma)
    if form is None:
        return _Approximations(normal, moments, expansion)
    tail = exact_tail(form, query.measure, level)
    by_group = -row_dots(e.delta, tail.mean[None])
    np.add.at(by_group, e.group, -e.value * tail.second[e.first, e.second] / 2)
    by_factor = -(whole * tail.mean + row_dots(gamma, tail.second) / 2)
    return _Approximations(normal, moments, expansion, tail, by_group, by_factor)


def _total(query: ParametricQuery, e: Exposures, figures: _Approximations) -> dict[str, Any]:
    normal = figures.normal
    unused: dict[str, float] = {}
    for kind, share in zip(e.unused["kind"].to_pylist(), e.unused["share"].to_pylist(), strict=True):
        name = f"unused_{kind.replace(' ', '_')}"
        unused[name] = unused.get(name, 0.0) + (share or 0.0)
    return {
        "component": float(normal.value),
        "sd": normal.sd,
        "standalone_sum": float(normal.standalone.sum()),
        "diversification": float(difference(normal.standalone.sum(), normal.value)),
        "delta_gamma": None if figures.tail is None else figures.tail.value,
        **unused,
    }


def _digest(e: Exposures, figures: _Approximations) -> str:
    gamma = b"" if figures.moments is None else e.gamma.tobytes()
    return digest(e.delta.tobytes(), e.sigma.tobytes(), figures.normal.component.tobytes(), gamma)


def _result(
    query: ParametricQuery,
    rows: pa.Table,
    total: dict[str, Any],
    e: Exposures,
    figures: _Approximations,
    coverage: Coverage,
    failures: tuple[ValuationFailure, ...],
    receipt: Mapping[str, Any],
    notes: list[str],
) -> ParametricResult:
    if not rows.num_rows or rows["component"].null_count == rows.num_rows:
        total = dict.fromkeys(total)  # there is no figure, and it is not zero
    factors, classes = _factors(query, e, figures), _classes(query, e, figures)
    return ParametricResult(query, rows, total, factors, classes, e.unused, coverage, failures, receipt, tuple(notes))


def _check_level(query: ParametricQuery) -> None:
    try:
        exact_level(query.level)
    except ValueError as error:
        raise BadInput(str(error)) from None


def _rows(
    groups: Groups,
    e: Exposures,
    figures: _Approximations,
    positions: Ints,
    covered: Ints,
    none: Bools,
    base: Floats | None,
) -> tuple[pa.Table, Coverage]:
    normal, missing = figures.normal, np.full(groups.n, np.nan)
    status = np.where(none, "invalid", np.where(covered < positions, "partial", "complete"))
    values = {
        "base_value": missing if base is None else base,
        "component": normal.component,
        "share": _over(normal.component, np.full(groups.n, normal.value)),
        "standalone": normal.standalone,
        "diversification": difference(normal.standalone, normal.component, abs(normal.value)),
        "marginal": missing if base is None else _over(normal.component, base),
        "incremental": normal.incremental,
        "delta_gamma": missing if figures.by_group is None else figures.by_group,
    }
    rows = pa.table(
        {
            **dict(zip(groups.keys.column_names, groups.keys.columns, strict=True)),
            "positions": pa.array(positions),
            "covered": pa.array(covered),
            "failed": pa.array(positions - covered),
            "status": pa.array(status),
            **{name: pa.array(v, mask=none | np.isnan(v)) for name, v in values.items()},
        }
    )
    n, n_covered = int(positions.sum()), int(covered.sum())
    return rows, Coverage(n, n_covered, n - n_covered, 0)


def _over(value: Floats, by: Floats) -> Floats:
    return np.asarray(np.divide(value, by, out=np.full(len(value), np.nan), where=by != 0.0))


_FIGURES_OF = ("sd", "delta", "gamma", "component", "delta_gamma")


def _factors(query: ParametricQuery, e: Exposures, figures: _Approximations) -> pa.Table:
    """A row a factor, the greatest component first."""
    gamma = None if query.gamma == "none" else np.diag(e.gamma)
    order = np.argsort(-figures.normal.factor_component, kind="stable").tolist()
    delta = e.delta.sum(axis=0)
    schema = pa.schema(
        [("risk_factor", pa.string()), ("risk_class", pa.string()), ("move", pa.string())]
        + [(c, pa.float64()) for c in _FIGURES_OF]
    )
    rows = [
        {
            "risk_factor": e.factors[i].name,
            "risk_class": e.factors[i].risk_class,
            "move": e.factors[i].move,
            "sd": float(np.sqrt(e.sigma[i, i])),
            "delta": float(delta[i]),
            "gamma": None if gamma is None else float(gamma[i]),
            "component": float(figures.normal.factor_component[i]),
            "delta_gamma": None if figures.by_factor is None else float(figures.by_factor[i]),
        }
        for i in order
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _classes(query: ParametricQuery, e: Exposures, figures: _Approximations) -> pa.Table:
    """A row a risk class, sorted, those of none last: components add up, standalone figures do not."""
    of = [f.risk_class for f in e.factors]
    names = sorted(set(of), key=lambda c: (c is None, c or ""))
    inside = np.array([[c == name for c in of] for name in names]).reshape(len(names), len(of))
    level = float(exact_level(query.level))
    alone = delta_normal(inside * e.delta.sum(axis=0), e.sigma, normal_multiplier(query.measure, level))
    curved = None if figures.by_factor is None else row_dots(inside.astype(np.float64), figures.by_factor[None])
    return pa.table(
        {
            "risk_class": pa.array(names, pa.string()),
            "component": alone.component,
            "standalone": alone.standalone,
            "delta_gamma": pa.nulls(len(names), pa.float64()) if curved is None else curved,
        }
    )


def _curvature(moments: Moments | None, expansion: Expansion | None) -> dict[str, Any]:
    return {
        "mean": None if moments is None else moments.mean,
        "skewness": None if moments is None else moments.skewness,
        "excess_kurtosis": None if moments is None else moments.excess_kurtosis,
        "cornish_fisher": None if expansion is None else -expansion.value,
        "cornish_fisher_valid": None if expansion is None else expansion.valid,
    }


def _notes(
    query: ParametricQuery, bumped: Bumped, failures: Sequence[ValuationFailure], stored: StoredCovariance | None
) -> list[str]:
    what = (
        f"the covariance of the scenario set, mean {query.mean}"
        if stored is None
        else f"the covariance {named_matrix(stored)}"
    )
    notes = [f"Parametric: normal moves with {what}. {bumped.sizes_in_words}"]
    if failures:
        why = failures_in_words((f.reason, f.message, 1) for f in failures)
        notes.append(
            f"{counted(len(failures), 'contract has no value and is', 'contracts have no value and are')} in no figure. {why}"
        )
    if query.gamma == "diagonal":
        notes.append(_NO_CROSS)
    return [*notes, *bumped.notes]


def _notes_of(query: ParametricQuery, e: Exposures, figures: _Approximations) -> list[str]:
    notes = []
    if e.unused.num_rows:
        shares = {k.removeprefix("unused_"): v for k, v in _total(query, e, figures).items() if k.startswith("unused_")}
        told = ", ".join(f"{v:.3g} of {k.replace('_', ' ')}" for k, v in shares.items())
        first = e.unused.slice(0, 1).to_pylist()[0]
        unknown = e.unused["share"].null_count
        notes.append(
            f"In no figure, as a share of the amounts: {told}"
            + (
                f", and {counted(unknown, 'part')} in a currency without a rate, of which there is no share"
                if unknown
                else ""
            )
            + f". The largest: {first['kind']} to {first['factor']}, {clause(first['reason'])}. All of it is in `unused`."
        )
    if query.measure == "es" and query.gamma != "none":
        notes.append("Cornish-Fisher gives a quantile: there is none for es.")
    if figures.moments is not None and figures.tail is None:
        notes.append(f"More than {MOST_FACTORS:,} factors move by themselves: there is no exact delta-gamma figure.")
    if figures.expansion is not None and not figures.expansion.valid:
        notes.append(
            "The Cornish-Fisher figure is outside its domain: with this skewness and kurtosis the expansion is no quantile. "
            "Use the historical figure."
        )
    return notes


def _plan(session: Session, query: ParametricQuery) -> Plan:
    if query.sensitivities:
        return Plan()
    found = plan_scope(session, query)
    return replace(together([found, plan_bumped(session, _in_market_of(found, query), query.gamma)]), about=found.about)


def _in_market_of(plan: Plan, query: ParametricQuery) -> ParametricQuery:
    ((_, _, valuation),) = plan.valuations
    return query.model_copy(update={"market_date": valuation.scenario_set.market_date})


def _value(session: Session, query: ParametricQuery) -> ParametricQuery:
    if query.sensitivities:
        return query
    value_bumped(session, _in_market_of(plan_scope(session, query), query), query.gamma)
    return value_scope(session, query)


def _price(session: Session, query: ParametricQuery) -> float:
    if query.sensitivities:
        return SECONDS_A_QUESTION + _SECONDS_A_SENSITIVITY * session.lake.count("sensitivities")
    return price_of_bumped(session, query, query.gamma) + size_of(session, query).seconds()


PARAMETRIC = Question(
    ParametricQuery,
    run_parametric,
    {"as_of": "2020-03-16", "by": ["desk"], "where": ["desk=European Equities"], "gamma": "none"},
    _plan,
    _value,
    price=_price,
)
