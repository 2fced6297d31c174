"""The menu of methods."""

from __future__ import annotations

import shutil

import tiny
import torch

from clit.config import ABLATIONS, PLAIN
from clit.networks import checkpoints
from clit.ui.models import ABOUT, Models


def test_zerogpu_answers_from_the_cpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert next(Models().get("lit-light").parameters()).device.type == "cpu"


def test_methods_are_named_as_the_literature_does(tmp_path, monkeypatch):
    shutil.copytree(checkpoints.folder() / "lit-light", tmp_path / "lit-light-x32")
    shutil.copytree(checkpoints.folder() / "clit-light", tmp_path / "my-own")
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path))
    offered = [each for each in Models().describe() if each["available"]]
    assert [each["name"] for each in offered if each["ablation"]] == ["lit-light-x32"]
    labels = {each["name"]: each["label"] for each in offered}
    assert labels == {
        "bilinear": "Bilinear",
        "bicubic": "Bicubic",
        "lit-light-x32": "LIT light x32",
        "my-own": "my-own",
    }
    about = {each["name"]: each["about"] for each in offered}
    assert about["lit-light-x32"] == "LIT trained on scales up to ×32 in place of ×4"
    how = "attention over 49 neighbours (latents), by what they hold and where they lie"
    assert about["my-own"] == f"{how}, in up to 3 stages"


def test_every_ablation_is_explained():
    assert ABLATIONS.keys() | PLAIN.keys() | {"liif-base", "lit-base", "clit-base"} == ABOUT.keys()


def test_methods_with_equal_encoders_share_one(tmp_path, monkeypatch):
    tiny.save_checkpoints(tmp_path)
    other = checkpoints.load(tmp_path / "lit-light")
    with torch.no_grad():
        other.encoder.head[0].bias[0] += 1
    checkpoints.save(other, tmp_path / "my-own")
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path))
    models = Models()
    liif, lit, own = (models.get(name) for name in ("liif-light", "lit-light", "my-own"))
    assert liif.encoder is lit.encoder and liif.decoder is not lit.decoder
    assert torch.equal(own.encoder.head[0].bias, other.encoder.head[0].bias)
    assert not torch.equal(own.encoder.head[0].bias, lit.encoder.head[0].bias)
