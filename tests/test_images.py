"""Files <-> arrays: every odd kind of picture comes out upright, in sRGB, at full depth, or with one clear sentence."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from picture_files import write_image
from PIL import Image, ImageCms, ImageOps

from clit.errors import UserError
from clit.pictures.files import as_array, check_output, read_image
from clit.system.atomic import write_bytes

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
ALPHA[0, :3] = 0, 255, 0
ALPHA[1, :3] = 0
DEEP = RNG.integers(0, 65536, (6, 9, 4), dtype=np.uint16)


def saved(tmp_path, image, name="picture.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def same(rgb, expected, atol=1e-6):
    assert rgb.dtype == np.float32 and rgb.shape[2] == 3 and rgb.flags.c_contiguous
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, 2)
    limit = np.iinfo(expected.dtype).max if expected.dtype.kind == "u" else 1
    np.testing.assert_allclose(rgb, expected / limit, atol=atol)


def test_plain_colour_from_all_sources(tmp_path):
    image = Image.fromarray(COLOUR)
    path = saved(tmp_path, image)
    for source in (path, str(path), image, COLOUR, COLOUR / 255, (COLOUR / 255).astype(np.float32)):
        picture = read_image(source)
        same(picture.rgb, COLOUR)
        assert picture.alpha is None and picture.size == (6, 9)
        same(as_array(source), COLOUR)
    assert read_image(path).bits == 8


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.bmp", "a.ppm"])
def test_lossless_formats(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    same(as_array(saved(tmp_path, Image.fromarray(COLOUR), name, **options)), COLOUR)


def test_grey_and_black_and_white(tmp_path):
    same(as_array(saved(tmp_path, Image.fromarray(GREY))), GREY)
    bits = Image.fromarray(GREY).convert("1")
    same(as_array(saved(tmp_path, bits)), np.asarray(bits).astype(np.float64))


def test_one_pixel(tmp_path):
    path = saved(tmp_path, Image.fromarray(COLOUR[:1, :1]))
    same(as_array(path), COLOUR[:1, :1])
    assert as_array(path).shape == (1, 1, 3)


def test_palette(tmp_path):
    image = Image.fromarray(COLOUR).quantize(16)
    same(as_array(saved(tmp_path, image)), np.asarray(image.convert("RGB")))


def test_palette_with_transparency(tmp_path):
    image = Image.fromarray((np.arange(54, dtype=np.uint8) % 3).reshape(6, 9), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = read_image(saved(tmp_path, image, transparency=bytes([255, 0, 128])))
    np.testing.assert_allclose(picture.alpha[0, :3], [1, 0, 128 / 255], atol=1e-6)
    np.testing.assert_allclose(picture.rgb[0, [0, 2]], [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(picture.opaque()[0, 1], 1)


@pytest.mark.parametrize("mode, key", [("L", 7), ("RGB", (7, 8, 9))])
def test_transparent_colour_key(tmp_path, mode, key):
    pixels = np.full((2, 2, 3), 200, np.uint8)
    pixels[0, 0] = key
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
    picture = read_image(saved(tmp_path, image, transparency=key))
    np.testing.assert_array_equal(picture.alpha, [[0, 1], [1, 1]])


def test_alpha(tmp_path):
    pixels = np.dstack([COLOUR, ALPHA])
    picture = read_image(saved(tmp_path, Image.fromarray(pixels)))
    np.testing.assert_allclose(picture.alpha, ALPHA / 255, atol=1e-6)
    visible = ALPHA > 0
    np.testing.assert_allclose(picture.rgb[visible], COLOUR[visible] / 255, atol=1e-6)
    np.testing.assert_array_equal(picture.rgb[0, 0], picture.rgb[0, 1])  # hidden: the nearest visible colour
    weight = (ALPHA / 255)[..., None]
    same(as_array(Image.fromarray(pixels)), COLOUR / 255 * weight + 1 - weight)


def test_grey_with_alpha(tmp_path):
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(np.maximum(ALPHA, 1))])
    picture = read_image(saved(tmp_path, image))
    same(picture.rgb, GREY)
    np.testing.assert_allclose(picture.alpha, np.maximum(ALPHA, 1) / 255, atol=1e-6)


def test_opaque_alpha_is_no_alpha_and_all_hidden_is_white():
    assert read_image(np.dstack([COLOUR, np.full_like(GREY, 255)])).alpha is None
    same(as_array(np.dstack([COLOUR, np.zeros_like(GREY)])), np.ones((6, 9, 3)))


def test_hidden_colours_come_from_the_nearest_visible_pixel():
    pixels = np.zeros((5, 40, 4), np.float32)
    pixels[2, 3] = 0.2, 0.4, 0.6, 1
    pixels[1, 30] = 0.9, 0.1, 0.3, 0.5
    rgb = read_image(pixels).rgb
    np.testing.assert_allclose(rgb[:, :14], np.broadcast_to(pixels[2, 3, :3], (5, 14, 3)))
    np.testing.assert_allclose(rgb[:, 20:], np.broadcast_to(pixels[1, 30, :3], (5, 20, 3)))


def test_16_bit_grey(tmp_path):
    for name in ("a.png", "a.tif"):
        path = saved(tmp_path, Image.fromarray(DEEP[..., 0]), name)
        same(as_array(path), DEEP[..., 0])
        assert read_image(path).bits == 16
    same(as_array(Image.fromarray(DEEP[..., 0].astype(np.int32))), DEEP[..., 0])


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_colour(tmp_path, name):
    assert cv2.imwrite(str(tmp_path / name), DEEP[..., 2::-1])
    same(as_array(tmp_path / name), DEEP[..., :3])
    assert cv2.imwrite(str(tmp_path / name), DEEP[..., [2, 1, 0, 3]])
    picture = read_image(tmp_path / name)
    same(picture.rgb, DEEP[..., :3])
    np.testing.assert_allclose(picture.alpha, DEEP[..., 3] / 65535, atol=1e-6)
    assert picture.bits == 16


def test_16_bit_grey_with_alpha(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = DEEP[..., [0, 3]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", 9, 6, 16, 4, 0, 0, 0)
    png = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
    picture = read_image(tmp_path / "a.png")
    same(picture.rgb, pixels[..., 0])
    np.testing.assert_allclose(picture.alpha, pixels[..., 1] / 65535, atol=1e-6)


def test_cmyk(tmp_path):
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan: red
    for name in ("a.jpg", "a.tif"):
        rgb = as_array(saved(tmp_path, ink, name))
        assert rgb[..., 0].min() > 0.9 and rgb[..., 1:].max() < 0.1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(COLOUR), exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
        same(as_array(image), upright)
    same(as_array(path), upright)


def test_exif_rotation_of_16_bit_colour(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    ok, data = cv2.imencode(".png", DEEP[..., 2::-1])
    data = data.tobytes()
    tags = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(tags)) + b"eXIf" + tags + struct.pack(">I", zlib.crc32(b"eXIf" + tags))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])  # behind IHDR
    same(as_array(tmp_path / "a.png"), np.rot90(DEEP[..., :3], -1))


def swapped_profile():
    """An RGB profile whose red and green primaries are exchanged: the conversion is plain to see."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(count)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    description = struct.unpack_from(">I", data, entries[b"desc"])[0]
    at = data.index(b"s\0R\0G\0B"[:-1], description)
    data[at : at + 8] = b"s\0w\0a\0p\0"
    return bytes(data)


def test_colour_profile(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (4, 4), (250, 20, 20)), icc_profile=swapped_profile())
    rgb = as_array(path)
    assert rgb[..., 1].min() > 0.9 and rgb[..., 0].max() < 0.2
    translucent = Image.new("RGBA", (4, 4), (250, 20, 20, 100))
    picture = read_image(saved(tmp_path, translucent, icc_profile=swapped_profile()))
    assert picture.rgb[..., 1].min() > 0.9
    np.testing.assert_allclose(picture.alpha, 100 / 255, atol=1e-6)


def test_srgb_and_broken_profiles_change_nothing(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile at all", swapped_profile()[:200]):
        same(as_array(saved(tmp_path, Image.fromarray(COLOUR), icc_profile=profile)), COLOUR)
    # A colour profile on a grey picture does not fit.
    same(as_array(saved(tmp_path, Image.fromarray(GREY), icc_profile=swapped_profile())), GREY)


def test_first_of_many_frames(tmp_path):
    frames = [Image.new("L", (5, 4), level) for level in (40, 200)]
    for name in ("a.gif", "a.tif", "a.png", "a.webp"):
        options = {"lossless": True} if name == "a.webp" else {}
        path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
        same(as_array(path), np.full((4, 5), 40, np.uint8))


def test_other_arrays():
    same(as_array(GREY), GREY)
    same(as_array(GREY[..., None]), GREY)
    same(as_array(DEEP[..., :3]), DEEP[..., :3])
    same(as_array(GREY > 99), (GREY > 99).astype(np.float64))
    same(as_array(COLOUR[::-1, ::2]), COLOUR[::-1, ::2])
    assert as_array(np.full((2, 2, 3), 1 + 1e-6)).max() == 1


@pytest.mark.parametrize(
    "array, word",
    [
        (np.zeros((4, 4, 3)) - 0.1, "[0, 1]"),
        (COLOUR.astype(np.float32), "[0, 1]"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        (np.full((4, 4, 3), np.inf), "NaN"),
        (COLOUR.astype(np.int64), "int64"),
        (COLOUR.astype(object), "object"),
        (np.zeros((4, 0, 3)), "shape"),
        (np.zeros((3, 40, 40)), "shape"),
        (np.zeros((1, 3, 4, 4)), "shape"),
        (np.float64(1), "float64"),
        (None, "NoneType"),
        ([[0.0, 1.0]], "list"),
    ],
)
def test_bad_arrays(array, word):
    with pytest.raises(UserError, match=word.replace("[", r"\[")):
        as_array(array)


def one_sentence(error):
    text = str(error.value)
    return text.endswith(".") and "\n" not in text and len(text) < 250


def test_bad_files(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (99, 99, 3), dtype=np.uint8)).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:5000])
    for name in ("empty.png", "text.png", "folder.png", "cut.png", "missing.png"):
        with pytest.raises(UserError, match=name) as error:
            read_image(tmp_path / name, strict=True)
        assert one_sentence(error)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_cut_and_many_flips_of_a_file_are_survived(tmp_path):
    for name, options in (
        ("a.png", {}),
        ("a.jpg", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.webp", {}),
    ):
        data = saved(tmp_path, Image.fromarray(COLOUR), name, **options).read_bytes()
        broken = [data[:n] for n in range(0, len(data), 7)]
        for at in RNG.integers(0, len(data), 40):
            broken.append(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        for content in broken:
            (tmp_path / name).write_bytes(content)
            try:
                assert as_array(tmp_path / name).shape[2] == 3
            except UserError:
                pass


def test_too_many_pixels_is_said_before_decoding(tmp_path):
    path = saved(tmp_path, Image.fromarray(COLOUR))
    with pytest.raises(UserError, match="megapixels"):
        read_image(path, max_pixels=53)
    with pytest.raises(UserError, match="megapixels"):
        read_image(Image.fromarray(COLOUR), max_pixels=53)
    assert read_image(path, max_pixels=54).size == (6, 9)
    data = bytearray(path.read_bytes())
    for side in (9000, 60000):  # beyond our limit; beyond Pillow's own
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
        with pytest.raises(UserError, match="megapixels") as error:
            read_image(path)
        assert one_sentence(error)


@pytest.mark.parametrize("name", ["a.png", "a.TIF", "a.tiff", "a.webp"])
def test_written_pictures_come_back(tmp_path, name):
    path = tmp_path / name
    write_image(path, COLOUR / np.float32(255))
    same(as_array(path), COLOUR)
    alpha = np.maximum(ALPHA, 1) / np.float32(255)
    write_image(path, COLOUR / np.float32(255), alpha)
    picture = read_image(path)
    same(picture.rgb, COLOUR)
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-6)
    write_image(path, np.array([[[-1.0, 0.5, 2.0]]]))
    same(as_array(path), np.array([[[0, 128, 255]]], np.uint8))
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_is_written(tmp_path, name):
    rgb, alpha = DEEP[..., :3] / np.float32(65535), np.maximum(DEEP[..., 3], 1) / np.float32(65535)
    write_image(tmp_path / name, rgb, bits=16)
    same(as_array(tmp_path / name), DEEP[..., :3])
    write_image(tmp_path / name, rgb, alpha, bits=16)
    picture = read_image(tmp_path / name)
    same(picture.rgb, DEEP[..., :3])
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-6)


def test_jpeg_keeps_full_colour_resolution_and_is_over_white(tmp_path):
    stripes = np.zeros((32, 32, 3), np.float32)
    stripes[:, ::2, 0] = 0.8
    stripes[:, 1::2, 2] = 0.8
    write_image(tmp_path / "a.jpg", stripes)
    assert np.abs(as_array(tmp_path / "a.jpg") - stripes).mean() < 0.06
    write_image(tmp_path / "a.jpg", stripes, np.zeros((32, 32)))
    assert as_array(tmp_path / "a.jpg").min() > 0.99


def test_outputs_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.png").mkdir()
    for name in ("a.xyz", "a", "missing/a.png", "folder.png"):
        with pytest.raises(UserError) as error:
            write_image(tmp_path / name, COLOUR / 255)
        assert one_sentence(error)
    with pytest.raises(UserError, match="16383"):
        check_output(tmp_path / "a.webp", (10, 20000))
    assert check_output(tmp_path / "a.png", (10, 20000)) == tmp_path / "a.png"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.png"]


def test_a_linked_output_stays_a_link(tmp_path):
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    write_bytes(tmp_path / "link.png", b"new")
    assert (tmp_path / "link.png").is_symlink() and (tmp_path / "real.png").read_bytes() == b"new"
