"""Limits of VaR and ES on a live day: of each how much is used now, as `limits` measures it on a stored day."""

from __future__ import annotations

import pyarrow as pa

from aggregation.limits.held import NO_FIRM, Limit, counts_in_words, there, var_limits_on
from aggregation.limits.use import SCHEMA, Use, row_of
from aggregation.live.follow import FollowedDay, follow
from aggregation.live.live_book import LiveBook
from aggregation.live.live_risk import LiveQuery
from aggregation.opened.alignment import COVERED
from aggregation.opened.valuation_choice import standard_for
from aggregation.risk.query import one_horizon
from aggregation.session import Session
from aggregation.types import Positions, Scope
from lake.errors import VarlakeError

LIMITS = pa.schema([f for f in SCHEMA if not f.name.endswith("_before") and f.name != "change"])
_NO_LOSS = "A limit of loss is measured on the actual P&L, which a day that is not over does not have yet."


def live_limits(session: Session, query: LiveQuery, day: FollowedDay) -> tuple[pa.Table, bool]:
    """A row a limit that holds on the day and is shown to whoever asks, as `Limits.rows`; whether any is measured on what others hold too.

    day : caught up, its lock held. Everything held is measured on the whole lake.
    """
    limits = var_limits_on(session, query.as_of)
    lake = session.lake
    # who sees everything sees the firm as any other node; `limits` has no figure of it in an earlier state either
    of_firm = bool(lake.reader) and any(not limit.node for limit in limits)
    firm = None
    if of_firm and lake.shows_totals() and not query.as_known:
        cache = session.of(lake.whole()).cache
        firm = follow(cache, query)
    rows = []
    for limit in limits:
        if limit.node or not of_firm:
            rows.append(row_of(limit, _use(session, day.live, limit, query)))
        elif firm is None:
            rows.append(row_of(limit, Use(None, NO_FIRM)))
        else:
            with firm.lock:
                firm.catch_up(lake.whole())
                rows.append(row_of(limit, _use(session, firm.live, limit, query, of_firm=True)))
    return pa.Table.from_pylist(rows, schema=LIMITS), firm is not None


def _use(session: Session, live: LiveBook, limit: Limit, query: LiveQuery, *, of_firm: bool = False) -> Use:
    if not limit.of_tail:
        return Use(None, _NO_LOSS)
    try:
        return _of_tail(live, limit, query, _other_standard(session, live, limit, query), of_firm=of_firm)
    except VarlakeError as error:
        return Use(None, NO_FIRM if of_firm else error.message)


def _other_standard(session: Session, live: LiveBook, limit: Limit, query: LiveQuery) -> str | None:
    """The scenario set of the standard of the node's desk, where that is not the one whose moves the day has."""
    if query.scenario_set is not None:
        return None
    standards = session.cache.standards(session.lake.snapshot("standards"))
    own = standard_for(standards, Positions(where=limit.node)).scenario_set
    return None if own in (None, live.opening.standard.scenario_set) else own


def _of_tail(live: LiveBook, limit: Limit, query: LiveQuery, other: str | None, *, of_firm: bool) -> Use:
    if other is not None:
        return Use(None, f"The desk is measured under its own standard {other}; the live day has other scenarios.")
    known = there(live.whole_book()[0], limit.node)
    if known is None:
        return Use(0.0, "The node has no position on the day.")
    source = live.opening.source
    scope = Scope(as_of=query.as_of, currency=limit.currency)
    # moves put onto other levels are no sample, so that a snapshot refuses a horizon of the limit's own, too
    asked = limit.measure_over(lambda: one_horizon(live.scenarios, sample=False), scope, query.estimator)
    view = live.view(Positions(where=known, currency=limit.currency))
    counts = view.counts[-1]
    held, covered = int(counts.sum()), int(counts[COVERED])
    lacking = counts_in_words(held, covered, "" if of_firm or held == covered else view.failed_in_words())
    if not covered:
        return Use(None, lacking)
    return Use(float(view.measured([asked], source.weights)[asked.name][-1]), lacking)
