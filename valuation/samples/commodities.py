"""Sample contracts on commodities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lake.arrays import Dates
from scenarios.types import RiskFactor
from valuation.instruments import schedules
from valuation.samples.contract_frames import (
    Fixings,
    Rng,
    Row,
    SampleUnderlyings,
    age,
    around,
    contract_frame,
    fixed,
    iso,
    later,
    short,
    weekday,
    years_to,
)
from valuation.samples.days import DayMarket, MarketDays


def _goods(market: DayMarket, volatile: bool = False) -> list[RiskFactor]:
    """Commodities whose currency has a curve; those with a volatility of their own and a price above zero alone, if so asked."""
    return [
        f
        for f in market.of_type("commodity_price")
        if f.currency in market.curves
        and market.usd(f.currency) is not None
        and (not volatile or (market.has(f"IV:{short(f.risk_factor_id)}") and market.level(f.risk_factor_id) > 0))
    ]


def commodity_forwards(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Forwards to the 20th of a month, up to eighteen months."""
    goods = _goods(market)
    if not goods:
        return pd.DataFrame()
    which = rng.integers(0, len(goods), n)
    month = market.date.astype("datetime64[M]") + np.minimum(1 + rng.geometric(0.22, n), 18)
    maturity = weekday(month.astype("datetime64[D]") + 19)
    on = SampleUnderlyings(market, goods, which)
    ids, spot, currency = on.ids, on.spot, on.currency
    size = np.maximum(np.abs(spot), 1.0)  # a price near zero moves too
    strike = np.round(spot + size * rng.normal(0.0, age(market, 0.005, 0.06), n), 2)
    dates = iso(maturity)
    return contract_frame(
        "commodity_forward",
        [f"{short(u)} {d} {x:g}" for u, d, x in zip(ids, dates, strike, strict=True)],
        currency=currency,
        underlying=ids,
        strike=strike,
        maturity=dates,
        discount_curve=currency,
        ends=maturity,
        risk=0.022 * size * on.usd,
        lot=10.0,
        reads=[f"{u}|curve:{c}" for u, c in zip(ids, currency, strict=True)],
    )


def commodity_futures(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Futures to the 20th of a month, gains counted from a price of the last days; on prices of a delivery month where there are any."""
    goods = _goods(market)
    if not goods:
        return pd.DataFrame()
    which = rng.integers(0, len(goods), n)
    on = SampleUnderlyings(market, goods, which)
    ids, spot = on.ids, on.spot
    months = np.array([int(i.rpartition(":M")[2]) if ":M" in i else 0 for i in ids])
    months = np.where(months > 0, months, rng.integers(2, 6, n))
    maturity = weekday((market.date.astype("datetime64[M]") + months).astype("datetime64[D]") + 19)
    price = np.round(spot + np.maximum(np.abs(spot), 1.0) * rng.normal(0.0, age(market, 0.004, 0.03), n), 2)
    return contract_frame(
        "commodity_future",
        [f"{short(u)} future {d} from {x:g}" for u, d, x in zip(ids, iso(maturity), price, strict=True)],
        currency=on.currency,
        underlying=ids,
        reference_price=price,
        maturity=iso(maturity),
        ends=maturity,
        risk=0.022 * np.maximum(np.abs(spot), 1.0) * on.usd,
        lot=10.0,
        reads=ids,
    )


def _averaged(row: Row) -> Dates:
    """Days whose price a swap averages."""
    days = schedules.business_days(dt.date.fromisoformat(row.start), dt.date.fromisoformat(row.maturity), "USNY")
    return np.datetime64("0000-12-31") + days


def averaged_prices(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """Prices of the days that have been averaged."""
    price = Fixings("fixings", _averaged, lambda row, then: round(then.level(row.underlying), 4), every=True)
    return fixed(contracts, days, market, price)


def commodity_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Monthly averages of the next months against a fixed price, begun with a month; on the book's first day up to two months ago."""
    goods = [f for f in _goods(market) if ":M" not in f.risk_factor_id]
    if not goods:
        return pd.DataFrame()
    which = rng.integers(0, len(goods), n)
    on = SampleUnderlyings(market, goods, which)
    ids, spot = on.ids, on.spot
    since = rng.integers(-1, 3, n) if market.previous is None else np.full(n, -1)
    start = (market.date.astype("datetime64[M]") - since).astype("datetime64[D]")
    maturity = later(start, rng.choice([3, 6, 12], n))
    pays = rng.random(n) < 0.5
    price = np.round(spot + np.maximum(np.abs(spot), 1.0) * rng.normal(0.0, age(market, 0.005, 0.04), n), 2)
    contracts = contract_frame(
        "commodity_swap",
        [
            f"{short(u)} swap {s} {m} {'pays' if p else 'receives'} {x:g}"
            for u, s, m, p, x in zip(ids, iso(start), iso(maturity), pays, price, strict=True)
        ],
        currency=on.currency,
        underlying=ids,
        pay_fixed=pays,
        fixed_price=price,
        start=iso(start),
        maturity=iso(maturity),
        frequency=12,
        calendar="USNY",
        business_day_convention="Following",
        discount_curve=on.currency,
        ends=maturity,
        risk=0.022 * np.maximum(np.abs(spot), 1.0) * 4.0 * on.usd,
        lot=10.0,
        reads=[f"{u}|curve:{c}" for u, c in zip(ids, on.currency, strict=True)],
    )
    made = averaged_prices(contracts, days, market)
    return made[made["ends"] > market.date + 5].reset_index(drop=True)


class _CommodityOptions:
    """Options on commodities that have a volatility, to the 17th of a month."""

    def __init__(self, rng: Rng, market: DayMarket, n: int) -> None:
        self.goods = _goods(market, volatile=True)
        if not self.goods:
            return
        which = rng.integers(0, len(self.goods), n)
        on = SampleUnderlyings(market, self.goods, which)
        self.ids, self.spot, self.usd, currency = on.ids, on.spot, on.usd, on.currency
        self.volatility = np.array([f"IV:{short(i)}" for i in self.ids])
        self.vol = np.array([market.level(v) for v in self.volatility])
        month = market.date.astype("datetime64[M]") + np.minimum(rng.geometric(0.3, n), 12)
        expiry = weekday(month.astype("datetime64[D]") + 16)
        self.times = years_to(market, expiry)
        self.strike = around(rng, market, self.spot, self.vol, self.times)
        self.expiry = iso(expiry)
        self.kind = np.where(rng.random(n) < 0.5, "call", "put")
        self.terms: dict[str, Any] = {
            "currency": currency,
            "underlying": self.ids,
            "volatility": self.volatility,
            "strike": self.strike,
            "expiry": self.expiry,
            "option_type": self.kind,
            "discount_curve": currency,
            "ends": expiry,
            "risk": 0.5 * self.spot * self.vol / 16.0 * self.usd,
            "lot": 10.0,
            "reads": [f"{u}|{v}|curve:{c}" for u, v, c in zip(self.ids, self.volatility, currency, strict=True)],
        }

    def named(self, kind: str, *more: Sequence[Any] | npt.NDArray[Any]) -> list[str]:
        return [
            " ".join([f"{short(u)} {kind} {e} {k} {x:g}", *map(str, rest)])
            for u, e, k, x, *rest in zip(self.ids, self.expiry, self.kind, self.strike, *more, strict=True)
        ]


_NORMAL = "NV:WTI"


def commodity_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Options on commodities; half of those on crude oil by a normal volatility, as its price may fall below zero."""
    o = _CommodityOptions(rng, market, n)
    if not o.goods:
        return pd.DataFrame()
    normal = (o.ids == "CMD:WTI") & (rng.random(n) < 0.5) & market.has(_NORMAL)
    return contract_frame(
        "commodity_option",
        o.named("option", np.where(normal, "normal", "lognormal")),
        **o.terms
        | {
            "volatility": np.where(normal, _NORMAL, o.volatility),
            "reads": [f"{r}|{_NORMAL}" if x else r for r, x in zip(o.terms["reads"], normal, strict=True)],
        },
        model=np.where(normal, "normal", "lognormal"),
    )


def commodity_american_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """As `commodity_options`, with early exercise."""
    o = _CommodityOptions(rng, market, n)
    return contract_frame("commodity_american_option", o.named("American"), **o.terms) if o.goods else pd.DataFrame()


_SPREADS = (("CMD:BRENT", "IV:BRENT", "CMD:WTI", "IV:WTI", 0.9), ("CMD:WTI", "IV:WTI", "CMD:WTI:M12", "IV:WTI", 0.95))


def commodity_spread_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Brent against WTI, and near against far WTI."""
    pairs = [p for p in _SPREADS if market.has("|".join([*p[:4], "curve:USD"]))]
    if not pairs:
        return pd.DataFrame()
    first, vol, second, second_vol, correlation = (
        np.array(c) for c in zip(*[pairs[k] for k in rng.integers(0, len(pairs), n)], strict=True)
    )
    difference = np.array([market.level(a) - market.level(b) for a, b in zip(first, second, strict=True)])
    strike = np.round(difference + rng.normal(0.0, 2.0, n), 1)
    month = market.date.astype("datetime64[M]") + rng.integers(2, 12, n)
    expiry = weekday(month.astype("datetime64[D]") + 16)
    kind = np.where(rng.random(n) < 0.5, "call", "put")
    return contract_frame(
        "commodity_spread_option",
        [
            f"{short(a)} less {short(b)} {e} {k} {x:g}"
            for a, b, e, k, x in zip(first, second, iso(expiry), kind, strike, strict=True)
        ],
        currency="USD",
        underlying=first,
        volatility=vol,
        second_underlying=second,
        second_volatility=second_vol,
        correlation=correlation,
        strike=strike,
        expiry=iso(expiry),
        option_type=kind,
        discount_curve="USD",
        ends=expiry,
        risk=0.006 * np.array([market.level(a) for a in first]),
        lot=10.0,
        reads=["|".join([*p, "curve:USD"]) for p in zip(first, vol, second, second_vol, strict=True)],
    )
