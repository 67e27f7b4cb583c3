"""What the makers of sample contracts share: the frame they return, dates, strikes, and fixings taken as time goes by.

A frame of contracts has one row a contract: the columns of `COLUMNS` and one column a term, as a positions file has it.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lake.arrays import Dates, Floats, Ints
from scenarios.types import RiskFactor
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


def contract_frame(instrument_type: str, instrument: Sequence[str], **columns: Any) -> pd.DataFrame:
    defaults = {"ends": NEVER, "hedge": None, "delta": 0.0, "next_reset": NEVER}
    return pd.DataFrame({"instrument_type": instrument_type, "instrument": instrument, **defaults, **columns})


class SampleUnderlyings:
    """What n contracts are on, each (n,): ids, spot, currency, and usd, the dollars of a unit of that currency."""

    def __init__(self, market: DayMarket, factors: Sequence[RiskFactor], which: Ints) -> None:
        self.ids = np.array([f.risk_factor_id for f in factors])[which]
        self.spot = np.array([market.level(f.risk_factor_id) for f in factors])[which]
        self.currency = np.array([f.currency for f in factors])[which]
        self.usd = np.array([market.usd(f.currency) for f in factors], dtype=float)[which]


def iso(days: Dates) -> npt.NDArray[np.str_]:
    return np.datetime_as_string(days.astype("datetime64[D]"))


def figures(values: Floats, figures: int) -> Floats:
    """Rounded to so many significant figures."""
    scale = 10.0 ** (figures - 1 - np.floor(np.log10(np.abs(values))))
    return np.rint(values * scale) / scale


def weekday(days: Dates) -> Dates:
    return np.busday_offset(days.astype("datetime64[D]"), 0, roll="forward")


def years_to(market: DayMarket, days: Dates) -> Floats:
    return (days - market.date).astype(float) / 365.0


def forward_dates(rng: Rng, market: DayMarket, n: int) -> Dates:
    """Maturities of forwards, from a week to a year."""
    days = rng.choice([7, 14, 30, 61, 91, 182, 274, 365], n, p=[0.08, 0.08, 0.16, 0.16, 0.22, 0.16, 0.07, 0.07])
    return weekday(market.date + (days + rng.integers(0, 7, n)))


def age(market: DayMarket, fresh: float, seasoned: float) -> float:
    """How far from the money a new contract is struck: on the first day the book is an old one."""
    return seasoned if market.previous is None else fresh


def dividend_yield(factor_id: str) -> float:
    """A stand-in for dividends, of which the market holds none: 0% to 3%, always the same for a share."""
    return zlib.crc32(factor_id.encode()) % 7 * 0.005


def short(factor_id: str) -> str:
    return factor_id.partition(":")[2]


Row = Any  # a row of contracts, by attribute


def terms_of(market: DayMarket, n: int, years: Floats, season: Floats, rng: Rng) -> tuple[Dates, Dates]:
    """First and last days of n contracts of so many whole years: from spot, on the book's first day begun up to `season` of them ago."""
    first = np.full(n, weekday(np.asarray(market.date + 2)))
    if market.previous is None:
        first = weekday(first - (rng.random(n) * season * years * 365).astype(int))
    return first, later(first, 12 * years.astype(int))


def later(days: Dates, months: npt.NDArray[np.int64] | int) -> Dates:
    """The same day so many months later, the next month's first days where that month is shorter."""
    month = days.astype("datetime64[M]")
    moved: Dates = (month + months).astype("datetime64[D]") + (days - month.astype("datetime64[D]"))
    return moved


def around(rng: Rng, market: DayMarket, level: Floats, vol: Floats, times: Floats) -> Floats:
    """Strikes around a level, wider for what lives longer and in a book that is old."""
    wide = 0.02 + age(market, 0.2, 0.5) * vol * np.sqrt(times)
    return figures(level * np.exp(np.clip(rng.normal(0.0, 1.0, len(times)) * wide, -0.5, 0.4)), 4)


def nearly(rng: Rng, market: DayMarket, rates: Floats, step: float = 1e-4) -> Floats:
    """Rates near those of the market, of an old book further away."""
    return np.round(np.rint((rates + rng.normal(0.0, age(market, 0.0005, 0.004), len(rates))) / step) * step, 6)


def duration(years: Floats) -> Floats:
    return np.asarray((1.0 - np.exp(-0.02 * years)) / 0.02)


@dataclass(frozen=True)
class Fixings:
    """A term that holds what was observed: `days` gives the days of a contract, `level` what is observed on one.

    every : whether all days that have passed are needed, or the last alone.
    """

    term: str
    days: Callable[[Row], Dates]
    level: Callable[[Row, DayMarket], float]
    every: bool = False


def fixed(contracts: pd.DataFrame, days: MarketDays, market: DayMarket, *fixings: Fixings) -> pd.DataFrame:
    """The contracts with what has been observed up to today, and the day of the next observation."""
    if contracts.empty:
        return contracts
    known: dict[str, list[str]] = {f.term: [] for f in fixings}
    resets = []
    for row in contracts.itertuples():
        reset = np.datetime64(row.ends).astype("datetime64[D]")
        for f in fixings:
            observed = f.days(row)
            passed = int(observed.searchsorted(market.date, side="right"))
            told = json.loads(getattr(row, f.term, None) or "{}")
            for day in observed[:passed] if f.every else observed[max(passed - 1, 0) : passed]:
                if str(day) not in told:
                    told[str(day)] = f.level(row, days.on(day))
            known[f.term].append(json.dumps(told))
            if passed < len(observed):
                reset = min(reset, observed[passed])
        resets.append(reset)
    return contracts.assign(**known, next_reset=np.array(resets, "datetime64[s]"))


@functools.lru_cache(maxsize=1 << 16)
def period_starts(start: str, maturity: str, frequency: int, calendar: str, convention: str, adjusted: bool) -> Dates:
    """First days of the floating periods."""
    leg = schedules.leg(
        dt.date.fromisoformat(start), dt.date.fromisoformat(maturity), frequency, "Actual360", calendar, convention, adjusted, False
    )  # fmt: skip
    return np.datetime64("0000-12-31") + leg.starts


def pillar(market: DayMarket, factor_id: str) -> float:
    return round(market.level(factor_id), 6)
