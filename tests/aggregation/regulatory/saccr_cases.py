"""Netting sets of rows of SA-CCR as tests give them: the worked examples of CRE99, and what computes them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregation.kernels.sa_ccr import (
    ABSOLUTE,
    COMMODITY,
    CREDIT,
    EQUITY,
    FX,
    INTEREST_RATE,
    LINEAR,
    MATURITIES,
    OPTION,
    SYSTEMATIC,
)
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.sa_ccr.classing import UnitRows
from aggregation.regulatory.sa_ccr.parameters import SaCcr
from aggregation.regulatory.sa_ccr.portfolio import Entity, Exposures, Hedging, Margins, Portfolio, Position, portfolio
from aggregation.regulatory.sa_ccr.rows import Row

BASEL = regime_of("basel@2023", dt.date(2024, 1, 2), None).section("sa_ccr", SaCcr)
NAN = math.nan


@dataclass(frozen=True)
class Trade:
    """A row, the value of its trade and its netting set."""

    row: Row
    value: float = 0.0
    netting_set: int = 0
    quantity: float = 1.0


def row(
    asset_class: int,
    hedging_set: str,
    entity: str,
    notional: float,
    maturity: float,
    direction: float = 1.0,
    *,
    start: float = 0.0,
    end: float = NAN,
    factor: float = 0.0,
    correlation: float = 0.0,
    option: tuple[float, float, float, float] | None = None,
    volatility: float = 0.5,
) -> Row:
    """A row; option : call +1 or put -1, P, K and T. Of rates the bucket follows from `end`."""
    form = {INTEREST_RATE: MATURITIES, FX: ABSOLUTE}.get(asset_class, SYSTEMATIC)
    place = 0 if asset_class != INTEREST_RATE or end < 1.0 else 1 if end <= 5.0 else 2
    call, price, strike, expiry = option or (0.0, 0.0, 0.0, 0.0)
    return Row(
        asset_class,
        hedging_set,
        entity,
        form,
        factor,
        correlation,
        place,
        OPTION if option else LINEAR,
        direction * (call if option else 1.0),
        call,
        price,
        strike,
        expiry,
        volatility if option else 0.0,
        "",
        notional,
        start,
        end,
        maturity,
    )


def rate(currency: str, notional: float, end: float, direction: float = 1.0, **how: object) -> Row:
    maturity = float(how.pop("maturity", end))  # type: ignore[arg-type]
    factor = float(how.pop("factor", 0.005))  # type: ignore[arg-type]
    return row(INTEREST_RATE, currency, "", notional, maturity, direction, end=end, factor=factor, **how)  # type: ignore[arg-type]


def pair(name: str, notional: float, maturity: float, direction: float = 1.0) -> Row:
    return row(FX, name, name, notional, maturity, direction, factor=0.04)


def credit(name: str, notional: float, end: float, direction: float, factor: float, correlation: float = 0.5) -> Row:
    return row(CREDIT, "credit", name, notional, end, direction, end=end, factor=factor, correlation=correlation)


def equity(name: str, notional: float, maturity: float, direction: float = 1.0) -> Row:
    return row(EQUITY, "equity", name, notional, maturity, direction, factor=0.32, correlation=0.5)


def commodity(hedging_set: str, name: str, notional: float, maturity: float, direction: float = 1.0) -> Row:
    return row(COMMODITY, hedging_set, name, notional, maturity, direction, factor=0.18, correlation=0.4)


K = 1000.0  # the examples are in thousands
EXAMPLE_1 = (
    Trade(rate("USD", 10_000 * K, 10.0), 30 * K),
    Trade(rate("USD", 10_000 * K, 4.0, -1.0), -20 * K),
    Trade(rate("EUR", 5_000 * K, 11.0, start=1.0, option=(-1.0, 0.06, 0.05, 1.0)), 50 * K),
)
EXAMPLE_2 = (
    Trade(credit("Firm A", 10_000 * K, 3.0, 1.0, 0.0038), 20 * K),
    Trade(credit("Firm B", 10_000 * K, 6.0, -1.0, 0.0054), -40 * K),
    Trade(credit("CDX.IG", 10_000 * K, 5.0, 1.0, 0.0038, 0.8), 0.0),
)
EXAMPLE_3 = (
    Trade(commodity("energy", "crude oil", 10_000 * K, 0.75), -50 * K),
    Trade(commodity("energy", "crude oil", 20_000 * K, 2.0, -1.0), -30 * K),
    Trade(commodity("metals", "silver", 10_000 * K, 5.0), 100 * K),
)


def units(trades: Sequence[Trade], parameters: SaCcr = BASEL) -> UnitRows:
    starts = np.arange(len(trades) + 1)
    return UnitRows.of(tuple(t.row for t in trades), starts, {}, parameters.rules, {})


def held(trades: Sequence[Trade], margins: Margins | None = None, parameters: SaCcr = BASEL) -> Portfolio:
    """The portfolio of trades, each of one row."""
    made = units(trades, parameters)
    entities = sorted({Entity.of(t.row) for t in trades})
    of = np.array([entities.index(Entity.of(t.row)) for t in trades], dtype=np.int32)
    sets = np.array([t.netting_set for t in trades], dtype=np.int32)
    n = 1 + max((t.netting_set for t in trades), default=0)
    quantity = np.array([t.quantity for t in trades])
    values = np.array([t.value for t in trades])
    notional = made.notional * quantity
    return portfolio(parameters, entities, sets, of, notional, made.factor, sets, values, margins or Margins.none(n))


def exposures(trades: Sequence[Trade], margins: Margins | None = None, parameters: SaCcr = BASEL) -> Exposures:
    return held(trades, margins, parameters).exposures()


def positions(trades: Sequence[Trade], sign: float = 1.0) -> list[Position]:
    made = units(trades)
    return [
        Position(Entity.of(t.row), sign * float(made.notional[i] * t.quantity), float(made.factor[i]))
        for i, t in enumerate(trades)
    ]


def margined(collateral: float, least: float, period: float) -> Margins:
    """The margins of one netting set under a margin agreement."""
    return Margins(np.array([collateral]), np.array([True]), np.array([least]), np.array([period]), np.array([np.inf]))


def collateralised(collateral: float) -> Margins:
    """The margins of one netting set with collateral and no margin agreement."""
    none = Margins.none(1)
    return Margins(np.array([collateral]), none.margined, none.least, none.period, none.most)


__all__ = ["Entity", "Hedging"]
