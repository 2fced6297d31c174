"""Make the picture that previews of links to the page show: 1200 x 630 pixels, assets/card.png.

    pip install -e . matplotlib
    python assets/make_card.py

The tower at x8, bicubic beside LIT, with what one pixel looked at; all by the weights at hand.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import clit
from clit.pictures.colour_maps import viridis
from clit.pictures.files import as_array, to_bytes
from clit.ui.tags import SENTENCE, TITLE

HERE = Path(__file__).resolve().parent
SIZE, BAND = (1200, 630), 170  # the band below the picture holds title and maps
EXAMPLE, SCALE, CENTRE = "pagoda", 12, (84.0, 76.0)  # the middle of the picture shown, in LR pixels
PIXEL = (84.5, 88.6)  # whose attention is drawn, in LR pixels; right of the middle
METHODS = {"LIIF": "liif-light", "LIT": "lit-light", "CLIT": "clit-light"}
GROUND, EMPTY = (17, 20, 24), (42, 49, 58)


def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf", size)


def render(model: str, picture: np.ndarray, window: tuple[int, int, int, int]) -> Image.Image:
    return Image.fromarray(to_bytes(clit.upscale(clit.load(model), picture, scale=SCALE, window=window)))


def draw_neighbours(card: Image.Image, seen, top: int, left: int) -> None:
    """Paint a pixel's attention over its neighbours in place, more where there is more weight, and outline them."""
    stage = seen.stages[0]
    weights = stage.weights.mean(0)
    layer = Image.new("RGBA", card.size)
    draw = ImageDraw.Draw(layer)
    corners = [(int((y) * SCALE) - top, int((x) * SCALE) - left) for y, x in stage.latents.reshape(-1, 2)]
    colours = to_bytes(viridis(np.sqrt(weights))).reshape(-1, 3)
    for (y, x), colour, weight in zip(corners, colours, weights.flat, strict=True):
        box = (x, y, x + SCALE - 1, y + SCALE - 1)
        draw.rectangle(box, (*map(int, colour), int(255 * min(0.85, 1.35 * float(weight) ** 0.5))))
    (y0, x0), (y1, x1) = corners[0], corners[-1]
    draw.rectangle((x0 - 1, y0 - 1, x1 + SCALE, y1 + SCALE), outline=(255, 255, 255, 255))
    card.alpha_composite(layer)


def draw_map(card: Image.Image, seen, start: np.ndarray, left: int, top: int, side: int, name: str) -> None:
    """Draw the mean weights of the first stage on 7 x 7 latents from `start` on, and the method's name under them."""
    weights = seen.stages[0].weights.mean(0)
    cell = side // 7
    draw = ImageDraw.Draw(card)
    draw.rectangle((left, top, left + 7 * cell - 1, top + 7 * cell - 1), EMPTY)
    down, across = np.rint(seen.stages[0].latents[0, 0] - start).astype(int)
    for i, row in enumerate(to_bytes(viridis(np.sqrt(weights)))):
        for j, colour in enumerate(row):
            x, y = left + (across + j) * cell, top + (down + i) * cell
            draw.rectangle((x, y, x + cell - 1, y + cell - 1), tuple(map(int, colour)))
    draw.text((left + 7 * cell / 2, top + 7 * cell + 16), name, (214, 219, 226), font(20), anchor="mm")


def draw_label(card: Image.Image, text: str, x: int, anchor: str) -> None:
    box = ImageDraw.Draw(card).textbbox((x, 36), text, font(28, True), anchor=anchor)
    layer = Image.new("RGBA", card.size)
    draw = ImageDraw.Draw(layer)
    draw.rounded_rectangle((box[0] - 20, box[1] - 12, box[2] + 20, box[3] + 12), 6, (*GROUND, 209))
    draw.text((x, 36), text, "white", font(28, True), anchor=anchor)
    card.alpha_composite(layer)


def main() -> None:
    picture = as_array(HERE / "examples" / f"{EXAMPLE}.png")
    height, width = SIZE[1] - BAND, SIZE[0]
    top, left = int(CENTRE[0] * SCALE - height / 2), int(CENTRE[1] * SCALE - width / 2)
    card = Image.new("RGBA", SIZE, GROUND)
    card.paste(render("bicubic", picture, (top, left, height, width // 2)), (0, 0))
    card.paste(render("lit-light", picture, (top, left + width // 2, height, width // 2)), (width // 2, 0))
    pixel = tuple(int(each * SCALE) for each in PIXEL)
    seen = {name: clit.attend(clit.load(model), picture, pixel, SCALE) for name, model in METHODS.items()}
    draw_neighbours(card, seen["LIT"], top, left)
    draw = ImageDraw.Draw(card)
    draw.rectangle((width // 2 - 1, 0, width // 2 + 1, height - 1), "white")
    draw_label(card, "Bicubic", 44, "lt")
    draw_label(card, "LIT", width - 44, "rt")
    draw = ImageDraw.Draw(card)
    draw.text((40, height + 28), TITLE, "white", font(44, True))
    draw.multiline_text((40, height + 92), textwrap.fill(SENTENCE, 56), (201, 206, 214), font(22), spacing=8)
    for index, (name, found) in enumerate(seen.items()):
        draw_map(card, found, seen["LIT"].stages[0].latents[0, 0], 826 + 118 * index, height + 22, 98, name)
    card.convert("RGB").save(HERE / "card.png", optimize=True)


if __name__ == "__main__":
    main()
