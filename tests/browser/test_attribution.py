"""Which input pixels a picked pixel comes from: in the dock, over the input, and for programs and assistants."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import clit


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

    tools, answer = asyncio.run(visit())
    assert {tool.name for tool in tools} == {"upscale", "attention", "attribution"}
    for tool in tools:
        assert tool.description and all(each.get("description") for each in tool.inputSchema["properties"].values())
    numbers, figure, *_ = answer.content
    wanted = clit.attribute(models["lit-light"], photograph, (30, 40), 2.5, steps=4)
    diffusion = float(re.search(r"'diffusion': ([\d.]+)", numbers.text)[1])
    assert diffusion == pytest.approx(wanted.diffusion) and figure.type == "image" and not answer.isError


async def _ignore(progress, total, message) -> None:
    """An assistant that shows no progress."""
