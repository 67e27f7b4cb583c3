"""The audit trail held to its own digests and to the logs of the tables: whether it is whole, and where it is first broken."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from lake.audit import ACT_NAMES, BEGINNING, NOTE, START, Trail, sound
from lake.dates import Day
from lake.errors import BadInput, Issue, NotFound, counted, unknown
from lake.schemas import INSTANT, TABLES
from lake.tables import Lake
from lake.versions import commits


@dataclass(frozen=True)
class TrailVerdict:
    """entries : how many were read, up to the first fault. head : number and digest of the newest, to be kept elsewhere. fault : the
    first place where the trail is broken; None where it holds. notes : what is no fault and has to be known."""

    entries: int
    head: str | None
    fault: str | None
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return self.fault is None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "holds": self.holds,
            "entries": self.entries,
            "head": self.head,
            "fault": self.fault,
            "notes": list(self.notes),
        }


def verify_trail(lake: Lake, head: str | None = None) -> TrailVerdict:
    """Every entry of a lake's trail, and every commit to a table since it began.

    head : number and digest of an entry as they were kept elsewhere, `12:3f...`; without one a trail that was cut off at its end, or
    written anew as a whole, is found only where a table was written since. Raises `BadInput` for a head that is none.
    """
    made = {name: _acts_of_versions(lake, name) for name in TABLES}  # first: what has a commit has an entry already
    verdict = verify_lines(list(lake.trail.lines()), head)
    if not verdict.holds:
        return verdict
    fault, notes = _against_commits(lake, made)
    if lake.trail.has_torn_end():
        notes.append(
            "The last line has no end: it is being written, or its process was killed and the next act removes it."
        )
    return replace(verdict, fault=fault, notes=tuple(notes))


def verify_file(path: Path, head: str | None = None) -> TrailVerdict:
    """A trail that was exported, by itself; raises `NotFound` where the file cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from None
    return verify_lines(data.splitlines(), head)


def verify_lines(lines: Sequence[bytes], head: str | None = None) -> TrailVerdict:
    """The lines of a trail: each as it was written, numbered one after the other, and chained to the one before."""
    wanted = None if head is None else _read_head(head)
    before, found = START, ""
    for number, line in enumerate(lines, 1):
        entry = sound(line)
        fault = f"line {number} was changed: its digest is not that of its text" if entry is None else None
        if entry is not None and (entry["sequence"], entry["before"]) != (number, before):
            fault = _misplaced(lines, number, entry)
        elif entry is not None and wanted is not None and number == wanted[0] and entry["digest"] != wanted[1]:
            fault = (
                f"entry {number} is not the one whose digest was kept elsewhere: it, or one before it, was written anew"
            )
        if entry is None or fault is not None:
            return TrailVerdict(number - 1, found or None, f"The trail is broken at line {number}: {fault}.")
        before, found = entry["digest"], f"{number}:{entry['digest']}"
    if wanted is not None and wanted[0] > len(lines):
        fault = f"The trail ends with entry {len(lines)}, and entry {wanted[0]} was kept elsewhere: it was cut off at its end."
        return TrailVerdict(len(lines), found or None, fault)
    return TrailVerdict(len(lines), found or None, None)


def _misplaced(lines: Sequence[bytes], number: int, entry: Mapping[str, Any]) -> str:
    """Why a sound entry does not belong where it stands."""
    sequence = int(entry["sequence"])
    if sequence == number:
        return f"entry {number} does not follow the one before it: entry {number - 1} was replaced, or this one was"
    others = [e["sequence"] for line in lines[number:] if (e := sound(line)) is not None]
    if sequence < number:
        return f"entry {sequence} was inserted, or stands there again"
    if number in others:
        return f"entry {sequence} stands there, and entry {number} later: they were reordered"
    last = sequence - 1
    return f"entry {number} was removed" if last == number else f"entries {number} to {last} were removed"


def _acts_of_versions(lake: Lake, name: str) -> dict[int, int]:
    """By version of a table the act that made it; 0 where its commit names none."""
    return {c.version: int(c.about.get(NOTE, 0)) for c in commits(lake, name)}


def _against_commits(lake: Lake, made: Mapping[str, Mapping[int, int]]) -> tuple[str | None, list[str]]:
    """Where the trail and the logs of the tables first tell different things, and what is to be known of them."""
    told: dict[tuple[str, int], int] = {}
    began: dict[str, int] = {}
    last, still = 0, set[int]()
    for entry in lake.trail.entries():
        last = entry["sequence"]
        still = {int(n) for n in entry["open"]}
        tables = entry.get("led_to", {}).get("tables", {})
        if entry["act"] == BEGINNING:
            began = tables
        else:
            told |= {(name, version): entry["begun"] for name, versions in tables.items() for version in versions}
    if last == 0 and not any(n for acts in made.values() for n in acts.values()):
        return None, ["The trail has not begun: nothing was done to the lake since there are trails."]
    earlier = [n for name, acts in made.items() for v, n in acts.items() if v <= began.get(name, -1)]
    notes = [f"{counted(len(earlier), 'version')} of tables had been made when the trail began."] if earlier else []
    if any(earlier):
        notes.append(f"An earlier trail, up to act {max(earlier)} or later, was moved away or lost.")
    for name, acts in made.items():
        for version, number in acts.items():
            place = f"version {version} of the table {name}"
            if version <= began.get(name, -1):
                continue
            if number == 0:
                return f"No entry of the trail belongs to {place}: it was committed by another program.", notes
            if number > last:
                return (
                    f"The trail ends with entry {last}, and act {number} made {place}: it was cut off at its end.",
                    notes,
                )
            if told.get((name, version)) != number and number not in still:
                return f"Act {number} made {place}, and its outcome does not tell of it.", notes
    for (name, version), number in told.items():
        if version not in made[name] and version not in _acts_of_versions(lake, name):  # or committed since
            return f"Act {number} tells of version {version} of the table {name}, which is not there.", notes
    return None, notes


def _read_head(head: str) -> tuple[int, str]:
    number, _, told = head.strip().partition(":")
    if not number.isdecimal() or int(number) < 1 or len(told) != 64 or not set(told) <= set("0123456789abcdef"):
        message = (
            "expected the number and the digest of an entry as `varlake audit verify` prints them, such as 12:3f09..."
        )
        raise BadInput(f"{head[:80]!r} is no head of a trail: {message}", issues=(Issue("/head", message, head[:80]),))
    return int(number), told


class ActFilter(BaseModel):
    """Which acts are listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actor: str | None = Field(None, description="only acts of this user")
    act: str | None = Field(None, description="only acts of this kind, such as ingest or standard")
    table: str | None = Field(None, description="only acts that made a version of this table")
    outcome: Literal["open", "done", "failed", "cancelled", "killed"] | None = Field(
        None, description="only acts that ended so: done, failed, cancelled, killed, or open ones"
    )
    first: Day | None = Field(None, description="only acts that began on this day (UTC) or later")
    last: Day | None = Field(None, description="only acts that began on this day (UTC) or earlier")


@dataclass(frozen=True)
class RecordedAct:
    """An act as the trail tells it. number : of its first entry. outcome : open where it has none yet. asked : the request, without what
    is long in it. about : what else its first entry says, such as the id of the job. tables : the versions it made."""

    number: int
    began_at: dt.datetime
    ended_at: dt.datetime | None
    actor: str
    account: str
    act: str
    outcome: str
    asked: Mapping[str, Any]
    asked_digest: str | None
    about: Mapping[str, Any]
    tables: Mapping[str, Sequence[int]]
    led_to: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """As a row of a table, of texts."""
        tables = [f"{name}@{v}" for name, versions in self.tables.items() for v in versions]
        return {
            "number": self.number,
            "began_at": self.began_at,
            "ended_at": self.ended_at,
            "actor": self.actor,
            "account": self.account,
            "act": self.act,
            "about": " ".join(f"{k}={v}" for k, v in self.about.items()),
            "outcome": self.outcome,
            "tables": " ".join(tables),
            "error": self.led_to.get("error"),
        }


_OWN = (
    *("sequence", "at", "actor", "account", "act", "phase", "begun"),
    *("asked", "asked_digest", "led_to", "open", "before", "digest"),
)  # fields of an entry; what else stands in its first one is about this act


def recorded_acts(trail: Trail, wanted: ActFilter | None = None) -> list[RecordedAct]:
    """The acts that the filter leaves, oldest first; raises `BadInput` for unknown names, `Damaged` for a line that is no entry."""
    wanted = wanted or ActFilter()
    begun: dict[int, dict[str, Any]] = {}
    ended: dict[int, dict[str, Any]] = {}
    for entry in trail.entries():
        (ended if entry["phase"] != "begun" and entry["begun"] else begun)[entry["begun"] or entry["sequence"]] = entry
    pairs = [(first, ended.get(number)) for number, first in begun.items()]
    for name, value, known in (
        ("actor", wanted.actor, {first["actor"] for first, _ in pairs}),
        ("act", wanted.act, {*ACT_NAMES, *(first["act"] for first, _ in pairs)}),
        ("table", wanted.table, set(TABLES)),
    ):
        if value is not None and value not in known:
            raise unknown(name, value, known, pointer=f"/{name}")
    return [_recorded(first, last) for first, last in pairs if _is_wanted(wanted, first, last)]


def _is_wanted(wanted: ActFilter, first: Mapping[str, Any], last: Mapping[str, Any] | None) -> bool:
    day = first["at"][:10]
    return (
        wanted.actor in (None, first["actor"])
        and wanted.act in (None, first["act"])
        and wanted.outcome in (None, _outcome(first, last))
        and (wanted.table is None or wanted.table in (last or first).get("led_to", {}).get("tables", {}))
        and (wanted.first is None or day >= wanted.first.isoformat())
        and (wanted.last is None or day <= wanted.last.isoformat())
    )


def _outcome(first: Mapping[str, Any], last: Mapping[str, Any] | None) -> str:
    phase: str = (last or first)["phase"]
    return "open" if phase == "begun" else phase


ACTS = pa.schema(
    [
        ("number", pa.int64()),
        ("began_at", INSTANT),
        ("ended_at", INSTANT),
        *((name, pa.string()) for name in ("actor", "account", "act", "about", "outcome", "tables", "error")),
    ]
)


def acts_table(acts: Sequence[RecordedAct]) -> pa.Table:
    """A row an act."""
    return pa.Table.from_pylist([a.row() for a in acts], ACTS)


def recorded_act(trail: Trail, number: int) -> tuple[RecordedAct, list[dict[str, Any]]]:
    """An act, and its entries as they stand in the trail; raises `NotFound` for a number that no entry has."""
    entries = list(trail.entries())
    if not 1 <= number <= len(entries):
        many = counted(len(entries), "entry", "entries")
        raise NotFound(f"There is no entry {number}; the trail has {many}. `varlake audit list` shows the acts.")
    first = entries[number - 1]["begun"] or number
    own = [e for e in entries if first in (e["sequence"], e["begun"])]
    return _recorded(own[0], own[1] if len(own) > 1 else None), own


def _recorded(first: Mapping[str, Any], last: Mapping[str, Any] | None) -> RecordedAct:
    led_to = (last or first).get("led_to", {})
    over = last or (first if first["phase"] != "begun" else None)
    return RecordedAct(
        number=first["sequence"],
        began_at=dt.datetime.fromisoformat(first["at"]),
        ended_at=None if over is None else dt.datetime.fromisoformat(over["at"]),
        actor=first["actor"],
        account=first["account"],
        act=first["act"],
        outcome=_outcome(first, last),
        asked=first.get("asked", {}),
        asked_digest=first.get("asked_digest"),
        about={k: v for k, v in first.items() if k not in _OWN},
        tables={n: [v] if isinstance(v, int) else v for n, v in led_to.get("tables", {}).items()},
        led_to={k: v for k, v in led_to.items() if k != "tables"},
    )
