"""What contracts on the default of a name share: terms, and values of legs that last until it defaults."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Name, Number
from valuation.instruments.reads import credit_factors, curve_factors, require_factor, rows_by
from valuation.kernels import cashflows, credit
from valuation.market.credit_curves import DAYS_A_YEAR, Paths, recoveries
from valuation.types import InstrumentTerms, Market

Recovery = Annotated[Number, Field(ge=0, le=1)]

CREDIT_CURVE = "credit curve of hazard rates or CDS spreads, such as ACME"


class DefaultTerms(InstrumentTerms):
    """Terms of a contract on one name or index: its credit curve, and what is recovered in a default."""

    credit_curve: Name = Field(description=CREDIT_CURVE)
    recovery_rate: Recovery | None = Field(
        None, description="what is recovered in a default, a fraction of face (0.4 is 40%); this or recovery"
    )
    recovery: Name | None = Field(
        None, description="risk factor id of what is recovered, such as REC:ACME; this or recovery_rate"
    )

    @model_validator(mode="after")
    def _one_recovery(self) -> Self:
        if (self.recovery_rate is None) == (self.recovery is None):
            given = "neither is" if self.recovery is None else "both are"
            raise ValueError(f"give recovery_rate, a number, or recovery, a risk factor id; {given} given")
        return self

    @property
    def recovered(self) -> float | str:
        """A number, or the id of a risk factor."""
        return self.recovery if self.recovery_rate is None else self.recovery_rate  # type: ignore[return-value]


class DefaultedTerms(DefaultTerms):
    """Terms of a contract on one name, which may have defaulted."""

    default_date: Date | None = Field(None, description="day on which the name has defaulted; with settlement_date")
    settlement_date: Date | None = Field(
        None, description="day on which a default is settled, after the auction; with default_date"
    )

    @model_validator(mode="after")
    def _settled(self) -> Self:
        if (self.default_date is None) != (self.settlement_date is None):
            raise ValueError("default_date and settlement_date are given together")
        if self.default_date and self.recovery_rate is None:
            raise ValueError("a default is settled at a number; give recovery_rate in place of recovery")
        if self.default_date and self.settlement_date and self.settlement_date < self.default_date:
            raise ValueError(f"settlement_date {self.settlement_date} lies before default_date {self.default_date}")
        return self


def recovery_factors(index: FactorIndex, terms: DefaultTerms) -> tuple[str, ...]:
    """The risk factor of what is recovered, where the terms name one."""
    return () if terms.recovery is None else (require_factor(index, terms.recovery, ("recovery_rate",)),)


def risky_factors(
    index: FactorIndex, terms: DefaultTerms, discount_curve: str, valuation_date: dt.date, lives: dt.date, last: dt.date
) -> tuple[str, ...]:
    """Ids of what a contract reads that lasts until default: survival to `lives`, discount factors to `last`; each once."""
    ids = (
        *credit_factors(index, terms.credit_curve, valuation_date, lives),
        *curve_factors(index, discount_curve, valuation_date, last, first=valuation_date),
        *recovery_factors(index, terms),
    )
    return tuple(dict.fromkeys(ids))


def recovered(market: Market, terms: Sequence[DefaultTerms]) -> Floats:
    """What is recovered of each contract, shape (n_contracts, n_states)."""
    return recoveries(market, [t.recovered for t in terms])


@dataclass(frozen=True)
class Coupons:
    """Coupons of a contract still due, each (n,): ordinals of the days on which default may next happen in its period, through
    which the name must live, from which it accrues and on which it is paid; days that accrue; amounts at 360 days.
    """

    begins: Ints
    ends: Ints
    starts: Ints
    payments: Ints
    days: Ints
    amounts: Floats


def legs(
    market: Market,
    curves: Sequence[tuple[str, str]],
    protection: Sequence[tuple[int, int]],
    coupons: Sequence[Coupons],
    accrued_a_year: float,
    lead: float = 0.0,
) -> tuple[Floats, Floats]:
    """Value of a unit paid at default, and of the coupons, of each contract: two arrays (n_contracts, n_states).

    curves : discount and credit curve; protection : ordinals of the days after which, and through which, a default counts.
    accrued_a_year : what accrues of a coupon in a year and is paid in a default; lead : days that it accrues before its start.
    All contracts of two curves share the values of equal periods.
    """
    shape = (len(curves), market.n_states)
    default, premium = np.empty(shape), np.empty(shape)
    today = market.valuation_date.toordinal()
    for (discount_curve, credit_curve), rows in rows_by(curves):
        spans, of_span = np.unique(np.array([protection[i] for i in rows]), axis=0, return_inverse=True)
        due = [coupons[i] for i in rows]
        offsets = np.cumsum([0, *(len(c.payments) for c in due)])
        columns = [
            np.concatenate(d)
            for d in zip(*((c.begins, c.ends, c.starts, c.payments, c.days) for c in due), strict=True)
        ]
        periods, of_period = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        begins, ends, starts, payments = (periods[:, :4].T - [[0], [0], [lead], [0]] - today) / DAYS_A_YEAR
        nodes = np.concatenate([market.nodes(discount_curve), market.nodes(credit_curve)])
        span_begins, span_ends = (spans.T - today) / DAYS_A_YEAR
        n = len(spans)
        paths = Paths.of(np.append(span_begins, begins), np.append(span_ends, ends), nodes, payments)
        discount = credit.logarithms(market.discount(discount_curve, paths.times))
        survival = credit.logarithms(market.survival(credit_curve, paths.times))
        paid = credit.default_values(paths.offsets[: n + 1], paths.columns, discount, survival)
        default[rows] = paid[of_span.reshape(-1)]
        values = credit.coupon_values(
            paths.offsets[n:],
            paths.columns,
            paths.times,
            starts,
            periods[:, 4] / 360.0,
            paths.times.searchsorted(payments),
            accrued_a_year,
            discount,
            survival,
        )
        premium[rows] = cashflows.discounted_sums(
            offsets, of_period.reshape(-1), np.concatenate([c.amounts for c in due]), values
        )
    return default, premium
