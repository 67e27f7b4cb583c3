"""Reference data of counterparties in: counterparties, agreements, balances of collateral, classifications. Whole or not at all."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.effective_rows import (
    DATES,
    EffectiveFile,
    LandedField,
    LandedRows,
    ReferenceReport,
    Row,
    by_item,
    ingest_effective,
    of_the_file,
    overlap,
    read_landed,
    unknown_counterparties,
)
from lake.landing.mapping import FileMapping
from lake.landing.reference_values import (
    CAPITALISATIONS,
    CLASSIFIED,
    COLLATERAL_KINDS,
    COMMODITY_GROUPS,
    CREDIT_CLASSES,
    ECONOMIES,
    EQUITY_SECTORS,
    QUALITIES,
    RATINGS,
    SECTORS,
    SENIORITIES,
)
from lake.schemas import COLLATERAL

_TEXT, _NEEDED = LandedField(), LandedField(required=True)
_FRACTION = LandedField("number", least=0, most=1)
_AMOUNT = LandedField("number", least=0)
_NO = LandedField("flag", default=False)
ALONE = "trade:"  # how the id of the netting set of a trade alone begins
LONGEST_PERIOD = 250  # business days of a margin period of risk


def ingest_counterparties(
    committer: Committer, path: str | Path, *, mapping: FileMapping | None = None
) -> ReferenceReport:
    """Loads a file of counterparties (docs/counterparties.md); the history of each becomes exactly the file's rows.

    Raises `BadInput` with every fault by row: an unknown sector, rating or class, a PD, LGD or recovery outside 0..1, days that overlap.
    """
    return ingest_effective(committer, path, _COUNTERPARTIES, mapping=mapping)


def ingest_agreements(
    committer: Committer,
    path: str | Path,
    instrument_types: Collection[str] = (),
    *,
    mapping: FileMapping | None = None,
) -> ReferenceReport:
    """Loads a file of agreements (docs/counterparties.md); the history of each becomes exactly the file's rows.

    instrument_types : the names that `instrument_types` may hold; empty for any. Raises `BadInput` with every fault by row: days that
    overlap, two agreements of a counterparty and a legal entity that cover one instrument type on a day, negative thresholds, a margin
    period of zero, terms of margin that a margined agreement lacks or another has.
    """
    known = tuple(sorted(instrument_types))
    fields = {**_AGREEMENTS.fields, "instrument_types": LandedField("list", allowed=known)}
    return ingest_effective(committer, path, replace(_AGREEMENTS, fields=fields), mapping=mapping)


def ingest_classifications(
    committer: Committer, path: str | Path, *, mapping: FileMapping | None = None
) -> ReferenceReport:
    """Loads a file of classifications (docs/counterparties.md); the history of each name becomes exactly the file's rows.

    Raises `BadInput` with every fault by row: unknown kinds, sectors and groups, what a kind needs and lacks, days that overlap.
    """
    return ingest_effective(committer, path, _CLASSIFICATIONS, mapping=mapping)


def ingest_reference(
    committer: Committer, files: Mapping[str, Path], instrument_types: Collection[str] = ()
) -> list[ReferenceReport | CollateralReport]:
    """Loads files of several kinds, by kind, agreements before their balances; see the functions above."""
    reports: list[ReferenceReport | CollateralReport] = []
    for kind, path in sorted(files.items()):
        if kind == "agreements":
            reports.append(ingest_agreements(committer, path, instrument_types))
        else:
            reports.append(_INGEST[kind](committer, path))
    return reports


# --- counterparties ---------------------------------------------------------------------------------------------------

_COUNTERPARTIES = EffectiveFile(
    "counterparties",
    "counterparties",
    {
        "counterparty": _NEEDED,
        **DATES,
        "sector": LandedField(required=True, allowed=SECTORS),
        "rating": LandedField(required=True, allowed=RATINGS),
        "region": _TEXT,
        "group": _TEXT,
        "credit_class": LandedField(allowed=CREDIT_CLASSES),
        "pd": _FRACTION,
        "lgd": _FRACTION,
        "sales_million_eur": _AMOUNT,
        "large_financial": _NO,
        "credit_curve": _TEXT,
        "recovery": _FRACTION,
    },
    item="counterparty",
)

# --- agreements -------------------------------------------------------------------------------------------------------

_TERMS_OF_MARGIN = (
    "threshold",
    "threshold_own",
    "minimum_transfer_amount",
    "margin_period_days",
    "margin_frequency_days",
)


def _check_agreement(landed: LandedRows, row: Row) -> None:
    """What a margined agreement needs, and what one that is not has none of; an amount that is not exchanged is 0."""
    line, margined = row["line"], row["margined"]
    if (row["agreement"] or "").startswith(ALONE):
        landed.fault(
            line,
            "agreement",
            f"{ALONE} begins the netting set of a trade without an agreement; use another id",
            row["agreement"],
        )
    if row["two_way"] is None:
        row["two_way"] = bool(margined)
    if margined:
        needed = (
            "threshold",
            "minimum_transfer_amount",
            "margin_period_days",
            *(("threshold_own",) if row["two_way"] else ()),
        )
        told = {i.pointer for _, i in landed.issues}
        for name in needed:
            if row[name] is None and f"row {line}, column {landed.own.get(name, name)}" not in told:
                landed.fault(line, name, f"{name} is empty; a margined agreement has one")
        if not row["two_way"] and row["threshold_own"]:
            landed.fault(
                line,
                "threshold_own",
                "we post nothing under an agreement that is not two-way; leave it empty",
                row["threshold_own"],
            )
        row["margin_frequency_days"] = row["margin_frequency_days"] or 1
    elif margined is not None:
        for name in _TERMS_OF_MARGIN:
            if row[name]:
                landed.fault(
                    line, name, "is a term of margin, and the agreement is not margined; leave it empty", row[name]
                )
        if row["two_way"]:
            landed.fault(line, "two_way", "nobody posts variation margin where margined is false; leave it empty", True)
    for name in _TERMS_OF_MARGIN[:3]:
        row[name] = row[name] or 0.0
    if row["netting"] is False and margined:
        landed.fault(line, "netting", "a margined agreement without enforceable netting is none; expected true", False)


def _check_covers(landed: LandedRows, rows: list[Row]) -> None:
    """Of a counterparty and a legal entity one agreement covers an instrument type on a day."""
    for (counterparty, entity), several in by_item(rows, ("counterparty", "legal_entity")).items():
        for one, two in itertools.combinations(several, 2):
            if one["agreement"] == two["agreement"] or not overlap(one, two) or not ("line" in one or "line" in two):
                continue
            first, second = one["instrument_types"], two["instrument_types"]
            both = {*first} & {*second} if first and second else {*(first or second or ())}
            if both or not (first and second):
                at, other = (two, one) if "line" in two else (one, two)
                covered = ", ".join(sorted(both)[:5]) or "all instrument types"
                place = f"row {other['line']}" if "line" in other else "in the lake"
                landed.fault(
                    at["line"],
                    "agreement",
                    f"agreement {other['agreement']} ({place}) of {counterparty} and {entity} covers {covered} on the same days; a "
                    "trade has one: give them different instrument types or days",
                    at["agreement"],
                )


_AGREEMENTS = EffectiveFile(
    "agreements",
    "agreements",
    {
        "agreement": _NEEDED,
        "counterparty": _NEEDED,
        "legal_entity": _NEEDED,
        **DATES,
        "instrument_types": LandedField("list"),
        "netting": LandedField("flag", required=True),
        "margined": LandedField("flag", required=True),
        "two_way": LandedField("flag"),
        "threshold": _AMOUNT,
        "threshold_own": _AMOUNT,
        "minimum_transfer_amount": _AMOUNT,
        "independent_amount": LandedField("number", default=0.0),
        "initial_margin": LandedField("number", default=0.0),
        "currency": LandedField("currency", required=True),
        "margin_period_days": LandedField("whole", least=1, most=LONGEST_PERIOD),
        "margin_frequency_days": LandedField("whole", least=1, most=LONGEST_PERIOD),
        "disputed": _NO,
    },
    item="agreement",
    settled=dict.fromkeys(("counterparty", "legal_entity"), "give others an id of their own"),
    check=_check_agreement,
    together=_check_covers,
    noted=unknown_counterparties,
)

# --- classifications --------------------------------------------------------------------------------------------------

# what a name of a kind needs; it has the others of these columns or not
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "equity": ("sector", "capitalisation", "economy"),
    "index": ("capitalisation", "economy"),
    "issuer": ("sector", "rating"),
    "credit_index": ("rating",),
    "commodity": ("commodity_group", "commodity_type"),
    "currency": (),
}


def _check_classification(landed: LandedRows, row: Row) -> None:
    kind = row["kind"]
    if kind not in _NEEDS:
        return
    for name in _NEEDS[kind]:
        if row[name] is None and not _told(landed, row["line"], name):
            landed.fault(row["line"], name, f"{name} is empty; what is of kind {kind} has one")
    sectors = EQUITY_SECTORS if kind in ("equity", "index") else SECTORS
    if row["sector"] is not None and row["sector"] not in sectors:
        message = f"is no sector of kind {kind}; expected one of {', '.join(sectors)}"
        landed.fault(row["line"], "sector", message, row["sector"], sectors)
    ratings = (*RATINGS, *QUALITIES) if kind == "credit_index" else RATINGS
    if row["rating"] is not None and row["rating"] not in ratings:
        landed.fault(
            row["line"],
            "rating",
            f"is no rating of kind {kind}; expected one of {', '.join(ratings)}",
            row["rating"],
            ratings,
        )
    if row["covered"] and row["seniority"] not in (None, "covered"):
        landed.fault(
            row["line"], "seniority", "the issues are covered bonds; expected covered, or nothing", row["seniority"]
        )


def _told(landed: LandedRows, line: int, column: str) -> bool:
    place = f"row {line}, column {landed.own.get(column, column)}"
    return any(i.pointer == place for _, i in landed.issues)


_CLASSIFICATIONS = EffectiveFile(
    "classifications",
    "classifications",
    {
        "name": _NEEDED,
        **DATES,
        "kind": LandedField(required=True, allowed=CLASSIFIED),
        "sector": LandedField(allowed=tuple(dict.fromkeys((*SECTORS, *EQUITY_SECTORS)))),
        "rating": LandedField(allowed=(*RATINGS, *QUALITIES)),
        "capitalisation": LandedField(allowed=CAPITALISATIONS),
        "economy": LandedField(allowed=ECONOMIES),
        "commodity_group": LandedField(allowed=COMMODITY_GROUPS),
        "commodity_type": _TEXT,
        "seniority": LandedField(allowed=SENIORITIES),
        "covered": _NO,
    },
    item="name",
    check=_check_classification,
)

# --- collateral -------------------------------------------------------------------------------------------------------

_COLLATERAL = {
    "as_of_date": LandedField("date", required=True),
    "agreement": _NEEDED,
    "kind": LandedField(required=True, allowed=COLLATERAL_KINDS),
    "amount": LandedField("number", required=True),
    "currency": LandedField("currency", required=True),
    "segregated": _NO,
}
_KEY = COLLATERAL.key


@dataclass(frozen=True)
class CollateralReport:
    """What became of a file: rows `read` = `new` + `unchanged`; `replaced` are rows of the lake that went. notes : agreements that the
    lake does not hold on the day; their balances count once it does."""

    path: str
    read: int
    new: int
    unchanged: int
    replaced: int
    first: dt.date
    last: dt.date
    version: int
    notes: tuple[str, ...] = ()
    mapping: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ingest_collateral(
    committer: Committer, path: str | Path, *, replace_dates: bool = False, mapping: FileMapping | None = None
) -> CollateralReport:
    """Loads a file of balances of collateral (docs/counterparties.md).

    A balance that is in the lake already is left; one with another amount is refused, unless with `replace_dates` the days of the file
    become exactly the file. Raises `BadInput` with every fault by row.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"There is no file of collateral {path}.")
    landed = read_landed(path, "collateral", _COLLATERAL, mapping)
    landed.raise_any()
    seen: dict[tuple[Any, ...], int] = {}
    for row in landed.rows:
        first = seen.setdefault(_key(row), row["line"])
        if first != row["line"]:
            message = f"row {first} has a balance of this day, kind, currency and segregation already; give their sum"
            landed.fault(row["line"], "agreement", message, row["agreement"])
    days = {r["as_of_date"] for r in landed.rows}
    before = {_key(r): r for r in committer.lake.whole().read("collateral", among={"as_of_date": days}).to_pylist()}
    if not replace_dates:
        for row in landed.rows:
            there = before.get(_key(row))
            if there is not None and there["amount"] != row["amount"]:
                message = f"the lake has {there['amount']:,} of it; where dates are replaced, the days of the file become exactly the file"
                landed.fault(row["line"], "amount", message, row["amount"])
    landed.raise_any()
    rows = {_key(r): {c: r[c] for c in COLLATERAL.schema.names} for r in landed.rows}
    unchanged = sum(before.get(k) == r for k, r in rows.items())
    gone = len(before) - unchanged if replace_dates else 0
    version, by = committer.lake.version("collateral"), None if mapping is None else mapping.digest()
    if unchanged < len(rows) or gone:
        after = rows if replace_dates else {**before, **rows}
        table = pa.Table.from_pylist([after[k] for k in sorted(after)], schema=COLLATERAL.schema)
        note = {"collateral_file": path.name, **({} if by is None else {"mapping": by})}
        version = committer.put("collateral", table, replace=True, note=note)
    return CollateralReport(
        str(path),
        len(rows),
        len(rows) - unchanged,
        unchanged,
        gone,
        min(days),
        max(days),
        version,
        _without_agreement(committer, landed.rows),
        by,
    )


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[k] for k in _KEY)


def _without_agreement(committer: Committer, rows: list[Row]) -> tuple[str, ...]:
    """Says which balances are of agreements that the lake does not hold on their day."""
    held = by_item(committer.lake.whole().read("agreements").to_pylist(), ("agreement",))
    absent = {
        r["agreement"]
        for r in rows
        if not any(
            a["effective_from"] <= r["as_of_date"]
            and (a["effective_to"] is None or r["as_of_date"] <= a["effective_to"])
            for a in held.get((r["agreement"],), ())
        )
    }
    if not absent:
        return ()
    told = of_the_file(sorted(absent), "agreement")
    return (
        f"{told} are not in the lake on the day; their balances count once agreements with these ids are brought in.",
    )


_INGEST: Mapping[str, Callable[[Committer, Path], ReferenceReport | CollateralReport]] = {
    "counterparties": ingest_counterparties,
    "classifications": ingest_classifications,
    "collateral": ingest_collateral,
}
