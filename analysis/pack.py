"""Pack training photographs small, to carry them to a machine with a GPU.

    python analysis/pack.py OUT --data bsds500 --data cid22 ... --held-out analysis/held_out.txt [--quality 96]

Writes every photograph as training reads it (large or coarsely compressed ones halved) as a JPEG without chroma
subsampling, in OUT/FOLDER. One that was neither halved nor would become smaller is copied. Held-out ones stay behind.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image

from clit.errors import UserError
from clit.training.photographs import find_photographs, read_photograph, read_pixels


def pack(path: Path, folder: Path, quality: int) -> int:
    """Write one photograph into a folder; return its bytes."""
    pixels = read_photograph(path)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    if is_jpeg and pixels.shape == read_pixels(path).shape and path.stat().st_size <= buffer.tell():
        return Path(shutil.copy(path, folder / path.name)).stat().st_size
    target = folder / f"{path.stem}.jpg"
    if target.exists():
        raise UserError(f"{path} would be written over {target}: give other names, or an empty folder.")
    return target.write_bytes(buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a folder; can be repeated")
    parser.add_argument("--held-out", type=Path, help="a list of file names to leave out")
    parser.add_argument("--quality", type=int, default=96, help="of the JPEGs, 1 to 100")
    flags = parser.parse_args()
    held_out = set() if flags.held_out is None else set(flags.held_out.read_text().splitlines())
    for data in flags.data:
        folder = flags.out / data.name
        folder.mkdir(parents=True, exist_ok=True)
        size = sum(pack(p, folder, flags.quality) for p in find_photographs([data]) if p.name not in held_out)
        print(f"{folder}: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
