"""VaR and ES by their parameters, as people read them on a terminal and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import BadInput
from service.rendering import display, pictures
from service.rendering.figure import figure, money

if TYPE_CHECKING:
    from aggregation.change.parameter_sensitivity import ParameterSensitivity

_MONEY = [f"{f}{end}" for f in ("var", "es") for end in ("", "_change", "_low", "_high")]


def show_sensitivity(result: ParameterSensitivity) -> None:
    """Each parameter with its slope and what it moves most, then every setting."""
    query = result.query
    title = f"{query.level} VaR and ES of {query.as_of} in {query.currency}, by parameter"
    slopes = ("var_slope", "var_most", "es_slope", "es_most")
    display.print_table(
        result.parameters.to_pylist(),
        title=title,
        first=("parameter", "standard", "var_most", "var_most_at", "var_slope", "unit"),
        money=slopes,
    )
    columns = [c for c in result.rows.column_names if c != "value"]
    display.print_table(
        result.rows.to_pylist(),
        columns,
        title="Every setting",
        first=("parameter", "setting", "var", "var_change", "es", "es_change"),
        money=_MONEY,
    )
    for note in result.notes:
        display.say(f"Note: {note}")


def plot_sensitivity(result: ParameterSensitivity, path: Path) -> Path:
    """A panel a parameter that has values: VaR and ES over it with their sampling intervals, the standard as a vertical line."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in result.rows.to_pylist():
        if row["value"] is not None:
            panels.setdefault(row["parameter"], []).append(row)
    panels = {name: rows for name, rows in panels.items() if len(rows) > 1}
    if not panels:
        raise BadInput("There is nothing to draw: none of the positions is covered, or no parameter was moved.")
    query = result.query
    title = f"{pictures.in_words(f'var_{query.level}')} and ES by their parameters"
    with figure(path, title, width=5.0 * len(panels), height=5.0) as (drawn, place):
        for axes, (name, rows) in zip(drawn.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
            _panel(axes, name, rows)
            money(axes, "y", f"{query.currency}, losses positive")
    return place


def _panel(axes: Any, name: str, rows: Sequence[dict[str, Any]]) -> None:
    for column, colour in (("var", "C0"), ("es", "C1")):
        known = [r for r in rows if r[column] is not None]
        at = [r["value"] for r in known]
        axes.plot(at, [r[column] for r in known], marker="o", color=colour, label="VaR" if column == "var" else "ES")
        ends = [r for r in known if r[f"{column}_low"] is not None and r[f"{column}_high"] is not None]
        if ends:
            low, high = ([r[f"{column}_{end}"] for r in ends] for end in ("low", "high"))
            axes.fill_between([r["value"] for r in ends], low, high, color=colour, alpha=0.15)
    for row in rows:
        if row["standard"]:
            axes.axvline(row["value"], color="0.45", linestyle="--", linewidth=1.0)
    axes.set_xlabel(name)
    axes.legend(fontsize=9)
