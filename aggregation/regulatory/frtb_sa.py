"""Capital for market risk by the FRTB standardised approach, by any dimension, with exact contributions (MAR20 to MAR23).

Capital = sensitivities-based method + default risk charge + residual risk add-on, and RWA = 12.5 x capital. All of it is homogeneous of
degree one in the positions, so that by Euler's theorem each position contributes its quantity times the derivative of the capital: these
add up to the capital to the last bit, over any dimension.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.answer import Answer
from aggregation.kernels.euler import exact_split, group_sums, position_parts
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.question import Question
from aggregation.receipts import make_receipt
from aggregation.reduce.coverage import failed_contracts, lacking_notes, total_coverage
from aggregation.reduce.selection import Selection, open_selection
from aggregation.regulatory.frtb_sa_book import changed_inputs
from aggregation.regulatory.frtb_sa_contracts import ContractTerms, contracts_of, options_of
from aggregation.regulatory.frtb_sa_default import (
    DefaultRisk,
    ResidualRisk,
    UnitNotionals,
    UnitsInDefault,
    default_risk,
    residual_risk,
    unit_notionals,
    units_in_default,
)
from aggregation.regulatory.frtb_sa_factors import CLASSES, CURVATURE
from aggregation.regulatory.frtb_sa_holes import (
    CapitalCoverage,
    coverage_in_part,
    held_and_valued,
    lacking_rows,
    unmapped_rows,
)
from aggregation.regulatory.frtb_sa_query import (
    FrtbSaQuery,
    Prepared,
    plan_frtb,
    prepare,
    price_of_frtb,
    sealed_moves,
    value_frtb,
)
from aggregation.regulatory.frtb_sa_sbm import Method, SbmCapital, sbm_capital
from aggregation.regulatory.frtb_sa_sensitivities import (
    SensitivityMap,
    contracts_with_holes,
    outputs_of,
    plan_parts,
    unit_capital,
    unmapped_factors,
)
from aggregation.session import Session
from aggregation.types import RiskQuery
from lake.arrays import Bools, Floats
from lake.canonical import digest
from lake.errors import BadInput, counted
from lake.words import first_of
from scenarios.store import load_scenario_set
from scenarios.types import ScenarioSet
from valuation.types import ValuationSet

DRC, RRAO = "drc", "rrao"
MOST_STANDALONE = 500  # rows whose capital alone is shown
_BOOK = ("as_of", "positions_date", "market_date", "branch", "as_known", "by", "where", "currency")


@dataclass(frozen=True)
class FrtbSaCapital(Answer):
    """Amounts in the reporting currency. rows : a row a group: the `by` columns, coverage, what it contributes to each class and type
    (`girr_delta`, ...), to `sbm`, `drc`, `rrao`, to the `capital` and, times 12.5, to `rwa`; with `standalone` the capital of the row
    alone. total : the same of all, `lacking` (contracts without an amount of default or residual risk), `scenario` (the correlation
    scenario that decides), `sbm_medium`, `sbm_high`, `sbm_low`, and for a
    changed book `capital_before` and `incremental`. classes : a row a class and type: capital in each correlation scenario. buckets : a row
    a bucket: K_b and S_b in the scenario that decides, and the side of curvature. factors : a row a risk factor of the method: bucket,
    name, tenors in years, sensitivity, risk weight, weighted sensitivity or CVR up and down, contribution. obligors, default_buckets,
    residual : what the charges for default and residual risk are made of.
    lacking : of positions that are valued what is not in the capital, by instrument type and reason: contracts, positions, the first
    contract; `in_part` of a row of `rows` counts those positions, and its status is then partial. unmapped : a row a risk factor that the
    selection depends on and that is in no sensitivity: type, P&L of its move, reason. grid : what all contributions are multiples of.
    """

    query: FrtbSaQuery
    rows: pa.Table
    total: Mapping[str, Any]
    classes: pa.Table
    buckets: pa.Table
    factors: pa.Table
    obligors: pa.Table
    default_buckets: pa.Table
    residual: pa.Table
    lacking: pa.Table
    unmapped: pa.Table
    coverage: CapitalCoverage
    grid: float
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _MovedBook:
    """A book under the moves: what all its charges are read from."""

    prepared: Prepared
    query: FrtbSaQuery
    selection: Selection
    scenarios: ScenarioSet
    contracts: ContractTerms
    plan: SensitivityMap
    units: UnitsInDefault
    notionals: UnitNotionals
    rates: Floats

    def wanted(self, outputs: Floats) -> Floats:
        """The outputs without those of classes that were not asked for; raises `BadInput` for one that the regime has not."""
        out = outputs.copy()
        for i, cell in enumerate(self.plan.method.cells):
            at = list(self.plan.method.outputs(i))
            if cell.risk_class not in self.query.parts:
                out[..., at] = 0.0
            elif cell.risk_class in self.prepared.p.not_available and out[..., at].any():
                self.prepared.p.require(cell.risk_class, self.prepared.regime)
        return out

    def default(self, keep: Bools) -> DefaultRisk:
        """Default risk of positions."""
        book = self.selection.inputs.book
        return default_risk(self.units, self.rates, book, keep, self.prepared.p.drc, self.prepared.classified)

    def residual(self, keep: Bools) -> ResidualRisk:
        """Residual risk of positions."""
        rates = self.rates if RRAO in self.query.parts else np.full(len(self.rates), np.nan)
        return residual_risk(self.notionals, rates, self.selection.inputs.book, keep, self.prepared.p.rrao)


def _open(
    session: Session,
    query: FrtbSaQuery,
    prepared: Prepared,
    inputs: Inputs,
    scenarios: ScenarioSet,
    added: pa.Table | None = None,
) -> _MovedBook:
    """The book of the inputs, filtered and grouped. added : rows of contracts that the lake may not hold."""
    p = prepared.p
    selection = open_selection(inputs, _scope(query, inputs.valuation_set.valuation_set_id))
    vectors, row = inputs.vectors, inputs.alignment.row
    there = row >= 0
    rates = np.full(len(row), np.nan)
    rates[there] = selection.rates.base[vectors.currency[row[there]]]  # NaN for a currency that nothing kept is in

    def make() -> tuple[ContractTerms, SensitivityMap, UnitsInDefault, UnitNotionals]:
        contracts = contracts_of(session, inputs.book, added)
        options = options_of(contracts, p.instruments.with_options, query.as_of)
        plan = plan_parts(prepared.mapped, prepared.mapper, contracts, options, scenarios, query.as_of)
        values = np.full(len(row), np.nan)
        values[there] = vectors.base[row[there]]
        years = p.drc.equity_maturity_years[query.equity_maturity]
        units, lacking = units_in_default(
            contracts, values, p.drc, prepared.classified, query.as_of, scenarios.index, scenarios.base, years
        )
        notionals = unit_notionals(contracts, p.rrao, scenarios.index, scenarios.base)
        return contracts, plan, UnitsInDefault.of(units, lacking, len(row)), notionals

    book = inputs.book
    # what stands for a book among its files are digests of what is in it
    of_book = ("frtb book", book.positions_date, book.files, book.said, inputs.valuation_set.valuation_set_id)
    key = (*of_book, book.contracts_digest, *prepared.key, query.equity_maturity, query.currency)
    contracts, plan, units, notionals = session.cache.keep(key, make) if book.files else make()
    if DRC in query.parts:
        p.require(DRC, prepared.regime)
    else:
        units = UnitsInDefault.of({}, {}, len(row))
    return _MovedBook(prepared, query, selection, scenarios, contracts, plan, units, notionals, rates)


def _scope(query: FrtbSaQuery, valuation_set: str) -> RiskQuery:
    fields = {n: v for n in _BOOK if (v := getattr(query, n, None)) is not None}
    return RiskQuery(**fields, valuation_set=valuation_set)


@dataclass(frozen=True)
class _Capital:
    """sensitivities : (n_outputs,). columns : names; parts : (n_columns, n_positions) on a grid, adding up to `capital`."""

    sensitivities: Floats
    sbm: SbmCapital
    default: DefaultRisk
    residual: ResidualRisk
    columns: tuple[str, ...]
    parts: Floats
    capital: float
    grid: float


def _capital(of: _MovedBook) -> _Capital:
    selection, method = of.selection, of.plan.method
    groups, book = selection.groups, selection.inputs.book
    keep = (groups.group >= 0) & selection.keep
    outputs = of.wanted(outputs_of(selection, of.plan, groups.n, 1)[0])
    sbm = sbm_capital(method, outputs)
    default, residual = of.default(keep), of.residual(keep)
    names = tuple(g.name for g in method.groups)
    slopes = np.stack([sbm.slope * mask for mask in _masks(method)]) if names else np.zeros((0, method.n_outputs))
    for i, group in enumerate(method.groups):
        if group.risk_class not in of.query.parts:
            slopes[i] = 0.0
    units = unit_capital(selection, of.plan, slopes)
    positions = [position_parts(book.starts, book.quantity, groups.group, unit) for unit in units]
    parts = np.stack([*positions, default.position, residual.position])
    split = exact_split(parts.ravel(), math.fsum([sbm.value, default.charge, residual.charge]))
    return _Capital(
        outputs, sbm, default, residual, (*names, DRC, RRAO), split.parts.reshape(parts.shape), split.total, split.grid
    )


def _masks(method: Method) -> list[Floats]:
    """Of each group the outputs that are its, (n_outputs,)."""
    out = []
    for group in method.groups:
        mask = np.zeros(method.n_outputs)
        for cell in group.places.tolist():
            mask[list(method.outputs(cell))] = 1.0
        out.append(mask)
    return out


def run_frtb_sa(session: Session, query: FrtbSaQuery, seal: ValuationSet | None = None) -> FrtbSaCapital:
    """The capital; raises `NotValued` where the lake lacks the valuation under the moves, `BadInput` for parts the regime has not.

    seal : a valuation under the same moves of another market than that of the date, such as one that is stressed or rolled.
    """
    session = session.as_known(query.as_known)
    prepared = prepare(session, query)
    seal = seal or sealed_moves(session, prepared)
    scenarios = load_scenario_set(session.lake, seal.scenario_set_id)
    inputs = open_inputs(session.cache, _scope(query, seal.valuation_set_id))
    before: float | None = None
    added: pa.Table | None = None
    if query.changed:
        before = _capital(_open(session, query, prepared, inputs, scenarios)).capital
        inputs, added = changed_inputs(inputs, query)
    of = _open(session, query, prepared, inputs, scenarios, added)
    made = _capital(of)
    holes = contracts_with_holes(of.selection, of.plan, prepared.mapped, scenarios)
    lacking = held_and_valued(of.selection, made.default.lacking, made.residual.lacking, of.contracts.unread, holes)
    covered = coverage_in_part(of.selection, lacking)
    rows, total = _rows(of, made, before, covered)
    whole = total_coverage(covered)
    coverage = CapitalCoverage(**vars(whole), in_part=total["in_part"])
    unmapped = unmapped_factors(of.selection, of.plan, prepared.mapped, scenarios)
    receipt = make_receipt(
        "frtb-sa",
        query.model_dump(mode="json"),
        inputs,
        digest(made.parts.tobytes(), made.sensitivities.tobytes()),
        currency=query.currency,
        **prepared.regime.named,
    )
    versions = session.lake.snapshot("classifications").named
    receipt["table_versions"] = {**receipt["table_versions"], **versions}
    return FrtbSaCapital(
        query,
        rows,
        total,
        _classes(of, made),
        _buckets(of, made),
        _factors(of, made),
        made.default.obligors,
        made.default.buckets,
        made.residual.rows,
        lacking_rows(of.selection, of.contracts.kinds, lacking),
        unmapped_rows(unmapped, scenarios),
        coverage,
        made.grid,
        receipt,
        tuple(_notes(of, made, coverage, lacking, unmapped)),
    )


def _rows(
    of: _MovedBook, made: _Capital, before: float | None, covered: Mapping[str, pa.Array]
) -> tuple[pa.Table, dict[str, Any]]:
    query, groups = of.query, of.selection.groups
    multiplier = of.prepared.p.rwa_multiplier
    sums = np.stack([group_sums(part, groups.group, groups.n) for part in made.parts])
    sbm = range(len(made.columns) - 2)
    columns: dict[str, Any] = {name: sums[i] for i, name in enumerate(made.columns[:-2])}
    columns |= {"sbm": sums[list(sbm)].sum(axis=0), DRC: sums[-2], RRAO: sums[-1]}
    capital = sums.sum(axis=0)
    columns |= {"capital": capital, "rwa": capital * multiplier}
    if query.standalone:
        columns["standalone"] = _standalone(of)
    none = np.asarray(covered["covered"]) == 0  # what has no value has no capital, which is not zero
    whole = {name: float(v.sum()) for name, v in columns.items() if name not in ("rwa", "standalone")}
    total: dict[str, Any] = {
        **{name: v[-1].as_py() for name, v in covered.items()},
        **whole,
        "capital": made.capital,
        "rwa": made.capital * multiplier,
        "scenario": made.sbm.chosen,
        **{f"sbm_{s}": v for s, v in made.sbm.totals.items()},
    }
    if before is not None:
        total |= {"capital_before": before, "incremental": made.capital - before}
    columns = {name: pa.array(v, mask=none[: groups.n]) for name, v in columns.items()}
    if none[-1]:
        figures = (*columns, *(f"sbm_{s}" for s in made.sbm.totals), "scenario")
        total |= {name: None for name in figures if name in total}
    if not query.by:
        alone = {"standalone": columns["standalone"]} if query.standalone else {}
        whole_row = {n: v.slice(groups.n) for n, v in covered.items()}
        figures_row = {n: pa.array([total[n]], pa.float64()) for n in columns if n in total}
        return pa.table({**whole_row, **figures_row, **alone}), total
    keys = dict(zip(groups.keys.column_names, groups.keys.columns, strict=True))
    return pa.table({**keys, **{n: v.slice(0, groups.n) for n, v in covered.items()}, **columns}), total


def _standalone(of: _MovedBook) -> Floats:
    """The capital of each group alone, (n_groups,)."""
    groups, keep = of.selection.groups, of.selection.keep
    if groups.n > MOST_STANDALONE:
        raise BadInput(
            f"The capital of {groups.n:,} rows alone was asked for; the most is {MOST_STANDALONE:,}. Group by less, filter, or leave "
            "standalone out."
        )
    outputs = of.wanted(outputs_of(of.selection, of.plan, 0, groups.n))
    found = []
    for g in range(groups.n):
        own = keep & (groups.group == g)
        found.append(
            math.fsum([sbm_capital(of.plan.method, outputs[g]).value, of.default(own).charge, of.residual(own).charge])
        )
    return np.array(found)


def _classes(of: _MovedBook, made: _Capital) -> pa.Table:
    groups = of.plan.method.groups
    return pa.table(
        {
            "risk_class": pa.array([g.risk_class for g in groups], pa.string()),
            "type": pa.array([g.measure for g in groups], pa.string()),
            **{
                s: pa.array([made.sbm.parts[s][g.name] for g in groups], pa.float64())
                for s in of.prepared.p.scenarios.scaling.scenarios
            },
        }
    )


def _buckets(of: _MovedBook, made: _Capital) -> pa.Table:
    rows = []
    for group in of.plan.method.groups:
        found = made.sbm.groups[group.name]
        for i, bucket in enumerate(group.buckets):
            side = ("up" if found.up[i] else "down") if group.measure == CURVATURE else None
            figures = {"k_b": float(found.bucket[i]), "s_b": float(found.sums[i]), "side": side}
            if figures["k_b"] or figures["s_b"]:
                rows.append({"risk_class": group.risk_class, "type": group.measure, "bucket": bucket, **figures})
    schema = [(n, pa.string()) for n in ("risk_class", "type", "bucket")]
    return pa.Table.from_pylist(
        rows, schema=pa.schema([*schema, ("k_b", pa.float64()), ("s_b", pa.float64()), ("side", pa.string())])
    )


_FACTORS = pa.schema(
    [
        *((n, pa.string()) for n in ("risk_class", "type", "bucket", "name", "curve")),
        *(
            (n, pa.float64())
            for n in (
                *("tenor", "underlying_tenor", "sensitivity", "risk_weight", "weighted"),
                *("cvr_up", "cvr_down", "contribution"),
            )
        ),
    ]
)


def _factors(of: _MovedBook, made: _Capital) -> pa.Table:
    """The cells that are not zero, in their order."""
    method, rows = of.plan.method, []
    for i, cell in enumerate(method.cells):
        at = list(method.outputs(i))
        values, slopes = made.sensitivities[at], made.sbm.slope[at]
        if not values.any():
            continue
        row: dict[str, Any] = {
            "risk_class": cell.risk_class,
            "type": cell.measure,
            "bucket": cell.bucket,
            "name": cell.name or None,
            "curve": cell.curve or None,
            "tenor": cell.tenor,
            "underlying_tenor": cell.underlying,
            "contribution": float((values * slopes).sum()),
        }
        if cell.measure == CURVATURE:
            row |= {"cvr_up": float(values[0]), "cvr_down": float(values[1])}
        else:
            weight = float(method.weights[i])
            row |= {"sensitivity": float(values[0]), "risk_weight": weight, "weighted": float(values[0]) * weight}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_FACTORS)


def _notes(
    of: _MovedBook, made: _Capital, coverage: CapitalCoverage, lacking: Mapping[int, str],
    unmapped: Mapping[str, tuple[str, float]],
) -> list[str]:  # fmt: skip
    query, prepared, p = of.query, of.prepared, of.prepared.p
    regime = prepared.regime
    notes = [
        f"{regime.title} ({regime.label}), standardised approach for market risk, reported in {query.currency}.",
        *regime.notes(query.as_of),
    ]
    notes += lacking_notes(coverage, of.selection, "no capital")
    left = [name for name in (*CLASSES, DRC, RRAO) if name not in query.parts]
    if left:
        notes.append(f"Left out as asked, so that this is not the whole capital: {', '.join(left)}.")
    notes.append(
        f"Weights of liquid currencies {query.liquid_rates} for rates, {query.liquid_fx} for exchange rates; curvature of options without "
        f"{query.currency} {query.fx_curvature}. What lies between two tenors is given to both by time, linearly."
    )
    if unmapped:
        told = {name: why for name, (why, _) in unmapped.items()}
        notes.append(f"In no sensitivity, {counted(len(unmapped), 'risk factor')}: {_first(told)}.")
    held = {
        c.name for i, c in enumerate(of.plan.method.cells) if made.sensitivities[list(of.plan.method.outputs(i))].any()
    }
    residual = {n: why for n, why in prepared.mapper.residual.items() if n in held}
    if residual:
        notes.append(f"Without a full classification, {counted(len(residual), 'name')}: {_first(residual)}.")
    default = made.default
    if lacking:
        ids = of.selection.inputs.book.contract_ids
        each = (f"{of.contracts.kinds[p]} {ids[p].as_py()[:12]} ({why})" for p, why in lacking.items())
        first = first_of(each, between="; ")
        has = "position is of a contract" if coverage.in_part == 1 else "positions are of contracts"
        notes.append(
            f"Partial: {coverage.in_part:,} {has} with an amount that is not known, and is not in the capital: {first}."
        )
    if default.unrated:
        notes.append(f"Obligors without a classification are unrated {p.drc.buckets[0]}s: {first_of(default.unrated)}.")
    if default.indices:
        notes.append(
            f"Default risk of indices is that of one obligor each, since the lake has no constituents to look through to (MAR22.5): "
            f"{first_of(default.indices)}."
        )
    if p.instruments.with_credit_options:
        notes.append(
            f"A spread that a curvature shock would move below {p.curvature.least_spread * 1e4:g}bp is moved to that, or not at all where "
            "it is lower already."
        )
    if failed_contracts(of.selection):
        notes.append("The capital is of the positions that are valued; the others are in no number.")
    return notes


def _first(told: Mapping[str, str]) -> str:
    return first_of((f"{name} ({why})" for name, why in sorted(told.items())), between="; ")


FRTB_SA = Question(
    FrtbSaQuery,
    run_frtb_sa,
    {"as_of": "2020-03-16", "by": ["desk"]},
    plan_frtb,
    value_frtb,
    price=price_of_frtb,
)
