"""How the page holds when many ask at once: visitors over plain HTTP, and heavy requests beside them.

    python analysis/load.py [--visitors 1,4,8,20] [--minutes 2] [--think 1.5-4] [--beside score,program,...]
        [--before ../checkout] [--ray [ADDRESS]] [--seed 1]

Starts a server of its own on the loopback address, which loads networks and encodes its examples before they come.
`visitors.py` says what a visitor does, who then looks for a while.
A movement fails if it gets an error, or no answer in two minutes. Each visitor has a loopback address of their own, so
that no limit of one address is met.

Beside them: "score" of a 2-megapixel upload at x1.5, "program" which enlarges to 12.8 megapixels, "picture" at x30,
"film", "figures", twenty at once; each again and again. --before runs the same against another checkout, in turn. --ray
lets the server draw by actors: its rows are called "ray".

Writes analysis/load.csv, a row per run, and prints it as Markdown; `python analysis/tables.py` puts that into
docs/load.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
from serving import find_server, resident, serve_page
from visitors import BESIDE, Notes, Visitor, ask_again

from clit.training.evaluate import markdown

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "analysis" / "load.csv"
STAND = 120.0  # seconds in which a server must have encoded its examples
COLUMNS = (
    "which", "visitors", "beside", "minutes", "movements", "preview_p50", "preview_p95", "exact_p50", "exact_p95",
    "look_p95", "refused", "failed", "spread", "rss_mb", "slope_mb",
)  # fmt: skip


def compile_kernels(root: Path) -> None:
    """Let a checkout compile its kernels: else its first minute is another's."""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}
    wait = "from clit.networks import compiling; compiling.wait(300)"
    subprocess.run([sys.executable, "-c", wait], cwd=root, env=path, check=True)


def stand(url: str) -> None:
    """Let a server stand as one does before visitors come: it encodes its examples while nobody asks."""
    until = time.monotonic() + STAND
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{url}/status", timeout=10) as answer:
                left = json.load(answer).get("to_encode", 0)
        except urllib.error.HTTPError:
            left = 0  # an earlier version, which encodes nothing ahead
        if not left:
            return
        time.sleep(0.2)
    raise SystemExit(f"After {STAND:g} seconds the server still encodes its examples.")


def run(
    root: Path, count: int, beside: list[str], minutes: float, think: tuple[float, float], seed: int, flags: list[str]
) -> dict:
    """Let so many visitors move about for some minutes; return the run's row, `which` left out. flags: the server's."""
    notes = Notes()
    with serve_page(root=root, flags=flags) as url:
        process = find_server(url)
        warm = Visitor(url, Notes(), 0)
        warm.arrive()
        warm.move()  # models are loaded
        stand(url)
        until = time.monotonic() + 60 * minutes
        visitors = [Visitor(url, notes, number, think, seed) for number in range(count)]
        threads = [threading.Thread(target=each.visit, args=[until]) for each in visitors]
        heavy = [Visitor(url, notes, 1000 + 4 * number, think, seed) for number in range(len(beside))]
        for each, name in zip(heavy, beside, strict=True):
            threading.Thread(target=ask_again, args=[each, BESIDE[name], until], daemon=True).start()
        for thread in threads:
            thread.start()
        held = []
        while any(thread.is_alive() for thread in threads):
            held.append((time.monotonic(), resident(process)))
            time.sleep(1)
    for failure, times in Counter(sentence for _, sentence in notes.failures).items():
        print(f"{times} x {failure}")
    return {"visitors": count, "beside": " ".join(beside), "minutes": minutes, **summarise(notes, held)}


def summarise(notes: Notes, held: list[tuple[float, float]]) -> dict:
    """Return the columns of a run that were measured."""

    def share(kind: str, percent: float) -> float:
        found = [each.seconds for each in notes.seen[kind]]
        return float(np.percentile(found, percent)) if found else float("nan")

    own = {each.visitor: [] for each in notes.seen["exact"]}
    for each in notes.seen["exact"]:
        own[each.visitor].append(each.seconds)
    medians = [statistics.median(each) for each in own.values()]
    last = [each for each in held if each[0] > held[-1][0] - 60]
    slope = np.polyfit(*np.array(last).T, 1)[0] * 60 if len(last) > 10 else float("nan")
    return {
        "movements": len(notes.seen["exact"]),
        "preview_p50": share("preview", 50),
        "preview_p95": share("preview", 95),
        "exact_p50": share("exact", 50),
        "exact_p95": share("exact", 95),
        "look_p95": share("look", 95),
        "refused": notes.refused,
        "failed": len(notes.failures),
        "spread": max(medians) / min(medians) if medians else float("nan"),
        "rss_mb": held[-1][1],
        "slope_mb": slope,
    }


def read() -> list[dict[str, str]]:
    """The rows of the file."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows: list[dict]) -> None:
    """Write rows in place of those of the same runs."""
    of = lambda row: (row["which"], str(row["visitors"]), row["beside"])  # noqa: E731
    new = [
        {key: f"{row[key]:.4g}" if isinstance(row[key], float) else str(row[key]) for key in COLUMNS} for row in rows
    ]
    kept = [row for row in (read() if FILE.exists() else []) if of(row) not in {of(each) for each in new}]
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *new], key=lambda row: (row["beside"], int(row["visitors"]), row["which"])))


def table(rows: list[dict[str, str]]) -> str:
    """The rows as Markdown."""
    lines = [
        ["visitors", "beside them", "", "movements", "preview p50, p95", "exact p50, p95", "look p95", "refused",
         "failed", "slowest / quickest", "memory", "more in a minute"]
    ]  # fmt: skip
    for row in rows:
        look = "-" if row["look_p95"] == "nan" else f"{float(row['look_p95']):.2f} s"
        pair = lambda kind, row=row: f"{float(row[kind + '_p50']):.2f}, {float(row[kind + '_p95']):.2f} s"  # noqa: E731
        lines.append(
            [row["visitors"], row["beside"].replace(" ", ", ") or "nothing", row["which"], row["movements"],
             pair("preview"), pair("exact"), look, row["refused"], row["failed"],
             f"{float(row['spread']):.1f}", f"{float(row['rss_mb']):.0f} MB", f"{float(row['slope_mb']):.0f} MB"]
        )  # fmt: skip
    return markdown(lines)


PEOPLE = 100, 10_000
BUSY = 0.7  # share of what a machine can do that is asked of it: else lines grow


def plan(rows: list[dict[str, str]]) -> str:
    """Say how many machines many visitors need, by what one does at most and what a visitor alone asks."""
    found = [row for row in rows if row["which"] == "now" and not row["beside"]]
    [alone] = [row for row in found if row["visitors"] == "1"]
    most = max(found, key=rate)
    bears = BUSY * rate(most) / rate(alone)
    lines = [["visitors at once", "machines"], *([f"{n:,}", f"{math.ceil(n / bears):,}"] for n in PEOPLE)]
    return (
        f"{markdown(lines)}\n\nA visitor who never waits for others makes {rate(alone):.1f} movements a minute, each a "
        f"drag, four exact panes, and now and then a click. The machine made {rate(most):.1f} a minute at most "
        f"(visitors in that run: {most['visitors']}). Asked for {100 * BUSY:.0f} % of that, it bears {bears:.1f} "
        "visitors at once."
    )


def rate(row: dict[str, str]) -> float:
    """Return the movements of a run in a minute; it lasts until the last one has ended."""
    return float(row["movements"]) / (float(row["minutes"]) + float(row["exact_p95"]) / 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", default="1,4,8,20", help="runs, separated by commas")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each run")
    parser.add_argument("--think", default="1.5-4", help="seconds that a visitor looks between two movements")
    parser.add_argument("--beside", default="", help=f"of {', '.join(BESIDE)}, separated by commas")
    parser.add_argument("--before", type=Path, help="another checkout of this project, which is asked the same")
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help="as app.py has it")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    beside = [name for name in flags.beside.split(",") if name]
    unknown = set(beside) - set(BESIDE)
    if unknown:
        parser.error(f"{', '.join(unknown)} cannot be asked beside: choose of {', '.join(BESIDE)}.")
    low, high = map(float, flags.think.split("-"))
    server = ["--ray", flags.ray] if flags.ray else []
    roots = ({"before": flags.before.resolve()} if flags.before else {}) | {"ray" if server else "now": ROOT}
    for root in roots.values():
        compile_kernels(root)
    for count in map(int, flags.visitors.split(",")):
        rows = [
            {"which": which, **run(root, count, beside, flags.minutes, (low, high), flags.seed, server)}
            for which, root in roots.items()
        ]
        print(table([{key: str(value) for key, value in row.items()} for row in rows]), flush=True)
        write(rows)


if __name__ == "__main__":
    main()
