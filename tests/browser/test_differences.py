"""Differences made visible: blink."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image
from playwright.sync_api import expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
TURNS = 1500  # ms: two turns and more

# From now on counts how often another pane is seen.
COUNT_TURNS = """() => {
  window.turns = 0;
  const note = ([{ target, oldValue }]) => { turns += target.dataset.seen !== oldValue; };
  const options = { attributeFilter: ['data-seen'], attributeOldValue: true };
  new MutationObserver(note).observe(document.querySelector('.pane'), options);
}"""


def turns_meanwhile(viewer) -> int:
    before = viewer.frame.evaluate("turns")
    viewer.page.wait_for_timeout(TURNS)
    return viewer.frame.evaluate("turns") - before


def seen_pixels(viewer) -> np.ndarray:
    """What a visitor sees where the first pane is, below its caption."""
    shot = viewer.page.screenshot(clip=viewer.wiped_area().bounding_box())
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def test_two_methods_in_turn_in_one_place(new_viewer, open_photograph):
    viewer = open_photograph(new_viewer())
    viewer.choose(0, "bicubic")
    viewer.set_scale(12)
    viewer.frame.evaluate(COUNT_TURNS)
    viewer.blink_toggle.click()
    viewer.wait_for_view("pane.width > 800")
    viewer.wait_until_exact(12)
    assert set(viewer.passes()) == {"bicubic", "liif-light"}
    for seen, name in ((1, "liif-light"), (0, "bicubic"), (1, "liif-light")):
        viewer.wait_for_blink(seen)
        viewer.page.keyboard.down(" ")
        held = viewer.blink()
        assert turns_meanwhile(viewer) == 0, "Space holds the one that is seen"
        rgba = viewer.canvas(("bicubic", "liif-light")[held]).rgba[60:400, 100:-100]
        drawn = rgba[..., 3] == 255
        assert drawn.mean() > 0.5
        part = seen_pixels(viewer)[60:400, 100:-100]
        assert np.abs(part[drawn] - rgba[..., :3][drawn]).max() <= 1, name
        expect(viewer.panes.nth(held).locator("figcaption")).to_have_css("background-color", "rgb(255, 255, 255)")
        expect(viewer.panes.nth(1 - held).locator("figcaption")).to_have_css("background-color", re.compile("^rgba"))
        viewer.page.keyboard.up(" ")
        viewer.wait_for_blink(1 - held)
    assert viewer.picked() is None and viewer.scale() == 12
    viewer.wait_for_link("blink=yes", "panes=bicubic,liif-light")
    other = new_viewer()
    other.open(viewer.link())
    other.wait_for_blink(1)
    other.wait_for_blink(0)
    viewer.press("b")
    expect(viewer.shown_panes).to_have_count(4)
    assert viewer.blink() is None


def test_nothing_turns_by_itself_where_motion_is_kept_low(new_viewer, open_photograph):
    viewer = open_photograph(new_viewer(reduced_motion="reduce"))
    viewer.frame.evaluate(COUNT_TURNS)
    viewer.press("B")
    viewer.wait_for_blink(0)
    expect(viewer.blink_note).to_have_text("Hold Space to see the second")
    assert turns_meanwhile(viewer) <= 1, "the first is seen from the beginning"
    assert viewer.blink() == 0
    viewer.page.keyboard.down(" ")
    viewer.wait_for_blink(1)
    assert turns_meanwhile(viewer) == 0
    viewer.page.keyboard.up(" ")
    viewer.wait_for_blink(0)


def test_a_finger_holds_the_blink_and_picks_nothing(new_viewer, url):
    viewer = new_viewer(**PHONE)
    viewer.open(url)
    viewer.guide_end.click()
    viewer.wait_until_exact()
    viewer.frame.evaluate(COUNT_TURNS)
    viewer.blink_toggle.tap()
    for _ in range(2):
        viewer.wait_for_blink(1)
        viewer.wait_for_blink(0)
    lift = viewer.hold_finger(200, 100)
    viewer.wait_for_next_frame()
    held = viewer.blink()
    assert turns_meanwhile(viewer) == 0
    lift()
    viewer.wait_for_blink(1 - held)
    assert viewer.picked() is None, "a finger that holds is no tap"
    viewer.tap(1, 200, 100)
    viewer.wait_for_looks("lit-light")
