"""Replay: the moves of a named period of market history, onto the market of any date."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from lake.arrays import Floats
from lake.errors import BadInput, unknown
from lake.tables import Snapshot
from scenarios.historical.historical import calendar_days
from scenarios.kernels import shifts
from scenarios.market.calendars import CALENDAR_START
from scenarios.market.history import load_history
from scenarios.market.moves import ALL_CLOSED, FactorMoves, MoveRules, measure
from scenarios.types import ScenarioSet


@dataclass(frozen=True)
class Period:
    """A stretch of market history: the days its moves end on, both included. It starts from the close before `first`."""

    first: dt.date
    last: dt.date
    meaning: str


PERIODS: dict[str, Period] = {
    "lehman-2008": Period(
        dt.date(2008, 9, 15), dt.date(2008, 10, 10), "Lehman Brothers fails; from the close of 2008-09-12, four weeks"
    ),
    "flash-crash-2010": Period(
        dt.date(2010, 5, 6), dt.date(2010, 5, 6), "the US flash crash; closing levels show a part of it"
    ),
    "chf-floor-2015": Period(
        dt.date(2015, 1, 15), dt.date(2015, 1, 15), "the Swiss franc is let go from its floor of 1.20"
    ),
    "brexit-2016": Period(dt.date(2016, 6, 24), dt.date(2016, 6, 27), "two days after the United Kingdom's vote"),
    "february-2018": Period(dt.date(2018, 2, 2), dt.date(2018, 2, 8), "equity volatility doubles in a day"),
    "march-2020": Period(
        dt.date(2020, 2, 20), dt.date(2020, 3, 23), "the pandemic, from the peak of US equities to their low"
    ),
    "rates-2022": Period(
        dt.date(2022, 1, 3), dt.date(2022, 10, 24), "rates and yields rise, to the peak of the ten-year US yield"
    ),
}


class ReplayDefinition(MoveRules):
    """Parameters of a replay: a named period or two dates, and whether day by day or cumulated."""

    method: Literal["replay"] = "replay"
    period: str | None = Field(None, description=f"name of a period: {', '.join(PERIODS)}")
    first: dt.date | None = Field(None, description="instead of a name: first day a move ends on")
    last: dt.date | None = Field(None, description="instead of a name: last day a move ends on")
    mode: Literal["daily", "cumulated", "path"] = Field(
        "daily",
        description="a scenario for each day's move; one for the move over the whole period; or one for the move up to each day",
    )

    @model_validator(mode="after")
    def _one_period(self) -> Self:
        dates = (self.first is not None) + (self.last is not None)
        if (self.period is None) == (dates == 0) or dates == 1:
            raise ValueError("give either period, a name, or both first and last")
        if self.period is not None and self.period not in PERIODS:
            raise ValueError(unknown("period", self.period, PERIODS).message)
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError("first must not lie after last")
        return self

    @property
    def days(self) -> tuple[dt.date, dt.date]:
        if self.period is not None:
            return PERIODS[self.period].first, PERIODS[self.period].last
        assert self.first is not None  # the validator has seen to it
        assert self.last is not None
        return self.first, self.last


def generate(snapshot: Snapshot, definition: ReplayDefinition, name: str) -> ScenarioSet:
    """The scenario set of the definition.

    A factor that lacks a move of the period has its proxy's, or is excluded and listed: a day of the period is never left out. The period
    may lie after the market date. Raises `BadInput` when the period has no business day or no history.
    """
    first, last = definition.days
    start = min(first - calendar_days(10), definition.market_date - calendar_days(definition.proxies.window))
    end = max(last, definition.market_date)
    history = load_history(snapshot, definition.calendar, max(start, CALENDAR_START), end, terms=definition.market_date)
    measured = measure(history, definition)
    inside = (measured.days >= np.datetime64(first)) & (measured.days <= np.datetime64(last))
    if not inside.any():
        raise BadInput(f"No business day of calendar {definition.calendar} lies between {first} and {last}.")
    moves = measured.fill(inside, definition)
    rows = np.flatnonzero(inside)
    levels = _daily(moves, rows) if definition.mode == "daily" else _path(moves, rows)
    labels = tuple(str(d) for d in moves.days[rows])
    if definition.mode == "cumulated":
        levels, labels = levels[:, -1:], (f"{labels[0]}..{labels[-1]}",)
    excluded = dict(moves.excluded)
    for j in np.flatnonzero(~np.isfinite(levels).all(axis=1)).tolist():
        lacking = int((~np.isfinite(moves.moves[rows, j])).sum())
        excluded.setdefault(
            moves.index.factors[j].risk_factor_id,
            f"no move on {lacking} of the {len(rows)} business days of the period, and no proxy",
        )
    kept = np.array([f.risk_factor_id not in excluded for f in moves.index.factors])
    if not kept.any():
        raise BadInput(
            f"No risk factor has moves from {first} to {last}; bring in the history of that time, or give other dates."
        )
    return moves.scenario_set(
        kept,
        levels[kept],
        name=name,
        method=definition.method,
        market_date=definition.market_date,
        definition=definition.model_dump(mode="json"),
        labels=labels,
        horizon_days=1 if definition.mode == "daily" else len(rows),
        excluded=excluded,
        dropped={str(d): ALL_CLOSED for d in moves.idle if first <= d.item() <= last},
        proxied=moves.proxied(rows, kept, "scenarios" if definition.mode == "daily" else "days"),
        holidays=moves.holidays(rows, kept) if definition.mode == "daily" else {},
    )


def _daily(moves: FactorMoves, rows: npt.NDArray[np.int64]) -> Floats:
    """Levels (n_factors, n_rows) after each day's move alone."""
    return np.stack([moves.apply(j, moves.base[j], moves.moves[rows, j]) for j in range(len(moves.base))])


def _path(moves: FactorMoves, rows: npt.NDArray[np.int64]) -> Floats:
    """Levels (n_factors, n_rows) after the move from the close before the first row to each day.

    Measured between the two levels where both were observed, so that a hole between them does no harm; else one day's move after the
    other, its proxy's where it has none.
    """
    out: Floats = np.empty((len(moves.base), len(rows)))
    for j, rule in enumerate(moves.rules):
        observed = moves.levels[:, j]
        total = shifts.move(rule.shift_type, observed[rows[0]], observed[rows + 1], rule.displacement)
        level, steps = moves.base[j], np.empty(len(rows))
        for i, step in enumerate(moves.moves[rows, j]):
            level = steps[i] = moves.apply(j, level, step)
        out[j] = np.where(np.isfinite(total), moves.apply(j, moves.base[j], total), steps)
    return out
