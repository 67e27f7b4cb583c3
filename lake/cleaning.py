"""What can be removed from a lake: what killed processes left, and files that only versions hold which nobody needs any more.

Nothing goes under a reader. A question reads the versions that it pinned when it began, and needs no right to write, so that no lease of
its could be seen; but it ends. So files go by age: they are planned when no new question can name them, and removed a grace time later.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake.canonical import canonical_json, kept_json
from lake.errors import BadInput, Conflict, NotFound
from lake.leftovers import leftovers
from lake.schemas import TABLES
from lake.storage import REMOVED, remove_durable, removed_files, write_durable
from lake.tables import NEVER_WRITTEN, Lake

CLEANER = "varlake lake clean"  # as which a cleaning holds the lake
REPLACED = "a data file that only earlier versions hold"


@dataclass(frozen=True)
class Removal:
    """A file or folder that can go. path : relative to the lake. size : bytes."""

    path: str
    what: str
    why: str
    size: int


def removable(
    lake: Lake, untouched_hours: float, versions_before: dt.datetime | None, pinned: Mapping[str, Collection[int]]
) -> list[Removal]:
    """What can go: leftovers that were not touched for so long and, where a moment is given, files replaced before it.

    pinned : versions of tables that are to stay whole.
    """
    found = [
        Removal(f.path, f.what, f"not touched for {f.age / 3600:,.0f} hours", f.size)
        for f in leftovers(lake, untouched_hours * 3600)
    ]
    if versions_before is not None:
        for name in TABLES:
            found += _replaced(lake, name, versions_before, pinned.get(name, ()))
    return found


def remove_files(lake: Lake, files: Collection[Removal], now: dt.datetime) -> None:
    """Removes files and folders; data files are first recorded, so that they are not missed as damage. The caller holds the lake."""
    replaced = {f.path: now.date().isoformat() for f in files if f.what == REPLACED}
    if replaced:
        known = {**removed_files(lake.path), **replaced}
        write_durable(lake.path / REMOVED, canonical_json(known).encode(), replace=True)
    for file in files:
        remove_durable(lake.path / file.path)


def _replaced(lake: Lake, name: str, before: dt.datetime, pinned: Collection[int]) -> Iterator[Removal]:
    """The data files of a table that no version holds which lived at that moment or later, or is pinned."""
    needed, replaced = set[str](), dict[str, tuple[int, dt.datetime]]()
    for path, first, end, ended_at in lake.log(name).lives() or ():
        if end is None or ended_at is None or ended_at >= before or any(first <= v < end for v in pinned):
            needed.add(path)
        else:
            replaced[path] = (end, ended_at)
    for path in sorted(replaced.keys() - needed):
        place = lake.path / name / path
        if place.is_file():
            end, ended_at = replaced[path]
            why = (
                f"replaced by version {end} on {ended_at:%Y-%m-%d}, and no pinned receipt names a version that holds it"
            )
            yield Removal(f"{name}/{path}", REPLACED, why, place.stat().st_size)


# pins: receipts whose replay is to stay possible


def pins(lake: Lake) -> dict[str, Mapping[str, Any]]:
    """The pinned receipts by their digest: file, pinned_at, receipt."""
    return {p.stem: json.loads(p.read_bytes()) for p in sorted(_folder(lake).glob("*.json"))}


def pin(lake: Lake, file: Path) -> str:
    """Pins the receipt in a file, of an answer or alone, and returns its digest.

    Raises `BadInput` where there is none, `Conflict` while a cleaning is at work, which looked at the pins before.
    """
    told, receipt = _read_receipt(file)
    if CLEANER in (holder := lake.written_by() or ""):
        raise Conflict(f"The lake is being cleaned by {holder}. Pin the receipt once it is done.")
    found = {"file": file.name, "pinned_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "receipt": receipt}
    with lake.trail.acting("pin", {"file": file.name, "receipt": told}):
        write_durable(_folder(lake) / f"{told}.json", canonical_json(found).encode(), replace=True)
    return told


def unpin(lake: Lake, receipt_digest: str) -> None:
    """Takes a pin away; raises `NotFound` where there is none."""
    known = pins(lake)
    if receipt_digest not in known:
        raise NotFound(f"No receipt {receipt_digest} is pinned. Pinned: {', '.join(known) or 'none'}.")
    with lake.trail.acting("unpin", {"receipt": receipt_digest}):
        remove_durable(_folder(lake) / f"{receipt_digest}.json")


def _read_receipt(file: Path) -> tuple[str, Mapping[str, Any]]:
    """The digest and the receipt of a file, of an answer or alone."""
    found = kept_json(file)
    receipt = found.get("receipt", found) if isinstance(found, dict) else None
    told = receipt.get("receipt_digest") if isinstance(receipt, dict) else None
    if not (
        isinstance(receipt, dict) and isinstance(told, str) and told.isalnum() and _named(receipt, "table_versions")
    ):
        raise BadInput(f"There is no receipt in {file}. Give an answer of `varlake var --json`, or its receipt.")
    return told, receipt


def pinned_versions(lake: Lake) -> dict[str, set[int]]:
    """Versions of tables that pinned receipts name."""
    out: dict[str, set[int]] = {name: set() for name in TABLES}
    for kept in pins(lake).values():
        named = [*_named(kept["receipt"], "table_versions")]
        named += [{"market_data": v} for v in _named(kept["receipt"], "market_data_version")]
        for versions in named:
            for name, version in versions.items() if isinstance(versions, Mapping) else ():
                if name in out and isinstance(version, int) and version > NEVER_WRITTEN:
                    out[name].add(version)
    return out


def pinned_sets(lake: Lake) -> set[str]:
    """Ids of the valuation sets that pinned receipts name."""
    return {str(v) for kept in pins(lake).values() for v in _named(kept["receipt"], "valuation_set_id")}


def _named(receipt: Any, key: str) -> list[Any]:
    """What stands under a key anywhere in a receipt."""
    if isinstance(receipt, Mapping):
        own = [receipt[key]] if receipt.get(key) is not None else []
        return own + [found for value in receipt.values() for found in _named(value, key)]
    return [found for value in receipt for found in _named(value, key)] if isinstance(receipt, list) else []


def _folder(lake: Lake) -> Path:
    return lake.state / "pins"
