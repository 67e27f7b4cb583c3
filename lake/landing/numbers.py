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
    values = _plain(text)
    if values is None:
        number = pc.match_substring_regex(text, _NUMBER)
        digits = pc.utf8_ltrim(pc.if_else(number, text, None), "+")  # Arrow reads no leading plus
        values = pc.cast(digits, pa.float64())
    values = pc.add(values, 0.0)
    within = pc.less_equal(pc.abs(values), MOST)
    return values if pc.all(within).as_py() else pc.if_else(within, values, None)


def _plain(text: pa.Array) -> pa.Array | None:
    """The doubles where every text is a number as Arrow reads one, which costs a fifth; beside `_NUMBER` it reads nan and inf."""
    try:
        values = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return None
    return values if pc.all(pc.is_finite(values)).as_py() else None


def rounded(text: pa.Array, values: pa.Array) -> Ints:
    """Rows whose double, written with as many digits as their text has, is another number."""
    long = pc.greater(pc.utf8_length(text), _SAFE)
    rows = np.flatnonzero(pc.fill_null(long, False).to_numpy(zero_copy_only=False))
    text, values = text.take(pa.array(rows)), values.take(pa.array(rows))
    differ = np.flatnonzero(pc.fill_null(pc.not_equal(pc.cast(values, pa.string()), text), False))
    return np.array([rows[i] for i in differ if _is_another(text[i].as_py(), values[i].as_py())], dtype=np.int64)


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
