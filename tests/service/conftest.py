"""Every test of the service keeps its log lines off the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    """Log lines of the test, kept off the terminal."""
    with structlog.testing.capture_logs() as captured:
        yield captured
