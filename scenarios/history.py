"""Market history aligned on one business calendar. Missing stays missing: a hole is NaN and never filled."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.errors import NotFound
from lake.tables import Snapshot
from scenarios.calendars import Dates, sessions
from scenarios.types import FactorIndex, Floats, RiskFactor


@dataclass(frozen=True)
class MarketHistory:
    """Levels of shape (n_dates, n_factors); rows are the business days of `calendar`, columns the factors of `index`."""

    calendar: str
    dates: Dates
    index: FactorIndex
    levels: Floats
    market_data_version: int


def load_factors(snapshot: Snapshot) -> FactorIndex:
    """All risk factors of the lake."""
    rows = snapshot.read("risk_factors")
    if rows.num_rows == 0:
        raise NotFound("The lake holds no risk factors yet; bring market data in with `varlake ingest market`.")
    return FactorIndex.of(RiskFactor.from_dict(r) for r in rows.to_pylist(maps_as_pydicts="strict"))


def load_history(
    snapshot: Snapshot, calendar: str, first: dt.date, last: dt.date, index: FactorIndex | None = None
) -> MarketHistory:
    """Levels used of the given factors (all when None) on the calendar's business days from `first` to `last`.

    A level observed on a day that is no business day of the calendar is left out.
    """
    index = index or load_factors(snapshot)
    dates = sessions(calendar, first, last)
    where = (ds.field("as_of_date") >= first) & (ds.field("as_of_date") <= last)
    rows = snapshot.read(
        "market_data", ["as_of_date", "risk_factor_id", "value_used"], where & ds.field("value_used").is_valid()
    )
    days = rows["as_of_date"].to_numpy().astype("datetime64[D]")
    ids = pa.array([f.risk_factor_id for f in index.factors])
    column = pc.fill_null(pc.index_in(rows["risk_factor_id"], ids), -1).to_numpy()
    row = np.searchsorted(dates, days)
    here = (column >= 0) & (row < len(dates))
    here[here] = dates[row[here]] == days[here]
    levels = np.full((len(dates), len(index.factors)), np.nan)
    levels[row[here], column[here]] = rows["value_used"].to_numpy()[here]
    return MarketHistory(calendar, dates, index, levels, snapshot.versions["market_data"])
