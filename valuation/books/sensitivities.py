"""Sensitivities of other systems, brought in: stored as their file has them, and each factor told which of the lake it is.

A factor is looked up in the mapping table that comes with the file; else by the rules of `_candidates`, of which the first that names a
risk factor of the lake holds. What is neither is stored and listed all the same, with the reason: a covariance matrix may know it by
the name it has.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.committer import Committer
from lake.errors import BadInput, NotFound, counted, nearest
from lake.landing.numbers import doubles
from lake.landing.rows import read_rows
from lake.schemas import SENSITIVITIES, SENSITIVITY_FACTORS
from lake.tables import Snapshot
from lake.words import first_of
from scenarios.market.history import load_factors
from scenarios.types import FactorIndex
from valuation.books.sensitivity_layouts import FileRows, Row, identity, read_sensitivities

TABLES = ("sensitivities", "sensitivity_factors")
BY_TABLE = "mapping table"
_LISTED = 100
_MAPPING = ("factor", "risk_factor_id", "weight")


@dataclass(frozen=True)
class SensitivitiesReport:
    """What became of a file: rows `read`, sensitivities `stored` of them, `zero` amounts, rows `skipped` that are no sensitivities.

    unmapped : factors that are none of the lake, with the reason, their rows and their share of the amounts of all, each kind
    by itself; the largest first. replaced : sensitivities of the lake that went.
    """

    path: str
    source: str
    layout: str
    dates: tuple[dt.date, ...]
    read: int
    stored: int
    zero: int
    replaced: int
    factors: int
    unmapped_factors: int
    skipped: tuple[Mapping[str, Any], ...]
    unmapped: tuple[Mapping[str, Any], ...]
    version: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def ingest_sensitivities(
    committer: Committer,
    path: str | Path,
    *,
    source: str,
    as_of: dt.date | None = None,
    mapping: str | None = None,
    replace_dates: bool = False,
) -> SensitivitiesReport:
    """Brings in a file in one of the layouts of docs/sensitivities.md.

    A file of the name that is there for the source and day is replaced; another is added, and raises `BadInput` where it has a
    sensitivity that stands in a file already. With `replace_dates` the source's days in the file become exactly the file. mapping : CSV,
    Parquet or JSON file with the columns factor, risk_factor_id and, where a factor is split, weight.
    """
    path = Path(path)
    with _uncollected():
        return _ingest(committer, path, source, read_sensitivities(path, as_of), mapping, replace_dates)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles, which would walk over a million rows again and again: a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _ingest(
    committer: Committer, path: Path, source: str, found: FileRows, mapping: str | None, replace_dates: bool
) -> SensitivitiesReport:
    rows, name = found.rows, path.name
    for r in rows:
        r["source"], r["file"] = source, name
    days = sorted({r["as_of_date"] for r in rows})
    stored = committer.lake.read("sensitivities", among={"as_of_date": days}).to_pylist(maps_as_pydicts="strict")
    gone = [r for r in stored if r["source"] == source and (replace_dates or r["file"] == name)]
    kept = [r for r in stored if r["source"] != source or not (replace_dates or r["file"] == name)]
    same = {(*identity(r), r["amount"], r["bump"], r["bump_2"]) for r in rows} if gone else set()
    replaced = sum((*identity(r), r["amount"], r["bump"], r["bump_2"]) not in same for r in gone)
    _refuse_twice(path, rows, [r for r in kept if r["source"] == source])
    table = _table(kept + rows, SENSITIVITIES.schema, ("as_of_date", "source", "file", "line", "kind"))
    factors = _mapped(committer, path, days, source, kept + rows, mapping)
    # factors first: sensitivities are found by what they are
    committer.put("sensitivity_factors", factors, replace=True)
    version = committer.put("sensitivities", table, replace=True)
    nowhere = {
        (r["as_of_date"], r["factor"]): r["rule"]
        for r in factors.to_pylist()
        if r["risk_factor_id"] is None and r["source"] == source
    }
    listed = _unmapped(rows, nowhere)
    strange = len({u["factor"] for u in listed})
    notes = []
    if listed:
        notes.append(
            f"{counted(strange, 'factor is', 'factors are')} none of the lake: sensitivities to them are in a figure only where a "
            "covariance matrix has the factor by the name of the file. Map them with a table (--mapping)."
        )
    if found.skipped:
        notes.append(f"{counted(len(found.skipped), 'row is', 'rows are')} no sensitivities and not stored.")
    return SensitivitiesReport(
        str(path), source, found.layout, tuple(days), found.read, len(rows), found.zero, replaced,
        len({r["factor"] for r in rows} | {r["factor_2"] for r in rows} - {None}), strange,
        tuple(found.skipped[:_LISTED]), tuple(listed[:_LISTED]), version, tuple(notes),
    )  # fmt: skip


def _table(rows: Iterable[Row], schema: pa.Schema, order: tuple[str, ...]) -> pa.Table:
    made = pa.Table.from_pylist(
        [{**r, "attributes": sorted(r["attributes"].items())} if "attributes" in r else r for r in rows], schema=schema
    )
    return made.take(pc.sort_indices(made, sort_keys=[(name, "ascending", "at_start") for name in order]))


def _refuse_twice(path: Path, rows: list[Row], others: list[Row]) -> None:
    par = {dict(r["attributes"]).get("is_par") for r in [*rows, *others]} - {None}
    if len(par) > 1:
        raise BadInput(
            f"{path.name} was not loaded: par and zero sensitivities of a day would stand in one source, and count the same risk twice. "
            "Give the par ones a source of their own."
        )
    if not others:
        return
    there = {identity(r): r for r in others}
    both = [r for r in rows if identity(r) in there]
    if both:
        other = there[identity(both[0])]
        raise BadInput(
            f"{path.name} was not loaded: {counted(len(both), 'sensitivity stands', 'sensitivities stand')} in a file already, first the "
            f"{both[0]['kind']} to {both[0]['factor']} of line {both[0]['line']}, in {other['file']}, line {other['line']}. A corrected "
            "file under its old name replaces it; with --replace-dates the source's days become exactly this file."
        )


def _unmapped(rows: list[Row], nowhere: Mapping[tuple[dt.date, str], str]) -> list[dict[str, Any]]:
    whole: dict[str, float] = {}
    of: dict[tuple[str, str, str], list[float]] = {}
    for r in rows:
        whole[r["kind"]] = whole.get(r["kind"], 0.0) + abs(r["amount"])
        lacking = [f for f in (r["factor"], r["factor_2"]) if (r["as_of_date"], f) in nowhere]
        if lacking:
            of.setdefault((lacking[0], r["kind"], nowhere[r["as_of_date"], lacking[0]]), []).append(abs(r["amount"]))
    found = [
        {"factor": factor, "kind": kind, "rows": len(amounts), "share": sum(amounts) / whole[kind], "reason": reason}
        for (factor, kind, reason), amounts in of.items()
    ]
    return sorted(found, key=lambda u: (-u["share"], u["factor"], u["kind"]))


def _mapped(
    committer: Committer, path: Path, days: list[dt.date], source: str, rows: list[Row], mapping: str | None
) -> pa.Table:
    """The rows of `sensitivity_factors` of the days: those of other sources as they are, this source's for its factors."""
    snapshot = committer.lake.snapshot("risk_factors")
    index = _index(snapshot)
    given = read_mapping(mapping, index) if mapping is not None else {}
    stored = committer.lake.read("sensitivity_factors", among={"as_of_date": days}).to_pylist()
    # a mapping table holds until another one says otherwise
    before: dict[tuple[dt.date, str], list[Row]] = {}
    for r in stored:
        if r["source"] == source and r["rule"] == BY_TABLE:
            before.setdefault((r["as_of_date"], r["factor"]), []).append(r)
    wanted = {
        (r["as_of_date"], f)
        for r in rows
        if r["source"] == source
        for f in (r["factor"], r["factor_2"])
        if f is not None
    }
    if idle := sorted(set(given) - {f for _, f in wanted}):
        raise BadInput(
            f"The mapping names {counted(len(idle), 'factor')} that {path.name} and the files before it do not have: "
            f"{first_of(idle)}. Nearest to the first: {', '.join(nearest(idle[0], {f for _, f in wanted}))}."
        )
    out = [r for r in stored if r["source"] != source]
    for day, factor in wanted:
        common = {"as_of_date": day, "source": source, "factor": factor}
        if factor in given:
            out += [
                {**common, "risk_factor_id": i, "weight": w, "inverse": False, "rule": BY_TABLE}
                for i, w in given[factor]
            ]
        elif (day, factor) in before:
            out += before[day, factor]
        else:
            legs, rule = find_factor(factor, index)
            out += [
                {**common, "risk_factor_id": i, "weight": _weight(i, index), "inverse": v, "rule": rule}
                for i, v in legs
            ]
    return _table(out, SENSITIVITY_FACTORS.schema, ("as_of_date", "source", "factor", "risk_factor_id"))


def _weight(risk_factor_id: str | None, index: FactorIndex) -> float:
    """What the move of a factor is multiplied by to be the move of what a file means by its name: of a future, quoted as 100 less a rate
    in percent, a file means the rate."""
    row = index.row.get(risk_factor_id or "")
    return -0.01 if row is not None and index.factors[row].type == "rate_future" else 1.0


def _index(snapshot: Snapshot) -> FactorIndex:
    try:
        return load_factors(snapshot)
    except NotFound:
        return FactorIndex(())  # a lake may hold sensitivities and covariances alone


def read_mapping(path: str, index: FactorIndex) -> dict[str, list[tuple[str, float]]]:
    """Factor of a file to the risk factors of the lake that its move is a sum of, with weights; raises `BadInput` for unknown ids."""
    out: dict[str, list[tuple[str, float]]] = {}
    for n, row in enumerate(read_rows(path), 2):
        place = f"{Path(path).name}, row {n}"
        if odd := sorted(set(row) - set(_MAPPING)):
            raise BadInput(f"{place}: unknown column {odd[0]!r}. A mapping has the columns {', '.join(_MAPPING)}.")
        if "factor" not in row or "risk_factor_id" not in row:
            raise BadInput(f"{place}: expected a factor of the file and the risk_factor_id that it is.")
        factor, target = str(row["factor"]).strip(), str(row["risk_factor_id"]).strip()
        if target not in index.row:
            raise BadInput(
                f"{place}: the lake has no risk factor {target!r}. Nearest: {', '.join(nearest(target, index.row))}."
            )
        weight = doubles(pa.array([str(row.get("weight", 1))]))[0].as_py()
        if not weight:
            raise BadInput(f"{place}: the weight {row['weight']!r} is no number other than zero.")
        if target in (i for i, _ in out.get(factor, [])):
            raise BadInput(f"{place}: {factor} is mapped to {target} twice.")
        out.setdefault(factor, []).append((target, weight))
    return out


Legs = Sequence[tuple[str | None, bool]]


def find_factor(factor: str, index: FactorIndex) -> tuple[Legs, str]:
    """The risk factors of the lake that a factor is by its name, and the rule; without one None and the reason.

    It is one of them, or one over it (true); a cross rate is the product of two.
    """
    tried = list(_candidates(factor))
    for candidate in tried:
        if candidate in index.row:
            return [(candidate, False)], "its name" if candidate == factor else f"rule: {candidate}"
    kind, _, pair = tried[-1].rpartition(":")
    if kind == "FX" and len(pair) == 6 and not index.without_rate([pair[:3]], pair[3:]):
        legs = index.fx_path(pair[:3], pair[3:])
        told = "1" + "".join(f" x {leg}" if power > 0 else f" / {leg}" for leg, power in legs)
        return [(leg, power < 0) for leg, power in legs], f"rule: {told.removeprefix('1 x ')}"
    if tried[1:]:
        return [(None, False)], f"the lake has none of {', '.join(tried[1:])}"
    return [(None, False)], "the lake has no risk factor of this name, and no rule maps it"


def _candidates(factor: str) -> Iterator[str]:
    """Ids that a factor may be, best first.

    CRIF: type/qualifier/bucket/label1/label2; ORE: type/name/index/tenor.
    """
    yield factor
    kind, name, _, label, more = (*factor.split("/"), "", "", "", "")[:5]
    tenor = label.upper()
    if kind in ("Risk_FX", "FXSpot") and len(name) == 6:
        yield f"FX:{name}"
    elif kind == "Risk_IRCurve":
        yield from (f"YC:{curve}:{tenor}" for curve in (more, name) if curve)
    elif kind in ("DiscountCurve", "YieldCurve"):
        yield f"YC:{name}:{tenor}"
    elif kind == "IndexCurve":
        yield from (f"YC:{curve}:{tenor}" for curve in (name, name[:3]))
    elif kind in ("Risk_Equity", "EquitySpot"):
        yield from (f"{prefix}:{name}" for prefix in ("EQ", "IDX"))
    elif kind in ("Risk_Commodity", "CommodityCurve"):
        yield f"CMD:{name}"
    elif kind in ("Risk_CreditQ", "Risk_CreditNonQ"):
        yield from (f"CR:{n}" for n in (f"{name}:{tenor}", name))
    elif kind.endswith(("Vol", "Volatility")):
        yield f"IV:{name}"
