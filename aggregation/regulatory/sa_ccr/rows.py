"""Rows of SA-CCR: what one unit of a contract is in the formulas, and what is read to say so.

A contract gives one row or more: each a risk position in one hedging set. Positions multiply the row by their quantity, so that a
contract is looked at once, however many trades hold it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from aggregation.exposure.reference import Classification
from aggregation.kernels.sa_ccr import (
    ABSOLUTE,
    COMMODITY,
    CREDIT,
    EQUITY,
    FX,
    INTEREST_RATE,
    LINEAR,
    MATURITIES,
    OPTION,
    SYSTEMATIC,
    Trades,
    deltas,
)
from aggregation.regulatory.sa_ccr.parameters import Factor, Offset, SaCcr
from lake.errors import nearest
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import Market, NotValuable

BASIS, VOLATILITY = "basis", "volatility"  # treatments of a hedging set
UNCLASSIFIED = "unclassified"  # the reason of a contract that cannot be placed


class Row(NamedTuple):
    """A risk position of one unit of a contract; see `aggregation.kernels.sa_ccr.Trades` for the numbers.

    hedging_set, entity : names; of an interest rate the entity is its maturity bucket. factor : supervisory factor with the multiple of
    a basis or volatility hedging set. shift_of : the rates or prices that share a lambda, empty where none is needed.
    """

    asset_class: int
    hedging_set: str
    entity: str
    form: int
    factor: float
    correlation: float
    place: int
    delta_kind: int
    direction: float
    call: float
    price: float
    strike: float
    expiry: float
    volatility: float
    shift_of: str
    notional: float
    start: float
    end: float
    maturity: float


class OptionTerms(NamedTuple):
    """An option: call +1 or put -1, P, K and T in years. shift_of : as in `Row`."""

    call: float
    price: float
    strike: float
    expiry: float
    shift_of: str = ""


def years_between(first: dt.date, last: dt.date) -> float:
    """Years from one day to another, zero where it has passed: whole ones by the calendar, the rest as a share of the year it is in.

    So a swap that ends on the fifth anniversary ends in exactly five years, which decides its maturity bucket.
    """
    if last <= first:
        return 0.0
    whole = last.year - first.year
    if _anniversary(first, whole) > last:
        whole -= 1
    since, until = _anniversary(first, whole), _anniversary(first, whole + 1)
    return whole + (last - since).days / (until - since).days


def _anniversary(day: dt.date, years: int) -> dt.date:
    year = min(day.year + years, dt.MAXYEAR)
    try:
        return day.replace(year=year)
    except ValueError:  # the 29th of February
        return dt.date(year, 2, 28)


@dataclass(frozen=True)
class Context:
    """What rows are made from: the base market of a day, the classifications that hold on it, and the regime.

    currency : the reporting currency. offset : how interest rate maturities offset, 52.57. discounts : factors
    that were read.
    """

    as_of: dt.date
    currency: str
    market: Market
    parameters: SaCcr
    classifications: Mapping[str, Classification]
    offset: Offset = "formula"
    discounts: dict[tuple[str, float], float] = field(default_factory=dict)

    def years(self, day: dt.date) -> float:
        return years_between(self.as_of, day)

    def rate(self, currency: str) -> float:
        """Price of one unit of a currency in the reporting currency."""
        return 1.0 if currency == self.currency else float(self.market.fx(currency, self.currency)[0])

    def time(self, day: dt.date) -> float:
        """Years as the market counts them, Act/365F, at least zero."""
        return max((day - self.as_of).days, 0) / DAYS_A_YEAR

    def discount(self, curve: str, time: float) -> float:
        """Discount factor of a curve at a time of the market."""
        if (curve, time) not in self.discounts:  # many contracts end on one day
            self.discounts[curve, time] = float(self.market.discount(curve, np.array([time]))[0, 0])
        return self.discounts[curve, time]

    def spot(self, risk_factor_id: str) -> float:
        return float(self.market.level(risk_factor_id)[0])

    def classified(self, name: str, kinds: Sequence[str]) -> Classification:
        """The classification of a name, of one of these kinds; raises `NotValuable` that says what lacks."""
        found = self.classifications.get(name)
        if found is None:
            near = ", ".join(nearest(name, self.classifications))
            raise NotValuable(
                UNCLASSIFIED,
                f"No row of {name!r} in the table classifications holds on {self.as_of}; bring it in with "
                f"`varlake ingest classifications`.{f' Nearest of them: {near}.' if near else ''}",
            )
        if found.kind not in kinds:
            raise NotValuable(
                UNCLASSIFIED,
                f"{name} is classified as {found.kind}; expected {' or '.join(kinds)}. Correct its classification.",
            )
        return found


def interest_rate_row(
    context: Context,
    currency: str,
    notional: float,
    start: float,
    end: float,
    maturity: float,
    direction: float,
    option: OptionTerms | None = None,
    hedging_set: str | None = None,
    treatment: str | None = None,
) -> Row:
    """A position in rates of a currency, long where it gains when they rise; notional in that currency, 52.34 and 52.57."""
    rates = context.parameters.interest_rate
    short, long = rates.bucket_years
    place = 0 if end < short else 1 if end <= long else 2
    return _row(
        context,
        INTEREST_RATE,
        hedging_set or currency,
        f"{('up to', '', 'over')[place]} {(f'{short:g}y', f'{short:g}y to {long:g}y', f'{long:g}y')[place]}".strip(),
        MATURITIES if context.offset == "formula" else ABSOLUTE,
        Factor(factor=rates.factor, correlation=0.0, volatility=rates.volatility),
        notional * context.rate(currency),
        maturity,
        direction,
        option,
        treatment,
        (start, end),
        place,
    )


def fx_row(
    context: Context,
    base: str,
    quote: str,
    base_amount: float,
    quote_amount: float,
    maturity: float,
    direction: float,
    option: OptionTerms | None = None,
) -> Row:
    """A position in a currency pair, long where it gains when `base` rises against `quote`, 52.35 and 52.59.

    The notional is the foreign leg in the reporting currency, of two foreign legs the larger.
    """
    fx = context.parameters.fx
    legs = {base: base_amount * context.rate(base), quote: quote_amount * context.rate(quote)}
    foreign = [amount for currency, amount in legs.items() if currency != context.currency]
    pair = "/".join(sorted((base, quote)))
    return _row(
        context,
        FX,
        pair,
        pair,
        ABSOLUTE,
        Factor(factor=fx.factor, correlation=0.0, volatility=fx.volatility),
        max(foreign),
        maturity,
        direction if base < quote else -direction,
        option,
        None,
    )


def credit_row(context: Context, name: str, currency: str, notional: float, end: float, direction: float) -> Row:
    """A position in credit of a name or an index, long where it gains when spreads widen (protection bought), 52.34 and 52.61."""
    found = context.classified(name, ("issuer", "credit_index"))
    credit = context.parameters.credit
    if found.kind == "issuer":
        if found.rating not in credit.single:
            raise NotValuable(
                UNCLASSIFIED,
                f"{name} is rated {found.rating or 'nothing'}; a supervisory factor is known for {', '.join(credit.single)}. "
                "Give it a rating in the table classifications.",
            )
        factor = credit.single[found.rating]
    else:
        grade = _grade(context, name, found.rating)
        factor = credit.index[grade]
    return _row(
        context,
        CREDIT,
        "credit",
        name,
        SYSTEMATIC,
        factor,
        notional * context.rate(currency),
        end,
        direction,
        None,
        None,
        (0.0, end),
    )


def _grade(context: Context, name: str, rating: str | None) -> str:
    grades = context.parameters.credit.index_grades
    for grade, ratings in grades.items():
        if rating in ratings:
            return grade
    known = ", ".join(r for ratings in grades.values() for r in ratings)
    raise NotValuable(
        UNCLASSIFIED,
        f"The credit index {name} is rated {rating or 'nothing'}; expected {known}. Give it a rating in the table classifications.",
    )


def equity_row(
    context: Context,
    name: str,
    currency: str,
    notional: float,
    maturity: float,
    direction: float,
    option: OptionTerms | None = None,
    treatment: str | None = None,
) -> Row:
    """A position in a share or index; notional is price x units in its currency, 52.36 and 52.66."""
    kind = context.classified(name, ("equity", "index")).kind
    equity = context.parameters.equity
    return _row(
        context,
        EQUITY,
        "equity",
        name,
        SYSTEMATIC,
        equity.single if kind == "equity" else equity.index,
        notional * context.rate(currency),
        maturity,
        direction,
        option,
        treatment,
    )


def commodity_row(
    context: Context,
    name: str,
    currency: str,
    notional: float,
    maturity: float,
    direction: float,
    option: OptionTerms | None = None,
    against: str | None = None,
) -> Row:
    """A position in a commodity; notional is price x units in its currency, 52.36 and 52.70.

    Commodities of one type, such as WTI and Brent, are one entity. against : the second commodity of a basis transaction, 52.46.
    """
    groups = context.parameters.commodity.groups
    found = context.classified(name, ("commodity",))
    if found.commodity_group not in groups:
        raise NotValuable(
            UNCLASSIFIED,
            f"The commodity {name} is of the group {found.commodity_group or 'none'}; expected {', '.join(groups)}. "
            "Give it a group in the table classifications.",
        )
    group = groups[found.commodity_group]
    factor = context.parameters.commodity.classes[group.class_]
    entity, hedging_set, treatment = found.commodity_type or name, group.hedging_set, None
    if against is not None:
        other = groups[context.classified(against, ("commodity",)).commodity_group or "other"]
        second = context.parameters.commodity.classes[other.class_]
        factor = max(factor, second, key=lambda f: f.factor)
        first, last = sorted((name, against))
        entity = hedging_set = f"{first} against {last}"
        treatment = BASIS
        direction = direction if name == first else -direction
    return _row(
        context,
        COMMODITY,
        hedging_set,
        entity,
        SYSTEMATIC,
        factor,
        abs(notional) * context.rate(currency),
        maturity,
        direction,
        option,
        treatment,
    )


def collared(context: Context, made: Row, payoff: float, currency: str) -> list[Row]:
    """A digital option on what `made` is a plain option of one unit on: two options at strikes beside its own, 52.43.

    payoff, currency : what it pays. The effective notional is at most the payoff over the supervisory factor.
    """
    delta, strike = context.parameters.delta, made.strike
    in_reporting = payoff * context.rate(currency)
    if delta.digital == "vanilla":
        return [made._replace(notional=in_reporting)]
    width = delta.digital_width
    units = payoff / (2.0 * width * strike)
    low, high = ((1.0 + side * width) * strike for side in (-1.0, 1.0))
    bought, sold = (low, high) if made.call > 0 else (high, low)
    rows = [
        made._replace(strike=bought, notional=made.notional * units),
        made._replace(strike=sold, notional=made.notional * units, direction=-made.direction),
    ]
    arrays = trades_of(rows, {})
    net = abs(float((arrays.notional * deltas(arrays, 1.0, 0.0)).sum()))
    most = in_reporting / made.factor
    share = min(1.0, most / net) if net > 0.0 else 1.0
    return [row._replace(notional=row.notional * share) for row in rows]


def _row(
    context: Context,
    asset_class: int,
    hedging_set: str,
    entity: str,
    form: int,
    factor: Factor,
    notional: float,
    maturity: float,
    direction: float,
    option: OptionTerms | None,
    treatment: str | None,
    duration: tuple[float, float] | None = None,
    place: int = 0,
) -> Row:
    treatments = context.parameters.treatments
    multiple = {BASIS: treatments.basis, VOLATILITY: treatments.volatility, None: 1.0}[treatment]
    start, end = duration or (0.0, float("nan"))
    call, price, strike, expiry, shift_of = option or OptionTerms(0.0, 0.0, 0.0, 0.0)
    return Row(
        asset_class,
        f"{hedging_set} {treatment}" if treatment else hedging_set,
        entity,
        form,
        factor.factor * multiple,
        factor.correlation,
        place,
        OPTION if option else LINEAR,
        # the delta of a put is negative: its direction is that of the position, times -1
        direction * (call if option else 1.0),
        call,
        price,
        strike,
        expiry,
        factor.volatility if option else 0.0,
        shift_of,
        notional,
        start,
        end,
        maturity,
    )


def shifts(rows: Sequence[Row], lowest: float) -> dict[str, float]:
    """Lambda of each currency or commodity, 52.40: what lifts the lowest price and strike of its options to `lowest`; zero where all
    are above that."""
    least: dict[str, float] = {}
    for row in rows:
        if row.shift_of:
            low = min(row.price, row.strike)
            least[row.shift_of] = min(least.get(row.shift_of, low), low)
    return {name: max(lowest - low, 0.0) if low <= 0.0 else 0.0 for name, low in sorted(least.items())}


def trades_of(rows: Sequence[Row], shift: Mapping[str, float]) -> Trades:
    """The rows as arrays; shift : lambda by name."""
    numbers = [
        (
            r.direction,
            r.call,
            r.price,
            r.strike,
            r.expiry,
            r.volatility,
            shift.get(r.shift_of, 0.0),
            r.notional,
            r.start,
            r.end,
            r.maturity,
        )
        for r in rows
    ]
    columns = np.array(numbers, dtype=np.float64).reshape(len(rows), 11).T.copy()
    kinds = np.array([r.delta_kind for r in rows], dtype=np.int32)
    return Trades(kinds, *columns)
