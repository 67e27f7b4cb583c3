"""What the desks of the sample bank trade, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lake.errors import NotFound
from valuation.samples import bonds, commodities, credit_products, equity, fx, swaps
from valuation.samples.contract_frames import Rng
from valuation.samples.days import DayMarket, MarketDays

Maker = Callable[[Rng, MarketDays, DayMarket, int], pd.DataFrame]
Renewal = Callable[[pd.DataFrame, MarketDays, DayMarket], pd.DataFrame]


@dataclass(frozen=True)
class Product:
    """What a desk trades: its share of the trades, how many of them share a contract, and how contracts are made.

    `renew` gives the contracts that take the place of those whose next observation is due: with what has been observed.
    Where the market at hand does not allow a product, its share is traded in the others.
    """

    desk: str
    share: float
    trades_per_contract: float
    make: Maker
    renew: Renewal | None = None


_EQUITY, _FX, _BONDS, _CREDIT = "Equity Derivatives", "Foreign Exchange", "Government Bonds", "Credit Trading"
_INFLATION, _RATES, _OPTIONS, _COMMODITIES = "Inflation", "Interest Rate Swaps", "Rates Options", "Commodities"

# Linear and vanilla contracts make nine trades of ten; what is dear to value is rare, and many trades share a contract of it.
PRODUCTS: dict[str, Product] = {
    "options": Product(_EQUITY, 0.115, 2.2, equity.equity_options),
    "index options": Product(_EQUITY, 0.015, 3.0, equity.index_options),
    "options on shares with dividends": Product(_EQUITY, 0.005, 3.0, equity.dividend_options),
    "equity forwards": Product(_EQUITY, 0.035, 2.2, equity.equity_forwards),
    "equity futures": Product(_EQUITY, 0.02, 4.0, equity.equity_futures),
    "American options": Product(_EQUITY, 0.008, 5.0, equity.american_share_options),
    "digital options": Product(_EQUITY, 0.005, 2.2, equity.equity_digitals),
    "barrier options": Product(_EQUITY, 0.006, 2.2, equity.equity_barriers, equity.equity_barriers_touched),
    "Asian options": Product(_EQUITY, 0.003, 3.0, equity.asian_options, equity.asian_fixings),
    "variance swaps": Product(_EQUITY, 0.003, 3.0, equity.variance_swaps, equity.realised_variances),
    "US equities": Product("US Equities", 0.12, 1.0, equity.us_equities),
    "European equities": Product("European Equities", 0.06, 1.0, equity.european_equities),
    "FX spot": Product(_FX, 0.006, 2.2, fx.fx_spots),
    "FX forwards": Product(_FX, 0.124, 2.2, fx.fx_forwards),
    "FX swaps": Product(_FX, 0.03, 2.2, fx.fx_swaps),
    "non-deliverable forwards": Product(_FX, 0.008, 2.2, fx.non_deliverable_forwards),
    "FX options": Product(_FX, 0.02, 2.2, fx.fx_options),
    "American FX options": Product(_FX, 0.002, 5.0, fx.fx_american_options),
    "digital FX options": Product(_FX, 0.003, 2.2, fx.fx_digitals),
    "barrier FX options": Product(_FX, 0.005, 2.2, fx.fx_barriers, fx.fx_barriers_touched),
    "government bonds": Product(_BONDS, 0.09, 1.0, bonds.government_bonds),
    "bills and strips": Product(_BONDS, 0.01, 4.0, bonds.zero_bonds),
    "bond forwards": Product(_BONDS, 0.004, 2.2, bonds.bond_forwards),
    "bond futures": Product(_BONDS, 0.02, 6.0, bonds.bond_futures),
    "inflation bonds": Product(_INFLATION, 0.012, 4.0, bonds.inflation_bonds),
    "inflation swaps": Product(_INFLATION, 0.008, 2.2, bonds.inflation_swaps),
    "corporate bonds": Product(_CREDIT, 0.025, 4.0, bonds.fixed_bonds),
    "step-up bonds": Product(_CREDIT, 0.002, 4.0, bonds.step_bonds),
    "amortising bonds": Product(_CREDIT, 0.003, 4.0, bonds.amortising_bonds),
    "floaters": Product(_CREDIT, 0.008, 4.0, bonds.floating_bonds, bonds.floating_fixings),
    "risky bonds": Product(_CREDIT, 0.008, 4.0, credit_products.risky_bonds),
    "credit default swaps": Product(_CREDIT, 0.02, 3.0, credit_products.credit_default_swaps),
    "credit indices": Product(_CREDIT, 0.01, 6.0, credit_products.credit_indices),
    "deposits": Product("Treasury", 0.012, 2.2, swaps.deposits),
    "forward rate agreements": Product(_RATES, 0.008, 2.2, swaps.forward_rate_agreements),
    "swaps": Product(_RATES, 0.07, 2.2, swaps.interest_rate_swaps, swaps.swap_fixings),
    "two-curve swaps": Product(_RATES, 0.025, 2.2, swaps.two_curve_swaps, swaps.dealt_fixings),
    "overnight swaps": Product(_RATES, 0.02, 2.2, swaps.overnight_swaps, swaps.overnight_growths),
    "basis swaps": Product(_RATES, 0.006, 2.2, swaps.basis_swaps, swaps.basis_fixings),
    "cross-currency swaps": Product(_RATES, 0.005, 2.2, swaps.cross_currency_swaps, swaps.cross_currency_fixings),
    "caps and floors": Product(_OPTIONS, 0.01, 2.2, swaps.caps_and_floors, swaps.dealt_fixings),
    "swaptions": Product(_OPTIONS, 0.012, 2.2, swaps.swaptions),
    "Bermudan swaptions": Product(_OPTIONS, 0.0015, 5.0, swaps.bermudan_swaptions),
    "commodities": Product(_COMMODITIES, 0.03, 2.2, commodities.commodity_forwards),
    "commodity futures": Product(_COMMODITIES, 0.03, 3.0, commodities.commodity_futures),
    "commodity swaps": Product(_COMMODITIES, 0.006, 2.2, commodities.commodity_swaps, commodities.averaged_prices),
    "commodity options": Product(_COMMODITIES, 0.008, 2.2, commodities.commodity_options),
    "American commodity options": Product(_COMMODITIES, 0.002, 5.0, commodities.commodity_american_options),
    "commodity spread options": Product(_COMMODITIES, 0.0025, 2.2, commodities.commodity_spread_options),
}


def missing_products(market: DayMarket) -> NotFound:
    types = sorted({f.type for f in market.index.factors})
    return NotFound(
        f"No contract of the sample book can be written on the risk factors of {market.date}; it needs equity prices, a "
        f"USD curve, exchange rates or commodity prices. There are: {', '.join(types) or 'none'}."
    )
