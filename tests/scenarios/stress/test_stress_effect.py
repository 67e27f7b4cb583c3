"""What stresses do to a market, against arithmetic by hand, NumPy and QuantLib, and against their own promises."""

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813 - its usual short name
from hypothesis import given, settings
from hypothesis import strategies as st
from stress_market import LEVELS, market
from support import factor

from lake.errors import BadInput, Issue
from scenarios.market.base_market import BaseMarket
from scenarios.stress import language
from scenarios.stress import model as m
from scenarios.stress.apply import AppliedScenario, IncludedScenario, axes_in, evaluate
from scenarios.stress.check import check, check_csv, check_text
from scenarios.stress.crosses import PairTree, product
from scenarios.stress.warnings import discount_factors, warnings
from scenarios.types import FactorIndex, RiskFactor

MARKET = market()


def nothing_stored(step: m.Include) -> IncludedScenario:
    raise BadInput(f"{step.name} is not stored")


def outcomes(text: str, here: BaseMarket = MARKET) -> list[AppliedScenario]:
    made, issues = evaluate(language.parse(text), here, "test", nothing_stored)
    assert issues == []
    return made


def faults(text: str, here: BaseMarket = MARKET) -> tuple[Issue, ...]:
    return check(language.parse(text), here, nothing_stored).faults


def moved(text: str, here: BaseMarket = MARKET, which: int = -1) -> dict[str, float]:
    """Levels of the factors that are shocked or derived, by id."""
    outcome = outcomes(text, here)[which]
    rows = sorted(outcome.named | outcome.derived.keys())
    still = [r for r in range(len(here.base)) if r not in rows]
    np.testing.assert_array_equal(outcome.levels[still, 0], here.base[still])
    return {here.index.factors[r].risk_factor_id: float(outcome.levels[r, 0]) for r in rows}


QUOTED = {
    factor("YC:USD_3M:3M", "deposit_rate", curve="USD_3M", pillar="3M"): 0.02,
    factor("YC:USD_3M:6M", "rate_future", curve="USD_3M", pillar="6M"): 98.5,
    factor("CPI:US", "price_index"): 258.0,
    factor("CDS:BAC:5Y", "cds_spread", curve="BAC", pillar="5Y"): 0.012,
    factor("REC:BAC", "recovery_rate"): 0.4,
    factor("CMD:WTI", "commodity_price"): 30.0,
    factor("IV:WTI", "implied_vol", attributes=(("asset", "CMD:WTI"),)): 0.3,
    factor("NV:WTI", "normal_price_vol", attributes=(("asset", "CMD:WTI"),)): 14.0,
    factor("NV:EUR_CAP", "normal_vol", "EUR"): 0.006,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a future is 100 less its rate in percent: 1.5% becomes 2.5%, or 3%
        ("rate +100bp", {"YC:USD_3M:3M": 0.03, "YC:USD_3M:6M": 97.5}),
        ("rate[ccy=USD] +100bp", {"YC:USD_3M:3M": 0.03, "YC:USD_3M:6M": 97.5}),
        ("vol[commodity] +10pt", {"IV:WTI": 0.4}),
        ("rate x2", {"YC:USD_3M:3M": 0.04, "YC:USD_3M:6M": 97.0}),
        ("rate[USD_3M] +10%", {"YC:USD_3M:3M": 0.022, "YC:USD_3M:6M": 98.35}),
        ("rate[type=rate_future] +0.25USD", {"YC:USD_3M:6M": 98.75}),
        ("rate[type=price_index] +2%", {"CPI:US": 263.16}),
        ("credit +50bp", {"CDS:BAC:5Y": 0.017}),
        ("credit[REC:*] -25%", {"REC:BAC": 0.3}),
        ("vol +10pt", {"IV:WTI": 0.4}),
        ("vol[NV:EUR*] +20bp", {"NV:EUR_CAP": 0.008}),
    ],
)
def test_a_class_alone_moves_what_is_quoted_alike(text: str, expected: Mapping[str, float]) -> None:
    factors = sorted(QUOTED)
    here = dataclasses.replace(MARKET, index=FactorIndex.of(factors), base=np.array([QUOTED[f] for f in factors]))
    assert moved(text, here) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("equity[region=US] -20%", {"EQ:AAPL": 48.0, "EQ:XOM": 28.0, "IDX:SPX": 1920.0}),
        ("equity[region=US, sector=Energy] -20%", {"EQ:XOM": 28.0}),
        ("equity[sector=Energy, region!=US] +10%", {"EQ:BP.L": 3.3}),
        ("equity[type=index_level] +100points", {"IDX:SPX": 2500.0}),
        ("equity[A*] -5USD", {"EQ:AAPL": 55.0}),
        ("equity[AAPL|XOM] x0.5", {"EQ:AAPL": 30.0, "EQ:XOM": 17.5}),
        ("equity[name=EQ:?OM] x2", {"EQ:XOM": 70.0}),
        ("equity[ccy=GBP] -1%", {"EQ:BP.L": 2.97}),
        ("vol[equity] +10pt", {"IV:AAPL": 0.9, "IV:SPX": 0.85}),
        ("vol[AAPL] +10pt", {"IV:AAPL": 0.9}),
        ("vol[commodity] -20%", {"IV:WTI": 0.96}),
        ("vol = 50%", {"IV:AAPL": 0.5, "IV:SPX": 0.5, "IV:WTI": 0.5}),
        ("rate[USD:10Y] +100bp", {"YC:USD:10Y": 0.017}),
        ("rate[USD:10Y] = 2.5%", {"YC:USD:10Y": 0.025}),
        ("rate[USD:10Y] = 0", {"YC:USD:10Y": 0.0}),
        ("rate[curve=JPY, pillar=2Y..10Y] -10bp", {"YC:JPY:2Y": -0.003, "YC:JPY:10Y": -0.0005}),
        ("rate[curve=JPY, pillar=2Y|30Y] +1pt", {"YC:JPY:2Y": 0.008, "YC:JPY:30Y": 0.013}),
        ("rate[USD] bucket(2Y..5Y:+10bp, 30Y:-5bp)", {"YC:USD:2Y": 0.005, "YC:USD:5Y": 0.006, "YC:USD:30Y": 0.0125}),
        ("credit[rating=HY] x1.5", {"CR:US_HY": 0.12}),
        ("commodity[WTI] -30%", {"CMD:WTI": 20.3}),
        ("factor[CMD:*|CR:*] x2", {"CMD:WTI": 58.0, "CR:US_HY": 0.16}),
        ("fx[EURUSD] = 0.95", {"FX:EURUSD": 0.95}),
        ("equity[AAPL] -20%; then equity[AAPL] +5USD", {"EQ:AAPL": 53.0}),
        ("equity[AAPL] +5USD; then equity[AAPL] -20%", {"EQ:AAPL": 52.0}),
    ],
)
def test_shocks_by_hand(text: str, expected: Mapping[str, float]) -> None:
    assert moved(text) == pytest.approx(expected, rel=1e-14)


def test_set_to_is_exact() -> None:
    assert moved("fx[EURUSD] = 0.95; rate[USD:2Y] = 1.25%") == {"FX:EURUSD": 0.95, "YC:USD:2Y": 0.0125}


@pytest.mark.parametrize(
    ("shape", "knots"),
    [
        ("steepener(2Y:-10bp, 30Y:+40bp)", {2: -10, 30: 40}),
        ("flattener(6M:+20bp, 10Y:-20bp)", {0.5: 20, 10: -20}),
        ("twist(2Y:-25bp, 5Y:+0bp, 30Y:+25bp)", {2: -25, 5: 0, 30: 25}),
        ("interpolated(3M:+5bp, 2Y:+50bp, 10Y:+80bp)", {0.25: 5, 2: 50, 10: 80}),
    ],
)
def test_shapes_are_linear_in_time_and_flat_outside(shape: str, knots: dict[float, float]) -> None:
    levels = moved(f"rate[USD] {shape}")
    years = {"3M": 0.25, "6M": 0.5, "2Y": 2.0, "5Y": 5.0, "10Y": 10.0, "30Y": 30.0}
    # QuantLib's linear interpolation is the independent one; it does not extrapolate flat, so its ends are clipped
    interpolation = ql.LinearInterpolation(list(map(float, knots)), list(map(float, knots.values())))
    for pillar, t in years.items():
        clipped = min(max(t, min(knots)), max(knots))
        base = MARKET.base[MARKET.index.row[f"YC:USD:{pillar}"]]
        assert levels[f"YC:USD:{pillar}"] == pytest.approx(base + interpolation(clipped) / 1e4, abs=1e-15)


def test_parallel_changes_nothing_but_the_words() -> None:
    assert moved("rate[USD] +25bp parallel") == moved("rate[USD] +25bp")


# currencies


def rate(levels: Mapping[str, float], base: str, quote: str) -> float:
    """A pair priced through EUR from the held pairs, by hand."""
    euro = {
        "EUR": 1.0,
        **{p: levels.get(f"FX:EUR{p}", MARKET.base[MARKET.index.row[f"FX:EUR{p}"]]) for p in ("USD", "JPY", "GBP")},
    }
    return float(euro[quote] / euro[base])


@pytest.mark.parametrize(
    ("text", "told", "still"),
    [
        ("fx[USDJPY] -10%", {"USDJPY": 0.9}, ["FX:EURUSD", "FX:EURGBP"]),
        ("fx[USDJPY] -10% moving USD", {"USDJPY": 0.9}, ["FX:EURJPY", "FX:EURGBP"]),
        ("fx[USDEUR] +10%", {"USDEUR": 1.1}, ["FX:EURJPY", "FX:EURGBP"]),
        ("fx[GBPUSD] -1%", {"GBPUSD": 0.99}, ["FX:EURUSD", "FX:EURJPY"]),
        ("fx[GBPUSD] -1% moving USD", {"GBPUSD": 0.99}, ["FX:EURGBP", "FX:EURJPY"]),
        ("fx[JPYUSD] +1%; fx[GBPUSD] -1%", {"JPYUSD": 1.01, "GBPUSD": 0.99}, ["FX:EURUSD"]),
        ("fx[GBPJPY] -2%; fx[GBPUSD] -1%", {"GBPJPY": 0.98, "GBPUSD": 0.99}, ["FX:EURUSD"]),
        ("fx[GBPUSD] -1%; fx[GBPJPY] -2%", {"GBPJPY": 0.98, "GBPUSD": 0.99}, ["FX:EURUSD"]),
        ("fx[USDJPY] -2%; fx[EURUSD] +5%", {"USDJPY": 0.98, "EURUSD": 1.05}, ["FX:EURGBP"]),
        ("fx[EURUSD|EURJPY] +5%", {"EURUSD": 1.05, "USDJPY": 1.0}, ["FX:EURGBP"]),
    ],
)
def test_crosses_do_what_is_said(text: str, told: Mapping[str, float], still: list[str]) -> None:
    levels = moved(text)
    for pair, ratio in told.items():
        expected = ratio * rate({}, pair[:3], pair[3:])
        assert rate(levels, pair[:3], pair[3:]) == pytest.approx(expected, rel=1e-13)
    assert not levels.keys() & set(still)


def test_the_leg_that_moves_is_stated() -> None:
    outcome = outcomes("fx[USDJPY] -10%")[0]
    row = MARKET.index.row["FX:EURJPY"]
    assert outcome.derived == {row: "moves so that USDJPY does what was said; FX:EURUSD unchanged"}
    assert outcome.named == set()
    assert outcome.crosses["USDJPY"][0] == pytest.approx(119 / 1.12)
    assert outcome.crosses["USDJPY"][1] == pytest.approx([0.9 * 119 / 1.12])


def with_cross() -> BaseMarket:
    """The market with USDJPY held too, quoted half a per mille beside the triangle."""
    return market({**LEVELS, factor("FX:USDJPY", "fx_rate", "JPY"): 119 / 1.12 * 1.0005})


@given(st.floats(-30, 30), st.floats(-30, 30))
@settings(deadline=None, max_examples=25)
def test_a_held_cross_keeps_its_spread(dollar: float, yen: float) -> None:
    here = with_cross()
    text = f"fx[EURUSD] {language.amount_text(round(dollar, 4), '%')}; fx[EURJPY] {language.amount_text(round(yen, 4), '%')}"
    levels = moved(text, here)
    assert levels["FX:USDJPY"] / (levels["FX:EURJPY"] / levels["FX:EURUSD"]) == pytest.approx(1.0005, rel=1e-13)


def test_a_shocked_held_cross_moves_the_triangle() -> None:
    levels = moved("fx[USDJPY] -10%", with_cross())
    assert levels["FX:USDJPY"] == pytest.approx(0.9 * 119 / 1.12 * 1.0005, rel=1e-14)
    assert levels["FX:EURJPY"] == pytest.approx(0.9 * 119, rel=1e-14)
    assert "FX:EURUSD" not in levels


def test_a_held_cross_may_say_its_leg_and_be_set_through_its_inverse() -> None:
    levels = moved("fx[USDJPY] -10% moving USD", with_cross())
    assert levels.keys() == {"FX:USDJPY", "FX:EURUSD"}
    assert levels["FX:EURUSD"] == pytest.approx(1.12 / 0.9, rel=1e-14)
    assert moved("fx[JPYUSD] = 0.01", with_cross())["FX:USDJPY"] == 100.0


def test_crosses_are_shown_after_all_steps() -> None:
    outcome = outcomes("fx[USDJPY] -10%; then fx[EURJPY] x2")[0]
    assert outcome.crosses["USDJPY"][1] == pytest.approx([0.9 * 2 * 119 / 1.12])


def test_every_pair_is_reached_through_the_tree() -> None:
    held = {"EURUSD": 1.1, "EURJPY": 120.0, "USDHKD": 7.8, "EURGBP": 0.9, "USDJPY": 109.0, "NOKSEK": 1.05}
    here = market({factor(f"FX:{p}", "fx_rate", p[3:]): v for p, v in held.items()})
    tree = PairTree(here.index)
    levels = here.base[:, None]
    in_euro = {"EUR": 1.0, "USD": 1 / 1.1, "JPY": 1 / 120, "HKD": 1 / 1.1 / 7.8, "GBP": 1 / 0.9}
    for a, b in itertools.permutations(in_euro, 2):
        assert product(tree.path(a, b), levels)[0] == pytest.approx(in_euro[a] / in_euro[b], rel=1e-14)
    with pytest.raises(BadInput, match="No held pairs lead from NOK to USD"):
        tree.path("NOK", "USD")
    levels_after = moved("fx[USDHKD] +1%; fx[EURUSD] +2%", here)
    assert levels_after.keys() == {"FX:USDHKD", "FX:EURUSD", "FX:USDJPY"}
    assert moved("fx[EURHKD] +5%", here).keys() == {"FX:USDHKD"}


# several scenarios, composites, grids


def test_then_and_beside_differ() -> None:
    first = moved("rate[USD:10Y] +100bp; then rate[USD:10Y] x2")["YC:USD:10Y"]
    assert first == pytest.approx(2 * 0.017)
    (issue,) = faults("rate[USD:10Y] +100bp; rate[pillar=10Y, ccy=USD] x2")
    assert issue.pointer == "/scenarios/0/steps/1"
    assert "Write `then` before it" in issue.message


def test_composites_scale_the_moves() -> None:
    text = (
        'scenario "a": equity[AAPL] -20%; vol[AAPL] +10pt; rate[USD:10Y] +100bp; fx[USDJPY] -10%\n'
        'scenario "b": include "a" x0.5; then equity[AAPL] -1USD\n'
        'scenario "c": include "a" x-1\n'
        'scenario "d": include "a"'
    )
    a, b, c, d = (moved(text, which=i) for i in range(4))
    assert b == pytest.approx(
        {"EQ:AAPL": 53.0, "IV:AAPL": 0.85, "YC:USD:10Y": 0.012, "FX:EURJPY": 119 * 0.95}, rel=1e-13
    )
    assert c == pytest.approx({"EQ:AAPL": 72.0, "IV:AAPL": 0.7, "YC:USD:10Y": -0.003, "FX:EURJPY": 130.9}, rel=1e-13)
    assert a == d


def test_includes_refuse_what_they_cannot_mean() -> None:
    later = 'scenario "b": include "a"\nscenario "a": equity -1%'
    assert [i.message for i in faults(later)] == ["a is not stored"]
    several = 'scenario "a": grid(equity -1%..+1% step 1%)\nscenario "b": include "a"'
    (issue,) = faults(several)
    assert 'say which, such as include "a" label "a: equity -1%"' in issue.message
    chosen = several + ' label "a: equity +1%"'
    assert moved(chosen)["EQ:AAPL"] == pytest.approx(60.6)
    (issue,) = faults(several + ' label "a: equity +2%"')
    assert "a: equity +1%" in issue.allowed


def test_a_grid_is_every_combination() -> None:
    text = "rate[USD:10Y] +10bp; grid(equity -20%..+20% step 10%, vol[AAPL] -5pt..+5pt step 2.5pt)"
    (outcome,) = outcomes(text)
    rows = MARKET.index.row
    spots, vols = (-20, -10, 0, 10, 20), (-5, -2.5, 0, 2.5, 5)
    assert outcome.levels.shape == (len(MARKET.base), 25)
    for i, (s, v) in enumerate(itertools.product(spots, vols)):
        assert outcome.levels[rows["EQ:AAPL"], i] == pytest.approx(60 * (1 + s / 100), rel=1e-15)
        assert outcome.levels[rows["IV:AAPL"], i] == pytest.approx(0.8 + v / 100, rel=1e-15)
        assert outcome.levels[rows["YC:USD:10Y"], i] == pytest.approx(0.008)
    assert outcome.labels[0] == "equity -20%, vol[AAPL] -5pt"
    assert len(set(outcome.labels)) == 25
    # each node is what the same steps written alone give, to the bit
    alone = outcomes("rate[USD:10Y] +10bp; equity +10%; vol[AAPL] -2.5pt")[0]
    np.testing.assert_array_equal(outcome.levels[:, 16], alone.levels[:, 0])
    assert outcome.labels[16] == "equity +10%, vol[AAPL] -2.5pt"


def test_grid_amounts_are_decimal() -> None:
    (outcome,) = outcomes("grid(equity[AAPL] -0.3%..+0.3% step 0.1%)")
    assert [x.rpartition(" ")[2] for x in outcome.labels] == [
        "-0.3%",
        "-0.2%",
        "-0.1%",
        "+0%",
        "+0.1%",
        "+0.2%",
        "+0.3%",
    ]
    assert outcome.levels[MARKET.index.row["EQ:AAPL"], 3] == 60.0


def test_a_grid_over_a_cross() -> None:
    (outcome,) = outcomes("grid(fx[USDJPY] -10%..+10% step 10%)")
    rows = MARKET.index.row
    usdjpy = outcome.levels[rows["FX:EURJPY"]] / outcome.levels[rows["FX:EURUSD"]]
    assert usdjpy == pytest.approx(119 / 1.12 * np.array([0.9, 1, 1.1]), rel=1e-14)


def test_too_many_levels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.stress.apply.MAX_LEVELS", 1000)
    with pytest.raises(BadInput, match="more than the 1,000 levels"):
        faults("grid(equity -50%..+50% step 1%)")


# faults


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("equity[region=USA] -1%", "line 1, column 15", "Nearest valid: US"),
        ("equity[region=US|XX] -1%", "line 1, column 18", "'XX'"),
        ("equity[region!=XX] -1%", "line 1, column 16", "'XX'"),
        ("equity[regoin=US] -1%", "line 1, column 8", "Nearest valid: region"),
        ('equity[region=UK, sector="Information Technology"] -1%', "line 1, column 1", "no factor meets all"),
        ("fx[EURUDS] -1%", "line 1, column 4", "Nearest valid: EURUSD"),
        ("fx[USDXXX] -1%", "line 1, column 4", "Unknown fx factor"),
        ("rate[curve=USD, pillar=4Y] +1bp", "line 1, column 24", "pillar of rate"),
        ("rate bucket(5Y:+10bp)", "line 1, column 1", "curve JPY"),
        ("equity +10bp", "line 1, column 8", "does not suit EQ:AAPL"),
        ("equity[AAPL] +10GBP", "line 1, column 14", "Expected: '%', 'USD'"),
        ("equity[SPX] +10USD", "line 1, column 13", "'points'"),
        ("vol = 0.2", "line 1, column 5", "does not suit IV:AAPL"),
        ("equity = 5", "line 1, column 1", "to one price"),
        ("rate +1%", "line 1, column 1", "YC:JPY:2Y is not positive"),
        ("equity -100%", "line 1, column 1", "must be positive"),
        ("vol[AAPL] -80pt", "line 1, column 1", "IV:AAPL"),
        ("fx[USDJPY] -100%", "line 1, column 1", "an exchange rate is positive"),
        ("fx[EURUSD] -1% moving EUR", "line 1, column 1", "moves itself"),
        ("fx[USDEUR] -1% moving EUR", "line 1, column 1", "moves itself"),
        ("fx[USDJPY] -1% moving GBP", "line 1, column 1", "names USD or JPY"),
        ("fx[USDJPY] -1%; fx[EURUSD] +1%; fx[EURJPY] +1%", "line 1, column 1", "contradicts"),
        ("fx[USDJPY] -1% moving JPY; fx[EURJPY] +1%", "line 1, column 1", "contradicts"),
        ("equity -1%; fx[USDJPY] -1% moving JPY; fx[EURJPY] +1%", "line 1, column 13", "contradicts"),
        ("fx[USDJPY] -1%; fx[GBPUSD] +1%; fx[GBPJPY] +1%", "line 1, column 33", "contradicts"),
        ("equity -1%; grid(vol -5pt..+5pt step 5pt, equity[AAPL] -1%..+1% step 1%)", "line 1, column 13", "already"),
        ("equity -1%; assert rate[EUR] > 0", "line 1, column 25", "Unknown rate factor"),
        ("equity -1%; assert rate[USD] > 1", "line 1, column 13", "does not suit"),
    ],
)
def test_a_fault_on_the_market_points_at_its_place(text: str, place: str, message: str) -> None:
    report = check_text(text, MARKET, nothing_stored)
    assert [i.pointer for i in report.faults] == [place]
    assert message in report.faults[0].message
    assert not report.ok


def test_consistent_shocks_on_a_whole_triangle_are_no_contradiction() -> None:
    levels = moved("fx[EURUSD] +10%; fx[EURJPY] +10%; fx[USDJPY] x1")
    assert levels == pytest.approx({"FX:EURUSD": 1.232, "FX:EURJPY": 130.9})


def test_a_factor_that_is_not_in_the_market_says_why() -> None:
    here = market(excluded={"CMD:BRENT": "no level since 2020-03-02"})
    (issue,) = faults("commodity[BRENT] -1%", here)
    assert issue.message == "CMD:BRENT is not in the market of this date: no level since 2020-03-02."


def test_all_faults_of_all_scenarios_are_listed() -> None:
    text = 'scenario "a": equity[XX] -1%; vol +1USD\nscenario "b": rate[curve=EUR] +1bp'
    report = check_text(text, MARKET, nothing_stored)
    assert [i.pointer for i in report.faults] == ["line 1, column 22", "line 1, column 35", "line 2, column 26"]


def test_a_csv_dry_run_lists_faults_of_cells_and_of_the_market() -> None:
    table = (
        "scenario,step,class,where,value,unit\n"
        ",shift,equity,AAPL,-200,%\n"
        ",shift,equity,region=UX,-20,%\n"
        ",shift,rate,USDD,abc,bp\n"
        ",shift,vol,,1,USD\n"
    )
    report = check_csv(table, MARKET, nothing_stored)
    assert [(i.pointer, i.value) for i in report.faults] == [
        ("row 2", None),
        ("row 3, column where", "UX"),
        ("row 4, column value", "abc"),
        ("row 4, column where", "USDD"),
        ("row 5, column unit", "USD"),
    ]
    assert report.faults[3].allowed[0] == "USD"
    sound = check_csv("step,class,value,unit\nshift,equity,-20,%\n", MARKET, nothing_stored)
    assert sound.ok


# assertions and warnings


def test_assertions_are_about_final_levels() -> None:
    text = (
        "assert equity[AAPL] < 50; assert rate[USD:10Y] >= 0.5%; assert fx[USDJPY] > 100; assert vol <= 130%; "
        "equity[AAPL] -10%; then equity[AAPL] -10%; fx[EURUSD] = 1.25"
    )
    report = check(language.parse(text), MARKET, nothing_stored)
    assert report.faults == ()
    assert report.failed == ("assert fx[USDJPY] > 100: FX:USDJPY is 95.2 in scenario",)


def test_an_assertion_must_hold_in_every_node_of_a_grid() -> None:
    text = "grid(equity[AAPL] -20%..+20% step 20%); assert equity[AAPL] < 61"
    (failed,) = outcomes(text)[0].failed
    assert failed == "assert equity[AAPL] < 61: EQ:AAPL is 72 in equity[AAPL] +20%"


def warned(text: str) -> list[str]:
    document = language.parse(text)
    return [w.message for w in warnings(document, MARKET, outcomes(text))]


def test_what_looks_wrong_is_told() -> None:
    assert warned("equity -20%; rate[USD] +100bp; commodity[WTI] -30%") == []
    assert warned("commodity[WTI] -40USD") == ["CMD:WTI turns from 29 to -11."]
    (share,) = warned("rate[USD] +1%")
    assert "write +1pt" in share
    (forward,) = warned("rate[USD] interpolated(3M:+1000bp, 30Y:-50bp)")
    assert forward == "Curve USD gets a negative forward rate from 10Y to 30Y in test."
    (discount,) = warned("rate[USD] interpolated(2Y:+0bp, 30Y:+4000bp)")
    assert discount.startswith("Curve USD has no positive discount factor from ")


def test_discount_factors_reprice_their_par_bonds() -> None:
    times, yields = np.array([0.25, 0.5, 1.0, 2.0, 5.0, 10.0]), np.array([0.01, 0.012, 0.015, 0.02, 0.025, 0.03])
    factors = discount_factors(times, yields[:, None], par=True)[:, 0]
    today = ql.Date(16, 3, 2020)
    ql.Settings.instance().evaluationDate = today
    assert factors[0] == pytest.approx(1 / (1 + 0.01 / 4), rel=1e-15)
    # a par bond at each whole year, bootstrapped by QuantLib on years of equal halves
    helpers = [
        ql.FixedRateBondHelper(
            ql.QuoteHandle(ql.SimpleQuote(100.0)),
            0,
            100.0,
            ql.Schedule(
                today, today + ql.Period(n, ql.Months), ql.Period(6, ql.Months), ql.NullCalendar(),
                ql.Unadjusted, ql.Unadjusted, ql.DateGeneration.Forward, False,
            ),
            [float(np.interp(n / 12, times, yields))],
            ql.Thirty360(ql.Thirty360.BondBasis),
        )
        for n in range(6, 121, 6)
    ]  # fmt: skip
    curve = ql.PiecewiseLogLinearDiscount(today, helpers, ql.Thirty360(ql.Thirty360.BondBasis))
    for t, f in zip(times[1:], factors[1:], strict=True):
        assert f == pytest.approx(curve.discount(today + ql.Period(round(12 * t), ql.Months)), rel=1e-9)
    zero = discount_factors(np.array([1.0, 2.0]), np.array([[0.01], [0.02]]), par=False)
    np.testing.assert_allclose(zero[:, 0], np.exp([-0.01, -0.04]))


def test_order_of_factors_does_not_matter() -> None:
    text = "equity[region=US] -20%; fx[USDJPY] -10%; rate[ccy=JPY] steepener(2Y:-10bp, 30Y:+40bp)"
    backwards: dict[RiskFactor, float] = dict(reversed(LEVELS.items()))
    assert moved(text) == moved(text, market(backwards))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "rate[USD] -25bp; grid(equity -20%..+20% step 20%, vol[equity] -5pt..+5pt step 10pt)",
            (("equity", ["-20%", "+0%", "+20%"]), ("vol[equity]", ["-5pt", "+5pt"])),
        ),
        (
            "grid(equity[region=US, sector!=Energy] -1%..+1% step 2%, fx[EURUSD] -5%..+5% step 5%)",
            (("equity[region=US, sector!=Energy]", ["-1%", "+1%"]), ("fx[EURUSD]", ["-5%", "+0%", "+5%"])),
        ),
        (
            'scenario "steep": grid(equity -1%..+1% step 1%, fx[EURUSD] -5%..+5% step 10%)',
            (("steep: equity", ["-1%", "+0%", "+1%"]), ("fx[EURUSD]", ["-5%", "+5%"])),
        ),
        ("grid(equity -20%..+20% step 10%)", None),
        ("grid(equity -1%..+1% step 1%, fx[EURUSD] -5%..+5% step 5%, rate[USD] -5bp..+5bp step 5bp)", None),
        ("equity -20%; fx[EURUSD] -5%", None),
    ],
)
def test_the_axes_of_a_grid_are_read_from_its_labels(text: str, expected: object) -> None:
    labels = [label for outcome in outcomes(text) for label in outcome.labels]
    assert axes_in(labels) == expected
    assert axes_in([*labels, "another"]) is None
    assert axes_in(labels[:-1] or ["one"]) is None
