"""A random market, for our pricers and for QuantLib: the same levels in the same states."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Sequence

import numpy as np
import QuantLib as ql  # noqa: N813 - the name its own documentation uses

from scenarios.types import FACTOR_TYPES, FactorIndex, RiskFactor, ShiftType
from valuation.instruments.equity.share_options import ShareOption
from valuation.instruments.fx.pair_options import PairOption
from valuation.market.scenario_market import ScenarioMarket

TODAY = dt.date(2020, 3, 16)
DAY_COUNT = ql.Actual365Fixed()
PILLARS = (
    "30D",
    "182D",
    "365D",
    "730D",
    "1825D",
    "3650D",
    "10950D",
    "18250D",
)  # whole days: QuantLib's curves have dates
CURVES = {"USD": 0.02, "USD_LOW": -0.002, "USD_MID": 0.01, "EUR": -0.002, "GBP": 0.01, "JPY": 0.001}

# risk factor id: type, currency, level
FLAT: dict[str, tuple[str, str, float]] = {
    "EQ:A": ("equity_price", "USD", 100.0),
    "EQ:B": ("equity_price", "USD", 40.0),
    "IDX:X": ("index_level", "EUR", 3000.0),
    "FX:EURUSD": ("fx_rate", "USD", 1.12),
    "FX:GBPUSD": ("fx_rate", "USD", 1.3),
    "FX:USDJPY": ("fx_rate", "JPY", 106.0),
    "CMD:WTI": ("commodity_price", "USD", 40.0),
    "CMD:BRENT": ("commodity_price", "USD", 43.0),
    "IV:A": ("implied_vol", "USD", 0.3),
    "IV:B": ("implied_vol", "USD", 0.4),
    "IV:X": ("implied_vol", "EUR", 0.2),
    "IV:EURUSD": ("implied_vol", "USD", 0.1),
    "IV:WTI": ("implied_vol", "USD", 0.45),
    "IV:BRENT": ("implied_vol", "USD", 0.4),
}
_PILLARED = tuple(
    (RiskFactor(f"YC:{curve}:{p}", "zero_rate", p, curve[:3], curve, p), rate)
    for curve, rate in CURVES.items()
    for p in PILLARS
)

# Cash dividends of EQ:A twice a year for five years, that an oracle may add to the market.
DIVIDENDS = tuple(
    (
        RiskFactor(f"DIV:A:{day}", "dividend", day, "USD", attributes=(("asset", "EQ:A"), ("ex_date", day))),
        1.2,
    )
    for day in ((TODAY + dt.timedelta(days=60 + 182 * k)).isoformat() for k in range(10))
)


def oracle_market(n_states: int, seed: int, more: Sequence[tuple[RiskFactor, float]] = ()) -> ScenarioMarket:
    """A market of `n_states` random states: prices and volatilities within some 10% of their level, rates within 1%.

    more : further risk factors with their levels, that an instrument needs.
    """
    flat = tuple((RiskFactor(i, kind, i, currency), level) for i, (kind, currency, level) in FLAT.items())
    levels = dict((*flat, *_PILLARED, *more))
    index = FactorIndex.of(levels)
    base = np.array([levels[f] for f in index.factors])
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((len(base), n_states))
    absolute = np.array([FACTOR_TYPES[f.type].shift_type is ShiftType.ABSOLUTE for f in index.factors])[:, None]
    states = np.where(absolute, base[:, None] + 0.004 * noise, base[:, None] * np.exp(0.04 * noise))
    return ScenarioMarket(TODAY, index, states[:, 0], states[:, 1:])


def random_date(rng: np.random.Generator, first: int, last: int) -> str:
    """A day from `first` to `last` days after the valuation date, as text."""
    return (TODAY + dt.timedelta(days=int(rng.integers(first, last + 1)))).isoformat()


def ql_date(day: dt.date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)


class Quotes:
    """The market for QuantLib, standing at one state at a time: quotes and curves that its instruments are linked to."""

    def __init__(self, market: ScenarioMarket) -> None:
        ql.Settings.instance().evaluationDate = ql_date(market.valuation_date)
        self.market = market
        self._moves: list[Callable[[int], None]] = []
        self.state = 0
        self.level = functools.cache(self._level)
        self.curve = functools.cache(self._curve)

    def to(self, state: int) -> None:
        """Moves all that was asked for to a state."""
        self.state = state
        for move in self._moves:
            move(state)

    def follow(self, move: Callable[[int], None]) -> None:
        """Has something else moved along: `move` is called with a state, now and whenever it changes."""
        move(self.state)
        self._moves.append(move)

    def _level(self, risk_factor_id: str) -> ql.SimpleQuote:
        levels = self.market.level(risk_factor_id)
        quote = ql.SimpleQuote(float(levels[0]))
        self.follow(lambda state: quote.setValue(float(levels[state])))
        return quote

    def _curve(self, name: str) -> ql.YieldTermStructureHandle:
        """A discount curve, built once in every state: log-linear between pillars, as ours."""
        handle = ql.RelinkableYieldTermStructureHandle()
        built = [self._built(name, state) for state in range(self.market.n_states)]
        self.follow(lambda state: handle.linkTo(built[state]))
        return handle

    def _built(self, name: str, state: int) -> ql.DiscountCurve:
        pillars = self.market.index.curve(name)
        days = [int((f.pillar or "").removesuffix("D")) for f in pillars]
        factors = self.market.discount(name, np.array(days) / 365.0)[:, state]
        today = ql_date(self.market.valuation_date)
        curve = ql.DiscountCurve([today, *(today + d for d in days)], [1.0, *factors.tolist()], DAY_COUNT)
        curve.enableExtrapolation()
        return curve

    def flat(self, rate: float) -> ql.YieldTermStructureHandle:
        """A curve of one continuous rate in every state, such as a dividend yield."""
        return ql.YieldTermStructureHandle(ql.FlatForward(ql_date(self.market.valuation_date), rate, DAY_COUNT))

    def dividends(self, share: str, state: int) -> tuple[list[ql.Date], list[float]]:
        """Ex-dates and amounts of a share's cash dividends in a state."""
        paid = [f for f in self.market.index.factors if f.type == "dividend" and dict(f.attributes)["asset"] == share]
        days = [ql_date(dt.date.fromisoformat(dict(f.attributes)["ex_date"])) for f in paid]
        return days, self.market.levels([f.risk_factor_id for f in paid])[:, state].tolist()

    def volatility(self, risk_factor_id: str) -> ql.BlackVolTermStructureHandle:
        """A flat volatility."""
        quote = ql.QuoteHandle(self.level(risk_factor_id))
        return ql.BlackVolTermStructureHandle(
            ql.BlackConstantVol(ql_date(self.market.valuation_date), ql.NullCalendar(), quote, DAY_COUNT)
        )

    def share_process(self, terms: ShareOption) -> ql.BlackScholesMertonProcess:
        """A share or an index with its dividend yield."""
        return ql.BlackScholesMertonProcess(
            ql.QuoteHandle(self.level(terms.underlying)),
            self.flat(terms.dividend_yield),
            self.curve(terms.discount_curve),
            self.volatility(terms.volatility),
        )

    def pair_process(self, terms: PairOption) -> ql.BlackScholesMertonProcess:
        """The exchange rate of a pair that is quoted itself."""
        base = self.flat(terms.base_rate) if terms.base_rate is not None else self.curve(terms.base_curve or "")
        return ql.BlackScholesMertonProcess(
            ql.QuoteHandle(self.level(f"FX:{terms.base_currency}{terms.currency}")),
            base,
            self.curve(terms.quote_curve),
            self.volatility(terms.volatility),
        )
