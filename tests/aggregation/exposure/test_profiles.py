"""Profiles of exposure: closed forms, averages over time, netting, contributions that add up."""

import dataclasses
import datetime as dt
import math
from fractions import Fraction

import numpy as np
import pytest
from exposure_paths import TODAY, agreement, along, book, netting, paths_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from aggregation.exposure import along_paths, netted, profiles
from aggregation.exposure.netted import covered, net_on_paths
from aggregation.exposure.profile_contributions import Contributions, items_of
from aggregation.exposure.profiles import Asked, profile
from aggregation.kernels.exposure_profile import at_rank, effective, means, quantiles, time_weights

DAYS = [TODAY + dt.timedelta(days=d) for d in (30, 91, 182, 365, 730)]
LEVELS = (Fraction(95, 100), Fraction(99, 100))
ASKED = Asked(LEVELS, 1, 1.0)
ASKED_975 = Asked((Fraction(975, 1000),), 1, 1.0)


def one(values, **told):
    """The profile of one trade alone."""
    paths = paths_of({"c": values}, DAYS[: len(values)], **told)
    held = book([{"trade": "T", "contract": "c", "quantity": 1.0}])
    return profile(along(paths, held, netting(held, {"T": "trade:T"}, [])), np.zeros(1, np.int32), 1, ASKED)


def test_expected_and_potential_exposure_of_a_normal_value():
    """EE = mu Phi(mu/sigma) + sigma phi(mu/sigma), PFE = mu + sigma z, on the points of a stratified sample."""
    n, mu, sigma = 100_000, 0.05, 0.1
    sample = mu + sigma * norm.ppf((np.arange(n) + 0.5) / n)
    found = one(np.stack([sample]))
    closed = mu * norm.cdf(mu / sigma) + sigma * norm.pdf(mu / sigma)
    assert closed == pytest.approx(0.0697797, abs=5e-8)
    assert found.ee[0, 1] == pytest.approx(closed, abs=1e-6)
    assert found.pfe[:, 0, 1] == pytest.approx([mu + sigma * norm.ppf(float(a)) for a in LEVELS], abs=2e-5)
    centred = one(np.stack([sigma * norm.ppf((np.arange(n) + 0.5) / n)]))
    assert centred.ee[0, 1] == pytest.approx(0.398942 * sigma, abs=1e-6)


def test_standard_errors_are_those_of_independent_draws():
    """The error told is the scatter of the figure over independent samples; PFE's within the few per cent that 400 samples leave."""
    rng = np.random.default_rng(7)
    n, samples = 1000, 400
    drawn = np.maximum(rng.normal(0.0, 1.0, (samples, n)), 0.0)
    mean, error = means(drawn, 1)
    assert float(np.mean(error)) == pytest.approx(float(np.std(mean, ddof=1)), rel=0.1)
    found, errors = quantiles(drawn, [Fraction(95, 100)])
    assert float(np.mean(errors)) == pytest.approx(float(np.std(found, ddof=1)), rel=0.12)
    # asymptotically sqrt(a (1 - a) / n) / phi(z)
    z = norm.ppf(0.95)
    assert float(np.mean(errors)) == pytest.approx(math.sqrt(0.95 * 0.05 / n) / norm.pdf(z), rel=0.1)


def test_the_error_of_antithetic_pairs_is_that_of_their_means():
    pairs = np.array([[1.0, 3.0, 2.0, 2.0, 0.0, 4.0]])
    assert means(pairs, 2)[1].tolist() == [0.0]
    assert means(pairs, 1)[1][0] == pytest.approx(np.std(pairs, ddof=1) / math.sqrt(6))


def test_effective_epe_of_the_published_aggregation():
    """Undiscounted EE of a published example: 127,643, 207,795, 291,990 and 333,957 average to 240,793, the right end of each interval
    counting; what falls later does not lower the effective EE."""
    times = np.array([0.248634, 0.497268, 0.754098, 1.003002])
    expected = np.array([127_643.0, 207_795.0, 291_990.0, 333_957.0])
    assert math.fsum(time_weights(times) * expected) == pytest.approx(240_793.45, abs=0.005)
    assert effective(np.array([[0.0, *expected, 327_612.0]])).tolist() == [[0.0, *expected, 333_957.0]]


def test_the_first_year_ends_with_the_year():
    weights = time_weights(np.array([0.5, 0.75, 1.5, 3.0]), 1.0)
    assert weights.tolist() == [0.5, 0.25, 0.25, 0.0]
    assert time_weights(np.array([0.25, 0.5]), 1.0).tolist() == [0.5, 0.5]


def test_a_quantile_has_its_exact_rank():
    values = np.arange(1.0, 501.0)[None]
    found, _ = quantiles(values, [Fraction(99, 100)])
    assert found[0, 0] == 496.0  # the fifth greatest, not the sixth
    assert values[0, at_rank(values[0], Fraction(99, 100))] == 496.0


SHAPES = {
    "half below zero": lambda rng, n: np.maximum(rng.normal(0.0, 1.0, n), 0.0),
    "above zero": lambda rng, n: rng.lognormal(3.0, 2.0, n),
    "nearly none above zero": lambda rng, n: np.where(rng.random(n) < 0.02, rng.random(n), 0.0),
    "few different": lambda rng, n: rng.integers(0, 4, n).astype(np.float64),
    "all alike": lambda rng, n: np.full(n, 7.0),
    "nothing": lambda rng, n: np.zeros(n),
    "one far away": lambda rng, n: np.append(rng.random(n - 1), 1e300),
    "close together": lambda rng, n: 1e9 + rng.random(n) * 1e-6,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 2, 9, 100, 1000, 20_001])
def test_quantiles_are_order_statistics_whatever_the_shape(shape, n):
    values = SHAPES[shape](np.random.default_rng(n), n)
    levels = [Fraction(1, 2), Fraction(9, 10), *LEVELS]
    for asked in (levels, levels[2:], levels[3:]):
        found, _ = quantiles(values[None], asked)
        ranked = np.sort(values)[::-1]
        assert found[:, 0].tolist() == [ranked[math.ceil(n * (1 - a)) - 1] for a in asked]


def test_a_quantile_of_what_is_no_number_is_none():
    found, errors = quantiles(np.array([[1.0, math.nan, 2.0], [1.0, 2.0, 3.0]]), [Fraction(1, 2)])
    assert found[0].tolist() == [pytest.approx(math.nan, nan_ok=True), 2.0]
    assert math.isnan(errors[0, 0])


def test_undiscounted_and_discounted():
    values = np.array([[1.0, -1.0], [2.0, 4.0]])
    half = np.full((2, 2), 0.5)
    found = one(values, discounts={"USD": half}, base={"c": 3.0})
    assert found.ee.tolist() == [[3.0, 0.5, 3.0]]
    assert found.discounted_ee.tolist() == [[3.0, 0.25, 1.5]]
    assert found.effective_ee.tolist() == [[3.0, 3.0, 3.0]]
    assert found.eepe.tolist() == [3.0]
    assert found.ene.tolist() == [[0.0, 0.5, 0.0]]


def scattered(seed: int, n_paths: int = 70):
    """Six trades in three netting sets, one of a trade alone, in two currencies, two margined."""
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(5)]
    values = {n: rng.normal(0.0, 10.0, (len(DAYS), n_paths)) for n in names}
    rates = np.exp(rng.normal(0.1, 0.1, (len(DAYS), n_paths)))
    paths = paths_of(
        values,
        DAYS,
        base={n: float(rng.normal()) for n in names},
        currencies={"c1": "EUR", "c3": "EUR"},
        spots={"EUR": rates},
    )
    trades = [
        {"trade": f"T{i}", "contract": names[i % 5], "quantity": float(rng.integers(-5, 6)), "desk": f"D{i % 2}"}
        for i in range(8)
    ]
    held = book(trades)
    of = {f"T{i}": ("A", "B", "trade:alone")[0 if i < 4 else 1 if i < 7 else 2] for i in range(8)}
    under = [
        agreement("A", threshold=5.0, minimum_transfer_amount=1.0, independent_amount=2.0),
        agreement("B", margined=False, margin_period_days=None),
    ]
    return paths, held, netting(held, of, under)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_invariants(seed):
    paths, held, sets = scattered(seed)
    of = along(paths, held, sets, spot=lambda c: 1.1 if c == "EUR" else 1.0)
    by_set = profile(of, np.arange(3, dtype=np.int32), 3, ASKED)
    total = profile(of, np.zeros(3, np.int32), 1, ASKED)
    for p in (by_set, total):
        np.testing.assert_allclose(p.ee - p.ene, p.value - p.held, atol=1e-9)
        assert (np.diff(p.effective_ee, axis=1) >= 0).all()
        assert (p.effective_ee >= p.ee).all()
        assert (p.pfe[1] >= p.pfe[0]).all()
        assert (p.eepe >= p.epe_year - 1e-12).all()
    np.testing.assert_allclose(by_set.ee.sum(axis=0), total.ee[0], rtol=1e-12)
    # netting never adds: what nets as one is at most the sum of its trades alone
    free = netting(held, {f"T{i}": f"trade:T{i}" for i in range(8)}, [])
    without = profile(along(paths, held, free, spot=of.spot), np.zeros(len(free), np.int32), 1, ASKED)
    plain = profile(
        along(paths, held, sets, spot=of.spot, collateralised=np.zeros(3, np.bool_)), np.zeros(3, np.int32), 1, ASKED
    )
    assert (plain.ee <= without.ee + 1e-9).all()


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 2.0, 4.0]))
def test_scaling_all_amounts_scales_every_figure(seed, factor):
    paths, held, sets = scattered(seed)
    one_ = profile(along(paths, held, sets), np.zeros(3, np.int32), 1, ASKED)
    scaled = book(
        [
            {"trade": t, "contract": c, "quantity": factor * q}
            for t, c, q in zip(
                held.columns["trade"].members.take(held.columns["trade"].codes).to_pylist(),
                np.repeat(held.contract_ids.to_pylist(), np.diff(held.starts)).tolist(),
                held.quantity.tolist(),
                strict=True,
            )
        ]
    )
    terms = [a.converted("USD", factor) for a in sets.agreements]
    of = {
        t: sets.ids[c]
        for t, c in zip(
            held.columns["trade"].members.take(held.columns["trade"].codes).to_pylist(), sets.code, strict=True
        )
    }
    two = profile(along(paths, scaled, netting(scaled, of, terms)), np.zeros(3, np.int32), 1, ASKED)
    for name in ("ee", "ene", "pfe", "epe", "eepe", "ee_se", "pfe_se"):
        np.testing.assert_array_equal(getattr(two, name), factor * getattr(one_, name))


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_order_of_paths_and_threads(seed):
    """Threads change no bit; the order of the paths changes means by rounding alone, and quantiles not at all."""
    paths, held, sets = scattered(seed, 130)
    group = np.arange(3, dtype=np.int32)
    one_, two = (profile(along(paths, held, sets, threads=n), group, 3, ASKED) for n in (1, 2))
    for name in ("ee", "ene", "pfe", "ee_se", "epe_se", "eepe_se", "value", "held"):
        np.testing.assert_array_equal(getattr(one_, name), getattr(two, name))
    source = paths.source
    turned = paths_of(
        {c: source.all_values[:, i, ::-1] for i, c in enumerate(paths.contract_ids.to_pylist())},
        DAYS,
        base=dict(zip(paths.contract_ids.to_pylist(), paths.base.tolist(), strict=True)),
        currencies=dict(zip(paths.contract_ids.to_pylist(), paths.currencies, strict=True)),
        spots={"EUR": source.spots["EUR"][:, ::-1]},
    )
    three = profile(along(turned, held, sets), group, 3, ASKED)
    np.testing.assert_array_equal(three.pfe, one_.pfe)
    np.testing.assert_allclose(three.ee, one_.ee, rtol=1e-12, atol=1e-12)


class Nobody:
    """A watcher that does nothing: with one all netting sets of a date are there before their groups are read."""

    def date(self, exposed, ee, ranked):
        pass


@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(0, 0, 0), (0, 1, 2), (1, 0, 1)]),
    st.sampled_from([[True] * 5, [False, True, False, True, True]]),
    st.sampled_from([0, 5, 25, 80]),
    st.booleans(),
)
def test_a_group_at_a_time_has_the_bits_of_a_date_at_a_time(seed, group, reported, lag, total):
    paths, held, sets = scattered(seed)
    n, group = max(group) + 1, np.array(group, np.int32)
    told = {"spot": lambda c: 1.1 if c == "EUR" else 1.0, "reported": np.array(reported)}
    lags = [lag, None, None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "_UNEVEN", math.inf)  # three sets are never shared out evenly
        patch.setattr(profiles, "_LOT", 2)
        all_ways = [
            profile(along(paths, held, sets, lags, threads=t, **told), group, n, ASKED, w, total=total)
            for t, w in [(1, Nobody()), (2, Nobody()), (1, None), (2, None), (3, None)]
        ]
    first = dataclasses.asdict(all_ways[0])
    for other in all_ways[1:]:
        for name, values in dataclasses.asdict(other).items():
            np.testing.assert_array_equal(values, first[name], err_msg=name)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["paid", "unpaid", "own"]))
def test_contributions_add_up_to_the_last_bit(seed, flows):
    paths, held, sets = scattered(seed)
    of = along(paths, held, sets, flows=flows, spot=lambda c: 1.1 if c == "EUR" else 1.0)
    node = np.array([0, 0, 1], np.int32)
    items = items_of(of, covered(held, of.parts()[0].netting))
    assert len(items.position) == held.n_positions
    weights = [time_weights(np.array([(d - TODAY).days / 365 for d in DAYS]), u) for u in (None, 1.0)]
    rows = np.arange(len(items.of_set), dtype=np.int32)  # every item a row
    watcher = Contributions(of, items, node, 2, rows, len(rows), len(LEVELS), *weights)
    whole = profile(of, node, 2, ASKED, watcher)
    at = node[items.of_set]

    def sums(parts):
        return [sum((Fraction(x) for x in parts[at == i].tolist()), Fraction(0)) for i in (0, 1)]

    for j in range(len(DAYS) + 1):
        for found, totals in [
            (watcher.ee[j], whole.ee[:, j]),
            *((watcher.pfe[j][i], whole.pfe[i, :, j]) for i in (0, 1)),
        ]:
            for exact, total in zip(sums(found), totals.tolist(), strict=True):
                assert float(exact) == pytest.approx(total, rel=1e-12, abs=1e-11)
                assert Fraction(float(exact)) == exact
    epe, ead = watcher.over_time(whole.epe, whole.eepe, 1.4)
    assert [float(x) for x in sums(epe)] == pytest.approx(whole.epe.tolist(), rel=1e-12, abs=1e-11)
    assert [float(x) for x in sums(ead)] == pytest.approx((1.4 * whole.eepe).tolist(), rel=1e-12, abs=1e-11)


def test_the_exposure_of_an_fx_forward_is_that_of_its_option():
    """Buy 10m euros at 1.12 in two years, spot 1.10, rates 4% and 2%, volatility 10%: the price of the exposure at each date is N e^(-rT)
    times Black's call on the forward. Figures computed from the closed form; 40,000 paths, within three standard errors."""
    spot, strike, rd, rf, vol, end, n = 1.10, 1.12, 0.04, 0.02, 0.10, 2.0, 40_000
    times = np.array([0.25, 0.5, 1.0, 1.5, 2.0])
    days = [TODAY + dt.timedelta(days=round(365 * t)) for t in times]
    rng = np.random.default_rng(11)
    steps = rng.standard_normal((len(times), n)) * np.sqrt(np.diff(times, prepend=0.0))[:, None]
    price = spot * np.exp((rd - rf - vol**2 / 2) * times[:, None] + vol * np.cumsum(steps, axis=0))
    left = end - times[:, None]
    values = 1e7 * (price * np.exp(-rf * left) - strike * np.exp(-rd * left))
    paths = paths_of(
        {"c": values},
        days,
        base={"c": 1e7 * (spot * math.exp(-rf * end) - strike * math.exp(-rd * end))},
        discounts={"USD": np.repeat(np.exp(-rd * times)[:, None], n, axis=1)},
    )
    held = book([{"trade": "T", "contract": "c", "quantity": 1.0}])
    found = profile(along(paths, held, netting(held, {"T": "T"}, [])), np.zeros(1, np.int32), 1, ASKED_975)
    assert found.value[0, 0] == pytest.approx(229_780.75, abs=0.005)
    closed = np.array([343_217.17, 423_850.80, 541_784.82, 633_535.15, 711_283.45])
    discount = np.exp(-rd * times)
    np.testing.assert_array_less(np.abs(found.discounted_ee[0, 1:] - closed), 3 * found.ee_se[0, 1:] * discount)
    np.testing.assert_array_less(np.abs(found.ee[0, 1:] - closed / discount), 3 * found.ee_se[0, 1:])
    negative = np.array([113_436.42, 194_070.05, 312_004.07, 403_754.40, 481_502.70]) / discount
    np.testing.assert_array_less(np.abs(found.ene[0, 1:] - negative), 3 * found.ene_se[0, 1:])
    quantile = np.array([1_316_478, 1_806_308, 2_554_164, 3_182_055, 3_755_454])
    np.testing.assert_array_less(np.abs(found.pfe[0, 0, 1:] - quantile), 3 * found.pfe_se[0, 0, 1:])


def test_portions_of_contracts_change_no_bit(monkeypatch):
    paths, held, sets = scattered(3, 130)
    whole = net_on_paths(paths, held, sets)
    at_once = [whole.values(k, "USD") for k in range(len(DAYS))]
    monkeypatch.setattr(netted, "_PORTION_BYTES", 2 * 8 * 130)  # two contracts
    for k, expected in enumerate(at_once):
        np.testing.assert_array_equal(net_on_paths(paths, held, sets).values(k, "USD"), expected)
        for first, last in ((0, 1), (1, 3)):
            some = net_on_paths(paths, held, sets, first, last)
            np.testing.assert_array_equal(some.values(k, "USD", 2), expected[first:last])
    monkeypatch.setattr(along_paths, "_SETS_BYTES", 8 * 130)  # a netting set at once
    group, of = np.zeros(3, np.int32), along(paths, held, sets)
    one_by_one = profile(of, group, 1, ASKED)
    monkeypatch.undo()
    together = profile(of, group, 1, ASKED)
    np.testing.assert_array_equal(one_by_one.ee, together.ee)
    np.testing.assert_array_equal(one_by_one.pfe, together.pfe)


def test_values_are_quantities_times_values_at_the_rates_of_the_path():
    paths, held, sets = scattered(5)
    rows = dict(zip(paths.contract_ids.to_pylist(), range(5), strict=True))
    contracts = np.repeat(held.contract_ids.to_pylist(), np.diff(held.starts))
    expected = np.zeros((3, paths.n_paths))
    for place, code in zip(sets.position, sets.code, strict=True):
        row = rows[contracts[place]]
        expected[code] += held.quantity[place] * paths.values(2)[row] * paths.fx(2, paths.currencies[row], "USD")
    np.testing.assert_allclose(net_on_paths(paths, held, sets).values(2, "USD"), expected, rtol=1e-12, atol=1e-9)
