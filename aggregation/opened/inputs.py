"""What a question reads, opened once at pinned versions. Every answer of the reduce starts here."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book, nearest_dates
from aggregation.measures import refuse_in_order
from aggregation.opened import branch_books, valuation_choice
from aggregation.opened.alignment import MISSING, Alignment, align
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import remembered
from aggregation.opened.vectors import Vectors
from aggregation.types import Scope
from lake.arrays import Bools, Floats
from lake.errors import NotFound, NotValued
from lake.landing.numbers import MOST
from lake.tables import Snapshot
from scenarios.market.corporate_actions import TABLE
from scenarios.store import load_scenario_set
from scenarios.types import ScenarioDetails
from valuation.books import branches
from valuation.books.contracts import positions_dates
from valuation.sets.standards import Standard
from valuation.types import HUGE, NO_RATE, ValuationSet

# what scenarios are made from: whether they are of the newest is told
MARKET = ("risk_factors", "market_calendars", "market_data", TABLE)
MOST_CANDIDATES = 8  # valuation sets looked into for one that holds the whole book


@dataclass(frozen=True)
class Inputs:
    """Everything a query reads, at pinned versions."""

    snapshot: Snapshot
    valuation_set: ValuationSet
    scenarios: ScenarioDetails
    vectors: Vectors
    book: Book
    alignment: Alignment
    standard: Standard = field(default_factory=Standard)

    @property
    def n_scenarios(self) -> int:
        return self.vectors.n_scenarios

    @property
    def weights(self) -> Floats | None:
        """Probability of each scenario, (n_scenarios,); None when all are alike."""
        return None if self.scenarios.weights is None else np.array(self.scenarios.weights)


def open_inputs(cache: VectorCache, query: Scope) -> Inputs:
    """The valuation set that answers the query, its vectors, and the book; raises `NotFound` with what is there."""
    cache = cache.as_known(query.as_known)
    snapshot, known, candidates = answering(cache, query)
    book = book_of_scope(cache, snapshot, query, candidates[0].market_date)
    return _opened(cache, snapshot, known, book, candidates, query)


def open_beside(cache: VectorCache, beside: Inputs, query: Scope) -> Inputs:
    """The book of `beside` under another valuation set on the same market: the one that answers the query in the same snapshot; raises
    `NotFound` where there is none. In place of `open_inputs` where a question reads many sets: no log is looked at again."""
    known = cache.known(beside.snapshot)
    candidates = valuation_choice.valuation_sets(known, query)
    return _opened(cache, beside.snapshot, known, beside.book, candidates, query)


def _opened(
    cache: VectorCache,
    snapshot: Snapshot,
    known: valuation_choice.Known,
    book: Book,
    candidates: Sequence[ValuationSet],
    query: Scope,
) -> Inputs:
    """The book under the candidate that holds most of it."""
    seal = _holding_most(cache, book, candidates)
    vectors = cache.vectors(seal)
    scenarios = cache.scenarios(seal)
    if not scenarios.in_order:
        refuse_in_order(getattr(query, "measures", ()), scenarios.name)
    inputs = Inputs(snapshot, seal, scenarios, vectors, book, cache.alignment(book, vectors), known.standard(query))
    return reported_in(_without_huge(inputs), query.currency)


def answering(cache: VectorCache, query: Scope) -> tuple[Snapshot, valuation_choice.Known, Sequence[ValuationSet]]:
    """The valuation sets that may answer the query, the first to be tried first, at pinned versions; raises `NotFound` with what is
    there."""
    tables = ("valuation_sets", "positions", "hierarchies", "scenario_sets", "standards", *MARKET)
    snapshot = cache.lake.snapshot(*tables, *(branches.TABLES if query.branch is not None else ()))
    known = cache.known(snapshot)
    try:
        candidates = valuation_choice.valuation_sets(known, query)
    except NotValued as error:
        raise _lacking(cache, query) or error from None
    chain = branch_books.chain_of(snapshot, query)
    return snapshot, known, branch_books.own_set_first(cache, chain, candidates)


def book_of_scope(cache: VectorCache, snapshot: Snapshot, query: Scope, terms: dt.date) -> Book:
    """The book or branch that the query is about, in the terms of a day."""
    chain = branch_books.chain_of(snapshot, query)
    day = query.positions_date or query.as_of
    book = branch_books.branch_book(cache, snapshot, chain) if chain else cache.book(snapshot, day)
    return cache.in_terms(snapshot, book, terms)


def _without_huge(inputs: Inputs) -> Inputs:
    """The inputs with the contracts held in quantities beyond `MOST` among the failures: sums over them may overflow.

    Nothing that is brought in today holds such a quantity; a lake of before may.
    """
    book, vectors = inputs.book, inputs.vectors
    # looked for once a book, which may have a million positions
    huge = remembered("huge", (book,), lambda: np.flatnonzero(~(np.abs(book.quantity) <= MOST)), lambda h: h.nbytes)
    if not len(huge):
        return inputs

    def failing() -> Vectors:
        contracts = np.unique(np.searchsorted(book.starts, huge, side="right") - 1)
        rows = inputs.alignment.row[contracts]
        of = np.zeros(len(vectors.contract_ids), np.bool_)
        of[rows[rows >= 0]] = True
        first = book.columns["trade"].members[int(book.columns["trade"].codes[huge[0]])]
        told = f"The book holds {book.quantity[huge[0]]:g} units in trade {first}, beyond {MOST:g}."
        return _failing(vectors, of, HUGE, [told] * int(of.sum()))

    return _with_vectors(inputs, remembered(HUGE, (book, vectors), failing, lambda _: 0))


def _lacking(cache: VectorCache, query: Scope) -> NotFound | None:
    """What has to be brought in before anything can be valued, in that order; None where nothing lacks."""
    lake, market, day = cache.lake, query.market_date or query.as_of, query.positions_date or query.as_of
    # kept: a series asks for many days
    there = cache.keep(("positions dates", lake.version("positions")), lambda: set(positions_dates(lake)))
    version = lake.version("market_data")
    first, last = cache.keep(("market dates", version), lambda: lake.bounds("market_data", "as_of_date"))
    found, no_book = [], query.branch is None and day not in there
    # a lake may hold scenarios that were brought in, and no market
    if no_book if first is None else not first <= market <= last:
        found.append(f"market data of {market} " + (f"(there is {first} to {last})" if first else "(there is none)"))
    if no_book:
        found.append(f"positions of {day}. {nearest_dates(day, there, 'with positions')}".rstrip("."))
    if not found:
        return None
    weekend = f"{query.as_of} is a {query.as_of:%A}. " if query.as_of.weekday() > 4 else ""
    then = "Ask for a business day" if weekend else f"Bring that in; then {query.as_of} can be valued"
    return NotFound(f"{weekend}The lake lacks {'; and '.join(found)}. {then}.")


def reported_in(inputs: Inputs, currency: str) -> Inputs:
    """The inputs with the contracts among the failures whose currency has no exchange rate into `currency`.

    Where that is every currency of the valuation set nothing can be answered, and the conversion says so.
    """
    vectors = inputs.vectors
    if set(vectors.currencies) <= {currency}:
        return inputs

    def without_rate() -> dict[str, str]:
        index = load_scenario_set(inputs.snapshot, inputs.valuation_set.scenario_set_id).index
        return index.without_rate(vectors.currencies, currency)

    gone = remembered(("without rate", currency), (vectors,), without_rate, lambda _: 0)
    if not gone or len(gone) == len(vectors.currencies):
        return inputs

    def failing() -> Vectors:
        of = np.array([c in gone for c in vectors.currencies])[vectors.currency]
        return _failing(vectors, of, NO_RATE, [gone[vectors.currencies[c]] for c in vectors.currency[of]])

    return _with_vectors(inputs, remembered(("failing", currency), (vectors,), failing, lambda _: 0))


def _with_vectors(inputs: Inputs, vectors: Vectors) -> Inputs:
    """The inputs with other vectors, against which the book is aligned anew."""
    book = inputs.book
    aligned = remembered(
        "aligned", (book, vectors), lambda: align(book, vectors), lambda a: a.row.nbytes + a.order.nbytes
    )
    return dataclasses.replace(inputs, vectors=vectors, alignment=aligned)


def _failing(vectors: Vectors, of: Bools, reason: str, told: Sequence[str]) -> Vectors:
    """The vectors with the contracts `of`, (n_contracts,), among the failures, each with what is `told` of it."""
    ids = vectors.contract_ids.filter(pa.array(of))
    more = {"contract_id": ids, "reason": [reason] * len(ids), "message": told}
    named = vectors.failures.schema.names
    columns = [pa.concat_arrays([vectors.failures[n], pa.array(more[n], pa.string())]) for n in named]
    failures = pa.RecordBatch.from_arrays(columns, named)
    # no longer the vectors of the stored set: an alignment with them may not be kept under its name
    return dataclasses.replace(vectors, failures=failures.sort_by("contract_id"), set_key="")


def _holding_most(cache: VectorCache, book: Book, candidates: Sequence[ValuationSet]) -> ValuationSet:
    """The newest set that has an answer for the most contracts of the book: a later one may be of another book."""
    lacking = []
    for seal in candidates[:MOST_CANDIDATES]:
        state = cache.alignment(book, cache.vectors(seal)).state
        lacking.append(int((state == MISSING).sum()))
        if lacking[-1] == 0:
            break
    return candidates[int(np.argmin(lacking))]


def scenario_labels(inputs: Inputs) -> Sequence[str]:
    """The id of every scenario, in the order of the set."""
    # those of very many generated scenarios follow from the recipe
    return inputs.scenarios.labels or load_scenario_set(inputs.snapshot, inputs.valuation_set.scenario_set_id).labels
