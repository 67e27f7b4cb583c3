"""The figure every picture is drawn on, and its look; matplotlib is the extra `plot`."""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from pathlib import Path
from typing import Any

from lake.errors import BadInput, NotReady
from service.rendering.display import text

SYNTHETIC = "Synthetic market data."
FORMATS = ("svg", "png", "pdf")
_STYLE = {
    "svg.hashsalt": "varlake",
    "svg.fonttype": "none",
    "axes.unicode_minus": False,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.parse_math": False,  # a $ in a name is a dollar
}
_IN_MILLIONS = 1e9  # from here on the figures of an axis are in millions
_TITLE, _PRINT = 9, 13  # characters of an inch of the title, and of the small print
_MOST_LINES = 3  # of a text around a picture
_NAMES_INSIDE = 4  # lines whose names fit among them
_MOST_DATES = 6  # named along the bottom
_GAP = 5  # dots between two labels
_AROUND_LEGEND = 2.0  # inches for title, labels and foot
_AROUND: ContextVar[tuple[Sequence[str], Sequence[str]]] = ContextVar("around", default=((), ()))


@contextmanager
def captioned(below_title: Sequence[str], foot: Sequence[str]) -> Iterator[None]:
    """Every figure drawn inside has these texts below its title, and those at its foot."""
    token = _AROUND.set((below_title, foot))
    try:
        yield
    finally:
        _AROUND.reset(token)


def check_ending(path: Path) -> None:
    """Raises `BadInput` for a picture of another format."""
    if path.suffix[1:] not in FORMATS:
        raise BadInput(f"Unknown picture format {path.suffix[1:]!r} of {path}; expected .svg, .png or .pdf.")


@contextmanager
def figure(path: str | Path, title: str, width: float = 11.0, height: float = 5.5) -> Iterator[tuple[Any, Path]]:
    """A figure to draw on, written to `path` at the end; the ending decides the format, and the same picture is the same file.

    Raises `NotReady` without matplotlib, `BadInput` for another ending or a path it cannot write to.
    """
    path = Path(path)
    check_ending(path)
    try:
        # optional, and slow to import: only a picture needs it
        matplotlib: Any = importlib.import_module("matplotlib")
        figures: Any = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise NotReady("Pictures need matplotlib; install it with `pip install 'varlake[plot]'`.") from None
    below, foot = _AROUND.get()
    with matplotlib.rc_context(_STYLE):
        drawn = figures.Figure(figsize=(width, height), layout="constrained")
        drawn.suptitle(_lines([title, *below], width * _TITLE), fontsize=12)
        drawn.supxlabel(_lines(foot, width * _PRINT), x=0.01, ha="left", fontsize=8, color="0.3")
        yield drawn, path
        _make_room(drawn)
        try:
            # no date inside, so that the same picture is the same file
            dated = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix)
            drawn.savefig(path, metadata=dated and {dated: None})
        except OSError as error:
            raise BadInput(f"The picture cannot be written to {path}: {error}.") from None


def money(axes: Any, axis: str, unit: str, remark: str = "") -> Callable[[float], str]:
    """Names an axis, x or y, on which everything is drawn, and writes its figures in full, or in millions where they are many.

    Returns how a figure beside it is written.
    """
    low, high = getattr(axes, f"get_{axis}lim")()
    large = bool(max(abs(low), abs(high)) >= _IN_MILLIONS)
    scale, nothing = (1e6 if large else 1.0), 1e-9 * (high - low)
    line = getattr(axes, f"{axis}axis")
    line.set_major_formatter(lambda at, _: full(0.0 if abs(at) < nothing else at / scale))
    line.set_label_text(f"{unit}{', in millions' * large}{remark}")
    return lambda value: text(value / scale)


def full(value: float) -> str:
    """All digits that matter, thousands separated, without an exponent."""
    return f"{Decimal(f'{value + 0.0:.10g}'):,f}"


def name_lines(axes: Any, names: int) -> None:
    """A legend: inside, or beside where many names would cover what is drawn."""
    axes.legend(**({"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if names > _NAMES_INSIDE else {}), fontsize=9)


def name_dates(axes: Any, dates: Sequence[dt.date]) -> None:
    """Some of the dates that are drawn along the bottom, the last among them, apart enough to be read."""
    named: list[dt.date] = []
    for day in sorted(dates, reverse=True):
        if not named or named[-1] - day >= (max(dates) - min(dates)) / _MOST_DATES:
            named.append(day)
    axes.set_xticks(named, [day.isoformat() for day in named])


def wrapped(name: str, width: int) -> str:
    """A long name in several lines."""
    return textwrap.fill(name, width)


def _lines(texts: Sequence[str], width: float) -> str:
    return "\n".join(textwrap.fill(t, int(width), max_lines=_MOST_LINES, placeholder=" ...") for t in texts)


def _make_room(drawn: Any) -> None:
    """A figure as high as its legends, and fewer figures on an axis along the bottom whose labels would touch."""
    ticker: Any = importlib.import_module("matplotlib.ticker")
    drawn.draw_without_rendering()
    legends = [axes.get_legend().get_window_extent().height for axes in drawn.axes if axes.get_legend()]
    drawn.set_figheight(max(drawn.get_figheight(), _AROUND_LEGEND + max(legends, default=0.0) / drawn.dpi))
    for axes in drawn.axes:
        if isinstance(axes.xaxis.get_major_locator(), ticker.MaxNLocator):
            for most in range(8, 1, -1):
                axes.locator_params(axis="x", nbins=most)
                if not touching(drawn, axes):
                    break


def touching(drawn: Any, axes: Any) -> bool:
    """Whether two labels along the bottom of the axes touch as they are drawn."""
    drawn.draw_without_rendering()
    boxes = [t.label1.get_window_extent() for t in axes.xaxis.get_major_ticks() if t.label1.get_text()]
    low, high = sorted(axes.bbox.intervalx)
    boxes = sorted((b for b in boxes if low - 1 <= (b.x0 + b.x1) / 2 <= high + 1), key=lambda b: b.x0)
    return any(one.x1 + _GAP > two.x0 for one, two in itertools.pairwise(boxes))
