"""What the server answers besides the page, and what it does alone.

The answers: health, how much there is to do, the preview card, the viewer's modules, finished files, a visit's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from clit.system.memory import resident
from clit.ui.ahead import AHEAD_SECONDS, encode_next
from clit.ui.site import Site
from clit.ui.spare import LOOK_SECONDS, SpareMemory
from clit.ui.tags import CARD

SWEEP_SECONDS = 30
"""How often idle sessions are looked for."""

_TOKEN_BYTES = 200
"""Longest message that ends a visit: its token, and room to spare."""


def make_routes(site: Site, viewer: Path) -> list[BaseRoute]:
    """Return the routes that are no questions. viewer: the folder of the viewer's modules."""

    def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def status(request: Request) -> Response:
        return JSONResponse(describe_status(site))

    def made(request: Request) -> Response:
        file = site.made_file(request.path_params["name"])
        if file is None:
            return JSONResponse({"error": "This file is no longer kept: make it again."}, status_code=404)
        return FileResponse(file.path, filename=file.name)

    async def end(request: Request) -> Response:  # a beacon: browsers send it even while they leave
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _TOKEN_BYTES:
                return Response(status_code=413)
        site.end(body.decode("ascii", "replace"))
        return Response(status_code=204)

    def card(request: Request) -> Response:
        return FileResponse(CARD)

    return [
        Route("/health", health),
        Route("/status", status),
        Route("/card.png", card),
        Mount("/viewer", Modules(directory=viewer)),
        Route("/made/{name}", made),
        Route("/end", end, methods=["POST"]),
    ]


def describe_status(site: Site) -> dict:
    """Return what a server has to do: visitors, visitors in line, memory by kind and in all, uptime, files kept,
    examples that are left to encode while nobody asks.

    Bytes and seconds. rss: all memory that the process holds; None where the system does not say. painters: the actors
    that are there; None where this process draws.
    """
    return {
        "visitors": site.count_visits(),
        "in_line": site.line.count_visitors(),
        "memory": site.count_bytes(),
        "budget": site.limits.memory_bytes,
        "rss": resident(),
        "uptime": round(time.monotonic() - site.began, 1),
        "files": site.count_files(),
        "to_encode": len(site.to_encode),
        "painters": site.painters and site.painters.count_here(),
    }


class Modules(StaticFiles):
    """Files that browsers keep but ask about each time: modules of two releases must not meet."""

    def file_response(self, *args, **kwargs) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def look_after(site: Site):
    """Return a lifespan in which idle sessions and freed memory are looked after, and examples encoded ahead."""

    async def repeat(seconds: float, look: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await run_in_threadpool(look)

    async def encode_examples() -> None:
        while site.to_encode:
            await asyncio.sleep(AHEAD_SECONDS)
            await run_in_threadpool(encode_next, site)

    @contextlib.asynccontextmanager
    async def lifespan(app):
        looks = (SWEEP_SECONDS, site.sweep), (LOOK_SECONDS, SpareMemory(site).look)
        tasks = [asyncio.create_task(each) for each in (encode_examples(), *(repeat(*look) for look in looks))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    return lifespan
