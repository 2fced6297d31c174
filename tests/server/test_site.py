"""Who is here: visits, examples, and what a visitor hears when something goes wrong."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from clit.errors import UserError
from clit.ui.addresses import asking
from clit.ui.failures import describe_failure
from clit.ui.jobs import make_file
from clit.ui.limits import Limits
from clit.ui.questions import ask, begin, inspect, look_file, open_example, open_truth, render_view, score, stop_making
from clit.ui.site import Site
from server.visitor import decoded, view


def test_begin_offers_models_and_examples(site):
    offer = ask(begin, site, {})
    names = [model["name"] for model in offer["models"]]
    assert names == ["bilinear", "bicubic", "liif-light", "lte-light", "lit-light", "clit-light"]
    assert [m["name"] for m in offer["models"] if not m["available"]] == ["lte-light"]
    assert [m["kind"] for m in offer["models"]] == ["plain", "plain", "ensemble", "ensemble", "attention", "attention"]
    assert [m["stages"] for m in offer["models"]] == [1, 1, 1, 1, 1, 3]
    assert [example["title"] for example in offer["examples"]] == ["One", "Two"]
    assert offer["token"] != ask(begin, site, {})["token"]


def test_presets_without_weights_are_listed_and_say_so(site, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIT_CHECKPOINTS", str(tmp_path))
    fresh = Site(tmp_path, tmp_path)
    offer = ask(begin, fresh, {})
    assert offer["examples"] == []
    missing = [model for model in offer["models"] if not model["available"]]
    assert [model["name"] for model in missing] == ["liif-light", "lte-light", "lit-light", "clit-light"]
    assert all("clit train" in model["reason"] for model in missing)


def test_example_comes_back_exactly(site, visit, examples):
    answer = ask(open_example, site, {"token": visit["token"], "name": "two.png"})
    assert (answer["height"], answer["width"]) == (20, 24)
    assert np.array_equal(decoded(answer), np.asarray(Image.open(examples / "two.png")))


@pytest.mark.parametrize("name", ["../credits.json", "three.png", None, ["one.png"], "credits.json"])
def test_other_files_are_no_examples(site, visit, name):
    assert "no such example" in ask(open_example, site, {"token": visit["token"], "name": name})["error"]


@pytest.mark.parametrize("request_", [{}, None, [], "token", {"token": "guess"}, {"token": None}, {"token": ["x"]}])
def test_nothing_is_answered_without_a_token(site, request_):
    for question in (open_example, render_view, inspect, look_file, open_truth, score, stop_making):
        assert ask(question, site, request_)["expired"]
    assert list(make_file(site, request_))[-1]["state"] == "error"


def test_visits_end(examples, uploads):
    site = Site(examples, uploads, Limits(visits=2, visit_seconds=0.3, idle_seconds=0.05))
    first, second = (ask(begin, site, {})["token"] for _ in range(2))
    refused = ask(begin, site, {})
    assert refused.keys() == {"error"} and "already" in refused["error"], "nobody in use makes way"
    time.sleep(0.06)
    site.session(second)
    with site.answering({"token": first}):
        assert "already" in ask(begin, site, {})["error"], "who waits for an answer is not idle"
    third = ask(begin, site, {})["token"]
    opened = [ask(open_example, site, {"token": token, "name": "one.png"}) for token in (first, third)]
    assert opened[0]["expired"] and "idle" in opened[0]["error"], "it is told why"
    assert "image" in opened[1], "the third took the first one's place"
    site.end(third)
    assert ask(open_example, site, {"token": third, "name": "one.png"})["expired"]
    time.sleep(0.35)
    site.sweep()
    assert ask(open_example, site, {"token": second, "name": "one.png"})["expired"]


def test_one_address_neither_fills_the_server_nor_begins_too_fast(examples, uploads, monkeypatch):
    site = Site(examples, uploads, Limits(address_visits=3, arrivals=(5, 50.0)))

    def begin_from(address: str) -> dict:
        token = asking.set(address)
        try:
            return ask(begin, site, {})
        finally:
            asking.reset(token)

    kept = [begin_from("1.2.3.4")["token"] for _ in range(3)]
    assert "Too many visits come" in begin_from("1.2.3.4")["error"]
    assert "token" in begin_from("5.6.7.8")
    for token in kept:
        site.end(token)
    answers = [begin_from("1.2.3.4") for _ in range(3)]
    assert "token" in answers[0]
    for each in answers:
        site.end(each.get("token", ""))
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    answers = [begin_from("9.9.9.9") for _ in range(3)]
    for each in answers:
        site.end(each["token"])
    answers = [begin_from("9.9.9.9") for _ in range(3)]
    assert ["token" in each for each in answers] == [True, True, False]
    assert "Too many visits begin" in answers[2]["error"]
    monkeypatch.setattr(time, "monotonic", lambda: clock + 0.05)
    assert "token" in begin_from("9.9.9.9"), "two more after a twenty-fifth of a second"


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("There is no file /srv/models here/a.png: choose another.", None),
        ("The weights in /opt/clit/points/lit are broken: fetch them.", "The weights in lit are broken: fetch them."),
        ('Use "/var/data/secret/b.npz": now.', 'Use "b.npz": now.'),
        ("It is 3/4, see https://some.host/a/b.", "It is 3/4, see https://some.host/a/b."),
    ],
)
def test_sentences_tell_no_folders(monkeypatch, said, heard):
    monkeypatch.setenv("CLIT_CHECKPOINTS", "/srv/models here")
    found = describe_failure(UserError(said))["error"]
    assert found == (heard or "There is no file a.png: choose another.")


def test_faults_are_not_told_to_visitors(site, visit, monkeypatch):
    class Broken:
        def render(self, *args, **options):
            raise RuntimeError("/secret/path")

    monkeypatch.setattr(site, "renderer", Broken())
    answer = ask(render_view, site, view(visit))
    assert set(answer) == {"error"} and "secret" not in answer["error"]
