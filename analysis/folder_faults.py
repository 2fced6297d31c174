"""Check at full size what tests/test_folders.py and tests/test_cluster.py check small: a folder's run survives.

    python analysis/folder_faults.py [--only bad killed actor bands stream]

1. bad: a folder of 200 pictures of which 7 are bad gives 193 files, and 7 rows in failures.csv.
2. killed: the same stopped by kill -9 in the middle and run again gives the same bytes; no file is made twice.
3. actor: the same over a local Ray of two actors, of which one is killed at work, gives the same bytes.
4. bands: a picture of 60 megapixels cut over two actors is that of one process, byte for byte.
5. stream: RGBA 1000 x 1000 at x30 by bicubic is written under an address space of 6 GB.

Prints a line for each, and ends with status 1 if one does not hold.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PICTURES, BAD = 200, 7
MODEL, SCALE = "lit-light", "3"
BANDS_SIDE, BANDS_SCALE = 968, "8"
STREAM_SIDE, STREAM_SCALE, ADDRESS_SPACE = 1000, "30", 6 << 30


def save_pictures(folder: Path) -> None:
    """Write 200 small pictures, 7 of them empty, no pictures at all, or cut off in the header."""
    random = np.random.default_rng(0)
    for i in range(PICTURES):
        path = folder / f"{i % 10}" / f"{i:03}.png"
        path.parent.mkdir(exist_ok=True)
        side = int(random.integers(12, 40))
        Image.fromarray(random.integers(0, 256, (side, side + 5, 3), np.uint8)).save(path)
    for k, path in enumerate(sorted(folder.rglob("*.png"))[10 :: PICTURES // BAD][:BAD]):
        whole = path.read_bytes()
        path.write_bytes((b"", b"no picture", whole[:20])[k % 3])


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "clit", "upscale", *map(str, arguments)]


def digest_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every picture in an output folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.png"))
        if ".clit" not in path.parts
    }


def count_records(out: Path) -> int:
    """Return the number of outputs that the manifest records, each as often as it was made."""
    path = out / ".clit" / "manifest.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    found = 0
    for line in lines:
        try:
            found += "output" in json.loads(line)
        except ValueError:
            continue
    return found


def count_failures(out: Path) -> int:
    with (out / "failures.csv").open(newline="") as file:
        return len(list(csv.DictReader(file)))


def wait_for_records(out: Path, number: int, run: subprocess.Popen) -> None:
    while count_records(out) < number and run.poll() is None:
        time.sleep(0.05)


def check_bad(source: Path, work: Path) -> tuple[bool, str]:
    status = subprocess.run(command(source, work / "whole", "--scale", SCALE, "--model", MODEL), capture_output=True)
    written, failures = len(digest_files(work / "whole")), count_failures(work / "whole")
    holds = (written, failures, status.returncode) == (PICTURES - BAD, BAD, 1)
    return holds, f"{written} written, {failures} rows in failures.csv, exit status {status.returncode}"


def check_killed(source: Path, work: Path) -> tuple[bool, str]:
    out = work / "killed"
    run = subprocess.Popen(command(source, out, "--scale", SCALE, "--model", MODEL), stderr=subprocess.DEVNULL)
    wait_for_records(out, PICTURES // 2, run)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = count_records(out)
    again = subprocess.run(command(source, out, "--scale", SCALE, "--model", MODEL), capture_output=True, text=True)
    same = digest_files(out) == digest_files(work / "whole")
    records = count_records(out)
    # The file whose record was the last before the kill may not have got its name: then it is made again.
    holds = run.returncode == -signal.SIGKILL and same and PICTURES - BAD <= records <= PICTURES - BAD + 1
    return holds, f"killed after {before}, {records} made in all, same bytes: {same}; {again.stdout.strip()}"


def find_actors(parent: int) -> list[int]:
    """Return the processes of Ray's actors below a process."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and "ray::Worker" in (entry / "cmdline").read_text():
                pid = entry
                while pid.name not in ("0", "1") and int(pid.name) != parent:
                    pid = Path("/proc") / (pid / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if int(pid.name) == parent:
                    found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def check_actor(source: Path, work: Path) -> tuple[bool, str]:
    out = work / "actors"
    ray = ("--ray", "--actors", "2")
    arguments = command(source, out, "--scale", SCALE, "--model", MODEL, *ray)
    run = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_records(out, PICTURES // 3, run)
    actors = find_actors(run.pid)
    if actors:
        os.kill(actors[0], signal.SIGKILL)
    at = count_records(out)
    run.wait()
    same = digest_files(out) == digest_files(work / "whole")
    holds = len(actors) == 2 and same and count_failures(out) == BAD
    return holds, f"{len(actors)} actors, one killed after {at} files; same bytes: {same}"


def check_bands(work: Path) -> tuple[bool, str]:
    (work / "large").mkdir()
    with Image.open(ROOT / "assets" / "examples" / "pagoda.png") as picture:
        picture.resize((BANDS_SIDE, BANDS_SIDE), Image.Resampling.BICUBIC).save(work / "large" / "large.png")
    options = ("--scale", BANDS_SCALE, "--model", MODEL)
    subprocess.run(command(work / "large", work / "one", *options), check=True, capture_output=True)
    subprocess.run(command(work / "large", work / "two", *options, "--ray", "--actors", "2"), check=True,
                   capture_output=True)  # fmt: skip
    same = digest_files(work / "one") == digest_files(work / "two")
    side = BANDS_SIDE * int(BANDS_SCALE)
    return same, f"{side} x {side} pixels, same bytes: {same}"


def check_stream(work: Path) -> tuple[bool, str]:
    random = np.random.default_rng(1)
    Image.fromarray(random.integers(0, 256, (STREAM_SIDE, STREAM_SIDE, 4), np.uint8)).save(work / "alpha.png")
    began = time.monotonic()
    options = ("--scale", STREAM_SCALE, "--model", "bicubic")
    run = subprocess.run(
        command(work / "alpha.png", work / "stream.png", *options),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE)),
        capture_output=True, text=True,
    )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    said = (run.stdout or run.stderr).strip().splitlines()[-1:]
    minutes = (time.monotonic() - began) / 60
    return run.returncode == 0, f"{' '.join(said)}; {minutes:.1f} minutes, largest child so far {peak:.0f} MB"


def main() -> None:
    checks = {
        "stream": lambda source, work: check_stream(work),
        "bad": check_bad,
        "killed": check_killed,
        "actor": check_actor,
        "bands": lambda source, work: check_bands(work),
    }
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=checks, default=list(checks), help="killed and actor need bad")
    chosen = parser.parse_args().only
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        source, work = Path(folder) / "in", Path(folder) / "work"
        source.mkdir()
        work.mkdir()
        save_pictures(source)
        for name, check in checks.items():
            if name in chosen:
                holds, said = check(source, work)
                failed |= not holds
                print(f"{name}: {'holds' if holds else 'DOES NOT HOLD'}: {said}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
