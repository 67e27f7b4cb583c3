#!/usr/bin/env bash
# QuantLib 1.44: the default scheme of QdFpAmericanEngine prices an American put that is exercised at once 0.0006 above what exercise pays.
#
# A put at 100 on a share without dividends, rate 9.59%, volatility 17.5%, three and a half years: below some 85.24 it is exercised, and
# worth 100 less the share. The high-precision scheme says so to six digits. The accurate scheme, which is the default, says 15.000622 in
# place of 15 at 85, and the fast one 15.002774. At the money they are 0.0002 and 0.0003 too high. A test of another engine to a millionth
# of the strike has to take the high-precision scheme, some thirty times slower.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check QuantLib==1.44
"$folder/venv/bin/python" - <<'PY'
import QuantLib as ql

today = ql.Date(16, 3, 2020)
ql.Settings.instance().evaluationDate = today
day_count = ql.Actual365Fixed()


def flat(rate):
    return ql.YieldTermStructureHandle(ql.FlatForward(today, rate, day_count))


def price(spot, scheme):
    volatility = ql.BlackConstantVol(today, ql.NullCalendar(), 0.17466328197480321, day_count)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)), flat(0.0), flat(0.09589377698013779), ql.BlackVolTermStructureHandle(volatility)
    )
    put = ql.VanillaOption(ql.PlainVanillaPayoff(ql.Option.Put, 100.0), ql.AmericanExercise(today, today + 1256))
    put.setPricingEngine(ql.QdFpAmericanEngine(process, scheme))
    return put.NPV()


schemes = {
    "fast": ql.QdFpAmericanEngine.fastScheme(),
    "accurate (the default)": ql.QdFpAmericanEngine.accurateScheme(),
    "high precision": ql.QdFpAmericanEngine.highPrecisionScheme(),
}
print("QuantLib", ql.__version__)
found = {}
for spot in (85.0, 86.0, 100.0):
    found[spot] = [price(spot, scheme) for scheme in schemes.values()]
    for name, value in zip(schemes, found[spot], strict=True):
        print(f"spot {spot:g}, exercise pays {100 - spot:g}, {name}: {value:.6f}")

assert ql.__version__ == "1.44"
fast, accurate, precise = found[85.0]
assert abs(precise - 15) < 1e-6
assert 5e-4 < accurate - 15 < 8e-4
assert 2e-3 < fast - 15 < 4e-3
assert abs(found[86.0][1] - found[86.0][2]) > 5e-4
PY
echo "Held: below its boundary the put is worth more than exercise pays."
