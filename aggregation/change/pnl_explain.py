"""P&L explain: why a book is worth what it is on one date, given what it was worth on an earlier one.

    value_to - value_from = pnl - cash + new + closed + amended + transferred + failed
    pnl = theta + market by risk class + currency + factors

The book of the first date is carried to the second, which is its P&L; then the trades of the second date are put in its
place at the second date's values. Every line is computed by itself, and what they leave unexplained is shown and checked.
Definitions and formulas: docs/pnl-explain.md. Nothing is stored.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from aggregation.answer import HIDDEN, Answer
from aggregation.book.book import Book
from aggregation.book.filters import select
from aggregation.change.pairing import merge_groups
from aggregation.kernels.euler import group_sums
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import size_of
from aggregation.question import Plan, Question
from aggregation.receipts import name_code, receipt_of
from aggregation.reduce.grouping import group_by
from aggregation.session import Session
from aggregation.types import Positions, Scope
from lake.arrays import Bools, Floats, Ints
from lake.canonical import canonical_json, digest
from lake.dates import Day
from lake.errors import BadInput, counted
from lake.progress import Progress, silent
from lake.tables import Lake, Snapshot
from lake.words import first_of
from scenarios.types import MissingRiskFactor, RiskClass
from valuation.batch import without_rate
from valuation.books.contracts import contracts_by_id
from valuation.costs import Costs, Estimate, Work, afford, record
from valuation.horizons.unit_explain import MarketPath, UnitExplain, UnitValues, explain_units, unit_values
from valuation.sets.plan import all_pricers_version
from valuation.types import NO_RATE, Contract, ValuationFailure, failures_in_words

TOLERANCE = 1e-9  # of what is added up: more than that left unexplained is a defect, not rounding
PNL = ("theta", *(f"market_{c.value}" for c in RiskClass), "currency", "factors")
TRADES = ("new", "closed", "amended", "transferred", "failed")
LINES = ("value_from", *PNL, "pnl", "cash", *TRADES, "value_to", "change", "unexplained")

SECONDS_A_DAY = 0.12  # of a core, to read the market of a day on the way, as measured on a market of 300 risk factors


class PnlExplainRequest(Positions):
    """Between which two dates, for which positions, by what."""

    from_: Day = Field(alias="from", description="the earlier date: market and book the value comes from")
    to: Day = Field(description="the later date: market and book the value goes to")


class Cost(NamedTuple):
    contracts: int
    expected_core_seconds: float


@dataclass(frozen=True)
class PnlExplainPlan(Answer):
    """What an explain prices, and how long it is expected to take."""

    positions_from: int
    positions_to: int
    contracts_from: int
    contracts_to: int
    classes: tuple[str, ...]
    states: int
    expected_core_seconds: float
    by_instrument_type: Mapping[str, Cost]
    cost: Estimate = field(metadata=HIDDEN)


@dataclass(frozen=True)
class PnlExplain(Answer):
    """`rows` has one row a group, sorted: the `by` columns, positions_from, failed_from, positions_to, failed_to, status and
    the LINES in the reporting currency, gains positive; null where nothing of the group has a value on either date. `total`
    has the same for all together. `failures` has a row a contract and date: contract_id, instrument_type, date, reason,
    message. `classes` are the risk classes that moved; the market lines of others are zero.
    """

    request: PnlExplainRequest
    rows: pa.Table
    total: Mapping[str, Any]
    classes: tuple[str, ...]
    failures: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _BookOfDate:
    """One date's book: what is selected, its groups in the numbering that both dates share (-1 outside), and its match.

    contract : (n_positions,) of the book. match : the position of the other date's book with the same trade, or -1.
    """

    book: Book
    keep: Bools
    group: Ints
    contract: Ints
    match: Ints


@dataclass(frozen=True)
class _BothBooks:
    start: _BookOfDate
    end: _BookOfDate
    keys: pa.Table
    notes: tuple[str, ...]

    @property
    def needed(self) -> Bools:
        """Positions of the first date's book whose contracts are explained: selected, or selected on the other date."""
        needed = self.start.keep.copy()
        came_from = self.end.match[self.end.keep]
        needed[came_from[came_from >= 0]] = True
        return needed


def plan_pnl_explain(lake: Lake, request: PnlExplainRequest, *, cache: VectorCache | None = None) -> PnlExplainPlan:
    """What `pnl_explain` would price; prices nothing."""
    snapshot, books, path = _open(lake, request, cache)
    held, after = (
        contracts_by_id(snapshot, _ids(s.book, s.contract[k]))
        for s, k in ((books.start, books.needed), (books.end, books.end.keep))
    )
    work = _work([kind for table in (held, after) for kind in table["instrument_type"].to_pylist()], path)
    cost = Costs(lake).of(work) + reading_the_way(request)
    each = {t: (n, Work.of_type(t, n, work.states).shipped_us) for t, n in sorted(work.contracts.items())}
    return PnlExplainPlan(
        int(books.start.keep.sum()),
        int(books.end.keep.sum()),
        len(held),
        len(after),
        path.classes,
        path.n_subsets,
        cost.seconds,
        {t: Cost(n, cost.seconds * us / sum(u for _, u in each.values())) for t, (n, us) in each.items()},
        cost,
    )


def _work(kinds: Sequence[str], path: MarketPath) -> Work:
    """The contracts of both books, in a state for each subset of the risk classes that moved."""
    return Work("pnl-explain", Counter(kinds), path.n_subsets)


def pnl_explain(
    lake: Lake,
    request: PnlExplainRequest,
    *,
    cache: VectorCache | None = None,
    progress: Progress = silent,
) -> PnlExplain:
    """Prices both books and the way between them, and adds up; stores nothing.

    Raises `BadInput` for dates in the wrong order, unknown dimensions and filters that leave nothing on both dates,
    `NotFound` for dates without a market or a book, both with the nearest that exist.
    """
    snapshot, books, path = _open(lake, request, cache)
    progress("first date", 0, 3)
    held = _contracts(snapshot, books.start, books.needed)
    afford(Costs(lake), _work([c.instrument_type for c in held], path))
    opening = _reported(unit_values(held, path.whole(end=False)), path, request.currency)
    progress("risk classes", 1, 3)
    units = explain_units(opening, path)
    progress("second date", 2, 3)
    after = unit_values(_contracts(snapshot, books.end, books.end.keep), path.whole(end=True))
    kinds = [c.instrument_type for c in (*held, *after.contracts)]
    record(lake, [(_work(kinds, path), opening.cost_us + units.cost_us + after.cost_us)])
    closing = _reported(after, path, request.currency)
    unreported = [f for f in (*opening.failures, *closing.failures) if f.reason == NO_RATE]
    if unreported and not np.isfinite([*opening.values, *closing.values]).any():
        raise MissingRiskFactor(unreported[0].message)
    progress("second date", 3, 3)

    lines = _Lines(books, units, closing, path, request.currency)
    n = books.keys.num_rows if request.by else 1
    table = lines.table(n, lambda side: side.group)
    total = lines.table(1, lambda side: np.where(side.keep, 0, -1)).to_pylist()[0]
    keys = dict(zip(books.keys.column_names, books.keys.columns, strict=True))
    rows = pa.table({**keys, **dict(zip(table.column_names, table.columns, strict=True))})
    failures = _failures(request, units, closing)
    return PnlExplain(
        request=request,
        rows=rows,
        total=total,
        classes=path.classes,
        failures=failures,
        receipt=_receipt(snapshot, request, books, path, rows),
        notes=(*books.notes, *_notes(path, total, units, failures)),
    )


def _reported(units: UnitValues, path: MarketPath, currency: str) -> UnitValues:
    """The values, of which those fail whose currency has no exchange rate into `currency` on either date."""
    for end in (False, True):
        gone, failures = without_rate(units.contracts, units.currencies, path.whole(end=end).index, currency)
        currencies = ["" if g else c for g, c in zip(gone, units.currencies, strict=True)]
        values = np.where(gone, np.nan, units.values)
        units = dataclasses.replace(units, currencies=currencies, values=values, failures=(*units.failures, *failures))
    return units


class _Lines:
    """Every line of every position, in the reporting currency; added up by any grouping of both books."""

    def __init__(
        self, books: _BothBooks, units: UnitExplain, closing: UnitValues, path: MarketPath, currency: str
    ) -> None:
        self.books, self.classes = books, path.classes
        start, end = books.start, books.end
        ids = [c.contract_id for c in units.opening.contracts]
        row0 = _rows(start, ids)
        row1 = _rows(end, [c.contract_id for c in closing.contracts])
        was = _rows(end, ids)  # the contract of the later book, if the earlier one held it too
        codes = {c for c in (*units.opening.currencies, *closing.currencies) if c}
        fx0, fx1 = (
            {c: float(path.whole(e).fx(c, currency)[0]) for c in sorted(codes)} | {"": np.nan} for e in (False, True)
        )
        of = units.opening.currencies
        rate0, rate1 = (np.array([fx[c] for c in of]) for fx in (fx0, fx1))
        rate_end = np.array([fx1[c] for c in closing.currencies])

        # what a unit is worth on the second date: by the second book's own valuation where it holds the contract
        worth1 = closing.values * rate_end
        leave = units.closing.copy()
        factors = units.factors.copy()
        both = np.flatnonzero((row1 >= 0) & (was >= 0))
        own, theirs = was[both], row1[both]
        fine = np.isfinite(leave[own]) & np.isfinite(closing.values[theirs])
        if path.only_one:
            at = own[fine]
            factors[at] = units.factors[at] + (closing.values[theirs[fine]] - units.closing[at])
        leave[own[fine]] = closing.values[theirs[fine]]

        self.valued0 = _at(np.isfinite(units.opening.values), row0, False)
        self.explained = _at(units.explained, row0, False)
        self.valued1 = _at(np.isfinite(closing.values), row1, False)
        q0, q1 = start.book.quantity, end.book.quantity
        self.before = np.where(self.valued0, q0 * _at(units.opening.values * rate0, row0), 0.0)
        self.after = np.where(self.valued1, q1 * _at(worth1, row1), 0.0)
        # what the position of the first date is worth on the second
        self.leave = np.where(self.explained, q0 * _at(leave * rate1, row0), 0.0)
        unit = {
            "theta": units.theta * rate1,
            **{f"market_{c}": units.market[:, k] * rate1 for k, c in enumerate(path.classes)},
            "currency": units.opening.values * (rate1 - rate0),
            "factors": factors * rate1,
            "cash": units.cash * rate1,
        }
        self.held = {name: np.where(self.explained, q0 * _at(v, row0), 0.0) for name, v in unit.items()}

    def table(self, n: int, group_of: Any) -> pa.Table:
        """The lines of groups 0 to n - 1; `group_of` gives the group of every position of a side, -1 for none."""
        start, end = self.books.start, self.books.end
        g0, g1 = group_of(start), group_of(end)
        in0, in1 = g0 >= 0, g1 >= 0

        def add(group: Ints, here: Bools, values: Floats) -> Floats:
            return group_sums(values, np.where(here, group, -1).astype(np.int32), n)

        there, before = start.match >= 0, end.match >= 0
        # the group of the same trade on the other date
        goes = np.where(there, g1[start.match], -1)
        came = np.where(before, g0[end.match], -1)
        was_explained = before & self.explained[end.match]
        left = np.where(was_explained, self.leave[end.match], 0.0)
        figures = {name: np.zeros(n) for name in LINES}
        figures["value_from"] = add(g0, in0, self.before)
        figures["value_to"] = add(g1, in1, self.after)
        for name, values in self.held.items():
            figures[name] = add(g0, in0, values)
        figures["pnl"] = sum((figures[name] for name in PNL), np.zeros(n))

        figures["new"] = add(g1, in1 & ~before, self.after)
        figures["closed"] = -add(g0, in0 & ~there, self.leave)
        moved0, moved1 = in0 & there & (goes != g0), in1 & was_explained & (came != g1)
        figures["transferred"] = add(g1, moved1, left) - add(g0, moved0, self.leave)
        changed = in1 & was_explained
        figures["amended"] = add(g1, changed & self.valued1, self.after - left)
        # without a value somewhere on the way there is no explaining: what leaves and what comes stands here
        figures["failed"] = (
            add(g1, in1 & before & ~was_explained, self.after)
            + add(g1, changed & ~self.valued1, -left)
            - add(g0, in0 & ~self.explained, self.before)
        )
        figures["change"] = figures["value_to"] - figures["value_from"]
        parts = sum((figures[name] for name in ("pnl", *TRADES)), np.zeros(n)) - figures["cash"]
        figures["unexplained"] = figures["change"] - parts
        size = add(g0, in0, np.abs(self.before) + sum(map(np.abs, self.held.values()))) + add(
            g1, in1, np.abs(self.after)
        )
        size += add(g0, in0, np.abs(self.leave))
        if (np.abs(figures["unexplained"]) > TOLERANCE * size).any():
            raise AssertionError("P&L explain: the lines do not add up to the change of value; please report this.")

        counts = [np.bincount(g[h], minlength=n) for g, h in (
            (g0, in0), (g0, in0 & ~self.explained), (g1, in1), (g1, in1 & ~self.valued1))]  # fmt: skip
        valued = np.bincount(g0[in0 & self.valued0], minlength=n) + np.bincount(g1[in1 & self.valued1], minlength=n)
        status = np.where(valued == 0, "invalid", np.where(counts[1] + counts[3] > 0, "partial", "complete"))
        names = ("positions_from", "failed_from", "positions_to", "failed_to")
        return pa.table(
            {
                **{name: pa.array(c) for name, c in zip(names, counts, strict=True)},
                "status": pa.array(status),
                **{name: pa.array(v + 0.0, mask=valued == 0) for name, v in figures.items()},
            }
        )


def _open(lake: Lake, request: PnlExplainRequest, cache: VectorCache | None) -> tuple[Snapshot, _BothBooks, MarketPath]:
    if request.from_ > request.to:
        raise BadInput(f"P&L runs forward in time: from {request.from_} to {request.to} was asked for; swap the dates.")
    snapshot = lake.snapshot()
    cache = cache or VectorCache(lake)
    opening = cache.in_terms(snapshot, cache.book(snapshot, request.from_), request.to, carried=True)
    books = _books(request, opening, cache.book(snapshot, request.to))
    return snapshot, books, MarketPath(snapshot, request.from_, request.to)


def _books(request: PnlExplainRequest, one: Book, two: Book) -> _BothBooks:
    keeps: list[Bools] = []
    missed: list[BadInput] = []
    for book in (one, two):
        try:
            keeps.append(select(book, request.where))
        except BadInput as error:  # a desk may be new, or gone
            missed.append(error)
            keeps.append(np.zeros(book.n_positions, dtype=np.bool_))
    if len(missed) == 2:
        raise missed[0]
    groups = [group_by(book, request.by, keep) for book, keep in zip((one, two), keeps, strict=True)]
    members = merge_groups(groups[0].keys, groups[1].keys, groups[0].n, groups[1].n)
    # the last for what is filtered out
    numbers = [np.append(m, -1)[g.group] for m, g in zip((members.before, members.after), groups, strict=True)]
    match = [_match(one, two), _match(two, one)]
    sides = [
        _BookOfDate(book, keep, number, np.repeat(np.arange(len(book.contract_ids)), np.diff(book.starts)), m)
        for book, keep, number, m in zip((one, two), keeps, numbers, match, strict=True)
    ]
    return _BothBooks(sides[0], sides[1], members.keys, tuple(e.message for e in missed))


def _match(book: Book, other: Book) -> Ints:
    """The position of the other book with the same trade, (n_positions,), -1 where there is none."""
    here, there = book.columns["trade"], other.columns["trade"]
    position = np.full(len(there.members) + 1, -1, dtype=np.int64)
    position[there.codes] = np.arange(other.n_positions)
    code = pc.fill_null(pc.index_in(here.members, there.members), len(there.members)).to_numpy()
    matched: Ints = position[code][here.codes]
    return matched


def _ids(book: Book, contract: Ints) -> pa.Array:
    return book.contract_ids.take(pa.array(np.unique(contract)))


def _contracts(snapshot: Snapshot, side: _BookOfDate, which: Bools) -> list[Contract]:
    if not which.any():
        return []
    rows = contracts_by_id(snapshot, _ids(side.book, side.contract[which]))
    return Contract.of(rows)


def _rows(side: _BookOfDate, ids: Sequence[str]) -> Ints:
    """Place among `ids` of each position's contract, -1 where it is not there."""
    places = pc.fill_null(pc.index_in(side.book.contract_ids, pa.array(ids, pa.string())), -1).to_numpy()
    found: Ints = places.astype(np.int64)[side.contract]
    return found


def _at(values: Any, rows: Ints, otherwise: Any = np.nan) -> Any:
    """values[row], and `otherwise` where there is no row."""
    return np.append(values, otherwise)[rows]


def _failures(request: PnlExplainRequest, units: UnitExplain, closing: UnitValues) -> pa.Table:
    def rows(day: dt.date, failures: Sequence[ValuationFailure]) -> list[dict[str, Any]]:
        return [{**vars(f), "date": day} for f in failures]

    found = [
        *rows(request.from_, units.opening.failures),
        *rows(request.to, units.failures),
        *rows(request.to, closing.failures),
    ]
    distinct = {(f["contract_id"], f["date"]): f for f in reversed(found)}
    schema = pa.schema(
        [(c, pa.date32() if c == "date" else pa.string()) for c in
         ("contract_id", "instrument_type", "date", "reason", "message")]
    )  # fmt: skip
    return pa.Table.from_pylist([distinct[k] for k in sorted(distinct)], schema=schema)


def _receipt(
    snapshot: Snapshot, request: PnlExplainRequest, books: _BothBooks, path: MarketPath, rows: pa.Table
) -> dict[str, Any]:
    """Every input by name and digest: the same question asked again of the same lake gives the same receipt."""
    question = request.model_dump(mode="json", by_alias=True)

    def market(end: bool) -> dict[str, Any]:
        m, side = (path.end, books.end) if end else (path.start, books.start)
        return {
            "market_date": str(m.market_date),
            "market_digest": digest(canonical_json([f.to_dict() for f in m.index.factors]), m.base.tobytes()),
            "held": dict(m.held),
            "positions_date": str(side.book.positions_date),
            "positions_files": list(side.book.files),
            **({"corporate_actions_applied": list(side.book.said)} if side.book.said else {}),
        }

    named = {
        "from": market(False),
        "to": market(True),
        "risk_classes": list(path.classes),
        "synthetic": any(f.synthetic for f in path.index.factors),
        "pricer_version": all_pricers_version(),
        "table_versions": snapshot.named,
        **name_code(),
    }
    figures = ((c, rows[c].combine_chunks().to_numpy(zero_copy_only=False).tobytes()) for c in LINES)
    return receipt_of("pnl-explain", question, digest(*(part for figure in figures for part in figure)), named)


def _notes(path: MarketPath, total: Mapping[str, Any], units: UnitExplain, failures: pa.Table) -> tuple[str, ...]:
    """What a reader must know before using the numbers."""
    notes = []
    if any(f.synthetic for f in path.index.factors):
        notes.append("The market data is synthetic.")
    if total["failed_from"] or total["failed_to"]:
        why = failures_in_words((f["reason"], f["message"], 1) for f in failures.to_pylist())
        notes.append(
            f"{counted(total['failed_from'], 'position')} of the first date and {total['failed_to']:,} of the second have no value "
            f"somewhere on the way: what they were worth stands in the line failed. {why}"
        )
    if n := int(units.matured.sum()):
        one, many = (
            "contract matured on the way: it is the cash it",
            "contracts matured on the way: they are the cash they",
        )
        notes.append(f"{counted(n, one, many)} paid.")
    if path.only_one:
        notes.append(f"Risk factors that only one of the dates has, see the line factors: {first_of(path.only_one)}.")
    for market in (path.start, path.end):
        if market.held:
            names = first_of(sorted(market.held))
            notes.append(f"Risk factors that keep an earlier level on {market.market_date}: {names}.")
    return tuple(notes)


def _plan(session: Session, query: PnlExplainRequest) -> Plan:
    found = plan_pnl_explain(session.lake, query, cache=session.cache)
    return Plan(cost=found.cost, about=found.to_dict())


def _answer(session: Session, query: PnlExplainRequest) -> PnlExplain:
    return pnl_explain(session.lake, query, cache=session.cache, progress=session.progress)


def _price(session: Session, query: PnlExplainRequest) -> float:
    """Of the contracts of both dates, valued in a state for each subset of the risk classes, and of their books."""
    books = [Scope(as_of=day, where=query.where, by=query.by) for day in (query.from_, query.to)]
    sizes = [size_of(session, book, scenarios=1) for book in books]
    kinds: Counter[str] = sum((Counter(size_of(session, b, by=(), scenarios=1).of.kinds) for b in books), Counter())
    cost = Costs(session.lake).of(Work("pnl-explain", kinds, 1 << len(RiskClass)))
    return cost.seconds + reading_the_way(query).seconds + sum(size.seconds() for size in sizes)


def reading_the_way(request: PnlExplainRequest) -> Estimate:
    """Reading the markets of the days on the way, in which cash and fixings are looked up."""
    days = max(int(np.busday_count(request.from_, request.to)), 0)
    return Estimate(days * SECONDS_A_DAY / 2, days * SECONDS_A_DAY, days * SECONDS_A_DAY * 2)


PNL_EXPLAIN = Question(
    PnlExplainRequest,
    _answer,
    {"from": "2020-02-14", "to": "2020-03-16", "by": ["desk"], "where": ["desk=Treasury"]},
    _plan,
    price=_price,
)
