"""The named days on the real market data: what was in the window, what moved, and what was closed."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from lake.tables import Lake
from scenarios import generators
from scenarios.types import ScenarioSet

pytestmark = pytest.mark.marketdata

LEHMAN, COVID = dt.date(2008, 10, 15), dt.date(2020, 3, 16)


@pytest.fixture
def lake(real_market: Path) -> Lake:
    return Lake.open(real_market)


def build(lake: Lake, method: str, market_date: dt.date, **parameters: object) -> ScenarioSet:
    return generators.generate(lake.snapshot(), method, {"market_date": market_date, **parameters}, "test")


def move(made: ScenarioSet, factor_id: str, label: str) -> float:
    """Relative move from the base."""
    row = made.index.row[factor_id]
    return float(made.levels[row, made.labels.index(label)] / made.base[row] - 1)


@pytest.mark.parametrize(
    ("market_date", "days", "holidays"),
    [
        (LEHMAN, ("2008-09-15", "2008-09-16", "2008-10-13", "2008-10-14"), ("2008-09-15", "2008-10-13")),
        (COVID, ("2020-02-24", "2020-02-25"), ("2020-02-24",)),
        (COVID, ("2018-12-24", "2020-03-09", "2020-03-12", "2020-03-16"), ("2018-12-24",)),
    ],
)
def test_no_great_day_is_lost_to_a_holiday(
    lake: Lake, market_date: dt.date, days: tuple[str, ...], holidays: tuple[str, ...]
) -> None:
    made = build(lake, "historical", market_date)
    assert made.n_scenarios == 500
    assert set(days) <= set(made.labels)
    assert set(holidays) == set(days) & set(build(lake, "historical", market_date, gaps="drop").dropped)


def test_what_happened_on_the_named_days(lake: Lake) -> None:
    lehman, covid = build(lake, "historical", LEHMAN), build(lake, "historical", COVID)
    # S&P 500 as every newspaper had it: in percent, one decimal
    for made, day, spx in (
        (lehman, "2008-09-15", -4.7),
        (lehman, "2008-10-13", 11.6),
        (covid, "2020-02-24", -3.4),
        (covid, "2020-03-12", -9.5),
        (covid, "2020-03-16", -12.0),
    ):
        assert round(100 * move(made, "IDX:SPX", day), 1) == spx
    # Tokyo was closed on both of these days, the US bond market on the second
    assert lehman.holidays["2008-09-15"] == "unchanged: jpy_curve (14 factors)"
    assert lehman.holidays["2008-10-13"] == "unchanged: jpy_curve (14 factors), usd_curve (11 factors)"
    assert covid.holidays["2020-02-24"] == "unchanged: jpy_curve (14 factors)"
    assert move(lehman, "YC:JPY:10Y", "2008-09-15") == 0
    assert move(lehman, "YC:JPY:10Y", "2008-09-16") != 0
    assert all(len(s.holidays) < 0.1 * s.n_scenarios for s in (lehman, covid))


def test_a_negative_price_is_no_ratio(lake: Lake) -> None:
    made = build(lake, "historical", dt.date(2020, 4, 21), scenarios=60)
    assert move(made, "CMD:WTI", "2020-04-20") == pytest.approx(-36.98 / 18.31 - 1)
    assert made.dropped == {"2020-04-21": "no one-day move for CMD:WTI"}
    absolute = build(
        lake, "historical", dt.date(2020, 4, 21), scenarios=60, shifts={"CMD:WTI": {"shift_type": "absolute"}}
    )
    assert absolute.dropped == {}
    row = absolute.index.row["CMD:WTI"]
    rise = absolute.levels[row, absolute.labels.index("2020-04-21")] - absolute.base[row]
    assert rise == pytest.approx(8.91 + 36.98)  # WTI at 8.91 on 2020-04-21
    on_the_day = build(lake, "historical", dt.date(2020, 4, 20))
    assert on_the_day.excluded["CMD:WTI"].startswith("level -36.98 is too low for a relative shift")


def test_a_crisis_window_on_todays_market_by_proxy(lake: Lake) -> None:
    """Implied volatilities of single stocks begin in 2010: in 2008 they move as their sector's or the index's would."""
    made = build(lake, "historical", COVID, window_start="2008-01-02", window_end="2009-06-30")
    assert made.n_scenarios == 377
    assert made.proxied["IV:AAPL"].endswith("377 of 377 scenarios")
    assert " by IV:" in made.proxied["IV:AAPL"]
    assert {"IV:AAPL", "IV:MSFT", "FX:EURINR"} <= set(made.proxied)
    without = build(
        lake, "historical", COVID, window_start="2008-01-02", window_end="2009-06-30", proxies={"auto": False}
    )
    assert {"IV:AAPL", "IV:MSFT", "FX:EURINR"} <= set(without.excluded)


@pytest.mark.parametrize("decay", [0.94, 0.97])
@pytest.mark.parametrize("market_date", [LEHMAN, COVID])
@pytest.mark.slow
def test_scaled_to_a_crisis_no_price_falls_below_zero(lake: Lake, market_date: dt.date, decay: float) -> None:
    made = build(lake, "historical", market_date, volatility_decay=decay)
    for f, row in zip(made.index.factors, made.levels, strict=True):
        if f.type in ("equity_price", "index_level", "fx_rate", "implied_vol"):
            assert (row > 0).all(), f.risk_factor_id
    plain = build(lake, "historical", market_date)
    spx = made.index.row["IDX:SPX"]
    assert np.ptp(made.levels[spx]) > np.ptp(plain.levels[plain.index.row["IDX:SPX"]])


@pytest.mark.parametrize(
    ("period", "factor_id", "percent"),
    [
        ("lehman-2008", "IDX:SPX", -28.2),
        ("flash-crash-2010", "IDX:SPX", -3.2),
        ("chf-floor-2015", "FX:EURCHF", -14.4),
        ("brexit-2016", "IDX:SPX", -5.3),
        ("february-2018", "IDX:SPX", -8.5),
        ("march-2020", "IDX:SPX", -33.9),
        ("rates-2022", "IDX:SPX", -20.3),
    ],
)
def test_named_periods(lake: Lake, period: str, factor_id: str, percent: float) -> None:
    made = build(lake, "replay", dt.date(2022, 6, 1), period=period, mode="cumulated")
    assert round(100 * move(made, factor_id, made.labels[0]), 1) == percent
    daily = build(lake, "replay", dt.date(2022, 6, 1), period=period)
    row = daily.index.row[factor_id]
    total = np.prod(daily.levels[row] / daily.base[row]) - 1  # of one-day moves, no day of which is lost
    assert round(100 * total, 1) == percent


@pytest.mark.slow
def test_filtered_at_the_peak_of_a_crisis(lake: Lake) -> None:
    made = build(lake, "filtered", COVID, scenarios=500)
    assert made.index.row.keys() == made.fitted.keys()
    assert sum(text.startswith("GARCH(1,1)") for text in made.fitted.values()) > 0.9 * len(made.fitted)
    row = made.index.row["IDX:SPX"]
    volatility = np.log(made.levels[row] / made.base[row]).std() * np.sqrt(252)
    assert 0.8 < volatility < 2.0  # the VIX closed at 82.69 that day
