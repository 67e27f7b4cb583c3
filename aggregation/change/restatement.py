"""What was restated of one day between two states of the lake: trades and market values themselves, and what each did to a number.

Both states are points of one valuation date. The steps from one to the other are those of an attribution path: the book as it is known
at the second point, then its base market, then its scenarios. Each is a cause.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.answer import Answer
from aggregation.change.attribution_path import AttributionPathPlan, changed, plan_attribution_path
from aggregation.change.explain import TOLERANCE
from aggregation.measures import asked_measures
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import answer
from aggregation.types import Figures, RiskQuery
from lake.errors import BadInput, counted
from lake.schemas import POSITIONS
from lake.tables import NEVER_WRITTEN, Lake
from lake.versions import changed_rows

# a cause, the step of the path that it is, and its meaning
CAUSES = {
    "positions": "trades of the book that were added, removed or amended since",
    "market": "levels of the base market that were corrected, under the same moves",
    "scenarios": "other moves: history inside the window that was corrected, and scenarios that came or went with it",
    "vectors": "P&L vectors of other systems that were brought in again since",
    "model": "pricers of today instead of those that either point was valued with",
}
Imports = Sequence[Mapping[str, Any]]
MOST_ROWS = 10_000
_FURTHER = [c.name for c in POSITIONS.columns if c.name not in ("positions_date", "trade", "quantity", "contract_id")]
_NONE = POSITIONS.schema.empty_table()
LEVELS = pa.schema(
    [
        ("as_of_date", pa.date32()),
        ("risk_factor_id", pa.string()),
        *((n, pa.float64()) for n in ("value_from", "value_to", "change")),
    ]
)
TRADES = pa.schema(
    [
        ("positions_date", pa.date32()),
        *((n, pa.string()) for n in ("trade", "change")),
        *((n, pa.float64()) for n in ("quantity_from", "quantity_to")),
        *((n, pa.string()) for n in ("contract_from", "contract_to", "amended")),
    ]
)


@dataclass(frozen=True)
class Restated(Answer):
    """What was restated between two points of one day.

    positions : a row a trade, sorted: positions_date, trade, change (added, removed or amended), quantity_from, quantity_to, contract_from,
    contract_to, and the names of the further columns that differ in `amended`. market_data : a row a date and risk factor: value_from,
    value_to, change; null where a value was missing or was not there. Of either at most 10,000 rows, and positions_count and
    market_data_count of all. causes : a row a measure of all that is held, losses positive: `from`, `to`, `change`, a column
    a cause (positions, market, scenarios, vectors, model) that add up to the change; no row where valuations between the points are
    missing, which `missing` counts. vectors : by source of P&L vectors, the files of which either point alone has some.
    """

    positions: pa.Table
    positions_count: int
    market_data: pa.Table
    market_data_count: int
    causes: pa.Table
    missing: int
    vectors: Mapping[str, tuple[str, ...]]


def is_restated(one: RiskQuery, two: RiskQuery) -> bool:
    """Whether two questions are of one day, book and market date, as known at different times."""
    same = ("as_of", "positions_date", "market_date", "branch")
    return one.as_known != two.as_known and one.branch is None and all(getattr(one, n) == getattr(two, n) for n in same)


def restated(cache: VectorCache, queries: tuple[RiskQuery, RiskQuery], totals: Sequence[Mapping[str, Any]]) -> Restated:
    """What was restated between two such points; totals : the figures of all that is held at either."""
    one, two = (open_inputs(cache, q) for q in queries)
    now = two.snapshot.lake
    trades = restated_trades(one.snapshot.lake, now, [one.book.positions_date])
    was, new = (i.scenarios.market_data_version for i in (one, two))
    levels = restated_levels(now, was, new, two.valuation_set.market_date)
    path = path_between(cache, queries)
    names = [a.name for a in asked_measures(queries[0])]
    names = [n for n in names if all(t.get(n) is not None for t in totals)]
    vectors = restated_vectors([one.valuation_set.imports], [two.valuation_set.imports])
    # under the same pricers nothing else values a contract otherwise in the same market
    revalued = (
        "vectors" if vectors and one.valuation_set.pricer_version == two.valuation_set.pricer_version else "model"
    )
    causes = {} if path.missing else _causes(cache, path, queries[0], totals, names, revalued)
    rows = {
        "measure": pa.array(names if causes else [], pa.string()),
        **{n: pa.array(causes.get(n, []), pa.float64()) for n in ("from", "to", "change", *CAUSES)},
    }
    return Restated(
        trades.slice(0, MOST_ROWS),
        len(trades),
        levels.slice(0, MOST_ROWS),
        len(levels),
        pa.table(rows),
        len(path.missing),
        vectors,
    )


def restated_vectors(one: Imports, two: Imports) -> dict[str, tuple[str, ...]]:
    """By source of P&L vectors of other systems, the names of the files that one of two answers rests on and the other does not.

    one, two : `imports` of their valuation sets or receipts.
    """
    files = [
        {(source, *f) for imports in side for source, told in imports.items() for f in told.get("files", {}).items()}
        for side in (one, two)
    ]
    differing = sorted(files[0] ^ files[1])
    return {source: tuple(f for s, _, f in differing if s == source) for source, _, _ in differing}


def vectors_notes(vectors: Mapping[str, Sequence[str]]) -> list[str]:
    """What `restated_vectors` found, in sentences."""
    return [f"Restated P&L vectors of {source}: {', '.join(files)}." for source, files in vectors.items()]


def path_between(cache: VectorCache, queries: tuple[RiskQuery, RiskQuery]) -> AttributionPathPlan:
    """The corners between two points and what of them is not valued; the same for every measure."""
    plain = {"measures": ("var",), "levels": ("0.99",), "thresholds": (), "interval": None, "scale_to_days": None}
    one, two = (q.model_copy(update=plain) for q in queries)
    return plan_attribution_path(cache.lake, one, two, "sequential", cache)


def _causes(
    cache: VectorCache,
    path: AttributionPathPlan,
    query: RiskQuery,
    totals: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    revalued: str,
) -> dict[str, list[float]]:
    """By column: every measure at the corners, and the steps between them; `revalued` is the cause that lies between corners and points."""
    asked = {n: getattr(query, n) for n in Figures.model_fields} | {"by": (), "interval": None}
    corners = [_total(cache, c.question.model_copy(update=asked), names) for c in path.corners]
    ends = [np.array([t[n] for n in names]) for t in totals]
    steps = {c: np.zeros(len(names)) for c in CAUSES}
    for (a, b), (was, now) in zip(itertools.pairwise(path.corners), itertools.pairwise(corners), strict=True):
        (step,) = changed(b.bits ^ a.bits)
        steps[step] = now - was
    if corners:
        steps[revalued] = (corners[0] - ends[0]) + (ends[1] - corners[-1])
    change = ends[1] - ends[0]
    cells = np.array(
        [
            adding_up([float(steps[c][k]) for c in CAUSES], float(change[k]), max(abs(e[k]) for e in ends))
            for k in range(len(names))
        ]
    )
    columns = {
        "from": ends[0],
        "to": ends[1],
        "change": change,
        **dict(zip(CAUSES, cells.reshape(-1, len(CAUSES)).T, strict=True)),
    }
    return {n: v.tolist() for n, v in columns.items()}


def adding_up(causes: list[float], change: float, size: float) -> list[float]:
    """The causes with what rounding left in one of them, the least that can hold it, so that their exact sum rounds to the change.

    size : of the measure at either point.
    """
    left = change - math.fsum(causes)
    if not abs(left) <= TOLERANCE * max(size, *map(abs, causes)):
        raise AssertionError(f"Restated by {change!r}, and the causes {causes} add up to {math.fsum(causes)!r}")
    for k in sorted(range(len(causes)), key=lambda k: abs(causes[k])):
        closed = [c + left if i == k else c for i, c in enumerate(causes)]
        if causes[k] and math.fsum(closed) == change:
            return closed
    return causes


def _total(cache: VectorCache, query: RiskQuery, names: Sequence[str]) -> Any:
    """The figures of all that is held at a corner; zero where the filters keep nothing, as at either point."""
    try:
        total = answer(open_inputs(cache, query), query).total
    except BadInput:
        return np.zeros(len(names))
    return np.array([total[n] or 0.0 for n in names])


def restated_trades(before: Lake, after: Lake, dates: Sequence[dt.date]) -> pa.Table:
    """The trades of the books of these dates that two states of a lake do not share, as in `Restated`."""
    rows = []
    changes = changed_rows(before, after, "positions", {"positions_date": dates}) if dates else ()
    was, now = ({(r["positions_date"], r["trade"]): r for r in side.to_pylist()} for side in changes or (_NONE, _NONE))
    for key in sorted(was.keys() | now.keys()):
        a, b = was.get(key), now.get(key)
        rows.append(
            {
                "positions_date": key[0],
                "trade": key[1],
                "change": "added" if a is None else "removed" if b is None else "amended",
                "quantity_from": a and a["quantity"],
                "quantity_to": b and b["quantity"],
                "contract_from": a and a["contract_id"],
                "contract_to": b and b["contract_id"],
                "amended": ", ".join(c for c in _FURTHER if a[c] != b[c]) if a and b else "",
            }
        )
    return pa.Table.from_pylist(rows, TRADES)


def restated_levels(lake: Lake, was: int | None, now: int | None, last: dt.date) -> pa.Table:
    """The market values up to a date that differ between two versions of the market data, as in `Restated`; None for no market data."""
    before, after = (lake.at({"market_data": NEVER_WRITTEN if v is None else v}) for v in (was, now))
    key = ["as_of_date", "risk_factor_id"]
    sides = []
    for name, rows in zip(("value_from", "value_to"), changed_rows(before, after, "market_data"), strict=True):
        kept = rows.filter(pc.less_equal(rows["as_of_date"], pa.scalar(last, pa.date32())))
        sides.append(kept.select([*key, "value_used"]).rename_columns([*key, name]))
    joined = sides[0].join(sides[1], key, join_type="full outer").sort_by([(k, "ascending") for k in key])
    joined = joined.append_column("change", pc.subtract(joined["value_to"], joined["value_from"]))
    # rows whose value stayed differ in what stands beside it
    same = pc.fill_null(pc.equal(joined["value_from"], joined["value_to"]), False)
    return joined.filter(pc.invert(same))


def restated_notes(found: Restated) -> tuple[str, ...]:
    """What was restated, in sentences."""
    changes = found.positions["change"].to_pylist()
    kinds = [f"{changes.count(k):,} {k}" for k in ("added", "removed", "amended") if k in changes]
    dates = pc.unique(found.market_data["as_of_date"]).to_pylist()
    notes = [
        f"Restated positions: {counted(found.positions_count, 'trade')}{' (' if kinds else ''}{', '.join(kinds)}{')' if kinds else ''}.",
        f"Restated market data: {counted(found.market_data_count, 'value')}"
        + (f", of {min(dates)} to {max(dates)}." if dates else "."),
    ]
    notes += vectors_notes(found.vectors)
    if found.missing:
        lacking = counted(found.missing, "valuation between the points is", "valuations between the points are")
        notes.append(f"What each restatement did is not told: {lacking} missing. Ask with value to have them made.")
    return tuple(notes)
