"""What a question of exposure is about, and all it reads, opened: book, netting sets, values on paths, exchange rates of today."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.book.book import Book, PositionColumn
from aggregation.book.filters import select
from aggregation.exposure.along_paths import Along, Flows
from aggregation.exposure.collateral import margin_period
from aggregation.exposure.netted import covered, net_on_paths
from aggregation.exposure.netting_sets import NettingSets, netting_sets
from aggregation.exposure.path_values import PathScope, PathValues, open_paths, without
from aggregation.exposure.reference import Agreement
from aggregation.opened.inputs import MARKET, book_of_scope
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import remembered
from aggregation.receipts import name_book
from aggregation.session import Session
from aggregation.types import Coverage, Positions
from lake.arrays import Bools
from lake.errors import BadInput, NotFound, counted
from lake.tables import Snapshot
from lake.words import first_of
from scenarios.market.base_market import BaseMarket, load_base
from scenarios.market.moves import MoveRules
from scenarios.types import MissingRiskFactor
from valuation.books.branches import TABLES as BRANCHES
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import terms_from_json
from valuation.instruments.schedules import horizon_date
from valuation.types import NO_RATE, Contract, ValuationFailure, failures_in_words

# what is held or lent: no counterparty of the trade owes it, and SA-CCR and BA-CVA leave it out (CRE52 and MAR50 are of derivatives)
NO_DERIVATIVES = frozenset(
    (
        "amortising_bond",
        "cash_equity",
        "deposit",
        "fixed_bond",
        "floating_bond",
        "fx_spot",
        "government_bond",
        "inflation_bond",
        "risky_bond",
        "step_bond",
        "zero_bond",
    )
)
NETTING_SET = "netting_set"  # the name under which a book is grouped and filtered by netting set
GRID = (
    "1W", "2W", "1M", "2M", "3M", "6M", "9M", "1Y", "18M", "2Y", "3Y", "4Y", "5Y", "7Y", "10Y", "15Y", "20Y", "25Y", "30Y",
)  # fmt: skip
_CALENDAR = "weekdays"  # of tenors and margin periods


class ExposureScope(Positions, PathScope):
    """Whose exposure, along which paths, with which collateral, in which currency."""

    grid: tuple[str, ...] = Field(
        (),
        max_length=120,
        description="T1, T2, ... as tenors such as 1W, 1M, 5Y; where none is given, weeks, then months, then years to the last maturity of "
        "the book, at most 30 years",
    )
    trades: Literal["derivatives", "all"] = Field(
        "derivatives",
        description="derivatives; or all, so that shares, bonds, deposits and spot count too, with their whole value, as owed by the "
        "counterparty of the trade",
    )
    collateral: bool = Field(
        True, description="count collateral: what is held and posted today, and what agreements call"
    )
    margin_period: Literal["agreement", "regime"] = Field(
        "agreement",
        description="margin period of risk: that of the agreement; or at least the floor that the regime sets",
    )
    look_back: bool = Field(
        True,
        description="value the book a margin period before each date as well, so that collateral is called on the value of that day; "
        "without, it was last called at the date of the grid before",
    )
    flows: Flows = Field(
        "paid",
        description="cash flows within the margin period: paid, by both sides; unpaid, by neither; own, by whoever does not default",
    )


@dataclass(frozen=True)
class MarginFloors:
    """The least margin periods of a regime, in business days, before the days between calls are added.

    usual : of most netting sets; many : of those with more than `many_trades` trades. disputed : what they are multiplied with while
    disputes last.
    """

    usual: int
    many: int
    many_trades: int
    disputed: int


@dataclass(frozen=True)
class OpenedBook:
    """The positions of a question by netting set, before any path is read.

    book : with the dimension netting_set. keep : (n_positions,) what the filters leave. sets : the netting sets of it. lags : margin
    period of each agreement, see `Along.lags`. collateralised : (n_sets,) whether the collateral of a set counts. all_lags : the margin
    periods of all agreements of the book, so that the dates of the paths are the same whatever the filters leave.
    """

    snapshot: Snapshot
    book: Book
    keep: Bools
    sets: NettingSets
    lags: tuple[int | None, ...]
    collateralised: Bools
    all_lags: tuple[int, ...]


@dataclass(frozen=True)
class OpenedExposure:
    """All that exposure is computed from. covered : (n_positions,) whether a contract has values on the paths. market : of today."""

    held: OpenedBook
    along: Along
    covered: Bools
    market: BaseMarket
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def failures(self) -> tuple[ValuationFailure, ...]:
        """The contracts held that have no values on the paths, and why."""
        book, keep = self.held.book, self.held.keep
        held = book.by_contract(keep) > 0
        valued = self.covered[book.starts[:-1]]
        ids = book.contract_ids.filter(pa.array(held & ~valued)).to_pylist()
        why = {f.contract_id: f for f in self.along.paths.failures}
        kinds = dict(zip(book.contract_ids.to_pylist(), _kinds(book), strict=True)) if ids else {}
        unknown = "It has no values on these paths; value them again with --value."
        return tuple(why.get(i) or ValuationFailure(i, kinds[i], "not valued", unknown) for i in ids)

    def coverage(self) -> Coverage:
        """Of the positions that are asked about."""
        n, ok = int(self.held.keep.sum()), int((self.held.keep & self.covered).sum())
        return Coverage(n, ok, n - ok, 0)


def _kinds(book: Book) -> list[str]:
    column = book.columns["instrument_type"]
    found: list[str] = column.members.take(pa.array(column.codes[book.starts[:-1]])).to_pylist()
    return found


def open_book(
    session: Session, query: ExposureScope, floors: MarginFloors | None = None, book: Book | None = None
) -> OpenedBook:
    """The positions of the query by netting set; book : in place of the query's, such as one with changes.

    Raises `BadInput` for names that are not there, for nothing left by the filters, and for a margin period asked of a regime
    where `floors` are not given.
    """
    cache, snapshot = session.cache, snapshot_of(session, query)
    if book is None:
        book = own_book(cache, snapshot, query)
    everything = np.ones(book.n_positions, np.bool_)
    whole = remembered(
        ("netting sets", query.as_of),
        (book,),
        lambda: netting_sets(snapshot, cache, book, everything, query.as_of),
        lambda s: s.code.nbytes + s.position.nbytes,
    )
    named = remembered(
        ("with netting sets", query.as_of), (book, whole), lambda: _with_sets(book, whole), lambda b: whole.code.nbytes
    )
    keep, among = kept_positions(named, query)
    sets = whole if keep.all() else netting_sets(snapshot, cache, named, keep, query.as_of, among=among)
    if query.margin_period == "regime" and floors is None:
        raise BadInput(
            "margin_period=regime was given, but this question has no regime; leave it out, or ask exposure."
        )
    of_all = _lags(whole, floors if query.margin_period == "regime" else None)
    lags = tuple(of_all[a.agreement] for a in sets.agreements)
    counts = sets.whole & bool(query.collateral and not session.lake.reader)
    everything_called = sorted({lag for lag in of_all.values() if lag is not None})
    return OpenedBook(snapshot, named, keep, sets, lags, counts, tuple(everything_called))


def kept_positions(book: Book, query: ExposureScope) -> tuple[Bools, Bools]:
    """What the filters leave of the trades that count, and the trades that count, both (n_positions,).

    Raises `BadInput` where the filters leave no derivative and derivatives are asked for.
    """
    chosen, among = select(book, query.where), np.ones(book.n_positions, np.bool_)
    if query.trades == "derivatives":
        column = book.columns["instrument_type"]
        is_one = np.array([m not in NO_DERIVATIVES for m in column.members.to_pylist()], np.bool_)
        among = is_one[column.codes]
        if not (chosen & among).any():
            raise BadInput(
                f"None of {counted(int(chosen.sum()), 'position')} is a derivative, so that no counterparty owes anything by them. Ask for "
                "other positions, or with trades=all for the value of all that is held."
            )
    return chosen & among, among


def snapshot_of(session: Session, query: ExposureScope) -> Snapshot:
    """The tables that a question of exposure reads, pinned."""
    tables = ("positions", "hierarchies", "agreements", "collateral", "contracts", *MARKET)
    return session.cache.lake.snapshot(*tables, *(BRANCHES if query.branch is not None else ()))


def own_book(cache: VectorCache, snapshot: Snapshot, query: ExposureScope) -> Book:
    """The book or branch that the query is about."""
    return book_of_scope(cache, snapshot, query, query.as_of)  # type: ignore[arg-type]  # it has the fields that are read


def _with_sets(book: Book, sets: NettingSets) -> Book:
    """The book with the netting set of each position as a dimension."""
    ids = np.array(sets.ids, dtype=object)
    order = np.argsort(ids.astype(str), kind="stable")
    place = np.empty(len(ids), np.int32)
    place[order] = np.arange(len(ids), dtype=np.int32)
    column = PositionColumn(place[sets.code], pa.array(ids[order].tolist(), pa.string()))
    return dataclasses.replace(book, columns={**book.columns, NETTING_SET: column})


def _lags(sets: NettingSets, floors: MarginFloors | None) -> dict[str, int | None]:
    """Margin period of each agreement by its id, None where it is not margined."""
    trades = np.bincount(sets.code, minlength=len(sets)).tolist()
    return {a.agreement: _lag(a, trades[i], floors) if a.margined else None for i, a in enumerate(sets.agreements)}


def _lag(agreement: Agreement, trades: int, floors: MarginFloors | None) -> int:
    """Margin period in business days; raises `BadInput` for an agreement without one."""
    if not agreement.margin_period_days:
        raise BadInput(
            f"Agreement {agreement.agreement} is margined and has a margin period of {agreement.margin_period_days} days; expected at "
            "least 1. Bring the agreement in again with margin_period_days, such as 10."
        )
    own = margin_period(agreement)
    if floors is None:
        return own
    least = floors.many if trades > floors.many_trades else floors.usual
    times = floors.disputed if agreement.disputed else 1
    return max(own, least * times + (agreement.margin_frequency_days or 1) - 1)


@functools.lru_cache(4096)
def business_day_before(day: dt.date, n: int) -> dt.date:
    """The weekday so many weekdays before."""
    found: dt.date = np.busday_offset(day, -n, roll="backward").astype(dt.date)
    return found


def reported_days(session: Session, query: ExposureScope, held: OpenedBook) -> dict[dt.date, str]:
    """The dates that exposure is told at, each with its tenor, ascending."""
    tenors = query.grid or _default_grid(held, query.as_of)
    found = {horizon_date(query.as_of, tenor, _CALENDAR): tenor for tenor in reversed(tenors)}
    return dict(sorted(found.items()))


def _default_grid(held: OpenedBook, as_of: dt.date) -> tuple[str, ...]:
    """The usual tenors up to the first that the book's last maturity does not reach beyond."""
    last = max(_last_days(held).values(), default=None)
    before = [t for t in GRID if horizon_date(as_of, t, _CALENDAR) < (last or dt.date.max)]
    return GRID[: len(before) + 1]


def _last_days(held: OpenedBook) -> Mapping[str, dt.date]:
    """The latest date in the terms of each contract of the book, by contract id; nothing of one without an end, such as a share."""

    def found() -> dict[str, dt.date]:
        last, lake = {}, held.snapshot.lake
        try:
            rows = contracts_by_id(lake, held.book.contract_ids)
        except NotFound:  # a contract that a what-if adds
            rows = lake.read("contracts", among={"contract_id": held.book.contract_ids.to_pylist()})
        for contract in Contract.of(rows):
            terms = terms_from_json(contract.instrument_type, contract.terms)
            if days := [v for v in vars(terms).values() if isinstance(v, dt.date)]:
                last[contract.contract_id] = max(days)
        return last

    return remembered("last days", (held.book,), found, lambda days: 200 * len(days))


def horizon_notes(opened: OpenedExposure) -> list[str]:
    """What figures over time leave out since the grid ends before the positions do."""
    held, reported = opened.held, opened.along.reported.tolist()
    end = max((d for d, r in zip(opened.along.paths.dates, reported, strict=True) if r), default=None)
    if end is None:
        return []
    last = _last_days(held)
    days = [last.get(i) or end for i in held.book.contract_ids.to_pylist()]
    later = np.repeat(np.array([d > end for d in days], np.bool_), np.diff(held.book.starts)) & held.keep
    if not later.any():
        return []
    latest = max(
        d for d, beyond in zip(days, np.logical_or.reduceat(later, held.book.starts[:-1]), strict=True) if beyond
    )
    n = int(later.sum())
    said = (
        f"The grid ends on {end}, before {counted(n, 'position')} {'does' if n == 1 else 'do'}, the last on {latest}: what comes after "
        "the grid is in no figure. Leave grid out for all dates, or give a longer one."
    )
    return [said]


def path_scope(session: Session, query: ExposureScope, held: OpenedBook) -> tuple[PathScope, dict[dt.date, str]]:
    """The paths that the query reads: its dates, and those a margin period before each; and the dates that are reported.

    Raises `BadInput` where these are too many.
    """
    reported = reported_days(session, query, held)
    tenors = dict(reported)
    if query.look_back:  # also where collateral is left out, so that both are answered from the same values
        for lag in held.all_lags:
            for day in reported:
                before = business_day_before(day, lag)
                if before > query.as_of and before not in tenors:
                    tenors[before] = f"{np.busday_count(query.as_of, before)}D"
    most = PathScope.model_fields["grid"].metadata[0].max_length
    if len(tenors) > most:
        raise BadInput(
            f"{len(reported)} dates and those a margin period before them are {len(tenors)}, and paths have at most {most}. Ask for fewer "
            "dates with grid, or leave those before out with look_back=false."
        )
    grid = tuple(t for _, t in sorted(tenors.items()))
    given = {name: getattr(query, name) for name in PathScope.model_fields}
    return PathScope(**{**given, "grid": grid}), reported


def open_exposure(
    session: Session,
    query: ExposureScope,
    floors: MarginFloors | None = None,
    *,
    held: OpenedBook | None = None,
    paths: PathValues | None = None,
    reported: Bools | None = None,
) -> OpenedExposure:
    """All that the query reads; raises `NotValued` where values on the paths are missing.

    held, paths, reported : in place of the query's own, such as those with changes.
    """
    held = held or open_book(session, query, floors)
    if paths is None or reported is None:
        scope, days = path_scope(session, query, held)
        paths = paths or open_paths(session, scope)
        reported = np.array([d in days for d in paths.dates], np.bool_)
    market = _market(session.cache, held.snapshot, query.as_of)
    paths = _reportable(paths, held.book, market, query.currency)
    along = Along(
        paths,
        held.book,
        held.sets,
        query.currency,
        functools.partial(_spot, market, query.currency),
        held.lags,
        held.collateralised,
        business_day_before,
        reported,
        query.flows,
    )
    ok = covered(held.book, net_on_paths(paths, held.book, held.sets))
    receipt = {**name_book(held.book, held.snapshot), "paths": _plain(paths.receipt)}
    opened = OpenedExposure(held, along, ok, market, receipt, ())
    return dataclasses.replace(opened, notes=_notes(query, opened))


def _reportable(paths: PathValues, book: Book, market: BaseMarket, into: str) -> PathValues:
    """The paths without the contracts whose currency has no exchange rate today; raises `MissingRiskFactor` where none has one."""
    gone = market.index.some_without_rate(paths.currencies, into)
    if not gone:
        return paths

    def found() -> PathValues:
        kinds = dict(zip(book.contract_ids.to_pylist(), _kinds(book), strict=True))
        held = zip(paths.contract_ids.to_pylist(), paths.currencies, strict=True)
        return without(paths, [ValuationFailure(i, kinds.get(i, ""), NO_RATE, gone[c]) for i, c in held if c in gone])

    return remembered(("reportable", into), (paths, book, market), found, lambda p: 200 * len(p.contract_ids))


def _plain(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it."""
    told: dict[str, Any] = json.loads(json.dumps(dict(receipt), default=str))
    return told


def _market(cache: VectorCache, snapshot: Snapshot, day: dt.date) -> BaseMarket:
    rules = MoveRules.model_validate({"market_date": day})
    key = ("base market", snapshot.versions.get("market_data"), day)
    return cache.keep(key, lambda: load_base(snapshot, day, rules.calendar, rules.max_held_days))


def _spot(market: BaseMarket, into: str, currency: str) -> float:
    """Today's price of one unit of a currency; raises `MissingRiskFactor`."""
    try:
        return market.index.cross(currency, into, lambda f: float(market.base[market.index.row[f]]), 1.0)
    except MissingRiskFactor as error:
        raise MissingRiskFactor(
            f"Amounts in {currency} cannot be reported in {into}: the market of {market.market_date} has no exchange rate between them. "
            f"Ask in {currency}, or load the rate. {error.message}"
        ) from None


def _notes(query: ExposureScope, opened: OpenedExposure) -> tuple[str, ...]:
    """What a reader must know before using the numbers."""
    held = opened.held
    notes = [*held.sets.notes, *opened.along.paths.notes]
    if query.sampling == "sobol":
        notes.append("Sobol points are one draw of a whole: there are no standard errors.")
    margined = [a for a, on in zip(held.sets.agreements, held.collateralised, strict=False) if a.margined and on]
    if not query.collateral and held.sets.agreements:
        notes.append("Collateral is left out, as asked.")
    if margined:
        said = {
            "paid": "are paid by both sides",
            "unpaid": "are paid by neither side",
            "own": "are paid by whoever does not default",
        }
        notes.append(f"Cash flows within the margin period of risk {said[query.flows]}.")
    parts = [a.agreement for a, w in zip(held.sets.agreements, held.sets.whole.tolist(), strict=False) if not w]
    if parts and query.collateral:
        notes.append(
            f"No collateral counts for {counted(len(parts), 'netting set')} of which the filters leave a part: "
            f"{first_of(parts)}."
        )
    column = held.book.columns["instrument_type"]
    counts = np.bincount(column.codes[select(held.book, query.where)], minlength=len(column.members)).tolist()
    kinds = {k: c for k, c in zip(column.members.to_pylist(), counts, strict=True) if c and k in NO_DERIVATIVES}
    if kinds:
        n = sum(kinds.values())
        does = (
            f"{'counts' if n == 1 else 'count'} with the whole value, as owed by the counterparty"
            if query.trades == "all"
            else f"{'is' if n == 1 else 'are'} left out, as by SA-CCR; trades=all counts {'it' if n == 1 else 'them'}"
        )
        notes.append(
            f"{counted(n, 'position')} {'is' if n == 1 else 'are'} no {'derivative' if n == 1 else 'derivatives'} "
            f"({', '.join(f'{k} {c:,}' for k, c in sorted(kinds.items()))}), and {does}."
        )
    failed = opened.failures
    if failed:
        n = int((held.keep & ~opened.covered).sum())
        why = failures_in_words((f.reason, f.message, 1) for f in failed)
        is_ = "position is" if n == 1 else "positions are"
        notes.append(f"{n:,} {is_} not in the numbers: the contracts have no values on the paths. {why}")
    return tuple(dict.fromkeys(notes))
