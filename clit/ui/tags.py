"""What others show of a link to the page: title, one sentence and a picture, as tags of its head."""

from __future__ import annotations

import html
from pathlib import Path

TITLE = "Any scale, pixel by pixel"
SENTENCE = "Super-resolution at any scale: enlarge a small picture, click a pixel, see which neighbours it looked at."

CARD = Path(__file__).parents[2] / "assets" / "card.png"
"""The picture, 1200 x 630 pixels, made by assets/make_card.py."""


def make_tags(url: str) -> str:
    """Return the tags of the page at a URL, which ends with a slash: previews need whole addresses."""
    tags = {
        ("property", "og:type"): "website",
        ("property", "og:url"): url,
        ("property", "og:title"): TITLE,
        ("property", "og:description"): SENTENCE,
        ("property", "og:image"): f"{url}card.png",
        ("property", "og:image:width"): "1200",
        ("property", "og:image:height"): "630",
        ("name", "twitter:card"): "summary_large_image",
        ("name", "twitter:title"): TITLE,
        ("name", "twitter:description"): SENTENCE,
        ("name", "twitter:image"): f"{url}card.png",
        ("name", "description"): SENTENCE,
    }
    return "".join(f'<meta {kind}="{name}" content="{html.escape(text)}">' for (kind, name), text in tags.items())
