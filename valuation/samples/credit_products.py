"""Sample contracts on the credit of names and indices."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lake.arrays import Dates, Floats
from valuation.samples.contract_frames import Rng, age, contract_frame, duration, iso, later, terms_of, years_to
from valuation.samples.days import DayMarket, MarketDays

_INDICES = {"CDX_IG": ("USD", "USD_OIS", "USNY"), "ITRAXX_EU": ("EUR", "EUR", "EUTA")}
_COUPON = 0.01


def _names(market: DayMarket) -> list[str]:
    """Names with spreads and a recovery."""
    curves = {
        f.curve
        for f in market.of_type("cds_spread")
        if f.curve not in _INDICES and market.has(f"REC:{f.curve}|curve:USD_OIS")
    }
    return sorted(c for c in curves if c is not None)


def _rolls(market: DayMarket, years: Floats) -> Dates:
    """Maturities of standard swaps: the 20th of June or December."""
    month = market.date.astype("datetime64[M]") + (12 * years).astype(int)
    half = month.astype(int) % 12
    rolls: Dates = (month + np.where(half < 6, 5 - half, 11 - half)).astype("datetime64[D]") + 19
    return rolls


def _spread(market: DayMarket, curve: str) -> float:
    return market.level(f"CDS:{curve}:5Y")


def _begun(rng: Rng, market: DayMarket, n: int) -> Dates:
    """Days on which protection began: today, on the book's first day the rolls of the last two years."""
    return np.asarray(market.date - (rng.integers(0, 720, n) if market.previous is None else np.zeros(n, int)))


def credit_default_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Standard swaps on single names with a coupon of 100 basis points, wide names of 500."""
    names = _names(market)
    if not names:
        return pd.DataFrame()
    name = rng.choice(names, n)
    maturity = _rolls(market, rng.choice([1.0, 3.0, 5.0, 7.0, 10.0], n, p=[0.1, 0.2, 0.5, 0.1, 0.1]))
    level = np.array([_spread(market, x) for x in name])
    coupon = np.where(level > 0.02, 0.05, _COUPON)
    buys = rng.random(n) < 0.5
    start = _begun(rng, market, n).astype("datetime64[M]").astype("datetime64[D]") + 1
    floating = rng.random(n) < 0.7
    return contract_frame(
        "credit_default_swap",
        [
            f"{x} CDS {m} {c:.0%} {'buys' if b else 'sells'} from {s}{'' if f else ' at 40%'}"
            for x, m, c, b, s, f in zip(name, iso(maturity), coupon, buys, iso(start), floating, strict=True)
        ],
        currency="USD",
        credit_curve=name,
        recovery=[f"REC:{x}" if f else None for x, f in zip(name, floating, strict=True)],
        recovery_rate=np.where(floating, np.nan, 0.4),
        buy_protection=buys,
        coupon=coupon,
        start=iso(start),
        maturity=iso(maturity),
        calendar="USNY",
        discount_curve="USD_OIS",
        ends=maturity,
        risk=0.04 * level * np.minimum(duration(years_to(market, maturity)), 6.0),
        lot=10_000.0,
        reads=[f"curve:{x}|REC:{x}|curve:USD_OIS" for x in name],
    )


def credit_indices(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """The index series on the run and the one before."""
    at_hand = [
        x for x, (c, d, _) in _INDICES.items() if market.has(f"curve:{x}|curve:{d}") and market.usd(c) is not None
    ]
    if not at_hand:
        return pd.DataFrame()
    name = rng.choice(at_hand, n)
    currency, discount, calendar = (np.array([_INDICES[x][k] for x in name]) for k in range(3))
    # a series begins on a 20th of March or September and runs five years and a quarter
    roll = market.date.astype("datetime64[M]") - 1
    begun = np.array([roll - k for k in range(12) if int((roll - k).astype(int)) % 6 == 2][:2])[rng.integers(0, 2, n)]
    start = begun.astype("datetime64[D]") + 19
    maturity = later(start, 63)
    buys = rng.random(n) < 0.5
    level = np.array([_spread(market, x) for x in name])
    return contract_frame(
        "credit_index",
        [f"{x} {m} {'buys' if b else 'sells'}" for x, m, b in zip(name, iso(maturity), buys, strict=True)],
        currency=currency,
        credit_curve=name,
        recovery_rate=0.4,
        buy_protection=buys,
        coupon=_COUPON,
        start=iso(start),
        maturity=iso(maturity),
        calendar=calendar,
        discount_curve=discount,
        ends=maturity,
        risk=0.04 * level * 4.5 * np.array([market.usd(c) for c in currency], dtype=float),
        lot=10_000.0,
        reads=[f"curve:{x}|curve:{d}" for x, d in zip(name, discount, strict=True)],
    )


def risky_bonds(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Bonds of the names that have spreads, valued with their risk of default."""
    names = _names(market)
    if not names:
        return pd.DataFrame()
    name = rng.choice(names, n)
    tenor = rng.choice([3.0, 5.0, 7.0, 10.0], n)
    first, _ = terms_of(market, n, tenor, np.full(n, 0.7), rng)
    issue = later(first.astype("datetime64[M]").astype("datetime64[D]") + 14, -1)
    maturity = later(issue, 12 * tenor.astype(int))
    level = np.array([_spread(market, x) for x in name])
    coupon = (
        np.maximum(
            np.rint((level + market.rate("USD_OIS", tenor) + rng.normal(0.0, age(market, 0.001, 0.006), n)) / 0.00125),
            1.0,
        )
        * 0.00125
    )
    return contract_frame(
        "risky_bond",
        [f"{x} {c:.4%} {i} {m}" for x, c, i, m in zip(name, coupon, iso(issue), iso(maturity), strict=True)],
        currency="USD",
        issue_date=iso(issue),
        maturity=iso(maturity),
        coupon=coupon,
        frequency=2,
        day_count="Thirty360",
        calendar="USNY",
        credit_curve=name,
        recovery=[f"REC:{x}" for x in name],
        discount_curve="USD_OIS",
        ends=maturity,
        risk=100.0 * (0.0006 + 0.03 * level) * np.maximum(duration(years_to(market, maturity)), 0.5),
        lot=10.0,
        reads=[f"curve:{x}|REC:{x}|curve:USD_OIS" for x in name],
    )
