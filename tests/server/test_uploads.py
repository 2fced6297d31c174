"""Pictures that visitors bring: read exactly, bounded, and only where uploads lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tiny
from PIL import Image

from clit.ui.limits import Limits
from clit.ui.questions import ask, begin, open_upload, render_view
from clit.ui.site import Site
from clit.ui.uploads import uploaded_file
from server.visitor import decoded, view


def bring(site: Site, token: str, path: Path) -> dict:
    """Open an upload that was received as `path`."""
    return ask(open_upload, site, {"token": token, "name": path.name, "path": str(path)})


def test_uploads_are_bounded_together(examples, tmp_path, uploads):
    path = tmp_path / "photo.png"
    site = Site(examples, uploads, Limits(picture_bytes=2 * 40 * 40 * 12))
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
