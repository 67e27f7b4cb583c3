"""The section `credit` of a regime, as the formulas read it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aggregation.regimes.regimes import Parameters
from lake.landing.reference_values import CREDIT_CLASSES, RATINGS

Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
_RATED = tuple(r for r in RATINGS if r != "D")


class Standardised(Parameters):
    """weights : by credit class and rating, NR for none; default_weight : of rating D."""

    default_weight: Weight
    weights: dict[str, dict[str, Weight]]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name in CREDIT_CLASSES:
            if lacking := [r for r in _RATED if r not in self.weights.get(name, {})]:
                raise ValueError(f"weights of class {name} lack the ratings {', '.join(lacking)}")
        return self


class Maturity(Parameters):
    intercept: float
    slope: float
    reference_years: float = Field(gt=0)
    base_years: float = Field(gt=0)
    foundation_years: float = Field(gt=0)
    default_years: float = Field(gt=0)
    floor_years: float = Field(gt=0)
    cap_years: float = Field(gt=0)


class FirmSize(Parameters):
    """Sales in million EUR."""

    classes: tuple[str, ...]
    least_sales: float = Field(ge=0)
    below_sales: float = Field(gt=0)
    reduction: float


class Advanced(Parameters):
    """Where own estimates of LGD are not permitted."""

    never: tuple[str, ...]
    never_financial: bool
    never_above_sales: float


class IrbClass(Parameters):
    """Of a credit class. supervisory_lgd : of the foundation approach, of `financial` institutions and `other`; empty where a class has
    none."""

    low: Fraction
    high: Fraction
    decay: float = Field(gt=0)
    maturity: bool
    pd_floor: Fraction
    supervisory_lgd: dict[Literal["financial", "other"], Fraction]
    lgd_floor: Fraction


class Irb(Parameters):
    confidence: float = Field(gt=0, lt=1)
    multiple: float = Field(gt=0)
    large_financial_multiple: float = Field(gt=0)
    maturity: Maturity
    size: FirmSize
    advanced: Advanced
    classes: dict[str, IrbClass]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if lacking := [c for c in CREDIT_CLASSES if c not in self.classes]:
            raise ValueError(f"classes lack {', '.join(lacking)}")
        return self


class Credit(Parameters):
    capital_ratio: float = Field(gt=0, le=1)
    standardised: Standardised
    irb: Irb
