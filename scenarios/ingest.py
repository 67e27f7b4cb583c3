"""Market files into the lake: every source of a catalogue, or none of them.

Nothing is filled and nothing is repaired: a cell marked missing becomes a row with status `missing` and no value.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.errors import BadInput, Issue, NotFound, VarlakeError
from lake.ingest.formats import MAX_LISTED, Landing, read_source
from lake.schemas import MARKET_DATA, RISK_FACTORS
from lake.tables import Committer
from scenarios.catalogue import Catalogue, Source
from scenarios.types import Floats, RiskFactor

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Factors = tuple[RiskFactor, ...]

POSITIVE_TYPES = ("equity_price", "index_level", "fx_rate", "implied_vol")


@dataclass(frozen=True)
class SourceReport:
    """What one file brought, in rows of `market_data`: rows = new + changed + unchanged, missing ones included.

    `kept` counts stored rows that the file does not have; they stay. `dropped` counts lines of the file left out as the
    catalogue says, by reason. For an optional file that is absent `file` is None and every count zero.
    """

    source: str
    file: str | None
    licence: str = ""
    factors: int = 0
    first: dt.date | None = None
    last: dt.date | None = None
    rows: int = 0
    missing: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MarketIngestReport:
    """What an ingest did, by source, and the versions of its two tables afterwards."""

    catalogue: str
    synthetic: bool
    sources: tuple[SourceReport, ...]
    risk_factors_version: int
    market_data_version: int

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def ingest_market(committer: Committer, directory: str | Path, catalogue: Catalogue) -> MarketIngestReport:
    """Stores the files of the catalogue that lie in `directory`; raises `BadInput` and stores nothing when one has errors.

    A row of a file replaces the stored row of its date and risk factor; stored rows that the file does not have stay.
    Files that bring nothing new make no commit. At most one commit a table, for all sources together.
    """
    directory, lake = Path(directory), committer.lake
    if not directory.is_dir():
        raise NotFound(f"There is no folder {directory}.")
    landings: dict[str, Landing] = {}
    factors: dict[str, Factors] = {}
    errors: dict[str, VarlakeError] = {}
    for name, source in catalogue.source.items():
        path = directory / source.file
        if source.optional and not path.exists():
            continue
        try:
            landings[name] = read_source(path, source, None if source.columns is None else list(source.columns))
            factors[name] = source.risk_factors(name, landings[name].columns, synthetic=catalogue.synthetic)
            _check_positive(path, factors[name], landings[name])
        except VarlakeError as error:
            errors[name] = error
    stored_factors = lake.read("risk_factors").to_pylist(maps_as_pydicts="strict")
    errors |= _contradictions(factors, stored_factors)
    if errors:
        raise _refused(errors, len(catalogue.source))

    stored = lake.read("market_data", where=ds.field("source").isin(list(landings)))
    reports, writes = [], []
    for name, source in catalogue.source.items():
        if name not in landings:
            reports.append(SourceReport(name, None, source.licence))
            continue
        rows = _market_rows(source, factors[name], landings[name])
        counts, merged = _upsert(stored.filter(pc.equal(stored["source"], name)), rows)
        extent = pc.min_max(rows["as_of_date"]).as_py()
        reports.append(
            SourceReport(
                name,
                source.file,
                source.licence,
                factors=len(factors[name]),
                first=extent["min"],
                last=extent["max"],
                dropped=landings[name].dropped,
                **counts,
            )
        )
        if merged is not None:
            writes.append(merged)
    # Factors first: a crash in between leaves factors without levels, which does no harm and a rerun completes.
    note = {"catalogue": catalogue.name}
    if definitions := _merge_factors(factors, stored_factors):
        committer.put("risk_factors", pa.Table.from_pylist(definitions, RISK_FACTORS.schema), replace=True, note=note)
    if writes:
        committer.put("market_data", pa.concat_tables(writes), replace=True, note=note)
    return MarketIngestReport(
        catalogue.name, catalogue.synthetic, tuple(reports), lake.version("risk_factors"), lake.version("market_data")
    )


def _check_positive(path: Path, factors: Factors, landing: Landing) -> None:
    codes = landing.rows["column"].combine_chunks().indices.to_numpy()
    values = landing.rows["value"].to_numpy()
    must = np.array([f.type in POSITIVE_TYPES for f in factors])
    wrong = np.flatnonzero(must[codes] & (values <= 0))
    issues = []
    for i in wrong[:MAX_LISTED]:
        place = f"{path.name}, line {landing.rows['line'][i]}, column {landing.columns[codes[i]]}"
        kind = factors[codes[i]].type
        issues.append(Issue(place, f"{place}: found {values[i]}, expected a positive {kind}.", str(values[i])))
    if issues:
        raise BadInput(
            f"{path.name} has {len(wrong)} levels that are not positive; nothing of it is loaded.", issues=issues
        )


def _contradictions(factors: Mapping[str, Factors], stored: list[dict[str, Any]]) -> dict[str, VarlakeError]:
    """A risk factor has one source, here and in the lake, and a source is either synthetic or not."""
    errors: dict[str, VarlakeError] = {}
    owner = {row["risk_factor_id"]: row["source"] for row in stored}
    nature = {row["source"]: row["synthetic"] for row in stored}
    for name, own in factors.items():
        taken = {f.risk_factor_id: owner[f.risk_factor_id] for f in own if owner.get(f.risk_factor_id, name) != name}
        repeated = len(own) - len({f.risk_factor_id for f in own})
        if taken:
            first, other = next(iter(taken.items()))
            errors[name] = BadInput(
                f"{len(taken)} of its risk factors have another source already, {first} has {other}. A risk factor has one "
                "source: remove it from one of them, or ingest into another lake."
            )
        elif repeated:
            errors[name] = BadInput("Two of its columns feed the same risk factor; every column needs its own id.")
        elif any(nature.get(name, f.synthetic) != f.synthetic for f in own):
            errors[name] = BadInput(
                "The lake holds a source of this name, and one is synthetic and the other is not. Rename the source, or "
                "ingest into another lake."
            )
        owner |= {f.risk_factor_id: name for f in own}
    return errors


def _refused(errors: Mapping[str, VarlakeError], sources: int) -> BadInput:
    listed = "".join(f"\n  {name}: {error.message}" for name, error in errors.items())
    issues = [
        dataclasses.replace(issue, pointer=f"{name}: {issue.pointer}")
        for name, error in errors.items()
        for issue in error.issues or (Issue("source", error.message),)
    ]
    return BadInput(f"Nothing is stored, {len(errors)} of {sources} sources have errors.{listed}", issues=issues)


def _market_rows(source: Source, factors: Factors, landing: Landing) -> pa.Table:
    """Rows of `market_data`, by risk factor and date."""
    ids = np.array([f.risk_factor_id for f in factors], dtype=object)
    blocks = np.arange(landing.rows.num_rows).reshape(len(ids), -1)
    rows = landing.rows.take(blocks[np.argsort(ids)].ravel())
    received = rows["value"].combine_chunks()
    missing = received.is_null()
    n = len(received)
    return pa.table(
        {
            "as_of_date": rows["date"],
            "risk_factor_id": pa.array(ids).take(rows["column"].combine_chunks().indices),
            "value_received": received,
            "value_used": pa.array(_scaled(received.to_numpy(zero_copy_only=False), source.scale), from_pandas=True),
            "status": pc.if_else(missing, "missing", "observed"),
            "rule": pa.repeat("as received" if source.scale == 1 else f"x {source.scale:.15g}", n),
            "source": pa.repeat(factors[0].source, n),
        },
        schema=MARKET_DATA.schema.remove_metadata(),
    )


def _scaled(values: Floats, scale: float) -> Floats:
    """Values x scale. 0.01 is no binary number but 100 is: dividing gives 3.13% the nearest double to 0.0313."""
    divisor = round(1 / scale)
    return values / divisor if divisor * scale == 1 else values * scale


def _upsert(stored: pa.Table, rows: pa.Table) -> tuple[dict[str, int], pa.Table | None]:
    """Counts, and all rows of the source afterwards; None for the rows when they are the stored ones."""
    ids = pc.unique(pa.chunked_array([*rows["risk_factor_id"].chunks, *stored["risk_factor_id"].chunks])).sort()
    key, stored_key = _keys(rows, ids), _keys(stored, ids)
    at = pd.Index(stored_key).get_indexer(key)
    found = np.flatnonzero(at >= 0)
    changed = int(_differ(rows.take(found), stored.take(at[found])).sum())
    kept = ~np.isin(stored_key, key)
    new = len(key) - len(found)
    counts = {
        "rows": len(key),
        "missing": rows["value_received"].null_count,
        "new": new,
        "changed": changed,
        "unchanged": len(found) - changed,
        "kept": int(kept.sum()),
    }
    if not new and not changed:
        return counts, None
    order = np.argsort(np.concatenate([key, stored_key[kept]]))
    return counts, pa.concat_tables([rows, stored.filter(kept)]).take(order)


def _keys(rows: pa.Table, ids: pa.Array) -> Ints:
    """One number a row, in the order of (risk factor id, date)."""
    code = pc.index_in(rows["risk_factor_id"], ids).to_numpy().astype(np.int64)
    days: Ints = rows["as_of_date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    return (code << 32) + days


def _differ(rows: pa.Table, stored: pa.Table) -> Bools:
    differ: Bools = pc.not_equal(rows["rule"], stored["rule"]).to_numpy(zero_copy_only=False)
    for column in ("value_received", "value_used"):
        a, b = rows[column].to_numpy(), stored[column].to_numpy()  # null is NaN here, and no stored number is NaN
        differ = differ | ~((a == b) | (np.isnan(a) & np.isnan(b)))
    return differ


def _merge_factors(factors: Mapping[str, Factors], stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows of `risk_factors` of the sources of which some definition is new or differs."""
    before = {row["risk_factor_id"]: row for row in stored}
    out = []
    for name, own in factors.items():
        rows = {f.risk_factor_id: _factor_row(f) for f in own}
        if any(before.get(i) != row for i, row in rows.items()):
            rows = {i: row for i, row in before.items() if row["source"] == name} | rows
            out += [rows[i] for i in sorted(rows)]
    return out


def _factor_row(f: RiskFactor) -> dict[str, Any]:
    return {**f.to_dict(), "risk_class": str(f.risk_class), "shift_type": str(f.shift_type), "unit": f.unit}
