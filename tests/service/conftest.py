"""Every test of the service keeps its log lines off the terminal; figures that are written can be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    """Log lines of the test, kept off the terminal."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures of matplotlib that the test writes."""
    figure = pytest.importorskip("matplotlib.figure").Figure
    written: list[Any] = []
    save = figure.savefig

    def kept(self: Any, *given: Any, **more: Any) -> None:
        written.append(self)
        save(self, *given, **more)

    monkeypatch.setattr(figure, "savefig", kept)
    return written
