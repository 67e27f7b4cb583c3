"""What a question reads, opened once at pinned versions. Every answer of the reduce starts here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregation.book.book import Book
from aggregation.measures import refuse_in_order
from aggregation.opened import branch_books, valuation_choice
from aggregation.opened.alignment import MISSING, Alignment
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.vectors import Vectors
from aggregation.types import Scope
from lake.arrays import Floats
from lake.tables import Snapshot
from scenarios.store import load_scenario_set
from scenarios.types import ScenarioDetails
from valuation.books import branches
from valuation.types import ValuationSet

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

    @property
    def n_scenarios(self) -> int:
        return self.vectors.n_scenarios

    @property
    def weights(self) -> Floats | None:
        """Probability of each scenario, (n_scenarios,); None when all are alike."""
        return None if self.scenarios.weights is None else np.array(self.scenarios.weights)


def open_inputs(cache: VectorCache, query: Scope) -> Inputs:
    """The valuation set that answers the query, its vectors, and the book; raises `NotFound` with what is there."""
    tables = ("valuation_sets", "positions", "hierarchies")
    snapshot = cache.lake.snapshot(*tables, *(branches.TABLES if query.branch is not None else ()))
    candidates = valuation_choice.valuation_sets(cache.seals(snapshot), query)
    chain = branch_books.chain_of(snapshot, query)
    candidates = branch_books.own_set_first(cache, chain, candidates)
    day = query.positions_date or query.as_of
    book = branch_books.branch_book(cache, snapshot, chain) if chain else cache.book(snapshot, day)
    seal = _holding_most(cache, book, candidates)
    vectors = cache.vectors(seal)
    scenarios = cache.scenarios(seal)
    if not scenarios.in_order:
        refuse_in_order(getattr(query, "measures", ()), scenarios.name)
    return Inputs(snapshot, seal, scenarios, vectors, book, cache.alignment(book, vectors))


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
