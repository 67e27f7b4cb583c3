"""Sample contracts on exchange rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lake.arrays import Floats
from valuation.samples.contract_frames import (
    Rng,
    age,
    around,
    contract_frame,
    figures,
    forward_dates,
    iso,
    short,
    weekday,
    years_to,
)
from valuation.samples.days import DayMarket, MarketDays
from valuation.samples.equity import barrier_terms, touched

_CURRENCIES = {
    "EUR": 0.26, "GBP": 0.15, "JPY": 0.14, "CHF": 0.08, "AUD": 0.08, "CAD": 0.07, "SEK": 0.05, "NOK": 0.04, "NZD": 0.04,
    "SGD": 0.03, "HKD": 0.02, "MXN": 0.02, "ZAR": 0.02,
}  # fmt: skip
_FOREIGN_RATE = 0.01  # where the base currency has no curve
FX_MOVE = 0.006


class _Pairs:
    """Pairs of currencies drawn by how much they are traded, and their forward rates; empty where no pair has its curves."""

    def __init__(self, rng: Rng, market: DayMarket, n: int) -> None:
        odds: dict[tuple[str, str], float] = {}
        for quote, share in (("USD", 0.7), ("EUR", 0.15), ("JPY", 0.15)):
            for base in ("USD", *_CURRENCIES):
                # the market quotes all of these in yen, none the other way
                known = market.usd(base) is not None and market.usd(quote) is not None
                if base in (quote, "JPY") or (base, quote) == ("USD", "EUR") or quote not in market.curves or not known:
                    continue
                odds[base, quote] = share * _CURRENCIES.get(base, 0.3)
        self.pairs = list(odds)
        self.terms: dict[str, Any] = {}
        if not odds:
            return
        p = np.array(list(odds.values()))
        self.market = market
        self.which = rng.choice(len(self.pairs), n, p=p / p.sum())
        self.usd = {c: market.usd(c) or 0.0 for pair in self.pairs for c in pair}
        self.spot = np.array([self.usd[b] / self.usd[q] for b, q in self.pairs])[self.which]
        self.own = [b if b in market.curves else None for b, _ in self.pairs]
        self.bases = np.array([b for b, _ in self.pairs])[self.which]
        self.quotes = np.array([q for _, q in self.pairs])[self.which]
        reads = [
            "|".join([*(f for f, _ in market.index.fx_path(b, q)), f"curve:{q}", *([f"curve:{o}"] if o else [])])
            for (b, q), o in zip(self.pairs, self.own, strict=True)
        ]
        self.risk = FX_MOVE * np.array([self.usd[b] for b, _ in self.pairs])[self.which]
        self.terms = {
            "currency": self.quotes,
            "base_currency": self.bases,
            "quote_curve": self.quotes,
            "base_curve": np.array(self.own, dtype=object)[self.which],
            "base_rate": np.array([np.nan if o else _FOREIGN_RATE for o in self.own])[self.which],
            "risk": self.risk,
            "lot": 1000.0,
            "reads": np.array(reads)[self.which],
        }

    def forward(self, times: Floats) -> Floats:
        foreign = np.full(len(times), np.exp(-_FOREIGN_RATE)) ** times
        domestic = np.empty(len(times))
        for i, (base, quote) in enumerate(self.pairs):
            rows = self.which == i
            domestic[rows] = self.market.discount(quote, times[rows])
            if self.own[i] is not None:
                foreign[rows] = self.market.discount(base, times[rows])
        return np.asarray(self.spot * foreign / domestic)


def fx_forwards(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Forwards against USD mostly, then EUR and JPY, where the quote currency has a curve."""
    pairs = _Pairs(rng, market, n)
    if not pairs.pairs:
        return pd.DataFrame()
    maturity = forward_dates(rng, market, n)
    noise = np.exp(rng.normal(0.0, age(market, 0.001, 0.02), n))
    strike = figures(pairs.forward(years_to(market, maturity)) * noise, 5)
    dates = iso(maturity)
    return contract_frame(
        "fx_forward",
        [f"{b}/{q} {d} {x:g}" for b, q, d, x in zip(pairs.bases, pairs.quotes, dates, strike, strict=True)],
        **pairs.terms,
        strike=strike,
        maturity=dates,
        ends=maturity,
    )


def fx_spots(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Trades of today, settled in two business days."""
    pairs = _Pairs(rng, market, n)
    if not pairs.pairs:
        return pd.DataFrame()
    maturity = np.busday_offset(market.date, 2, roll="forward")
    strike = figures(pairs.spot * np.exp(rng.normal(0.0, 0.002, n)), 5)
    terms = {k: v for k, v in pairs.terms.items() if k not in ("quote_curve", "base_curve", "base_rate")}
    return contract_frame(
        "fx_spot",
        [f"{b}/{q} spot {maturity} {x:g}" for b, q, x in zip(pairs.bases, pairs.quotes, strike, strict=True)],
        **terms,
        strike=strike,
        maturity=str(maturity),
        ends=maturity,
    )


def fx_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Swaps from spot to a forward date; on the book's first day the near leg of most has been paid."""
    pairs = _Pairs(rng, market, n)
    if not pairs.pairs:
        return pd.DataFrame()
    spot_day = np.busday_offset(market.date, 2, roll="forward")
    near = np.full(n, spot_day) if market.previous is not None else weekday(spot_day - rng.integers(0, 90, n))
    far = forward_dates(rng, market, n)
    near_strike = figures(pairs.spot * np.exp(rng.normal(0.0, age(market, 0.001, 0.02), n)), 5)
    points = pairs.forward(years_to(market, far)) / pairs.spot
    strike = figures(near_strike * points, 6)
    far = np.where(far > near, far, weekday(near + 30))
    return contract_frame(
        "fx_swap",
        [
            f"{b}/{q} swap {m} {d} {y:g} {x:g}"
            for b, q, m, d, y, x in zip(
                pairs.bases, pairs.quotes, iso(near), iso(far), near_strike, strike, strict=True
            )
        ],
        **pairs.terms | {"risk": np.where(near < market.date, 1.0, 0.1) * pairs.risk},
        near_strike=near_strike,
        near_maturity=iso(near),
        strike=strike,
        maturity=iso(far),
        ends=far,
    )


def non_deliverable_forwards(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Yuan against the dollar, paid in dollars; held until the rate is fixed."""
    rate = market.exchange_rate("USD", "CNY")
    if rate is None or not market.has("curve:CNY|curve:USD"):
        return pd.DataFrame()
    maturity = forward_dates(rng, market, n)
    fixing = np.busday_offset(maturity, -2)
    times = years_to(market, maturity)
    forward = rate * market.discount("USD", times) / market.discount("CNY", times)
    strike = figures(forward * np.exp(rng.normal(0.0, age(market, 0.001, 0.01), n)), 5)
    legs = [f for f, _ in market.index.fx_path("USD", "CNY")]
    return contract_frame(
        "non_deliverable_forward",
        [f"USD/CNY non-deliverable {d} {x:g}" for d, x in zip(iso(maturity), strike, strict=True)],
        currency="CNY",
        base_currency="USD",
        strike=strike,
        settlement_currency="USD",
        fixing_date=iso(fixing),
        maturity=iso(maturity),
        quote_curve="CNY",
        base_curve="USD",
        ends=fixing,
        risk=0.003,
        lot=1000.0,
        reads="|".join([*legs, "curve:CNY", "curve:USD"]),
    )


class _PairOptions:
    """Options on the pairs that have a volatility, from a week to two years; none where no pair has one."""

    def __init__(self, rng: Rng, market: DayMarket, n: int) -> None:
        vols = [
            f
            for f in market.of_type("implied_vol")
            if f.risk_factor_id.startswith("IV:") and len(f.risk_factor_id) == 9
        ]
        known = []
        for f in vols:
            base, quote = short(f.risk_factor_id)[:3], short(f.risk_factor_id)[3:]
            spot, usd = market.exchange_rate(base, quote), market.usd(base)
            if spot is not None and usd is not None and quote in market.curves:
                known.append((f.risk_factor_id, base, quote, spot, usd))
        self.known = known
        if not known:
            return
        ids, bases, quotes, spots, rates = (np.array(column) for column in zip(*known, strict=True))
        which = rng.choice(
            len(known), n, p=np.where(bases == "EUR", 1.0, 0.8) / np.where(bases == "EUR", 1.0, 0.8).sum()
        )
        self.spot, self.vol = spots[which], np.array([market.level(i) for i in ids])[which]
        expiry = weekday(market.date + rng.choice([7, 30, 61, 91, 182, 365, 730], n) + rng.integers(0, 7, n))
        self.times = years_to(market, expiry)
        self.strike = around(rng, market, self.spot, self.vol, self.times)
        self.call = rng.random(n) < 0.5
        self.bases, self.quotes, self.expiry = bases[which], quotes[which], iso(expiry)
        self.usd = rates[which]
        own = np.array([b if b in market.curves else None for b in bases], dtype=object)
        reads = [
            "|".join([*(f for f, _ in market.index.fx_path(b, q)), v, f"curve:{q}", *([f"curve:{o}"] if o else [])])
            for v, b, q, o in zip(ids, bases, quotes, own, strict=True)
        ]
        self.terms: dict[str, Any] = {
            "currency": self.quotes,
            "base_currency": self.bases,
            "quote_curve": self.quotes,
            "base_curve": own[which],
            "base_rate": np.array([np.nan if o else _FOREIGN_RATE for o in own])[which],
            "volatility": ids[which],
            "strike": self.strike,
            "expiry": self.expiry,
            "option_type": np.where(self.call, "call", "put"),
            "ends": expiry,
            "risk": 0.5 * FX_MOVE * self.usd,
            "lot": 1000.0,
            "reads": np.array(reads)[which],
        }

    def named(self, kind: str, *more: Sequence[Any] | npt.NDArray[Any]) -> list[str]:
        return [
            " ".join([f"{b}/{q} {kind} {e} {c} {x:g}", *map(str, rest)])
            for b, q, e, c, x, *rest in zip(
                self.bases, self.quotes, self.expiry, self.terms["option_type"], self.strike, *more, strict=True
            )
        ]


_SMILE = "EURUSD_SMILE"


def fx_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Calls and puts, those on the euro in dollars half over its volatility surface."""
    o = _PairOptions(rng, market, n)
    if not o.known:
        return pd.DataFrame()
    smile = (o.bases == "EUR") & (o.quotes == "USD") & (rng.random(n) < 0.5) & market.has(f"surface:{_SMILE}")
    return contract_frame(
        "fx_option",
        o.named("option", np.where(smile, "smile", "flat")),
        **o.terms | {"volatility": np.where(smile, _SMILE, o.terms["volatility"])},
    )


def fx_american_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """As `fx_options`, with early exercise."""
    o = _PairOptions(rng, market, n)
    return contract_frame("fx_american_option", o.named("American"), **o.terms) if o.known else pd.DataFrame()


def fx_digitals(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Digitals that pay a unit of the quote currency, a few one of the base."""
    o = _PairOptions(rng, market, n)
    if not o.known:
        return pd.DataFrame()
    cash = rng.random(n) < 0.8
    usd = np.where(cash, o.usd / o.spot, o.usd)
    return contract_frame(
        "fx_digital_option",
        o.named("digital", np.where(cash, "quote", "base")),
        **o.terms | {"risk": 0.04 * usd},
        payoff=np.where(cash, "cash_or_nothing", "asset_or_nothing"),
    )


def fx_barriers(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Options with one barrier."""
    o = _PairOptions(rng, market, n)
    if not o.known:
        return pd.DataFrame()
    terms, kind = barrier_terms(rng, o.spot, o.vol * np.sqrt(o.times))
    return contract_frame("fx_barrier_option", o.named("barrier", kind), **o.terms, **terms, next_reset=market.date + 1)


def fx_barriers_touched(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    pairs = zip(contracts["base_currency"], contracts["currency"], strict=True)
    return touched(contracts, market, np.array([market.exchange_rate(b, q) for b, q in pairs], dtype=float))
