"""Contracts of the sample bank: what its desks could trade on a day, on the risk factors the lake holds then.

A frame of contracts has one row a contract: the columns of `COLUMNS` and one column a term, as a positions file has it.
"""

from __future__ import annotations

import datetime as dt
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from lake.arrays import Dates, Floats
from lake.errors import NotFound
from valuation.instruments import schedules
from valuation.samples.days import DayMarket, MarketDays

# product : name in PRODUCTS; ends : day from which the contract is no longer held; risk : USD that one unit moves on an
# ordinary day; lot : quantities are multiples of it; hedge, delta : underlying share and how many hedge one unit;
# reads : the risk factors and curves without which it has no value; next_reset : day of the next floating fixing.
COLUMNS = {
    "product": "object",
    "instrument": "object",
    "instrument_type": "object",
    "ends": "datetime64[s]",
    "risk": "float64",
    "lot": "float64",
    "hedge": "object",
    "delta": "float64",
    "reads": "object",
    "next_reset": "datetime64[s]",
}
NEVER = np.datetime64("2999-12-31")

Rng = np.random.Generator


def _frame(instrument_type: str, instrument: Sequence[str], **columns: Any) -> pd.DataFrame:
    defaults = {"ends": NEVER, "hedge": None, "delta": 0.0, "next_reset": NEVER}
    return pd.DataFrame({"instrument_type": instrument_type, "instrument": instrument, **defaults, **columns})


def _iso(days: Dates) -> npt.NDArray[np.str_]:
    return np.datetime_as_string(days.astype("datetime64[D]"))


def _figures(values: Floats, figures: int) -> Floats:
    """Rounded to so many significant figures."""
    scale = 10.0 ** (figures - 1 - np.floor(np.log10(np.abs(values))))
    return np.rint(values * scale) / scale


def _weekday(days: Dates) -> Dates:
    return np.busday_offset(days.astype("datetime64[D]"), 0, roll="forward")


def _years(market: DayMarket, days: Dates) -> Floats:
    return (days - market.date).astype(float) / 365.0


def _forward_dates(rng: Rng, market: DayMarket, n: int) -> Dates:
    """Maturities of forwards, from a week to a year."""
    days = rng.choice([7, 14, 30, 61, 91, 182, 274, 365], n, p=[0.08, 0.08, 0.16, 0.16, 0.22, 0.16, 0.07, 0.07])
    return _weekday(market.date + (days + rng.integers(0, 7, n)))


def _age(market: DayMarket, fresh: float, seasoned: float) -> float:
    """How far from the money a new contract is struck: on the first day the book is an old one."""
    return seasoned if market.previous is None else fresh


def _dividend_yield(factor_id: str) -> float:
    """A stand-in for dividends, of which the market holds none: 0% to 3%, always the same for a share."""
    return zlib.crc32(factor_id.encode()) % 7 * 0.005


def _short(factor_id: str) -> str:
    return factor_id.partition(":")[2]


def _cash_equities(market: DayMarket, domestic: bool) -> pd.DataFrame:
    factors = [
        f
        for f in market.of_type("equity_price", "index_level")
        if (f.currency == "USD") == domestic and market.usd(f.currency) is not None
    ]
    ids = [f.risk_factor_id for f in factors]
    return _frame(
        "cash_equity",
        [_short(i) for i in ids],
        currency=[f.currency for f in factors],
        underlying=ids,
        risk=[0.016 * market.level(f.risk_factor_id) * (market.usd(f.currency) or 0.0) for f in factors],
        lot=1.0,
        reads=ids,
    )


def us_equities(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """All shares and indices in USD."""
    return _cash_equities(market, domestic=True)


def european_equities(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """All shares and indices in other currencies."""
    return _cash_equities(market, domestic=False)


def equity_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Calls and puts around the money, from a week to two years, on every share and index with an implied volatility."""
    vols = {_short(f.risk_factor_id): f for f in market.of_type("implied_vol")}
    shares = [
        f
        for f in market.of_type("equity_price", "index_level")
        if f.currency in market.curves
        and _short(f.risk_factor_id) in vols
        and vols[_short(f.risk_factor_id)].currency == f.currency
        and market.usd(f.currency) is not None
    ]
    if not shares:
        return pd.DataFrame()
    which = rng.integers(0, len(shares), n)
    expiry = rng.choice(_option_expiries(market), n)
    times = _years(market, expiry)
    spot = np.array([market.level(f.risk_factor_id) for f in shares])[which]
    vol_ids = [vols[_short(f.risk_factor_id)].risk_factor_id for f in shares]
    vol = np.array([market.level(v) for v in vol_ids])[which]
    dividend = np.array([_dividend_yield(f.risk_factor_id) for f in shares])[which]
    usd = np.array([market.usd(f.currency) for f in shares], dtype=float)[which]
    money = np.exp(np.clip(rng.normal(0.0, 0.03 + 0.5 * vol * np.sqrt(times)), -0.5, 0.4))
    step = 0.025 * 10.0 ** np.floor(np.log10(spot))  # 2.5 for a share at 300, as exchanges list them
    strike = np.maximum(np.rint(spot * money / step), 1.0) * step
    strike = _figures(strike, 6)
    call = rng.random(n) < 0.5
    rate = np.array([market.rate(f.currency, np.array([1.0]))[0] for f in shares])[which]
    d1 = (np.log(spot / strike) + (rate - dividend + vol * vol / 2) * times) / (vol * np.sqrt(times))
    delta = np.exp(-dividend * times) * np.where(call, ndtr(d1), ndtr(d1) - 1.0)
    kind = np.where(call, "call", "put")
    dates = _iso(expiry)
    ids = np.array([f.risk_factor_id for f in shares])[which]
    volatility = np.array(vol_ids)[which]
    currency = np.array([f.currency for f in shares])[which]
    return _frame(
        "equity_option",
        [f"{_short(u)} {d} {k} {x:g}" for u, d, k, x in zip(ids, dates, kind, strike, strict=True)],
        currency=currency,
        underlying=ids,
        volatility=volatility,
        strike=strike,
        expiry=dates,
        option_type=kind,
        dividend_yield=dividend,
        discount_curve=currency,
        ends=expiry,
        risk=np.maximum(np.abs(delta), 0.25) * spot * vol / 16.0 * usd,
        lot=1.0,
        hedge=ids,
        delta=np.round(delta, 3),
        reads=[f"{u}|{v}|curve:{c}" for u, v, c in zip(ids, volatility, currency, strict=True)],
    )


def _option_expiries(market: DayMarket) -> Dates:
    """Eight Fridays, then the third Friday of each month for a year, then of June and December up to two years."""
    friday = np.busday_offset(market.date + 1, 0, roll="forward", weekmask="Fri")
    months = market.date.astype("datetime64[M]") + np.arange(1, 25)
    third = np.busday_offset(months.astype("datetime64[D]"), 2, roll="forward", weekmask="Fri")
    monthly = third[:12][third[:12] > friday + 7 * 7]
    later = third[12:][np.isin(months[12:].astype(int) % 12, (5, 11))]
    return np.concatenate([friday + 7 * np.arange(8), monthly, later])


def equity_forwards(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Forwards on shares and indices whose currency has a curve."""
    shares = [
        f
        for f in market.of_type("equity_price", "index_level")
        if f.currency in market.curves and market.usd(f.currency) is not None
    ]
    if not shares:
        return pd.DataFrame()
    which = rng.integers(0, len(shares), n)
    maturity = _forward_dates(rng, market, n)
    times = _years(market, maturity)
    ids = np.array([f.risk_factor_id for f in shares])[which]
    spot = np.array([market.level(f.risk_factor_id) for f in shares])[which]
    dividend = np.array([_dividend_yield(f.risk_factor_id) for f in shares])[which]
    usd = np.array([market.usd(f.currency) for f in shares], dtype=float)[which]
    currency = np.array([f.currency for f in shares])[which]
    strike = _figures(spot * np.exp(rng.normal(0.0, _age(market, 0.005, 0.05), n)), 5)
    dates = _iso(maturity)
    return _frame(
        "equity_forward",
        [f"{_short(u)} forward {d} {x:g}" for u, d, x in zip(ids, dates, strike, strict=True)],
        currency=currency,
        underlying=ids,
        strike=strike,
        maturity=dates,
        dividend_yield=dividend,
        discount_curve=currency,
        ends=maturity,
        risk=0.016 * spot * usd,
        lot=1.0,
        hedge=ids,
        delta=np.round(np.exp(-dividend * times), 3),
        reads=[f"{u}|curve:{c}" for u, c in zip(ids, currency, strict=True)],
    )


_CURRENCIES = {
    "EUR": 0.26, "GBP": 0.15, "JPY": 0.14, "CHF": 0.08, "AUD": 0.08, "CAD": 0.07, "SEK": 0.05, "NOK": 0.04, "NZD": 0.04,
    "SGD": 0.03, "HKD": 0.02, "MXN": 0.02, "ZAR": 0.02,
}  # fmt: skip
_FOREIGN_RATE = 0.01  # where the base currency has no curve
_FX_MOVE = 0.006


def fx_forwards(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Forwards against USD mostly, then EUR and JPY, where the quote currency has a curve."""
    odds: dict[tuple[str, str], float] = {}
    for quote, share in (("USD", 0.7), ("EUR", 0.15), ("JPY", 0.15)):
        for base in ("USD", *_CURRENCIES):
            # the market quotes all of these in yen, none the other way
            known = market.usd(base) is not None and market.usd(quote) is not None
            if base in (quote, "JPY") or (base, quote) == ("USD", "EUR") or quote not in market.curves or not known:
                continue
            odds[base, quote] = share * _CURRENCIES.get(base, 0.3)
    if not odds:
        return pd.DataFrame()
    pairs = list(odds)
    p = np.array(list(odds.values()))
    which = rng.choice(len(pairs), n, p=p / p.sum())
    maturity = _forward_dates(rng, market, n)
    times = _years(market, maturity)
    usd = {c: market.usd(c) or 0.0 for pair in pairs for c in pair}
    spot = np.array([usd[b] / usd[q] for b, q in pairs])[which]
    own = [b if b in market.curves else None for b, _ in pairs]
    foreign = np.full(n, np.exp(-_FOREIGN_RATE)) ** times
    domestic = np.empty(n)
    for i, (base, quote) in enumerate(pairs):
        rows = which == i
        domestic[rows] = market.discount(quote, times[rows])
        if own[i] is not None:
            foreign[rows] = market.discount(base, times[rows])
    noise = np.exp(rng.normal(0.0, _age(market, 0.001, 0.02), n))
    strike = _figures(spot * foreign / domestic * noise, 5)
    dates = _iso(maturity)
    bases = np.array([b for b, _ in pairs])[which]
    quotes = np.array([q for _, q in pairs])[which]
    reads = [
        "|".join([*(f for f, _ in market.index.fx_path(b, q)), f"curve:{q}", *([f"curve:{o}"] if o else [])])
        for (b, q), o in zip(pairs, own, strict=True)
    ]
    return _frame(
        "fx_forward",
        [f"{b}/{q} {d} {x:g}" for b, q, d, x in zip(bases, quotes, dates, strike, strict=True)],
        currency=quotes,
        base_currency=bases,
        strike=strike,
        maturity=dates,
        quote_curve=quotes,
        base_curve=np.array(own, dtype=object)[which],
        base_rate=np.array([np.nan if o else _FOREIGN_RATE for o in own])[which],
        ends=maturity,
        risk=_FX_MOVE * np.array([usd[b] for b, _ in pairs])[which],
        lot=1000.0,
        reads=np.array(reads)[which],
    )


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
            level = market.rate(issuer.currency, np.array([float(tenor)]))[0] - 0.0012 * _years(market, issue)
            coupon = np.round(np.maximum(np.rint(level / issuer.grid), 1.0) * issuer.grid, 6)
            left = _years(market, last)
            duration = np.maximum((1.0 - np.exp(-0.02 * left)) / 0.02, 2.0)  # no giant trades in bills
            move = np.hypot(duration * issuer.daily_move, 0.0 if issuer.currency == "USD" else _FX_MOVE)
            frames.append(
                _frame(
                    "government_bond",
                    [f"{issuer.name} {c:.4%} {d}" for c, d in zip(coupon, _iso(last), strict=True)],
                    currency=issuer.currency,
                    issue_date=_iso(issue),
                    maturity=_iso(last),
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


_SWAP = {
    "fixed_frequency": 2,
    "float_frequency": 2,
    "fixed_day_count": "Thirty360",
    "float_day_count": "Actual360",
    "calendar": "USNY",
    "business_day_convention": "ModifiedFollowing",
}


def swap_resets(start: str, maturity: str) -> Dates:
    """First days of the floating periods of a swap of the sample book."""
    leg = schedules.leg(
        dt.date.fromisoformat(start),
        dt.date.fromisoformat(maturity),
        2,
        "Actual360",
        "USNY",
        "ModifiedFollowing",
        adjust_accrual=True,
        end_of_month=False,
    )
    return np.datetime64("0000-12-31") + leg.starts


def swap_fixing(market: DayMarket) -> float:
    """The six-month rate that a floating period beginning on this day pays."""
    return round(float(market.rate("USD", np.array([0.5]))[0]), 6)


def interest_rate_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """USD swaps of 1 to 30 years begun today, on the first day also in the months before; the first period is fixed."""
    begun = days.before(market.date) if market.previous is None else [market]
    # New York's exchange trades on some days on which no swap begins
    begun = [m for m in begun if "USD" in m.curves and swap_resets(str(m.date), str(m.date + 366))[0] == m.date]
    if not begun:
        return pd.DataFrame()
    tenors = np.array([1, 2, 3, 5, 7, 10, 15, 20, 30])
    grid = np.arange(1, 31, dtype=float)
    par = np.empty((len(begun), len(tenors)))
    for i, then in enumerate(begun):
        discount = then.discount("USD", grid)
        par[i] = ((1.0 - discount) / np.cumsum(discount))[tenors - 1]
    which = rng.integers(0, len(begun), n)
    tenor = rng.choice(len(tenors), n, p=[0.08, 0.14, 0.12, 0.2, 0.1, 0.2, 0.05, 0.05, 0.06])
    start = np.array([m.date for m in begun])[which]
    maturity = (start.astype("datetime64[M]") + 12 * tenors[tenor]).astype("datetime64[D]")
    maturity = maturity + (start - start.astype("datetime64[M]").astype("datetime64[D]"))
    fixed_rate = np.round(par[which, tenor] + rng.normal(0.0, 0.001, n), 4)
    pays = rng.random(n) < 0.5
    starts, ends = _iso(start), _iso(maturity)
    fixing = [json.dumps({str(m.date): swap_fixing(m)}) for m in begun]
    resets = {pair: swap_resets(*pair)[1:2] for pair in set(zip(starts.tolist(), ends.tolist(), strict=True))}
    duration = (1.0 - np.exp(-0.02 * tenors)) / 0.02
    frame = _frame(
        "interest_rate_swap",
        [
            f"USD swap {s} {e} {'pays' if p else 'receives'} {r:.2%}"
            for s, e, p, r in zip(starts, ends, pays, fixed_rate, strict=True)
        ],
        currency="USD",
        pay_fixed=pays,
        fixed_rate=fixed_rate,
        start=starts,
        maturity=ends,
        discount_curve="USD",
        fixings=np.array(fixing, dtype=object)[which],
        ends=maturity,
        risk=0.0006 * duration[tenor],
        lot=10_000.0,
        reads="curve:USD",
        next_reset=[resets[pair][0] for pair in zip(starts.tolist(), ends.tolist(), strict=True)],
        **_SWAP,
    )
    return frame[frame["next_reset"] > market.date]


def commodity_forwards(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Forwards to the 20th of a month, up to eighteen months."""
    goods = [
        f
        for f in market.of_type("commodity_price")
        if f.currency in market.curves and market.usd(f.currency) is not None
    ]
    if not goods:
        return pd.DataFrame()
    which = rng.integers(0, len(goods), n)
    month = market.date.astype("datetime64[M]") + np.minimum(1 + rng.geometric(0.22, n), 18)
    maturity = _weekday(month.astype("datetime64[D]") + 19)
    ids = np.array([f.risk_factor_id for f in goods])[which]
    spot = np.array([market.level(f.risk_factor_id) for f in goods])[which]
    usd = np.array([market.usd(f.currency) for f in goods], dtype=float)[which]
    size = np.maximum(np.abs(spot), 1.0)  # a price near zero moves too
    strike = np.round(spot + size * rng.normal(0.0, _age(market, 0.005, 0.06), n), 2)
    dates = _iso(maturity)
    currency = np.array([f.currency for f in goods])[which]
    return _frame(
        "commodity_forward",
        [f"{_short(u)} {d} {x:g}" for u, d, x in zip(ids, dates, strike, strict=True)],
        currency=currency,
        underlying=ids,
        strike=strike,
        maturity=dates,
        discount_curve=currency,
        ends=maturity,
        risk=0.022 * size * usd,
        lot=10.0,
        reads=[f"{u}|curve:{c}" for u, c in zip(ids, currency, strict=True)],
    )


Maker = Callable[[Rng, MarketDays, DayMarket, int], pd.DataFrame]


@dataclass(frozen=True)
class Product:
    """What a desk trades: its share of the trades, how many of them share a contract, and how contracts are made."""

    desk: str
    share: float
    trades_per_contract: float
    make: Maker


PRODUCTS: dict[str, Product] = {
    "options": Product("Equity Derivatives", 0.20, 2.2, equity_options),
    "equity forwards": Product("Equity Derivatives", 0.07, 2.2, equity_forwards),
    "US equities": Product("US Equities", 0.15, 1.0, us_equities),
    "European equities": Product("European Equities", 0.07, 1.0, european_equities),
    "FX forwards": Product("Foreign Exchange", 0.18, 2.2, fx_forwards),
    "government bonds": Product("Government Bonds", 0.14, 1.0, government_bonds),
    "swaps": Product("Interest Rate Swaps", 0.12, 2.2, interest_rate_swaps),
    "commodities": Product("Commodities", 0.07, 2.2, commodity_forwards),
}


def missing_products(market: DayMarket) -> NotFound:
    types = sorted({f.type for f in market.index.factors})
    return NotFound(
        f"No contract of the sample book can be written on the risk factors of {market.date}; it needs equity prices, a "
        f"USD curve, exchange rates or commodity prices. There are: {', '.join(types) or 'none'}."
    )
