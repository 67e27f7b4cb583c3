"""What became of trades: every version of a position, when it was loaded, from which file, and what changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lake.delta_log import commit_info
from lake.schemas import POSITIONS
from lake.storage import check_data_file, removed_files
from lake.tables import Lake, both

Row = dict[str, Any]
Action = Literal["new", "amend", "remove", "earliest"]


@dataclass(frozen=True)
class TradeChange:
    """A version of `positions` in which a trade of one date is another than before.

    version : of the table. loaded_at : instant of the commit, UTC. file, mapping : what was loaded, and the digest of the mapping
    it was read by. action : new, amend, remove, or earliest where the trade is in the first version of its book that is still in the
    lake. before, after : the rows, None where there is none.
    """

    positions_date: dt.date
    trade: str
    version: int
    loaded_at: dt.datetime
    file: str | None
    mapping: str | None
    action: Action
    before: Row | None
    after: Row | None


@dataclass(frozen=True)
class LostVersions:
    """Versions of the book of a date whose files a cleaning removed: how many, and when the last of them was replaced, UTC."""

    positions_date: dt.date
    versions: int
    until: dt.datetime


@dataclass(frozen=True)
class TradeChanges:
    """By date, trade and version; and the versions of the same books that are lost, by date."""

    changes: list[TradeChange]
    lost: list[LostVersions]


def trade_changes(lake: Lake, trades: Collection[str], dates: Collection[dt.date] | None = None) -> TradeChanges:
    """The changes of these trades, on these dates or all. What changed in a version that is lost shows in the first one after it.

    Raises `Damaged` for a file that is not whole.
    """
    names, held, found = sorted(trades), dict[tuple[dt.date, str], Row](), list[TradeChange]()
    active: dict[dt.date, set[str]] = {}
    lost: dict[dt.date, LostVersions] = {}
    seen, last_is_lost, removed = set[dt.date](), set[dt.date](), removed_files(lake.path)
    wanted = both(ds.field("trade").isin(names), lake.seen(POSITIONS.name))
    for version, actions in enumerate(lake.log(POSITIONS.name).entries()):
        info = commit_info(actions)
        touched = set()
        for kind in ("remove", "add"):
            for file in (a[kind] for a in actions if kind in a):
                date = dt.date.fromisoformat(file["partitionValues"]["positions_date"])
                (active.setdefault(date, set()).add if kind == "add" else active[date].discard)(file["path"])
                touched.add(date)
        for date in sorted(touched if dates is None else touched & {*dates}):
            moment = dt.datetime.fromtimestamp(info["timestamp"] / 1000, dt.UTC)
            if date in last_is_lost:
                lost[date] = replace(lost[date], until=moment)
                last_is_lost.remove(date)
            files = [f"{POSITIONS.name}/{path}" for path in sorted(active[date])]
            if any(f in removed and not (lake.path / f).exists() for f in files):
                lost[date] = LostVersions(date, lost[date].versions + 1 if date in lost else 1, moment)
                last_is_lost.add(date)
                continue
            now = {r["trade"]: r for f in files for r in _rows(lake.path / f, wanted)}
            for trade in names:
                before, after = held.pop((date, trade), None), now.get(trade)
                if after is not None:
                    held[date, trade] = after
                if before != after:
                    added: Action = "earliest" if date in lost and date not in seen else "new"
                    action: Action = added if before is None else "remove" if after is None else "amend"
                    file, mapping = info.get("positions_file"), info.get("mapping")
                    found.append(TradeChange(date, trade, version, moment, file, mapping, action, before, after))
            seen.add(date)
    return TradeChanges(
        sorted(found, key=lambda c: (c.positions_date, c.trade, c.version)), [lost[d] for d in sorted(lost)]
    )


def _rows(path: Path, wanted: ds.Expression | None) -> Iterator[Row]:
    check_data_file(path)
    yield from pq.read_table(path, filters=wanted, partitioning=None).to_pylist(maps_as_pydicts="strict")
