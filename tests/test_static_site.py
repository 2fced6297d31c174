"""The page as a folder of files: whole, relative, small enough, and what is asked for."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from typer.testing import CliRunner

import clit
from clit.__main__ import app
from clit.config import LIIFConfig, ModelConfig, RDNConfig
from clit.errors import UserError
from clit.networks import checkpoints
from clit.networks.model import SRModel
from clit.system.rewriting import LIST, rewrite_folder
from clit.ui import static_site
from clit.ui.examples import BUNDLED
from clit.ui.static_site import DEFAULT_MODELS, READY_SCALES, ready_name, write_site

IMPORT = re.compile(r'from "([.]{1,2}/[\w/]+[.]js)"')


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Two pictures, one of which has a place and an original."""
    folder = tmp_path_factory.mktemp("examples")
    tiny.save_photograph(folder / "one.png", 24, 30)
    tiny.save_photograph(folder / "two.png", 20, 20)
    (folder / "originals").mkdir()
    tiny.save_photograph(folder / "originals" / "one.png", 72, 90)
    place = {"row": 3.5, "column": 20, "scale": 4, "methods": ["bicubic", "clit-light"]}
    (folder / "credits.json").write_text(json.dumps({"one.png": {"title": "One", "author": "A", "place": place}}))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    tiny.save_checkpoints(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIT_CHECKPOINTS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def site(weights, examples, tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    heard = []
    total = write_site(out, examples, progress=heard.append)
    assert total == sum(len(content) for name, content in read_all(out).items() if name != LIST)
    assert heard == sorted(heard) and heard[-1] == 1
    return out


def read_all(folder):
    """The content of all files, by their paths below the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(path):
    return json.loads(path.read_text())


def test_all_that_the_page_names_is_there_and_relative(site):
    page = (site / "index.html").read_text()
    assert "default-src 'none'" in page and "connect-src 'self'" in page
    for name in ("index.html", "speed.html"):
        addresses = re.findall(r'(?:src|href)="([^"]+)"', (site / name).read_text())
        own = [each for each in addresses if not each.startswith(("https://", "data:"))]
        assert own and all(not each.startswith("/") and (site / each).is_file() for each in own)
    modules = list((site / "viewer").rglob("*.js"))
    for module in modules:
        for address in IMPORT.findall(module.read_text()):
            assert (module.parent / address).is_file(), (module, address)
    for entry in read(site / "weights" / "models.json")["models"]:
        for part in ("encoder", "decoder"):
            assert part not in entry or (site / "weights" / entry[part]).is_file()
    header = (site / "README.md").read_text().split("---\n")[1]
    assert "sdk: static\napp_file: index.html\n" in header


def test_examples_come_with_credit_place_and_original(site, examples):
    one, two = read(site / "site.json")["examples"]
    assert one["name"] == "one.png" and one["credit"] == {"title": "One", "author": "A"}
    assert one["place"] == {"row": 3.5, "column": 20, "scale": 4, "methods": []}, "a first view needs few weights"
    assert (one["size"], one["original_size"]) == ([24, 30], [72, 90])
    assert (site / one["original"]).read_bytes() == (examples / "originals" / "one.png").read_bytes()
    assert two["original"] is None and two["original_size"] == [20, 20] and two["place"] is None
    assert (site / two["file"]).read_bytes() == (examples / "two.png").read_bytes()


def test_ready_made_pictures_are_what_each_method_makes_of_the_place(site, examples):
    ready = read(site / "site.json")["ready"]
    assert ready == {"scales": list(READY_SCALES), "methods": ["bicubic", *tiny.CONFIGS]}
    found = Image.open(site / "ready" / ready_name("one.png", "lit-light", 2))
    assert found.size == (60, 48), "the whole output, as it is smaller than what is shown"
    large = np.asarray(Image.open(site / "ready" / ready_name("one.png", "bicubic", 12)).convert("RGB"), float)
    rgb = clit.upscale(clit.load("bicubic"), examples / "one.png", scale=24 / 2)
    assert large.shape[:2] == (288, 360)
    assert np.abs(large - 255 * rgb).mean() < 4, "what WebP leaves of it"


def test_only_models_asked_for(weights, examples, tmp_path):
    write_site(tmp_path, examples, ["lit-light"])
    names = [entry["name"] for entry in read(tmp_path / "weights" / "models.json")["models"]]
    assert names == ["bilinear", "bicubic", "lit-light"]
    assert [path.name for path in (tmp_path / "weights" / "decoders").iterdir()] == ["lit-light.safetensors"]


def test_what_an_earlier_call_wrote_goes_and_nothing_else(weights, examples, tmp_path):
    out, fresh, outside = tmp_path / "out", tmp_path / "fresh", tmp_path / "outside.txt"
    (tmp_path / "examples").mkdir()
    examples = Path(shutil.copy(examples / "two.png", tmp_path / "examples")).parent
    write_site(out, examples, ["liif-light", "lit-light"])
    own = {"CNAME": b"example.org", "weights/decoders/notes.txt": b"mine", "ready/two/mine.webp": b"mine"}
    for name, content in own.items():
        (out / name).write_bytes(content)
    outside.write_bytes(b"mine")
    with (out / LIST).open("a") as file:
        file.write(f"../outside.txt\n{outside}\n\n")
    before = read_all(out)

    (examples / "three.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"three[.]png"):
        write_site(out, examples, ["lit-light"])
    (examples / "three.png").unlink()
    assert read_all(out) == before, "a call that fails changes nothing"

    write_site(out, examples, ["lit-light"])
    write_site(fresh, examples, ["lit-light"])
    assert read_all(out) == {**read_all(fresh), **own}
    assert outside.read_bytes() == b"mine"
    assert sorted([*(fresh / LIST).read_text().splitlines(), LIST]) == sorted(read_all(fresh))
    write_site(out, examples, ["liif-light"])
    assert not (out / "weights" / "decoders" / "lit-light.safetensors").exists()


def test_a_folder_that_becomes_empty_goes(tmp_path):
    with rewrite_folder(tmp_path) as folder:
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "one.txt").write_text("1")
    with rewrite_folder(tmp_path) as folder:
        (folder / "two.txt").write_text("2")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [LIST, "two.txt"]


def test_models_that_browsers_cannot_draw_are_refused(examples, tmp_path, monkeypatch):
    torch.manual_seed(0)
    config = ModelConfig(RDNConfig(width=8, blocks=1, layers=1, growth=4), LIIFConfig(hidden=(8, 8)))
    checkpoints.save(SRModel(config), tmp_path / "checkpoints" / "other")
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path / "checkpoints"))
    with pytest.raises(UserError, match="Browsers cannot draw other, which is liif on rdn: leave it out"):
        write_site(tmp_path / "out", examples, ["other"])
    with pytest.raises(UserError, match="no weights in .*: name models that have some"):
        write_site(tmp_path / "out", examples)


def test_the_command_writes_refuses_and_overwrites(weights, examples, tmp_path, monkeypatch):
    monkeypatch.setattr("clit.ui.examples.BUNDLED", examples)

    def call(*arguments):
        return CliRunner().invoke(app, ["site", *map(str, arguments)])

    out = tmp_path / "out"
    result = call(out, "--models", "liif-light, lit-light", "--checkpoints", weights)
    assert result.exit_code == 0 and re.search(r"out: \d+\.\d MB; try it with python -m http.server", result.stdout)
    (out / "index.html").write_text("older")
    result = call(out)
    assert result.exit_code == 2 and result.stderr.startswith(
        f"error: {out} is not empty: give another folder, or --overwr"
    )
    assert (out / "index.html").read_text() == "older"
    assert call(out, "--overwrite", "--models", "lit-light").exit_code == 0
    assert (out / "index.html").read_text() != "older"
    result = call(tmp_path / "other", "--models", "no-such")
    assert result.exit_code == 2 and '"no-such" has no trained weights in' in result.stderr
    assert not (tmp_path / "other").exists()


def collect_modules(folder: Path, name: str, found: set[Path]) -> set[Path]:
    path = (folder / name).resolve()
    if path not in found:
        found.add(path)
        for address in IMPORT.findall(path.read_text()):
            collect_modules(path.parent, address, found)
    return found


@pytest.mark.slow
def test_the_project_s_own_site_is_small_enough(tmp_path, monkeypatch):
    """With the trained weights and the bundled examples; ready-made pictures by bicubic, as networks take minutes."""
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(BUNDLED.parents[1] / "checkpoints"))
    bicubic, draw_part = clit.load("bicubic"), static_site._draw_part
    monkeypatch.setattr(static_site, "_draw_part", lambda renderer, model, *rest: draw_part(renderer, bicubic, *rest))
    total = write_site(tmp_path, BUNDLED)
    models = {entry["name"]: entry for entry in read(tmp_path / "weights" / "models.json")["models"]}
    assert [*models] == ["bilinear", "bicubic", *DEFAULT_MODELS]
    assert len(list((tmp_path / "weights" / "encoders").iterdir())) == 1, "all stand on one encoder"
    ready = sum(path.stat().st_size for path in (tmp_path / "ready").rglob("*.webp"))
    assert ready > 400_000
    assert total + ready / 2 <= 25_000_000, "what networks draw is sharper, and takes more"
    files = ["index.html", "site.json", "weights/models.json", read(tmp_path / "site.json")["examples"][0]["file"]]
    files += {
        f"weights/{models[name][part]}" for name in ("liif-light", "lit-light") for part in ("encoder", "decoder")
    }
    modules = collect_modules(tmp_path / "viewer", "start_site.js", set())
    assert sum(path.stat().st_size for path in [*(tmp_path / name for name in files), *modules]) <= 4_500_000
