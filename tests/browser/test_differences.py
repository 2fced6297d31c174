"""Differences made visible: blink, a pane of what one method has more than another, where they differ most,
the loupe, what does not come back, entropies without the grid of pixels."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect
from viewer import Viewer

import clit
from browser.expected import MODELS
from clit.pictures.colour_maps import diverging
from clit.pictures.files import to_bytes
from clit.pictures.metrics import luma

DIVERGING = np.rint(diverging(np.arange(256) / 127.5 - 1) * 255).astype(int)
LIT_LIIF = "diff:lit-light:liif-light"
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


def place_in_colours(viewer, name: str, window: tuple[int, int, int, int]) -> np.ndarray:
    """The places on the colour scale, 0..255, that a pane shows of a window of the output, at magnification 1."""
    canvas = viewer.canvas(name)
    top, left = canvas.corner[0] + window[0], canvas.corner[1] + window[1]
    rgba = canvas.rgba[max(top, 0) : top + window[2], max(left, 0) : left + window[3]]
    assert (rgba[..., 3] == 255).all()
    colours, whose = np.unique(rgba[..., :3].reshape(-1, 3), axis=0, return_inverse=True)
    apart = np.abs(colours[:, None].astype(int) - DIVERGING).sum(-1)
    assert apart.min(-1).max() == 0, "its colours are those of the map"
    return apart.argmin(-1)[whose].reshape(rgba.shape[:2])


def expected_place(more: np.ndarray, less: np.ndarray, gain: float) -> np.ndarray:
    """The same of two pictures, uint8."""
    levels = 255 * (luma(more).astype(float) - luma(less))
    return np.clip(127.5 + gain * levels, 0, 255)


def assert_difference(viewer, more: str, less: str, gain: float) -> None:
    """The pane shows exactly what the exact pixels of two other panes tell."""
    one, other = viewer.rendering(more), viewer.rendering(less)
    assert one.window == other.window
    shown = place_in_colours(viewer, f"diff:{more}:{less}", one.window)
    expected = expected_place(one.pixels, other.pixels, gain)
    top, left = (max(0, -corner - at) for corner, at in zip(viewer.canvas(more).corner, one.window[:2], strict=True))
    expected = expected[top:, left:][: shown.shape[0], : shown.shape[1]]
    assert np.abs(shown - expected).max() <= 0.51
    assert np.abs(expected - 127.5).max() > gain


def test_a_difference_pane_shows_what_the_exact_pixels_of_two_others_tell(viewer):
    names = [text.partition(":")[0] for text in viewer.options(3, "Differences").all_text_contents()]
    over_bicubic = ["LIIF − Bicubic", "LIT − Bicubic", "CLIT − Bicubic"]
    assert names == [*over_bicubic, "LIT − LIIF", "CLIT − LIIF", "CLIT − LIT"]
    viewer.choose(3, LIT_LIIF)
    viewer.wait_until_exact(4)
    assert viewer.passes()[LIT_LIIF] == "exact"
    expect(viewer.gain_range).to_have_text("±16 of 255")
    assert_difference(viewer, "lit-light", "liif-light", 8)
    for scale, gain, told in ((4, 32, "±4 of 255"), (2.7, 1, "±128 of 255")):
        viewer.set_scale(scale)
        viewer.gain.select_option(str(gain))
        viewer.wait_until_exact(scale)
        expect(viewer.gain_range).to_have_text(told)
        viewer.wait_for_next_frame()
        assert_difference(viewer, "lit-light", "liif-light", gain)
    viewer.hold_answers()
    viewer.set_scale(9)
    viewer.wait_for_view("scale === 9")
    viewer.wait_for_next_frame()
    assert viewer.passes()[LIT_LIIF] in ("preview", "stretched"), "it is no better than its parts"


def test_a_difference_needs_no_panes_of_its_methods(new_viewer, open_photograph, photograph, models):
    viewer = open_photograph(new_viewer())
    viewer.choose(3, "diff:clit-light:liif-light")
    viewer.choose(1, "bicubic")
    viewer.choose(2, "bilinear")
    viewer.set_scale(5)
    viewer.wait_until_exact(5)
    window = viewer.rendering("bicubic").window
    clit_, liif = (
        to_bytes(clit.upscale(models[name], photograph, scale=5, window=window))
        for name in ("clit-light", "liif-light")
    )
    shown = place_in_colours(viewer, "diff:clit-light:liif-light", window)
    expected = expected_place(clit_, liif, 8)[: shown.shape[0], : shown.shape[1]]
    assert np.abs(shown - expected).max() <= 8 * 2 + 1, "each of the two may be rounded otherwise"
    assert np.abs(shown - expected).mean() < 1
    assert viewer.look("clit-light") is None


def test_a_difference_from_the_ground_truth_and_its_link(new_viewer, url):
    viewer = new_viewer()
    viewer.open(url)
    viewer.examples.nth(1).click()
    viewer.wait_until_exact()
    viewer.set_scale(3)
    viewer.switch_truth(True)
    for pane, name in enumerate(("truth", "lit-light", "liif-light", "diff:lit-light:truth")):
        viewer.choose(pane, name)
    viewer.gain.select_option("4")
    viewer.wait_until_exact(3)
    assert_difference(viewer, "lit-light", "truth", 4)
    viewer.wait_for_link("gain=4", "diff%3Alit-light%3Atruth")
    other = new_viewer(viewport=viewer.page.viewport_size)
    other.open(viewer.link())
    other.wait_until_exact(3)
    assert np.array_equal(other.canvas("diff:lit-light:truth").rgba, viewer.canvas("diff:lit-light:truth").rgba)
    viewer.switch_truth(False)
    expect(viewer.panes.nth(3).locator("b")).to_have_text("CLIT")  # as before
    strange = new_viewer()
    strange.open(f"{url}#panes=diff:lit-light:none,diff:lit-light:lit-light,liif-light&gain=7")
    expect(strange.notice_text).to_have_text(
        "This link asks for what is not here: diff:lit-light:none, diff:lit-light:lit-light. The rest is shown."
    )


def box_means(difference: np.ndarray, side: int) -> np.ndarray:
    """The means over all squares of `side` small pixels at x4."""
    sums = np.pad(difference.reshape(72, 4, 96, 4).mean((1, 3)).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return boxes / side**2


def test_the_view_flies_to_where_two_methods_differ_most(new_viewer, open_photograph, photograph, models):
    viewer = open_photograph(new_viewer())
    expect(viewer.differ).to_have_attribute("title", re.compile("^Where LIIF and LIT differ most"))
    first = viewer.fly(1)
    liif, lit = (clit.upscale(models[name], photograph, scale=4) for name in ("liif-light", "lit-light"))
    means = 255 * box_means(np.abs(luma(liif) - luma(lit)), 24)
    assert first["height"] == first["width"] == 24
    assert abs(first["difference"] - means.max()) < 0.02 * means.max(), "about: not every pixel is compared"
    assert abs(means[first["top"], first["left"]] - first["difference"]) < 0.02 * means.max()
    expect(viewer.place_marks).to_have_count(4)
    top, left, bottom, right = viewer.rectangle(viewer.place_marks.first)
    pane = viewer.rectangle(viewer.canvases.first)
    assert abs((top + bottom) / 2 - (pane[0] + pane[2]) / 2) < 1 and abs(right - left - 24 * 4) < 8, "strokes and all"
    viewer.wait_until_exact(4)
    places = [first]
    viewer.page.emulate_media(reduced_motion="reduce")
    found = int(viewer.differ_count.inner_text().removeprefix("1 of "))
    assert 3 <= found <= 5
    for number in range(2, found + 1):
        viewer.press("d")
        viewer.wait_at_place(number)
        places.append(viewer.place())
    for index, one in enumerate(places):
        for other in places[:index]:
            assert one["difference"] <= other["difference"]
            assert abs(one["top"] - other["top"]) >= 24 or abs(one["left"] - other["left"]) >= 24
    assert viewer.fly(1) == first
    viewer.press("Escape")
    assert viewer.place() is None
    expect(viewer.place_marks).to_have_count(0)


def test_what_is_compared_and_what_cannot_be(viewer):
    viewer.choose(3, "diff:clit-light:bicubic")
    expect(viewer.differ).to_have_attribute("title", re.compile("^Where CLIT and Bicubic differ most"))
    viewer.choose(3, "clit-light@1")
    viewer.choose(2, "clit-light")
    viewer.choose(1, "bicubic")
    viewer.differ.click()
    expect(viewer.notice_text).to_have_text(
        "CLIT and CLIT, after stage 1 do not differ at ×4: choose others to compare, or another scale."
    )
    assert viewer.place() is None
    viewer.press("1")
    expect(viewer.differ).to_be_disabled()
    viewer.press("2")
    viewer.set_scale(2)
    viewer.switch_truth(True)
    viewer.choose(0, "lit-light")
    viewer.choose(1, "truth")
    viewer.fly(1)


def assert_loupes(viewer, y: int, x: int, factor: int) -> None:
    """Every pane shows larger, pixel for pixel, what lies about a place of its canvas."""
    for name in viewer.passes():
        loupe, canvas = viewer.loupe(name), viewer.canvas(name)
        side = 152 // factor
        assert loupe.factor == factor
        assert loupe.corner == (y - side // 2, x - side // 2)
        part = canvas.rgba[loupe.corner[0] :, loupe.corner[1] :][:side, :side]
        assert np.array_equal(loupe.rgba, part.repeat(factor, 0).repeat(factor, 1)), name
        assert np.ptp(part[..., :3]) > 0


def test_the_loupe_shows_every_pane_larger_in_step(viewer):
    assert viewer.loupe("bicubic") is None
    viewer.point(2, 150, 200)
    viewer.page.keyboard.down("z")
    expect(viewer.loupes).to_have_count(4)
    viewer.wait_for_next_frame()
    assert_loupes(viewer, 150, 200, 4)
    viewer.point(1, 120, 222)
    viewer.wait_for_next_frame()
    assert_loupes(viewer, 120, 222, 4)
    for pane in range(4):
        top, left, bottom, right = viewer.rectangle(viewer.loupes.nth(pane))
        box = viewer.rectangle(viewer.canvases.nth(pane))
        assert abs((top + bottom) / 2 - box[0] - 120) <= 1 and abs((left + right) / 2 - box[1] - 222) <= 1
    viewer.page.keyboard.up("z")
    expect(viewer.loupes).to_have_count(0)
    viewer.loupe_toggle.click()
    expect(viewer.loupe_toggle).to_have_attribute("aria-pressed", "true")
    viewer.choose(3, LIT_LIIF)
    viewer.roll_wheel(0, 100, 210, -400)
    viewer.wait_for_view("scale > 4.6")
    viewer.set_scale(6.01)
    viewer.wait_until_exact(6.01)
    assert_loupes(viewer, 100, 210, 2)
    viewer.loupe_toggle.click()
    expect(viewer.loupes).to_have_count(0)
    viewer.scale_number.focus()
    viewer.point(1, 120, 222)
    viewer.page.keyboard.down("z")
    viewer.wait_for_next_frame()
    assert viewer.loupe("bicubic") is None, "who types a number types"


def test_the_loupe_by_keyboard_follows_the_held_pixel(viewer):
    viewer.press("Enter", "ArrowDown", "ArrowRight")
    viewer.page.keyboard.down("Z")
    viewer.wait_for_next_frame()
    (row, column), canvas = viewer.picked(), viewer.canvas("bicubic")
    y, x = row + canvas.corner[0], column + canvas.corner[1]
    loupe = viewer.loupe("bicubic")
    assert abs(loupe.corner[0] + 19 - y - 0.5) <= 0.5 and abs(loupe.corner[1] + 19 - x - 0.5) <= 0.5
    viewer.page.keyboard.up("Z")
    expect(viewer.loupes).to_have_count(0)


def test_a_finger_moves_the_loupe_and_not_the_picture(new_viewer, url):
    viewer = new_viewer(**PHONE)
    viewer.open(url)
    viewer.press("1")
    viewer.wait_until_exact()
    centre = viewer.centre()
    viewer.loupe_toggle.tap()
    lift = viewer.hold_finger(320, 100, (300, 140), (280, 150))
    viewer.wait_for_next_frame()
    assert_loupes(viewer, 280, 150, 2)
    top, left, bottom, right = viewer.rectangle(viewer.loupes.first)
    assert bottom < viewer.box(0)[0] + 280, "it stands above the finger"
    assert abs((left + right) / 2 - 150) <= 1
    lift()
    assert viewer.centre() == centre and viewer.picked() is None


def test_what_does_not_come_back_of_every_method(new_viewer, open_photograph, photograph, models):
    viewer = open_photograph(new_viewer())
    viewer.paint.select_option("returned")
    viewer.set_scale(5.3)
    viewer.wait_until_exact(5.3)
    given = np.asarray(Image.open(photograph).convert("RGB"))
    for name in ("bicubic", *MODELS):
        output = to_bytes(clit.upscale(models.get(name) or clit.load(name), photograph, scale=5.3))
        whole = np.asarray(Image.fromarray(output).resize((96, 72), Image.Resampling.BICUBIC))
        back = viewer.rendering(name)
        assert back.size == (72, 96)
        top, left, height, width = back.window
        part = whole[top : top + height, left : left + width]
        assert (back.pixels != part).mean() < 0.01 and np.abs(back.pixels.astype(int) - part).max() <= 1, name
        own = given[top : top + height, left : left + width]
        error = np.square((luma(back.pixels) - luma(own)).astype(float)).mean()
        assert viewer.mark(name) == f"exact, {-10 * np.log10(error):.1f} dB"
    for gain in (8, 2):
        viewer.paint_gain.select_option(str(gain))
        viewer.wait_for_next_frame()
        canvas, back = viewer.canvas("lit-light"), viewer.rendering("lit-light")
        top, left, height, width = back.window
        expected = np.rint(expected_place(back.pixels, given[top : top + height, left : left + width], gain))
        step = round(72 * 5.3) / 72, round(96 * 5.3) / 96
        for row in range(top + 1, top + height - 1, 5):
            for column in range(left + 1, left + width - 1, 7):
                y = round(canvas.corner[0] + (row + 0.5) * step[0])
                x = round(canvas.corner[1] + (column + 0.5) * step[1])
                place = int(expected[row - top, column - left])
                near = DIVERGING[max(0, place - 1) : place + 2]
                assert (canvas.rgba[y, x, :3] == near).all(-1).any(), "the middle of a small pixel has its colour"
    viewer.wait_for_link("paint=returned,0", "gain=2")
    viewer.set_scale(1)
    viewer.wait_until_exact(1)
    assert viewer.mark("bicubic") == "exact, comes back whole"
    assert (place_in_colours(viewer, "bicubic", (0, 0, 72, 96)) == 128).all()
    viewer.choose(3, LIT_LIIF)
    viewer.wait_until_exact(1)
    viewer.paint.select_option("colours")
    viewer.wait_until_exact(1)
    assert viewer.rendering("lit-light").window == (0, 0, 72, 96)
    expect(viewer.paint_gain).to_be_hidden()


def test_entropies_per_neighbour_have_no_grid_of_pixels(viewer):
    def spread_within_latents() -> float:
        viewer.wait_until_exact(4)
        rendering = viewer.rendering("lit-light")
        top, left, height, width = rendering.window
        down, right = -top % 4, -left % 4
        pixels = rendering.pixels[down:, right:]
        pixels = pixels[: len(pixels) // 4 * 4, : pixels.shape[1] // 4 * 4].astype(int)
        blocks = pixels.reshape(len(pixels) // 4, 4, -1, 4, 3)
        return np.ptp(blocks, axis=(1, 3)).max()

    viewer.paint.select_option("entropy")
    assert spread_within_latents() > 10
    viewer.paint.select_option("entropy-mean")
    assert spread_within_latents() == 0
    expect(viewer.paint_note).to_have_text(re.compile("the mean over the pixels nearest to each neighbour"))
    viewer.paint_head.select_option("2")
    assert spread_within_latents() == 0
    viewer.wait_for_link("paint=entropy-mean,2")
    assert re.fullmatch(r"exact, [0-9.]+–[0-9.]+ bits", viewer.mark("lit-light"))
    for pane in range(4):
        viewer.choose(pane, "bicubic")
    expect(viewer.paint.locator("option:disabled")).to_have_count(3)
    expect(viewer.paint.locator("option[value=returned]")).to_be_enabled()


def test_the_page_of_a_view_keeps_differences(viewer, new_context, tmp_path):
    viewer.choose(0, LIT_LIIF)
    viewer.paint.select_option("returned")
    viewer.set_scale(20)  # more than the panes hold, so that the saved page need not magnify
    viewer.wait_until_exact(20)
    viewer.pick(2, 120, 90)
    viewer.wait_for_looks("lit-light")
    viewer.share.click()
    file = tmp_path / "view.html"
    viewer.download(viewer.share_page).save_as(file)
    viewer.page.keyboard.press("Escape")
    guarded = new_context(offline=True).new_page()  # by the file's own policy
    guarded.goto(file.as_uri())
    expect(guarded.locator(".overlay[data-painted]")).to_have_count(3)
    page = new_context(offline=True, bypass_csp=True, viewport=viewer.page.viewport_size).new_page()
    page.goto(file.as_uri())
    saved = Viewer(page.main_frame, viewer.patience)
    saved.wait_until_open()
    saved.wait_until_exact(20)
    names = [LIT_LIIF, *MODELS]
    marks = [viewer.mark(name) for name in names]
    assert marks[0] == "exact, brightness"
    assert all(re.fullmatch(r"exact, \d+[.]\d dB", mark) for mark in marks[1:])
    assert [saved.mark(name) for name in names] == marks
    captions = saved.frame.locator(".pane:visible figcaption b")
    expect(captions).to_have_text(["LIT − LIIF", "LIIF", "LIT", "CLIT"])
    row, column = saved.picked()
    for gain in ("8", "32"):
        for each in (viewer, saved):
            each.paint_gain.select_option(gain)
            each.wait_for_next_frame()
        for name in (LIT_LIIF, "clit-light"):
            parts = []
            for each in (viewer, saved):
                canvas = each.canvas(name)
                y, x = canvas.corner[0] + row, canvas.corner[1] + column
                parts.append(canvas.rgba[y - 60 : y + 60, x - 60 : x + 200])
            assert np.array_equal(*parts), name
    saved.press("ArrowRight")
    saved.wait_for_looks("lit-light", column=column + 1)
    assert saved.look("lit-light")["answer"]["rgb"] is None, "what is painted is no colour of the method"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_serious(viewer, width, scheme):
    viewer.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    viewer.page.set_viewport_size({"width": width, "height": 800})
    viewer.choose(0, "diff:lit-light:bicubic")
    viewer.loupe_toggle.click()
    viewer.differ.click()
    viewer.wait_at_place(1)
    viewer.wait_until_exact(4)
    for inner, outer in ((viewer.gain, viewer.key), (viewer.key, viewer.panes.first)):
        (top, left, bottom, right), around = viewer.rectangle(inner), viewer.rectangle(outer)
        assert around[0] <= top and around[1] <= left and bottom <= around[2] and right <= around[3]
    found = Axe().run(viewer.page).response["violations"]
    viewer.blink_toggle.click()
    viewer.wait_until_exact(4)
    found += Axe().run(viewer.page).response["violations"]
    grave = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert not grave
