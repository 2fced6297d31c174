"""What the scripts of the gallery share: arguments, pictures, CSV files, means with intervals, colours.

A script of the gallery asks one question of full-resolution pictures. It writes analysis/NAME.csv, a row per picture
and case, and draws analysis/NAME.png from that file. analysis/README.md shows them all.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from paired import interval
from scale_curves import STYLES
from torch import Tensor

from clit.commands.base import load_models
from clit.errors import UserError
from clit.networks.decoders.base import Features
from clit.networks.model import SRModel
from clit.pictures.resize import published_pair
from clit.system.process import prepare_process
from clit.training.evaluate import find_pictures, find_reported
from clit.training.photographs import read_photograph

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples" / "originals"
QUICK_PICTURES, QUICK_SIDE = 2, 96

METHODS = {"bicubic": "#7f7f7f", **{name: colour for name, (colour, _) in STYLES.items()}}
HEADS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000", "#7f7f7f")
"""Colours of Okabe and Ito, told apart by all eyes."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")

Row = dict[str, Any]


@dataclass(frozen=True)
class Shot:
    """A full-resolution picture: hr (h, w, 3) uint8."""

    dataset: str
    name: str
    hr: np.ndarray

    @property
    def key(self) -> Row:
        """The columns that every row about the picture begins with."""
        return {"dataset": self.dataset, "picture": self.name}


def make_parser(doc: str, models: Iterable[str], scales: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all scripts of the gallery have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, action="append", help="a folder of full-resolution pictures; can be repeated"
    )
    parser.add_argument(
        "--model", action="append", help=f"a preset or a checkpoint; can be repeated: by default {', '.join(models)}"
    )
    parser.add_argument("--scales", default=scales, help=f"separated by commas: by default {scales}")
    parser.add_argument("--pictures", type=int, help="at most so many of a folder, spread evenly")
    parser.add_argument("--side", type=int, help="only the middle of each picture, so many pixels a side at most")
    parser.add_argument("--held-out", type=Path, help="only every second picture of this list")
    parser.add_argument("--quick", action="store_true", help="only see that it works: small middles of two pictures")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw what the CSV file holds")
    parser.add_argument("--out", type=Path, help="the folder to write into: by default analysis, or analysis/quick")
    parser.set_defaults(default_models=tuple(models))
    return parser


def run(
    name: str,
    parser: argparse.ArgumentParser,
    measure: Callable[[argparse.Namespace], list[Row]],
    figure: Callable[[list[Row], Path], None] | None,
    summary: Callable[[list[Row]], str],
    arguments: list[str] | None = None,
) -> None:
    """Run a script: measure and write the CSV file, draw the figure from it if there is one, print the summary."""
    flags = parser.parse_args(arguments)
    flags.out = flags.out or ROOT / "analysis" / ("quick" if flags.quick else "")
    path = flags.out / f"{name}.csv"
    try:
        if not flags.draw:
            prepare_process()
            flags.out.mkdir(parents=True, exist_ok=True)
            with torch.no_grad():  # attribution makes gradients of its own
                write(measure(flags), path)
        rows = read(path)
        if figure is not None:
            figure(rows, path.with_suffix(".png"))
        print(summary(rows))
    except UserError as error:
        sys.exit(f"error: {error}")


def find_models(flags: argparse.Namespace) -> dict[str, SRModel]:
    """Load the models that were asked for, by name."""
    return load_models(flags.model or flags.default_models)


def find_scales(flags: argparse.Namespace) -> list[float]:
    return [float(scale) for scale in flags.scales.split(",")]


def find_shots(flags: argparse.Namespace) -> list[Shot]:
    """Read the pictures that were asked for; the examples if there are no folders. UserError if there are none."""
    folders = flags.data or [EXAMPLES]
    wanted = None
    if flags.held_out is not None:
        wanted = find_reported(folders, set(flags.held_out.read_text().splitlines()))
    most, side = flags.pictures, flags.side
    if flags.quick:
        most, side = min(most or QUICK_PICTURES, QUICK_PICTURES), min(side or QUICK_SIDE, QUICK_SIDE)
    shots = []
    for folder in folders:
        paths = [path for path in find_pictures(folder) if wanted is None or path in wanted]
        count = min(most or len(paths), len(paths))
        for i in range(count):
            path = paths[i * len(paths) // count]
            hr = read_photograph(path)
            if side is not None:
                top, left = (max(0, n - side) // 2 for n in hr.shape[:2])
                hr = hr[top : top + side, left : left + side]
            shots.append(Shot(folder.resolve().name, path.name, np.ascontiguousarray(hr)))
    return shots


class Pair:
    """A picture at one scale: small (h, w, 3) uint8, its truth, and its features, once per encoder."""

    def __init__(self, shot: Shot, scale: float):
        self.small, self.truth = published_pair(shot.hr, scale)
        self.lr, self.size = self.small.shape[:2], self.truth.shape[:2]
        self._features: dict[str, Features] = {}

    def prepare(self, model: SRModel, chain: str = "published") -> Any:
        """Return the model's field of the whole output."""
        key = model.encoder_key()
        if key not in self._features:
            self._features[key] = model.encode(torch.from_numpy(self.small).permute(2, 0, 1)[None].float() / 255)
        return model.prepare(self._features[key], model.view(self.lr, self.size, chain=chain))

    def to_small(self, positions: Tensor) -> Tensor:
        """Return where output pixels (Q, 2) lie in the small picture, in its pixels, float64."""
        lr, size = (torch.tensor(each, dtype=torch.float64) for each in (self.lr, self.size))
        return (positions + 0.5) * lr / size - 0.5


def write(rows: list[Row], path: Path) -> None:
    """Write rows of equal columns as a CSV file, floats with six digits; nan as nothing."""

    def text(value: Any) -> Any:
        return value if not isinstance(value, float) else "" if math.isnan(value) else f"{value:.6g}"

    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: text(value) for name, value in row.items()} for row in rows)


def read(path: str | Path) -> list[Row]:
    """Return the rows of a CSV file, by path or by the name it has in analysis/; numbers as floats, nothing as nan."""

    def value(text: str) -> str | float:
        try:
            return float(text) if text else math.nan
        except ValueError:
            return text

    path = path if isinstance(path, Path) else ROOT / "analysis" / f"{path}.csv"
    if not path.is_file():
        raise UserError(f"There is no {path}: run the script without --draw.")
    with path.open(newline="") as file:
        return [{name: value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def select(rows: Iterable[Row], **keys: Any) -> list[Row]:
    """Return the rows that have these values."""
    return [row for row in rows if all(row[name] == wanted for name, wanted in keys.items())]


def distinct(rows: Iterable[Row], *names: str) -> list:
    """Return the values of a column, or tuples of several, in the order in which they first occur."""
    found = dict.fromkeys(tuple(row[name] for name in names) for row in rows)
    return [key[0] for key in found] if len(names) == 1 else list(found)


def picture_means(rows: Iterable[Row], column: str, **keys: Any) -> dict[tuple[str, str], float]:
    """Return a column's mean by picture, of the rows that have these values; rows without a value are left out."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in select(rows, **keys):
        if not math.isnan(row[column]):
            found.setdefault((row["dataset"], row["picture"]), []).append(row[column])
    return {picture: float(np.mean(values)) for picture, values in found.items()}


def over_pictures(rows: Iterable[Row], column: str, **keys: Any) -> tuple[float, float, float]:
    """Return a column's mean over pictures and its 95 % interval, of the rows that have these values.

    Several rows of one picture count as their mean. nan if no row has a value.
    """
    found = picture_means(rows, column, **keys)
    return interval(np.array([*found.values()]), draws=2000) if found else (math.nan,) * 3


def differences(rows: list[Row], column: str, one: Row, other: Row) -> tuple[float, float, float]:
    """Return the mean difference, one case less the other, over the pictures that have both, and its interval."""
    a, b = (picture_means(rows, column, **case) for case in (one, other))
    found = [a[picture] - b[picture] for picture in a if picture in b]
    return interval(np.array(found), draws=2000) if found else (math.nan,) * 3


def share_over_pictures(part: list[Row], whole: list[Row], column: str) -> tuple[float, float, float]:
    """Return the sum of a column over some rows, as a share of its sum over others, and its interval over pictures."""
    pictures = distinct(whole, "dataset", "picture")
    sums = np.array(
        [
            [sum(row[column] for row in rows if (row["dataset"], row["picture"]) == each) for rows in (part, whole)]
            for each in pictures
        ]
    )
    drawn = sums[np.random.default_rng(0).integers(len(sums), size=(2000, len(sums)))].sum(1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], (2.5, 97.5))
    return sums[:, 0].sum() / sums[:, 1].sum(), float(low), float(high)


def tell(found: tuple[float, float, float], form: str = "{:.2f}", unit: str = "") -> str:
    """Return a mean and its interval as text."""
    mean, low, high = (form.format(value).replace("-0.00", "0.00") for value in found)
    return f"{mean}{unit} ({low} to {high})"


def count_pictures(rows: list[Row]) -> str:
    """Return how many pictures of which folders the rows are about, as text."""
    counts: dict[str, int] = {}
    for dataset, _ in distinct(rows, "dataset", "picture"):
        counts[dataset] = counts.get(dataset, 0) + 1
    return ", ".join(f"{count} of {dataset}" for dataset, count in counts.items())


def rank(values: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis, 0 for the smallest; equal values share their mean rank."""
    flat = values.reshape(-1, values.shape[-1])
    out = np.empty(flat.shape)
    for row, x in zip(out, flat, strict=True):
        _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
        row[:] = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return out.reshape(values.shape)


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of a and b along the last axis; nan where one of them is constant."""
    a, b = (rank(x) for x in np.broadcast_arrays(a, b))
    a, b = (x - x.mean(-1, keepdims=True) for x in (a, b))
    norm = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, (a * b).sum(-1) / norm, np.nan)


def draw_line(axes, x, points: list[tuple[float, float, float]], colour: str, label: str, mark="o", line="-") -> None:
    """Draw means with their intervals as a line with a band."""
    means, lows, highs = zip(*points, strict=True)
    axes.plot(x, means, line, color=colour, marker=mark, markersize=3, linewidth=1.2, label=label)
    axes.fill_between(x, lows, highs, color=colour, alpha=0.12, linewidth=0)


def draw_point(
    axes, x: float, found: tuple[float, float, float], colour: str, mark="o", label: str | None = None
) -> None:
    """Draw a mean with its interval as a point."""
    mean, low, high = found
    spread = [[mean - low], [high - mean]]
    axes.errorbar([x], [mean], spread, fmt=mark, color=colour, markersize=4, capsize=2, linewidth=1, label=label)


def make_figure(width: float, height: float):
    """Return an empty figure, in inches, with type that is legible in a column's width."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"font.size": 8, "axes.titlesize": 8, "legend.fontsize": 7, "axes.axisbelow": True})
    return Figure(figsize=(width, height), constrained_layout=True)
