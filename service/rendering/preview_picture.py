"""A picture of a preview, through matplotlib (the extra `plot`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lake.errors import unknown
from scenarios.stress.preview import Preview, ScenarioPreview
from service.rendering.figure import figure

MOST_BARS = 15


def plot_preview(preview: Preview, path: str | Path, label: str | None = None) -> Path:
    """Writes the picture of one scenario (the first when `label` is None): the largest moves and the curves that move.

    The ending of the path decides the format. Raises `NotReady` without matplotlib, `BadInput` for another ending or label.
    """
    chosen = next((s for s in preview.scenarios if label in (None, s.label)), None)
    if chosen is None:
        raise unknown("scenario", label or "", (s.label for s in preview.scenarios))
    with figure(path, height=5.0) as (drawn, place):
        bars, curves = drawn.subplots(1, 2)
        drawn.suptitle(f"{chosen.label}, on the market of {preview.market_date}")
        _draw_moves(bars, chosen)
        _draw_curves(curves, chosen)
    return place


def _draw_moves(axes: Any, s: ScenarioPreview) -> None:
    # rates are drawn as curves; as shares of a level near zero they would dwarf all else
    moved = [r for r in s.factors if r.level != r.base and r.base > 0 and r.risk_class != "rates"]
    moves = [(r.risk_factor_id, 100 * (r.level / r.base - 1), r.change) for r in moved]
    largest = sorted(moves, key=lambda x: (-abs(x[1]), x[0]))[:MOST_BARS][::-1]
    drawn = axes.barh([x[0] for x in largest], [x[1] for x in largest], color="#4477aa")
    axes.bar_label(drawn, [x[2] for x in largest], padding=3, fontsize=8)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.margins(x=0.2)
    axes.set_xlabel("move, % of the level")
    axes.set_title(f"largest {len(largest)} of {len(moves)} moves, rates apart")


def _draw_curves(axes: Any, s: ScenarioPreview) -> None:
    moved = [
        n for n in dict.fromkeys(c.curve for c in s.curves) if any(c.base != c.level for c in s.curves if c.curve == n)
    ]
    for i, name in enumerate(moved):
        pillars = [c for c in s.curves if c.curve == name]
        years = [c.years for c in pillars]
        axes.plot(years, [100 * c.base for c in pillars], color=f"C{i}", linestyle="--", label=f"{name} before")
        axes.plot(years, [100 * c.level for c in pillars], color=f"C{i}", marker=".", label=f"{name} after")
    axes.set_title("curves" if moved else "no curve moves")
    if moved:
        axes.set_xlabel("years")
        axes.set_ylabel("%")
        axes.legend()
