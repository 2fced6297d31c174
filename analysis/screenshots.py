"""Pictures of the page for the README, taken in Chromium from a server that this script starts and stops.

    python analysis/screenshots.py OUT [--checkpoints DIR] [--chromium /usr/bin/chromium]

Writes OUT/page-{light,dark,inspector,narrow,truth}.png from the first bundled example with the checkpoints at hand, the
guided start shown in the dark alone. README.md shows those of assets/.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
PATIENCE = 300_000  # ms: a base model on a busy machine
VIEWER = "document.querySelector('.clit-page').__viewer"
RESTING = f"{VIEWER}.picture() && Object.values({VIEWER}.passes()).every(p => ['exact', 'input', 'none'].includes(p))"


@contextlib.contextmanager
def served(checkpoints: str | None) -> Iterator[str]:
    """The page's address, while `python app.py` runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port)]
    if checkpoints:
        command += ["--checkpoints", str(Path(checkpoints).resolve())]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            if server.poll() is not None:
                raise SystemExit("The page did not start: run `python app.py` to see why.")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def opened(browser: Browser, url: str, width: int, dark: bool) -> Page:
    """The page with every pane at rest."""
    scheme = "dark" if dark else "light"
    phone = width < 640
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=phone, is_mobile=phone
    )
    page.goto(url)
    page.wait_for_selector(".clit-page[data-ready=yes]", timeout=PATIENCE)
    if not page.locator(".example").count():
        raise SystemExit("There is no picture in assets/examples to take pictures of.")
    page.wait_for_function(RESTING, timeout=PATIENCE)
    return page


def pick(page: Page, scale: str, across: float, down: float) -> None:
    """Set a scale, then click at this part of the last pane and wait for what the pixel looked at."""
    page.fill(".scale-number", scale)
    page.press(".scale-number", "Enter")
    page.wait_for_function(f"{VIEWER}.view().scale === {float(scale)}")
    page.wait_for_function(RESTING, timeout=PATIENCE)
    page.locator(".pane canvas").last.scroll_into_view_if_needed()
    box = page.locator(".pane canvas").last.bounding_box()
    page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
    page.wait_for_selector(".maps tbody tr", timeout=PATIENCE)
    page.wait_for_selector(".inspector[data-busy=no]", timeout=PATIENCE)
    page.mouse.move(0, 0)


def two_pixels(page: Page) -> None:
    """Pick a pixel, pin it, and pick another; panes of attention show how wide it looks."""
    pick(page, "12", 0.55, 0.45)
    page.click(".pin-toggle")
    pick(page, "12", 0.72, 0.3)
    page.locator(".paint-what").select_option("entropy")
    page.wait_for_function(RESTING, timeout=PATIENCE)


def compare(page: Page) -> None:
    """Switch the ground truth on at x3, with the errors of two methods, and draw the curve against scale."""
    page.fill(".scale-number", "3")
    page.press(".scale-number", "Enter")
    page.click(".truth-toggle")
    for pane, method in enumerate(("truth", "lit-light", "error:liif-light", "error:lit-light")):
        page.locator(".pane .method").nth(pane).select_option(method)
    page.locator(".panes").focus()
    page.keyboard.press(">")
    page.keyboard.press(">")
    page.wait_for_selector(".score-table .best", timeout=PATIENCE)
    page.click(".curve-start")
    page.wait_for_selector(".curve-start:not([disabled])", timeout=PATIENCE)
    page.wait_for_function(RESTING, timeout=PATIENCE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the README's pictures of the page.")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--checkpoints", help="folder of checkpoints (default: checkpoints/)")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    with served(flags.checkpoints) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=flags.chromium, args=FLAGS)
        for name, width, dark, prepare in (
            ("light", 1400, False, lambda page: pick(page, "6", 0.55, 0.45)),
            ("dark", 1400, True, None),
            ("inspector", 1400, False, two_pixels),
            ("narrow", 390, False, lambda page: pick(page, "6", 0.55, 0.45)),
            ("truth", 1400, False, compare),
        ):
            page = opened(browser, url, width, dark)
            if prepare:
                page.click(".guide-end")
                prepare(page)
            path = flags.out / f"page-{name}.png"
            # A window of the page's height: while Playwright takes a "full page" there is no touch, but words for keys.
            page.set_viewport_size({"width": width, "height": page.evaluate("document.documentElement.scrollHeight")})
            page.wait_for_function(RESTING, timeout=PATIENCE)
            page.screenshot(path=path)
            print(path)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
