"""What a question selects of a book: filtered, grouped, converted, and its P&L by scenario."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aggregation.book.book import Book
from aggregation.book.filters import select
from aggregation.opened.alignment import Alignment
from aggregation.opened.inputs import Inputs
from aggregation.opened.remembered import recalled, remembered
from aggregation.opened.vectors import Vectors
from aggregation.reduce import in_numpy
from aggregation.reduce.currency import Conversion, at_spot, conversion, unconverted
from aggregation.reduce.grouping import SECONDS_A_POSITION, Groups, coverage, group_by
from aggregation.reduce.netting import net
from aggregation.reduce.product import group_base, group_pnl
from aggregation.reduce.product_on_spark import group_pnl_on_spark
from aggregation.types import Scope, Translation
from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled, is_worth_loading
from lake.errors import BadInput
from lake.progress import allowance
from scenarios.store import load_scenario_set
from scenarios.types import RiskClass

# the price of a question, in seconds of a core: to add a position or convert a group in one scenario; to find a group
SECONDS_A_SUM, SECONDS_A_GROUP = 5e-10, 2e-6


@dataclass(frozen=True)
class Selection:
    """The groups of a query and what they need; group `groups.n` is the total of all.

    keep : (n_positions,) what the filters leave. counts : (groups.n + 1, 3) positions covered, failed and missing, the
    total last. rates : conversion into the reporting currency.
    """

    inputs: Inputs
    keep: Bools
    groups: Groups
    counts: npt.NDArray[np.int64]
    rates: Conversion


def open_selection(
    inputs: Inputs, query: Scope, within: Bools | None = None, translation: Translation = "scenario"
) -> Selection:
    """Filters and groups the book as the query says, of the positions in `within` where it is given, (n_positions,).

    translation : `spot` keeps exchange rates at their base in every scenario. Raises `BadInput` for unknown names and empty selections.
    """
    selection = _selection(inputs, query, within, translation)
    allowance().spend(SECONDS_A_GROUP * selection.groups.n)
    return selection


def _selection(inputs: Inputs, query: Scope, within: Bools | None, translation: Translation) -> Selection:
    if within is not None:
        return _open_selection(inputs, query, within)
    if translation == "spot":
        whole = _selection(inputs, query, None, "scenario")
        at_base = remembered("spot", (whole.rates,), lambda: at_spot(whole.rates), lambda r: r.scenarios.nbytes)
        return dataclasses.replace(whole, rates=at_base)
    made = remembered(
        ("selection", query.where, query.by, query.currency),
        (inputs.book, inputs.vectors, inputs.alignment),
        lambda: _open_selection(inputs, query, None),
        lambda s: s.keep.nbytes + s.groups.group.nbytes + s.groups.keys.nbytes + s.counts.nbytes,
    )
    return dataclasses.replace(made, inputs=inputs)


def is_summed(book: Book, vectors: Vectors, alignment: Alignment, query: Scope) -> bool:
    """Whether the P&L of all groups of the query, and of their total, is kept from a question before: a pass that is not made again."""
    made = recalled(("selection", query.where, query.by, query.currency), (book, vectors, alignment))
    if made is None:
        return False
    kept = recalled(("pnl", 0, made.groups.n + 1), (book, made.groups, alignment, vectors, made.rates))
    return kept is not None


def grouped(book: Book, query: Scope) -> tuple[Bools, Groups]:
    """The positions that the filters of the query leave, (n_positions,), and their groups."""

    def make() -> tuple[Bools, Groups]:
        keep = select(book, query.where)
        return keep, group_by(book, query.by, keep)

    def size(made: tuple[Bools, Groups]) -> int:
        return int(made[0].nbytes + made[1].group.nbytes + made[1].keys.nbytes)

    return remembered(("grouped", query.where, query.by), (book,), make, size)


def _open_selection(inputs: Inputs, query: Scope, within: Bools | None) -> Selection:
    if within is None:
        keep, groups = grouped(inputs.book, query)
    else:
        keep = select(inputs.book, query.where) & within
        groups = group_by(inputs.book, query.by, keep)
    counts = coverage(inputs.book, groups, inputs.alignment)
    counts = np.vstack([counts, counts.sum(axis=0)])
    return Selection(inputs, keep, groups, counts, exchange_rates(inputs, keep, query.currency))


def exchange_rates(inputs: Inputs, keep: Bools, currency: str) -> Conversion:
    """Exchange rates into `currency` for the currencies of the contracts that are kept and covered."""
    return rates(inputs, currencies_used(inputs.book, keep, inputs.alignment, inputs.vectors), currency)


def currencies_used(book: Book, keep: Bools, alignment: Alignment, vectors: Vectors) -> list[str]:
    """The currencies of the contracts that are kept and covered."""
    if is_worth_loading(book.n_positions * SECONDS_A_POSITION):
        used = _currencies_used(book.starts, keep, alignment.row, vectors.currency, len(vectors.currencies))
    else:
        kept = np.append(0, np.cumsum(keep))
        held = (kept[book.starts[1:]] > kept[book.starts[:-1]]) & (alignment.row >= 0)
        used = np.bincount(vectors.currency[alignment.row[held]], minlength=len(vectors.currencies)) > 0
    return [vectors.currencies[c] for c in np.flatnonzero(used)]


@compiled
def _currencies_used(starts: Ints, keep: Bools, row: Codes, currency: Codes, n: int) -> Bools:
    """Whether a position that is kept and covered has its contract in each currency, (n,)."""
    used = np.zeros(n, dtype=np.bool_)
    for c in range(row.size):
        if row[c] >= 0 and not used[currency[row[c]]]:
            used[currency[row[c]]] = keep[starts[c] : starts[c + 1]].any()
    return used


def rates(inputs: Inputs, held: Sequence[str], currency: str) -> Conversion:
    """Exchange rates into `currency` for the currencies `held`, in the scenarios and at the base of the inputs."""
    vectors = inputs.vectors
    if set(held) <= {currency}:
        return unconverted(len(vectors.currencies), vectors.n_scenarios)
    return remembered(
        ("rates", tuple(held), currency),
        (vectors,),
        lambda: _rates(inputs, held, currency),
        lambda r: r.base.nbytes + r.scenarios.nbytes,
    )


def _rates(inputs: Inputs, held: Sequence[str], currency: str) -> Conversion:
    vectors = inputs.vectors
    scenario_set = load_scenario_set(inputs.snapshot, inputs.valuation_set.scenario_set_id)
    fx_moves = RiskClass.FX.value in inputs.valuation_set.shocked_classes
    return conversion(scenario_set, vectors.currencies, held, currency, fx_moves=fx_moves)


def scenario_pnl(selection: Selection, first: int, n: int, threads: int | None = None) -> tuple[Floats, Floats]:
    """Base value (n,) and P&L (n, n_scenarios) of groups first to first + n - 1 in the reporting currency, gains positive.

    Group `groups.n` is the total. A group with nothing covered has zeros: look at `counts` first.
    """
    inputs = selection.inputs
    return remembered(
        ("pnl", first, n),
        (inputs.book, selection.groups, inputs.alignment, inputs.vectors, selection.rates),
        lambda: _scenario_pnl(selection, first, n, threads),
        lambda made: made[0].nbytes + made[1].nbytes,
    )


def _scenario_pnl(selection: Selection, first: int, n: int, threads: int | None) -> tuple[Floats, Floats]:
    inputs = selection.inputs
    held = int(selection.counts[-1].sum())
    allowance().spend(SECONDS_A_SUM * (n + held) * inputs.n_scenarios)
    book, vectors, groups, rates = inputs.book, inputs.vectors, selection.groups, selection.rates
    if in_numpy.is_enough(book, groups, vectors, n):
        base, pnl = in_numpy.group_values(book, groups, inputs.alignment, vectors, rates, first, n)
    else:
        netted = net(book, groups, inputs.alignment, vectors, first, n, threads)
        base = group_base(netted, rates)
        if vectors.places is not None:
            pnl = group_pnl_on_spark(vectors.places, netted, rates, inputs.valuation_set.valuation_set_id)
        else:
            pnl = group_pnl(vectors.rows, netted, rates, threads, vectors.portion)
    if not (np.isfinite(base).all() and np.isfinite(pnl).all()):
        raise BadInput(
            f"Values and P&L of the valuation set {inputs.valuation_set.valuation_set_id} are so large that their sum is no finite "
            "number. Look at the terms of its largest contracts (varlake drill), or filter them out with where."
        )
    # kept for the next question: who writes into them would change its answer
    base.flags.writeable = pnl.flags.writeable = False
    return base, pnl
