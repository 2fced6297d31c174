"""The cascade stage by stage, with its factors as published and in equal parts."""

from __future__ import annotations

from playwright.sync_api import expect

from browser.expected import assert_equal_upscale


def test_cascade_stage_by_stage_and_panes_by_digits(viewer, photograph, models):
    viewer.press("2")
    expect(viewer.shown_panes).to_have_count(2)
    viewer.open_more()
    assert viewer.cascade.is_hidden(), "no pane shows a cascade"
    viewer.choose(0, "clit-light@1")
    viewer.choose(1, "clit-light")
    viewer.open_more()
    viewer.chain.select_option("balanced")
    viewer.set_scale(9)
    viewer.wait_until_exact(9)
    for name, stages in (("clit-light@1", 1), ("clit-light", None)):
        options = {"scale": 9, "chain": "balanced", "stages": stages}
        assert_equal_upscale(viewer.rendering(name), models["clit-light"], photograph, **options)
    assert viewer.factors.inner_text() == "×3.00 · ×3.00"
    viewer.press("4")
    expect(viewer.shown_panes).to_have_count(4)
    viewer.wait_until_exact()
    assert viewer.passes()["lit-light"] == "exact"
