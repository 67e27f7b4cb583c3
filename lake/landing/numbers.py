"""Texts of landing files as doubles, and what a double does not hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.arrays import Ints

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
# The largest quantity, level or amount. No book comes near it; and with values of at most 1e30 a unit, exchange rates within this
# bound, a billion positions and the fourth power of a kurtosis no figure overflows into infinity: (1e16 x 1e30 x 1e16 x 1e9)^4 < 1e308
MOST = 1e16
_SAFE = 15  # decimal digits that every double keeps


def doubles(text: pa.Array) -> pa.Array:
    """The numbers of trimmed texts, null where there is none from -1e16 to 1e16; minus zero is zero."""
    number = pc.match_substring_regex(text, _NUMBER)
    digits = pc.utf8_ltrim(pc.if_else(number, text, None), "+")  # Arrow reads no leading plus
    values = pc.add(pc.cast(digits, pa.float64()), 0.0)
    return pc.if_else(pc.less_equal(pc.abs(values), MOST), values, None)


def rounded(text: pa.Array, values: pa.Array) -> Ints:
    """Rows whose double, written with as many digits as their text has, is another number."""
    long = pc.and_(pc.greater(pc.utf8_length(text), _SAFE), pc.not_equal(pc.cast(values, pa.string()), text))
    rows = np.flatnonzero(pc.fill_null(long, False).to_numpy(zero_copy_only=False))
    return np.array([i for i in rows if _is_another(text[i].as_py(), values[i].as_py())], dtype=np.int64)


def _is_another(text: str, value: float) -> bool:
    given = Decimal(text)
    return Decimal(f"{value:.{len(given.as_tuple().digits) - 1}e}") != given


def rounding_notes(what: str, found: Sequence[tuple[str, str, float]]) -> tuple[str, ...]:
    """A note on numbers that were `rounded`: the place, text and double of each, the first of them told."""
    if not found:
        return ()
    place, text, value = found[0]
    return (
        f"More digits than a double holds in {len(found):,} of the {what}, stored as the nearest one; first {place}: {text} as {value!r}.",
    )
