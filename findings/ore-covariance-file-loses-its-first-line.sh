#!/usr/bin/env bash
# ORE 1.8.17: parametric VaR drops the first line of a covariance file that has no header; which line is first changes the VaR.
#
# ORE's own example has no header (Examples/MarketRisk/Input/covariance.csv, commit a26dcec): the first line is a variance. It is
# taken for a header, and its factor has no variance in the VaR. Here that is 14,746 or 2,355 in place of 14,933, by the order of
# two lines. There is no error. log.txt warns of a factor with zero variance, as it does of each that the file does not name. With
# a line before them, such as `#Factor1,Factor2,Covariance`, all lines are read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check open-source-risk-engine==1.8.17
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import csv
import importlib.metadata
from pathlib import Path

import ORE

DAY = "2026-03-16"

def parameters(**texts):
    return "".join(f'<Parameter name="{name}">{text}</Parameter>' for name, text in texts.items())

Path("conventions.xml").write_text("<Conventions></Conventions>")
Path("curves.xml").write_text("<CurveConfiguration></CurveConfiguration>")
Path("fixings.txt").write_text("\n")
Path("market.txt").write_text(f"{DAY} FX/RATE/EUR/USD 1.1\n")
Path("today.xml").write_text("""
<TodaysMarket>
  <Configuration id="default"><FxSpotsId>default</FxSpotsId></Configuration>
  <FxSpots id="default"><FxSpot pair="EURUSD">FX/EUR/USD</FxSpot></FxSpots>
</TodaysMarket>""")
Path("engines.xml").write_text("""
<PricingEngines>
  <Product type="CashPosition">
    <Model>DiscountedCashflows</Model><ModelParameters/><Engine>CashPositionEngine</Engine><EngineParameters/>
  </Product>
</PricingEngines>""")
Path("portfolio.xml").write_text("""
<Portfolio>
  <Trade id="T1">
    <TradeType>CashPosition</TradeType>
    <Envelope><CounterParty>C</CounterParty><NettingSetId>N</NettingSetId><AdditionalFields/></Envelope>
    <CashPositionData><Currency>EUR</Currency><Amount>1000</Amount></CashPositionData>
  </Trade>
</Portfolio>""")
RATE, SPOT = "DiscountCurve/USD/1/2Y", "FXSpot/EURUSD/0/spot"
Path("sensitivity.csv").write_text(f"""\
#TradeId,IsPar,Factor_1,ShiftSize_1,Factor_2,ShiftSize_2,Currency,Base NPV,Delta,Gamma
T1,false,{RATE},0.000100,,0.000000,USD,41591.35,202.49,0.00
T1,false,{SPOT},0.011000,,0.000000,USD,41591.35,10564.63,0.00
""")

def delta_var(name, *lines):
    Path(f"{name}.csv").write_text("\n".join([*lines, ""]))
    Path(name).mkdir()
    setup = parameters(
        asofDate=DAY, baseCurrency="USD", inputPath=".", outputPath=name, logFile="log.txt", logMask="15",
        marketDataFile="market.txt", fixingDataFile="fixings.txt", curveConfigFile="curves.xml", conventionsFile="conventions.xml",
        marketConfigFile="today.xml", pricingEnginesFile="engines.xml", portfolioFile="portfolio.xml",
    )  # fmt: skip
    analytic = parameters(
        active="Y", sensitivityInputFile="sensitivity.csv", covarianceInputFile=f"{name}.csv", quantiles="0.99", breakdown="N",
        method="Delta", outputFile="var.csv",
    )  # fmt: skip
    Path(f"{name}.xml").write_text(
        f'<ORE><Setup>{setup}</Setup><Analytics><Analytic type="parametricVar">{analytic}</Analytic></Analytics></ORE>'
    )
    given = ORE.Parameters()
    given.fromFile(f"{name}.xml")
    app = ORE.OREApp(given, False)
    app.run()
    assert not app.getErrors(), app.getErrors()
    figure = float(next(csv.DictReader(Path(name, "var.csv").read_text().splitlines()))["Quantile_0.990000"])
    print(f"{name:12} VaR 99% {figure:,.2f}")
    return figure

print("ORE", importlib.metadata.version("open-source-risk-engine"))
rate, spot = f"{RATE}\t{RATE}\t25.0", f"{SPOT}\t{SPOT}\t0.36"  # variances in squares of the shifts
NORMAL = 2.3263478740408408
parts = [NORMAL * 202.49 * 5.0, NORMAL * 10564.63 * 0.6]
whole = delta_var("header", "#Factor1\tFactor2\tCovariance", rate, spot)
rate_first = delta_var("rate-first", rate, spot)
spot_first = delta_var("spot-first", spot, rate)
print("by hand: both", round((parts[0] ** 2 + parts[1] ** 2) ** 0.5, 2), "rate alone", round(parts[0], 2), "spot alone", round(parts[1], 2))
assert abs(whole - (parts[0] ** 2 + parts[1] ** 2) ** 0.5) < 0.01, "the behaviour has changed"
assert abs(rate_first - parts[1]) < 0.01 and abs(spot_first - parts[0]) < 0.01, "the behaviour has changed"
PY
