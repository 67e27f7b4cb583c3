"""Replays against the levels of the period itself."""

import dataclasses
import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from support import factor, new_lake, put_market, random_walks

from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios import generators
from scenarios.historical.period_replay import PERIODS
from scenarios.market.calendars import sessions
from scenarios.types import ScenarioSet

AS_OF = dt.date(2020, 3, 16)
FIRST = dt.date(2018, 1, 2)
DAYS = [d.item() for d in sessions("XNYS", FIRST, dt.date(2020, 6, 30))]
FACTORS = [
    factor("EQ:A", "equity_price", attributes=(("sector", "Tech"),)),
    factor("EQ:B", "equity_price", attributes=(("sector", "Tech"),)),
    factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y"),
    dataclasses.replace(factor("FX:EURJPY", "fx_rate", "JPY"), source="fixing"),
]
Market = dict[str, dict[dt.date, float | None]]


@pytest.fixture
def market() -> Market:
    return random_walks(FACTORS, FIRST, DAYS[-1])


def lake_of(folder: Path, market: Market) -> Lake:
    made = new_lake(folder)
    put_market(made, FACTORS, market)
    return made


def build(lake: Lake, **parameters: object) -> ScenarioSet:
    return generators.generate(lake.snapshot(), "replay", {"market_date": AS_OF, **parameters}, "test")


def test_day_by_day(tmp_path: Path, market: Market) -> None:
    lake = lake_of(tmp_path, market)
    made = build(lake, period="february-2018")
    period = PERIODS["february-2018"]
    days = [d for d in DAYS if period.first <= d <= period.last]
    assert made.labels == tuple(map(str, days))
    window = generators.generate(
        lake.snapshot(),
        "historical",
        {"market_date": AS_OF, "window_start": str(period.first), "window_end": str(period.last)},
        "x",
    )
    np.testing.assert_array_equal(made.levels, window.levels)


def test_cumulated_and_path_end_where_the_period_did(tmp_path: Path, market: Market) -> None:
    lake = lake_of(tmp_path, market)
    start, days = DAYS[29], DAYS[30:41]
    dates = {"first": str(days[0]), "last": str(days[-1])}
    path, whole = build(lake, mode="path", **dates), build(lake, mode="cumulated", **dates)
    assert whole.labels == (f"{days[0]}..{days[-1]}",)
    assert path.labels == tuple(map(str, days))
    assert whole.horizon_days == path.horizon_days == len(days)
    np.testing.assert_array_equal(path.levels[:, -1:], whole.levels)
    for f in FACTORS:
        series, row = market[f.risk_factor_id], path.index.row[f.risk_factor_id]
        for i, day in enumerate(days):
            a, b, base = series[start], series[day], path.base[row]
            assert a is not None
            assert b is not None
            expected = base + b - a if f.type == "par_yield" else base * b / a
            assert path.levels[row, i] == pytest.approx(expected, rel=1e-12)


def test_the_period_may_lie_after_the_market_date(tmp_path: Path, market: Market) -> None:
    lake = lake_of(tmp_path, market)
    made = build(lake, first="2020-05-04", last="2020-05-15")
    assert made.market_date == AS_OF
    assert made.base[made.index.row["EQ:A"]] == market["EQ:A"][AS_OF]
    assert len(made.labels) == 10


def test_no_day_of_a_period_is_left_out(tmp_path: Path, market: Market) -> None:
    market["YC:USD:10Y"][DAYS[35]] = None
    dates = {"first": str(DAYS[30]), "last": str(DAYS[40])}
    lake = lake_of(tmp_path, market)
    daily = build(lake, **dates)
    assert len(daily.labels) == 11
    assert daily.excluded == {"YC:USD:10Y": "no move on 2 of the 11 business days of the period, and no proxy"}
    # from end to end the hole between does no harm
    assert build(lake, mode="cumulated", **dates).excluded == {}


def test_a_factor_not_yet_there_moves_by_its_proxy_day_after_day(tmp_path: Path, market: Market) -> None:
    market["EQ:B"] = {d: v for d, v in market["EQ:B"].items() if d >= dt.date(2019, 6, 3)}
    proxies = {"declared": {"EQ:B": {"factor": "EQ:A", "beta": 2.0}}}
    made = build(lake_of(tmp_path, market), period="february-2018", mode="cumulated", proxies=proxies)
    period = PERIODS["february-2018"]
    at = [i for i, d in enumerate(DAYS) if period.first <= d <= period.last]
    expected = float(made.base[made.index.row["EQ:B"]])
    for i in at:
        later, earlier = market["EQ:A"][DAYS[i]], market["EQ:A"][DAYS[i - 1]]
        assert earlier is not None
        assert later is not None
        expected *= 1 + 2.0 * (later / earlier - 1)
    assert made.levels[made.index.row["EQ:B"], 0] == pytest.approx(expected, rel=1e-12)
    assert made.proxied == {"EQ:B": "EQ:B by EQ:A, beta 2, as stated, 5 of 5 days"}


def test_a_market_closed_in_the_period_is_named(tmp_path: Path, market: Market) -> None:
    del market["FX:EURJPY"][dt.date(2018, 2, 5)]
    made = build(lake_of(tmp_path, market), period="february-2018")
    assert made.holidays == {"2018-02-05": "unchanged: fixing (1 factor)"}
    row = made.index.row["FX:EURJPY"]
    assert made.levels[row, made.labels.index("2018-02-05")] == made.base[row]


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({}, BadInput, "either period"),
        ({"period": "march-2020", "first": "2020-03-02", "last": "2020-03-03"}, BadInput, "either period"),
        ({"first": "2020-03-02"}, BadInput, "both first and last"),
        ({"first": "2020-03-02", "last": "2020-03-01"}, BadInput, "first must not lie after last"),
        ({"period": "march-2021"}, BadInput, "Nearest valid: march-2020"),
        ({"first": "2020-03-07", "last": "2020-03-08"}, BadInput, "No business day"),
        ({"period": "lehman-2008"}, BadInput, "No risk factor has moves from 2008-09-15 to 2008-10-10"),
        ({"period": "february-2018", "mode": "total"}, BadInput, "cumulated"),
        ({"period": "february-2018", "market_date": "2020-03-15"}, NotFound, "2020-03-13"),
    ],
)
def test_bad_input_is_told(
    tmp_path: Path, market: Market, parameters: dict[str, object], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        build(lake_of(tmp_path, market), **parameters)


def test_named_periods_are_in_order() -> None:
    for name, period in PERIODS.items():
        assert period.first <= period.last, name
        assert period.meaning
