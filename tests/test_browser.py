"""The page in Chromium, end to end against `python app.py` with tiny checkpoints.

Scenarios: an upload seen at several scales, moved by mouse and by keyboard, pixel for pixel what `clit.upscale`
computes; a click, with the weights that `clit.attend` computes, the parts of its logits, its influence, and its files;
the cascade stage by stage; one to four panes, and two under
one handle; a link that restores a view; the ground truth, errors and
scores; the endpoints for programs; wrong scales and unreadable files; the full
picture; a phone's width in the dark. Every test also fails on a request to another host and on an error in the console.
"""

from __future__ import annotations

import base64
import io
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import tiny
from PIL import Image
from playwright.sync_api import sync_playwright

import clit
from clit import metrics

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MODELS = ("liif-light", "lit-light", "clit-light")
VIEWER = "document.querySelector('.clit-page').__viewer"
PATIENCE = 60_000  # ms; nothing waits this long unless something is wrong


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.fail(f"The page's tests need {CHROMIUM}: install it with `apt-get install chromium`, or set CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    tiny.save_checkpoints(folder / "checkpoints")
    tiny.save_photograph(folder / "photograph.jpg")
    return folder


@pytest.fixture(scope="module")
def models(folder):
    return {name: clit.load(folder / "checkpoints" / name) for name in MODELS}


@pytest.fixture(scope="module")
def url(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = Path(__file__).parent.parent
    command = [sys.executable, "app.py", "--port", str(port), "--checkpoints", str(folder / "checkpoints")]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def visitor(page, url, folder):
    """A page with the photograph uploaded and every pane exact."""
    elsewhere, complaints = [], []
    page.on("request", lambda r: elsewhere.append(r.url) if not _local(r.url, url) else None)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(url)
    page.wait_for_selector(".clit-page[data-ready=yes]", timeout=PATIENCE)
    page.set_input_files(".upload-input", folder / "photograph.jpg")
    page.wait_for_function(f"{VIEWER}.picture()?.width === 96 && {VIEWER}.picture()?.height === 72", timeout=PATIENCE)
    exact(page, 4)
    yield page
    assert not elsewhere, "the page asks nobody but its own server"
    assert not complaints


def _local(url: str, server: str) -> bool:
    return url.startswith(("data:", "blob:")) or urlparse(url).netloc == urlparse(server).netloc


def exact(page, scale: float) -> None:
    """Wait until every pane shows its exact pass at `scale`."""
    page.wait_for_function(
        f"{VIEWER}.view().scale === {scale} && {list(MODELS)}.every(m => {VIEWER}.passes()[m] === 'exact')",
        timeout=PATIENCE,
    )


def shown(page, model: str) -> tuple[dict, np.ndarray]:
    """A pane's last exact frame: what it is, and its pixels (h, w, 3) uint8."""
    frame = page.evaluate(f"{VIEWER}.panePixels('{model}')")
    window = frame["window"]
    rgba = np.frombuffer(base64.b64decode(frame["rgba"]), np.uint8).reshape(window["height"], window["width"], 4)
    assert (rgba[..., 3] == 255).all()
    return frame, rgba[..., :3]


def compare(page, folder, models, scale: float) -> None:
    """Every pane's decoded pixels, and those on its canvas, against `clit.upscale` of the same window."""
    for name, model in models.items():
        frame, pixels = shown(page, name)
        window = frame["window"]
        box = (window["top"], window["left"], window["height"], window["width"])
        assert frame["scale"] == scale
        assert (frame["size"]["height"], frame["size"]["width"]) == (round(72 * scale), round(96 * scale))
        expected = clit.upscale(model, folder / "photograph.jpg", scale=scale, window=box)
        assert np.abs(pixels / 255 - expected).max() <= 1 / 255, (name, scale)
        canvas = page.evaluate(f"{VIEWER}.canvasPixels('{name}')")
        view = page.evaluate(f"{VIEWER}.view()")
        assert abs(canvas["corner"]["y"] - (canvas["height"] / 2 - view["y"] * round(72 * scale) / 72)) <= 0.502
        assert abs(canvas["corner"]["x"] - (canvas["width"] / 2 - view["x"] * round(96 * scale) / 96)) <= 0.502
        screen = np.frombuffer(base64.b64decode(canvas["rgba"]), np.uint8)
        screen = screen.reshape(canvas["height"], canvas["width"], 4)[..., :3]
        top, left = window["top"] + canvas["corner"]["y"], window["left"] + canvas["corner"]["x"]
        visible = screen[max(top, 0) : top + window["height"], max(left, 0) : left + window["width"]]
        frame_part = pixels[max(-top, 0) :, max(-left, 0) :][: visible.shape[0], : visible.shape[1]]
        assert np.array_equal(visible, frame_part), "at magnification 1 one output pixel is one CSS pixel"


def notice(page) -> str:
    return page.locator(".notice p").inner_text()


def test_scales_by_mouse_and_keyboard_show_what_upscale_computes(visitor, folder, models):
    slider = visitor.locator(".scale-slider")
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    visitor.mouse.move(box["x"] + 0.4 * box["width"], middle)
    visitor.mouse.down()
    visitor.mouse.move(box["x"] + 0.25 * box["width"], middle, steps=4)
    visitor.mouse.up()
    scale = visitor.evaluate(f"{VIEWER}.view().scale")
    assert 2.2 < scale < 2.5, "a quarter of the way from 1 to 30 by factors is about 2.34"
    for _ in range(100):
        if scale >= 2.7:
            break
        slider.press("ArrowRight")
        before, scale = scale, visitor.evaluate(f"{VIEWER}.view().scale")
        assert before < scale < before * 1.03, "fine steps"
    assert scale == 2.7
    exact(visitor, 2.7)
    compare(visitor, folder, models, 2.7)
    slider.press("End")
    exact(visitor, 30)
    compare(visitor, folder, models, 30)
    assert visitor.locator(".scale-number").input_value() == "30.00"


def test_wheel_keeps_the_point_under_the_pointer(visitor):
    canvas = visitor.locator(".pane canvas").nth(2).bounding_box()
    at = {"y": 60, "x": 90}
    point = (
        f"(() => {{ const v = {VIEWER}.view(), p = {VIEWER}.picture(), s = v.scale; return ["
        f"v.y + ({at['y']} - v.pane.height / 2) / s, v.x + ({at['x']} - v.pane.width / 2) / s] }})()"
    )
    before = visitor.evaluate(point)
    visitor.mouse.move(canvas["x"] + at["x"], canvas["y"] + at["y"])
    visitor.mouse.wheel(0, -400)
    visitor.wait_for_function(f"{VIEWER}.view().scale > 4")
    assert np.allclose(visitor.evaluate(point), before, atol=0.3), "sizes are whole, so the scale is only nearly kept"
    visitor.locator(".panes").focus()
    y = visitor.evaluate(f"{VIEWER}.view().y")
    visitor.keyboard.press("ArrowDown")
    assert visitor.evaluate(f"{VIEWER}.view().y") > y
    scale = visitor.evaluate(f"{VIEWER}.view().scale")
    visitor.keyboard.press(">")
    assert visitor.evaluate(f"[{VIEWER}.view().magnification, {VIEWER}.view().scale]") == [2, scale]


def test_click_shows_what_attend_computes(visitor, folder, models):
    visitor.fill(".scale-number", "17.5")
    visitor.press(".scale-number", "Enter")
    exact(visitor, 17.5)
    canvas = visitor.locator(".pane canvas").nth(3).bounding_box()
    visitor.mouse.click(canvas["x"] + 71, canvas["y"] + 43)
    every = " && ".join(f"{VIEWER}.look('{name}')" for name in MODELS)
    visitor.wait_for_function(every, timeout=PATIENCE)
    picked = visitor.evaluate(f"{VIEWER}.picked()")
    corner = visitor.evaluate(f"{VIEWER}.canvasPixels('clit-light').corner")
    assert (picked["row"], picked["column"]) == (43 - corner["y"], 71 - corner["x"]), "the pixel under the pointer"
    for name, model in models.items():
        seen = visitor.evaluate(f"{VIEWER}.look('{name}')")["answer"]
        pixel = (picked["row"], picked["column"])
        expected = clit.attend(model, folder / "photograph.jpg", pixel=pixel, scale=17.5)
        assert seen["kind"] == expected.kind and len(seen["stages"]) == len(expected.stages)
        for stage, wanted in zip(seen["stages"], expected.stages, strict=True):
            assert np.allclose(np.sum(stage["weights"], (1, 2)), 1, atol=1e-5)
            assert np.allclose(stage["weights"], wanted.weights, atol=1e-6)
    heads, rows = 2, 1 + 1 + 3  # LIIF, LIT, and three stages of CLIT
    assert visitor.locator(".maps tbody tr").count() == rows
    assert visitor.locator(".map-button").count() == 1 + (rows - 1) * (1 + heads)
    assert visitor.locator(".pane").nth(0).locator(".overlay .window.light").count() == 3, "a window per stage"
    visitor.locator(".map-button").nth(2).hover()
    assert re.search(r"LIT.*head 1: \d[.]\d+ · input row", visitor.locator(".readout").inner_text())
    visitor.locator(".maps").focus()
    visitor.keyboard.press("ArrowRight")
    visitor.wait_for_function(f"{VIEWER}.look('lit-light')?.column === {picked['column'] + 1}", timeout=PATIENCE)


def test_pixel_at_the_border_has_hatched_neighbours(visitor):
    visitor.locator(".fit").click()
    visitor.wait_for_function(f"{VIEWER}.view().magnification < 1")
    canvas = visitor.locator(".pane canvas").nth(2).bounding_box()
    corner = visitor.evaluate(f"{VIEWER}.canvasPixels('lit-light').corner")
    visitor.mouse.click(canvas["x"] + corner["x"] + 1, canvas["y"] + corner["y"] + 1)
    visitor.wait_for_function(f"{VIEWER}.look('lit-light')", timeout=PATIENCE)
    outside = np.logical_not(visitor.evaluate(f"{VIEWER}.look('lit-light').answer.stages[0].inside")).sum()
    assert outside == 49 - 16
    row = visitor.locator(".maps tbody tr").nth(1)
    assert row.locator(".map-button").first.locator(".outside").count() == outside


def test_maps_show_weights_logits_and_influence_and_are_saved(visitor, folder, models):
    canvas = visitor.locator(".pane canvas").nth(2).bounding_box()
    visitor.mouse.click(canvas["x"] + 50, canvas["y"] + 60)
    visitor.wait_for_function(f"{VIEWER}.look('lit-light') && {VIEWER}.look('clit-light')", timeout=PATIENCE)
    assert re.fullmatch(
        r"max 0[.]\d{3}\n\d[.]\d bits", visitor.locator(".maps .map-button + .largest").nth(1).inner_text()
    )
    look = visitor.evaluate(f"{VIEWER}.look('lit-light')")
    stage = look["answer"]["stages"][0]
    rows = {"weights": 3, "content": 2, "position": 2, "influence": 3}  # LIIF has no logits
    for quantity, count in rows.items():
        visitor.select_option(".quantity", quantity)
        assert visitor.locator(".maps tbody tr").count() == count
        row = visitor.locator(".maps tbody tr").nth(count - 2)
        row.locator(".map-button").last.hover()  # LIT's last head, or its influence
        each = np.array(stage[quantity] if quantity == "influence" else stage[quantity][-1])
        digits = 1 if quantity in ("content", "position") else 3
        numbers = visitor.locator(".enlarged .number").all_text_contents()
        assert np.allclose([float(number) for number in numbers], each.flatten(), atol=0.51 * 10**-digits)
    visitor.select_option(".look-model", "lit-light")
    visitor.select_option(".look-suffix", ".npz")
    with visitor.expect_download() as download:
        visitor.click(".look-save")
    saved = np.load(download.value.path())
    assert np.allclose(saved["stage0_weights"], stage["weights"], atol=1e-6)
    assert saved["pixel"].tolist() == [look["row"], look["column"]]


def test_cascade_stage_by_stage_and_panes_by_digits(visitor, folder, models):
    visitor.locator(".panes").focus()
    visitor.keyboard.press("2")
    assert visitor.locator(".pane:visible").count() == 2
    assert visitor.locator(".cascade").is_hidden(), "no pane shows a cascade"
    visitor.locator(".pane .method").nth(0).select_option("clit-light@1")
    visitor.locator(".pane .method").nth(1).select_option("clit-light")
    visitor.select_option(".chain", "balanced")
    visitor.fill(".scale-number", "9")
    visitor.press(".scale-number", "Enter")
    for name, stages in (("clit-light@1", 1), ("clit-light", None)):
        visitor.wait_for_function(
            f"{VIEWER}.view().scale === 9 && {VIEWER}.passes()['{name}'] === 'exact'", timeout=PATIENCE
        )
        frame, pixels = shown(visitor, name)
        window = tuple(frame["window"][side] for side in ("top", "left", "height", "width"))
        options = {"scale": 9, "window": window, "chain": "balanced", "stages": stages}
        expected = clit.upscale(models["clit-light"], folder / "photograph.jpg", **options)
        assert np.abs(pixels / 255 - expected).max() <= 1 / 255
    assert visitor.locator(".factors").inner_text() == "×3.00 · ×3.00"
    visitor.locator(".panes").focus()
    visitor.keyboard.press("4")
    assert visitor.locator(".pane:visible").count() == 4
    visitor.wait_for_function(f"{VIEWER}.passes()['lit-light'] === 'exact'", timeout=PATIENCE)


def test_two_panes_under_one_handle(visitor):
    visitor.locator(".pane .method").nth(0).select_option("bicubic")
    visitor.fill(".scale-number", "12")
    visitor.press(".scale-number", "Enter")
    visitor.locator(".panes").focus()
    visitor.keyboard.press("w")
    handle = visitor.locator(".wipe-handle")
    handle.scroll_into_view_if_needed()
    ready = " && ".join(f"{VIEWER}.passes()['{name}'] === 'exact'" for name in ("bicubic", "liif-light"))
    visitor.wait_for_function(
        f"{VIEWER}.view().scale === 12 && {VIEWER}.view().pane.width > 1000 && {ready}", timeout=PATIENCE
    )
    box = handle.bounding_box()
    visitor.mouse.move(box["x"] + 16, box["y"] + 60)
    visitor.mouse.down()
    visitor.mouse.move(box["x"] - 284, box["y"] + 70, steps=3)
    visitor.mouse.up()
    handle.focus()
    visitor.keyboard.press("ArrowLeft")
    stage = visitor.locator(".stage").first.bounding_box()
    share = float(handle.get_attribute("aria-valuenow")) / 100
    assert abs(share - (0.5 - 300 / stage["width"] - 0.02)) < 0.02
    visitor.wait_for_function("location.hash.includes('wipe=')")
    seen = np.asarray(Image.open(io.BytesIO(visitor.screenshot(clip=stage))).convert("RGB"))
    cut = int(share * stage["width"])
    for name, columns in (("bicubic", slice(0, cut - 30)), ("liif-light", slice(cut + 30, None))):
        canvas = visitor.evaluate(f"{VIEWER}.canvasPixels('{name}')")
        rgba = np.frombuffer(base64.b64decode(canvas["rgba"]), np.uint8).reshape(canvas["height"], canvas["width"], 4)
        drawn = rgba[:, columns, 3] == 255
        assert drawn.mean() > 0.05
        height = min(len(seen), len(rgba))
        part = seen[:height, : canvas["width"]][:, columns][drawn[:height]].astype(int)
        assert np.abs(part - rgba[:height, columns, :3][drawn[:height]]).max() <= 1
    visitor.keyboard.press("Escape")
    visitor.locator(".wipe-toggle").click()
    assert visitor.locator(".pane:visible").count() == 4 and handle.is_hidden()


def test_a_link_restores_the_view_exactly(visitor, browser, url):
    visitor.locator(".example").nth(1).click()
    visitor.wait_for_function(f"{VIEWER}.picture()?.id.startsWith('example-')", timeout=PATIENCE)
    visitor.locator(".panes").focus()
    visitor.keyboard.press("3")
    visitor.locator(".pane .method").nth(1).select_option("bicubic")
    visitor.locator(".pane .method").nth(2).select_option("clit-light@2")
    visitor.select_option(".chain", "balanced")
    visitor.fill(".scale-number", "7.31")
    visitor.press(".scale-number", "Enter")
    visitor.locator(".panes").focus()
    visitor.keyboard.press("ArrowRight")
    visitor.keyboard.press(">")
    canvas = visitor.locator(".pane canvas").nth(2).bounding_box()
    visitor.mouse.click(canvas["x"] + 50, canvas["y"] + 60)
    visitor.wait_for_function("location.hash.includes('pixel=') && location.hash.includes('scale=7.31')")
    told = ("picture()", "picked()", "canvasPixels('clit-light@2').corner")
    before = [visitor.evaluate(f"{VIEWER}.{each}") for each in told]
    visitor.wait_for_function(f"{VIEWER}.look('clit-light')", timeout=PATIENCE)
    other = browser.new_page(viewport=visitor.viewport_size)
    other.goto(visitor.url)
    other.wait_for_selector(".clit-page[data-ready=yes]", timeout=PATIENCE)
    other.wait_for_function(f"{VIEWER}.look('clit-light')", timeout=PATIENCE)
    assert [other.evaluate(f"{VIEWER}.{each}") for each in told] == before
    view = other.evaluate(f"{VIEWER}.view()")
    assert (view["scale"], view["magnification"]) == (7.31, 2)
    assert other.locator(".pane:visible .method").evaluate_all("all => all.map(each => each.value)") == [
        "input", "bicubic", "clit-light@2",
    ]  # fmt: skip
    assert other.locator(".chain").input_value() == "balanced"
    other.close()
    strange = browser.new_page()
    strange.goto(f"{url}#example=no&scale=-4&panes=x,,y&pixel=1e9,NaN&chain=2&at=")
    strange.wait_for_selector(".clit-page[data-ready=yes]", timeout=PATIENCE)
    strange.wait_for_function(f"{VIEWER}.picture() && {VIEWER}.view().scale === 1", timeout=PATIENCE)
    assert strange.locator(".notice").is_hidden()
    strange.close()


def test_ground_truth_errors_and_scores(visitor, folder, models):
    visitor.fill(".scale-number", "3")
    visitor.press(".scale-number", "Enter")
    exact(visitor, 3)
    visitor.click(".truth-toggle")
    visitor.wait_for_function(f"{VIEWER}.picture()?.width === 32 && {VIEWER}.scores().length === 4", timeout=PATIENCE)
    exact(visitor, 3)
    visitor.locator(".pane .method").nth(0).select_option("truth")
    visitor.locator(".pane .method").nth(1).select_option("error:clit-light")
    ready = " && ".join(f"{VIEWER}.passes()['{name}'] === 'exact'" for name in ("truth", "error:clit-light"))
    visitor.wait_for_function(ready, timeout=PATIENCE)
    frame, pixels = shown(visitor, "truth")
    window = frame["window"]
    whole = np.asarray(Image.open(folder / "photograph.jpg"))
    part = whole[window["top"] : window["top"] + window["height"], window["left"] : window["left"] + window["width"]]
    assert np.array_equal(pixels, part)
    small = np.asarray(Image.fromarray(whole).resize((32, 24), Image.BICUBIC))
    every = {name: clit.upscale(model, small, size=(72, 96)) for name, model in models.items()}
    every["bicubic"] = clit.upscale(clit.load("bicubic"), small, size=(72, 96))
    scores = {name: dict(found)[3] for name, found in visitor.evaluate(f"{VIEWER}.scores()")}
    for name, rgb in every.items():
        assert abs(scores[name]["psnr"] - metrics.psnr(rgb, whole, scale=3)) < 0.01
    assert visitor.locator(".scale-slider").is_disabled(), "the small picture was made for this scale"
    canvas = visitor.locator(".pane canvas").nth(2).bounding_box()
    visitor.mouse.move(canvas["x"] + 50, canvas["y"] + 60)
    visitor.mouse.wheel(0, -400)
    visitor.wait_for_function(f"{VIEWER}.view().magnification === 2 && {VIEWER}.view().scale === 3")
    visitor.click(".curve-start")
    visitor.wait_for_selector(".curve svg", timeout=PATIENCE)
    visitor.wait_for_selector(".curve-start:not([disabled])", timeout=PATIENCE)
    told = {name: [scale for scale, _ in found] for name, found in visitor.evaluate(f"{VIEWER}.scores()")}
    assert told.pop("liif-light") == [3], "no pane shows it any more"
    assert all(sorted(scales) == [2, 3, 4, 6, 8] for scales in told.values()), told
    visitor.click(".truth-toggle")
    visitor.wait_for_function(f"{VIEWER}.picture()?.width === 96", timeout=PATIENCE)
    assert visitor.locator(".scores").is_hidden()
    assert visitor.locator(".pane .method").nth(0).input_value() == "input"


def test_programs_get_what_upscale_and_attend_compute(visitor, url, folder, models):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    assert f'Client("{url}/")' in visitor.locator(".snippet").text_content()
    client = Client(url, verbose=False)
    photograph = handle_file(str(folder / "photograph.jpg"))
    path = client.predict(photograph, "clit-light", 5.5, "balanced", api_name="/upscale")
    expected = clit.upscale(models["clit-light"], folder / "photograph.jpg", 5.5, chain="balanced")
    assert np.abs(np.asarray(Image.open(path)) / 255 - expected).max() <= 1 / 255
    seen = client.predict(photograph, row=7, column=9, model="lit-light", scale=8, api_name="/attention")
    wanted = clit.attend(models["lit-light"], folder / "photograph.jpg", pixel=(7, 9), scale=8).stages[0]
    for name in ("weights", "content", "position", "influence"):
        assert np.allclose(seen["stages"][0][name], getattr(wanted, name), atol=1e-6)
    for wrong in ({"scale": 99}, {"scale": 4, "model": "none"}, {"scale": 4, "chain": "no"}):
        with pytest.raises(AppError, match="scale is 99|no trained weights|chain must be"):
            client.predict(photograph, **wrong, api_name="/upscale")


def test_wrong_scale_gets_one_sentence(visitor):
    error = visitor.locator(".field-error")
    for typed in ("0", "-1", "NaN", "1000", "four"):
        visitor.fill(".scale-number", typed)
        visitor.press(".scale-number", "Enter")
        assert error.inner_text() == f"The scale is {typed}, but must be a number from 1 to 30."
        assert visitor.evaluate(f"{VIEWER}.view().scale") == 4
    visitor.fill(".scale-number", "5")
    visitor.press(".scale-number", "Enter")
    assert error.is_hidden()


def test_unreadable_upload_gets_one_sentence(visitor, folder):
    (folder / "notes.png").write_text("these are words")
    visitor.set_input_files(".upload-input", folder / "notes.png")
    visitor.wait_for_selector(".notice:not([hidden])", timeout=PATIENCE)
    assert notice(visitor).startswith("notes.png is not") and notice(visitor).count(".") <= 2
    assert visitor.evaluate(f"{VIEWER}.picture().width") == 96, "the picture before it stays"
    visitor.locator(".notice-close").click()
    assert visitor.locator(".notice").is_hidden()


def test_full_picture_downloads(visitor, folder, models):
    visitor.fill(".scale-number", "6.5")
    visitor.press(".scale-number", "Enter")
    visitor.select_option(".make-model", "lit-light")
    visitor.click(".make-start")
    visitor.wait_for_selector(".make-link:not([hidden])", timeout=PATIENCE)
    with visitor.expect_download() as download:
        visitor.click(".make-link")
    assert download.value.suggested_filename == "photograph-x6.5-lit-light.png"
    pixels = np.asarray(Image.open(download.value.path()))
    expected = clit.upscale(models["lit-light"], folder / "photograph.jpg", scale=6.5)
    assert np.abs(pixels / 255 - expected).max() <= 1 / 255


def test_phone_width_in_the_dark(visitor):
    visitor.emulate_media(color_scheme="dark")
    visitor.set_viewport_size({"width": 390, "height": 844})
    visitor.wait_for_function(f"{VIEWER}.view().pane.width < 190")
    exact(visitor, 4)
    assert visitor.evaluate("document.documentElement.scrollWidth") <= 390
    visitor.locator(".pane canvas").nth(3).scroll_into_view_if_needed()
    box = visitor.locator(".pane canvas").nth(3).bounding_box()
    visitor.mouse.click(box["x"] + 20, box["y"] + 20)
    visitor.wait_for_function(f"{VIEWER}.look('clit-light')", timeout=PATIENCE)
    assert visitor.evaluate("document.documentElement.scrollWidth") <= 390
