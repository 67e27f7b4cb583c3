"""Roll-forward of a book: what it is worth at T1, T2, ... when nothing happens but time, and the cash it has paid by then.

    P&L = value at T + cash paid in (0, T] - value today

per contract and in its own currency; groups add net quantities, and convert value and cash at T with the exchange rates of
the market rolled to T, today's value with today's. In a constant market this is theta. Everything is read and priced here,
at the base alone; nothing is stored. `value_rolled` values a scenario set at the horizons through the lake, for risk there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from aggregation.answer import HIDDEN, Answer
from aggregation.book.book import Book, encode
from aggregation.book.filters import select
from aggregation.opened.alignment import FAILED, MISSING, align
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.vectors import LEAST_WIDTH, Vectors
from aggregation.price import size_of
from aggregation.question import Plan, Question
from aggregation.receipts import name_code
from aggregation.reduce.currency import conversion
from aggregation.reduce.grouping import coverage, group_by
from aggregation.reduce.netting import net
from aggregation.reduce.product import group_base, group_pnl
from aggregation.reduce.selection import currencies_used
from aggregation.session import Session
from aggregation.types import Coverage, Positions
from lake.arrays import Floats
from lake.canonical import canonical_json, digest
from lake.committer import Committer
from lake.dates import Day
from lake.errors import BadInput, VarlakeError, counted
from lake.progress import Progress, silent
from lake.tables import Lake, Snapshot
from lake.words import first_of
from scenarios import store
from scenarios.market.base_market import load_base
from scenarios.market.moves import MoveRules
from scenarios.types import MissingRiskFactor, RolledMarket, ScenarioSet
from valuation.batch import without_rate
from valuation.books.contracts import contract_notes, contracts_held
from valuation.catalogue import terms_from_json
from valuation.costs import Costs, Work, afford, record
from valuation.horizons.rolled_values import RolledValues, roll_values
from valuation.instruments.equity import cash_equity
from valuation.instruments.schedules import horizon_date, unlisted_note
from valuation.market.rolled_market import Carry, RolledBase, carry_of, currencies, roll, still, still_market
from valuation.sets.plan import all_pricers_version, make_plan
from valuation.sets.run import ValuationRun, run_plan
from valuation.types import Contract, InstrumentTerms, RolledMarkets, ValuationFailure, failures_in_words

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class RollRequest(Positions):
    """Which book is rolled how far, how the market moves meanwhile, and how the answer is grouped."""

    as_of: Day = Field(description="date of market and book")
    horizons: tuple[str, ...] = Field(
        ("1D", "1W", "1M", "3M", "1Y"),
        min_length=1,
        max_length=LEAST_WIDTH,
        description="T1, T2, ...: days are business days",
    )
    market: RolledMarket = Field(
        "forwards", description="forwards: what the curves imply comes true; constant: every level stays (theta)"
    )
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    scenario_set: str | None = Field(
        None, description="stored scenario set whose base is rolled; default the market of as_of as it stands"
    )
    calendar: str = Field("weekdays", description="business days of the horizons: an FpML code as in contracts")
    dividend_yields: dict[str, float] = Field(
        default_factory=dict, description="continuous yield by share or index, instead of what the contracts say"
    )
    costs: dict[str, float] = Field(
        default_factory=dict, description="cost of carry by commodity, instead of what the contracts say"
    )
    rates: dict[str, float] = Field(
        default_factory=dict, description="continuous rate by currency that has no discount curve"
    )
    curves: dict[str, str] = Field(
        default_factory=dict, description="discount curve by currency, where it is not the one named like it"
    )

    @field_validator("horizons")
    @classmethod
    def _differ(cls, horizons: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(horizons)) < len(horizons):
            raise ValueError("a horizon is named twice")
        return horizons


@dataclass(frozen=True)
class RollResult(Answer):
    """`rows` has one row a group and horizon, groups sorted, horizons as asked: the `by` columns, horizon, day, positions,
    covered, failed, missing, status, and in the reporting currency base_value (today), value (at the horizon), cash (paid by
    then) and pnl = value + cash - base_value; null where nothing of the group is covered. `totals` has the same for all
    groups together, one a horizon. `contracts` has a row a contract and horizon in the contract's own currency, per unit,
    with state alive, matured (it is cash alone) or failed. `failures` says why contracts are in none of the figures.
    """

    request: RollRequest
    rows: pa.Table
    totals: tuple[Mapping[str, Any], ...]
    contracts: pa.Table = field(metadata=HIDDEN)  # may be a million
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Start:
    """The market to roll and what it rolls with."""

    base: ScenarioSet
    carry: Carry
    contracts: Sequence[Contract]
    notes: tuple[str, ...]


def roll_forward(
    lake: Lake,
    request: RollRequest,
    *,
    cache: VectorCache | None = None,
    progress: Progress = silent,
) -> RollResult:
    """Prices the book today and at every horizon and adds up; stores nothing.

    Raises `BadInput` for horizons, dimensions, filters and names that are not there, `NotFound` for dates without a market
    or a book, both with the nearest that exist.
    """
    snapshot = lake.snapshot()
    days = _days(request)
    book = (cache or VectorCache(lake)).book(snapshot, request.positions_date or request.as_of, request.as_of)
    keep = select(book, request.where)  # before the work: a wrong filter or dimension is told at once
    groups = group_by(book, request.by, keep)
    start = _start(snapshot, request)
    markets = RolledBase(start.base, request.market, start.carry)
    work = _work([c.instrument_type for c in start.contracts], days)
    afford(Costs(lake), work)
    units = roll_values(start.contracts, markets, days, lambda done, total: progress("roll", done, total))
    record(lake, [(work, units.cost_us)])
    gone, failures = without_rate(units.contracts, units.currencies, start.base.index, request.currency)
    if failures and gone[units.covered].all():
        raise MissingRiskFactor(failures[0].message)
    today = np.where(gone, np.nan, units.today)
    units = dataclasses.replace(units, today=today, failures=(*units.failures, *failures))

    vectors = _vectors(units)
    alignment = align(book, vectors)
    counts = coverage(book, groups, alignment)
    counts = np.vstack([counts, counts.sum(axis=0)])
    netted = net(book, groups, alignment, vectors, 0, groups.n + 1)
    rolled = _rolled(start.base, markets, days)
    held = currencies_used(book, keep, alignment, vectors)
    rates = conversion(rolled, vectors.currencies, held, request.currency, fx_moves=True)
    flat = dataclasses.replace(netted, base=np.zeros_like(netted.base))
    covered = counts[:, 0] > 0
    figures: dict[str, Floats] = {
        "base_value": np.repeat(group_base(netted, rates)[:, None], len(days), axis=1),
        "value": group_pnl(_wide(units.values[units.covered]), flat, rates),
        "cash": group_pnl(_wide(units.cash[units.covered]), flat, rates),
    }
    figures["pnl"] = figures["value"] + figures["cash"] - figures["base_value"]
    for column in figures.values():
        column[~covered] = np.nan
    rows = _rows(request.horizons, days, counts, figures)
    totals = tuple(rows.slice(groups.n * len(days)).to_pylist())
    keys = groups.keys.take(pa.array(np.repeat(np.arange(groups.n), len(days))))
    rows = rows.slice(0, groups.n * len(days))
    return RollResult(
        request=request,
        rows=pa.table({**dict(zip(keys.column_names, keys.columns, strict=True)), **_columns(rows)}),
        totals=totals,
        contracts=_contracts(units, request.horizons, days),
        failures=units.failures,
        receipt=_receipt(snapshot, request, book, start, rolled, days, figures),
        notes=(
            *_notes(request, start, units.failures, counts[-1]),
            *unlisted_note(request.calendar, request.as_of, days[-1]),
            *contract_notes(start.contracts, request.as_of),
        ),
    )


def value_rolled(
    committer: Committer,
    request: RollRequest,
    *,
    runner: Literal["auto", "in-process", "spark"] = "auto",
    spark: Callable[[], SparkSession] | None = None,
    progress: Progress = silent,
    cancelled: threading.Event | None = None,
) -> list[ValuationRun]:
    """Values the request's scenario set at every horizon, its moves applied onto the market rolled there; a run each.

    Stores the rolled sets and their vectors; what the lake holds already is reused. Risk at T is then a query of that
    valuation set with as_of T and the book's own positions date; its P&L is against the rolled base, so that adding the
    roll-forward's P&L gives the whole way from today. Contracts matured by T are failures with the reason `matured`.
    """
    if request.scenario_set is None:
        raise BadInput("Name a stored scenario set: its moves are what happens at the horizons.")
    snapshot = committer.lake.snapshot()
    days = _days(request)
    start = _start(snapshot, request)
    dates = [request.positions_date or request.as_of]
    held = contracts_held(snapshot, dates, request.as_of)
    runs = []
    for day in days:
        made = store.save_scenario_set(committer, roll(start.base, day, request.market, start.carry))
        plan = make_plan(committer.lake.snapshot(), held, made, day, positions_dates=dates)
        runs.append(run_plan(committer, plan, runner=runner, spark=spark, progress=progress, cancelled=cancelled))
    return runs


def _days(request: RollRequest) -> list[dt.date]:
    return [horizon_date(request.as_of, tenor, request.calendar) for tenor in request.horizons]


def _start(snapshot: Snapshot, request: RollRequest) -> _Start:
    held = contracts_held(snapshot, [request.positions_date or request.as_of], request.as_of)
    contracts = Contract.of(held)
    base = _base(snapshot, request)
    terms = list(_readable(contracts))
    found, notes = carry_of(terms)
    known, spoken = base.index.row, currencies(base.index)
    carry = Carry(
        # a contract may read a factor that this market lacks: it fails on its own, not the whole book
        {**{k: v for k, v in found.dividend_yields.items() if k in known}, **request.dividend_yields},
        {**{k: v for k, v in found.costs.items() if k in known}, **request.costs},
        {**{k: v for k, v in found.rates.items() if k in spoken}, **request.rates},
        request.curves,
        found.cash_dividends & known.keys(),
    )
    if request.market == "constant":
        return _Start(base, carry, contracts, ())
    shares = [t for t in terms if isinstance(t, cash_equity.Terms)]
    yields = {t.underlying for t in shares if not t.dividend_yield and carry.dividend_yields.get(t.underlying)}
    cash = {t.underlying for t in shares if not t.cash_dividends} & carry.cash_dividends
    said = (
        (yields, "roll with a dividend yield, but shares of them pay no dividends: their terms name no yield."),
        (cash, "fall by their cash dividends, but shares of them pay none: their terms name no cash_dividends."),
    )
    notes = (*notes, *(f"{_names(unpaid)} {text}" for unpaid, text in said if unpaid))
    return _Start(base, carry, contracts, notes)


def _readable(contracts: Sequence[Contract]) -> Iterator[InstrumentTerms]:
    """The terms that can be read; the others are told as failures when they are priced."""
    for _, kind, text in contracts:
        with contextlib.suppress(VarlakeError):
            yield terms_from_json(kind, text)


def _base(snapshot: Snapshot, request: RollRequest) -> ScenarioSet:
    """The stored set, or the market of the date as a set in which nothing happens."""
    if request.scenario_set is not None:
        row = store.find_scenario_set(snapshot, request.scenario_set, request.as_of)
        if row.market_date != request.as_of:
            raise BadInput(
                f"Scenario set {request.scenario_set} is of {row.market_date}, and {request.as_of} is to be rolled."
            )
        return store.load_stored(snapshot, row)
    rules = MoveRules.model_validate({"market_date": request.as_of})
    return still_market(load_base(snapshot, request.as_of, rules.calendar, rules.max_held_days))


def _vectors(units: RolledValues) -> Vectors:
    """The covered contracts as the reduce knows them; `contracts` are sorted by id."""
    kept = np.flatnonzero(units.covered).tolist()
    codes, members = encode(pa.array([units.currencies[i] for i in kept], pa.string()))
    failures = [(f.contract_id, f.reason, f.message) for f in units.failures]
    return Vectors(
        n_scenarios=units.values.shape[1],
        contract_ids=pa.array([units.contracts[i].contract_id for i in kept], pa.string()),
        currencies=tuple(members.to_pylist()),
        currency=codes,
        base=units.today[kept],
        unmoved=np.zeros(len(kept), dtype=np.bool_),
        matrix=np.empty((len(kept), 0)),  # values and cash are reduced one after the other
        failures=pa.RecordBatch.from_pydict(
            {
                name: pa.array([f[i] for f in failures], pa.string())
                for i, name in enumerate(("contract_id", "reason", "message"))
            }
        ),
    )


def _wide(values: Floats) -> Floats:
    """Padded to the least width the reduce takes."""
    out = np.zeros((len(values), LEAST_WIDTH))
    out[:, : values.shape[1]] = values
    return out


def _rolled(base: ScenarioSet, markets: RolledMarkets, days: Sequence[dt.date]) -> ScenarioSet:
    """The base market with the market rolled to each horizon as a scenario."""
    columns = [markets.market(day).levels(list(base.index.row))[:, 0] for day in days]
    return dataclasses.replace(
        still(base), labels=tuple(str(i) for i in range(len(days))), levels=np.stack(columns, axis=1)
    )


def _rows(
    horizons: Sequence[str],
    days: Sequence[dt.date],
    counts: np.ndarray[Any, np.dtype[np.int64]],
    figures: Mapping[str, Floats],
) -> pa.Table:
    """A row a group and horizon; the last group is the total."""
    n = len(counts)
    coverages = [Coverage(int(sum(c)), *map(int, c)) for c in counts]

    def each(values: Any, kind: pa.DataType) -> pa.Array:
        return pa.array(np.repeat(np.asarray(values, dtype=object), len(days)).tolist(), kind)

    return pa.table(
        {
            "horizon": pa.array(list(horizons) * n, pa.string()),
            "day": pa.array(list(days) * n, pa.date32()),
            "positions": each([c.positions for c in coverages], pa.int64()),
            "covered": each(counts[:, 0], pa.int64()),
            "failed": each(counts[:, FAILED], pa.int64()),
            "missing": each(counts[:, MISSING], pa.int64()),
            "status": each([c.status for c in coverages], pa.string()),
            **{name: pa.array(v.ravel(), mask=np.isnan(v.ravel())) for name, v in figures.items()},
        }
    )


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _contracts(units: RolledValues, horizons: Sequence[str], days: Sequence[dt.date]) -> pa.Table:
    n, m = units.values.shape
    covered = np.repeat(units.covered, m)
    state = np.where(covered, np.where(units.matured.ravel(), "matured", "alive"), "failed")

    def each(values: Sequence[Any]) -> pa.Array:
        return pa.array([v for v in values for _ in range(m)])

    def figure(values: Floats) -> pa.Array:
        return pa.array(values.ravel(), mask=~covered)

    today = np.repeat(units.today[:, None], m, axis=1)
    return pa.table(
        {
            "contract_id": each([c.contract_id for c in units.contracts]),
            "instrument_type": each([c.instrument_type for c in units.contracts]),
            "currency": each(units.currencies),
            "horizon": pa.array(list(horizons) * n),
            "day": pa.array(list(days) * n),
            "state": pa.array(state),
            "base_value": figure(today),
            "value": figure(units.values),
            "cash": figure(units.cash),
            "pnl": figure(units.values + units.cash - today),
        }
    )


def _receipt(
    snapshot: Snapshot,
    request: RollRequest,
    book: Book,
    start: _Start,
    rolled: ScenarioSet,
    days: Sequence[dt.date],
    figures: Mapping[str, Floats],
) -> dict[str, Any]:
    """Every input by name and digest: the same question asked again of the same lake gives the same receipt."""
    return {
        "as_of": str(request.as_of),
        "days": {tenor: str(day) for tenor, day in zip(request.horizons, days, strict=True)},
        "market": request.market,
        "carry": start.carry.to_dict() if request.market == "forwards" else {},
        "unrolled": _unrolled(request, start, days),
        "scenario_set": request.scenario_set,
        "base_digest": digest(
            canonical_json([f.to_dict() for f in start.base.index.factors]), start.base.base.tobytes()
        ),
        "rolled_digest": digest(np.ascontiguousarray(rolled.levels).tobytes()),
        "held": dict(start.base.held),
        "synthetic": start.base.synthetic,
        "positions_date": str(book.positions_date),
        "positions_files": list(book.files),
        "currency": request.currency,
        "pricer_version": all_pricers_version(),
        "table_versions": snapshot.named,
        **name_code(),
        "request_digest": digest(canonical_json(request.model_dump(mode="json"))),
        "result_digest": digest(*(part for name, v in figures.items() for part in (name, v.tobytes()))),
    }


def _unrolled(request: RollRequest, start: _Start, days: Sequence[dt.date]) -> dict[str, str]:
    if request.market == "constant":
        return {}
    unrolled: dict[str, str] = roll(still(start.base), max(days), request.market, start.carry).definition["unrolled"]
    return unrolled


def _names(names: set[str]) -> str:
    return first_of(sorted(names))


def _notes(
    request: RollRequest,
    start: _Start,
    failures: Sequence[ValuationFailure],
    counts: np.ndarray[Any, np.dtype[np.int64]],
) -> tuple[str, ...]:
    """What a reader must know before using the numbers."""
    notes = ["Cash is counted at its amount, without interest.", *start.notes]
    if start.base.synthetic:
        notes.append("The market data is synthetic.")
    if counts[FAILED] or counts[MISSING]:
        why = failures_in_words((f.reason, f.message, 1) for f in failures)
        notes.append(
            f"{counted(counts[FAILED] + counts[MISSING], 'position is', 'positions are')} not in the numbers. {why}"
        )
    if start.base.held:
        notes.append(f"Risk factors that keep an earlier level: {_names(set(start.base.held))}.")
    stay = set(_unrolled(request, start, [request.as_of]))
    if stay:
        notes.append(f"Levels without a forward stay: {_names(stay)}.")
    return tuple(notes)


def _answer(session: Session, query: RollRequest) -> RollResult:
    return roll_forward(session.lake, query, cache=session.cache, progress=session.progress)


def _plan(session: Session, query: RollRequest) -> Plan:
    snapshot = session.lake.snapshot()
    held = contracts_held(snapshot, [query.positions_date or query.as_of], query.as_of)
    cost = Costs(session.lake).of(_work(held["instrument_type"].to_pylist(), query.horizons))
    return Plan(cost=cost, about={"contracts": len(held), "states": 1 + len(query.horizons)})


def _work(kinds: Sequence[str], days: Sequence[object]) -> Work:
    """Every contract priced today and on each day, with the cash until then."""
    return Work("roll-forward", {kind: n * (1 + len(days)) for kind, n in Counter(kinds).items()})


def _value(session: Session, query: RollRequest) -> RollRequest:
    """Values the scenario set of the query at every horizon, where it names one."""
    if query.scenario_set is not None:
        value_rolled(
            session.writer(), query, spark=session.spark, progress=session.progress, cancelled=session.cancelled
        )
    return query


def price_of_roll(session: Session, query: RollRequest) -> float:
    """Of the contracts priced on each day."""
    scenarios = 1 + len(query.horizons)
    return _plan(session, query).cost.seconds + size_of(session, query, scenarios=scenarios).seconds(passes=2)


ROLL_FORWARD = Question(
    RollRequest,
    _answer,
    {"as_of": "2020-03-16", "horizons": ["1D", "1M"], "by": ["desk"]},
    _plan,
    _value,
    price=price_of_roll,
)
