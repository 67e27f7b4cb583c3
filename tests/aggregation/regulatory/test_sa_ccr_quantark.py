"""SA-CCR against an implementation by others, quantark 0.5.5, on drawn netting sets of every asset class, with margin and without.

It is installed by `make oracles`, which runs this; elsewhere the test is skipped. What quantark reads otherwise is left out of the draw: it
floors a forward start at ten business days and has neither basis nor volatility hedging sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from saccr_cases import BASEL, Trade, collateralised, commodity, credit, equity, exposures, margined, pair, rate, row

from aggregation.kernels.sa_ccr import EQUITY

saccr = pytest.importorskip(
    "quantark.saccr", reason="quantark is not installed; make oracles installs it and runs this"
)

RATINGS = {"AA": 0.0038, "A": 0.0042, "BBB": 0.0054, "BB": 0.0106, "B": 0.016, "CCC": 0.06}
COMMODITIES = {
    "CRUDE_OIL": "energy",
    "NATURAL_GAS": "energy",
    "GOLD": "metals",
    "SILVER": "metals",
    "WHEAT": "agricultural",
}
CASES = 300


def _drawn(rng: np.random.Generator, name: str) -> tuple[Trade, Any]:
    """A trade as each of the two takes it."""
    kind = rng.choice(["rate", "swaption", "fx", "credit", "index", "equity", "share option", "commodity"])
    notional, value = float(rng.uniform(1e6, 5e7)), float(rng.normal(0.0, 1e6))
    sign, end = float(rng.choice([-1.0, 1.0])), float(rng.choice([0.3, 1.0, 3.0, 5.0, rng.uniform(0.1, 20.0)]))
    long = saccr.Position.LONG if sign > 0 else saccr.Position.SHORT
    told: dict[str, Any] = {
        "trade_id": name,
        "notional": notional,
        "market_value": value,
        "maturity": end,
        "end_date": end,
        "position": long,
    }
    strike, price, expiry = 1.0, float(rng.uniform(0.6, 1.6)), float(rng.uniform(0.1, 3.0))
    call = float(rng.choice([-1.0, 1.0]))
    option = {
        "is_option": True,
        "option_type": saccr.OptionType.CALL if call > 0 else saccr.OptionType.PUT,
        "underlying_price": price,
        "strike_price": strike,
        "exercise_date": expiry,
    }
    if kind == "rate":
        currency = str(rng.choice(["USD", "EUR", "JPY"]))
        return Trade(rate(currency, notional, end, sign), value), saccr.SACCRTrade(
            asset_class=saccr.AssetClass.INTEREST_RATE, currency=currency, **told
        )
    if kind == "swaption":
        told |= {"maturity": expiry, "start_date": expiry, "end_date": expiry + end}
        made = rate(
            "USD", notional, expiry + end, sign, start=expiry, maturity=expiry, option=(call, price, strike, expiry)
        )
        return Trade(made, value), saccr.SACCRTrade(
            asset_class=saccr.AssetClass.INTEREST_RATE, currency="USD", **told, **option
        )
    if kind == "fx":
        names = str(rng.choice(["EUR/USD", "USD/JPY"]))
        return Trade(pair(names, notional, end, sign), value), saccr.SACCRTrade(
            asset_class=saccr.AssetClass.FX, currency_pair=names, **told
        )
    if kind == "credit":
        rating = str(rng.choice(list(RATINGS)))
        return Trade(credit(f"Firm {rating}", notional, end, sign, RATINGS[rating]), value), saccr.SACCRTrade(
            asset_class=saccr.AssetClass.CREDIT,
            reference_entity=f"Firm {rating}",
            credit_rating=saccr.CreditRating[rating],
            **told,
        )
    if kind == "index":
        return Trade(credit("IG", notional, end, sign, 0.0038, 0.8), value), saccr.SACCRTrade(
            asset_class=saccr.AssetClass.CREDIT,
            reference_entity="IG",
            is_index=True,
            index_grade=saccr.IndexGrade.IG,
            **told,
        )
    if kind == "equity":
        share = str(rng.choice(["A", "B"]))
        return Trade(equity(share, notional, end, sign), value), saccr.SACCRTrade(
            asset_class=saccr.AssetClass.EQUITY, reference_entity=share, **told
        )
    if kind == "share option":
        told |= {"maturity": expiry, "end_date": expiry}
        made = row(
            EQUITY,
            "equity",
            "C",
            notional,
            expiry,
            sign,
            factor=0.32,
            correlation=0.5,
            option=(call, price, strike, expiry),
            volatility=1.2,
        )
        return Trade(made, value), saccr.SACCRTrade(
            asset_class=saccr.AssetClass.EQUITY, reference_entity="C", **told, **option
        )
    what = str(rng.choice(list(COMMODITIES)))
    return Trade(commodity(COMMODITIES[what], what, notional, end, sign), value), saccr.SACCRTrade(
        asset_class=saccr.AssetClass.COMMODITY, commodity_type=saccr.CommodityType[what], **told
    )


def test_drawn_netting_sets_have_the_exposure_of_quantark() -> None:
    rng = np.random.default_rng(20261130)
    calculator = saccr.SACCRCalculator()
    capped = negative = 0
    for case in range(CASES):
        drawn = [_drawn(rng, f"{case}-{i}") for i in range(int(rng.integers(1, 12)))]
        ours, theirs = [t for t, _ in drawn], [t for _, t in drawn]
        collateral = float(rng.normal(0.0, 2e6))
        if case % 2:
            threshold, least, days = float(rng.uniform(0, 5e6)), float(rng.uniform(0, 1e6)), int(rng.integers(10, 25))
            found = exposures(ours, margined(collateral, threshold + least, float(days)))
            expected = calculator.calculate(
                saccr.SACCRNettingSet(
                    "n",
                    theirs,
                    is_margined=True,
                    threshold=threshold,
                    minimum_transfer_amount=least,
                    variation_margin=collateral,
                    mpor_days=days,
                )
            )
            assert bool(found.by_margin[0]) != expected.ead_capped
        else:
            found = exposures(ours, collateralised(collateral))
            expected = calculator.calculate(saccr.SACCRNettingSet("n", theirs, variation_margin=collateral))
        capped += expected.ead_capped
        negative += expected.multiplier < 1.0
        assert found.ead[0] == pytest.approx(expected.ead, rel=1e-9, abs=1e-2)
    assert capped > 5
    assert negative > 50
    assert BASEL.alpha == expected.alpha
