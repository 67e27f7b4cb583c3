"""The section `sa_ccr` of a regime, as the formulas read it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aggregation.kernels.sa_ccr import Rules
from aggregation.regimes.regimes import Parameters

Offset = Literal["formula", "none"]


class Duration(Parameters):
    rate: float = Field(gt=0)
    floor_business_days: float = Field(ge=0)


class Maturity(Parameters):
    floor_business_days: float = Field(gt=0)
    cap_years: float = Field(gt=0)
    margined_scale: float = Field(gt=0)


class MarginPeriod(Parameters):
    base_business_days: float = Field(ge=0)
    large_business_days: float = Field(gt=0)
    large_more_than: int = Field(ge=0)
    dispute_multiple: float = Field(ge=1)


class Delta(Parameters):
    """digital : `collar`, two options at strikes (1 - width) K and (1 + width) K; or `vanilla`, one option at the strike."""

    tranche_numerator: float
    tranche_slope: float
    digital: Literal["collar", "vanilla"]
    digital_width: float = Field(gt=0, lt=1)
    lowest_shifted: float = Field(gt=0)


class Treatments(Parameters):
    """basis, volatility : by what supervisory factors are multiplied in hedging sets of these. cross_currency : when a cross-currency swap
    has rows in interest rates beside its row in FX."""

    basis: float = Field(gt=0)
    volatility: float = Field(gt=0)
    cross_currency: Literal["one_fixed_leg", "each_fixed_leg", "never"]


class Exceptions(Parameters):
    """Of trades outside netting and margin agreements; `none` where the regime makes no exception."""

    sold_options: Literal["zero", "none"]
    sold_protection: Literal["unpaid_premium", "none"]


class InterestRate(Parameters):
    factor: float = Field(gt=0)
    volatility: float = Field(gt=0)
    bucket_years: tuple[float, float]
    offsets: tuple[Offset, ...] = Field(min_length=1)
    adjacent: float = Field(ge=-1, le=1)
    distant: float = Field(ge=-1, le=1)


class Fx(Parameters):
    factor: float = Field(gt=0)
    volatility: float = Field(gt=0)


class Factor(Parameters):
    """A line of table 2: supervisory factor, correlation and option volatility."""

    factor: float = Field(gt=0)
    correlation: float = Field(ge=0, le=1)
    volatility: float = Field(gt=0)


class Credit(Parameters):
    """single : by rating. index : by grade; index_grades : the ratings of each grade."""

    single: dict[str, Factor]
    index: dict[str, Factor]
    index_grades: dict[str, tuple[str, ...]]


class Equity(Parameters):
    single: Factor
    index: Factor


class CommodityGroup(Parameters):
    hedging_set: str
    class_: str = Field(alias="class")


class Commodity(Parameters):
    """classes : lines of table 2. groups : the hedging set and class of each commodity group of the classifications."""

    classes: dict[str, Factor]
    groups: dict[str, CommodityGroup]


class SaCcr(Parameters):
    """Every parameter of SA-CCR; the paragraphs stand beside the values in `regimes`."""

    alpha: float = Field(gt=0)
    multiplier_floor: float = Field(ge=0, lt=1)
    business_days_a_year: float = Field(gt=0)
    margined_cap: bool
    duration: Duration
    maturity: Maturity
    margin_period: MarginPeriod
    delta: Delta
    treatments: Treatments
    exceptions: Exceptions
    interest_rate: InterestRate
    fx: Fx
    credit: Credit
    equity: Equity
    commodity: Commodity

    @property
    def rules(self) -> Rules:
        """What the formulas of a trade read, in years."""
        days = self.business_days_a_year
        return Rules(
            self.duration.rate,
            self.duration.floor_business_days / days,
            self.maturity.floor_business_days / days,
            self.maturity.cap_years,
            self.delta.tranche_numerator,
            self.delta.tranche_slope,
        )
