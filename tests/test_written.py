"""What is written: tags, metadata for the new size, grey files, transparency by bands, and files replaced whole."""

import os
import signal
import stat
import subprocess
import sys
import time

import case_files
import numpy as np
import pytest
import tifffile
from picture_files import write_image, write_image_bands
from PIL import Image, PngImagePlugin, TiffImagePlugin

from clit.errors import UserError
from clit.pictures.files import check_output, list_losses, read_image
from clit.pictures.metadata import Metadata
from clit.pictures.picture import Picture, to_grey
from clit.pictures.profiles import srgb_profile
from clit.pictures.resize import resize_pil
from clit.system.atomic import open_atomic, write_bytes

SUFFIXES = (".png", ".tif", ".webp", ".jpg", ".avif")
RGB = np.kron(np.random.default_rng(0).random((5, 7, 3), np.float32), np.ones((8, 8, 1), np.float32))
ALPHA = np.linspace(0.1, 1, RGB[..., 0].size, dtype=np.float32).reshape(RGB.shape[:2])


def photograph(path, kind):
    """A file with everything that is kept: resolution, EXIF with a place, a wrong orientation and sizes."""
    exif = TiffImagePlugin.ImageFileDirectory_v2() if kind == "TIFF" else Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif[0x8769] = {0x9003: "2020:02:03 04:05:06", 0xA002: 9, 0xA003: 8, 0x829A: 0.02, 0x927C: b"notes" * 9}
    exif[0x8825] = {1: "N", 2: (47.0, 22.0, 0.0)}
    image = Image.fromarray(case_files.as_ints(case_files.RGB, 8))
    if kind == "TIFF":
        image.save(path, kind, tiffinfo=exif, dpi=(300, 150))
    else:
        exif[0x0100] = 9
        image.save(path, kind, exif=exif, dpi=(300, 150))
    return read_image(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_resolution_and_exif_are_kept_for_the_new_size(kind, suffix, tmp_path):
    picture = photograph(tmp_path / "in", kind)
    assert picture.metadata.dpi == (150, 300) and picture.size == (32, 24)  # turned
    out = tmp_path / f"out{suffix}"
    write_image(out, RGB, metadata=picture.metadata)
    again = read_image(out)
    assert again.size == RGB.shape[:2] and again.metadata.dpi == (150, 300) and not again.notices
    with Image.open(out) as image:
        exif = image.getexif()
        assert exif.get(0x0112, 1) == 1 and exif[0x010F] == "Maker"
        camera = exif.get_ifd(0x8769)
        assert camera[0x9003] == "2020:02:03 04:05:06" and camera[0x829A] == pytest.approx(0.02)
        assert (camera[0xA003], camera[0xA002]) == RGB.shape[:2]
        assert exif.get_ifd(0x8825)[2] == (47.0, 22.0, 0.0)
        assert suffix == ".tif" or 0x0100 not in exif
    write_image(out, RGB)  # and none of it without
    with Image.open(out) as image:
        assert 0x010F not in image.getexif() and read_image(out).metadata == Metadata()


def test_text_is_kept_where_there_is_a_place_for_it(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a cat")
    texts.add_itxt("Title", "Ünï → 猫")
    texts.add_text("Raw profile type iptc", "8BIM")
    Image.new("L", (4, 4)).save(tmp_path / "in.png", pnginfo=texts)
    picture = read_image(tmp_path / "in.png")
    write_image(tmp_path / "out.png", RGB, metadata=picture.metadata)
    assert read_image(tmp_path / "out.png").metadata.text == (("parameters", "a cat"), ("Title", "Ünï → 猫"))
    assert "text" in list_losses("out.webp", picture)[0]
    assert list_losses("out.png", picture) == ("The picture's IPTC data is left out.",)
    Image.new("L", (4, 4)).save(tmp_path / "in.jpg", comment="hello")
    picture = read_image(tmp_path / "in.jpg")
    for name in ("out.jpg", "out.png"):
        write_image(tmp_path / name, RGB, metadata=picture.metadata)
        assert read_image(tmp_path / name).metadata.text == (("Comment", "hello"),)


def test_descriptions_of_the_old_file_for_software_are_not_kept(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", case_files.as_ints(case_files.RGB, 8), photometric="rgb")  # tells its shape
    write_image(tmp_path / "out.tif", RGB, metadata=read_image(tmp_path / "in.tif").metadata)
    assert tifffile.imread(tmp_path / "out.tif").shape == RGB.shape


def test_too_much_exif_for_a_jpeg_is_cut_to_what_it_holds(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x8769] = "Maker", {0x9003: "2020:02:03 04:05:06", 0x927C: b"notes" * 20_000}
    Image.new("L", (4, 4)).save(tmp_path / "in.png", exif=exif)
    write_image(tmp_path / "out.jpg", RGB, metadata=read_image(tmp_path / "in.png").metadata)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2020:02:03 04:05:06"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("grey", [False, True])
def test_colours_are_tagged_srgb(suffix, grey, tmp_path):
    write_image(tmp_path / f"a{suffix}", RGB, grey=grey)
    with Image.open(tmp_path / f"a{suffix}") as image:
        if suffix == ".png":
            assert image.info["srgb"] == 0
        else:
            assert image.info["icc_profile"] == srgb_profile(grey=grey and suffix in (".tif", ".jpg"))
    assert not read_image(tmp_path / f"a{suffix}").notices


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("alpha", [None, ALPHA])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_grey_picture_is_written_grey(suffix, alpha, bits, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_image(path, RGB, alpha, bits, grey=True)
    picture = read_image(path)
    assert picture.grey and (picture.alpha is None) == (alpha is None or suffix == ".jpg")
    want = to_grey(RGB) if alpha is None or suffix != ".jpg" else Picture(to_grey(RGB), alpha).opaque()
    deep = bits == 16 and suffix in (".png", ".tif")
    assert np.abs(picture.rgb - want).max() < (1e-4 if deep else 4 / 255 if suffix in (".jpg", ".avif") else 0.51 / 255)
    if suffix not in (".webp", ".avif") and alpha is None:  # older Pillows open grey AVIFs as RGB
        with Image.open(path) as image:
            assert image.mode == ("I;16" if deep else "L")
    assert path.read_bytes() == (write_image(path, RGB, alpha, bits, grey=True), path.read_bytes())[1]


def test_grey_is_the_luma_and_leaves_grey_alone():
    np.testing.assert_allclose(to_grey(RGB)[..., 0], RGB @ np.float32([0.299, 0.587, 0.114]), atol=1e-6)
    grey = np.repeat(RGB[..., :1], 3, 2)
    np.testing.assert_array_equal(to_grey(grey), grey)


@pytest.mark.parametrize("kind", ["1", "L", "LA", "P", "RGB", "I;16"])
def test_what_is_grey_is_known_as_such(kind, tmp_path):
    image = Image.fromarray(case_files.as_ints(case_files.GREY, 8))
    image = Image.fromarray(case_files.as_ints(case_files.GREY, 16)) if kind == "I;16" else image.convert(kind)
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").grey and read_image(image).grey
    assert not read_image(case_files.RGB).grey and read_image(case_files.GREY).grey


def test_losses_of_a_format_are_told():
    picture = Picture(RGB, ALPHA, 16)
    flat, rounded = list_losses("a.jpg", picture)
    assert "transparency" in flat and "8 bits" in rounded
    assert list_losses("a.tif", picture) == () == list_losses("a.webp", Picture(RGB, ALPHA))


def test_faint_colours_do_not_spill_and_what_is_seen_stays():
    rgb = np.full((12, 12, 3), (0.2, 0.4, 0.8), np.float32)
    rgb[:, 6:] = 1, 0, 0
    for level in (0, 1, 2, 4, 6, 9, 12, 128):
        alpha = np.ones((12, 12), np.float32)
        alpha[:, 6:] = level / 255
        picture = Picture(rgb, alpha)
        spread = picture.to_enlarge()
        np.testing.assert_array_equal(spread[:, :6], rgb[:, :6])
        assert np.abs((spread - rgb) * alpha[..., None]).max() <= 3.2 / 255
        if level <= 2:
            np.testing.assert_allclose(spread[:, 6:], rgb[:, :6], atol=1e-6)
    np.testing.assert_array_equal(Picture(rgb, np.full((12, 12), 1 / 255, np.float32)).to_enlarge(), rgb)  # all faint
    assert Picture(rgb).to_enlarge() is rgb


def test_alpha_is_written_by_bands(tmp_path):
    size = (133, 91)
    rgb, alpha = resize_pil(RGB, size), resize_pil(ALPHA, size).clip(0, 1)
    bands = [slice(top, top + 50) for top in range(0, 133, 50)]
    for grey in (False, True):
        for name in ("a.png", "a.tif"):
            parts = (iter([values[rows] for rows in bands]) for values in (rgb, alpha))
            write_image_bands(tmp_path / name, size, *parts, grey=grey)
            picture = read_image(tmp_path / name)
            np.testing.assert_allclose(picture.alpha, alpha, atol=0.51 / 255)
            np.testing.assert_allclose(
                picture.rgb, to_grey(rgb.clip(0, 1)) if grey else rgb.clip(0, 1), atol=0.51 / 255
            )


@pytest.mark.parametrize("length", [217, 243, 255])
def test_long_names_are_written(length, tmp_path):
    path = tmp_path / ("é" * ((length - 4) // 2) + "e" * ((length - 4) % 2) + ".png")
    assert len(os.fsencode(path.name)) == length
    write_image(check_output(path), RGB)
    assert os.listdir(tmp_path) == [path.name]


def test_names_that_are_too_long_or_impossible_are_refused_in_one_sentence(tmp_path):
    for path in (tmp_path / ("a" * 252 + ".png"), tmp_path.joinpath(*["d" * 200] * 30, "a.png"), tmp_path / "a\0b.png"):
        with pytest.raises(UserError) as error:
            write_image(path, RGB)
        assert ".part" not in str(error.value) and str(error.value).endswith(".")
        with pytest.raises(UserError):
            read_image(path)


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
IPTC = b"8BIM\x04\x04\0\0\0\0\0\x05\x1c\x02\x50\0\0\0"


def save_with_xmp(path):
    image = Image.fromarray(case_files.as_ints(case_files.RGB, 8))
    if path.suffix == ".tif":
        image.save(path, tiffinfo={700: XMP, 33723: b"\x1c\x02\x50\0\0"})
    elif path.suffix == ".png":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
        image.save(path, pnginfo=texts)
    else:
        image.save(path, xmp=XMP)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_xmp_and_iptc_are_lost_with_a_notice(suffix, tmp_path):
    path = tmp_path / f"in{suffix}"
    save_with_xmp(path)
    if suffix == ".jpg":  # Pillow writes no IPTC
        data, part = path.read_bytes(), b"Photoshop 3.0\0" + IPTC
        path.write_bytes(data[:2] + b"\xff\xed" + (len(part) + 2).to_bytes(2, "big") + part + data[2:])
    picture = read_image(path)
    both = "XMP and IPTC" if suffix in (".jpg", ".tif") else "XMP"
    assert list_losses("out.png", picture) == (f"The picture's {both} data is left out.",)
    assert list_losses("out.png", picture, strip=True) == ()
    write_image(tmp_path / "out.png", picture.rgb, metadata=picture.metadata)
    assert list_losses("out.png", read_image(tmp_path / "out.png")) == ()


def test_outputs_that_are_no_paths_are_refused():
    for path in (None, 3, b"out.png"):
        with pytest.raises(UserError, match="must be a path"):
            check_output(path)


def test_the_mode_of_a_replaced_file_is_kept(tmp_path):
    (tmp_path / "a.png").touch()
    for mode in (0o600, 0o640, 0o666):
        os.chmod(tmp_path / "a.png", mode)
        write_image(tmp_path / "a.png", RGB)
        assert stat.S_IMODE(os.stat(tmp_path / "a.png").st_mode) == mode


STOPPED = """
import sys, time
from clit.system.atomic import open_atomic
with open_atomic(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_stop_signal_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    run = subprocess.Popen([sys.executable, "-c", STOPPED, tmp_path / "a.png"], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "writing\n" and len(os.listdir(tmp_path)) == 2
    run.send_signal(signal.SIGTERM)
    assert run.wait(20) == 128 + signal.SIGTERM
    assert os.listdir(tmp_path) == ["a.png"] and (tmp_path / "a.png").read_bytes() == b"old"


def test_a_handler_of_the_program_stays(tmp_path):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
        with open_atomic(tmp_path / "a") as file:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            file.write(b"new")
        write_bytes(tmp_path / "b", b"new")
        assert heard == [1] and (tmp_path / "a").read_bytes() == b"new"
    finally:
        signal.signal(signal.SIGTERM, before)
