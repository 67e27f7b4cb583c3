"""The small lake with credit curves of its counterparties and of one of our entities, and values of its book on drawn paths."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
from small_lake import BOOK, FACTORS, FRIDAY, MONDAY, build_lake, no_spark, request
from support import factor

from aggregation.exposure.path_values import PathValues, given_path_values
from aggregation.exposure.scope import open_book, path_scope
from aggregation.session import Session
from lake.committer import Committer
from lake.landing.reference import ingest_counterparties
from lake.tables import Lake
from valuation.instruments.schedules import horizon_date
from valuation.sets.requests import run_valuation

HAZARDS = [
    factor(f"HZ:{name}:{t}", "hazard_rate", curve=name, pillar=t)
    for name in ("C0", "C1", "OWN")
    for t in ("1Y", "5Y", "10Y")
]
COUNTERPARTIES = """counterparty,effective_from,sector,rating,group,credit_curve,recovery
counterparty-0,2019-01-01,financial,A,,C0,0.4
counterparty-1,2019-01-01,technology_telecom,BBB,,C1,0.25
legal_entity-0,2019-01-01,financial,AA,,OWN,0.4
"""
GRID = ("1M", "3M", "6M", "1Y", "2Y")
PATHS = 400


def build_cva_lake(folder: Path, counterparties: str = COUNTERPARTIES) -> Lake:
    """Friday and Monday valued; legal_entity-1 has no row, so no DVA."""
    lake = build_lake(folder, factors=[*FACTORS, *HAZARDS], held=BOOK)
    file = folder.parent / f"{folder.name}-names.csv"
    file.write_text(counterparties)
    with Committer(lake, "test") as committer:
        ingest_counterparties(committer, file)
        for day in (FRIDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
    return lake


def drawn_paths(session: Session, query: Any, seed: int = 5, spread: float = 40.0) -> PathValues:
    """Normal walks of the value of every contract of the book, dollars alone converted one to one; EQ:AAA as a level."""
    held = open_book(session, query)
    scope, _ = path_scope(session, query, held)
    days: list[dt.date] = [horizon_date(query.as_of, t, "weekdays") for t in scope.grid]
    ids = held.book.contract_ids.to_pylist()
    rng = np.random.default_rng(seed)
    n, root = query.paths, np.sqrt(np.diff([0.0, *((d - query.as_of).days / 365 for d in days)]))
    level = 100.0 * np.exp(np.cumsum(0.2 * root[:, None] * rng.normal(size=(len(days), n)), axis=0))
    base = np.linspace(-20.0, 30.0, len(ids))
    own = np.cumsum(spread * root[:, None, None] * rng.normal(size=(len(days), len(ids), n)), axis=0)
    values = base[None, :, None] + own + 0.5 * (level[:, None, :] - 100.0)
    years = np.array([(d - query.as_of).days / 365 for d in days])
    return given_path_values(
        query.as_of,
        days,
        ids,
        ["USD"] * len(ids),
        base,
        values,
        spots={"USD": np.ones((len(days), n)), "EUR": np.full((len(days), n), 1.1)},
        discounts={"USD": np.exp(-0.02 * years)[:, None] * np.ones(n)},
        levels={"EQ:AAA": level},
    )
