"""WORKS: what stores something in a lake. Each is a kind of job, done here or by the engine that holds the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.jobs import (
    ALARM_BAND,
    BRANCH,
    COVARIANCE,
    LIVE_ALARMS,
    LIVE_SNAPSHOT,
    MARKET_ACT,
    MARKET_CHECK,
    NETTING,
    RELEASE,
    SCENARIO_SET,
    STANDARD,
    VALUATION,
)


@dataclass(frozen=True)
class Work:
    """kind : of its job. model : of its request, as `module:name`. route : of the API that queues it."""

    kind: str
    model: str
    route: str
    meaning: str


WORKS: Mapping[str, Work] = {
    "value": Work(
        VALUATION,
        "valuation.sets.requests:ValuationRequest",
        "/valuations",
        "Value every contract held on a date under every scenario; what is known is reused.",
    ),
    "make_scenario_set": Work(
        SCENARIO_SET, "scenarios.requests:ScenarioSetRequest", "/scenario-sets", "Make a scenario set and store it."
    ),
    "save_branch": Work(
        BRANCH,
        "aggregation.whatif.save_branch:BranchRequest",
        "/branches",
        "Save named changes of a book, which are then read like a date.",
    ),
    "set_standard": Work(
        STANDARD,
        "valuation.sets.standards:StandardRequest",
        "/standards",
        "Set the scenarios and the currency of a question that names none, of the lake or of a desk.",
    ),
    "net_orders": Work(
        NETTING,
        "valuation.books.orders:NettingRequest",
        "/positions/netted",
        "Net all orders up to an instant to the positions of a date.",
    ),
    "make_covariance": Work(
        COVARIANCE,
        "scenarios.market.intraday_covariance:IntradayCovarianceRequest",
        "/covariances/intraday",
        "Make a covariance of intraday levels and store it under a name.",
    ),
    "take_live_snapshot": Work(
        LIVE_SNAPSHOT,
        "aggregation.live.opening:LiveDay",
        "/live/snapshots",
        "Take a snapshot of a live day: its levels, positions and vectors as rows of the lake.",
    ),
    "record_live_alarms": Work(
        LIVE_ALARMS,
        "aggregation.live.opening:LiveDay",
        "/live/alarms",
        "Store the alarms of a live day that are not stored yet, answered by one recalculation.",
    ),
    "set_alarm_band": Work(
        ALARM_BAND,
        "aggregation.live.alarms:BandRequest",
        "/live/bands",
        "Set the band that levels of live days are held to.",
    ),
    "act_on_market": Work(
        MARKET_ACT,
        "scenarios.market.issues:MarketAct",
        "/market/acts",
        "Release, override or proxy a market value that is held back.",
    ),
    "check_market": Work(
        MARKET_CHECK, "scenarios.market.issues:CheckRequest", "/market/check", "Hold stored market data to the gates."
    ),
    "release": Work(
        RELEASE,
        "aggregation.release:ReleaseRequest",
        "/released-results",
        "Release the figures of a kept answer to the table that dashboards read.",
    ),
}
