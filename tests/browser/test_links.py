"""A link that restores a view, and the endpoints for programs."""

from __future__ import annotations

import json
import time
import urllib.request

import numpy as np
import pytest
import tiny
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import expect
from visitors import Notes, Server

import clit
from browser.expected import LEVEL


def test_a_link_restores_the_view_exactly(viewer, new_viewer, url):
    viewer.choose(0, "input")
    viewer.examples.nth(1).click()
    viewer.wait_for_example()
    viewer.press("3")
    viewer.choose(1, "bicubic")
    viewer.choose(2, "clit-light@2")
    viewer.open_more()
    viewer.chain.select_option("balanced")
    viewer.set_scale(7.31)
    viewer.press("ArrowRight", ">")
    viewer.pick(2, 60, 50)
    viewer.wait_for_link("pixel=", "scale=7.31")
    viewer.wait_for_looks("clit-light")

    def shown(one):
        return one.picture(), one.picked(), one.canvas("clit-light@2").corner

    other = new_viewer(viewport=viewer.page.viewport_size)
    other.open(viewer.link())
    other.wait_for_looks("clit-light")
    assert shown(other) == shown(viewer)
    assert (other.scale(), other.magnification()) == (7.31, 2)
    methods = other.shown_methods.evaluate_all("all => all.map(each => each.value)")
    assert methods == ["input", "bicubic", "clit-light@2"]
    assert other.chain.input_value() == "balanced"
    strange = new_viewer()
    strange.open(f"{url}#example=no&scale=-4&panes=x,,y&pixel=1e9,NaN&chain=2&at=&paint=toString")
    strange.wait_for_view("scale === 1")
    expect(strange.notice_text).to_have_text("This link asks for what is not here: no, x, y. The rest is shown.")
    assert strange.notice.is_visible()


def test_programs_get_what_upscale_and_attend_compute(viewer, url, photograph, models):
    assert f'Client("{url}/")' in viewer.snippet.text_content()
    client = Client(url, verbose=False)
    file = handle_file(str(photograph))
    path = client.predict(file, "clit-light", 5.5, "balanced", api_name="/upscale")
    expected = clit.upscale(models["clit-light"], photograph, 5.5, chain="balanced")
    assert np.abs(np.asarray(Image.open(path)) / 255 - expected).max() <= LEVEL
    seen = client.predict(file, row=7, column=9, model="lit-light", scale=8, api_name="/attention")
    wanted = clit.attend(models["lit-light"], photograph, pixel=(7, 9), scale=8).stages[0]
    for name in ("weights", "content", "position", "influence"):
        assert np.allclose(seen["stages"][0][name], getattr(wanted, name), atol=1e-6)
    for wrong in ({"scale": 99}, {"scale": 4, "model": "none"}, {"scale": 4, "chain": "no"}):
        with pytest.raises(AppError, match="scale is 99|no trained weights|chain must be"):
            client.predict(file, **wrong, api_name="/upscale")
    with pytest.raises(AppError, match="did not arrive"):
        client.predict(None, api_name="/upscale")


def test_a_program_that_goes_away_is_out_of_the_line(url, tmp_path):
    def status():
        with urllib.request.urlopen(f"{url}/status") as answer:
            return json.load(answer)

    def wait(count):
        end = time.monotonic() + 60
        while status()["in_line"] != count:
            assert time.monotonic() < end
            time.sleep(0.05)

    wait(0)
    files = status()["files"]
    tiny.save_photograph(tmp_path / "large.jpg", 700, 1000)
    server = Server(url, Notes())
    path = server.upload((tmp_path / "large.jpg").read_bytes(), "large.jpg")
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = server.post("/gradio_api/call/upscale", {"data": [picture, "clit-light", 9.5, "published"]})["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/upscale/{event}"):
        wait(1)
    wait(0)
    assert status()["files"] == files, "it was stopped, not finished"
