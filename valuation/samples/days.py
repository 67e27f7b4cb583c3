"""The market of the sample bank's days: the levels its traders see, from the lake."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lake.arrays import Dates, Floats
from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios.market.history import load_factors, received_history
from scenarios.surfaces import surface_of
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor, tenor_years

CALENDAR = "XNYS"
_SEASONING = 120  # sessions that the swaps of the first day may be old; less than the six months of a floating period
_LOOK_BACK = 190  # days of market before the first day of the book
_HOLD = 5  # sessions for which the bank trades on the last level of a market on holiday


@dataclass(frozen=True)
class DayMarket:
    """The market as the bank's traders see it: the factors with a level on `date`, held over a holiday of their market.

    `previous` is the session before in the book's
    life, None on its first day.
    """

    date: np.datetime64
    previous: np.datetime64 | None
    index: FactorIndex
    values: Floats

    def level(self, factor_id: str) -> float:
        """Raises `BadInput` for a factor without a level, as before the market history begins."""
        if factor_id not in self.index.row:
            raise BadInput(
                f"The market has no level of {factor_id} on {self.date}, which trades of the sample book are fixed at: it looks back "
                f"{_LOOK_BACK} days from its first date. Bring in a market that begins earlier, or ask for later dates."
            )
        return float(self.values[self.index.row[factor_id]])

    def of_type(self, *types: str) -> list[RiskFactor]:
        return [f for f in self.index.factors if f.type in types]

    @functools.cached_property
    def curves(self) -> tuple[str, ...]:
        """Currencies that have a curve of their own name."""
        return tuple(sorted({f.curve for f in self.index.factors if f.curve is not None and f.curve == f.currency}))

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Ids of the factors, `curve:` before the name of each curve and `surface:` before that of each volatility surface."""
        curves = {f"curve:{f.curve}" for f in self.index.factors if f.curve is not None}
        surfaces = {f"surface:{name}" for f in self.index.factors if (name := surface_of(f)) is not None}
        return frozenset({*self.index.row, *curves, *surfaces})

    def has(self, reads: str) -> bool:
        """Whether all of these names, with | between them, are here."""
        return self.names.issuperset(reads.split("|"))

    def exchange_rate(self, base: str, quote: str) -> float | None:
        """Units of `quote` for one of `base`; None where the factors at hand do not give it."""
        try:
            path = self.index.fx_path(base, quote)
        except MissingRiskFactor:
            return None
        return float(np.prod([self.level(f) ** power for f, power in path])) if path else 1.0

    def usd(self, currency: str) -> float | None:
        """USD for one unit of the currency; None where the factors at hand do not give it."""
        return self.exchange_rate(currency, "USD")

    def rate(self, curve: str, years: Floats) -> Floats:
        """Yield at maturities in years, linear between pillars that are quoted as a rate."""
        pillars = [p for p in self.index.curve(curve) if p.type not in ("rate_future", "basis_spread")]
        return np.interp(
            years, [tenor_years(p.pillar or "") for p in pillars], [self.level(p.risk_factor_id) for p in pillars]
        )

    def discount(self, curve: str, years: Floats) -> Floats:
        """Good enough to strike at the money; pricers bootstrap."""
        return np.exp(-self.rate(curve, years) * years)


class MarketDays:
    """The lake's market on the business days of New York, from half a year before the first day of the book."""

    def __init__(self, snapshot: Snapshot, first: dt.date, last: dt.date) -> None:
        start = max(first - dt.timedelta(days=_LOOK_BACK), dt.date(1990, 1, 1))
        history = received_history(snapshot, CALENDAR, start, last, load_factors(snapshot))
        self.sessions: Dates = history.dates
        self.first = np.datetime64(first, "D")
        self._index = history.index
        self._quoted = np.asarray(np.isfinite(history.levels).any(axis=1))
        self._levels: Floats = pd.DataFrame(history.levels).ffill(limit=_HOLD).to_numpy()

    def quoted(self, date: np.datetime64) -> bool:
        """Whether any risk factor has a level on the very day."""
        return bool(self._quoted[np.flatnonzero(self.sessions == date)].any())

    def range(self) -> str:
        """The days near the book's that have a level."""
        days = self.sessions[self._quoted]
        return f"near it, market data reach from {days[0]} to {days[-1]}" if len(days) else "nor near it"

    def on(self, date: np.datetime64) -> DayMarket:
        """The market of the last session up to `date`."""
        return self._on(int(np.searchsorted(self.sessions, date, side="right")) - 1)

    def history(self, factor_id: str, first: np.datetime64, last: np.datetime64) -> Floats:
        """Levels of a factor on the sessions from one day to another."""
        begin, end = np.searchsorted(self.sessions, first), np.searchsorted(self.sessions, last, side="right")
        levels: Floats = self._levels[begin:end, self._index.row[factor_id]]
        return levels

    @functools.cache  # noqa: B019 - it lives as long as the book that it is for
    def _on(self, row: int) -> DayMarket:
        here = np.isfinite(self._levels[row])
        factors = tuple(f for f, known in zip(self._index.factors, here, strict=True) if known)
        previous = self.sessions[row - 1] if self.sessions[row] > self.first else None
        return DayMarket(self.sessions[row], previous, FactorIndex(factors), self._levels[row][here])

    def before(self, date: np.datetime64) -> list[DayMarket]:
        """The markets of the sessions up to `date` on which a swap still in its first floating period may have begun."""
        row = int(np.searchsorted(self.sessions, date, side="right"))
        return [self.on(d) for d in self.sessions[max(row - _SEASONING, 0) : row]]
