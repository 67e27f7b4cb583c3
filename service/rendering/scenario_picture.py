"""What a stored scenario set looks like: the spread of each factor's moves, as rows for a terminal and as a picture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput
from scenarios.stress.preview import sparkline
from scenarios.types import ScenarioSet
from service.rendering import display
from service.rendering.figure import SYNTHETIC, captioned, figure, name_dates, name_lines

MOST_SCENARIOS = 10_000  # of a large set the first are drawn
SHOWN = 15
_BINS = 12
_MOVE = "move, % of the level (rates: percentage points)"


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
    drawn_of = f"the first {moves.shape[1]:,} drawn, of " if moves.shape[1] < s.n_scenarios else ""
    about = {"scenario_count": s.n_scenarios, "scenario_set_name": s.name, "market_date": s.market_date}
    days = _days(s.labels)
    about |= {"method": s.method, "horizon_days": s.horizon_days, "window": days and f"{days[0]} to {days[-1]}"}
    synthetic = any(s.index.factors[r].synthetic for r in np.flatnonzero(s.shocked))
    foot = [f"Scenario set {s.scenario_set_id}, version {s.version}", *([SYNTHETIC] if synthetic else [])]
    title = f"Moves of the scenarios of {s.name}"
    with captioned([drawn_of + display.scenarios_of(about)], foot), figure(path, title, width=12.0) as (drawn, place):
        _draw(drawn, days, names, moves)
    return place


def _days(labels: Sequence[str]) -> list[dt.date] | None:
    """The days that the scenarios are named by; None where they are not."""
    try:
        return [dt.date.fromisoformat(label) for label in labels]
    except ValueError:
        return None


def _draw(drawn: Any, days: Sequence[dt.date] | None, names: list[str], moves: Floats) -> None:
    ranges, lines = drawn.subplots(1, 2)
    shown = min(SHOWN, len(names))
    low, middle, high = np.percentile(moves[:shown], (1, 50, 99), axis=1)
    places = np.arange(shown)[::-1]
    ranges.hlines(places, moves[:shown].min(axis=1), moves[:shown].max(axis=1), color="0.75", label="least to most")
    ranges.hlines(places, low, high, color="C0", linewidth=5, label="1st to 99th percentile")
    ranges.plot(middle, places, "o", color="C1", label="median")
    ranges.set_yticks(places, names[:shown])
    ranges.set_title(f"widest {shown} of {len(names):,} factors", fontsize=10)
    ranges.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=9)
    ranges.set_xlabel(_MOVE)
    n = moves.shape[1]
    for name, values in list(zip(names, moves, strict=True))[:3]:
        lines.plot(
            days[:n] if days else np.arange(1, n + 1), values, linewidth=0.9, marker="o" if n < 30 else "", label=name
        )
    lines.set_title("the widest, scenario by scenario", fontsize=10)
    lines.set_ylabel(_MOVE)
    if days:
        name_dates(lines, days[:n])
    else:
        lines.set_xlabel("scenario, the first is 1")
        lines.locator_params(axis="x", integer=True)
    name_lines(lines, 3)
