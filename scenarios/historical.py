"""Historical simulation: each scenario replays one past day's move of all risk factors onto today's levels.

Hull, *Risk Management and Financial Institutions*, ch. "Historical simulation": level in scenario i = today's level moved
as from day i-1 to day i. A scenario is labelled by the day its move ends on.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios import shifts
from scenarios.base_market import base_levels, has_market, no_market
from scenarios.calendars import CALENDAR_START
from scenarios.history import MarketHistory, load_history
from scenarios.types import FactorIndex, Floats, ScenarioSet

_SHOWN = 3  # names given in a reason before "and n more"


class HistoricalDefinition(BaseModel):
    """Parameters of historical simulation over the latest full business days up to the market date."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["historical"] = "historical"
    market_date: dt.date = Field(description="date of the base levels; the last move may end on it")
    scenarios: int = Field(500, ge=1, le=10_000, description="number of scenarios")
    calendar: str = Field("XNYS", description="business calendar (exchange_calendars code, or weekdays)")
    max_missing: float = Field(
        0.25, ge=0, lt=1, description="a factor without a one-day move on more than this share of days is excluded"
    )
    max_held_days: int = Field(
        3, ge=0, le=10, description="business days a factor's last level may be held for the base, visibly"
    )


def generate(snapshot: Snapshot, definition: HistoricalDefinition, name: str) -> ScenarioSet:
    """The scenario set of the definition.

    A move is a one-day move only between two neighbouring business days of the calendar; a day on which any factor of
    the set has none is dropped and listed. A factor without enough history, or without a level at the market date,
    is excluded and listed. Raises `NotFound` or `BadInput` when no full window is left.
    """
    wanted = definition.scenarios
    begins = pc.min(snapshot.read("market_data", ["as_of_date"])["as_of_date"]).as_py() or definition.market_date
    # enough days for the window even when a fifth is lost to holidays; widened until it is full or history ends
    span = math.ceil(wanted * 1.25) + 30
    while True:
        first = definition.market_date - dt.timedelta(days=math.ceil(span * 365 / 250) + 10)
        history = load_history(snapshot, definition.calendar, max(first, CALENDAR_START), definition.market_date)
        result = _from_history(history, definition, name)
        if isinstance(result, ScenarioSet):
            return result
        if first <= max(begins, CALENDAR_START):
            raise BadInput(
                f"{wanted} scenarios up to {definition.market_date} were asked for, but the history gives only {result}. "
                "Ask for fewer scenarios, a later market date, or bring in more history."
            )
        span *= 2


def _from_history(history: MarketHistory, definition: HistoricalDefinition, name: str) -> ScenarioSet | int:
    """The set, or the number of scenarios there are when they are too few."""
    wanted, market_date = definition.scenarios, definition.market_date
    factors, levels = history.index.factors, history.levels
    if not has_market(history, market_date):
        raise no_market(history, market_date, definition.calendar)

    base, excluded, held = base_levels(history, definition.max_held_days)
    moves = np.empty((len(history.dates) - 1, len(factors)))
    for j, factor in enumerate(factors):
        moves[:, j] = shifts.move(factor.shift_type, levels[:-1, j], levels[1:, j])
    there = np.isfinite(moves)

    recent = there[-math.ceil(wanted * 1.1) :]
    share_missing = 1.0 - recent.mean(axis=0)
    for j in np.flatnonzero(share_missing > definition.max_missing).tolist():
        excluded.setdefault(
            factors[j].risk_factor_id,
            f"one-day moves on only {int(recent[:, j].sum())} of the latest {len(recent)} business days",
        )
    kept = np.array([f.risk_factor_id not in excluded for f in factors])
    full = np.flatnonzero(there[:, kept].all(axis=1))
    starts = np.argmax(there, axis=0)
    # a factor that begins inside the window would shorten it for all: the latest beginner leaves first
    while len(full) < wanted and kept.any() and (latest := starts[kept].max()) > 0:
        for j in np.flatnonzero(kept & (starts == latest)).tolist():
            begins = history.dates[np.argmax(np.isfinite(levels[:, j]))]
            excluded[factors[j].risk_factor_id] = f"history begins on {begins}, too late for {wanted} scenarios"
            kept[j] = False
        full = np.flatnonzero(there[:, kept].all(axis=1))
    if not kept.any():
        return int(there.sum(axis=0).max())
    if len(full) < wanted:
        return len(full)
    used = full[-wanted:]
    ids = [f.risk_factor_id for f, k in zip(factors, kept, strict=True) if k]
    days = history.dates[1:]
    dropped = {
        str(days[i]): _lacking(ids, there[i, kept]) for i in range(used[0], len(days)) if not there[i, kept].all()
    }
    base_kept = base[kept]
    shocked_levels: Floats = np.empty((len(ids), wanted))
    for row, j in enumerate(np.flatnonzero(kept).tolist()):
        shocked_levels[row] = shifts.apply(factors[j].shift_type, base_kept[row], moves[used, j])
    return ScenarioSet(
        scenario_set_id="",
        name=name,
        method=definition.method,
        market_date=market_date,
        definition=definition.model_dump(mode="json"),
        index=FactorIndex(tuple(f for f, k in zip(factors, kept, strict=True) if k)),
        labels=tuple(str(days[i]) for i in used),
        base=base_kept,
        levels=shocked_levels,
        shocked=np.ones(len(ids), dtype=bool),
        horizon_days=1,
        excluded=excluded,
        held={k: v for k, v in held.items() if k not in excluded},
        dropped=dropped,
        market_data_version=history.market_data_version,
    )


def _lacking(ids: list[str], there: npt.NDArray[np.bool_]) -> str:
    missing = [i for i, ok in zip(ids, there, strict=True) if not ok]
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"no one-day move for {', '.join(missing[:_SHOWN])}{more}"
