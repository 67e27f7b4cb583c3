"""Historical simulation: each scenario replays one past move of all risk factors onto today's levels.

Hull, *Risk Management and Financial Institutions*, ch. "Historical simulation": level in scenario i = today's level moved
as from day i-1 to day i (from day i-n for a horizon of n days). A scenario is labelled by the day its move ends on.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pyarrow.compute as pc
from pydantic import Field, model_validator

from lake.arrays import Bools, Floats, Ints
from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios.historical.garch import fit
from scenarios.kernels.weighting import age_weights, ewma_variance, volatility_scales, warm_up_days, why_unscaled
from scenarios.market.calendars import CALENDAR_START
from scenarios.market.history import MarketHistory, load_history
from scenarios.market.moves import (
    ALL_CLOSED,
    FactorMoves,
    MaxDropped,
    MoveRules,
    droppable,
    exclude_costly,
    measure,
    span_name,
    without_idle_days,
)
from scenarios.types import NOT_SCALED, ScenarioSet

DEFAULT_SCENARIOS = 500


class WindowRules(MoveRules):
    """Parameters of the methods that take their moves from one window for all factors."""

    max_missing: float = Field(
        0.25, ge=0, lt=1, description="a factor without a move on more than this share of days is excluded"
    )
    max_dropped: MaxDropped = 0.01


class HistoricalDefinition(WindowRules):
    """Parameters of historical simulation: a window by length or by dates, the horizon, and how its moves are weighted or scaled."""

    method: Literal["historical"] = "historical"
    scenarios: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description=f"number of scenarios, the latest there are; {DEFAULT_SCENARIOS} unless window_start is given",
    )
    window_start: dt.date | None = Field(
        None, description="first day a move may end on, instead of a number of scenarios"
    )
    window_end: dt.date | None = Field(None, description="last day a move may end on; default the market date")
    horizon_days: int = Field(1, ge=1, le=250, description="business days a move spans")
    overlapping: bool = Field(True, description="whether moves of several days may share days")
    age_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="weights fall by this factor with each business day of age (Boudoukh-Richardson-Whitelaw); "
        "equal weights when absent",
    )
    volatility_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="moves are scaled to today's volatility, exponentially weighted with this factor (Hull-White); "
        "as they were when absent",
    )
    volatility_model: Literal["ewma", "garch"] = Field(
        "ewma",
        description="the volatility that moves are scaled by: ewma, with volatility_decay; or garch, a GARCH(1,1) fitted to the window",
    )
    volatility_seed: Literal["warm_up", "window", "sample"] = Field(
        "warm_up",
        description="variance that the ewma begins with: mean square of the days before the first scenario; mean square of the window's "
        "moves; or their sample variance (mean removed, divisor n - 1)",
    )
    volatility_target: Literal["forecast", "last_day"] = Field(
        "forecast", description="the volatility scaled to: the forecast for the next day, or that for the last day"
    )

    @model_validator(mode="after")
    def _one_way_of_scaling(self) -> Self:
        if self.volatility_model == "garch" and self.volatility_decay is not None:
            raise ValueError("give volatility_decay, or volatility_model=garch, not both")
        ways = {n: getattr(self, n) for n in ("volatility_seed", "volatility_target")}
        needless = [n for n, v in ways.items() if v != type(self).model_fields[n].default and not self.scaled]
        if self.volatility_model == "garch" and self.volatility_seed != "warm_up":
            needless = ["volatility_seed"]
        if needless:
            raise ValueError(
                f"{needless[0]} has a meaning only where moves are scaled: give volatility_decay with it, such as 0.94"
            )
        return self

    @property
    def scaled(self) -> bool:
        """Whether moves are scaled to today's volatility."""
        return self.volatility_decay is not None or self.volatility_model == "garch"

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.window_start is not None and self.scenarios is not None:
            raise ValueError("give the window by its dates or by a number of scenarios, not both")
        if not (self.window_start or dt.date.min) <= self.last_day <= self.market_date:
            raise ValueError("expected window_start <= window_end <= market_date")
        return self

    @property
    def wanted(self) -> int | None:
        """Number of scenarios; None for a window by dates."""
        return None if self.window_start is not None else self.scenarios or DEFAULT_SCENARIOS

    @property
    def stride(self) -> int:
        """Business days from one scenario's end to the next."""
        return 1 if self.overlapping else self.horizon_days

    @property
    def last_day(self) -> dt.date:
        return self.window_end or self.market_date


@dataclass(frozen=True)
class HistoricalWindow:
    """The moves a set is made of: `rows` of `moves` in order, of the `kept` factors; why factors and days are left out."""

    history: MarketHistory
    moves: FactorMoves
    kept: Bools
    rows: Ints
    excluded: Mapping[str, str]
    dropped: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(d) for d in self.moves.days[self.rows])


def generate(snapshot: Snapshot, definition: HistoricalDefinition, name: str) -> ScenarioSet:
    """The scenario set of the definition.

    A day on which any factor of the set has no move over the horizon is dropped and listed. A factor without enough history, or
    without a level at the market date, is excluded and listed; one whose missing moves a proxy stands in for is listed as proxied.
    Raises `NotFound` or `BadInput` when no full window is left.
    """
    if definition.scaled:
        definition = definition.with_log_prices()
    w = select(snapshot, definition)
    scales: Floats = np.ones((len(w.rows), len(w.kept)))
    models: dict[int, str] = {}
    if definition.scaled:
        daily = w.moves
        if definition.horizon_days > 1:
            daily = measure(w.history, definition)
            daily = daily.fill(np.ones(len(daily.days), dtype=bool), definition)
        scales, models = _scales(w, daily, definition)
    levels: Floats = np.empty((int(w.kept.sum()), len(w.rows)))
    for i, j in enumerate(np.flatnonzero(w.kept).tolist()):
        levels[i] = w.moves.apply(j, w.moves.base[j], w.moves.moves[w.rows, j] * scales[:, j])
    return w.moves.scenario_set(
        w.kept,
        levels,
        name=name,
        method=definition.method,
        market_date=definition.market_date,
        definition=definition.model_dump(mode="json"),
        labels=w.labels,
        weights=None if definition.age_decay is None else age_weights(w.rows.max() - w.rows, definition.age_decay),
        horizon_days=definition.horizon_days,
        excluded=w.excluded,
        dropped=w.dropped,
        proxied=w.moves.proxied(w.rows, w.kept),
        holidays=w.moves.holidays(w.rows, w.kept),
        fitted={w.moves.index.factors[j].risk_factor_id: text for j, text in models.items() if w.kept[j]},
    )


def select(snapshot: Snapshot, definition: HistoricalDefinition) -> HistoricalWindow:
    """The window of the definition, found in as much history as it takes; raises `BadInput` when there is not enough."""
    begins = pc.min(snapshot.read("market_data", ["as_of_date"])["as_of_date"]).as_py() or definition.market_date
    # enough days for the window even when a fifth is lost; widened until it is full or history ends
    span = 30 if definition.wanted is None else math.ceil(definition.wanted * definition.stride * 1.25) + 30
    before = definition.horizon_days + (warm_up_days(definition.volatility_decay) if definition.volatility_decay else 0)
    for_proxies = definition.market_date - calendar_days(definition.proxies.window)
    while True:
        first = min((definition.window_start or definition.last_day) - calendar_days(span + before), for_proxies)
        history = load_history(snapshot, definition.calendar, max(first, CALENDAR_START), definition.market_date)
        result = _window(history, definition)
        if isinstance(result, HistoricalWindow):
            return result
        if first <= max(begins, CALENDAR_START):
            raise BadInput(
                f"{definition.wanted} scenarios up to {definition.last_day} were asked for, but the history gives only {result}. "
                "Ask for fewer, a later market date, or bring in more history."
            )
        span *= 2


def calendar_days(business_days: int) -> dt.timedelta:
    """A stretch of time that holds at least so many business days."""
    return dt.timedelta(days=math.ceil(business_days * 365 / 250) + 10)


def _window(history: MarketHistory, definition: HistoricalDefinition) -> HistoricalWindow | int:
    """The window, or the number of moves there are when they are too few."""
    wanted, horizon, stride = definition.wanted, definition.horizon_days, definition.stride
    excluded: dict[str, str] = {}

    def choose(measured: FactorMoves) -> tuple[Bools, tuple[FactorMoves, Bools, Ints, int]]:
        inside = measured.days <= np.datetime64(definition.last_day)
        if definition.window_start is not None:
            inside &= measured.days >= np.datetime64(definition.window_start)
        else:  # the history begins with its first move
            inside &= np.logical_or.accumulate(np.isfinite(measured.moves).any(axis=1))
        needed = inside.copy()
        if wanted is not None:
            needed[
                : -math.ceil(wanted * stride * 1.1) - int((measured.days > np.datetime64(definition.last_day)).sum())
            ] = False
        moves = measured.fill(needed, definition)
        excluded.update({**moves.excluded, **excluded})
        kept, rows, most = _choose(moves, inside, needed, definition, excluded)
        return kept, (moves, inside, rows, most)

    history, kept, (moves, inside, rows, most), idle = without_idle_days(history, definition, choose, horizon)
    if wanted is not None and len(rows) < wanted:
        return most
    if len(rows) == 0:
        raise BadInput(
            f"No day from {definition.window_start} to {definition.last_day} has a {span_name(horizon)} move of every risk factor. "
            "Give other dates, or bring in the history of that time."
        )
    lost = inside & ~np.isfinite(moves.moves[:, kept]).all(axis=1)
    if wanted is not None:
        lost[: rows[0]] = False
    dropped = {str(moves.days[i]): moves.lacking(i, kept, span_name(horizon)) for i in np.flatnonzero(lost).tolist()}
    first = np.datetime64(definition.window_start or moves.days[rows[0]])
    dropped |= {str(d): ALL_CLOSED for d in idle if first <= d <= np.datetime64(definition.last_day)}
    return HistoricalWindow(history, moves, kept, rows, excluded, dropped)


def _choose(
    moves: FactorMoves, window: Bools, needed: Bools, definition: HistoricalDefinition, excluded: dict[str, str]
) -> tuple[Bools, Ints, int]:
    """The factors of the set (n_factors,), the rows of its scenarios, and the most there are of whichever factors; says in `excluded` why
    the others are left out."""
    factors, wanted, span = moves.index.factors, definition.wanted, span_name(definition.horizon_days)
    there = np.isfinite(moves.moves)
    holes = ~(there | moves.closed)
    days, which = int(needed.sum()), "business days of the window" if wanted is None else "latest business days"
    lost = holes[needed].sum(axis=0)
    for j in np.flatnonzero(lost > max(definition.max_missing * days, 2)).tolist():  # one missing level takes two moves
        excluded.setdefault(factors[j].risk_factor_id, f"{span} moves on only {days - lost[j]} of the {days} {which}")
    kept = np.array([f.risk_factor_id not in excluded for f in factors])
    starts = np.where(there.any(axis=0), np.argmax(there, axis=0), len(there))
    first = int(np.argmax(window)) if wanted is None else 0

    holes &= np.arange(len(holes))[:, None] >= starts
    asked = np.flatnonzero(window & ~(moves.closed & ~there)[:, kept].any(axis=1))
    n = len(asked) if wanted is None else wanted * definition.stride
    may = droppable(definition.max_dropped, n)
    asked = asked[-n - may :]
    excluded |= exclude_costly(factors, holes[asked], kept, moves.days[asked], may, span)

    def rows() -> Ints:
        full = np.flatnonzero(window & there[:, kept].all(axis=1)) if kept.any() else np.array([], dtype=np.int64)
        return _spread(full, definition.stride)[-(wanted or len(full)) :]

    used = rows()
    most = len(used)
    # a factor that begins inside the window would shorten it for all: the latest beginner leaves first
    while kept.any() and len(used) < (wanted or len(there)) and (latest := starts[kept].max()) > first:
        for j in np.flatnonzero(kept & (starts == latest)).tolist():
            begins = moves.days[latest]
            excluded[factors[j].risk_factor_id] = f"first move ends on {begins}, too late for " + (
                "the window" if wanted is None else f"{wanted} scenarios"
            )
            kept[j] = False
        used = rows()
        most = max(most, len(used))
    return kept, used, most


def _spread(rows: Ints, stride: int) -> Ints:
    """The latest row and each next earlier one that lies at least `stride` rows before the one taken after it; ascending."""
    taken: list[int] = []
    for row in rows[::-1].tolist():
        if not taken or taken[-1] - row >= stride:
            taken.append(row)
    return np.array(taken[::-1], dtype=np.int64)


def _scales(w: HistoricalWindow, daily: FactorMoves, definition: HistoricalDefinition) -> tuple[Floats, dict[int, str]]:
    """What each used move (n_rows, n_factors) is multiplied by, and by column the fitted model or why a factor is not scaled.

    The average starts the warm-up days before the first scenario and is seeded with their mean square, or with the first scenario and a
    figure of the window; a GARCH model is fitted from the first scenario's day on. Row i of `w.moves` and of `daily` begin on the same day,
    so that the forecast before that day's move is the one known when the move of several days began. A factor that moved out of a calm,
    such as a pegged currency, keeps its moves as they were.
    """
    decay, seed = definition.volatility_decay, definition.volatility_seed
    warm_up = warm_up_days(decay) if decay is not None and seed == "warm_up" else 0
    start = max(int(w.rows[0]) - warm_up, 0)
    rows = w.rows - start
    known = np.where(daily.closed, np.nan, daily.moves)[start:]
    models: dict[int, str] = {}
    if decay is None:
        variance = np.ones((len(known) + 1, known.shape[1]))
        for j in np.flatnonzero(w.kept).tolist():
            there = np.isfinite(known[:, j])
            model = fit(known[there, j], daily.days[start:][there])
            variance[:, j] = model.variance[np.append(0, np.cumsum(there))]
            models[j] = model.text
    else:
        variance = ewma_variance(known, decay, warm_up or int(rows[-1]) + 1, centred=seed == "sample")
    forecast = variance[rows]
    scales = volatility_scales(forecast, variance[-1 if definition.volatility_target == "forecast" else -2])
    for j in range(scales.shape[1]):
        spans = definition.horizon_days * forecast[:, j]
        why = why_unscaled(w.moves.moves[w.rows, j], spans, w.moves.days[w.rows], len(known))
        if why is not None:
            models[j], scales[:, j] = NOT_SCALED + why, 1.0
    return scales, models
