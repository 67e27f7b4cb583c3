"""Stress-period search: the window of a given length in which a book would have lost most, by VaR or ES.

All moves of the whole history are valued once onto today's market, as one scenario set; vectors that are there are used. The
window is then rolled over the book's P&L, so that every window is exact: its VaR is that of a historical set of those days.
The search begins where every factor of the book has a move. Begun earlier, by choice, the factors without history are excluded by
the scenario set and their contracts fail: the search is then over the rest, and its coverage says so. That is the reduced set
of factors of the Basel stressed calibration (MAR33.5 to MAR33.7).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import ConfigDict, Field

from aggregation.answer import Answer
from aggregation.kernels.tail import exact_level
from aggregation.measures import check_estimator, measure
from aggregation.on_demand import plan_request, sealed_by, value_request
from aggregation.opened.alignment import COVERED
from aggregation.opened.inputs import Inputs, open_inputs, reported_in
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import history_seconds, size_of
from aggregation.question import Plan, Question
from aggregation.receipts import name_inputs
from aggregation.reduce.coverage import FAILED_POSITIONS, failed_in_words
from aggregation.reduce.selection import open_selection, scenario_pnl
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.stress.book_value import open_book
from aggregation.types import AsKnown, Condition, Coverage, Currency, EstimatorName, Level, RiskQuery, Scope, Whole
from lake.arrays import Floats
from lake.dates import Day
from lake.errors import BadInput, counted, validated
from lake.tables import Lake, Snapshot
from scenarios.historical.historical import HistoricalDefinition, calendar_days
from scenarios.market.base_market import load_base
from scenarios.market.calendars import CALENDAR_START
from scenarios.requests import ScenarioRequest
from scenarios.store import load_scenario_set
from valuation.sets.requests import ValuationRequest
from valuation.types import ValuationSet

_CELLS = 8_000_000  # P&Ls of windows ranked at once: 64 MB


class StressPeriodRequest(AsKnown):
    """Which book, which measure, and windows of which length."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    length: Whole = Field(250, ge=10, le=5000, description="scenarios in a window: business days that are in the set")
    measure: Literal["var", "es"] = Field("es", description="what makes a window the worst")
    level: Level = Field("0.975", description="confidence level, a fraction such as 0.975")
    estimator: EstimatorName = Field("order_statistic", description="how a quantile is read from the scenarios")
    first: Day | None = Field(
        None, description="first day a move may end on; default that from which all factors of the book have one"
    )
    where: tuple[Condition, ...] = Field((), description="filters of the book, all of which must hold")
    currency: Currency = Field("USD", description="reporting currency, ISO 4217, such as USD")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    moves: dict[str, Any] = Field(
        default_factory=dict,
        description="further parameters of the historical set, such as horizon_days, gaps or proxies",
    )
    runner: Literal["auto", "in-process", "spark"] = Field(
        "auto", description="where to value; auto decides by expected cost"
    )


@dataclass(frozen=True)
class StressWindow:
    """A window by the days its first and its last move end on, and its measure; losses positive."""

    first: str
    last: str
    value: float


@dataclass(frozen=True)
class StressPeriod(Answer):
    """worst : the window sought. runners_up : the worst windows that overlap neither it nor each other, worst first. all_windows : of every
    window, in order of time. valuation_set_id, scenario_set_id : what was rolled over. excluded : risk factors without
    enough history, with the reason; their contracts are among the failed ones of the coverage."""

    worst: StressWindow
    runners_up: tuple[StressWindow, ...]
    all_windows: tuple[StressWindow, ...]
    coverage: Coverage
    valuation_set_id: str
    scenario_set_id: str
    scenarios: int
    excluded: dict[str, str]
    receipt: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> pa.Table:
        """Every window, in order of time."""
        return pa.Table.from_pylist([asdict(w) for w in self.all_windows])


def valuation_request(lake: Lake, request: StressPeriodRequest, cache: VectorCache | None = None) -> ValuationRequest:
    """The valuation of all moves of the history onto the market of the day, which the search reads."""
    first = request.first or _first_of_all(lake.snapshot(), request, cache or VectorCache(lake))
    return ValuationRequest(
        as_of=request.as_of,
        positions_dates=(request.positions_date or request.as_of,),
        market_date=None,
        scenario_set=None,
        scenarios=ScenarioRequest(
            method="historical",
            parameters={**request.moves, "window_start": first.isoformat()},
            name=f"history-{first}",
            only_by_name=True,  # intermediate figures of the search are not reported VaR
            of_book=request.first is None,
        ),
        runner=request.runner,
    )


def _first_of_all(snapshot: Snapshot, request: StressPeriodRequest, cache: VectorCache) -> dt.date:
    """The first day on which every risk factor that the selected book reads can have a move."""
    rules = validated(
        HistoricalDefinition, {**request.moves, "market_date": request.as_of}, "definition of the historical set"
    )
    market = load_base(snapshot, request.as_of, rules.calendar, rules.max_held_days)
    positions_date = request.positions_date or request.as_of
    book = open_book(
        snapshot, cache, request.as_of, positions_date, request.where, request.currency, market.index, market.base
    )
    ids = [market.index.factors[r].risk_factor_id for r in book.reads]
    where = ds.field("value_used").is_valid() & pc.field("risk_factor_id").isin(ids)
    rows = snapshot.read("market_data", ["as_of_date", "risk_factor_id"], where)
    begins = pc.max(rows.group_by("risk_factor_id").aggregate([("as_of_date", "min")])["as_of_date_min"]).as_py()
    after = dt.timedelta(days=1) if rules.horizon_days == 1 else calendar_days(rules.horizon_days)
    return max(begins or request.as_of, CALENDAR_START) + after


def stress_period(session: Session, request: StressPeriodRequest) -> StressPeriod:
    """The worst window; raises `NotValued` where the history is not valued. A second search prices nothing."""
    sealed = sealed_by(searched(session, request))[0]
    found = search_period(session.lake, request, sealed, session.cache)
    inputs = open_inputs(
        session.cache,
        RiskQuery(
            as_of=request.as_of,
            positions_date=request.positions_date,
            valuation_set=sealed.valuation_set_id,
        ),
    )
    return replace(found, receipt=name_inputs(inputs))


def search_period(
    lake: Lake, request: StressPeriodRequest, seal: ValuationSet, cache: VectorCache | None = None
) -> StressPeriod:
    """The search over a sealed valuation set of `valuation_request`; raises `BadInput` when the history is shorter than a window."""
    level = _check(request)
    pnl, counts, failed = _book_pnl(lake, request, seal, cache or VectorCache(lake))
    scenario_set = load_scenario_set(lake, seal.scenario_set_id)
    days, n = scenario_set.labels, request.length
    if len(days) < n:
        raise BadInput(
            f"The history gives {counted(len(days), 'scenario')}, fewer than a window of {n}. "
            "Ask for a shorter one, or bring in more history."
        )
    windows = sliding_window_view(pnl, n)
    function = measure(request.measure).function
    step = max(1, _CELLS // n)
    values = np.concatenate(
        [
            function(np.ascontiguousarray(windows[i : i + step]), level, None, request.estimator)
            for i in range(0, len(windows), step)
        ]
    )
    found = tuple(StressWindow(days[i], days[i + n - 1], float(v)) for i, v in enumerate(values))
    taken: list[int] = []
    # the earliest of equals, so that the answer does not depend on the sort
    for i in np.argsort(-values, kind="stable").tolist():
        if all(abs(i - j) >= n for j in taken):
            taken.append(i)
    return StressPeriod(
        worst=found[taken[0]],
        runners_up=tuple(found[i] for i in taken[1:]),
        all_windows=found,
        coverage=counts,
        valuation_set_id=seal.valuation_set_id,
        scenario_set_id=seal.scenario_set_id,
        scenarios=len(days),
        excluded=dict(scenario_set.excluded),
        notes=(f"{counted(counts.failed, *FAILED_POSITIONS)}. {failed}",) if failed else (),
    )


def _check(request: StressPeriodRequest) -> Any:
    check_estimator(request.estimator)
    for name in ("window_start", "window_end", "scenarios", "age_decay"):
        if name in request.moves:
            raise BadInput(
                f"{name} cannot be given: the search takes all equally weighted moves from `first` to the market date."
            )
    try:
        return exact_level(request.level)
    except ValueError as error:
        raise BadInput(str(error)) from None


def _book_pnl(
    lake: Lake, request: StressPeriodRequest, seal: ValuationSet, cache: VectorCache
) -> tuple[Floats, Coverage, str]:
    """P&L (n_scenarios,) of the selected book in the reporting currency, gains positive, what it covers, and why the rest failed."""
    snapshot = lake.snapshot()
    book, vectors = cache.book(snapshot, request.positions_date or request.as_of, seal.market_date), cache.vectors(seal)
    opened = Inputs(snapshot, seal, cache.scenarios(seal), vectors, book, cache.alignment(book, vectors))
    inputs = reported_in(opened, request.currency)
    scope = Scope(as_of=request.as_of, where=request.where, currency=request.currency)
    selection = open_selection(inputs, scope)
    counts = selection.counts[0]
    if counts[COVERED] == 0:
        raise BadInput(
            "No position of the selection has a value over this history: the factors they read begin too late. Give a later `first`, "
            "or proxies for them."
        )
    covered = Coverage(int(counts.sum()), *map(int, counts))
    return scenario_pnl(selection, 0, 1)[1][0], covered, failed_in_words(selection)


def searched(session: Session, query: StressPeriodRequest) -> Plan:
    """What the search reads, and what of it is missing."""
    _check(query)
    request = valuation_request(session.lake, query, session.cache)
    label = f"all moves of the history on {query.as_of}"
    return plan_request(session, label, request)


def value_search(session: Session, query: StressPeriodRequest) -> StressPeriodRequest:
    """Values what the search reads."""
    _check(query)
    value_request(session, valuation_request(session.lake, query, session.cache))
    return query


def price_of_search(session: Session, query: StressPeriodRequest) -> float:
    """Of the book under every day of the history, and of the measure in every window."""
    first = query.first or session.lake.bounds("market_data", "as_of_date")[0] or query.as_of
    days = max(query.length, (query.as_of - first).days * 5 // 7 + 1)
    size = size_of(session, query, by=(), scenarios=days)
    windows = (days - query.length + 1) * query.length * SECONDS_A_RANK
    return history_seconds(session) + size.planning + size.seconds(passes=2) + 2 * windows


STRESS_PERIOD = Question(
    StressPeriodRequest,
    stress_period,
    {"as_of": "2020-03-16", "length": 60, "first": "2019-06-03"},
    searched,
    value_search,
    price=price_of_search,
)
