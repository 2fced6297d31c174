"""What each stage of the cascade adds, and how good the picture is after it.

    python analysis/stages.py --data gb82 --side 480 --pictures 8
    python analysis/stages.py --data my_pictures --model my_checkpoint --out my_results
    python analysis/stages.py --quick

A cascade's output after stage j is the enlarged input plus R_j, where R_j is what stage j adds to 0.75 R_(j-1). Stage 0
stands for the enlarged input alone. Spectra are of luma, by bands of frequency in cycles per pixel of the small
picture, whose own detail ends at 0.5. Writes analysis/stages.csv:

    psnr    PSNR in dB of luma after the stage
    adds    mean square in 1/255 of what the stage adds, R_j - 0.75 R_(j-1); by band, or of all bands ("all")
    lacks   mean square in 1/255 of what the truth has and the output after the stage has not; likewise
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
from gallery import (
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
    select,
    share_over_pictures,
    tell,
)

import clit
from clit.commands.base import show_progress
from clit.errors import UserError
from clit.networks.decoders.clit import CARRY
from clit.networks.model import SRModel
from clit.pictures.metrics import luma, psnr
from clit.rendering.renderer import Renderer

BANDS = (0.0, 0.25, 0.5, 1.0, 2.0, np.inf)  # cycles per pixel of the small picture
NAMES = ("0 to 1/4", "1/4 to 1/2", "1/2 to 1", "1 to 2", "over 2")
COLOURS = ("#7f7f7f", "#0072b2", "#e69f00", "#009e73")


def measure_spectrum(image: np.ndarray, scale: float) -> np.ndarray:
    """Return the mean square of a picture (H, W), in squares of 1/255, by band of frequency: (len(NAMES),).

    scale: output pixels per pixel of the small picture. The picture fades out towards its border, by a Hann window.
    """
    fade = np.hanning(image.shape[0] + 2)[1:-1, None] * np.hanning(image.shape[1] + 2)[1:-1]
    power = np.abs(np.fft.fft2(255 * image.astype(np.float64) * fade)) ** 2 / (image.size * (fade**2).sum())
    frequency = scale * np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in image.shape), indexing="ij"))
    bands = zip(BANDS, BANDS[1:], strict=False)
    return np.array([power[(low <= frequency) & (frequency < high)].sum() for low, high in bands])


def measure_pair(pair: Pair, model: SRModel, scale: float) -> list[Row]:
    """Return the rows of one picture at one scale, without the columns that name these."""
    renderer = Renderer()
    count = len(model.view(pair.lr, pair.size).factors)
    outputs = [renderer.render(clit.load("bilinear"), pair.small, size=pair.size, clip=False)]
    outputs += [
        renderer.render(model, pair.small, size=pair.size, stages=stage, clip=False) for stage in range(1, count + 1)
    ]
    truth, before, rows = luma(pair.truth), np.zeros((*pair.size, 3), np.float32), []
    for stage, output in enumerate(outputs):
        predicted = output - outputs[0]
        parts = {"lacks": truth - luma(output)}
        if stage:
            added = predicted - CARRY * before
            parts["adds"] = luma(added) - luma(np.zeros_like(added))
        before = predicted
        score = psnr(output.clip(0, 1), pair.truth, scale=scale)
        rows.append({"stages": count, "stage": stage, "kind": "psnr", "band": "all", "value": score})
        for kind, part in parts.items():
            bands = measure_spectrum(part, scale)
            found = {"all": float(bands.sum()), **dict(zip(NAMES, map(float, bands), strict=True))}
            rows += [{"stages": count, "stage": stage, "kind": kind, "band": b, "value": v} for b, v in found.items()]
    return rows


def measure(flags: Namespace) -> list[Row]:
    shots, models, scales, rows = find_shots(flags), find_models(flags), find_scales(flags), []
    if lacking := [name for name, model in models.items() if model.stage_count < 2]:
        raise UserError(f"{lacking[0]} has one stage: choose a model with more, such as clit-light.")
    with show_progress("stages") as progress:
        for done, shot in enumerate(shots):
            for scale in scales:
                pair = Pair(shot, scale)
                for name, model in models.items():
                    rows += [
                        {**shot.key, "model": name, "scale": scale, **row} for row in measure_pair(pair, model, scale)
                    ]
            progress((done + 1) / len(shots))
    return rows


def find_cases(rows: list[Row]) -> list[Row]:
    """Return the models and scales, each a line of panels."""
    return [dict(zip(("model", "scale"), each, strict=True)) for each in distinct(rows, "model", "scale")]


def figure(rows: list[Row], path: Path) -> None:
    cases = find_cases(rows)
    drawn = make_figure(7.2, 1.9 * len(cases) + 0.2)
    panels = drawn.subplots(len(cases), 3, squeeze=False)
    for (left, middle, right), case in zip(panels, cases, strict=True):
        stages = distinct(select(rows, **case), "stage")
        gains = [
            differences(rows, "value", *({**case, "kind": "psnr", "stage": s} for s in (stage, 0.0)))
            for stage in stages
        ]
        for stage, gain in zip(stages, gains, strict=True):
            draw_point(left, stage, gain, COLOURS[int(stage) % 4], "os^D"[int(stage) % 4])
        left.set_xticks(stages, ["input"] + [f"stage {stage:g}" for stage in stages[1:]], fontsize=7)
        left.set_ylabel(f"{case['model']}, x{case['scale']:g}\nPSNR over the enlarged input, dB", fontsize=7)
        for axes, kind in ((middle, "adds"), (right, "lacks")):
            for stage in distinct(select(rows, **case, kind=kind), "stage"):
                points = [over_pictures(rows, "value", **case, kind=kind, stage=stage, band=band) for band in NAMES]
                means, lows, highs = np.array(points).T
                place = np.arange(len(NAMES)) + 0.12 * (stage - 1.5)
                label = f"stage {stage:g}" if stage else "enlarged input"
                form = {"color": COLOURS[int(stage) % 4], "fmt": "os^D"[int(stage) % 4] + "-", "label": label}
                axes.errorbar(place, means, [means - lows, highs - means], markersize=3, linewidth=1, capsize=2, **form)
            axes.set_yscale("log")
            axes.set_xticks(range(len(NAMES)), NAMES, fontsize=6, rotation=30)
            axes.set_ylabel(
                "what it adds, (1/255)²" if kind == "adds" else "what is lacking after it, (1/255)²", fontsize=7
            )
            axes.legend(frameon=False, fontsize=6)
        for axes in (left, middle, right):
            axes.grid(alpha=0.3)
    for axes in panels[-1, 1:]:
        axes.set_xlabel("cycles per pixel of the small picture", fontsize=7)
    drawn.savefig(path, dpi=200)


def summary(rows: list[Row]) -> str:
    """What the rows say, as a list."""
    said = [f"Of {count_pictures(rows)}.\n"]
    for case in find_cases(rows):
        stages = [stage for stage in distinct(select(rows, **case), "stage") if stage]
        gains = [
            tell(
                differences(rows, "value", *({**case, "kind": "psnr", "stage": s} for s in (stage, stage - 1))),
                "{:+.2f}",
            )
            for stage in stages
        ]
        shares = []
        for stage in stages:
            found = select(rows, **case, kind="adds", stage=stage)
            beyond = [row for row in found if row["band"] in NAMES[2:]]
            shares.append(tell(share_over_pictures(beyond, select(found, band="all"), "value")))
        sizes = [
            f"{over_pictures(rows, 'value', **case, kind='adds', stage=stage, band='all')[0]:.1f}" for stage in stages
        ]
        said += [
            f"- {case['model']}, x{case['scale']:g}: each stage adds, dB: {', '.join(gains)}. Mean squares of "
            f"what they add, in 1/255: {', '.join(sizes)}.",
            f"- Share of it beyond the small picture's own frequencies: {', '.join(shares)}.",
        ]
    return "\n".join(said)


def main(arguments: list[str] | None = None) -> None:
    run("stages", make_parser(__doc__, ("clit-light",), "8,20"), measure, figure, summary, arguments)


if __name__ == "__main__":
    main()
