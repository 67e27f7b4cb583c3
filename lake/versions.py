"""What a table was at earlier versions: its commits, the lake as it was known at an instant, the versions of its rows.

A row is never edited: what corrects it is committed in its place, and the version before stays readable.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.audit import NOTE
from lake.dates import FIRST
from lake.delta_log import commit_info
from lake.errors import BadInput, NotFound, unknown
from lake.schemas import ATTRIBUTES, TABLES, Table
from lake.storage import check_data_file, partition_text
from lake.tables import NEVER_WRITTEN, AsKnown, Lake, both, rows_among, table_called

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})")
_VERSION = re.compile(r"([a-z_]+)@(-1|\d{1,9})")
_NO_KEY = "\0"  # joins match no nulls, and a key may have some


@dataclass(frozen=True)
class Commit:
    """A commit to a table. at : when, in UTC. about : what the writer noted, among it `run_id` and, as `lake.audit.NOTE`, the number of
    its act in the audit trail. added, removed : data files, each with the partition values it is in."""

    version: int
    at: dt.datetime
    about: Mapping[str, str]
    added: Mapping[str, Mapping[str, str]]
    removed: Mapping[str, Mapping[str, str]]


def commits(lake: Lake, name: str) -> tuple[Commit, ...]:
    """The commits of a table up to the version that is read, oldest first; raises `Damaged` for a log that is not as it was."""
    made = lake.marker.stat().st_mtime_ns  # of this lake, and not of one made later in the same place
    return _commits(lake.path, made, table_called(name).name, lake.version(name))


@functools.lru_cache(maxsize=64)
def _commits(path: Path, _: int, name: str, newest: int) -> tuple[Commit, ...]:
    made: list[Commit] = []
    for version, actions in enumerate(Lake(path).log(name).entries(newest)):
        info = commit_info(actions)
        at = dt.datetime.fromtimestamp(int(info.get("timestamp", 0)) / 1000, dt.UTC)
        if made:
            at = max(at, made[-1].at)  # the clock may have been set back: what was committed later was known later
        about = {k: v for k, v in info.items() if isinstance(v, str)}
        made.append(Commit(version, at, about, *(_files(actions, kind) for kind in ("add", "remove"))))
    return tuple(made)


def _files(actions: Iterable[Mapping[str, Any]], kind: str) -> dict[str, dict[str, str]]:
    return {unquote(a[kind]["path"]): a[kind].get("partitionValues") or {} for a in actions if kind in a}


def version_at(lake: Lake, name: str, instant: dt.datetime) -> int:
    """The version of a table that the commits made until the instant had led to; -1 where there was none."""
    return max((c.version for c in commits(lake, name) if c.at <= instant), default=NEVER_WRITTEN)


def check_known(told: str) -> str:
    """The text of what was known when, as `as_known` reads it; raises `ValueError` for any other."""
    told = told.strip()
    if _INSTANT.fullmatch(told):
        return _in_utc(_instant(told))
    pinned = _versions(told)
    return ",".join(f"{n}@{v}" for n, v in sorted(pinned.items()))


def _instant(told: str) -> dt.datetime:
    instant = dt.datetime.fromisoformat(told).astimezone(dt.UTC)
    if not dt.datetime(FIRST.year, 1, 1, tzinfo=dt.UTC) <= instant <= dt.datetime.now(dt.UTC):
        raise ValueError("expected an instant that has passed: nothing is known yet of a later one")
    return instant


def _in_utc(instant: dt.datetime) -> str:
    spec = "microseconds" if instant.microsecond else "seconds" if instant.second else "minutes"
    return instant.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def _versions(told: str) -> dict[str, int]:
    found = [_VERSION.fullmatch(part.strip()) for part in told.split(",")]
    if not all(found):
        raise ValueError(
            "expected an instant with its zone, such as 2020-03-20T18:00Z or 2020-03-20T18:00+01:00, or versions of tables, "
            "such as market_data@3,positions@5"
        )
    pinned = {m[1]: int(m[2]) for m in found if m}
    for name in pinned:
        if name not in TABLES:
            raise ValueError(unknown("table", name, TABLES).message)
    return pinned


def as_known(lake: Lake, told: str) -> Lake:
    """The lake as it was known. told : an instant, such as 2020-03-20T18:00Z, or versions of tables, such as market_data@3.

    Of an instant every table that holds what was brought in is read at the version it had then. What is made from those, such as
    scenario and valuation sets, is read as it is now and used only where it rests on no later market data
    (`AsKnown`). Named versions hold for the tables named. Raises `NotFound` for a version that is not there yet.
    """
    try:
        told = check_known(told)
    except ValueError as error:
        raise BadInput(f"As known at {told!r} was asked for: {error}.") from None
    if lake.known is not None and lake.known.told == told:
        return lake
    instant = _instant(told) if "@" not in told else None
    if instant is not None:
        pinned = {t.name: version_at(lake, t.name, instant) for t in TABLES.values() if not t.derived}
    else:
        pinned = _versions(told)
        for name, version in pinned.items():
            if not lake.shows_version(name):
                raise BadInput(
                    f"Versions of the table {name} are known to those who see all of it; say as of which instant instead, such as "
                    "2020-03-20T18:00Z."
                )
            if version > (newest := lake.version(name)):
                held = "it was never written" if newest == NEVER_WRITTEN else f"its newest is {newest}"
                raise NotFound(f"The table {name} has no version {version}; {held}.")
    return lake.at(pinned, AsKnown(told, instant, pinned.get("market_data")))


@dataclass(frozen=True)
class RowVersions:
    """The versions of some rows of a table.

    rows : a row a version of a row, by key, then oldest first: `version`, `stored_at`, `run_id`, `about` (what the writer noted, such
    as the file), `change` (new, changed or removed), and the columns of the table, those of a removed row as they were.
    lost : versions of which files are no longer in the lake.
    """

    rows: pa.Table
    lost: tuple[int, ...]


def row_versions(lake: Lake, name: str, among: Mapping[str, Sequence[Any]]) -> RowVersions:
    """Every version of the rows with these values in these columns; a commit that left a row as it was makes none.

    Only the commits that touch their partitions are read. Raises `Damaged` for a file that is not as it was committed.
    """
    table = table_called(name)
    found: list[pa.Table] = []
    lost: list[int] = []
    kept: dict[str, pa.Table] = {}
    before = table.schema.empty_table()
    for commit in commits(lake, name):
        gone = [p for p, values in commit.removed.items() if _touches(table, values, among)]
        come = [p for p, values in commit.added.items() if _touches(table, values, among)]
        if not gone and not come:
            continue
        for path in gone:
            kept.pop(path, None)
        if absent := [p for p in come if not (lake.path / name / p).is_file()]:
            lost.append(commit.version)
        kept |= {p: file_rows(lake, table, p, among) for p in come if p not in absent}
        if absent:
            continue
        now = pa.concat_tables([before.schema.empty_table(), *kept.values()])
        changes = differing(before, now, table.key)
        came = changes.filter(pc.is_valid(changes["after"]))
        went = changes.filter(pc.is_null(changes["after"]))
        held = pa.concat_tables([now.take(came["after"]), before.take(went["before"])])
        kinds = ["new" if b is None else "changed" for b in came["before"].to_pylist()] + ["removed"] * len(went)
        found.append(_with_commit(held, kinds, commit))
        before = now
    rows = pa.concat_tables(found or [_with_commit(before, (), None)])
    return RowVersions(rows.sort_by([(k, "ascending") for k in (*table.key, "version")]), tuple(lost))


def file_rows(lake: Lake, table: Table, path: str, among: Mapping[str, Iterable[Any]]) -> pa.Table:
    """The rows of one data file, active or not, that `among` keeps; columns that the file is too old to have are null."""
    check_data_file(lake.path / table.name / path)
    hive = ds.partitioning(
        pa.schema([f for f in table.schema if f.name in table.partition_by]).remove_metadata(), flavor="hive"
    )
    files = ds.dataset(
        str(lake.path / table.name / path),
        schema=table.schema.remove_metadata(),
        partitioning=hive,
        partition_base_dir=str(lake.path / table.name),
        format="parquet",
    )
    return files.to_table(filter=both(rows_among(None, among), lake.seen(table.name))).cast(table.schema)


def _touches(table: Table, values: Mapping[str, str], among: Mapping[str, Iterable[Any]]) -> bool:
    """Whether a file with these partition values may hold a row that is asked for."""
    return all(values.get(c) in {partition_text(c, v) for v in among[c]} for c in table.partition_by if c in among)


def _with_commit(rows: pa.Table, kinds: Sequence[str], commit: Commit | None) -> pa.Table:
    n = len(rows)
    about = {} if commit is None else {k: v for k, v in commit.about.items() if k not in _DELTAS_OWN}
    noted = [(k, v) for k, v in about.items() if k not in ("run_id", NOTE)]
    more = {
        "version": pa.array([commit.version if commit else 0] * n, pa.int64()),
        "stored_at": pa.array([commit.at if commit else None] * n, pa.timestamp("us", tz="UTC")),
        "run_id": pa.array([about.get("run_id")] * n, pa.string()),
        "about": pa.array([noted] * n, ATTRIBUTES),
        "change": pa.array(kinds, pa.string()),
    }
    return pa.table({**more, **dict(zip(rows.column_names, rows.columns, strict=True))})


_DELTAS_OWN = ("operation", "engineInfo", "clientVersion")  # of a commit's info


def differing(before: pa.Table, after: pa.Table, key: Sequence[str]) -> pa.Table:
    """Where two states of rows differ: their places `before` and `after`, null where a row is on one side only; by key.

    Both tables have the same columns, and no key twice.
    """
    at = {}
    for name, rows in (("before", before), ("after", after)):
        columns = [pc.fill_null(rows[k], _NO_KEY) if pa.types.is_string(rows[k].type) else rows[k] for k in key]
        at[name] = pa.table([*columns, pa.array(range(len(rows)), pa.int64())], names=[*key, name])
    joined = at["before"].join(at["after"], list(key), join_type="full outer").sort_by([(k, "ascending") for k in key])
    both = joined.filter(pc.and_(pc.is_valid(joined["before"]), pc.is_valid(joined["after"])))
    same = pa.array([True] * len(both), pa.bool_())
    for name in before.column_names:
        if name not in key and len(both):
            same = pc.and_(same, _equal(before[name].take(both["before"]), after[name].take(both["after"])))
    alike = both["before"].filter(same)
    keep = pc.invert(
        pc.and_(pc.is_valid(joined["after"]), pc.is_in(joined["before"], value_set=alike.combine_chunks()))
    )
    return joined.filter(keep).select(["before", "after"])


def _equal(one: pa.ChunkedArray, two: pa.ChunkedArray) -> pa.Array:
    """Whether values are the same, nulls too."""
    if pa.types.is_nested(one.type):  # Arrow compares no lists and maps
        return pa.array([a == b for a, b in zip(one.to_pylist(), two.to_pylist(), strict=True)], pa.bool_())
    both_null = pc.and_(pc.is_null(one), pc.is_null(two))
    return pc.or_(pc.fill_null(pc.equal(one, two), False), both_null).combine_chunks()


def changed_rows(
    before: Lake, after: Lake, name: str, among: Mapping[str, Sequence[Any]] | None = None
) -> tuple[pa.Table, pa.Table]:
    """The rows of a table that two states of a lake do not share: as they were, and as they are, each by key.

    A changed row is in both. Files that both states have are not read.
    """
    table = table_called(name)
    partitions = {c: v for c, v in (among or {}).items() if c in table.partition_by}
    was, now = (
        {str(f.relative_to(state.path / name)) for f in state.data_files(name, partitions)} for state in (before, after)
    )
    one, two = (
        pa.concat_tables([table.schema.empty_table(), *(file_rows(before, table, f, among or {}) for f in sorted(own))])
        for own in (was - now, now - was)
    )
    changes = differing(one, two, table.key)
    return one.take(changes["before"].drop_null()), two.take(changes["after"].drop_null())
