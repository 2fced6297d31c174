"""What a picked pixel looked at: maps and their files, borders, pinned pixels, panes painted by attention."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import expect

import clit
from browser.expected import MODELS, assert_equal_upscale, assert_panes_equal_upscale
from clit.ui.colours import attention_colours


def test_click_shows_what_attend_computes(viewer, photograph, models):
    viewer.choose(0, "input")
    viewer.set_scale(17.5)
    viewer.wait_until_exact(17.5)
    viewer.pick(3, 43, 71)
    viewer.wait_for_looks(*MODELS)
    picked, corner = viewer.picked(), viewer.canvas("clit-light").corner
    assert picked == (43 - corner[0], 71 - corner[1]), "the pixel under the pointer"
    for name, model in models.items():
        seen = viewer.look(name)["answer"]
        expected = clit.attend(model, photograph, pixel=picked, scale=17.5)
        assert seen["kind"] == expected.kind and len(seen["stages"]) == len(expected.stages)
        for stage, wanted in zip(seen["stages"], expected.stages, strict=True):
            assert np.allclose(np.sum(stage["weights"], (1, 2)), 1, atol=1e-5)
            assert np.allclose(stage["weights"], wanted.weights, atol=1e-6)
    heads, rows = 2, 1 + 1 + 3  # LIIF, LIT, and three stages of CLIT
    expect(viewer.mean_maps).to_have_count(rows)
    expect(viewer.head_maps).to_have_count(heads)
    expect(viewer.stage_windows(0)).to_have_count(3)
    viewer.open_all_maps()
    expect(viewer.map_rows).to_have_count(rows)
    grids = [f"{width} × {height} latents" for width, height in ((96, 72), (96, 72), (384, 288), (1536, 1152))]
    expect(viewer.map_grids).to_have_text(["four neighbours", *grids])
    expect(viewer.map_buttons).to_have_count(1 + (rows - 1) * (1 + heads))
    viewer.all_close.click()
    viewer.head_maps.nth(0).hover()
    expect(viewer.readout).to_have_text(re.compile(r"LIT.*head 1: \d[.]\d+ · input row"))
    centre = viewer.centre()
    viewer.press("ArrowRight")
    viewer.wait_for_looks("lit-light", column=picked[1] + 1)
    assert viewer.centre() == centre, "the pixel walks, the view stays"
    viewer.page.keyboard.press("2")
    expect(viewer.shown_panes).to_have_count(2)  # the viewer's other keys work here too


def test_pixel_at_the_border_has_hatched_neighbours(viewer):
    viewer.press("f")
    viewer.wait_until_exact()
    corner = viewer.canvas("lit-light").corner
    viewer.pick(2, corner[0] + 4 * 72 - 2, corner[1] + 4 * 96 - 2)
    viewer.wait_for_looks("lit-light")
    outside = np.logical_not(viewer.look("lit-light")["answer"]["stages"][0]["inside"]).sum()
    assert outside == 49 - 16
    expect(viewer.hatched(viewer.mean_maps.nth(1))).to_have_count(int(outside))


def test_maps_show_weights_logits_and_influence_and_are_saved(viewer):
    viewer.pick(2, 60, 50)
    viewer.wait_for_looks("lit-light", "clit-light")
    viewer.open_all_maps()
    assert re.fullmatch(r"max 0[.]\d{3}\n\d[.]\d bits", viewer.map_captions.nth(1).inner_text())
    viewer.all_close.click()
    look = viewer.look("lit-light")
    rows = {"weights": 3, "content": 2, "position": 2, "influence": 3}  # LIIF has no logits
    for quantity, count in rows.items():
        viewer.ask_maps(quantity)
        expect(viewer.mean_maps).to_have_count(count)
        viewer.mean_maps.nth(count - 2).click()
        if quantity != "influence":
            viewer.head_maps.last.click()
        stage = viewer.look("lit-light")["answer"]["stages"][0]  # it is asked for the influence only now
        each = np.array(stage[quantity] if quantity == "influence" else stage[quantity][-1])
        digits = 3 if quantity == "weights" else 1
        each = 255 * each if quantity == "influence" else each
        numbers = viewer.enlarged_numbers.all_text_contents()
        assert np.allclose([float(number) for number in numbers], each.flatten(), atol=0.51 * 10**-digits)
    viewer.open_all_maps()
    assert viewer.look_method.input_value() == "lit-light", "what is drawn large"
    viewer.look_suffix.select_option(".npz")
    saved = np.load(viewer.download(viewer.look_save).path())
    assert np.allclose(saved["stage0_weights"], stage["weights"], atol=1e-6)
    assert saved["pixel"].tolist() == [look["row"], look["column"]]


def test_the_picked_pixel_is_under_the_pointer_at_every_magnification(viewer):
    viewer.set_scale(7)
    for key, count in (("<", 3), (">", 2), (">", 1), (">", 2), (">", 5)):
        viewer.press(*[key] * count)
        magnification = viewer.magnification()
        viewer.wait_until_exact(7)
        (_, _, height, width), corner = viewer.box(2), viewer.canvas("lit-light").corner
        size = round(72 * 7), round(96 * 7)
        for y, x in ((0, 0), (height - 1, width - 1), (61, 83)):  # a click is at a whole CSS pixel
            place = (y - corner[0]) / magnification, (x - corner[1]) / magnification
            inside = all(0 <= at < n for at, n in zip(place, size, strict=True))
            viewer.page.keyboard.press("Escape")
            viewer.pick(2, y, x)
            assert viewer.picked() == ((int(place[0]), int(place[1])) if inside else None), magnification
    assert magnification == 16


def test_pinned_pixels_are_compared(viewer):
    viewer.press("Enter")
    viewer.wait_for_looks("clit-light")
    for _ in range(3):
        viewer.press("p", "ArrowRight")
    viewer.wait_for_pins(3, looks=3)
    row, column = viewer.picked()
    viewer.wait_for_looks(*MODELS, column=column)
    assert [pin["column"] for pin in viewer.pins()] == [column - n for n in (3, 2, 1)]
    expect(viewer.pin_marks(2)).to_have_count(3)
    viewer.open_all_maps()
    expect(viewer.pin_rows).to_have_count(3)
    expect(viewer.pin_columns).to_have_count(4)  # the picked pixel and three pins
    expect(viewer.pin_maps).to_have_count(4 * 3)
    viewer.map_buttons.nth(3).click()  # LIT's second head: the pins show that too
    expect(viewer.pin_maps.nth(4 + 2)).to_have_attribute("aria-label", re.compile("head 2"))
    viewer.pin_away.nth(1).click()
    viewer.pin_go.nth(0).click()
    assert viewer.picked() == (row, column - 3)
    viewer.all_close.click()
    expect(viewer.pin_toggle).to_have_attribute("aria-pressed", "true")
    viewer.pin_toggle.click()
    assert len(viewer.pins()) == 1, "pinning again lets go"


def test_panes_painted_by_attention(viewer, photograph, models):
    for paint, head in (("entropy", 0), ("direction", 2)):
        viewer.paint.select_option(paint)
        viewer.paint_head.select_option(str(head))
        viewer.wait_for_link(f"paint={paint},{head}")
        viewer.wait_until_exact()
        rendering = viewer.rendering("lit-light")
        survey = clit.survey(models["lit-light"], photograph, scale=4, window=rendering.window)
        expected = attention_colours(survey, paint, head, 3)
        error = np.abs(rendering.pixels / 255 - expected).max()
        assert error <= 4 / 255, "a colour of the map's next to it, by rounding"
    assert_equal_upscale(viewer.rendering("liif-light"), models["liif-light"], photograph, scale=4)  # it has no heads
    viewer.paint.select_option("colours")
    viewer.wait_until_exact(4)
    assert_panes_equal_upscale(viewer, photograph, models, 4)
