"""Market data that the scenarios of an answer do not know is told by plan and value, with the commands that take it."""

from __future__ import annotations

import datetime as dt
import shlex

from command_line import answer, varlake
from small_lake import FACTORS, MONDAY, SCENARIOS
from support import put_market, random_walks

from lake.tables import Lake

FIRST = dt.date(2019, 12, 2)


def bring(lake: Lake, day: dt.date) -> None:
    """The market of `small_lake` with another level of one share on a day."""
    levels = random_walks(FACTORS, FIRST, dt.date(2020, 3, 17))
    levels["EQ:AAA"][day] = 1.0
    put_market(lake, FACTORS, levels)


def value(lake: Lake, **more: str) -> None:
    options = [part for name, text in more.items() for part in (f"--{name}", text)]
    recipe = ("-p", f"scenarios={SCENARIOS}", "--runner", "in-process")
    assert varlake("value", "--as-of", MONDAY, *recipe, *options, lake=lake.path).returncode == 0


def commands(note: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in note.partition("as it is now: ")[2].split("&&")]


def worst(lake: Lake) -> float:
    return float(answer("var", "--as-of", MONDAY, lake=lake.path)["total"]["es_0.99"])


def said(lake: Lake) -> list[str]:
    shown = varlake("var", "--as-of", MONDAY, "--value", lake=lake.path)
    assert shown.returncode == 0, shown.stderr
    return [line for line in shown.stderr.splitlines() if "market data has changed" in line]


def test_a_corrected_level_is_told_and_the_command_takes_it(work_lake: Lake) -> None:
    value(work_lake)
    assert said(work_lake) == []
    before = worst(work_lake)
    bring(work_lake, dt.date(2020, 3, 10))
    (note,) = said(work_lake)
    assert note.startswith(
        f"Note: The market data has changed since scenario set historical-{SCENARIOS} of {MONDAY} was made"
    )
    planned = answer("var", "--as-of", MONDAY, "--plan", lake=work_lake.path)
    assert [r["as_of"] for r in planned["newer_market_data"]] == [str(MONDAY)]
    assert worst(work_lake) == before
    (command,) = commands(note)
    assert command == ["value", "--as-of", str(MONDAY), "--method", "historical", "-p", f"scenarios={SCENARIOS}"]
    assert varlake(*command, lake=work_lake.path).returncode == 0
    assert said(work_lake) == []
    assert worst(work_lake) != before


def test_a_later_day_is_nothing_that_these_scenarios_would_take(work_lake: Lake) -> None:
    value(work_lake)
    bring(work_lake, dt.date(2020, 3, 18))
    assert said(work_lake) == []


def test_a_set_with_a_name_of_its_own_is_made_again_under_it(work_lake: Lake) -> None:
    recipe = ("--as-of", MONDAY, "-p", f"scenarios={SCENARIOS}", "--name", "ours")
    assert varlake("scenarios", "build", *recipe, lake=work_lake.path).returncode == 0
    valued = varlake(
        "value", "--as-of", MONDAY, "--scenario-set", "ours", "--runner", "in-process", lake=work_lake.path
    )
    assert valued.returncode == 0
    before = worst(work_lake)
    bring(work_lake, dt.date(2020, 3, 10))
    (note,) = said(work_lake)
    build, again = commands(note)
    assert (build[:2], again[0]) == (["scenarios", "build"], "value")
    for command in (build, again):
        done = varlake(*command, lake=work_lake.path)
        assert done.returncode == 0, done.stderr
    assert said(work_lake) == []
    assert worst(work_lake) != before
