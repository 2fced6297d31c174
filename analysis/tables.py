"""Write all tables of README.md, docs/, the gallery and the model cards, from the CSV files of the other scripts.

    python analysis/tables.py

Each table stands between two marks, <!-- NAME:begin --> and <!-- NAME:end -->. Run this after any script here that
measures; it measures nothing itself.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import attention_statistics
import attribution
import bombs
import cards
import completeness
import consistency
import cost
import estimates
import faithfulness
import films
import folders
import gallery
import gpu_adapters
import latency
import live_map
import load
import load_faults
import load_memory
import paired
import places
import scale_curves
import scores
import seams
import shaking
import shapes
import speed
import stages
import throughput
import training_curves

from clit.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

_SCRIPTS = (attention_statistics, attribution, completeness, consistency, faithfulness, seams, stages)
GALLERY = {script.__name__: script for script in _SCRIPTS}
"""Scripts of the gallery, by the name of their CSV files: each has a summary in analysis/README.md."""

TABLES: dict[str, Callable[[], str]] = {
    "summary": lambda: scores.summary(scores.read("scores"), scores.read("large")),
    **{name: lambda name=name: scores.table(scores.read(name)) for name in ("scores", "large", "ablations")},
    **{
        f"paired-{name}": lambda name=name: paired.table(scores.read(name))
        for name in ("scores", "large", "ablations", "cascade")
    },
    "paired-held-out": lambda: paired.table([row for row in scores.read("curves") if row.scale in (2, 3, 4)]),
    "curves": lambda: scale_curves.table(scores.read("curves")),
    "speed": lambda: speed.table(speed.read()),
    "speed-avx2": lambda: speed.table(speed.read(ROOT / "analysis" / "speed-avx2.csv")),
    "cost": lambda: cost.table(speed.read()),
    "shapes": lambda: shapes.table(shapes.read()),
    "gpu-adapters": lambda: gpu_adapters.tables(gpu_adapters.read()),
    "latency": lambda: latency.table("latency"),
    "latency-avx2": lambda: latency.table("latency-avx2"),
    "sooner": lambda: latency.comparison("sooner"),
    "estimates": lambda: estimates.table(estimates.read()),
    "live-map": live_map.line,
    "shaking": shaking.line,
    "bombs": lambda: bombs.table(bombs.read()),
    "load-memory": lambda: load_memory.text(load_memory.read()),
    "load": lambda: load.table(load.read()),
    "load-faults": lambda: load_faults.table(load_faults.read()),
    "machines": lambda: load.plan(load.read()),
    "opening": places.line,
    "films": lambda: films.table(films.read()),
    "folders": lambda: folders.table(folders.read(), "pictures"),
    "bands": lambda: folders.table(folders.read(), "bands"),
    "million": lambda: folders.plan(folders.read()),
    "throughput": lambda: throughput.table(throughput.read()),
    "runs": lambda: training_curves.table(training_curves.read()),
    "spent": training_curves.spent_table,
    **{
        name.replace("_", "-"): lambda name=name, script=script: script.summary(gallery.read(name))
        for name, script in GALLERY.items()
    },
}
"""Each mark's name, and what makes the table between them."""

_PLACE = re.compile(r"<!-- ([\w-]+):begin -->\n(.*?)\n?<!-- \1:end -->", re.DOTALL)


def documents() -> list[Path]:
    """README.md, the gallery and the pages of docs/."""
    return [ROOT / "README.md", ROOT / "analysis" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def names_in(text: str) -> list[str]:
    """The names of all tables that a text has marks for."""
    return [match[1] for match in _PLACE.finditer(text)]


def fill(text: str, tables: Mapping[str, Callable[[], str]] = TABLES) -> str:
    """Return the text with every table between its marks made anew; UserError for a name that no script knows."""

    def place(match: re.Match) -> str:
        if match[1] not in tables:
            raise UserError(f'There is no table "{match[1]}": its marks must name one of {", ".join(tables)}.')
        return f"<!-- {match[1]}:begin -->\n{tables[match[1]]()}\n<!-- {match[1]}:end -->"

    return _PLACE.sub(place, text)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    written = {path: fill(path.read_text(encoding="utf-8")) for path in documents()}
    written |= {path: cards.fill(path.read_text(encoding="utf-8"), path.parent.name) for path in cards.paths()}
    for path, text in written.items():
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
