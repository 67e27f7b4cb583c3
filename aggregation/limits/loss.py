"""Limits of loss: the P&L that was made, of a node, on its last days, as it was brought in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from aggregation.limits.held import Limit, node_text
from lake.errors import BadInput, NotFound, counted
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Snapshot
from valuation.horizons.realised_pnl import RealisedMarkets

ACTUAL_PNL = "actual_pnl"
_CALENDAR = "XNYS"  # of the closes that exchange rates are taken at, as in a backtest


@dataclass(frozen=True)
class Loss:
    """used : the loss of the days together, a gain negative. days : the P&L of each, oldest first. lacking : days that the limit counts
    and no P&L is of."""

    used: float
    days: Mapping[dt.date, float]
    lacking: int


def loss_of(snapshot: Snapshot, limit: Limit, day: dt.date) -> Loss:
    """The actual P&L of the node on the day and on the days with P&L before it, in the currency of the limit at the rate of each day.

    Raises `NotFound` where there is none of the day, `BadInput` where the P&L in the lake does not speak of the node.
    """
    rows = snapshot.read(ACTUAL_PNL, where=(ds.field("pnl_date") <= day) & (ds.field("kind") == "actual"))
    for f in limit.node:
        if f.dimension not in DIMENSION_COLUMNS or rows[f.dimension].null_count == rows.num_rows > 0:
            raise BadInput(f"The actual P&L in the lake does not name the dimension {f.dimension}.")
        rows = rows.filter(pc.is_in(rows[f.dimension], value_set=pa.array(f.values, pa.string())))
    wanted = limit.horizon_days or 1
    last = sorted(set(rows["pnl_date"].to_pylist()))[-wanted:]
    if day not in last:
        whose = f" of {of}" if (of := node_text(limit.node)) else ""
        raise NotFound(f"There is no actual P&L{whose} on {day}.")
    rows = rows.filter(pc.greater_equal(rows["pnl_date"], last[0]))
    order = [(c, "ascending") for c in ("pnl_date", *DIMENSION_COLUMNS)]
    rows = rows.sort_by(order)
    days = dict.fromkeys(last, 0.0)
    markets: RealisedMarkets | None = None
    for when, pnl, currency in zip(*(rows[c].to_pylist() for c in ("pnl_date", "pnl", "currency")), strict=True):
        rate = 1.0
        if currency != limit.currency:
            markets = markets or RealisedMarkets(snapshot, last[0], last[-1], _CALENDAR)
            rate = markets.rate(when, currency, limit.currency)
        days[when] += pnl * rate
    return Loss(0.0 - sum(days.values()), days, wanted - len(last))


def short_in_words(loss: Loss) -> str | None:
    """What is to be said of days without P&L."""
    if not loss.lacking:
        return None
    return f"P&L of {counted(len(loss.days), 'day')} alone: {counted(loss.lacking, 'earlier day has', 'earlier days have')} none."
