"""Pictures of the page for the README, taken in Chromium from a server that this script starts and stops.

    python analysis/screenshots.py OUT [--checkpoints DIR] [--chromium /usr/bin/chromium]

Writes OUT/page-{light,dark,inspector,narrow,truth}.png from bundled examples, where they open, with the checkpoints at
hand. README.md shows those of assets/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Browser
from serving import serve_page
from viewer import CHROMIUM, Viewer, launch_chromium

PATIENCE = 300_000  # ms: a base model on a busy machine
WIDE, PHONE = (1366, 768), (390, 844)  # width, height


def open_page(browser: Browser, url: str, window: tuple[int, int], dark: bool) -> Viewer:
    """Open the page in a window of this width and height, and wait until every pane is exact."""
    scheme = "dark" if dark else "light"
    phone = window == PHONE
    viewport = {"width": window[0], "height": window[1]}
    page = browser.new_page(viewport=viewport, color_scheme=scheme, has_touch=phone, is_mobile=phone)
    viewer = Viewer(page.main_frame, PATIENCE)
    viewer.open(url)
    if not viewer.examples.count():
        raise SystemExit("There is no picture in assets/examples to take pictures of.")
    viewer.wait_until_exact()
    return viewer


def pick_pixel(viewer: Viewer, across: float, down: float) -> None:
    """Click at this part of the first pane and wait for what the pixel looked at."""
    _, _, height, width = viewer.box(0)
    viewer.pick(0, down * height, across * width)
    viewer.wait_until_inspected()
    viewer.page.mouse.move(0, 0)


def pick_edge(viewer: Viewer) -> None:
    """Pick one pixel near the middle."""
    pick_pixel(viewer, 0.49, 0.51)


def tap_edge(viewer: Viewer) -> None:
    """Touch a pixel of the second method, beside the handle of the wipe that lies in the middle."""
    _, _, height, width = viewer.box(1)
    viewer.tap(1, 0.51 * height, 0.7 * width)
    viewer.wait_until_inspected()


def pick_two_pixels(viewer: Viewer) -> None:
    """Pick a pixel, pin it, pick another, and open all maps."""
    pick_edge(viewer)
    viewer.pin_toggle.click()
    pick_pixel(viewer, 0.72, 0.3)
    viewer.open_all_maps()


def compare_with_truth(viewer: Viewer) -> None:
    """Switch the ground truth on at x4, with the error of a method, and draw the curve against scale."""
    viewer.set_scale(4)
    viewer.switch_truth(True)
    for pane, method in enumerate(("truth", "liif-light", "lit-light", "error:lit-light")):
        viewer.choose(pane, method)
    viewer.best_score.wait_for()
    viewer.curve_start.click()
    viewer.wait_for_curves()
    viewer.wait_until_exact()


PICTURES = {
    "light": ("letters", WIDE, False, pick_edge),
    "dark": ("pagoda", WIDE, True, pick_edge),
    "inspector": ("letters", WIDE, False, pick_two_pixels),
    "narrow": ("pagoda", PHONE, False, tap_edge),
    "truth": ("city", WIDE, False, compare_with_truth),
}
"""Name of a picture -> example, window, whether it is dark, and what is done before it is taken."""


def take_picture(browser: Browser, url: str, name: str, out: Path) -> Path:
    """Take one of PICTURES from the page at `url`, and return its file."""
    example, window, dark, prepare = PICTURES[name]
    methods = "bicubic,lit-light&wipe=0.5" if window == PHONE else "bicubic,liif-light,lit-light,clit-light"
    viewer = open_page(browser, f"{url}#example={example}.png&panes={methods}", window, dark)
    prepare(viewer)
    path = out / f"page-{name}.png"
    viewer.page.screenshot(path=path)
    viewer.page.close()
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the README's pictures of the page.")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--checkpoints", help="folder of checkpoints (default: checkpoints/)")
    parser.add_argument("--chromium", default=CHROMIUM)
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    with serve_page(flags.checkpoints) as url, launch_chromium(flags.chromium) as browser:
        for name in PICTURES:
            print(take_picture(browser, url, name, flags.out))


if __name__ == "__main__":
    main()
