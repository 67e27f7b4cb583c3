"""Figures as the web pages write them, read back and held to those of the API."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator

DIGITS = 2e-5  # of a figure below a thousand: six digits are written


def table_of(place: Locator, caption: str) -> list[dict[str, str]]:
    """The rows of the table whose caption begins so, by column."""
    found = place.locator("table", has=place.page.locator("caption", has_text=caption)).first
    rows: list[list[str]] = found.evaluate(
        "t => [...t.rows].map(r => [...r.cells].map(c => c.innerText.replace(/[▲▼]/g, '').trim()))"
    )
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def assert_shows(text: str, value: Any) -> None:
    """The text is the value as a reader is to see it: a thousand and more without decimals, what is missing as a dash."""
    if value is None:
        assert text == "–"
    elif isinstance(value, float | int):
        tolerance = 0.5 if abs(value) >= 1000 else DIGITS * abs(value)
        assert float(text.replace(",", "")) == pytest.approx(value, abs=tolerance + 1e-12)
    else:
        assert text == str(value)
