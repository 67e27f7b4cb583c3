"""Moves of all risk factors between business days, with what is known about each: observed, market closed, or proxied.

Every method driven by history starts here: `load_moves` measures, `FactorMoves.fill` lets proxies stand in.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lake.arrays import Bools, Dates, Floats, Ints
from lake.canonical import from_json
from lake.errors import BadInput, unknown
from lake.words import first_of
from scenarios.kernels import shifts
from scenarios.market.base_market import base_levels, has_market, no_market
from scenarios.market.calendars import MAX_HOLIDAY_DAYS, MEANING
from scenarios.market.history import MarketHistory, carry_over, closed_markets
from scenarios.market.proxies import Proxy, ProxyRules, choose
from scenarios.types import FACTOR_TYPES, POSITIVE_TYPES, FactorIndex, RiskFactor, ScenarioSet, ShiftType

Chosen = TypeVar("Chosen")

ALL_CLOSED = "every market was closed"
_SHOWN = 3  # names given in a reason before "and n more"


MaxDropped = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="share of the days that may be left out because factors without a proxy lack a move, at least the two of one missing "
        "level unless it is 0; beyond it the factors that lack most are excluded",
    ),
]


class ShiftRule(BaseModel):
    """How a factor's moves are measured and applied, see `scenarios.kernels.shifts`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift_type: ShiftType = Field(description="relative, log or absolute")
    displacement: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="added to both levels of a ratio, in the factor's own unit"
    )

    @model_validator(mode="after")
    def _only_ratios(self) -> Self:
        if self.shift_type is ShiftType.ABSOLUTE and self.displacement:
            raise ValueError("an absolute shift has no displacement; leave it out, or choose relative or log")
        return self


class MoveRules(BaseModel):
    """Parameters that all methods driven by history share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    market_date: dt.date = Field(description="date of the base levels")
    calendar: str = Field("XNYS", description=MEANING)
    gaps: Literal["own-calendar", "drop", "proxy"] = Field(
        "own-calendar",
        description="on its market's holiday a factor is unchanged (own-calendar), moved by its proxy (proxy), or the day is no "
        "scenario (drop); where every market was closed it never is",
    )
    calendars: dict[str, str] = Field(
        default_factory=dict,
        description="source to its calendar; that of the catalogue when absent, else told from the days it lists, as for data",
    )
    max_holiday_days: int = Field(
        MAX_HOLIDAY_DAYS,
        ge=1,
        le=15,
        description="a longer run of days without any observation of a source is a hole, not a holiday",
    )
    max_held_days: int = Field(
        3, ge=0, le=10, description="business days a factor's last level may be held for the base, visibly"
    )
    shifts: dict[str, ShiftRule] = Field(
        default_factory=dict,
        description="risk factor type or id to its shift, instead of the type's own; an id goes first",
    )
    proxies: ProxyRules = Field(
        default_factory=lambda: ProxyRules.model_validate({}), description="what stands in for a factor's missing moves"
    )

    @field_validator("calendars", "shifts", "proxies", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        """A text is read as JSON, as it comes from the command line."""
        if isinstance(value, str):
            try:
                return from_json(value)
            except ValueError as error:
                raise ValueError(f"expected a JSON object; {error}") from None
        return value

    def with_log_prices(self) -> Self:
        """The same rules with log shifts for what is positive by nature, unless stated otherwise: a move that is scaled up must not
        carry a price below zero."""
        log = {kind: ShiftRule(shift_type=ShiftType.LOG, displacement=0.0) for kind in POSITIVE_TYPES}
        return self.model_copy(update={"shifts": {**log, **self.shifts}})


@dataclass(frozen=True)
class FactorMoves:
    """Moves over a number of business days, each row ending on one of `days`.

    days : (n_days,). moves : (n_days, n_factors), each in its factor's own shift; NaN where there is none.
    closed : (n_days, n_factors), the factor's market was closed on every day the move spans. filled : the move is its proxy's.
    idle : days that are left out, since every market was closed.
    base : (n_factors,) levels at the market date; excluded and held as in a ScenarioSet. levels : (n_days + horizon, n_factors),
    carried over holidays. `proxies` by column.
    """

    index: FactorIndex
    rules: tuple[ShiftRule, ...]
    days: Dates
    levels: Floats
    moves: Floats
    closed: Bools
    filled: Bools
    idle: Dates
    base: Floats
    excluded: Mapping[str, str]
    held: Mapping[str, str]
    market_data_version: int
    proxies: Mapping[int, Proxy] = field(default_factory=dict)

    def fill(self, needed: Bools, rules: MoveRules) -> FactorMoves:
        """Missing moves filled by proxies, where a factor lacks one on a needed day (n_days,) and has a proxy."""
        _check_proxies(rules.proxies, self.index)
        observed = np.where(self.closed, np.nan, self.moves)
        lacking = np.isnan(self.moves) & ~self.closed | (self.closed if rules.gaps == "proxy" else False)
        moves, closed, filled, proxies = self.moves.copy(), self.closed.copy(), self.filled.copy(), {}
        for j in np.flatnonzero(lacking[needed].any(axis=0)).tolist():
            if self.index.factors[j].risk_factor_id in self.excluded:
                continue
            proxy = choose(observed, self.index, j, needed & lacking[:, j], rules.proxies)
            if proxy is None:
                continue
            at = lacking[:, j] & np.isfinite(observed[:, proxy.column])
            moves[at, j] = proxy.beta * observed[at, proxy.column]
            closed[at, j], filled[at, j], proxies[j] = False, True, proxy
            still = np.isnan(self.moves[:, j]) & self.closed[:, proxy.column]  # the proxy's market was closed
            moves[still, j], closed[still, j] = np.nan if rules.gaps == "drop" else 0.0, True
        return dataclasses.replace(self, moves=moves, closed=closed, filled=filled, proxies=proxies)

    def apply(self, column: int, base: Floats, moves: Floats) -> Floats:
        """Levels of one factor after moves in its own shift."""
        rule = self.rules[column]
        return shifts.apply(rule.shift_type, base, moves, rule.displacement)

    def lacking(self, row: int, kept: Bools, span: str) -> str:
        """Why a day is no scenario: the markets that were closed, or else the kept factors without a move."""
        without = kept & np.isnan(self.moves[row])
        if (shut := without & self.closed[row]).any():
            return f"closed: {self._by_source(shut)}"
        return f"no {span} move for {self._names(without)}"

    def _names(self, which: Bools) -> str:
        names = [self.index.factors[j].risk_factor_id for j in np.flatnonzero(which)]
        return first_of(names, _SHOWN)

    def _by_source(self, which: Bools) -> str:
        """Such as "jpy_curve (14 factors)"."""
        names, counts = np.unique([self.index.factors[j].source for j in np.flatnonzero(which)], return_counts=True)
        return ", ".join(f"{s} ({n} factor{'s' * int(n > 1)})" for s, n in zip(names, counts, strict=True))

    def holidays(self, used: Ints, kept: Bools) -> dict[str, str]:
        """By day of the used rows, the sources whose factors are unchanged, such as "unchanged: jpy_curve (14 factors)"."""
        some = used[(self.closed[used] & kept).any(axis=1)].tolist()
        return {str(self.days[i]): f"unchanged: {self._by_source(self.closed[i] & kept)}" for i in some}

    def proxied(self, used: Ints, kept: Bools, unit: str = "scenarios") -> dict[str, str]:
        """Text by risk factor id for each kept factor with a proxied move among the used rows."""
        out = {}
        for j, proxy in self.proxies.items():
            if kept[j] and (count := int(self.filled[used, j].sum())):
                factor_id = self.index.factors[j].risk_factor_id
                out[factor_id] = proxy.describe(factor_id, self.index, f"{count} of {len(used)} {unit}")
        return out

    def scenario_set(self, kept: Bools, levels: Floats, **fields: Any) -> ScenarioSet:
        """A set of the kept factors with levels (n_kept, n_scenarios), not yet stored.

        Raises `BadInput` when a level that is positive by nature is not.
        """
        factors = tuple(f for f, k in zip(self.index.factors, kept, strict=True) if k)
        _check_signs(factors, levels, fields["labels"])
        return ScenarioSet(
            scenario_set_id="",
            index=FactorIndex(factors),
            base=self.base[kept],
            levels=levels,
            shocked=np.ones(len(factors), dtype=bool),
            held={k: v for k, v in self.held.items() if k in {f.risk_factor_id for f in factors}},
            market_data_version=self.market_data_version,
            **fields,
        )


def span_name(horizon_days: int) -> str:
    """Such as one-day or 10-day."""
    return "one-day" if horizon_days == 1 else f"{horizon_days}-day"


def measure(history: MarketHistory, rules: MoveRules, horizon_days: int = 1) -> FactorMoves:
    """Moves of all factors over `horizon_days` business days, unfilled.

    On its market's holiday a factor keeps its level, so its move into the holiday is nil and its move out of it is its own market's
    one-day move; with gaps `drop` it has no move into it. A hole of the data gives no move, neither into it nor out of it. A day on which
    every market was closed is no business day, and no move ends on it. Raises `NotFound` when the market date, or the whole history, has
    no market.
    """
    until = history.on(history.dates <= np.datetime64(rules.market_date))
    if not has_market(until, rules.market_date):
        raise no_market(until, rules.market_date, rules.calendar)
    base, excluded, held = base_levels(until, rules.max_held_days)
    by_factor = _shift_rules(history.index, rules.shifts)
    for f, rule, level in zip(history.index.factors, by_factor, base, strict=True):
        if rule.shift_type is not ShiftType.ABSOLUTE and level + rule.displacement <= 0:
            excluded[f.risk_factor_id] = (
                f"level {level:g} is too low for a {rule.shift_type} shift; give it an absolute or a displaced one"
            )
    history, closed, idle = business_days(
        history, np.array([i not in excluded for i in history.index.row]), rules.calendars, rules.max_holiday_days
    )
    levels = carry_over(history.levels, closed)
    n = max(len(history.dates) - horizon_days, 0)
    moves = np.empty((n, len(by_factor)))
    for j, rule in enumerate(by_factor):
        earlier, later = levels[:n, j], levels[len(levels) - n :, j]
        moves[:, j] = shifts.move(rule.shift_type, earlier, later, rule.displacement)
    # closed on every day the move spans, and with a level to keep
    still = np.isfinite(moves)
    for lag in range(horizon_days):
        still &= closed[horizon_days - lag :][:n]
    if rules.gaps == "drop":
        moves[still] = np.nan
    return FactorMoves(
        history.index,
        by_factor,
        history.dates[len(history.dates) - n :],
        levels,
        moves,
        still,
        np.zeros_like(still),
        idle,
        base,
        excluded,
        held,
        history.market_data_version,
    )


def business_days(
    history: MarketHistory, kept: Bools, declared: Mapping[str, str], max_holiday_days: int
) -> tuple[MarketHistory, Bools, Dates]:
    """The history without the days on which the markets of all `kept` factors (n_factors,) were closed; which markets were closed on the
    days that are left (n_dates, n_factors); and the days without."""
    closed = closed_markets(history, declared, max_holiday_days)
    idle = np.asarray(closed[:, kept].all(axis=1) & kept.any())
    return history.on(~idle), closed[~idle], history.dates[idle]


def without_idle_days(
    history: MarketHistory,
    rules: MoveRules,
    choose_factors: Callable[[FactorMoves], tuple[Bools, Chosen]],
    horizon_days: int = 1,
) -> tuple[MarketHistory, Bools, Chosen, Dates]:
    """Measures the moves and chooses factors until every day left is a business day of one of them at least.

    choose_factors : gives those kept (n_factors,), and what else is known then. The history that is left, the last choice, and the days
    taken out: what is excluded may have been the only market that was open.
    """
    idle = history.dates[:0]
    while True:
        measured = measure(history, rules, horizon_days)
        kept, chosen = choose_factors(measured)
        history, _, closed = business_days(history, kept, rules.calendars, rules.max_holiday_days)
        idle = np.concatenate([idle, measured.idle, closed])
        if not len(closed):
            return history, kept, chosen, idle


def droppable(share: float, n_days: int) -> int:
    """How many of the days may be left out since factors lack a move: a share, though at least the two moves of one missing level."""
    return max(2, math.floor(share * n_days)) if share else 0


def exclude_costly(
    factors: Sequence[RiskFactor], holes: Bools, kept: Bools, days: Dates, most: int, span: str
) -> dict[str, str]:
    """The risk factors among the `kept` ones (n_factors,) whose holes (n_days, n_factors) would take more than `most` of the days from
    all, with the reason; they are taken out of `kept`."""
    paying = np.flatnonzero(_costly(holes, kept, most)).tolist()
    kept[paying] = False
    return {factors[j].risk_factor_id: _no_proxy(factors[j], span, days[holes[:, j]], len(days)) for j in paying}


def _costly(holes: Bools, kept: Bools, most: int) -> Bools:
    """Which of the `kept` factors (n_factors,) have holes (n_days, n_factors) that would take more than `most` days from all.

    Of a day the factors that lack it bear equal parts. Those that bear most leave first, until the days on which one of the others lacks
    a move are few enough. Nobody pays for a day on which none has one.
    """
    left = kept.copy()
    while left.any():
        lost = holes & left
        lost[(holes | ~left).all(axis=1)] = False
        if lost.any(axis=1).sum() <= most:
            break
        borne = (lost / np.maximum(lost.sum(axis=1, keepdims=True), 1)).sum(axis=0)
        left &= borne < borne.max()
    return kept & ~left


def _no_proxy(factor: RiskFactor, span: str, lacking: Dates, n_days: int) -> str:
    """Why a factor pays for its holes."""
    return (
        f"no {span} move on {len(lacking)} of {n_days} business days, the first {lacking[0]}, and no proxy; "
        f"declare one, or the calendar of {factor.source} where its market was closed"
    )


def _shift_rules(index: FactorIndex, given: Mapping[str, ShiftRule]) -> tuple[ShiftRule, ...]:
    for name in given:
        if name not in FACTOR_TYPES and name not in index.row:
            raise unknown("risk factor type or id", name, [*FACTOR_TYPES, *index.row], pointer="shifts")
    return tuple(
        given.get(f.risk_factor_id) or given.get(f.type) or ShiftRule(shift_type=f.shift_type, displacement=0.0)
        for f in index.factors
    )


def _check_proxies(rules: ProxyRules, index: FactorIndex) -> None:
    for factor_id, proxy in rules.declared.items():
        for name in (factor_id, proxy.factor):
            if name not in index.row:
                raise unknown("risk factor", name, index.row, pointer="proxies")
        if factor_id == proxy.factor:
            raise BadInput(f"{factor_id} cannot be its own proxy; name another risk factor.")


def _check_signs(factors: tuple[RiskFactor, ...], levels: Floats, labels: tuple[str, ...]) -> None:
    for f, row in zip(factors, levels, strict=True):
        if f.type in POSITIVE_TYPES and (row <= 0).any():
            at = int(np.argmin(row))
            raise BadInput(
                f"{f.risk_factor_id} would stand at {row[at]:g} in scenario {labels[at]}, and a {f.type} is positive. Move it by log: "
                f'shifts = {{"{f.type}": {{"shift_type": "log"}}}}.'
            )
