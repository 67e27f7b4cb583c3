"""Default risk (MAR22) and residual risk (MAR23) of the standardised approach: what a unit of each contract loses, netting, charges.

A jump to default is what is lost when the obligor defaults: market value less what the contract is worth then, which is LGD x notional +
P&L of the rule with P&L = market value - notional. Whoever loses is long, bought or sold (MAR22.10). A long amount is never below zero, a
short one never above it (MAR22.11).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book
from aggregation.exposure.reference import Classification
from aggregation.kernels.frtb_default import DefaultCharge, default_charge, net_amounts
from aggregation.regulatory.frtb_sa_contracts import ContractTerms, last_day, years_until
from aggregation.regulatory.frtb_sa_parameters import Claim, Drc, Rrao
from lake.arrays import Bools, Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments.rates.coupons import FACE

RANKS = ("covered", "senior", "non_senior", "equity")  # most senior first
_SENIOR, _EQUITY = RANKS.index("senior"), RANKS.index("equity")
_NOT_RATED, _INDEX = "NR", ("index", "credit_index")
_SHARE = "EQ:"  # how the market data begins the name of a share

Named = TypeVar("Named")


class UnitDefault(NamedTuple):
    """Of one unit of a contract: obligor, its rank, and what is lost at a default, in the contract's currency, gains negative; before the
    scaling with maturity, `years`, None for none (a share)."""

    obligor: str
    rank: int
    amount: float
    years: float | None


class NoAmount(Exception):
    """Why there is no amount."""


def unit_default(
    kind: str, terms: Any, claim: Claim, value: float, as_of: dt.date, found: Mapping[str, Classification], drc: Drc,
    index: FactorIndex, base: Floats,
) -> UnitDefault:  # fmt: skip
    """What a unit of a contract loses by the LGD of the rule; raises `NoAmount` with the reason where that is not known.

    value : of one unit today, in its currency. A long amount is never below zero, a short one never above it (MAR22.11).
    """
    refuse_unknown(kind, terms, claim)
    end = last_day(terms)
    years = None if end is None else years_until(end, as_of)
    obligor = obligor_of(claim, terms)
    if claim.startswith("share"):
        lost = loss_at_default(kind, terms, claim, value, 1.0, as_of, index, base)
        long = claim in ("share_forward", "share_future")
        return UnitDefault(obligor, _EQUITY, (max(lost, 0.0) if long else lost) * drc.lgd["equity"], years)
    classified = of_issuer(found, obligor)
    rank = _SENIOR
    if classified is not None:
        rank = RANKS.index("covered" if classified.covered else classified.seniority or "senior")
    lost = loss_at_default(kind, terms, claim, value, drc.lgd[RANKS[rank]], as_of, index, base)  # type: ignore[index]
    short = claim == "protection" and terms.buy_protection
    return UnitDefault(obligor, rank, min(lost, 0.0) if short else max(lost, 0.0), years)


def refuse_unknown(kind: str, terms: Any, claim: Claim) -> None:
    """Raises `NoAmount` for a contract whose loss at a default is not known."""
    if claim == "unknown":
        raise NoAmount(f"the worth at a default of an instrument of type {kind} is not known")
    if getattr(terms, "default_date", None) is not None:
        raise NoAmount("the name has defaulted: what is left is certain")


def issuer_name(name: str) -> str:
    """What an issuer is called: a share EQ:JPM is of JPM, as are the bonds and swaps whose curve or spread is called so."""
    return name.removeprefix(_SHARE)


def of_issuer(found: Mapping[str, Named], issuer: str) -> Named | None:
    """What is known of an issuer by its own name, or else by that of its share."""
    return found.get(issuer, found.get(f"{_SHARE}{issuer}"))


def obligor_of(claim: Claim, terms: Any) -> str:
    """Whose default it is: the issuer of a share, an index itself, else the credit curve, the spread, or for a government's bond its
    currency."""
    if claim.startswith("share") or claim == "unknown":
        return issuer_name(str(terms.underlying))
    return str(getattr(terms, "credit_curve", None) or getattr(terms, "credit_spread", None) or terms.currency)


def loss_at_default(
    kind: str, terms: Any, claim: Claim, value: float, lgd: float, as_of: dt.date, index: FactorIndex, base: Floats
) -> float:
    """Value of a unit today less what it is worth when the obligor has defaulted, gains negative, in the contract's currency.

    lgd : of debt, as a fraction of its face; a share is worth nothing then. Raises `NoAmount` where that worth is not known.
    """
    if claim.startswith("share"):
        return _of_share(claim, terms, value, as_of)
    if claim == "protection":
        notional = 1.0 - sum(c.weight for c in getattr(terms, "defaults", {}).values())
        return float(value - lgd * notional if terms.buy_protection else value + lgd * notional)
    if claim == "face":
        face = _face(kind, terms, as_of, index, base)
        return lgd * face + (value - face)
    return lgd * FACE + (value + float(terms.strike) - FACE)  # the price agreed is paid all the same


def _of_share(claim: Claim, terms: Any, value: float, as_of: dt.date) -> float:
    """Market value less what the contract is worth when the share is worth nothing."""
    if claim == "share":
        return value
    if claim == "share_forward":
        return value + float(terms.strike)
    if claim == "share_future":
        return value + float(terms.reference_price)
    put = terms.option_type == "put"
    if claim == "share_option":
        worth = float(terms.strike) if put else 0.0
    elif claim == "share_digital":
        worth = 1.0 if put and terms.payoff == "cash_or_nothing" else 0.0
    else:  # a barrier below is touched by the fall, one above is not
        touched = terms.barrier_type.startswith("down") or terms.touched(as_of)
        alive = touched == terms.knock_in
        worth = (float(terms.strike) if put else 0.0) if alive else float(terms.rebate or 0.0)
    return value - worth


def _face(kind: str, terms: Any, as_of: dt.date, index: FactorIndex, base: Floats) -> float:
    """What is owed of a unit of debt."""
    if kind == "amortising_bond":
        flows = terms.flows()
        return float(flows.redemptions[flows.days > as_of.toordinal()].sum())
    if kind == "inflation_bond":
        if terms.price_index not in index.row:
            raise NoAmount(f"the market has no level of {terms.price_index}, which its face goes by")
        return FACE * float(base[index.row[terms.price_index]]) / float(terms.base_index)
    return FACE


@dataclass(frozen=True)
class UnitsInDefault:
    """What a unit of each contract loses, by contract of the book. obligors : names, sorted. obligor, rank : (n_contracts,) codes, 0 for a
    contract without; amount : (n_contracts,) in its currency, 0 for one without. lacking : why contracts that bear a default have none."""

    obligors: tuple[str, ...]
    obligor: Ints
    rank: Ints
    amount: Floats
    lacking: Mapping[int, str]

    @classmethod
    def of(cls, units: Mapping[int, UnitDefault], lacking: Mapping[int, str], n: int) -> UnitsInDefault:
        """Of units by place among n contracts."""
        names = sorted({u.obligor for u in units.values()})
        code = {name: i for i, name in enumerate(names)}
        amount, obligor, rank = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64)
        for place, unit in units.items():
            amount[place], obligor[place], rank[place] = unit.amount, code[unit.obligor], unit.rank
        return cls(tuple(names), obligor, rank, amount, lacking)


@dataclass(frozen=True)
class DefaultRisk:
    """The default risk of a selection. position : (n_positions,) what each contributes. charge : the sum. obligors : a row an obligor and
    seniority: bucket, rating, risk weight, long, short, net long, net short, contribution. buckets : a row a bucket: long, short,
    hedge_benefit, charge. lacking : a contract without an amount, by place, with the reason. unrated : obligors without a classification.
    """

    position: Floats
    charge: float
    obligors: pa.Table
    buckets: pa.Table
    lacking: Mapping[int, str]
    unrated: tuple[str, ...]
    indices: tuple[str, ...]


def units_in_default(
    contracts: ContractTerms, values: Floats, drc: Drc, found: Mapping[str, Classification], as_of: dt.date,
    index: FactorIndex, base: Floats, equity_years: float,
) -> tuple[dict[int, UnitDefault], dict[int, str]]:  # fmt: skip
    """By place of the contract what a unit of it loses, scaled with its maturity (MAR22.15-22.18), and why others have no amount.

    values : (n_contracts,) of one unit, in its currency, NaN for what has none, which is left out. equity_years : of a share.
    """
    out, lacking = dict[int, UnitDefault](), dict[int, str]()
    for place, (kind, terms) in enumerate(zip(contracts.kinds, contracts.terms, strict=True)):
        claim = drc.instruments.get(kind)
        if terms is None or claim is None or np.isnan(values[place]):
            continue
        try:
            unit = unit_default(kind, terms, claim, float(values[place]), as_of, found, drc, index, base)
        except NoAmount as reason:
            lacking[place] = str(reason)
            continue
        years = equity_years if unit.years is None else unit.years
        scale = min(max(years, drc.least_maturity_years), drc.horizon_years) / drc.horizon_years
        out[place] = unit._replace(amount=unit.amount * scale)
    return out, lacking


def default_risk(
    units: UnitsInDefault, rates: Floats, book: Book, keep: Bools, drc: Drc, found: Mapping[str, Classification]
) -> DefaultRisk:
    """The charge of the positions kept. rates : (n_contracts,) of each contract's currency in the reporting currency, NaN for what is not
    valued."""
    names, obligor, rank, lacking = units.obligors, units.obligor, units.rank, units.lacking
    n, ranks = len(names), len(RANKS)
    contract = np.repeat(np.arange(len(book.starts) - 1), np.diff(book.starts))
    amount = np.where(units.amount != 0.0, units.amount * np.where(np.isnan(rates), 0.0, rates), 0.0)
    of_position = np.where(keep, book.quantity * amount[contract], 0.0)
    side = (of_position < 0.0).astype(np.int64)
    gross = np.zeros((n, 2, ranks))
    np.add.at(gross, (obligor[contract], side, rank[contract]), np.abs(of_position)) if n else None
    net = net_amounts(gross[:, 0], gross[:, 1])
    classified = {name: of_issuer(found, name) for name in names}
    bucket, weight, ratings = _weights(classified, drc)
    made = default_charge(net, weight, bucket, len(drc.buckets))
    slope = made.slope[obligor[contract], side, rank[contract]] if n else np.zeros(len(contract))
    return DefaultRisk(
        np.abs(of_position) * slope,
        float(made.charge.sum()),
        _obligors(names, gross, net.long, net.short, made, bucket, weight, ratings, drc),
        _buckets(net.long, net.short, made, bucket, drc),
        {p: why for p, why in lacking.items() if keep[book.starts[p] : book.starts[p + 1]].any()},
        tuple(name for name, c in classified.items() if c is None),
        tuple(name for name, c in classified.items() if c is not None and c.kind in _INDEX),
    )


def _weights(found: Mapping[str, Classification | None], drc: Drc) -> tuple[Ints, Floats, list[str]]:
    """Bucket and risk weight of each obligor, and the rating; one without a classification is an unrated corporate."""
    buckets, weights, ratings = [], [], []
    for classified in found.values():
        rating = (classified.rating if classified else None) or _NOT_RATED
        rating = rating if rating in drc.weights else _NOT_RATED
        sector = (classified.sector if classified else None) or (
            "sovereign" if classified is not None and classified.kind == "currency" else ""
        )
        buckets.append(drc.buckets.index(drc.bucket_of.get(sector, drc.buckets[0])))
        weights.append(drc.weights[rating])
        ratings.append(rating)
    return np.array(buckets, dtype=np.int64), np.array(weights, dtype=np.float64), ratings


def _obligors(
    names: Sequence[str], gross: Floats, long: Floats, short: Floats, made: DefaultCharge, bucket: Ints, weight: Floats,
    ratings: Sequence[str], drc: Drc,
) -> pa.Table:  # fmt: skip
    total = gross.sum(axis=2)
    return pa.table(
        {
            "obligor": pa.array(names, pa.string()),
            "bucket": pa.array([drc.buckets[b] for b in bucket.tolist()], pa.string()),
            "rating": pa.array(ratings, pa.string()),
            "risk_weight": pa.array(weight, pa.float64()),
            "gross_long": total[:, 0],
            "gross_short": total[:, 1],
            "net_long": long,
            "net_short": short,
            "contribution": (gross * made.slope).sum(axis=(1, 2)),
        }
    )


def _buckets(long: Floats, short: Floats, made: DefaultCharge, bucket: Ints, drc: Drc) -> pa.Table:
    n = len(drc.buckets)
    return pa.table(
        {
            "bucket": pa.array(drc.buckets, pa.string()),
            "net_long": np.bincount(bucket, long, n).astype(np.float64),
            "net_short": np.bincount(bucket, short, n).astype(np.float64),
            "hedge_benefit": pa.array(made.hedge_benefit, mask=np.isnan(made.hedge_benefit)),
            "charge": made.charge,
        }
    )


@dataclass(frozen=True)
class UnitNotionals:
    """Notional of one unit of each contract with residual risk, (n_contracts,) in its currency, NaN where it is not known, with the reason
    in `lacking`. kind : (n_contracts,) codes into `kinds`, sorted instrument types, -1 for a contract without residual risk."""

    kinds: tuple[str, ...]
    kind: Ints
    amount: Floats
    lacking: Mapping[int, str]


def unit_notionals(contracts: ContractTerms, rrao: Rrao, index: FactorIndex, base: Floats) -> UnitNotionals:
    """The notionals of the contracts of a book."""
    kinds = sorted(rrao.instruments)
    code = {k: i for i, k in enumerate(kinds)}
    n = len(contracts.kinds)
    kind, amount, lacking = np.full(n, -1, np.int64), np.full(n, np.nan), dict[int, str]()
    for place, (name, terms) in enumerate(zip(contracts.kinds, contracts.terms, strict=True)):
        if name not in code or terms is None:
            continue
        kind[place] = code[name]
        try:
            amount[place] = unit_notional(name, terms, index, base)
        except NoAmount as reason:
            lacking[place] = str(reason)
    return UnitNotionals(tuple(kinds), kind, amount, lacking)


@dataclass(frozen=True)
class ResidualRisk:
    """The residual risk add-on. position : (n_positions,) what each contributes. rows : a row an instrument type: kind, notional, charge.

    lacking : a contract without a notional, by place, with the reason."""

    position: Floats
    charge: float
    rows: pa.Table
    lacking: Mapping[int, str]


def residual_risk(units: UnitNotionals, rates: Floats, book: Book, keep: Bools, rrao: Rrao) -> ResidualRisk:
    """The add-on of the positions kept: gross notional of each contract, in which exact opposites have gone (MAR23.7), times its rate.

    rates : (n_contracts,) of each contract's currency in the reporting currency, NaN for what is not valued.
    """
    contract = np.repeat(np.arange(len(book.starts) - 1), np.diff(book.starts))
    held = np.where(keep, book.quantity, 0.0)
    net = np.bincount(contract, held, len(rates)).astype(np.float64)
    chosen = (units.kind >= 0) & (net != 0.0) & ~np.isnan(rates)
    lacking = {place: why for place, why in units.lacking.items() if chosen[place]}
    of = np.flatnonzero(chosen & ~np.isnan(units.amount))
    kind, amount = units.kind[of], units.amount[of] * rates[of]
    rate = np.array([rrao.exotic if rrao.instruments[k] == "exotic" else rrao.other for k in units.kinds])[kind]
    unit = np.zeros(len(rates))
    unit[of] = rate * amount * np.sign(net[of])
    n = len(units.kinds)
    gross = np.bincount(kind, amount * np.abs(net[of]), n).astype(np.float64)  # in the order of the contracts
    charge = np.bincount(kind, rate * amount * np.abs(net[of]), n).astype(np.float64)
    shown = np.unique(kind).tolist()
    rows = pa.table(
        {
            "instrument_type": pa.array([units.kinds[k] for k in shown], pa.string()),
            "residual_risk": pa.array([rrao.instruments[units.kinds[k]] for k in shown], pa.string()),
            "gross_notional": gross[shown],
            "charge": charge[shown],
        }
    )
    position = held * unit[contract]
    return ResidualRisk(position, float((np.abs(net) * np.abs(unit)).sum()), rows, lacking)


def unit_notional(kind: str, terms: Any, index: FactorIndex, base: Floats) -> float:
    """The notional of one unit, in the contract's currency: units of the underlying at its price today, the payment of a cash digital, the
    vega notional of a variance swap."""
    if kind == "variance_swap":
        return 200.0 * float(terms.volatility_strike)  # a unit is a variance point
    if kind == "bermudan_swaption":
        return 1.0
    if kind.endswith("digital_option") and terms.payoff == "cash_or_nothing":
        return 1.0
    if kind.startswith("fx_"):
        return index.cross(terms.base_currency, terms.currency, lambda f: float(base[index.row[f]]), 1.0)
    if terms.underlying not in index.row:
        raise NoAmount(f"the market has no price of {terms.underlying}")
    return abs(float(base[index.row[terms.underlying]]))
