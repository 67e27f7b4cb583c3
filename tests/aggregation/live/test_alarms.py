"""Band alarms: levels that leave their band, whenever they come, stored once with their reason and what they had recalculated."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace

import pyarrow as pa
import pytest
from live_days import DAY, instant, level
from small_lake import MONDAY, build_lake, no_spark, request

from aggregation.live.alarms import BandRequest, record_alarms, set_band, stored_alarms
from aggregation.live.bands import Band, Bands
from aggregation.live.follow import follow
from aggregation.live.opening import LiveDay
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session
from lake.committer import Committer
from lake.schemas import INTRADAY_LEVELS
from lake.tables import Lake
from valuation.sets.requests import run_valuation

BAND = Band(1, instant(-1), 3.0, 10, 30, complete=False)
CALM = [level("EQ:AAA", 100.0 + (k % 2), k) for k in range(10)]  # mean 100.5, deviation 0.5


def seen(rows: list[dict[str, object]], *bands: Band) -> list[tuple[str, int]]:
    found = Bands(bands or (BAND,))
    found.take(rows)
    return [(a.risk_factor_id, round((a.at - instant(0)).total_seconds())) for a in found.alarms]


def test_a_level_beyond_k_deviations_is_an_alarm_and_says_why() -> None:
    assert seen([*CALM, level("EQ:AAA", 102.0, 10)]) == []  # three deviations, which is the band itself
    bands = Bands([BAND])
    bands.take([*CALM, level("EQ:AAA", 102.5, 10)])
    (alarm,) = bands.alarms
    assert (alarm.mean, alarm.deviation) == (100.5, 0.5)
    assert alarm.reason == (
        "102.5 is 4.0 standard deviations above the mean 100.5 of the 10 levels before; the band is 3."
    )


def test_the_window_has_to_be_full_and_carried_levels_are_none() -> None:
    assert seen([*CALM[:9], level("EQ:AAA", 150.0, 10)]) == []
    assert seen([*CALM, level("EQ:AAA", 150.0, 10, carried=1)]) == []


def test_a_storm_is_one_alarm_an_interval() -> None:
    draw = random.Random(1)
    storm = [level("EQ:AAA", 100.0 * 2.0 ** (k - 9) + draw.random(), k) for k in range(10, 50)]
    assert [at for _, at in seen([*CALM, *storm])] == [10, 40]
    assert len(seen([*CALM, *storm], replace(BAND, min_interval_seconds=0))) > 10


def test_levels_in_any_order_give_the_same_alarms() -> None:
    draw = random.Random(2)
    rows = [level("EQ:AAA", draw.gauss(100, 1) + 9 * (k % 37 == 36), k) for k in range(200)]
    expected = seen(rows)
    assert len(expected) > 2
    late = rows[:]
    draw.shuffle(late)
    bands = Bands([BAND])
    for first in range(0, 200, 7):
        bands.take(late[first : first + 7])
    assert [(a.risk_factor_id, round((a.at - instant(0)).total_seconds())) for a in bands.alarms] == expected


def test_a_band_holds_from_its_instant() -> None:
    later = replace(BAND, version=2, holds_from=instant(10), deviations=5.0)
    rows = [*CALM, level("EQ:AAA", 102.5, 10)]
    assert seen(rows, BAND, later) == [("EQ:AAA", 10)]  # the bucket that ends then is of the band before
    assert seen(rows, replace(BAND, holds_from=instant(10))) == []


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("alarms") / "lake")
    with Committer(made, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)
    return made


@pytest.mark.parametrize("complete", [False, True])
def test_alarms_are_stored_once_and_stand_for_one_recalculation(lake: Lake, complete: bool) -> None:
    asked = LiveDay(as_of=DAY)
    with Committer(lake, "test") as committer:
        session = Session(lake, VectorCache(lake), committer, actor="ann")
        band = BandRequest(deviations=3, window=10, complete=complete, holds_from=instant(-1), reason="calm market")
        version = set_band(session, band)["version"]
        follow(session.cache, asked)
        rows = [r for f in ("EQ:AAA", "EQ:BBB") for r in [level(f, 100.0 + (k % 2), k) for k in range(10)]]
        rows += [level("EQ:AAA", 110.0, 10), level("EQ:BBB", 90.0, 11)]
        if complete:  # another alarm of a factor, after the interval
            rows = [level("EQ:AAA", 300.0, 200)]
        given = pa.Table.from_pylist([{**r, "date": DAY} for r in rows], schema=INTRADAY_LEVELS.schema)
        committer.put("intraday_levels", given)
        told = record_alarms(session, asked)
        assert record_alarms(session, asked)["alarms"] == 0
    found = [r for r in stored_alarms(lake, DAY).to_pylist() if r["band"] == version]
    assert told["alarms"] == len(found) == (1 if complete else 2)
    assert {(r["recalculation"], r["stands_for"]) for r in found} == {(told["recalculation"], len(found))}
    assert all(r["reason"] and r["contracts"] == told["contracts"] > 0 for r in found)
    assert told["complete"] is complete
    stored = lake.read("alarm_bands").to_pylist()[-1]
    assert (stored["author"], stored["reason"], stored["holds_from"]) == ("ann", "calm market", instant(-1))
    assert dt.datetime.now(dt.UTC) - stored["set_at"] < dt.timedelta(minutes=5)
