"""Find where in the example pictures the methods differ most to the eye, and measure the places that were chosen.

    python analysis/places.py                        # all examples at x4, x8, x12
    python analysis/places.py --only letters --scales 12
    python analysis/places.py --scales               # only the places that were chosen

Prints, for each chosen place ("place" in assets/examples/credits.json) and for the best others, the mean absolute
differences bicubic - LIT and LIIF - LIT in 255ths, over what one of four panes shows in a window of 1366 x 630. Choose
among them by eye. The first is what the page opens with. Run it again when weights change: of all examples, it writes
the chosen places to analysis/places.csv, and `python analysis/tables.py` puts the first into docs/page.md.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import cv2
import numpy as np

import clit
from clit.pictures.files import as_array, to_bytes

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples"
FILE = ROOT / "analysis" / "places.csv"
PANE = (269, 491)  # height, width in output pixels
PAIRS = {"bicubic - LIT": ("bicubic", "lit-light"), "LIIF - LIT": ("liif-light", "lit-light")}
APART = 24  # small-picture pixels between two places


def map_differences(picture: np.ndarray, scale: float) -> dict[str, np.ndarray]:
    """Return, for each of `PAIRS`, the mean |A - B| (H, W) in 255ths over the pane about each output pixel.

    A pane that would stick out of the output shows less of it: it keeps to the output, as the page's panes do.
    """
    names = sorted({name for pair in PAIRS.values() for name in pair})
    shown = {name: to_bytes(clit.upscale(clit.load(name), picture, scale=scale)).astype(np.float32) for name in names}
    height, width = next(iter(shown.values())).shape[:2]
    pane = min(PANE[0], height), min(PANE[1], width)
    means = {}
    for label, (a, b) in PAIRS.items():
        difference = np.abs(shown[a] - shown[b]).mean(-1)
        sums = cv2.integral(difference, sdepth=cv2.CV_64F)
        inside = sums[pane[0] :, pane[1] :] - sums[: -pane[0], pane[1] :] - sums[pane[0] :, : -pane[1]]
        inside = (inside + sums[: -pane[0], : -pane[1]]) / (pane[0] * pane[1])
        before = pane[0] // 2, pane[1] // 2
        after = height - inside.shape[0] - before[0], width - inside.shape[1] - before[1]
        means[label] = np.pad(inside, ((before[0], after[0]), (before[1], after[1])), mode="edge")
    return means


def find_places(means: dict[str, np.ndarray], scale: float, count: int) -> list[tuple[float, float]]:
    """Return the `count` places (row, column in small-picture pixels) where LIIF and LIT differ most, apart."""
    left = means["LIIF - LIT"].copy()
    found = []
    for _ in range(count):
        row, column = np.unravel_index(np.argmax(left), left.shape)
        if left[row, column] < 0:
            break
        found.append(((row + 0.5) / scale, (column + 0.5) / scale))
        reach = round(APART * scale)
        left[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach] = -1
    return found


def print_place(name: str, scale: float, place: tuple[float, float], means: dict[str, np.ndarray], mark: str) -> None:
    row, column = (int(each * scale) for each in place)
    values = "  ".join(f"{label} {each[row, column]:5.2f}" for label, each in means.items())
    print(f"{name:12} x{scale:<4g} row {place[0]:6.1f} column {place[1]:6.1f}  {values}  {mark}", flush=True)


def write(chosen: list[dict[str, float | str]]) -> None:
    """Write analysis/places.csv: a row for every example, with its chosen place and the means there."""
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("example", "scale", "row", "column", *PAIRS), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{v:.5g}" if key in PAIRS else v for key, v in row.items()} for row in chosen)


def read() -> list[dict[str, str]]:
    """What `write` wrote; the first row is what the page opens with."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def line() -> str:
    """How far apart the methods are where the page opens, as a sentence."""
    bicubic, liif = (float(read()[0][label]) for label in PAIRS)
    return (
        f"Where the page opens, LIT differs from bicubic by {bicubic:.1f} of 255 and from LIIF by {liif:.1f}: "
        "means of the absolute difference over a pane."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", help="examples by name, without .png (default: all)")
    parser.add_argument("--scales", nargs="*", type=float, default=[4.0, 8.0, 12.0])
    parser.add_argument("--count", type=int, default=3, help="places to print per picture and scale")
    options = parser.parse_args()
    credits = json.loads((EXAMPLES / "credits.json").read_text(encoding="utf-8"))
    places = []
    for file, credit in credits.items():
        name = Path(file).stem
        if options.only and name not in options.only:
            continue
        picture, chosen = as_array(EXAMPLES / file), credit["place"]
        for scale in sorted({*options.scales, float(chosen["scale"])}):
            means = map_differences(picture, scale)
            if chosen["scale"] == scale:
                place = chosen["row"], chosen["column"]
                print_place(name, scale, place, means, "chosen")
                row, column = (int(each * scale) for each in place)
                found = {label: float(each[row, column]) for label, each in means.items()}
                places.append({"example": file, "scale": chosen["scale"], "row": place[0], "column": place[1], **found})
            if scale in options.scales:
                for place in find_places(means, scale, options.count):
                    print_place(name, scale, place, means, "")
    if not options.only:
        write(places)
        print(line())


if __name__ == "__main__":
    main()
