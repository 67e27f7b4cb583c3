"""Results as released: figures of kept answers, in a table that a dashboard reads.

Only what replays bit for bit is released. A release is never edited: another number of the same figure is the next release, a
restatement, which needs a reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from aggregation.book.entitled_lake import shows_figure
from aggregation.book.entitlement import Entitlement
from aggregation.change.released import Row, figure_key, filters_of, newest
from aggregation.kept_receipts import seen_by_receipt
from aggregation.measures import asked_measures, level_text
from aggregation.replay import as_published, question_of, receipt_in, replay
from aggregation.types import RiskQuery, RiskResult
from lake.committer import Committer
from lake.errors import BadInput, Conflict, counted
from lake.schemas import RELEASED_RESULTS
from lake.tables import code_version

KINDS = ("var", "series")  # whose figures are released: both are the same question, of a day and of many
MOST_LISTED = 20


class ReleaseRequest(BaseModel):
    """A kept answer that is released, by whom, and why where it is a restatement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: dict[str, Any] = Field(description="an answer of var or series as JSON has it, or its receipt")
    released_by: str = Field(min_length=1, max_length=200, pattern=r"\S", description="who releases it")
    reason: str = Field("", max_length=2000, description="why; needed where a figure was released as another number")


def release(committer: Committer, request: ReleaseRequest, approved_by: str | None = None) -> dict[str, Any]:
    """Stores the figures of an answer; returns how many are new, restated and unchanged, and those restated.

    Raises `BadInput` for an answer of another question and for a restatement without a reason, `Conflict` for an answer that does
    not replay bit for bit; nothing is stored then.
    """
    receipt = receipt_in(request.answer)
    lake = seen_by_receipt(committer.lake, receipt)
    name, _ = question_of(receipt)
    if name not in KINDS:
        raise BadInput(f"An answer of {name} was given; the figures of {' and '.join(KINDS)} are released.")
    done = replay(lake, request.answer)
    if done.verdict != "same bits":
        raise Conflict(f"Nothing is released: the answer replays with {done.verdict}. {done.why or ''}".rstrip())
    figures = _figures(as_published(lake, receipt))
    if lake.reader:
        _check_granted(Entitlement.of(lake.reader), figures)
    days = sorted({f["date"] for f in figures})
    before = newest(lake.whole(), days)
    new, restated, unchanged = [], [], 0
    for figure in figures:
        was = before.get(figure_key(figure))
        if was is None:
            new.append({**figure, "release": 1, "restates": None})
        elif was["value"] == figure["value"]:
            unchanged += 1
        else:
            more = {"release": was["release"] + 1, "restates": was["receipt_digest"], "was": was["value"]}
            restated.append({**figure, **more})
    if restated and not request.reason.strip():
        first, many = restated[0], counted(len(restated), "figure was", "figures were")
        raise BadInput(
            f"{many} released as another number, first {first['figure']} of {first['node'] or 'the total'} on {first['date']}: "
            f"{first['was']!r}, and {first['value']!r} now. Give the reason of the restatement."
        )
    about = {
        "receipt_digest": receipt["receipt_digest"],
        "released_by": request.released_by.strip(),
        "approved_by": approved_by,
        "released_at": dt.datetime.now(dt.UTC),
        "reason": request.reason.strip() or None,
        "code_version": code_version(),
    }
    rows = [{**{k: v for k, v in r.items() if k != "was"}, **about} for r in (*new, *restated)]
    if rows:
        table = pa.Table.from_pylist(rows, RELEASED_RESULTS.schema)
        committer.put("released_results", table, note={"receipt": receipt["receipt_digest"]})
    shown = ("date", "node", "figure", "release", "was", "value")
    return {
        "new": len(new),
        "restated": len(restated),
        "unchanged": unchanged,
        "dates": [str(d) for d in days],
        "restatements": [{k: r[k] for k in shown} for r in restated[:MOST_LISTED]],
    }


def _figures(answer: Any) -> list[Row]:
    """A row a figure of an answer of `KINDS`: of every group and of the total, on every day that has an answer."""
    query: RiskQuery = answer.query
    _check(query)
    groups = answer.rows.to_pylist() if query.by else []
    if isinstance(answer, RiskResult):
        days = {query.as_of: answer.receipt}
        rows = [(query.as_of, node_of(query.by, r), r) for r in groups] + [(query.as_of, "", answer.total)]
    else:
        days = {dt.date.fromisoformat(d): r for d, r in answer.receipt["days"].items()}
        rows = [(r["date"], node_of(query.by, r), r) for r in groups]
        rows += [(r["date"], "", r) for r in answer.totals.to_pylist()]
    # what has no answer on a day is a gap, and no figure
    told = ((d, node, row) for d, node, row in rows if d in days and row["status"] != "gap")
    return [f for d, node, row in told for f in _of_row(query, d, node, days[d], row)]


def _check_granted(entitlement: Entitlement, figures: Sequence[Row]) -> None:
    """Raises `BadInput` for figures of a part of the book that are not called by what of it is granted: they would be read as the whole."""
    for f in figures:
        if not shows_figure(entitlement, f["node"], f["filters"]):
            granted = ", ".join(f"{n}={v}" for n, values in entitlement.granted.items() for v in values)
            raise BadInput(
                f"The answer is of a part of the book, and {f['node'] or 'its total'} does not say of which. Ask it with one filter that "
                f"does, such as {granted}, and release that."
            )


def _check(query: RiskQuery) -> None:
    """Raises `BadInput` for what is no number of a day: another book or market, and rows that are no node."""
    for name in ("branch", "positions_date", "market_date", "limit", "subtotals"):
        value = getattr(query, name, None)
        if value and value != query.as_of:
            raise BadInput(
                f"The answer has {name} {value}; released are figures of a day's own book and market, a row a node."
            )


def node_of(by: Sequence[str], row: Mapping[str, Any]) -> str:
    """Path of the node of a row grouped by these, such as desk=Rates/book=B1."""
    members = ((d, row[d]) for d in by)
    return "/".join(d if m is None else f"{d}={m.replace('%', '%25').replace('/', '%2F')}" for d, m in members)


def _of_row(
    query: RiskQuery, date: dt.date, node: str, receipt: Mapping[str, Any], row: Mapping[str, Any]
) -> list[Row]:
    return [
        {
            "date": date,
            "question": "var",
            "node": node,
            "filters": filters_of(query),
            "figure": a.name,
            "currency": query.currency,
            "scenario_set": receipt["scenario_set_name"],
            "measure": a.measure.name,
            "level": None if a.level is None else level_text(a.level),
            "value": row[a.name],
            "valuation_set_id": receipt["valuation_set_id"],
            "positions": row["positions"],
            "covered": row["covered"],
            "status": row["status"],
        }
        for a in asked_measures(query)
    ]
