"""What options on interest rates share: the underlying swap, the model, and discount factors on two curves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from lake.arrays import Bools, Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Frequency, Name, Number, Rate, read_json
from valuation.instruments.reads import curve_factors
from valuation.instruments.schedules import BusinessDayConvention, Calendar, DayCount, Leg
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import InstrumentTerms, Market, NotValuable, OnlyWith

PROJECTION_CURVE = "curve that projects floating rates, such as EUR_6M; the discount curve where left out"
_MOST_VALUES = 1 << 21  # of a matrix with a row a period, so that it stays in reach of the processor


Dates = Annotated[tuple[Date, ...], BeforeValidator(read_json)]


class RateTerms(InstrumentTerms):
    """Dates and curves of a contract on floating rates, which fix on the first day of their period."""

    currency: Currency = Field(description="currency of all payments, ISO 4217")
    start: Date = Field(description="first day of the first period; may lie ahead")
    maturity: Date = Field(description="last day of the last period, before moving to a business day")
    float_frequency: Frequency = Field(description="floating periods a year: 1, 2 or 4")
    float_day_count: DayCount = Field(description=f"day count of floating periods: {schedules.DAY_COUNT}")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    business_day_convention: BusinessDayConvention = Field("ModifiedFollowing", description=schedules.CONVENTION)
    end_of_month: bool | None = Field(
        None, description="periods end on month ends when the maturity does; false where left out"
    )
    discount_curve: Name = Field(description=DISCOUNT_CURVE)
    projection_curve: Name | None = Field(None, description=PROJECTION_CURVE)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.maturity:
            raise ValueError(f"start {self.start} must lie before maturity {self.maturity}")
        return self

    @property
    def projects(self) -> str:
        return self.projection_curve or self.discount_curve

    def leg(self, frequency: int, day_count: str) -> Leg:
        return schedules.leg(
            self.start,
            self.maturity,
            frequency,
            day_count,
            self.calendar,
            self.business_day_convention,
            adjust_accrual=True,
            end_of_month=bool(self.end_of_month),
        )

    def floating_leg(self) -> Leg:
        return self.leg(self.float_frequency, self.float_day_count)

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, self.maturity)

    def curves_read(
        self, index: FactorIndex, valuation_date: dt.date, projected: tuple[int, int] | None, paid: tuple[int, int]
    ) -> tuple[str, ...]:
        """Ids of the pillars of both curves that decide factors between these days (ordinals), each once."""
        if projected is None or self.projects == self.discount_curve:
            spans = {self.discount_curve: (min((projected or paid)[0], paid[0]), max((projected or paid)[1], paid[1]))}
        else:
            spans = {self.discount_curve: paid, self.projects: projected}
        return tuple(
            pillar
            for curve, (first, last) in spans.items()
            for pillar in curve_factors(
                index, curve, valuation_date, dt.date.fromordinal(last), dt.date.fromordinal(first)
            )
        )


class UnderlyingSwap(RateTerms):
    """The swap that an option is on: fixed against floating, without spread."""

    pay_fixed: bool = Field(description="true for the right to pay the fixed rate (payer), false to receive it")
    fixed_rate: Rate = Field(description="fixed rate of the swap, the strike; fraction a year (0.03 is 3%)")
    fixed_frequency: Frequency = Field(description="fixed payments a year: 1, 2 or 4")
    fixed_day_count: DayCount = Field(description=f"day count of the fixed leg: {schedules.DAY_COUNT}")

    def fixed_leg(self) -> Leg:
        return self.leg(self.fixed_frequency, self.fixed_day_count)

    def floating_periods(self) -> tuple[Ints, Ints]:
        """First and last days of the floating periods; of a swap on one curve they are worth one period over all."""
        leg = self.floating_leg()
        if self.projects == self.discount_curve:
            return leg.starts[:1], leg.payments[-1:]
        return leg.starts, leg.payments


class RateModel(BaseModel):
    """The model of an option on a rate and the volatility it reads."""

    only_with: ClassVar[OnlyWith] = {"shift": ("model", ("black",))}

    model: Literal["black", "normal"] = Field(
        description="black (lognormal, on the rate plus `shift`) or normal (Bachelier)"
    )
    volatility: Name = Field(
        description="risk factor id of the volatility: an implied_vol for black, a normal_vol for normal"
    )
    shift: Number | None = Field(
        None, ge=0, lt=1, description="what model black adds to rate and strike, fraction a year; 0 where left out"
    )

    @property
    def normal(self) -> bool:
        return self.model == "normal"

    @property
    def volatility_types(self) -> tuple[str, ...]:
        return ("normal_vol",) if self.normal else ("implied_vol",)

    def check_strike(self, name: str, strike: float) -> None:
        """Raises `ValueError` for a strike that the model cannot hold."""
        if not self.normal and strike + (self.shift or 0.0) <= 0:
            raise ValueError(
                f"model black needs {name} + shift above zero, not {strike:g} + {self.shift or 0.0:g}; "
                "give a larger shift, or model normal"
            )


class ModelArrays(NamedTuple):
    """The models of a batch, (n_contracts,)."""

    normal: Bools
    shift: Floats

    @classmethod
    def of(cls, terms: Sequence[RateModel]) -> ModelArrays:
        return cls(np.array([t.normal for t in terms]), np.array([t.shift or 0.0 for t in terms]))


def require_defined(terms: Sequence[RateTerms], normal: Bools, shift: Floats, rates: Floats) -> None:
    """Raises `NotValuable` where Black's model cannot hold the base rate of an option; rates (n, n_states), the others (n,)."""
    for i in np.flatnonzero(~normal & (rates[:, 0] + shift < 0.0)).tolist():
        raise NotValuable(
            "negative_rate",
            f"A forward rate on curve {terms[i].projects} is {rates[i, 0]:.4%}, and model black has none below "
            f"{0.0 - shift[i]:.4%}, the shift of this contract.",
        )


class Group(NamedTuple):
    """Contracts on the same curves. rows : their places; columns : for each the rows of its days in the discount factors;
    discount, projection : (n_days, n_states).
    """

    rows: list[int]
    columns: list[Ints]
    discount: Floats
    projection: Floats


def by_curves(market: Market, terms: Sequence[RateTerms], days: Sequence[Ints]) -> Iterator[Group]:
    """The contracts in groups, with the discount factors at their `days` (ordinals, none before the valuation date).

    All contracts of a pair of curves share their discount factors; groups are of such a size that a matrix with a row for
    each day of each contract stays small.
    """
    curves: dict[tuple[str, str], list[int]] = {}
    for i, t in enumerate(terms):
        curves.setdefault((t.discount_curve, t.projects), []).append(i)
    for (discount_curve, projection_curve), rows in curves.items():
        unique, column = np.unique(np.concatenate([days[i] for i in rows]), return_inverse=True)
        times = (unique - market.valuation_date.toordinal()) / DAYS_A_YEAR
        discount = market.discount(discount_curve, times)
        projection = discount if projection_curve == discount_curve else market.discount(projection_curve, times)
        ends = np.cumsum([len(days[i]) for i in rows])
        columns = np.split(column, ends[:-1])
        part = (ends * market.n_states) // _MOST_VALUES
        for k in np.unique(part).tolist():
            first, stop = np.searchsorted(part, [k, k + 1]).tolist()
            yield Group(rows[first:stop], columns[first:stop], discount, projection)


def offsets(lengths: Sequence[int]) -> Ints:
    """Offsets (n + 1,) of lists of these lengths, one after the other."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
