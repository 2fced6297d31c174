"""Single entries of what a browser sent, which is not trusted: each read has hard bounds and one sentence of error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from clit.errors import UserError
from clit.geometry import Window
from clit.ui.failures import Expired
from clit.ui.limits import Limits

LARGEST = 2**53
"""JavaScript holds whole numbers below this exactly."""


def read_token(sent: Any) -> str:
    """Return the visit's token; Expired if there is none."""
    token = sent.get("token") if isinstance(sent, dict) else None
    if not isinstance(token, str):
        raise Expired
    return token


def read_picture(sent: dict) -> str | None:
    """Return the id of the picture that the visitor sees; None if there is none."""
    picture = sent.get("picture")
    return picture if isinstance(picture, str) else None


def read_run(sent: Any) -> int:
    """Return the number that the viewer gave to a file it asks for; 0 if it gave none."""
    run = sent.get("run") if isinstance(sent, dict) else None
    return run if is_whole(run) else 0


def read_scale(sent: dict, limits: Limits) -> float:
    """Return the entry "scale"."""
    scale = sent.get("scale")
    if not isinstance(scale, int | float) or isinstance(scale, bool) or not 1 <= scale <= limits.scale:
        raise UserError(f"The scale is {str(scale)[:20]}, but must be a number from 1 to {limits.scale:g}.")
    return float(scale)


def read_chain(sent: dict) -> str:
    """Return the entry "chain"; "published" if it is missing."""
    chain = sent.get("chain", "published")
    if not isinstance(chain, str) or chain not in ("published", "balanced"):
        raise UserError('The chain must be "published" or "balanced".')
    return chain


def read_window(window: Any, size: tuple[int, int], limits: Limits) -> Window:
    """Return [top, left, height, width], clipped to an output of `size` (H, W)."""
    if not is_list(window, 4, is_whole):
        raise UserError("The window must be four whole numbers: top, left, height, width.")
    top, left = max(0, window[0]), max(0, window[1])
    bottom, right = min(size[0], window[0] + window[2]), min(size[1], window[1] + window[3])
    if bottom <= top or right <= left:
        raise UserError("The window lies outside the enlarged picture: move the view back to it.")
    if (bottom - top) * (right - left) > limits.view_pixels:
        raise UserError(f"The window has more than {limits.view_pixels / 1e6:g} megapixels: choose a smaller one.")
    if max(bottom - top, right - left) > limits.view_side:
        raise UserError(f"The window is longer than {limits.view_side} pixels: choose a shorter one.")
    return Window(top, left, bottom - top, right - left)


def read_pixel(pixel: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Return [row, column] of a pixel inside an output of `size` (H, W)."""
    if not is_list(pixel, 2, is_whole):
        raise UserError("The pixel must be two whole numbers: row, column.")
    (row, column), (height, width) = pixel, size
    if not (0 <= row < height and 0 <= column < width):
        raise UserError(f"The pixel lies outside the enlarged picture of {width} × {height} pixels: pick one inside.")
    return row, column


def read_whole(sent: dict, key: str, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`."""
    value = sent.get(key)
    if not is_whole(value) or not low <= value <= high:
        raise UserError(f'"{key}" must be a whole number from {low} to {high}.')
    return value


def read_name(sent: dict, key: str) -> str:
    """Return a text of 1 to 100 characters."""
    value = sent.get(key)
    if not is_text(value) or not 0 < len(value) <= 100:
        raise UserError(f'"{key}" must be a name.')
    return value


def read_models(sent: dict, most: int) -> tuple[str, ...]:
    """Return the entry "models": from 1 to `most` names, each once."""
    names = sent.get("models")
    if not (isinstance(names, list) and 1 <= len(names) <= most and all(map(is_text, names))):
        raise UserError(f"There must be from 1 to {most} methods.")
    return tuple(dict.fromkeys(name[:100] for name in names))


def check_choice(value: Any, options: Iterable[str], what: str) -> str:
    """Return the value if it is one of the options."""
    options = tuple(options)
    if not isinstance(value, str) or value not in options:
        raise UserError(f"{what} must be one of {', '.join(options)}.")
    return value


def is_list(value: Any, length: int, is_item: Callable[[Any], bool]) -> bool:
    """Tell whether a value is a list of so many items, each of which `is_item` accepts."""
    return isinstance(value, list) and len(value) == length and all(is_item(item) for item in value)


def is_text(value: Any) -> bool:
    """Tell whether a value is a text that can be written: half of a surrogate pair cannot."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number that JavaScript holds exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST
