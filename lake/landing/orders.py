"""Orders in: what was bought and sold and when, with corrections and cancels; whole or not at all.

Rows are only ever added. Of each order the row with the highest sequence number counts, in whatever order the rows arrive.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.committer import Committer
from lake.dates import FIRST, LAST
from lake.errors import BadInput, Issue, counted, unknown
from lake.landing.numbers import MOST, doubles
from lake.landing.positions_file import ATTRIBUTE
from lake.landing.rows import NO_NAME, is_no_name, refuse_whole
from lake.landing.text_rows import Cells, TextRows, read_text_rows
from lake.schemas import CONTRACTS, DIMENSION_COLUMNS, ORDERS
from lake.tables import NEVER_WRITTEN, Lake
from lake.words import first_of

EVENTS = ("new", "correction", "cancel")
SIDES = ("buy", "sell")
DIMENSIONS = tuple(d for d in DIMENSION_COLUMNS if d != "trade")  # an order has no trade yet
_OWN = ("order_id", "sequence", "event", "executed_at", "side", "symbol", "instrument_type", "quantity", "price")
_REQUIRED = ("order_id", "executed_at", "side", "quantity", *(d for d in DIMENSIONS if d != "instrument"))
_QUANTITY = re.compile(r"[0-9]{1,16}(\.[0-9]{1,16})?|\.[0-9]{1,16}")
_CURRENCY_PRICE = "expected a finite number of at most 1e16 in the currency of the contract"

Row = dict[str, Any]
_NO_ROW: Row = dict.fromkeys(ORDERS.schema.names)
_PRICES_KEPT = 1 << 16  # texts whose numbers are kept: an order has a price that others had


@dataclass(frozen=True)
class OrdersReport:
    """What became of a file: rows `read` = `new` + `unchanged`, which the lake had already, just so. corrections and cancels are
    among the new. first, last : trade dates, none where the file holds cancels alone."""

    path: str
    read: int
    new: int
    unchanged: int
    corrections: int
    cancels: int
    first: dt.date | None
    last: dt.date | None
    version: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


ContractOf = Callable[[str, Mapping[str, str]], Mapping[str, str]]
_TOLD = ("order_id", "event")
# what an order says; `file` and `session` are how its row came
_CONTENT = tuple(n for n in ORDERS.schema.names if n not in ("attributes", "file", "session"))


class OrderReader:
    """Rows of text made into rows of the table `orders`, with the contracts that they are of.

    contract_of : as in `lake.landing.positions.ingest`. contracts : by id, those of all rows so far.
    """

    def __init__(self, term_columns: tuple[str, ...], contract_of: ContractOf) -> None:
        self.terms = tuple(t for t in term_columns if t not in _OWN)
        self.columns = (*_OWN, *DIMENSIONS, *self.terms)
        self._no_cells: Cells = dict.fromkeys(self.columns)
        self.contracts: dict[str, Mapping[str, str]] = {}
        self._contract_of = contract_of
        self._known: dict[tuple[Any, ...], Mapping[str, str]] = {}
        self._refused: dict[
            tuple[Any, ...], BadInput
        ] = {}  # of the file at hand: a later one may find its risk factors

    def file(self, path: Path) -> list[tuple[int, Row]]:
        """Number and row of each order of a file; raises `BadInput` with every fault."""
        file = read_text_rows(path, "orders", self.columns, _REQUIRED, attributes=True)
        return self.all_of(file)

    def all_of(self, file: TextRows) -> list[tuple[int, Row]]:
        """Number and row of each order; raises `BadInput` with every fault."""
        made: dict[tuple[str, int], tuple[int, Row]] = {}
        self._refused.clear()
        for number, cells in file:
            row = self._row(file, number, cells)
            if row is None:
                continue
            twice = made.setdefault((row["order_id"], row["sequence"]), (number, row))
            if twice[1] != row:
                place = (
                    f"order {row['order_id']}, sequence {row['sequence']}, stands in row {twice[0]} with other content"
                )
                file.fault(number, "sequence", f"{place}; give a correction the next number", str(row["sequence"]))
        file.raise_any()
        return list(made.values())

    def message(self, name: str, given: Mapping[str, str | None]) -> Row:
        """The row of one message, by column; raises `BadInput` with every fault."""
        extra = [n for n in given if n not in self._no_cells]
        attributes = [n for n in extra if n.startswith(ATTRIBUTE) and n != ATTRIBUTE]
        strange = [n for n in extra if n not in attributes]
        issues = [i for n in strange for i in unknown("column", n, self.columns, pointer=n).issues]
        cells: Cells = {**self._no_cells, **{n: (v or "").strip() or None for n, v in given.items()}}
        file = TextRows(Path(name), (*self.columns, *attributes), [(1, cells)], issues)
        return self.all_of(file)[0][1]

    def contracts_of(self, rows: Iterable[Row]) -> pa.Table:
        """The contracts that rows are of, as the table `contracts` has them."""
        ids = sorted({r["contract_id"] for r in rows if r["contract_id"]})
        return pa.Table.from_pylist([dict(self.contracts[i]) for i in ids], schema=CONTRACTS.schema)

    def _row(self, file: TextRows, number: int, cells: Cells) -> Row | None:
        """The row, or None where faults of it were added to the file's."""
        before = len(file.issues)
        row = _plain(file, number, cells)
        if row["event"] != "cancel":
            kind, given = _terms(cells, self.terms)
            key = (kind, *given.items())
            if key not in self._known and key not in self._refused:
                try:
                    self._known[key] = self._contract_of(kind, given)
                except BadInput as error:
                    self._refused[key] = error
            if key in self._refused:
                for issue in self._refused[key].issues:
                    file.fault(number, issue.pointer or "instrument_type", issue.message, issue.value)
            else:
                found = self._known[key]
                self.contracts[found["contract_id"]] = found
                row |= {c: found[c] for c in ("contract_id", "instrument_type", "currency")}
        return row if len(file.issues) == before else None


class KnownOrders:
    """Which rows of orders the lake holds, of some or of all orders, by a digest of each: some 200 bytes a row.

    version : of the table that they were read at.
    """

    def __init__(self, lake: Lake, of: Iterable[str] | None = None) -> None:
        self.version = lake.version("orders")
        self._rows: dict[tuple[str, int], tuple[bytes, str]] = {}
        self._numbers: dict[str, tuple[int, int]] = {}  # how many rows an order has, and the highest of their numbers
        self._gapped: set[str] = set()  # orders of which a row is missing
        if self.version != NEVER_WRITTEN:
            among = None if of is None else {"order_id": sorted({*of})}
            for row in lake.read("orders", version=self.version, among=among).to_pylist(maps_as_pydicts="strict"):
                self.add(row)

    def other(self, row: Row) -> str | None:
        """The file of a row of that order and number with other content; None where there is none."""
        held = self._rows.get((row["order_id"], row["sequence"]))
        return held[1] if held is not None and held[0] != _content(row) else None

    @staticmethod
    def differ(held: Row, row: Row) -> str | None:
        """The file of a row where another one has other content; None where both say the same."""
        file: str = held["file"]
        return None if _content(held) == _content(row) else file

    def __contains__(self, row: Row) -> bool:
        return (row["order_id"], row["sequence"]) in self._rows

    def add(self, row: Row) -> None:
        """Takes in a row that the lake has."""
        order, sequence = row["order_id"], row["sequence"]
        if row not in self:
            count, highest = self._numbers.get(order, (0, 0))
            self._numbers[order] = count + 1, max(highest, sequence)
            # rows of a FIX session are numbered by its messages, which are not all of one order
            if row["session"] is None and len({*self._numbers[order]}) > 1:
                self._gapped.add(order)
            else:
                self._gapped.discard(order)
        self._rows[order, sequence] = (_content(row), row["file"])

    def gaps(self) -> tuple[str, ...]:
        """In words, the orders of which a row below the highest number has not arrived, until it does."""
        if not self._gapped:
            return ()
        told = (f"{order} ({', '.join(self._lacking(order))})" for order in sorted(self._gapped))
        return (f"{counted(len(self._gapped), 'order')} with a missing sequence number: {first_of(told, 5)}",)

    def _lacking(self, order: str) -> list[str]:
        _, highest = self._numbers[order]
        return [str(n) for n in range(1, min(highest, 1000)) if (order, n) not in self._rows][:5]


def _content(row: Row) -> bytes:
    """Digest of what an order says, whichever way it came."""
    cells = [str(row[c]) for c in _CONTENT]
    cells.append(str(sorted((row["attributes"] or {}).items())))
    return hashlib.blake2b("\0".join(cells).encode(), digest_size=16).digest()


def orders_table(rows: Iterable[Row]) -> pa.Table:
    """Rows as the table `orders` has them, in the order of its key."""
    return pa.Table.from_pylist(sorted(rows, key=lambda r: (r["order_id"], r["sequence"])), schema=ORDERS.schema)


def put_orders(committer: Committer, rows: pa.Table, contracts: pa.Table, note: Mapping[str, Any]) -> int:
    """Commits rows that the lake has not, and before them those of their contracts that it lacks; returns the version of `orders`."""
    known = committer.lake.read("contracts", ["contract_id"])["contract_id"]
    lacking = contracts.filter(pc.invert(pc.is_in(contracts["contract_id"], known)))
    if lacking.num_rows:
        committer.put("contracts", lacking, note=note)
    return committer.put("orders", rows, note=note)


def ingest_orders(committer: Committer, path: str | Path, reader: OrderReader) -> OrdersReport:
    """Loads a file of orders (docs/orders.md).

    Raises `BadInput` with every fault by row; so is a row whose order and sequence number the lake holds with other content.
    """
    path = Path(path)
    made = reader.file(path)
    known = KnownOrders(committer.lake, (row["order_id"] for _, row in made))
    fresh: list[Row] = []
    issues = []
    for number, row in made:
        if (file := known.other(row)) is not None:
            issues.append(other_content(row, f"row {number}, column sequence", file))
        elif row not in known:
            fresh.append(row)
    refuse_whole(path.name, issues)
    version, table = known.version, orders_table(fresh)
    told = pa.concat_tables([committer.lake.read("orders", [*_TOLD], version=version), table.select(_TOLD)])
    if fresh:
        version = put_orders(committer, table, reader.contracts_of(fresh), {"orders": path.name})
    days = [row["trade_date"] for _, row in made if row["trade_date"]]
    kinds = Counter(r["event"] for r in fresh)
    return OrdersReport(
        str(path),
        len(made),
        len(fresh),
        len(made) - len(fresh),
        kinds["correction"],
        kinds["cancel"],
        min(days, default=None),
        max(days, default=None),
        version,
        _orphans(told),
    )


def other_content(row: Row, place: str, file: str) -> Issue:
    """The fault of a row whose order and number the lake holds with other content."""
    return Issue(
        place,
        f"the lake has other content for order {row['order_id']}, sequence {row['sequence']}, from {file}; "
        "give a correction the next number",
        str(row["sequence"]),
    )


def _terms(cells: Cells, terms: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Instrument type, empty where none is given, and the terms of the row, its symbol among them."""
    return cells["instrument_type"] or "", {t: cell for t in ("symbol", *terms) if (cell := cells[t]) is not None}


def _plain(file: TextRows, number: int, cells: Cells) -> Row:
    """The row without its contract; what cannot be read of it is a fault."""
    row: Row = dict(_NO_ROW)
    row |= {"order_id": cells["order_id"], "file": file.path.name, "event": cells["event"] or "new"}
    if row["event"] not in EVENTS:
        file.fault(number, "event", f"expected {', '.join(EVENTS)}", row["event"])
    cancel = row["event"] == "cancel"
    for name in ("order_id",) if cancel else _REQUIRED:
        if cells[name] is None:
            file.fault(number, name, f"{name} is empty; every order has one")
    attributes = _attributes(file.columns)
    for name in ("order_id", *DIMENSIONS, *attributes):
        if is_no_name(cells[name]):
            file.fault(number, name, NO_NAME, ascii(cells[name]))
    row["sequence"] = _sequence(file, number, cells, row["event"])
    if cancel:
        return row
    if cells["executed_at"] is not None:
        row["executed_at"], row["trade_date"] = _instant(file, number, cells["executed_at"])
    if cells["side"] is not None:
        row["side"] = cells["side"].lower()
        if row["side"] not in SIDES:
            file.fault(number, "side", "expected buy or sell; the quantity is positive for both", cells["side"])
    if (quantity := cells["quantity"]) is not None:
        if (units := _quantity(quantity)) is None:
            said = "expected a positive number such as 1500 or 2.5, of at most 16 digits before and after the point"
            file.fault(number, "quantity", f"{said}; a sale has side sell", quantity)
        else:
            row["quantity"] = units
    if cells["price"] is not None:
        row["price"] = _price(cells["price"])
        if row["price"] is None:
            file.fault(number, "price", _CURRENCY_PRICE, cells["price"])
    row |= {d: cells[d] for d in DIMENSIONS}
    row["instrument"] = cells["instrument"] or cells["symbol"] or cells["instrument_type"]
    named = {c.removeprefix(ATTRIBUTE): v for c in attributes if (v := cells[c]) is not None}
    return row | {"attributes": named}


@functools.lru_cache
def _attributes(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(c for c in columns if c.startswith(ATTRIBUTE))


@functools.lru_cache(_PRICES_KEPT)
def _quantity(text: str) -> str | None:
    """The number of units in its shortest form; None where the text is none, or none that is traded."""
    if not (_QUANTITY.fullmatch(text) and 0 < Decimal(text) <= Decimal(MOST)):
        return None
    return format(Decimal(text).normalize(), "f")


@functools.lru_cache(_PRICES_KEPT)
def _price(text: str) -> float | None:
    """The number of a text; None where it is none."""
    found: float | None = doubles(pa.array([text]))[0].as_py()
    return found


def _sequence(file: TextRows, number: int, cells: Cells, event: str) -> int | None:
    """1 where a new order gives none; a correction and a cancel give one above 1."""
    text, least = cells["sequence"], 2 if event in EVENTS[1:] else 1
    if text is None and least == 1:
        return 1
    found = int(text) if text is not None and re.fullmatch("[0-9]{1,9}", text) else 0
    if found < least:
        message = f"expected a whole number from {least}; of an order the highest counts"
        file.fault(number, "sequence", message, text)
    return found


def _instant(file: TextRows, number: int, text: str) -> tuple[dt.datetime | None, dt.date | None]:
    """The instant, and its day in the zone it was given in."""
    try:
        found = instant(text)
    except ValueError as error:
        file.fault(number, "executed_at", str(error), text)
        return None, None
    return found.astimezone(dt.UTC), found.date()


@functools.lru_cache(_PRICES_KEPT)
def instant(text: str) -> dt.datetime:
    """The instant of a text with its zone; raises `ValueError` for any other."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not FIRST.year < found.year < LAST.year:
        raise ValueError("expected an instant with its zone, such as 2020-03-16T15:59:58-04:00")
    return found


def _orphans(rows: pa.Table) -> tuple[str, ...]:
    """What is said of orders of which no new row is among the rows, of all that there are."""
    new = pc.is_in(rows["order_id"], value_set=rows.filter(pc.equal(rows["event"], "new"))["order_id"].combine_chunks())
    alone = sorted(pc.unique(rows["order_id"].filter(pc.invert(new))).to_pylist())
    if not alone:
        return ()
    said = f"{counted(len(alone), 'order')} known by corrections or cancels alone: {first_of(alone, 3)}."
    return (f"{said} They count as they say; the order itself has not arrived.",)
