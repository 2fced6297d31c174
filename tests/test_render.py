"""The renderer and the public functions: windows, tiles, cache, cancel, errors, attention as arrays."""

import numpy as np
import pytest
import torch

import clit
from clit import render as rendering
from clit.config import PRESETS, CLITConfig, EDSRConfig, LIIFConfig, LTEConfig, ModelConfig
from clit.model import SRModel

DECODERS = {
    "liif": LIIFConfig(hidden=(8, 8)),
    "lte": LTEConfig(width=8, hidden=(8,)),
    "lit": CLITConfig(width=8, heads=2, radius=2, hidden=(8, 8)),
    "clit": CLITConfig(width=8, heads=2, radius=3, hidden=(8,), stages=3),
}


def tiny(name: str) -> SRModel:
    torch.manual_seed(3)
    return SRModel(ModelConfig(EDSRConfig(width=8, blocks=1), DECODERS[name])).eval()


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((9, 7, 3), dtype=np.float32)


@pytest.mark.parametrize("name", DECODERS)
def test_a_window_equals_the_same_part_of_the_whole_and_the_reference(name, image, monkeypatch):
    model = tiny(name)
    whole = clit.upscale(model, image, 20.3)
    assert whole.shape == (round(9 * 20.3), round(7 * 20.3), 3) and whole.dtype == np.float32
    assert whole.min() >= 0 and whole.max() <= 1
    monkeypatch.setattr(rendering, "TILE", 48)  # seams would show
    np.testing.assert_allclose(clit.upscale(model, image, 20.3), whole, atol=1e-6)
    part = clit.upscale(model, image, 20.3, window=(100, 60, 40, 50), method="reference")
    np.testing.assert_allclose(part, whole[100:140, 60:110], atol=1e-5)


def test_sizes_may_differ_per_axis_and_a_single_pixel_has_colour():
    one = np.full((1, 1, 3), 0.5, np.float32)
    for name in DECODERS:
        out = clit.upscale(tiny(name), one, size=(3, 7), clip=False)
        assert out.shape == (3, 7, 3) and np.isfinite(out).all()


def test_stages_and_chain_change_what_clit_draws(image):
    model = tiny("clit")
    pictures = [clit.upscale(model, image, 30, window=(90, 90, 8, 8), clip=False, stages=n) for n in (1, 2, 3)]
    assert np.abs(pictures[0] - pictures[1]).max() > 0 and np.abs(pictures[1] - pictures[2]).max() > 0
    np.testing.assert_array_equal(pictures[2], clit.upscale(model, image, 30, window=(90, 90, 8, 8), clip=False))
    balanced = clit.upscale(model, image, 30, window=(90, 90, 8, 8), clip=False, chain="balanced")
    assert np.abs(balanced - pictures[2]).max() > 0


def test_progress_rises_to_one_and_cancel_stops(image, monkeypatch):
    monkeypatch.setattr(rendering, "TILE", 16)
    heard: list[float] = []
    clit.upscale(tiny("liif"), image, 5, progress=heard.append)
    assert heard == sorted(heard) and len(heard) > 3 and heard[-1] == 1
    with pytest.raises(clit.Cancelled):
        clit.upscale(tiny("liif"), image, 5, cancel=lambda: True)


def test_features_are_shared_between_models_with_equal_encoders(image, monkeypatch):
    first, second = tiny("liif"), tiny("lit")
    second.encoder.load_state_dict(first.encoder.state_dict())
    renderer = clit.Renderer()
    features = renderer.features(first, image)
    assert renderer.features(second, image) is features
    with torch.no_grad():
        next(second.encoder.parameters()).add_(1)
    assert renderer.features(second, image) is not features


def test_the_feature_cache_is_bounded(image):
    renderer, model = clit.Renderer(cache_bytes=1), tiny("liif")
    features = renderer.features(model, image)
    renderer.features(model, image[:5])
    assert renderer.features(model, image) is not features


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scale": 0}, "from 1 to 64"),
        ({"scale": -1}, "from 1 to 64"),
        ({"scale": float("nan")}, "from 1 to 64"),
        ({"scale": 1000}, "from 1 to 64"),
        ({"scale": "two"}, "from 1 to 64"),
        ({}, "either a scale or an output size"),
        ({"scale": 2, "size": (18, 14)}, "either a scale or an output size"),
        ({"size": (5, 14)}, "height"),
        ({"size": (18.5, 14)}, "whole numbers"),
        ({"scale": 2, "window": (0, 0, 19, 1)}, "does not lie inside"),
        ({"scale": 2, "window": (0, 0, 0, 1)}, "does not lie inside"),
        ({"scale": 2, "window": "all"}, "four whole numbers"),
        ({"scale": 2, "method": "quick"}, "reference"),
        ({"scale": 2, "chain": "long"}, "balanced"),
        ({"scale": 2, "stages": 4}, "from 1 to 3"),
    ],
)
def test_wrong_input_gets_one_sentence(image, wrong, said):
    with pytest.raises(clit.UserError, match=said) as error:
        clit.upscale(tiny("clit"), image, **wrong)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["lit", "clit"])
@pytest.mark.parametrize("pixel", [(0, 0), (100, 77), (179, 139)])
def test_attention_is_what_made_the_pixel(name, pixel, image):
    model = tiny(name)
    seen = clit.attend(model, image, pixel, 20)
    assert seen.kind == "attention" and len(seen.stages) == {"lit": 1, "clit": 3}[name]
    whole = clit.upscale(model, image, 20, clip=False)
    np.testing.assert_allclose(seen.rgb, whole[pixel], atol=1e-5)
    for stage in seen.stages:
        side = 2 * model.decoder.config.radius + 1
        assert stage.weights.shape == stage.content.shape == stage.position.shape == (2, side, side)
        np.testing.assert_allclose(stage.weights.sum((1, 2)), 1, atol=1e-5)
        logits = stage.content + stage.position
        raised = np.exp(logits - logits.max((1, 2), keepdims=True))
        np.testing.assert_allclose(stage.weights, raised / raised.sum((1, 2), keepdims=True), atol=1e-6)
        assert (stage.content[:, ~stage.inside] == 0).all()  # only the position speaks beyond the border
        assert (stage.influence[~stage.inside] == 0).all() and stage.influence[stage.inside].max() > 0
        centre = stage.latents[side // 2, side // 2]
        place = (np.array(pixel) + 0.5) / 20 - 0.5  # of the pixel, in LR pixels
        assert (np.abs(centre - place) <= 9 / stage.grid[0] * 0.5 + 1e-4).all()


def test_influence_is_the_change_without_the_neighbour(image):
    """Leaving a value out by hand, in the plain definition, moves the colour by what `influence` says."""
    model = tiny("clit")
    renderer = clit.Renderer()
    size, pixel = (180, 140), (80, 90)
    seen = renderer.attend(model, image, pixel=pixel, size=size)
    features = renderer.features(model, image)
    window = clit.Window(*pixel, 1, 1)
    with torch.no_grad():
        for j, stage in enumerate(seen.stages):
            row, column = np.unravel_index(stage.influence.argmax(), stage.influence.shape)
            field = model.prepare(features, size, window)
            part = field.stages[j]
            y = int(part.rows.nearest[0]) - part.region.top - 3 + row
            x = int(part.columns.nearest[0]) - part.region.left - 3 + column
            part.v[:, y, x] = 0
            without = model.query(field, torch.tensor([pixel]))[0, 0].numpy()
            assert np.linalg.norm(without - seen.rgb) == pytest.approx(stage.influence[row, column], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["liif", "lte"])
def test_an_ensemble_reports_its_four_weights(name, image):
    model = tiny(name)
    seen = clit.attend(model, image, (50, 50), 10)
    (stage,) = seen.stages
    assert seen.kind == "ensemble" and stage.content is None and stage.position is None
    assert stage.weights.shape == (1, 2, 2) and stage.weights.sum() == pytest.approx(1)
    # Pixel 50 of x10 lies at 4.55 LR pixels: weights are products of 0.45 and 0.55.
    np.testing.assert_allclose(stage.weights[0], np.outer([0.45, 0.55], [0.45, 0.55]), atol=1e-4)
    np.testing.assert_array_equal(stage.latents[:, :, 0], [[4, 4], [5, 5]])
    np.testing.assert_allclose(seen.rgb, clit.upscale(model, image, 10, clip=False)[50, 50], atol=1e-5)
    assert stage.influence.shape == (2, 2) and (stage.influence > 0).all()


def test_interpolation_is_plain_and_does_not_attend(image):
    from PIL import Image

    smooth = np.linspace(0.2, 0.8, 63, dtype=np.float32).reshape(9, 7, 1).repeat(3, 2)
    picture = Image.fromarray((smooth * 255).round().astype(np.uint8))
    for name in ("bilinear", "bicubic"):
        ours = clit.upscale(clit.load(name), picture, 2.3)
        oracle = np.asarray(picture.resize((16, 21), getattr(Image, name.upper()))) / 255
        np.testing.assert_allclose(ours, oracle, atol=1.01 / 255)
        with pytest.raises(clit.UserError, match="does not attend"):
            clit.attend(clit.load(name), picture, (0, 0), 2)


def test_a_pixel_outside_gets_one_sentence(image):
    for pixel in ((90, 0), (-1, 0), (0.5, 0), "x", (1, 2, 3)):
        with pytest.raises(clit.UserError, match="inside the output"):
            clit.attend(tiny("lit"), image, pixel, 10)


def test_light_presets_cost_alike_and_share_one_encoder_shape():
    """60-100 thousand multiply-adds per output pixel of one stage at x4, all within a factor of 1.3."""
    light = [SRModel(PRESETS[f"{m}-light"]) for m in ("liif", "lte", "lit", "clit")]
    work = [model.decoder.work(16) for model in light]
    assert max(work) / min(work) <= 1.3 and min(work) >= 59e3 and max(work) <= 100e3
    assert len({model.config.encoder for model in light}) == 1
