"""Does attention explain the output? Leave out the neighbours that it ranks highest, and see how far the colour moves.

    python analysis/faithfulness.py --data Set5 --data Set14 --pictures 7 --pixels 8
    python analysis/faithfulness.py --data Set5 --attributed 1 --out my_results
    python analysis/faithfulness.py --data my_pictures --model my_checkpoint --out my_results
    python analysis/faithfulness.py --quick

Pixels are chosen by rule (analysis/pixels.py). Their neighbours are ranked by

    attention    the heads' mean weight
    influence    the change of colour without this one alone
    attribution  of the pixel's luma, where latents are input pixels: in models of one stage. It takes seconds a pixel,
                 so only the first --attributed pixels of each class in each picture have it
    nearness     distance alone
    chance       the mean of three random orders

The values of the k highest are left out together, in one stage at a time (`Decoder.leave_out`). A ranking that explains
the output moves the colour far with few neighbours. Writes analysis/faithfulness.csv, means over a picture's pixels of
one class:

    kind "change"   value is how far the colour moves without the k highest by `by`, in 1/255 of RGB
    kind "rank"     value is Spearman's correlation of two rankings over the window, by `by` and by `against`; head 0 is
                    the mean of the heads
    kind "few ..."  the same of those pixels alone that have attribution, with it
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from attention_statistics import make_offsets
from gallery import (
    Pair,
    Row,
    count_pictures,
    differences,
    distinct,
    draw_line,
    find_models,
    find_scales,
    find_shots,
    make_figure,
    make_parser,
    over_pictures,
    run,
    select,
    spearman,
    tell,
)
from pixels import CLASSES, choose, classify
from torch import Tensor

import clit
from clit.commands.base import show_progress
from clit.networks.decoders.base import Attended
from clit.networks.model import SRModel
from clit.pictures.metrics import luma

MARGIN = 4  # pixels of the small picture to keep away from its border, so that windows lie inside
STEPS = 4  # of attribution, doubled until its gap is below 2 %
CHANCES = 3
COUNTS = (1, 2, 3, 5, 8, 12, 18, 27, 40)
RANKINGS = {
    "influence": "#0072b2",
    "attention": "#e69f00",
    "attribution": "#009e73",
    "nearness": "#cc79a7",
    "chance": "#7f7f7f",
}
MARKS = {"influence": "s", "attention": "o", "attribution": "^", "nearness": "v", "chance": "D"}

# Legend for shapes: Q pixels, M heads, P latents of a window, K counts.


def leave_out_highest(
    decoder, field, positions: Tensor, attended: list[Attended], stage: int, scores: np.ndarray, counts: list[int]
) -> np.ndarray:
    """Return how far the colours of pixels (Q, 2) move without the highest latents of one stage: (Q, K), in 1/255.

    scores: (Q, P). Each set is left out together; colours are RGB of [0, 1], and distances Euclidean.
    """
    place = np.argsort(np.argsort(-scores, -1, kind="stable"), -1)  # 0 for the highest
    without = [torch.zeros(len(positions), 0, found.weights.shape[-1], dtype=torch.bool) for found in attended]
    without[stage] = torch.from_numpy(place[:, None] < np.array(counts)[None, :, None])
    change = decoder.leave_out(field, positions, attended, without)[stage][0]
    return (255 * change.norm(dim=-1) / 2).numpy()


def pool_attribution(model: SRModel, pair: Pair, position: np.ndarray, found: Attended, query: int) -> np.ndarray:
    """Return how much each latent of a pixel's window counts, by the attribution of its luma: (P,).

    The latents are pixels of the small picture; what lies outside it counts nothing.
    """
    map = clit.attribute(model, pair.small, position, size=pair.size, objective="colour", steps=STEPS).map
    pooled = np.abs(map.sum(-1))
    rows, columns = found.rows[query].numpy(), found.columns[query].numpy()
    inside = ((rows >= 0) & (rows < pair.lr[0]))[:, None] & ((columns >= 0) & (columns < pair.lr[1]))
    rows, columns = (np.clip(at, 0, n - 1) for at, n in zip((rows, columns), pair.lr, strict=True))
    return (pooled[np.ix_(rows, columns)] * inside).ravel()


def measure_changes(
    decoder, field, positions: Tensor, attended: list[Attended], stage: int, scores: dict[str, np.ndarray], seed: int
) -> list[Row]:
    """Return how far colours move without the k highest of one stage, by each ranking {name: (Q, P)} and by chance."""
    random, latents = np.random.default_rng(seed), attended[stage].weights.shape[-1]
    chances = [random.random((len(positions), latents)) for _ in range(CHANCES)]
    counts, rows = [count for count in COUNTS if count < latents], []
    for by, several in ({by: [score] for by, score in scores.items()} | {"chance": chances}).items():
        changes = np.mean(
            [leave_out_highest(decoder, field, positions, attended, stage, score, counts) for score in several], 0
        )
        rows += [make_row(by, change, k=count) for count, change in zip(counts, changes.T, strict=True)]
    return rows


def measure_ranks(scores: dict[str, np.ndarray], weights: np.ndarray, against: str) -> list[Row]:
    """Return the correlation of one ranking with all others, and with single heads' weights (Q, M, P)."""
    by = {(name, 0): score for name, score in scores.items() if name != against}
    by |= {("attention", head + 1): weights[:, head] for head in range(weights.shape[1])}
    return [
        make_row(name, spearman(score, scores[against]), head=head, against=against)
        for (name, head), score in by.items()
    ]


def make_row(by: str, values: np.ndarray, k: int = 0, head: int = 0, against: str = "") -> Row:
    mean = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
    return {"by": by, "against": against, "head": head, "k": k, "pixels": len(values), "value": mean}


def measure_class(pair: Pair, model: SRModel, field, positions: Tensor, attributed: int, seed: int) -> list[Row]:
    """Return the rows of one picture's pixels of one class, for one model."""
    decoder = model.decoder
    attended = decoder.attend(field, positions)
    influences = decoder.influence(field, positions, attended)
    rows = []
    for stage, (found, influence) in enumerate(zip(attended, influences, strict=True)):
        weights = found.weights[0].numpy()  # (Q, M, P)
        nearness = -make_offsets(found, pair, positions).norm(dim=-1).numpy()
        scores = {"influence": influence[0].norm(dim=-1).numpy(), "attention": weights.mean(1), "nearness": nearness}
        asked = decoder, field, positions, attended, stage
        kinds = {
            "change": measure_changes(*asked, scores, seed),
            "rank": measure_ranks(scores, weights, "influence"),
        }
        if len(attended) == 1 and attributed:
            few, near = positions[:attributed], select_pixels(attended, attributed)
            pooled = [pool_attribution(model, pair, each.numpy(), found, q) for q, each in enumerate(few)]
            some = {name: score[:attributed] for name, score in scores.items()} | {"attribution": np.array(pooled)}
            kinds["few change"] = measure_changes(decoder, field, few, near, stage, some, seed)
            kinds["few rank"] = measure_ranks(some, weights[:attributed], "attribution")
        case = {"stage": stage + 1, "stages": len(attended)}
        rows += [{**case, "kind": kind, **row} for kind, several in kinds.items() for row in several]
    return rows


def select_pixels(attended: list[Attended], count: int) -> list[Attended]:
    """Return what the first pixels attended to."""
    return [
        Attended(each.weights[:, :count], None, None, each.rows[:count], each.columns[:count], each.grid)
        for each in attended
    ]


def measure(flags: Namespace) -> list[Row]:
    shots, models, scales, rows = find_shots(flags), find_models(flags), find_scales(flags), []
    cases = [(i, shot, scale) for i, shot in enumerate(shots) for scale in scales]
    with show_progress("faithfulness") as progress:
        for done, (seed, shot, scale) in enumerate(cases):
            pair = Pair(shot, scale)
            chosen = choose(classify(luma(pair.small)), pair.size, flags.pixels, MARGIN, flags.seed + seed)
            for part, (name, model) in enumerate(models.items()):
                field = pair.prepare(model)
                for kind, positions in chosen.items():
                    if len(positions):
                        found = measure_class(
                            pair, model, field, torch.from_numpy(positions), flags.attributed, flags.seed + seed
                        )
                        rows += [{**shot.key, "model": name, "scale": scale, "class": kind, **row} for row in found]
                progress((done + (part + 1) / len(models)) / len(cases))
    return rows


def find_cases(rows: list[Row]) -> list[Row]:
    """Return the models, scales, stages and kinds of change, each a line of panels."""
    names = ("model", "scale", "stage", "kind")
    found = distinct([row for row in rows if row["kind"].endswith("change")], *names)
    return [dict(zip(names, each, strict=True)) for each in found]


def figure(rows: list[Row], path: Path) -> None:
    cases = find_cases(rows)
    drawn = make_figure(7.2, 1.7 * len(cases) + 0.3)
    panels = drawn.subplots(len(cases), len(CLASSES), squeeze=False, sharex=True, sharey="row")
    for line, case in zip(panels, cases, strict=True):
        against = "attribution" if case["kind"] == "few change" else "influence"
        ranks = {**case, "kind": case["kind"].replace("change", "rank"), "against": against}
        for axes, kind in zip(line, CLASSES, strict=True):
            for by, colour in RANKINGS.items():
                found = select(rows, **case, **{"class": kind, "by": by})
                if found:
                    counts = distinct(found, "k")
                    points = [over_pictures(found, "value", k=count) for count in counts]
                    draw_line(axes, counts, points, colour, by, MARKS[by], "--" if by == "nearness" else "-")
            rank = over_pictures(rows, "value", **ranks, **{"class": kind}, by="attention", head=0.0)[0]
            axes.set_title(f"{kind} (rank correlation {rank:.2f})", fontsize=7)
            axes.set_xscale("log")
            axes.set_xticks([1, 3, 8, 18, 40], ["1", "3", "8", "18", "40"])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        where = f"{case['model']}, x{case['scale']:g}, stage {case['stage']:g}"
        pixels = "\npixels with attribution" if case["kind"] == "few change" else ""
        line[0].set_ylabel(f"{where}{pixels}\nchange of colour, 1/255", fontsize=6.5)
        line[-1].legend(frameon=False, fontsize=6.5, title=f"ranks: attention, {against}", title_fontsize=6.5)
    for axes in panels[-1]:
        axes.set_xlabel("neighbours left out")
    drawn.savefig(path, dpi=200)


def summary(rows: list[Row]) -> str:
    """What the rows say, as a list."""
    first = select(rows, kind="change", by="attention", k=3.0, stage=1.0, model=rows[0]["model"])
    said = [f"Of {count_pictures(rows)}; pixels: {count_pixels(first)}.\n"]
    for case in find_cases(rows):
        where, name = f"{case['model']}, x{case['scale']:g}, stage {case['stage']:g}", case["kind"]
        moved = {
            by: over_pictures(rows, "value", **case, by=by, k=3.0)
            for by in RANKINGS
            if select(rows, **case, by=by, k=3.0)
        }
        far = [f"{tell(value, '{:.1f}')} by {by}" for by, value in moved.items()]
        less = {
            by: differences(rows, "value", *({**case, "by": each, "k": 3.0} for each in ("attention", by)))
            for by in ("nearness", "attribution")
            if by in moved
        }
        further = [f"By attention less by {by}: {tell(value, '{:+.2f}')}." for by, value in less.items()]
        against = "influence" if name == "change" else "attribution"
        ranks = {**case, "kind": name.replace("change", "rank"), "against": against}
        heads = sorted({row["head"] for row in select(rows, **ranks)} - {0.0})
        of_heads = [over_pictures(rows, "value", **ranks, by="attention", head=head)[0] for head in heads]
        others = [by for by in moved if by not in (against, "chance")]
        agree = [f"{by} {tell(over_pictures(rows, 'value', **ranks, by=by, head=0.0))}" for by in others]
        pixels = "" if name == "change" else f", of {count_pixels(select(rows, **case, by='attention', k=3.0))} alone"
        said += [
            f"- {where}{pixels}: without the three highest neighbours the colour moves {', '.join(far)}, in 1/255. "
            f"{' '.join(further)}",
            f"- Rank correlation with {against} there: {', '.join(agree)}; single heads {min(of_heads):.2f} to "
            f"{max(of_heads):.2f}.",
        ]
    return "\n".join(said)


def count_pixels(rows: list[Row]) -> str:
    """Return how many pixels of which class rows are about, as text."""
    counts = {kind: sum(row["pixels"] for row in select(rows, **{"class": kind})) for kind in CLASSES}
    return ", ".join(f"{count:.0f} {kind}" for kind, count in counts.items())


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("lit-light-x32", "clit-light"), "6")
    parser.add_argument("--pixels", type=int, default=15, help="of each class, in each picture, at most")
    parser.add_argument("--attributed", type=int, default=0, help="of those, for attribution, which takes seconds each")
    parser.add_argument("--seed", type=int, default=0)
    run("faithfulness", parser, measure, figure, summary, arguments)


if __name__ == "__main__":
    main()
