"""Sample contracts on shares and indices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from lake.arrays import Dates, Floats
from scenarios.types import SHARES, RiskFactor
from valuation.market.dividends import expected_dividends
from valuation.samples.contract_frames import (
    NEVER,
    Fixings,
    Rng,
    Row,
    SampleUnderlyings,
    age,
    around,
    contract_frame,
    dividend_yield,
    figures,
    fixed,
    forward_dates,
    iso,
    short,
    weekday,
    years_to,
)
from valuation.samples.days import DayMarket, MarketDays


def _cash_equities(market: DayMarket, domestic: bool) -> pd.DataFrame:
    factors = [
        f for f in market.of_type(*SHARES) if (f.currency == "USD") == domestic and market.usd(f.currency) is not None
    ]
    ids = [f.risk_factor_id for f in factors]
    return contract_frame(
        "cash_equity",
        [short(i) for i in ids],
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
    pairs = _shares_with_volatility(market)
    if not pairs:
        return pd.DataFrame()
    shares, vols = ([pair[k] for pair in pairs] for k in (0, 1))
    which = rng.integers(0, len(shares), n)
    expiry = rng.choice(_option_expiries(market), n)
    times = years_to(market, expiry)
    spot = np.array([market.level(f.risk_factor_id) for f in shares])[which]
    vol_ids = [f.risk_factor_id for f in vols]
    vol = np.array([market.level(v) for v in vol_ids])[which]
    dividend = np.array([dividend_yield(f.risk_factor_id) for f in shares])[which]
    usd = np.array([market.usd(f.currency) for f in shares], dtype=float)[which]
    money = np.exp(np.clip(rng.normal(0.0, 0.03 + 0.5 * vol * np.sqrt(times)), -0.5, 0.4))
    step = 0.025 * 10.0 ** np.floor(np.log10(spot))  # 2.5 for a share at 300, as exchanges list them
    strike = np.maximum(np.rint(spot * money / step), 1.0) * step
    strike = figures(strike, 6)
    call = rng.random(n) < 0.5
    rate = np.array([market.rate(f.currency, np.array([1.0]))[0] for f in shares])[which]
    d1 = (np.log(spot / strike) + (rate - dividend + vol * vol / 2) * times) / (vol * np.sqrt(times))
    delta = np.exp(-dividend * times) * np.where(call, ndtr(d1), ndtr(d1) - 1.0)
    kind = np.where(call, "call", "put")
    dates = iso(expiry)
    ids = np.array([f.risk_factor_id for f in shares])[which]
    volatility = np.array(vol_ids)[which]
    currency = np.array([f.currency for f in shares])[which]
    return contract_frame(
        "equity_option",
        [f"{short(u)} {d} {k} {x:g}" for u, d, k, x in zip(ids, dates, kind, strike, strict=True)],
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
    shares = [f for f in market.of_type(*SHARES) if f.currency in market.curves and market.usd(f.currency) is not None]
    if not shares:
        return pd.DataFrame()
    which = rng.integers(0, len(shares), n)
    maturity = forward_dates(rng, market, n)
    times = years_to(market, maturity)
    on = SampleUnderlyings(market, shares, which)
    ids, spot, currency = on.ids, on.spot, on.currency
    dividend = np.array([dividend_yield(i) for i in ids])
    strike = figures(spot * np.exp(rng.normal(0.0, age(market, 0.005, 0.05), n)), 5)
    dates = iso(maturity)
    return contract_frame(
        "equity_forward",
        [f"{short(u)} forward {d} {x:g}" for u, d, x in zip(ids, dates, strike, strict=True)],
        currency=currency,
        underlying=ids,
        strike=strike,
        maturity=dates,
        dividend_yield=dividend,
        discount_curve=currency,
        ends=maturity,
        risk=0.016 * spot * on.usd,
        lot=1.0,
        hedge=ids,
        delta=np.round(np.exp(-dividend * times), 3),
        reads=[f"{u}|curve:{c}" for u, c in zip(ids, currency, strict=True)],
    )


def _shares_with_volatility(market: DayMarket) -> list[tuple[RiskFactor, RiskFactor]]:
    """Shares and indices whose currency has a curve, each with its implied volatility."""
    vols = {short(f.risk_factor_id): f for f in market.of_type("implied_vol")}
    return [
        (f, vol)
        for f in market.of_type(*SHARES)
        if f.currency in market.curves
        and (vol := vols.get(short(f.risk_factor_id))) is not None
        and vol.currency == f.currency
        and market.usd(f.currency) is not None
    ]


class _ShareOptions:
    """Terms that the further options on shares and indices have, on some of them: n each, of these days to expiry."""

    def __init__(self, rng: Rng, market: DayMarket, n: int, expiry: Dates) -> None:
        shares = _shares_with_volatility(market)
        which = rng.integers(0, len(shares), n)
        share, vol = ([pair[k] for pair in shares] for k in (0, 1))
        on = SampleUnderlyings(market, share, which)
        self.ids, self.spot, self.usd, currency = on.ids, on.spot, on.usd, on.currency
        self.vol = np.array([market.level(f.risk_factor_id) for f in vol])[which]
        volatility = np.array([f.risk_factor_id for f in vol])[which]
        self.times = years_to(market, expiry)
        self.strike = around(rng, market, self.spot, self.vol, self.times)
        self.call = rng.random(n) < 0.5
        self.expiry = iso(expiry)
        self.terms: dict[str, Any] = {
            "currency": currency,
            "underlying": self.ids,
            "volatility": volatility,
            "strike": self.strike,
            "expiry": self.expiry,
            "option_type": np.where(self.call, "call", "put"),
            "dividend_yield": [dividend_yield(i) for i in self.ids],
            "discount_curve": currency,
            "ends": expiry,
            "reads": [f"{u}|{v}|curve:{c}" for u, v, c in zip(self.ids, volatility, currency, strict=True)],
            "lot": 1.0,
        }

    def named(self, kind: str, *more: Sequence[Any] | npt.NDArray[Any]) -> list[str]:
        parts = [*more] if more else [[""] * len(self.ids)]
        return [
            f"{short(u)} {kind} {e} {c} {x:g} {' '.join(map(str, rest))}".rstrip()
            for u, e, c, x, *rest in zip(
                self.ids, self.expiry, self.terms["option_type"], self.strike, *parts, strict=True
            )
        ]

    @property
    def risk(self) -> Floats:
        """USD that an option at the money moves on an ordinary day."""
        return np.asarray(0.5 * self.spot * self.vol / 16.0 * self.usd)


def american_share_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Single-stock options that may be exercised early; two of them valued by Longstaff and Schwartz."""
    if not _shares_with_volatility(market):
        return pd.DataFrame()
    o = _ShareOptions(rng, market, n, rng.choice(_option_expiries(market), n))
    simulated = np.arange(n) < 2
    return contract_frame(
        "equity_american_option",
        o.named("American", np.where(simulated, "by simulation", "")),
        **o.terms,
        engine=["longstaff_schwartz" if s else None for s in simulated],
        paths=[2000 if s else None for s in simulated],
        steps=[25 if s else None for s in simulated],
        risk=o.risk,
    )


def equity_digitals(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Digitals from a month to a year, of cash and a few of the share."""
    if not _shares_with_volatility(market):
        return pd.DataFrame()
    o = _ShareOptions(rng, market, n, _some_months(rng, market, n))
    cash = rng.random(n) < 0.8
    return contract_frame(
        "equity_digital_option",
        o.named("digital", np.where(cash, "cash", "share")),
        **o.terms | {"lot": np.where(cash, 1000.0, 10.0)},
        payoff=np.where(cash, "cash_or_nothing", "asset_or_nothing"),
        risk=np.where(cash, 1.0, o.spot) * 0.04 * o.usd,
    )


def equity_barriers(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Options with a barrier on the far side of the money or the near one."""
    if not _shares_with_volatility(market):
        return pd.DataFrame()
    o = _ShareOptions(rng, market, n, _some_months(rng, market, n))
    terms, kind = barrier_terms(rng, o.spot, o.vol * np.sqrt(o.times))
    return contract_frame(
        "equity_barrier_option", o.named("barrier", kind), **o.terms, **terms, risk=o.risk, next_reset=market.date + 1
    )


def barrier_terms(rng: Rng, spot: Floats, deviation: Floats) -> tuple[dict[str, object], list[str]]:
    """Barriers some way from the spot, and a word for each."""
    n = len(spot)
    down = rng.random(n) < 0.5
    away = np.clip((0.6 + 0.8 * rng.random(n)) * np.maximum(deviation, 0.05), 0.03, 0.6)
    barrier = figures(spot * np.exp(np.where(down, -away, away)), 4)
    kind = [f"{'down' if d else 'up'}_{'in' if i else 'out'}" for d, i in zip(down, rng.random(n) < 0.3, strict=True)]
    monitoring = np.where(rng.random(n) < 0.7, "daily", "continuous")
    words = [f"{k} {b:g} {m}" for k, b, m in zip(kind, barrier, monitoring, strict=True)]
    return {"barrier": barrier, "barrier_type": kind, "monitoring": monitoring, "barrier_hit": None}, words


def touched(contracts: pd.DataFrame, market: DayMarket, spot: Floats) -> pd.DataFrame:
    """The options with the barrier that the close has reached; what it ends is gone the next day."""
    barrier, kind = contracts["barrier"].to_numpy(float), contracts["barrier_type"].astype(str).str
    before = contracts.get("barrier_hit", pd.Series(None, contracts.index, dtype=object))
    hit = np.where(kind.startswith("down"), spot <= barrier, spot >= barrier) & before.isna()
    return contracts.assign(
        barrier_hit=before.mask(hit, str(market.date)),
        ends=contracts["ends"].mask(hit & kind.endswith("out"), market.date.astype("datetime64[s]")),
        next_reset=np.where(hit | before.notna(), NEVER, market.date + 1).astype("datetime64[s]"),
    )


def equity_barriers_touched(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    return touched(contracts, market, np.array([market.level(u) for u in contracts["underlying"]]))


def _asian_days(row: Row) -> Dates:
    return np.array(json.loads(row.averaging_dates), "datetime64[D]")


def asian_fixings(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """Prices of the days that the average has passed."""
    price = Fixings("fixings", _asian_days, lambda row, then: round(then.level(row.underlying), 4), every=True)
    return fixed(contracts, days, market, price)


def asian_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Options on the average of month ends, begun up to a quarter ago on the book's first day."""
    if not _shares_with_volatility(market):
        return pd.DataFrame()
    months = rng.choice([3, 6, 9, 12], n)
    begun = market.date.astype("datetime64[M]") - (rng.integers(0, 3, n) if market.previous is None else 0)
    ends = [
        np.busday_offset((b + np.arange(1, m + 1)).astype("datetime64[D]"), -1, roll="forward")
        for b, m in zip(begun + np.zeros(n, int), months, strict=True)
    ]
    ends = [e if e[-1] > market.date + 10 else np.append(e, e[-1] + 28) for e in ends]
    expiry = np.array([e[-1] for e in ends])
    o = _ShareOptions(rng, market, n, expiry)
    contracts = contract_frame(
        "equity_asian_option",
        o.named("average", [f"from {e[0]} of {len(e)}" for e in ends]),
        **o.terms,
        averaging_dates=[json.dumps([str(d) for d in e]) for e in ends],
        average="arithmetic",
        risk=0.6 * o.risk,
    )
    return asian_fixings(contracts, days, market)


def _some_months(rng: Rng, market: DayMarket, n: int) -> Dates:
    return weekday(market.date + rng.choice([14, 30, 61, 91, 182, 365], n) + rng.integers(0, 7, n))


_SMILE = "SPX_SMILE"
_INDEX = "IDX:SPX"


def index_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Options on the index over its volatility surface."""
    reads = f"{_INDEX}|surface:{_SMILE}|curve:USD"
    if not market.has(reads):
        return pd.DataFrame()
    expiry = rng.choice(_option_expiries(market), n)
    times, spot = years_to(market, expiry), market.level(_INDEX)
    vol = market.level("IV:SPX:3M:100")
    strike = np.rint(around(rng, market, np.full(n, spot), np.full(n, vol), times) / 25) * 25
    call = rng.random(n) < 0.4
    sticky = rng.choice(["sticky_strike", "sticky_delta"], n, p=[0.5, 0.5])
    kind = np.where(call, "call", "put")
    d1 = (np.log(spot / strike) + vol * vol / 2 * times) / (vol * np.sqrt(times))
    delta = np.where(call, ndtr(d1), ndtr(d1) - 1.0)
    return contract_frame(
        "equity_option",
        [f"SPX smile {d} {k} {x:g} {s}" for d, k, x, s in zip(iso(expiry), kind, strike, sticky, strict=True)],
        currency="USD",
        underlying=_INDEX,
        volatility=_SMILE,
        smile=sticky,
        strike=strike,
        expiry=iso(expiry),
        option_type=kind,
        dividend_yield=0.02,
        discount_curve="USD",
        ends=expiry,
        risk=np.maximum(np.abs(delta), 0.25) * spot * vol / 16.0,
        lot=1.0,
        hedge=_INDEX,
        delta=np.round(delta, 3),
        reads=reads,
    )


def dividend_options(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Options on shares whose cash dividends the market expects, by both models of them."""
    shares = [f for f, _ in _shares_with_volatility(market) if f.risk_factor_id in expected_dividends(market.index)]
    if not shares:
        return pd.DataFrame()
    ids = np.array([f.risk_factor_id for f in shares])[rng.integers(0, len(shares), n)]
    expiry = weekday(market.date + rng.choice([91, 182, 365, 547], n) + rng.integers(0, 7, n))
    spot = np.array([market.level(i) for i in ids])
    vols = np.array([f"IV:{short(i)}" for i in ids])
    vol = np.array([market.level(v) for v in vols])
    strike = around(rng, market, spot, vol, years_to(market, expiry))
    kind = np.where(rng.random(n) < 0.5, "call", "put")
    model = np.where(rng.random(n) < 0.6, "escrowed", "spot")
    return contract_frame(
        "equity_option",
        [
            f"{short(u)} {d} {k} {x:g} {m} dividends"
            for u, d, k, x, m in zip(ids, iso(expiry), kind, strike, model, strict=True)
        ],
        currency="USD",
        underlying=ids,
        volatility=vols,
        strike=strike,
        expiry=iso(expiry),
        option_type=kind,
        dividend_yield=0.0,
        dividend_model=model,
        discount_curve="USD",
        ends=expiry,
        risk=0.5 * spot * vol / 16.0,
        lot=1.0,
        reads=[f"{u}|{v}|curve:USD" for u, v in zip(ids, vols, strict=True)],
    )


def equity_futures(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Futures on indices to the third Fridays of the next quarters, gains counted from a price of the last days."""
    indices = [
        f for f in market.of_type("index_level") if f.currency in market.curves and market.usd(f.currency) is not None
    ]
    if not indices:
        return pd.DataFrame()
    which = rng.integers(0, len(indices), n)
    on = SampleUnderlyings(market, indices, which)
    ids, spot, currency = on.ids, on.spot, on.currency
    maturity = rng.choice(_quarterly(market), n)
    price = np.round(spot * np.exp(rng.normal(0.0, age(market, 0.004, 0.03), n)) / 5, 0) * 5
    return contract_frame(
        "equity_future",
        [f"{short(u)} future {d} from {x:g}" for u, d, x in zip(ids, iso(maturity), price, strict=True)],
        currency=currency,
        underlying=ids,
        reference_price=price,
        maturity=iso(maturity),
        dividend_yield=[dividend_yield(i) for i in ids],
        discount_curve=currency,
        ends=maturity,
        risk=0.012 * spot * on.usd,
        lot=1.0,
        reads=[f"{u}|curve:{c}" for u, c in zip(ids, currency, strict=True)],
    )


def _quarterly(market: DayMarket) -> Dates:
    """The third Fridays of March, June, September and December in the year to come, a week away or more."""
    months = market.date.astype("datetime64[M]") + np.arange(13)
    third = np.busday_offset(
        months[months.astype(int) % 3 == 2].astype("datetime64[D]"), 2, roll="forward", weekmask="Fri"
    )
    return np.asarray(third[third > market.date + 7][:4])


def realised_variances(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """What each swap has realised to today, with the next day as its next observation."""
    realised: list[float | None] = []
    for row in contracts.itertuples():
        start = np.datetime64(row.start)
        if start >= market.date:
            realised.append(None)
            continue
        moves = np.diff(np.log(days.history(row.underlying, start, market.date)))
        realised.append(round(float(np.sum(moves**2)) * 365.0 / int((market.date - start).astype(int)), 6))
    return contracts.assign(
        realised_variance=np.array(realised, dtype=object), next_reset=(market.date + 1).astype("datetime64[s]")
    )


def variance_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Swaps of 3 months to 2 years on the index over its surface; on the book's first day begun up to two months ago."""
    reads = f"{_INDEX}|surface:{_SMILE}|curve:USD"
    if not market.has(reads):
        return pd.DataFrame()
    begun = days.sessions[days.sessions <= market.date][-42 if market.previous is None else -1 :]
    start = begun[rng.integers(0, len(begun), n)]
    maturity = weekday(start + rng.choice([91, 182, 365, 730], n))
    then = {d: days.on(d) for d in np.unique(start)}
    strike = np.array([round(1.04 * then[d].level("IV:SPX:3M:100"), 3) for d in start])
    contracts = contract_frame(
        "variance_swap",
        [f"SPX variance {s} {m} at {x:g}" for s, m, x in zip(start, iso(maturity), strike, strict=True)],
        currency="USD",
        underlying=_INDEX,
        volatility=_SMILE,
        volatility_strike=strike,
        start=iso(start),
        maturity=iso(maturity),
        dividend_yield=0.02,
        discount_curve="USD",
        ends=maturity,
        risk=200.0 * market.level("IV:SPX:3M:100"),
        lot=10.0,
        reads=reads,
    )
    return realised_variances(contracts, days, market)
