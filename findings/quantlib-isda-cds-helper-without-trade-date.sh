#!/usr/bin/env bash
# QuantLib 1.44: SpreadCdsHelper on the ISDA model, without its last argument, gives a curve on which the quoted swap is not worth nothing.
#
# The rebate of the accrued coupon depends on the trade date, which the helper takes as its last, optional argument. Left out, a day too
# many is rebated, without a word: from a 5-year spread of 2% the flat hazard rate is 0.031138 in place of 0.031158, and the swap that the
# spread quotes is worth -0.55bp of notional on the curve made from it; its fair spread is 1.99874%. With tradeDate = the evaluation date
# it is worth nothing to 1e-15. That is much smaller than a bid-ask spread, and larger than any tolerance of a test.
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
discount = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.01, day_count))
SPREAD, RECOVERY = 0.02, 0.35


def curve(*trade_date):
    helper = ql.SpreadCdsHelper(
        ql.QuoteHandle(ql.SimpleQuote(SPREAD)), ql.Period(5, ql.Years), 1, ql.WeekendsOnly(), ql.Quarterly, ql.Following,
        ql.DateGeneration.CDS2015, ql.Actual360(), RECOVERY, discount, True, True, ql.Date(), ql.Actual360(True), True,
        ql.CreditDefaultSwap.ISDA, *trade_date,
    )
    return ql.PiecewiseFlatHazardRate(today, [helper], day_count)


def value(made):
    maturity = ql.cdsMaturity(today, ql.Period(5, ql.Years), ql.DateGeneration.CDS2015)
    schedule = ql.Schedule(
        today, maturity, ql.Period(ql.Quarterly), ql.WeekendsOnly(), ql.Following, ql.Unadjusted, ql.DateGeneration.CDS2015, False
    )
    swap = ql.CreditDefaultSwap(
        ql.Protection.Buyer, 1.0, SPREAD, schedule, ql.Following, ql.Actual360(), True, True, today + 1, ql.FaceValueClaim(),
        ql.Actual360(True), True, today,
    )
    swap.setPricingEngine(ql.IsdaCdsEngine(ql.DefaultProbabilityTermStructureHandle(made), RECOVERY, discount))
    return swap.NPV(), swap.fairSpread()


print("QuantLib", ql.__version__)
without, given = curve(), curve(today)
(npv, fair), (npv_given, fair_given) = value(without), value(given)
print(f"without a trade date: hazard {without.hazardRate(1.0):.6f}, value of the quoted swap {npv:.3e}, fair spread {fair:.7f}")
print(f"with the trade date:  hazard {given.hazardRate(1.0):.6f}, value of the quoted swap {npv_given:.3e}, fair spread {fair_given:.7f}")
assert ql.__version__ == "1.44"
assert abs(npv_given) < 1e-12
assert 5e-5 < abs(npv) < 6e-5
assert abs(fair - SPREAD) > 1e-5
PY
echo "Held: without its trade date the helper does not reprice its quote."
