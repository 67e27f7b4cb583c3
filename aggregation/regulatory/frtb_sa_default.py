"""Default risk (MAR22) and residual risk (MAR23) of the standardised approach: what a unit of each contract loses, netting, charges.

A jump to default is what is lost when the obligor defaults: market value less what the contract is worth then, which is LGD x notional +
P&L of the rule with P&L = market value - notional. Whoever loses is long, bought or sold (MAR22.10). A long amount is never below zero, a
short one never above it (MAR22.11).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book
from aggregation.kernels.frtb_default import DefaultCharge, default_charge, net_amounts
from aggregation.regulatory.frtb_sa_contracts import ContractTerms, last_day, years_until
from aggregation.regulatory.frtb_sa_factors import Classified
from aggregation.regulatory.frtb_sa_parameters import Claim, Drc, Rrao
from lake.arrays import Bools, Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments.rates.coupons import FACE

RANKS = ("covered", "senior", "non_senior", "equity")  # most senior first
_SENIOR, _EQUITY = RANKS.index("senior"), RANKS.index("equity")
_NOT_RATED, _INDEX = "NR", ("index", "credit_index")


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
    kind: str, terms: Any, claim: Claim, value: float, as_of: dt.date, found: Mapping[str, Classified], drc: Drc,
    index: FactorIndex, base: Floats,
) -> UnitDefault:  # fmt: skip
    """What a unit of a contract loses; raises `NoAmount` with the reason where that is not known.

    value : of one unit today, in its currency.
    """
    if claim == "unknown":
        raise NoAmount(f"what a {kind} is worth at a default is not known")
    if getattr(terms, "default_date", None) is not None:
        raise NoAmount("the name has defaulted: what is left is certain")
    end = last_day(terms)
    years = None if end is None else years_until(end, as_of)
    if claim.startswith("share"):
        return UnitDefault(terms.underlying, _EQUITY, _of_share(claim, terms, value, as_of) * drc.lgd["equity"], years)
    obligor = getattr(terms, "credit_curve", None) or getattr(terms, "credit_spread", None) or terms.currency
    classified = found.get(obligor)
    rank = _SENIOR
    if classified is not None:
        rank = RANKS.index("covered" if classified.covered else classified.seniority or "senior")
    lgd = drc.lgd[RANKS[rank]]  # type: ignore[index]
    if claim == "protection":
        notional = 1.0 - sum(c.weight for c in getattr(terms, "defaults", {}).values())
        lost = min(value - lgd * notional, 0.0) if terms.buy_protection else max(value + lgd * notional, 0.0)
    elif claim == "face":
        face = _face(kind, terms, as_of, index, base)
        lost = max(lgd * face + (value - face), 0.0)
    else:  # the price agreed is paid all the same
        lost = max(lgd * FACE + (value + terms.strike - FACE), 0.0)
    return UnitDefault(obligor, rank, lost, years)


def _of_share(claim: Claim, terms: Any, value: float, as_of: dt.date) -> float:
    """Market value less what the contract is worth when the share is worth nothing."""
    if claim == "share":
        return value
    if claim == "share_forward":
        return max(value + float(terms.strike), 0.0)
    if claim == "share_future":
        return max(value + float(terms.reference_price), 0.0)
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
    if kind == "inflation_bond" and terms.price_index in index.row:
        return FACE * float(base[index.row[terms.price_index]]) / float(terms.base_index)
    return FACE


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
    contracts: ContractTerms, values: Floats, drc: Drc, found: Mapping[str, Classified], as_of: dt.date,
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
    units: Mapping[int, UnitDefault], rates: Floats, book: Book, keep: Bools, drc: Drc, found: Mapping[str, Classified],
    lacking: Mapping[int, str],
) -> DefaultRisk:  # fmt: skip
    """The charge of the positions kept. rates : (n_contracts,) of each contract's currency in the reporting currency."""
    names = sorted({u.obligor for u in units.values()})
    code = {name: i for i, name in enumerate(names)}
    n, ranks = len(names), len(RANKS)
    contract = np.repeat(np.arange(len(book.starts) - 1), np.diff(book.starts))
    amount, obligor, rank = np.zeros(len(rates)), np.zeros(len(rates), np.int64), np.zeros(len(rates), np.int64)
    for place, unit in units.items():
        amount[place], obligor[place], rank[place] = unit.amount * rates[place], code[unit.obligor], unit.rank
    of_position = np.where(keep, book.quantity * amount[contract], 0.0)
    side = (of_position < 0.0).astype(np.int64)
    gross = np.zeros((n, 2, ranks))
    np.add.at(gross, (obligor[contract], side, rank[contract]), np.abs(of_position)) if n else None
    net = net_amounts(gross[:, 0], gross[:, 1])
    bucket, weight, ratings = _weights(names, found, drc)
    made = default_charge(net, weight, bucket, len(drc.buckets))
    slope = made.slope[obligor[contract], side, rank[contract]] if n else np.zeros(len(contract))
    return DefaultRisk(
        np.abs(of_position) * slope,
        float(made.charge.sum()),
        _obligors(names, gross, net.long, net.short, made, bucket, weight, ratings, drc),
        _buckets(net.long, net.short, made, bucket, drc),
        {p: why for p, why in lacking.items() if keep[book.starts[p] : book.starts[p + 1]].any()},
        tuple(name for name in names if name not in found),
        tuple(name for name in names if name in found and found[name].kind in _INDEX),
    )


def _weights(names: Sequence[str], found: Mapping[str, Classified], drc: Drc) -> tuple[Ints, Floats, list[str]]:
    """Bucket and risk weight of each obligor, and the rating; one without a classification is an unrated corporate."""
    buckets, weights, ratings = [], [], []
    for name in names:
        classified = found.get(name)
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
class ResidualRisk:
    """The residual risk add-on. position : (n_positions,) what each contributes. rows : a row an instrument type: kind, notional, charge.

    lacking : a contract without a notional, by place, with the reason."""

    position: Floats
    charge: float
    rows: pa.Table
    lacking: Mapping[int, str]


def residual_risk(
    contracts: ContractTerms, rates: Floats, book: Book, keep: Bools, rrao: Rrao, index: FactorIndex, base: Floats
) -> ResidualRisk:
    """The add-on of the positions kept: gross notional of each contract, in which exact opposites have gone (MAR23.7), times its rate.

    rates : (n_contracts,) of each contract's currency in the reporting currency, NaN for what is not valued.
    """
    contract = np.repeat(np.arange(len(book.starts) - 1), np.diff(book.starts))
    held = np.where(keep, book.quantity, 0.0)
    net = np.zeros(len(rates))
    np.add.at(net, contract, held)
    unit = np.zeros(len(rates))
    lacking: dict[int, str] = {}
    notional: dict[str, list[float]] = {}
    for place, (kind, terms) in enumerate(zip(contracts.kinds, contracts.terms, strict=True)):
        what = rrao.instruments.get(kind)
        if what is None or terms is None or net[place] == 0.0 or np.isnan(rates[place]):
            continue
        try:
            amount = unit_notional(kind, terms, index, base) * rates[place]
        except NoAmount as reason:
            lacking[place] = str(reason)
            continue
        rate = rrao.exotic if what == "exotic" else rrao.other
        unit[place] = rate * amount * np.sign(net[place])
        sums = notional.setdefault(kind, [0.0, 0.0])
        sums[0] += amount * abs(net[place])
        sums[1] += rate * amount * abs(net[place])
    names = sorted(notional)
    rows = pa.table(
        {
            "instrument_type": pa.array(names, pa.string()),
            "residual_risk": pa.array([rrao.instruments[k] for k in names], pa.string()),
            "gross_notional": pa.array([notional[k][0] for k in names], pa.float64()),
            "charge": pa.array([notional[k][1] for k in names], pa.float64()),
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
        level = 1.0
        for factor, power in index.fx_path(terms.base_currency, terms.currency):
            level = level * base[index.row[factor]] if power > 0 else level / base[index.row[factor]]
        return float(level)
    if terms.underlying not in index.row:
        raise NoAmount(f"the market has no price of {terms.underlying}")
    return abs(float(base[index.row[terms.underlying]]))
