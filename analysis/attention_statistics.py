"""What decides where attention looks, and whether looking elsewhere than distance does brings anything.

    python analysis/attention_statistics.py --data Set5 --data Set14
    python analysis/attention_statistics.py --data my_pictures --model my_checkpoint --out my_results
    python analysis/attention_statistics.py --quick

Asks random output pixels of every picture. Their gradient is that of the small picture, and `fifth` says where its
strength stands in the picture: 1 (flattest) to 5, or 0 for all pixels. Writes analysis/attention_statistics.csv:

    entropy     of a head's weights, in bits: 0 (one latent) to log2 of the latents (all alike)
    distance    weighted mean distance from the pixel to the latents, in pixels of the small picture
    along       how far the weights stretch along the edge: 1 (a line along it), 0 (no direction), -1 (across it)
    content     share of the variance of a head's logits over the window that similarity makes; position makes the rest
    departure   how much of the heads' mean weight lies elsewhere than the local ensemble of LIIF puts it, 0 to 1
    gain        squared error of luma of --base less that of the model, in squares of 1/255

Rows of head 0 are about the mean of the heads. In those, `by` says which order the fifths are of: "gradient", or
"departure".
"""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from gallery import (
    HEADS,
    MARKS,
    Pair,
    Row,
    count_pictures,
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
    share_over_pictures,
    tell,
)
from pixels import find_structure
from torch import Tensor

import clit
from clit.commands.base import show_progress
from clit.errors import UserError
from clit.networks.decoders.base import Attended
from clit.pictures.metrics import luma

MARGIN = 4  # pixels of the small picture to keep away from its border
PARTS = 5

# Legend for shapes: Q pixels, M heads, P latents of a window.


def make_offsets(found: Attended, pair: Pair, positions: Tensor) -> Tensor:
    """Return the offsets (Q, P, 2) from pixels (Q, 2) to their latents, in latents, order (y, x)."""
    size, grid = (torch.tensor(each, dtype=torch.float64) for each in (pair.size, found.grid))
    query = (positions + 0.5) * grid / size - 0.5
    rows, columns = found.rows - query[:, :1], found.columns - query[:, 1:]
    return torch.stack(torch.broadcast_tensors(rows[:, :, None], columns[:, None]), -1).flatten(1, 2)


def measure_entropy(weights: Tensor) -> Tensor:
    """Return the entropy in bits of weights (..., P)."""
    return torch.special.entr(weights).sum(-1) / math.log(2)


def measure_stretch(weights: Tensor, offsets: Tensor) -> Tensor:
    """Return how weights (Q, M, P) stretch: (Q, M, 2), cosine and sine of twice the angle, times how much, 0 to 1.

    From the weights' covariance: 0 if they spread alike in all directions, 1 if they lie on a line.
    """
    mean = torch.einsum("qmp,qpc->qmc", weights, offsets)
    square = torch.einsum("qmp,qpc,qpd->qmcd", weights, offsets, offsets) - mean[..., :, None] * mean[..., None, :]
    yy, xx, xy = square[..., 0, 0], square[..., 1, 1], square[..., 0, 1]
    return torch.stack([xx - yy, 2 * xy], -1) / (yy + xx).clamp_min(1e-12)[..., None]


def split_variance(content: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance of the logits over the window that similarity makes, and all of it: (Q, M) each.

    Each of the two gets half of what they make together.
    """
    c, p = (x - x.mean(-1, keepdim=True) for x in (content, position))
    both = (c * p).mean(-1)
    own = (c * c).mean(-1) + both
    return own, own + (p * p).mean(-1) + both


def measure_departure(weights: Tensor, offsets: Tensor) -> Tensor:
    """Return which share (Q,) of weights (Q, P) lies elsewhere than the local ensemble's four weights."""
    ensemble = (1 - offsets.abs()).clamp_min(0).prod(-1)
    return (weights - ensemble).abs().sum(-1) / 2


def sort_into_parts(values: np.ndarray) -> np.ndarray:
    """Return which fifth of the values each belongs to: (Q,), 1 (smallest) to 5."""
    order = np.argsort(values, kind="stable")
    parts = np.empty(len(values), int)
    parts[order] = np.arange(len(values)) * PARTS // len(values) + 1
    return parts


def measure_pair(pair: Pair, models: dict, base_name: str, base, count: int, seed: int) -> list[Row]:
    """Return the rows of one picture at one scale, without the columns that name these."""
    positions = draw_positions(pair, count, seed)
    row, column = np.rint(pair.to_small(positions).numpy()).astype(int).T
    small = find_structure(luma(pair.small))
    strength, direction = small.strength[row, column], torch.from_numpy(small.direction[row, column])
    by_gradient = sort_into_parts(strength)
    truth = luma(pair.truth)[tuple(positions.T.numpy())]

    def find_error(model) -> np.ndarray:
        rgb = torch.cat(
            [model.query(field, part)[0] for field in [pair.prepare(model)] for part in positions.split(256)]
        )
        return (255 * (luma(rgb.clamp(0, 1).numpy()) - truth)) ** 2

    base_error, rows = find_error(base), []
    for name, model in models.items():
        field, gain = pair.prepare(model), base_error - find_error(model)
        parts = [model.decoder.attend(field, part) for part in positions.split(256)]
        for stage, pieces in enumerate(zip(*parts, strict=True)):
            found = join(pieces)
            offsets = make_offsets(found, pair, positions)
            case = {"model": name, "base": base_name, "stage": stage + 1, "stages": len(parts[0]), "pixels": count}
            rows += [case | each for each in describe_heads(found, offsets, pair, direction, by_gradient)]
            if len(parts[0]) == 1:  # later stages have grids of their own, which no ensemble looks at
                departure = measure_departure(found.weights[0].double().mean(1), offsets).numpy()
                orders = {"gradient": by_gradient, "departure": sort_into_parts(departure)}
                rows += [case | each for each in describe_gain(departure, gain, orders)]
    return rows


def join(pieces: tuple[Attended, ...]) -> Attended:
    """Join what one stage attended to at parts of the pixels."""
    first = pieces[0]
    weights, content, position = (
        torch.cat([getattr(piece, part) for piece in pieces], 1) for part in ("weights", "content", "position")
    )
    rows, columns = (torch.cat([getattr(piece, axis) for piece in pieces]) for axis in ("rows", "columns"))
    return Attended(weights, content, position, rows, columns, first.grid)


def draw_positions(pair: Pair, count: int, seed: int) -> Tensor:
    """Return random output pixels (Q, 2), not near the border."""
    random = np.random.default_rng(seed)
    if min(pair.lr) <= 2 * MARGIN:
        raise UserError("A small picture must have more than eight pixels a side: choose a smaller scale.")
    low = np.array([MARGIN * n_out / n for n_out, n in zip(pair.size, pair.lr, strict=True)])
    high = np.array(pair.size) - low
    return torch.from_numpy(np.ceil(random.uniform(low, high - 1, (count, 2))).astype(np.int64))


EMPTY = dict.fromkeys(("entropy", "distance", "along", "content", "departure", "gain"), math.nan)


def describe_heads(found: Attended, offsets: Tensor, pair: Pair, direction: Tensor, parts: np.ndarray) -> list[Row]:
    """Return a row per head and fifth, and per head one of all pixels."""
    weights = found.weights[0].double()
    step = torch.tensor(pair.lr, dtype=torch.float64) / torch.tensor(found.grid)
    entropy = measure_entropy(weights)
    distance = torch.einsum("qmp,qp->qm", weights, (offsets * step).norm(dim=-1))
    along = -(measure_stretch(weights, offsets) * direction[:, None]).sum(-1)
    own, total = split_variance(found.content[0].double(), found.position[0].double())
    rows = []
    for part in range(PARTS + 1):
        chosen = torch.from_numpy(parts == part if part else np.ones(len(parts), bool))
        for head in range(weights.shape[1]):
            e, d, a = (x[chosen, head].mean().item() for x in (entropy, distance, along))
            content = (own[chosen, head].sum() / total[chosen, head].sum().clamp_min(1e-12)).item()
            values = {"entropy": e, "distance": d, "along": a, "content": content}
            rows.append({"head": head + 1, "by": "gradient", "fifth": part, **EMPTY, **values})
    return rows


def describe_gain(departure: np.ndarray, gain: np.ndarray, orders: dict[str, np.ndarray]) -> list[Row]:
    """Return a row per order and fifth, and one of all pixels."""
    groups = [("gradient", 0, np.ones(len(gain), bool))]
    groups += [(by, part, parts == part) for by, parts in orders.items() for part in range(1, PARTS + 1)]
    return [
        {"head": 0, "by": by, "fifth": part, **EMPTY}
        | {"departure": float(departure[chosen].mean()), "gain": float(gain[chosen].mean())}
        for by, part, chosen in groups
    ]


def measure(flags: Namespace) -> list[Row]:
    shots, models, scales = find_shots(flags), find_models(flags), find_scales(flags)
    base, count, rows = clit.load(flags.base), min(flags.pixels, 200) if flags.quick else flags.pixels, []
    with show_progress("attention") as progress:
        for done, shot in enumerate(shots):
            for scale in scales:
                found = measure_pair(Pair(shot, scale), models, flags.base, base, count, flags.seed + done)
                rows += [{**shot.key, "scale": scale, **row} for row in found]
            progress((done + 1) / len(shots))
    return rows


SHOWN = {
    "entropy": "entropy, bits",
    "distance": "mean distance,\npixels of the small picture",
    "along": "stretch along the edge",
    "content": "share of the logits' variance\nthat similarity makes",
}


def choose_cases(rows: list[Row]) -> list[Row]:
    """Return what the figure has a line of panels for: each model at the largest scale that its stages all serve."""
    cases = []
    for name in distinct(rows, "model"):
        most = max(row["stages"] for row in select(rows, model=name))
        scale = min(row["scale"] for row in select(rows, model=name, stages=most))
        cases += [{"model": name, "scale": scale, "stage": float(stage)} for stage in range(1, int(most) + 1)]
    return cases


def figure(rows: list[Row], path: Path) -> None:
    cases, fifths = choose_cases(rows), range(1, PARTS + 1)
    drawn = make_figure(7.2, 1.75 * len(cases) + 2.1)
    upper, lower = drawn.subfigures(2, 1, height_ratios=(1.75 * len(cases), 2.1))
    panels = upper.subplots(len(cases), len(SHOWN), squeeze=False, sharex=True, sharey="col")
    for line, case in zip(panels, cases, strict=True):
        for axes, (column, label) in zip(line, SHOWN.items(), strict=True):
            for head in sorted({row["head"] for row in select(rows, **case)} - {0.0}):
                found = [over_pictures(rows, column, **case, head=head, fifth=float(each)) for each in fifths]
                index = int(head) - 1
                draw_line(axes, fifths, found, HEADS[index % 8], f"head {head:g}", MARKS[index % 8])
            axes.set_ylabel(label, fontsize=7)
            axes.grid(alpha=0.3)
            if column == "along":
                axes.axhline(0, color="0.4", linewidth=0.8)
        line[0].set_title(
            f"{case['model']}, x{case['scale']:g}, stage {case['stage']:g}", loc="left", fontweight="bold"
        )
    panels[0, -1].legend(frameon=False, ncol=2, fontsize=6)
    for axes in panels[-1]:
        axes.set_xticks(fifths)
        axes.set_xlabel("fifth of pixels by gradient", fontsize=7)
    draw_gains(rows, lower)
    drawn.savefig(path, dpi=200)


def draw_gains(rows: list[Row], drawn) -> None:
    """Draw the gain over the base against fifths by departure, and by gradient, of models of one stage."""
    cases = [
        dict(zip(("model", "scale"), each, strict=True)) for each in distinct(select(rows, head=0.0), "model", "scale")
    ]
    left, right = drawn.subplots(1, 2, sharey=True)
    fifths = range(1, PARTS + 1)
    for axes, by in ((left, "departure"), (right, "gradient")):
        for i, case in enumerate(cases):
            found = [over_pictures(rows, "gain", **case, head=0.0, by=by, fifth=float(each)) for each in fifths]
            draw_line(axes, fifths, found, HEADS[i % 8], f"{case['model']}, x{case['scale']:g}", MARKS[i % 8])
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.grid(alpha=0.3)
        axes.set_xticks(fifths)
        axes.set_xlabel(
            "fifth of pixels by departure from the four weights" if by == "departure" else "fifth by gradient"
        )
    left.set_ylabel(f"gain over {rows[0]['base']},\nsquared error in (1/255)²", fontsize=7)
    left.legend(frameon=False)


def summary(rows: list[Row]) -> str:
    """What the rows say, as a list."""
    said = []
    for case in choose_cases(rows):
        heads = select(rows, **case, fifth=0.0)
        text = []
        for column, form in (
            ("entropy", "entropy {} to {} bits"), ("distance", "distance {} to {} pixels"),
            ("content", "similarity makes {} to {} of the variance"), ("along", "stretch along the edge {} to {}"),
        ):  # fmt: skip
            means = [over_pictures(heads, column, head=head)[0] for head in sorted({r["head"] for r in heads} - {0.0})]
            text.append(form.format(*(f"{value:.2f}".replace("-0.00", "0.00") for value in (min(means), max(means)))))
        said.append(f"- {case['model']}, x{case['scale']:g}, stage {case['stage']:g}, head by head: {', '.join(text)}.")
        alls = select(rows, **case, head=0.0, fifth=0.0)
        for by, which in (
            ("departure", "departs most from the four weights"),
            ("gradient", "has the steepest gradient"),
        ):
            if alls:
                part = select(rows, **case, head=0.0, fifth=float(PARTS), by=by)
                share = tell(share_over_pictures(part, [{**row, "gain": PARTS * row["gain"]} for row in alls], "gain"))
                said.append(f"- The fifth that {which} has {share} of its gain over {rows[0]['base']}.")
    return "\n".join(
        [f"Of {count_pictures(rows)}, {rows[0]['pixels']:g} random pixels each. Intervals are 95 %.\n", *said]
    )


def make_gallery_parser():
    parser = make_parser(__doc__, ("lit-light", "clit-light"), "4,8")
    parser.add_argument("--base", default="liif-light", help="the model that gains are over")
    parser.add_argument("--pixels", type=int, default=2000, help="random output pixels of a picture")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(arguments: list[str] | None = None) -> None:
    run("attention_statistics", make_gallery_parser(), measure, figure, summary, arguments)


if __name__ == "__main__":
    main()
