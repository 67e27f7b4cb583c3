"""A ladder as a matrix on a terminal, and as lines or heat maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.stress.ladder import LadderResult
from scenarios.stress.language import amount_text
from service.rendering import display
from service.rendering.figure import figure


def show_ladder(result: LadderResult) -> None:
    """P&L with the first axis down and the second across, group by group; of one axis every figure of the rung."""
    query = result.query
    everyone = (
        [dict.fromkeys(query.by, "") | {query.by[0]: "Total"} | r for r in result.total.to_pylist()] if query.by else []
    )
    rows = [*result.rows.to_pylist(), *everyone]
    title = f"Ladder of {query.as_of} in {query.currency}, P&L gains positive"
    if len(result.axes) == 1:
        display.print_table(
            [{k: v for k, v in r.items() if k != "first"} for r in rows], title=f"{title}: {result.axes[0]}"
        )
    else:
        for name in _figures(result):
            words = f"{title}: {result.axes[0]} down, {result.axes[1]} across" if name == "pnl" else name
            display.print_table(_matrix(result, rows, name), title=words)
    for note in result.notes:
        display.say(f"Note: {note}")


def _figures(result: LadderResult) -> list[str]:
    """P&L, and the measure where it was asked for; slopes are in the data."""
    known = {*result.query.by, "rung", "first", "second"}
    return [c for c in result.total.column_names if c not in known and not c.endswith("_slope")]


def _matrix(result: LadderResult, rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    one, two = result.units
    for r in rows:
        key = (*(r.get(b) for b in result.query.by), r["first"])
        row = table.setdefault(key, {**{b: r.get(b) for b in result.query.by}, "": amount_text(r["first"], one)})
        row[amount_text(r["second"], two)] = r[name]
    return list(table.values())


def plot_ladder(result: LadderResult, path: Path) -> Path:
    """The total: lines over one axis, heat maps over two."""
    total = result.total.to_pydict()
    names = _figures(result)
    query = result.query
    with figure(path, width=5.5 * max(2, len(names))) as (drawn, place):
        panels = drawn.subplots(1, len(names), squeeze=False)[0]
        drawn.suptitle(f"Ladder of {query.as_of}, {query.currency} millions" + _filters(query))
        for axes, name in zip(panels, names, strict=True):
            _panel(drawn, axes, result, total, name)
    return place


def _filters(query: Any) -> str:
    return "".join(f", {f}" for f in query.where)


def _panel(drawn: Any, axes: Any, result: LadderResult, total: Mapping[str, Any], name: str) -> None:
    values = np.array([np.nan if v is None else v for v in total[name]]) / 1e6
    title = "P&L, gains positive" if name == "pnl" else f"{name}, losses positive"
    first = sorted(set(total["first"]))
    axes.set_title(title)
    if len(result.axes) == 1:
        axes.plot(first, values, marker="o")
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_xlabel(result.axes[0])
        return
    second = sorted(set(total["second"]))
    grid = values.reshape(len(first), len(second))
    most = np.nanmax(np.abs(grid)) or 1.0
    colours = {"cmap": "RdYlGn", "vmin": -most, "vmax": most} if name == "pnl" else {"cmap": "OrRd"}
    image = axes.imshow(grid, origin="lower", aspect="auto", **colours)
    axes.set_xticks(range(len(second)), [amount_text(v, result.units[1]) for v in second])
    axes.set_yticks(range(len(first)), [amount_text(v, result.units[0]) for v in first])
    axes.set_xlabel(result.axes[1].split(" ")[0])
    axes.set_ylabel(result.axes[0].split(" ")[0])
    for i, j in np.ndindex(grid.shape):
        axes.text(j, i, f"{grid[i, j]:,.1f}", ha="center", va="center", fontsize=8)
    drawn.colorbar(image, ax=axes)
