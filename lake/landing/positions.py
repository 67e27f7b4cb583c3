"""Positions in: one CSV or Parquet file checked row by row, column-wise, and merged into the lake.

What a term means is the caller's business, who brings the names of the term columns and a function that turns the terms
of one contract into its row of `contracts`. That function runs once for each distinct contract, never once a row.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.dataset as ds

from lake.arrays import Bools, Ints
from lake.canonical import digest
from lake.committer import Committer, DryRun, split
from lake.dates import FIRST, LAST
from lake.errors import BadInput, Issue, close
from lake.landing.mapping import REJECT, FileMapping, Kind
from lake.landing.numbers import doubles, rounded, rounding_notes
from lake.landing.positions_changes import trade_changes
from lake.landing.positions_file import (
    ACTION,
    ATTRIBUTE,
    KINDS,
    OF_TRADES,
    REQUIRED,
    PositionsFile,
    flags,
    read_positions_file,
)
from lake.landing.rows import CONTROL, NO_NAME
from lake.landing.sheet import Dialect, Sheet
from lake.schemas import CONTRACTS, DIMENSION_COLUMNS, POSITIONS
from lake.storage import write_durable
from lake.tables import Lake
from lake.words import first_of

REJECTIONS = pa.schema(
    [("row", pa.int64()), ("column", pa.string()), ("value", pa.string()), ("reason", pa.string())],
)
_HINTED = 5  # rows of an unknown trade that are told the nearest ids
_REPEATS = "repeats row "
ACTIONS = ("new", "amend", "remove")
_OF_A_REMOVAL = ("positions_date", "trade", ACTION)

ContractOf = Callable[[str, Mapping[str, str]], Mapping[str, str]]


@dataclass(frozen=True)
class DateCounts:
    """What the file did to one positions date, in trades; `held` is the size of the book afterwards.

    `loaded` are the file's rows that were taken: new + changed + unchanged, and those removed by the file's own action.
    """

    positions_date: dt.date
    loaded: int
    new: int
    changed: int
    unchanged: int
    removed: int
    held: int


@dataclass(frozen=True)
class PositionsReport:
    """What became of a positions file: read = loaded + rejected.

    rejections : columns row (the header is row 1), column, value, reason; a row with several faults stands several times.
    reasons : the faults by kind, most frequent first: column, reason, rows, and the first row and value with it. rejects : the file
    with the rejected rows, to be mended and loaded. mapping : digest of the mapping the file was read by.
    versions : the versions of `contracts` and `positions` that hold the rows; unchanged when the file changed nothing.
    notes : what is in the lake otherwise than in the file.
    """

    path: str
    read: int
    loaded: int
    rejected: int
    dates: tuple[DateCounts, ...]
    contracts: int
    new_contracts: int
    rejections: pa.Table
    versions: Mapping[str, int]
    notes: tuple[str, ...] = ()
    reasons: tuple[Mapping[str, Any], ...] = ()
    rejects: str | None = None
    mapping: str | None = None

    def to_dict(self, rejections: int | None = None) -> dict[str, Any]:
        """Plain values; at most so many rejections (all when None)."""
        listed = self.rejections if rejections is None else self.rejections.slice(0, rejections)
        return {
            **{name: value for name, value in vars(self).items() if name not in ("dates", "rejections", "versions")},
            "dates": [vars(d) for d in self.dates],
            "versions": dict(self.versions),
            "notes": list(self.notes),
            "reasons": [dict(r) for r in self.reasons],
            "rejections": listed.to_pylist(),
        }


def ingest(
    committer: Committer,
    path: str | Path,
    term_columns: Mapping[str, Kind],
    contract_of: ContractOf,
    *,
    mapping: FileMapping | None = None,
    replace_dates: bool = False,
    force: bool = False,
    rejects: str | Path | None = None,
    sheet: Sheet | None = None,
) -> PositionsReport:
    """Loads the usable rows of a positions file and reports every other one.

    The file's row of a trade wins over the lake's row of that date; other trades of the date stay, unless
    `replace_dates`: then each date with a usable row becomes exactly the file. `term_columns` are the columns of terms, each with
    its kind; `mapping` says how a file with columns of its own is read. `contract_of(instrument_type, terms)`
    gets the filled-in term cells as text and returns a row of `contracts`, or raises `BadInput` whose issues point at
    columns. `rejects` names a CSV file for the rejected rows. `sheet` : what a file of trades holds, as `trade_files` reads it; it may
    lack dimensions. Raises `BadInput` when the file as a whole is unusable, and
    where `replace_dates` would remove trades although rows are rejected, unless with `force`.
    """
    file = read_positions_file(
        Path(path),
        term_columns,
        REQUIRED if sheet is None else OF_TRADES,
        mapping,
        {**KINDS, **term_columns},
        further=(ACTION,),
        sheet=sheet,
    )
    if replace_dates and ACTION in file.columns:
        raise BadInput(
            f"{Path(path).name} says by a column {file.own.get(ACTION, ACTION)!r} what is new, amended or removed, and with replaced dates "
            "they would become exactly the file. Do one or the other."
        )
    checked = check_positions(file, contract_of)
    dates = {d for t in (checked.positions, checked.removals) for d in pc.unique(t["positions_date"]).to_pylist()}
    lake = committer.lake
    before, others = _books(lake, dates)
    checked = _granted(lake, checked, others)
    if ACTION in file.columns:
        checked = _acted(lake, checked, before)
    rejections = checked.faults.table()
    written = _write_rejects(committer, Path(path), rejects, file, rejections)
    read = file.read
    del file, checked.faults.file  # its texts are gigabytes
    present = lake.whole().read("contracts", ["contract_id"])["contract_id"].combine_chunks()
    contracts = checked.contracts.filter(pc.invert(pc.is_in(checked.contracts["contract_id"], present)))
    merged, emptied, counts = _merge(before, checked, replace_dates)
    if replace_dates and not force:
        _check_replacement(Path(path).name, read, rejections, counts)
    by = None if mapping is None else mapping.digest()
    note = {"positions_file": Path(path).name, **({} if by is None else {"mapping": by})}
    versions = {name: lake.version(name) for name in ("contracts", "positions")}
    if contracts.num_rows:
        versions["contracts"] = committer.put("contracts", contracts, note=note)
    if merged is not None:
        merged, emptied = _beside(merged, emptied, others)
        versions["positions"] = committer.put("positions", merged, replace=True, note=note, emptied=emptied)
    loaded = sum(c.loaded for c in counts)
    return PositionsReport(
        path=str(path),
        read=read,
        loaded=loaded,
        rejected=read - loaded,
        dates=counts,
        contracts=checked.contracts.num_rows,
        new_contracts=_new_contracts(lake, contracts, checked, before),
        rejections=rejections,
        versions={name: version for name, version in versions.items() if lake.shows_version(name)},
        notes=(*(() if sheet is None else sheet.notes), *checked.notes),
        reasons=faults_by_reason(rejections),
        rejects=None if written is None else str(written),
        mapping=by,
    )


# --- checking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CheckedPositions:
    """Usable rows as rows of `positions` (with attributes) and `contracts`, and the faults of all others.

    rows : where in the file each position stands. removals : date and trade of the rows that remove one, and where they stand.
    notes : quantities that a double does not hold.
    """

    positions: pa.Table
    contracts: pa.Table
    faults: _RowFaults
    rows: Ints
    removals: pa.Table
    notes: tuple[str, ...]

    @property
    def rejections(self) -> pa.Table:
        """The faults by row, as `REJECTIONS`."""
        return self.faults.table()


def _groups(columns: Iterable[pa.Array], size: int) -> tuple[Ints, Ints]:
    """First row of each distinct combination of cells, and the combination each row has; null equals null."""
    codes, span = np.zeros(size, dtype=np.int64), 1
    for column in columns:
        if column.null_count == size:
            continue
        encoded = column.dictionary_encode()
        width = len(encoded.dictionary) + 1
        if span * width >= 2**63:
            _, codes = np.unique(codes, return_inverse=True)
            span = int(codes.max()) + 1
        codes = codes * width + pc.fill_null(encoded.indices, -1).to_numpy() + 1
        span *= width
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse


class _RowFaults:
    """Collects faults by index of the row in the file."""

    def __init__(self, file: PositionsFile) -> None:
        self.file = file
        actions = file.columns.get(ACTION, pa.nulls(len(file.rows), pa.string()))
        # rows of which nothing is read but the date and the trade
        self.removing = flags(pc.fill_null(pc.equal(actions, "remove"), False))
        self.bad = np.zeros(len(file.rows), dtype=bool)
        self.parts: list[pa.Table] = []
        for number, text, reason in file.ragged:
            self._append(np.array([number]), "", pa.array([text]), reason)
        self._told: dict[str, Bools] = {}  # by column of the file, the rows whose cell there is a fault already
        of_a_removal = {file.own.get(c, c) for c in _OF_A_REMOVAL}
        for rows, column, cells, reason in file.faults:
            if column not in of_a_removal and self.removing[rows].any():
                cells, rows = cells.filter(pa.array(~self.removing[rows])), rows[~self.removing[rows]]
            self.bad[rows] = True
            self._told.setdefault(column, np.zeros(len(file.rows), dtype=bool))[rows] = True
            self._append(file.rows[rows], column, cells, reason)

    def _append(self, numbers: Ints, column: str, values: pa.Array, reason: str | pa.Array) -> None:
        n = len(numbers)
        reasons = pa.repeat(pa.scalar(reason), n) if isinstance(reason, str) else reason
        columns = [pa.array(numbers), pa.repeat(pa.scalar(column), n), values, reasons]
        self.parts.append(pa.table(columns, schema=REJECTIONS))

    def add(self, rows: Ints, column: str, reason: str | pa.Array, value: str | None = None) -> None:
        """Rejects the rows for what stands in the column; for `value` where the file has no such column.

        It is told of the file's own column and cell, once.
        """
        if column not in _OF_A_REMOVAL:
            kept = ~self.removing[rows]
            rows, reason = rows[kept], reason if isinstance(reason, str) else reason.filter(pa.array(kept))
        self.bad[rows] = True
        own = self.file.own.get(column, column)
        if own in self._told:
            fresh = ~self._told[own][rows]
            rows, reason = rows[fresh], reason if isinstance(reason, str) else reason.filter(pa.array(fresh))
        if not len(rows):
            return
        cells = self.file.cells.get(own, self.file.columns.get(column))
        absent = pa.repeat(pa.scalar(value, pa.string()), len(rows))
        self._append(self.file.rows[rows], own, absent if cells is None else cells.take(pa.array(rows)), reason)

    def table(self) -> pa.Table:
        """By row; the faults of a row in the order in which they were found."""
        faults = pa.concat_tables(self.parts) if self.parts else REJECTIONS.empty_table()
        return faults.take(pa.array(np.argsort(faults["row"].to_numpy(), kind="stable")))


def check_positions(
    file: PositionsFile, contract_of: ContractOf, required: Sequence[str] = REQUIRED
) -> CheckedPositions:
    """Checks every cell; columns that are not `required` may be empty. `contract_of` as in `ingest`."""
    faults = _RowFaults(file)
    actions = _actions(file, faults)
    for name in required:
        empty = np.flatnonzero(flags(file.columns[name].is_null()))
        faults.add(empty, name, "is empty; every position has it")
    for name in (*DIMENSION_COLUMNS, *file.attributes):
        strange = flags(pc.fill_null(pc.match_substring_regex(file.columns[name], CONTROL), False))
        faults.add(np.flatnonzero(strange), name, NO_NAME)
    dates = _dates(file, faults)
    quantity = _quantities(file, faults)
    row_contract, contracts = _contracts(file, faults, contract_of)
    attributes = [file.columns[a] for a in file.attributes]
    dimensions = [file.columns[d] for d in DIMENSION_COLUMNS]
    content = [pa.array(row_contract), quantity, *dimensions, *attributes, actions]
    _duplicates(file, faults, dates, content)
    held = np.flatnonzero(~faults.bad & ~faults.removing)
    good = None if len(held) == len(file.rows) else pa.array(held)  # of a book without faults nothing is copied
    gone = pa.array(np.flatnonzero(~faults.bad & faults.removing))
    used = contracts.take(pa.array(row_contract[held]))
    positions = pa.table(
        {
            "positions_date": _taken(dates, good),
            "contract_id": used["contract_id"],
            "quantity": _taken(quantity, good),
            **{name: _taken(file.columns[name], good) for name in DIMENSION_COLUMNS},
            "instrument_type": used["instrument_type"],
            "currency": used["currency"],
            "attributes": _maps(file.attributes, [_taken(a, good) for a in attributes], len(held)),
        }
    )
    text = _taken(file.columns["quantity"], good)
    inexact = [
        (f"row {file.rows[held[i]]}", text[i].as_py(), positions["quantity"][i].as_py())
        for i in rounded(text, positions["quantity"].combine_chunks()).tolist()
    ]
    removals = pa.table(
        {"positions_date": dates.take(gone), "trade": file.columns["trade"].take(gone), "row": gone.cast(pa.int64())}
    )
    notes = rounding_notes("quantities", inexact)
    return CheckedPositions(positions, _distinct(used), faults, held, removals, notes)


def _taken(column: pa.Array, rows: pa.Array | None) -> pa.Array:
    return column if rows is None else column.take(rows)


def _distinct(contracts: pa.Table) -> pa.Table:
    ids = contracts["contract_id"].combine_chunks()
    return contracts.take(pa.array(_groups([ids], len(ids))[0])).sort_by("contract_id")


def _actions(file: PositionsFile, faults: _RowFaults) -> pa.Array:
    """What each row says of its trade, null where it says nothing."""
    actions = file.columns.get(ACTION, pa.nulls(len(file.rows), pa.string()))
    unknown_one = flags(pc.and_(actions.is_valid(), pc.invert(pc.is_in(actions, pa.array(ACTIONS)))))
    faults.add(np.flatnonzero(unknown_one), ACTION, f"expected {', '.join(ACTIONS)}, or nothing for a row as it stands")
    return actions


def _dates(file: PositionsFile, faults: _RowFaults) -> pa.Array:
    encoded = file.columns["positions_date"].dictionary_encode()
    parsed = [_date(text) for text in encoded.dictionary.to_pylist()]
    dates = pa.array(parsed, pa.date32()).take(encoded.indices)
    wrong = flags(pc.and_(dates.is_null(), encoded.indices.is_valid()))
    faults.add(np.flatnonzero(wrong), "positions_date", "expected a date such as 2020-03-16, from 1900 to 2100")
    return dates


def _date(text: str) -> dt.date | None:
    try:
        date = dt.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return None
    return date if date.isoformat() == text and FIRST <= date <= LAST else None


def _quantities(file: PositionsFile, faults: _RowFaults) -> pa.Array:
    text = file.columns["quantity"]
    quantity = doubles(text)
    wrong = flags(pc.and_(text.is_valid(), quantity.is_null()))
    reason = "expected a finite number such as 1500 or -2.5, of at most 1e16, without thousands separators"
    faults.add(np.flatnonzero(wrong), "quantity", reason)
    return quantity


def _contracts(file: PositionsFile, faults: _RowFaults, contract_of: ContractOf) -> tuple[Ints, pa.Table]:
    """The contract of each row, as an index into the distinct contracts; negative where the terms are not valid."""
    types = file.columns["instrument_type"]
    keys = {"instrument_type": types, **{t: file.columns[t] for t in file.terms}}
    first, group = _groups(keys.values(), len(types))
    in_group = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=len(first)))
    made: dict[str, Mapping[str, str]] = {}  # by contract id, in the order of their numbers
    number: dict[str, int] = {}
    contract_of_group = -1 - np.arange(len(first))  # unlike each other and unlike every contract
    firsts = pa.table({name: column.take(pa.array(first)) for name, column in keys.items()})
    for instrument_type, numbers in _by_type(firsts["instrument_type"].combine_chunks()):
        cells = firsts.take(pa.array(numbers))
        cells = cells.select([name for name in keys if cells[name].null_count < len(numbers)])
        for g, row in zip(numbers.tolist(), cells.to_pylist(), strict=True):
            del row["instrument_type"]
            try:
                contract = contract_of(instrument_type, {term: cell for term, cell in row.items() if cell is not None})
            except BadInput as error:
                rows = in_group[ends[g - 1] if g else 0 : ends[g]]
                for issue in error.issues or (Issue("instrument_type", error.message),):
                    faults.add(rows, issue.pointer or "instrument_type", issue.message, issue.value)
            else:
                made[contract["contract_id"]] = contract
                contract_of_group[g] = number.setdefault(contract["contract_id"], len(number))
    table = pa.Table.from_pylist(list(made.values()), schema=CONTRACTS.schema.remove_metadata())
    return contract_of_group[group], table


def _by_type(types: pa.Array) -> Iterable[tuple[str, Ints]]:
    encoded = types.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy()
    for code, name in enumerate(encoded.dictionary.to_pylist()):
        yield name, np.flatnonzero(codes == code)


def _duplicates(file: PositionsFile, faults: _RowFaults, dates: pa.Array, content: Sequence[pa.Array]) -> None:
    """A trade stands once on a date: of identical rows the first counts, of differing rows none."""
    trade = file.columns["trade"]
    known = flags(pc.and_(dates.is_valid(), trade.is_valid()))
    first, group = _groups([dates, trade], len(trade))
    repeated = known & (np.bincount(group, minlength=len(first))[group] > 1)
    if not repeated.any():
        return
    _, same = _groups(content, len(trade))
    differs = np.zeros(len(first), dtype=bool)
    differs[group[same != same[first][group]]] = True
    numbers = file.rows[first][group]
    index = np.flatnonzero(repeated & ~differs[group] & (np.arange(len(trade)) != first[group]))
    faults.add(index, "trade", _said(_REPEATS, numbers[index], ", which counts"))
    index = np.flatnonzero(repeated & differs[group])
    faults.add(
        index,
        "trade",
        _said(
            "stands more than once on this date with different content, first in row ",
            numbers[index],
            "; which is right cannot be known, so none is loaded",
        ),
    )


def _said(before: str, numbers: Ints, after: str) -> pa.Array:
    return pc.binary_join_element_wise(before, pc.cast(pa.array(numbers), pa.string()), after, "")


def _maps(names: Sequence[str], columns: Sequence[pa.Array], size: int) -> pa.Array:
    """One map a row, of the attributes that are filled in, by name."""
    filled = np.zeros((size, len(names)), dtype=bool)
    for i, column in enumerate(columns):
        filled[:, i] = flags(column.is_valid())
    offsets = np.concatenate([[0], np.cumsum(filled.sum(axis=1))]).astype(np.int32)
    row, which = np.nonzero(filled)
    cells = pa.concat_arrays(columns) if columns else pa.array([], pa.string())
    keys = pa.array([n.removeprefix(ATTRIBUTE) for n in names], pa.string()).take(pa.array(which))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, cells.take(pa.array(which * size + row)))


def _write_rejects(
    committer: Committer, source: Path, path: str | Path | None, file: PositionsFile, rejections: pa.Table
) -> Path | None:
    """The rejected rows as they came, each with its number and its reasons: correct them and load this file.

    Under the mapping that the file came by, too. Without a `path` they are kept in the lake, under a name by content.
    """
    if path is None and (isinstance(committer, DryRun) or not rejections.num_rows):
        return None
    reasons: dict[int, list[str]] = {}
    for fault in rejections.to_pylist():
        reasons.setdefault(fault["row"], []).append(f"{fault['column']}: {fault['reason']}".removeprefix(": "))
    numbers = pa.array(list(reasons), pa.int64())
    ragged = [number for number, _, _ in file.ragged] if file.left else []
    index = pc.index_in(numbers, pa.array([*file.rows.tolist(), *ragged], pa.int64()))
    rows = pa.table(
        {
            f"{REJECT}row": numbers,
            f"{REJECT}reason": pa.array(["; ".join(r) for r in reasons.values()], pa.string()),
            **{
                name: (pa.concat_arrays([column, file.left[name]]) if file.left else column).take(index)
                for name, column in file.cells.items()
            },
        }
    )
    sink = io.BytesIO()
    dialect = Dialect() if file.mapping is None else file.mapping.dialect
    title = f"Rejected rows of {source.name}" + "\n" * dialect.skip_rows if dialect.skip_rows else ""
    if dialect.quote == '"':
        pcsv.write_csv(rows, sink, pcsv.WriteOptions(delimiter=dialect.delimiter))
        text = sink.getvalue().decode()
    else:
        text = _quoted_otherwise(rows, dialect)
    data = (title + text).encode(dialect.encoding or "utf-8", "replace")
    if path is None:
        path = committer.lake.state / "rejects" / f"{source.name.partition('.')[0]}-{digest(data)[:8]}.csv"
    write_durable(Path(path), data, replace=True)
    return Path(path)


def _quoted_otherwise(rows: pa.Table, dialect: Dialect) -> str:
    """The rows as text with the quotes of the dialect; without any, a delimiter in a reason becomes a space."""
    quoting: Any = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    sink = io.StringIO()
    writer = csv.writer(
        sink, delimiter=dialect.delimiter, quotechar=dialect.quote or None, quoting=quoting, lineterminator="\n"
    )
    writer.writerow(rows.column_names)
    for number, reason, *cells in zip(*(c.to_pylist() for c in rows.columns), strict=True):
        said = reason if dialect.quote else reason.replace(dialect.delimiter, " ")
        writer.writerow([number, said, *cells])
    return sink.getvalue()


def faults_by_reason(rejections: pa.Table) -> tuple[Mapping[str, Any], ...]:
    """The faults by column and kind of reason, the most frequent first."""
    kinds: dict[tuple[str, str], dict[str, Any]] = {}
    for fault in rejections.to_pylist():
        kind = re.sub(r"'[^']*'|\d+", "", fault["reason"].partition(". Nearest")[0].partition("; nearest")[0])
        first = {
            "column": fault["column"],
            "reason": fault["reason"],
            "rows": 0,
            "row": fault["row"],
            "value": fault["value"],
        }
        kinds.setdefault((fault["column"], kind), first)["rows"] += 1
    return tuple(sorted(kinds.values(), key=lambda k: (-k["rows"], k["row"])))


# --- merging ----------------------------------------------------------------------------------------------------------


def _books(lake: Lake, dates: Collection[dt.date]) -> tuple[pa.Table, pa.Table]:
    """The positions of these dates that whoever brings the file sees, and those of others."""
    where = ds.field("positions_date").isin(sorted(dates))
    own = lake.read("positions", where=where)
    if not lake.reader:
        return own, own.slice(0, 0)
    every = lake.whole().read("positions", where=where)
    return own, every.filter(pc.invert(pc.is_in(_keys(every), _keys(own))))


def _granted(lake: Lake, checked: CheckedPositions, others: pa.Table) -> CheckedPositions:
    """Without the rows that whoever brings the file would not see, and those whose trade is one of others; those are faults."""
    granted = lake.seen("positions")
    if granted is None:
        return checked
    positions = checked.positions
    seen = ds.dataset(positions).to_table(columns={"seen": granted})["seen"]
    hidden = np.flatnonzero(~flags(pc.fill_null(seen.combine_chunks(), False)))
    told = "you may bring in positions of your own desks, books and legal entities alone; this is none"
    checked.faults.add(checked.rows[hidden], "desk", told)
    taken = np.flatnonzero(flags(pc.is_in(_keys(positions), _keys(others))))
    checked.faults.add(checked.rows[taken], "trade", "this id cannot be used on that date; give the trade another")
    return _sound(checked)


def _beside(merged: pa.Table, emptied: list[dt.date], others: pa.Table) -> tuple[pa.Table, list[dt.date]]:
    """The books that change, with the positions of others in them, and those that are then empty."""
    if not others.num_rows:
        return merged, emptied
    dates = pa.array([*emptied, *pc.unique(merged["positions_date"]).to_pylist()], pa.date32())
    staying = others.filter(pc.is_in(others["positions_date"], dates))
    books = pa.concat_tables([merged, staying]).sort_by("trade")
    return books, sorted({*emptied} - {*staying["positions_date"].to_pylist()})


def _new_contracts(lake: Lake, new: pa.Table, checked: CheckedPositions, before: pa.Table) -> int:
    """The contracts that are new to whoever brings the file: of those who see a part of the book, to their positions of the dates."""
    if not lake.reader:
        return int(new.num_rows)
    held = flags(pc.is_in(checked.contracts["contract_id"], before["contract_id"].combine_chunks()))
    return int((~held).sum())


def _acted(lake: Lake, checked: CheckedPositions, before: pa.Table) -> CheckedPositions:
    """Without the rows whose action does not fit what the lake holds; those are faults."""
    faults, positions = checked.faults, checked.positions
    actions = faults.file.columns[ACTION].take(pa.array(checked.rows))
    at = pc.index_in(_keys(positions), _keys(before))
    there = flags(at.is_valid())
    same = np.zeros(len(there), dtype=bool)
    same[there] = _same(positions.filter(there).cast(POSITIONS.schema), before.take(at.filter(there)))
    said = {action: flags(pc.fill_null(pc.equal(actions, action), False)) for action in ACTIONS}
    other = np.flatnonzero(said["new"] & there & ~same)
    faults.add(
        checked.rows[other],
        ACTION,
        "the book of that date has this trade with other content; the action amend replaces it",
    )
    lacking = np.flatnonzero(said["amend"] & ~there)
    removals = checked.removals
    absent = np.flatnonzero(flags(pc.invert(pc.is_in(_keys(removals), _keys(before)))))
    never = absent[~_were_held(lake, removals.take(pa.array(absent)))] if len(absent) else absent
    for rows, named, action in (
        (checked.rows[lacking], positions.take(pa.array(lacking)), "amend"),
        (removals["row"].to_numpy()[never], removals.take(pa.array(never)), "remove"),
    ):
        faults.add(rows, "trade", _no_such_trade(named, before, action))
    return _sound(checked)


def _sound(checked: CheckedPositions) -> CheckedPositions:
    """Without the rows that are faults by now."""
    faults, removals = checked.faults, checked.removals
    kept = pa.array(~faults.bad[checked.rows])
    stay = pa.array(~faults.bad[removals["row"].to_numpy()])
    positions = checked.positions.filter(kept)
    contracts = checked.contracts.filter(
        pc.is_in(checked.contracts["contract_id"], positions["contract_id"].combine_chunks())
    )
    return replace(
        checked,
        positions=positions,
        contracts=contracts,
        rows=checked.rows[~faults.bad[checked.rows]],
        removals=removals.filter(stay),
    )


def _keys(rows: pa.Table) -> pa.Array:
    """Date and trade in one text."""
    return pc.binary_join_element_wise(
        pc.cast(rows["positions_date"], pa.string()), rows["trade"], "\x1f"
    ).combine_chunks()


def _were_held(lake: Lake, rows: pa.Table) -> Bools:
    """Whether an earlier version held the trade on that date: then it is removed already."""
    changes = trade_changes(lake, set(rows["trade"].to_pylist()), set(rows["positions_date"].to_pylist()))
    held = {(c.positions_date, c.trade) for c in changes.changes}
    return np.array([(r["positions_date"], r["trade"]) in held for r in rows.to_pylist()])


def _no_such_trade(rows: pa.Table, before: pa.Table, action: str) -> pa.Array:
    """A reason for each row, the first of them with the nearest ids."""
    said = []
    for i, row in enumerate(rows.select(["positions_date", "trade"]).to_pylist()):
        near: tuple[str, ...] = ()
        if i < _HINTED:
            on_day = pc.equal(before["positions_date"], pa.scalar(row["positions_date"], pa.date32()))
            alike = pc.starts_with(before["trade"], row["trade"][:1])
            near = close(row["trade"], before["trade"].filter(pc.and_(on_day, alike)).slice(0, 20_000).to_pylist())
        late = "; a trade that comes late has the action new" if action == "amend" else ""
        hint = f"; nearest: {', '.join(near)}" if near else ""
        said.append(f"the book of {row['positions_date']} has no trade {row['trade']!r} to {action}{hint}{late}")
    return pa.array(said, pa.string())


def _merge(
    before: pa.Table, checked: CheckedPositions, replace_dates: bool
) -> tuple[pa.Table | None, list[dt.date], tuple[DateCounts, ...]]:
    """The new books of the dates that change (None when none does), those that are empty, and the counts of the file's dates."""
    incoming = checked.positions.select(POSITIONS.schema.names).cast(POSITIONS.schema)
    arriving = {values["positions_date"]: rows for values, rows in split(incoming, ["positions_date"])}
    leaving = {values["positions_date"]: rows for values, rows in split(checked.removals, ["positions_date"])}
    books, emptied, counts = [], [], []
    for date in sorted({*arriving, *leaving}):
        rows = arriving.get(date, incoming.slice(0, 0))
        taken = leaving.get(date, checked.removals.slice(0, 0))["trade"].combine_chunks()
        held = before.filter(pc.equal(before["positions_date"], pa.scalar(date, pa.date32())))
        at = pc.index_in(rows["trade"].combine_chunks(), held["trade"].combine_chunks())
        matched = at.is_valid()
        same = _same(rows.filter(matched), held.take(at.filter(matched)))
        others = held.filter(pc.invert(pc.is_in(held["trade"], rows["trade"].combine_chunks())))
        staying = others.slice(0, 0) if replace_dates else others.filter(pc.invert(pc.is_in(others["trade"], taken)))
        removed = others.num_rows - staying.num_rows
        unchanged = int(same.sum())
        new = rows.num_rows - len(same)
        changed = len(same) - unchanged
        book = pa.concat_tables([rows, staying])
        gone = len(taken) - (0 if replace_dates else removed)  # by an earlier load of the file
        counts.append(
            DateCounts(date, rows.num_rows + len(taken), new, changed, unchanged + gone, removed, book.num_rows)
        )
        if new + changed + removed:
            books.append(book.sort_by("trade"))  # so that no result depends on the order of the rows in the file
            if not book.num_rows:
                emptied.append(date)
    return (pa.concat_tables(books) if books else None), emptied, tuple(counts)


def _check_replacement(name: str, read: int, rejections: pa.Table, counts: Sequence[DateCounts]) -> None:
    """Raises `BadInput` where trades would be removed for a file of which only a part can be used."""
    faults = rejections.filter(pc.invert(pc.starts_with(rejections["reason"], _REPEATS)))
    shrunk = [c for c in counts if c.removed]
    if not faults.num_rows or not shrunk:
        return
    removed = first_of(
        (f"{c.removed:,} of {c.removed + c.held - c.new:,} trades off {c.positions_date}" for c in shrunk), 3
    )
    issues = [
        Issue(f"row {f['row']}, column {f['column']}".removesuffix(", column "), f["reason"], f["value"])
        for f in faults.to_pylist()
    ]
    raise BadInput(
        f"{name} was not loaded: {pc.count_distinct(faults['row'])} of its {read:,} rows cannot be used, and replacing the dates would "
        f"take {removed}. Correct the rows, load without "
        "replacing dates, or force it.",
        issues=issues,
    )


def _same(a: pa.Table, b: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether the rows of two tables of positions are equal in every column."""
    same = np.ones(a.num_rows, dtype=bool)
    columns = [
        (a[name].combine_chunks(), b[name].combine_chunks()) for name in POSITIONS.schema.names if name != "attributes"
    ]
    attributes = [t["attributes"].combine_chunks() for t in (a, b)]
    names = sorted({n for m in attributes for n in pc.unique(m.keys).to_pylist()})
    columns += [tuple(pc.map_lookup(m, n, "first") for m in attributes) for n in names]
    for x, y in columns:
        equal = pc.or_(pc.fill_null(pc.equal(x, y), False), pc.and_(pc.is_null(x), pc.is_null(y)))
        same &= flags(equal)
    return same
