"""Bounds of one server: what every visitor may ask, and what all of them may hold together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sides and areas in pixels, times in seconds."""

    scale: float = 30.0
    upload_bytes: int = 40_000_000
    upload_pixels: int = 50_000_000
    upload_side: int = 30_000
    upload_memory: int = 290_000_000  # bytes that one may take while it is read, its file included
    input_pixels: int = 2_000_000  # larger uploads are reduced: the whole picture must be seen at x1, and sent, in time
    input_side: int = 8192  # the same of sides
    view_pixels: int = 2_000_000
    view_side: int = 16_383  # WebP holds no longer ones
    page_bytes: int = 8_000_000  # of a page of a view, which people send to each other
    full_pixels: int = 64_000_000
    made_files: int = 8  # finished files kept on disk, of all visitors together
    visits: int = 200
    address_visits: int = 100  # from one address, behind which may be a whole class
    arrivals: tuple[int, float] = 60, 1.0  # visits that one address may begin at once, and per second from then on
    visit_seconds: float = 1800.0
    idle_seconds: float = 120.0  # from when on a visit may end where there is no room for others
    disk_bytes: int = 2_000_000_000  # all files together
    file_room: int = 100_000_000  # of which so many must be free before a file is made
    file_seconds: float = 1800.0  # a file that nobody keeps is deleted when it is older
    memory_bytes: int = 700_000_000  # pictures, what networks make of them, and answers, all together
    picture_bytes: int = 256_000_000  # all visitors' uploads together, of these
    address_bytes: int = 128_000_000  # those from one address
    preview_pixels: int = 250_000  # of a view that follows the hand; a larger one is in no hurry
    previews: tuple[int, int] = 80, 10  # in line: of all visitors, of one
    views: tuple[int, int] = 120, 16  # the same of everything else that a visitor looks at
