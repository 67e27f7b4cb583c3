"""The market rolled forward in time: what it is on a later day when nothing happens but time. Pure.

| market     | spot prices                    | discount and survival curves       | volatilities, others  |
|------------|--------------------------------|------------------------------------|-----------------------|
| `forwards` | move to their forward price    | DF(t) becomes DF(T + t) / DF(T)    | stay                  |
| `constant` | stay                           | stay, at constant maturity         | stay                  |

A survival curve S rolls as a discount curve does: S(T + t) / S(T) is the probability given that the name has not defaulted by then.

Forward prices: a share or index S exp(-qT) / DF(T) on the curve of its currency, less the cash dividends that it pays by then where a
contract is priced with them, a commodity S exp(cT), an exchange rate by
covered parity S DF_base(T) / DF_quote(T). A spot price whose forward is not known stays, and the set says why.
A curve of quotes of instruments is quoted anew: at what each instrument, begun on the later day, is worth nothing.
A scenario's moves are applied onto the rolled base: those of spot prices as ratios, those of yields as differences.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Determination of forward and futures prices".
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput, VarlakeError, unknown
from scenarios.market.base_market import BaseMarket
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
from valuation.market import credit_curves
from valuation.market.dividends import going_ex
from valuation.market.quoted_curves import QUOTED, quoted_curve
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket, discount_pillars, is_quoted
from valuation.types import InstrumentTerms, NotValuable

UNCHANGED = "unchanged"  # the only scenario of a set in which nothing happens but time


@dataclass(frozen=True)
class Carry:
    """What holding a factor yields or costs beside the discount curves; continuous, fractions a year.

    dividend_yields : by risk factor id of a share or index, zero where absent. costs : cost of carry by risk factor id of a
    commodity, zero where absent. rates : by currency that has no discount curve. curves : discount curve by currency; where
    absent the curve named like the currency, or the only one in it. cash_dividends : ids of the shares that pay the market's own
    dividends, and fall by each on its ex-date.
    """

    dividend_yields: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, str] = field(default_factory=dict)
    cash_dividends: frozenset[str] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        maps = {
            name: dict(sorted(values.items())) for name, values in vars(self).items() if isinstance(values, Mapping)
        }
        return {**maps, **({"cash_dividends": sorted(self.cash_dividends)} if self.cash_dividends else {})}


def carry_of(contracts: Iterable[InstrumentTerms]) -> tuple[Carry, tuple[str, ...]]:
    """The yields the contracts themselves are priced with, and a note for each name on which they disagree.

    There the lower median of the different values is taken: a market has one forward, and some contract is priced off it.
    """
    seen: dict[tuple[str, str], set[float]] = {}
    with_cash: dict[str, set[bool]] = {}
    for t in contracts:
        if getattr(t, "dividend_model", None) or getattr(t, "cash_dividends", None):
            with_cash.setdefault(t.underlying, set()).add(True)  # type: ignore[attr-defined]
        elif getattr(t, "dividend_yield", None) is not None:
            with_cash.setdefault(t.underlying, set()).add(False)  # type: ignore[attr-defined]
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
    cash = frozenset(name for name, models in with_cash.items() if True in models)
    notes += [
        f"Some contracts on {name} name its cash dividends and some do not; the market rolls with them."
        for name in sorted(cash)
        if False in with_cash[name]
    ]
    return Carry(found["dividend_yields"], found["costs"], found["rates"], cash_dividends=cash), tuple(notes)


def roll(scenario_set: ScenarioSet, to: dt.date, market: RolledMarket, carry: Carry) -> ScenarioSet:
    """The set with its base and every scenario rolled from its market date to `to`, not stored; `carry` counts for forwards.

    Its definition says what it was rolled with and which levels stay for want of a forward (`unrolled`). Generated
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
        origin = ScenarioMarket.of(scenario_set, since, stop=0)
        growth, unrolled = _spot_growth(origin, to, carry)
        pillars, unquoted = _rolled_pillars(origin, to)
        unrolled |= unquoted
        pillars |= _rolled_credit(origin, to, unrolled)
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
        of_book=True,  # the carry is of the terms that are held
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


def still_market(market: BaseMarket) -> ScenarioSet:
    """The market of a date as a set in which nothing happens."""
    n = len(market.base)
    return still(
        ScenarioSet(
            scenario_set_id="",
            name="market",
            method="roll",
            market_date=market.market_date,
            definition={},
            index=market.index,
            labels=(),
            base=market.base,
            levels=np.empty((n, 0)),
            shocked=np.zeros(n, dtype=np.bool_),
            excluded=market.excluded,
            held=market.held,
            market_data_version=market.market_data_version,
        )
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
    for risk_factor_id in (*carry.dividend_yields, *carry.costs, *carry.cash_dividends):
        index.require(risk_factor_id)
    for curve in carry.curves.values():
        discount_pillars(index, curve)
    known = currencies(index)
    for currency in (*carry.rates, *carry.curves):
        if currency not in known:
            raise unknown("currency", currency, known)


def currencies(index: FactorIndex) -> set[str]:
    """Every currency that a factor is in, or exchanges."""
    return set().union(*map(currencies_of, index.factors))


def currencies_of(factor: RiskFactor) -> set[str]:
    """That a factor is in, and those that it exchanges."""
    return {factor.currency, *_pair(factor)}


def _pair(factor: RiskFactor) -> tuple[str, ...]:
    return (factor.risk_factor_id[-6:-3], factor.risk_factor_id[-3:]) if factor.type == "fx_rate" else ()


def _spot_growth(origin: ScenarioMarket, to: dt.date, carry: Carry) -> tuple[Floats, dict[str, str]]:
    """Forward over spot price of each factor (n_factors,), 1 for those that stay, and by id why a spot price stays."""
    since = origin.valuation_date
    years = (to - since).days / DAYS_A_YEAR

    @functools.cache
    def discount(currency: str, time: float = years) -> float:
        curve = curve_of(origin.index, currency, carry)
        if curve is not None:
            return float(origin.discount(curve, np.array([time]))[0, 0])
        if currency in carry.rates:
            return math.exp(-carry.rates[currency] * time)
        raise MissingRiskFactor(f"no discount curve in {currency}, and no rate given")

    growth: Floats = np.ones(len(origin.index.factors))
    unrolled = {}
    for row, factor in enumerate(origin.index.factors):
        try:
            if factor.type in SHARES:
                dividends = carry.dividend_yields.get(factor.risk_factor_id, 0.0)
                growth[row] = math.exp(-dividends * years) / discount(factor.currency)
                if factor.risk_factor_id in carry.cash_dividends:
                    for day, paid in going_ex(origin.index, factor.risk_factor_id, since, to):
                        ex = (day - since).days / DAYS_A_YEAR
                        left = math.exp(-dividends * (years - ex)) * discount(factor.currency, ex)
                        amount = float(origin.level(paid)[0] / origin.level(factor.risk_factor_id)[0])
                        growth[row] -= amount * left / discount(factor.currency)
            elif factor.type == "commodity_price":
                growth[row] = math.exp(carry.costs.get(factor.risk_factor_id, 0.0) * years)
            elif factor.type == "fx_rate":
                base, quote = _pair(factor)
                growth[row] = discount(base) / discount(quote)
        except MissingRiskFactor as error:
            unrolled[factor.risk_factor_id] = error.message
    return growth, unrolled


def curve_of(index: FactorIndex, currency: str, carry: Carry) -> str | None:
    """The discount curve of a currency: the one given, the one named like it, or its only one; None where there is none."""
    if currency in carry.curves:
        return carry.curves[currency]
    curves = rate_curves(index, currency)
    return currency if currency in curves else curves.pop() if len(curves) == 1 else None


def rate_curves(index: FactorIndex, currency: str) -> set[str]:
    """The curves of rates in a currency."""
    return {f.curve for f in index.factors if f.curve and f.currency == currency and f.type in (*QUOTES, *QUOTED)}


def _rolled_pillars(origin: ScenarioMarket, to: dt.date) -> tuple[dict[int, float], dict[str, str]]:
    """By row the level that a pillar of a discount curve is quoted at on the rolled curve, and by id why a pillar stays."""
    levels: dict[int, float] = {}
    unrolled: dict[str, str] = {}
    years = (to - origin.valuation_date).days / DAYS_A_YEAR
    if years == 0:
        return levels, unrolled
    index = origin.index

    def discount(curve: str, times: Floats) -> Floats:
        forward: Floats = origin.discount(curve, years + times)[:, 0] / origin.discount(curve, np.array([years]))[0, 0]
        return forward

    for curve in sorted({f.curve for f in index.factors if f.curve and f.type in (*QUOTES, *QUOTED)}):
        pillars = discount_pillars(index, curve)
        try:
            if is_quoted(pillars):
                made = quoted_curve(index, curve, to)
                pillars, quoted = made.pillars, made.quotes(lambda c, days: discount(c, days / DAYS_A_YEAR))
            else:
                times = np.array([tenor_years(f.pillar or "") for f in pillars])
                quoted = QUOTES[pillars[0].type](functools.partial(discount, curve), times)
        except (NotValuable, MissingRiskFactor) as error:  # and so do the contracts that read it
            unrolled |= {f.risk_factor_id: error.message for f in pillars}
            continue
        levels |= {index.row[f.risk_factor_id]: level for f, level in zip(pillars, quoted.tolist(), strict=True)}
    return levels, unrolled


def _rolled_credit(origin: ScenarioMarket, to: dt.date, unrolled: dict[str, str]) -> dict[int, float]:
    """By row the level that a pillar of a credit curve is quoted at on the rolled curve; those that stay are `unrolled`."""
    levels: dict[int, float] = {}
    if to == origin.valuation_date:
        return levels
    index, years = origin.index, (to - origin.valuation_date).days / DAYS_A_YEAR
    for curve in sorted({f.curve for f in index.factors if f.curve and f.type in credit_curves.TYPES}):
        pillars = index.curve(curve)
        try:
            quoted = credit_curves.credit_curve(index, curve, origin.valuation_date).quoted
            survival, discount = _ahead(origin.survival, curve, years), None
            nodes, recovery = origin.nodes(curve) - years, 0.0
            if quoted:
                discount = _ahead(origin.discount, quoted.discount_curve, years)
                nodes = np.append(nodes, origin.nodes(quoted.discount_curve) - years)
                recovery = float(credit_curves.recoveries(origin, [quoted.recovery])[0, 0])
            rolled = credit_curves.quotes(index, curve, to, survival, discount, nodes, recovery)
        except VarlakeError as error:
            unrolled |= {f.risk_factor_id: error.message for f in pillars}
            continue
        levels |= {index.row[f.risk_factor_id]: level for f, level in zip(pillars, rolled.tolist(), strict=True)}
    return levels


def _ahead(factors: Callable[[str, Floats], Floats], curve: str, years: float) -> Callable[[Floats], Floats]:
    """The factors of a base curve at times from `years` on, as seen from there."""

    def seen(times: Floats) -> Floats:
        both = factors(curve, np.append(years, years + times))[:, 0]
        ratios: Floats = both[1:] / both[0]
        return ratios

    return seen
