"""Scales by mouse, keyboard, wheel and fingers; sizes; panes side by side, under one handle and in full screen."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from viewer import HOOK

import clit
from browser.expected import MODELS, assert_equal_upscale, assert_panes_equal_upscale


def test_scales_by_mouse_and_keyboard_show_what_upscale_computes(viewer, photograph, models):
    slider = viewer.scale_slider
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    start, end = box["x"] + 0.4 * box["width"], box["x"] + 0.25 * box["width"]
    viewer.drag((middle, start), (middle, end), steps=4)
    scale = viewer.scale()
    assert 2.2 < scale < 2.5, "a quarter of the way from 1 to 30 by factors is about 2.34"
    for _ in range(100):
        if scale >= 2.7:
            break
        slider.press("ArrowRight")
        before, scale = scale, viewer.scale()
        assert before < scale < before * 1.03, "fine steps"
    assert scale == 2.7
    viewer.wait_until_exact(2.7)
    assert_panes_equal_upscale(viewer, photograph, models, 2.7)
    slider.press("End")
    viewer.wait_until_exact(30)
    assert_panes_equal_upscale(viewer, photograph, models, 30)
    assert viewer.scale_number.input_value() == "30.00"


def test_wheel_keeps_the_point_under_the_pointer(viewer):
    before = viewer.place_under(60, 90)
    viewer.roll_wheel(2, 60, 90, -400)
    viewer.wait_for_view("scale > 4")
    after = viewer.place_under(60, 90)
    assert np.allclose(after, before, atol=0.3), "sizes are whole, so the scale is only nearly kept"
    y, _ = viewer.centre()
    viewer.press("ArrowDown")
    assert viewer.centre()[0] > y
    scale = viewer.scale()
    viewer.press(">")
    assert (viewer.magnification(), viewer.scale()) == (2, scale)


def test_pinch_changes_the_scale_about_its_middle(new_viewer, open_photograph):
    viewer = open_photograph(new_viewer(has_touch=True, viewport={"width": 420, "height": 860}))
    before = viewer.place_under(200, 90)
    viewer.pinch(1, 200, 90, apart=(20, 24, 28, 32, 36, 40))
    viewer.wait_for_view("Math.abs(scale - 8) < 0.1")
    assert np.allclose(viewer.place_under(200, 90), before, atol=0.4), "the place between the fingers stays"
    assert not viewer.picked(), "two fingers do not pick"
    viewer.tap(0, 200, 90)
    viewer.wait_for_looks("lit-light")


def test_twenty_random_views_show_what_upscale_computes(viewer, photograph, models):
    random = np.random.default_rng(5)
    for turn in range(20):
        scale = round(float(np.exp(random.uniform(0, np.log(30)))), 2)
        viewer.set_scale(scale)
        top, left, height, width = viewer.box(2)
        start = top + height / 2, left + width / 2
        viewer.drag(start, start + random.uniform(-60, 60, 2), steps=2)
        viewer.wait_until_exact(scale)
        name = MODELS[turn % 3]
        assert_equal_upscale(viewer.rendering(name), models[name], photograph, scale=scale)


def test_a_size_for_each_axis(viewer, photograph, models):
    viewer.open_more()
    viewer.size_height.fill("100")
    viewer.size_width.fill("1000")
    viewer.size_width.press("Enter")
    viewer.wait_until_exact()
    rendering = viewer.rendering("clit-light")
    assert rendering.size == (100, 1000)
    assert_equal_upscale(rendering, models["clit-light"], photograph, size=(100, 1000))
    assert viewer.axis_scales.inner_text() == "×10.4 across, ×1.39 down"
    viewer.size_height.fill("71")
    viewer.size_height.press("Enter")
    assert viewer.field_error.inner_text() == "The height is 71, but must be 72 to 2160 pixels."
    assert viewer.wrong_field.get_attribute("class") == "size-height"
    for on in (True, False):  # there and back: a sentence about another picture's size does not stay
        viewer.switch_truth(on)
        assert viewer.field_error.is_hidden()
        assert viewer.picture()
    viewer.set_scale(2)
    viewer.wait_until_exact(2)
    assert viewer.size_width.input_value() == "192", "a scale is one for both axes"


def test_a_busy_server_is_asked_again(viewer, photograph, models):
    viewer.wait_until_drawn_ahead()
    viewer.refuse_answers()
    viewer.set_scale(9)
    viewer.pick(3, 120, 60)
    for name in MODELS:
        viewer.wait_for_mark(name, "6 others are drawing")
    assert not {"failed", "none"} & set(viewer.passes().values())
    seen = viewer.canvas("lit-light").rgba
    assert (seen[..., 3] == 255).mean() > 0.9, "the last picture stays"
    viewer.set_scale(7)  # nobody asks for x9 any more
    viewer.differ.click()
    viewer.wait("window.refused.includes('find_differences') && window.refused.includes('inspect')")
    assert viewer.notice.is_hidden()
    assert viewer.stop_refusing() == {"render_view", "inspect", "find_differences"}
    viewer.wait_at_place(1)
    viewer.wait_until_exact(7)
    viewer.wait_for_looks(*MODELS)
    assert_panes_equal_upscale(viewer, photograph, models, 7)
    assert viewer.notice.is_hidden() and "drawing" not in viewer.mark("lit-light")


def test_a_slow_view_tells_how_far_it_is(viewer):
    viewer.slow_views()
    viewer.set_scale(9)
    viewer.wait_for_mark("lit-light", "drawing, 40 %")
    assert "%" not in viewer.mark("liif-light"), "nothing of it is done yet"
    viewer.finish_views()
    viewer.wait_until_exact(9)


def test_two_panes_under_one_handle(viewer):
    viewer.choose(0, "bicubic")
    viewer.set_scale(12)
    viewer.press("w")
    handle = viewer.wipe_handle
    handle.scroll_into_view_if_needed()
    viewer.wait_for_view("pane.width > 800")
    viewer.wait_until_exact(12)
    assert set(viewer.passes()) == {"bicubic", "liif-light"}
    box = handle.bounding_box()
    start, end = (box["y"] + 60, box["x"] + 22), (box["y"] + 70, box["x"] - 278)
    viewer.drag(start, end, steps=3)
    handle.press("ArrowLeft")
    area = viewer.wiped_area().bounding_box()
    share = float(handle.get_attribute("aria-valuenow")) / 100
    assert abs(share - (0.5 - 300 / area["width"] - 0.02)) < 0.02
    viewer.wait_for_link("wipe=")
    seen = np.asarray(Image.open(io.BytesIO(viewer.page.screenshot(clip=area))).convert("RGB"))
    cut = int(share * area["width"])
    for name, columns in (("bicubic", slice(0, cut - 30)), ("liif-light", slice(cut + 30, None))):
        rows = slice(40, None)  # below the captions
        rgba = viewer.canvas(name).rgba[rows, columns]
        drawn = rgba[..., 3] == 255
        assert drawn.mean() > 0.05
        part = seen[rows, columns][drawn].astype(int)
        assert np.abs(part - rgba[..., :3][drawn]).max() <= 1
    viewer.page.keyboard.press("Escape")
    viewer.wipe_toggle.click()
    expect(viewer.shown_panes).to_have_count(4)
    assert handle.is_hidden()


def test_full_screen_and_back(viewer):
    viewer.full_screen.click()
    viewer.wait_until_full_screen(True)
    expect(viewer.full_screen).to_have_attribute("aria-pressed", "true")
    expect(viewer.head).to_be_hidden()
    assert viewer.pane_group.is_visible()
    viewer.wait_until_panes_end_within(0.95, 1)
    viewer.full_screen.click()
    viewer.wait_until_full_screen(False)
    expect(viewer.head).to_be_visible()


def test_late_answers_never_overwrite_newer_views(new_viewer, open_photograph, photograph, models):
    viewer = new_viewer()
    viewer.delay_answers()
    open_photograph(viewer)
    viewer.slow_down(bytes_per_second=400_000)
    for scale in (9, 14, 5, 21, 3.3):
        asked = viewer.answers()["asked"]
        viewer.set_scale(scale)
        viewer.wait_for_questions(asked + 3)  # each of three panes has asked for this view
    viewer.wait_until_exact(3.3)
    viewer.wait_for_late_answers()
    assert viewer.answers()["delayed"] > 5
    assert set(viewer.passes().values()) == {"exact"}
    assert_panes_equal_upscale(viewer, photograph, models, 3.3)


def shake_by_hand(viewer) -> None:
    box = viewer.scale_slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    viewer.page.mouse.move(box["x"] + box["width"] / 2, middle)
    viewer.page.mouse.down()
    for place in (0.9, 0.1, 0.8, 0.05, 0.95, 0.3, 0.7, 0.2, 0.9, 0.45):
        viewer.page.mouse.move(box["x"] + place * box["width"], middle, steps=12)
    viewer.page.mouse.up()


def shake_by_keys(viewer) -> None:
    for key in ("PageUp", "PageUp", "Home", "End", "PageDown", "Home", "PageUp", "PageUp", "ArrowRight", "PageUp"):
        viewer.scale_slider.press(key)


@pytest.mark.parametrize("shake", [lambda viewer: viewer.shake(6, 7.4), shake_by_hand, shake_by_keys])
def test_a_shaken_slider_shows_the_last_value(new_viewer, open_photograph, photograph, models, shake):
    viewer = new_viewer()
    viewer.delay_answers()
    open_photograph(viewer)
    viewer.slow_down()  # the earlier a question was asked, the later its answer comes
    shake(viewer)
    scale = viewer.scale()
    asked = 30 ** (int(viewer.scale_slider.input_value()) / 400)
    assert 1.2 < scale < 29 and scale == pytest.approx(asked, abs=0.01), "where the slider ends"
    viewer.wait_until_exact(scale)
    viewer.wait_for_late_answers()
    assert viewer.answers()["delayed"] > 3
    assert viewer.scale() == scale and set(viewer.passes().values()) == {"exact"}
    assert viewer.scale_number.input_value() == f"{scale:.2f}"
    assert_panes_equal_upscale(viewer, photograph, models, scale)


def test_what_was_drawn_ahead_previews_a_view_without_the_server(new_viewer, open_photograph, photograph, models):
    viewer = open_photograph(new_viewer(viewport={"width": 1000, "height": 500}))  # panes that x4 fills
    viewer.wait_until_drawn_ahead()
    viewer.hold_answers()
    viewer.set_scale(2.5)
    viewer.wait_for_previews(*MODELS)
    assert viewer.mark("lit-light") == "rough, from ×2.00"
    for name, model in models.items():
        ahead = clit.upscale(model, photograph, scale=2)
        ahead = Image.fromarray((ahead * 255).round().astype(np.uint8))
        canvas = viewer.canvas(name)
        top, left = canvas.corner
        # At the sides, which the frame at x4 did not reach.
        part = canvas.rgba[top : top + 180, left : left + 18, :3].astype(float)
        expected = np.asarray(ahead.resize((240, 180), Image.Resampling.BILINEAR), float)[:, :18]
        assert np.abs(part - expected)[4:-4, 4:].mean() < 2, name


def test_a_pane_with_fewer_pixels_than_the_picture_shows_the_picture(viewer, tmp_path):
    photograph = tmp_path / "large.png"
    y, x = np.mgrid[:900, :1200]
    Image.fromarray(np.stack([x * 255 // 1200, y * 255 // 900, 0 * x], -1).astype(np.uint8)).save(photograph)
    viewer.upload(photograph)
    viewer.wait_for_picture(1200)
    viewer.wait_until_exact()
    asked = []
    viewer.page.on("request", lambda request: asked.append(request.post_data or ""))
    viewer.press("f")
    viewer.wait_for_view("magnification < 0.2")
    viewer.wait(f"['liif-light', 'clit-light'].every(m => {HOOK}.passes()[m] === 'input')")
    assert viewer.mark("lit-light") == "the input: zoom in by Ctrl + wheel"
    canvas = viewer.canvas("lit-light")
    middle = canvas.rgba[canvas.rgba.shape[0] // 2, canvas.rgba.shape[1] // 2]
    assert np.abs(middle[:3].astype(int) - (127, 127, 0)).max() <= 3
    assert not any("render_view" in each and '"exact"' in each for each in asked), "minutes of work for no pixel"
    for _ in range(8):
        viewer.press(">")
    viewer.wait(f"['liif-light', 'clit-light'].every(m => {HOOK}.passes()[m] === 'exact')")


def test_a_fitted_output_is_asked_for_with_the_pixels_that_a_pane_can_show(viewer, photograph, models):
    viewer.set_scale(30)
    viewer.wait_until_exact(30)
    asked = []
    viewer.page.on("request", lambda request: asked.append(request.post_data or ""))
    viewer.press("f")
    viewer.wait(f"{list(MODELS)}.every(m => {HOOK}.passes()[m] === 'overview')")
    pane = viewer.view()["pane"]
    windows = [json.loads(found) for each in asked for found in re.findall(r'"window":(\[[^]]*\])', each)]
    assert windows
    for *_, height, width in windows:
        assert height * width <= 1.6 * pane["height"] * pane["width"], "six million pixels for a small pane"
    for name in MODELS:
        scale = float(re.fullmatch(r"overview, from ×([\d.]+), .* s", viewer.mark(name))[1])
        assert 3 < scale < 30
