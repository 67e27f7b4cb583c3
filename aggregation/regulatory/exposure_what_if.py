"""Exposure before and after trades are added, removed and scaled. Contracts that are new are valued on the paths of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from aggregation.answer import Answer
from aggregation.book.book import Book
from aggregation.book.changes import Changes, changed_book, describe
from aggregation.book.hierarchies import with_levels
from aggregation.exposure.joined_paths import with_contracts
from aggregation.exposure.pricing import plan_exposure, price_of_exposure, value_exposure
from aggregation.exposure.scope import open_book, open_exposure, own_book, snapshot_of
from aggregation.question import Question
from aggregation.regulatory.imm import ExposureQuery, exposure, floors_of, imm_of
from aggregation.session import Session
from aggregation.types import as_model
from aggregation.whatif.request import ChangeRequest
from aggregation.whatif.trades import trades_of_rows
from lake.tables import NEVER_WRITTEN
from valuation.types import Contract

_BEFORE, _AFTER, _DIFFERENCE = "before", "after", "difference"


class ExposureWhatIfQuery(ChangeRequest, ExposureQuery):
    """Whose exposure, and what to remove, scale and add before it is asked again."""


@dataclass(frozen=True)
class ExposureWhatIf(Answer):
    """rows, summary : those of exposure with each figure three times: before, after, and the difference, after less before; a group that is
    there on one side alone has no figures of the other. changes : what was done, in order. alpha, regime : as in exposure."""

    query: ExposureWhatIfQuery
    rows: pa.Table
    summary: pa.Table
    changes: tuple[dict[str, Any], ...]
    alpha: float
    regime: str
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


def _answer(session: Session, query: ExposureWhatIfQuery) -> ExposureWhatIf:
    asked = as_model(ExposureQuery, query)
    section = imm_of(session, asked)[1]
    held = open_book(session, asked, section.floors)
    before_ = open_exposure(session, asked, section.floors, held=held)
    snapshot = snapshot_of(session, asked)
    book = own_book(session.cache, snapshot, asked)
    changes = _changes(query, book)
    after_book = changed_book(book, changes, f"what-if-{changes.digest()}")
    version = snapshot.versions.get("hierarchies", NEVER_WRITTEN)
    if version != NEVER_WRITTEN:
        after_book = with_levels(after_book, session.lake.read("hierarchies", version=version))
    contracts = Contract.of(changes.contracts) if changes.contracts.num_rows else []
    paths = with_contracts(session.lake, before_.along.paths, contracts)
    after_held = open_book(session, asked, section.floors, book=after_book)
    after_ = open_exposure(
        session, asked, section.floors, held=after_held, paths=paths, reported=before_.along.reported
    )
    before, after = (exposure(session, asked, opened)[1] for opened in (before_, after_))
    notes = dict.fromkeys(before.notes)
    notes |= {f"After the changes: {n}": None for n in after.notes if n not in notes}
    new = len(paths.contract_ids) - len(before_.along.paths.contract_ids)
    receipt = {**before.receipt, "changes_digest": changes.digest(), "contracts_valued_here": new}
    return ExposureWhatIf(
        query,
        beside(before.rows, after.rows, _keys(asked, before.rows)),
        beside(before.summary, after.summary, _keys(asked, before.summary)),
        tuple(describe(changes)),
        before.alpha,
        before.regime,
        receipt,
        tuple(notes),
    )


def _changes(query: ExposureWhatIfQuery, book: Book) -> Changes:
    if not query.add:
        return Changes(query.remove, query.scale, replace=query.replace)
    rows, contracts = trades_of_rows(list(query.add), book.positions_date)
    return Changes(query.remove, query.scale, rows, contracts, query.replace)


def _keys(query: ExposureQuery, rows: pa.Table) -> list[str]:
    return [n for n in (*query.by, "part", "date", "years") if n in rows.column_names]


def beside(before: pa.Table, after: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Both tables by their keys, in the order of `before`, what is new last; every other column as before, after and, of numbers, the
    difference. What is on one side alone has nulls."""
    names = [n for n in before.column_names if n in after.column_names and n not in keys]
    sides = [{tuple(r[k] for k in keys): r for r in t.to_pylist()} for t in (before, after)]
    order = list(dict.fromkeys([*sides[0], *sides[1]]))
    columns: dict[str, pa.Array] = {}
    for i, key in enumerate(keys):
        columns[key] = pa.array([o[i] for o in order], before.schema.field(key).type)
    for name in names:
        kind = before.schema.field(name).type
        one, two = ([side.get(o, {}).get(name) for o in order] for side in sides)
        columns[f"{name}_{_BEFORE}"], columns[f"{name}_{_AFTER}"] = pa.array(one, kind), pa.array(two, kind)
        if pa.types.is_floating(kind):
            both = [None if a is None or b is None else b - a for a, b in zip(one, two, strict=True)]
            columns[f"{name}_{_DIFFERENCE}"] = pa.array(both, kind)
    return pa.table(columns)


EXPOSURE_WHAT_IF = Question(
    ExposureWhatIfQuery,
    _answer,
    {
        "as_of": "2020-03-16",
        "by": ["counterparty"],
        "grid": ["1M", "6M", "1Y"],
        "paths": 200,
        "scale": ["desk=Treasury*0.5"],
    },
    plan_exposure(floors_of),
    value_exposure(floors_of),
    price=price_of_exposure(floors_of, passes=3),
)
