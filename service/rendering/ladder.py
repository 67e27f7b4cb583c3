"""Ladders and grids of stresses as matrices on a terminal, and as lines or heat maps."""

from __future__ import annotations

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
    values = np.array([np.nan if result.total[n] is None else result.total[n] for n in names]) / 1e6
    with figure(path) as (drawn, place):
        drawn.suptitle(f"Stress of {query.as_of}, {query.currency} millions" + _filters(query))
        _heat_map(drawn, drawn.subplots(), values, "P&L, gains positive", axes, gains=True)
    return place


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
    if len(result.axes) == 1:
        axes.set_title(title)
        axes.plot(first, values, marker="o")
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_xlabel(result.axes[0])
        return
    ends = zip(result.axes, (first, sorted(set(total["second"]))), result.units, strict=True)
    down, across = ((axis.split(" ")[0], [amount_text(v, unit) for v in amounts]) for axis, amounts, unit in ends)
    _heat_map(drawn, axes, values, title, (down, across), gains=name == "pnl")


def _heat_map(
    drawn: Any,
    axes: Any,
    values: Floats,
    title: str,
    ends: tuple[tuple[str, list[str]], tuple[str, list[str]]],
    *,
    gains: bool,
) -> None:
    """values : at the nodes, the first axis turning slowest; ends : what each axis moves, and its amounts."""
    (down, rows), (across, columns) = ends
    grid = values.reshape(len(rows), len(columns))
    most = np.nanmax(np.abs(grid)) or 1.0
    colours = {"cmap": "RdYlGn", "vmin": -most, "vmax": most} if gains else {"cmap": "OrRd"}
    image = axes.imshow(grid, origin="lower", aspect="auto", **colours)
    axes.set_title(title)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(across)
    axes.set_ylabel(down)
    for i, j in np.ndindex(grid.shape):
        axes.text(j, i, f"{grid[i, j]:,.1f}", ha="center", va="center", fontsize=8)
    drawn.colorbar(image, ax=axes)
