"""Evaluation: the low-resolution pictures, the rules and the rows."""

import csv

import numpy as np
import pytest
from picture_files import write_image
from PIL import Image

import clit
from clit.errors import UserError
from clit.pictures.metrics import psnr, ssim
from clit.pictures.resize import published_pair, resize_pil
from clit.training.evaluate import Row, evaluate, find_reported, means, table, write_csv
from clit.training.photographs import read_photograph


@pytest.fixture
def dataset(tmp_path):
    """Three pictures of different kinds and sizes, and files that are none."""
    folder = tmp_path / "three"
    folder.mkdir()
    rows, columns = np.mgrid[:50, :61] / 10
    smooth = np.stack([np.sin(rows * k + columns) / 2 + 0.5 for k in (1, 2, 3)], -1)
    write_image(folder / "a.png", smooth)
    write_image(folder / "b.tif", smooth[::-1, :53])
    Image.fromarray((smooth[..., 0] * 255).astype(np.uint8)).save(folder / "grey.bmp")
    (folder / "notes.txt").write_text("not a picture")
    (folder / "paper.pdf").write_text("%PDF, which Pillow knows")
    return folder


def test_rows_of_bicubic_are_those_made_by_hand(dataset):
    heard = []
    rows = evaluate({"plain": clit.load("bicubic")}, [dataset], [2, 5], progress=heard.append)
    assert [(r.dataset, r.image, r.scale, r.model) for r in rows] == [
        ("three", name, scale, "plain") for name in ("a.png", "b.tif", "grey.bmp") for scale in (2, 5)
    ]
    for row in rows:
        with Image.open(dataset / row.image) as image:
            lr, hr = published_pair(np.asarray(image.convert("RGB")), row.scale)
        sr = resize_pil(lr.astype(np.float32) / 255, hr.shape[:2]).clip(0, 1)
        assert row.psnr == pytest.approx(psnr(sr, hr, scale=row.scale), abs=1e-3)
        assert row.ssim == pytest.approx(ssim(sr, hr, scale=row.scale), abs=1e-5)
    assert heard == sorted(heard) and heard[-1] == 1


def test_div2k_rule_is_another(dataset):
    models = {"plain": clit.load("bicubic")}
    (luma, *_), (rgb, *_) = (evaluate(models, [dataset], [2], rule=rule) for rule in ("benchmark", "div2k"))
    assert luma.psnr != rgb.psnr and luma.ssim != rgb.ssim, "its border is wider, too"


def test_reported_pictures_chose_no_checkpoint(dataset):
    names = {"a.png", "b.tif", "grey.bmp", "elsewhere.png"}
    assert [path.name for path in find_reported([dataset], names)] == ["b.tif"], "every second, in order"
    rows = evaluate({"plain": clit.load("bicubic")}, [dataset], [2], only=find_reported([dataset], names))
    assert [row.image for row in rows] == ["b.tif"]
    with pytest.raises(UserError, match="held-out"):
        find_reported([dataset], {"a.png"})


@pytest.mark.slow
def test_held_out_photographs_may_be_read_as_in_training(tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    soft = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(soft).resize((2400, 1700)).save(folder / "a.jpg", quality=95)
    full, half = (evaluate({"plain": clit.load("bicubic")}, [folder], [20], halve=halve) for halve in (False, True))
    lr, hr = published_pair(read_photograph(folder / "a.jpg"), 20)
    assert hr.shape == (840, 1200, 3)
    expected = psnr(resize_pil(lr.astype(np.float32) / 255, hr.shape[:2]).clip(0, 1), hr, scale=20)
    assert half[0].psnr == pytest.approx(expected, abs=1e-3) != full[0].psnr


def test_means_table_and_csv(tmp_path):
    rows = [
        Row("d", "1", 2.0, "m", 30.0, 0.9),
        Row("d", "2", 2.0, "m", 32.0, 0.7),
        Row("d", "1", 2.5, "m", 20.0, 0.5),
        Row("e", "1", 2.0, "m", 10.0, 0.1),
    ]
    assert [m[3:] for m in means(rows)] == [(31.0, pytest.approx(0.8), 2), (20.0, 0.5, 1), (10.0, 0.1, 1)]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(rows).splitlines()]
    assert lines[0] == ["dataset", "model", "x2", "x2.5"]
    assert lines[2:] == [["d", "m", "31.00 / 0.8000", "20.00 / 0.5000"], ["e", "m", "10.00 / 0.1000", ""]]
    write_csv(rows, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == 4 and read[1]["image"] == "2" and float(read[1]["psnr"]) == 32


def test_refuses(dataset, tmp_path):
    models = {"plain": clit.load("bilinear")}
    (tmp_path / "empty").mkdir()
    for folders, scales, rule in (
        ([tmp_path / "missing"], [2], "benchmark"),
        ([tmp_path / "empty"], [2], "benchmark"),
        ([dataset], [0.5], "benchmark"),
        ([dataset], [2], "other"),
        ([dataset], [60], "benchmark"),
    ):
        with pytest.raises(UserError):
            evaluate(models, folders, scales, rule=rule)
