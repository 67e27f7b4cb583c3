"""Snapshots of a live day: its levels, positions and vectors as ordinary rows of the lake, and every question then has its answer.

What the day opened with is stored before anything else, so that a snapshot that is cut short leaves a day that opens as it did.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from aggregation.live.follow import follow
from aggregation.live.live_book import LiveBook
from aggregation.live.live_market import opening_base
from aggregation.live.opening import OPEN, TABLE, LiveDay, open_rows
from aggregation.session import Session
from lake.audit import LOCAL_ACTOR
from lake.committer import Committer
from lake.errors import Conflict, NotAllowed, NotReady
from lake.progress import Progress, silent
from lake.schemas import LIVE_SNAPSHOTS, MARKET_DATA
from lake.tables import Lake
from scenarios import store
from scenarios.market.market_rows import upsert
from scenarios.requests import ScenarioRequest
from valuation.sets.requests import ValuationRequest, plan_valuation
from valuation.sets.run import run_plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_SHOWN = (
    "snapshot",
    "taken_at",
    "scenario_set",
    "valuation_set_id",
    "orders",
    "orders_until",
    "prices_until",
    "author",
)


@dataclass(frozen=True)
class LiveSnapshot:
    """A snapshot: `number` counts those of the day from 1, and `known` is the instant as of which it is asked for with `as_known`."""

    day: dt.date
    number: int
    taken_at: dt.datetime
    orders: int | None
    orders_until: dt.datetime | None
    prices_until: dt.datetime | None
    scenario_set: str
    valuation_set_id: str | None
    author: str

    @property
    def known(self) -> str:
        return self.taken_at.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    @property
    def command(self) -> str:
        """The command that answers from it."""
        told = [
            "varlake",
            "var",
            "--as-of",
            str(self.day),
            "--scenario-set",
            self.scenario_set,
            "--as-known",
            self.known,
        ]
        return shlex.join(told)

    def compared_with(self, later: LiveSnapshot) -> str:
        """The command that compares it with another of the day, by cause."""
        points = [
            part
            for name, one in (("from", self), ("to", later))
            for part in (
                f"--{name}",
                str(one.day),
                f"--{name}-as-known",
                one.known,
                f"--{name}-scenario-set",
                one.scenario_set,
            )
        ]
        return shlex.join(["varlake", "compare", *points, "--value"])

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "as_known": self.known, "command": self.command}


def snapshot_table(snapshots: Sequence[LiveSnapshot]) -> pa.Table:
    """A row a snapshot, and `as_known`, the instant as of which it is asked for."""
    schema = pa.schema(
        [*(f for f in LIVE_SNAPSHOTS.schema.remove_metadata() if f.name in _SHOWN), ("as_known", pa.string())]
    )
    names = {"snapshot": "number"}
    rows = [{n: s.to_dict()[names.get(n, n)] for n in schema.names} for s in snapshots]
    return pa.Table.from_pylist(rows, schema=schema).rename_columns([names.get(n, n) for n in schema.names])


def last_two_compared(snapshots: Sequence[LiveSnapshot]) -> str | None:
    """The command that compares the last two; None where there are no two."""
    return snapshots[-2].compared_with(snapshots[-1]) if len(snapshots) > 1 else None


def list_snapshots(lake: Lake, day: dt.date) -> list[LiveSnapshot]:
    """The snapshots of a day, oldest first; to whoever sees a part of the book without what they tell of the rest of it."""
    return [_of(row) for row in open_rows(lake, day) if row["snapshot"] != OPEN]


def _of(row: dict[str, Any]) -> LiveSnapshot:
    names = [f.name for f in dataclasses.fields(LiveSnapshot)]
    return LiveSnapshot(**{n: row["snapshot" if n == "number" else n] for n in names})


def take_snapshot(
    committer: Committer,
    live: LiveBook,
    *,
    actor: str = LOCAL_ACTOR,
    spark: Callable[[], SparkSession] | None = None,
    progress: Progress = silent,
) -> LiveSnapshot:
    """Stores the day as it is now; the vectors are made as any valuation makes them, and those that are there already are not.

    Raises `NotAllowed` for whoever sees a part of the book, `Conflict` where the lake was changed beside the live day, so that it would
    give another answer.
    """
    check_snapshot(committer.lake)
    _check_beside(committer.lake, live)
    rows = open_rows(committer.lake, live.day)
    number = max((r["snapshot"] for r in rows), default=OPEN) + 1
    if not rows:
        _put(committer, _row(live, OPEN, actor, None))
    _put_levels(committer, live)
    _put_positions(committer, live)
    row = _row(live, number, actor, _value(committer, live, spark, progress))
    _put(committer, row)
    return _of(row)


def check_snapshot(lake: Lake) -> None:
    """Raises `NotAllowed` for whoever sees a part of the book: a snapshot is of the trades of all."""
    if lake.reader:
        raise NotAllowed(
            "Snapshots are taken, and alarms stored, by those who see the whole book; you see a part of it."
        )


def _check_beside(lake: Lake, live: LiveBook) -> None:
    """Raises `Conflict` where the lake holds other levels than the live book for factors without one of the day, `NotReady` where there
    is no level of it at all."""
    stored = opening_base(lake.snapshot(), live.day, live.opening.source)
    if stored.held.keys() == stored.index.row.keys() and not live.market.fresh.any():
        raise NotReady(
            f"No level of {live.day} has come yet, so that there is no market to store. Bring in ticks, or market data."
        )
    market, row = live.market, stored.index.row
    for place, factor in enumerate(market.index.factors):
        level = stored.base[row[factor.risk_factor_id]] if factor.risk_factor_id in row else None
        if level != market.base[place] and not market.fresh[place]:
            raise Conflict(
                f"The market data of {live.day} was changed beside the live day, which opened on version "
                f"{live.opening.at.versions['market_data']}: {factor.risk_factor_id} is {level} there and {market.base[place]} here. "
                "Nothing is stored. Bring the level in as a tick, or open the day again."
            )


def snapshot_day(session: Session, asked: LiveDay) -> LiveSnapshot:
    """Takes a snapshot of a day as the lake has it now, in a session that writes."""
    check_snapshot(session.lake)
    day = follow(session.cache, asked)
    with day.lock:
        day.catch_up(session.cache.lake)
        return take_snapshot(
            session.writer(), day.live, actor=session.actor, spark=session.spark, progress=session.progress
        )


def _put(committer: Committer, row: dict[str, Any]) -> None:
    committer.put(TABLE, pa.Table.from_pylist([row], schema=LIVE_SNAPSHOTS.schema), note={"live_day": str(row["day"])})


def _row(live: LiveBook, number: int, author: str, valuation_set_id: str | None) -> dict[str, Any]:
    opening = live.opening
    return {
        "day": live.day,
        "snapshot": number,
        "taken_at": dt.datetime.now(dt.UTC),
        "orders": live.trades.seen,
        "orders_until": live.trades.last and live.trades.last[0],
        "prices_until": live.prices_until,
        "positions_date": opening.positions_date,
        "positions_version": opening.at.versions["positions"],
        "market_data_version": opening.at.versions["market_data"],
        "scenario_set_id": opening.source.scenario_set_id,
        "scenario_set": opening.name,
        "valuation_set_id": valuation_set_id,
        "author": author,
    }


def _put_levels(committer: Committer, live: LiveBook) -> None:
    """The levels of the day as market data of it, in the source of each factor; a later load of the source takes their place."""
    market = live.market
    factors = [(f, market.base[r]) for r, f in enumerate(market.index.factors) if market.fresh[r]]
    until = "" if live.prices_until is None else f" until {live.prices_until.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    for source in sorted({f.source for f, _ in factors}):
        own = [(f.risk_factor_id, float(level)) for f, level in factors if f.source == source]
        rows = pa.table(
            {
                "as_of_date": pa.array([live.day] * len(own), pa.date32()),
                "risk_factor_id": [name for name, _ in own],
                "value_received": np.array([level for _, level in own]),
                "value_used": np.array([level for _, level in own]),
                "status": ["observed"] * len(own),
                "rule": [f"live level{until}"] * len(own),
                "source": [source] * len(own),
            },
            schema=MARKET_DATA.schema.remove_metadata(),
        )
        stored = committer.lake.read("market_data", among={"source": [source]}).select(rows.column_names)
        _, merged, _ = upsert(stored.cast(rows.schema), rows)
        if merged is not None:
            committer.put("market_data", merged, replace=True, note={"live_day": str(live.day)})


def _put_positions(committer: Committer, live: LiveBook) -> None:
    rows = live.position_rows()
    committer.put(
        "positions", rows, replace=True, note={"live_day": str(live.day)}, emptied=() if len(rows) else (live.day,)
    )


def _value(committer: Committer, live: LiveBook, spark: Callable[[], SparkSession] | None, progress: Progress) -> str:
    """Values the positions under the moves on the levels that are stored now, as `varlake value` would; the id of the set."""
    opening = live.opening
    recipe = ScenarioRequest(
        method="rebased", parameters={"scenario_set": opening.source.scenario_set_id}, name=opening.name
    )
    plan = plan_valuation(committer.lake.snapshot(), ValuationRequest(as_of=live.day, scenarios=recipe))
    wanted = dataclasses.replace(live.scenarios, levels=np.ascontiguousarray(live.market.states[:, 1:]))
    if isinstance(plan.scenario_set.levels, np.ndarray) and (
        store.scenario_set_digest(wanted) != plan.scenario_set.scenario_set_id
    ):
        raise AssertionError(f"The scenarios of {live.day} are not those of the live book")
    store.save_scenario_set(committer, plan.scenario_set)
    run = run_plan(committer, plan, spark=spark, runner="auto" if spark else "in-process", progress=progress)
    return run.valuation_set.valuation_set_id
