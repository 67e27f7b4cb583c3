"""Which valuation set answers a query, and under which scenarios it was made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from aggregation.book.book import nearest_dates
from aggregation.types import Scope
from lake.errors import BadInput, NotFound, NotValued, unknown
from valuation.types import ValuationSet


def valuation_sets(seals: Sequence[ValuationSet], query: Scope) -> Sequence[ValuationSet]:
    """The seals that may answer the query, newest first: the one named, else those of the date and scenario set asked for.

    `seals` are oldest first. Without a name, sets that shock all risk classes go before those
    that shock some; the market is the one asked for, that of the valuation date by default. They are of one scenario set, and
    differ in the contracts they hold. Raises `NotFound` with what is there.
    """
    if query.valuation_set is not None:
        return [_named(seals, query)]
    if query.market_date is None:
        of_market = [s for s in seals if s.market_date == s.valuation_date]
    else:
        of_market = [s for s in seals if s.market_date == query.market_date]
    wanted = query.scenario_set
    of_set = [s for s in of_market if wanted in (None, s.scenario_set_name, s.scenario_set_id)]
    if wanted is not None and of_market and not of_set:
        raise unknown("valued scenario set", wanted, {s.scenario_set_name for s in of_market}, error=NotFound)
    fitting = [s for s in of_set if s.valuation_date == query.as_of]
    if not fitting:
        raise NotValued(_nothing_fits(query, {s.valuation_date for s in of_set}))
    if wanted is None:
        # a stress or a replay of chosen scenarios answers only when it is named
        fitting = [s for s in fitting if s.sample] or fitting
    most = max(len(s.shocked_classes) for s in fitting)
    best = [s for s in fitting if len(s.shocked_classes) == most][::-1]
    return [s for s in best if s.scenario_set_id == best[0].scenario_set_id]


def _nothing_fits(query: Scope, dates: set[dt.date]) -> str:
    """What is there instead, and how to have it valued."""
    under = f" under scenario set {query.scenario_set}" if query.scenario_set else ""
    market = f" in the market of {query.market_date}" if query.market_date else ""
    return (
        f"No valuation set of {query.as_of}{market}{under}. {nearest_dates(query.as_of, dates, 'with one')} "
        "Ask for the plan of this question, which says what that takes, and have it valued."
    )


def _named(seals: Sequence[ValuationSet], query: Scope) -> ValuationSet:
    found = [s for s in seals if s.valuation_set_id == query.valuation_set]
    if not found:
        ids = (s.valuation_set_id for s in seals)
        raise unknown("sealed valuation set", str(query.valuation_set), ids, error=NotFound)
    seal = found[-1]
    if seal.valuation_date != query.as_of:
        raise BadInput(
            f"Valuation set {query.valuation_set} is of {seal.valuation_date}, and {query.as_of} was asked for. Ask for "
            f"{seal.valuation_date}, with positions date {query.positions_date or query.as_of} where that book is meant."
        )
    if query.market_date not in (None, seal.market_date):
        raise BadInput(
            f"Valuation set {query.valuation_set} is in the market of {seal.market_date}, and that of {query.market_date} was "
            "asked for; name one of the two."
        )
    if query.scenario_set not in (None, seal.scenario_set_name, seal.scenario_set_id):
        raise BadInput(
            f"Valuation set {query.valuation_set} was made under scenario set {seal.scenario_set_name}, and "
            f"{query.scenario_set} was asked for; name one of the two."
        )
    return seal
