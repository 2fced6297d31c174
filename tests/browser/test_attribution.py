"""Which input pixels a picked pixel comes from: in the dock, over the input, and for programs and assistants."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from playwright.sync_api import expect

import clit
from browser.expected import MODELS
from clit.rendering.agreement import correlate_ranks
from clit.rendering.attribution import Attribution


def assert_equal_attribution(viewer, method: str, wanted: Attribution) -> None:
    found = viewer.trace(method)["map"]
    region = wanted.region
    sides = {"top": region.top, "left": region.left, "height": region.bottom - region.top}
    assert found["region"] == {**sides, "width": region.right - region.left} and found["steps"] == wanted.steps
    sums = wanted.map[region.slices()].sum(-1)
    values = np.reshape(found["values"], sums.shape)
    assert np.abs(values - sums).max() <= 1e-5 * np.abs(sums).max(), "a sum may be taken in another order"
    assert found["diffusion"] == pytest.approx(wanted.diffusion, abs=1e-3)
    assert found["gap"] == pytest.approx(wanted.gap, abs=1e-5)


def test_maps_are_what_attribute_computes(viewer, photograph, models):
    viewer.choose(0, "input")
    viewer.traces_tab.click()
    expect(viewer.traces).to_contain_text("Click a pixel in any pane")
    viewer.pick(2, 60, 50)
    expect(viewer.traces_tab).to_have_attribute("aria-selected", "true")
    viewer.wait_for_trace("lit-light", "map")
    for method in MODELS:
        viewer.wait_for_trace(method)
    expect(viewer.trace_stop).to_be_hidden()
    picked = viewer.picked()
    expect(viewer.traced).to_have_text(f"Row {picked[0]}, column {picked[1]}")
    for method, model in models.items():
        wanted = clit.attribute(model, photograph, picked, 4)
        assert_equal_attribution(viewer, method, wanted)
        if model.kind == "attention":
            agreement = correlate_ranks(wanted, clit.attend(model, photograph, picked, 4))
            assert viewer.trace(method)["map"]["agreement"] == pytest.approx(agreement, abs=1e-3)
    expect(viewer.trace_maps).to_have_count(3)
    expect(viewer.trace_maps.nth(1)).to_have_attribute("aria-pressed", "true")  # LIT is painted
    expect(viewer.trace_agreement).to_contain_text(f"{viewer.trace('lit-light')['map']['agreement']:.2f}")
    found = Axe().run(viewer.page).response["violations"]
    assert not [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]

    expect(viewer.painted_trace(0)).to_have_count(1)
    before = viewer.painted_trace(0).get_attribute("href")
    viewer.trace_maps.first.focus()
    viewer.page.keyboard.press("Enter")
    expect(viewer.trace_maps.first).to_have_attribute("aria-pressed", "true")
    expect(viewer.trace_maps.first).to_be_focused()
    expect(viewer.painted_trace(0)).not_to_have_attribute("href", before)
    viewer.press("h")
    expect(viewer.painted_trace(0)).to_have_count(0)

    viewer.objective("colour").click()
    viewer.wait_for_trace("liif-light")
    assert_equal_attribution(
        viewer, "liif-light", clit.attribute(models["liif-light"], photograph, picked, 4, objective="colour")
    )


def test_it_stops_goes_on_and_begins_anew_with_another_pixel(viewer, photograph, models):
    viewer.traces_tab.click()
    viewer.pick(3, 80, 90)
    expect(viewer.trace_at).to_have_text(re.compile(r"LIT: \d+ of \d+ steps"))
    viewer.trace_stop.click()
    expect(viewer.trace_at).to_have_text(re.compile(r"Stopped[.] LIT: \d+ of \d+ steps|Stopped[.]"))
    stopped = viewer.trace("clit-light")
    viewer.page.wait_for_timeout(700)
    assert viewer.trace("clit-light") == stopped, "nothing is asked after a stop"
    first = viewer.picked()
    viewer.trace_stop.click()  # and on
    viewer.wait_for_trace("clit-light")
    assert_equal_attribution(viewer, "clit-light", clit.attribute(models["clit-light"], photograph, first, 4))
    viewer.press("ArrowRight")
    assert viewer.trace("lit-light") is None, "no older pixel's map is shown"
    viewer.wait_for_trace("lit-light")
    picked = viewer.picked()
    assert picked == (first[0], first[1] + 1)
    assert_equal_attribution(viewer, "lit-light", clit.attribute(models["lit-light"], photograph, picked, 4))


def test_programs_get_numbers_a_figure_and_the_map(url, photograph, models):
    client = Client(url, verbose=False)
    asked = {"row": 30, "column": 40, "model": "lit-light", "scale": 2.5, "objective": "colour", "steps": 8}
    found, figure, numbers = client.predict(handle_file(str(photograph)), **asked, api_name="/attribution")
    wanted = clit.attribute(models["lit-light"], photograph, (30, 40), 2.5, objective="colour", steps=8)
    assert found["steps"] == wanted.steps and found["objective"] == "colour" and "map" not in found
    assert found["diffusion"] == pytest.approx(wanted.diffusion) and found["gap"] == pytest.approx(wanted.gap, abs=1e-6)
    with open(numbers) as file:
        assert np.allclose(json.load(file)["map"], wanted.map[wanted.region.slices()], atol=1e-7)
    assert open(figure, "rb").read(4) == b"\x89PNG"
    for wrong, message in (({"objective": "edges"}, "must be one of texture, colour"), ({"row": 9999}, "The pixel is")):
        with pytest.raises(AppError, match=message):
            client.predict(handle_file(str(photograph)), **(asked | wrong), api_name="/attribution")


def test_assistants_find_tools_that_explain_themselves(url, photograph, models):
    picture = "data:image/jpeg;base64," + base64.b64encode(photograph.read_bytes()).decode()

    async def visit():
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            asked = {"image": picture, "row": 30, "column": 40, "scale": 2.5, "steps": 4}
            return tools, await session.call_tool("attribution", asked, progress_callback=_ignore)

    with ThreadPoolExecutor() as elsewhere:  # Playwright's own loop may run in this thread
        tools, answer = elsewhere.submit(asyncio.run, visit()).result()
    assert {tool.name for tool in tools} == {"upscale", "attention", "attribution"}
    for tool in tools:
        assert tool.description and all(each.get("description") for each in tool.inputSchema["properties"].values())
    numbers, figure, *_ = answer.content
    wanted = clit.attribute(models["lit-light"], photograph, (30, 40), 2.5, steps=4)
    diffusion = float(re.search(r"'diffusion': ([\d.]+)", numbers.text)[1])
    assert diffusion == pytest.approx(wanted.diffusion) and figure.type == "image" and not answer.isError


async def _ignore(progress, total, message) -> None:
    """An assistant that shows no progress."""
