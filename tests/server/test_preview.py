"""What previews of a link to the page show."""

from __future__ import annotations

import re
import urllib.request

import pytest
from PIL import Image
from serving import serve_page

from clit.ui.tags import CARD, SENTENCE, TITLE


def read_tags(url: str, **headers: str) -> dict[str, str]:
    request = urllib.request.Request(url, headers={key.replace("_", "-"): value for key, value in headers.items()})
    with urllib.request.urlopen(request) as answer:
        text = answer.read().decode()
        assert len(text.encode()) == int(answer.headers["content-length"])
    tags = re.findall(r'<meta\s+(?:property|name)="([^"]*)"\s+content="([^"]*)"', text)
    names = [name for name, _ in tags]
    assert len(names) == len(set(names)), "one of each"
    assert "radio" not in "".join(value for name, value in tags if name.startswith(("og:", "twitter:")))
    return dict(tags)


@pytest.mark.slow
def test_the_tags_are_the_pages_own_and_their_picture_exists(checkpoints_folder):
    with serve_page(checkpoints_folder) as url:
        tags = read_tags(url)
        assert tags["og:title"] == tags["twitter:title"] == TITLE
        assert tags["og:description"] == tags["twitter:description"] == tags["description"] == SENTENCE
        assert tags["og:image"] == tags["twitter:image"]
        assert tags["og:url"].rstrip("/") == url.rstrip("/")
        with urllib.request.urlopen(tags["og:image"]) as answer:
            assert answer.headers["content-type"] == "image/png"
            assert answer.read() == CARD.read_bytes()
        behind = read_tags(url, X_Forwarded_Proto="https", X_Forwarded_Host="some.where")
        assert behind["og:image"] == "https://some.where/card.png"


def test_the_card_has_the_size_that_previews_want():
    with Image.open(CARD) as card:
        assert card.size == (1200, 630)
