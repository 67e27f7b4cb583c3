#!/usr/bin/env bash
# creditriskengine 0.31.0: its SA-CCR lets commodities of different hedging sets offset, and takes E - S for the maturity of a trade.
#
# CRE52.70 has four hedging sets of commodities (energy, metals, agricultural, other), whose add-ons are added. The package puts all commodities
# into one formula, so a short oil book is a hedge of silver: the third worked example that the Committee prints (CRE99, 5,406 thousand) comes
# out at 3,523. And its maturity factor takes the length of the underlying period for the time to the last obligation: an FRA that is fixed
# in six months and ends in twelve has a remaining maturity of one year (CRE52.32, table 1), and a factor of 1; the package says 0.7071.
# The first two worked examples, of rates and credit, come out as printed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check creditriskengine==0.31.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata

from creditriskengine.ccr import sa_ccr
from creditriskengine.ccr.sa_ccr import AssetClass, OptionType, SACCRTrade

ALPHA = 1.4

def ead(trades, value):
    add_on = sa_ccr.aggregate_addon(trades)
    return ALPHA * (sa_ccr.replacement_cost(value) + sa_ccr.pfe_multiplier(value, 0.0, add_on) * add_on)

rates = [
    SACCRTrade(AssetClass.INTEREST_RATE, 10_000, 0, 10, 1, "USD"),
    SACCRTrade(AssetClass.INTEREST_RATE, 10_000, 0, 4, -1, "USD"),
    SACCRTrade(
        AssetClass.INTEREST_RATE, 5_000, 1, 11, hedging_set="EUR",
        option_type=OptionType.BOUGHT_PUT, strike=0.05, underlying_price=0.06, option_expiry=1,
    ),
]  # fmt: skip
credit = [
    SACCRTrade(AssetClass.CREDIT, 10_000, 0, 3, 1, reference="A", credit_rating="AA"),
    SACCRTrade(AssetClass.CREDIT, 10_000, 0, 6, -1, reference="B", credit_rating="BBB"),
    SACCRTrade(AssetClass.CREDIT, 10_000, 0, 5, 1, reference="CDX", credit_rating="IG", is_index=True),
]
# oil and silver: 18% each; oil of nine months and of two years is one type
commodities = [
    SACCRTrade(AssetClass.COMMODITY, 10_000, 0, 0.75, 1, "oil_gas"),
    SACCRTrade(AssetClass.COMMODITY, 20_000, 0, 2, -1, "oil_gas"),
    SACCRTrade(AssetClass.COMMODITY, 10_000, 0, 5, 1, "metals"),
]
print("creditriskengine", importlib.metadata.version("creditriskengine"))
for name, trades, value, printed in (("rates", rates, 60, 569), ("credit", credit, -20, 381)):
    found = ead(trades, value)
    print(f"CRE99, {name:12} printed {printed:6,} found {found:9,.2f}")
    assert abs(found - printed) <= 0.5, "the behaviour has changed"
found = ead(commodities, 20)
print(f"CRE99, commodities  printed  5,406 found {found:9,.2f}")
assert abs(found - 3_522.57) < 0.01, "the behaviour has changed"
factor = sa_ccr.maturity_factor(SACCRTrade(AssetClass.INTEREST_RATE, 10_000, 0.5, 1.0, 1, "USD"))
print(f"FRA of 6 months in 6 months: maturity factor 1 by CRE52.48, found {factor:.4f}")
assert abs(factor - 0.5**0.5) < 1e-12, "the behaviour has changed"
PY
