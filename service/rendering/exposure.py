"""Exposure on a terminal and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aggregation.regulatory.exposure_drill import ExposureDrill
from aggregation.regulatory.exposure_limits import ExposureLimits
from aggregation.regulatory.exposure_what_if import ExposureWhatIf
from aggregation.regulatory.imm import Exposure
from lake.errors import BadInput, counted
from service.rendering import display, pictures

_SHOWN_LINES = 6
_MONEY = ("value", "ee", "ee_se", "ene", "ene_se", "collateral", "effective_ee", "discounted_ee")
_OVER_TIME = ("current", "epe", "epe_se", "enpe", "epe_year", "eepe", "eepe_se", "ead", "ead_se")


def _money(columns: list[str], of: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(c for c in columns if c in of or c.startswith(("pfe_", "peak_pfe_")))


def show_exposure(result: Exposure) -> None:
    """The profile by date, and what it comes to over time."""
    query, by = result.query, result.query.by
    parts = ("part",) if result.node is not None else ()
    title = f"Exposure of {query.as_of} in {query.currency}, {counted(query.paths, 'path')}, {result.regime}"
    columns = result.rows.column_names
    first = (*by, *parts, "date", "ee", f"pfe_{query.levels[0]}")
    display.print_table(result.rows.to_pylist(), columns, title=title, first=first, money=_money(columns, _MONEY))
    rows = result.summary.to_pylist()
    if by and result.node is None:
        rows.append({**result.total, by[0]: "Total"})
    columns = result.summary.column_names
    display.print_table(
        rows, columns, title="Over time", first=(*by, *parts, "epe", "ead"), money=_money(columns, _OVER_TIME)
    )
    _say(result.notes)


def show_what_if(result: ExposureWhatIf) -> None:
    """What changes over time, and by date."""
    by = result.query.by
    for title, table, kept in (
        ("Exposure before and after", result.rows, ("ee", "ene", *(f"pfe_{x}" for x in result.query.levels))),
        ("Over time", result.summary, ("epe", "eepe", "ead")),
    ):
        names = [f"{c}_{side}" for c in kept for side in ("before", "after", "difference")]
        columns = [c for c in table.column_names if c in (*by, "part", "date") or c in names]
        display.print_table(
            table.to_pylist(),
            columns,
            title=f"{title}, in {result.query.currency}",
            money=tuple(c for c in columns if c in names),
        )
    _say(result.notes)


def show_limits(result: ExposureLimits) -> None:
    """How much of each limit is used."""
    columns = result.rows.column_names
    display.print_table(
        result.rows.to_pylist(),
        columns,
        title=f"Limits of exposure on {result.query.as_of} in {result.query.currency}: {counted(result.breaches, 'breach', 'breaches')}",
        first=("limit", "member", "used", "amount", "breach", "trade"),
        money=("amount", "used", "headroom", "used_without_trade"),
    )
    _say(result.notes)


def show_drill(result: ExposureDrill) -> None:
    """The trades, the market and the worst paths behind a point."""
    query = result.query
    told = {"date": result.date, "path": result.path, f"pfe_{query.level}": result.pfe, "ee": result.ee}
    display.print_pairs(
        told, title=f"Exposure of {query.as_of} in {query.currency}", money=(f"pfe_{query.level}", "ee")
    )
    display.print_table(
        result.rows.to_pylist(),
        result.rows.column_names,
        title="Trades on this path",
        first=("trade", "netting_set", "value", "contribution"),
        money=("value", "contribution"),
    )
    display.print_table(result.market.to_pylist(), result.market.column_names, title="The market on this path")
    display.print_table(
        result.worst.to_pylist(), result.worst.column_names, title="Paths of the greatest exposure", money=("exposure",)
    )
    _say(result.notes)


def _say(notes: tuple[str, ...]) -> None:
    for note in notes:
        display.say(f"Note: {note}")


def draw_exposure(result: Exposure, path: Path) -> Path:
    """One group: EE, ENE below zero, PFE at every level, and EPE as a level line. Several: PFE at the first level of those in which it is
    greatest. Contributions: EE of those whose trades contribute most."""
    query, by = result.query, [*result.query.by, *(("part",) if result.node is not None else ())]
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in result.rows.to_pylist():
        groups.setdefault(tuple(row[b] for b in by), []).append(row)
    first = f"pfe_{query.levels[0]}"
    dates = [r["date"] for r in next(iter(groups.values()))] if groups else []
    if not dates:
        raise BadInput("There is nothing to draw: no group has a profile.")
    if len(groups) == 1 and result.node is None:
        ((name, rows),) = groups.items()
        epe = result.summary["epe"].to_pylist()[0]
        lines = {
            "EE": [r["ee"] for r in rows],
            "ENE, of us to them": [None if r["ene"] is None else -r["ene"] for r in rows],
            **{
                pictures.in_words(f"pfe_{x}").replace("pfe", "PFE"): [r[f"pfe_{x}"] for r in rows] for x in query.levels
            },
            "EPE": [epe] * len(rows),
        }
        of = f" of {' / '.join(x or '(none)' for x in name)}" if name else ""
        return pictures.time_line(
            path, dates, lines, title=f"Exposure{of} over time", unit=f"{query.currency}, owed to us positive"
        )
    column = first if result.node is None else "ee"
    known = {k: v for k, v in groups.items() if any(r[column] is not None for r in v)}
    greatest = sorted(known, key=lambda k: -max(abs(r[column]) for r in known[k] if r[column] is not None))
    lines = {" / ".join(x or "(none)" for x in k): [r[column] for r in known[k]] for k in greatest[:_SHOWN_LINES]}
    of = f", the {_SHOWN_LINES} greatest of {len(known):,}" if len(known) > _SHOWN_LINES else ""
    what = "Contributions to EE" if result.node is not None else pictures.in_words(column).replace("pfe", "PFE")
    title = f"{what}{pictures.by_words(query.by)} over time{of}"
    return pictures.time_line(path, dates, lines, title=title, unit=f"{query.currency}, owed to us positive")
