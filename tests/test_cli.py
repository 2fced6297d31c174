"""The command line, in process: results, odd pictures, and one clear line for wrong input."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from picture_files import write_image
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import clit
from clit.__main__ import app
from clit.config import CLITConfig, EDSRConfig, LIIFConfig, ModelConfig
from clit.exports.compare import compare
from clit.networks import checkpoints
from clit.networks.model import SRModel
from clit.pictures import metrics
from clit.pictures.files import as_array, read_image
from clit.pictures.resize import published_pair

SMALL = EDSRConfig(width=8, blocks=1)
DECODERS = {
    "lit-light": CLITConfig(width=8, heads=2, radius=1, hidden=(8,), stages=1),
    "cascade": CLITConfig(width=8, heads=2, radius=1, hidden=(8,), stages=2),
    "distance": LIIFConfig(hidden=(8,)),
}


@pytest.fixture(scope="module", autouse=True)
def small_models(tmp_path_factory):
    """A folder of small, randomly initialised checkpoints in place of the project's own."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    for name, decoder in DECODERS.items():
        checkpoints.save(SRModel(ModelConfig(SMALL, decoder)), folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIT_CHECKPOINTS", str(folder))
        yield folder


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in.png"
    write_image(path, np.random.default_rng(0).random((9, 12, 3)))
    return path


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def done(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments):
    """The one line that a wrong command ends with."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in result.output
    return lines[0]


@pytest.mark.parametrize("name", ["lit-light", "cascade", "distance", "bilinear", "bicubic"])
def test_upscale_is_what_the_package_renders(photo, tmp_path, name):
    done("upscale", photo, tmp_path / "out.png", "--scale", 3.7, "--model", name)
    expected = clit.upscale(clit.load(name), photo, scale=3.7)
    assert expected.shape == (33, 44, 3)
    np.testing.assert_allclose(as_array(tmp_path / "out.png"), expected, atol=0.51 / 255)


def test_upscale_to_a_size_by_the_default_model(photo, tmp_path):
    result = done("upscale", photo, tmp_path / "out.tif", "--size", "20x50")
    assert as_array(tmp_path / "out.tif").shape == (20, 50, 3) and "50 x 20 pixels (width x height)" in result.stdout


def test_upscale_takes_chain_and_stages(photo, tmp_path):
    pictures = []
    for options in ((), ("--chain", "balanced"), ("--stages", "1")):
        done("upscale", photo, tmp_path / "out.png", "--scale", 6, "--model", "cascade", *options)
        pictures.append(as_array(tmp_path / "out.png"))
    assert np.abs(pictures[0] - pictures[1]).max() > 0 and np.abs(pictures[0] - pictures[2]).max() > 0


def test_upscale_keeps_alpha_and_depth(tmp_path):
    rng = np.random.default_rng(1)
    alpha = np.zeros((8, 8), np.float32)
    alpha[2:6, 2:6] = 1
    write_image(tmp_path / "in.png", rng.random((8, 8, 3)), alpha, bits=16)
    done("upscale", tmp_path / "in.png", tmp_path / "out.png", "--scale", 3)
    picture = read_image(tmp_path / "out.png")
    assert picture.bits == 16
    inside, outside = picture.alpha[9:15, 9:15], picture.alpha[:3, :3]
    assert inside.min() > 0.9 and outside.max() < 0.1
    done("upscale", tmp_path / "in.png", tmp_path / "out.jpg", "--scale", 3)
    assert as_array(tmp_path / "out.jpg")[:3, :3].min() > 0.95


def odd_pictures(folder):
    grey = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, image, options in (
        ("grey.png", grey, {}),
        ("bits.png", grey.convert("1"), {}),
        ("alpha.png", grey.convert("LA"), {}),
        ("palette.gif", grey.convert("P"), {}),
        ("cmyk.jpg", grey.convert("CMYK"), {}),
        ("deep.png", Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), {}),
        ("turned.jpg", grey, {"exif": exif}),
        ("one.png", grey.crop((0, 0, 1, 1)), {}),
    ):
        image.save(folder / name, **options)
        yield folder / name, ((8, 6) if name == "turned.jpg" else image.size[::-1])


def test_odd_pictures(tmp_path):
    for path, (h, w) in odd_pictures(tmp_path):
        done("upscale", path, tmp_path / "out.png", "--scale", 2.5)
        assert as_array(tmp_path / "out.png").shape == (round(h * 2.5), round(w * 2.5), 3), path


def test_attend_writes_numbers_and_a_figure(photo, tmp_path):
    options = ("--pixel", "5,30", "--scale", 6, "--model", "cascade")
    seen = clit.attend(clit.load("cascade"), photo, pixel=(5, 30), scale=6)
    done("attend", photo, tmp_path / "out.npz", *options)
    with np.load(tmp_path / "out.npz") as arrays:
        assert str(arrays["kind"]) == "attention" and arrays["pixel"].tolist() == [5, 30]
        for j, stage in enumerate(seen.stages):
            for name in ("weights", "content", "position", "latents", "inside", "influence", "grid"):
                np.testing.assert_allclose(arrays[f"stage{j}_{name}"], getattr(stage, name), atol=1e-6)
    done("attend", photo, tmp_path / "out.json", *options)
    data = json.loads((tmp_path / "out.json").read_text())
    np.testing.assert_allclose(np.sum(data["stages"][1]["weights"], (1, 2)), 1, atol=1e-5)
    pytest.importorskip("matplotlib")
    done("attend", photo, tmp_path / "out.png", *options)
    assert as_array(tmp_path / "out.png").std() > 0.05


def test_attend_prints_json_and_nothing_else(photo, tmp_path):
    options = ("--pixel", "5,30", "--scale", 6, "--model", "cascade", "--json")
    seen = clit.attend(clit.load("cascade"), photo, pixel=(5, 30), scale=6)
    for out in ((), (tmp_path / "out.npz",)):
        data = json.loads(done("attend", photo, *out, *options).stdout)
        assert data["pixel"] == [5, 30] and len(data["stages"]) == len(seen.stages)
        np.testing.assert_allclose(data["stages"][0]["weights"], seen.stages[0].weights, atol=1e-6)
        assert all(path.exists() for path in out)
    assert "Give OUT, the file to write, or --json" in refused("attend", photo, *options[:-1])
    for paths in ((photo.parent,), (photo.parent, tmp_path / "out"), (photo, photo, tmp_path / "out")):
        assert "give one picture, and OUT as a file" in refused("attend", *paths, *options)
    assert "in.png" in refused("attend", photo, photo, *options)


def test_attend_at_a_corner_and_for_an_ensemble(photo, tmp_path):
    pytest.importorskip("matplotlib")
    done("attend", photo, tmp_path / "a.png", "--pixel", "0,0", "--scale", 2)
    done("attend", photo, tmp_path / "b.png", "--pixel", "17,23", "--scale", 2, "--model", "distance")
    done("attend", photo, tmp_path / "b.json", "--pixel", "17,23", "--scale", 2, "--model", "distance")
    stage = json.loads((tmp_path / "b.json").read_text())["stages"][0]
    assert "content" not in stage and np.shape(stage["weights"]) == (1, 2, 2)


def test_compare_draws_crops_by_all_methods_with_their_scores(tmp_path):
    full = tmp_path / "full.png"
    write_image(full, np.random.default_rng(0).random((50, 70, 3)))
    found = compare({n: clit.load(n) for n in ("bicubic", "cascade")}, full, 2.5, crops=[(3, 5, 20, 30)], truth=True)
    small, hr = published_pair(np.asarray(Image.open(full)), 2.5)
    assert [panel.name for panel in found.panels] == ["ground truth", "bicubic", "cascade"]
    assert np.array_equal(found.panels[0].crops[0], np.float32(hr[3:23, 5:35]) / 255)
    for panel in found.panels[1:]:
        expected = clit.upscale(clit.load(panel.name), small, size=hr.shape[:2])
        assert np.allclose(panel.crops[0], expected[3:23, 5:35], atol=1e-6)
        assert panel.psnr == pytest.approx(metrics.psnr(expected, hr, scale=2.5), abs=1e-4)
        assert panel.ssim == pytest.approx(metrics.ssim(expected, hr, scale=2.5), abs=1e-6)
    plain = compare({"bicubic": clit.load("bicubic")}, full, 2.5)
    assert plain.size == (125, 175) and plain.crops == [(0, 23, 125, 128)] and plain.panels[0].psnr is None
    sheet = tmp_path / "sheet.png"
    told = done("compare", full, sheet, "--scale", "2.5", "--truth", "--crop", "3,5,20,30", "--crop", "0,0,9,9").output
    assert f"bicubic: {found.panels[1].psnr:.2f} dB" in told and "lit-light: " in told and "2 crops" in told
    assert Image.open(sheet).width > 400
    done("compare", full, tmp_path / "sheet.svg", "--scale", "2", "--model", "bicubic", "--model", "distance")
    for wrong in ("1,2,3", "a,b,c,d", "0,0,500,5", "0,0,0,5", "-1,0,5,5"):
        assert len(refused("compare", full, sheet, "--scale", "2", "--crop", wrong)) < 200
    assert "scale" in refused("compare", full, sheet, "--scale", "0")


def test_evaluate(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_image(folder / "a.png", np.random.default_rng(2).random((60, 60, 3)))
    result = done(
        *(
            "evaluate",
            "bicubic",
            "distance",
            "--data",
            folder,
            "--scales",
            "2,3.5",
            "--csv",
            tmp_path / "rows.csv",
        )
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert "x2 " in lines[0] and "x3.5" in lines[0]
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["bicubic", "distance"]
    assert re.search(r"\d\d\.\d\d / 0\.\d{4}", lines[2])
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + 4


def published_file(path):
    """A LIIF file in the published form, and the model it was made from."""
    torch.manual_seed(3)
    model = SRModel(ModelConfig(SMALL, LIIFConfig(hidden=(8,))))
    weights = {k.replace("decoder.mlp.", "imnet.layers."): v for k, v in model.state_dict().items()}
    args = {
        "encoder_spec": {
            "name": "edsr-baseline",
            "args": {"no_upsampling": True, "n_feats": 8, "n_resblocks": 1},
        },
        "imnet_spec": {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [8]}},
    }
    torch.save({"model": {"name": "liif", "args": args, "sd": weights}}, path)
    return model.eval()


def test_import_official_and_evaluation_of_a_published_file(photo, tmp_path):
    model = published_file(tmp_path / "published.pth")
    done("import-official", tmp_path / "published.pth", tmp_path / "mine")
    assert sorted(os.listdir(tmp_path / "mine")) == ["README.md", "config.json", "model.safetensors"]
    done("upscale", photo, tmp_path / "out.png", "--scale", 2, "--model", tmp_path / "mine")
    expected = clit.upscale(model, photo, scale=2)
    np.testing.assert_allclose(as_array(tmp_path / "out.png"), expected, atol=0.51 / 255)
    (tmp_path / "data").mkdir()
    write_image(tmp_path / "data" / "a.png", np.random.default_rng(2).random((60, 60, 3)))
    both = (tmp_path / "published.pth", tmp_path / "mine")
    result = done("evaluate", *both, "--data", tmp_path / "data", "--scales", "2")
    scores = [line.split("|")[3] for line in result.stdout.splitlines() if "published" in line or "mine" in line]
    assert len(scores) == 2 and scores[0] == scores[1]
    assert "code" in refused("import-official", evil(tmp_path / "evil.pth"), tmp_path / "no")
    assert not (tmp_path / "no").exists() and not (tmp_path / "ran").exists()


def evil(path):
    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "ran"),)

    torch.save({"model": Runs()}, path)
    return path


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "inf", "1000", "0.99"])
def test_wrong_scales(photo, tmp_path, scale):
    assert scale in refused("upscale", photo, tmp_path / "out.png", "--scale", scale)
    refused("attend", photo, tmp_path / "out.npz", "--pixel", "0,0", "--scale", scale)
    refused("evaluate", "bicubic", "--data", tmp_path, "--scales", scale)
    assert sorted(os.listdir(tmp_path)) == ["in.png"]


def test_wrong_sizes(photo, tmp_path):
    out = tmp_path / "out.png"
    assert "--size" in refused("upscale", photo, out, "--size", "20")
    refused("upscale", photo, out, "--size", "4x4")
    refused("upscale", photo, out, "--size", "-20x20")
    refused("upscale", photo, out, "--size", "20x20", "--scale", "2")
    refused("upscale", photo, out)
    assert not out.exists()


def test_wrong_files(photo, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    assert "missing.png" in refused("upscale", tmp_path / "missing.png", tmp_path / "out.png", "--scale", 2)
    assert "text.png" in refused("upscale", tmp_path / "text.png", tmp_path / "out.png", "--scale", 2)
    assert "text.png" in refused("attend", tmp_path / "text.png", tmp_path / "o.npz", "--pixel", "0,0", "--scale", 2)
    for name in ("out.xyz", "none/out.png", "in.png"):
        assert name.split("/")[0] in refused("upscale", photo, tmp_path / name, "--scale", 2)
    assert ".json" in refused("attend", photo, tmp_path / "out.jpg", "--pixel", "0,0", "--scale", 2)
    refused("evaluate", "bicubic", "--data", tmp_path / "nothing")
    refused("evaluate", "bicubic", "--data", tmp_path, "--csv", tmp_path / "none" / "rows.csv")
    refused("import-official", photo, tmp_path / "model")
    refused("import-official", tmp_path / "missing.pth", tmp_path / "model")
    refused("import-official", photo, photo)


def test_nothing_writes_over_its_own_input(photo):
    before = photo.read_bytes()
    for command in (
        ("upscale", photo, photo, "--scale", 2),
        ("attend", photo, photo, "--scale", 2, "--pixel", "1,1"),
        ("compare", photo, photo, "--scale", 2),
    ):
        assert "the input itself" in refused(*command)
    assert photo.read_bytes() == before


def test_a_bad_output_is_said_before_any_work(photo, tmp_path, monkeypatch):
    monkeypatch.setattr(clit, "load", lambda *_: pytest.fail("a model was loaded"), raising=False)
    refused("upscale", photo, tmp_path / "none" / "out.png", "--scale", 2)
    refused("attend", photo, tmp_path / "none" / "out.npz", "--pixel", "0,0", "--scale", 2)


def test_options_that_fit_no_picture_of_a_folder_are_said_before_any_work(photo, tmp_path):
    out = tmp_path / "out"
    attend, compare = ("attend", photo.parent, out, "--pixel", "0,0"), ("compare", photo.parent, out)
    assert "Give a scale" in refused(*attend)
    assert "not both" in refused(*attend, "--scale", 2, "--size", "20x30")
    assert "does not attend" in refused(*attend, "--scale", 2, "--model", "bicubic")
    assert "other" in refused(*attend, "--scale", 2, "--chain", "other")
    assert "The scale is 0.5" in refused(*compare, "--scale", 0.5, "--model", "bicubic")
    assert "other" in refused(*compare, "--scale", 2, "--chain", "other", "--model", "bicubic")
    assert not out.exists()
    assert "1 written" in done(*attend, "--size", "20x30", "--format", "json").stdout


def test_actors_are_for_folders_over_ray(photo, tmp_path):
    assert "for folders" in refused("upscale", photo, tmp_path / "out.png", "--scale", 2, "--actors", 2)
    assert "only together with Ray" in refused("upscale", photo.parent, tmp_path / "out", "--scale", 2, "--actors", 2)


@pytest.mark.parametrize(
    ("following", "address", "inputs"),
    [
        (["ray://head:10001", "in", "out"], "ray://head:10001", ["in"]),
        (["10.0.0.1:6379", "in", "out"], "10.0.0.1:6379", ["in"]),
        (["auto", "in", "out"], "auto", ["in"]),
        (["in", "out"], "local", ["in"]),
        (["C:\\in", "out"], "local", ["C:\\in"]),
    ],
)
def test_ray_may_stand_without_an_address(following, address, inputs):
    command = get_command(app).commands["upscale"]
    found = command.make_context("upscale", ["--scale", "2", "--ray", *following]).params
    assert (found["ray"], found["inputs"], str(found["out"])) == (address, inputs, "out")


def test_models_of_one_name_stay_apart(small_models, tmp_path):
    other, picture = tmp_path / "mine" / "lit-light", tmp_path / "in.png"
    shutil.copytree(small_models / "distance", other)
    write_image(picture, np.random.default_rng(0).random((24, 24, 3)))
    out = tmp_path / "sheet.png"
    told = done("compare", picture, out, "--scale", 1, "--truth", "--model", "lit-light", "--model", other)
    assert len(told.stdout.splitlines()) == 3


@pytest.mark.parametrize("command", ["compare", "attend", "film"])
def test_what_reading_loses_is_said_by_every_command(command, tmp_path):
    source = tmp_path / "in.tif"
    Image.new("CMYK", (40, 40)).save(source)
    out, options = {
        "compare": ("o.svg", ("--scale", 2)),
        "attend": ("o.json", ("--scale", 2, "--pixel", "0,0")),
        "film": ("o.gif", ("--side", "32x32", "--seconds", 0.1, "--end", 2)),
    }[command]
    assert "CMYK" in done(command, source, tmp_path / out, *options, "--model", "lit-light").stderr
    if command != "film":
        assert "CMYK" in done(command, tmp_path, tmp_path / "folder", *options, "--model", "lit-light").stderr


def test_wrong_models_and_pixels(photo, tmp_path):
    out = tmp_path / "out.npz"
    assert "nothing-like-it" in refused(
        "upscale", photo, tmp_path / "o.png", "--scale", 2, "--model", "nothing-like-it"
    )
    assert "clit-light" in refused("upscale", photo, tmp_path / "o.png", "--scale", 2, "--model", "clit-light")
    refused("upscale", photo, tmp_path / "o.png", "--scale", 2, "--chain", "other")
    refused("upscale", photo, tmp_path / "o.png", "--scale", 2, "--stages", 9)
    assert "attend" in refused("attend", photo, out, "--pixel", "0,0", "--scale", 2, "--model", "bicubic")
    for pixel in ("18,0", "0,-1", "one,two", "3"):
        refused("attend", photo, out, "--pixel", pixel, "--scale", 2)
    refused("evaluate", "bicubic", "--data", tmp_path, "--scales", "2,many")
    refused("evaluate", "bicubic", "--data", tmp_path, "--rule", "other")
    refused("evaluate", "bicubic", "--data", tmp_path, "--held-out", tmp_path / "none.txt")


def test_train_refuses_what_it_cannot_do(photo, tmp_path):
    out = ("--out", tmp_path / "run")
    refused("train", "lit-light", "--data", tmp_path, *out)
    refused("train", "nothing-like-it", "--data", tmp_path, *out, "--steps", 1)
    refused("train", "lit-light", "--data", tmp_path / "missing", *out, "--steps", 1)
    refused("train", "lit-light", "--data", tmp_path, *out, "--steps", 1, "--encoder", "bicubic")
    refused("train", "lit-light", "--data", tmp_path, *out, "--steps", 1, "--held-out", tmp_path / "missing.txt")


def test_a_wrong_rule_is_said_before_any_work(photo, monkeypatch):
    monkeypatch.setattr("clit.training.evaluate.evaluate", lambda *args, **options: pytest.fail("it has begun"))
    assert "foo" in refused("evaluate", "bicubic", "--data", photo.parent, "--rule", "foo")


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom clit.__main__ import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'cv2', 'PIL', 'numpy'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for command in ("upscale", "attend", "compare", "film", "evaluate", "train", "import-official"):
        assert command in result.stdout
        done(command, "--help")


def test_film(photo, tmp_path):
    out = tmp_path / "zoom.gif"
    told = done(
        "film", photo, out, "--model", "bicubic", "--model", "bilinear", "--about", "3,4.5", "--end", "4",
        "--side", "40x50", "--seconds", "0.5", "--fps", "10",
    )  # fmt: skip
    assert "5 frames of 100 x 62 pixels (width x height)" in told.stdout
    with Image.open(out) as film:
        assert film.size == (100, 62)
    refused("film", photo, tmp_path / "zoom.avi")
    refused("film", photo, out, "--about", "3")
    refused("film", photo, out, "--about", "3,900")
    refused("film", photo, out, "--end", "0")
    refused("film", photo, out, "--side", "8x8")
    refused("film", photo, out, "--fps", "0")


def test_outputs_are_checked_before_any_work(photo, tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a file" in refused("train", "lit-light", "--data", tmp_path, "--out", tmp_path / "file", "--steps", 1)
    assert "two numbers, Y,X" in refused("film", photo, tmp_path / "a.mp4", "--end", 3, "--about", "40")


@pytest.mark.parametrize("command", [("upscale",), ("compare",), ("attend", "--pixel", "1,1"), ("film", "--end", 3)])
def test_a_picture_whose_end_is_missing_is_refused_where_that_is_asked(command, photo, tmp_path):
    data = photo.read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) - 40])
    name, *options = command
    options += [] if name == "film" else ["--scale", 2]
    ending = ".webp" if name == "film" else ".png"
    out = tmp_path / f"out{ending}"
    assert "cut.png" in refused(name, tmp_path / "cut.png", out, "--model", "bilinear", "--strict", *options)
    assert not out.exists()
