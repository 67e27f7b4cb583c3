"""Which class and which liquidity horizon a risk factor has by a regime's table (MAR33.12), told from its type,
currency and classification.

A factor that nobody classified takes the longest horizon of its kind, and is named: a lack of reference data lowers no capital.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aggregation.exposure.reference import Classification
from aggregation.regimes.ima_parameters import FxHorizons, HorizonRules
from scenarios.types import FactorIndex, RiskClass, RiskFactor

CLASSES = (RiskClass.RATES, RiskClass.EQUITY, RiskClass.FX, RiskClass.COMMODITY, RiskClass.CREDIT)  # MAR33.14


@dataclass(frozen=True)
class Horizon:
    """risk_class : of the five that a partial ES is of; a volatility is of its underlying's. days : business days. why : the line of the
    table. classified : whether nothing had to be assumed."""

    risk_class: RiskClass
    days: int
    why: str
    classified: bool = True


def horizons_of(
    index: FactorIndex, rules: HorizonRules, classifications: Mapping[str, Classification], domestic: str
) -> tuple[Horizon, ...]:
    """The horizon of every factor, in the order of the index. `domestic` : currency whose rates are specified ones too."""
    return tuple(horizon_of(f, index, rules, classifications, domestic) for f in index.factors)


def horizon_of(
    factor: RiskFactor,
    index: FactorIndex,
    rules: HorizonRules,
    classifications: Mapping[str, Classification],
    domestic: str,
) -> Horizon:
    """The class and horizon of one factor."""
    if factor.risk_class is RiskClass.VOLATILITY:
        return _volatility(factor, index, rules, classifications)
    if factor.risk_class is RiskClass.RATES:
        return _rates(factor, rules, domestic)
    if factor.risk_class is RiskClass.FX:
        pair = factor.risk_factor_id[-6:]
        good = is_specified(pair, rules.fx)
        days = rules.fx.specified if good else rules.fx.other_pairs
        return Horizon(RiskClass.FX, days, "FX rate: specified pair" if good else "FX rate: other pair")
    if factor.risk_class is RiskClass.CREDIT:
        return _credit(factor, rules, classifications)
    if factor.risk_class is RiskClass.EQUITY:
        return _equity(factor, rules, classifications)
    return _commodity(factor, rules, classifications)


def is_specified(pair: str, rules: FxHorizons) -> bool:
    """Whether a pair, either way round, is in the list or, where the rules count them, a cross of two that share a currency."""
    listed = {frozenset((p[:3], p[3:])) for p in rules.pairs}
    one, two = pair[:3], pair[3:]
    if frozenset((one, two)) in listed:
        return True
    between = {c for p in listed for c in p}
    return rules.crosses and any({frozenset((one, c)), frozenset((c, two))} <= listed for c in between)


def _found(
    factor: RiskFactor, classifications: Mapping[str, Classification], *more: str
) -> tuple[Classification | None, dict[str, str]]:
    """The classification of a factor, by its id, its curve, its name or `more` names; and its own attributes."""
    given = dict(factor.attributes)
    names = (factor.risk_factor_id, factor.curve or "", factor.risk_factor_id.partition(":")[2], factor.name, *more)
    return next((classifications[n] for n in names if n in classifications), None), given


def _said(found: Classification | None, field: str, given: Mapping[str, str], attribute: str) -> Any:
    return (getattr(found, field) if found is not None else None) or given.get(attribute)


def _rates(factor: RiskFactor, rules: HorizonRules, domestic: str) -> Horizon:
    r = rules.rates
    if factor.type in r.other_types:
        return Horizon(RiskClass.RATES, r.other, "interest rate: other type")
    if factor.currency in (*r.currencies, domestic):
        return Horizon(RiskClass.RATES, r.specified, "interest rate: specified currency")
    return Horizon(RiskClass.RATES, r.other_currencies, "interest rate: other currency")


def _credit(factor: RiskFactor, rules: HorizonRules, classifications: Mapping[str, Classification]) -> Horizon:
    r = rules.credit
    if factor.type in r.other_types:
        return Horizon(RiskClass.CREDIT, r.other, "credit: other type")
    found, given = _found(factor, classifications)
    sector, rating = _said(found, "sector", given, "issuer"), _said(found, "rating", given, "rating")
    sovereign = sector in r.sovereign_sectors
    good = rating in (*r.investment_grade, "IG")
    days = {
        (True, True): r.sovereign_investment_grade,
        (True, False): r.sovereign_high_yield,
        (False, True): r.corporate_investment_grade,
        (False, False): r.corporate_high_yield,
    }[sovereign, good]
    who, grade = "sovereign" if sovereign else "corporate", "investment grade" if good else "high yield"
    return Horizon(RiskClass.CREDIT, days, f"credit spread: {who}, {grade}", rating is not None)


def _large(factor: RiskFactor, classifications: Mapping[str, Classification], *more: str) -> tuple[bool, bool]:
    """Whether a share or an index is of large capitalisation, and whether that is said. An index is large unless it is said to be small."""
    found, given = _found(factor, classifications, *more)
    size = _said(found, "capitalisation", given, "cap")
    index = factor.type == "index_level"
    return size == "large" or (index and size is None), size is not None or index


def _equity(factor: RiskFactor, rules: HorizonRules, classifications: Mapping[str, Classification]) -> Horizon:
    r = rules.equity
    if factor.type in r.other_types:
        return Horizon(RiskClass.EQUITY, r.other, "equity: other type")
    large, said = _large(factor, classifications)
    return Horizon(RiskClass.EQUITY, r.large_cap if large else r.small_cap, f"equity price: {_cap(large)}", said)


def _cap(large: bool) -> str:
    return "large capitalisation" if large else "small capitalisation"


def _group(factor: RiskFactor, rules: HorizonRules, classifications: Mapping[str, Classification]) -> str | None:
    """energy_carbon, metals or other; None where it is not said."""
    r = rules.commodity
    found, _ = _found(factor, classifications)
    group = None if found is None else found.commodity_group
    if group is None:
        return None
    if group in r.energy_carbon_groups:
        return "energy_carbon"
    return "metals" if group in r.metals_groups else "other"


def _commodity(factor: RiskFactor, rules: HorizonRules, classifications: Mapping[str, Classification]) -> Horizon:
    r = rules.commodity
    if factor.type in r.other_types:
        return Horizon(RiskClass.COMMODITY, r.other, "commodity: other type")
    group = _group(factor, rules, classifications)
    days = {"energy_carbon": r.energy_carbon, "metals": r.metals}.get(group or "", r.other_price)
    return Horizon(
        RiskClass.COMMODITY, days, f"commodity price: {(group or 'other').replace('_', ' and ')}", group is not None
    )


_PREFIXES = {
    "EQ": RiskClass.EQUITY,
    "IDX": RiskClass.EQUITY,
    "FX": RiskClass.FX,
    "CR": RiskClass.CREDIT,
    "CMD": RiskClass.COMMODITY,
}
_RATES_VOLATILITIES = ("normal_vol",)


def _namesake(factor: RiskFactor, index: FactorIndex) -> str:
    """The price, index or rate that a volatility without `asset` has the name of: EQ:AAA for IV:AAA; empty where there is none."""
    name = factor.risk_factor_id.partition(":")[2]
    return next((f"{p}:{name}" for p in _PREFIXES if f"{p}:{name}" in index.row), "")


def _volatility(
    factor: RiskFactor, index: FactorIndex, rules: HorizonRules, classifications: Mapping[str, Classification]
) -> Horizon:
    """The volatility of what the attribute `asset` names, a factor or the name of one that is not at hand; of rates where it names none."""
    asset = dict(factor.attributes).get("asset") or _namesake(factor, index)
    of = index.factors[index.row[asset]] if asset in index.row else None
    kind = of.risk_class if of is not None else _PREFIXES.get(asset.partition(":")[0], RiskClass.RATES)
    if factor.type in _RATES_VOLATILITIES and of is None:
        kind = RiskClass.RATES
    if kind is RiskClass.FX:
        return Horizon(kind, rules.fx.volatility, "FX: volatility")
    if kind is RiskClass.CREDIT:
        return Horizon(kind, rules.credit.volatility, "credit spread: volatility")
    if kind is RiskClass.EQUITY:
        large, said = _large(of or factor, classifications, asset, asset.partition(":")[2])
        days = rules.equity.volatility_large_cap if large else rules.equity.volatility_small_cap
        return Horizon(kind, days, f"equity price volatility: {_cap(large)}", said)
    if kind is RiskClass.COMMODITY:
        r, group = rules.commodity, _group(of or factor, rules, classifications)
        days = {"energy_carbon": r.volatility_energy_carbon, "metals": r.volatility_metals}.get(
            group or "", r.volatility_other
        )
        return Horizon(
            kind, days, f"commodity volatility: {(group or 'other').replace('_', ' and ')}", group is not None
        )
    return Horizon(RiskClass.RATES, rules.rates.volatility, "interest rate: volatility")
