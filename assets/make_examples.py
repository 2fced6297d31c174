"""Make the bundled example pictures: parts of freely licensed photographs, reduced by antialiased bicubic.

    pip install scikit-image        # in an environment of its own: the pictures come with the package
    python assets/make_examples.py

Writes assets/examples/*.png and credits.json. None of these photographs was trained on.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent / "examples"

# name: (file of scikit-image, part of it as left, top, right, bottom, long side of the result, credit)
EXAMPLES = {
    "cat": (
        "chelsea.png",
        (40, 0, 340, 270),
        150,
        {"title": "Chelsea the cat", "author": "Stefan van der Walt", "licence": "CC0"},
    ),
    "astronaut": (
        "astronaut.png",
        (100, 0, 400, 300),
        150,
        {"title": "Eileen Collins", "author": "NASA", "licence": "public domain"},
    ),
    "rocket": (
        "rocket.jpg",
        (0, 0, 640, 427),
        160,
        {"title": "Falcon 9 before launch", "author": "SpaceX", "licence": "public domain"},
    ),
    "coffee": (
        "coffee.png",
        (100, 10, 520, 390),
        150,
        {"title": "Coffee", "author": "Rachel Michetti", "licence": "CC0"},
    ),
    "bricks": (
        "brick.png",
        (0, 0, 512, 512),
        128,
        {"title": "Bricks25", "author": "CC0Textures", "licence": "CC0"},
    ),
    "retina": (
        "retina.jpg",
        (180, 380, 900, 1000),
        144,
        {"title": "Fundus of a healthy eye", "author": "Häggström, M.", "licence": "CC0"},
    ),
}


def main() -> None:
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise SystemExit("scikit-image is not installed: pip install scikit-image")
    originals = Path(package.origin).parent / "data"
    HERE.mkdir(exist_ok=True)
    credits = {}
    for name, (file, box, side, credit) in EXAMPLES.items():
        part = Image.open(originals / file).convert("RGB").crop(box)
        ratio = side / max(part.size)
        size = tuple(round(n * ratio) for n in part.size)
        part.resize(size, Image.Resampling.BICUBIC).save(HERE / f"{name}.png", optimize=True)
        credits[f"{name}.png"] = {**credit, "source": f"scikit-image, {file}"}
    (HERE / "credits.json").write_text(json.dumps(credits, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
