"""Visitors of the page over plain HTTP, who ask as the viewer does; and what is heavy to answer, asked once.

A visitor opens an example, every fourth a picture of its own, and then moves: a drag of three views, each asked of the
networks roughly as the hand goes, then exactly of four panes, which is waited for; now and then a click, which asks
what a pixel looked at. A refused question is asked again with a growing pause.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import random
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from clit.geometry import output_size

PANE = 252, 448  # height and width of one of four panes on a screen of 1366 x 630
METHODS = "bicubic", "liif-light", "lit-light", "clit-light"
NETWORKS = METHODS[1:]
SCALES = 2.0, 16.0
COARSE = 4  # a preview is drawn at a quarter of the scale
DRAG = 3  # views of a drag
PATIENCE = 120.0  # seconds until a question has failed for good
FIGURES = 20


class Failed(Exception):
    """A question got an error, or no answer in time. is_over: whether because the visit is."""

    def __init__(self, sentence: str, is_over: bool = False):
        super().__init__(sentence)
        self.is_over = is_over


class Seen(NamedTuple):
    """Something that a visitor waited for: when it was there, whose it was, and after how many seconds it came."""

    when: float
    visitor: int
    seconds: float


@dataclass
class Notes:
    """What was noted of a run: what was waited for, by kind; refusals; failures, and when they were."""

    seen: dict[str, list[Seen]] = field(default_factory=lambda: {"preview": [], "exact": [], "look": []})
    refused: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)

    def add(self, kind: str, visitor: int, seconds: float) -> None:
        """Note something that was waited for."""
        self.seen[kind].append(Seen(time.monotonic(), visitor, seconds))

    def fail(self, sentence: str) -> None:
        """Note a failure."""
        self.failures.append((time.monotonic(), sentence))


class _From(urllib.request.HTTPHandler):
    """Connections that come from an address of their own."""

    def __init__(self, address: str):
        super().__init__()
        self._connect = partial(http.client.HTTPConnection, source_address=(address, 0))

    def http_open(self, request):
        return self.do_open(self._connect, request)


class Server:
    """The server's questions, by plain HTTP.

    number: of the visitor that asks, who has a loopback address of their own, as people of different houses do. What
    the server bounds for each address is not met so.
    """

    def __init__(self, url: str, notes: Notes, number: int = 0):
        self.url, self.notes = url, notes
        self._opener = urllib.request.build_opener(_From(f"127.0.{number // 250}.{number % 250 + 2}"))
        config = self.get("/config")
        parts = [each for each in config["components"] if "begin" in each["props"].get("server_fns", ())]
        self.component = parts[0]["id"]
        self.make = next(each["id"] for each in config["dependencies"] if each["targets"] == [[self.component, "make"]])

    def ask(self, question: str, sent: dict, is_over: Callable[[], bool] = lambda: False) -> dict:
        """Ask as the viewer does, again and again while the server is busy. Failed as its docstring says."""
        body = {"data": sent, "component_id": self.component, "session_hash": "viewer", "fn_name": question}
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
            raise Failed(f"{question}: {answer['error']}", bool(answer.get("expired")))
        return answer

    def post(self, path: str, body: dict) -> dict:
        """Post JSON and return the JSON of the answer."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return self._read(request)

    def end(self, token: str) -> None:
        """Tell that a page is closed, as a browser does."""
        self._open(urllib.request.Request(f"{self.url}/end", token.encode()), PATIENCE).close()

    def upload(self, data: bytes, name: str) -> str:
        """Send a file; return its path on the server."""
        edge = uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self._read(urllib.request.Request(f"{self.url}/gradio_api/upload", body, kind))[0]
            except Failed as failed:
                if "429" not in str(failed) or time.monotonic() > until:
                    raise
            self.notes.refused += 1
            time.sleep(random.uniform(0.5, 2))  # too many are sent: a person sends it again

    def events(self, path: str) -> Iterator[dict | list | None]:
        """Yield the data of a stream of events."""
        with self._open(self.url + path, 3600) as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def get(self, path: str) -> dict:
        """Return the JSON at a path."""
        return self._read(urllib.request.Request(self.url + path))

    def _read(self, request: urllib.request.Request):
        with self._open(request, PATIENCE) as answer:
            return json.loads(answer.read())

    def _open(self, request, timeout: float):
        try:
            return self._opener.open(request, timeout=timeout)
        except (OSError, http.client.HTTPException) as error:
            raise Failed(str(error)) from error


class Visitor:
    """Somebody who looks at pictures."""

    def __init__(self, url: str, notes: Notes, number: int, think: tuple[float, float] = (0, 0), seed: int = 1):
        self.server, self.number, self.think = Server(url, notes, number), number, think
        self.random = random.Random(1000 * seed + number)
        self.wanted = 0
        self.panes = ThreadPoolExecutor(len(METHODS))

    def begin(self) -> dict:
        """Begin a visit; return what the page offers."""
        offer = self.server.ask("begin", {})
        self.token = offer["token"]
        return offer

    def arrive(self) -> None:
        """Begin a visit and open a picture."""
        offer = self.begin()
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
        is_here = False
        time.sleep(self.random.uniform(0, self.think[0]))
        while time.monotonic() < until:
            try:
                if not is_here:
                    self.arrive()
                    is_here = True
                self.move()
            except Failed as failed:
                self.server.notes.fail(str(failed))
                is_here = is_here and not failed.is_over  # else the page begins another visit
            time.sleep(self.random.uniform(*self.think))
        self.panes.shutdown(wait=False)

    def move(self) -> None:
        """Drag the scale, wait for all panes, and click now and then."""
        low = np.log(SCALES)
        for _ in range(DRAG):
            self.wanted += 1
            scale = round(float(np.exp(self.random.uniform(*low))), 2)
            middle = [self.random.uniform(0.3, 0.7) for _ in range(2)]
            seconds = self._ask_views("preview", NETWORKS, round(max(1.0, scale / COARSE), 2), middle, COARSE)
            self.server.notes.add("preview", self.number, seconds)
        self._look(scale, middle, clicks=self.random.random() < 0.5)

    def look_around(self) -> None:
        """Wait for all panes of a view, and click."""
        self.wanted += 1
        self._look(4.0, [0.5, 0.5], clicks=True)

    def _look(self, scale: float, middle: list[float], clicks: bool) -> None:
        notes = self.server.notes
        notes.add("exact", self.number, self._ask_views("exact", METHODS, scale, middle, 1))
        if clicks:
            began = time.monotonic()
            pixel = [int(share * n) for share, n in zip(middle, output_size(*self.lr, scale), strict=True)]
            self.server.ask("inspect", {**self.visit_entries, "models": list(NETWORKS), "scale": scale, "pixel": pixel})
            notes.add("look", self.number, time.monotonic() - began)

    def leave(self) -> None:
        """Close the page."""
        self.server.end(self.token)

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
    """Return a PNG of smooth shapes, of multiples of 8 pixels."""
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
                    visitor.server.notes.fail(f"{ask.__name__}: {failed}")
                return
