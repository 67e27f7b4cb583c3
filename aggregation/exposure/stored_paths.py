"""Values along paths of a question's book: planned, valued into the lake, and opened as blocks of a mapped file."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aggregation.exposure.path_values import MOST_DATES, PathScope, PathValues, refuse_part
from aggregation.question import Plan
from aggregation.session import Session
from lake.arrays import Bools, Floats, Ints
from lake.canonical import canonical_json, digest
from lake.disk_cache import read_mapped, write_mapped
from lake.errors import BadInput, Damaged, NotValued, counted
from lake.storage import check_data_file
from lake.tables import Snapshot
from valuation.books.branches import contracts_of, find_branch
from valuation.books.contracts import contracts_by_id, contracts_held
from valuation.books.corporate_actions import ids_in_terms_of
from valuation.catalogue import terms_from_json
from valuation.horizons.path_runs import PathPlan, plan_along, run_along
from valuation.horizons.path_values import last_day, path_blocks
from valuation.instruments.schedules import horizon_date
from valuation.market.path_market import PathMarkets
from valuation.market.path_model import VERSION, PathKeys, PathModel, Settings, fit
from valuation.market.rolled_market import Carry, carry_of
from valuation.sets.plan import all_pricers_version
from valuation.types import Contract, InstrumentTerms, ValuationFailure, failures_in_words

Q = TypeVar("Q", bound=PathScope)

CALENDAR = "weekdays"
GRID = (
    "1W",
    "2W",
    *(f"{m}M" for m in range(1, 13)),
    *(f"{m}M" for m in range(15, 61, 3)),
    *(f"{m}M" for m in range(66, 121, 6)),
    *(f"{y}Y" for y in range(11, 31)),
)
_ROWS = 64  # of a data file read at once
_SEVERAL = 4  # sets of real-world paths that are kept drawn
_KEPT_BYTES = 64 << 20  # of rates, discount factors and levels that are kept at hand


def plan(session: Session, query: PathScope) -> Plan:
    """See `path_values.plan_paths`."""
    made = _plan(session.as_known(query.as_known), query)
    return Plan((), made.cost, _ready(made), about={"paths": made.to_dict(), "models": made.model.summary()})


def value(session: Session, query: Q) -> Q:
    """See `path_values.value_paths`."""
    session = session.as_known(query.as_known)
    made = _plan(session, query)
    if not made.sealed:
        run_along(session.writer(), made, spark=session.spark, progress=session.progress, cancelled=session.cancelled)
    return query


def opened(session: Session, query: PathScope) -> PathValues:
    """See `path_values.open_paths`."""
    session = session.as_known(query.as_known)
    made = _plan(session, query)
    if not _ready(made):
        raise NotValued(
            f"Not valued along these paths yet: {counted(made.work.num_rows, 'contract')} of "
            f"{made.work.num_rows + made.members.num_rows:,} at {len(made.model.dates)} dates on {made.model.settings.paths:,} paths. "
            f"It takes about {made.cost} seconds of one core."
        )
    members, failures = _held(made)
    name = digest("paths", made.path_set_id, *members["contract_id"].to_pylist(), *members["inputs_digest"].to_pylist())
    files = made.snapshot.data_files("path_values", {"as_of_date": [made.model.as_of]}) if members.num_rows else []
    shape = len(made.model.dates), members.num_rows, made.model.settings.paths
    stored = session.cache.entry(
        name,
        functools.partial(_fill, files, members, shape),
        functools.partial(_Stored.load, shape=shape, model=made.model),
    )
    return PathValues(
        as_of=made.model.as_of,
        dates=made.model.dates,
        n_paths=made.model.settings.paths,
        contract_ids=stored.contract_ids,
        currencies=stored.currencies,
        base=stored.base,
        failures=failures,
        receipt=_receipt(made),
        notes=(*made.model.notes(), *_failed(failures)),
        source=stored,
    )


def _ready(made: PathPlan) -> bool:
    return made.sealed or not made.work.num_rows


def _failed(failures: Sequence[ValuationFailure]) -> tuple[str, ...]:
    if not failures:
        return ()
    why = failures_in_words((f.reason, f.message, 1) for f in failures)
    return (f"{counted(len(failures), 'contract has', 'contracts have')} no values along the paths: {why}",)


def _receipt(made: PathPlan) -> dict[str, Any]:
    return {
        "path_set_id": made.path_set_id,
        "path_valuation_id": made.path_valuation_id,
        "paths_version": VERSION,
        "pricer_version": all_pricers_version(),
        "as_of": str(made.model.as_of),
        "dates": [str(day) for day in made.model.dates],
        "models": made.model.summary(),
        "market_data_version": made.model.market_data_version,
    }


def _held(made: PathPlan) -> tuple[pa.Table, tuple[ValuationFailure, ...]]:
    """Members, sorted by contract, and failures: of the seal where there is one, else all that is present."""
    if not made.sealed:
        return made.members.sort_by("contract_id"), made.failures
    among = {"path_valuation_id": [made.path_valuation_id]}
    members = made.snapshot.read("path_members", ["contract_id", "inputs_digest"], among=among).sort_by("contract_id")
    columns = ["contract_id", "instrument_type", "reason", "message", "stage"]
    rows = made.snapshot.read("path_failures", columns, among=among).sort_by("contract_id").to_pylist()
    return members, tuple(ValuationFailure(**row) for row in rows)


def _plan(session: Session, query: PathScope) -> PathPlan:
    refuse_part(session)
    snapshot = session.lake.snapshot()
    asked = canonical_json({n: getattr(query, n) for n in sorted(PathScope.model_fields)})
    key = ("path plan", asked, tuple(sorted(snapshot.versions.items())))
    return session.cache.keep(key, lambda: _planned(session, snapshot, query))


def _planned(session: Session, snapshot: Snapshot, query: PathScope) -> PathPlan:
    contracts = _contracts(snapshot, query)
    terms = list(_readable(Contract.of(contracts)))
    found, _ = carry_of(terms)
    carry = Carry(found.dividend_yields, found.costs, found.rates, dict(query.discount_curves), found.cash_dividends)
    dates = grid_dates(query.as_of, query.grid, terms)
    settings = Settings(
        measure=query.measure,
        numeraire=query.numeraire,
        paths=query.paths,
        seed=query.seed,
        sampling=query.sampling,
        window=query.path_window,
        mean_reversions=dict(query.mean_reversion),
        rate_volatilities=dict(query.rate_volatility),
        volatilities=dict(query.price_volatility),
        credit=query.credit_paths,
    )
    market = tuple(
        (n, snapshot.versions.get(n)) for n in ("market_data", "risk_factors", "market_calendars", "corporate_actions")
    )
    key = ("path model", query.as_of, dates, repr(settings), canonical_json(carry.to_dict()), market)
    model = session.cache.keep(key, lambda: fit(snapshot, query.as_of, dates, settings, carry))
    return plan_along(snapshot, contracts, model)


def _contracts(snapshot: Snapshot, query: PathScope) -> pa.Table:
    """The contracts of the book, or of the branch in its place."""
    if query.branch is None:
        return contracts_held(snapshot, [query.positions_date or query.as_of], query.as_of)
    row = find_branch(snapshot, query.branch)
    held = contracts_held(snapshot, [row["positions_date"]], query.as_of)
    own = pa.array(sorted(contracts_of(snapshot, row)), pa.string())
    added = ids_in_terms_of(snapshot, own, row["positions_date"], query.as_of) - set(held["contract_id"].to_pylist())
    if not added:
        return held
    return pa.concat_tables([held, contracts_by_id(snapshot, pa.array(sorted(added), pa.string()))]).sort_by(
        "contract_id"
    )


def _readable(contracts: Sequence[Contract]) -> Iterator[InstrumentTerms]:
    """The terms that can be read; of the others the plan says why."""
    for _, kind, text in contracts:
        with contextlib.suppress(Exception):
            yield terms_from_json(kind, text)


def grid_dates(as_of: dt.date, grid: Sequence[str], terms: Sequence[InstrumentTerms]) -> tuple[dt.date, ...]:
    """The dates of a grid, ascending; the default one ends with the first date on which all contracts have matured.

    Raises `BadInput` for tenors that are none, and for two that are one day.
    """
    if grid:
        dates = [horizon_date(as_of, tenor, CALENDAR) for tenor in grid]
        if len(set(dates)) < len(dates):
            same = next(t for t, d in zip(grid, dates, strict=True) if dates.count(d) > 1)
            raise BadInput(f"Two dates of the grid are one day, such as {same}; leave one of them out.")
        return tuple(sorted(dates))
    last = max((day for t in terms if (day := last_day(t)) is not None), default=as_of)
    out: list[dt.date] = []
    for tenor in GRID:
        out.append(horizon_date(as_of, tenor, CALENDAR))
        if out[-1] > last and len(out) > 1:
            break
    return tuple(out[:MOST_DATES])


def _fill(files: Sequence[Path], members: pa.Table, shape: tuple[int, int, int], folder: Path) -> None:
    """Writes the values of the members, a date after the other, a batch of rows of the data files at a time."""
    k, n, paths = shape
    place = {
        key: i
        for i, key in enumerate(
            zip(members["contract_id"].to_pylist(), members["inputs_digest"].to_pylist(), strict=True)
        )
    }
    currencies, base = [""] * n, np.full(n, np.nan)
    seen: Bools = np.zeros((k, n), dtype=np.bool_)
    start = np.full((k, n), -1, dtype=np.int64)
    made = 0
    if n and k and paths:
        values: Any = np.memmap(folder / "values.f64", dtype=np.float64, mode="w+", shape=shape)
    digests = pa.array(sorted({d for _, d in place}), pa.string())
    with (folder / "cash.f64").open("wb") as cash:
        for file in files:
            if n == 0 or not len(digests):
                break
            check_data_file(file)
            opened_file = pq.ParquetFile(file)
            told = opened_file.read(["contract_id", "inputs_digest"])
            if not any(
                key in place for key in set(zip(*(told[c].to_pylist() for c in told.column_names), strict=True))
            ):
                continue
            for batch in opened_file.iter_batches(_ROWS):
                columns = [
                    batch[c].to_pylist()
                    for c in ("contract_id", "inputs_digest", "date_number", "currency", "base_value")
                ]
                worth, paid = batch["values"], batch["cash"]
                for row, (contract_id, inputs, number, currency, today) in enumerate(zip(*columns, strict=True)):
                    i = place.get((contract_id, inputs))
                    if i is None or seen[number, i]:
                        continue
                    if worth[row].is_valid:  # else zero on every path, as the file is where nothing is written
                        values[number, i] = worth[row].values.to_numpy()
                    seen[number, i], currencies[i], base[i] = True, currency, today
                    if paid[row].is_valid:
                        cash.write(paid[row].values.to_numpy().tobytes())
                        start[number, i] = made
                        made += 1
    if not seen.all():
        raise Damaged(
            f"{int((~seen).any(axis=0).sum())} contracts of a valuation along paths are not whole in path_values."
        )
    np.save(folder / "start.npy", start)
    write_mapped(
        folder / "contracts.arrow",
        {
            "contract_id": pa.array(members["contract_id"].to_pylist(), pa.string()),
            "currency": pa.array(currencies, pa.string()),
            "base": pa.array(base),
        },
    )


@dataclass(frozen=True)
class _Stored:
    """Blocks of the mapped file, and what the paths themselves say, drawn when it is first asked for and kept.

    all_values : (n_dates, n_contracts, n_paths); paid : (n_paid, n_paths) rows of cash; start : (n_dates, n_contracts) the row of
    each, or -1.
    """

    contract_ids: pa.Array
    currencies: tuple[str, ...]
    base: Floats
    all_values: Floats
    paid: Floats
    start: Ints
    model: PathModel
    lock: threading.RLock = field(default_factory=threading.RLock)
    kept: dict[tuple[str, ...], list[PathMarkets]] = field(default_factory=dict)
    said: OrderedDict[tuple[str | int, ...], Floats] = field(default_factory=OrderedDict)

    @classmethod
    def load(cls, folder: Path, shape: tuple[int, int, int], model: PathModel) -> _Stored:
        told = read_mapped(folder / "contracts.arrow")
        start: Ints = np.load(folder / "start.npy")
        n_paid = int((start >= 0).sum())
        values: Any = np.zeros(shape)
        if values.size:
            values = np.memmap(folder / "values.f64", dtype=np.float64, mode="r", shape=shape)
        paid: Any = np.zeros((0, shape[2]))
        if n_paid:
            paid = np.memmap(folder / "cash.f64", dtype=np.float64, mode="r", shape=(n_paid, shape[2]))
        return cls(
            told["contract_id"],
            tuple(told["currency"].to_pylist()),
            told["base"].to_numpy(),
            values,
            paid,
            start,
            model,
        )

    def values(self, k: int, rows: Ints | None) -> Floats:
        block: Floats = self.all_values[k]
        return block if rows is None else block[rows]

    def cash(self, k: int, rows: Ints | None) -> Floats:
        start = self.start[k] if rows is None else self.start[k][rows]
        out = np.zeros((len(start), self.model.settings.paths))
        there = np.flatnonzero(start >= 0)
        out[there] = self.paid[start[there]]
        return out

    def fx(self, k: int, currency: str, into: str) -> Floats:
        return self._of_paths(("fx", currency, into), lambda m, b: m.fx(currency, into)[1:], k, ())

    def discount(self, k: int, currency: str) -> Floats:
        numeraire = self.model.settings.numeraire

        def of(market: Any, base: Any) -> Floats:
            if self.model.settings.measure == "real_world" or currency == numeraire:
                own: Floats = market.bank_discount(currency)[1:]
                return own
            deflated: Floats = market.bank_discount(numeraire)[1:] * (
                market.fx(currency, numeraire)[1:] / base.fx(currency, numeraire)[0]
            )
            return deflated

        return self._of_paths(("discount", currency), of, k, ())

    def level(self, k: int, risk_factor_id: str) -> Floats:
        self.model.index.require(risk_factor_id)
        return self._of_paths(("level", risk_factor_id), lambda m, b: m.level(risk_factor_id)[1:], k, (risk_factor_id,))

    def _of_paths(self, name: tuple[str, ...], of: Any, k: int, read: tuple[str, ...]) -> Floats:
        """A copy, (n_paths,), of what markets say of a date: to make one anew at each call is slow, and they keep few days."""
        key: tuple[str | int, ...] = (*name, k)
        with self.lock:
            if key not in self.said:
                parts = [of(m.at(self.model.dates[k]), m.base) for m in self._markets(read)]
                self.said[key] = np.concatenate(parts)
            self.said.move_to_end(key)
            made = self.said[key].copy()
            while len(self.said) * made.nbytes > _KEPT_BYTES:
                self.said.popitem(last=False)
        return made

    def _markets(self, read: tuple[str, ...]) -> list[PathMarkets]:
        """Of each block of paths; kept, drivers being small beside the values."""
        real = self.model.settings.measure == "real_world"
        name = read if real else ()
        if name not in self.kept:
            reads = PathKeys(self.model).closure(read) if real else None
            if len(self.kept) >= _SEVERAL:
                self.kept.clear()
            self.kept[name] = [PathMarkets(self.model, first, stop, reads) for first, stop in path_blocks(self.model)]
        return self.kept[name]
