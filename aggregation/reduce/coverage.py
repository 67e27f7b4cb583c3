"""What a number rests on beyond the counts: positions on substituted market data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.opened.alignment import COVERED, FAILED, MISSING
from aggregation.reduce.selection import Selection
from aggregation.types import Coverage, Scope
from lake.arrays import Bools, Ints
from lake.errors import counted
from lake.progress import allowance
from valuation.types import ValuationFailure, failures_in_words

COVERAGE = ("positions", "covered", "failed", "missing", "substituted", "status")  # columns of every group
# of one, and of several
FAILED_POSITIONS = ("position is not in the numbers: it failed", "positions are not in the numbers: they failed")


def show_groups(selection: Selection, query: Scope, figures: Iterable[str], most: int | None = None) -> None:
    """Tells whoever asks how many rows with these figures will come; `most` where not all groups are shown."""
    n = selection.groups.n if query.by else 1
    allowance().show(n if most is None else min(n, most), (*query.by, *COVERAGE, *figures))


def substituted_positions(selection: Selection) -> Ints | None:
    """Covered positions by group, the total last, whose value or currency rests on a factor held or proxied; (n + 1,).

    None where that is not known: the scenario set holds or proxies factors, and the valuation set does not say which of its
    contracts read them.
    """
    inputs = selection.inputs
    groups, book, vectors = selection.groups, inputs.book, inputs.vectors
    replaced = {*inputs.scenarios.held, *inputs.scenarios.proxied}
    if not replaced:
        return np.zeros(groups.n + 1, np.int64)
    if vectors.substituted is None:
        return None
    legs = selection.rates.legs
    converted = np.array([any(f in replaced for f, _ in legs.get(c, ())) for c in vectors.currencies], np.bool_)
    flagged: Bools = vectors.substituted | converted[vectors.currency]
    row = inputs.alignment.row
    contracts = np.zeros(len(row), np.bool_)
    contracts[row >= 0] = flagged[row[row >= 0]]
    positions = np.repeat(contracts, np.diff(book.starts)) & (groups.group >= 0)
    counts = np.bincount(groups.group[positions], minlength=groups.n)
    return np.append(counts, counts.sum())


def failed_contracts(selection: Selection) -> list[tuple[ValuationFailure, int]]:
    """Why contracts of the selection have failed, each with how many of its positions are in it."""
    if not selection.counts[-1, FAILED]:
        return []
    inputs, book = selection.inputs, selection.inputs.book
    starts = np.concatenate([[0], np.cumsum(selection.groups.group >= 0)])[book.starts]
    held = np.where(inputs.alignment.state == FAILED, np.diff(starts), 0)
    failed = np.flatnonzero(held)
    ids, failures = book.contract_ids.take(pa.array(failed)), inputs.vectors.failures
    place = pc.index_in(ids, failures.column("contract_id"))
    kinds = book.columns["instrument_type"]
    kind = kinds.members.take(pa.array(kinds.codes[book.starts[failed]])).to_pylist()
    told = (failures.column(name).take(place).to_pylist() for name in ("reason", "message"))
    return [
        (ValuationFailure(*one), n) for *one, n in zip(ids.to_pylist(), kind, *told, held[failed].tolist(), strict=True)
    ]


def failed_in_words(selection: Selection) -> str:
    """Why positions of the selection have failed, by reason, with what to do; empty where none has."""
    return failures_in_words((f.reason, f.message, n) for f, n in failed_contracts(selection))


def lacking_notes(coverage: Coverage, selection: Selection, what: str) -> list[str]:
    """How many positions have `what`, such as "no value on the ladder", and why; none where all are covered."""
    out = coverage.failed + coverage.missing
    if not out:
        return []
    has = "has" if out == 1 else "have"
    return [f"{out:,} of {counted(coverage.positions, 'position')} {has} {what}. {failed_in_words(selection)}".rstrip()]


def coverage_columns(selection: Selection) -> dict[str, pa.Array]:
    """Columns positions, covered, failed, missing, substituted and status of each group, the total last, (n + 1,)."""
    return columns_of(selection.counts, substituted_positions(selection))


def columns_of(counts: Ints, substituted: Ints | None) -> dict[str, pa.Array]:
    """As `coverage_columns`, from positions covered, failed and missing, (n + 1, 3), and those that rest on substitutes, (n + 1,)."""
    n = len(counts)
    replaced = np.zeros(n, np.int64) if substituted is None else substituted
    uncovered = counts[:, FAILED] + counts[:, MISSING]
    # codes, since an array of a million texts is slow to make
    whole = np.where(replaced > 0, 2, 3)
    status = np.where(counts[:, COVERED] == 0, 0, np.where(uncovered > 0, 1, whole))
    return {
        "positions": pa.array(counts[:, COVERED] + uncovered),
        "covered": pa.array(counts[:, COVERED]),
        "failed": pa.array(counts[:, FAILED]),
        "missing": pa.array(counts[:, MISSING]),
        "substituted": pa.array(replaced, mask=np.full(n, substituted is None)),
        "status": pa.array(["invalid", "partial", "with substitutes", "complete"]).take(pa.array(status)),
    }


def total_coverage(columns: Mapping[str, pa.Array]) -> Coverage:
    """The coverage of all groups together, from their `coverage_columns`."""
    return Coverage(**{name: columns[name][-1].as_py() for name in Coverage.__dataclass_fields__})
