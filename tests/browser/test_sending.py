"""What leaves the page: links and the way back through them, pictures and pages of a view, figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tiny
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect
from viewer import Viewer

import clit
from browser.expected import MODELS
from clit.pictures.colour_maps import viridis

HELD = 2500  # ms: longer than a place must be held for Back to lead there
PASSED = 700  # ms: long enough for the address to follow, and no more


def entries(viewer) -> int:
    """How many places the browser knows in this window."""
    return viewer.frame.evaluate("history.length")


def test_a_link_that_is_put_into_the_open_page_is_followed(new_viewer, url):
    viewer = new_viewer()
    viewer.open(f"{url}#example=letters.png&scale=8&at=60,70&panes=bicubic,lit-light&pixel=61,71")
    viewer.wait_for_looks("lit-light")
    picture = viewer.picture()
    viewer.follow(
        "#example=letters.png&scale=12.5&magnify=2&at=100,40&panes=input,lit-light,clit-light&pins=100,40,101,41"
    )
    viewer.wait_for_view("scale === 12.5 && magnification === 2 && y === 100 && x === 40")
    assert viewer.picture() == picture
    assert viewer.picked() is None, "the link has no pixel"
    viewer.wait_for_pins(2)
    methods = viewer.shown_methods.evaluate_all("all => all.map(each => each.value)")
    assert methods == ["input", "lit-light", "clit-light"]
    viewer.follow("#example=pagoda.png&scale=3&at=20,30&panes=truth,lit-light&truth=3")
    viewer.wait_for_link("example=pagoda.png", "truth=3", "panes=truth,lit-light", "at=20,30")
    viewer.wait_until_exact(3)
    assert viewer.truth_toggle.get_attribute("aria-pressed") == "true"
    viewer.follow("#example=pagoda.png&scale=5&at=20,30&panes=bicubic,lit-light")
    viewer.wait_until_exact(5)
    assert viewer.truth_toggle.get_attribute("aria-pressed") == "false"
    viewer.follow("#example=none.png&scale=6&panes=x,lit-light")
    viewer.wait_until_exact(6)
    expect(viewer.notice_text).to_have_text("This link asks for what is not here: none.png, x. The rest is shown.")


def test_back_and_forward_walk_through_places_that_were_held(new_viewer, url):
    viewer = new_viewer()
    viewer.open(f"{url}#example=letters.png&scale=4&at=60,70&panes=bicubic,lit-light")
    viewer.wait_until_exact(4)
    viewer.page.wait_for_timeout(HELD)
    first = entries(viewer)
    viewer.set_scale(5)  # held
    viewer.wait_for_link("scale=5&")
    viewer.page.wait_for_timeout(HELD)
    assert entries(viewer) == first + 1
    for scale in (6, 7):  # passed through
        viewer.set_scale(scale)
        viewer.wait_for_link(f"scale={scale}&")
        viewer.page.wait_for_timeout(PASSED)
    viewer.examples.nth(1).click()  # held
    viewer.wait_for_link("example=pagoda.png")
    viewer.page.wait_for_timeout(HELD)
    assert entries(viewer) == first + 2
    viewer.page.go_back()
    viewer.wait_for_view("scale === 5 && y === 60")
    viewer.wait_for_link("example=letters.png", "scale=5&")
    viewer.page.go_back()
    viewer.wait_for_view("scale === 4")
    viewer.page.wait_for_timeout(PASSED)  # what the page makes of a place does not cut off the way forward
    viewer.page.go_forward()
    viewer.wait_for_view("scale === 5")
    viewer.page.go_forward()
    viewer.wait_for_link("example=pagoda.png")
    viewer.wait_for_view("scale !== 5")
    assert entries(viewer) == first + 2


def test_the_way_back_into_a_picture_that_was_brought(viewer):
    viewer.set_scale(3)
    viewer.wait_for_link("scale=3&")
    viewer.page.wait_for_timeout(HELD)
    viewer.switch_truth(True)
    viewer.wait_for_link("truth=3")
    viewer.page.wait_for_timeout(HELD)
    viewer.page.go_back()
    viewer.wait_for_picture(96)
    viewer.wait_until_exact(3)
    viewer.page.wait_for_timeout(HELD)
    viewer.examples.nth(0).click()
    viewer.wait_for_example()
    viewer.page.wait_for_timeout(HELD)
    example = viewer.picture()
    viewer.page.go_back()
    expect(viewer.notice_text).to_contain_text("picture of your own that is no longer open")
    assert viewer.picture() == example


def decode(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_link_is_copied(new_viewer, url):
    viewer = new_viewer(permissions=["clipboard-read", "clipboard-write"])
    viewer.open(f"{url}#example=letters.png&scale=8&at=60,70&panes=bicubic,lit-light&pixel=61,71")
    viewer.wait_for_looks("lit-light")
    viewer.wait_for_link("pixel=")
    viewer.share.focus()
    viewer.page.keyboard.press("Enter")
    expect(viewer.share_link).to_be_visible()
    viewer.share_link.press("Enter")
    expect(viewer.share_status).to_have_text("The link is copied.")
    assert viewer.frame.evaluate("navigator.clipboard.readText()") == viewer.link()
    viewer.page.keyboard.press("Escape")
    expect(viewer.share_link).to_be_hidden()
    assert viewer.picked() is not None, "that closed the menu and nothing else"


def test_a_phone_sends_the_link_by_its_own_sheet(new_viewer, url):
    viewer = new_viewer(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    viewer.page.add_init_script("navigator.share = async (sent) => { window.sent = sent; }")
    viewer.open(f"{url}#example=letters.png&scale=8&at=60,70&panes=bicubic,lit-light&wipe=0.5")
    viewer.wait_for_link("at=60,70")
    top, left, bottom, right = viewer.rectangle(viewer.share)
    assert min(bottom - top, right - left) >= 44 and right <= 390
    viewer.share.tap()
    expect(viewer.share_link).to_contain_text("Send the link")
    viewer.share_link.tap()
    assert viewer.frame.evaluate("window.sent.url") == viewer.link()
    assert viewer.content_width() <= 390


def test_the_picture_of_a_view_shows_its_panes_and_its_maps(viewer, photograph, models):
    viewer.choose(0, "bicubic")
    viewer.pick(2, 120, 130)
    viewer.wait_for_looks(*MODELS)
    row, column = viewer.picked()
    canvas = viewer.canvas("lit-light").rgba
    height, width = canvas.shape[:2]
    viewer.share.click()
    download = viewer.download(viewer.share_picture)
    assert download.suggested_filename == "photograph-x4.png"
    found = decode(download.path())
    assert found.shape[1] == 2 * (2 * width + 2)
    lit = found[2 * (height + 2) :, : 2 * width][: 2 * height]
    away = np.s_[height // 2 + 90 :, width // 2 + 90 :]  # of the map, the mark and the name
    drawn = canvas[away][..., 3] == 255
    assert np.array_equal(lit[::2, ::2][away][drawn], canvas[..., :3][away][drawn])
    weights = clit.attend(models["lit-light"], photograph, pixel=(row, column), scale=4).stages[0].weights
    expected = np.rint(255 * viridis(np.sqrt(weights.mean(0))))
    step = 84 / 7
    top, left = 2 * height + 2 + 16 + 18 + 4 + 18, 16 + (84 + 10)  # the second map
    centres = np.add.outer(2 * (top + step * (np.arange(7) + 0.5)), np.zeros(7)).astype(int)
    across = np.add.outer(np.zeros(7), 2 * (left + step * (np.arange(7) + 0.5))).astype(int)
    difference = np.abs(found[centres, across] - expected).max(-1)
    assert (difference <= 2).sum() >= 48, "all squares but the one with the mark"


def test_the_page_of_a_view_works_without_a_server(viewer, new_context, photograph, models, tmp_path):
    viewer.set_scale(20)
    viewer.choose(0, "bicubic")
    viewer.open_more()
    viewer.chain.select_option("balanced")
    viewer.press("Escape")
    viewer.wait_until_exact(20)
    viewer.pick(1, 60, 70)
    viewer.press("p")
    viewer.wait_for_pins(1, looks=3)
    pixel = viewer.picked()
    shown = {name: viewer.rendering(name).pixels for name in ("bicubic", *MODELS)}
    viewer.share.click()
    download = viewer.download(viewer.share_page)
    assert download.suggested_filename == "photograph-x20.html"
    file = tmp_path / "view.html"
    download.save_as(file)
    assert file.stat().st_size < 8e6

    guarded = new_context(offline=True).new_page()  # by the file's own policy, which lets nothing out
    guarded.goto(file.as_uri())
    expect(guarded.locator(".overlay[data-painted]")).to_have_count(3)
    page = new_context(offline=True, bypass_csp=True, viewport=viewer.page.viewport_size).new_page()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    saved = Viewer(page.main_frame, viewer.patience)
    page.goto(file.as_uri())
    saved.wait_until_open()
    saved.wait_until_exact(20)
    saved.wait_for_view("magnification === 1")
    assert saved.picked() == pixel
    assert [(pin["row"], pin["column"]) for pin in saved.pins()] == [pixel]
    assert all(np.array_equal(saved.rendering(name).pixels, pixels) for name, pixels in shown.items())
    saved.let_go.click()
    for y, x in ((100, 90), (200, 301), (40, 5)):
        saved.press("Escape")
        saved.point(1, y, x)
        top, left = saved.canvas("lit-light").corner
        saved.wait_until_painted((y - top, x - left), *MODELS)
        saved.pick(1, y, x)
        saved.wait_for_looks(*MODELS, column=x - left)
        for name, model in models.items():
            found = saved.look(name)["answer"]
            wanted = clit.attend(model, photograph, pixel=(y - top, x - left), scale=20, chain="balanced")
            assert len(found["stages"]) == len(wanted.stages)
            for stage, expected in zip(found["stages"], wanted.stages, strict=True):
                exact = wanted.kind == "ensemble"
                assert np.abs(np.array(stage["weights"]) - expected.weights).max() <= (1e-7 if exact else 2e-3)
                assert np.allclose(stage["latents"], expected.latents, atol=1e-5)
                assert np.array_equal(stage["inside"], expected.inside)
            assert np.abs(np.array(found["rgb"]) - np.clip(wanted.rgb, 0, 1) * 255).max() <= 1.01
    row, column = saved.picked()
    saved.press("ArrowRight", "ArrowDown")
    saved.wait_for_looks(*MODELS, column=column + 1)
    assert saved.picked() == (row + 1, column + 1)
    saved.roll_wheel(1, 100, 100, -300)
    assert saved.scale() == 20, "there is one view"
    saved.press("Escape", *["ArrowRight"] * 20)
    saved.pick(1, 100, saved.view()["pane"]["width"] - 9)
    expect(saved.notice_text).to_contain_text("knows its own view alone")
    assert [each for each in requests if not each.startswith(("data:", "blob:"))] == [file.as_uri()]
    assert not saved.frame.locator("button:visible:disabled, select:visible").count()
    assert not [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
    page.set_viewport_size({"width": 390, "height": 844})
    saved.wait_for_view("magnification < 1")
    top, left, bottom, right = saved.rectangle(saved.pane_group)
    assert top <= 60 and right - left > 370
    saved.pick(1, 80, 90)
    assert saved.content_width() <= 390


def test_a_page_holds_what_is_shown_and_no_view_that_was_passed_through(viewer, new_context, tmp_path):
    viewer.set_scale(6)
    viewer.wait_until_exact(6)
    shown = {name: viewer.rendering(name).pixels for name in MODELS}
    viewer.slow_views()
    viewer.set_scale(12)
    viewer.wait_for_previews(*MODELS)
    viewer.set_scale(6)
    viewer.wait_until_exact(6)
    viewer.finish_views()
    viewer.share.click()
    file = tmp_path / "view.html"
    viewer.download(viewer.share_page).save_as(file)
    page = new_context(offline=True, bypass_csp=True).new_page()
    saved = Viewer(page.main_frame, viewer.patience)
    page.goto(file.as_uri())
    saved.wait_until_open()
    saved.wait_until_exact(6)
    assert all(np.array_equal(saved.rendering(name).pixels, pixels) for name, pixels in shown.items())


def test_a_page_that_would_be_too_large_is_refused(new_viewer, url, tmp_path):
    viewer = new_viewer()
    tiny.save_photograph(tmp_path / "large.jpg", 900, 1200)
    viewer.open(url)
    viewer.upload(tmp_path / "large.jpg")
    viewer.wait_for_picture(1200)
    viewer.set_scale(1)
    viewer.press("2")
    viewer.choose(0, "lit-light")
    viewer.choose(1, "clit-light")
    viewer.wait_until_exact(1)
    viewer.share.click()
    viewer.share_page.click()
    expect(viewer.share_status).to_contain_text("would have more than")
    expect(viewer.share_status).to_contain_text("choose a larger scale, or fewer panes")


def test_a_figure_shows_every_method_and_pixel(viewer):
    viewer.share.click()
    figures = viewer.frame.locator(".share-figure .button")
    expect(figures).to_have_count(3)
    for each in figures.all():
        expect(each).to_be_disabled()
    expect(viewer.figure_note).to_contain_text("Hold a pixel first")
    viewer.page.keyboard.press("Escape")
    viewer.pick(1, 60, 70)
    viewer.press("p", "Shift+ArrowRight")
    viewer.wait_for_pins(1, looks=3)
    [pin], held = viewer.pins(), viewer.picked()
    viewer.share.click()
    download = viewer.download(viewer.frame.locator(".share-figure [value='.svg']"))
    assert download.suggested_filename == "photograph-x4-attention.svg"
    text = Path(download.path()).read_text(encoding="utf-8")
    for row, column in (held, (pin["row"], pin["column"])):
        assert text.count(f"row {row} of 288, column {column} of 384") == 1
    assert text.count("head 1, up to") == 2 * 2, "of LIT and CLIT, for both pixels"
