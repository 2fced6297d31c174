"""Files made on request: the whole picture, a film, a comparison sheet."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image
from playwright.sync_api import expect

import clit
from browser.expected import LEVEL


def test_full_picture_downloads(viewer, photograph, models):
    viewer.set_scale(6.5)
    viewer.make_tab.click()
    viewer.make_method.select_option("lit-light")
    viewer.make_start.click()
    download = viewer.download(viewer.make_link)
    assert download.suggested_filename == "photograph-x6.5-lit-light.png"
    pixels = np.asarray(Image.open(download.path()))
    expected = clit.upscale(models["lit-light"], photograph, scale=6.5)
    assert np.abs(pixels / 255 - expected).max() <= LEVEL


def test_film_and_sheet_download(viewer):
    viewer.press("2")
    viewer.choose(0, "bilinear")
    viewer.choose(1, "bicubic")
    viewer.wait_until_exact()
    viewer.make_tab.click()
    for kind, name in (
        ("film .webp", "photograph-to-x4-bilinear-bicubic.webp"),
        ("sheet .png", "photograph-x4-compared.png"),
    ):
        viewer.make_kind.select_option(kind)
        what = "×1 to ×4.00 .*, by" if kind.startswith("film") else "This view by"
        expect(viewer.make_text).to_have_text(re.compile(rf"{what} bilinear, bicubic, about \d+ (s|min)$", re.I))
        viewer.make_start.click()
        viewer.wait_for_file(name)
        download = viewer.download(viewer.make_link)
        assert download.suggested_filename == name
        with Image.open(download.path()) as file:
            assert getattr(file, "n_frames", 1) == 1 or kind.startswith("film")
            assert min(file.size) > 100
