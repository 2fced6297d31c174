"""The picture made smaller and compared with what it was: truth, errors, scores, curves; and back again."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image
from playwright.sync_api import expect

import clit
from clit.pictures import metrics
from clit.ui.examples import BUNDLED


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
    shown = {name: scores[name][3]["psnr"] for name in ("lit-light", "clit-light")}
    for name, psnr in shown.items():
        expect(viewer.mark_of(name)).to_have_text(f"{psnr:.2f} dB")
        best = "best" if psnr == max(shown.values()) else "yes"
        expect(viewer.mark_of(name)).to_have_attribute("data-score", best)
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
    assert viewer.methods.nth(0).input_value() == "input"
    viewer.set_scale(6)
    expect(viewer.truth_toggle).to_have_attribute("aria-disabled", "true")
    reason = (
        "Made smaller by ×6.00, this picture would have 16 × 12 pixels, too few to judge: choose a scale of at most ×3."
    )
    expect(viewer.scores_none).to_have_text(reason)
    viewer.truth_toggle.click()
    expect(viewer.notice_text).to_have_text(reason)
    assert viewer.picture()["width"] == 96
    viewer.follow("#scale=6&truth=6")
    expect(viewer.few_note).to_be_visible()  # a link may ask for it


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
