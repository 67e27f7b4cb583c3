"""Small lakes for tests, made through the real committer, and exact ranks for what is expected of them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lake.committer import Committer
from lake.schemas import CONTRACTS, MARKET_DATA, RISK_FACTORS
from lake.tables import Lake
from scenarios.market.calendars import sessions
from scenarios.types import RiskFactor
from valuation.catalogue import parse_terms


def in_tail(n: int, level: float | str) -> Fraction:
    """n (1 - level), exactly: the level is the decimal it is written as, where binary makes 500 (1 - 0.99) more than 5."""
    return n * (1 - Fraction(str(level)))


def factor(risk_factor_id: str, kind: str, currency: str = "USD", **more: object) -> RiskFactor:
    return RiskFactor(risk_factor_id, kind, risk_factor_id, currency, source="test", **more)  # type: ignore[arg-type]


def put_market(lake: Lake, factors: Sequence[RiskFactor], levels: Mapping[str, Mapping[dt.date, float | None]]) -> None:
    """Writes the factors, and their levels as source `test`; a None level is a row marked missing."""
    rows = [
        {
            "as_of_date": day,
            "risk_factor_id": name,
            "value_received": value,
            "value_used": value,
            "status": "missing" if value is None else "observed",
            "rule": "",
            "source": "test",
        }
        for name, series in levels.items()
        for day, value in series.items()
    ]
    described = [
        {
            **f.to_dict(),
            "risk_class": f.risk_class.value,
            "shift_type": f.shift_type.value,
            "unit": f.unit,
            "attributes": list(f.attributes),
        }
        for f in factors
    ]
    with Committer(lake, "test") as committer:
        committer.put("risk_factors", pa.Table.from_pylist(described, schema=RISK_FACTORS.schema), replace=True)
        committer.put("market_data", pa.Table.from_pylist(rows, schema=MARKET_DATA.schema), replace=True)


def random_walks(
    factors: Sequence[RiskFactor], first: dt.date, last: dt.date, seed: int = 7
) -> dict[str, dict[dt.date, float | None]]:
    """Positive seeded walks on NYSE days: 1% a day for prices, 5 basis points for rates and spreads."""
    days = [d.item() for d in sessions("XNYS", first, last)]
    rng = np.random.default_rng(seed)
    out: dict[str, dict[dt.date, float | None]] = {}
    for f in factors:
        noise = rng.standard_normal(len(days)).cumsum()
        path = (
            0.03 + 0.0005 * noise
            if f.shift_type == "absolute"
            else (0.2 if f.type == "implied_vol" else 100.0) * np.exp(0.01 * noise)
        )
        out[f.risk_factor_id] = dict(zip(days, path.tolist(), strict=True))
    return out


def new_lake(folder: Path) -> Lake:
    return Lake.create(folder / "lake")


def contract_rows(contracts: Sequence[tuple[str, Mapping[str, object]]]) -> pa.Table:
    """Rows of the contracts table for (instrument type, terms)."""
    rows = []
    for kind, terms in contracts:
        parsed = parse_terms(kind, dict(terms))
        rows.append(
            {
                "contract_id": parsed.contract_id(),
                "instrument_type": kind,
                "currency": parsed.currency,
                "terms": parsed.to_json(),
            }
        )
    return pa.Table.from_pylist(rows, schema=CONTRACTS.schema).sort_by("contract_id")


def put_contracts(lake: Lake, contracts: Sequence[tuple[str, Mapping[str, object]]]) -> pa.Table:
    """Stores the contracts and returns their rows."""
    rows = contract_rows(contracts)
    with Committer(lake, "test") as committer:
        committer.put("contracts", rows, replace=True)
    return rows


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true value of the condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {condition}")
