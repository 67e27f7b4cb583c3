"""The question `ba-cva-what-if`: capital for CVA risk in the basic approach before and after trades are added, removed and scaled.

Exposures at default of the netting sets that the changes touch are those of `sa-ccr-what-if`; their maturities are updated from the sums
of the notionals that are kept. The charge is then made anew from the netting sets, since every counterparty is under its root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.exposure.reference import Counterparty, ReferenceData, counterparties_of
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.remembered import remembered
from aggregation.question import Question
from aggregation.regulatory.ba_cva import hedge_rates
from aggregation.regulatory.ba_cva_charge import Approach, Charged, SetExposures, charge_sets
from aggregation.regulatory.cva_hedges import CvaHedge, hedges_of
from aggregation.regulatory.cva_parameters import BaCva
from aggregation.regulatory.sa_ccr.ead import NettedExposures, maturity_sums
from aggregation.regulatory.sa_ccr.question import price_of
from aggregation.regulatory.sa_ccr.what_if import ChangedExposures, SaCcrWhatIfQuery, changed_exposures
from aggregation.session import Session
from lake.arrays import Floats
from lake.errors import counted
from lake.words import sentences
from valuation.types import ValuationFailure

_FIGURES = ("ead", "maturity", "scva")
_ROUNDING = 1e-9  # what is left of the notional of a netting set, beside what it was, that counts as nothing


class BaCvaWhatIfQuery(SaCcrWhatIfQuery):
    """A question of capital for CVA risk, and what to remove, scale and add before it is asked again."""

    approach: Approach = Field("full", description="full, with hedges; or reduced, which knows none")


@dataclass(frozen=True)
class BaCvaWhatIf(Answer):
    """rows : a row a netting set that is touched, sorted: netting_set, counterparty, legal_entity, change (both, new or gone); ead, the
    effective maturity in years and scva, the stand-alone charge, before, after and their difference; reason, where one has no charge.
    total : capital and rwa of all netting sets before, after and their difference, in the reporting currency. failures : added contracts
    without an exposure, which are in no figure.
    """

    query: BaCvaWhatIfQuery
    rows: pa.Table
    total: Mapping[str, Any]
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Before:
    """Netting sets as they are, what they are charged, and what the charge was made from. notional, years : see `maturity_sums`."""

    sets: SetExposures
    notional: Floats
    years: Floats
    charged: Charged
    known: ReferenceData[Counterparty]
    hedges: tuple[CvaHedge, ...]
    rate: Mapping[str, float]


def run_ba_cva_what_if(session: Session, query: BaCvaWhatIfQuery) -> BaCvaWhatIf:
    """Capital before and after; raises as `changed_exposures` does, and `BadInput` where the regime lacks a parameter."""
    made = changed_exposures(session, query)
    found = made.found
    rules = found.regime.section("ba_cva", BaCva)
    versions = {name: session.lake.version(name) for name in ("counterparties", "cva_hedges")}
    before = remembered(
        ("ba-cva before", query.approach, query.as_of, found.regime.digest, *versions.values()),
        (found.portfolio, found.units),
        lambda: _before(rules, found, query),
        lambda b: 200 * len(b.sets.ids),
    )
    sets = _after(before, made)
    after = charge_sets(rules, sets, before.known, before.hedges, query.approach, query.as_of, before.rate)
    one, other = (rules.discount_scalar * c.charge.capital for c in (before.charged, after))
    total = {
        "capital_before": one,
        "capital_after": other,
        "capital_difference": other - one,
        "rwa_before": rules.rwa_factor * one,
        "rwa_after": rules.rwa_factor * other,
        "rwa_difference": rules.rwa_factor * (other - one),
    }
    receipt = {**made.receipt, "table_versions": {**made.receipt["table_versions"], **versions}}
    rows = _rows(before, made, sets, after)
    return BaCvaWhatIf(query, rows, total, made.failures, receipt, (*made.notes, *_notes(before, made, sets, after)))


def _before(rules: BaCva, found: NettedExposures, query: BaCvaWhatIfQuery) -> _Before:
    snapshot, nets = found.inputs.snapshot, found.nets
    notional, years = maturity_sums(found)
    sets = SetExposures(
        nets.ids, nets.counterparties, nets.legal_entities, found.exposures.ead, _maturity(notional, years)
    )
    known = counterparties_of(snapshot.lake, query.as_of)
    hedges = hedges_of(snapshot.lake, query.as_of) if query.approach == "full" else ()
    rate = hedge_rates(snapshot, query, hedges)
    charged = charge_sets(rules, sets, known, hedges, query.approach, query.as_of, rate)
    return _Before(sets, notional, years, charged, known, hedges, rate)


def _maturity(notional: Floats, years: Floats) -> Floats:
    return np.where(notional > 0.0, years / np.where(notional > 0.0, notional, 1.0), np.nan)


def _after(before: _Before, made: ChangedExposures) -> SetExposures:
    """The netting sets after the changes; new ones come last, by name."""
    sets = before.sets
    ead, maturity = sets.ead.copy(), sets.maturity.copy()
    new = [
        (row, made.touched[row["netting_set"]]) for row in made.rows if made.touched[row["netting_set"]].code is None
    ]
    for row in made.rows:
        touched = made.touched[row["netting_set"]]
        if touched.code is None:
            continue
        was = float(before.notional[touched.code])
        notional = was + touched.notional
        if row["trades_after"] == 0 or notional <= _ROUNDING * was:
            notional = 0.0
        years = float(before.years[touched.code]) + touched.years
        ead[touched.code] = row["ead_after"]
        maturity[touched.code] = years / notional if notional > 0.0 else np.nan
    return SetExposures(
        [*sets.ids, *(row["netting_set"] for row, _ in new)],
        [*sets.counterparties, *(t.counterparty for _, t in new)],
        [*sets.legal_entities, *(t.legal_entity for _, t in new)],
        np.append(ead, [row["ead_after"] for row, _ in new]),
        np.append(maturity, [t.years / t.notional if t.notional > 0.0 else np.nan for _, t in new]),
    )


def _places(before: _Before, made: ChangedExposures) -> list[int]:
    """Where each row is among the netting sets after the changes."""
    new = iter(range(len(before.sets.ids), len(before.sets.ids) + len(made.rows)))
    codes = [made.touched[row["netting_set"]].code for row in made.rows]
    return [next(new) if code is None else code for code in codes]


def _rows(before: _Before, made: ChangedExposures, sets: SetExposures, after: Charged) -> pa.Table:
    n, out = len(before.sets.ids), []
    for row, place in zip(made.rows, _places(before, made), strict=True):
        there = place < n and row["trades_before"] > 0
        one: dict[str, float | None] = {"ead": row["ead_before"], "maturity": None, "scva": 0.0}
        other: dict[str, float | None] = {"ead": row["ead_after"], "maturity": None, "scva": 0.0}
        if there:
            one |= {
                "maturity": _number(before.charged.maturity[place]),
                "scva": _number(before.charged.scva[place]),
            }
        if row["trades_after"] > 0:
            other |= {"maturity": _number(after.maturity[place]), "scva": _number(after.scva[place])}
        told: dict[str, Any] = {
            **{k: row[k] for k in ("netting_set", "counterparty", "legal_entity", "change")},
            "reason": (after.reasons[place] if row["trades_after"] > 0 else "") or None,
        }
        for figure in _FIGURES:
            a, b = one[figure], other[figure]
            told |= {f"{figure}_before": a, f"{figure}_after": b}
            told[f"{figure}_difference"] = None if a is None or b is None else b - a
        out.append(told)
    return pa.Table.from_pylist(out, schema=_SCHEMA)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("netting_set", "counterparty", "legal_entity", "change", "reason")),
        *((f"{name}_{when}", pa.float64()) for name in _FIGURES for when in ("before", "after", "difference")),
    ]
)


def _notes(before: _Before, made: ChangedExposures, sets: SetExposures, after: Charged) -> tuple[str, ...]:
    """What is in no figure: netting sets with trades and without a charge, before the changes or after."""
    changed = dict(zip(_places(before, made), made.rows, strict=True))
    in_scope = set(made.found.in_scope.tolist())
    lacking = [
        reason
        for i, reason in enumerate(after.reasons)
        if reason and (changed[i]["trades_after"] > 0 if i in changed else i in in_scope)
    ]
    notes = [_lacking(lacking)] if lacking else []
    if before.charged.left_out:
        n = len(before.charged.left_out)
        notes.append(f"{counted(n, 'hedge does', 'hedges do')} not count before the changes; `ba-cva` says why.")
    return tuple(notes)


def _lacking(reasons: Sequence[str]) -> str:
    what = counted(len(reasons), "netting set has", "netting sets have")
    return f"{what} no charge and no part in capital: {sentences(sorted(reasons))}"


BA_CVA_WHAT_IF = Question(
    BaCvaWhatIfQuery,
    run_ba_cva_what_if,
    {"as_of": "2020-03-16", "scale": ["desk=Rates Options*0.5"]},
    plan_scope,
    value_scope,
    price=price_of,
)
