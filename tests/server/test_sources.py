"""What a page of a view computes attention from: enough for the server's own answers, and not too much."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch

import clit
from clit.geometry import Region, Window
from clit.ui.limits import Limits
from clit.ui.questions import ask, view_sources
from clit.ui.site import Site
from server.visitor import arrive

WINDOW = [20, 30, 40, 50]


def unpack(text: str, dtype: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


@pytest.mark.parametrize("name, scale, chain", [("lit-light", 2.7, "published"), ("clit-light", 20, "balanced")])
def test_sources_hold_what_attention_reads(site, visit, examples, name, scale, chain):
    """The features of the region and the convolutions of every stage, put back into the model, give its weights."""
    asked = {**visit, "models": [name], "scale": scale, "chain": chain, "window": WINDOW}
    source = ask(view_sources, site, asked)["sources"][name]
    model, picture = clit.load(name), examples / "one.png"
    view = model.view((30, 40), (round(30 * scale), round(40 * scale)), Window(*WINDOW), chain)
    top, left, rows, columns = source["region"]
    region = Region(top, left, top + rows, left + columns)
    assert region == view.clip(model.decoder.reads_embedded(view))
    z = unpack(source["z"], "<f2", rows, columns, 16)
    assert [stage["grid"] for stage in source["stages"]] == [list(grid) for grid in view.grids()]
    for stage, own in zip(source["stages"], model.decoder.stages, strict=False):
        for part, conv in (("query", own.query_conv), ("key", own.key_conv)):
            weight = torch.from_numpy(unpack(stage[part], "<f2", 3, 3, 16, 16).astype(np.float32))
            assert (weight.permute(3, 2, 0, 1) - conv.weight).abs().max() <= 1e-3
            with torch.no_grad():
                conv.weight.copy_(weight.permute(3, 2, 0, 1))
                conv.bias.copy_(torch.from_numpy(unpack(stage[f"{part}_bias"], "<f4", 16).copy()))
    kept = torch.from_numpy(z.astype(np.float32))[None]

    def embed_part(features, view, wanted):
        inside = view.clip(wanted)
        assert region.contains(inside), "the page has all that the view reads"
        part = kept[:, inside.top - top : inside.bottom - top, inside.left - left : inside.right - left]
        return torch.nn.functional.pad(
            part,
            (0, 0, inside.left - wanted.left, wanted.right - inside.right)
            + (inside.top - wanted.top, wanted.bottom - inside.bottom),
        )

    model.decoder.embed_part = embed_part
    expected = clit.attend(clit.load(name), picture, pixel=(33, 44), scale=scale, chain=chain)
    found = clit.attend(model, picture, pixel=(33, 44), scale=scale, chain=chain)
    for one, other in zip(found.stages, expected.stages, strict=True):
        assert 0 < np.abs(one.weights - other.weights).max() < 2e-3


@pytest.mark.parametrize(
    "wrong",
    [{"models": ["liif-light"]}, {"models": []}, {"window": [0, 0, 0, 0]}, {"window": None}, {"scale": 99}],
)
def test_bad_questions_for_sources_get_one_sentence(site, visit, wrong):
    answer = ask(view_sources, site, {**visit, "models": ["lit-light"], "scale": 2, "window": WINDOW, **wrong})
    assert set(answer) == {"error"}


def test_a_view_too_large_for_a_page_is_refused(examples, uploads):
    site = Site(examples, uploads, Limits(page_bytes=60_000))
    asked = {**arrive(site), "models": ["lit-light", "clit-light"], "scale": 1, "window": [0, 0, 30, 40]}
    answer = ask(view_sources, site, asked)
    assert answer["error"].startswith("A page of this view would have more than 0.1 MB, and 0.06 are allowed")
    small = {**asked, "models": ["lit-light"], "scale": 30, "window": [0, 0, 9, 9]}
    assert set(ask(view_sources, site, small)) == {"sources"}
