"""Zoom films: their frames, and that a written film plays them."""

import threading

import cv2
import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import clit
from clit.errors import Cancelled
from clit.exports import film as film_module
from clit.exports.animated_webp import write_webp
from clit.exports.film import Film, draw_frames, predict_film_seconds, save_film
from clit.geometry import output_size

STRIP = 22  # rows above each panel that name method and scale


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "photograph.png"
    tiny.save_photograph(path, 24, 36)
    return path


@pytest.fixture(scope="module")
def models():
    return {"bilinear": clit.load("bilinear"), "bicubic": clit.load("bicubic")}


def test_scales_grow_by_equal_factors_and_rest_at_the_ends():
    film = Film(2, 18, seconds=4, fps=10)
    assert len(film.scales) == 40
    assert film.scales[0] == film.scales[10] == 2 and film.scales[-11] == pytest.approx(18)
    moving = np.array(film.scales[10:-10])
    assert np.allclose(moving[1:] / moving[:-1], moving[1] / moving[0]) and moving[1] > 2
    short = Film(2, 18, seconds=0.8, fps=10).scales
    assert short.count(2) == 3 and max(short) == short[-1], "a quarter of a short one at either end"


def test_frames_are_what_upscale_gives(photograph, models):
    film = Film(1, 10, about=(6, 9), side=(48, 40), seconds=1, fps=9)
    shown = list(draw_frames(models, photograph, film))
    assert len(shown) == 9 and all(frame.shape == (48 + STRIP, 80, 3) for frame in shown)
    first = shown[0][STRIP:, :40]
    small = np.asarray(Image.open(photograph))
    squares = small[:, :20].repeat(2, 0).repeat(2, 1)
    assert np.array_equal(first, squares), "at x1 a frame shows the picture's own pixels, twice as large to fill it"
    for column, model in enumerate(models.values()):
        last = shown[-1][STRIP:, 40 * column : 40 * column + 40]
        expected = clit.upscale(model, photograph, size=(240, 360), window=(36, 70, 48, 40))
        assert np.abs(last / 255 - expected).max() <= 0.51 / 255, "the point is in the middle"


def test_a_picture_smaller_than_the_frame_is_drawn_larger(photograph, models):
    """At x1.5 three output pixels become four of the frame: each of those is the mean of what it covers."""
    film = Film(1.5, 1.5, about=(12, 18), side=(48, 40), seconds=1, fps=2)
    [first, *_] = draw_frames({"bicubic": models["bicubic"]}, photograph, film)
    shown = clit.upscale(models["bicubic"], photograph, size=(36, 54), window=(0, 12, 36, 30))
    part = first[STRIP:].astype(float) / 255
    assert np.abs(part[:4, :4].mean((0, 1)) - shown[:3, :3].mean((0, 1))).max() < 1 / 255
    assert np.abs(part[0::4, 0::4] - shown[0::3, 0::3]).max() <= 0.51 / 255, "corners of squares are one pixel's"


def test_the_view_stays_inside_the_picture(photograph, models):
    film = Film(8, 8, about=(0, 36), side=(64, 64), seconds=1, fps=2)
    [*_, last] = draw_frames({"bicubic": models["bicubic"]}, photograph, film)
    expected = clit.upscale(models["bicubic"], photograph, size=(192, 288), window=(0, 224, 64, 64))
    assert np.abs(last[STRIP:] / 255 - expected).max() <= 0.51 / 255


@pytest.mark.parametrize("suffix", [".mp4", ".webp", ".gif"])
def test_a_written_film_plays(tmp_path, photograph, models, suffix):
    film = Film(1, 6, side=(63, 65), seconds=2, fps=4)
    heard = []
    size = save_film({"bicubic": models["bicubic"]}, photograph, tmp_path / f"a{suffix}", film, progress=heard.append)
    shown = list(draw_frames({"bicubic": models["bicubic"]}, photograph, film))
    assert len(heard) == 8 + 1 and heard[-1] == 1
    steps = np.diff(heard)
    assert (steps >= 0).all() and steps[0] < steps[3] > steps[6], "frames at rest are not drawn again"
    if suffix == ".mp4":
        assert size == (86, 66), "video needs even sides"
        reader = cv2.VideoCapture(str(tmp_path / "a.mp4"))
        played = []
        while (read := reader.read())[0]:
            played.append(read[1][:85, :65, ::-1])
        assert len(played) == 8
    else:
        assert size == (85, 65)
        with Image.open(tmp_path / f"a{suffix}") as file:
            played = [np.asarray(file.convert("RGB"))]
            file.seek(file.n_frames - 1)
            played.append(np.asarray(file.convert("RGB")))
            milliseconds = 0
            for index in range(file.n_frames):
                file.seek(index)
                file.load()
                milliseconds += file.info["duration"]
        assert milliseconds == 8 * 250
    for seen, meant in ((played[0], shown[0]), (played[-1], shown[-1])):
        assert np.abs(seen.astype(float) - meant).mean() < 6
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_an_animated_webp_holds_each_frame_as_a_still_one_would(tmp_path):
    """A frame three times in turn is there once, for three times as long."""
    random = np.random.default_rng(0)
    first, second = (cv2.resize(random.integers(0, 255, (5, 6, 3), np.uint8), (41, 33)) for _ in range(2))
    frames = iter([first, first, first, second, first])
    assert write_webp(tmp_path / "a.webp", frames, 8) == (33, 41)
    with Image.open(tmp_path / "a.webp") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (3, (41, 33), 0)
        for index, (frame, milliseconds) in enumerate([(first, 375), (second, 125), (first, 125)]):
            film.seek(index)
            played = np.asarray(film.convert("RGB"))  # reads the frame's duration
            assert film.info["duration"] == milliseconds
            Image.fromarray(frame).save(tmp_path / "still.webp", quality=90, method=2)
            assert np.array_equal(played, np.asarray(Image.open(tmp_path / "still.webp")))


@pytest.mark.parametrize(
    "wrong",
    [{"start": 0}, {"end": 99}, {"end": float("nan")}, {"fps": 0}, {"fps": 99}, {"seconds": 0}, {"seconds": 1e6},
     {"side": (10, 40)}, {"side": (40, 9000)}, {"about": (25, 3)}, {"about": (-1, 3)}],
)  # fmt: skip
def test_wrong_films_get_one_sentence(tmp_path, photograph, models, wrong):
    with pytest.raises(clit.UserError) as error:
        save_film(models, photograph, tmp_path / "a.gif", Film(**wrong))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_the_time_that_a_film_takes_is_told_by_its_work(photograph, monkeypatch):
    """With a machine of 1e6 multiply-adds a second that writes a pixel in 2 microseconds."""
    monkeypatch.setattr(film_module, "_writing_pace", lambda rgb, suffix: 2e-6)
    monkeypatch.setattr("clit.rendering.trial._try_decoder", lambda model, view: (model, 1.0))
    monkeypatch.setattr("clit.rendering.trial._time", lambda model: 1e-6)
    film = Film(1, 6, side=(48, 40), seconds=2, fps=4)
    models = {name: clit.load(name) for name in ("bicubic", "bilinear")}
    work = 0
    for scale in sorted(set(film.scales)):
        height, width = output_size(24, 36, scale)
        seen = [round(side * scale / max(scale, 2)) for side in (48, 40)]
        work += min(height, seen[0]) * min(width, seen[1]) * 2 * 48
    writing = 8 * 2 * 48 * 40 * 2e-6 / torch.get_num_threads()
    assert predict_film_seconds(models, photograph, ".mp4", film) == pytest.approx(work / 1e6 + writing)


def test_drawing_stops_with_its_reader(photograph, models):
    """Frames are drawn on another thread; an error there arrives, and nothing is drawn for a reader that left."""
    film = Film(1, 6, side=(48, 40), seconds=2, fps=4)
    with pytest.raises(Cancelled):
        save_film(models, photograph, photograph.with_suffix(".gif"), film, cancel=lambda: True)
    assert not photograph.with_suffix(".gif").exists()
    before = threading.active_count()
    frames = film_module._draw_ahead(draw_frames(models, photograph, Film(1, 6, side=(48, 40), seconds=9, fps=9)))
    next(frames)
    frames.close()
    assert threading.active_count() == before


def test_wrong_files_get_one_sentence(tmp_path, photograph, models):
    for path in (tmp_path / "a.avi", tmp_path / "none" / "a.gif"):
        with pytest.raises(clit.UserError):
            save_film(models, photograph, path, Film())
