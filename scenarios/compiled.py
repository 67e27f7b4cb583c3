"""The one way kernels of scenarios are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compiles on first call, once a machine, and releases the interpreter lock. Never fastmath: it would reorder sums."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))
