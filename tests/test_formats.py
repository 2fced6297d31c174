"""Every depth, layout and tag of every format gives the colours a viewer shows, at the depth the file has."""

import case_files
import numpy as np
import pytest

from clit.pictures.files import read_image


@pytest.mark.parametrize("name", case_files.ALL)
def test_colours_transparency_and_depth(name, tmp_path):
    data, colours, alpha, bits = case_files.ALL[name]
    (tmp_path / name).write_bytes(data)
    picture = read_image(tmp_path / name)
    want = np.repeat(colours[..., None], 3, 2) if colours.ndim == 2 else colours
    assert picture.size == (case_files.H, case_files.W) and picture.bits == bits
    tolerance = 1 / 255 if bits == 8 else 1 / 2048
    if name == "rgb-premultiplied-8.tif":  # rounded colours are divided by alpha
        tolerance *= 3
    seen = 1 if alpha is None else np.asarray(alpha, float)[..., None]  # hidden colours are filled
    assert np.abs((picture.rgb - want) * (seen > 0)).max() <= tolerance
    if alpha is None:
        assert picture.alpha is None
    else:
        assert np.abs(picture.alpha - alpha).max() <= tolerance
    assert picture.grey == bool((want == want[..., :1]).all())
