"""The audit trail of a lake: who did what, when, at whose request, and what came of it.

A file of JSON lines that is only added to. Each line holds the digest of the line before and ends with its own, so that no line can be
changed, taken out or put in without those after it telling. An act has two lines: one before its effect, one with its outcome. What
became of an act whose process was killed between the two is found and written down by the next.

Whoever writes tables holds the lake's lock for as long as the act lasts. Every other act is short and holds the lock of the trail. So
an act that is open while its lock is free is one whose process has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lake.canonical import canonical_json
from lake.errors import Damaged, VarlakeError
from lake.progress import Cancelled
from lake.storage import append_durable, cut_durable, make_folder, sync

FILE = "audit.jsonl"  # in the lake's state folder
NOTE = "audit"  # in the note of a commit: the number of the act that made it
START = "0" * 64  # what the first entry has for the digest of the one before
BEGINNING = "trail"  # the act of the first entry, which says what the lake held by then
LOCAL_ACTOR = "local"  # whoever is on this machine, where no users are set up
# what an act is called; docs/audit.md tells what each is. A program that uses `Committer.acting` may have names of its own.
ACT_NAMES = (
    *("trail", "write", "compact", "clean", "pin", "unpin", "queue", "cancel"),
    *("valuation", "question", "scenario_set", "branch", "branch_deletion", "standard"),
    *("netting", "order_feed", "covariance", "live_snapshot", "live_alarms", "alarm_band"),
    *("market_act", "market_check", "release", "ingest"),
    *("propose", "approve", "reject", "withdraw", "save_view", "change_view", "delete_view"),
    *("add_user", "change_user", "remove_user", "make_token", "revoke_token", "sign_in", "end_session"),
)
_BLOCK = 1 << 16  # bytes read at once, from the end
_MOST_KEPT = 4096  # bytes of a value of a request; of a longer one the digest and the size are kept
_CLOSE = b',"digest":"'

Outcome = Literal["done", "failed", "cancelled", "killed"]
Lock = Literal["lake", "trail"]  # what is held while the act lasts
_held = threading.local()  # the trails that this thread has locked, open


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def account() -> str:
    """The operating system's user of this process, whatever its environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may know its user by number alone
        return str(os.getuid())


@dataclass
class Act:
    """An act that has begun. number : of its first entry. led_to : what is told of it once it has ended. touched : tables it writes."""

    number: int
    act: str
    actor: str
    led_to: dict[str, Any] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)


class Trail:
    """The trail in the state folder of a lake. Safe for threads and processes."""

    def __init__(self, state: Path) -> None:
        self.path = state / FILE

    def lines(self) -> Iterator[bytes]:
        """The whole lines, oldest first, as they stand now."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            end = _end_of_whole(file.fileno())
            for line in file:
                if (end := end - len(line)) < 0:
                    return
                yield line[:-1]

    def has_torn_end(self) -> bool:
        """Whether something stands after the last whole line."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            return _end_of_whole(file.fileno()) < os.fstat(file.fileno()).st_size
        return False

    def entries(self) -> Iterator[dict[str, Any]]:
        """The entries, oldest first; raises `Damaged` for a line that is none."""
        for i, line in enumerate(self.lines(), 1):
            try:
                entry: dict[str, Any] = json.loads(line)
            except ValueError:
                raise _damaged(self.path, f"line {i} is no entry") from None
            yield entry

    @contextlib.contextmanager
    def acting(self, act: str, asked: Mapping[str, Any], actor: str = LOCAL_ACTOR, **about: Any) -> Iterator[Act]:
        """Around a short act that writes no table. about : further fields of its first entry, such as the id of a job.

        Other acts wait meanwhile. Raises what the act does, once that is in the trail.
        """
        with self._locked(), self.ending(self.begin(act, asked, actor, "trail", **about)) as begun:
            yield begun

    @contextlib.contextmanager
    def ending(self, begun: Act, found: Callable[[], Mapping[str, Any]] = dict) -> Iterator[Act]:
        """Writes down what became of an act when it is over, and raises what it does. found : what it is then seen to have made; where
        that cannot be read it stays open, and the next writer finds out."""
        try:
            yield begun
        except BaseException as error:
            stopped = isinstance(error, Cancelled) or not isinstance(error, Exception)
            # the error matters more, and the next act settles this one
            with contextlib.suppress(OSError, VarlakeError):
                begun.led_to.update(found())
                begun.led_to["error"] = error.message if isinstance(error, VarlakeError) else type(error).__name__
                self.end(begun, "cancelled" if stopped else "failed")
            raise
        begun.led_to.update(found())
        self.end(begun, "done")

    def begin(self, act: str, asked: Mapping[str, Any], actor: str, lock: Lock, **about: Any) -> Act:
        """Writes that an act begins, durably."""
        request = canonical_json(asked)
        with self._locked():
            told = {"asked": _shortened(asked), "asked_digest": sha256(request.encode(errors="surrogatepass")), **about}
            return Act(self._append(act, actor, "begun", None, lock, told), act, actor)

    def end(self, begun: Act, outcome: Outcome) -> None:
        """Writes the outcome of an act, durably."""
        with self._locked():
            self._append(begun.act, begun.actor, outcome, begun.number, None, {"led_to": begun.led_to})

    def open_acts(self, lock: Lock) -> list[Act]:
        """Acts without an outcome that hold this lock, or held it when their process ended; oldest first."""
        last = self.head()
        wanted = {int(n) for n, held in (last["open"] if last else {}).items() if held == lock}
        found: list[Act] = []
        lines = self._backwards()
        while wanted:
            entry = json.loads(next(lines))
            if entry["sequence"] in wanted:
                wanted.remove(entry["sequence"])
                found.append(Act(entry["sequence"], entry["act"], entry["actor"]))
        return found[::-1]

    def head(self) -> dict[str, Any] | None:
        """The newest entry, None where there is none; raises `Damaged` where it is not as it was written."""
        line = next(self._backwards(), None)
        if line is None:
            return None
        if (entry := sound(line)) is None:
            raise _damaged(self.path, "its last entry is not as it was written")
        return entry

    def _append(
        self, act: str, actor: str, phase: str, of: int | None, lock: Lock | None, told: Mapping[str, Any]
    ) -> int:
        last = self.head()
        if last is None and act != BEGINNING:
            self._append(BEGINNING, actor, "done", None, None, {"led_to": {"tables": _newest(self.path.parent.parent)}})
            last = self.head()
        sequence = last["sequence"] + 1 if last else 1
        still = {n: held for n, held in (last["open"] if last else {}).items() if n != str(of)}
        entry = {
            "sequence": sequence,
            "at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "actor": actor,
            "account": account(),
            "act": act,
            "phase": phase,
            "begun": sequence if phase == "begun" else of,
            **told,
            "open": {**still, str(sequence): lock} if lock else still,
            "before": last["digest"] if last else START,
        }
        append_durable(_held.files[self.path], chained(entry) + b"\n")
        return sequence

    def _backwards(self) -> Iterator[bytes]:
        """The whole lines, the newest first."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            start = end = max(_end_of_whole(file.fileno()) - 1, 0)  # without the end of the last line
            rest = b""
            while start:
                start = max(0, end - _BLOCK)
                rest, *lines = (os.pread(file.fileno(), end - start, start) + rest).split(b"\n")
                yield from reversed(lines)
                end = start
            if rest:
                yield rest

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Where this thread holds the lock of the trail; what a killed process left half done is put in order first."""
        files: dict[Path, int] = _held.__dict__.setdefault("files", {})
        if self.path in files:
            yield
            return
        if not self.path.exists():
            make_folder(self.path.parent)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            size, whole = os.fstat(file).st_size, _end_of_whole(file)
            if size == 0:
                sync(self.path.parent)
            elif whole < size:
                cut_durable(file, whole)
            files[self.path] = file
            for left in self.open_acts("trail"):  # their lock was free
                self.end(left, "killed")
            yield
        finally:
            files.pop(self.path, None)
            os.close(file)


def _end_of_whole(file: int) -> int:
    """Where the last whole line of an open file ends, by its descriptor.

    A line that a kill or a loss of power left without its end, or with zeros in it, was never acknowledged.
    """
    start = size = os.fstat(file).st_size
    data = b""
    while start and data.count(b"\n") < 2:
        start = max(0, start - _BLOCK)
        data = os.pread(file, size - start, start)
    whole = data[: data.rfind(b"\n") + 1]
    last = whole[:-1].rpartition(b"\n")[2]
    return start + len(whole) - (len(last) + 1 if b"\0" in last else 0)


def chained(entry: Mapping[str, Any]) -> bytes:
    """The line of an entry: its JSON, with the digest of the bytes before it as the last field."""
    text = json.dumps(entry, separators=(",", ":"), allow_nan=False, default=str).encode()[:-1]
    return text + _CLOSE + sha256(text).encode() + b'"}'


def sound(line: bytes) -> dict[str, Any] | None:
    """The entry of a line; None where the line is not as it was written."""
    text, _, told = line.rpartition(_CLOSE)
    if told != sha256(text).encode() + b'"}':
        return None
    try:
        entry = json.loads(line)
        return {**entry, "sequence": int(entry["sequence"]), "before": str(entry["before"])}
    except (ValueError, TypeError, LookupError):
        return None


def _shortened(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A request, without what is long in it."""
    texts = {name: canonical_json(value).encode(errors="surrogatepass") for name, value in asked.items()}
    return {
        name: value if len(texts[name]) <= _MOST_KEPT else {"bytes": len(texts[name]), "digest": sha256(texts[name])}
        for name, value in asked.items()
    }


def _newest(lake: Path) -> dict[str, int]:
    """The newest version of every table that was written, from the names of its entries."""
    found: dict[str, int] = {}
    for entry in lake.glob("*/_delta_log/*.json"):
        if entry.stem.isdecimal():
            name = entry.parent.parent.name
            found[name] = max(found.get(name, -1), int(entry.stem))
    return dict(sorted(found.items()))


def _damaged(path: Path, fault: str) -> Damaged:
    return Damaged(
        f"The audit trail {path} is damaged: {fault}. `varlake audit verify` says where. Restore it from a copy; where there is none, "
        "move it away and keep it: the next act begins a new one, which says from which versions of the tables on."
    )
