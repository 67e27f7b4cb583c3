"""Calendars of sources and of scenarios: what is a holiday, what is a hole, and lists of days that come as files."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from scenarios import generators
from scenarios.market.calendars import sessions
from scenarios.market.history import load_calendars
from scenarios.market.landing_catalogue import SHIPPED, ingest_market, load_catalogue
from scenarios.types import ScenarioSet

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]
A = ["80", "80.8", "80", "88", "88", "88.88", "88"]
B = ["79", "79.8", "79", "", "87", "87.88", "87"]  # blank on 2024-01-04
SOURCE = """
[source.{name}]
file = "{name}.csv"
layout = "series"
{calendar}
[source.{name}.factor]
id = "EQ:{name}"
type = "equity_price"
currency = "USD"
"""


def ingest(folder: Path, series: dict[str, list[str | None]], calendars: dict[str, str], lists: dict[str, str]) -> Lake:
    """A lake of one-series files; None is a day that the file does not list."""
    folder.mkdir(exist_ok=True)
    text = 'name = "own"\n'
    for name, days in lists.items():
        (folder / f"{name}.txt").write_text(days)
        text += f'[calendar.{name}]\nfile = "{name}.txt"\n'
    for name, values in series.items():
        listed = [f"{d},{v}\n" for d, v in zip(DAYS, values, strict=True) if v is not None]
        (folder / f"{name.lower()}.csv").write_text("day,close\n" + "".join(listed))
        calendar = f'calendar = "{calendars[name]}"' if name in calendars else ""
        text += SOURCE.format(name=name, calendar=calendar)
    (folder / "own.toml").write_text(text)
    lake = Lake.create(folder / "lake")
    with Committer(lake, "test") as committer:
        ingest_market(committer, folder, load_catalogue(folder / "own.toml"))
    return lake


def build(lake: Lake, **parameters: object) -> ScenarioSet:
    given = {"market_date": "2024-01-09", "window_start": "2024-01-02", "calendar": "weekdays", **parameters}
    return generators.generate(lake.snapshot(), "historical", given, "test")


def hedged(made: ScenarioSet) -> np.ndarray:
    """P&L of 1,000 of a against 1,000 of b."""
    a, b = (made.levels[made.index.row[i]] - made.base[made.index.row[i]] for i in ("EQ:a", "EQ:b"))
    return 1000 * (a - b)


def test_a_blank_in_a_file_of_one_series_is_a_hole(tmp_path: Path) -> None:
    made = build(ingest(tmp_path / "x", {"a": A, "b": B}, {}, {}))
    assert made.dropped == dict.fromkeys(("2024-01-04", "2024-01-05"), "no one-day move for EQ:b")
    assert made.labels == ("2024-01-02", "2024-01-03", "2024-01-08", "2024-01-09")
    # by hand: the widest of 88 (80.8/80 - 1) - 87 (79.8/79 - 1) and its like is 1.01 for 1,000 units
    expected = [
        1000 * (88 * (x / y - 1) - 87 * (v / w - 1))
        for x, y, v, w in [(80.8, 80, 79.8, 79), (80, 80.8, 79, 79.8), (88.88, 88, 87.88, 87), (88, 88.88, 87, 87.88)]
    ]
    assert hedged(made) == pytest.approx(expected, abs=1e-8)
    assert np.abs(hedged(made)).max() < 2


def test_a_day_that_a_file_does_not_list_is_what_its_calendar_says(tmp_path: Path) -> None:
    unlisted = {"a": A, "b": [v or None for v in B]}
    told = build(ingest(tmp_path / "told", unlisted, {}, {}))
    assert told.holidays == {"2024-01-04": "unchanged: b (1 factor)"}
    for name, calendars, lists in (
        ("open", {"b": "weekdays"}, {}),
        ("list", {"b": "bourse"}, {"bourse": "\n".join(DAYS)}),
    ):
        made = build(ingest(tmp_path / name, unlisted, calendars, lists))
        assert (list(made.dropped), made.holidays) == (["2024-01-04", "2024-01-05"], {})
    # on its calendar's holiday a blank is a holiday too, as some list them
    closed = "".join(f"{d}\n" for d in ["day", *DAYS] if d != "2024-01-04")
    lake = ingest(tmp_path / "closed", {"a": A, "b": B}, {"b": "bourse"}, {"bourse": closed})
    made = build(lake)
    assert (made.dropped, made.holidays) == ({}, {"2024-01-04": "unchanged: b (1 factor)"})
    # what the catalogue says may be said otherwise for a set
    assert list(build(lake, calendars={"b": "weekdays"}).dropped) == ["2024-01-04", "2024-01-05"]
    # the list is a calendar of scenarios as well: there the next move of a spans both days
    listed = build(lake, calendar="bourse")
    assert (listed.labels, listed.dropped) == (
        ("2024-01-02", "2024-01-03", "2024-01-05", "2024-01-08", "2024-01-09"),
        {},
    )
    assert listed.levels[0, 2] == pytest.approx(88 * 88 / 80, rel=1e-13)
    with pytest.raises(BadInput, match=r"Unknown calendar 'bourze'\. Nearest valid: bourse"):
        build(lake, calendar="bourze")


def test_a_list_that_ends_too_early_says_so(tmp_path: Path) -> None:
    lake = ingest(tmp_path / "x", {"a": A}, {}, {"bourse": "\n".join(DAYS[:-1])})
    with pytest.raises(BadInput, match="Calendar bourse ends on 2024-01-08, before 2024-01-09"):
        build(lake, calendar="bourse")


def test_a_later_ingest_changes_the_calendar_of_its_own_sources_only(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    lake = ingest(folder, {"a": A, "b": B}, {"a": "XNYS", "b": "XNYS"}, {"bourse": "2024-01-02\n"})
    assert load_calendars(lake.snapshot()).of_source == {"a": "XNYS", "b": "XNYS"}
    version = lake.version("market_calendars")
    ingest(folder, {"a": A, "b": B}, {"a": "XNYS", "b": "XNYS"}, {"bourse": "2024-01-02\n"})
    assert lake.version("market_calendars") == version
    ingest(folder, {"b": B}, {}, {})
    found = load_calendars(lake.snapshot())
    assert found.of_source == {"a": "XNYS"}
    assert found.lists["bourse"].tolist() == [dt.date(2024, 1, 2)]


@pytest.mark.parametrize(
    ("calendars", "lists", "match"),
    [
        ({"a": "XNYC"}, {}, r"Unknown calendar 'XNYC'\. Nearest valid: .*XNYS"),
        ({"a": "bourze"}, {"bourse": "2024-01-02"}, "Nearest valid: bourse"),
        ({}, {"bourse": "day\n2024-01-02\n01/03/2024\n"}, "bourse.txt is no list of business days"),
        ({}, {"bourse": ""}, "bourse.txt is no list of business days"),
        ({}, {"weekdays": "2024-01-02"}, "'weekdays' is no calendar name"),
    ],
)
def test_a_bad_calendar_is_told_and_nothing_is_stored(
    tmp_path: Path, calendars: dict[str, str], lists: dict[str, str], match: str
) -> None:
    with pytest.raises(BadInput, match=match):
        ingest(tmp_path / "x", {"a": A}, calendars, lists)
    if "weekdays" not in lists:
        assert Lake.open(tmp_path / "x" / "lake").version("market_data") == -1


def test_a_wrong_line_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as told:
        ingest(tmp_path / "x", {"a": A}, {}, {"bourse": "day\n2024-01-02\n01/03/2024\n"})
    (issue,) = told.value.issues
    assert issue.pointer == "calendar bourse: bourse.txt, line 3"
    assert issue.message == "found '01/03/2024', expected a date such as 2020-03-16."


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    ingest(tmp_path / "x", {"a": A}, {}, {"bourse": "2024-01-02"})
    (tmp_path / "x" / "bourse.txt").unlink()
    with (
        pytest.raises(BadInput, match=r"There is no file .*bourse\.txt"),
        Committer(Lake.open(tmp_path / "x" / "lake"), "t") as c,
    ):
        ingest_market(c, tmp_path / "x", load_catalogue(tmp_path / "x" / "own.toml"))


def test_markets_without_an_exchange() -> None:
    def day(calendar: str, text: str) -> bool:
        date = dt.date.fromisoformat(text)
        return len(sessions(calendar, date, date)) == 1

    # bonds in New York: closed on Columbus Day 2019, when the exchange was open; open on Good Friday 2021, for the employment report
    assert (day("USGS", "2019-10-14"), day("XNYS", "2019-10-14")) == (False, True)
    assert (day("USGS", "2021-04-02"), day("XNYS", "2021-04-02")) == (True, False)
    # TARGET: closed on 1 May and Easter Monday (2020-04-13), open on 2020-06-01, Whit Monday
    assert [day("EUTA", d) for d in ("2020-05-01", "2020-04-13", "2020-06-01")] == [False, False, True]
    # Japan: the exchange's system failed on 2020-10-01, the bond market was open; both closed on 2020-02-24
    assert [day("JPTO", d) for d in ("2020-10-01", "2020-02-24")] == [True, False]


@pytest.mark.parametrize("name", [p.stem for p in SHIPPED.glob("*.toml")])
def test_the_shipped_catalogues_name_a_calendar_for_every_source(name: str) -> None:
    assert all(s.calendar for s in load_catalogue(name).source.values())


@pytest.mark.marketdata
def test_their_calendars_are_those_of_the_data(real_market: Path) -> None:
    lake = Lake.open(real_market)
    assert load_calendars(lake.snapshot()).of_source["usd_curve"] == "USGS"
    for date in ("2008-10-15", "2020-03-16", "2022-06-30"):
        made = generators.generate(lake.snapshot(), "historical", {"market_date": date}, "test")
        assert made.n_scenarios == 500
        assert len(made.dropped) <= 5, made.dropped
        assert not {"CMD:NATGAS", "CMD:BRENT", "CMD:GOLD", "CR:US_HY", "YC:USD:10Y", "YC:JPY:10Y"} & set(made.excluded)
    # WTI has no row on the Friday after Thanksgiving 2021, when Brent fell by 11%: it does not stand still
    row = made.index.row["CMD:WTI"]
    assert made.levels[row, made.labels.index("2021-11-26")] < 0.92 * made.base[row]
    assert "CMD:WTI by CMD:BRENT" in made.proxied["CMD:WTI"]
