"""What the FRTB standardised approach reads of a regime: section `frtb_sa`, as models without defaults."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from aggregation.kernels.frtb_sbm import ScenarioScaling
from aggregation.regimes.regimes import Parameters, Regime
from lake.errors import BadInput

SECTION = "frtb_sa"
Claim = Literal[
    "face",
    "bond_forward",
    "bond_future",
    "protection",
    "share",
    "share_forward",
    "share_future",
    "share_option",
    "share_digital",
    "share_barrier",
    "unknown",
]


class Scenarios(Parameters):
    """How correlations are scaled."""

    high_multiplier: float
    high_cap: float
    low_multiplier: float
    low_slope: float
    low_shift: float

    @property
    def scaling(self) -> ScenarioScaling:
        """As the kernel takes it."""
        return ScenarioScaling(self.high_multiplier, self.high_cap, self.low_multiplier, self.low_slope, self.low_shift)


class Shifts(Parameters):
    """What sensitivities are measured by."""

    rate: float = Field(gt=0)
    spread: float = Field(gt=0)
    price: float = Field(gt=0)
    volatility: float = Field(gt=0)


class _Tenors(Parameters):
    tenors: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.tenors) != sorted(set(self.tenors)):
            raise ValueError("tenors are in ascending order, each once")
        return self


class Girr(_Tenors):
    """General interest rate risk."""

    weights: tuple[float, ...]
    inflation: float
    cross_currency_basis: float
    liquid_currencies: tuple[str, ...]
    liquid_divisor_squared: float = Field(gt=0)
    other_curve: float
    decay: float
    floor: float
    inflation_correlation: float
    basis_correlation: float
    across_buckets: float

    @model_validator(mode="after")
    def _a_weight_each(self) -> Self:
        if len(self.weights) != len(self.tenors):
            raise ValueError(f"there are {len(self.tenors)} tenors and {len(self.weights)} weights")
        return self


class _Bucketed(Parameters):
    buckets: tuple[str, ...]
    weights: tuple[float, ...]

    @model_validator(mode="after")
    def _weight_each(self) -> Self:
        if len(self.weights) != len(self.buckets):
            raise ValueError(f"there are {len(self.buckets)} buckets and {len(self.weights)} weights")
        return self

    def weight(self, bucket: str) -> float:
        """The risk weight of a bucket."""
        return self.weights[self.buckets.index(bucket)]


class Csr(_Bucketed, _Tenors):
    """Credit spread risk, non-securitisations."""

    name: float
    index_name: float
    tenor: float
    basis: float
    other_bucket: str
    index_buckets: tuple[str, ...]
    across_qualities: float
    sectors: tuple[str, ...]
    qualities: tuple[str, ...]
    sector_names: tuple[str, ...]
    across_sectors: tuple[tuple[float, ...], ...]
    bucket_of: dict[str, dict[Literal["IG", "HY"], str]]

    @model_validator(mode="after")
    def _symmetric(self) -> Self:
        table, n = self.across_sectors, len(self.sector_names)
        if len(table) != n or any(len(row) != n for row in table):
            raise ValueError(f"across_sectors is not {n} x {n}, as there are sector_names")
        if any(table[i][j] != table[j][i] for i in range(n) for j in range(i)):
            raise ValueError("across_sectors is not symmetric")
        return self

    def across(self, one: str, two: str) -> float:
        """Correlation of two different buckets."""
        i, j = self.buckets.index(one), self.buckets.index(two)
        qualities = {self.qualities[i], self.qualities[j]}
        a, b = (self.sector_names.index(self.sectors[k]) for k in (i, j))
        of_quality = self.across_qualities if qualities == {"IG", "HY"} else 1.0
        return self.across_sectors[a][b] * of_quality


class Equity(_Bucketed):
    """Equity risk."""

    repo_divisor: float = Field(gt=0)
    names: tuple[float, ...]
    repo: float
    other_bucket: str
    index_buckets: tuple[str, ...]
    across_buckets: float
    across_indices: float
    across_index_and_sector: float
    across_other: float
    bucket_of: dict[str, dict[str, str]]
    index_bucket_of: dict[str, str]

    def across(self, one: str, two: str) -> float:
        """Correlation of two different buckets."""
        if self.other_bucket in (one, two):
            return self.across_other
        indices = (one in self.index_buckets) + (two in self.index_buckets)
        return (self.across_buckets, self.across_index_and_sector, self.across_indices)[indices]


class Commodity(_Bucketed, _Tenors):
    """Commodity risk."""

    names: tuple[float, ...]
    tenor: float
    basis: float
    other_bucket: str
    across_buckets: float
    across_other: float
    bucket_of: dict[str, str]

    def across(self, one: str, two: str) -> float:
        """Correlation of two different buckets."""
        return self.across_other if self.other_bucket in (one, two) else self.across_buckets


class Fx(Parameters):
    """Foreign exchange risk."""

    weight: float
    liquid_currencies: tuple[str, ...]
    liquid_divisor_squared: float = Field(gt=0)
    across_buckets: float
    curvature_divisor: float = Field(gt=0)


class LargeBuckets(Parameters):
    """Equity buckets of large capitalisation and indices."""

    buckets: tuple[str, ...]


class Vega(_Tenors):
    """Vega risk."""

    weight: float
    most: float
    base_horizon: float = Field(gt=0)
    decay: float
    horizons: dict[str, float]
    equity_large_buckets: LargeBuckets

    def weight_of(self, risk_class: str, bucket: str) -> float:
        """The risk weight of a class, for equity of a bucket."""
        key = risk_class
        if risk_class == "equity":
            key = "equity_large" if bucket in self.equity_large_buckets.buckets else "equity_small"
        return min(self.weight * math.sqrt(self.horizons[key] / self.base_horizon), self.most)


class Curvature(Parameters):
    """Curvature risk."""

    correlation_power: float
    least_spread: float


class Instruments(Parameters):
    """Types of contracts by what they are subject to."""

    with_options: tuple[str, ...]
    with_credit_options: tuple[str, ...]


class Drc(Parameters):
    """Default risk."""

    horizon_years: float = Field(gt=0)
    least_maturity_years: float = Field(gt=0)
    equity_maturity_years: dict[Literal["1Y", "3M"], float]
    buckets: tuple[str, ...]
    lgd: dict[Literal["covered", "senior", "non_senior", "equity"], float]
    weights: dict[str, float]
    bucket_of: dict[str, str]
    instruments: dict[str, Claim]


class Rrao(Parameters):
    """Residual risk add-on."""

    exotic: float
    other: float
    instruments: dict[str, Literal["exotic", "other"]]


class FrtbSa(Parameters):
    """The section `frtb_sa` of a regime."""

    rwa_multiplier: float
    not_available: dict[str, str]
    scenarios: Scenarios
    shifts: Shifts
    girr: Girr
    csr: Csr
    equity: Equity
    commodity: Commodity
    fx: Fx
    vega: Vega
    curvature: Curvature
    instruments: Instruments
    drc: Drc
    rrao: Rrao

    def require(self, part: str, regime: Regime) -> None:
        """Raises `BadInput` where the regime prescribes a part of the approach that is not known here."""
        if part in self.not_available:
            raise BadInput(
                f"Regime {regime.label} has no {part} of the standardised approach here: {self.not_available[part]}. Leave that part out "
                f"with parts, or ask for a regime that has it, such as basel."
            )
