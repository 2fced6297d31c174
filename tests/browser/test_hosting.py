"""The page as a host shows it: inside a frame of another origin."""

from __future__ import annotations

import functools
import http.server
import threading

import pytest
from PIL import Image
from viewer import Viewer


@pytest.fixture
def host(tmp_path, url):
    """Name and port of a server whose page holds the viewer's page in a frame."""
    allowed = "allow-scripts allow-same-origin allow-forms allow-popups allow-downloads"
    (tmp_path / "index.html").write_text(
        '<title>host</title><link rel="icon" href="data:,">'
        f'<iframe src="{url}" sandbox="{allowed}" style="width: 1200px; height: 1600px"></iframe>'
    )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


def test_inside_a_frame_of_another_origin(new_context, host, url, photograph):
    context = new_context(also=host, has_touch=True, viewport={"width": 1240, "height": 1700})
    page = context.new_page()
    page.goto(f"http://{host}/index.html")
    [inside] = [frame for frame in page.frames if frame.url.startswith(url)]
    viewer = Viewer(inside)
    viewer.wait_until_open()
    viewer.upload(photograph)
    viewer.wait_for_picture(96)
    viewer.wait_until_exact()
    assert viewer.passes()["clit-light"] == "exact"
    viewer.tap(2, 370, 200)
    viewer.wait_for_looks("lit-light")
    viewer.wait_for_link("pixel=")
    viewer.make_tab.click()
    viewer.make_method.select_option("bicubic")
    viewer.make_start.click()
    assert Image.open(viewer.download(viewer.make_link).path()).size == (384, 288)
