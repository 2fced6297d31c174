"""Differences between methods, picture by picture, with 95 % intervals.

    python analysis/paired.py [--scores scores] [--format latex]

Reads every picture's figures as analysis/scores.py wrote them under that name, and prints Markdown or LaTeX. Some
pictures are hard for all methods, so means hide what differences tell. Each interval is a percentile bootstrap: the
mean difference over a dataset's pictures, drawn with replacement. `python analysis/tables.py` puts the tables into
docs/results.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
from scores import read

from clit.errors import UserError
from clit.training.evaluate import FORMATS, Row, markdown

PAIRS = (
    ("lte-light", "liif-light"), ("lit-light", "liif-light"), ("lit-light", "lte-light"), ("clit-light", "lit-light"),
    ("clit-light", "lit-light-x32"), ("clit-light, balanced", "clit-light"), ("lit-light", "liif-base"),
    ("lit-base", "liif-base"), ("lit-base", "lit-light"), ("clit-base", "lit-base"), ("clit-base", "clit-light"),
    ("lit-light-r1", "lit-light-r3"), ("lit-light-r2", "lit-light-r3"), ("lit-light-no-bias", "lit-light-r3"),
    ("lit-light-fourier", "lit-light-r3"), ("clit-light-cumulative", "lit-light-r3"),
    ("clit-light-at-once", "clit-light-cumulative"),
    ("clit-light", "clit-light-last"), ("clit-light-fresh", "clit-light-last"),
    ("clit-light-equal", "clit-light-last"), ("clit-light-third", "clit-light-last"),
    ("clit-light-last", "lit-light-x32"), ("clit-light-equal", "lit-light-x32"),
)  # fmt: skip
DRAWS = 10_000


def interval(differences: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[float, float, float]:
    """Mean of the differences (n,), and the 2.5 and 97.5 percentiles of it over pictures drawn with replacement."""
    random = np.random.default_rng(seed)
    drawn = differences[random.integers(len(differences), size=(draws, len(differences)))].mean(1)
    return differences.mean(), *np.percentile(drawn, (2.5, 97.5))


def cell(differences: np.ndarray) -> str:
    """The mean of the differences and its interval as text, bold where the interval leaves out 0."""
    mean, low, high = interval(differences)
    text = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
    return f"**{text}**" if low > 0 or high < 0 else text


def table(rows: list[Row], write: Callable = markdown) -> str:
    """Return a line per pair of `PAIRS` and dataset, a column per scale. write: one of `evaluate.FORMATS`."""
    found = {(r.dataset, r.model, r.scale, r.image): r.psnr for r in rows}
    scales = sorted({row.scale for row in rows})
    lines = [["difference", "dataset", *(f"x{scale:g}" for scale in scales)]]
    for a, b in PAIRS:
        for dataset in dict.fromkeys(row.dataset for row in rows):
            cells = []
            for scale in scales:
                images = [key[3] for key in found if key[:3] == (dataset, a, scale)]
                pairs = [(found[dataset, a, scale, i], found.get((dataset, b, scale, i))) for i in images]
                differences = np.array([x - y for x, y in pairs if y is not None])
                cells.append(cell(differences) if len(differences) else "-")
            if set(cells) != {"-"}:
                lines.append([f"{a} - {b}", dataset, *cells])
    return write(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", default="scores", help="the name that scores.py was given")
    parser.add_argument("--format", default="markdown", choices=FORMATS, help="of the table that is printed")
    flags = parser.parse_args()
    print(table(read(flags.scores), FORMATS[flags.format]))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
