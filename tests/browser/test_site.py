"""The site of static files, served by nothing but files: on a GPU made of software, and without one."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import time
from urllib.parse import urlparse

import numpy as np
import pytest
import tiny
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageOps
from playwright.sync_api import expect
from viewer import Viewer

import clit
from browser.expected import assert_equal_upscale
from browser.gpu_page import launch_with_gpu
from clit.geometry import Window
from clit.pictures import metrics
from clit.pictures.files import as_array, to_bytes
from clit.pictures.metrics import luma
from clit.ui.colours import attention_colours
from clit.ui.differences import find_places
from clit.ui.latents import mean_over_latents
from clit.ui.pictures import Picture, make_smaller
from clit.ui.returning import make_small_again
from clit.ui.static_site import READY_SCALES, write_site

PATIENCE = 120_000  # ms: a GPU made of software is slow
NETWORKS = ("liif-light", "lit-light")
WINDOW = {"width": 1100, "height": 640}
LIMITS = "import('./viewer/store.js').then(({ state }) => Object.assign(state.limits, {change}))"
FORCED = "?engine=gpu"  # by software, which is refused otherwise


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of two examples of about 24 pixels a side; the first has an original of 3 times that."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "originals").mkdir()
    tiny.save_photograph(folder / "originals" / "one.png", 75, 66)
    tiny.save_photograph(folder / "one.png", 25, 22)
    tiny.save_photograph(folder / "two.png", 20, 28)
    place = {"row": 12.5, "column": 11, "scale": 2.5, "methods": []}
    (folder / "credits.json").write_text(json.dumps({"one.png": {"title": "One", "author": "A", "place": place}}))
    return folder


@pytest.fixture(scope="module")
def address(folder, pictures, tmp_path_factory):
    """The site below a path of a server of files, in a process of its own."""
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIT_CHECKPOINTS", str(folder / "checkpoints"))
        write_site(root / "below" / "here", pictures, [*NETWORKS, "clit-light"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(root)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/below/here/"
    server.terminate()
    server.wait()


@pytest.fixture
def open_window(address):
    """A function that opens a window of a browser, in which no page may complain or ask another host.

    It takes the browser, and Playwright's options of a context.
    """
    contexts, asked, complaints = [], [], []

    def open_(browser, **options) -> Viewer:
        # The page's own policy forbids what Playwright waits by; where it is tried, only elements are waited for.
        context = browser.new_context(**{"viewport": WINDOW, "color_scheme": "light", "bypass_csp": True, **options})
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        return Viewer(context.new_page().main_frame, PATIENCE)

    yield open_
    for context in contexts:
        context.close()
    asked = [each for each in asked if not each.startswith(("data:", "blob:", "file:"))]
    assert {urlparse(each).netloc for each in asked} <= {urlparse(address).netloc}
    assert not complaints


@pytest.fixture(scope="module")
def gpu_browser(browser):
    with launch_with_gpu(browser) as other:
        yield other


def assert_axe_finds_nothing_serious(page) -> None:
    found = Axe().run(page).response["violations"]
    assert not [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


def ground(viewer: Viewer, selector: str) -> str:
    return viewer.frame.locator(selector).evaluate("each => getComputedStyle(each).backgroundColor")


def middle(viewer: Viewer) -> tuple[int, int]:
    """A place near the middle of every pane, where a small picture is."""
    pane = viewer.view()["pane"]
    return pane["height"] // 2 + 5, pane["width"] // 2 - 7


def check_paints(viewer: Viewer, picture, model) -> None:
    """How heads attend, and what does not come back, against Python's."""
    survey = clit.Renderer().survey(model, picture, scale=2.5)
    size, rgb = survey.shape[:2], as_array(picture)
    whole = Window(0, 0, *size)
    for paint, head in (("entropy-mean", 0), ("direction", 2)):
        viewer.paint.select_option(paint)
        viewer.paint_head.select_option(str(head))
        viewer.wait_until_exact(2.5)
        found = survey if head else mean_over_latents(survey, whole, size, rgb.shape[:2])
        expected = 255 * attention_colours(found, paint.split("-")[0], head, model.radius)
        assert np.abs(viewer.rendering("lit-light").pixels - expected).max() <= 5, "a step of the colours"
    viewer.paint.select_option("returned")
    viewer.wait_until_exact(2.5)
    expected = make_small_again(lambda part: clit.upscale(model, rgb, scale=2.5, window=part), rgb, size, whole)
    assert np.abs(viewer.rendering("lit-light").pixels - expected.rgb.astype(int)).max() <= 1
    assert f"{expected.psnr:.1f} dB" in viewer.mark("lit-light")
    viewer.paint.select_option("colours")
    viewer.wait_until_exact(2.5)


def check_truth(viewer: Viewer, pictures, models) -> None:
    """Ground truth, scores, errors and where methods differ, against Python's."""
    name, original = "one.png", as_array(pictures / "originals" / "one.png")
    pair = make_smaller(Picture("", name, as_array(pictures / name), original=original), 2.5)
    viewer.switch_truth(True)
    viewer.wait_for_picture(pair.size[1])
    viewer.wait_for_scores(3)
    small = viewer.frame.evaluate(
        """async () => {
          const { bitmap, height, width } = (await import("./viewer/store.js")).state.picture;
          const context = new OffscreenCanvas(width, height).getContext("2d");
          context.drawImage(bitmap, 0, 0);
          return [...context.getImageData(0, 0, width, height).data];
        }"""
    )
    assert np.array_equal(np.reshape(small, (*pair.size, 4))[..., :3], to_bytes(pair.rgb)), "made smaller as in Python"
    for model in ("bicubic", *NETWORKS):
        rgb = clit.upscale(models[model], pair.rgb, size=pair.truth.shape[:2])
        found = viewer.scores()[model][2.5]
        assert found["psnr"] == pytest.approx(metrics.psnr(rgb, pair.truth, scale=2.5), abs=1e-3)
        assert found["psnr_rgb"] == pytest.approx(metrics.psnr(rgb, pair.truth, "rgb", scale=2.5), abs=1e-3)
        assert found["ssim"] == pytest.approx(metrics.ssim(rgb, pair.truth, scale=2.5), abs=1e-4)
    viewer.switch_truth(False)
    viewer.wait_for_picture(22)


def test_the_site_draws_on_the_visitor_s_gpu(gpu_browser, open_window, address, pictures, models, tmp_path):
    models = {**models, "bicubic": clit.load("bicubic")}
    one = pictures / "one.png"
    viewer = open_window(gpu_browser)
    viewer.open(address + FORCED)
    viewer.wait_until_exact(2.5)
    shown = viewer.shown_methods.evaluate_all("all => all.map(each => each.value)")
    assert shown == ["bicubic", *NETWORKS, "input"], "a first view needs few weights"
    for name in ("bicubic", *NETWORKS):
        assert_equal_upscale(viewer.rendering(name), models[name], one)
    for gone in (".share-figure", ".save-look", ".program", "#clit-traces", "#clit-make", "[value=influence]"):
        assert not viewer.frame.locator(gone).count(), "what needs Python is not there"

    viewer.pick(1, *middle(viewer))
    viewer.wait_for_looks(*NETWORKS)
    pixel = viewer.picked()
    for name in NETWORKS:
        found, wanted = viewer.look(name)["answer"], clit.attend(models[name], one, pixel=pixel, scale=2.5)
        assert np.abs(np.array(found["stages"][0]["weights"]) - wanted.stages[0].weights).max() <= 1e-5
        assert np.allclose(found["stages"][0]["latents"], wanted.stages[0].latents, atol=1e-5)
        assert np.abs(np.array(found["rgb"]) - np.clip(wanted.rgb, 0, 1) * 255).max() <= 1.01
    viewer.wait_for_link("pixel=")
    link = viewer.link()
    assert link.startswith(f"{address}{FORCED}#example=one.png")
    assert_axe_finds_nothing_serious(viewer.page)

    viewer.press("Escape")
    check_paints(viewer, one, models["lit-light"])
    viewer.fly(1)
    drawn = [luma(clit.upscale(models[name], one, scale=2.5)) for name in NETWORKS]
    expected = find_places(np.abs(drawn[0] - drawn[1]), (25, 22), drawn[0].shape)[0]
    assert viewer.place()["difference"] == pytest.approx(expected.difference, abs=1e-3)
    assert (viewer.place()["top"], viewer.place()["left"]) == (expected.top, expected.left)
    check_truth(viewer, pictures, models)

    again = open_window(gpu_browser)
    again.open(link.replace("lit-light", "clit-light").replace("scale=2.5", "scale=4.6"))
    again.wait_until_exact(4.6)
    again.wait_for_looks("clit-light")
    assert_equal_upscale(again.rendering("clit-light"), models["clit-light"], one)
    again.share.click()
    page = tmp_path / "view.html"
    again.download(again.share_page).save_as(page)
    again.share.click()
    check_too_large_a_page(again, models["clit-light"])
    check_saved_page(open_window(gpu_browser, offline=True), page, one, models["clit-light"])


def check_too_large_a_page(viewer: Viewer, model) -> None:
    """What a page would hold is counted before the GPU is asked for it: all latents of One, which has 25 x 22."""
    width = model.decoder.config.width
    needed = math.ceil(2 * width * (25 * 22 + 2 * 18 * width) / 3) * 4
    viewer.share.click()
    page, counted = "The page of this view would have ", "A page of this view would have more than "
    for allowed, told in (needed, page), (needed - 1, counted):
        viewer.frame.evaluate(LIMITS.replace("{change}", f"{{ page_bytes: {allowed} }}"))
        viewer.share_page.click()
        expect(viewer.share_status).to_contain_text(told)
        expect(viewer.share_status).to_contain_text("choose a larger scale, or fewer panes")


def check_saved_page(viewer: Viewer, file, picture, model) -> None:
    """The page of a view answers for any pixel, without the site."""
    viewer.page.goto(file.as_uri())
    viewer.wait_until_open()
    viewer.wait_until_exact(4.6)
    viewer.press("Escape")
    viewer.pick(1, *middle(viewer))
    viewer.wait_for_looks("clit-light")
    found = viewer.look("clit-light")["answer"]
    wanted = clit.attend(model, picture, pixel=viewer.picked(), scale=4.6)
    assert len(found["stages"]) == len(wanted.stages) == 2
    for stage, expected in zip(found["stages"], wanted.stages, strict=True):
        assert np.abs(np.array(stage["weights"]) - expected.weights).max() <= 2e-3


def test_files_that_a_visitor_opens_stay_here(gpu_browser, open_window, address, models, tmp_path):
    viewer = open_window(gpu_browser)
    viewer.open(f"{address}{FORCED}#panes=bicubic,lit-light&example=two.png&scale=2")
    tiny.save_photograph(tmp_path / "photograph.png", 20, 26)
    exif = Image.Exif()
    exif[0x112] = 6  # as a camera that was held upright says
    turned = Image.open(tmp_path / "photograph.png").transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.jpg", quality=95, subsampling=0, exif=exif)
    ImageOps.exif_transpose(Image.open(tmp_path / "turned.jpg")).save(tmp_path / "upright.png")
    sent = []
    viewer.page.on("request", lambda request: sent.append(request.method))
    viewer.upload(tmp_path / "turned.jpg")
    viewer.wait_for_picture(26)
    viewer.wait_until_exact(4)
    assert_equal_upscale(viewer.rendering("bicubic"), clit.load("bicubic"), tmp_path / "upright.png")
    assert_equal_upscale(viewer.rendering("lit-light"), models["lit-light"], tmp_path / "upright.png")
    assert set(sent) <= {"GET"}, "nothing leaves"

    guarded = open_window(gpu_browser, bypass_csp=False)
    guarded.page.goto(f"{address}{FORCED}#panes=bicubic,lit-light&example=two.png&scale=2")
    expect(guarded.frame.locator(".pane[data-pass=exact]")).to_have_count(2, timeout=PATIENCE)
    viewer.upload({"name": "words.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(viewer.notice_text).to_contain_text("words.png is no picture that this browser reads")
    viewer.frame.evaluate(LIMITS.replace("{change}", "{ input_pixels: 300 }"))
    viewer.upload(tmp_path / "upright.png")
    viewer.wait_for_picture(19)
    caption = viewer.frame.locator(".caption")
    expect(caption).to_contain_text("Your picture of 26 × 20 pixels was reduced to 19 × 15")
    viewer.frame.evaluate(LIMITS.replace("{change}", "{ upload_bytes: 100 }"))
    viewer.upload(tmp_path / "upright.png")
    expect(viewer.notice_text).to_contain_text("choose one of at most")


def test_without_a_gpu_there_are_ready_made_pictures(browser, gpu_browser, open_window, address):
    other = open_window(gpu_browser)
    other.page.goto(address)
    expect(other.frame.locator(".ready-why")).to_contain_text("WebGPU")  # software would take minutes
    viewer = open_window(browser, bypass_csp=False)
    viewer.page.goto(address)
    viewer.frame.wait_for_selector(".clit-page[data-ready=yes]")
    why = viewer.frame.locator(".ready-why")
    expect(why).to_contain_text("by WebGPU, and this browser offers it none here")
    expect(why).to_contain_text("Newer versions of Chrome, Edge, Safari and Firefox have WebGPU, each on some")
    images = viewer.frame.locator(".ready-pictures img")
    viewer.frame.locator(".example").nth(1).click()
    viewer.frame.get_by_role("button", name=f"×{READY_SCALES[0]}", exact=True).click()
    expect(images).to_have_count(4)
    sizes = "all => Promise.all(all.map(async each => (await each.decode(), [each.naturalWidth, each.naturalHeight])))"
    assert images.evaluate_all(sizes) == [[28 * READY_SCALES[0], 20 * READY_SCALES[0]]] * 4
    assert "CLIT" in images.last.get_attribute("alt")
    assert not viewer.frame.locator("button:disabled").count()
    for scheme, width in (("light", 1366), ("dark", 390)):
        viewer.page.emulate_media(color_scheme=scheme)
        viewer.page.set_viewport_size({"width": width, "height": 800})
        assert viewer.content_width() <= width
        assert len({ground(viewer, "html"), ground(viewer, ".clit-page")}) == 1, "beside and below the page too"
        assert_axe_finds_nothing_serious(viewer.page)


def test_the_speed_page_times_every_model(browser, gpu_browser, open_window, address):
    other = open_window(browser)
    other.page.goto(f"{address}speed.html")
    expect(other.frame.locator(".speed")).to_contain_text("offers no graphics processor by WebGPU here: there is")
    assert not other.frame.locator("button").count()
    viewer = open_window(gpu_browser, permissions=["clipboard-read", "clipboard-write"])
    viewer.page.goto(f"{address}speed.html")
    expect(viewer.frame.locator(".adapter")).to_contain_text("swiftshader, which is software")
    viewer.frame.locator(".window").select_option("64")
    viewer.frame.locator(".begin").click()
    expect(viewer.frame.locator(".progress")).to_have_text("Done.", timeout=PATIENCE)
    rows = viewer.frame.locator("tbody tr").evaluate_all(
        "all => all.map(row => [...row.cells].map(c => c.textContent))"
    )
    assert [row[:3] for row in rows] == [
        [label, f"×{scale}", f"{min(64, 22 * scale)} × {min(64, 25 * scale)}"]
        for label in ("LIIF light", "LIT light", "CLIT light")
        for scale in (2, 4, 12, 30)
    ]
    assert all(float(time) > 0 for row in rows for time in row[3:])
    viewer.frame.locator(".copy").click()
    expect(viewer.frame.locator(".progress")).to_have_text("Copied")
    text = viewer.frame.evaluate("navigator.clipboard.readText()")
    assert "swiftshader" in text and text.count("\n| LIT light | ×12 |") == 1
    viewer.frame.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(new Error('not here')))")
    viewer.frame.locator(".copy").click()
    expect(viewer.frame.locator(".progress")).to_have_text("Selected: copy it by keyboard")
    assert "×12" in viewer.frame.evaluate("getSelection().toString()")
    assert_axe_finds_nothing_serious(viewer.page)
