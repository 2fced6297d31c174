"""Which input pixels answers come from, by method and scale, and whether drawing on more of them goes with PSNR.

    python analysis/attribution.py --data Set5 --places 2
    python analysis/attribution.py --data my_pictures --model my_checkpoint --out my_results
    python analysis/attribution.py --quick

Attribution (`clit.attribute`, texture of 16 x 16 output pixels) about pixels of edges, corners and textures chosen by
rule (analysis/pixels.py). Writes analysis/attribution.csv, a row per place, method and scale:

    diffusion  the diffusion index, 0 (one input pixel decides) to 100 (all of 64 x 64 alike)
    inside     share of the attribution within the 7 x 7 input pixels about the place: what attention can show
    gap, steps how exact the map is, as a share of the objective's change, and after how many steps
    psnr       PSNR in dB of luma of the whole picture

analysis/faithfulness.py compares attribution with attention.
"""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

import numpy as np
from faithfulness import MARGIN
from gallery import (
    MARKS,
    METHODS,
    Pair,
    Row,
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
    spearman,
    tell,
)
from pixels import choose, classify

import clit
from clit.commands.base import show_progress
from clit.networks.model import SRModel
from clit.pictures.metrics import luma, psnr

KINDS = ("edge", "texture", "corner")
STEPS = 16  # to begin with: fewer seldom bring the gap below 2 %
RADIUS = 3  # of the window of input pixels that counts as near


def find_places(pair: Pair, count: int, seed: int) -> list[tuple[str, tuple[int, int]]]:
    """Return output pixels, chosen by rule, the classes in turn."""
    chosen = choose(classify(luma(pair.small)), pair.size, count, MARGIN, seed)
    turns = [(kind, tuple(each[i].tolist())) for i in range(count) for kind in KINDS if i < len(each := chosen[kind])]
    return turns[:count]


def find_share_near(map: np.ndarray, centre: tuple[int, int]) -> float:
    """Return the share of a map (h, w, 3) that lies within RADIUS pixels of a pixel."""
    magnitude, (row, column) = np.abs(map.sum(-1, dtype=np.float64)), centre
    near = magnitude[max(0, row - RADIUS) : row + RADIUS + 1, max(0, column - RADIUS) : column + RADIUS + 1]
    return float(near.sum() / magnitude.sum()) if magnitude.any() else math.nan


def measure_place(pair: Pair, model: SRModel, place: tuple[int, int]) -> Row:
    """Return what attribution says of one place by one method."""
    found = clit.attribute(model, pair.small, place, size=pair.size, steps=STEPS)
    centre = tuple(int((p + 0.5) * n / n_out) for p, n, n_out in zip(place, pair.lr, pair.size, strict=True))
    near = find_share_near(found.map, centre)
    return {"diffusion": found.diffusion, "inside": near, "gap": found.gap, "steps": found.steps}


def measure(flags: Namespace) -> list[Row]:
    shots, models, scales, rows = find_shots(flags), find_models(flags), find_scales(flags), []
    cases = [(i, shot, scale) for i, shot in enumerate(shots) for scale in scales]
    count = 1 if flags.quick else flags.places
    with show_progress("attribution") as progress:
        for done, (seed, shot, scale) in enumerate(cases):
            pair = Pair(shot, scale)
            places = find_places(pair, count, seed)
            for part, (name, model) in enumerate(models.items()):
                score = psnr(clit.upscale(model, pair.small, size=pair.size), pair.truth, scale=scale)
                for kind, place in places:
                    where = {"class": kind, "row": place[0], "column": place[1]}
                    case = {**shot.key, "model": name, "scale": scale, **where, "psnr": score}
                    rows.append(case | measure_place(pair, model, place))
                progress((done + (part + 1) / len(models)) / len(cases))
    return rows


def figure(rows: list[Row], path: Path) -> None:
    scales, models = distinct(rows, "scale"), distinct(rows, "model")
    drawn = make_figure(7.2, 2.7)
    left, middle, right = drawn.subplots(1, 3)
    for axes, column, label in (
        (left, "diffusion", "diffusion index"),
        (middle, "inside", "share within 7 × 7 input pixels"),
    ):
        for i, scale in enumerate(scales):
            for place, name in enumerate(models):
                found = over_pictures(rows, column, model=name, scale=scale)
                draw_point(axes, place + 0.16 * i, found, METHODS.get(name, "#000000"), MARKS[i])
        axes.set_xticks(range(len(models)), models, rotation=30, ha="right", fontsize=7)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    for i, scale in enumerate(scales):
        for name in models:
            x = over_pictures(rows, "diffusion", model=name, scale=scale)[0]
            gain = differences(rows, "psnr", {"model": name, "scale": scale}, {"model": models[0], "scale": scale})
            draw_point(right, x, gain, METHODS.get(name, "#000000"), MARKS[i])
        right.plot([], [], MARKS[i], color="0.4", markersize=4, label=f"x{scale:g}")
    right.set(xlabel="diffusion index", ylabel=f"PSNR over {models[0]}, dB")
    right.grid(alpha=0.3)
    right.legend(frameon=False)
    drawn.savefig(path, dpi=200)


def summary(rows: list[Row]) -> str:
    """What the rows say, as a list."""
    models = distinct(rows, "model")
    places = len(distinct(rows, "picture", "row", "column", "scale"))
    said = [f"Of {count_pictures(rows)}, {places} places in all.\n"]
    for scale in distinct(rows, "scale"):
        diffusion, inside = (
            ", ".join(f"{name} {tell(over_pictures(rows, column, model=name, scale=scale), form)}" for name in models)
            for column, form in (("diffusion", "{:.1f}"), ("inside", "{:.2f}"))
        )
        said.append(f"- x{scale:g}, diffusion index: {diffusion}. Share within 7 × 7 input pixels: {inside}.")
    over = [name for name in models if name != models[0]]
    ranks = []
    for scale in distinct(rows, "scale"):
        each = [[over_pictures(rows, c, model=name, scale=scale)[0] for name in over] for c in ("diffusion", "psnr")]
        ranks.append(float(spearman(*np.array(each))))
    if len(over) > 2:
        text = ", ".join(f"{value:.2f}" for value in ranks)
        said.append(f"- Rank correlation of diffusion and PSNR over the {len(over)} networks, scale by scale: {text}.")
    return "\n".join(said)


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("bicubic", "liif-light", "lte-light", "lit-light", "clit-light"), "3,5.5")
    parser.add_argument("--places", type=int, default=2, help="of each picture and scale, at most")
    run("attribution", parser, measure, figure, summary, arguments)


if __name__ == "__main__":
    main()
