"""Pictures that visitors bring: read exactly, bounded, and only where uploads lie."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from clit.pictures.readers import png
from clit.pictures.readers.png import SIGNATURE, chunk
from clit.ui.addresses import asking
from clit.ui.limits import Limits
from clit.ui.questions import ask, begin, open_upload, render_view
from clit.ui.site import Site
from clit.ui.uploads import read_upload, uploaded_file
from server.visitor import arrive, decoded, view


def bring(site: Site, token: str, path: Path) -> dict:
    """Open an upload that was received as `path`."""
    return ask(open_upload, site, {"token": token, "name": path.name, "path": str(path)})


def test_uploads_are_bounded_together(examples, tmp_path, uploads):
    path = tmp_path / "photo.png"
    site = Site(examples, uploads, Limits(picture_bytes=2 * 40 * 40 * 12, idle_seconds=0.0))
    tokens = [ask(begin, site, {})["token"] for _ in range(3)]
    opened = []
    for token in tokens:
        tiny.save_photograph(path, 40, 40)
        opened.append(bring(site, token, path))
        assert not path.exists(), "what was read is not kept"
    assert all("image" in answer for answer in opened)
    visits = [{"token": t, "picture": o["id"]} for t, o in zip(tokens, opened, strict=True)]
    views = [ask(render_view, site, view(visit)) for visit in visits]
    assert views[0].get("expired") and "image" in views[1] and "image" in views[2]


def test_nobody_in_use_loses_a_picture_to_another(examples, tmp_path, uploads):
    site = Site(examples, uploads, Limits(picture_bytes=2 * 40 * 40 * 12, address_bytes=40 * 40 * 12))
    address = asking.set("1.2.3.4")
    tokens = [ask(begin, site, {})["token"] for _ in range(2)]
    asking.reset(address)
    tokens += [ask(begin, site, {})["token"] for _ in range(2)]
    answers = []
    for token in tokens:
        tiny.save_photograph(tmp_path / "photo.png", 40, 40)
        answers.append(bring(site, token, tmp_path / "photo.png"))
    assert "image" in answers[0] and "image" in answers[2]
    assert "from your network" in answers[1]["error"] and "Other visitors" in answers[3]["error"]


def test_upload_is_read_upright_and_exactly(site, visit, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    answer = bring(site, visit["token"], tmp_path / "turned.png")
    assert np.array_equal(decoded(answer), np.rot90(pixels, -1))
    assert answer["name"] == "turned.png" and answer["notice"] == ""


def test_large_upload_is_reduced_and_says_so(examples, tmp_path, uploads):
    tiny.save_photograph(tmp_path / "large.png", 90, 120)
    site = Site(examples, uploads, Limits(input_pixels=2700))
    mean = np.asarray(Image.open(tmp_path / "large.png")).mean((0, 1))
    answer = bring(site, ask(begin, site, {})["token"], tmp_path / "large.png")
    assert (answer["height"], answer["width"]) == (45, 60)
    assert "120 × 90" in answer["notice"] and "60 × 45" in answer["notice"]
    assert np.abs(decoded(answer).mean((0, 1)) - mean).max() < 1


def test_bad_uploads_get_one_sentence_without_the_servers_paths(examples, tmp_path, uploads):
    site = Site(examples, uploads, Limits(upload_pixels=1000, upload_bytes=5000))
    token = ask(begin, site, {})["token"]
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "heavy.png").write_bytes(bytes(6000))
    Image.new("RGB", (100, 11)).save(tmp_path / "wide.png")
    for name in ("text.png", "empty.png", "heavy.png", "wide.png"):
        answer = bring(site, token, tmp_path / name)
        assert set(answer) == {"error"}
        assert str(tmp_path) not in answer["error"] and answer["error"].count(". ") == 0, answer["error"]


def test_only_uploaded_files_are_read(examples, tmp_path):
    received = tmp_path / "received"
    inside, outside = received / "abc" / "a.png", tmp_path / "b.png"
    for path in (inside, outside):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (received / "link.png").symlink_to(outside)
    assert uploaded_file({"path": str(inside)}, received) == inside.resolve()
    for path in (
        outside,
        inside.parent / ".." / ".." / "b.png",
        inside.parent,
        received / "link.png",
        "\0",
    ):
        assert uploaded_file({"path": str(path)}, received) is None
    for request in (None, {}, {"path": 3}, {"path": "x" * 10_000}):
        assert uploaded_file(request, received) is None
    site = Site(examples, received)
    assert "did not arrive" in bring(site, ask(begin, site, {})["token"], outside)["error"] and outside.exists()
    assert bring(site, "guess", inside)["expired"] and not inside.exists(), "deleted for whoever sent it"


def _bomb(path: Path, width: int, height: int, kind: int = 0, before: bytes = b"") -> Path:
    """A small PNG of many pixels, all of them 0."""
    row = 1 + width * {0: 1, 6: 4}[kind]
    pack = zlib.compressobj(9)
    data = b"".join(pack.compress(bytes(row)) for _ in range(height)) + pack.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    path.write_bytes(SIGNATURE + chunk(b"IHDR", head) + before + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("size", [(50_000_000, 1), (1, 2_000_000), (100_000, 20), (7000, 7000)])
def test_bombs_get_a_sentence_before_anything_is_decoded(site, visit, tmp_path, monkeypatch, size):
    monkeypatch.setattr(png, "_decode", lambda *_: pytest.fail("decoded"))
    answer = bring(site, visit["token"], _bomb(tmp_path / "bomb.png", *size, kind=6))
    assert answer.keys() == {"error"} and answer["error"].count(". ") == 0
    assert ("a side" if max(size) > 30_000 else "megapixels") in answer["error"]


def test_packed_texts_are_not_all_unpacked(site, visit, tmp_path, monkeypatch):
    looked, text = [], png._text
    monkeypatch.setattr(png, "_text", lambda *each: looked.append(1) or text(*each))
    note = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * 1_000_000, 9))
    answer = bring(site, visit["token"], _bomb(tmp_path / "text.png", 10, 12, before=500 * note))
    assert answer["height"] == 12 and "Text" in answer["notice"] and len(looked) < 20


def test_reading_takes_little_memory(tmp_path):
    """A JPEG of 36 megapixels is decoded at a quarter of its sides; its means stay what they are."""
    left = Image.new("RGB", (6000, 6000), (200, 30, 90))
    left.paste((10, 140, 250), (3000, 0, 6000, 6000))
    left.save(tmp_path / "large.jpg", quality=95)
    picture = read_upload(tmp_path / "large.jpg", "large.jpg", Limits())
    assert picture.size == (1414, 1414) and "6000 × 6000" in picture.notice
    assert np.abs(picture.rgb[700, [100, 1300]] * 255 - [(200, 30, 90), (10, 140, 250)]).max() < 2


def test_transparent_picture_made_smaller_keeps_the_colours_that_are_seen(tmp_path):
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[::2] = 200, 100, 50, 255  # every other row is seen
    Image.fromarray(pixels).save(tmp_path / "rows.png")
    picture = read_upload(tmp_path / "rows.png", "rows.png", Limits(input_pixels=600))
    assert picture.size == (20, 30)
    assert np.abs(picture.rgb * 255 - (np.array([200, 100, 50]) + 255) / 2).max() < 1


def test_views_are_no_longer_than_what_can_be_sent(examples, uploads, tmp_path):
    site = Site(examples, uploads, Limits(view_side=50))
    visit = arrive(site)
    assert "shorter" in ask(render_view, site, view(visit, window=[0, 0, 3, 60]))["error"]
    assert "image" in ask(render_view, site, view(visit, window=[0, 0, 3, 50]))
