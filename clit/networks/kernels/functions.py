"""exp, GELU, sine and cosine to the rounding of float32 (1e-7): arithmetic alone, so that loops become vectors."""

import math

import numpy as np

from clit.networks.kernels.tile import kernel


def _floats(*numbers: float) -> tuple[np.float32, ...]:
    return tuple(map(np.float32, numbers))


# From the highest power down: exp, erf = _A / _B, sine and cosine. All but the rational fit of erf are those of Cephes.
_E = _floats(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LN2 = _floats(0.693359375, -2.12194440e-4)  # in parts whose products with small whole numbers are exact
_A = _floats(2.2905065861e-4, 3.4082910107e-3, 5.0955695062e-2, 1.8520832240e-1, 1.1283791435)
_B = _floats(-1.1791602954e-7, 2.3547966471e-5, 1.0179625279e-3, 1.4070470172e-2, 1.1098505178e-1, 4.9746925110e-1)
_S = _floats(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_C = _floats(2.4433157118e-5, -1.3887316255e-3, 4.1666645683e-2)
_HALF_PI = _floats(1.5703125, 4.837512969970703e-4, 7.549789948768648e-8)
_LOG2E, _ROOT, _TURN, _PI = _floats(math.log2(math.e), math.sqrt(0.5), 2 / math.pi, math.pi)
_LOWEST = np.float32(-80)  # such weights are no subnormal numbers yet: many processors are slow with those
_ERF_LIMIT, _HALF, _ONE = _floats(3.8325069, 0.5, 1)  # beyond the limit erf is 1 in float32
_WHOLE = np.float32(1.5 * 2**23)  # a number plus this has its nearest whole number in the lowest bits


@kernel
def exp(x):
    """Return e^x for x <= 88, as 2^n e^r with n whole and |r| <= ln(2) / 2. Below -80 it is e^-80."""
    x = x if x > _LOWEST else _LOWEST
    whole = x * _LOG2E + _WHOLE
    n = whole - _WHOLE
    r = x - n * _LN2[0] - n * _LN2[1]
    p = ((((_E[0] * r + _E[1]) * r + _E[2]) * r + _E[3]) * r + _E[4]) * r + _E[5]
    p = p * (r * r) + r + _ONE
    power = np.int32(np.float32(whole).view(np.int32) << np.int32(23))
    return np.int32(np.float32(p).view(np.int32) + power).view(np.float32)


@kernel
def gelu(x):
    """Return x (1 + erf(x / sqrt(2))) / 2."""
    z = x * _ROOT
    z = z if z < _ERF_LIMIT else _ERF_LIMIT
    z = z if z > -_ERF_LIMIT else -_ERF_LIMIT
    s = z * z
    a = (((_A[0] * s + _A[1]) * s + _A[2]) * s + _A[3]) * s + _A[4]
    b = (((((_B[0] * s + _B[1]) * s + _B[2]) * s + _B[3]) * s + _B[4]) * s + _B[5]) * s + _ONE
    return x * _HALF + x * _HALF * (z * a / b)


@kernel
def relu(x):
    """Return the larger of x and 0, for |x| < 1e38. Loops with a comparison alone become no vectors with AVX2."""
    return (x + abs(x)) * _HALF


@kernel
def wave(half_turns):
    """Return the cosine and the sine of so many half turns, from n quarters and a rest r."""
    x = half_turns * _PI
    whole = x * _TURN + _WHOLE
    n, quarter = whole - _WHOLE, np.float32(whole).view(np.int32)
    r = x - n * _HALF_PI[0] - n * _HALF_PI[1] - n * _HALF_PI[2]
    s = r * r
    sine = ((_S[0] * s + _S[1]) * s + _S[2]) * (s * r) + r
    cosine = ((_C[0] * s + _C[1]) * s + _C[2]) * (s * s) + (_ONE - s * _HALF)
    if quarter & 1:
        sine, cosine = cosine, -sine
    return (-cosine, -sine) if quarter & 2 else (cosine, sine)
