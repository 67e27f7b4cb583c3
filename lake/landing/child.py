"""Files decoded in a process of its own, whose memory and time are limited: what a file does to its library stays there.

Enter at `in_child`. The process is started once and kept for the next file; it ends with this one. It is told what to do in pickles, and
answers in Arrow's format and in JSON only, each in a file without a name, which is gone as soon as nobody maps it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import mmap
import os
import pickle
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from lake.errors import BadInput, Conflict, Issue, NotFound, NotReady, VarlakeError
from lake.progress import allowance
from lake.runtime.machine import usable_cores

SETTING = "VARLAKE_DECODED_MIB"
DEFAULT_MIB = 1024  # as in service.config
TIMES = 8  # cells as columns take up to so many times their text: a plain file is never too large
SECONDS_SETTING = "VARLAKE_DECODE_SECONDS"
DEFAULT_SECONDS = 8  # as in service.config
_SECONDS_A_MIB = 5  # more for each MiB of the file: four times what R data, the slowest format, was measured to take
_WAIT = 10  # times the processor time until a process that does not use it is given up
_COPIES = 3  # of what a file may hold, in memory at the same time: as it comes, as it is trimmed, as it is told
_MARGIN = 1 << 30  # bytes of the process itself and its libraries
_THREADS = 4  # of one file, at most: each reserves memory
_TABLE, _ERROR, _FAILED, _END, _WORK = b"t", b"e", b"f", b".", b"w"
_ERRORS: dict[str, type[VarlakeError]] = {kind.__name__: kind for kind in (BadInput, Conflict, NotFound, NotReady)}
_REFUSED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn")


def most_held(size: int) -> int:
    """Bytes that a file of this size may hold once decoded."""
    return max(int(os.environ.get(SETTING) or DEFAULT_MIB) << 20, TIMES * size)


Work = Callable[..., Iterator[pa.Table]]
_log = logging.getLogger(__name__)
_idle: list[_Child] = []
_inside = False


def in_child(work: Work, path: Path, *args: Any) -> Iterator[pa.Table]:
    """The tables of `work(path, *args)`, a function of a module, each while the next is made; in a child it is simply called.

    Raises what the work raises, `BadInput` that names the file where it takes too much memory or time, ends its process or fails in
    any other way, and `Stopped` where nobody wants it any more. A file may take VARLAKE_DECODE_SECONDS of processor time and five
    for each MiB of its size, and memory for three times what it may hold (`Bound`) and 1 GiB.
    """
    if _inside:
        yield from work(path, *args)
        return
    child, reusable = _idle_child() or _Child(), False
    try:
        yield from child.tables(work, path, args)
        reusable = True
    except VarlakeError as error:
        reusable = getattr(error, "told_by_child", False)
        raise
    finally:
        if reusable and not _idle:
            _idle.append(child)
        else:
            child.end()


def one_in_child(work: Work, path: Path, *args: Any) -> pa.Table:
    """As `in_child`, of work that gives one table."""
    (table,) = in_child(work, path, *args)
    return table


def _idle_child() -> _Child | None:
    """One that waits for a file and lives: the system may have ended it while it waited."""
    with contextlib.suppress(IndexError):  # none yet, or all are at work for other threads
        while (child := _idle.pop()).end_if_dead():
            pass
        return child
    return None


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


class _Child:
    """The process, as the one that started it sees it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        threads = str(min(_THREADS, usable_cores()))
        # what reserves memory by the core would meet the limit on machines with many
        limited = {
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": threads,
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        }
        try:
            with theirs:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, **limited},
                )
        except OSError as error:
            self._socket.close()
            raise NotReady(
                f"The process that decodes files cannot be started: {error.strerror}. Ask again later."
            ) from None

    def end_if_dead(self) -> bool:
        """Whether the process is gone."""
        dead = self._process.poll() is not None
        if dead:
            self.end()
        return dead

    def end(self) -> int:
        """Ends the process, and what it was at work on; its exit code."""
        self._socket.close()
        self._process.kill()
        return self._process.wait()

    def tables(self, work: Work, path: Path, args: tuple[Any, ...]) -> Iterator[pa.Table]:
        seconds = int(os.environ.get(SECONDS_SETTING) or DEFAULT_SECONDS)
        size = path.stat().st_size if path.exists() else 0
        seconds += (_SECONDS_A_MIB * size) >> 20
        memory = _COPIES * most_held(size) + _MARGIN
        asked = (os.environ.get(SETTING), seconds, memory, str(Path.cwd()), work, path, args)
        try:
            _send(self._socket, _WORK, lambda sink: pickle.dump(asked, sink))
            while (answer := self._answer(path, _WAIT * seconds))[0] != _END:
                kind, data = answer
                if kind == _TABLE:
                    self._socket.send(_TABLE)  # it goes on with the next meanwhile
                    yield pa.ipc.open_stream(pa.py_buffer(data)).read_all()
                    continue
                with data:
                    error = json.loads(data[:])
                if kind == _FAILED:
                    _log.debug("%s was not decoded: %s", path, error["trace"])
                    raise BadInput(f"{path.name} cannot be decoded: {error['message']}. Nothing of it is loaded.")
                raise _told(error)
        except (OSError, EOFError):
            # it may have sent what it is about to be ended for
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            raise BadInput(_why_dead(path.name, self.end(), seconds, memory)) from None

    def _answer(self, path: Path, seconds: float) -> tuple[bytes, mmap.mmap]:
        until = time.monotonic() + seconds
        answered = select.poll()
        answered.register(self._socket, select.POLLIN)
        while not answered.poll(100):
            allowance().heed()
            if time.monotonic() > until:
                raise BadInput(
                    f"{path.name} was not decoded in {seconds:,.0f} s ({SECONDS_SETTING}); nothing of it is loaded."
                )
        return _receive(self._socket)


def _told(error: dict[str, Any]) -> VarlakeError:
    kind = _ERRORS.get(error["kind"], BadInput)
    issues = [Issue(i["pointer"], i["message"], i["value"], tuple(i["allowed"])) for i in error["issues"]]
    told = kind(error["message"], issues=issues)
    told.told_by_child = True  # type: ignore[attr-defined]
    return told


def _why_dead(name: str, code: int, seconds: int, memory: int) -> str:
    ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    if code == -signal.SIGXCPU:
        reason = f"took more than the {seconds:,} s of processor time that it may take ({SECONDS_SETTING})"
    elif code == -signal.SIGKILL:
        reason = (
            f"was ended by the system or by somebody ({ended}), as it is where the memory of the machine is used up"
        )
    else:
        reason = (
            f"ended its process ({ended}): its library failed over it, or needed more than the {memory >> 20:,} MiB of memory that it "
            f"may take ({SETTING})"
        )
    return f"{name} cannot be decoded: this {reason}. Nothing of it is loaded; check what it holds, or divide it."


def _send(to: socket.socket, kind: bytes, write: Callable[[IO[bytes]], Any]) -> None:
    """A message: its kind, and a file without a name with its content."""
    with _nameless() as sink:
        write(sink)
        sink.flush()
        socket.send_fds(to, [kind], [sink.fileno()])


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("decoded"), "wb")
    return tempfile.TemporaryFile()


def _receive(of: socket.socket) -> tuple[bytes, mmap.mmap]:
    """Kind and content of the next message; raises `EOFError` where the other side is gone."""
    kind, handles, _, _ = socket.recv_fds(of, 1, 1)
    if not handles:
        raise EOFError
    with open(handles[0], "rb") as file:
        return kind, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


# --- in the child -----------------------------------------------------------------------------------------------------


def serve() -> None:
    """Decodes one file after the other, until whoever started this process is gone."""
    import lake.landing.sheet  # noqa: F401, PLC0415 - what is needed for most files, once

    global _inside
    _inside = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, meant for the one that waits, which ends this
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # it goes first where memory is used up
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = socket.socket(fileno=os.dup(0))
    threading.Thread(target=_follow, args=(connection,), daemon=True).start()
    sys.addaudithook(_refuse)
    while True:
        try:
            _, data = _receive(connection)
        except EOFError:
            return
        decoded_mib, seconds, memory, folder, work, path, args = pickle.loads(data)
        os.environ[SETTING] = decoded_mib or ""
        os.chdir(folder)
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + seconds)
        _limit(resource.RLIMIT_AS, memory)
        _limit(resource.RLIMIT_FSIZE, memory)
        try:
            for table in work(path, *args):
                _send(connection, _TABLE, lambda sink, table=table: _write(sink, table))  # type: ignore[misc]
                del table
                if not connection.recv(1):
                    return
            _send(connection, _END, lambda sink: sink.write(_END))
            pa.default_memory_pool().release_unused()  # it may wait long for the next file
        except VarlakeError as error:
            _send_told(connection, _ERROR, kind=type(error).__name__, message=error.message, issues=error.issues)
        except MemoryError:
            _send_failed(
                connection, f"it needs more than the {memory >> 20:,} MiB of memory that it may take ({SETTING})"
            )
        except Exception as error:
            _send_failed(connection, f"{type(error).__name__}: {error}"[:1000].rstrip("."))


def _follow(connection: socket.socket) -> None:
    """Ends this process as soon as the one that started it is gone."""
    gone = select.poll()
    gone.register(connection, 0)  # that the other end is closed is always told
    gone.poll()
    os._exit(1)


def _write(sink: IO[bytes], table: pa.Table) -> None:
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _send_failed(connection: socket.socket, message: str) -> None:
    _send_told(connection, _FAILED, message=message, trace=traceback.format_exc())


def _send_told(connection: socket.socket, message_kind: bytes, **told: Any) -> None:
    data = json.dumps(told, default=vars).encode()
    _send(connection, message_kind, lambda sink: sink.write(data))


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    with contextlib.suppress(ValueError, OSError):  # not every system knows every limit
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _refuse(event: str, _: Any) -> None:
    """To decode a file takes no network and no other process."""
    if event.startswith(_REFUSED) and event != "socket.sendmsg":  # by which it answers
        raise PermissionError(f"{event} while a file is decoded")
