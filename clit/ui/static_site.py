"""The page as a folder of files that any static host serves: in it, the visitor's own GPU draws.

The folder (all addresses in it are relative, so that it may lie below any path):

- `index.html` and `speed.html`, with the modules of viewer/ as they are.
- `site.json`: {examples, limits, ready}, see `Examples.describe` and `_describe_example`.
- `weights/`: see `clit.exports.weights`.
- `examples/` and `examples/originals/`: the pictures, as they are.
- `ready/`: a part of each example, drawn by each method at a few scales, for browsers that cannot draw.
- `README.md`: the header by which Hugging Face shows the folder as a static Space.
- `files.txt`: what was written, see `rewrite_folder`.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import clit
from clit.config import ABLATIONS, PLAIN
from clit.errors import UserError
from clit.exports.weights import write_weights
from clit.geometry import Window, output_size
from clit.networks import checkpoints
from clit.networks.model import SRModel
from clit.pictures.files import to_bytes
from clit.system.atomic import write_bytes
from clit.system.rewriting import rewrite_folder
from clit.ui.examples import Examples
from clit.ui.limits import Limits
from clit.ui.models import OFFERED, Models
from clit.ui.pictures import Picture
from clit.ui.tags import SENTENCE, TITLE

VIEWER = Path(__file__).parent / "viewer"

DEFAULT_MODELS = (*OFFERED, "lit-base", "lit-light-no-bias")
"""What a site offers of the models with weights: the light ones, LIT at its paper's width, and one for the tour."""

READY_METHODS = ("bicubic", *OFFERED)
READY_SCALES = (2, 4, 12)
READY_SIZE = 288, 384
READY_QUALITY = 80
"""Of ready-made pictures: one method of each kind where there is one; height and width, or the whole of a smaller
output; of their WebP.
"""

ENCODERS, DECODERS = {"edsr-baseline"}, {"interpolation", "liif", "lte", "clit"}
"""What the kernels for browsers know, by the names in configurations."""

PAGE_CSS = """
html { scrollbar-gutter: stable; background: #ffffff; }
html.dark { background: #111418; color-scheme: dark; }
body { margin: 0; }
"""
"""The ground of the viewer's own colours, also beside and below what it fills."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""The pages ask nobody but their own host for anything; pictures that a visitor opens are sent nowhere."""

SPACE = f"""---
title: {TITLE}
emoji: 🔍
sdk: static
app_file: index.html
license: mit
---

{SENTENCE} Your own GPU draws, by WebGPU; pictures that you open stay in your browser. This folder was written by
`python -m clit site`, and any host of static files can serve it.
"""


def write_site(
    out: Path,
    examples: Path,
    names: Sequence[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> int:
    """Write the folder, and return the bytes of all that was written.

    Files that an earlier call wrote there go. examples: a folder as for `Examples`. names: of the models to offer; None
    for those of DEFAULT_MODELS that have weights. progress: hears the share that is done, 0..1. UserError for a model
    that is unknown, has no weights or cannot be drawn in browsers.
    """
    models, pictures = Models(), Examples(examples)
    entries = choose_models(models, names)
    with rewrite_folder(out) as folder:
        _copy_viewer(folder / "viewer")
        write_weights(folder / "weights", entries)
        _copy_examples(examples, pictures.names(), folder / "examples")
        offered = [entry["name"] for entry in entries if entry["name"] not in {"bilinear", *ABLATIONS}]
        shown = [name for name in offered if name in READY_METHODS] or offered
        _draw_ready(folder / "ready", models, shown, pictures, progress)
        described = {
            "examples": [
                entry | _describe_example(entry["name"], pictures.open(entry["name"])) for entry in pictures.describe()
            ],
            "limits": _describe_limits(Limits()),
            "ready": {"scales": READY_SCALES, "methods": shown},
        }
        texts = {
            "site.json": json.dumps(described),
            "index.html": _make_page(TITLE, _read("viewer.html"), "start_site.js"),
            "speed.html": _make_page(f"{TITLE}: speed", _read("speed.html"), "start_speed.js"),
            "README.md": SPACE,
        }
        for name, text in texts.items():
            write_bytes(folder / name, text.encode())
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def choose_models(models: Models, names: Sequence[str] | None) -> list[dict]:
    """Return the entries of the page's list of methods that a site offers; errors and arguments as for `write_site`."""
    known = {entry["name"]: entry for entry in models.describe() if entry["available"]}
    plain = [entry for entry in known.values() if entry["name"] in PLAIN]
    if names is None:
        chosen = [known[name] for name in DEFAULT_MODELS if name in known]
        if not chosen:
            raise UserError(f"There are no weights in {checkpoints.folder()}: name models that have some.")
    else:
        for name in names:
            if name not in known:
                offered = ", ".join(name for name in known if known[name] not in plain)
                raise UserError(f'"{name}" has no trained weights in {checkpoints.folder()}: choose of {offered}.')
        chosen = [known[name] for name in dict.fromkeys(names) if known[name] not in plain]
        if not chosen:
            raise UserError("No network is named: name models that have weights.")
    for entry in chosen:
        config = models.get(entry["name"]).config
        if config.encoder.name not in ENCODERS or config.decoder.name not in DECODERS:
            what = f"{config.decoder.name} on {config.encoder.name}"
            raise UserError(f"Browsers cannot draw {entry['name']}, which is {what}: leave it out.")
    return [*plain, *chosen]


def _copy_viewer(folder: Path) -> None:
    """Copy the modules and styles."""
    shutil.copytree(VIEWER, folder)


def _copy_examples(examples: Path, names: Sequence[str], folder: Path) -> None:
    """Copy the pictures, and their originals where they have some."""
    (folder / "originals").mkdir(parents=True, exist_ok=True)
    for name in [*names, *(f"originals/{name}" for name in names)]:
        if (examples / name).is_file():
            shutil.copyfile(examples / name, folder / name)


def _describe_example(name: str, picture: Picture) -> dict:
    """Return what opens an example: its file, that of its original or None, their sizes (h, w), credit and place.

    It opens with the panes that the page begins with, which need few weights.
    """
    original = picture.original
    return {
        "file": f"examples/{name}",
        "size": list(picture.size),
        "original": None if original is None else f"examples/originals/{name}",
        "original_size": list(picture.size if original is None else original.shape[:2]),
        "credit": picture.credit,
        "place": picture.place and picture.place | {"methods": []},
    }


def _draw_ready(
    folder: Path, models: Models, names: Sequence[str], pictures: Examples, progress: Callable[[float], None] | None
) -> None:
    """Draw the part of each example about its telling place, by each method and at each of READY_SCALES."""
    renderer = clit.Renderer()
    todo = [(example, scale, name) for example in pictures.names() for scale in READY_SCALES for name in names]
    for done, (example, scale, name) in enumerate(todo):
        path = folder / ready_name(example, name, scale)
        path.parent.mkdir(parents=True, exist_ok=True)
        rgb = _draw_part(renderer, models.get(name), pictures.open(example), scale)
        Image.fromarray(to_bytes(rgb)).save(path, "WEBP", quality=READY_QUALITY)
        if progress:
            progress((done + 1) / len(todo))


def ready_name(example: str, method: str, scale: int) -> str:
    """Return the path of a ready-made picture below its folder."""
    return f"{Path(example).stem}/{method}-x{scale}.webp"


def _draw_part(renderer: clit.Renderer, model: SRModel, picture: Picture, scale: int) -> np.ndarray:
    """Return the part (h, w, 3) of an enlarged picture about its place, or its middle, at most READY_SIZE."""
    size = output_size(*picture.size, scale)
    height, width = (min(n, most) for n, most in zip(size, READY_SIZE, strict=True))
    place = picture.place or {"row": picture.size[0] / 2, "column": picture.size[1] / 2}
    top, left = (
        min(max(round(place[axis] * scale - n / 2), 0), n_out - n)
        for axis, n, n_out in zip(("row", "column"), (height, width), size, strict=True)
    )
    return renderer.render(model, picture.rgb, size=size, window=Window(top, left, height, width))


def _describe_limits(limits: Limits) -> dict:
    """Return what the viewer heeds; a picture is opened in the browser's memory and drawn in that of its GPU."""
    return {
        "scale": limits.scale,
        "view_pixels": limits.view_pixels,
        "upload_bytes": limits.upload_bytes,
        "input_pixels": limits.input_pixels,
        "input_side": limits.input_side,
        "page_bytes": limits.page_bytes,
    }


def _make_page(title: str, body: str, start: str) -> str:
    """Return a whole page that starts one of the viewer's modules."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="description" content="{html.escape(SENTENCE)}">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>{PAGE_CSS} #clit {{ {_read("viewer.css")} {_read("site.css")} }}</style>
</head>
<body>
<main id="clit">{body}</main>
<script type="module" src="viewer/{start}"></script>
</body>
</html>
"""


def _read(name: str) -> str:
    return (VIEWER / name).read_text(encoding="utf-8")
