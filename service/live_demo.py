"""A trading day replayed at speed: files of ticks and orders arrive and are followed, the service runs beside, snapshots are compared.

What a user would type is run as a user would run it, each command a process of its own. The market, the book and the day are synthetic.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from aggregation import questions
from aggregation.live.snapshot import list_snapshots
from aggregation.session import no_spark, reading
from lake.committer import Committer
from lake.errors import BadInput, Conflict
from lake.storage import write_durable
from lake.tables import Lake
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from scenarios.market.sample_market import write_sample_market
from service import operations
from service.config import Settings
from service.demo import SEED, fresh_folder
from service.rendering import display
from valuation.books.positions import ingest_positions
from valuation.samples.book import write_sample_book
from valuation.samples.live_day import ZONE, write_live_day
from valuation.sets.requests import ValuationRequest, run_valuation

BEFORE, DAY = dt.date(2020, 3, 13), dt.date(2020, 3, 16)
FIRST = dt.date(2017, 6, 1)  # of the market: enough for 500 scenarios
SNAPSHOTS = (dt.time(11, 5), dt.time(14, 30))
PARTS = 40
MOST_MINUTES = 600
EVERY_SECONDS = 2
_LIMIT = 1.01  # of VaR at the open, so that a day of trades can be seen to reach it
_START_SECONDS, _ANSWER_SECONDS, _STOP_SECONDS = 180.0, 300.0, 45.0
_COMMAND = "import sys; from service.cli.main import main; sys.argv[0] = 'varlake'; main()"


def run_live_demo(
    folder: Path,
    *,
    positions: int,
    ticks: int,
    orders: int,
    minutes: float,
    port: int | None = None,
    anew: bool = False,
) -> Lake:
    """Makes a lake in `folder`, replays a day on it in about so many minutes, compares 11:05 with 14:30, and gives the lake.

    port : of the service; by default that of the settings. Raises `BadInput` for minutes out of range, `Conflict` where the service or the
    command that follows the day ends before it should.
    """
    if not 0 < minutes <= MOST_MINUTES:
        raise BadInput(f"A day in {minutes:g} minutes was asked for; expected more than 0 and at most {MOST_MINUTES}.")
    folder = fresh_folder(folder, anew)
    settings = Settings(lake=folder / "lake") if port is None else Settings(lake=folder / "lake", port=port)
    lake = _lake_of(settings, folder, positions)
    arriving = {what: folder / "arriving" / what for what in ("ticks", "orders")}
    for place in arriving.values():
        place.mkdir(parents=True)
    cuts = _cuts()
    parts = write_live_day(lake.snapshot(), folder / "day", date=DAY, ticks=ticks, orders=orders, seed=SEED, cuts=cuts)
    of_part = [
        [(what, p) for what in parts for p in parts[what] if p.stem == name]
        for name in [*(f"{c:%H%M}" for c in cuts), "close"]
    ]
    _varlake(
        lake, "live", "band", "--deviations", "4", "--window", "30", "--min-interval-seconds", "1800",
        "--holds-from", f"{DAY}T00:00:00-04:00", "--reason", "the demo",
    )  # fmt: skip
    with _serving(lake, settings, folder / "serve.log") as address:
        display.say(f"\nThe pages are at {address}; the day so far at {address}live?as_of={DAY}&by=desk")
        follow = _words(
            lake, "live", "follow", "--as-of", str(DAY), "--by", "desk", "--level", "0.99", "--ticks", str(arriving["ticks"]),
            "--source", "synthetic", "--bucket-seconds", "60", "--orders", str(arriving["orders"]),
            "--every", f"{EVERY_SECONDS}s", "--json",
        )  # fmt: skip
        with _Followed(follow, folder / "follow.log") as day:
            day.answers(1)
            started = time.monotonic()
            for number, files in enumerate(of_part, 1):
                for what, path in files:
                    write_durable(arriving[what] / path.name, path.read_bytes())
                if number <= len(cuts) and cuts[number - 1] in SNAPSHOTS:
                    day.answers(2)  # the second has begun after the files were there
                    _varlake(lake, "live", "snapshot", "--as-of", str(DAY))
                day.until(started + number * 60 * minutes / len(of_part))
            day.answers(2)
            display.say("The day is over.")
        one, two = list_snapshots(lake, DAY)
        display.say(f"\nFrom 11:05 to 14:30: {one.compared_with(two)}")
        _varlake(lake, *shlex.split(one.compared_with(two))[1:], "--by", "desk", say=False)
        _varlake(lake, "limits", "--as-of", str(DAY), "--scenario-set", two.scenario_set)
        _varlake(lake, "live", "alarms", str(DAY))
    display.say(f"\nAsk on: varlake intraday --lake {lake.path} --as-of {DAY} --by desk")
    display.say(f"Look at it: varlake serve --lake {lake.path}")
    return lake


def _cuts() -> list[dt.time]:
    """Instants from the open to the close, evenly, the snapshots among them."""
    opens = dt.datetime.combine(DAY, dt.time(9, 30))
    step = dt.timedelta(minutes=390 / PARTS)
    return sorted({(opens + n * step).time().replace(second=0) for n in range(1, PARTS)} | {*SNAPSHOTS})


def _lake_of(settings: Settings, folder: Path, positions: int) -> Lake:
    """A lake with a market up to the day before, a book of it, its valuation, and limits a little above it."""
    lake = Lake.create(settings.lake)
    display.say("A synthetic market up to the day before, a bank's book, and its valuation under 500 scenarios.")
    catalogue = write_sample_market(folder / "market", seed=SEED, first=FIRST, last=BEFORE)
    with Committer(lake, "varlake live demo") as committer:
        ingest_market(committer, folder / "market", load_catalogue(str(catalogue)))
        for file in write_sample_book(
            lake.snapshot(), folder / "book", positions=positions, dates=str(BEFORE), seed=SEED
        ):
            ingest_positions(committer, file)
        with display.progress_bar("value the book") as progress:
            run_valuation(
                committer, ValuationRequest(as_of=BEFORE, runner="in-process"), spark=no_spark, progress=progress
            )
        query = questions.read("var", {"as_of": str(BEFORE), "by": ["desk"], "levels": ["0.99"]})
        var = questions.ask(reading(lake, operations.vector_cache(settings, lake)), "var", query)
        used = {f"desk={r['desk']}": r["var_0.99"] for r in var.rows.to_pylist()} | {"": var.total["var_0.99"]}
        rows = [
            f"{node.removeprefix('desk=').upper().replace(' ', '-') or 'FIRM'},{DAY},{node},var,0.99,{_LIMIT * v:.0f},USD,0.9"
            for node, v in used.items()
            if v
        ]
        limits = folder / "limits.csv"
        limits.write_text("\n".join(["limit,effective_from,node,measure,level,amount,currency,warning", *rows, ""]))
    _varlake(lake, "ingest", "var-limits", str(limits))
    return lake


class _Followed:
    """The command that follows the day, and what it has answered; its answers are told as they come."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self._words, self._log = words, log
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._told: tuple[Any, ...] = ()
        self._alarms: set[tuple[str, str]] = set()

    def __enter__(self) -> _Followed:
        with self._log.open("w") as log:
            self._process = _started(self._words, log, subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as out:
            for line in out:
                self._lines.put(line)
        self._lines.put(None)

    def __exit__(self, *_: object) -> None:
        _end(self._process, signal.SIGINT)
        self._reader.join(_STOP_SECONDS)

    def answers(self, count: int) -> None:
        """Waits for so many more answers; what came before is told first."""
        self.until(time.monotonic())
        for _ in range(count):
            try:
                self._tell(self._lines.get(timeout=_ANSWER_SECONDS))
            except queue.Empty:
                raise Conflict(f"The day was not answered for {_ANSWER_SECONDS:g} s; see {self._log}.") from None

    def until(self, at: float) -> None:
        """Tells what is answered until then."""
        while True:
            try:
                self._tell(self._lines.get(timeout=max(0.0, at - time.monotonic())))
            except queue.Empty:
                return

    def _tell(self, line: str | None) -> None:
        if line is None:
            raise Conflict(f"The command that follows the day has ended: {self._log.read_text().strip()[-500:]}")
        answer = json.loads(line)
        rests = answer["watermark"]
        told = (rests["orders"], rests["counted"], rests["prices_until"])
        if told != self._told:
            self._told = told
            until = rests["prices_until"]
            clock = f"{dt.datetime.fromisoformat(until).astimezone(ZONE):%H:%M}" if until else "open "
            moved = sorted(
                (r for r in answer["rows"] if r["var_0.99_change"]), key=lambda r: -abs(r["var_0.99_change"])
            )
            parts = [("VaR 99%", answer["total"]), *((r["desk"], r) for r in moved[:3])]
            display.say(
                f"{clock}  {rests['counted']:>4} orders  "
                + "; ".join(
                    f"{name} {r['var_0.99'] / 1e6:.2f}m ({r['var_0.99_change'] / 1e6:+.2f}m)" for name, r in parts
                )
            )
        for alarm in answer["alarms"]:
            if (key := (alarm["risk_factor_id"], alarm["at"])) not in self._alarms:
                self._alarms.add(key)
                display.say(f"       alarm: {alarm['risk_factor_id']} {alarm['reason']}")


@contextlib.contextmanager
def _serving(lake: Lake, settings: Settings, log: Path) -> Iterator[str]:
    """The service on the lake; gives its address once it answers."""
    with log.open("w") as file:
        process = _started(_words(lake, "serve", "--port", str(settings.port)), file, file)
    try:
        until = time.monotonic() + _START_SECONDS
        while "varlake answers at " not in (said := log.read_text()):
            if process.poll() is not None or time.monotonic() > until:
                raise Conflict(f"The service has not started: {said.strip()[-500:]}")
            time.sleep(0.2)
        yield said.split("varlake answers at ", 1)[1].split()[0]
    finally:
        _end(process, signal.SIGTERM)


def _words(lake: Lake, *words: str) -> list[str]:
    return [sys.executable, "-c", _COMMAND, *words, "--lake", str(lake.path)]


def _started(words: Sequence[str], log: IO[str], out: IO[str] | int) -> subprocess.Popen[str]:
    # a session of its own: Ctrl-C reaches this process alone, which ends the others in order
    return subprocess.Popen(words, stdout=out, stderr=log, text=True, start_new_session=True, env={**os.environ})


def _end(process: subprocess.Popen[str], number: int) -> None:
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _varlake(lake: Lake, *words: str, say: bool = True) -> None:
    """Runs a command to its end, in words first; raises `Conflict` where it fails."""
    if say:
        display.say(f"\n$ {shlex.join(['varlake', *words])}")
    done = subprocess.run(_words(lake, *words), check=False, start_new_session=True)
    if done.returncode:
        raise Conflict(f"{shlex.join(['varlake', *words])} has ended with exit code {done.returncode}.")
