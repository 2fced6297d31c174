"""Bounds of one server: what every visitor may ask, and what all of them may hold together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sides and areas in pixels, times in seconds."""

    scale: float = 30.0
    upload_bytes: int = 40_000_000
    upload_pixels: int = 50_000_000
    input_pixels: int = 2_000_000  # larger uploads are reduced: the whole picture must be seen at x1, and sent, in time
    view_pixels: int = 2_000_000
    page_bytes: int = 8_000_000  # of a page of a view, which people send to each other
    full_pixels: int = 64_000_000
    made_files: int = 8  # finished files kept on disk, of all visitors together
    visits: int = 200
    visit_seconds: float = 1800.0
    memory_bytes: int = 700_000_000  # pictures, what networks make of them, and answers, all together
    picture_bytes: int = 256_000_000  # all visitors' uploads together, of these
    preview_pixels: int = 250_000  # of a view that follows the hand; a larger one is in no hurry
    previews: tuple[int, int] = 80, 10  # in line: of all visitors, of one
    views: tuple[int, int] = 120, 16  # the same of everything else that a visitor looks at
