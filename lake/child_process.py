"""A process of its own for work that may take too much memory or time, or end it: what happens there stays there.

The process is started by `exec`, never by a fork, and can be kept for the next work; it ends with this one. It is told what to do in
pickles, and answers in Arrow's format and in JSON only, each in a file without a name, which is gone as soon as nobody maps it.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
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
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from lake.errors import BadInput, Conflict, Issue, NotFound, NotReady, VarlakeError
from lake.progress import allowance
from lake.runtime.machine import usable_cores

WAIT = 10  # times the processor time until a process that does not use it is given up
_MAPPED = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)  # all of it is read: its pages at once, not one by one
_THREADS = 4  # of one process, at most: each reserves memory
_TABLE, _ERROR, _FAILED, _END, _WORK = b"t", b"e", b"f", b".", b"w"
_ERRORS: dict[str, type[VarlakeError]] = {kind.__name__: kind for kind in (BadInput, Conflict, NotFound, NotReady)}
# what a library says that cannot start a thread, and what the system says
_MEMORY_REFUSED = ("can't start new thread", os.strerror(errno.EAGAIN), os.strerror(errno.ENOMEM))
_FROM_SYSTEM = (OSError, RuntimeError, pa.ArrowException)
_REFUSED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn")

Work = Callable[..., Iterator[pa.Table]]
_inside = False


class ChildEnded(Exception):
    """The process ended over its work; `code` as `Popen.returncode`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code

    @property
    def how(self) -> str:
        return signal.Signals(-self.code).name if self.code < 0 else f"exit code {self.code}"


class ChildWaited(Exception):
    """The process did not answer in time."""


class ChildFailed(Exception):
    """The work raised what is no `VarlakeError`; `memory` says whether memory was refused to it."""

    def __init__(self, message: str, memory: bool, trace: str) -> None:
        super().__init__(message)
        self.message, self.memory, self.trace = message, memory, trace


def inside() -> bool:
    """Whether this process is such a child."""
    return _inside


class Child:
    """The process, as the one that started it sees it."""

    def __init__(self, preload: str, what: str) -> None:
        """preload : the module whose imports it makes before its work; what : it does, for messages: `while a file is decoded`.

        Raises `NotReady` where no process can be started.
        """
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
                    [sys.executable, "-P", "-c", f"from {__name__} import serve; serve({preload!r}, {what!r})"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, **limited},
                )
        except OSError as error:
            self._socket.close()
            raise NotReady(
                f"{what.capitalize()}, a process of its own cannot be started: {error.strerror}. Ask again later."
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

    def tables(
        self,
        work: Work,
        args: tuple[Any, ...],
        seconds: int,
        memory: int,
        wait: float,
        environment: Mapping[str, str],
        starting: float = 0.0,
    ) -> Iterator[pa.Table]:
        """The tables of `work(*args)`, a function of a module, each while the next is made.

        seconds : of processor time; memory : bytes of its address space; wait : seconds between two tables, and
        `starting` more until the first. Raises the `VarlakeError`
        that the work raises (with `told_by_child`), `ChildFailed`, `ChildEnded`, `ChildWaited`, and `Stopped` where nobody asks any more;
        after all but the first two the process must be ended.
        """
        asked = (dict(environment), seconds, memory, str(Path.cwd()), work, args)
        try:
            _send(self._socket, _WORK, lambda sink: pickle.dump(asked, sink))
            more = starting
            while (answer := self._answer(wait + more))[0] != _END:
                (kind, data), more = answer, 0.0
                if kind == _TABLE:
                    self._socket.send(_TABLE)  # it goes on with the next meanwhile
                    yield pa.ipc.open_stream(pa.py_buffer(data)).read_all()
                    continue
                with data:
                    error = json.loads(data[:])
                if kind == _FAILED:
                    raise ChildFailed(error["message"], error["memory"], error["trace"])
                raise _told(error)
        except (OSError, EOFError):
            # it may have sent what it is about to be ended for
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            raise ChildEnded(self.end()) from None

    def _answer(self, seconds: float) -> tuple[bytes, mmap.mmap]:
        until = time.monotonic() + seconds
        answered = select.poll()
        answered.register(self._socket, select.POLLIN)
        while not answered.poll(100):
            allowance().heed()
            if time.monotonic() > until:
                raise ChildWaited
        return _receive(self._socket)


class IdleChildren:
    """Children that wait for their next work, at most so many; they end with this process."""

    def __init__(self, make: Callable[[], Child], most: int = 1) -> None:
        self._make, self._most = make, most
        self._idle: list[Child] = []
        atexit.register(self.end)

    def take(self) -> Child:
        """One that waits and lives, since the system may have ended it while it waited, or a new one."""
        with contextlib.suppress(IndexError):  # none yet, or all are at work for other threads
            while (child := self._idle.pop()).end_if_dead():
                pass
            return child
        return self._make()

    def give_back(self, child: Child) -> None:
        """To be kept for the next work, or ended."""
        if len(self._idle) < self._most:
            self._idle.append(child)
        else:
            child.end()

    def end(self) -> None:
        while self._idle:
            self._idle.pop().end()


def _told(error: dict[str, Any]) -> VarlakeError:
    kind = _ERRORS.get(error["kind"], BadInput)
    issues = [Issue(i["pointer"], i["message"], i["value"], tuple(i["allowed"])) for i in error["issues"]]
    told = kind(error["message"], issues=issues)
    told.told_by_child = True  # type: ignore[attr-defined]
    return told


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
        return kind, mmap.mmap(file.fileno(), 0, _MAPPED, mmap.PROT_READ)


# --- in the child -----------------------------------------------------------------------------------------------------


def serve(preload: str, what: str) -> None:
    """Does one work after the other, until whoever started this process is gone."""
    import_module(preload)
    global _inside
    _inside = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, meant for the one that waits, which ends this
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # it goes first where memory is used up
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = socket.socket(fileno=os.dup(0))
    threading.Thread(target=_follow, args=(connection,), daemon=True).start()
    sys.addaudithook(lambda event, _: _refuse(event, what))
    while True:
        try:
            _, data = _receive(connection)
        except EOFError:
            return
        environment, seconds, memory, folder, work, args = pickle.loads(data)
        os.environ.update(environment)
        os.chdir(folder)
        limit_time(seconds)
        limit_memory(memory)
        limit(resource.RLIMIT_FSIZE, memory)
        try:
            for table in work(*args):
                _send(connection, _TABLE, lambda sink, table=table: _write(sink, table))  # type: ignore[misc]
                del table
                if not connection.recv(1):
                    return
            _send(connection, _END, lambda sink: sink.write(_END))
            pa.default_memory_pool().release_unused()  # it may wait long for the next work
        except Exception as error:
            if isinstance(error, VarlakeError) and not memory_refused(error):
                _send_told(connection, _ERROR, kind=type(error).__name__, message=error.message, issues=error.issues)
                continue
            message = f"{type(error).__name__}: {error}"[:1000].rstrip(".")
            _send_told(connection, _FAILED, message=message, memory=memory_refused(error), trace=traceback.format_exc())


def memory_refused(error: BaseException | None) -> bool:
    """Whether the error, or one that it came from, is of memory that was refused: the stack of a thread is memory, too."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, _FROM_SYSTEM) and _is_told(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_told(error: BaseException) -> bool:
    with contextlib.suppress(Exception):  # of the error itself, as it is put into words
        said = str(error)
        return any(refused in said for refused in _MEMORY_REFUSED)
    return False


def limit_time(seconds: int) -> None:
    """So much more processor time for this process; beyond it the system ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + seconds)


def limit_memory(size: int) -> None:
    """So many bytes of address space for this process; beyond it memory is refused."""
    limit(resource.RLIMIT_AS, size)


def _follow(connection: socket.socket) -> None:
    """Ends this process as soon as the one that started it is gone."""
    gone = select.poll()
    gone.register(connection, 0)  # that the other end is closed is always told
    gone.poll()
    os._exit(1)


def _write(sink: IO[bytes], table: pa.Table) -> None:
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _send_told(connection: socket.socket, message_kind: bytes, **told: Any) -> None:
    data = json.dumps(told, default=vars).encode()
    _send(connection, message_kind, lambda sink: sink.write(data))


def limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    with contextlib.suppress(ValueError, OSError):  # not every system knows every limit
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _refuse(event: str, what: str) -> None:
    """Such work takes no network and no other process."""
    if event.startswith(_REFUSED) and event != "socket.sendmsg":  # by which it answers
        raise PermissionError(f"{event} {what}")
