"""Liquidity horizons: every line of the table of MAR33.12, from factors and classifications; nothing that is not classified is short."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from support import factor

from aggregation.regimes.ima_parameters import ima_parameters
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.liquidity_horizons import horizon_of, is_specified
from scenarios.types import FactorIndex, RiskFactor

RULES = ima_parameters(regime_of("basel@2023", dt.date(2024, 1, 2), None)).horizons
NAMES = {
    "EQ:BIG": {"capitalisation": "large"},
    "EQ:TINY": {"capitalisation": "small"},
    "CR:GOV": {"sector": "sovereign", "rating": "AA"},
    "CR:GOVHY": {"sector": "sovereign", "rating": "BB"},
    "CR:CORP": {"sector": "financial", "rating": "BBB"},
    "CR:JUNK": {"sector": "financial", "rating": "NR"},
    "CMD:WTI": {"commodity_group": "energy_liquid"},
    "CMD:CO2": {"commodity_group": "electricity_carbon"},
    "CMD:GOLD": {"commodity_group": "precious_metals"},
    "CMD:COPPER": {"commodity_group": "metals"},
    "CMD:WHEAT": {"commodity_group": "grains"},
}
FIELDS = ("sector", "rating", "capitalisation", "commodity_group")
CLASSIFIED: dict[str, Any] = {n: SimpleNamespace(**{f: said.get(f) for f in FIELDS}) for n, said in NAMES.items()}


def vol(name: str, asset: str, kind: str = "implied_vol") -> RiskFactor:
    return factor(name, kind, attributes=(("asset", asset),))


TABLE = [
    (factor("YC:USD:1Y", "zero_rate", "USD", curve="USD", pillar="1Y"), "rates", 10),
    (factor("YC:SEK:1Y", "zero_rate", "SEK", curve="SEK", pillar="1Y"), "rates", 10),
    (factor("YC:CHF:1Y", "zero_rate", "CHF", curve="CHF", pillar="1Y"), "rates", 20),
    (factor("CPI:US", "price_index"), "rates", 60),
    (vol("NV:USD", "", "normal_vol"), "rates", 60),
    (factor("CR:GOV", "credit_spread"), "credit", 20),
    (factor("CR:GOVHY", "credit_spread"), "credit", 40),
    (factor("CR:CORP", "credit_spread"), "credit", 40),
    (factor("CR:JUNK", "credit_spread"), "credit", 60),
    (vol("IV:CR", "CR:CORP"), "credit", 120),
    (factor("REC:X", "recovery_rate"), "credit", 120),
    (factor("EQ:BIG", "equity_price"), "equity", 10),
    (factor("EQ:TINY", "equity_price"), "equity", 20),
    (factor("IDX:SPX", "index_level"), "equity", 10),
    (vol("IV:BIG", "EQ:BIG"), "equity", 20),
    (vol("IV:TINY", "EQ:TINY"), "equity", 60),
    (factor("DIV:BIG", "dividend"), "equity", 60),
    (factor("FX:EURUSD", "fx_rate"), "fx", 10),
    (factor("FX:EURJPY", "fx_rate", "JPY"), "fx", 10),
    (factor("FX:USDPLN", "fx_rate", "PLN"), "fx", 20),
    (vol("IV:EURUSD", "FX:EURUSD"), "fx", 40),
    (factor("CMD:WTI", "commodity_price"), "commodity", 20),
    (factor("CMD:CO2", "commodity_price"), "commodity", 20),
    (factor("CMD:GOLD", "commodity_price"), "commodity", 20),
    (factor("CMD:COPPER", "commodity_price"), "commodity", 20),
    (factor("CMD:WHEAT", "commodity_price"), "commodity", 60),
    (vol("IV:WTI", "CMD:WTI"), "commodity", 60),
    (vol("IV:GOLD", "CMD:GOLD"), "commodity", 60),
    (vol("IV:WHEAT", "CMD:WHEAT"), "commodity", 120),
]
INDEX = FactorIndex.of(f for f, _, _ in TABLE)


@pytest.mark.parametrize(("of", "risk_class", "days"), TABLE, ids=[f.risk_factor_id for f, _, _ in TABLE])
def test_a_line_of_the_table(of: RiskFactor, risk_class: str, days: int) -> None:
    found = horizon_of(of, INDEX, RULES, CLASSIFIED, "USD")
    assert (found.risk_class.value, found.days, found.classified) == (risk_class, days, True)
    assert found.days in RULES.lengths


def test_the_domestic_currency_is_a_specified_one() -> None:
    franc = factor("YC:CHF:1Y", "zero_rate", "CHF", curve="CHF", pillar="1Y")
    assert horizon_of(franc, INDEX, RULES, CLASSIFIED, "CHF").days == 10


@pytest.mark.parametrize(
    ("name", "kind", "days"),
    [("EQ:WHO", "equity_price", 20), ("CR:WHO", "credit_spread", 60), ("CMD:WHO", "commodity_price", 60)],
)
def test_what_nobody_classified_has_the_longest_horizon_and_says_so(name: str, kind: str, days: int) -> None:
    found = horizon_of(factor(name, kind), INDEX, RULES, CLASSIFIED, "USD")
    assert (found.days, found.classified) == (days, False)


def test_a_volatility_without_an_asset_is_that_of_its_namesake() -> None:
    assert horizon_of(factor("IV:BIG", "implied_vol"), INDEX, RULES, CLASSIFIED, "USD").days == 20


def test_pairs_are_those_of_the_horizons_and_not_of_the_sensitivities() -> None:
    """Trap: the footnote here has EUR/JPY, EUR/GBP, EUR/CHF and JPY/AUD besides the nineteen of MAR21.88. Where a
    regime counts no crosses, that
    shows."""
    bare = RULES.fx.model_copy(update={"crosses": False})
    for pair in ("EURJPY", "JPYEUR", "EURGBP", "EURCHF", "AUDJPY", "USDEUR", "EURUSD"):
        assert is_specified(pair, bare), pair
    for pair in ("GBPCHF", "CADNOK"):  # crosses of two that are listed
        assert is_specified(pair, RULES.fx), pair
        assert not is_specified(pair, bare), pair
    for pair in ("USDPLN", "EURPLN", "PLNHUF"):
        assert not is_specified(pair, RULES.fx), pair
