"""The market scenarios start from: base levels of one date, with what is held and what is left out named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lake.arrays import Floats
from lake.errors import NotFound, nearest
from lake.tables import Snapshot
from scenarios.market.corporate_actions import CorporateActions, Gone
from scenarios.market.history import MarketHistory, load_history
from scenarios.types import FactorIndex

_LOOK_BACK = 30  # calendar days: covers ten business days with every holiday


@dataclass(frozen=True)
class BaseMarket:
    """Base levels (n_factors,) of the factors in `index`; `held` and `excluded` as in a ScenarioSet."""

    market_date: dt.date
    index: FactorIndex
    base: Floats
    excluded: Mapping[str, str]
    held: Mapping[str, str]
    market_data_version: int


def load_base(snapshot: Snapshot, market_date: dt.date, calendar: str, max_held_days: int) -> BaseMarket:
    """The market of a date. A factor without a level on it holds its last one for up to `max_held_days` business days,
    visibly, or is excluded with the reason. Raises `NotFound` when the date has no market at all."""
    history = load_history(snapshot, calendar, market_date - dt.timedelta(days=_LOOK_BACK), market_date)
    if not has_market(history, market_date):
        raise no_market(history, market_date, calendar)
    base, excluded, held = base_levels(history, max_held_days)
    kept = np.array([f.risk_factor_id not in excluded for f in history.index.factors])
    return BaseMarket(
        market_date,
        FactorIndex(tuple(f for f, k in zip(history.index.factors, kept, strict=True) if k)),
        base[kept],
        excluded,
        held,
        history.market_data_version,
    )


def in_share_terms(market: BaseMarket, actions: CorporateActions, until: dt.date, factors: FactorIndex) -> BaseMarket:
    """The market with the price of each share for the shares that it has become by `until`, under the name it has then: what is paid out
    stays in the price. `factors` : all of the lake."""
    level = dict(zip(market.index.row, market.base.tolist(), strict=True))
    for action in actions.between(market.market_date, until):
        if action.kind == "symbol_change" and action.risk_factor_id in level:
            level.setdefault(action.becomes, level[action.risk_factor_id])
        elif action.kind in ("split", "stock_dividend") and action.risk_factor_id in level.keys() - actions.done.keys():
            level[action.risk_factor_id] /= float(action.shares)
    index = FactorIndex.of(f for f in factors.factors if f.risk_factor_id in level)
    return replace(market, index=index, base=np.array([level[i] for i in index.row]))


def with_merged(market: BaseMarket, gone: Mapping[str, Gone], factors: FactorIndex) -> BaseMarket:
    """The market with each share that a merger has taken away by its day at what is held for it: the cash that came with it is none of
    its level. It has none where what it became has none. `factors` : all of the lake."""
    if not (gone := {i: g for i, g in gone.items() if g.merger.ex_date <= market.market_date}):
        return market
    level = dict(zip(market.index.row, market.base.tolist(), strict=True))
    currency = {f.risk_factor_id: f.currency for f in factors.factors}
    for share, (_, into, shares) in gone.items():
        level.pop(share, None)
        if not shares or (into in level and currency[into] == currency[share]):
            level[share] = float(shares) * level[into] if shares else 0.0
    index = FactorIndex.of(f for f in factors.factors if f.risk_factor_id in level)
    held = {i: why for i, why in market.held.items() if i not in gone}
    return replace(market, index=index, base=np.array([level[i] for i in index.row]), held=held)


def has_market(history: MarketHistory, market_date: dt.date) -> bool:
    """Whether the history ends on the date with at least one level."""
    ends = len(history.dates) > 0 and history.dates[-1] == np.datetime64(market_date)
    return bool(ends and np.isfinite(history.levels[-1]).any())


def base_levels(history: MarketHistory, max_held_days: int) -> tuple[Floats, dict[str, str], dict[str, str]]:
    """Base levels (n_factors,); factors excluded for want of one; factors whose earlier level is held, with its date."""
    base = history.levels[-1].copy()
    excluded: dict[str, str] = {}
    held: dict[str, str] = {}
    for j in np.flatnonzero(~np.isfinite(base)).tolist():
        factor_id = history.index.factors[j].risk_factor_id
        observed = np.flatnonzero(np.isfinite(history.levels[:, j]))
        if len(observed) and len(history.dates) - 1 - observed[-1] <= max_held_days:
            base[j] = history.levels[observed[-1], j]
            held[factor_id] = f"level of {history.dates[observed[-1]]} held"
        elif len(observed):
            excluded[factor_id] = f"no level since {history.dates[observed[-1]]}"
        else:
            excluded[factor_id] = f"no level from {history.dates[0]} to {history.dates[-1]}"
    return base, excluded, held


class NoMarket(NotFound):
    """There is no market on a date; `latest` is the last one before it that has one, if any."""

    latest: dt.date | None = None


def no_market(history: MarketHistory, market_date: dt.date, calendar: str) -> NoMarket:
    """The error for a date without market data, with the dates before it that have some."""
    seen = np.flatnonzero(np.isfinite(history.levels).any(axis=1))
    if len(seen) == 0:
        return NoMarket(f"The lake holds no market data up to {market_date}.")
    close = nearest(str(market_date), [str(history.dates[i]) for i in seen[-5:]])
    error = NoMarket(
        f"No market data on {market_date} in calendar {calendar}. The latest dates before it: {', '.join(sorted(close))}."
    )
    error.latest = history.dates[seen[-1]].item()
    return error
