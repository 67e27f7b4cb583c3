"""Ladders and grids of stresses as matrices on a terminal, and as lines or heat maps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.stress.ladder import LadderResult
from aggregation.types import RiskResult
from lake.arrays import Floats
from lake.errors import BadInput
from scenarios.stress.apply import axes_in
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
        shown = [{k: v for k, v in r.items() if k != "first"} for r in rows]
        figures = _figures(result)
        first, money = (*query.by, "rung", *figures), (*figures, "first_slope")
        display.print_table(shown, title=f"{title}: {result.axes[0]}", first=first, money=money)
    else:
        for name in _figures(result):
            words = f"{title}: {result.axes[0]} down, {result.axes[1]} across" if name == "pnl" else name
            one, two = result.units
            nodes = [(r, amount_text(r["first"], one), amount_text(r["second"], two), r[name]) for r in rows]
            show_matrix(query.by, nodes, words)
    for note in result.notes:
        display.say(f"Note: {note}")


def _figures(result: LadderResult) -> list[str]:
    """P&L, and the measure where it was asked for; slopes are in the data."""
    known = {*result.query.by, "rung", "first", "second"}
    return [c for c in result.total.column_names if c not in known and not c.endswith("_slope")]


def show_matrix(by: Sequence[str], nodes: Iterable[tuple[Mapping[str, Any], str, str, Any]], title: str) -> None:
    """Money at the nodes of a grid: of each the group, the amounts down and across, and the figure."""
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group, down, across, figure_there in nodes:
        of = [group.get(b) for b in by]
        table.setdefault((*of, down), {**dict(zip(by, of, strict=True)), "": down})[across] = figure_there
    rows = list(table.values())
    display.print_table(rows, title=title, money=[c for c in rows[0] if c not in (*by, "")])


def plot_stress(result: RiskResult, path: Path) -> Path:
    """P&L of the total over a grid of two axes, as a heat map."""
    query, names = result.query, [c for c in result.rows.column_names if c.startswith("pnl_")]
    axes = axes_in([n.removeprefix("pnl_") for n in names])
    if axes is None:
        raise BadInput(
            "There is no picture to draw: it is of a grid of two axes, such as "
            "grid(equity -20%..+20% step 10%, vol -5pt..+10pt step 5pt)."
        )
    values = np.array([np.nan if result.total[n] is None else result.total[n] for n in names])
    if np.isnan(values).all():
        raise BadInput("There is nothing to draw: none of the positions is covered.")
    (down, rows), (across, columns) = axes
    size = {"width": _width(1, len(columns)), "height": _height(len(rows))}
    with figure(path, f"P&L over moves of {down} and {across}", **size) as (drawn, place):
        _heat_map(drawn, drawn.subplots(), values, _unit("pnl", query.currency), axes, gains=True)
    return place


def plot_ladder(result: LadderResult, path: Path) -> Path:
    """The total: lines over one axis, heat maps over two."""
    total = result.total.to_pydict()
    names = _figures(result)
    if all(v is None for name in names for v in total[name]):
        raise BadInput("There is nothing to draw: none of the positions is covered.")
    figures = " and ".join("P&L" if n == "pnl" else pictures.in_words(n) for n in names)
    title = f"{figures} over moves of {' and '.join(map(_what, result.axes))}"
    size = {
        "width": _width(len(names), len(set(total.get("second", ())))),
        "height": _height(len(set(total["first"])) * (len(result.axes) - 1)),
    }
    with figure(path, title, **size) as (drawn, place):
        panels = drawn.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            _panel(drawn, axes, result, total, name)
    return place


def _width(panels: int, cells: int) -> float:
    """Inches; a cell is as wide as its figure."""
    return max(5.5 * max(2, panels), panels * (2.0 + _CELL * cells))


def _height(cells: int) -> float:
    return max(5.5, 2.5 + 0.3 * cells)


def _unit(name: str, currency: str) -> str:
    return (
        f"P&L, {currency}, gains positive"
        if name == "pnl"
        else f"{pictures.in_words(name)}, {currency}, losses positive"
    )


def _what(axis: str) -> str:
    """What an axis moves, without its amounts."""
    return str(re.findall(r".*\]|\S+", axis)[0])


def _panel(drawn: Any, axes: Any, result: LadderResult, total: Mapping[str, Any], name: str) -> None:
    values = np.array([np.nan if v is None else v for v in total[name]])
    unit = _unit(name, result.query.currency)
    first = sorted(set(total["first"]))
    if len(result.axes) == 1:
        axes.plot(first, values, marker="o")
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_xlabel(result.axes[0])
        money(axes, "y", unit)
        return
    ends = zip((_what(axis) for axis in result.axes), (first, sorted(set(total["second"]))), result.units, strict=True)
    down, across = ((what, [amount_text(v, of) for v in amounts]) for what, amounts, of in ends)
    _heat_map(drawn, axes, values, unit, (down, across), gains=name == "pnl")


def _heat_map(
    drawn: Any,
    axes: Any,
    values: Floats,
    unit: str,
    ends: tuple[tuple[str, list[str]], tuple[str, list[str]]],
    *,
    gains: bool,
) -> None:
    """values : at the nodes, the first axis turning slowest; unit : of the values, as `money` takes it; ends : what each axis
    moves, and its amounts.
    """
    (down, rows), (across, columns) = ends
    grid = values.reshape(len(rows), len(columns))
    most = np.nanmax(np.abs(grid), initial=0.0) or 1.0
    colours = {"cmap": "RdYlGn", "vmin": -most, "vmax": most} if gains else {"cmap": "OrRd"}
    image = axes.imshow(grid, origin="lower", aspect="auto", **colours)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(across)
    axes.set_ylabel(down)
    write = money(drawn.colorbar(image, ax=axes).ax, "y", unit)
    for i, j in np.ndindex(grid.shape):
        at = float(grid[i, j])
        if np.isnan(at):
            axes.text(j, i, "-", ha="center", va="center", fontsize=8)
            continue
        red, green, blue, _ = image.cmap(image.norm(at))
        ink = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < _DARK else "black"
        axes.text(j, i, write(at), ha="center", va="center", fontsize=8, color=ink)
