"""How the page holds when many ask at once: visitors over plain HTTP, and heavy requests beside them.

    python analysis/load.py [--visitors 1,4,8,20] [--minutes 2] [--think 1.5-4] [--beside score,program,...]
        [--before ../checkout] [--seed 1]

Starts a server of its own on the loopback address. A visitor asks as the viewer does. It opens an example, every fourth
a picture of its own, and then moves: a drag of three views, each asked of the networks roughly as the hand goes, then
exactly of four panes, which is waited for; now and then a click, which asks what a pixel looked at; then it looks for a
while. A refused question is asked again with a growing pause. A movement fails if it gets an error, or no answer in two
minutes.

Beside them: "score" of a 2-megapixel upload at x1.5, "program" which enlarges to 12.8 megapixels, "picture" at x30,
"film", "figures", twenty at once; each again and again. --before runs the same against another checkout, in turn.

Writes analysis/load.csv, a row per run, and prints it as Markdown; `python analysis/tables.py` puts that into
docs/load.md.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
from PIL import Image
from serving import serve_page

from clit.geometry import output_size
from clit.training.evaluate import markdown

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "analysis" / "load.csv"
PANE = 252, 448  # height and width of one of four panes on a screen of 1366 x 630
METHODS = "bicubic", "liif-light", "lit-light", "clit-light"
NETWORKS = METHODS[1:]
SCALES = 2.0, 16.0
COARSE = 4  # a preview is drawn at a quarter of the scale
DRAG = 3  # views of a drag
PATIENCE = 120.0  # seconds until a question has failed for good
FIGURES = 20
COLUMNS = (
    "which", "visitors", "beside", "minutes", "movements", "preview_p50", "preview_p95", "exact_p50", "exact_p95",
    "look_p95", "refused", "failed", "spread", "rss_mb", "slope_mb",
)  # fmt: skip


class Failed(Exception):
    """A question got an error, or no answer in time."""


@dataclass
class Notes:
    """What was noted of a run: seconds by kind, of all visitors and each one's exact views; refusals and failures."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"preview": [], "exact": [], "look": []})
    exact_of: dict[int, list[float]] = field(default_factory=dict)
    refused: int = 0
    failures: list[str] = field(default_factory=list)


class Server:
    """The server's questions, by plain HTTP."""

    def __init__(self, url: str, notes: Notes):
        self.url, self.notes = url, notes
        config = self._get("/config")
        parts = [each for each in config["components"] if "begin" in each["props"].get("server_fns", ())]
        self.component = parts[0]["id"]
        self.make = next(each["id"] for each in config["dependencies"] if each["targets"] == [[self.component, "make"]])

    def ask(self, question: str, sent: dict, is_over: Callable[[], bool] = lambda: False) -> dict:
        """Ask as the viewer does, again and again while the server is busy. Failed as its docstring says."""
        body = {"data": sent, "component_id": self.component, "session_hash": uuid.uuid4().hex, "fn_name": question}
        pause, until = 0.4, time.monotonic() + PATIENCE
        while True:
            began = time.monotonic()
            answer = self.post("/gradio_api/component_server", body)
            busy = answer.get("busy") or "is busy" in answer.get("error", "")  # the sentence of earlier versions
            if not busy:
                break
            self.notes.refused += 1
            if is_over():
                return {"stale": True}
            if time.monotonic() > until:
                raise Failed(f"{question}: busy for {PATIENCE:g} s")
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = 0.4 if time.monotonic() - began > 2 * pause else min(1.6 * pause, 5.0)
        if "error" in answer:
            raise Failed(f"{question}: {answer['error']}")
        return answer

    def post(self, path: str, body: dict) -> dict:
        """Post JSON and return the JSON of the answer."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return self._read(request)

    def upload(self, data: bytes, name: str) -> str:
        """Send a file; return its path on the server."""
        edge = uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        return self._read(urllib.request.Request(f"{self.url}/gradio_api/upload", body, kind))[0]

    def events(self, path: str) -> Iterator[dict | list | None]:
        """Yield the data of a stream of events."""
        with self._open(self.url + path, 3600) as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def _get(self, path: str) -> dict:
        return self._read(urllib.request.Request(self.url + path))

    def _read(self, request: urllib.request.Request):
        with self._open(request, PATIENCE) as answer:
            return json.loads(answer.read())

    @staticmethod
    def _open(request, timeout: float):
        try:
            return urllib.request.urlopen(request, timeout=timeout)
        except OSError as error:
            raise Failed(str(error)) from error


class Visitor:
    """Somebody who looks at pictures."""

    def __init__(self, server: Server, number: int, think: tuple[float, float], seed: int):
        self.server, self.number, self.think = server, number, think
        self.random = random.Random(1000 * seed + number)
        self.wanted = 0
        self.panes = ThreadPoolExecutor(len(METHODS))

    def arrive(self) -> None:
        """Begin a visit and open a picture."""
        offer = self.server.ask("begin", {})
        self.token = offer["token"]
        if self.number % 4 == 3:
            self.open(picture_file(240, 320, self.number), "own.png")
        else:
            name = self.random.choice(offer["examples"])["name"]
            self.show(self.server.ask("open_example", {"token": self.token, "name": name}))

    def open(self, data: bytes, name: str) -> None:
        """Open a picture of the visitor's own."""
        path = self.server.upload(data, name)
        self.show(self.server.ask("open_upload", {"token": self.token, "path": path, "name": name}))

    def show(self, picture: dict) -> None:
        """Note which picture is open."""
        self.picture, self.lr = picture["id"], (picture["height"], picture["width"])

    def visit(self, until: float) -> None:
        """Move about until a time."""
        notes = self.server.notes
        time.sleep(self.random.uniform(0, self.think[0]))
        try:
            self.arrive()
            while time.monotonic() < until:
                try:
                    self.move()
                except Failed as failed:
                    notes.failures.append(str(failed))
                time.sleep(self.random.uniform(*self.think))
        except Failed as failed:
            notes.failures.append(str(failed))
        finally:
            self.panes.shutdown(wait=False)

    def move(self) -> None:
        """Drag the scale, wait for all panes, and click now and then."""
        notes, low = self.server.notes, np.log(SCALES)
        for _ in range(DRAG):
            self.wanted += 1
            scale = round(float(np.exp(self.random.uniform(*low))), 2)
            middle = [self.random.uniform(0.3, 0.7) for _ in range(2)]
            seconds = self._ask_views("preview", NETWORKS, round(max(1.0, scale / COARSE), 2), middle, COARSE)
            notes.seconds["preview"].append(seconds)
        seconds = self._ask_views("exact", METHODS, scale, middle, 1)
        notes.seconds["exact"].append(seconds)
        notes.exact_of.setdefault(self.number, []).append(seconds)
        if self.random.random() < 0.5:
            began = time.monotonic()
            pixel = [int(share * n) for share, n in zip(middle, output_size(*self.lr, scale), strict=True)]
            self.server.ask("inspect", {**self.visit_entries, "models": list(NETWORKS), "scale": scale, "pixel": pixel})
            notes.seconds["look"].append(time.monotonic() - began)

    @property
    def visit_entries(self) -> dict:
        """What every question of the open picture needs."""
        return {"token": self.token, "picture": self.picture}

    def _ask_views(self, kind: str, methods: tuple[str, ...], scale: float, middle: list[float], coarse: int) -> float:
        """Ask for a view of each method at once; return the seconds until the last one is there."""
        size, window = output_size(*self.lr, scale), []
        for share, n, side in zip(middle, size, PANE, strict=True):
            length = min(n, side // coarse)
            window.append((min(max(0, int(share * n - length / 2)), n - length), length))
        (top, height), (left, width) = window
        asked = {
            **self.visit_entries, "scale": scale, "window": [top, left, height, width], "wanted": self.wanted,
            "kind": kind, "stages": None, "error": False, "chain": "published",
        }  # fmt: skip
        began = time.monotonic()
        answers = list(self.panes.map(lambda model: self.server.ask("render_view", {**asked, "model": model}), methods))
        if not all("image" in answer for answer in answers):
            raise Failed(f"{kind}: {answers[0].keys()}")
        return time.monotonic() - began

    def make(self, **asked) -> None:
        """Have a file made, and wait for it. Failed if it is not."""
        session = uuid.uuid4().hex
        event = {**self.visit_entries, "run": 1, "chain": "published", "size": None, **asked}
        body = {"data": [], "event_data": event, "fn_index": self.server.make, "session_hash": session}
        self.server.post("/gradio_api/queue/join", body | {"trigger_id": self.server.component})
        for message in self.server.events(f"/gradio_api/queue/data?session_hash={session}"):
            text = json.dumps(message)
            if '"state": "error"' in text or message.get("msg") in ("unexpected_error", "queue_full"):
                raise Failed(text[:300])
            if message.get("msg") in ("process_completed", "close_stream"):
                return


def picture_file(height: int, width: int, seed: int) -> bytes:
    """Return a PNG of smooth shapes."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


# Heavy requests beside the visitors: each function asks once.


def ask_score(visitor: Visitor) -> None:
    visitor.open(picture_file(1248, 1600, 1), "large.png")
    visitor.show(visitor.server.ask("open_truth", {**visitor.visit_entries, "scale": 1.5}))
    visitor.server.ask("score", {**visitor.visit_entries, "model": "lit-light", "scale": 1.5, "chain": "published"})


def ask_program(visitor: Visitor) -> None:
    server = visitor.server
    path = server.upload(picture_file(776, 1032, 2), "program.png")
    data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, "lit-light", 4.0, "published"]
    event = server.post("/gradio_api/call/upscale", {"data": data})["event_id"]
    if not [each for each in server.events(f"/gradio_api/call/upscale/{event}") if each]:
        raise Failed("upscale gave nothing")


def make_picture(visitor: Visitor) -> None:
    visitor.make(kind="picture", suffix=".png", models=["clit-light"], scale=30)


def make_film(visitor: Visitor) -> None:
    visitor.make(kind="film", suffix=".webp", models=list(METHODS), scale=30, about=[20, 20], side=[200, 300])


def ask_figures(visitor: Visitor) -> None:
    asked = {**visitor.visit_entries, "models": list(NETWORKS), "scale": 8, "suffix": ".pdf"}
    pixels = [[[i, i], [9, i]] for i in range(FIGURES)]
    with ThreadPoolExecutor(4) as panes:  # as many long questions as a page has on their way
        list(panes.map(lambda at: visitor.server.ask("look_file", {**asked, "pixels": at}), pixels))


BESIDE = {
    "score": ask_score, "program": ask_program, "picture": make_picture, "film": make_film, "figures": ask_figures,
}  # fmt: skip


def ask_again(visitor: Visitor, ask: Callable[[Visitor], None], until: float) -> None:
    """Ask for something heavy again and again until a time."""
    with contextlib.suppress(Failed):  # while the server ends, above all; failures before are noted
        visitor.arrive()
        while time.monotonic() < until:
            try:
                ask(visitor)
            except Failed as failed:
                if time.monotonic() < until:
                    visitor.server.notes.failures.append(f"{ask.__name__}: {failed}")
                return


# Runs


def compile_kernels(root: Path) -> None:
    """Let a checkout compile its kernels: else its first minute is another's."""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}
    wait = "from clit.networks import kernels; kernels.wait(300)"
    subprocess.run([sys.executable, "-c", wait], cwd=root, env=path, check=True)


def find_server(url: str) -> int:
    """Return the process that serves an address."""
    port = str(urlparse(url).port).encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().split(b"\0")[-4:-1] == [b"app.py", b"--port", port]:
                return int(path.parent.name)
    raise SystemExit(f"No process serves {url}.")


def resident(process: int) -> float:
    """Return how much memory a process holds, in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def run(root: Path, count: int, beside: list[str], minutes: float, think: tuple[float, float], seed: int) -> dict:
    """Let so many visitors move about for some minutes; return the run's row, `which` left out."""
    notes = Notes()
    with serve_page(root=root) as url:
        process, server = find_server(url), Server(url, notes)
        warm = Visitor(server, 0, think, seed)
        warm.arrive()
        warm.move()  # models are loaded
        notes.__init__()
        until = time.monotonic() + 60 * minutes
        visitors = [Visitor(server, number, think, seed) for number in range(count)]
        threads = [threading.Thread(target=each.visit, args=[until]) for each in visitors]
        heavy = [Visitor(server, 1000 + 4 * number, think, seed) for number in range(len(beside))]
        for each, name in zip(heavy, beside, strict=True):
            threading.Thread(target=ask_again, args=[each, BESIDE[name], until], daemon=True).start()
        for thread in threads:
            thread.start()
        held = []
        while any(thread.is_alive() for thread in threads):
            held.append((time.monotonic(), resident(process)))
            time.sleep(1)
    for failure in sorted(set(notes.failures)):
        print(f"{notes.failures.count(failure)} x {failure}")
    return {"visitors": count, "beside": " ".join(beside), "minutes": minutes, **summarise(notes, held)}


def summarise(notes: Notes, held: list[tuple[float, float]]) -> dict:
    """Return the columns of a run that were measured."""

    def share(kind: str, percent: float) -> float:
        return float(np.percentile(notes.seconds[kind], percent)) if notes.seconds[kind] else float("nan")

    medians = [statistics.median(each) for each in notes.exact_of.values()]
    last = [each for each in held if each[0] > held[-1][0] - 60]
    slope = np.polyfit(*np.array(last).T, 1)[0] * 60 if len(last) > 10 else float("nan")
    return {
        "movements": len(notes.seconds["exact"]),
        "preview_p50": share("preview", 50),
        "preview_p95": share("preview", 95),
        "exact_p50": share("exact", 50),
        "exact_p95": share("exact", 95),
        "look_p95": share("look", 95),
        "refused": notes.refused,
        "failed": len(notes.failures),
        "spread": max(medians) / min(medians) if medians else float("nan"),
        "rss_mb": held[-1][1],
        "slope_mb": slope,
    }


def read() -> list[dict[str, str]]:
    """The rows of the file."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows: list[dict]) -> None:
    """Write rows in place of those of the same runs."""
    of = lambda row: (row["which"], str(row["visitors"]), row["beside"])  # noqa: E731
    new = [
        {key: f"{row[key]:.4g}" if isinstance(row[key], float) else str(row[key]) for key in COLUMNS} for row in rows
    ]
    kept = [row for row in (read() if FILE.exists() else []) if of(row) not in {of(each) for each in new}]
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *new], key=lambda row: (row["beside"], int(row["visitors"]), row["which"])))


def table(rows: list[dict[str, str]]) -> str:
    """The rows as Markdown."""
    lines = [
        ["visitors", "beside them", "", "movements", "preview p50, p95", "exact p50, p95", "look p95", "refused",
         "failed", "slowest / quickest", "memory", "more in a minute"]
    ]  # fmt: skip
    for row in rows:
        pair = lambda kind, row=row: f"{float(row[kind + '_p50']):.2f}, {float(row[kind + '_p95']):.2f} s"  # noqa: E731
        lines.append(
            [row["visitors"], row["beside"].replace(" ", ", ") or "nothing", row["which"], row["movements"],
             pair("preview"), pair("exact"), f"{float(row['look_p95']):.2f} s", row["refused"], row["failed"],
             f"{float(row['spread']):.1f}", f"{float(row['rss_mb']):.0f} MB", f"{float(row['slope_mb']):.0f} MB"]
        )  # fmt: skip
    return markdown(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", default="1,4,8,20", help="runs, separated by commas")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each run")
    parser.add_argument("--think", default="1.5-4", help="seconds that a visitor looks between two movements")
    parser.add_argument("--beside", default="", help=f"of {', '.join(BESIDE)}, separated by commas")
    parser.add_argument("--before", type=Path, help="another checkout of this project, which is asked the same")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    beside = [name for name in flags.beside.split(",") if name]
    unknown = set(beside) - set(BESIDE)
    if unknown:
        parser.error(f"{', '.join(unknown)} cannot be asked beside: choose of {', '.join(BESIDE)}.")
    low, high = map(float, flags.think.split("-"))
    roots = ({"before": flags.before.resolve()} if flags.before else {}) | {"now": ROOT}
    for root in roots.values():
        compile_kernels(root)
    for count in map(int, flags.visitors.split(",")):
        rows = [
            {"which": which, **run(root, count, beside, flags.minutes, (low, high), flags.seed)}
            for which, root in roots.items()
        ]
        print(table([{key: str(value) for key, value in row.items()} for row in rows]), flush=True)
        write(rows)
    print(table(read()))


if __name__ == "__main__":
    main()
