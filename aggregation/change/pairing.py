"""Two points set side by side: scenarios by id, positions by trade, contracts by id.

A point is what one question reads: a book, a valuation set, a scenario set. Whatever two points share is matched here; the
pairing of two books against two valuation sets is kept beside the other open objects, as it depends on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book, encode
from aggregation.opened.inputs import Inputs
from lake.arrays import Codes, Ints
from lake.words import sentences
from scenarios.types import ScenarioDetails
from valuation.books.corporate_actions import in_terms_of

_OF_THE_DAY = ("market_date", "window_start", "window_end", "scenario_set", "source_definition")


@dataclass(frozen=True)
class Common:
    """Scenarios that both points have: `before[k]` and `after[k]` are the places of one and the same. `note`: when none, why."""

    before: Codes
    after: Codes
    note: str | None = None


def common_scenarios(one: Inputs, two: Inputs) -> Common:
    """The same scenarios of two sets, in the order of the first: those with the same label.

    A label that is a day names a past move, whatever the set. A drawn scenario is the same only where the recipe is: the
    17th draws of two seeds have nothing in common but their number.
    """
    a, b = one.scenarios, two.scenarios
    if a.scenario_set_id == b.scenario_set_id:
        every = np.arange(one.n_scenarios, dtype=np.int32)
        return Common(every, every)
    none = np.empty(0, dtype=np.int32)
    if (a.seed is not None or b.seed is not None) and _recipe(a) != _recipe(b):
        return Common(
            none,
            none,
            f"The scenarios of {a.name} and {b.name} are drawn by different recipes, so that none of one is one of the other: "
            "the whole change is scenarios that left and entered.",
        )
    if not a.labels or not b.labels:  # numbered, too many to be written down
        every = np.arange(min(one.n_scenarios, two.n_scenarios), dtype=np.int32)
        return Common(every, every)
    place = pc.fill_null(pc.index_in(pa.array(a.labels, pa.string()), pa.array(b.labels, pa.string())), -1)
    after = place.to_numpy().astype(np.int32)
    before = np.flatnonzero(after >= 0).astype(np.int32)
    if len(before):
        return Common(before, after[before])
    return Common(
        none,
        none,
        f"No scenario of {a.name} ({_some(a)}) is one of {b.name} ({_some(b)}): the whole change is scenarios that left and entered.",
    )


def actions_between(one: Inputs, two: Inputs) -> tuple[str, ...]:
    """A note on the corporate actions of what the first point holds between the markets of the two, which neither point is put into the
    terms of."""
    days = one.valuation_set.market_date, two.valuation_set.market_date
    said = in_terms_of(two.snapshot, one.book.contract_ids, *days).said if days[0] < days[1] else ()
    if not said:
        return ()
    where = "whose change of quantities stands among the trades and whose change of prices in the market"
    return (f"Corporate actions between {days[0]} and {days[1]}, {where}: {sentences(said)}",)


def _recipe(scenarios: ScenarioDetails) -> Any:
    return scenarios.method, {k: v for k, v in scenarios.definition.items() if k not in _OF_THE_DAY}


def _some(scenarios: ScenarioDetails) -> str:
    labels = scenarios.labels or ("numbered",)
    return f"{labels[0]} ..." if len(labels) > 1 else str(labels[0])


@dataclass(frozen=True)
class Pairing:
    """Two books against two valuation sets.

    contract_ids : the contracts of either book, sorted. of_before, of_after : (n_positions,) their contract in it. row_before,
    row_after : (n_contracts,) their row in each point's vectors, -1 where they have none. partner_before, partner_after :
    (n_positions,) the position of the same trade in the other book, -1 where it has none.
    """

    contract_ids: pa.Array
    of_before: Codes
    of_after: Codes
    row_before: Codes
    row_after: Codes
    partner_before: Codes
    partner_after: Codes


def pair(one: Inputs, two: Inputs) -> Pairing:
    """Matches the trades and contracts of the books of two points."""
    ids = pc.unique(pa.concat_arrays([one.book.contract_ids, two.book.contract_ids])).sort()
    partner_before, partner_after = _partners(one.book, two.book)
    return Pairing(
        ids,
        _contract_of(one.book, ids),
        _contract_of(two.book, ids),
        _places(ids, one.vectors.contract_ids),
        _places(ids, two.vectors.contract_ids),
        partner_before,
        partner_after,
    )


def pairing_key(one: Inputs, two: Inputs) -> tuple[Any, ...]:
    """Names everything a pairing is made of."""
    return (
        "pairing",
        *((i.book.trades_digest, i.valuation_set.key) for i in (one, two)),
    )


def _contract_of(book: Book, ids: pa.Array) -> Codes:
    return np.repeat(_places(book.contract_ids, ids), np.diff(book.starts))


def _partners(one: Book, two: Book) -> tuple[Codes, Codes]:
    """A trade stands once in a book."""
    a, b = one.columns["trade"], two.columns["trade"]
    position: Codes = np.full(len(a.members), -1, dtype=np.int32)
    position[a.codes] = np.arange(one.n_positions, dtype=np.int32)
    member = _places(b.members, a.members)
    there = np.where(member >= 0, position[member], -1).astype(np.int32)
    partner_after = there[b.codes]
    partner_before: Codes = np.full(one.n_positions, -1, dtype=np.int32)
    paired = np.flatnonzero(partner_after >= 0).astype(np.int32)
    partner_before[partner_after[paired]] = paired
    return partner_before, partner_after


def _places(wanted: pa.Array, among: pa.Array) -> Codes:
    return np.asarray(pc.fill_null(pc.index_in(wanted, among), -1).to_numpy(), dtype=np.int32)


@dataclass(frozen=True)
class Members:
    """The groups of either point, sorted by their members, nulls last. before, after : number of each point's group in it."""

    keys: pa.Table
    before: Ints
    after: Ints
    n: int


def merge_groups(before: pa.Table, after: pa.Table, n_before: int, n_after: int) -> Members:
    """The groups of two selections numbered together; without columns there is the one group of all."""
    if not before.column_names:
        one: npt.NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        return Members(pa.table({}), one[:n_before], one[:n_after], 1)
    both = pa.concat_tables([before, after]).combine_chunks()
    code = np.zeros(len(both), dtype=np.int64)
    for column in both.columns:
        codes, column_members = encode(column.combine_chunks())
        code = np.unique(code * (len(column_members) + 1) + codes, return_inverse=True)[1]
    n = int(code.max(initial=-1)) + 1
    example = np.empty(n, dtype=np.int64)
    example[code[::-1]] = np.arange(len(both))[::-1]
    return Members(both.take(pa.array(example)), code[:n_before], code[n_before:], n)
