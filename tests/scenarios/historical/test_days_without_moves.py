"""Days on which nothing moved, or something is not known to have moved: which are scenarios, and who pays for the others."""

import dataclasses
import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from support import factor, new_lake, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from scenarios import generators
from scenarios.market.calendars import sessions
from scenarios.store import save_scenario_set
from scenarios.types import RiskFactor, ScenarioSet

AS_OF = dt.date(2020, 3, 16)
INDEX = factor("IDX:A", "index_level")
# the levels of the report: one market, closed on 11 March
LEVELS: dict[dt.date, float | None] = {
    dt.date(2020, 3, 9): 100.0,
    dt.date(2020, 3, 10): 98.0,
    dt.date(2020, 3, 12): 99.0,
    dt.date(2020, 3, 13): 95.0,
    dt.date(2020, 3, 16): 90.0,
}
CLOSED = "2020-03-11"


def lake_of(folder: Path, factors: list[RiskFactor], levels: dict[str, dict[dt.date, float | None]]) -> Lake:
    made = new_lake(folder)
    put_market(made, factors, levels)
    return made


def build(lake: Lake, method: str = "historical", **parameters: object) -> ScenarioSet:
    return generators.generate(lake.snapshot(), method, {"market_date": AS_OF, **parameters}, "test")


def moves(made: ScenarioSet, factor_id: str) -> list[float]:
    row = made.index.row[factor_id]
    return (np.asarray(made.levels)[row] / made.base[row] - 1).tolist()


@pytest.mark.parametrize("gaps", ["own-calendar", "drop", "proxy"])
def test_a_day_on_which_every_market_was_closed_is_no_scenario(tmp_path: Path, gaps: str) -> None:
    lake = lake_of(tmp_path, [INDEX], {"IDX:A": LEVELS})
    made = build(lake, window_start="2020-03-10", calendar="weekdays", gaps=gaps)
    assert made.labels == ("2020-03-10", "2020-03-12", "2020-03-13", "2020-03-16")
    assert moves(made, "IDX:A") == pytest.approx([98 / 100 - 1, 99 / 98 - 1, 95 / 99 - 1, 90 / 95 - 1], rel=1e-13)
    assert made.dropped == {CLOSED: "every market was closed"}
    assert made.holidays == {}


def test_the_window_reaches_back_for_as_many_real_moves_as_were_asked_for(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [INDEX], {"IDX:A": LEVELS})
    made = build(lake, scenarios=4, calendar="weekdays")
    assert made.labels[0] == "2020-03-10"
    with pytest.raises(BadInput, match=r"5 scenarios .* gives only 4"):
        build(lake, scenarios=5, calendar="weekdays")


def test_a_market_that_is_not_in_the_set_opens_no_day(tmp_path: Path) -> None:
    other = factor("IDX:B", "index_level")  # begins on the closed day: too late for the window
    young: dict[dt.date, float | None] = {dt.date(2020, 3, 11): 50.0, dt.date(2020, 3, 12): 51.0, AS_OF: 49.0}
    lake = lake_of(tmp_path, [INDEX, dataclasses.replace(other, source="other")], {"IDX:A": LEVELS, "IDX:B": young})
    made = build(lake, window_start="2020-03-10", calendar="weekdays")
    assert list(made.index.row) == ["IDX:A"]
    assert made.dropped == {CLOSED: "every market was closed"}
    assert made.n_scenarios == 4


def test_weights_by_age_and_ten_days_count_days_on_which_a_market_was_open(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [INDEX], {"IDX:A": LEVELS})
    aged = build(lake, scenarios=4, calendar="weekdays", age_decay=0.5)
    assert aged.weights is not None
    assert aged.weights == pytest.approx([1 / 15, 2 / 15, 4 / 15, 8 / 15], rel=1e-13)
    with Committer(lake, "test") as committer:
        save_scenario_set(committer, build(lake, scenarios=4, calendar="weekdays"))
    for calendar in ("weekdays", "data"):
        given = {"market_date": AS_OF, "scenario_set": "test", "age_decay": 0.5, "calendar": calendar}
        again = generators.generate(lake.snapshot(), "reweighted", given, "aged")
        np.testing.assert_allclose(again.weights, aged.weights, rtol=1e-13)
    two = build(lake, scenarios=3, calendar="weekdays", horizon_days=2)
    assert two.labels == ("2020-03-12", "2020-03-13", "2020-03-16")
    assert moves(two, "IDX:A") == pytest.approx([99 / 100 - 1, 95 / 98 - 1, 90 / 99 - 1], rel=1e-13)


def test_the_days_of_the_data_are_a_calendar(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [INDEX], {"IDX:A": LEVELS})
    data = build(lake, scenarios=4, calendar="data")
    assert (data.labels, data.dropped) == (("2020-03-10", "2020-03-12", "2020-03-13", "2020-03-16"), {})
    assert moves(data, "IDX:A") == moves(build(lake, scenarios=4, calendar="weekdays"), "IDX:A")


def test_only_scenarios_know_the_days_of_the_data() -> None:
    with pytest.raises(BadInput, match="Unknown calendar 'data'"):
        sessions("data", AS_OF, AS_OF)


def test_a_replay_lists_the_day_on_which_every_market_was_closed(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [INDEX], {"IDX:A": LEVELS})
    made = build(lake, "replay", first="2020-03-10", last="2020-03-16", calendar="weekdays", mode="path")
    assert made.dropped == {CLOSED: "every market was closed"}
    assert moves(made, "IDX:A") == pytest.approx([-0.02, -0.01, -0.05, -0.1], rel=1e-12)


# --- whole years --------------------------------------------------------------------------------------------------

FIRST = dt.date(2018, 1, 2)
DAYS = [d.item() for d in sessions("XNYS", FIRST, AS_OF)]
SHARES = [factor(f"EQ:{name}", "equity_price") for name in ("A", "B", "C")]
YOUNG = [dataclasses.replace(factor(f"EQ:{name}", "equity_price"), source="young") for name in ("X", "Y", "Z")]


def test_holidays_common_to_all_do_not_calm_monte_carlo(tmp_path: Path) -> None:
    walks = random_walks(SHARES, FIRST, AS_OF)
    lake = lake_of(tmp_path, SHARES, walks)
    nyse = build(lake, "monte_carlo", window=400, scenarios=100)
    weekdays = build(lake, "monte_carlo", window=400, scenarios=100, calendar="weekdays")
    np.testing.assert_array_equal(nyse.levels.loadings, weekdays.levels.loadings)  # type: ignore[union-attr]
    assert weekdays.dropped["2020-02-17"] == "not in the calibration: every market was closed"
    assert nyse.dropped == {}


def test_a_share_with_gaps_pays_and_not_the_bank(tmp_path: Path) -> None:
    walks = random_walks([*SHARES, *YOUNG], FIRST, AS_OF)
    clean = build(
        lake_of(tmp_path / "clean", SHARES, {k: v for k, v in walks.items() if k in ("EQ:A", "EQ:B", "EQ:C")})
    )
    lacking = {"EQ:X": DAYS[-300::40], "EQ:Y": DAYS[-290::40], "EQ:Z": [DAYS[-100]]}
    for name, days in lacking.items():
        for day in days:
            walks[name][day] = None
    lake = lake_of(tmp_path, [*SHARES, *YOUNG], walks)
    made = build(lake)
    # two days that one missing level takes are left out; the shares that would take more are
    assert made.dropped == dict.fromkeys((str(DAYS[-100]), str(DAYS[-99])), "no one-day move for EQ:Z")
    assert set(made.excluded) == {"EQ:X", "EQ:Y"}
    assert made.excluded["EQ:X"] == (
        f"no one-day move on 16 of 505 business days, the first {DAYS[-300]}, and no proxy; declare one, or the calendar of young where "
        "its market was closed"
    )
    strict = build(lake, max_dropped=0.0)
    assert (strict.dropped, set(strict.excluded)) == ({}, {"EQ:X", "EQ:Y", "EQ:Z"})
    assert strict.labels == clean.labels
    np.testing.assert_array_equal(strict.levels, clean.levels)
    # or the bank pays, as it did
    bank = build(lake, max_dropped=0.5)
    assert bank.excluded == {}
    assert len(bank.dropped) > 20


def test_a_day_is_borne_by_all_that_lack_it(tmp_path: Path) -> None:
    walks = random_walks([*SHARES, *YOUNG], FIRST, AS_OF)
    for name in ("EQ:A", "EQ:B", "EQ:C"):  # one day of a whole market
        walks[name][DAYS[-50]] = None
    walks["EQ:X"][DAYS[-100]] = None  # one of one share: together too many
    made = build(lake_of(tmp_path, [*SHARES, *YOUNG], walks), scenarios=250)
    assert set(made.excluded) == {"EQ:X"}
    assert set(made.dropped.values()) == {"no one-day move for EQ:A, EQ:B, EQ:C"}


def test_its_proxy_goes_before(tmp_path: Path) -> None:
    walks = random_walks([*SHARES, *YOUNG], FIRST, AS_OF)
    walks["EQ:X"] = {d: None if i % 50 == 7 else v for i, (d, v) in enumerate(walks["EQ:A"].items())}
    made = build(lake_of(tmp_path, [*SHARES, *YOUNG], walks))
    assert (made.dropped, made.excluded) == ({}, {})
    assert made.proxied["EQ:X"].startswith("EQ:X by EQ:A, beta 1, R2 1.00")
    drawn = build(lake_of(tmp_path / "drawn", [*SHARES, *YOUNG], walks), "monte_carlo", scenarios=100)
    assert (drawn.dropped, drawn.excluded) == ({}, {})
    assert "EQ:X by EQ:A" in drawn.proxied["EQ:X"]


def test_monte_carlo_leaves_the_share_out_too(tmp_path: Path) -> None:
    walks = random_walks([*SHARES, *YOUNG], FIRST, AS_OF)
    for day in DAYS[-300::40]:
        walks["EQ:X"][day] = None
    made = build(lake_of(tmp_path, [*SHARES, *YOUNG], walks), "monte_carlo", scenarios=100)
    assert (made.dropped, set(made.excluded)) == ({}, {"EQ:X"})
    assert made.calibration["days"] == "500 of 500 in the window"


def test_nobody_pays_for_a_day_that_all_lack(tmp_path: Path) -> None:
    walks = random_walks(SHARES, FIRST, AS_OF)
    out = DAYS[-60::10]
    for series in walks.values():
        for day in out:
            series[day] = None
    made = build(lake_of(tmp_path, SHARES, walks), scenarios=300)
    assert made.excluded == {}
    after = [DAYS[DAYS.index(d) + 1] for d in out]
    assert sorted(made.dropped) == sorted(map(str, [*out, *after]))
    assert made.n_scenarios == 300


def test_the_error_says_how_many_scenarios_there_are(tmp_path: Path) -> None:
    days = [d.item() for d in sessions("XNYS", dt.date(2020, 1, 2), AS_OF)][-31:]
    walks = {k: {d: v for d, v in s.items() if d in days} for k, s in random_walks(SHARES, FIRST, AS_OF).items()}
    walks["EQ:A"][days[12]] = None
    lake = lake_of(tmp_path, SHARES, walks)
    assert build(lake, scenarios=28).n_scenarios == 28
    with pytest.raises(BadInput, match="the history gives only 28"):
        build(lake, scenarios=29)
