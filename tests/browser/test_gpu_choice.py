"""The visitor's own GPU draws once it has drawn what the server drew, and sooner. After any fault the server draws."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
import tiny
from playwright.sync_api import expect

import clit
from browser.expected import MODELS, assert_equal_upscale
from browser.gpu_page import GpuPage, launch_with_gpu
from clit.exports.weights import write_weights
from clit.geometry import Window
from clit.pictures.files import to_bytes
from clit.ui.colours import attention_colours
from clit.ui.latents import mean_over_latents

SIZE, WINDOW = (56, 72), (10, 20, 14, 16)
PICTURE = np.random.default_rng(6).integers(0, 255, (14, 18, 3)).astype(np.uint8)

HEADS = {"entropy": 0, "entropy-mean": 1, "direction": 2}
"""Whose head is painted, by what is painted of it."""

# An engine in front of a server that answers one view, after so many milliseconds as it says: `served`, and what it has
# in `others` where a method or a paint of that name is asked for.
ENGINE = """async ({ picture, pictureSize, served, others, size, part, milliseconds, isForced, base }) => {
  const { gpuEngine, tryGpu } = await import('/viewer/gpu/gpu_engine.js');
  const { state } = await import('/viewer/store.js');
  const bitmapOf = (text, [height, width]) => {
    const image = new ImageData(new Uint8ClampedArray(bytesOf(text)), width, height);
    return createImageBitmap(image, { colorSpaceConversion: 'none' });
  };
  window.state = state;
  window.openPicture = async () => {
    state.picture = { height: pictureSize[0], width: pictureSize[1], bitmap: await bitmapOf(picture, pictureSize) };
  };
  await openPicture();
  const kinds = { 'lit-light': 'attention', 'liif-light': 'ensemble', bicubic: 'plain' };
  state.models = new Map(Object.entries(kinds).map(([name, kind]) => [name, { kind }]));
  const [top, left, height, width] = part;
  const view = { bitmap: await bitmapOf(served, [height, width]), milliseconds, by: 'the server' };
  Object.assign(view, { size: { height: size[0], width: size[1] }, window: { top, left, height, width } });
  window.trial = tryGpu(base, isForced);
  window.reminded = 0;
  const progress = async () => { reminded += 1; return []; };
  const bitmapOfRequest = ({ model, paint }) => {
    const other = others[paint ?? model];
    return other ? bitmapOf(other, [height, width]) : view.bitmap;
  };
  const answer = async (request) => ({ ...view, bitmap: await bitmapOfRequest(request) });
  const behind = { view: answer, inspect: async () => 'the server', progress };
  window.engine = gpuEngine(behind, trial);
  const asked = { stages: null, error: false, kind: 'exact', chain: 'published', scale: 4 };
  Object.assign(asked, { size: view.size, window: view.window });
  window.look = (model, isOver = () => false, also = {}) => engine.view({ model, ...asked, ...also }, isOver);
  window.pixelsOf = ({ bitmap }) => {
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    return textOf(context.getImageData(0, 0, bitmap.width, bitmap.height).data);
  };
}"""


INSPECT = """async (influence) => {
  const asked = { models: ['lit-light'], chain: 'published', scale: 4, size: { height: 56, width: 72 } };
  const seen = await engine.inspect({ ...asked, row: 31, column: 50, influence });
  return seen instanceof Map ? seen.get('lit-light') : seen;
}"""


@pytest.fixture(scope="module")
def browser(browser):
    with launch_with_gpu(browser) as other:
        yield other


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("choice")
    tiny.save_checkpoints(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIT_CHECKPOINTS", str(folder))
        write_weights(folder / "weights", [{"name": name, "available": True} for name in [*tiny.CONFIGS, "bicubic"]])
        yield folder / "weights"


@pytest.fixture
def expected(weights):
    """What Python makes of the window by lit-light, as bytes."""
    rgb = clit.upscale(clit.load("lit-light"), PICTURE, size=SIZE, window=WINDOW)
    return np.rint(rgb * 255).astype(np.uint8)


@pytest.fixture
def painted(weights):
    """What the server paints of lit-light's heads in the window, as bytes, by what is painted."""
    model = clit.load("lit-light")
    survey = clit.Renderer().survey(model, PICTURE, size=SIZE)
    means = mean_over_latents(survey, Window(0, 0, *SIZE), SIZE, PICTURE.shape[:2])
    top, left, height, width = WINDOW
    found = {}
    for paint, head in HEADS.items():
        part = (means if paint == "entropy-mean" else survey)[top : top + height, left : left + width]
        found[paint] = to_bytes(attention_colours(part, paint.split("-")[0], head, model.radius))
    return found


@pytest.fixture(scope="module")
def shared(browser, weights):
    """A page whose GPU has its kernels from one test to the next: software takes seconds to compile them."""
    page = browser.new_page()
    GpuPage(page, weights)
    page.evaluate("async () => { (await import('/viewer/gpu/device.js')).Gpu.open = async () => gpu; }")
    return page


@pytest.fixture
def start(browser, weights, shared):
    """A function that starts an engine and returns its page: one of its own where a script must run there first."""
    pages = []

    def start_(served, script="", is_forced=True, milliseconds=50, window=WINDOW, base="/weights/", others=None):
        page = shared
        if script or not is_forced:
            page = browser.new_page()
            pages.append(page)
            page.add_init_script(script)
            GpuPage(page, weights)
        given = {"picture": _encode(PICTURE), "pictureSize": PICTURE.shape[:2], "served": _encode(served), "size": SIZE}
        given |= {"part": window, "milliseconds": milliseconds, "isForced": is_forced, "base": base}
        given["others"] = {name: _encode(rgb) for name, rgb in (others or {}).items()}
        page.evaluate(ENGINE, given)
        return page

    yield start_
    for page in pages:
        page.close()


def _encode(rgb: np.ndarray) -> str:
    return base64.b64encode(np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], -1).tobytes()).decode()


def _look(page, model: str = "lit-light", **also) -> str:
    """Ask for the view, wait for the end of the trial that it may begin, and return who drew it."""
    return _look_closely(page, model, **also)[0]


def _look_closely(page, model: str = "lit-light", **also) -> tuple[str, np.ndarray]:
    """Do the same, and return its bytes (h, w, 3) as well."""
    asked = """async ([model, also]) => {
      const view = await look(model, () => false, also);
      await trial.turn;
      return [view.by, pixelsOf(view), view.bitmap.height];
    }"""
    by, pixels, height = page.evaluate(asked, [model, also])
    return by, np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, -1, 4)[..., :3].astype(int)


def test_it_draws_what_the_server_drew_once_it_was_tried(start, expected):
    page = start(expected)
    assert _look(page) == "the server", "it is tried beside the first view"
    assert _look(page) == "your GPU"
    by, drawn = _look_closely(page)
    assert by == "your GPU" and np.abs(drawn - expected).max() <= 1
    others = [{"error": True}, {"paint": "returned", "head": 0}]
    asked = "async (others) => Promise.all(others.map(async (also) => (await look('lit-light', () => false, also)).by))"
    assert page.evaluate(asked, others) == ["the server"] * 2, "what it does not draw is passed on"
    assert page.evaluate("look('lit-light', () => true)") is None, "a stale view is no view, of nobody"
    assert page.evaluate("async () => { await openPicture(); return (await look('lit-light')).by; }") == "the server"


def test_it_paints_heads_as_the_server_does(start, expected, painted):
    page = start(expected, others=painted)
    assert _look(page, paint="entropy", head=0) == "the server", "heads are tried for themselves"
    for paint, head in HEADS.items():
        by, drawn = _look_closely(page, paint=paint, head=head)
        assert by == "your GPU"
        away = np.abs(drawn - painted[paint]).max(-1)
        assert np.mean(away <= 1) >= 0.99 and away.max() <= 5, "a number between two colours may get the other"


def test_heads_that_differ_from_the_servers_stay_there(start, expected, painted):
    page = start(expected, others={**painted, "entropy": painted["entropy"][::-1]})
    assert [_look(page), _look(page)] == ["the server", "your GPU"]
    assert [_look(page, paint="entropy", head=0) for _ in range(2)] == ["the server"] * 2
    assert _look(page) == "your GPU", "its colours are as they were"


def test_after_a_fault_of_the_survey_the_server_draws(start, expected, painted):
    page = start(
        expected,
        """const make = GPUDevice.prototype.createShaderModule;
        GPUDevice.prototype.createShaderModule = function ({ code }) {
          return make.call(this, { code: code.includes('entropy -=') ? 'fn main(' : code });
        };""",
        others=painted,
    )
    assert [_look(page), _look(page)] == ["the server", "your GPU"]
    by, drawn = _look_closely(page, paint="entropy", head=0)
    assert by == "the server" and np.array_equal(drawn, painted["entropy"])
    assert _look(page) == "the server" and page.evaluate("trial.isOver")


def test_interpolation_is_drawn_here_once_a_network_is(start, expected):
    rgb = clit.upscale(clit.load("bicubic"), PICTURE, size=SIZE, window=WINDOW)
    page = start(expected, others={"bicubic": to_bytes(rgb)})
    assert [_look(page, "bicubic") for _ in range(2)] == ["the server"] * 2
    assert page.evaluate("trial.opened") is None, "for that alone no GPU is tried"
    assert [_look(page), _look(page, "bicubic")] == ["the server"] * 2
    by, drawn = _look_closely(page, "bicubic")
    assert by == "your GPU" and np.abs(drawn - to_bytes(rgb)).max() <= 1


def test_the_server_hears_of_a_visitor_whose_gpu_draws(start, expected):
    page = start(expected)
    _look(page)
    assert _look(page) == "your GPU" and page.evaluate("reminded") == 0
    page.evaluate("window.wait = (now) => (performance.now = () => now + 61_000)")
    page.evaluate("wait(performance.now())")
    assert [_look(page), _look(page)] == ["your GPU"] * 2 and page.evaluate("reminded") == 1
    page.evaluate("wait(performance.now())")
    for _ in range(2):
        assert page.evaluate(INSPECT, False) != "the server" and page.evaluate("reminded") == 2
    page.evaluate("delete performance.now")


def test_it_tells_what_a_pixel_looked_at(start, expected):
    page = start(expected)
    assert _look(page) == "the server"
    assert page.evaluate(INSPECT, True) == "the server"
    found = page.evaluate(INSPECT, False)
    assert (found["kind"], found["size"], found["pixel"]) == ("attention", [56, 72], [31, 50])
    truth = clit.Renderer().attend(clit.load("lit-light"), PICTURE, pixel=(31, 50), size=SIZE, influence=False)
    assert np.abs(np.array(found["stages"][0]["weights"]) - truth.stages[0].weights).max() <= 1e-5
    assert np.abs(np.array(found["rgb"]) - np.clip(truth.rgb, 0, 1) * 255).max() <= 1


KEEP_DEVICE = """
const ask = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function () { return (window.device = await ask.call(this)); };"""
NO_SOFTWARE = "Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false });"
WHY_LOST = "Promise.race([device.lost, new Promise((done) => setTimeout(done, 5000))]).then((lost) => lost?.reason)"
FAULTS = {
    "a software adapter": {"is_forced": False},
    "a refused kernel": {
        "script": """const make = GPUDevice.prototype.createShaderModule;
        GPUDevice.prototype.createShaderModule = function () { return make.call(this, { code: 'fn main(' }); };"""
    },
    "no more memory": {
        "script": "GPUDevice.prototype.createBuffer = () => { throw new RangeError('out of memory'); };"
    },
    "weights that are not to be had": {"base": "/nowhere/"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_the_server_draws(start, expected, fault):
    given = FAULTS[fault]
    page = start(expected, **given | {"script": given.get("script", "") + KEEP_DEVICE})
    assert [_look(page), _look(page)] == ["the server"] * 2
    assert page.evaluate("trial.isOver")
    assert page.evaluate("async () => (await trial.opened) === null"), "nothing of it is held"
    if fault != "a software adapter":
        assert page.evaluate(WHY_LOST) == "destroyed", "its memory is free again"


def test_after_its_device_is_lost_the_server_draws(start, expected):
    page = start(
        expected,
        KEEP_DEVICE,
    )
    assert [_look(page), _look(page)] == ["the server", "your GPU"]
    page.evaluate("device.destroy()")
    assert [_look(page), _look(page)] == ["the server"] * 2


def test_after_its_device_ceases_to_answer_the_server_draws(start, expected):
    page = start(expected, NO_SOFTWARE, is_forced=False, milliseconds=60_000)
    page.evaluate("trial.patience.view = 60_000")
    assert [_look(page), _look(page)] == ["the server", "your GPU"]
    slow = """async () => {
      const { onSubmittedWorkDone } = GPUQueue.prototype;
      GPUQueue.prototype.onSubmittedWorkDone = () => new Promise((done) => setTimeout(done, 400));
      trial.patience.view = 2000;
      const views = await Promise.all(Array.from({ length: 6 }, () => look('lit-light')));
      GPUQueue.prototype.onSubmittedWorkDone = onSubmittedWorkDone;
      return views.map((each) => each.by);
    }"""
    assert page.evaluate(slow) == ["your GPU"] * 6, "views wait for one another, and each alone is quick enough"
    page.evaluate(
        """() => {
          GPUQueue.prototype.onSubmittedWorkDone = () => new Promise(() => {});
          trial.patience.view = 300;
        }"""
    )
    assert [_look(page), _look(page)] == ["the server"] * 2
    assert page.evaluate("trial.isOver")


def test_another_picture_than_the_servers_is_never_shown(start, expected):
    page = start(np.clip(expected.astype(int) + 2, 0, 255).astype(np.uint8))
    assert [_look(page), _look(page)] == ["the server"] * 2
    assert page.evaluate("trial.pictures.get(state.picture)") is False


def test_a_slower_gpu_leaves_it_to_the_server(start):
    window = (0, 0, *SIZE)
    page = start(np.zeros((*SIZE, 3), np.uint8), NO_SOFTWARE, is_forced=False, milliseconds=40, window=window)
    page.evaluate(
        """async () => {
          const { GpuRenderer } = await import('/viewer/gpu/renderer.js');
          const draw = GpuRenderer.prototype.draw;
          GpuRenderer.prototype.draw = async function (wanted, isOver, share) {
            await new Promise((done) => setTimeout(done, 60)); // a fast machine may draw these few pixels in 40 ms
            return draw.call(this, wanted, isOver, share);
          };
        }"""
    )
    assert [_look(page), _look(page, "liif-light")] == ["the server"] * 2
    assert page.evaluate("[...trial.models.values(), trial.isOver]") == [False, False, True]
    assert _look(page) == "the server"


def _drawn_by(viewer) -> set[str]:
    """Who drew the networks' panes."""
    viewer.wait_until_exact(viewer.scale())
    titles = [viewer.frame.locator(f".pane[data-model={name}] .mark").get_attribute("title") for name in MODELS]
    return {title.partition(" in ")[0] for title in titles}


def test_the_page_draws_by_it_and_says_so(new_viewer, url, models, tmp_path):
    photograph = tmp_path / "small.png"
    tiny.save_photograph(photograph, 24, 30)
    viewer = new_viewer(viewport={"width": 1000, "height": 460})
    asked = []
    viewer.page.on("request", lambda request: asked.append(request.post_data or ""))
    viewer.open(f"{url}?engine=gpu")
    viewer.upload(photograph)
    viewer.wait_for_picture(30)
    assert _drawn_by(viewer) == {"Drawn by the server"}
    assert any('"model":"lit-light"' in each for each in asked if "render_view" in each)
    for i in range(240):  # while it is tried, the server goes on; what a pane has is not drawn anew
        viewer.set_scale(round(2 + 0.05 * (i % 40), 2))
        if _drawn_by(viewer) == {"Drawn by your GPU"}:
            break
        viewer.page.wait_for_timeout(500)
    assert _drawn_by(viewer) == {"Drawn by your GPU"}
    asked.clear()
    viewer.set_scale(6)
    assert _drawn_by(viewer) == {"Drawn by your GPU"}
    for name, model in models.items():
        assert_equal_upscale(viewer.rendering(name), model, photograph)
    views = [each for each in asked if "render_view" in each]
    assert all('"model":"bicubic"' in each for each in views), "the server is asked for no network's view"
    assert all(re.fullmatch(r"exact, [\d.]+ s, your GPU", viewer.mark(name)) for name in MODELS)
    viewer.page.set_viewport_size({"width": 390, "height": 844})
    for name in MODELS:
        mark = viewer.frame.locator(f".pane[data-model={name}] .mark")
        expect(mark).to_have_text(re.compile(r"^[\d.]+ s, GPU$"))
        assert mark.evaluate("each => each.scrollWidth <= each.clientWidth"), "it is not cut"


COUNT_ADAPTERS = """
window.adapters = 0;
const ask = GPU.prototype.requestAdapter;
GPU.prototype.requestAdapter = async function () {
  const adapter = await ask.call(this);
  window.adapters += 1;
  return adapter;
};"""


def _tell_by_any_view(route) -> None:
    """Let a trial begin with a view that the server drew in no time, too."""
    text = route.fetch().text()
    assert "TELLING_MS = 40;" in text
    route.fulfill(body=text.replace("TELLING_MS = 40;", "TELLING_MS = 0;"), content_type="text/javascript")


@pytest.mark.parametrize("query", ["", "?engine=server"])
def test_software_is_not_asked_to_draw(new_viewer, url, photograph, query):
    viewer = new_viewer(viewport={"width": 1000, "height": 460})
    asked = []
    viewer.page.on("request", lambda request: asked.append(request.url))
    viewer.page.route("**/viewer/gpu/trial.js", _tell_by_any_view)
    viewer.page.add_init_script(COUNT_ADAPTERS)
    viewer.open(f"{url}{query}")
    viewer.upload(photograph)
    viewer.wait_for_picture(96)
    assert _drawn_by(viewer) == {"Drawn by the server"}
    if not query:
        viewer.wait("window.adapters > 0")
    viewer.set_scale(3)
    assert _drawn_by(viewer) == {"Drawn by the server"}
    assert viewer.frame.evaluate("adapters") == (0 if query else 1)
    assert not [each for each in asked if "/weights/" in each]
