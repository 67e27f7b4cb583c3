"""Lakes of two points written by hand, and the change between them computed by plain loops over what was written."""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import reduce_lake
from reduce_lake import Valued, position, put_positions, put_valued
from support import in_tail

from aggregation.types import RiskQuery
from lake.tables import Lake

MONDAY, TUESDAY = dt.date(2020, 3, 16), dt.date(2020, 3, 17)
Vectors = Mapping[str, tuple[str, float, Sequence[float]]]
Position = tuple[str, str, float, str]  # trade, contract, quantity, desk


@dataclass(frozen=True)
class Point:
    """One point as a test writes it: scenario id to column of every contract's P&L."""

    positions: Sequence[Position]
    vectors: Vectors
    labels: Sequence[str]
    day: dt.date = MONDAY
    fx: Mapping[str, tuple[float, Sequence[float]]] | None = None
    failed: Mapping[str, str] | None = None
    weights: Sequence[float] | None = None

    def but(self, **more: Any) -> Point:
        return replace(self, **more)


def put_point(lake: Lake, point: Point, monkeypatch: Any) -> None:
    valued = Valued(
        {c: (cur, base, np.array(pnl, dtype=np.float64)) for c, (cur, base, pnl) in point.vectors.items()},
        day=point.day,
        fx={pair: (b, np.array(levels, dtype=np.float64)) for pair, (b, levels) in (point.fx or {}).items()},
        failed=point.failed or {},
        weights=None if point.weights is None else np.array(point.weights),
    )
    labelled = functools.partial(_labelled, tuple(point.labels), reduce_lake._scenario_set)
    with monkeypatch.context() as patch:
        patch.setattr(reduce_lake, "_scenario_set", labelled)
        put_valued(lake, valued)
    put_positions(lake, [position(t, c, q, desk=d, positions_date=point.day) for t, c, q, d in point.positions])


def _labelled(labels: tuple[str, ...], make: Any, valued: Valued) -> Any:
    return replace(make(valued), labels=labels)


def two_points(folder: Path, one: Point, two: Point, monkeypatch: Any) -> tuple[Lake, RiskQuery, RiskQuery]:
    """A lake of both points and their questions: VaR at 0.75 by desk."""
    lake = Lake.create(folder / "lake")
    for point in (one, two):
        put_point(lake, point, monkeypatch)
    asked = [RiskQuery(as_of=p.day, by=("desk",), measures=("var",), levels=("0.75",)) for p in (one, two)]
    return lake, asked[0], asked[1]


def unit(point: Point, contract: str, s: int) -> float:
    """P&L of one unit in USD in a scenario, from what was written."""
    currency, base, pnl = point.vectors[contract]
    if currency == "USD":
        return float(pnl[s])
    spot, levels = (point.fx or {})[f"{currency}USD"]
    return (base + float(pnl[s])) * float(levels[s]) - base * spot


def total(point: Point) -> list[float]:
    return [
        sum(q * unit(point, c, s) for _, c, q, _ in point.positions if c in point.vectors)
        for s in range(len(point.labels))
    ]


def var(pnl: Sequence[float], level: float) -> tuple[float, list[float]]:
    """VaR by sorting and the weight of each scenario in it."""
    if not pnl:
        return 0.0, []
    k = math.ceil(in_tail(len(pnl), level))
    order = sorted(range(len(pnl)), key=lambda s: (pnl[s], s))
    return -pnl[order[k - 1]], [1.0 if s == order[k - 1] else 0.0 for s in range(len(pnl))]


def es(pnl: Sequence[float], level: float) -> tuple[float, list[float]]:
    k = in_tail(len(pnl), level)
    order = sorted(range(len(pnl)), key=lambda s: (pnl[s], s))
    weights = [0.0] * len(pnl)
    for rank, s in enumerate(order):
        weights[s] = float(min(max(k - rank, 0), 1) / k)
    return -sum(w * p for w, p in zip(weights, pnl, strict=True)), weights


def cells_by_loops(one: Point, two: Point, measure: Any = var, level: float = 0.75) -> dict[tuple[str, str], float]:
    """(desk, cause) to its part of the change: the definitions of docs/explain.md, position by position."""
    (_, w0), (_, w1) = (measure(total(p), level) for p in (one, two))
    common = [(i, list(two.labels).index(x)) for i, x in enumerate(one.labels) if x in two.labels]
    t0, t1 = total(one), total(two)
    _, c0 = measure([t0[i] for i, _ in common], level)
    _, c1 = measure([t1[j] for _, j in common], level)
    v0, v1 = dict(zip((i for i, _ in common), c0, strict=True)), dict(zip((j for _, j in common), c1, strict=True))
    cells: dict[tuple[str, str], float] = {}

    def add(desk: str, cause: str, value: float) -> None:
        cells[desk, cause] = cells.get((desk, cause), 0.0) + value

    # the window, on either side, at that side's P&L
    for _, c, q, desk in one.positions:
        if c in one.vectors:
            add(desk, "left", -sum((v0.get(s, 0.0) - w0[s]) * q * unit(one, c, s) for s in range(len(w0))))
    for _, c, q, desk in two.positions:
        if c in two.vectors:
            add(desk, "entered", -sum((w1[s] - v1.get(s, 0.0)) * q * unit(two, c, s) for s in range(len(w1))))
    # the common scenarios
    for k, (i, j) in enumerate(common):
        mean, change = (c0[k] + c1[k]) / 2, c1[k] - c0[k]
        for point, s in ((one, i), (two, j)):
            for _, c, q, desk in point.positions:
                if c in point.vectors:
                    add(desk, "tail", -change * q * unit(point, c, s) / 2)
        for c, desk, change_of_quantity, quantity, cause in legs(one, two):
            if c in one.vectors and c in two.vectors:
                u0, u1 = unit(one, c, i), unit(two, c, j)
            else:
                u0 = u1 = unit(one, c, i) if c in one.vectors else unit(two, c, j)
            add(desk, cause, -mean * change_of_quantity * (u0 + u1) / 2)
            add(desk, "unit", -mean * quantity * (u1 - u0))
    return {key: value for key, value in cells.items() if value != 0.0}


def legs(one: Point, two: Point) -> list[tuple[str, str, float, float, str]]:
    """(contract, desk, change of quantity, mean quantity, cause of the change), trade by trade."""
    before = {t: (c, q, d) for t, c, q, d in one.positions}
    after = {t: (c, q, d) for t, c, q, d in two.positions}
    found = []
    for trade in sorted(before | after):
        c0, q0, d0 = before.get(trade, ("", 0.0, ""))
        c1, q1, d1 = after.get(trade, ("", 0.0, ""))
        there0, there1 = c0 in one.vectors, c1 in two.vectors
        if trade in before and trade in after and there0 and there1 and c0 == c1:
            if d0 == d1:
                found += [(c0, d0, q1 - q0, (q0 + q1) / 2, "amended")]
            else:  # out of one desk and into the other with the old quantity, and amended there
                found += [(c0, d0, -q0, q0 / 2, "transferred"), (c1, d1, q0, q1 / 2, "transferred")]
                found += [(c1, d1, q1 - q0, 0.0, "amended")]
            continue
        if trade not in after or trade not in before:
            cause = "closed" if trade in before else "new"
        else:
            cause = "amended" if there0 and there1 else "coverage"
        found += [(c0, d0, -q0, q0 / 2, cause)] if there0 else []
        found += [(c1, d1, q1, q1 / 2, cause)] if there1 else []
    return found


def tables(rows: pa.Table) -> dict[str, dict[str, Any]]:
    return {r["desk"]: r for r in rows.to_pylist()}
