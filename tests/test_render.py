"""The renderer and the public functions: windows, tiles, cache, cancelling, errors, attention, files."""

import re
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import clit
from clit.config import (
    PLAIN,
    PRESETS,
    CLITConfig,
    EDSRConfig,
    LIIFConfig,
    LTEConfig,
    ModelConfig,
    RDNConfig,
    SwinIRConfig,
)
from clit.geometry import Region, Window
from clit.networks.decoders.liif import LIIF
from clit.networks.decoders.lit import LocalAttention
from clit.networks.decoders.lte import LTE
from clit.networks.model import SRModel
from clit.pictures.files import read_image
from clit.pictures.resize import resize_pil
from clit.rendering import features
from clit.rendering import renderer as rendering
from clit.rendering.tiles import Pace

DECODERS = {
    "liif": LIIFConfig(hidden=(8, 8)),
    "lte": LTEConfig(width=8, hidden=(8,)),
    "lit": CLITConfig(width=8, heads=2, radius=2, hidden=(8, 8)),
    "clit": CLITConfig(width=8, heads=2, radius=3, hidden=(8,), stages=3),
}


def make_tiny(name: str) -> SRModel:
    torch.manual_seed(3)
    return SRModel(ModelConfig(EDSRConfig(width=8, blocks=1), DECODERS[name])).eval()


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((9, 7, 3), dtype=np.float32)


def test_who_waits_for_a_turn_holds_no_memory_for_pixels(image):
    waiting = []

    @contextmanager
    def turn():
        waiting.append(tracemalloc.get_traced_memory()[0])
        yield

    renderer = clit.Renderer().in_turn(turn, Pace(), lambda: False)
    model, size, heads = make_tiny("lit"), (540, 420), DECODERS["lit"].heads
    tracemalloc.start()
    try:
        for draw, shape in ((renderer.render, (*size, 3)), (renderer.survey, (*size, heads, 3))):
            assert draw(model, image, size=size).shape == shape
    finally:
        tracemalloc.stop()
    assert len(waiting) == 2 and max(waiting) < 4 * np.prod(size)  # a pixel takes 12 bytes or more


@pytest.mark.parametrize("name", DECODERS)
def test_a_window_equals_the_same_part_of_the_whole_and_the_reference(name, image, monkeypatch):
    model = make_tiny(name)
    whole = clit.upscale(model, image, 20.3)
    assert whole.shape == (round(9 * 20.3), round(7 * 20.3), 3) and whole.dtype == np.float32
    assert whole.min() >= 0 and whole.max() <= 1
    monkeypatch.setattr(rendering, "TILE", 48)  # so that seams would show
    np.testing.assert_allclose(clit.upscale(model, image, 20.3), whole, atol=1e-6)
    part = clit.upscale(model, image, 20.3, window=(100, 60, 40, 50), method="reference")
    np.testing.assert_allclose(part, whole[100:140, 60:110], atol=1e-5)


def test_sizes_may_differ_per_axis_and_a_single_pixel_has_colour():
    one = np.full((1, 1, 3), 0.5, np.float32)
    for name in DECODERS:
        out = clit.upscale(make_tiny(name), one, size=(3, 7), clip=False)
        assert out.shape == (3, 7, 3) and np.isfinite(out).all()


def test_stages_and_chain_change_what_clit_draws(image):
    model = make_tiny("clit")
    pictures = [clit.upscale(model, image, 30, window=(90, 90, 8, 8), clip=False, stages=n) for n in (1, 2, 3)]
    assert np.abs(pictures[0] - pictures[1]).max() > 0 and np.abs(pictures[1] - pictures[2]).max() > 0
    np.testing.assert_array_equal(pictures[2], clit.upscale(model, image, 30, window=(90, 90, 8, 8), clip=False))
    balanced = clit.upscale(model, image, 30, window=(90, 90, 8, 8), clip=False, chain="balanced")
    assert np.abs(balanced - pictures[2]).max() > 0


def test_progress_rises_to_one_and_cancel_stops(image, monkeypatch):
    monkeypatch.setattr(rendering, "TILE", 16)
    heard: list[float] = []
    clit.upscale(make_tiny("liif"), image, 5, progress=heard.append)
    assert heard == sorted(heard) and len(heard) > 3 and heard[-1] == 1
    with pytest.raises(clit.Cancelled):
        clit.upscale(make_tiny("liif"), image, 5, cancel=lambda: True)


@pytest.fixture
def encoded(monkeypatch) -> list[Region]:
    """Record the regions that encoders are run for."""
    regions: list[Region] = []
    run = SRModel.encode_part

    def record(self, x, region):
        regions.append(region)
        return run(self, x, region)

    monkeypatch.setattr(SRModel, "encode_part", record)
    return regions


def test_features_are_shared_between_models_with_equal_encoders(image, encoded):
    first, second = make_tiny("liif"), make_tiny("lit")
    second.encoder.load_state_dict(first.encoder.state_dict())
    renderer = clit.Renderer()
    for model in (first, second, first):
        renderer.render(model, image, scale=2)
    assert len(encoded) == 1
    with torch.no_grad():
        next(second.encoder.parameters()).add_(1)
    renderer.render(second, image, scale=2)
    assert len(encoded) == 2


@pytest.mark.parametrize("name", ["liif", "bicubic"])
def test_a_picture_is_hashed_once_for_all_its_tiles(name, image, monkeypatch):
    model = clit.load("bicubic") if name == "bicubic" else make_tiny(name)
    keys, get_key = [], features.FeatureCache.image_key
    monkeypatch.setattr(features.FeatureCache, "image_key", lambda *a: keys.append(get_key(*a)) or keys[-1])
    monkeypatch.setattr(rendering, "TILE", 48)
    clit.Renderer().render(model, image, scale=20)
    assert len(keys) == 1


def test_plain_interpolation_reads_the_part_that_a_tile_needs(image):
    model = clit.load("bicubic")
    view = model.view((9, 7), (90, 70), Window(40, 30, 10, 10))
    features = model.encode(torch.from_numpy(image).permute(2, 0, 1)[None])
    assert model.prepare(features, view).enlarged.image.shape[1:3] == (5, 5)


def test_maps_of_a_view_are_cached_for_a_view_inside_it(monkeypatch):
    made = []
    project = LocalAttention.project
    monkeypatch.setattr(LocalAttention, "project", lambda stage, z: made.append(z.shape) or project(stage, z))
    image = np.random.default_rng(0).random((40, 60, 3), dtype=np.float32)
    model, renderer = make_tiny("clit"), rendering.Renderer()
    for scale, window in (
        (3, (9, 30, 60, 90)),
        (3, (9, 30, 60, 90)),
        (5.3, (60, 100, 50, 80)),
        (30, (600, 900, 20, 9)),
    ):
        seen = renderer.render(model, image, scale=scale, window=window, clip=False)
        anew = rendering.Renderer().render(model, image, scale=scale, window=window, clip=False)
        np.testing.assert_allclose(seen, anew, atol=1e-6)
    assert len(made) == 4 + 1, "each new renderer makes maps, and the lasting one for its first view"
    renderer.render(model, image, scale=3, window=(9, 60, 60, 90))
    assert len(made) == 6, "a part that was not cached"
    with torch.no_grad():
        model.decoder.stages[0].key_conv.weight.mul_(2)
    seen = renderer.render(model, image, scale=3, window=(9, 30, 60, 90), clip=False)
    assert len(made) == 7, "the weights have changed"
    np.testing.assert_allclose(seen, clit.upscale(model, image, 3, window=(9, 30, 60, 90), clip=False), atol=1e-6)


@pytest.mark.parametrize(("name", "scale"), [("liif", 3), ("lte", 3), ("lit", 3), ("clit", 20)])
def test_a_view_that_moves_makes_only_the_maps_that_are_new(name, scale, monkeypatch):
    made = {}

    def record(method):
        def count(module, *arguments):
            maps = method(module, *arguments)
            made[module] = made.get(module, 0) + maps[0].shape[1] * maps[0].shape[2]
            return maps

        return count

    makers = {LIIF: ["_make_maps"], LTE: ["_make_maps"], LocalAttention: ["project", "project_resampled"]}
    for kind, methods in makers.items():
        for method in methods:
            monkeypatch.setattr(kind, method, record(getattr(kind, method)))
    image = np.random.default_rng(0).random((40, 60, 3), dtype=np.float32)
    model, renderer = make_tiny(name), rendering.Renderer()
    renderer.render(model, image, scale=scale, window=(9, 30, 60, 90))
    first = dict(made)
    made.clear()
    moved = renderer.render(model, image, scale=scale, window=(15, 40, 60, 90), clip=False)
    assert made.keys() == first.keys() and all(0 < made[module] < first[module] / 2 for module in made)
    anew = rendering.Renderer().render(model, image, scale=scale, window=(15, 40, 60, 90), clip=False)
    np.testing.assert_allclose(moved, anew, atol=1e-6)


def test_cached_maps_are_bounded(monkeypatch):
    monkeypatch.setattr(features, "MAPS_LIMIT", 60_000)
    image, model, renderer = np.zeros((40, 60, 3), np.float32), make_tiny("lit"), rendering.Renderer()
    for left in (0, 30, 60, 90):
        renderer.render(model, image, scale=3, window=(9, left, 40, 40))
    kept = [map.nbytes for _, maps in renderer._cache._maps.values() for map in maps]
    assert 0 < sum(kept) <= 60_000


def test_maps_that_would_be_gone_before_they_are_wanted_again_are_not_cached(monkeypatch):
    monkeypatch.setattr(rendering, "TILE", 32)
    image = np.random.default_rng(0).random((40, 60, 3), dtype=np.float32)
    model, renderer = make_tiny("lit"), clit.Renderer()
    whole = renderer.render(model, image, scale=2, clip=False)
    needed = renderer.count_bytes()["maps"]
    monkeypatch.setattr(features, "MAPS_LIMIT", needed // 4)
    renderer = clit.Renderer()
    np.testing.assert_allclose(renderer.render(model, image, scale=2, clip=False), whole, atol=1e-6)
    assert renderer.count_bytes()["maps"] == 0
    renderer.render(model, image, scale=2, window=(0, 0, 32, 32))
    assert renderer.count_bytes()["maps"] > 0


def test_the_feature_cache_is_bounded(image, encoded):
    renderer, model = clit.Renderer(cache_bytes=1), make_tiny("liif")
    for _ in range(2):
        renderer.render(model, image, scale=2)
    assert len(encoded) == 2 and renderer._cache._held == 0


@pytest.mark.parametrize("encoder", [EDSRConfig(width=8, blocks=2), RDNConfig(8, 2, 2, 8)])
def test_only_what_a_view_needs_is_encoded_and_equals_the_whole(encoder, encoded, monkeypatch):
    monkeypatch.setattr("clit.rendering.features.PIECE", 48)
    torch.manual_seed(0)
    model = SRModel(ModelConfig(encoder, DECODERS["clit"])).eval()
    photograph = np.random.default_rng(1).random((150, 200, 3), dtype=np.float32)
    x = torch.from_numpy(photograph).permute(2, 0, 1)[None]
    with torch.inference_mode():
        whole = model.encode(x)
    encoded.clear()
    renderer = clit.Renderer()
    size = (900, 1200)
    for window in ((400, 500, 60, 70), (380, 460, 90, 90), (0, 1130, 50, 70), (850, 0, 50, 1200)):
        with torch.inference_mode():
            view = model.view((150, 200), size, clit.Window(*window))
            expected = model.render(model.prepare(whole, view))[0].numpy()
        seen = renderer.render(model, photograph, size=size, window=window, clip=False)
        np.testing.assert_allclose(seen, expected, atol=2e-6)
    assert encoded[0].area < 50 * 50, "the first view encodes only its surroundings"
    done = np.zeros((150, 200), int)
    for region in encoded:
        done[region.slices()] += 1
    assert done.max() == 1 and done.min() == 0, "nothing is encoded twice, and not everything is encoded"


@st.composite
def small_encoders(draw):
    """Draw small encoders of every kind."""
    kind = draw(st.sampled_from(["edsr", "rdn", "swinir"]))
    if kind == "edsr":
        return EDSRConfig(width=draw(st.integers(1, 6)), blocks=draw(st.integers(0, 3)))
    if kind == "rdn":
        return RDNConfig(4, draw(st.integers(1, 2)), draw(st.integers(1, 2)), 3)
    return SwinIRConfig(
        width=6, depths=(draw(st.integers(1, 2)),), heads=3, window=draw(st.sampled_from([2, 4])), features=5
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(encoder=small_encoders(), decoder=st.sampled_from(sorted(DECODERS)), data=st.data())
def test_windows_through_the_renderer_equal_the_plain_definition(encoder, decoder, data):
    """Cells, tiles, blocks and the fast order change nothing: encode the whole image and query every pixel instead."""
    torch.manual_seed(0)
    model = SRModel(ModelConfig(encoder, DECODERS[decoder])).eval()
    scales = st.sampled_from([1.0, 1.5, 2.0, 2.5, 4.0, 30.0]) | st.floats(1, 30)
    h, w = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    size = round(h * data.draw(scales)), round(w * data.draw(scales))
    height, width = (data.draw(st.integers(1, min(n, 24))) for n in size)
    top, left = (
        data.draw(st.sampled_from([0, n - part]) | st.integers(0, n - part))
        for n, part in zip(size, (height, width), strict=True)
    )
    image = np.random.default_rng(h).random((h, w, 3), dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clit.rendering.features.PIECE", 16)
        patch.setattr(rendering, "TILE", 16)
        window = (top, left, height, width)
        seen = clit.Renderer().render(model, image, size=size, window=window, clip=False)
    with torch.inference_mode():
        features = model.encode(torch.from_numpy(image).permute(2, 0, 1)[None])
        view = model.view((h, w), size, clit.Window(*window))
        positions = torch.cartesian_prod(view.pixels.rows, view.pixels.columns)
        plain = model.query(model.prepare(features, view), positions)[0].view(height, width, 3).numpy()
    np.testing.assert_allclose(seen, plain, atol=1e-4)


def test_swinir_encodes_the_whole_image_once(encoded):
    torch.manual_seed(0)
    encoder = SwinIRConfig(width=12, depths=(2,), heads=3, window=4, features=5)
    model = SRModel(ModelConfig(encoder, DECODERS["lit"])).eval()
    photograph = np.random.default_rng(1).random((37, 41, 3), dtype=np.float32)
    renderer = clit.Renderer()
    for window in ((0, 0, 9, 9), (60, 70, 9, 9)):
        renderer.render(model, photograph, scale=2, window=window)
    assert encoded == [Region(0, 0, 37, 41)]


def test_a_coarse_view_has_exact_pixels(image):
    for name in [*DECODERS, "bicubic"]:
        model = clit.load(name) if name == "bicubic" else make_tiny(name)
        whole = clit.upscale(model, image, 9.3)
        window = clit.Window(3, 5, 61, 50)
        coarse = clit.upscale(model, image, 9.3, window=window, step=4)
        pixels = window.lattice(step=4)
        rows, columns = pixels.rows.numpy(), pixels.columns.numpy()
        assert coarse.shape == (16, 13, 3) and rows[0] == 3 and rows[-1] == 63 and (columns[0], columns[-1]) == (5, 53)
        np.testing.assert_allclose(coarse, whole[rows[:, None], columns], atol=1e-6)


def test_a_request_that_cannot_fit_is_refused_before_it_starts(image, encoded, monkeypatch):
    monkeypatch.setattr("clit.system.memory.available", lambda: 600 << 20)
    renderer, photograph = clit.Renderer(), np.zeros((400, 400, 3), np.float32)
    with pytest.raises(
        clit.UserError, match=r"needs about .* of memory, more than the 480 MB .* a scale up to"
    ) as error:
        renderer.render(make_tiny("lit"), photograph, scale=30)
    assert not encoded
    fits = float(re.search(r"scale up to ([\d.]+)", str(error.value))[1])
    assert renderer.estimate(make_tiny("lit"), photograph, scale=fits).memory <= 480 << 20
    with pytest.raises(clit.UserError, match="of memory"):
        renderer.render(make_tiny("lit"), photograph, scale=fits + 0.2)
    clit.upscale(make_tiny("lit"), image, 2)


def test_transparency_is_counted_before_a_file_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("clit.system.memory.available", lambda: 600 << 20)
    renderer, model, opaque = clit.Renderer(), clit.load("bicubic"), np.full((400, 400, 3), 0.5, np.float32)
    transparent = np.full((400, 400, 4), 0.5, np.float32)
    renderer.output(model, opaque, tmp_path / "a.webp", scale=10)
    with pytest.raises(clit.UserError, match="of memory"):
        renderer.output(model, transparent, tmp_path / "a.webp", scale=10)
    renderer.output(model, transparent, tmp_path / "a.png", scale=10)  # in bands


def test_an_estimate_counts_the_work(image):
    renderer, model = clit.Renderer(), make_tiny("clit")
    small, large = (renderer.estimate(model, image, scale=scale) for scale in (4, 20))
    assert 0 < small.multiply_adds < large.multiply_adds
    part = renderer.estimate(model, image, scale=20, window=(0, 0, 9, 9))
    assert part.multiply_adds < large.multiply_adds / 10
    encoder = sum(p.numel() for p in model.encoder.parameters()) * 9 * 7
    per_pixel = model.decoder.work(400) + model.decoder.work(25) + model.decoder.work(1.25**2)
    assert large.multiply_adds == pytest.approx(encoder + 180 * 140 * per_pixel, rel=0.02)


@pytest.mark.parametrize("name", [*DECODERS, "bicubic"])
@pytest.mark.parametrize("options", [{"size": (1350, 2800)}, {"scale": 30, "window": (5, 7, 1, 90)}])
def test_an_estimate_times_a_part_of_the_work(name, options, image, monkeypatch):
    def time(run) -> float:
        run()
        return seconds

    monkeypatch.setattr("clit.rendering.trial._time", time)
    model = SRModel(PLAIN[name]) if name in PLAIN else make_tiny(name)
    large, seconds = np.tile(image, (100, 100, 1)), 2.0
    slow = clit.Renderer().estimate(model, large, **options).seconds
    seconds = 1.0
    assert clit.Renderer().estimate(model, large, **options).seconds == pytest.approx(slow / 2)
    one = clit.Renderer().estimate(model, image, scale=1).seconds
    assert one == 1.0 if name in PLAIN else one == 2.0  # what is as small as a trial is tried whole
    if "size" in options:
        assert slow / 2 > 2 * one


def test_a_prediction_counts_features_once_and_not_if_they_are_cached(image, monkeypatch):
    """With a machine of one multiply-add a second."""
    for part in ("encoder", "decoder"):
        monkeypatch.setattr(f"clit.rendering.trial._try_{part}", lambda model, view: (model, 1.0))
    monkeypatch.setattr("clit.rendering.trial._time", lambda model: 1.0)
    renderer, model, large = clit.Renderer(), make_tiny("lit"), np.tile(image, (8, 8, 1))  # 72 x 56 pixels
    whole = model.view(large.shape[:2], (144, 112))
    encoder = model.encoder_work(whole)
    twice = [whole, model.view(large.shape[:2], (216, 168))]
    decoder = [model.decoder.multiply_adds(view) for view in twice]
    assert renderer.predict_seconds(large, [(model, [whole])]) == pytest.approx(encoder + decoder[0])
    assert renderer.predict_seconds(large, [(model, twice)]) == pytest.approx(encoder + sum(decoder))
    renderer.render(model, large, size=(144, 112), window=(0, 0, 9, 112))  # features of rows 0 to 15 of 72
    assert renderer.predict_seconds(large, [(model, twice)]) == pytest.approx(encoder * 4 / 5 + sum(decoder))
    renderer.render(model, large, size=(144, 112))
    assert renderer.predict_seconds(large, [(model, twice)]) == pytest.approx(sum(decoder))


def test_a_prediction_counts_features_that_models_share_once(image, monkeypatch):
    for part in ("encoder", "decoder"):
        monkeypatch.setattr(f"clit.rendering.trial._try_{part}", lambda model, view, part=part: (part, 1.0))
    monkeypatch.setattr("clit.rendering.trial._time", lambda part: float(part == "encoder"))
    models = [make_tiny("lit"), make_tiny("liif"), make_tiny("liif")]
    with torch.no_grad():
        next(models[2].encoder.parameters()).add_(1)  # the others have one encoder
    views = [(model, [model.view(image.shape[:2], (18, 14))]) for model in models]
    one = clit.Renderer().predict_seconds(image, views[:1])
    assert one > 0
    assert clit.Renderer().predict_seconds(image, views[:2]) == pytest.approx(one)
    assert clit.Renderer().predict_seconds(image, views) == pytest.approx(2 * one)


@pytest.mark.parametrize("ending", ["png", "tiff", "webp"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_file_written_in_bands_holds_what_is_rendered(ending, bits, tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "TILE", 48)
    values = np.random.default_rng(2).integers(0, 256 ** (bits // 8), (31, 27, 4)).astype(f"uint{bits}")
    heard: list[float] = []
    target = tmp_path / f"out.{ending}"
    renderer = clit.Renderer()
    assert renderer.save(make_tiny("lit"), values, target, scale=11.1, progress=heard.append) == (344, 300)
    assert heard == sorted(heard) and heard[-1] == 1
    given, written = read_image(values), read_image(target)
    expected = renderer.render(make_tiny("lit"), given.to_enlarge(), scale=11.1)
    deep = bits == 16 and ending != "webp"
    seen = written.alpha > 0  # transparent pixels may have another colour
    np.testing.assert_allclose(written.rgb[seen], expected[seen], atol=(1 / 65535 if deep else 1 / 255))
    np.testing.assert_allclose(written.alpha, resize_pil(given.alpha, (344, 300)).clip(0, 1), atol=1 / 255)
    assert written.bits == (16 if deep else 8)


def test_a_cancelled_file_leaves_nothing(image, tmp_path):
    with pytest.raises(clit.Cancelled):
        clit.Renderer().save(make_tiny("lit"), image, tmp_path / "out.png", scale=9, cancel=lambda: True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scale": 0}, "from 1 to 64"),
        ({"scale": -1}, "from 1 to 64"),
        ({"scale": float("nan")}, "from 1 to 64"),
        ({"scale": 1000}, "from 1 to 64"),
        ({"scale": "two"}, "from 1 to 64"),
        ({}, "Give a scale, or an output size"),
        ({"scale": 2, "size": (18, 14)}, "either a scale or an output size"),
        ({"size": (5, 14)}, "height"),
        ({"size": (18.5, 14)}, "whole numbers"),
        ({"scale": 2, "window": (0, 0, 19, 1)}, "does not lie inside"),
        ({"scale": 2, "window": (0, 0, 0, 1)}, "does not lie inside"),
        ({"scale": 2, "window": "all"}, "four whole numbers"),
        ({"scale": 2, "window": (0.5, 0, 2, 2)}, "four whole numbers"),
        ({"scale": 2, "window": clit.Window(0, 0, 2.5, 2)}, "four whole numbers"),
        ({"scale": 2, "method": "quick"}, "reference"),
        ({"scale": 2, "chain": "long"}, "balanced"),
        ({"scale": 2, "stages": 4}, "from 1 to 3"),
        ({"scale": 2, "step": 0}, "from 1"),
        ({"scale": 2, "model": "lit-light"}, "what clit.load"),
    ],
)
def test_wrong_input_gets_one_sentence(image, wrong, said):
    with pytest.raises(clit.UserError, match=said) as error:
        clit.upscale(**{"model": make_tiny("clit"), "image": image, **wrong})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["lit", "clit"])
@pytest.mark.parametrize("pixel", [(0, 0), (100, 77), (179, 139)])
def test_attention_is_what_made_the_pixel(name, pixel, image):
    model = make_tiny(name)
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
        assert (stage.content[:, ~stage.inside] == 0).all()  # beyond the border only the position has a say
        assert (stage.influence[~stage.inside] == 0).all() and stage.influence[stage.inside].max() > 0
        centre = stage.latents[side // 2, side // 2]
        place = (np.array(pixel) + 0.5) / 20 - 0.5  # of the pixel, in LR pixels
        assert (np.abs(centre - place) <= 9 / stage.grid[0] * 0.5 + 1e-4).all()


def test_influence_is_the_change_without_the_neighbour(image):
    """Zeroing a value in the plain definition moves the colour by as much as `influence` says."""
    model = make_tiny("clit")
    size, pixel = (180, 140), (80, 90)
    seen = clit.attend(model, image, pixel, size=size)
    features = model.encode(torch.from_numpy(image).permute(2, 0, 1)[None])
    view = model.view((9, 7), size, clit.Window(*pixel, 1, 1))
    with torch.no_grad():
        for j, stage in enumerate(seen.stages):
            row, column = np.unravel_index(stage.influence.argmax(), stage.influence.shape)
            field = model.prepare(features, view)
            part = field.stages[j]
            y = int(part.rows.nearest[0]) - part.region.top - 3 + row
            x = int(part.columns.nearest[0]) - part.region.left - 3 + column
            part.v[:, y, x] = 0
            without = model.query(field, torch.tensor([pixel]))[0, 0].numpy()
            assert np.linalg.norm(without - seen.rgb) == pytest.approx(stage.influence[row, column], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["liif", "lte", "lit", "clit"])
def test_sets_are_left_out_together(name, image):
    """Zeroing values in the plain definition moves the colour as `leave_out` says; no set at all moves nothing."""
    model, positions = make_tiny(name), torch.tensor([[80, 90], [20, 33]])
    features = model.encode(torch.from_numpy(image).permute(2, 0, 1)[None])
    with torch.no_grad():
        field = model.prepare(features, model.view((9, 7), (180, 140)))
        decoder, before = model.decoder, model.query(field, positions)
        attended = decoder.attend(field, positions)
        sets = [torch.zeros(2, 3, found.weights.shape[-1], dtype=torch.bool) for found in attended]
        for each in sets:
            each[:, 1, [0, 2]] = True  # two of them; the third set is of one
            each[:, 2, 2] = True
        changes = decoder.leave_out(field, positions, attended, sets)
        for change, single in zip(changes, decoder.influence(field, positions, attended), strict=True):
            assert change[:, :, 0].abs().max() < 1e-12
            np.testing.assert_allclose(change[:, :, 2], single[:, :, 2], atol=1e-6)
        if model.kind == "ensemble":
            weights, predictions = decoder._predict_four(field, positions)
            right = (weights[:, 1, :, None] * predictions[:, 1, 0]).sum(0) / weights[:, 1].sum(0)[:, None]
            whole = (weights[..., None] * predictions[:, :, 0]).sum((0, 1))
            np.testing.assert_allclose(changes[0][0, :, 1], right - whole, atol=1e-6)
            (nothing,) = decoder.leave_out(field, positions, attended, [torch.ones(2, 1, 4, dtype=torch.bool)])
            np.testing.assert_allclose(nothing[0, :, 0], -whole, atol=1e-6)
            return
        for j, found in enumerate(attended):
            for query in range(2):
                field = model.prepare(features, model.view((9, 7), (180, 140)))
                part = field.stages[j]
                for latent in (0, 2):
                    y, x = found.rows[query, latent // 7], found.columns[query, latent % 7]
                    part.v[:, y - part.region.top, x - part.region.left] = 0
                after = model.query(field, positions)[:, query]
                np.testing.assert_allclose(2 * (after - before[:, query]), changes[j][:, query, 1], atol=1e-5)


@pytest.mark.parametrize("name", ["liif", "lte"])
def test_an_ensemble_reports_its_four_weights(name, image):
    model = make_tiny(name)
    seen = clit.attend(model, image, (50, 50), 10)
    (stage,) = seen.stages
    assert seen.kind == "ensemble" and stage.content is None and stage.position is None
    assert stage.weights.shape == (1, 2, 2) and stage.weights.sum() == pytest.approx(1)
    # Pixel 50 of x10 lies at 4.55 LR pixels: weights are products of 0.45 and 0.55.
    np.testing.assert_allclose(stage.weights[0], np.outer([0.45, 0.55], [0.45, 0.55]), atol=1e-4)
    np.testing.assert_array_equal(stage.latents[:, :, 0], [[4, 4], [5, 5]])
    np.testing.assert_allclose(seen.rgb, clit.upscale(model, image, 10, clip=False)[50, 50], atol=1e-5)
    assert stage.influence.shape == (2, 2) and (stage.influence > 0).all()


def test_plain_interpolation_equals_pil_and_does_not_attend(image):
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
            clit.attend(make_tiny("lit"), image, pixel, 10)


def test_light_presets_cost_alike_and_share_one_encoder_shape():
    """They take 66 to 72 thousand multiply-adds per output pixel and stage at x4."""
    light = [SRModel(PRESETS[f"{m}-light"]) for m in ("liif", "lte", "lit", "clit")]
    work = [model.decoder.work(16) for model in light]
    assert min(work) >= 66e3 and max(work) <= 72e3
    assert len({model.config.encoder for model in light}) == 1


@pytest.mark.parametrize(("name", "stages"), [("lit", None), ("clit", None), ("clit", 1)])
def test_survey_agrees_with_attend(name, stages, image):
    model, size = make_tiny(name), (70, 101)
    found = clit.survey(model, image, size=size, window=(20, 30, 40, 50), stages=stages)
    radius = model.decoder.config.radius
    assert found.shape == (40, 50, 2, 3)
    assert radius in (2, 3)
    for row, column in ((20, 30), (59, 79), (33, 64), (20, 79)):
        stage = clit.attend(model, image, pixel=(row, column), size=size).stages[(stages or 0) - 1]
        w = stage.weights.astype(np.float64)
        bits = -(w * np.log2(w)).sum((1, 2))
        pixel = (np.array([row, column]) + 0.5) / size * image.shape[:2] - 0.5  # in LR pixels
        away = (stage.latents - pixel) * np.array(stage.grid) / image.shape[:2]
        dy, dx = np.einsum("mij,ijd->dm", w, away)
        np.testing.assert_allclose(found[row - 20, column - 30], np.stack([bits, dy, dx], 1), atol=1e-4)


def test_only_models_with_heads_are_surveyed(image):
    for model in (make_tiny("liif"), clit.load("bicubic")):
        with pytest.raises(clit.UserError, match="LIT"):
            clit.survey(model, image, 2)


@pytest.mark.parametrize("name", ["liif", "lte", "lit", "clit"])
def test_a_grey_picture_stays_grey(name, tmp_path):
    grey = (np.random.default_rng(5).random((12, 10)) < 0.5).astype(np.uint8) * 255
    model = make_tiny(name)
    for method in ("fast", "reference"):
        rgb = clit.upscale(model, grey, 4, method=method)
        assert (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all()
    seen = clit.attend(model, grey, (7, 9), 4)
    np.testing.assert_allclose(np.clip(seen.rgb, 0, 1), rgb[7, 9], atol=1e-5)
    coloured = np.repeat(grey[..., None], 3, 2)
    coloured[0, 0] = 250, 255, 255
    assert np.ptp(clit.upscale(model, coloured, 4), axis=2).max() > 1e-3
    clit.save(model, grey, tmp_path / "grey.png", 4)
    from PIL import Image

    with Image.open(tmp_path / "grey.png") as file:
        assert file.mode == "L"
        np.testing.assert_allclose(np.asarray(file) / 255, np.clip(rgb[..., 0], 0, 1), atol=0.51 / 255)


def test_transparency_is_enlarged_in_bands_and_without_a_seam(tmp_path, monkeypatch):
    random = np.random.default_rng(6)
    picture = random.integers(0, 256, (20, 16, 4), dtype=np.uint8)
    for band, wrap in ((512, False), (7, False), (7, True)):
        monkeypatch.setattr(rendering, "TILE", band)
        clit.save(clit.load("bicubic"), picture, tmp_path / "out.png", 3, wrap=wrap)
        alpha = read_image(tmp_path / "out.png").alpha
        expected = clit.upscale(clit.load("bicubic"), picture[..., 3], 3, wrap=wrap)[..., 0]
        np.testing.assert_allclose(alpha, expected, atol=0.51 / 255)
