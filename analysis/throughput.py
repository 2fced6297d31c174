"""Steps per second of training, what share of the time data takes, and what the grouped order saves.

    python analysis/throughput.py --data DIR [--presets lit-light --presets lit-base] [--steps 10]

For each preset, on the device that `accelerate launch` or the machine gives: steps per second of the project's own
training step, frozen encoder, and the share of it spent on cutting and reducing crops; then one forward and backward
pass of the decoder alone for the same output pixels in the order that training uses and by the plain definition: a
pixel for each latent as in training, and windows of 16 pixels per latent. Writes analysis/throughput.csv and prints it
as Markdown; `python analysis/tables.py` puts that into docs/training.md.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from clit.geometry import Lattice, Window
from clit.system.process import prepare_process
from clit.training.evaluate import markdown
from clit.training.photographs import Photographs, find_photographs
from clit.training.processes import start_accelerator
from clit.training.run import Run
from clit.training.settings import Settings

FILE = Path(__file__).resolve().parent / "throughput.csv"


def seconds(function: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """The shortest of some runs; the first does not count."""
    best = float("inf")
    for i in range(repeats + 1):
        began = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - began) if i else best
    return best


def decoder_pass(run: Run, name: str, pixels: Lattice, fast: bool) -> Callable[[], None]:
    """One forward and backward pass of the decoder for a lattice of x4, batch and patch as in training."""
    s, model = run.settings, run.models[name]
    side = 4 * s.patch
    with torch.no_grad():
        features = model.encode(torch.rand(s.batch, 3, s.patch, s.patch, device=run.device))
    view = model.view(features.size, (side, side)).with_pixels(pixels)

    def step() -> None:
        field = model.prepare(features, view)
        if fast:
            rgb: Tensor = model.render(field)
        else:
            rgb = model.query(field, torch.cartesian_prod(pixels.rows, pixels.columns).to(run.device))
        rgb.abs().mean().backward()

    return step


def read() -> list[dict[str, str]]:
    """The rows of the file."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]]) -> str:
    """The rows as Markdown."""
    lines = [["preset", "on", "steps/s", "data", "pixels per latent", "grouped", "plain", "ratio"]]
    for row in rows:
        preset, device, steps, data, pixels, grouped, plain, ratio = row.values()
        lines.append([preset, device, steps, f"{float(data):.1%}", pixels, f"{grouped} s", f"{plain} s", ratio])
    return markdown(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a folder of photographs")
    parser.add_argument("--presets", action="append", help="can be repeated; lit-light and lit-base by default")
    parser.add_argument("--steps", type=int, default=10)
    flags = parser.parse_args()
    photographs = Photographs(find_photographs(flags.data))
    rows = []
    for name in flags.presets or ("lit-light", "lit-base"):
        run = Run([name], Settings(steps=10**6, freeze_encoder=True), start_accelerator())
        run.train_step(photographs)
        run.cpu_seconds["data"] = 0.0
        began = time.perf_counter()
        for _ in range(flags.steps):
            run.train_step(photographs)
        taken = time.perf_counter() - began
        # Of the plain definition a part of the crop will do: it takes a matrix as long as all windows together.
        one = torch.arange(0, 4 * run.settings.patch, 4)
        for density, pixels in ((1, Lattice(one[:12], one[:12])), (16, Window(16, 16, 16, 16).lattice())):
            fast, plain = (seconds(decoder_pass(run, name, pixels, fast), run.device) for fast in (True, False))
            rows.append(
                {
                    "preset": name,
                    "device": run.device.type,
                    "steps_per_s": f"{flags.steps / taken:.2f}",
                    "data_share": f"{run.cpu_seconds['data'] / taken:.3f}",
                    "pixels_per_latent": density,
                    "grouped_s": f"{fast:.3f}",
                    "plain_s": f"{plain:.3f}",
                    "ratio": f"{plain / fast:.1f}",
                }
            )
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(table(read()))


if __name__ == "__main__":
    prepare_process()
    main()
