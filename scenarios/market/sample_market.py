"""A synthetic market history for machines without data, always labelled synthetic.

One shock to equities a day, fat-tailed and with GARCH volatility around a regime that knows two crises, runs through all
classes: when equities fall, volatilities and spreads rise, yields and oil fall, the yen and the dollar gain. Levels follow
a rough outline of the years 2005 to 2022 and are no history of anything. Same seed and dates, same bytes.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from lake.arrays import Dates, Floats
from lake.errors import BadInput
from scenarios.market.calendars import sessions
from scenarios.market.landing_catalogue import SHIPPED, load_catalogue
from scenarios.market.sample_quotes import quotes
from scenarios.market.sample_shocks import EQUITY_VOL, YEAR, DailyShocks, fading_sum
from scenarios.types import tenor_years

DEFAULT_FIRST = dt.date(2005, 1, 3)
DEFAULT_LAST = dt.date(2022, 12, 28)
CALENDAR = "XNYS"
NAME = "sample_market"

_SPX = (1200, 1520, 1280, 680, 1110, 1320, 1960, 1830, 2910, 3390, 2240, 3760, 4770, 3780)
_HIGH_YIELD = (3.1, 2.9, 8.2, 18.5, 6.4, 5.4, 3.5, 8.9, 3.3, 3.6, 10.9, 3.9, 3.1, 4.8)
_COMMODITIES = {  # outline, daily volatility, correlation with equities
    "WTI": ((42, 71, 115, 46, 79, 95, 105, 27, 73, 53, 22, 48, 75, 79), 0.021, 0.45),
    "NATGAS": ((6, 6.7, 8, 3.9, 5.8, 4.3, 4.4, 2.1, 3, 1.9, 1.7, 2.4, 3.8, 5.5), 0.030, 0.10),
    "GOLD": ((430, 655, 830, 920, 1100, 1500, 1320, 1240, 1190, 1610, 1560, 1890, 1830, 1805), 0.010, -0.10),
    "SILVER": ((6.5, 12.5, 13.6, 13, 17, 35, 21, 15.7, 14.7, 18.4, 13.3, 26, 23, 24), 0.017, 0.15),
    "COPPER": ((1.45, 3.45, 3.4, 1.65, 3.3, 4.2, 3.2, 2, 2.8, 2.6, 2.1, 3.5, 4.4, 3.8), 0.015, 0.45),
}
_RATE_TENORS = ("3M", "2Y", "10Y", "30Y")
_CURVES = {  # outlines in percent at the tenors above, volatility against USD, pillars
    "USD": (
        (
            (2.3, 4.9, 1.7, 0.25, 0.1, 0.1, 0.1, 0.3, 2.2, 1.6, 0.15, 0.1, 0.1, 4.4),
            (3.1, 4.9, 2.4, 0.9, 1.1, 0.5, 0.5, 0.7, 2.8, 1.4, 0.3, 0.15, 0.75, 4.35),
            (4.2, 5.0, 3.8, 2.9, 3.8, 3.2, 2.5, 1.65, 3.05, 1.55, 0.75, 0.95, 1.5, 3.85),
            (4.8, 5.1, 4.4, 3.6, 4.6, 4.4, 3.3, 2.5, 3.2, 2.0, 1.35, 1.65, 1.9, 3.95),
        ),
        1.0,
        ("1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y"),
    ),
    "EUR": (
        (
            (2.0, 4.0, 4.2, 0.8, 0.4, 1.2, 0.1, -0.45, -0.6, -0.6, -0.6, -0.7, -0.75, 1.9),
            (2.4, 4.4, 4.1, 1.3, 1.3, 1.6, 0.05, -0.5, -0.5, -0.65, -0.7, -0.7, -0.6, 2.7),
            (3.7, 4.6, 4.2, 3.0, 3.4, 3.0, 1.25, 0.25, 0.45, -0.4, -0.35, -0.55, -0.2, 2.5),
            (4.3, 4.7, 4.6, 3.8, 4.1, 3.6, 2.2, 1.0, 1.1, 0.1, 0.0, -0.15, 0.2, 2.4),
        ),
        0.8,
        ("3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "15Y", "20Y", "30Y"),
    ),
    "JPY": (
        (
            (0.0, 0.6, 0.5, 0.25, 0.15, 0.1, 0.05, -0.1, -0.15, -0.15, -0.2, -0.1, -0.1, -0.1),
            (0.1, 1.0, 0.7, 0.4, 0.15, 0.15, 0.1, -0.2, -0.1, -0.15, -0.2, -0.1, -0.1, 0.0),
            (1.4, 1.9, 1.4, 1.3, 1.3, 1.1, 0.55, 0.0, 0.15, -0.05, 0.1, 0.0, 0.05, 0.45),
            (2.3, 2.5, 2.3, 1.9, 2.2, 1.9, 1.7, 1.1, 0.9, 0.35, 0.4, 0.65, 0.7, 1.55),
        ),
        0.4,
        ("1Y", "2Y", "3Y", "4Y", "5Y", "6Y", "7Y", "8Y", "9Y", "10Y", "15Y", "20Y", "25Y", "30Y"),
    ),
}  # fmt: skip
_FX = {  # units for one EUR: outline, daily volatility, correlation with equities
    "USD": ((1.35, 1.36, 1.47, 1.26, 1.43, 1.45, 1.37, 1.13, 1.16, 1.08, 1.07, 1.23, 1.13, 1.06), 0.0055, 0.25),
    "JPY": ((140, 167, 160, 124, 133, 117, 139, 127, 132, 120, 119, 127, 131, 141), 0.0065, 0.50),
    "GBP": ((0.705, 0.675, 0.81, 0.915, 0.89, 0.9, 0.8, 0.78, 0.89, 0.83, 0.92, 0.9, 0.84, 0.885), 0.0045, -0.20),
    "CHF": ((1.545, 1.655, 1.615, 1.46, 1.48, 1.21, 1.215, 1.1, 1.135, 1.06, 1.06, 1.08, 1.035, 0.985), 0.0025, 0.35),
    "SEK": ((9, 9.2, 9.45, 11.6, 10.25, 9.15, 9.2, 9.5, 10.3, 10.55, 11, 10.05, 10.25, 11.15), 0.0040, -0.35),
    "NOK": ((8.2, 7.95, 7.95, 8.95, 8.3, 7.75, 8.4, 9.6, 9.45, 10.05, 12.3, 10.5, 10, 10.5), 0.0050, -0.45),
    "DKK": ((7.44, 7.44, 7.46, 7.45, 7.44, 7.46, 7.455, 7.465, 7.457, 7.47, 7.465, 7.44, 7.436, 7.437), 0.0001, 0.0),
    "PLN": ((4.08, 3.76, 3.34, 4.7, 4.1, 3.98, 4.16, 4.42, 4.28, 4.28, 4.6, 4.56, 4.6, 4.68), 0.0050, -0.50),
    "CAD": ((1.63, 1.44, 1.56, 1.63, 1.51, 1.4, 1.46, 1.57, 1.5, 1.43, 1.55, 1.56, 1.44, 1.44), 0.0055, -0.30),
    "AUD": ((1.72, 1.6, 1.7, 1.97, 1.6, 1.35, 1.45, 1.58, 1.6, 1.615, 1.85, 1.59, 1.56, 1.58), 0.0060, -0.50),
    "NZD": ((1.88, 1.76, 2.1, 2.53, 1.98, 1.75, 1.56, 1.68, 1.755, 1.69, 1.88, 1.7, 1.66, 1.69), 0.0065, -0.45),
}
_USD_FX = {  # units for one USD, managed against it: outline and daily volatility
    "HKD": ((7.78, 7.82, 7.8, 7.755, 7.755, 7.78, 7.75, 7.79, 7.825, 7.78, 7.755, 7.753, 7.797, 7.795), 0.0003),
    "CNY": ((8.28, 7.6, 6.84, 6.84, 6.83, 6.46, 6.2, 6.57, 6.87, 7, 7.09, 6.53, 6.36, 6.97), 0.0012),
    "SGD": ((1.635, 1.53, 1.42, 1.55, 1.405, 1.23, 1.25, 1.39, 1.367, 1.395, 1.455, 1.32, 1.35, 1.345), 0.0030),
}
_Stock = tuple[float, float, float, float]
_US_STOCKS: dict[str, _Stock] = {  # first level, beta, yearly drift beside the index's, daily volatility of its own
    "AAPL": (1.2, 1.1, 0.19, 0.013), "AMD": (21, 1.5, 0.02, 0.024), "BAC": (30, 1.4, -0.06, 0.012),
    "BBY": (28, 1.2, 0.0, 0.018), "CVX": (30, 0.9, 0.04, 0.008),
    "GE": (150, 1.1, -0.08, 0.012), "HD": (28, 1.0, 0.08, 0.010),
    "JNJ": (42, 0.55, 0.05, 0.007), "JPM": (25, 1.3, 0.04, 0.010), "KO": (14, 0.55, 0.05, 0.007),
    "LLY": (35, 0.65, 0.09, 0.011), "MRK": (17, 0.65, 0.07, 0.010), "MSFT": (19, 1.0, 0.09, 0.010),
    "PEP": (36, 0.5, 0.06, 0.007), "PFE": (14, 0.65, 0.05, 0.009), "PG": (36, 0.5, 0.06, 0.007),
    "RRC": (12, 1.3, 0.0, 0.021), "UNH": (36, 0.8, 0.11, 0.012), "WMT": (40, 0.5, 0.05, 0.009),
    "XOM": (32, 0.85, 0.03, 0.008),
}  # fmt: skip
_UK_STOCKS: dict[str, _Stock] = {  # as above, in pence
    "AZN.L": (1000, 0.55, 0.09, 0.010), "BARC.L": (420, 1.5, -0.09, 0.014),
    "BP.L": (230, 0.9, 0.0, 0.010), "DGE.L": (400, 0.55, 0.07, 0.008),
    "GSK.L": (550, 0.5, 0.03, 0.008), "HSBA.L": (370, 0.9, 0.0, 0.008),
    "RIO.L": (700, 1.3, 0.06, 0.014), "TSCO.L": (180, 0.6, 0.0, 0.011),
    "ULVR.L": (700, 0.5, 0.08, 0.008), "VOD.L": (60, 0.7, 0.01, 0.010),
}  # fmt: skip


def simulate(
    seed: int, first: dt.date = DEFAULT_FIRST, last: dt.date = DEFAULT_LAST
) -> tuple[Dates, dict[str, dict[str, Floats]]]:
    """Business days of the NYSE and, for each landing file, its columns in the file's unit, each of shape (n_dates,)."""
    if not 0 <= seed < 1 << 64:
        raise BadInput(f"The seed {seed} is not a whole number from 0 to 2^64 - 1.")
    dates = sessions(CALENDAR, first, last)
    if len(dates) < 2:
        raise BadInput(f"{len(dates)} business days lie between {first} and {last}; a history needs at least two.")
    s = DailyShocks(seed, dates)
    index = s.price(_SPX, EQUITY_VOL * s.volatility * s.equity)
    index_vol = _index_vol(s, index)
    own = {ticker: s.mild * s.shock(ticker) for ticker in (*_US_STOCKS, *_UK_STOCKS)}
    wti, *_ = commodities = [
        s.price(outline, vol * s.shared(name, correlation))
        for name, (outline, vol, correlation) in _COMMODITIES.items()
    ]
    brent = wti * 1.03 * np.exp(fading_sum(0.006 * s.shock("BRENT"), 60))
    fx = {c: s.price(outline, vol * s.shared(c, correlation)) for c, (outline, vol, correlation) in _FX.items()}
    fx |= {c: fx["USD"] * s.price(outline, vol * s.mild * s.shock(c)) for c, (outline, vol) in _USD_FX.items()}
    goods = dict(zip(_COMMODITIES, commodities, strict=True)) | {"BRENT": brent}
    us_stocks = _stocks(s, index, own, "us_stocks", _US_STOCKS)
    curves = {currency: _curve(s, currency) for currency in _CURVES}
    high_yield = s.price(_HIGH_YIELD, 0.013 * s.shared("US_HY", -0.6))
    return dates, {
        "us_stocks": us_stocks,
        "uk_stocks": _stocks(s, index, own, "uk_stocks", _UK_STOCKS),
        "sp500": {"SP500": index},
        "vix": {"VIX": 100 * index_vol},
        "us_stock_vols": {t: _stock_vol(s, t, index_vol, own[t]) for t in _US_STOCKS},
        **{f"{currency.lower()}_curve": curve for currency, curve in curves.items()},
        "fx": fx,
        "commodities": goods,
        "us_high_yield": {"US_HY": high_yield},
        **quotes(s, index_vol, high_yield, curves, goods, us_stocks, own),
    }


def _stocks(
    s: DailyShocks,
    index: Floats,
    own: dict[str, Floats],
    source: str,
    stocks: dict[str, tuple[float, float, float, float]],
) -> dict[str, Floats]:
    entries = load_catalogue(NAME).source[f"synthetic_{source}"].columns or {}
    sectors = {e["sector"]: s.mild * s.shock(e["sector"]) for e in entries.values()}
    years = np.arange(len(index)) / YEAR
    return {
        ticker: first
        * (index / index[0]) ** beta
        * np.exp(drift * years + fading_sum(0.005 * sectors[entries[ticker]["sector"]] + vol * own[ticker], 500))
        for ticker, (first, beta, drift, vol) in stocks.items()
    }


def _index_vol(s: DailyShocks, index: Floats) -> Floats:
    """Tomorrow's volatility, smoothed and with a premium; rises when the index falls."""
    tomorrow = np.log(np.append(s.volatility[1:], s.volatility[-1]))
    smoothed = 0.75 * (1 - 0.5 ** (1 / 8)) * fading_sum(tomorrow, 8)
    moves = np.diff(np.log(index), prepend=np.log(index[0])) / (EQUITY_VOL * s.mild)
    leverage = fading_sum(0.03 * s.mild * s.shock("VIX") - 0.04 * moves, 15)
    vol: Floats = 1.3 * EQUITY_VOL * np.sqrt(YEAR) * np.exp(smoothed + leverage)
    return vol


def _stock_vol(s: DailyShocks, ticker: str, index_vol: Floats, own: Floats) -> Floats:
    _, beta, _, vol = _US_STOCKS[ticker]
    level = np.hypot(0.16 * beta, np.sqrt(YEAR) * vol)
    moves = 0.015 * s.mild * s.shock(f"IV {ticker}") - 0.015 * own
    vols: Floats = level * (index_vol / 0.18) ** 0.7 * np.exp(fading_sum(moves, 40))
    return vols


def _curve(s: DailyShocks, currency: str) -> dict[str, Floats]:
    """Par yields in percent: level and slope move all pillars; a low yield moves less."""
    outlines, scale, pillars = _CURVES[currency]
    level = s.shared("rates", 0.35)
    if currency != "USD":
        level = 0.6 * level + 0.8 * s.mild * s.shock(f"rates {currency}")
    slope = s.mild * s.shock(f"slope {currency}")
    tenors = np.log([tenor_years(t) for t in _RATE_TENORS])
    out = {}
    for pillar in pillars:
        at = np.log(tenor_years(pillar))
        outline = tuple(np.interp(at, tenors, o) for o in zip(*outlines, strict=True))
        calm = np.clip(0.2 + np.abs(s.around(outline, np.zeros_like(level))), 0.25, 1.0)
        points = 5.5 * (1 - np.exp(-(np.exp(at) + 0.3) / 1.5)) * level + 2 * np.tanh(at - np.log(5)) * slope
        own = fading_sum(0.3 * s.mild * s.shock(f"{currency} {pillar}"), 10)
        out[pillar] = s.around(outline, scale * calm * points / 100) + scale * calm * own / 100
    return out


def write_sample_market(
    directory: str | Path, seed: int = 1, first: dt.date = DEFAULT_FIRST, last: dt.date = DEFAULT_LAST
) -> Path:
    """Writes the landing files and their catalogue into the folder, as a user would bring them; returns the catalogue."""
    dates, files = simulate(seed, first, last)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in files.items():
        frame = pd.DataFrame(columns, index=pd.Index(dates.astype(str), name="Date"))
        if name == "dividends":
            frame = _long(frame)
        # four decimals also hide the last bits, in which mathematical libraries of other machines may differ
        frame.to_csv(folder / f"synthetic_{name}.csv", float_format="%.4f", lineterminator="\n")
    catalogue = folder / "synthetic_market.toml"
    catalogue.write_bytes((SHIPPED / f"{NAME}.toml").read_bytes())
    return catalogue


def _long(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each date and dividend, none where it is not expected."""
    rows = frame.rename_axis(columns="dividend").stack().rename("Amount").reset_index(level="dividend")
    rows[["Share", "Ex"]] = rows.pop("dividend").str.split(" ", expand=True)
    return rows[["Share", "Ex", "Amount"]]
