"""Make the bundled example pictures: parts of free photographs, and an eye chart, reduced by antialiased bicubic.

    pip install pillow matplotlib scikit-image scikit-learn    # most originals come with these packages
    python assets/make_examples.py --gb82 DIR                  # the GB82 image set by Gianni Rosato

Writes assets/examples/*.png, the same at full size in assets/examples/originals/ (for ground truth), and credits.json.
Order and "place" (where an example opens: see analysis/places.py) in credits.json are kept. None of these pictures was
trained on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent / "examples"
ORIGINALS = HERE / "originals"

# name: (original inside its package, part of it as left, top, right, bottom, long side of the result, credit)
# A package named gb82 is the folder that the command line names.
PHOTOGRAPHS = {
    "cat": (
        "skimage/data/chelsea.png",
        (40, 0, 340, 270),
        150,
        {
            "title": "Chelsea the cat",
            "author": "Stefan van der Walt",
            "licence": "CC0",
            "source": "scikit-image, chelsea.png",
        },
    ),
    "pagoda": (
        "sklearn/datasets/images/china.jpg",
        (80, 10, 400, 390),
        152,
        {
            "title": "Tower in China",
            "author": "danielbuechele",
            "licence": "CC BY 2.0",
            "source": "scikit-learn, china.jpg, from flickr.com/photos/danielbuechele/6061409035; cropped and reduced",
        },
    ),
    "astronaut": (
        "skimage/data/astronaut.png",
        (100, 0, 400, 300),
        150,
        {
            "title": "Eileen Collins",
            "author": "NASA",
            "licence": "public domain",
            "source": "scikit-image, astronaut.png",
        },
    ),
    "bricks": (
        "skimage/data/brick.png",
        (0, 0, 512, 512),
        128,
        {"title": "Bricks25", "author": "CC0Textures", "licence": "CC0", "source": "scikit-image, brick.png"},
    ),
    "rocket": (
        "skimage/data/rocket.jpg",
        (0, 0, 640, 427),
        160,
        {
            "title": "Falcon 9 before launch",
            "author": "SpaceX",
            "licence": "public domain",
            "source": "scikit-image, rocket.jpg",
        },
    ),
    "coffee": (
        "skimage/data/coffee.png",
        (100, 10, 520, 390),
        150,
        {
            "title": "Coffee",
            "author": "Rachel Michetti",
            "licence": "CC0",
            "source": "scikit-image, coffee.png",
        },
    ),
    "city": (
        "gb82/city.png",
        (0, 0, 576, 576),
        144,
        {"title": "City at night", "author": "Gianni Rosato", "licence": "CC0", "source": "GB82 image set, city.png"},
    ),
    "guitar": (
        "gb82/guitar.png",
        (0, 0, 576, 576),
        144,
        {"title": "Guitar", "author": "Gianni Rosato", "licence": "CC0", "source": "GB82 image set, guitar.png"},
    ),
}
CHART = {
    "title": "Eye chart",
    "author": "The clit authors",
    "licence": "CC0",
    "source": "drawn by assets/make_examples.py in DejaVu Serif Bold",
}
CHART_SIZE = 120, 150  # width, height
CHART_LINES = (("E", 34), ("F P", 24), ("T O Z", 17), ("L P E D", 12), ("P E C F D", 9), ("E D F C Z P", 6))
CHART_OVERSAMPLING = 16
CHART_ORIGINAL = 4  # times the example's size


def package_file(path: str, gb82: Path) -> Path:
    """Return a file that an installed package ships; `path` starts with the package's import name."""
    package, inside = path.split("/", 1)
    if package == "gb82":
        return gb82 / inside
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"The package {package} is not installed: see the top of {Path(__file__).name}.")
    return Path(spec.origin).parent / inside


def draw_chart(font_file: Path) -> Image.Image:
    """Draw letters of falling size, large; `CHART_LINES` has their heights, to see where reading ends."""
    n = CHART_OVERSAMPLING
    width, height = (side * n for side in CHART_SIZE)
    chart = Image.new("RGB", (width, height), (250, 248, 242))
    draw = ImageDraw.Draw(chart)
    gap = (height - sum(size * n for _, size in CHART_LINES)) / (len(CHART_LINES) + 1)
    bottom = 0.0
    for text, size in CHART_LINES:
        bottom += gap + size * n
        font = ImageFont.truetype(font_file, size * n / 0.729)  # DejaVu's capitals are 0.729 em high
        draw.text((width / 2, bottom), text, fill=(24, 24, 28), font=font, anchor="ms")
    return chart


def reduce(picture: Image.Image, side: int) -> Image.Image:
    """Return the picture with its long side `side` pixels long."""
    ratio = side / max(picture.size)
    return picture.resize(tuple(round(n * ratio) for n in picture.size), Image.Resampling.BICUBIC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gb82", type=Path, required=True, help="the folder of the GB82 image set")
    gb82 = parser.parse_args().gb82

    chart = draw_chart(package_file("matplotlib/mpl-data/fonts/ttf/DejaVuSerif-Bold.ttf", gb82))
    pictures = {"letters": (reduce(chart, CHART_ORIGINAL * max(CHART_SIZE)), reduce(chart, max(CHART_SIZE)))}
    credits = {"letters.png": CHART}
    for name, (path, box, side, credit) in PHOTOGRAPHS.items():
        with Image.open(package_file(path, gb82)) as original:
            whole = original.convert("RGB").crop(box)
        pictures[name] = whole, reduce(whole, side)
        credits[f"{name}.png"] = credit

    ORIGINALS.mkdir(parents=True, exist_ok=True)
    for name, (original, small) in pictures.items():
        original.save(ORIGINALS / f"{name}.png", optimize=True)
        small.save(HERE / f"{name}.png", optimize=True)
    file = HERE / "credits.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name, credit in credits.items():
        credits[name] = before.get(name, {}) | credit  # keeps its place
    order = {name: index for index, name in enumerate(before)}
    credits = dict(sorted(credits.items(), key=lambda item: order.get(item[0], len(order))))
    file.write_text(json.dumps(credits, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
