"""Daily shocks of the synthetic market, and paths made of them."""

from __future__ import annotations

import zlib

import numpy as np
from scipy.signal import lfilter

from lake.arrays import Dates, Floats

_FREEDOM = 5  # degrees of freedom of every daily shock: kurtosis 9 before volatility adds to it
YEAR = 252
EQUITY_VOL = 0.0085  # a normal day of the index

# Volatility against a normal day, from the date on.
_REGIMES = {
    "1990-01-01": 1.0, "2005-01-01": 0.75, "2007-08-01": 1.3, "2008-09-02": 3.4, "2009-04-01": 1.5, "2010-01-01": 1.0,
    "2010-05-03": 1.6, "2010-07-15": 1.0, "2011-08-01": 2.0, "2011-12-15": 1.0, "2013-01-01": 0.75, "2015-08-17": 1.6,
    "2016-03-01": 0.75, "2018-02-01": 1.5, "2018-04-15": 0.8, "2018-10-10": 1.4, "2019-02-01": 0.75, "2020-02-20": 4.0,
    "2020-05-01": 1.5, "2020-11-10": 0.9, "2022-01-15": 1.4,
}  # fmt: skip

# Levels pass near these outlines on these dates and wander in between.
_KNOTS = (
    "2005-01-03", "2007-07-02", "2008-08-29", "2009-03-09", "2009-12-31", "2011-06-30", "2014-06-30",
    "2016-02-11", "2018-09-28", "2020-02-19", "2020-03-23", "2020-12-31", "2021-12-31", "2022-12-28",
)  # fmt: skip


class DailyShocks:
    """Daily shocks of one seed and calendar. Every stream has a name, so that a new series leaves the others as they are."""

    def __init__(self, seed: int, dates: Dates) -> None:
        self.seed = seed
        self.dates = dates
        self.knots = np.array(_KNOTS, "datetime64[D]")
        starts = np.array(list(_REGIMES), "datetime64[D]")
        regime = np.array(list(_REGIMES.values()))[np.searchsorted(starts, dates, side="right") - 1]
        self.equity = self.shock("equity")
        self.volatility = _garch(self.equity, regime)
        # other classes and single names feel a crisis less than the index does
        self.mild = np.sqrt(self.volatility)

    def shock(self, name: str) -> Floats:
        """Student-t shocks of variance 1."""
        stream = np.random.Generator(np.random.Philox(key=(self.seed << 64) + zlib.crc32(name.encode())))
        shocks: Floats = stream.standard_t(_FREEDOM, len(self.dates)) * np.sqrt(1 - 2 / _FREEDOM)
        return shocks

    def shared(self, name: str, correlation: float) -> Floats:
        """Shocks with the given correlation to those of equities, scaled by the milder volatility."""
        shocks: Floats = self.mild * (correlation * self.equity + np.sqrt(1 - correlation**2) * self.shock(name))
        return shocks

    def wobble(self, name: str, size: float, half_life: float) -> Floats:
        """A factor around 1 whose relative moves fade with the half-life."""
        return np.exp(fading_sum(size * self.mild * self.shock(name), half_life))

    def around(self, outline: tuple[float, ...], shocks: Floats, half_life: float = 250) -> Floats:
        """The outline plus the sum of the shocks, which fades with the half-life and is zero on the outline's dates."""
        wander = fading_sum(shocks, half_life)
        inside = self.knots[(self.knots >= self.dates[0]) & (self.knots <= self.dates[-1])]
        at = np.unique([0, *np.searchsorted(self.dates, inside)])
        days = self.dates.astype(float)
        path: Floats = (
            np.interp(days, self.knots.astype(float), outline) + wander - np.interp(days, days[at], wander[at])
        )
        return path

    def price(self, outline: tuple[float, ...], shocks: Floats) -> Floats:
        """As `around`, of relative moves."""
        return np.exp(self.around(tuple(np.log(outline)), shocks))


def _garch(shocks: Floats, regime: Floats, alpha: float = 0.08, beta: float = 0.80) -> Floats:
    """Conditional volatility; its long-run level is that of the regime of the day."""
    variance = np.empty_like(shocks)
    variance[0] = regime[0] ** 2
    for t in range(1, len(shocks)):
        variance[t] = (1 - alpha - beta) * regime[t] ** 2 + variance[t - 1] * (alpha * shocks[t - 1] ** 2 + beta)
    return np.sqrt(variance)


def fading_sum(shocks: Floats, half_life: float) -> Floats:
    total: Floats = lfilter([1.0], [1.0, -(0.5 ** (1 / half_life))], shocks)
    return total
