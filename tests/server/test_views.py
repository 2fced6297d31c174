"""Views: what `upscale` computes, bounded, and stale once the visitor has moved on."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import clit
from clit.pictures.colour_maps import viridis
from clit.ui.colours import attention_colours, entropy_span
from clit.ui.jobs import make_file
from clit.ui.limits import Limits
from clit.ui.questions import ask, inspect, render_view, tell_progress
from clit.ui.site import Site
from server.visitor import arrive, decoded, view

PNG = {"kind": "picture", "suffix": ".png"}


@pytest.mark.parametrize("model", ["bilinear", "bicubic", "liif-light", "lit-light", "clit-light"])
@pytest.mark.parametrize("scale", [1, 2.7, 17.3])
def test_view_is_what_upscale_computes(site, visit, examples, model, scale):
    answer = ask(render_view, site, view(visit, model=model, scale=scale))
    top, left, height, width = answer["window"]
    assert answer["size"] == [round(30 * scale), round(40 * scale)]
    expected = clit.upscale(clit.load(model), examples / "one.png", scale=scale, window=(top, left, height, width))
    assert np.abs(decoded(answer) / 255 - expected).max() <= 1 / 255


@pytest.mark.parametrize("chain", ["published", "balanced"])
@pytest.mark.parametrize("stages", [None, 1, 2])
def test_the_cascade_can_be_seen_after_each_stage_and_split_both_ways(site, visit, examples, chain, stages):
    answer = ask(render_view, site, view(visit, model="clit-light", scale=20, chain=chain, stages=stages))
    top, left, height, width = answer["window"]
    expected = clit.upscale(
        clit.load("clit-light"), examples / "one.png", scale=20, window=(top, left, height, width), chain=chain,
        stages=stages,
    )  # fmt: skip
    assert np.abs(decoded(answer) / 255 - expected).max() <= 1 / 255
    assert np.allclose(answer["factors"], [4, 4, 1.25] if chain == "published" else 3 * [20 ** (1 / 3)])
    assert ask(render_view, site, view(visit))["factors"] == [], "LIT has one stage"


def test_a_view_tells_how_far_it_is(site, visit, monkeypatch):
    told, usual = [], site.render_at
    asked = {"token": visit["token"]}

    def render_at(place):
        renderer = usual(place)
        render = renderer.render

        def render_half(*args, progress, **options):
            progress(0.5)
            told.extend(ask(tell_progress, site, asked)["views"])
            return render(*args, progress=progress, **options)

        renderer.render = render_half
        return renderer

    monkeypatch.setattr(site, "render_at", render_at)
    assert "image" in ask(render_view, site, view(visit, model="clit-light", scale=5, stages=1))
    assert told == [{"model": "clit-light", "stages": 1, "error": False, "share": 0.5}]
    assert ask(tell_progress, site, asked) == {"views": []}


def test_window_is_clipped_to_the_output(site, visit):
    answer = ask(render_view, site, view(visit, scale=2, window=[-5, 70, 1000, 1000]))
    assert answer["window"] == [0, 70, 60, 10]
    assert decoded(answer).shape == (60, 10, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 0}, {"scale": -1}, {"scale": float("nan")}, {"scale": 1000}, {"scale": "2"}, {"scale": None},
        {"scale": True}, {"scale": float("inf")}, {"scale": [2]}, {"window": [0, 0, 10]}, {"window": None},
        {"window": [0, 0, 10.5, 10]}, {"window": [500, 0, 10, 10]}, {"window": [0, 0, -4, 10]},
        {"window": ["0", 0, 10, 10]}, {"window": [0, 0, 10**30, 10]}, {"wanted": -1}, {"wanted": 1e3},
        {"wanted": 2**60}, {"model": "lte-light"}, {"model": "../lit-light"}, {"model": ""}, {"model": None},
        {"model": "x" * 10_000}, {"chain": "other"}, {"chain": None}, {"chain": ["published"]}, {"stages": 0},
        {"stages": 2}, {"stages": "1"}, {"stages": 1.0},
    ],
)  # fmt: skip
def test_bad_arguments_get_one_sentence(site, visit, wrong):
    answer = ask(render_view, site, view(visit, **wrong))
    assert set(answer) == {"error"} and len(answer["error"]) < 250
    assert "image" in ask(render_view, site, view(visit)), "a bad question leaves the visit as it was"


def test_view_is_bounded(examples, uploads):
    site = Site(examples, uploads, Limits(view_pixels=100))
    visit = arrive(site)
    assert "image" in ask(render_view, site, view(visit, window=[0, 0, 10, 10]))
    assert "error" in ask(render_view, site, view(visit, window=[0, 0, 10, 11]))


def test_older_views_and_other_pictures_are_stale(site, visit):
    assert "image" in ask(render_view, site, view(visit, wanted=5))
    assert ask(render_view, site, view(visit, wanted=4)) == {"stale": True}
    assert "image" in ask(render_view, site, view(visit, wanted=4, model="bicubic")), (
        "each pane has its own newest view"
    )
    assert ask(render_view, site, view(visit, wanted=6, picture="another")) == {"stale": True}
    look = {**visit, "picture": "another", "models": ["lit-light"], "scale": 2, "pixel": [0, 0]}
    assert ask(inspect, site, look) == {"stale": True}


def test_a_newer_view_stops_an_older_one(examples, monkeypatch, uploads):
    site = Site(examples, uploads)
    visit = arrive(site)
    started, seen = threading.Event(), []

    class Slow:
        def in_turn(self, turn, *others):
            return self

        def render(self, model, image, *, size, window, cancel, **options):
            started.set()
            for _ in range(2000):
                if cancel():
                    seen.append("cancelled")
                    raise clit.Cancelled
                time.sleep(0.005)
            return np.zeros((window.height, window.width, 3), np.float32)

    monkeypatch.setattr(site, "renderer", Slow())
    answers = {}
    older = threading.Thread(target=lambda: answers.update(older=ask(render_view, site, view(visit, wanted=1))))
    older.start()
    assert started.wait(10)
    monkeypatch.setattr(site, "renderer", clit.Renderer())
    assert "image" in ask(render_view, site, view(visit, wanted=2))
    older.join(10)
    assert answers["older"] == {"stale": True} and seen == ["cancelled"]


def test_what_is_drawn_ahead_makes_way_and_no_newer_view_stops_it(site, visit, monkeypatch):
    started, answers = threading.Event(), {}

    class Endless:
        def in_turn(self, turn, *others):
            self.turn = turn
            return self

        def render(self, model, image, *, window, cancel, **options):
            with self.turn():
                started.set()
                deadline = time.monotonic() + 20
                while not cancel() and time.monotonic() < deadline:
                    time.sleep(0.001)
                raise clit.Cancelled

    assert "image" in ask(render_view, site, view(visit, wanted=5, kind="exact"))
    assert "image" in ask(render_view, site, view(visit, wanted=2, kind="ahead"))
    assert ask(render_view, site, view(visit, wanted=2, kind="preview")) == {"stale": True}
    quick = site.renderer
    monkeypatch.setattr(site, "renderer", Endless())
    ahead = threading.Thread(
        target=lambda: answers.update(ahead=ask(render_view, site, view(visit, wanted=5, kind="ahead")))
    )
    ahead.start()
    assert started.wait(10)
    monkeypatch.setattr(site, "renderer", quick)
    assert "image" in ask(render_view, site, view(visit, wanted=6, kind="exact"))
    ahead.join(10)
    assert answers["ahead"] == {"stale": True}
    assert "must be one of preview, exact, ahead" in ask(render_view, site, view(visit, kind="soon"))["error"]


def test_a_size_of_its_own_for_each_axis(site, visit, examples):
    asked = {**visit, "model": "lit-light", "scale": 3, "size": [90, 57], "window": [0, 0, 90, 57], "wanted": 1}
    answer = ask(render_view, site, asked)
    assert answer["size"] == [90, 57]
    expected = clit.upscale(clit.load("lit-light"), examples / "one.png", size=(90, 57))
    assert np.abs(decoded(answer) / 255 - expected).max() <= 1 / 255
    seen = ask(inspect, site, {**asked, "models": ["lit-light"], "pixel": [89, 56]})["looks"]["lit-light"]
    wanted = clit.attend(clit.load("lit-light"), examples / "one.png", pixel=(89, 56), size=(90, 57))
    assert np.allclose(seen["stages"][0]["weights"], wanted.stages[0].weights, atol=1e-6)
    states = list(make_file(site, {**asked, **PNG, "models": ["bicubic"]}))
    assert states[-1]["size"] == [90, 57] and states[-1]["name"] == "one-57x90-bicubic.png"
    for wrong in ([29, 57], [90, 1201], [90], [90.5, 57], "90x57", [True, 57], [10**9, 57]):
        assert set(ask(render_view, site, {**asked, "size": wrong})) == {"error"}


def test_panes_painted_by_attention(site, visit, examples):
    asked = {**visit, "scale": 5, "window": [10, 20, 50, 60], "wanted": 1}
    model, heads = clit.load("clit-light"), 2
    survey = clit.survey(model, examples / "one.png", scale=5, window=(10, 20, 50, 60), stages=2)
    assert survey.shape == (50, 60, heads, 3)
    for paint in ("entropy", "direction"):
        for head in range(heads + 1):
            more = {"model": "clit-light", "stages": 2, "paint": paint, "head": head}
            expected = attention_colours(survey, paint, head, model.radius)
            answer = ask(render_view, site, {**asked, **more})
            assert np.abs(decoded(answer) / 255 - expected).max() <= 4 / 255
            span = entropy_span(survey, head) if paint == "entropy" else None
            assert answer["span"] == (span and pytest.approx(span, abs=1e-4))
    for wrong in ({"head": 3}, {"head": -1}, {"paint": "no"}, {"model": "liif-light"}, {"model": "bicubic"}):
        more = {"model": "clit-light", "paint": "entropy", "head": 0, **wrong}
        assert set(ask(render_view, site, {**asked, **more})) == {"error"}


@pytest.mark.parametrize(
    ("model", "scale", "stages", "grid"),
    [("lit-light", 3, None, (30, 40)), ("lit-light", 2.5, None, (30, 40)), ("clit-light", 7, 2, (120, 160))],
)
def test_entropies_can_be_means_over_each_latents_pixels(site, visit, examples, model, scale, stages, grid):
    network, size = clit.load(model), (round(30 * scale), round(40 * scale))
    survey = clit.survey(network, examples / "one.png", scale=scale, stages=stages)[..., 0].mean(2)
    # The nearest latent as the published formulas have it, in float32.
    rows, columns = (
        np.rint(
            ((np.float32(-1 + 1 / n_out) + np.float32(2 / n_out) * np.arange(n_out, dtype=np.float32) + 1) * n - 1) / 2
        )
        for n_out, n in zip(size, grid, strict=True)
    )
    means = np.empty(size)
    for row in np.unique(rows):
        for column in np.unique(columns):
            latent = np.ix_(rows == row, columns == column)
            means[latent] = survey[latent].mean()
    for window in ([0, 0, *size], [7, 11, 20, 30], [size[0] - 5, size[1] - 8, 5, 8]):
        asked = {"model": model, "scale": scale, "stages": stages, "window": window, "paint": "entropy-mean", "head": 0}
        answer = ask(render_view, site, view(visit, **asked))
        part = means[window[0] : window[0] + window[2], window[1] : window[1] + window[3]]
        low, high = np.percentile(part, (1, 99))
        margin = max(0, 0.1 - (high - low)) / 2
        assert answer["span"] == pytest.approx((low - margin, high + margin), abs=1e-3)
        assert answer["window"] == window
        expected = viridis((part - low + margin) / (high - low + 2 * margin))
        assert np.abs(decoded(answer) / 255 - expected).max() <= 5 / 255
