"""VaR of a day as it goes: files of orders and levels brought in as they come, the answer again and again, and snapshots."""

from __future__ import annotations

import datetime as dt
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from lake.errors import BadInput, NotFound, unknown, validated
from service import client
from service.cli.forward import Group, joined
from service.cli.given import as_date, open_lake, show_list
from service.cli.options import JsonOption, LakeOption
from service.cli.questions import by_option, given_values, lake_and_json, option_of
from service.jobs import ALARM_BAND, INGEST, LIVE_ALARMS, LIVE_SNAPSHOT
from service.parameters import parameters_of
from service.rendering import display

if TYPE_CHECKING:
    from aggregation.live.live_risk import LiveQuery
    from lake.tables import Lake
    from service.config import Settings

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
BAND = "Set the band of levels: beyond its moving mean by so many standard deviations, a level is an alarm."
FOLLOW = "Answer again and again while orders and levels come in; Ctrl-C ends it."


@app.callback()
def _group() -> None:
    """A group, whatever number of commands it has."""


@app.command("snapshots")
def snapshots_command(
    day: Annotated[str, typer.Argument(help="The live day, YYYY-MM-DD.")],
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """The snapshots of a day, and the commands that answer from them and compare them."""
    from aggregation.live.snapshot import last_two_compared, list_snapshots
    from service.rendering.live import show_snapshots

    _, opened = open_lake(lake)
    found = list_snapshots(opened, as_date(day, "DAY"))
    rows = [s.to_dict() for s in found]
    if as_json:
        display.print_json({"day": day, "snapshots": rows, "compare": last_two_compared(found)})
    elif rows:
        show_snapshots(rows, last_two_compared(found))
    else:
        display.say(f"No snapshot of {day}; take one with `varlake live snapshot --as-of {day}`.")


@app.command("demo")
def live_demo_command(
    folder: Annotated[Path, typer.Option("--folder", help="Folder for the demo's lake and files.")] = Path("demo-live"),
    minutes: Annotated[float, typer.Option("--minutes", help="In how many minutes the day passes.")] = 2.0,
    positions: Annotated[int, typer.Option("--positions", help="Positions of the book.")] = 2000,
    ticks: Annotated[int, typer.Option("--ticks", help="Ticks of the day.")] = 20_000,
    orders: Annotated[int, typer.Option("--orders", help="Executions of the day.")] = 300,
    port: Annotated[int | None, typer.Option("--port", help="Port of the pages.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Delete the demo that is in the folder first.")] = False,
) -> None:
    """A synthetic day of ticks and orders replayed at speed, with the pages beside it and two snapshots compared."""
    from service import live_demo

    live_demo.run_live_demo(
        folder, positions=positions, ticks=ticks, orders=orders, minutes=minutes, port=port, anew=anew
    )


@app.command("alarms")
def alarms_command(
    day: Annotated[str, typer.Argument(help="The live day, YYYY-MM-DD.")],
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """The stored alarms of a day: levels that left their band, with the reason."""
    from aggregation.live.alarms import stored_alarms

    _, opened = open_lake(lake)
    rows = stored_alarms(opened, as_date(day, "DAY")).to_pylist()
    shown = ["at", "risk_factor_id", "reason", "stands_for", "contracts"]
    show_list(
        {"day": day, "alarms": rows}, [{c: r[c] for c in shown} for r in rows], as_json, None, f"No alarm on {day}."
    )


def group() -> click.Group:
    """The commands; what they ask is made from its model."""
    from aggregation.live.alarms import BandRequest
    from aggregation.live.live_risk import LiveQuery
    from aggregation.live.opening import LiveDay

    found = Group("live", help=__doc__)
    path = click.Path(path_type=Path)
    own = [
        click.Option(["--orders"], type=path, help="File or folder of orders; new files are brought in as they come."),
        click.Option(["--ticks"], type=path, help="File or folder of ticks; new files are brought in as they come."),
        click.Option(["--source"], help="The feed that the ticks are of, as `varlake ingest ticks` takes it."),
        click.Option(["--bucket-seconds"], type=int, help="Seconds of a bucket of the levels made of the ticks."),
        click.Option(["--every"], default="5s", help="How often it answers: 5s, 1m, 1h; default 5s."),
        click.Option(["--snapshot-every"], help="How often a snapshot is taken: 5m, 1h; default never."),
        click.Option(["--until"], help="When it ends: a time such as 16:00 in UTC; default when it is told to."),
        click.Option(["--once"], is_flag=True, help="Bring in what is there, answer, and end."),
    ]
    follow: list[click.Parameter] = [*map(option_of, parameters_of(LiveQuery)), *own, *lake_and_json()]
    found.add_command(click.Command("follow", callback=_follow, params=follow, help=FOLLOW))
    take: list[click.Parameter] = [*map(option_of, parameters_of(LiveDay)), *lake_and_json()]
    found.add_command(click.Command("snapshot", callback=_snapshot, params=take, help="Take a snapshot of a day."))
    band: list[click.Parameter] = [*map(option_of, parameters_of(BandRequest)), *lake_and_json()]
    found.add_command(click.Command("band", callback=_band, params=band, help=BAND))
    return joined(found, app)


def _band(**given: Any) -> None:
    from aggregation.live.alarms import BandRequest

    with by_option(BandRequest):
        asked = validated(BandRequest, given_values(parameters_of(BandRequest), given), "band")
    settings, opened = open_lake(given["lake"])
    told = client.done(settings, opened, "live band", ALARM_BAND, asked.model_dump(mode="json"))
    display.print_json(told) if given["as_json"] else display.print_table([told])


def _snapshot(**given: Any) -> None:
    from aggregation.live.opening import LiveDay
    from service.rendering.live import show_snapshots

    with by_option(LiveDay):
        asked = validated(LiveDay, given_values(parameters_of(LiveDay), given), "live day")
    settings, opened = open_lake(given["lake"])
    told = _taken(settings, opened, asked.model_dump(mode="json"))
    display.print_json(told) if given["as_json"] else show_snapshots([told], None)


def _taken(settings: Settings, lake: Lake, day: dict[str, Any]) -> dict[str, Any]:
    return client.done(settings, lake, "live snapshot", LIVE_SNAPSHOT, day)


def _follow(**given: Any) -> None:
    from aggregation.live.live_risk import LiveQuery
    from aggregation.live.opening import LiveDay

    with by_option(LiveQuery):
        query = validated(LiveQuery, given_values(parameters_of(LiveQuery), given), "question")
    every, until = _seconds(given["every"], "--every"), _until(given["until"])
    shots = given["snapshot_every"] and _seconds(given["snapshot_every"], "--snapshot-every")
    settings, lake = open_lake(given["lake"])
    sources = {what: given[what] for what in ("orders", "ticks") if given[what] is not None}
    brought: dict[tuple[str, Path], tuple[int, int]] = {}
    day = query.model_dump(mode="json", include=set(LiveDay.model_fields))
    last_shot = time.monotonic()
    try:
        while True:
            begun = time.monotonic()
            for what, path in sources.items():
                own = ("source", "bucket_seconds") if what == "ticks" else ()
                said = {name: given[name] for name in own if given[name] is not None}
                _bring(settings, lake, what, path, said, brought)
            if lake.version("alarm_bands") >= 0:
                client.done(settings, lake, "live alarms", LIVE_ALARMS, day)
            _answer(settings, lake, query, as_json=given["as_json"])
            if shots and time.monotonic() - last_shot >= shots:
                _taken(settings, lake, day)
                last_shot = time.monotonic()
            if given["once"] or (until is not None and dt.datetime.now(dt.UTC) >= until):
                return
            time.sleep(max(0.0, every - (time.monotonic() - begun)))
    except KeyboardInterrupt:
        display.say("Ended. What was brought in is in the lake.")


def _bring(
    settings: Settings,
    lake: Lake,
    what: str,
    path: Path,
    said: dict[str, Any],
    brought: dict[tuple[str, Path], tuple[int, int]],
) -> None:
    """Brings in the files that are new or have changed since, in the order of their names."""
    from service.ingests import INGESTS
    from service.work import ingest_request

    if what not in INGESTS:
        raise unknown("kind of files", what, INGESTS)
    if not path.exists():
        raise NotFound(f"There is no file or folder {path}.")
    files = sorted(f for f in path.iterdir() if f.is_file() and f.name[0] not in "._") if path.is_dir() else [path]
    for file in files:
        found = file.stat()
        state = (found.st_mtime_ns, found.st_size)
        if brought.get((what, file)) != state:
            request = ingest_request(what, [file], said, settings)
            client.done(settings, lake, f"ingest {what}", INGEST, request.model_dump(mode="json"))
            brought[what, file] = state


def _answer(settings: Settings, lake: Lake, query: LiveQuery, *, as_json: bool) -> None:
    from aggregation import questions
    from aggregation.session import reading
    from service.operations import vector_cache
    from service.rendering.live import show_live

    answer = questions.ask(reading(lake, vector_cache(settings, lake)), "intraday", query)
    if as_json:
        display.print_json(answer.to_dict(), indent=None)
    else:
        show_live(answer)


def _seconds(text: str, option: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or not float(found[1]):
        raise BadInput(f"{option} {text!r} is no length of time; expected a number with s, m or h, such as 5s or 5m.")
    return float(found[1]) * _SECONDS[found[2]]


def _until(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        at = dt.time.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--until {text!r} is no time; expected HH:MM in UTC, such as 16:00.") from None
    return dt.datetime.combine(dt.datetime.now(dt.UTC).date(), at, dt.UTC)
