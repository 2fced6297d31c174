"""The map that is painted on the pictures: under the pointer, held, hidden; its colours and its units."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import expect

import clit
from browser.expected import MODELS
from clit.pictures.colour_maps import viridis

# From now on keeps what was painted over LIT's pane, one after the other.
NOTE_PAINTED = """() => {
  const overlay = document.querySelector('.pane[data-model=lit-light] .overlay');
  window.seen = [];
  const note = () => overlay.dataset.painted && seen.push(overlay.dataset.painted);
  new MutationObserver(note).observe(overlay, { attributes: true, attributeFilter: ['data-painted'] });
}"""
PAINTED = """(pane) => [...document.querySelectorAll('.pane')[pane].querySelectorAll('.painted [fill-opacity]')]
  .map((each) => getComputedStyle(each)).map((style) => [style.fill, style.fillOpacity])"""
COLOUR = re.compile(r"rgb\((\d+), (\d+), (\d+)\)")


def pixel_under(viewer, y: float, x: float) -> tuple[int, int]:
    """The output pixel at a place of every pane, at magnification 1."""
    top, left = viewer.canvas("lit-light").corner
    return int(y) - top, int(x) - left


def painted(viewer, pane: int) -> np.ndarray:
    """What is painted over a pane, (n, 4): colour in 0..255, and opacity."""
    viewer.wait_for_next_frame()
    found = viewer.frame.evaluate(PAINTED, pane)
    return np.array([[*map(int, COLOUR.fullmatch(fill).groups()), float(opacity)] for fill, opacity in found])


def test_the_map_follows_the_pointer_over_every_pane(viewer, photograph, models):
    viewer.choose(0, "input")
    for y, x in ((60, 90), (83, 71)):
        viewer.point(1, y, x)
        pixel = pixel_under(viewer, y, x)
        viewer.wait_until_painted(pixel, "input", *MODELS)
    assert viewer.picked() is None
    expect(viewer.held).to_have_text("under the pointer")
    expect(viewer.let_go).to_be_hidden()
    expect(viewer.mean_maps).to_have_count(3)  # LIIF, LIT, and the one stage of CLIT at x4
    chosen = {name: clit.attend(model, photograph, pixel=pixel, scale=4).stages[0] for name, model in models.items()}
    expect(viewer.painted_squares(1)).to_have_count(4)  # LIIF's
    for pane, method in ((0, "lit-light"), (2, "lit-light"), (3, "clit-light")):
        weights = chosen[method].weights.mean(0).flatten()
        opacity = np.minimum(0.85, 1.35 * np.sqrt(weights))
        assert np.allclose(painted(viewer, pane)[:, 3], opacity, atol=2e-3), method
    viewer.head_maps.nth(1).hover()  # what lies on the pictures stays while the maps are looked at
    viewer.head_maps.nth(1).click()
    expect(viewer.head_maps.nth(1)).to_have_attribute("aria-pressed", "true")
    weights = chosen["lit-light"].weights[1].flatten()
    viewer.wait_for_next_frame()
    assert np.allclose(painted(viewer, 2)[:, 3], np.minimum(0.85, 1.35 * np.sqrt(weights)), atol=2e-3)
    viewer.page.mouse.move(2, 2)
    viewer.wait("!document.querySelector('.overlay[data-painted]')")


def test_an_answer_about_an_older_pixel_is_not_painted(new_viewer, open_photograph):
    viewer = new_viewer()
    viewer.delay_answers()
    open_photograph(viewer)
    viewer.point(2, 40, 50)
    viewer.wait_until_painted(pixel_under(viewer, 40, 50), "lit-light")
    viewer.wait_until_drawn_ahead()
    viewer.frame.evaluate(NOTE_PAINTED)
    viewer.slow_down()  # the earlier a question was asked, the later its answer comes
    asked = viewer.answers()["asked"]
    viewer.point(2, 60, 70)
    viewer.wait_for_questions(asked + 1)
    viewer.point(2, 80, 90)
    viewer.wait_for_questions(asked + 2)
    newest = pixel_under(viewer, 80, 90)
    viewer.wait_until_painted(newest, "lit-light")
    viewer.wait_for_late_answers()
    seen = viewer.frame.evaluate("seen")
    older = "{} {}".format(*pixel_under(viewer, 60, 70))
    assert seen[-1] == "{} {}".format(*newest)
    assert older not in seen[seen.index(seen[-1]) :], "its answer came last"


def test_a_click_holds_arrows_walk_escape_lets_go_and_h_hides(viewer):
    viewer.point(2, 60, 90)
    pixel = pixel_under(viewer, 60, 90)
    viewer.wait_until_painted(pixel, *MODELS)
    viewer.pick(2, 60, 90)
    expect(viewer.held).to_have_text("held")
    assert viewer.picked() == pixel
    viewer.wait_until_painted(pixel, *MODELS)
    viewer.point(2, 80, 130)
    viewer.press("ArrowRight")
    viewer.wait_until_painted((pixel[0], pixel[1] + 1), *MODELS)  # the pointer is elsewhere
    viewer.page.keyboard.press("h")
    expect(viewer.painted_squares(2)).to_have_count(0)
    expect(viewer.stage_windows(2)).to_have_count(0)
    viewer.page.keyboard.press("H")
    expect(viewer.painted_squares(2)).to_have_count(49)
    viewer.page.keyboard.press("Escape")
    viewer.wait_until_painted(pixel_under(viewer, 80, 130), *MODELS)
    expect(viewer.held).to_have_text("under the pointer")
    viewer.page.mouse.down()
    viewer.page.mouse.move(2, 2)
    viewer.page.mouse.up()


def test_touch_has_no_pixel_under_a_pointer(new_viewer, url):
    viewer = new_viewer(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    viewer.open(url)
    viewer.wait_until_exact(8)  # the tower's
    viewer.tap(0, 200, 100)
    viewer.wait_for_looks("lit-light")
    assert viewer.picked() is not None
    viewer.wait_until_painted(viewer.picked(), "lit-light")
    viewer.let_go.click()
    expect(viewer.held).to_be_hidden()
    assert viewer.painted()["lit-light"] is None


def test_one_colour_scale_for_all_maps_or_each_its_own(viewer):
    viewer.pick(2, 60, 90)
    viewer.wait_for_looks(*MODELS)
    viewer.wait_until_painted(viewer.picked(), "lit-light")
    weights = np.array(viewer.look("lit-light")["answer"]["stages"][0]["weights"]).mean(0).flatten()
    expect(viewer.ruler_ticks).to_have_text(["0", "1/49", "1/4", "1"])
    tag = viewer.caption_of(viewer.mean_maps.nth(1))
    expect(tag).to_be_hidden()
    table = viridis(np.arange(256) / 255) * 255
    assert np.abs(painted(viewer, 2)[:, :3] - table[np.round(255 * np.sqrt(weights)).astype(int)]).max() <= 3
    viewer.open_more()
    viewer.each_scale.click()
    expect(viewer.each_scale).to_have_attribute("aria-pressed", "true")
    expect(viewer.ruler_ticks).to_have_text(["0", f"{weights.max():.3f}"])
    expect(tag).to_have_text(re.compile(f"max {weights.max():.3f}"))
    expect(tag).to_be_visible()
    own = table[np.round(255 * weights / weights.max()).astype(int)]
    assert np.abs(painted(viewer, 2)[:, :3] - own).max() <= 3


def test_a_flat_map_is_drawn_flat_and_says_so(viewer):
    viewer.set_scale(2.5)
    viewer.wait_until_exact(2.5)
    top, left = viewer.canvas("liif-light").corner
    viewer.pick(1, top + 32.5, left + 42.5)  # in the middle between four latents: 32.5 and 42.5 are odd times 2.5
    viewer.wait_for_looks("liif-light")
    assert viewer.picked() == (32, 42)
    expect(viewer.caption_of(viewer.mean_maps.nth(0))).to_have_text(re.compile("^all 0.250"))
    expect(viewer.caption_of(viewer.mean_maps.nth(0))).to_be_visible()
    viewer.mean_maps.nth(0).click()
    expect(viewer.large_title).to_have_text(re.compile("4 neighbours, all alike$"))
    assert len({tuple(square) for square in painted(viewer, 1)[:, :3]}) == 1
    fills = viewer.large_map.locator("[fill]").evaluate_all("(all) => all.map((each) => each.getAttribute('fill'))")
    assert len(fills) == 4 and len(set(fills)) == 1
    expect(viewer.caption_of(viewer.mean_maps.nth(1))).to_have_text(re.compile("^max 0[.]"))


def test_influence_is_told_in_255ths(viewer):
    viewer.pick(2, 60, 90)
    viewer.wait_for_looks("lit-light")
    viewer.ask_maps("influence")
    expect(viewer.large_title).to_have_text(re.compile("LIT, influence"))
    expect(viewer.ruler_ticks).to_have_text(["0", "5", "64", "255"])
    influence = np.array(viewer.look("lit-light")["answer"]["stages"][0]["influence"]).flatten()
    numbers = [float(number) for number in viewer.enlarged_numbers.all_text_contents()]
    assert influence.max() > 0.001 and np.allclose(numbers, 255 * influence, atol=0.051)
    expect(viewer.frame.locator(".map-note")).to_have_text(re.compile("in 255ths of full range"))
