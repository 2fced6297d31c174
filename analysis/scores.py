"""Luma PSNR of bicubic and the trained models on folders of full-resolution pictures.

    python analysis/scores.py --data Set5 --data Set14 [--model NAME ...]
    python analysis/scores.py --data BSD100 --scales 2,3,4
    python analysis/scores.py --name large --data budgie --data mate --held-out analysis/held_out.txt \\
        --scales 12,30
    python analysis/scores.py --name ablations --data Set5 --data Set14 --scales 2,4,8

Writes every picture's figures to analysis/scores.csv (or NAME.csv), where those of other datasets, scales and
models stay, and prints all means, as Markdown or LaTeX. Another --rule writes a file of its own, NAME-RULE.csv:
"capped" leaves out 8 pixels of border at most, as newer papers do, where the field's own rule leaves out the scale.
`python analysis/tables.py` then puts the tables into README.md, docs/ and the model cards.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

import clit
from clit.errors import UserError
from clit.networks.model import SRModel
from clit.pictures.metrics import RULES
from clit.scale_chain import STAGE_FACTOR
from clit.system.process import prepare_process
from clit.training.evaluate import FORMATS, Row, evaluate, find_reported, markdown, means, write_csv

ROOT = Path(__file__).resolve().parent.parent
MODELS = (
    "bicubic", "liif-light", "lte-light", "lit-light", "clit-light", "lit-light-x32", "liif-base", "lit-base",
    "clit-base",
)  # fmt: skip
ABLATED = (
    "lit-light-r1", "lit-light-r2", "lit-light-r3", "lit-light-no-bias", "lit-light-fourier", "clit-light-cumulative",
    "clit-light-at-once",
)  # fmt: skip
SUMMARY = ("bicubic", "liif-light", "lte-light", "lit-light", "clit-light", "liif-base")
"""Models of README.md's table; it has these scales of the benchmarks, and those of the large photographs:"""
SUMMARY_SCALES, SUMMARY_LARGE = (2.0, 3.0, 4.0), (12.0, 30.0)


def read(name: str) -> list[Row]:
    """Every picture's figures, as this script wrote them under that name; UserError if it did not."""
    path = ROOT / "analysis" / f"{name}.csv"
    if not path.is_file():
        raise UserError(f"There is no {path}: make it with python analysis/scores.py --name {name}.")
    with path.open(newline="") as file:
        return [
            Row(r["dataset"], r["image"], float(r["scale"]), r["model"], float(r["psnr"]), float(r["ssim"]))
            for r in csv.DictReader(file)
        ]


def table(rows: list[Row], mark_best: bool = True, write: Callable = markdown, score: str = "psnr") -> str:
    """Mean luma PSNR in dB, or SSIM, as Markdown or LaTeX: a line per dataset and model, a column per scale.

    A dash stands where a model was not measured. mark_best: print the best of each dataset in bold. write: one of
    `evaluate.FORMATS`. score: "psnr" or "ssim".
    """
    found = {(m.dataset, m.model, m.scale): getattr(m, score) for m in means(rows)}
    scales, digits = sorted({row.scale for row in rows}), {"psnr": 2, "ssim": 4}[score]
    models = list(dict.fromkeys(row.model for row in rows))
    lines = [["dataset", "model", *(f"x{scale:g}" for scale in scales)]]
    for dataset in dict.fromkeys(row.dataset for row in rows):
        columns = [[found.get((dataset, model, scale)) for model in models] for scale in scales]
        cells = zip(*(_cells(column, mark_best, digits) for column in columns), strict=True)
        lines += [[dataset, model, *each] for model, each in zip(models, cells, strict=True) if set(each) != {"-"}]
    return write(lines)


def summary(benchmarks: list[Row], large: list[Row]) -> str:
    """README.md's table: mean luma PSNR of some models on the benchmarks, and on the large photographs.

    Every benchmark set counts alike. A dash stands where a model was not measured.
    """
    columns = []
    for rows, scales in ((benchmarks, SUMMARY_SCALES), (large, SUMMARY_LARGE)):
        found = {(m.dataset, m.model, m.scale): m.psnr for m in means(rows)}
        datasets = list(dict.fromkeys(row.dataset for row in rows))
        for scale in scales:
            scores = [[found.get((dataset, model, scale)) for dataset in datasets] for model in SUMMARY]
            columns.append([None if None in each else sum(each) / len(each) for each in scores])
    cells = zip(*(_cells(column, True) for column in columns), strict=True)
    head = [*(f"x{scale:g}" for scale in SUMMARY_SCALES), *(f"x{scale:g}, large" for scale in SUMMARY_LARGE)]
    return markdown([["model", *head], *([model, *each] for model, each in zip(SUMMARY, cells, strict=True))])


def _cells(column: list[float | None], mark_best: bool, digits: int = 2) -> list[str]:
    """A column of scores as text, the best one bold."""
    best = max((score for score in column if score is not None), default=None) if mark_best else None
    return ["-" if s is None else f"**{s:.{digits}f}**" if s == best else f"{s:.{digits}f}" for s in column]


def balanced(
    rows: list[Row], model: SRModel, folders: list[Path], only: list[Path] | None, rule: str, progress: Callable
) -> list[Row]:
    """The cascade's figures with the scale in equal factors. Up to x4 there is one, as in the published split."""
    name = "clit-light, balanced"
    scales = sorted({row.scale for row in rows if row.scale > STAGE_FACTOR})
    made = [row._replace(model=name) for row in rows if row.model == "clit-light" and row.scale <= STAGE_FACTOR]
    if scales:
        halve = only is not None
        made += evaluate(
            {name: model}, folders, scales, rule=rule, chain="balanced", only=only, halve=halve,
            progress=progress,
        )  # fmt: skip
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a folder; can be repeated")
    parser.add_argument("--scales", default="2,3,4,6,8", help="separated by commas")
    parser.add_argument("--held-out", type=Path, help="only every second picture of this list")
    parser.add_argument("--name", default="scores", help="of the file in analysis/")
    parser.add_argument("--model", action="append",
                        help="a name or a folder; can be repeated; the light and base models by default")  # fmt: skip
    parser.add_argument("--rule", default="benchmark", choices=RULES, help="which channels count, and which border")
    parser.add_argument("--format", default="markdown", choices=FORMATS, help="of the tables that are printed")
    flags = parser.parse_args()
    if flags.rule != "benchmark":
        flags.name += f"-{flags.rule}"
    prepare_process()
    scales = tuple(float(scale) for scale in flags.scales.split(","))
    only = None if flags.held_out is None else find_reported(flags.data, set(flags.held_out.read_text().splitlines()))
    chosen = flags.model or (ABLATED if flags.name == "ablations" else MODELS)
    models = {Path(name).name: clit.load(name) for name in chosen}
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scores", total=1.0)
        rows = evaluate(models, flags.data, scales, rule=flags.rule, only=only, halve=only is not None,
                        progress=lambda done: bar.update(task, completed=done))  # fmt: skip
        if "clit-light" in models:
            task = bar.add_task("balanced", total=1.0)
            rows += balanced(rows, models["clit-light"], flags.data, only, flags.rule,
                             lambda done: bar.update(task, completed=done))  # fmt: skip
    if flags.held_out:
        rows = [row._replace(dataset="held out") for row in rows]  # few, so that their folders are one
    path = ROOT / "analysis" / f"{flags.name}.csv"
    measured = {(row.dataset, row.scale, row.model) for row in rows}
    others = read(flags.name) if path.exists() else []
    write_csv([*(r for r in others if (r.dataset, r.scale, r.model) not in measured), *rows], path)
    for score in ("psnr", "ssim"):
        print(score.upper(), table(read(flags.name), write=FORMATS[flags.format], score=score), sep="\n\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
