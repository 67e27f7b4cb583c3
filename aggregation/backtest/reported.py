"""VaR that another system reported, node by node, to be held against P&L as our own is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from aggregation.backtest.judgement import BacktestQuery, Key, NodePnL, NodeRisk
from aggregation.kernels.estimators import exact_level
from aggregation.risk.query import level_text
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, NotFound, VarlakeError, unknown
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Snapshot
from lake.words import first_of

Rate = Callable[[dt.date, str, str], float]  # price of a unit of a currency in another on a day


class ReportedVar:
    """The rows of a source in the range, of the nodes that a question is about.

    A VaR is no sum of the VaR of parts: a node is answered for only by rows that name exactly its members.
    """

    def __init__(self, snapshot: Snapshot, query: BacktestQuery) -> None:
        assert query.source is not None
        self.source = query.source
        where = (ds.field("var_date") >= query.first) & (ds.field("var_date") <= query.last)
        everything = snapshot.read("reported_var", where=where).to_pylist()
        rows = [r for r in everything if r["source"] == query.source]
        if not rows:
            sources = snapshot.read("reported_var", ["source"])["source"].unique().to_pylist()
            if query.source not in sources:
                raise unknown("source of VaR", query.source, sources, pointer="source", error=NotFound)
            raise NotFound(
                f"No VaR of {query.source} from {query.first} to {query.last} is in the lake (varlake ingest var)."
            )
        self.query = _completed(query, rows)
        self._days = sorted({r["var_date"] for r in rows})
        self._nodes = _nodes_asked(self.query)
        self.rows = [r for r in rows if self._key(r) is not None]
        self._by_day: dict[dt.date, dict[Key, dict[Fraction, dict[str, Any]]]] = {}
        for row in self.rows:
            key = self._key(row)
            assert key is not None
            self._by_day.setdefault(row["var_date"], {}).setdefault(key, {})[exact_level(row["level"])] = row
        if not self.rows:
            named = sorted(
                {", ".join(f"{d}={r[d]}" for d in DIMENSION_COLUMNS if r[d] is not None) or "the total" for r in rows}
            )
            raise NotFound(
                f"{query.source} reported no VaR of what is asked. It reported: {first_of(named, between='; ')}."
            )

    def named(self) -> dict[str, Any]:
        """What a receipt says of it."""
        content = [{**r, "var_date": str(r["var_date"])} for r in self.rows]
        return {
            "source": self.source,
            "files": sorted({r["file"] for r in self.rows}),
            "digest": digest(canonical_json(content)),
        }

    def days(self) -> list[dt.date]:
        """Those on which the source reported a VaR of any node, ascending: where that of a node lacks, it is missing."""
        return self._days

    def risk(self, day: dt.date, rate: Rate) -> dict[Key, NodeRisk] | str:
        """VaR and ES of the nodes on a day, NaN where one was not reported; why there is none."""
        found: dict[Key, NodeRisk] = {}
        levels, ladder = self.query.exact_levels(), self.query.ladder()
        try:
            for key, by_level in self._by_day.get(day, {}).items():
                fx = {level: self._rate(r, rate) for level, r in by_level.items()}

                def read(what: str, at: Sequence[Fraction], by_level: Any = by_level, fx: Any = fx) -> Any:
                    values = [by_level.get(level, {}).get(what) for level in at]
                    return np.array([np.nan if v is None else v * fx[a] for a, v in zip(at, values, strict=True)])

                var = read("var", levels)
                if np.isfinite(var).all():  # a level that lacks is told as a day without VaR
                    found[key] = NodeRisk(var, read("es", levels), read("var", ladder), (), None, None)
        except VarlakeError as error:
            return f"no VaR: {error.message}"
        return found or f"no VaR of {self.source}"

    def pnl(self, rate: Rate) -> dict[tuple[dt.date, Key], NodePnL]:
        """The P&L that was reported beside it, by day and node."""
        found: dict[tuple[dt.date, Key], NodePnL] = {}
        for row in self.rows:
            key = self._key(row)
            if row["pnl"] is not None and key is not None:
                try:
                    found[row["var_date"], key] = NodePnL(row["pnl"] * self._rate(row, rate))
                except VarlakeError as error:
                    found[row["var_date"], key] = NodePnL(None, f"no actual P&L: {error.message}")
        return found

    def _rate(self, row: dict[str, Any], rate: Rate) -> float:
        reporting = self.query.currency
        return 1.0 if row["currency"] == reporting else rate(row["var_date"], row["currency"], reporting)

    def _key(self, row: dict[str, Any]) -> Key | None:
        """Which node of the question a row is of; None for others."""
        named = {d: row[d] for d in DIMENSION_COLUMNS if row[d] is not None}
        if any(named.pop(d, None) != m for d, m in self._nodes.items()):
            return None
        if not named:
            return ()
        return tuple(named[d] for d in self.query.by) if named.keys() == {*self.query.by} else None


def _completed(query: BacktestQuery, rows: Sequence[dict[str, Any]]) -> BacktestQuery:
    """The question with the levels that were reported, where it asks for the default ones; raises `BadInput` for other levels."""
    there = sorted({exact_level(r["level"]) for r in rows}, reverse=True)
    strange = [level for level in query.exact_levels() if level not in there]
    if strange and query.levels == BacktestQuery.model_fields["levels"].default:
        # told by what is asked and not by how: a receipt has the question with its defaults filled in
        kept = [level for level in query.exact_levels() if level in there] or there
        return query.model_copy(update={"levels": tuple(level_text(level) for level in kept)})
    if strange:
        names = [level_text(level) for level in there]
        raise unknown(f"level of {query.source}", level_text(strange[0]), names, pointer="levels")
    return query


def _nodes_asked(query: BacktestQuery) -> dict[str, str]:
    """The member of each dimension that the filters name; raises `BadInput` for filters that no reported node answers to."""
    members: dict[str, str] = {}
    for dimension in query.by:
        if dimension not in DIMENSION_COLUMNS:
            raise unknown("dimension of reported VaR", dimension, DIMENSION_COLUMNS, pointer="by")
    for f in query.where:
        if f.exclude or len(f.values) != 1 or f.values[0] is None or f.dimension in members or f.dimension in query.by:
            raise BadInput(
                "VaR that was reported does not add up: it is known only of the nodes it was reported for. Filter by one member "
                "of a dimension, such as desk=Rates."
            )
        if f.dimension not in DIMENSION_COLUMNS:
            raise unknown("dimension of reported VaR", f.dimension, DIMENSION_COLUMNS, pointer="where")
        members[f.dimension] = f.values[0]
    return members
