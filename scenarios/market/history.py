"""Market history aligned on one business calendar, and the holidays of each market in it.

Missing stays missing: a hole is NaN and never filled. A holiday is no hole: the market's last level stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.arrays import Dates, Floats
from lake.errors import NotFound, unknown
from lake.tables import Snapshot
from scenarios.market.calendars import closed_days, sessions
from scenarios.types import FactorIndex, RiskFactor


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


def market_holidays(
    history: MarketHistory, declared: Mapping[str, str], max_days: int
) -> dict[str, npt.NDArray[np.bool_]]:
    """The days (n_dates,) on which each source's market was closed.

    A day on which every factor of a source is missing is its market's holiday, up to `max_days` of them in a row; a day on which
    only some are missing is a hole in the data of those. `declared` maps a source to its exchange calendar instead: then a
    business day of that calendar without data is a hole too. Raises `BadInput` for an unknown source or calendar.
    """
    observed: dict[str, npt.NDArray[np.bool_]] = {}
    for f, levels in zip(history.index.factors, history.levels.T, strict=True):
        observed[f.source] = observed.get(f.source, False) | np.isfinite(levels)
    for source in declared:
        if source not in observed:
            raise unknown("source", source, observed, pointer="calendars")
    out = {s: closed_days(days, max_days) for s, days in observed.items()}
    if len(history.dates):
        first, last = history.dates[0].item(), history.dates[-1].item()
        for source, calendar in declared.items():
            out[source] = ~np.isin(history.dates, sessions(calendar, first, last)) & ~observed[source]
    return out


def carry_over(levels: Floats, closed: npt.NDArray[np.bool_]) -> Floats:
    """Levels (n_dates, n_factors) with the level of the day before on each closed day: NaN where that one is missing."""
    out = levels.copy()
    for i in np.flatnonzero(closed[1:].any(axis=1)) + 1:
        out[i, closed[i]] = out[i - 1, closed[i]]
    return out
