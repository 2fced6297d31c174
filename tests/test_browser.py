"""The page in Chromium, end to end against `python app.py` with tiny checkpoints.

Scenarios, by what the page is for:
1. viewer: scales by mouse and keyboard, wheel, pinch, twenty random views, a size for each axis, one to four panes, two
   under one handle, full screen, answers that come late, previews drawn ahead
2. inspector: a click at every magnification, maps and their files, borders, pinned pixels, panes painted by attention
3. ground truth: truth, errors, scores, curves
4. make: the whole picture, a film, a comparison sheet
5. cascade: stage by stage, published and balanced
6. hosting: inside a frame on another origin, with links, touch and downloads
7. links and programs: a link that restores a view, the named endpoints
8. care: wrong scales, unreadable files, the guided start, keyboard alone, a phone's width in the dark, axe

Every test also fails on a request to another host and on an error in the console.
"""

from __future__ import annotations

import base64
import functools
import http.server
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import tiny
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

import clit
from clit.pictures import metrics
from clit.ui.pictures import attention_colours

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
    yield opened_with_photograph(page, url, folder)
    assert not elsewhere, "the page asks nobody but its own server"
    assert not complaints


def opened_with_photograph(page, url: str, folder: Path):
    """The page with the photograph uploaded and every pane exact."""
    page.goto(url)
    page.wait_for_selector(".clit-page[data-ready=yes]", timeout=PATIENCE)
    page.set_input_files(".upload-input", folder / "photograph.jpg")
    page.wait_for_function(f"{VIEWER}.picture()?.width === 96 && {VIEWER}.picture()?.height === 72", timeout=PATIENCE)
    exact(page, 4)
    return page


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
    centre = visitor.evaluate(f"[{VIEWER}.view().y, {VIEWER}.view().x]")
    visitor.keyboard.press("ArrowRight")
    visitor.wait_for_function(f"{VIEWER}.look('lit-light')?.column === {picked['column'] + 1}", timeout=PATIENCE)
    assert visitor.evaluate(f"[{VIEWER}.view().y, {VIEWER}.view().x]") == centre, "the pixel walks, the view stays"
    visitor.keyboard.press("2")
    assert visitor.locator(".pane:visible").count() == 2, "the viewer's other keys work here too"


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
    assert visitor.locator(".look-model").input_value() == "lit-light", "what is drawn large"
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
    strange.wait_for_selector(".notice:not([hidden])", timeout=PATIENCE)
    assert notice(strange) == "This link asks for what is not here: no, x, y. The rest is shown."
    strange.close()


def test_ground_truth_keeps_the_place_and_the_pixel(visitor):
    visitor.fill(".scale-number", "3")
    visitor.press(".scale-number", "Enter")
    visitor.click(".magnify-in")
    exact(visitor, 3)
    visitor.locator(".panes").focus()
    visitor.keyboard.press("ArrowLeft")
    visitor.locator(".pane canvas").nth(2).click(position={"x": 60, "y": 90})
    row, column = (visitor.evaluate(f"{VIEWER}.picked().{axis}") for axis in ("row", "column"))
    view = visitor.evaluate(f"{VIEWER}.view()")
    assert view["magnification"] == 2
    visitor.click(".truth-toggle")
    visitor.wait_for_function(f"{VIEWER}.picture()?.width === 32 && {VIEWER}.picked()", timeout=PATIENCE)
    picked = visitor.evaluate(f"{VIEWER}.picked()")
    assert (picked["row"], picked["column"]) == (row // 3, column // 3)
    visitor.wait_for_function(f"{VIEWER}.look('lit-light')", timeout=PATIENCE)
    assert visitor.get_attribute(".inspector", "data-open") == "yes"
    visitor.click(".truth-toggle")
    visitor.wait_for_function(f"{VIEWER}.picture()?.width === 96 && {VIEWER}.picked()", timeout=PATIENCE)
    assert visitor.evaluate(f"{VIEWER}.picked().row") == row
    assert visitor.evaluate(f"{VIEWER}.view().magnification") == 2
    after = visitor.evaluate(f"{VIEWER}.view()")
    assert (after["y"], after["x"]) == (view["y"], view["x"])


def test_ground_truth_errors_and_scores(visitor, folder, models):
    visitor.fill(".scale-number", "3")
    visitor.press(".scale-number", "Enter")
    exact(visitor, 3)
    visitor.click(".truth-toggle")
    visitor.wait_for_function(f"{VIEWER}.picture()?.width === 32 && {VIEWER}.scores().length === 4", timeout=PATIENCE)
    exact(visitor, 3)
    assert visitor.locator(".error-told").is_hidden() and visitor.locator(".few-told").is_hidden()
    visitor.locator(".pane .method").nth(0).select_option("truth")
    visitor.locator(".pane .method").nth(1).select_option("error:clit-light")
    ready = " && ".join(f"{VIEWER}.passes()['{name}'] === 'exact'" for name in ("truth", "error:clit-light"))
    visitor.wait_for_function(ready, timeout=PATIENCE)
    assert visitor.locator(".error-told").is_visible()
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
    assert visitor.evaluate(f"{VIEWER}.view().magnification") == 3, "a small picture fills its pane"
    canvas = visitor.locator(".pane canvas").nth(2).bounding_box()
    visitor.mouse.move(canvas["x"] + 50, canvas["y"] + 60)
    visitor.mouse.wheel(0, -400)
    visitor.wait_for_function(f"{VIEWER}.view().magnification === 4 && {VIEWER}.view().scale === 3")
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
    visitor.fill(".scale-number", "6")
    visitor.press(".scale-number", "Enter")
    visitor.click(".truth-toggle")
    visitor.wait_for_selector(".few-told", timeout=PATIENCE)  # 16 x 12 pixels


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
    with pytest.raises(AppError, match="did not arrive"):
        client.predict(None, api_name="/upscale")


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


def test_pinch_changes_the_scale_about_its_middle(browser, url, folder):
    context = browser.new_context(has_touch=True, viewport={"width": 420, "height": 860})
    page = opened_with_photograph(context.new_page(), url, folder)
    page.locator(".pane canvas").nth(1).scroll_into_view_if_needed()
    box = page.locator(".pane canvas").nth(1).bounding_box()
    middle = box["x"] + 80, box["y"] + 60
    point = (
        f"(() => {{ const v = {VIEWER}.view(); return [v.y + (60 - v.pane.height / 2) / v.scale, "
        f"v.x + (80 - v.pane.width / 2) / v.scale] }})()"
    )
    before = page.evaluate(point)
    touch = context.new_cdp_session(page)

    def fingers(kind: str, apart: float) -> None:
        points = [{"x": middle[0] + side * apart, "y": middle[1], "id": i} for i, side in enumerate((-1, 1))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else points})

    fingers("touchStart", 20)
    for apart in (24, 28, 32, 36, 40):
        fingers("touchMove", apart)
    fingers("touchEnd", 40)
    page.wait_for_function(f"Math.abs({VIEWER}.view().scale - 8) < 0.1", timeout=PATIENCE)
    assert np.allclose(page.evaluate(point), before, atol=0.4), "the place between the fingers stays"
    assert not page.evaluate(f"{VIEWER}.picked()"), "two fingers do not pick"
    page.touchscreen.tap(*middle)
    page.wait_for_function(f"{VIEWER}.look('lit-light')", timeout=PATIENCE)
    context.close()


def test_twenty_random_views_show_what_upscale_computes(visitor, folder, models):
    random = np.random.default_rng(5)
    canvas = visitor.locator(".pane canvas").nth(2)
    for turn in range(20):
        scale = round(float(np.exp(random.uniform(0, np.log(30)))), 2)
        visitor.fill(".scale-number", str(scale))
        visitor.press(".scale-number", "Enter")
        box = canvas.bounding_box()
        start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        visitor.mouse.move(*start)
        visitor.mouse.down()
        visitor.mouse.move(*(start + random.uniform(-60, 60, 2)), steps=2)
        visitor.mouse.up()
        exact(visitor, scale)
        name = list(MODELS)[turn % 3]
        frame, pixels = shown(visitor, name)
        window = tuple(frame["window"][side] for side in ("top", "left", "height", "width"))
        expected = clit.upscale(models[name], folder / "photograph.jpg", scale=scale, window=window)
        assert np.abs(pixels / 255 - expected).max() <= 1 / 255, (scale, name)


def test_a_size_for_each_axis(visitor, folder, models):
    visitor.click(".exact-size summary")
    visitor.fill(".size-height", "100")
    visitor.fill(".size-width", "1000")
    visitor.press(".size-width", "Enter")
    size = {"height": 100, "width": 1000}
    ready = f"{VIEWER}.panePixels('clit-light')?.size.width === 1000 && {VIEWER}.passes()['clit-light'] === 'exact'"
    visitor.wait_for_function(ready, timeout=PATIENCE)
    frame, pixels = shown(visitor, "clit-light")
    assert frame["size"] == size
    window = tuple(frame["window"][side] for side in ("top", "left", "height", "width"))
    expected = clit.upscale(models["clit-light"], folder / "photograph.jpg", size=(100, 1000), window=window)
    assert np.abs(pixels / 255 - expected).max() <= 1 / 255
    assert visitor.locator(".per-axis").inner_text() == "×10.4 across, ×1.39 down"
    visitor.fill(".size-height", "71")
    visitor.press(".size-height", "Enter")
    assert visitor.locator(".field-error").inner_text() == "The height is 71, but must be 72 to 2160 pixels."
    assert visitor.locator("[aria-invalid=true]").get_attribute("class") == "size-height"
    for _ in range(2):  # there and back: a sentence about another picture's size does not stay
        visitor.click(".truth-toggle")
        visitor.locator(".field-error").wait_for(state="hidden")
        visitor.wait_for_function(f"{VIEWER}.picture()", timeout=PATIENCE)
    visitor.fill(".scale-number", "2")
    visitor.press(".scale-number", "Enter")
    exact(visitor, 2)
    assert visitor.locator(".size-width").input_value() == "192", "a scale is one for both axes"


def test_late_answers_never_overwrite_newer_views(browser, url, folder, models):
    page = browser.new_page()
    page.add_init_script(
        """(() => { const real = window.fetch; window.delayed = 0;
          window.fetch = async (...args) => {
            const answer = await real(...args);
            if (String(args[0]?.url ?? args[0]).includes('component_server') && window.slow) {
              const wait = Math.max(0, 1600 - 120 * window.delayed++);  // the earlier asked, the later it comes
              await new Promise((done) => setTimeout(done, wait));
            }
            return answer;
          } })()"""
    )
    opened_with_photograph(page, url, folder)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    throttled = {"offline": False, "latency": 150, "downloadThroughput": 400_000, "uploadThroughput": 400_000}
    session.send("Network.emulateNetworkConditions", throttled)
    page.evaluate("window.slow = true")
    for scale in (9, 14, 5, 21, 3.3):
        page.fill(".scale-number", str(scale))
        page.press(".scale-number", "Enter")
        page.wait_for_timeout(90)
    exact(page, 3.3)
    page.wait_for_timeout(2000)  # every late answer is here by now
    assert page.evaluate("window.delayed") > 5
    assert set(page.evaluate(f"{VIEWER}.passes()").values()) == {"input", "exact"}
    compare(page, folder, models, 3.3)
    page.close()


def test_what_was_drawn_ahead_previews_a_view_without_the_server(visitor, folder, models):
    visitor.wait_for_function(f"{VIEWER}.drawnAhead()", timeout=PATIENCE)
    visitor.evaluate(
        """() => { const real = window.fetch; window.fetch = (...args) =>
          String(args[0]?.url ?? args[0]).includes('component_server') ? new Promise(() => {}) : real(...args) }"""
    )
    visitor.fill(".scale-number", "2.5")
    visitor.press(".scale-number", "Enter")
    visitor.wait_for_function(f"{list(MODELS)}.every(m => {VIEWER}.passes()[m] === 'preview')", timeout=PATIENCE)
    assert visitor.locator(".pane[data-model=lit-light] .mark").inner_text() == "rough, from ×2.00"
    for name, model in models.items():
        ahead = clit.upscale(model, folder / "photograph.jpg", scale=2)
        ahead = Image.fromarray((ahead * 255).round().astype(np.uint8))
        canvas = visitor.evaluate(f"{VIEWER}.canvasPixels('{name}')")
        screen = np.frombuffer(base64.b64decode(canvas["rgba"]), np.uint8)
        screen = screen.reshape(canvas["height"], canvas["width"], 4)[..., :3]
        top, left = canvas["corner"]["y"], canvas["corner"]["x"]
        # At the sides, which the frame at x4 did not reach.
        part = screen[top : top + 180, left : left + 18].astype(float)
        expected = np.asarray(ahead.resize((240, 180), Image.Resampling.BILINEAR), float)[:, :18]
        assert np.abs(part - expected)[4:-4, 4:].mean() < 2, name


def test_the_picked_pixel_is_under_the_pointer_at_every_magnification(visitor):
    pane = visitor.locator(".pane canvas").nth(2)
    visitor.fill(".scale-number", "7")
    visitor.press(".scale-number", "Enter")
    for key, count in (("<", 3), (">", 2), (">", 1), (">", 2), (">", 5)):
        visitor.locator(".panes").focus()
        for _ in range(count):
            visitor.keyboard.press(key)
        magnification = visitor.evaluate(f"{VIEWER}.view().magnification")
        exact(visitor, 7)
        box, corner = pane.bounding_box(), visitor.evaluate(f"{VIEWER}.canvasPixels('lit-light').corner")
        size = round(72 * 7), round(96 * 7)
        for down, across in ((0.1, 0.1), (box["height"] - 0.6, box["width"] - 0.6), (61.4, 83.7)):
            place = (down - corner["y"]) / magnification, (across - corner["x"]) / magnification
            inside = all(0 <= at < n for at, n in zip(place, size, strict=True))
            visitor.keyboard.press("Escape")
            visitor.mouse.click(box["x"] + across, box["y"] + down)
            picked = visitor.evaluate(f"{VIEWER}.picked()")
            assert (picked and (picked["row"], picked["column"])) == (
                (int(place[0]), int(place[1])) if inside else None
            ), magnification
    assert magnification == 16


def test_pinned_pixels_are_compared(visitor, browser):
    visitor.locator(".panes").focus()
    visitor.keyboard.press("Enter")
    visitor.wait_for_function(f"{VIEWER}.look('clit-light')", timeout=PATIENCE)
    for _ in range(3):
        visitor.keyboard.press("p")
        visitor.locator(".maps").focus()
        visitor.keyboard.press("ArrowRight")
        visitor.locator(".panes").focus()
    visitor.wait_for_function(
        f"{VIEWER}.pins().length === 3 && {VIEWER}.pins().every(p => p.looks.length === 3)", timeout=PATIENCE
    )
    picked = visitor.evaluate(f"{VIEWER}.picked()")
    assert [pin["column"] for pin in visitor.evaluate(f"{VIEWER}.pins()")] == [picked["column"] - n for n in (3, 2, 1)]
    visitor.wait_for_function("document.querySelectorAll('.pins tbody tr').length === 3", timeout=PATIENCE)
    assert visitor.locator(".pins thead th").count() == 4, "the picked pixel and three pins"
    assert visitor.locator(".pins .map-button").count() == 4 * 3
    visitor.locator(".maps .map-button").nth(3).hover()  # LIT's second head: the pins show that too
    assert "head 2" in visitor.locator(".pins .map-button").nth(4 + 2).get_attribute("aria-label")
    assert visitor.locator(".pane").nth(2).locator(".overlay .pin.light").count() == 3
    visitor.locator(".pins .pin-away").nth(1).click()
    visitor.locator(".pins .pin-go").nth(0).click()
    assert visitor.evaluate(f"{VIEWER}.picked().column") == picked["column"] - 3
    assert visitor.locator(".pin-toggle").get_attribute("aria-pressed") == "true"
    visitor.click(".pin-toggle")
    assert len(visitor.evaluate(f"{VIEWER}.pins()")) == 1, "pinning again lets go"


def test_panes_painted_by_attention(visitor, folder, models):
    for paint, head in (("entropy", 0), ("direction", 2)):
        visitor.select_option(".paint-what", paint)
        visitor.select_option(".paint-head", str(head))
        visitor.wait_for_function(
            f"location.hash.includes('paint={paint},{head}') && {VIEWER}.passes()['lit-light'] === 'exact'",
            timeout=PATIENCE,
        )
        frame, pixels = shown(visitor, "lit-light")
        window = tuple(frame["window"][side] for side in ("top", "left", "height", "width"))
        survey = clit.survey(models["lit-light"], folder / "photograph.jpg", scale=4, window=window)
        expected = attention_colours(survey, paint, head, 3)
        assert np.abs(pixels / 255 - expected).max() <= 4 / 255, "a colour of the map's next to it, by rounding"
    liif = clit.upscale(models["liif-light"], folder / "photograph.jpg", scale=4, window=window)
    assert np.abs(shown(visitor, "liif-light")[1] / 255 - liif).max() <= 1 / 255, "LIIF has no heads"
    visitor.select_option(".paint-what", "colours")
    exact(visitor, 4)
    compare(visitor, folder, models, 4)


def test_film_and_sheet_download(visitor):
    visitor.locator(".panes").focus()
    visitor.keyboard.press("2")
    visitor.locator(".pane .method").nth(0).select_option("bilinear")
    visitor.locator(".pane .method").nth(1).select_option("bicubic")
    visitor.wait_for_function(f"Object.values({VIEWER}.passes()).every((pass) => pass === 'exact')", timeout=PATIENCE)
    for kind, name in (
        ("film .webp", "photograph-to-x4-bilinear-bicubic.webp"),
        ("sheet .png", "photograph-x4-compared.png"),
    ):
        visitor.select_option(".make-kind", kind)
        told = visitor.locator(".make-what").inner_text()
        assert re.search(r", about \d+ (s|min)$", told) if kind.startswith("film") else "about" not in told
        visitor.click(".make-start")
        visitor.wait_for_function(f"document.querySelector('.make-link')?.download === '{name}'", timeout=PATIENCE)
        with visitor.expect_download() as download:
            visitor.click(".make-link:not([hidden])")
        assert download.value.suggested_filename == name
        with Image.open(download.value.path()) as file:
            assert getattr(file, "n_frames", 1) == 1 or kind.startswith("film")
            assert min(file.size) > 100


def test_inside_a_frame_of_another_origin(browser, url, folder, tmp_path):
    allowed = "allow-scripts allow-same-origin allow-forms allow-popups allow-downloads"
    (tmp_path / "index.html").write_text(
        f'<title>host</title><iframe src="{url}" sandbox="{allowed}" style="width: 1200px; height: 1600px"></iframe>'
    )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        context = browser.new_context(has_touch=True, viewport={"width": 1240, "height": 1700})
        page = context.new_page()
        page.goto(f"http://localhost:{host.server_port}/index.html")
        frame = page.frame_locator("iframe")
        frame.locator(".clit-page[data-ready=yes]").wait_for(timeout=PATIENCE)
        frame.locator(".upload-input").set_input_files(folder / "photograph.jpg")
        frame.locator(".pane[data-model=clit-light][data-pass=exact]").wait_for(timeout=PATIENCE)
        [inside] = [each for each in page.frames if each.url.startswith(url)]
        inside.wait_for_function(f"{VIEWER}.picture()?.width === 96", timeout=PATIENCE)
        frame.locator(".pane canvas").nth(2).tap(position={"x": 60, "y": 70})
        inside.wait_for_function(f"{VIEWER}.look('lit-light')", timeout=PATIENCE)
        inside.wait_for_function("location.hash.includes('pixel=')", timeout=PATIENCE)
        frame.locator(".make-model").select_option("bicubic")
        frame.locator(".make-start").click()
        with page.expect_download(timeout=PATIENCE) as download:
            frame.locator(".make-link:not([hidden])").click(timeout=PATIENCE)
        assert Image.open(download.value.path()).size == (384, 288)
        context.close()
        host.shutdown()


def test_guided_start_is_followed_and_dismissed_for_good(visitor):
    guide = visitor.locator(".guide")
    assert guide.is_visible()
    visitor.click(".guide-act")
    visitor.wait_for_function(f"{VIEWER}.view().scale === 12")
    visitor.click(".guide-act")
    assert visitor.evaluate(f"{VIEWER}.view().magnification") == 2
    visitor.click(".guide-act")
    visitor.wait_for_function(f"{VIEWER}.look('lit-light')", timeout=PATIENCE)
    assert visitor.locator(".guided.inspector").count() == 1
    visitor.click(".guide-end")
    assert guide.is_hidden() and visitor.locator(".guided").count() == 0
    visitor.goto(visitor.url.partition("#")[0])
    visitor.wait_for_selector(".clit-page[data-ready=yes]", timeout=PATIENCE)
    assert guide.is_hidden()
    visitor.click(".guide-again")
    assert guide.is_visible()
    step = visitor.locator(".guide .step")
    assert step.inner_text() == "1 of 4"
    visitor.fill(".scale-number", "7")  # done by hand, a step is done too
    visitor.press(".scale-number", "Enter")
    visitor.wait_for_function("document.querySelector('.guide .step').textContent === '2 of 4'")
    visitor.locator(".panes").focus()
    visitor.keyboard.press("ArrowRight")
    visitor.wait_for_function("document.querySelector('.guide .step').textContent === '3 of 4'")
    visitor.locator(".pane canvas").last.click()
    visitor.wait_for_function("document.querySelector('.guide .step').textContent === '4 of 4'")


def test_by_keyboard_alone(visitor):
    visitor.locator("h1").click()
    reached = []
    for _ in range(90):
        visitor.keyboard.press("Tab")
        reached.append(visitor.evaluate("document.activeElement.className.split(' ').at(-1)"))
        if reached[-1] == "make-start":
            break
    wanted = {
        "example", "upload-input", "truth-toggle", "scale-number", "scale-slider", "magnify-in", "fit", "pane-count",
        "wipe-toggle", "full-screen", "panes", "method", "paint-what", "chain", "make-kind", "make-model", "make-start",
    }  # fmt: skip
    assert wanted <= set(reached)
    for _ in range(len(reached) - 1 - reached.index("panes")):
        visitor.keyboard.press("Shift+Tab")
    assert visitor.evaluate("document.activeElement.className") == "panes"
    for key in ("+", "ArrowLeft", ">", "Enter", "p"):
        visitor.keyboard.press(key)
    visitor.wait_for_function(f"{VIEWER}.look('lit-light') && {VIEWER}.pins().length === 1", timeout=PATIENCE)
    assert visitor.evaluate(f"{VIEWER}.view().scale") == 4.2
    visitor.keyboard.press("Escape")
    assert visitor.evaluate(f"{VIEWER}.picked()") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(visitor, scheme, width):
    visitor.emulate_media(color_scheme=scheme)
    visitor.set_viewport_size({"width": width, "height": 900})
    visitor.wait_for_function(f"{VIEWER}.view().pane.width < {width}")
    exact(visitor, 4)
    visitor.locator(".panes").focus()
    visitor.keyboard.press("Enter")
    visitor.wait_for_function(f"{VIEWER}.look('clit-light')", timeout=PATIENCE)
    visitor.keyboard.press("p")
    visitor.select_option(".paint-what", "direction")
    visitor.wait_for_selector(".pins tbody tr")
    found = Axe().run(visitor).response["violations"]
    visitor.fill(".scale-number", "3")
    visitor.press(".scale-number", "Enter")
    visitor.click(".truth-toggle")
    visitor.wait_for_function(f"{VIEWER}.scores().length === 4", timeout=PATIENCE)
    found += Axe().run(visitor).response["violations"]
    grave = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert not grave


def test_full_screen_and_back(visitor):
    visitor.click(".full-screen")
    visitor.wait_for_function("document.fullscreenElement?.classList.contains('clit-page')")
    visitor.locator(".full-screen[aria-pressed=true]").wait_for()
    visitor.locator(".masthead").wait_for(state="hidden")
    assert visitor.locator(".panes").is_visible()
    bottom = "document.querySelector('.pane canvas').getBoundingClientRect().bottom / innerHeight"
    visitor.wait_for_function(f"0.95 < {bottom} && {bottom} <= 1", timeout=PATIENCE)
    visitor.click(".full-screen")
    visitor.wait_for_function("!document.fullscreenElement")
    visitor.locator(".masthead").wait_for()
