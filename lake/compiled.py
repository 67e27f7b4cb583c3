"""The one way kernels are compiled, in every package.

Numba is imported with the first call of a kernel: importing it and loading one kernel takes three times the processor time of a small
question, and most commands need no kernel.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from lake.canonical import digest

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = Path(__file__).parents[1]
_IMPORT = re.compile(rb"^(?:from ([\w.]+) import (\([^)]*|.*)|import ([\w.]+))", re.MULTILINE)
_LOAD_SECONDS = 0.3  # of a core, to import Numba and load the kernels of a question
_WAIT_SECONDS = 60  # for another process that compiles the same kernel; it may be suspended
_lock = threading.RLock()
_seconds = 0.0  # see `is_worth_loading`


def compiled(function: F) -> F:
    """Compiles on first call, once a machine, and releases the interpreter lock.

    Never fastmath: reordered sums would make a price depend on how many others are computed beside it. Division by zero
    gives infinity or NaN as in NumPy, so that one bad state fails its contract and not the batch.
    """
    return cast(F, _Kernel(function))


def inlined(function: F) -> F:
    """As `compiled`, of a formula that becomes part of every loop that calls it, so that the loop runs on several numbers at once.

    It does where the formula has neither a loop nor a call of a library: what depends on a condition is made and then chosen.
    Each number has the bits that it has alone.
    """
    return cast(F, _Kernel(function, inline=True))


def of_llvm(make: Callable[[], Any]) -> Any:
    """What `make` returns, an intrinsic of Numba, for kernels to call; made, and Numba imported, with the first of them."""
    return _Kernel(make, made=make)


class _Kernel:
    """A function, and from the first call on what Numba makes of it."""

    def __init__(
        self, function: Callable[..., Any], *, inline: bool = False, made: Callable[[], Any] | None = None
    ) -> None:
        functools.update_wrapper(self, function)
        self._make = made or (lambda: _of_numba(function, inline))
        self._made: Any = None

    def __call__(self, *args: Any) -> Any:
        return (self._made or self.dispatcher())(*args)

    def dispatcher(self) -> Any:
        """Numba's object, for calls and for kernels that call this one."""
        with _lock:
            if self._made is None:
                self._made = self._make()
            return self._made


def _of_numba(function: Callable[..., Any], inline: bool) -> Any:
    numba, is_given = _numba()
    if not is_given:  # Numba asks for the folder when a function is declared
        numba.config.CACHE_DIR = str(cache_folder(_ROOT, Path(function.__code__.co_filename)))
    made = numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=inline)(function)
    compile_any = made.compile

    def compile_alone(signature: Any) -> Any:
        # Numba's lock first: a thread that has it may meet this kernel in another, and would wait for one that waits for it
        with (
            numba.core.compiler_lock.global_compiler_lock,
            _alone(Path(made._cache.cache_path), f"{function.__module__}.{function.__qualname__}"),
        ):
            return compile_any(signature)

    made.compile = compile_alone
    return made


_compiling: set[Path] = set()  # kernels of which this process has the lock


@contextlib.contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """No other process of the machine compiles that kernel meanwhile.

    Those that start together would each compile it, for seconds. And where two store versions for different types at once, the index and
    the file of Numba's cache (0.68) may end up from one each: the code of the one is then run for the types of the other, without a word.
    Where the folder takes no lock it goes on without.
    """
    path = folder / f"{name}.lock"
    with contextlib.ExitStack() as held:
        if path not in _compiling:
            with contextlib.suppress(OSError):  # a folder that nobody may write to
                folder.mkdir(parents=True, exist_ok=True)
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                held.callback(os.close, file)
                _wait_for(file)
                _compiling.add(path)
                held.callback(_compiling.discard, path)
        yield


def _wait_for(file: int) -> None:
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.02)


@functools.cache
def _numba() -> tuple[Any, bool]:
    """Numba, told what kernels are; and whether a folder for its files is given (NUMBA_CACHE_DIR)."""
    import numba  # noqa: PLC0415 - see above
    from numba.core.registry import cpu_target  # noqa: PLC0415
    from numba.extending import typeof_impl  # noqa: PLC0415

    @typeof_impl.register(_Kernel)  # type: ignore[untyped-decorator]
    def typeof_kernel(kernel: _Kernel, context: Any) -> Any:
        made, known = kernel.dispatcher(), cpu_target.typing_context
        known.refresh()  # an intrinsic may be made while what calls it is being compiled
        return known.resolve_value_type(made)

    return numba, bool(numba.config.CACHE_DIR)


def is_worth_loading(seconds: float) -> bool:
    """Whether kernels should do what takes NumPy so many seconds of a core.

    They are loaded, or all that was asked for so far takes NumPy longer than loading them.
    """
    global _seconds
    _seconds += seconds
    return _seconds > _LOAD_SECONDS or bool(_numba.cache_info().currsize)


@functools.cache
def cache_folder(root: Path, file: Path) -> Path:
    """Where the kernels of a file are kept: a folder for its content and that of all files of the packages in `root` it imports.

    Numba looks at a kernel's own file alone, and would go on with one that calls a kernel of another file, or holds a
    constant of it, as that was.
    """
    sources: dict[Path, bytes] = {}
    new = [file]
    while new:
        path = new.pop()
        if path not in sources:
            sources[path], imported = _source(root, path)
            new += imported
    return root / "lake" / "__pycache__" / f"kernels-{digest(*(sources[p] for p in sorted(sources)))}"


@functools.cache
def _source(root: Path, path: Path) -> tuple[bytes, list[Path]]:
    """A file, and those of the packages in `root` that it imports."""
    source = path.read_bytes()
    names = []
    for module, members, plain in _IMPORT.findall(source):
        names += [plain or module, *(module + b"." + m for m in re.findall(rb"\w+", members))]
    files = (root.joinpath(*name.decode().split(".")).with_suffix(".py") for name in names if name)
    return source, [f for f in files if f.is_file() and f.name != "compiled.py"]
