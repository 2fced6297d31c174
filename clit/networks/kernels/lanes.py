"""Vector registers as Python values: `a * b + c` of them writes LLVM's instructions.

Numba turns plain loops into vector instructions, or does not, as its compiler judges. The costly parts are therefore
written vector by vector: `instruction` gives Numba's functions a new instruction, `lanewise` makes one of a formula.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

_FEATURES = (config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()).split(",")
WIDE = 16 if "+avx512f" in _FEATURES else 8 if "+avx2" in _FEATURES else 4
"""Numbers in a vector register."""

REGISTERS = 32 if WIDE == 16 or "+neon" in _FEATURES else 16
"""Vector registers of the processor."""

_FUSED = ("contract",)  # lets a product and a sum round once; sums keep their order


class Lanes:
    """A vector of float32, integers or truth values. Operators take another vector, or a number."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value, self.count = builder, value, value.type.count

    def __add__(self, other: Lanes | float) -> Lanes:
        return self.apply("fadd", other, flags=_FUSED)

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self.apply("fsub", other, flags=_FUSED)

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self.apply("fmul", other, flags=_FUSED)

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self.apply("fdiv", other)

    def apply(self, operation: str, other: Lanes | float, **options) -> Lanes:
        """Apply an operation by LLVM's name for it."""
        return Lanes(self.builder, getattr(self.builder, operation)(self.value, self._match(other), **options))

    def clamp(self, low: float, high: float) -> Lanes:
        """Return the vector with every number at least `low` and at most `high`."""
        raised = self.choose(self.compare(">", low), low)
        return raised.choose(raised.compare("<", high), high)

    def compare(self, sign: str, other: Lanes | float) -> Lanes:
        """Return truth values."""
        return Lanes(self.builder, self.builder.fcmp_ordered(sign, self.value, self._match(other)))

    def choose(self, where: Lanes, other: Lanes | float) -> Lanes:
        """Return this vector where a truth value holds, `other` elsewhere."""
        return Lanes(self.builder, self.builder.select(where.value, self.value, self._match(other)))

    def cast(self, operation: str, kind: ir.Type) -> Lanes:
        """Return numbers of another type: "bitcast" keeps the bits, "trunc" the lowest ones."""
        return Lanes(self.builder, getattr(self.builder, operation)(self.value, ir.VectorType(kind, self.count)))

    def _match(self, other: Lanes | float) -> ir.Value:
        return other.value if isinstance(other, Lanes) else ir.Constant(self.value.type, [other] * self.count)

    @staticmethod
    def constant(builder: ir.IRBuilder, number: float, count: int) -> Lanes:
        """Return a number, known when the kernel is compiled, in all lanes."""
        return Lanes(builder, ir.Constant(ir.VectorType(ir.FloatType(), count), [number] * count))

    @staticmethod
    def repeat(builder: ir.IRBuilder, number: ir.Value, count: int) -> Lanes:
        """Return a number in all lanes."""
        zero, index = Lanes.constant(builder, 0.0, count).value, ir.IntType(32)
        one = builder.insert_element(zero, number, ir.Constant(index, 0))
        return Lanes(builder, builder.shuffle_vector(one, zero, ir.Constant(ir.VectorType(index, count), None)))

    @staticmethod
    def load(builder: ir.IRBuilder, pointer: ir.Value, index: ir.Value, count: int) -> Lanes:
        """Return the vector that begins at pointer[index]."""
        vector = ir.VectorType(ir.FloatType(), count).as_pointer()
        value = builder.load(builder.bitcast(builder.gep(pointer, [index]), vector))
        value.align = 4
        return Lanes(builder, value)

    def store(self, pointer: ir.Value, index: ir.Value) -> None:
        """Write the vector to pointer[index] and on."""
        place = self.builder.bitcast(self.builder.gep(pointer, [index]), self.value.type.as_pointer())
        self.builder.store(self.value, place).align = 4


@intrinsic
def at(typing, array, index):
    """Return a pointer to array[index], counted through a contiguous array of any shape: what instructions take."""

    def lower(context, builder, signature, values):
        return builder.gep(context.make_array(array)(context, builder, values[0]).data, [values[1]])

    return types.CPointer(array.dtype)(array, types.int64), lower


@intrinsic
def shift(typing, pointer, count):
    """Return the pointer moved on by `count` numbers."""
    return pointer(pointer, types.int64), lambda context, builder, signature, values: builder.gep(values[0], values[1:])


def instruction(emit: Callable):
    """Make an instruction for Numba's functions of `emit(builder, *arguments)`, which writes it.

    Its arguments are pointers (`at`), int64 and float32. Nothing checks where it reads and writes.
    """

    def define(typing, *arguments):
        def kind(argument):
            number = types.float32 if isinstance(argument, types.Float) else types.int64
            return argument if isinstance(argument, types.CPointer) else number

        def lower(context, builder, signature, values):
            emit(builder, *values)
            return context.get_dummy_value()

        return types.void(*map(kind, arguments)), lower

    define.__name__ = define.__qualname__ = emit.__name__
    define.__signature__ = inspect.signature(emit)
    return intrinsic(define)


def lanewise(formula: Callable, arrays: int, scalars: int = 0, outputs: int = 1):
    """Make an instruction of a formula: out[k] = formula(a[k], b[k], ..., s, t, ...) for all k < count.

    Its arguments are the pointers out, a, b..., then the scalars, then count. A formula of several outputs returns a
    tuple. `out` may be one of the arrays.
    """

    def emit(builder: ir.IRBuilder, *arguments) -> None:
        pointers, numbers, count = arguments[: outputs + arrays], arguments[outputs + arrays : -1], arguments[-1]
        start = ir.Constant(count.type, 0)
        for lanes in (WIDE, 4, 1):  # the rest of a row that fills no vector goes in smaller ones
            step = ir.Constant(count.type, lanes)
            stop = builder.sub(count, builder.srem(count, step))
            with cgutils.for_range_slice(builder, start, stop, step) as (k, _):
                inputs = [Lanes.load(builder, pointer, k, lanes) for pointer in pointers[outputs:]]
                results = formula(*inputs, *(Lanes.repeat(builder, number, lanes) for number in numbers))
                for result, pointer in zip(results if outputs > 1 else [results], pointers, strict=False):
                    result.store(pointer, k)
            start = stop

    names = ["builder", *(f"pointer{i}" for i in range(outputs + arrays)), *(f"s{i}" for i in range(scalars)), "count"]
    emit.__name__ = formula.__name__
    emit.__signature__ = inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names])
    return instruction(emit)
