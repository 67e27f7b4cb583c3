"""From stored valuations under the prescribed moves to sensitivities, and from derivatives of the capital back to positions.

A sensitivity is P&L in the reporting currency, which adds up over positions. Some are of a part of the contracts alone, or of a share of
each: curvature of options, vega by the tenors between which an option expires, spreads without a tenor by the contract's end. Each
`ShareOfBook` has the share that every contract has in it, and the sensitivities that the P&L of its scenarios make.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aggregation.kernels.euler import unit_contributions
from aggregation.kernels.frtb_sbm import tenor_shares
from aggregation.reduce.selection import Selection, scenario_pnl
from aggregation.regulatory.frtb_sa_contracts import (
    ContractTerms,
    HeldOption,
    involves,
    is_sovereign,
    mask_of,
    maturities,
    underlying_of,
    volatility_of,
)
from aggregation.regulatory.frtb_sa_factors import (
    COMMODITY,
    EQUITY,
    FX,
    GIRR,
    HOLES,
    VEGA,
    Cell,
    DeltaPlace,
    Mapped,
    Mapper,
    commodity_of,
)
from aggregation.regulatory.frtb_sa_sbm import Method, method_of
from lake.arrays import Floats, Ints
from scenarios.derived.regulatory_bumps import factor_label, shock_labels
from scenarios.types import FactorIndex, ScenarioSet


@dataclass
class ShareOfBook:
    """share : (n_contracts,) of each contract that is in it, 0 for none. places : label of a scenario, output, and what its P&L times is
    added to the output."""

    name: str
    share: Floats
    places: list[tuple[str, tuple[Cell, int], float]] = field(default_factory=list)


@dataclass(frozen=True)
class SensitivityMap:
    """How sensitivities are made of P&L. scenario, output, per : (n,) of each part: output += per * P&L of the scenario.

    unmapped : scenarios of factors that are none of the method's, by label, with the reason.
    """

    method: Method
    parts: tuple[ShareOfBook, ...]
    arrays: tuple[tuple[Ints, Ints, Floats], ...]
    unmapped: Mapping[str, str]


def plan_parts(
    mapped: Mapped,
    mapper: Mapper,
    contracts: ContractTerms,
    options: Mapping[int, HeldOption],
    scenarios: ScenarioSet,
    as_of: dt.date,
) -> SensitivityMap:
    """The parts of a book under the scenarios of its market."""
    n = len(contracts.kinds)
    p = mapper.p
    whole = ShareOfBook("all", np.ones(n), [(d.label, (d.cell, 0), d.per) for d in mapped.direct])
    sovereign = mask_of(n, [i for i, t in enumerate(contracts.terms) if t and is_sovereign(contracts.kinds[i], t)])
    parts = [
        whole,
        ShareOfBook(
            "sovereign", sovereign.astype(np.float64), [(d.label, (d.cell, 0), d.per) for d in mapped.sovereign]
        ),
        *_by_end(mapped.flat, p.csr.tenors, maturities(contracts, as_of)),
        *_curvature(mapped, mapper, contracts, options, n),
    ]
    vega, unmapped = _vega(mapped, mapper, options, scenarios.index, n)
    parts = [part for part in (*parts, *vega) if part.places and part.share.any()]
    method = method_of([*{cell for part in parts for _, (cell, _), _ in part.places}], mapper)
    row = {label: i for i, label in enumerate(scenarios.labels)}
    place = {cell: method.outputs(i) for i, cell in enumerate(method.cells)}
    arrays: list[tuple[Ints, Ints, Floats]] = []
    for part in parts:
        arrays.append(
            (
                np.array([row[label] for label, _, _ in part.places], dtype=np.int64),
                np.array([place[cell][side] for _, (cell, side), _ in part.places], dtype=np.int64),
                np.array([per for _, _, per in part.places], dtype=np.float64),
            )
        )
    return SensitivityMap(method, tuple(parts), tuple(arrays), unmapped)


def _by_end(flat: Sequence[DeltaPlace], tenors: Sequence[float], ends: Floats) -> list[ShareOfBook]:
    """Of spreads without a tenor: each contract's are at the tenors that it ends between."""
    shares = np.zeros((len(tenors), len(ends)))
    for contract, end in enumerate(ends.tolist()):
        for tenor, share in tenor_shares(0.0 if np.isnan(end) else end, np.array(tenors)):
            shares[tenor, contract] += share
    return [
        ShareOfBook(f"ends at {tenor:g}", share, [(d.label, (d.cell._replace(tenor=tenor), 0), d.per) for d in flat])
        for tenor, share in zip(tenors, shares, strict=True)
    ]


def _curvature(
    mapped: Mapped, mapper: Mapper, contracts: ContractTerms, options: Mapping[int, HeldOption], n: int
) -> list[ShareOfBook]:
    """CVR = -(P&L of the shock -+ weight times sensitivity) of options (MAR21.5)."""
    rest, fx = (
        ShareOfBook("curvature", mask_of(n, [*options]).astype(np.float64)),
        ShareOfBook("curvature fx", np.zeros(n)),
    )
    reporting, divisor = mapper.choices.reporting, mapper.p.fx.curvature_divisor
    for place in options:
        divided = mapper.choices.fx_divisor and not involves(contracts.terms[place], reporting)
        fx.share[place] = 1.0 / divisor if divided else 1.0
    for cell, (shock, deltas) in sorted(mapped.curvature.items()):
        part = fx if cell.risk_class == FX else rest
        for side, (label, way) in enumerate(zip(shock_labels(shock.name), (1.0, -1.0), strict=True)):
            part.places.append((label, (cell, side), -1.0))
            part.places += [(delta, (cell, side), way * shock.size * per) for delta, per in deltas]
    return [rest, fx]


def _vega(
    mapped: Mapped, mapper: Mapper, options: Mapping[int, HeldOption], index: FactorIndex, n: int
) -> tuple[list[ShareOfBook], dict[str, str]]:
    """Volatility times derivative, at the tenors between which the option expires, and for rates its underlying then ends."""
    p = mapper.p
    by_name = volatility_of(options)
    parts: dict[tuple[bool, float, float], ShareOfBook] = {}
    tenors = np.array(p.vega.tenors)
    for place, option in options.items():
        rates = option.risk_class == GIRR
        for i, share in tenor_shares(option.expiry, tenors):
            for j, of in tenor_shares(option.underlying, tenors) if rates else [(0, 1.0)]:
                key = (rates, p.vega.tenors[i], p.vega.tenors[j] if rates else 0.0)
                name = "vega of rates" if rates else "vega"
                part = parts.setdefault(key, ShareOfBook(f"{name} at {key[1]:g} {key[2]:g}", np.zeros(n)))
                part.share[place] += share * of
    unmapped = {}
    for label, f in mapped.volatilities.items():
        found = underlying_of(f, by_name, index)
        if found is None:
            unmapped[label] = "nothing says what it is the volatility of; give it the attribute asset"
            continue
        risk_class, underlying = found
        bucket, name = _vega_place(risk_class, underlying, mapper, index)
        for (rates, tenor, last), part in parts.items():
            if rates == (risk_class == GIRR):
                cell = Cell(VEGA, risk_class, bucket, name, "", tenor, last)
                part.places.append((label, (cell, 0), 1.0 / p.shifts.volatility))
    return [parts[key] for key in sorted(parts)], unmapped


def _vega_place(risk_class: str, underlying: str, mapper: Mapper, index: FactorIndex) -> tuple[str, str]:
    """Bucket and name of a volatility: the buckets of delta; of currencies the pair, or the currency against the reporting one."""
    if risk_class == GIRR:
        return underlying, ""
    if risk_class == FX:
        pair = sorted((underlying[:3], underlying[3:]))
        others = [c for c in pair if c != mapper.choices.reporting]
        return (others[0], others[0]) if len(others) == 1 else ("".join(pair), "".join(pair))
    factor = index.factors[index.row[underlying]] if underlying in index.row else None
    if risk_class == EQUITY:
        is_index = factor is not None and factor.type == "index_level"
        return mapper.share_bucket(underlying, index=is_index), underlying
    assert risk_class == COMMODITY
    name = underlying.partition(":")[2].partition(":")[0] if factor is None else commodity_of(factor)
    return mapper.commodity_bucket(name, underlying), name


def shared(selection: Selection, share: Floats) -> Selection:
    """The selection with so much of each contract's positions, (n_contracts,)."""
    book = selection.inputs.book
    of_position = np.repeat(share, np.diff(book.starts))
    there = of_position != 0.0
    groups = replace(
        selection.groups, group=np.where(there, selection.groups.group, -1).astype(selection.groups.group.dtype)
    )
    book = replace(book, quantity=book.quantity * of_position)
    return replace(selection, inputs=replace(selection.inputs, book=book), keep=selection.keep & there, groups=groups)


def outputs_of(selection: Selection, plan: SensitivityMap, first: int, n: int) -> Floats:
    """Sensitivities and CVR (n, n_outputs) of groups first to first + n - 1; group `groups.n` is the total."""
    out = np.zeros((n, plan.method.n_outputs))
    for part, (scenario, output, per) in zip(plan.parts, plan.arrays, strict=True):
        of = selection if part.name == "all" else shared(selection, part.share)
        _, pnl = scenario_pnl(of, first, n)
        np.add.at(out.T, output, (pnl[:, scenario] * per).T)  # in the order of the places
    return out


def unit_capital(selection: Selection, plan: SensitivityMap, slopes: Floats) -> Floats:
    """What a unit of each contract contributes, (n_columns, n_contracts), for derivatives to the outputs (n_columns, n_outputs)."""
    inputs, rates = selection.inputs, selection.rates
    vectors, row = inputs.vectors, inputs.alignment.row
    total = np.zeros((len(slopes), len(row)))
    for part, (scenario, output, per) in zip(plan.parts, plan.arrays, strict=True):
        weights = np.zeros((len(slopes), vectors.n_scenarios))
        np.add.at(weights.T, scenario, -(slopes[:, output] * per).T)
        some = np.flatnonzero((weights != 0.0).any(axis=1))
        if not len(some):
            continue
        of = np.where(part.share != 0.0, row, -1).astype(row.dtype)
        units = unit_contributions(
            vectors.rows, of, vectors.base, vectors.currency, rates.base, rates.scenarios, weights[some]
        )
        total[some] += units * part.share
    return total


def unmapped_factors(
    selection: Selection, plan: SensitivityMap, mapped: Mapped, scenarios: ScenarioSet
) -> dict[str, tuple[str, float]]:
    """The factors that are in no sensitivity and that the selection depends on, by id, with the reason and the P&L of their move."""
    row = {label: i for i, label in enumerate(scenarios.labels)}
    _, pnl = scenario_pnl(selection, selection.groups.n, 1)
    told = {**{factor_label(i): why for i, why in mapped.unmapped.items()}, **plan.unmapped}
    moved = {label: (why, float(pnl[0, row[label]])) for label, why in told.items()}
    return {label.rpartition(" ")[0]: found for label, found in moved.items() if found[1] != 0.0}


def contracts_with_holes(
    selection: Selection, plan: SensitivityMap, mapped: Mapped, scenarios: ScenarioSet
) -> dict[int, str]:
    """By place, contracts that depend on a factor whose risk the method has and that it could not be mapped to, with the reason."""
    index = scenarios.index
    told = {**{factor_label(i): why for i, why in mapped.unmapped.items()}, **plan.unmapped}
    holes = {
        label: why
        for label, why in told.items()
        if label in plan.unmapped or index.factors[index.row[label.rpartition(" ")[0]]].type in HOLES
    }
    if not holes:
        return {}
    columns = {label: i for i, label in enumerate(scenarios.labels) if label in holes}
    vectors, row = selection.inputs.vectors, selection.inputs.alignment.row
    there = np.flatnonzero(row >= 0)
    out: dict[int, str] = {}
    for label, column in columns.items():
        for place in there[vectors.rows[row[there], column] != 0.0].tolist():
            out.setdefault(place, f"{label.rpartition(' ')[0]}: {holes[label]}")
    return out
