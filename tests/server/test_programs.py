"""What programs ask, without a visit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import clit
from clit.ui.limits import Limits
from clit.ui.programs import attend_pixel, upscale_file
from clit.ui.site import Site


def test_files_for_programs_are_kept_for_a_while(examples, uploads):
    site = Site(examples, uploads, Limits(made_files=2, input_pixels=2000, full_pixels=20_000))
    paths = [upscale_file(site, examples / "one.png", "lit-light", 2, "published") for _ in range(3)]
    assert [path.exists() for path in paths] == [False, True, True]
    expected = clit.upscale(clit.load("lit-light"), examples / "one.png", scale=2)
    pixels = cv2.imread(str(paths[2]), cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint8 and np.abs(pixels[..., ::-1] / 255 - expected).max() <= 1 / 255
    with pytest.raises(clit.UserError, match="megapixels"):
        upscale_file(site, examples / "one.png", "lit-light", 20, "published")
    tight = Site(examples, uploads, Limits(input_pixels=1000))
    with pytest.raises(clit.UserError, match="reduce it first"):
        attend_pixel(tight, examples / "one.png", "lit-light", 2, 0, 0, "published")
