"""Which format a file of trades has, and its rows. Every trade of a file is a row, or is told with its id, type and reason."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from lake.errors import BadInput, counted
from lake.landing.decoded import open_decoded
from lake.landing.markup import Element, is_markup, read_markup
from lake.landing.sheet import Sheet, read_sheet, sheet_by
from valuation.books.trade_files import ore, strata
from valuation.books.trade_files.fpml import document as fpml
from valuation.books.trade_files.trade import NotRead, Trade, owner_columns
from valuation.types import NotValuable

Read = Callable[[], Trade | Sequence[Trade]]  # one position, or one for each contract that a trade is
Format = Callable[[Element, dt.date, str | None], Iterator[tuple[Element, str, Read]]]
_COLUMNS = ("positions_date", "trade", "instrument", "quantity", "instrument_type")  # of every sheet of trades
# by the root element: trades, each with its place, its name, and what reads it
FORMATS: Mapping[str, Format] = {"Portfolio": ore.trades, **dict.fromkeys(fpml.ROOTS, fpml.trades)}


def trade_sheet(path: Path, as_of: dt.date | None, party: str | None = None) -> Sheet | None:
    """The trades of an XML file, or of one of Strata's CSV files, as rows of a positions file of the day `as_of`; None for other files.

    party : whose an FpML document is. Trades that cannot be read are in `uneven` with their reason. Raises `BadInput` for an XML
    file of no known format, and without a day.
    """
    csv = not is_markup(path)
    if csv and not (path.is_file() and _is_csv(path) and strata.is_strata(_first_line(path))):
        return None
    if as_of is None:
        raise BadInput(f"{path.name} does not say of which day its trades are; give it with --as-of.")
    return (
        made_sheet(path.name, as_of, strata.trades(read_sheet(path), as_of))
        if csv
        else sheet_by(_read, path, as_of, party)
    )


def _worked_out(read: Read) -> Trade | Sequence[Trade]:
    """The trade; raises `NotRead` where its amounts or dates give no terms, such as a notional of zero."""
    try:
        return read()
    except ArithmeticError:
        raise NotRead("its amounts give no terms: one of them is zero or too large") from None
    except NotValuable as error:
        raise NotRead(str(error).rstrip(".")) from None


def _is_csv(path: Path) -> bool:
    return PurePosixPath(path.name.lower().removesuffix(".gz")).suffix == ".csv"


def _first_line(path: Path) -> str:
    """As far as it is text."""
    with open_decoded(path, None) as (_, stream):
        return stream.read(1 << 14).partition(b"\n")[0].decode("utf-8", "replace")


def _read(path: Path, as_of: dt.date, party: str | None) -> Sheet:
    root = read_markup(path)
    if root.name not in FORMATS:
        raise BadInput(
            f"{path.name} begins with <{root.name}>, which is no known file of trades; expected {' or '.join(f'<{n}>' for n in FORMATS)}."
        )
    found = FORMATS[root.name](root, as_of, party)
    return made_sheet(path.name, as_of, ((element.line, called, read) for element, called, read in found))


def made_sheet(name: str, as_of: dt.date, trades: Iterator[tuple[int, str, Read]]) -> Sheet:
    """The rows of the trades, each with its line; trades that are not read, or whose id stands twice, are told.

    What is known of them stands in `left`, so that a file of rejected rows can be mended.
    """
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    told: list[tuple[int, str, str]] = []
    left: list[dict[str, str]] = []
    seen: dict[str, int] = {}
    notes: Counter[str] = Counter()
    for line, called, read in trades:
        try:
            made = _worked_out(read)
            parts = [made] if isinstance(made, Trade) else made
            for part in parts:
                if part.trade_id in seen:
                    twice = NotRead(f"the id stands on line {seen[part.trade_id]} too; ids are unique in a file")
                    twice.owners = part.owners
                    raise twice
            seen |= {part.trade_id: line for part in parts}
        except NotRead as error:
            told.append((line, called, f"This trade is not read: {error}."))
            trade_id, _, kind = called.rpartition(" (")
            known = {"trade": trade_id, "instrument": kind.rstrip(")"), **owner_columns(error.owners)}
            left.append({"positions_date": as_of.isoformat(), **{k: v for k, v in known.items() if v}})
            continue
        rows += [part.row(as_of) for part in parts]
        lines += [line] * len(parts)
        notes.update(sorted({part.not_kept for part in parts if part.not_kept}))
    header = list(dict.fromkeys((*_COLUMNS, *(column for row in (*rows, *left) for column in row))))

    def table(of: list[dict[str, str]]) -> pa.Table:
        return pa.table({str(i): pa.array([row.get(c) for row in of], pa.string()) for i, c in enumerate(header)})

    return Sheet(
        name,
        header,
        table(rows),
        np.array(lines, dtype=np.int64),
        tuple(told),
        table(left) if left else None,
        tuple(f"{note}; {counted(n, 'trade')}." for note, n in notes.most_common()),
        canonical=True,
    )
