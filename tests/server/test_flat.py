"""Visitors come and go, and nothing stays of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clit.ui.questions import ask, begin, inspect, open_truth, open_upload, render_view
from clit.ui.site import Site
from server.visitor import view


def held(site: Site) -> dict:
    """What a site keeps: files, their bytes, sessions, and bytes of memory by kind."""
    files = sum(path.is_file() for path in site.uploads.rglob("*"))
    return {"files": files, "disk": site.disk.count_bytes(), "visits": site.count_visits(), **site.count_bytes()}


def bring(site: Site, seed: int, token: str | None = None) -> dict:
    """A visit with a picture of its own open, a new one if there is no token."""
    rgb = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    path = site.disk.keep(io.BytesIO(file.getvalue()), len(file.getvalue()))
    token = token or ask(begin, site, {})["token"]
    picture = ask(open_upload, site, {"token": token, "path": str(path), "name": "own.png"})
    return {"token": token, "picture": picture["id"]}


def test_nothing_stays_of_thirty_visits(examples, tmp_path):
    site = Site(examples, tmp_path)
    site.examples.describe()  # they are read once, and stay
    before = held(site)
    for number in range(30):
        visit = bring(site, number)
        for model in ("lit-light", "clit-light"):
            assert "image" in ask(render_view, site, view(visit, model=model))
        assert "looks" in ask(inspect, site, {**visit, "models": ["lit-light"], "scale": 3, "pixel": [40, 50]})
        assert held(site)["features"] > 0 and held(site)["pictures"] > 0
        if number % 3 == 0:
            visit["picture"] = ask(open_truth, site, {**visit, "scale": 2})["id"]
            assert "image" in ask(render_view, site, view(visit, window=[0, 0, 20, 30], scale=2))
        site.end(visit["token"])
    assert held(site) == before


@pytest.mark.parametrize("others", [False, True])
def test_another_picture_takes_the_place_of_the_one_before(examples, tmp_path, others):
    site = Site(examples, tmp_path)
    if others:
        assert "image" in ask(render_view, site, view(bring(site, 50)))
    first = bring(site, 1)
    assert "image" in ask(render_view, site, view(first))
    once = held(site)
    assert "image" in ask(render_view, site, view(bring(site, 2, first["token"])))
    twice = held(site)
    assert {**twice, "answers": 0} == {**once, "answers": 0}, "answers are as long as their pictures compress"
