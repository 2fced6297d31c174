"""What more steps bring: the light models' PSNR on held-out photographs against all their steps so far.

    python analysis/training_curves.py

Reads analysis/training.csv, where each run began with the weights of the one before (`RUNS`). Draws luma PSNR at x2
and x4, a mark where each run ended: analysis/training.png. Within a run the rate falls to almost nothing, and begins
anew in the next. Prints where each run ended, and what each model took in all; `python analysis/tables.py` puts both
into docs/training.md.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from scale_curves import STYLES
from scores import ABLATED

from clit.training.evaluate import markdown

ROOT = Path(__file__).resolve().parent.parent
BEGAN = {"liif-light": ("liif alone", "liif-light"), "lit-light-x32": ("second", "lit-light")}
LIT_BASE = (("gpu base", "lit-base"), ("gpu base longer", "lit-base"))
TOGETHER = ("third", "fourth", "fifth", "branch", "gpu", "gpu longer")
RUNS = {
    **{
        name: (BEGAN.get(name, ("second", name)), *((run, name) for run in TOGETHER))
        for name in ("liif-light", "lte-light", "lit-light", "clit-light", "lit-light-x32")
    },
    "lit-base": LIT_BASE,
    "clit-base": (*LIT_BASE, ("gpu cascade", "clit-base"), ("gpu cascade longer", "clit-base")),
    **{name: (("ablations", name),) for name in ABLATED},
}
"""The runs that made the weights in checkpoints/, as analysis/training.csv calls them: each began where the one before
had ended. Of each run its name, and the preset that it trained."""


def read() -> list[dict[str, str]]:
    """The rows of analysis/training.csv."""
    with (ROOT / "analysis" / "training.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def course(rows: list[dict[str, str]], name: str, column: str) -> list[tuple[float, float, bool]]:
    """All rows of a model's runs in turn: steps so far, the column's value, and whether its run ended there."""
    points, before = [], 0.0
    for run, preset in RUNS[name]:
        found = [row for row in rows if (row["run"], row["preset"]) == (run, preset)]
        points += [(before + float(row["step"]), float(row[column]), row is found[-1]) for row in found]
        before += float(found[-1]["step"])
    return points


def table(rows: list[dict[str, str]]) -> str:
    """Where each run ended, as Markdown: steps of the run, and luma PSNR at x2 and x4 on held-out photographs."""
    last = {(row["run"], row["preset"]): row for row in rows}  # of each run its last row
    lines = [["model", "run", "steps", "x2", "x4"]]
    for name in RUNS:
        for run in RUNS[name]:
            row = last[run]
            lines.append([name, run[0], row["step"], row["psnr_x2"], row["psnr_x4"]])
    return markdown(lines)


def spent(name: str) -> list[str]:
    """A model's runs, and the steps, minutes, CPU minutes alone and shared CPU minutes of them all."""
    last = {(row["run"], row["preset"]): row for row in read()}
    columns = ("step", "wall_minutes", "cpu_minutes", "shared_cpu_minutes")
    # Runs on a GPU have no CPU time.
    sums = (sum(float(last[run][column] or 0) for run in RUNS[name]) for column in columns)
    return [", ".join(run for run, _ in RUNS[name]), *(f"{total:.0f}" for total in sums)]


def spent_table() -> str:
    """What was spent on each model, all its runs together, as Markdown."""
    head = ["model", "runs", "steps", "minutes", "CPU minutes alone", "shared with others"]
    return markdown([head, *([name, *spent(name)] for name in RUNS)])


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
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = read()
    figure(rows, ROOT / "analysis" / "training.png")
    print(table(rows), spent_table(), sep="\n\n")


if __name__ == "__main__":
    main()
