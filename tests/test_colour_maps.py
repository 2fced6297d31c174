"""Numbers as colours, by tables that the package and the viewer share."""

import json
import re
from pathlib import Path

import cv2
import numpy as np

from clit.pictures import colour_tables
from clit.pictures.colour_maps import directions, diverging, viridis

ROOT = Path(__file__).resolve().parent.parent


def test_the_viewer_has_the_same_tables():
    script = (ROOT / "clit" / "ui" / "viewer" / "colour_tables.js").read_text(encoding="utf-8")
    for name in ("VIRIDIS", "DIVERGING", "DIRECTIONS"):
        found = re.search(rf"export const {name} =(.*?);", script, re.DOTALL)
        assert "".join(map(json.loads, re.findall(r'"[^"]*"', found[1]))) == getattr(colour_tables, name)


def test_viridis_is_that_of_others():
    values = np.arange(256, dtype=np.float32) / 255
    theirs = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1] / 255
    assert np.abs(viridis(values) - theirs).max() <= 1.01 / 255
    assert (viridis(np.array([-1.0, 2.0])) == viridis(np.array([0.0, 1.0]))).all()


def test_the_diverging_map_is_dark_in_the_middle_and_as_bright_at_either_end():
    luma = diverging(np.linspace(-1, 1, 255)) @ [0.299, 0.587, 0.114]
    assert luma.argmin() in (126, 127, 128) and luma.min() < 0.1
    assert (np.diff(luma[:126]) <= 0).all() and (np.diff(luma[129:]) >= 0).all()
    assert abs(luma[0] - luma[-1]) < 0.05
    less, more = diverging(np.array([-0.5, 0.5]))
    assert less[2] > less[0] and more[0] > more[2], "less is blue, more is orange"


def _to_oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson's own numbers, for sRGB in [0, 1]."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lms = np.cbrt(linear @ np.array([[0.4122214708, 0.2119034982, 0.0883024619], [0.5363325363, 0.6806995451, 0.2817188376], [0.0514459929, 0.1073969566, 0.6299787005]]))  # fmt: skip  # noqa: E501
    return lms @ np.array([[0.2104542553, 1.9779984951, 0.0259040371], [0.7936177850, -2.4285922050, 0.7827717662], [-0.0040720468, 0.4505937099, -0.8086757660]])  # fmt: skip  # noqa: E501


def test_equal_lengths_look_equally_bright():
    angle = np.linspace(0, 2 * np.pi, 97)
    for length in (0.05, 0.3, 0.6):
        lightness = _to_oklab(directions(length * np.sin(angle), length * np.cos(angle)))[:, 0]
        assert np.abs(lightness - (0.25 + 0.5 * length**0.5)).max() < 0.02
