"""PBM, PGM and PPM pictures of any depth, plain and binary (netpbm.sourceforge.net/doc)."""

from __future__ import annotations

import re
from itertools import islice

import numpy as np

from clit.pictures.picture import Decoded
from clit.pictures.profiles import Samples
from clit.pictures.readers.source import Source

_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(rb"P([1-6])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})")
_MAXIMUM = re.compile(_GAP + rb"(\d{1,5})")


def read_netpbm(source: Source) -> Decoded:
    """Read a PBM, PGM or PPM: samples are shares of the maximum that the header tells, 1 to 65535."""
    head = _HEADER.match(source.data)
    if head is None:
        raise source.damaged()
    kind, width, height = (int(n) for n in head.groups())
    source.check_size(height, width, 60 * (3 if kind == 3 else 1) if kind < 4 else 8)  # a word is an object
    end, maximum = head.end(), 1
    if kind not in (1, 4):
        found = _MAXIMUM.match(source.data, end)
        if found is None or not 1 <= int(found[1]) <= 65535:
            raise source.damaged()
        end, maximum = found.end(), int(found[1])
    channels = 3 if kind in (3, 6) else 1
    body = source.data[end:]
    if kind == 4:
        values = _unpack_bits(body[1:], height, width)
    elif kind > 4:
        count = height * width * channels
        values = np.frombuffer(body[1:], np.uint8 if maximum < 256 else ">u2")[:count]
    else:
        body, count = re.sub(rb"#[^\n\r]*", b" ", body), height * width * channels
        bits = (each[0] for each in re.finditer(rb"[01]", body))
        words = list(islice(bits, count)) if kind == 1 else body.split(None, count)[:count]
        values = np.array(words, dtype="S5").astype(np.int64)
    if len(values) < height * width * channels:
        raise source.damaged()
    values = np.minimum(values.reshape(height, width, channels), maximum)
    values = values.astype(np.uint8 if maximum < 256 else np.uint16)
    samples = Samples(1 - values if kind in (1, 4) else values, maximum, "rgb" if channels == 3 else "grey")
    return Decoded(samples, bits=8 if maximum < 256 else 16)


def _unpack_bits(body: bytes, height: int, width: int) -> np.ndarray:
    row = (width + 7) // 8
    rows = np.frombuffer(body[: height * row], np.uint8)
    return np.unpackbits(rows.reshape(-1, row), axis=1)[:, :width].ravel()
