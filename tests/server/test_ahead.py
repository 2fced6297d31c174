"""Examples are encoded while nobody asks for anything."""

from __future__ import annotations

import threading

import pytest

from clit.networks.model import SRModel
from clit.ui.ahead import ExamplesAhead
from clit.ui.questions import ask, open_example, render_view
from clit.ui.site import Site
from server.visitor import arrive, view


@pytest.fixture
def encoded(monkeypatch):
    """A list that gets the shape of every part that is encoded."""
    parts, encode = [], SRModel.encode_part

    def record(model, x, part):
        parts.append(tuple(x.shape[-2:]))
        return encode(model, x, part)

    monkeypatch.setattr(SRModel, "encode_part", record)
    return parts


@pytest.fixture
def site(examples, uploads):
    return Site(examples, uploads)


def test_who_opens_an_example_need_not_wait_for_its_encoding(site, encoded):
    ahead = ExamplesAhead(site)
    while ahead.left:
        ahead.encode_next()
    assert set(encoded) == {(30, 40), (20, 24)}
    encoded.clear()
    visit = arrive(site)
    for name, window in (("one.png", [0, 0, 120, 160]), ("two.png", [0, 0, 80, 96])):
        opened = ask(open_example, site, {**visit, "name": name})
        visit = {**visit, "picture": opened["id"]}
        for model in ("liif-light", "clit-light"):
            assert "image" in ask(render_view, site, view(visit, model=model, scale=4, window=window))
    assert not encoded


def test_encoding_ahead_makes_way_and_goes_on_later(site, encoded):
    ahead = ExamplesAhead(site)
    with site.line.join("somebody", "exact") as place, place.turn():
        ahead.encode_next()
    assert len(ahead.left) == 2 and not encoded
    ahead.encode_next()
    assert len(ahead.left) == 1 and set(encoded) == {(30, 40)}


def test_encoding_ahead_ends_once_somebody_waits(site, monkeypatch):
    begun, draws = threading.Event(), []

    def draw():
        begun.wait(20)
        with site.line.join("somebody", "exact") as place, place.turn():
            draws.append(len(ahead.left))

    encode = SRModel.encode_part

    def begin(model, x, part):
        begun.set()
        while not site.line.length:
            pass
        return encode(model, x, part)

    monkeypatch.setattr(SRModel, "encode_part", begin)
    ahead = ExamplesAhead(site)
    other = threading.Thread(target=draw)
    other.start()
    ahead.encode_next()
    other.join(20)
    assert draws == [2] and len(ahead.left) == 2, "what was begun is not done yet"


def test_what_is_encoded_ahead_makes_no_tiles_small(site):
    ExamplesAhead(site).encode_next()
    with site.line.join("somebody", "exact") as place:
        assert not place.is_shared()
