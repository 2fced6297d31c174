"""Every depth, layout and tag of every format gives the colours a viewer shows, at the depth the file has."""

import io
import os
import sys
import zlib

import case_files
import imagecodecs
import numpy as np
import pytest
from case_files import icc
from PIL import Image

from clit.errors import UserError
from clit.pictures.files import read_image


@pytest.mark.parametrize("name", case_files.ALL)
def test_colours_transparency_and_depth(name, tmp_path):
    data, colours, alpha, bits = case_files.ALL[name]
    (tmp_path / name).write_bytes(data)
    picture = read_image(tmp_path / name)
    want = np.repeat(colours[..., None], 3, 2) if colours.ndim == 2 else colours
    assert picture.rgb.dtype == np.float32
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


def read(data, name, tmp_path, **options):
    (tmp_path / name).write_bytes(data)
    return read_image(tmp_path / name, **options)


U8 = case_files.as_ints(case_files.RGB, 8)
SMOOTH = np.kron(case_files.as_ints(case_files.RGB[10:, 12:], 8), np.ones((8, 8, 1), np.uint8))


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_keeps_its_depth(bits, tmp_path):
    ints = case_files.as_ints(case_files.RGB, bits)
    picture = read(imagecodecs.avif_encode(ints, level=100, bitspersample=bits), "a.avif", tmp_path)
    assert picture.bits == (8 if bits == 8 else 16)
    assert np.abs(picture.rgb - ints / (2**bits - 1)).max() < 2.5 / 2**bits  # YCbCr rounds


def test_avif_through_a_profile_and_turned(tmp_path):
    turned = Image.fromarray(case_files.upright_as(SMOOTH, 6))
    data = case_files.saved(
        turned,
        "AVIF",
        quality=100,
        subsampling="4:4:4",
        exif=case_files.exif_of(6),
        icc_profile=icc(2.2, case_files.P3),
    )
    picture = read(data, "a.avif", tmp_path)
    assert picture.size == SMOOTH.shape[:2]
    assert np.abs(picture.rgb - case_files.through_p3(SMOOTH / 255)).mean() < 2 / 255


def test_heic(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    for bits, mode, values in ((8, "RGB", SMOOTH), (10, "RGB;16", SMOOTH.astype(np.uint16) * 257)):
        made = heif.from_bytes(mode=mode, size=SMOOTH.shape[1::-1], data=values.tobytes())
        made.save(tmp_path / "a.heic", quality=-1, chroma=444)
        picture = read_image(tmp_path / "a.heic")
        assert picture.bits == (8 if bits == 8 else 16)
        assert np.abs(picture.rgb - SMOOTH / 255).max() < 3 / 255


def test_heic_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UserError, match="pip install pillow-heif"):
        read(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "a.heic", tmp_path)


def test_jpegs_of_all_kinds(tmp_path):
    def jpeg(**options):
        return case_files.saved(Image.fromarray(SMOOTH), "JPEG", quality=95, subsampling=0, **options)

    linear = np.rint(case_files.to_linear(SMOOTH / 255) * 255).astype(np.uint8)
    profile = icc(1, case_files.SRGB, "sRGB-elle-V2-g10.icc")
    cases = {
        "named.png": (jpeg(), SMOOTH / 255),
        "more-behind.jpg": (jpeg() + b"\0more" * 50, SMOOTH / 255),
        "profile.jpg": (jpeg(icc_profile=icc(2.2, case_files.P3)), case_files.through_p3(SMOOTH / 255)),
        "linear.jpg": (
            case_files.saved(Image.fromarray(linear), "JPEG", quality=98, subsampling=0, icc_profile=profile),
            case_files.to_srgb(linear / 255),
        ),
    }
    for name, (data, want) in cases.items():
        assert np.abs(read(data, name, tmp_path).rgb - want).mean() < 1.5 / 255


def test_cmyk_through_its_profile_and_without(tmp_path):
    ink = np.zeros((4, 6, 4), np.uint8)
    ink[:, 3:, 3] = 255
    for bits in (8, 16):
        values = ink if bits == 8 else ink.astype(np.uint16) * 257
        data = case_files.tiff(values, photometric="separated", iccprofile=case_files.cmyk_profile())
        picture = read(data, "a.tif", tmp_path)
        assert picture.bits == bits and not picture.notices
        assert picture.rgb[:, :3].min() > 0.99 and picture.rgb[:, 3:].max() < 0.01
        assert "CMYK" in read(case_files.tiff(values, photometric="separated"), "a.tif", tmp_path).notices[0]


def test_lab(tmp_path):
    lab = np.array([[[54, 81, 70], [88, -79, 81], [30, 68, -112], [50, 0, 0]]])  # sRGB's red, green, blue, and a grey
    stored = np.concatenate([np.rint(lab[..., :1] * 2.55), lab[..., 1:]], -1).astype(np.int16).astype(np.uint8)
    rgb = read(case_files.tiff(stored, photometric="cielab"), "a.tif", tmp_path).rgb[0]
    np.testing.assert_allclose(rgb, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.466, 0.466, 0.466]], atol=0.05)


@pytest.mark.parametrize("code, curve", [((1, 13), None), ((2, 2), None), ((12, 13), "p3"), ((1, 8), "linear")])
def test_colours_named_by_numbers(code, curve, tmp_path):
    """Of PNG's cICP, against the same as a profile."""
    found = read(case_files.png(U8, 2, 8, case_files.chunk(b"cICP", bytes([*code, 0, 1]))), "a.png", tmp_path).rgb
    want = U8 / 255
    if curve == "p3":
        light = case_files.to_linear(want) @ np.array(case_files.P3) @ np.linalg.inv(np.array(case_files.SRGB))
        want = case_files.to_srgb(light)
    elif curve == "linear":
        want = case_files.to_srgb(want)
    np.testing.assert_allclose(found, want, atol=1 / 255)


def test_hdr_is_shown_up_to_white_and_says_so(tmp_path):
    levels = np.rint(np.array([[0, 0.3, 0.58, 1.0]]) * 255)[..., None].repeat(3, 2)  # 0.58: diffuse white
    picture = read(case_files.png(levels, 2, 8, case_files.chunk(b"cICP", bytes([9, 16, 0, 1]))), "a.png", tmp_path)
    assert picture.rgb[0, 0, 0] == 0 and 0.2 < picture.rgb[0, 1, 0] < 0.6 and picture.rgb[0, 2:].min() > 0.98
    assert any("HDR" in notice for notice in picture.notices)


@pytest.mark.parametrize("position", ["before", "behind"])
def test_broken_and_huge_metadata_is_no_reason_to_refuse(position, tmp_path):
    def text(data):
        return case_files.chunk(b"zTXt", b"workflow\0\0" + zlib.compress(data, 9))

    broken = {
        "eXIf": case_files.chunk(b"eXIf", b"\0\0\x11\0\0\x01\x04\0" * 2),
        "eXIf cut": case_files.chunk(b"eXIf", case_files.exif_of(1, t271="maker")[6:14]),
        "raw profile": case_files.chunk(b"tEXt", b"Raw profile type exif\0\nexif\n   12\n4578696600004d4d002a\n"),
        "2 MB of text": text(b'{"node": 1}' * 190_000),
        "text that is none": case_files.chunk(b"zTXt", b"a\0\0not deflated"),
        "no key": case_files.chunk(b"iTXt", b"\xff\xfe"),
        "profile of 2 MB": case_files.iccp(icc(1, case_files.SRGB) + bytes(2_000_000)),
        "profile that is none": case_files.iccp(b"nothing of the kind" * 20),
        "not deflated": case_files.chunk(b"iCCP", b"p\0\0???"),
        "gAMA of 0": case_files.chunk(b"gAMA", bytes(4)),
        "chromaticities of 0": case_files.chunk(b"cHRM", bytes(32)) + case_files.chunk(b"gAMA", b"\0\1\x86\xa0"),
        "wrong checksum": case_files.chunk(b"tIME", b"1234567")[:-1] + b"?",
    }
    for data in broken.values():
        file = case_files.png(U8, 2, 8, data) if position == "before" else case_files.png(U8, 2, 8, after=data)
        np.testing.assert_allclose(read(file, "a.png", tmp_path).rgb, U8 / 255, atol=1e-6)
    for kind, options in (("WEBP", {"lossless": True}), ("JPEG", {"quality": 98})):
        data = case_files.saved(
            Image.fromarray(SMOOTH), kind, exif=b"Exif\0\0" + b"\0\0\x11\0\0\x01\x04\0" * 2, **options
        )
        picture = read(data, "a.file", tmp_path)
        assert np.abs(picture.rgb - SMOOTH / 255).mean() < 2 / 255
        assert any("EXIF" in notice for notice in picture.notices)


@pytest.mark.parametrize("kind", ["JPEG", "progressive", "PNG", "PNG16", "interlaced"])
def test_what_is_there_of_a_file_whose_end_is_missing(kind, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    smooth = np.kron(noise[:8, :8], np.ones((8, 8, 1), np.uint8))
    if kind == "PNG16":
        data, whole = case_files.png(noise.astype(np.uint16) * 257, 2, 16), noise
    elif kind in ("JPEG", "progressive"):
        data = case_files.saved(Image.fromarray(smooth), "JPEG", quality=95, subsampling=0, progressive=kind != "JPEG")
        whole = np.asarray(Image.open(io.BytesIO(data)))
    else:
        data, whole = case_files.saved(Image.fromarray(noise), "PNG"), noise
    if kind == "interlaced":
        data, even = case_files.interlaced_png(noise), noise[::2]  # the last pass has every second row
    cut = data[: len(data) * 9 // 10]
    picture = read(cut, "a.file", tmp_path)
    assert any("missing" in notice for notice in picture.notices)
    if kind == "interlaced":
        np.testing.assert_allclose(picture.rgb[::2], even / 255, atol=1e-6)
    elif kind != "progressive":
        np.testing.assert_allclose(picture.rgb[:32], whole[:32] / 255, atol=1e-4)
    with pytest.raises(UserError, match="end of .* is missing"):
        read(cut, "a.file", tmp_path, strict=True)
    if kind == "JPEG":
        picture = read(data[:-2], "a.jpg", tmp_path)  # only the end marker is missing
        np.testing.assert_allclose(picture.rgb, whole / 255, atol=1e-6)


REFUSED = {
    "JPEG XL": b"\xff\x0a" + bytes(100),
    "SVG": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n",
    "PDF": b"%PDF-1.7\n",
    "PSD": b"8BPS\0\1" + bytes(40),
    "OpenEXR": b"\x76\x2f\x31\x01" + bytes(40),
    "CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(40),
    "film": b"\0\0\0\x18ftypisom" + bytes(40),
    "HTML": b"<!doctype html><html></html>",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_formats_are_named_in_one_sentence_and_nothing_is_started(kind, tmp_path, monkeypatch):
    started = tmp_path / "started"
    for program in ("gs", "gswin64c", "gswin32c"):
        (tmp_path / program).write_text(f"#!/bin/sh\ntouch {started}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name in ("picture.png", "picture.eps"):
        with pytest.raises(UserError, match=kind) as error:
            read(REFUSED[kind], name, tmp_path)
        assert str(error.value).endswith(".") and "\n" not in str(error.value)
    assert not started.exists()


def test_a_camera_raw_tiff_is_refused(tmp_path):
    for data in (
        case_files.packed_tiff(case_files.as_ints(case_files.GREY, 12), 12, 32803),
        case_files.packed_tiff(case_files.as_ints(case_files.GREY, 8), 8, 1, {50706: 1}),
    ):
        with pytest.raises(UserError, match="raw"):
            read(data, "a.dng", tmp_path)


def test_tiffs_that_hold_odd_numbers_say_how_they_are_read(tmp_path):
    grey = case_files.GREY
    for values, word in (
        ((grey * 4).astype(np.float32), "divided"),
        (np.where(grey > 0.9, np.nan, grey).astype(np.float32), "no numbers"),
        ((grey - 0.5).astype(np.float32), "Negative"),
        (np.rint(grey * 1000).astype(np.uint32), "16 bits"),
    ):
        picture = read(case_files.tiff(values), "a.tif", tmp_path)
        assert word in " ".join(picture.notices)
        assert picture.rgb.min() >= 0 and picture.rgb.max() <= 1


def test_a_profile_of_another_kind_is_ignored_and_said(tmp_path):
    data = case_files.tiff(U8, photometric="rgb", iccprofile=case_files.cmyk_profile())
    picture = read(data, "a.tif", tmp_path)
    np.testing.assert_allclose(picture.rgb, U8 / 255, atol=1e-6)
    assert "profile" in picture.notices[0]


def test_more_pictures_than_one_are_said(tmp_path):
    frames = [Image.fromarray(U8), Image.fromarray(255 - U8)]
    for kind, options in (("TIFF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("GIF", {}), ("MPO", {})):
        data = case_files.saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert any("first" in notice for notice in read(data, "a.file", tmp_path).notices), kind


def test_more_memory_than_there_is_is_said_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr("clit.system.memory.available", lambda: 10_000)
    with pytest.raises(UserError, match="memory"):
        read(case_files.png(U8, 2, 8), "a.png", tmp_path)
