"""Weights for browsers: two files of a checkpoint hold all of it, and models that share an encoder share its file."""

import json

import pytest
import tiny
import torch
from safetensors.torch import load

import clit
from clit.config import CLITConfig, EDSRConfig, ModelConfig
from clit.exports.weights import LIST, Weights, write_weights
from clit.networks import checkpoints
from clit.networks.model import SRModel


def _entry(name, available=True):
    return {"name": name, "label": name, "available": available}


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Three tiny checkpoints that share an encoder, and one in float16 with an encoder of its own."""
    tiny.save_checkpoints(tmp_path / "checkpoints")
    torch.manual_seed(8)
    other = ModelConfig(EDSRConfig(width=8, blocks=1), CLITConfig(width=8, heads=2, radius=1, hidden=(8,), fourier=2))
    checkpoints.save(SRModel(other), tmp_path / "checkpoints" / "other", dtype=torch.float16)
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path / "checkpoints"))
    return [*tiny.CONFIGS, "other"]


def test_both_files_together_are_the_checkpoint(stored, tmp_path):
    write_weights(tmp_path / "out", [*map(_entry, ["bicubic", *stored]), _entry("lte-light", available=False)])
    entries = {each["name"]: each for each in json.loads((tmp_path / "out" / LIST).read_text())["models"]}
    assert [*entries] == ["bicubic", *stored], "what is not available is left out"
    assert entries["bicubic"].keys() == {"name", "label", "available", "config"}, "no weights"
    for name in stored:
        entry, model = entries[name], clit.load(name)
        assert entry["label"] == name and entry["decoder"] == f"decoders/{name}.safetensors"
        assert ModelConfig.from_dict(entry["config"]) == model.config
        found = {}
        for part in ("encoder", "decoder"):
            tensors = load((tmp_path / "out" / entry[part]).read_bytes())
            found |= {f"{part}.{key}": tensor for key, tensor in tensors.items()}
        frequencies = found.pop("decoder.bias.frequencies", None)
        assert (frequencies is None) == (model.kind == "ensemble")
        assert frequencies is None or torch.equal(frequencies, model.decoder.bias.frequencies)
        kept = checkpoints.load_stored(name)[1]
        assert found.keys() == kept.keys()
        assert all(found[key].dtype == kept[key].dtype and torch.equal(found[key], kept[key]) for key in kept)


def test_a_shared_encoder_is_written_once(stored, tmp_path):
    write_weights(tmp_path, map(_entry, stored))
    named = [each["encoder"] for each in json.loads((tmp_path / LIST).read_text())["models"]]
    assert len({*named[:3]}) == 1 and len({*named}) == 2
    assert {f"encoders/{path.name}" for path in (tmp_path / "encoders").iterdir()} == {*named}


def test_weights_of_another_type_are_refused(tmp_path):
    config = ModelConfig(EDSRConfig(width=4, blocks=1), CLITConfig(4, heads=2, radius=1, hidden=(4,)))
    checkpoints.save(SRModel(config), tmp_path / "short", dtype=torch.bfloat16)
    with pytest.raises(clit.UserError, match="of the type bfloat16"):
        Weights.read(str(tmp_path / "short"))


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(clit.UserError, match="nowhere"):
        write_weights(tmp_path, [_entry("nowhere")])
