"""BA-CVA of netting sets with exposures and maturities: risk weights of the reference data, hedges that count, K and its contributions.

The maturity of a netting set has the floor of the regime and no cap of five years (MAR50.15). K is homogeneous of degree one in SCVA and
hedges, so each counterparty and hedge contributes its amount times the slope of K (Euler); within a counterparty SCVA is additive over
netting sets.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aggregation.exposure.reference import Counterparty, ReferenceData
from aggregation.kernels import ba_cva
from aggregation.kernels.ba_cva import Charge, SingleNameHedges
from aggregation.regulatory.cva_hedges import CvaHedge
from aggregation.regulatory.cva_parameters import BaCva
from lake.arrays import Floats
from lake.errors import BadInput, VarlakeError

Approach = Literal["full", "reduced"]


@dataclass(frozen=True)
class SetExposures:
    """Netting sets with their exposures, (n_sets,) each. maturity : effective, in years, before the floor, NaN where no trade has one."""

    ids: Sequence[str]
    counterparties: Sequence[str | None]
    legal_entities: Sequence[str | None]
    ead: Floats
    maturity: Floats


@dataclass(frozen=True)
class Charged:
    """What the rules make of netting sets.

    weight, maturity, factor, scva, part : (n_sets,) risk weight, M, supervisory discount, stand-alone charge and contribution to K;
    NaN where
    there is none. reasons : of each set, empty where it is computed. names : the counterparties that are computed, of `by_name`, their
    contributions. charge : of the approach asked for; bare, covered : without and with hedges. hedges, index : those that count, in
    the order of
    charge.hedges and charge.index; left_out : the others, each with its reason.
    """

    weight: Floats
    maturity: Floats
    factor: Floats
    scva: Floats
    part: Floats
    reasons: tuple[str, ...]
    names: tuple[str, ...]
    charge: Charge
    bare: Charge
    covered: Charge
    hedges: tuple[CvaHedge, ...]
    index: tuple[CvaHedge, ...]
    hedge_amounts: Mapping[str, float]
    left_out: tuple[tuple[CvaHedge, str], ...]


def charge_sets(
    rules: BaCva,
    sets: SetExposures,
    known: ReferenceData[Counterparty],
    hedges: Sequence[CvaHedge],
    approach: Approach,
    as_of: dt.date,
    rate: Mapping[str, float],
    internal_model: bool = False,
) -> Charged:
    """K of the netting sets. rate : price of one unit of each currency of the hedges. internal_model : EAD comes from the internal
    model method,
    so that the supervisory discount factor is 1 (MAR50.15(4))."""
    n = len(sets.ids)
    weight, reasons = np.full(n, np.nan), [""] * n
    of_name = {name: _weight(rules, known, name) for name in set(sets.counterparties)}
    for i, name in enumerate(sets.counterparties):
        weight[i], reasons[i] = of_name[name]
        if not reasons[i] and np.isnan(sets.maturity[i]):
            weight[i], reasons[i] = np.nan, f"No trade of netting set {sets.ids[i]} has a maturity."
    computed = np.array([not r for r in reasons], np.bool_)
    maturity = np.where(computed, np.maximum(sets.maturity, rules.maturity_floor_years), np.nan)
    factor = np.full(n, np.nan)
    discounted = rules.discounted == "always" or (rules.discounted == "non_imm" and not internal_model)
    factor[computed] = (
        ba_cva.discount_factors(maturity[computed], rules.discount_rate) if discounted else np.ones(int(computed.sum()))
    )
    scva = ba_cva.standalone(weight, maturity * sets.ead * factor, rules.alpha)
    names = sorted({str(sets.counterparties[i]) for i in np.flatnonzero(computed).tolist()})
    place = {name: i for i, name in enumerate(names)}
    of_set = np.array(
        [place.get(c or "", -1) if ok else -1 for c, ok in zip(sets.counterparties, computed, strict=True)]
    )
    amounts_of: list[list[float]] = [[] for _ in names]
    for i, amount in zip(of_set.tolist(), scva.tolist(), strict=True):
        if i >= 0:
            amounts_of[i].append(amount)
    by_name = np.array([math.fsum(of_one) for of_one in amounts_of])
    single, index, left_out = _eligible(rules, hedges, known, place, as_of)
    amounts = {h.hedge: _amount(rules, h, as_of, rate) for h in (*single, *index)}
    correlations = rules.hedge_correlation.model_dump()
    of_names = SingleNameHedges(
        np.array([place[h.counterparty or ""] for h in single], np.int32),
        np.array([amounts[h.hedge] for h in single], np.float64),
        np.array([correlations[h.reference_type or ""] for h in single], np.float64),
    )
    of_index = np.array([amounts[h.hedge] for h in index], np.float64)
    bare = ba_cva.reduced(by_name, rules.formula)
    covered = ba_cva.hedged(by_name, of_names, of_index, rules.formula)
    full = ba_cva.full(by_name, of_names, of_index, rules.formula)
    charge = full if approach == "full" else bare
    part = np.zeros(n)
    for i in np.flatnonzero(computed).tolist():
        whole = by_name[of_set[i]]
        part[i] = charge.counterparties[of_set[i]] * (scva[i] / whole) if whole else 0.0
    kept = (tuple(single), tuple(index)) if approach == "full" else ((), ())
    return Charged(
        weight,
        maturity,
        factor,
        scva,
        part,
        tuple(reasons),
        tuple(names),
        charge,
        bare,
        covered,
        *kept,
        amounts,
        left_out,
    )


def _weight(rules: BaCva, known: ReferenceData[Counterparty], name: str | None) -> tuple[float, str]:
    """The risk weight of a counterparty, or why there is none."""
    if name is None:
        return math.nan, "There is no counterparty, so no risk weight."
    if name not in known:
        return math.nan, known.lacking(name)
    row = known[name]
    try:
        return rules.risk_weights.of(rules.quality.of(row.rating), row.sector), ""
    except BadInput as error:
        return math.nan, f"Counterparty {name}: {error.message}"


def _eligible(
    rules: BaCva,
    hedges: Sequence[CvaHedge],
    known: ReferenceData[Counterparty],
    place: Mapping[str, int],
    as_of: dt.date,
) -> tuple[list[CvaHedge], list[CvaHedge], tuple[tuple[CvaHedge, str], ...]]:
    """Hedges of single names and of indices that count, and those that do not with the reason."""
    single: list[CvaHedge] = []
    index: list[CvaHedge] = []
    left_out: list[tuple[CvaHedge, str]] = []
    for h in sorted(hedges, key=lambda h: h.hedge):
        why = ""
        if h.maturity <= as_of:
            why = f"It matured on {h.maturity}."
        elif h.kind == "single_name" and h.counterparty not in place:
            why = f"There is no charge for counterparty {h.counterparty}, so none that it could reduce."
        else:
            try:
                rules.risk_weights.of(rules.quality.of(h.rating), h.sector)
            except VarlakeError as error:
                why = error.message
        if why:
            left_out.append((h, why))
        else:
            (single if h.kind == "single_name" else index).append(h)
    return single, index, tuple(left_out)


def _amount(rules: BaCva, h: CvaHedge, as_of: dt.date, rate: Mapping[str, float]) -> float:
    """RW M B DF in the reporting currency, with 0.7 of the weight for an index. MAR50.23, 50.24."""
    weight = rules.risk_weights.of(rules.quality.of(h.rating), h.sector)
    if h.kind == "index":
        weight *= rules.index_factor
    years = (h.maturity - as_of).days / 365.0
    factor = float(ba_cva.discount_factors(np.array([years]), rules.discount_rate)[0])
    return weight * years * h.notional * rate[h.currency] * factor
