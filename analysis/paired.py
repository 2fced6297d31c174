"""Paired differences between methods, picture by picture, with 95 % intervals.

    python analysis/paired.py [--scores scores] [--update-readme]

Reads every picture's figures as analysis/scores.py wrote them under that name. The same pictures are hard for all
methods, so means hide what differences tell: each interval is a percentile bootstrap of a dataset's mean difference
over its pictures.
Prints Markdown; --update-readme puts the table between its marks in README.md.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from readme import README, with_block

from clit.errors import UserError
from clit.training.evaluate import markdown

ROOT = Path(__file__).resolve().parent.parent
PAIRS = (
    ("lte-light", "liif-light"), ("lit-light", "liif-light"), ("lit-light", "lte-light"), ("clit-light", "lit-light"),
    ("clit-light", "lit-light-x32"), ("clit-light, balanced", "clit-light"),
    ("lit-light-r1", "lit-light-r3"), ("lit-light-r2", "lit-light-r3"), ("lit-light-no-bias", "lit-light-r3"),
    ("lit-light-fourier", "lit-light-r3"), ("clit-light-cumulative", "lit-light-r3"),
    ("clit-light-at-once", "clit-light-cumulative"),
)  # fmt: skip
DRAWS = 10_000


def interval(differences: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[float, float, float]:
    """Mean of the differences (n,), and the 2.5 and 97.5 percentiles of it over pictures drawn with replacement."""
    random = np.random.default_rng(seed)
    drawn = differences[random.integers(len(differences), size=(draws, len(differences)))].mean(1)
    return differences.mean(), *np.percentile(drawn, (2.5, 97.5))


def table(rows: list[dict[str, str]]) -> str:
    """Markdown: a line per pair and dataset, a column per scale; differences whose interval leaves out 0 are bold."""
    found = {(r["dataset"], r["model"], float(r["scale"]), r["image"]): float(r["psnr"]) for r in rows}
    scales = sorted({key[2] for key in found})
    lines = [["difference", "dataset", *(f"x{scale:g}" for scale in scales)]]
    for a, b in PAIRS:
        for dataset in dict.fromkeys(r["dataset"] for r in rows):
            cells = []
            for scale in scales:
                images = [key[3] for key in found if key[:3] == (dataset, a, scale)]
                pairs = [(found[dataset, a, scale, i], found.get((dataset, b, scale, i))) for i in images]
                differences = np.array([x - y for x, y in pairs if y is not None])
                if not len(differences):
                    break
                mean, low, high = interval(differences)
                told = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
                cells.append(f"**{told}**" if low > 0 or high < 0 else told)
            if cells:
                lines.append([f"{a} - {b}", dataset, *cells])
    return markdown(lines)


def read(name: str) -> list[dict[str, str]]:
    """Every picture's figures, as analysis/scores.py wrote them under that name; UserError if it did not."""
    path = ROOT / "analysis" / f"{name}.csv"
    if not path.is_file():
        raise UserError(f"There is no {path}: make it with python analysis/scores.py --name {name}.")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", default="scores", help="the name that scores.py was given")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    flags = parser.parse_args()
    block = table(read(flags.scores))
    print(block)
    if flags.update_readme:
        README.write_text(with_block(f"paired-{flags.scores}", block))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
