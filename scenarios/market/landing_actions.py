"""Corporate actions in: a file of actions checked against the market data, and put beside what the lake has; whole or not at all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from lake.committer import Committer
from lake.dates import day
from lake.errors import BadInput, NotFound, VarlakeError, unknown
from lake.landing.numbers import doubles
from lake.landing.text_rows import Cells, TextRows, read_text_rows
from lake.schemas import CORPORATE_ACTIONS
from lake.tables import Lake
from scenarios.market.corporate_actions import CANCELLED, KINDS, TABLE, CorporateAction, ratio_of, ratio_text
from scenarios.types import SHARES, FactorIndex, RiskFactor

COLUMNS = tuple(c for c in CORPORATE_ACTIONS.schema.names if c != "file")
_REQUIRED = ("risk_factor_id", "ex_date", "kind")

Row = dict[str, Any]


@dataclass(frozen=True)
class CorporateActionsReport:
    """What became of a file: rows `read` = new + changed + unchanged + cancelled. rules : of each action that is new or changed, the
    factor, the ex date, and what levels before it are multiplied by; None where there are none yet. notes : of its values that are held."""

    path: str
    read: int
    new: int
    changed: int
    unchanged: int
    cancelled: int
    actions: int
    version: int
    rules: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rules": [dict(r) for r in self.rules]}


def ingest_corporate_actions(committer: Committer, path: str | Path) -> CorporateActionsReport:
    """Loads a file of corporate actions (docs/market-data.md). A row replaces the lake's action of its factor and ex date; one of kind
    `cancelled` takes it away.

    Raises `BadInput` with every fault by row: unknown factors and kinds, what a kind needs and lacks, two actions of one factor on a day,
    an ex date on which the factor has no level though it has some around, an amount that is the whole price.
    """
    path, lake = Path(path), committer.lake
    file = read_text_rows(path, "corporate actions", COLUMNS, _REQUIRED)
    index = FactorIndex.of(
        RiskFactor.from_dict(r) for r in lake.read("risk_factors").to_pylist(maps_as_pydicts="strict")
    )
    if not index.factors:
        raise NotFound(
            "The lake holds no risk factors yet; bring market data in before the corporate actions of its shares."
        )
    stored = {(r["risk_factor_id"], r["ex_date"]): r for r in lake.read(TABLE).to_pylist()}
    given = _rows(file, index)
    levels = _Levels(lake, {factor for factor, _ in given})
    rules: list[Row] = []
    after, counts = dict(stored), dict.fromkeys(("new", "changed", "unchanged", "cancelled"), 0)
    for key, (number, row) in given.items():
        before = stored.get(key)
        if row["kind"] == CANCELLED:
            if before is None:
                days = sorted(str(d) for factor, d in stored if factor == key[0])
                known = f"it has some on {', '.join(days[:5])}" if days else "it has none"
                file.fault(number, "ex_date", f"the lake has no action of {key[0]} to cancel on {key[1]}; {known}")
            counts["cancelled"] += 1
            after.pop(key, None)
            continue
        if before is not None and {**before, "file": ""} == {**row, "file": ""}:
            counts["unchanged"] += 1
            continue
        counts["new" if before is None else "changed"] += 1
        after[key] = row
        rules.append(_rule(file, number, CorporateAction.from_row(row), levels))
    file.raise_any()
    version = lake.version(TABLE)
    if after != stored:
        table = pa.Table.from_pylist([after[k] for k in sorted(after)], schema=CORPORATE_ACTIONS.schema)
        version = committer.put(TABLE, table, replace=True, note={"corporate_actions": path.name})
    return CorporateActionsReport(
        str(path),
        len(file.rows),
        **counts,
        actions=len(after),
        version=version,
        rules=tuple(rules),
        notes=tuple(
            f"{factor} on {ex} is held as suspicious and not used: see `varlake market check`, and release it if its action explains it."
            for factor, ex in sorted(given)
            if ex in levels.held(factor)
        ),
    )


class _Levels:
    """The days on which each factor has a level, ascending, and the levels; None where it is held."""

    def __init__(self, lake: Lake, wanted: set[str]) -> None:
        some = ds.field("value_received").is_valid() | ds.field("value_used").is_valid()
        where = ds.field("risk_factor_id").isin(sorted(wanted)) & some
        rows = lake.read("market_data", ["as_of_date", "risk_factor_id", "value_used"], where).sort_by("as_of_date")
        self._of: dict[str, dict[dt.date, float | None]] = {factor: {} for factor in wanted}
        for row in rows.to_pylist():
            self._of[row["risk_factor_id"]][row["as_of_date"]] = row["value_used"]

    def days(self, factor: str) -> list[dt.date]:
        return [*self._of[factor]]

    def held(self, factor: str) -> set[dt.date]:
        return {d for d, level in self._of[factor].items() if level is None}

    def last_before(self, factor: str, day: dt.date) -> float | None:
        """The last level before the day that is used."""
        return next((v for d, v in reversed(self._of[factor].items()) if d < day and v is not None), None)


def _rule(file: TextRows, number: int, action: CorporateAction, levels: _Levels) -> Row:
    """What the action does to earlier levels; a fault where its day has none, or its amount is the whole price."""
    days, ex = levels.days(action.risk_factor_id), action.ex_date
    before, last = [d for d in days if d < ex], levels.last_before(action.risk_factor_id, ex)
    rule: Row = {"risk_factor_id": action.risk_factor_id, "ex_date": ex, "kind": action.kind, "factor": None}
    if days and days[0] < ex < days[-1] and ex not in days:
        near = [*before[-2:], *[d for d in days if d > ex][:2]]
        told = f"{action.risk_factor_id} has no level on {ex}, a {ex:%A}; nearest days with one: {', '.join(map(str, near))}"
        file.fault(number, "ex_date", told, str(ex))
    elif last is not None:
        try:
            rule["factor"] = action.price_factor(last)
        except BadInput as error:
            file.fault(number, "amount", error.message, f"{action.amount:g}")
    return rule


def _rows(file: TextRows, index: FactorIndex) -> dict[tuple[str, dt.date], tuple[int, Row]]:
    """Row number and row by factor and ex date; raises `BadInput` where some cannot be read."""
    found: dict[tuple[str, dt.date], tuple[int, Row]] = {}
    for number, cells in file:
        before = len(file.issues)
        row = _row(file, number, cells, index)
        if len(file.issues) > before:
            continue
        first, other = found.setdefault((row["risk_factor_id"], row["ex_date"]), (number, row))
        if other is not row:
            file.fault(
                number,
                "ex_date",
                f"row {first} has an action of {row['risk_factor_id']} on {row['ex_date']} already, {other['kind']}; which comes first "
                "cannot be known. State them as one, with the amounts added up, or a day apart",
                str(row["ex_date"]),
            )
    file.raise_any()
    return found


def _row(file: TextRows, number: int, cells: Cells, index: FactorIndex) -> Row:
    row: Row = {**cells, "ratio": None, "amount": None, "file": file.path.name}
    for name in _REQUIRED:
        if cells[name] is None:
            file.fault(number, name, f"{name} is empty; every corporate action has one")
    for name in ("risk_factor_id", "new_risk_factor_id"):
        try:
            index.require(cells[name] or index.factors[0].risk_factor_id)
        except VarlakeError as error:
            file.fault(number, name, error.message, cells[name])
    try:
        row["ex_date"] = day(cells["ex_date"] or "2020-03-16")
    except ValueError as error:
        file.fault(number, "ex_date", str(error), cells["ex_date"])
    kind = cells["kind"] or CANCELLED
    if kind == CANCELLED:
        return row
    if kind not in KINDS:
        file.fault(number, "kind", unknown("kind of corporate action", kind, (*KINDS, CANCELLED)).message, kind)
        return row
    said, share = KINDS[kind], index.row.get(cells["risk_factor_id"] or "")
    if share is not None and kind != "symbol_change" and (of := index.factors[share].type) not in SHARES:
        file.fault(number, "risk_factor_id", f"is of type {of}, and a {kind} is of a share", cells["risk_factor_id"])
    for name, needed in (("ratio", said.ratio), ("amount", said.amount), ("new_risk_factor_id", said.new)):
        if needed is not None and needed != (cells[name] is not None):
            state = "is empty and is needed" if needed else "must be empty"
            file.fault(number, name, f"{name} {state}: {kind} is {said.meaning}", cells[name])
    if kind == "merger" and (cells["ratio"] is None) != (cells["new_risk_factor_id"] is None):
        file.fault(
            number, "ratio", "a merger into shares needs both ratio and new_risk_factor_id; one for cash has neither"
        )
    elif kind == "merger" and cells["ratio"] is None and cells["amount"] is None:
        file.fault(number, "amount", f"neither ratio nor amount is given: {said.meaning}")
    if cells["new_risk_factor_id"] is not None and cells["new_risk_factor_id"] == cells["risk_factor_id"]:
        file.fault(number, "new_risk_factor_id", "is the share itself; name the other one", cells["new_risk_factor_id"])
    other = index.row.get(cells["new_risk_factor_id"] or "")
    if share is not None and other is not None and kind in ("merger", "symbol_change"):
        was, now = index.factors[share], index.factors[other]
        if was.type in SHARES and was.currency != now.currency:  # levels of the one are taken for those of the other
            told = (
                f"is in {now.currency}, and {was.risk_factor_id} in {was.currency}; expected a share in {was.currency}"
            )
            more = (
                "a merger into shares in another currency can be given as one for cash, with the new shares in the book"
            )
            file.fault(number, "new_risk_factor_id", f"{told}: {more}", cells["new_risk_factor_id"])
    if cells["ratio"] is not None:
        try:
            row["ratio"] = ratio_text(ratio_of(cells["ratio"]))
        except ValueError:
            file.fault(number, "ratio", "expected a ratio above zero, such as 4:1, 1:10 or 0.05", cells["ratio"])
    if cells["amount"] is not None:
        row["amount"] = doubles(pa.array([cells["amount"]]))[0].as_py()
        if row["amount"] is None or row["amount"] <= 0:
            file.fault(number, "amount", "expected an amount above zero, in the currency of the share", cells["amount"])
    return row
