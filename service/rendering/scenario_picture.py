"""What a stored scenario set looks like: the spread of each factor's moves, as rows for a terminal and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput, counted
from scenarios.stress.preview import sparkline
from scenarios.types import ScenarioSet
from service.rendering.figure import figure

MOST_SCENARIOS = 10_000  # of a large set the first are drawn
SHOWN = 15
_BINS = 12


def moves_of(s: ScenarioSet) -> tuple[list[str], Floats, Floats]:
    """Factor ids, their moves (n_factors, n) in percent of the base level (rates and spreads: percentage points), base (n_factors,).

    Shocked factors alone, the widest spread first; of a large set the first `MOST_SCENARIOS` scenarios.
    """
    rows = np.flatnonzero(s.shocked)
    levels = s.levels[rows, : min(s.n_scenarios, MOST_SCENARIOS)]
    base = s.base[rows][:, None]
    absolute = np.array([s.index.factors[r].shift_type == "absolute" for r in rows], dtype=np.bool_)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = 100.0 * np.where(absolute | (base == 0), levels - base, levels / base - 1.0)
    order = np.argsort(-np.ptp(moves, axis=1), kind="stable")
    return [s.index.factors[r].risk_factor_id for r in rows[order]], moves[order], s.base[rows][order]


def rows_of(s: ScenarioSet, shown: int = SHOWN) -> list[dict[str, Any]]:
    """A row for each of the widest factors: base, the 1st, 50th and 99th percentile of its moves, and their histogram."""
    names, moves, base = moves_of(s)
    rows = []
    for name, values, level in list(zip(names, moves, base, strict=True))[:shown]:
        low, middle, high = np.percentile(values, (1, 50, 99))
        counts = np.histogram(values, bins=_BINS)[0].astype(float).tolist()
        rows.append(
            {
                "risk_factor": name,
                "base": float(level),
                "least_%": round(float(values.min()), 3),
                "p1_%": round(float(low), 3),
                "median_%": round(float(middle), 3),
                "p99_%": round(float(high), 3),
                "most_%": round(float(values.max()), 3),
                "spread": sparkline(counts, 0.0, max(counts)),
            }
        )
    return rows


def plot_scenario_set(s: ScenarioSet, path: str | Path) -> Path:
    """Writes a picture: the range of the widest factors' moves, and the three widest scenario by scenario.

    The ending of the path decides the format. Raises `NotReady` without matplotlib, `BadInput` for another ending.
    """
    names, moves, _ = moves_of(s)
    if not names:
        raise BadInput(f"Scenario set {s.name} moves no risk factor; there is nothing to draw.")
    with figure(path, width=12.0) as (drawn, place):
        ranges, lines = drawn.subplots(1, 2)
        drawn.suptitle(f"{s.name}, {counted(s.n_scenarios, 'scenario')} on the market of {s.market_date}")
        shown = min(SHOWN, len(names))
        low, middle, high = np.percentile(moves[:shown], (1, 50, 99), axis=1)
        places = np.arange(shown)[::-1]
        ranges.hlines(places, moves[:shown].min(axis=1), moves[:shown].max(axis=1), color="0.75", label="least to most")
        ranges.hlines(places, low, high, color="C0", linewidth=5, label="1st to 99th percentile")
        ranges.plot(middle, places, "o", color="C1", label="median")
        ranges.set_yticks(places, names[:shown])
        ranges.set_xlabel("move, % of the level (rates: percentage points)")
        ranges.set_title(f"widest {shown} of {len(names)} factors")
        ranges.legend(loc="lower right")
        for name, values in list(zip(names, moves, strict=True))[:3]:
            lines.plot(values, linewidth=0.9, marker="o" if len(values) < 30 else "", label=name)
        lines.set_title(f"scenario by scenario, {s.labels[0]} to {s.labels[moves.shape[1] - 1]}")
        lines.set_xlabel("scenario")
        lines.legend()
    return place
