"""The page's server without a browser, with tiny checkpoints."""

from __future__ import annotations

import pytest
import tiny

from clit.ui.site import Site
from server.visitor import arrive


@pytest.fixture(scope="module", autouse=True)
def checkpoints_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    tiny.save_checkpoints(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIT_CHECKPOINTS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    tiny.save_photograph(folder / "one.png", 30, 40)
    tiny.save_photograph(folder / "two.png", 20, 24)
    (folder / "credits.json").write_text(
        '{"one.png": {"title": "One", "author": "A", "licence": "CC0", "source": "s"}}'
    )
    return folder


@pytest.fixture(scope="module")
def uploads(tmp_path_factory):
    """The folder that receives uploads: every test's own folder lies inside it."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="module")
def site(examples, uploads):
    return Site(examples, uploads)


@pytest.fixture
def visit(site):
    return arrive(site)
