"""The page: `Site` behind gradio. One custom component is the whole interface; its parts are in viewer/.

The viewer's questions are server functions: quick, but outside gradio's queue and its limits, so `requests` bounds
them. Only what makes a file, which can take minutes, is a queued event.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it when it is imported

import gradio as gr
from starlette.middleware import Middleware

from clit.errors import UserError
from clit.networks import compiling
from clit.rendering.elsewhere import Painters
from clit.system.threads import start_threads
from clit.ui.connections import bound_connections
from clit.ui.disk import make_folder
from clit.ui.endpoints import add_endpoints
from clit.ui.examples import BUNDLED
from clit.ui.guard import Guard
from clit.ui.jobs import make_file
from clit.ui.limits import Limits
from clit.ui.preview import PreviewTags
from clit.ui.questions import QUESTIONS, Question, ask
from clit.ui.receiving import make_upload_route
from clit.ui.requests import MAKE_ENTRIES
from clit.ui.routes import look_after, make_routes
from clit.ui.site import Site
from clit.ui.tags import TITLE
from clit.ui.weights import make_weights_routes

VIEWER = Path(__file__).parent / "viewer"

START = """
const base = (window.gradio_config?.root || new URL(".", document.baseURI).href).replace(/[/]$/, "");
const make = (asked) => trigger("make", asked);
import(`${base}/viewer/start.js`).then(({ start }) => start({ element, make, props, watch }));
"""
"""What gradio runs in the page: the modules of viewer/ are served beside its own routes, below a proxy's prefix too."""

FILES_WAITING = 16
"""Files in line behind those being made."""

FILES_AT_ONCE = 3
"""Files being made, in turn with everybody else: a long one keeps no short one waiting."""

SPARE_THREADS = 60
"""Threads besides those that stand in line: whoever arrives, or is refused, finds one."""

QUEUE_SECONDS = 0.05
"""How often gradio's queue looks for work, as it does on Windows. By itself it looks a thousand times a second, which
takes a tenth of the time of the threads that render: each look holds Python's lock.
"""

SWITCH_SECONDS = 0.0005
"""How long a thread may keep Python's lock from another that wants it, in place of 5 ms. Those that render want it some
hundred times a view, for a moment; one that works in Python alone, as for a program's figure, wants it all the time.
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


def make_site(limits: Limits | None = None, painters: Painters | None = None) -> Site:
    """Return the site of the bundled examples, in a folder of its own, which gradio writes into as well.

    painters: what draws views in place of this process.
    """
    folder = make_folder()
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return Site(BUNDLED, folder, limits, painters)


def launch(site: Site, host: str | None, port: int | None, share: bool, block: bool = True) -> gr.Blocks:
    """Serve the page; None leaves host and port to gradio (its environment variables, else 127.0.0.1:7860).

    block: return only when the server is stopped. UserError if it cannot listen there.
    """
    compiling.start()
    start_threads()
    sys.setswitchinterval(SWITCH_SECONDS)
    demo = build(site).queue(max_size=FILES_WAITING)
    demo._queue.sleep_when_free = QUEUE_SECONDS  # gradio has no public setting for it
    try:
        demo.launch(
            server_name=host,
            server_port=port,
            share=share,
            prevent_thread_lock=True,
            quiet=not block,
            max_file_size=site.limits.upload_bytes,
            max_threads=site.line.count * (site.limits.previews[0] + site.limits.views[0]) + SPARE_THREADS,
            theme=THEME,
            css=PAGE_CSS,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            mcp_server=find_spec("mcp") is not None,  # the endpoints as tools for assistants
            enable_monitoring=False,
            app_kwargs=app_settings(site),
        )
    except OSError as error:  # gradio's own sentence names its environment variables
        where = "Its port" if port is None else f"Port {port}"
        raise UserError(f"{where} is taken, or closed to this program: choose another with --port.") from error
    bound_connections(demo.server)
    if block:
        demo.block_thread()
    return demo


def app_settings(site: Site) -> dict:
    """Return what stands beside and before gradio's own routes."""
    return {
        "routes": [*make_routes(site, VIEWER), *make_weights_routes(site.models), make_upload_route(site)],
        "middleware": [Middleware(Guard, limits=site.limits), Middleware(PreviewTags)],
        "lifespan": look_after(site),
    }


def build(site: Site) -> gr.Blocks:
    """Return the page of a site, not yet launched."""
    with gr.Blocks(title=TITLE, fill_width=True) as demo:
        _add_viewer(site)
        add_endpoints(site)
    return demo


def _add_viewer(site: Site) -> None:
    def make(event: gr.EventData):
        yield from make_file(site, read_event(event))

    viewer = gr.HTML(
        html_template=(VIEWER / "viewer.html").read_text(),
        css_template=(VIEWER / "viewer.css").read_text(),
        js_on_load=START,
        apply_default_css=False,
        server_functions=[_server_function(site, question) for question in QUESTIONS],
    )
    viewer.make(make, None, viewer, show_progress="hidden", concurrency_limit=FILES_AT_ONCE, api_visibility="private")


def _server_function(site: Site, question: Question) -> Callable[[Any], dict]:
    """Return a question as gradio takes it: a function that may get attributes, with the name that the script calls."""

    def function(sent):
        return ask(question, site, sent)

    function.__name__ = question.__name__
    return function


def read_event(event: gr.EventData) -> dict:
    """Return what the viewer sent with an event, of which gradio hands out one attribute per entry."""
    try:
        return {name: getattr(event, name) for name in MAKE_ENTRIES if hasattr(event, name)}
    except TypeError:  # the browser sent no dict
        return {}
