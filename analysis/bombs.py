"""Small files that hold large pictures: what reading takes that is let through, and what is refused.

    python analysis/bombs.py

For each kind a flat picture is written that has more pixels than the page takes by its header, and then about the
largest that it takes. A process of its own reads each as an upload, after a small one of the same kind. Noted: what it
was told if it was refused, and by how much memory grew at most, the file included.

Writes analysis/bombs.csv; `python analysis/tables.py` puts it into docs/load.md.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from clit.errors import UserError
from clit.training.evaluate import markdown
from clit.ui.limits import Limits
from clit.ui.uploads import read_upload

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "analysis" / "bombs.csv"
COLUMNS = "kind", "megapixels", "kilobytes", "said", "more_mb", "seconds"
WIDTH = 8000


def write_tiff(path: Path, rows: int, photometric: str, dtype=np.uint8, channels: int = 3, **options) -> None:
    """Write a flat TIFF, LZW in one strip."""
    shape = (rows, WIDTH, channels) if channels > 1 else (rows, WIDTH)
    flat = np.broadcast_to(np.ones((), dtype), shape)
    tifffile.imwrite(path, flat, photometric=photometric, compression="lzw", rowsperstrip=rows, **options)


def write_heic(path: Path, rows: int, mode: str = "RGB") -> None:
    """Write a flat HEIC."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    Image.new(mode, (WIDTH, rows), 100 if mode == "L" else (100,) * len(mode)).save(
        path, "HEIF", quality=30, enc_params={"preset": "ultrafast"}
    )


def write_netpbm(path: Path, rows: int, kind: int, sample: bytes) -> None:
    """Write a flat PBM, PGM or PPM. sample: the bytes of a pixel; of a PBM, of eight."""
    maximum = b"" if kind == 4 else b"\n65535" if kind == 6 and len(sample) == 6 else b"\n255"
    count = WIDTH // 8 if kind == 4 else WIDTH
    path.write_bytes(b"P%d\n%d %d%s\n" % (kind, WIDTH, rows, maximum) + sample * (count * rows))


PALETTE = np.arange(3 * 256, dtype=np.uint16).reshape(3, 256)

KINDS: dict[str, Callable[[Path, int], None]] = {
    "HEIC": write_heic,
    "HEIC, transparent": lambda path, rows: write_heic(path, rows, "RGBA"),
    "LZW TIFF": lambda path, rows: write_tiff(path, rows, "rgb"),
    "LZW TIFF, grey": lambda path, rows: write_tiff(path, rows, "minisblack", channels=1),
    "LZW TIFF, 16 bits": lambda path, rows: write_tiff(path, rows, "rgb", np.uint16),
    "LZW TIFF, 32 bits": lambda path, rows: write_tiff(path, rows, "rgb", np.float32),
    "LZW TIFF, palette": lambda path, rows: write_tiff(path, rows, "palette", channels=1, colormap=PALETTE),
    "LZW TIFF, CMYK": lambda path, rows: write_tiff(path, rows, "separated", channels=4),
    "LZW TIFF, Lab": lambda path, rows: write_tiff(path, rows, "cielab"),
    "PPM": lambda path, rows: write_netpbm(path, rows, 6, b"abc"),
    "PPM, 16 bits": lambda path, rows: write_netpbm(path, rows, 6, b"aabbcc"),
    "PGM": lambda path, rows: write_netpbm(path, rows, 5, b"a"),
    "PBM": lambda path, rows: write_netpbm(path, rows, 4, b"a"),
}


def read_once(path: Path) -> dict:
    """Read an upload in this process; return what it said and took. A small one of its kind lies beside it."""
    read_upload(path.with_name("small"), "small", Limits())
    before, began, said = memory("VmRSS"), time.perf_counter(), ""
    Path("/proc/self/clear_refs").write_text("5")  # the largest so far is what it is now
    try:
        read_upload(path, "it", Limits())
    except UserError as error:
        said = str(error)
    return {"said": said, "more_mb": memory("VmHWM") - before, "seconds": time.perf_counter() - began}


def memory(name: str) -> float:
    """Return a number of this process that the system tells, in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


def measure(path: Path) -> dict:
    """Read an upload in a process of its own."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(read_once, [path])


def find_largest(kind: str, path: Path) -> list[dict]:
    """Return rows for pictures of a kind, from one that is refused down to about the largest that is let through."""
    limits, rows = Limits(), []
    KINDS[kind](path.with_name("small"), 80)
    count = limits.upload_pixels // WIDTH
    while not rows or rows[-1]["said"]:
        KINDS[kind](path, count)
        rows.append({**describe(kind, count, path), **measure(path)})
        most = re.search(r"more than the ([\d.]+) that are read", rows[-1]["said"])
        share = limits.upload_bytes / path.stat().st_size  # where the file is too large
        count = int(float(most[1]) * 1e6 / WIDTH) - 5 if most else int(0.99 * share * count)
    return rows


def describe(kind: str, rows: int, path: Path) -> dict:
    """Return what is known of a file before it is read."""
    return {"kind": kind, "megapixels": rows * WIDTH / 1e6, "kilobytes": path.stat().st_size / 1e3}


def read() -> list[dict[str, str]]:
    """The rows of the file."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]]) -> str:
    """What is let through, as Markdown."""
    lines = [["kind", "the largest", "its file", "memory", "time"]]
    for row in rows:
        if not row["said"]:
            size, numbers = float(row["kilobytes"]), (float(row[name]) for name in ("megapixels", "more_mb", "seconds"))
            pixels, more, seconds = numbers
            told = f"{size / 1e3:.1f} MB" if size > 1e3 else f"{size:.0f} kB"
            lines.append([row["kind"], f"{pixels:.1f} MP", told, f"{more:.0f} MB", f"{seconds:.1f} s"])
    return markdown(lines)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            rows += find_largest(kind, Path(folder) / "bomb")
            print(rows[-1], flush=True)
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    print(table(read()))


if __name__ == "__main__":
    main()
