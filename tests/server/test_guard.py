"""What stands before every request: paths, sites, lengths, headers; and files that are sent."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from clit.ui import guard, receiving
from clit.ui.addresses import asking, find_address
from clit.ui.guard import Guard
from clit.ui.limits import Limits
from clit.ui.receiving import make_upload_route
from clit.ui.site import Site

ASK = "/gradio_api/component_server"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "received"


@pytest.fixture
def client(examples, folder):
    async def answer(request):
        return JSONResponse({"length": len(await request.body()), "address": asking.get()})

    limits = Limits(upload_bytes=50_000)
    paths = ["/", ASK, "/monitoring", "/gradio_api/proxy=http://other", "/runs", "/dev/reload"]
    routes = [Route(path, answer, methods=["GET", "POST"]) for path in paths]
    routes.append(make_upload_route(Site(examples, folder, limits)))
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Guard, limits=limits)]))


def test_only_what_page_and_programs_ask_is_answered(client):
    assert client.get("/").status_code == 200 and client.post(ASK).status_code == 200
    for path in ("/monitoring", "/gradio_api/proxy=http://other", "/runs", "/dev/reload", ASK):
        assert client.get(path).status_code == 404, path
    assert client.post("/").status_code == 404 and client.put("/").status_code == 404


def test_pages_of_other_sites_cannot_ask(client):
    for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://other"},
                    {"origin": "null"}):  # fmt: skip
        for path in (ASK, "/gradio_api/upload", "/end"):
            assert client.post(path, headers=headers).status_code == 403
        assert client.get("/", headers=headers).status_code == 200, "links lead here"
    for headers in (
        {},
        {"sec-fetch-site": "same-origin", "origin": "https://proxied"},
        {"origin": "http://testserver"},
    ):
        assert client.post(ASK, headers=headers).status_code == 200


def test_long_bodies_are_refused_whatever_they_say_of_themselves(client):
    assert client.post(ASK, content=b"x" * guard.ASKED_BYTES).json()["length"] == guard.ASKED_BYTES
    told = client.post(ASK, content=b"x" * (guard.ASKED_BYTES + 1))
    untold = client.post(ASK, content=(b"x" * 60_000 for _ in range(3)))
    for answer in (told, untold):
        assert answer.status_code == 413 and answer.json()["error"].endswith("are taken.")
    assert client.post(ASK, headers={"content-length": "many"}).status_code == 413


def test_slow_bodies_are_given_up(monkeypatch):
    monkeypatch.setattr(guard, "PART_SECONDS", 0.01)
    sent = []

    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def never():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": ASK, "headers": [], "client": ("127.0.0.1", 1)}
    asyncio.run(Guard(app, Limits())(scope, never, send))
    assert [each.get("status") for each in sent] == [408, None]


def test_every_answer_has_the_headers(client):
    for path in ("/", "/monitoring"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "object-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'self' https://huggingface.co" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("8.8.8.8", "1.1.1.1", "8.8.8.8"),
        ("10.0.0.7", "9.9.9.9, 1.1.1.1, 10.0.0.8", "1.1.1.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("10.0.0.7", "nonsense", "10.0.0.7"),
        ("2a00:1450:4001:82a::200e", "", "2a00:1450:4001:82a::/64"),
    ],
)
def test_addresses(peer, forwarded, expected):
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert find_address({"type": "http", "client": (peer, 1), "headers": headers}) == expected


def test_two_who_send_the_same_file_do_not_share_it(client, folder):
    paths = [client.post("/gradio_api/upload", files={"files": ("a.png", b"same")}).json()[0] for _ in range(2)]
    assert len({*paths}) == 2 == len(list(folder.iterdir()))
    assert all(open(path, "rb").read() == b"same" for path in paths)


def test_one_file_at_a_time_and_none_too_long(client, folder):
    two = [("files", ("a.png", b"1")), ("files", ("b.png", b"2"))]
    for answer in (
        client.post("/gradio_api/upload", files=two),
        client.post("/gradio_api/upload", files={"files": ("a.png", b"")}),
        client.post("/gradio_api/upload", data={"files": "text"}),
        client.post("/gradio_api/upload", content=b"no form"),
    ):
        assert answer.status_code == 400 and answer.json()["error"].startswith("Send one file")
    long = client.post("/gradio_api/upload", files={"files": ("a.png", bytes(200_000))})
    assert long.status_code == 413 and not (folder.exists() and list(folder.iterdir()))


def test_few_files_are_received_at_once(client, monkeypatch):
    monkeypatch.setattr(receiving, "AT_ONCE_OF_ONE", 0)
    assert client.post("/gradio_api/upload", files={"files": ("a.png", b"1")}).status_code == 429
