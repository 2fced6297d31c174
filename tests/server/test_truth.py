"""Ground truth: the picture itself, errors and scores against it."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from PIL import Image

import clit
from clit.pictures import metrics
from clit.ui.questions import ask, begin, open_example, open_truth, render_view, score
from clit.ui.site import Site
from server.visitor import decoded, view


@pytest.fixture
def compared(site, visit):
    """A visit whose picture was made smaller, with its ground truth."""
    answer = ask(open_truth, site, {**visit, "scale": 2.3})
    assert (answer["height"], answer["width"], answer["truth"]) == (13, 17, 2.3)
    return {"token": visit["token"], "picture": answer["id"]}


def test_ground_truth_is_the_picture_itself_and_errors_are_distances_from_it(site, compared, examples):
    whole = np.asarray(Image.open(examples / "one.png"))
    truth = decoded(ask(render_view, site, view(compared, scale=2.3, model="truth", window=[0, 0, 99, 99])))
    assert truth.shape == (round(13 * 2.3), round(17 * 2.3), 3)
    assert np.array_equal(truth, whole[: truth.shape[0], : truth.shape[1]])
    small = np.asarray(Image.fromarray(truth).resize((17, 13), Image.BICUBIC))
    expected = clit.upscale(clit.load("lit-light"), small, size=truth.shape[:2], window=(3, 5, 20, 30))
    assert np.abs(decoded(ask(render_view, site, view(compared, scale=2.3))) / 255 - expected).max() <= 1 / 255
    error = decoded(ask(render_view, site, view(compared, scale=2.3, error=True)))
    distance = np.abs(expected - truth[3:23, 5:35] / 255).mean(-1).flatten()
    green = error[..., 1].flatten().astype(int)[np.argsort(distance)]  # viridis: the more, the greener
    assert (np.diff(green) >= -1).all() and green[-1] > green[0]
    nothing = decoded(ask(render_view, site, view(compared, scale=2.3, model="truth", error=True)))
    assert (nothing == nothing[0, 0]).all(), "the truth is nowhere far from itself"
    assert set(ask(render_view, site, view(compared, scale=2.4, model="truth"))) == {"error"}


def test_scores_are_the_metrics_of_upscale(site, compared, examples):
    whole = np.asarray(Image.open(examples / "one.png"))
    for scale, (h, w) in ((2.3, (13, 17)), (1.5, (20, 26))):
        truth = whole[: round(h * scale), : round(w * scale)]
        small = np.asarray(Image.fromarray(truth).resize((w, h), Image.BICUBIC))
        sr = clit.upscale(clit.load("lit-light"), small, size=truth.shape[:2])
        answer = ask(score, site, {**compared, "model": "lit-light", "scale": scale})
        assert answer["psnr"] == pytest.approx(metrics.psnr(sr, truth, scale=scale), abs=1e-3)
        assert answer["psnr_rgb"] == pytest.approx(metrics.psnr(sr, truth, "rgb", scale=scale), abs=1e-3)
        assert answer["ssim"] == pytest.approx(metrics.ssim(sr, truth, scale=scale), abs=1e-5)
    assert "too few" in ask(score, site, {**compared, "model": "lit-light", "scale": 12})["error"]


def test_back_from_the_ground_truth(site, visit, compared):
    assert ask(render_view, site, view(visit)) == {"stale": True}, "the whole picture is no longer the open one"
    answer = ask(open_truth, site, {**compared, "scale": None})
    assert (answer["height"], answer["width"], answer["truth"]) == (30, 40, None)
    assert "no ground truth" in ask(score, site, {**visit, "model": "lit-light", "scale": 2})["error"]
    assert (
        set(ask(open_truth, site, {**visit, "scale": 30}))
        == set(ask(open_truth, site, {**visit, "scale": "x"}))
        == {"error"}
    )
    assert "image" in ask(render_view, site, view(visit)), "what could not be done changed nothing"


def test_ground_truth_of_an_example_is_made_from_its_original(tmp_path):
    tiny.save_photograph(tmp_path / "leaf.png", 20, 24)
    (tmp_path / "originals").mkdir()
    tiny.save_photograph(tmp_path / "originals" / "leaf.png", 60, 72)
    site = Site(tmp_path, tmp_path)
    token = ask(begin, site, {})["token"]
    opened = ask(open_example, site, {"token": token, "name": "leaf.png"})
    assert (opened["height"], opened["width"], opened["original"]) == (20, 24, [60, 72])
    answer = ask(open_truth, site, {"token": token, "picture": opened["id"], "scale": 2.5})
    assert (answer["height"], answer["width"], answer["truth"]) == (24, 28, 2.5)
    compared = {"token": token, "picture": answer["id"]}
    truth = decoded(ask(render_view, site, view(compared, scale=2.5, model="truth", window=[0, 0, 60, 70])))
    whole = np.asarray(Image.open(tmp_path / "originals" / "leaf.png"))
    assert np.array_equal(truth, whole[:60, :70])
    back = ask(open_truth, site, {**compared, "scale": None})
    assert (back["id"], back["height"]) == (opened["id"], 20)
