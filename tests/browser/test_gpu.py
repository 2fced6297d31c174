"""The visitor's own GPU draws what Python draws. On the software adapter SwiftShader, so pictures are tiny."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import clit
from browser.gpu_page import GpuPage, launch_with_gpu
from clit.config import CLITConfig, EDSRConfig, LIIFConfig, LTEConfig, ModelConfig
from clit.exports.weights import write_weights
from clit.networks import checkpoints
from clit.networks.model import SRModel

SMALL, SMALLER = (17, 22), (15, 16)
"""Of the picture, and of the part of it for shipped encoders, which software takes seconds for."""

ENCODER = EDSRConfig(width=12, blocks=1)
NARROW = {"width": 16, "heads": 2, "hidden": (16, 16)}
TINY = {
    "liif": LIIFConfig(hidden=(24, 24)),
    "lte": LTEConfig(width=16, hidden=(16, 16)),
    "lit": CLITConfig(**NARROW),
    "lit-fourier": CLITConfig(fourier=8, radius=1, **NARROW),
    "clit": CLITConfig(stages=3, fourier=4, **NARROW | {"heads": 4, "hidden": (20,)}),
}
"""One of every kind of decoder: with and without Fourier features, hidden layers after the first, and stages."""

SHIPPED = ("liif-light", "lte-light", "lit-light", "clit-light", "liif-base", "lit-base")

# Scale along y and along x. At 2.5 a third of all pixels lie between two latents.
SCALES = {
    "x1.5": (1.5, 1.5),
    "x2.5": (2.5, 2.5),
    "x4": (4, 4),
    "x7.3": (7.3, 7.3),
    "x12": (12, 12),
    "x30": (30, 30),
    "two scales": (3.2, 9.7),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of weights: of random tiny models, whose checkpoints lie beside it, and of the shipped ones."""
    folder = tmp_path_factory.mktemp("gpu")
    torch.manual_seed(5)
    for name, decoder in TINY.items():
        model = SRModel(ModelConfig(ENCODER, decoder))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)  # random weights give nearly flat pictures otherwise
        checkpoints.save(model, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        shipped = checkpoints.folder().resolve()
        for name in SHIPPED:
            (folder / name).symlink_to(shipped / name)
        patch.setenv("CLIT_CHECKPOINTS", str(folder))
        names = [*TINY, *SHIPPED, "bilinear", "bicubic"]
        write_weights(folder / "weights", [{"name": name, "available": True} for name in names])
        yield folder


@pytest.fixture(scope="module")
def gpu(browser, folder):
    with launch_with_gpu(browser) as other:
        yield GpuPage(other.new_page(), folder / "weights")


@pytest.fixture(scope="module")
def image():
    """A picture with waves, an edge and noise."""
    y, x = np.mgrid[: SMALL[0], : SMALL[1]]
    waves = np.stack([np.sin(x / 3), np.cos(y / 2.5 + x / 7), np.where(x > 9, 0.8, -0.6)], -1)
    noise = np.random.default_rng(2).normal(0, 0.1, (*SMALL, 3))
    return np.clip(127 + 110 * (waves + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def smaller(image):
    return image[: SMALLER[0], : SMALLER[1]].copy()


@pytest.fixture(scope="module")
def renderer():
    return clit.Renderer()


def _cases(small: tuple[int, int], side: int):
    """A size and a window for each scale: corners, borders and the middle of the output in turn."""
    for i, (y, x) in enumerate(SCALES.values()):
        size = [round(small[0] * y), round(small[1] * x)]
        window = [min(side, size[0]), min(side + 2, size[1])]
        spare = size[0] - window[0], size[1] - window[1]
        corner = [spare[0] * (i % 3) // 2, spare[1] * (i % 4) // 3]
        yield {"size": size, "window": [*corner, *window], "chain": "published", "stages": None}


def _compare(gpu, renderer, model, image, wanted):
    """Hold what the GPU draws to what Python draws: colours to 1e-5, of black to white 1, and bytes to 1."""
    options = {"size": wanted["size"], "window": wanted["window"], "chain": wanted["chain"], "stages": wanted["stages"]}
    expected = renderer.render(model, image, clip=False, **options)
    assert np.ptp(expected) > 0.02, "a flat picture shows no difference"
    # Random weights make colours far outside 0..1, and rounding is as large as they are.
    colours, drawn = gpu.render(**wanted)
    assert np.abs(colours - expected).max() <= 1e-5 * max(1, np.ptp(expected)), wanted
    _compare_bytes(drawn, expected)


def _compare_bytes(drawn, expected):
    assert np.abs(drawn.astype(int) - np.rint(np.clip(expected, 0, 1) * 255)).max() <= 1


@pytest.mark.parametrize("name", [*TINY, "bilinear", "bicubic"])
def test_every_kind_of_model_is_drawn_as_python_draws_it(gpu, folder, renderer, image, name):
    gpu.open(image)
    model = clit.load(name)
    cases = list(_cases(SMALL, 14))
    for wanted in cases:
        _compare(gpu, renderer, model, image, {"model": name, **wanted})
    if model.stage_count > 1:
        last = {"model": name, **cases[-1]}
        for change in ({"chain": "balanced"}, {"stages": 1}):
            _compare(gpu, renderer, model, image, last | change)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_drawn_as_python_draws_them(gpu, renderer, smaller, name):
    gpu.open(smaller)
    cases = list(_cases(SMALLER, 6))
    for wanted in cases if name.endswith("light") else cases[3:4]:
        _compare(gpu, renderer, clit.load(name), smaller, {"model": name, **wanted})


def _compare_attention(gpu, renderer, name, image, size, pixel):
    """Hold what a pixel looked at to what Python says: weights and the parts of their logits to 1e-5."""
    wanted = {"model": name, "size": list(size), "chain": "published", "stages": None}
    found = gpu.page.evaluate("(given) => renderer.attend(...given)", [wanted, *pixel])
    expected = renderer.attend(clit.load(name), image, pixel=pixel, size=size, influence=False)
    assert np.abs(np.array(found["rgb"]) - np.clip(expected.rgb, 0, 1) * 255).max() <= 1
    assert len(found["stages"]) == len(expected.stages)
    for mine, his in zip(found["stages"], expected.stages, strict=True):
        for part in ("weights", "content", "position"):
            assert np.abs(np.array(mine[part]) - getattr(his, part)).max() <= 1e-5, part
        assert np.abs(np.array(mine["latents"]) - his.latents).max() <= 1e-4
        assert mine["inside"] == his.inside.tolist() and mine["grid"] == list(his.grid)
    return len(found["stages"])


def test_shipped_weights_of_attention_are_those_of_python(gpu, renderer, smaller):
    gpu.open(smaller)
    for pixel in ((0, 0), (70, 111)):
        _compare_attention(gpu, renderer, "lit-light", smaller, (105, 112), pixel)


@pytest.mark.parametrize(("name", "stages"), [("lit", 1), ("clit", 2)])
def test_weights_of_attention_are_those_of_python(gpu, renderer, image, name, stages):
    gpu.open(image)
    for pixel in ((0, 0), (70, 121), (119, 60)):
        assert _compare_attention(gpu, renderer, name, image, (120, 154), pixel) == stages


def test_a_grey_picture_stays_grey(gpu, renderer, image):
    grey = np.repeat(image[..., :1], 3, -1)
    gpu.open(grey)
    wanted = {"model": "lit", "size": [40, 50], "window": [3, 5, 12, 12], "chain": "published", "stages": None}
    _compare(gpu, renderer, clit.load("lit"), grey, wanted)
    assert np.ptp(gpu.render(**wanted)[1], axis=-1).max() == 0


def test_features_of_a_large_picture_are_made_in_parts_and_kept(gpu, renderer, image):
    gpu.open(image.copy())
    wanted = {"model": "lit", "size": [51, 66], "chain": "published", "stages": None}
    gpu.render(**wanted, window=[0, 0, 4, 4])  # makes the whole of this picture's, as it is small
    gpu.page.evaluate(
        """() => {
          const [features] = renderer.features.values();
          features.destroy();
          features.side = 8;
          const { encoder } = features;
          window.made = [];
          encoder.encode = (picture, region, pause) => {
            made.push(region);
            return Object.getPrototypeOf(encoder).encode.call(encoder, picture, region, pause);
          };
        }"""
    )
    parts = []
    for window in ([0, 0, 4, 5], [0, 0, 4, 5], [20, 30, 16, 18], [39, 50, 12, 16], [20, 30, 16, 18]):
        _compare(gpu, renderer, clit.load("lit"), image, wanted | {"window": window})
        parts.append(gpu.page.evaluate("made.length"))
    assert parts == [1, 1, 9, 9, 9], "a part is made once; the third window reads rows 1 to 17, columns 5 to 21"
    found = gpu.page.evaluate("made")
    assert len({*map(tuple, found)}) == len(found) and [16, 16, 17, 22] in found


@pytest.mark.parametrize(("name", "over", "shares"), [("liif", 3, []), ("lit", 5, [0.5])])
def test_a_view_of_more_than_a_tile_is_whole_or_ends_between_two_parts(gpu, renderer, image, name, over, shares):
    """Two tiles, of which the first is drawn in two chunks: it ends after the first chunk, or after the first tile."""
    gpu.open(image)
    wanted = {"model": name, "size": [510, 660], "chain": "published", "stages": None}
    gpu.render(**wanted, window=[200, 60, 4, 4])  # makes the features
    wanted |= {"window": [200, 60, 33, 530]}
    drawn, asked, heard = gpu.draw(wanted)
    _compare_bytes(drawn, renderer.render(clit.load(name), image, clip=False, size=(510, 660), window=wanted["window"]))
    # Whether it is still wanted is asked at the start, when a tile has its features, and after each chunk.
    assert asked == 1 + (1 + 2) + (1 + 1) and heard == [0.5, 1]
    assert gpu.draw(wanted, over) == (None, over, shares)


ASKED = {
    "draw": "renderer.draw(wanted)",
    "attend": "renderer.attend(wanted, 20, 30)",
    "survey": "(await import('/viewer/gpu_survey.js')).surveyView(renderer, wanted, () => false)",
    "source": "(await import('/viewer/gpu_source.js')).readGpuSource(renderer, wanted)",
}


@pytest.mark.parametrize("asked", ASKED)
def test_features_that_a_fault_may_have_spoilt_are_made_anew(gpu, renderer, image, asked):
    gpu.open(image.copy())
    wanted = {"model": "lit", "size": [51, 66], "chain": "published", "stages": None, "window": [20, 30, 4, 4]}
    spoil = """async (wanted) => {
      const { queue } = gpu.device;
      queue.submit = () => { // of the first commands the device refuses something, and they are never done
        delete queue.submit;
        gpu.device.createBuffer({ size: 16, usage: 0 });
      };
      return (async () => ASKED)().then(() => '', (error) => error.message);
    }"""
    assert "usage" in gpu.page.evaluate(spoil.replace("ASKED", ASKED[asked]), wanted).lower()
    _compare(gpu, renderer, clit.load("lit"), image, wanted)


def test_a_fault_is_one_where_nobody_wants_the_view_any_more(gpu, image):
    gpu.open(image.copy())
    wanted = {"model": "lit", "size": [51, 66], "chain": "published", "stages": None, "window": [20, 30, 4, 4]}
    spoil = """(wanted) => {
      let asked = 0;
      const isOver = () => (asked += 1) > 1 && Boolean(gpu.device.createBuffer({ size: 16, usage: 0 }));
      return renderer.draw(wanted, isOver).then(() => '', (error) => error.message);
    }"""
    assert "usage" in gpu.page.evaluate(spoil, wanted).lower()


def test_a_kind_of_model_that_is_not_drawn_here_is_refused_by_name(gpu, folder):
    told = gpu.page.evaluate(
        """async () => {
          const { models } = await renderer.library.fetch('models.json');
          const config = { encoder: { name: 'swinir' }, decoder: { name: 'liif', hidden: [16] } };
          models.push({ name: 'wide', config });
          return renderer.load('wide').catch((error) => error.message);
        }"""
    )
    assert told == "wide has the encoder swinir."
