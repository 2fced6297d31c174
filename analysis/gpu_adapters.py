"""How fast the viewer's kernels draw on graphics processors, and how close they come to Python: a table per adapter.

    python analysis/gpu_adapters.py --expect SITE     write what Python draws into SITE/expected.json
    python analysis/gpu_adapters.py --add OUT.csv     put measured lines into analysis/gpu_adapters.csv

SITE is a folder that `python -m clit site` wrote. gpu_adapters.mjs, which says how it is run, draws the same in Node
and writes OUT.csv, a line per model, measure and scale: adapter, through, model, measure, scale, window, value.

    first, again, preview, encoder    milliseconds: of a view with its encoder, again, at a quarter of its scale, and of
                                      the features of the whole example alone
    colours, weights, heads           largest differences: RGB (black 0, white 1), attention weights, and the heads'
                                      entropies in bits and offsets in latents
    bytes differ, bytes count, bytes most; painted most       how many bytes differ, of how many, by how much; of the
                                      heads' colours

Lines of an adapter replace its older lines of the same measures. `python analysis/tables.py` puts the tables into
docs/speed.md.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import clit
from clit.config import PLAIN
from clit.errors import UserError
from clit.geometry import output_size
from clit.networks.model import SRModel
from clit.pictures.files import as_array, read_image, to_bytes
from clit.training.evaluate import markdown
from clit.ui.colours import attention_colours

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "analysis" / "gpu_adapters.csv"
COLUMNS = ("adapter", "through", "model", "measure", "scale", "window", "value")

SMALL = 23, 26
SCALES = ((1.5, 1.5), (2.5, 2.5), (4, 4), (7.3, 7.3), (12, 12), (30, 30), (3.2, 9.7))  # along y, along x
SIDE = 20  # output pixels of a window
HEAD_SCALE, HEAD = 2.5, 2


def expect(site: Path) -> None:
    """Write what Python makes of a small picture with the models of a site, and the site's first example, for Node."""
    described = json.loads((site / "weights" / "models.json").read_text(encoding="utf-8"))["models"]
    example = json.loads((site / "site.json").read_text(encoding="utf-8"))["examples"][0]
    picture, renderer = make_picture(), clit.Renderer()
    names = [entry["name"] for entry in described if entry["name"] not in PLAIN]
    models = {name: clit.load(name) for name in names}
    with_heads = {name: model for name, model in models.items() if model.heads}
    expected = {
        "picture": _describe(picture),
        "example": _describe(to_bytes(as_array(read_image(site / example["file"])))),
        "views": [view for name, model in models.items() for view in _views(renderer, name, model, picture)],
        "looks": [look for name, model in with_heads.items() for look in _looks(renderer, name, model, picture)],
        "heads": [_heads(renderer, name, model, picture) for name, model in with_heads.items()],
    }
    (site / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


def make_picture() -> np.ndarray:
    """Return a picture (h, w, 3), uint8, with waves, an edge and noise."""
    y, x = np.mgrid[: SMALL[0], : SMALL[1]]
    waves = np.stack([np.sin(x / 3), np.cos(y / 2.5 + x / 7), np.where(x > 9, 0.8, -0.6)], -1)
    noise = np.random.default_rng(2).normal(0, 0.1, (*SMALL, 3))
    return np.clip(127 + 110 * (waves + noise), 0, 255).astype(np.uint8)


def _views(renderer: clit.Renderer, name: str, model: SRModel, picture: np.ndarray) -> Iterator[dict]:
    """Yield views at every scale, of corners, borders and the middle in turn; a cascade's also split otherwise."""
    for i, (y, x) in enumerate(SCALES):
        size = round(SMALL[0] * y), round(SMALL[1] * x)
        window = min(SIDE, size[0]), min(SIDE + 2, size[1])
        corner = (size[0] - window[0]) * (i % 3) // 2, (size[1] - window[1]) * (i % 4) // 3
        ways = [("published", None)]
        if model.stage_count > 1 and y == 30:
            ways += [("balanced", None), ("published", 1)]
        for chain, stages in ways:
            wanted = {"size": size, "window": (*corner, *window), "chain": chain, "stages": stages}
            colours = renderer.render(model, picture, clip=False, **wanted)
            told = {"scale": f"{x:g}" if x == y else f"{x:g} by {y:g}", "colours": _pack(colours)}
            yield {"model": name, **wanted, **told, "bytes": _pack(to_bytes(np.clip(colours, 0, 1)))}


def _looks(renderer: clit.Renderer, name: str, model: SRModel, picture: np.ndarray) -> Iterator[dict]:
    """Yield the weights of every stage at a corner, inside, and at a border."""
    for scale in (4, 30):
        size = output_size(*SMALL, scale)
        for y, x in ((0, 0), (0.6, 0.8), (1, 0.4)):
            row, column = round(y * (size[0] - 1)), round(x * (size[1] - 1))
            seen = renderer.attend(model, picture, pixel=(row, column), size=size, influence=False)
            told = {"model": name, "scale": scale, "size": size, "row": row, "column": column}
            yield told | {"stages": [_pack(stage.weights) for stage in seen.stages]}


def _heads(renderer: clit.Renderer, name: str, model: SRModel, picture: np.ndarray) -> dict:
    size = output_size(*SMALL, HEAD_SCALE)
    window = 0, 10, 30, 34
    survey = renderer.survey(model, picture, size=size, window=window)
    colours = {paint: attention_colours(survey, paint, HEAD, model.radius) for paint in ("entropy", "direction")}
    told = {"model": name, "scale": HEAD_SCALE, "size": size, "window": window, "head": HEAD}
    return told | {"survey": _pack(survey)} | {paint: _pack(to_bytes(rgb)) for paint, rgb in colours.items()}


def _describe(picture: np.ndarray) -> dict:
    return {"height": picture.shape[0], "width": picture.shape[1], "rgb": _pack(picture)}


def _pack(values: np.ndarray) -> str:
    """Return an array's uint8 or float32, little-endian, in base64."""
    kind = np.uint8 if values.dtype == np.uint8 else "<f4"
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()


def read(file: Path = FILE) -> list[dict[str, str]]:
    """Return the lines of a file; UserError if there is none or its columns are others."""
    if not file.is_file():
        raise UserError(f"{file} does not exist: measure it with analysis/gpu_adapters.mjs.")
    with file.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UserError(f"{file.name} needs the columns {', '.join(COLUMNS)}.")
        return list(reader)


def add(measured: list[dict[str, str]], file: Path = FILE) -> None:
    """Put lines into a file, in place of older ones of the same adapter and measures."""
    new = {(row["adapter"], row["measure"]) for row in measured}
    kept = [row for row in (read(file) if file.is_file() else []) if (row["adapter"], row["measure"]) not in new]
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *measured])


def tables(rows: list[dict[str, str]]) -> str:
    """Return a table in Markdown for each adapter: a line per model, times in milliseconds."""
    adapters = dict.fromkeys(row["adapter"] for row in rows)
    return "\n\n".join(_table(adapter, [row for row in rows if row["adapter"] == adapter]) for adapter in adapters)


def _table(adapter: str, rows: list[dict[str, str]]) -> str:
    scales = dict.fromkeys(row["scale"] for row in rows if row["measure"] == "again")
    columns = {
        "encoder": lambda own: _milliseconds(own, "encoder"),
        **{f"x{s}": lambda own, s=s: _milliseconds([row for row in own if row["scale"] == s], "again") for s in scales},
        "first": lambda own: _milliseconds(own, "first"),
        "preview": lambda own: _milliseconds(own, "preview"),
        "difference": lambda own: _largest(own, "colours"),
        "bytes that differ": _bytes,
    }
    lines = [["model", *columns]]
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        lines.append([model, *(column(own) for column in columns.values())])
    filled = [i for i in range(len(lines[0])) if any(line[i] for line in lines[1:])]
    told = [f"**{adapter}**, through {' and '.join(dict.fromkeys(row['through'] for row in rows))}:"]
    told.append(markdown([[line[i] for i in filled] for line in lines]))
    most = {name: _largest(rows, name) for name in ("weights", "heads", "bytes most", "painted most")}
    if all(most.values()):
        told.append(
            f"Bytes differ by at most {most['bytes most']}, attention weights by {most['weights']}, heads' entropies "
            f"in bits and offsets in latents by {most['heads']}, and the bytes of their colours by "
            f"{most['painted most']}."
        )
    return "\n\n".join(told)


def _values(rows: list[dict[str, str]], measure: str) -> list[float]:
    return [float(row["value"]) for row in rows if row["measure"] == measure]


def _milliseconds(rows: list[dict[str, str]], measure: str) -> str:
    longest = max(_values(rows, measure), default=None)
    return "" if longest is None else f"{longest:.{int(longest < 10)}f} ms"


def _largest(rows: list[dict[str, str]], measure: str) -> str:
    values = _values(rows, measure)
    return f"{max(values):.2g}" if values else ""


def _bytes(rows: list[dict[str, str]]) -> str:
    differ, count = (sum(map(int, _values(rows, f"bytes {each}"))) for each in ("differ", "count"))
    return f"{differ} of {count:,}" if count else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    todo = parser.add_mutually_exclusive_group(required=True)
    todo.add_argument("--expect", metavar="SITE", type=Path)
    todo.add_argument("--add", metavar="OUT.csv", type=Path)
    given = parser.parse_args()
    if given.expect:
        expect(given.expect)
    else:
        add(read(given.add))
        print(tables(read()))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
