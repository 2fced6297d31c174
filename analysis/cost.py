"""What every decoder costs beside the others: multiply-adds, seconds per megapixel, memory, and the encoder's share.

    python analysis/speed.py    # measures on this machine
    python analysis/cost.py

Reads analysis/speed.csv, or another file that analysis/speed.py wrote (--speed). Draws analysis/cost.png, seconds per
megapixel of output against the scale with the encoder included, and prints the table as Markdown;
`python analysis/tables.py` puts it into analysis/README.md. CLIT splits the scale as published.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import speed
from gallery import MARKS, METHODS, ROOT, make_figure

from clit.config import PRESETS
from clit.networks.model import SRModel
from clit.training.evaluate import markdown

SHOWN = (2.0, 4.0, 8.0, 30.0)


def find_costs(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return a row per model and scale; all but memory and parameters per output pixel, or megapixel of output."""
    counts = {}
    for name in dict.fromkeys(row["model"] for row in rows):
        model = SRModel(PRESETS[name])
        counts[name] = [sum(p.numel() for p in part.parameters()) for part in (model.encoder, model.decoder)]
    return [
        {
            "model": row["model"],
            "scale": row["scale"],
            "parameters": counts[row["model"]][1] / 1e3,
            "encoder_kmac": counts[row["model"]][0] / row["scale"] ** 2 / 1e3,
            "decoder_kmac": row["work_kmac"],
            "encoder_s": row["encoder_s_per_lr_mpx"] / row["scale"] ** 2,
            "decoder_s": row["fast_s_per_mpx"],
            "memory_mb": row["memory_mb"],
        }
        for row in rows
        if row["chain"] == "published"
    ]


def figure(costs: list[dict[str, object]], path: Path) -> None:
    drawn = make_figure(4.8, 3.0)
    axes = drawn.subplots()
    names = list(dict.fromkeys(row["model"] for row in costs))
    methods = list(dict.fromkeys(name.split("-")[0] for name in names))
    for name in names:
        points = [(row["scale"], row["encoder_s"] + row["decoder_s"]) for row in costs if row["model"] == name]
        i = methods.index(name.split("-")[0])
        form = {
            "color": METHODS.get(f"{methods[i]}-light", "#000000"),
            "marker": MARKS[i],
            "markersize": 3,
            "linewidth": 1.2,
            "label": name,
        }
        axes.plot(*zip(*points, strict=True), "-" if name.endswith("light") else "--", **form)
    scales = sorted({row["scale"] for row in costs})
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(scales, [f"x{scale:g}" for scale in scales])
    axes.minorticks_off()
    axes.set(xlabel="scale", ylabel="seconds per megapixel of output,\nencoder included")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=6.5, loc="center left", bbox_to_anchor=(1, 0.5))
    drawn.savefig(path, dpi=200)


def table(rows: list[dict[str, object]]) -> str:
    """The rows of analysis/speed.py at the scales of `SHOWN`, as Markdown."""
    lines = [
        ["model", "scale", "decoder's parameters", "encoder", "decoder", "encoder takes", "decoder takes", "memory"]
    ]
    for row in find_costs(rows):
        if row["scale"] in SHOWN:
            lines.append(
                [
                    row["model"], f"x{row['scale']:g}", f"{row['parameters']:.0f} k", f"{row['encoder_kmac']:.0f} kMAC",
                    f"{row['decoder_kmac']:.0f} kMAC", f"{row['encoder_s']:.2f} s/MPx", f"{row['decoder_s']:.2f} s/MPx",
                    f"{row['memory_mb']:.0f} MB",
                ]
            )  # fmt: skip
    return (
        f"{markdown(lines)}\n\nkMAC are thousands of multiply-adds per output pixel, MPx are of output; "
        f"{rows[0]['threads']:.0f} threads, vectors of {rows[0]['vector_bits']:.0f} bits."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=Path, default=ROOT / "analysis" / "speed.csv", help="what speed.py wrote")
    rows = speed.read(parser.parse_args().speed)
    figure(find_costs(rows), ROOT / "analysis" / "cost.png")
    print(table(rows))


if __name__ == "__main__":
    main()
