"""How exact attributions are: the gap between a map's sum and the change of the objective that it explains.

    python analysis/completeness.py
    python analysis/completeness.py --data my_pictures --model my_checkpoint --out my_results
    python analysis/completeness.py --quick

Random pixels of every class (analysis/pixels.py), flat ones among them, and both objectives. Steps are doubled until
the gap is below 2 %, to at most 400. Writes analysis/completeness.csv, a row per pixel, model and objective, and prints
the largest gap of each model; `python analysis/tables.py` puts them into analysis/README.md.
"""

from __future__ import annotations

from argparse import Namespace

import numpy as np
from gallery import (
    Pair,
    Row,
    count_pictures,
    distinct,
    find_models,
    find_scales,
    find_shots,
    make_parser,
    run,
    select,
)
from pixels import choose, classify

import clit
from clit.commands.base import show_progress
from clit.pictures.metrics import luma
from clit.rendering.attribution import GAP, MOST_STEPS, OBJECTIVES
from clit.training.evaluate import markdown

STEPS = 10  # to begin with


def measure(flags: Namespace) -> list[Row]:
    shots, models, (scale, *_), rows = find_shots(flags), find_models(flags), find_scales(flags), []
    with show_progress("completeness") as progress:
        for done, shot in enumerate(shots):
            pair = Pair(shot, scale)
            chosen = choose(classify(luma(pair.small)), pair.size, 1 if flags.quick else flags.pixels, 0, done)
            cases = [(kind, each, by) for kind, found in chosen.items() for each in found for by in OBJECTIVES]
            for part, (kind, (row, column), objective) in enumerate(cases):
                for name, model in models.items():
                    found = clit.attribute(
                        model, pair.small, (int(row), int(column)), size=pair.size, objective=objective, steps=STEPS
                    )
                    where = {"class": kind, "row": int(row), "column": int(column)}
                    case = {**shot.key, "model": name, "scale": scale, "objective": objective, **where}
                    is_finite = bool(np.isfinite(found.map).all())
                    rows.append({**case, "gap": found.gap, "steps": found.steps, "finite": int(is_finite)})
                progress((done + (part + 1) / len(cases)) / len(shots))
    return rows


def summary(rows: list[Row]) -> str:
    """The largest gap of each model and objective, as Markdown."""
    pixels = len(distinct(rows, "picture", "row", "column"))
    flat = len(distinct(select(rows, **{"class": "flat"}), "picture", "row", "column"))
    lines = [["model", "objective", "largest gap", "most steps", "gaps of 2 % and more", "maps with NaN"]]
    for name, objective in distinct(rows, "model", "objective"):
        found = select(rows, model=name, objective=objective)
        gap, steps = (max(row[column] for row in found) for column in ("gap", "steps"))
        wide, bad = sum(row["gap"] >= GAP for row in found), sum(not row["finite"] for row in found)
        lines.append([name, objective, f"{gap:.2%}", f"{steps:.0f}", f"{wide}", f"{bad}"])
    return (
        f"Of {count_pictures(rows)} at x{rows[0]['scale']:g}: {pixels} pixels, {flat} of them on flat ground; at most "
        f"{MOST_STEPS} steps.\n\n{markdown(lines)}"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("bicubic", "liif-light", "lte-light", "lit-light", "clit-light"), "5.5")
    parser.add_argument("--pixels", type=int, default=1, help="of each class, in each picture, at most")
    run("completeness", parser, measure, None, summary, arguments)


if __name__ == "__main__":
    main()
