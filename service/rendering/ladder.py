"""A ladder as a matrix on a terminal, and as lines or heat maps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.stress.ladder import LadderResult
from lake.errors import BadInput
from scenarios.stress.language import amount_text
from service.rendering import display, pictures
from service.rendering.figure import figure, money

_CELL = 0.95  # inches of a cell of a heat map
_DARK = 0.45  # luma (ITU-R BT.601) of a colour on which black is hard to read


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
    if all(v is None for name in names for v in total[name]):
        raise BadInput("There is nothing to draw: none of the positions is covered.")
    figures = " and ".join("P&L" if n == "pnl" else pictures.in_words(n) for n in names)
    title = f"{figures} over moves of {' and '.join(map(_what, result.axes))}"
    # a cell is as wide as its figure
    width = max(5.5 * max(2, len(names)), len(names) * (2.0 + _CELL * len(set(total.get("second", ())))))
    height = max(5.5, 2.5 + 0.3 * len(set(total["first"])) * (len(result.axes) - 1))
    with figure(path, title, width=width, height=height) as (drawn, place):
        panels = drawn.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            _panel(drawn, axes, result, total, name)
    return place


def _what(axis: str) -> str:
    """What an axis moves, without its amounts."""
    return str(re.findall(r".*\]|\S+", axis)[0])


def _panel(drawn: Any, axes: Any, result: LadderResult, total: Mapping[str, Any], name: str) -> None:
    values = np.array([np.nan if v is None else v for v in total[name]])
    signs = "P&L, {}, gains positive" if name == "pnl" else f"{pictures.in_words(name)}, {{}}, losses positive"
    unit = signs.format(result.query.currency)
    first = sorted(set(total["first"]))
    if len(result.axes) == 1:
        axes.plot(first, values, marker="o")
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_xlabel(result.axes[0])
        money(axes, "y", unit)
        return
    second = sorted(set(total["second"]))
    grid = values.reshape(len(first), len(second))
    most = np.nanmax(np.abs(grid), initial=0.0) or 1.0
    colours = {"cmap": "RdYlGn", "vmin": -most, "vmax": most} if name == "pnl" else {"cmap": "OrRd"}
    image = axes.imshow(grid, origin="lower", aspect="auto", **colours)
    axes.set_xticks(range(len(second)), [amount_text(v, result.units[1]) for v in second])
    axes.set_yticks(range(len(first)), [amount_text(v, result.units[0]) for v in first])
    axes.set_xlabel(_what(result.axes[1]))
    axes.set_ylabel(_what(result.axes[0]))
    write = money(drawn.colorbar(image, ax=axes).ax, "y", unit)
    for i, j in np.ndindex(grid.shape):
        at = float(grid[i, j])
        if np.isnan(at):
            axes.text(j, i, "-", ha="center", va="center", fontsize=8)
            continue
        red, green, blue, _ = image.cmap(image.norm(at))
        ink = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < _DARK else "black"
        axes.text(j, i, write(at), ha="center", va="center", fontsize=8, color=ink)
