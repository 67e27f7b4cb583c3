"""Kernel: sums of rows, each times its quantity, held in vector registers while they grow.

The loop is written as LLVM vectors of eight doubles. Numba's own vectoriser keeps the sum in memory, reads and writes it for
every row, and stops at vectors of four. On a machine with narrower registers LLVM cuts the vectors in two or four; the
doubles are added one by one in the order of the rows all the same, and product and sum are rounded each (no fused
multiply-add), so the bits are those of the plain loop everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lake.arrays import Floats
from lake.compiled import compiled

LINE = 8  # doubles in a cache line, and in the longest vector register
_I32, _I64, _BYTES = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
_VECTOR = ir.VectorType(ir.DoubleType(), LINE)
_UNSET = ir.Constant(_VECTOR, ir.Undefined)
_EVERY_LANE = ir.Constant(ir.VectorType(_I32, LINE), [0] * LINE)
_READ, _TO_SECOND_LEVEL, _DATA = ir.Constant(_I32, 0), ir.Constant(_I32, 2), ir.Constant(_I32, 1)


@intrinsic  # type: ignore[untyped-decorator]
def _add_rows(
    typing: Any,
    lines: Any,
    flat: Any,
    stride: Any,
    begin: Any,
    row: Any,
    quantity: Any,
    lo: Any,
    hi: Any,
    sums: Any,
    at: Any,
    coming: Any,
    next_line: Any,
) -> Any:
    """sums[at + s] += quantity[e] * flat[row[e] * stride + begin + s] for e from lo to hi - 1 and s below 8 len(lines).

    With every row one cache line of the rows `coming` is asked for ahead, counted on from `next_line`; returns the count.
    `lines` is a tuple whose length alone matters: it is compiled in.
    """
    signature = types.int64(lines, flat, stride, begin, row, quantity, lo, hi, sums, at, coming, next_line)
    n = len(lines)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def data(i: int) -> Any:
            return context.make_array(signature.args[i])(context, builder, args[i]).data

        def line(start: Any, i: Any) -> Any:
            return builder.gep(start, [i])

        def load(start: Any, i: int) -> Any:
            loaded = builder.load(builder.bitcast(line(start, _I64(i * LINE)), _VECTOR.as_pointer()))
            loaded.align = 8
            return loaded

        _, _, stride_, begin_, _, _, lo_, hi_, _, at_, _, next_ = args
        rows, row_, quantity_, sums_, coming_ = (data(i) for i in (1, 4, 5, 8, 10))
        prefetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [_BYTES, _I32, _I32, _I32]), "llvm.prefetch.p0i8"
        )
        first, sum_ = line(rows, begin_), line(sums_, at_)
        registers = [cgutils.alloca_once_value(builder, load(sum_, i)) for i in range(n)]
        count = cgutils.alloca_once_value(builder, next_)
        with cgutils.for_range_slice(builder, lo_, hi_, _I64(1)) as (e, _):
            here = line(first, builder.mul(builder.zext(builder.load(line(row_, e)), _I64), stride_))
            one = builder.insert_element(_UNSET, builder.load(line(quantity_, e)), _I32(0))
            q = builder.shuffle_vector(one, _UNSET, _EVERY_LANE)
            c = builder.load(count)
            then = builder.zext(builder.load(line(coming_, builder.udiv(c, _I64(n)))), _I64)
            place = builder.add(builder.mul(then, stride_), builder.mul(builder.urem(c, _I64(n)), _I64(LINE)))
            builder.call(prefetch, [builder.bitcast(line(first, place), _BYTES), _READ, _TO_SECOND_LEVEL, _DATA])
            builder.store(builder.add(c, _I64(1)), count)
            for i, register in enumerate(registers):
                builder.store(builder.fadd(builder.load(register), builder.fmul(q, load(here, i))), register)
        for i, register in enumerate(registers):
            stored = builder.store(
                builder.load(register), builder.bitcast(line(sum_, _I64(i * LINE)), _VECTOR.as_pointer())
            )
            stored.align = 8
        return builder.load(count)

    return signature, generate


@compiled
def add_runs(
    lines: tuple[int, ...],
    flat: Floats,
    stride: int,
    begin: int,
    blocks: npt.NDArray[np.int64],
    run_slot: npt.NDArray[np.uint32],
    run_start: npt.NDArray[np.int64],
    row: npt.NDArray[np.uint32],
    quantity: Floats,
    coming: npt.NDArray[np.uint32],
    coming_start: npt.NDArray[np.int64],
    sums: Floats,
) -> None:
    """One tile of scenarios, 8 len(lines) wide from `begin` on, of all runs; see `reduce.Runs`.

    sums : (n_slots * 8 len(lines),), added to.
    """
    width = len(lines) * 8
    for b in range(blocks.size - 1):
        ahead = coming_start[b] * len(lines)
        for r in range(blocks[b], blocks[b + 1]):
            ahead = _add_rows(
                lines,
                flat,
                stride,
                begin,
                row,
                quantity,
                run_start[r],
                run_start[r + 1],
                sums,
                np.int64(run_slot[r]) * width,
                coming,
                ahead,
            )
