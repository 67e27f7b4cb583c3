"""What inflation-linked contracts share: which months of a price index their payments hang on, and its level there.

The reference index of a day with a lag of 3 months is, interpolated, the index of 3 months before its month plus the part of the
month that has passed, (day - 1) / days of the month, of the step to the next (as of US TIPS, French OATi and most linkers since
2005); flat, the index of 3 months before for all days of the month. Months in `fixings` are known; others are projected,
see `valuation.market.inflation`, from the month of the index level on. Earlier ones must be known.
Source: US Treasury, 31 CFR 356 appendix B; Deacon, Derry and Mirfendereski, *Inflation-indexed Securities*.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Name, Price, read_json
from valuation.instruments.reads import require_factor
from valuation.market.inflation import inflation_pillars_read, month_of, month_start, projected_index
from valuation.types import InstrumentTerms, Market, NotValuable

_EPOCH = dt.date(1970, 1, 1).toordinal()


def _of_months(fixings: dict[dt.date, float]) -> dict[dt.date, float]:
    for day in fixings:
        if day.day != 1:
            raise ValueError(f"{day} is not the first day of a month")
    return fixings


class Reference(NamedTuple):
    """The reference index of n days is `known` (n,) plus `weights` (2, n) times the index of `months` (2, n)."""

    months: Ints
    weights: Floats
    known: Floats

    @property
    def projected(self) -> Ints:
        """The different months that are not known, ascending."""
        return np.unique(self.months[self.weights != 0.0])


class IndexedTerms(InstrumentTerms):
    """What decides the reference index of a day."""

    price_index: Name = Field(description="price_index risk factor, such as CPI:US")
    inflation_curve: Name = Field(description="curve of zero-coupon inflation swap rates, such as INF:US_CPI")
    observation_lag: int = Field(3, ge=0, le=24, description="months from the index to the payments it decides")
    interpolation: Literal["linear", "flat"] = Field(
        "linear", description="linear between months (as US TIPS), or flat, the same for all days of a month"
    )
    fixings: Annotated[dict[Date, Price], BeforeValidator(read_json), AfterValidator(_of_months)] = Field(
        {}, description='known index levels by first day of the month, as JSON: {"2026-01-01": 326.03}'
    )

    def reference(self, days: Ints) -> Reference:
        """The reference index of these days, by their ordinals."""
        on = (days - _EPOCH).astype("datetime64[D]")
        month = on.astype("datetime64[M]")
        first = month.astype("datetime64[D]")
        length = ((month + 1).astype("datetime64[D]") - first).astype(np.int64)
        passed = (on - first).astype(np.int64) / length
        if self.interpolation == "flat":
            passed = np.zeros(len(days))
        observed = month.astype(np.int64) - self.observation_lag
        months, weights = np.stack([observed, observed + 1]), np.stack([1.0 - passed, passed])
        known = np.zeros(len(days))
        for day, level in self.fixings.items():
            fixed = months == month_of(day)
            known += np.where(fixed, weights * level, 0.0).sum(axis=0)
            weights[fixed] = 0.0
        return Reference(months, weights, known)

    def require_known(self, days: Ints, valuation_date: dt.date) -> None:
        """Raises `NotValuable` where a month before that of the index level is needed and not given."""
        before = self.reference(days).projected
        before = before[before < month_of(valuation_date) - self.observation_lag]
        if len(before):
            given = ", ".join(str(d) for d in sorted(self.fixings)) or "none"
            raise NotValuable(
                "missing_fixing",
                f"The index of {month_start(int(before[0]))} is needed in fixings: on {valuation_date} its level stands for a later "
                f"month; given: {given}.",
            )

    def index_factors(self, index: FactorIndex, valuation_date: dt.date, days: Ints) -> tuple[str, ...]:
        """Ids of the risk factors that decide the reference index of these days."""
        months = self.reference(days).projected
        if not len(months):
            return ()
        return (
            require_factor(index, self.price_index, ("price_index",)),
            *inflation_pillars_read(index, self.inflation_curve, valuation_date, self.observation_lag, months),
        )


class IndexLevels(NamedTuple):
    """What the reference index of the days of each contract of a batch is made of.

    levels : (n_rows, n_states), a row for each month of an index; rows : of contract i those of its `Reference.months`, (2, n).
    """

    levels: Floats
    rows: list[Ints]
    references: list[Reference]

    def on(self, contracts: Sequence[int], places: Sequence[int]) -> Floats:
        """Reference index of one day of each of these contracts, by its place, shape (len(contracts), n_states)."""
        out = np.empty((len(contracts), self.levels.shape[1]))
        for k, (i, j) in enumerate(zip(contracts, places, strict=True)):
            _, (first, second), known = self.references[i]
            one, two = self.rows[i][:, j]
            out[k] = known[j] + (first[j] * self.levels[one] + second[j] * self.levels[two])
        return out


def index_levels(market: Market, terms: Sequence[IndexedTerms], days: Sequence[Ints]) -> IndexLevels:
    """Of these days of each contract; all contracts of an index share its months."""
    references = [t.reference(d) for t, d in zip(terms, days, strict=True)]
    rows = [np.zeros(r.months.shape, np.int64) for r in references]
    groups: dict[tuple[str, str, int], list[int]] = {}
    for i, t in enumerate(terms):
        groups.setdefault((t.price_index, t.inflation_curve, t.observation_lag), []).append(i)
    levels = [np.zeros((1, market.n_states))]  # of a month that is known, whose weight is zero
    n = 1
    for (price_index, curve, lag), members in groups.items():
        months = np.unique(np.concatenate([references[i].projected for i in members]))
        if not len(months):
            continue
        levels.append(projected_index(market, price_index, curve, lag, months))
        for i in members:
            open_ = references[i].weights != 0.0
            rows[i][open_] = n + months.searchsorted(references[i].months[open_])
        n += len(months)
    return IndexLevels(np.concatenate(levels), rows, references)
