"""What whole folders take, on one process and on one or two actors of a local Ray, and what a million pictures would.

    python analysis/folders.py [--repeats 3] [--side 968]

1. Pictures: the examples, flipped and turned, 56 in all, by lit-light at x4.
2. Bands: one picture of SIDE x SIDE pixels at x8 (60 megapixels at 968), cut over the actors.
3. What passes one by one however many machines there are: pictures looked up in the manifest, and pictures recorded
   and renamed by the process that leads; and the bytes of the manifest.

The ways take turns, and the medians count. The time until all actors have started is told apart: the first pictures do
not count. All ways must make the same bytes. Each time stands with the rate of a (4096 x 256)(256 x 256) product right
before and after: other work on the machine makes both worse. Writes analysis/folders.csv and prints Markdown;
`python analysis/tables.py` puts it into docs/folders.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, get_type_hints

import numpy as np
from PIL import Image
from speed import product_rate

import clit
from clit.exports.cluster import LOCAL, over_cluster
from clit.exports.folders import Made, new_part, one_by_one, process, upscale_work
from clit.exports.jobs import Job, find_jobs
from clit.exports.manifest import FOLDER, Fingerprint, Manifest
from clit.system.process import prepare_process
from clit.training.evaluate import markdown

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "analysis" / "folders.csv"
ONE = "one process, 2 threads"
WAYS = {ONE: 0, "Ray, 1 actor": 1, "Ray, 2 actors": 2}
FIRST = 6  # pictures that do not count
BOOKED = 2000  # pictures that are recorded and looked up

MILLION, INPUT_SIDE, SCALE = 1_000_000, 500, 4  # the pictures of the plan
CORES = (2, 16, 64, 256, 1024)


class Row(NamedTuple):
    """One measurement.

    work: "pictures", "bands", "recorded", "looked up" or "remembered". pictures, megapixels, seconds: of the outputs
    that count. start: seconds until then. cpu: seconds of all cores, in this process. bytes: of all outputs, or of the
    manifest, on the disk or in memory. rate: of the product, in GMAC/s. digest: of all outputs.
    """

    work: str
    way: str
    repeat: int
    pictures: int
    megapixels: float
    start: float
    seconds: float
    cpu: float
    bytes: int
    rate: float
    digest: str


def save_pictures(folder: Path, names: str = "*") -> None:
    """Write examples eight times each: flipped and turned in every way."""
    for path in sorted((ROOT / "assets" / "examples").glob(f"{names}.png")):
        with Image.open(path) as picture:
            pixels = np.asarray(picture)
        for i in range(8):
            turned = np.rot90(pixels[:, ::-1] if i > 3 else pixels, i % 4)
            Image.fromarray(np.ascontiguousarray(turned)).save(folder / f"{path.stem}-{i}.png")


def save_large(folder: Path, side: int) -> None:
    """Write the pictures of "bands": eight small ones, while the actors start, and a large one."""
    save_pictures(folder, "pagoda")
    with Image.open(ROOT / "assets" / "examples" / "pagoda.png") as picture:
        picture.resize((side, side), Image.Resampling.BICUBIC).save(folder / "zz.png")


def measure(work: str, way: str, repeat: int, source: Path, scale: float) -> Row:
    """Enlarge a folder by lit-light in one way; of "bands", the last picture counts."""
    model, actors, options = clit.load("lit-light"), WAYS[way], {"scale": scale}
    engine = over_cluster(model, options, LOCAL, actors) if actors else one_by_one(upscale_work(model, options))
    times: list[tuple[float, float]] = []
    made: list[str] = []

    def timed(*arguments) -> Iterator:
        for outcome in engine(*arguments):
            times.append((time.perf_counter(), time.process_time()))
            made.append(outcome.job.output)
            yield outcome

    with tempfile.TemporaryDirectory() as out:
        before, began = product_rate(), time.perf_counter()
        process(find_jobs([source], out, lambda ending: ending), out, {}, timed)
        first = len(times) - 1 if work == "bands" else FIRST
        pixels = 0
        for name in made[first:]:
            with Image.open(Path(out) / name) as picture:
                pixels += picture.width * picture.height
        data = [path.read_bytes() for path in sorted(Path(out).glob("*.png"))]
    rate = (before + product_rate()) / 2 / 1e9
    start = times[first - 1][0] - began
    seconds, cpu = (last - since for last, since in zip(times[-1], times[first - 1], strict=True))
    digest = hashlib.sha256(b"".join(data)).hexdigest()[:12]
    size = sum(map(len, data))
    return Row(work, way, repeat, len(times) - first, pixels / 1e6, start, seconds, cpu, size, rate, digest)


def measure_booking(repeat: int) -> list[Row]:
    """Record and rename pictures that cost nothing to make, then look all of them up."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in", Path(folder) / "out"
        source.mkdir()
        for i in range(BOOKED):
            (source / f"{i:06}.png").write_bytes(os.urandom(100))

        def copy(jobs: list[Job], parts: str, share) -> Iterator[Made]:
            nonlocal began
            made = []
            for job in jobs:
                part = new_part(job, parts)
                Path(part).write_bytes(Path(job.source).read_bytes())
                made.append(Made(job, part, Fingerprint.of(job.source), Fingerprint.of(part), ()))
            if made:  # only recording counts; a run that makes nothing looks up, which counts as a whole
                began = time.perf_counter()
            yield from made

        began = 0.0
        for work in ("recorded", "looked up"):
            before = product_rate()
            began = time.perf_counter()
            process(find_jobs([source], out, lambda ending: ending), out, {}, copy)
            seconds = time.perf_counter() - began
            size = (out / FOLDER / "manifest.jsonl").stat().st_size
            rate = (before + product_rate()) / 2 / 1e9
            rows.append(Row(work, ONE, repeat, BOOKED, 0, 0, seconds, 0, size, rate, ""))
        tracemalloc.start()
        with closing(Manifest(out, {})):
            size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return [*rows, Row("remembered", ONE, repeat, BOOKED, 0, 0, 0, 0, size, rate, "")]


def read() -> list[Row]:
    """The rows of the file."""
    with FILE.open(newline="") as file:
        kinds = get_type_hints(Row).items()
        return [Row(*(kind(row[name]) for name, kind in kinds)) for row in csv.DictReader(file)]


def _medians(rows: list[Row], work: str) -> dict[str, Row]:
    """Of each way, the row with the median seconds."""
    found = {}
    for way in WAYS:
        times = sorted((row for row in rows if (row.work, row.way) == (work, way)), key=lambda row: row.seconds)
        if times:
            found[way] = times[(len(times) - 1) // 2]
    return found


def table(rows: list[Row], work: str) -> str:
    """The measured ways as Markdown; ratios are the median of those within a repeat."""
    lines = [["way", "start", "time", "s/MPx", "times as fast as 1 actor", "product rate", "bytes"]]
    medians = _medians(rows, work)
    seconds = {(row.way, row.repeat): row.seconds for row in rows if row.work == work}
    alone = "Ray, 1 actor"
    for way, row in medians.items():
        ratios = [seconds[alone, repeat] / taken for (other, repeat), taken in seconds.items() if other == way]
        same = {each.digest for each in rows if each.work == work} == {row.digest}
        start = f"{row.start:.0f} s" if WAYS[way] else "-"
        pace, ratio = f"{row.seconds / row.megapixels:.2f}", f"{statistics.median(ratios):.2f}"
        equal = "the same" if same else "DIFFERENT"
        lines.append([way, start, f"{row.seconds:.0f} s", pace, ratio, f"{row.rate:.0f} GMAC/s", equal])
    count, row = sum(each.work == work for each in rows) // len(medians), next(iter(medians.values()))
    told = f"Medians of {count}," if count > 1 else "One run each,"
    what = f"{row.pictures} pictures" if work == "pictures" else "one picture"
    return f"{markdown(lines)}\n\n{told} in turn; {what} of {row.megapixels:.0f} megapixels."


def plan(rows: list[Row]) -> str:
    """What a million pictures take, by the medians, as Markdown."""
    row = _medians(rows, "pictures")[ONE]
    recorded, looked_up, held = (_medians(rows, work)[ONE] for work in ("recorded", "looked up", "remembered"))
    megapixels = (INPUT_SIDE * SCALE) ** 2 / 1e6
    each = row.cpu / row.megapixels * megapixels  # core seconds
    made = row.megapixels * (row.pictures + FIRST) / row.pictures  # with those that do not count
    output = row.bytes / made * megapixels  # bytes of a picture
    most = recorded.pictures / recorded.seconds
    lines = [["cores", "pictures/s", "time for a million", "written"]]
    for cores in CORES:
        rate = min(cores / each, most)
        lines.append([str(cores), f"{rate:.2f}", _span(MILLION / rate), f"{rate * output / 1e6:.0f} MB/s"])
    facts = [
        f"- One picture: {megapixels:.0f} megapixels, {each:.1f} core seconds, {output / 1e6:.1f} MB as PNG.",
        f"- All: {each * MILLION / 3600:,.0f} core hours, {output * MILLION / 1e12:.1f} TB.",
        f"- The leading process records {most:.0f} pictures/s here: enough for {most * each:,.0f} cores.",
        f"- The manifest: {recorded.bytes / BOOKED * MILLION / 1e6:.0f} MB on the disk, "
        f"{held.bytes / BOOKED * MILLION / 1e6:.0f} MB in the leading process. To look a million pictures up in it, "
        f"when a run goes on: {_span(looked_up.seconds / BOOKED * MILLION)}.",
    ]
    return markdown(lines) + "\n\n" + "\n".join(facts)


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", type=int, default=968)
    flags = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        save_pictures(Path(small))
        save_large(Path(large), flags.side)
        for repeat in range(flags.repeats):
            rows += measure_booking(repeat)
            for work, source, scale in (("pictures", small, SCALE), ("bands", large, 8)):
                for way in WAYS:
                    rows.append(measure(work, way, repeat, Path(source), scale))
                    print(rows[-1], flush=True)
    with FILE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows([f"{x:.3f}" if isinstance(x, float) else x for x in row] for row in rows)
    print(table(read(), "pictures"), table(read(), "bands"), plan(read()), sep="\n\n")


if __name__ == "__main__":
    prepare_process()
    main()
