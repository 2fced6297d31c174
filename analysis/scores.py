"""The table of scores: bicubic and the light models on folders of full-resolution pictures, luma PSNR.

    python analysis/scores.py --data Set5 --data Set14 --data BSD100 [--liif edsr-baseline-liif.pth] [--update-readme]

    python analysis/scores.py --name large --data budgie --data mate --held-out analysis/held_out.txt \\
        --scales 8,12,18,24,30

    python analysis/scores.py --name ablations --data Set5 --data Set14 --scales 2,4,8

Prints Markdown and writes every picture's figures to analysis/scores.csv (or NAME.csv). --liif adds published LIIF
weights for comparison; --update-readme puts the table between its marks in README.md, and those of the pictures that
everybody has into each model's card.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from readme import README, with_block
from rich.console import Console
from rich.progress import Progress

import clit
from clit.geometry import STAGE_FACTOR
from clit.networks import checkpoints
from clit.system.process import prepare_process
from clit.training.evaluate import Row, evaluate, markdown, means, reported, write_csv

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("bicubic", "liif-light", "lte-light", "lit-light", "clit-light", "lit-light-x32")
ABLATED = (
    "lit-light-r1", "lit-light-r2", "lit-light-r3", "lit-light-no-bias", "lit-light-fourier", "clit-light-cumulative",
    "clit-light-at-once",
)  # fmt: skip
BEGAN = {"liif-light": ("liif alone", "liif-light"), "lit-light-x32": ("second", "lit-light")}
TOGETHER = ("third", "fourth", "fifth")
RUNS = {
    **{
        name: (BEGAN.get(name, ("second", name)), *((run, name) for run in TOGETHER))
        for name in ("liif-light", "lte-light", "lit-light", "clit-light", "lit-light-x32")
    },
    **{name: (("ablations", name),) for name in ABLATED},
}
"""The runs that made the weights in checkpoints/, as analysis/training.csv calls them: each began where the one before
had ended."""


def table(rows: list[Row], scales: tuple[float, ...]) -> str:
    """Mean luma PSNR in dB, a line per dataset and model, a column per scale; the best of each dataset is bold."""
    found = {(m.dataset, m.model, m.scale): m.psnr for m in means(rows)}
    models = list(dict.fromkeys(row.model for row in rows))
    lines = [["dataset", "model", *(f"x{scale:g}" for scale in scales)]]
    for dataset in dict.fromkeys(row.dataset for row in rows):
        best = {scale: max(found[dataset, model, scale] for model in models) for scale in scales}
        for model in models:
            scores = {scale: found[dataset, model, scale] for scale in scales}
            cells = [f"**{v:.2f}**" if v == best[scale] else f"{v:.2f}" for scale, v in scores.items()]
            lines.append([dataset, model, *cells])
    return markdown(lines)


def balanced(rows: list[Row], folders: list[Path], only: list[Path] | None, progress: Callable) -> list[Row]:
    """The cascade's figures with the scale in equal factors. Up to x4 there is one, as in the published split."""
    model, name = "clit-light", "clit-light, balanced"
    scales = sorted({row.scale for row in rows if row.scale > STAGE_FACTOR})
    made = [row._replace(model=name) for row in rows if row.model == model and row.scale <= STAGE_FACTOR]
    if scales:
        halve = only is not None
        made += evaluate(
            {name: clit.load(model)}, folders, scales, chain="balanced", only=only, halve=halve, progress=progress
        )
    return made


def spent(name: str) -> list[str]:
    """Of a model its runs; steps, minutes, CPU minutes alone and shared of them all. Nothing if some are missing."""
    with (ROOT / "analysis" / "training.csv").open(newline="") as file:
        last = {(row["run"], row["preset"]): row for row in csv.DictReader(file)}  # of each run its last row
    runs = RUNS.get(name, ())
    if not runs or not all(run in last for run in runs):
        return []
    columns = ("step", "wall_minutes", "cpu_minutes", "shared_cpu_minutes")
    sums = (sum(float(last[run][column]) for run in runs) for column in columns)
    return [", ".join(run for run, _ in runs), *(f"{total:.0f}" for total in sums)]


def training_spent(models: Iterable[str] = RUNS) -> str:
    """What was spent on each of the models, all its runs together, as Markdown."""
    lines = [["model", "runs", "steps", "minutes", "CPU minutes alone", "shared with others"]]
    return markdown([*lines, *([name, *found] for name in models if (found := spent(name)))])


def with_all_runs(card: str, name: str) -> str:
    """A model card with what all its runs took, in the line below the last run's time."""
    if not (found := spent(name)):
        return card
    runs, steps, minutes, alone, shared = found
    told = f"| all its runs ({runs}) | {steps} steps, {minutes} minutes; {alone} CPU minutes alone, {shared} shared |"
    lines = [line for line in card.splitlines() if not line.startswith("| all its runs")]
    at = next(i for i, line in enumerate(lines) if line.startswith("| time |"))
    return "\n".join([*lines[: at + 1], told, *lines[at + 1 :]]) + "\n"


def with_scores(card: str, name: str, rows: list[Row], scales: tuple[float, ...]) -> str:
    """A model card with its own lines of the table, beside bicubic's, as its section "Scores"."""
    chosen = table([row for row in rows if row.model in (name, "bicubic")], scales).replace("**", "")
    head, _, rest = card.partition("## Scores\n")
    tail = rest.partition("\n## ")[2] if rest else card.partition("\n## ")[2]
    head = head if rest else card.partition("\n## ")[0] + "\n"
    tail = f"## {tail}" if tail else ""
    return f"{head}## Scores\n\nLuma PSNR in dB (README.md of the project says how).\n\n{chosen}\n\n{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a folder; can be repeated")
    parser.add_argument("--liif", type=Path, help="a published LIIF file to add")
    parser.add_argument("--scales", default="2,3,4,6,8", help="separated by commas")
    parser.add_argument("--held-out", type=Path, help="only every second picture of this list")
    parser.add_argument("--name", default="scores", help="of the table in README.md, and of the file in analysis/")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    flags = parser.parse_args()
    prepare_process()
    if flags.update_readme:
        with_block(flags.name, "")  # before the work, not after it
    scales = tuple(float(scale) for scale in flags.scales.split(","))
    only = None if flags.held_out is None else reported(flags.data, set(flags.held_out.read_text().splitlines()))
    models = {name: clit.load(name) for name in (ABLATED if flags.name == "ablations" else MODELS)}
    if flags.liif:
        models["LIIF, published"] = clit.import_official(flags.liif)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scores", total=1.0)
        rows = evaluate(models, flags.data, scales, only=only, halve=only is not None,
                        progress=lambda done: bar.update(task, completed=done))  # fmt: skip
        if "clit-light" in models:
            task = bar.add_task("balanced", total=1.0)
            rows += balanced(rows, flags.data, only, lambda done: bar.update(task, completed=done))
    if flags.held_out:
        rows = [row._replace(dataset="held out") for row in rows]  # few, so that their folders are one
    write_csv(rows, ROOT / "analysis" / f"{flags.name}.csv")
    spent = "" if flags.held_out else training_spent(models)
    block = "\n\n".join(filter(None, [table(rows, scales), spent]))
    print(block)
    if flags.update_readme:
        README.write_text(with_block(flags.name, block))
    if flags.update_readme and not flags.held_out:
        for name in models:
            card = checkpoints.folder() / name / checkpoints.CARD
            if card.is_file():
                card.write_text(with_all_runs(with_scores(card.read_text(), name, rows, scales), name))


if __name__ == "__main__":
    try:
        main()
    except clit.UserError as error:
        sys.exit(f"error: {error}")
