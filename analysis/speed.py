"""How fast, how exact, how large: the fast order of every decoder against its plain definition, on this machine.

    python analysis/speed.py [--models lit-light --models clit-base ...] [--scales 1.5,2,4,8,16,30]

Writes analysis/speed.csv, a line per model and scale:

    fast_s_per_mpx    seconds per megapixel of a 400 x 400 window through the renderer, features ready (median)
    plain_s_per_mpx   the same of the plain definition, on a small window
    ratio             plain / fast
    torch_s_per_mpx   the fast order through torch, without compiled kernels, timed in turn with the fast order
    torch_ratio       torch / fast: 1 where there are no compiled kernels
    torch_difference  the largest difference between the two, RGB in [0, 1]
    difference        the largest difference between the two, RGB in [0, 1]
    work_kmac         thousands of multiply-adds per output pixel that the fast order needs (METHOD: work), all stages
    rate_gmac         multiply-adds per second of a (4096 x 256)(256 x 256) product, right before and after each timing
    efficiency        work / rate / time of the fast order; plain_efficiency is that of the plain definition's own work
    seconds_at_100    time of the window, scaled to a product rate of 100 GMAC/s
    memory_mb         peak of the decoder's working memory for the window
    encoder_s_per_lr_mpx, encoder_ratio    of the encoder: seconds per megapixel of the small picture by oneDNN's own
                      operations, and those of torch's over them, timed in turn
    vector_bits       width of the vectors that the compiled kernels use; 0 where there are none

and draws analysis/speed.png: time against output size and against scale. Prints some of the lines as Markdown;
`python analysis/tables.py` puts those into docs/speed.md. Weights are random: they cost the same.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import gc
import math
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from clit.config import PRESETS
from clit.geometry import Window, output_size
from clit.networks import compiling
from clit.networks.encoders import prepacked
from clit.networks.model import SRModel
from clit.rendering.renderer import Renderer
from clit.system.process import prepare_process
from clit.training.evaluate import markdown

ROOT = Path(__file__).resolve().parent.parent
MODELS = [f"{method}-{family}" for family in ("light", "base") for method in ("liif", "lte", "lit", "clit")]
SIDE, PLAIN_SIDE = 400, 32
SHOWN = (1.5, 4.0, 8.0, 30.0)  # scales in docs/speed.md
COLUMNS = (
    "model", "scale", "chain", "fast_s_per_mpx", "plain_s_per_mpx", "ratio", "difference", "work_kmac", "rate_gmac",
    "efficiency", "plain_efficiency", "seconds_at_100", "memory_mb", "encoder_s_per_lr_mpx", "encoder_ratio", "threads",
    "torch_s_per_mpx", "torch_ratio", "torch_difference", "vector_bits",
)  # fmt: skip


def product_rate() -> float:
    """Multiply-adds per second of a (4096 x 256)(256 x 256) product on torch's threads."""
    a, b = torch.rand(4096, 256), torch.rand(256, 256)
    a @ b
    began = time.perf_counter()
    for _ in range(20):
        a @ b
    return 20 * 4096 * 256 * 256 / (time.perf_counter() - began)


def timed(*functions, repeats: int) -> list[tuple[float, float]]:
    """Median seconds of a call, and median product rate beside it, of functions called in turn.

    The first call of each does not count.
    """
    seconds, rates = [[] for _ in functions], [[] for _ in functions]
    for repeat in range(repeats + 1):
        for i, function in enumerate(functions):
            before = product_rate()
            began = time.perf_counter()
            function()
            taken = time.perf_counter() - began
            if repeat:
                seconds[i].append(taken)
                rates[i].append((before + product_rate()) / 2)
    return [(statistics.median(s), statistics.median(r)) for s, r in zip(seconds, rates, strict=True)]


def vector_bits() -> int:
    """Bits of the vectors that the compiled kernels use; 0 where there are none."""
    if not compiling.wait():
        return 0
    from clit.networks.kernels.tile import WIDE

    return 32 * WIDE


def peak_memory(function) -> float:
    """Megabytes by which a call raises the process's resident memory at its peak; nan where Linux does not say."""
    try:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _status("VmRSS")
        function()
        return (_status("VmHWM") - before) / 1024
    except (OSError, AttributeError):
        return math.nan


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def encode_through_torch(model: SRModel, x: torch.Tensor) -> None:
    """Encode a picture by torch's convolutions."""
    with mock.patch.object(prepacked, "applies", lambda x: False):
        model.encode(x)


def plain_work(model: SRModel, stages: int) -> float:
    """Multiply-adds per output pixel of the plain definition."""
    if model.kind == "ensemble":
        return 4 * _linear(model.decoder.mlp)
    c = model.decoder.config
    return stages * (_linear(model.decoder.stages[0].mlp) + (2 * c.radius + 1) ** 2 * c.width)


def _linear(mlp: torch.nn.Module) -> int:
    return sum(p.numel() for p in mlp.parameters() if p.dim() == 2)


def measure(name: str, scale: float, chain: str, repeats: int) -> dict[str, object]:
    """One line of the table."""
    torch.manual_seed(0)
    model, renderer = SRModel(PRESETS[name]).eval(), Renderer()
    side = max(24, math.ceil((SIDE + 1) / scale))
    lr = (side, side)
    image = np.random.default_rng(0).random((*lr, 3), dtype=np.float32)
    size = output_size(*lr, scale)
    window = Window((size[0] - SIDE) // 2, (size[1] - SIDE) // 2, SIDE, SIDE)
    middle = Window((size[0] - PLAIN_SIDE) // 2, (size[1] - PLAIN_SIDE) // 2, PLAIN_SIDE, PLAIN_SIDE)

    def draw(window: Window, method: str = "fast") -> np.ndarray:
        return renderer.render(model, image, size=size, window=window, method=method, chain=chain, clip=False)

    def draw_through_torch() -> np.ndarray:
        with compiling.switched_off():
            return draw(window)

    x = torch.from_numpy(image).permute(2, 0, 1)[None]
    with torch.inference_mode():
        (encoder, encoder_rate), (plain_encoder, plain_encoder_rate) = timed(
            lambda: model.encode(x), lambda: encode_through_torch(model, x), repeats=3
        )
    draw(window)  # features are there from now on
    memory = peak_memory(lambda: draw(window))
    (fast, rate), (through_torch, torch_rate) = timed(lambda: draw(window), draw_through_torch, repeats=repeats)
    [(plain, plain_rate)] = timed(lambda: draw(middle, "reference"), repeats=3)
    view = model.view(lr, size, window, chain)
    work = model.decoder.multiply_adds(view) / view.count
    return {
        "model": name,
        "scale": scale,
        "chain": chain,
        "fast_s_per_mpx": fast / SIDE**2 * 1e6,
        "plain_s_per_mpx": plain / PLAIN_SIDE**2 * 1e6,
        "ratio": (plain * plain_rate / PLAIN_SIDE**2) / (fast * rate / SIDE**2),
        "difference": float(np.abs(draw(middle) - draw(middle, "reference")).max()),
        "work_kmac": work / 1e3,
        "rate_gmac": rate / 1e9,
        "efficiency": work * SIDE**2 / rate / fast,
        "plain_efficiency": plain_work(model, len(view.factors)) * PLAIN_SIDE**2 / plain_rate / plain,
        "seconds_at_100": fast * rate / 100e9,
        "memory_mb": memory,
        "encoder_s_per_lr_mpx": encoder / (lr[0] * lr[1]) * 1e6,
        "encoder_ratio": (plain_encoder * plain_encoder_rate) / (encoder * encoder_rate),
        "threads": torch.get_num_threads(),
        "torch_s_per_mpx": through_torch / SIDE**2 * 1e6,
        "torch_ratio": (through_torch * torch_rate) / (fast * rate),
        "torch_difference": float(np.abs(draw(window) - draw_through_torch()).max()),
        "vector_bits": vector_bits(),
    }


def format_value(value: object) -> str:
    """A value as the file and the terminal show it: a number with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def read(path: Path = ROOT / "analysis" / "speed.csv") -> list[dict[str, object]]:
    """The rows of the file, as `measure` made them."""
    with path.open(newline="") as file:
        return [{c: v if c in ("model", "chain") else float(v) for c, v in row.items()} for row in csv.DictReader(file)]


def table(rows: list[dict[str, object]]) -> str:
    """The lines at the scales of `SHOWN`, as Markdown."""
    lines = [
        ["model", "scale", "chain", "s/MPx", "times the plain", "times torch", "efficiency", "at 100 GMAC/s", "memory"]
    ]
    for row in rows:
        if row["scale"] in SHOWN:
            lines.append(
                [
                    row["model"], f"x{row['scale']:g}", row["chain"], f"{row['fast_s_per_mpx']:.1f}",
                    f"{row['ratio']:.1f}", f"{row['torch_ratio']:.1f}", f"{row['efficiency']:.2f}",
                    f"{row['seconds_at_100']:.3g} s", f"{row['memory_mb']:.0f} MB",
                ]
            )  # fmt: skip
    rates = statistics.median(row["rate_gmac"] for row in rows)
    plain, through_torch = (max(row[column] for row in rows) for column in ("difference", "torch_difference"))
    note = f"{rows[0]['threads']:.0f} threads, vectors of {rows[0]['vector_bits']:.0f} bits, product rate {rates:.0f} "
    note += f"GMAC/s (median). Fast and plain differ by {plain:.1g} at most, kernels and torch by {through_torch:.1g}."
    encoders = [row["encoder_ratio"] for row in rows if not math.isnan(row["encoder_ratio"])]
    if encoders:
        seconds = statistics.median(row["encoder_s_per_lr_mpx"] for row in rows)
        note += f" The encoder takes {seconds:.1f} s per megapixel of the small picture: torch's convolutions take "
        note += f"{min(encoders):.2f} to {max(encoders):.2f} times as long (median {statistics.median(encoders):.2f})."
    return f"{markdown(lines)}\n\n{note}"


def by_size(names: list[str]) -> dict[str, list[tuple[float, float]]]:
    """Megapixels and seconds of whole outputs of several sizes at x4, features ready."""
    found: dict[str, list[tuple[float, float]]] = {}
    for name in names:
        torch.manual_seed(0)
        model, renderer = SRModel(PRESETS[name]).eval(), Renderer()
        for side in (16, 32, 64, 128, 256):
            image = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
            [(seconds, _)] = timed(lambda: renderer.render(model, image, scale=4), repeats=1)  # noqa: B023 - at once
            found.setdefault(name, []).append((16 * side**2 / 1e6, seconds))
    return found


def figure(rows: list[dict[str, object]], sizes: dict[str, list[tuple[float, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), constrained_layout=True)
    for name, points in sizes.items():
        left.loglog(*zip(*points, strict=True), "o-", label=name)
    left.set(xlabel="output, megapixels (x4)", ylabel="seconds", title="Time against output size")
    for chain, style in (("published", "o-"), ("balanced", "s--")):
        for name in dict.fromkeys(row["model"] for row in rows):
            points = [(r["scale"], r["fast_s_per_mpx"]) for r in rows if r["model"] == name and r["chain"] == chain]
            if points:
                label = name if chain == "published" else f"{name}, balanced"
                right.loglog(*zip(*sorted(points), strict=True), style, label=label)
    right.set(xlabel="scale", ylabel="seconds per megapixel", title="Time against scale, a 400 x 400 window")
    scales = sorted({row["scale"] for row in rows})
    right.set_xticks(scales, [f"x{scale:g}" for scale in scales])
    right.minorticks_off()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    shown.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", action="append", choices=MODELS, help="measure these alone; the others' rows stay, and the figure"
    )
    parser.add_argument("--scales", default="1.5,2,4,8,16,30", help="separated by commas")
    parser.add_argument("--repeats", type=int, default=5, help="timings of which the median counts")
    parser.add_argument("--out", type=Path, default=ROOT / "analysis" / "speed.csv", help="a .png goes beside it")
    flags = parser.parse_args()
    rows: list[dict[str, object]] = []
    names = flags.models or MODELS
    print(" ".join(COLUMNS), file=sys.stderr)
    for name in names:
        for scale in (float(s) for s in flags.scales.split(",")):
            both = PRESETS[name].decoder.name == "clit" and PRESETS[name].decoder.stages > 1 and scale > 4
            for chain in ("published", "balanced") if both else ("published",):
                rows.append(measure(name, scale, chain, flags.repeats))
                print(" ".join(format_value(rows[-1][c]) for c in COLUMNS), file=sys.stderr)
    if flags.models and flags.out.is_file():
        kept = [row for row in read(flags.out) if row["model"] not in names]
        rows = sorted(kept + rows, key=lambda row: MODELS.index(row["model"]))
    with flags.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({c: format_value(row[c]) for c in COLUMNS} for row in rows)
    print(table(read(flags.out)))
    if not flags.models:
        figure(rows, by_size(names), flags.out.with_suffix(".png"))


if __name__ == "__main__":
    prepare_process()
    main()
