"""PSNR and SSIM against torchmetrics and against hand-made cases."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from clit.errors import UserError
from clit.pictures.metrics import luma, psnr, ssim


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(0, 0.05, (60, 70, 3)), axis=1)
    truth = np.clip(0.5 + smooth, 0, 1).astype(np.float32)
    guess = np.clip(truth + rng.normal(0, 0.03, truth.shape), 0, 1).astype(np.float32)
    guess[:4], guess[-4:], guess[:, :4], guess[:, -4:] = 0, 0, 0, 0  # only a border left out hides this
    return guess, truth


def bt601(rgb):
    """Luma in 0..1 by the usual definition: 16 + 65.481 R + 128.553 G + 24.966 B, over 255."""
    return (16 + rgb.astype(np.float64) @ np.array([65.481, 128.553, 24.966])) / 255


def inner(x, border):
    return torch.from_numpy(np.ascontiguousarray(x[border:-border, border:-border]))


def test_luma_is_bt601(pair):
    np.testing.assert_allclose(luma(pair[1]), bt601(pair[1]), atol=1e-4)
    assert luma(np.zeros((1, 1, 3))) == pytest.approx(16 / 255, abs=1e-4)
    assert luma(np.ones((1, 1, 3))) == pytest.approx(235 / 255, abs=1e-4)


@pytest.mark.parametrize("scale, border", [(4, 4), (3.2, 4), (7, 7)])
def test_benchmark_rule(pair, scale, border):
    expected = peak_signal_noise_ratio(*(inner(bt601(x), border) for x in pair), data_range=1.0)
    assert psnr(*pair, scale=scale) == pytest.approx(expected.item(), abs=2e-3)


@pytest.mark.parametrize("scale, border", [(3.2, 4), (8, 8), (12, 8)])
def test_capped_rule_leaves_out_eight_pixels_at_most(pair, scale, border):
    expected = peak_signal_noise_ratio(*(inner(bt601(x), border) for x in pair), data_range=1.0)
    assert psnr(*pair, "capped", scale=scale) == pytest.approx(expected.item(), abs=2e-3)
    assert ssim(*pair, "capped", scale=scale) == ssim(*pair, scale=border)
    assert (psnr(*pair, "capped", scale=scale) == psnr(*pair, scale=scale)) == (scale <= 8)


def test_div2k_rule(pair):
    expected = peak_signal_noise_ratio(*(inner(x, 9) for x in pair), data_range=1.0)
    assert psnr(*pair, "div2k", scale=3) == pytest.approx(expected.item(), abs=1e-3)


def test_ssim(pair):
    a, b = (inner(bt601(x), 4)[None, None] for x in pair)
    _, everywhere = structural_similarity_index_measure(
        a, b, gaussian_kernel=True, sigma=1.5, data_range=1.0, return_full_image=True
    )
    expected = everywhere[..., 5:-5, 5:-5].mean().item()  # the field counts full windows only
    assert ssim(*pair, scale=4) == pytest.approx(expected, abs=1e-4)
    assert ssim(pair[1], pair[1], scale=4) == pytest.approx(1)


def test_known_psnr():
    black = np.zeros((20, 20, 3), np.float32)
    assert psnr(black, black + 0.1, "div2k", scale=1) == pytest.approx(20, abs=1e-4)
    grey_luma = (65.738 + 129.057 + 25.064) / 256
    assert psnr(black, black + 0.1, scale=1) == pytest.approx(20 - 20 * math.log10(grey_luma), abs=1e-4)
    assert psnr(black, black, scale=2) == math.inf


def test_bytes_and_floats_are_the_same_picture(pair):
    rounded = [np.rint(x * 255).astype(np.uint8) for x in pair]
    floats = [x.astype(np.float32) / 255 for x in rounded]
    assert psnr(*rounded, scale=4) == psnr(*floats, scale=4)
    assert ssim(*rounded, scale=4) == ssim(*floats, scale=4)


def test_refuses(pair):
    guess, truth = pair
    for call in (
        lambda: psnr(guess, truth[:-1], scale=2),
        lambda: psnr(guess[..., 0], truth[..., 0], scale=2),
        lambda: psnr(guess, truth, "vdsr", scale=2),
        lambda: ssim(guess, truth, "vdsr", scale=2),
        lambda: psnr(guess, truth, scale=30),
        lambda: ssim(guess, truth, scale=25),
    ):
        with pytest.raises(UserError):
            call()
