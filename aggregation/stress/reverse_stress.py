"""Reverse stress of a book: the most plausible scenario that loses at least X, and the historical days that come nearest.

Nothing is stored: the scenario found is a scenario set of one, to be saved and valued like any other.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import ConfigDict, Field
from scipy.special import ndtr

from aggregation.answer import HIDDEN, Answer, shown
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import history_seconds, size_of
from aggregation.question import Plan, Question
from aggregation.receipts import name_book
from aggregation.session import Session
from aggregation.stress.book_value import BookValue, open_book
from aggregation.types import AsKnown, Condition, Coverage, Currency, Whole
from lake.arrays import Floats
from lake.dates import Day
from lake.errors import BadInput, validated
from lake.progress import allowance
from lake.tables import Lake, Snapshot
from scenarios.market.history import load_history
from scenarios.market.moves import measure
from scenarios.plausibility.move_law import LawRules, MoveLaw, first_day, law, solve
from scenarios.plausibility.reverse_search import ReversePoint, linear, search
from scenarios.store import save_scenario_set, scenario_set_digest
from scenarios.types import ScenarioSet
from valuation.costs import Costs, Estimate, Meter, Work, record
from valuation.types import failures_in_words

BUMP = 0.1  # standard deviations, up and down, of a sensitivity
_STARTS = 2  # historical days whose sensitivities are followed too: a short option is not seen from the base
_DAYS_AT_ONCE = 250
# what a search typically takes, for the price told before: gradients, and points on the rays followed
_TYPICAL_GRADIENTS, _TYPICAL_POINTS = 20, 1300


class ReverseStressRequest(AsKnown):
    """Which book, how much, and under which return distribution."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    loss: float = Field(gt=0, description="loss to be reached, in the reporting currency")
    where: tuple[Condition, ...] = Field((), description="filters of the book, all of which must hold")
    currency: Currency = Field("USD", description="reporting currency, ISO 4217, such as USD")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    law: dict[str, Any] = Field(
        default_factory=dict,
        description="covariance, decay, window, horizon_days and the other parameters of the return distribution",
    )
    max_distance: float = Field(50.0, gt=0, le=1000, description="standard deviations beyond which nothing is sought")
    nearest: Whole = Field(5, ge=0, le=50, description="historical days to name")
    name: str = Field("reverse-stress", pattern=r"^[\w.:-]{1,80}$", description="name of the scenario set")


@dataclass(frozen=True)
class StressMove:
    """A factor's move in the scenario. share : of the book's loss, by its sensitivity at the scenario; shares add to 1; None
    where the book has no value nearby. read : whether the book reads it; the others move as is to be expected with those."""

    risk_factor_id: str
    base: float
    level: float
    move: float
    deviations: float
    share: float | None
    read: bool


@dataclass(frozen=True)
class PastDay:
    """A historical day's move onto today's market: the book's loss in full, and its distance over the factors it reads."""

    day: str
    loss: float
    distance: float
    reaches: bool


@dataclass(frozen=True)
class ReverseStress(Answer):
    """The answer; losses are positive, in the reporting currency, and by full valuation unless said otherwise.

    distance : Mahalanobis, of the scenario; linear_distance and linear_loss : of the closed form from the base's sensitivities,
    and what it loses in full (None where the book's value does not exist there, or reacts to nothing). probability : of losing
    as much, for normal moves and to first order, from the distance. covariance : the law in words. moves : largest share first.
    days : that reach the loss, nearest first, then those that come closest to it. states_valued : scenarios the book was
    valued under.
    """

    scenario_set: ScenarioSet = field(metadata=HIDDEN)
    loss: float
    distance: float
    probability: float
    linear_distance: float | None
    linear_loss: float | None
    covariance: str
    moves: tuple[StressMove, ...]
    days: tuple[PastDay, ...]
    days_compared: int
    days_left_out: int
    coverage: Coverage
    states_valued: int
    receipt: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    @shown("scenario_set")
    def name(self) -> str:
        """Name of the scenario set."""
        return self.scenario_set.name

    @property
    def rows(self) -> pa.Table:
        """A row a risk factor, the largest share of the loss first."""
        return pa.Table.from_pylist([dataclasses.asdict(m) for m in self.moves])


class _Counted:
    """The book's P&L in terms of standard deviations, counting what it values."""

    def __init__(self, book: BookValue, found: MoveLaw) -> None:
        self.book, self.law, self.states, self.meter = book, found, 0, Meter()
        self._pnl = self.meter.of(book.pnl)

    def __call__(self, z: Floats) -> Floats:
        allowance().spend(self.work(z.shape[1]).shipped_us / 1e6)
        self.states += z.shape[1]
        return self._pnl(self.law.levels(z * self.law.deviation[:, None]))

    def work(self, states: int) -> Work:
        return Work("reverse-stress", Counter(c.instrument_type for c in self.book.contracts), states)

    def gradient(self, z: Floats) -> Floats:
        """P&L for one more standard deviation of each factor (n,), by bumps both ways; NaN where the book has no value there."""
        rows = [r for r in self.book.reads if self.law.deviation[r] > 0]
        bumps = np.zeros((len(z), 2 * len(rows)))
        bumps[rows, range(len(rows))] = BUMP
        bumps[rows, range(len(rows), 2 * len(rows))] = -BUMP
        pnl = self(z[:, None] + bumps)
        out = np.zeros(len(z))
        out[rows] = (pnl[: len(rows)] - pnl[len(rows) :]) / (2 * BUMP)
        return out


def _rules(request: ReverseStressRequest) -> LawRules:
    return validated(LawRules, {**request.law, "market_date": request.as_of}, "return distribution")


def _open(lake: Lake, snapshot: Snapshot, request: ReverseStressRequest, cache: VectorCache | None) -> _Counted:
    rules = _rules(request)
    found = law(snapshot, rules)
    book = open_book(
        snapshot,
        cache or VectorCache(lake),
        request.as_of,
        request.positions_date or request.as_of,
        request.where,
        request.currency,
        found.index,
        found.base,
    )
    return _Counted(book, found)


def expected_cost(
    lake: Lake, request: ReverseStressRequest, cache: VectorCache | None = None
) -> tuple[dict[str, Any], Estimate]:
    """The price before the search: contracts, states valued in a typical one, and core seconds from measured costs."""
    snapshot = lake.snapshot()
    counted = _open(lake, snapshot, request, cache)
    days = len(_past(snapshot, counted, request)[0])
    states = _TYPICAL_GRADIENTS * 2 * len(counted.book.reads) + _TYPICAL_POINTS + days
    cost = Costs(lake).of(counted.work(states))
    return {
        "contracts": len(counted.book.contracts),
        "risk_factors_read": len(counted.book.reads),
        "expected_states": states,
        **cost.to_dict(),
    }, cost


def reverse_stress(lake: Lake, request: ReverseStressRequest, cache: VectorCache | None = None) -> ReverseStress:
    """The most plausible scenario found with which the book loses at least the amount asked.

    A contract without a value on the base market is left out and counted in the coverage. Raises `BadInput` when no scenario
    within `max_distance` loses so much.
    """
    snapshot = lake.snapshot()
    cache = cache or VectorCache(lake)
    value = _open(lake, snapshot, request, cache)
    found, book = value.law, value.book
    days, past, left_out = _past(snapshot, value, request)
    losses = np.empty(len(days))
    for i in range(0, len(days), _DAYS_AT_ONCE):
        losses[i : i + _DAYS_AT_ONCE] = -value(past[:, i : i + _DAYS_AT_ONCE])
    finite = np.where(np.isfinite(losses), losses, -np.inf)
    starts = [
        np.zeros(len(found.base)),
        *(past[:, i] for i in np.argsort(-finite, kind="stable")[:_STARTS] if finite[i] > 0),
    ]
    best = search(
        value, value.gradient, found.correlation, request.loss, np.stack(starts, axis=1), request.max_distance
    )
    linear_distance, linear_loss = _linear(value, request.loss)
    record(lake, [(value.work(value.states), value.meter.us)])
    failed = failures_in_words((f.reason, f.message, 1) for f in book.failures)
    return ReverseStress(
        scenario_set=_scenario_set(found, best, request),
        loss=best.loss,
        distance=best.distance,
        probability=float(ndtr(-best.distance)),
        linear_distance=linear_distance,
        linear_loss=linear_loss,
        covariance=found.described,
        moves=_moves(value, best),
        days=_days(value, days, past, losses, request),
        days_compared=len(days),
        days_left_out=left_out,
        coverage=Coverage(book.positions, book.covered, book.positions - book.covered, 0),
        notes=(f"Not in the numbers: {failed}",) if failed else (),
        states_valued=value.states,
        receipt=name_book(cache.book(snapshot, request.positions_date or request.as_of, request.as_of), snapshot),
    )


def _past(snapshot: Snapshot, value: _Counted, request: ReverseStressRequest) -> tuple[list[str], Floats, int]:
    """Days on which every factor the book reads has a move, those moves in deviations (n, n_days), and how many days have not."""
    found = value.law
    rules = _rules(request).with_log_prices()
    history = load_history(snapshot, rules.calendar, first_day(snapshot), rules.market_date)
    moves = measure(history, rules, rules.horizon_days)
    read = list(value.book.reads)
    columns = [moves.index.row[found.index.factors[r].risk_factor_id] for r in read]
    there = np.asarray(np.isfinite(moves.moves[:, columns]).all(axis=1))
    z = np.zeros((len(found.base), int(there.sum())))
    scale = np.where(found.deviation[read] > 0, found.deviation[read], 1.0)
    z[read] = (moves.moves[there][:, columns] / scale).T
    return [str(d) for d in moves.days[there]], z, int((~there).sum())


def _linear(value: _Counted, loss: float) -> tuple[float | None, float | None]:
    try:
        closed = linear(value.gradient(np.zeros(len(value.law.base))), value.law.correlation, loss)
    except BadInput:
        return None, None
    lost = float(-value(closed.moves[:, None])[0])
    return closed.distance, lost if np.isfinite(lost) else None


def _moves(value: _Counted, best: ReversePoint) -> tuple[StressMove, ...]:
    found = value.law
    levels = found.levels((best.moves * found.deviation)[:, None])[:, 0]
    pulled = value.gradient(best.moves) * best.moves
    total = float(pulled.sum())
    known = np.isfinite(total) and total != 0.0
    rows = sorted(range(len(levels)), key=lambda r: (pulled[r] if known else 0.0, -abs(best.moves[r])))
    return tuple(
        StressMove(
            found.index.factors[r].risk_factor_id,
            float(found.base[r]),
            float(levels[r]),
            float(best.moves[r] * found.deviation[r]),
            float(best.moves[r]),
            float(pulled[r] / total) if known else None,
            r in value.book.reads,
        )
        for r in rows
    )


def _days(
    value: _Counted, days: list[str], past: Floats, losses: Floats, request: ReverseStressRequest
) -> tuple[PastDay, ...]:
    read = [r for r in value.book.reads if value.law.deviation[r] > 0]
    if not read or not request.nearest or not days:
        return ()
    whitened = solve(value.law.root(read), np.ascontiguousarray(past[read]))
    distance = np.sqrt((whitened * whitened).sum(axis=0))
    known = [i for i in range(len(days)) if np.isfinite(losses[i])]
    order = sorted(
        known, key=lambda i: (losses[i] < request.loss, distance[i] if losses[i] >= request.loss else -losses[i], i)
    )
    return tuple(
        PastDay(days[i], float(losses[i]), float(distance[i]), bool(losses[i] >= request.loss))
        for i in order[: request.nearest]
    )


def _scenario_set(found: MoveLaw, best: ReversePoint, request: ReverseStressRequest) -> ScenarioSet:
    w = found.window
    levels = found.levels((best.moves * found.deviation)[:, None])
    made = w.moves.scenario_set(
        w.kept,
        levels,
        name=request.name,
        method="reverse_stress",
        market_date=request.as_of,
        definition={"method": "reverse_stress", **request.model_dump(mode="json")},
        labels=("reverse-stress",),
        horizon_days=found.horizon_days,
        excluded=w.excluded,
        dropped=w.dropped,
        proxied=w.moves.proxied(w.rows, w.kept, "days"),
        calibration={
            "covariance": found.described,
            "distance": f"{best.distance:.6g} standard deviations",
            "loss": f"{best.loss:.6g} {request.currency} by full valuation, {request.loss:g} asked",
        },
    )
    return dataclasses.replace(made, shocked=(levels != made.base[:, None]).any(axis=1), sample=False, of_book=True)


def _answer(session: Session, query: ReverseStressRequest) -> ReverseStress:
    """The search; where the session may write, the scenario is stored under the name of the query."""
    found = reverse_stress(session.lake, query, session.cache)
    made = scenario_set_digest(found.scenario_set)
    if session.committer is not None:
        save_scenario_set(session.committer, found.scenario_set)
    return dataclasses.replace(found, receipt={**found.receipt, "scenario_set_digest": made})


def _plan(session: Session, query: ReverseStressRequest) -> Plan:
    about, cost = expected_cost(session.lake, query, session.cache)
    return Plan(cost=cost, about=about)


def _price(session: Session, query: ReverseStressRequest) -> float:
    """Of the book in as many states as a typical search values it, if it reads every risk factor, and of the law of their moves."""
    size = size_of(session, query, by=(), scenarios=1)
    states = _TYPICAL_GRADIENTS * 2 * session.lake.count("risk_factors") + _TYPICAL_POINTS
    valued = Costs(session.lake).of(Work("reverse-stress", size.of.kinds, states)).seconds
    return history_seconds(session) + size.planning + size.seconds() + valued


REVERSE_STRESS = Question(
    ReverseStressRequest,
    _answer,
    {"as_of": "2020-03-16", "loss": 1_000_000, "where": ["desk=European Equities"]},
    _plan,
    lambda session, query: query,
    price=_price,
)
