"""Why CVA changed between two days, by netting set and cause, adding up to the last bit.

The way from the first day to the second is walked in a stated order, and each step is the difference that it makes:

    ageing             what the first day's paths say of the second: defaults until then gone, exposures as they were expected, carried
    to that day
    market             exposures of the first book on paths of the second day's market
    credit spreads     default curves of the second day's market
    agreements         agreements, balances of collateral, credit curves and recoveries of counterparties on the second day
    trades             the second day's book

A netting set that is there on one day alone counts 0 on the other. CVA is unilateral.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from aggregation.answer import Answer
from aggregation.exposure.collateral import margin_period
from aggregation.exposure.cva import notes_of_cva, price_of_cva, receipt_of_cva, set_figures
from aggregation.exposure.cva_query import CvaScope, OpenedCva, open_cva
from aggregation.exposure.cva_scenarios import priced_sets, set_weights
from aggregation.exposure.default_curves import DefaultCurve, DefaultCurves, default_curves
from aggregation.exposure.netting_sets import netting_sets
from aggregation.exposure.path_values import PathScope, open_paths, plan_paths, value_paths
from aggregation.exposure.scope import (
    OpenedBook,
    kept_positions,
    open_book,
    own_book,
    path_scope,
    reported_days,
    snapshot_of,
)
from aggregation.kernels.euler import exact_split
from aggregation.question import Plan, Question, together
from aggregation.session import Session
from aggregation.types import DimensionName
from lake.arrays import Floats
from lake.dates import Day
from lake.words import sentences

CAUSES = ("ageing", "market", "credit_spreads", "agreements", "trades")
OF_SETS = ("netting_set", "counterparty", "legal_entity")
_YEAR = 365.0


class CvaExplainQuery(CvaScope):
    """Why CVA changed until a day."""

    from_: Day = Field(alias="from", description="the first day, whose CVA is subtracted")
    as_of: Day = Field(description="the second day")
    by: tuple[DimensionName, ...] = Field(
        (),
        max_length=3,
        description="netting_set, counterparty, legal_entity, outermost first; empty for the total alone",
    )

    @model_validator(mode="after")
    def _of_sets(self) -> CvaExplainQuery:
        if self.from_ >= self.as_of:
            raise ValueError(f"from is {self.from_}, and must be before as_of, {self.as_of}")
        other = [b for b in self.by if b not in OF_SETS]
        if other or len(set(self.by)) < len(self.by):
            raise ValueError(f"by is {', '.join(self.by)}; expected some of {', '.join(OF_SETS)}, each once")
        return self


@dataclass(frozen=True)
class CvaExplained(Answer):
    """rows : a row a group: the `by` columns, status, reason, cva_from, the causes ageing, market, credit_spreads, agreements and
    trades, each
    what it added, and cva_to, in the reporting currency. The causes of a row, and the rows, add up to the change to the last bit. total :
    the same of all.
    """

    query: CvaExplainQuery
    rows: pa.Table
    total: Mapping[str, Any]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Way:
    """What the questions of both days read. held : book and netting sets of the first day; carried : the first book on the second day under
    the first day's agreements, under : under those of the second; then : the second day's own. scope : paths of the second day, before the
    book is named."""

    first: CvaExplainQuery
    second: CvaExplainQuery
    carried: OpenedBook
    under: OpenedBook
    then: OpenedBook
    scope: PathScope

    @property
    def of_first_book(self) -> PathScope:
        return self.scope.model_copy(
            update={"positions_date": self.first.positions_date or self.first.as_of, "branch": None}
        )


def _way(session: Session, query: CvaExplainQuery) -> _Way:
    first = query.model_copy(update={"as_of": query.from_, "positions_date": None})
    second = query.model_copy(update={"positions_date": query.positions_date})
    then = open_book(session, second)
    on_day = second.model_copy(update={"positions_date": query.from_, "branch": None})
    carried, under = (_book_under(session, on_day, day) for day in (query.from_, query.as_of))
    tenors: dict[dt.date, str] = {}
    for held in (then, under):
        tenors.update(reported_days(session, second, held))
    grid = tuple(t for _, t in sorted(tenors.items()))
    second = second.model_copy(update={"grid": grid})
    wanted: dict[dt.date, str] = {}
    scopes = [path_scope(session, second, held)[0] for held in (then, carried, under)]
    for scope in scopes:
        days = reported_days(session, second.model_copy(update={"grid": scope.grid}), then)
        wanted.update(days)
    union = scopes[0].model_copy(update={"grid": tuple(t for _, t in sorted(wanted.items()))})
    return _Way(first, second, carried, under, then, union)


def _book_under(session: Session, query: CvaExplainQuery, day: dt.date) -> OpenedBook:
    """The first book in the terms of the second day, under the agreements and with the balances of a day."""
    snapshot = snapshot_of(session, query)
    book = own_book(session.cache, snapshot, query)
    keep, among = kept_positions(book, query)
    sets = netting_sets(snapshot, session.cache, book, keep, day, among=among)
    lags = tuple(margin_period(a) if a.margined else None for a in sets.agreements)
    counts = sets.whole & bool(query.collateral and not session.lake.reader)
    looked_back = tuple(sorted({lag for lag in lags if lag is not None}))
    return OpenedBook(snapshot, book, keep, sets, lags, counts, looked_back)


def run_cva_explain(session: Session, query: CvaExplainQuery) -> CvaExplained:
    """The change by netting set and cause; raises `NotValued` where values on the paths of either day are missing."""
    way = _way(session, query)
    start = open_cva(session, way.first)
    end = open_cva(session, way.second, held=way.then, paths=open_paths(session, way.scope))
    before = open_paths(session, way.of_first_book)
    carried = open_cva(session, way.second, held=way.carried, paths=before)
    under = open_cva(session, way.second, held=way.under, paths=before)
    states = [
        _priced(start, start.curves, set_figures(start).positive),
        _aged(start, query),
        *_on_second_day(start, carried, query),
        _priced(under, under.curves, set_figures(under).positive),
        _priced(end, end.curves, set_figures(end).positive),
    ]
    return _answer(query, start, end, (start, carried, under, end), states)


def _priced(opened: OpenedCva, curves: DefaultCurves, profile: Floats) -> dict[str, float]:
    """CVA by netting set."""
    names = opened.sets.counterparties
    weights = set_weights(curves, names)
    found = priced_sets(profile, {n: w[:, :1] for n, w in weights.items()}, names, 1)[:, 0]
    return dict(zip(opened.sets.ids, found.tolist(), strict=True))


def _aged(start: OpenedCva, query: CvaExplainQuery) -> dict[str, float]:
    """CVA on the second day as the first day's paths and curves expect it: of defaults after that day, given none before, carried there at
    the mean discount factor. Expected exposures between two dates are interpolated."""
    lapse = (query.as_of - query.from_).days / _YEAR
    times, profile = start.times, set_figures(start).positive
    later = times > lapse
    if not later.any():
        return dict.fromkeys(start.sets.ids, 0.0)
    at = np.array([np.interp(lapse, times, row) for row in profile]).reshape(len(profile), 1)
    cut = np.concatenate([at, profile[:, later]], axis=1)
    curves = _forward(start, np.append(lapse, times[later]))
    carried = 1.0 / _mean_discount(start, lapse)
    return {name: carried * v for name, v in _priced(start, curves, cut).items()}


def _forward(start: OpenedCva, times: Floats) -> DefaultCurves:
    """The first day's curves at times from that day, given survival to the first of them."""
    asked = np.append(0.0, times) if times[0] > 0.0 else times
    found = default_curves(start.market, start.known, start.names, asked, start.query.recovery)
    skip = int(times[0] > 0.0)
    curves = {
        name: DefaultCurve(name, c.curve, c.loss, c.logs[skip:] - c.logs[skip : skip + 1])
        for name, c in found.curves.items()
    }
    return DefaultCurves(curves, found.reasons, found.n_states)


def _mean_discount(start: OpenedCva, lapse: float) -> float:
    """Price of one unit of the reporting currency after a time in years, interpolated in its logarithm between dates of the paths."""
    paths, currency = start.paths, start.query.currency
    times = [0.0, *((d - paths.as_of).days / _YEAR for d in paths.dates)]
    k = min(int(np.searchsorted(times, lapse)), len(times) - 1)
    values = [1.0 if j == 0 else float(paths.discount(j - 1, currency).mean()) for j in (k - 1, k)]
    slope = (math.log(values[1]) - math.log(values[0])) / (times[k] - times[k - 1])
    return math.exp(math.log(values[0]) + slope * (lapse - times[k - 1]))


def _on_second_day(
    start: OpenedCva, carried: OpenedCva, query: CvaExplainQuery
) -> tuple[dict[str, float], dict[str, float]]:
    """CVA of the first book on the second day's paths, with the first day's curves, aged, and with those of the second day."""
    profile = set_figures(carried).positive
    lapse = (query.as_of - query.from_).days / _YEAR
    aged = _forward(start, lapse + carried.times)
    moved = default_curves(carried.market, start.known, start.names, carried.times, query.recovery)
    return _priced(carried, aged, profile), _priced(carried, moved, profile)


def _answer(
    query: CvaExplainQuery,
    start: OpenedCva,
    end: OpenedCva,
    opened: Sequence[OpenedCva],
    states: Sequence[Mapping[str, float]],
) -> CvaExplained:
    members: dict[str, tuple[str | None, str | None, str]] = {}
    for o in opened:
        told = o.reasons()
        for i, name in enumerate(o.sets.ids):
            known = members.get(name, (None, None, ""))
            members[name] = (o.sets.counterparties[i], o.sets.legal_entities[i], known[2] or told[i][0])
    names = sorted(members)
    values = np.array([[state.get(name, 0.0) for name in names] for state in states])
    steps = np.diff(values, axis=0)
    split = exact_split(steps.ravel(), math.fsum(values[-1]) - math.fsum(values[0]))
    parts = split.parts.reshape(steps.shape)
    keys: dict[str, list[Any]] = {
        "netting_set": names,
        "counterparty": [members[n][0] for n in names],
        "legal_entity": [members[n][1] for n in names],
    }
    groups: dict[tuple[str | None, ...], list[int]] = {}
    for i in range(len(names)):
        groups.setdefault(tuple(keys[b][i] for b in query.by), []).append(i)
    rows = []
    for key, mine in sorted(groups.items(), key=lambda g: tuple((k is None, k or "") for k in g[0])):
        rows.append({**dict(zip(query.by, key, strict=True)), **_row(mine, names, members, values, parts)})
    total = _row(list(range(len(names))), names, members, values, parts)
    texts = (*query.by, "status", "reason")
    numbers = ("cva_from", *CAUSES, "change", "cva_to")
    table = pa.table(
        {
            **{t: pa.array([r[t] for r in rows], pa.string()) for t in texts},
            **{n: pa.array([r[n] for r in rows], pa.float64()) for n in numbers},
        }
    )
    order = "The causes are taken in this order: ageing, market, credit spreads, agreements, trades. Another order gives others."
    notes = dict.fromkeys((order, *notes_of_cva(start), *notes_of_cva(end)))
    receipt = {**receipt_of_cva(end), "from": receipt_of_cva(start)}
    return CvaExplained(query, table, {**total, "netting_sets": len(names)}, receipt, tuple(notes))


def _row(
    mine: Sequence[int],
    names: Sequence[str],
    members: Mapping[str, tuple[str | None, str | None, str]],
    values: Floats,
    parts: Floats,
) -> dict[str, Any]:
    why = sorted({members[names[i]][2] for i in mine if members[names[i]][2]})
    lacking = sum(1 for i in mine if members[names[i]][2])
    none = lacking == len(mine)
    causes = {c: None if none else float(parts[j, mine].sum()) for j, c in enumerate(CAUSES)}
    return {
        "status": "invalid" if none else "partial" if lacking else "complete",
        "reason": sentences(why) or None,
        "cva_from": None if none else math.fsum(values[0, mine]),
        **causes,
        "change": None if none else float(parts[:, mine].sum()),
        "cva_to": None if none else math.fsum(values[-1, mine]),
    }


def _scopes(session: Session, query: CvaExplainQuery) -> list[PathScope]:
    way = _way(session, query)
    return [path_scope(session, way.first, open_book(session, way.first))[0], way.scope, way.of_first_book]


def _plan(session: Session, query: CvaExplainQuery) -> Plan:
    return together(plan_paths(session, scope) for scope in _scopes(session, query))


def _value(session: Session, query: CvaExplainQuery) -> CvaExplainQuery:
    for scope in _scopes(session, query):
        value_paths(session, scope)
    return query


def _price(session: Session, query: CvaExplainQuery) -> float:
    return 4.0 * price_of_cva(session, query)


CVA_EXPLAIN = Question(
    CvaExplainQuery,
    run_cva_explain,
    {
        "from": "2020-02-14",
        "as_of": "2020-03-16",
        "by": ["counterparty"],
        "grid": ["1M", "3M", "6M", "1Y", "2Y", "5Y"],
        "paths": 200,
    },
    _plan,
    _value,
    price=_price,
)
