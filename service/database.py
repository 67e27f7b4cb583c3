"""SQLite files that several threads and processes share: every change durable, every failure told in words.

They are read on a disk that is full or may not be written, too.
"""

from __future__ import annotations

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from lake.audit import Trail
from lake.errors import Conflict, DiskFull, NotReady, VarlakeError, of_disk
from lake.storage import make_folder

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNREACHABLE = {
    sqlite3.SQLITE_READONLY: "may not be written by this process",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk fails or is full",
    sqlite3.SQLITE_BUSY: "is busy",
}


class Database(ABC):
    """One SQLite file. Every call of a subclass is one short `reading` or `transaction` of its own.

    called : what errors call it. schema : the statements that make it. upgrades : the statements that lead to the next format,
    those from format 1 first. when_full : what goes on, and what does not, while the disk is full.
    """

    called: ClassVar[str]
    schema: ClassVar[str]
    upgrades: ClassVar[tuple[str, ...]] = ()
    when_full: ClassVar[str]

    def __init__(self, path: Path, state: Path | None = None, *, make: bool = True) -> None:
        """state : the state folder of its lake, which has the audit trail; default the folder of the file. make : whether it is made at
        once; else with the first that is written to it."""
        self.path, self._trail = path, Trail(state or path.parent)
        # where none can be made, an empty one is read, and writing to it tells why
        with contextlib.suppress(DiskFull, NotReady):
            if make if self.is_empty() else self._version() != self._format:
                self.make()

    @property
    def _format(self) -> int:
        return len(self.upgrades) + 1

    @abstractmethod
    def damaged(self, error: sqlite3.Error) -> VarlakeError:
        """What a user is told where the file is damaged, after what can be done about it was done."""

    def is_empty(self) -> bool:
        try:
            return self.path.stat().st_size == 0
        except FileNotFoundError:  # or another process sets it aside just now
            return True

    def _version(self) -> int:
        with self.reading() as db:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
        return version

    def make(self) -> None:
        """Makes the file where there is none, and brings one of an earlier format to this one; raises `Conflict` for a later one."""
        make_folder(self.path.parent)
        with self._connected(self.path) as db, _committed(db):
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._create(db)
            elif version > self._format:
                raise Conflict(
                    f"The {self.called} {self.path} has format {version}; this version of varlake reads {self._format}."
                )
            else:
                for statement in ";".join(self.upgrades[version - 1 :]).split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {self._format}")

    def _create(self, db: sqlite3.Connection) -> None:
        for statement in self.schema.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {self._format}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction."""
        if self.is_empty():
            self.make()
        with self._connected(self.path) as db, _committed(db):
            yield db

    @contextlib.contextmanager
    def acting(self, act: str, asked: Mapping[str, Any], actor: str, **about: Any) -> Iterator[sqlite3.Connection]:
        """One durable transaction that is an act of the audit trail, see `Trail.acting`."""
        try:
            with self._trail.acting(act, asked, actor, **about), self.transaction() as db:
                yield db
        except OSError as error:  # of the trail
            told = of_disk(error)
            if told is None:
                raise
            if isinstance(told, DiskFull):
                told = self._when_full()
            elif isinstance(told, NotReady):
                told = self._not_reached(sqlite3.SQLITE_READONLY, error)
            raise told from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        if not self.is_empty():
            with self._connected(self.path) as db:
                # of no format is one that another process makes just now, in place of a damaged one
                if db.execute("PRAGMA user_version").fetchone()[0]:
                    yield db
                    return
        with self._connected(":memory:") as db:
            self._create(db)
            yield db

    @contextlib.contextmanager
    def _connected(self, place: Path | str) -> Iterator[sqlite3.Connection]:
        db = None
        try:
            db = sqlite3.connect(place, timeout=10, isolation_level=None)
            db.row_factory = sqlite3.Row
            yield db
        except sqlite3.Error as error:
            told = self._told(error)
            if told is None:
                raise
            raise told from error
        finally:
            if db is not None:
                db.close()

    def _told(self, error: sqlite3.Error) -> VarlakeError | None:
        """What a user is told of a failure of SQLite; None for a fault of ours."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without its extension
        if code == sqlite3.SQLITE_FULL:
            return self._when_full()
        if code in _DAMAGED:
            return self.damaged(error)
        if code in _UNREACHABLE:
            return self._not_reached(code, error)
        return None

    def _when_full(self) -> DiskFull:
        return DiskFull(f"The disk is full: {self.when_full}")

    def _not_reached(self, code: int, error: Exception) -> NotReady:
        return NotReady(f"The {self.called} {self.path} {_UNREACHABLE[code]} ({error}). Mend that, then ask again.")


@contextlib.contextmanager
def _committed(db: sqlite3.Connection) -> Iterator[None]:
    """One durable transaction. No write-ahead log: with one, a full disk could not even be read from."""
    with contextlib.suppress(sqlite3.OperationalError):  # a file of before has such a log, and somebody uses it now
        db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA synchronous = EXTRA")  # also the folder in which the journal is deleted
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite rolls back by itself where the disk is full
            db.execute("ROLLBACK")
        raise


def is_sound(path: Path) -> bool:
    """False for a file that SQLite finds damaged."""
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as db:
        try:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.Error as error:
            return error.sqlite_errorcode & 0xFF not in _DAMAGED
