"""Sample bonds, and forwards and futures on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lake.arrays import Dates, Floats
from valuation.samples.contract_frames import (
    Fixings,
    Rng,
    Row,
    age,
    contract_frame,
    duration,
    fixed,
    iso,
    later,
    nearly,
    period_starts,
    pillar,
    terms_of,
    weekday,
    years_to,
)
from valuation.samples.days import DayMarket, MarketDays
from valuation.samples.fx import FX_MOVE


@dataclass(frozen=True)
class _Issuer:
    name: str
    currency: str
    tenors: tuple[int, ...]
    calendar: str
    grid: float  # coupons are multiples of it and one at least
    daily_move: float  # of the yield


_ISSUERS = (
    _Issuer("US Treasury", "USD", (2, 3, 5, 7, 10, 30), "USGS", 0.00125, 0.0006),
    _Issuer("Japan", "JPY", (5, 10, 20, 30), "JPTO", 0.001, 0.0002),
    _Issuer("Federal Republic", "EUR", (2, 5, 10, 30), "EUTA", 0.0025, 0.0004),
)


def government_bonds(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Bonds issued on the 15th of February, May, August and November: on the first day the last ten years of them."""
    since = market.date - 3650 if market.previous is None else market.previous
    months = np.arange(since.astype("datetime64[M]"), market.date.astype("datetime64[M]") + 1)
    issues = months[months.astype(int) % 3 == 1].astype("datetime64[D]") + 14
    issues = issues[(issues > since) & (issues <= market.date)]
    frames = []
    for issuer in _ISSUERS:
        usd = market.usd(issuer.currency)
        if issuer.currency not in market.curves or usd is None:
            continue
        for tenor in issuer.tenors:
            maturity = (issues.astype("datetime64[M]") + 12 * tenor).astype("datetime64[D]") + 14
            alive = maturity > market.date + 30
            issue, last = issues[alive], maturity[alive]
            # yields fell a little each year, so older issues carry more
            level = market.rate(issuer.currency, np.array([float(tenor)]))[0] - 0.0012 * years_to(market, issue)
            coupon = np.round(np.maximum(np.rint(level / issuer.grid), 1.0) * issuer.grid, 6)
            left = years_to(market, last)
            duration = np.maximum((1.0 - np.exp(-0.02 * left)) / 0.02, 2.0)  # no giant trades in bills
            move = np.hypot(duration * issuer.daily_move, 0.0 if issuer.currency == "USD" else FX_MOVE)
            frames.append(
                contract_frame(
                    "government_bond",
                    [f"{issuer.name} {c:.4%} {d}" for c, d in zip(coupon, iso(last), strict=True)],
                    currency=issuer.currency,
                    issue_date=iso(issue),
                    maturity=iso(last),
                    coupon=coupon,
                    frequency=2,
                    day_count="ActualActualISMA",
                    calendar=issuer.calendar,
                    business_day_convention="Following",
                    discount_curve=issuer.currency,
                    ends=last,
                    risk=100.0 * move * usd,
                    lot=10.0,
                    reads=f"curve:{issuer.currency}",
                )
            )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


# names of the sample issuers: curve, calendar, spread over it
_CORPORATES = {
    "Halden Industries": ("USD", "USNY", "CR:US_BBB"),
    "Orme Utilities": ("USD", "USNY", "CR:US_A"),
    "Castell Leasing": ("USD", "USNY", "CR:US_HY"),
    "Verrane Energie": ("EUR", "EUTA", "CR:EU_BBB"),
}
_TENORS = np.array([3, 5, 7, 10, 15])


def _abroad(currency: npt.NDArray[np.str_]) -> Floats:
    """What the exchange rate moves on an ordinary day."""
    return np.where(currency == "USD", 0.0, FX_MOVE)


class _Issues:
    """Corporate bonds: who issued them, when, until when, at which coupon. Empty where the market has no spreads."""

    def __init__(self, rng: Rng, market: DayMarket, n: int, frequency: int = 2) -> None:
        self.at_hand = {
            k: v for k, v in _CORPORATES.items() if market.has(f"curve:{v[0]}|{v[2]}") and market.usd(v[0]) is not None
        }
        if not self.at_hand:
            return
        names = list(self.at_hand)
        which = rng.integers(0, len(names), n)
        curve, calendar, spread = (np.array([self.at_hand[k][i] for k in names])[which] for i in range(3))
        tenor = _TENORS[rng.integers(0, len(_TENORS), n)].astype(float)
        # issued on a 15th, so that many trades are in one bond
        first, _ = terms_of(market, n, tenor, np.full(n, 0.8), rng)
        self.issue = first.astype("datetime64[M]").astype("datetime64[D]") + 14
        self.issue = np.where(self.issue > market.date, later(self.issue, -1), self.issue)
        self.maturity = later(self.issue, 12 * tenor.astype(int))
        self.left = years_to(market, self.maturity)
        yields = np.array(
            [
                market.rate(c, np.array([t]))[0] + market.level(s)
                for c, t, s in zip(curve, self.left, spread, strict=True)
            ]
        )
        self.coupon = np.maximum(np.rint((yields + rng.normal(0.0, 0.006, n)) / 0.00125), 1.0) * 0.00125
        self.name = np.array(names)[which]
        usd = np.array([market.usd(c) for c in curve], dtype=float)
        self.terms: dict[str, Any] = {
            "currency": curve,
            "issue_date": iso(self.issue),
            "maturity": iso(self.maturity),
            "frequency": frequency,
            "day_count": "Thirty360",
            "calendar": calendar,
            "discount_curve": curve,
            "credit_spread": spread,
            "ends": self.maturity,
            "lot": 10.0,
            "risk": 100.0 * usd * np.hypot(0.0006 * np.maximum(duration(self.left), 1.0), _abroad(curve)),
            "reads": [f"curve:{c}|{s}" for c, s in zip(curve, spread, strict=True)],
        }

    def named(self, kind: str, *more: Sequence[Any] | npt.NDArray[Any]) -> list[str]:
        return [
            " ".join([f"{n} {kind} {c:.4%} {i} {m}", *map(str, rest)])
            for n, c, i, m, *rest in zip(
                self.name, self.coupon, self.terms["issue_date"], self.terms["maturity"], *more, strict=True
            )
        ]


def fixed_bonds(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Corporate bonds."""
    b = _Issues(rng, market, n)
    return contract_frame("fixed_bond", b.named("bond"), **b.terms, coupon=b.coupon) if b.at_hand else pd.DataFrame()


def step_bonds(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Corporate bonds whose coupon rises halfway."""
    b = _Issues(rng, market, n)
    if not b.at_hand:
        return pd.DataFrame()
    years = (b.maturity.astype("datetime64[Y]") - b.issue.astype("datetime64[Y]")).astype(int)
    middle = later(b.issue, 12 * (years // 2))
    steps = [json.dumps({str(d): round(c + 0.0075, 6)}) for d, c in zip(middle, b.coupon, strict=True)]
    return contract_frame("step_bond", b.named("step-up"), **b.terms, coupon=b.coupon, steps=steps)


def amortising_bonds(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Corporate bonds redeemed in parts."""
    b = _Issues(rng, market, n)
    if not b.at_hand:
        return pd.DataFrame()
    how = np.where(rng.random(n) < 0.5, "linear", "annuity")
    return contract_frame("amortising_bond", b.named("amortising", how), **b.terms, coupon=b.coupon, amortisation=how)


_QUARTERLY = {
    "USD": ("USD_3M", "YC:USD_3M:3M", 4),
    "EUR": ("EUR_6M", "YC:EUR_6M:6M", 2),
}  # projection, first quote, payments a year


def _coupon_starts(row: Row) -> Dates:
    return period_starts(row.issue_date, row.maturity, int(row.frequency), row.calendar, "Following", True)


def floating_fixings(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """The rate of the running coupon."""
    return fixed(
        contracts,
        days,
        market,
        Fixings("fixings", _coupon_starts, lambda row, then: pillar(then, _QUARTERLY[row.currency][1])),
    )


def floating_bonds(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Corporate floaters on the rates that banks lend at."""
    b = _Issues(rng, market, n)
    if not b.at_hand or not market.has("curve:USD_3M|curve:EUR_6M"):
        return pd.DataFrame()
    currency = b.terms["currency"]
    margin = np.round(rng.uniform(0.003, 0.02, n), 4)
    contracts = contract_frame(
        "floating_bond",
        [
            f"{name} floater {i} {m} plus {x:.2%}"
            for name, i, m, x in zip(b.name, b.terms["issue_date"], b.terms["maturity"], margin, strict=True)
        ],
        **b.terms
        | {
            "frequency": [_QUARTERLY[c][2] for c in currency],
            "day_count": "Actual360",
            "risk": 0.3 * b.terms["risk"],
            "reads": [f"{r}|curve:{_QUARTERLY[c][0]}" for r, c in zip(b.terms["reads"], currency, strict=True)],
        },
        projection_curve=[_QUARTERLY[c][0] for c in currency],
        spread=margin,
    )
    return floating_fixings(contracts, days, market)


def zero_bonds(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Treasury bills of up to a year, and strips."""
    if not market.has("curve:USD"):
        return pd.DataFrame()
    bill = rng.random(n) < 0.7
    maturity = weekday(market.date + np.where(bill, 7 * rng.integers(1, 52, n), 365 * rng.integers(2, 25, n)))
    return contract_frame(
        "zero_bond",
        [f"US Treasury {'bill' if b else 'strip'} {m}" for b, m in zip(bill, iso(maturity), strict=True)],
        currency="USD",
        maturity=iso(maturity),
        calendar="USGS",
        discount_curve="USD",
        ends=maturity,
        risk=100.0 * 0.0006 * np.maximum(duration(years_to(market, maturity)), 1.0),
        lot=10.0,
        reads="curve:USD",
    )


class _Treasuries:
    """US Treasury notes issued on the 15ths of the quarters before a day, and their clean prices at the yields of the market."""

    def __init__(self, market: DayMarket) -> None:
        month = market.date.astype("datetime64[M]") - 1 - np.arange(24)
        month = month[month.astype(int) % 3 == 1]
        self.issue = np.repeat(month.astype("datetime64[D]") + 14, 3)
        self.maturity = later(self.issue, np.tile([60, 84, 120], len(month)))
        self.left = years_to(market, self.maturity)
        yields = market.rate("USD", self.left)
        self.coupon = np.maximum(np.rint(yields / 0.00125), 1.0) * 0.00125
        self.price = 100.0 * clean_prices(self.coupon, self.left, yields)


def clean_prices(coupon: Floats, years: Floats, yields: Floats) -> Floats:
    """For one of face, coupons twice a year; good enough to trade at."""
    left = (1.0 + yields / 2) ** (-2 * years)
    safe = np.where(np.abs(yields) < 1e-6, 1e-6, yields)
    return np.asarray(coupon * (1.0 - left) / safe + left)


def bond_forwards(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Forwards of up to a year on US Treasury notes."""
    if not market.has("curve:USD|curve:USD_OIS"):
        return pd.DataFrame()
    notes = _Treasuries(market)
    which = rng.integers(0, len(notes.issue), n)
    delivery = weekday(market.date + rng.choice([30, 61, 91, 182, 270], n) + rng.integers(0, 7, n))
    strike = np.round(notes.price[which] * np.exp(rng.normal(0.0, age(market, 0.002, 0.02), n)), 2)
    return contract_frame(
        "bond_forward",
        [
            f"US Treasury {c:.4%} {m} forward {d} at {x:g}"
            for c, m, d, x in zip(notes.coupon[which], iso(notes.maturity[which]), iso(delivery), strike, strict=True)
        ],
        currency="USD",
        issue_date=iso(notes.issue[which]),
        maturity=iso(notes.maturity[which]),
        coupon=notes.coupon[which],
        frequency=2,
        calendar="USGS",
        discount_curve="USD",
        repo_curve="USD_OIS",
        delivery=iso(delivery),
        strike=strike,
        ends=delivery,
        risk=100.0 * 0.0006 * duration(notes.left[which]),
        lot=10.0,
        reads="curve:USD|curve:USD_OIS",
    )


def bond_futures(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Futures on a notional 6% note, of which the cheapest of the last issues is delivered."""
    if not market.has("curve:USD|curve:USD_OIS"):
        return pd.DataFrame()
    months = market.date.astype("datetime64[M]") + np.arange(1, 10)
    delivery = np.busday_offset((months[months.astype(int) % 3 == 2] + 1).astype("datetime64[D]"), -1, roll="forward")[
        :2
    ]
    notes = _Treasuries(market)
    ten = np.flatnonzero((notes.left > 6.5) & (notes.left < 10.5))
    factors = np.round(clean_prices(notes.coupon, np.floor(notes.left * 4) / 4, np.full(len(notes.left), 0.06)), 4)
    price = (notes.price / factors)[ten].min()
    bonds = zip(
        *(part[ten].tolist() for part in (iso(notes.issue), iso(notes.maturity), notes.coupon.round(6), factors)),
        strict=True,
    )
    basket = json.dumps(
        [dict(zip(("issue_date", "maturity", "coupon", "conversion_factor"), bond, strict=True)) for bond in bonds]
    )
    which = rng.integers(0, 2, n)
    strike = np.round(price * np.exp(rng.normal(0.0, age(market, 0.001, 0.01), n)) * 64) / 64
    return contract_frame(
        "bond_future",
        [f"US note future {d} of {market.date} from {x:g}" for d, x in zip(iso(delivery[which]), strike, strict=True)],
        currency="USD",
        delivery=iso(delivery[which]),
        strike=strike,
        basket=basket,
        frequency=2,
        calendar="USGS",
        discount_curve="USD",
        repo_curve="USD_OIS",
        ends=delivery[which],
        risk=100.0 * 0.0006 * 6.0,
        lot=10.0,
        reads="curve:USD|curve:USD_OIS",
    )


_INFLATION = {
    "USD": ("CPI:US", "INF:US", "US Treasury inflation", "USGS"),
    "EUR": ("CPI:EU", "INF:EU", "Federal Republic inflation", "EUTA"),
}
_GROWTH = 0.02  # of an index before the book's first day, where the market holds no older level


def _inflation_at_hand(market: DayMarket) -> list[str]:
    return [
        c
        for c, (index, curve, _, _) in _INFLATION.items()
        if market.has(f"{index}|curve:{curve}|curve:{c}") and market.usd(c) is not None
    ]


def inflation_bonds(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Linkers of 5 to 30 years, issued on the 15th of a month up to ten years ago, half of them with a floor at par."""
    currencies = _inflation_at_hand(market)
    if not currencies:
        return pd.DataFrame()
    currency = rng.choice(currencies, n)
    month = market.date.astype("datetime64[M]") - rng.integers(1, 120 if market.previous is None else 13, n)
    issue = month.astype("datetime64[D]") + 14
    tenor = rng.choice([10, 15, 20, 30], n)
    maturity = later(issue, 12 * tenor)
    floor = rng.random(n) < 0.5
    index = np.array([market.level(_INFLATION[c][0]) for c in currency])
    coupon = rng.choice([0.00125, 0.0025, 0.005, 0.00625, 0.01], n)
    base = np.round(index * (1 + _GROWTH) ** years_to(market, issue), 3)
    return contract_frame(
        "inflation_bond",
        [
            f"{_INFLATION[c][2]} {k:.3%} {i} {m}{' floored' if f else ''}"
            for c, k, i, m, f in zip(currency, coupon, iso(issue), iso(maturity), floor, strict=True)
        ],
        currency=currency,
        issue_date=iso(issue),
        maturity=iso(maturity),
        coupon=coupon,
        frequency=2,
        calendar=[_INFLATION[c][3] for c in currency],
        discount_curve=currency,
        price_index=[_INFLATION[c][0] for c in currency],
        inflation_curve=[_INFLATION[c][1] for c in currency],
        base_index=base,
        deflation_floor=floor,
        ends=maturity,
        risk=100.0
        * np.hypot(0.0006 * duration(years_to(market, maturity)), _abroad(currency))
        * np.array([market.usd(c) for c in currency], dtype=float),
        lot=10.0,
        reads=[f"{_INFLATION[c][0]}|curve:{_INFLATION[c][1]}|curve:{c}" for c in currency],
    )


def inflation_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Zero-coupon swaps from the 15th of a month, for 2 to 20 years."""
    currencies = _inflation_at_hand(market)
    if not currencies:
        return pd.DataFrame()
    currency = rng.choice(currencies, n)
    tenor = rng.choice([2, 5, 10, 20], n)
    month = market.date.astype("datetime64[M]") - (
        rng.integers(0, 24, n) if market.previous is None else np.zeros(n, int)
    )
    start = month.astype("datetime64[D]") + 14
    maturity = later(start, 12 * tenor)
    rate = nearly(
        rng,
        market,
        np.array(
            [market.rate(_INFLATION[c][1], np.array([float(t)]))[0] for c, t in zip(currency, tenor, strict=True)]
        ),
    )
    index = np.array([market.level(_INFLATION[c][0]) for c in currency])
    pays = rng.random(n) < 0.5
    return contract_frame(
        "inflation_swap",
        [
            f"{c} inflation swap {s} {m} {'pays' if p else 'receives'} {r:.2%}"
            for c, s, m, p, r in zip(currency, iso(start), iso(maturity), pays, rate, strict=True)
        ],
        currency=currency,
        pay_fixed=pays,
        fixed_rate=rate,
        start=iso(start),
        maturity=iso(maturity),
        calendar=[_INFLATION[c][3] for c in currency],
        discount_curve=currency,
        price_index=[_INFLATION[c][0] for c in currency],
        inflation_curve=[_INFLATION[c][1] for c in currency],
        base_index=np.round(index * (1 + _GROWTH) ** years_to(market, start), 3),
        ends=maturity,
        risk=0.0004 * duration(tenor.astype(float)) * np.array([market.usd(c) for c in currency], dtype=float),
        lot=10_000.0,
        reads=[f"{_INFLATION[c][0]}|curve:{_INFLATION[c][1]}|curve:{c}" for c in currency],
    )
