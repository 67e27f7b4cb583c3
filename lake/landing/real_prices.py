"""Days with a real price of a risk factor into the lake: CSV or Parquet, whole or not at all. Nothing here is financial."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.committer import Committer
from lake.errors import BadInput, Issue, unknown
from lake.landing.pnl_vectors import Faults, days
from lake.landing.positions_file import flags
from lake.landing.rows import refuse_columns
from lake.landing.sheet import read_sheet
from lake.schemas import REAL_PRICES

EVIDENCE = ("own_deal", "third_party_deal", "committed_quote", "vendor")
_COLUMNS = ("date", "risk_factor_id", "source", "evidence")


@dataclass(frozen=True)
class RealPricesReport:
    """What became of a file: rows `read` = `new` + `unchanged`; `replaced` are rows of the lake that went."""

    path: str
    read: int
    new: int
    unchanged: int
    replaced: int
    first: dt.date
    last: dt.date
    kinds: tuple[str, ...]
    version: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ingest_real_prices(committer: Committer, path: str | Path, *, replace_dates: bool = False) -> RealPricesReport:
    """Loads a file with the columns date, risk_factor_id, source and evidence (docs/frtb-ima.md).

    A row that is there already is left; with `replace_dates` the days of the file become exactly the file. Raises `BadInput` with every
    fault by row, among them risk factors that the lake does not know.
    """
    path = Path(path)
    rows = _read(path, committer)
    stored = committer.lake.read("real_prices").to_pylist()
    before, fresh = {_key(r): r for r in stored}, {_key(r): r for r in rows}
    of_days = {r["price_date"] for r in rows}
    gone = {k for k, r in before.items() if replace_dates and r["price_date"] in of_days and k not in fresh}
    unchanged = sum(k in before for k in fresh)
    version = committer.lake.version("real_prices")
    if gone or unchanged < len(fresh):
        kept = {**fresh, **{k: r for k, r in before.items() if k not in gone}}
        table = pa.Table.from_pylist([kept[k] for k in sorted(kept)], schema=REAL_PRICES.schema)
        version = committer.put("real_prices", table, replace=True, note={"real_prices_file": path.name})
    twice = len(rows) - len(fresh)
    return RealPricesReport(
        str(path),
        len(rows),
        len(fresh) - unchanged,
        unchanged + twice,
        len(gone),
        min(of_days),
        max(of_days),
        tuple(sorted({r["evidence"] for r in rows})),
        version,
        (f"{twice:,} rows say what an earlier row of the file says.",) if twice else (),
    )


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[k] for k in REAL_PRICES.key)


def _read(path: Path, committer: Committer) -> list[dict[str, Any]]:
    sheet = read_sheet(path)
    names = sheet.header
    issues = [i for n in names if n not in _COLUMNS for i in unknown("column", n, _COLUMNS, pointer=n).issues]
    issues += [
        Issue(n, f"Column {n!r} is missing; every file of real prices has it.") for n in _COLUMNS if n not in names
    ]
    issues += [Issue(n, f"Column {n!r} stands twice in the header.") for n, k in Counter(names).items() if k > 1]
    refuse_columns(path.name, issues)
    faults = Faults(path.name)
    faults.ragged(sheet.uneven)
    rows, text = sheet.lines, {n: sheet.column(i) for i, n in enumerate(names)}
    if not len(rows):
        raise BadInput(f"{path.name} has a header and no rows.")
    date = days(text["date"], rows, faults)
    known = committer.lake.read("risk_factors", ["risk_factor_id"])["risk_factor_id"].unique()
    strange = flags(pc.invert(pc.is_in(text["risk_factor_id"], value_set=known.cast(pa.string()))))
    faults.add(
        rows,
        strange,
        "risk_factor_id",
        "the lake has no such risk factor; bring its market data in first",
        text["risk_factor_id"],
    )
    other = flags(pc.invert(pc.is_in(text["evidence"], value_set=pa.array(EVIDENCE))))
    faults.add(rows, other, "evidence", f"expected {', '.join(EVIDENCE)}", text["evidence"])
    faults.add(rows, flags(text["source"].is_null()), "source", "source is empty; every row has one")
    faults.told()
    found: list[dict[str, Any]] = pa.table(
        {
            "price_date": date,
            "risk_factor_id": text["risk_factor_id"],
            "source": text["source"],
            "evidence": text["evidence"],
            "file": pa.repeat(pa.scalar(path.name), len(rows)),
        }
    ).to_pylist()
    return found
