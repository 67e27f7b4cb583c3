"""What a drawn figure holds, for tests of pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from matplotlib.text import Text


def label_boxes(drawn: Any, axis: Any) -> list[Any]:
    """Where the labels of the ticks within the axis are drawn."""
    drawn.draw_without_rendering()
    inside = axis.axes.bbox.expanded(1.001, 1.001)
    found = []
    for tick, place in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=True):
        along = axis.axes.transData.transform((place, place))[0 if axis.axis_name == "x" else 1]
        low, high = inside.intervalx if axis.axis_name == "x" else inside.intervaly
        label = tick.label1 if tick.label1.get_visible() else tick.label2
        if label.get_text() and low <= along <= high:
            found.append(label.get_window_extent())
    return found


def overlapping(boxes: list[Any]) -> bool:
    return any(one.overlaps(two) for one, two in itertools.combinations(boxes, 2))


def texts_of(drawn: Any) -> Iterator[str]:
    """Every text of the figure."""
    return (t.get_text() for t in drawn.findobj(Text) if t.get_text())
