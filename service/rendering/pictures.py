"""Pictures of answers: a time line, a histogram, a waterfall of causes, contribution bars. The ending decides the format.

The only place that draws answers of the reduce; every function takes plain numbers, writes one file and returns its path.
Raises `NotReady` without matplotlib, `BadInput` for an ending it cannot write or a path it cannot write to.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lake.arrays import Floats
from service.rendering.figure import figure

_NAMES_INSIDE = 4  # lines whose names fit among them
BINS = 50  # of a histogram where the question names no number
_ROUNDING = 1e-9  # a step smaller than this beside the largest is no step
_NAME_WIDTH = 36  # characters of a line of a long name
_GAIN, _LOSS, _WHOLE = "C2", "C3", "0.45"
_INTERVAL: Mapping[str, Any] = {"color": "0.15", "linewidth": 1.2, "capsize": 3, "fmt": "none"}


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
    with figure(path) as (drawn, place):
        axes = drawn.subplots()
        for name, values in lines.items():
            axes.plot(list(dates), [np.nan if v is None else v for v in values], linewidth=1.2, label=name)
        for (name, values), color in zip((points or {}).items(), ("0.45", "C4", "C5"), strict=False):
            shown = [np.nan if v is None else v for v in values]
            axes.plot(list(dates), shown, ".", color=color, markersize=3.5, label=name)
        for name, (when, values) in (dots or {}).items():
            axes.plot(list(when), list(values), "o", color=_LOSS, markersize=5, label=name)
        axes.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        axes.set_title(title)
        axes.set_xlabel(dates_are)
        axes.set_ylabel(unit)
        axes.yaxis.set_major_formatter("{x:,.10g}")
        # many names would cover the lines
        axes.legend(**({"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if len(lines) > _NAMES_INSIDE else {}))
        drawn.autofmt_xdate()
    return place


def histogram(
    path: str | Path,
    pnl: Floats,
    *,
    title: str,
    unit: str,
    marks: Mapping[str, float] | None = None,
    bins: int = BINS,
    weights: Floats | None = None,
) -> Path:
    """P&L by how many scenarios have it, or by their weights; `marks` are vertical lines by name, at P&L (a VaR stands at minus itself)."""
    with figure(path) as (drawn, place):
        axes = drawn.subplots()
        axes.hist(np.asarray(pnl), bins=bins, weights=weights, color="C0", alpha=0.75)
        for i, (name, at) in enumerate((marks or {}).items()):
            axes.axvline(at, color=f"C{i + 1}", linewidth=1.5, label=name)
        axes.set_title(title)
        axes.xaxis.set_major_formatter("{x:,.10g}")
        axes.set_xlabel(unit)
        axes.set_ylabel("scenarios" if weights is None else "probability")
        if marks:
            axes.legend()
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
    with figure(path, width=max(8.0, 1.1 * len(names))) as (drawn, place):
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
        tops = [*(max(0.0, v) for _, v in wholes[:first]), *np.maximum(level[:-1], level[1:]), max(0.0, end[1])]
        for i, (top, value) in enumerate(zip(tops, [*(v for _, v in wholes[:first]), *values, end[1]], strict=True)):
            sign = "+" if first <= i < len(names) - 1 and value > 0 else ""
            axes.annotate(f"{sign}{value:,.0f}", (i, top), (0, 3), textcoords="offset points", ha="center", fontsize=8)
        axes.axhline(0.0, color="0.3", linewidth=0.8)
        held = [*level, end[1]]
        if limit is not None:
            held.append(limit)
            axes.axhline(limit, color="0.15", linestyle="--", linewidth=1.2, label=f"limit {limit:,.0f}")
            axes.legend()
        low, high = min(0.0, *held), max(0.0, *held)
        cut = min(held) > 0.5 * high
        if cut:  # the steps are small beside the whole, and are what is looked at
            low = min(held) - 0.6 * (high - min(held))
        margin = 0.08 * (high - low)
        axes.set_ylim(low if cut or low == 0.0 else low - margin, high + margin)
        axes.yaxis.set_major_formatter("{x:,.10g}")
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_title(title)
        axes.set_ylabel(f"{unit} (the axis does not begin at zero)" if cut else unit)
    return place


def contribution_bars(
    path: str | Path,
    names: Sequence[str],
    values: Sequence[float],
    *,
    title: str,
    unit: str,
    intervals: Sequence[tuple[float, float]] | None = None,
) -> Path:
    """A bar a name, the first on top; losses to the right. `intervals` are (low, high) around each value."""
    labels = [textwrap.fill(name, _NAME_WIDTH) for name in names]
    lines = np.array([label.count("\n") + 1 for label in labels], dtype=np.float64)
    at = lines / 2 - np.cumsum(lines)  # downwards; a name of more lines takes more room
    sizes = np.asarray(values, dtype=np.float64)
    with figure(path, width=9.0, height=max(3.0, 1.2 + 0.3 * lines.sum())) as (drawn, place):
        axes = drawn.subplots()
        axes.barh(at, sizes, height=0.8, color=[_LOSS if v > 0 else _GAIN for v in sizes])
        if intervals is not None:
            low, high = np.asarray(intervals, dtype=np.float64).T
            axes.errorbar(sizes, at, xerr=np.maximum(np.abs([sizes - low, high - sizes]), 0.0), **_INTERVAL)
        axes.axvline(0.0, color="0.3", linewidth=0.8)
        axes.locator_params(axis="x", nbins=6)
        axes.xaxis.set_major_formatter("{x:,.10g}")
        axes.set_yticks(at, labels)
        axes.set_title(title)
        axes.set_xlabel(unit)
    return place
