"""The page in Chromium, driven as a visitor drives it: for the browser tests, for its pictures and for its latency.

What these know of the page's elements, and of `__viewer`, the read-only hook that it offers them, stands here alone.
Positions are (y, x): `y, x` of a pane count in CSS pixels from the top left corner of its canvas, panes count from 0.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Download, Frame, JSHandle, Locator, TimeoutError, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOFTWARE_GPU = [
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--disable-gpu-watchdog",  # it ends what takes long, as software does on a busy machine
]
HOOK = "document.querySelector('.clit-page').__viewer"
AT_REST = f"{HOOK}.picture() && Object.values({HOOK}.passes()).every(p => ['exact', 'input', 'none'].includes(p))"

# While `slow`, answers of the server wait: the earlier a question was asked, the later its answer comes.
DELAY_ANSWERS = """(() => {
  const real = window.fetch;
  window.answers = { slow: false, asked: 0, waiting: 0, delayed: 0 };
  window.fetch = async (...args) => {
    if (!String(args[0]?.url ?? args[0]).includes('component_server')) return real(...args);
    const wait = answers.slow ? Math.max(0, 1600 - 120 * answers.delayed++) : 0;
    answers.asked += 1;
    answers.waiting += 1;
    try {
      const answer = await real(...args);
      const body = await answer.blob();
      await new Promise((done) => setTimeout(done, wait));
      return new Response(body, answer);
    } finally {
      answers.waiting -= 1;
    }
  };
})()"""
# From now on the server seems never to answer.
HOLD_ANSWERS = """() => {
  const real = window.fetch;
  window.fetch = (...args) =>
    String(args[0]?.url ?? args[0]).includes('component_server') ? new Promise(() => {}) : real(...args);
}"""

# While `refusing`, the server seems to be busy with six others.
REFUSE_ANSWERS = """() => {
  const real = window.fetch;
  window.refusing = true;
  window.refused = [];
  window.fetch = async (...args) => {
    if (!window.refusing || !String(args[0]?.url ?? args[0]).includes('component_server')) return real(...args);
    refused.push(JSON.parse(args[1].body).fn_name);
    const busy = JSON.stringify({ busy: true, waiting: 6 });
    return new Response(busy, { headers: { 'Content-Type': 'application/json' } });
  };
}"""

# The next answers from a path of the server are these, each a status, a kind and a text.
ANSWER_INSTEAD = """([part, answers]) => {
  const real = window.fetch;
  window.instead = answers;
  window.fetch = (...args) => {
    const asked = String(args[0]?.url ?? args[0]) + (typeof args[1]?.body === 'string' ? args[1].body : '');
    if (!instead.length || !asked.includes(part)) return real(...args);
    const [status, kind, text] = instead.shift();
    return Promise.resolve(new Response(text, { status, headers: { 'Content-Type': kind } }));
  };
}"""

# While `drawing`, exact views do not arrive, and the server says of LIT's that 40 % are done.
SLOW_VIEWS = """() => {
  const real = window.fetch;
  window.drawing = new Promise((done) => (window.finishDrawing = done));
  window.fetch = async (...args) => {
    const asked = String(args[0]?.url ?? args[0]).includes('component_server') ? JSON.parse(args[1].body) : {};
    if (asked.data?.kind === 'exact') await window.drawing;
    if (asked.fn_name !== 'tell_progress') return real(...args);
    const views = [{ model: 'lit-light', stages: null, error: false, share: 0.4 }];
    return new Response(JSON.stringify({ views }), { headers: { 'Content-Type': 'application/json' } });
  };
}"""

# Moves the slider to and fro over all scales, an event for every frame, then to `target`; waits for exact panes.
SHAKE = """async ([viewer, slider, seconds, target]) => {
  const frame = () => new Promise(requestAnimationFrame);
  const move = (value) => {
    slider.value = value;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
  };
  let events = 1;
  for (const began = performance.now(); performance.now() - began < 1000 * seconds; events += 1) {
    move(Math.round(200 + 199 * Math.sin((performance.now() - began) / 150)));
    await frame();
  }
  move(Math.round((400 * Math.log(target)) / Math.log(30)));
  const ended = performance.now();
  do await frame();
  while (!Object.values(viewer.passes()).every((pass) => ['exact', 'input', 'overview'].includes(pass)));
  return { events, settled_ms: performance.now() - ended };
}"""

# Whether no group of controls lies over another.
LIE_APART = """() => {
  const groups = [...document.querySelectorAll('.scale, .modes, .paint, .more')];
  const boxes = groups.filter((each) => each.checkVisibility()).map((each) => each.getBoundingClientRect());
  const apart = (one, other) =>
    one.right <= other.left || other.right <= one.left || one.bottom <= other.top || other.bottom <= one.top;
  return boxes.every((one, at) => boxes.slice(at + 1).every((other) => apart(one, other)));
}"""


@contextlib.contextmanager
def launch_chromium(path: str = CHROMIUM) -> Iterator[Browser]:
    """Run Chromium without a window until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Rendering:
    """The newest exact answer that a pane has."""

    scale: float
    size: tuple[int, int]  # (H, W) of the whole output
    window: tuple[int, int, int, int]  # top, left, height, width
    pixels: np.ndarray  # (height, width, 3) uint8


@dataclass(frozen=True)
class Loupe:
    """What a pane shows larger."""

    corner: tuple[int, int]  # of what it shows, in pixels of the pane's canvas
    factor: int
    rgba: np.ndarray  # (h, w, 4) uint8


@dataclass(frozen=True)
class Canvas:
    """What a pane shows."""

    corner: tuple[int, int]  # of the whole output, in pixels of the canvas
    rgba: np.ndarray  # (h, w, 4) uint8


def _element(selector: str) -> property:
    return property(lambda viewer: viewer.frame.locator(selector))


class Viewer:
    """The page in a frame of the browser: its elements as locators, and what a visitor does, sees or waits for."""

    # Pictures, scale and size
    heading = _element("h1")
    head = _element(".head")
    examples = _element(".example")
    upload_field = _element(".upload-input")
    notice = _element(".notice")
    notice_text = _element(".notice p")
    notice_close = _element(".notice-close")
    scale_slider = _element(".scale-slider")
    scale_number = _element(".scale-number")
    more = _element(".more summary")
    tools = _element(".tools")
    picture_toggle = _element(".picture-toggle")
    scale_label = _element(".scale > label")
    scale_rests = _element(".scale-rests")
    size_width = _element(".size-width")
    size_height = _element(".size-height")
    axis_scales = _element(".per-axis")
    field_error = _element(".field-error")
    wrong_field = _element("[aria-invalid=true]")

    # Panes
    pane_group = _element(".panes")
    panes = _element(".pane")
    shown_panes = _element(".pane:visible")
    canvases = _element(".pane canvas:not(.loupe)")
    methods = _element(".pane .method")
    shown_methods = _element(".pane:visible .method")
    magnify_in = _element(".magnify-in")
    fit = _element(".fit")
    full_screen = _element(".full-screen")
    wipe_toggle = _element(".wipe-toggle")
    wipe_handle = _element(".wipe-handle")
    blink_toggle = _element(".blink-toggle")
    blink_note = _element(".blink-note")
    differ = _element(".differ")
    loupe_toggle = _element(".loupe-toggle")
    loupes = _element(".loupe:visible")
    differ_count = _element(".differ-count")
    place_marks = _element(".overlay:visible .place.light")
    key = _element(".difference-key:visible")
    gain = _element(".difference-key:visible .gain")
    gain_range = _element(".difference-key:visible .range")
    paint = _element(".paint-what")
    paint_head = _element(".paint-head")
    paint_note = _element(".paint-note")
    paint_gain = _element(".paint-key .gain")
    cascade = _element(".cascade")
    chain = _element(".chain")
    factors = _element(".factors")

    # Ground truth
    truth_toggle = _element(".truth-toggle")
    truth_off = _element(".truth-off")
    scores_section = _element(".scores")
    error_note = _element(".error-told")
    scores_none = _element(".scores-none")
    few_note = _element(".few-told")
    best_decibels = _element(".pane:visible .decibel[data-best=yes]")
    best_score = _element(".score-table .best")
    curve_start = _element(".curve-start")
    curves = _element(".curve svg")

    # The dock: tabs, what the picked pixel looked at, and all maps in a window of their own
    dock = _element(".dock")
    fold = _element(".fold")
    grip = _element(".grip")
    attention_tab = _element("[data-tab=attention]")
    make_tab = _element("[data-tab=make]")
    scores_tab = _element("[data-tab=scores]")
    inspector = _element(".inspector")
    mean_maps = _element(".means .map-button")
    head_maps = _element(".heads .map-button")
    large_map = _element(".enlarged .map")
    large_title = _element(".large-title")
    all_maps = _element(".all-maps")
    all_close = _element(".all-close")
    maps = _element(".maps")
    map_rows = _element(".maps tbody tr")
    map_buttons = _element(".maps .map-button")
    map_grids = _element(".maps tbody th .note:nth-of-type(3)")
    map_captions = _element(".maps .map-button + .largest")
    let_go = _element(".unpick")
    held = _element(".inspector .held")
    map_painted = _element(".map-painted")
    each_scale = _element(".each-scale")
    ruler_ticks = _element(".ruler span")
    enlarged_numbers = _element(".enlarged .number")
    readout = _element(".dock .readout")
    look_method = _element(".look-model")
    look_suffix = _element(".look-suffix")
    look_save = _element(".look-save")
    pin_toggle = _element(".pin-toggle")
    pin_rows = _element(".pins tbody tr")
    pin_columns = _element(".pins thead th")
    pin_maps = _element(".pins .map-button")
    pin_go = _element(".pins .pin-go")
    pin_away = _element(".pins .pin-away")

    # Which input pixels the picked pixel comes from
    traces_tab = _element("[data-tab=traces]")
    traces = _element(".traces")
    traced = _element(".traced")
    trace_maps = _element(".trace-map")
    trace_at = _element(".trace-at")
    trace_stop = _element(".trace-stop")
    trace_agreement = _element(".trace-agreement")

    # What can be sent
    share = _element(".share-toggle")
    share_link = _element(".share-link")
    share_picture = _element(".share-picture")
    share_page = _element(".share-page")
    share_status = _element(".share-status")
    figure_note = _element("#clit-figure-what")

    # Files, the tour, programs
    make_kind = _element(".make-kind")
    make_method = _element(".make-model")
    make_text = _element(".make-what")
    make_start = _element(".make-start")
    make_link = _element(".make-link:not([hidden])")
    tour = _element(".tour")
    tour_step = _element(".tour .step")
    tour_begin = _element(".tour-begin")
    tour_next = _element(".tour-next")
    tour_end = _element(".tour-end")
    snippet = _element(".snippet")

    def __init__(self, frame: Frame, patience: float = 60_000) -> None:
        """Drive the page in `frame`; whatever does not come within `patience` milliseconds is an error."""
        self.frame, self.page, self.patience = frame, frame.page, patience
        self.page.set_default_timeout(patience)

    # What a visitor does

    def open(self, url: str) -> None:
        """Go to the page and wait until it is there, with its first picture if it has any."""
        self.page.goto(url)
        self.wait_until_open()

    def upload(self, file: Path | dict[str, Any]) -> None:
        """Choose a file as a picture of the visitor's own; a dict is a file as Playwright describes one."""
        self.upload_field.set_input_files(file)

    def set_scale(self, scale: float | str) -> None:
        """Type a scale."""
        self.scale_number.fill(str(scale))
        self.scale_number.press("Enter")

    def shake(self, seconds: float, scale: float) -> dict[str, float]:
        """Move the slider to and fro, end about a scale, and wait until every pane is exact.

        Return how many `events` that were, and `settled_ms`, milliseconds from the last to exact panes.
        """
        return self.frame.evaluate(SHAKE, [self.hook(), self.scale_slider.element_handle(), seconds, scale])

    def press(self, *keys: str) -> None:
        """Press these keys one after the other where the panes hear them."""
        self.pane_group.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def choose(self, pane: int, method: str) -> None:
        """Choose the method of a pane."""
        self.methods.nth(pane).select_option(method)

    def pick(self, pane: int, y: float, x: float) -> None:
        """Click a pixel of a pane."""
        top, left, _, _ = self.box(pane)
        self.page.mouse.click(left + x, top + y)

    def point(self, pane: int, y: float, x: float) -> None:
        """Move the mouse to a pixel of a pane."""
        top, left, _, _ = self.box(pane)
        self.page.mouse.move(left + x, top + y)

    def tap(self, pane: int, y: float, x: float) -> None:
        """Touch a pixel of a pane."""
        self.canvases.nth(pane).tap(position={"x": x, "y": y})

    def roll_wheel(self, pane: int, y: float, x: float, delta: float) -> None:
        """Turn the wheel over a pane; upwards, which enlarges, is negative."""
        top, left, _, _ = self.box(pane)
        self.page.mouse.move(left + x, top + y)
        self.page.mouse.wheel(0, delta)

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int) -> None:
        """Move the pressed mouse between two places of the browser's window."""
        self.page.mouse.move(start[1], start[0])
        self.page.mouse.down()
        self.page.mouse.move(end[1], end[0], steps=steps)
        self.page.mouse.up()

    def pinch(self, pane: int, y: float, x: float, apart: tuple[float, ...]) -> None:
        """Move two fingers about a pixel of a pane; `apart` is how far from it each is, one place after the other."""
        top, left, _, _ = self.box(pane)
        touch = self.page.context.new_cdp_session(self.page)

        def send(kind: str, points: list[dict]) -> None:
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        for index, distance in enumerate(apart):
            points = [{"x": left + x + side * distance, "y": top + y, "id": i} for i, side in enumerate((-1, 1))]
            send("touchMove" if index else "touchStart", points)
        send("touchEnd", [])

    def hold_finger(self, y: float, x: float, *moves: tuple[float, float]) -> Callable[[], None]:
        """Put a finger on a pixel of the first pane, and move it to others; return what lifts it."""
        top, left, _, _ = self.box(0)
        touch = self.page.context.new_cdp_session(self.page)
        for index, (down, right) in enumerate([(y, x), *moves]):
            kind = "touchMove" if index else "touchStart"
            point = {"x": left + right, "y": top + down}
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        return lambda: touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def open_more(self) -> None:
        """Open what stands behind More, if it is not open."""
        if not self.frame.locator(".more[open]").count():
            self.more.click()

    def open_all_maps(self) -> None:
        """Open the table of every method, stage and head."""
        self.all_maps.click()
        self.map_rows.first.wait_for()

    def ask_maps(self, quantity: str) -> None:
        """Choose what the maps show."""
        self.frame.locator(f".asks [value={quantity}]").click()

    def objective(self, name: str) -> Locator:
        """Return the button that explains the texture around the picked pixel, or its colour."""
        return self.frame.locator(f".objectives [value={name}]")

    def switch_truth(self, on: bool) -> None:
        """Switch the ground truth on or off, and wait until its picture is there."""
        (self.truth_toggle if on else self.truth_off).click()
        self.frame.locator(f".truth-toggle[aria-pressed={'true' if on else 'false'}]").wait_for()

    def download(self, button: Locator) -> Download:
        """Click what gives a file, and return that."""
        with self.page.expect_download() as download:
            button.click()
        return download.value

    def follow(self, link: str) -> None:
        """Put a link into the address of the page that is open."""
        self.frame.evaluate("(link) => { location.hash = link.slice(link.indexOf('#')); }", link)

    # What happens to the network

    def delay_answers(self) -> None:
        """Let `slow_down` be used on the next page that is opened."""
        self.page.add_init_script(DELAY_ANSWERS)

    def slow_down(self, bytes_per_second: int | None = None) -> None:
        """Delay answers from now on, those of early questions longest; the connection may become slow, too."""
        if bytes_per_second:
            network = self.page.context.new_cdp_session(self.page)
            network.send("Network.enable")
            speed = {"downloadThroughput": bytes_per_second, "uploadThroughput": bytes_per_second}
            network.send("Network.emulateNetworkConditions", {"offline": False, "latency": 150, **speed})
        self.frame.evaluate("window.answers.slow = true")

    def answers(self) -> dict[str, Any]:
        """Return how many questions were `asked`, how many answers are `waiting` and how many were `delayed`."""
        return self.frame.evaluate("window.answers")

    def wait_for_questions(self, count: int) -> None:
        """Wait until the page has asked so many questions since it was opened."""
        self.wait(f"window.answers.asked >= {count}")

    def wait_for_late_answers(self) -> None:
        """Wait until every answer is here, and the page has done what it does with it."""
        self.wait("window.answers.waiting === 0")
        self.frame.evaluate("new Promise((done) => requestIdleCallback(() => requestAnimationFrame(done)))")

    def hold_answers(self) -> None:
        """Let the server seem silent from now on."""
        self.frame.evaluate(HOLD_ANSWERS)

    def refuse_answers(self) -> None:
        """Let the server seem to be busy with six others, until `stop_refusing`."""
        self.frame.evaluate(REFUSE_ANSWERS)

    def answer_instead(self, part: str, *answers: tuple[int, str, str]) -> None:
        """Let the next answers to questions with this part in them be these: status, kind and text of each."""
        self.frame.evaluate(ANSWER_INSTEAD, [part, [list(each) for each in answers]])

    def slow_views(self) -> None:
        """Let exact views take long, with LIT's drawn to 40 %, until `finish_views`."""
        self.frame.evaluate(SLOW_VIEWS)

    def finish_views(self) -> None:
        """Let exact views arrive."""
        self.frame.evaluate("window.finishDrawing()")

    def stop_refusing(self) -> set[str]:
        """Let the server answer again; return the names of the questions that were refused."""
        return set(self.frame.evaluate("(window.refusing = false, window.refused)"))

    def wait_for_mark(self, method: str, text: str) -> None:
        """Wait until the caption of a method's pane says this."""
        self.wait(f"document.querySelector('.pane[data-model=\"{method}\"] .mark').textContent === '{text}'")

    # What the page says of itself

    def ask(self, expression: str) -> Any:
        """Return what an expression of the page's hook gives."""
        return self.frame.evaluate(f"{HOOK}.{expression}")

    def hook(self) -> JSHandle:
        """Return the hook itself, for a script that runs in the page."""
        return self.frame.evaluate_handle(HOOK)

    def view(self) -> dict[str, Any]:
        """Return `scale`, `magnification`, the centre `y`, `x` in input pixels, and the size of a `pane`."""
        return self.ask("view()")

    def scale(self) -> float:
        """Return the scale shown."""
        return self.view()["scale"]

    def magnification(self) -> float:
        """Return how many CSS pixels an output pixel takes along each axis."""
        return self.view()["magnification"]

    def centre(self) -> tuple[float, float]:
        """Return the middle of the view, in input pixels."""
        view = self.view()
        return view["y"], view["x"]

    def place_under(self, y: float, x: float) -> tuple[float, float]:
        """Return the place, in input pixels, that is seen at a place of every pane."""
        view = self.view()
        pane = view["pane"]
        step = view["scale"] * view["magnification"]
        return view["y"] + (y - pane["height"] / 2) / step, view["x"] + (x - pane["width"] / 2) / step

    def picture(self) -> dict[str, Any] | None:
        """Return `id`, `height` and `width` of the open picture."""
        return self.ask("picture()")

    def picked(self) -> tuple[int, int] | None:
        """Return row and column of the picked output pixel."""
        picked = self.ask("picked()")
        return picked and (picked["row"], picked["column"])

    def painted(self) -> dict[str, str | None]:
        """Return "row column" of the output pixel whose map lies over each method's pane."""
        return self.ask("painted()")

    def pins(self) -> list[dict[str, Any]]:
        """Return the pinned pixels, each with `row`, `column` and the methods in `looks`."""
        return self.ask("pins()")

    def look(self, method: str) -> dict[str, Any] | None:
        """Return what the picked pixel looked at by one method: `row`, `column`, and the server's `answer`."""
        return self.ask(f"look('{method}')")

    def trace(self, method: str) -> dict[str, Any] | None:
        """Return how far a method's map of the input pixels behind the picked one is: `done`, `steps`, `isLast`, `map`.

        The map has `region`, `values` (over it, row by row), `diffusion`, `gap`, `steps`, `agreement`.
        """
        return self.ask(f"trace('{method}')")

    def blink(self) -> int | None:
        """Return which of two panes in one place is seen; None where they do not blink."""
        return self.ask("blink()")

    def place(self) -> dict[str, float] | None:
        """Return `top`, `left`, `height`, `width` in input pixels of the place shown where two methods differ most.

        `difference` is the mean over it, in 255ths of brightness.
        """
        return self.ask("place()")

    def scores(self) -> dict[str, dict[float, dict[str, float]]]:
        """Return the scores that are known, by method and scale."""
        return {method: dict(found) for method, found in self.ask("scores()")}

    def passes(self) -> dict[str, str]:
        """Return what each method's pane shows: input, stretched, preview, exact, overview, failed or none."""
        return self.ask("passes()")

    def rendering(self, method: str) -> Rendering:
        """Return the newest exact answer in a method's pane; every pixel of it is opaque."""
        found = self.ask(f"panePixels('{method}')")
        window = tuple(found["window"][side] for side in ("top", "left", "height", "width"))
        rgba = _read_pixels(found["rgba"], *window[2:])
        assert (rgba[..., 3] == 255).all()
        return Rendering(found["scale"], (found["size"]["height"], found["size"]["width"]), window, rgba[..., :3])

    def canvas(self, method: str) -> Canvas:
        """Return what a method's pane shows."""
        found = self.ask(f"canvasPixels('{method}')")
        rgba = _read_pixels(found["rgba"], found["height"], found["width"])
        return Canvas((found["corner"]["y"], found["corner"]["x"]), rgba)

    def loupe(self, method: str) -> Loupe | None:
        """Return what a method's pane shows larger, if it does."""
        found = self.ask(f"loupePixels('{method}')")
        if found is None:
            return None
        side = round(found["side"] * found["factor"])
        return Loupe((found["top"], found["left"]), found["factor"], _read_pixels(found["rgba"], side, side))

    def mark(self, method: str) -> str:
        """Return the few words beside a method's name."""
        return self.frame.locator(f'.pane[data-model="{method}"] .mark').inner_text()

    def decibel(self, method: str) -> str:
        """Return how near a method's pane says it is to the ground truth; empty where it does not."""
        return self.frame.locator(f'.pane[data-model="{method}"] .decibel').text_content()

    def link(self) -> str:
        """Return the address, which holds the view."""
        return self.frame.evaluate("location.href")

    def content_width(self) -> int:
        """Return how many CSS pixels the whole page takes from left to right."""
        return self.frame.evaluate("document.documentElement.scrollWidth")

    def controls_lie_apart(self) -> bool:
        """Return whether no group of controls lies over another."""
        return self.frame.evaluate(LIE_APART)

    def rectangle(self, element: Locator) -> tuple[float, float, float, float]:
        """Return an element's top, left, bottom and right in the browser's window, where it is without scrolling."""
        box = element.bounding_box()
        return box["y"], box["x"], box["y"] + box["height"], box["x"] + box["width"]

    def focused(self) -> str:
        """Return the class of the element that has the focus, the last where it has several."""
        return self.frame.evaluate("document.activeElement.className.split(' ').at(-1)")

    def box(self, pane: int) -> tuple[float, float, float, float]:
        """Scroll a pane into view; return its canvas's top, left, height and width in the browser's window."""
        canvas = self.canvases.nth(pane)
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        return box["y"], box["x"], box["height"], box["width"]

    # Elements of one pane or one row

    def options(self, pane: int, group: str) -> Locator:
        """Return what a pane's menu offers in one of its groups."""
        return self.methods.nth(pane).locator(f"optgroup[label='{group}'] option")

    def stage_windows(self, pane: int) -> Locator:
        """Return the outlines, over a pane, of the windows that the picked pixel's stages looked at."""
        return self.panes.nth(pane).locator(".overlay .window.light")

    def painted_squares(self, pane: int) -> Locator:
        """Return the neighbours that a map paints over a pane."""
        return self.panes.nth(pane).locator(".overlay .painted [fill-opacity]")

    def caption_of(self, map_button: Locator) -> Locator:
        """Return the few words on or below a map."""
        return map_button.locator("+ .largest")

    def pin_marks(self, pane: int) -> Locator:
        """Return the marks of pinned pixels over a pane."""
        return self.panes.nth(pane).locator(".overlay .pin.light")

    def maps_of(self, row: int) -> Locator:
        """Return the maps in a row of the inspector."""
        return self.map_rows.nth(row).locator(".map-button")

    def hatched(self, map_button: Locator) -> Locator:
        """Return the hatched squares of a map."""
        return map_button.locator(".outside")

    def wiped_area(self) -> Locator:
        """Return the place of the two panes that lie one over the other."""
        return self.frame.locator(".stage").first

    # What a visitor waits for

    def wait(self, condition: str) -> None:
        """Wait until an expression in the page holds; a failure tells what the page shows instead."""
        try:
            self.frame.wait_for_function(condition, timeout=self.patience)
        except TimeoutError as error:
            shown = self.frame.evaluate(f"{HOOK} && {{ view: {HOOK}.view(), passes: {HOOK}.passes() }}")
            raise TimeoutError(f"{condition} did not come: {shown}, {self.notice_text.all_text_contents()}") from error

    def wait_until_open(self) -> None:
        """Wait until the page is there, with its first picture if it has any."""
        self.frame.wait_for_selector(".clit-page[data-ready=yes]")
        if self.examples.count():
            self.wait(f"{HOOK}.picture()")

    def wait_for_view(self, condition: str) -> None:
        """Wait until a condition in JavaScript of `scale`, `magnification`, `y`, `x` and `pane` holds."""
        self.wait(f"(({{ scale, magnification, y, x, pane }}) => {condition})({HOOK}.view())")

    def wait_for_picture(self, width: int) -> None:
        """Wait until the open picture is so wide."""
        self.wait(f"{HOOK}.picture()?.width === {width}")

    def wait_for_another_picture(self, id: str) -> None:
        """Wait until a picture is open that has not this id."""
        self.wait(f"![null, undefined, '{id}'].includes({HOOK}.picture()?.id)")

    def wait_for_example(self) -> None:
        """Wait until the open picture is an example."""
        self.wait(f"{HOOK}.picture()?.id.startsWith('example-')")

    def wait_until_exact(self, scale: float | None = None) -> None:
        """Wait until every pane shows its exact pass, of this scale if one is given."""
        asked = "true" if scale is None else f"{HOOK}.view().scale === {scale}"
        self.wait(f"{asked} && {AT_REST}")

    def wait_for_previews(self, *methods: str) -> None:
        """Wait until the panes of these methods show a rough pass."""
        self.wait(f"{list(methods)}.every(m => {HOOK}.passes()[m] === 'preview')")

    def wait_until_drawn_ahead(self) -> None:
        """Wait until the whole picture has been drawn for previews, with every method shown."""
        self.wait(f"{HOOK}.drawnAhead()")

    def wait_for_trace(self, method: str, condition: str = "isLast") -> None:
        """Wait until a condition in JavaScript of `done`, `steps`, `isLast` and `map` holds for a method's map."""
        trace = f"{HOOK}.trace('{method}')"
        self.wait(f"{trace} && (({{ done, steps, isLast, map }}) => {condition})({trace})")

    def painted_trace(self, pane: int) -> Locator:
        """Return the map of input pixels that lies over a pane."""
        return self.panes.nth(pane).locator(".overlay .trace")

    def wait_for_blink(self, pane: int | None) -> None:
        """Wait until this one of two panes in one place is seen."""
        self.wait(f"{HOOK}.blink() === {'null' if pane is None else pane}")

    def fly(self, number: int) -> dict[str, float]:
        """Press for the next place where two methods differ most, and return it once the view is there."""
        self.differ.click()
        self.wait_at_place(number)
        return self.place()

    def wait_at_place(self, number: int) -> None:
        """Wait until the view is at the place of this number, from 1, where two methods differ most."""
        middle = "place && y === place.top + place.height / 2 && x === place.left + place.width / 2"
        told = f"document.querySelector('.differ-count').textContent.startsWith('{number} of')"
        self.wait(f"(({{ y, x }}, place) => {middle})({HOOK}.view(), {HOOK}.place()) && {told}")

    def wait_for_link(self, *parts: str) -> None:
        """Wait until the address holds all of these."""
        self.wait(f"{list(parts)}.every(part => location.hash.includes(part))")

    def wait_for_looks(self, *methods: str, column: int | None = None) -> None:
        """Wait until the inspector knows what the pixel, of this column if one is given, looked at by each method."""
        fresh = "look" if column is None else f"look?.column === {column}"
        self.wait(f"{list(methods)}.map(m => {HOOK}.look(m)).every(look => {fresh})")

    def wait_until_inspected(self) -> None:
        """Wait until the inspector shows maps and asks for no more."""
        self.mean_maps.first.wait_for()
        self.frame.wait_for_selector(".inspector[data-busy=no]")

    def wait_until_painted(self, pixel: tuple[int, int], *methods: str) -> None:
        """Wait until what this output pixel looked at lies over the panes of these methods."""
        self.wait(f"{list(methods)}.every(m => {HOOK}.painted()[m] === '{pixel[0]} {pixel[1]}')")

    def wait_for_next_frame(self) -> None:
        """Wait until what has changed is drawn."""
        self.frame.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def wait_for_pins(self, count: int, looks: int | None = None) -> None:
        """Wait until so many pixels are pinned, each with what so many methods looked at if that is given."""
        known = "true" if looks is None else f"pin.looks.length === {looks}"
        self.wait(f"{HOOK}.pins().length === {count} && {HOOK}.pins().every(pin => {known})")

    def wait_for_scores(self, count: int) -> None:
        """Wait until so many methods have scores."""
        self.wait(f"{HOOK}.scores().filter(([, found]) => found.length).length === {count}")

    def wait_for_curves(self) -> None:
        """Wait until the curves against scale are whole."""
        self.curves.first.wait_for()
        self.frame.wait_for_selector(".curve-start:not([disabled])")

    def wait_for_file(self, name: str) -> None:
        """Wait until a file of this name has been made."""
        self.wait(f"document.querySelector('.make-link:not([hidden])')?.download === '{name}'")

    def wait_until_full_screen(self, on: bool) -> None:
        """Wait until the page fills the screen, or no longer does."""
        full = "document.fullscreenElement?.classList.contains('clit-page')"
        self.wait(full if on else "!document.fullscreenElement")

    def wait_until_panes_end_within(self, least: float, most: float) -> None:
        """Wait until the last pane's lower edge lies between these shares of the window's height."""
        last = "[...document.querySelectorAll('.pane:not([hidden]) canvas:not(.loupe)')].at(-1)"
        share = f"{last}.getBoundingClientRect().bottom / innerHeight"
        self.wait(f"{least} < {share} && {share} <= {most}")


def _read_pixels(data: str, height: int, width: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
