"""Buckets, weights and correlations of SA-CVA, paragraph by paragraph, with their traps."""

import datetime as dt
import math

import pytest

from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.cva_parameters import SaCva
from aggregation.regulatory.sa_cva_charge import (
    Factor,
    class_capitals,
    correlation,
    gamma,
    spread_factor,
    weight_of,
)
from lake.errors import BadInput


@pytest.fixture(scope="module")
def rules():
    return regime_of("basel", dt.date(2024, 1, 2), None).section("sa_cva", SaCva)


def _capital(rules, *rows, reporting="USD"):
    return class_capitals(rules, rows, reporting)


def test_rates_of_a_main_currency(rules):
    """MAR50.54-50.56: 1.11% and 0.93% with 91% between one and two years."""
    one, two = (Factor("rates", "delta", "USD", t) for t in ("1Y", "2Y"))
    (found,) = _capital(rules, (one, 1e6, 0.0), (two, -1e6, 0.0))
    a, b = 0.0111e6, -0.0093e6
    assert found.capital == pytest.approx(math.sqrt(a * a + b * b + 2 * 0.91 * a * b))


def test_two_currencies(rules):
    (found,) = _capital(
        rules,
        (Factor("rates", "delta", "USD", "5Y"), 1e6, 0.0),
        (Factor("rates", "delta", "CHF", "parallel"), 1e6, 0.0),
    )
    a, b = 0.0074e6, 0.0158e6
    assert found.capital == pytest.approx(math.sqrt(a * a + b * b + 2 * 0.5 * a * b))


def test_the_reporting_currency_is_taken_by_tenor(rules):
    """MAR50.54: beside the seven, the currency that is reported in."""
    with pytest.raises(BadInput, match="rate factor of CHF"):
        _capital(rules, (Factor("rates", "delta", "CHF", "5Y"), 1.0, 0.0))
    assert _capital(rules, (Factor("rates", "delta", "CHF", "5Y"), 1.0, 0.0), reporting="CHF")


def test_fx(rules):
    (found,) = _capital(rules, (Factor("fx", "delta", "EUR"), 100.0, 0.0), (Factor("fx", "delta", "GBP"), 50.0, 0.0))
    assert found.capital == pytest.approx(0.11 * math.sqrt(100**2 + 50**2 + 2 * 0.6 * 100 * 50))
    with pytest.raises(BadInput, match="reporting currency"):
        _capital(rules, (Factor("fx", "delta", "USD"), 100.0, 0.0))


def _name(rules, name, sector="financial", rating="A", group=None, tenor="5Y"):
    return spread_factor(rules, name, sector, rating, group, tenor)


@pytest.mark.parametrize(
    ("sector", "ig", "hy"),
    [
        ("sovereign", 0.005, 0.02),
        ("local_government", 0.01, 0.04),
        ("financial", 0.05, 0.12),
        ("materials_energy_industrial", 0.03, 0.07),
        ("consumer_transport", 0.03, 0.085),
        ("technology_telecom", 0.02, 0.055),
        ("health_utilities", 0.015, 0.05),
        ("other", 0.05, 0.12),  # one implementation has high yield of bucket 7 at 5%
    ],
)
def test_weights_of_counterparties(rules, sector, ig, hy):
    assert weight_of(rules, _name(rules, "X", sector, "BBB"), "USD") == ig
    assert weight_of(rules, _name(rules, "X", sector, "NR"), "USD") == hy


def test_correlations_of_counterparties(rules):
    """MAR50.65: tenors 90%, names 90% where related and 50% else, quality 80%."""
    base = _name(rules, "X", group="G")
    rho = lambda other: correlation(rules, base, other, "USD")  # noqa: E731
    assert rho(_name(rules, "X", group="G", tenor="1Y")) == 0.9
    assert rho(_name(rules, "Y", group="G")) == 0.9
    assert rho(_name(rules, "Y", group="H")) == 0.5
    assert rho(_name(rules, "Y", group=None, rating="BB", tenor="1Y")) == pytest.approx(0.5 * 0.9 * 0.8)
    index = spread_factor(rules, "IG S40", "index", "BBB", "IG", "5Y", index=True)
    assert (
        correlation(rules, index, spread_factor(rules, "IG S41", "index", "BBB", "IG", "5Y", index=True), "USD") == 0.9
    )
    assert (
        correlation(rules, index, spread_factor(rules, "HY S40", "index", "BBB", "HY", "5Y", index=True), "USD") == 0.8
    )


def test_buckets_of_counterparties(rules):
    """The table that two sources print alike; a third has rows 2 to 6 shifted by a column."""
    rows = {"1": (10, 20, 25, 20, 15), "2": (5, 15, 20, 5), "3": (20, 25, 5), "4": (25, 5), "5": (5,)}
    for first, values in rows.items():
        for j, value in enumerate(values):
            second = str(int(first) + 1 + j)
            assert gamma(rules, "counterparty_spread", first, second) == value / 100
            assert gamma(rules, "counterparty_spread", second, first) == value / 100
    for b in "123456":
        assert gamma(rules, "counterparty_spread", b, "7") == 0.0
        assert gamma(rules, "counterparty_spread", b, "8") == 0.45
    assert gamma(rules, "counterparty_spread", "7", "8") == 0.0


def test_sovereigns_and_local_government_share_a_bucket(rules):
    (found,) = _capital(
        rules, (_name(rules, "S", "sovereign"), 1e4, 0.0), (_name(rules, "L", "local_government"), 1e4, 0.0)
    )
    assert found.buckets == ("1",)
    assert found.capital == pytest.approx(math.sqrt(50**2 + 100**2 + 2 * 0.5 * 50 * 100))


def test_reference_spreads_across_qualities_are_halved(rules):
    assert gamma(rules, "reference_spread", "1", "2") == 0.75
    assert gamma(rules, "reference_spread", "8", "9") == 0.75
    assert gamma(rules, "reference_spread", "1", "9") == 0.375
    assert gamma(rules, "reference_spread", "1", "8") == 0.5
    assert gamma(rules, "reference_spread", "15", "16") == 0.0
    assert gamma(rules, "reference_spread", "16", "17") == 0.75
    assert gamma(rules, "reference_spread", "3", "17") == 0.45


def test_equity_and_commodity_buckets(rules):
    assert gamma(rules, "equity", "1", "10") == 0.15
    assert gamma(rules, "equity", "12", "13") == 0.75
    assert gamma(rules, "equity", "2", "12") == 0.45
    assert gamma(rules, "equity", "11", "12") == 0.0
    assert gamma(rules, "commodity", "1", "7") == 0.2
    assert gamma(rules, "commodity", "11", "7") == 0.0
    assert weight_of(rules, Factor("equity", "vega", "5"), "USD") == 0.78
    assert weight_of(rules, Factor("equity", "vega", "12"), "USD") == 0.78
    assert weight_of(rules, Factor("equity", "vega", "9"), "USD") == 1.0


def test_there_is_no_vega_of_counterparties(rules):
    with pytest.raises(BadInput, match="no vega"):
        _capital(rules, (Factor("counterparty_spread", "vega", "2", "5Y", "X", "high_yield", "financial"), 1.0, 0.0))


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (Factor("equity", "delta", "14"), "bucket of equity"),
        (Factor("commodity", "delta", "2", "5Y"), "one factor"),
        (Factor("rates", "delta", "USD", "3Y"), "rate factor of USD"),
    ],
)
def test_what_the_rules_do_not_have_is_refused(rules, factor, said):
    with pytest.raises(BadInput, match=said):
        _capital(rules, (factor, 1.0, 0.0))


def test_contributions_and_order(rules):
    rows = [
        (_name(rules, n, s, r, tenor=t), a, h)
        for n, s, r, t, a, h in (
            ("A", "financial", "A", "5Y", 3e5, 1e5),
            ("A", "financial", "A", "1Y", -1e5, 0.0),
            ("B", "sovereign", "BB", "5Y", 7e5, 0.0),
            ("C", "other", "NR", "10Y", 2e5, 2e5),
            ("A", "financial", "A", "5Y", 1e5, 0.0),
        )
    ]
    (found,), (turned,) = _capital(rules, *rows), _capital(rules, *reversed(rows))
    assert (found.capital, found.factors) == (turned.capital, turned.factors)
    parts = [x for f in found.factors for x in (f.of_cva, f.of_hedges)]
    assert math.fsum(parts) == pytest.approx(found.capital, rel=1e-12)
    assert len(found.factors) == 4
