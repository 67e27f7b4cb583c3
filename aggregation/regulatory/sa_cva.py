"""The question `sa-cva`: capital for CVA risk in the standardised approach, from our own sensitivities of CVA or from those of another
system.

Our own are those of unilateral CVA: to the spreads of every counterparty at five tenors, and to the market that drives exposures. What a
group of trades contributes is, risk factor by risk factor, its share of the sensitivity times what the factor contributes to capital
(Euler), so that groups and hedges add up to the capital to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregation.answer import Answer
from aggregation.exposure.cva import (
    CS01,
    cva_status,
    grouping,
    plan_cva,
    price_of_cva,
    receipt_of_cva,
    split_cva,
    value_cva,
)
from aggregation.exposure.cva_query import CvaScope, OpenedCva, open_cva
from aggregation.exposure.default_curves import BASIS_POINT
from aggregation.exposure.reference import Counterparty, ReferenceData, counterparties_of
from aggregation.kernels.euler import exact_split
from aggregation.question import Plan, Question
from aggregation.receipts import name_code
from aggregation.regimes.regimes import Regime, RegimeName, regime_of
from aggregation.regulatory.cva_parameters import SaCva
from aggregation.regulatory.sa_cva_charge import ClassCapital, Factor, Kind, RiskClass, class_capitals, spread_factor
from aggregation.session import Session
from lake.arrays import Bools, Floats
from lake.errors import BadInput, Issue, counted
from lake.words import sentences


class GivenSensitivity(BaseModel):
    """A sensitivity, of CVA or of a hedge, as another system has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    of: Literal["cva", "hedge"] = Field("cva", description="cva: the rise of CVA; hedge: the gain of a hedge")
    risk_class: RiskClass = Field(description="risk class")
    kind: Kind = Field("delta", description="delta, or vega")
    bucket: str = Field(
        "",
        description="a currency of rates and fx; the number of the bucket of reference_spread, equity and commodity; "
        "of counterparty_spread it follows from the sector",
    )
    factor: str = Field(
        "", description="of rates a tenor, inflation, parallel, or rates for their vega; of counterparty_spread a tenor"
    )
    name: str = Field("", description="counterparty or index of a counterparty_spread")
    sector: str | None = Field(
        None, description="of a counterparty_spread: its sector, or index; default that of the table counterparties"
    )
    rating: str | None = Field(None, description="of a counterparty_spread: default that of the table counterparties")
    group: str | None = Field(
        None,
        description="of a counterparty_spread: its group, or the family of an index; default that of the table counterparties",
    )
    amount: float = Field(
        description="change of value over the size of the move: per 1 of a rate or spread, per 100% of a price or a volatility"
    )


class SaCvaQuery(CvaScope):
    """Whose capital for CVA risk in the standardised approach, on which day, under which rules."""

    regime: RegimeName = "basel"
    sensitivities: tuple[GivenSensitivity, ...] = Field(
        (),
        max_length=200_000,
        description="sensitivities of hedges, and of CVA in place of our own: of, risk_class, kind, bucket, factor, name, amount",
    )
    market: bool = Field(
        True,
        description="whether our own sensitivities hold those to the market, for which the book is valued on bumped paths",
    )

    @property
    def own(self) -> bool:
        """Whether sensitivities of CVA are our own."""
        return not any(s.of == "cva" for s in self.sensitivities)

    @model_validator(mode="after")
    def _of_own(self) -> SaCvaQuery:
        if not self.own and (self.by or self.where):
            raise ValueError("sensitivities of CVA that are given are of no positions; leave by and where out")
        return self


@dataclass(frozen=True)
class SaCvaAnswer(Answer):
    """rows : a row a group of our own trades, or one for all: the `by` columns, part (positions, or collateral), status, reason and
    capital, the contribution; a group whose netting sets all have no CVA is `invalid` and has no figure. classes : a row a risk class and
    kind with its capital. factors : a row a risk factor: sensitivities of CVA and hedges, risk weight, what either contributes. Rows and
    the hedges of all factors add up to total["capital"] to the last bit. Money is in the reporting currency.
    """

    query: SaCvaQuery
    rows: pa.Table
    total: Mapping[str, Any]
    classes: pa.Table
    factors: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Own:
    """Our own sensitivities: factors, their sums over all trades, which no grouping changes, and of_group : (n_groups, n_factors) their
    parts by group; keys : of the groups, with status."""

    factors: Sequence[Factor]
    sums: Sequence[float]
    of_group: Floats
    keys: pa.Table
    opened: OpenedCva | None
    notes: tuple[str, ...]

    def without(self) -> Bools:
        """The groups without a figure, (n_groups,)."""
        return np.array([s == "invalid" for s in self.keys["status"].to_pylist()], np.bool_)


def run_sa_cva(session: Session, query: SaCvaQuery) -> SaCvaAnswer:
    """Capital for CVA risk; raises `NotValued` where values on the paths are missing, and `BadInput` for what the rules do not have."""
    regime = regime_of(query.regime, query.as_of, session.lake)
    rules = regime.section("sa_cva", SaCva)
    known = counterparties_of(session.lake, query.as_of)
    given = _given(rules, query, known)
    own = _own(session, query, rules) if query.own else _none()
    mine = [(f, s, 0.0) for f, s in zip(own.factors, own.sums, strict=True)]
    classes = class_capitals(rules, [*mine, *given], query.currency)
    return _answer(session, query, rules, regime, own, classes)


def _none() -> _Own:
    keys = {"part": ["given"], "status": ["complete"], "reason": pa.array([None], pa.string())}
    return _Own((), (), np.zeros((1, 0)), pa.table(keys), None, ())


def _given(rules: SaCva, query: SaCvaQuery, known: ReferenceData[Counterparty]) -> list[tuple[Factor, float, float]]:
    """The sensitivities that are given, each with its factor; raises `BadInput` that names every row at fault."""
    found, issues = [], []
    for i, s in enumerate(query.sensitivities):
        try:
            factor = _factor(rules, s, known)
        except BadInput as error:
            issues.append(Issue(f"sensitivities/{i}", error.message))
            continue
        found.append((factor, s.amount, 0.0) if s.of == "cva" else (factor, 0.0, s.amount))
    if issues:
        told = sentences(f"row {i.pointer.rpartition('/')[2]}: {i.message}" for i in issues)
        raise BadInput(
            f"{counted(len(issues), 'sensitivity has', 'sensitivities have')} no place: {told}", issues=issues
        )
    return found


def _factor(rules: SaCva, s: GivenSensitivity, known: ReferenceData[Counterparty]) -> Factor:
    if s.risk_class != "counterparty_spread":
        if not s.bucket:
            raise BadInput(f"A sensitivity of {s.risk_class} needs its bucket; give a currency or a number.")
        return Factor(s.risk_class, s.kind, s.bucket, s.factor)
    if s.kind == "vega":
        raise BadInput("Spreads of counterparties have no vega in SA-CVA (MAR50.63); leave it out.")
    if not s.name:
        raise BadInput("A sensitivity to a counterparty's spread needs its name.")
    row = known.get(s.name)
    sector = s.sector if s.sector is not None or row is None else row.sector
    rating = s.rating if s.rating is not None or row is None else row.rating
    if sector is None or rating is None:
        raise BadInput(f"{s.name} has no sector or rating. Give them in the row, or: {known.lacking(s.name)}")
    group = s.group or (row.group if row is not None else None)
    return spread_factor(rules, s.name, sector, rating, group, s.factor, index=sector == "index")


def _own(session: Session, query: SaCvaQuery, rules: SaCva) -> _Own:
    """Our sensitivities by group: to spreads by the tenors of the rules, and to the market."""
    asked = query.model_copy(update={"tenors": rules.counterparty_spread.tenors})
    opened = open_cva(session, asked)
    groups, of_set, _ = grouping(opened)
    split = split_cva(opened, groups, of_set)
    sets, n_kept = opened.sets, len(opened.sets.position)
    place = np.concatenate([groups.group[sets.position], np.where(of_set >= 0, of_set, groups.n)]).astype(np.int64)
    set_of = np.concatenate([sets.code, np.arange(len(sets))]).astype(np.int64)
    factors: list[Factor] = []
    sums: list[float] = []
    columns: list[Floats] = []

    def add(factor: Factor, values: Floats) -> None:
        factors.append(factor)
        sums.append(math.fsum(values))
        columns.append(np.asarray(np.bincount(place, weights=values, minlength=groups.n + 1), np.float64))

    parts = dict(zip(split.names, (s.parts for s in split.splits), strict=True))
    counterparties = np.array([c or "" for c in sets.counterparties], dtype=object)
    for name in sorted(opened.curves.curves.keys() & set(counterparties.tolist())):
        row, of = opened.known[name], counterparties[set_of] == name
        for tenor in asked.tenors:
            values = np.where(of, parts[f"{CS01}_{tenor}"], 0.0) / BASIS_POINT
            if values.any():
                add(spread_factor(rules, name, row.sector, row.rating, row.group, tenor), values)
    notes: list[str] = []
    if query.market:
        from aggregation.regulatory.sa_cva_market import market_sensitivities  # noqa: PLC0415 - with the pricers

        market = market_sensitivities(session, opened, rules)
        notes += market.notes
        for factor, values in zip(market.factors, market.parts, strict=True):
            add(factor, values)
    else:
        notes.append("Sensitivities to the market are left out, as asked.")
    of_group = np.array(columns).T if columns else np.zeros((groups.n + 1, 0))
    rest = bool((of_set < 0).any())
    keys = {c: pa.array([*groups.keys[c].to_pylist(), *([None] * rest)], pa.string()) for c in groups.keys.column_names}
    part = ["positions"] * groups.n + ["collateral"] * rest
    states, reasons = cva_status(opened, groups.group[sets.position].astype(np.int64), groups.n)
    keys |= {
        "part": part,
        "status": states + ["complete"] * rest,
        "reason": pa.array(reasons + [None] * rest, pa.string()),
    }
    told = sorted({c for c, _ in opened.reasons() if c})
    if told:
        n = sum(1 for c, _ in opened.reasons() if c)
        notes.append(f"{counted(n, 'netting set has', 'netting sets have')} no CVA and no capital: {sentences(told)}")
    assert n_kept + len(sets) == len(place)
    return _Own(factors, sums, of_group[: groups.n + rest], pa.table(keys), opened, tuple(notes))


def _answer(
    session: Session,
    query: SaCvaQuery,
    rules: SaCva,
    regime: Regime,
    own: _Own,
    classes: Sequence[ClassCapital],
) -> SaCvaAnswer:
    placed = {f.factor: f for c in classes for f in c.factors}
    n_groups = len(own.of_group)
    contributions = np.zeros(n_groups)
    given_cva = 0.0 if query.own else math.fsum(f.of_cva for f in placed.values())
    for j, factor in enumerate(own.factors):
        p = placed[factor]
        if p.cva:
            contributions += own.of_group[:, j] * (p.of_cva / p.cva)
    if not query.own:
        contributions[0] = given_cva
    in_order = [f for c in classes for f in c.factors]
    hedges = np.array([f.of_hedges for f in in_order])
    capital = math.fsum(c.capital for c in classes)
    split = exact_split(np.concatenate([contributions, hedges]), capital)
    status = "complete" if own.opened is None or not any(c for c, _ in own.opened.reasons()) else "partial"
    if own.opened is not None and (own.opened.exposure.failures or not query.market):
        status = "partial"
    figures: dict[str, float | None] = {
        "capital": split.total,
        "rwa": rules.rwa_factor * split.total,
        "delta": math.fsum(c.capital for c in classes if c.kind == "delta"),
        "vega": math.fsum(c.capital for c in classes if c.kind == "vega"),
        "of_hedges": math.fsum(split.parts[n_groups:]),
    }
    if own.without().all():  # there is no CVA, which is not one of zero
        status, figures = "invalid", dict.fromkeys(figures)
    total = {
        **figures,
        "factors": len(in_order),
        "status": status,
    }
    return SaCvaAnswer(
        query,
        own.keys.append_column("capital", pa.array(split.parts[:n_groups], mask=own.without())),
        total,
        _classes(classes),
        _factors(in_order, split.parts[n_groups:]),
        _receipt(session, query, regime, own),
        (
            f"Regime {regime.label}: {regime.title}.",
            *regime.notes(query.as_of),
            *(() if own.opened is None else own.opened.exposure.notes),
            *([] if query.own else ["Sensitivities of CVA are as given, not our own."]),
            *own.notes,
        ),
    )


def _classes(classes: Sequence[ClassCapital]) -> pa.Table:
    rows = [(c.risk_class, c.kind, len(c.buckets), len(c.factors), c.capital) for c in classes]
    names = (
        ("risk_class", pa.string()),
        ("kind", pa.string()),
        ("buckets", pa.int64()),
        ("factors", pa.int64()),
        ("capital", pa.float64()),
    )
    return pa.table({n: pa.array([r[i] for r in rows], t) for i, (n, t) in enumerate(names)})


def _factors(placed: Sequence[Any], of_hedges: Floats) -> pa.Table:
    texts = ("risk_class", "kind", "bucket", "factor", "name", "quality")
    columns: dict[str, Any] = {t: pa.array([getattr(p.factor, t) or None for p in placed], pa.string()) for t in texts}
    numbers = {
        "sensitivity_cva": "cva",
        "sensitivity_hedges": "hedges",
        "risk_weight": "weight",
        "capital_cva": "of_cva",
    }
    columns.update({n: pa.array([getattr(p, a) for p in placed], pa.float64()) for n, a in numbers.items()})
    return pa.table({**columns, "capital_hedges": pa.array(of_hedges)})


def _receipt(session: Session, query: SaCvaQuery, regime: Regime, own: _Own) -> dict[str, Any]:
    if own.opened is not None:
        return {**receipt_of_cva(own.opened), **regime.named}
    snapshot = session.lake.snapshot()
    versions = {**snapshot.named, "counterparties": session.lake.version("counterparties")}
    return {
        "as_of": str(query.as_of),
        "currency": query.currency,
        "table_versions": versions,
        **name_code(),
        **regime.named,
    }


def _plan(session: Session, query: SaCvaQuery) -> Plan:
    return plan_cva(session, query) if query.own else Plan()


def _value(session: Session, query: SaCvaQuery) -> SaCvaQuery:
    if query.own:
        value_cva(session, query)
        if query.market:  # as the question asks for them, that its answer finds them
            run_sa_cva(session, query)
    return query


def _price(session: Session, query: SaCvaQuery) -> float:
    if not query.own:
        return 0.1 + 1e-4 * len(query.sensitivities)
    return (30.0 if query.market else 1.0) * price_of_cva(session, query)


SA_CVA = Question(
    SaCvaQuery,
    run_sa_cva,
    {
        "as_of": "2020-03-16",
        "sensitivities": [
            {"risk_class": "rates", "bucket": "USD", "factor": "5Y", "amount": 2.5e7},
            {"risk_class": "fx", "bucket": "EUR", "amount": 4e6},
            {"risk_class": "fx", "bucket": "EUR", "amount": 3e6, "of": "hedge"},
        ],
    },
    _plan,
    _value,
    price=_price,
)
