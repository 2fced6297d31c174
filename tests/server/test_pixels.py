"""What a pixel looked at: what `attend` computes, as an answer and as files."""

from __future__ import annotations

import base64
import io
import threading
import time

import numpy as np
import pytest

import clit
from clit.system.apart import run_apart
from clit.ui.questions import ask, inspect, look_file, render_view
from server.visitor import view

PNG = {"kind": "picture", "suffix": ".png"}


@pytest.mark.parametrize("model", ["liif-light", "lit-light", "clit-light"])
@pytest.mark.parametrize("scale, pixel", [(2.7, [0, 0]), (30, [417, 1199])])
def test_inspect_is_what_attend_computes(site, visit, examples, model, scale, pixel):
    answer = ask(inspect, site, {**visit, "models": [model], "scale": scale, "pixel": pixel})["looks"][model]
    expected = clit.attend(clit.load(model), examples / "one.png", pixel=tuple(pixel), scale=scale)
    assert answer["kind"] == expected.kind and answer["size"] == list(expected.size)
    assert len(answer["stages"]) == len(expected.stages)
    for stage, wanted in zip(answer["stages"], expected.stages, strict=True):
        assert np.allclose(np.sum(stage["weights"], (1, 2)), 1, atol=1e-5)
        assert np.allclose(stage["weights"], wanted.weights, atol=1e-6)
        assert np.allclose(stage["latents"], wanted.latents)
        assert np.array_equal(stage["inside"], wanted.inside)
        assert tuple(stage["grid"]) == wanted.grid


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixel": [60, 0]},
        {"pixel": [-1, 0]},
        {"pixel": [0.5, 0]},
        {"pixel": None},
        {"pixel": [1]},
        {"models": ["bicubic"]},
        {"models": []},
        {"models": ["lit-light", "bicubic"]},
        {"models": "lit-light"},
    ],
)
def test_bad_pixels_get_one_sentence(site, visit, wrong):
    answer = ask(inspect, site, {**visit, "models": ["lit-light"], "scale": 2, "pixel": [0, 0], **wrong})
    assert set(answer) == {"error"}


def test_inspect_tells_both_parts_of_the_logits_and_the_influence_if_asked_for(site, visit, examples):
    asked = {**visit, "models": ["lit-light", "liif-light"], "scale": 3, "pixel": [7, 9], "influence": True}
    answers = ask(inspect, site, asked)["looks"]
    assert list(answers) == asked["models"]
    answer = answers["lit-light"]
    expected = clit.attend(clit.load("lit-light"), examples / "one.png", pixel=(7, 9), scale=3).stages[0]
    for name in ("content", "position", "influence"):
        assert np.allclose(answer["stages"][0][name], getattr(expected, name), atol=1e-6)
    ensemble = answers["liif-light"]["stages"][0]
    assert ensemble["content"] is None and np.shape(ensemble["influence"]) == (2, 2)
    without = ask(inspect, site, {**asked, "influence": False})["looks"]["lit-light"]["stages"][0]
    assert without == {**answer["stages"][0], "influence": None}


def test_a_look_overtakes_an_exact_view(site, visit):
    order = []

    def put(question, sent) -> None:
        order.append((question.__name__, set(ask(question, site, sent))))

    look = {**visit, "models": ["lit-light"], "scale": 2, "pixel": [0, 0]}
    asked = [(render_view, view(visit, wanted=1, kind="exact")), (inspect, look)]
    threads = [threading.Thread(target=put, args=each) for each in asked]
    with site.line.join("another", "exact") as place, place.turn():
        for number, thread in enumerate(threads):
            thread.start()
            while site.line.length <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert order[0] == ("inspect", {"looks"}) and order[1][0] == "render_view"


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_the_numbers_of_a_look_as_a_file(site, visit, examples, suffix):
    question = {
        **visit,
        "models": ["clit-light"],
        "scale": 10,
        "pixels": [[7, 9]],
        "chain": "balanced",
        "suffix": suffix,
    }
    answer = ask(look_file, site, question)
    assert answer["name"] == f"one-x10-clit-light-7-9{suffix}"
    data = base64.b64decode(answer["file"])
    assert data.startswith({".json": b"{", ".npz": b"PK"}[suffix])
    if suffix == ".npz":
        expected = clit.attend(
            clit.load("clit-light"), examples / "one.png", pixel=(7, 9), scale=10, chain="balanced"
        ).stages[1]
        assert np.allclose(np.load(io.BytesIO(data))["stage1_weights"], expected.weights, atol=1e-6)
    for wrong in ({"suffix": "../x"}, {"pixels": [[7, 9], [8, 9]]}, {"models": ["clit-light", "lit-light"]}):
        assert set(ask(look_file, site, {**question, **wrong})) == {"error"}


@pytest.mark.parametrize("suffix, opening", [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_a_figure_of_every_method_and_pixel(site, visit, suffix, opening):
    models, pixels = ["liif-light", "lit-light", "clit-light"], [[7, 9], [200, 111], [7, 9]]
    question = {**visit, "models": models, "scale": 10, "pixels": pixels, "suffix": suffix}
    answer = ask(look_file, site, question)
    assert answer["name"] == f"one-x10-attention{suffix}"
    data = base64.b64decode(answer["file"])
    assert data.startswith(opening)
    assert run_apart(eval, "'matplotlib' in __import__('sys').modules"), "another process drew it"
    if suffix != ".svg":
        return  # text is drawn as paths there, with itself as a comment
    text = data.decode()
    assert text.count("Output pixel: row 7 of 300, column 9 of 400") == 1, "each pixel once"
    assert text.count("Output pixel: row 200 of 300, column 111 of 400") == 1
    for method, rows in (("liif-light", 2), ("lit-light", 2), ("clit-light, stage 1", 2), ("clit-light, stage 2", 2)):
        assert text.count(f"<!-- {method}\n") == rows or text.count(f"<!-- {method} -->") == rows, method
    assert text.count("head 1, up to") == text.count("head 2, up to") == 6
    assert "40 × 30 latents" in text and "160 × 120 latents" in text
    assert text.count("1/49") == 1, "one colour bar"


@pytest.mark.parametrize("wrong", [{"pixels": []}, {"pixels": [[7, 9]] * 6}, {"pixels": [[300, 0]]}, {"pixels": None}])
def test_bad_figures_get_one_sentence(site, visit, wrong):
    question = {**visit, "models": ["lit-light"], "scale": 10, "suffix": ".png", **wrong}
    assert set(ask(look_file, site, question)) == {"error"}
