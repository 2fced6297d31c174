"""How long a zoom film takes, and how well that is told before and while it is made.

    python analysis/films.py [--scale 8] [--side 400] [--suffixes .webp,.mp4]

The page's film of the example that it opens with, about its telling place: from x1 to a scale, two methods of `side`
pixels square each. Features are not cached. A second thread asks four times a second how long it will still take, as
the page does; of what it hears between 2 and 90 percent of the time, the worst counts. Seconds are also given at a
product rate of 100 GMAC/s, by that of a (4096 x 256)(256 x 256) product right before and after.

Writes analysis/films.csv and prints Markdown; `python analysis/tables.py` puts it into docs/speed.md.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import tempfile
import threading
import time
from pathlib import Path

import torch
from speed import product_rate

import clit
from clit.exports.film import Film, predict_film_seconds, save_film
from clit.networks import compiling
from clit.system.process import prepare_process
from clit.training.evaluate import markdown
from clit.ui.examples import BUNDLED, Examples
from clit.ui.jobs import FILM_FPS, FILM_SECONDS, Progress

FILE = Path(__file__).resolve().parent / "films.csv"
METHODS = (("bicubic", "lit-light"), ("liif-light", "lit-light"), ("lit-light", "clit-light"))


def hear(progress: Progress, ended: threading.Event) -> list[tuple[float, float]]:
    """Return when it was asked, and what was told to be left then, until a film is finished."""
    heard = []
    while not ended.wait(0.25):
        left = progress.describe()["seconds_left"]
        if left is not None:
            heard.append((time.monotonic(), left))
    return heard


def measure(methods: tuple[str, ...], suffix: str, scale: float, side: int) -> dict[str, object]:
    """Make a film; return its row."""
    examples = Examples(BUNDLED)
    picture = examples.open(examples.names()[0])
    about = picture.place["row"], picture.place["column"]
    film = Film(1.0, scale, about, (side, side), FILM_SECONDS, FILM_FPS)
    models, renderer = {name: clit.load(name) for name in methods}, clit.Renderer()
    told = predict_film_seconds(models, picture.rgb, suffix, film, renderer=renderer)
    progress, ended, heard = Progress(threading.Event()), threading.Event(), []
    listener = threading.Thread(target=lambda: heard.extend(hear(progress, ended)))
    with tempfile.TemporaryDirectory() as folder:
        before = product_rate()
        listener.start()
        began, worked = time.monotonic(), time.process_time()
        progress.begin(told)
        path = Path(folder) / f"film{suffix}"
        save_film(models, picture.rgb, path, film, renderer=renderer, progress=progress.report)
        end, worked = time.monotonic(), time.process_time() - worked
        ended.set()
        listener.join()
        rate, size = (before + product_rate()) / 2, path.stat().st_size
    taken = end - began
    wrong = [left / (end - at) for at, left in heard if 0.02 * taken < at - began < 0.9 * taken]
    return {
        "methods": " ".join(methods), "suffix": suffix, "scale": scale, "side": side, "frames": len(film.scales),
        "seconds": taken, "cpu_seconds": worked, "seconds_at_100": taken * rate / 100e9, "rate_gmac": rate / 1e9,
        "told": told, "worst_left": max(wrong, key=lambda ratio: abs(math.log(max(ratio, 1e-3)))),
        "megabytes": size / 1e6, "threads": torch.get_num_threads(), "cores": os.cpu_count(),
    }  # fmt: skip


def read() -> list[dict[str, str]]:
    """The rows of analysis/films.csv."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]]) -> str:
    """The rows, as Markdown: a line per film."""
    head = ["methods", "file", "size", "takes", "of all cores", "at 100 GMAC/s", "told before", "told then, at worst"]
    lines = [
        [
            row["methods"].replace(" ", ", "), row["suffix"], f"{float(row['megabytes']):.1f} MB",
            f"{float(row['seconds']):.0f} s", f"{float(row['cpu_seconds']):.0f} s",
            f"{float(row['seconds_at_100']):.0f} s", f"{float(row['told']):.0f} s",
            f"{float(row['worst_left']):.2f} times",
        ]
        for row in rows
    ]  # fmt: skip
    return markdown([head, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=8.0)
    parser.add_argument("--side", type=int, default=400)
    parser.add_argument("--suffixes", default=".webp,.mp4")
    flags = parser.parse_args()
    compiling.wait()
    rows = []
    for methods in METHODS:
        for suffix in flags.suffixes.split(","):
            rows.append(measure(methods, suffix, flags.scale, flags.side))
            print(rows[-1], flush=True)
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows
        )
    print(table(read()))


if __name__ == "__main__":
    prepare_process()
    main()
