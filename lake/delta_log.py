"""The log of a table, held to the digests that were recorded when its entries were committed.

The record is a file in the lake's state folder. An entry that is not recorded yet is not acknowledged yet: `settle` makes it
durable and records it; one that a loss of power has left without its end is no part of the log, and removed. Checkpoints only sum up
the entries: a table whose checkpoint is damaged is read from these.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, SchemaMismatchError

from lake.audit import NOTE
from lake.canonical import canonical_json, digest, file_digest
from lake.errors import Damaged, NotFound, disk_failed, of_disk
from lake.storage import check_file, make_folder, remove_durable, sync, write_durable
from lake.words import clause

ADDS = "adds"  # the note of a commit that says how many files it adds
_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet")


class Life(NamedTuple):
    """A data file, by its path in the table's folder, and the versions that hold it: from `first` on, before `end`."""

    path: str
    first: int
    end: int | None
    ended_at: dt.datetime | None


class DeltaLog:
    """The log of the table in `folder`; `record` is the file with the digests of its entries and checkpoints."""

    def __init__(self, folder: Path, record: Path) -> None:
        self.folder = folder
        self.log = folder / "_delta_log"
        self.record = record

    def is_begun(self) -> bool:
        """Whether there is anything of a log; if not, the table was never written."""
        return self.log.exists() or self.record.exists()

    def open(self, version: int | None = None, *, writing: bool = False) -> DeltaTable | None:
        """The table, at its newest version or the one given; None where it was never written.

        Raises `NotFound` for a version that is not there yet, `Damaged` with the file that is not as it was committed. Where a
        checkpoint is damaged the entries tell the same; a writer then removes the checkpoints. A writer needs the newest entry as well.
        """
        recorded = self._recorded()  # before the folder is listed: whatever is recorded was there already
        names = self._names()
        torn = self._torn(names, recorded)
        names -= torn
        entries = _by_version(_ENTRY, {*names, *recorded})
        if not entries:
            return None
        newest = max(entries)
        if version is not None and not 0 <= version <= newest:
            raise NotFound(f"The table {self.folder.name} has no version {version}; its newest is {newest}.")
        if torn:
            version = newest if version is None else version
        last = newest if version is None else version
        checkpoints = _by_version(_CHECKPOINT, names)
        since = max((v for v in checkpoints if v <= last), default=-1)
        if writing:  # what an act has made is looked up from the newest entry on; refused before it commits
            self._check(entries[last], recorded)
        with contextlib.suppress(Exception):  # whatever the library says of what it cannot read
            used = checkpoints.get(since, ())
            if recorded and not recorded.keys() >= {*used}:
                raise Damaged("Nothing says what a checkpoint that is not recorded held, and the entries say all.")
            self._check(used, recorded)
            self._check_entries(entries, since, last, recorded)
            return DeltaTable(str(self.folder), version=version)
        self._check_entries(entries, -1, last, recorded)
        try:
            if not writing:
                return self._from_entries(entries, last)
            for name in ("_last_checkpoint", *(n for files in checkpoints.values() for n in files)):
                remove_durable(self.log / name)
            return DeltaTable(str(self.folder), version=version)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise Damaged(
                f"The lake is damaged: the log {self.log} cannot be read: {reason}. Restore it from a copy."
            ) from None

    def _from_entries(self, entries: Mapping[int, list[str]], last: int) -> DeltaTable:
        """The table as its entries alone tell it. Nothing can be committed through it."""
        with tempfile.TemporaryDirectory() as place:
            log = Path(place) / "_delta_log"
            log.mkdir()
            for name in (n for v in range(last + 1) for n in entries[v]):
                (log / name).symlink_to(self.log / name)
            return DeltaTable(place)

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        """Around what the library writes. Where a file call fails it may say that there is no table, no path, or that a commit failed, and
        not why: that is told as `DiskFailed`."""
        try:
            yield
        except SchemaMismatchError:  # a fault of whoever made the rows
            raise
        except DeltaError as error:
            reason = clause(str(error).partition("\n")[0])
            raise of_disk(error) or disk_failed(f"the log {self.log}: {reason}") from error

    def settle(self) -> None:
        """Makes durable, then records, whatever is not recorded. For the writer alone."""
        recorded, names = self._recorded(), self._names()
        torn = self._torn(names, recorded)
        for name in sorted(torn, reverse=True):  # the last first, so that the log has no gap
            remove_durable(self.log / name)
        fresh = sorted(n for n in names - torn - recorded.keys() if _ENTRY.fullmatch(n) or _CHECKPOINT.fullmatch(n))
        if not fresh:
            return
        for name in fresh:
            sync(self.log / name)  # deltalake does not
        sync(self.log)
        for folder in (self.log, self.folder):
            make_folder(folder)
        self._write(recorded | {n: file_digest(self.log / n) for n in fresh})

    def begin(self) -> None:
        """To be called before the first entry is written: with a record, though empty, it is known that none is acknowledged."""
        if not self.record.exists() and not self._names():
            self._write({})

    def _write(self, files: Mapping[str, str]) -> None:
        text = canonical_json({"digest": digest(canonical_json(files)), "files": files})
        write_durable(self.record, text.encode(), replace=True)

    def entries(self, last: int | None = None) -> Iterator[list[dict[str, Any]]]:
        """The actions of the entry of every version up to `last` or the newest acknowledged, oldest first; raises as `open`."""
        recorded = self._recorded()
        entries = _by_version(_ENTRY, recorded if last is None else {*self._names(), *recorded})
        last = max(entries, default=-1) if last is None else last
        self._check_entries(entries, -1, last, recorded)
        for version in range(last + 1):
            lines = (self.log / f"{version:020}.json").read_text(encoding="utf-8").split("\n")
            yield [json.loads(line) for line in lines if line]

    def damage(self) -> list[Path]:
        """The recorded files that are not as they were, whether reading the newest version needs them or not."""
        recorded, names, found = self._recorded(), self._names(), []
        for name in sorted(recorded):
            if name in names or _ENTRY.fullmatch(name):  # a checkpoint may have been removed
                try:
                    self._check([name], recorded)
                except Damaged:
                    found.append(self.log / name)
        return found

    def notes(self, version: int) -> Mapping[str, Any]:
        """What the commit of a version says of itself; raises `Damaged` where its entry is not as it was committed."""
        return self._notes(version, self._recorded())

    def _notes(self, version: int, recorded: Mapping[str, str]) -> Mapping[str, Any]:
        name = f"{version:020}.json"
        self._check([name], recorded)
        lines = (self.log / name).read_text().split("\n")
        return commit_info(map(json.loads, filter(None, lines)))

    def versions_of(self, act: int) -> list[int]:
        """The versions that an act of the audit trail has made, by its number."""
        recorded, found = self._recorded(), list[int]()
        for version in sorted(_by_version(_ENTRY, self._names()), reverse=True):
            number = int(self._notes(version, recorded).get(NOTE, 0))
            if number < act:
                break
            found += [version] if number == act else []
        return found[::-1]

    def lives(self) -> list[Life] | None:
        """When each data file was part of the table; None where the log is not whole: it cannot be known.

        Raises `Damaged` where the record of the log is not as it was written.
        """
        names = self._names()
        entries = [self.log / n for n in sorted(names - self._torn(names, self._recorded())) if _ENTRY.fullmatch(n)]
        checkpoints = [int(c.name.partition(".")[0]) for c in self.log.glob("*.checkpoint*.parquet")]
        whole = [int(e.stem) for e in entries] == list(range(len(entries)))
        if not entries or not whole or max(checkpoints, default=0) >= len(entries):
            return None
        if any(path.suffix == ".json" for path in self.damage()):
            return None
        since: dict[str, int] = {}
        ended: list[Life] = []
        for version, entry in enumerate(entries):
            for action in map(json.loads, filter(None, entry.read_text().split("\n"))):
                if "remove" in action:
                    path, moment = self._on_disk(action["remove"]["path"]), action["remove"]["deletionTimestamp"]
                    first = since.pop(path, 0)
                    ended.append(Life(path, first, version, dt.datetime.fromtimestamp(moment / 1000, dt.UTC)))
                elif "add" in action:
                    since.setdefault(self._on_disk(action["add"]["path"]), version)
        return [*ended, *(Life(path, first, None, None) for path, first in since.items())]

    def named_files(self) -> set[str] | None:
        """Paths in the table's folder of the data files of all versions; None and errors as `lives`."""
        lives = self.lives()
        return None if lives is None else {life.path for life in lives}

    def _on_disk(self, path: str) -> str:
        """The path of a data file as the log writes it, without its escapes where that is what stands on the disk."""
        return path if (self.folder / path).exists() else unquote(path)

    def _names(self) -> set[str]:
        try:
            return set(os.listdir(self.log))
        except FileNotFoundError:
            return set()

    def _torn(self, names: Iterable[str], recorded: Mapping[str, str]) -> set[str]:
        """Entries that were never acknowledged and are not whole, and those after them; none where there is no record."""
        torn: set[str] = set()
        if self.record.exists():
            for name in sorted(n for n in names if _ENTRY.fullmatch(n) and n not in recorded):
                before = int(name[:20]) - 1
                follows = before < 0 or (self.log / f"{before:020}.json").exists()
                if torn or not follows or not _is_whole(self.log / name):
                    torn.add(name)
        return torn

    def _recorded(self) -> dict[str, str]:
        """The digest of every recorded file, by its name."""
        try:
            found = json.loads(self.record.read_bytes())
            files: dict[str, str] = found["files"]
            if found["digest"] != digest(canonical_json(files)):
                raise ValueError
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError):
            raise Damaged(
                f"The lake is damaged: {self.record}, which holds the digests of the log {self.log}, is not as it was written. "
                "Restore it from a copy, or delete it: the next writer makes it anew from the log as it is then."
            ) from None
        return files

    def _check(self, files: Iterable[str], recorded: Mapping[str, str]) -> None:
        for name in files:
            if name in recorded:
                check_file(self.log / name, recorded[name], "the log file")

    def _check_entries(
        self, entries: Mapping[int, list[str]], since: int, last: int, recorded: Mapping[str, str]
    ) -> None:
        for version in range(since + 1, last + 1):
            if version not in entries:
                raise Damaged(
                    f"The lake is damaged: the log file {self.log / f'{version:020}.json'} is not there. Restore it from a copy."
                )
            self._check(entries[version], recorded)


def commit_info(actions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a commit says of itself, from the actions of its entry."""
    return next((a["commitInfo"] for a in actions if "commitInfo" in a), {})


def _is_whole(entry: Path) -> bool:
    """Whether an entry was written to its end: each line is JSON, the first entry holds the schema, and none of the files lacks.

    Raises `DiskFailed` for one that cannot be read: it may be whole, and who takes it for torn removes what was committed.
    """
    try:
        actions = [json.loads(line) for line in entry.read_text().split("\n") if line]
    except (FileNotFoundError, ValueError):
        return False
    except OSError as error:
        raise of_disk(OSError(error.errno, error.strerror, str(entry))) or error from None
    kinds = [kind for action in actions for kind in action]
    told = commit_info(actions)
    schema = "metaData" in kinds or int(entry.stem) > 0
    return bool(actions) and schema and kinds.count("add") >= int(told.get(ADDS, 0))


def _by_version(kind: re.Pattern[str], names: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in sorted(names):
        if match := kind.fullmatch(name):
            found.setdefault(int(match[1]), []).append(name)
    return found
