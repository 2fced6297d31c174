"""Browser, server and a page for every test of this folder; all of them carry the mark `browser`."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlparse

import pytest
import tiny
from playwright.sync_api import expect
from serving import serve_page
from viewer import CHROMIUM, Viewer, launch_chromium

import clit
from browser.expected import MODELS

PATIENCE = 60_000  # ms; nothing waits this long unless something is wrong

expect.set_options(timeout=PATIENCE)


def pytest_itemcollected(item):
    item.add_marker("browser")
    # A wait that a busy machine ended is tried once more, and told in the summary; a wrong value never is.
    item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"]))


# Of the package: what runs here ends before the tests of other folders begin.
@pytest.fixture(scope="package")
def browser():
    if not Path(CHROMIUM).exists():
        pytest.fail(f"The page's tests need {CHROMIUM}: install it with `apt-get install chromium`, or set CHROMIUM.")
    with launch_chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    checkpoints = folder / "checkpoints"
    tiny.save_checkpoints(checkpoints)
    shutil.copytree(checkpoints / "lit-light", checkpoints / "lit-light-no-bias")  # the tour shows it
    tiny.save_photograph(folder / "photograph.jpg")
    return folder


@pytest.fixture(scope="package")
def url(folder, request):
    ray = request.config.getoption("--ray")
    with serve_page(folder / "checkpoints", flags=["--ray", ray] if ray else []) as url:
        yield url


@pytest.fixture
def photograph(folder):
    """The file of a picture of 72 x 96 pixels."""
    return folder / "photograph.jpg"


@pytest.fixture(scope="package")
def models(folder):
    return {name: clit.load(folder / "checkpoints" / name) for name in MODELS}


@pytest.fixture
def new_context(browser, url):
    """A function that opens a browser's window of its own. No page in it may complain or ask another host.

    It takes Playwright's options of a context, and a host that is allowed besides the page's own.
    """
    contexts, elsewhere, complaints = [], [], []

    def make(also: str = "", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        local = {urlparse(url).netloc, also}

        def note_request(request):
            if not request.url.startswith(("data:", "blob:")) and urlparse(request.url).netloc not in local:
                elsewhere.append(request.url)

        context.on("request", note_request)
        context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        return context

    yield make
    for context in contexts:
        context.close()
    assert not elsewhere, "the page asks nobody but its own server"
    assert not complaints


@pytest.fixture
def new_viewer(new_context):
    """A function that opens an empty page in a window of its own."""
    return lambda **options: Viewer(new_context(**options).new_page().main_frame, PATIENCE)


@pytest.fixture
def open_photograph(url, photograph):
    """A function that opens the page with the photograph uploaded, and waits until every pane is exact."""

    def open_(viewer: Viewer) -> Viewer:
        viewer.open(url)
        viewer.upload(photograph)
        viewer.wait_for_picture(96)
        assert viewer.picture()["height"] == 72
        viewer.wait_until_exact(4)
        return viewer

    return open_


@pytest.fixture
def viewer(new_viewer, open_photograph):
    """The page with the photograph, every pane exact at x4."""
    return open_photograph(new_viewer())
