"""exp, GELU, sine and cosine of `Lanes`, to the rounding of float32 (1e-7), and the softmax over windows."""

from __future__ import annotations

import math

from llvmlite import ir
from numba.core import cgutils

from clit.networks.kernels.lanes import WIDE, Lanes, instruction

# The coefficients are those of Cephes (exp, sine, cosine) and of a rational fit of erf.
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LN2 = (0.693359375, -2.12194440e-4)  # in parts whose products with small whole numbers are exact
_ERF_TOP = (2.2905065861e-4, 3.4082910107e-3, 5.0955695062e-2, 1.8520832240e-1, 1.1283791435)
_ERF_BOTTOM = (-1.1791602954e-7, 2.3547966471e-5, 1.0179625279e-3, 1.4070470172e-2, 1.1098505178e-1, 4.9746925110e-1, 1)
_ERF_LIMIT = 3.8325069  # beyond it erf is 1 in float32
_SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COSINE = (2.4433157118e-5, -1.3887316255e-3, 4.1666645683e-2)
_HALF_PI = (1.5703125, 4.837512969970703e-4, 7.549789948768648e-8)
_WHOLE = 1.5 * 2**23  # a number plus this has its nearest whole number in the lowest bits


def _polynomial(x: Lanes, coefficients: tuple[float, ...]) -> Lanes:
    """Coefficients from the highest power down to the constant."""
    first, second, *rest = coefficients
    result = x * first + second
    for coefficient in rest:
        result = result * x + coefficient
    return result


def exp(x: Lanes) -> Lanes:
    """Return e^x for x up to 88, as 2^n e^r with n whole and |r| <= ln(2) / 2. Below -87 it is e^-87."""
    x = x.clamp(-87.0, 88.0)
    bits = x * math.log2(math.e) + _WHOLE
    n = bits - _WHOLE
    r = x - n * _LN2[0] - n * _LN2[1]
    result = _polynomial(r, _EXP) * (r * r) + r + 1.0
    power = bits.cast("bitcast", ir.IntType(32)).apply("shl", 23)
    return result.cast("bitcast", ir.IntType(32)).apply("add", power).cast("bitcast", ir.FloatType())


def gelu(x: Lanes) -> Lanes:
    """Return x (1 + erf(x / sqrt(2))) / 2."""
    z, half = (x * math.sqrt(0.5)).clamp(-_ERF_LIMIT, _ERF_LIMIT), x * 0.5
    return half + half * (z * _polynomial(z * z, _ERF_TOP) / _polynomial(z * z, _ERF_BOTTOM))


def relu(x: Lanes) -> Lanes:
    """Return the larger of x and 0."""
    return x.choose(x.compare(">", 0.0), 0.0)


def cosine_sine(x: Lanes) -> tuple[Lanes, Lanes]:
    """Return cos(x) and sin(x), from x = n pi/2 + r: n says which of cos(r), sin(r) each is, and its sign."""
    bits = x * (2 / math.pi) + _WHOLE
    n, quarter = bits - _WHOLE, bits.cast("bitcast", ir.IntType(32))
    r = x - n * _HALF_PI[0] - n * _HALF_PI[1] - n * _HALF_PI[2]
    square, odd = r * r, quarter.cast("trunc", ir.IntType(1))
    sine = _polynomial(square, _SINE) * (square * r) + r
    cosine = _polynomial(square, _COSINE) * (square * square) + (square * -0.5 + 1.0)

    def sign(value: Lanes, quarter: Lanes) -> Lanes:
        minus = quarter.apply("and_", 2).apply("shl", 30)  # onto the sign's bit
        return value.cast("bitcast", ir.IntType(32)).apply("xor", minus).cast("bitcast", ir.FloatType())

    return sign(sine.choose(odd, cosine), quarter.apply("add", 1)), sign(cosine.choose(odd, sine), quarter)


def wave(of_cosine: Lanes, of_sine: Lanes, turns: Lanes) -> tuple[Lanes, Lanes]:
    """Return a cosine and a sine with their amplitudes, of so many half turns."""
    cosine, sine = cosine_sine(turns * math.pi)
    return of_cosine * cosine, of_sine * sine


@instruction
def softmax(builder: ir.IRBuilder, logits, along_y, along_x, side, row) -> None:
    """Take the softmax over windows down the columns of logits (side side + 2, row), after adding the bias.

    along_y, along_x: the bias (side, row) of the windows' rows and of their columns. Two rows follow the weights: the
    sum of e = exp(logit - most), and that of e (logit - most), from which comes the entropy.
    """

    def read(variable: ir.Value) -> Lanes:
        return Lanes(builder, builder.load(variable))

    vector = Lanes.constant(builder, 0.0, WIDE).value.type
    zero, one, wide = (ir.Constant(row.type, n) for n in (0, 1, WIDE))
    window, (most, total, moment) = builder.mul(side, side), (cgutils.alloca_once(builder, vector) for _ in range(3))
    with cgutils.for_range_slice(builder, zero, row, wide) as (column, _):

        def place(p: ir.Value) -> ir.Value:
            return builder.add(column, builder.mul(p, row))

        for start, sum in ((-3e38, most), (0.0, total), (0.0, moment)):
            builder.store(Lanes.constant(builder, start, WIDE).value, sum)
        with cgutils.for_range(builder, side) as down:
            bias = Lanes.load(builder, along_y, place(down.index), WIDE)
            with cgutils.for_range(builder, side) as across:
                p = place(builder.add(builder.mul(down.index, side), across.index))
                x = Lanes.load(builder, along_x, place(across.index), WIDE) + bias
                x = Lanes.load(builder, logits, p, WIDE) + x
                x.store(logits, p)
                builder.store(x.choose(x.compare(">", read(most)), read(most)).value, most)
        with cgutils.for_range(builder, window) as loop:
            x = Lanes.load(builder, logits, place(loop.index), WIDE) - read(most)
            e = exp(x)
            e.store(logits, place(loop.index))
            builder.store((read(total) + e).value, total)
            builder.store((read(moment) + e * x).value, moment)
        inverse = Lanes.constant(builder, 1.0, WIDE) / read(total)
        with cgutils.for_range(builder, window) as loop:
            (Lanes.load(builder, logits, place(loop.index), WIDE) * inverse).store(logits, place(loop.index))
        read(total).store(logits, place(window))
        read(moment).store(logits, place(builder.add(window, one)))
