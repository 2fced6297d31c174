"""Gradio's own routes with our guard before them: no request makes a traceback, whatever its body."""

from __future__ import annotations

import json
import logging

import pytest
from gradio.routes import App
from starlette.testclient import TestClient

from clit.ui.page import app_settings, build

ASK, JOIN = "/gradio_api/component_server", "/gradio_api/queue/join"


@pytest.fixture(scope="module")
def served(site):
    demo = build(site)
    demo.config = demo.get_config_file()
    return TestClient(App.create_app(demo, app_kwargs=app_settings(site)))


@pytest.fixture(scope="module")
def component(served):
    parts = served.get("/config").json()["components"]
    return next(each["id"] for each in parts if "begin" in each["props"].get("server_fns", ()))


def question(component: int, **changes) -> dict:
    return {"data": {}, "component_id": component, "session_hash": "one", "fn_name": "begin", **changes}


def test_questions_are_answered(served, component):
    assert "token" in served.post(ASK, json=question(component)).json()


@pytest.mark.parametrize("path", [ASK, JOIN, "/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/call/upscale"])
def test_hostile_bodies_get_no_traceback(served, component, caplog, path):
    bodies = [
        b"", b"{", b"[]", b"null", b"\xff", b'{"data": "\\ud800"}', b"[" * 50_000, b'{"fn_name": 3}',
        *(json.dumps(question(component, **odd)).encode() for odd in (
            {"component_id": 10**9}, {"component_id": "x"}, {"fn_name": "__init__"}, {"fn_name": "\ud800"},
            {"data": "\ud800"}, {"data": {"token": "\ud800", "name": ["\ud800"]}}, {"session_hash": None},
            {"fn_index": 10**6}, {"fn_index": -1}, {"fn_index": 0, "event_data": "\ud800"}, {"fn_name": "render_view"},
        )),
    ]  # fmt: skip
    with caplog.at_level(logging.ERROR):
        answers = [served.post(path, content=body, headers={"content-type": "application/json"}) for body in bodies]
        answers += [served.post(path, content=bodies[0], headers={"content-type": "multipart/form-data; boundary=x"})]
    assert not [each.text for each in answers if each.status_code >= 500]
    assert not any("Traceback" in each.text or "site-packages" in each.text for each in answers)
    assert not caplog.records


def test_what_is_not_used_is_off(served):
    for path in ("/monitoring", "/monitoring/summary", "/gradio_api/proxy=https://other.host/x", "/gradio_api/runs"):
        assert served.get(path).status_code == 404
    assert served.get("/config").status_code == served.get("/health").status_code == 200
