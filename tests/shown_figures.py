"""Figures as the web pages show them."""

from __future__ import annotations


def shown(value: float) -> str:
    """Amounts of a thousand and more without decimals, others with six significant digits."""
    return f"{round(value):,}" if abs(value) >= 1000 else f"{value:.6g}"
