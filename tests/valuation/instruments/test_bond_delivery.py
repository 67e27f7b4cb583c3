"""Forwards and futures on bonds against Hull's printed values and by replication."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pytest
from make_market import make_market, value

from lake.errors import BadInput
from valuation.catalogue import parse_terms
from valuation.instruments.rates.bond_future import Terms, implied_prices
from valuation.types import InstrumentTerms, NotValuable

TODAY = dt.date(2020, 3, 16)
CURVE = {"YC:USD:6M": 0.01, "YC:USD:2Y": 0.02, "YC:USD:10Y": 0.03}
BOND = {
    "currency": "USD",
    "issue_date": "2018-07-15",
    "maturity": "2028-07-15",
    "coupon": 0.06,
    "frequency": 2,
    "discount_curve": "USD",
}


def forward(**changes: Any) -> InstrumentTerms:
    return parse_terms("bond_forward", BOND | {"delivery": "2020-12-16", "strike": 101.0} | changes)


def future(basket: list[dict[str, Any]], **changes: Any) -> Any:
    shared = {k: BOND[k] for k in ("currency", "frequency", "discount_curve")}
    return parse_terms("bond_future", shared | {"delivery": "2020-03-16", "strike": 90.0, "basket": basket} | changes)


def zeros(**discount: float) -> dict[str, float]:
    """Pillars of the curve USD by days that give these discount factors."""
    return {f"YC:USD:{d[1:]}D": -math.log(v) * 365 / int(d[1:]) for d, v in discount.items()}


def test_hulls_treasury_bond_future():
    """Hull: a 12% bond at 115, 60 days after a coupon, 122 before one and 305 before the next, conversion factor 1.6,
    delivery in 270 days, 10% continuous: cash price 116.978, forward 119.711, quoted 114.859, futures price 71.79."""
    today = dt.date(2022, 11, 30)
    second, delivery = (today + dt.timedelta(days=d) for d in (305, 270))
    cash = 115 + 6 * 60 / 182
    assert round(cash, 3) == 116.978
    # a bond that is redeemed with the second coupon stands for the long one: just what is paid after delivery counts
    bond = {"issue_date": (today - dt.timedelta(days=60)).isoformat(), "maturity": second.isoformat()}
    coupon = math.exp(-0.1 * 122 / 365)
    rest = (cash - 6 * coupon) / 106
    levels = zeros(D122=coupon, D305=rest) | {"YC:REPO:1Y": 0.1}
    terms = future(
        [bond | {"coupon": 0.12, "conversion_factor": 1.6}], strike=71.79, repo_curve="REPO", delivery=delivery.isoformat(),
        calendar="none", business_day_convention="Unadjusted",
    )  # fmt: skip
    market = make_market(today, levels)
    assert abs(float(value(terms, market)[0])) < 0.005
    quoted = parse_terms(
        "bond_forward",
        BOND | bond | {"coupon": 0.12, "delivery": delivery.isoformat(), "strike": 114.859, "repo_curve": "REPO"}
        | {"calendar": "none", "business_day_convention": "Unadjusted"},
    )  # fmt: skip
    assert abs(float(value(quoted, market)[0])) < 0.0005 * math.exp(-0.1 * 270 / 365)


def test_hulls_cheapest_to_deliver():
    """Hull: quoted 99.50, 143.50 and 119.75 with factors 1.0382, 1.5188 and 1.2615; at 93.25 delivering costs 2.69, 1.87, 2.12."""
    levels = zeros(D365=0.995, D730=1.435, D1095=1.1975)
    factors = {365: 1.0382, 730: 1.5188, 1095: 1.2615}
    basket = [
        {
            "issue_date": TODAY.isoformat(),
            "maturity": (TODAY + dt.timedelta(days=d)).isoformat(),
            "coupon": 0.0,
            "conversion_factor": f,
        }
        for d, f in factors.items()
    ]
    terms = future(basket, strike=93.25, calendar="none")
    # in the second state the second bond has become dear, and the third is the cheapest
    market = make_market(TODAY, {k: [v, -math.log(1.6) / 2 if k == "YC:USD:730D" else v] for k, v in levels.items()})
    implied = implied_prices([terms], market)
    costs = np.array(list(factors.values())) * (implied[:, 0] - 93.25)
    np.testing.assert_allclose(costs, [2.69, 1.87, 2.12], atol=0.006)
    assert implied.argmin(axis=0).tolist() == [1, 2]
    np.testing.assert_allclose(value(terms, market), [143.5 / 1.5188 - 93.25, 119.75 / 1.2615 - 93.25], rtol=1e-12)


def test_a_forward_by_replication():
    """Forward price = (dirty price today - coupons until delivery) / P(delivery), less the interest accrued then."""
    market = make_market(TODAY, {k: [v, v + 0.01, v - 0.03] for k, v in CURVE.items()})
    spot = value(parse_terms("fixed_bond", BOND), market)
    income = 3 * market.discount("USD", np.array([(dt.date(2020, 7, 15) - TODAY).days / 365]))[0]
    delivered = market.discount("USD", np.array([(dt.date(2020, 12, 16) - TODAY).days / 365]))[0]
    accrued = (
        3 * (dt.date(2020, 12, 16) - dt.date(2020, 7, 15)).days / (dt.date(2021, 1, 15) - dt.date(2020, 7, 15)).days
    )
    np.testing.assert_allclose(value(forward(), market), spot - income - (101 + accrued) * delivered, rtol=1e-12)
    # a future on one bond with the factor 1 is at the same price, and its gain is not discounted
    bond = {k: BOND[k] for k in ("issue_date", "maturity", "coupon")}
    alone = future([bond | {"conversion_factor": 1.0}], delivery="2020-12-16", strike=101.0)
    np.testing.assert_allclose(value(alone, market) * delivered, value(forward(), market), rtol=1e-12)


def test_on_the_day_of_delivery_it_is_the_bond_against_the_price():
    market = make_market(TODAY, CURVE)
    spot = float(value(parse_terms("fixed_bond", BOND), market)[0])
    accrued = 3 * (TODAY - dt.date(2020, 1, 15)).days / (dt.date(2020, 7, 15) - dt.date(2020, 1, 15)).days
    assert value(forward(delivery="2020-03-16"), market)[0] == pytest.approx(spot - accrued - 101, rel=1e-13)
    with pytest.raises(NotValuable, match="It matured on 2020-03-15") as error:
        value(forward(delivery="2020-03-15"), market)
    assert error.value.reason == "matured"


def test_a_coupon_due_on_a_holiday_and_paid_after_delivery_is_the_buyers_and_paid_for():
    """Saturday 14 March's coupon is paid on Monday; who takes delivery on Sunday gets it and has paid all of it as accrued."""
    market = make_market(dt.date(2020, 3, 10), {"YC:USD:1Y": 0.0})
    terms = forward(issue_date="2019-09-14", maturity="2021-03-14", delivery="2020-03-15", strike=100.0)
    assert value(terms, market)[0] == pytest.approx(100 + 9 - (100 + 3))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: forward(delivery="2028-07-15"), "delivery 2028-07-15 must lie between issue_date 2018-07-15 and before maturity"),
        (lambda: future([]), "basket must hold a bond or more"),
        (lambda: future([{"issue_date": "2019-01-01"}]), "basket: entry 1, maturity: is missing; expected: deliverable bonds, as JSON"),
        (
            lambda: future([{"issue_date": "2019-01-01", "maturity": "2020-03-01", "coupon": 0.01, "conversion_factor": 1}]),
            "a bond of the basket runs from 2019-01-01 to 2020-03-01, but delivery is on 2020-03-16",
        ),
        (
            lambda: future([{"issue_date": "2019-01-01", "maturity": "2030-03-01", "coupon": 0.01, "conversion_factor": 0}]),
            "deliverable bonds, as JSON",
        ),
    ],
)  # fmt: skip
def test_terms_that_are_not_valid_are_refused_with_what_is_expected(made, words):
    with pytest.raises(BadInput, match=words):
        made()


def test_a_basket_reads_as_json():
    bonds = '[{"issue_date": "2018-05-15", "maturity": "2028-05-15", "coupon": 0.0288, "conversion_factor": 0.8053}]'
    texts = {"frequency": "2", "discount_curve": "USD", "delivery": "2020-06-30", "strike": "120", "basket": bonds}
    terms = parse_terms("bond_future", texts | {"currency": "USD"})
    assert isinstance(terms, Terms)
    assert terms.basket[0].conversion_factor == 0.8053
