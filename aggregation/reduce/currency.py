"""Exchange rates of scenario-consistent conversion; what is done with them is `scenarios.kernels.currency`.

Rates are the scenario set's own levels, crosses through a common currency, so that no arbitrage opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lake.arrays import Floats
from scenarios.types import MissingRiskFactor, ScenarioSet


@dataclass(frozen=True)
class Conversion:
    """Prices of one unit of each currency in the reporting currency.

    base : (n_currencies,); scenarios : (n_currencies, n_scenarios); legs : the risk factors read for each currency, with
    power +1 or -1.
    """

    base: Floats
    scenarios: Floats
    legs: dict[str, list[tuple[str, int]]]


def unconverted(n_currencies: int, n_scenarios: int) -> Conversion:
    """For positions that are all in the reporting currency."""
    return Conversion(np.ones(n_currencies), np.ones((n_currencies, n_scenarios)), {})


def at_spot(rates: Conversion) -> Conversion:
    """The same rates, kept at their base in every scenario: P&L is converted, the value is not translated."""
    return Conversion(rates.base, np.repeat(rates.base[:, None], rates.scenarios.shape[1], axis=1), rates.legs)


def conversion(
    scenario_set: ScenarioSet, currencies: Sequence[str], held: Sequence[str], reporting: str, *, fx_moves: bool
) -> Conversion:
    """Rates for `currencies`, those `held` at least; raises `MissingRiskFactor` for a pair the scenario set lacks.

    With `fx_moves` false the valuation did not shock exchange rates, and they keep their base in every scenario.
    """
    n = scenario_set.n_scenarios
    # what is not held stays NaN: a rate used by mistake must not pass for 1
    result = Conversion(np.full(len(currencies), np.nan), np.full((len(currencies), n), np.nan), {})
    for currency in held:
        i = currencies.index(currency)
        base, scenarios = np.float64(1.0), np.ones(n)
        for factor, power in _path(scenario_set, currency, reporting):
            row = scenario_set.index.row[factor]
            levels = scenario_set.levels[row] if fx_moves else np.full(n, scenario_set.base[row])
            base = base * scenario_set.base[row] if power > 0 else base / scenario_set.base[row]
            scenarios = scenarios * levels if power > 0 else scenarios / levels
            result.legs.setdefault(currency, []).append((factor, power))
        result.base[i], result.scenarios[i] = base, scenarios
    return result


def _path(scenario_set: ScenarioSet, currency: str, reporting: str) -> tuple[tuple[str, int], ...]:
    try:
        return scenario_set.index.fx_path(currency, reporting)
    except MissingRiskFactor as error:
        raise MissingRiskFactor(
            f"Positions in {currency} cannot be reported in {reporting}: scenario set {scenario_set.name} of "
            f"{scenario_set.market_date} has no exchange rate between them. Ask in {currency}, or load the rate. {error.message}",
            issues=error.issues,
        ) from None
