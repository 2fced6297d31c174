"""How far CLIT's output jumps where the split of the scale takes in another stage.

    python analysis/seams.py --data Set5 --data Set14 --pictures 5
    python analysis/seams.py --data my_pictures --model my_checkpoint --out my_results
    python analysis/seams.py --quick

Both splits run one stage up to x4, two up to x16, and three beyond. One output is rendered with the factors of a scale
just below such a seam (x3.999) and just above it (x4.001). Its pixels are the same ones, so all that differs is the
split. For comparison the same is done between the seams, where only the factors move a little. Writes
analysis/seams.csv, a row per picture, scale and split:

    mean     mean absolute difference of luma, in 1/255
    highest  the 99th percentile of it
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from gallery import (
    HEADS,
    Row,
    Shot,
    count_pictures,
    differences,
    distinct,
    draw_point,
    find_models,
    find_scales,
    find_shots,
    make_figure,
    make_parser,
    over_pictures,
    run,
    tell,
)

from clit.commands.base import show_progress
from clit.errors import UserError
from clit.geometry import Window, output_size
from clit.networks.decoders.base import Features
from clit.networks.model import SRModel
from clit.pictures.metrics import luma
from clit.pictures.resize import resize_pil
from clit.scale_chain import scale_chain

STEP = 0.001  # of the scale, to both sides
REDUCED = 4  # how many times smaller the pictures are made first
CHAINS = ("published", "balanced")
SIDE = 192  # output pixels of the window that is rendered, a side


def find_factors(model: SRModel, scale: float, chain: str) -> tuple[tuple[float, float], ...]:
    """Return the factors of each stage at a scale, whatever the size it rounds to."""
    return tuple(scale_chain((scale * 1e6, scale * 1e6), (1e6, 1e6), model.stage_count, chain))


def measure_step(model: SRModel, features: Features, scale: float, chain: str) -> tuple[int, int, float, float]:
    """Return the stages below and above a scale, and the mean and 99th percentile of the step of luma, in 1/255."""
    lr = features.size
    size = output_size(*lr, scale)
    sides = [min(SIDE, n) for n in size]
    window = Window(*((n - side) // 2 for n, side in zip(size, sides, strict=True)), *sides)
    view, found, counts = model.view(lr, size, window, chain=chain), [], []
    for near in (scale - STEP, scale + STEP):
        factors = find_factors(model, near, chain)
        counts.append(len(factors))
        rgb = model.render(model.prepare(features, replace(view, factors=factors)))[0]
        found.append(luma(rgb.clamp(0, 1).numpy()))
    step = 255 * np.abs(found[1] - found[0])
    return *counts, float(step.mean()), float(np.percentile(step, 99))


def measure_shot(shot: Shot, models: dict[str, SRModel], scales: list[float]) -> list[Row]:
    height, width = shot.hr.shape[:2]
    small, rows = resize_pil(shot.hr, (max(1, height // REDUCED), max(1, width // REDUCED))), []
    for name, model in models.items():
        features = model.encode(torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255)
        for scale in scales:
            for chain in CHAINS:
                below, above, mean, highest = measure_step(model, features, scale, chain)
                case = {**shot.key, "model": name, "scale": scale, "chain": chain, "below": below, "above": above}
                rows.append({**case, "mean": mean, "highest": highest})
    return rows


def measure(flags: Namespace) -> list[Row]:
    shots, models, scales, rows = find_shots(flags), find_models(flags), find_scales(flags), []
    if lacking := [name for name, model in models.items() if model.stage_count < 2]:
        raise UserError(f"{lacking[0]} has one stage: choose a model with more, such as clit-light.")
    with show_progress("seams") as progress:
        for done, shot in enumerate(shots):
            rows += measure_shot(shot, models, scales)
            progress((done + 1) / len(shots))
    return rows


def figure(rows: list[Row], path: Path) -> None:
    scales = distinct(rows, "scale")
    drawn = make_figure(4.6, 2.6)
    axes = drawn.subplots()
    for i, model in enumerate(distinct(rows, "model")):
        for j, chain in enumerate(CHAINS):
            for place, scale in enumerate(scales):
                label = f"{model}, {chain}" if place == 0 else None
                found = over_pictures(rows, "mean", model=model, chain=chain, scale=scale)
                draw_point(axes, place + 0.18 * (j - 0.5), found, HEADS[(2 * i + j) % 8], "os"[j], label)
    axes.set_xticks(range(len(scales)), [f"x{scale:g}" for scale in scales])
    axes.set(xlabel=f"scale, from {STEP:g} below to {STEP:g} above", ylabel="step of the output,\nmean of luma, 1/255")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    drawn.savefig(path, dpi=200)


def summary(rows: list[Row]) -> str:
    """What the rows say, as a list."""
    said = [f"Of {count_pictures(rows)}. Mean step of luma in 1/255, and its 99th percentile.\n"]
    for model, scale in distinct(rows, "model", "scale"):
        parts = []
        for chain in CHAINS:
            found = [row for row in rows if (row["model"], row["scale"], row["chain"]) == (model, scale, chain)]
            stages = f"{found[0]['below']:g} to {found[0]['above']:g} stages"
            mean, highest = over_pictures(found, "mean"), over_pictures(found, "highest")
            parts.append(f"{chain} ({stages}) {tell(mean)}, {highest[0]:.1f}")
        cases = ({"model": model, "scale": scale, "chain": chain} for chain in CHAINS)
        less = tell(differences(rows, "mean", *cases), "{:+.2f}")
        said.append(f"- {model}, x{scale:g}: {'; '.join(parts)}. Published less balanced: {less}.")
    return "\n".join(said)


def main(arguments: list[str] | None = None) -> None:
    run("seams", make_parser(__doc__, ("clit-light",), "3,4,8,16,20"), measure, figure, summary, arguments)


if __name__ == "__main__":
    main()
