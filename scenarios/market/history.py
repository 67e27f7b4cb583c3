"""Market history aligned on one business calendar, and the holidays of each market in it.

Missing stays missing: a hole is NaN and never filled. A holiday is no hole: the market's last level stands. A blank cell is a hole; a
day that a source does not list may be a holiday.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.arrays import Bools, Dates, Floats
from lake.errors import NotFound, unknown
from lake.tables import Snapshot
from scenarios.market.calendars import DATA, Calendars, closed_days
from scenarios.market.corporate_actions import CorporateActions, load_actions
from scenarios.types import FactorIndex, RiskFactor


@dataclass(frozen=True)
class MarketHistory:
    """Levels and blanks of shape (n_dates, n_factors); rows are the business days of `calendar`, columns the factors of `index`.

    blank : the source lists the day and has no value. calendars : those of the lake.
    """

    calendar: str
    dates: Dates
    index: FactorIndex
    levels: Floats
    blank: Bools
    market_data_version: int
    calendars: Calendars = field(default_factory=Calendars)

    def on(self, days: Bools | slice) -> MarketHistory:
        """The history on some of its days."""
        return replace(self, dates=self.dates[days], levels=self.levels[days], blank=self.blank[days])


def load_factors(snapshot: Snapshot) -> FactorIndex:
    """All risk factors of the lake."""
    rows = snapshot.read("risk_factors")
    if rows.num_rows == 0:
        raise NotFound("The lake holds no risk factors yet; bring market data in with `varlake ingest market`.")
    return FactorIndex.of(RiskFactor.from_dict(r) for r in rows.to_pylist(maps_as_pydicts="strict"))


def load_calendars(snapshot: Snapshot) -> Calendars:
    """The calendars that came with the market data."""
    return calendars_of(snapshot.read("market_calendars").to_pylist())


def calendars_of(rows: Iterable[Mapping[str, Any]]) -> Calendars:
    """Calendars of rows of market_calendars."""
    rows = list(rows)
    return Calendars(
        {r["calendar"]: np.array(r["days"], dtype="datetime64[D]") for r in rows if r["days"] is not None},
        {source: r["calendar"] for r in rows for source in r["sources"]},
    )


def load_history(
    snapshot: Snapshot,
    calendar: str,
    first: dt.date,
    last: dt.date,
    index: FactorIndex | None = None,
    *,
    terms: dt.date | None = None,
) -> MarketHistory:
    """Levels used of the given factors on the calendar's business days from `first` to `last`, in the `terms` of a day, by default
    the last: adjusted for the corporate actions between that day and each level's own. Where no factors are given all of them, but
    for the dividends that have gone ex by the day of the terms, which are no part of its market.

    A level observed on a day that is no business day of the calendar is left out; those of `data` are the days that have a level.
    """
    index, actions = index or _to_come(load_factors(snapshot), terms or last), load_actions(snapshot)
    if not (actions := actions.about(index.row)).actions:
        return received_history(snapshot, calendar, first, last, index)
    # what has become one of the factors may not be among them
    more = {a.risk_factor_id for a in actions.actions} - index.row.keys()
    whole = FactorIndex.of((*index.factors, *(f for f in load_factors(snapshot).factors if f.risk_factor_id in more)))
    history = adjusted(received_history(snapshot, calendar, first, last, whole), actions, terms or last)
    own = [whole.row[f.risk_factor_id] for f in index.factors]
    return replace(history, index=index, levels=history.levels[:, own], blank=history.blank[:, own])


def _to_come(index: FactorIndex, day: dt.date) -> FactorIndex:
    gone = {f for f in index.factors if f.type == "dividend" and dict(f.attributes)["ex_date"] <= str(day)}
    return FactorIndex(tuple(f for f in index.factors if f not in gone)) if gone else index


def adjusted(history: MarketHistory, actions: CorporateActions, terms: dt.date) -> MarketHistory:
    """The history as received in the terms of a day, see `CorporateActions.adjust`."""
    if not actions.actions:
        return history
    levels, blank = history.levels.copy(), history.blank.copy()
    actions.adjust(history.index.row, history.dates, levels, blank, terms)
    return replace(history, levels=levels, blank=blank)


def received_history(
    snapshot: Snapshot, calendar: str, first: dt.date, last: dt.date, index: FactorIndex
) -> MarketHistory:
    """As `load_history`, each level in the terms of its own day."""
    calendars = load_calendars(snapshot)
    where = (ds.field("as_of_date") >= first) & (ds.field("as_of_date") <= last)
    rows = snapshot.read("market_data", ["as_of_date", "risk_factor_id", "value_used"], where)
    days = rows["as_of_date"].to_numpy().astype("datetime64[D]")
    values = rows["value_used"].to_numpy()
    ids = pa.array([f.risk_factor_id for f in index.factors])
    column = pc.fill_null(pc.index_in(rows["risk_factor_id"], ids), -1).to_numpy()
    observed = np.unique(days[(column >= 0) & np.isfinite(values)])
    dates = observed if calendar == DATA else calendars.sessions(calendar, first, last)
    row = np.searchsorted(dates, days)
    here = (column >= 0) & (row < len(dates))
    here[here] = dates[row[here]] == days[here]
    levels = np.full((len(dates), len(index.factors)), np.nan)
    levels[row[here], column[here]] = values[here]
    blank = np.zeros(levels.shape, dtype=bool)
    blank[row[here], column[here]] = np.isnan(values[here])
    return MarketHistory(calendar, dates, index, levels, blank, snapshot.versions["market_data"], calendars)


def closed_markets(history: MarketHistory, declared: Mapping[str, str], max_days: int) -> Bools:
    """The days on which each factor's market was closed, (n_dates, n_factors).

    Where its source has a calendar, in `declared` or by the catalogue, a day without data is a holiday when the calendar is closed
    and a hole when it is open. Of a source without one, or outside the years that the calendar knows, a day that it does not list is
    a holiday, up to `max_days` of them in a row, and a blank cell is a hole. Raises `BadInput` for an unknown source or calendar.
    """
    factors = history.index.factors
    sources = np.array([f.source for f in factors])
    for source in declared:
        if source not in sources:
            raise unknown("source", source, set(sources.tolist()), pointer="calendars")
    observed, out = np.isfinite(history.levels), np.zeros(history.levels.shape, dtype=bool)
    for source in dict.fromkeys(sources.tolist()):
        own = sources == source
        seen = np.asarray(observed[:, own].any(axis=1))
        told = closed_days(seen, max_days)[:, None] & ~history.blank[:, own]
        calendar = declared.get(source) or history.calendars.of_source.get(source, DATA)
        if calendar != DATA and len(history.dates):
            closed, known = history.calendars.closed(calendar, history.dates)
            told = np.where(known[:, None], (closed & ~seen)[:, None], told)
        out[:, own] = told
    return out


def carry_over(levels: Floats, closed: Bools) -> Floats:
    """Levels (n_dates, n_factors) with the level of the day before on each closed day: NaN where that one is missing."""
    out = levels.copy()
    for i in np.flatnonzero(closed[1:].any(axis=1)) + 1:
        out[i, closed[i]] = out[i - 1, closed[i]]
    return out
