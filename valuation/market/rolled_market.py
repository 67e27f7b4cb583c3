"""The market rolled forward in time: what it is on a later day when nothing happens but time. Pure.

| market     | spot prices                    | discount curves                    | volatilities, spreads |
|------------|--------------------------------|------------------------------------|-----------------------|
| `forwards` | move to their forward price    | DF(t) becomes DF(T + t) / DF(T)    | stay                  |
| `constant` | stay                           | stay, at constant maturity         | stay                  |

Forward prices: a share or index S exp(-qT) / DF(T) on the curve of its currency, a commodity S exp(cT), an exchange rate by
covered parity S DF_base(T) / DF_quote(T). A spot price whose forward is not known stays, and the set says why.
A scenario's moves are applied onto the rolled base: those of spot prices as ratios, those of yields as differences.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Determination of forward and futures prices".
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput, unknown
from scenarios.store import scenario_set_digest
from scenarios.types import (
    SHARES,
    FactorIndex,
    MissingRiskFactor,
    RiskFactor,
    Roll,
    RolledMarket,
    ScenarioSet,
    tenor_years,
)
from valuation.kernels.quotes import QUOTES
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket, discount_pillars
from valuation.types import InstrumentTerms

UNCHANGED = "unchanged"  # the only scenario of a set in which nothing happens but time


@dataclass(frozen=True)
class Carry:
    """What holding a factor yields or costs beside the discount curves; continuous, fractions a year.

    dividend_yields : by risk factor id of a share or index, zero where absent. costs : cost of carry by risk factor id of a
    commodity, zero where absent. rates : by currency that has no discount curve. curves : discount curve by currency; where
    absent the curve named like the currency, or the only one in it.
    """

    dividend_yields: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {name: dict(sorted(values.items())) for name, values in vars(self).items()}


def carry_of(contracts: Iterable[InstrumentTerms]) -> tuple[Carry, tuple[str, ...]]:
    """The yields the contracts themselves are priced with, and a note for each name on which they disagree.

    There the lower median of the different values is taken: a market has one forward, and some contract is priced off it.
    """
    seen: dict[tuple[str, str], set[float]] = {}
    for t in contracts:
        for table, name, term in (
            ("dividend_yields", "underlying", "dividend_yield"),
            ("costs", "underlying", "carry"),
            ("costs", "second_underlying", "second_carry"),
            ("rates", "base_currency", "base_rate"),
        ):
            value = getattr(t, term, None)
            if value is not None:
                seen.setdefault((table, getattr(t, name)), set()).add(value)
    found: dict[str, dict[str, float]] = {"dividend_yields": {}, "costs": {}, "rates": {}}
    notes = []
    for (table, name), values in sorted(seen.items()):
        found[table][name] = statistics.median_low(values)
        if len(values) > 1:
            given = ", ".join(f"{v:g}" for v in sorted(values)[:5])
            notes.append(
                f"Contracts on {name} are priced with different {table.replace('_', ' ')} ({given}); the market rolls with "
                f"{found[table][name]:g}."
            )
    return Carry(found["dividend_yields"], found["costs"], found["rates"]), tuple(notes)


def roll(scenario_set: ScenarioSet, to: dt.date, market: RolledMarket, carry: Carry) -> ScenarioSet:
    """The set with its base and every scenario rolled from its market date to `to`, not stored; `carry` counts for forwards.

    Its definition says what it was rolled with and which spot prices stay for want of a forward (`unrolled`). Generated
    levels are made whole: at most `scenarios.types.LARGEST_ARRAY` bytes. Raises `BadInput` for a day before the market date,
    a set that is rolled already, and names that the set does not hold.
    """
    since = scenario_set.market_date
    if to < since:
        raise BadInput(f"The market of {since} cannot be rolled back to {to}; give a later day.")
    if scenario_set.roll is not None:
        raise BadInput(
            f"Scenario set {scenario_set.name} is rolled to {scenario_set.roll.to} already; roll the first one."
        )
    _check_names(scenario_set.index, carry)
    base, levels = scenario_set.base, np.asarray(scenario_set.levels)
    unrolled: dict[str, str] = {}
    if market == "forwards":
        origin, years = ScenarioMarket.of(scenario_set, since, stop=0), (to - since).days / DAYS_A_YEAR
        growth, unrolled = _spot_growth(origin, years, carry)
        pillars = _rolled_pillars(origin, years)
        levels = levels * growth[:, None]
        # a level that is not shocked must come out as exactly the base
        for row, level in pillars.items():
            levels[row] = level + (levels[row] - base[row])
        base = base * growth
        base[list(pillars)] = list(pillars.values())
    return dataclasses.replace(
        scenario_set,
        scenario_set_id="",
        name=f"{scenario_set.name}@{to}",
        method="roll",
        definition={
            "method": "roll",
            "market_date": since,
            "to": to,
            "market": market,
            "carry": carry.to_dict(),
            "unrolled": unrolled,
            "rolled_set": scenario_set.scenario_set_id or scenario_set_digest(scenario_set),
            "rolled_definition": dict(scenario_set.definition),
        },
        base=base,
        levels=levels,
        roll=Roll(since, to, market, scenario_set.base),
        version=0,
    )


def still(scenario_set: ScenarioSet) -> ScenarioSet:
    """The base of a set with one scenario, in which no factor moves: rolled, it is theta alone."""
    return dataclasses.replace(
        scenario_set,
        scenario_set_id="",
        name=f"{scenario_set.name}-still",
        method="roll",
        definition={"method": "roll", "market_date": scenario_set.market_date, "market": UNCHANGED},
        labels=(UNCHANGED,),
        levels=scenario_set.base[:, None].copy(),
        shocked=np.zeros(len(scenario_set.base), dtype=np.bool_),
        sample=False,
        weights=None,
        seed=None,
        dropped={},
        proxied={},
        holidays={},
        fitted={},
        derived={},
        horizons=(),
        calibration={},
        version=0,
    )


class RolledBase:
    """The base market of a set rolled to any day from its market date on; each day's market is made once."""

    def __init__(self, scenario_set: ScenarioSet, market: RolledMarket, carry: Carry) -> None:
        self.market_date = scenario_set.market_date
        self._still, self._how, self._carry = still(scenario_set), market, carry
        self.market = functools.cache(self._market)

    def _market(self, day: dt.date) -> ScenarioMarket:
        return ScenarioMarket.of(roll(self._still, day, self._how, self._carry), day, stop=0)


def _check_names(index: FactorIndex, carry: Carry) -> None:
    for risk_factor_id in (*carry.dividend_yields, *carry.costs):
        index.require(risk_factor_id)
    for curve in carry.curves.values():
        discount_pillars(index, curve)
    known = currencies(index)
    for currency in (*carry.rates, *carry.curves):
        if currency not in known:
            raise unknown("currency", currency, known)


def currencies(index: FactorIndex) -> set[str]:
    """Every currency that a factor is in, or exchanges."""
    return {f.currency for f in index.factors} | {c for f in index.factors for c in _pair(f)}


def _pair(factor: RiskFactor) -> tuple[str, ...]:
    return (factor.risk_factor_id[-6:-3], factor.risk_factor_id[-3:]) if factor.type == "fx_rate" else ()


def _spot_growth(origin: ScenarioMarket, years: float, carry: Carry) -> tuple[Floats, dict[str, str]]:
    """Forward over spot price of each factor (n_factors,), 1 for those that stay, and by id why a spot price stays."""

    @functools.cache
    def discount(currency: str) -> float:
        curve = _curve_of(origin.index, currency, carry)
        if curve is not None:
            return float(origin.discount(curve, np.array([years]))[0, 0])
        if currency in carry.rates:
            return math.exp(-carry.rates[currency] * years)
        raise MissingRiskFactor(f"no discount curve in {currency}, and no rate given")

    growth: Floats = np.ones(len(origin.index.factors))
    unrolled = {}
    for row, factor in enumerate(origin.index.factors):
        try:
            if factor.type in SHARES:
                dividends = carry.dividend_yields.get(factor.risk_factor_id, 0.0)
                growth[row] = math.exp(-dividends * years) / discount(factor.currency)
            elif factor.type == "commodity_price":
                growth[row] = math.exp(carry.costs.get(factor.risk_factor_id, 0.0) * years)
            elif factor.type == "fx_rate":
                base, quote = _pair(factor)
                growth[row] = discount(base) / discount(quote)
        except MissingRiskFactor as error:
            unrolled[factor.risk_factor_id] = error.message
    return growth, unrolled


def _curve_of(index: FactorIndex, currency: str, carry: Carry) -> str | None:
    if currency in carry.curves:
        return carry.curves[currency]
    curves = {f.curve for f in index.factors if f.curve and f.currency == currency and f.type in QUOTES}
    return currency if currency in curves else curves.pop() if len(curves) == 1 else None


def _rolled_pillars(origin: ScenarioMarket, years: float) -> dict[int, float]:
    """By row the level that a pillar of a discount curve is quoted at on the rolled curve."""
    levels: dict[int, float] = {}
    if years == 0:
        return levels
    index = origin.index
    for curve in sorted({f.curve for f in index.factors if f.curve and f.type in QUOTES}):
        pillars = discount_pillars(index, curve)
        start = origin.discount(curve, np.array([years]))[0, 0]

        def discount(times: Floats, curve: str = curve, start: float = start) -> Floats:
            return origin.discount(curve, years + times)[:, 0] / start

        quoted = QUOTES[pillars[0].type](discount, np.array([tenor_years(f.pillar or "") for f in pillars]))
        levels |= {index.row[f.risk_factor_id]: level for f, level in zip(pillars, quoted.tolist(), strict=True)}
    return levels
