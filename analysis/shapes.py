"""How long candidate shapes of the light decoders take for one 400x400 viewport.

    python analysis/shapes.py

Random weights, features given, a 128x128 LR image. Each time is the median of three, scaled to a product rate of
100 GMAC/s by the rate of a (4096 x 256)(256 x 256) product measured right before it. The light presets' shapes were
chosen with this table. Writes analysis/shapes.csv and prints it as Markdown; `python analysis/tables.py` puts that into
docs/speed.md.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from pathlib import Path

import torch
from speed import product_rate

from clit.config import CLITConfig, DecoderConfig, EDSRConfig, LIIFConfig, LTEConfig, ModelConfig
from clit.geometry import Window
from clit.networks.model import SRModel
from clit.system.process import prepare_process
from clit.training.evaluate import markdown

FILE = Path(__file__).resolve().parent / "shapes.csv"
SHAPES: dict[str, DecoderConfig] = {
    "liif 4x72": LIIFConfig(hidden=(72,) * 4),
    "liif 3x88": LIIFConfig(hidden=(88,) * 3),
    "lte 72, 3x72": LTEConfig(width=72, hidden=(72,) * 3),
    "lit D64 M4 3x96": CLITConfig(width=64, heads=4, hidden=(96,) * 3),
    "lit D64 M2 3x112": CLITConfig(width=64, heads=2, hidden=(112,) * 3),
    "lit D64 M2 3x128": CLITConfig(width=64, heads=2, hidden=(128,) * 3),
    "lit D64 M8 3x64": CLITConfig(width=64, heads=8, hidden=(64,) * 3),
    "lit D48 M2 3x128": CLITConfig(width=48, heads=2, hidden=(128,) * 3),
    "clit D64 M4 3x96": CLITConfig(width=64, heads=4, hidden=(96,) * 3, stages=3),
}


@torch.inference_mode()
def measure(config: DecoderConfig, scale: float) -> dict[str, float]:
    """One row of the table."""
    torch.manual_seed(0)
    model = SRModel(ModelConfig(EDSRConfig(blocks=1), config)).eval()
    features = model.encode(torch.rand(1, 3, 128, 128))
    size = (round(128 * scale),) * 2
    view = model.view((128, 128), size, Window(0, 0, 400, 400))
    seconds, rates = [], []
    for _ in range(3):
        rates.append(product_rate() / 1e9)
        began = time.perf_counter()
        model.render(model.prepare(features, view))
        seconds.append(time.perf_counter() - began)
    taken, rate = statistics.median(seconds), statistics.median(rates)
    return {
        "scale": scale,
        "work_x4_kmac": round(model.decoder.work(16) / 1e3, 1),
        "seconds": round(taken, 3),
        "gmac_per_s": round(rate, 1),
        "seconds_at_100": round(taken * rate / 100, 3),
    }


def read() -> list[dict[str, str]]:
    """The rows of the file."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]]) -> str:
    """Markdown: a line per shape with its work per output pixel at x4, and the time at each scale."""
    scales = list(dict.fromkeys(row["scale"] for row in rows))
    work = {row["shape"]: row["work_x4_kmac"] for row in rows}
    times = {(row["shape"], row["scale"]): f"{float(row['seconds_at_100']):.2f} s" for row in rows}
    lines = [["shape", "kMAC per pixel at x4", *(f"x{scale}" for scale in scales)]]
    lines += [[shape, work[shape], *(times[shape, scale] for scale in scales)] for shape in work]
    return markdown(lines)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    prepare_process()
    rows = []
    for scale in (4, 8, 30):
        for name, config in SHAPES.items():
            rows.append({"shape": name, **measure(config, scale)})
            print(rows[-1], file=sys.stderr)
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(table(read()))


if __name__ == "__main__":
    main()
