"""An empty page that draws by WebGPU, on the software adapter that Chromium brings: for the kernels alone."""

from __future__ import annotations

import base64
import contextlib
import mimetypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, Route
from viewer import CHROMIUM, FLAGS, SOFTWARE_GPU

import clit.ui

VIEWER = Path(clit.ui.__file__).parent / "viewer"
ADDRESS = "http://127.0.0.1:9/"  # nothing listens there, the test itself answers; WebGPU needs a safe address

SETUP = """async () => {
  const { Gpu } = await import('/viewer/gpu/device.js');
  const { GpuRenderer } = await import('/viewer/gpu/renderer.js');
  window.bytesOf = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  window.textOf = (data) => {
    let text = '';
    const bytes = new Uint8Array(data.buffer);
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text);
  };
  window.gpu = await Gpu.open({ software: true });
  window.renderer = new GpuRenderer(gpu, '/weights/');
}"""


RENDER = """async (wanted) => {
  let found;
  await renderer.render(wanted, () => false, () => {}, async ({ colours, bytes }, [, , height, width]) => {
    const count = height * width;
    found = [await gpu.read(colours, 4 * count), await gpu.read(bytes, count)];
  });
  return found.map((each) => textOf(new Uint8Array(each)));
}"""


DRAW = """async ([wanted, over]) => {
  const shares = [];
  let asked = 0;
  const isOver = () => (asked += 1) >= (over ?? Infinity);
  const drawn = await renderer.draw(wanted, isOver, (share) => shares.push(share));
  return [drawn && textOf(drawn.pixels), asked, shares];
}"""


@contextlib.contextmanager
def launch_with_gpu(browser: Browser) -> Iterator[Browser]:
    """Run a browser of the same kind with a software adapter for WebGPU until the block ends."""
    other = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, *SOFTWARE_GPU])
    yield other
    other.close()


class GpuPage:
    """A page with a `GpuRenderer` of a folder of weights."""

    def __init__(self, page: Page, weights: Path):
        self.page = page

        def answer(route: Route) -> None:
            path = route.request.url.removeprefix(ADDRESS)
            file = VIEWER / path.removeprefix("viewer/") if path.startswith("viewer/") else weights.parent / path
            if not file.is_file():
                route.fulfill(body="<html></html>", content_type="text/html")
            else:
                route.fulfill(body=file.read_bytes(), content_type=mimetypes.guess_type(file.name)[0])

        page.route(f"{ADDRESS}**", answer)
        page.goto(ADDRESS)
        page.evaluate(SETUP)
        self._open: np.ndarray | None = None

    def open(self, image: np.ndarray) -> None:
        """Open a picture (h, w, 3), uint8, unless it is open: features are made once, which takes long in software."""
        if self._open is image:
            return
        self._open = image
        rgba = np.concatenate([image, np.full_like(image[..., :1], 255)], -1)
        sent = [base64.b64encode(rgba.tobytes()).decode(), list(image.shape[:2])]
        self.page.evaluate("([rgba, size]) => renderer.open(new Uint8ClampedArray(bytesOf(rgba)), size)", sent)

    def render(self, **wanted) -> tuple[np.ndarray, np.ndarray]:
        """Return RGB (height, width, 3), not clipped, and its bytes, of a `Wanted` of one tile: both of one drawing."""
        colours, drawn = self.page.evaluate(RENDER, wanted)
        return _read(colours, np.float32, wanted["window"]), _read(drawn, np.uint8, wanted["window"])

    def draw(self, wanted: dict, over: int | None = None) -> tuple[np.ndarray | None, int, list[float]]:
        """Draw a `Wanted` that may have many tiles, as pages do.

        Returns the bytes (height, width, 3), how often it asked whether the view is still wanted, and the shares that
        were done. over: from that time on it is wanted no more, and there are no bytes.
        """
        pixels, asked, shares = self.page.evaluate(DRAW, [wanted, over])
        return pixels and _read(pixels, np.uint8, wanted["window"]), asked, shares


def _read(text: str, kind: type, window: list[int]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(*window[2:], 4)[..., :3]
