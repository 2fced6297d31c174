"""The page's server without a browser: visits, uploads, views, attention, the full picture, and their bounds."""

from __future__ import annotations

import base64
import io
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

import clit
from clit.networks import checkpoints
from clit.pictures import metrics
from clit.ui import making
from clit.ui.making import TILE
from clit.ui.models import Models
from clit.ui.pictures import attention_colours, entropy_span
from clit.ui.session import Limits, Session
from clit.ui.slots import Slots, Stale

ROOT = Path(__file__).resolve().parent.parent
PNG = {"kind": "picture", "suffix": ".png"}


@pytest.fixture(scope="module", autouse=True)
def checkpoints_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    tiny.save_checkpoints(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIT_CHECKPOINTS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    tiny.save_photograph(folder / "one.png", 30, 40)
    tiny.save_photograph(folder / "two.png", 20, 24)
    (folder / "credits.json").write_text(
        '{"one.png": {"title": "One", "author": "A", "licence": "CC0", "source": "s"}}'
    )
    return folder


@pytest.fixture(scope="module")
def site(examples):
    return Session(examples)


@pytest.fixture
def visit(site):
    """A visit with the first example open: the entries every question needs."""
    token = site.begin({})["token"]
    picture = site.open_example({"token": token, "name": "one.png"})
    return {"token": token, "picture": picture["id"]}


def decoded(answer: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["image"]))).convert("RGB"))


def view(visit: dict, **changes) -> dict:
    return {**visit, "model": "lit-light", "scale": 2.7, "window": [3, 5, 20, 30], "wanted": 1, **changes}


def test_begin_offers_models_and_examples(site):
    offer = site.begin({})
    names = [model["name"] for model in offer["models"]]
    assert names == ["bilinear", "bicubic", "liif-light", "lte-light", "lit-light", "clit-light"]
    assert [m["name"] for m in offer["models"] if not m["available"]] == ["lte-light"]
    assert [m["kind"] for m in offer["models"]] == ["plain", "plain", "ensemble", "ensemble", "attention", "attention"]
    assert [m["stages"] for m in offer["models"]] == [1, 1, 1, 1, 1, 3]
    assert [example["title"] for example in offer["examples"]] == ["One", "Two"]
    assert offer["token"] != site.begin({})["token"]


def test_presets_without_weights_are_listed_and_say_so(site, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path))
    fresh = Session(tmp_path)
    offer = fresh.begin({})
    assert offer["examples"] == []
    missing = [model for model in offer["models"] if not model["available"]]
    assert [model["name"] for model in missing] == ["liif-light", "lte-light", "lit-light", "clit-light"]
    assert all("clit train" in model["reason"] for model in missing)


def test_example_comes_back_exactly(site, visit, examples):
    answer = site.open_example({"token": visit["token"], "name": "two.png"})
    assert (answer["height"], answer["width"]) == (20, 24)
    assert np.array_equal(decoded(answer), np.asarray(Image.open(examples / "two.png")))


@pytest.mark.parametrize("name", ["../credits.json", "three.png", None, ["one.png"], "credits.json"])
def test_other_files_are_no_examples(site, visit, name):
    assert "no such example" in site.open_example({"token": visit["token"], "name": name})["error"]


@pytest.mark.parametrize("request_", [{}, None, [], "token", {"token": "guess"}, {"token": None}, {"token": ["x"]}])
def test_nothing_is_answered_without_a_token(site, request_):
    for question in (
        site.open_example,
        site.render_view,
        site.inspect,
        site.look_file,
        site.open_truth,
        site.score,
        site.stop_making,
    ):
        assert question(request_)["expired"]
    assert list(site.make(request_))[-1]["state"] == "error"


def test_visits_end(examples):
    site = Session(examples, Limits(visits=2, visit_seconds=0.05))
    first, second, third = (site.begin({})["token"] for _ in range(3))
    assert site.open_example({"token": first, "name": "one.png"})["expired"], "the third took the first one's place"
    assert "image" in site.open_example({"token": third, "name": "one.png"})
    site.end(third)
    assert site.open_example({"token": third, "name": "one.png"})["expired"]
    time.sleep(0.06)
    site.sweep()
    assert site.open_example({"token": second, "name": "one.png"})["expired"]


def test_uploads_are_bounded_together(examples, tmp_path):
    path = tmp_path / "photo.png"
    tiny.save_photograph(path, 40, 40)
    site = Session(examples, Limits(picture_bytes=2 * 40 * 40 * 12))
    tokens = [site.begin({})["token"] for _ in range(3)]
    opened = [site.open_upload({"token": token, "name": "photo.png"}, path) for token in tokens]
    assert all("image" in answer for answer in opened)
    told = [site.render_view(view({"token": t, "picture": o["id"]})) for t, o in zip(tokens, opened, strict=True)]
    assert told[0].get("expired") and "image" in told[1] and "image" in told[2]


def test_upload_is_read_upright_and_exactly(site, visit, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    answer = site.open_upload({"token": visit["token"], "name": "turned.png"}, tmp_path / "turned.png")
    assert np.array_equal(decoded(answer), np.rot90(pixels, -1))
    assert answer["name"] == "turned.png" and answer["notice"] == ""


def test_large_upload_is_reduced_and_says_so(examples, tmp_path):
    tiny.save_photograph(tmp_path / "large.png", 90, 120)
    site = Session(examples, Limits(input_pixels=2700))
    answer = site.open_upload({"token": site.begin({})["token"], "name": "large.png"}, tmp_path / "large.png")
    assert (answer["height"], answer["width"]) == (45, 60)
    assert "120 × 90" in answer["notice"] and "60 × 45" in answer["notice"]
    mean = np.asarray(Image.open(tmp_path / "large.png")).mean((0, 1))
    assert np.abs(decoded(answer).mean((0, 1)) - mean).max() < 1


def test_bad_uploads_get_one_sentence_without_the_servers_paths(examples, tmp_path):
    site = Session(examples, Limits(upload_pixels=1000, upload_bytes=5000))
    token = site.begin({})["token"]
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "heavy.png").write_bytes(bytes(6000))
    Image.new("RGB", (100, 11)).save(tmp_path / "wide.png")
    for name in ("text.png", "empty.png", "heavy.png", "wide.png"):
        answer = site.open_upload({"token": token, "name": name}, tmp_path / name)
        assert set(answer) == {"error"}
        assert str(tmp_path) not in answer["error"] and answer["error"].count(". ") == 0, answer["error"]


@pytest.mark.parametrize("model", ["bilinear", "bicubic", "liif-light", "lit-light", "clit-light"])
@pytest.mark.parametrize("scale", [1, 2.7, 17.3])
def test_view_is_what_upscale_computes(site, visit, examples, model, scale):
    answer = site.render_view(view(visit, model=model, scale=scale))
    top, left, height, width = answer["window"]
    assert answer["size"] == [round(30 * scale), round(40 * scale)]
    expected = clit.upscale(clit.load(model), examples / "one.png", scale=scale, window=(top, left, height, width))
    assert np.abs(decoded(answer) / 255 - expected).max() <= 1 / 255


@pytest.mark.parametrize("chain", ["published", "balanced"])
@pytest.mark.parametrize("stages", [None, 1, 2])
def test_the_cascade_can_be_seen_after_each_stage_and_split_both_ways(site, visit, examples, chain, stages):
    answer = site.render_view(view(visit, model="clit-light", scale=20, chain=chain, stages=stages))
    top, left, height, width = answer["window"]
    expected = clit.upscale(
        clit.load("clit-light"), examples / "one.png", scale=20, window=(top, left, height, width), chain=chain,
        stages=stages,
    )  # fmt: skip
    assert np.abs(decoded(answer) / 255 - expected).max() <= 1 / 255
    assert np.allclose(answer["factors"], [4, 4, 1.25] if chain == "published" else 3 * [20 ** (1 / 3)])
    assert site.render_view(view(visit))["factors"] == [], "LIT has one stage"


def test_window_is_clipped_to_the_output(site, visit):
    answer = site.render_view(view(visit, scale=2, window=[-5, 70, 1000, 1000]))
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
    answer = site.render_view(view(visit, **wrong))
    assert set(answer) == {"error"} and len(answer["error"]) < 250
    assert "image" in site.render_view(view(visit)), "a bad question leaves the visit as it was"


def test_view_is_bounded(examples):
    site = Session(examples, Limits(view_pixels=100))
    token = site.begin({})["token"]
    visit = {"token": token, "picture": site.open_example({"token": token, "name": "one.png"})["id"]}
    assert "image" in site.render_view(view(visit, window=[0, 0, 10, 10]))
    assert "error" in site.render_view(view(visit, window=[0, 0, 10, 11]))


def test_older_views_and_other_pictures_are_stale(site, visit):
    assert "image" in site.render_view(view(visit, wanted=5))
    assert site.render_view(view(visit, wanted=4)) == {"stale": True}
    assert "image" in site.render_view(view(visit, wanted=4, model="bicubic")), "each pane has its own newest view"
    assert site.render_view(view(visit, wanted=6, picture="another")) == {"stale": True}
    assert site.inspect({**visit, "picture": "another", "model": "lit-light", "scale": 2, "pixel": [0, 0]}) == {
        "stale": True
    }


def test_a_newer_view_stops_an_older_one(examples, monkeypatch):
    site = Session(examples)
    token = site.begin({})["token"]
    visit = {"token": token, "picture": site.open_example({"token": token, "name": "one.png"})["id"]}
    started, seen = threading.Event(), []

    class Slow:
        def render(self, model, image, *, size, window, cancel, **options):
            started.set()
            for _ in range(2000):
                if cancel():
                    seen.append("cancelled")
                    raise clit.Cancelled
                time.sleep(0.005)
            return np.zeros((window.height, window.width, 3), np.float32)

    monkeypatch.setattr(site, "_renderer", Slow())
    answers = {}
    older = threading.Thread(target=lambda: answers.update(older=site.render_view(view(visit, wanted=1))))
    older.start()
    assert started.wait(10)
    monkeypatch.setattr(site, "_renderer", clit.Renderer())
    assert "image" in site.render_view(view(visit, wanted=2))
    older.join(10)
    assert answers["older"] == {"stale": True} and seen == ["cancelled"]


def test_slots_bound_the_line():
    slots = Slots(1, 1)
    with slots.take(lambda: False):
        with pytest.raises(Stale), slots.take(lambda: True):
            pass
        waiting = threading.Thread(target=lambda: slots.take(lambda: False).__enter__())
        waiting.start()
        while not slots.waited_for:
            time.sleep(0.001)
        with pytest.raises(clit.UserError, match="busy"), slots.take(lambda: False):
            pass
    waiting.join(10)
    assert not waiting.is_alive()


def test_previews_come_first_and_what_is_drawn_ahead_does_not_wait():
    slots, order = Slots(1, 9), []

    def wait(kind: str) -> None:
        with slots.take(lambda: False, kind):
            order.append(kind)

    kinds = ["exact", "preview", "exact", "preview"]
    threads = [threading.Thread(target=wait, args=[kind]) for kind in kinds]
    with slots.take(lambda: False):
        for number, thread in enumerate(threads):
            thread.start()
            while len(slots._line) <= number:
                time.sleep(0.001)
        with pytest.raises(Stale):
            wait("ahead")
    for thread in threads:
        thread.join(10)
    wait("ahead")
    assert order == ["preview", "preview", "exact", "exact", "ahead"] and not slots.waited_for


def test_what_is_drawn_ahead_makes_way_and_no_newer_view_stops_it(site, visit, monkeypatch):
    started, answers = threading.Event(), {}

    class Endless:
        def render(self, model, image, *, window, cancel, **options):
            started.set()
            deadline = time.monotonic() + 20
            while not cancel() and time.monotonic() < deadline:
                time.sleep(0.001)
            raise clit.Cancelled

    assert "image" in site.render_view(view(visit, wanted=5, kind="exact"))
    assert "image" in site.render_view(view(visit, wanted=2, kind="ahead"))
    assert site.render_view(view(visit, wanted=2, kind="preview")) == {"stale": True}
    quick = site._renderer
    monkeypatch.setattr(site, "_renderer", Endless())
    ahead = threading.Thread(target=lambda: answers.update(ahead=site.render_view(view(visit, wanted=5, kind="ahead"))))
    ahead.start()
    assert started.wait(10)
    monkeypatch.setattr(site, "_renderer", quick)
    assert "image" in site.render_view(view(visit, wanted=6, kind="exact"))
    ahead.join(10)
    assert answers["ahead"] == {"stale": True}
    assert "must be one of preview, exact, ahead" in site.render_view(view(visit, kind="soon"))["error"]


@pytest.mark.parametrize("model", ["liif-light", "lit-light", "clit-light"])
@pytest.mark.parametrize("scale, pixel", [(2.7, [0, 0]), (30, [417, 1199])])
def test_inspect_is_what_attend_computes(site, visit, examples, model, scale, pixel):
    answer = site.inspect({**visit, "model": model, "scale": scale, "pixel": pixel})
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
        {"model": "bicubic"},
    ],
)
def test_bad_pixels_get_one_sentence(site, visit, wrong):
    answer = site.inspect({**visit, "model": "lit-light", "scale": 2, "pixel": [0, 0], **wrong})
    assert set(answer) == {"error"}


def test_full_picture_is_the_whole_output(site, visit, examples):
    request = {**visit, **PNG, "models": ["bicubic"], "scale": 26, "run": 3}
    states = list(site.make(request))
    assert states[0] == {"run": 3, "state": "running", "done": 0.0, "seconds_left": None}
    assert states[-1]["state"] == "done" and states[-1]["size"] == [780, 1040]
    assert max(states[-1]["size"]) > TILE, "more than one tile"
    path, name = site.made_file(states[-1]["file"].removeprefix("made/"))
    assert name == "one-x26-bicubic.png" and states[-1]["bytes"] == path.stat().st_size
    expected = clit.upscale(clit.load("bicubic"), examples / "one.png", scale=26)
    assert np.abs(np.asarray(Image.open(path)) / 255 - expected).max() <= 1 / 255
    again = list(site.make(request))[-1]
    assert not path.exists(), "a visit keeps one full picture"
    path, _ = site.made_file(again["file"].removeprefix("made/"))
    site.end(visit["token"])
    assert not path.exists() and site.made_file(path.name) is None


def test_full_pictures_are_bounded_together(examples):
    site = Session(examples, Limits(made_files=2))
    files = []
    for _ in range(3):
        token = site.begin({})["token"]
        picture = site.open_example({"token": token, "name": "two.png"})["id"]
        state = list(site.make({"token": token, "picture": picture, **PNG, "models": ["bicubic"], "scale": 2}))[-1]
        files.append(site.made_file(state["file"].removeprefix("made/"))[0])
    assert [path.exists() for path in files] == [False, True, True]


def test_full_picture_stops(site, visit):
    run = site.make({**visit, **PNG, "models": ["lit-light"], "scale": 30})
    assert next(run)["state"] == "running"
    assert site.stop_making(visit) == {}
    assert list(run)[-1] == {"run": 0, "state": "stopped"}


def test_full_picture_has_a_limit_and_names_the_largest_scale(examples):
    site = Session(examples, Limits(full_pixels=100_000))
    token = site.begin({})["token"]
    visit = {"token": token, "picture": site.open_example({"token": token, "name": "one.png"})["id"]}
    [refused] = site.make({**visit, **PNG, "models": ["bicubic"], "scale": 10})
    assert refused["state"] == "error" and "at most 9.1" in refused["error"]
    assert list(site.make({**visit, **PNG, "models": ["bicubic"], "scale": 9.1}))[-1]["state"] == "done"


def test_a_size_of_its_own_for_each_axis(site, visit, examples):
    asked = {**visit, "model": "lit-light", "scale": 3, "size": [90, 57], "window": [0, 0, 90, 57], "wanted": 1}
    answer = site.render_view(asked)
    assert answer["size"] == [90, 57]
    expected = clit.upscale(clit.load("lit-light"), examples / "one.png", size=(90, 57))
    assert np.abs(decoded(answer) / 255 - expected).max() <= 1 / 255
    seen = site.inspect({**asked, "pixel": [89, 56]})
    wanted = clit.attend(clit.load("lit-light"), examples / "one.png", pixel=(89, 56), size=(90, 57))
    assert np.allclose(seen["stages"][0]["weights"], wanted.stages[0].weights, atol=1e-6)
    states = list(site.make({**asked, **PNG, "models": ["bicubic"]}))
    assert states[-1]["size"] == [90, 57] and states[-1]["name"] == "one-57x90-bicubic.png"
    for wrong in ([29, 57], [90, 1201], [90], [90.5, 57], "90x57", [True, 57], [10**9, 57]):
        assert set(site.render_view({**asked, "size": wrong})) == {"error"}


def test_panes_painted_by_attention(site, visit, examples):
    asked = {**visit, "scale": 5, "window": [10, 20, 50, 60], "wanted": 1}
    model, heads = clit.load("clit-light"), 2
    survey = clit.survey(model, examples / "one.png", scale=5, window=(10, 20, 50, 60), stages=2)
    assert survey.shape == (50, 60, heads, 3)
    for paint in ("entropy", "direction"):
        for head in range(heads + 1):
            more = {"model": "clit-light", "stages": 2, "paint": paint, "head": head}
            expected = attention_colours(survey, paint, head, model.decoder.config.radius)
            answer = site.render_view({**asked, **more})
            assert np.abs(decoded(answer) / 255 - expected).max() <= 4 / 255
            span = entropy_span(survey, head) if paint == "entropy" else None
            assert answer["span"] == (span and pytest.approx(span, abs=1e-4))
    for wrong in ({"head": 3}, {"head": -1}, {"paint": "no"}, {"model": "liif-light"}, {"model": "bicubic"}):
        more = {"model": "clit-light", "paint": "entropy", "head": 0, **wrong}
        assert set(site.render_view({**asked, **more})) == {"error"}


def test_entropies_are_told_apart_in_colours():
    survey = np.zeros((1, 101, 2, 3), np.float32)
    survey[0, :, 0, 0] = np.linspace(2, 3, 101)
    survey[0, :, 1, 0] = 4.0
    assert entropy_span(survey, 1) == pytest.approx((2.01, 2.99))
    assert entropy_span(survey, 0) == pytest.approx((3.005, 3.495)), "of all heads, the mean"
    assert entropy_span(survey, 2) == pytest.approx((3.95, 4.05)), "what is the same everywhere has one colour"
    colours = attention_colours(survey, "entropy", 1, 3)[0]
    assert colours[0] @ [0.3, 0.6, 0.1] < 0.2 and colours[-1] @ [0.3, 0.6, 0.1] > 0.8
    assert np.ptp(attention_colours(survey, "entropy", 2, 3), axis=1).max() == 0


def test_directions_have_their_colours():
    offsets = np.array([[0, 0], [-3, 0], [3, 0], [0, -3], [0, 3]], np.float32)
    survey = np.concatenate([np.zeros((5, 1), np.float32), offsets], 1)[None, :, None]
    centre, up, down, left, right = attention_colours(survey, "direction", 0, 3)[0]
    assert np.ptp(centre) < 0.01 and centre.max() < 0.2, "looking nowhere else is dark and grey"
    assert up[2] < min(up[:2]) and down[2] == down.max(), "up is yellow, down is blue"
    assert right[0] == right.max() and left[1] == left.max(), "right is red, left is green"


@pytest.mark.parametrize("suffix", [".mp4", ".webp", ".gif"])
def test_film_of_two_methods(site, visit, suffix, monkeypatch):
    monkeypatch.setattr(making, "FILM_SECONDS", 0.5)
    asked = {**visit, "kind": "film", "suffix": suffix, "models": ["bilinear", "lit-light"], "scale": 6}
    states = list(site.make({**asked, "about": [3, 35.5], "side": [40, 50]}))
    assert states[-1]["state"] == "done" and states[-1]["name"] == f"one-to-x6-bilinear-lit-light{suffix}"
    assert states[-1]["size"] == [62, 100], "both methods side by side, under a strip with their names"
    path, _ = site.made_file(states[-1]["file"].removeprefix("made/"))
    assert path.stat().st_size == states[-1]["bytes"] > 500
    for wrong in ({"about": [1]}, {"about": None}, {"side": [9, 40]}, {"side": [40, 9000]}, {"suffix": ".exe"}):
        [refused] = site.make({**asked, "about": [3, 3], "side": [40, 40], **wrong})
        assert refused["state"] == "error"


@pytest.mark.slow
@pytest.mark.parametrize("truth", [False, True])
def test_comparison_sheet(site, visit, truth):
    if truth:
        visit = {**visit, "picture": site.open_truth({**visit, "scale": 2})["id"]}
    asked = {**visit, "kind": "sheet", "models": ["bicubic", "clit-light"], "scale": 2}
    for suffix, opening in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        state = list(site.make({**asked, "suffix": suffix, "crops": [[4, 4, 16, 16], [0, 30, 20, 9]]}))[-1]
        assert state["state"] == "done" and state["name"] == f"one-x2-compared{suffix}"
        path, _ = site.made_file(state["file"].removeprefix("made/"))
        assert path.read_bytes().startswith(opening)
        assert suffix != ".svg" or (b" dB" in path.read_bytes()) == truth
    for wrong in ({"crops": [[0, 0, 4, 4]] * 5}, {"crops": 3}, {"crops": [[500, 0, 9, 9]]}, {"models": []}):
        assert list(site.make({**asked, "suffix": ".png", **wrong}))[-1]["state"] == "error"


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


def test_faults_are_not_told_to_visitors(site, visit, monkeypatch):
    class Broken:
        def render(self, *args, **options):
            raise RuntimeError("/secret/path")

    monkeypatch.setattr(site, "_renderer", Broken())
    answer = site.render_view(view(visit))
    assert set(answer) == {"error"} and "secret" not in answer["error"]


@pytest.mark.slow
def test_only_uploaded_files_are_read(monkeypatch, tmp_path):
    from clit.ui.page import _uploaded

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "taken-in"))
    inside, outside = tmp_path / "taken-in" / "abc" / "a.png", tmp_path / "b.png"
    for path in (inside, outside):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "taken-in" / "link.png").symlink_to(outside)
    assert _uploaded({"path": str(inside)}) == inside.resolve()
    for path in (
        outside,
        inside.parent / ".." / ".." / "b.png",
        inside.parent,
        tmp_path / "taken-in" / "link.png",
        "\0",
    ):
        assert _uploaded({"path": str(path)}) is None
    for request in (None, {}, {"path": 3}, {"path": "x" * 10_000}):
        assert _uploaded(request) is None


@pytest.mark.slow
def test_a_taken_port_is_told_in_one_sentence(checkpoints_folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1])]
        run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith(f"error: Port {command[-1]} is taken")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".json", ".npz"])
def test_a_look_as_a_file(site, visit, examples, suffix):
    question = {**visit, "model": "clit-light", "scale": 10, "pixel": [7, 9], "chain": "balanced", "suffix": suffix}
    answer = site.look_file(question)
    assert answer["name"] == f"one-x10-clit-light-7-9{suffix}"
    data = base64.b64decode(answer["file"])
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".json": b"{", ".npz": b"PK"}
    assert data.startswith(starts[suffix])
    if suffix == ".svg":  # text is drawn as paths, with itself as a comment
        assert b"clit-light: output pixel (row 7, column 9)" in data and b"head 1" in data and b"head 0" not in data
    if suffix == ".npz":
        expected = clit.attend(
            clit.load("clit-light"), examples / "one.png", pixel=(7, 9), scale=10, chain="balanced"
        ).stages[1]
        assert np.allclose(np.load(io.BytesIO(data))["stage1_weights"], expected.weights, atol=1e-6)
    assert set(site.look_file({**question, "suffix": "../x"})) == {"error"}


def test_inspect_tells_both_parts_of_the_logits_and_the_influence(site, visit, examples):
    answer = site.inspect({**visit, "model": "lit-light", "scale": 3, "pixel": [7, 9]})
    expected = clit.attend(clit.load("lit-light"), examples / "one.png", pixel=(7, 9), scale=3).stages[0]
    for name in ("content", "position", "influence"):
        assert np.allclose(answer["stages"][0][name], getattr(expected, name), atol=1e-6)
    ensemble = site.inspect({**visit, "model": "liif-light", "scale": 3, "pixel": [7, 9]})["stages"][0]
    assert ensemble["content"] is None and np.shape(ensemble["influence"]) == (2, 2)


@pytest.fixture
def compared(site, visit):
    """A visit whose picture was made smaller, with its ground truth."""
    answer = site.open_truth({**visit, "scale": 2.3})
    assert (answer["height"], answer["width"], answer["truth"]) == (13, 17, 2.3)
    return {"token": visit["token"], "picture": answer["id"]}


def test_ground_truth_is_the_picture_itself_and_errors_are_distances_from_it(site, compared, examples):
    whole = np.asarray(Image.open(examples / "one.png"))
    truth = decoded(site.render_view(view(compared, scale=2.3, model="truth", window=[0, 0, 99, 99])))
    assert truth.shape == (round(13 * 2.3), round(17 * 2.3), 3)
    assert np.array_equal(truth, whole[: truth.shape[0], : truth.shape[1]])
    small = np.asarray(Image.fromarray(truth).resize((17, 13), Image.BICUBIC))
    expected = clit.upscale(clit.load("lit-light"), small, size=truth.shape[:2], window=(3, 5, 20, 30))
    assert np.abs(decoded(site.render_view(view(compared, scale=2.3))) / 255 - expected).max() <= 1 / 255
    error = decoded(site.render_view(view(compared, scale=2.3, error=True)))
    distance = np.abs(expected - truth[3:23, 5:35] / 255).mean(-1).flatten()
    green = error[..., 1].flatten().astype(int)[np.argsort(distance)]  # viridis: the more, the greener
    assert (np.diff(green) >= -1).all() and green[-1] > green[0]
    nothing = decoded(site.render_view(view(compared, scale=2.3, model="truth", error=True)))
    assert (nothing == nothing[0, 0]).all(), "the truth is nowhere far from itself"
    assert set(site.render_view(view(compared, scale=2.4, model="truth"))) == {"error"}


def test_scores_are_the_metrics_of_upscale(site, compared, examples):
    whole = np.asarray(Image.open(examples / "one.png"))
    for scale, (h, w) in ((2.3, (13, 17)), (1.5, (20, 26))):
        truth = whole[: round(h * scale), : round(w * scale)]
        small = np.asarray(Image.fromarray(truth).resize((w, h), Image.BICUBIC))
        sr = clit.upscale(clit.load("lit-light"), small, size=truth.shape[:2])
        answer = site.score({**compared, "model": "lit-light", "scale": scale})
        assert answer["psnr"] == pytest.approx(metrics.psnr(sr, truth, scale=scale), abs=1e-3)
        assert answer["psnr_rgb"] == pytest.approx(metrics.psnr(sr, truth, "rgb", scale=scale), abs=1e-3)
        assert answer["ssim"] == pytest.approx(metrics.ssim(sr, truth, scale=scale), abs=1e-5)
    assert "too few" in site.score({**compared, "model": "lit-light", "scale": 12})["error"]


def test_back_from_the_ground_truth(site, visit, compared):
    assert site.render_view(view(visit)) == {"stale": True}, "the whole picture is no longer the open one"
    answer = site.open_truth({**compared, "scale": None})
    assert (answer["height"], answer["width"], answer["truth"]) == (30, 40, None)
    assert "no ground truth" in site.score({**visit, "model": "lit-light", "scale": 2})["error"]
    assert set(site.open_truth({**visit, "scale": 30})) == set(site.open_truth({**visit, "scale": "x"})) == {"error"}
    assert "image" in site.render_view(view(visit)), "what could not be done changed nothing"


def test_files_for_programs_are_kept_for_a_while(examples):
    site = Session(examples, Limits(made_files=2, input_pixels=2000, full_pixels=20_000))
    paths = [site.upscale_file(examples / "one.png", "lit-light", 2, "published") for _ in range(3)]
    assert [path.exists() for path in paths] == [False, True, True]
    with pytest.raises(clit.UserError, match="megapixels"):
        site.upscale_file(examples / "one.png", "lit-light", 20, "published")
    tight = Session(examples, Limits(input_pixels=1000))
    with pytest.raises(clit.UserError, match="reduce it first"):
        tight.attention(examples / "one.png", "lit-light", 2, 0, 0, "published")
