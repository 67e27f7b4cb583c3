"""What became of trades: every version of a position, when it was loaded, from which file, and what changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lake.delta_log import commit_info
from lake.schemas import POSITIONS
from lake.storage import check_data_file
from lake.tables import Lake, both

Row = dict[str, Any]


@dataclass(frozen=True)
class TradeChange:
    """A version of `positions` in which a trade of one date is another than before.

    version : of the table. loaded_at : instant of the commit, UTC. file, mapping : what was loaded, and the digest of the mapping
    it was read by. action : new, amend or remove. before, after : the rows, None where there is none.
    """

    positions_date: dt.date
    trade: str
    version: int
    loaded_at: dt.datetime
    file: str | None
    mapping: str | None
    action: Literal["new", "amend", "remove"]
    before: Row | None
    after: Row | None


def trade_changes(lake: Lake, trades: Collection[str], dates: Collection[dt.date] | None = None) -> list[TradeChange]:
    """The changes of these trades, on these dates or all, by date, trade and version. Raises `Damaged` for a file that is not whole."""
    names, held, found = sorted(trades), dict[tuple[dt.date, str], Row](), []
    active: dict[dt.date, set[str]] = {}
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
            now = {
                r["trade"]: r for path in sorted(active[date]) for r in _rows(lake.path / POSITIONS.name / path, wanted)
            }
            for trade in names:
                before, after = held.pop((date, trade), None), now.get(trade)
                if after is not None:
                    held[date, trade] = after
                if before != after:
                    action: Literal["new", "amend", "remove"] = (
                        "new" if before is None else "remove" if after is None else "amend"
                    )
                    moment = dt.datetime.fromtimestamp(info["timestamp"] / 1000, dt.UTC)
                    file, mapping = info.get("positions_file"), info.get("mapping")
                    found.append(TradeChange(date, trade, version, moment, file, mapping, action, before, after))
    return sorted(found, key=lambda c: (c.positions_date, c.trade, c.version))


def _rows(path: Path, wanted: ds.Expression | None) -> Iterator[Row]:
    check_data_file(path)
    yield from pq.read_table(path, filters=wanted, partitioning=None).to_pylist(maps_as_pydicts="strict")
