"""The matrix product. A tile of the result stays in registers while numbers of `a` meet rows of `b`.

The rows of `a` begin anywhere (`starts`), so those of a window of latents are read where they lie. `b` is a panel, at
most PANEL numbers wide. Numba has no vectors: this one kernel is written in LLVM's instructions, the others as loops.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.extending import intrinsic

_FEATURES = (config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()).split(",")
WIDE = 16 if "+avx512f" in _FEATURES else 8 if "+avx2" in _FEATURES else 4  # numbers in a vector register
PANEL = (4 if WIDE == 16 or "+neon" in _FEATURES else 2) * WIDE  # these have 32 registers, the others 16
"""Width of a panel. The last panel of a matrix may have half as many numbers, or a quarter... but at least 4."""
_ROWS = 6  # of a tile: its sums, a row of b and one number of a stay in registers

# Without Python's lock, and without checks for division by zero, which keep loops from vectors.
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}
SUMS = {**OPTIONS, "fastmath": OPTIONS["fastmath"] | {"reassoc"}}  # in any order: not for x + _WHOLE - _WHOLE
kernel = njit(**OPTIONS)


@intrinsic
def at(typing, array, index):
    """Return a pointer to array[index], counted through a contiguous array of any shape."""

    def lower(context, builder, signature, values):
        return builder.gep(context.make_array(array)(context, builder, values[0]).data, [values[1]])

    return types.CPointer(array.dtype)(array, types.int64), lower


def _multiply_rows(builder, rows, width, start, add, c, c_row, a, starts, b, b_row, depth):
    """Write what `multiply` does for some rows, counted from `start`. rows and width are Python's numbers."""
    vector, index = ir.VectorType(ir.FloatType(), width), ir.IntType(32)
    zero, first = ir.Constant(vector, None), ir.Constant(ir.VectorType(index, width), None)

    def find_row(pointer, length, i):
        return builder.bitcast(builder.gep(pointer, [builder.mul(i, length)]), vector.as_pointer())

    numbers = [builder.add(start, ir.Constant(depth.type, i)) for i in range(rows)]
    begins = [builder.gep(a, [builder.load(builder.gep(starts, [i]))]) for i in numbers]
    sums = [cgutils.alloca_once_value(builder, zero) for _ in numbers]
    with cgutils.for_range(builder, depth) as loop:
        y = builder.load(find_row(b, b_row, loop.index), align=4)
        for begin, total in zip(begins, sums, strict=True):
            x = builder.insert_element(zero, builder.load(builder.gep(begin, [loop.index])), ir.Constant(index, 0))
            x = builder.fmul(builder.shuffle_vector(x, zero, first), y, flags=("contract",))  # rounded with the sum
            builder.store(builder.fadd(builder.load(total), x, flags=("contract",)), total)
    places = [find_row(c, c_row, i) for i in numbers]
    with builder.if_then(add):
        for total, place in zip(sums, places, strict=True):
            builder.store(builder.fadd(builder.load(total), builder.load(place, align=4)), total)
    for total, place in zip(sums, places, strict=True):
        builder.store(builder.load(total), place, align=4)


@intrinsic
def _multiply(typing, count, width, add, c, c_row, a, starts, b, b_row, depth):
    def lower(context, builder, signature, values):
        count, width, *arguments = values
        for numbers in (PANEL >> n for n in range(PANEL.bit_length() - 2)):
            with builder.if_then(builder.icmp_signed("==", width, ir.Constant(width.type, numbers))):
                start = ir.Constant(count.type, 0)
                for rows in (_ROWS, 4, 2, 1):
                    step = ir.Constant(count.type, rows)
                    stop = builder.sub(count, builder.srem(builder.sub(count, start), step))
                    with cgutils.for_range_slice(builder, start, stop, step) as (i, _):
                        _multiply_rows(builder, rows, numbers, i, *arguments)
                    start = stop
        return context.get_dummy_value()

    n = types.int64
    return types.void(n, n, types.boolean, c, n, a, starts, b, n, n), lower


@kernel
def multiply(count, width, add, c, c_row, a, starts, b, b_row, depth):
    """Write c[i, j] = sum over k < depth of a[starts[i] + k] b[k, j], plus c[i, j] if `add`: i < count, j < width.

    c, a, starts and b are pointers, c_row and b_row lengths of rows. Of a width that no panel has, nothing is written.
    """
    _multiply(count, width, add, c, c_row, a, starts, b, b_row, depth)


@kernel
def fill_starts(starts, step):
    """Let rows begin `step` numbers apart."""
    for i in range(len(starts)):
        starts[i] = i * step
