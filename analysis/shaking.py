"""How soon the page settles after its slider was shaken: from the last movement to all panes exact.

    python analysis/shaking.py [--repeats 5] [--checkpoints DIR] [--chromium /usr/bin/chromium]

The page as it opens in a window of 1366 x 630: bicubic, LIIF, LIT and CLIT light, features cached. The slider goes to
and fro over all scales for six seconds, an event for every frame of the screen, and ends at another scale each time.
Times are also given scaled to a product rate of 100 GMAC/s, as analysis/latency.py does. Writes analysis/shaking.csv, a
row per shaking, and prints its line; `python analysis/tables.py` puts it into docs/speed.md.
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
FILE = ROOT / "analysis" / "shaking.csv"
WINDOW = (1366, 630)
SECONDS = 6
COLUMNS = ("scale", "events", "settled_ms", "settled_ms_at_100", "rate_gmac", "cores")
SCALES = (8.0, 3.0, 16.0, 5.0, 24.0)  # where it ends, one after the other


def measure(viewer: Viewer, repeats: int) -> list[dict[str, float]]:
    """Return a row, of every one of COLUMNS, for each time that it was shaken."""
    rows = []
    for index in range(repeats + 1):
        viewer.wait_until_drawn_ahead()
        scale = SCALES[index % len(SCALES)]
        before = product_rate()
        found = viewer.shake(SECONDS, scale)
        rate = (before + product_rate()) / 2
        at_100 = found["settled_ms"] * rate / 100e9
        machine = {"rate_gmac": rate / 1e9, "cores": os.cpu_count()}
        rows.append({"scale": scale, **found, "settled_ms_at_100": at_100, **machine})
    return rows[1:]  # the first warms up


def write(rows: list[dict[str, float]]) -> None:
    """Write analysis/shaking.csv."""
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{value:.4g}" for key, value in row.items()} for row in rows)


def line() -> str:
    """What `write` wrote, as a sentence."""
    with FILE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    times, scaled = ([float(row[key]) / 1000 for row in rows] for key in ("settled_ms", "settled_ms_at_100"))
    return (
        f"Shaken for {SECONDS} seconds, the slider leaves all four panes of the opening view exact after "
        f"{statistics.median(times):.2f} s, {statistics.median(scaled):.2f} s at 100 GMAC/s: medians of {len(times)} "
        f"on {rows[0]['cores']} cores; the slowest took {max(times):.2f} s, {max(scaled):.2f} s at 100 GMAC/s."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--checkpoints", help="as app.py's")
    parser.add_argument("--chromium", default=CHROMIUM)
    flags = parser.parse_args()
    with serve_page(flags.checkpoints) as url, launch_chromium(flags.chromium) as browser:
        write(measure(open_page(browser, url, WINDOW, dark=False), flags.repeats))
    print(line())


if __name__ == "__main__":
    prepare_process()
    main()
