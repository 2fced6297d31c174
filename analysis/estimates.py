"""How well `clit.estimate` foretells the time of a rendering: the first call in a fresh process, then the rendering.

    python analysis/estimates.py [--repeats 3]

Every line of the table is a process of its own, on a machine otherwise as quiet as it is, and beside a process that
keeps one core busy. Weights and pictures are random: they cost the same. Compiled kernels lie in the cache, as after
the first start. Writes analysis/estimates.csv and prints Markdown.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path

from clit.networks import compiling
from clit.training.evaluate import markdown

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "analysis" / "estimates.csv"
CASES = (  # model, sides of the picture, scale
    ("bicubic", 600, 4.0), ("liif-light", 200, 1.5), ("liif-light", 200, 4.0), ("lte-light", 200, 4.0),
    ("lit-light", 200, 1.5), ("lit-light", 200, 4.0), ("lit-light", 30, 30.0), ("clit-light", 200, 4.0),
    ("clit-light", 30, 30.0), ("lit-base", 100, 4.0),
)  # fmt: skip

ONE = """
import json, sys, time
import numpy as np
import torch
import clit
from clit.config import PLAIN, PRESETS
from clit.networks.model import SRModel
from clit.system.process import prepare_process
prepare_process()
name, side, scale = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
torch.manual_seed(0)
model = SRModel(PLAIN[name] if name in PLAIN else PRESETS[name]).eval()
image = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
began = time.perf_counter()
estimate = clit.estimate(model, image, scale).seconds
between = time.perf_counter()
clit.upscale(model, image, scale)
print(json.dumps([estimate, time.perf_counter() - between, between - began]))
"""


def measure(name: str, side: int, scale: float, repeats: int) -> dict[str, object]:
    """Return a row: medians of what is estimated, of what it takes, and of what the estimate itself takes."""
    command = [sys.executable, "-c", ONE, name, str(side), str(scale)]
    found = [json.loads(subprocess.check_output(command, cwd=ROOT)) for _ in range(repeats)]
    estimated, taken, asked = (statistics.median(values) for values in zip(*found, strict=True))
    ratios = [a / b for a, b, _ in found]
    return {
        "model": name, "side": side, "scale": scale, "estimated": estimated, "taken": taken, "asked": asked,
        "ratio_least": min(ratios), "ratio": statistics.median(ratios), "ratio_most": max(ratios),
    }  # fmt: skip


def read() -> list[dict[str, str]]:
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]]) -> str:
    """The rows, as Markdown: a line per model and scale."""
    lines = [["model", "picture", "scale", "takes", "estimate / time", "takes beside another", "estimate / time"]]
    for quiet in rows:
        if quiet["beside"] == "nothing":
            key = "model", "side", "scale"
            [busy] = [r for r in rows if r["beside"] == "one busy core" and all(r[k] == quiet[k] for k in key)]
            shown = [
                text
                for row in (quiet, busy)
                for text in (
                    f"{float(row['taken']):.1f} s",
                    "{:.2f} ({:.2f} to {:.2f})".format(*(float(row[f"ratio{w}"]) for w in ("", "_least", "_most"))),
                )
            ]
            lines.append([quiet["model"], f"{quiet['side']} × {quiet['side']}", f"x{float(quiet['scale']):g}", *shown])
    ratios = [float(row[which]) for row in rows for which in ("ratio_least", "ratio_most")]
    asked = statistics.median(float(row["asked"]) for row in rows)
    note = f"Medians of fresh processes, and the range. All lie between {min(ratios):.2f} and {max(ratios):.2f}. "
    return f"{markdown(lines)}\n\n{note}An estimate itself takes {asked:.1f} s."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes a line")
    flags = parser.parse_args()
    compiling.wait()
    rows = []
    for case in CASES:
        for beside in ("nothing", "one busy core"):
            other = None if beside == "nothing" else subprocess.Popen([sys.executable, "-c", "while True: pass"])
            try:
                rows.append({**measure(*case, flags.repeats), "beside": beside})
            finally:
                if other:
                    other.kill()
                    other.wait()
            print(*(f"{v:.3g}" if isinstance(v, float) else v for v in rows[-1].values()), file=sys.stderr)
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.3g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    print(table(read()))


if __name__ == "__main__":
    main()
