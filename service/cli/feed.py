"""Feeds: orders that arrive while the day runs, and how far each feed has come."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.errors import BadInput, Conflict
from service import client
from service.cli.given import open_lake
from service.cli.options import JsonOption, LakeOption
from service.jobs import ORDER_FEED, JobTable
from service.rendering import display

if TYPE_CHECKING:
    from lake.landing.order_feeds.batch import FeedBatch
    from lake.landing.order_feeds.feed import FeedReport, Store
    from lake.landing.order_feeds.portion import Source
    from lake.landing.orders import OrderReader
    from lake.tables import Lake

# ruff: noqa: PLC0415 - see service.cli.main

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
JOB_POLL_SECONDS = 0.1
TELL_SECONDS = 10.0  # between two lines about how far a feed is


@app.command("orders")
def feed_orders_command(
    folder: Annotated[Path | None, typer.Option("--folder", help="Read files as they come into this folder.")] = None,
    kafka: Annotated[str | None, typer.Option("--kafka", help="Read a topic of these brokers, host:port,...")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Topic of --kafka.")] = None,
    fix: Annotated[Path | None, typer.Option("--fix", help="Follow this log of a FIX drop copy as it grows.")] = None,
    drop_copy: Annotated[
        Path | None,
        typer.Option("--drop-copy", help="TOML file: symbols and members of what comes by FIX; for .fix files too."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the feed; default that of the folder, topic or log.")
    ] = None,
    marker: Annotated[
        str | None, typer.Option("--marker", help="A file is whole when NAME and this ending lies beside it: .done")
    ] = None,
    settle_seconds: Annotated[
        float, typer.Option("--settle-seconds", min=0, help="Without --marker: whole when it stood still so long.")
    ] = 2.0,
    kafka_settings: Annotated[
        Path | None, typer.Option("--kafka-settings", help="File of librdkafka settings, name=value a line: passwords.")
    ] = None,
    every_seconds: Annotated[
        float, typer.Option("--every-seconds", min=0.1, help="Commit so long after the first row that waits.")
    ] = 5.0,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Commit when so many rows wait.")] = 10_000,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left to read.")] = False,
    accept_unknown_factors: Annotated[
        bool, typer.Option("--accept-unknown-factors", help="Take contracts whose risk factors no market data has.")
    ] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring orders in as they arrive, each exactly once in effect, until Ctrl-C."""
    from lake.landing.order_feeds.feed import OrderFeed
    from service.ending import at_signals
    from valuation.books.orders import order_reader

    if sum(given is not None for given in (folder, kafka, fix)) != 1:
        raise BadInput("Give one of --folder, --kafka and --fix: where the orders come from.")
    _, opened = open_lake(lake)
    reader = order_reader(opened, accept_unknown_factors=accept_unknown_factors)
    source = _source(reader, folder, marker, settle_seconds, kafka, topic, kafka_settings, fix, drop_copy)
    called = name or (folder.absolute().name if folder else topic if topic else fix.stem if fix else "")
    stop, told_at = threading.Event(), [time.monotonic()]
    feed = OrderFeed(opened, called, source, reader, _store(opened, stop), most_rows=rows, seconds=every_seconds)

    def stopped(seconds: float) -> bool:
        if not json and time.monotonic() - told_at[0] >= TELL_SECONDS:
            told_at[0] = time.monotonic()
            _say(feed.report(), feed.held_by)
        return stop.wait(seconds) if seconds else stop.is_set()

    with at_signals(lambda _: stop.set()):
        try:
            feed.run(stopped, once=once)
            report = feed.report()
        finally:
            source.close()
    display.print_json(report.to_dict()) if json else _say(report, feed.held_by)


def _store(lake: Lake, stop: threading.Event) -> Store:
    """Commits batches here, or has the engine do it that holds the lake."""
    from lake.landing.order_feeds.feed import committing

    def store(batch: FeedBatch) -> Mapping[str, int]:
        with client.writer(lake, f"feed orders {batch.feed}") as committer:
            if committer is not None:
                return committing(lambda: contextlib.nullcontext(committer))(batch)
        return _stored_by_engine(lake, batch, stop)

    return store


def _stored_by_engine(lake: Lake, batch: FeedBatch, stop: threading.Event) -> Mapping[str, int]:
    """Has the engine commit a batch; raises `Conflict` where it does not, or the feed is to stop before it has."""
    table, folder = JobTable.of(lake), lake.state / "feeds" / batch.feed
    shutil.rmtree(folder, ignore_errors=True)  # what a feed of this name left that was killed
    path = folder / f"{uuid.uuid4().hex}.arrow"
    batch.write(path)
    try:
        request = {"feed": batch.feed, "file": str(path), "versions": dict(batch.versions)}
        job, _ = table.submit(ORDER_FEED, request)
        while (job := table.get(job.job_id)).state in ("queued", "running"):
            engine = table.engine()
            if stop.wait(JOB_POLL_SECONDS) or engine is None or not engine.alive:
                # where it is committed all the same, the next start finds it marked as read
                table.request_cancel(job.job_id)
                raise Conflict("The engine had not committed the rows that wait.")
    finally:
        path.unlink(missing_ok=True)
    if job.result is None:
        raise Conflict(job.problem["detail"] if job.problem else f"Job {job.job_id} was cancelled.")
    versions: dict[str, int] = job.result["versions"]
    return versions


def _source(
    reader: OrderReader,
    folder: Path | None,
    marker: str | None,
    settle_seconds: float,
    kafka: str | None,
    topic: str | None,
    kafka_settings: Path | None,
    fix: Path | None,
    drop_copy: Path | None,
) -> Source:
    """Where orders come from, as it was asked for."""
    from lake.landing.order_feeds.drop_copy import DropCopy, read_rules
    from lake.landing.order_feeds.folder import FolderSource

    copy = None if drop_copy is None else DropCopy(reader, read_rules(drop_copy))
    if folder is not None:
        return FolderSource(folder, reader, settle_seconds=settle_seconds, marker=marker, drop_copy=copy)
    if fix is not None:
        if copy is None:
            raise BadInput("--fix needs --drop-copy, a file that says of which contracts and members the fills are.")
        from lake.landing.order_feeds.fix_log import FixLog

        return FixLog(fix, copy)
    from lake.landing.order_feeds.kafka import KafkaSource, read_settings

    if topic is None:
        raise BadInput("--kafka needs --topic, the topic that orders are in.")
    return KafkaSource(kafka or "", topic, reader, read_settings(kafka_settings))


def _say(report: FeedReport, held_by: str | None) -> None:
    lag = ", ".join(f"{count:,} {what}" for what, count in report.lag.items())
    display.say(
        f"{report.feed}: {report.rows:,} rows in {report.commits:,} commits, {report.duplicates:,} known before, "
        f"{report.refused:,} refused, {report.waiting:,} waiting, "
        f"{report.open:,} open orders; not read yet: {lag}."
    )
    if report.counts:
        display.say("  " + ", ".join(f"{what} {count:,}" for what, count in sorted(report.counts.items())))
    for gap in report.gaps:
        display.say(f"  Gap: {gap}")
    if held_by:
        display.say(f"  Rows wait to be committed: {held_by}")


@app.command("status")
def feed_status_command(
    name: Annotated[str | None, typer.Argument(help="Name of a feed; default all.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """How far each feed of orders has read, what is missing, and the messages that made no row."""
    _, opened = open_lake(lake)
    told = status(opened, name)
    if json:
        display.print_json(told)
        return
    for title, rows in told.items():
        if rows:
            display.print_table(rows, title=title.capitalize())
        else:
            display.say(f"{title.capitalize()}: none.")


def status(lake: Lake, name: str | None) -> dict[str, list[dict[str, Any]]]:
    """What the lake says of its feeds: parts, messages that are kept, and orders of which a number is missing."""
    from lake.errors import unknown
    from lake.landing.orders import KnownOrders

    parts, messages = (lake.read(table).to_pylist() for table in ("order_feeds", "order_feed_messages"))
    names = sorted({r["feed"] for r in parts})
    if name is not None and name not in names:
        raise unknown("feed", name, names)
    gaps = [{"orders": gap} for gap in KnownOrders(lake).gaps()]
    mine = [[r for r in rows if name in (None, r["feed"])] for rows in (parts, messages)]
    return {"parts": mine[0], "messages": mine[1], "gaps": gaps}
