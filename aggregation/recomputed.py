"""An answer as published beside the same question asked of what is known now, with what was restated in between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from aggregation.answer import Answer
from aggregation.change.restatement import LEVELS, restated_levels, restated_trades, restated_vectors, vectors_notes
from aggregation.differences import differences
from aggregation.kept_receipts import seen_by_receipt
from aggregation.questions import ask, read
from aggregation.receipts import VOLATILE, parts_of
from aggregation.replay import NOT_AS_WRITTEN, Receipt, as_published, lake_then, question_of, receipt_in
from aggregation.session import Session
from lake.dates import day
from lake.errors import BadInput, counted
from lake.tables import Lake
from scenarios.store import name_made_for

# what names an answer's inputs is told by what was restated, and is no figure
_NO_FIGURE = (*VOLATILE, "receipt", "receipts", "query", "answer_digest", "timings_ms")


@dataclass(frozen=True)
class Recomputed(Answer):
    """An answer as published, and as it is now.

    rows : a row a figure or text that is not as it was: place (JSON pointer), row (the texts that name its row), column, as_published,
    now, and change, where both are numbers. positions : the trades restated since, of every book the answer rests on, and
    market_data : the values restated since, up to its market dates, both as a comparison has them. tables : of every table that
    has changed its version as published and now. now : the answer as it is now.
    """

    kind: str
    rows: pa.Table
    positions: pa.Table
    market_data: pa.Table
    tables: Mapping[str, tuple[int, int]]
    now: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def recompute(session: Session, kept: Mapping[str, Any]) -> Recomputed:
    """Asks the receipt's question of the lake as it was and of the lake as it is; raises what asking raises.

    A valuation set that the question named is left out, so that the newest under its scenarios answers.
    """
    try:
        return _recomputed(session, receipt_in(kept))
    except NOT_AS_WRITTEN:
        raise BadInput("This is not an answer, or a receipt, as it was given. Give it unchanged.") from None


def _recomputed(session: Session, receipt: Receipt) -> Recomputed:
    session = session.of(seen_by_receipt(session.lake, receipt))
    lake, (name, question) = session.lake, question_of(receipt)
    published = as_published(lake, receipt)
    now = ask(session, name, read(name, question_now(question, receipt)))
    altered = differences(published.to_dict(), now.to_dict(), skip=_NO_FIGURE)
    rows = [
        {
            "place": a.place,
            "row": a.row,
            "column": a.column,
            "as_published": a.shown,
            "now": a.recomputed,
            "change": _change(a.shown, a.recomputed),
        }
        for a in altered
        if not a.place.startswith("/notes")
    ]
    names = ("place", "row", "column", "as_published", "now")
    table = pa.Table.from_pylist(rows, pa.schema([*((n, pa.string()) for n in names), ("change", pa.float64())]))
    then = lake_then(lake, receipt)
    dates = sorted({day(p["positions_date"]) for p in parts_of(receipt) if p.get("positions_date")})
    positions, market = restated_trades(then, lake, dates), _levels(lake, receipt, now.receipt)
    versions = {n: (v, lake.version(n)) for n, v in sorted(receipt["table_versions"].items()) if v != lake.version(n)}
    told = (
        f"{counted(len(table), 'figure or text is', 'figures and texts are')} not as published; restated since: "
        f"{counted(len(positions), 'trade')}, {counted(len(market), 'market value')}."
    )
    vectors = restated_vectors(*([p.get("imports") or {} for p in parts_of(r)] for r in (receipt, now.receipt)))
    notes = (told, *vectors_notes(vectors), *now.notes)
    return Recomputed(name, table, positions, market, versions, now.to_dict(), notes)


def question_now(question: Mapping[str, Any], receipt: Receipt) -> dict[str, Any]:
    """The question of a receipt about what is known now, under the scenarios by the name they had."""
    asked = {k: v for k, v in question.items() if k != "as_known"}
    for side in ("from", "to"):
        if isinstance(asked.get(side), Mapping) and isinstance(receipt.get(side), Mapping):
            asked[side] = question_now(asked[side], receipt[side])
    if asked.get("valuation_set") is not None:
        named = asked.get("scenario_set") or receipt.get("scenario_set_name")
        asked |= {"valuation_set": None, "scenario_set": named and name_made_for(named)}
    return asked


def _change(was: str, now: str) -> float | None:
    one, two = (json.loads(text) if text else None for text in (was, now))
    if isinstance(one, bool) or not isinstance(one, int | float) or not isinstance(two, int | float):
        return None
    return float(two) - float(one)


def _levels(lake: Lake, receipt: Receipt, again: Receipt) -> pa.Table:
    """The market values that differ between what an answer and its recomputation rest on, up to each market date of both."""
    was, now = (
        {
            day(p["market_date"]): p["market_data_version"]
            for p in parts_of(r)
            if p.get("market_date") and "market_data_version" in p
        }
        for r in (receipt, again)
    )
    # of one pair of versions the last date holds what the others do
    pairs = {(was[d], now[d]): d for d in sorted(was.keys() & now.keys())}
    rows = {
        (r["as_of_date"], r["risk_factor_id"]): r
        for versions, last in pairs.items()
        for r in restated_levels(lake, *versions, last).to_pylist()
    }
    return pa.Table.from_pylist([rows[k] for k in sorted(rows)], LEVELS)
