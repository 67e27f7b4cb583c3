"""Kernel: sums over a row as eight sums of every eighth term, added up at the end: a fixed order that runs eight at a time.

The sums are held in a vector register, which Numba's own vectoriser does not do; on a machine with narrower registers LLVM cuts it. Terms
and sums are rounded each (no fused multiply-add), so the bits are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lake.arrays import Floats
from lake.compiled import compiled, of_llvm

# ruff: noqa: PLC0415 - Numba comes with the first kernel that is called

_EIGHT = 8
_Term = Callable[[Any, Any, Any], Any]


def _summed(term: _Term) -> Any:
    """The sum of term(builder, x, y) over x of `values`; y is of the array `other` at the same place, or the number `other`."""
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    i32, i64 = ir.IntType(32), ir.IntType(64)
    vector = ir.VectorType(ir.DoubleType(), _EIGHT)

    @intrinsic  # type: ignore[untyped-decorator]
    def sum_of(typing: Any, values: Any, other: Any) -> Any:
        of_array = isinstance(other, types.Array)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(values)(context, builder, args[0])
            n = cgutils.unpack_tuple(builder, array.shape)[0]
            beside = context.make_array(other)(context, builder, args[1]).data if of_array else None

            def eight(data: Any, place: Any) -> Any:
                loaded = builder.load(builder.bitcast(builder.gep(data, [place]), vector.as_pointer()))
                loaded.align = 8
                return loaded

            same = ir.Constant(vector, ir.Undefined)
            if not of_array:
                for i in range(_EIGHT):
                    same = builder.insert_element(same, args[1], i32(i))
            sums = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * _EIGHT))
            whole = builder.and_(n, i64(-_EIGHT))
            with cgutils.for_range_slice(builder, i64(0), whole, i64(_EIGHT)) as (p, _):
                y = eight(beside, p) if of_array else same
                builder.store(builder.fadd(builder.load(sums), term(builder, eight(array.data, p), y)), sums)
            found = builder.load(sums)
            a = [builder.extract_element(found, i32(i)) for i in range(_EIGHT)]
            pairs = [builder.fadd(a[i], a[i + 4]) for i in range(4)]
            total = cgutils.alloca_once_value(
                builder, builder.fadd(builder.fadd(pairs[0], pairs[1]), builder.fadd(pairs[2], pairs[3]))
            )
            with cgutils.for_range_slice(builder, whole, n, i64(1)) as (p, _):
                y = builder.load(builder.gep(beside, [p])) if of_array else args[1]
                one = term(builder, builder.load(builder.gep(array.data, [p])), y)
                builder.store(builder.fadd(builder.load(total), one), total)
            return builder.load(total)

        return types.float64(values, other), generate

    return sum_of


def _square(builder: Any, x: Any, y: Any) -> Any:
    away = builder.fsub(x, y)
    return builder.fmul(away, away)


_values = of_llvm(lambda: _summed(lambda builder, x, y: x))
_products = of_llvm(lambda: _summed(lambda builder, x, y: builder.fmul(x, y)))
_squares = of_llvm(lambda: _summed(_square))


@compiled
def row_sum(values: Floats) -> float:
    """Sum of values (n,)."""
    total: float = _values(values, 0.0)
    return total


@compiled
def row_dot(values: Floats, other: Floats) -> float:
    """Sum of the products of values and other, (n,) both."""
    total: float = _products(values, other)
    return total


@compiled
def row_squares(values: Floats, mean: float) -> float:
    """Sum of the squares of what values (n,) are away from the mean."""
    total: float = _squares(values, mean)
    return total
