"""What a server keeps: after many visits, one after another, and after many uploads at once.

    python analysis/load_memory.py [--visits 200] [--uploads 45]

A visit opens the page, uploads a picture of 2 megapixels, shows four panes of it exactly, clicks, and leaves. Counted
after each: the memory that the process holds, the files it has on disk, and those it has open. Then a number of people
upload at once, and leave; memory is looked at until a minute after the last of them has gone.

Writes analysis/load_memory.csv; `python analysis/tables.py` puts it into docs/load.md.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import threading
import time
from pathlib import Path

from load import compile_kernels
from serving import ROOT, find_server, resident, serve_page
from visitors import Failed, Notes, Visitor, picture_file

FILE = ROOT / "analysis" / "load_memory.csv"
COLUMNS = "visits", "rss_mb", "files", "open_files", "uploads", "refused", "failed", "peak_mb", "minute_mb", "seconds"
LARGE = 1248, 1600  # height and width of an upload
FIRST = 50  # visit from which on nothing shall grow
NEAR = 5  # memory is the median of so many visits, before and after
BACK_MB = 1200  # to which memory shall come back


def count_files(folder: Path) -> int:
    """Return the number of files below a folder."""
    return sum(path.is_file() for path in folder.rglob("*"))


def visit(url: str, number: int, notes: Notes) -> None:
    """Upload a picture, look at it, and leave."""
    visitor = Visitor(url, notes, number)
    visitor.begin()
    visitor.open(picture_file(*LARGE, number), "own.png")
    visitor.look_around()
    visitor.leave()


def count_visits(url: str, folder: Path, count: int) -> list[dict]:
    """Let visits follow each other; return a row for each."""
    process, notes, rows = find_server(url), Notes(), []
    for number in range(count):
        visit(url, number, notes)
        opened = len(list(Path(f"/proc/{process}/fd").iterdir()))
        rows.append(
            {
                "visits": number + 1,
                "rss_mb": resident(process),
                "files": count_files(folder),
                "open_files": opened,
            }
        )
    return rows


def upload_at_once(url: str, count: int) -> dict:
    """Let people upload at the same moment, and leave once all of them have an answer; return the run's row."""
    process, notes, together = find_server(url), Notes(), threading.Barrier(count)
    visitors = [Visitor(url, notes, number) for number in range(count)]
    pictures = [picture_file(*LARGE, 1000 + number) for number in range(count)]

    def bring(visitor: Visitor, picture: bytes) -> None:
        visitor.begin()
        together.wait()
        try:
            visitor.open(picture, "own.png")
        except Failed as failed:
            notes.fail(str(failed))

    threads = [threading.Thread(target=bring, args=pair) for pair in zip(visitors, pictures, strict=True)]
    for thread in threads:
        thread.start()
    peak = 0.0
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, resident(process))
        time.sleep(0.05)
    for visitor in visitors:
        visitor.leave()
    began, back = time.monotonic(), float("nan")
    while (passed := time.monotonic() - began) < 60:
        if resident(process) < BACK_MB and not back <= passed:
            back = passed
        time.sleep(0.1)
    for sentence in sorted({sentence for _, sentence in notes.failures}):
        print(sentence)
    return {
        "uploads": count, "refused": notes.refused, "failed": len(notes.failures), "peak_mb": peak,
        "minute_mb": resident(process), "seconds": back,
    }  # fmt: skip


def read() -> list[dict[str, str]]:
    """The rows of the file."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows: list[dict]) -> None:
    """Write rows in place of those before."""
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def text(rows: list[dict[str, str]]) -> str:
    """Say what was found."""
    visits, [uploads] = [row for row in rows if row["visits"]], [row for row in rows if row["uploads"]]
    last, first = len(visits), min(FIRST, len(visits))

    def memory(number: int) -> float:
        near = visits[max(0, number - 1 - NEAR) : number + NEAR]
        return statistics.median(float(row["rss_mb"]) for row in near)

    most = max(memory(number) for number in range(first, last + 1))
    at, end = visits[first - 1], visits[-1]
    peak, minute, seconds = (float(uploads[name]) for name in ("peak_mb", "minute_mb", "seconds"))
    back = f", and less than {BACK_MB} MB after {seconds:.0f} s" if seconds == seconds else ""
    return (
        f"After the {first}th of {last} visits that upload 2 megapixels, look and leave, the process held "
        f"{memory(first):.0f} MB, after the last {memory(last):.0f} MB, and {most:.0f} MB at most between them; "
        f"{at['files']} and {end['files']} files on disk, {at['open_files']} and {end['open_files']} open ones. While "
        f"{uploads['uploads']} people uploaded 2 megapixels at once, it held {peak:.0f} MB at most; a minute after "
        f"they had left, {minute:.0f} MB{back}. {uploads['refused']} times somebody had to send a file again as others "
        f"were being sent, and {uploads['failed']} heard that the memory for pictures is full."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=200, help="one after another")
    parser.add_argument("--uploads", type=int, default=45, help="at once")
    flags = parser.parse_args()
    compile_kernels(ROOT)
    with tempfile.TemporaryDirectory() as folder, serve_page(folder=Path(folder)) as url:
        rows = count_visits(url, Path(folder), flags.visits)
        rows.append(upload_at_once(url, flags.uploads))
    write(rows)
    print(text(read()))


if __name__ == "__main__":
    main()
