"""Attribution: sums to the change of the objective, is zero beyond the reach, equals closed forms; any network."""

from __future__ import annotations

import contextlib
import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import clit
from clit import UserError
from clit.__main__ import app
from clit.config import CLITConfig, EDSRConfig, LIIFConfig, LTEConfig, ModelConfig, RDNConfig
from clit.networks.encoders import slopes
from clit.networks.model import SRModel
from clit.pictures.files import to_bytes
from clit.rendering import attribution
from clit.rendering.encodings import LIMIT
from clit.rendering.tiles import Pace

ENCODER = EDSRConfig(width=8, blocks=1)
MODELS = {
    "liif": ModelConfig(ENCODER, LIIFConfig(hidden=(12,))),
    "lte": ModelConfig(ENCODER, LTEConfig(width=8, hidden=(12,))),
    "lit": ModelConfig(ENCODER, CLITConfig(width=8, heads=2, radius=1, hidden=(12,), fourier=4)),
    "clit": ModelConfig(ENCODER, CLITConfig(width=8, heads=2, radius=2, hidden=(12,), stages=3)),
    "rdn": ModelConfig(RDNConfig(width=6, blocks=2, layers=2, growth=4), LIIFConfig(hidden=(8,))),
}


def make_model(name: str) -> SRModel:
    torch.manual_seed(4)
    return clit.load(name) if name in ("bicubic", "bilinear") else SRModel(MODELS[name]).eval()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    random = np.random.default_rng(0)
    noise = random.random((7, 9, 3), dtype=np.float32)
    soft = F.interpolate(torch.from_numpy(noise).permute(2, 0, 1)[None], size=(40, 50), mode="bicubic")
    picture = soft[0].permute(1, 2, 0).clamp(0, 1).numpy().copy()
    picture[:12, :14] = 0.5  # flat ground
    return picture


@pytest.mark.parametrize("objective", attribution.OBJECTIVES)
@pytest.mark.parametrize("name", ["bicubic", *MODELS])
def test_maps_sum_to_the_change_of_the_objective(name, objective, image):
    model = make_model(name)
    for scale, pixel in ((7.3, (5, 8)), (2.5, (99, 124))):  # on flat ground, in a corner
        found = clit.attribute(model, image, pixel, scale, objective=objective, patch=8)
        assert np.isfinite(found.map).all() and found.map.shape == image.shape
        assert found.gap < attribution.GAP and 50 <= found.steps <= attribution.MOST_STEPS
        floor = attribution._FLOORS[objective]
        assert (
            abs(found.map.sum(dtype=np.float64) - found.change)
            <= 1.01 * found.gap * max(abs(found.change), floor) + 1e-6
        )
        assert 0 <= found.diffusion < 100 and 0 <= found.shown.min() <= found.shown.max() <= 1


@pytest.mark.parametrize("name", ["liif", "lte", "lit", "clit", "rdn", "bicubic"])
def test_nothing_comes_from_beyond_the_region(name, image):
    model, size = make_model(name), (120, 150)
    source = attribution.ModelSource(model, model.view(image.shape[:2], size))
    window = clit.Window(50, 60, 5, 5)
    region = source.find_region(window)
    assert region.area < 40 * 50
    whole = torch.from_numpy(image).permute(2, 0, 1)[None].requires_grad_()
    rgb = clit.Renderer()  # the same colours as by the usual way
    view = model.view(image.shape[:2], size, window)
    features = model.encode(whole)
    colours = model.render(model.prepare(features, view))[0]
    (gradient,) = torch.autograd.grad(colours.sum(), whole)
    outside = torch.ones(40, 50, dtype=torch.bool)
    outside[region.slices()] = False
    assert (gradient[0, :, outside] == 0).all()
    assert gradient[0][(slice(None), *region.slices())].abs().max() > 0
    with torch.no_grad():
        part = whole[(..., *region.slices())]
        assert (source.render(part, region, window, 1.0) - colours).abs().max() < 1e-5
    usual = rgb.render(model, image, size=size, window=window, clip=False)
    assert np.abs(usual - colours.detach().numpy()).max() < 1e-5


class Linear(nn.Module):
    """Enlarges three times by a transposed convolution of fixed random weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.weight = nn.Parameter(torch.randn(3, 3, 9, 9) / 20)

    def forward(self, x):
        return F.conv_transpose2d(x, self.weight, stride=3, padding=3)


def test_of_a_linear_network_the_map_is_the_closed_form(image):
    model, pixel = Linear(), (50, 61)
    for reach in (None, 2):
        found = clit.attribute(model, image, pixel, objective="colour", reach=reach)
        x = torch.from_numpy(image).permute(2, 0, 1)[None].requires_grad_()
        luma = model(x)[0, :, 50, 61] @ torch.tensor(attribution._LUMA)
        (gradient,) = torch.autograd.grad(luma, x)
        blurred = attribution._Blurs(image, clit.geometry.Region(0, 0, 40, 50)).at(0.0)
        closed = (gradient * (x.detach() - blurred))[0].permute(1, 2, 0).numpy()
        assert np.abs(found.map - closed).max() < 1e-6
        assert found.size == (120, 150) and found.steps == 50 and found.gap < 1e-3
    assert found.region.area <= 25


class Bicubic(nn.Module):
    def forward(self, x):
        return F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)


class Network(nn.Module):
    """A network of one's own: convolutions and a pixel shuffle."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 48, 3, padding=1))

    def forward(self, x):
        return F.pixel_shuffle(self.body(x), 4)


def test_bicubic_as_a_module_spreads_less_than_any_network(image):
    pixel = (81, 102)
    plain = clit.attribute(Bicubic(), image, pixel)
    assert plain.region.area == 40 * 50 and plain.gap < 0.001
    taps = np.zeros((40, 50), bool)
    taps[(81 - 8) // 4 - 2 : (81 + 9) // 4 + 3, (102 - 8) // 4 - 2 : (102 + 9) // 4 + 3] = True
    assert (plain.map[~taps] == 0).all() and np.abs(plain.map[taps]).max() > 0
    for model, scale in ((Network(), None), (make_model("liif"), 4), (make_model("lit"), 4)):
        assert clit.attribute(model, image, pixel, scale).diffusion > plain.diffusion


def test_diffusion_does_not_depend_on_the_size_of_the_picture():
    random = np.random.default_rng(5)
    large = np.zeros((200, 220, 3), np.float32)
    large[90:110, 95:115] = random.random((20, 20, 3))
    found = attribution.find_diffusion(large, (100, 105))
    assert found == attribution.find_diffusion(large[60:150, 60:160], (40, 45))
    one = np.zeros((64, 64, 3), np.float32)
    one[32, 32] = 1
    assert attribution.find_diffusion(one, (32, 32)) == pytest.approx(100 / 64**2)
    assert attribution.find_diffusion(np.ones((64, 64, 3), np.float32), (32, 32)) == pytest.approx(100)
    assert attribution.find_diffusion(0 * one, (3, 3)) == 0


def test_more_steps_are_taken_where_the_gap_is_wide(monkeypatch, image):
    first = clit.attribute(make_model("lit"), image, (60, 70), 3, steps=3, patch=4)
    monkeypatch.setattr(attribution, "GAP", first.gap / 3)
    monkeypatch.setattr(attribution, "MOST_STEPS", 24)
    found = clit.attribute(make_model("lit"), image, (60, 70), 3, steps=3, patch=4)
    assert found.steps in (6, 12, 24) and found.gap < first.gap
    monkeypatch.setattr(attribution, "GAP", 2.0)
    assert clit.attribute(make_model("lit"), image, (60, 70), 3, steps=3).steps == 3


def test_it_can_be_stopped_and_tells_how_far_it_is(image):
    heard = []
    clit.attribute(make_model("liif"), image, (60, 70), 3, steps=4, progress=heard.append)
    assert heard[:4] == [0.25, 0.5, 0.75, 1.0]
    with pytest.raises(clit.Cancelled):
        clit.attribute(make_model("liif"), image, (60, 70), 3, cancel=lambda: True)


def test_a_first_map_of_few_steps_is_part_of_the_work(image):
    model, pixel = make_model("lit"), (60, 70)
    few, all_ = (clit.attribute(model, image, pixel, 3, steps=steps, objective="colour") for steps in (2, 10))
    assert (few.steps, all_.steps) == (2, 10), "no doubling: the test compares single passes"
    tracing = clit.Renderer().trace(model, image, pixel=pixel, scale=3, steps=10, first=2, objective="colour")
    reached = list(tracing)
    assert [(each.done, each.steps) for each in reached] == [(k, 10) for k in range(1, 11)]
    first, last = (each.found for each in reached if each.found)
    assert reached[1].found is first and reached[9].found is last
    assert [each.is_last for each in reached] == 9 * [False] + [True]
    for found, wanted in ((first, few), (last, all_)):
        assert found.steps == wanted.steps and np.abs(found.map - wanted.map).max() < 1e-7 * np.abs(wanted.map).max()
        assert found.gap == pytest.approx(wanted.gap, abs=1e-7) and found.region == wanted.region


def test_models_with_one_encoder_share_its_way_forth(image, monkeypatch):
    found, renderer, options = [], clit.Renderer(), {"steps": 3, "patch": 4}
    monkeypatch.setattr(slopes, "find_slopes", lambda *args, find=slopes.find_slopes: found.append(1) or find(*args))
    monkeypatch.setattr(attribution, "GAP", 9.0)  # so that three steps are all
    models = {name: make_model(name) for name in ("clit", "lit", "liif", "lte")}
    for pixel in ((60, 70), (119, 149), (61, 5)):
        for name, model in models.items():
            model.encoder.load_state_dict(models["clit"].encoder.state_dict())
            found.clear()
            got = renderer.attribute(model, image, pixel=pixel, scale=3, **options)
            assert len(found) == (5 if name == "clit" else 0)  # both ends and three steps, by who sees furthest
            source = attribution.ModelSource(model, model.view((40, 50), (120, 150)))
            wanted = attribution.attribute(source, image, pixel, **options)  # by torch's own gradients
            assert got.region == wanted.region and got.gap == pytest.approx(wanted.gap, abs=1e-5)
            assert np.abs(got.map - wanted.map).max() < 1e-5 * np.abs(wanted.map).max()
            outside = np.ones((40, 50), bool)
            outside[got.region.slices()] = False
            assert (got.map[outside] == 0).all()
    assert 0 < renderer.count_bytes()["encodings"] <= LIMIT
    renderer.forget([image[::-1]])
    assert renderer.count_bytes()["encodings"] > 0, "another picture"
    renderer.forget([image])
    assert renderer.count_bytes()["encodings"] == 0
    renderer.attribute(models["clit"], image, pixel=pixel, scale=3, **options)
    assert renderer.count_bytes()["encodings"] > 1000
    renderer.set_cache_bytes(8000)
    assert renderer.count_bytes()["encodings"] <= 1000
    renderer.attribute(models["clit"], image, pixel=(9, 9), scale=3, **options)
    assert renderer.count_bytes()["encodings"] <= 1000


@pytest.mark.parametrize("name", ["lit", "rdn", "bicubic"])
def test_what_does_not_fit_into_memory_is_refused(monkeypatch, image, name):
    model = make_model(name)
    source = attribution.ModelSource(model, model.view((40, 50), (120, 150)))
    region, kept = attribution.Region(0, 0, 40, 50), set()
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.add(each) or each, lambda each: each):
        model.encoder(torch.zeros(1, 3, 40, 50, requires_grad=True))
    weights = {each.data_ptr() for each in model.encoder.parameters()}
    wanted = sum({each.data_ptr(): each.nbytes for each in kept if each.data_ptr() not in weights}.values())
    if name != "lit":  # which keeps a bit for each of its ReLUs
        assert source.estimate_memory(region) == pytest.approx(wanted, rel=0.02)
    monkeypatch.setattr("clit.system.memory.available", lambda: 1000)
    if wanted:
        with pytest.raises(UserError, match="of memory, more than the 0 MB there are: choose a model with"):
            clit.attribute(model, image, (60, 70), 3)


def test_every_step_is_taken_in_turn(image):
    turns = []

    @contextlib.contextmanager
    def turn():
        turns.append("begins")
        yield
        turns.append("ends")

    renderer = clit.Renderer().in_turn(turn, Pace(), lambda: False)
    found = renderer.attribute(make_model("liif"), image, pixel=(60, 70), scale=3, steps=4, objective="colour")
    assert turns == ["begins", "ends"] * found.steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(pixel=(120, 0)), r"The pixel is \(120, 0\), but must be \(row, column\) inside the output of 150 x 120"),
        (dict(objective="edges"), 'The objective is "edges", but must be one of texture, colour'),
        (dict(patch=0), "The patch is 0, but must be a whole number"),
        (dict(steps=401), "The number of steps is 401, but must be a whole number from 1 to 400"),
        (dict(reach=3), "leave it out"),
    ],
)
def test_wrong_options_are_named(image, options, message):
    with pytest.raises(UserError, match=message):
        clit.attribute(make_model("liif"), image, **({"pixel": (1, 1), "scale": 3} | options))


def test_networks_that_do_not_enlarge_pictures_are_refused(image):
    with pytest.raises(UserError, match=r"gives \(1, 16, 38, 48\), but must give"):
        clit.attribute(nn.Conv2d(3, 16, 3), image, (1, 1))
    with pytest.raises(UserError, match="has a scale of its own"):
        clit.attribute(Network(), image, (1, 1), 4)
    with pytest.raises(UserError, match="whole number: leave it out"):
        clit.attribute(nn.Upsample(scale_factor=1.5), image, (1, 1), reach=3)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_the_command_draws_several_methods(tmp_path, image, suffix):
    Image.fromarray(to_bytes(image)).save(tmp_path / "in.png")
    arguments = [
        "attribute",
        str(tmp_path / "in.png"),
        str(tmp_path / f"out{suffix}"),
        "--pixel",
        "60,70",
        "--scale",
        "3",
    ]
    found = CliRunner().invoke(app, [*arguments, "--model", "bicubic", "--model", "bilinear", "--steps", "2"])
    assert found.exit_code == 0, found.output
    assert re.search(r"bicubic: diffusion index \d+\.\d\d, gap \d+\.\d\d% after \d+ steps", found.output)
    assert (tmp_path / f"out{suffix}").stat().st_size > 3000


def test_the_command_writes_what_the_call_returns(tmp_path, image):
    Image.fromarray(to_bytes(image)).save(tmp_path / "in.png")
    wanted = clit.attribute(clit.load("bicubic"), tmp_path / "in.png", (60, 70), 3, objective="colour", steps=4)
    for suffix in (".npz", ".json"):
        out = tmp_path / f"out{suffix}"
        arguments = ["--pixel", "60,70", "--scale", "3", "--model", "bicubic", "--objective", "colour", "--steps", "4"]
        found = CliRunner().invoke(app, ["attribute", str(tmp_path / "in.png"), str(out), *arguments])
        assert found.exit_code == 0, found.output
        read = np.load(out) if suffix == ".npz" else json.loads(out.read_text())
        whole = wanted.map if suffix == ".npz" else wanted.map[wanted.region.slices()]
        assert np.allclose(read["map"], whole) and float(read["diffusion"]) == pytest.approx(wanted.diffusion)
        assert list(read["region"]) == [
            wanted.region.top,
            wanted.region.left,
            wanted.region.bottom,
            wanted.region.right,
        ]
        assert str(read["objective"]) == "colour" and list(read["size"]) == [120, 150]


def test_numbers_of_several_methods_are_refused(tmp_path, image):
    Image.fromarray(to_bytes(image)).save(tmp_path / "in.png")
    arguments = ["attribute", str(tmp_path / "in.png"), str(tmp_path / "out.npz"), "--pixel", "1,1", "--scale", "3"]
    found = CliRunner().invoke(app, [*arguments, "--model", "bicubic", "--model", "bilinear"])
    assert found.exit_code == 2 and "error: Numbers hold what one method was asked" in found.output
    assert not (tmp_path / "out.npz").exists()


def test_the_command_prints_json_and_nothing_else(tmp_path, image):
    Image.fromarray(to_bytes(image)).save(tmp_path / "in.png")
    source, asked = str(tmp_path / "in.png"), ["--pixel", "60,70", "--scale", "3", "--steps", "2", "--json"]
    for out in ([], [str(tmp_path / "out.png")]):
        found = CliRunner().invoke(app, ["attribute", source, *out, *asked, "--model", "bicubic"])
        assert found.exit_code == 0, found.output
        read = json.loads(found.stdout)
        wanted = clit.attribute(clit.load("bicubic"), source, (60, 70), 3, steps=2)
        assert np.allclose(read["map"], wanted.map[wanted.region.slices()]) and read["steps"] == wanted.steps
        assert all((tmp_path / "out.png").exists() for _ in out)
    for options, message in (
        ([*asked, "--model", "bicubic", "--model", "bilinear"], "error: Numbers hold what one method was asked"),
        (asked[:-1], "error: Give OUT, the file to write, or --json to print the numbers."),
    ):
        found = CliRunner().invoke(app, ["attribute", source, *options])
        assert found.exit_code == 2 and message in found.output and not found.stdout


def test_of_a_folder_every_picture_is_asked(tmp_path, image):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        Image.fromarray(to_bytes(image)).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "c.png").write_bytes(b"no picture")
    arguments = ["attribute", str(tmp_path / "in"), str(tmp_path / "out"), "--pixel", "60,70", "--scale", "3"]
    arguments += ["--model", "bicubic", "--steps", "4", "--format", "npz"]
    found = CliRunner().invoke(app, [*arguments, "--model", "bilinear"])
    assert found.exit_code == 2 and "error: Numbers hold what one method was asked" in found.output
    found = CliRunner().invoke(app, [*arguments, "--objective", "hue"])
    assert found.exit_code == 2 and 'error: The objective is "hue"' in found.output and not (tmp_path / "out").exists()
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 1 and "2 written, 1 failed" in found.output, found.output
    wanted = clit.attribute(clit.load("bicubic"), to_bytes(image), (60, 70), 3, steps=4)
    for name in ("a", "b"):
        assert np.allclose(np.load(tmp_path / "out" / f"{name}.npz")["map"], wanted.map)
