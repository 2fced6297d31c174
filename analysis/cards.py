"""What the cards of checkpoints/ tell beside their training run: the time of all runs, and scores.

`python analysis/tables.py` writes both into each card, from analysis/training.csv, scores.csv and ablations.csv.
"""

from __future__ import annotations

from pathlib import Path

import scores
import training_curves

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
HOW = "Luma PSNR in dB (docs/results.md of the project says how)."


def paths() -> list[Path]:
    """The cards of all models in checkpoints/."""
    return sorted(CHECKPOINTS.glob("*/README.md"))


def fill(card: str, name: str) -> str:
    """Return a model's card with its time, where it was trained here, and its scores made anew."""
    rows = scores.read("ablations" if name in scores.ABLATED else "scores")
    return with_scores(with_all_runs(card, name) if name in training_curves.RUNS else card, name, rows)


def with_all_runs(card: str, name: str) -> str:
    """Return a card with what all runs of the model took, in the line below the last run's time."""
    runs, steps, minutes, alone, shared = training_curves.spent(name)
    line = f"| all its runs ({runs}) | {steps} steps, {minutes} minutes; {alone} CPU minutes alone, {shared} shared |"
    lines = [line for line in card.splitlines() if not line.startswith("| all its runs")]
    at = next(i for i, line in enumerate(lines) if line.startswith("| time |"))
    return "\n".join([*lines[: at + 1], line, *lines[at + 1 :]]) + "\n"


def with_scores(card: str, name: str, rows: list[scores.Row]) -> str:
    """Return a card whose section "Scores" holds the model's own lines of the table, beside bicubic's."""
    chosen = scores.table([row for row in rows if row.model in (name, "bicubic")], mark_best=False)
    head, _, rest = card.partition("## Scores\n")
    tail = rest.partition("\n## ")[2] if rest else card.partition("\n## ")[2]
    head = head if rest else card.partition("\n## ")[0] + "\n"
    tail = f"## {tail}" if tail else ""
    return f"{head}## Scores\n\n{HOW}\n\n{chosen}\n\n{tail}"
