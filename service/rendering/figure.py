"""The figure every picture is drawn on; matplotlib is the extra `plot`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from lake.errors import BadInput, NotReady, unknown

FORMATS = ("svg", "png", "pdf")
_MARK: ContextVar[str] = ContextVar("mark", default="")


@contextmanager
def marked(text: str) -> Iterator[None]:
    """Every figure drawn inside has the text at its foot."""
    token = _MARK.set(text)
    try:
        yield
    finally:
        _MARK.reset(token)


@contextmanager
def figure(path: str | Path, width: float = 11.0, height: float = 5.5) -> Iterator[tuple[Any, Path]]:
    """A figure to draw on, written to `path` at the end; the ending decides the format, and the same picture is the same file.

    Raises `NotReady` without matplotlib, `BadInput` for another ending or a path it cannot write to.
    """
    path = Path(path)
    if path.suffix[1:] not in FORMATS:
        raise unknown("picture format", path.suffix[1:], FORMATS)
    try:
        # optional, and slow to import: only a picture needs it
        matplotlib: Any = importlib.import_module("matplotlib")
        figures: Any = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise NotReady("Pictures need matplotlib; install it with `pip install 'varlake[plot]'`.") from None
    with matplotlib.rc_context({"svg.hashsalt": "varlake", "svg.fonttype": "none"}):
        drawn = figures.Figure(figsize=(width, height), layout="constrained")
        if text := _MARK.get():
            drawn.supxlabel(text, x=0.99, ha="right", fontsize=8, color="0.3")
        yield drawn, path
        try:
            # no date inside, so that the same picture is the same file
            drawn.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise BadInput(f"The picture cannot be written to {path}: {error}.") from None
