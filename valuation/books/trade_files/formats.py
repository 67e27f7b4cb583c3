"""Which format a file of trades has, and its rows. Every trade of a file is a row, or is told with its id, type and reason."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake.errors import BadInput
from lake.landing.markup import Element, is_markup, read_markup
from lake.landing.sheet import Sheet, sheet_by
from valuation.books.trade_files import ore
from valuation.books.trade_files.fpml import document as fpml
from valuation.books.trade_files.trade import NotRead, Trade

# one position, or one for each contract that a trade is
Format = Callable[[Element, dt.date, str | None], Iterator[tuple[Element, str, Callable[[], Trade | Sequence[Trade]]]]]
# by the root element: trades, each with its place, its name, and what reads it
FORMATS: Mapping[str, Format] = {"Portfolio": ore.trades, **dict.fromkeys(fpml.ROOTS, fpml.trades)}


def trade_sheet(path: Path, as_of: dt.date | None, party: str | None = None) -> Sheet | None:
    """The trades of an XML file as rows of a positions file of the day `as_of`; None for other files. party : whose an FpML document is.

    Trades that cannot be read are in `uneven` with their reason. Raises `BadInput` for a file of no known format, and without a day.
    """
    if not is_markup(path):
        return None
    if as_of is None:
        raise BadInput(f"{path.name} does not say of which day its trades are; give it with --as-of.")
    return dataclasses.replace(sheet_by(_read, path, as_of, party), canonical=True)


def _read(path: Path, as_of: dt.date, party: str | None) -> Sheet:
    root = read_markup(path)
    if root.name not in FORMATS:
        raise BadInput(
            f"{path.name} begins with <{root.name}>, which is no known file of trades; expected {' or '.join(f'<{n}>' for n in FORMATS)}."
        )
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    left: list[tuple[int, str, str]] = []
    seen: dict[str, int] = {}
    for element, name, read in FORMATS[root.name](root, as_of, party):
        try:
            made = read()
            parts = [made] if isinstance(made, Trade) else made
            for part in parts:
                if part.trade_id in seen:
                    raise NotRead(f"the id stands on line {seen[part.trade_id]} too; ids are unique in a file")
            seen |= {part.trade_id: element.line for part in parts}
        except NotRead as error:
            left.append((element.line, name, f"This trade is not read: {error}."))
            continue
        rows += [part.row(as_of) for part in parts]
        lines += [element.line] * len(parts)
    header = list(dict.fromkeys(column for row in rows for column in row))
    cells = {str(i): pa.array([row.get(c) for row in rows], pa.string()) for i, c in enumerate(header)}
    return Sheet(path.name, header, pa.table(cells), np.array(lines, dtype=np.int64), tuple(left))
