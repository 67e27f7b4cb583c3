"""Backtest statistics against published figures, SciPy's own tests, exact enumeration and slow loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from aggregation.backtest.prescribed import attribution_zone, desk_limit, traffic_light_rules
from aggregation.kernels import backtest_statistics as bt


def rounded(value: float | None, text: str) -> bool:
    """Whether the value prints as the published text."""
    assert value is not None
    decimals = len(text.partition(".")[2])
    return f"{value:.{decimals}f}" == (text if not text.startswith((".", "-.")) else text.replace(".", "0.", 1))


RULES = traffic_light_rules()


def hits_at(days: int, *places: int) -> np.ndarray:
    hits = np.zeros(days, dtype=np.bool_)
    hits[list(places)] = True
    return hits


# Basel 1996: cumulative percent of 0 to 10 exceptions, and percent of as many or more
PRINTED = ("8.11", "28.58", "54.32", "75.81", "89.22", "95.88", "98.63", "99.60", "99.89", "99.97", "99.99")
TYPE_1 = {4: "24.19", 5: "10.78", 6: "4.12", 7: "1.37", 8: "0.40", 9: "0.11", 10: "0.03"}


class TestTrafficLight:
    @pytest.mark.parametrize(("exceptions", "printed"), list(enumerate(PRINTED)))
    def test_the_table_of_1996(self, exceptions: int, printed: str) -> None:
        light = bt.traffic_light(250, exceptions, 0.01, RULES)
        assert rounded(100 * light.probability, printed)
        assert light.zone == ("green" if exceptions <= 4 else "amber" if exceptions <= 9 else "red")
        if exceptions in TYPE_1:
            assert rounded(100 * light.type_1, TYPE_1[exceptions])

    def test_plus_factors_and_multipliers(self) -> None:
        lights = [bt.traffic_light(250, x, 1 - 0.99, RULES) for x in range(13)]
        assert [x.plus_factor for x in lights] == [0] * 5 + [0.40, 0.50, 0.65, 0.75, 0.85, 1.00, 1.00, 1.00]
        assert [x.multiplier for x in lights] == [1.5] * 5 + [1.70, 1.76, 1.83, 1.88, 1.92, 2.00, 2.00, 2.00]

    @pytest.mark.parametrize(("days", "p"), [(249, 0.01), (250, 0.025)])
    def test_tables_speak_of_250_days_at_99_percent_only(self, days: int, p: float) -> None:
        light = bt.traffic_light(days, 7, p, RULES)
        assert light.plus_factor is None
        assert light.multiplier is None

    @pytest.mark.parametrize("level", [0.95, 0.975, 0.99, 0.999])
    @pytest.mark.parametrize("days", [1, 2, 5, 20, 60, 250])
    def test_no_exception_is_green_and_the_zones_come_in_order(self, days: int, level: float) -> None:
        """One day at 0.99 has a cumulative probability of 99% with no exception, and was amber."""
        zones = [bt.traffic_light(days, x, 1 - level, RULES).zone for x in range(days + 1)]
        assert zones[0] == "green"
        steps = [zone for zone, _ in itertools.groupby(zones)]
        assert steps == ["green", "amber", "red"][: len(steps)]

    def test_published_example(self) -> None:
        light = bt.traffic_light(1043, 57, 0.05, RULES)
        assert rounded(light.probability, "0.77913")
        assert rounded(light.type_1, "0.26396")
        assert light.zone == "green"


class TestCounts:
    @pytest.mark.parametrize(
        ("days", "exceptions", "p", "ratio", "p_value"),
        [
            (1043, 57, 0.05, "0.46147", "0.49694"),  # MATLAB varbacktest, S&P, Normal95
            (252, 20, 0.05, "3.91", None),  # Jorion: J.P. Morgan in 1998
            (224, 5, 0.01, "2.544", "0.111"),  # a GARCH study
            (224, 7, 0.01, "6.535", "0.011"),
        ],
    )
    def test_kupiec_as_published(self, days: int, exceptions: int, p: float, ratio: str, p_value: str | None) -> None:
        outcome = bt.kupiec(days, exceptions, p)
        assert rounded(outcome.statistic, ratio)
        assert p_value is None or rounded(outcome.p_value, p_value)

    @pytest.mark.parametrize(
        ("p", "regions"),
        [
            (0.01, ((255, 1, 6), (510, 2, 10), (1000, 5, 16))),
            (0.025, ((255, 3, 11), (510, 7, 20), (1000, 16, 35))),
            (0.05, ((255, 7, 20), (510, 17, 35), (1000, 38, 64))),
            (0.075, ((255, 12, 27), (510, 28, 50), (1000, 60, 91))),
            (0.10, ((255, 17, 35), (510, 39, 64), (1000, 82, 119))),
        ],
    )
    def test_kupiec_regions_are_two_sided(self, p: float, regions: tuple[tuple[int, int, int], ...]) -> None:
        for days, low, high in regions:
            assert bt.kupiec_region(days, p) == (low, high)
            assert [bt.kupiec(days, x, p).rejected for x in (low - 1, low, high, high + 1)] == [
                True,
                False,
                False,
                True,
            ]

    def test_no_exception_at_all_is_too_few_for_255_days_and_has_a_number(self) -> None:
        outcome = bt.kupiec(255, 0, 0.01)
        assert rounded(outcome.statistic, "5.13")
        assert outcome.rejected
        assert outcome.sided == "two-sided"

    def test_a_region_may_be_empty(self) -> None:
        assert bt.kupiec_region(1, 0.5, 0.5) == (None, None)

    def test_all_exceptions_have_a_number_too(self) -> None:
        assert bt.kupiec(10, 10, 0.01).statistic == pytest.approx(-20 * math.log(0.01))

    def test_a_count_as_expected_is_no_evidence(self) -> None:
        assert bt.kupiec(200, 2, 0.01).statistic == 0.0

    def test_binomial_against_scipy(self) -> None:
        outcome = bt.binomial(1043, 57, 0.05)
        z = (57 - 1043 * 0.05) / math.sqrt(1043 * 0.05 * 0.95)
        assert outcome.statistic == pytest.approx(z)
        assert outcome.p_value == pytest.approx(2 * stats.norm.sf(z))
        exact = stats.binomtest(57, 1043, 0.05, alternative="greater").pvalue
        assert outcome.details["exact_p_value_upper"] == pytest.approx(exact)


class TestWhen:
    def test_independence_as_published(self) -> None:
        pairs = bt.independence(932, 53, 53, 4)
        assert rounded(pairs.statistic, "0.25866")
        assert rounded(pairs.p_value, "0.61104")
        joint = bt.conditional_coverage(bt.kupiec(1043, 57, 0.05), pairs)
        assert rounded(joint.statistic, "0.72013")
        assert rounded(joint.p_value, "0.69763")

    def test_jorion_1998(self) -> None:
        pairs = bt.independence(218, 14, 14, 6)
        assert rounded(pairs.statistic, "9.53")
        assert rounded(bt.conditional_coverage(bt.kupiec(252, 20, 0.05), pairs).statistic, "13.44")
        assert pairs.rejected

    def test_pairs_are_counted_as_a_loop_counts_them(self) -> None:
        hits = np.random.default_rng(3).random(400) < 0.2
        counted = {(a, b): 0 for a in (False, True) for b in (False, True)}
        for a, b in itertools.pairwise(hits.tolist()):
            counted[a, b] += 1
        assert bt.transitions(hits) == tuple(counted.values())

    def test_no_exception_is_no_evidence_of_dependence(self) -> None:
        outcome = bt.christoffersen(np.zeros(250, dtype=np.bool_))
        assert (outcome.statistic, outcome.p_value) == (0.0, 1.0)

    def test_one_day_has_no_pair(self) -> None:
        outcome = bt.christoffersen(np.ones(1, dtype=np.bool_))
        assert outcome.statistic is None
        assert outcome.rejected is None
        assert outcome.why == "fewer than two days"

    def test_independence_is_the_g_test_of_the_two_by_two_table(self) -> None:
        reference = stats.contingency.chi2_contingency([[932, 53], [53, 4]], correction=False, lambda_="log-likelihood")
        outcome = bt.independence(932, 53, 53, 4)
        assert outcome.statistic == pytest.approx(reference.statistic)
        assert outcome.p_value == pytest.approx(reference.pvalue)

    def test_time_until_first_failure_as_published(self) -> None:
        outcome = bt.first_failure(hits_at(1043, 57, 100), 0.05)
        assert outcome.details["first_failure"] == 58
        assert rounded(outcome.statistic, "1.7354")
        assert rounded(outcome.p_value, "0.18773")

    def test_without_failure_the_wait_is_all_the_days(self) -> None:
        outcome = bt.first_failure(np.zeros(250, dtype=np.bool_), 0.01)
        assert outcome.statistic == pytest.approx(-500 * math.log(0.99))
        assert outcome.details["first_failure"] is None

    def test_time_between_failures_is_the_sum_of_the_waits_and_the_count(self) -> None:
        hits = hits_at(500, 57, 60, 61, 300)
        p = 0.01
        by_hand = 0.0
        for wait in (58, 3, 1, 239):
            own = 1 / wait
            free = math.log(own) + ((wait - 1) * math.log(1 - own) if wait > 1 else 0.0)
            by_hand += -2 * (math.log(p) + (wait - 1) * math.log(1 - p) - free)
        outcome = bt.time_between_failures(hits, p)
        assert outcome.details["independence"] == pytest.approx(by_hand)
        assert outcome.details["degrees"] == 5
        assert outcome.statistic == pytest.approx(by_hand + bt.kupiec(500, 4, p).statistic)
        assert (outcome.details["shortest"], outcome.details["longest"]) == (1, 239)

    def test_with_one_failure_both_tests_of_waiting_agree(self) -> None:
        hits = hits_at(300, 40)
        between = bt.time_between_failures(hits, 0.01).details["independence"]
        assert between == pytest.approx(bt.first_failure(hits, 0.01).statistic)

    def test_waits_without_any_failure_leave_the_count(self) -> None:
        none = bt.time_between_failures(np.zeros(250, dtype=np.bool_), 0.01)
        assert none.statistic == pytest.approx(bt.kupiec(250, 0, 0.01).statistic)
        assert none.details["independence"] is None


class TestShortfall:
    def scores(self, pnl: np.ndarray, var: np.ndarray, es: np.ndarray, p: float, **more: object) -> tuple:
        null = bt.normal_tail(len(pnl), p)
        return bt.acerbi_szekely(pnl, var, es, p, null, "normal", simulations=2000, **more)  # type: ignore[arg-type]

    def test_statistics_as_a_loop_has_them(self) -> None:
        rng = np.random.default_rng(5)
        pnl, var, es = rng.normal(0, 1.4, 300), rng.uniform(1.5, 2.5, 300), rng.uniform(2.6, 3.0, 300)
        total, count = 0.0, 0
        for x, v, e in zip(pnl.tolist(), var.tolist(), es.tolist(), strict=True):
            if -x > v:
                total, count = total + x / e, count + 1
        z1, z2 = self.scores(pnl, var, es, 0.025)
        assert z1.statistic == pytest.approx(total / count + 1)
        assert z2.statistic == pytest.approx(total / (300 * 0.025) + 1)

    @pytest.mark.parametrize(("law", "critical", "tolerance"), [("normal", -0.34639, 0.02), ("t3", -0.42986, 0.04)])
    def test_published_critical_values(self, law: str, critical: float, tolerance: float) -> None:
        """MATLAB's example: 1966 days at 97.5%, test level 99%. The tolerance is four times the sampling error of 10,000."""
        null = bt.normal_tail(1966, 0.025) if law == "normal" else bt.student_tail(1966, 0.025, 3)
        flat = np.full(1966, 1.0)
        _, z2 = bt.acerbi_szekely(-0.5 * flat, flat, flat, 0.025, null, law, significance=0.01)
        assert z2.details["critical_value"] == pytest.approx(critical, abs=tolerance)

    @pytest.mark.parametrize("degrees", [None, 5.0])
    def test_simulated_sums_have_the_mean_and_variance_that_integration_gives(self, degrees: float | None) -> None:
        days, p, n = 50, 0.05, 40_000
        law = stats.norm if degrees is None else stats.t(degrees)
        q = law.isf(p)
        es = integrate.quad(lambda x: x * law.pdf(x), q, np.inf)[0] / p
        second = integrate.quad(lambda x: (x / es) ** 2 * law.pdf(x), q, np.inf)[0]
        null = bt.normal_tail(days, p) if degrees is None else bt.student_tail(days, p, degrees)
        sums, counts = null(np.random.default_rng(2), n)
        sd = math.sqrt(days * (second - p * p))
        assert sums.mean() == pytest.approx(-days * p, abs=5 * sd / math.sqrt(n))
        assert sums.std() == pytest.approx(sd, rel=0.05)
        assert counts.mean() == pytest.approx(days * p, rel=0.02)

    def test_scenarios_are_drawn_with_their_probability(self) -> None:
        pnl = np.array([-5.0, 3.0, -2.0, 1.0])
        weights = np.array([0.1, 0.5, 0.2, 0.2])
        day = bt.tail_of(pnl, 1.0, 4.0, weights)
        sums, counts = bt.of_scenarios([day] * 20)(np.random.default_rng(1), 20_000)
        assert counts.mean() == pytest.approx(20 * 0.3, rel=0.02)
        assert sums.mean() == pytest.approx(-20 * (0.1 * 5 + 0.2 * 2) / 4, rel=0.02)

    def test_the_loss_at_var_is_no_exception(self) -> None:
        assert len(bt.tail_of(np.array([-2.0, -1.0, 0.0]), 2.0, 2.0).size) == 0

    def test_without_exceptions_z1_is_not_defined_and_z2_is_one(self) -> None:
        flat = np.ones(100)
        z1, z2 = self.scores(flat, flat, flat * 2, 0.025)
        assert z1.statistic is None
        assert z1.why == "no exception"
        assert z2.statistic == 1.0
        assert z2.rejected is False

    def test_losses_twice_as_bad_are_rejected_and_the_same_seed_is_the_same_answer(self) -> None:
        pnl = np.random.default_rng(9).normal(0, 2, 500)
        q = stats.norm.isf(0.025)
        var, es = np.full(500, q), np.full(500, stats.norm.pdf(q) / 0.025)
        one, two = (self.scores(pnl, var, es, 0.025, seed=4) for _ in range(2))
        assert one == two
        assert one[1].rejected
        assert one[1].details["seed"] == 4

    def test_the_unit_of_money_does_not_matter(self) -> None:
        pnl = np.random.default_rng(9).normal(0, 1.3, 250)
        var, es = np.full(250, 1.96), np.full(250, 2.338)
        one, thousand = (self.scores(pnl * k, var * k, es * k, 0.025)[1].statistic for k in (1.0, 1000.0))
        assert one == pytest.approx(thousand)


class TestMultinomial:
    CELLS = (0.975, 0.00625, 0.00625, 0.00625, 0.00625)

    def test_pearson_and_likelihood_ratio_are_scipys(self) -> None:
        observed = [235, 6, 4, 0, 5]
        outcome = bt.multinomial(np.repeat(np.arange(5), observed), self.CELLS)
        expected = 250 * np.array(self.CELLS)
        pearson = stats.chisquare(observed, expected)
        likelihood = stats.power_divergence(observed, expected, lambda_="log-likelihood")
        assert outcome.details["pearson"] == pytest.approx(pearson.statistic)
        assert outcome.details["pearson_p_value"] == pytest.approx(pearson.pvalue)
        assert outcome.details["likelihood_ratio"] == pytest.approx(likelihood.statistic)
        assert outcome.details["likelihood_ratio_p_value"] == pytest.approx(likelihood.pvalue)
        assert outcome.details["observed"] == observed

    def test_nass_matches_the_exact_mean_and_variance_of_pearsons_statistic(self) -> None:
        """Every outcome of seven days over three cells, with its probability."""
        n, cells = 7, np.array([0.6, 0.3, 0.1])
        values, chances = [], []
        for a in range(n + 1):
            for b in range(n + 1 - a):
                counts = np.array([a, b, n - a - b])
                values.append(((counts - n * cells) ** 2 / (n * cells)).sum())
                chances.append(stats.multinomial.pmf(counts, n, cells))
        mean = np.dot(values, chances)
        variance = np.dot((np.array(values) - mean) ** 2, chances)
        outcome = bt.multinomial(np.array([0, 0, 0, 0, 1, 1, 2]), cells.tolist())
        c = outcome.statistic / outcome.details["pearson"]
        assert mean == pytest.approx(2)
        assert c == pytest.approx(2 * mean / variance)
        assert outcome.details["degrees"] == pytest.approx(c * mean)

    def test_with_one_level_pearson_is_the_square_of_the_binomial_z(self) -> None:
        outcome = bt.multinomial(np.repeat([0, 1], [243, 7]), (0.99, 0.01))
        assert outcome.details["pearson"] == pytest.approx(bt.binomial(250, 7, 0.01).statistic ** 2)


class TestAttribution:
    def test_published_p_values(self) -> None:
        assert rounded(bt.kolmogorov_p_value(0.09, 250), "0.2634")
        assert rounded(bt.kolmogorov_p_value(0.12, 250), "0.0546")

    @pytest.mark.parametrize(
        ("spearman", "distance", "zone"),
        [
            (0.81, 0.089, "green"),
            (0.80, 0.05, "amber"),
            (0.95, 0.09, "amber"),
            (0.70, 0.12, "amber"),
            (0.69, 0.01, "red"),
            (0.99, 0.121, "red"),
        ],
    )
    def test_zones(self, spearman: float, distance: float, zone: str) -> None:
        assert attribution_zone(spearman, distance) == zone

    def test_limits_of_desks(self) -> None:
        """MAR32.18: 12 at 99%, 30 at 97.5%, in 250 days."""
        assert [desk_limit(level, 250) for level in (0.99, 0.975, 0.95)] == [12, 30, None]
        assert desk_limit(0.99, 249) is None

    def test_both_figures_as_slow_loops_have_them_with_average_ranks(self) -> None:
        one = np.array([1.0, 2.0, 2.0, -3.0, 0.0, 0.0, 0.0, 5.0])
        two = np.array([2.0, 2.0, 1.0, -4.0, 0.5, 0.0, -1.0, 7.0])

        def ranks(x: np.ndarray) -> np.ndarray:
            return np.array([sum(y < v for y in x) + (sum(y == v for y in x) + 1) / 2 for v in x])

        found = bt.attribution(one, two, attribution_zone)
        assert found.spearman == pytest.approx(np.corrcoef(ranks(one), ranks(two))[0, 1])
        steps = [abs((one <= v).mean() - (two <= v).mean()) for v in np.concatenate([one, two])]
        assert found.kolmogorov_smirnov == pytest.approx(max(steps))

    def test_the_same_pnl_is_green_and_a_constant_has_no_figures(self) -> None:
        pnl = np.random.default_rng(1).normal(size=250)
        assert bt.attribution(pnl, pnl, attribution_zone).zone == "green"
        assert bt.attribution(pnl, -pnl, attribution_zone).zone == "red"
        assert bt.attribution(pnl, np.zeros(250), attribution_zone).zone is None
