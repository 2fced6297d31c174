"""The page: `Session` behind gradio. One custom component is the whole interface; its parts are in viewer/.

The viewer's questions are server functions: quick, but outside gradio's queue and its limits, so `Session` bounds
them itself. Only what makes a file, which can take minutes, is a queued event.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it when it is imported

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from clit.errors import UserError
from clit.ui.session import Session

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "assets" / "examples"
VIEWER = Path(__file__).parent / "viewer"

SCRIPT = ("base", "view", "panes", "controls", "inspector", "pictures", "truth", "make", "guide", "start")
"""The viewer's script: one function body in these parts, in this order."""

SWEEP_SECONDS = 60
"""How often idle visits are looked for."""

FORGET_UPLOADS = (600, 1800)
"""An upload is deleted as soon as it is read; what was sent and never opened goes after (looked for, aged) seconds."""

FILES_WAITING = 16
"""Files in line behind the one being made."""

QUEUE_SECONDS = 0.05
"""How often gradio's queue looks for work, as it does on Windows. By itself it looks a thousand times a second and each
time takes Python's lock from the threads that render: a tenth of their time.
"""

SYSTEM = ["ui-sans-serif", "system-ui", "sans-serif"]
THEME = gr.themes.Base(font=SYSTEM, font_mono=["ui-monospace", "monospace"]).set(
    body_background_fill="#ffffff", body_background_fill_dark="#111418"
)
"""System fonts, as the page asks no other host for anything; grounds as in viewer.css."""

PAGE_CSS = """
html { scrollbar-gutter: stable; }
.gradio-container :is(.main, main, .html-container) { padding: 0; max-width: none; }
"""


def build(session: Session) -> gr.Blocks:
    """The page of one session, not yet launched."""

    def begin(request):
        return session.begin(request)

    def open_example(request):
        return session.open_example(request)

    def open_truth(request):
        return session.open_truth(request)

    def score(request):
        return session.score(request)

    def open_upload(request):
        path = _uploaded(request)
        if path is None:
            return {"error": "The file did not arrive: choose it again."}
        try:
            return session.open_upload(request, path)
        finally:
            path.unlink(missing_ok=True)

    def render_view(request):
        return session.render_view(request)

    def inspect(request):
        return session.inspect(request)

    def look_file(request):
        return session.look_file(request)

    def stop_making(request):
        return session.stop_making(request)

    def make(event: gr.EventData):
        yield from session.make(event._data)

    def upscale(
        image: gr.FileData, model: str = "lit-light", scale: float = 4.0, chain: str = "published"
    ) -> gr.FileData:
        """Enlarge a picture by a scale from 1 to 30; the answer is a PNG file."""
        with _told(), _sent(image) as sent:
            path = session.upscale_file(sent, model, scale, chain)
        return gr.FileData(path=str(path), orig_name=f"x{scale:g}-{model}.png")

    def attention(
        image: gr.FileData,
        row: int,
        column: int,
        model: str = "lit-light",
        scale: float = 4.0,
        chain: str = "published",
    ) -> dict:
        """What the output pixel (row, column) looked at: kind, pixel, size, rgb, and per stage weights, content,
        position, latents, inside, influence, grid."""
        with _told(), _sent(image) as sent:
            return session.attention(sent, model, scale, row, column, chain)

    with gr.Blocks(title="CLIT · any scale, pixel by pixel", fill_width=True, delete_cache=FORGET_UPLOADS) as demo:
        viewer = gr.HTML(
            html_template=(VIEWER / "viewer.html").read_text(),
            css_template=(VIEWER / "viewer.css").read_text(),
            js_on_load="\n".join((VIEWER / f"{part}.js").read_text() for part in SCRIPT),
            apply_default_css=False,
            server_functions=[
                begin,
                open_example,
                open_truth,
                open_upload,
                render_view,
                score,
                inspect,
                look_file,
                stop_making,
            ],
        )
        viewer.make(make, None, viewer, show_progress="hidden", concurrency_limit=1, api_visibility="private")
        gr.api(upscale, api_name="upscale", concurrency_limit=1, concurrency_id="api")
        gr.api(attention, api_name="attention", concurrency_limit=1, concurrency_id="api")
    return demo


@contextlib.contextmanager
def _told():
    """A program gets the sentence of what went wrong."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None


@contextlib.contextmanager
def _sent(image: gr.FileData | None):
    """The path of the file that a program sent; it is gone afterwards. UserError if none arrived."""
    path = None if image is None else _uploaded(dict(image))
    if path is None:
        raise UserError("The file did not arrive: send it with gradio_client's handle_file.")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def launch(session: Session, host: str | None, port: int | None, share: bool, block: bool = True) -> gr.Blocks:
    """Serve the page; None leaves host and port to gradio (its environment variables, else 127.0.0.1:7860).

    block: return only when the server is stopped. UserError if it cannot listen there.
    """
    demo = build(session).queue(max_size=FILES_WAITING)
    demo._queue.sleep_when_free = QUEUE_SECONDS
    try:
        demo.launch(
            server_name=host,
            server_port=port,
            share=share,
            prevent_thread_lock=not block,
            quiet=not block,
            max_file_size=session.limits.upload_bytes,
            theme=THEME,
            css=PAGE_CSS,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            app_kwargs={"routes": _routes(session), "lifespan": _sweeping(session)},
        )
    except OSError as error:  # gradio's own word for it tells of its environment variables
        where = "Its port" if port is None else f"Port {port}"
        raise UserError(f"{where} is taken, or closed to this program: choose another with --port.") from error
    return demo


def _uploaded(request: dict) -> Path | None:
    """The file named by a browser, if it really is one that gradio has taken in."""
    path = request.get("path") if isinstance(request, dict) else None
    if not isinstance(path, str) or len(path) > 4096 or "\0" in path:
        return None
    resolved = Path(path).resolve()
    inside = resolved.is_relative_to(Path(get_upload_folder()).resolve())
    return resolved if inside and resolved.is_file() else None


def _routes(session: Session) -> list[Route]:
    def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def made(request: Request) -> Response:
        found = session.made_file(request.path_params["name"])
        if found is None:
            return JSONResponse({"error": "This file is no longer kept: make it again."}, status_code=404)
        path, name = found
        return FileResponse(path, filename=name)

    async def end(request: Request) -> Response:  # a beacon: browsers send it even while they leave
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > 200:
                return Response(status_code=413)
        session.end(body.decode("ascii", "replace"))
        return Response(status_code=204)

    return [Route("/health", health), Route("/made/{name}", made), Route("/end", end, methods=["POST"])]


def _sweeping(session: Session):
    """A lifespan in which idle visits, and the pictures they brought, are forgotten while nobody asks anything."""

    @contextlib.asynccontextmanager
    async def lifespan(app):
        async def sweep():
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                session.sweep()

        task = asyncio.create_task(sweep())
        try:
            yield
        finally:
            task.cancel()

    return lifespan
