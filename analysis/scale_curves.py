"""How much each method gains over bicubic, and over LIT, against the scale.

    python analysis/scores.py --name curves --data cid22 --held-out analysis/held_out.txt \\
        --scales 2,3,4 --model bicubic --model liif-light ...
    python analysis/scale_curves.py [--scores curves]

Reads every picture's figures as analysis/scores.py wrote them under that name. Draws the mean difference to bicubic,
and to lit-light, on the same picture, in dB of luma PSNR, with its 95 % interval over pictures: analysis/NAME.png. The
lines at x4 and x16 are where the published split of CLIT's scale takes in another stage. Prints the differences to
lit-light as Markdown; `python analysis/tables.py` puts them into docs/results.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from paired import interval
from scores import read

from clit.errors import UserError
from clit.scale_chain import STAGE_FACTOR
from clit.training.evaluate import Row, markdown

ROOT = Path(__file__).resolve().parent.parent
STYLES = {
    "liif-light": ("#56b4e9", "-"),
    "lte-light": ("#cc79a7", "-"),
    "lit-light": ("#e69f00", "-"),
    "lit-light-x32": ("#e69f00", ":"),
    "clit-light": ("#009e73", "-"),
    "clit-light, balanced": ("#009e73", "--"),
}
"""Colours of Okabe and Ito, told apart by all eyes; a method's variants share its own."""


def gains(rows: list[Row], model: str, over: str = "bicubic") -> list[tuple[float, float, float, float]]:
    """Per scale: the scale, the mean gain of `model` over another in dB, and the interval's ends."""
    found = {(r.model, r.scale, (r.dataset, r.image)): r.psnr for r in rows}
    scales = sorted({scale for name, scale, _ in found if name == model})
    points = []
    for scale in scales:
        pictures = [picture for name, at, picture in found if (name, at) == (model, scale)]
        differences = [found[model, scale, p] - found[over, scale, p] for p in pictures]
        points.append((scale, *interval(np.array(differences))))
    return points


def table(rows: list[Row]) -> str:
    """Markdown: the mean gain over lit-light in dB, a line per scale, a column per model; bold as in `paired`."""
    models = [model for model in STYLES if model != "lit-light"]
    found = {model: gains(rows, model, "lit-light") for model in models}
    lines = [["scale", *models]]
    for points in zip(*found.values(), strict=True):
        cells = [f"**{mean:+.2f}**" if low > 0 or high < 0 else f"{mean:+.2f}" for _, mean, low, high in points]
        lines.append([f"x{points[0][0]:g}", *cells])
    return markdown(lines)


def figure(rows: list[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(11, 4.2), constrained_layout=True)
    for axes, over in zip(drawn.subplots(1, 2), ("bicubic", "lit-light"), strict=True):
        for model, (colour, line) in STYLES.items():
            if model != over and (points := gains(rows, model, over)):
                scales, means, lows, highs = zip(*points, strict=True)
                axes.plot(scales, means, line, color=colour, marker="o", markersize=3, label=model)
                axes.fill_between(scales, lows, highs, color=colour, alpha=0.07, linewidth=0)
        for seam in (STAGE_FACTOR, STAGE_FACTOR**2):
            axes.axvline(seam, color="0.7", linewidth=0.8, zorder=0)
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set_xscale("log")
        ticks = [1.5, 2, 3, 4, 6, 8, 12, 16, 24, 30]
        axes.set_xticks(ticks, [f"x{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel="scale", ylabel=f"over {over}, dB")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    drawn.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", default="curves", help="the name that scores.py was given")
    flags = parser.parse_args()
    rows = read(flags.scores)
    figure(rows, ROOT / "analysis" / f"{flags.scores}.png")
    print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
