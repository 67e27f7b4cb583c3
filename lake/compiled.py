"""The one way kernels are compiled, in every package."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import njit

from lake.canonical import digest

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = Path(__file__).parents[1]
_IMPORT = re.compile(rb"^(?:from ([\w.]+) import (\([^)]*|.*)|import ([\w.]+))", re.MULTILINE)
_GIVEN = numba.config.CACHE_DIR  # NUMBA_CACHE_DIR


def compiled(function: F) -> F:
    """Compiles on first call, once a machine, and releases the interpreter lock.

    Never fastmath: reordered sums would make a price depend on how many others are computed beside it. Division by zero
    gives infinity or NaN as in NumPy, so that one bad state fails its contract and not the batch.
    """
    return _declared(function, inline=False)


def inlined(function: F) -> F:
    """As `compiled`, of a formula that becomes part of every loop that calls it, so that the loop runs on several numbers at once.

    It does where the formula has neither a loop nor a call of a library: what depends on a condition is made and then chosen.
    Each number has the bits that it has alone.
    """
    return _declared(function, inline=True)


def _declared(function: F, *, inline: bool) -> F:
    if not _GIVEN:  # Numba asks for the folder when a function is declared
        numba.config.CACHE_DIR = str(cache_folder(_ROOT, Path(function.__code__.co_filename)))
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", forceinline=inline)(function))


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
            sources[path] = path.read_bytes()
            new += _imported(root, sources[path])
    return root / "lake" / "__pycache__" / f"kernels-{digest(*(sources[p] for p in sorted(sources)))}"


def _imported(root: Path, source: bytes) -> list[Path]:
    names = []
    for module, members, plain in _IMPORT.findall(source):
        names += [plain or module, *(module + b"." + m for m in re.findall(rb"\w+", members))]
    files = (root.joinpath(*name.decode().split(".")).with_suffix(".py") for name in names if name)
    return [f for f in files if f.is_file() and f.name != "compiled.py"]
