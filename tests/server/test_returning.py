"""An output made small again: any part of it is that part of the whole, reduced as ground truth is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

import clit
from clit.geometry import Window
from clit.pictures.files import to_bytes
from clit.pictures.metrics import luma
from clit.pictures.resize import pil_source, resize_pil, resize_pil_window
from clit.ui.questions import ask, open_truth, render_view
from clit.ui.returning import covered_window
from server.visitor import decoded, view


@pytest.mark.parametrize(
    ("whole", "size"), [((97, 83), (31, 17)), ((60, 80), (60, 80)), ((90, 57), (30, 40)), ((20, 24), (50, 31))]
)
def test_a_window_of_a_resized_picture_needs_its_part_alone(whole, size):
    image = np.random.default_rng(1).integers(0, 256, (*whole, 3), np.uint8)
    expected = resize_pil(image, size)
    assert np.array_equal(expected, np.asarray(Image.fromarray(image).resize(size[::-1], Image.BICUBIC)))
    for window in (Window(0, 0, *size), Window(0, 0, 1, 1), Window(size[0] - 3, size[1] - 5, 3, 5), Window(7, 4, 9, 8)):
        source = pil_source(whole, size, window)
        part = resize_pil_window(image[source.slices()], whole, size, window)
        assert np.array_equal(part, expected[window.slices()])
        if whole[0] > size[0]:
            stretch = [math.ceil(n / m) for n, m in zip(whole, size, strict=True)]
            assert source.height <= (window.height + 4) * stretch[0], "no more than two small pixels on every side"


@pytest.mark.parametrize("scale", [1, 2.7, 4, 17.3])
@pytest.mark.parametrize("model", ["bicubic", "lit-light", "clit-light"])
def test_what_comes_back_of_a_part_is_what_comes_back_of_the_whole(site, visit, examples, model, scale):
    lr, size = (30, 40), (round(30 * scale), round(40 * scale))
    output = to_bytes(clit.upscale(clit.load(model), examples / "one.png", scale=scale))
    small = np.asarray(Image.fromarray(output).resize(lr[::-1], Image.BICUBIC)).astype(int)
    given = np.asarray(Image.open(examples / "one.png").convert("RGB"))
    for window in ([0, 0, *size], [0, 0, 7, 9], [size[0] - 11, size[1] // 2, 11, 13], [size[0] // 3, 5, 20, 21]):
        answer = ask(render_view, site, view(visit, model=model, scale=scale, window=window, paint="returned"))
        assert answer["size"] == list(lr)
        part = Window(*answer["window"])
        assert part == covered_window(Window(*window), size, lr)
        expected = small[part.slices()]
        assert np.abs(decoded(answer).astype(int) - expected).max() <= 1, "where rounding falls the other way"
        assert (decoded(answer) != expected).mean() < 0.01
        error = np.square((luma(expected.astype(np.uint8)) - luma(given[part.slices()])).astype(float)).mean()
        if error == 0:
            assert answer["psnr"] is None
        else:
            assert answer["psnr"] == pytest.approx(-10 * math.log10(error), abs=0.05)


def test_at_x1_bicubic_returns_all_it_was_given(site, visit, examples):
    answer = ask(render_view, site, view(visit, model="bicubic", scale=1, window=[0, 0, 30, 40], paint="returned"))
    assert answer["psnr"] is None
    assert np.array_equal(decoded(answer), np.asarray(Image.open(examples / "one.png").convert("RGB")))


@pytest.mark.parametrize("size", [[47, 100], [30, 57]])
def test_scales_of_their_own_for_each_axis(site, visit, examples, size):
    answer = ask(render_view, site, view(visit, scale=2, size=size, window=[3, 10, 30, 25], paint="returned"))
    output = to_bytes(clit.upscale(clit.load("lit-light"), examples / "one.png", size=tuple(size)))
    expected = np.asarray(Image.fromarray(output).resize((40, 30), Image.BICUBIC)).astype(int)
    assert np.abs(decoded(answer).astype(int) - expected[Window(*answer["window"]).slices()]).max() <= 1


def test_the_ground_truth_returns_whole_and_errors_cannot_return(site, visit):
    opened = ask(open_truth, site, {**visit, "scale": 2.3})
    compared = {"token": visit["token"], "picture": opened["id"]}
    asked = view(compared, scale=2.3, model="truth", window=[0, 0, 99, 99], paint="returned")
    answer = ask(render_view, site, asked)
    assert answer["psnr"] is None, "the small picture was made from it by the same reduction"
    assert np.array_equal(decoded(answer), decoded(opened))
    answer = ask(render_view, site, {**asked, "model": "lit-light", "error": True})
    assert set(answer) == {"error"} and "colours alone" in answer["error"]
