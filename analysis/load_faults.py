"""What visitors meet when something breaks, and what is left of it.

    python analysis/load_faults.py [--faults kill,full,slow,actor] [--visitors 4] [--minutes 1.5]

A fault begins after a third of a run, and is over after two thirds. "kill": the server is killed, and another one
starts on its port and in its folder; that takes as long as it takes. "full": the disk that the server writes to, a
small one of its own, is filled and then emptied; that needs root. "slow": forty clients open connections, say a byte
a second, and do not end. "actor": of two actors on Ray that draw, one is killed again and again. Visitors are those of
`load.py`, who look for a second at most; one more uploads a picture every second.

Writes analysis/load_faults.csv, a row per fault, and prints it as Markdown; `python analysis/tables.py` puts that into
docs/load.md.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

from load import compile_kernels
from load_memory import count_files
from serving import ROOT, find_server, free_port, serve_page
from visitors import Failed, Notes, Visitor, picture_file

from clit.rendering.elsewhere import CORES
from clit.training.evaluate import markdown

FILE = ROOT / "analysis" / "load_faults.csv"
FAULTS = "kill", "full", "slow", "actor"
TIMES = "before", "during", "after"
COLUMNS = ("fault", "visitors", *(f"{what}_{when}" for when in TIMES for what in ("views", "exact", "failed")), "files")
THINK = 0.5, 1.0
DISK_MB = 50
SLOW = 40  # clients


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Lay a small file system of its own over a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path, until: float) -> None:
    """Fill the file system of a folder until a time."""
    path = folder / "filling"
    with contextlib.suppress(OSError), path.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
    wait(until)
    path.unlink()


def send_slowly(url: str, until: float) -> None:
    """Keep connections that say a byte a second until a time; half of them say what begins an upload."""
    where = urlparse(url)
    head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    links = []
    for number in range(SLOW):
        links.append(
            socket.create_connection((where.hostname, where.port), source_address=(f"127.1.0.{number + 2}", 0))
        )
        if number % 2:
            links[-1].sendall(head)
    while time.monotonic() < until:
        for link in links:
            with contextlib.suppress(OSError):  # it was closed
                link.sendall(b"x")
        time.sleep(1)
    for link in links:
        link.close()


@contextlib.contextmanager
def two_actors() -> Iterator[str]:
    """Run a Ray for two actors on this machine until the block ends; give its address."""
    import ray

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    cpus = 2 * CORES
    context = ray.init(
        "local", num_cpus=cpus, object_store_memory=512 << 20, include_dashboard=False, log_to_driver=False
    )
    try:
        yield context.address_info["gcs_address"]
    finally:
        ray.shutdown()


def kill_actors(until: float) -> None:
    """Kill an actor of this process's Ray, and another one whenever both are there again, until a time."""
    while time.monotonic() < until:
        found = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if is_actor(path.parent)]
        if len(found) == 2:
            os.kill(int(found[0].name), signal.SIGKILL)
        time.sleep(1)


def is_actor(process: Path) -> bool:
    """Tell whether a process, by its folder in /proc, is an actor that this process's Ray started."""
    with contextlib.suppress(OSError):
        if (process / "cmdline").read_bytes().startswith(b"ray::Painter"):
            return os.getpid() in ancestors(process)
    return False


def ancestors(process: Path) -> Iterator[int]:
    """Yield the numbers of a process's parent, its parent, and so on."""
    while (parent := int((process / "stat").read_text().rpartition(")")[2].split()[1])) > 1:
        yield parent
        process = process.with_name(str(parent))


def wait(until: float) -> None:
    """Sleep until a time."""
    time.sleep(max(0.0, until - time.monotonic()))


def upload_again_and_again(url: str, notes: Notes, until: float) -> None:
    """Upload a picture every second until a time, as another visitor."""
    visitor = Visitor(url, notes, 500)
    while time.monotonic() < until:
        try:
            if not hasattr(visitor, "token"):
                visitor.begin()
            visitor.open(picture_file(240, 320, 1), "own.png")
        except Failed as failed:
            notes.fail(str(failed))
            if failed.is_over:
                del visitor.token
        time.sleep(1)


def run(fault: str, count: int, minutes: float) -> dict:
    """Let visitors move about while something breaks; return the run's row."""
    notes, port = Notes(), free_port()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if fault == "full":
            stack.enter_context(small_disk(folder))
        served = stack.enter_context(contextlib.ExitStack())
        flags = ["--ray", stack.enter_context(two_actors())] if fault == "actor" else []
        url = served.enter_context(serve_page(folder=folder, port=port, flags=flags))
        warm = Visitor(url, Notes(), 0)
        warm.arrive()
        warm.move()
        began = time.monotonic()
        breaks, ends, until = (began + 20 * minutes * third for third in (1, 2, 3))
        threads = [threading.Thread(target=upload_again_and_again, args=[url, notes, until])]
        threads += [
            threading.Thread(target=Visitor(url, notes, each, THINK).visit, args=[until]) for each in range(count)
        ]
        for thread in threads:
            thread.start()
        wait(breaks)
        if fault == "kill":
            os.kill(find_server(url), signal.SIGKILL)
            served.close()
            served.enter_context(serve_page(folder=folder, port=port))
            ends = time.monotonic()
        elif fault == "full":
            fill_disk(folder, ends)
        elif fault == "actor":
            kill_actors(ends)
        else:
            send_slowly(url, ends)
        for thread in threads:
            thread.join()
        files = count_files(folder)
    for _, sentence in notes.failures:
        print(sentence)
    return {"fault": fault, "visitors": count, "files": files, **summarise(notes, breaks, ends)}


def summarise(notes: Notes, breaks: float, ends: float) -> dict:
    """Return what was seen before, during and after a fault: exact views, the median of their seconds, failures."""
    row = {}
    for when, first, last in (("before", 0.0, breaks), ("during", breaks, ends), ("after", ends, float("inf"))):
        seconds = [each.seconds for each in notes.seen["exact"] if first <= each.when < last]
        row[f"views_{when}"] = len(seconds)
        row[f"exact_{when}"] = statistics.median(seconds) if seconds else float("nan")
        row[f"failed_{when}"] = sum(first <= at < last for at, _ in notes.failures)
    return row


def read() -> list[dict[str, str]]:
    """The rows of the file."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows: list[dict]) -> None:
    """Write rows in place of those of the same faults."""
    new = [{k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in row.items()} for row in rows]
    kept = [each for each in (read() if FILE.exists() else []) if each["fault"] not in {row["fault"] for row in new}]
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *new], key=lambda row: FAULTS.index(row["fault"])))


def table(rows: list[dict[str, str]]) -> str:
    """The rows as Markdown."""
    names = {
        "kill": "killed, and started anew",
        "full": "full disk",
        "slow": f"{SLOW} slow clients",
        "actor": "actors killed",
    }
    lines = [["fault", "visitors", *(f"exact views {when}: number, p50, failures" for when in TIMES), "files left"]]
    for row in rows:
        median = {t: "-" if row[f"exact_{t}"] == "nan" else f"{float(row[f'exact_{t}']):.1f} s" for t in TIMES}
        told = [f"{row[f'views_{t}']}, {median[t]}, {row[f'failed_{t}']}" for t in TIMES]
        lines.append([names[row["fault"]], row["visitors"], *told, row["files"]])
    return markdown(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", default=",".join(FAULTS), help="separated by commas")
    parser.add_argument("--visitors", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=1.5, help="of each run")
    flags = parser.parse_args()
    faults = flags.faults.split(",")
    if not set(faults) <= set(FAULTS):
        parser.error(f"The faults must be of {', '.join(FAULTS)}.")
    compile_kernels(ROOT)
    for fault in faults:
        write([run(fault, flags.visitors, flags.minutes)])
    print(table(read()))


if __name__ == "__main__":
    main()
