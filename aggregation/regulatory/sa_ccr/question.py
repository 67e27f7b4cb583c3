"""The question `sa-ccr`: exposure at default by netting set, and by any dimensions as contributions that add up.

EAD is homogeneous in values, collateral, margin terms and effective notionals together, so by Euler each trade contributes

    alpha (slope in V x its value + slope in the add-on x slope of the add-on in D x its D)

and the collateral and terms of the agreement the rest. The parts of a netting set add up to its EAD to the last bit.
Source: CRE52; Tasche 1999, Capital allocation and performance measurement, for the contributions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.answer import Answer
from aggregation.kernels.euler import group_sums
from aggregation.kernels.sa_ccr import CLASSES, split
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.alignment import COVERED, FAILED, MISSING
from aggregation.price import size_of
from aggregation.question import Question
from aggregation.regulatory.sa_ccr.ead import (
    NETTING_SET,
    OUT_OF_SCOPE,
    SECONDS_A_CONTRACT,
    NettedExposures,
    SaCcrQuery,
    ead_by_netting_set,
    receipt_of,
    without_any,
)
from aggregation.regulatory.sa_ccr.portfolio import Exposures, margined_factor
from aggregation.session import Session
from aggregation.types import Coverage
from lake.arrays import Bools, Codes, Floats, Ints
from lake.errors import BadInput
from valuation.types import ValuationFailure

_OF_SETS = (NETTING_SET, "counterparty", "legal_entity")  # what all trades of a netting set have in common
_ADD_ONS = tuple(f"addon_{name}" for name in CLASSES)
_FIGURES = ("ead", "rc", "pfe", *_ADD_ONS, "v", "c")


@dataclass(frozen=True)
class SaCcrAnswer(Answer):
    """rows : a row a group, sorted: the `by` columns; part, `all` or, where a group is finer than netting sets, `trades` or `agreement`
    (collateral and margin terms); netting_sets; positions in scope, covered, failed, missing, status; ead, rc, pfe, add-ons by class,
    v (value) and c (collateral held), in the reporting currency; multiplier, margined and rule where the group is one whole netting set.
    The ead of all groups adds up to that of the total to the last bit. total : the same of all together. not_in_scope : positions that
    are no derivatives, by instrument type, with the reason. failures : contracts without an exposure.
    """

    query: SaCcrQuery
    rows: pa.Table
    total: Mapping[str, Any]
    coverage: Coverage
    not_in_scope: tuple[Mapping[str, Any], ...]
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """What trades and agreements contribute: first an entry a trade, then one a netting set, for its collateral and terms.

    set_of : (n,) netting set. figures : by name, (n,) each; those of a netting set add up to its own, `ead` to the last bit.
    """

    set_of: Codes
    figures: Mapping[str, Floats]


def parts_of(found: NettedExposures) -> Parts:
    """The contributions to each netting set."""
    trades, held, of, n_sets = found.trades, found.portfolio, found.exposures, len(found.nets)
    n, alpha, figures = len(trades.set_of), found.parameters.alpha, found.exposures.figures
    entry_set = trades.set_of[found.entries]
    scale = np.where(of.by_margin, margined_factor(found.parameters, held.margins), 0.0)[entry_set]
    factor = np.where(of.by_margin[entry_set], scale, found.units.factor[found.entry_row])
    notional = found.units.notional[found.entry_row] * trades.quantity[found.entries] * factor
    add_on = of.slope[held.cell_of] * notional
    classes = np.array([row.asset_class for row in found.units.rows], dtype=np.int64)[found.entry_row]
    entries = found.entries.astype(np.int32)
    by_class = [group_sums(np.where(classes == c, add_on, 0.0), entries, n) for c in range(len(CLASSES))]
    whole = group_sums(add_on, entries, n)
    value = np.where(trades.covered, trades.value, 0.0)
    margins = held.margins
    rc_slope = np.where((figures.rc > 0.0) & (figures.to_least == 0.0), 1.0, 0.0)
    to_pfe = figures.to_value - rc_slope
    own = trades.set_of
    rc = np.append(rc_slope[own] * value, figures.to_least * margins.least - rc_slope * margins.collateral)
    pfe = np.append(figures.to_add_on[own] * whole + to_pfe[own] * value, -to_pfe * margins.collateral)
    set_of = np.append(own, np.arange(n_sets, dtype=np.int32)).astype(np.int32)
    order = np.argsort(set_of, kind="stable")
    starts = np.searchsorted(set_of[order], np.arange(n_sets + 1)).astype(np.int64)
    ead = np.empty(len(set_of))
    ead[order], _ = split((alpha * (rc + pfe))[order], starts, of.ead)
    nothing = np.zeros(n_sets)
    named = {name: np.append(values, nothing) for name, values in zip(_ADD_ONS, by_class, strict=True)}
    return Parts(
        set_of,
        {
            "ead": ead,
            "rc": rc,
            "pfe": pfe,
            **named,
            "v": np.append(value, nothing),
            "c": np.append(np.zeros(n), margins.collateral),
        },
    )


def _answer(session: Session, query: SaCcrQuery) -> SaCcrAnswer:
    found = ead_by_netting_set(session, query)
    return SaCcrAnswer(
        query=query,
        rows=rows_of(found, query.by),
        total=_total(found),
        coverage=found.coverage,
        not_in_scope=tuple({"instrument_type": k, "reason": why, "positions": n} for k, why, n in found.out_of_scope),
        failures=tuple(f for f, _ in found.failures),
        receipt=receipt_of(found),
        notes=found.notes,
    )


def rows_of(found: NettedExposures, by: tuple[str, ...]) -> pa.Table:
    """The rows of the answer; by : dimensions and `netting_set`."""
    if len(set(by)) < len(by):
        raise BadInput(f"A dimension is named twice: {', '.join(by)}.")
    parts, trades, n_sets = parts_of(found), found.trades, len(found.nets)
    if not by:
        return pa.Table.from_pylist([_total(found)])
    finer = not set(by) <= set(_OF_SETS)
    n, columns = len(trades.set_of), []
    for name in by:
        columns.append(_column(found, name))
    shown = np.append(trades.state != OUT_OF_SCOPE, _has_part(parts)[n:] if finer else np.ones(n_sets, np.bool_))
    shown_sets = np.zeros(n_sets, np.bool_)
    shown_sets[found.in_scope] = True
    shown &= shown_sets[parts.set_of]
    is_agreement = np.append(np.zeros(n, np.int64), np.ones(n_sets, np.int64))
    code = np.zeros(n + n_sets, dtype=np.int64)
    for codes, members in columns:
        code = code * (len(members) + 1) + codes
    if finer:
        code = code * 2 + is_agreement
    distinct, first, group = np.unique(code[shown], return_index=True, return_inverse=True)
    example = np.flatnonzero(shown)[first]
    of = np.full(n + n_sets, -1, dtype=np.int32)
    of[shown] = group
    n_groups = len(distinct)
    # of whole netting sets the figures themselves, whose bits are not those of a sum over trades
    figures = (
        {name: group_sums(values, of, n_groups) for name, values in parts.figures.items()}
        if finer
        else {name: group_sums(values, of[n:], n_groups) for name, values in _of_sets(found).items()}
    )
    keys = {
        name: pa.array(members, pa.string()).take(pa.array(codes[example]))
        for name, (codes, members) in zip(by, columns, strict=True)
    }
    counted = _counts(found, of[:n], n_groups)
    unknown = without_any(counted)
    sets, only, alone = _sets(parts.set_of, of, n_groups, found)
    part = np.where(is_agreement[example] == 1, "agreement", "trades") if finer else np.full(n_groups, "all")
    return pa.table(
        {
            **keys,
            "part": pa.array(part.tolist(), pa.string()),
            "netting_sets": pa.array(sets),
            **_coverage_columns(counted, is_agreement[example] == 1 if finer else np.zeros(n_groups, np.bool_)),
            **{name: pa.array(values, mask=unknown) for name, values in figures.items()},
            "multiplier": pa.array(found.exposures.figures.multiplier[only], mask=~alone | unknown),
            "margined": pa.array(found.portfolio.margins.margined[only], mask=~alone),
            "rule": pa.array(
                [found_rule(found, int(s)) if w else None for s, w in zip(only, alone, strict=True)], pa.string()
            ),
        }
    )


def found_rule(found: NettedExposures, code: int) -> str:
    """What decides the EAD of a netting set."""
    if code in found.exception:
        return found.exception[code]
    return rule_of(found.exposures, code)


def rule_of(exposures: Exposures, code: int) -> str:
    """What decides the EAD of a netting set that no exception holds for."""
    if exposures.capped[code]:
        return "margined, at most the EAD without margin"
    return "margined" if exposures.by_margin[code] else "unmargined"


def _has_part(parts: Parts) -> Bools:
    return np.asarray((parts.figures["ead"] != 0.0) | (parts.figures["c"] != 0.0))


def _column(found: NettedExposures, name: str) -> tuple[Ints, list[str | None]]:
    """Codes of the trades and then of the netting sets into the sorted members, a null last."""
    nets, n_sets = found.nets, len(found.nets)
    own = found.trades.set_of
    if name == NETTING_SET:
        names = sorted(set(nets.ids))
        place = {m: i for i, m in enumerate(names)}
        of_sets = np.array([place[i] for i in nets.ids], dtype=np.int64)
        return np.append(of_sets[own], of_sets), [*names, None]
    column = found.inputs.book.column(name)
    members = list(column.members.to_pylist())
    if None not in members:
        members = [*members, None]
    codes = column.codes[found.trades.position].astype(np.int64)
    none = np.full(n_sets, len(members) - 1, dtype=np.int64)
    if name in _OF_SETS:  # the same of all trades of a netting set
        none[own] = codes
    return np.append(codes, none), members


def _counts(found: NettedExposures, of: Codes, n_groups: int) -> Ints:
    counts = np.zeros((n_groups, 4), dtype=np.int64)
    kept = of >= 0
    np.add.at(counts, (of[kept], found.trades.state[kept]), 1)
    return counts


def _coverage_columns(counts: Ints, agreement: Bools) -> dict[str, pa.Array]:
    covered, failed, missing = counts[:, COVERED], counts[:, FAILED], counts[:, MISSING]
    coverages = [
        Coverage(int(c + f + m), int(c), int(f), int(m)) for c, f, m in zip(covered, failed, missing, strict=True)
    ]
    return {
        "positions": pa.array(covered + failed + missing),
        "covered": pa.array(covered),
        "failed": pa.array(failed),
        "missing": pa.array(missing),
        "status": pa.array([c.status for c in coverages], pa.string(), mask=agreement),
    }


def _sets(set_of: Codes, group: Codes, n_groups: int, found: NettedExposures) -> tuple[Ints, Ints, Bools]:
    """How many netting sets each group has a part of, one of them, and whether the group is that whole netting set."""
    n_sets = max(len(found.nets), 1)
    pairs = np.divmod(np.unique(group[group >= 0].astype(np.int64) * n_sets + set_of[group >= 0]), n_sets)
    sets = np.bincount(pairs[0], minlength=n_groups)
    only = np.zeros(n_groups, dtype=np.int64)
    only[pairs[0]] = pairs[1]
    groups_of_set = np.bincount(pairs[1], minlength=len(found.nets))
    return sets, only, np.asarray((sets == 1) & (groups_of_set[only] == 1))


def _of_sets(found: NettedExposures) -> dict[str, Floats]:
    """The figures of each netting set."""
    of = found.exposures.figures
    return {
        "ead": of.ead,
        "rc": of.rc,
        "pfe": of.pfe,
        **{name: np.ascontiguousarray(of.add_on[:, c]) for c, name in enumerate(_ADD_ONS)},
        "v": found.portfolio.value.value,
        "c": found.portfolio.margins.collateral,
    }


def _total(found: NettedExposures) -> dict[str, Any]:
    coverage = found.coverage
    shown = found.in_scope
    zero = np.zeros(len(shown), np.int32)

    def summed(values: Floats) -> float:
        return float(group_sums(values[shown], zero, 1)[0])

    return {
        "netting_sets": len(shown),
        "positions": coverage.positions,
        "covered": coverage.covered,
        "failed": coverage.failed,
        "missing": coverage.missing,
        "status": coverage.status,
        **{name: None if coverage.status == "invalid" else summed(values) for name, values in _of_sets(found).items()},
    }


def price_of(session: Session, query: SaCcrQuery) -> float:
    """Of finding the rows of every contract once, and of passing over the positions."""
    size = size_of(session, query, by=())
    contracts = size.positions if size.seal is None else size.seal.submitted
    return size.seconds(passes=2) + SECONDS_A_CONTRACT * contracts


SA_CCR = Question(
    SaCcrQuery,
    _answer,
    {"as_of": "2020-03-16", "by": ["counterparty"]},
    plan_scope,
    value_scope,
    price=price_of,
)
