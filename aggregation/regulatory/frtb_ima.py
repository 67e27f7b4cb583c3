"""QUESTIONS "frtb-ima": IMCC and SES of the internal models approach, by any dimension, with contributions of trades (MAR33).

    IMCC = 0.5 IMCC(C) + 0.5 sum_i IMCC(C_i),   IMCC(.) = LA(ES_RS) max(LA(ES_FC) / LA(ES_RC), 1)
    LA(ES) = sqrt( sum_j (ES(P,j) sqrt((LH_j - LH_{j-1}) / 10))^2 )

Each ES is read from the stored vectors of its cut of the risk factors. All of it is homogeneous of degree one in the
positions, so it splits
exactly: a position contributes the slope of IMCC by each ES times its own P&L in the scenarios of that tail (Euler).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.book.changes import changed_book
from aggregation.kernels import frtb_ima as kernel
from aggregation.kernels.estimators import exact_level
from aggregation.kernels.euler import exact_split, group_sums, position_parts
from aggregation.kernels.tail import es_weights, expected_shortfall
from aggregation.opened.alignment import align
from aggregation.opened.inputs import Inputs
from aggregation.price import SECONDS_A_QUESTION, size_of
from aggregation.question import Question
from aggregation.receipts import name_inputs, valuation_set_digest
from aggregation.reduce.coverage import coverage_columns, lacking_notes, show_groups, total_coverage
from aggregation.reduce.product import by_rows
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.reduce.unit_parts import unit_parts
from aggregation.regulatory.ima_query import (
    ImaQuery,
    Made,
    open_cuts,
    open_made,
    open_whole,
    plan_ima,
    rules_of,
    value_ima,
)
from aggregation.regulatory.ima_sets import ALL, KINDS, PARTS, Cut, Kind
from aggregation.risk.query import PNL_BYTES
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.types import Coverage, as_model
from aggregation.whatif.request import ChangeRequest, changes_of
from lake.arrays import Floats
from lake.errors import counted
from lake.progress import allowance
from lake.words import first_of
from scenarios.types import RiskClass

_ESTIMATOR = "order_statistic"
_SHORT = {"full_current": "ES_FC", "reduced_current": "ES_RC", "reduced_stressed": "ES_RS"}
_SHOWN = 3


class FrtbImaQuery(ChangeRequest, ImaQuery):
    """Whose internal-model capital, by which rules, whether it is split, and trades to remove, scale and add first."""

    contributions: bool = Field(
        True, description="also what each group contributes to the IMCC of all; the contributions add up to it"
    )


@dataclass(frozen=True)
class FrtbIma(Answer):
    """rows : a row a group: the `by` columns, coverage, `imcc`, `imcc_all` and `imcc_<class>` of which it is made, `stress_ratio`,
    `ses`, `capital` (IMCC and SES together, of one day) and `contribution` to the IMCC of all; losses positive, in the reporting currency.
    total : the same of all groups together. before : with changes, the total without them; `rows` and `total` are then of the changed
    book. cascade : of the total, a row a part, set and liquidity horizon: how many factors are shocked, their ES, the root that it counts
    with, the scenario set. non_modellable : a row a unit of non-modellable factors: its factors, horizon, ES and stressed capital alone,
    or the reason why it has none. factors : how many risk factors are modellable, are not, and are in the reduced set. stress : first and
    last day of the period, and whether it was searched. reduced_share : ES_RC over ES_FC of the total."""

    query: FrtbImaQuery
    regime: str
    rows: pa.Table
    total: Mapping[str, Any]
    cascade: pa.Table
    non_modellable: pa.Table
    factors: Mapping[str, int]
    stress: Mapping[str, Any]
    reduced_share: float | None
    before: Mapping[str, Any] | None
    coverage: Coverage
    grid: float | None
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reduced:
    """ES of every group and, last, of all, (n_groups + 1,), by cut; the P&L of all, (1, n_scenarios), and the selections they were read
    from."""

    made: Made
    selections: Mapping[str, Selection]
    es: Mapping[str, Floats]
    whole: Mapping[str, Floats]
    level: Fraction

    def of(self, cut: Cut | None) -> Floats:
        """Zeros for a cut that shocks nothing."""
        n = len(next(iter(self.es.values()))) if self.es else 1
        return np.zeros(n) if cut is None else self.es[cut.name]

    def stack(self, kind: Kind, part: str) -> Floats:
        """ES by liquidity horizon, (n_groups + 1, n_horizons)."""
        lengths = self.made.rules.parameters.horizons.lengths
        return np.stack([self.of(self.made.cuts.places[kind, part, d]) for d in lengths], axis=1)


@dataclass(frozen=True)
class Figures:
    """(n_groups + 1,) each, the total last. adjusted : liquidity-adjusted ES by kind and part. parts : stressed ES by part."""

    adjusted: Mapping[tuple[Kind, str], Floats]
    parts: Mapping[str, Floats]
    ratio: Floats
    imcc: Floats
    ses: Floats


def reduce_cuts(made: Made, inputs: Mapping[str, Inputs], query: ImaQuery) -> Reduced:
    """The ES of every cut by group; groups in portions, so that P&L of many of them fits in memory."""
    level = exact_level(made.rules.parameters.expected_shortfall.level)
    es_of = functools.partial(expected_shortfall, level=level, weights=None, estimator=_ESTIMATOR)
    selections, found, whole = {}, {}, {}
    for name, of in inputs.items():
        selection = selections[name] = open_selection(of, query.scope(name))
        groups, n = selection.groups.n, of.n_scenarios
        first = 0 if query.by else groups
        allowance().spend(SECONDS_A_RANK * n * (groups + 1 - first))
        portion = max(1, PNL_BYTES // (8 * n))
        values = []
        for at in range(first, groups + 1, portion):
            pnl = scenario_pnl(selection, at, min(portion, groups + 1 - at))[1]
            values.append(by_rows(es_of, pnl, None))
        found[name], whole[name] = np.concatenate(values), pnl[-1:]
    return Reduced(made, selections, found, whole, level)


def figures_of(reduced: Reduced, idiosyncratic: frozenset[str]) -> Figures:
    """IMCC and SES of every group."""
    p = reduced.made.rules.parameters
    roots = kernel.cascade_roots(p.horizons.lengths, p.expected_shortfall.base_days)
    adjusted = {(k, part): kernel.liquidity_adjusted(reduced.stack(k, part), roots) for k in KINDS for part in PARTS}
    floor = p.expected_shortfall.ratio_floor
    parts = {
        part: kernel.stressed(
            adjusted["reduced_stressed", part], adjusted["full_current", part], adjusted["reduced_current", part], floor
        )
        for part in PARTS
    }
    by_class = np.stack([parts[part] for part in PARTS if part != ALL], axis=1)
    ratio = kernel.stress_ratio(adjusted["full_current", ALL], adjusted["reduced_current", ALL], floor)
    return Figures(
        adjusted,
        parts,
        ratio,
        kernel.imcc(parts[ALL], by_class, p.expected_shortfall.unconstrained_share),
        _ses(reduced, idiosyncratic),
    )


def unit_ses(reduced: Reduced, unit: str) -> Floats:
    """Stressed capital of a unit of non-modellable factors alone, by group: its ES over max(its liquidity horizon, the
    least) (MAR33.16)."""
    p = reduced.made.rules.parameters
    days = max(unit_horizon(reduced.made, unit), p.stressed_capital.least_days)
    root = np.sqrt(days / p.expected_shortfall.base_days)
    return np.asarray(np.maximum(reduced.of(reduced.made.cuts.alone[unit]), 0.0) * root)


def unit_horizon(made: Made, unit: str) -> int:
    """The longest of its factors'."""
    return max(made.horizons[f].days for f in made.factors.units[unit])


def _kind_of_unit(made: Made, unit: str, idiosyncratic: frozenset[str]) -> str:
    members = made.factors.units[unit]
    if not idiosyncratic.issuperset(members):
        return "other"
    of = made.horizons[members[0]].risk_class
    return of.value if of in (RiskClass.CREDIT, RiskClass.EQUITY) else "other"


def _ses(reduced: Reduced, idiosyncratic: frozenset[str]) -> Floats:
    made = reduced.made
    p = made.rules.parameters.stressed_capital
    n = len(reduced.of(None))
    of_kind: dict[str, list[Floats]] = {"credit": [], "equity": [], "other": []}
    for unit in made.factors.units:
        of_kind[_kind_of_unit(made, unit, idiosyncratic)].append(unit_ses(reduced, unit))
    credit, equity, other = (np.stack(v, axis=1) if v else np.zeros((n, 0)) for v in of_kind.values())
    return kernel.stressed_capital(credit, equity, other, p.correlation, p.formula)


def contributions(reduced: Reduced, figures: Figures) -> tuple[Floats, float]:
    """What each position contributes to the IMCC of all, (n_positions,), whose sum is exact; and the grid that they are multiples of."""
    slopes = cut_slopes(reduced, figures)
    first = next(iter(reduced.selections.values()))
    unit: Floats = np.zeros(len(first.inputs.alignment.row))
    for name in sorted(slopes):
        selection = reduced.selections[name]
        weights = es_weights(reduced.whole[name], reduced.level, None, _ESTIMATOR)
        unit = unit + unit_parts(selection, slopes[name] * weights)[0]
    book = first.inputs.book
    split = exact_split(position_parts(book.starts, book.quantity, first.groups.group, unit), float(figures.imcc[-1]))
    return split.parts, split.grid


def cut_slopes(reduced: Reduced, figures: Figures) -> dict[str, float]:
    """Derivative of the IMCC of all by the ES of each cut; those that it does not depend on are left out."""
    p = reduced.made.rules.parameters
    es, lengths = p.expected_shortfall, p.horizons.lengths
    roots = kernel.cascade_roots(lengths, es.base_days)
    slopes: dict[str, float] = {}
    for part in PARTS:
        share = es.unconstrained_share if part == ALL else 1.0 - es.unconstrained_share
        fc, rc, rs = (float(figures.adjusted[kind, part][-1]) for kind in KINDS)
        by_rs, by_fc, by_rc = kernel.stressed_slopes(rs, fc, rc, es.ratio_floor)
        for kind, outer in zip(KINDS, (by_fc, by_rc, by_rs), strict=True):
            inner = kernel.liquidity_adjusted_slopes(reduced.stack(kind, part)[-1], roots)
            for days, slope in zip(lengths, (share * outer * inner).tolist(), strict=True):
                cut = reduced.made.cuts.places[kind, part, days]
                if cut is not None and slope != 0.0:
                    slopes[cut.name] = slopes.get(cut.name, 0.0) + slope
    return slopes


def run_ima(
    session: Session, query: ImaQuery, changes: ChangeRequest | None = None
) -> tuple[Reduced, Figures, Selection]:
    """ES, IMCC and SES of every group, and the selection under the whole current set; raises `NotValued`.

    changes : made to the book first. Added contracts are found among those that the cuts hold; others are missing.
    """
    made = open_made(session, query)
    whole = open_whole(session, query, made)
    inputs = open_cuts(session, query, made, whole)
    if changes is not None:
        found = changes_of(changes, whole)
        book = changed_book(whole.book, found, f"what-if-{found.digest()}")

        def of_book(before: Inputs) -> Inputs:
            return dataclasses.replace(before, book=book, alignment=align(book, before.vectors))

        whole, inputs = of_book(whole), {name: of_book(i) for name, i in inputs.items()}
    selection = open_selection(whole, query.scope(made.current.name))
    reduced = reduce_cuts(made, inputs, query)
    if not reduced.es:  # no factor is shocked anywhere: nothing can be lost
        n = selection.groups.n + 1 if query.by else 1
        reduced = Reduced(made, {made.current.name: selection}, {made.current.name: np.zeros(n)}, {}, reduced.level)
    return reduced, figures_of(reduced, frozenset(query.idiosyncratic)), selection


def _answer(session: Session, query: FrtbImaQuery) -> FrtbIma:
    session = session.as_known(query.as_known)
    changes = as_model(ChangeRequest, query) if query.add or query.remove or query.scale or query.replace else None
    reduced, figures, selection = run_ima(session, query, changes)
    made, groups = reduced.made, selection.groups
    columns = _shown_figures(figures)
    show_groups(selection, query.scope(), [*columns, "contribution"])
    grid = None
    if query.contributions:
        parts, grid = contributions(reduced, figures) if np.isfinite(figures.imcc[-1]) else (None, None)
        of_groups = np.full(groups.n, np.nan) if parts is None else group_sums(parts, groups.group, groups.n)
        whole = np.array(
            [
                np.nan
                if parts is None
                else float(group_sums(parts, np.where(groups.group >= 0, 0, -1).astype(np.int32), 1)[0])
            ]
        )
        columns["contribution"] = np.concatenate([of_groups if query.by else of_groups[:0], whole])
    covered = coverage_columns(selection)
    first = 0 if query.by else groups.n
    held = selection.counts[first:, 0] > 0
    table = {
        **{name: column.slice(first) for name, column in covered.items()},
        **{name: _nullable(np.where(held, values, np.nan)) for name, values in columns.items()},
    }
    total = {name: column[len(column) - 1].as_py() for name, column in table.items()}
    n = groups.n if query.by else 1
    keys = {name: groups.keys[name] for name in query.by}
    rows = pa.table({**keys, **{name: column.slice(0, n) for name, column in table.items()}})
    fc, rc = (float(figures.adjusted[k, ALL][-1]) for k in ("full_current", "reduced_current"))
    return FrtbIma(
        query=query,
        regime=made.rules.regime.label,
        rows=rows,
        total=total,
        cascade=_cascade(reduced),
        non_modellable=_units(reduced, query),
        factors=_counts(made),
        stress=_period(made),
        reduced_share=None if fc == 0.0 else rc / fc,
        before=None if changes is None else _total_of(run_ima(session, query)[1]),
        coverage=total_coverage(covered),
        grid=grid,
        receipt=_receipt(reduced, selection),
        notes=_notes(reduced, figures, selection, query),
    )


def _shown_figures(figures: Figures) -> dict[str, Floats]:
    return {
        "imcc": figures.imcc,
        **{f"imcc_{part}": figures.parts[part] for part in PARTS},
        "stress_ratio": figures.ratio,
        "ses": figures.ses,
        "capital": figures.imcc + figures.ses,
    }


def _total_of(figures: Figures) -> dict[str, float | None]:
    """The figures of all; None for what there is not."""
    last = {name: float(values[-1]) for name, values in _shown_figures(figures).items()}
    return {name: value if np.isfinite(value) else None for name, value in last.items()}


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))


def _cascade(reduced: Reduced) -> pa.Table:
    """The ES that the total is made of."""
    made, p = reduced.made, reduced.made.rules.parameters
    roots = kernel.cascade_roots(p.horizons.lengths, p.expected_shortfall.base_days)
    rows = []
    for part in PARTS:
        for kind in KINDS:
            for days, root in zip(p.horizons.lengths, roots.tolist(), strict=True):
                cut = made.cuts.places[kind, part, days]
                ids = () if cut is None or cut.recipe is None else cut.recipe.parameters["factors"]
                shocked = int(made.current.shocked.sum()) if cut is not None and cut.recipe is None else len(ids)
                rows.append(
                    {
                        "part": part,
                        "set": _SHORT[kind],
                        "liquidity_horizon": days,
                        "factors": shocked,
                        "es": float(reduced.of(cut)[-1]),
                        "root": root,
                        "scenario_set": None if cut is None else cut.name,
                    }
                )
    schema = {"part": pa.string(), "set": pa.string(), "liquidity_horizon": pa.int64(), "factors": pa.int64()}
    more = {"es": pa.float64(), "root": pa.float64(), "scenario_set": pa.string()}
    return pa.Table.from_pylist(rows, schema=pa.schema([*schema.items(), *more.items()]))


def _units(reduced: Reduced, query: FrtbImaQuery) -> pa.Table:
    made = reduced.made
    rows = []
    for unit, members in made.factors.units.items():
        lacking = made.cuts.alone[unit] is None
        rows.append(
            {
                "unit": unit,
                "factors": ", ".join(members),
                "risk_class": made.horizons[members[0]].risk_class.value,
                "liquidity_horizon": unit_horizon(made, unit),
                "es": None if lacking else float(reduced.of(made.cuts.alone[unit])[-1]),
                "ses": None if lacking else float(unit_ses(reduced, unit)[-1]),
                "counted_as": _kind_of_unit(made, unit, frozenset(query.idiosyncratic)),
                "reason": made.tests[members[0]].reason
                + ("; it has no move in the stress period, and no stressed capital" if lacking else ""),
            }
        )
    texts = {"unit": pa.string(), "factors": pa.string(), "risk_class": pa.string(), "liquidity_horizon": pa.int64()}
    more = {"es": pa.float64(), "ses": pa.float64(), "counted_as": pa.string(), "reason": pa.string()}
    return pa.Table.from_pylist(rows, schema=pa.schema([*texts.items(), *more.items()]))


def _counts(made: Made) -> dict[str, int]:
    cut = made.cuts.places["reduced_stressed", ALL, made.rules.parameters.horizons.lengths[0]]
    reduced = (
        0 if cut is None else len(cut.recipe.parameters["factors"]) if cut.recipe else int(made.current.shocked.sum())
    )
    moved = {
        f.risk_factor_id for f, s in zip(made.current.index.factors, made.current.shocked.tolist(), strict=True) if s
    }
    return {
        "modellable": len(made.factors.modellable & moved),
        "non_modellable": sum(map(len, made.factors.units.values())),
        "reduced_set": reduced,
    }


def _period(made: Made) -> dict[str, Any]:
    period = made.rules.period
    assert period is not None
    return {"first": str(period.first), "last": str(period.last), "searched": period.searched}


def _receipt(reduced: Reduced, selection: Selection) -> dict[str, Any]:
    """All sets by name and digest."""
    lake = selection.inputs.snapshot.lake
    cuts = {
        name: {
            "valuation_set_id": s.inputs.valuation_set.valuation_set_id,
            "valuation_set_digest": valuation_set_digest(lake, s.inputs.valuation_set.valuation_set_id),
            "valuation_date": str(s.inputs.valuation_set.valuation_date),
            "scenario_set_id": s.inputs.valuation_set.scenario_set_id,
            "scenario_set_name": s.inputs.valuation_set.scenario_set_name,
        }
        for name, s in reduced.selections.items()
    }
    named = {
        **name_inputs(selection.inputs),
        **reduced.made.rules.regime.named,
        "stress_scenario_set_id": reduced.made.stress.scenario_set_id,
        "stress_period": _period(reduced.made),
        "cuts": cuts,
    }
    # rates of the real-price test and classifications are read at the versions of these tables
    versions = {n: v for n, v in lake.snapshot().named.items() if n in ("real_prices", "classifications")}
    return {**named, "table_versions": {**named["table_versions"], **versions}}


def _notes(reduced: Reduced, figures: Figures, selection: Selection, query: FrtbImaQuery) -> tuple[str, ...]:
    made, regime = reduced.made, reduced.made.rules.regime
    p, period = made.rules.parameters, made.rules.period
    assert period is not None
    notes = [f"By {regime.title} ({regime.label}).", *regime.notes(query.as_of)]
    found = " the worst window found" if period.searched else " as given"
    notes.append(
        f"Stress period {period.first} to {period.last},{found}; {counted(made.stress.n_scenarios, 'move')} over "
        f"{p.expected_shortfall.base_days} days in it, {made.current.n_scenarios} in the current window. "
        "They overlap, and hold the information of "
        "about a tenth as many."
    )
    if period.searched and period.first > p.expected_shortfall.search_from:
        notes.append(
            f"The rule searches back to {p.expected_shortfall.search_from} at least; the history of the book may begin later."
        )
    assumed = sum(t.test is None and f in made.factors.modellable for f, t in made.tests.items())
    if assumed:
        notes.append(
            f"{counted(assumed, 'risk factor')} without any real price in the lake count as modellable (untested=modellable): not capital."
        )
    open_ones = sorted(f for f, h in made.horizons.items() if not h.classified)
    if open_ones:
        first = first_of(open_ones, _SHOWN)
        has = "is not classified and has" if len(open_ones) == 1 else "are not classified and have"
        notes.append(f"{counted(len(open_ones), 'risk factor')} {has} the longest horizon of its kind: {first}.")
    fc, rc = (float(figures.adjusted[k, ALL][-1]) for k in ("full_current", "reduced_current"))
    if fc > 0.0 and rc / fc < p.expected_shortfall.reduced_share:
        notes.append(
            f"The reduced set explains {rc / fc:.1%} of the full ES on this day; the rule asks for "
            f"{p.expected_shortfall.reduced_share:.0%} on average over "
            f"{p.expected_shortfall.reduced_weeks} weeks."
        )
    for part in PARTS:
        if np.isnan(figures.parts[part][-1]):
            notes.append(
                f"{part}: the reduced set has no risk and the full set has: there is no IMCC. Widen the reduced set."
            )
    lacking = [u for u, c in made.cuts.alone.items() if c is None]
    if lacking:
        notes.append(
            f"SES is partial: {counted(len(lacking), 'unit')} of non-modellable factors have no move in the stress period and no figure, "
            f"{first_of(lacking, _SHOWN)}; the rule asks for the maximum loss there."
        )
    whole = int(selection.counts[-1, 0])
    fewer = min((int(s.counts[-1, 0]) for s in reduced.selections.values()), default=whole)
    if fewer < whole:
        notes.append(f"In some sets {whole - fewer:,} of {whole:,} positions have no value, and are not in their ES.")
    coverage = total_coverage(coverage_columns(selection))
    return (*notes, *lacking_notes(coverage, selection, "no value under the current moves"))


def _price(session: Session, query: ImaQuery) -> float:
    """Of as many passes over the P&L as there are cuts at the most, and their ranks."""
    rules = rules_of(session, query)
    size = size_of(session, query.scope(rules.current.name), scenarios=rules.scenarios)
    cuts = len(KINDS) * len(PARTS) * len(rules.parameters.horizons.lengths)
    return SECONDS_A_QUESTION + size.seconds(passes=cuts, a_group=cuts * SECONDS_A_RANK * rules.scenarios)


FRTB_IMA = Question(
    FrtbImaQuery,
    _answer,
    {
        "as_of": "2020-03-16",
        "by": ["desk"],
        "scenarios": 20,
        "stress": "2019-08-01:2019-08-30",
        "untested": "modellable",
    },
    plan_ima,
    value_ima,
    price=_price,
)
