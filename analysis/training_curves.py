"""What more steps bring: the held-out photographs' PSNR of the light models against all their steps so far.

    python analysis/training_curves.py

Reads analysis/training.csv, where each run began with the weights of the one before (`scores.RUNS`), and draws luma
PSNR at x2 and x4, a mark where each run ended: analysis/training.png. Within a run the rate falls to almost nothing,
and begins anew in the next.
"""

from __future__ import annotations

import csv
from pathlib import Path

from scale_curves import STYLES
from scores import RUNS

ROOT = Path(__file__).resolve().parent.parent


def course(rows: list[dict[str, str]], name: str, column: str) -> list[tuple[float, float, bool]]:
    """All rows of a model's runs in turn: steps so far, the column's value, and whether its run ended there."""
    points, before = [], 0.0
    for run, preset in RUNS[name]:
        found = [row for row in rows if (row["run"], row["preset"]) == (run, preset)]
        points += [(before + float(row["step"]), float(row[column]), row is found[-1]) for row in found]
        before += float(found[-1]["step"])
    return points


def figure(rows: list[dict[str, str]], path: Path) -> None:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(11, 3.8), constrained_layout=True)
    for axes, scale in zip(drawn.subplots(1, 2), (2, 4), strict=True):
        for name in (name for name in STYLES if name in RUNS):
            colour, line = STYLES[name]
            points = course(rows, name, f"psnr_x{scale}")
            steps, values, ends = zip(*points, strict=True)
            axes.plot(steps, values, line, color=colour, label=name)
            axes.plot(*zip(*[(s, v) for s, v, end in points if end], strict=True), "o", color=colour, markersize=4)
        axes.set(xlabel="steps, all runs together", ylabel=f"x{scale}, dB")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    drawn.savefig(path, dpi=150)


def main() -> None:
    path = ROOT / "analysis" / "training.png"
    with (ROOT / "analysis" / "training.csv").open(newline="") as file:
        figure(list(csv.DictReader(file)), path)
    print(path)


if __name__ == "__main__":
    main()
