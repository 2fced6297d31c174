"""Encoders: shapes, padding, and SwinIR's parts against their published form."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from clit.config import EDSRConfig, LIIFConfig, ModelConfig, RDNConfig, SwinIRConfig
from clit.geometry import Region
from clit.networks.encoders import ENCODERS, prepacked, slopes
from clit.networks.encoders.edsr import EDSR
from clit.networks.encoders.swinir import WindowAttention, join_windows, label_regions, split_windows
from clit.networks.model import SRModel

TINY = [
    EDSRConfig(width=6, blocks=2),
    RDNConfig(width=6, blocks=2, layers=3, growth=4),
    SwinIRConfig(width=12, depths=(2, 3), heads=3, window=4, features=5),
]


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.mark.parametrize("config", TINY, ids=lambda c: c.name)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (8, 12), (13, 5)])
def test_features_have_the_image_size(config, size):
    model = SRModel(ModelConfig(config, LIIFConfig(hidden=(4,)))).eval()
    image = torch.rand(2, 3, *size)
    features = model.encode(image)
    assert features.map.shape == (2, model.encoder.channels, *size)
    assert torch.equal(features.image, image * 2 - 1)
    assert features.map.isfinite().all()
    one = model.encode(image[1:]).map
    assert torch.allclose(features.map[1:], one, atol=1e-5)


@pytest.mark.parametrize(
    "config, millions",
    [(EDSRConfig(), 1.2), (RDNConfig(), 22), (SwinIRConfig(), 12)],
    ids=lambda c: str(c)[:5],
)
def test_full_size_networks(config, millions):
    with torch.device("meta"):
        encoder = ENCODERS[config.name](config)
    assert encoder.channels == 64
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, rel=0.06)


def test_rdn_layers_read_everything_before_them():
    encoder = ENCODERS["rdn"](TINY[1])
    x = torch.rand(1, 3, 5, 6)
    f1 = encoder.first(x)
    y, outputs = encoder.second(f1), []
    for block in encoder.blocks:
        parts = [y]
        for conv in block.convs:
            parts.append(F.relu(conv(torch.cat(parts, 1))))
        y = block.fuse(torch.cat(parts, 1)) + y
        outputs.append(y)
    assert torch.equal(encoder(x), encoder.fuse(torch.cat(outputs, 1)) + f1)


@pytest.mark.parametrize("region", [(9, 8, 12, 13), (0, 8, 5, 12), (16, 20, 20, 24), (1, 1, 3, 23), (0, 0, 20, 24)])
@pytest.mark.parametrize("grad", [True, False])
def test_spare_pixels_are_dropped_and_features_stay(region, grad):
    torch.manual_seed(0)
    model = SRModel(ModelConfig(EDSRConfig(width=8, blocks=3), LIIFConfig(hidden=(4,))))
    x, region = torch.rand(1, 3, 20, 24) * 2 - 1, Region(*region)
    with torch.set_grad_enabled(grad):
        whole, part = model.encoder(x), model.encode_part(x, region)
    wanted = whole[(..., *region.slices())]
    assert part.shape == wanted.shape and (part - wanted).abs().max() < 1e-5
    sizes = []
    for block in model.encoder.body:
        block.register_forward_hook(lambda module, inputs, output: sizes.append(output[0, 0].numel()))
    with torch.enable_grad():
        model.encode_part(x, region)
    assert sizes == sorted(sizes, reverse=True) and (sizes[-1] < sizes[0]) == (region.area < 20 * 24)


def test_swinir_does_not_pad_whole_windows():
    model = SRModel(ModelConfig(TINY[2], LIIFConfig(hidden=(4,)))).eval()
    assert model.encoder.multiple == 4
    image = torch.rand(1, 3, 8, 12)
    assert torch.equal(model.encode(image).map, model.encoder(image * 2 - 1))


def test_swinir_pads_by_reflection_and_crops():
    model = SRModel(ModelConfig(TINY[2], LIIFConfig(hidden=(4,)))).eval()
    image = torch.rand(1, 3, 6, 11)
    padded = F.pad(image, (0, 1, 0, 2), mode="reflect")
    assert torch.equal(model.encode(image).map, model.encode(padded).map[..., :6, :11])


def test_splitting_and_joining_windows():
    x = torch.rand(2, 8, 12, 5)
    windows = split_windows(x, 4)
    assert windows.shape == (2, 2, 3, 16, 5)
    assert torch.equal(windows[1, 1, 2, 6], x[1, 4 + 1, 8 + 2])
    assert torch.equal(join_windows(windows, 4), x)


@pytest.mark.parametrize("size", [(4, 4), (8, 12)])
def test_tokens_that_rolling_brought_together_are_masked(size):
    # Roll each token's position with the image: tokens from both sides of a seam then have positions far apart.
    place = torch.stack(torch.meshgrid(*(torch.arange(n) for n in size), indexing="ij"), -1)[None]
    windows = split_windows(torch.roll(place, (-2, -2), (1, 2)), 4)[0]  # (I, J, T, 2)
    apart = (windows[..., :, None, :] - windows[..., None, :, :]).abs().amax(-1) >= 4
    labels = label_regions(*size, 4, torch.device("cpu"))
    masked = labels[..., :, None] != labels[..., None, :]
    if size == (8, 12):
        assert torch.equal(masked, apart)
    else:  # one window: the seam is masked although its sides are near each other
        seam = (windows >= 2).all(-1)
        assert masked.any() and not masked[seam[..., :, None] & seam[..., None, :]].any()


@pytest.mark.parametrize("shifted", [False, True])
def test_window_attention_is_the_published_one(shifted):
    window, heads, d = 4, 3, 5
    attention = WindowAttention(heads * d, heads, window)
    x = torch.randn(2, 2, 3, window**2, heads * d)
    labels = label_regions(8, 12, window, x.device) if shifted else None
    out = attention(x, labels)
    qkv = attention.qkv(x[1, 1, 2])  # one window: (T, 3 M d)
    mixed = torch.zeros(window**2, heads * d)
    for m in range(heads):
        q, k, v = (qkv[:, (part * heads + m) * d : (part * heads + m + 1) * d] for part in range(3))
        for i in range(window**2):
            logits = (q[i] * d**-0.5) @ k.T
            for j in range(window**2):
                dy, dx = i // window - j // window, i % window - j % window
                logits[j] += attention.bias_table[(dy + window - 1) * (2 * window - 1) + dx + window - 1, m]
                if shifted and labels[1, 2, i] != labels[1, 2, j]:
                    logits[j] -= 100
            mixed[i, m * d : (m + 1) * d] = torch.softmax(logits, 0) @ v
    assert torch.allclose(out[1, 1, 2], attention.proj(mixed), atol=1e-5)
    assert math.isfinite(out.sum())


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (28, 32), (33, 20)])
@pytest.mark.parametrize("batch", [1, 3])
def test_edsr_by_onednn_equals_edsr_by_torch(size, batch):
    torch.manual_seed(0)
    encoder, x = EDSR(EDSRConfig()), torch.rand(batch, 3, *size) * 2 - 1
    assert prepacked.applies(x)
    plain = encoder.forward_plain(x)
    for _ in range(2):  # with weights that are laid out anew, and with kept ones
        found = encoder(x)
        assert found.is_contiguous() and (found - plain).abs().max() < 1e-5 * plain.abs().max().clamp(min=1)


def test_changed_weights_are_laid_out_anew_and_copies_have_their_own():
    encoder, x = EDSR(EDSRConfig(width=8, blocks=2)), torch.rand(1, 3, 12, 10)
    before = encoder(x)
    other = copy.deepcopy(encoder)
    encoder.head[0].weight.mul_(2)
    encoder.body[0].body[2].weight.data = torch.zeros(8, 8, 3, 3)
    assert torch.allclose(encoder(x), encoder.forward_plain(x), atol=1e-6)
    assert (encoder(x) - before).abs().max() > 0.01
    assert torch.allclose(other(x), before, atol=1e-6)
    for side in range(3, 12):  # more sizes than layouts are kept of
        x = torch.rand(1, 3, side, side)
        assert torch.allclose(encoder(x), encoder.forward_plain(x), atol=1e-6)


def test_with_gradients_and_in_other_precisions_torch_does_it(monkeypatch):
    encoder, x = EDSR(EDSRConfig(width=8, blocks=1)), torch.rand(1, 3, 6, 6)
    with torch.enable_grad():
        assert not prepacked.applies(x)
        encoder(x).sum().backward()
    assert encoder.head[0].weight.grad.abs().max() > 0
    assert not prepacked.applies(x.double()) and encoder.double()(x.double()).dtype == torch.float64
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not prepacked.applies(x)


@pytest.mark.parametrize("region", [(8, 8, 9, 10), (0, 0, 3, 4), (0, 5, 20, 6), (14, 1, 19, 3), (0, 0, 20, 18)])
def test_slopes_are_the_gradients_by_torch(region):
    """Inside a picture, at its borders and of all of it."""
    encoder, region = EDSR(EDSRConfig(width=6, blocks=2)), Region(*region)
    seen = region.grow(encoder.reach).clip((20, 18))
    spare = region.top - seen.top, region.left - seen.left, seen.bottom - region.bottom, seen.right - region.right
    x = torch.rand(1, 3, 20, 18)[(..., *seen.slices())] * 2 - 1
    transposed = slopes.Transposed(encoder)
    found = slopes.find_slopes(encoder, transposed, x, spare)
    with torch.enable_grad():
        features = encoder.forward_plain(x.requires_grad_(), spare)
        for gradient in torch.randn(2, *features.shape):  # asked twice, as models with one encoder do
            (wanted,) = torch.autograd.grad(features, x, gradient, retain_graph=True)
            assert torch.allclose(found.pull_back(gradient), wanted, atol=1e-5)
    assert torch.allclose(found.features, features, atol=1e-5)
    assert found.nbytes == features.nbytes + sum(bits.nbytes for bits in found.open)
    assert not slopes.applies(encoder, x.double()) and not slopes.applies(ENCODERS["rdn"](TINY[1]), x)
