"""The pictures that the README and the docs show of the page can be taken again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import screenshots
from PIL import Image

from browser.conftest import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", screenshots.PICTURES)
def test_every_picture_of_the_page_can_be_taken(browser, url, name, tmp_path, monkeypatch):
    monkeypatch.setattr(screenshots, "PATIENCE", PATIENCE)
    path = screenshots.take_picture(browser, url, name, tmp_path)
    with Image.open(path) as picture:
        assert picture.size == screenshots.PICTURES[name][1]


def shown_pictures() -> set[str]:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    return {name for page in pages for name in re.findall(r"assets/(page-\w+[.]png)", page.read_text(encoding="utf-8"))}


def test_no_other_picture_of_the_page_is_shown():
    assert shown_pictures() == {f"page-{name}.png" for name in screenshots.PICTURES}
