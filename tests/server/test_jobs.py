"""Files made on request: the whole picture, a film, a comparison sheet."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from PIL import Image

import clit
from clit.exports.figures import draw_comparison, predict_comparison_seconds
from clit.rendering.renderer import TILE
from clit.system.apart import run_apart
from clit.ui import jobs
from clit.ui.jobs import make_file, predict_file
from clit.ui.limits import Limits
from clit.ui.questions import ask, open_truth, stop_making
from clit.ui.site import Site
from server.visitor import arrive

PNG = {"kind": "picture", "suffix": ".png"}


def test_full_picture_is_the_whole_output(site, visit, examples):
    request = {**visit, **PNG, "models": ["bicubic"], "scale": 26, "run": 3}
    states = list(make_file(site, request))
    assert states[0] == {"run": 3, "state": "running", "done": 0.0, "seconds_left": None}
    assert states[-1]["state"] == "done" and states[-1]["size"] == [780, 1040]
    assert max(states[-1]["size"]) > TILE, "more than one tile"
    made = site.made_file(states[-1]["file"].removeprefix("made/"))
    path, name = made.path, made.name
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).dtype == np.uint8
    assert name == "one-x26-bicubic.png" and states[-1]["bytes"] == path.stat().st_size
    expected = clit.upscale(clit.load("bicubic"), examples / "one.png", scale=26)
    assert np.abs(np.asarray(Image.open(path)) / 255 - expected).max() <= 1 / 255
    again = list(make_file(site, request))[-1]
    assert not path.exists(), "a visit keeps one full picture"
    path = site.made_file(again["file"].removeprefix("made/")).path
    site.end(visit["token"])
    assert not path.exists() and site.made_file(path.name) is None


def test_full_pictures_are_bounded_together(examples, uploads):
    site = Site(examples, uploads, Limits(made_files=2))
    files = []
    for _ in range(3):
        state = list(make_file(site, {**arrive(site), **PNG, "models": ["bicubic"], "scale": 2}))[-1]
        files.append(site.made_file(state["file"].removeprefix("made/")).path)
    assert [path.exists() for path in files] == [False, True, True]


@pytest.mark.parametrize("wrong", [0.5, 1, 2])
def test_the_time_left_is_told_from_the_start_and_within_a_factor_of_two(wrong, monkeypatch):
    """However wrong the first estimate within that factor: what is done soon tells it better."""
    now = [100.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])
    progress, whole = jobs.Progress(threading.Event()), 60.0
    assert progress.describe() == {"state": "running", "done": 0.0, "seconds_left": None}, "not asked yet"
    now[0] = 130
    progress.begin(wrong * whole)
    assert progress.describe()["seconds_left"] == wrong * whole
    now[0] += 3  # the picture is encoded
    assert progress.describe()["seconds_left"] == wrong * whole - 3
    ratios, now[0] = [], 130
    for share in np.linspace(0.05, 0.95, 19):
        now[0] = 130 + share * whole
        progress.report(share)
        ratios.append(progress.describe()["seconds_left"] / ((1 - share) * whole))
    assert all(0.5 <= ratio <= 2 for ratio in ratios)
    assert abs(ratios[-1] - 1) <= 0.1, "at the end nearly all is known"
    assert (np.diff(np.abs(np.log(ratios))) <= 1e-9).all(), "it only gets better"


def test_the_time_left_falls_between_reports(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])
    progress = jobs.Progress(threading.Event())
    progress.begin(20)
    now[0] = 8
    progress.report(0.4)
    assert progress.describe()["seconds_left"] == pytest.approx(12)
    now[0] = 9
    assert progress.describe()["seconds_left"] == pytest.approx(11)
    now[0] = 90
    assert progress.describe()["seconds_left"] == 0


FILM = {"kind": "film", "suffix": ".webp", "models": ["bilinear", "lit-light"], "about": [3, 3], "side": [40, 50]}
SHEET = {"kind": "sheet", "suffix": ".png", "crops": []}


@pytest.mark.parametrize("kind", [PNG, FILM, SHEET])
def test_how_long_a_file_takes_is_told_before_and_at_its_start(kind, site, visit, monkeypatch):
    monkeypatch.setattr(jobs, "FILM_SECONDS", 0.3)
    asked = {**visit, "models": ["lit-light"], "scale": 4, **kind}
    told = ask(predict_file, site, asked)["seconds"]
    assert 0 < told < 600
    session = site.session(visit["token"])
    assert session.expected[1] == told
    session.expected = session.expected[0], 1234.0
    heard = []
    monkeypatch.setattr(jobs.Progress, "begin", lambda self, expected: heard.append(expected))
    assert list(make_file(site, asked))[-1]["state"] == "done"
    assert heard == [1234.0], "it begins with what was told"
    assert list(make_file(site, {**asked, "scale": 3}))[-1]["state"] == "done"
    assert 0 < heard[1] < 600, "another file was not asked about"


def test_nobody_waits_while_another_process_draws(site, visit, monkeypatch):
    drawn = []

    def draw(function, *arguments, cancel=None):
        with site.line.join("other", "exact") as place, place.turn():  # Busy after a while, if a turn is held here
            drawn.append(function)
        return run_apart(function, *arguments, cancel=cancel)

    monkeypatch.setattr(jobs, "run_apart", draw)
    asked = {**visit, "models": ["lit-light"], "scale": 4, **SHEET}
    assert 0 < ask(predict_file, site, asked)["seconds"] < 600
    assert list(make_file(site, asked))[-1]["state"] == "done"
    assert drawn == [predict_comparison_seconds, draw_comparison]


def test_wrong_files_get_a_sentence_when_their_time_is_asked(site, visit):
    for wrong in ({"side": [1, 1]}, {"suffix": ".exe"}, {"scale": 0}):
        assert set(ask(predict_file, site, {**visit, "scale": 4, **FILM, **wrong})) == {"error"}


def test_full_picture_stops(site, visit):
    run = make_file(site, {**visit, **PNG, "models": ["lit-light"], "scale": 30})
    assert next(run)["state"] == "running"
    assert ask(stop_making, site, visit) == {}
    assert list(run)[-1] == {"run": 0, "state": "stopped"}


def test_full_picture_has_a_limit_and_names_the_largest_scale(examples, uploads):
    site = Site(examples, uploads, Limits(full_pixels=100_000))
    visit = arrive(site)
    [refused] = make_file(site, {**visit, **PNG, "models": ["bicubic"], "scale": 10})
    assert refused["state"] == "error" and "at most 9.1" in refused["error"]
    assert list(make_file(site, {**visit, **PNG, "models": ["bicubic"], "scale": 9.1}))[-1]["state"] == "done"


@pytest.mark.parametrize("suffix", [".mp4", ".webp", ".gif"])
def test_film_of_two_methods(site, visit, suffix, monkeypatch):
    monkeypatch.setattr(jobs, "FILM_SECONDS", 0.5)
    asked = {**visit, "kind": "film", "suffix": suffix, "models": ["bilinear", "lit-light"], "scale": 6}
    states = list(make_file(site, {**asked, "about": [3, 35.5], "side": [40, 50]}))
    assert states[-1]["state"] == "done" and states[-1]["name"] == f"one-to-x6-bilinear-lit-light{suffix}"
    assert states[-1]["size"] == [62, 100], "both methods side by side, under a strip with their names"
    path = site.made_file(states[-1]["file"].removeprefix("made/")).path
    assert path.stat().st_size == states[-1]["bytes"] > 500
    for wrong in ({"about": [1]}, {"about": None}, {"side": [9, 40]}, {"side": [40, 9000]}, {"suffix": ".exe"}):
        [refused] = make_file(site, {**asked, "about": [3, 3], "side": [40, 40], **wrong})
        assert refused["state"] == "error"


@pytest.mark.slow
@pytest.mark.parametrize("truth", [False, True])
def test_comparison_sheet(site, visit, truth):
    if truth:
        visit = {**visit, "picture": ask(open_truth, site, {**visit, "scale": 2})["id"]}
    asked = {**visit, "kind": "sheet", "models": ["bicubic", "clit-light"], "scale": 2}
    for suffix, opening in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        state = list(make_file(site, {**asked, "suffix": suffix, "crops": [[4, 4, 16, 16], [0, 30, 20, 9]]}))[-1]
        assert state["state"] == "done" and state["name"] == f"one-x2-compared{suffix}"
        path = site.made_file(state["file"].removeprefix("made/")).path
        assert path.read_bytes().startswith(opening)
        assert suffix != ".svg" or (b" dB" in path.read_bytes()) == truth
    for wrong in ({"crops": [[0, 0, 4, 4]] * 5}, {"crops": 3}, {"crops": [[500, 0, 9, 9]]}, {"models": []}):
        assert list(make_file(site, {**asked, "suffix": ".png", **wrong}))[-1]["state"] == "error"
