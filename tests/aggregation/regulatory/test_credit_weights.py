"""Risk weights of counterparties against the Committee's tables, closed forms and what holds for every exposure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.integrate import quad

from aggregation.exposure.reference import Counterparty, ReferenceData
from aggregation.kernels.credit_risk import asset_correlation, capital, maturity_factor
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.credit.parameters import Credit
from aggregation.regulatory.credit.weights import Approach, Obligor, RiskWeight, risk_weights
from lake.errors import BadInput

DAY = dt.date(2026, 1, 1)
CREDIT = regime_of("basel", DAY, None).section("credit", Credit)
ACME = Counterparty("Acme", DAY, None, "other", "BBB", None, None, "corporate", 0.01, 0.45, None, False, None, None)


def weight(
    approach: Approach = "foundation",
    years: float | None = None,
    parameters: Credit = CREDIT,
    cva_charged: bool = False,
    **more: Any,
) -> RiskWeight:
    who = dataclasses.replace(ACME, **more)
    known = ReferenceData(DAY, "counterparty", "counterparties", {"Acme": who})
    (found,) = risk_weights([Obligor("Acme", years)], known, parameters, approach, cva_charged=cva_charged)
    return found


def percent(found: RiskWeight) -> float:
    assert found.weight is not None
    return 100 * found.weight


# Basel II, annex 5, LGD 45% and M 2.5 years: corporates, and those with sales of 5 million EUR. Printed roundings differ from the formula
# by up to 0.011 at a few points.
ANNEX_5 = {
    0.0005: (19.65, 15.39),
    0.0010: (29.65, 23.30),
    0.0025: (49.47, 39.01),
    0.0040: (62.72, 49.49),
    0.0050: (69.61, 54.91),
    0.0075: (82.78, 65.14),
    0.0100: (92.32, 72.40),
    0.0130: (100.95, 78.77),
    0.0150: (105.59, 82.11),
    0.0200: (114.86, 88.55),
    0.0250: (122.16, 93.43),
}
# The final framework (CRE99, as in chapter 26 of SAMA's rules of December 2022), LGD 40% and M 2.5 years; other retail, LGD 45%.
FINAL = {
    0.0005: (17.47, 13.69, 6.63),
    0.0010: (26.36, 20.71, 11.16),
    0.0025: (43.97, 34.68, 21.15),
    0.0040: (55.75, 43.99, 28.42),
    0.0050: (61.88, 48.81, 32.36),
    0.0075: (73.58, 57.91, 40.10),
    0.0100: (82.06, 64.35, 45.77),
    0.0130: (89.73, 70.02, 50.80),
}


class TestPublished:
    @pytest.mark.parametrize("pd", ANNEX_5)
    def test_corporates_of_basel_ii_annex_5(self, pd: float) -> None:
        large, small = ANNEX_5[pd]
        of = {"pd": pd, "lgd": 0.45, "years": 2.5}
        assert percent(weight("advanced", **of)) == pytest.approx(large, abs=0.011)
        assert percent(weight("advanced", sales_million_eur=5.0, **of)) == pytest.approx(small, abs=0.011)

    def test_below_the_floor_of_pd_the_formula_itself_has_the_printed_figure(self) -> None:
        pd, lgd = np.array([0.0003]), np.array([0.45])
        r = asset_correlation(pd, np.array([0.12]), np.array([0.24]), np.array([50.0]))
        factor = maturity_factor(pd, np.array([2.5]), 0.11852, 0.05478, 2.5, 1.0)
        assert 1250 * capital(pd, lgd, r, factor, 0.999)[0] == pytest.approx(14.44, abs=0.005)
        assert weight(pd=0.0003).pd == 0.0005

    @pytest.mark.parametrize("pd", FINAL)
    def test_the_final_framework(self, pd: float) -> None:
        large, small, retail = FINAL[pd]
        assert percent(weight(pd=pd)) == pytest.approx(large, abs=0.011)
        assert percent(weight(pd=pd, sales_million_eur=5.0, credit_class="corporate_sme")) == pytest.approx(
            small, abs=0.011
        )
        assert percent(weight("advanced", pd=pd, credit_class="retail")) == pytest.approx(retail, abs=0.011)

    @pytest.mark.parametrize(
        ("credit_class", "weights"),
        [
            ("sovereign", (0, 0, 20, 50, 100, 100, 150, 100)),
            ("bank", (20, 20, 30, 50, 100, 100, 150)),
            ("corporate", (20, 20, 50, 75, 100, 150, 150, 100)),
            ("corporate_sme", (20, 20, 50, 75, 100, 150, 150, 85)),
            ("retail", (75,) * 8),
        ],
    )
    def test_standardised_weights(self, credit_class: str, weights: tuple[int, ...]) -> None:
        for rating, expected in zip(("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "NR"), weights, strict=False):
            found = weight("standardised", credit_class=credit_class, rating=rating)
            assert percent(found) == pytest.approx(expected, abs=1e-12)
            assert found.expected_loss is None
        assert percent(weight("standardised", credit_class=credit_class, rating="D")) == 150


class TestFormula:
    def test_capital_is_the_quantile_of_a_one_factor_model_less_the_expected_loss(self) -> None:
        normal, pd, lgd, r = NormalDist(), 0.02, 0.4, 0.18
        k = capital(np.array([pd]), np.array([lgd]), np.array([r]), np.ones(1), 0.999)[0]
        conditional = normal.cdf((normal.inv_cdf(pd) + math.sqrt(r) * normal.inv_cdf(0.999)) / math.sqrt(1 - r))
        assert k == pytest.approx(lgd * (conditional - pd), rel=1e-12)
        mean, _ = quad(
            lambda y: normal.pdf(y) * normal.cdf((normal.inv_cdf(pd) + math.sqrt(r) * y) / math.sqrt(1 - r)),
            -9,
            9,
            epsabs=1e-12,
        )
        assert mean == pytest.approx(pd, abs=1e-9)  # what is subtracted is the mean of the loss whose quantile is taken

    def test_one_year_has_a_maturity_factor_of_one(self) -> None:
        for pd in (0.0005, 0.01, 0.2):
            found = weight("advanced", years=1.0, pd=pd)
            assert found.maturity_factor == pytest.approx(1.0, abs=1e-15)

    def test_large_financials_have_a_quarter_more_correlation(self) -> None:
        plain, large = (
            weight(credit_class="bank", sector="financial"),
            weight(credit_class="bank", sector="financial", large_financial=True),
        )
        assert plain.correlation is not None
        assert large.correlation == 1.25 * plain.correlation
        assert percent(large) > percent(plain)

    @pytest.mark.parametrize(
        ("sales", "reduction"), [(0.5, 0.04), (5.0, 0.04), (27.5, 0.02), (49.999, 0.0), (50.0, 0.0), (900.0, 0.0)]
    )
    def test_small_firms_by_sales(self, sales: float, reduction: float) -> None:
        plain, small = weight(), weight(sales_million_eur=sales)
        assert plain.correlation is not None
        assert small.correlation is not None
        assert plain.correlation - small.correlation == pytest.approx(reduction, abs=1e-6)
        bank = weight(credit_class="bank", sales_million_eur=sales)
        assert bank.correlation == weight(credit_class="bank").correlation

    def test_capital_for_cva_caps_the_maturity_factor_at_one(self) -> None:
        assert weight("advanced", years=5.0, cva_charged=True).maturity_factor == 1.0
        assert (weight("advanced", years=5.0).maturity_factor or 0.0) > 1.5

    @given(st.floats(0.0005, 0.5), st.floats(0.05, 1.0), st.floats(1.0, 5.0), st.floats(1.001, 1.5))
    def test_more_lgd_and_longer_is_more_capital_and_less_than_the_loss(
        self, pd: float, lgd: float, years: float, more: float
    ) -> None:
        of: dict[str, Any] = {"credit_class": "sovereign", "pd": pd}
        one = percent(weight("advanced", years=years, lgd=lgd / 1.5, **of))
        assert percent(weight("advanced", years=years, lgd=lgd / 1.5 * more, **of)) == pytest.approx(
            one * more, rel=1e-9
        )
        assert percent(weight("advanced", years=min(5.0, years * more), lgd=lgd / 1.5, **of)) >= one * (1 - 1e-12)
        assert 0.0 <= percent(weight("advanced", years=1.0, lgd=lgd, **of)) <= 1250 * lgd * (1 - pd)


class TestApproaches:
    def test_foundation_takes_the_supervisory_lgd_and_two_and_a_half_years(self) -> None:
        found = weight(lgd=0.1, years=5.0)
        assert (found.lgd, found.years) == (0.4, 2.5)
        assert weight(sector="financial").lgd == 0.45
        assert weight(credit_class="bank").lgd == 0.45
        assert weight(credit_class="sovereign").lgd == 0.45

    def test_advanced_takes_own_lgd_and_maturity_between_their_limits(self) -> None:
        assert (weight("advanced", lgd=0.1).lgd, weight("advanced", lgd=0.6).lgd) == (0.25, 0.6)
        assert [weight("advanced", years=y).years for y in (0.1, 3.0, 30.0, None)] == [1.0, 3.0, 5.0, 2.5]
        assert weight("advanced", credit_class="retail", lgd=0.1).lgd == 0.3

    @pytest.mark.parametrize("of", [{"credit_class": "bank"}, {"sector": "financial"}, {"sales_million_eur": 501.0}])
    def test_own_lgd_are_not_permitted_for_some(self, of: dict[str, Any]) -> None:
        assert weight("advanced", years=4.0, **of) == weight("foundation", **of)
        assert weight("advanced", years=4.0, **of).approach == "foundation"

    def test_retail_has_own_estimates_alone_and_no_maturity(self) -> None:
        found = weight("foundation", credit_class="retail", lgd=0.5)
        assert (found.approach, found.lgd, found.years, found.maturity_factor) == ("advanced", 0.5, None, None)

    def test_a_sovereign_without_risk_of_default_has_no_capital(self) -> None:
        found = weight(credit_class="sovereign", pd=0.0)
        assert (found.weight, found.expected_loss, found.pd) == (0.0, 0.0, 0.0)
        assert weight(pd=0.0).pd == 0.0005

    def test_in_default_foundation_has_no_unexpected_loss_and_own_estimates_need_one(self) -> None:
        found = weight(rating="D", pd=1.0)
        assert (found.weight, found.expected_loss) == (0.0, 0.4)
        assert "no best estimate" in (weight("advanced", rating="D").reason or "")


class TestLacking:
    @pytest.mark.parametrize(
        ("approach", "of", "told"),
        [
            ("standardised", {"credit_class": None}, "has no credit_class"),
            ("foundation", {"pd": None}, "has no pd, which the foundation approach needs"),
            ("advanced", {"lgd": None}, "has no lgd, which the advanced approach needs"),
        ],
    )
    def test_what_lacks_something_has_a_reason_and_no_weight(
        self, approach: Approach, of: dict[str, Any], told: str
    ) -> None:
        found = weight(approach, **of)
        assert found.weight is None
        assert told in (found.reason or "")

    def test_an_unknown_counterparty_is_told_with_the_nearest(self) -> None:
        known = ReferenceData(DAY, "counterparty", "counterparties", {"Acme": ACME})
        of_nobody, of_other = risk_weights([Obligor(None, None), Obligor("Acne", None)], known, CREDIT, "standardised")
        assert (of_nobody.weight, of_nobody.reason) == (None, "The trades name no counterparty.")
        assert "Nearest of them: Acme" in (of_other.reason or "")

    def test_a_regime_without_a_rating_or_a_class_is_refused(self) -> None:
        data = CREDIT.model_dump()
        del data["standardised"]["weights"]["bank"]["CCC"]
        with pytest.raises(ValidationError, match="weights of class bank lack the ratings CCC"):
            Credit.model_validate(data)
        data = CREDIT.model_dump()
        del data["irb"]["classes"]["retail"]
        with pytest.raises(ValidationError, match="classes lack retail"):
            Credit.model_validate(data)
        with pytest.raises(BadInput, match="no section"):
            regime_of("basel", DAY, None).section("credit_", Credit)
