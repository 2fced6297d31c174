"""Decoders: the fast order equals the plain definition and the formulas, and a window equals that part of the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clit.config import PLAIN, CLITConfig, EDSRConfig, LIIFConfig, LTEConfig, ModelConfig
from clit.geometry import Window, pixel_centres
from clit.networks.decoders.base import Features
from clit.networks.layers import Resampling, convolve_resampled
from clit.networks.model import SRModel
from clit.scale_chain import scale_chain, stage_grids

ENCODER = EDSRConfig(width=8, blocks=1)
TOLERANCE = 1e-5
SCALES = st.one_of(st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 16.0]), st.floats(1, 30))
few = settings(max_examples=60, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def no_gradients():
    with torch.no_grad():
        yield


def build(decoder, dtype=torch.float32, seed: int = 0) -> SRModel:
    """Build a model whose random weights are large enough for every term to matter."""
    model = SRModel(ModelConfig(ENCODER, decoder)).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model.to(dtype)


def random_picture(h: int, w: int, dtype=torch.float32, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, h, w, generator=torch.Generator().manual_seed(h * 100 + w)).to(dtype)


def list_pixels(window: Window) -> Tensor:
    """Return every pixel (Q, 2) of a window."""
    lattice = window.lattice()
    return torch.cartesian_prod(lattice.rows, lattice.columns)


@dataclass(frozen=True)
class Case:
    """The sizes of an image and of an output, and a window of the output."""

    lr: tuple[int, int]
    size: tuple[int, int]
    window: Window


@st.composite
def views(draw, largest: int = 20) -> Case:
    """Draw sizes from 1 x 1 up, a scale per axis, and windows inside and at every border."""

    def axis() -> tuple[int, int, int, int]:
        n = draw(st.integers(1, 9))
        out = round(n * draw(SCALES))
        length = draw(st.integers(1, min(out, largest)))
        start = draw(st.sampled_from([0, out - length]) | st.integers(0, out - length))
        return n, out, start, length

    (h, rows, top, height), (w, columns, left, width) = axis(), axis()
    return Case((h, w), (rows, columns), Window(top, left, height, width))


@st.composite
def decoders(draw):
    """Draw decoder configurations of all methods, with the options of their views."""
    kind = draw(st.sampled_from(["liif", "lte", "clit", "clit", "clit"]))
    hidden = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    if kind == "liif":
        return LIIFConfig(hidden=hidden), {}
    if kind == "lte":
        return LTEConfig(width=2 * draw(st.integers(1, 5)), hidden=hidden), {}
    heads = draw(st.integers(1, 4))
    config = CLITConfig(
        width=heads * draw(st.integers(1, 4)),
        heads=heads,
        radius=draw(st.integers(0, 4)),
        hidden=hidden,
        stages=draw(st.integers(1, 3)),
        octaves=draw(st.sampled_from([0.0, 4.0, 10.0])),
        fourier=draw(st.sampled_from([0, 0, 3])),
    )
    return config, {"chain": draw(st.sampled_from(["published", "balanced"]))}


@few
@given(view=views(), decoder=decoders(), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_fast_equals_plain(view, decoder, dtype):
    config, options = decoder
    model = build(config, dtype)
    features = model.encode(random_picture(*view.lr, dtype, batch=2))
    field = model.prepare(features, model.view(view.lr, view.size, view.window, **options))
    plain = model.query(field, list_pixels(view.window)).unflatten(1, (view.window.height, view.window.width))
    fast = model.render(field)
    assert fast.shape == (2, view.window.height, view.window.width, 3) and fast.dtype == dtype
    # In double precision only the weights of ensembles are less exact: they are computed in float32.
    exact = dtype == torch.float64 and config.name == "clit"
    assert (fast - plain).abs().max() <= (1e-12 if exact else TOLERANCE)


@few
@given(view=views(), decoder=decoders())
def test_windows_equal_the_same_part_of_the_whole(view, decoder):
    config, options = decoder
    model = build(config)
    features = model.encode(random_picture(*view.lr))
    window = view.window
    part = model.render(model.prepare(features, model.view(view.lr, view.size, window, **options)))
    around = Window(0, 0, *view.size)
    if view.size[0] * view.size[1] > 100**2:  # a larger window stands for the whole, to save time
        top, left = max(window.top - 7, 0), max(window.left - 5, 0)
        bottom, right = min(window.bottom + 6, view.size[0]), min(window.right + 8, view.size[1])
        around = Window(top, left, bottom - top, right - left)
    whole = model.render(model.prepare(features, model.view(view.lr, view.size, around, **options)))
    rows, columns = Window(window.top - around.top, window.left - around.left, window.height, window.width).slices()
    cut = whole[:, rows, columns]
    assert (cut - part).abs().max() <= TOLERANCE


@few
@given(view=views(), kernel=st.sampled_from(["bilinear", "bicubic"]))
def test_plain_interpolation_is_a_decoder_too(view, kernel):
    """Its fast order equals the plain one, a window equals that part of the whole, and it reads no features."""
    model = SRModel(PLAIN[kernel])
    features = model.encode(random_picture(*view.lr, batch=2))
    part = model.view(view.lr, view.size, view.window)
    field = model.prepare(features, part)
    fast = model.render(field)
    plain = model.query(field, list_pixels(view.window)).unflatten(1, (view.window.height, view.window.width))
    assert fast.shape == (2, view.window.height, view.window.width, 3)
    assert (fast - plain).abs().max() <= 1e-6
    small = model.view(view.lr, (min(view.size[0], 90), min(view.size[1], 90)))
    rows, columns = (slice(n // 3, n // 3 + max(1, n // 2)) for n in small.size)
    whole = model.render(model.prepare(features, small))
    cut = model.render(model.prepare(features, small.with_pixels(small.pixels.select(rows, columns))))
    assert torch.equal(cut, whole[:, rows, columns])
    assert model.decoder.reads(part).area == 0 and features.map.numel() == 0


@few
@given(view=views(largest=9), decoder=decoders())
def test_attend_returns_the_weights_that_the_fast_order_used(view, decoder):
    """Decoding with the weights of `attend` gives the colours of the fast order."""
    config, options = decoder
    model = build(config)
    decoder = model.decoder
    field = model.prepare(
        model.encode(random_picture(*view.lr)), model.view(view.lr, view.size, view.window, **options)
    )
    positions = list_pixels(view.window)
    row, column = (positions - torch.tensor([view.window.top, view.window.left])).unbind(-1)
    attended = decoder.attend(field, positions)
    if isinstance(config, CLITConfig):
        made = 0
        for stage, stage_field, a in zip(decoder.stages, field.stages, attended, strict=False):
            assert a.weights.shape == (1, len(positions), config.heads, (2 * config.radius + 1) ** 2)
            assert torch.allclose(a.weights.sum(-1), torch.ones(()), atol=1e-5)
            assert torch.allclose(torch.softmax(a.content + a.position, -1), a.weights, atol=1e-6)
            weighted = stage.weigh_values(stage_field, row, column, a.weights)
            made = stage.decode(stage_field, weighted, stage.compute_fourier(stage_field, row, column)) + 0.75 * made
        made = made + field.skip.query(row, column)
    else:
        [found] = attended
        predictions = decoder._predict_four(field, positions)[1].flatten(0, 1)  # (4, B, Q, 3)
        assert found.weights.shape == (1, len(positions), 1, 4)
        assert torch.allclose(found.weights.sum(-1), torch.ones(()), atol=1e-5)
        made = torch.einsum("bqp,pbqc->bqc", found.weights[:, :, 0], predictions)
        made = made + (field.skip.query(row, column) if config.name == "lte" else 0)
    fast = decoder.render(field).flatten(1, 2)
    assert (fast - made).abs().max() <= TOLERANCE


@few
@given(view=views(largest=4), seed=st.integers(0, 5), data=st.data())
def test_attention_by_the_formulas(view, seed, data):
    """Compute CLIT as the paper writes it: pixel by pixel, head by head, latent by latent."""
    heads = data.draw(st.integers(1, 3))
    radius = data.draw(st.integers(0, 3))
    fourier = data.draw(st.sampled_from([0, 2]))
    config = CLITConfig(2 * heads, heads, radius, hidden=(5, 4), stages=2, octaves=6.0, fourier=fourier)
    model = build(config, seed=seed)
    features = model.encode(random_picture(*view.lr))
    positions = list_pixels(view.window)[:6]
    rgb = model.query(model.prepare(features, model.view(view.lr, view.size, view.window)), positions)[0]
    for position, colour in zip(positions.tolist(), rgb, strict=True):
        # The positional frequencies amplify the rounding of float32 coordinates.
        assert (apply_formulas(model, features, view, position) - colour).abs().max() < 1e-3


def apply_formulas(model: SRModel, features: Features, view: Case, position: list[int]) -> Tensor:
    """Return the colour of one output pixel by the formulas alone."""
    decoder, config, lr = model.decoder, model.config.decoder, view.lr
    r, d = config.radius, config.width // config.heads
    z_lr = F.conv2d(features.map, decoder.embed.weight, decoder.embed.bias, padding=1)
    centre = [pixel_centres(view.size[axis])[position[axis]] for axis in (0, 1)]
    at = torch.stack(centre[::-1])[None, None, None]  # (x, y), the order of grid_sample
    frequencies = 2 ** torch.linspace(0, config.octaves, 16) - 1
    result = torch.zeros(3)
    for stage, grid in zip(decoder.stages, stage_grids(lr, scale_chain(view.size, lr, config.stages)), strict=False):
        z = z_lr
        if grid != lr or stage is not decoder.stages[0]:
            mesh = torch.meshgrid(pixel_centres(grid[0]), pixel_centres(grid[1]), indexing="ij")
            z = F.grid_sample(z_lr, torch.stack(mesh[::-1], -1)[None], align_corners=False)
        q, k, v = (
            F.conv2d(z, c.weight, c.bias, padding=1) for c in (stage.query_conv, stage.key_conv, stage.value_conv)
        )
        query = F.grid_sample(q, at, align_corners=False).flatten()
        index = [((centre[axis] + 1) * grid[axis] - 1) / 2 for axis in (0, 1)]
        nearest = [min(max(round(index[axis].item()), 0), grid[axis] - 1) for axis in (0, 1)]
        logits, values = [], []
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                y, x = nearest[0] + dy, nearest[1] + dx
                inside = 0 <= y < grid[0] and 0 <= x < grid[1]
                key, value = (m[0, :, y, x] if inside else torch.zeros(config.width) for m in (k, v))
                rel = [2 * (index[0] - y), 2 * (index[1] - x)]
                gamma = torch.cat(
                    [torch.sin(frequencies * rel[0]), torch.sin(frequencies * rel[1])]
                    + [torch.cos(frequencies * rel[0]), torch.cos(frequencies * rel[1])]
                )
                bias = decoder.bias.proj(gamma)
                content = [query[m * d : (m + 1) * d] @ key[m * d : (m + 1) * d] for m in range(config.heads)]
                logits.append(torch.stack(content) / math.sqrt(d) + bias)
                values.append(value)
        attention = torch.softmax(torch.stack(logits), 0)  # (P, M)
        weighted = torch.stack(values) * attention.repeat_interleave(d, 1)
        cell = torch.tensor([2 / view.size[0] * grid[0], 2 / view.size[1] * grid[1]])
        x = torch.cat([weighted.flatten(), cell])
        if config.fourier:
            conv, (y, column) = stage.fourier_conv, nearest
            made = F.conv2d(z, conv.weight, conv.bias, padding=1)[0, :, y, column]
            of_cosines, of_sines, along_y, along_x = made.chunk(4)
            phase = math.pi * (along_y * 2 * (index[0] - y) + along_x * 2 * (index[1] - column))
            x = torch.cat([x, of_cosines * torch.cos(phase), of_sines * torch.sin(phase)])
        for layer in list(stage.mlp)[:-1:2]:
            x = F.gelu(layer(x))
        result = stage.mlp[-1](x) + 0.75 * result
    skip = F.grid_sample(features.image, at, padding_mode="border", align_corners=False).flatten()
    return (result + skip) / 2 + 0.5


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_stopping_early_is_a_cascade_with_fewer_stages(stages):
    model = build(CLITConfig(width=4, heads=2, radius=1, hidden=(6,), stages=3))
    features, size = model.encode(random_picture(3, 4)), (90, 120)
    whole = model.prepare(features, model.view((3, 4), size))
    stopped = model.prepare(features, model.view((3, 4), size, stages=stages))
    assert len(whole.stages) == 3 and len(stopped.stages) == stages
    rgb = model.render(stopped)
    if stages == 3:
        assert torch.equal(rgb, model.render(whole))
    else:
        assert (rgb - model.render(whole)).abs().max() > 1e-3
    after = list(model.render_stages(whole))
    assert len(after) == 3
    torch.testing.assert_close(after[stages - 1], rgb, rtol=0, atol=1e-6)


@pytest.mark.parametrize("decoder", [LIIFConfig(hidden=(6, 5)), LTEConfig(width=6, hidden=(5,)), CLITConfig(
    width=4, heads=2, radius=1, hidden=(6, 5), stages=2)], ids=lambda c: c.name)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_models_run(decoder, dtype):
    exact = build(decoder)
    features = exact.encode(random_picture(5, 4))
    reference = exact.render(exact.prepare(features, exact.view((5, 4), (30, 24))))
    model = build(decoder, dtype)
    features = model.encode(random_picture(5, 4, dtype))
    field = model.prepare(features, model.view((5, 4), (30, 24)))
    for rgb in (model.render(field), model.query(field, list_pixels(Window(0, 0, 30, 24))).view(1, 30, 24, 3)):
        assert (rgb.float() - reference).abs().max() < (0.2 if dtype == torch.bfloat16 else 0.03)


def test_a_flat_picture_stays_flat_under_the_skip():
    model = build(CLITConfig(width=4, heads=2, radius=1, hidden=(6,), stages=1))
    for layer in (model.decoder.stages[0].mlp[-1].weight, model.decoder.stages[0].mlp[-1].bias):
        layer.zero_()
    features = model.encode(torch.full((1, 3, 3, 2), 0.25))
    rgb = model.render(model.prepare(features, model.view((3, 2), (20, 9))))
    assert torch.allclose(rgb, torch.tensor(0.25), atol=1e-6)


@few
@given(view=views(largest=8), decoder=decoders())
def test_gradients_of_the_fast_order_are_those_of_the_plain(view, decoder):
    config, options = decoder
    model = build(config, torch.float64)
    image = random_picture(*view.lr, torch.float64)
    found = []
    for fast in (True, False):
        model.zero_grad()
        with torch.enable_grad():
            field = model.prepare(model.encode(image), model.view(view.lr, view.size, view.window, **options))
            rgb = model.render(field).flatten(1, 2) if fast else model.query(field, list_pixels(view.window))
            (rgb * torch.linspace(-1, 1, rgb.numel(), dtype=rgb.dtype).view_as(rgb)).sum().backward()
        found.append({name: p.grad for name, p in model.named_parameters()})
    fast, plain = found
    assert any(g is not None and g.abs().max() > 0 for g in fast.values())
    for name, expected in plain.items():
        assert (fast[name] is None) == (expected is None), name
        if expected is not None:
            largest = expected.abs().max().clamp(min=1e-9)
            assert ((fast[name] - expected).abs().max() / largest) < 1e-5, name


@few
@given(view=views(largest=12))
def test_convolving_a_resampled_map_needs_no_resampled_map(view):
    """CLIT's later stages: nine 1x1 maps, resampled and shifted, equal the convolution of the resampled map."""
    torch.manual_seed(1)
    conv = torch.nn.Conv2d(3, 4, 3, padding=1).double()
    z = torch.randn(2, 3, *view.lr, dtype=torch.float64)
    grid = [pixel_centres(n) for n in view.size]
    mesh = torch.stack(torch.meshgrid(*grid, indexing="ij"), -1).flip(-1).double()
    resampled = F.grid_sample(z, mesh.expand(2, -1, -1, -1), padding_mode="zeros", align_corners=False)
    w = view.window
    expected = conv(resampled)[(..., *w.slices())].permute(0, 2, 3, 1)
    rows = Resampling.prepare(view.lr[0], view.size[0], w.top - 1, w.bottom + 1, None)
    columns = Resampling.prepare(view.lr[1], view.size[1], w.left - 1, w.right + 1, None)
    part = z[:, :, rows.first :, columns.first :][:, :, : rows.matrix.shape[1], : columns.matrix.shape[1]]
    found = convolve_resampled(conv, part.permute(0, 2, 3, 1), rows, columns)
    assert found.shape == expected.shape and (found - expected).abs().max() < 1e-4
