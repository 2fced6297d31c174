"""Geometry: sizes, windows, positions, latents, scale chains."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from clit import geometry
from clit.errors import UserError
from clit.geometry import Region, View, Window
from clit.scale_chain import axis_factors, scale_chain, stage_grids


def list_factors(scale: float, stages: int = 3, chain: str = "published", lr: int = 100) -> list[float]:
    """Return the chain of an image of lr x lr pixels, large enough for the scale to be exact."""
    size = geometry.output_size(lr, lr, scale)
    pairs = scale_chain(size, (lr, lr), stages, chain)
    assert all(y == x for y, x in pairs)
    return [y for y, _ in pairs]


@pytest.mark.parametrize(
    "scale, expected",
    [
        (1, [1]),
        (3, [3]),
        (4, [4]),
        (4.01, [4, 1.0025]),
        (10, [4, 2.5]),
        (16, [4, 4]),
        (16.5, [4, 4, 1.03125]),
        (30, [4, 4, 1.875]),
        (64, [4, 4, 4]),
    ],
)
def test_published_chain(scale, expected):
    assert list_factors(scale) == pytest.approx(expected)


@pytest.mark.parametrize(
    "scale, expected",
    [(1, [1]), (3, [3]), (4, [4]), (9, [3, 3]), (16, [4, 4]), (27, [3, 3, 3]), (64, [4, 4, 4])],
)
def test_balanced_chain(scale, expected):
    assert list_factors(scale, chain="balanced") == pytest.approx(expected)


@pytest.mark.parametrize("chain", ["published", "balanced"])
@pytest.mark.parametrize("stages, scale", [(1, 30), (2, 30), (3, 30), (5, 64), (2, 1.5)])
def test_the_last_stage_takes_what_is_left(chain, stages, scale):
    parts = list_factors(scale, stages, chain)
    assert len(parts) <= stages
    assert math.prod(parts) == pytest.approx(scale)


@pytest.mark.parametrize("chain", ["published", "balanced"])
def test_two_scales_are_split_in_the_same_proportion_of_logarithms(chain):
    pairs = scale_chain((300, 30), (10, 10), 3, chain)  # x30 and x3
    assert len(pairs) == 3
    assert math.prod(y for y, _ in pairs) == pytest.approx(30)
    assert math.prod(x for _, x in pairs) == pytest.approx(3)
    shares = [(math.log(y) / math.log(30), math.log(x) / math.log(3)) for y, x in pairs]
    assert all(y == pytest.approx(x) for y, x in shares)
    assert [y for y, _ in pairs] == [y for _, y in scale_chain((30, 300), (10, 10), 3, chain)]
    # An axis that keeps its size keeps it in every stage.
    assert all(x == 1 for _, x in scale_chain((300, 10), (10, 10), 3, chain))


def test_one_scale_that_rounds_to_both_sizes_is_one_scale():
    # x2.6 of 15 x 12 is 39 x 31, though 31 / 12 is less than 2.6.
    assert geometry.output_size(15, 12, 2.6) == (39, 31)
    assert axis_factors((39, 31), (15, 12)) == (2.6, 2.6)
    assert axis_factors((39, 24), (15, 12)) == (2.6, 2.0)


@pytest.mark.parametrize("scale", [x / 8 for x in range(8, 33)])
def test_rounding_starts_no_second_stage_up_to_4(scale):
    for h in range(1, 12):
        for w in (1, 3, 7, 10):
            assert len(scale_chain(geometry.output_size(h, w, scale), (h, w), 3)) == 1


def test_stage_grids():
    assert stage_grids((8, 10), [(3, 3)]) == [(8, 10)]
    assert stage_grids((8, 10), [(4, 4), (4, 4), (1.875, 1.875)]) == [(8, 10), (32, 40), (128, 160)]
    # 22.5 and 10.5: half to even
    assert stage_grids((9, 7), [(2.5, 1.5), (2, 2)]) == [(9, 7), (22, 10)]


def test_a_view_knows_the_grids_of_its_stages():
    pixels = Window(3, 4, 5, 6).lattice()
    view = View((10, 10), (60, 60), pixels, ((2.0, 2.0), (3.0, 3.0)))
    assert view.grids() == [(10, 10), (20, 20)] and view.count == 30 and view.density == 36
    assert view.with_pixels(pixels.select(slice(0, 2), slice(0, 3))).count == 6
    assert view.clip(Region(-1, 3, 12, 9)) == Region(0, 3, 10, 9)
    assert replace(view, wrap=True).clip(Region(-1, 3, 12, 9)) == Region(-1, 3, 12, 9)


def test_unknown_chain():
    with pytest.raises(UserError, match='"golden".*"published" or "balanced"'):
        scale_chain((30, 30), (10, 10), 3, "golden")


@pytest.mark.parametrize("scale", [0, -1, 0.99, 64.1, 1000, math.nan, math.inf, "large", None, [2]])
def test_invalid_scales(scale):
    with pytest.raises(UserError, match="from 1 to 64"):
        geometry.check_scale(scale)


@pytest.mark.parametrize("scale", [1, 1.0, 2.7, "3.7", 64])
def test_valid_scales(scale):
    assert geometry.check_scale(scale) == float(scale)


def test_sizes():
    assert geometry.resolve_size(10, 20, scale=2.5) == (25, 50)
    assert geometry.resolve_size(1, 1, scale=1) == (1, 1)
    assert geometry.resolve_size(3, 5, scale=1.5) == (4, 8)  # 4.5 and 7.5: half to even
    assert geometry.resolve_size(10, 20, size=(31, 40)) == (31, 40)
    assert geometry.resolve_size(10, 20, size=[10.0, 20]) == (10, 20)


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "Give a scale, or an output size"),
        ({"scale": 2, "size": (20, 40)}, "not both"),
        ({"size": (20,)}, "two whole numbers"),
        ({"size": (20.5, 40)}, "two whole numbers"),
        ({"size": "2x4"}, "two whole numbers"),
        ({"size": 20}, "two whole numbers"),
        ({"size": (math.inf, 40)}, "two whole numbers"),
        ({"size": (9, 40)}, "height is 9"),
        ({"size": (20, 1281)}, "width is 1281"),
    ],
)
def test_invalid_sizes(options, words):
    with pytest.raises(UserError, match=words):
        geometry.resolve_size(10, 20, **options)


def test_windows():
    assert Window(1, 2, 3, 4).check((4, 6)) == Window(1, 2, 3, 4)
    assert (Window(1, 2, 3, 4).bottom, Window(1, 2, 3, 4).right) == (4, 6)
    for window in (
        Window(-1, 0, 2, 2),
        Window(0, -1, 2, 2),
        Window(0, 0, 5, 2),
        Window(3, 0, 2, 2),
        Window(0, 0, 0, 2),
        Window(0, 0, 2, -1),
    ):
        with pytest.raises(UserError, match="does not lie inside the output of 6 x 4 pixels"):
            window.check((4, 6))


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_lattice_is_centred_in_its_window(step):
    window = Window(3, 10, 9, 12)
    pixels = window.lattice(step)
    for index, first, length in ((pixels.rows, 3, 9), (pixels.columns, 10, 12)):
        before, after = int(index[0]) - first, first + length - 1 - int(index[-1])
        assert (index.diff() == step).all() and min(before, after) >= 0
        assert before + after < step and abs(before - after) <= 1


def test_regions():
    region = Region(-1, 2, 4, 9)
    assert region.area == 35
    assert region.clip((3, 8)) == Region(0, 2, 3, 8)
    assert region.clip((3, 8)).slices() == (slice(0, 3), slice(2, 8))
    assert region.intersect(Region(5, 10, 6, 12)).area == 0
    assert region.grow(2) == Region(-3, 0, 6, 11)
    assert region.move(1, -1) == Region(0, 1, 5, 8)
    assert region.contains(Region(0, 3, 4, 9)) and region.contains(region)
    assert not any(region.contains(region.move(*by)) for by in ((1, 0), (-1, 0), (0, 1), (0, -1)))
    assert Region.enclosing(torch.tensor([4, 2]), torch.tensor([[7], [7]])) == Region(2, 7, 5, 8)


@given(n=st.integers(1, 2000), data=st.data())
def test_positions_of_a_part_are_those_of_the_whole(n, data):
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n))
    whole = geometry.pixel_centres(n)
    assert whole.dtype == torch.float32 and len(whole) == n
    assert torch.equal(geometry.pixel_centres(n, torch.arange(start, stop)), whole[start:stop])
    exact = -1 + (2 * torch.arange(n, dtype=torch.float64) + 1) / n
    assert (whole - exact).abs().max() < 1e-6


def test_positions_in_lr_pixels():
    assert geometry.to_pixels(geometry.pixel_centres(4), 4).tolist() == [0, 1, 2, 3]
    assert geometry.to_pixels(geometry.pixel_centres(8), 4).tolist() == pytest.approx(
        [-0.25, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25]
    )


def test_the_nearest_latent_rounds_half_to_even_and_stays_inside():
    positions = torch.tensor([-0.6, -0.5, 0.5, 1.5, 2.5, 2.51, 9.0])
    assert geometry.nearest_latent(positions, 5).tolist() == [0, 0, 0, 2, 2, 3, 4]


@given(n=st.integers(1, 60), size=st.integers(1, 400))
def test_the_nearest_latent_is_the_one_grid_sample_takes(n, size):
    centres = geometry.pixel_centres(size)
    grid = torch.stack([centres, torch.zeros_like(centres)], -1)[None, None]
    row = torch.arange(n, dtype=torch.float32)[None, None, None]
    taken = F.grid_sample(row, grid, mode="nearest", padding_mode="border", align_corners=False).flatten()
    assert geometry.nearest_latent(geometry.to_pixels(centres, n), n).tolist() == taken.tolist()


@given(n=st.integers(1, 60), size=st.integers(1, 400), padding=st.sampled_from(["zeros", "border"]))
def test_linear_taps_are_those_of_grid_sample(n, size, padding):
    centres = geometry.pixel_centres(size)
    grid = torch.stack([centres, torch.zeros_like(centres)], -1)[None, None]
    row = torch.linspace(-1, 1, n).cos()[None, None, None]
    sampled = F.grid_sample(row, grid, mode="bilinear", padding_mode=padding, align_corners=False).flatten()
    index, weight = geometry.linear_taps(geometry.to_pixels(centres, n), n, padding)
    values = row.flatten()[index.clamp(0, n - 1)]
    assert torch.allclose((values * weight).sum(-1), sampled, atol=1e-5)


def test_relative_coordinates():
    centres = geometry.pixel_centres(8)
    nearest = geometry.nearest_latent(geometry.to_pixels(centres, 4), 4)
    rel = geometry.relative_coordinates(centres, nearest, 4, 1)
    assert rel.shape == (8, 3)
    # Latents are 2.0 apart. The query lies a quarter of a latent above its nearest one, which is the middle one.
    assert rel[2].tolist() == pytest.approx([1.5, -0.5, -2.5], abs=1e-5)
    assert rel[3].tolist() == pytest.approx([2.5, 0.5, -1.5], abs=1e-5)
