#!/usr/bin/env bash
# ORE 1.8.17: its parametric VaR takes `#N/A`, as its own sensitivity report has for gammas, as a number, and reports a VaR of 1e40.
#
# With `ComputeGamma` false the report has `#N/A` in the column Gamma of every row. VaR by the method Delta is right. By
# DeltaGammaNormal, Cornish-Fisher and Saddlepoint the same file is read without an error, and a VaR of 41 digits reported: the
# value that stands for "none" inside ORE (about 3.4e38) is taken as the gamma. With gammas in the report all four methods agree.
# Who hands the report on to another system has to look for `#N/A` there as well.
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

def of_each(pattern):
    return "".join(pattern.replace("CCY", currency) for currency in ("EUR", "USD"))

# A market of two flat zero curves and a spot rate, and an FX forward.
Path("fixings.txt").write_text("\n")
Path("market.txt").write_text(f"""\
{DAY} FX/RATE/EUR/USD 1.1
{DAY} ZERO/RATE/EUR/EUR/A365/1Y 0.02
{DAY} ZERO/RATE/EUR/EUR/A365/5Y 0.02
{DAY} ZERO/RATE/USD/USD/A365/1Y 0.04
{DAY} ZERO/RATE/USD/USD/A365/5Y 0.04
""")
Path("conventions.xml").write_text("""
<Conventions>
  <Zero>
    <Id>ZERO</Id><TenorBased>true</TenorBased><DayCounter>A365</DayCounter><Compounding>Continuous</Compounding>
    <CompoundingFrequency>Annual</CompoundingFrequency><TenorCalendar>TARGET</TenorCalendar><SpotLag>0</SpotLag>
    <SpotCalendar>TARGET</SpotCalendar><RollConvention>Following</RollConvention><EOM>false</EOM>
  </Zero>
</Conventions>""")
curve = """
<YieldCurve>
  <CurveId>CCY</CurveId><CurveDescription/><Currency>CCY</Currency><DiscountCurve/>
  <Segments>
    <Direct>
      <Type>Zero</Type>
      <Quotes><Quote>ZERO/RATE/CCY/CCY/A365/1Y</Quote><Quote>ZERO/RATE/CCY/CCY/A365/5Y</Quote></Quotes>
      <Conventions>ZERO</Conventions>
    </Direct>
  </Segments>
  <InterpolationVariable>Discount</InterpolationVariable><InterpolationMethod>LogLinear</InterpolationMethod>
  <YieldCurveDayCounter>A365</YieldCurveDayCounter><Extrapolation>true</Extrapolation>
</YieldCurve>"""
Path("curves.xml").write_text(f"<CurveConfiguration><YieldCurves>{of_each(curve)}</YieldCurves></CurveConfiguration>")
discounting = of_each('<DiscountingCurve currency="CCY">Yield/CCY/CCY</DiscountingCurve>')
Path("today.xml").write_text(f"""
<TodaysMarket>
  <Configuration id="default"><DiscountingCurvesId>default</DiscountingCurvesId><FxSpotsId>default</FxSpotsId></Configuration>
  <DiscountingCurves id="default">{discounting}</DiscountingCurves>
  <FxSpots id="default"><FxSpot pair="EURUSD">FX/EUR/USD</FxSpot></FxSpots>
</TodaysMarket>""")
Path("engines.xml").write_text("""
<PricingEngines>
  <Product type="FxForward">
    <Model>DiscountedCashflows</Model><ModelParameters/><Engine>DiscountingFxForwardEngine</Engine><EngineParameters/>
  </Product>
</PricingEngines>""")
Path("portfolio.xml").write_text("""
<Portfolio>
  <Trade id="FORWARD">
    <TradeType>FxForward</TradeType>
    <Envelope><CounterParty>C</CounterParty><NettingSetId>N</NettingSetId><AdditionalFields/></Envelope>
    <FxForwardData>
      <ValueDate>2028-03-16</ValueDate><BoughtCurrency>EUR</BoughtCurrency><BoughtAmount>1000000</BoughtAmount>
      <SoldCurrency>USD</SoldCurrency><SoldAmount>1100000</SoldAmount>
    </FxForwardData>
  </Trade>
</Portfolio>""")

# What is shifted, and the variances of these shifts.
Path("simulated.xml").write_text(f"""
<Simulation>
  <Market>
    <BaseCurrency>USD</BaseCurrency>
    <Currencies>{of_each("<Currency>CCY</Currency>")}</Currencies>
    <YieldCurves>
      <Configuration>
        <Tenors>1Y,2Y,5Y</Tenors><Interpolation>LogLinear</Interpolation><Extrapolation>FlatFwd</Extrapolation>
      </Configuration>
    </YieldCurves>
    <FxRates><CurrencyPairs><CurrencyPair>EURUSD</CurrencyPair></CurrencyPairs></FxRates>
  </Market>
</Simulation>""")
rates = """
<DiscountCurve ccy="CCY">
  <ShiftType>Absolute</ShiftType><ShiftSize>0.0001</ShiftSize><ShiftScheme>Forward</ShiftScheme><ShiftTenors>1Y,2Y,5Y</ShiftTenors>
</DiscountCurve>"""
shifts = f"""
<SensitivityAnalysis>
  <DiscountCurves>{of_each(rates)}</DiscountCurves>
  <FxSpots>
    <FxSpot ccypair="EURUSD">
      <ShiftType>Relative</ShiftType><ShiftSize>0.01</ShiftSize><ShiftScheme>Forward</ShiftScheme>
    </FxSpot>
  </FxSpots>
  <ComputeGamma>GAMMA</ComputeGamma>
</SensitivityAnalysis>"""
Path("covariance.csv").write_text("""\
#Factor1,Factor2,Covariance
DiscountCurve/USD/1/2Y,DiscountCurve/USD/1/2Y,25.0
FXSpot/EURUSD/0/spot,FXSpot/EURUSD/0/spot,0.36
""")

def run(output, kind, **analytic):
    setup = parameters(
        asofDate=DAY, baseCurrency="USD", inputPath=".", outputPath=output, logFile="log.txt", logMask="15",
        marketDataFile="market.txt", fixingDataFile="fixings.txt", curveConfigFile="curves.xml", conventionsFile="conventions.xml",
        marketConfigFile="today.xml", pricingEnginesFile="engines.xml", portfolioFile="portfolio.xml",
    )  # fmt: skip
    Path(output).mkdir()
    Path(output, "ore.xml").write_text(
        f'<ORE><Setup>{setup}</Setup><Analytics><Analytic type="{kind}">{parameters(active="Y", **analytic)}</Analytic></Analytics></ORE>'
    )
    given = ORE.Parameters()
    given.fromFile(f"{output}/ore.xml")
    app = ORE.OREApp(given, False)
    app.run()
    assert not app.getErrors(), app.getErrors()

def rows(path):
    return list(csv.DictReader(Path(path).read_text().splitlines()))

print("ORE", importlib.metadata.version("open-source-risk-engine"))
found = {}
for gamma in ("true", "false"):
    Path("shifts.xml").write_text(shifts.replace("GAMMA", gamma))
    run(
        f"sensitivity-{gamma}", "sensitivity", marketConfigFile="simulated.xml", sensitivityConfigFile="shifts.xml",
        pricingEnginesFile="engines.xml", scenarioOutputFile="scenario.csv", sensitivityOutputFile="sensitivity.csv",
        outputSensitivityThreshold="0.000001",
    )  # fmt: skip
    gammas = [row["Gamma"] for row in rows(f"sensitivity-{gamma}/sensitivity.csv")]
    print(f"ComputeGamma {gamma}: the report has the gammas", *gammas)
    assert gammas and all((g == "#N/A") == (gamma == "false") for g in gammas), "the behaviour has changed"
    for method in ("Delta", "DeltaGammaNormal", "Cornish-Fisher", "Saddlepoint"):
        run(
            f"{method}-{gamma}", "parametricVar", sensitivityInputFile=f"sensitivity-{gamma}/sensitivity.csv",
            covarianceInputFile="covariance.csv", quantiles="0.99", breakdown="N", method=method, outputFile="var.csv",
        )  # fmt: skip
        found[gamma, method] = float(rows(f"{method}-{gamma}/var.csv")[0]["Quantile_0.990000"])
        print(f"    VaR 99% by {method:16} {found[gamma, method]:.6g}")
for (gamma, method), figure in found.items():
    as_it_should = abs(figure - found["true", "Delta"]) < 1
    assert as_it_should if gamma == "true" or method == "Delta" else figure > 1e30, "the behaviour has changed"
PY
