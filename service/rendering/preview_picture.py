"""A picture of a preview, through matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from lake.errors import BadInput, unknown
from scenarios.stress.preview import FactorRow, Preview, ScenarioPreview
from service.rendering.figure import SYNTHETIC, captioned, figure, name_lines

MOST_BARS = 15


def plot_preview(preview: Preview, path: str | Path, label: str | None = None, synthetic: Collection[str] = ()) -> Path:
    """Writes the picture of one scenario (the first when `label` is None): the largest moves and the curves that move.

    synthetic : risk factors whose data is synthetic, which a picture that shows one says. The ending of the path decides the
    format. Raises `NotReady` without matplotlib, `BadInput` for another ending or label, or a scenario that moves nothing.
    """
    chosen = next((s for s in preview.scenarios if label in (None, s.label)), None)
    if chosen is None:
        raise unknown("scenario", label or "", (s.label for s in preview.scenarios))
    moved = [r for r in chosen.factors if r.level != r.base]
    # rates are drawn as curves; as shares of a level near zero they would dwarf all else
    apart = [r for r in moved if r.risk_class != "rates"]
    rows = [c.curve for c in chosen.curves if c.base != c.level]
    panels = [
        *([lambda axes: _draw_moves(axes, apart)] if apart else ()),
        *([lambda axes: _draw_curves(axes, chosen, list(dict.fromkeys(rows)))] if rows else ()),
    ]
    if not panels:
        raise BadInput(f"Scenario {chosen.label} moves no risk factor and no curve; there is nothing to draw.")
    of = f", one of {preview.total:,} scenarios" if preview.total > 1 else ""
    marks = [SYNTHETIC] if any(r.risk_factor_id in synthetic for r in moved) else []
    with (
        captioned([preview.text, f"on the market of {preview.market_date}{of}"], marks),
        figure(path, f"Scenario {chosen.label}") as (drawn, place),
    ):
        for draw, axes in zip(panels, drawn.subplots(1, len(panels), squeeze=False)[0], strict=True):
            draw(axes)
    return place


def _draw_moves(axes: Any, moved: Sequence[FactorRow]) -> None:
    moves = [(r.risk_factor_id, 100 * (r.level / r.base - 1), r.change) for r in moved if r.base > 0]
    largest = sorted(moves, key=lambda x: (-abs(x[1]), x[0]))[:MOST_BARS][::-1]
    drawn = axes.barh([x[0] for x in largest], [x[1] for x in largest], color="#4477aa")
    axes.bar_label(drawn, [x[2] for x in largest], padding=3, fontsize=8)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.margins(x=0.25, y=0.02)
    axes.set_xlabel("move, % of the level")
    left = len(moved) - len(moves)
    axes.set_title(
        f"largest {len(largest)} of {len(moved):,} moves, rates apart"
        + (f"; {left:,} from a level not above zero not drawn" if left else ""),
        fontsize=10,
    )


def _draw_curves(axes: Any, s: ScenarioPreview, moved: Sequence[str]) -> None:
    for i, name in enumerate(moved):
        pillars = [c for c in s.curves if c.curve == name]
        years = [c.years for c in pillars]
        axes.plot(years, [100 * c.base for c in pillars], color=f"C{i}", linestyle="--")
        axes.plot(years, [100 * c.level for c in pillars], color=f"C{i}", marker=".", label=name)
    axes.set_title("curves, dashed before and solid after", fontsize=10)
    axes.set_xlabel("years")
    axes.set_ylabel("%")
    name_lines(axes, len(moved))
