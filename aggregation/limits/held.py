"""The limits that hold on a day, the positions that each is of, and how an amount stands against one."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from aggregation.book.book import Book
from aggregation.book.filters import parse_filters
from aggregation.measures import AskedMeasure, asked_measures
from aggregation.opened.alignment import COVERED
from aggregation.opened.inputs import Inputs, open_beside, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import remembered
from aggregation.opened.valuation_choice import standard_for
from aggregation.reduce.coverage import failed_in_words
from aggregation.reduce.selection import Selection, open_selection
from aggregation.risk.query import stated_horizon
from aggregation.session import Session
from aggregation.types import Filter, RiskQuery, Scope
from lake.arrays import Bools
from lake.errors import NotValued, counted
from valuation.sets.standards import Standard

TABLE = "var_limits"
Node = tuple[Filter, ...]  # by members alone; none for everything held
NO_FIRM = "Everything held has no figure here: ask without a branch, a valuation set and as_known, of a day on which all of it is valued."
Status = Literal["ok", "warning", "breach"]


@dataclass(frozen=True)
class Limit:
    """A limit that holds on a day. level : None of a loss. horizon_days : None for that of the scenarios. warning : a share, or None."""

    limit: str
    node: Node
    measure: str
    level: str | None
    horizon_days: int | None
    amount: float
    currency: str
    warning: float | None

    @property
    def of_tail(self) -> bool:
        """Whether it is measured on scenarios, and not on P&L that was made."""
        return self.measure != "loss"

    def asked(self, scope: Scope, estimator: str) -> RiskQuery:
        """The question of risk whose one figure the limit is of."""
        figures = {"measures": (self.measure,), "levels": (self.level,), "scale_to_days": self.horizon_days}
        about = {**dict(scope), "by": (), "where": self.node, "currency": self.currency}
        return RiskQuery(**about, **figures, estimator=estimator)

    def measure_on(self, inputs: Inputs, scope: Scope, estimator: str) -> AskedMeasure:
        """Its measure on scenarios of these inputs; raises `BadInput` where they have no horizon to scale from."""
        return self.measure_over(lambda: stated_horizon(inputs), scope, estimator)

    def measure_over(self, horizon: Callable[[], int], scope: Scope, estimator: str) -> AskedMeasure:
        """Its measure; horizon : gives that of the scenarios, and is called where the limit has one of its own."""
        (asked,) = asked_measures(self.asked(scope, estimator))
        return asked if self.horizon_days is None else asked.over(horizon())

    def status(self, used: float) -> Status:
        """A limit may be reached: a breach is more than the amount, a warning more than its share of it."""
        if used > self.amount:
            return "breach"
        return "warning" if self.warning is not None and used > self.warning * self.amount else "ok"

    def utilisation(self, used: float) -> float | None:
        return used / self.amount if self.amount else None


def var_limits_on(session: Session, day: dt.date) -> list[Limit]:
    """The limits that hold on a day and that whoever asks may see, by name."""
    lake = session.lake
    shown = lake.shows_totals() if lake.reader else None
    return session.cache.keep((TABLE, lake.version(TABLE), day, shown), lambda: _limits_on(session, day))


def _limits_on(session: Session, day: dt.date) -> list[Limit]:
    when, ends = pa.scalar(day, pa.date32()), ds.field("effective_to")
    where = (ds.field("effective_from") <= when) & (ends.is_null() | (ends >= when))
    names = [f.name for f in dataclasses.fields(Limit)]
    rows = session.lake.read(TABLE, names, where=where).sort_by("limit").to_pylist()
    return [Limit(**{**r, "node": parse_filters(r["node"]) if r["node"] else ()}) for r in rows]


def node_text(node: Node) -> str | None:
    """The node as its filters are written; None for everything held."""
    return ";".join(map(str, node)) or None


def passing(book: Book, node: Node) -> Bools:
    """The positions of a node, (n_positions,); members that the book does not have are of none. Raises `BadInput` for a dimension that is
    none."""
    kept = np.ones(book.n_positions, np.bool_)
    for f in node:
        column = book.column(f.dimension, "node")
        chosen = pc.is_in(column.members, value_set=pa.array(f.values, pa.string()))
        kept &= chosen.to_numpy(zero_copy_only=False)[column.codes]
    return kept


def there(book: Book, node: Node) -> Node | None:
    """The node with the members alone that the book has; None where none of its positions is in the node."""
    return remembered(("there", node), (book,), lambda: _there(book, node), lambda _: 0)


def _there(book: Book, node: Node) -> Node | None:
    found = []
    for f in node:
        members = book.column(f.dimension, "node").members
        codes = pc.index_in(pa.array(f.values, members.type), members)
        known = tuple(v for v, c in zip(f.values, codes.to_pylist(), strict=True) if c is not None)
        if not known:
            return None
        found.append(f.model_copy(update={"values": known}))
    return None if len(found) > 1 and not passing(book, tuple(found)).any() else tuple(found)


def node_selection(inputs: Inputs, scope: Scope, node: Node, currency: str) -> Selection | None:
    """The positions of a node as one group; None where it holds none. Raises `BadInput` for a dimension that is none."""
    known = there(inputs.book, node)
    if known is None:
        return None
    return open_selection(inputs, scope.model_copy(update={"by": (), "where": known, "currency": currency}))


def lacking_in_words(
    selection: Selection | None, more: int = 0, covered: int = 0, *, of_firm: bool = False
) -> str | None:
    """How much of a node is in no figure and, but where it is of what others hold, why; None where nothing lacks. more, covered : of trades
    that are added, and have a value."""
    if selection is None:
        return counts_in_words(more, covered)
    counts = selection.counts[-1]
    held, there = int(counts.sum()), int(counts[COVERED])
    why = "" if of_firm or held == there else failed_in_words(selection)
    return counts_in_words(held + more, there + covered, why)


def counts_in_words(held: int, covered: int, why: str = "") -> str | None:
    """That positions which are held are not covered, and why; None where all are."""
    if not (lacking := held - covered):
        return None
    return f"{lacking:,} of {counted(held, 'position')} {'is' if lacking == 1 else 'are'} not in the figure. {why}".rstrip()


def firm_openings(session: Session, scope: Scope) -> Openings | None:
    """Everything held, for who sees a part of it and is granted firm totals, of a plain question, as `var` with `whole_firm` is: a branch
    could take away all but somebody's positions. None else."""
    lake, plain = session.lake, not (scope.branch or scope.valuation_set or scope.as_known)
    if not (lake.reader and lake.shows_totals() and plain):
        return None
    return Openings(session.of(lake.whole()).cache, scope)


class Openings:
    """The inputs of a question about several nodes, in several currencies, at one state of the lake; each opened once.

    A node of a desk with a standard of its own is measured on the scenarios of that, as `var` is with the same filters.
    """

    def __init__(self, cache: VectorCache, scope: Scope) -> None:
        self._cache, self._scope = cache.as_known(scope.as_known), scope
        self._opened: dict[tuple[str | None, str], Inputs | NotValued] = {}
        self._standards: Mapping[str | None, Standard] | None = None
        self.first: Inputs | None = None

    def of(self, node: Node, currency: str) -> Inputs:
        """Raises `NotValued` where nothing answers for the node."""
        query = self._scope.model_copy(update={"where": node, "currency": currency})
        key = (self._standard(query), currency)
        if key not in self._opened:
            try:
                self._opened[key] = self._open(query)
            except NotValued as error:
                self._opened[key] = error
        found = self._opened[key]
        if isinstance(found, NotValued):
            raise found
        return found

    def _standard(self, query: Scope) -> str | None:
        if query.scenario_set or query.valuation_set:
            return None
        if self._standards is None:
            self._standards = self._cache.standards(self._cache.lake.snapshot("standards"))
        return standard_for(self._standards, query).scenario_set

    def _open(self, query: Scope) -> Inputs:
        if self.first is None:
            self.first = open_inputs(self._cache, query)
            return self.first
        return open_beside(self._cache, self.first, query)

    @property
    def all(self) -> Sequence[Inputs]:
        """What was opened, in order."""
        return [i for i in self._opened.values() if isinstance(i, Inputs)]
