"""How soon the page paints what the pixel under the pointer looked at: from the pointer at rest to painted maps.

    python analysis/live_map.py [--places 20] [--checkpoints DIR] [--chromium /usr/bin/chromium]

The page as it opens in a window of 1366 x 630: bicubic, LIIF, LIT and CLIT light, features cached, nothing being drawn.
The pointer moves to one place after another, far from each other; time counts from the page's hearing of the move to
the frame in which the maps of all three networks lie over that pixel. Writes analysis/live_map.csv, a row per place,
and prints its line; `python analysis/tables.py` puts it into docs/page.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
from pathlib import Path

from screenshots import open_page
from serving import serve_page
from viewer import CHROMIUM, Viewer, launch_chromium

from clit.system.process import prepare_process

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "analysis" / "live_map.csv"
WINDOW = (1366, 630)
NETWORKS = 3  # panes on which a map is painted

# Resolves right after the frame that paints a new pixel's maps over so many panes, to milliseconds since the pointer's
# last move. An urgent task that is posted while a frame is made is done once that has been painted.
WAIT = """([viewer, count]) => {
  const before = JSON.stringify(viewer.painted());
  let moved = 0;
  const note = () => (moved = performance.now());
  document.addEventListener('pointermove', note, true);
  window.timed = new Promise((done) => {
    const look = () => {
      const now = viewer.painted(), pixels = Object.values(now).filter((pixel) => pixel);
      const isWhole = new Set(pixels).size === 1 && pixels.length === count;
      if (!moved || !isWhole || JSON.stringify(now) === before) return;
      seen.disconnect();
      document.removeEventListener('pointermove', note, true);
      const tell = () => done(performance.now() - moved);
      requestAnimationFrame(() => scheduler.postTask(tell, { priority: 'user-blocking' }));
    };
    const seen = new MutationObserver(look);
    seen.observe(document, { attributes: true, attributeFilter: ['data-painted'], subtree: true });
  });
}"""


def measure(viewer: Viewer, places: int) -> list[dict[str, float]]:
    """Return a row for every place: where in the pane, in parts of it, and after how many milliseconds."""
    _, _, height, width = viewer.box(2)
    rows = []
    for index in range(places + 1):
        y, x = 0.15 + 0.7 * (index * 0.618 % 1), 0.15 + 0.7 * (index * 0.414 % 1)
        viewer.frame.evaluate(WAIT, [viewer.hook(), NETWORKS])
        viewer.point(2, round(y * height), round(x * width))
        rows.append({"y": y, "x": x, "painted_ms": viewer.frame.evaluate("window.timed")})
        viewer.page.wait_for_timeout(150)
    return rows[1:]  # the first warms up


def write(rows: list[dict[str, float]]) -> None:
    """Write analysis/live_map.csv."""
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("y", "x", "painted_ms", "cores"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.4g}" for key, value in row.items()} | {"cores": os.cpu_count()} for row in rows
        )


def line() -> str:
    """What `write` wrote, as a sentence."""
    with FILE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = sorted(float(row["painted_ms"]) for row in rows)
    return (
        f"From the pointer at rest to the maps of three networks: {statistics.median(times):.0f} ms, median of "
        f"{len(times)} places on {rows[0]['cores']} cores; the slowest took {times[-1]:.0f} ms."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--checkpoints", help="as app.py's")
    parser.add_argument("--chromium", default=CHROMIUM)
    flags = parser.parse_args()
    with serve_page(flags.checkpoints) as url, launch_chromium(flags.chromium) as browser:
        viewer = open_page(browser, url, WINDOW, dark=False)
        viewer.wait_until_drawn_ahead()
        write(measure(viewer, flags.places))
    print(line())


if __name__ == "__main__":
    prepare_process()
    main()
