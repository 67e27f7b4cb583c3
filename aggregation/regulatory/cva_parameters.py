"""The sections `ba_cva` and `sa_cva` of a regime, as the formulas read them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aggregation.kernels.ba_cva import Formula
from aggregation.regimes.regimes import Parameters
from lake.errors import BadInput

Weight = Annotated[float, Field(ge=0.0, le=1.0)]
Correlation = Annotated[float, Field(ge=-1.0, le=1.0)]
Quality = Literal["investment_grade", "high_yield"]
Matrix = tuple[tuple[Correlation, ...], ...]


class Qualities(Parameters):
    """Ratings of either quality; what is not rated stands with high yield."""

    investment_grade: tuple[str, ...]
    high_yield: tuple[str, ...]

    def of(self, rating: str) -> Quality:
        """The quality of a rating; raises `BadInput` for one the regime does not know."""
        if rating in self.investment_grade:
            return "investment_grade"
        if rating in self.high_yield:
            return "high_yield"
        known = ", ".join((*self.investment_grade, *self.high_yield))
        raise BadInput(f"The rating {rating!r} is none that the rules on CVA know; expected one of {known}.")


class SectorWeights(Parameters):
    """Risk weight by sector, for either quality."""

    investment_grade: dict[str, Weight]
    high_yield: dict[str, Weight]

    def of(self, quality: Quality, sector: str) -> float:
        """The weight; raises `BadInput` for a sector the regime does not know."""
        table: dict[str, float] = getattr(self, quality)
        if sector not in table:
            raise BadInput(f"The sector {sector!r} has no risk weight for CVA; expected one of {', '.join(table)}.")
        return table[sector]


class HedgeCorrelation(Parameters):
    """Of a hedge's reference with the counterparty: the name itself, legally related, of its sector and region."""

    direct: Weight
    related: Weight
    sector_region: Weight


class BaCva(Parameters):
    """Every parameter of the basic approach."""

    discount_scalar: float = Field(gt=0)
    rwa_factor: float = Field(gt=0)
    rho: Correlation
    alpha: float = Field(gt=0)
    beta: Weight
    discount_rate: float = Field(ge=0)
    discounted: Literal["non_imm", "always", "never"]
    maturity_floor_years: float = Field(ge=0)
    index_factor: Weight
    risk_weights: SectorWeights
    hedge_correlation: HedgeCorrelation
    quality: Qualities

    @property
    def formula(self) -> Formula:
        return Formula(self.rho, self.alpha, self.beta, self.discount_rate)


class Rates(Parameters):
    main_currencies: tuple[str, ...]
    tenors: tuple[str, ...]
    weights: tuple[Weight, ...]
    inflation_weight: Weight
    correlations: Matrix
    inflation_correlation: Correlation
    other_weight: Weight
    other_inflation_weight: Weight
    other_correlation: Correlation
    across: Correlation
    vega_weight: Weight
    vega_correlation: Correlation

    @model_validator(mode="after")
    def _square(self) -> Self:
        _check_square("rates.correlations", self.correlations, len(self.tenors))
        if len(self.weights) != len(self.tenors):
            raise ValueError("rates.weights has another length than rates.tenors")
        return self


class Fx(Parameters):
    weight: Weight
    across: Correlation
    vega_weight: Weight


class Across(Parameters):
    """gamma between buckets, rows and columns as `buckets`."""

    buckets: tuple[str, ...]
    gamma: Matrix

    @model_validator(mode="after")
    def _square(self) -> Self:
        _check_square("across.gamma", self.gamma, len(self.buckets))
        return self


class CounterpartySpread(Parameters):
    tenors: tuple[str, ...]
    tenor_correlation: Correlation
    related_correlation: Correlation
    name_correlation: Correlation
    quality_correlation: Correlation
    index_bucket: str
    index_series_correlation: Correlation
    index_correlation: Correlation
    buckets: dict[str, str]
    weights: SectorWeights
    across: Across


class ReferenceSpread(Parameters):
    """Buckets 1 to 17: of seven sectors, investment grade and then high yield; other; indices of either quality."""

    weights: tuple[Weight, ...] = Field(min_length=17, max_length=17)
    sectors: tuple[str, ...] = Field(min_length=7, max_length=7)
    sector_gamma: Matrix
    quality_factor: Weight
    indices_gamma: Correlation
    index_gamma: Correlation
    vega_weight: Weight

    @model_validator(mode="after")
    def _square(self) -> Self:
        _check_square("reference_spread.sector_gamma", self.sector_gamma, len(self.sectors))
        return self


class Equity(Parameters):
    """Buckets 1 to 13. sector_places : of each equity sector, its place 1 to 4 among those of large capitalisation."""

    weights: tuple[Weight, ...] = Field(min_length=13, max_length=13)
    within: Correlation
    indices_gamma: Correlation
    index_gamma: Correlation
    large_buckets: tuple[str, ...]
    vega_weight_large: Weight
    vega_weight: Weight
    sector_places: dict[str, Annotated[int, Field(ge=1, le=4)]]


class Commodity(Parameters):
    """Buckets 1 to 11, in the order of `groups`."""

    weights: tuple[Weight, ...] = Field(min_length=11, max_length=11)
    across: Correlation
    vega_weight: Weight
    groups: tuple[str, ...] = Field(min_length=11, max_length=11)


class SaCva(Parameters):
    """Every parameter of the standardised approach."""

    multiplier: float = Field(gt=0)
    disallowance: Weight
    rwa_factor: float = Field(gt=0)
    quality: Qualities
    rates: Rates
    fx: Fx
    counterparty_spread: CounterpartySpread
    reference_spread: ReferenceSpread
    equity: Equity
    commodity: Commodity


def _check_square(name: str, matrix: Matrix, n: int) -> None:
    if len(matrix) != n or any(len(row) != n for row in matrix):
        raise ValueError(f"{name} must be a square of {n} rows and columns")
    if any(matrix[i][j] != matrix[j][i] for i in range(n) for j in range(i)):
        raise ValueError(f"{name} must be symmetric")
