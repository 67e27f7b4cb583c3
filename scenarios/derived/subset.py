"""GENERATORS "subset": an existing scenario set that shocks some of its factors only, the others held at their base.

By risk class, so that a class's VaR is a valuation like any other; by name, as a risk factor alone; and by liquidity
horizon, for the cascade of nested sets of
the Basel market risk framework (MAR33.4 to MAR33.12): ES = sqrt(sum_j (ES_T(P, j) sqrt((LH_j - LH_{j-1}) / T))^2), where P, j shocks
only factors whose liquidity horizon is at least LH_j. Contracts that read no shocked factor are not priced again.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lake.arrays import Floats
from lake.errors import BadInput, unknown
from lake.tables import Snapshot
from scenarios.simulated.simulated_levels import SimulatedLevels
from scenarios.store import load_on_market
from scenarios.types import FACTOR_TYPES, FactorIndex, RiskClass, RiskFactor, ScenarioSet

LIQUIDITY_HORIZONS = (10, 20, 40, 60, 120)  # business days


def _one_of_them(days: int) -> int:
    if days not in LIQUIDITY_HORIZONS:
        raise ValueError(f"expected a liquidity horizon of {', '.join(map(str, LIQUIDITY_HORIZONS))} business days")
    return days


# not a Literal: that would refuse the texts of a command line
Horizon = Annotated[int, AfterValidator(_one_of_them)]

_RATES = frozenset(("EUR", "USD", "GBP", "AUD", "JPY", "SEK", "CAD"))
_FX = _RATES | {"CHF", "MXN", "CNY", "NZD", "RUB", "HKD", "SGD", "TRY", "KRW", "ZAR", "INR", "NOK", "BRL"}


class SubsetDefinition(BaseModel):
    """Parameters of narrowing a stored scenario set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["subset"] = "subset"
    market_date: dt.date = Field(description="market date of the set")
    scenario_set: str = Field(
        description="name or id of the stored set; of a name the newest version on the market date"
    )
    risk_classes: tuple[RiskClass, ...] = Field((), description="shock only factors of these risk classes; default all")
    liquidity_horizon: Horizon | None = Field(
        None, description="shock only factors whose liquidity horizon is at least so many business days"
    )
    factors: tuple[str, ...] = Field((), description="shock only these risk factors, by id; default all")
    with_factors_of: str | None = Field(
        None,
        description="another stored set on the same market: its factors that this set lacks, such as those without history in a period of "
        "stress, are in it too and keep their base",
    )
    horizons: dict[str, Horizon] = Field(
        default_factory=dict,
        description="risk factor id or type to its liquidity horizon, instead of the rule's; an id goes first",
    )
    domestic: str | None = Field(
        None, pattern="^[A-Z]{3}$", description="currency whose rates count among the specified ones besides the rule's"
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.risk_classes or self.factors) and self.liquidity_horizon is None:
            raise ValueError(
                "give risk_classes, factors, liquidity_horizon or several: without any of them nothing is held"
            )
        return self


def regulatory_horizon(factor: RiskFactor, index: FactorIndex, domestic: str | None = None) -> int:
    """Business days of the factor's liquidity horizon by MAR33.12, told from its type, currency and attributes.

    Attributes read: `cap` = small, `rating` = HY, `issuer` = sovereign, `sector` of a commodity, and `asset` of a volatility.
    Without them a share counts as large cap, a spread as investment-grade corporate and a commodity as one of the others.

    The rule of this method alone, which stored definitions replay by. Capital goes by the table of the regime and by classifications
    (`aggregation.regulatory.liquidity_horizons`), and names the factors of each subset.
    """
    attributes = dict(factor.attributes)
    if factor.risk_class is RiskClass.EQUITY:
        return 20 if attributes.get("cap") == "small" else 10
    if factor.risk_class is RiskClass.RATES:
        return 10 if factor.currency in _RATES | {domestic} else 20
    if factor.risk_class is RiskClass.FX:
        return 10 if {factor.risk_factor_id[-6:-3], factor.risk_factor_id[-3:]} <= _FX else 20
    if factor.risk_class is RiskClass.CREDIT:
        worse = 20 if attributes.get("rating") == "HY" else 0
        return (20 if attributes.get("issuer") == "sovereign" else 40) + worse
    if factor.risk_class is RiskClass.COMMODITY:
        return 20 if attributes.get("sector") in ("Energy", "Carbon", "Metals", "Precious metals") else 60
    asset = attributes.get("asset", "")
    kind = index.factors[index.row[asset]].risk_class if asset in index.row else None
    if kind is RiskClass.EQUITY or (kind is None and asset.partition(":")[0] in ("EQ", "IDX")):
        return 20
    if kind is RiskClass.FX or asset.startswith("FX:"):
        return 40
    if kind is RiskClass.CREDIT or asset.startswith("CR:"):
        return 120
    return 60


def liquidity_horizons(index: FactorIndex, definition: SubsetDefinition) -> tuple[int, ...]:
    """The liquidity horizon of every factor; raises `BadInput` for a name in `horizons` that is no factor and no type."""
    given = definition.horizons
    for name in given:
        if name not in index.row and name not in FACTOR_TYPES:
            raise unknown("risk factor id or type", name, [*FACTOR_TYPES, *index.row], pointer="horizons")
    return tuple(
        given.get(f.risk_factor_id) or given.get(f.type) or regulatory_horizon(f, index, definition.domestic)
        for f in index.factors
    )


def generate(snapshot: Snapshot, definition: SubsetDefinition, name: str) -> ScenarioSet:
    """The set of the definition: labels, weights and base of the source; factors outside of the subset keep their base.

    Raises `BadInput` where no shocked factor is left.
    """
    source = load_on_market(snapshot, definition.scenario_set, definition.market_date)
    if definition.with_factors_of is not None:
        source = _with_others(source, load_on_market(snapshot, definition.with_factors_of, definition.market_date))
    classes = definition.risk_classes or tuple(RiskClass)
    for f in definition.factors:
        if f not in source.index.row:
            raise unknown(f"risk factor of {source.name}", f, source.index.row, pointer="factors")
    named = frozenset(definition.factors or source.index.row)
    least = definition.liquidity_horizon or 0
    days = liquidity_horizons(source.index, definition)
    kept = np.array(
        [
            f.risk_class in classes and d >= least and f.risk_factor_id in named
            for f, d in zip(source.index.factors, days, strict=True)
        ]
    )
    shocked = source.shocked & kept
    if not shocked.any():
        there = sorted(
            {f"{f.risk_class} {d}" for f, d, s in zip(source.index.factors, days, source.shocked, strict=True) if s}
        )
        raise BadInput(
            f"{source.name} shocks no factor of the subset. Its shocked factors, by risk class and liquidity horizon: {', '.join(there)}."
        )
    return dataclasses.replace(
        source,
        scenario_set_id="",
        name=name,
        method=definition.method,
        definition={
            **_said(definition),
            "scenario_set": source.scenario_set_id,
            "source_definition": source.definition.get("source_definition", dict(source.definition)),
        },
        levels=_held(source, kept),
        shocked=shocked,
        version=0,
    )


_LATER = ("factors", "with_factors_of")  # parameters that sets made before have not: left out where they say nothing


def _said(definition: SubsetDefinition) -> dict[str, Any]:
    said = definition.model_dump(mode="json")
    return {name: value for name, value in said.items() if value or name not in _LATER}


def _with_others(source: ScenarioSet, other: ScenarioSet) -> ScenarioSet:
    """The source with the factors that the other set alone has, unshocked, at their base there."""
    if isinstance(source.levels, SimulatedLevels):
        raise BadInput(
            f"{source.name} holds no levels, they are drawn when they are read: with_factors_of is for sets of past moves."
        )
    row = source.index.row
    more = [i for i, f in enumerate(other.index.factors) if f.risk_factor_id not in row]
    if not more:
        return source
    index = FactorIndex.of([*source.index.factors, *(other.index.factors[i] for i in more)])
    base = np.concatenate([source.base, other.base[more]])
    levels = np.vstack([np.asarray(source.levels), np.repeat(other.base[more][:, None], source.n_scenarios, axis=1)])
    ids = [f.risk_factor_id for f in (*source.index.factors, *(other.index.factors[i] for i in more))]
    order = np.array([ids.index(f.risk_factor_id) for f in index.factors])
    there = {*index.row}
    return dataclasses.replace(
        source,
        index=index,
        base=base[order],
        levels=levels[order],
        shocked=np.concatenate([source.shocked, np.zeros(len(more), np.bool_)])[order],
        excluded={f: why for f, why in source.excluded.items() if f not in there},
    )


def _held(source: ScenarioSet, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats | SimulatedLevels:
    """The source's levels with the other factors at their base; of generated levels the calibration is held still."""
    levels = source.levels
    if isinstance(levels, SimulatedLevels):
        still = np.where(kept, 1.0, 0.0)
        return SimulatedLevels(
            levels.process,
            levels.base,
            levels.shift_types,
            levels.drift * still,
            levels.loadings * still[:, None],
            levels.moves * still[:, None],
        )
    return np.where(kept[:, None], np.asarray(levels), source.base[:, None])
