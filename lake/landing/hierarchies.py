"""Hierarchies in: a CSV file of parents over dates, checked as a whole and put in place of what the lake has.

A hierarchy is a chain of levels: `desk` to `division` to `region`, say. The lowest level is a dimension of positions, every
level above is a new one. A fault anywhere in the file leaves the lake as it is.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.committer import Committer
from lake.errors import BadInput, Issue, unknown
from lake.landing.mapping import FileMapping, canonical
from lake.landing.rows import NO_NAME, cell_place, is_no_name, refuse_whole
from lake.landing.sheet import read_sheet
from lake.schemas import DIMENSION_COLUMNS, HIERARCHIES, UNASSIGNED
from lake.words import first_of

ATTRIBUTE = "attribute."
COLUMNS = tuple(c.name for c in HIERARCHIES.columns)
_MAY_BE_EMPTY = ("effective_to",)
_LEVEL = re.compile(r"[a-z][a-z0-9_]{0,63}")

Row = dict[str, Any]


@dataclass(frozen=True)
class HierarchiesReport:
    """What a file did: `hierarchies` has a row each (hierarchy, levels from the lowest, rows, new, removed, unchanged).

    `notes` names what is probably not meant: parents that have no parent themselves on the level above.
    """

    path: str
    hierarchies: tuple[Mapping[str, Any], ...]
    version: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "hierarchies": [dict(h) for h in self.hierarchies], "notes": list(self.notes)}


class _HierarchyFaults:
    """Everything wrong with the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.issues: list[Issue] = []
        self.own: Mapping[str, str] = {}  # the file's names of our columns
        self._told: set[tuple[int, str]] = set()

    def add(self, line: int, column: str, message: str, value: str | None = None) -> None:
        """A fault of one cell; of a cell that the mapping could not read nothing more is told."""
        column = self.own.get(column, column)
        if (line, column) in self._told:
            return
        self.issues.append(Issue(cell_place(self.path, line, column), message, value))

    def unread(self, line: int, column: str, message: str, value: str | None) -> None:
        """A fault of a cell that the mapping could not read."""
        self.add(line, column, message, value)
        self._told.add((line, column))

    def raise_any(self) -> None:
        refuse_whole(self.path.name, self.issues)


def ingest_hierarchies(
    committer: Committer, path: str | Path, reserved: Collection[str] = (), *, mapping: FileMapping | None = None
) -> HierarchiesReport:
    """Makes every hierarchy of the file exactly the file's rows; other hierarchies stay, and so does the table's history.

    The file holds the whole history of a hierarchy: rows that were there before and are not in it are gone from the newest
    version. `reserved` are names no level may have; `mapping` says how a file with columns of its own is read. Raises `BadInput`
    with every fault: empty cells, bad dates, levels that do not chain or turn in a circle, names already in use, two parents on
    one day.
    """
    path = Path(path)
    faults = _HierarchyFaults(path)
    rows = _read(path, faults, mapping)
    faults.raise_any()
    before = committer.lake.read("hierarchies").to_pylist()
    named = {r["hierarchy"] for r in rows}
    others = {r["parent_level"]: r["hierarchy"] for r in before if r["hierarchy"] not in named}
    chains = _chains(rows, {**dict.fromkeys(reserved, ""), **others}, faults)
    _check_parents(rows, faults)
    faults.raise_any()
    plain = [{c: r[c] for c in COLUMNS} for r in rows]
    order = sorted(plain, key=lambda r: tuple(r[c] for c in HIERARCHIES.key))
    version = committer.put(
        "hierarchies",
        pa.Table.from_pylist(order, schema=HIERARCHIES.schema),
        replace=True,
        note={"hierarchy_file": path.name, **({} if mapping is None else {"mapping": mapping.digest()})},
    )
    counts = []
    for name, levels in chains.items():
        now, was = ({tuple(r.values()) for r in some if r["hierarchy"] == name} for some in (plain, before))
        counts.append(
            {
                "hierarchy": name,
                "levels": list(levels),
                "rows": len(now),
                "new": len(now - was),
                "removed": len(was - now),
                "unchanged": len(now & was),
            }
        )
    return HierarchiesReport(str(path), tuple(counts), version, _orphans(plain))


def _read(path: Path, faults: _HierarchyFaults, mapping: FileMapping | None) -> list[Row]:
    """The rows with their dates read, each with its `line`; the header is line 1."""
    sheet = read_sheet(path, None if mapping is None else mapping.dialect)
    done = canonical(sheet, mapping, dict.fromkeys(("effective_from", "effective_to"), "date"))
    names = sheet.header if mapping is None else [*done.columns]
    issues = [
        *done.issues,
        *(i for n in names if n not in COLUMNS for i in unknown(f"column of {path.name}", n, COLUMNS).issues),
    ]
    if issues:
        raise BadInput(" ".join(i.message for i in issues), issues=issues)
    lacking = [c for c in COLUMNS if names.count(c) != 1]
    if lacking:
        raise BadInput(f"{path.name} needs each of these columns once: {', '.join(COLUMNS)}; see {', '.join(lacking)}.")
    for line, _, reason in sheet.uneven:
        faults.add(line, "1", f"found {reason}.")
    for places, column, cells, reason in done.faults:
        for i, cell in zip(places.tolist(), cells.to_pylist(), strict=True):
            faults.unread(int(done.lines[i]), column, f"found {cell!r}, {reason}.", cell)
    faults.own = done.own
    rows: list[Row] = []
    texts = [done.columns[c].to_pylist() for c in COLUMNS]
    for line, *cells in zip(done.lines.tolist(), *texts, strict=True):
        row: Row = {**{c: cell or "" for c, cell in zip(COLUMNS, cells, strict=True)}, "line": line}
        _check_cells(row, faults)
        rows.append(row)
    if not rows and not faults.issues:
        raise BadInput(f"{path.name} has no row below its header.")
    return rows


def _check_cells(row: Row, faults: _HierarchyFaults) -> None:
    for column in COLUMNS:
        if not row[column] and column not in _MAY_BE_EMPTY:
            faults.add(row["line"], column, "is empty and must be filled in.")
        if is_no_name(row[column]):
            faults.add(row["line"], column, f"{NO_NAME}.", ascii(row[column]))
    for column in ("effective_from", "effective_to"):
        given = row[column]
        try:
            row[column] = dt.date.fromisoformat(given) if given else None
        except ValueError:
            row[column] = None
            faults.add(row["line"], column, f"found {given!r}, expected a date such as 2020-03-16.", given)
    first, last = row["effective_from"], row["effective_to"]
    if first and last and last < first:
        faults.add(row["line"], "effective_to", f"{last} is before effective_from, {first}.", str(last))
    for column in ("member", "parent"):
        if row[column] == UNASSIGNED:
            faults.add(row["line"], column, f"{UNASSIGNED!r} is the name for what has no parent; leave the row out.")


def _chains(rows: list[Row], taken: Mapping[str, str], faults: _HierarchyFaults) -> dict[str, tuple[str, ...]]:
    """The levels of each hierarchy, lowest first; adds what is wrong with them to `faults`."""
    by_hierarchy: dict[str, dict[str, Row]] = defaultdict(dict)
    used = dict(taken)
    for row in rows:
        links = by_hierarchy[row["hierarchy"]]
        first = links.setdefault(row["level"], row)
        if first["parent_level"] != row["parent_level"]:
            faults.add(
                row["line"],
                "parent_level",
                f"level {row['level']} has parents on {row['parent_level']} here and on {first['parent_level']} in line "
                f"{first['line']}; a level has one level above.",
                row["parent_level"],
            )
    chains = {}
    for name, links in by_hierarchy.items():
        below: dict[str, Row] = {}
        for row in links.values():
            upper, line = row["parent_level"], row["line"]
            if upper in below:
                faults.add(
                    line, "parent_level", f"{upper} is above {row['level']} and {below[upper]['level']} at once."
                )
            below.setdefault(upper, row)
            if not _LEVEL.fullmatch(upper):
                faults.add(line, "parent_level", f"{upper!r} is no name of a level; use a-z, 0-9 and _.", upper)
            elif upper in used and used[upper] != name:
                whose = f"a level of hierarchy {used[upper]}" if used[upper] else "a column of answers already"
                faults.add(line, "parent_level", f"{upper} is {whose}; give the level another name.", upper)
            used.setdefault(upper, name)
        lowest = [level for level in links if level not in below]
        chain = [*lowest[:1]]
        while chain and chain[-1] in links and len(chain) <= len(links):
            chain.append(links[chain[-1]]["parent_level"])
        if len(lowest) != 1 or len(chain) != len(links) + 1:
            levels = ", ".join(f"{level} under {row['parent_level']}" for level, row in links.items())
            line = next(iter(links.values()))["line"]
            faults.add(line, "level", f"the levels of {name} turn in a circle or do not form one chain: {levels}.")
            continue
        if not _is_dimension(lowest[0]):
            error = unknown("dimension", lowest[0], (*DIMENSION_COLUMNS, "instrument_type", "currency"))
            line = links[lowest[0]]["line"]
            faults.add(line, "level", f"the lowest level is a dimension of positions. {error.message}", lowest[0])
        chains[name] = tuple(chain)
    return chains


def _is_dimension(level: str) -> bool:
    return level in (*DIMENSION_COLUMNS, "instrument_type", "currency") or level.startswith(ATTRIBUTE)


def _check_parents(rows: list[Row], faults: _HierarchyFaults) -> None:
    """A member has one parent on a day."""
    members: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        members[row["hierarchy"], row["level"], row["member"]].append(row)
    for (_, _, member), several in members.items():
        several.sort(key=lambda r: r["effective_from"])
        for one, two in itertools.pairwise(several):
            if one["effective_to"] is None or two["effective_from"] <= one["effective_to"]:
                until = one["effective_to"] or "now on"
                faults.add(
                    two["line"],
                    "effective_from",
                    f"{member} is under {two['parent']} from {two['effective_from']}, and under {one['parent']} from "
                    f"{one['effective_from']} to {until} (line {one['line']}); end the one before the other begins.",
                    str(two["effective_from"]),
                )


def _orphans(rows: list[Row]) -> tuple[str, ...]:
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    parents: dict[tuple[str, str], set[str]] = defaultdict(set)
    for r in rows:
        members[r["hierarchy"], r["level"]].add(r["member"])
        parents[r["hierarchy"], r["parent_level"]].add(r["parent"])
    notes = []
    for (hierarchy, level), names in sorted(parents.items()):
        alone = sorted(names - members[hierarchy, level]) if (hierarchy, level) in members else []
        if alone:
            notes.append(f"{hierarchy}: {first_of(alone)} on level {level} have no parent and are {UNASSIGNED}.")
    return tuple(notes)
