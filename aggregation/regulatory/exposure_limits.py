"""Limits of exposure: how much of each is used, what is left, and the trade without which a breach would not be.

A limit is of a node, such as a counterparty, in a measure: pfe at a level or ee, the greatest of all dates up to a tenor, or ead. The trade
is found by taking trades away, one at a time, those that contribute most first, and computing the exposure of the node anew.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from pydantic import Field

from aggregation.answer import Answer
from aggregation.exposure.netted import net_on_paths
from aggregation.exposure.path_values import refuse_part
from aggregation.exposure.pricing import plan_exposure, price_of_exposure, value_exposure
from aggregation.exposure.profile_tables import asked_of, permits
from aggregation.exposure.profiles import Profile, profile
from aggregation.exposure.restricted import restricted
from aggregation.exposure.scope import OpenedExposure, open_book, open_exposure
from aggregation.kernels.estimators import exact_level
from aggregation.question import Question
from aggregation.receipts import name_book
from aggregation.regimes.regimes import Regime
from aggregation.regulatory.imm import ExposureQuery, floors_of, imm_of
from aggregation.session import Session
from aggregation.types import AtLeastOne
from lake.arrays import Bools
from lake.errors import BadInput, VarlakeError, counted, unknown
from valuation.instruments.schedules import horizon_date

_TABLE = "exposure_limits"
_SCHEMA = pa.schema(
    [
        *((c, pa.string()) for c in ("limit", "dimension", "member", "measure", "level", "until")),
        *((c, pa.float64()) for c in ("amount", "used")),
        ("date", pa.date32()),
        *((c, pa.float64()) for c in ("utilisation", "headroom")),
        ("breach", pa.bool_()),
        ("trade", pa.string()),
        ("used_without_trade", pa.float64()),
        ("status", pa.string()),
        ("reason", pa.string()),
    ]
)


class ExposureLimitsQuery(ExposureQuery):
    """Whose limits, on which day."""

    candidates: AtLeastOne = Field(
        20,
        le=1000,
        description="trades of a node in breach that are tried for the one that breaches, greatest contribution first",
    )


@dataclass(frozen=True)
class ExposureLimits(Answer):
    """rows : a row a limit that holds on the day, in order of its id: amount and used in the reporting currency, `date` on which the
    measure is greatest, utilisation, a fraction, headroom, and whether it is a breach: used is above the amount. Of a breach, `trade` is
    the one without which the limit holds, the one that leaves least where several would do, and `used_without_trade` what is used then;
    where no one trade would do, the one that comes nearest, and `reason` says so. status : complete; partial where contracts have no value;
    no positions; or not computed, with the reason. breaches : how many.
    """

    query: ExposureLimitsQuery
    rows: pa.Table
    breaches: int
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Used:
    """What a limit's measure is, and when."""

    amount: float
    date: dt.date | None


def limits_on(session: Session, day: dt.date) -> list[dict[str, Any]]:
    """The limits that hold on a day, by id."""
    when = pa.scalar(day, pa.date32())
    ends = ds.field("effective_to")
    where = (ds.field("effective_from") <= when) & (ends.is_null() | (ends >= when))
    rows: list[dict[str, Any]] = session.lake.read(_TABLE, where=where).sort_by("limit").to_pylist()
    return rows


def _answer(session: Session, query: ExposureLimitsQuery) -> ExposureLimits:
    if query.by or query.where:
        raise BadInput("Limits name the nodes they are of; leave by and where out.")
    refuse_part(session)  # also where no limit holds
    limits = limits_on(session, query.as_of)
    regime, section, alpha = imm_of(session, query)
    if not limits:
        return _none(session, query, regime)
    opened = open_exposure(session, query, section.floors)
    rows = [_row(query, opened, alpha, limit) for limit in limits]
    breaches = sum(bool(r["breach"]) for r in rows)
    notes = [*opened.notes, *regime.notes(query.as_of)]
    if gone := sum(r["status"] == "not computed" for r in rows):
        notes.append(f"{counted(gone, 'limit is', 'limits are')} not computed; the column reason says why.")
    receipt = {**_at_limits(session, opened.receipt), **regime.named, "alpha": alpha}
    return ExposureLimits(query, pa.Table.from_pylist(rows, schema=_SCHEMA), breaches, receipt, tuple(notes))


def _at_limits(session: Session, receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt with the version of the limits, at which it replays."""
    versions = {**receipt["table_versions"], _TABLE: session.lake.version(_TABLE)}
    return {**receipt, "table_versions": versions}


def _none(session: Session, query: ExposureLimitsQuery, regime: Regime) -> ExposureLimits:
    """The answer of a day without limits, which reads no path."""
    held = open_book(session, query, floors_of(session, query))
    receipt = {**_at_limits(session, name_book(held.book, held.snapshot)), **regime.named}
    said = f"No limit of exposure holds on {query.as_of}. Bring limits in with `varlake ingest exposure-limits FILE`, see docs/exposure.md."
    return ExposureLimits(query, _SCHEMA.empty_table(), 0, receipt, (said, *regime.notes(query.as_of)))


def _row(query: ExposureLimitsQuery, opened: OpenedExposure, alpha: float, limit: dict[str, Any]) -> dict[str, Any]:
    """One limit; what cannot be computed says why."""
    row: dict[str, Any] = {name: limit.get(name) for name in _SCHEMA.names}
    row |= dict.fromkeys(("used", "amount", "date", "trade", "reason", "breach", "used_without_trade"))
    try:
        row["amount"] = limit["amount"] * opened.along.spot(limit["currency"])
        kept = _members(opened, limit)
    except VarlakeError as error:
        return {**row, "status": "not computed", "reason": error.message}
    if not kept.any():
        nothing = {"used": 0.0, "headroom": row["amount"], "utilisation": 0.0, "breach": False}
        return {**row, **nothing, "status": "no positions", "reason": "The node has no position on the day."}
    n, ok = int(kept.sum()), int((kept & opened.covered).sum())
    if not ok:
        return {**row, "status": "not computed", "reason": "None of its contracts has values on the paths."}
    used = _used(query, opened, alpha, limit, kept)
    breach = used.amount > row["amount"]
    row |= {
        "used": used.amount,
        "date": used.date,
        "utilisation": used.amount / row["amount"] if row["amount"] else None,
        "headroom": row["amount"] - used.amount,
        "breach": breach,
        "status": "complete" if ok == n else "partial",
        "reason": None if ok == n else f"{n - ok:,} of {n:,} positions have no value on the paths.",
    }
    return {**row, **_breaching(query, opened, alpha, limit, kept, row)} if breach else row


def _members(opened: OpenedExposure, limit: Mapping[str, Any]) -> Bools:
    """The positions of the limit's node, (n_positions,); raises `BadInput` for a dimension that is none or that netting forbids."""
    book, name = opened.held.book, limit["dimension"]
    column = book.column(name)
    if not permits(book, opened.held.sets, name):
        raise BadInput(
            f"A netting set holds several of {name}: none of them has an exposure of its own. Give the limit to a counterparty, a "
            "legal entity or a netting set."
        )
    members = column.members.to_pylist()
    if limit["member"] not in members:
        if not members:
            raise unknown(name, limit["member"], members)
        return np.zeros(book.n_positions, np.bool_)
    kept: Bools = (column.codes == members.index(limit["member"])) & opened.held.keep
    return kept


def _used(
    query: ExposureLimitsQuery, opened: OpenedExposure, alpha: float, limit: Mapping[str, Any], kept: Bools
) -> _Used:
    """The limit's measure of the positions kept."""
    if not kept.any():
        return _Used(0.0, None)
    levels = [exact_level(limit["level"])] if limit["level"] is not None else [Fraction(1, 2)]
    along = restricted(opened.along, kept)
    figures = profile(along, np.zeros(len(along.sets), np.int32), 1, asked_of(query, levels))
    return _greatest(query, figures, alpha, limit)


def _greatest(query: ExposureLimitsQuery, figures: Profile, alpha: float, limit: Mapping[str, Any]) -> _Used:
    if limit["measure"] == "ead":
        return _Used(float(alpha * figures.eepe[0]), None)
    values = figures.pfe[0, 0] if limit["measure"] == "pfe" else figures.ee[0]
    last = dt.date.max if limit["until"] is None else horizon_date(query.as_of, limit["until"], "weekdays")
    counted_ = np.array([d <= last for d in figures.dates])  # today always
    at = int(np.where(counted_, values, -np.inf).argmax())  # the first of equals
    return _Used(float(values[at]), figures.dates[at])


def _breaching(
    query: ExposureLimitsQuery,
    opened: OpenedExposure,
    alpha: float,
    limit: Mapping[str, Any],
    kept: Bools,
    row: Mapping[str, Any],
) -> dict[str, Any]:
    """The trade without which the limit would hold, or that comes nearest."""
    tried = _candidates(query, opened, kept, row["date"])
    without = [(_used(query, opened, alpha, limit, kept & ~_positions(opened, t)).amount, t) for t in tried]
    least, trade = min(without)
    found: dict[str, Any] = {"trade": trade, "used_without_trade": least}
    if least > row["amount"]:
        n = int(kept.sum())
        of = f"of the {n:,} trades" if len(tried) == n else f"of the {len(tried):,} of {n:,} trades that were tried"
        said = f"No one {of} brings it under the limit; {trade} comes nearest."
        found["reason"] = said if row["reason"] is None else f"{row['reason']} {said}"
    return found


def _positions(opened: OpenedExposure, trade: str) -> Bools:
    column = opened.held.book.columns["trade"]
    found: Bools = column.codes == column.members.to_pylist().index(trade)
    return found


def _candidates(query: ExposureLimitsQuery, opened: OpenedExposure, kept: Bools, when: dt.date | None) -> list[str]:
    """The trades of the node with the greatest mean value at the date, or of those on which it is greatest, where it has exposure."""
    along = restricted(opened.along, kept & opened.covered)
    netting = net_on_paths(along.paths, along.book, along.sets)
    k = along.paths.dates.index(when) if when in along.paths.dates else None
    if k is None:
        unit = along.paths.base
        rates = {c: along.spot(c) for c in netting.currencies}
        worth = unit * np.array([rates.get(c, 0.0) for c in along.paths.currencies])
    else:
        value = netting.values(k, along.currency).sum(axis=0)
        counts = value > 0.0
        worth = np.zeros(len(along.paths.currencies))
        fx = {c: along.paths.fx(k, c, along.currency) for c in netting.currencies}
        for r in netting.order.tolist():
            values = along.paths.values(k, np.array([r]))[0] * fx[along.paths.currencies[r]]
            worth[r] = values[counts].sum() / values.size
    book, trades = along.book, along.book.columns["trade"]
    position = along.sets.position
    contract = np.searchsorted(book.starts, position, side="right") - 1
    size = book.quantity[position] * worth[netting.row[contract]]
    order = np.argsort(-size, kind="stable")[: query.candidates]
    names: list[str] = trades.members.take(pa.array(trades.codes[position[order]])).to_pylist()
    return names


EXPOSURE_LIMITS = Question(
    ExposureLimitsQuery,
    _answer,
    {"as_of": "2020-03-16", "grid": ["1M", "6M", "1Y"], "paths": 200},
    plan_exposure(floors_of),
    value_exposure(floors_of),
    price=price_of_exposure(floors_of, passes=20),
)
