"""The cash dividends that a market expects of its shares: risk factors of type `dividend` with the attributes `asset` and `ex_date`."""

from __future__ import annotations

import datetime as dt

from scenarios.types import FactorIndex


def expected_dividends(index: FactorIndex) -> dict[str, list[tuple[dt.date, str]]]:
    """Ex-dates and ids of all dividends by share, in order."""
    if expected_dividends not in index.memo:
        by_share: dict[str, list[tuple[dt.date, str]]] = {}
        for f in index.factors:
            if f.type == "dividend":
                attributes = dict(f.attributes)
                day = dt.date.fromisoformat(attributes["ex_date"])
                by_share.setdefault(attributes["asset"], []).append((day, f.risk_factor_id))
        index.memo[expected_dividends] = {share: sorted(rows) for share, rows in by_share.items()}
    found: dict[str, list[tuple[dt.date, str]]] = index.memo[expected_dividends]
    return found


def going_ex(index: FactorIndex, share: str, after: dt.date, last: dt.date) -> list[tuple[dt.date, str]]:
    """Ex-dates and ids of the dividends of a share that go ex after one day, up to another."""
    return [(day, i) for day, i in expected_dividends(index).get(share, ()) if after < day <= last]
