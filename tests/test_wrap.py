"""Periodic pictures: the output tiles without a seam, whatever the scale."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import clit
from clit.config import PLAIN, CLITConfig, EDSRConfig, LIIFConfig, LTEConfig, ModelConfig, SwinIRConfig
from clit.geometry import periodic_positions, periodic_taps
from clit.networks.model import SRModel
from clit.pictures.files import as_array
from clit.pictures.picture import Picture

ENCODER = EDSRConfig(width=5, blocks=1)
DECODERS = {
    "liif": LIIFConfig(hidden=(6, 5)),
    "lte": LTEConfig(width=6, hidden=(6,)),
    "lit": CLITConfig(width=6, heads=2, radius=2, hidden=(6,), fourier=2),
    "clit": CLITConfig(width=6, heads=2, radius=1, hidden=(6,), stages=3),
}
CONFIGS = {**PLAIN, **{name: ModelConfig(ENCODER, decoder) for name, decoder in DECODERS.items()}}


def build(name: str) -> SRModel:
    torch.manual_seed(1)
    return SRModel(CONFIGS[name]).eval()


def texture(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(h * 50 + w).random((h, w, 3), dtype=np.float32)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(CONFIGS)),
    lr=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    scales=st.tuples(*[st.sampled_from([1, 1.5, 2, 2.5, 3, 4, 7.5, 10, 16, 30])] * 2),
    chain=st.sampled_from(["published", "balanced"]),
    data=st.data(),
)
def test_rolling_the_input_rolls_the_output(name, lr, scales, chain, data):
    """For every shift that is whole on the output and on every stage's grid, ties and two scales included."""
    model, image = build(name), texture(*lr)
    size = tuple(round(n * scale) for n, scale in zip(lr, scales, strict=True))
    assume(size[0] * size[1] <= 60_000)
    grids = [size, *model.view(lr, size, chain=chain, wrap=True).grids()]
    shift = []
    for axis, n in enumerate(lr):
        step = math.lcm(*(n // math.gcd(n, grid[axis]) for grid in grids))
        shift.append(data.draw(st.integers(0, n // step)) * step)
    moved = [m * out // n for m, out, n in zip(shift, size, lr, strict=True)]
    renderer = clit.Renderer()
    plain = renderer.render(model, image, size=size, chain=chain, wrap=True, clip=False)
    rolled = renderer.render(model, np.roll(image, shift, (0, 1)), size=size, chain=chain, wrap=True, clip=False)
    np.testing.assert_allclose(rolled, np.roll(plain, moved, (0, 1)), atol=1e-5)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_inside_it_is_what_it_always_was(name):
    """Far from the borders, at a scale without ties, the periodic picture is the plain one."""
    model, image = build(name), texture(28, 30)
    size, inside = (92, 100), (slice(40, 52), slice(43, 56))
    plain = clit.upscale(model, image, size=size, clip=False)
    wrapped = clit.upscale(model, image, size=size, clip=False, wrap=True)
    np.testing.assert_allclose(wrapped[inside], plain[inside], atol=2e-5)
    assert np.abs(wrapped - plain).max() > 1e-3


@pytest.mark.parametrize("name", sorted(CONFIGS))
@pytest.mark.parametrize("scale", [2.5, 4, 11])
def test_the_step_across_the_seam_is_no_larger_than_elsewhere(name, scale):
    y, x = np.mgrid[0:12, 0:10]
    waves = np.sin(2 * np.pi * (y / 12 + np.array([0, 0.3, 0.6])[:, None, None])) * np.cos(2 * np.pi * x / 10)
    image = (0.5 + 0.4 * waves).transpose(1, 2, 0).astype(np.float32)
    rgb = clit.upscale(build(name), image, scale, wrap=True, clip=False)
    for axis in (0, 1):
        steps = np.abs(rgb - np.roll(rgb, 1, axis)).max((1 - axis, 2))  # the first is the one across the seam
        assert steps[0] <= 1.05 * steps[1:].max()


def test_windows_and_files_are_parts_of_the_same_picture(tmp_path):
    model, image = build("clit"), texture(9, 11)
    whole = clit.upscale(model, image, 10, wrap=True)
    part = clit.upscale(model, image, 10, window=(80, 0, 10, 50), wrap=True)
    np.testing.assert_allclose(part, whole[80:90, :50], atol=1e-5)
    clit.save(model, image, tmp_path / "tile.png", 10, wrap=True)
    np.testing.assert_allclose(as_array(tmp_path / "tile.png"), whole, atol=1 / 65535)


def test_hidden_colours_are_filled_across_the_border():
    rgb = np.full((12, 10, 3), 0.2, np.float32)
    rgb[:, -2:] = 0.9
    alpha = np.ones((12, 10), np.float32)
    alpha[:, :3] = 0
    filled = Picture(rgb, alpha).to_enlarge(wrap=True)
    np.testing.assert_allclose(filled[:, 0], 0.9)  # its nearest visible pixel is the last one of the row
    np.testing.assert_allclose(filled[:, 2], 0.2)
    moved = Picture(np.roll(rgb, 4, 1), np.roll(alpha, 4, 1)).to_enlarge(wrap=True)
    np.testing.assert_allclose(moved, np.roll(filled, 4, 1))


def test_positions_are_exact_fractions():
    whole, rest = periodic_positions(25, 10, torch.tensor([0, 1, 2, 24, 25, -1]))
    assert (whole + rest / 50).tolist() == pytest.approx([(2 * i + 1) / 5 - 0.5 for i in (0, 1, 2, 24, 25, -1)])
    assert whole[4] == whole[0] + 10 and rest[4] == rest[0]
    index, weight = periodic_taps(25, 10, torch.tensor([0, 25]))
    assert index.tolist() == [[-1, 0], [9, 10]] and weight[0].tolist() == pytest.approx([0.3, 0.7])


def test_an_encoder_that_sees_whole_pictures_is_refused():
    model = SRModel(ModelConfig(SwinIRConfig(width=6, depths=(1,), heads=3, window=2, features=5), DECODERS["lit"]))
    with pytest.raises(clit.UserError, match="periodic"):
        clit.upscale(model, texture(4, 4), 2, wrap=True)


@pytest.mark.parametrize("name", ["liif", "lit"])
def test_a_texture_does_not_share_maps_with_its_repetition_as_a_picture(name):
    model, renderer = build(name), clit.Renderer()
    margin = model.encoder.reach + model.radius + 4
    repeated = np.pad(texture(8, 9), ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
    renderer.render(model, texture(8, 9), scale=2, wrap=True)
    seen = renderer.render(model, repeated, scale=2, clip=False)
    np.testing.assert_allclose(seen, clit.Renderer().render(model, repeated, scale=2, clip=False), atol=1e-6)
