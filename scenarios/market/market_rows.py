"""Values of landing files as rows of the lake, and those rows beside the stored ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lake.arrays import Bools, Dates, Ints
from lake.errors import BadInput, Issue, VarlakeError
from lake.landing.dated_values import MAX_LISTED, Landing
from lake.landing.rows import cell_place
from lake.schemas import MARKET_DATA
from scenarios.market.units import likely_unit
from scenarios.types import FACTOR_TYPES, POSITIVE_TYPES, RiskFactor

Factors = tuple[RiskFactor, ...]


def check_levels(
    path: Path,
    factors: Factors,
    landing: Landing,
    scale: float,
    plausible: tuple[float, float] | None = None,
    *,
    accept: bool = False,
) -> tuple[str, ...]:
    """Raises `BadInput`, listing the cells, for levels that are positive by nature and are not, and for implausible ones.

    Plausible are those of the factor's type, or of `plausible`. With `accept` implausible levels are told in a note instead.
    """
    codes = landing.rows["column"].combine_chunks().indices.to_numpy()
    values = landing.rows["value"].to_numpy()
    used = values * (scale * landing.rows["factor"].to_numpy())
    types = [FACTOR_TYPES[f.type] for f in factors]
    low, high = np.array([plausible or t.plausible for t in types]).T[:, codes]
    wrong = np.array([f.type in POSITIVE_TYPES for f in factors])[codes] & (values <= 0)
    doubtful = ~wrong & ((used < low) | (used > high))

    def told(i: int) -> str:
        kind = factors[codes[i]].type
        if wrong[i]:
            return f"found {values[i]:.15g}, expected a positive {kind}."
        unit = f", {types[codes[i]].unit}"
        return f"found {values[i]:.15g}, hardly meant as {kind} of {used[i]:.15g}; expected {low[i]:g} to {high[i]:g}{unit}."

    issues = [
        Issue(
            cell_place(path, landing.rows["line"][i].as_py(), landing.columns[codes[i]]), told(i), f"{values[i]:.15g}"
        )
        for i in np.flatnonzero(wrong | (doubtful & ~accept))[:MAX_LISTED]
    ]
    counts, ways = [], []
    if wrong.any():
        counts.append(f"levels that are not positive ({wrong.sum():,})")
        mark = f"{values[wrong.argmax()]:.15g}"
        ways.append(
            f'Where such a number means no value, declare it in the catalogue as the file has it: missing = ["{mark}"].'
        )
    if doubtful.any():
        counts.append(f"levels that are hardly meant ({doubtful.sum():,})")
        least, most = min(used[doubtful].min(), low[doubtful].min()), max(used[doubtful].max(), high[doubtful].max())
        kinds = np.array([f.type for f in factors])[codes[doubtful]]
        unit = likely_unit(kinds[0], float(np.median(used[doubtful & (codes == codes[doubtful.argmax()])])))
        if unit is not None:
            said = f'unit = "{unit[0]}"' if scale == 1 else f"scale = {scale * unit[1]:g}"
            ways.append(f"Where the file is in {unit[0]}, as it seems, say {said} in the catalogue.")
        ways.append(f"Where the levels are right, say plausible = [{least:g}, {most:g}], or have such levels accepted.")
    if issues:
        raise BadInput(
            f"{path.name} has {' and '.join(counts)}; nothing of it is loaded. {' '.join(ways)}", issues=issues
        )
    return (f"accepted {counts[0]}, first: {told(int(doubtful.argmax()))}",) if counts else ()


def contradictions(factors: Mapping[str, Factors], stored: list[dict[str, Any]]) -> dict[str, VarlakeError]:
    """Errors by source: a risk factor has one source, here and in the lake, and a source is synthetic or it is not."""
    errors: dict[str, VarlakeError] = {}
    owner = {row["risk_factor_id"]: row["source"] for row in stored}
    nature = {row["source"]: row["synthetic"] for row in stored}
    for name, own in factors.items():
        taken = {f.risk_factor_id: owner[f.risk_factor_id] for f in own if owner.get(f.risk_factor_id, name) != name}
        if taken:
            first, other = next(iter(taken.items()))
            errors[name] = BadInput(
                f"{len(taken)} of its risk factors have another source already, {first} has {other}. A risk factor has one "
                "source: remove it from one of them, or ingest into another lake."
            )
        elif any(nature.get(name, f.synthetic) != f.synthetic for f in own):
            errors[name] = BadInput(
                "The lake holds a source of this name, and one is synthetic and the other is not. Rename the source, or "
                "ingest into another lake."
            )
        owner |= {f.risk_factor_id: name for f in own}
    return errors


def market_rows(factors: Factors, landing: Landing, scale: float) -> pa.Table:
    """Rows of `market_data` of one file, by risk factor and date; `factors` are those of its columns."""
    ids = np.array([f.risk_factor_id for f in factors], dtype=object)
    rank = np.argsort(np.argsort(ids))[landing.rows["column"].combine_chunks().indices.to_numpy()]
    rows = landing.rows
    if (rank[1:] < rank[:-1]).any():
        rows = rows.take(np.argsort(rank, kind="stable"))
    received = rows["value"].combine_chunks()
    scales = scale * rows["factor"].to_numpy()
    distinct = pc.dictionary_encode(pa.array(scales))
    rules = pa.array(["as received" if s == 1 else f"x {s:.15g}" for s in distinct.dictionary.to_pylist()], pa.string())
    n = len(received)
    return pa.table(
        {
            "as_of_date": rows["date"],
            "risk_factor_id": pa.array(ids, pa.string()).take(rows["column"].combine_chunks().indices),
            "value_received": received,
            "value_used": pc.multiply(received, scales),
            "status": pc.if_else(received.is_null(), "missing", "observed"),
            "rule": rules.take(distinct.indices),
            "source": pa.repeat(factors[0].source, n),
        },
        schema=MARKET_DATA.schema.remove_metadata(),
    )


def joined(parts: Mapping[str, pa.Table]) -> pa.Table:
    """Rows of several files of one source as those of one; raises `BadInput` where two of them differ on a day."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    rows = pa.concat_tables(parts.values())
    file = np.repeat(np.arange(len(parts)), [part.num_rows for part in parts.values()])
    key = _keys(rows, pc.unique(rows["risk_factor_id"]).sort())
    order = np.argsort(key, kind="stable")
    rows, file, key = rows.take(order), file[order], key[order]
    again = np.flatnonzero(key[1:] == key[:-1]) + 1
    differ = again[_differ(rows.take(again), rows.take(again - 1))]
    if len(differ):
        names = list(parts)
        issues = [
            Issue(
                f"{names[file[i]]}, {row['risk_factor_id']} on {row['as_of_date']}",
                f"found {row['value_received']}, expected {before['value_received']} as in {names[file[i - 1]]}.",
            )
            for i in differ[:MAX_LISTED]
            for row, before in [(rows.slice(i, 1).to_pylist()[0], rows.slice(i - 1, 1).to_pylist()[0])]
        ]
        raise BadInput(
            f"Files of this source differ in {len(differ):,} values that two of them have; first {issues[0].pointer}: "
            f"{issues[0].message} Give them sources and risk factors of their own, or leave out one.",
            issues=issues,
        )
    return rows.take(np.delete(np.arange(len(key)), again))


def upsert(stored: pa.Table, rows: pa.Table) -> tuple[dict[str, int], pa.Table | None, Bools]:
    """Counts; all rows of the source afterwards, None when they are the stored ones; and which of them are new or changed.

    A row received as before stays as it is stored: held, or as a person left it.
    """
    n, missing = rows.num_rows, rows["value_received"].null_count
    if not stored.num_rows:
        counts = {"rows": n, "missing": missing, "new": n, "changed": 0, "unchanged": 0, "kept": 0}
        return (counts, rows, np.ones(n, dtype=bool)) if n else (counts, None, np.zeros(0, dtype=bool))
    ids = pc.unique(pa.chunked_array([*rows["risk_factor_id"].chunks, *stored["risk_factor_id"].chunks])).sort()
    key, stored_key = _keys(rows, ids), _keys(stored, ids)
    at = pd.Index(stored_key).get_indexer(key)
    found = np.flatnonzero(at >= 0)
    differ = _differ(rows.take(found), stored.take(at[found]))
    changed = int(differ.sum())
    kept = np.ones(len(stored_key), dtype=bool)
    kept[at[found]] = False
    stays = kept.copy()
    stays[at[found[~differ]]] = True
    fresh = np.ones(n, dtype=bool)
    fresh[found[~differ]] = False
    new = n - len(found)
    counts = {
        "rows": n,
        "missing": missing,
        "new": new,
        "changed": changed,
        "unchanged": len(found) - changed,
        "kept": int(kept.sum()),
    }
    if not new and not changed:
        return counts, None, fresh[:0]
    order = np.argsort(np.concatenate([key[fresh], stored_key[stays]]))
    merged = pa.concat_tables([rows.filter(fresh), stored.filter(stays)]).take(order)
    return counts, merged, order < fresh.sum()


def _keys(rows: pa.Table, ids: pa.Array) -> Ints:
    """One number a row, in the order of (risk factor id, date)."""
    code: Ints = pc.index_in(rows["risk_factor_id"], ids).to_numpy().astype(np.int64)
    days: Ints = rows["as_of_date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    return (code << 32) + days


def _differ(rows: pa.Table, stored: pa.Table) -> Bools:
    differ: Bools = pc.not_equal(rows["rule"], stored["rule"]).to_numpy(zero_copy_only=False).copy()
    a, b = (
        rows["value_received"].to_numpy(),
        stored["value_received"].to_numpy(),
    )  # null is NaN, and no stored number is
    differ |= ~((a == b) | (np.isnan(a) & np.isnan(b)))
    return differ


def merge_factors(
    factors: Mapping[str, Factors], adjusted: Mapping[str, str | None], stored: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """All rows of `risk_factors` of the sources of which some definition is new or differs; `adjusted` by source."""
    before = {row["risk_factor_id"]: row for row in stored}
    out = []
    for name, own in factors.items():
        rows = {f.risk_factor_id: {**_factor_row(f), "adjusted": adjusted[name]} for f in own}
        if any(before.get(i) != row for i, row in rows.items()):
            rows = {i: row for i, row in before.items() if row["source"] == name} | rows
            out += [rows[i] for i in sorted(rows)]
    return out


def _factor_row(f: RiskFactor) -> dict[str, Any]:
    return {**f.to_dict(), "risk_class": str(f.risk_class), "shift_type": str(f.shift_type), "unit": f.unit}


def merge_calendars(
    named: Mapping[str, str | None], lists: Mapping[str, Dates], stored: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """All rows of `market_calendars`, by calendar, once each source keeps the one named, or none, and the lists have come."""
    keeps = {source: row["calendar"] for row in stored for source in row["sources"]} | dict(named)
    days = {row["calendar"]: row["days"] for row in stored} | {name: d.tolist() for name, d in lists.items()}
    names = {c for c in keeps.values() if c is not None} | {name for name, d in days.items() if d is not None}
    return [
        {"calendar": name, "sources": sorted(s for s, c in keeps.items() if c == name), "days": days.get(name)}
        for name in sorted(names)
    ]
