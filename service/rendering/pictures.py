"""Pictures of answers: a time line, a histogram, a waterfall of causes, contribution bars. The ending decides the format.

The only place that draws answers of the reduce; every function takes plain numbers, writes one file and returns its path.
Raises `NotReady` without matplotlib, `BadInput` for an ending it cannot write, a path it cannot write to, or nothing to draw.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.measures import AskedMeasure
from lake.errors import BadInput
from service.rendering.figure import figure, money, name_dates, name_lines, wrapped

MOST_BARS = 60
_ROUNDING = 1e-9  # a step smaller than this beside the largest is no step
_BESIDE, _BELOW = 36, 11  # characters of a line of a long name, beside a bar, and an inch below one
_GAIN, _LOSS, _WHOLE = "C2", "C3", "0.45"
_INTERVAL: Mapping[str, Any] = {"color": "0.15", "linewidth": 1.2, "capsize": 3, "fmt": "none"}
_ABOVE: Mapping[str, Any] = {
    "textcoords": "offset points",
    "ha": "center",
    "fontsize": 8,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.3},
}
_COLUMN = re.compile(r"(?P<name>[a-z_]+?)(?:_(?P<level>0\.\d+))?(?P<gain>_gain)?(?:_(?P<days>\d+)d)?")


def in_words(column: str) -> str:
    """A measure's column as a title has it: `var_0.99` is 99% VaR."""
    found = _COLUMN.fullmatch(column)
    if found is None:  # a threshold
        return column.replace("_", " ")
    words = [w.upper() if w == "es" else "VaR" if w == "var" else w for w in found["name"].split("_")]
    if found["level"]:
        words.insert(0, f"{(100 * Decimal(found['level'])).normalize():f}%")
    return (
        " ".join(words)
        + " of the gain tail" * bool(found["gain"])
        + (f", {found['days']} days" if found["days"] else "")
    )


def unit_of(asked: AskedMeasure, currency: str) -> str:
    """The unit of a measure in a currency."""
    return asked.measure.unit.replace("currency", currency)


def by_words(by: Sequence[str]) -> str:
    """Dimensions as the end of a title; nothing of none."""
    names = [d.removeprefix("attribute.").replace("_", " ") for d in by]
    return f" by {' and '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)}" if names else ""


def member(row: Mapping[str, Any], by: Sequence[str]) -> str:
    """The group of a row as the name of its bar or line."""
    return " / ".join("(none)" if row[d] is None else str(row[d]) for d in by)


def time_line(
    path: str | Path,
    dates: Sequence[dt.date],
    lines: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    unit: str,
    dots: Mapping[str, tuple[Sequence[dt.date], Sequence[float]]] | None = None,
    points: Mapping[str, Sequence[float | None]] | None = None,
    dates_are: str = "",
) -> Path:
    """Lines over dates, broken where a value is None or NaN; `dots` are marked points by name, such as exceptions.

    `points` has a value a date, as `lines` has, drawn as small dots: what comes and goes without a path between.
    """
    if all(v is None for values in lines.values() for v in values):
        raise BadInput("There is nothing to draw: no day has a figure.")
    with figure(path, title) as (drawn, place):
        axes = drawn.subplots()
        for name, values in lines.items():
            shown = np.array([np.nan if v is None else v for v in values])
            known = np.pad(np.isfinite(shown), 1)
            alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])  # no line leads to it
            axes.plot(list(dates), shown, ".-", markevery=alone.tolist(), linewidth=1.2, label=wrapped(name, _BESIDE))
        for (name, values), color in zip((points or {}).items(), ("0.45", "C4", "C5"), strict=False):
            few = len(values) <= MOST_BARS
            at = [np.nan if v is None else v for v in values]
            axes.plot(list(dates), at, ".", color=color, markersize=8 if few else 3.5, label=name)
        for name, (when, values) in (dots or {}).items():
            axes.plot(list(when), list(values), "o", color=_LOSS, markersize=5, label=name)
        axes.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        axes.set_xlabel(dates_are)
        name_dates(axes, dates)
        money(axes, "y", unit)
        name_lines(axes, len(lines) + len(dots or {}) + len(points or {}))
    return place


def histogram(
    path: str | Path,
    edges: Sequence[float],
    heights: Sequence[float],
    *,
    title: str,
    unit: str,
    heights_are: str,
    marks: Mapping[str, tuple[float, float]] | None = None,
) -> Path:
    """Bars between neighbouring edges, one more than heights; `marks` are vertical lines: a figure by name, and the P&L it stands at."""
    with figure(path, title) as (drawn, place):
        axes = drawn.subplots()
        axes.bar(edges[:-1], heights, np.diff(edges), align="edge", color="C0", alpha=0.75)
        drawn_at = [
            axes.axvline(at, color=f"C{i}", linewidth=1.5) for i, (_, at) in enumerate((marks or {}).values(), 1)
        ]
        write = money(axes, "x", unit)
        axes.set_ylabel(heights_are)
        for line, (name, (value, _)) in zip(drawn_at, (marks or {}).items(), strict=True):
            line.set_label(wrapped(f"{name} {write(value)}", _BESIDE))
        if marks:
            name_lines(axes, len(marks))
    return place


def waterfall(
    path: str | Path,
    start: tuple[str, float] | None,
    steps: Sequence[tuple[str, float]],
    end: tuple[str, float],
    *,
    title: str,
    unit: str,
    gains: bool = False,
    limit: float | None = None,
) -> Path:
    """From one number, or from nothing, to another by named steps; steps of zero, rounding aside, are left out.

    A rise of a loss is drawn as a loss; with `gains` a rise is one of value, and drawn as a gain. `limit` is a line across.
    """
    largest = max((abs(v) for _, v in (*steps, end)), default=0.0)
    shown = [s for s in steps if abs(s[1]) > _ROUNDING * largest]
    wholes = [*([start] if start else ()), end]
    names = [*([start[0]] if start else ()), *(n for n, _ in shown), end[0]]
    values = np.array([v for _, v in shown])
    first = len(wholes) - 1  # the place of the first step
    level = (start[1] if start else 0.0) + np.concatenate([[0.0], np.cumsum(values)])
    width = max(8.0, 1.2 * (len(names) + 1))
    with figure(path, title, width=width) as (drawn, place):
        axes = drawn.subplots()
        axes.bar([0, len(names) - 1][-len(wholes) :], [v for _, v in wholes], color=_WHOLE, width=0.7)
        axes.bar(
            np.arange(first, len(names) - 1),
            values,
            bottom=level[:-1],
            color=[_LOSS if (v > 0) != gains else _GAIN for v in values],
            width=0.7,
        )
        for i, before in enumerate(level):
            axes.plot([max(i + first - 1.35, -0.35), i + first + 0.35], [before, before], color="0.5", linewidth=0.7)
        axes.axhline(0.0, color="0.3", linewidth=0.8)
        held = [*level, end[1], *(() if limit is None else (limit,))]
        low, high = min(0.0, *held), max(0.0, *held)
        cut = bool(min(held) > 0.5 * high)
        if cut:  # the steps are small beside the whole, and are what is looked at
            low = min(held) - 0.6 * (high - min(held))
        margin = 0.08 * (high - low) or 1.0
        axes.set_ylim(low if cut or low == 0.0 else low - margin, high + margin)
        write = money(axes, "y", unit, " (the axis does not begin at zero)" * cut)
        tops = [*(max(0.0, v) for _, v in wholes[:first]), *np.maximum(level[:-1], level[1:]), max(0.0, end[1])]
        for i, (top, value) in enumerate(zip(tops, [*(v for _, v in wholes[:first]), *values, end[1]], strict=True)):
            sign = "+" if first <= i < len(names) - 1 and value > 0 else ""
            axes.annotate(f"{sign}{write(value)}", (i, top), (0, 3), **_ABOVE)
        if limit is not None:
            axes.axhline(limit, color="0.15", linestyle="--", linewidth=1.2, label=f"limit {write(limit)}")
            axes.legend()
        axes.set_xticks(
            range(len(names)),
            [wrapped(name.replace(";", "; "), int(_BELOW * width / (len(names) + 1))) for name in names],
        )
    return place


def contribution_bars(
    path: str | Path,
    names: Sequence[str],
    values: Sequence[float | None],
    *,
    title: str,
    unit: str,
    intervals: Sequence[tuple[float, float]] | None = None,
    whole: tuple[str, float | None] | None = None,
) -> Path:
    """A bar a name, the first on top; losses to the right. `intervals` are (low, high) around each value.

    whole : what is no member, the rest or the total, set apart below them. The title says how many have no value.
    """
    known = [i for i, value in enumerate(values) if value is not None]
    lacking = len(names) - len(known) + (whole is not None and whole[1] is None)
    title += f", {lacking:,} without a figure" if lacking else ""
    whole = None if whole is None or whole[1] is None else whole
    names, values = [names[i] for i in known], [values[i] for i in known]
    if not names or len(names) > MOST_BARS:
        raise BadInput(
            f"There {'is nothing' if not names else f'are {len(names):,} bars'} to draw; expected 1 to {MOST_BARS} with a figure. "
            "Group by something, filter, or ask for fewer rows."
        )
    labels = [wrapped(name, _BESIDE) for name in (*names, *(whole or ())[:1])]
    lines = np.array([label.count("\n") + 1 for label in labels], dtype=np.float64)
    at = lines / 2 - np.cumsum(lines)  # downwards; a name of more lines takes more room
    if whole:
        at[-1] -= 0.7
    sizes = np.asarray([*values, *(whole or ())[1:]], dtype=np.float64)
    colors = [_LOSS if v > 0 else _GAIN for v in sizes[: len(known)]] + [_WHOLE] * (whole is not None)
    with figure(path, title, width=9.0, height=max(3.0, 2.0 + 0.3 * lines.sum())) as (drawn, place):
        axes = drawn.subplots()
        axes.barh(at, sizes, height=0.8, color=colors)
        if intervals is not None:
            low, high = np.asarray([intervals[i] for i in known], dtype=np.float64).T
            axes.errorbar((low + high) / 2, at[: len(low)], xerr=(high - low) / 2, **_INTERVAL)
        axes.axvline(0.0, color="0.3", linewidth=0.8)
        axes.set_ylim(at[-1] - lines[-1] / 2 - 0.3, 0.3)
        axes.set_yticks(at, labels)
        money(axes, "x", unit)
    return place
