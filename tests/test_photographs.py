"""Photographs: crops and their reductions, which JPEGs are halved, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_runs import save_photographs

from clit import UserError
from clit.training.photographs import SHORT_SIDE, Photographs, choose_photographs, find_photographs, read_photograph


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_photographs(tmp_path / "photographs")


def test_batches_are_crops_and_their_antialiased_reductions(folder):
    photographs = Photographs(find_photographs([folder]))
    batch = photographs.batch(np.random.default_rng(1), 3, 10, 3.37)
    assert batch.lr.shape == (3, 3, 10, 10) and batch.hr.shape == (3, 3, 34, 34)
    for lr, hr in zip(batch.lr, batch.hr, strict=True):
        pixels = (hr.permute(1, 2, 0) * 255).round().byte().numpy()
        oracle = np.asarray(Image.fromarray(pixels).resize((10, 10), Image.BICUBIC))
        difference = (lr.permute(1, 2, 0) * 255).round().numpy() - oracle
        assert np.abs(difference).max() <= 1


@pytest.mark.slow
def test_coarsely_compressed_photographs_are_halved(tmp_path):
    random = np.random.default_rng(0)

    def side(side: int, name: str, **options) -> int:
        soft = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((side, side + 3))
        soft.save(tmp_path / name, **options)
        pixels = read_photograph(tmp_path / name)
        assert pixels.shape[0] == pixels.shape[1] + (3 if pixels.shape[1] == side else 1)
        return pixels.shape[1]

    enough = 2 * SHORT_SIDE
    assert side(enough, "coarse.jpg", quality=75) == SHORT_SIDE
    assert side(enough, "fine.jpg", quality=95) == side(enough, "lossless.png") == enough
    assert side(enough - 1, "small.jpg", quality=75) == enough - 1
    assert side(2002, "large.jpg", quality=95) == 1001 and side(2002, "large.png") == 2002


def test_the_patch_shrinks_where_no_photograph_is_large_enough(folder):
    batch = Photographs(find_photographs([folder])).batch(np.random.default_rng(1), 2, 24, 25.0)
    assert batch.lr.shape[-1] == 10 and batch.hr.shape[-1] == 250


def test_folders_without_photographs_get_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no pictures that can be read"):
        find_photographs([tmp_path])
    with pytest.raises(UserError, match="not a folder"):
        find_photographs([tmp_path / "missing"])


def test_that_all_are_held_out_is_said(folder):
    assert [path.name for path in choose_photographs([folder], {"0.png", "2.png"})] == ["1.png", "3.png"]
    with pytest.raises(UserError, match="All photographs are held out"):
        choose_photographs([folder], {f"{n}.png" for n in range(4)})
