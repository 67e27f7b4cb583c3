"""Holidays of several markets, holes, windows by dates, horizons and shifts: each against plain arithmetic on the history."""

import dataclasses
import datetime as dt
import itertools
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from support import factor, new_lake, put_market, random_walks

from lake.errors import BadInput
from lake.tables import Lake
from scenarios import generators
from scenarios.market.calendars import closed_days, sessions
from scenarios.types import ScenarioSet

AS_OF = dt.date(2020, 3, 16)
FIRST = dt.date(2019, 6, 3)
DAYS = [d.item() for d in sessions("XNYS", FIRST, AS_OF)]
HOLIDAY = dt.date(2020, 2, 24)  # Tokyo was closed, New York was not
BEFORE, AFTER = dt.date(2020, 2, 21), dt.date(2020, 2, 25)

YORK = [factor("EQ:A", "equity_price"), factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y")]
TOKYO = [
    dataclasses.replace(f, source="tokyo")
    for f in (
        factor("EQ:T", "equity_price", "JPY"),
        factor("YC:JPY:10Y", "par_yield", "JPY", curve="JPY", pillar="10Y"),
    )
]
FACTORS = [*YORK, *TOKYO]

Market = dict[str, dict[dt.date, float | None]]


@pytest.fixture
def market() -> Market:
    made = random_walks(FACTORS, FIRST, AS_OF)
    for f in TOKYO:
        del made[f.risk_factor_id][HOLIDAY]
    return made


def lake_of(folder: Path, market: Market) -> Lake:
    made = new_lake(folder)
    put_market(made, FACTORS, market)
    return made


def build(lake: Lake, **parameters: object) -> ScenarioSet:
    return generators.generate(lake.snapshot(), "historical", {"market_date": AS_OF, **parameters}, "test")


def level(made: ScenarioSet, factor_id: str, label: str) -> float:
    return float(made.levels[made.index.row[factor_id], made.labels.index(label)])


def test_a_holiday_leaves_its_own_market_unchanged_and_no_other(tmp_path: Path, market: Market) -> None:
    made = build(lake_of(tmp_path, market), scenarios=100)
    assert made.dropped == {}
    assert made.holidays == {"2020-02-24": "unchanged: tokyo (2 factors)"}
    for f in TOKYO:
        series, base = market[f.risk_factor_id], made.base[made.index.row[f.risk_factor_id]]
        assert level(made, f.risk_factor_id, "2020-02-24") == base
        # the day after is one business day of Tokyo's own
        before, after = series[BEFORE], series[AFTER]
        assert before is not None
        assert after is not None
        expected = base + after - before if f.type == "par_yield" else base * after / before
        assert level(made, f.risk_factor_id, "2020-02-25") == pytest.approx(expected, rel=1e-13)
    assert level(made, "EQ:A", "2020-02-24") != made.base[made.index.row["EQ:A"]]


def test_gaps_drop_loses_the_holiday_and_no_move(tmp_path: Path, market: Market) -> None:
    made = build(lake_of(tmp_path, market), scenarios=100, gaps="drop")
    assert made.dropped == {"2020-02-24": "closed: tokyo (2 factors)"}
    assert made.holidays == {}
    kept = build(lake_of(tmp_path / "other", market), scenarios=100)
    common = [x for x in made.labels if x in kept.labels]
    assert len(common) == 99
    assert "2020-02-25" in common
    columns = [made.labels.index(x) for x in common], [kept.labels.index(x) for x in common]
    np.testing.assert_array_equal(made.levels[:, columns[0]], kept.levels[:, columns[1]])


def test_a_hole_beside_a_holiday_is_still_a_hole(tmp_path: Path, market: Market) -> None:
    del market["EQ:T"][BEFORE]  # Tokyo was open: its curve has a level
    made = build(lake_of(tmp_path, market), scenarios=100, max_dropped=0.03)
    # neither into the hole, nor on the holiday after it, nor out of it
    assert list(made.dropped) == ["2020-02-21", "2020-02-24", "2020-02-25"]
    assert set(made.dropped.values()) == {"no one-day move for EQ:T"}


def test_a_declared_calendar_tells_a_hole_of_a_whole_source_from_a_holiday(tmp_path: Path, market: Market) -> None:
    outage = dt.date(2020, 3, 4)
    for f in TOKYO:
        del market[f.risk_factor_id][outage]
    lake = lake_of(tmp_path, market)
    told = build(lake, scenarios=100)
    assert set(told.holidays) == {"2020-02-24", "2020-03-04"}  # from the observations alone both look alike
    declared = build(lake, scenarios=80, calendars={"tokyo": "XTKS"})
    assert "2020-02-24" in declared.holidays
    assert list(declared.dropped) == ["2020-03-04", "2020-03-05"]
    with pytest.raises(BadInput, match=r"Unknown source 'tokio'\. Nearest valid: tokyo"):
        build(lake, calendars={"tokio": "XTKS"})
    with pytest.raises(BadInput, match="XTKS"):
        build(lake, calendars={"tokyo": "XTKZ"})


def test_an_interruption_of_a_source_is_no_holiday(tmp_path: Path, market: Market) -> None:
    lost = DAYS[-40:-30]  # ten business days
    for f in TOKYO:
        for day in lost:
            market[f.risk_factor_id].pop(day, None)
    lake = lake_of(tmp_path, market)
    made = build(lake, scenarios=100, max_dropped=0.15)
    assert set(made.dropped) == {str(d) for d in DAYS[-40:-29]}
    assert set(made.holidays) == {"2020-02-24"}
    # by default those pay that lack the days
    paid = build(lake, scenarios=100)
    assert (paid.dropped, paid.labels) == ({}, tuple(map(str, DAYS[-100:])))
    assert set(paid.excluded) == {f.risk_factor_id for f in TOKYO}
    shorter = build(lake_of(tmp_path / "other", market), scenarios=100, max_holiday_days=10)
    assert shorter.dropped == {}


def test_a_holiday_on_the_market_date_holds_the_base(tmp_path: Path, market: Market) -> None:
    for f in TOKYO:
        del market[f.risk_factor_id][AS_OF]
    made = build(lake_of(tmp_path, market), scenarios=50)
    assert set(made.held) == {f.risk_factor_id for f in TOKYO}
    assert made.labels[-1] == str(AS_OF)
    assert level(made, "EQ:T", str(AS_OF)) == made.base[made.index.row["EQ:T"]]


def test_closed_days_by_hand() -> None:
    observed = np.array([c == "x" for c in "..x.x..x...x."])
    closed = "".join("c" if c else "." for c in closed_days(observed, 2))
    assert closed == "...c.cc.....c"  # not before the first; two in a row are, three are not; the latest counts as one
    assert not closed_days(np.zeros(5, dtype=bool), 2).any()


@pytest.mark.parametrize("shift", ["relative", "absolute"])
def test_horizon_of_ten_days(tmp_path: Path, market: Market, shift: str) -> None:
    made = build(
        lake_of(tmp_path, market), scenarios=100, horizon_days=10, shifts={"equity_price": {"shift_type": shift}}
    )
    assert made.horizon_days == 10
    assert made.labels == tuple(map(str, DAYS[-100:]))
    series, base = market["EQ:A"], made.base[made.index.row["EQ:A"]]
    for label in made.labels:
        end = DAYS.index(dt.date.fromisoformat(label))
        later, earlier = series[DAYS[end]], series[DAYS[end - 10]]
        assert earlier is not None
        assert later is not None
        expected = base * later / earlier if shift == "relative" else base + later - earlier
        assert level(made, "EQ:A", label) == pytest.approx(expected, rel=1e-12)


def test_moves_that_do_not_overlap(tmp_path: Path, market: Market) -> None:
    made = build(lake_of(tmp_path, market), scenarios=15, horizon_days=10, overlapping=False)
    assert made.labels == tuple(str(d) for d in DAYS[::-1][0:150:10][::-1])
    with pytest.raises(BadInput, match="history gives only 19"):
        build(lake_of(tmp_path / "other", market), scenarios=30, horizon_days=10, overlapping=False)


def test_window_by_dates(tmp_path: Path, market: Market) -> None:
    lake = lake_of(tmp_path, market)
    first, last = dt.date(2019, 9, 2), dt.date(2020, 1, 31)  # the first is a holiday
    made = build(lake, window_start=first, window_end=last)
    assert made.labels == tuple(str(d) for d in DAYS if first <= d <= last)
    assert made.base[0] == market["EQ:A"][AS_OF]  # an old window, onto today's market
    latest = build(lake, scenarios=30, window_end=last)
    assert latest.labels == made.labels[-30:]
    np.testing.assert_array_equal(latest.levels, made.levels[:, -30:])


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"window_start": "2019-09-02", "scenarios": 10}, "not both"),
        ({"window_start": "2020-02-01", "window_end": "2020-01-01"}, "window_start <= window_end"),
        ({"window_end": "2020-03-17"}, "window_end <= market_date"),
        ({"window_start": "2018-01-01", "window_end": "2018-06-30"}, "No day from 2018-01-01 to 2018-06-30"),
        ({"shifts": {"par_yeild": {"shift_type": "log"}}}, "nearest|par_yield"),
        ({"shifts": {"par_yield": {"shift_type": "absolute", "displacement": 0.01}}}, "no displacement"),
        ({"shifts": {"par_yield": {"shift_type": "logarithmic"}}}, "relative"),
        ({"shifts": "log"}, "expected a JSON object"),
        ({"gaps": "fill"}, "own-calendar"),
        ({"age_decay": 1.0}, "less than 1"),
        ({"horizon_days": 0}, "horizon_days"),
    ],
)
def test_bad_input_is_told(tmp_path: Path, market: Market, parameters: dict[str, object], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        build(lake_of(tmp_path, market), **parameters)


def test_displaced_shift_by_type_and_by_id(tmp_path: Path, market: Market) -> None:
    shifted = build(
        lake_of(tmp_path, market),
        scenarios=50,
        shifts={
            "par_yield": {"shift_type": "relative", "displacement": 0.03},
            "YC:JPY:10Y": {"shift_type": "log", "displacement": 0.02},
        },
    )
    label, day = "2020-03-05", DAYS.index(dt.date(2020, 3, 5))
    for name, displacement in (("YC:USD:10Y", 0.03), ("YC:JPY:10Y", 0.02)):
        earlier, later = market[name][DAYS[day - 1]], market[name][DAYS[day]]
        assert earlier is not None
        assert later is not None
        base = shifted.base[shifted.index.row[name]]
        ratio = (later + displacement) / (earlier + displacement)
        assert level(shifted, name, label) == pytest.approx((base + displacement) * ratio - displacement, rel=1e-12)


def test_a_table_of_shifts_may_come_as_text(tmp_path: Path, market: Market) -> None:
    lake = lake_of(tmp_path, market)
    text = build(lake, scenarios=50, shifts='{"par_yield": {"shift_type": "relative", "displacement": 0.03}}')
    table = build(lake, scenarios=50, shifts={"par_yield": {"shift_type": "relative", "displacement": 0.03}})
    assert text.definition == table.definition
    np.testing.assert_array_equal(text.levels, table.levels)


def test_a_ratio_from_a_level_below_zero_is_excluded_not_turned_around(tmp_path: Path, market: Market) -> None:
    market["YC:JPY:10Y"] = dict.fromkeys(market["YC:JPY:10Y"], -0.001)
    lake = lake_of(tmp_path, market)
    plain = build(lake, scenarios=50, shifts={"par_yield": {"shift_type": "relative"}})
    assert plain.excluded["YC:JPY:10Y"] == (
        "level -0.001 is too low for a relative shift; give it an absolute or a displaced one"
    )
    displaced = build(lake, scenarios=50, shifts={"par_yield": {"shift_type": "relative", "displacement": 0.01}})
    np.testing.assert_allclose(displaced.levels[displaced.index.row["YC:JPY:10Y"]], -0.001, rtol=1e-12)


def test_age_weights_travel_with_the_set(tmp_path: Path, market: Market) -> None:
    made = build(lake_of(tmp_path, market), scenarios=100, age_decay=0.98, gaps="drop")
    assert made.weights is not None
    assert math.fsum(made.weights) == pytest.approx(1, rel=1e-12)
    # 2020-02-24 was dropped: the ages on both sides of it still differ by two business days
    at = made.labels.index("2020-02-21")
    assert made.labels[at + 1] == "2020-02-25"
    assert made.weights[at] / made.weights[at + 1] == pytest.approx(0.98**2, rel=1e-12)


@pytest.mark.parametrize("target", ["forecast", "last_day"])
@pytest.mark.parametrize("seed", ["warm_up", "window", "sample"])
def test_volatility_scaling_by_a_plain_loop(tmp_path: Path, market: Market, seed: str, target: str) -> None:
    decay, warm_up = 0.94, 112 if seed == "warm_up" else 0
    how = {"volatility_decay": decay, "volatility_seed": seed, "volatility_target": target}
    made = build(lake_of(tmp_path, market), scenarios=60, **how)
    series = [market["EQ:A"][d] for d in DAYS]
    moves = [math.log(b / a) for a, b in itertools.pairwise(series) if a is not None and b is not None]
    start = len(moves) - 60 - warm_up
    if seed == "sample":
        variance = [statistics.variance(moves[start:])]
    else:
        first = moves[start : start + warm_up] or moves[start:]
        variance = [sum(m * m for m in first) / len(first)]
    for m in moves[start:]:
        variance.append(decay * variance[-1] + (1 - decay) * m * m)
    base = made.base[made.index.row["EQ:A"]]
    for i, label in enumerate(made.labels):
        now = variance[-1 if target == "forecast" else -2]
        scaled = moves[start + warm_up + i] * math.sqrt(now / variance[warm_up + i])
        assert level(made, "EQ:A", label) == pytest.approx(base * math.exp(scaled), rel=1e-11)


def test_a_way_of_scaling_needs_scaling(tmp_path: Path, market: Market) -> None:
    lake = lake_of(tmp_path, market)
    for more, says in (
        ({"volatility_seed": "sample"}, "volatility_seed has a meaning only where moves are scaled"),
        ({"volatility_target": "last_day"}, "volatility_target has a meaning only where"),
        ({"volatility_model": "garch", "volatility_seed": "window"}, "volatility_seed has a meaning only"),
        ({"volatility_model": "garch", "volatility_decay": 0.94}, "give volatility_decay, or volatility_model=garch"),
    ):
        with pytest.raises(BadInput, match=says):
            build(lake, scenarios=60, **more)


def test_a_price_is_never_scaled_below_zero(tmp_path: Path, market: Market) -> None:
    # 1% a day for a year but for one fall of 9%, then wilder and wilder: the fall times the ratio of volatilities is more than 100%
    days = list(market["EQ:A"])
    path, level_now, n = {}, 100.0, len(days)
    for i, day in enumerate(days):
        level_now *= 0.91 if i == n - 50 else 1.3 if i > n - 8 else 1.08 if i > n - 12 else 1 + 0.01 * (-1) ** i
        path[day] = level_now
    market["EQ:A"] = dict(path)
    lake = lake_of(tmp_path, market)
    made = build(lake, scenarios=60, volatility_decay=0.94)
    assert (made.levels[made.index.row["EQ:A"]] > 0).all()
    assert made.definition["shifts"]["equity_price"] == {"shift_type": "log", "displacement": 0.0}
    with pytest.raises(BadInput, match=r"EQ:A would stand at -.* Move it by log"):
        build(lake, scenarios=60, volatility_decay=0.94, shifts={"equity_price": {"shift_type": "relative"}})


def test_a_pegged_factor_is_not_scaled_and_says_so(tmp_path: Path, market: Market) -> None:
    market["EQ:A"] = {d: 100.0 if d < dt.date(2020, 2, 3) else 101.0 for d in market["EQ:A"]}
    made = build(lake_of(tmp_path, market), scenarios=60, volatility_decay=0.94)
    assert made.fitted == {"EQ:A": "not scaled: no volatility before 2020-02-03"}
    assert level(made, "EQ:A", "2020-02-03") == pytest.approx(102.01, rel=1e-12)
