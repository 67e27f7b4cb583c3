"""What the internal models of market risk read of a regime: the section `frtb_ima`."""

from __future__ import annotations

import datetime as dt

from aggregation.kernels.backtest_statistics import Zone
from aggregation.kernels.frtb_ima import SesFormula
from aggregation.regimes.regimes import Parameters, Regime

SECTION = "frtb_ima"


class ExpectedShortfall(Parameters):
    level: str
    base_days: int
    scenarios: int
    ratio_floor: float
    reduced_share: float
    reduced_weeks: int
    search_from: dt.date
    unconstrained_share: float


class StressedCapital(Parameters):
    formula: SesFormula
    correlation: float
    least_days: int


class PriceTestRules(Parameters):
    least: int
    period_days: int
    least_in_period: int
    enough: int
    months: int
    buckets: dict[str, tuple[float, ...]]


class RatesHorizons(Parameters):
    currencies: tuple[str, ...]
    specified: int
    other_currencies: int
    volatility: int
    other: int
    other_types: tuple[str, ...]


class CreditHorizons(Parameters):
    sovereign_investment_grade: int
    sovereign_high_yield: int
    corporate_investment_grade: int
    corporate_high_yield: int
    volatility: int
    other: int
    other_types: tuple[str, ...]
    sovereign_sectors: tuple[str, ...]
    investment_grade: tuple[str, ...]


class EquityHorizons(Parameters):
    large_cap: int
    small_cap: int
    volatility_large_cap: int
    volatility_small_cap: int
    other: int
    other_types: tuple[str, ...]


class FxHorizons(Parameters):
    specified: int
    other_pairs: int
    volatility: int
    other: int
    crosses: bool
    pairs: tuple[str, ...]


class CommodityHorizons(Parameters):
    energy_carbon: int
    metals: int
    other_price: int
    volatility_energy_carbon: int
    volatility_metals: int
    volatility_other: int
    other: int
    other_types: tuple[str, ...]
    energy_carbon_groups: tuple[str, ...]
    metals_groups: tuple[str, ...]


class HorizonRules(Parameters):
    lengths: tuple[int, ...]
    rates: RatesHorizons
    credit: CreditHorizons
    equity: EquityHorizons
    fx: FxHorizons
    commodity: CommodityHorizons


class Backtesting(Parameters):
    days: int
    multipliers: tuple[float, ...]
    bank_level: str
    amber_from: float
    red_from: float
    plus_factors: tuple[float, ...]
    desk_limits: dict[str, int]

    def multiplier(self, exceptions: int) -> float:
        """m_c by the number of exceptions; of more than the table has, its last."""
        return self.multipliers[min(exceptions, len(self.multipliers) - 1)]


class AttributionRules(Parameters):
    days: int
    green_correlation: float
    red_correlation: float
    green_distance: float
    red_distance: float

    def zone(self, correlation: float, distance: float) -> Zone:
        """green, amber or red of both figures together (MAR32.42)."""
        if correlation < self.red_correlation or distance > self.red_distance:
            return "red"
        return "green" if correlation > self.green_correlation and distance < self.green_distance else "amber"


class CapitalRules(Parameters):
    average_days: int
    amber_share: float
    risk_weight: float


class DefaultRiskRules(Parameters):
    level: str
    pd_floor: float
    average_weeks: int


class ImaParameters(Parameters):
    """The section as a whole."""

    expected_shortfall: ExpectedShortfall
    stressed_capital: StressedCapital
    price_test: PriceTestRules
    horizons: HorizonRules
    backtesting: Backtesting
    attribution: AttributionRules
    capital: CapitalRules
    default_risk: DefaultRiskRules


def ima_parameters(regime: Regime) -> ImaParameters:
    """The section of a regime; raises `BadInput` that names what it lacks."""
    return regime.section(SECTION, ImaParameters)
