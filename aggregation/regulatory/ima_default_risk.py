"""QUESTIONS "drc-ima": the default risk charge of the internal model: VaR of a year's defaults at 99.9%, by simulation (MAR33.18 to 33.39).

What a position loses when its issuer defaults is its value today less what it is worth then, as the standardised approach has it
(`frtb_sa_default`), at the LGD of the issuer: face times recovery for a bond, LGD paid or received for protection, nothing for a share,
the strike for a put on it. Positions in one issuer offset; those in different ones default together only as the copula has it.

Each issuer contributes its amount times how often it defaults on the paths around the VaR, scaled to add up: the
conditional mean that Euler's split of
a VaR is (Tasche 1999).
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator
from scipy import stats

from aggregation.answer import Answer
from aggregation.exposure.reference import Classification, Counterparty, classifications_of, counterparties_of
from aggregation.kernels.default_simulation import Obligors, defaults_on, simulated_losses
from aggregation.kernels.estimators import exact_level
from aggregation.kernels.euler import exact_split, group_sums
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.price import SECONDS_A_ROW, history_seconds, size_of
from aggregation.question import Question
from aggregation.receipts import name_inputs
from aggregation.reduce.coverage import lacking_notes, show_groups, total_coverage
from aggregation.reduce.selection import Selection, open_selection
from aggregation.regimes.ima_parameters import DefaultRiskRules, ima_parameters
from aggregation.regimes.regimes import RegimeName, regime_of
from aggregation.regulatory.default_correlations import (
    DAYS,
    SECONDS_A_PAIR_MOVE,
    CorrelationRules,
    Issuers,
    correlations_of,
    names_that_may_default,
)
from aggregation.regulatory.frtb_sa_default import (
    NoAmount,
    issuer_name,
    loss_at_default,
    obligor_of,
    of_issuer,
    refuse_unknown,
)
from aggregation.regulatory.frtb_sa_holes import CapitalCoverage, coverage_in_part
from aggregation.regulatory.frtb_sa_parameters import SECTION, Claim, FrtbSa
from aggregation.session import Session
from aggregation.types import Scope, Whole
from lake.arrays import Floats, Ints
from lake.errors import BadInput, Issue, counted, unknown
from lake.landing.reference_values import RATINGS
from lake.tables import Snapshot
from lake.words import first_of
from scenarios.store import load_scenario_set
from scenarios.types import FactorIndex
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import terms_from_json

_AROUND = 0.1  # share of the tail on either side of the VaR that contributions are averaged over
_SECONDS_A_DRAW = 1.2e-8  # of a normal, drawn and compared
_SHOWN = 3
_NOT_LOOKED_THROUGH = "an index has many issuers, and is not looked through"
_NO_PD = "no probability of default: neither in the counterparty table nor in pds or pd_by_rating"

_READ_LEVELS = ("inflation_bond",)  # what is owed of them goes by a level of the market
_NO_MARKET = (FactorIndex.of(()), np.zeros(0))
_Market = Callable[[], tuple[FactorIndex, Floats]]


class DrcImaQuery(CorrelationRules, Scope):
    """Whose default risk, with which dependence, from how many paths."""

    regime: RegimeName = Field("basel")
    pds: dict[str, float] = Field(
        default_factory=dict,
        description="probability of default in a year by issuer, in place of the counterparty table's",
    )
    pd_by_rating: dict[str, float] = Field(
        default_factory=dict,
        description="probability of default by rating, for issuers that are classified and have none of their own",
    )
    lgds: dict[str, float] = Field(
        default_factory=dict, description="loss given default by issuer, in place of the counterparty table's"
    )
    paths: Whole = Field(100_000, ge=10_000, le=5_000_000, description="simulated years")
    seed: Whole = Field(1, ge=0, description="seed of the simulation")

    @model_validator(mode="after")
    def _fractions(self) -> Self:
        for what in ("pds", "pd_by_rating", "lgds"):
            for name, value in getattr(self, what).items():
                if not 0.0 <= value <= 1.0:
                    raise ValueError(f"{what} of {name} is {value}; expected a fraction from 0 to 1")
        return self


@dataclass(frozen=True)
class DrcIma(Answer):
    """rows : a row a group: the `by` columns, coverage, jump_to_default (what is lost if all issuers defaulted) and contribution to the
    charge, which add up to it; `in_part` counts the covered positions that are not in it, whose issuers have a reason. charge : VaR at the
    regime's level of a year's losses, in the reporting currency. low, high : its 95% sampling interval, by order statistics.
    issuers : a row an issuer: sector, pd, jump_to_default, contribution, or the reason why it is not in the charge; and the
    risk factor (history) with its moves that correlations are estimated from, or why there is none (no_history). correlations : a row
    for the common factor and one for that of a sector: the correlation, its standard error, and the pairs, moves and days behind it."""

    query: DrcImaQuery
    regime: str
    rows: pa.Table
    charge: float
    low: float
    high: float
    issuers: pa.Table
    correlations: pa.Table
    coverage: CapitalCoverage
    status: str
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class _Unit(NamedTuple):
    """Of one unit of a contract: its issuer, and what is lost at its default in the contract's currency; the reason
    where that is not known."""

    issuer: str | None
    amount: float
    reason: str | None = None


def unit_loss(
    kind: str, terms: Any, claim: Claim | None, value: float, lgd: float | None, as_of: dt.date, market: _Market
) -> _Unit:
    """What one unit loses when its issuer defaults, gains negative: the amounts of `frtb_sa_default` at the LGD of the issuer.

    claim : what the contract is on, None for one without default risk, whose issuer is None. lgd : None where it is not known; a share
    loses everything. market : gives index and levels of the day, which a few contracts read.
    """
    if claim is None:
        return _Unit(None, 0.0)
    issuer = obligor_of(claim, terms)
    try:
        refuse_unknown(kind, terms, claim)
        if lgd is None and not claim.startswith("share"):
            return _Unit(issuer, 0.0, "no loss given default: neither in the counterparty table nor in lgds")
        index, base = market() if kind in _READ_LEVELS else _NO_MARKET
        return _Unit(
            issuer, loss_at_default(kind, terms, claim, value, 1.0 if lgd is None else lgd, as_of, index, base)
        )
    except NoAmount as reason:
        return _Unit(issuer, 0.0, str(reason))


@dataclass(frozen=True)
class _Reference:
    """What is known of issuers. pds, lgds : as given, by the names of issuers."""

    query: DrcImaQuery
    pds: Mapping[str, float]
    lgds: Mapping[str, float]
    rules: DefaultRiskRules
    claims: Mapping[str, Claim]
    snapshot: Snapshot
    counterparties: Mapping[str, Counterparty]
    classifications: Mapping[str, Classification]

    def counterparty(self, issuer: str) -> Counterparty | None:
        return self.counterparties.get(issuer)

    def is_index(self, issuer: str) -> bool:
        """Whether the name is that of an index of shares or names."""
        found = of_issuer(self.classifications, issuer)
        return issuer.startswith("IDX:") or (found is not None and found.kind in ("index", "credit_index"))

    def lgd(self, issuer: str) -> float | None:
        found = self.counterparty(issuer)
        return self.lgds.get(issuer, None if found is None else found.lgd)

    def pd(self, issuer: str) -> float | None:
        """With the floor of the regime; None where it is not known."""
        found, classified = self.counterparty(issuer), of_issuer(self.classifications, issuer)
        own = self.pds.get(issuer, None if found is None else found.pd)
        if own is None and classified is not None and classified.rating is not None:
            own = self.query.pd_by_rating.get(classified.rating)
        return None if own is None else max(own, self.rules.pd_floor)

    def sector(self, issuer: str) -> str:
        found, classified = self.counterparty(issuer), of_issuer(self.classifications, issuer)
        # a counterparty may have the curve of another name, whose sector is the name's own
        return (classified.sector if classified else None) or (found.sector if found else None) or "other"


def _by_issuer(found: Mapping[str, Counterparty]) -> dict[str, Counterparty]:
    """Counterparties by their name and by their credit curve; of several with one curve the first by name."""
    named = {c.credit_curve: c for _, c in sorted(found.items(), reverse=True) if c.credit_curve}
    return {**named, **found}


def _given(query: DrcImaQuery, what: str) -> dict[str, float]:
    """What is given of issuers, by their names; raises `BadInput` where one stands under two names with two values."""
    found: dict[str, float] = {}
    for name, value in getattr(query, what).items():
        if found.setdefault(issuer_name(name), value) != value:
            message = f"{issuer_name(name)} and {name} are one issuer; give {what} of it once."
            raise BadInput(message, issues=(Issue(f"/{what}", message, name),))
    return found


def _answer(session: Session, query: DrcImaQuery) -> DrcIma:
    session = session.as_known(query.as_known)
    inputs = open_inputs(session.cache, query)
    selection = open_selection(inputs, query)
    regime = regime_of(query.regime, query.as_of, session.lake)
    rules = ima_parameters(regime).default_risk
    snapshot = session.lake.snapshot()
    known = _Reference(
        query,
        _given(query, "pds"),
        _given(query, "lgds"),
        rules,
        regime.section(SECTION, FrtbSa).drc.instruments,
        snapshot,
        _by_issuer(counterparties_of(snapshot, query.as_of)),
        classifications_of(snapshot, query.as_of),
    )
    show_groups(selection, query, ("jump_to_default", "contribution"))
    names, contract_issuer, unit, lacking, idle = _units(inputs, selection, known)
    _refuse_unknown_names(session, query, known, names)
    position = _positions(selection, contract_issuer, unit)
    issuer = np.where(selection.groups.group >= 0, np.repeat(contract_issuer, np.diff(inputs.book.starts)), -1).astype(
        np.int32
    )
    amounts = group_sums(position, issuer, len(names))
    pds = [known.pd(n) for n in names]
    counted_in = np.array([p is not None for p in pds], np.bool_)
    indices = frozenset(names[contract_issuer[p]] for p, why in lacking.items() if why == _NOT_LOOKED_THROUGH)
    without = np.flatnonzero((contract_issuer >= 0) & ~np.append(counted_in, True)[contract_issuer])
    lacking |= dict.fromkeys(without.tolist(), _NO_PD)
    reasons: dict[str, str] = {}
    for place, why in sorted(lacking.items()):
        reasons.setdefault(names[contract_issuer[place]], why)
    sectors = sorted({known.sector(n) for n in names})
    drawn = np.flatnonzero(counted_in)
    issuers_drawn = {names[i]: known.sector(names[i]) for i in drawn.tolist()}
    lose = frozenset(names[i] for i in drawn.tolist() if amounts[i] != 0.0)
    together = correlations_of(inputs, query, Issuers(issuers_drawn, indices & issuers_drawn.keys(), lose))
    of = Obligors(
        amounts[drawn],
        np.array([pds[i] for i in drawn], np.float64),
        np.array([sectors.index(known.sector(names[i])) for i in drawn], np.int32),
        together.common,
        together.own_sector,
    )
    charge, low, high, share = _charge(of, rules, query)
    rate = np.zeros(len(names))
    rate[drawn] = share
    parts = position * np.where(issuer >= 0, np.append(rate, 0.0)[issuer], 0.0)
    split = exact_split(parts, charge)
    groups = selection.groups
    n = groups.n if query.by else 1
    group = groups.group if query.by else np.where(groups.group >= 0, 0, -1).astype(np.int32)
    covered = coverage_in_part(selection, lacking)
    rows = pa.table(
        {
            **{name: groups.keys[name] for name in query.by},
            **{name: (c.slice(0, n) if query.by else c.slice(groups.n)) for name, c in covered.items()},
            "jump_to_default": group_sums(position, group, n),
            "contribution": group_sums(split.parts, group, n),
        }
    )
    of_issuers = group_sums(split.parts, issuer, len(names))
    issuers = pa.table(
        {
            "issuer": pa.array(names, pa.string()),
            "sector": pa.array([known.sector(i) for i in names], pa.string()),
            "pd": pa.array(pds, pa.float64()),
            "jump_to_default": pa.array(amounts),
            "contribution": pa.array(of_issuers, mask=~counted_in),
            "reason": pa.array([reasons.get(i) for i in names], pa.string()),
            "history": pa.array([together.history.get(i) for i in names], pa.string()),
            "moves": pa.array([together.moves.get(i) for i in names], pa.int64()),
            "no_history": pa.array([together.lacking.get(i) for i in names], pa.string()),
        }
    )
    coverage = CapitalCoverage(**vars(total_coverage(covered)), in_part=covered["in_part"][-1].as_py())
    whole = not together.short and coverage.status in ("complete", "with substitutes")
    notes = [
        f"By {regime.title} ({regime.label}).",
        *regime.notes(query.as_of),
        f"{query.paths:,} simulated years, seed {query.seed}.",
        *together.notes,
        f"Probabilities of default are {rules.pd_floor:.2%} at least.",
        f"The rule takes the larger of this figure and its average over {rules.average_weeks} weeks.",
    ]
    if reasons:
        first = first_of(sorted(reasons), _SHOWN)
        notes.append(
            f"Partial: {counted(coverage.in_part, 'position')} of {counted(len(reasons), 'issuer')} not in the charge, see the reason: "
            f"{first}."
        )
    if idle:
        notes.append(f"{counted(idle, 'contract')} of the selection bear no issuer's default.")
    notes += lacking_notes(coverage, selection, "no value")
    versions = {t: v for t, v in snapshot.named.items() if t in ("counterparties", "classifications")}
    named = name_inputs(inputs)
    receipt = {**named, **regime.named, **together.named}
    receipt["table_versions"] = {**named["table_versions"], **versions}
    return DrcIma(
        query,
        regime.label,
        rows,
        split.total,
        low,
        high,
        issuers,
        together.rows,
        coverage,
        "partial" if not whole else "with substitutes" if together.substituted else "complete",
        receipt,
        tuple(notes),
    )


def _refuse_unknown_names(session: Session, query: DrcImaQuery, known: _Reference, names: Sequence[str]) -> None:
    """Raises `BadInput` for an issuer that neither the selection nor the lake has, and for a rating that there is not."""
    issuers = {*names, *known.counterparties, *known.classifications, *names_that_may_default(session)}
    known_as = {issuer_name(n) for n in issuers}
    for what in ("pds", "lgds"):
        for name in sorted(n for n in getattr(query, what) if issuer_name(n) not in known_as):
            raise unknown("issuer", name, issuers, pointer=f"/{what}")
    for rating in sorted(query.pd_by_rating.keys() - {*RATINGS}):
        raise unknown("rating", rating, RATINGS, pointer="/pd_by_rating")


def _units(
    inputs: Inputs, selection: Selection, known: _Reference
) -> tuple[list[str], Ints, Floats, dict[int, str], int]:
    """Issuers by name; of each contract of the book the number of its issuer, -1 for none, and what a unit loses; by contract why that is
    not known; and how many contracts held bear no issuer's default."""
    book, row = inputs.book, inputs.alignment.row
    held = np.add.reduceat((selection.groups.group >= 0).astype(np.int64), book.starts[:-1]) > 0
    there = np.flatnonzero(held & (row >= 0))
    rows = contracts_by_id(known.snapshot, book.contract_ids.take(pa.array(there))).to_pylist()
    by_id = {r["contract_id"]: r for r in rows}
    ids = book.contract_ids.take(pa.array(there)).to_pylist()
    units: dict[int, _Unit] = {}

    @functools.cache
    def market() -> tuple[FactorIndex, Floats]:
        made = load_scenario_set(known.snapshot, inputs.valuation_set.scenario_set_id)
        return made.index, made.base

    for place, contract_id in zip(there.tolist(), ids, strict=True):
        kind = by_id[contract_id]["instrument_type"]
        terms = terms_from_json(kind, by_id[contract_id]["terms"])
        claim, value = known.claims.get(kind), float(inputs.vectors.base[row[place]])
        issuer = None if claim is None else obligor_of(claim, terms)
        lgd = None if issuer is None else known.lgd(issuer)
        unit = unit_loss(kind, terms, claim, value, lgd, known.query.as_of, market)
        if issuer is not None and (kind == "credit_index" or known.is_index(issuer)):
            unit = _Unit(issuer, 0.0, _NOT_LOOKED_THROUGH)
        units[place] = unit
    names = sorted({u.issuer for u in units.values() if u.issuer is not None})
    number = {n: i for i, n in enumerate(names)}
    issuer_code: Ints = np.full(len(row), -1, np.int64)
    amount: Floats = np.zeros(len(row))
    for place, u in units.items():
        if u.issuer is not None:
            issuer_code[place], amount[place] = number[u.issuer], u.amount
    lacking = {place: u.reason for place, u in sorted(units.items()) if u.issuer is not None and u.reason is not None}
    return names, issuer_code, amount, lacking, sum(u.issuer is None for u in units.values())


def _positions(selection: Selection, issuer: Ints, unit: Floats) -> Floats:
    """What each position loses, (n_positions,), in the reporting currency at the base exchange rates; zero for those
    outside the selection."""
    inputs = selection.inputs
    row = inputs.alignment.row
    fx = selection.rates.base[inputs.vectors.currency[np.maximum(row, 0)]]
    money = np.where(issuer >= 0, unit * np.where(issuer >= 0, fx, 1.0), 0.0)
    quantity = np.where(selection.groups.group >= 0, inputs.book.quantity, 0.0)
    return np.asarray(quantity * np.repeat(money, np.diff(inputs.book.starts)))


def _charge(of: Obligors, rules: DefaultRiskRules, query: DrcImaQuery) -> tuple[float, float, float, Floats]:
    """VaR, the ends of its interval, and how often each obligor defaults at it (n_obligors,), scaled so that amounts times that add up."""
    if not len(of.amount):
        return 0.0, 0.0, 0.0, np.zeros(0)
    losses = simulated_losses(of, query.paths, query.seed)
    level = exact_level(rules.level)
    n = query.paths
    order = np.argsort(-losses, kind="stable")  # of equal losses the earlier path first
    k = -(-n * (level.denominator - level.numerator) // level.denominator)  # the k-th worst, in whole numbers
    var = float(losses[order[k - 1]])
    above = stats.binom.ppf([0.025, 0.975], n, 1.0 - float(level))
    low, high = (float(losses[order[min(max(int(a), 0), n - 1)]]) for a in above[::-1])
    if var <= 0.0:
        return max(var, 0.0), max(low, 0.0), max(high, 0.0), np.zeros(len(of.amount))
    wide = max(1, int(k * _AROUND))
    near = np.sort(order[max(k - 1 - wide, 0) : k + wide])
    share = np.add.reduce(defaults_on(of, near, query.seed), axis=0) / len(near)
    mean = float(np.add.reduce(share * of.amount))
    if mean <= 0.0:
        share = defaults_on(of, order[k - 1 : k], query.seed)[0]
        mean = float(np.add.reduce(share * of.amount))
    return var, low, high, share * (var / mean)


def _price(session: Session, query: DrcImaQuery) -> float:
    size = size_of(session, query)
    contracts = size.seal.submitted if size.seal is not None else size.positions
    issuers = min(contracts, len(names_that_may_default(session)))
    seconds = size.seconds() + SECONDS_A_ROW * 20 * contracts + _SECONDS_A_DRAW * query.paths * issuers
    if query.common_correlation is not None:
        return seconds
    pair_moves = issuers * issuers / 2 * DAYS * query.correlation_years
    return seconds + history_seconds(session) + SECONDS_A_PAIR_MOVE * pair_moves


DRC_IMA = Question(
    DrcImaQuery,
    _answer,
    {"as_of": "2020-03-16", "by": ["desk"], "paths": 20_000, "pd_by_rating": {"AAA": 0.0003, "BBB": 0.002, "BB": 0.01}},
    plan_scope,
    value_scope,
    price=_price,
)
