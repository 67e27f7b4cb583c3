"""The one way kernels are compiled, in every package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compiles on first call, once a machine, and releases the interpreter lock.

    Never fastmath: reordered sums would make a price depend on how many others are computed beside it. Division by zero
    gives infinity or NaN as in NumPy, so that one bad state fails its contract and not the batch.
    """
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))
