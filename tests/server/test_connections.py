"""Connections that say nothing are closed; an upload that breaks off leaves nothing."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from clit.ui import connections
from clit.ui.connections import bound_connections
from clit.ui.guard import Guard
from clit.ui.limits import Limits
from clit.ui.receiving import make_upload_route
from clit.ui.site import Site


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


@pytest.fixture
def port(examples, folder, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    routes = [Route("/", lambda request: PlainTextResponse("ok")), make_upload_route(Site(examples, folder))]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, limits=Limits())])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    bound_connections(server)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: a", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT"])
def test_who_does_not_ask_on_is_closed(port, said):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        link.sendall(said)
        heard = b""
        while part := link.recv(4096):  # ends when the server closes
            heard += part
    assert heard.count(b"HTTP/1.1 200") == said.count(b"\r\n\r\n")


def test_an_upload_that_breaks_off_leaves_nothing(port, folder):
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        link.sendall(head.encode() + bytes(2_000_000))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in link.recv(4096), "it goes on"
    assert not list(folder.iterdir())
