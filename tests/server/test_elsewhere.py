"""Views drawn by actors on a Ray of two: the page's own answers, also when an actor is lost in the middle of one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from clit.errors import Cancelled
from clit.rendering import elsewhere
from clit.rendering.elsewhere import DONE, RESTS, WAITS, Painters, _Work
from clit.rendering.parts import Computed
from clit.system import turns
from clit.system.cluster import LOCAL, connected
from clit.ui.questions import ask, inspect, render_view
from clit.ui.site import Site
from server.visitor import arrive, decoded, view

ROOT = Path(__file__).resolve().parents[2]


def test_work_goes_on_only_while_it_may(monkeypatch):
    monkeypatch.setattr(elsewhere, "STEP", 0.0)  # it rests at every pause
    heard = []

    def count(is_over) -> Computed:
        for number in range(2):
            heard.append(number)
            turns.pause()
        return Computed(heard, 0.0)

    work = _Work(count)
    assert heard == []
    assert (work.go_on(), list(heard)) == (RESTS, [0])
    assert (work.go_on(), list(heard)) == (RESTS, [0, 1])
    assert (work.go_on(), work.result, work.error) == (DONE, Computed([0, 1], 0.0), None)


def test_work_that_needs_what_other_work_does_says_so(monkeypatch):
    monkeypatch.setattr(elsewhere, "STEP", 0.0)
    lock, ended = threading.Lock(), threading.Event()

    def encode(is_over) -> Computed:
        with turns.hold(lock, is_over):
            turns.pause()
        ended.set()
        return Computed("first", 0.0)

    def use(is_over) -> Computed:
        with turns.hold(lock, is_over) as held:
            return Computed(held, 0.0)

    first, second, third = _Work(encode), _Work(use), _Work(use)
    assert first.go_on() == RESTS
    assert second.go_on() == WAITS and third.go_on() == WAITS
    assert second.go_on() == WAITS, "asked again, it answers at once"
    third.stop()
    assert first.go_on() == DONE and ended.is_set()
    while (state := second.go_on()) == WAITS:
        pass
    assert state == DONE and second.result == Computed(True, 0.0)


def test_work_that_is_stopped_or_fails_ends():
    def pause(is_over) -> Computed:
        ended.append(threading.current_thread())
        while True:
            turns.pause()

    ended: list[threading.Thread] = []
    work = _Work(pause)
    assert work.go_on() == RESTS
    work.stop()
    ended[0].join(20)
    assert not ended[0].is_alive() and isinstance(work.error, Cancelled)
    failing = _Work(lambda is_over: 1 / 0)
    assert failing.go_on() == DONE and isinstance(failing.error, ZeroDivisionError)


@pytest.mark.slow
def test_without_ray_one_sentence_says_so(tmp_path):
    (tmp_path / "ray.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    command = [sys.executable, "app.py", "--ray"]
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=300, env={**os.environ, "PYTHONPATH": path}
    )
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1] == "error: This needs the package ray: pip install 'clit[cluster]'."


@pytest.fixture(scope="module")
def ray(checkpoints_folder):
    pytest.importorskip("ray", reason="the package ray is not there for this Python", exc_type=ImportError)
    with connected(LOCAL, 2) as ray:
        yield ray


@pytest.fixture(scope="module")
def painters(ray):
    return Painters(ray, 100 << 20, 2, 1)


@pytest.fixture
def there(examples, uploads, painters):
    return Site(examples, uploads, painters=painters)


def large(visit: dict, **changes) -> dict:
    """A view of six tiles."""
    return view(visit, model="clit-light", scale=30, window=[0, 0, 800, 1100], kind="exact", **changes)


@pytest.mark.slow
def test_actors_draw_what_this_process_draws(site, there):
    here, away = arrive(site), arrive(there)
    for changes in ({}, {"paint": "entropy", "head": 1}, {"model": "clit-light", "scale": 9, "kind": "preview"}):
        expected, found = (ask(render_view, at, view(visit, **changes)) for at, visit in ((site, here), (there, away)))
        assert "image" in found and "image" in expected, (found, expected)
        assert found["window"] == expected["window"] and found["span"] == pytest.approx(expected["span"])
        assert np.abs(decoded(found).astype(int) - decoded(expected)).max() <= 1
    assert not any(there.renderer.count_bytes().values()), "features are with the actors alone"
    pixel = {"models": ["lit-light"], "scale": 3, "pixel": [40, 50], "influence": True}
    expected, found = (
        ask(inspect, at, {**visit, **pixel})["looks"]["lit-light"] for at, visit in ((site, here), (there, away))
    )
    for name in ("weights", "influence"):
        assert np.allclose(found["stages"][0][name], expected["stages"][0][name], atol=1e-6)


@pytest.mark.slow
def test_a_visitor_stays_with_one_actor_and_others_get_the_other(there, monkeypatch):
    used, original = [], Painters._compute_at

    def note(self, seat, sent, cancel):
        used.append(self._seats.index(seat))
        return original(self, seat, sent, cancel)

    monkeypatch.setattr(Painters, "_compute_at", note)
    visits = [arrive(there) for _ in range(4)]
    for visit in [*visits, *visits]:
        assert "image" in ask(render_view, there, view(visit))
    assert used[:4] == used[4:] and sorted(used[:4]) == [0, 0, 1, 1]


@pytest.mark.slow
def test_an_actor_lost_in_the_middle_of_a_view_is_replaced(ray, site, there, painters, monkeypatch):
    expected = decoded(ask(render_view, site, large(arrive(site))))
    asked, original = [], Painters._compute_at

    def lose(self, seat, sent, cancel):
        asked.append(seat)
        if len(asked) == 3:
            ray.kill(seat.actor, no_restart=False)
        return original(self, seat, sent, cancel)

    monkeypatch.setattr(Painters, "_compute_at", lose)
    found = decoded(ask(render_view, there, large(arrive(there))))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert len(asked) == 7 and len(set(asked)) == 2, "one tile was asked again, of the other actor"
    until = time.monotonic() + 300
    while painters.count_here() < 2:  # it is started again
        assert time.monotonic() < until
        time.sleep(0.1)
    assert "image" in ask(render_view, there, view(arrive(there)))


@pytest.mark.slow
def test_a_view_that_loses_every_actor_gets_a_sentence(ray, there, painters, monkeypatch):
    def lose(self, seat, sent, cancel):
        raise ray.exceptions.RayActorError

    monkeypatch.setattr(Painters, "_compute_at", lose)
    monkeypatch.setattr(elsewhere._Seat, "note_lost", lambda self: None)
    answer = ask(render_view, there, view(arrive(there)))
    assert answer == {"error": "The machines that draw were lost over this: try again in some minutes."}


@pytest.mark.slow
def test_a_newer_view_stops_an_older_one_at_an_actor(there, monkeypatch):
    visit, begun, answers = arrive(there), threading.Event(), []
    original = Painters._compute_at

    def note(self, seat, sent, cancel):
        begun.set()
        return original(self, seat, sent, cancel)

    monkeypatch.setattr(Painters, "_compute_at", note)
    older = threading.Thread(target=lambda: answers.append(ask(render_view, there, large(visit, wanted=1))))
    older.start()
    assert begun.wait(60)
    assert "image" in ask(render_view, there, view(visit, model="clit-light", wanted=2))
    older.join(60)
    assert answers == [{"stale": True}]
