"""P&L vectors of other systems read from files: long, wide or a list a row, CSV or Parquet, all to the same vectors.

Nothing here is financial: a node has a name and dimensions, a row of numbers, and perhaps a base value. What is wrong with a
name, a date or a cell that stands twice refuses the file, every fault told at once; a hole in a row of numbers is told of its
node, whose numbers are then no vector.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.arrays import Floats, Ints
from lake.dates import day
from lake.errors import BadInput, Issue, counted, unknown
from lake.landing.child import in_child, one_in_child
from lake.landing.decoded import Bound, read_parquet
from lake.landing.numbers import MOST, doubles
from lake.landing.positions_file import ATTRIBUTE, flags
from lake.landing.rows import CONTROL, NO_NAME, listed, read_rows, refuse, refuse_columns
from lake.landing.sheet import as_text, read_sheet
from lake.schemas import DIMENSION_COLUMNS

PNL, FX, PATH, VALUE = "pnl", "fx", "path", "base_value"
_SCENARIO = ("scenario", "label", "weight")  # of a long file, and of a file of scenarios
_NODE = ("date", *DIMENSION_COLUMNS, PATH, FX, "currency", VALUE)
_KEY = ("date", *DIMENSION_COLUMNS, PATH, FX)  # a row of a long file belongs to the node that these name
_WIDE = re.compile(r"pnl\.(.+)|(\d{4}-\d\d-\d\d|\d+)")  # a column of one scenario
CURRENCY, _PAIR = "^[A-Z]{3}$", "^[A-Z]{6}$"
_BLOCK_BYTES = 16 << 20  # of vectors at once

Holes = Mapping[int, str]


@dataclass(frozen=True)
class Scenarios:
    """Ids of scenarios in order, and their probabilities where they are not alike, (n,)."""

    labels: tuple[str, ...]
    weights: Floats | None = None


@dataclass(frozen=True)
class VectorFile:
    """The nodes of a file and their vectors.

    nodes : a row a node: row (its first line; the header is row 1), date, currency, base_value (null where not given), trade
    (its name), the other dimensions, fx (the pair, of a row of exchange rates) and the attributes. scenarios : by date.
    blocks : gives (rows of `nodes`, all of one date; numbers, (rows, n_scenarios); row of `nodes` to why it has a hole),
    a bounded number at a time and each node once. A number that is missing, not finite or beyond 1e16 is NaN. numbered : no ids
    were given, and the scenarios are called 1, 2, ... in the order of the lists.
    """

    nodes: pa.Table
    scenarios: Mapping[object, Scenarios]
    blocks: Callable[[], Iterator[tuple[Ints, Floats, Holes]]]
    numbered: bool = False

    @property
    def attributes(self) -> list[str]:
        """The columns of attributes."""
        return [c for c in self.nodes.column_names if c.startswith(ATTRIBUTE)]


def read_vectors(path: Path, scenarios: str | None = None) -> VectorFile:
    """Reads a file (docs/vectors.md); raises `BadInput` with every fault by row.

    scenarios : a file of the scenarios in order: scenario and, where wanted, label and weight. Without it they stand in the order
    of their ids: dates by date, numbers by number.
    """
    if not path.is_file():
        raise BadInput(f"There is no file of P&L vectors {path}.")
    given = None if scenarios is None else _scenarios_of(scenarios)
    sheet, whole = None, None
    if path.suffix.lower() == ".parquet":  # whose vectors are read by row group
        schema = one_in_child(_no_rows, path).schema
    else:
        sheet = read_sheet(path, numbers=(VALUE,))
        whole = sheet.cells.rename_columns(sheet.header)
        schema = whole.schema
    columns = _check_columns(path.name, schema)
    faults = Faults(path.name)
    faults.ragged(sheet.uneven if sheet is not None else ())
    if whole is None:
        whole = read_parquet(path) if "scenario" in schema.names else one_in_child(_keys, path, columns)
    rows = sheet.lines if sheet is not None else np.arange(2, 2 + whole.num_rows)
    text = {n: as_text(n, whole[n], n == VALUE) for n in whole.column_names if n in columns}
    text |= {n: pa.nulls(len(rows), pa.string()) for n in (*_NODE, *_SCENARIO) if n not in text}
    if not len(rows):
        raise BadInput(f"{path.name} has a header and no rows.")
    if "scenario" in schema.names:
        return _long(whole, text, rows, faults, given)
    nodes = _nodes(text, rows, faults)
    _once(nodes, faults)
    faults.told()
    return _by_row(path, whole, nodes, schema, given)


class Faults:
    """Every fault of a file, by row."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.issues: list[Issue] = []

    def add(
        self, rows: Ints, bad: npt.NDArray[np.bool_], column: str, message: str, cells: pa.Array | None = None
    ) -> None:
        """A fault in `column` of each row that is `bad`."""
        for i in np.flatnonzero(bad).tolist():
            value = None if cells is None else cells[i].as_py()
            self.issues.append(Issue(f"row {rows[i]}, column {column}", message, None if value is None else str(value)))

    def ragged(self, lines: Sequence[tuple[int, str, str]]) -> None:
        """Lines whose number of cells is not the header's: number, text and reason."""
        self.issues += [Issue(f"row {number}", reason, line[:80]) for number, line, reason in lines]

    def told(self) -> None:
        """Raises `BadInput` where there is any."""
        refuse(self.name, sorted(self.issues, key=lambda i: int(re.findall(r"\d+", i.pointer)[0])))


def _check_columns(name: str, schema: pa.Schema) -> list[str]:
    """The columns but those of P&L by scenario; raises `BadInput` for what stands there too much or too little."""
    names = schema.names
    wide = [c for c in names if _WIDE.fullmatch(c)]
    rest = [c for c in names if c not in wide and c != PNL]
    known = (*_NODE, *(_SCENARIO if "scenario" in names else ()))
    issues = [
        i
        for c in rest
        if c not in known and not c.startswith(ATTRIBUTE)
        for i in unknown("column", c, known, pointer=c).issues
    ]
    issues += [Issue(c, f"Column {c!r} is missing; every row has it.") for c in ("date", "currency") if c not in names]
    issues += [Issue(c, f"Column {c!r} stands twice in the header.") for c in sorted(set(names)) if names.count(c) > 1]
    if not {*DIMENSION_COLUMNS, PATH} & {*names}:
        issues.append(Issue("trade", "No column says whose P&L it is: trade, desk or another dimension, or path."))
    is_list = PNL in names and pa.types.is_nested(schema.field(PNL).type)
    if not (wide if PNL not in names else is_list or "scenario" in names) or (wide and PNL in names):
        issues.append(
            Issue(
                PNL,
                "Expected one of: columns scenario and pnl, a row a scenario; a column a scenario, named by a date, a number or "
                "pnl.ID; in Parquet, a column pnl with a list a row.",
            )
        )
    refuse_columns(name, issues)
    return rest + ([PNL] if "scenario" in names else [])


def _no_rows(path: Path) -> Iterator[pa.Table]:
    """The columns of a Parquet file."""
    try:
        yield pq.read_schema(path).empty_table()
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path.name} is not a Parquet file: {error}") from error


def _keys(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The columns of a Parquet file but its vectors."""
    keys = pq.read_table(path, columns=list(columns), partitioning=None, pre_buffer=False)
    Bound(path).add(keys.nbytes)
    yield keys


def _nodes(text: Mapping[str, pa.Array], rows: Ints, faults: Faults) -> pa.Table:
    """A row of `VectorFile.nodes` for each of these rows; adds what is wrong with them to the faults."""
    dates = days(text["date"], rows, faults)
    of_rate = flags(text[FX].is_valid())
    pair = flags(pc.fill_null(pc.match_substring_regex(text[FX], _PAIR), False))
    faults.add(rows, of_rate & ~pair, FX, "expected a currency pair such as EURUSD, the dollars for a euro", text[FX])
    money = flags(pc.fill_null(pc.match_substring_regex(text["currency"], CURRENCY), False))
    faults.add(rows, ~money & ~of_rate, "currency", "expected an ISO 4217 currency, such as USD", text["currency"])
    value = doubles(text[VALUE])
    number = flags(value.is_valid())
    wrong = flags(text[VALUE].is_valid()) & ~number
    faults.add(rows, wrong, VALUE, "expected a finite number of at most 1e16", text[VALUE])
    lacking = of_rate & (~number | (pc.fill_null(value, 0.0).to_numpy() <= 0)) & ~wrong
    faults.add(rows, lacking, VALUE, "a row of exchange rates has the rate at the base here, above zero", text[VALUE])
    attributes = [c for c in text if c.startswith(ATTRIBUTE)]
    for name in (*DIMENSION_COLUMNS, PATH, *attributes):
        strange = flags(pc.fill_null(pc.match_substring_regex(text[name], CONTROL), False))
        faults.add(rows, strange, name, NO_NAME)
    named = pc.coalesce(text["trade"], text[PATH], _by_dimensions([text[d] for d in DIMENSION_COLUMNS if d != "trade"]))
    faults.add(
        rows, flags(named.is_null()) & ~of_rate, "trade", "no name: give a trade, a path or a dimension such as desk"
    )
    levels = _levels(text[PATH])
    return pa.table(
        {
            "row": pa.array(rows),
            "date": dates,
            "currency": text["currency"],
            VALUE: value,
            FX: text[FX],
            **{d: named if d == "trade" else text[d] for d in DIMENSION_COLUMNS},
            **{a: text[a] for a in attributes},
            **{f"{ATTRIBUTE}level{i}": level for i, level in enumerate(levels, 1)},
        }
    )


def _by_dimensions(columns: Sequence[pa.Array]) -> pa.Array:
    """The name of a node that its members give, such as Rates/Swaps; null where it has none."""
    # Arrow loses a row whose cells are all null: an empty text goes before them
    first = pa.repeat(pa.scalar(""), len(columns[0]))
    joined = pc.binary_join_element_wise(first, *columns, "/", null_handling="skip")
    return pc.if_else(pc.equal(joined, ""), None, pc.utf8_slice_codeunits(joined, 1))


def days(text: pa.Array, rows: Ints, faults: Faults) -> pa.Array:
    """The dates of a column `date`; those that are none are faults of their rows."""
    encoded = text.dictionary_encode()
    found = pa.array([_day(t) for t in encoded.dictionary.to_pylist()], pa.date32()).take(encoded.indices)
    faults.add(rows, flags(found.is_null()), "date", "expected a date YYYY-MM-DD from 1900 to 2100", text)
    return found


def _day(text: str) -> object:
    try:
        return day(text)
    except ValueError:
        return None


def _levels(paths: pa.Array) -> list[pa.Array]:
    """The parts of each path between its slashes, a column a level."""
    parts = pc.split_pattern(paths, "/")
    depth = pc.max(pc.list_value_length(parts)).as_py() or 0
    padded = [[*(p or ()), *[None] * (depth - len(p or ()))] for p in parts.to_pylist()] if depth else []
    return [pa.array([(p[i] or "").strip() or None for p in padded], pa.string()) for i in range(depth)]


def _named(columns: Sequence[pa.Array]) -> tuple[Ints, Ints]:
    """First row of each distinct combination of cells, in order of appearance, and the combination each row has."""
    joined = pc.binary_join_element_wise(
        *[pc.cast(c, pa.string()) for c in columns], "\x1f", null_handling="replace", null_replacement="\x1e"
    ).dictionary_encode()
    codes = joined.indices.to_numpy().astype(np.int64)
    return np.unique(codes, return_index=True)[1], codes


def _once(nodes: pa.Table, faults: Faults) -> None:
    """Adds a fault for each node that stands twice on a date, and each that is a part of another one."""
    rows = nodes["row"].to_numpy()
    first, of = _named([nodes[c].combine_chunks() for c in ("date", FX, "trade")])
    again = np.arange(len(of)) != first[of]
    for i in np.flatnonzero(again).tolist():
        name = nodes[FX][i].as_py() or nodes["trade"][i].as_py()
        faults.issues.append(Issue(f"row {rows[i]}", f"stands in row {rows[first[of[i]]]} already on that date", name))
    levels = sorted(c for c in nodes.column_names if c.startswith(f"{ATTRIBUTE}level"))
    held: dict[tuple[object, ...], int] = {}
    paths = list(zip(nodes["date"].to_pylist(), *(nodes[c].to_pylist() for c in levels), strict=True)) if levels else []
    for i, path in enumerate(paths):
        if path[1] is not None:
            held.setdefault(tuple(p for p in path if p is not None), i)
    for path, i in held.items():
        for end in range(2, len(path)):
            if (above := held.get(path[:end])) is not None:
                message = (
                    f"is a part of {'/'.join(map(str, path[1:end]))} of row {rows[above]}, and would be counted twice"
                )
                faults.issues.append(Issue(f"row {rows[i]}, column {PATH}", message, "/".join(map(str, path[1:]))))
    _same_dimensions(nodes, faults)


def _same_dimensions(nodes: pa.Table, faults: Faults) -> None:
    """Adds a fault where nodes of a date without trades are named by other dimensions than the first, of which they may be parts."""
    others = [d for d in DIMENSION_COLUMNS if d != "trade"]
    by_dimensions = _by_dimensions([nodes[d].combine_chunks() for d in others])
    of_node = flags(pc.fill_null(pc.equal(by_dimensions, nodes["trade"].combine_chunks()), False))
    seen: dict[object, tuple[str, ...]] = {}
    for row in nodes.filter(pa.array(of_node)).select(["row", "date", *others]).to_pylist():
        named = tuple(d for d in others if row[d] is not None)
        if seen.setdefault(row["date"], named) != named:
            message = f"is given by {', '.join(named)}, the first of its date by {', '.join(seen[row['date']])}; P&L may be counted twice"
            faults.issues.append(Issue(f"row {row['row']}", message))


# --- scenarios --------------------------------------------------------------------------------------------------------


def _scenarios_of(file: str) -> Scenarios:
    rows = read_rows(file)
    name = Path(file).name
    issues = [
        i for c in {c: 0 for r in rows for c in r} if c not in _SCENARIO for i in unknown("column", c, _SCENARIO).issues
    ]
    issues += [Issue(f"row {i}", "no scenario") for i, r in enumerate(rows, 2) if "scenario" not in r]
    if issues or not rows:
        raise BadInput(f"{name} is no file of scenarios: {listed(issues) or 'it has no rows'}.", issues=issues)
    ids = [str(r["scenario"]) for r in rows]
    _check_weights(name, [(i, r.get("weight")) for i, r in zip(ids, rows, strict=True)])
    return _made(
        ids, [str(r.get("label") or i) for i, r in zip(ids, rows, strict=True)], [r.get("weight") for r in rows]
    )


def _check_weights(name: str, given: Sequence[tuple[str, object]]) -> None:
    weights = [w for _, w in given if w is not None]
    if weights and len(weights) < len(given):
        lacking = next(i for i, w in given if w is None)
        raise BadInput(f"{name} has weights for {len(weights):,} of {len(given):,} scenarios; {lacking} has none.")


def _made(ids: Sequence[str], labels: Sequence[str], weights: Sequence[object]) -> Scenarios:
    if twice := [name for names in (labels, ids) for name, n in Counter(names).items() if n > 1]:
        raise BadInput(f"Scenario {twice[0]} stands twice; every scenario has an id and a label of its own.")
    if all(w is None for w in weights):
        return Scenarios(tuple(labels))
    numbers = doubles(pa.array([str(w) for w in weights], pa.string())).to_numpy(zero_copy_only=False)
    if not (numbers >= 0).all() or abs(numbers.sum() - 1) > 1e-9:
        raise BadInput(f"Weights must be {len(numbers)} non-negative numbers with sum 1.")
    return Scenarios(tuple(labels), numbers)


def _in_order(ids: Sequence[str]) -> list[int]:
    """Where the ids stand in their own order: numbers by number, dates and other texts as texts."""
    return sorted(range(len(ids)), key=lambda i: (0, int(ids[i]), "") if ids[i].isdecimal() else (1, 0, ids[i]))


# --- layouts ----------------------------------------------------------------------------------------------------------


def _long(
    whole: pa.Table,
    text: Mapping[str, pa.Array],
    rows: Ints,
    faults: Faults,
    given: Scenarios | None,
) -> VectorFile:
    """A row a scenario: rows are put together by date and node, a hole is a scenario that a node has no row of."""
    faults.add(rows, flags(text["scenario"].is_null()), "scenario", "is empty; every row has one")
    first, of = _named([text[c] for c in _KEY])
    cells = {n: c for n, c in text.items() if n not in _SCENARIO and n != PNL}
    for name in ("currency", VALUE, *(c for c in cells if c.startswith(ATTRIBUTE))):
        same = _named([cells[name]])[1]
        faults.add(rows, same != same[first][of], name, "differs from the first row of its node", cells[name])
    nodes = _nodes({n: c.take(pa.array(first)) for n, c in cells.items()}, rows[first], faults)
    _once(nodes, faults)
    raw = whole[PNL].combine_chunks()
    values = (
        pc.cast(raw, pa.float64()) if pa.types.is_floating(raw.type) else doubles(as_text(PNL, whole[PNL], number=True))
    )
    numbers = _finite(values.to_numpy(zero_copy_only=False).astype(np.float64, copy=True))
    scenarios: dict[object, Scenarios] = {}
    parts: list[tuple[Ints, Ints, Ints, Ints]] = []  # rows of nodes, and of cells: number, node, scenario
    date_of = np.array(nodes["date"].cast(pa.int32()).fill_null(-1).to_pylist())
    for date in np.unique(date_of[of]).tolist():
        here = np.flatnonzero(date_of[of] == date)
        ids = text["scenario"].take(pa.array(here)).fill_null("")
        told, code = _named([ids])
        names = ids.take(pa.array(told)).to_pylist()
        labels = text["label"].take(pa.array(here[told])).to_pylist()
        weights = text["weight"].take(pa.array(here[told])).to_pylist()
        for column, kept in (("label", labels), ("weight", weights)):
            each = text[column].take(pa.array(here))
            differs = flags(pc.fill_null(pc.not_equal(each, pa.array(kept, pa.string()).take(pa.array(code))), False))
            faults.add(rows[here], differs, column, "differs from the first row of its scenario", each)
        mine = np.unique(of[here])
        cell = np.searchsorted(mine, of[here]) * len(names) + code
        _, once = np.unique(cell, return_index=True)
        again = np.ones(len(here), np.bool_)
        again[once] = False
        faults.add(rows[here], again, "scenario", "the node has this scenario in an earlier row already", ids)
        if faults.issues:
            continue
        _check_weights(faults.name, list(zip(names, weights, strict=True)))
        order = _in_order(names)
        called = [labels[i] or names[i] for i in order]
        made = _made([names[i] for i in order], called, [weights[i] for i in order])
        scenarios[nodes["date"][int(mine[0])].as_py()] = given or made
        place = {label: i for i, label in enumerate((given or made).labels)}
        if strange := [c for c in called if c not in place]:
            raise other_scenarios(faults.name, strange, place)
        columns = np.empty(len(names), np.int64)
        columns[order] = [place[c] for c in called]
        parts.append((mine, here, np.searchsorted(mine, of[here]), columns[code]))
    faults.told()

    def blocks() -> Iterator[tuple[Ints, Floats, Holes]]:
        for mine, here, node, column in parts:
            n = len(scenarios[nodes["date"][int(mine[0])].as_py()].labels)
            matrix = np.full((len(mine), n), np.nan)
            matrix[node, column] = numbers[here]
            step = max(1, _BLOCK_BYTES // (8 * n))
            for start in range(0, len(mine), step):
                yield mine[start : start + step], matrix[start : start + step], {}

    return VectorFile(nodes, scenarios, blocks)


def _by_row(path: Path, whole: pa.Table, nodes: pa.Table, schema: pa.Schema, given: Scenarios | None) -> VectorFile:
    """A row a node, with a column a scenario or a list; Parquet is read again by portions when its vectors are wanted."""
    listed = PNL in schema.names
    if listed:
        width = one_in_child(_first_length, path)["length"][0].as_py()
        scenarios = given or Scenarios(tuple(str(i) for i in range(1, width + 1)))
        columns = [PNL]
    else:
        columns = [c for c in schema.names if _WIDE.fullmatch(c)]
        ids = [c.removeprefix("pnl.") for c in columns]
        if len(set(ids)) != len(ids):
            raise BadInput(f"{path.name} was not loaded: a scenario has two columns; every scenario has one.")
        if given is None:
            columns = [columns[i] for i in _in_order(ids)]
            scenarios = Scenarios(tuple(c.removeprefix("pnl.") for c in columns))
        else:
            scenarios = given
            if strange := [i for i in ids if i not in scenarios.labels]:
                raise other_scenarios(path.name, strange, scenarios.labels)
            column = dict(zip(ids, columns, strict=True))
            columns = [column.get(label, "") for label in scenarios.labels]
    n = len(scenarios.labels)
    step = max(1, _BLOCK_BYTES // (8 * n))
    date = nodes["date"].to_numpy()

    def portions() -> Iterator[pa.Table]:
        if path.suffix.lower() == ".parquet":
            yield from in_child(_by_rows, path, step, [c for c in columns if c])
        else:
            yield from (whole.slice(start, step) for start in range(0, whole.num_rows, step))

    def blocks() -> Iterator[tuple[Ints, Floats, Holes]]:
        done = 0
        for table in portions():
            rows = np.arange(done, done + table.num_rows)
            done += table.num_rows
            numbers, holes = _of_lists(table[PNL].combine_chunks(), n) if listed else (_of_columns(table, columns), {})
            for which in np.unique(date[rows]):
                here = date[rows] == which
                mine = {int(rows[i]): why for i, why in holes.items() if here[i]}
                yield rows[here], (numbers if here.all() else numbers[here]), mine

    return VectorFile(
        nodes, dict.fromkeys(nodes["date"].unique().to_pylist(), scenarios), blocks, listed and given is None
    )


def other_scenarios(name: str, strange: Sequence[str], there: Sequence[str] | Mapping[str, int]) -> BadInput:
    return BadInput(
        f"{name} was not loaded: {counted(len(strange), 'scenario is', 'scenarios are')} not among the {len(there):,} expected, "
        f"first {strange[0]}. Vectors are added up scenario by scenario, so that all must have the same; where these are others, "
        "give them a scenario set of another name, or replace the dates."
    )


def _by_rows(path: Path, step: int, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Columns of a Parquet file, so many rows at a time."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(step, columns=columns):
            yield pa.Table.from_batches([batch])


def _first_length(path: Path) -> Iterator[pa.Table]:
    """Of the lists among the first thousand, the length that most have."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(1000, columns=[PNL]):
            lengths = pc.list_value_length(batch.column(0)).drop_null().to_numpy()
            if len(lengths) and lengths.max() > 0:
                yield pa.table({"length": [int(np.bincount(lengths).argmax() or lengths.max())]})
                return
    raise BadInput(f"{path.name} was not loaded: its column pnl holds no lists of numbers.")


def _of_lists(lists: pa.Array, n: int) -> tuple[Floats, dict[int, str]]:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    values = lists.flatten()
    numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
    if (lengths == n).all():
        return _finite(numbers.reshape(-1, n)), {}
    right = lengths == n
    out = np.full((len(lengths), n), np.nan)
    out[right] = numbers[np.repeat(right, lengths)].reshape(-1, n)
    holes = {int(i): f"{counted(int(lengths[i]), 'number')} for {n:,} scenarios" for i in np.flatnonzero(~right)}
    return _finite(out), holes


def _of_columns(table: pa.Table, columns: Sequence[str]) -> Floats:
    out = np.full((table.num_rows, len(columns)), np.nan)
    for i, name in enumerate(columns):
        if name:
            raw = table[name].combine_chunks()
            plain = pa.types.is_floating(raw.type) or pa.types.is_integer(raw.type)
            values = pc.cast(raw, pa.float64()) if plain else doubles(as_text(name, table[name], number=True))
            out[:, i] = values.to_numpy(zero_copy_only=False)
    return _finite(out)


def _finite(numbers: Floats) -> Floats:
    """The numbers with NaN for what is not finite or beyond what the lake takes."""
    if numbers.size and not (numbers.max() <= MOST and numbers.min() >= -MOST):  # without a copy where all is well
        numbers = np.where(np.abs(numbers) <= MOST, numbers, np.nan)
    return numbers
