"""Levels of a live day by column, as they come from the lake: a day has millions, of which the newest of each factor count."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from lake.arrays import Bools, Floats, Ints
from lake.schemas import INSTANT, INTRADAY_LEVELS

Instant = dt.datetime
COLUMNS = ("risk_factor_id", "bucket_end", "level", "carried_seconds", "source")
_GIVEN = pa.schema([INTRADAY_LEVELS.schema.field(c) for c in COLUMNS])
_EPOCH = Instant(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class LevelRows:
    """Rows of `intraday_levels` in the order in which they came. factor, source : (n,) places in `factors` and `sources`. at : (n,) end of
    the bucket in microseconds since 1970. level : (n,), not a number where there is none."""

    factors: Sequence[str]
    sources: Sequence[str]
    factor: Ints
    source: Ints
    at: Ints
    level: Floats
    carried: Bools

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Self:
        """Rows given one by one."""
        return cls.of_table(pa.Table.from_pylist([{n: r[n] for n in COLUMNS} for r in rows], schema=_GIVEN))

    @classmethod
    def of_table(cls, rows: pa.Table) -> Self:
        """Rows of the table, in its order."""
        coded = {n: rows[n].combine_chunks().dictionary_encode() for n in ("risk_factor_id", "source")}
        factor, source = (
            c.indices.fill_null(len(c.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
            for c in coded.values()
        )
        return cls(
            coded["risk_factor_id"].dictionary.to_pylist(),
            [*coded["source"].dictionary.to_pylist(), ""],
            factor,
            source,
            rows["bucket_end"].cast(INSTANT).cast(pa.int64()).to_numpy(),
            rows["level"].cast(pa.float64()).to_numpy(),
            rows["carried_seconds"].to_numpy() > 0,
        )

    @property
    def _with_ticks(self) -> Ints:
        """Places of the rows of buckets that have ticks."""
        return np.flatnonzero(~self.carried & ~np.isnan(self.level))

    @property
    def until(self) -> Instant | None:
        """The end of the last bucket."""
        return instant(self.at.max()) if len(self) else None

    def fresh(self) -> Iterator[tuple[str, str, Instant]]:
        """Source, factor and end of the last bucket of each factor of a feed that has ticks in it."""
        here = self._with_ticks
        key = self.source[here] * len(self.factors) + self.factor[here]
        order = np.lexsort((self.at[here], key))
        last = here[order[np.append(np.flatnonzero(np.diff(key[order])), len(order) - 1)]] if len(order) else here
        for i in last.tolist():
            yield self.sources[self.source[i]], self.factors[self.factor[i]], instant(self.at[i])

    def by_factor(self) -> Iterator[tuple[str, Iterator[tuple[Instant, float]]]]:
        """Each factor with its levels, the newest bucket first and of one bucket the row that came last."""
        here = np.flatnonzero(~np.isnan(self.level))
        order = here[np.lexsort((self.at[here], self.factor[here]))]  # stable
        ends = np.append(np.flatnonzero(np.diff(self.factor[order])) + 1, len(order))
        for first, end in zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True):
            if first < end:
                yield self.factors[self.factor[order[first]]], self._newest_first(order[first:end])

    def _newest_first(self, rows: Ints) -> Iterator[tuple[Instant, float]]:
        return ((instant(self.at[i]), float(self.level[i])) for i in rows[::-1])

    def take(self, rows: Ints | Bools) -> Self:
        """Some of the rows."""
        arrays = {n: getattr(self, n)[rows] for n in ("factor", "source", "at", "level", "carried")}
        return dataclasses.replace(self, **arrays)

    def of_ticks(self) -> Iterator[dict[str, Any]]:
        """The rows of buckets with ticks, by instant, as the table has them."""
        here = self._with_ticks
        for i in here[np.argsort(self.at[here], kind="stable")].tolist():
            yield {
                "risk_factor_id": self.factors[self.factor[i]],
                "bucket_end": instant(self.at[i]),
                "level": float(self.level[i]),
                "carried_seconds": 0,
            }


class LevelHistory:
    """The levels of a day as they were last read, to tell which are new."""

    def __init__(self) -> None:
        self._place: dict[str, int] = {}  # of names of factors and of sources
        self._keys: Ints = np.zeros(0, np.int64)  # a number for each factor and bucket, ascending
        self._source: Ints = self._keys
        self.rows: LevelRows | None = None

    def take(self, rows: pa.Table) -> LevelRows:
        """Those of all rows of the day that were not there, or were otherwise; in the order of factors and buckets."""
        now = LevelRows.of_table(rows)
        factor, source = (
            np.array([self._place.setdefault(n, len(self._place)) for n in names], np.int64)
            for names in (now.factors, now.sources)
        )
        keys = (
            factor[now.factor] << 40
        ) + now.at // 1_000_000  # buckets end at whole seconds, of which 40 bits are millennia
        if (np.diff(keys) <= 0).any():
            order = np.argsort(keys, kind="stable")
            now, keys = now.take(order), keys[order]
        own = source[now.source]
        if (was := self.rows) is None or not len(was):
            changed = now
        else:
            at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            level = was.level[at]
            same = (self._keys[at] == keys) & ((level == now.level) | (np.isnan(level) & np.isnan(now.level)))
            changed = now.take(~(same & (was.carried[at] == now.carried) & (self._source[at] == own)))
        self.rows, self._keys, self._source = now, keys, own
        return changed


def instant(microseconds: np.int64) -> Instant:
    """The instant so long after 1970, in UTC."""
    return _EPOCH + int(microseconds) * _MICROSECOND
