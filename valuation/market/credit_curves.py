"""Survival curves of names and indices, from average hazard rates or from the par spreads of credit default swaps.

A curve is the logarithm of survival probabilities on nodes, linear between them: the hazard rate is constant there. Spreads are
bootstrapped on the ISDA standard model; docs/market-data.md says what each quote is. Dates come from QuantLib, once a curve
and valuation date.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import QuantLib as ql  # noqa: N813 - the library's own habit

from lake.arrays import Bools, Floats, Ints
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor, tenor_years
from valuation.kernels import credit, curves
from valuation.kernels.quotes import zero_rates
from valuation.types import Market, NotValuable

Seen = Callable[[Floats], Floats]

TYPES = ("cds_spread", "hazard_rate")
DAYS_A_YEAR = 365.0  # Act/365F
ACCRUED_BEFORE = (
    1.5  # days: the evening before the first day, and the half day by which the ISDA model takes defaults later
)
ACCRUED_A_YEAR = DAYS_A_YEAR / 360.0  # Act/360
WEEKDAYS = ql.WeekendsOnly()
_SETTLES = 3  # business days to the settlement of the upfront amount
_SEMIANNUAL_ROLL = dt.date(2015, 12, 21)  # from then on a tenor means another maturity in March and September alone
_SERIAL_TO_ORDINAL: int = dt.date(2000, 1, 1).toordinal() - ql.Date(1, 1, 2000).serialNumber()


@dataclass(frozen=True)
class Premium:
    """Coupon periods of a standard CDS: first days and payment dates, ordinals (n,), and days that accrue, Act/360 (n,).

    A coupon is paid if the name lives through the day before its payment date.
    """

    starts: Ints
    payments: Ints
    days: Ints


def is_standard(maturity: dt.date) -> bool:
    """Whether standard swaps end on that day, a 20th of March, June, September or December."""
    return maturity.day == 20 and maturity.month % 3 == 0


def premium(start: dt.date, maturity: dt.date, calendar: ql.Calendar = WEEKDAYS) -> Premium:
    """Quarters from the 20th on or before `start` to `maturity`, moved to the next business day; the last day counts too.

    Raises `NotValuable` where there are none.
    """
    try:
        schedule = ql.Schedule(
            _date(start),
            _date(maturity),
            ql.Period(3, ql.Months),
            calendar,
            ql.Following,
            ql.Unadjusted,
            ql.DateGeneration.CDS,
            False,
        )
    except RuntimeError as error:
        why = str(error).splitlines()[0]
        raise NotValuable("invalid_schedule", f"There is no schedule from {start} to {maturity}: {why}.") from None
    dates = np.array([*map(ql.Date.serialNumber, schedule.dates())], dtype=np.int64) + _SERIAL_TO_ORDINAL
    days = np.diff(dates)
    days[-1] += 1
    last = calendar.adjust(_date(maturity), ql.Following).serialNumber() + _SERIAL_TO_ORDINAL
    return Premium(dates[:-1], np.append(dates[1:-1], last), days)


@dataclass(frozen=True)
class Paths:
    """Paths on a grid of times, as the kernels of `valuation.kernels.credit` take them."""

    times: Floats
    offsets: Ints
    columns: Ints

    @classmethod
    def of(cls, begin: Floats, end: Floats, nodes: Floats, more: Floats) -> Paths:
        """From begin to end (n_paths,) over the nodes between; `more` are further times of the grid."""
        end = np.maximum(begin, end)
        nodes = np.unique(nodes[(nodes > begin.min()) & (nodes < end.max())])
        times = np.unique(np.concatenate([begin, end, nodes, more]))
        on_nodes = times.searchsorted(nodes)
        first, last = times.searchsorted(begin), times.searchsorted(end)
        low, high = on_nodes.searchsorted(first, side="right"), on_nodes.searchsorted(last)
        columns = [
            np.concatenate([[a], on_nodes[i:j], [b]]) if b > a else np.array([a])
            for a, b, i, j in zip(first.tolist(), last.tolist(), low.tolist(), high.tolist(), strict=True)
        ]
        return cls(times, np.cumsum([0, *map(len, columns)]), np.concatenate(columns))


@dataclass(frozen=True)
class Quoted:
    """The swaps that the spreads of a curve are quoted on, on a date, shortest first.

    maturities, settlement : ordinals of days; knots : (n_pillars,) years, where the hazard rate of each ends; recovery : a number,
    or the id of a risk factor.
    """

    premiums: tuple[Premium, ...]
    maturities: Ints
    knots: Floats
    settlement: int
    discount_curve: str
    recovery: float | str


@dataclass(frozen=True)
class CreditCurve:
    """What a survival curve is made of: nodes (n_nodes,) in years, pillars, and which of them decide each node, (n_nodes, n_pillars).

    quoted : of spreads only.
    """

    nodes: Floats
    pillars: tuple[RiskFactor, ...]
    reads: Bools
    quoted: Quoted | None = None


def credit_curve(index: FactorIndex, curve: str, valuation_date: dt.date) -> CreditCurve:
    """Raises `MissingRiskFactor` for a curve that is no credit curve, `NotValuable` for spreads that say too little."""
    key = (credit_curve, curve, valuation_date)
    if key not in index.memo:
        index.memo[key] = _credit_curve(index, curve, valuation_date)
    made: CreditCurve = index.memo[key]
    return made


def _credit_curve(index: FactorIndex, curve: str, valuation_date: dt.date) -> CreditCurve:
    pillars = index.curve(curve)
    types = {f.type for f in pillars}
    if len(types) != 1 or not types <= set(TYPES):
        raise MissingRiskFactor(
            f"Curve {curve} has pillars of type {', '.join(sorted(types))}; "
            f"a credit curve has pillars of one type, {' or '.join(TYPES)}."
        )
    if types == {"hazard_rate"}:
        nodes, reads = curves.zero_reads(np.array([tenor_years(f.pillar or "") for f in pillars]))
        return CreditCurve(nodes, pillars, reads)
    quoted = _quoted(curve, pillars, valuation_date)
    index.curve_in(quoted.discount_curve, pillars[0].currency, f"the discount_curve of {curve}")
    n = len(pillars)
    # each hazard rate is solved after all before it
    return CreditCurve(np.append(0.0, quoted.knots), pillars, np.tri(n + 1, n, -1, dtype=np.bool_), quoted)


def survival_curve(market: Market, curve: str) -> tuple[Floats, Floats]:
    """Nodes (n_nodes,) and logarithms of survival probabilities (n_nodes, n_states) of a credit curve."""
    made = credit_curve(market.index, curve, market.valuation_date)
    levels = market.levels([f.risk_factor_id for f in made.pillars])
    if (quoted := made.quoted) is None:
        return curves.zero_curve(made.nodes[1:], levels)
    legs = _Legs(quoted, market.valuation_date, market.nodes(quoted.discount_curve))
    logs = credit.hazard_rates(
        legs.pillars,
        legs.paths.offsets,
        legs.paths.columns,
        legs.paths.times,
        legs.starts,
        legs.accruals,
        legs.payments,
        ACCRUED_A_YEAR,
        legs.paths.times.searchsorted(quoted.knots),
        legs.rebates,
        legs.settlement,
        credit.logarithms(market.discount(quoted.discount_curve, legs.paths.times)),
        1.0 - recoveries(market, [quoted.recovery])[0],
        levels,
    )
    return made.nodes, np.concatenate([np.zeros((1, market.n_states)), logs])


def quotes(
    index: FactorIndex,
    curve: str,
    day: dt.date,
    survival: Seen,
    discount: Seen | None,
    nodes: Floats,
    recovery: float,
) -> Floats:
    """What the pillars of a credit curve, (n_pillars,), are quoted at on a day; the inverse of `survival_curve`.

    survival, discount : factors (n,) at times in years from that day, discount those of the curve that spreads name; nodes : of both.
    recovery : of spreads, what is recovered. Raises as `credit_curve`.
    """
    made = credit_curve(index, curve, day)
    if made.quoted is None or discount is None:
        return zero_rates(survival, made.nodes[1:])
    legs = _Legs(made.quoted, day, nodes)
    paths = legs.paths
    factors = discount(paths.times)
    logs = [credit.logarithms(f[:, None]) for f in (factors, survival(paths.times))]
    paid = credit.default_values(paths.offsets, paths.columns, *logs)[:, 0]
    coupons = credit.coupon_values(
        paths.offsets,
        paths.columns,
        paths.times,
        legs.starts,
        legs.accruals,
        legs.payments,
        ACCRUED_A_YEAR,
        *logs,
    )[:, 0]
    first, stop = legs.pillars[:-1], legs.pillars[1:]
    premiums = np.array([coupons[a + 1 : b].sum() for a, b in zip(first.tolist(), stop.tolist(), strict=True)])
    spreads: Floats = (1.0 - recovery) * paid[first] / (premiums - legs.rebates * factors[legs.settlement])
    return spreads


def recoveries(market: Market, given: Sequence[float | str]) -> Floats:
    """What is recovered in a default, (len(given), n_states): numbers, or levels of risk factors."""
    return np.array([market.level(r) if isinstance(r, str) else np.full(market.n_states, r) for r in given])


class _Legs:
    """Paths of the protection and of the coupons of every quoted swap, protection first."""

    def __init__(self, quoted: Quoted, valuation_date: dt.date, discount_nodes: Floats) -> None:
        today = valuation_date.toordinal()
        swaps = []
        for maturity, p in zip(quoted.maturities.tolist(), quoted.premiums, strict=True):
            begins = np.maximum(p.starts, today + 1) - 1
            coupons = np.stack([begins, p.payments - 1, p.starts, p.payments, p.days], axis=1)
            swaps.append(np.concatenate([[[today, maturity, today, maturity, 0]], coupons]))
        begin, end, start, payment, days = np.concatenate(swaps).T
        paid = _years(np.append(payment, quoted.settlement), today)
        nodes, more = np.append(discount_nodes, quoted.knots), np.append(quoted.knots, paid)
        self.paths = Paths.of(_years(begin, today), _years(end, today), nodes, more)
        self.pillars = np.cumsum([0, *map(len, swaps)])
        self.starts = _years(start - ACCRUED_BEFORE, today)
        self.accruals = days / 360.0
        rows = self.paths.times.searchsorted(paid)
        self.payments, self.settlement = rows[:-1], int(rows[-1])
        self.rebates = np.array([(today + 1 - p.starts[0]) / 360.0 for p in quoted.premiums])


def _years(days: Ints | Floats, today: int) -> Floats:
    years: Floats = (days - today) / DAYS_A_YEAR
    return years


def _quoted(curve: str, pillars: tuple[RiskFactor, ...], valuation_date: dt.date) -> Quoted:
    discount_curve, recovery = (_attribute(curve, pillars, name) for name in ("discount_curve", "recovery"))
    maturities = [_maturity(curve, f, valuation_date) for f in pillars]
    if maturities != sorted(set(maturities)):
        raise _invalid(curve, f"its pillars mature on {', '.join(map(str, maturities))}, which must ascend.")
    step_in = valuation_date + dt.timedelta(days=1)
    premiums = tuple(premium(step_in, m) for m in maturities)
    ordinals = np.array([m.toordinal() for m in maturities])
    ends = np.maximum(ordinals, [p.payments[-1] - 1 for p in premiums])
    settlement = WEEKDAYS.advance(_date(valuation_date), ql.Period(_SETTLES, ql.Days))
    return Quoted(
        premiums,
        ordinals,
        _years(ends, valuation_date.toordinal()),
        settlement.serialNumber() + _SERIAL_TO_ORDINAL,
        discount_curve,
        _recovery(curve, recovery),
    )


def _attribute(curve: str, pillars: tuple[RiskFactor, ...], name: str) -> str:
    said = {dict(f.attributes).get(name, "") for f in pillars}
    if len(said) != 1 or said == {""}:
        given = ", ".join(sorted(s or "nothing" for s in said))
        raise _invalid(curve, f"every pillar needs the same attribute {name}; given: {given}.")
    return said.pop()


def _recovery(curve: str, text: str) -> float | str:
    try:
        rate = float(text)
    except ValueError:
        return text
    if not 0.0 <= rate < 1.0:
        raise _invalid(
            curve, f"its recovery is {text}; expected a fraction from 0 to below 1, or the id of a risk factor."
        )
    return rate


def _maturity(curve: str, pillar: RiskFactor, valuation_date: dt.date) -> dt.date:
    """The attribute `maturity`, or that of a standard swap of the tenor traded on the day."""
    said = dict(pillar.attributes).get("maturity")
    try:
        if said:
            maturity = dt.date.fromisoformat(said)
        else:
            rule = ql.DateGeneration.CDS2015 if valuation_date >= _SEMIANNUAL_ROLL else ql.DateGeneration.CDS
            day = ql.cdsMaturity(_date(valuation_date), ql.Period(pillar.pillar), rule)
            maturity = dt.date.fromordinal(day.serialNumber() + _SERIAL_TO_ORDINAL)
        if maturity <= valuation_date + dt.timedelta(days=1):
            raise ValueError(f"its swap matures on {maturity}, before protection begins")
        if not is_standard(maturity):
            raise ValueError(f"maturity {maturity} is not a 20th of March, June, September or December")
    except (RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise _invalid(
            curve, f"pillar {pillar.pillar}: {why}; expected a tenor of quarters or years, such as 6M or 5Y."
        ) from None
    return maturity


def _invalid(curve: str, why: str) -> NotValuable:
    return NotValuable("invalid_curve", f"Credit curve {curve}: {why}")


def _date(day: dt.date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)
