"""Backtests from the lake: reported VaR, hypothetical and actual P&L, day by day, and what lies behind exceptions.

Nothing is stored. Hypothetical P&L is revalued in this process, base values only.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from aggregation.backtest.judgement import (
    ACTUAL,
    HYPOTHETICAL,
    BacktestQuery,
    BacktestResult,
    Key,
    NodeBacktest,
    NodePnL,
    NodeRisk,
    TestedDay,
    judge,
    published,
)
from aggregation.backtest.reported import Rate, ReportedVar
from aggregation.book.book import Book, PositionColumn, encode
from aggregation.book.filters import select
from aggregation.kernels.euler import group_sums
from aggregation.measures import asked_measures
from aggregation.on_demand import stored_recipe
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import SECONDS_A_POSITION, SECONDS_A_QUESTION, of_days, size_of
from aggregation.question import Plan, Question
from aggregation.receipts import market_data_digest, name_actions, name_code, name_inputs, receipt_of
from aggregation.reduce.coverage import failed_in_words
from aggregation.reduce.grouping import group_by
from aggregation.reduce.selection import open_selection, scenario_pnl
from aggregation.risk.query import calendar_notes, standing_still, tail_notes, worst_loss_notes
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.risk.series import BOOKS
from aggregation.session import Session
from lake.arrays import Floats
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, NotFound, VarlakeError, counted
from lake.progress import Progress, Stopped, silent
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake, Snapshot
from lake.words import first_of
from scenarios.market.calendars import sessions
from scenarios.market.corporate_actions import TABLE
from scenarios.requests import ScenarioRequest, default_name
from scenarios.types import IMPORTED
from valuation.books.contracts import contracts_by_id, positions_dates
from valuation.costs import Costs, Work, afford
from valuation.horizons.realised_pnl import RealisedMarkets
from valuation.sets.daily import plan_days, value_days
from valuation.types import Contract

SHOWN_POSITIONS = 10
_SECONDS_A_DRAW = 1e-7  # of a core, for one simulation of one statistic on one day
_POSITION = ("trade", "instrument", "instrument_type", "desk", "book", "counterparty")


def run_backtest(
    lake: Lake,
    query: BacktestQuery,
    *,
    cache: VectorCache | None = None,
    progress: Progress = silent,
) -> BacktestResult:
    """Tests the VaR stored for every day of the range; values no vector.

    Raises `BadInput` for unknown names, for VaR of more than one day, and for a range without two days.
    """
    cache = cache or VectorCache(lake)
    snapshot = lake.snapshot()
    query.exact_levels()
    reported = None if query.source is None else ReportedVar(snapshot, query)
    query = query if reported is None else reported.query
    days = tested_days(snapshot, query, reported)
    run = _Run(cache, snapshot, query, days, reported)
    for i, (prev, day) in enumerate(itertools.pairwise(days)):
        progress("test", i, len(days) - 1)
        run.add(prev, day)
    progress("test", len(days) - 1, len(days) - 1)
    return run.result()


def tested_days(snapshot: Snapshot, query: BacktestQuery, reported: ReportedVar | None) -> list[dt.date]:
    """The days of the calendar in the range, ascending; raises `BadInput` unless there are two.

    Of VaR that was reported, `books` are the days that have one and those that have an actual P&L.
    """
    if query.calendar == BOOKS and reported is not None:
        pnl = snapshot.read("actual_pnl", ["pnl_date"])["pnl_date"].unique().to_pylist()
        days = sorted({*reported.days(), *(d for d in pnl if query.first <= d <= query.last)})
        where = f"have a VaR of {reported.source} or a P&L"
    elif query.calendar == BOOKS:
        days = [d for d in positions_dates(snapshot) if query.first <= d <= query.last]
        where = "hold a book"
    else:
        days = [d.item() for d in sessions(query.calendar, query.first, query.last)]
        where = f"are business days of {query.calendar}"
    if len(days) < 2:
        raise BadInput(
            f"{counted(len(days), 'day')} from {query.first} to {query.last} {where}; a backtest needs two, one of VaR and the next of P&L."
        )
    return days


class _Run:
    """What is gathered day by day, by node: () is the total."""

    def __init__(
        self,
        cache: VectorCache,
        snapshot: Snapshot,
        query: BacktestQuery,
        days: Sequence[dt.date],
        reported: ReportedVar | None,
    ) -> None:
        self.cache, self.snapshot, self.query, self.days, self.reported = cache, snapshot, query, days, reported
        self.costs = Costs(snapshot.lake)
        self.contracts = _Contracts(snapshot)
        self.supplied = _Supplied(snapshot, query, days, self._rate, reported)
        # what came from another system cannot be revalued: it is held against the P&L that was brought in
        self.revalued = reported is None and _has_own(snapshot, days)
        if not self.revalued and not self.supplied.any:
            raise NotFound(
                "There is no P&L to hold the VaR against: what it is of came from another system and cannot be revalued here. Bring "
                f"actual P&L of {query.first} to {query.last} in (varlake ingest pnl)"
                + (", or a column pnl with the VaR." if reported is not None else ".")
            )
        self.pairs: list[tuple[dt.date, dt.date]] = []
        self.risk: list[dict[Key, NodeRisk] | str] = []
        self.pnl: list[dict[Key, NodePnL] | str] = []
        self.traces: dict[Key, dict[dt.date, Mapping[str, Any]]] = defaultdict(dict)
        self.read: dict[str, Mapping[str, Any]] = {}  # what the VaR of each day rests on
        self.synthetic = False
        self.held: set[str] = set()
        self.failed = ""  # why, on the last day with failures
        self.standing: dict[str, list[str]] = {}  # by day, what is said of markets that were closed in the tail
        self.errors: list[BadInput] = []

    @functools.cached_property
    def markets(self) -> RealisedMarkets:
        """The market of the range; raises `NotFound` in a lake without any, which may hold vectors and VaR of another system."""
        calendar = "XNYS" if self.query.calendar == BOOKS else self.query.calendar
        return RealisedMarkets(self.snapshot, self.days[0], self.days[-1], calendar)

    def _rate(self, day: dt.date, currency: str, reporting: str) -> float:
        return self.markets.rate(day, currency, reporting)

    def add(self, prev: dt.date, day: dt.date) -> None:
        """VaR of `prev` and P&L of `day`."""
        self.pairs.append((prev, day))
        risk = self._risk(prev) if self.reported is None else self.reported.risk(prev, self._rate)
        pnl = self._hypothetical(prev, day, risk) if self.revalued else {}
        self.risk.append(risk)
        self.pnl.append(pnl)

    def _risk(self, prev: dt.date) -> dict[Key, NodeRisk] | str:
        question = self.query.question(prev)
        try:
            inputs = open_inputs(self.cache, question)
            selection = open_selection(inputs, question)
        except NotFound as error:
            return f"no VaR: {_first_sentence(error)}"
        except BadInput as error:
            self.errors.append(error)
            return f"no VaR: {_first_sentence(error)}"
        self.read[str(prev)] = name_inputs(inputs)
        self.synthetic |= bool(inputs.scenarios.synthetic)
        if failed := failed_in_words(selection):
            self.failed = f"Positions that are not in the VaR of {prev}: {failed}"
        if selection.counts[-1, 0]:
            pnl = scenario_pnl(selection, selection.groups.n, 1)[1]
            standing = standing_still(inputs, asked_measures(question), pnl)
            self.standing[str(prev)] = [*standing, *calendar_notes(selection, prev)]
        return published(selection, self.query) or "no VaR: none of the positions is covered by the valuation set"

    def _hypothetical(self, prev: dt.date, day: dt.date, risk: dict[Key, NodeRisk] | str) -> dict[Key, NodePnL] | str:
        query = self.query
        try:
            book = self.cache.book(self.snapshot, prev)
            keep = select(book, query.where)
            groups = group_by(book, query.by, keep)
            contracts = self.contracts.of(book)
            afford(self.costs, Work("backtest", Counter(c.instrument_type for c in contracts), 1))
            unit = self.markets.unit_pnl(contracts, prev, day, query.currency, query.time)
        except Stopped:
            raise
        except VarlakeError as error:
            return f"no hypothetical P&L: {_first_sentence(error)}"
        self.held |= unit.held.keys()
        contract = np.repeat(np.arange(len(contracts)), np.diff(book.starts))
        value = np.where(keep, book.quantity, 0.0) * unit.pnl[contract]
        nodes: list[tuple[Key, Any]] = [((), keep)]
        if query.by:
            keys = zip(*(c.to_pylist() for c in groups.keys.columns), strict=True)
            nodes += [(key, groups.group == g) for g, key in enumerate(keys)]
        out = {}
        for key, mine in nodes:
            valued = mine & np.isfinite(value)
            failed = int(mine.sum() - valued.sum())
            if not valued.any():
                why = unit.failures[0].message if unit.failures else "nothing is held"
                out[key] = NodePnL(None, f"no hypothetical P&L: no contract has a value, {why}")
                continue
            note = f"{counted(failed, 'position')} without a hypothetical P&L" if failed else None
            pnl = float(group_sums(value, np.where(valued, 0, -1).astype(np.int32), 1)[0])
            out[key] = NodePnL(pnl, note=note)
            if isinstance(risk, dict) and key in risk and self._exceeds(day, key, out[key], risk[key]):
                self.traces[key][day] = self._trace(book, contracts, contract, value, valued, prev, day)
        return out

    def _exceeds(self, day: dt.date, key: Key, pnl: NodePnL, risk: NodeRisk) -> bool:
        known = [pnl.value, self.supplied.of(ACTUAL, day, key).value]
        return any(v is not None and -v > risk.var.min() for v in known)

    def _trace(
        self,
        book: Book,
        contracts: Sequence[Contract],
        contract: Any,
        value: Floats,
        mine: Any,
        prev: dt.date,
        day: dt.date,
    ) -> dict[str, Any]:
        """The positions that lost most in the hypothetical P&L, and the moves behind it."""
        rows = np.flatnonzero(mine)
        worst = rows[np.argsort(value[rows], kind="stable")[:SHOWN_POSITIONS]]
        names = {c: book.columns[c].members.take(pa.array(book.columns[c].codes[worst])).to_pylist() for c in _POSITION}
        positions = [
            {**{c: names[c][i] for c in _POSITION}, "pnl": float(value[p])} for i, p in enumerate(worst) if value[p] < 0
        ]
        held = [contracts[c] for c in np.unique(contract[rows]).tolist()]
        return {"contributors": positions, "moves": self.markets.largest_moves(held, prev, day)}

    def result(self) -> BacktestResult:
        if self.errors and all(isinstance(r, str) for r in self.risk):
            raise self.errors[0]  # a name that no day knows, or a filter that leaves nothing on any
        keys: dict[Key, None] = {(): None}
        for answers in (*self.risk, *self.pnl):
            keys |= dict.fromkeys(answers) if isinstance(answers, dict) else {}
        members = sorted((k for k in keys if k), key=lambda k: [(v is None, v or "") for v in k])
        nodes = tuple(node for key in [(), *members] if (node := self._node(key)) is not None)
        question = self.query.model_dump(mode="json")
        version = self.snapshot.versions["market_data"]
        named = {
            "days": self.read,
            "market_data_version": version,
            "market_data_digest": market_data_digest(self.snapshot.lake, version),
            **name_actions(self.snapshot.lake, self.snapshot.versions.get(TABLE)),
            **({} if self.reported is None else {"reported_var": self.reported.named()}),
            "supplied_files": self.supplied.files,
            "table_versions": self.snapshot.named,
            **name_code(),
        }
        result_digest = digest(canonical_json([n.to_dict() for n in nodes]))
        receipt = receipt_of("backtest", question, result_digest, named)
        return BacktestResult(self.query, nodes, receipt, self._notes())

    def _node(self, key: Key) -> NodeBacktest | None:
        """The node's backtest over the days on which it is held, or something is missing for all; None without any."""
        days = []
        for (prev, day), risk, pnl in zip(self.pairs, self.risk, self.pnl, strict=True):
            known = risk.get(key) if isinstance(risk, dict) else None
            hypothetical = (pnl.get(key) if isinstance(pnl, dict) else None) or NodePnL(
                None, pnl if isinstance(pnl, str) else "no hypothetical P&L: nothing is held"
            )
            held = isinstance(pnl, dict) and key in pnl
            if key and known is None and isinstance(risk, dict) and not held and self.reported is None:
                continue  # the member holds nothing on this day: there is nothing to test
            reason = None if known else risk if isinstance(risk, str) else "no VaR: no position is covered"
            brought = [k for k in (HYPOTHETICAL, ACTUAL) if self.supplied.has(k, key)]
            if self.revalued:
                found = {HYPOTHETICAL: hypothetical}
                brought = [k for k in brought if k == ACTUAL]
            else:
                found, brought = {}, brought or [ACTUAL]
            found |= {k: self.supplied.of(k, day, key) for k in brought}
            days.append(TestedDay(prev, day, known, reason, found))
        if not days or (key and all(d.risk is None for d in days)):
            return None
        supplied = {
            kind: np.array([np.nan if (v := self.supplied.of(kind, d.day, key).value) is None else v for d in days])
            for kind in (HYPOTHETICAL, ACTUAL)
            if self.supplied.has(kind, key)
        }
        node = judge(days, self.query, dict(zip(self.query.by, key, strict=False)), supplied)
        return replace(node, exceptions=self._exceptions(node, key))

    def _exceptions(self, node: NodeBacktest, key: Key) -> tuple[dict[str, Any], ...]:
        """Each day with an exception: its figures, and what lies behind it where it was a loss."""
        found = []
        for row in node.days:
            which = [name for name, value in row.items() if "_exception_" in name and value]
            if which:
                figures = {k: v for k, v in row.items() if not k.startswith("exceptions_in") and "_exception_" not in k}
                trace = self.traces[key].get(row["day"], {"contributors": [], "moves": []})
                found.append({**figures, "exceptions": which, **trace})
        return tuple(found)

    def _notes(self) -> tuple[str, ...]:
        notes = ["Nothing is revalued: the VaR is held against the P&L that was brought in alone."]
        if self.revalued:
            notes = [
                "Hypothetical P&L keeps the valuation date: no ageing, no cash, as in the scenarios."
                if self.query.time == "frozen"
                else "Hypothetical P&L holds the day's ageing and the cash paid."
            ]
        if self.reported is not None:
            notes.insert(0, f"The VaR is that of {self.reported.source}, as it was reported.")
            if self.query.law == "scenarios" and self.query.simulations:
                notes.append("The ES was reported without scenarios: its statistics need a law, normal or t.")
        if self.failed:
            notes.append(self.failed)
        notes += _spans(self.pairs)
        if self.synthetic:
            notes.append("The market data is synthetic.")
        if self.held:
            notes.append(f"Risk factors that keep an earlier level on some day: {first_of(sorted(self.held))}.")
        if self.revalued and not self.supplied.has(ACTUAL, ()):
            notes.append(
                self.supplied.why
                or "No actual P&L of these days is in the lake (`varlake ingest pnl`): exceptions are of hypothetical P&L alone."
            )
        notes += tail_notes(self.standing.items())
        counts = [read["scenario_count"] for read in self.read.values()]
        return (*notes, *(worst_loss_notes(min(counts), self.query.exact_levels()) if counts else ()))


def _spans(pairs: Sequence[tuple[dt.date, dt.date]]) -> list[str]:
    """What is said of P&L that is of more than the business day which the VaR is of."""
    long = [(prev, day) for prev, day in pairs if np.busday_count(prev, day) > 1]
    if not long:
        return []
    prev, day = max(long, key=lambda pair: pair[1] - pair[0])
    told = (
        f"{counted(len(long), 'day')} of {len(pairs)} {'has' if len(long) == 1 else 'have'} P&L of more than one business day, the "
        f"longest from {prev} to {day}: the VaR before it is of a shorter time, and an exception there says little. Bring in books of "
        "the days between."
    )
    return [told]


def _has_own(snapshot: Snapshot, days: Sequence[dt.date]) -> bool:
    """Whether a book of these days holds a contract that is priced here, or there is no book at all."""
    held = snapshot.read("positions", ["instrument_type"], among={"positions_date": days})["instrument_type"].unique()
    return bool(held.to_pylist() != [IMPORTED])


class _Contracts:
    """The contracts of books, by id; the table is read once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        rows = snapshot.read("contracts", Contract._fields)
        self._rows = rows.combine_chunks()
        self._ids = self._rows["contract_id"]

    def of(self, book: Book) -> list[Contract]:
        """In the order of the book; raises `NotFound` where the lake lacks one."""
        places = pc.index_in(book.contract_ids, self._ids)
        if places.null_count:
            contracts_by_id(self._snapshot, book.contract_ids)  # says which
        rows = self._rows.take(places)
        return Contract.of(rows)


class _Supplied:
    """P&L of the range that came by file, by kind, day and node, in the reporting currency."""

    def __init__(
        self,
        snapshot: Snapshot,
        query: BacktestQuery,
        days: Sequence[dt.date],
        rate: Rate,
        reported: ReportedVar | None,
    ) -> None:
        where = (ds.field("pnl_date") > days[0]) & (ds.field("pnl_date") <= days[-1])
        rows = snapshot.read("actual_pnl", where=where)
        self.files = sorted(set(rows["file"].to_pylist()))
        self.why: str | None = None
        self._values: dict[tuple[str, dt.date, Key], NodePnL] = {}
        self._there: set[tuple[str, Key]] = set()
        beside = {} if reported is None else reported.pnl(rate)
        self._values |= {(ACTUAL, day, key): pnl for (day, key), pnl in beside.items()}
        self._there |= {(ACTUAL, key) for _, key in beside}
        for kind in (HYPOTHETICAL,) if beside else (ACTUAL, HYPOTHETICAL):
            mine = rows.filter(pc.equal(rows["kind"], kind)).combine_chunks()
            if mine.num_rows:
                try:
                    self._add(kind, mine, query, rate)
                except BadInput as error:
                    if kind == ACTUAL:
                        self.why = f"The actual P&L in the lake does not speak of this node: {error.message}"

    def _add(self, kind: str, rows: pa.Table, query: BacktestQuery, rate: Rate) -> None:
        named = [d for d in DIMENSION_COLUMNS if rows[d].null_count < rows.num_rows]
        book = _as_book(rows, named)
        keep = select(book, query.where)
        groups = group_by(book, query.by, keep)
        keys: list[Key] = [*zip(*(c.to_pylist() for c in groups.keys.columns), strict=True)] if query.by else []
        sums: dict[tuple[dt.date, Key], float] = {}
        missing: dict[tuple[dt.date, Key], str] = {}
        columns = (rows[c].to_pylist() for c in ("pnl_date", "pnl", "currency"))
        for p, (day, pnl, currency) in enumerate(zip(*columns, strict=True)):
            if not keep[p]:
                continue
            for key in [(), *([keys[groups.group[p]]] if query.by else [])]:
                self._there.add((kind, key))
                try:
                    fx = 1.0 if currency == query.currency else rate(day, currency, query.currency)
                except VarlakeError as error:
                    missing[day, key] = f"no {kind} P&L: {_first_sentence(error)}"
                    continue
                sums[day, key] = sums.get((day, key), 0.0) + pnl * fx
        for (day, key), value in sums.items():
            if (day, key) not in missing:
                self._values[kind, day, key] = NodePnL(value)
        for (day, key), why in missing.items():
            self._values[kind, day, key] = NodePnL(None, why)

    @property
    def any(self) -> bool:
        return bool(self._there)

    def has(self, kind: str, key: Key) -> bool:
        return (kind, key) in self._there

    def of(self, kind: str, day: dt.date, key: Key) -> NodePnL:
        return self._values.get((kind, day, key), NodePnL(None, f"no {kind} P&L in the lake"))


def _as_book(rows: pa.Table, dimensions: Sequence[str]) -> Book:
    """P&L rows as a book, so that they are filtered and grouped as positions are."""
    n = rows.num_rows
    return Book(
        positions_date=rows["pnl_date"][n - 1].as_py(),
        files=(),
        contract_ids=pa.array([], pa.string()),
        starts=np.zeros(1, dtype=np.int64),
        quantity=np.ones(n),
        columns={d: PositionColumn(*encode(rows[d].combine_chunks())) for d in dimensions},
    )


def _first_sentence(error: VarlakeError) -> str:
    return error.message.split(". ")[0].rstrip(".")


def _recipe(session: Session, query: BacktestQuery) -> ScenarioRequest:
    """The scenarios of the days that are valued for a backtest: what is asked for, else the standard's."""
    snapshot = session.lake.snapshot()
    standard = session.cache.known(snapshot).standard(query).scenario_set
    if standard is not None and not {"method", "parameters", "scenario_set"} & query.model_fields_set:
        return stored_recipe(snapshot, standard)[1]
    return ScenarioRequest(method=query.method, parameters=query.parameters, name=query.scenario_set)


def _answer(session: Session, query: BacktestQuery) -> BacktestResult:
    return run_backtest(session.lake, query, cache=session.cache, progress=session.progress)


def _plan(session: Session, query: BacktestQuery) -> Plan:
    if query.source is not None:
        return Plan()
    found = plan_days(session.lake, tested_days(session.lake.snapshot(), query, None), _recipe(session, query))
    return Plan(cost=found.cost, ready=not found.missing, about=found.to_dict())


def _value(session: Session, query: BacktestQuery) -> BacktestQuery:
    if query.source is not None:
        return query
    recipe = _recipe(session, query)
    days = tested_days(session.lake.snapshot(), query, None)
    value_days(session.writer(), days, recipe, progress=session.progress, cancelled=session.cancelled)
    return query.model_copy(update={"scenario_set": recipe.name or default_name(recipe)})


def _price(session: Session, query: BacktestQuery) -> float:
    """Of VaR and ES on each day, of the contracts valued on the next, and of the simulations."""
    levels = len(query.exact_levels()) + query.steps
    if query.source is not None:
        days = tested_days(session.lake.snapshot(), query, ReportedVar(session.lake.snapshot(), query))
        return SECONDS_A_QUESTION + len(days) * levels * query.simulations * _SECONDS_A_DRAW
    days, costs = tested_days(session.lake.snapshot(), query, None), Costs(session.lake)

    def of_day(day: dt.date) -> float:
        asked = query.question(day)
        size = size_of(session, asked)
        whole = size_of(session, asked, by=())
        figures = 2 * levels * SECONDS_A_RANK * size.scenarios + levels * query.simulations * _SECONDS_A_DRAW
        valued = costs.of(Work("backtest", whole.of.kinds)).seconds
        return size.seconds(passes=2, a_group=figures + whole.positions * SECONDS_A_POSITION) + size.reading + valued

    return of_days(session, days, of_day)


BACKTEST = Question(
    BacktestQuery,
    _answer,
    {"from": "2020-02-14", "to": "2020-03-16", "calendar": "books", "simulations": 100},
    _plan,
    _value,
    price=_price,
)
