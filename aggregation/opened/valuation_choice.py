"""Which valuation set answers a query, and under which scenarios it was made."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aggregation.book.book import nearest_dates
from aggregation.types import Positions, Scope
from lake.errors import BadInput, NotFound, NotValued, unknown
from valuation.sets.standards import Standard, standard_of
from valuation.types import ValuationSet


@dataclass(frozen=True)
class Known:
    """What a lake has valued, by which names, and what is standard there.

    seals : oldest first. names : of scenario sets, each to the ids it stands for and their versions. standards : of the lake,
    under None, and of desks. every : the seals that are used only where they are named too, see `AsKnown`.
    """

    seals: Sequence[ValuationSet]
    names: Mapping[str, Mapping[str, int]]
    standards: Mapping[str | None, Standard]
    every: Sequence[ValuationSet]

    def standard(self, query: Positions) -> Standard:
        """The standard of the desk that the query is filtered to where that is one alone, else of the lake."""
        return standard_for(self.standards, query)

    def named(self, seal: ValuationSet, name: str | None) -> ValuationSet:
        """The seal under the name that was asked for: one content may be stored under several."""
        return replace(seal, scenario_set_name=name) if name and name in self.names else seal


def standard_for(standards: Mapping[str | None, Standard], query: Positions) -> Standard:
    """As `Known.standard`; a question that takes no filters is about the lake."""
    where = getattr(query, "where", ())
    wanted = [set(f.values) for f in where if f.dimension == "desk" and f.values and not f.exclude]
    return standard_of(standards, {d for d in set.intersection(*wanted) if d} if wanted else ())


def valuation_sets(known: Known, query: Scope) -> Sequence[ValuationSet]:
    """The seals that may answer the query, newest first: the one named, else those of the date and scenario set asked for.

    Without a name they are those of the standard, and of any sample where there is none. Sets that shock all risk classes go
    before those that shock some; the market is the one asked for, that of the valuation date by default. They are of one
    scenario set, of several versions the newest, and differ in the contracts they hold. Raises `NotFound` with what is there.
    """
    if query.valuation_set is not None:
        return [_by_id(known, query)]
    market = query.market_date
    of_market = [s for s in known.seals if s.market_date == (s.valuation_date if market is None else market)]
    wanted = query.scenario_set or known.standard(query).scenario_set
    versions = known.names.get(wanted or "", {})
    of_set = [
        s
        for s in of_market
        if wanted in (None, s.scenario_set_name, s.scenario_set_id) or s.scenario_set_id in versions
    ]
    if query.scenario_set is not None and query.scenario_set not in known.names and of_market and not of_set:
        ids = {s.scenario_set_id for s in of_market}
        names = [name for name, of_name in known.names.items() if ids & of_name.keys()]
        raise unknown("valued scenario set", query.scenario_set, names, error=NotFound)
    fitting = [s for s in of_set if s.valuation_date == query.as_of]
    if not fitting:
        raise NotValued(_nothing_fits(known, query, wanted, of_market, {s.valuation_date for s in of_set}))
    if wanted is None:
        # a stress or a replay of chosen scenarios answers only when it is named
        fitting = [s for s in fitting if s.sample] or fitting
    most = max(len(s.shocked_classes) for s in fitting)
    best = [s for s in fitting if len(s.shocked_classes) == most][::-1]
    first = max(best, key=lambda s: versions.get(s.scenario_set_id, 0))
    return [known.named(s, wanted) for s in best if s.scenario_set_id == first.scenario_set_id]


def answered_days(known: Known, scenario_set: str | None = None) -> list[ValuationSet]:
    """The seal that answers on each valuation date which has one, the newest date first; raises `NotFound` for an unknown name."""
    if scenario_set is not None and scenario_set not in known.names:
        ids = {i for of_name in known.names.values() for i in of_name}
        if scenario_set not in ids:
            raise unknown("scenario set", scenario_set, known.names, pointer="/scenario_set", error=NotFound)
    found = []
    for day in sorted({s.valuation_date for s in known.seals}, reverse=True):
        with contextlib.suppress(NotFound):
            found.append(valuation_sets(known, Scope(as_of=day, scenario_set=scenario_set))[0])
    return found


def _nothing_fits(
    known: Known, query: Scope, wanted: str | None, of_market: Sequence[ValuationSet], dates: set[dt.date]
) -> str:
    """What is there instead, and how to have it valued."""
    standard = "" if query.scenario_set else f", the standard{_of_desk(known.standard(query))}"
    under = f" under scenario set {wanted}{standard}" if wanted else ""
    market = f" in the market of {query.market_date}" if query.market_date else ""
    others = sorted({s.scenario_set_name for s in of_market if s.valuation_date == query.as_of and s.sample})
    instead = f" Valued for that day: {', '.join(others)}; name one to be answered from it." if others else ""
    markets = {s.market_date for s in known.seals if s.valuation_date == query.as_of and s.sample}
    if elsewhere := sorted(markets - {query.market_date or query.as_of}):
        instead += f" It is valued in the market of {', '.join(map(str, elsewhere))}; give that market date."
    return f"No valuation set of {query.as_of}{market}{under}. {nearest_dates(query.as_of, dates, 'with one')}{instead}"


def _of_desk(standard: Standard) -> str:
    return f" of desk {standard.desk}" if standard.desk else ""


def _by_id(known: Known, query: Scope) -> ValuationSet:
    found = [s for s in known.every if s.valuation_set_id == query.valuation_set]
    if not found:
        ids = (s.valuation_set_id for s in known.every)
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
    same = (None, seal.scenario_set_name, seal.scenario_set_id)
    if query.scenario_set not in same and seal.scenario_set_id not in known.names.get(query.scenario_set or "", {}):
        raise BadInput(
            f"Valuation set {query.valuation_set} was made under scenario set {seal.scenario_set_name}, and "
            f"{query.scenario_set} was asked for; name one of the two."
        )
    return known.named(seal, query.scenario_set)
