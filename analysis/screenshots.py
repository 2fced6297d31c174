"""Pictures of the page for the README, taken in Chromium from a server that this script starts and stops.

    python analysis/screenshots.py OUT [--checkpoints DIR] [--chromium /usr/bin/chromium]

Writes OUT/page-{light,dark,inspector,narrow,truth}.png from the first bundled example with the checkpoints at hand, the
guided start shown in the dark alone. README.md shows those of assets/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Browser
from serving import serve_page
from viewer import CHROMIUM, Viewer, launch_chromium

PATIENCE = 300_000  # ms: a base model on a busy machine


def open_page(browser: Browser, url: str, width: int, dark: bool) -> Viewer:
    """Open the page in a window so wide, and wait until every pane is at rest."""
    scheme = "dark" if dark else "light"
    phone = width < 640
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=phone, is_mobile=phone
    )
    viewer = Viewer(page.main_frame, PATIENCE)
    viewer.open(url)
    if not viewer.examples.count():
        raise SystemExit("There is no picture in assets/examples to take pictures of.")
    viewer.wait_until_exact()
    return viewer


def pick_pixel(viewer: Viewer, scale: float, across: float, down: float) -> None:
    """Set a scale, then click at this part of the last pane and wait for what the pixel looked at."""
    viewer.set_scale(scale)
    viewer.wait_until_exact(scale)
    last = viewer.canvases.count() - 1
    _, _, height, width = viewer.box(last)
    viewer.pick(last, down * height, across * width)
    viewer.wait_until_inspected()
    viewer.page.mouse.move(0, 0)


def pick_edge(viewer: Viewer) -> None:
    """Pick one pixel at x6."""
    pick_pixel(viewer, 6, 0.55, 0.45)


def pick_two_pixels(viewer: Viewer) -> None:
    """Pick a pixel, pin it, and pick another; panes of attention show how wide it looks."""
    pick_pixel(viewer, 12, 0.55, 0.45)
    viewer.pin_toggle.click()
    pick_pixel(viewer, 12, 0.72, 0.3)
    viewer.paint.select_option("entropy")
    viewer.wait_until_exact()


def compare_with_truth(viewer: Viewer) -> None:
    """Switch the ground truth on at x3, with the errors of two methods, and draw the curve against scale."""
    viewer.set_scale(3)
    viewer.switch_truth(True)
    for pane, method in enumerate(("truth", "lit-light", "error:liif-light", "error:lit-light")):
        viewer.choose(pane, method)
    viewer.press(">", ">")
    viewer.best_score.wait_for()
    viewer.curve_start.click()
    viewer.wait_for_curves()
    viewer.wait_until_exact()


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the README's pictures of the page.")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--checkpoints", help="folder of checkpoints (default: checkpoints/)")
    parser.add_argument("--chromium", default=CHROMIUM)
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    with serve_page(flags.checkpoints) as url, launch_chromium(flags.chromium) as browser:
        for name, width, dark, prepare in (
            ("light", 1400, False, pick_edge),
            ("dark", 1400, True, None),
            ("inspector", 1400, False, pick_two_pixels),
            ("narrow", 390, False, pick_edge),
            ("truth", 1400, False, compare_with_truth),
        ):
            viewer = open_page(browser, url, width, dark)
            if prepare:
                viewer.guide_end.click()
                prepare(viewer)
            path = flags.out / f"page-{name}.png"
            # A window of the page's height: while Playwright takes a "full page" there is no touch, but words for keys.
            viewer.page.set_viewport_size({"width": width, "height": viewer.content_height()})
            viewer.wait_until_exact()
            viewer.page.screenshot(path=path)
            print(path)
            viewer.page.close()


if __name__ == "__main__":
    main()
