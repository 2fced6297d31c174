"""The table of scores: bicubic and the light models on folders of full-resolution pictures, luma PSNR.

    python analysis/scores.py --data Set5 --data Set14 --data BSD100 [--liif edsr-baseline-liif.pth] [--update-readme]

Prints Markdown and writes every picture's figures to analysis/scores.csv. --liif adds published LIIF weights for
comparison; --update-readme puts the table between the marks in README.md, and each model's lines into its card.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from readme import README, with_block
from rich.console import Console
from rich.progress import Progress

import clit
from clit import checkpoints
from clit.evaluate import Row, evaluate, markdown, means, write_csv
from clit.runtime import prepare_process

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("bicubic", "liif-light", "lit-light", "clit-light")
SCALES = (2, 3, 4, 6, 8)


def table(rows: list[Row]) -> str:
    """Mean luma PSNR in dB, a line per dataset and model, a column per scale; the best of each dataset is bold."""
    found = {(m.dataset, m.model, m.scale): m.psnr for m in means(rows)}
    models = list(dict.fromkeys(row.model for row in rows))
    lines = [["dataset", "model", *(f"x{scale:g}" for scale in SCALES)]]
    for dataset in dict.fromkeys(row.dataset for row in rows):
        best = {scale: max(found[dataset, model, scale] for model in models) for scale in SCALES}
        for model in models:
            scores = {scale: found[dataset, model, scale] for scale in SCALES}
            cells = [f"**{v:.2f}**" if v == best[scale] else f"{v:.2f}" for scale, v in scores.items()]
            lines.append([dataset, model, *cells])
    return markdown(lines)


def training_times() -> str:
    """What each model's card says about its training time, as a list."""
    lines = []
    for name in MODELS:
        card = checkpoints.folder() / name / checkpoints.CARD
        said = re.search(r"^\| time \| (.+) \|$", card.read_text(), re.MULTILINE) if card.is_file() else None
        if said:
            lines.append(f"- `{name}`: {said[1]}")
    return "\n".join(lines)


def with_scores(card: str, name: str, rows: list[Row]) -> str:
    """A model card with its own lines of the table, beside bicubic's, as its section "Scores"."""
    chosen = table([row for row in rows if row.model in (name, "bicubic")]).replace("**", "")
    head, _, rest = card.partition("## Scores\n")
    tail = rest.partition("\n## ")[2] if rest else card.partition("\n## ")[2]
    head = head if rest else card.partition("\n## ")[0] + "\n"
    tail = f"## {tail}" if tail else ""
    return f"{head}## Scores\n\nLuma PSNR in dB (README.md of the project says how).\n\n{chosen}\n\n{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a folder; can be repeated")
    parser.add_argument("--liif", type=Path, help="a published LIIF file to add")
    parser.add_argument("--csv", type=Path, default=ROOT / "analysis" / "scores.csv", help="every picture's figures")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    flags = parser.parse_args()
    prepare_process()
    if flags.update_readme:
        with_block("scores", "")  # before the work, not after it
    models = {name: clit.load(name) for name in MODELS}
    if flags.liif:
        models["LIIF, published"] = clit.import_official(flags.liif)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scores", total=1.0)
        rows = evaluate(models, flags.data, SCALES, progress=lambda done: bar.update(task, completed=done))
    write_csv(rows, flags.csv)
    block = "\n\n".join(filter(None, [table(rows), training_times()]))
    print(block)
    if flags.update_readme:
        README.write_text(with_block("scores", block))
        for name in MODELS:
            card = checkpoints.folder() / name / checkpoints.CARD
            if card.is_file():
                card.write_text(with_scores(card.read_text(), name, rows))


if __name__ == "__main__":
    try:
        main()
    except clit.UserError as error:
        sys.exit(f"error: {error}")
