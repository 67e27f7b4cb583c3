"""Ticks into the lake, and what is made of them: the level of each risk factor in buckets of a session.

Ticks are stored as they came. With each file the levels of its days are made anew of all ticks there are of its feed, so that neither
how the ticks are cut into files, nor in which order the files come, changes a bit.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.arrays import Bools, Dates
from lake.committer import Committer
from lake.errors import BadInput, Issue, NotFound
from lake.landing.fast_ticks import Framing, is_fast, read_fast
from lake.landing.fix_ticks import Take, is_fix, read_fix
from lake.landing.mapping import FileMapping
from lake.landing.rows import refuse_whole
from lake.landing.ticks import STORED, TickRows, read_ticks, repeats, stored_ticks, told_once
from lake.schemas import INSTANT, INTRADAY_LEVELS
from lake.tables import Lake
from scenarios.kernels.alignment import FRESH, HALTED, Aligned, align
from scenarios.market.calendars import Calendars
from scenarios.market.history import load_calendars, load_factors
from scenarios.market.session_hours import DAY, session_hours
from scenarios.types import POSITIVE_TYPES, FactorIndex

LONGEST = 300  # seconds of a bucket
_CELLS = 1 << 22  # series times buckets that are aligned at a time
_SECOND = 1_000_000
# what becomes of a tick, in the order of scenarios.kernels.alignment, and what is said of it
FATES: Mapping[str, str] = {
    "used": "",
    "late": "Ticks after one of a later bucket, used in their own",
    "corrected": "",
    "cancelled": "",
    "crossed": "Quotes with a bid above the ask, not used",
    "not_positive": "Ticks with a level that is not positive, not used",
    "no_level": "Ticks with neither a price nor both sides of a quote, not used",
    "in_halt": "Ticks in a halt, not used",
    "outside_session": "Ticks outside the session of their market, not used",
    "duplicate": "",
    "no_target": "Corrections and cancels of ticks that have not arrived or are cancelled, without effect",
    "applied": "",
}


@dataclass(frozen=True)
class TicksReport:
    """What became of a file: ticks `read` = `new` + `unchanged`, which the lake had already, + `duplicates` within the file
    + `not_held`, of symbols that were not asked for.

    The rest is of the days of the file and its feed, with all ticks that the lake has of them. became : ticks by what became of them, the
    keys of FATES. buckets : levels = fresh + carried + halted. seen : what else the file held, by name.
    """

    path: str
    source: str
    read: int
    new: int
    unchanged: int
    duplicates: int
    not_held: int
    first: dt.date | None
    last: dt.date | None
    factors: int
    bucket_seconds: int
    became: dict[str, int]
    buckets: int
    fresh: int
    carried: int
    halted: int
    seen: dict[str, int]
    version: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ingest_ticks(
    committer: Committer,
    path: str | Path,
    *,
    source: str,
    bucket_seconds: int = 1,
    only: Collection[str] | None = None,
    mapping: FileMapping | None = None,
    fix: bool = False,
    take: Take = "both",
    session: int = 0,
    templates: str | Path | None = None,
    framing: Framing = "consecutive",
) -> TicksReport:
    """Loads a file of ticks of the feed `source`, and makes the levels of its days in buckets of `bucket_seconds`, from 1 to 300.

    only : the risk factors wanted; None for all, of which each must be in the lake. fix : the file is a log of FIX, whatever its ending;
    `take` and `session` are of these, see `lake.landing.fix_ticks.read_fix`. templates : the templates of a recording of FAST, which the
    file then is; `framing` says how its messages follow each other. Raises `BadInput` with every fault; so is a number
    that the lake holds with other content, and a factor that has ticks of another feed on that day.
    """
    if not 1 <= bucket_seconds <= LONGEST:
        raise BadInput(f"Buckets of {bucket_seconds} s were asked for; expected 1 to {LONGEST} seconds.")
    path, lake = Path(path), committer.lake
    if not path.is_file():
        raise NotFound(f"There is no file of ticks {path}.")
    snapshot = lake.snapshot("risk_factors", "market_calendars")
    index, calendars = load_factors(snapshot), load_calendars(snapshot)
    faults: list[Issue] = []
    if templates is None and (is_fast(path) or framing != "consecutive"):
        raise BadInput(f"{path.name} as a recording of FAST is read by its templates; say where they are (templates).")
    if templates is not None:
        if fix:
            raise BadInput("A file is a log of FIX (fix) or a recording of FAST (templates), not both.")
        rows = read_fast(path, Path(templates), mapping, take, session, framing)
    elif fix or is_fix(path):
        rows = read_fix(path, mapping, take, session)
    elif take != "both" or session:
        raise BadInput(
            f"take and session are of logs of FIX, and {path.name} is read as a table; say fix if it is such a log."
        )
    else:
        rows, faults = read_ticks(path, mapping)
    rows = told_once(path, rows, index.row, None if only is None else {*only} & index.row.keys(), faults)
    markets = _Markets(index, calendars, rows)
    dates = markets.dates(rows)
    days = [
        _day_of(lake, date, rows.take(dates == np.datetime64(date)), source, path) for date in np.unique(dates).tolist()
    ]
    refuse_whole(path.name, [issue for day in days for issue in day.issues])
    became, states = Counter[str](), Counter[str]()
    new, version = sum(day.fresh.num_rows for day in days), lake.version("intraday_levels")
    if new:
        fresh = pa.concat_tables([day.fresh for day in days])
        committer.put("ticks", fresh, note={"ticks": path.name})
    for day in days:
        levels = _levels(day, markets, bucket_seconds, source, became)
        states += _states(levels)
        stored = _in_order(lake.read("intraday_levels", among={"date": [day.date]}))
        mine = pc.equal(stored["source"], source)
        if not stored.filter(mine).equals(levels):
            there = _in_order(pa.concat_tables([stored.filter(pc.invert(mine)), levels]))
            version = committer.put("intraday_levels", there, replace=True, note={"ticks": path.name})
    seen = dict(rows.told)
    duplicates, not_held = seen.pop("duplicates"), seen.pop("not_held")
    return TicksReport(
        path=str(path),
        source=source,
        read=len(rows) + duplicates + not_held,
        new=new,
        unchanged=len(rows) - new,
        duplicates=duplicates,
        not_held=not_held,
        first=min((d.date for d in days), default=None),
        last=max((d.date for d in days), default=None),
        factors=len(np.unique(rows.factor)),
        bucket_seconds=bucket_seconds,
        became={fate: became[fate] for fate in FATES if became[fate]},
        buckets=sum(states.values()),
        **{state: states[state] for state in ("fresh", "carried", "halted")},
        seen=seen,
        version=version,
        notes=(
            *rows.notes,
            *(f"{said}: {became[f]:,}." for f, said in FATES.items() if said and became[f]),
        ),
    )


def _in_order(rows: pa.Table) -> pa.Table:
    """The levels of a day by factor and bucket; sorted only where they are not so already, as those just made mostly are."""
    factor = rows["risk_factor_id"].combine_chunks().dictionary_encode()
    names, code = factor.dictionary.to_pylist(), np.diff(factor.indices.to_numpy())
    end = np.diff(rows["bucket_end"].cast(pa.int64()).to_numpy())
    if names == sorted(names) and ((code > 0) | ((code == 0) & (end > 0))).all():
        return rows
    return rows.sort_by([("risk_factor_id", "ascending"), ("bucket_end", "ascending")])


class _Markets:
    """The sessions of the risk factors of some ticks, by the calendar that the source of each keeps."""

    def __init__(self, index: FactorIndex, calendars: Calendars, rows: TickRows) -> None:
        self._index, self._of_source = index, calendars.of_source
        times = (rows.time.min(), rows.time.max()) if len(rows) else (0, 0)
        first, last = (dt.date(1970, 1, 1) + dt.timedelta(days=int(t // DAY)) for t in times)
        self.hours = {c: session_hours(c, first, last) for c in {*map(self.calendar, rows.factors)}}

    def calendar(self, factor: str) -> str | None:
        """The calendar of a risk factor; None where its source keeps none."""
        row = self._index.row.get(factor)
        return None if row is None else self._of_source.get(self._index.factors[row].source)

    def may_be_negative(self, factor: str) -> bool:
        return self._index.factors[self._index.row[factor]].type not in POSITIVE_TYPES

    def dates(self, rows: TickRows) -> Dates:
        """The day of the session that each tick lies in or is nearest to, (n_ticks,)."""
        days = np.empty(len(rows), dtype="datetime64[D]")
        for calendar, mask in self.by_calendar(rows):
            hours = self.hours[calendar]
            days[mask] = hours.days[hours.nearest(rows.time[mask])]
        return days

    def by_calendar(self, rows: TickRows) -> Iterator[tuple[str | None, Bools]]:
        """Each calendar with the ticks of its factors."""
        of_factor = np.array([str(self.calendar(f)) for f in rows.factors])
        for calendar in sorted(self.hours, key=str):
            mask = (of_factor == str(calendar))[rows.factor] if len(rows) else np.zeros(0, dtype=bool)
            if mask.any():
                yield calendar, mask


@dataclass(frozen=True)
class _Day:
    """A day of a feed. fresh : rows of the table `ticks` that the lake lacks. all : the ticks that there are with them."""

    date: dt.date
    fresh: pa.Table
    all: TickRows
    issues: list[Issue]


def _day_of(lake: Lake, date: dt.date, rows: TickRows, source: str, path: Path) -> _Day:
    """What the lake has of a day, and the ticks of the file that it lacks."""
    there = lake.read("ticks", [*STORED, "source"], among={"date": [date]})
    others: set[str] = set()
    if set(pc.unique(there["source"]).to_pylist()) - {source}:
        mine = pc.equal(there["source"], source)
        others = set(pc.unique(there.filter(pc.invert(mine))["risk_factor_id"]).to_pylist())
        there = there.filter(mine)
    stored = stored_ticks(there)
    both = stored.with_more(rows)
    _, again, differs = repeats(both)
    issues = [
        Issue(
            f"{rows.place} {both.line[i]}, column sequence",
            f"the lake has number {both.sequence[i]} of {both.factors[both.factor[i]]} on {date} with other content; a correction has a "
            "number of its own",
            str(both.sequence[i]),
        )
        for i in differs.tolist()
    ]
    for place, factor in enumerate(both.factors):
        if factor in others and (at := np.flatnonzero(both.factor[len(stored) :] == place)).size:
            said = f"{factor} has ticks of another feed on {date}; a risk factor has one a day"
            issues.append(Issue(f"{rows.place} {rows.line[at[0]]}, column risk_factor_id", said, factor))
    new = np.arange(len(stored), len(both))
    fresh = both.take(new[~again[new]])
    return _Day(date, fresh.table(date, source, path.name), both.take(~again), issues)


def _levels(day: _Day, markets: _Markets, bucket_seconds: int, source: str, became: Counter[str]) -> pa.Table:
    """The levels of a day, by factor and bucket, to the bucket of the feed's last tick; counts what became of the ticks."""
    width, end = bucket_seconds * _SECOND, int(day.all.time.max())
    parts = [INTRADAY_LEVELS.schema.empty_table()]
    for calendar, mask in markets.by_calendar(day.all):
        hours = markets.hours[calendar]
        (place,) = np.flatnonzero(hours.days == np.datetime64(day.date))
        opens, closes = int(hours.opens[place]), int(hours.closes[place])
        start = opens // width * width
        n_buckets = max((min(end, closes - 1) - start) // width + 1, 1)
        ticks = day.all.take(mask)
        factors = np.array(sorted(np.unique(ticks.factor).tolist(), key=ticks.factors.__getitem__))
        most = max(_CELLS // n_buckets, 1)
        for block in (factors[i : i + most] for i in range(0, len(factors), most)):
            series = np.full(len(ticks.factors), -1)
            series[block] = np.arange(len(block))
            part = ticks.take(series[ticks.factor] >= 0)
            names = [ticks.factors[f] for f in block]
            found = align(
                series=series[part.factor],
                sequence=part.sequence,
                time=part.time,
                kind=part.event.astype(np.int8),
                target=part.corrects,
                price=part.price,
                bid=part.bid,
                ask=part.ask,
                opens=np.full(len(block), opens),
                closes=np.full(len(block), closes),
                signed=np.array([markets.may_be_negative(name) for name in names]),
                start=start,
                width=width,
                n_buckets=n_buckets,
            )
            for fate, count in zip(*np.unique(found.fate, return_counts=True), strict=True):
                became[[*FATES][fate]] += int(count)
            parts.append(_rows(found, names, day.date, source, start, bucket_seconds))
    return _in_order(pa.concat_tables(parts))


def _rows(found: Aligned, names: list[str], date: dt.date, source: str, start: int, seconds: int) -> pa.Table:
    """Rows of the table `intraday_levels`, those of buckets that have a level."""
    at, bucket = np.nonzero(found.state >= FRESH)
    n = len(at)
    columns = {
        "date": pa.repeat(pa.scalar(date), n),
        "risk_factor_id": pa.array(names, pa.string()).take(pa.array(at)),
        "bucket_end": pa.array(start + (bucket + 1) * seconds * _SECOND).cast(INSTANT),
        "bucket_seconds": pa.repeat(pa.scalar(seconds, pa.int32()), n),
        "level": found.level[at, bucket],
        "ticks": pa.array(found.ticks[at, bucket].astype(np.int32)),
        "carried_seconds": pa.array((found.age[at, bucket] * seconds).astype(np.int32)),
        "halted": pa.array(found.state[at, bucket] == HALTED),
        "sequence": found.sequence[at, bucket],
        "source": pa.repeat(source, n),
    }
    return pa.table(columns, schema=INTRADAY_LEVELS.schema)


def _states(levels: pa.Table) -> Counter[str]:
    fresh, halted = pc.sum(pc.greater(levels["ticks"], 0)).as_py() or 0, pc.sum(levels["halted"]).as_py() or 0
    return Counter({"fresh": fresh, "halted": halted, "carried": levels.num_rows - fresh - halted})
