"""Antialiased bicubic resizing against Pillow, and against an independently written MATLAB imresize."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clit.errors import UserError
from clit.pictures.resize import axis_taps, published_pair, resize_matlab, resize_pil

SIZES = [  # (h, w) -> (H, W)
    ((64, 48), (32, 24)),
    ((65, 47), (13, 30)),
    ((5, 7), (50, 71)),
    ((33, 90), (32, 91)),
    ((100, 30), (7, 3)),
    ((90, 90), (3, 3)),
    ((7, 9), (1, 1)),
    ((1, 1), (4, 5)),
    ((1, 40), (3, 17)),
    ((20, 20), (20, 20)),
]


def noise(h, w, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


def pillow(image, size):
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))


def difference(a, b):
    assert a.shape == b.shape and a.dtype == b.dtype
    return np.abs(a.astype(np.float64) - b).max()


@pytest.mark.parametrize("before, after", SIZES)
def test_equals_pillow(before, after):
    image = noise(*before)
    assert difference(resize_pil(image, after), pillow(image, after)) <= 1
    grey = np.random.default_rng(1).random(before, np.float32)
    assert difference(resize_pil(grey, after), pillow(grey, after)) <= 1e-6


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(1, 60)] * 4))
def test_equals_pillow_at_any_size(sizes):
    image = noise(*sizes[:2], seed=sum(sizes))
    assert difference(resize_pil(image, sizes[2:]), pillow(image, sizes[2:])) <= 1


def imresize(image, scales, sizes):
    """MATLAB's imresize(image, scale, "bicubic"), written pixel by pixel with its 1-based coordinates."""

    def kernel(x):
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0

    def along_rows(x, scale, n_out):
        n_in, out = len(x), []
        for i in range(1, n_out + 1):
            u = i / scale + 0.5 * (1 - 1 / scale)
            shrink = min(scale, 1)
            total, weights = 0, 0
            for j in range(math.floor(u - 2 / shrink) - 1, math.ceil(u + 2 / shrink) + 2):
                weight = kernel(shrink * (u - j))
                mirrored = (list(range(n_in)) + list(range(n_in))[::-1])[(j - 1) % (2 * n_in)]
                total, weights = total + weight * x[mirrored], weights + weight
            out.append(total / weights)
        out = np.array(out)
        return out if image.dtype != np.uint8 else np.clip(np.floor(out + 0.5), 0, 255)

    x = image.astype(np.float64)
    for axis in [0, 1] if scales[0] <= scales[1] else [1, 0]:
        x = along_rows(x.swapaxes(0, axis), scales[axis], sizes[axis]).swapaxes(0, axis)
    return x.astype(image.dtype)


@pytest.mark.parametrize("before, after", SIZES)
def test_equals_an_independent_imresize(before, after):
    scales = (after[0] / before[0], after[1] / before[1])
    image = np.random.default_rng(2).random((*before, 3))
    assert difference(resize_matlab(image, after), imresize(image, scales, after)) <= 1e-12
    image = noise(*before)
    assert difference(resize_matlab(image, after), imresize(image, scales, after)) <= 1


@pytest.mark.parametrize("scale", [1 / 3, 0.3, 2.3])
def test_matlab_scale_sets_the_size(scale):
    image = noise(17, 23)
    size = (math.ceil(17 * scale), math.ceil(23 * scale))
    assert difference(resize_matlab(image, scale=scale), imresize(image, (scale, scale), size)) <= 1


def test_known_values():
    # A step edge enlarged twice: pixels at 0.75 and 1.75 weigh 0.2265625 and -0.0234375 in the kernel with a = -0.5.
    step = np.array([[0.0, 0.0, 1.0, 1.0]])
    expected = [0.203125, 0.796875]
    np.testing.assert_allclose(resize_pil(step, (1, 8))[0, 3:5], expected, atol=1e-12)
    np.testing.assert_allclose(resize_matlab(step, (1, 8))[0, 3:5], expected, atol=1e-12)


@pytest.mark.parametrize("resize", [resize_pil, resize_matlab])
def test_constant_and_flip(resize):
    assert (resize(np.full((19, 31, 3), 77, np.uint8), (8, 45)) == 77).all()
    image = np.random.default_rng(3).random((24, 36, 3))
    flipped = resize(image[::-1, ::-1], (7, 50))[::-1, ::-1]
    np.testing.assert_allclose(resize(image, (7, 50)), flipped, atol=1e-12)


def test_the_rules_agree_away_from_the_border_only():
    image = np.random.default_rng(4).random((48, 48))
    a, b = resize_pil(image, (16, 16)), resize_matlab(image, (16, 16))
    np.testing.assert_allclose(a[2:-2, 2:-2], b[2:-2, 2:-2], atol=1e-12)
    assert np.abs(a - b).max() > 1e-3


@pytest.mark.parametrize("resize", [resize_pil, resize_matlab])
@pytest.mark.parametrize("before, after", SIZES)
def test_pictures_and_tensors_say_the_same(resize, before, after):
    image = torch.rand((2, 3, *before), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for picture, result in zip(image.numpy(), resize(image, after).numpy(), strict=True):
        np.testing.assert_allclose(resize(picture.transpose(1, 2, 0), after), result.transpose(1, 2, 0), atol=1e-12)


def test_gradients_pass_through():
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    resize_pil(image, (4, 4)).sum().backward()
    assert image.grad.sum().item() == pytest.approx(3 * 16, rel=1e-5)


def test_taps_stay_inside_and_sum_to_one():
    for rule in ("pil", "matlab"):
        index, weight = axis_taps(37, 11, rule)
        assert index.shape == weight.shape and index.min() >= 0 and index.max() < 37
        np.testing.assert_allclose(weight.sum(1), 1, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4, 6, 2.5])
def test_published_pair(scale):
    image = noise(51, 64)
    lr, hr = published_pair(image, scale)
    assert hr.shape[:2] == tuple(round(n * scale) for n in lr.shape[:2])
    assert (hr == image[: hr.shape[0], : hr.shape[1]]).all()
    if scale in (2, 3, 4):
        exact = resize_matlab(hr.astype(np.float64), lr.shape[:2]).clip(0, 255)
        assert np.abs(lr - exact).max() <= 0.5
    else:
        assert (lr == resize_pil(hr, lr.shape[:2])).all()


def test_refuses():
    image = noise(4, 4)
    for call in (
        lambda: resize_pil(image, (0, 3)),
        lambda: resize_matlab(image),
        lambda: resize_matlab(image, (2, 2), 0.5),
        lambda: resize_matlab(image, scale=-1),
        lambda: axis_taps(4, 4, "lanczos"),
        lambda: published_pair(image, 8),
    ):
        with pytest.raises(UserError):
            call()
