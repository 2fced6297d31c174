"""Checkpoints: saved weights load again, misfits are refused in one sentence, and no file is ever half written."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import clit
from clit.config import PRESETS, CLITConfig, EDSRConfig, LIIFConfig, ModelConfig, SwinIRConfig
from clit.networks import checkpoints
from clit.networks.model import SRModel
from clit.system.atomic import write_bytes

CONFIG = ModelConfig(EDSRConfig(width=8, blocks=1), CLITConfig(width=8, heads=2, radius=1, hidden=(8,)))


@pytest.fixture
def saved(tmp_path):
    checkpoints.save(SRModel(CONFIG), tmp_path / "mine", card="# Mine\n")
    return tmp_path / "mine"


def test_a_checkpoint_comes_back_equal(saved):
    model = clit.load(saved)
    assert model.config == CONFIG and not model.training
    kept = load_file(saved / "model.safetensors")
    assert all(torch.equal(kept[key], value) for key, value in model.state_dict().items())
    assert sorted(p.name for p in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_a_checkpoint_older_than_a_setting_still_loads(saved):
    before = clit.load(saved)
    settings = json.loads((saved / "config.json").read_text())
    del settings["decoder"]["fourier"]
    (saved / "config.json").write_text(json.dumps(settings))
    assert clit.load(saved).config == before.config


def test_float16_files_come_back_as_float32(tmp_path):
    checkpoints.save(SRModel(CONFIG), tmp_path / "half", dtype=torch.float16)
    assert load_file(tmp_path / "half" / "model.safetensors")["decoder.embed.weight"].dtype == torch.float16
    assert clit.load(tmp_path / "half").decoder.embed.weight.dtype == torch.float32


def test_large_weights_are_split_and_come_back_equal(tmp_path, monkeypatch):
    model, folder = SRModel(CONFIG), tmp_path / "mine"
    monkeypatch.setattr(checkpoints, "PART", 20_000)
    checkpoints.save(model, folder)
    parts = sorted(folder.glob("model-*"))
    assert [p.name for p in parts] == [f"model-{n:05}-of-{len(parts):05}.safetensors" for n in range(1, 1 + len(parts))]
    assert len(parts) > 1 and all(p.stat().st_size < 22_000 for p in parts)
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path))
    assert checkpoints.available() == ["mine"]
    for state in (clit.load("mine").state_dict(), checkpoints.load_stored("mine")[1]):
        assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    parts[0].rename(folder / "lost")
    with pytest.raises(clit.UserError, match="cannot be read"):
        clit.load("mine")
    for names in ([1], {"a": 3}, {"a": "../model-1-of-1.safetensors"}, {"a": "model-1-of-1.safetensors/.."}):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
        with pytest.raises(clit.UserError, match="does not name the files"):
            clit.load("mine")
    (folder / "lost").unlink()
    monkeypatch.undo()
    checkpoints.save(model, folder)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert clit.load(folder).config == CONFIG


def test_parts_of_two_models_are_never_taken_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PART", 20_000)
    folder, written, original = tmp_path / "mine", [], checkpoints.write_bytes
    checkpoints.save(SRModel(CONFIG), folder)

    def stop(path, content):
        if path.name.startswith("model-"):
            written.append(path)
            if len(written) == 2:
                raise KeyboardInterrupt
        original(path, content)

    monkeypatch.setattr(checkpoints, "write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(SRModel(CONFIG), folder)
    assert len(written) == 2
    with pytest.raises(clit.UserError, match="no checkpoint"):
        clit.load(folder)
    monkeypatch.setattr(checkpoints, "write_bytes", original)
    checkpoints.save(SRModel(CONFIG), folder)
    read = checkpoints.load_file

    def replace_meanwhile(path):
        monkeypatch.setattr(checkpoints, "load_file", read)
        found = read(path)
        checkpoints.save(SRModel(CONFIG), folder)
        return found

    monkeypatch.setattr(checkpoints, "load_file", replace_meanwhile)
    with pytest.raises(clit.UserError, match="replaced meanwhile"):
        clit.load(folder)


def test_a_download_that_was_broken_off_goes_on(tmp_path, monkeypatch):
    hub, asked = tmp_path / "hub", []
    checkpoints.save(SRModel(CONFIG), hub)
    whole = tmp_path / "whole"
    checkpoints.save(SRModel(CONFIG), whole)
    (hub / "model.safetensors").unlink()

    def fetch(hub_id, allow_patterns, local_files_only=False):
        asked.append(local_files_only)
        return str(hub if local_files_only else whole)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert clit.load("somebody/something").config == CONFIG and asked == [True, False]
    (hub / "model.safetensors.index.json").write_text("{")
    assert clit.load("somebody/something").config == CONFIG and asked == 2 * [True, False]


def test_names_are_found_in_the_checkpoints_folder(saved, monkeypatch):
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(saved.parent))
    assert checkpoints.available() == ["mine"]
    assert clit.load("mine").config == CONFIG


def test_a_preset_without_weights_never_runs_untrained_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path))
    with pytest.raises(clit.UserError, match="no trained weights.*clit train lit-light"):
        clit.load("lit-light")
    assert clit.load("lit-light", untrained=True).config == PRESETS["lit-light"]
    with pytest.raises(clit.UserError, match='no checkpoint "lit-lihgt"'):
        clit.load("lit-lihgt")


def change_weights(saved, change):
    state = load_file(saved / "model.safetensors")
    change(state)
    save_file(state, saved / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("decoder.embed.bias"), "1 missing .decoder.embed.bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "1 unexpected .extra"),
        (lambda s: s.update({"decoder.embed.bias": torch.zeros(5)}), "1 of another shape .decoder.embed.bias"),
    ],
)
def test_weights_that_do_not_fit_are_named(saved, change, said):
    change_weights(saved, change)
    with pytest.raises(clit.UserError, match=said):
        clit.load(saved)


def test_broken_files_get_one_sentence(saved):
    (saved / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(clit.UserError, match="cannot be read"):
        clit.load(saved)
    (saved / "config.json").write_text("{")
    with pytest.raises(clit.UserError, match="cannot be read"):
        clit.load(saved)
    for config, said in (({}, "two entries"), ({"encoder": {"name": "vgg"}, "decoder": {}}, "vgg")):
        (saved / "config.json").write_text(json.dumps(config))
        save_file({"a": torch.zeros(1)}, saved / "model.safetensors")
        with pytest.raises(clit.UserError, match=said):
            clit.load(saved)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(clit.UserError, match="No space left"):
        write_bytes(path, b"half")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_their_config_file(name):
    assert ModelConfig.from_dict(json.loads(json.dumps(PRESETS[name].to_dict()))) == PRESETS[name]


def test_configurations_are_checked():
    odd = ModelConfig(SwinIRConfig(depths=(2, 2)), LIIFConfig())
    assert ModelConfig.from_dict(json.loads(json.dumps(odd.to_dict()))) == odd
    with pytest.raises(clit.UserError, match="unknown entries: colour"):
        ModelConfig.from_dict({"encoder": {"name": "rdn", "colour": 1}, "decoder": {"name": "liif"}})
    for entry in ({"width": "a"}, {"width": -3}, {"width": True}, {"blocks": 1.5}, {"blocks": [1]}):
        with pytest.raises(clit.UserError, match="must be a value such as"):
            ModelConfig.from_dict({"encoder": {"name": "rdn", **entry}, "decoder": {"name": "liif"}})
    for part in ([], None, {}, {"name": ["rdn"]}, {"name": "ndr"}):
        with pytest.raises(clit.UserError, match="must name one of"):
            ModelConfig.from_dict({"encoder": part, "decoder": {"name": "liif"}})
    with pytest.raises(clit.UserError, match="hidden"):
        ModelConfig.from_dict({"encoder": {"name": "rdn"}, "decoder": {"name": "liif", "hidden": [8, "a"]}})
    with pytest.raises(clit.UserError, match="multiple of the 3 heads"):
        CLITConfig(width=8, heads=3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(saved, value):
    state = load_file(saved / "model.safetensors")
    state["decoder.embed.bias"][1] = value
    save_file(state, saved / "model.safetensors")
    with pytest.raises(clit.UserError, match=r"not all numbers \(decoder\.embed\.bias\): fetch or train") as refused:
        clit.load(saved)
    assert str(refused.value).count(". ") == 0
