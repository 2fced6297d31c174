"""Which input pixels a pixel comes from, some steps with every question."""

from __future__ import annotations

import base64
import threading
import time

import numpy as np
import pytest

import clit
from clit.ui import tracing
from clit.ui.questions import ask
from clit.ui.tracing import trace_pixel


def question(visit, **changes) -> dict:
    return {**visit, "model": "lit-light", "scale": 3, "pixel": [40, 50], "objective": "colour", **changes}


def follow(site, asked: dict) -> list[dict]:
    """Ask until there is nothing more to come."""
    answers = [ask(trace_pixel, site, asked)]
    while not answers[-1]["is_last"]:
        answers.append(ask(trace_pixel, site, asked))
    return answers


def test_the_last_map_is_what_attribute_computes(site, visit, examples, monkeypatch):
    monkeypatch.setattr(tracing, "PART_SECONDS", 0)  # one step a question
    asked = question(visit)
    answers = follow(site, asked)
    maps = [answer["found"] for answer in answers if answer["found"]]
    assert [each["steps"] for each in maps[:2]] == [10, 50] and [each["done"] for each in answers[:50]] == [
        *range(1, 51)
    ]
    wanted = clit.attribute(clit.load("lit-light"), examples / "one.png", (40, 50), 3, objective="colour")
    region = wanted.region
    assert maps[-1]["region"] == [region.top, region.left, region.bottom, region.right]
    values = np.frombuffer(base64.b64decode(maps[-1]["map"]), "<f4")
    sums = wanted.map[region.slices()].sum(-1).ravel()
    assert np.abs(values - sums).max() <= 1e-5 * np.abs(sums).max()
    assert maps[-1]["diffusion"] == pytest.approx(wanted.diffusion, abs=1e-4) and maps[-1]["steps"] == wanted.steps
    assert -1 <= maps[-1]["agreement"] <= 1
    assert ask(trace_pixel, site, asked) == answers[-1], "what is done is told again"


def test_another_pixel_ends_what_waits_and_each_method_goes_on_where_it_was(site, visit, monkeypatch):
    monkeypatch.setattr(tracing, "PART_SECONDS", 0)
    assert [ask(trace_pixel, site, question(visit))["done"] for _ in range(2)] == [1, 2]
    assert ask(trace_pixel, site, question(visit, model="liif-light"))["done"] == 1
    assert ask(trace_pixel, site, question(visit))["done"] == 3
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ask(trace_pixel, site, question(visit))))
    with site.line.join("another", "exact") as place, place.turn():
        waiting.start()
        while not site.line.length:
            time.sleep(0.001)
        other = threading.Thread(target=lambda: ask(trace_pixel, site, question(visit, pixel=[40, 51])))
        other.start()
        waiting.join(10)
    other.join(10)
    assert answers == [{"stale": True}]
    assert ask(trace_pixel, site, question(visit, pixel=[40, 51]))["done"] == 2
    assert ask(trace_pixel, site, question(visit))["done"] == 1, "the older pixel begins anew"


@pytest.mark.parametrize(
    "wrong", [{"objective": "edges"}, {"objective": None}, {"pixel": [999, 0]}, {"model": "none"}, {"scale": 99}]
)
def test_wrong_questions_get_one_sentence(site, visit, wrong):
    assert set(ask(trace_pixel, site, question(visit, **wrong))) == {"error"}


def test_what_broke_begins_anew(site, visit, monkeypatch):
    monkeypatch.setattr(tracing, "PART_SECONDS", 0)

    def break_down(*args):
        raise RuntimeError("no memory")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(tracing, "_begin", break_down)
        assert "Something went wrong" in ask(trace_pixel, site, question(visit))["error"]
    assert ask(trace_pixel, site, question(visit))["done"] == 1
