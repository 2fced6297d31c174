"""Makes small picture files of every depth, layout and tag, each with the colours that a viewer shows.

The picture is 24 x 32: a colour or grey ramp with a mark in its upper left corner, so that turns are seen.
"""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

H, W = 24, 32
_Y, _X = np.mgrid[0:H, 0:W] / [[[H - 1]], [[W - 1]]]

RGB = np.stack([0.1 + 0.8 * _X, 0.15 + 0.7 * _Y, 0.5 + 0.4 * np.sin(7 * _X) * np.cos(5 * _Y)], -1)
RGB[2:8, 3:10] = 0.9, 0.2, 0.25
GREY = 0.1 + 0.8 * _X * (0.4 + 0.6 * _Y)
GREY[2:8, 3:10] = 0.95
ALPHA = np.where(_X > 0.5, 0.3, 0.5 + 0.5 * _Y)

# Chromaticities as columns of XYZ with a D50 white, as ICC profiles hold them.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def to_linear(v):
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def to_srgb(v):
    v = np.clip(v, 0, 1)
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)


def as_ints(values, bits):
    return np.rint(values * (2**bits - 1)).astype(f"uint{8 if bits <= 8 else 16 if bits <= 16 else 32}")


def icc(gamma, columns=None, name="test", space=None, tags=()):
    """An ICC profile (v2) of a power curve: grey without columns, else with a matrix. gamma is rounded to 1/256."""

    def xyz(v):
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(n * 65536)) for n in v)

    text = name.encode() + b"\0"
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    entries = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78),
        (b"cprt", b"text\0\0\0\0none\0"),
        (b"wtpt", xyz((0.9642, 1, 0.8249))),
        *tags,
    ]
    if columns is not None:
        entries += [(n, xyz(c)) for n, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)]
        entries += [(n, curve) for n in (b"rTRC", b"gTRC", b"bTRC")]
    elif not tags:
        entries.append((b"kTRC", curve))
    head, body, at = b"", b"", 132 + 12 * len(entries)
    for key, data in entries:
        data += b"\0" * (-len(data) % 4)
        head += key + struct.pack(">II", at + len(body), len(data))
        body += data
    space = space or (b"GRAY" if columns is None else b"RGB ")
    return (
        struct.pack(">I", at + len(body)) + b"lcms" + struct.pack(">I", 0x02400000) + (b"prtr" if tags else b"mntr")
        + space + (b"Lab " if tags else b"XYZ ") + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
        + xyz((0.9642, 1, 0.8249))[8:] + b"\0" * 48 + struct.pack(">I", len(entries)) + head + body
    )  # fmt: skip


def cmyk_profile():
    """A profile with a table of two steps per ink: paper white, every ink black."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), -1).reshape(-1, 4)
    light = np.where(corners.any(1), 0, 255)[:, None]
    lab = np.concatenate([light, np.full((16, 2), 128)], 1).astype(np.uint8)
    ramp = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (i == j)) for i in range(3) for j in range(3))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + lab.tobytes() + ramp * 3
    return icc(1, None, space=b"CMYK", tags=[(b"A2B0", table)])


def through_p3(v, gamma=2.19921875):  # 2.2, as a curve of one number holds it
    light = v**gamma @ np.array(P3) @ np.linalg.inv(np.array(SRGB))
    return to_srgb(light)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(pixels, kind, depth, *before, after=b""):
    """A PNG of (h, w[, channels]) integers, with chunks before and after the pixels."""
    rows = pixels.reshape(len(pixels), -1)
    width = pixels.shape[1]
    if depth == 16:
        packed = rows.astype(">u2").view(np.uint8)
    elif depth == 8:
        packed = rows.astype(np.uint8)
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(len(rows), -1), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in packed)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(pixels), depth, kind, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(raw))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + data + after + chunk(b"IEND", b"")


def interlaced_png(pixels):
    """A PNG of (h, w, 3) bytes in the seven passes of Adam7."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    raw = b"".join(b"\0" + row.tobytes() for y, x, dy, dx in passes for row in pixels[y::dy, x::dx])
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def iccp(profile):
    return chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))


def tiff(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def packed_tiff(values, bits, photometric=1, tags=()):
    """A TIFF of one strip of packed samples (h, w) of any number of bits up to 16."""
    bit = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(*values.shape, 2), axis=2)[..., 16 - bits :]
    data = np.packbits(bit.reshape(len(values), -1), axis=1).tobytes()
    height, width = values.shape
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height,
               279: len(data), **dict(tags)}  # fmt: skip
    data += b"\0" * (len(data) % 2)
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, entries[tag]) for tag in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + listed + b"\0" * 4


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def upright_as(values, orientation):
    """The pixels as a file holds them whose orientation makes `values` of them."""
    return np.ascontiguousarray({
        1: lambda v: v, 2: lambda v: v[:, ::-1], 3: lambda v: v[::-1, ::-1], 4: lambda v: v[::-1],
        5: lambda v: v.swapaxes(0, 1), 6: lambda v: np.rot90(v, 1), 7: lambda v: v[::-1, ::-1].swapaxes(0, 1),
        8: lambda v: np.rot90(v, -1),
    }[orientation](values))  # fmt: skip


def exif_of(orientation=1, **more):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for tag, value in more.items():
        exif[int(tag[1:])] = value
    return exif.tobytes()


def png_cases():
    """Yield name, bytes, rgb, alpha or None, bits: every colour type and depth with every colour chunk."""
    colour_chunks = {
        "plain": ((), lambda v: v),
        "srgb": ((chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">I", 100000))), lambda v: v),
        "gama22": ((chunk(b"gAMA", struct.pack(">I", 45455)),), lambda v: v),
        "gama10": ((chunk(b"gAMA", struct.pack(">I", 100000)),), to_srgb),
        "named-srgb": ((iccp(icc(1, SRGB, "GIMP built-in Linear sRGB")),), to_srgb),
        "cicp-first": ((chunk(b"cICP", bytes([1, 8, 0, 1])), iccp(icc(2.2, P3))), to_srgb),
        "iccp-first": ((iccp(icc(1, SRGB)), chunk(b"gAMA", struct.pack(">I", 45455))), to_srgb),
        "p3": ((iccp(icc(2.2, P3)),), through_p3),
        "grey-linear": ((iccp(icc(1)),), to_srgb),
    }
    for bits in (8, 16):
        grey, rgb, alpha = (as_ints(v, bits) for v in (GREY, RGB, ALPHA))
        shown = alpha / (2**bits - 1)
        for tag, (chunks, colours) in colour_chunks.items():
            if tag != "p3":
                want = colours(grey / (2**bits - 1))
                yield f"grey-{tag}-{bits}.png", png(grey, 0, bits, *chunks), want, None, bits
                yield f"grey-alpha-{tag}-{bits}.png", png(np.dstack([grey, alpha]), 4, bits, *chunks), want, shown, bits
                key = int(grey[4, 5])
                trns = chunk(b"tRNS", struct.pack(">H", key))
                yield f"grey-trns-{tag}-{bits}.png", png(grey, 0, bits, *chunks, trns), want, grey != key, bits
            if tag != "grey-linear":
                want = colours(rgb / (2**bits - 1))
                yield f"rgb-{tag}-{bits}.png", png(rgb, 2, bits, *chunks), want, None, bits
                yield f"rgba-{tag}-{bits}.png", png(np.dstack([rgb, alpha]), 6, bits, *chunks), want, shown, bits
                key = [int(n) for n in rgb[4, 5]]
                trns = chunk(b"tRNS", struct.pack(">3H", *key))
                yield f"rgb-trns-{tag}-{bits}.png", png(rgb, 2, bits, *chunks, trns), want, (rgb != key).any(-1), bits
        turn = chunk(b"eXIf", exif_of(6).removeprefix(b"Exif\0\0"))
        yield f"turned-{bits}.png", png(upright_as(rgb, 6), 2, bits, turn), rgb / (2**bits - 1), None, bits
    for depth in (1, 2, 4):
        grey = as_ints(GREY, depth)
        want, key = grey / (2**depth - 1), int(grey[4, 5])
        yield f"grey-{depth}.png", png(grey, 0, depth), want, None, 8
        trns = chunk(b"tRNS", struct.pack(">H", key))
        yield f"grey-trns-{depth}.png", png(grey, 0, depth, trns), want, grey != key, 8
    for depth in (1, 2, 4, 8):
        index = as_ints(GREY, depth)
        table = np.random.default_rng(depth).integers(0, 256, (2**depth, 3), dtype=np.uint8)
        alphas = np.r_[np.linspace(0, 250, 2**depth - 1).astype(np.uint8), np.uint8(255)]  # the last needs no entry
        palette, clear = chunk(b"PLTE", table.tobytes()), chunk(b"tRNS", alphas[:-1].tobytes())
        yield f"palette-{depth}.png", png(index, 3, depth, palette), table[index] / 255, None, 8
        yield (
            f"palette-trns-{depth}.png",
            png(index, 3, depth, palette, clear),
            table[index] / 255,
            alphas[index] / 255,
            8,
        )


def tiff_cases():
    """As png_cases: every depth, layout, compression, kind of extra channel, orientation and profile."""
    layouts = {
        "plain": {}, "planar": {"planarconfig": "separate"}, "tiled": {"tile": (16, 16)},
        "big-endian": {"byteorder": ">"}, "big": {"bigtiff": True},
        "deflate": {"compression": "zlib", "predictor": True},
        "lzw": {"compression": "lzw"}, "zstd": {"compression": "zstd"}, "packbits": {"compression": "packbits"},
        "planar-deflate": {"planarconfig": "separate", "compression": "zlib", "predictor": True},
    }  # fmt: skip
    for bits in (8, 16):
        full = 2**bits - 1
        grey, rgb, alpha = (as_ints(v, bits) for v in (GREY, RGB, ALPHA))
        for layout, options in layouts.items():
            planes = (lambda v: np.ascontiguousarray(v.transpose(2, 0, 1))) if "planar" in layout else (lambda v: v)
            yield f"rgb-{layout}-{bits}.tif", tiff(planes(rgb), photometric="rgb", **options), rgb / full, None, bits
            four = planes(np.dstack([rgb, alpha]))
            straight = tiff(four, photometric="rgb", extrasamples=["unassalpha"], **options)
            yield f"rgba-{layout}-{bits}.tif", straight, rgb / full, alpha / full, bits
            if "planar" not in layout:
                data = tiff(grey, photometric="minisblack", **options)
                yield f"grey-{layout}-{bits}.tif", data, grey / full, None, bits
                inverse = tiff(full - grey, photometric="miniswhite", **options)
                yield f"white-is-0-{layout}-{bits}.tif", inverse, grey / full, None, bits
        data = tiff(np.dstack([rgb, np.zeros_like(alpha)]), photometric="rgb", extrasamples=["unspecified"])
        yield f"rgb-spare-{bits}.tif", data, rgb / full, None, bits
        multiplied = as_ints(rgb / full * (alpha / full)[..., None], bits)
        data = tiff(np.dstack([multiplied, alpha]), photometric="rgb", extrasamples=["assocalpha"])
        yield f"rgb-premultiplied-{bits}.tif", data, rgb / full, alpha / full, bits
        options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
        data = tiff(np.dstack([grey, alpha]), **options)
        yield f"grey-alpha-{bits}.tif", data, grey / full, alpha / full, bits
        for orientation in range(1, 9):
            for name, values, photometric in (("rgb", rgb, "rgb"), ("grey", grey, "minisblack")):
                tag = [(274, 3, 1, orientation, True)]
                data = tiff(upright_as(values, orientation), photometric=photometric, extratags=tag)
                yield f"{name}-orientation{orientation}-{bits}.tif", data, values / full, None, bits
        linear = icc(1, SRGB, "sRGB linear")
        for name, profile, colours in (("linear", linear, to_srgb), ("p3", icc(2.2, P3), through_p3)):
            data = tiff(rgb, photometric="rgb", iccprofile=profile)
            yield f"rgb-{name}-{bits}.tif", data, colours(rgb / full), None, bits
        data = tiff(grey, photometric="minisblack", iccprofile=icc(1))
        yield f"grey-linear-{bits}.tif", data, to_srgb(grey / full), None, bits
        ink = as_ints(np.dstack([1 - RGB, np.full((H, W), 0.1)]), bits)
        want = (1 - ink[..., :3] / full) * (1 - ink[..., 3:] / full)
        yield f"cmyk-{bits}.tif", tiff(ink, photometric="separated"), want, None, bits
    yield from _other_tiffs()


def _other_tiffs():
    for kind in ("float16", "float32", "float64"):
        for name, values, photometric in (("rgb", RGB, "rgb"), ("grey", GREY, "minisblack")):
            yield f"{name}-{kind}.tif", tiff(values.astype(kind), photometric=photometric), values, None, 16
    yield "bright-float32.tif", tiff((GREY * 4).astype(np.float32)), GREY / GREY.max(), None, 16
    yield "uint32.tif", tiff(np.rint(GREY * (2**32 - 1)).astype(np.uint32)), GREY, None, 16
    yield "int16.tif", tiff(np.rint(GREY * 32767).astype(np.int16)), GREY, None, 16
    yield "int32.tif", tiff(np.rint(GREY * 65535).astype(np.int32)), GREY, None, 16
    for bits in (1, 2, 4, 6, 8, 10, 12, 14):
        for photometric in (0, 1):
            values = as_ints(GREY, bits)
            data = packed_tiff(values if photometric else 2**bits - 1 - values, bits, photometric)
            yield f"packed-{bits}-{photometric}.tif", data, values / (2**bits - 1), None, 8 if bits <= 8 else 16
    twelve = as_ints(GREY, 12)
    yield "twelve-in-16.tif", tiff(twelve, extratags=[(281, 3, 1, 4095, True)]), twelve / 4095, None, 16
    index = as_ints(GREY, 8)
    table = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    for step in (256, 257):
        data = tiff(index, photometric="palette", colormap=(table.T.astype(np.uint16) * step))
        yield f"palette-{step}.tif", data, table[index] / 255, None, 8
    two = Image.fromarray(GREY > 0.5)
    for compression in ("group3", "group4"):
        yield f"{compression}.tif", saved(two, "TIFF", compression=compression), (GREY > 0.5).astype(float), None, 8


def netpbm_cases():
    for maximum in (1, 15, 255, 1023, 65535):
        for name, values, plain, binary in (("grey", GREY, 2, 5), ("rgb", RGB, 3, 6)):
            ints = np.rint(values * maximum).astype(int)
            want, bits = ints / maximum, 8 if maximum < 256 else 16
            head = f"# made here\n{W} {H}\n{maximum}\n"
            text = " ".join(map(str, ints.ravel()))
            yield f"{name}-{maximum}-plain.ppm", f"P{plain}\n{head}{text}\n".encode(), want, None, bits
            packed = ints.astype(np.uint8 if maximum < 256 else ">u2").tobytes()
            yield f"{name}-{maximum}.ppm", f"P{binary}\n{head}".encode() + packed, want, None, bits
    black = GREY < 0.5
    text = "".join(str(int(b)) for b in black.ravel())
    yield "plain.pbm", f"P1 {W} {H}\n{text}".encode(), 1.0 - black, None, 8
    yield "binary.pbm", f"P4\n{W} {H}\n".encode() + np.packbits(black, axis=1).tobytes(), 1.0 - black, None, 8


def other_cases():
    """Formats of 8 bits, and JPEG 2000 of more; those that lose something are of smooth pictures."""
    u8 = as_ints(RGB, 8)
    image, grey = Image.fromarray(u8), Image.fromarray(as_ints(GREY, 8))
    for kind, suffix in (("BMP", "bmp"), ("TGA", "tga"), ("WEBP", "webp"), ("JPEG2000", "jp2")):
        options = {"lossless": True} if kind == "WEBP" else {}
        yield f"rgb.{suffix}", saved(image, kind, **options), u8 / 255, None, 8
        yield f"grey.{suffix}", saved(grey, kind, **options), np.asarray(grey) / 255, None, 8
    yield "grey.gif", saved(grey, "GIF"), np.asarray(grey) / 255, None, 8
    for bits in (10, 12, 16):
        ints = as_ints(RGB, bits)
        data = imagecodecs.jpeg2k_encode(ints, bitspersample=bits, level=0, reversible=True)
        yield f"rgb-{bits}.jp2", data, ints / (2**bits - 1), None, 16


ALL = {name: rest for make in (png_cases, tiff_cases, netpbm_cases, other_cases) for name, *rest in make()}
"""File name -> bytes, colours (h, w) or (h, w, 3), alpha or None, bits."""
