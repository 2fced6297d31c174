"""The line for rendering: fair, bounded, and rid at once of those who have gone."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import clit
from clit.networks.model import SRModel
from clit.rendering.tiles import Pace
from clit.system import turns
from clit.ui import line as lines
from clit.ui.failures import Busy, Stale
from clit.ui.limits import Limits
from clit.ui.line import Line
from clit.ui.questions import ask, begin, open_example, render_view
from clit.ui.sessions import Session
from clit.ui.site import Site
from server.visitor import arrive, view


class Clock:
    """A clock that only goes when work is done."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Visitors:
    """Threads of work in a line, each piece a number of tiles of so many seconds; notes who drew each tile."""

    def __init__(self, **room):
        self.clock = Clock()
        self.line = Line(room, self.clock)
        self.drawn, self.gone, self._threads = [], [], []

    def work(self, visitor, kind, tiles, seconds=0.25, is_stale=lambda: False, name=None):
        """Begin a piece of work, and return when it stands in line."""

        def run():
            try:
                with self.line.join(visitor, kind, is_stale) as place, place.turn():
                    for tile in range(tiles):
                        if tile:
                            turns.pause()
                        self.clock.now += seconds
                        self.drawn.append(name or visitor)
            except Stale:
                self.gone.append(name or visitor)

        length = self.line.length
        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        until(lambda: self.line.length > length or not self._threads[-1].is_alive())

    def held(self):
        """Hold the turn: what begins meanwhile stands in line."""
        return Held(self.line)

    def finish(self):
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


class Held:
    def __init__(self, line):
        self._join = line.join(self, "exact")

    def __enter__(self):
        self._turn = self._join.__enter__().turn()
        self._turn.__enter__()

    def __exit__(self, *error):
        self._turn.__exit__(*error)
        self._join.__exit__(*error)


def until(is_so):
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.001)


def longest_run(drawn, name):
    """The largest number of tiles in a row that others drew while `name` was not done."""
    last = max(at for at, each in enumerate(drawn) if each == name)
    runs, run = [0], 0
    for each in drawn[: last + 1]:
        run = 0 if each == name else run + 1
        runs.append(run)
    return max(runs)


def test_visitors_share_alike_however_much_they_ask():
    visitors = Visitors()
    with visitors.held():
        for number in range(4):
            visitors.work("greedy", "exact", 12, name=f"greedy {number}")
        visitors.work("modest", "exact", 12)
    visitors.finish()
    ends = {name: len(visitors.drawn) - visitors.drawn[::-1].index(name) for name in set(visitors.drawn)}
    assert ends["modest"] <= 24 + lines.RUN / 0.25, "half of the time is the modest one's"
    assert ends["greedy 0"] < ends["greedy 1"] < ends["greedy 2"], "panes of one visitor come one after another"


def test_what_came_together_is_drawn_together_before_what_came_later():
    visitors = Visitors()
    with visitors.held():
        for visitor in ("first", "second", "third"):
            for _ in range(3):
                visitors.work(visitor, "preview", 1, seconds=0.1)
    visitors.finish()
    assert visitors.drawn == [name for name in ("first", "second", "third") for _ in range(3)]


def test_who_was_served_less_comes_before_who_came_first():
    visitors = Visitors()
    with visitors.held():
        for name in ("first", "second"):
            visitors.work("busy", "preview", 4, seconds=0.32 * lines.ALIKE, name=name)
        visitors.work("modest", "preview", 1)
    visitors.finish()
    assert visitors.drawn == [*["first"] * 4, "modest", *["second"] * 4]


def test_nobody_starves_while_newcomers_come():
    visitors = Visitors()
    with visitors.held():
        visitors.work("file", "file", 8)
        visitors.work("view", "exact", 8)
        visitors.work(0, "preview", 1)

    for number in range(1, 400):  # each comes when the one before is drawn
        until(lambda number=number: number - 1 in visitors.drawn)
        visitors.work(number, "preview", 1)
        if {"file", "view"} <= set(visitors.drawn[:-1]) and visitors.drawn.count("file") == 8:
            break
    visitors.finish()
    assert visitors.drawn.count("file") == visitors.drawn.count("view") == 8


def test_what_follows_the_hand_comes_first_and_within_a_tile():
    visitors = Visitors()
    with visitors.held():
        visitors.work("a", "file", 4, name="file")
        visitors.work("b", "exact", 4, name="exact")
        visitors.work("c", "preview", 1, name="preview")
        visitors.work("b", "preview", 1, name="own preview")
    visitors.finish()
    assert visitors.drawn[:2] == ["preview", "own preview"]
    assert visitors.drawn[2:6] == 4 * ["exact"]

    at = {}

    def come():  # in the middle of another's view
        at["asked"] = len(visitors.drawn)
        visitors.work("d", "preview", 1, name="late")

    with visitors.line.join("e", "exact") as place, place.turn():
        come()
        visitors.clock.now += 0.25
        turns.pause()
        assert visitors.drawn[-1] == "late" and len(visitors.drawn) == at["asked"] + 1


def test_a_slow_preview_makes_way_for_quick_ones():
    visitors = Visitors()
    with visitors.held():
        visitors.work("slow", "preview", 12)
        for number in range(3):
            visitors.work(number, "preview", 1)
    visitors.finish()
    assert visitors.drawn.index(2) <= lines.QUICK / 0.25 + 4 and visitors.drawn[-1] == "slow"


def test_who_has_idled_saves_up_no_turns():
    visitors = Visitors()
    visitors.work("idle", "exact", 1)
    visitors.finish()
    visitors.clock.now += 1000
    with visitors.held():
        visitors.work("busy", "exact", 40)
        visitors.work("idle", "exact", 40)
    visitors.finish()
    assert longest_run(visitors.drawn[1:], "busy") <= 4 + 2 * lines.RUN / 0.25


def test_a_newcomer_stands_no_worse_than_who_looks_for_long():
    visitors = Visitors()
    for _ in range(50):
        for name in ("a", "b"):  # each looks while the other's view is drawn
            visitors.work(name, "exact", 4)
            visitors.finish()
            visitors.clock.now += 1
    with visitors.held():
        for name in ("a", "b"):
            visitors.work(name, "exact", 4)
        visitors.work("new", "preview", 1)
    visitors.finish()
    assert visitors.drawn[400] == "new"


def test_who_was_refused_comes_back_with_what_is_owed():
    visitors = Visitors()
    with visitors.held():
        visitors.work("waits", "exact", 4, is_stale=lambda: visitors.drawn.count("served") == 12)
        for _ in range(12):
            visitors.work("served", "preview", 1)
    visitors.finish()
    assert visitors.gone == ["waits"]
    with visitors.held():
        for name in ("served", "new", "waits"):
            visitors.work(name, "exact", 1)
    visitors.finish()
    assert visitors.drawn[12:] == ["waits", "new", "served"]


def test_who_goes_is_out_at_once():
    visitors, gone = Visitors(), threading.Event()
    with visitors.held():
        visitors.work("goes", "exact", 1, is_stale=gone.is_set)
        visitors.work("stays", "exact", 1)
        gone.set()
        visitors.line.drop_stale()
        until(lambda: visitors.gone == ["goes"])
        assert visitors.line.length == 1
    visitors.finish()
    assert visitors.drawn == ["stays"]


def test_a_session_that_ends_or_moves_on_leaves_the_line(site):
    sessions = [site.begin() for _ in range(3)]
    for session in sessions:
        site.show(session, site.examples.open("one.png"), uploaded=False)
    left = []

    def wait(session: Session) -> None:
        with pytest.raises(Stale), site.line.join(session, "exact", lambda: session.picture is None) as place:
            with place.turn():
                pass
        left.append(session)

    with Held(site.line):
        threads = [threading.Thread(target=wait, args=[session]) for session in sessions[:2]]
        for thread in threads:
            thread.start()
        until(lambda: site.line.length == 2)
        site.end(sessions[0].token)
        until(lambda: left == sessions[:1])
        site.end(sessions[1].token)
    for thread in threads:
        thread.join(10)
    assert left == sessions[:2]


def test_what_is_drawn_ahead_never_waits_and_makes_way():
    visitors = Visitors()
    with visitors.held(), pytest.raises(Stale), visitors.line.join("a", "ahead") as place, place.turn():
        pass
    with pytest.raises(Stale), visitors.line.join("a", "ahead") as place, place.turn():
        turns.pause()
        visitors.work("b", "exact", 1)
        turns.pause()
    visitors.finish()
    assert visitors.drawn == ["b"]


def test_the_line_is_bounded_for_all_and_for_each_and_tells_how_many_others_wait():
    visitors = Visitors(exact=(3, 2), preview=(1, 1))
    with visitors.held():
        visitors.work("a", "exact", 1)
        with pytest.raises(Busy) as refused, visitors.line.join("b", "exact"), visitors.line.join("b", "exact"):
            pass
        assert refused.value.waiting == 2, "the one served and the one that waits"
        visitors.work("b", "preview", 1)
        with pytest.raises(Busy), visitors.line.join("c", "preview"):
            pass
    visitors.finish()
    with visitors.line.join("a", "exact"), visitors.line.join("a", "exact"):
        with pytest.raises(Busy), visitors.line.join("a", "exact"):
            pass
        with visitors.line.join("a", "file"), visitors.line.join("a", "preview"):
            pass


def test_an_exact_view_that_would_wait_for_long_is_refused(monkeypatch):
    monkeypatch.setattr(lines, "PATIENCE", 0.01)
    monkeypatch.setattr(lines, "_LOOK_SECONDS", 0.001)
    line = Line({})
    with Held(line), pytest.raises(Busy), line.join("a", "exact") as place, place.turn():
        pass
    assert not line.length


def test_a_busy_server_says_so_and_still_lets_visitors_in(examples, uploads):
    site = Site(examples, uploads, Limits(views=(0, 0)))
    visit = arrive(site)
    assert ask(render_view, site, view(visit)) == {"busy": True, "waiting": 0}
    assert "image" in ask(render_view, site, view(visit, kind="preview"))
    assert "token" in ask(begin, site, {}) and "image" in ask(open_example, site, {**visit, "name": "two.png"})


def test_a_large_preview_is_in_no_hurry(examples, uploads):
    site = Site(examples, uploads, Limits(preview_pixels=100, views=(0, 0)))
    visit = arrive(site)
    assert "image" in ask(render_view, site, view(visit, kind="preview", window=[0, 0, 10, 10]))
    assert "busy" in ask(render_view, site, view(visit, kind="preview", window=[0, 0, 10, 11]))


def test_small_tiles_in_turn_show_what_one_does(examples):
    model, renderer = clit.load("clit-light"), clit.Renderer()
    whole = renderer.render(model, examples / "one.png", scale=6)
    line, slow = Line({}), Pace()
    slow.note(model, model.view((30, 40), (180, 240)), "fast", 10.0)  # as slow as that: the smallest tiles
    with line.join("a", "exact") as place:
        alone = renderer.in_turn(place.turn, Pace(), place.is_shared)
        assert np.array_equal(alone.render(model, examples / "one.png", scale=6), whole), "nobody else is here"
    with line.join("b", "exact"), line.join("a", "exact") as place:
        heard = []
        shared = renderer.in_turn(place.turn, slow, place.is_shared)
        parts = shared.render(model, examples / "one.png", scale=6, progress=heard.append)
    assert np.abs(parts - whole).max() < 1e-5
    assert len(heard) > 1 and heard == sorted(heard) and heard[-1] == 1


def test_two_who_need_the_same_features_encode_them_once(examples, monkeypatch):
    monkeypatch.setattr(lines, "QUANTUM", 0.0)
    monkeypatch.setattr(lines, "RUN", 0.0)  # they take turns at every layer
    monkeypatch.setattr(lines, "ALIKE", 0.0)
    model, renderer, encoded, parts = clit.load("lit-light"), clit.Renderer(), [], []
    encode = SRModel.encode_part

    def record(self, *args):
        encoded.append(self)
        until(lambda: line.length == 1 or len(encoded) > 1)  # the other one wants its turn
        return encode(self, *args)

    monkeypatch.setattr(SRModel, "encode_part", record)
    line = Line({})

    def draw(name):
        with line.join(name, "exact") as place:
            there = renderer.in_turn(place.turn, Pace(), place.is_shared)
            parts.append(there.render(model, examples / "one.png", scale=2))

    threads = [threading.Thread(target=draw, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(parts) == 2 and len(encoded) == 1
    assert np.array_equal(*parts)
