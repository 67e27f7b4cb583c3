"""Risk-weighted assets of netting sets and their parts, and the tables that show them: groups, netting sets, trades."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.exposure.reference import Counterparty, ReferenceData
from aggregation.kernels.euler import group_sums
from aggregation.kernels.sa_ccr import on_grid, split
from aggregation.opened.alignment import MISSING
from aggregation.regulatory.credit.exposures import AGREEMENT, EadParts
from aggregation.regulatory.credit.parameters import Credit
from aggregation.regulatory.credit.weights import Approach, Obligor, RiskWeight, risk_weights
from aggregation.regulatory.sa_ccr.ead import without_any
from aggregation.types import Coverage
from lake.arrays import Floats, Ints
from lake.errors import BadInput

# of the counterparty, in the reference data: may be grouped by like a dimension
_OF_COUNTERPARTY = {
    "counterparty_class": "credit_class",
    "counterparty_rating": "rating",
    "counterparty_sector": "sector",
    "counterparty_group": "group",
    "counterparty_region": "region",
}


@dataclass(frozen=True)
class Weighted:
    """Exposures with their weights. rwa, expected_loss : (n_sets,) NaN without a weight. part_rwa, part_loss : (n_parts,) of the parts,
    zero there."""

    weights: Sequence[RiskWeight]
    rwa: Floats
    part_rwa: Floats
    part_loss: Floats


def weighted(
    exposures: EadParts,
    known: ReferenceData[Counterparty],
    parameters: Credit,
    approach: Approach,
    cva_charged: bool,
) -> Weighted:
    """The weight of every netting set, its RWA, and those of its parts, which add up to it to the last bit."""
    years = [None if math.isnan(y) else y for y in exposures.years.tolist()] if approach == "advanced" else None
    of = [Obligor(c, None if years is None else years[i]) for i, c in enumerate(exposures.counterparties)]
    distinct = list(dict.fromkeys(of))
    made = dict(
        zip(
            distinct,
            risk_weights(distinct, known, parameters, approach, cva_charged=cva_charged),
            strict=True,
        )
    )
    weights = [made[o] for o in of]
    weight = np.array([np.nan if w.weight is None else w.weight for w in weights])
    loss = np.array([np.nan if w.expected_loss is None else w.expected_loss for w in weights])
    order = np.argsort(exposures.set_of, kind="stable")
    starts = np.searchsorted(exposures.set_of[order], np.arange(len(of) + 1)).astype(np.int64)

    def shares(rate: Floats) -> tuple[Floats, Floats]:
        whole = on_grid(np.where(np.isnan(rate), 0.0, rate) * exposures.ead)
        parts = np.empty(len(exposures.set_of))
        parts[order], _ = split(
            (np.where(np.isnan(rate), 0.0, rate)[exposures.set_of] * exposures.part)[order], starts, whole
        )
        return np.where(np.isnan(rate), np.nan, whole), parts

    rwa, part_rwa = shares(weight)
    _, part_loss = shares(loss)
    return Weighted(weights, rwa, part_rwa, part_loss)


def group_rows(
    exposures: EadParts,
    now: Weighted,
    before: Weighted | None,
    known: ReferenceData[Counterparty],
    parameters: Credit,
    by: tuple[str, ...],
) -> pa.Table:
    """A row a group of the parts; by : dimensions, `netting_set` and what the reference data say of the counterparty. before : the weights
    before the changes asked for."""
    if len(set(by)) < len(by):
        raise BadInput(f"A dimension is named twice: {', '.join(by)}.")
    columns = [_of_counterparty(exposures, known, n) if n in _OF_COUNTERPARTY else exposures.column(n) for n in by]
    finer = any(n not in ("netting_set", "counterparty", "legal_entity", *_OF_COUNTERPARTY) for n in by)
    shown = (exposures.counted | ~exposures.is_trade) & exposures.in_scope[exposures.set_of]
    if finer:  # an agreement that contributes nothing is no part
        shown &= exposures.is_trade | (exposures.part != 0.0)
    code = np.zeros(len(exposures.set_of), dtype=np.int64)
    for codes, members in columns:
        code = code * (len(members) + 1) + codes
    if finer:
        code = code * 2 + ~exposures.is_trade
    _, first, group = np.unique(code[shown], return_index=True, return_inverse=True)
    example, n = np.flatnonzero(shown)[first], len(first)
    if not by and not n:
        example, n = np.zeros(0, np.int64), 1
    of = np.full(len(code), -1, dtype=np.int32)
    of[shown] = group
    weighted = ~np.isnan(now.rwa)[exposures.set_of]

    def summed(values: Floats) -> Floats:
        return group_sums(values, of, n)

    def number(chosen: Any) -> Ints:
        return np.asarray(np.bincount(of[chosen & shown], minlength=n), dtype=np.int64)

    given_whole = exposures.found is None
    positions = number(exposures.counted & (exposures.is_trade | given_whole))
    covered = number(exposures.covered & weighted)
    failed = positions - covered - (0 if given_whole else _missing(exposures, number))
    rwa, ead = summed(now.part_rwa), summed(np.where(weighted, exposures.part, 0.0))
    # no trade of the group has an exposure, or no netting set a weight: no figure, rather than one of zero
    unknown = (number(exposures.covered) == 0) & (positions > 0)
    none = unknown | ((number(weighted) == 0) & (number(np.ones(len(weighted), np.bool_)) > 0))
    pairs = np.unique(np.stack([of[shown], exposures.set_of[shown]]), axis=1)
    figures: dict[str, pa.Array] = {
        "netting_sets": pa.array(np.bincount(pairs[0], minlength=n)),
        "positions": pa.array(positions),
        "covered": pa.array(covered),
        "failed": pa.array(failed),
        "status": pa.array(
            [
                Coverage(int(p), int(c), int(f), int(p - c - f)).status
                for p, c, f in zip(positions, covered, failed, strict=True)
            ]
        ),
        "ead": pa.array(summed(exposures.part), mask=unknown),
        "ead_weighted": pa.array(ead, mask=unknown),
        "rwa": pa.array(rwa, mask=none),
        "capital": pa.array(rwa * parameters.capital_ratio, mask=none),
        "density": pa.array(np.divide(rwa, ead, out=np.full(n, np.nan), where=ead > 0.0), from_pandas=True),
    }
    if any(w.approach != "standardised" for w in now.weights):
        figures["expected_loss"] = pa.array(summed(now.part_loss), mask=none)
    if before is not None:
        was = summed(before.part_rwa)
        had_none = none & (number(~np.isnan(before.rwa)[exposures.set_of]) == 0)
        figures |= {
            "rwa_before": pa.array(was, mask=had_none),
            "rwa_change": pa.array(rwa - was, mask=none | had_none),
        }
    keys = {
        name: pa.array(members, pa.string()).take(pa.array(codes[example]))
        for name, (codes, members) in zip(by, columns, strict=True)
    }
    if not by:
        return pa.table(figures)
    trade = exposures.is_trade[example]
    part = np.where(trade, "trades", AGREEMENT).tolist() if finer and not given_whole else ["all"] * n
    return pa.table({**keys, "part": pa.array(part, pa.string()), **figures})


def _missing(exposures: EadParts, number: Any) -> Ints:
    """Positions that the valuation set has no value of."""
    assert exposures.found is not None
    state = exposures.found.trades.state
    missing = np.zeros(len(exposures.set_of), np.bool_)
    missing[: len(state)] = state == MISSING
    found: Ints = number(missing)
    return found


def _of_counterparty(
    exposures: EadParts, known: ReferenceData[Counterparty], name: str
) -> tuple[Ints, list[str | None]]:
    """Codes of the parts into what the reference data say of their counterparty; null where it is not known."""
    field = _OF_COUNTERPARTY[name]
    values = [None if c is None or c not in known else getattr(known[c], field) for c in exposures.counterparties]
    members: list[str | None] = [*sorted({v for v in values if v is not None}), None]
    place = {m: i for i, m in enumerate(members)}
    return np.array([place[v] for v in values], dtype=np.int64)[exposures.set_of], members


def set_rows(exposures: EadParts, now: Weighted, parameters: Credit, most: int) -> pa.Table:
    """The netting sets with the largest RWA, then those without a weight by EAD."""
    scope = np.flatnonzero(exposures.in_scope)
    rwa = now.rwa[scope]
    order = scope[np.lexsort((scope, -exposures.ead[scope], -np.where(np.isnan(rwa), -1.0, rwa)))][:most].tolist()
    chosen = [now.weights[i] for i in order]

    def of(field: str, kind: pa.DataType = pa.float64()) -> pa.Array:  # noqa: B008
        return pa.array([getattr(w, field) for w in chosen], kind)

    unknown = np.zeros(len(order), np.bool_) if exposures.found is None else without_any(exposures.found.counts)[order]
    shown = np.where(unknown, np.nan, now.rwa[order])
    ead = np.where(unknown, np.nan, exposures.ead[order])
    loss = [None if w.expected_loss is None else w.expected_loss * e for w, e in zip(chosen, ead.tolist(), strict=True)]
    return pa.table(
        {
            "netting_set": pa.array([exposures.ids[i] for i in order], pa.string()),
            "counterparty": pa.array([exposures.counterparties[i] for i in order], pa.string()),
            "legal_entity": pa.array([exposures.legal_entities[i] for i in order], pa.string()),
            "approach": of("approach", pa.string()),
            "credit_class": of("credit_class", pa.string()),
            "rating": of("rating", pa.string()),
            "pd": of("pd"),
            "lgd": of("lgd"),
            "correlation": of("correlation"),
            "maturity": of("years"),
            "maturity_factor": of("maturity_factor"),
            "risk_weight": of("weight"),
            "ead": pa.array(ead, from_pandas=True),
            "rwa": pa.array(shown, from_pandas=True),
            "capital": pa.array(shown * parameters.capital_ratio, from_pandas=True),
            "expected_loss": pa.array(loss, pa.float64(), from_pandas=True),
            "reason": of("reason", pa.string()),
        }
    )


def trade_rows(exposures: EadParts, now: Weighted, parameters: Credit, most: int) -> pa.Table:
    """The parts with the largest contributions to RWA."""
    there = np.flatnonzero(exposures.covered | (~exposures.is_trade & (exposures.part != 0.0)))
    if exposures.found is None:
        there = there[:0]
    order = there[np.lexsort((there, -np.abs(now.part_rwa[there])))][:most]
    names = exposures.trades() if len(order) else []
    sets = exposures.set_of[order].tolist()
    return pa.table(
        {
            "trade": pa.array([names[i] for i in order.tolist()], pa.string()),
            "netting_set": pa.array([exposures.ids[s] for s in sets], pa.string()),
            "counterparty": pa.array([exposures.counterparties[s] for s in sets], pa.string()),
            "ead": pa.array(exposures.part[order]),
            "risk_weight": pa.array([now.weights[s].weight for s in sets], pa.float64()),
            "rwa": pa.array(now.part_rwa[order]),
            "capital": pa.array(now.part_rwa[order] * parameters.capital_ratio),
        }
    )
