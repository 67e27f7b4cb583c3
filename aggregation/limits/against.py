"""Trades not yet done against limits: all together, each by itself, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.book.changes import Changes
from aggregation.limits.held import NO_FIRM, Limit, node_text
from aggregation.limits.trial import NodeTrial, Trial, known
from aggregation.limits.use import NOT_COMPUTED
from aggregation.measures import AskedMeasure
from aggregation.types import Scope
from lake.arrays import Bools, Floats
from lake.errors import NotValued, VarlakeError, counted
from lake.words import first_of

_TEXT, _NUMBER = pa.string(), pa.float64()
_WORST = ("ok", "warning", "breach")
LIMITS = pa.schema(
    [
        *((n, _TEXT) for n in ("limit", "node", "measure", "level")),
        ("horizon_days", pa.int32()),
        ("currency", _TEXT),
        *((n, _NUMBER) for n in ("amount", "warning", "used_before", "used_after", "incremental")),
        *((n, _NUMBER) for n in ("utilisation_before", "utilisation_after", "headroom_after")),
        *((n, _TEXT) for n in ("status_before", "status_after")),
        ("over", _NUMBER),
        ("trades", pa.int64()),
        ("reason", _TEXT),
    ]
)


@dataclass(frozen=True)
class Against:
    """A limit and what the trades together do to it, as a row; which trades touch it, and what each by itself would leave used,
    (n_trades,), NaN for those that do not."""

    limit: Limit
    row: Mapping[str, Any]
    trades: Bools
    alone: Floats


def against(limit: Limit, side: Trial, scope: Scope, estimator: str) -> Against | None:
    """None where no trade touches the limit. Raises `NotValued` where nothing answers for its node."""
    names = ("limit", "measure", "level", "horizon_days", "currency", "amount", "warning")
    row: dict[str, Any] = {**{n: getattr(limit, n) for n in names}, "node": node_text(limit.node), "reason": None}
    try:
        if not side.touches(limit.node, limit.currency):
            return None
        of = side.node(limit.node, limit.currency)
        asked = limit.measure_on(of.inputs, scope, estimator)
    except VarlakeError as error:
        if isinstance(error, NotValued) and not side.of_firm:
            raise
        why = NO_FIRM if side.of_firm else error.message
        unknown = {"status_before": NOT_COMPUTED, "status_after": NOT_COMPUTED, "trades": 0, "reason": why}
        return Against(limit, {**row, **unknown}, np.zeros(0, np.bool_), np.zeros(0))
    row["trades"] = int(of.mine.sum())
    before, after = of.both(asked)
    alone = np.full(len(of.mine), np.nan)
    if before is not None:
        alone[of.mine] = of.figure(asked, of.before + of.trades[of.mine])
    row |= {"reason": of.reason, "used_before": before, "used_after": after}
    for when, used in (("before", before), ("after", after)):
        row[f"status_{when}"] = NOT_COMPUTED if used is None else limit.status(used)
        row[f"utilisation_{when}"] = None if used is None else limit.utilisation(used)
    if after is not None:
        row["headroom_after"] = limit.amount - after
        row["over"] = after - limit.amount if after > limit.amount else None
        row["incremental"] = None if before is None else after - before
    return Against(limit, row, of.mine, alone)


def each_order(
    asked: Sequence[AskedMeasure], changes: Changes, everything: NodeTrial, told: Sequence[Against]
) -> Iterator[dict[str, Any]]:
    """Each trade by itself: on all that is seen, and against each limit that it touches."""
    n = len(everything.mine)
    alone = {a.name: everything.figure(a, everything.trades) for a in asked}
    on_top = {a.name: everything.figure(a, everything.before + everything.trades) for a in asked}
    was = {a.name: everything.both(a)[0] for a in asked}
    names = ("trade", "instrument_type", "quantity", "desk")
    for i, row in enumerate(changes.added.select(names).to_pylist()):
        valued = bool(everything.valued[i])
        for a in asked:
            before = was[a.name]
            row[f"{a.name}_standalone"] = known(float(alone[a.name][i])) if valued else None
            row[f"{a.name}_incremental"] = float(on_top[a.name][i]) - before if valued and before is not None else None
        yield {**row, **_worst_of(i, n, valued, told)}


def _worst_of(i: int, n: int, valued: bool, told: Sequence[Against]) -> dict[str, Any]:
    """The worst status of the limits that a trade touches, and the limit of it of which most is used."""
    touched = [t for t in told if len(t.trades) == n and t.trades[i]]
    if not valued:
        return {"status": NOT_COMPUTED}
    if not touched:
        return {"status": "within"}
    if any(np.isnan(t.alone[i]) for t in touched):
        return {"status": NOT_COMPUTED}

    def rank(t: Against) -> tuple[int, float]:
        used = float(t.alone[i])
        share = t.limit.utilisation(used)
        return _WORST.index(t.limit.status(used)), used if share is None else share

    worst = max(touched, key=rank)
    used = float(worst.alone[i])
    found = {"limit": worst.limit.limit, "utilisation": worst.limit.utilisation(used)}
    status = worst.limit.status(used)
    over = used - worst.limit.amount if status == "breach" else None
    return {**found, "status": "within" if status == "ok" else status, "over": over, "currency": worst.limit.currency}


def schema_of_orders(asked: Sequence[AskedMeasure]) -> pa.Schema:
    figures = [(f"{a.name}_{w}", _NUMBER) for a in asked for w in ("incremental", "standalone")]
    about = [("trade", _TEXT), ("instrument_type", _TEXT), ("quantity", _NUMBER), ("desk", _TEXT)]
    ends = [("status", _TEXT), ("limit", _TEXT), ("utilisation", _NUMBER), ("over", _NUMBER), ("currency", _TEXT)]
    return pa.schema([*about, *figures, *ends])


def verdict_of(told: Sequence[Against], failures: Sequence[Any], n: int) -> tuple[str, str]:
    """The status of all trades together, and the sentence."""
    rows = [t.row for t in told]
    has = "has" if len(failures) == 1 else "have"
    lacking = [f"{len(failures)} of {counted(n, 'trade')} {has} no value"] if failures else []
    lacking += [f"limit {r['limit']} is not computed" for r in rows if r["status_after"] == NOT_COMPUTED]
    over = [_over_in_words(r) for r in rows if r["status_after"] == "breach"]
    near = [f"{r['limit']} at {r['utilisation_after']:.1%}" for r in rows if r["status_after"] == "warning"]
    said = first_of(lacking, between="; ")
    if over:
        return "breach", f"Breach of {'; of '.join(over)}{f'; {said}' if said else ''}."
    if lacking:
        return "not known", f"Not known: {said}."
    if near:
        return "warning", f"Warning: {first_of(near)}."
    return "within", f"Within {counted(len(rows), 'limit')}." if rows else "Within: no limit of VaR or ES is touched."


def _over_in_words(row: Mapping[str, Any]) -> str:
    said = f"{row['limit']} by {row['over']:,.0f} {row['currency']}"
    if row["status_before"] == "breach":
        said += f" (before by {row['used_before'] - row['amount']:,.0f})"
    return said
