"""The one way kernels are compiled, in every package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import njit

from lake.canonical import digest

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGES = ("lake", "scenarios", "valuation", "aggregation")  # that hold kernels


def compiled(function: F) -> F:
    """Compiles on first call, once a machine, and releases the interpreter lock.

    Never fastmath: reordered sums would make a price depend on how many others are computed beside it. Division by zero
    gives infinity or NaN as in NumPy, so that one bad state fails its contract and not the batch.
    """
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def cache_folder(root: Path) -> Path:
    """Where the kernels of the packages in `root` are kept: a folder for the content of all files that hold some.

    Numba looks at a kernel's own file alone, and would go on with one that calls a kernel of another file as that was.
    """
    files = sorted(f for package in _PACKAGES for f in (root / package).rglob("*.py"))
    sources = [source for f in files if b"from lake.compiled import" in (source := f.read_bytes())]
    return root / "lake" / "__pycache__" / f"kernels-{digest(*sources)}"


if not numba.config.CACHE_DIR:  # NUMBA_CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder(Path(__file__).parents[1]))
