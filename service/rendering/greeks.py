"""How sensitivities are shown."""

from __future__ import annotations

import pyarrow as pa

from aggregation.stress.greeks import Greeks
from aggregation.stress.taylor import Taylor
from service.rendering import display

_FIGURES = ("value", "gamma", "value_error", "gamma_error")
_TAYLOR = ("full", "taylor", "unexplained", "largest_gap")


def show_greeks(result: Greeks) -> None:
    """A row a group and what it is sensitive to, then those of all groups."""
    _show("Sensitivities", result, ("greek", "of", "move", *_FIGURES), _FIGURES)


def show_taylor(result: Taylor) -> None:
    """A row a group, then all of them."""
    query = result.query
    _show(f"{query.measure} {query.level} by full revaluation and by sensitivities", result, _TAYLOR, _TAYLOR)


def _show(what: str, result: Greeks | Taylor, first: tuple[str, ...], money: tuple[str, ...]) -> None:
    query = result.query
    title = f"{what}, {display.heading(query, result.receipt)}"
    if query.by:
        names = _filled(result.rows)
        display.print_table(result.rows.to_pylist(), names, title=title, first=(*query.by, *first), money=money)
    names = _filled(result.total)
    display.print_table(result.total.to_pylist(), names, title="Total" if query.by else title, first=first, money=money)
    for note in result.notes:
        display.say(f"Note: {note}")


def _filled(rows: pa.Table) -> list[str]:
    """The columns that say something."""
    return [n for n in rows.column_names if not rows.num_rows or rows[n].null_count < rows.num_rows]
