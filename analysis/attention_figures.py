"""Figures that show, for chosen pixels of a picture, what every method makes of it and what it looked at.

    python analysis/attention_figures.py
    python analysis/attention_figures.py --data my_pictures --model my_checkpoint --scales 6 --out my_results
    python analysis/attention_figures.py --data my_pictures --pixel 40,60 --pixel 100,80
    python analysis/attention_figures.py --quick

Pixels are output pixels, row and column; by default one of each --class, chosen by rule (analysis/pixels.py). Writes
analysis/attention_figures.csv, a row per pixel, model, stage and head (or ensemble), and of the first picture

    attention_crops.png    the places side by side, with PSNR and SSIM of the whole picture
    attention_figures.png  the maps of every head and stage, and the influence

The CSV file has of the weights the entropy in bits, the highest one, and the mean distance in pixels of the small
picture. Methods that weigh four latents by distance have the same maps, so the first of them stands for all.
"""

from __future__ import annotations

import sys

import numpy as np
from gallery import ROOT, Pair, Row, Shot, find_models, find_scales, find_shots, make_parser, write
from pixels import CLASSES, choose, classify

import clit
from clit.commands.base import parse_pair, show_progress
from clit.errors import UserError
from clit.exports.compare import compare_pair
from clit.exports.figures import Look, draw_attention, draw_comparison
from clit.geometry import check_pixel
from clit.pictures.metrics import luma
from clit.rendering.looks import Attention
from clit.system.process import prepare_process

MARGIN = 4  # pixels of the small picture to keep away from its border
SMALL_SIDE = 20  # of a crop, in pixels of the small picture


def describe(found: Attention, lr: tuple[int, int]) -> list[Row]:
    """Return a row per stage and head of what one pixel looked at."""
    rows, place = [], (np.array(found.pixel) + 0.5) * lr / found.size - 0.5
    for stage, each in enumerate(found.stages):
        distance = np.hypot(*np.moveaxis(each.latents - place, -1, 0))
        for head, weights in enumerate(each.weights):
            positive = weights[weights > 0]
            values = {
                "entropy": float(-(positive * np.log2(positive)).sum()),
                "highest": float(weights.max()),
                "distance": float((weights * distance).sum()),
            }
            rows.append({"stage": stage + 1, "head": head + 1, **values})
    return rows


def find_pixels(
    pair: Pair, given: list[str] | None, classes: list[str], seed: int
) -> list[tuple[str, tuple[int, int]]]:
    """Return the output pixels to show, and what each is: those given, or one of each class where there is one."""
    if given:
        pixels = [parse_pair(text, ",", "--pixel", "ROW,COLUMN") for text in given]
        return [("given", check_pixel(pixel, pair.size)) for pixel in pixels]
    chosen = choose(classify(luma(pair.small)), pair.size, 1, MARGIN, seed)
    return [(kind, tuple(chosen[kind][0].tolist())) for kind in classes if len(chosen[kind])]


def make_crop(pixel: tuple[int, int], size: tuple[int, int], scale: float) -> tuple[int, int, int, int]:
    """Return a crop (top, left, height, width) about a pixel, shifted inside the output."""
    sides = [min(round(SMALL_SIDE * scale), n) for n in size]
    corner = (min(max(0, p - side // 2), n - side) for p, n, side in zip(pixel, size, sides, strict=True))
    return *corner, *sides


def show_shot(shot: Shot, models: dict, scale: float, flags) -> tuple[list[Row], dict[str, bytes]]:
    """Return the rows of a picture, and its figures by name."""
    pair, rows, looks = Pair(shot, scale), [], []
    pixels = find_pixels(pair, flags.pixel, flags.kinds or ["edge", "texture"], flags.seed)
    if not pixels:
        raise UserError(f"{shot.name} has no pixels of these classes: give some by --pixel.")
    for kind, pixel in pixels:
        for name, model in models.items():
            if model.kind != "plain":
                found = clit.attend(model, pair.small, pixel, size=pair.size)
                looks.append(Look(name, found))
                case = {**shot.key, "scale": scale, "class": kind, "row": pixel[0], "column": pixel[1], "model": name}
                rows += [case | row for row in describe(found, pair.lr)]
    crops = [make_crop(pixel, pair.size, scale) for _, pixel in pixels]
    sheet = compare_pair(models, pair.small, pair.truth, scale, pair.size, crops=crops)
    ensembles = [look.method for look in looks if look.found.kind == "ensemble"]
    shown = [look for look in looks if look.found.kind == "attention" or look.method == ensembles[0]]
    figures = {"attention_crops": draw_comparison(sheet)}
    if shown:
        figures["attention_figures"] = draw_attention(shown, pair.small.astype(np.float32) / 255)
    return rows, figures


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("bicubic", "liif-light", "lte-light", "lit-light", "clit-light"), "8")
    parser.add_argument("--pixel", action="append", metavar="ROW,COLUMN", help="an output pixel; can be repeated")
    parser.add_argument("--class", dest="kinds", action="append", choices=CLASSES, help="can be repeated")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args(arguments)
    if flags.draw:
        raise UserError("These figures are not drawn from a CSV file: leave out --draw.")
    prepare_process()
    out = flags.out or ROOT / "analysis" / ("quick" if flags.quick else "")
    out.mkdir(parents=True, exist_ok=True)
    shots, models, rows = find_shots(flags), find_models(flags), []
    with show_progress("figures") as progress:
        for done, shot in enumerate(shots):
            found, figures = show_shot(shot, models, find_scales(flags)[0], flags)
            rows += found
            for name, content in figures.items() if not done else ():
                (out / f"{name}.png").write_bytes(content)
            progress((done + 1) / len(shots))
    write(rows, out / "attention_figures.csv")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
