"""The picture made smaller and compared with what it was: truth, errors, scores, curves; and back again."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from viewer import Viewer

import clit
from browser.expected import MODELS
from clit.pictures import metrics
from clit.ui.examples import BUNDLED

FITS = "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('.scale-rests'))"


def test_ground_truth_keeps_the_place_and_the_pixel(viewer):
    viewer.set_scale(3)
    viewer.press(">")
    viewer.wait_until_exact(3)
    viewer.press("ArrowLeft")
    viewer.pick(2, 90, 60)
    row, column = viewer.picked()
    view = viewer.view()
    assert view["magnification"] == 2
    viewer.switch_truth(True)
    viewer.wait_for_picture(32)
    assert viewer.picked() == (row // 3, column // 3)
    viewer.wait_for_looks("lit-light")
    expect(viewer.inspector).to_have_attribute("data-open", "yes")
    viewer.switch_truth(False)
    viewer.wait_for_picture(96)
    assert viewer.picked() == (row, column)
    assert viewer.magnification() == 2
    assert viewer.centre() == (view["y"], view["x"])


def test_a_pixel_whose_answer_comes_after_the_ground_truth_is_asked_about_again(new_viewer, open_photograph):
    viewer = new_viewer()
    viewer.delay_answers()
    open_photograph(viewer)
    viewer.set_scale(3)
    viewer.wait_until_exact(3)
    viewer.slow_down()
    viewer.pick(2, 150, 200)
    viewer.switch_truth(True)  # asked later, so answered earlier
    viewer.wait_for_looks("lit-light")
    viewer.attention_tab.click()  # the scores came to the fore
    viewer.wait_until_inspected()


def test_ground_truth_errors_and_scores(viewer, photograph, models):
    viewer.set_scale(3)
    viewer.wait_until_exact(3)
    viewer.switch_truth(True)
    viewer.wait_for_picture(32)
    viewer.wait_for_scores(4)
    viewer.wait_until_exact(3)
    assert viewer.error_note.is_hidden() and viewer.few_note.is_hidden()
    shown = [viewer.methods.nth(i).input_value() for i in range(2)]
    viewer.choose(0, "truth")
    viewer.choose(1, "error:clit-light")
    viewer.wait_until_exact()
    assert {"truth", "error:clit-light"} < set(viewer.passes())
    assert viewer.error_note.is_visible()
    truth = viewer.rendering("truth")
    top, left, height, width = truth.window
    whole = np.asarray(Image.open(photograph))
    assert np.array_equal(truth.pixels, whole[top : top + height, left : left + width])
    small = np.asarray(Image.fromarray(whole).resize((32, 24), Image.BICUBIC))
    every = {name: clit.upscale(model, small, size=(72, 96)) for name, model in models.items()}
    every["bicubic"] = clit.upscale(clit.load("bicubic"), small, size=(72, 96))
    scores = viewer.scores()
    for name, rgb in every.items():
        assert abs(scores[name][3]["psnr"] - metrics.psnr(rgb, whole, scale=3)) < 0.01
    assert viewer.mark("truth") == "96 × 72"
    assert viewer.scale_slider.is_disabled(), "the small picture was made for this scale"
    expect(viewer.scale_rests).to_be_visible()  # and the page says so
    expect(viewer.scale_label).to_have_text("Made smaller by")
    assert viewer.magnification() == 4, "a small picture fills its pane"
    viewer.roll_wheel(2, 60, 50, -400)
    viewer.wait_for_view("magnification === 6 && scale === 3")
    viewer.curve_start.click()
    viewer.wait_for_curves()
    scales = {name: sorted(found) for name, found in viewer.scores().items()}
    assert scales.pop("liif-light") == [3], "no pane shows it any more"
    assert all(found == [2, 3, 4, 6, 8] for found in scales.values()), scales
    viewer.switch_truth(False)
    viewer.wait_for_picture(96)
    assert viewer.scores_section.is_hidden()
    assert [viewer.methods.nth(i).input_value() for i in range(2)] == shown, "as before the ground truth"
    viewer.set_scale(6)
    expect(viewer.truth_toggle).to_have_attribute("aria-disabled", "true")
    reason = (
        "Made smaller by ×6.00, this picture would have 16 × 12 pixels, too few to judge: choose a scale of at most ×3."
    )
    expect(viewer.scores_none).to_have_text(reason)
    viewer.truth_toggle.click(force=True)  # it rests, and says why
    expect(viewer.notice_text).to_have_text(reason)
    assert viewer.picture()["width"] == 96
    viewer.follow("#scale=6&truth=6")  # a link may ask for it
    viewer.wait_for_picture(16)
    viewer.scores_tab.click()
    expect(viewer.few_note).to_be_visible()


def test_an_example_opens_where_it_tells_most_and_its_truth_is_its_original(new_viewer, url):
    """The eye chart: 120 x 150 pixels, its original four times that."""
    viewer = new_viewer()
    viewer.open(url)
    viewer.wait_for_picture(120)
    place = json.loads((BUNDLED / "credits.json").read_text(encoding="utf-8"))["letters.png"]["place"]
    viewer.wait_for_view(f"scale === {place['scale']}")
    assert viewer.centre() == (place["row"], place["column"])
    viewer.set_scale(4)
    viewer.pick(1, 90, 60)
    row, column = viewer.picked()
    viewer.switch_truth(True)
    viewer.wait_for_picture(120)
    assert viewer.picked() == (row, column), "made smaller by 4, the original has as many pixels as the example"
    viewer.choose(0, "truth")
    viewer.wait_until_exact()
    truth = viewer.rendering("truth")
    top, left, height, width = truth.window
    whole = np.asarray(Image.open(BUNDLED / "originals" / "letters.png"))
    assert np.array_equal(truth.pixels, whole[top : top + height, left : left + width])
    viewer.switch_truth(False)
    viewer.wait_for_view("scale === 4")


def test_captions_tell_decibels(viewer, new_context, tmp_path):
    viewer.choose(0, "input")
    viewer.set_scale(3)
    viewer.switch_truth(True)
    viewer.wait_for_scores(4)
    viewer.wait_until_exact(3)

    def told(each):
        return {name: each.decibel(name) for name in each.passes()}

    psnr = {name: found[3]["psnr"] for name, found in viewer.scores().items()}
    assert told(viewer) == {"input": "", **{name: f"{psnr[name]:.2f} dB" for name in MODELS}}
    best = max(MODELS, key=psnr.get)
    expect(viewer.best_decibels).to_have_count(1)
    expect(viewer.best_decibels).to_have_text(f"{psnr[best]:.2f} dB")
    viewer.choose(0, "error:clit-light")
    viewer.choose(1, "clit-light@1")
    viewer.choose(2, "bicubic")
    viewer.choose(3, "diff:clit-light:truth")
    viewer.wait_until_exact(3)
    decibels = {name: f"{psnr[name]:.2f} dB" for name in ("clit-light", "bicubic")}
    shown = {
        "error:clit-light": decibels["clit-light"],
        "clit-light@1": "",
        "bicubic": decibels["bicubic"],
        "diff:clit-light:truth": "",
    }
    assert told(viewer) == shown
    viewer.share.click()
    viewer.download(viewer.share_page).save_as(tmp_path / "view.html")
    viewer.page.keyboard.press("Escape")
    page = new_context(offline=True, bypass_csp=True).new_page()
    page.goto((tmp_path / "view.html").as_uri())
    saved = Viewer(page.main_frame, viewer.patience)
    saved.wait_until_open()
    expect(saved.panes.nth(2).locator(".decibel")).to_have_text(decibels["bicubic"])
    assert told(saved) == shown
    viewer.paint.select_option("returned")
    viewer.wait_until_exact(3)
    expect(viewer.panes.nth(2).locator(".decibel")).to_be_empty()  # the pane tells how much comes back


def test_scores_are_those_of_the_chosen_chain(viewer, photograph, models):
    viewer.choose(0, "bicubic")
    viewer.follow("#scale=6&truth=6")  # fewer pixels than the page itself would judge by, but two stages
    viewer.wait_for_scores(4)
    viewer.hold_answers()
    viewer.open_more()
    viewer.chain.select_option("balanced")
    viewer.wait_for_scores(3)  # what was measured of the other chain is not told of this one
    assert viewer.decibel("clit-light") == "" and viewer.decibel("bicubic") != ""


@pytest.mark.parametrize("window", [{"width": 1366, "height": 630}, {"width": 390, "height": 844}])
def test_controls_that_rest_say_why(viewer, window):
    viewer.page.set_viewport_size(window)
    viewer.choose(2, "bicubic")
    viewer.choose(3, "bilinear")
    options = viewer.paint.locator("option:disabled")
    expect(options.first).to_have_text(re.compile("^entropy of attention: choose LIT or CLIT"))
    expect(options).to_have_count(3)
    viewer.choose(3, "clit-light")
    expect(options).to_have_count(0)
    viewer.set_scale(3)
    viewer.wait_until_exact(3)
    viewer.open_more()
    expect(viewer.axis_scales).to_be_empty()
    viewer.more.click()
    viewer.frame.evaluate("document.querySelector('.truth-toggle').click()")
    viewer.wait_for_picture(32)
    expect(viewer.scale_rests).to_have_text("Press Enlarge to change it")
    assert viewer.frame.evaluate(FITS), "it is read whole"
    magnification = viewer.magnification()
    viewer.press("+")
    viewer.wait_for_view(f"magnification > {magnification} && scale === 3")
    viewer.press("-")
    viewer.wait_for_view(f"magnification === {magnification} && scale === 3")
    viewer.open_more()
    expect(viewer.size_width).to_be_disabled()
    expect(viewer.axis_scales).to_have_text("that of the ground truth: press Enlarge to change it")


def test_controls_have_room_whatever_panes_show(viewer):
    viewer.page.set_viewport_size({"width": 1366, "height": 630})
    viewer.set_scale(3)
    viewer.switch_truth(True)
    for paint in ("colours", "entropy", "returned"):  # menus of other widths
        viewer.paint.select_option(paint)
        viewer.wait_for_next_frame()
        assert viewer.frame.evaluate(FITS)
        assert viewer.controls_lie_apart(), paint


def test_what_needs_a_method_says_so(viewer):
    for pane in range(4):
        viewer.choose(pane, "input")
    viewer.make_tab.click()
    for kind in ("film .webp", "sheet .png"):
        viewer.make_kind.select_option(kind)
        expect(viewer.make_start).to_be_disabled()
        expect(viewer.make_text).to_have_text("of no method: choose some in the panes")
    viewer.choose(1, "bicubic")
    expect(viewer.make_start).to_be_enabled()


def test_an_upload_keeps_the_ground_truth(viewer, photograph, tmp_path):
    viewer.set_scale(2)
    viewer.switch_truth(True)
    viewer.wait_for_scores(4)
    Image.open(photograph).resize((60, 80)).save(tmp_path / "other.png")
    viewer.upload(tmp_path / "other.png")
    viewer.wait_for_picture(30)
    viewer.wait_for_scores(4)
    expect(viewer.truth_toggle).to_have_attribute("aria-pressed", "true")
    (tmp_path / "notes.png").write_text("these are words")
    viewer.upload(tmp_path / "notes.png")
    expect(viewer.notice_text).to_contain_text("notes.png is not")
    viewer.switch_truth(False)
    viewer.wait_for_picture(60)
