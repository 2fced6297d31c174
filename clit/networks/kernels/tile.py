"""The matrix product c = a b. A tile of c stays in registers while numbers of `a` meet rows of `b`, one after another.

The rows of `a` begin anywhere (`starts`), and its numbers are `a_step` apart: so rows of a window of latents, of a
matrix, or columns of one are all read where they lie. `b` is a panel, at most COLUMNS vectors wide.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils

from clit.networks.kernels.lanes import REGISTERS, WIDE, Lanes, instruction

ROWS, COLUMNS = (8, 3) if REGISTERS == 32 else (6, 2)  # of a tile: its sums, a row of b, one number of a in registers
PANEL = COLUMNS * WIDE
"""Width of a panel. The last panel of a matrix may have fewer vectors."""

OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}
"""Numba's options for kernels: without the lock, without checks for division by zero."""
kernel = njit(**OPTIONS)


def _multiply_rows(builder: ir.IRBuilder, rows: int, columns: int, lanes: int, add: bool, start, *arguments) -> None:
    """Write c[i, j] = (c[i, j] +) sum over k < depth of a[starts[i] + k a_step] b[k, j], j a vector, i from `start`."""
    c, c_row, a, a_step, starts, b, b_row, depth = arguments

    def place(row: ir.Value, i: ir.Value, j: int) -> ir.Value:
        return builder.add(builder.mul(i, row), ir.Constant(row.type, j * lanes))

    numbers = [builder.add(start, ir.Constant(depth.type, i)) for i in range(rows)]
    begins = [builder.gep(a, [builder.load(builder.gep(starts, [i]))]) for i in numbers]
    places = {(i, j): place(c_row, numbers[i], j) for i in range(rows) for j in range(columns)}
    sums = {}
    for ij, at in places.items():
        first = Lanes.load(builder, c, at, lanes) if add else Lanes.constant(builder, 0.0, lanes)
        sums[ij] = cgutils.alloca_once(builder, first.value.type)
        builder.store(first.value, sums[ij])
    with cgutils.for_range(builder, depth) as loop:
        across = [Lanes.load(builder, b, place(b_row, loop.index, j), lanes) for j in range(columns)]
        step = builder.mul(loop.index, a_step)
        for i in range(rows):
            x = Lanes.repeat(builder, builder.load(builder.gep(begins[i], [step])), lanes)
            for j in range(columns):
                builder.store((Lanes(builder, builder.load(sums[i, j])) + x * across[j]).value, sums[i, j])
    for ij, at in places.items():
        Lanes(builder, builder.load(sums[ij])).store(c, at)


def _make_product(add: bool):
    """Make a kernel of that, for any number of rows, and `width` numbers across: 4, 8, or 1 to COLUMNS vectors."""
    shapes = {4: (4, 1), 8: (8, 1), **{n * WIDE: (WIDE, n) for n in range(1, COLUMNS + 1)}}

    @instruction
    def product(builder: ir.IRBuilder, count, width, c, c_row, a, a_step, starts, b, b_row, depth) -> None:
        for numbers, (lanes, columns) in shapes.items():
            with builder.if_then(builder.icmp_signed("==", width, ir.Constant(width.type, numbers))):
                start = ir.Constant(count.type, 0)
                for rows in (ROWS, 4, 2, 1):
                    step = ir.Constant(count.type, rows)
                    stop = builder.sub(count, builder.srem(builder.sub(count, start), step))
                    with cgutils.for_range_slice(builder, start, stop, step) as (i, _):
                        arguments = c, c_row, a, a_step, starts, b, b_row, depth
                        _multiply_rows(builder, rows, columns, lanes, add, i, *arguments)
                    start = stop

    @kernel
    def multiply(count, width, c, c_row, a, a_step, starts, b, b_row, depth):
        product(count, width, c, c_row, a, a_step, starts, b, b_row, depth)

    return multiply


multiply, multiply_add = _make_product(False), _make_product(True)


def pad(array: np.ndarray) -> np.ndarray:
    """Return the array with zeros after its last axis, up to whole vectors."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, -array.shape[-1] % WIDE)])


def pack(matrix: np.ndarray) -> np.ndarray:
    """Return a padded matrix (..., depth, width) flat, its panels (..., depth, PANEL) one after another."""
    whole = pad(matrix)
    return np.concatenate([whole[..., x : x + PANEL].ravel() for x in range(0, whole.shape[-1], PANEL)])
