"""Score models on folders of pictures, with PSNR and SSIM as in published evaluations."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from clit.errors import UserError
from clit.geometry import check_scale
from clit.pictures.metrics import psnr, ssim
from clit.pictures.readers.formats import READ_ENDINGS
from clit.pictures.resize import published_pair
from clit.rendering.renderer import Renderer
from clit.system.atomic import write_bytes
from clit.system.threads import parallel_map
from clit.training.held_out import split_held_out
from clit.training.photographs import read_photograph, read_pixels


class Row(NamedTuple):
    """The score of one model on one picture at one scale; psnr in dB."""

    dataset: str
    image: str
    scale: float
    model: str
    psnr: float
    ssim: float


class Mean(NamedTuple):
    """The mean score of one model over a dataset's pictures at one scale; psnr in dB."""

    dataset: str
    scale: float
    model: str
    psnr: float
    ssim: float
    images: int


def find_pictures(folder: str | Path) -> list[Path]:
    """Return the picture files in a folder (not below it), sorted by name; UserError if there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give the folder that holds the pictures.")
    pictures = sorted(p for p in folder.iterdir() if p.suffix.lower() in READ_ENDINGS and p.is_file())
    if not pictures:
        raise UserError(f"There are no pictures in {folder}.")
    return pictures


def find_reported(folders: Sequence[str | Path], names: Collection[str]) -> list[Path]:
    """Return the pictures with held-out names that did not choose checkpoints in training; see `split_held_out`.

    UserError if there are none.
    """
    _, found = split_held_out((path for folder in folders for path in find_pictures(folder)), names)
    if not found:
        raise UserError("The folders hold less than two of the held-out pictures: give those they are in.")
    return found


def evaluate(
    models: Mapping[str, Any],
    folders: Sequence[str | Path],
    scales: Sequence[float],
    *,
    rule: str = "benchmark",
    chain: str = "published",
    only: Collection[Path] | None = None,
    halve: bool = False,
    progress: Callable[[float], None] | None = None,
) -> list[Row]:
    """Score models on every picture of every folder at every scale.

    models: by name, what `clit.load` or `clit.import_official` returned. folders: each is a dataset with the folder's
    name. `resize.published_pair` makes the low-resolution picture. Predictions are clipped to [0, 1], not rounded.

    rule: a key of `metrics.RULES`. chain: how CLIT splits the scale. only: the pictures to score; None:
    all. halve: read files as training does, large and coarsely compressed JPEGs at half size. progress(done): called
    with the share done, 0..1. UserError for empty folders, unreadable pictures, wrong scales or rules.
    """
    scales = [check_scale(scale) for scale in scales]
    pictures = [(Path(folder), path) for folder in folders for path in find_pictures(folder)]
    jobs = [(*each, scale) for each in pictures if only is None or each[1] in only for scale in scales]
    renderer = Renderer()

    def score(job: tuple[Path, Path, float]) -> list[Row]:
        folder, path, scale = job
        truth = read_photograph(path) if halve else read_pixels(path)
        lr, hr = published_pair(truth, scale)
        rows = []
        for name, model in models.items():
            sr = renderer.render(model, lr, size=hr.shape[:2], chain=chain)
            scores = psnr(sr, hr, rule, scale=scale), ssim(sr, hr, rule, scale=scale)
            rows.append(Row(folder.resolve().name, path.name, scale, name, *scores))
        return rows

    rows: list[Row] = []
    with torch.inference_mode():
        for done, found in enumerate(parallel_map(score, jobs)):
            rows += found
            if progress:
                progress((done + 1) / len(jobs))
    return rows


def means(rows: Iterable[Row]) -> list[Mean]:
    """Return the means by dataset, scale and model, in the order in which these first occur."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.scale, row.model), []).append(row)
    return [
        Mean(*key, np.mean([r.psnr for r in group]).item(), np.mean([r.ssim for r in group]).item(), len(group))
        for key, group in groups.items()
    ]


def table(rows: Iterable[Row]) -> str:
    """Return the mean PSNR / SSIM as a Markdown table: a line per dataset and model, a column per scale."""
    found = {(m.dataset, m.model, m.scale): m for m in means(rows)}
    scales = sorted({scale for _, _, scale in found})
    lines = [["dataset", "model", *(f"x{scale:g}" for scale in scales)]]
    for dataset, model in dict.fromkeys((dataset, model) for dataset, model, _ in found):
        cells = (found.get((dataset, model, scale)) for scale in scales)
        lines.append([dataset, model, *(f"{m.psnr:.2f} / {m.ssim:.4f}" if m else "" for m in cells)])
    return markdown(lines)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, aligned so that it reads well as plain text too. The first line is the head."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def latex(lines: Sequence[Sequence[str]]) -> str:
    """Return the same as a LaTeX table, with the rules of the package booktabs; what is bold in Markdown is bold."""

    def escape(cell: str) -> str:
        text = re.sub(r"([&%#_$])", r"\\\1", cell)
        return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", text)

    head, *body = (f"  {' & '.join(map(escape, line))} \\\\" for line in lines)
    columns = "l" * len(lines[0])
    return "\n".join(
        [
            f"\\begin{{tabular}}{{{columns}}}",
            "  \\toprule",
            head,
            "  \\midrule",
            *body,
            "  \\bottomrule",
            "\\end{tabular}",
        ]
    )


FORMATS = {"markdown": markdown, "latex": latex}
"""How tables are written, by name."""


def write_csv(rows: Iterable[Row], path: str | Path) -> None:
    """Write the rows as a CSV file; UserError if that fails."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows((*row[:4], f"{row.psnr:.4f}", f"{row.ssim:.6f}") for row in rows)
    write_bytes(path, text.getvalue().encode())
