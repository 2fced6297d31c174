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


def measure_class(pair: Pair, model: SRModel, field, positions: Tensor, attributed: int, seed: int) -> list[Row]:
    """Return the rows of one picture's pixels of one class, for one model."""
    decoder, random = model.decoder, np.random.default_rng(seed)
    attended = decoder.attend(field, positions)
    influences = decoder.influence(field, positions, attended)
    rows = []
    for stage, (found, influence) in enumerate(zip(attended, influences, strict=True)):
        weights = found.weights[0].numpy()  # (Q, M, P)
        latents = weights.shape[-1]
        counts = [count for count in COUNTS if count < latents]
        nearness = -make_offsets(found, pair, positions).norm(dim=-1).numpy()
        scores = {"influence": influence[0].norm(dim=-1).numpy(), "attention": weights.mean(1), "nearness": nearness}
        if len(attended) == 1 and attributed:
            chosen = range(min(attributed, len(positions)))
            pooled = [pool_attribution(model, pair, positions[q].numpy(), found, q) for q in chosen]
            scores["attribution"] = np.array(pooled)
        case = {"stage": stage + 1, "stages": len(attended)}

        def row(
            kind: str, by: str, value: np.ndarray, count: int = 0, head: int = 0, against: str = "", case=case
        ) -> Row:
            mean = float(np.nanmean(value)) if np.isfinite(value).any() else float("nan")
            named = {"kind": kind, "by": by, "against": against, "head": head, "k": count}
            return {**case, **named, "pixels": len(value), "value": mean}

        chances = [random.random((len(positions), latents)) for _ in range(CHANCES)]
        orders = {by: [score] for by, score in scores.items()} | {"chance": chances}
        for by, several in orders.items():
            some = len(several[0])
            asked = [
                Attended(f.weights[:, :some], None, None, f.rows[:some], f.columns[:some], f.grid) for f in attended
            ]
            changes = [
                leave_out_highest(decoder, field, positions[:some], asked, stage, score, counts) for score in several
            ]
            rows += [
                row("change", by, change, count) for count, change in zip(counts, np.mean(changes, 0).T, strict=True)
            ]
        for against in ("influence", "attribution"):
            if against in scores:
                some = len(scores[against])
                by = {(name, 0): score[:some] for name, score in scores.items() if len(score) >= some}
                by |= {("attention", head + 1): weights[:some, head] for head in range(weights.shape[1])}
                rows += [
                    row("rank", name, spearman(score, scores[against]), head=head, against=against)
                    for (name, head), score in by.items()
                    if name != against
                ]
    return rows


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
    """Return the models, scales and stages, each a line of panels."""
    names = ("model", "scale", "stage")
    return [dict(zip(names, each, strict=True)) for each in distinct(rows, *names)]


def figure(rows: list[Row], path: Path) -> None:
    cases = find_cases(rows)
    drawn = make_figure(7.2, 1.7 * len(cases) + 0.3)
    panels = drawn.subplots(len(cases), len(CLASSES), squeeze=False, sharex=True, sharey="row")
    for line, case in zip(panels, cases, strict=True):
        for axes, kind in zip(line, CLASSES, strict=True):
            for by, colour in RANKINGS.items():
                found = select(rows, **case, **{"class": kind, "kind": "change", "by": by})
                if found:
                    counts = distinct(found, "k")
                    points = [over_pictures(found, "value", k=count) for count in counts]
                    draw_line(axes, counts, points, colour, by, MARKS[by], "--" if by == "nearness" else "-")
            rank = select(rows, **case, **{"class": kind}, kind="rank", by="attention", against="influence", head=0.0)
            axes.set_title(f"{kind} (rank correlation {over_pictures(rank, 'value')[0]:.2f})", fontsize=7)
            axes.set_xscale("log")
            axes.set_xticks([1, 3, 8, 18, 40], ["1", "3", "8", "18", "40"])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        line[0].set_ylabel(
            f"{case['model']}, x{case['scale']:g}, stage {case['stage']:g}\nchange of colour, 1/255", fontsize=7
        )
    for axes in panels[-1]:
        axes.set_xlabel("neighbours left out")
    panels[0, 0].legend(frameon=False, fontsize=6.5)
    drawn.savefig(path, dpi=200)


def summary(rows: list[Row]) -> str:
    """What the rows say, as a list."""
    first = select(rows, kind="change", by="attention", k=3.0, stage=1.0, model=rows[0]["model"])
    counts = {kind: f"{sum(row['pixels'] for row in select(first, **{'class': kind})):.0f}" for kind in CLASSES}
    said = [f"Of {count_pictures(rows)}; pixels: {', '.join(f'{n} {kind}' for kind, n in counts.items())}.\n"]
    for case in find_cases(rows):
        moved = [
            f"{tell(over_pictures(rows, 'value', **case, kind='change', by=by, k=3.0), '{:.1f}')} by {by}"
            for by in ("influence", "attention", "nearness", "chance")
        ]
        less = differences(
            rows, "value", *({**case, "kind": "change", "by": by, "k": 3.0} for by in ("attention", "nearness"))
        )
        against = {**case, "kind": "rank", "against": "influence"}
        heads = sorted({row["head"] for row in select(rows, **against)} - {0.0})
        of_heads = [over_pictures(rows, "value", **against, by="attention", head=head)[0] for head in heads]
        ranks = [over_pictures(rows, "value", **against, by=by, head=0.0) for by in ("attention", "nearness")]
        said += [
            f"- {case['model']}, x{case['scale']:g}, stage {case['stage']:g}: without the three highest neighbours the "
            f"colour moves {', '.join(moved)}, in 1/255. By attention less by nearness: {tell(less, '{:+.2f}')}.",
            f"- Rank correlation with influence there: attention {tell(ranks[0])}, single heads {min(of_heads):.2f} to "
            f"{max(of_heads):.2f}, nearness {tell(ranks[1])}.",
        ]
        if found := select(rows, **case, kind="rank", against="attribution", head=0.0):
            by = {name: tell(over_pictures(found, "value", by=name)) for name in ("attention", "influence", "nearness")}
            pixels = sum(row["pixels"] for row in select(found, by="attention"))
            text = ", ".join(f"{name} {value}" for name, value in by.items())
            said.append(f"- Rank correlation with attribution, of {pixels:.0f} pixels: {text}.")
    return "\n".join(said)


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("lit-light-x32", "clit-light"), "6")
    parser.add_argument("--pixels", type=int, default=15, help="of each class, in each picture, at most")
    parser.add_argument("--attributed", type=int, default=0, help="of those, for attribution, which takes seconds each")
    parser.add_argument("--seed", type=int, default=0)
    run("faithfulness", parser, measure, figure, summary, arguments)


if __name__ == "__main__":
    main()
