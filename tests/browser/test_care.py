"""Wrong scales and files, the guided start, keyboard alone, a phone's width in the dark, and what axe finds."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect


def test_wrong_scale_gets_one_sentence(viewer):
    for typed in ("0", "-1", "NaN", "1000", "four"):
        viewer.set_scale(typed)
        assert viewer.field_error.inner_text() == f"The scale is {typed}, but must be a number from 1 to 30."
        assert viewer.scale() == 4
    viewer.set_scale(5)
    assert viewer.field_error.is_hidden()


def test_unreadable_upload_gets_one_sentence(viewer, tmp_path):
    (tmp_path / "notes.png").write_text("these are words")
    viewer.upload(tmp_path / "notes.png")
    expect(viewer.notice).to_be_visible()
    notice = viewer.notice_text.inner_text()
    assert notice.startswith("notes.png is not") and notice.count(".") <= 2
    assert viewer.picture()["width"] == 96, "the picture before it stays"
    viewer.notice_close.click()
    expect(viewer.notice).to_be_hidden()


def test_guided_start_is_followed_and_dismissed_for_good(viewer):
    expect(viewer.guide).to_be_visible()
    viewer.guide_act.click()
    viewer.wait_for_view("scale === 12")
    viewer.guide_act.click()
    viewer.wait_for_view("magnification === 2")
    viewer.guide_act.click()
    viewer.wait_for_looks("lit-light")
    expect(viewer.guided_inspector).to_have_count(1)
    viewer.guide_end.click()
    expect(viewer.guide).to_be_hidden()
    expect(viewer.guided).to_have_count(0)
    viewer.open(viewer.link().partition("#")[0])
    assert viewer.guide.is_hidden()
    viewer.guide_again.click()
    expect(viewer.guide).to_be_visible()
    expect(viewer.guide_step).to_have_text("1 of 4")
    viewer.set_scale(7)  # done by hand, a step is done too
    expect(viewer.guide_step).to_have_text("2 of 4")
    viewer.press("ArrowRight")
    expect(viewer.guide_step).to_have_text("3 of 4")
    viewer.canvases.last.click()
    expect(viewer.guide_step).to_have_text("4 of 4")


def test_by_keyboard_alone(viewer):
    keyboard = viewer.page.keyboard
    viewer.heading.click()
    reached = []
    for _ in range(90):
        keyboard.press("Tab")
        reached.append(viewer.focused())
        if reached[-1] == "make-start":
            break
    wanted = {
        "example", "upload-input", "truth-toggle", "scale-number", "scale-slider", "magnify-in", "fit", "pane-count",
        "wipe-toggle", "full-screen", "panes", "method", "paint-what", "chain", "make-kind", "make-model", "make-start",
    }  # fmt: skip
    assert wanted <= set(reached)
    for _ in range(len(reached) - 1 - reached.index("panes")):
        keyboard.press("Shift+Tab")
    assert viewer.focused() == "panes"
    for key in ("+", "ArrowLeft", ">", "Enter", "p"):
        keyboard.press(key)
    viewer.wait_for_looks("lit-light")
    viewer.wait_for_pins(1)
    assert viewer.scale() == 4.2
    keyboard.press("Escape")
    assert viewer.picked() is None


def test_phone_width_in_the_dark(viewer):
    viewer.page.emulate_media(color_scheme="dark")
    viewer.page.set_viewport_size({"width": 390, "height": 844})
    viewer.wait_for_view("pane.width < 190")
    viewer.wait_until_exact(4)
    assert viewer.content_width() <= 390
    viewer.pick(3, 20, 20)
    viewer.wait_for_looks("clit-light")
    assert viewer.content_width() <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(viewer, scheme, width):
    viewer.page.emulate_media(color_scheme=scheme)
    viewer.page.set_viewport_size({"width": width, "height": 900})
    viewer.wait_for_view(f"pane.width < {width / 2}")
    viewer.wait_until_exact(4)
    viewer.press("Enter")
    viewer.wait_for_looks("clit-light")
    viewer.page.keyboard.press("p")
    viewer.paint.select_option("direction")
    viewer.pin_rows.first.wait_for()
    found = Axe().run(viewer.page).response["violations"]
    viewer.set_scale(3)
    viewer.switch_truth(True)
    viewer.wait_for_scores(4)
    found += Axe().run(viewer.page).response["violations"]
    grave = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert not grave
