"""P&L vectors of other systems as valuation sets: brought in under the scenarios they came with, and never valued here.

A node becomes a contract of the type `imported`, held once; its vector has a fingerprint of its content. What is corrected is a
new valuation set beside the old one, so that answers of before replay. See docs/decisions/0025-imported-vectors.md.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lake.arrays import Floats, Ints
from lake.canonical import canonical_json, digest, file_digest
from lake.committer import Committer, DryRun
from lake.errors import BadInput, Issue, counted
from lake.landing.pnl_vectors import FX, VALUE, Holes, Scenarios, VectorFile, other_scenarios, read_vectors
from lake.landing.positions_file import ATTRIBUTE, flags
from lake.runtime.machine import usable_cores
from lake.schemas import CONTRACTS, DIMENSION_COLUMNS, POSITIONS
from lake.storage import DataFile, is_damaged
from lake.tables import Snapshot, code_version
from scenarios.store import load_stored, save_scenario_set, scenario_summaries
from scenarios.types import IMPORTED, FactorIndex, RiskFactor, ScenarioSet
from valuation.sets import store
from valuation.sets.standards import first_standard
from valuation.types import IMPORT_OF, INCOMPLETE, PnLBlock, ValuationFailure, ValuationSet

SOURCE = "source"  # the attribute of a position that names the system its vector came from
_ALL_CLASSES = ()
_MOST_LISTED = 10_000
_Block = tuple[Ints, Floats, Holes]


@dataclass(frozen=True)
class DateVectors:
    """What a file did to one date, in nodes: in the file, of which failed; `held` is all that the valuation set answers for."""

    date: dt.date
    scenario_set: str
    scenarios: int
    valuation_set: str
    nodes: int
    failed: int
    new: int
    changed: int
    unchanged: int
    removed: int
    held: int


@dataclass(frozen=True)
class VectorsReport:
    """What became of a file of P&L vectors: nodes `read` = loaded + failed. Those that failed are positions without a number.

    failures : row, date, trade and reason of each that has a hole. notes : what whoever reads the numbers should know.
    """

    path: str
    source: str
    read: int
    loaded: int
    failed: int
    dates: tuple[DateVectors, ...]
    failures: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Date:
    """What the lake holds for a date of the file, and what of the file belongs to it.

    there : the stored set of that name. before : the newest valuation set under it. members, failures : of that, still held. place :
    where each scenario of the file stands in the set, None where they stand alike. set : theirs. book : the positions afterwards.
    stored : contract and fingerprint of each vector of the date, of whatever set.
    """

    date: dt.date
    rows: Ints
    scenarios: Scenarios
    there: ScenarioSet | None
    before: ValuationSet | None
    members: pa.Table
    failures: list[ValuationFailure]
    book: pa.Table
    removed: int
    place: Ints | None = None
    set: ScenarioSet | None = None
    rates: dict[str, tuple[float, Floats]] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    stored: frozenset[tuple[str, str]] = frozenset()
    made: list[tuple[str, str]] = field(default_factory=list)
    holes: list[tuple[int, ValuationFailure]] = field(default_factory=list)


def ingest_vectors(
    committer: Committer,
    path: str | Path,
    *,
    source: str,
    scenarios: str | None = None,
    scenario_set: str | None = None,
    horizon_days: int = 1,
    only_by_name: bool = False,
    fx_at_spot: bool = False,
    replace_dates: bool = False,
) -> VectorsReport:
    """Loads a file of P&L vectors (docs/vectors.md) as positions and a valuation set of each of its dates.

    source : the system they come from. scenarios : file of the scenarios in order. scenario_set : name of the set, by default that of
    the source; a stored one that was made here takes the vectors beside what is valued under it, where the scenarios are the same.
    only_by_name : chosen scenarios, which answer only where they are named. fx_at_spot : exchange rates do not move. The file's vector
    of a trade wins over the lake's; with `replace_dates` what the source had on a date becomes exactly the file. Raises `BadInput`
    with every fault; a node with a hole is no fault, but a failed position.
    """
    path, started = Path(path), time.perf_counter()
    file = read_vectors(path, scenarios)
    if f"{ATTRIBUTE}{SOURCE}" in file.attributes:
        raise BadInput(f"{path.name} was not loaded: the attribute {SOURCE} is the name of the source, {source}.")
    snapshot = committer.lake.snapshot()
    name = scenario_set or source
    ids, terms = _contracts(file, source)
    dates = {
        date: _date(snapshot, path.name, file, date, ids, source, name, replace_dates)
        for date in sorted(file.nodes["date"].unique().to_pylist())
    }
    for of in dates.values():
        _check_values(path.name, file, of, fx_at_spot)
    with ThreadPoolExecutor(1) as beside:  # while its vectors are decoded
        of_file = beside.submit(file_digest, path)
        files = _write(committer, path.name, file, ids, dates)
    about = {
        "name": name,
        "source": source,
        "horizon_days": horizon_days,
        "sample": not only_by_name,
        "file": {of_file.result(): path.name},
    }
    for of in dates.values():
        _check_rates(path.name, of)
        of.set = _scenario_set(snapshot, of, about, fx_at_spot)
    # contracts, vectors, then what answers for them, and last the book that asks for them
    _put_contracts(committer, file, ids, terms)
    if files:
        committer.commit("pnl_vectors", files, note={"pnl_vectors_file": path.name})
    notes: list[str] = []
    reports = [_seal(committer, snapshot, file, of, ids, about, replace_dates, started, notes) for of in dates.values()]
    books = [of.book for of in dates.values()]
    committer.put("positions", pa.concat_tables(books), replace=True, note={"pnl_vectors_file": path.name})
    failures = _listed(file, dates.values())
    read = sum(r.nodes for r in reports)
    if file.numbered:
        notes.append("No ids of scenarios were given: they are numbered, in the order of the lists.")
    return VectorsReport(
        str(path),
        source,
        read,
        read - len(failures),
        len(failures),
        tuple(reports),
        tuple(failures[:_MOST_LISTED]),
        tuple(dict.fromkeys(notes)),
    )


def imported_before(
    at: Snapshot, valuation_date: dt.date, scenario_set_id: str, contract_ids: pa.Array
) -> tuple[pa.Table, list[ValuationFailure], dict[str, str]]:
    """Which of these contracts of the type `imported` have a vector, or failed, on a date under a scenario set.

    Returns rows as `ValuationPlan.members`, failures, and what the seal says of the sources.
    """
    seal = _newest(at, valuation_date, scenario_set_id) if len(contract_ids) else None
    if seal is None or not seal.imports:
        return _NO_MEMBERS, [], {}
    members, failures = _answers(at, seal)
    held = pc.is_in(members["contract_id"], value_set=contract_ids)
    asked = set(contract_ids.to_pylist())
    marks = {k: v for k, v in seal.table_versions.items() if k.startswith(IMPORT_OF)}
    return members.filter(held), [f for f in failures if f.contract_id in asked], marks


# --- what is there ----------------------------------------------------------------------------------------------------

_NO_MEMBERS = pa.table(
    {
        "contract_id": pa.array([], pa.string()),
        "inputs_digest": pa.array([], pa.string()),
        "unmoved": pa.array([], pa.bool_()),
        "substituted": pa.array([], pa.bool_()),
    }
)


def _newest(at: Snapshot, date: dt.date, scenario_set_id: str) -> ValuationSet | None:
    """The newest seal of the date under the scenarios that shocks all of them."""
    of_set = [
        s
        for s in store.list_valuation_sets(at)
        if s.scenario_set_id == scenario_set_id and s.valuation_date == s.market_date == date
    ]
    most = max((len(s.shocked_classes) for s in of_set), default=0)
    return next((s for s in reversed(of_set) if len(s.shocked_classes) == most), None)


def _answers(at: Snapshot, seal: ValuationSet) -> tuple[pa.Table, list[ValuationFailure]]:
    among = {"valuation_set_id": [seal.valuation_set_id]}
    members = at.read("valuation_members", _NO_MEMBERS.column_names, among=among).cast(_NO_MEMBERS.schema)
    failures = at.read("valuation_failures", list(ValuationFailure.__dataclass_fields__), among=among).to_pylist()
    return members, [ValuationFailure(**f) for f in failures]


def _contracts(file: VectorFile, source: str) -> tuple[list[str], list[str]]:
    """Contract id and terms of each node, empty for exchange rates."""
    columns = (file.nodes[c].to_pylist() for c in (FX, "currency", "trade"))
    terms = [
        "" if fx else canonical_json({"currency": currency, SOURCE: source, "trade": trade})
        for fx, currency, trade in zip(*columns, strict=True)
    ]
    return [digest(IMPORTED, t) if t else "" for t in terms], terms


def _date(
    at: Snapshot,
    file_name: str,
    file: VectorFile,
    date: dt.date,
    ids: Sequence[str],
    source: str,
    name: str,
    replace_dates: bool,
) -> _Date:
    rows = np.flatnonzero(file.nodes["date"].to_numpy() == np.datetime64(date))
    scenarios = file.scenarios[date]
    named = [s for s in scenario_summaries(at) if s.name == name and s.market_date == date]
    there = load_stored(at, max(named, key=lambda s: s.version)) if named else None
    if there is not None and there.method == IMPORTED and replace_dates and set(there.labels) != set(scenarios.labels):
        there = None  # other scenarios: a new version of the set, and nothing of the old one is added up with it
    members, failures, before = _NO_MEMBERS, list[ValuationFailure](), None
    if there is not None:
        before = _newest(at, date, there.scenario_set_id)
        if before is not None:
            members, failures = _answers(at, before)
    book, removed = _book(at, file_name, file, date, rows, ids, source, replace_dates)
    own = {ids[i] for i in rows.tolist() if ids[i]}
    held = set(book["contract_id"].to_pylist())
    types = dict(zip(book["contract_id"].to_pylist(), book["instrument_type"].to_pylist(), strict=True))
    brought = pa.array(sorted(c for c in held - own), pa.string())
    known = dict(zip(members["contract_id"].to_pylist(), members["inputs_digest"].to_pylist(), strict=True))
    members = members.filter(pc.is_in(members["contract_id"], value_set=brought))
    failures = [f for f in failures if f.contract_id in held and f.contract_id not in own]
    lacking = held - own - set(members["contract_id"].to_pylist()) - {f.contract_id for f in failures}
    if lacking:
        ours = sum(types[c] != IMPORTED for c in lacking)
        raise BadInput(
            f"{file_name} was not loaded: the book of {date} holds {counted(len(lacking), 'contract')}, {ours:,} of them priced here, that "
            f"have no P&L under the scenario set {name}. Numbers are added up only under the same scenarios: name the stored "
            "scenario set that the book is valued under, where the scenarios are those (scenario_set), value the book first, or keep "
            "the vectors in a lake of their own."
        )
    made = _Date(
        date, rows, scenarios, there, before, members, failures, book, removed, known=known, stored=_stored(at, date)
    )
    return replace(made, place=_place(file_name, file, made), scenarios=_as_there(file_name, made))


def _stored(at: Snapshot, date: dt.date) -> frozenset[tuple[str, str]]:
    """Contract and fingerprint of the vectors of a date; those of a damaged file are none, so that they are written anew."""
    files = [f for f in at.data_files("pnl_vectors", {"valuation_date": [date]}) if not is_damaged(f)]
    tables = [pq.read_table(f, columns=["contract_id", "inputs_digest"], partitioning=None) for f in files]
    return frozenset(pair for t in tables for pair in zip(*(c.to_pylist() for c in t.columns), strict=True))


def _place(file_name: str, file: VectorFile, of: _Date) -> Ints | None:
    """Where each scenario of the file stands in the stored set; None where they stand alike."""
    if of.there is None or of.there.labels == of.scenarios.labels:
        return None
    labels = of.there.labels
    if file.numbered and len(labels) == len(of.scenarios.labels):
        return None
    at = {label: i for i, label in enumerate(labels)}
    if strange := [label for label in of.scenarios.labels if label not in at]:
        raise other_scenarios(file_name, strange, labels)
    return np.array([at[label] for label in of.scenarios.labels])


def _as_there(file_name: str, of: _Date) -> Scenarios:
    """The scenarios of the stored set where there is one; raises `BadInput` for other weights."""
    if of.there is None:
        return of.scenarios
    given, stored = of.scenarios.weights, of.there.weights
    if given is not None and not (
        of.scenarios.labels == of.there.labels and stored is not None and np.array_equal(given, stored)
    ):
        raise BadInput(
            f"{file_name} was not loaded: scenario set {of.there.name} of {of.date} has other weights. Give the scenarios of these "
            "vectors a set of another name, or leave the weights out."
        )
    return Scenarios(of.there.labels, stored)


def _book(
    at: Snapshot,
    file_name: str,
    file: VectorFile,
    date: dt.date,
    rows: Ints,
    ids: Sequence[str],
    source: str,
    replace_dates: bool,
) -> tuple[pa.Table, int]:
    """The positions of the date with those of the file, and how many of the source went."""
    mine = [i for i in rows.tolist() if ids[i]]
    nodes = file.nodes.take(pa.array(mine, pa.int64()))
    attributes = [nodes[a].to_pylist() for a in file.attributes]
    keys = [a.removeprefix(ATTRIBUTE) for a in file.attributes]
    n = len(mine)
    filled = [
        [(SOURCE, source), *((k, v) for k, v in zip(keys, row, strict=True) if v is not None)]
        for row in (zip(*attributes, strict=True) if attributes else [()] * n)
    ]
    new = pa.table(
        {
            "positions_date": pa.repeat(pa.scalar(date, pa.date32()), n),
            "contract_id": pa.array([ids[i] for i in mine], pa.string()),
            "quantity": pa.repeat(pa.scalar(1.0), n),
            **{d: nodes[d] for d in DIMENSION_COLUMNS},
            "instrument_type": pa.repeat(pa.scalar(IMPORTED), n),
            "currency": nodes["currency"],
            "attributes": pa.array(filled, POSITIONS.schema.field("attributes").type),
        }
    )
    new = new.select(POSITIONS.schema.names).cast(POSITIONS.schema)
    before = at.read("positions", POSITIONS.schema.names, among={"positions_date": [date]}).cast(POSITIONS.schema)
    whose = pc.map_lookup(before["attributes"].combine_chunks(), SOURCE, "first")
    same = flags(pc.fill_null(pc.equal(whose, source), False)) & flags(
        pc.equal(before["instrument_type"], IMPORTED).combine_chunks()
    )
    again = flags(pc.is_in(before["trade"], value_set=new["trade"].combine_chunks()).combine_chunks())
    if (again & ~same).any():
        trades = before.filter(pa.array(again & ~same))["trade"].to_pylist()
        raise BadInput(
            f"{file_name} was not loaded: on {date} the book holds {counted(len(trades), 'trade')} of the same name from elsewhere, first "
            f"{trades[0]}. A trade stands once in a book: give the nodes other names, or keep them in a lake of their own.",
            issues=[Issue("trade", "held already, from elsewhere", t) for t in trades[:100]],
        )
    gone = same if replace_dates else same & again
    kept = before.filter(pa.array(~gone))
    return pa.concat_tables([new, kept]).sort_by("trade"), int((same & ~again).sum()) if replace_dates else 0


def _check_values(file_name: str, file: VectorFile, of: _Date, fx_at_spot: bool) -> None:
    """Raises `BadInput` where rates are given twice, or where the currency risk of values that are not given would be left out."""
    rates = file.nodes[FX].take(pa.array(of.rows)).null_count < len(of.rows)
    own = of.there is not None and of.there.method != IMPORTED
    if rates and own:
        raise BadInput(
            f"{file_name} was not loaded: scenario set {of.there.name if of.there else ''} has exchange rates of its own; take the rows of "
            "rates out of the file."
        )
    moves = (rates and not fx_at_spot) or (
        of.there is not None
        and any(f.type == "fx_rate" and s for f, s in zip(of.there.index.factors, of.there.shocked, strict=True))
    )
    values = file.nodes[VALUE].take(pa.array(of.rows))
    if moves and values.null_count:
        lacking = of.rows[flags(values.combine_chunks().is_null())]
        rows = file.nodes["row"].take(pa.array(lacking)).to_pylist()
        raise BadInput(
            f"{file_name} was not loaded: exchange rates move under the scenarios, and {counted(len(rows), 'row')} of {of.date}, first row "
            f"{rows[0]}, have no base_value: the currency risk of the value would be left out. Give it, or let the rates stay at "
            "spot (fx_at_spot).",
            issues=[Issue(f"row {r}, column {VALUE}", "is empty") for r in rows[:100]],
        )


# --- vectors ----------------------------------------------------------------------------------------------------------


def _write(
    committer: Committer, file_name: str, file: VectorFile, ids: Sequence[str], dates: Mapping[dt.date, _Date]
) -> list[DataFile]:
    """Writes the vectors that the lake lacks, not committed; fills in what each date has of them, its rates and its holes."""
    nodes = file.nodes
    row_date, values, dry = nodes["date"], nodes[VALUE].to_numpy(zero_copy_only=False), isinstance(committer, DryRun)
    currencies, pairs, numbers = nodes["currency"].to_pylist(), nodes[FX].to_pylist(), nodes["row"].to_numpy()

    def one(block: _Block) -> DataFile | None:
        rows, matrix, holes = block
        of = dates[row_date[int(rows[0])].as_py()]
        labels = of.scenarios.labels
        if of.place is not None:
            wider = np.full((len(rows), len(labels)), np.nan)
            wider[:, of.place] = matrix
            matrix = wider
        whole = np.isfinite(matrix.max(axis=1))  # a NaN is the greatest of its row
        kept, prints = [], {}
        for k, i in enumerate(rows.tolist()):
            if pairs[i]:
                of.rates[pairs[i]] = (float(values[i]), matrix[k].copy())
            elif not whole[k]:
                empty = np.flatnonzero(~np.isfinite(matrix[k]))
                what = (
                    holes.get(i)
                    or f"no P&L under {len(empty):,} of {len(labels):,} scenarios, first {labels[empty[0]]}"
                )
                message = f"Its vector is not whole: {what} ({file_name}, row {numbers[i]})"
                of.holes.append((i, ValuationFailure(ids[i], IMPORTED, INCOMPLETE, message, "import")))
            else:
                value = 0.0 if np.isnan(values[i]) else float(values[i])
                head = (IMPORTED, of.date.isoformat(), ids[i], np.float64(value).tobytes())
                found = digest(*head, memoryview(matrix[k]))
                of.made.append((ids[i], found))
                if (ids[i], found) not in of.stored:
                    kept.append(k)
                    prints[ids[i]] = (found, found)  # no other vector shares its base
        if dry or not kept:
            return None
        mine = rows[kept]
        made = PnLBlock(
            tuple(ids[i] for i in mine),
            tuple(currencies[i] for i in mine),
            np.nan_to_num(values[mine]),
            matrix if len(kept) == len(matrix) else matrix[kept],
            np.zeros(len(kept)),
            np.zeros(len(kept), np.int64),
        )
        return store.write_block(committer.lake.path, of.date, made, prints)

    return [f for f in _as_they_come(one, file.blocks()) if f is not None]


def _as_they_come(work: Callable[[_Block], DataFile | None], items: Iterable[_Block]) -> Iterator[DataFile | None]:
    """`work` of every item by threads, in order; no more items are taken than threads have room for."""
    cores = usable_cores()
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _check_rates(file_name: str, of: _Date) -> None:
    bad = [p for p, (_, rates) in sorted(of.rates.items()) if not (rates > 0).all() and not np.isnan(rates).all()]
    if bad:
        raise BadInput(
            f"{file_name} was not loaded: the exchange rates of {', '.join(bad)} on {of.date} have a hole, or one that is not above zero. "
            "Every scenario needs a rate; of a rate that does not move give the base value alone."
        )


# --- what is made of it -----------------------------------------------------------------------------------------------


def _put_contracts(committer: Committer, file: VectorFile, ids: Sequence[str], terms: Sequence[str]) -> None:
    made = {
        i: (i, IMPORTED, currency, text)
        for i, currency, text in zip(ids, file.nodes["currency"].to_pylist(), terms, strict=True)
        if i
    }
    table = (
        pa.table(list(map(pa.array, zip(*made.values(), strict=True))), names=CONTRACTS.schema.names) if made else None
    )
    if table is not None:
        present = committer.lake.read("contracts", ["contract_id"])["contract_id"].combine_chunks()
        table = table.filter(pc.invert(pc.is_in(table["contract_id"], value_set=present))).sort_by("contract_id")
        if table.num_rows:
            committer.put("contracts", table)


def _scenario_set(at: Snapshot, of: _Date, about: Mapping[str, Any], fx_at_spot: bool) -> ScenarioSet:
    """The stored set, with the rates of the file where it has some, or a new one; not stored."""
    there = of.there
    if there is not None and about["horizon_days"] not in (1, there.horizon_days):
        raise BadInput(
            f"The scenarios of {there.name} of {of.date} span {counted(there.horizon_days, 'day')}, not {about['horizon_days']}; give the "
            "vectors a scenario set of another name."
        )
    if there is not None and (there.method != IMPORTED or not (of.rates or fx_at_spot)):
        return there
    n = len(of.scenarios.labels)
    factors: dict[RiskFactor, tuple[float, Floats, bool]] = {}
    if there is not None:
        factors = {
            f: (float(b), levels, bool(s))
            for f, b, levels, s in zip(
                there.index.factors, there.base, np.asarray(there.levels), there.shocked, strict=True
            )
        }
    if fx_at_spot:
        factors |= {f: (rate, np.full(n, rate), False) for f, rate in _spot(at, of.date)}
    for pair, (base, rates) in of.rates.items():
        name = f"FX:{pair}"
        factors = {f: v for f, v in factors.items() if f.risk_factor_id != name}
        made = RiskFactor(name, "fx_rate", f"{pair[:3]} in {pair[3:]}", pair[3:], source=about["source"])
        still = fx_at_spot or bool(np.isnan(rates).all())
        factors[made] = (base, np.full(n, base) if still else rates, not still)
    if fx_at_spot and not factors:
        raise BadInput(
            f"There is no exchange rate of {of.date} to convert at: bring market data with rates in, or give rows of rates with a "
            "base_value in the file (column fx)."
        )
    index = FactorIndex.of(factors)
    values = [factors[f] for f in index.factors]
    return ScenarioSet(
        "",
        about["name"],
        IMPORTED,
        of.date,
        {"method": IMPORTED, "market_date": str(of.date), "source": about["source"]},
        index,
        of.scenarios.labels,
        np.array([b for b, _, _ in values], np.float64),
        np.array([levels for _, levels, _ in values], np.float64).reshape(len(values), n),
        np.array([s for _, _, s in values], np.bool_),
        of.scenarios.weights,
        horizon_days=about["horizon_days"] if there is None else there.horizon_days,
        sample=about["sample"] if there is None else there.sample,
    )


def _spot(at: Snapshot, date: dt.date) -> list[tuple[RiskFactor, float]]:
    """The exchange rates of the lake on a date."""
    rows = at.read("risk_factors", where=ds.field("type") == "fx_rate").to_pylist(maps_as_pydicts="strict")
    known = {r["risk_factor_id"]: RiskFactor.from_dict(r) for r in rows}
    where = (ds.field("as_of_date") == date) & ds.field("value_used").is_valid()
    levels = at.read("market_data", ["risk_factor_id", "value_used"], where).to_pylist()
    return [(known[r["risk_factor_id"]], r["value_used"]) for r in levels if r["risk_factor_id"] in known]


def _seal(
    committer: Committer,
    at: Snapshot,
    file: VectorFile,
    of: _Date,
    ids: Sequence[str],
    about: Mapping[str, Any],
    replace_dates: bool,
    started: float,
    notes: list[str],
) -> DateVectors:
    assert of.set is not None
    scenarios = save_scenario_set(committer, of.set)
    made = pa.table(
        [pa.array([c for c, _ in of.made], pa.string()), pa.array([d for _, d in of.made], pa.string())],
        names=["contract_id", "inputs_digest"],
    )
    for name in ("unmoved", "substituted"):
        made = made.append_column(name, pa.repeat(pa.scalar(False), made.num_rows))
    members = pa.concat_tables([of.members, made]).sort_by("contract_id")
    failures = sorted([*of.failures, *(f for _, f in of.holes)], key=lambda f: f.contract_id)
    source, before = about["source"], of.before
    marks = {} if before is None else {k: v for k, v in before.table_versions.items() if k.startswith(IMPORT_OF)}
    earlier = json.loads(marks.get(IMPORT_OF + source, "{}"))
    files = {} if replace_dates else earlier.get("files", {})
    mine = pa.array([i for i in of.rows.tolist() if ids[i]], pa.int64())
    whole = not file.nodes[VALUE].take(mine).null_count
    told = {
        "files": {**files, **about["file"]},
        "base_values": whole and (replace_dates or earlier.get("base_values", True)),
        "exchange_rates": _rates_in_words(scenarios),
    }
    marks[IMPORT_OF + source] = canonical_json(told)
    notes += _notes(file, of, scenarios, told)
    parts = [x for row in zip(*(members[c].to_pylist() for c in members.column_names[:2]), strict=True) for x in row]
    parts += [x for f in failures for x in (f.contract_id, f.message)]
    own = ValuationSet(
        valuation_set_id="",
        valuation_date=of.date,
        market_date=of.date,
        scenario_set_id=scenarios.scenario_set_id,
        scenario_set_name=scenarios.name,
        sample=scenarios.sample,
        risk_classes=_ALL_CLASSES,
        pricer_version=IMPORTED if before is None else before.pricer_version,
        scenario_count=scenarios.n_scenarios,
        submitted=members.num_rows + len(failures),
        valued=made.num_rows,
        reused=of.members.num_rows,
        failed=len(failures),
        unmoved=int(pc.sum(members["unmoved"]).as_py() or 0),
        cost_us={},
        pricing_seconds=0.0,
        elapsed_seconds=time.perf_counter() - started,
        runner="import",
        run_id=committer.run_id,
        table_versions={**{k: str(v) for k, v in sorted(at.versions.items())}, **marks},
        code_version=code_version(),
        sealed_at=dt.datetime.now(dt.UTC),
    )
    stays = (
        before is not None
        and before.scenario_set_id == scenarios.scenario_set_id
        and _same(at, before, members, failures)
    )
    if before is None or not stays:
        # what was there before is part of the name: a correction that is taken back is a new set, and the newest
        set_id = digest(
            IMPORTED,
            of.date.isoformat(),
            scenarios.scenario_set_id,
            "" if before is None else before.valuation_set_id,
            *parts,
        )
        own = replace(own, valuation_set_id=set_id)
        if store.find_sealed(committer.lake, set_id) is None:
            store.seal(committer, own, members, failures)
    else:
        own = before
    first_standard(committer, own)  # also of what a run sealed that was killed before it said so
    unchanged = sum(of.known.get(c) == d for c, d in of.made)
    changed = sum(c in of.known for c, _ in of.made) - unchanged
    return DateVectors(
        of.date,
        scenarios.name,
        scenarios.n_scenarios,
        own.valuation_set_id,
        len(of.made) + len(of.holes),
        len(of.holes),
        len(of.made) - unchanged - changed,
        changed,
        unchanged,
        of.removed,
        of.book.num_rows,
    )


def _same(at: Snapshot, before: ValuationSet, members: pa.Table, failures: Sequence[ValuationFailure]) -> bool:
    was, failed = _answers(at, before)
    return bool(was.sort_by("contract_id").equals(members)) and sorted(failed, key=lambda f: f.contract_id) == list(
        failures
    )


def _rates_in_words(scenarios: ScenarioSet) -> str:
    if scenarios.method != IMPORTED:
        return f"of scenario set {scenarios.name}"
    if not scenarios.index.factors:
        return "none"
    return "under each scenario" if scenarios.shocked.any() else "constant at spot"


def _notes(file: VectorFile, of: _Date, scenarios: ScenarioSet, told: Mapping[str, Any]) -> list[str]:
    notes = []
    currencies = sorted({*file.nodes["currency"].take(pa.array(of.rows)).unique().drop_null().to_pylist()})
    if any(scenarios.index.without_rate(currencies, c) for c in currencies):
        notes.append(
            f"There are vectors in {', '.join(currencies)} and no exchange rates for all: asked in one, positions in others have no "
            "number. Bring rates in as rows of the file (column fx), or declare that they stay at spot (fx_at_spot)."
        )
    if told["exchange_rates"] == "constant at spot":
        notes.append(
            "Exchange rates stay at spot in every scenario: the currency risk of the values is not in the numbers."
        )
    if not told["base_values"]:
        notes.append("Some rows have no base_value: base values of groups leave them out; P&L does not need them.")
    return notes


def _listed(file: VectorFile, dates: Iterable[_Date]) -> list[dict[str, Any]]:
    found = [
        {
            "row": file.nodes["row"][i].as_py(),
            "date": of.date,
            "trade": file.nodes["trade"][i].as_py(),
            "reason": f.message,
        }
        for of in dates
        for i, f in of.holes
    ]
    return sorted(found, key=lambda f: (f["row"], f["date"]))
