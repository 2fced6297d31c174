"""Make the tables of colours that the package and the viewer share.

    pip install matplotlib
    python assets/make_colours.py

Writes clit/pictures/colour_tables.py and clit/ui/viewer/colour_tables.js, which hold the same bytes:
VIRIDIS      256 colours (Smith and van der Walt), made to be read by colour-blind eyes and in grey
DIVERGING    256 colours from blue over near-black to orange, for colour-blind eyes; straight lines in Oklab
DIRECTIONS   colours of mean offsets: 17 square roots of lengths, as most offsets are short, each with 96 angles from
             right over down; in Oklab, where equal lengths look equally bright. Up is yellow, down blue, right red,
             left green
"""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path

import matplotlib
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LESS, NONE, MORE = (0x78, 0xBE, 0xFF), (0x12, 0x14, 0x18), (0xFF, 0xB0, 0x54)
LENGTHS, ANGLES = 17, 96

# Oklab (Ottosson, 2020).
TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def to_oklab(rgb) -> np.ndarray:
    """sRGB (..., 3) in 0..255 -> Oklab."""
    value = np.asarray(rgb) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ TO_LMS.T) @ TO_LAB.T


def to_srgb(lab: np.ndarray) -> np.ndarray:
    """Oklab (..., 3) -> sRGB uint8, clipped."""
    linear = np.clip((lab @ np.linalg.inv(TO_LAB).T) ** 3 @ np.linalg.inv(TO_LMS).T, 0, 1)
    value = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(value * 255).astype(np.uint8)


def make_diverging() -> np.ndarray:
    less, none, more = to_oklab([LESS, NONE, MORE])
    at = np.linspace(-1, 1, 256)[:, None]
    return to_srgb(np.where(at < 0, none + (less - none) * -at, none + (more - none) * at))


def make_directions() -> np.ndarray:
    reach = np.linspace(0, 1, LENGTHS)[:, None]
    angle = np.arange(ANGLES) * 2 * np.pi / ANGLES
    a, b = 0.17 * reach * np.cos(angle), -0.17 * reach * np.sin(angle)
    return to_srgb(np.stack([0.25 + 0.5 * reach + 0 * a, a, b], -1))


def main() -> None:
    tables = {
        "VIRIDIS": np.rint(np.array(matplotlib.colormaps["viridis"].colors) * 255).astype(np.uint8),
        "DIVERGING": make_diverging(),
        "DIRECTIONS": make_directions(),
    }
    texts = {name: textwrap.wrap(base64.b64encode(table.tobytes()).decode(), 110) for name, table in tables.items()}
    python = ['"""Tables of colours in base64, three bytes a colour, made by assets/make_colours.py."""\n']
    script = ["// @ts-check\n// Tables of colours in base64, three bytes a colour, made by assets/make_colours.py.\n"]
    for name, lines in texts.items():
        python.append(f"{name} = (\n" + "".join(f'    "{line}"\n' for line in lines) + ")\n")
        script.append(f"export const {name} =\n" + " +\n".join(f'  "{line}"' for line in lines) + ";\n")
    (ROOT / "clit/pictures/colour_tables.py").write_text("\n".join(python), encoding="utf-8")
    (ROOT / "clit/ui/viewer/colour_tables.js").write_text("\n".join(script), encoding="utf-8")


if __name__ == "__main__":
    main()
