"""Make the bundled example pictures: parts of free photographs, and an eye chart, reduced by antialiased bicubic.

    pip install pillow matplotlib scikit-image scikit-learn    # the originals come with these packages
    python assets/make_examples.py

Writes assets/examples/*.png and credits.json. None of these pictures was trained on.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent / "examples"

# name: (original inside its package, part of it as left, top, right, bottom, long side of the result, credit)
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


def package_file(path: str) -> Path:
    """A file that an installed package ships; `path` starts with the package's import name."""
    package, inside = path.split("/", 1)
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"The package {package} is not installed: see the top of {Path(__file__).name}.")
    return Path(spec.origin).parent / inside


def eye_chart() -> Image.Image:
    """Letters of falling size, drawn large; `CHART_LINES` has their heights, to see where reading ends."""
    n = CHART_OVERSAMPLING
    width, height = (side * n for side in CHART_SIZE)
    chart = Image.new("RGB", (width, height), (250, 248, 242))
    draw = ImageDraw.Draw(chart)
    font_file = package_file("matplotlib/mpl-data/fonts/ttf/DejaVuSerif-Bold.ttf")
    gap = (height - sum(size * n for _, size in CHART_LINES)) / (len(CHART_LINES) + 1)
    bottom = 0.0
    for text, size in CHART_LINES:
        bottom += gap + size * n
        font = ImageFont.truetype(font_file, size * n / 0.729)  # DejaVu's capitals are 0.729 em high
        draw.text((width / 2, bottom), text, fill=(24, 24, 28), font=font, anchor="ms")
    return chart


def reduced(picture: Image.Image, side: int) -> Image.Image:
    """The picture with its long side `side` pixels long."""
    ratio = side / max(picture.size)
    return picture.resize(tuple(round(n * ratio) for n in picture.size), Image.Resampling.BICUBIC)


def main() -> None:
    pictures, credits = {}, {}
    for name, (path, box, side, credit) in PHOTOGRAPHS.items():
        with Image.open(package_file(path)) as original:
            pictures[name] = reduced(original.convert("RGB").crop(box), side)
        credits[f"{name}.png"] = credit
    pictures["letters"] = reduced(eye_chart(), max(CHART_SIZE))
    credits["letters.png"] = CHART
    HERE.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        picture.save(HERE / f"{name}.png", optimize=True)
    (HERE / "credits.json").write_text(json.dumps(credits, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
