"""The question `ba-cva`: capital for CVA risk in the basic approach, by netting set, counterparty or any dimension, adding up to the
last bit.

Exposure at default is that of SA-CCR, or given. The effective maturity of a netting set is the mean of the residual maturities of its
trades,
weighted with their notionals (CRE32.49 as MAR50.15(2) refers to it). Within a netting set the capital is shared out as its exposure at
default
is among trades.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregation.answer import Answer
from aggregation.exposure.default_curves import base_market, pricing_market
from aggregation.exposure.reference import counterparties_of
from aggregation.kernels.euler import Split, exact_split
from aggregation.on_demand import plan_scope, value_scope
from aggregation.question import Plan, Question
from aggregation.receipts import name_code
from aggregation.regimes.regimes import Regime, regime_of
from aggregation.regulatory.ba_cva_charge import Approach, Charged, SetExposures, charge_sets
from aggregation.regulatory.cva_hedges import CvaHedge, hedges_of
from aggregation.regulatory.cva_parameters import BaCva
from aggregation.regulatory.sa_ccr.ead import (
    NETTING_SET,
    NettedExposures,
    SaCcrQuery,
    ead_by_netting_set,
    effective_maturities,
    receipt_of,
    without_any,
)
from aggregation.regulatory.sa_ccr.question import parts_of, price_of
from aggregation.session import Session
from aggregation.types import as_model
from lake.arrays import Bools, Codes, Floats, Ints
from lake.errors import BadInput, counted
from lake.tables import Snapshot
from lake.words import sentences
from valuation.types import ValuationFailure

OF_SETS = (NETTING_SET, "counterparty", "legal_entity")


class GivenExposure(BaseModel):
    """The exposure at default of a netting set, as another system has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    netting_set: str = Field(min_length=1, description="name of the netting set")
    counterparty: str = Field(min_length=1, description="a counterparty of the table counterparties")
    legal_entity: str | None = Field(None, description="our legal entity")
    ead: float = Field(ge=0, description="exposure at default in the reporting currency, alpha included")
    maturity: float = Field(ge=0, description="effective maturity in years, without a cap")


class BaCvaQuery(SaCcrQuery):
    """Whose capital for CVA risk in the basic approach, on which day, under which rules."""

    approach: Approach = Field("full", description="full, with hedges; or reduced, which knows none")
    exposures: tuple[GivenExposure, ...] = Field(
        (),
        max_length=100_000,
        description="exposures at default by netting set, in place of those of SA-CCR: netting_set, counterparty, ead, maturity",
    )
    internal_model: bool = Field(
        False,
        description="whether the exposures given come from the internal model method: they are then not discounted",
    )

    @model_validator(mode="after")
    def _of_given(self) -> BaCvaQuery:
        names = [e.netting_set for e in self.exposures]
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise ValueError(f"exposures names netting set {twice} twice")
        if self.internal_model and not self.exposures:
            raise ValueError("internal_model is of exposures that are given; SA-CCR's own are discounted")
        finer = [b for b in self.by if b not in OF_SETS]
        if self.exposures and (finer or self.where):
            raise ValueError(f"exposures that are given are by {', '.join(OF_SETS)} alone, and not filtered")
        return self


@dataclass(frozen=True)
class BaCvaAnswer(Answer):
    """rows : a row a group, sorted: the `by` columns; part, `all` or, where a group is finer than netting sets, `trades` or `agreement`;
    netting_sets, status, reason; ead, scva (stand-alone charge) and capital, the contribution to the whole, which with those of hedges
    adds up to the total to the last bit; rwa. sets : a row a netting set with risk weight, maturity, supervisory discount. hedges : a row
    a hedge with its amount and contribution, or the reason it does not count. total : capital, rwa and what they are made of, in the
    reporting currency.
    """

    query: BaCvaQuery
    rows: pa.Table
    total: Mapping[str, Any]
    sets: pa.Table
    hedges: pa.Table
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    """Netting sets with exposures, and how each splits: set_of, ead : (n_parts,) of trades and agreements, or of the sets themselves;
    position :
    (n_parts,) place in the book, -1 for what is no trade. found : SA-CCR's figures, None of exposures that are given."""

    snapshot: Snapshot
    sets: SetExposures
    shown: Bools
    set_of: Codes
    ead: Floats
    position: Ints
    found: NettedExposures | None


def run_ba_cva(session: Session, query: BaCvaQuery) -> BaCvaAnswer:
    """Capital for CVA risk; raises as SA-CCR does, and `BadInput` where the regime lacks a parameter."""
    check_by(query)
    regime = regime_of(query.regime, query.as_of, session.lake)
    rules = regime.section("ba_cva", BaCva)
    source = _given(session, query) if query.exposures else _of_sa_ccr(session, query)
    known = counterparties_of(source.snapshot, query.known_on)
    hedges = hedges_of(source.snapshot, query.as_of) if query.approach == "full" else ()
    rate = hedge_rates(source.snapshot, query, hedges)
    charged = charge_sets(rules, source.sets, known, hedges, query.approach, query.as_of, rate, query.internal_model)
    split = _split(rules, source, charged)
    return BaCvaAnswer(
        query,
        _rows(query, rules, source, charged, split),
        _total(rules, source, charged, split),
        _sets(source, charged),
        _hedges(rules, charged, split.parts[len(source.ead) :]),
        () if source.found is None else tuple(f for f, _ in source.found.failures),
        _receipt(session, regime, source, query),
        _notes(regime, query, source, charged),
    )


def hedge_rates(snapshot: Snapshot, query: SaCcrQuery, hedges: Sequence[CvaHedge]) -> dict[str, float]:
    """Price of one unit of each currency of the hedges at the market of the day."""
    currencies = {h.currency for h in hedges}
    if currencies <= {query.currency}:
        return {query.currency: 1.0}
    market = pricing_market(base_market(snapshot, query.as_of))
    return {c: float(market.fx(c, query.currency)[0]) for c in sorted(currencies)}


def _given(session: Session, query: BaCvaQuery) -> _Source:
    given = sorted(query.exposures, key=lambda e: e.netting_set)
    n = len(given)
    sets = SetExposures(
        [e.netting_set for e in given],
        [e.counterparty for e in given],
        [e.legal_entity for e in given],
        np.array([e.ead for e in given]),
        np.array([e.maturity for e in given]),
    )
    every = np.arange(n, dtype=np.int32)
    return _Source(session.lake.snapshot(), sets, np.ones(n, np.bool_), every, sets.ead, np.full(n, -1, np.int64), None)


def _of_sa_ccr(session: Session, query: BaCvaQuery) -> _Source:
    found = ead_by_netting_set(session, as_model(SaCcrQuery, query))
    nets, parts = found.nets, parts_of(found)
    sets = SetExposures(
        nets.ids, nets.counterparties, nets.legal_entities, found.exposures.ead, effective_maturities(found)
    )
    shown = np.zeros(len(nets), np.bool_)
    shown[found.in_scope] = True
    position = np.append(found.trades.position, np.full(len(nets), -1, np.int64))
    return _Source(session.lake.snapshot(), sets, shown, parts.set_of, parts.figures["ead"], position, found)


def _split(rules: BaCva, source: _Source, charged: Charged) -> Split:
    """Capital by part of the netting sets, then by hedge and index hedge, on one grid."""
    whole = source.sets.ead[source.set_of]
    share = np.where(whole != 0.0, source.ead / np.where(whole != 0.0, whole, 1.0), 0.0)
    of_sets = rules.discount_scalar * charged.part[source.set_of] * share
    of_hedges = rules.discount_scalar * np.concatenate(_of_hedges(charged))
    return exact_split(np.concatenate([of_sets, of_hedges]), rules.discount_scalar * charged.charge.capital)


def _of_hedges(charged: Charged) -> tuple[Floats, Floats]:
    if not charged.hedges and not charged.index:
        return np.empty(0), np.empty(0)
    return charged.charge.hedges, charged.charge.index


def _rows(query: BaCvaQuery, rules: BaCva, source: _Source, charged: Charged, split: Split) -> pa.Table:
    n_parts = len(source.ead)
    columns = [_column(source, name) for name in query.by]
    finer = not set(query.by) <= set(OF_SETS)
    is_agreement = (source.position < 0) & finer
    shown = source.shown[source.set_of] & ((source.position >= 0) | (source.ead != 0.0) | (source.found is None))
    code = np.zeros(n_parts, np.int64)
    for codes, members in columns:
        code = code * (len(members) + 1) + codes
    if finer:
        code = code * 2 + is_agreement
    _, first, group = np.unique(code[shown], return_index=True, return_inverse=True)
    example, n = np.flatnonzero(shown)[first], len(first)
    set_of = source.set_of[shown]

    def sums(values: Floats) -> Floats:
        return np.asarray(np.bincount(group, weights=values[shown], minlength=n), np.float64)

    lacks = np.array([bool(r) for r in charged.reasons], np.bool_)
    share = source.ead / np.where(source.sets.ead == 0.0, 1.0, source.sets.ead)[source.set_of]
    scva = np.where(np.isnan(charged.scva), 0.0, charged.scva)[source.set_of] * share
    capital = sums(split.parts[:n_parts])
    lacking = np.bincount(group[lacks[set_of]], minlength=n)
    held = np.bincount(group, minlength=n)
    none = lacking == held
    reasons: list[dict[str, None]] = [{} for _ in range(n)]
    for g, s in sorted(set(zip(group.tolist(), set_of.tolist(), strict=True))):
        if charged.reasons[s]:
            reasons[g].setdefault(charged.reasons[s])
    pairs = np.unique(np.stack([group, set_of]), axis=1) if n else np.empty((2, 0), np.int64)
    incomplete = _incomplete(source)
    partial = np.bincount(group[incomplete[set_of]], minlength=n) > 0
    status = np.where(none, "invalid", np.where((lacking > 0) | partial, "partial", "complete"))
    part = np.where(is_agreement[example], "agreement", "trades") if finer else np.full(n, "all")
    return pa.table(
        {
            **{
                name: pa.array(members, pa.string()).take(pa.array(codes[example]))
                for name, (codes, members) in zip(query.by, columns, strict=True)
            },
            "part": pa.array(part.tolist(), pa.string()),
            "netting_sets": np.bincount(pairs[0], minlength=n),
            "status": pa.array(status.tolist(), pa.string()),
            "reason": pa.array([sentences(r) or None for r in reasons], pa.string()),
            "ead": pa.array(sums(source.ead), mask=np.bincount(group[~_unknown(source)[set_of]], minlength=n) == 0),
            "scva": pa.array(sums(scva), mask=none),
            "capital": pa.array(capital, mask=none),
            "rwa": pa.array(rules.rwa_factor * capital, mask=none),
        }
    )


def _incomplete(source: _Source) -> Bools:
    """Whether a trade of each netting set is in no figure, (n_sets,)."""
    if source.found is None:
        return np.zeros(len(source.sets.ids), np.bool_)
    counts = source.found.counts
    return np.asarray(counts[:, 1:3].sum(axis=1) > 0)


def _unknown(source: _Source) -> Bools:
    """Whether no trade of a netting set has an exposure, (n_sets,)."""
    return np.zeros(len(source.sets.ids), np.bool_) if source.found is None else without_any(source.found.counts)


def _column(source: _Source, name: str) -> tuple[Ints, list[str | None]]:
    """Codes of the parts into the sorted members, a null last."""
    sets = source.sets
    if name in OF_SETS:
        of = {NETTING_SET: sets.ids, "counterparty": sets.counterparties, "legal_entity": sets.legal_entities}[name]
        members = sorted({m for m in of if m is not None})
        place = {m: i for i, m in enumerate(members)}
        codes = np.array([len(members) if m is None else place[m] for m in of], np.int64)
        return codes[source.set_of], [*members, None]
    assert source.found is not None
    column = source.found.inputs.book.column(name)
    found: list[str | None] = [*column.members.to_pylist(), *([] if column.members.null_count else [None])]
    at = np.maximum(source.position, 0)
    return np.where(source.position >= 0, column.codes[at], len(found) - 1).astype(np.int64), found


def _total(rules: BaCva, source: _Source, charged: Charged, split: Split) -> dict[str, Any]:
    lacking = sum(1 for r, s in zip(charged.reasons, source.shown.tolist(), strict=True) if r and s)
    sets = int(source.shown.sum())
    any_out = bool((_incomplete(source) & source.shown).any())
    status = "invalid" if lacking == sets else "partial" if lacking or any_out else "complete"
    figures: dict[str, float | None] = {
        "capital": split.total,
        "rwa": rules.rwa_factor * split.total,
        "k_reduced": charged.bare.capital,
        "k_hedged": charged.covered.capital,
        "k": charged.charge.capital,
        "systematic": charged.covered.systematic,
        "idiosyncratic": charged.covered.idiosyncratic,
        "hedge_misalignment": charged.covered.misalignment,
        "of_hedges": math.fsum(split.parts[len(source.ead) :]),
    }
    if sets and lacking == sets:  # nothing has a charge, which is not a charge of zero
        figures = dict.fromkeys(figures)
    known = source.shown & ~_unknown(source)
    return {
        **figures,
        "ead": math.fsum(source.sets.ead[known]) if known.any() or not sets else None,
        "netting_sets": sets,
        "without_charge": lacking,
        "counterparties": len(charged.names),
        "status": status,
    }


def _sets(source: _Source, charged: Charged) -> pa.Table:
    """Every netting set with what its charge is made from."""
    kept = np.flatnonzero(source.shown)
    sets = source.sets

    def known(values: Floats) -> pa.Array:
        return pa.array(values[kept], mask=np.isnan(values[kept]))

    return pa.table(
        {
            NETTING_SET: pa.array([sets.ids[i] for i in kept.tolist()], pa.string()),
            "counterparty": pa.array([sets.counterparties[i] for i in kept.tolist()], pa.string()),
            "legal_entity": pa.array([sets.legal_entities[i] for i in kept.tolist()], pa.string()),
            "ead": pa.array(sets.ead[kept], mask=_unknown(source)[kept]),
            "maturity": known(charged.maturity),
            "risk_weight": known(charged.weight),
            "discount_factor": known(charged.factor),
            "scva": known(charged.scva),
            "reason": pa.array([charged.reasons[i] or None for i in kept.tolist()], pa.string()),
        }
    )


def _hedges(rules: BaCva, charged: Charged, parts: Floats) -> pa.Table:
    """Every hedge with its contribution to capital, mostly negative."""
    counted_ = [*charged.hedges, *charged.index]
    rows = [(h, "", charged.hedge_amounts[h.hedge], float(p)) for h, p in zip(counted_, parts.tolist(), strict=True)]
    rows += [(h, why, None, None) for h, why in charged.left_out]  # type: ignore[misc]
    rows.sort(key=lambda r: r[0].hedge)
    return pa.table(
        {
            "hedge": pa.array([h.hedge for h, *_ in rows], pa.string()),
            "kind": pa.array([h.kind for h, *_ in rows], pa.string()),
            "counterparty": pa.array([h.counterparty for h, *_ in rows], pa.string()),
            "reference": pa.array([h.reference for h, *_ in rows], pa.string()),
            "reference_type": pa.array([h.reference_type for h, *_ in rows], pa.string()),
            "amount": pa.array([a for *_, a, _ in rows], pa.float64()),
            "capital": pa.array([c for *_, c in rows], pa.float64()),
            "reason": pa.array([why or None for _, why, *_ in rows], pa.string()),
        }
    )


def _receipt(session: Session, regime: Regime, source: _Source, query: BaCvaQuery) -> dict[str, Any]:
    versions = {name: session.lake.version(name) for name in ("counterparties", "cva_hedges")}
    if source.found is not None:
        named = receipt_of(source.found)
    else:
        named = {
            "as_of": str(query.as_of),
            "currency": query.currency,
            "table_versions": source.snapshot.named,
            **name_code(),
        }
    return {**named, "table_versions": {**named["table_versions"], **versions}, **regime.named}


def _notes(regime: Regime, query: BaCvaQuery, source: _Source, charged: Charged) -> tuple[str, ...]:
    own = [f"Regime {regime.label}: {regime.title}.", *regime.notes(query.as_of)]
    notes = list(own if source.found is None else source.found.notes)
    if source.found is None:
        notes.append(f"{counted(len(source.sets.ids), 'exposure')} at default as given, not those of SA-CCR.")
    lacking = sorted({r for r, s in zip(charged.reasons, source.shown.tolist(), strict=True) if r and s})
    if lacking:
        n = sum(1 for r, s in zip(charged.reasons, source.shown.tolist(), strict=True) if r and s)
        notes.append(f"{counted(n, 'netting set has', 'netting sets have')} no charge: {sentences(lacking)}")
    if charged.left_out:
        why = sentences(f"{h.hedge}: {reason}" for h, reason in charged.left_out)
        notes.append(f"{counted(len(charged.left_out), 'hedge does', 'hedges do')} not count. {why}")
    if query.approach == "reduced":
        notes.append("The reduced approach knows no hedges.")
    elif not (charged.hedges or charged.index):
        notes.append("There are no hedges that count, so the full approach gives the reduced one's charge.")
    return tuple(dict.fromkeys(notes))


def _plan(session: Session, query: BaCvaQuery) -> Plan:
    return Plan() if query.exposures else plan_scope(session, query)


def _value(session: Session, query: BaCvaQuery) -> BaCvaQuery:
    return query if query.exposures else value_scope(session, query)


def _price(session: Session, query: BaCvaQuery) -> float:
    return 0.1 + 1e-4 * len(query.exposures) if query.exposures else 1.5 * price_of(session, query)


def check_by(query: BaCvaQuery) -> None:
    """Raises `BadInput` for a dimension named twice."""
    if len(set(query.by)) < len(query.by):
        raise BadInput(f"A dimension is named twice: {', '.join(query.by)}.")


BA_CVA = Question(
    BaCvaQuery,
    run_ba_cva,
    {"as_of": "2020-03-16", "by": ["counterparty"]},
    _plan,
    _value,
    price=_price,
)
