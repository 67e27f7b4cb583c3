"""Sample contracts on interest rates: deposits, forward rate agreements, swaps and options on them."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lake.arrays import Dates, Floats
from valuation.instruments import schedules
from valuation.instruments.rates.legs import fixing_days
from valuation.samples.contract_frames import (
    Fixings,
    Rng,
    Row,
    age,
    contract_frame,
    duration,
    figures,
    fixed,
    iso,
    later,
    nearly,
    period_starts,
    pillar,
    terms_of,
    weekday,
)
from valuation.samples.days import DayMarket, MarketDays
from valuation.samples.fx import FX_MOVE

_SWAP = {
    "fixed_frequency": 2,
    "float_frequency": 2,
    "fixed_day_count": "Thirty360",
    "float_day_count": "Actual360",
    "calendar": "USNY",
    "business_day_convention": "ModifiedFollowing",
}


def _resets(start: str, maturity: str) -> Dates:
    """First days of the floating periods of a USD swap of the sample book."""
    return period_starts(start, maturity, 2, "USNY", "ModifiedFollowing", True)


def _swap_fixing(market: DayMarket) -> float:
    """The six-month rate that a floating period beginning on this day pays."""
    return round(float(market.rate("USD", np.array([0.5]))[0]), 6)


def interest_rate_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """USD swaps of 1 to 30 years begun today, on the first day also in the months before; the first period is fixed."""
    begun = days.before(market.date) if market.previous is None else [market]
    # New York's exchange trades on some days on which no swap begins
    begun = [m for m in begun if "USD" in m.curves and _resets(str(m.date), str(m.date + 366))[0] == m.date]
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
    starts, ends = iso(start), iso(maturity)
    fixing = [json.dumps({str(m.date): _swap_fixing(m)}) for m in begun]
    resets = {pair: _resets(*pair)[1:2] for pair in set(zip(starts.tolist(), ends.tolist(), strict=True))}
    duration = (1.0 - np.exp(-0.02 * tenors)) / 0.02
    frame = contract_frame(
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


def swap_fixings(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """The six-month rate of the running period."""
    rate = Fixings("fixings", lambda row: _resets(row.start, row.maturity), lambda row, then: _swap_fixing(then))
    return fixed(contracts, days, market, rate)


_DEALT = {  # projection and discount curve, first quote, floating payments a year, fixed ones, calendar
    "USD": ("USD_3M", "USD_OIS", "YC:USD_3M:3M", 4, 2, "USNY"),
    "EUR": ("EUR_6M", "EUR", "YC:EUR_6M:6M", 2, 1, "EUTA"),
}
_YEARS = np.array([1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0])
_OFTEN = [0.05, 0.2, 0.15, 0.25, 0.1, 0.2, 0.05]


class _Dealt:
    """Currencies, tenors and terms of swaps on a curve that projects and another that discounts; empty where the market has none."""

    def __init__(self, rng: Rng, market: DayMarket, n: int, season: float = 0.6) -> None:
        self.currencies = [
            c for c, d in _DEALT.items() if market.has(f"curve:{d[0]}|curve:{d[1]}") and market.usd(c) is not None
        ]
        if not self.currencies:
            return
        self.currency = rng.choice(self.currencies, n)
        self.tenor = rng.choice(_YEARS, n, p=_OFTEN)
        self.start, self.maturity = terms_of(market, n, self.tenor, np.full(n, season), rng)
        self.par = np.array(
            [market.rate(_DEALT[c][0], np.array([t]))[0] for c, t in zip(self.currency, self.tenor, strict=True)]
        )
        self.pays = rng.random(n) < 0.5
        self.usd = np.array([market.usd(c) for c in self.currency], dtype=float)
        projection, discount, _, floating, fixed_, calendar = ([_DEALT[c][k] for c in self.currency] for k in range(6))
        self.terms: dict[str, Any] = {
            "currency": self.currency,
            "start": iso(self.start),
            "maturity": iso(self.maturity),
            "calendar": calendar,
            "business_day_convention": "ModifiedFollowing",
            "projection_curve": projection,
            "discount_curve": discount,
            "float_frequency": floating,
            "float_day_count": "Actual360",
            "ends": self.maturity,
            "lot": 10_000.0,
            "reads": [f"curve:{p}|curve:{d}" for p, d in zip(projection, discount, strict=True)],
        }
        self.fixed_terms = {"fixed_frequency": fixed_, "fixed_day_count": "Thirty360"}

    @property
    def risk(self) -> Floats:
        return np.asarray(0.0006 * duration(self.tenor) * self.usd)

    def named(self, kind: str, *more: Sequence[Any] | npt.NDArray[Any]) -> list[str]:
        return [
            " ".join([f"{c} {kind} {s} {m}", *map(str, rest)])
            for c, s, m, *rest in zip(self.currency, self.terms["start"], self.terms["maturity"], *more, strict=True)
        ]


def _starts(row: Row) -> Dates:
    return period_starts(
        row.start, row.maturity, int(row.float_frequency), row.calendar, row.business_day_convention, True
    )


def _dealt_fixing(row: Row, then: DayMarket) -> float:
    return pillar(then, _DEALT[row.currency][2])


def dealt_fixings(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """The rate of the running period of swaps, caps and floors."""
    return fixed(contracts, days, market, Fixings("fixings", _starts, _dealt_fixing))


def two_curve_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Swaps against the rates that banks lend at, for 3 months in USD and 6 in EUR, discounted on another curve."""
    d = _Dealt(rng, market, n)
    if not d.currencies:
        return pd.DataFrame()
    rate = nearly(rng, market, d.par)
    contracts = contract_frame(
        "interest_rate_swap",
        d.named("two-curve swap", np.where(d.pays, "pays", "receives"), [f"{r:.2%}" for r in rate]),
        **d.terms,
        **d.fixed_terms,
        pay_fixed=d.pays,
        fixed_rate=rate,
        risk=d.risk,
    )
    return dealt_fixings(contracts, days, market)


def deposits(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Money lent or taken from spot for a week to a year, on the book's first day also since."""
    currencies = [c for c in ("USD", "EUR") if c in market.curves and market.usd(c) is not None]
    if not currencies:
        return pd.DataFrame()
    currency = rng.choice(currencies, n)
    length = rng.choice([7, 30, 91, 182, 365], n)
    start = weekday(np.asarray(market.date + 2) - (rng.random(n) * length * age(market, 0.0, 0.8)).astype(int))
    maturity = weekday(np.maximum(start + length, market.date + 7))
    rate = nearly(
        rng, market, np.array([market.rate(c, np.array([x / 365]))[0] for c, x in zip(currency, length, strict=True)])
    )
    return contract_frame(
        "deposit",
        [f"{c} deposit {s} {m} {r:.2%}" for c, s, m, r in zip(currency, iso(start), iso(maturity), rate, strict=True)],
        currency=currency,
        fixed_rate=rate,
        start=iso(start),
        maturity=iso(maturity),
        day_count="Actual360",
        calendar=np.where(currency == "USD", "USNY", "EUTA"),
        discount_curve=currency,
        ends=maturity,
        risk=(0.001 + np.where(currency == "USD", 0.0, FX_MOVE))
        * np.array([market.usd(c) for c in currency], dtype=float),
        lot=10_000.0,
        reads=[f"curve:{c}" for c in currency],
    )


def forward_rate_agreements(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """FRAs that begin in 1 to 12 months, over 3 months in USD and 6 in EUR."""
    d = _Dealt(rng, market, n)
    if not d.currencies:
        return pd.DataFrame()
    start = weekday(later(np.full(n, market.date + 2), rng.choice([1, 2, 3, 6, 9, 12], n)))
    maturity = later(start, np.where(d.currency == "USD", 3, 6))
    rate = nearly(rng, market, np.array([market.rate(_DEALT[c][0], np.array([1.0]))[0] for c in d.currency]))
    kept = ("currency", "calendar", "business_day_convention", "projection_curve", "discount_curve", "lot", "reads")
    return contract_frame(
        "forward_rate_agreement",
        [
            f"{c} FRA {s} {m} {'pays' if p else 'receives'} {r:.2%}"
            for c, s, m, p, r in zip(d.currency, iso(start), iso(maturity), d.pays, rate, strict=True)
        ],
        **{k: d.terms[k] for k in kept},
        pay_fixed=d.pays,
        fixed_rate=rate,
        start=iso(start),
        maturity=iso(maturity),
        ends=start,
        risk=np.where(d.currency == "USD", 0.25, 0.5) * 0.0005 * d.usd,
    )


_OVERNIGHT = ("USNY", "Actual360")


@functools.lru_cache(maxsize=1)
def _growths(days: MarketDays) -> dict[dt.date, float]:
    """What a unit lent overnight has grown to on each business day, from the first that the market of the book has a rate of."""
    fixed = next(day for day in days.sessions if days.on(day).has("FIX:SOFR"))
    first, last = (day.toordinal() for day in (fixed.item(), days.sessions[-1].item()))
    dates, accruals = fixing_days(first, last + 10, *_OVERNIGHT)
    rates = [days.on(np.datetime64(day)).level("FIX:SOFR") for day in dates[:-1]]
    grown = np.cumprod([1.0, *(1.0 + rate * accrual for rate, accrual in zip(rates, accruals, strict=True))])
    return dict(zip(dates, grown.tolist(), strict=True))


def overnight_growths(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """The growth of the running period to today, of swaps whose period has begun since the first rate."""
    grown, reached = _growths(days), schedules.spot_date(market.date.item(), 0, "USNY")
    compounded, known_from = [], []
    for row in contracts.itertuples():
        starts = period_starts(row.start, row.maturity, 1, "USNY", "ModifiedFollowing", True)
        begun = starts[starts < market.date]
        known_from.append(not len(begun) or begun[-1].item() in grown)
        if not known_from[-1]:
            continue
        known = {str(reached): grown[reached] / grown[begun[-1].item()]} if len(begun) else {}
        compounded.append(json.dumps(known))
    return contracts[known_from].assign(compounded=compounded, next_reset=(market.date + 1).astype("datetime64[s]"))


def overnight_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Swaps against the compounded overnight rate for 1 to 30 years; on the book's first day begun up to half a year ago."""
    if not market.has("curve:USD_OIS|FIX:SOFR"):
        return pd.DataFrame()
    tenor = rng.choice([1.0, 2.0, 3.0, 5.0, 10.0, 30.0], n, p=[0.25, 0.25, 0.15, 0.2, 0.1, 0.05])
    start, maturity = terms_of(market, n, tenor, 0.45 / tenor, rng)
    rate = nearly(rng, market, market.rate("USD_OIS", tenor))
    pays = rng.random(n) < 0.5
    contracts = contract_frame(
        "overnight_swap",
        [
            f"USD overnight swap {s} {m} {'pays' if p else 'receives'} {r:.2%}"
            for s, m, p, r in zip(iso(start), iso(maturity), pays, rate, strict=True)
        ],
        currency="USD",
        pay_fixed=pays,
        fixed_rate=rate,
        start=iso(start),
        maturity=iso(maturity),
        fixed_day_count="Actual360",
        calendar="USNY",
        business_day_convention="ModifiedFollowing",
        payment_lag=2,
        discount_curve="USD_OIS",
        ends=maturity,
        risk=0.0006 * duration(tenor),
        lot=10_000.0,
        reads="curve:USD_OIS|FIX:SOFR",
    )
    return overnight_growths(contracts, days, market)


def basis_fixings(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """The rates of the running periods of both legs."""

    def leg(side: str) -> Fixings:
        def starts(row: Row) -> Dates:
            return period_starts(
                row.start, row.maturity, int(getattr(row, f"{side}_frequency")), "USNY", "ModifiedFollowing", True
            )

        def rate(row: Row, then: DayMarket) -> float:
            curve = getattr(row, f"{side}_projection_curve")
            return pillar(then, f"YC:{curve}:{curve.removeprefix('USD_')}")

        return Fixings(f"{side}_fixings", starts, rate)

    return fixed(contracts, days, market, leg("receive"), leg("pay"))


def basis_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Six-month against three-month rates in USD."""
    if not market.has("curve:USD_OIS|curve:USD_3M|curve:USD_6M"):
        return pd.DataFrame()
    tenor = rng.choice([2.0, 5.0, 10.0], n)
    start, maturity = terms_of(market, n, tenor, np.full(n, 0.5), rng)
    long = rng.random(n) < 0.5
    spread = np.round(market.level("YC:USD_6M:10Y") + rng.normal(0.0, 0.0002, n), 5)
    curves = np.where(long, "USD_6M", "USD_3M"), np.where(long, "USD_3M", "USD_6M")
    payments = [np.where(c == "USD_6M", 2, 4) for c in curves]
    contracts = contract_frame(
        "basis_swap",
        [
            f"USD basis swap {s} {m} receives {c} {x:.3%}"
            for s, m, c, x in zip(iso(start), iso(maturity), curves[0], spread, strict=True)
        ],
        currency="USD",
        start=iso(start),
        maturity=iso(maturity),
        calendar="USNY",
        business_day_convention="ModifiedFollowing",
        receive_projection_curve=curves[0],
        receive_frequency=payments[0],
        receive_spread=np.where(long, np.nan, spread),
        pay_projection_curve=curves[1],
        pay_frequency=payments[1],
        pay_spread=np.where(long, spread, np.nan),
        discount_curve="USD_OIS",
        ends=maturity,
        risk=0.0001 * duration(tenor),
        lot=10_000.0,
        reads="curve:USD_OIS|curve:USD_3M|curve:USD_6M",
    )
    return basis_fixings(contracts, days, market)


def _cross_starts(row: Row) -> Dates:
    return period_starts(row.start, row.maturity, 4, "EUTA", "ModifiedFollowing", True)


def cross_currency_fixings(contracts: pd.DataFrame, days: MarketDays, market: DayMarket) -> pd.DataFrame:
    """The rates of the running period in both currencies, and the exchange rate at which a notional was last set."""

    def euro(row: Row, then: DayMarket) -> float:
        return round(float(then.rate("EUR", np.array([0.25]))[0]), 6)

    made = fixed(
        contracts,
        days,
        market,
        Fixings("fixings", _cross_starts, lambda row, then: pillar(then, "YC:USD_3M:3M")),
        Fixings("base_fixings", _cross_starts, euro),
        Fixings("fx_fixings", _cross_starts, lambda row, then: round(then.exchange_rate("EUR", "USD") or 0.0, 5)),
    )
    return made.assign(fx_fixings=np.where(made["resetting"].astype(bool), made["fx_fixings"], None))


def cross_currency_swaps(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Three-month rates in EUR plus a basis against those in USD, with exchange of notionals; half of them reset to the exchange rate."""
    reads = "curve:USD_OIS|curve:USD_3M|curve:EUR_USD|curve:EUR|FX:EURUSD"
    if not market.has(reads):
        return pd.DataFrame()
    tenor = rng.choice([2.0, 5.0, 10.0], n)
    start, maturity = terms_of(market, n, tenor, np.full(n, 0.5), rng)
    basis = np.round(market.level("YC:EUR_USD:5Y") + rng.normal(0.0, 0.0004, n), 5)
    resetting = rng.random(n) < 0.5
    rate = figures(market.level("FX:EURUSD") * np.exp(rng.normal(0.0, age(market, 0.0, 0.03), n)), 5)
    contracts = contract_frame(
        "cross_currency_swap",
        [
            f"EUR/USD cross-currency swap {s} {m} {b:.3%} at {x:g}{' resetting' if r else ''}"
            for s, m, b, x, r in zip(iso(start), iso(maturity), basis, rate, resetting, strict=True)
        ],
        currency="USD",
        base_currency="EUR",
        initial_exchange_rate=rate,
        start=iso(start),
        maturity=iso(maturity),
        calendar="EUTA",
        business_day_convention="ModifiedFollowing",
        frequency=4,
        discount_curve="USD_OIS",
        projection_curve="USD_3M",
        base_frequency=4,
        base_curve="EUR_USD",
        base_projection_curve="EUR",
        base_spread=basis,
        resetting=resetting,
        ends=maturity,
        risk=FX_MOVE * market.level("FX:EURUSD"),
        lot=10_000.0,
        reads=reads,
    )
    return cross_currency_fixings(contracts, days, market)


def caps_and_floors(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Caps and floors on the rates that banks lend at, by normal volatilities and in USD a third by lognormal ones of the rate plus 3%."""
    d = _Dealt(rng, market, n)
    if not d.currencies or not market.has("surface:USD_CAP|NV:EUR_CAP|IV:USD_SHIFTED"):
        return pd.DataFrame()
    black = (d.currency == "USD") & (rng.random(n) < 0.33)
    strike = nearly(rng, market, d.par + 0.004, 0.0025)
    kind = np.where(rng.random(n) < 0.6, "cap", "floor")
    contracts = contract_frame(
        "cap_floor",
        d.named("option", kind, [f"{x:.2%}" for x in strike], np.where(black, "lognormal", "normal")),
        **d.terms,
        option_type=kind,
        strike=strike,
        model=np.where(black, "black", "normal"),
        volatility=np.where(black, "IV:USD_SHIFTED", np.where(d.currency == "USD", "USD_CAP", "NV:EUR_CAP")),
        shift=np.where(black, _SHIFT, np.nan),
        risk=0.4 * d.risk,
    )
    return dealt_fixings(contracts, days, market)


_SHIFT = 0.03


def swaptions(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Rights to enter swaps in a month to ten years."""
    d = _Dealt(rng, market, n)
    if not d.currencies or not market.has("surface:USD_SWAPTION|NV:EUR_SWAPTION|IV:USD_SHIFTED"):
        return pd.DataFrame()
    expiry = weekday(market.date + rng.choice([30, 91, 182, 365, 730, 1826, 3652], n) + rng.integers(0, 7, n))
    start = np.busday_offset(expiry, 2)
    maturity = later(start, 12 * d.tenor.astype(int))
    black = (d.currency == "USD") & (rng.random(n) < 0.33)
    rate = nearly(rng, market, d.par, 0.0025)
    cash = rng.random(n) < 0.2
    return contract_frame(
        "swaption",
        [
            f"{c} {'payer' if p else 'receiver'} swaption {e} to {m} {r:.2%} {'lognormal' if b else 'normal'}{' cash' if s else ''}"
            for c, p, e, m, r, b, s in zip(
                d.currency, d.pays, iso(expiry), iso(maturity), rate, black, cash, strict=True
            )
        ],
        **d.terms | {"start": iso(start), "maturity": iso(maturity), "ends": expiry},
        **d.fixed_terms,
        pay_fixed=d.pays,
        fixed_rate=rate,
        expiry=iso(expiry),
        model=np.where(black, "black", "normal"),
        volatility=np.where(black, "IV:USD_SHIFTED", np.where(d.currency == "USD", "USD_SWAPTION", "NV:EUR_SWAPTION")),
        shift=np.where(black, _SHIFT, np.nan),
        settlement=np.where(cash, "cash", "physical"),
        risk=0.5 * d.risk,
    )


def bermudan_swaptions(rng: Rng, days: MarketDays, market: DayMarket, n: int) -> pd.DataFrame:
    """Rights to enter what is left of a swap of 5 or 10 years on each of its yearly days; no more contracts than forty a day."""
    n = min(n, 40)
    d = _Dealt(rng, market, n)
    if not d.currencies or not market.has("NV:USD_SHORT_RATE|NV:EUR_SHORT_RATE"):
        return pd.DataFrame()
    tenor = np.where(rng.random(n) < 0.5, 5, 10)
    start = weekday(later(np.full(n, market.date + 2), 12))
    maturity = later(start, 12 * tenor)
    exercise = [
        json.dumps([str(day) for day in period_starts(s, m, 1, c, "ModifiedFollowing", True)])
        for s, m, c in zip(iso(start), iso(maturity), d.terms["calendar"], strict=True)
    ]
    rate = nearly(rng, market, d.par, 0.0025)
    return contract_frame(
        "bermudan_swaption",
        [
            f"{c} Bermudan {'payer' if p else 'receiver'} {s} to {m} {r:.2%}"
            for c, p, s, m, r in zip(d.currency, d.pays, iso(start), iso(maturity), rate, strict=True)
        ],
        **d.terms | {"start": iso(start), "maturity": iso(maturity), "ends": later(maturity, -12)},
        **d.fixed_terms,
        pay_fixed=d.pays,
        fixed_rate=rate,
        exercise_dates=exercise,
        mean_reversion=0.03,
        volatility=np.where(d.currency == "USD", "NV:USD_SHORT_RATE", "NV:EUR_SHORT_RATE"),
        risk=0.5 * 0.0006 * duration(tenor.astype(float)) * d.usd,
    )
