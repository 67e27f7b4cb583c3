"""The prescribed moves: each factor and currency by its shift, shocks of several together."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from pydantic import ValidationError
from support import factor

from lake.errors import BadInput
from scenarios.derived.regulatory_bumps import RegulatoryBumpsDefinition, Shock, moved
from scenarios.types import FactorIndex

FACTORS = {
    factor("YC:USD:5Y", "zero_rate", curve="USD", pillar="5Y"): 0.02,
    factor("YC:USD_3M:6M", "rate_future", curve="USD_3M", pillar="6M"): 98.0,
    factor("CDS:ACME:5Y", "cds_spread", curve="ACME", pillar="5Y"): 0.01,
    factor("EQ:A", "equity_price"): 50.0,
    factor("CMD:WTI", "commodity_price"): -40.0,
    factor("IV:A", "implied_vol"): 0.3,
    factor("NV:USD", "normal_vol"): 0.008,
    factor("FX:EURUSD", "fx_rate"): 1.1,
    factor("FX:USDJPY", "fx_rate", "JPY"): 110.0,
}
INDEX = FactorIndex(tuple(FACTORS))
BASE = np.array([*FACTORS.values()])


def levels(label: str, *shocks: Shock) -> dict[str, float]:
    """The levels of a scenario that are not those of the base."""
    definition = RegulatoryBumpsDefinition(market_date=dt.date(2020, 3, 16), shocks=shocks)
    labels, made = moved(INDEX, BASE, definition)
    column = made[:, labels.index(label)]
    return {f.risk_factor_id: v for f, v, b in zip(FACTORS, column.tolist(), BASE.tolist(), strict=True) if v != b}


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("YC:USD:5Y", 0.0201),
        ("YC:USD_3M:6M", 97.99),  # a basis point up in the rate
        ("CDS:ACME:5Y", 0.0101),
        ("EQ:A", 50.5),
        ("CMD:WTI", -39.6),  # up, though below zero
        ("IV:A", 0.303),
        ("NV:USD", 0.00808),
    ],
)
def test_each_factor_moves_alone_by_its_shift(name: str, level: float) -> None:
    assert levels(f"{name} up") == {name: pytest.approx(level)}


def test_a_currency_moves_against_all_others() -> None:
    assert levels("currency EUR up") == {"FX:EURUSD": pytest.approx(1.1 * 1.01)}
    up = levels("currency USD up")
    assert up == {"FX:EURUSD": pytest.approx(1.1 / 1.01), "FX:USDJPY": pytest.approx(110 * 1.01)}
    assert up["FX:EURUSD"] * up["FX:USDJPY"] == pytest.approx(1.1 * 110)  # EURJPY stays


def test_exchange_rates_do_not_move_by_themselves() -> None:
    labels, made = moved(INDEX, BASE, RegulatoryBumpsDefinition(market_date=dt.date(2020, 3, 16)))
    assert not any(label.startswith("FX:") for label in labels)
    assert made.shape == (9, 7 + 3)


def test_shocks_move_up_and_down_together() -> None:
    rates = Shock(name="rates", factors=("YC:USD:5Y", "YC:USD_3M:6M"), size=0.017, relative=False)
    assert levels("rates up", rates) == {"YC:USD:5Y": pytest.approx(0.037), "YC:USD_3M:6M": pytest.approx(96.3)}
    assert levels("rates down", rates) == {"YC:USD:5Y": pytest.approx(0.003), "YC:USD_3M:6M": pytest.approx(99.7)}
    euro = Shock(name="euro", currency="EUR", size=0.15, relative=True)
    assert levels("euro down", euro) == {"FX:EURUSD": pytest.approx(1.1 * 0.85)}


def test_a_shock_down_stops_at_the_least_level() -> None:
    spread = Shock(name="acme", factors=("CDS:ACME:5Y",), size=0.12, relative=False, least=0.0001)
    assert levels("acme down", spread) == {"CDS:ACME:5Y": 0.0001}
    assert levels("acme up", spread) == {"CDS:ACME:5Y": pytest.approx(0.13)}
    low = Shock(name="acme", factors=("CDS:ACME:5Y",), size=0.12, relative=False, least=0.02)
    assert levels("acme down", low) == {}  # the base is lower already


def test_what_cannot_be_moved_is_refused() -> None:
    with pytest.raises(ValidationError, match="either factors or a currency"):
        Shock(name="none", size=0.1, relative=True)
    with pytest.raises(BadInput, match="EQ:B"):
        levels("x up", Shock(name="x", factors=("EQ:B",), size=0.1, relative=True))
    with pytest.raises(BadInput, match="SEK"):
        levels("x up", Shock(name="x", currency="SEK", size=0.1, relative=True))
    with pytest.raises(BadInput, match="moves relatively"):
        levels("x up", Shock(name="x", currency="EUR", size=0.1, relative=False))
