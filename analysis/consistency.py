"""What an enlarged picture keeps: made small again, enlarged in two steps, turned, and beyond the trained scales.

    python analysis/consistency.py --data Set5 --data Set14 --pictures 6
    python analysis/consistency.py --data my_pictures --model my_checkpoint --out my_results
    python analysis/consistency.py --quick

Writes analysis/consistency.csv, a row per picture, model and case:

    back    PSNR in dB of luma of the output made small again, against the small picture, as the page's "what does not
            come back"
    beyond  the same at the scales of --beyond, of the middle of the small picture: models are made for up to x30
    steps   PSNR of luma, of x6 at once less that of x2 of x3 rounded to 8 bits, both against the truth
    apart   root mean square of the difference of these two, in 1/255 of luma
    turned  root mean square, in 1/255, of how far turning (or mirroring) the input is not turning the output
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gallery import (
    METHODS,
    Pair,
    Row,
    Shot,
    count_pictures,
    distinct,
    draw_line,
    draw_point,
    find_models,
    find_scales,
    find_shots,
    make_figure,
    make_parser,
    over_pictures,
    run,
    select,
    tell,
)

from clit.commands.base import show_progress
from clit.geometry import Window
from clit.networks.model import SRModel
from clit.pictures.files import as_array, to_bytes
from clit.pictures.metrics import luma, psnr
from clit.rendering.renderer import Renderer
from clit.ui.returning import make_small_again

TURN_SCALE = 2.7  # not whole, as most
BEYOND_SIDE = 16  # pixels of the small picture
TURNS = {
    "mirrored": (np.fliplr, np.fliplr),
    "upside down": (np.flipud, np.flipud),
    "quarter turn": (np.rot90, lambda x: np.rot90(x, -1)),
}


def measure_back(render, small: np.ndarray, size: tuple[int, int]) -> float:
    """Return the PSNR in dB of a whole output made small again. render: returns a window of it."""
    return make_small_again(render, as_array(small), size, Window(0, 0, *size)).psnr


def measure_turns(renderer: Renderer, model: SRModel, small: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yield each turn, and the root mean square in 1/255 by which the output does not turn along."""
    straight = renderer.render(model, small, scale=TURN_SCALE)
    for name, (turn, back) in TURNS.items():
        turned = back(renderer.render(model, np.ascontiguousarray(turn(small)), scale=TURN_SCALE))
        yield name, float(255 * np.sqrt(np.mean((turned - straight) ** 2)))


def measure_steps(renderer: Renderer, model: SRModel, pair: Pair) -> tuple[float, float]:
    """Return by how many dB x6 at once is above x2 of x3, and how far apart they are, in 1/255 of luma."""
    between = to_bytes(renderer.render(model, pair.small, scale=3))
    at_once = renderer.render(model, pair.small, size=pair.size)
    in_steps = renderer.render(model, between, size=pair.size)
    apart = 255 * np.sqrt(np.mean((luma(at_once) - luma(in_steps)) ** 2))
    return psnr(at_once, pair.truth, scale=6) - psnr(in_steps, pair.truth, scale=6), float(apart)


def measure_shot(
    shot: Shot, models: dict[str, SRModel], scales: list[float], beyond: list[float]
) -> Iterator[list[Row]]:
    """Yield the rows of a picture, scale by scale, and then those that have scales of their own."""
    renderer = Renderer()

    def row(kind: str, model: str, scale: float, value: float, case: str = "straight") -> Row:
        return {**shot.key, "kind": kind, "model": model, "scale": scale, "case": case, "value": value}

    for scale in scales:
        pair = Pair(shot, scale)
        yield [
            row(
                "back",
                name,
                scale,
                measure_back(make_render(renderer, model, pair.small, pair.size), pair.small, pair.size),
            )
            for name, model in models.items()
        ]
    pair, rows = Pair(shot, 6), []
    for name, model in models.items():
        better, apart = measure_steps(renderer, model, pair)
        rows += [row("steps", name, 6, better), row("apart", name, 6, apart)]
        rows += [
            row("turned", name, TURN_SCALE, value, case) for case, value in measure_turns(renderer, model, pair.small)
        ]
    yield rows
    top, left = (max(0, n - BEYOND_SIDE) // 2 for n in pair.lr)
    middle = np.ascontiguousarray(pair.small[top : top + BEYOND_SIDE, left : left + BEYOND_SIDE])
    for scale in beyond:
        size = tuple(round(n * scale) for n in middle.shape[:2])
        yield [
            row("beyond", name, scale, measure_back(make_render(renderer, model, middle, size), middle, size))
            for name, model in models.items()
        ]


def make_render(renderer: Renderer, model: SRModel, small: np.ndarray, size: tuple[int, int]):
    """Return a function that renders a window of an output of `size` (H, W)."""
    return lambda window: renderer.render(model, small, size=size, window=window)


def measure(flags: Namespace) -> list[Row]:
    shots, models, scales, rows = find_shots(flags), find_models(flags), find_scales(flags), []
    beyond = [float(scale) for scale in flags.beyond.split(",") if scale]
    if flags.quick:
        scales, beyond = scales[:2], beyond[:1]
    parts = len(scales) + 1 + len(beyond)
    with show_progress("consistency") as progress:
        for done, shot in enumerate(shots):
            for part, found in enumerate(measure_shot(shot, models, scales, beyond)):
                rows += found
                progress((done + (part + 1) / parts) / len(shots))
    return rows


def figure(rows: list[Row], path: Path) -> None:
    drawn = make_figure(7.2, 4.6)
    (back, beyond), (steps, turned) = drawn.subplots(2, 2)
    models = distinct(rows, "model")
    for axes, kind in ((back, "back"), (beyond, "beyond")):
        for name in distinct(select(rows, kind=kind), "model"):
            scales = distinct(select(rows, kind=kind, model=name), "scale")
            points = [over_pictures(rows, "value", kind=kind, model=name, scale=scale) for scale in scales]
            draw_line(axes, scales, points, METHODS.get(name, "#000000"), name)
            axes.set_xscale("log")
            axes.set_xticks(scales, [f"x{scale:g}" for scale in scales])
        axes.minorticks_off()
        axes.set(xlabel="scale", ylabel="made small again:\nPSNR of luma, dB")
        axes.grid(alpha=0.3)
    drawn.legend(*back.get_legend_handles_labels(), loc="outside upper center", ncol=len(models), frameon=False)
    for axes, kind, label in (
        (steps, "steps", "x6 at once, less x2 of x3:\nPSNR of luma, dB"),
        (turned, "turned", "input turned, not the output:\nroot mean square, 1/255"),
    ):
        found = [over_pictures(rows, "value", kind=kind, model=name) for name in models]
        for place, (name, point) in enumerate(zip(models, found, strict=True)):
            draw_point(axes, place, point, METHODS.get(name, "#000000"))
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set_xticks(range(len(models)), models, fontsize=7)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3, axis="y")
    drawn.savefig(path, dpi=200)


def summary(rows: list[Row]) -> str:
    """What the rows say, as a list."""
    models = distinct(rows, "model")
    scales, beyond = (distinct(select(rows, kind=kind), "scale") for kind in ("back", "beyond"))

    def list_models(form: str = "{:.1f}", **keys) -> str:
        return ", ".join(f"{name} {tell(over_pictures(rows, 'value', model=name, **keys), form)}" for name in models)

    said = [
        f"Of {count_pictures(rows)}.\n",
        f"- Made small again after x{scales[-1]:g}, dB: {list_models(kind='back', scale=scales[-1])}.",
        f"- x6 at once is above x2 of x3 by, dB: {list_models('{:+.2f}', kind='steps')}.",
        f"- Turned or mirrored at x{TURN_SCALE:g}, 1/255: {list_models('{:.2f}', kind='turned')}.",
    ]
    if beyond:
        said.append(f"- Made small again after x{beyond[-1]:g}, dB: {list_models(kind='beyond', scale=beyond[-1])}.")
    return "\n".join(said)


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("bicubic", "liif-light", "lte-light", "lit-light", "clit-light"), "2,3,4,8,12")
    parser.add_argument("--beyond", default="30,45,60", help="scales beyond those that models are made for")
    run("consistency", parser, measure, figure, summary, arguments)


if __name__ == "__main__":
    main()
