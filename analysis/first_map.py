"""How soon the page paints which input pixels a pixel comes from: from the click to the first map over the input.

    python analysis/first_map.py [--places 10] [--checkpoints DIR] [--chromium /usr/bin/chromium]

The page as it opens in a window of 1366 x 630, but with the input in place of bicubic, and the tab "Input pixels" open:
input, LIIF, LIT and CLIT light, features cached, nothing being drawn. One pixel after another is clicked; time counts
from the page's hearing of the click to the frame in which the first map of LIT, of 10 steps, lies over the input.
`all_s` is when the last of the three methods has its final map. Writes analysis/first_map.csv, a row per pixel, and
prints its line; `python analysis/tables.py` puts it into docs/page.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
from pathlib import Path

from screenshots import open_page
from serving import serve_page
from speed import product_rate
from viewer import CHROMIUM, Viewer, launch_chromium

from clit.system.process import prepare_process

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "analysis" / "first_map.csv"
WINDOW = (1366, 630)
METHODS = ("lit-light", "liif-light", "clit-light")  # as they are asked about
FIRST_STEPS = 10
COLUMNS = ("y", "x", "first_s", "all_s", "rate_gmac", "cores")

# Resolves right after the frame that paints the first map of another pixel than before, to milliseconds since the
# click, and to when that was.
WAIT = """([viewer, method, steps]) => {
  const before = JSON.stringify(viewer.picked());
  let clicked = 0;
  const note = () => (clicked = performance.now());
  document.addEventListener('pointerdown', note, true);
  window.timed = new Promise((done) => {
    const look = () => {
      if (!clicked || JSON.stringify(viewer.picked()) === before || viewer.trace(method)?.map?.steps !== steps) return;
      if (!document.querySelector(`[data-traced='${steps}']`)) return;
      seen.disconnect();
      document.removeEventListener('pointerdown', note, true);
      const tell = () => done([performance.now() - clicked, clicked]);
      requestAnimationFrame(() => scheduler.postTask(tell, { priority: 'user-blocking' }));
    };
    const seen = new MutationObserver(look);
    seen.observe(document, { attributes: true, attributeFilter: ['data-traced'], subtree: true });
  });
}"""


def measure(viewer: Viewer, places: int) -> list[dict[str, float]]:
    """Return a row, of every one of COLUMNS, for each pixel."""
    _, _, height, width = viewer.box(2)
    rows = []
    for index in range(places + 1):
        y, x = 0.15 + 0.7 * (index * 0.618 % 1), 0.15 + 0.7 * (index * 0.414 % 1)
        before = product_rate()
        viewer.frame.evaluate(WAIT, [viewer.hook(), METHODS[0], FIRST_STEPS])
        viewer.pick(2, round(y * height), round(x * width))
        first, clicked = viewer.frame.evaluate("window.timed")
        for method in METHODS:
            viewer.wait_for_trace(method)
        last = viewer.frame.evaluate("performance.now()") - clicked
        rate = (before + product_rate()) / 2e9
        row = {"y": y, "x": x, "first_s": first / 1000, "all_s": last / 1000}
        rows.append(row | {"rate_gmac": rate, "cores": os.cpu_count()})
    return rows[1:]  # the first warms up


def write(rows: list[dict[str, float]]) -> None:
    """Write analysis/first_map.csv."""
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{value:.4g}" for key, value in row.items()} for row in rows)


def line() -> str:
    """What `write` wrote, as a sentence."""
    with FILE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    first, last, rate = ([float(row[key]) for row in rows] for key in ("first_s", "all_s", "rate_gmac"))
    return (
        f"From the click to the first map of LIT: {statistics.median(first):.1f} s, median of {len(rows)} pixels on "
        f"{rows[0]['cores']} cores of {statistics.median(rate):.0f} GMAC/s together; the slowest took {max(first):.1f} "
        f"s. The final maps of three methods were there after {statistics.median(last):.0f} s."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=10)
    parser.add_argument("--checkpoints", help="as app.py's")
    parser.add_argument("--chromium", default=CHROMIUM)
    flags = parser.parse_args()
    with serve_page(flags.checkpoints) as url, launch_chromium(flags.chromium) as browser:
        viewer = open_page(browser, url, WINDOW, dark=False)
        viewer.choose(0, "input")
        viewer.wait_until_exact()
        viewer.wait_until_drawn_ahead()
        viewer.traces_tab.click()
        write(measure(viewer, flags.places))
    print(line())


if __name__ == "__main__":
    prepare_process()
    main()
