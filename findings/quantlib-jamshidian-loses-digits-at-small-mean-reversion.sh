#!/usr/bin/env bash
# QuantLib 1.44: JamshidianSwaptionEngine gives wrong prices, without an error, where the mean reversion of Hull-White is small.
#
# A right to pay 3.5% for 20 years from in ten years on, on a flat curve of 3% with a volatility of 1%: the price goes smoothly to its
# limit as the mean reversion goes to zero, as FdHullWhiteSwaptionEngine shows (0.1172). Jamshidian's engine agrees down to 1e-5, is off
# by almost 1% at 1e-6 and gives 0.38 at 1e-7. A calibration that lets the mean reversion go near zero passes through such prices. Take a
# finite-difference or tree engine there, or bound it from below by 1e-4.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check QuantLib==1.44
"$folder/venv/bin/python" - <<'PY'
import QuantLib as ql

today = ql.Date(16, 3, 2020)
ql.Settings.instance().evaluationDate = today
curve = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.03, ql.Actual365Fixed()))


def schedule(months):
    return ql.Schedule(
        ql.Date(16, 3, 2030), ql.Date(16, 3, 2050), ql.Period(months, ql.Months), ql.NullCalendar(), ql.Unadjusted, ql.Unadjusted,
        ql.DateGeneration.Backward, False,
    )


index = ql.IborIndex(
    "6M", ql.Period(6, ql.Months), 0, ql.EURCurrency(), ql.NullCalendar(), ql.Unadjusted, False, ql.Actual360(), curve
)
swap = ql.VanillaSwap(
    ql.Swap.Payer, 1.0, schedule(12), 0.035, ql.Actual365Fixed(), schedule(6), index, 0.0, ql.Actual360()
)
swaption = ql.Swaption(swap, ql.EuropeanExercise(ql.Date(16, 3, 2030)))

print("QuantLib", ql.__version__)
found = {}
for reversion in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
    model = ql.HullWhite(curve, reversion, 0.01)
    swaption.setPricingEngine(ql.JamshidianSwaptionEngine(model))
    closed = swaption.NPV()
    swaption.setPricingEngine(ql.FdHullWhiteSwaptionEngine(model, 400, 400))
    found[reversion] = closed, swaption.NPV()
    print(f"mean reversion {reversion:g}: Jamshidian {closed:.6f}, finite differences {found[reversion][1]:.6f}")

assert ql.__version__ == "1.44"
for reversion in (1e-3, 1e-4, 1e-5):
    closed, differences = found[reversion]
    assert abs(closed / differences - 1) < 1e-4
assert abs(found[1e-6][0] / found[1e-6][1] - 1) > 5e-3
assert found[1e-7][0] > 3 * found[1e-7][1]
assert abs(found[1e-7][1] / found[1e-5][1] - 1) < 1e-3
PY
echo "Held: the closed form of small mean reversions is wrong, and says nothing."
