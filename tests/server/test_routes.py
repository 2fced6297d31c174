"""What the server gives besides the page: the viewer's modules."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from clit.ui.page import VIEWER
from clit.ui.routes import make_routes


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
    imports = {
        path.name: re.findall(r'^import [^;]* from "[.]/(\w+[.]js)";', path.read_text(encoding="utf-8"), re.M)
        for path in VIEWER.glob("*.js")
    }

    def reach(name: str, above: tuple[str, ...]) -> set[str]:
        assert name not in above, f"{' > '.join([*above, name])} is a circle"
        return {name}.union(*(reach(each, (*above, name)) for each in imports[name]))

    assert reach("start.js", ()) | reach("start_saved.js", ()) == imports.keys()
