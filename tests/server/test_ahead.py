"""Examples are encoded while nobody asks for anything."""

from __future__ import annotations

import threading

import pytest

from clit.networks.model import SRModel
from clit.ui.ahead import encode_next
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
    while site.to_encode:
        encode_next(site)
    assert set(encoded) == {(30, 40), (20, 24)}
    encoded.clear()
    visit = arrive(site)
    for name, window in (("one.png", [0, 0, 120, 160]), ("two.png", [0, 0, 80, 96])):
        opened = ask(open_example, site, {**visit, "name": name})
        visit = {**visit, "picture": opened["id"]}
        for model in ("liif-light", "clit-light"):
            assert "image" in ask(render_view, site, view(visit, model=model, scale=4, window=window))
    assert not encoded


def test_every_machine_encodes_every_example_whoever_comes_meanwhile(examples, uploads, monkeypatch):
    from clit.ui.lines import Lines

    site, machines = Site(examples, uploads), []
    site.line = Lines({}, 3)
    monkeypatch.setattr(site, "render_at", lambda place: machines.append(place.machine) or site.renderer)
    names = site.examples.names()
    site.to_encode.clear()
    site.to_encode.extend((machine, name) for name in names for machine in range(3))
    encode_next(site)
    with site.line.join("somebody", "exact"):
        while site.to_encode:
            encode_next(site)
    assert list(dict.fromkeys(machines)) == [0, 1, 2] and len(machines) % (3 * len(names)) == 0
    assert {machines.count(machine) for machine in range(3)} == {len(machines) // 3}


def test_an_example_that_cannot_be_read_is_logged_and_the_others_are_encoded(site, encoded, monkeypatch, caplog):
    opened = site.examples.open

    def fail(name):
        if name == "one.png":
            raise OSError("no such disk")
        return opened(name)

    monkeypatch.setattr(site.examples, "open", fail)
    while site.to_encode:
        encode_next(site)
    assert set(encoded) == {(20, 24)}
    assert "the example one.png could not be encoded ahead" in caplog.text


def test_encoding_ahead_makes_way_and_goes_on_later(site, encoded):
    with site.line.join("somebody", "exact") as place, place.turn():
        encode_next(site)
    assert len(site.to_encode) == 2 and not encoded
    encode_next(site)
    assert len(site.to_encode) == 1 and set(encoded) == {(30, 40)}


def test_encoding_ahead_ends_once_somebody_waits(site, monkeypatch):
    begun, draws = threading.Event(), []

    def draw():
        begun.wait(20)
        with site.line.join("somebody", "exact") as place, place.turn():
            draws.append(len(site.to_encode))

    encode = SRModel.encode_part

    def begin(model, x, part):
        begun.set()
        while not site.line.length:
            pass
        return encode(model, x, part)

    monkeypatch.setattr(SRModel, "encode_part", begin)
    other = threading.Thread(target=draw)
    other.start()
    encode_next(site)
    other.join(20)
    assert draws == [2] and len(site.to_encode) == 2, "what was begun is not done yet"


def test_what_is_encoded_ahead_makes_no_tiles_small(site):
    encode_next(site)
    with site.line.join("somebody", "exact") as place:
        assert not place.is_shared()
