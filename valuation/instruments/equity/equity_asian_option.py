"""Option on the average price of a share or index over given days, paid at expiry.

Unit of quantity: an option on one share or index unit. It pays max(A - K, 0) (call) or max(K - A, 0) (put), A being the
arithmetic or geometric average of the prices on its days. Prices of days before the valuation date are given in `fixings`;
that of the valuation date is taken when given, and is the spot price when not. In a market rolled forward a price that falls
inside the roll and is not given is the forward price of that day, seen from the market date; scenarios do not move it.
Value: the geometric average is lognormal, and its option exact. The arithmetic one is valued by matching two moments
(Levy; Turnbull and Wakeman) or, with `method` monte_carlo, by simulation with the geometric one as control variate
(Kemna and Vorst): base and scenarios share their random numbers. See `valuation.kernels.asian` for formulas and sources.
The volatility is that of expiry at the strike, on every day.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.equity.share_options import ShareOption, share_option_factors, shares_of
from valuation.instruments.fields import Date, OptionType, Price, read_json
from valuation.instruments.reads import rows_by, settlement, volatilities
from valuation.instruments.schedules import Calendar, observation_days
from valuation.kernels.asian import average_options, simulated_average_option
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import CashFlow, Market, NotValuable, OnlyWith, RolledMarkets

VERSION = f"1+{schedules.VERSION}"

PATHS = 10_000
_MOST_PATHS = 100_000


class Terms(ShareOption):
    instrument_type: ClassVar[str] = "equity_asian_option"
    only_with: ClassVar[OnlyWith] = {
        **dict.fromkeys(("paths", "seed"), ("method", ("monte_carlo",))),
        "calendar": ("averaging_frequency", ()),
    }

    strike: Price = Field(description="exercise price, positive")
    option_type: OptionType = Field(description="call or put")
    average: Literal["arithmetic", "geometric"] | None = Field(
        None, description="average of the prices: arithmetic (if left out) or geometric"
    )
    averaging_start: Date | None = Field(None, description="first day of the average; or give averaging_dates")
    averaging_end: Date | None = Field(None, description="last day of the average; expiry if left out")
    averaging_frequency: Literal["daily", "weekly", "monthly"] | None = Field(
        None, description="days of the average from averaging_start on: daily (business days), weekly or monthly"
    )
    calendar: Calendar = Field(
        "weekdays", description=f"business days of the average: {', '.join(schedules.CALENDARS)}"
    )
    averaging_dates: Annotated[tuple[Date, ...] | None, BeforeValidator(read_json)] = Field(
        None,
        description='days of the average, as JSON: ["2026-03-31", "2026-04-30"]; in place of a start and frequency',
    )
    fixings: Annotated[dict[Date, Price], BeforeValidator(read_json)] = Field(
        {}, description='known prices by day, as JSON: {"2026-03-02": 101.5}'
    )
    method: Literal["moment_matching", "monte_carlo"] | None = Field(
        None, description="how an arithmetic average is valued: moment_matching (if left out) or monte_carlo"
    )
    paths: int | None = Field(
        None, ge=100, le=_MOST_PATHS, description=f"paths of monte_carlo, 100 to 100,000, {PATHS:,} if left out"
    )
    seed: int | None = Field(None, ge=0, description="seed of monte_carlo, 0 if left out")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = (self.averaging_start, self.averaging_frequency)
        if self.averaging_dates is None:
            if None in given:
                raise ValueError("averaging_dates, or averaging_start and averaging_frequency, are expected")
            if self.averaging_start > (self.averaging_end or self.expiry):  # type: ignore[operator]
                raise ValueError(f"averaging_start {self.averaging_start} lies after the last day of the average")
        elif given != (None, None) or self.averaging_end:
            raise ValueError("averaging_dates stand alone: without averaging_start, averaging_end and frequency")
        elif not self.averaging_dates or list(self.averaging_dates) != sorted(set(self.averaging_dates)):
            raise ValueError("averaging_dates ascend, each once, and there is at least one")
        last = self.averaging_dates[-1] if self.averaging_dates else self.averaging_end
        if last is not None and last > self.expiry:
            raise ValueError(f"the last day of the average {last} lies after expiry {self.expiry}")
        if self.method == "monte_carlo" and self.average == "geometric":
            raise ValueError("a geometric average has an exact value; monte_carlo is for the arithmetic one")
        return self

    def days(self) -> tuple[dt.date, ...]:
        """The days of the average, ascending; raises `NotValuable` where there are none."""
        if self.averaging_dates is not None:
            return self.averaging_dates
        assert self.averaging_start is not None
        assert self.averaging_frequency is not None
        return observation_days(
            self.averaging_start,
            self.averaging_end or self.expiry,
            self.averaging_frequency,
            self.calendar,
        )

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        super().check(valuation_date, rolled_from)
        for day in self.days():
            if day < valuation_date and (rolled_from is None or day < rolled_from):
                self.fixing(day)

    def fixing(self, day: dt.date) -> float:
        """The known price of a day; raises `NotValuable` where it is not given."""
        if day not in self.fixings:
            given = ", ".join(str(d) for d in sorted(self.fixings)[-5:]) or "none"
            raise NotValuable("missing_fixing", f"The average needs the price of {day} in fixings; given: {given}.")
        return self.fixings[day]

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        if self.averaging_dates is not None:
            return ()
        assert self.averaging_start is not None
        return schedules.unlisted_note(self.calendar, self.averaging_start, self.expiry)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    ahead = [day for day in terms.days() if day > valuation_date]
    return share_option_factors(terms, index, valuation_date, first=ahead[0] if ahead else None)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return _values(terms, market)[0]


def standard_errors(terms: Sequence[Terms], market: Market) -> Floats:
    """Standard errors of the values, shape (n_contracts, n_states): zero but with the method monte_carlo."""
    return _values(terms, market)[1]


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)


def _values(terms: Sequence[Terms], market: Market) -> tuple[Floats, Floats]:
    """Values and their standard errors, both (n_contracts, n_states)."""
    shares = shares_of(terms, market)
    strikes: Floats = np.array([t.strike for t in terms])
    volatility = volatilities(market, [t.volatility for t in terms], shares.times, strikes, lambda: shares.forward)
    values, errors = np.empty(shares.spot.shape), np.zeros(shares.spot.shape)
    for curve, rows in rows_by([t.discount_curve for t in terms]):
        averages = [_Average(terms[i], market) for i in rows]
        if any(a.varying is not None for a in averages):
            for i, a in zip(rows.tolist(), averages, strict=True):
                values[i] = _on_paths(terms[i], a, market, shares.spot[i], volatility[i], shares.discount[i])
            continue
        offsets = np.concatenate([[0], np.cumsum([len(a.times) for a in averages])])
        times: Floats = np.concatenate([a.times for a in averages])
        unique, columns = np.unique(times, return_inverse=True)
        matrix = market.discount(curve, unique)
        signs: Floats = np.array([1.0 if terms[i].option_type == "call" else -1.0 for i in rows])
        values[rows] = average_options(
            signs,
            np.array([terms[i].average == "geometric" for i in rows]),
            strikes[rows],
            np.array([a.count for a in averages]),
            np.array([a.past for a in averages]),
            np.array([a.today for a in averages]),
            offsets,
            times,
            np.concatenate([a.carried for a in averages]),
            columns,
            matrix,
            shares.spot[rows],
            volatility[rows],
            shares.discount[rows],
        )
        for k, (i, a) in enumerate(zip(rows.tolist(), averages, strict=True)):
            if terms[i].method == "monte_carlo" and len(a.times):
                values[i], errors[i] = simulated_average_option(
                    signs[k],
                    strikes[i],
                    a.count,
                    a.past,
                    a.today,
                    a.times,
                    a.carried,
                    matrix[columns[offsets[k] : offsets[k + 1]]],
                    _moves(terms[i].seed or 0, (terms[i].paths or PATHS) // 2, a.times),
                    shares.spot[i],
                    volatility[i],
                    shares.discount[i],
                )
    return values, errors


def _on_paths(terms: Terms, a: _Average, market: Market, spot: Floats, volatility: Floats, discount: Floats) -> Floats:
    """Value in every state, (n_states,), where the prices that are known differ from path to path: each state is an option of its own."""
    if terms.method == "monte_carlo" and len(a.times):
        raise NotValuable(
            "path_dependent",
            "Its average is simulated, and on market paths the prices known differ: use moment_matching.",
        )
    n, days = market.n_states, len(a.times)
    matrix = market.discount(terms.discount_curve, a.times) if days else np.ones((1, n))
    past = np.full(n, a.past) if a.varying is None else a.varying
    return average_options(
        np.full(n, 1.0 if terms.option_type == "call" else -1.0),
        np.full(n, terms.average == "geometric"),
        np.full(n, terms.strike),
        np.full(n, a.count),
        past,
        np.full(n, a.today),
        days * np.arange(n + 1),
        np.tile(a.times, n),
        np.tile(a.carried, n),
        np.arange(days * n),
        np.ascontiguousarray(matrix.T).reshape(-1, 1),
        np.ascontiguousarray(spot)[:, None],
        np.ascontiguousarray(volatility)[:, None],
        np.ascontiguousarray(discount)[:, None],
    )[:, 0]


class _Average:
    """The average of a contract on a day: what is known of it and what is to come.

    varying : (n_states,) in place of `past` where it differs from path to path, else None.
    count : prices in it; past : sum of the known ones, of their logarithms for a geometric average; today : 1 where the spot
    price of today is one of them; times, carried : (n_days,) years to those to come and exp(-yield x time).
    """

    def __init__(self, terms: Terms, market: Market) -> None:
        day, days = market.valuation_date, terms.days()
        known = [_price(terms, d, market) for d in days if d < day or (d == day and d in terms.fixings)]
        self.count = float(len(days))
        self.varying: Floats | None = None
        self.past = 0.0
        if all(isinstance(price, float) for price in known):
            self.past = math.fsum(map(math.log, known) if terms.average == "geometric" else known)
        else:
            self.varying = np.zeros(market.n_states)
            for price in known:
                self.varying = self.varying + (np.log(price) if terms.average == "geometric" else price)
        self.today = float(day in days and day not in terms.fixings)
        self.times: Floats = np.array([(d - day).days for d in days if d > day], dtype=np.float64) / DAYS_A_YEAR
        self.carried: Floats = np.array([math.exp(-terms.dividend_yield * t) for t in self.times.tolist()])


def _price(terms: Terms, day: dt.date, market: Market) -> float | Floats:
    """The price of a day: as given, or in the base market as it is rolled; raises `NotValuable` where neither says it."""
    roll = market.roll
    if day in terms.fixings or roll is None or day < roll.since:
        return terms.fixing(day)
    if market.along is not None:
        return np.broadcast_to(market.along.on(day).level(terms.underlying), (market.n_states,))
    if (then := market.passed(day)) is not None:
        return float(then.level(terms.underlying)[0])
    origin = float(roll.origin[market.index.row[terms.underlying]])
    if roll.market != "forwards":
        return origin
    years = (day - roll.since).days / DAYS_A_YEAR
    return origin * math.exp(-terms.dividend_yield * years) * market.fixed_growth(terms.discount_curve, roll.since, day)


def _moves(seed: int, paths: int, times: Floats) -> Floats:
    """Brownian paths (paths, n_days) at the times."""
    steps: Floats = np.sqrt(np.diff(times, prepend=0.0))
    moves: Floats = np.cumsum(np.random.default_rng(seed).standard_normal((paths, len(times))) * steps, axis=1)
    return moves
