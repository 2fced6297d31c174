"""What the server gives besides the page: the viewer's modules."""

from __future__ import annotations

import re

import pytest
import tiny
from starlette.applications import Starlette
from starlette.testclient import TestClient

from clit.ui.jobs import make_file
from clit.ui.limits import Limits
from clit.ui.page import VIEWER
from clit.ui.questions import ask, open_upload, render_view
from clit.ui.routes import make_routes
from clit.ui.site import Site
from server.visitor import arrive, view


@pytest.fixture
def client(site):
    return TestClient(Starlette(routes=make_routes(site, VIEWER)))


def test_modules_are_asked_about_each_time(client):
    answer = client.get("/viewer/start.js")
    assert answer.status_code == 200 and "javascript" in answer.headers["content-type"]
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get("/viewer/start.js", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304 and again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/viewer/../page.py", "/viewer/%2e%2e/page.py", "/viewer/"])
def test_nothing_else_of_the_package_is_served(client, path):
    assert client.get(path).status_code == 404


def test_modules_import_only_downwards():
    """No module is reached from those it imports, and every module is reached from one that starts a page."""
    written = r'^import [^;]* from "([.][^"]+[.]js)";|\bimport\("([.][^"]+[.]js)"\)'
    imports = {
        path.relative_to(VIEWER).as_posix(): [
            (path.parent / (at_once or later)).resolve().relative_to(VIEWER.resolve()).as_posix()
            for at_once, later in re.findall(written, path.read_text(encoding="utf-8"), re.M)
        ]
        for path in VIEWER.rglob("*.js")
    }

    def reach(name: str, above: tuple[str, ...]) -> set[str]:
        assert name not in above, f"{' > '.join([*above, name])} is a circle"
        return {name}.union(*(reach(each, (*above, name)) for each in imports[name]))

    starts = [name for name in imports if name.startswith("start")]
    assert set().union(*(reach(name, ()) for name in starts)) == imports.keys()


def test_the_status_tells_visitors_memory_and_files(site, client, visit):
    before = client.get("/status").json()
    assert "image" in ask(render_view, site, view(visit))
    assert list(make_file(site, {**visit, "kind": "picture", "suffix": ".png", "models": ["bicubic"], "scale": 2}))
    other = arrive(site, "two.png")
    with site.line.join("somebody", "exact"):
        now = client.get("/status").json()
    assert now["visitors"] == before["visitors"] + 1 and now["in_line"] == before["in_line"] + 1
    assert now["files"] == before["files"] + 1 and now["uptime"] >= before["uptime"]
    memory = now["memory"]
    assert memory.keys() == {"features", "maps", "images", "encodings", "pictures", "examples", "answers"}
    assert memory["features"] > 0 and memory["examples"] >= 4 * 3 * (30 * 40 + 20 * 24)
    assert memory["answers"] > before["memory"]["answers"]
    assert sum(memory.values()) <= now["budget"] and now["rss"] > 50e6
    site.end(other["token"])
    assert client.get("/status").json()["visitors"] == before["visitors"]


def test_pictures_and_features_share_one_budget(examples, uploads, tmp_path):
    site = Site(examples, uploads, Limits(memory_bytes=600_000))
    tiny.save_photograph(tmp_path / "own.png", 150, 200)
    visit = arrive(site)
    assert "image" in ask(render_view, site, view(visit, model="clit-light", scale=4, window=[0, 0, 120, 160]))
    sent = {"token": visit["token"], "name": "own.png", "path": str(tmp_path / "own.png")}
    visit["picture"] = ask(open_upload, site, sent)["id"]
    asked = view(visit, model="clit-light", scale=4, window=[0, 0, 600, 800])
    assert "image" in ask(render_view, site, asked)
    held = site.count_bytes()
    assert held["pictures"] == 4 * 3 * 150 * 200
    assert held["features"] + held["maps"] <= 600_000 - held["pictures"] - held["examples"]
