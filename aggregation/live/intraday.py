"""The question `intraday`: VaR of a day that is not over, from what the lake has of it."""

from __future__ import annotations

from typing import Any

from aggregation.limits.held import TABLE as LIMITS
from aggregation.live.follow import follow
from aggregation.live.live_limits import live_limits
from aggregation.live.live_risk import LiveQuery, LiveRisk, answer_live
from aggregation.live.opening import TABLE, find_opening
from aggregation.price import SECONDS_A_QUESTION, positions_by_day
from aggregation.question import Question
from aggregation.session import Session

_SECONDS_A_CONTRACT = (
    1e-4  # of a core, to value and add up one as the day is opened; measured with shares and 1,000 scenarios
)


def _answer(session: Session, query: LiveQuery) -> LiveRisk:
    cache = session.cache.as_known(query.as_known)
    day = follow(cache, query)
    with day.lock:
        day.catch_up(cache.lake)
        own = {name: cache.lake.version(name) for name in (TABLE, "alarm_bands")}
        versions = {**day.live.opening.at.named, **own, **day.versions}
        limits, named = None, dict[str, Any]()
        if query.limits:
            limits, of_firm = live_limits(session, query, day)
            named = {"firm_totals": True} if of_firm else {}
            # standards tell which limits are measured under the scenarios of the day
            versions |= {n: session.lake.version(n) for n in (LIMITS, "standards") if session.lake.shows_version(n)}
        return answer_live(
            day.live, query, alarms=day.alarms(cache.lake), limits=limits, table_versions=versions, **named
        )


def _price(session: Session, query: LiveQuery) -> float:
    """As if the day had to be opened, which the first question about it does."""
    found = find_opening(session.cache.as_known(query.as_known), query)
    held = positions_by_day(session, session.lake.snapshot("positions")).get(found.positions_date, 0)
    return SECONDS_A_QUESTION + _SECONDS_A_CONTRACT * held


INTRADAY = Question(
    LiveQuery, _answer, {"as_of": "2020-03-16", "by": ["desk"], "measures": ["var", "es"]}, price=_price
)
